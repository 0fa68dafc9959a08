/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a Hugging Face tokenizer.json: the model, the vocabulary, merges and added tokens; the other components are in
 * json_parts.c. Also tokenizer_config.json. Called by open.c. */
#include <math.h>

#include "tokenizers/text/loader.h"

static int show(size_t n) { return (int)(n < 60 ? n : 60); }

/* ids may have holes, but memory must not be asked for by one large number in a small file */
static bool is_sparse(size_t highest, size_t count) { return highest > count * 4 + 65536; }

static int read_id(MuseLoader *l, const MuseJsonValue *v, const char *what, uint32_t *out)
{
    if (!muse_json_is(v, MUSE_JSON_INT) || v->u.integer < 0) return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: an id is not a whole number from 0", what);
    if (v->u.integer >= MUSE_VOCAB_IDS_MAX) return muse_fail(l->err, MUSE_ERR_LIMIT, "%s: id %lld, limit %d", what, (long long)v->u.integer, MUSE_VOCAB_IDS_MAX - 1);
    *out = (uint32_t)v->u.integer;
    return 0;
}

/* count ids of the vocabulary and the added tokens, and make room */
static int size_items(MuseLoader *l, const MuseJsonValue *vocab, const MuseJsonValue *added)
{
    size_t count = 0, highest = 0;
    uint32_t id = 0;
    int rc = 0;
    const bool object = muse_json_is(vocab, MUSE_JSON_OBJECT);
    for (const MuseJsonValue *m = object ? vocab->u.first : NULL; m; m = m->next, count++) {
        if ((rc = read_id(l, m, "model.vocab", &id)) < 0) return rc;
        if (id > highest) highest = id;
    }
    if (!object && vocab->len) {
        count = vocab->len;
        highest = count - 1;
    }
    for (const MuseJsonValue *m = added ? added->u.first : NULL; m; m = m->next, count++) {
        if ((rc = read_id(l, muse_json_get(m, "id"), "added_tokens", &id)) < 0) return rc;
        if (id > highest) highest = id;
    }
    if (is_sparse(highest, count)) return muse_fail(l->err, MUSE_ERR_FORMAT, "vocabulary: id %zu among %zu tokens", highest, count);
    return muse_loader_items(l, count ? highest + 1 : 0);
}

static int read_added(MuseLoader *l, const MuseJsonValue *list)
{
    static const char *const known[] = { "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special" };
    l->tok->added = muse_zalloc_array(&l->tok->rt->alloc, list->len ? list->len : 1, sizeof *l->tok->added);
    if (!l->tok->added) return MUSE_NOMEM(l->err, list->len * sizeof *l->tok->added);
    for (const MuseJsonValue *m = list->u.first; m; m = m->next) {
        MuseAdded a = { 0 };
        const MuseJsonValue *text = muse_json_get(m, "content");
        int rc = read_id(l, muse_json_get(m, "id"), "added_tokens", &a.id);
        if (rc < 0) return rc;
        const bool fine = muse_json_is(text, MUSE_JSON_STRING) && muse_json_read_bool(muse_json_get(m, "special"), false, &a.special) &&
                          muse_json_read_bool(muse_json_get(m, "normalized"), !a.special, &a.normalized) &&
                          muse_json_read_bool(muse_json_get(m, "lstrip"), false, &a.lstrip) && muse_json_read_bool(muse_json_get(m, "rstrip"), false, &a.rstrip) &&
                          muse_json_read_bool(muse_json_get(m, "single_word"), false, &a.single_word);
        if (!fine) return muse_fail(l->err, MUSE_ERR_FORMAT, "added token %u: content, special, normalized, lstrip, rstrip or single_word is of the wrong type", a.id);
        for (const MuseJsonValue *k = m->u.first; k; k = k->next) {
            bool found = false;
            for (size_t i = 0; i < sizeof known / sizeof *known && !found; i++) found = strlen(known[i]) == k->key_len && memcmp(known[i], k->key, k->key_len) == 0;
            if (!found) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "added token %u: member \"%.*s\" is not supported", a.id, show(k->key_len), k->key);
        }
        if ((rc = muse_loader_add(l, &a, text->u.string, text->len)) < 0) return rc;
    }
    return 0;
}

