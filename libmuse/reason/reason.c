/* SPDX-License-Identifier: Apache-2.0 */
/* The modes: one agent, or several with a vote, over one computed prompt or one for each view; and the coordinator. Drives agents, touches no logits.
 *
 *   prompts --prefill--> fork 0..N-1 --one batch, early stop--> answers --score each under the others--> vote
 *                                                                    \--check the leading ones----------/   \--(one more agent merges) */
#include <math.h>
#include <stdio.h>

#include "base/params.h"
#include "libmuse/reason/record.h"
#include "libmuse/reason/view.h"

enum { AGENTS = 8, AGREE = 3 };   /* AGREE: docs/reason.md, "What it gains" */

void muse_reason_params_init(MuseReasonParams *params) { MUSE_PARAMS_INIT(params); }

void muse_reason_result_clear(MuseReasonResult *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->n_agents; i++) muse_agent_close(&r->agents[i]);
    muse_free(r->agents);
    muse_free(r->candidates);
    muse_free(r->answer);
    memset(r, 0, sizeof *r);
}

MuseAgent *muse_reason_take(MuseReasonResult *r, size_t i)
{
    if (!r || i >= r->n_agents || !r->agents[i]) return NULL;
    MuseAgent *a = r->agents[i];
    r->agents[i] = NULL;
    a->number = 0;
    return a;
}

/* One call of muse_reason() or muse_coordinate() */
typedef struct Reason {
    MuseModel        *model;
    const MuseAllocator *alloc;
    const MuseReasonPart *parts;
    size_t            n_parts;
    MuseReasonParams  p, asked;   /* asked: as given; p: 0 resolved */
    float             asked_temperature;
    MuseAgentParams   agent;      /* of each */
    MuseSampleParams  sample;
    MuseReasonResult *out;
    size_t            cap_agents;
    MuseRun           run;
    size_t           *ended;      /* [n_ended] indices into agents, in the order in which they ended */
    size_t            n_ended;
    MuseVote         *votes;      /* [n_votes] of those that answered, in that order */
    size_t           *voters;     /* index into agents */
    double           *cross;      /* [n_votes, n_votes] */
    size_t            n_votes;
    MuseCandidate    *groups;     /* [n_groups] equal answers of the forks, which are the first votes: tally() */
    size_t            n_groups;
    double            start;      /* muse_reason_now() */
    bool              several;    /* agents, and an answer of all */
    bool              mixed;      /* no temperature and no spread were given: as many as there are views are greedy */
    const MuseAgent  *winner;     /* whose answer it is; NULL */
    MuseAgent        *base[MUSE_VIEWS];   /* computed prompts of views that an agent still to come has; NULL */
} Reason;

/* ---- seeds and temperatures ---- */

