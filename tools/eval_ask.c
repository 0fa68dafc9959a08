/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to answers: one agent a question, those of a batch stepping together; contemplating, the agents of one question.
 * A question that was looked at is asked again without looks. Called by eval.c. */
#include <stdlib.h>
#include <string.h>

#include "tools/eval.h"

static int no_memory(MuseError *err)
{
    *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for questions and answers" };
    return err->code;
}

void eval_answer_clear(EvalAnswer *a)
{
    free(a->given);
    free(a->thought);
    free(a->direct);
    for (size_t i = 0; i < a->n_candidates; i++) free(a->candidates[i].text);
    free(a->candidates);
    *a = (EvalAnswer){ .needless = -1 };
}

/* ---- parameters ---- */

typedef struct Params {
    MuseAgentParams   agent;
    MuseSampleParams  sample;
    MuseSessionParams session;
} Params;

static void set_params(Params *p, const Eval *e, const EvalQuestion *q, bool no_look)
{
    muse_agent_params_init(&p->agent);
    muse_sample_params_init(&p->sample);
    muse_session_params_init(&p->session);
    p->session.cache = e->cache;
    p->session.compute = e->o.compute;
    p->sample.temperature = e->o.temperature;
    p->sample.seed = ((uint64_t)e->cli->seed << 32) + (uint64_t)(q - e->sets.questions);   /* a question's own, whatever batch it is in */
    p->agent.sample = &p->sample;
    p->agent.session = &p->session;
    p->agent.thinking = e->o.mode == MUSE_MODE_INSTANT || e->o.mode == MUSE_MODE_AUTO ? MUSE_THINKING_OFF : MUSE_THINKING_ON;
    p->agent.doubt = e->o.mode != MUSE_MODE_AUTO ? 0 : e->o.doubt > 0 ? (double)e->o.doubt : MUSE_DOUBT;
    p->agent.thought_tokens = e->o.budget;
    p->agent.no_look = no_look;
    p->agent.cancel = cli_interrupted;
}

/* A question that can't be asked: left out if that is wanted. 1: left out. A control run's was asked, and counts no more */
static int refuse(Eval *e, bool control, MuseError *err)
{
    if (!e->o.skip_broken || err->code == MUSE_ERR_NOMEM || err->code == MUSE_ERR_CANCELLED) return err->code;
    eval_erase_progress(e);
    fprintf(stderr, "muse: left out%s: %s\n", control ? ", asking without looks" : "", err->text);
    e->left_out += !control;
    return 1;
}

/* ---- one agent a question ---- */

static int open_agent(const Eval *e, const EvalQuestion *q, bool no_look, MuseAgent **out, MuseError *err)
{
    Params p;
    size_t n = 0;
    MuseReasonPart *parts = calloc(eval_parts_max(q), sizeof *parts);
    if (!parts) return no_memory(err);
    set_params(&p, e, q, no_look);
    int rc = eval_parts_open(q, e->rt, parts, &n, err);
    if (rc == 0) {
        rc = muse_agent_open(out, e->model, parts, n, &p.agent, err);
        if (rc == MUSE_ERR_UNSUPPORTED && p.agent.thinking == MUSE_THINKING_ON) {   /* a format without thoughts, as muse_reason() does */
            p.agent.thinking = MUSE_THINKING_DEFAULT;
            rc = muse_agent_open(out, e->model, parts, n, &p.agent, err);
        }
        if (rc == 0) rc = muse_agent_prefill(*out, err);
        if (rc < 0 && rc != MUSE_ERR_CANCELLED) eval_say_where(q, err);
    }
    eval_parts_close(parts, n);
    free(parts);
    if (rc < 0) muse_agent_close(out);
    return rc;
}

/* false: no memory */
static bool copy(char **to, size_t *n_to, const char *text, size_t n)
{
    if (n == 0) return true;
    if (!(*to = malloc(n))) return false;
    memcpy(*to, text, n);
    *n_to = n;
    return true;
}

