/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/convert: the golden checkpoints into GGUF and back, against the published GGUF files; number types against ops/quant;
 * files beside the weights; what is refused; cancelling, a full disk and allocations that fail leave nothing behind. */
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/dtype.h"
#include "base/json.h"
#include "libmuse/io/weights_write.h"
#include "libmuse/model/model.h"
#include "muse/muse.h"
#include "ops/quant.h"
#include "tests/unit/meter.h"

static MuseError err;
static char folder[] = "/tmp/muse-test-XXXXXX";

static const char *in(const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", getenv("MUSE_TEST_DATA"), name);
    return path;
}

static const char *out(const char *name)
{
    static char paths[32][256];
    static unsigned next;
    char *path = paths[next++ % 32];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int convert_with(MuseRuntime *rt, const char *from, const char *to, const char *type, MuseConvertParams p, MuseConvertInfo *info)
{
    p.struct_size = sizeof p;
    p.type = type;
    return muse_convert(rt, from, to, &p, info, &err);
}

static MuseConvertInfo convert(const char *from, const char *to, const char *type, const char *mmproj)
{
    MuseConvertInfo info;
    if (convert_with(NULL, from, to, type, (MuseConvertParams){ .mmproj = mmproj }, &info) < 0) fail_msg("%s to %s: %s", from, to, err.text);
    return info;
}

static MuseModel *open_model(const char *path, const char *mmproj)
{
    MuseModelParams p;
    MuseModel *m = NULL;
    muse_model_params_init(&p);
    p.mmproj = mmproj;
    if (muse_model_open(&m, NULL, path, &p, &err) < 0) fail_msg("%s", err.text);
    return m;
}

/* files and folders under the test's folder, all the way down */
static size_t count_files(const char *path, bool remove)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));) {
        char name[700];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        struct stat st;
        assert_int_equal(lstat(name, &st), 0);
        n += 1 + (S_ISDIR(st.st_mode) ? count_files(name, remove) : 0);
        if (remove) assert_int_equal(S_ISDIR(st.st_mode) ? rmdir(name) : unlink(name), 0);
    }
    closedir(dir);
    return n;
}

static int make_folder(void **state) { (void)state; return mkdtemp(folder) ? 0 : -1; }
static int empty_folder(void **state) { (void)state; count_files(folder, true); return 0; }
static int drop_folder(void **state) { (void)state; return rmdir(folder); }

/* ---- against the published files ---- */

static void check_tensors(const MuseWeightFile *got, const MuseWeightFile *want)
{
    assert_int_equal(got->tensors.n, want->tensors.n);
    for (size_t i = 0; i < want->tensors.n; i++) {
        const MuseTensor *a = &got->tensors.items[i], *b = &want->tensors.items[i];
        assert_string_equal(a->name, b->name);
        if (a->type != b->type || a->rank != b->rank || memcmp(a->shape, b->shape, sizeof a->shape) != 0) fail_msg("%s: another type or shape", a->name);
        if (strcmp(a->name, "rope_freqs.weight") == 0 || memcmp(a->data, b->data, a->bytes) == 0) continue;
        fail_msg("%s: other values", a->name);
    }
    const MuseTensor *a = muse_weights_find(got, "rope_freqs.weight"), *b = muse_weights_find(want, "rope_freqs.weight");
    for (size_t i = 0; a && i < a->shape[0]; i++) {
        float x, y;
        memcpy(&x, a->data + 4 * i, 4);
        memcpy(&y, b->data + 4 * i, 4);
        assert_true(x <= y * 1.0000003f && x >= y * 0.9999997f);   /* one writer computes in f32, the other in f64 */
    }
}

/* every key of the published file with its value; end ids and suppressed ids are compared as the sets that readers make of them */
static void check_keys(const MuseGguf *got, const MuseGguf *want)
{
    for (size_t i = 0; i < want->n_keys; i++) {
        const MuseGgufKey *b = &want->keys[i];
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)b->name_len, b->name);
        if (strcmp(name, "general.name") == 0) continue;
        const MuseGgufKey *a = muse_gguf_find(got, name);
        if (!a) fail_msg("%s is missing", name);
        if (strcmp(name, "tokenizer.ggml.suppress_tokens") == 0) continue;
        if (a->type != b->type || a->elem != b->elem || a->count != b->count || a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes) != 0) fail_msg("%s: another value", name);
    }
}