/* Steele, Lea, Flood 2014: the finaliser of SplitMix64. Agent 0 has the seed itself, so that it is what one agent alone would be. */
static uint64_t seed_of(uint64_t seed, uint32_t i)
{
    if (i == 0) return seed;
    uint64_t z = seed + i * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* of i alone, not of how many there are: 0, +1, -1, +1/2, -1/2, +1/4 ... */
static float temperature_of(const Reason *r, uint32_t i)
{
    if (r->mixed && i < r->p.views) return 0;   /* what one agent alone would say, in each view */
    const uint32_t halvings = i ? (i - 1) / 2 : 0;
    const float off = i == 0 ? 0 : ldexpf(r->p.spread, -(int)halvings);
    return r->sample.temperature + (i % 2 ? off : -off);
}

/* ---- life ---- */

/* what callers and, through bindings, people choose: refused in words */
static int check_params(const MuseReasonParams *p, MuseError *err)
{
    if (p->mode < MUSE_MODE_INSTANT || p->mode > MUSE_MODE_AUTO) return muse_fail(err, MUSE_ERR_ARG, "mode %d is no MUSE_MODE_ value", p->mode);
    if (p->agents > MUSE_AGENTS_MAX) return muse_fail(err, MUSE_ERR_ARG, "%u agents: at most %d", p->agents, MUSE_AGENTS_MAX);
    if (p->views > MUSE_VIEWS) return muse_fail(err, MUSE_ERR_ARG, "%u views: at most %d", p->views, MUSE_VIEWS);
    if (p->synthesis < 0 || p->synthesis > MUSE_SYNTHESIS_GENERATE) return muse_fail(err, MUSE_ERR_ARG, "synthesis %d is no MUSE_SYNTHESIS_ value", p->synthesis);
    if (!muse_agent_may_doubt(p->doubt, MUSE_THINKING_OFF)) return muse_fail(err, MUSE_ERR_ARG, "doubt is %g, not a probability", p->doubt);
    MUSE_REQUIRE(err, (p->focus || !p->n_focus) && (p->calibration || !p->n_calibration));
    return 0;
}

static int import_params(Reason *r, const MuseReasonParams *params, MuseError *err)
{
    int rc = MUSE_PARAMS_IMPORT(&r->p, params, "MuseReasonParams", err);
    if (rc == 0) rc = MUSE_PARAMS_IMPORT(&r->agent, r->p.agent, "MuseAgentParams", err);
    if (rc == 0) rc = MUSE_PARAMS_IMPORT(&r->sample, r->agent.sample, "MuseSampleParams", err);
    if (rc == 0) rc = check_params(&r->p, err);
    if (rc < 0) return rc;
    r->asked = r->p;
    MuseReasonParams *p = &r->p;
    const bool many = p->mode == MUSE_MODE_CONTEMPLATING;
    MUSE_REQUIRE(err, !p->from || p->from->shared->model == r->model);
    MUSE_REQUIRE(err, !p->from || (p->views <= 1 && p->synthesis == MUSE_SYNTHESIS_VOTE));   /* other views, and a merger, would be another conversation */
    if (!p->agents) p->agents = AGENTS;
    if (!many) p->agents = 1;
    if (p->temperature != 0) r->sample.temperature = p->temperature;
    r->asked_temperature = r->sample.temperature;
    const bool none = many && r->sample.temperature == 0;
    r->mixed = none && p->spread == 0;
    if (none) r->sample.temperature = 1;
    if (!(p->spread >= 0 && (p->spread == 0 || p->spread < r->sample.temperature)))
        return muse_fail(err, MUSE_ERR_ARG, "spread is %g, not from 0 to below the temperature (%g)", (double)p->spread, (double)r->sample.temperature);
    if (p->seed) r->sample.seed = p->seed;
    r->sample.struct_size = sizeof r->sample;
    r->agent.struct_size = sizeof r->agent;
    r->agent.sample = &r->sample;
    const bool at_once = p->mode == MUSE_MODE_INSTANT || p->mode == MUSE_MODE_AUTO;
    r->agent.doubt = p->mode != MUSE_MODE_AUTO ? 0 : p->doubt > 0 ? p->doubt : MUSE_DOUBT;
    r->agent.thinking = at_once ? MUSE_THINKING_OFF : MUSE_THINKING_ON;
    return 0;
}

/* room for one more agent in the result */
static int grow(Reason *r, MuseError *err)
{
    return muse_grow(r->alloc, (void **)&r->out->agents, r->out->n_agents, &r->cap_agents, sizeof *r->out->agents) < 0 ? MUSE_NOMEM(err, sizeof(MuseAgent *)) : 0;
}

static int open_agent(Reason *r, const MuseReasonPart *parts, size_t n, MuseAgent **out, MuseError *err)
{
    int rc = muse_agent_open(out, r->model, parts, n, &r->agent, err);
    if (rc == MUSE_ERR_UNSUPPORTED && r->agent.thinking == MUSE_THINKING_ON) {
        r->agent.thinking = MUSE_THINKING_DEFAULT;   /* a format without thoughts: it thinks aloud, or not at all */
        rc = muse_agent_open(out, r->model, parts, n, &r->agent, err);
    }
    if (rc < 0) return rc;
    (*out)->started = r->start;
    (*out)->trace_first = r->several;
    return 0;
}

/* The question as the next turn of a conversation: a fork of the agent that led it, which stays there */
static int ask_from(Reason *r, MuseAgent **out, MuseError *err)
{
    MuseAgent *from = r->p.from;
    MuseTurnParams p;
    muse_turn_params_init(&p);
    p.thinking = r->agent.thinking == MUSE_THINKING_OFF ? MUSE_THINKING_OFF : MUSE_THINKING_ON;
    p.doubt = r->agent.doubt;
    p.thought_tokens = r->agent.thought_tokens;
    p.trace = r->agent.trace;
    int rc = muse_agent_ask(from, r->parts, r->n_parts, &p, err);
    if (rc == MUSE_ERR_UNSUPPORTED && p.thinking == MUSE_THINKING_ON) {   /* as open_agent() */
        p.thinking = MUSE_THINKING_DEFAULT;
        rc = muse_agent_ask(from, r->parts, r->n_parts, &p, err);
    }
    if (rc < 0) return rc;
    from->trace_first = r->several;
    from->started = r->start;
    rc = muse_agent_fork(out, from, 0, r->sample.seed, r->sample.temperature, err);
    muse_agent_stop(from);
    muse_record_close(from);   /* its forks tell of the turn, and the trace may be closed before it is asked again */
    from->trace = NULL;
    return rc;
}

static void stage(Reason *r, int which)
{
    r->run.stage = which;
    const MuseReasonEvent e = { .kind = MUSE_EVENT_STAGE, .stage = which, .tokens = r->run.tokens, .done = r->run.done, .agents = r->run.agents };
    if (r->agent.event && r->agent.event(r->agent.event_user, &e)) r->run.stop = true;
}

static int check_cancel(const Reason *r, MuseError *err)
{
    if (!r->run.stop && !(r->agent.cancel && r->agent.cancel(r->agent.cancel_user))) return 0;
    return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled after %llu tokens", (unsigned long long)r->run.tokens);
}

static int run_agents(Reason *r, size_t first, size_t n, MuseError *err)
{
    r->run.done = 0;
    return n ? muse_agents_run(r->out->agents + first, n, &r->run, err) : 0;
}

/* ---- votes ---- */

static bool answered(const MuseAgent *a, MuseAgentInfo *info)
{
    muse_agent_info(a, info);
    return (info->finish == MUSE_AGENT_ANSWERED || info->finish == MUSE_AGENT_LENGTH || info->finish == MUSE_AGENT_FULL) && info->n_answer > 0 && a->answer_id != SIZE_MAX;
}

/* for the forks and a check of each candidate */
static int open_votes(Reason *r, MuseError *err)
{
    const size_t most = 2 * (size_t)r->p.agents;
    r->ended = muse_alloc_array(r->alloc, most, sizeof *r->ended);
    r->votes = muse_alloc_array(r->alloc, most, sizeof *r->votes);
    r->voters = muse_alloc_array(r->alloc, most, sizeof *r->voters);
    r->groups = muse_alloc_array(r->alloc, most, sizeof *r->groups);
    r->out->candidates = muse_alloc_array(r->alloc, most, sizeof *r->out->candidates);
    return r->ended && r->votes && r->voters && r->groups && r->out->candidates ? 0 : MUSE_NOMEM(err, most * (sizeof *r->votes + sizeof *r->out->candidates));
}

static void collect_votes(Reason *r)
{
    MuseAgentInfo info;
    r->n_votes = 0;
    for (size_t i = 0; i < r->n_ended; i++) {
        if (!answered(r->out->agents[r->ended[i]], &info)) continue;
        r->voters[r->n_votes] = r->ended[i];
        r->votes[r->n_votes++] = (MuseVote){ info.answer, info.n_answer, info.confidence, NULL };
    }
}

/* counts of the agents that have answered: the first two candidates */
static void tally(Reason *r, size_t *lead, size_t *second)
{
    collect_votes(r);
    r->n_groups = muse_reason_group(r->votes, r->n_votes, r->groups);
    muse_reason_lead(r->groups, r->n_groups, lead, second);
}

/* an agent ended: stop the others when their answers can't change the count, or enough agree. Votes come in the order of ending, so
 * one that runs still adds at most one to a candidate and moves no answer to another */
static void on_ended(void *user, MuseAgent *agent)
{
    Reason *r = user;
    const size_t n = r->out->n_forks;
    size_t lead, second, running = r->p.agents - n;   /* those that have not begun */
    r->ended[r->n_ended++] = agent->number;
    for (size_t i = 0; i < n; i++) running += r->out->agents[i]->finish == MUSE_AGENT_RUNNING;
    if (running == 0 || r->p.no_stop) return;
    tally(r, &lead, &second);
    const bool agree = r->p.agree > 1 && r->n_votes >= r->p.agree && lead == r->n_votes;
    if (!agree && lead <= second + running) return;
    for (size_t i = 0; i < n; i++) muse_agent_stop(r->out->agents[i]);
    r->out->stopped_early = agree ? 1 : 2;
}

/* The answer of each candidate under every agent that answered. An agent that has no room left for one of them scores none. Of a vote's
 * row only the candidates' entries are read; the others stay 0 */
static int score_votes(Reason *r, const MuseCandidate *c, size_t n_c, MuseError *err)
{
    size_t cells;
    const size_t n = r->n_votes;
    const MuseAgent **answers = muse_alloc_array(r->alloc, n_c, sizeof *answers);
    double *scores = muse_alloc_array(r->alloc, n_c, sizeof *scores);
    muse_free(r->cross);
    r->cross = muse_mul_size(n, n, &cells) ? muse_zalloc_array(r->alloc, cells, sizeof *r->cross) : NULL;
    int rc = r->cross && answers && scores ? 0 : MUSE_NOMEM(err, n * n * sizeof *r->cross);
    for (size_t k = 0; k < n_c && rc == 0; k++) answers[k] = r->out->agents[r->voters[c[k].vote]];
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = check_cancel(r, err);
        if (rc == 0) rc = muse_agent_score_all(r->out->agents[r->voters[i]], answers, n_c, scores, err);
        for (size_t k = 0; k < n_c && rc == 0; k++) r->cross[i * n + c[k].vote] = scores[k];
        r->votes[i].cross = rc == 0 ? r->cross + i * n : NULL;
        if (rc == MUSE_ERR_LIMIT) rc = 0;
    }
    muse_free(answers);
    muse_free(scores);
    return rc;
}

