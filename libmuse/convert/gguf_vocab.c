/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json and its companions as GGUF metadata: byte-level BPE whose pre-tokenizer has a name there, and Gemma's. What
 * has no counterpart is refused. Called by to_gguf.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "libmuse/convert/convert.h"
#include "tokenizers/text/pattern.h"

#define KEY "tokenizer.ggml."

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5, TYPE_BYTE = 6 };   /* of GGUF tokens */

typedef struct Token {
    const char *text;
    uint32_t    len;
    int32_t     type;              /* 0: the file has no such id */
} Token;

typedef struct Vocab {
    MuseJob    *job;
    MuseFile    file, config;      /* tokenizer.json, tokenizer_config.json */
    MuseJson    doc, config_doc;
    const MuseJsonValue *root, *model;
    Token      *tokens;            /* [n] */
    uint32_t    n;
    MuseTextInfo info;
    MuseGgufMeta *m;
} Vocab;

static const uint64_t json_bytes_max = UINT64_C(1) << 31;   /* as docs/text.md has it */

static int refuse(const Vocab *v, const char *what) { return muse_fail(v->job->err, MUSE_ERR_UNSUPPORTED, "%s: tokenizer.json: %s, which GGUF can't say", v->job->in, what); }

static int open_json(Vocab *v, const char *name, bool needed, MuseFile *file, MuseJson *doc)
{
    const MuseAllocator *a = &v->job->rt->alloc;
    char *path = muse_path_beside(a, v->job->in, name);
    int rc = 0;
    file->alloc = a;
    if (!path) return MUSE_NOMEM(v->job->err, strlen(v->job->in) + strlen(name));
    if (needed || muse_path_exists(path)) {
        rc = muse_file_open(file, path, json_bytes_max, v->job->err);
        if (rc == 0 && (rc = muse_json_parse(doc, a, file->data, file->size, v->job->err)) < 0) rc = muse_fail_prefix(v->job->err, rc, "%s", path);
    }
    muse_free(path);
    return rc;
}

/* ---- tokens ---- */

static bool is_byte(const char *s, uint32_t n) { return n == 6 && memcmp(s, "<0x", 3) == 0 && s[5] == '>'; }

static int set_token(Vocab *v, const MuseJsonValue *id, const char *text, uint32_t len, int32_t type)
{
    if (!muse_json_is(id, MUSE_JSON_INT) || id->u.integer < 0 || id->u.integer >= v->n)
        return muse_fail(v->job->err, MUSE_ERR_FORMAT, "%s: tokenizer.json: token \"%.*s\" has no id below %u", v->job->in, len < 60 ? (int)len : 60, text, v->n);
    v->tokens[id->u.integer] = (Token){ text, len, type };
    return 0;
}

static bool flag(const MuseJsonValue *v, const char *name)
{
    bool on;
    return muse_json_read_bool(muse_json_get(v, name), false, &on) && on;
}

static int read_tokens(Vocab *v)
{
    const MuseJsonValue *vocab = muse_json_get(v->model, "vocab"), *added = muse_json_get(v->root, "added_tokens"), *unk = muse_json_get(v->model, "unk_token");
    const bool bytes = flag(v->model, "byte_fallback");
    size_t trimmed = 0;
    int rc = 0;
    if (!muse_json_is(vocab, MUSE_JSON_OBJECT)) return refuse(v, "a vocabulary that is no object");
    for (const MuseJsonValue *t = vocab->u.first; t && rc == 0; t = t->next) rc = set_token(v, t, t->key, t->key_len, bytes && is_byte(t->key, t->key_len) ? TYPE_BYTE : TYPE_NORMAL);
    for (const MuseJsonValue *t = muse_json_is(added, MUSE_JSON_ARRAY) ? added->u.first : NULL; t && rc == 0; t = t->next) {
        const MuseJsonValue *text = muse_json_get(t, "content");
        if (!muse_json_is(text, MUSE_JSON_STRING)) return muse_fail(v->job->err, MUSE_ERR_FORMAT, "%s: tokenizer.json: an added token without content", v->job->in);
        const bool unknown = muse_json_is(unk, MUSE_JSON_STRING) && unk->len == text->len && memcmp(unk->u.string, text->u.string, text->len) == 0;
        trimmed += flag(t, "lstrip") || flag(t, "rstrip") || flag(t, "single_word");
        rc = set_token(v, muse_json_get(t, "id"), text->u.string, text->len, unknown ? TYPE_UNKNOWN : flag(t, "special") ? TYPE_CONTROL : TYPE_USER);
    }
    if (trimmed) muse_log(&v->job->rt->log, MUSE_LOG_WARN, "%zu added tokens match only whole words or with the space beside them, which GGUF can't say", trimmed);
    return rc;
}