static void check_file(const char *got_path, const char *want_path)
{
    MuseWeightFile got, want;
    if (muse_weights_open(&got, NULL, NULL, got_path, &err) < 0) fail_msg("%s", err.text);
    if (muse_weights_open(&want, NULL, NULL, want_path, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(got.gguf.alignment, 32);
    check_tensors(&got, &want);
    check_keys(&got.gguf, &want.gguf);
    muse_weights_close(&want);
    muse_weights_close(&got);
}

static void published(void **state)
{
    (void)state;
    static const struct { const char *hf, *type, *gguf, *mmproj; } cases[] = {
        { "golden/gemma4-a/hf", "bf16", "golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf" },
        { "golden/gemma4-a/hf", "q8_0", "golden/gemma4-a/gguf/text-q8_0.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf" },
        { "golden/llama3/hf", "bf16", "golden/llama3/gguf/model-bf16.gguf", NULL },
        { "golden/llama3/hf", "q8_0", "golden/llama3/gguf/model-q8_0.gguf", NULL },
        { "golden/qwen2/hf", "f32", "golden/qwen2/gguf/model-f32.gguf", NULL },
        { "golden/qwen3/hf", "BF16", "golden/qwen3/gguf/model-bf16.gguf", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const MuseConvertInfo info = convert(in(cases[i].hf), out("a.gguf"), cases[i].type, NULL);
        assert_int_equal(info.n_files, cases[i].mmproj ? 2 : 1);
        assert_int_equal(info.n_kept, 0);
        check_file(out("a.gguf"), in(cases[i].gguf));
        if (cases[i].mmproj) check_file(out("mmproj-a.gguf"), in(cases[i].mmproj));
        struct stat st;
        uint64_t bytes = 0;
        assert_int_equal(stat(out("a.gguf"), &st), 0);
        bytes += (uint64_t)st.st_size;
        if (cases[i].mmproj) bytes += (uint64_t)(stat(out("mmproj-a.gguf"), &st), st.st_size);
        assert_true(bytes == info.bytes_out);
        empty_folder(NULL);
    }
}

/* ---- there and back ---- */

static const char *const goldens[] = { "golden/gemma4-a/hf", "golden/gemma4-b/hf", "golden/llama3/hf", "golden/qwen2/hf", "golden/qwen3/hf" };
enum { GOLDENS = sizeof goldens / sizeof *goldens };

static bool same_ids(const MuseIds *a, const MuseIds *b)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++) found += a->ids[i] == b->ids[k];
    return a->n == b->n && found == a->n;
}

/* the same model, whatever its container; scale factors of angles are compared where they are applied */
static void check_config(const MuseConfig *a, const MuseConfig *b)
{
    assert_int_equal(a->arch, b->arch);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->ffn, b->ffn);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->context, b->context);
    assert_int_equal(a->tied, b->tied);
    assert_true(a->norm_eps == b->norm_eps && a->softcap == b->softcap && a->embed_scale == b->embed_scale);
    assert_int_equal(a->bos, b->bos);
    if (a->pad >= 0) assert_int_equal(a->pad, b->pad);   /* else the tokenizer's may stand in */
    assert_true(same_ids(&a->eos, &b->eos));
    assert_true(same_ids(&a->suppress, &b->suppress));
    assert_true(a->temperature == b->temperature && a->top_p == b->top_p && a->top_k == b->top_k && a->min_p == b->min_p && a->repetition == b->repetition);
    assert_memory_equal(&a->audio, &b->audio, sizeof a->audio);
    assert_int_equal(a->image.live, b->image.live);
    assert_int_equal(a->image.unit, b->image.unit);
    assert_int_equal(a->image.embed, b->image.embed);
    assert_int_equal(a->image.positions, b->image.positions);
    assert_int_equal(a->image.budget, b->image.budget);
    for (uint32_t n = 0; n < a->n_layers; n++) {
        const MuseLayerConfig *x = &a->layers[n], *y = &b->layers[n];
        assert_int_equal(x->heads, y->heads);
        assert_int_equal(x->kv_heads, y->kv_heads);
        assert_int_equal(x->head_width, y->head_width);
        assert_int_equal(x->window, y->window);
        assert_int_equal(x->k_eq_v, y->k_eq_v);
        assert_true(x->rope.base == y->rope.base && x->rope.width == y->rope.width && x->rope.pairs == y->rope.pairs);
        if (!x->rope.divisors && !y->rope.divisors) assert_true(x->rope.factor == y->rope.factor && x->rope.original_positions == y->rope.original_positions);
    }
}

/* the same ids for the same texts, the same bytes for the same ids */
static void check_tokenizer(const MuseModel *a, const MuseModel *b, const char *lines)
{
    MuseTextTokenizer *x, *y;
    MuseTextInfo info;
    if (muse_model_open_tokenizer(a, &x, &err) < 0 || muse_model_open_tokenizer(b, &y, &err) < 0) fail_msg("%s", err.text);
    muse_text_info(x, &info);
    for (int32_t id = 0; (uint32_t)id < info.vocab_size; id++) {
        const char *p, *q;
        size_t n_p, n_q;
        assert_int_equal(muse_text_token_bytes(x, id, &p, &n_p), 0);
        assert_int_equal(muse_text_token_bytes(y, id, &q, &n_q), 0);
        assert_true(n_p == n_q && memcmp(p, q, n_p) == 0);
        assert_int_equal(muse_text_is_special(x, id), muse_text_is_special(y, id));
    }
    MuseFile file = { 0 };
    if (muse_file_open(&file, lines, 1 << 20, &err) < 0) fail_msg("%s", err.text);
    size_t texts = 0;
    for (const uint8_t *at = file.data, *end = file.data + file.size, *stop; at < end; at = stop + 1, texts++) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        MuseJson doc;
        assert_int_equal(muse_json_parse(&doc, NULL, at, (size_t)(stop - at), &err), 0);
        const MuseJsonValue *text = muse_json_get(doc.root, "text");
        int32_t *p, *q;
        size_t n_p, n_q;
        assert_int_equal(muse_text_encode(x, text->u.string, text->len, MUSE_TEXT_ADDED, &p, &n_p, &err), 0);
        assert_int_equal(muse_text_encode(y, text->u.string, text->len, MUSE_TEXT_ADDED, &q, &n_q, &err), 0);
        assert_true(n_p == n_q && (n_p == 0 || memcmp(p, q, n_p * sizeof *p) == 0));
        muse_free(p);
        muse_free(q);
        muse_json_close(&doc);
    }
    assert_true(texts > 5);
    muse_file_close(&file);
    muse_text_close(&x);
    muse_text_close(&y);
}

static void check_same_weights(const MuseModel *a, const MuseModel *b)
{
    assert_int_equal(a->files[0].tensors.n, b->files[0].tensors.n);
    for (size_t i = 0; i < a->files[0].tensors.n; i++) {
        const MuseTensor *x = &a->files[0].tensors.items[i], *y = &b->files[0].tensors.items[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type, y->type);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        if (memcmp(x->data, y->data, x->bytes) != 0) fail_msg("%s: other values", x->name);
    }
}

