/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer in GGUF metadata as tokenizer.json and tokenizer_config.json, where that can be exact: byte-level BPE with a
 * named pre-tokenizer, and Gemma's. Vocabularies with scores in place of merges are refused. Called by to_folder.c. */
#include <stdio.h>
#include <string.h>

#include "libmuse/convert/convert.h"
#include "tokenizers/text/pattern.h"

#define KEY "tokenizer.ggml."

enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5 };   /* of GGUF tokens */

/* what a name in tokenizer.ggml.pre stands for; see gguf_tokenizer.c */
typedef struct Pre {
    const char *name, *pattern;    /* pattern NULL: the GPT-2 one of ByteLevel */
    bool digits, ignore_merges, nfc;
} Pre;

static const Pre pres[] = {
    { "llama-bpe", "llama3", false, true, false }, { "llama3", "llama3", false, true, false }, { "qwen2", "qwen2", false, false, true },
    { "qwen35", "qwen35", false, false, true }, { "smollm", NULL, true, false, false }, { "gpt-2", NULL, false, false, false },
};

typedef struct Source {
    MuseJob *job;
    const MuseGguf *g;
    const MuseGgufKey *tokens, *types, *merges;
    const Pre *pre;                /* NULL: Gemma's kind */
    MuseTextTokenizer *tok;        /* the same, opened: it has checked everything */
    MuseTextInfo info;
} Source;

static int token_type(const Source *s, size_t id) { return s->types ? muse_gguf_i32_at(s->types, id) : 1; }
static bool is_added(int type) { return type == TYPE_UNKNOWN || type == TYPE_CONTROL || type == TYPE_USER; }

/* an id that only fills the model's table: writers name it so */
static bool is_filler(const Source *s, size_t id, const char *text, size_t n)
{
    char pad[32];
    const int len = snprintf(pad, sizeof pad, "[PAD%zu]", id);
    return token_type(s, id) == TYPE_UNUSED && (size_t)len == n && memcmp(pad, text, n) == 0;
}

static int find_kind(Source *s)
{
    const char *model = NULL, *pre = NULL;
    size_t n, n_pre;
    MuseError *err = s->job->err;
    int rc = muse_gguf_string(s->g, KEY "model", &model, &n, err);
    if (rc == 0) rc = muse_gguf_string(s->g, KEY "pre", &pre, &n_pre, err);
    if (rc < 0) return rc;
    if (n == 6 && memcmp(model, "gemma4", 6) == 0) return 0;
    const bool bytes = n == 4 && memcmp(model, "gpt2", 4) == 0;
    for (size_t i = 0; bytes && pre && i < sizeof pres / sizeof *pres; i++)
        if (strlen(pres[i].name) == n_pre && memcmp(pres[i].name, pre, n_pre) == 0) s->pre = &pres[i];
    if (s->pre) return 0;
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: a tokenizer of kind \"%.*s\"%s%.*s has no exact tokenizer.json", s->job->in, n < 60 ? (int)n : 60, model, bytes ? " with pre-tokenizer " : "",
                     bytes && pre ? n_pre < 60 ? (int)n_pre : 60 : 0, pre ? pre : "");
}

static void put_added(const Source *s, MuseText *t)
{
    size_t at = 0, n;
    bool first = true;
    muse_text_put(t, "  \"added_tokens\": [");
    for (size_t id = 0; id < s->tokens->count; id++) {
        const char *text = muse_gguf_next_string(s->tokens, &at, &n);
        if (!is_added(token_type(s, id))) continue;
        muse_text_put(t, "%s\n    {\"id\": %zu, \"content\": ", first ? "" : ",", id);
        muse_text_string(t, text, n);
        muse_text_put(t, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": %s}", token_type(s, id) == TYPE_USER ? "false" : "true");
        first = false;
    }
    muse_text_put(t, "\n  ],\n");
}

/* Gemma's vocabulary holds the added tokens too, a byte-level one does not */
static void put_vocab(const Source *s, MuseText *t)
{
    size_t at = 0, n;
    bool first = true;
    muse_text_put(t, "    \"vocab\": {");
    for (size_t id = 0; id < s->tokens->count; id++) {
        const char *text = muse_gguf_next_string(s->tokens, &at, &n);
        if ((s->pre && is_added(token_type(s, id))) || is_filler(s, id, text, n)) continue;
        muse_text_put(t, first ? "\n      " : ",\n      ");
        muse_text_string(t, text, n);
        muse_text_put(t, ": %zu", id);
        first = false;
    }
    muse_text_put(t, "\n    },\n    \"merges\": [");
    at = 0;
    for (size_t i = 0; i < s->merges->count; i++) {
        const char *text = muse_gguf_next_string(s->merges, &at, &n);
        muse_text_put(t, i ? ",\n      " : "\n      ");
        muse_text_string(t, text, n);
    }
    muse_text_put(t, "\n    ]\n  }\n}\n");
}

#define BYTE_LEVEL(regex) "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": " regex "}"

