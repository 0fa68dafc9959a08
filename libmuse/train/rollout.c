/* SPDX-License-Identifier: Apache-2.0 */
/* Agents that answer prompts, and what they wrote as training samples: the prompt is the prefix, each rollout a branch. All agents
 * of a step run as one batch. Rewards and weights are rl.c's. */
#include "libmuse/train/rl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/reason/agent.h"

/* ---- trials ---- */

static int open_root(MuseTrials *t, MuseTrial *trial, MuseError *err)
{
    const MuseRlConfig *c = &t->rl->c->rl;
    MuseAgentParams p;
    MuseSessionParams sp;
    muse_agent_params_init(&p);
    muse_session_params_init(&sp);
    sp.max_positions = t->rl->c->positions;   /* what one sample may have */
    if (sp.max_positions > t->model->config.context) sp.max_positions = t->model->config.context;
    p.session = &sp;
    p.thinking = MUSE_THINKING_ON;
    p.thought_tokens = c->thought_tokens, p.answer_tokens = c->answer_tokens, p.looks = c->looks;
    int rc = muse_agent_open(&trial->root, t->model, trial->prompt.parts, trial->prompt.n_parts, &p, err);
    if (rc == 0 && trial->root->shared->n_close != 1) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "\"rl\" needs a model whose thoughts end in one token");
    return rc < 0 ? rc : muse_agent_prefill(trial->root, err);
}

static int next_prompt(MuseTrials *t, MuseTrial *trial, uint64_t *number, bool held_out, MuseError *err)
{
    enum { SKIPS_MAX = 100000 };
    const MuseTrainPrompts *p = &t->rl->prompts;
    const uint32_t n_tasks = t->rl->c->n_tasks;
    int rc = MUSE_AGAIN;
    for (int i = 0; i < SKIPS_MAX && rc == MUSE_AGAIN; i++) {
        memset(&trial->prompt, 0, sizeof trial->prompt);
        rc = p->make(p->user, (*number)++, held_out, &trial->prompt, err);
    }
    if (rc == MUSE_AGAIN) return muse_fail(err, MUSE_ERR_FORMAT, "%d prompts one after the other are broken", SKIPS_MAX);
    if (rc < 0) return rc;
    const uint32_t task = trial->prompt.task;
    trial->slot = task == UINT32_MAX ? n_tasks : task;
    if (task == UINT32_MAX || task < n_tasks) return 0;
    if (p->release) p->release(p->user, &trial->prompt);
    return muse_fail(err, MUSE_ERR_ARG, "a prompt of task %u; the configuration has %u", task, n_tasks);
}

/* which prompt an error is about: its line, if it is of a file */
static void blame(MuseRl *rl, uint64_t number, bool held_out, int rc, MuseError *err)
{
    char name[300];
    MuseJsonl *file = rl->files[held_out && rl->files[1]];
    snprintf(name, sizeof name, "prompt %llu", (unsigned long long)number);
    if (file) muse_jsonl_name(file, number, name, sizeof name, NULL);
    muse_fail_prefix(err, rc, "%s", name);
}

int muse_trials_open(MuseTrials *t, MuseRl *rl, MuseModel *model, size_t n, size_t each, uint64_t *number, bool held_out, MuseError *err)
{
    const MuseAllocator *a = &rl->rt->alloc;
    size_t all;
    *t = (MuseTrials){ .rl = rl, .model = model, .each = each };
    if (!muse_mul_size(n, each, &all)) return MUSE_NOMEM(err, n);
    t->trials = muse_zalloc_array(a, n, sizeof *t->trials);
    t->agents = muse_zalloc_array(a, all, sizeof *t->agents);
    t->rollouts = muse_zalloc_array(a, all, sizeof *t->rollouts);
    int rc = t->trials && t->agents && t->rollouts ? 0 : MUSE_NOMEM(err, all * sizeof *t->rollouts);
    while (rc == 0 && t->n < n) {
        MuseTrial *trial = &t->trials[t->n];
        rc = next_prompt(t, trial, number, held_out, err);
        if (rc < 0) break;
        t->n++;
        rc = open_root(t, trial, err);
        if (rc < 0) blame(rl, *number - 1, held_out, rc, err);   /* those that were stepped over are counted too */
    }
    if (rc < 0) muse_trials_close(t);
    return rc;
}

