/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as one page: pictures with their marks as SVG, the steps as a list beside them, a few lines of script that step through it. Everything
 * is in the page, nothing is fetched (its own policy forbids it), and it reads without script too. Called by programs. */
#include <math.h>
#include <string.h>

#include "base/params.h"
#include "libmuse/trace/trace_draw.h"
#include "libmuse/trace/trace_page.h"

enum { SIDE_DEFAULT = 1600, HEAT_SIDE = 256, CROP_SIDE_MAX = 1024, NEAR = 64 /* earlier steps that are looked at for the same place */, TABS_MAX = 1024 };

typedef struct Html {
    MuseOut o;
    const MuseTrace *t;
    MuseTraceHtmlParams p;
    MuseError *err;
} Html;

static void text(Html *h, const char *s) { muse_out_html(&h->o, s, strlen(s)); }
static void raw(Html *h, const char *s) { muse_out_bytes(&h->o, s, strlen(s)); }

static void number(Html *h, const char *name, double v)
{
    muse_out_put(&h->o, " %s=\"", name);
    muse_out_number(&h->o, v);
    raw(h, "\"");
}

static void view_box(Html *h, MuseRect r)
{
    raw(h, " viewBox=\"");
    muse_out_number(&h->o, r.x0);
    raw(h, " ");
    muse_out_number(&h->o, r.y0);
    raw(h, " ");
    muse_out_number(&h->o, fmax(r.x1 - r.x0, 1));
    raw(h, " ");
    muse_out_number(&h->o, fmax(r.y1 - r.y0, 1));
    raw(h, "\"");
}

static void place(Html *h, MuseRect r)
{
    number(h, "x", r.x0);
    number(h, "y", r.y0);
    number(h, "width", r.x1 - r.x0);
    number(h, "height", r.y1 - r.y0);
}

static void kind_name(Html *h, uint32_t kind)
{
    const char *name = muse_step_name(kind);
    for (; *name; name++) muse_out_put(&h->o, "%c", *name == '_' ? ' ' : *name);
}

/* ---- pictures ---- */

static double longer(MuseRect r) { return fmax(r.x1 - r.x0, r.y1 - r.y0); }

/* part: in pixels of the original; a picture's own pixels begin at its place there */
static int put_image(Html *h, const MusePictureKept *k, MuseRect part, uint32_t side)
{
    const MuseRect own = { part.x0 - k->rect.x0, part.y0 - k->rect.y0, part.x1 - k->rect.x0, part.y1 - k->rect.y0 };
    return muse_out_picture(&h->o, h->t->rt, k->image, own, side, h->err);
}

static const double GROWS = 1.8;   /* as much larger are the letters in a narrow window: trace_page.c */

enum { LETTER = 15 /* CSS pixels */, LABEL = 26 /* two digits and a gap */ };

/* steps of the same agent before this one whose numbers would stand in the same place: they stand side by side */
static size_t near_before(const MuseTrace *t, size_t step, const MuseTraceMark *m, double unit)
{
    size_t n = 0;
    for (size_t i = step > NEAR ? step - NEAR : 0; i < step; i++) {
        const MuseTraceStep *s = muse_trace_at(t, i);
        for (uint32_t k = 0; k < s->n_marks && k < NEAR && s->agent == muse_trace_at(t, step)->agent; k++)
            n += s->marks[k].image == m->image && fabs(s->marks[k].rect.x0 - m->rect.x0) < LABEL * unit && fabs(s->marks[k].rect.y0 - m->rect.y0) < LETTER * unit;
    }
    return n;
}

static void put_track(Html *h, const MuseTraceStep *s, size_t step, uint32_t image)
{
    muse_out_put(&h->o, "<g class=\"m\" data-s=\"%zu\" style=\"--c:#%06x\">", step + 1, (unsigned)muse_trace_colour(s->marks[0].object, step));
    for (int pass = 0; pass < 2; pass++) {
        muse_out_put(&h->o, "<polyline class=\"%s\" points=\"", pass ? "line" : "rim");
        for (uint32_t i = 0; i < s->n_marks; i++) {
            if (s->marks[i].image != image) continue;
            muse_out_number(&h->o, (s->marks[i].rect.x0 + s->marks[i].rect.x1) / 2);
            raw(h, ",");
            muse_out_number(&h->o, (s->marks[i].rect.y0 + s->marks[i].rect.y1) / 2);
            raw(h, " ");
        }
        raw(h, "\"/>");
    }
    raw(h, "</g>");
}