static int vote(Reason *r, MuseError *err)
{
    MuseReasonResult *out = r->out;
    collect_votes(r);
    if (r->n_votes == 0) return 0;
    size_t plain = r->mixed ? 0 : r->n_votes;
    while (plain < r->n_votes && r->voters[plain] != 0) plain++;
    int rc = muse_reason_vote(r->votes, r->n_votes, plain, out->candidates, &out->n_candidates, err);
    if (rc == 0 && !r->p.no_cross && out->n_candidates > 1) {
        stage(r, MUSE_STAGE_SCORE);
        rc = score_votes(r, out->candidates, out->n_candidates, err);
        if (rc == 0) rc = muse_reason_vote(r->votes, r->n_votes, plain, out->candidates, &out->n_candidates, err);
    }
    if (rc < 0) out->n_candidates = 0;
    for (size_t k = 0; k < out->n_candidates; k++) out->candidates[k].vote = r->voters[out->candidates[k].vote];
    return rc;
}

/* a check of the best agent of each of the leading candidates; then everything is counted anew, checks included */
static int verify(Reason *r, MuseError *err)
{
    MuseReasonResult *out = r->out;
    const size_t first = out->n_agents;
    int rc = 0;
    for (size_t k = 0; k < out->n_candidates && k < r->p.verify && rc == 0; k++) {
        MuseError why;
        rc = grow(r, err);
        if (rc < 0) break;
        rc = muse_agent_verify(&out->agents[out->n_agents], out->agents[out->candidates[k].vote], (uint32_t)out->n_agents, 0, &why);
        if (rc == 0) out->n_agents++;
        else if (rc == MUSE_ERR_NOT_FOUND || rc == MUSE_ERR_STATE || rc == MUSE_ERR_LIMIT || rc == MUSE_ERR_UNSUPPORTED) rc = 0;   /* nothing to look at, or no look left */
        else muse_fail_copy(err, &why);
    }
    if (rc < 0 || out->n_agents == first) return rc;
    stage(r, MUSE_STAGE_VERIFY);
    rc = run_agents(r, first, out->n_agents - first, err);
    for (size_t i = first; i < out->n_agents; i++) r->ended[r->n_ended++] = i;
    return rc == 0 ? vote(r, err) : rc;
}

