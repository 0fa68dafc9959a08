/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer in a GGUF file's metadata: kinds gpt2 (byte-level BPE), llama (BPE by score) and gemma4 (BPE by merges over
 * U+2581 text). Called by open.c. */
#include <math.h>
#include <stdlib.h>

#include "base/gguf.h"
#include "tokenizers/text/loader.h"
#include "tokenizers/text/classes.h"

#define KEY "tokenizer.ggml."
#define MARK "\xe2\x96\x81"   /* U+2581 */

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5, TYPE_BYTE = 6 };

typedef struct GgufLoader {
    MuseLoader l;
    MuseGguf g;
    const MuseGgufKey *tokens, *types, *scores, *merges;
} GgufLoader;

static int token_type(const GgufLoader *f, uint32_t id) { return f->types ? muse_gguf_i32_at(f->types, id) : TYPE_NORMAL; }

static bool is_added(int type) { return type == TYPE_UNKNOWN || type == TYPE_CONTROL || type == TYPE_USER; }

static int find_arrays(GgufLoader *f)
{
    MuseError *err = f->l.err;
    int rc = muse_gguf_array(&f->g, KEY "tokens", MUSE_GGUF_STRING, &f->tokens, err);
    if (rc == 0) rc = muse_gguf_array(&f->g, KEY "token_type", MUSE_GGUF_I32, &f->types, err);
    if (rc == 0) rc = muse_gguf_array(&f->g, KEY "scores", MUSE_GGUF_F32, &f->scores, err);
    if (rc == 0) rc = muse_gguf_array(&f->g, KEY "merges", MUSE_GGUF_STRING, &f->merges, err);
    if (rc < 0) return rc;
    if (!f->tokens) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: no " KEY "tokens");
    if (f->tokens->count > MUSE_VOCAB_IDS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "GGUF: %llu tokens, limit %d", (unsigned long long)f->tokens->count, MUSE_VOCAB_IDS_MAX);
    if ((f->types && f->types->count != f->tokens->count) || (f->scores && f->scores->count != f->tokens->count))
        return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: " KEY "token_type or " KEY "scores has another length than " KEY "tokens");
    return 0;
}

/* tokens to items; control, unknown and user-defined ones are added tokens */
static int read_tokens(GgufLoader *f)
{
    MuseTextTokenizer *tok = f->l.tok;
    const uint32_t n = (uint32_t)f->tokens->count;
    size_t at = 0, len, n_added = 0;
    int rc = muse_loader_items(&f->l, n);
    for (uint32_t id = 0; id < n; id++) n_added += is_added(token_type(f, id));
    if (rc < 0) return rc;
    tok->added = muse_zalloc_array(&tok->rt->alloc, n_added ? n_added : 1, sizeof *tok->added);
    if (!tok->added) return MUSE_NOMEM(f->l.err, n_added * sizeof *tok->added);
    for (uint32_t id = 0; id < n && rc == 0; id++) {
        const char *text = muse_gguf_next_string(f->tokens, &at, &len);
        const int type = token_type(f, id);
        if (type < TYPE_NORMAL || type > TYPE_BYTE) return muse_fail(f->l.err, MUSE_ERR_FORMAT, "GGUF: token %u has type %d", id, type);
        if (muse_utf8_valid((const uint8_t *)text, len) != len) return muse_fail(f->l.err, MUSE_ERR_FORMAT, "GGUF: token %u is not UTF-8", id);
        if (is_added(type)) rc = muse_loader_add(&f->l, &(MuseAdded){ .id = id, .special = type != TYPE_USER }, text, len);
        else rc = muse_loader_put(&f->l, id, text, len, 0);
    }
    return rc == 0 ? muse_loader_vocab(&f->l, true) : rc;
}

static int read_id(GgufLoader *f, const char *name, int32_t fallback, int32_t *out)
{
    uint32_t id;
    int rc = muse_gguf_u32(&f->g, name, UINT32_MAX, &id, f->l.err);
    if (rc < 0) return rc;
    /* absent; and writers store -1 (2^32 - 1) for none */
    if (id == UINT32_MAX) *out = fallback >= 0 && (uint32_t)fallback < f->l.tok->vocab.n ? fallback : -1;
    else if (id >= f->l.tok->vocab.n) return muse_fail(f->l.err, MUSE_ERR_FORMAT, "GGUF: %s is %u, but there are %u tokens", name, id, f->l.tok->vocab.n);
    else *out = (int32_t)id;
    return 0;
}

