/* SPDX-License-Identifier: Apache-2.0 */
/* Text to ids: added tokens are cut out, the rest is normalised, cut into pieces, and each piece goes to the model (BPE or
 * Unigram) through a cache of short pieces. Working memory comes from a small pool in the tokenizer, so that calls from any
 * number of threads neither share nor wait. */
#include <stdlib.h>

#include "tokenizers/text/textcore.h"
#include "tokenizers/text/classes.h"

enum { TEXT_MAX = 1 << 30 };
enum { CACHE_KEY = 40, CACHE_IDS = 5, CACHE_SLOTS = 1 << 13 };
enum { SCRATCH_KEPT_MAX = 16 << 20 };   /* more than this is given back after a call */

typedef struct CacheEntry {              /* one cache line */
    uint8_t len, n;                      /* len 0: empty */
    uint8_t key[CACHE_KEY];
    uint32_t ids[CACHE_IDS];
} CacheEntry;

struct MuseTextScratch {
    MuseNormWork    norm;
    MuseMatcher     matcher;
    MuseBpeWork     bpe;
    MuseUnigramWork unigram;
    MuseBuf         steps[MUSE_PRETOK_STEPS_MAX];
    CacheEntry     *cache;               /* [CACHE_SLOTS] */
};

typedef struct Encoder {
    const MuseTextTokenizer *tok;
    MuseTextScratch *s;
    uint32_t *ids;
    size_t    n, cap;
    size_t    unk_at;                    /* where an unknown was put last, + 1 */
    MuseError *err;
} Encoder;

static int push_room(Encoder *e, size_t more)
{
    if (e->cap - e->n >= more) return 0;
    const size_t cap = (e->n + more) + (e->n + more) / 2 + 16;
    uint32_t *ids = muse_realloc_array(&e->tok->rt->alloc, e->ids, cap, sizeof *ids);
    if (!ids) return MUSE_NOMEM(e->err, cap * sizeof *ids);
    e->ids = ids;
    e->cap = cap;
    return 0;
}

static int push(Encoder *e, const uint32_t *ids, size_t n)
{
    int rc = push_room(e, n);
    if (rc < 0) return rc;
    memcpy(e->ids + e->n, ids, n * sizeof *ids);
    e->n += n;
    return 0;
}

static int no_token(Encoder *e, const uint8_t *s, size_t n)
{
    const char *more = n > 1 ? " ..." : "";
    return muse_fail(e->err, MUSE_ERR_NOT_FOUND, "no token for byte 0x%02x%s, and the vocabulary has no unknown token", s[0], more);
}

/* Symbols of a piece in work->ids, each character its token, its bytes' tokens or the unknown token. */
static int symbols(Encoder *e, const uint8_t *s, size_t n, size_t *count)
{
    const MuseTextTokenizer *tok = e->tok;
    MuseBpeWork *w = &e->s->bpe;
    const bool bytes = tok->kind == MUSE_KIND_BYTE_BPE;
    if (muse_bpe_reserve(w, n) < 0) return MUSE_NOMEM(e->err, n);
    size_t k = 0;
    bool was_unknown = false;
    for (size_t i = 0; i < n;) {
        const unsigned c = bytes ? 1 : muse_utf8_char(s + i, n - i, NULL);
        const unsigned len = c ? c : 1;
        int32_t id = bytes ? tok->vocab.byte_id[s[i]] : len == 1 && s[i] < 128 ? tok->vocab.char_id[s[i]] : muse_vocab_find(&tok->vocab, s + i, len);
        if (id >= 0) {
            w->ids[k++] = (uint32_t)id;
            was_unknown = false;
        } else {
            bool all = tok->byte_fallback;
            for (unsigned b = 0; b < len && all; b++) all = tok->vocab.byte_id[s[i + b]] >= 0;
            if (!all && tok->unk < 0) return no_token(e, s + i, len);
            for (unsigned b = 0; b < len && all; b++) w->ids[k++] = (uint32_t)tok->vocab.byte_id[s[i + b]];
            if (!all && !(tok->fuse_unk && was_unknown)) w->ids[k++] = (uint32_t)tok->unk;
            was_unknown = !all;
        }
        i += len;
    }
    *count = k;
    return 0;
}