void muse_trials_close(MuseTrials *t)
{
    for (size_t i = 0; t->agents && i < t->n * t->each; i++) muse_agent_close(&t->agents[i]);
    for (size_t i = 0; i < t->n; i++) {
        muse_agent_close(&t->trials[i].root);
        if (t->rl->prompts.release) t->rl->prompts.release(t->rl->prompts.user, &t->trials[i].prompt);
    }
    muse_free(t->agents);
    muse_free(t->rollouts);
    muse_free(t->trials);
    *t = (MuseTrials){ 0 };
}

/* the likeliest id but the one that ends the thought */
static int32_t begins_thought(const MuseAgent *root)
{
    const float *logits = muse_session_logits(root->s);
    int32_t best = root->shared->close[0] == 0;
    for (uint32_t i = 0; i < root->shared->vocab; i++)
        if ((int32_t)i != root->shared->close[0] && logits[i] > logits[best]) best = (int32_t)i;
    return best;
}

int muse_trials_fork(MuseTrials *t, size_t trial, size_t i, int start, uint64_t seed, float temperature, MuseError *err)
{
    const MuseAgent *root = t->trials[trial].root;
    MuseAgent **a = &t->agents[trial * t->each + i];
    const int rc = muse_agent_fork(a, root, (uint32_t)i, seed, temperature, err);
    if (rc < 0 || start == MUSE_START_FREE) return rc;
    const int32_t id = start == MUSE_START_DIRECT ? root->shared->close[0] : begins_thought(root);
    return muse_agent_force(*a, &id, 1, err);
}

/* ---- judging ---- */

static double area(MuseRect r) { return r.x1 > r.x0 && r.y1 > r.y0 ? (r.x1 - r.x0) * (r.y1 - r.y0) : 0; }

static double iou(MuseRect a, MuseRect b)
{
    const double both = area((MuseRect){ fmax(a.x0, b.x0), fmax(a.y0, b.y0), fmin(a.x1, b.x1), fmin(a.y1, b.y1) }), all = area(a) + area(b) - both;
    return all > 0 ? both / all : 0;
}

static double mean_iou(const MuseTrainPrompt *p, const MuseAgent *a)
{
    double sum = 0;
    uint32_t n = 0;
    for (size_t i = 0; i < a->n_steps; i++) {
        const MuseReasonStep *s = &a->steps[i];
        double best = 0;
        if (s->kind != MUSE_REASON_LOOK || s->refused) continue;
        for (size_t k = 0; k < p->n_views; k++)
            if (p->views[k].image == s->image) best = fmax(best, iou(p->views[k].rect, s->view));
        sum += best;
        n++;
    }
    return n ? sum / n : 0;
}

static bool same(const MuseTrainPrompts *from, const MuseAgentInfo *info, const char *answer)
{
    if (from->same) return from->same(from->user, info->answer, info->n_answer, answer);
    return muse_reason_same(info->answer, info->n_answer, answer, strlen(answer));
}

static void judge(const MuseTrainPrompts *from, const MuseTrainPrompt *p, const MuseAgent *a, MuseTrainRollout *r)
{
    MuseAgentInfo info;
    muse_agent_info(a, &info);
    *r = (MuseTrainRollout){ .agent = a, .clean = info.finish == MUSE_AGENT_ANSWERED && !info.bad && !info.refused, .thinks = info.n_thought > 0 || info.looks > 0,
                             .tokens = (uint32_t)(info.thought_tokens + info.answer_tokens + info.forced_tokens), .looks = info.looks, .iou = mean_iou(p, a) };
    for (size_t i = 0; i < p->n_answers && info.finish == MUSE_AGENT_ANSWERED; i++)
        r->right = r->right || same(from, &info, p->answers[i]);
}

