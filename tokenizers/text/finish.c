/* SPDX-License-Identifier: Apache-2.0 */
/* The half of loading that does not depend on the file format: entries and merges with their checks, added tokens, derived
 * tables. Called by tokenizer_json.c and gguf_tokenizer.c. */
#include "tokenizers/text/loader.h"

static int show(size_t n) { return (int)(n < 60 ? n : 60); }

int muse_loader_items(MuseLoader *l, size_t n)
{
    if (n > MUSE_VOCAB_IDS_MAX) return muse_fail(l->err, MUSE_ERR_LIMIT, "vocabulary: id %zu, limit %d", n - 1, MUSE_VOCAB_IDS_MAX - 1);
    l->items = muse_zalloc_array(&l->tok->rt->alloc, n ? n : 1, sizeof *l->items);
    if (!l->items) return MUSE_NOMEM(l->err, n * sizeof *l->items);
    l->n_items = (uint32_t)n;
    return 0;
}

void muse_loader_close(MuseLoader *l)
{
    muse_free(l->items);
    l->items = NULL;
}

int muse_loader_put(MuseLoader *l, uint32_t id, const char *text, size_t n, unsigned flags)
{
    MuseVocabItem *item = &l->items[id];
    if (item->flags) return muse_fail(l->err, MUSE_ERR_FORMAT, "vocabulary: id %u has two texts, \"%.*s\" and \"%.*s\"", id, show(item->len), item->text, show(n), text);
    if (n > UINT32_MAX) return muse_fail(l->err, MUSE_ERR_LIMIT, "vocabulary: token %u is too long", id);
    *item = (MuseVocabItem){ text, (uint32_t)n, (uint8_t)(flags | MUSE_TOKEN_PRESENT) };
    return 0;
}

int muse_loader_add(MuseLoader *l, const MuseAdded *added, const char *text, size_t n)
{
    MuseTextTokenizer *tok = l->tok;
    MuseVocabItem *item = &l->items[added->id];
    if (n == 0 || n > MUSE_MATCH_BYTES_MAX) return muse_fail(l->err, n ? MUSE_ERR_LIMIT : MUSE_ERR_FORMAT, "added token %u has %zu bytes; 1 to %d are taken", added->id, n, MUSE_MATCH_BYTES_MAX);
    if (item->flags & MUSE_TOKEN_ADDED) return muse_fail(l->err, MUSE_ERR_FORMAT, "two added tokens have the id %u", added->id);
    if (item->flags && (item->len != n || memcmp(item->text, text, n) != 0))
        return muse_fail(l->err, MUSE_ERR_FORMAT, "added token \"%.*s\" has the id %u of \"%.*s\"", show(n), text, added->id, show(item->len), item->text);
    if (!item->flags) *item = (MuseVocabItem){ text, (uint32_t)n, MUSE_TOKEN_PRESENT | MUSE_TOKEN_LITERAL };
    item->flags = (uint8_t)(item->flags | MUSE_TOKEN_ADDED | (added->special ? MUSE_TOKEN_SPECIAL : 0));
    MuseAdded *entry = &tok->added[tok->n_added];
    *entry = *added;
    entry->at = (uint32_t)tok->added_text.len;
    entry->len = (uint32_t)n;
    if (tok->added_text.len > UINT32_MAX - n) return muse_fail(l->err, MUSE_ERR_LIMIT, "added tokens: over 4 GiB of text");
    if (muse_buf_append(&tok->added_text, text, n) < 0) return MUSE_NOMEM(l->err, n);
    tok->n_added++;
    return 0;
}

int muse_loader_vocab(MuseLoader *l, bool doubles)
{
    MuseTextTokenizer *tok = l->tok;
    l->rule.replace = l->replaces;
    int rc = muse_vocab_open(&tok->vocab, &tok->rt->alloc, l->items, l->n_items, &l->rule, doubles, l->err);
    if (rc < 0) return rc;
    if (tok->vocab.n_doubles)
        muse_log(&tok->rt->log, MUSE_LOG_WARN, "tokenizer: %u tokens have the text of another one; text is encoded with the lowest id", tok->vocab.n_doubles);
    for (uint32_t i = 0; i < tok->n_added && !doubles; i++) {
        const char *text = (const char *)tok->added_text.data + tok->added[i].at;
        const int32_t id = muse_vocab_find_text(&tok->vocab, text, tok->added[i].len);
        if (id >= 0 && (uint32_t)id != tok->added[i].id)
            return muse_fail(l->err, MUSE_ERR_FORMAT, "added token \"%.*s\" has the id %u, but the vocabulary says %d", show(tok->added[i].len), text, tok->added[i].id, id);
    }
    return 0;
}