static int encode_bpe(Encoder *e, const uint8_t *s, size_t n)
{
    const MuseTextTokenizer *tok = e->tok;
    if (tok->ignore_merges) {
        const int32_t id = muse_vocab_find(&tok->vocab, s, n);
        if (id >= 0 && !(tok->vocab.flags[id] & MUSE_TOKEN_ADDED)) return push(e, &(uint32_t){ (uint32_t)id }, 1);
    }
    size_t count = 0;
    int rc = symbols(e, s, n, &count);
    if (rc < 0) return rc;
    if (muse_bpe_merge(&tok->merges, &e->s->bpe, count, &count) < 0) return MUSE_NOMEM(e->err, n);
    return push(e, e->s->bpe.ids, count);
}

/* characters that no piece covers, in a row: their bytes, or one unknown token */
static int unigram_unknown(Encoder *e, const uint8_t *s, size_t n)
{
    const MuseTextTokenizer *tok = e->tok;
    bool all = tok->byte_fallback;
    for (size_t i = 0; i < n && all; i++) all = tok->vocab.byte_id[s[i]] >= 0;
    if (!all && tok->unk < 0) return no_token(e, s, n);
    if (!all) return push(e, &(uint32_t){ (uint32_t)tok->unk }, 1);
    int rc = push_room(e, n);
    for (size_t i = 0; i < n && rc == 0; i++) e->ids[e->n++] = (uint32_t)tok->vocab.byte_id[s[i]];
    return rc;
}

static int encode_unigram(Encoder *e, const uint8_t *s, size_t n)
{
    if (muse_unigram_run(&e->tok->unigram, &e->s->unigram, s, n) < 0) return MUSE_NOMEM(e->err, n);
    size_t at = 0, len = 0, unknown = 0;
    int32_t id;
    int rc = 0;
    while (rc == 0 && muse_unigram_next(&e->s->unigram, n, &at, &len, &id)) {
        if (id < 0) {
            unknown += len;
            continue;
        }
        if (unknown) rc = unigram_unknown(e, s + at - len - unknown, unknown);
        unknown = 0;
        if (rc == 0) rc = push(e, &(uint32_t){ (uint32_t)id }, 1);
    }
    return rc == 0 && unknown ? unigram_unknown(e, s + n - unknown, unknown) : rc;
}

/* one piece through the cache; s is whole in the eyes of the model */
static int encode_piece(Encoder *e, const uint8_t *s, size_t n)
{
    CacheEntry *entry = NULL;
    if (n <= CACHE_KEY) {
        entry = &e->s->cache[muse_hash_bytes(s, n) & (CACHE_SLOTS - 1)];
        if (entry->len == n && memcmp(entry->key, s, n) == 0) {
            if (e->cap - e->n >= CACHE_IDS) {   /* a fixed-size copy is one or two instructions */
                memcpy(e->ids + e->n, entry->ids, sizeof entry->ids);
                e->n += entry->n;
                return 0;
            }
            return push(e, entry->ids, entry->n);
        }
    }
    const size_t before = e->n;
    int rc = e->tok->kind == MUSE_KIND_UNIGRAM ? encode_unigram(e, s, n) : encode_bpe(e, s, n);
    if (rc == 0 && entry && e->n - before <= CACHE_IDS) {
        entry->len = (uint8_t)n;
        entry->n = (uint8_t)(e->n - before);
        memcpy(entry->key, s, n);
        memcpy(entry->ids, e->ids + before, entry->n * sizeof *entry->ids);
    }
    return rc;
}

/* A piece from the pre-tokenizer. Without one, BPE runs over whole segments; cutting them where no merge can reach across
 * (before U+2581, after a byte that no merged token has in front of it) gives the same ids from short, cacheable pieces. */
