/* SPDX-License-Identifier: Apache-2.0 */
/* The whole network: loss and gradients of every tensor, in f32, against central differences of tests/grad/reference.h in
 * double; bf16 against f32; threads and chunks. Packed batches with pictures, looks, sounds, branches, labels, gazes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "libmuse/decoder/mask.h"
#include "libmuse/train/share.h"
#include "tests/grad/reference.h"

static MuseError err;

typedef struct Case {
    const char *name, *config;
    bool labels, gaze, soft, sound, picture;
    uint32_t threads, level;
} Case;

#define HEAD "{\"model_type\":\"muse\",\"muse_version\":1,\"max_position_embeddings\":256,\"rms_norm_eps\":1e-5,\"rope_theta\":100,\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":0,\"vocab_size\":23,"
#define RELU2 HEAD "\"hidden_size\":16,\"intermediate_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"num_key_value_heads\":2,\"head_dim\":8,\"hidden_act\":\"relu2\",\"qk_norm\":true,\"rope_pairs\":[2,1,1],\"tie_word_embeddings\":true,"
#define SILU HEAD "\"hidden_size\":12,\"intermediate_size\":20,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":6,\"hidden_act\":\"silu\",\"qk_norm\":false,\"rope_pairs\":[1,1,1],\"tie_word_embeddings\":false,\"final_logit_softcapping\":4,"
#define IMAGE "\"image_config\":{\"patch_size\":2,\"places\":8,\"budgets\":[4,16],\"default_budget\":4"
#define AUDIO "\"audio_config\":{\"mel_bins\":3,\"stack\":2}}"

static const Case cases[] = {
    { "relu2, tied, patch MLP, everything", RELU2 IMAGE ",\"mlp_size\":10}," AUDIO, true, true, true, true, true, 1, 0 },
    { "patch MLP with levels", RELU2 IMAGE ",\"mlp_size\":70,\"levels\":true}," AUDIO, true, true, true, true, true, 1, 0 },
    { "gated silu, grouped heads, own head, soft-cap", SILU IMAGE "}," AUDIO, true, false, false, true, true, 1, 0 },
    { "three threads", RELU2 IMAGE "}," AUDIO, true, true, false, true, true, 3, 0 },
    { "portable C", RELU2 IMAGE ",\"mlp_size\":10}," AUDIO, true, true, true, true, true, 1, MUSE_CPU_C },
    { "pictures seen causally", RELU2 IMAGE ",\"image_mask\":\"causal\"}," AUDIO, true, true, false, true, true, 1, 0 },
    { "text alone", RELU2 "\"eos_token_id\":2}", false, false, false, false, false, 1, 0 },
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct Fixture {
    MuseRuntime *rt;
    MuseConfig config;
    MuseBatchRules rules;
    MuseNet net;
    MuseTrainBatch batch;
    MuseNetScale scale;
} Fixture;

static float noise(uint64_t i)
{
    MuseRandom r = { i * 7919 + 5 };
    muse_random_next(&r);
    return muse_random_normal(&r);
}

/* one picture (and a sound), two or three branches; the second looks again in the middle */
static void add_sample(Fixture *f, const Case *c, int number)
{
    static int32_t ids[40];
    static float weights[40], pixels[16 * 12], frames[5 * 6];
    for (int i = 0; i < 40; i++) ids[i] = (i * 7 + number * 3) % 23, weights[i] = i % 3 == 2 ? 0 : 0.5f + 0.1f * (float)i;
    for (int i = 0; i < 16 * 12; i++) pixels[i] = noise((uint64_t)(i + 1000 * number));
    for (int i = 0; i < 30; i++) frames[i] = noise((uint64_t)(i + 5000));
    MuseTrainPart prefix[3] = { { .modality = MUSE_TEXT, .n = 2, .ids = ids }, { .modality = MUSE_IMAGE, .n = 6, .grid_width = 3, .grid_height = 2, .features = pixels },
                                { .modality = MUSE_AUDIO, .n = 5, .features = frames } };
    size_t n_prefix = 1;
    if (c->picture) n_prefix = 2;
    if (c->sound && number) prefix[n_prefix++] = (MuseTrainPart){ .modality = MUSE_AUDIO, .n = 5, .features = frames };
    const MuseTrainPart first[] = { { .modality = MUSE_TEXT, .n = 9, .ids = ids + 5, .weights = weights } };
    MuseTrainPart second[] = { { .modality = MUSE_TEXT, .n = 4, .ids = ids + 2, .weights = weights + 3 },
                               { .modality = MUSE_IMAGE, .n = 4, .grid_width = 2, .grid_height = 2, .features = pixels + 60, .alone = 1 },
                               { .modality = MUSE_TEXT, .n = 5, .ids = ids + 20, .weights = weights + 1 } };
    if (!c->picture) second[1] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = 3, .ids = ids };
    const MuseTrainBranch branches[] = { { first, 1, 0, 0 }, { second, 3, 1, 1 }, { first, 1, UINT32_MAX, 0 } };
    const MuseTrainLabel labels[] = { { UINT32_MAX, 1, 3, 0, 2, 1 }, { UINT32_MAX, 1, 0, 1, 4, 0.5f }, { 1, 1, 2, 0, 0, 2 }, { UINT32_MAX, 0, 1, 1, 1, 1 } };
    const uint32_t look[] = { 1, 2, 5 };
    const MuseTrainGaze gazes[] = { { 1, 2, 1, 1, look, 3, 1 }, { 0, 0, 2, 1, look + 2, 1, 0.5f } };
    const MuseTrainSample s = { prefix, n_prefix, branches, number ? 3 : 2, labels, c->labels ? 4 : 0, gazes, c->gaze ? 2 : 0, NULL };
    if (muse_batch_add(&f->batch, &f->rules, &s, &err) < 0) fail_msg("%s", err.text);
}

