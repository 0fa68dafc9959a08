/* SPDX-License-Identifier: Apache-2.0 */
/* Trial and reward: rewards, advantages and budgets against tables worked out by hand; the gradient of a bandit against float64; what
 * agents wrote as samples, position by position; prompts from lines; whole runs that learn, stop and resume. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libmuse/train/checkpoint.h"
#include "libmuse/train/rl.h"
#include "muse/muse.h"
#include "tests/unit/temp_folder.h"
#include "tests/unit/test_reason_data.h"

/* ---- arithmetic ---- */

#define R(right_, clean_, tokens_, looks_, iou_) { .right = right_, .clean = clean_, .tokens = tokens_, .looks = looks_, .iou = iou_ }

static void test_rewards(void **state)
{
    (void)state;
    static const MuseRewardRules rules = { .right = 1, .format = 0.1, .look = 0.2, .iou = 0.2, .tokens = 0.01, .cut = 0.3 };
    static const struct { const char *what; double budget; MuseTrainRollout r[3]; double want[3]; } cases[] = {
        { "wrong answers are paid for their form only", 1, { R(0, 1, 9, 1, 1), R(0, 0, 9, 0, 0), R(0, 1, 2, 0, 0) }, { 0.1, 0, 0.1 } },
        { "a needless look costs", 1, { R(1, 1, 10, 1, 0.9), R(1, 1, 2, 0, 0), R(0, 1, 2, 0, 0) }, { 1.1 - 0.1 - 0.2, 1.1 - 0.02, 0.1 } },
        { "a look that was needed is paid by its place", 1, { R(1, 1, 10, 1, 0.5), R(1, 1, 20, 2, 1), R(0, 1, 2, 0, 0) }, { 1.1 - 0.1 + 0.1, 1.1 - 0.2 + 0.2, 0.1 } },
        { "over the budget", 0.5, { R(1, 1, 10, 0, 0), R(1, 1, 5, 0, 0), R(1, 1, 6, 0, 0) }, { 1.1 - 0.1 - 0.3, 1.1 - 0.05, 1.1 - 0.06 - 0.3 } },
        { "over the budget, but nobody within it is right", 0.5, { R(1, 1, 10, 0, 0), R(0, 1, 5, 0, 0), R(1, 0, 6, 0, 0) }, { 1.1 - 0.1, 0.1, 1 - 0.06 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got[3];
        muse_rl_rewards(&rules, cases[i].r, 3, cases[i].budget, got);
        for (int k = 0; k < 3; k++)
            if (fabs(got[k] - cases[i].want[k]) > 1e-12) fail_msg("%s: rollout %d: %g, want %g", cases[i].what, k, got[k], cases[i].want[k]);
    }
}

/* groups of 2, tasks 0 1 0: task 0 has deviations 0.5 0.5 0.1 0.1, root mean square sqrt(0.13); task 1 is flat to within 0.01 */
static void test_advantages(void **state)
{
    (void)state;
    static const double rewards[] = { 1, 0, 0.52, 0.5, 0.3, 0.1 };
    static const uint32_t slots[] = { 0, 1, 0 };
    const double rms = sqrt(0.13), plain[] = { 0.5, -0.5, 0.01, -0.01, 0.1, -0.1 };
    const double scaled[] = { 0.5 / rms, -0.5 / rms, 0.01 / 0.05, -0.01 / 0.05, 0.1 / rms, -0.1 / rms };
    for (int by_task = 0; by_task < 2; by_task++) {
        double v[6];
        memcpy(v, rewards, sizeof v);
        muse_rl_advantages(v, 3, 2, slots, by_task);
        for (int i = 0; i < 6; i++)
            if (fabs(v[i] - (by_task ? scaled : plain)[i]) > 1e-12) fail_msg("%d: %d: %g", by_task, i, v[i]);
    }
}

static void test_budget(void **state)
{
    (void)state;
    static const MuseTrainRollout equal[] = { R(1, 1, 10, 0, 0), R(1, 1, 8, 0, 0) }, worse[] = { R(1, 1, 10, 0, 0), R(0, 1, 8, 0, 0) }, one[] = { R(1, 1, 9, 0, 0), R(1, 1, 9, 0, 0) }, none[] = { R(0, 1, 10, 0, 0), R(0, 1, 8, 0, 0) };
    static const struct { const MuseTrainRollout *r; bool held; double want; } cases[] = { { equal, false, 0.8 }, { worse, false, 1 }, { one, false, 1 }, { equal, true, 1 }, { none, false, 1 } };
    for (size_t i = 0; i < 5; i++) {
        MuseRlTask t = { .budget = 1 };
        muse_rl_budget_note(&t, cases[i].r, 2);
        muse_rl_budget_step(&t, cases[i].held);
        if (fabs(t.budget - cases[i].want) > 1e-12) fail_msg("case %zu: %g", i, t.budget);
        assert_true(t.n[0] == 0 && t.n[1] == 0);
    }
    MuseRlTask t = { .budget = 1 };
    for (int i = 0; i < 40; i++) {
        const MuseTrainRollout r[] = { R(1, 1, 1000, 0, 0), R(1, 1, 1, 0, 0) };
        muse_rl_budget_note(&t, r, 2);
        muse_rl_budget_step(&t, false);
    }
    assert_true(t.budget == 0.1);
}

/* the first answered at once, the others thought */
static void test_gain(void **state)
{
    (void)state;
    static const struct { const char *what; size_t n; MuseTrainRollout r[4]; double want; } cases[] = {
        { "both right", 1, { R(1, 1, 2, 0, 0), R(1, 1, 9, 0, 0) }, 0 },
        { "both wrong", 1, { R(0, 1, 2, 0, 0), R(0, 1, 9, 0, 0) }, 0 },
        { "right with a thought", 1, { R(0, 1, 2, 0, 0), R(1, 1, 9, 0, 0) }, 1 },
        { "right without", 1, { R(1, 1, 2, 0, 0), R(0, 1, 9, 0, 0) }, -1 },
        { "one of two, and both", 2, { R(1, 1, 2, 0, 0), R(0, 1, 2, 0, 0), R(1, 1, 9, 0, 0), R(1, 1, 9, 0, 0) }, 0.5 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double got = muse_rl_gain(cases[i].r, cases[i].n);
        if (fabs(got - cases[i].want) > 1e-12) fail_msg("%s: %g, want %g", cases[i].what, got, cases[i].want);
    }
}

static void test_odds(void **state)
{
    (void)state;
    static const struct { const char *what; float logits[3]; int32_t id; double want; } cases[] = {
        { "1 to 2", { 0, 0, 0 }, 1, 0.5 },
        { "e to 2", { 0, 1, 0 }, 1, 1.3591409142295225 },   /* e / 2 */
        { "e^-2 to e^-3 + 1", { -3, 0, -2 }, 2, 0.12891688925738304 },   /* numpy, float64 */
        { "likely", { 0, 6, 0 }, 1, 201.71439674636756 },   /* e^6 / 2 */
        { "all but sure", { 0, 8, 0 }, 1, MUSE_ODDS_MOST },
        { "sure", { -2000, 0, -2000 }, 1, MUSE_ODDS_MOST },
        { "never", { 2000, 0, 0 }, 1, 0 },
        { "not a number", { 0, 0, NAN }, 1, NAN },
        { "itself not a number", { 0, NAN, 0 }, 1, NAN },
        { "infinite", { INFINITY, 0, 0 }, 1, NAN },
        { "itself infinite", { 0, INFINITY, 0 }, 1, NAN },
        { "none left", { 0, -INFINITY, 0 }, 1, NAN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double got = muse_rl_odds(cases[i].logits, 3, cases[i].id), want = cases[i].want;
        if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= 1e-12 * want)) fail_msg("%s: %g, want %g", cases[i].what, got, want);
    }
}

/* ---- the gradient ---- */

#define BANDIT "{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":2,\"hidden_size\":8,\"intermediate_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":1," \
    "\"num_key_value_heads\":1,\"head_dim\":8,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5,\"hidden_act\":\"relu2\",\"qk_norm\":true,\"rope_theta\":100,\"rope_pairs\":[4,0,0]," \
    "\"tie_word_embeddings\":false,\"bos_token_id\":0,\"eos_token_id\":1,\"pad_token_id\":0}"

/* Two ids, one row. Layers add nothing in the beginning, so z = W h with h the normed embedding, and with advantages A of the tries
 * a and b the loss is -(A_a log p_a + A_b log p_b) / 2; dL/dz_i = sum_j A_j (p_i - [i = j]) / 2, dL/dW = dz h^T; a step of size e
 * down that changes log p_a by -e |h|^2 (dz_a - (p_a dz_a + p_b dz_b)) to first order. */
static void test_bandit(void **state)
{
    (void)state;
    static const double wins[][2] = { { 1, -1 }, { -0.5, 0.5 }, { 0.7, 0.2 } };
    static const int32_t ids[] = { 0, 1 };
    for (size_t k = 0; k < 3; k++) {
        MuseRuntime *rt;
        MuseConfig c;
        MuseNet net;
        MuseTrainBatch b;
        MuseNetTerms terms = { 0 };
        ok(muse_runtime_open(&rt, NULL, &err));
        ok(muse_config_from_json(&c, &rt->alloc, &rt->log, BANDIT, strlen(BANDIT), &err));
        const MuseBatchRules rules = { .config = &c, .n_groups = 1 };
        ok(muse_net_open(&net, rt, &c, &rules, false, 64, &err));
        muse_layout_begin(&net.layout, &c, 3, net.master);
        muse_net_refresh(&net);
        b = (MuseTrainBatch){ .alloc = &rt->alloc };
        const float weights[2] = { (float)wins[k][0], (float)wins[k][1] };
        const MuseTrainPart prefix = { .modality = MUSE_TEXT, .n = 1, .ids = ids };
        const MuseTrainPart tries[] = { { .modality = MUSE_TEXT, .n = 1, .ids = ids, .weights = weights }, { .modality = MUSE_TEXT, .n = 1, .ids = ids + 1, .weights = weights + 1 } };
        const MuseTrainBranch branches[] = { { tries, 1, UINT32_MAX, 0 }, { tries + 1, 1, UINT32_MAX, 0 } };
        const MuseTrainSample s = { .prefix = &prefix, .n_prefix = 1, .branches = branches, .n_branches = 2 };
        ok(muse_batch_add(&b, &rules, &s, &err));
        const MuseNetScale scale = { .group = { 0.5 } };
        muse_net_pass(&net, &b, &scale, &terms, NULL);

        double h[8], z[2] = { 0 }, square = 0, norm2 = 0;
        for (int i = 0; i < 8; i++) square += (double)net.master[net.layout.embed + (size_t)i] * (double)net.master[net.layout.embed + (size_t)i];
        for (int i = 0; i < 8; i++) h[i] = (double)net.master[net.layout.embed + (size_t)i] / sqrt(square / 8 + 1e-5) * (double)net.master[net.layout.norm + (size_t)i];
        for (int i = 0; i < 8; i++) norm2 += h[i] * h[i];
        for (int j = 0; j < 2; j++)
            for (int i = 0; i < 8; i++) z[j] += (double)net.master[net.layout.head + (size_t)(8 * j + i)] * h[i];
        const double p0 = 1 / (1 + exp(z[1] - z[0])), p[2] = { p0, 1 - p0 };
        const double dz[2] = { (wins[k][0] * (p[0] - 1) + wins[k][1] * p[0]) / 2, (wins[k][0] * p[1] + wins[k][1] * (p[1] - 1)) / 2 };
        for (int j = 0; j < 2; j++)
            for (int i = 0; i < 8; i++) {
                const double got = (double)net.grad[net.layout.head + (size_t)(8 * j + i)];
                if (fabs(got - dz[j] * h[i]) > 1e-6 * (1 + fabs(dz[j] * h[i]))) fail_msg("case %zu: dW[%d,%d] %.9g, want %.9g", k, j, i, got, dz[j] * h[i]);
            }
        assert_true(fabs(terms.text + (wins[k][0] * log(p[0]) + wins[k][1] * log(p[1])) / 2) < 1e-6);
        const double rise = -norm2 * (dz[0] - (p[0] * dz[0] + p[1] * dz[1]));   /* of log p_0, per size of the step */
        assert_true(k == 2 || (rise > 0) == (wins[k][0] > 0));   /* what won becomes likelier, what lost less likely */
        const double e = 1e-5;
        double after[2] = { z[0] - e * norm2 * dz[0], z[1] - e * norm2 * dz[1] };
        assert_true(fabs((-log(1 + exp(after[1] - after[0])) + log(1 + exp(z[1] - z[0]))) / e - rise) < 1e-3 * (1 + fabs(rise)));
        muse_batch_clear(&b);
        muse_net_close(&net);
        muse_config_clear(&c);
        muse_runtime_close(&rt);
    }
}

/* ---- agents to samples ---- */

static MuseModel *model;
static MuseImage *picture;

static int one_prompt(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *e)
{
    (void)user;
    (void)number;
    (void)held_out;
    (void)e;
    static MuseReasonPart parts[2];
    static const char *const answers[] = { "seven", "7" };
    static MuseFocus view;
    parts[0] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = picture };
    parts[1] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = "What?" };
    view = (MuseFocus){ 1, { 0, 0, 100, 100 } };
    *out = (MuseTrainPrompt){ .parts = parts, .n_parts = 2, .task = 0, .answers = answers, .n_answers = 2, .views = &view, .n_views = 1 };
    return 0;
}

