/* SPDX-License-Identifier: Apache-2.0 */
/* Model files that must be refused: tests/data/bad/model with expected codes, and every cut and many flips of small good ones. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "muse/muse.h"

static MuseError err;

/* made by tests/data/make_model.py */
static const struct { const char *name; int code; const char *words; } bad[] = {
    { "gguf-bias.gguf", MUSE_ERR_FORMAT, "attn_q.bias" },
    { "gguf-cut-in-directory.gguf", MUSE_ERR_FORMAT, "byte 891" },
    { "gguf-eos.gguf", MUSE_ERR_FORMAT, "eos_token_id" },
    { "gguf-experts.gguf", MUSE_ERR_UNSUPPORTED, "expert_count" },
    { "gguf-freqs-nan.gguf", MUSE_ERR_FORMAT, "rope_freqs" },
    { "gguf-gemma3.gguf", MUSE_ERR_UNSUPPORTED, "gemma3" },
    { "gguf-heads-odd.gguf", MUSE_ERR_FORMAT, "3 key/value heads" },
    { "gguf-heads-zero.gguf", MUSE_ERR_FORMAT, "head_count" },
    { "gguf-layers-huge.gguf", MUSE_ERR_FORMAT, "block_count" },
    { "gguf-linear.gguf", MUSE_ERR_UNSUPPORTED, "rope.scaling.factor" },
    { "gguf-many-keys.gguf", MUSE_ERR_FORMAT, "keys in a file" },
    { "gguf-many-tensors.gguf", MUSE_ERR_FORMAT, "tensors in a file" },
    { "gguf-misshapen.gguf", MUSE_ERR_FORMAT, "[4, 4]" },
    { "gguf-missing.gguf", MUSE_ERR_FORMAT, "blk.0.ffn_up.weight" },
    { "gguf-no-base.gguf", MUSE_ERR_FORMAT, "rope.freq_base" },
    { "gguf-offset-huge.gguf", MUSE_ERR_FORMAT, "attn_q" },
    { "gguf-offset-unaligned.gguf", MUSE_ERR_FORMAT, "attn_q" },
    { "gguf-one-tensor-more.gguf", MUSE_ERR_FORMAT, "byte 1570" },
    { "gguf-overlap.gguf", MUSE_ERR_FORMAT, "overlap" },
    { "gguf-pattern.gguf", MUSE_ERR_FORMAT, "sliding_window_pattern" },
    { "gguf-per-layer.gguf", MUSE_ERR_UNSUPPORTED, "embedding_length_per_layer_input" },
    { "gguf-shape-inflated.gguf", MUSE_ERR_FORMAT, "attn_q" },
    { "gguf-shape-overflow.gguf", MUSE_ERR_FORMAT, "attn_q" },
    { "gguf-shared-kv.gguf", MUSE_ERR_UNSUPPORTED, "shared_kv_layers" },
    { "gguf-split.gguf", MUSE_ERR_UNSUPPORTED, "split.count" },
    { "gguf-truncated.gguf", MUSE_ERR_FORMAT, "ffn_down" },
    { "gguf-twice.gguf", MUSE_ERR_FORMAT, "twice" },
    { "gguf-type-flip.gguf", MUSE_ERR_UNSUPPORTED, "1073741824" },
    { "gguf-type-iq2.gguf", MUSE_ERR_UNSUPPORTED, "IQ2_XXS" },
    { "gguf-yarn.gguf", MUSE_ERR_UNSUPPORTED, "yarn" },
    { "shards-elsewhere", MUSE_ERR_FORMAT, "embed_tokens" },
    { "shards-escape", MUSE_ERR_FORMAT, "../tiny" },
    { "shards-missing", MUSE_ERR_IO, "model-2.safetensors" },
    { "shards-self", MUSE_ERR_FORMAT, "index.json" },
    { "shards-twice", MUSE_ERR_FORMAT, "twice" },
    { "st-bit-flip", MUSE_ERR_FORMAT, "__metadataW_" },
    { "st-config-bad", MUSE_ERR_FORMAT, "JSON line" },
    { "st-cut-in-header", MUSE_ERR_FORMAT, "1040" },
    { "st-empty", MUSE_ERR_FORMAT, "0 bytes" },
    { "st-fp8", MUSE_ERR_UNSUPPORTED, "F8_E4M3" },
    { "st-gap", MUSE_ERR_FORMAT, "last 16 bytes" },
    { "st-header-100mb", MUSE_ERR_FORMAT, "100000001" },
    { "st-header-huge", MUSE_ERR_FORMAT, "header" },
    { "st-inflated", MUSE_ERR_FORMAT, "64000" },
    { "st-int-weight", MUSE_ERR_UNSUPPORTED, "I32" },
    { "st-misshapen", MUSE_ERR_FORMAT, "[4, 5]" },
    { "st-missing", MUSE_ERR_FORMAT, "q_proj" },
    { "st-moe", MUSE_ERR_UNSUPPORTED, "num_local_experts" },
    { "st-no-config", MUSE_ERR_IO, "config.json" },
    { "st-overlap", MUSE_ERR_FORMAT, "overlap" },
    { "st-shape-overflow", MUSE_ERR_FORMAT, "2^63" },
    { "st-shape-wraps", MUSE_ERR_FORMAT, "2^63" },
    { "st-transposed", MUSE_ERR_FORMAT, "down_proj" },
    { "st-truncated", MUSE_ERR_FORMAT, "down_proj" },
};
enum { BAD = sizeof bad / sizeof *bad };