/* the matrix of pictures by the formula of Gemma spec 8.2, the position table by axes: an order that is wrong both ways would pass else */
static void check_patches(const MuseModel *hf, const MuseModel *gguf)
{
    const uint32_t u = hf->config.image.unit;
    const MuseTensor *a = hf->weights.image.dense, *b = gguf->weights.image.dense, *x = hf->weights.image.place, *y = gguf->weights.image.place;
    assert_int_equal(b->type, MUSE_TENSOR_F32);
    for (uint32_t e = 0; e < hf->config.image.embed; e += 7)
        for (uint32_t i = 0; i < u * u * 3; i++) {
            const uint32_t c = i / (u * u), row = i % (u * u) / u, col = i % u;
            MuseBf16 want;
            float got;
            memcpy(&want, a->data + 2 * ((size_t)e * u * u * 3 + row * 3 * u + col * 3 + c), 2);
            memcpy(&got, b->data + 4 * ((size_t)e * u * u * 3 + i), 4);
            assert_true(got == muse_bf16_f32(want));
        }
    const size_t n = x->shape[0], width = x->shape[2];
    for (size_t i = 0; i < n; i++)
        for (size_t axis = 0; axis < 2; axis++) {
            MuseBf16 want;
            float got;
            memcpy(&want, x->data + 2 * ((i * 2 + axis) * width + 3), 2);
            memcpy(&got, y->data + 4 * ((axis * n + i) * width + 3), 4);
            assert_true(got == muse_bf16_f32(want));
        }
}

static void there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS; i++) {
        const bool gemma = strstr(goldens[i], "gemma") != NULL;
        const char *projector = gemma ? out("p.gguf") : NULL;
        char lines[64];
        snprintf(lines, sizeof lines, "%.*stokens.jsonl", (int)strlen(goldens[i]) - 2, goldens[i]);
        convert(in(goldens[i]), out("m.gguf"), "bf16", projector);
        convert(out("m.gguf"), out("back"), "bf16", projector);
        MuseModel *a = open_model(in(goldens[i]), NULL), *b = open_model(out("m.gguf"), projector), *c = open_model(out("back"), NULL);
        check_config(&a->config, &b->config);
        check_config(&a->config, &c->config);
        check_tokenizer(a, b, in(lines));
        check_tokenizer(a, c, in(lines));
        check_same_weights(a, c);
        if (gemma) check_patches(a, b);
        muse_model_close(&a);
        muse_model_close(&b);
        muse_model_close(&c);
        empty_folder(NULL);
    }
}

/* a program's locale that writes 0,5 leaves the JSON as it is */
static void decimal_commas(void **state)
{
    (void)state;
    static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8" };
    static const struct { const char *gguf, *mmproj; } models[] = {
        { "golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf" }, { "golden/llama3/gguf/model-bf16.gguf", NULL } };
    const char *set = NULL;
    for (size_t i = 0; i < sizeof commas / sizeof *commas && !set; i++) set = setlocale(LC_ALL, commas[i]);
    if (!set) skip();
    for (size_t i = 0; i < 2; i++) {
        const char *const names[] = { "config.json", "generation_config.json" }, *mmproj = models[i].mmproj ? in(models[i].mmproj) : NULL;
        setlocale(LC_ALL, set);
        convert(in(models[i].gguf), out("commas"), "bf16", mmproj);
        setlocale(LC_ALL, "C");
        convert(in(models[i].gguf), out("points"), "bf16", mmproj);
        for (size_t k = 0; k < 2; k++) {
            char path[2][64];
            MuseFile a = { 0 }, b = { 0 };
            snprintf(path[0], sizeof path[0], "commas/%s", names[k]);
            snprintf(path[1], sizeof path[1], "points/%s", names[k]);
            assert_int_equal(muse_file_open(&a, out(path[0]), 1 << 20, &err) | muse_file_open(&b, out(path[1]), 1 << 20, &err), 0);
            assert_int_equal(a.size, b.size);
            assert_memory_equal(a.data, b.data, a.size);
            muse_file_close(&a);
            muse_file_close(&b);
        }
        empty_folder(NULL);
    }
}

static void text_only_gemma(void **state)
{
    (void)state;
    convert(in("golden/gemma4-a/gguf/text-bf16.gguf"), out("text"), "bf16", NULL);
    MuseModel *a = open_model(in("golden/gemma4-a/gguf/text-bf16.gguf"), NULL), *b = open_model(out("text"), NULL);
    MuseModelInfo info;
    check_config(&a->config, &b->config);
    muse_model_info(b, &info);
    assert_int_equal(info.takes_images, 0);
    assert_int_equal(info.n_unused, 0);
    muse_model_close(&a);
    muse_model_close(&b);
    assert_int_equal(convert_with(NULL, out("text"), out("b.gguf"), "bf16", (MuseConvertParams){ .mmproj = out("p.gguf") }, NULL), MUSE_ERR_ARG);
    assert_int_equal(convert(out("text"), out("b.gguf"), "bf16", NULL).n_files, 1);
}

/* ---- number types ---- */

/* values of a tensor by the reference decoder */
static float *values_of(const MuseTensor *t, size_t *n)
{
    MuseQuantOps ops = { 0 };
    uint64_t values;
    muse_quant_ops_init(&ops, 0);
    assert_true(muse_tensor_values(t, &values));
    *n = (size_t)values;
    float *x = malloc(*n * sizeof *x);
    assert_non_null(x);
    muse_quant_dequant(&ops, muse_weight_type_of_gguf(t->type))(x, t->data, *n);
    return x;
}