static bool is_absent(const MuseJsonValue *v) { return !v || muse_json_is(v, MUSE_JSON_NULL); }

/* an option of the model that only has one supported value */
static int check_plain(MuseLoader *l, const MuseJsonValue *model, const char *name)
{
    const MuseJsonValue *v = muse_json_get(model, name);
    const bool plain = is_absent(v) || (muse_json_is(v, MUSE_JSON_STRING) && v->len == 0) ||
                       (muse_json_is(v, MUSE_JSON_INT) && v->u.integer == 0) || (muse_json_is(v, MUSE_JSON_DOUBLE) && v->u.number == 0.0);
    return plain ? 0 : muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "model.%s is not supported", name);
}

static int check_members(MuseLoader *l, const char *part, const MuseJsonValue *v, const char *const *known, size_t n)
{
    for (const MuseJsonValue *m = v->u.first; m; m = m->next) {
        bool found = false;
        for (size_t i = 0; i < n && !found; i++) found = strlen(known[i]) == m->key_len && memcmp(known[i], m->key, m->key_len) == 0;
        if (!found) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "%s: member \"%.*s\" is not supported", part, show(m->key_len), m->key);
    }
    return 0;
}

static int read_flag(MuseLoader *l, const MuseJsonValue *model, const char *name, bool *out)
{
    if (muse_json_read_bool(muse_json_get(model, name), false, out)) return 0;
    return muse_fail(l->err, MUSE_ERR_FORMAT, "model.%s is not true or false", name);
}

static int merge(MuseLoader *l, size_t index, const MuseJsonValue *m)
{
    if (muse_json_is(m, MUSE_JSON_STRING)) return muse_loader_merge_text(l, index, m->u.string, m->len);
    const MuseJsonValue *a = muse_json_is(m, MUSE_JSON_ARRAY) && m->len == 2 ? m->u.first : NULL;
    if (!muse_json_is(a, MUSE_JSON_STRING) || !muse_json_is(a->next, MUSE_JSON_STRING)) return muse_fail(l->err, MUSE_ERR_FORMAT, "merge %zu: neither \"a b\" nor [\"a\", \"b\"]", index);
    return muse_loader_merge(l, index, a->u.string, a->len, a->next->u.string, a->next->len);
}

static int read_merges(MuseLoader *l, const MuseJsonValue *list)
{
    if (!muse_json_is(list, MUSE_JSON_ARRAY)) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.merges is not a list");
    if (muse_merges_open(&l->tok->merges, &l->tok->rt->alloc, list->len, false) < 0) return MUSE_NOMEM(l->err, list->len);
    size_t index = 0;
    int rc = 0;
    for (const MuseJsonValue *m = list->u.first; m && rc == 0; m = m->next) rc = merge(l, index++, m);
    return rc;
}