typedef struct Seen { MuseTrials *t; size_t samples, branches; } Seen;

/* prefix and branch k are the positions of the k-th agent that has an advantage; weights: advantage on what it wrote */
static int compare(void *user, const MuseTrainSample *s, MuseError *e)
{
    (void)e;
    Seen *seen = user;
    seen->samples++;
    for (size_t k = 0; k < s->n_branches; k++, seen->branches++) {
        const MuseAgent *a = seen->t->agents[seen->branches];
        const MuseSequence *seq = muse_session_sequence(a->s);
        const float weight = seen->branches % 2 ? -1.0f : 1.0f;
        size_t at = 0, written = 0;
        assert_int_equal(s->branches[k].task, 0);
        assert_int_equal(s->branches[k].group, 1);
        for (size_t i = 0; i < s->n_prefix + s->branches[k].n_parts; i++) {
            const MuseTrainPart *p = i < s->n_prefix ? &s->prefix[i] : &s->branches[k].parts[i - s->n_prefix];
            for (size_t j = 0; j < p->n; j++, at++) {
                MusePosition here;
                ok(muse_sequence_position(seq, at, &here));
                assert_int_equal(here.modality, p->modality);
                if (p->modality == MUSE_IMAGE) {
                    float want[48];
                    ok(muse_sequence_features(seq, here.span, j, 1, want, &err));
                    assert_memory_equal(want, p->features + 48 * j, sizeof want);
                    continue;
                }
                assert_int_equal(here.id, p->ids[j]);
                const bool own = at >= a->prompt && !here.is_marker;
                const float got = p->weights ? p->weights[j] : 0;
                if (own) written++;
                if (fabsf(got - (own ? weight : 0)) > 1e-6f) fail_msg("branch %zu, position %zu: weight %g", k, at, (double)got);
            }
        }
        assert_int_equal(at, muse_sequence_length(seq));
        assert_int_equal(written, a->ids.len / sizeof(int32_t));
    }
    return 0;
}