/* counts of one agent, added to those of others; whose prompts were counted is not counted again */
static void add_agent(EvalAnswer *a, const MuseAgent *agent, const MuseAgentInfo *info)
{
    MuseReasonStep step;
    if (a->positions == 0) a->positions = a->prompt_tokens = info->prompt_tokens;
    a->positions += muse_sequence_length(muse_session_sequence(muse_agent_session(agent))) - info->prompt_tokens;
    a->thought_tokens += info->thought_tokens;
    a->answer_tokens += info->answer_tokens;
    a->looks += info->looks;
    a->bad += info->bad;
    for (size_t i = 0; muse_agent_step(agent, i, &step) == 0; i++) a->cut = a->cut || step.kind == MUSE_REASON_CLOSED;
}

static int read_agent(const EvalQuestion *q, const MuseAgent *agent, EvalAnswer *a, MuseError *err)
{
    MuseAgentInfo info;
    muse_agent_info(agent, &info);
    if (info.finish == MUSE_AGENT_RUNNING) return 0;   /* interrupted, or an error came before its end */
    a->finish = info.finish;
    a->agreement = 1;
    a->confidence = info.confidence;
    add_agent(a, agent, &info);
    a->right = info.n_answer && eval_is_right(q, info.answer, info.n_answer);
    a->doubted = info.doubted;
    a->direct_probability = info.direct_probability;
    const bool kept = copy(&a->given, &a->n_given, info.answer, info.n_answer) && copy(&a->thought, &a->n_thought, info.thought, info.n_thought) && copy(&a->direct, &a->n_direct, info.direct, info.n_direct);
    a->asked = kept;
    return kept ? 0 : no_memory(err);
}

static int ask_alone(Eval *e, const EvalQuestion *const *q, size_t n, bool control, EvalAnswer *const *out, MuseError *err);

/* A batch failed, and one may be to blame: those that have not ended once more, one by one, so that it is named and the others are asked */
static int ask_each(Eval *e, const EvalQuestion *const *q, size_t n, bool control, EvalAnswer *const *out, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        if (!out[i]->asked) rc = ask_alone(e, &q[i], 1, control, &out[i], err);
    return rc;
}

static int ask_alone(Eval *e, const EvalQuestion *const *q, size_t n, bool control, EvalAnswer *const *out, MuseError *err)
{
    MuseAgent *agents[EVAL_BATCH_MAX] = { NULL };
    const EvalQuestion *of[EVAL_BATCH_MAX];
    EvalAnswer *to[EVAL_BATCH_MAX];
    size_t opened = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        of[opened] = q[i];
        to[opened] = out[i];
        rc = open_agent(e, q[i], control || e->o.no_look, &agents[opened], err);
        if (rc == 0) opened++;
        else if ((rc = refuse(e, control, err)) > 0) rc = 0;
    }
    const bool ran = rc == 0 && opened;
    if (ran) rc = muse_agent_run(agents, opened, err);
    for (size_t i = 0; i < opened; i++) {
        MuseError why;
        const int read = read_agent(of[i], agents[i], to[i], &why);
        if (read < 0) *err = why, rc = read;
        muse_agent_close(&agents[i]);
    }
    if (rc == 0 || !ran || rc == MUSE_ERR_CANCELLED || rc == MUSE_ERR_NOMEM) return rc;
    if (opened > 1) return ask_each(e, of, opened, control, to, err);
    eval_say_where(of[0], err);
    rc = refuse(e, control, err);
    return rc > 0 ? 0 : rc;
}

/* ---- several agents for one question ---- */

static bool read_candidates(const EvalQuestion *q, const MuseReasonResult *r, EvalAnswer *a)
{
    MuseAgentInfo info;
    if (r->n_candidates && !(a->candidates = calloc(r->n_candidates, sizeof *a->candidates))) return false;
    for (; a->n_candidates < r->n_candidates; a->n_candidates++) {
        EvalCandidate *c = &a->candidates[a->n_candidates];
        muse_agent_info(r->agents[r->candidates[a->n_candidates].vote], &info);
        c->votes = r->candidates[a->n_candidates].count;
        c->right = eval_is_right(q, info.answer, info.n_answer);
        if (!copy(&c->text, &c->n, info.answer, info.n_answer)) return false;
    }
    return true;
}