static void open_rules(Fixture *f, const Case *c)
{
    MuseRuntimeParams p;
    memset(f, 0, sizeof *f);
    muse_runtime_params_init(&p);
    p.threads = c->threads;
    p.cpu_level = c->level;
    assert_int_equal(muse_runtime_open(&f->rt, &p, &err), 0);
    if (muse_config_from_json(&f->config, NULL, NULL, c->config, strlen(c->config), &err) < 0) fail_msg("%s", err.text);
    f->rules = (MuseBatchRules){ .config = &f->config, .n_tasks = 2, .n_groups = 2, .n_heads = c->labels ? 2 : 0, .classes = { 3, 5 }, .gaze = c->gaze };
    if (c->soft) {
        f->rules.place_first = 6, f->rules.place_count = 9, f->rules.radius = 3;
        for (int i = 0; i < 7; i++) f->rules.bell[i] = expf(-0.3f * (float)((i - 3) * (i - 3)));
    }
}

/* for the batch as it is now */
static void open_net(Fixture *f, bool bf16)
{
    assert_int_equal(muse_net_open(&f->net, f->rt, &f->config, &f->rules, bf16, f->batch.n, &err), 0);
    f->net.tap = 1, f->net.gaze_layer = 1, f->net.gaze_head = 1;
    for (size_t i = 0; i < f->net.layout.n_values; i++) f->net.master[i] = 0;
    for (size_t k = 0; k < f->net.layout.n; k++) {   /* nothing at zero or one, so that no term is missed */
        const MuseParam *q = &f->net.layout.items[k];
        for (size_t i = 0; i < q->rows * q->cols; i++) f->net.master[q->at + i] = (q->kind == MUSE_PARAM_VECTOR ? 0.7f : 0) + 0.35f * noise(q->at + i);
    }
    muse_net_refresh(&f->net);
    MuseNetScale sum = { 0 };
    muse_net_scale_add(&sum, &f->batch);
    for (int i = 0; i < 2; i++) f->scale.group[i] = sum.group[i] > 0 ? (1 + i) / sum.group[i] : 0, f->scale.head[i] = sum.head[i] > 0 ? 0.5 / sum.head[i] : 0;
    f->scale.gaze = sum.gaze > 0 ? 0.6 / sum.gaze : 0;
}

static void open_fixture(Fixture *f, const Case *c, bool bf16, int samples)
{
    open_rules(f, c);
    for (int i = 0; i < samples; i++) add_sample(f, c, i);
    open_net(f, bf16);
}