static void put_tokens(Vocab *v)
{
    MuseGgufMeta *m = v->m;
    muse_meta_array(m, KEY "tokens", MUSE_GGUF_STRING, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        char pad[32];
        snprintf(pad, sizeof pad, "[PAD%" PRIu32 "]", i);   /* as other writers name ids that the model has and the tokenizer has not */
        if (v->tokens[i].type) muse_meta_item(m, v->tokens[i].text, v->tokens[i].len);
        else muse_meta_item(m, pad, strlen(pad));
    }
    muse_meta_array(m, KEY "token_type", MUSE_GGUF_I32, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        const int32_t type = v->tokens[i].type ? v->tokens[i].type : TYPE_UNUSED;
        muse_meta_items(m, &type, 4);
    }
}

/* "a b": as a text, or as a pair */
static int put_merges(Vocab *v)
{
    const MuseJsonValue *merges = muse_json_get(v->model, "merges");
    if (!muse_json_is(merges, MUSE_JSON_ARRAY)) return refuse(v, "no merges");
    MuseBuf pair = { .alloc = &v->job->rt->alloc };
    int rc = 0;
    muse_meta_array(v->m, KEY "merges", MUSE_GGUF_STRING, merges->len);
    for (const MuseJsonValue *t = merges->u.first; t && rc == 0; t = t->next) {
        const MuseJsonValue *a = muse_json_is(t, MUSE_JSON_ARRAY) && t->len == 2 ? t->u.first : NULL;
        if (muse_json_is(t, MUSE_JSON_STRING)) {
            muse_meta_item(v->m, t->u.string, t->len);
        } else if (!a || !muse_json_is(a, MUSE_JSON_STRING) || !muse_json_is(a->next, MUSE_JSON_STRING) || memchr(a->u.string, ' ', a->len) || memchr(a->next->u.string, ' ', a->next->len)) {
            rc = refuse(v, "a merge that is not two texts without spaces");
        } else {
            pair.len = 0;
            rc = muse_buf_append(&pair, a->u.string, a->len);
            if (rc == 0) rc = muse_buf_append(&pair, " ", 1);
            if (rc == 0) rc = muse_buf_append(&pair, a->next->u.string, a->next->len);
            if (rc < 0) MUSE_NOMEM(v->job->err, pair.len);
            else muse_meta_item(v->m, (const char *)pair.data, pair.len);
        }
    }
    muse_buf_clear(&pair);
    return rc;
}

/* ---- kinds ---- */

static bool is_type(const MuseJsonValue *v, const char *type) { return muse_json_equal(muse_json_get(v, "type"), type); }
static bool is_absent(const MuseJsonValue *v) { return !v || v->type == MUSE_JSON_NULL; }

static bool is_byte_level(const MuseJsonValue *v, bool regex)
{
    bool prefix, own;
    return is_type(v, "ByteLevel") && muse_json_read_bool(muse_json_get(v, "add_prefix_space"), true, &prefix) && muse_json_read_bool(muse_json_get(v, "use_regex"), true, &own)
           && !prefix && own == regex;
}

/* the name of a pattern, if the step cuts by a published one */
static const char *known_split(const MuseJsonValue *v)
{
    static const char *const names[] = { "llama3", "qwen2", "qwen35" };
    const MuseJsonValue *regex = muse_json_get(muse_json_get(v, "pattern"), "Regex");
    if (!is_type(v, "Split") || !muse_json_equal(muse_json_get(v, "behavior"), "Isolated") || flag(v, "invert")) return NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (muse_json_equal(regex, muse_pattern_text(names[i]))) return names[i];
    return NULL;
}