static void test_samples(void **state)
{
    (void)state;
    static MuseTrainConfig c;
    static MuseRl rl;
    static char task[] = "what";
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = one_prompt };
    const MuseTextTokenizer *tok;
    c = (MuseTrainConfig){ .alloc = &model->rt->alloc, .n_groups = 2, .n_tasks = 1, .tasks = { task }, .positions = 400, .seed = 1,
        .rl = { .stage = MUSE_RL_GRPO, .thought_tokens = 30, .answer_tokens = 8, .looks = 2, .by_task = true, .reward = { .right = 1 } } };
    ok(muse_model_tokenizer(model, &tok, &err));
    ok(muse_rl_open(&rl, model->rt, &c, tok, &prompts, &err));
    /* as many positions as the first two branches take, or as many as there are */
    for (int wide = 0; wide < 2; wide++) {
        MuseTrials t;
        uint64_t number = 0;
        c.positions = 400;
        ok(muse_trials_open(&t, &rl, model, 1, 4, &number, false, &err));
        for (size_t i = 0; i < 4; i++) {
            ok(muse_trials_fork(&t, 0, i, MUSE_START_FREE, i, 1, &err));
            script(t.agents[i], i == 0 ? "a<look> b<box><x0><y0><x1><y1>c</think> Seven <eos>" : i == 2 ? "</think>7<eos>" : "hm</think>8<eos>");
        }
        ok(muse_trials_run(&t, &err));
        assert_true(t.rollouts[0].right && t.rollouts[0].thinks && t.rollouts[0].clean && t.rollouts[0].looks == 1 && t.rollouts[0].iou > 0);
        assert_true(t.rollouts[2].right && !t.rollouts[2].thinks && t.rollouts[2].looks == 0 && t.rollouts[2].tokens == 3);
        assert_true(!t.rollouts[1].right && t.rollouts[1].thinks);
        const MuseRect v = t.agents[0]->steps[0].view;   /* by hand: both rectangles start at 0 or inside 100 x 100 */
        const double w = fmin(v.x1, 100) - v.x0, h = fmin(v.y1, 100) - v.y0, all = 1e4 + (v.x1 - v.x0) * (v.y1 - v.y0) - w * h;
        assert_true(fabs(t.rollouts[0].iou - w * h / all) < 1e-12);
        Seen seen = { &t, 0, 0 };
        for (size_t i = 0; i < 2 && !wide; i++) c.positions = (uint32_t)(muse_sequence_length(muse_session_sequence(t.agents[i]->s)) + (i ? c.positions - t.agents[1]->prompt : 0));
        ok(muse_trials_learn(&t, compare, &seen, &err));
        assert_int_equal(seen.branches, 4);
        assert_int_equal(seen.samples, wide ? 1 : 2);
        muse_trials_close(&t);
    }
    muse_rl_close(&rl);
}

/* a thought whose budget is spent: its end was written for the model, and has no weight */
static int closed_seen(void *user, const MuseTrainSample *s, MuseError *e)
{
    (void)e;
    const MuseTrials *t = user;
    for (size_t k = 0; k < s->n_branches; k++) {
        const MuseAgent *a = t->agents[k];
        assert_int_equal(s->branches[k].n_parts, 1);
        const MuseTrainPart *p = &s->branches[k].parts[0];
        assert_int_equal(p->n, a->ids.len / sizeof(int32_t));
        for (size_t i = 0; i < p->n; i++) assert_true((p->weights[i] == 0) == (i == 3));
        assert_int_equal(p->ids[3], a->shared->close[0]);
    }
    return 0;
}

