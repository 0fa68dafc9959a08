/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder against reference values, stage by stage: every golden and tiny case, both containers, both mask variants, the f32
 * path and the fast one, any chunk size, every CPU level. Tolerances: tests/data/golden/README.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>

#include "muse/session.h"
#include "tests/unit/case_util.h"

/* One way of running a case */
typedef struct Way {
    uint32_t compute, kv, chunk;
    const char *variant;       /* "", ".A", ".B" */
    bool stages;
} Way;

typedef struct Run {
    Case *c;
    const Way *way;
    double delta;              /* bf16_input_delta of the case */
    double squares;            /* of logits' differences */
    size_t n_logits, n_stages, top;   /* top: positions whose largest logit is the same */
} Run;

static const MuseTensor *find(const Run *r, const char *stage)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", stage, r->way->variant);
    const MuseTensor *t = muse_weights_find(&r->c->expect, name);
    return t ? t : muse_weights_find(&r->c->expect, stage);
}

static double limit_of(const Run *r, const char *stage, double want)
{
    const bool f32 = r->way->compute == MUSE_COMPUTE_F32;
    const double scale = fmax(1, fabs(want));
    if (strncmp(stage, "layers", 6) == 0) return (f32 ? 1e-3 : 0.5) * scale;
    if (strcmp(stage, "final_norm") == 0) return (f32 ? 2e-3 : 1.5) * scale;
    if (strncmp(stage, "logits", 6) == 0) return f32 ? 2e-3 : 4 * r->delta;
    return (f32 ? 1e-4 : 0.3) * scale;   /* embeddings: media rows */
}

