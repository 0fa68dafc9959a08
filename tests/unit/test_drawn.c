/* SPDX-License-Identifier: Apache-2.0 */
/* Models of a configuration alone: the same tensors as the published files of that configuration, random weights that compute, and
 * none, which computes nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "muse/muse.h"

static MuseError err;

static const char *path_of(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", getenv("MUSE_TEST_DATA"), folder, name);
    return path;
}

static int open_config(MuseModel **m, const char *folder, uint32_t weights)
{
    MuseModelParams p;
    muse_model_params_init(&p);
    p.weights = weights;
    return muse_model_open(m, NULL, path_of(folder, "/config.json"), &p, &err);
}

static void same_tensors(void **state)
{
    static const char *const folders[] = { "tiny/muse/hf", "tiny/muse-b/hf", "tiny/fuyu/hf", "golden/gemma4-a/hf", "golden/gemma4-b/hf", "golden/llama3/hf", "golden/qwen2/hf", "golden/qwen3/hf" };
    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        MuseModel *file, *config;
        MuseModelInfo a, b;
        MuseTensorInfo t, u;
        if (muse_model_open(&file, NULL, path_of(folders[i], ""), NULL, &err) < 0) fail_msg("%s", err.text);
        if (open_config(&config, folders[i], MUSE_WEIGHTS_NONE) < 0) fail_msg("%s", err.text);
        assert_int_equal(muse_model_info(file, &a), 0);
        assert_int_equal(muse_model_info(config, &b), 0);
        if (a.n_parameters != b.n_parameters || a.n_tensors != b.n_tensors) fail_msg("%s: %zu tensors, %zu in the file", folders[i], b.n_tensors, a.n_tensors);
        size_t same = 0;
        for (size_t k = 0; muse_model_tensor(config, k, &t) == 0; k++)
            for (size_t n = 0; muse_model_tensor(file, n, &u) == 0; n++) same += strcmp(t.name, u.name) == 0 && t.rank == u.rank && memcmp(t.shape, u.shape, sizeof t.shape) == 0;
        assert_int_equal(same, a.n_tensors);
        assert_int_equal(b.weights_bytes, 2 * b.n_parameters);
        assert_string_equal(t.file, path_of(folders[i], "/config.json"));
        muse_model_close(&file);
        muse_model_close(&config);
    }
}

static void none_computes_nothing(void **state)
{
    (void)state;
    MuseModel *m;
    MuseSession *s;
    MuseModelMemory memory;
    assert_int_equal(open_config(&m, "tiny/muse/hf", MUSE_WEIGHTS_NONE), 0);
    assert_int_equal(muse_model_memory(m, 100, &memory), 0);
    assert_true(memory.weights > 0 && memory.kv_16 > 0);
    assert_int_equal(muse_session_open(&s, m, NULL, &err), MUSE_ERR_STATE);
    assert_null(s);
    assert_non_null(strstr(err.text, "config.json"));
    muse_model_close(&m);
}

static void random_computes(void **state)
{
    static const char *const folders[] = { "tiny/muse/hf", "tiny/muse-b/hf", "golden/gemma4-a/hf", "golden/llama3/hf" };
    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        float first[64];
        MuseModelInfo info;
        for (int again = 0; again < 2; again++) {
            MuseModel *m;
            MuseSession *s;
            static const int32_t ids[] = { 5, 6, 7 };
            assert_int_equal(open_config(&m, folders[i], MUSE_WEIGHTS_RANDOM), 0);
            assert_int_equal(muse_model_info(m, &info), 0);
            assert_int_equal(muse_session_open(&s, m, NULL, &err), 0);
            assert_int_equal(muse_sequence_append_ids(muse_session_sequence(s), ids, 3, &err), 0);
            assert_int_equal(muse_session_prefill(s, &err), 0);
            const float *logits = muse_session_logits(s);
            double squares = 0;
            for (uint32_t k = 0; k < info.vocab; k++) {
                assert_true(isfinite(logits[k]));
                squares += (double)logits[k] * (double)logits[k];
            }
            assert_true(squares > 0);
            if (again) assert_memory_equal(first, logits, sizeof first);
            else memcpy(first, logits, sizeof first);
            muse_session_close(&s);
            muse_model_close(&m);
        }
    }
}

/* a configuration's tokenizer is the file beside it, whether its tensors are drawn or have no bytes */
static void has_tokenizer(void **state)
{
    (void)state;
    for (int weights = MUSE_WEIGHTS_RANDOM; weights <= MUSE_WEIGHTS_NONE; weights++) {
        MuseModel *m;
        MuseTextTokenizer *tok;
        assert_int_equal(open_config(&m, "reason/muse", (uint32_t)weights), 0);
        if (muse_model_open_tokenizer(m, &tok, &err) < 0) fail_msg("%s", err.text);
        muse_text_close(&tok);
        muse_model_close(&m);
    }
}

static void refused(void **state)
{
    (void)state;
    MuseModel *m;
    MuseModelParams p;
    assert_int_equal(open_config(&m, "tiny/muse/hf", 3), MUSE_ERR_ARG);
    assert_int_equal(open_config(&m, "tiny/nowhere", MUSE_WEIGHTS_NONE), MUSE_ERR_IO);
    muse_model_params_init(&p);
    p.weights = MUSE_WEIGHTS_RANDOM;
    assert_int_equal(muse_model_open(&m, NULL, path_of("tiny/muse/hf", "/tokenizer.json"), &p, &err), MUSE_ERR_FORMAT);
    p.mmproj = "some.gguf";
    assert_int_equal(muse_model_open(&m, NULL, path_of("tiny/muse/hf", "/config.json"), &p, &err), MUSE_ERR_ARG);
    assert_null(m);
}

/* ---- memory that ends ---- */

typedef struct Counted { long left; } Counted;

static void *take(void *user, size_t size)
{
    Counted *c = user;
    return c->left-- > 0 ? malloc(size) : NULL;
}

static void give(void *user, void *block) { (void)user; free(block); }

static void no_memory(void **state)
{
    (void)state;
    bool done = false;
    for (long n = 0; !done && n < 2000; n++) {
        Counted c = { 1000000 };
        MuseRuntimeParams rp;
        MuseModelParams p;
        MuseRuntime *rt;
        MuseModel *m;
        muse_runtime_params_init(&rp);
        muse_model_params_init(&p);
        rp.threads = 1;
        rp.allocator = (MuseAllocator){ take, give, &c };
        p.weights = MUSE_WEIGHTS_RANDOM;
        assert_int_equal(muse_runtime_open(&rt, &rp, &err), 0);
        c.left = n;
        const int rc = muse_model_open(&m, rt, path_of("tiny/muse/hf", "/config.json"), &p, &err);
        done = rc == 0;
        if (!done) assert_int_equal(rc, MUSE_ERR_NOMEM);
        muse_model_close(&m);
        muse_runtime_close(&rt);
    }
    assert_true(done);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(same_tensors), cmocka_unit_test(none_computes_nothing), cmocka_unit_test(random_computes), cmocka_unit_test(has_tokenizer), cmocka_unit_test(refused),
                                               cmocka_unit_test(no_memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