/* ---- merging by one more agent ---- */

/* the parts and one text more */
static int run_merger(Reason *r, const MuseBuf *text, MuseError *err)
{
    MuseReasonResult *out = r->out;
    MuseReasonPart *parts = muse_alloc_array(r->alloc, r->n_parts + 1, sizeof *parts);
    int rc = parts ? grow(r, err) : MUSE_NOMEM(err, (r->n_parts + 1) * sizeof *parts);
    if (rc == 0) {
        if (r->n_parts) memcpy(parts, r->parts, r->n_parts * sizeof *parts);
        parts[r->n_parts] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = (const char *)text->data, .n = text->len };
        rc = open_agent(r, parts, r->n_parts + 1, &out->agents[out->n_agents], err);
    }
    muse_free(parts);
    if (rc < 0) return rc;
    out->agents[out->n_agents]->number = (uint32_t)out->n_agents;
    out->n_agents++;
    stage(r, MUSE_STAGE_SYNTHESIS);
    return run_agents(r, out->n_agents - 1, 1, err);
}

static int append(MuseBuf *b, const char *text, size_t n) { return muse_buf_append(b, text, n); }

/* Conclusions only, without thoughts, said to be possibly wrong: PaCoRe (arXiv 2601.05593). */
static int synthesise(Reason *r, MuseError *err)
{
    MuseBuf b = { .alloc = r->alloc };
    MuseAgentInfo info;
    char line[64];
    static const char head[] = "\nAnswers of others, which may be wrong:";
    int rc = append(&b, head, sizeof head - 1);
    for (size_t k = 0; k < r->out->n_candidates && rc == 0; k++) {
        const MuseCandidate *c = &r->out->candidates[k];
        muse_agent_info(r->out->agents[c->vote], &info);
        const int n = snprintf(line, sizeof line, " (%u of %zu)", c->count, r->n_votes);
        rc = append(&b, k ? "; " : " ", k ? 2 : 1);
        if (rc == 0) rc = append(&b, info.answer, info.n_answer);
        if (rc == 0) rc = append(&b, line, (size_t)n);
    }
    rc = rc == 0 ? run_merger(r, &b, err) : MUSE_NOMEM(err, b.len);
    muse_buf_clear(&b);
    return rc;
}