static int read_ids(GgufLoader *f, int32_t bos, int32_t eos, int32_t unk, bool add_bos)
{
    MuseTextTokenizer *tok = f->l.tok;
    int rc = read_id(f, KEY "bos_token_id", bos, &tok->bos);
    if (rc == 0) rc = read_id(f, KEY "eos_token_id", eos, &tok->eos);
    if (rc == 0) rc = read_id(f, KEY "unknown_token_id", unk, &tok->unk);
    if (rc == 0) rc = read_id(f, KEY "padding_token_id", -1, &tok->pad);
    if (rc == 0) rc = muse_gguf_bool(&f->g, KEY "add_bos_token", add_bos, &tok->add_bos, f->l.err);
    if (tok->bos < 0) tok->add_bos = false;
    bool add_eos = false;
    if (rc == 0) rc = muse_gguf_bool(&f->g, KEY "add_eos_token", false, &add_eos, f->l.err);
    if (add_eos) muse_log(&tok->rt->log, MUSE_LOG_WARN, "GGUF: " KEY "add_eos_token is true: eos is not added, append its id yourself");
    return rc;
}

static int read_merges(GgufLoader *f)
{
    MuseTextTokenizer *tok = f->l.tok;
    if (!f->merges) return muse_fail(f->l.err, MUSE_ERR_FORMAT, "GGUF: no " KEY "merges");
    if (muse_merges_open(&tok->merges, &tok->rt->alloc, (size_t)f->merges->count, false) < 0) return MUSE_NOMEM(f->l.err, f->merges->count);
    size_t at = 0, len;
    int rc = 0;
    for (size_t i = 0; i < f->merges->count && rc == 0; i++) {
        const char *text = muse_gguf_next_string(f->merges, &at, &len);
        rc = muse_loader_merge_text(&f->l, i, text, len);
    }
    return rc;
}

static int add_split(GgufLoader *f, const char *regex)
{
    MusePretokStep *step;
    int rc = muse_pretok_add(&f->l.tok->pretok, MUSE_PRETOK_SPLIT, &step, f->l.err);
    return rc < 0 ? rc : muse_pattern_open_regex(&step->pattern, &f->l.tok->rt->alloc, regex, strlen(regex), f->l.err);
}

/* What each tokenizer.ggml.pre stands for. */
static const struct Pre {
    const char *name;
    const char *splits[4];   /* names of published patterns, or patterns */
    bool ignore_merges, nfc, add_bos;
} pres[] = {
    { "llama-bpe", { "llama3" }, true, false, true },
    { "llama3", { "llama3" }, true, false, true },
    /* the tokenizer.json of both Qwen generations normalises; the GGUF has no key that could say so */
    { "qwen2", { "qwen2" }, false, true, false },
    { "qwen35", { "qwen35" }, false, true, false },
    { "smollm", { "\\p{N}", "gpt2" }, false, false, false },
    { "gpt-2", { "gpt2" }, false, false, false },
    /* what llama.cpp does for models that name none */
    { "default", { "[\\p{P}\\$\\+<=>\\^~\\|]+", "gpt2", "\\p{N}+", "[0-9][0-9][0-9]" }, false, false, false },
};