int muse_trials_run(MuseTrials *t, MuseError *err)
{
    const int rc = muse_agent_run(t->agents, t->n * t->each, err);
    for (size_t g = 0; g < t->n && rc == 0; g++)
        for (size_t i = 0; i < t->each; i++) judge(&t->rl->prompts, &t->trials[g].prompt, t->agents[g * t->each + i], &t->rollouts[g * t->each + i]);
    return rc;
}

/* ---- samples ---- */

/* Which of an agent's own ids were written for it: what closed a thought. SIZE_MAX: none */
static size_t closed_at(const MuseAgent *a)
{
    for (size_t i = 0; i < a->n_steps; i++)
        if (a->steps[i].kind == MUSE_REASON_CLOSED) return a->steps[i].token;
    return SIZE_MAX;
}

typedef struct Walk {
    MuseSampleDraft *d;
    MuseBuf ids, weights;
    MuseError *err;
} Walk;

static int flush(Walk *w)
{
    const int rc = muse_draft_ids(w->d, (const int32_t *)(const void *)w->ids.data, (const float *)(const void *)w->weights.data, w->ids.len / sizeof(int32_t), w->err);
    w->ids.len = w->weights.len = 0;
    return rc;
}

/* a whole picture or sound; *at: behind it */
static int add_media(Walk *w, const MuseSequence *seq, const MusePosition *p, size_t *at)
{
    MuseSpanInfo info;
    MuseImagePlan none = { 0 };
    float *to;
    int rc = muse_sequence_span(seq, p->span, &info);
    const MuseImagePlan *plan = info.modality == MUSE_IMAGE ? &info.image : &none;
    if (rc == 0) rc = flush(w);
    if (rc == 0) rc = muse_draft_features(w->d, info.modality, plan->grid_width, plan->grid_height, info.n_features, info.feature_width, &to, w->err);
    if (rc == 0) rc = muse_sequence_features(seq, p->span, 0, info.n_features, to, w->err);
    *at += info.n_features;
    return rc;
}

/* Positions from .. to of a sequence as parts. closed: see above; weight: of the ids that were written */
static int add_positions(MuseSampleDraft *d, const MuseSequence *seq, size_t from, size_t to, size_t closed, float weight, MuseError *err)
{
    Walk w = { .d = d, .ids.alloc = d->parts.alloc, .weights.alloc = d->parts.alloc, .err = err };
    size_t written = 0;
    int rc = 0;
    for (size_t at = from; at < to && rc == 0;) {
        MusePosition p;
        rc = muse_sequence_position(seq, at, &p);
        if (rc == 0 && p.modality != MUSE_TEXT) {
            rc = add_media(&w, seq, &p, &at);
            continue;
        }
        const float own = p.is_marker || written == closed ? 0 : weight;
        written += !p.is_marker;
        at++;
        if (rc == 0 && (muse_buf_append(&w.ids, &p.id, sizeof p.id) < 0 || muse_buf_append(&w.weights, &own, sizeof own) < 0)) rc = MUSE_NOMEM(err, w.ids.len);
    }
    if (rc == 0) rc = flush(&w);
    muse_buf_clear(&w.ids);
    muse_buf_clear(&w.weights);
    return rc;
}

/* what is under construction goes to the trainer; the next begins with the same prefix */
static int hand_over(MuseSampleDraft *d, MuseRlTake *take, void *user, MuseError *err)
{
    MuseTrainSample s = { 0 };
    int rc = muse_draft_finish(d, &s, err);
    if (rc == 0) rc = take(user, &s, err);
    muse_draft_release(&s);
    muse_draft_clear(d);
    return rc;
}

