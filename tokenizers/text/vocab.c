/* SPDX-License-Identifier: Apache-2.0 */
/* Building and searching the token table: one pool of text (two where a token stands for other bytes than it is written
 * with) and one hash of ids. Called by the loaders; searched by the encoder. */
#include "tokenizers/text/vocab.h"

#include "tokenizers/text/classes.h"

enum { TEXT_MAX = 1 << 20 };   /* a token's text; the longest published ones have some hundred bytes */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* the byte of "<0xHH>", -1 if the text is something else */
static int byte_of_text(const char *t, size_t n)
{
    if (n != 6 || memcmp(t, "<0x", 3) != 0 || t[5] != '>') return -1;
    const int high = hex_digit(t[3]), low = hex_digit(t[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* text in the byte alphabet to bytes at out (room for len); SIZE_MAX if some character is outside it */
static size_t from_alphabet(const char *text, size_t len, uint8_t *out)
{
    size_t k = 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        const unsigned n = muse_utf8_char((const uint8_t *)text + i, len - i, &cp);
        const int byte = n ? muse_byte_of_alphabet(cp) : -1;
        if (byte < 0) return SIZE_MAX;
        out[k++] = (uint8_t)byte;
        i += n;
    }
    return k;
}

/* a token's text with the replacements done, appended to out; no replacement is longer than what it replaces */
static bool put_replaced(MuseBuf *out, const MuseVocabRule *rule, const char *text, size_t len)
{
    const size_t begin = out->len;
    if (muse_buf_append(out, text, len) < 0) return false;
    for (unsigned k = 0; k < rule->n_replace; k++) {
        const struct MuseReplace *r = &rule->replace[k];
        size_t to = begin, from = begin;
        while (from < out->len) {
            if (out->len - from >= r->n_from && memcmp(out->data + from, r->from, r->n_from) == 0) {
                memcpy(out->data + to, r->to, r->n_to);
                to += r->n_to;
                from += r->n_from;
            } else {
                out->data[to++] = out->data[from++];
            }
        }
        out->len = to;
    }
    return true;
}

/* Append what a token stands for; flags get LITERAL or BYTE. */
static bool put_bytes(MuseBuf *out, const MuseVocabRule *rule, const MuseVocabItem *item, uint8_t *flags)
{
    if (rule->byte_level) {
        if (muse_buf_reserve(out, item->len) < 0) return false;
        const size_t k = *flags & MUSE_TOKEN_LITERAL ? SIZE_MAX : from_alphabet(item->text, item->len, out->data + out->len);
        if (k != SIZE_MAX) {
            out->len += k;
            return true;
        }
        *flags |= MUSE_TOKEN_LITERAL;
        return muse_buf_append(out, item->text, item->len) == 0;
    }
    const int byte = rule->byte_fallback ? byte_of_text(item->text, item->len) : -1;
    if (byte >= 0) {
        *flags |= MUSE_TOKEN_BYTE;
        const uint8_t b = (uint8_t)byte;
        return muse_buf_append(out, &b, 1) == 0;
    }
    return put_replaced(out, rule, item->text, item->len);
}

static uint64_t slot_hash(const uint8_t *key, size_t n, bool literal)
{
    return muse_hash_bytes(key, n) ^ (literal ? UINT64_C(0x5bd1e995a4b1c3d7) : 0);
}

static int32_t find(const MuseVocab *v, const uint8_t *key, size_t n, bool literal)
{
    if (v->n_slots == 0) return MUSE_NO_ID;
    const uint64_t h = slot_hash(key, n, literal);
    const uint32_t tag = (uint32_t)h;
    for (size_t at = (size_t)(((h >> 32) * v->n_slots) >> 32); v->slots[at]; at = at + 1 == v->n_slots ? 0 : at + 1) {
        if ((uint32_t)(v->slots[at] >> 32) != tag) continue;
        const uint32_t id = (uint32_t)v->slots[at] - 1;
        size_t len;
        const uint8_t *text = muse_vocab_key(v, id, &len);
        if (len == n && memcmp(text, key, n) == 0 && !(v->flags[id] & MUSE_TOKEN_LITERAL) == !literal) return (int32_t)id;
    }
    return MUSE_NO_ID;
}

int32_t muse_vocab_find(const MuseVocab *v, const uint8_t *key, size_t n) { return find(v, key, n, false); }

/* byte-level, and too long for a buffer of fixed size: compare one by one instead of asking for memory */
static int32_t find_long(const MuseVocab *v, const char *text, size_t n)
{
    for (uint32_t id = 0; id < v->n; id++) {
        size_t len, i = 0, k = 0;
        const uint8_t *b = muse_vocab_bytes(v, id, &len);
        if (!(v->flags[id] & MUSE_TOKEN_PRESENT) || (v->flags[id] & MUSE_TOKEN_LITERAL)) continue;
        for (; i < n && k < len; k++) {
            uint32_t cp = 0;
            const unsigned step = muse_utf8_char((const uint8_t *)text + i, n - i, &cp);
            if (!step || muse_byte_of_alphabet(cp) != b[k]) break;
            i += step;
        }
        if (i == n && k == len) return (int32_t)id;
    }
    return MUSE_NO_ID;
}

int32_t muse_vocab_find_piece(const MuseVocab *v, const char *text, size_t n)
{
    if (v->text) return find(v, (const uint8_t *)text, n, false);
    uint8_t bytes[512];
    if (n > sizeof bytes) return find_long(v, text, n);
    const size_t k = from_alphabet(text, n, bytes);
    return k == SIZE_MAX ? MUSE_NO_ID : find(v, bytes, k, false);
}

int32_t muse_vocab_find_text(const MuseVocab *v, const char *text, size_t n)
{
    const int32_t id = muse_vocab_find_piece(v, text, n);
    return id >= 0 || v->text ? id : find(v, (const uint8_t *)text, n, true);
}

static int hash_tokens(MuseVocab *v, bool doubles, MuseError *err)
{
    v->n_slots = (size_t)v->n + v->n / 2 + 16;
    v->slots = muse_zalloc_array(v->alloc, v->n_slots, sizeof *v->slots);
    if (!v->slots) return MUSE_NOMEM(err, v->n_slots * sizeof *v->slots);
    for (uint32_t id = 0; id < v->n; id++) {
        size_t n;
        const uint8_t *key = muse_vocab_key(v, id, &n);
        const bool literal = (v->flags[id] & MUSE_TOKEN_LITERAL) != 0;
        if (!(v->flags[id] & MUSE_TOKEN_PRESENT) || n == 0) continue;
        const int32_t other = find(v, key, n, literal);
        if (other >= 0) {
            if (!doubles) return muse_fail(err, MUSE_ERR_FORMAT, "vocabulary: \"%.*s\" has two ids, %d and %u", (int)(n < 100 ? n : 100), (const char *)key, other, id);
            v->n_doubles++;
            continue;
        }
        const uint64_t h = slot_hash(key, n, literal);
        size_t at = (size_t)(((h >> 32) * v->n_slots) >> 32);
        while (v->slots[at]) at = at + 1 == v->n_slots ? 0 : at + 1;
        v->slots[at] = (h << 32) | (id + 1);
    }
    return 0;
}

static void index_bytes(MuseVocab *v, const MuseVocabRule *rule)
{
    for (unsigned b = 0; b < 256; b++) {
        const uint8_t byte = (uint8_t)b;
        v->byte_id[b] = rule->byte_level ? muse_vocab_find(v, &byte, 1) : MUSE_NO_ID;
    }
    for (unsigned b = 0; b < 128; b++) {
        const uint8_t byte = (uint8_t)b;
        v->char_id[b] = rule->byte_level ? MUSE_NO_ID : muse_vocab_find(v, &byte, 1);
    }
    for (uint32_t id = v->n; !rule->byte_level && id-- > 0;)
        if (v->flags[id] & MUSE_TOKEN_BYTE) v->byte_id[v->bytes[v->bytes_at[id]]] = (int32_t)id;
}

/* pools to their size; both were filled by appending */
static uint8_t *keep_pool(MuseBuf *b)
{
    uint8_t *exact = b->len ? muse_realloc(b->alloc, b->data, b->len) : NULL;
    uint8_t *pool = exact ? exact : b->data;
    *b = (MuseBuf){ .alloc = b->alloc };
    return pool;
}

int muse_vocab_open(MuseVocab *v, const MuseAllocator *a, const MuseVocabItem *items, uint32_t n, const MuseVocabRule *rule, bool doubles, MuseError *err)
{
    *v = (MuseVocab){ .alloc = a, .n = n };
    MuseBuf text = { .alloc = a }, bytes = { .alloc = a };
    const bool same = !rule->byte_level && !rule->byte_fallback && rule->n_replace == 0;
    int rc = MUSE_ERR_NOMEM;
    v->flags = muse_zalloc(a, n);
    v->bytes_at = muse_zalloc_array(a, (size_t)n + 1, sizeof *v->bytes_at);
    if (!rule->byte_level) v->text_at = muse_zalloc_array(a, (size_t)n + 1, sizeof *v->text_at);
    if ((n && !v->flags) || !v->bytes_at || (!rule->byte_level && !v->text_at)) goto fail;
    for (uint32_t id = 0; id < n; id++) {
        const MuseVocabItem *item = &items[id];
        v->flags[id] = item->flags;
        if (item->len > TEXT_MAX) {
            rc = muse_fail(err, MUSE_ERR_LIMIT, "vocabulary: token %u has %u bytes, limit %d", id, item->len, TEXT_MAX);
            goto fail;
        }
        if (item->flags & MUSE_TOKEN_PRESENT) {
            if (!rule->byte_level && muse_buf_append(&text, item->text, item->len) < 0) goto fail;
            if (!same && !put_bytes(&bytes, rule, item, &v->flags[id])) goto fail;
        }
        if (text.len > UINT32_MAX || bytes.len > UINT32_MAX) {
            rc = muse_fail(err, MUSE_ERR_LIMIT, "vocabulary: over 4 GiB of text");
            goto fail;
        }
        if (v->text_at) v->text_at[id + 1] = (uint32_t)text.len;
        v->bytes_at[id + 1] = (uint32_t)(same ? text.len : bytes.len);
    }
    if (!rule->byte_level && !text.data && muse_buf_reserve(&text, 1) < 0) goto fail;   /* text marks the kind of table */
    v->text = keep_pool(&text);
    v->bytes = same ? v->text : keep_pool(&bytes);
    rc = hash_tokens(v, doubles, err);
    if (rc < 0) goto fail;
    index_bytes(v, rule);
    return 0;
fail:
    muse_buf_clear(&text);
    muse_buf_clear(&bytes);
    muse_vocab_close(v);
    return rc == MUSE_ERR_NOMEM ? MUSE_NOMEM(err, n) : rc;
}

void muse_vocab_close(MuseVocab *v)
{
    if (v->bytes != v->text) muse_free(v->bytes);
    muse_free(v->text);
    muse_free(v->flags);
    muse_free(v->text_at);
    muse_free(v->bytes_at);
    muse_free(v->slots);
    *v = (MuseVocab){ 0 };
}

size_t muse_vocab_memory(const MuseVocab *v)
{
    return muse_alloc_size(v->flags) + muse_alloc_size(v->text) + (v->bytes != v->text ? muse_alloc_size(v->bytes) : 0) +
           muse_alloc_size(v->text_at) + muse_alloc_size(v->bytes_at) + muse_alloc_size(v->slots);
}