static int load_gpt2(GgufLoader *f)
{
    MuseTextTokenizer *tok = f->l.tok;
    const struct Pre *pre = NULL;
    const char *name;
    size_t n;
    int rc = muse_gguf_string(&f->g, KEY "pre", &name, &n, f->l.err);
    if (rc < 0) return rc;
    for (size_t i = 0; name && i < sizeof pres / sizeof *pres; i++)
        if (strlen(pres[i].name) == n && memcmp(pres[i].name, name, n) == 0) pre = &pres[i];
    if (!pre) return muse_fail(f->l.err, MUSE_ERR_UNSUPPORTED, "GGUF: " KEY "pre \"%.*s\" is not supported", (int)(n < 60 ? n : 60), name ? name : "");
    tok->kind = MUSE_KIND_BYTE_BPE;
    tok->ignore_merges = pre->ignore_merges;
    f->l.rule.byte_level = true;
    for (unsigned i = 0; i < 4 && pre->splits[i] && rc == 0; i++) {
        const char *known = muse_pattern_text(pre->splits[i]);
        rc = add_split(f, known ? known : pre->splits[i]);
    }
    MuseNormStep *step;
    if (rc == 0 && pre->nfc && (rc = muse_norm_add(&tok->norm, &tok->rt->alloc, MUSE_NORM_FORM, NULL, 0, &step, f->l.err)) == 0) step->compose = true;
    if (rc == 0) rc = read_tokens(f);
    if (rc == 0) rc = read_merges(f);
    return rc == 0 ? read_ids(f, -1, -1, -1, pre->add_bos) : rc;
}

/* the rules of SentencePiece text: a space is U+2581, bytes stand in for characters without token */
static int sentence_rules(GgufLoader *f, bool prefix)
{
    MuseTextTokenizer *tok = f->l.tok;
    MuseNormStep *step;
    tok->kind = MUSE_KIND_CHAR_BPE;
    tok->byte_fallback = true;
    tok->fuse_unk = true;
    tok->strip = prefix;
    f->l.rule.byte_fallback = true;
    f->l.replaces[f->l.rule.n_replace++] = (struct MuseReplace){ MARK, " ", 3, 1 };
    int rc = prefix ? muse_norm_add(&tok->norm, &tok->rt->alloc, MUSE_NORM_PREPEND, MARK, 3, &step, f->l.err) : 0;
    if (rc == 0) rc = muse_norm_add(&tok->norm, &tok->rt->alloc, MUSE_NORM_REPLACE, MARK, 3, &step, f->l.err);
    return rc < 0 ? rc : muse_pattern_open_literal(&step->pattern, &tok->rt->alloc, " ", 1, f->l.err);
}

static int load_gemma4(GgufLoader *f)
{
    bool prefix;
    int rc = muse_gguf_bool(&f->g, KEY "add_space_prefix", false, &prefix, f->l.err);
    if (rc == 0) rc = sentence_rules(f, prefix);
    if (rc == 0) rc = read_tokens(f);
    if (rc == 0) rc = read_merges(f);
    return rc == 0 ? read_ids(f, -1, -1, -1, true) : rc;
}

/* ---- kind llama: any two neighbours whose joined text is a token merge, the token of the highest score first ---- */

typedef struct Scored { float score; uint32_t id; } Scored;

static int by_score(const void *a, const void *b)
{
    const Scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Text that is built from pieces: normal tokens, and user-defined runs of white space (Gemma's newlines and spaces). */
static bool is_built(const GgufLoader *f, uint32_t id)
{
    const int type = token_type(f, id);
    if (type != TYPE_USER) return type == TYPE_NORMAL;
    size_t n;
    const uint8_t *bytes = muse_vocab_bytes(&f->l.tok->vocab, id, &n);
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != ' ' && (bytes[i] < 9 || bytes[i] > 13)) return false;
    return n > 0;
}

/* every way to cut a token's text into two tokens; counts only, when merges is NULL */
static size_t cuts_of(const GgufLoader *f, uint32_t id, uint32_t rank, MuseMerges *merges, size_t index)
{
    const MuseVocab *v = &f->l.tok->vocab;
    size_t n, found = 0;
    const uint8_t *text = muse_vocab_key(v, id, &n);
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) == 0x80) continue;
        const int32_t a = muse_vocab_find(v, text, i), b = a < 0 ? -1 : muse_vocab_find(v, text + i, n - i);
        if (a < 0 || b < 0 || !is_built(f, (uint32_t)a) || !is_built(f, (uint32_t)b)) continue;
        if (merges) {
            merges->result[index + found] = id;
            merges->rank[index + found] = rank;
            muse_merges_put(merges, (uint32_t)a, (uint32_t)b, (uint32_t)(index + found));
        }
        found++;
    }
    return found;
}