static void test_closed(void **state)
{
    (void)state;
    static MuseTrainConfig c;
    static MuseRl rl;
    static char task[] = "what";
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = one_prompt };
    const MuseTextTokenizer *tok;
    MuseTrials t;
    uint64_t number = 0;
    c = (MuseTrainConfig){ .alloc = &model->rt->alloc, .n_groups = 1, .n_tasks = 1, .tasks = { task }, .positions = 400, .seed = 1,
        .rl = { .stage = MUSE_RL_GRPO, .thought_tokens = 3, .answer_tokens = 8, .looks = 2, .reward = { .right = 1 } } };
    ok(muse_model_tokenizer(model, &tok, &err));
    ok(muse_rl_open(&rl, model->rt, &c, tok, &prompts, &err));
    ok(muse_trials_open(&t, &rl, model, 1, 2, &number, false, &err));
    for (size_t i = 0; i < 2; i++) {
        ok(muse_trials_fork(&t, 0, i, MUSE_START_FREE, i, 1, &err));
        script(t.agents[i], i ? "abc9<eos>" : "xyz7<eos>");
    }
    ok(muse_trials_run(&t, &err));
    assert_true(t.rollouts[0].right && !t.rollouts[1].right);
    ok(muse_trials_learn(&t, closed_seen, &t, &err));
    muse_trials_close(&t);
    muse_rl_close(&rl);
}

/* ---- prompts ---- */

static void test_prompts(void **state)
{
    (void)state;
    static const char *const tasks[] = { "a", "b" };
    const MuseJsonlRules rules = { .rt = model->rt, .model = &model->config, .tasks = tasks, .n_tasks = 2 };
    static const struct { const char *line; uint64_t pass; int code; size_t parts, answers, views; uint32_t task; const char *last, *answer; } cases[] = {
        { "{\"task\":\"b\",\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"accept\":[\"one\"],\"thought\":\"x\"}", 0, 0, 1, 2, 0, 1, "q", "1" },
        { "{\"parts\":[{\"text\":\"q\"}],\"branches\":[{\"task\":\"a\",\"parts\":[{\"text\":\"r\"}],\"answer\":\"1\"},{\"task\":\"b\",\"parts\":[{\"text\":\"s\"}],\"answer\":\"2\"}]}", 3, 0, 2, 1, 0, 1, "s", "2" },
        { "{\"parts\":[{\"text\":\"\"},{\"text\":\"q\"}],\"answer\":\"\"}", 0, 0, 1, 1, 0, UINT32_MAX, "q", "" },
        { "{", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "[]", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[],\"answer\":\"1\"}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}]}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"accept\":[1]}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"accept\":\"one\"}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"views\":{\"image\":0}}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"accept\":null,\"views\":null}", 0, 0, 1, 1, 0, UINT32_MAX, "q", "1" },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"task\":\"c\"}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"views\":[{\"image\":0,\"box\":[0,0,1,1]}]}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"answer\":\"1\",\"turns\":[]}", 0, MUSE_ERR_UNSUPPORTED, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"image\":\"none.png\"}],\"answer\":\"1\"}", 0, MUSE_ERR_IO, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"given\":\"q\"}],\"answer\":\"1\"}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
        { "{\"parts\":[{\"text\":\"q\"}],\"branches\":[]}", 0, MUSE_ERR_FORMAT, 0, 0, 0, 0, NULL, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseTrainPrompt p;
        const int rc = muse_jsonl_prompt_line(&rules, "/nowhere", cases[i].line, strlen(cases[i].line), cases[i].pass, NULL, &p, &err);
        if (rc != cases[i].code) fail_msg("%s: code %d, not %d: %s", cases[i].line, rc, cases[i].code, rc < 0 ? err.text : "");
        if (rc < 0) {
            assert_null(p.handle);
            continue;
        }
        assert_true(p.n_parts == cases[i].parts && p.n_answers == cases[i].answers && p.n_views == cases[i].views && p.task == cases[i].task);
        assert_memory_equal(p.parts[p.n_parts - 1].text, cases[i].last, p.parts[p.n_parts - 1].n);
        assert_string_equal(p.answers[0], cases[i].answer);
        muse_jsonl_prompt_release(&p);
    }
}

static int foreign_prompt(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *e)
{
    ok(one_prompt(user, number, held_out, out, e));
    out->task = *(const uint32_t *)user;
    return 0;
}

static unsigned released;

static void count_release(void *user, MuseTrainPrompt *p)
{
    (void)user;
    (void)p;
    released++;
}

/* a caller's prompt of a task that there is not: refused, and given back */
static void test_foreign_task(void **state)
{
    (void)state;
    static MuseTrainConfig c;
    static MuseRl rl;
    static char task[] = "what";
    static const uint32_t tasks[] = { 1, 2, UINT32_MAX - 1 };
    const MuseTextTokenizer *tok;
    c = (MuseTrainConfig){ .alloc = &model->rt->alloc, .n_groups = 2, .n_tasks = 1, .tasks = { task }, .positions = 400, .seed = 1, .rl = { .stage = MUSE_RL_GRPO } };
    ok(muse_model_tokenizer(model, &tok, &err));
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        uint32_t foreign = tasks[i];
        const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = foreign_prompt, .release = count_release, .user = &foreign };
        MuseTrials t;
        uint64_t number = 0;
        released = 0;
        ok(muse_rl_open(&rl, model->rt, &c, tok, &prompts, &err));
        assert_int_equal(muse_trials_open(&t, &rl, model, 1, 2, &number, false, &err), MUSE_ERR_ARG);
        assert_int_equal(released, 1);
        muse_rl_close(&rl);
    }
}

/* ---- whole runs ---- */

#define NET "{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":405,\"hidden_size\":32,\"intermediate_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2," \
    "\"num_key_value_heads\":2,\"head_dim\":16,\"max_position_embeddings\":128,\"rms_norm_eps\":1e-5,\"hidden_act\":\"relu2\",\"qk_norm\":true,\"rope_theta\":100,\"rope_pairs\":[4,2,2]," \
    "\"tie_word_embeddings\":true,\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":0}"


static void write_text(const char *name, const char *text)
{
    ok(muse_file_write(in_folder(name), text, strlen(text), &err));
}

/* share of what it wrote that are even ids: every try is worth something else, from the start */
static double even(void *user, const MuseTrainPrompt *prompt, const MuseTrainRollout *r)
{
    (void)user;
    (void)prompt;
    const int32_t *ids;
    const size_t n = muse_agent_ids(r->agent, &ids);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ids[i] % 2 == 0;
    return n ? sum / (double)n : 0;
}

