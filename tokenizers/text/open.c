/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a text tokenizer, and what it says about itself. */
#include <errno.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/gguf.h"
#include "tokenizers/text/textcore.h"

static const uint64_t json_bytes_max = UINT64_C(1) << 31;
static const uint64_t file_bytes_max = UINT64_C(1) << 44;   /* a GGUF file holds the weights too, which are not touched */

static int load(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err)
{
    if (muse_gguf_is(bytes, size)) return muse_text_load_gguf(tok, bytes, size, err);
    if (size > json_bytes_max) return muse_fail(err, MUSE_ERR_LIMIT, "a tokenizer of %zu bytes, limit 2 GiB", size);
    return muse_text_load_json(tok, bytes, size, err);
}

static int open_empty(MuseTextTokenizer **out, MuseRuntime *rt, MuseError *err)
{
    MuseRuntime *held = muse_runtime_ref(rt);
    if (!held) return MUSE_NOMEM(err, sizeof **out);
    MuseTextTokenizer *tok = muse_zalloc(&held->alloc, sizeof *tok);
    if (!tok) {
        muse_runtime_close(&held);
        return MUSE_NOMEM(err, sizeof *tok);
    }
    tok->rt = held;
    tok->unk = tok->bos = tok->eos = tok->pad = -1;
    tok->added_text.alloc = &held->alloc;
    for (unsigned i = 0; i < MUSE_TEXT_POOL; i++) atomic_init(&tok->pool[i], NULL);
    *out = tok;
    return 0;
}

int muse_text_open_memory(MuseTextTokenizer **out, MuseRuntime *rt, const void *bytes, size_t size, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, bytes || size == 0);
    MuseTextTokenizer *tok = NULL;
    int rc = open_empty(&tok, rt, err);
    if (rc == 0) rc = load(tok, bytes, size, err);
    if (rc < 0) {
        muse_text_close(&tok);
        return rc;
    }
    *out = tok;
    return 0;
}

/* 1: a folder, 0: something else that is there, MUSE_ERR_NOT_FOUND, MUSE_ERR_IO */
static int path_kind(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return errno == ENOENT || errno == ENOTDIR ? MUSE_ERR_NOT_FOUND : MUSE_ERR_IO;
    return S_ISDIR(st.st_mode) ? 1 : 0;
}

/* folder of path + "/" + name, or path + "/" + name when path is a folder */
static char *beside(const MuseAllocator *a, const char *path, bool is_folder, const char *name)
{
    const char *slash = strrchr(path, '/');
    const size_t n = is_folder ? strlen(path) : slash ? (size_t)(slash - path) : 0;
    const size_t n_name = strlen(name);
    char *joined = muse_alloc(a, n + n_name + 2);
    if (!joined) return NULL;
    memcpy(joined, path, n);
    size_t k = n;
    if (is_folder || slash) joined[k++] = '/';
    memcpy(joined + k, name, n_name + 1);
    return joined;
}

static int open_one(MuseTextTokenizer **out, MuseRuntime *rt, const char *path, bool *gguf, MuseError *err)
{
    MuseFile file = { .alloc = rt ? &rt->alloc : NULL };
    int rc = muse_file_open(&file, path, file_bytes_max, err);
    if (rc < 0) return rc;
    *gguf = muse_gguf_is(file.data, file.size);
    rc = muse_text_open_memory(out, rt, file.data, file.size, err);
    muse_file_close(&file);
    return rc < 0 ? muse_fail_prefix(err, rc, "%s", path) : 0;
}

/* a tokenizer_config.json beside a tokenizer.json, if there is one */
static int add_config(MuseTextTokenizer *tok, const char *path, MuseError *err)
{
    char *name = beside(&tok->rt->alloc, path, false, "tokenizer_config.json");
    if (!name) return MUSE_NOMEM(err, strlen(path) + 32);
    MuseFile file = { .alloc = &tok->rt->alloc };
    int rc = 0;
    if (path_kind(name) != MUSE_ERR_NOT_FOUND) {
        rc = muse_file_open(&file, name, json_bytes_max, err);
        if (rc == 0 && (rc = muse_text_load_config(tok, file.data, file.size, err)) < 0) rc = muse_fail_prefix(err, rc, "%s", name);
        muse_file_close(&file);
    }
    muse_free(name);
    return rc;
}

int muse_text_open_file(MuseTextTokenizer **out, MuseRuntime *rt, const char *path, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, path);
    MuseRuntime *held = muse_runtime_ref(rt);
    if (!held) return MUSE_NOMEM(err, strlen(path));
    char *inside = NULL;
    bool gguf = false;
    int rc = 0;
    if (path_kind(path) == 1) {
        inside = beside(&held->alloc, path, true, "tokenizer.json");
        if (!inside) rc = MUSE_NOMEM(err, strlen(path) + 16);
    }
    const char *name = inside ? inside : path;
    if (rc == 0) rc = open_one(out, held, name, &gguf, err);
    if (rc == 0 && !gguf) rc = add_config(*out, name, err);
    if (rc < 0) muse_text_close(out);
    muse_free(inside);
    muse_runtime_close(&held);
    return rc;
}

void muse_text_close(MuseTextTokenizer **tok)
{
    if (!tok || !*tok) return;
    MuseTextTokenizer *t = *tok;
    for (unsigned i = 0; i < MUSE_TEXT_POOL; i++) muse_text_scratch_close(atomic_exchange(&t->pool[i], NULL));
    MuseTextDerived *derived = atomic_load(&t->derived);
    if (derived) derived->close(derived);
    muse_vocab_close(&t->vocab);
    muse_merges_close(&t->merges);
    muse_unigram_close(&t->unigram);
    muse_norm_close(&t->norm);
    muse_pretok_close(&t->pretok);
    muse_free(t->added);
    muse_buf_clear(&t->added_text);
    muse_trie_close(&t->added_raw);
    muse_trie_close(&t->added_norm);
    MuseRuntime *rt = t->rt;
    muse_free(t);
    muse_runtime_close(&rt);
    *tok = NULL;
}

int muse_text_info(const MuseTextTokenizer *tok, MuseTextInfo *out)
{
    static const char *const names[] = { "bpe", "bpe-fallback", "unigram" };
    if (!tok || !out) return MUSE_ERR_ARG;
    const MuseTextDerived *derived = atomic_load(&tok->derived);
    *out = (MuseTextInfo){
        .algorithm = names[tok->kind], .vocab_size = tok->vocab.n, .n_added = tok->n_added,
        .bos = tok->bos, .eos = tok->eos, .unk = tok->unk, .pad = tok->pad, .add_bos = tok->add_bos,
        .memory_bytes = sizeof *tok + muse_vocab_memory(&tok->vocab) + muse_merges_memory(&tok->merges) + muse_trie_memory(&tok->unigram.trie) +
                        muse_alloc_size(tok->unigram.scores) + muse_alloc_size(tok->added) + tok->added_text.cap +
                        muse_trie_memory(&tok->added_raw) + muse_trie_memory(&tok->added_norm) + (derived ? derived->bytes : 0),
    };
    return 0;
}