static void put_mark(Html *h, const MuseTraceStep *s, size_t step, const MuseTraceMark *m, double unit)
{
    const MuseRect r = m->rect;
    const MuseRect frame = muse_trace_picture(h->t, m->image - 1)->rect;
    const size_t n = near_before(h->t, step, m, unit), room = (size_t)fmax(1, (frame.x1 - r.x0) / (GROWS * LABEL * unit));
    const bool above = r.y0 - frame.y0 > 24 * unit;
    muse_out_put(&h->o, "<g class=\"m%s\" data-s=\"%zu\" style=\"--c:#%06x\">", s->kind == MUSE_STEP_LOOK ? " look" : "", step + 1, (unsigned)muse_trace_colour(m->object, step));
    for (int pass = 0; pass < 2; pass++) {
        const char *cls = pass ? "line" : "rim";
        if (muse_rect_is_point(r)) {
            muse_out_put(&h->o, "<circle class=\"%s\"", cls);
            number(h, "cx", r.x0);
            number(h, "cy", r.y0);
            number(h, "r", 5 * unit);
        } else {
            muse_out_put(&h->o, "<rect class=\"%s\"", cls);
            place(h, r);
        }
        raw(h, "/>");
    }
    raw(h, "<text");
    number(h, "x", r.x0);
    number(h, "y", r.y0);
    number(h, "font-size", LETTER * unit);
    /* in em, so that larger letters of narrow windows keep apart too */
    muse_out_put(&h->o, " dx=\"%zu.%02zuem\" dy=\"%s%zu.%02zuem\">%zu</text></g>", (13 + 173 * (n % room)) / 100, (13 + 173 * (n % room)) % 100, above ? "-" : "",
                 ((above ? 47 : 120) + 107 * (n / room)) / 100, ((above ? 47 : 120) + 107 * (n / room)) % 100, step + 1);
}

/* A step's heat map as a picture of colour and cover, drawn by the browser over the picture */
static int put_heat(Html *h, const MuseTraceHeat *heat, size_t step)
{
    const double scale = HEAT_SIDE / (double)(heat->width > heat->height ? heat->width : heat->height);
    const uint32_t w = (uint32_t)fmax(1, heat->width * scale), rows = (uint32_t)fmax(1, heat->height * scale);
    const MuseAllocator *a = &h->t->rt->alloc;
    const double top = muse_step_heat_top(muse_trace_at(h->t, step));
    void *png = NULL;
    size_t size = 0;
    uint8_t *rgba = muse_alloc_array(a, (size_t)w * rows, 4);
    if (!rgba) return MUSE_NOMEM(h->err, (size_t)w * rows * 4);
    for (uint32_t j = 0; j < rows; j++)
        for (uint32_t i = 0; i < w; i++) {
            const double x = heat->rect.x0 + (heat->rect.x1 - heat->rect.x0) * (i + 0.5) / w, y = heat->rect.y0 + (heat->rect.y1 - heat->rect.y0) * (j + 0.5) / rows;
            muse_heat_colour(muse_heat_at(heat, top, x, y), rgba + ((size_t)j * w + i) * 4);
        }
    const int rc = muse_png_write_memory(h->t->rt, &png, &size, rgba, w, rows, 0, MUSE_PIXELS_RGBA, h->err);
    muse_free(rgba);
    if (rc < 0) return rc;
    muse_out_put(&h->o, "<image class=\"heat\" data-s=\"%zu\" preserveAspectRatio=\"none\"", step + 1);
    place(h, heat->rect);
    raw(h, " href=\"data:image/png;base64,");
    muse_out_base64(&h->o, png, size);
    raw(h, "\"/>");
    muse_free(png);
    return 0;
}