static int text_prompt(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *e)
{
    (void)user;
    (void)held_out;
    (void)e;
    static const MuseReasonPart parts[] = { { .modality = MUSE_TEXT, .text = "one?" }, { .modality = MUSE_TEXT, .text = "two?" } };
    static const char *const answers[] = { "x" };
    if (number % 5 == 4) return MUSE_AGAIN;   /* broken ones are passed over */
    *out = (MuseTrainPrompt){ .parts = &parts[number % 2], .n_parts = 1, .task = UINT32_MAX, .answers = answers, .n_answers = 1 };
    return 0;
}

static MuseTrainer *open_run(const char *doc, const MuseTrainPrompts *prompts, const char *out, int resume, uint64_t steps, int code)
{
    MuseTrainer *t = NULL;
    MuseRuntime *rt;
    MuseRuntimeParams rp;
    MuseTrainerParams p;
    muse_runtime_params_init(&rp);
    rp.threads = 1;
    ok(muse_runtime_open(&rt, &rp, &err));
    muse_trainer_params_init(&p);
    p.folder = folder, p.prompts = prompts, p.out = out, p.resume = resume, p.steps = steps;
    const int rc = muse_trainer_open(&t, rt, doc, strlen(doc), &p, &err);
    if (rc != code) fail_msg("code %d, not %d: %s", rc, code, rc < 0 ? err.text : "");
    muse_runtime_close(&rt);
    return t;
}

static const char *tokenizer(void)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/reason/muse/tokenizer.json", getenv("MUSE_TEST_DATA"));
    return path;
}

static void same_files(const char *a, const char *b)
{
    static const char *const names[] = { "train.safetensors", "model.safetensors", "train.json", "rl.json", "rl.csv" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        MuseBuf x = { .alloc = &model->rt->alloc }, y = { .alloc = &model->rt->alloc };
        ok(muse_checkpoint_read_file(in_folder(a), names[i], &x, &err));
        ok(muse_checkpoint_read_file(in_folder(b), names[i], &y, &err));
        if (x.len != y.len || memcmp(x.data, y.data, x.len) != 0) fail_msg("%s differs", names[i]);
        muse_buf_clear(&x);
        muse_buf_clear(&y);
    }
}

static void finish(MuseTrainer *t, MuseTrainReport *r, double *first, double *last)
{
    int rc;
    while ((rc = muse_trainer_step(t, r, &err)) == 0) {
        if (r->step == 1 && first) *first = r->reward;
        if (last) *last = r->reward;
    }
    if (rc != MUSE_DONE) fail_msg("%s", err.text);
    muse_trainer_close(&t);
}

/* reward rises; a run that was stopped between checkpoints and resumed ends with the same bytes */
static void test_run(void **state)
{
    (void)state;
    char doc[2048];
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = text_prompt, .reward = even };
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":32,\"compute\":\"f32\",\"batch\":{\"samples\":2,\"positions\":96},\"optimizer\":{\"name\":\"adamw\",\"adam_rate\":0.01},"
             "\"data\":[{\"random\":{\"length\":20}}],\"checkpoint\":{\"every\":8},\"rl\":{\"stage\":\"grpo\",\"prompts\":4,\"samples\":8,\"thought_tokens\":6,\"answer_tokens\":4,"
             "\"supervised\":{\"weight\":0.05,\"every\":3},\"guard\":{\"prompts\":6,\"every\":10}}}", NET, tokenizer());
    MuseTrainReport r;
    double first = 0, last = 0;
    finish(open_run(doc, &prompts, in_folder("whole"), 0, 0, 0), &r, &first, &last);
    print_message("reward %.3f -> %.3f\n", first, last);
    assert_int_equal(r.rollouts, 32);
    assert_true(first < 0.65 && last > 0.85);
    MuseTrainer *t = open_run(doc, &prompts, in_folder("parts"), 0, 0, 0);
    for (int i = 0; i < 13; i++) ok(muse_trainer_step(t, &r, &err));   /* 8 is saved, 9 to 13 are lost */
    MuseTrainGuard g;
    ok(muse_trainer_guard(t, 0, &g));
    assert_true(g.n == 6 && g.step == 10);
    assert_int_equal(muse_trainer_guard(t, 1, &g), MUSE_ERR_NOT_FOUND);
    muse_trainer_close(&t);
    finish(open_run(doc, &prompts, in_folder("parts"), 1, 11, 0), &r, NULL, NULL);   /* a stop that was asked for, between measurements */
    finish(open_run(doc, &prompts, in_folder("parts"), 1, 0, 0), &r, NULL, NULL);
    same_files("whole/step-00000032", "parts/step-00000032");
}

/* fails at the call whose turn it is, once: as an interrupt in the caller's function */
static int failing_prompt(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *e)
{
    int *left = user;
    if (--*left == 0) {
        *e = (MuseError){ MUSE_ERR_CANCELLED, "not now" };
        return MUSE_ERR_CANCELLED;
    }
    return text_prompt(NULL, number, held_out, out, e);
}

/* what is saved behind a step that failed in the middle goes on as if there had been no such step: in rollouts, and while measuring */
static void test_failed_step(void **state)
{
    (void)state;
    char doc[2048];
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = text_prompt, .reward = even };
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":8,\"compute\":\"f32\",\"batch\":{\"samples\":2,\"positions\":96},\"optimizer\":{\"name\":\"adamw\",\"adam_rate\":0.01},"
             "\"data\":[{\"random\":{\"length\":20}}],\"rl\":{\"stage\":\"grpo\",\"prompts\":4,\"samples\":4,\"thought_tokens\":6,\"answer_tokens\":4,"
             "\"supervised\":{\"weight\":0.05,\"every\":3},\"guard\":{\"prompts\":6,\"every\":4}}}", NET, tokenizer());
    MuseTrainReport r;
    finish(open_run(doc, &prompts, in_folder("whole"), 0, 0, 0), &r, NULL, NULL);
    static const int calls[] = { 10, 28, 34 };   /* of 7 for a measurement, 5 a step */
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char name[32], last[64];
        int left = calls[i], rc;
        const MuseTrainPrompts failing = { .struct_size = sizeof failing, .make = failing_prompt, .reward = even, .user = &left };
        snprintf(name, sizeof name, "failed%zu", i);
        snprintf(last, sizeof last, "%s/step-00000008", name);
        MuseTrainer *t = open_run(doc, &failing, in_folder(name), 0, 0, 0);
        while ((rc = muse_trainer_step(t, &r, &err)) == 0) {}
        assert_int_equal(rc, MUSE_ERR_CANCELLED);
        ok(muse_trainer_save(t, &err));
        muse_trainer_close(&t);
        finish(open_run(doc, &prompts, in_folder(name), 1, 0, 0), &r, NULL, NULL);
        same_files("whole/step-00000008", last);
    }
}