enum { LLAMA_TOKEN_MAX = 1024 };   /* bytes; keeps the cuts of a hostile vocabulary few */

static int merges_from_scores(GgufLoader *f)
{
    MuseTextTokenizer *tok = f->l.tok;
    const uint32_t n = tok->vocab.n;
    size_t total = 0, k = 0;
    Scored *order = muse_alloc_array(&tok->rt->alloc, n ? n : 1, sizeof *order);
    if (!order) return MUSE_NOMEM(f->l.err, n * sizeof *order);
    int rc = 0;
    for (uint32_t id = 0; id < n && rc == 0; id++) {
        const float score = muse_gguf_f32_at(f->scores, id);
        size_t len;
        muse_vocab_key(&tok->vocab, id, &len);
        if (!isfinite(score)) rc = muse_fail(f->l.err, MUSE_ERR_FORMAT, "GGUF: the score of token %u is not a number", id);
        else if (len > LLAMA_TOKEN_MAX) rc = muse_fail(f->l.err, MUSE_ERR_LIMIT, "GGUF: token %u has %zu bytes, limit %d", id, len, LLAMA_TOKEN_MAX);
        if (rc < 0 || !is_built(f, id)) continue;
        order[k++] = (Scored){ score, id };
        total += cuts_of(f, id, 0, NULL, 0);
    }
    if (rc == 0 && muse_merges_open(&tok->merges, &tok->rt->alloc, total, true) < 0) rc = MUSE_NOMEM(f->l.err, total);
    if (rc == 0) {
        qsort(order, k, sizeof *order, by_score);
        size_t index = 0;
        uint32_t rank = 0;
        for (size_t i = 0; i < k; i++) {   /* equal scores share a rank: then the leftmost pair goes first */
            if (i && order[i].score != order[i - 1].score) rank++;
            index += cuts_of(f, order[i].id, rank, &tok->merges, index);
        }
    }
    muse_free(order);
    return rc;
}

static int load_llama(GgufLoader *f)
{
    bool prefix;
    int rc = muse_gguf_bool(&f->g, KEY "add_space_prefix", true, &prefix, f->l.err);
    if (rc == 0) rc = sentence_rules(f, prefix);
    if (rc == 0) rc = read_tokens(f);
    if (rc < 0) return rc;
    if (!f->scores) return muse_fail(f->l.err, MUSE_ERR_FORMAT, "GGUF: no " KEY "scores");
    rc = merges_from_scores(f);
    return rc == 0 ? read_ids(f, 1, 2, 0, true) : rc;   /* SentencePiece's usual ids, which old files leave out */
}

static int load(GgufLoader *f)
{
    const char *model;
    size_t n;
    int rc = muse_gguf_string(&f->g, KEY "model", &model, &n, f->l.err);
    if (rc < 0) return rc;
    if (!model) return muse_fail(f->l.err, MUSE_ERR_NOT_FOUND, "GGUF: no " KEY "model: the file holds no tokenizer");
    rc = find_arrays(f);
    if (rc < 0) return rc;
    if (n == 4 && memcmp(model, "gpt2", 4) == 0) rc = load_gpt2(f);
    else if (n == 5 && memcmp(model, "llama", 5) == 0) rc = load_llama(f);
    else if (n == 6 && memcmp(model, "gemma4", 6) == 0) rc = load_gemma4(f);
    else rc = muse_fail(f->l.err, MUSE_ERR_UNSUPPORTED, "GGUF: " KEY "model \"%.*s\" is not supported", (int)(n < 60 ? n : 60), model);
    return rc == 0 ? muse_text_finish(f->l.tok, f->l.err) : rc;
}

int muse_text_load_gguf(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err)
{
    GgufLoader f = { .l = { .tok = tok, .err = err } };
    int rc = muse_gguf_open(&f.g, &tok->rt->alloc, bytes, size, err);
    if (rc == 0) rc = load(&f);
    muse_loader_close(&f.l);
    muse_gguf_close(&f.g);
    return rc;
}