/* The name that stands for this pre-tokenizer together with its normaliser and way of merging; see gguf_tokenizer.c. NULL: none. */
static const char *find_pre(const Vocab *v)
{
    const MuseJsonValue *pre = muse_json_get(v->root, "pre_tokenizer"), *norm = muse_json_get(v->root, "normalizer");
    const bool whole = flag(v->model, "ignore_merges"), nfc = is_type(norm, "NFC");
    if (!nfc && !is_absent(norm)) return NULL;
    if (is_byte_level(pre, true)) return nfc || whole ? NULL : "gpt-2";
    const MuseJsonValue *list = muse_json_get(pre, "pretokenizers");
    if (!is_type(pre, "Sequence") || !muse_json_is(list, MUSE_JSON_ARRAY) || list->len != 2) return NULL;
    const MuseJsonValue *first = list->u.first, *second = first->next;
    const char *split = known_split(first);
    if (split && is_byte_level(second, false)) {
        if (strcmp(split, "llama3") == 0) return whole && !nfc ? "llama-bpe" : NULL;
        return nfc && !whole ? split : NULL;
    }
    return is_type(first, "Digits") && flag(first, "individual_digits") && is_byte_level(second, true) && !nfc && !whole ? "smollm" : NULL;
}

/* spaces become U+2581, and the only cut is at spaces, which are then gone */
static bool is_gemma(const Vocab *v)
{
    const MuseJsonValue *pre = muse_json_get(v->root, "pre_tokenizer"), *norm = muse_json_get(v->root, "normalizer");
    return flag(v->model, "byte_fallback") && !flag(v->model, "ignore_merges") && is_type(norm, "Replace") && muse_json_equal(muse_json_get(muse_json_get(norm, "pattern"), "String"), " ")
           && muse_json_equal(muse_json_get(norm, "content"), "\xe2\x96\x81")
           && (is_absent(pre) || (is_type(pre, "Split") && muse_json_equal(muse_json_get(muse_json_get(pre, "pattern"), "String"), " ")));
}

static int put_kind(Vocab *v, bool *gemma)
{
    *gemma = is_gemma(v);
    if (!is_type(v->model, "BPE")) return refuse(v, "a model other than BPE");
    if (*gemma) {
        muse_meta_text(v->m, KEY "model", "gemma4", 6);
        muse_meta_array(v->m, KEY "scores", MUSE_GGUF_F32, v->n);
        for (uint32_t i = 0; i < v->n; i++) muse_meta_items(v->m, &(float){ -1000 }, 4);   /* unused: merges decide */
        muse_meta_bool(v->m, KEY "add_space_prefix", false);
        return 0;
    }
    const char *pre = find_pre(v);
    if (!pre) return refuse(v, "a combination of normalizer, pre_tokenizer and ignore_merges");
    muse_meta_text(v->m, KEY "model", "gpt2", 4);
    muse_meta_text(v->m, KEY "pre", pre, strlen(pre));
    return 0;
}

/* ---- ids ---- */

static bool is_text(const Vocab *v, int32_t id, const char *text)
{
    return id >= 0 && (uint32_t)id < v->n && v->tokens[id].type && v->tokens[id].len == strlen(text) && memcmp(v->tokens[id].text, text, v->tokens[id].len) == 0;
}

static bool is_stop(const Vocab *v, int32_t id)
{
    return id >= 0 && (uint32_t)id < v->n && v->tokens[id].type && muse_config_is_stop(v->tokens[id].text, v->tokens[id].len);
}

/* the end of a turn where the model has one among its end ids (as published files do), else the tokenizer's, else the first */
static int32_t choose_eos(const Vocab *v)
{
    static const char *const turns[] = { "<turn|>", "<|eot_id|>", "<|im_end|>" };
    const MuseIds *eos = &v->job->model->config.eos;
    for (size_t k = 0; k < sizeof turns / sizeof *turns; k++)
        for (uint32_t i = 0; i < eos->n; i++)
            if (is_text(v, eos->ids[i], turns[k])) return eos->ids[i];
    return v->info.eos >= 0 ? v->info.eos : eos->n ? eos->ids[0] : -1;
}

static void put_id(Vocab *v, const char *name, int32_t id)
{
    if (id >= 0) muse_meta_u32(v->m, name, (uint32_t)id);
}

