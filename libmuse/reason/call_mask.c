/* SPDX-License-Identifier: Apache-2.0 */
/* Calls are written as the format has them: while a call is open only ids can be picked after which it is still one, of a tool that is offered. Which bytes that are:
 * libmuse/sample/calls.c; what a call does: call.c. Called by run.c. */
#include "libmuse/reason/agent.h"

/* Four whole numbers from 0 to 1000, and the picture before or behind them. That corners are in order, and the picture there, is seen when it is carried out. */
#define NUMBER "(0|[1-9][0-9]{0,2}|1000)"
#define BOX "box:\\[" NUMBER "," NUMBER "," NUMBER "," NUMBER "\\]"
#define IMAGE "image:[1-9][0-9]{0,2}"
static const char look_arguments[] = "\\{(" BOX "(," IMAGE ")?|" IMAGE "," BOX ")\\}";

static int32_t control(const MuseChatFormat *f, const MuseTextTokenizer *tok, MuseTokenRole role)
{
    for (size_t i = 0; i < f->n_controls; i++)
        if (f->controls[i].role == role) return muse_text_find(tok, f->controls[i].text, strlen(f->controls[i].text));
    return -1;
}

/* Once for all agents of one prompt: the tools are theirs. What can't be compiled for this vocabulary leaves calls free. */
static int open_calls(MuseAgentShared *sh, const MuseTextTokenizer *tok, MuseError *err)
{
    const MuseChatFormat *f = muse_chat_format_find(sh->format);
    const size_t n_tools = muse_tools_count(sh->p.tools), n = n_tools + sh->offers_look;
    MuseCallParams p = { .end = control(f, tok, MUSE_TOKEN_CALL_END), .mark = control(f, tok, MUSE_TOKEN_QUOTE) };
    if (!n || p.end < 0 || (p.mark < 0 && f->read_call == muse_read_call_gemma4)) return 0;
    MuseCallRule *rules = muse_alloc_array(&sh->rt->alloc, n, sizeof *rules);
    MuseToolSpec tool;
    if (!rules) return MUSE_NOMEM(err, n * sizeof *rules);
    if (sh->offers_look) rules[p.n++] = (MuseCallRule){ muse_look_name, look_arguments };
    for (size_t i = 0; muse_tools_at(sh->p.tools, i, &tool) == 0 && p.n < n; i++)
        if (!sh->offers_look || strcmp(tool.name, muse_look_name) != 0) rules[p.n++] = (MuseCallRule){ tool.name, NULL };
    p.rules = rules;
    MuseError why = { 0 };
    const int rc = muse_call_grammar_open(&sh->calls, sh->rt, tok, &p, &why);
    muse_free(rules);
    if (rc == MUSE_ERR_NOMEM) muse_fail_copy(err, &why);
    else if (rc < 0) muse_log(&sh->rt->log, MUSE_LOG_WARN, "calls are not held to their syntax: %s", why.text);
    return rc == MUSE_ERR_NOMEM ? rc : 0;
}

int muse_agent_follow_call(MuseAgent *a, int32_t id, bool before, MuseError *err)
{
    MuseAgentShared *sh = a->shared;
    if (!muse_chat_parser_in_call(a->parser) || sh->p.free_places) return 0;
    if (before) {   /* what was put in for the model, or a script, may leave the syntax: what follows is free */
        a->call_held = a->call_held && muse_call_follow(sh->calls, a->call_at, id);
        return 0;
    }
    int rc = sh->calls_tried ? 0 : open_calls(sh, muse_session_tokenizer(a->s), err);
    sh->calls_tried = rc == 0;
    if (rc == 0 && sh->calls) rc = muse_call_start(sh->calls, &a->call_at, err);
    a->call_held = rc == 0 && sh->calls;
    return rc;
}

const float *muse_agent_call_logits(const MuseAgent *a, const float *logits)
{
    const MuseAgentShared *sh = a->shared;
    if (!a->call_held || !muse_chat_parser_in_call(a->parser)) return NULL;
    memcpy(sh->masked, logits, sh->vocab * sizeof *logits);
    return muse_call_mask(sh->calls, a->call_at, sh->masked, sh->vocab) ? sh->masked : NULL;   /* a vocabulary without the byte that must come: free */
}