static int load_bpe(MuseLoader *l, const MuseJsonValue *model, const MuseJsonValue *added)
{
    static const char *const known[] = { "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges" };
    MuseTextTokenizer *tok = l->tok;
    const MuseJsonValue *vocab = muse_json_get(model, "vocab"), *unk = muse_json_get(model, "unk_token");
    if (!muse_json_is(vocab, MUSE_JSON_OBJECT)) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.vocab is not an object");
    tok->kind = l->pre_byte_level ? MUSE_KIND_BYTE_BPE : MUSE_KIND_CHAR_BPE;
    int rc = check_members(l, "model BPE", model, known, sizeof known / sizeof *known);
    if (rc == 0) rc = check_plain(l, model, "dropout");
    if (rc == 0) rc = check_plain(l, model, "continuing_subword_prefix");
    if (rc == 0) rc = check_plain(l, model, "end_of_word_suffix");
    if (rc == 0) rc = read_flag(l, model, "fuse_unk", &tok->fuse_unk);
    if (rc == 0) rc = read_flag(l, model, "byte_fallback", &tok->byte_fallback);
    if (rc == 0) rc = read_flag(l, model, "ignore_merges", &tok->ignore_merges);
    if (rc == 0) rc = size_items(l, vocab, added);
    for (const MuseJsonValue *m = vocab->u.first; m && rc == 0; m = m->next) rc = muse_loader_put(l, (uint32_t)m->u.integer, m->key, m->key_len, 0);
    if (rc == 0 && added) rc = read_added(l, added);
    if (rc == 0) rc = muse_loader_vocab(l, false);
    if (rc == 0) rc = read_merges(l, muse_json_get(model, "merges"));
    if (rc < 0 || is_absent(unk)) return rc;
    if (!muse_json_is(unk, MUSE_JSON_STRING)) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.unk_token is not a text");
    tok->unk = muse_vocab_find_text(&tok->vocab, unk->u.string, unk->len);
    return tok->unk < 0 ? muse_fail(l->err, MUSE_ERR_FORMAT, "model.unk_token \"%.*s\" is no token", show(unk->len), unk->u.string) : 0;
}

/* pieces into the trie, scores into their table */
static int read_scores(MuseLoader *l, const MuseJsonValue *vocab)
{
    MuseTextTokenizer *tok = l->tok;
    double lowest = 0.0;
    uint32_t id = 0;
    tok->unigram.scores = muse_zalloc_array(&tok->rt->alloc, tok->vocab.n ? tok->vocab.n : 1, sizeof *tok->unigram.scores);
    if (!tok->unigram.scores || muse_trie_open(&tok->unigram.trie, &tok->rt->alloc, tok->vocab.text_at[tok->vocab.n]) < 0) return MUSE_NOMEM(l->err, tok->vocab.n * sizeof(double));
    for (const MuseJsonValue *m = vocab->u.first; m; m = m->next, id++) {
        double score;
        const MuseJsonValue *text = m->u.first;
        if (!muse_json_read_f64(text->next, 0.0, &score) || !isfinite(score)) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.vocab: the score of piece %u is not a number", id);
        if (text->len > MUSE_MATCH_BYTES_MAX) return muse_fail(l->err, MUSE_ERR_LIMIT, "model.vocab: piece %u has %u bytes, limit %d", id, text->len, MUSE_MATCH_BYTES_MAX);
        if (score < lowest || id == 0) lowest = score;
        tok->unigram.scores[id] = score;
        /* added tokens are found by their own trie or are plain text; an empty piece matches nothing */
        if (!text->len || (tok->vocab.flags[id] & MUSE_TOKEN_ADDED)) continue;
        if (muse_trie_add(&tok->unigram.trie, (const uint8_t *)text->u.string, text->len, id) < 0) return MUSE_NOMEM(l->err, text->len);
    }
    tok->unigram.unk_score = lowest - 10.0;
    return 0;
}

static int load_unigram(MuseLoader *l, const MuseJsonValue *model, const MuseJsonValue *added)
{
    static const char *const known[] = { "type", "unk_id", "vocab", "byte_fallback" };
    MuseTextTokenizer *tok = l->tok;
    const MuseJsonValue *vocab = muse_json_get(model, "vocab"), *unk = muse_json_get(model, "unk_id");
    if (!muse_json_is(vocab, MUSE_JSON_ARRAY)) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.vocab is not a list");
    if (l->pre_byte_level) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "model Unigram with pre_tokenizer ByteLevel is not supported");
    tok->kind = MUSE_KIND_UNIGRAM;
    tok->fuse_unk = true;
    int rc = check_members(l, "model Unigram", model, known, sizeof known / sizeof *known);
    if (rc == 0) rc = read_flag(l, model, "byte_fallback", &tok->byte_fallback);
    if (rc == 0) rc = size_items(l, vocab, added);
    uint32_t id = 0;
    for (const MuseJsonValue *m = vocab->u.first; m && rc == 0; m = m->next, id++) {
        const MuseJsonValue *text = muse_json_is(m, MUSE_JSON_ARRAY) && m->len == 2 ? m->u.first : NULL;
        if (!muse_json_is(text, MUSE_JSON_STRING)) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.vocab: piece %u is not [text, score]", id);
        rc = muse_loader_put(l, id, text->u.string, text->len, 0);
    }
    if (rc == 0 && added) rc = read_added(l, added);
    if (rc == 0) rc = muse_loader_vocab(l, false);
    if (rc == 0) rc = read_scores(l, vocab);
    if (rc < 0 || is_absent(unk)) return rc;
    if (!muse_json_is(unk, MUSE_JSON_INT) || unk->u.integer < 0 || unk->u.integer >= vocab->len) return muse_fail(l->err, MUSE_ERR_FORMAT, "model.unk_id is no index of model.vocab");
    tok->unk = (int32_t)unk->u.integer;
    return 0;
}

