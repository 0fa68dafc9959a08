/* SPDX-License-Identifier: Apache-2.0 */
/* Style and script of a trace's page: constants, nothing of a trace goes into them. The script only sets classes on what is there. */
#include "libmuse/trace/trace_page.h"

/* The policy lets nothing be fetched, sent or framed, whatever a text might smuggle in. */
const char muse_page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">";

const char muse_page_buttons[] =
    "<nav hidden aria-label=\"Steps\"><button type=\"button\" id=\"prev\" aria-label=\"Previous step\">&#8592;</button><output id=\"pos\" aria-live=\"polite\">all steps</output>"
    "<button type=\"button\" id=\"next\" aria-label=\"Next step\">&#8594;</button><button type=\"button\" id=\"all\">Show all</button>"
    "<span class=\"hint\">Arrow keys step, Escape shows all.</span></nav>";

const char muse_page_style[] =
    ":root{--bg:#f6f7f9;--card:#fff;--ink:#12161c;--dim:#525c6a;--edge:#d5dae2;--on:#e8f0fe;--acc:#0b5fd0}"
    "@media(prefers-color-scheme:dark){:root{--bg:#101318;--card:#191e25;--ink:#e8ebf0;--dim:#a3adba;--edge:#38414d;--on:#1d2f4a;--acc:#7db4ff}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.45 system-ui,sans-serif}"
    "header{padding:1rem 1.5rem .5rem}h1{font-size:1.35rem;margin:0;overflow-wrap:anywhere}"
    /* the buttons stay in reach however far the steps are scrolled */
    "nav{display:flex;flex-wrap:wrap;gap:.2rem .5rem;align-items:center;position:sticky;top:0;z-index:1;background:var(--bg);padding:.5rem 0}[hidden]{display:none!important}"
    "output{min-width:8rem;text-align:center;font-variant-numeric:tabular-nums}.hint{color:var(--dim);font-size:.85rem}"
    "button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:.25rem .7rem;cursor:pointer}"
    "button:hover{border-color:var(--acc)}:focus-visible{outline:3px solid var(--acc);outline-offset:1px}"
    "main{display:grid;grid-template-columns:minmax(0,3fr) minmax(20rem,2fr);gap:1.5rem;padding:.5rem 1.5rem 1.5rem;align-items:start}.steps:only-child{grid-column:1/-1;max-width:52rem}"
    ".pics{position:sticky;top:.5rem;max-height:calc(100vh - 1rem);overflow:auto}.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1rem}"
    "figure{margin:0}.pic{display:block;width:100%;min-height:4.5rem;max-height:min(82vh,calc(100vh - 9.5rem));border-radius:.4rem;background:var(--edge)}figcaption{color:var(--dim);font-size:.85rem;margin-top:.3rem;overflow-wrap:anywhere}"
    ".none{fill:#8b95a3}.m *,.all *{vector-effect:non-scaling-stroke;stroke-linejoin:round}.m .line{fill:none;stroke:var(--c);stroke-width:3}.m .rim{fill:none;stroke:#0b0e14;stroke-width:6;stroke-opacity:.85}"
    ".m circle.line{fill:var(--c)}.look .line{stroke-dasharray:10 6}"
    ".m text,.all text{fill:var(--c);stroke:#0b0e14;stroke-width:4px;paint-order:stroke;font-family:system-ui,sans-serif;font-weight:700;font-size:calc(15px*var(--u)*var(--k,1))}.m circle{r:calc(5px*var(--u)*var(--k,1))}"
    "body:not(.stepping) .m text,.stepping .all,.mixed .m.past text{display:none}"
    ".heat{opacity:0;pointer-events:none}.stepping .m{opacity:0}.stepping .m.past{opacity:.3}.stepping .m.now{opacity:1}.stepping .heat.now{opacity:1}"
    ".stepping .m.now .line{stroke-width:5}.stepping .m.now .rim{stroke-width:9}.m,.heat{transition:opacity .15s}@media(prefers-reduced-motion:reduce){.m,.heat{transition:none}}"
    "ol{list-style:none;margin:0;padding:0;display:grid;gap:.5rem}li{scroll-margin:var(--top,0) 0 .5rem}"
    "li>button{display:grid;grid-template-columns:auto 1fr auto;gap:.15rem .6rem;width:100%;text-align:start;padding:.55rem .7rem;align-items:baseline}"
    ".n{background:var(--c);border-radius:.35rem;padding:0 .45rem;font-variant-numeric:tabular-nums}.k,.c,.at{color:var(--dim);font-size:.85rem}.c{grid-column:3}"
    ".t{grid-column:2/4;white-space:pre-wrap;overflow-wrap:anywhere}.t:empty{display:none}.at{grid-column:2/4;font-variant-numeric:tabular-nums}"
    ".crops{grid-column:2/4;display:flex;flex-wrap:wrap;gap:.5rem}.crop{max-width:100%;height:auto;border-radius:.35rem;margin-top:.3rem;background:var(--edge)}"
    "li.now>button{background:var(--on);border-color:var(--acc)}.tabs{display:flex;flex-wrap:wrap;gap:.4rem;margin-bottom:.7rem}.tabs [aria-pressed=true]{background:var(--on);border-color:var(--acc)}"
    ".sum{margin-top:1rem;background:var(--card);border:1px solid var(--edge);border-radius:.6rem;padding:.7rem 1rem}h2{font-size:.9rem;margin:0;color:var(--dim);font-weight:600}"
    ".ans{font-size:1.3rem;margin:.2rem 0;white-space:pre-wrap;overflow-wrap:anywhere}.sum .k,.scales .k{margin:.2rem 0 0}"
    ".scales{color:var(--dim);font-size:.85rem;margin-top:.5rem}.scale{display:none;grid-template-columns:1fr 1fr 1fr}.scale.now{display:grid}.stepping .scales .k{display:none}"
    ".scale :first-child,.scale i{grid-column:1/-1}.scale i{height:.7rem;border-radius:.2rem;margin:.2rem 0;background:var(--h)}.scale :nth-child(4){text-align:center}.scale :nth-child(5){text-align:end}"
    /* one column: the pictures stay in sight above the steps, unless the window is low; letters in a small picture are not smaller */
    "@media(max-width:900px){main{grid-template-columns:minmax(0,1fr);padding:.5rem .75rem 1.5rem;gap:.75rem}header{padding:.75rem .75rem .25rem}.grid{gap:.5rem}"
    "nav{position:fixed;inset:auto 0 0;justify-content:center;border-top:1px solid var(--edge)}body{padding-bottom:5rem}li{scroll-margin-bottom:5rem}"
    ".pics{top:0;z-index:1;background:var(--bg);padding-bottom:.4rem;max-height:56vh}.pic{max-height:40vh}.grid{grid-template-columns:repeat(auto-fit,minmax(min(9rem,100%),1fr))}}"
    "@media(max-width:900px) and (max-height:600px){.pics{position:static;max-height:none}}@media(max-width:600px){.pic{--k:1.8}}@media(hover:none) and (pointer:coarse){.hint{display:none}}@media print{nav{display:none}}";