/* The rollouts of a prompt as branches of one sample, or of several where they do not fit */
static int add_group(MuseTrials *t, size_t g, const double *weights, MuseRlTake *take, void *user, MuseError *err)
{
    const MuseTrial *trial = &t->trials[g];
    const MuseSequence *prompt = muse_session_sequence(trial->root->s);
    const size_t prefix = (size_t)trial->root->prompt;
    size_t rows = 0;
    MuseSampleDraft d;
    int rc = 0;
    muse_draft_begin(&d, &t->rl->rt->alloc);
    for (size_t i = 0; i < t->each && rc == 0; i++) {
        const MuseAgent *a = t->agents[g * t->each + i];
        const MuseSequence *seq = muse_session_sequence(a->s);
        const size_t n = muse_sequence_length(seq);
        if (weights[i] == 0) continue;
        if (rows && rows + n - prefix > t->rl->c->positions) rc = hand_over(&d, take, user, err), rows = 0;
        if (rc == 0 && rows == 0) rc = add_positions(&d, prompt, 0, prefix, SIZE_MAX, 0, err), rows = prefix;
        if (rc == 0) rc = muse_draft_branch(&d, trial->prompt.task, t->rl->c->n_groups - 1, err);
        if (rc == 0) rc = add_positions(&d, seq, prefix, n, closed_at(a), (float)weights[i], err);
        rows += n - prefix;
    }
    if (rc == 0 && rows) rc = hand_over(&d, take, user, err);
    muse_draft_clear(&d);
    return rc;
}

/* ---- a step ---- */

/* A task that thinks so much worse on held-out prompts than in the beginning is not shortened further. With 64 prompts the standard
 * error of an accuracy of 0.8 is 0.05. */
#define GUARD_LOSS 0.05

static uint64_t seed_of(const MuseRl *rl, uint64_t step, size_t trial, size_t i)
{
    MuseRandom r = { rl->c->seed * UINT64_C(0xd1342543de82ef95) + step };
    r.state = muse_random_next(&r) + trial;
    r.state = muse_random_next(&r) + i;
    return muse_random_next(&r);
}

static void count_rollouts(MuseTrials *t, const double *rewards)
{
    MuseRl *rl = t->rl;
    for (size_t i = 0; i < t->n * t->each; i++) {
        const MuseTrainRollout *r = &t->rollouts[i];
        rl->reward += rewards ? rewards[i] : r->right;
        rl->right += r->right;
        rl->tokens += r->tokens;
        rl->thinks += r->thinks;
    }
    rl->n = t->n * t->each;
}

static int reward_all(MuseTrials *t, double *values, MuseError *err)
{
    MuseRl *rl = t->rl;
    for (size_t g = 0; g < t->n; g++) {
        const MuseTrainRollout *r = &t->rollouts[g * t->each];
        MuseRlTask *task = &rl->tasks[t->trials[g].slot];
        muse_rl_rewards(&rl->c->rl.reward, r, t->each, task->budget, values + g * t->each);
        muse_rl_budget_note(task, r, t->each);
        for (size_t i = 0; i < t->each && rl->prompts.reward; i++) {
            values[g * t->each + i] = rl->prompts.reward(rl->prompts.user, &t->trials[g].prompt, &r[i]);
            if (!isfinite(values[g * t->each + i])) return muse_fail(err, MUSE_ERR_ARG, "the reward of rollout %zu of prompt %zu is not finite", i, g);
        }
    }
    return 0;
}