/* ids that the file does not name: the first of these texts that is an added token */
static int32_t known_token(const MuseTextTokenizer *tok, const char *const *texts, size_t n)
{
    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < tok->n_added; i++)
            if (tok->added[i].len == strlen(texts[k]) && memcmp(tok->added_text.data + tok->added[i].at, texts[k], tok->added[i].len) == 0) return (int32_t)tok->added[i].id;
    return -1;
}

static void guess_ids(MuseTextTokenizer *tok)
{
    static const char *const bos[] = { "<bos>", "<s>", "<|begin_of_text|>" };
    static const char *const eos[] = { "<eos>", "</s>", "<|end_of_text|>", "|ENDOFTEXT|", "<|endoftext|>" };
    static const char *const pad[] = { "<pad>", "<|finetune_right_pad_id|>" };
    if (tok->bos < 0) tok->bos = known_token(tok, bos, sizeof bos / sizeof *bos);
    if (tok->eos < 0) tok->eos = known_token(tok, eos, sizeof eos / sizeof *eos);
    if (tok->pad < 0) tok->pad = known_token(tok, pad, sizeof pad / sizeof *pad);
}

static int check_root(MuseLoader *l, const MuseJsonValue *root)
{
    static const char *const known[] = { "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model" };
    if (!muse_json_is(root, MUSE_JSON_OBJECT)) return muse_fail(l->err, MUSE_ERR_FORMAT, "not an object");
    if (!is_absent(muse_json_get(root, "truncation")) || !is_absent(muse_json_get(root, "padding")))
        muse_log(&l->tok->rt->log, MUSE_LOG_WARN, "tokenizer.json asks for truncation or padding; text is always encoded whole and without padding");
    return check_members(l, "tokenizer.json", root, known, sizeof known / sizeof *known);
}

static int load(MuseLoader *l, const MuseJsonValue *root)
{
    const MuseJsonValue *model = muse_json_get(root, "model"), *added = muse_json_get(root, "added_tokens");
    int rc = check_root(l, root);
    if (rc < 0) return rc;
    if (!muse_json_is(model, MUSE_JSON_OBJECT)) return muse_fail(l->err, MUSE_ERR_FORMAT, "no model");
    if (is_absent(added)) added = NULL;
    else if (!muse_json_is(added, MUSE_JSON_ARRAY)) return muse_fail(l->err, MUSE_ERR_FORMAT, "added_tokens is not a list");
    rc = muse_load_normalizer(l, muse_json_get(root, "normalizer"));
    if (rc == 0) rc = muse_load_pre_tokenizer(l, muse_json_get(root, "pre_tokenizer"));
    if (rc == 0) rc = muse_load_decoder(l, muse_json_get(root, "decoder"));
    if (rc < 0) return rc;
    if (l->pre_byte_level != l->decoder_byte_level) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "ByteLevel must be both pre_tokenizer and decoder, or neither");
    l->rule.byte_level = l->pre_byte_level;
    if (l->rule.byte_level && (l->rule.n_replace || l->rule.byte_fallback)) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder: ByteLevel together with other steps is not supported");
    const MuseJsonValue *type = muse_json_get(model, "type");
    const bool list = muse_json_is(muse_json_get(model, "vocab"), MUSE_JSON_ARRAY);   /* early files name no type */
    if (muse_json_equal(type, "BPE") || (!type && !list)) rc = load_bpe(l, model, added);
    else if (muse_json_equal(type, "Unigram") || (!type && list)) rc = load_unigram(l, model, added);
    else return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "model \"%.*s\" is not supported", muse_json_is(type, MUSE_JSON_STRING) ? show(type->len) : 1, muse_json_is(type, MUSE_JSON_STRING) ? type->u.string : "?");
    if (rc == 0) rc = muse_load_post_processor(l, muse_json_get(root, "post_processor"));
    if (rc < 0) return rc;
    guess_ids(l->tok);
    return muse_text_finish(l->tok, l->err);
}

