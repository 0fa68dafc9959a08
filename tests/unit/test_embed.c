/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/embed: every stage of every golden and tiny case against its reference, from the files of the media; both containers,
 * both modes; many patches and threads; block-type tables; refused calls; allocations that fail, and none after open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/dtype.h"
#include "libmuse/embed/embed.h"
#include "tests/unit/image_help.h"

#include "tests/unit/case_util.h"

static MuseEmbed *open_embed(const MuseModel *m, MuseCompute compute)
{
    MuseEmbed *e = NULL;
    if (muse_embed_open(&e, m, compute, &err) < 0) fail_msg("%s", err.text);
    return e;
}

static void *reserve(const MuseEmbed *e, size_t n_patches, size_t n_frames)
{
    size_t bytes = 0;
    assert_true(muse_embed_workspace(e, n_patches, n_frames, &bytes));
    return muse_alloc(NULL, bytes + !bytes);   /* exactly: one byte too far is a report under ASan */
}

/* ---- a case ---- */

static const float *expected(const Case *c, const char *stage, size_t values)
{
    const MuseTensor *t = muse_weights_find(&c->expect, stage);
    if (!t) return NULL;
    uint64_t n = 0;
    assert_true(muse_tensor_values(t, &n));
    assert_int_equal(t->type, MUSE_TENSOR_F32);
    if (n != values) fail_msg("%s %s: %zu values, expected %llu", c->name, stage, values, (unsigned long long)n);
    return (const float *)(const void *)t->data;
}

/* largest difference over max(1, |want|) */
static void compare(Case *c, const char *stage, const float *got, size_t values, double limit)
{
    const float *want = expected(c, stage, values);
    if (!want) return;
    c->n_stages++;
    for (size_t i = 0; i < values; i++) {
        float w;
        memcpy(&w, (const uint8_t *)want + 4 * i, 4);
        const double off = fabs((double)got[i] - (double)w) / fmax(1, fabs((double)w));
        if (!(off <= limit)) fail_msg("%s %s (%s): value %zu is %g, expected %g", c->name, stage, c->f32 ? "f32" : "bf16", i, (double)got[i], (double)w);
    }
}

/* ---- stages of one call, compared picture by picture ---- */

typedef struct Look { Case *c; const char *medium; size_t counts[4], n; char said[64]; } Look;

static double limit_of(const Case *c, const char *stage)
{
    if (strcmp(stage, "patches") == 0) return c->model->family.image.offset != 0 ? 3e-7 : 1e-7;   /* with an offset, a step of f32 at 2 */
    if (strcmp(stage, "frames") == 0) return c->model->config.audio.mel_bins ? 5e-4 : 1e-7;   /* log-mel: f32 spectra, docs/audio.md */
    return c->f32 ? 1e-4 : strncmp(stage, "rows_bf16_", 10) == 0 ? 0.05 : 0.3;
}

static void look(void *user, const char *stage, const float *data, size_t rows, size_t width)
{
    Look *l = user;
    size_t at = 0;
    strncat(l->said, stage, sizeof l->said - strlen(l->said) - 1);
    strncat(l->said, " ", sizeof l->said - strlen(l->said) - 1);
    for (size_t i = 0; i < l->n; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%zu.%s", l->medium, i, stage);
        compare(l->c, name, data + at * width, l->counts[i] * width, limit_of(l->c, stage));
        at += l->counts[i];
    }
    assert_int_equal(at, rows);
}

/* in bf16 mode there are closer references */
static void look_rounded(Look *l, const char *stage, const float *data, size_t width)
{
    if (!l->c->f32) look(l, stage, data, l->counts[0] + l->counts[1] + l->counts[2] + l->counts[3], width);
}

static float *gather(const Case *c, int modality, Look *l, uint32_t **x, uint32_t **y)
{
    size_t total = 0, width = 0, at = 0;
    MuseSpanInfo s;
    for (size_t k = 0; muse_sequence_span(c->seq, k, &s) == 0; k++) {
        if (s.modality != modality) continue;
        assert_true(l->n < 4);
        width = s.feature_width;
        total += l->counts[l->n++] = s.n_features;
    }
    float *features = muse_alloc_array(NULL, total, width * sizeof *features);
    *x = muse_alloc_array(NULL, total, sizeof **x);
    *y = muse_alloc_array(NULL, total, sizeof **y);
    for (size_t k = 0; muse_sequence_span(c->seq, k, &s) == 0; k++) {
        if (s.modality != modality) continue;
        assert_int_equal(muse_sequence_features(c->seq, k, 0, s.n_features, features + at * width, &err), 0);
        for (size_t i = 0; i < s.n_features; i++, at++) {
            (*x)[at] = modality == MUSE_IMAGE ? (uint32_t)i % s.image.grid_width : 0;
            (*y)[at] = modality == MUSE_IMAGE ? (uint32_t)i / s.image.grid_width : 0;
        }
    }
    return features;
}

