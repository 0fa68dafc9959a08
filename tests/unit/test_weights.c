/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/io: safetensors headers and indexes, GGUF directories, good and bad; the golden checkpoints; allocations that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/dtype.h"
#include "libmuse/io/gguf_tensors.h"
#include "libmuse/io/safetensors.h"
#include "libmuse/io/weights.h"
#include "tests/unit/meter.h"

static MuseError err;

static const char *data_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("MUSE_TEST_DATA"), name);
    return path;
}

/* a file of this header and this many bytes of data, in a heap block of exactly its size */
static uint8_t *make_file(const char *header, size_t n_data, size_t *size)
{
    const size_t n = strlen(header);
    *size = 8 + n + n_data;
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++) bytes[8 + n + i] = (uint8_t)i;
    return bytes;
}

#define T(name, dtype, shape, from, to) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void good_header(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make_file("{\"__metadata__\":{\"format\":\"pt\"}," T("b", "F32", "[2,3]", "4", "28") "," T("a", "BF16", "[2]", "0", "4") ","
                               T("z", "F32", "[0,7]", "4", "4") "," T("one", "I64", "[]", "28", "36") "}  ", 36, &size);
    MuseTensors list = { 0 };
    if (muse_safetensors_read(&list, bytes, size, 3, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(list.n, 4);
    const MuseTensor *b = muse_tensors_find(&list, "b");
    assert_non_null(b);
    assert_int_equal(b->type, MUSE_TENSOR_F32);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal(b->shape[2], 1);
    assert_int_equal(b->bytes, 24);
    assert_int_equal(b->part, 3);
    assert_int_equal(b->data[0], 4);
    assert_int_equal(muse_tensors_find(&list, "one")->rank, 0);
    assert_int_equal(muse_tensors_find(&list, "z")->bytes, 0);
    assert_null(muse_tensors_find(&list, "c"));
    muse_tensors_clear(&list);
    free(bytes);
}

static void bad_headers(void **state)
{
    (void)state;
    static const struct { const char *header; size_t n_data; int code; const char *words; } cases[] = {
        { "", 0, MUSE_ERR_FORMAT, "not a JSON object" },
        { "[]", 0, MUSE_ERR_FORMAT, "not a JSON object" },
        { " {}", 0, MUSE_ERR_FORMAT, "not a JSON object" },
        { "{", 0, MUSE_ERR_FORMAT, "JSON" },
        { "{} x", 0, MUSE_ERR_FORMAT, "JSON" },
        { "{}", 1, MUSE_ERR_FORMAT, "last 1 bytes" },
        { "{\"a\":3}", 0, MUSE_ERR_FORMAT, "\"a\"" },
        { "{\"__metadata__\":[]}", 0, MUSE_ERR_FORMAT, "__metadata__" },
        { "{\"__metadata__\":{\"x\":1}}", 0, MUSE_ERR_FORMAT, "\"x\"" },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, MUSE_ERR_FORMAT, "no dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, MUSE_ERR_FORMAT, "no shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, MUSE_ERR_FORMAT, "data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, MUSE_ERR_FORMAT, "data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, MUSE_ERR_FORMAT, "data_offsets" },
        { "{" T("a", "F32", "[1]", "0", "\"4\"") "}", 4, MUSE_ERR_FORMAT, "data_offsets" },
        { "{" T("a", "F32", "[1.5]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "dimension 0" },
        { "{" T("a", "F32", "[-1]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "dimension 0" },
        { "{" T("a", "F32", "[99999999999999999999]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "dimension 0" },
        { "{" T("a", "F32", "[1,1,1,1,1]", "0", "4") "}", 4, MUSE_ERR_UNSUPPORTED, "5 dimensions" },
        { "{" T("a", "F8_E4M3", "[4]", "0", "4") "}", 4, MUSE_ERR_UNSUPPORTED, "F8_E4M3" },
        { "{" T("a", "F64", "[1]", "0", "8") "}", 8, MUSE_ERR_UNSUPPORTED, "F64" },
        { "{" T("a", "F32", "[2]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "ask for 8" },
        { "{" T("a", "F32", "[4294967296,4294967296]", "0", "0") "}", 0, MUSE_ERR_FORMAT, "2^63" },
        { "{" T("a", "F32", "[4611686018427387904]", "0", "0") "}", 0, MUSE_ERR_FORMAT, "2^63" },
        { "{" T("a", "F32", "[1]", "4", "8") "}", 4, MUSE_ERR_FORMAT, "is the file whole" },
        { "{" T("a", "F32", "[1]", "-4", "0") "}", 4, MUSE_ERR_FORMAT, "-4" },
        { "{" T("a", "F32", "[1]", "4", "0") "}", 4, MUSE_ERR_FORMAT, "4 to 0" },
        { "{" T("a", "F32", "[1]", "4", "8") "}", 8, MUSE_ERR_FORMAT, "belong to none" },
        { "{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "8", "12") "}", 12, MUSE_ERR_FORMAT, "4 bytes before tensor \"b\"" },
        { "{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[1]", "4", "8") "}", 8, MUSE_ERR_FORMAT, "overlap" },
        { "{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "overlap" },
        { "{" T("a", "F32", "[1]", "0", "4") "," T("a", "F32", "[1]", "4", "8") "}", 8, MUSE_ERR_FORMAT, "twice" },
        { "{" T("", "F32", "[1]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "empty" },
        { "{" T("a\\u0000b", "F32", "[1]", "0", "4") "}", 4, MUSE_ERR_FORMAT, "NUL" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        uint8_t *bytes = make_file(cases[i].header, cases[i].n_data, &size);
        MuseTensors list = { 0 };
        const int rc = muse_safetensors_read(&list, bytes, size, 0, &err);
        if (rc != cases[i].code || !strstr(err.text, cases[i].words)) fail_msg("%s: %d, \"%s\"", cases[i].header, rc, rc < 0 ? err.text : "");
        muse_tensors_clear(&list);
        free(bytes);
    }
    static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{' }, cut[] = { 9, 0, 0, 0, 0, 0, 0, 0, '{', '}' };
    MuseTensors list = { 0 };
    assert_int_equal(muse_safetensors_read(&list, huge, sizeof huge, 0, &err), MUSE_ERR_FORMAT);
    assert_int_equal(muse_safetensors_read(&list, cut, sizeof cut, 0, &err), MUSE_ERR_FORMAT);
    assert_int_equal(muse_safetensors_read(&list, cut, 7, 0, &err), MUSE_ERR_FORMAT);
    muse_tensors_clear(&list);
}

static void indexes(void **state)
{
    (void)state;
    static const struct { const char *json; int code; } cases[] = {
        { "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\",\"c\":\"m-1.safetensors\"}}", 0 },
        { "{}", MUSE_ERR_FORMAT }, { "{\"weight_map\":{}}", MUSE_ERR_FORMAT }, { "{\"weight_map\":[]}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"a\":1}}", MUSE_ERR_FORMAT }, { "{\"weight_map\":{\"a\":\"\"}}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"a\":\"../m.safetensors\"}}", MUSE_ERR_FORMAT }, { "{\"weight_map\":{\"a\":\"/m.safetensors\"}}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"a\":\"x/m.safetensors\"}}", MUSE_ERR_FORMAT }, { "{\"weight_map\":{\"a\":\"..\\\\m.safetensors\"}}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"a\":\"m\\u0000.safetensors\"}}", MUSE_ERR_FORMAT }, { "{\"weight_map\":{\"a\":\".safetensors\"}}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"a\":\"m.safetensors\",\"a\":\"m.safetensors\"}}", MUSE_ERR_FORMAT },
        { "{\"weight_map\":{\"\":\"m.safetensors\"}}", MUSE_ERR_FORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseShardIndex index;
        const int rc = muse_shard_index_read(&index, NULL, cases[i].json, strlen(cases[i].json), &err);
        if (rc != cases[i].code) fail_msg("%s: %d", cases[i].json, rc);
        if (rc == 0) {
            assert_int_equal(index.n_files, 2);
            assert_int_equal(index.n_entries, 3);
            assert_string_equal(index.files[index.entries[2].shard], "m-1.safetensors");
        }
        muse_shard_index_clear(&index);
    }
}

/* ---- GGUF ---- */

typedef struct Gguf { uint8_t bytes[4096]; size_t n; } Gguf;

static void put(Gguf *g, const void *p, size_t n) { memcpy(g->bytes + g->n, p, n); g->n += n; }
static void put32(Gguf *g, uint32_t v) { put(g, &v, 4); }
static void put64(Gguf *g, uint64_t v) { put(g, &v, 8); }
static void put_text(Gguf *g, const char *s) { put64(g, strlen(s)); put(g, s, strlen(s)); }

typedef struct GgufRow { const char *name; uint32_t n_dims; uint64_t dims[4]; uint32_t type; uint64_t offset; } GgufRow;

static void make_gguf(Gguf *g, const GgufRow *rows, size_t n_rows, size_t n_data)
{
    *g = (Gguf){ 0 };
    put(g, "GGUF", 4);
    put32(g, 3);
    put64(g, n_rows);
    put64(g, 1);
    put_text(g, "general.architecture");
    put32(g, 8);
    put_text(g, "llama");
    for (size_t i = 0; i < n_rows; i++) {
        put_text(g, rows[i].name);
        put32(g, rows[i].n_dims);
        for (uint32_t d = 0; d < rows[i].n_dims; d++) put64(g, rows[i].dims[d]);
        put32(g, rows[i].type);
        put64(g, rows[i].offset);
    }
    while (g->n % 32) g->bytes[g->n++] = 0;
    for (size_t i = 0; i < n_data; i++) g->bytes[g->n++] = (uint8_t)i;
}

static int read_gguf(const Gguf *file, MuseTensors *list, MuseGguf *g)
{
    int rc = muse_gguf_open(g, NULL, file->bytes, file->n, &err);
    return rc < 0 ? rc : muse_gguf_tensors_read(list, g, 0, NULL, &err);
}

static void gguf_directories(void **state)
{
    (void)state;
    static const struct { GgufRow rows[2]; size_t n_rows, n_data; int code; const char *words; } cases[] = {
        { { { "a", 2, { 32, 2 }, 8, 0 }, { "b", 1, { 8 }, 0, 96 } }, 2, 128, 0, "" },
        { { { "a", 2, { 256, 1 }, 12, 0 }, { "b", 2, { 256, 1 }, 14, 160 } }, 2, 370, 0, "" },
        { { { "a", 2, { 32, 2 }, 8, 0 } }, 1, 67, MUSE_ERR_FORMAT, "needs 68" },
        { { { "a", 2, { 33, 2 }, 8, 0 } }, 1, 128, MUSE_ERR_FORMAT, "whole blocks" },
        { { { "a", 2, { 32, 2 }, 3, 0 } }, 1, 128, MUSE_ERR_UNSUPPORTED, "Q4_1" },
        { { { "a", 2, { 32, 2 }, 39, 0 } }, 1, 128, MUSE_ERR_UNSUPPORTED, "MXFP4" },
        { { { "a", 2, { 32, 2 }, 62, 0 } }, 1, 128, MUSE_ERR_UNSUPPORTED, "number 62" },
        { { { "a", 2, { 32, 2 }, 4000000000u, 0 } }, 1, 128, MUSE_ERR_UNSUPPORTED, "4000000000" },
        { { { "a", 1, { 16 }, 0, 0 }, { "b", 1, { 8 }, 0, 32 } }, 2, 64, MUSE_ERR_FORMAT, "overlap" },
        { { { "a", 1, { 8 }, 0, 0 }, { "b", 1, { 8 }, 0, 64 } }, 2, 96, MUSE_ERR_FORMAT, "belong to none" },
        { { { "a", 1, { 8 }, 0, 32 } }, 1, 64, MUSE_ERR_FORMAT, "belong to none" },
        { { { "a", 1, { 8 }, 0, 0 }, { "a", 1, { 8 }, 0, 32 } }, 2, 64, MUSE_ERR_FORMAT, "twice" },
        { { { "a", 1, { 8 }, 0, 4 } }, 1, 64, MUSE_ERR_FORMAT, "starts at 4" },
        { { { "a", 1, { 8 }, 0, 1u << 20 } }, 1, 64, MUSE_ERR_FORMAT, "starts at" },
        { { { "a", 2, { UINT64_C(1) << 32, UINT64_C(1) << 31 }, 0, 0 } }, 1, 64, MUSE_ERR_FORMAT, "2^63" },
        { { { "a", 2, { UINT64_C(1) << 40, UINT64_C(1) << 40 }, 0, 0 } }, 1, 64, MUSE_ERR_FORMAT, "too large" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Gguf file;
        make_gguf(&file, cases[i].rows, cases[i].n_rows, cases[i].n_data);
        MuseTensors list = { 0 };
        MuseGguf g = { 0 };
        const int rc = read_gguf(&file, &list, &g);
        if (rc != cases[i].code || (rc < 0 && !strstr(err.text, cases[i].words))) fail_msg("case %zu: %d, \"%s\"", i, rc, rc < 0 ? err.text : "");
        if (i == 0) {
            const MuseTensor *a = muse_tensors_find(&list, "a");
            assert_int_equal(a->shape[0], 2);
            assert_int_equal(a->shape[1], 32);
            assert_int_equal(a->bytes, 68);
            assert_int_equal(muse_tensors_find(&list, "b")->data[0], 96);
        }
        muse_tensors_clear(&list);
        muse_gguf_close(&g);
    }
}

/* ---- files ---- */

static void golden(void **state)
{
    (void)state;
    static const struct { const char *path; size_t parts, tensors; } files[] = {
        { "golden/gemma4-a/hf", 1, 5 * 14 + 13 + 2 + 11 }, { "golden/gemma4-b/hf", 3, 4 * 14 + 3 * 13 + 2 + 11 }, { "golden/llama3/hf", 1, 5 * 9 + 3 },
        { "golden/qwen2/hf", 1, 4 * 12 + 2 }, { "golden/qwen3/hf/model.safetensors.index.json", 2, 4 * 11 + 3 },
        { "golden/gemma4-a/gguf/text-q8_0.gguf", 1, 5 * 14 + 13 + 3 }, { "golden/gemma4-a/gguf/mmproj-bf16.gguf", 1, 11 },
        { "golden/llama3/gguf/model-q8_0.gguf", 1, 5 * 9 + 4 }, { "golden/qwen2/gguf/model-f32.gguf", 1, 4 * 12 + 2 },
        { "golden/qwen3/gguf/model-bf16.gguf", 1, 4 * 11 + 3 }, { "golden/qwen2/cases/text-short/expect.safetensors", 1, 0 },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        MuseWeightFile w;
        if (muse_weights_open(&w, NULL, NULL, data_path(files[i].path), &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(w.n_parts, files[i].parts);
        if (files[i].tensors) assert_int_equal(w.tensors.n, files[i].tensors);
        uint64_t total = 0;
        for (size_t k = 0; k < w.tensors.n; k++) total += w.tensors.items[k].bytes;
        assert_true(total < w.file_bytes);
        muse_weights_close(&w);
    }
}

/* the same weight in both containers: bf16 in one, the same numbers as f32 in the other */
static void containers_agree(void **state)
{
    (void)state;
    MuseWeightFile hf, gguf;
    assert_int_equal(muse_weights_open(&hf, NULL, NULL, data_path("golden/qwen2/hf"), &err), 0);
    assert_int_equal(muse_weights_open(&gguf, NULL, NULL, data_path("golden/qwen2/gguf/model-f32.gguf"), &err), 0);
    const MuseTensor *a = muse_weights_find(&hf, "model.layers.2.self_attn.v_proj.weight"), *b = muse_weights_find(&gguf, "blk.2.attn_v.weight");
    assert_non_null(a);
    assert_non_null(b);
    assert_memory_equal(a->shape, b->shape, sizeof a->shape);
    for (size_t i = 0; i < b->bytes / 4; i++) {
        MuseBf16 x;
        float y;
        memcpy(&x, a->data + 2 * i, 2);
        memcpy(&y, b->data + 4 * i, 4);
        assert_true(muse_bf16_f32(x) == y);
    }
    muse_weights_close(&hf);
    muse_weights_close(&gguf);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int open_shards(const char *index, const char *second_header, char *folder)
{
    size_t size;
    uint8_t *bytes = make_file("{" T("a", "F32", "[1]", "0", "4") "}", 4, &size);
    write_file(folder, "m-1.safetensors", bytes, size);
    free(bytes);
    bytes = make_file(second_header, 4, &size);
    write_file(folder, "m-2.safetensors", bytes, size);
    free(bytes);
    write_file(folder, "model.safetensors.index.json", index, strlen(index));
    MuseWeightFile w;
    const int rc = muse_weights_open(&w, NULL, NULL, folder, &err);
    muse_weights_close(&w);
    return rc;
}

static void shards(void **state)
{
    (void)state;
    char folder[] = "/tmp/muse-test-XXXXXX", path[512];
    assert_non_null(mkdtemp(folder));
    MuseWeightFile w;
    assert_int_equal(muse_weights_open(&w, NULL, NULL, folder, &err), MUSE_ERR_IO);   /* nothing in it */
    assert_null(strstr(err.text, ".gguf"));
    write_file(folder, "other.gguf", "GGUF", 4);
    assert_int_equal(muse_weights_open(&w, NULL, NULL, folder, &err), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "/other.gguf"));
    snprintf(path, sizeof path, "%s/other.gguf", folder);
    unlink(path);
    static const char *b = "{" T("b", "F32", "[1]", "0", "4") "}", *a = "{" T("a", "F32", "[1]", "0", "4") "}";
    assert_int_equal(open_shards("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}", b, folder), 0);
    assert_int_equal(open_shards("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}", a, folder), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "twice"));
    assert_int_equal(open_shards("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}", b, folder), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "\"c\""));
    assert_int_equal(open_shards("{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\"}}", b, folder), MUSE_ERR_FORMAT);
    assert_int_equal(open_shards("{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-3.safetensors\"}}", b, folder), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "m-3.safetensors"));
    static const char *names[] = { "m-1.safetensors", "m-2.safetensors", "model.safetensors.index.json" };
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* ---- memory ---- */

static Meter meter;

static void no_memory(void **state)
{
    (void)state;
    static const char *paths[] = { "golden/qwen3/hf", "golden/qwen3/gguf/model-bf16.gguf" };
    const MuseAllocator a = meter_allocator(&meter);
    for (size_t i = 0; i < 2; i++) {
        int rc = MUSE_ERR_NOMEM;
        for (long n = 0; rc == MUSE_ERR_NOMEM; n++) {
            MuseWeightFile w;
            meter_leave(&meter, n);
            rc = muse_weights_open(&w, &a, NULL, data_path(paths[i]), &err);
            meter.fail_from = 0;
            muse_weights_close(&w);
            assert_true(n < 100000);
        }
        if (rc < 0) fail_msg("%s", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_header), cmocka_unit_test(bad_headers), cmocka_unit_test(indexes), cmocka_unit_test(gguf_directories),
        cmocka_unit_test(golden), cmocka_unit_test(containers_agree), cmocka_unit_test(shards), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
