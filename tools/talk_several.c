/* SPDX-License-Identifier: Apache-2.0 */
/* Mode contemplating of muse chat: a turn that several agents answer, and which of them the conversation goes on from. What is said of the
 * vote is ask_report.c's. Called by talk.c. */
#include <stdlib.h>

#include "tools/talk.h"

enum { AGENTS = 8 };   /* MuseReasonParams.agents unless told */

/* positions up to the newest question of the conversation: more of them when a message was taken, and not when one was refused */
static uint64_t asked(const Talk *t)
{
    MuseAgentInfo info;
    return t->agent && muse_agent_info(t->agent, &info) == 0 ? info.prompt_tokens : 0;
}

/* The parts that were asked for with /look: each agent but the first, which is free, begins with one of them. How many agents do. All then see
 * the pictures as they are: over one prompt those after the first differ by what they draw. */
static size_t focus_of(Talk *t, MuseFocus *focus)
{
    const size_t others = (t->o.agents ? t->o.agents : AGENTS) - 1, shown = t->n_looks < others ? t->n_looks : others;
    if (shown < t->n_looks) {
        fprintf(stderr, "muse: /look: %zu of %zu not shown: of several agents the first looks where it wants to, and each other one at one of them\n", t->n_looks - shown, t->n_looks);
        t->code = EXIT_USAGE;
    }
    for (size_t i = 0; shown && i < others; i++) focus[i] = t->looks[i % shown];
    return shown ? others : 0;
}

int talk_contemplate(Talk *t, const MuseReasonPart *parts, size_t n, MuseTrace *trace, MuseReasonResult *out, bool *taken, MuseError *err)
{
    MuseReasonParams p;
    MuseFocus focus[MUSE_AGENTS_MAX];
    TalkParams agent;
    const uint64_t before = asked(t);
    talk_params(t, &agent);
    agent.agent.trace = trace;
    muse_reason_params_init(&p);
    p.agent = &agent.agent;
    p.mode = MUSE_MODE_CONTEMPLATING;
    p.agents = t->o.agents;
    p.views = t->o.views;
    p.focus = focus;
    p.n_focus = focus_of(t, focus);
    if (p.n_focus) p.views = 1;
    p.seed = t->cli->seed;
    p.temperature = t->o.temperature;
    if (t->history == HISTORY_KEEP) {
        p.from = t->agent;
        p.views = 1;   /* of the first message too: it goes on from one of them, and pictures are to be as they were given */
    }
    const int rc = muse_reason(t->model, parts, n, &p, out, err);
    *taken = out->n_agents > 0 || asked(t) != before;
    return rc;
}

/* Without an answer: from the question, or, where nothing came before it, from the first that began */
void talk_adopt(Talk *t, MuseReasonResult *r)
{
    const bool answered = r->by < r->n_agents, stay = !answered && t->history == HISTORY_KEEP && t->agent;
    MuseAgent *next = stay ? NULL : muse_reason_take(r, answered ? r->by : 0);
    if (next) {
        muse_agent_close(&t->agent);
        t->agent = next;
        t->chosen = true;
    }
    muse_reason_result_clear(r);
}