/* all pictures (sounds) of the case in one call; their rows also go where the sequence has them */
static void check_medium(Case *c, const MuseEmbed *e, int modality, float *embeddings)
{
    Look l = { .c = c, .medium = modality == MUSE_IMAGE ? "image" : "audio" };
    const MuseStages stages = { look, &l };
    const size_t d = c->model->config.width;
    uint32_t *x, *y;
    float *features = gather(c, modality, &l, &x, &y);
    const size_t n = l.counts[0] + l.counts[1] + l.counts[2] + l.counts[3];
    if (n > 0) {
        float *rows = muse_alloc_array(NULL, n, d * sizeof *rows);
        void *workspace = modality == MUSE_IMAGE ? reserve(e, n, 0) : reserve(e, 0, n);
        if (modality == MUSE_AUDIO) muse_embed_frames(e, rows, features, n, workspace, &stages);
        else if (muse_embed_patches(e, rows, features, x, y, n, workspace, &stages, &err) < 0) fail_msg("%s", err.text);
        assert_string_equal(l.said, modality == MUSE_AUDIO ? "frames rows " : c->model->config.arch == MUSE_ARCH_GEMMA4 ? "patches patch_dense pos_norm rows " : "patches patch_dense rows ");
        look_rounded(&l, modality == MUSE_IMAGE ? "rows_bf16_patches" : "rows_bf16_frames", rows, d);
        for (size_t i = 0, at = 0; i < muse_sequence_length(c->seq); i++) {
            MusePosition p;
            muse_sequence_position(c->seq, i, &p);
            if (p.modality == modality && !p.is_marker) memcpy(embeddings + i * d, rows + at++ * d, d * sizeof *rows);
        }
        muse_free(workspace);
        muse_free(rows);
    }
    muse_free(features);
    muse_free(x);
    muse_free(y);
}

static void check_case(const MuseModel *m, const char *folder, bool f32)
{
    Case c = { .model = m, .name = folder, .f32 = f32 };
    open_case(&c, folder);
    MuseEmbed *e = open_embed(m, f32 ? MUSE_COMPUTE_F32 : MUSE_COMPUTE_BF16);
    const size_t length = muse_sequence_length(c.seq), d = m->config.width;
    float *embeddings = muse_alloc_array(NULL, length, d * sizeof *embeddings);
    for (size_t i = 0; i < length; i++) {
        MusePosition p;
        muse_sequence_position(c.seq, i, &p);
        if (p.modality == MUSE_TEXT || p.is_marker) muse_embed_tokens(e, embeddings + i * d, &p.id, 1);
    }
    check_medium(&c, e, MUSE_IMAGE, embeddings);
    check_medium(&c, e, MUSE_AUDIO, embeddings);
    compare(&c, "embeddings", embeddings, length * d, f32 ? 1e-4 : 0.3);
    assert_true(c.n_stages > 0);
    muse_free(embeddings);
    muse_embed_close(&e);
    close_case(&c);
}

/* ---- the cases ---- */

static const char *const gemma_a[] = { "audio-mono", "audio-stereo", "image-audio-text", "image-down-rgba", "image-exact", "image-sliver", "image-square", "image-tall-grey", "image-wide",
                                       "text-short", "two-images", NULL };
static const char *const gemma_b[] = { "audio-mono", "audio-stereo", "image-audio-text", "image-exact", "image-tall", "image-up", "text-short", NULL };
static const char *const text_only[] = { "text-short", NULL };
static const char *const muse_cases[] = { "text-short", "image-audio-text", NULL };
static const char *const fuyu_cases[] = { "text-short", "image-text", NULL };