/* ---- the result ---- */

static int set_answer(Reason *r, const MuseAgent *by, MuseError *err)
{
    MuseAgentInfo info;
    if (!answered(by, &info)) return 0;
    muse_free(r->out->answer);
    r->out->answer = muse_copy_text(r->alloc, info.answer, info.n_answer);
    r->out->n_answer = info.n_answer;
    r->winner = by;
    for (r->out->by = 0; r->out->agents[r->out->by] != by;) r->out->by++;
    return r->out->answer ? 0 : MUSE_NOMEM(err, info.n_answer);
}

static void sum_tokens(Reason *r)
{
    MuseReasonResult *out = r->out;
    MuseAgentInfo info;
    for (size_t i = 0; i < out->n_agents; i++) {
        muse_agent_info(out->agents[i], &info);
        if (i == 0 && !out->prompt_tokens) out->prompt_tokens = info.prompt_tokens;   /* of views they are counted as they are computed */
        out->thought_tokens += info.thought_tokens;
        out->answer_tokens += info.answer_tokens;
    }
}

/* ---- stages together ---- */

/* The computed prompt of a view; the first one settles how many there are */
static int open_view(Reason *r, uint32_t number, MuseAgent **out, MuseError *err)
{
    MuseReasonPart *parts = NULL;
    MuseTrace *trace = r->agent.trace;
    int rc = number ? muse_reason_view_open(&parts, r->alloc, r->parts, r->n_parts, number, err) : 0;
    if (number) r->agent.trace = NULL;   /* it has the pictures as they were given */
    if (rc == 0) rc = r->p.from ? ask_from(r, out, err) : open_agent(r, number ? parts : r->parts, r->n_parts, out, err);
    r->agent.trace = trace;
    muse_reason_view_close(parts, r->n_parts);
    if (rc < 0) return rc;
    (*out)->trace = trace;               /* its forks have it */
    (*out)->shared->view = number > 0;
    if (number == 0) {
        stage(r, MUSE_STAGE_PREFILL);
        if (!r->p.views) r->p.views = (*out)->shared->chains ? MUSE_VIEWS : 1;
        if (!r->several || r->p.from || !muse_reason_has_views(r->parts, r->n_parts)) r->p.views = 1;
        if (!r->p.agree && r->mixed && r->p.views >= AGREE && !r->p.n_focus) r->p.agree = AGREE;   /* the first see in as many ways */
    }
    rc = check_cancel(r, err);
    if (rc == 0) rc = muse_agent_prefill(*out, err);
    if (rc == 0) r->out->prompt_tokens += (*out)->prompt;
    return rc;
}