static int on_piece(void *user, const uint8_t *s, size_t n)
{
    Encoder *e = user;
    if (!e->tok->cut_at_mark) return encode_piece(e, s, n);
    size_t begin = 0;
    for (size_t i = 1; i + 2 < n; i++) {
        const uint8_t *at = memchr(s + i, 0xe2, n - i - 2);
        if (!at) break;
        i = (size_t)(at - s);
        if (at[1] != 0x96 || at[2] != 0x81 || e->tok->merges.glue[at[-1]]) continue;
        int rc = encode_piece(e, s + begin, i - begin);
        if (rc < 0) return rc;
        begin = i;
    }
    return begin < n ? encode_piece(e, s + begin, n - begin) : 0;
}

/* bytes that are not UTF-8: each by itself */
static int encode_invalid(Encoder *e, const uint8_t *s, size_t n)
{
    int rc = push_room(e, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const int32_t id = e->tok->vocab.byte_id[s[i]];
        if (id < 0 && e->tok->unk < 0) return no_token(e, s + i, 1);
        if (id < 0 && e->tok->fuse_unk && e->unk_at == e->n && e->n) continue;
        e->ids[e->n++] = (uint32_t)(id < 0 ? e->tok->unk : id);
        if (id < 0) e->unk_at = e->n;
    }
    return rc;
}

/* normalised text without added tokens */
static int encode_clean(Encoder *e, const uint8_t *s, size_t n, bool at_start)
{
    MusePretokRun run = { &e->s->matcher, e->s->steps, at_start, false, on_piece, e };
    for (size_t i = 0; i < n;) {
        const size_t valid = muse_utf8_valid(s + i, n - i);
        int rc = muse_pretok_run(&e->tok->pretok, &run, s + i, valid);
        if (rc == MUSE_ERR_NOMEM) return MUSE_NOMEM(e->err, n);
        if (rc == MUSE_ERR_LIMIT) return muse_fail(e->err, rc, "the pre-tokenizer's pattern takes too many steps on this text");
        if (rc < 0) return rc;
        i += valid;
        size_t end = i;
        while (end < n && !muse_utf8_char(s + end, n - end, NULL)) end++;
        rc = encode_invalid(e, s + i, end - i);
        if (rc < 0) return rc;
        i = end;
        run.inside = true;
        run.at_start = false;
    }
    return 0;
}

/* text without the added tokens that are matched as it stands */
static int encode_segment(Encoder *e, const uint8_t *s, size_t n, bool at_start, bool with_added)
{
    if (n == 0) return 0;
    const MuseTextTokenizer *tok = e->tok;
    int rc = muse_norm_run(&tok->norm, &e->s->norm, &e->s->matcher, s, n, &s, &n);
    if (rc == MUSE_ERR_LIMIT) return muse_fail(e->err, rc, "a normalizer's pattern takes too many steps on this text");
    if (rc < 0) return MUSE_NOMEM(e->err, n);
    if (!with_added || !tok->added_norm.n_nodes) return encode_clean(e, s, n, at_start);
    size_t done = 0, from = 0;
    MuseAddedMatch m;
    while (rc == 0 && muse_added_next(tok, &tok->added_norm, s, n, from, done, &m)) {
        if (m.begin > done) rc = encode_clean(e, s + done, m.begin - done, at_start && done == 0);
        if (rc == 0) rc = push(e, &tok->added[m.index].id, 1);
        done = from = m.end;
    }
    return rc == 0 && done < n ? encode_clean(e, s + done, n - done, at_start && done == 0) : rc;
}

static int encode_text(Encoder *e, const uint8_t *s, size_t n, bool with_added)
{
    const MuseTextTokenizer *tok = e->tok;
    size_t done = 0;
    MuseAddedMatch m;
    int rc = 0;
    while (with_added && tok->added_raw.n_nodes && rc == 0 && muse_added_next(tok, &tok->added_raw, s, n, done, done, &m)) {
        rc = encode_segment(e, s + done, m.begin - done, done == 0, true);
        if (rc == 0) rc = push(e, &tok->added[m.index].id, 1);
        done = m.end;
    }
    return rc == 0 ? encode_segment(e, s + done, n - done, done == 0, with_added) : rc;
}

void muse_text_scratch_close(MuseTextScratch *s)
{
    if (!s) return;
    muse_norm_work_close(&s->norm);
    muse_matcher_close(&s->matcher);
    muse_bpe_work_close(&s->bpe);
    muse_free(s->unigram.nodes);
    for (unsigned i = 0; i < MUSE_PRETOK_STEPS_MAX; i++) muse_buf_clear(&s->steps[i]);
    muse_free(s->cache);
    muse_free(s);
}