static const char *data_path(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", getenv("MUSE_TEST_DATA"), folder, name);
    return path;
}

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < BAD; i++) {
        MuseModel *m;
        const int rc = muse_model_open(&m, NULL, data_path("bad/model/", bad[i].name), NULL, &err);
        if (rc != bad[i].code || !strstr(err.text, bad[i].words)) fail_msg("%s: %d, \"%s\"", bad[i].name, rc, rc < 0 ? err.text : "");
        assert_null(m);
        assert_non_null(strstr(err.text, bad[i].name));   /* the file is named */
    }
}

static void all_listed(void **state)
{
    (void)state;
    DIR *dir = opendir(data_path("bad/model", ""));
    assert_non_null(dir);
    size_t n = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir))) n += entry->d_name[0] != '.';
    closedir(dir);
    assert_int_equal(n, BAD);
}

static int try_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
    MuseModel *m;
    err.text[0] = 0;
    const int rc = muse_model_open(&m, NULL, path, NULL, &err);
    if (rc < 0) assert_true(err.text[0] && !m);
    muse_model_close(&m);
    return rc;
}

/* no cut of a model opens (but for padding at the end); no flip of a bit in its first bytes does harm */
static void damage(const char *good, const char *file, size_t padding)
{
    char folder[] = "/tmp/muse-test-XXXXXX", path[256], config[256];
    MuseFile source = { 0 }, text = { 0 };
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(config, sizeof config, "%s/config.json", folder);
    assert_int_equal(muse_file_open(&text, data_path("model/tiny-llama/", "config.json"), 1 << 20, &err), 0);
    assert_int_equal(muse_file_write(config, text.data, text.size, &err), 0);
    assert_int_equal(muse_file_open(&source, data_path("model/", good), 1 << 20, &err), 0);
    uint8_t *copy = malloc(source.size);
    assert_non_null(copy);
    memcpy(copy, source.data, source.size);
    assert_int_equal(try_file(path, copy, source.size), 0);
    for (size_t n = 0; n + padding < source.size; n += n < 16 ? 1 : 17)
        if (try_file(path, copy, n) >= 0) fail_msg("%s opens when cut to %zu of %zu bytes", good, n, source.size);
    for (size_t i = 0; i < source.size; i += 9) {
        copy[i] ^= (uint8_t)(1u << (i * 5 % 8));
        try_file(path, copy, source.size);
        copy[i] = source.data[i];
    }
    free(copy);
    muse_file_close(&source);
    muse_file_close(&text);
    unlink(path);
    unlink(config);
    assert_int_equal(rmdir(folder), 0);
}

static void damaged_safetensors(void **state) { (void)state; damage("tiny-llama/model.safetensors", "model.safetensors", 0); }
static void damaged_llama(void **state) { (void)state; damage("tiny-llama.gguf", "model.gguf", 32); }
static void damaged_gemma(void **state) { (void)state; damage("tiny-gemma4.gguf", "model.gguf", 32); }

static void good(void **state)
{
    (void)state;
    static const char *const names[] = { "tiny-llama", "tiny-llama/model.safetensors", "shards", "shards/model.safetensors.index.json", "tiny-llama.gguf", "tiny-gemma4.gguf" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        MuseModel *m;
        MuseModelInfo info;
        if (muse_model_open(&m, NULL, data_path("model/", names[i]), NULL, &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(muse_model_info(m, &info), 0);
        assert_int_equal(info.vocab, 6);
        assert_int_equal(info.n_unused, 0);
        muse_model_close(&m);
    }
}

static void arguments(void **state)
{
    (void)state;
    MuseModel *m;
    MuseModelParams p = { 0 };
    MuseTextTokenizer *tok;
    assert_int_equal(muse_model_open(NULL, NULL, "x", NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_model_open(&m, NULL, NULL, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_model_open(&m, NULL, "x", &p, &err), MUSE_ERR_ARG);   /* no _init call */
    assert_int_equal(muse_model_open(&m, NULL, "", NULL, &err), MUSE_ERR_IO);
    assert_int_equal(muse_model_open(&m, NULL, "", NULL, NULL), MUSE_ERR_IO);
    assert_int_equal(muse_model_info(NULL, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_model_memory(NULL, 1, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_model_type(NULL, 0, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_model_tensor(NULL, 0, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_model_tensor_count(NULL), 0);
    assert_null(muse_model_family(NULL));
    assert_null(muse_model_ref(NULL));
    assert_int_equal(muse_model_open_tokenizer(NULL, &tok, &err), MUSE_ERR_ARG);
    muse_model_close(NULL);
    m = NULL;
    muse_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused), cmocka_unit_test(all_listed), cmocka_unit_test(good), cmocka_unit_test(damaged_safetensors), cmocka_unit_test(damaged_llama),
        cmocka_unit_test(damaged_gemma), cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