static int read_result(const EvalQuestion *q, const MuseReasonResult *r, EvalAnswer *a, MuseError *err)
{
    MuseAgentInfo info;
    a->agreement = r->agreement;
    a->confidence = r->confidence;
    a->positions = a->prompt_tokens = r->prompt_tokens;
    for (size_t i = 0; i < r->n_agents; i++) {
        muse_agent_info(r->agents[i], &info);
        if (i == 0) a->finish = info.finish;
        add_agent(a, r->agents[i], &info);
    }
    a->right = r->answer && eval_is_right(q, r->answer, r->n_answer);
    a->asked = (!r->answer || copy(&a->given, &a->n_given, r->answer, r->n_answer)) && read_candidates(q, r, a);
    return a->asked ? 0 : no_memory(err);
}

static int ask_many(Eval *e, const EvalQuestion *q, EvalAnswer *out, MuseError *err)
{
    Params p;
    MuseReasonParams rp;
    MuseReasonResult result = { 0 };
    size_t n = 0;
    MuseReasonPart *parts = calloc(eval_parts_max(q), sizeof *parts);
    if (!parts) return no_memory(err);
    set_params(&p, e, q, e->o.no_look);
    muse_reason_params_init(&rp);
    rp.mode = MUSE_MODE_CONTEMPLATING;
    rp.agent = &p.agent;
    rp.agents = e->o.agents;
    rp.views = e->o.views;
    rp.no_stop = e->o.all_agents;
    int rc = eval_parts_open(q, e->rt, parts, &n, err);
    if (rc == 0 && (rc = muse_reason(e->model, parts, n, &rp, &result, err)) < 0 && rc != MUSE_ERR_CANCELLED) eval_say_where(q, err);
    if (rc == 0) rc = read_result(q, &result, out, err);
    else if ((rc = refuse(e, false, err)) > 0) rc = 0;
    muse_reason_result_clear(&result);
    eval_parts_close(parts, n);
    free(parts);
    return rc;
}

/* ---- both, and the control without looks ---- */

static int ask_without_looks(Eval *e, const EvalQuestion *q, size_t n, EvalAnswer *out, MuseError *err)
{
    const EvalQuestion *again[EVAL_BATCH_MAX];
    EvalAnswer control[EVAL_BATCH_MAX], *at[EVAL_BATCH_MAX], *first[EVAL_BATCH_MAX];
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (!out[i].looks) continue;
        again[m] = &q[i];
        first[m] = &out[i];
        control[m] = (EvalAnswer){ .needless = -1 };
        at[m] = &control[m];
        m++;
    }
    const int rc = m ? ask_alone(e, again, m, true, at, err) : 0;
    for (size_t i = 0; i < m; i++) {
        if (control[i].asked) first[i]->needless = control[i].right;
        eval_answer_clear(&control[i]);
    }
    return rc;
}

int eval_ask(Eval *e, const EvalQuestion *q, size_t n, EvalAnswer *out, MuseError *err)
{
    const EvalQuestion *all[EVAL_BATCH_MAX];
    EvalAnswer *at[EVAL_BATCH_MAX];
    const double began = cli_now();
    int rc = 0;
    for (size_t i = 0; i < n; i++) all[i] = &q[i], at[i] = &out[i], out[i] = (EvalAnswer){ .needless = -1 };
    if (e->o.mode == MUSE_MODE_CONTEMPLATING) {
        for (size_t i = 0; i < n && rc == 0; i++) rc = ask_many(e, &q[i], &out[i], err);
    } else {
        rc = ask_alone(e, all, n, false, at, err);
    }
    const double took = cli_now() - began;
    for (size_t i = 0; i < n; i++) out[i].seconds = took / (double)n;
    e->seconds += took;
    return rc == 0 ? ask_without_looks(e, q, n, out, err) : rc;
}