/* the colours of heat maps over a middle grey, as a background for CSS */
static void put_colours(Html *h)
{
    enum { STOPS = 16 };
    raw(h, "linear-gradient(90deg");
    for (int i = 0; i <= STOPS; i++) {
        uint8_t c[4];
        muse_heat_colour((double)i / STOPS, c);
        for (int k = 0; k < 3; k++) c[k] = (uint8_t)((c[k] * c[3] + 128 * (255 - c[3])) / 255);
        muse_out_put(&h->o, ",#%02x%02x%02x", c[0], c[1], c[2]);
    }
    raw(h, ")");
}

/* what the colours of a step mean: each step has the whole range */
static void put_scale(Html *h, size_t step)
{
    const MuseTraceStep *s = muse_trace_at(h->t, step);
    const double top = muse_step_heat_top(s);
    char text[24];
    if (!(top > 0)) return;
    muse_out_put(&h->o, "<div class=\"scale\" data-s=\"%zu\"><span>Attention on a patch while this step was written", step + 1);
    for (size_t k = 0; k < s->n_heats; k++) {
        double sum = 0;
        for (size_t i = 0; i < (size_t)s->heats[k].width * s->heats[k].height; i++) sum += (double)s->heats[k].values[i];
        muse_heat_share(sum, text);
        muse_out_put(&h->o, "%s picture %u: %s", k ? "," : "; on all of", s->heats[k].image, text);
    }
    raw(h, "</span><i></i><span>0</span>");
    for (int k = 1; k <= 2; k++) {
        muse_heat_share(top * k / 2, text);
        muse_out_put(&h->o, "<span>%s</span>", text);
    }
    raw(h, "</div>");
}

static void put_scales(Html *h)
{
    bool any = false;
    for (size_t i = 0; i < muse_trace_n_steps(h->t); i++) any = any || muse_step_heat_top(muse_trace_at(h->t, i)) > 0;
    if (!any) return;
    raw(h, "<div class=\"scales\" style=\"--h:");
    put_colours(h);
    raw(h, "\"><p class=\"k\">A step shows where the model looked, as colours over the pictures.</p>");
    for (size_t i = 0; i < muse_trace_n_steps(h->t); i++) put_scale(h, i);
    raw(h, "</div>");
}

static int put_picture(Html *h, uint32_t image)
{
    const MusePictureKept *k = muse_trace_picture(h->t, image - 1);
    const double unit = longer(k->rect) / (muse_trace_n_pictures(h->t) > 1 ? 420 : 700);   /* of letters: a picture is shown about this wide */
    int rc = 0;
    raw(h, "<figure><svg class=\"pic\" role=\"img\" aria-label=\"Picture ");
    muse_out_put(&h->o, "%u ", image);
    text(h, k->name);
    raw(h, "\"");
    view_box(h, k->rect);
    raw(h, " style=\"--u:");
    muse_out_number(&h->o, unit);
    raw(h, "\">");
    if (k->image) {
        muse_out_put(&h->o, "<image id=\"p%u\"", image);
        place(h, k->rect);
        raw(h, " preserveAspectRatio=\"none\" href=\"");
        rc = put_image(h, k, k->rect, h->p.max_side);
        raw(h, "\"/>");
    } else {
        raw(h, "<rect class=\"none\"");
        place(h, k->rect);
        raw(h, "/>");
    }
    for (size_t i = 0; rc == 0 && i < muse_trace_n_steps(h->t); i++) {
        const MuseTraceStep *s = muse_trace_at(h->t, i);
        for (size_t n = 0; rc == 0 && n < s->n_heats; n++)
            if (s->heats[n].image == image) rc = put_heat(h, &s->heats[n], i);
    }
    for (size_t i = 0; rc == 0 && i < muse_trace_n_steps(h->t); i++) {
        const MuseTraceStep *s = muse_trace_at(h->t, i);
        if (s->kind == MUSE_STEP_TRACK && s->n_marks) put_track(h, s, i, image);
        for (uint32_t n = 0; n < s->n_marks; n++)
            if (s->marks[n].image == image) put_mark(h, s, i, &s->marks[n], unit);
    }
    if (rc == 0) rc = muse_trace_numbers(&h->o, h->t, image, unit, LETTER, GROWS, h->err);
    muse_out_put(&h->o, "</svg><figcaption>Picture %u ", image);
    text(h, k->name);
    muse_out_put(&h->o, " &middot; %.0f &times; %.0f px", k->rect.x1 - k->rect.x0, k->rect.y1 - k->rect.y0);
    if (!k->image) raw(h, " &middot; no pixels in this trace");
    else if (longer(k->rect) > h->p.max_side) muse_out_put(&h->o, " &middot; stored here at %.3g&#8239;%%", 100.0 * h->p.max_side / longer(k->rect));
    raw(h, "</figcaption></figure>");
    return rc;
}