int muse_text_load_json(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err)
{
    MuseLoader l = { .tok = tok, .err = err };
    MuseJson doc = { 0 };
    int rc = muse_json_parse(&doc, &tok->rt->alloc, size ? bytes : "", size, err);
    if (rc == 0) rc = load(&l, doc.root);
    muse_loader_close(&l);
    muse_json_close(&doc);
    return rc;
}

/* a token of tokenizer_config.json: a text, or an object with its content */
static int config_token(const MuseTextTokenizer *tok, const MuseJsonValue *root, const char *name, int32_t *id, MuseError *err)
{
    const MuseJsonValue *v = muse_json_get(root, name);
    if (is_absent(v)) return 0;
    if (muse_json_is(v, MUSE_JSON_OBJECT)) v = muse_json_get(v, "content");
    if (!muse_json_is(v, MUSE_JSON_STRING)) return muse_fail(err, MUSE_ERR_FORMAT, "%s is not a text", name);
    const int32_t found = muse_text_find(tok, v->u.string, v->len);
    if (found < 0) muse_log(&tok->rt->log, MUSE_LOG_WARN, "tokenizer_config.json: %s \"%.*s\" is not in the vocabulary and stays unset", name, show(v->len), v->u.string);
    else *id = found;
    return 0;
}

int muse_text_load_config(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err)
{
    MuseJson doc = { 0 };
    bool add_bos = false;
    int rc = muse_json_parse(&doc, &tok->rt->alloc, size ? bytes : "", size, err);
    if (rc == 0 && !muse_json_is(doc.root, MUSE_JSON_OBJECT)) rc = muse_fail(err, MUSE_ERR_FORMAT, "not an object");
    /* a template has said already which token comes first */
    if (rc == 0 && !tok->add_bos) rc = config_token(tok, doc.root, "bos_token", &tok->bos, err);
    if (rc == 0) rc = config_token(tok, doc.root, "eos_token", &tok->eos, err);
    if (rc == 0) rc = config_token(tok, doc.root, "pad_token", &tok->pad, err);
    if (rc == 0 && !muse_json_read_bool(muse_json_get(doc.root, "add_bos_token"), false, &add_bos)) rc = muse_fail(err, MUSE_ERR_FORMAT, "add_bos_token is not true or false");
    if (rc == 0 && add_bos && tok->bos >= 0) tok->add_bos = true;
    const MuseJsonValue *no_bos = muse_json_get(doc.root, "add_bos_token");
    if (rc == 0 && tok->add_bos && muse_json_is(no_bos, MUSE_JSON_BOOL) && !add_bos)
        muse_log(&tok->rt->log, MUSE_LOG_WARN, "tokenizer_config.json says add_bos_token false, tokenizer.json adds bos: it is added");
    bool add_eos = false;
    if (rc == 0 && muse_json_read_bool(muse_json_get(doc.root, "add_eos_token"), false, &add_eos) && add_eos)
        muse_log(&tok->rt->log, MUSE_LOG_WARN, "tokenizer_config.json says add_eos_token true: eos is not added, append its id yourself");
    muse_json_close(&doc);
    return rc;
}