static const struct { const char *folder, *model, *mmproj; const char *const *cases; uint32_t threads; } models[] = {
    { "golden/gemma4-a", "hf", NULL, gemma_a, 1 },
    { "golden/gemma4-a", "gguf/text-bf16.gguf", "gguf/mmproj-bf16.gguf", gemma_a, 1 },
    { "golden/gemma4-b", "hf", NULL, gemma_b, 3 },
    { "golden/llama3", "hf", NULL, text_only, 1 },
    { "golden/llama3", "gguf/model-bf16.gguf", NULL, text_only, 1 },
    { "golden/qwen2", "gguf/model-f32.gguf", NULL, text_only, 1 },
    { "golden/qwen3", "hf", NULL, text_only, 1 },
    { "tiny/muse", "hf", NULL, muse_cases, 1 },
    { "tiny/muse-b", "hf", NULL, muse_cases, 2 },
    { "tiny/fuyu", "hf", NULL, fuyu_cases, 1 },
};

static void check_model(size_t i, uint32_t cpu_level)
{
    char name[128], mmproj[128], folder[256];
    snprintf(name, sizeof name, "%s/%s", models[i].folder, models[i].model);
    snprintf(mmproj, sizeof mmproj, "%s/%s", models[i].folder, models[i].mmproj ? models[i].mmproj : "");
    MuseRuntimeParams params;
    muse_runtime_params_init(&params);
    params.threads = models[i].threads;
    params.cpu_level = cpu_level;
    MuseRuntime *rt = NULL;
    assert_int_equal(muse_runtime_open(&rt, &params, &err), 0);
    MuseModel *m = open_model(name, models[i].mmproj ? mmproj : NULL, rt);
    for (const char *const *c = models[i].cases; *c; c++) {
        snprintf(folder, sizeof folder, "%s/cases/%s/", models[i].folder, *c);
        check_case(m, folder, true);
        check_case(m, folder, false);
    }
    muse_model_close(&m);
    muse_runtime_close(&rt);
}

static void cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        check_model(i, MUSE_CPU_AUTO);
        check_model(i, MUSE_CPU_C);
    }
}

/* ---- many patches, on several threads: each is embedded as if alone ---- */

static void fill(float *v, size_t n)
{
    uint32_t s = 1;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;   /* Numerical Recipes' generator */
        v[i] = (float)(s >> 24) / 255;
    }
}

static void check_many(const char *model, const char *mmproj)
{
    enum { N = 600 };   /* more than a chunk of the products, more values than one thread takes */
    MuseRuntime *rt = open_runtime(3, NULL), *one = open_runtime(1, NULL);
    MuseModel *m = open_model(model, mmproj, rt), *alone = open_model(model, mmproj, one);
    MuseEmbed *e = open_embed(m, MUSE_COMPUTE_F32), *single = open_embed(alone, MUSE_COMPUTE_F32);
    const size_t d = m->config.width, width = (size_t)m->config.image.unit * m->config.image.unit * 3;
    float *patches = muse_alloc_array(NULL, N, width * sizeof *patches), *again = muse_alloc_array(NULL, N, width * sizeof *patches);
    float *rows = muse_alloc_array(NULL, N, d * sizeof *rows), *row = muse_alloc_array(NULL, d, sizeof *row);
    uint32_t x[N], y[N];
    fill(patches, N * width);
    memcpy(again, patches, N * width * sizeof *patches);
    for (size_t i = 0; i < N; i++) x[i] = (uint32_t)i % 7, y[i] = (uint32_t)i / 7 % 5;
    void *workspace = reserve(e, N, 0), *small = reserve(single, 1, 0);
    assert_int_equal(muse_embed_patches(e, rows, patches, x, y, N, workspace, NULL, &err), 0);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(muse_embed_patches(single, row, again + i * width, x + i, y + i, 1, small, NULL, &err), 0);
        for (size_t k = 0; k < d; k++) assert_true(fabsf(row[k] - rows[i * d + k]) <= 1e-4f * fmaxf(1, fabsf(row[k])));
    }
    muse_free(workspace), muse_free(small), muse_free(patches), muse_free(again), muse_free(rows), muse_free(row);
    muse_embed_close(&e), muse_embed_close(&single);
    muse_model_close(&m), muse_model_close(&alone);
    muse_runtime_close(&rt), muse_runtime_close(&one);
}

static void many(void **state)
{
    (void)state;
    check_many("golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf");
    check_many("tiny/muse-b/hf", NULL);
    check_many("tiny/fuyu/hf", NULL);
}