static int put_pictures(Html *h)
{
    int rc = 0;
    raw(h, "<div class=\"pics\"><div class=\"grid\">");
    for (uint32_t i = 1; rc == 0 && i <= muse_trace_n_pictures(h->t); i++) rc = put_picture(h, i);
    raw(h, "</div>");
    put_scales(h);
    raw(h, "</div>");
    return rc;
}

/* ---- steps ---- */

/* what a look saw: from the page's own picture, or at its full detail where that was reduced */
static int put_crop(Html *h, const MuseTraceMark *m, uint32_t n, size_t step)
{
    const MusePictureKept *k = muse_trace_picture(h->t, m->image - 1);
    if (!k->image || muse_rect_is_point(m->rect) || !(m->rect.x1 > m->rect.x0) || !(m->rect.y1 > m->rect.y0)) return 0;
    int rc = 0;
    muse_out_put(&h->o, "<svg class=\"crop\" role=\"img\" aria-label=\"What step %zu looked at in picture %u\"", step + 1, m->image);
    view_box(h, m->rect);
    const double scale = (n > 1 ? 190 : 320) / longer(m->rect);   /* CSS pixels of the longer side; several fit side by side */
    number(h, "width", (m->rect.x1 - m->rect.x0) * scale);
    number(h, "height", (m->rect.y1 - m->rect.y0) * scale);
    raw(h, ">");
    if (longer(k->rect) <= h->p.max_side) muse_out_put(&h->o, "<use href=\"#p%u\"/>", m->image);
    else {
        raw(h, "<image preserveAspectRatio=\"none\"");
        place(h, m->rect);
        raw(h, " href=\"");
        rc = put_image(h, k, m->rect, CROP_SIDE_MAX);
        raw(h, "\"/>");
    }
    raw(h, "</svg>");
    return rc;
}

static void put_places(Html *h, const MuseTraceStep *s)
{
    for (uint32_t i = 0; i < s->n_marks; i++) {
        const MuseTraceMark *m = &s->marks[i];
        muse_out_put(&h->o, "<span class=\"at\">picture %u ", m->image);
        const double v[] = { m->rect.x0, m->rect.y0, m->rect.x1, m->rect.y1 };
        const bool point = muse_rect_is_point(m->rect);
        for (int k = 0; k < (point ? 2 : 4); k++) {
            raw(h, k ? ", " : point ? "(" : "[");
            muse_out_put(&h->o, "%.0f", v[k]);
        }
        raw(h, point ? ")" : "]");
        if (m->object) muse_out_put(&h->o, " &middot; object %u", m->object);
        raw(h, "</span>");
    }
}

static int put_step(Html *h, size_t i)
{
    const MuseTraceStep *s = muse_trace_at(h->t, i);
    int rc = 0;
    muse_out_put(&h->o, "<li data-s=\"%zu\" data-a=\"%u\"><button type=\"button\"><b class=\"n\" style=\"--c:", i + 1, s->agent);
    if (s->n_marks) muse_out_put(&h->o, "#%06x;color:#%06x", (unsigned)muse_trace_colour(s->marks[0].object, i), (unsigned)muse_trace_ink_on(muse_trace_colour(s->marks[0].object, i)));
    else raw(h, "var(--edge)");
    muse_out_put(&h->o, "\">%zu</b><span class=\"k\">", i + 1);
    kind_name(h, s->kind);
    if (s->agent) muse_out_put(&h->o, " &middot; agent %u", s->agent);
    if (s->parent) muse_out_put(&h->o, " &middot; of %u", s->parent);
    if (!s->done) raw(h, " &middot; not finished");
    raw(h, "</span>");
    if (s->confidence >= 0) muse_out_put(&h->o, "<span class=\"c\">%.0f&#8239;%%</span>", 100 * s->confidence);
    raw(h, "<span class=\"t\" dir=\"auto\">");
    muse_out_html(&h->o, s->text, s->n_text);
    raw(h, "</span>");
    put_places(h, s);
    if (s->n_marks && (s->kind == MUSE_STEP_LOOK || s->kind == MUSE_STEP_COMPARE)) {
        raw(h, "<span class=\"crops\">");
        for (uint32_t k = 0; rc == 0 && k < s->n_marks; k++) rc = put_crop(h, &s->marks[k], s->n_marks, i);
        raw(h, "</span>");
    }
    raw(h, "</button></li>");
    return rc;
}