/* What is looked at first must not be cut off: with a focus the pictures are as they were given. */
static bool has_focus(const Reason *r, uint32_t i) { return i > 0 && i <= r->p.n_focus; }
static uint32_t view_of(const Reason *r, uint32_t i) { return has_focus(r, i) ? 0 : i % r->p.views; }

/* the agents before number `to` that are not there yet; then prompts that no other has are closed */
static int fork_agents(Reason *r, uint32_t to, MuseError *err)
{
    MuseReasonResult *out = r->out;
    bool wanted[MUSE_VIEWS] = { false };
    int rc = 0;
    for (uint32_t i = (uint32_t)out->n_forks; i < to && rc == 0; i++) {
        MuseAgent **base = &r->base[view_of(r, i)];
        if (!*base) rc = open_view(r, view_of(r, i), base, err);
        if (rc == 0) rc = grow(r, err);
        if (rc == 0) rc = muse_agent_fork(&out->agents[out->n_agents], *base, i, seed_of(r->sample.seed, i), temperature_of(r, i), err);
        if (rc < 0) break;
        out->n_forks = ++out->n_agents;
        if (has_focus(r, i)) rc = muse_look(out->agents[i], r->p.focus[i - 1].image, r->p.focus[i - 1].rect, err);
    }
    for (uint32_t i = to; i < r->p.agents; i++) wanted[view_of(r, i)] = true;
    for (uint32_t v = 0; v < MUSE_VIEWS; v++)
        if (!wanted[v]) muse_agent_close(&r->base[v]);
    return rc;
}

/* Agents to their end. A prompt for each costs more than what it writes, so of several views the first few that could settle it by
 * agreeing begin alone; over one prompt all step together, which costs little more than one */
static int think(Reason *r, MuseError *err)
{
    int rc = open_view(r, 0, &r->base[0], err);
    const bool few = r->p.views > 1 && r->p.n_focus + 1 < r->p.agents && r->p.agree > 1 && r->p.agree < r->p.agents && !r->p.no_stop;
    for (uint32_t to = few ? r->p.agree : r->p.agents; rc == 0 && r->out->n_forks < to && !r->out->stopped_early; to = r->p.agents) {
        if (r->out->n_forks) stage(r, MUSE_STAGE_PREFILL);
        rc = fork_agents(r, to, err);
        if (rc < 0) break;
        stage(r, MUSE_STAGE_THINK);
        rc = run_agents(r, 0, to, err);
    }
    if (rc == 0) r->out->n_unbegun = r->p.agents - r->out->n_forks;
    return rc;
}

static uint32_t views_asked(const Reason *r, uint32_t views) { return views ? views : r->out->agents[0]->shared->chains ? MUSE_VIEWS : 1; }

/* The table that was measured with such agents: of three, two that agree are not what six of eight are. The built-in one is of eight */
static bool is_measured(const Reason *r)
{
    const MuseReasonParams *p = &r->asked;
    const MuseCalibrationFile *c = &r->model->calibration;
    if (p->calibration) return true;   /* the caller's own affair */
    if (p->n_focus || p->from || p->verify || p->synthesis) return false;
    if (!c->rows) return r->p.agents == AGENTS;
    return (!c->agents || c->agents == r->p.agents) && views_asked(r, c->views) == views_asked(r, p->views) && (float)c->temperature == r->asked_temperature &&
           p->spread == 0 && p->agree == 0 && !p->no_stop;
}

/* by the caller's table, the model's own, or the built-in one; else the agreement as it is */
static void set_confidence(Reason *r)
{
    MuseReasonResult *out = r->out;
    const MuseCalibrationFile *c = &r->model->calibration;
    out->calibrated = is_measured(r);
    if (!out->calibrated) out->confidence = out->agreement;
    else if (r->p.calibration) out->confidence = muse_calibrate(r->p.calibration, r->p.n_calibration, out->agreement);
    else out->confidence = muse_calibrate(c->rows, c->n, out->agreement);
}