/* ---- bf16 mode rounds patches and frames before anything else: rounded ones give the same bits ---- */

static void round_all(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) v[i] = muse_bf16_f32(muse_f32_bf16(v[i]));
}

static void rounding(void **state)
{
    (void)state;
    enum { N = 12 };
    static const MuseCompute modes[] = { MUSE_COMPUTE_F32, MUSE_COMPUTE_BF16, MUSE_COMPUTE_AUTO };   /* these weights are bf16 */
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL, NULL);
    const size_t d = m->config.width, widths[] = { (size_t)m->config.image.unit * m->config.image.unit * 3, m->config.audio.frame };
    const uint32_t x[N] = { 0 }, y[N] = { 0 };
    for (size_t i = 0; i < COUNT_OF(modes) * 2; i++) {
        const bool frames = i % 2, f32 = modes[i / 2] == MUSE_COMPUTE_F32;
        const size_t values = N * widths[frames];
        MuseEmbed *e = open_embed(m, modes[i / 2]);
        void *workspace = reserve(e, N, N);
        float *features = muse_alloc_array(NULL, values, sizeof *features), *rows[2];
        for (int rounded = 0; rounded < 2; rounded++) {
            rows[rounded] = muse_alloc_array(NULL, N, d * sizeof *features);
            fill(features, values);
            if (rounded) round_all(features, values);
            if (frames) muse_embed_frames(e, rows[rounded], features, N, workspace, NULL);
            else assert_int_equal(muse_embed_patches(e, rows[rounded], features, x, y, N, workspace, NULL, &err), 0);
        }
        assert_int_equal(memcmp(rows[0], rows[1], N * d * sizeof *features) == 0, !f32);
        muse_free(rows[0]), muse_free(rows[1]), muse_free(features), muse_free(workspace);
        muse_embed_close(&e);
    }
    muse_model_close(&m);
}

/* ---- block-type tables ---- */

static void block_tokens(void **state)
{
    (void)state;
    MuseModel *exact = open_model("golden/gemma4-a/hf", NULL, NULL), *q8 = open_model("golden/gemma4-a/gguf/text-q8_0.gguf", NULL, NULL);
    MuseEmbed *a = open_embed(exact, MUSE_COMPUTE_AUTO), *b = open_embed(q8, MUSE_COMPUTE_AUTO);
    const size_t d = exact->config.width;
    float *want = muse_alloc_array(NULL, d, sizeof *want), *got = muse_alloc_array(NULL, d, sizeof *got);
    assert_int_equal(q8->weights.embed->type, MUSE_TENSOR_Q8_0);
    for (int32_t id = 0; id < (int32_t)exact->config.vocab; id++) {
        muse_embed_tokens(a, want, &id, 1);
        muse_embed_tokens(b, got, &id, 1);
        float largest = 0;
        for (size_t i = 0; i < d; i++) largest = fmaxf(largest, fabsf(want[i]));
        for (size_t i = 0; i < d; i++) assert_true(fabsf(got[i] - want[i]) <= largest * (0.51f / 127 + 1e-3f));   /* half a step, and the scale in f16 */
    }
    size_t bytes = 1;
    assert_true(muse_embed_workspace(b, 100, 100, &bytes));   /* text only */
    assert_int_equal(bytes, 0);
    muse_free(want), muse_free(got);
    muse_embed_close(&a), muse_embed_close(&b);
    muse_model_close(&exact), muse_model_close(&q8);
}

/* ---- refused ---- */