static size_t arg_max(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void compare_rows(Run *r, const char *stage, const MuseTensor *t, size_t first, const float *got, size_t rows, size_t width)
{
    for (size_t i = 0; i < rows; i++) {
        float *want = malloc(width * sizeof *want);
        assert_non_null(want);
        memcpy(want, t->data + (first + i) * width * sizeof *want, width * sizeof *want);
        for (size_t j = 0; j < width; j++) {
            const double off = fabs((double)got[i * width + j] - (double)want[j]);
            if (!(off <= limit_of(r, stage, (double)want[j])))
                fail_msg("%s %s%s (compute %u, kv %u, chunk %u): [%zu, %zu] is %g, expected %g", r->c->name, stage, r->way->variant, r->way->compute, r->way->kv,
                         r->way->chunk, first + i, j, (double)got[i * width + j], (double)want[j]);
            if (strcmp(stage, "logits") == 0) r->squares += off * off, r->n_logits++;
        }
        if (strcmp(stage, "logits") == 0) r->top += arg_max(got + i * width, width) == arg_max(want, width);
        free(want);
    }
}

static void saw(void *user, const char *stage, size_t first, const float *data, size_t rows, size_t width)
{
    Run *r = user;
    if (strncmp(stage, "image", 5) == 0 || strncmp(stage, "audio", 5) == 0) return;   /* test_embed.c */
    const MuseTensor *t = find(r, stage);
    if (!t) return;
    assert_int_equal(t->shape[t->rank - 1], width);
    r->n_stages++;
    compare_rows(r, stage, t, first, data, rows, width);
}

static MuseSession *open_session(MuseModel *m, const Way *way, Run *r)
{
    MuseSessionParams p;
    muse_session_params_init(&p);
    p.compute = way->compute;
    p.kv = way->kv;
    p.chunk = way->chunk;
    p.image_mask = strcmp(way->variant, ".A") == 0 ? MUSE_IMAGE_MASK_A : strcmp(way->variant, ".B") == 0 ? MUSE_IMAGE_MASK_B : MUSE_IMAGE_MASK_DEFAULT;
    if (way->stages) {
        p.stage = saw;
        p.stage_user = r;
    }
    MuseSession *s = NULL;
    if (muse_session_open(&s, m, &p, &err) < 0) fail_msg("%s", err.text);
    return s;
}

/* The continuation, with the case's suppressed ids. The f32 path writes the reference's tokens. The fast one rounds keys, values and
 * softmax weights too, and sums in other orders; where it moves the runner-up to the front, both were within twice what the rounding
 * of matrix inputs alone moves logits by (bf16_input_delta), which is what is held it to. */
static void check_greedy(Run *r, MuseSession *s, const MuseJsonValue *doc)
{
    const MuseTensor *want = find(r, "greedy");
    const MuseJsonValue *suppress = muse_json_get(doc, "suppress_tokens");
    if (!want) return;
    const size_t vocab = r->c->model->config.vocab;
    float *logits = malloc(vocab * sizeof *logits);
    for (size_t i = 0; i < want->shape[0]; i++) {
        assert_non_null(muse_session_logits(s));
        memcpy(logits, muse_session_logits(s), vocab * sizeof *logits);
        for (const MuseJsonValue *v = suppress ? suppress->u.first : NULL; v; v = v->next) logits[v->u.integer] = -INFINITY;
        int32_t id;
        memcpy(&id, want->data + 4 * i, 4);
        const size_t got = arg_max(logits, vocab);
        const double behind = (double)logits[got] - (double)logits[id];
        if (behind > (r->way->compute == MUSE_COMPUTE_F32 ? 0 : 2 * r->delta)) fail_msg("%s greedy%s (compute %u, kv %u): token %zu is %zu, expected %d", r->c->name, r->way->variant, r->way->compute, r->way->kv, i, got, id);
        if (muse_session_step(s, id, &err) < 0) fail_msg("%s", err.text);
    }
    free(logits);
}

static void run_way(Case *c, const char *folder, const MuseJsonValue *doc, const Way *way)
{
    const MuseJsonValue *delta = muse_json_get(doc, "bf16_input_delta");
    Run r = { .c = c, .way = way, .delta = delta ? delta->type == MUSE_JSON_DOUBLE ? delta->u.number : 1 : 1 };
    MuseSession *s = open_session((MuseModel *)c->model, way, &r);
    Case at = *c;
    at.seq = muse_session_sequence(s);
    append_prompt(&at, folder, doc);
    if (muse_session_prefill(s, &err) < 0) fail_msg("%s: %s", folder, err.text);
    const MuseTensor *last = find(&r, "logits_last");
    if (last) compare_rows(&r, "logits_last", last, 0, muse_session_logits(s), 1, c->model->config.vocab);
    if (!last && (!way->stages || r.n_stages == 0)) fail_msg("%s: nothing was compared", c->name);
    if (r.n_logits && way->compute != MUSE_COMPUTE_F32 && sqrt(r.squares / (double)r.n_logits) >= 0.3) fail_msg("%s: rms of logits %g", c->name, sqrt(r.squares / (double)r.n_logits));
    check_greedy(&r, s, doc);
    muse_session_close(&s);
}

static void run_case(MuseModel *m, const char *folder, bool all)
{
    static const char *const variants[] = { ".A", ".B" };
    Case c = { .model = m, .name = folder };
    open_case(&c, folder);
    MuseFile file = { 0 };
    MuseJson doc;
    assert_int_equal(muse_file_open(&file, path_of(folder, "case.json"), 1 << 20, &err), 0);
    assert_int_equal(muse_json_parse(&doc, NULL, file.data, file.size, &err), 0);
    const bool both = muse_weights_find(&c.expect, "logits_last.A") != NULL;
    for (size_t v = 0; v < (both ? 2 : 1); v++) {
        const char *variant = both ? variants[v] : "";
        static const uint32_t chunks[] = { 0, 1, 7, 33, 64 };
        for (size_t i = 0; i < (all ? 5 : 1); i++)
            run_way(&c, folder, doc.root, &(Way){ MUSE_COMPUTE_F32, MUSE_KV_F32, chunks[i], variant, i < 3 });
        run_way(&c, folder, doc.root, &(Way){ MUSE_COMPUTE_AUTO, MUSE_KV_F32, 0, variant, true });
        if (all) run_way(&c, folder, doc.root, &(Way){ MUSE_COMPUTE_BF16, MUSE_KV_F32, 7, variant, false });
    }
    muse_json_close(&doc);
    muse_file_close(&file);
    close_case(&c);
}

static void run_cases(const char *checkpoint, const char *model, const char *mmproj, MuseRuntime *rt, bool all)
{
    char folder[512];
    MuseModel *m = open_model(model, mmproj, rt);
    snprintf(folder, sizeof folder, "%s/cases", checkpoint);
    DIR *dir = opendir(path_of(folder, ""));
    assert_non_null(dir);
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        snprintf(folder, sizeof folder, "%s/cases/%s/", checkpoint, e->d_name);
        run_case(m, folder, all);
        n++;
    }
    closedir(dir);
    assert_true(n > 0);
    muse_model_close(&m);
}