/* what is right is the caller's to say */
static int odd_answers(void *user, const char *given, size_t n, const char *answer)
{
    (void)given;
    assert_string_equal(answer, "x");
    *(size_t *)user += 1;
    return n % 2;
}

static void test_same(void **state)
{
    (void)state;
    char doc[2048];
    size_t asked = 0;
    MuseTrainReport r;
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = text_prompt, .user = &asked, .same = odd_answers };
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":1,\"compute\":\"f32\",\"rl\":{\"stage\":\"grpo\",\"prompts\":2,\"samples\":32,\"thought_tokens\":2,\"answer_tokens\":40,"
             "\"supervised\":{\"weight\":0},\"guard\":{\"prompts\":0}}}", NET, tokenizer());
    finish(open_run(doc, &prompts, NULL, 0, 0, 0), &r, NULL, NULL);
    assert_true(asked > 0 && asked <= 64);
    assert_true(r.right > 0 && r.right < 1);   /* of random words some have an odd length; none is "x" */
    MuseTrainPrompts old = prompts;            /* a caller built before there was `same` */
    old.struct_size = offsetof(MuseTrainPrompts, same);
    asked = 0;
    finish(open_run(doc, &old, NULL, 0, 0, 0), &r, NULL, NULL);
    assert_true(asked == 0 && r.right == 0);
}

/* Two kinds of question. Both are right after a thought; one is right at once too. Stage "mode" learns to think for the other only. */
static void test_mode(void **state)
{
    (void)state;
    char doc[2048];
    write_text("train.jsonl", "{\"parts\":[{\"text\":\"easy?\"}],\"branches\":[{\"task\":\"easy\",\"answer\":\"yes\"},{\"task\":\"easy\",\"thought\":\"so\",\"answer\":\"yes\"}]}\n"
               "{\"parts\":[{\"text\":\"hard?\"}],\"branches\":[{\"task\":\"hard\",\"answer\":\"no\"},{\"task\":\"hard\",\"thought\":\"hm\",\"answer\":\"yes\"}]}\n");
    write_text("ask.jsonl", "{\"task\":\"easy\",\"parts\":[{\"text\":\"easy?\"}],\"answer\":\"yes\"}\n{\"task\":\"hard\",\"parts\":[{\"text\":\"hard?\"}],\"answer\":\"yes\"}\n");
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":80,\"compute\":\"f32\",\"tasks\":[\"easy\",\"hard\"],\"batch\":{\"samples\":4,\"positions\":128},"
             "\"optimizer\":{\"name\":\"adamw\",\"adam_rate\":0.005},\"data\":[{\"jsonl\":\"train.jsonl\"}]}", NET, tokenizer());
    MuseTrainReport r;
    finish(open_run(doc, NULL, in_folder("sft"), 0, 0, 0), &r, NULL, NULL);
    assert_true(r.accuracy == 1);
    snprintf(doc, sizeof doc, "{\"model\":\"sft/step-00000080\",\"steps\":30,\"compute\":\"f32\",\"tasks\":[\"easy\",\"hard\"],\"batch\":{\"samples\":4,\"positions\":128},"
             "\"optimizer\":{\"name\":\"adamw\",\"adam_rate\":0.003},\"data\":[{\"jsonl\":\"train.jsonl\"}],"
             "\"rl\":{\"stage\":\"mode\",\"jsonl\":\"ask.jsonl\",\"held_out\":\"ask.jsonl\",\"prompts\":4,\"thought_tokens\":8,\"answer_tokens\":8,\"guard\":{\"prompts\":2,\"every\":100}}}");
    MuseTrainer *t = open_run(doc, NULL, in_folder("mode"), 0, 0, 0);
    while (muse_trainer_step(t, &r, &err) == 0) {}
    MuseTrainGuard easy, hard;
    ok(muse_trainer_guard(t, 0, &easy));
    ok(muse_trainer_guard(t, 1, &hard));
    assert_string_equal(easy.task, "easy");
    assert_true(easy.n == 1 && easy.step == 30 && easy.accuracy[MUSE_GUARD_FREE] == 1 && easy.accuracy[MUSE_GUARD_THINK] == 1 && easy.thinks == 0);
    assert_true(hard.accuracy[MUSE_GUARD_FREE] == 1 && hard.accuracy[MUSE_GUARD_DIRECT] == 0 && hard.accuracy[MUSE_GUARD_THINK] == 1 && hard.thinks == 1);
    assert_true(easy.tokens[MUSE_GUARD_FREE] < hard.tokens[MUSE_GUARD_FREE] && easy.tokens[MUSE_GUARD_FREE] == easy.tokens[MUSE_GUARD_DIRECT]);
    muse_trainer_close(&t);
}