static void folder_types(void **state)
{
    (void)state;
    static const char *const types[] = { "f32", "f16", "bf16" };
    static const char *const notes[] = { "float32", "float16", "bfloat16" };
    for (size_t i = 0; i < GOLDENS; i++)
        for (size_t k = 0; k < 3; k++) {
            const MuseConvertInfo info = convert(in(goldens[i]), out("f"), types[k], NULL);
            MuseModel *a = open_model(in(goldens[i]), NULL), *b = open_model(out("f"), NULL);
            check_config(&a->config, &b->config);
            assert_int_equal(info.n_tensors, a->files[0].tensors.n);
            assert_int_equal(b->files[0].tensors.n, a->files[0].tensors.n);
            for (size_t t = 0; t < a->files[0].tensors.n; t++) {
                const MuseTensor *x = &a->files[0].tensors.items[t], *y = &b->files[0].tensors.items[t];
                size_t n, same;
                float *p = values_of(x, &n), *q = values_of(y, &same);
                assert_string_equal(x->name, y->name);
                assert_int_equal(n, same);
                for (size_t v = 0; v < n; v++) assert_true(q[v] == (k == 1 ? muse_f16_f32(muse_f32_f16(p[v])) : p[v]));
                free(p);
                free(q);
            }
            char text[8192] = "";
            FILE *f = fopen(out("f/config.json"), "rb");
            assert_non_null(f);
            assert_true(fread(text, 1, sizeof text - 1, f) > 100);
            fclose(f);
            assert_non_null(strstr(text, notes[k]));
            if (k < 2) assert_null(strstr(text, "bfloat16"));
            assert_int_equal(access(out("f/tokenizer.json"), F_OK), 0);
            assert_int_equal(access(out("f/tokenizer_config.json"), F_OK), 0);
            assert_int_equal(access(out("f/generation_config.json"), F_OK), 0);
            assert_int_equal(access(out("f/model.safetensors"), F_OK), 0);
            muse_model_close(&a);
            muse_model_close(&b);
            empty_folder(NULL);
        }
}

static void shards(void **state)
{
    (void)state;
    MuseConvertInfo info;
    if (convert_with(NULL, in("golden/llama3/hf"), out("s"), "f32", (MuseConvertParams){ .shard_bytes = 200000 }, &info) < 0) fail_msg("%s", err.text);
    MuseModel *m = open_model(out("s"), NULL);
    assert_int_equal(m->files[0].n_parts, info.n_files);
    assert_true(info.n_files >= 5 && info.n_files <= 8);
    for (size_t i = 0; i < m->files[0].n_parts; i++) assert_true(m->files[0].parts[i].file.size < 210000);
    assert_int_equal(access(out("s/model.safetensors.index.json"), F_OK), 0);
    muse_model_close(&m);
    if (convert_with(NULL, in("golden/llama3/hf"), out("each"), "f32", (MuseConvertParams){ .shard_bytes = 1 }, &info) < 0) fail_msg("%s", err.text);
    assert_int_equal(info.n_files, info.n_tensors);   /* a tensor is never cut */
    assert_true(info.n_files > 30);
    const int next = open("/dev/null", O_RDONLY);   /* with room for a few more files only */
    struct rlimit old, few;
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){ (rlim_t)next + 6, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int rc = convert_with(NULL, in("golden/llama3/hf"), out("few"), "f32", (MuseConvertParams){ .shard_bytes = 1 }, &info);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    if (rc < 0) fail_msg("%s", err.text);
    convert(out("s"), out("joined"), "bf16", NULL);   /* and back into one file */
    MuseModel *a = open_model(in("golden/llama3/hf"), NULL), *b = open_model(out("joined"), NULL);
    check_same_weights(a, b);
    muse_model_close(&a);
    muse_model_close(&b);
}

/* a folder where the index should go, made when all is written */
static void block_index(void *user, uint64_t done, uint64_t total, const char *tensor)
{
    (void)user, (void)tensor;
    if (done == total) assert_int_equal(mkdir(out("late/model.safetensors.index.json"), 0777), 0);
}

static void shards_without_index(void **state)
{
    (void)state;
    const MuseConvertParams p = { .shard_bytes = 200000, .progress = block_index };
    assert_int_equal(convert_with(NULL, in("golden/llama3/hf"), out("late"), "f32", p, NULL), MUSE_ERR_IO);
    assert_int_equal(count_files(out("late"), false), 1);
}

/* the same where the model goes; its projector file is in place by then */
static void block_model(void *user, uint64_t done, uint64_t total, const char *tensor)
{
    (void)user, (void)tensor;
    if (done == total) assert_int_equal(mkdir(out("late.gguf"), 0777), 0);
}

static void projector_without_model(void **state)
{
    (void)state;
    const MuseConvertParams p = { .progress = block_model };
    assert_int_equal(convert_with(NULL, in("golden/gemma4-a/hf"), out("late.gguf"), "bf16", p, NULL), MUSE_ERR_IO);
    assert_int_equal(count_files(folder, false), 1);
}

/* matrices get exactly the blocks that muse_quantize() makes of the values; all else stays */
static void requantise(void **state)
{
    (void)state;
    static const char *const types[] = { "f32", "bf16", "f16", "q8_0", "q4_0", "q4_k", "q5_k", "q6_k", "q5_0", "q5_1" };
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        const MuseConvertInfo info = convert(in("golden/qwen2/gguf/model-f32.gguf"), out("q.gguf"), types[k], NULL);
        MuseModel *a = open_model(in("golden/qwen2/gguf/model-f32.gguf"), NULL), *b = open_model(out("q.gguf"), NULL);
        size_t kept = 0;
        check_config(&a->config, &b->config);
        for (size_t t = 0; t < a->files[0].tensors.n; t++) {
            const MuseTensor *x = &a->files[0].tensors.items[t], *y = &b->files[0].tensors.items[t];
            assert_string_equal(x->name, y->name);
            size_t n;
            float *p = values_of(x, &n);
            const bool fits = x->shape[1] % muse_weight_type_info((unsigned)muse_weight_type_of_gguf(y->type))->block == 0;
            unsigned want = MUSE_WEIGHT_F32;   /* types[] and enum MuseWeightType list the first three in another order */
            if (x->rank == 2) want = k == 0 ? MUSE_WEIGHT_F32 : k == 1 ? MUSE_WEIGHT_BF16 : k == 2 ? MUSE_WEIGHT_F16 : (unsigned)k;
            if (x->rank == 2 && k >= 5 && k < 8) want = MUSE_WEIGHT_BF16, kept++;   /* rows of 64 and 96 are no super-blocks */
            assert_true(fits || x->rank == 1);
            assert_int_equal(muse_weight_type_of_gguf(y->type), want);
            uint8_t *blocks = malloc(y->bytes);
            assert_true(muse_quantize(want, blocks, p, n));
            if (memcmp(blocks, y->data, y->bytes) != 0) fail_msg("%s: other blocks", x->name);
            free(blocks);
            free(p);
        }
        assert_int_equal(info.n_kept, kept);
        muse_model_close(&a);
        muse_model_close(&b);
    }
    convert(in("golden/llama3/gguf/model-bf16.gguf"), out("q.gguf"), "q8_0", NULL);
    check_file(out("q.gguf"), in("golden/llama3/gguf/model-q8_0.gguf"));   /* permuted rows stay as they are, and each row is its own blocks */
    convert(out("q.gguf"), out("q2.gguf"), "q8_0", NULL);
    check_file(out("q2.gguf"), in("golden/llama3/gguf/model-q8_0.gguf"));
}