/* Where nothing was measured: as many of the forks as gave the answer that it came to. Scores, a check or a merger may have made it another than the largest candidate's */
static void share_confidence(Reason *r)
{
    MuseReasonResult *out = r->out;
    size_t n = 0, k = 0;
    if (!out->answer || out->calibrated) return;
    for (size_t i = 0; i < r->n_groups; i++) n += r->groups[i].count;
    while (k < r->n_groups && !muse_reason_agree(r->votes[r->groups[k].vote].answer, r->votes[r->groups[k].vote].n, out->answer, out->n_answer)) k++;
    out->confidence = k < r->n_groups ? (double)r->groups[k].count / (double)n : 0;
}

static int contemplate(Reason *r, MuseError *err)
{
    MuseReasonResult *out = r->out;
    size_t lead, second;
    int rc = open_votes(r, err);
    if (rc < 0) return rc;
    r->run.ended = on_ended;
    r->run.user = r;
    rc = think(r, err);
    r->run.ended = NULL;
    tally(r, &lead, &second);
    out->agreement = r->n_votes ? (double)lead / (double)r->n_votes : 0;
    if (r->n_votes) set_confidence(r);
    if (rc == 0) rc = vote(r, err);
    if (rc == 0 && r->p.verify) rc = verify(r, err);
    if (out->n_candidates && rc == 0) rc = set_answer(r, out->agents[out->candidates[0].vote], err);
    if (rc == 0 && r->p.synthesis == MUSE_SYNTHESIS_GENERATE && out->n_candidates > 1) {
        rc = synthesise(r, err);
        if (rc == 0) out->prompt_tokens += out->agents[out->n_agents - 1]->prompt;
        if (rc == 0) rc = set_answer(r, out->agents[out->n_agents - 1], err);
    }
    share_confidence(r);
    return rc;
}

static int alone(Reason *r, MuseError *err)
{
    MuseAgentInfo info;
    const int rc = think(r, err);
    if (rc < 0) return rc;
    muse_agent_info(r->out->agents[0], &info);
    r->out->agreement = 1;
    r->out->confidence = info.confidence;
    return set_answer(r, r->out->agents[0], err);
}

/* where the run was cancelled and no agent's end says so: there is none yet, or all have ended */
static int note_stop(const Reason *r, MuseError *err)
{
    MuseTraceStep s;
    for (size_t i = 0; i < r->out->n_agents; i++)
        if (!r->out->agents[i]->finish) return 0;
    muse_trace_step_init(&s);
    s.kind = MUSE_STEP_END;
    s.text = "ended: stopped";
    s.n_text = strlen(s.text);
    s.start = s.end = r->out->seconds;
    return muse_trace_add(r->agent.trace, &s, NULL, err);
}

/* after an error what there is goes into the trace, and the error stays the first one */
static int end_trace(Reason *r, int rc, MuseError *err)
{
    MuseError later;
    int traced = 0;
    for (size_t i = 0; i < r->out->n_agents && traced == 0; i++) traced = muse_record_end(r->out->agents[i], rc < 0, &later);
    if (traced == 0 && rc == MUSE_ERR_CANCELLED) traced = note_stop(r, &later);
    if (traced == 0) traced = muse_record_result(r->agent.trace, r->out, r->winner, r->several, &later);
    return rc == 0 && traced < 0 ? muse_fail_copy(err, &later) : rc;
}

static int begin(Reason *r, MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const MuseReasonParams *params, MuseReasonResult *out, MuseError *err)
{
    *r = (Reason){ .model = model, .alloc = &model->rt->alloc, .parts = parts, .n_parts = n_parts, .out = out, .start = muse_reason_now() };
    const int rc = import_params(r, params, err);
    r->several = r->p.mode == MUSE_MODE_CONTEMPLATING;
    return rc;
}

static int end(Reason *r, int rc, MuseError *err)
{
    sum_tokens(r);
    if (!r->winner) r->out->by = r->out->n_agents;
    r->out->seconds = muse_reason_now() - r->start;
    if (r->agent.trace) rc = end_trace(r, rc, err);
    for (uint32_t v = 0; v < MUSE_VIEWS; v++) muse_agent_close(&r->base[v]);
    muse_free(r->ended);
    muse_free(r->votes);
    muse_free(r->voters);
    muse_free(r->cross);
    muse_free(r->groups);
    return rc;
}