static void refused(void **state)
{
    (void)state;
    static const uint32_t low[2] = { 0, 0 };
    static const struct { const char *model; uint32_t x[2], y[2]; int code; const char *text; } calls[] = {
        { "tiny/muse/hf", { 11, 11 }, { 0, 11 }, 0, "" },
        { "tiny/muse/hf", { 0, 12 }, { 0, 0 }, MUSE_ERR_LIMIT, "column 12, row 0 of its picture: the model's position table has 12" },
        { "tiny/muse/hf", { 0, 0 }, { 0, UINT32_MAX }, MUSE_ERR_LIMIT, "row 4294967295" },
        { "golden/gemma4-a/hf", { 0, 1 << 20 }, { 0, 0 }, MUSE_ERR_LIMIT, "column 1048576" },
        { "tiny/fuyu/hf", { 0, 1 << 20 }, { 0, 0 }, 0, "" },   /* has no table */
        { "golden/llama3/hf", { 0, 0 }, { 0, 0 }, MUSE_ERR_UNSUPPORTED, "takes no pictures" },
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        MuseModel *m = open_model(calls[i].model, NULL, NULL);
        MuseEmbed *e = open_embed(m, MUSE_COMPUTE_AUTO);
        const size_t width = (size_t)m->config.image.unit * m->config.image.unit * 3;
        float *patches = muse_zalloc_array(NULL, 2, width * sizeof *patches + 1), *rows = muse_zalloc_array(NULL, 2, m->config.width * sizeof *rows);
        void *workspace = reserve(e, 2, 0);
        err.text[0] = 0;
        assert_int_equal(muse_embed_patches(e, rows, patches, calls[i].x, calls[i].y, 2, workspace, NULL, &err), calls[i].code);
        if (calls[i].code < 0 && !strstr(err.text, calls[i].text)) fail_msg("%s", err.text);
        for (size_t k = 0; calls[i].code < 0 && k < 2 * m->config.width; k++) assert_true(rows[k] == 0);
        if (i == 0) assert_int_equal(muse_embed_patches(e, rows, patches, low, NULL, 2, workspace, NULL, &err), MUSE_ERR_ARG);
        assert_int_equal(muse_embed_patches(e, NULL, NULL, NULL, NULL, 0, NULL, NULL, &err), m->config.image.live ? 0 : MUSE_ERR_UNSUPPORTED);
        muse_free(patches), muse_free(rows), muse_free(workspace);
        muse_embed_close(&e);
        muse_model_close(&m);
    }
    MuseModel *m = open_model("tiny/muse-b/hf", NULL, NULL);
    MuseEmbed *e = open_embed(m, MUSE_COMPUTE_AUTO);
    size_t bytes;
    assert_false(muse_embed_workspace(e, SIZE_MAX / 8, 0, &bytes));
    muse_embed_close(&e);
    assert_int_equal(muse_embed_open(&e, m, (MuseCompute)9, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_embed_open(&e, NULL, MUSE_COMPUTE_F32, &err), MUSE_ERR_ARG);
    assert_null(e);
    muse_embed_close(&e);
    muse_embed_close(NULL);
    muse_model_close(&m);
}

/* ---- memory ---- */

static void allocations(void **state)
{
    (void)state;
    Meter meter = { 0 };
    MuseRuntime *rt = open_runtime(1, &meter);
    MuseModel *m = open_model("tiny/muse-b/hf", NULL, rt);
    const size_t live = meter.live, d = m->config.width, width = (size_t)m->config.image.unit * m->config.image.unit * 3;
    MuseEmbed *e = NULL;
    int rc = MUSE_ERR_NOMEM, failures = 0;
    for (long n = 1; rc == MUSE_ERR_NOMEM; n++) {
        meter.calls = 0;
        meter.fail_at = n;
        rc = muse_embed_open(&e, m, MUSE_COMPUTE_BF16, &err);
        if (rc < 0) assert_int_equal(meter.live, live), assert_null(e), failures++;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(failures, 2);
    meter.fail_at = 0;
    void *workspace = reserve(e, 12, 8);
    float *features = muse_zalloc_array(NULL, 12, (width + m->config.audio.frame) * sizeof *features), *rows = muse_zalloc_array(NULL, 12, d * sizeof *rows);
    const uint32_t x[12] = { 0 }, y[12] = { 0 };
    const int32_t ids[2] = { 5, 7 };
    meter.calls = 0;
    muse_embed_tokens(e, rows, ids, 2);
    assert_int_equal(muse_embed_patches(e, rows, features, x, y, 12, workspace, NULL, &err), 0);
    muse_embed_frames(e, rows, features, 8, workspace, NULL);
    assert_int_equal(meter.calls, 0);
    muse_free(workspace), muse_free(features), muse_free(rows);
    muse_embed_close(&e);
    assert_int_equal(meter.live, live);
    muse_model_close(&m);
    muse_runtime_close(&rt);
    assert_int_equal(meter.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(cases), cmocka_unit_test(many), cmocka_unit_test(rounding), cmocka_unit_test(block_tokens), cmocka_unit_test(refused), cmocka_unit_test(allocations) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