/* one thread and several write the same bytes */
static void threads(void **state)
{
    (void)state;
    MuseRuntimeParams rp;
    MuseRuntime *rt;
    muse_runtime_params_init(&rp);
    for (uint32_t n = 1; n <= 3; n += 2) {
        rp.threads = n;
        assert_int_equal(muse_runtime_open(&rt, &rp, &err), 0);
        assert_int_equal(convert_with(rt, in("golden/gemma4-a/hf"), out(n == 1 ? "1.gguf" : "3.gguf"), "q4_0", (MuseConvertParams){ .mmproj = out("p.gguf") }, NULL), 0);
        muse_runtime_close(&rt);
    }
    MuseFile a = { 0 }, b = { 0 };
    assert_int_equal(muse_file_open(&a, out("1.gguf"), 1 << 24, &err), 0);
    assert_int_equal(muse_file_open(&b, out("3.gguf"), 1 << 24, &err), 0);
    assert_true(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    muse_file_close(&a);
    muse_file_close(&b);
}

/* ---- what is refused ---- */

static void put(const char *name, const char *text) { assert_int_equal(muse_file_write(out(name), text, strlen(text), &err), 0); }

static void refused(void **state)
{
    (void)state;
    const char *llama = in("golden/llama3/hf"), *gguf = in("golden/llama3/gguf/model-bf16.gguf"), *gemma = in("golden/gemma4-a/gguf/text-bf16.gguf");
    assert_int_equal(mkdir(out("full"), 0777), 0);
    put("full/x", "x");
    put("file", "x");
    convert(gguf, out("self.gguf"), "bf16", NULL);
    assert_int_equal(symlink(out("self.gguf"), out("link.gguf")), 0);
    const struct { const char *from, *to, *type; MuseConvertParams p; int code; const char *words; } cases[] = {
        { llama, "a", NULL, { 0 }, MUSE_ERR_ARG, "type" },
        { llama, "a", "q3_k", { 0 }, MUSE_ERR_ARG, "q3_k" },
        { llama, "a", "q8_0", { 0 }, MUSE_ERR_UNSUPPORTED, "Q8_0" },
        { llama, "full", "bf16", { 0 }, MUSE_ERR_ARG, "not empty" },
        { llama, "file", "bf16", { 0 }, MUSE_ERR_ARG, "file" },
        { llama, "no/such/folder", "bf16", { 0 }, MUSE_ERR_IO, "No such file" },
        { llama, "no/such/a.gguf", "bf16", { 0 }, MUSE_ERR_IO, "No such file" },
        { llama, "a.gguf", "bf16", { .mmproj = "p.gguf" }, MUSE_ERR_ARG, "text only" },
        { llama, "a.gguf", "bf16", { .shard_bytes = 1000 }, MUSE_ERR_ARG, "one piece" },
        { out("self.gguf"), "link.gguf", "q8_0", { 0 }, MUSE_ERR_ARG, "the input itself" },
        { gguf, "a.gguf", "bf16", { .mmproj = gemma }, MUSE_ERR_ARG, "projector" },
        { gguf, "b", "bf16", { .mmproj = gemma }, MUSE_ERR_UNSUPPORTED, "projector" },
        { out("no"), "b", "bf16", { 0 }, MUSE_ERR_IO, "no" },
        { out("file"), "b", "bf16", { 0 }, MUSE_ERR_FORMAT, "file" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int rc = convert_with(NULL, cases[i].from, out(cases[i].to), cases[i].type, cases[i].p, NULL);
        if (rc != cases[i].code) fail_msg("case %zu: %d, not %d (%s)", i, rc, cases[i].code, rc < 0 ? err.text : "");
        if (rc < 0 && !strstr(err.text, cases[i].words)) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].words);
    }
    MuseConvertParams p;
    muse_convert_params_init(&p);
    p.type = "bf16";
    assert_int_equal(muse_convert(NULL, llama, NULL, &p, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_convert(NULL, llama, out("c"), NULL, NULL, &err), MUSE_ERR_ARG);
}

/* ---- a family without GGUF form, written by the writer alone ---- */

static const char muse_config[] =
    "{\"model_type\": \"muse\", \"muse_version\": 1, \"torch_dtype\": \"float32\", \"note\": [{\"dtype\": \"float32\"}], \"vocab_size\": 8, \"hidden_size\": 4, \"intermediate_size\": 6,"
    " \"num_hidden_layers\": 1, \"num_attention_heads\": 1, \"num_key_value_heads\": 1, \"head_dim\": 4, \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-6, \"hidden_act\": \"relu2\","
    " \"qk_norm\": false, \"rope_theta\": 100.0, \"rope_pairs\": [2, 0, 0], \"tie_word_embeddings\": true}";

static int write_muse(const char *path, bool whole)
{
    static const struct { const char *name; uint32_t rank; uint64_t a, b; } list[] = {
        { "model.embed_tokens.weight", 2, 8, 4 }, { "model.norm.weight", 1, 4, 1 }, { "model.layers.0.input_layernorm.weight", 1, 4, 1 }, { "nothing", 2, 0, 7 },
        { "model.layers.0.self_attn.q_proj.weight", 2, 4, 4 }, { "model.layers.0.self_attn.k_proj.weight", 2, 4, 4 }, { "model.layers.0.self_attn.v_proj.weight", 2, 4, 4 },
        { "model.layers.0.self_attn.o_proj.weight", 2, 4, 4 }, { "model.layers.0.post_attention_layernorm.weight", 1, 4, 1 }, { "model.layers.0.mlp.up_proj.weight", 2, 6, 4 },
        { "model.layers.0.mlp.down_proj.weight", 2, 4, 6 },
    };
    static const float values[32] = { 1, 2, 3, 4 };
    MuseTensors plan = { 0 };
    MuseWeightWriter w = { 0 };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const MuseTensor t = { .type = MUSE_TENSOR_F32, .rank = list[i].rank, .shape = { list[i].a, list[i].b, 1, 1 } };
        assert_int_equal(muse_tensors_add(&plan, &t, list[i].name, strlen(list[i].name), &err), 0);
    }
    int rc = muse_writer_safetensors(&w, NULL, path, &plan, 0, &err);
    while (rc == 0 && w.tensor < plan.n && (whole || w.tensor < 8)) {   /* in two pieces each */
        const uint64_t bytes = plan.items[w.tensor].bytes;
        rc = muse_writer_data(&w, values, 4, &err);
        if (rc == 0) rc = muse_writer_data(&w, (const uint8_t *)values + 4, (size_t)bytes - 4, &err);
    }
    if (rc == 0) rc = muse_writer_commit(&w, &err);
    muse_writer_close(&w);
    muse_tensors_clear(&plan);
    return rc;
}