int muse_reason(MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const MuseReasonParams *params, MuseReasonResult *out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    memset(out, 0, sizeof *out);
    MUSE_REQUIRE(err, model && parts && n_parts > 0);
    Reason r;
    int rc = begin(&r, model, parts, n_parts, params, out, err);
    if (rc == 0) rc = r.several ? contemplate(&r, err) : alone(&r, err);
    return end(&r, rc, err);
}

/* ---- the coordinator ---- */

static int open_questions(Reason *r, const char *const *questions, size_t n, MuseError *err)
{
    MuseReasonPart *parts = muse_alloc_array(r->alloc, r->n_parts + 1, sizeof *parts);
    int rc = parts ? 0 : MUSE_NOMEM(err, (r->n_parts + 1) * sizeof *parts);
    if (rc == 0 && r->n_parts) memcpy(parts, r->parts, r->n_parts * sizeof *parts);
    for (size_t i = 0; i < n && rc == 0; i++) {
        parts[r->n_parts] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = questions[i] };
        rc = grow(r, err);
        if (rc == 0) rc = open_agent(r, parts, r->n_parts + 1, &r->out->agents[i], err);
        if (rc < 0) break;
        r->out->agents[i]->number = (uint32_t)i;
        r->out->n_forks = ++r->out->n_agents;
        if (i == 0) stage(r, MUSE_STAGE_PREFILL);
        rc = check_cancel(r, err);
        if (rc == 0) rc = muse_agent_prefill(r->out->agents[i], err);   /* with a cache the pictures are computed once */
    }
    muse_free(parts);
    return rc;
}

static int merge_answers(Reason *r, const char *const *questions, size_t n, const char *question, MuseError *err)
{
    MuseBuf b = { .alloc = r->alloc };
    MuseAgentInfo info;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const bool has = answered(r->out->agents[i], &info);
        rc = append(&b, questions[i], strlen(questions[i]));
        if (rc == 0) rc = append(&b, " ", 1);
        if (rc == 0) rc = has ? append(&b, info.answer, info.n_answer) : append(&b, "(no answer)", 11);
        if (rc == 0) rc = append(&b, "\n", 1);
    }
    if (rc == 0) rc = append(&b, question, strlen(question));
    rc = rc == 0 ? run_merger(r, &b, err) : MUSE_NOMEM(err, b.len);
    muse_buf_clear(&b);
    return rc;
}

int muse_coordinate(MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const char *const *questions, size_t n, const char *question,
                    const MuseReasonParams *params, MuseReasonResult *out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    memset(out, 0, sizeof *out);
    MUSE_REQUIRE(err, model && (parts || !n_parts) && questions && question);
    if (n < 1 || n >= MUSE_AGENTS_MAX) return muse_fail(err, MUSE_ERR_ARG, "%zu sub-questions: 1 to %d are possible", n, MUSE_AGENTS_MAX - 1);
    for (size_t i = 0; i < n; i++) MUSE_REQUIRE(err, questions[i]);
    Reason r;
    MuseSessionParams sp;
    MusePrefixCache *cache = NULL;
    int rc = begin(&r, model, parts, n_parts, params, out, err);
    r.several = true;
    if (rc == 0 && r.p.mode == MUSE_MODE_CONTEMPLATING) rc = muse_fail(err, MUSE_ERR_ARG, "a coordinator's agents are instant, thinking or auto");
    if (rc == 0 && r.p.from) rc = muse_fail(err, MUSE_ERR_ARG, "a coordinator's questions are no conversation");
    if (rc == 0) rc = MUSE_PARAMS_IMPORT(&sp, r.agent.session, "MuseSessionParams", err);
    if (rc == 0 && !sp.cache) rc = muse_prefix_cache_open(&cache, model, 0, err);
    if (rc == 0) {
        sp.struct_size = sizeof sp;
        if (cache) sp.cache = cache;
        r.agent.session = &sp;
        rc = open_questions(&r, questions, n, err);
    }
    if (rc == 0) {
        stage(&r, MUSE_STAGE_THINK);
        rc = run_agents(&r, 0, n, err);
    }
    if (rc == 0) rc = merge_answers(&r, questions, n, question, err);
    if (rc == 0) rc = set_answer(&r, out->agents[n], err);
    if (rc == 0) {
        MuseAgentInfo info;
        muse_agent_info(out->agents[n], &info);
        out->agreement = 1;
        out->confidence = info.confidence;
    }
    muse_prefix_cache_close(&cache);
    return end(&r, rc, err);
}
