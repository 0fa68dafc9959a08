/* SPDX-License-Identifier: Apache-2.0 */
/* A trained vocabulary as tokenizer.json, in the layout that Hugging Face tokenizers reads. Called by train.c. */
#include <stdio.h>

#include "base/json.h"
#include "tokenizers/text/train.h"

typedef struct Writer {
    MuseBuf buf, word;
    bool    failed;
} Writer;

static void put(Writer *w, const char *text)
{
    if (muse_buf_append(&w->buf, text, strlen(text)) < 0) w->failed = true;
}

static void put_string(Writer *w, const char *text, size_t n)
{
    if (muse_json_write_string(&w->buf, text, n) < 0) w->failed = true;
}

static void put_number(Writer *w, uint32_t v)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%u", v);
    put(w, digits);
}

/* bytes in the byte alphabet, into word (appended) */
static void spell(Writer *w, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c[4];
        if (muse_buf_append(&w->word, c, muse_utf8_put(muse_byte_alphabet(s[i]), c)) < 0) w->failed = true;
    }
}

static void spell_symbol(Writer *w, const Trainer *t, uint32_t id) { spell(w, t->pool.data + t->symbols[id].at, t->symbols[id].len); }

static void put_added(Writer *w, const Trainer *t)
{
    put(w, "  \"added_tokens\": [");
    for (uint32_t i = 0; i < t->params.n_added; i++) {
        put(w, i ? ",\n    {\"id\": " : "\n    {\"id\": ");
        put_number(w, i);
        put(w, ", \"content\": ");
        put_string(w, t->params.added[i], strlen(t->params.added[i]));
        put(w, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}");
    }
    put(w, t->params.n_added ? "\n  ],\n" : "],\n");
}

static void put_parts(Writer *w, const Trainer *t)
{
    put(w, "  \"normalizer\": null,\n  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n");
    if (t->digits) put(w, "    {\"type\": \"Digits\", \"individual_digits\": true},\n");
    put(w, "    {\"type\": \"Split\", \"pattern\": {\"Regex\": ");
    put_string(w, t->pattern, strlen(t->pattern));
    put(w, "}, \"behavior\": \"Isolated\", \"invert\": false},\n"
           "    {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}]},\n"
           "  \"post_processor\": null,\n"
           "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n");
}

static void put_model(Writer *w, const Trainer *t)
{
    put(w, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null,\n"
           "    \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,\n    \"vocab\": {");
    for (uint32_t id = 0; id < t->n_symbols; id++) {
        put(w, id ? ",\n      " : "\n      ");
        w->word.len = 0;
        if (id < t->params.n_added) put_string(w, t->params.added[id], strlen(t->params.added[id]));
        else spell_symbol(w, t, id);
        if (id >= t->params.n_added) put_string(w, (const char *)w->word.data, w->word.len);
        put(w, ": ");
        put_number(w, id);
    }
    put(w, "\n    },\n    \"merges\": [");
    const uint32_t *pair = (const uint32_t *)(const void *)t->merges.data;
    for (size_t i = 0; i < t->merges.len / (2 * sizeof *pair); i++) {
        put(w, i ? ",\n      " : "\n      ");
        w->word.len = 0;
        spell_symbol(w, t, pair[2 * i]);
        if (muse_buf_append(&w->word, " ", 1) < 0) w->failed = true;
        spell_symbol(w, t, pair[2 * i + 1]);
        put_string(w, (const char *)w->word.data, w->word.len);
    }
    put(w, "\n    ]}\n}\n");
}

int muse_train_json(Trainer *t, char **json, size_t *n_json)
{
    Writer w = { .buf = { .alloc = t->alloc }, .word = { .alloc = t->alloc } };
    put(&w, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    put_added(&w, t);
    put_parts(&w, t);
    put_model(&w, t);
    if (muse_buf_append(&w.buf, "", 1) < 0) w.failed = true;
    muse_buf_clear(&w.word);
    if (w.failed) {
        muse_buf_clear(&w.buf);
        return MUSE_NOMEM(t->err, w.buf.len);
    }
    *json = (char *)w.buf.data;
    *n_json = w.buf.len - 1;
    return 0;
}