static void muse_family(void **state)
{
    (void)state;
    assert_int_equal(mkdir(out("muse"), 0777), 0);
    put("muse/config.json", muse_config);
    put("muse/tokenizer.json", "{}");
    put("muse/other.bin", "not copied");
    assert_int_equal(write_muse(out("muse"), false), MUSE_ERR_STATE);
    assert_int_equal(count_files(out("muse"), false), 3);
    if (write_muse(out("muse"), true) < 0) fail_msg("%s", err.text);
    assert_int_equal(convert_with(NULL, out("muse"), out("a.gguf"), "bf16", (MuseConvertParams){ 0 }, NULL), MUSE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "family muse has no GGUF form"));
    convert(out("muse"), out("half"), "f16", NULL);
    MuseModel *m = open_model(out("half"), NULL);
    const MuseTensor *t = m->weights.layers[0].w_down;
    assert_int_equal(t->type, MUSE_TENSOR_F16);
    assert_int_equal(t->data[0] | t->data[1] << 8, 0x3c00);
    assert_int_equal(t->data[6] | t->data[7] << 8, 0x4400);
    muse_model_close(&m);
    MuseFile f = { 0 };
    char want[sizeof muse_config] = "", *at = want;
    for (const char *c = muse_config; *c;) {   /* both notes of the type, and nothing else */
        const bool note = strncmp(c, "float32", 7) == 0;
        at += sprintf(at, "%.*s", note ? 7 : 1, note ? "float16" : c);
        c += note ? 7 : 1;
    }
    assert_int_equal(muse_file_open(&f, out("half/config.json"), 1 << 20, &err), 0);
    assert_true(f.size == strlen(want) && memcmp(f.data, want, f.size) == 0);
    muse_file_close(&f);
    assert_int_equal(count_files(out("half"), false), 3);
    char escaped[sizeof muse_config + 8];
    const char *last = strstr(muse_config, "[{") + strlen("[{\"dtype\": \"");   /* of the second note */
    snprintf(escaped, sizeof escaped, "%.*s\\u0066%s", (int)(last - muse_config), muse_config, last + 1);
    put("muse/config.json", escaped);
    assert_int_equal(convert_with(NULL, out("muse"), out("no"), "f16", (MuseConvertParams){ 0 }, NULL), MUSE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "escapes"));
    assert_int_equal(access(out("no"), F_OK), -1);
}

/* a copy of a golden folder with one file changed: `from` in it becomes `to`; from NULL: the file is left out */
static void change(const char *golden, const char *name, const char *from, const char *to)
{
    static const char *const files[] = { "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors" };
    mkdir(out("in"), 0777);
    for (size_t i = 0; i < 5; i++) {
        char path[300], target[64];
        MuseFile f = { 0 };
        snprintf(path, sizeof path, "%s/%s", golden, files[i]);
        snprintf(target, sizeof target, "in/%s", files[i]);
        if (muse_file_open(&f, in(path), 1 << 24, &err) < 0) fail_msg("%s", err.text);
        unlink(out(target));
        const bool changed = strcmp(files[i], name) == 0;
        const uint8_t *at = NULL;
        for (size_t k = 0; changed && from && k + strlen(from) <= f.size && !at; k++) at = memcmp(f.data + k, from, strlen(from)) == 0 ? f.data + k : NULL;
        if (changed && from) {
            assert_non_null(at);
            const size_t before = (size_t)(at - f.data), n_from = strlen(from), n_to = strlen(to);
            char *text = malloc(f.size + n_to);
            memcpy(text, f.data, before);
            memcpy(text + before, to, n_to);
            memcpy(text + before + n_to, at + n_from, f.size - before - n_from);
            assert_int_equal(muse_file_write(out(target), text, f.size - n_from + n_to, &err), 0);
            free(text);
        } else if (!changed) {
            assert_int_equal(muse_file_write(out(target), f.data, f.size, &err), 0);
        }
        muse_file_close(&f);
    }
}

/* the projector file would replace the model's file, or an input */
static void refused_projectors(void **state)
{
    (void)state;
    change("golden/gemma4-a/hf", "", NULL, NULL);
    put("there.gguf", "x");
    assert_int_equal(symlink(out("there.gguf"), out("link.gguf")), 0);
    const struct { const char *to, *projector, *words; } cases[] = {
        { out("a.gguf"), out("in/../a.gguf"), "both" },
        { out("link.gguf"), out("there.gguf"), "both" },
        { out("a.gguf"), out("in/model.safetensors"), "the input itself" },
    };
    const size_t n = count_files(folder, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(convert_with(NULL, out("in"), cases[i].to, "bf16", (MuseConvertParams){ .mmproj = cases[i].projector }, NULL), MUSE_ERR_ARG);
        if (!strstr(err.text, cases[i].words)) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].words);
        assert_int_equal(count_files(folder, false), n);
    }
}