static int put_agents(Html *h)
{
    uint32_t agent = muse_trace_next_agent(h->t, 0);
    int rc = 0;
    if (agent) {
        raw(h, "<div class=\"tabs\" hidden role=\"group\" aria-label=\"Whose steps\"><button type=\"button\" aria-pressed=\"true\" data-t=\"\">all</button>");
        for (int n = 0; agent && n < TABS_MAX; n++, agent = muse_trace_next_agent(h->t, agent))
            muse_out_put(&h->o, "<button type=\"button\" aria-pressed=\"false\" data-t=\"%u\">agent %u</button>", agent, agent);
        if (agent) muse_out_put(&h->o, "<span class=\"k\">agents from %u on have no button</span>", agent);
        raw(h, "</div>");
    }
    raw(h, "<ol>");
    for (size_t i = 0; rc == 0 && i < muse_trace_n_steps(h->t); i++) rc = put_step(h, i);
    raw(h, "</ol>");
    return rc;
}

static void put_summary(Html *h)
{
    const MuseTraceSummary *s = &h->t->summary;
    const MuseTraceStep *answer = muse_trace_answer(h->t);
    raw(h, "<section class=\"sum\"><h2>Answer</h2><p class=\"ans\" dir=\"auto\">");
    muse_out_html(&h->o, answer ? answer->text : s->answer, answer ? answer->n_text : s->n_answer);
    raw(h, "</p><p class=\"k\">");
    if (s->confidence >= 0) muse_out_put(&h->o, "confidence %.0f&#8239;%% &middot; ", 100 * s->confidence);
    muse_out_put(&h->o, "tokens: prompt %llu, thought %llu, looks %llu, answer %llu &middot; %.2f s", (unsigned long long)s->prompt_tokens, (unsigned long long)s->thought_tokens,
                 (unsigned long long)s->look_tokens, (unsigned long long)s->answer_tokens, s->seconds);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? h->t->mode : h->t->model;
        if (*name) raw(h, " &middot; "), text(h, name);
    }
    raw(h, "</p></section>");
}

int muse_trace_html(const MuseTrace *t, const MuseTraceHtmlParams *params, char **out, size_t *size, MuseError *err)
{
    MUSE_REQUIRE(err, t && out);
    *out = NULL;
    Html h = { .o = { .buf = { .alloc = &t->rt->alloc } }, .t = t, .err = err };
    int rc = MUSE_PARAMS_IMPORT(&h.p, params, "MuseTraceHtmlParams", err);
    if (rc < 0) return rc;
    if (!h.p.max_side) h.p.max_side = SIDE_DEFAULT;
    raw(&h, muse_page_head);
    raw(&h, "<title>");
    text(&h, *t->question ? t->question : "Trace");
    raw(&h, "</title><style>");
    raw(&h, muse_page_style);
    raw(&h, "</style></head><body><header><h1 dir=\"auto\">");
    text(&h, *t->question ? t->question : "Trace");
    raw(&h, "</h1></header><main>");
    if (muse_trace_n_pictures(t)) rc = put_pictures(&h);
    raw(&h, "<div class=\"steps\">");
    raw(&h, muse_page_buttons);
    if (rc == 0) rc = put_agents(&h);
    put_summary(&h);
    raw(&h, "</div></main><script>");
    raw(&h, muse_page_script);
    raw(&h, "</script></body></html>\n");
    if (rc == 0) return muse_out_take(&h.o, out, size, err);
    muse_buf_clear(&h.o.buf);
    return rc;
}