int muse_loader_merge(MuseLoader *l, size_t index, const char *left, size_t n_left, const char *right, size_t n_right)
{
    const MuseVocab *v = &l->tok->vocab;
    const int32_t a = muse_vocab_find_piece(v, left, n_left), b = muse_vocab_find_piece(v, right, n_right);
    if (a < 0 || b < 0)
        return muse_fail(l->err, MUSE_ERR_FORMAT, "merge %zu: \"%.*s\" is no token", index, show(a < 0 ? n_left : n_right), a < 0 ? left : right);
    uint8_t joined[512], *both = joined;
    size_t n_a, n_b;
    const uint8_t *key_a = muse_vocab_key(v, (uint32_t)a, &n_a), *key_b = muse_vocab_key(v, (uint32_t)b, &n_b);
    if (n_a + n_b > sizeof joined) both = muse_alloc(&l->tok->rt->alloc, n_a + n_b);
    if (!both) return MUSE_NOMEM(l->err, n_a + n_b);
    memcpy(both, key_a, n_a);
    memcpy(both + n_a, key_b, n_b);
    const int32_t id = muse_vocab_find(v, both, n_a + n_b);
    if (both != joined) muse_free(both);
    if (id < 0) return muse_fail(l->err, MUSE_ERR_FORMAT, "merge %zu: \"%.*s\" and \"%.*s\" together are no token", index, show(n_left), left, show(n_right), right);
    l->tok->merges.result[index] = (uint32_t)id;
    muse_merges_put(&l->tok->merges, (uint32_t)a, (uint32_t)b, (uint32_t)index);
    return 0;
}

int muse_loader_merge_text(MuseLoader *l, size_t index, const char *text, size_t n)
{
    const char *space = memchr(text, ' ', n);
    const size_t n_left = space ? (size_t)(space - text) : 0, n_right = space ? n - n_left - 1 : 0;
    if (!n_left || !n_right || memchr(space + 1, ' ', n_right)) return muse_fail(l->err, MUSE_ERR_FORMAT, "merge %zu: \"%.*s\" is not two tokens with a space between", index, show(n), text);
    return muse_loader_merge(l, index, text, n_left, space + 1, n_right);
}

/* U+2581: which bytes stand right before one inside a merged token */
static void find_glue(MuseTextTokenizer *tok)
{
    static const uint8_t mark[3] = { 0xe2, 0x96, 0x81 };
    if (tok->kind != MUSE_KIND_CHAR_BPE || tok->ignore_merges || muse_vocab_find(&tok->vocab, mark, 3) < 0) return;
    tok->cut_at_mark = true;
    for (uint32_t k = 0; k < tok->merges.n; k++) {
        size_t n;
        const uint8_t *text = muse_vocab_key(&tok->vocab, tok->merges.result[k], &n);
        for (size_t i = 1; i + 2 < n; i++)
            if (text[i] == mark[0] && text[i + 1] == mark[1] && text[i + 2] == mark[2]) tok->merges.glue[text[i - 1]] = 1;
    }
}

static int add_to_trie(MuseTextTokenizer *tok, uint32_t i, MuseNormWork *work, MuseMatcher *m, MuseError *err)
{
    const MuseAdded *added = &tok->added[i];
    const uint8_t *text = tok->added_text.data + added->at;
    size_t n = added->len;
    MuseTrie *trie = added->normalized ? &tok->added_norm : &tok->added_raw;
    int rc = 0;
    if (added->normalized) rc = muse_norm_run(&tok->norm, work, m, text, n, &text, &n);
    if (rc == MUSE_ERR_LIMIT) return muse_fail(err, rc, "added token %u: a normalizer's pattern takes too many steps", added->id);
    if (rc == 0 && n == 0) return muse_fail(err, MUSE_ERR_FORMAT, "added token %u: nothing of it is left after normalisation", added->id);
    if (rc == 0 && n > MUSE_MATCH_BYTES_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "added token %u has %zu bytes when normalised", added->id, n);
    if (rc == 0 && !trie->n_nodes) rc = muse_trie_open(trie, &tok->rt->alloc, tok->added_text.len);
    if (rc == 0) rc = muse_trie_add(trie, text, n, i);
    return rc < 0 ? MUSE_NOMEM(err, n) : 0;
}

int muse_text_finish(MuseTextTokenizer *tok, MuseError *err)
{
    MuseNormWork work = { .a = { .alloc = &tok->rt->alloc }, .b = { .alloc = &tok->rt->alloc } };
    MuseMatcher matcher;
    find_glue(tok);
    int rc = muse_matcher_open(&matcher, err);
    if (rc < 0) return rc;
    muse_matcher_limit(&matcher, MUSE_MATCH_BYTES_MAX);
    for (uint32_t i = 0; i < tok->n_added && rc == 0; i++) rc = add_to_trie(tok, i, &work, &matcher, err);
    muse_matcher_close(&matcher);
    muse_norm_work_close(&work);
    return rc;
}