static void refused_tokenizers(void **state)
{
    (void)state;
    static const struct { const char *golden, *name, *from, *to; int code; const char *words; } cases[] = {
        { "golden/llama3/hf", "tokenizer.json", NULL, NULL, MUSE_ERR_IO, "tokenizer.json" },
        { "golden/llama3/hf", "tokenizer.json", "\"ignore_merges\": true", "\"ignore_merges\": false", MUSE_ERR_UNSUPPORTED, "ignore_merges" },
        { "golden/llama3/hf", "tokenizer.json", "{1,3}", "{1,2}", MUSE_ERR_UNSUPPORTED, "pre_tokenizer" },
        { "golden/qwen2/hf", "tokenizer.json", "\"NFC\"", "\"NFKC\"", MUSE_ERR_UNSUPPORTED, "normalizer" },
        { "golden/qwen2/hf", "tokenizer.json", "\"normalizer\": {\n  \"type\": \"NFC\"\n }", "\"normalizer\": null", MUSE_ERR_UNSUPPORTED, "normalizer" },
        { "golden/qwen2/hf", "tokenizer_config.json", NULL, NULL, 0, NULL },
        { "golden/gemma4-a/hf", "tokenizer.json", "\"content\": \"\xe2\x96\x81\"", "\"content\": \"_\"", MUSE_ERR_UNSUPPORTED, "normalizer" },
        { "golden/gemma4-a/hf", "config.json", "\"use_bidirectional_attention\": \"vision\",", "", MUSE_ERR_UNSUPPORTED, "causally" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        change(cases[i].golden, cases[i].name, cases[i].from, cases[i].to);
        const int rc = convert_with(NULL, out("in"), out("a.gguf"), "q8_0", (MuseConvertParams){ 0 }, NULL);
        if (rc != cases[i].code) fail_msg("case %zu: %d, not %d (%s)", i, rc, cases[i].code, rc < 0 ? err.text : "");
        if (rc < 0 && !strstr(err.text, cases[i].words)) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].words);
        assert_int_equal(unlink(out("a.gguf")), rc < 0 ? -1 : 0);
    }
}

/* in a copy of a golden folder: what stands from `begin` up to `end` becomes `to` */
static void edit(const char *name, const char *begin, const char *end, const char *to)
{
    MuseFile f = { 0 };
    if (muse_file_open(&f, out(name), 1 << 20, &err) < 0) fail_msg("%s", err.text);
    char *text = calloc(1, f.size + 1), *made = malloc(f.size + strlen(to) + 1);
    memcpy(text, f.data, f.size);
    char *a = strstr(text, begin), *b = a ? strstr(a, end) : NULL;
    assert_true(a && b);
    const int n = sprintf(made, "%.*s%s%s", (int)(a - text), text, to, b);
    assert_int_equal(muse_file_write(out(name), made, (size_t)n, &err), 0);
    muse_file_close(&f);
    free(text);
    free(made);
}

/* the other named pre-tokenizers; a chat template; end ids that no reader knows by their texts */
static void other_tokenizers(void **state)
{
    (void)state;
#define BYTES(regex) "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": " regex "}"
    static const struct { const char *pre, *json; } cases[] = {
        { "smollm", "\"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, " BYTES("true") "]}, " },
        { "gpt-2", "\"normalizer\": null, \"pre_tokenizer\": " BYTES("true") ", " },
    };
    for (size_t i = 0; i < 2; i++) {
        change("golden/qwen2/hf", "none", NULL, NULL);
        edit("in/tokenizer.json", "\"normalizer\"", "\"post_processor\"", cases[i].json);
        edit("in/tokenizer_config.json", "\"eos_token\"", "\"eos_token\"", "\"chat_template\": \"{{ \\\"hi\\\" }}\\n\", ");
        edit("in/generation_config.json", "\"eos_token_id\": [", "443", "\"min_p\": 0.05, \"repetition_penalty\": 1.1, \"eos_token_id\": [7, 300, ");
        convert(out("in"), out("m.gguf"), "q8_0", NULL);
        convert(out("m.gguf"), out("back"), "f16", NULL);
        MuseModel *a = open_model(out("in"), NULL), *b = open_model(out("m.gguf"), NULL), *c = open_model(out("back"), NULL);
        assert_int_equal(a->config.eos.n, 4);
        assert_true(a->config.min_p == 0.05f && a->config.repetition == 1.1f);
        check_config(&a->config, &b->config);
        check_config(&a->config, &c->config);
        check_tokenizer(a, b, in("golden/qwen2/tokens.jsonl"));
        check_tokenizer(a, c, in("golden/qwen2/tokens.jsonl"));
        const char *text;
        size_t n;
        assert_int_equal(muse_gguf_string(&b->files[0].gguf, "tokenizer.ggml.pre", &text, &n, &err), 0);
        assert_true(n == strlen(cases[i].pre) && memcmp(text, cases[i].pre, n) == 0);
        assert_int_equal(muse_gguf_string(&b->files[0].gguf, "tokenizer.chat_template", &text, &n, &err), 0);
        assert_true(n == 11 && memcmp(text, "{{ \"hi\" }}\n", n) == 0);
        edit("back/tokenizer_config.json", "\"chat_template\": \"{{ \\\"hi\\\" }}\\n\"", ",", "");   /* it is there */
        muse_model_close(&a);
        muse_model_close(&b);
        muse_model_close(&c);
        empty_folder(NULL);
    }
}