static MuseRuntime *runtime(uint32_t level, uint32_t threads)
{
    MuseRuntimeParams p;
    muse_runtime_params_init(&p);
    p.cpu_level = level;
    p.threads = threads;
    MuseRuntime *rt = NULL;
    if (muse_runtime_open(&rt, &p, &err) < 0) return NULL;
    return rt;
}

static void test_hf(void **state)
{
    (void)state;
    static const char *const names[] = { "golden/gemma4-a", "golden/gemma4-b", "golden/llama3", "golden/qwen2", "golden/qwen3", "tiny/muse", "tiny/muse-b", "tiny/fuyu" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char model[64];
        snprintf(model, sizeof model, "%s/hf", names[i]);
        run_cases(names[i], model, NULL, NULL, true);
    }
}

static void test_gguf(void **state)
{
    (void)state;
    run_cases("golden/gemma4-a", "golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf", NULL, true);
    run_cases("golden/llama3", "golden/llama3/gguf/model-bf16.gguf", NULL, NULL, true);
    run_cases("golden/qwen2", "golden/qwen2/gguf/model-f32.gguf", NULL, NULL, true);
    run_cases("golden/qwen3", "golden/qwen3/gguf/model-bf16.gguf", NULL, NULL, true);
}

static void test_levels(void **state)
{
    (void)state;
    for (uint32_t level = MUSE_CPU_C; level <= MUSE_CPU_AMX; level++) {
        MuseRuntime *rt = runtime(level, 1 + level % 3);
        if (!rt) continue;
        run_cases("golden/gemma4-a", "golden/gemma4-a/hf", NULL, rt, false);
        run_cases("golden/llama3", "golden/llama3/gguf/model-bf16.gguf", NULL, rt, false);
        run_cases("tiny/muse", "tiny/muse/hf", NULL, rt, false);
        muse_runtime_close(&rt);
    }
}

/* The Q8_0 files: weights only in f32; with 8-bit activations within the README's looser bounds. */
static void run_q8(const char *model, const char *expect, uint32_t compute)
{
    MuseModel *m = open_model(model, NULL, NULL);
    Case c = { .model = m, .name = model };
    if (muse_weights_open(&c.expect, NULL, &m->rt->log, path_of(expect, ""), &err) < 0) fail_msg("%s", err.text);
    const Way way = { compute, compute == MUSE_COMPUTE_F32 ? MUSE_KV_F32 : MUSE_KV_BF16, 0, "", true };
    Run r = { .c = &c, .way = &way, .delta = 1e9 };
    MuseSession *s = open_session(m, &way, &r);
    const MuseTensor *ids = muse_weights_find(&c.expect, "input_ids");
    assert_non_null(ids);
    for (size_t i = 0; i < ids->shape[0]; i++) {
        int32_t id;
        memcpy(&id, ids->data + 4 * i, 4);
        assert_int_equal(muse_sequence_append_ids(muse_session_sequence(s), &id, 1, &err), 0);
    }
    if (muse_session_prefill(s, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(r.n_logits, ids->shape[0] * m->config.vocab);
    const double rms = sqrt(r.squares / (double)r.n_logits);
    if (compute != MUSE_COMPUTE_F32 && (rms >= 0.8 || r.top * 5 < ids->shape[0] * 4)) fail_msg("%s: rms %g, top-1 in %zu of %zu", model, rms, r.top, (size_t)ids->shape[0]);
    muse_session_close(&s);
    muse_weights_close(&c.expect);
    muse_model_close(&m);
}

static void test_q8_0(void **state)
{
    (void)state;
    static const uint32_t modes[] = { MUSE_COMPUTE_F32, MUSE_COMPUTE_AUTO };
    for (size_t i = 0; i < 2; i++) {
        run_q8("golden/gemma4-a/gguf/text-q8_0.gguf", "golden/gemma4-a/gguf/expect-q8_0.safetensors", modes[i]);
        run_q8("golden/llama3/gguf/model-q8_0.gguf", "golden/llama3/gguf/expect-q8_0.safetensors", modes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_hf), cmocka_unit_test(test_gguf), cmocka_unit_test(test_levels), cmocka_unit_test(test_q8_0) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