static void put_pre(const Pre *pre, MuseText *t)
{
    muse_text_put(t, "  \"normalizer\": %s,\n  \"pre_tokenizer\": ", pre->nfc ? "{\"type\": \"NFC\"}" : "null");
    if (pre->pattern) {
        const char *regex = muse_pattern_text(pre->pattern);
        muse_text_put(t, "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        muse_text_string(t, regex, strlen(regex));
        muse_text_put(t, "}, \"behavior\": \"Isolated\", \"invert\": false}, " BYTE_LEVEL("false") "]},\n");
    } else if (pre->digits) {
        muse_text_put(t, "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, " BYTE_LEVEL("true") "]},\n");
    } else {
        muse_text_put(t, BYTE_LEVEL("true") ",\n");
    }
}

/* a token's text as a JSON string */
static void put_token(const Source *s, MuseText *t, int32_t id)
{
    size_t at = 0, n = 0;
    const char *text = "";
    for (int32_t i = 0; i <= id; i++) text = muse_gguf_next_string(s->tokens, &at, &n);
    muse_text_string(t, text, n);
}

static void put_post(const Source *s, MuseText *t)
{
    if (!s->info.add_bos || s->info.bos < 0) {
        muse_text_put(t, "  \"post_processor\": " BYTE_LEVEL("false") ",\n");
        return;
    }
    muse_text_put(t, "  \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": ");
    put_token(s, t, s->info.bos);
    muse_text_put(t, ", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {");
    put_token(s, t, s->info.bos);
    muse_text_put(t, ": {\"id\": ");
    put_token(s, t, s->info.bos);
    muse_text_put(t, ", \"ids\": [%d], \"tokens\": [", s->info.bos);
    put_token(s, t, s->info.bos);
    muse_text_put(t, "]}}},\n");
}

static void put_tokenizer(const Source *s, MuseText *t)
{
    muse_text_put(t, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    put_added(s, t);
    if (s->pre) {
        put_pre(s->pre, t);
        put_post(s, t);
        muse_text_put(t, "  \"decoder\": " BYTE_LEVEL("true") ",\n");
    } else {
        muse_text_put(t, "  \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xe2\x96\x81\"},\n");
        muse_text_put(t, "  \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, \"behavior\": \"MergedWithPrevious\", \"invert\": false},\n  \"post_processor\": null,\n");
        muse_text_put(t, "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"\xe2\x96\x81\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}]},\n");
    }
    muse_text_put(t, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ");
    if (s->info.unk >= 0) put_token(s, t, s->info.unk);
    else muse_text_put(t, "null");
    muse_text_put(t, ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n", s->pre ? "false" : "true",
                  s->pre ? "false" : "true", s->pre && s->pre->ignore_merges ? "true" : "false");
    put_vocab(s, t);
}

static int put_config(const Source *s, MuseText *t)
{
    const struct { const char *name; int32_t id; } ids[] = { { "bos_token", s->info.bos }, { "eos_token", s->info.eos }, { "pad_token", s->info.pad }, { "unk_token", s->info.unk } };
    const char *chat;
    size_t n;
    const int rc = muse_gguf_string(s->g, "tokenizer.chat_template", &chat, &n, s->job->err);
    if (rc < 0) return rc;
    muse_text_put(t, "{\n");
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (ids[i].id < 0) continue;
        muse_text_put(t, "  \"%s\": ", ids[i].name);
        put_token(s, t, ids[i].id);
        muse_text_put(t, ",\n");
    }
    if (chat) {
        muse_text_put(t, "  \"chat_template\": ");
        muse_text_string(t, chat, n);
        muse_text_put(t, ",\n");
    }
    muse_text_put(t, "  \"add_bos_token\": %s,\n  \"clean_up_tokenization_spaces\": false,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n", s->info.add_bos ? "true" : "false");
    return 0;
}

/* the made file stands for the same bytes, token by token */
static int check(const Source *s, const MuseText *t)
{
    MuseTextTokenizer *made = NULL;
    int rc = t->rc < 0 ? MUSE_NOMEM(s->job->err, t->b.len) : muse_text_open_memory(&made, s->job->rt, t->b.data, t->b.len, s->job->err);
    if (rc < 0) return muse_fail_prefix(s->job->err, rc, "%s: its tokenizer as tokenizer.json", s->job->in);
    size_t at = 0, n;
    for (int32_t id = 0; rc == 0 && (size_t)id < s->tokens->count; id++) {
        const char *a, *b, *text = muse_gguf_next_string(s->tokens, &at, &n);
        size_t n_a, n_b;
        if (is_filler(s, (size_t)id, text, n)) continue;
        if (muse_text_token_bytes(s->tok, id, &a, &n_a) < 0 || muse_text_token_bytes(made, id, &b, &n_b) < 0 || n_a != n_b || memcmp(a, b, n_a) != 0)
            rc = muse_fail(s->job->err, MUSE_ERR_UNSUPPORTED, "%s: token %d can't be said in tokenizer.json", s->job->in, id);
    }
    muse_text_close(&made);
    return rc;
}

int muse_folder_vocab(MuseJob *job, MuseText *tokenizer, MuseText *config)
{
    Source s = { .job = job, .g = &job->model->files[0].gguf };
    int rc = muse_model_open_tokenizer(job->model, &s.tok, job->err);
    if (rc == 0) rc = find_kind(&s);
    if (rc == 0) rc = muse_gguf_array(s.g, KEY "tokens", MUSE_GGUF_STRING, &s.tokens, job->err);
    if (rc == 0) rc = muse_gguf_array(s.g, KEY "token_type", MUSE_GGUF_I32, &s.types, job->err);
    if (rc == 0) rc = muse_gguf_array(s.g, KEY "merges", MUSE_GGUF_STRING, &s.merges, job->err);
    if (rc == 0) {
        muse_text_info(s.tok, &s.info);
        put_tokenizer(&s, tokenizer);
        rc = put_config(&s, config);
    }
    if (rc == 0) rc = check(&s, tokenizer);
    muse_text_close(&s.tok);
    return rc;
}