/* a value that the wanted type has no place for */
static void refused_values(void **state)
{
    (void)state;
    change("golden/llama3/hf", "none", NULL, NULL);
    MuseWeightFile w;
    assert_int_equal(muse_weights_open(&w, NULL, NULL, out("in"), &err), 0);
    const MuseTensor *t = muse_weights_find(&w, "model.layers.2.mlp.up_proj.weight");
    const long at = (long)(t->data - w.parts[0].file.data) + 2 * 64 * 5;   /* row 5 */
    muse_weights_close(&w);
    FILE *f = fopen(out("in/model.safetensors"), "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    const MuseBf16 big = muse_f32_bf16(1e6f);
    fwrite(&big, 2, 1, f);
    fclose(f);
    static const char *const types[] = { "f16", "q4_0", "q8_0" };
    static const int codes[] = { MUSE_ERR_UNSUPPORTED, MUSE_ERR_UNSUPPORTED, 0 };   /* 1e6, its eighth as a scale, its 127th */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(convert_with(NULL, out("in"), out("a.gguf"), types[i], (MuseConvertParams){ 0 }, NULL), codes[i]);
        assert_int_equal(unlink(out("a.gguf")), codes[i] ? -1 : 0);
        if (codes[i]) assert_non_null(strstr(err.text, "\"blk.2.ffn_up.weight\", row 5"));
    }
}

/* ---- nothing is left behind ---- */

static int polls_left;
static uint64_t last_done, last_total;
static int stop_after(void *user) { (void)user; return polls_left-- <= 0; }
static void note(void *user, uint64_t done, uint64_t total, const char *tensor)
{
    (void)user;
    assert_true(done > last_done && done <= total && *tensor);
    last_done = done;
    last_total = total;
}

static void cancelled(void **state)
{
    (void)state;
    static const struct { const char *from, *to, *type; } ways[] = { { "golden/gemma4-a/hf", "a.gguf", "q4_0" }, { "golden/qwen3/hf", "a", "f32" }, { "golden/qwen3/gguf/model-bf16.gguf", "a", "f16" } };
    for (size_t i = 0; i < 3; i++) {
        for (int n = 0;; n += 7) {
            polls_left = n;
            const int rc = convert_with(NULL, in(ways[i].from), out(ways[i].to), ways[i].type, (MuseConvertParams){ .cancel = stop_after }, NULL);
            if (rc == 0) break;
            assert_int_equal(rc, MUSE_ERR_CANCELLED);
            assert_int_equal(count_files(folder, false), 0);
        }
        empty_folder(NULL);
        last_done = 0;
        assert_int_equal(convert_with(NULL, in(ways[i].from), out(ways[i].to), ways[i].type, (MuseConvertParams){ .progress = note }, NULL), 0);
        assert_true(last_done == last_total && last_total > 100000);
        empty_folder(NULL);
    }
}

static void disk_full(void **state)
{
    (void)state;
    static const struct { const char *from, *to, *type; } ways[] = { { "golden/gemma4-a/hf", "a.gguf", "f32" }, { "golden/qwen3/hf", "a", "f32" }, { "golden/llama3/gguf/model-bf16.gguf", "a", "f32" } };
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < 3; i++)
        for (rlim_t limit = 1000; limit < 400000; limit *= 7) {
            small = (struct rlimit){ limit, old.rlim_max };
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
            const int rc = convert_with(NULL, in(ways[i].from), out(ways[i].to), ways[i].type, (MuseConvertParams){ 0 }, NULL);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
            assert_int_equal(rc, MUSE_ERR_IO);
            assert_non_null(strstr(err.text, out("")));
            assert_int_equal(count_files(folder, false), 0);
        }
    signal(SIGXFSZ, SIG_DFL);
    if (access("/dev/full", W_OK) == 0) {   /* a device is written to as it comes */
        assert_int_equal(symlink("/dev/full", out("full.gguf")), 0);
        assert_int_equal(convert_with(NULL, in("golden/llama3/hf"), out("full.gguf"), "f32", (MuseConvertParams){ 0 }, NULL), MUSE_ERR_IO);
        assert_non_null(strstr(err.text, "No space left"));
    }
}

static Meter meter;

static void no_memory(void **state)
{
    (void)state;
    static const struct { const char *from, *to, *type, *mmproj; } ways[] = {
        { "golden/gemma4-a/hf", "a.gguf", "q8_0", NULL }, { "golden/qwen3/hf", "a", "f32", NULL }, { "golden/llama3/gguf/model-q8_0.gguf", "a.gguf", "q4_0", NULL },
        { "golden/gemma4-a/gguf/text-q8_0.gguf", "a", "bf16", "golden/gemma4-a/gguf/mmproj-bf16.gguf" },
    };
    for (size_t i = 0; i < 4; i++) {
        meter.fail_from = 0;
        MuseRuntime *rt = meter_runtime(&meter, 0);
        int rc = MUSE_ERR_NOMEM;
        for (long n = 0; rc == MUSE_ERR_NOMEM; n += 1 + n / 40) {   /* each of the first, then every few */
            meter_leave(&meter, n);
            rc = convert_with(rt, in(ways[i].from), out(ways[i].to), ways[i].type, (MuseConvertParams){ .mmproj = ways[i].mmproj ? in(ways[i].mmproj) : NULL }, NULL);
            meter.fail_from = 0;
            if (rc < 0) assert_int_equal(count_files(folder, false), 0);
        }
        if (rc < 0) fail_msg("%s", err.text);
        muse_runtime_close(&rt);
        empty_folder(NULL);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, empty_folder)
    const struct CMUnitTest tests[] = {
        TEST(published), TEST(there_and_back), TEST(decimal_commas), TEST(text_only_gemma), TEST(folder_types), TEST(shards), TEST(shards_without_index), TEST(projector_without_model), TEST(requantise), TEST(threads), TEST(refused), TEST(muse_family), TEST(refused_projectors), TEST(refused_tokenizers), TEST(other_tokenizers),
        TEST(refused_values), TEST(cancelled), TEST(disk_full), TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