static void close_fixture(Fixture *f)
{
    muse_net_close(&f->net);
    muse_batch_clear(&f->batch);
    muse_config_clear(&f->config);
    muse_runtime_close(&f->rt);
}

static double pass(Fixture *f)
{
    MuseNetTerms terms = { 0 };
    MuseTaskSums tasks[2] = { { 0 } };
    memset(f->net.grad, 0, f->net.layout.n_values * sizeof(float));
    muse_net_pass(&f->net, &f->batch, &f->scale, &terms, tasks);
    return terms.text + terms.labels + terms.gaze;
}

/* What rows of the prefix see is what the decoder's mask lets them see, picture or not, under either rule. */
static void test_mask(void **state)
{
    (void)state;
    for (size_t k = 0; k < CASES; k++) {
        Fixture f;
        open_fixture(&f, &cases[k], false, 1);
        const uint32_t first = 2, end = cases[k].picture ? 8 : 2;   /* two tokens, six patches */
        for (uint32_t p = 0; p < end; p++) {
            const MuseRange r = muse_mask_range(f.config.image_mask, 0, p, p < first ? 0 : first, p < first ? 0 : end);
            assert_int_equal(f.batch.seen[p].lo0, r.lo);
            assert_int_equal(f.batch.seen[p].hi0, r.hi);
        }
        close_fixture(&f);
    }
}

/* Tolerance: f32 sums of some hundred terms, 1e-4 of the largest gradient of the tensor; central differences with steps of
 * 1e-5 have an error of about 1e-9 beside it. */
static void test_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < CASES; k++) {
        Fixture f;
        open_fixture(&f, &cases[k], false, 2);
        const size_t n = f.net.layout.n_values;
        double *w = ref_new(n);
        for (size_t i = 0; i < n; i++) w[i] = (double)f.net.master[i];
        const double got = pass(&f), want = ref_loss(&f.net, &f.batch, w, &f.scale);
        if (fabs(got - want) > 1e-5 * fabs(want)) fail_msg("%s: loss %.9g, want %.9g", cases[k].name, got, want);
        for (size_t t = 0; t < f.net.layout.n; t++) {
            const MuseParam *p = &f.net.layout.items[t];
            const size_t values = p->rows * p->cols, stride = values / 24 + 1;
            double largest = 0;
            for (size_t i = 0; i < values; i++) largest = fmax(largest, fabs((double)f.net.grad[p->at + i]));
            for (size_t i = t % stride; i < values; i += stride) {
                const double old = w[p->at + i], step = 1e-5;
                w[p->at + i] = old + step;
                const double up = ref_loss(&f.net, &f.batch, w, &f.scale);
                w[p->at + i] = old - step;
                const double slope = (up - ref_loss(&f.net, &f.batch, w, &f.scale)) / (2 * step), g = (double)f.net.grad[p->at + i];
                w[p->at + i] = old;
                if (fabs(g - slope) > 1e-4 * largest + 1e-7) fail_msg("%s: %s [%zu]: gradient %.9g, difference %.9g, largest %.3g", cases[k].name, p->name, i, g, slope, largest);
            }
            if (largest == 0 && strcmp(p->name, "train.labels.bias") != 0) fail_msg("%s: %s: no gradient at all", cases[k].name, p->name);
        }
        free(w);
        close_fixture(&f);
    }
}