static MuseTextScratch *scratch_open(const MuseAllocator *a, MuseError *err)
{
    MuseTextScratch *s = muse_zalloc(a, sizeof *s);
    if (!s) {
        MUSE_NOMEM(err, sizeof *s);
        return NULL;
    }
    s->norm.a.alloc = s->norm.b.alloc = s->bpe.alloc = s->unigram.alloc = a;
    for (unsigned i = 0; i < MUSE_PRETOK_STEPS_MAX; i++) s->steps[i].alloc = a;
    s->cache = muse_zalloc_array(a, CACHE_SLOTS, sizeof *s->cache);
    if (!s->cache) MUSE_NOMEM(err, CACHE_SLOTS * sizeof *s->cache);
    if (!s->cache || muse_matcher_open(&s->matcher, err) < 0) {
        muse_text_scratch_close(s);
        return NULL;
    }
    return s;
}

static MuseTextScratch *scratch_take(MuseTextTokenizer *tok, MuseError *err)
{
    for (unsigned i = 0; i < MUSE_TEXT_POOL; i++) {
        MuseTextScratch *s = atomic_exchange(&tok->pool[i], NULL);
        if (s) return s;
    }
    return scratch_open(&tok->rt->alloc, err);
}

static void scratch_give(MuseTextTokenizer *tok, MuseTextScratch *s)
{
    size_t kept = s->norm.a.cap + s->norm.b.cap + s->norm.cap_points * 4 + muse_alloc_size(s->bpe.ids) + muse_alloc_size(s->bpe.nodes) +
                  muse_alloc_size(s->bpe.heap) + muse_alloc_size(s->unigram.nodes);
    for (unsigned i = 0; i < MUSE_PRETOK_STEPS_MAX; i++) kept += s->steps[i].cap;
    for (unsigned i = 0; i < MUSE_TEXT_POOL && kept <= SCRATCH_KEPT_MAX; i++) {
        MuseTextScratch *none = NULL;
        if (atomic_compare_exchange_strong(&tok->pool[i], &none, s)) return;
    }
    muse_text_scratch_close(s);
}

int muse_text_encode(const MuseTextTokenizer *tok, const char *text, size_t n, unsigned flags, int32_t **ids, size_t *n_ids, MuseError *err)
{
    MUSE_REQUIRE(err, ids && n_ids);
    *ids = NULL;
    *n_ids = 0;
    MUSE_REQUIRE(err, tok && (text || n == 0) && !(flags & ~(unsigned)(MUSE_TEXT_ADDED | MUSE_TEXT_BOS)));
    if (n > TEXT_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "text of %zu bytes, limit %d", n, TEXT_MAX);
    /* the pool is the one part of an open tokenizer that changes, and only atomically */
    MuseTextTokenizer *shared = (MuseTextTokenizer *)(uintptr_t)tok;
    Encoder e = { .tok = tok, .s = scratch_take(shared, err), .err = err };
    if (!e.s) return MUSE_ERR_NOMEM;
    muse_matcher_limit(&e.s->matcher, n);
    int rc = push_room(&e, n / 4 + 8);   /* English has over four bytes a token */
    const bool begin = (flags & MUSE_TEXT_BOS) && tok->add_bos && tok->bos >= 0;
    if (rc == 0 && begin) rc = push(&e, &(uint32_t){ (uint32_t)tok->bos }, 1);
    if (rc == 0) rc = encode_text(&e, (const uint8_t *)text, n, (flags & MUSE_TEXT_ADDED) != 0);
    if (rc == 0 && begin && e.n > 1 && e.ids[1] == e.ids[0]) memmove(e.ids, e.ids + 1, --e.n * sizeof *e.ids);   /* the text brought its own */
    scratch_give(shared, e.s);
    if (rc < 0 || e.n == 0) {
        muse_free(e.ids);
        return rc;
    }
    *ids = (int32_t *)e.ids;
    *n_ids = e.n;
    return 0;
}