int muse_trials_learn(MuseTrials *t, MuseRlTake *take, void *user, MuseError *err)
{
    MuseRl *rl = t->rl;
    const MuseAllocator *a = &rl->rt->alloc;
    double *values = muse_alloc_array(a, t->n * t->each, sizeof *values);
    uint32_t *slots = muse_alloc_array(a, t->n, sizeof *slots);
    int rc = values && slots ? reward_all(t, values, err) : MUSE_NOMEM(err, t->n * t->each * sizeof *values);
    if (rc == 0) {
        count_rollouts(t, values);
        for (size_t g = 0; g < t->n; g++) slots[g] = t->trials[g].slot;
        muse_rl_advantages(values, t->n, t->each, slots, rl->c->rl.by_task);
        rl->divisor = rl->tokens;
    }
    for (size_t g = 0; g < t->n && rc == 0; g++) rc = add_group(t, g, values + g * t->each, take, user, err);
    muse_free(values);
    muse_free(slots);
    return rc;
}

/* The first id behind the prompt becomes the end of the thought unless thinking gains, which weighs as much more as the margin is less
 * than what it gains. So the choice turns where thinking helps in a share of questions of about the margin. */
static int learn_mode(MuseTrials *t, size_t g, MuseRlTake *take, void *user, MuseError *err)
{
    MuseRl *rl = t->rl;
    const MuseTrial *trial = &t->trials[g];
    const double gain = muse_rl_gain(&t->rollouts[g * t->each], t->each / 2);
    const int32_t end = trial->root->shared->close[0];
    const double odds = muse_rl_odds(muse_session_logits(trial->root->s), trial->root->shared->vocab, end);
    /* of log(1 - p) the gradient is that of log p times -p / (1 - p) */
    const float weight = (float)(gain > 0 ? -gain / rl->c->rl.margin * odds : 1);
    MuseSampleDraft d;
    if (isnan(odds)) return muse_fail(err, MUSE_ERR_STATE, "the logits behind prompt %zu are not finite", g);
    rl->divisor++;
    rl->thinks += gain > 0 ? (double)t->each : 0;
    if (weight == 0) return 0;
    muse_draft_begin(&d, &rl->rt->alloc);
    int rc = add_positions(&d, muse_session_sequence(trial->root->s), 0, (size_t)trial->root->prompt, SIZE_MAX, 0, err);
    if (rc == 0) rc = muse_draft_branch(&d, trial->prompt.task, rl->c->n_groups - 1, err);
    if (rc == 0) rc = muse_draft_ids(&d, &end, &weight, 1, err);
    if (rc == 0) rc = hand_over(&d, take, user, err);
    muse_draft_clear(&d);
    return rc;
}

int muse_rl_step(MuseRl *rl, MuseModel *model, uint64_t step, MuseRlTake *take, void *user, MuseError *err)
{
    const MuseRlConfig *c = &rl->c->rl;
    const bool mode = c->stage == MUSE_RL_MODE;
    MuseTrials t;
    rl->reward = rl->right = rl->tokens = rl->thinks = rl->divisor = 0;
    int rc = muse_trials_open(&t, rl, model, c->prompts, mode ? 2 * (size_t)c->samples : c->samples, &rl->number, false, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < t.n * t.each && rc == 0; i++)
        rc = muse_trials_fork(&t, i / t.each, i % t.each, !mode ? MUSE_START_FREE : i % t.each < c->samples ? MUSE_START_DIRECT : MUSE_START_THINK, seed_of(rl, step, i / t.each, i % t.each), (float)c->temperature, err);
    if (rc == 0) rc = muse_trials_run(&t, err);
    if (rc == 0 && mode) {
        count_rollouts(&t, NULL);
        rl->thinks = 0;
        for (size_t g = 0; g < t.n && rc == 0; g++) rc = learn_mode(&t, g, take, user, err);
    } else if (rc == 0) {
        rc = muse_trials_learn(&t, take, user, err);
        for (uint32_t i = 0; i < rl->n_slots && (step + 1) % MUSE_BUDGET_STEPS == 0; i++)
            muse_rl_budget_step(&rl->tasks[i], rl->tasks[i].last < rl->tasks[i].first - GUARD_LOSS);
    }
    muse_trials_close(&t);
    return rc;
}