/* GGUF has three keys for end ids; readers know the published end tokens by their texts besides */
static void put_ends(Vocab *v)
{
    static const char *const more[] = { KEY "eot_token_id", KEY "eom_token_id" };
    const MuseIds *eos = &v->job->model->config.eos;
    const int32_t first = choose_eos(v);
    size_t used = 0;
    put_id(v, KEY "eos_token_id", first);
    for (uint32_t i = 0; i < eos->n; i++) {
        if (eos->ids[i] == first || is_stop(v, eos->ids[i])) continue;
        if (used < 2) put_id(v, more[used++], eos->ids[i]);
        else muse_log(&v->job->rt->log, MUSE_LOG_WARN, "GGUF has no more keys for end ids: %d is left out", eos->ids[i]);
    }
}

static void put_ids(Vocab *v, bool gemma)
{
    const MuseConfig *c = &v->job->model->config;
    put_id(v, KEY "bos_token_id", v->info.bos >= 0 ? v->info.bos : c->bos);
    put_ends(v);
    put_id(v, KEY "unknown_token_id", v->info.unk);
    put_id(v, KEY "padding_token_id", v->info.pad >= 0 ? v->info.pad : c->pad);
    for (uint32_t i = 0; gemma && i < v->n; i++)
        if (is_text(v, (int32_t)i, "<mask>")) put_id(v, KEY "mask_token_id", (int32_t)i);
    muse_meta_bool(v->m, KEY "add_bos_token", gemma || v->info.add_bos);   /* Gemma's: spec 8.1 */
    if (c->suppress.n == 0) return;
    muse_meta_array(v->m, KEY "suppress_tokens", MUSE_GGUF_I32, c->suppress.n);
    muse_meta_items(v->m, c->suppress.ids, 4 * c->suppress.n);
}

static int put_template(Vocab *v)
{
    const MuseAllocator *a = &v->job->rt->alloc;
    const MuseJsonValue *text = muse_json_get(v->config_doc.root, "chat_template");
    char *path = muse_path_beside(a, v->job->in, "chat_template.jinja");
    MuseFile file = { .alloc = a };
    int rc = path ? 0 : MUSE_NOMEM(v->job->err, strlen(v->job->in) + 24);
    if (rc == 0 && muse_path_exists(path)) {
        rc = muse_file_open(&file, path, 1 << 24, v->job->err);
        if (rc == 0) muse_meta_text(v->m, "tokenizer.chat_template", (const char *)file.data, file.size);
    } else if (rc == 0 && muse_json_is(text, MUSE_JSON_STRING)) {
        muse_meta_text(v->m, "tokenizer.chat_template", text->u.string, text->len);
    } else if (rc == 0 && !is_absent(text)) {
        muse_log(&v->job->rt->log, MUSE_LOG_WARN, "tokenizer_config.json: a chat_template that is no text is left out");
    }
    muse_file_close(&file);
    muse_free(path);
    return rc;
}

static int put_all(Vocab *v)
{
    bool gemma = false;
    MuseTextTokenizer *tok;
    int rc = muse_model_open_tokenizer(v->job->model, &tok, v->job->err);   /* everything is checked there */
    if (rc < 0) return rc;
    muse_text_info(tok, &v->info);
    muse_text_close(&tok);
    rc = open_json(v, "tokenizer.json", true, &v->file, &v->doc);
    if (rc == 0) rc = open_json(v, "tokenizer_config.json", false, &v->config, &v->config_doc);
    if (rc < 0) return rc;
    v->root = v->doc.root;
    v->model = muse_json_get(v->root, "model");
    v->n = v->job->model->config.vocab;
    v->tokens = muse_zalloc_array(&v->job->rt->alloc, v->n, sizeof *v->tokens);
    if (!v->tokens) return MUSE_NOMEM(v->job->err, v->n * sizeof *v->tokens);
    rc = put_kind(v, &gemma);
    if (rc == 0) rc = read_tokens(v);
    if (rc < 0) return rc;
    put_tokens(v);
    rc = put_merges(v);
    if (rc < 0) return rc;
    put_ids(v, gemma);
    return put_template(v);
}

int muse_meta_vocab(MuseJob *job, MuseGgufMeta *m)
{
    Vocab v = { .job = job, .m = m };
    const int rc = put_all(&v);
    muse_free(v.tokens);
    muse_json_close(&v.config_doc);
    muse_json_close(&v.doc);
    muse_file_close(&v.config);
    muse_file_close(&v.file);
    return rc;
}