/* Shared place vectors: tables are means of embeddings, and an embedding's gradient counts what it does by way of them. */
static void test_shared(void **state)
{
    (void)state;
    const MuseShare share = { .x = 3, .y = 14, .count = 6, .patches = 3 };
    Fixture f;
    open_fixture(&f, &cases[0], false, 2);
    const MuseLayout *l = &f.net.layout;
    const size_t d = f.config.width;
    assert_int_equal(muse_share_check(&share, &f.config, &err), 0);
    muse_share_put(&share, l, &f.config, f.net.master);
    for (size_t i = 0; i < d; i++) {
        assert_float_equal(f.net.master[l->cols + d + i], (f.net.master[l->embed + 5 * d + i] + f.net.master[l->embed + 6 * d + i]) / 2, 1e-6);
        assert_float_equal(f.net.master[l->rows + 2 * d + i], (f.net.master[l->embed + 18 * d + i] + f.net.master[l->embed + 19 * d + i]) / 2, 1e-6);
    }
    muse_net_refresh(&f.net);
    pass(&f);
    muse_share_back(&share, l, &f.config, f.net.grad);
    for (size_t i = 0; i < 3 * d; i++) assert_true(f.net.grad[l->cols + i] == 0 && f.net.grad[l->rows + i] == 0);
    double *w = ref_new(l->n_values), slope[2], largest = 0;
    for (size_t i = 0; i < 23 * d; i++) largest = fmax(largest, fabs((double)f.net.grad[l->embed + i]));
    for (size_t i = 0; i < 23 * d; i += 5) {   /* all tokens, places or not */
        const uint32_t id = (uint32_t)(i / d);
        for (int up = 0; up < 2; up++) {
            const double step = up ? 1e-5 : -1e-5;
            for (size_t k = 0; k < l->n_values; k++) w[k] = (double)f.net.master[k];
            w[l->embed + i] += step;
            if (id >= 3 && id < 9) w[l->cols + (id - 3) / 2 * d + i % d] += step / 2;
            if (id >= 14 && id < 20) w[l->rows + (id - 14) / 2 * d + i % d] += step / 2;
            slope[up] = ref_loss(&f.net, &f.batch, w, &f.scale);
        }
        const double g = (double)f.net.grad[l->embed + i], s = (slope[1] - slope[0]) / 2e-5;
        if (fabs(g - s) > 1e-4 * largest + 1e-7) fail_msg("token %u: gradient %.9g, difference %.9g", id, g, s);
    }
    free(w);
    close_fixture(&f);
}

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) ab += (double)a[i] * (double)b[i], aa += (double)a[i] * (double)a[i], bb += (double)b[i] * (double)b[i];
    return ab / sqrt(aa * bb + 1e-300);
}

/* bf16 has 8 bits: gradients of each tensor point the same way within 2 degrees (cosine 0.9994), the loss is within 1 % */
static void test_bf16(void **state)
{
    (void)state;
    for (size_t k = 0; k < CASES; k++) {
        Fixture f, h;
        open_fixture(&f, &cases[k], false, 2);
        open_fixture(&h, &cases[k], true, 2);
        const double exact = pass(&f), rough = pass(&h);
        if (fabs(exact - rough) > 0.01 * fabs(exact)) fail_msg("%s: loss %.6g in bf16, %.6g in f32", cases[k].name, rough, exact);
        for (size_t t = 0; t < f.net.layout.n; t++) {
            const MuseParam *p = &f.net.layout.items[t];
            const double c = cosine(f.net.grad + p->at, h.net.grad + p->at, p->rows * p->cols);
            if (c < 0.998) fail_msg("%s: %s: cosine %.6f of bf16 and f32 gradients", cases[k].name, p->name, c);
        }
        close_fixture(&f);
        close_fixture(&h);
    }
}

/* The same samples in one batch and one after the other: equal gradients, so packing leaks nothing from sample to sample. */
static void test_packing(void **state)
{
    (void)state;
    Fixture all, one;
    open_fixture(&all, &cases[0], false, 4);
    const double together = pass(&all);
    float *sum = calloc(all.net.layout.n_values, sizeof *sum);
    double apart = 0;
    for (int i = 0; i < 4; i++) {
        open_fixture(&one, &cases[0], false, 0);
        close_fixture(&one);
        open_fixture(&one, &cases[0], false, 4);
        muse_batch_reset(&one.batch);
        add_sample(&one, &cases[0], i);
        one.scale = all.scale;
        apart += pass(&one);
        for (size_t k = 0; k < all.net.layout.n_values; k++) sum[k] += one.net.grad[k];
        close_fixture(&one);
    }
    assert_true(fabs(together - apart) < 1e-5 * fabs(apart));
    assert_true(cosine(sum, all.net.grad, all.net.layout.n_values) > 0.9999999);
    free(sum);
    close_fixture(&all);
}

/* Branches over a shared prefix and each with a prefix of its own: equal losses and gradients. Lengths are around blocks of 64 rows;
 * late branches are far from their prefix, so that its keys and their own are two products. */
enum { LONG_PREFIX = 2, LONG_BRANCHES = 8 };