static void test_refused(void **state)
{
    (void)state;
    write_text("ask.jsonl", "{\"parts\":[{\"text\":\"easy?\"}],\"answer\":\"yes\"}\n");
    static const struct { const char *rl; int code; const char *text; } cases[] = {
        { "{}", MUSE_ERR_FORMAT, "stage" },
        { "{\"stage\":\"ppo\"}", MUSE_ERR_FORMAT, "stage" },
        { "{\"stage\":\"grpo\"}", MUSE_ERR_UNSUPPORTED, "prompts" },
        { "{\"stage\":\"grpo\",\"worlds\":{}}", MUSE_ERR_UNSUPPORTED, "worlds" },
        { "{\"stage\":\"grpo\",\"jsonl\":\"ask.jsonl\",\"worlds\":{}}", MUSE_ERR_FORMAT, "worlds" },
        { "{\"stage\":\"grpo\",\"jsonl\":\"ask.jsonl\"}", MUSE_ERR_FORMAT, "held_out" },
        { "{\"stage\":\"grpo\",\"held_out\":\"ask.jsonl\"}", MUSE_ERR_FORMAT, "held_out" },
        { "{\"stage\":\"grpo\",\"jsonl\":\"none.jsonl\",\"guard\":{\"prompts\":0}}", MUSE_ERR_IO, "none.jsonl" },
        { "{\"stage\":\"grpo\",\"samples\":1}", MUSE_ERR_FORMAT, "samples" },
        { "{\"stage\":\"grpo\",\"scale\":\"group\"}", MUSE_ERR_FORMAT, "scale" },
        { "{\"stage\":\"grpo\",\"reward\":{\"wright\":1}}", MUSE_ERR_FORMAT, "wright" },
        { "{\"stage\":\"grpo\",\"reward\":{\"cut\":2}}", MUSE_ERR_FORMAT, "cut" },
        { "{\"stage\":\"grpo\",\"guard\":{\"every\":0}}", MUSE_ERR_FORMAT, "every" },
        { "{\"stage\":\"grpo\",\"temperature\":0}", MUSE_ERR_FORMAT, "temperature" },   /* greedy answers are all alike */
        { "{\"stage\":\"mode\",\"margin\":1.5}", MUSE_ERR_FORMAT, "margin" },
        { "{\"stage\":\"mode\",\"margin\":0}", MUSE_ERR_FORMAT, "margin" },
        { "{\"stage\":\"mode\",\"samples\":2}", MUSE_ERR_FORMAT, "samples" },
        { "{\"stage\":\"mode\",\"samples\":2,\"temperature\":0}", MUSE_ERR_FORMAT, "samples" },
        { "{\"stage\":\"mode\",\"reward\":{\"right\":1}}", MUSE_ERR_FORMAT, "\"reward\" is of stage \"grpo\"" },
        { "{\"stage\":\"mode\",\"scale\":\"none\"}", MUSE_ERR_FORMAT, "\"scale\" is of stage \"grpo\"" },
        { "{\"stage\":\"grpo\",\"margin\":0.05}", MUSE_ERR_FORMAT, "\"margin\" is of stage \"mode\"" },
        { "{\"stage\":\"mode\",\"think_weight\":2}", MUSE_ERR_FORMAT, "think_weight" },
        { "{\"stage\":\"grpo\",\"temprature\":1}", MUSE_ERR_FORMAT, "temprature" },
        { "{\"stage\":\"grpo\",\"jsonl\":\"ask.jsonl\",\"guard\":{\"prompts\":0},\"supervised\":{\"weight\":0.5}}", MUSE_ERR_FORMAT, "data" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char doc[2048];
        snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":3,\"compute\":\"f32\"%s,\"rl\":%s}", NET, tokenizer(), strstr(cases[i].rl, "supervised") ? "" : ",\"data\":[{\"random\":{\"length\":20}}]",
                 cases[i].rl);
        open_run(doc, NULL, NULL, 0, 0, cases[i].code);
        if (!strstr(err.text, cases[i].text)) fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].rl, err.text, cases[i].text);
    }
    /* a checkpoint of a run without "rl" */
    char doc[2048];
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":3,\"compute\":\"f32\",\"data\":[{\"random\":{\"length\":20}}]}", NET, tokenizer());
    MuseTrainReport r;
    finish(open_run(doc, NULL, in_folder("plain"), 0, 1, 0), &r, NULL, NULL);
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":3,\"compute\":\"f32\",\"rl\":{\"stage\":\"grpo\",\"jsonl\":\"ask.jsonl\",\"guard\":{\"prompts\":0},\"supervised\":{\"weight\":0}}}", NET,
             tokenizer());
    open_run(doc, NULL, in_folder("plain"), 1, 0, MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "rl.json"));
}

/* a key that is null is absent: no rates of trial and reward */
static void test_null(void **state)
{
    (void)state;
    static const char *const docs[] = { "{\"model\":\"start\",\"steps\":4}", "{\"model\":\"start\",\"steps\":4,\"rl\":null,\"compute\":null,\"optimizer\":{\"name\":null}}" };
    static MuseTrainConfig c[2];
    for (int i = 0; i < 2; i++) ok(muse_train_config_read(&c[i], &model->rt->alloc, &model->rt->log, docs[i], strlen(docs[i]), "folder", &err));
    assert_true(c[0].optim.rate == 0.02 && c[0].optim.warmup == 20 && c[1].rl.stage == 0);
    assert_memory_equal(&c[0].optim, &c[1].optim, sizeof c->optim);
    for (int i = 0; i < 2; i++) muse_train_config_clear(&c[i]);
}

/* "supervised" weighs all that data teach: groups, labels, gazes */
static void test_supervised(void **state)
{
    (void)state;
    static const char doc[] = "{\"model\":\"start\",\"steps\":4,\"groups\":[1,0.8],\"labels\":{\"tap\":1,\"heads\":[{\"name\":\"kind\",\"classes\":3,\"weight\":0.4}]},"
                              "\"gaze\":{\"layer\":0,\"head\":0,\"weight\":0.6},\"rl\":{\"stage\":\"grpo\",\"supervised\":{\"weight\":0.25}}}";
    static MuseTrainConfig c;
    ok(muse_train_config_read(&c, &model->rt->alloc, &model->rt->log, doc, strlen(doc), "folder", &err));
    assert_int_equal(c.n_groups, 3);
    assert_true(c.group_weight[0] == 0.25 && c.group_weight[1] == 0.2 && c.group_weight[2] == 1);
    assert_true(c.head_weight[0] == 0.1 && c.gaze_weight == 0.15);
    muse_train_config_clear(&c);
}

/* data can't have the group that is the rollouts' */
static void test_group(void **state)
{
    (void)state;
    char doc[2048];
    write_text("ask.jsonl", "{\"parts\":[{\"text\":\"easy?\"}],\"answer\":\"yes\",\"group\":1}\n");
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = text_prompt, .reward = even };
    snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":3,\"compute\":\"f32\",\"data\":[{\"jsonl\":\"ask.jsonl\"}],\"rl\":{\"stage\":\"grpo\",\"prompts\":1,\"samples\":2,\"thought_tokens\":2,"
             "\"answer_tokens\":2,\"guard\":{\"prompts\":0}}}", NET, tokenizer());
    MuseTrainer *t = open_run(doc, &prompts, NULL, 0, 0, 0);
    assert_int_equal(muse_trainer_step(t, NULL, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "group 1; the configuration has 1"));
    muse_trainer_close(&t);
}