const char muse_page_script[] =
    "(function(){'use strict';var d=document,b=d.body,P=d.querySelector('.pics'),N=d.querySelector('nav'),L=[].slice.call(d.querySelectorAll('ol>li')),M=[].slice.call(d.querySelectorAll('.m,.heat,.scale')),now=0,agent='';[].forEach.call(d.querySelectorAll('nav,.tabs'),function(e){e.hidden=false});"
    "function seen(l){return agent===''||l.dataset.a==='0'||l.dataset.a===agent}"
    /* what sticks to the top of the window covers so much of the steps */
    "function cover(){var c=P&&innerWidth<=900?P:N;return /sticky/.test(getComputedStyle(c).position)?c.offsetHeight:0}"
    /* the first picture with a mark of the step, in the part of the pictures that is seen */
    "function reveal(){var m=P&&d.querySelector('.m.now,.heat.now'),f=m&&m.closest('figure'),p,r;if(!f)return;p=P.getBoundingClientRect();r=f.getBoundingClientRect();"
    "if(r.top<p.top||r.bottom>p.bottom)P.scrollTop+=r.height>p.height||r.top<p.top?r.top-p.top:r.bottom-p.bottom;"
    "r=f.getBoundingClientRect();if(innerWidth>900&&r.bottom>innerHeight)scrollBy(0,Math.min(r.bottom-innerHeight,p.top))}"
    "function show(n,move){now=n;b.classList.toggle('stepping',n>0||agent!=='');b.classList.toggle('mixed',agent===''&&!!d.querySelector('.tabs'));"
    "L.forEach(function(l){var on=+l.dataset.s===n;l.classList.toggle('now',on);l.hidden=!seen(l);var t=l.firstChild;if(on){t.setAttribute('aria-current','step');"
    "if(move){t.focus({preventScroll:true});b.style.setProperty('--top',cover()+8+'px');l.scrollIntoView({block:'nearest'})}}else t.removeAttribute('aria-current')});"
    "M.forEach(function(m){var s=+m.dataset.s,ok=seen(L[s-1]);m.classList.toggle('now',ok&&(s===n||(n===0&&m.classList.contains('m'))));m.classList.toggle('past',ok&&s<n)});"
    "d.getElementById('pos').textContent=n?'step '+n+' of '+L.length:'all steps';if(n)reveal()}"
    "function step(by){var n=now;do{n+=by}while(n>0&&n<=L.length&&!seen(L[n-1]));if(n>=0&&n<=L.length)show(n,true)}"
    "L.forEach(function(l){l.firstChild.addEventListener('click',function(){show(+l.dataset.s===now?0:+l.dataset.s)})});"
    "d.getElementById('prev').onclick=function(){step(-1)};d.getElementById('next').onclick=function(){step(1)};d.getElementById('all').onclick=function(){show(0)};"
    "d.querySelectorAll('.tabs button').forEach(function(t,i,T){t.onclick=function(){agent=t.dataset.t;T.forEach(function(x){x.setAttribute('aria-pressed',x===t)});show(0)}});"
    "d.addEventListener('keydown',function(e){if(e.altKey||e.ctrlKey||e.metaKey)return;var k=e.key;"
    "if(k==='ArrowRight'||k==='ArrowDown'){step(1);e.preventDefault()}else if(k==='ArrowLeft'||k==='ArrowUp'){step(-1);e.preventDefault()}else if(k==='Escape')show(0)});"
    "if(/^#step[0-9]+$/.test(location.hash)){var n=+location.hash.slice(5);if(n<=L.length)show(n,true)}})();";