static void add_long(Fixture *f, size_t from, size_t to)
{
    static const size_t lengths[LONG_BRANCHES] = { 1, 63, 64, 65, 0, 200, 2, 129 };
    static int32_t ids[220];
    static float weights[220], pixels[64 * 12], frames[33 * 6];
    for (int i = 0; i < 220; i++) ids[i] = (i * i + 3 * i) % 23, weights[i] = i % 5 == 3 ? 0 : 1;
    for (int i = 0; i < 64 * 12; i++) pixels[i] = noise((uint64_t)i + 100);
    for (int i = 0; i < 33 * 6; i++) frames[i] = noise((uint64_t)i + 9000);
    const MuseTrainPart prefix[LONG_PREFIX] = { { .modality = MUSE_TEXT, .n = 71, .ids = ids }, { .modality = MUSE_IMAGE, .n = 64, .grid_width = 8, .grid_height = 8, .features = pixels } };
    MuseTrainPart parts[LONG_BRANCHES][3];
    MuseTrainBranch branches[LONG_BRANCHES];
    for (size_t i = 0; i < LONG_BRANCHES; i++) {
        parts[i][0] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = lengths[i], .ids = ids + i, .weights = weights + i };
        parts[i][1] = (MuseTrainPart){ .modality = MUSE_AUDIO, .n = 33, .features = frames };
        if (i % 2) parts[i][1] = (MuseTrainPart){ .modality = MUSE_IMAGE, .n = 30, .grid_width = 5, .grid_height = 6, .features = pixels + 200, .alone = i % 4 == 1 };
        parts[i][2] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = 40, .ids = ids + 2 * i, .weights = weights };
        branches[i] = (MuseTrainBranch){ parts[i], i % 3 ? 3 : 1, 0, i % 2 };
    }
    const MuseTrainSample s = { .prefix = prefix, .n_prefix = LONG_PREFIX, .branches = branches + from, .n_branches = to - from };
    if (muse_batch_add(&f->batch, &f->rules, &s, &err) < 0) fail_msg("%s", err.text);
}

static void test_branches_apart(void **state)
{
    (void)state;
    static const int which[] = { 0, 2, 3, 5 };
    for (size_t k = 0; k < sizeof which / sizeof *which; k++) {
        const Case *c = &cases[which[k]];
        Fixture shared, own;
        open_rules(&shared, c);
        add_long(&shared, 0, LONG_BRANCHES);
        open_net(&shared, false);
        open_rules(&own, c);
        for (size_t i = 0; i < LONG_BRANCHES; i++) add_long(&own, i, i + 1);
        open_net(&own, false);
        assert_true(own.batch.n > shared.batch.n && own.batch.n_targets == shared.batch.n_targets);
        const double a = pass(&shared), b = pass(&own);
        if (!(fabs(a - b) < 1e-6 * fabs(b))) fail_msg("%s: loss %.9g, apart %.9g", c->name, a, b);
        for (size_t i = 0; i < shared.net.layout.n; i++) {
            const MuseParam *p = &shared.net.layout.items[i];
            double off = 0, largest = 0;
            for (size_t v = 0; v < p->rows * p->cols; v++) {
                off = fmax(off, fabs((double)shared.net.grad[p->at + v] - (double)own.net.grad[p->at + v]));
                largest = fmax(largest, fabs((double)own.net.grad[p->at + v]));
            }
            if (!(off <= 2e-5 * largest)) fail_msg("%s: %s: off by %.3g of %.3g", c->name, p->name, off, largest);
        }
        close_fixture(&shared);
        close_fixture(&own);
    }
}

/* A pass repeated gives the same bits. */
static void test_repeats(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        Fixture f;
        open_fixture(&f, &cases[2], bf16, 3);
        const double first = pass(&f);
        const size_t bytes = f.net.layout.n_values * sizeof(float);
        float *grad = malloc(bytes);
        memcpy(grad, f.net.grad, bytes);
        assert_true(pass(&f) == first);
        assert_memory_equal(grad, f.net.grad, bytes);
        free(grad);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_mask), cmocka_unit_test(test_gradients), cmocka_unit_test(test_shared), cmocka_unit_test(test_bf16), cmocka_unit_test(test_packing), cmocka_unit_test(test_branches_apart), cmocka_unit_test(test_repeats) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