/* the state of a run: what is written is read back; anything else is refused */
static void test_state(void **state)
{
    (void)state;
    static MuseTrainConfig c;
    static MuseRl rl, again;
    MuseBuf json = { .alloc = &model->rt->alloc };
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = text_prompt };
    const MuseTextTokenizer *tok;
    ok(muse_model_tokenizer(model, &tok, &err));
    ok(muse_rl_open(&rl, model->rt, &c, tok, &prompts, &err));
    ok(muse_rl_open(&again, model->rt, &c, tok, &prompts, &err));
    rl.number = 77;
    rl.tasks[0] = (MuseRlTask){ 0.8, { 1, 2 }, { 3, 4 }, 0.1, 1.0 / 3 };
    ok(muse_rl_write(&rl, &json, &err));
    ok(muse_rl_read(&again, json.data, json.len, &err));
    assert_true(again.number == 77 && again.measured_at == UINT64_MAX);
    assert_memory_equal(&again.tasks[0], &rl.tasks[0], sizeof rl.tasks[0]);
    static char task[] = "new";   /* one that the run did not have: it begins, prompts without a task go on */
    c.tasks[0] = task, c.n_tasks = 1;
    muse_rl_close(&again);
    ok(muse_rl_open(&again, model->rt, &c, tok, &prompts, &err));
    ok(muse_rl_read(&again, json.data, json.len, &err));
    assert_true(again.tasks[0].budget == 1 && again.tasks[0].first == -1);
    assert_memory_equal(&again.tasks[1], &rl.tasks[0], sizeof rl.tasks[0]);
    /* names, not places: "old" stood first and is gone, "new" was second */
    static const char moved[] = "{\"number\":1,\"measured_at\":0,\"names\":[\"old\",\"new\"],\"tasks\":[[0.1,1,1,1,1,1,1],[0.5,1,1,1,1,1,1],[0.7,1,1,1,1,1,1]]}";
    ok(muse_rl_read(&again, moved, sizeof moved - 1, &err));
    assert_true(again.tasks[0].budget == 0.5 && again.tasks[1].budget == 0.7);
    json.len = 0;
    ok(muse_rl_write(&again, &json, &err));
    ok(muse_buf_append(&json, "", 1));
    assert_non_null(strstr((const char *)json.data, "\"names\": [\"new\"]"));
    static const char *const bad[] = { "", "{}", "{\"number\":1,\"measured_at\":0,\"tasks\":[[1,1,1,1,1,1,1],[1,1,1,1,1,1,1],[1,1,1,1,1,1,1]]}", "{\"number\":-1,\"measured_at\":0,\"tasks\":[[1,1,1,1,1,1,1]]}", "{\"number\":1,\"measured_at\":0,\"tasks\":[]}",
                                       "{\"number\":1,\"measured_at\":0,\"names\":[1],\"tasks\":[[1,1,1,1,1,1,1],[1,1,1,1,1,1,1]]}", "{\"number\":1,\"measured_at\":0,\"names\":[],\"tasks\":[[1,1,1,1,1,1,1],[1,1,1,1,1,1,1]]}",
                                       "{\"number\":1,\"measured_at\":0,\"tasks\":[[1,1,1,1,1,1]]}", "{\"number\":1,\"measured_at\":0,\"tasks\":[[1,1,1,1,1,1,\"x\"]]}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(muse_rl_read(&again, bad[i], strlen(bad[i]), &err), MUSE_ERR_FORMAT);
    muse_buf_clear(&json);
    muse_rl_close(&rl);
    muse_rl_close(&again);
}

/* ---- allocations that fail ---- */

typedef struct Budget { long left; } Budget;

static void *budget_alloc(void *user, size_t size)
{
    Budget *b = user;
    return b->left-- > 0 ? malloc(size) : NULL;
}

static void budget_free(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

/* measuring and both stages; whichever allocation fails, the answer is MUSE_ERR_NOMEM and all is released */
static void test_no_memory(void **state)
{
    (void)state;
    const MuseTrainPrompts prompts = { .struct_size = sizeof prompts, .make = text_prompt, .reward = even };
    for (int mode = 0; mode < 2; mode++) {
        char doc[2048];
        bool whole = false;
        snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s\",\"steps\":1,\"compute\":\"f32\",\"batch\":{\"positions\":64},\"rl\":{\"stage\":\"%s\",\"prompts\":1,\"samples\":2,\"temperature\":1,"
                 "\"thought_tokens\":2,\"answer_tokens\":2,\"supervised\":{\"weight\":0},\"guard\":{\"prompts\":1}}}", NET, tokenizer(), mode ? "mode" : "grpo");
        for (long n = 0; !whole; n += 1 + n / 30) {
            Budget budget = { n };
            MuseRuntimeParams rp;
            MuseRuntime *rt = NULL;
            MuseTrainerParams p;
            MuseTrainer *t = NULL;
            muse_runtime_params_init(&rp);
            rp.threads = 1;
            rp.allocator = (MuseAllocator){ budget_alloc, budget_free, &budget };
            muse_trainer_params_init(&p);
            p.prompts = &prompts;
            p.out = in_folder("memory");
            if (muse_runtime_open(&rt, &rp, &err) < 0) continue;
            int rc = muse_trainer_open(&t, rt, doc, strlen(doc), &p, &err);
            if (rc == 0) rc = muse_trainer_step(t, NULL, &err);
            whole = rc == 0;
            if (rc != 0 && rc != MUSE_ERR_NOMEM) fail_msg("%ld allocations: code %d, %s", n, rc, err.text);
            muse_trainer_close(&t);
            muse_runtime_close(&rt);
            assert_true(n < 1000000);
        }
        char command[160];
        snprintf(command, sizeof command, "rm -r %s", in_folder("memory"));
        assert_int_equal(system(command), 0);
    }
}

static int begin(void **state)
{
    (void)state;
    model = muse_model();
    picture = make_picture(300, 200);
    return 0;
}

static int end(void **state)
{
    (void)state;
    muse_image_close(&picture);
    muse_model_close(&model);
    return 0;
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rewards), cmocka_unit_test(test_advantages), cmocka_unit_test(test_budget), cmocka_unit_test(test_gain), cmocka_unit_test(test_odds), cmocka_unit_test(test_bandit),
        cmocka_unit_test(test_samples), cmocka_unit_test(test_closed), cmocka_unit_test(test_prompts), cmocka_unit_test(test_foreign_task), cmocka_unit_test(test_null), cmocka_unit_test(test_supervised), IN_FOLDER(test_group), cmocka_unit_test(test_state), IN_FOLDER(test_run), IN_FOLDER(test_failed_step), IN_FOLDER(test_same), IN_FOLDER(test_mode), IN_FOLDER(test_refused), IN_FOLDER(test_no_memory) };
    return cmocka_run_group_tests(tests, begin, end);
}
