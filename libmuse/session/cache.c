/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix cache: pages of earlier prompts, found again by the hashes of their beginnings. An entry is a fork of a session's
 * pages with hashes at several lengths ("marks"): every 32 positions outside media, and after each medium. Where layers have
 * windows only the last marks can be gone on from, because older pages were given back; run.c therefore stops after media. */
#include <string.h>

#include "libmuse/session/session.h"

typedef struct Entry {
    struct Entry *next;        /* most recently used first */
    MuseKv    kv;
    uint32_t  compute;
    MuseImageMask mask;
    size_t    n;               /* marks */
    size_t   *at;              /* [n] ascending */
    uint8_t (*hash)[32];       /* [n] */
} Entry;

struct MusePrefixCache {
    atomic_int      refs;
    MuseModel      *model;     /* one reference held */
    uint64_t        max_bytes;
    pthread_mutex_t lock;      /* of what follows */
    MuseKvPool     *pools[MUSE_KV_TYPES];
    Entry          *entries;
    MusePrefixCacheInfo info;
};

int muse_prefix_cache_open(MusePrefixCache **out, MuseModel *model, uint64_t max_bytes, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, model);
    MusePrefixCache *c = muse_zalloc(&model->rt->alloc, sizeof *c);
    if (!c) return MUSE_NOMEM(err, sizeof *c);
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    c->model = muse_model_ref(model);
    c->max_bytes = max_bytes ? max_bytes : UINT64_C(1) << 30;
    *out = c;
    return 0;
}

MusePrefixCache *muse_prefix_cache_ref(MusePrefixCache *cache)
{
    atomic_fetch_add_explicit(&cache->refs, 1, memory_order_relaxed);
    return cache;
}

static void entry_close(Entry *e)
{
    muse_kv_close(&e->kv);
    muse_free(e->at);
    muse_free(e->hash);
    muse_free(e);
}

void muse_prefix_cache_close(MusePrefixCache **cache)
{
    if (!cache || !*cache) return;
    MusePrefixCache *c = *cache;
    *cache = NULL;
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    for (Entry *e = c->entries, *next; e; e = next) {
        next = e->next;
        entry_close(e);
    }
    for (size_t i = 0; i < MUSE_KV_TYPES; i++)
        if (c->pools[i]) muse_kv_pool_close(&c->pools[i]);
    pthread_mutex_destroy(&c->lock);
    MuseModel *model = c->model;
    muse_free(c);
    muse_model_close(&model);
}

int muse_prefix_cache_pool(MusePrefixCache *c, const MuseModel *model, MuseKvType type, MuseKvPool **out, MuseError *err)
{
    int rc = 0;
    *out = NULL;
    if (c->model != model) return muse_fail(err, MUSE_ERR_ARG, "the prefix cache belongs to another model: %s, not %s", c->model->path, model->path);
    pthread_mutex_lock(&c->lock);
    if (!c->pools[type]) rc = muse_kv_pool_open(&c->pools[type], c->model, type, err);
    *out = c->pools[type];
    pthread_mutex_unlock(&c->lock);
    return rc;
}

int muse_prefix_cache_info(MusePrefixCache *c, MusePrefixCacheInfo *out)
{
    if (!c || !out) return MUSE_ERR_ARG;
    pthread_mutex_lock(&c->lock);
    *out = c->info;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

/* ---- marks ---- */

/* Lengths of the session's sequence that may be marks, at most `last`; at NULL: only counted */
static size_t marks(const MuseSession *s, size_t last, size_t *at)
{
    size_t n = 0, next = MUSE_KV_PAGE;
    for (size_t k = 0; k < s->seq->n_spans && s->seq->spans[k].info.first < last; k++) {
        const MuseSpanInfo *span = &s->seq->spans[k].info;
        const size_t end = span->first + span->count;
        if (span->modality != MUSE_TEXT) {
            next = (end + MUSE_KV_PAGE) / MUSE_KV_PAGE * MUSE_KV_PAGE;
            if (end > last) break;
            if (at) at[n] = end;
            n++;
            continue;
        }
        for (; next <= end && next <= last; next += MUSE_KV_PAGE) {
            if (next <= span->first) continue;
            if (at) at[n] = next;
            n++;
        }
    }
    return n;
}

static size_t make_marks(const MuseSession *s, size_t last, size_t **at, uint8_t (**hash)[32])
{
    const MuseAllocator *a = &s->model->rt->alloc;
    const size_t n = marks(s, last, NULL);
    *at = n ? muse_alloc_array(a, n, sizeof **at) : NULL;
    *hash = n ? muse_alloc_array(a, n, sizeof **hash) : NULL;
    if (!*at || !*hash) return 0;
    marks(s, last, *at);
    muse_sequence_hashes(s->seq, *at, n, *hash);
    return n;
}

/* the last of n marks that e knows too and whose pages it still holds; n if there is none */
static size_t match(const Entry *e, const size_t *at, uint8_t (*hash)[32], size_t n)
{
    size_t j = e->n;
    for (size_t i = n; i-- > 0;) {
        while (j > 0 && e->at[j - 1] > at[i]) j--;
        if (j > 0 && e->at[j - 1] == at[i] && !memcmp(e->hash[j - 1], hash[i], 32) && muse_kv_holds(&e->kv, at[i])) return i;
    }
    return n;
}

static bool same_mode(const Entry *e, const MuseSession *s) { return e->kv.pool == s->kv.pool && e->compute == s->params.compute && e->mask == s->mask; }

static void to_front(MusePrefixCache *c, Entry *e)
{
    for (Entry **link = &c->entries; *link; link = &(*link)->next)
        if (*link == e) {
            *link = e->next;
            break;
        }
    e->next = c->entries;
    c->entries = e;
}

void muse_prefix_cache_find(MusePrefixCache *c, MuseSession *s)
{
    size_t *at;
    uint8_t (*hash)[32];
    const size_t n = make_marks(s, s->seq->length - 1, &at, &hash);
    pthread_mutex_lock(&c->lock);
    Entry *best = NULL;
    size_t length = 0;
    c->info.lookups++;
    for (Entry *e = c->entries; e; e = e->next) {
        const size_t i = same_mode(e, s) ? match(e, at, hash, n) : n;
        if (i < n && at[i] > length) {
            best = e;
            length = at[i];
        }
    }
    MuseKv kv;
    if (best && muse_kv_fork(&kv, &best->kv, NULL) == 0) {
        muse_kv_rewind(&kv, length);
        muse_kv_close(&s->kv);
        s->kv = kv;
        s->reused = length;
        c->info.hits++;
        c->info.positions += length;
        to_front(c, best);
    }
    pthread_mutex_unlock(&c->lock);
    muse_free(at);
    muse_free(hash);
}

/* The least recently used go until the rest fits. Pages that several entries share count once. */
static void trim(MusePrefixCache *c)
{
    while (c->info.bytes > c->max_bytes) {
        Entry **link = &c->entries;
        while ((*link)->next) link = &(*link)->next;
        c->info.bytes -= muse_kv_count(&(*link)->kv, false);
        entry_close(*link);
        *link = NULL;
        c->info.entries--;
    }
}

void muse_prefix_cache_keep(MusePrefixCache *c, const MuseSession *s)
{
    if (s->foreign) return;
    Entry *e = muse_zalloc(&s->model->rt->alloc, sizeof *e);
    if (!e) return;
    e->compute = s->params.compute;
    e->mask = s->mask;
    e->n = make_marks(s, s->kv.length, &e->at, &e->hash);
    if (!e->n || muse_kv_fork(&e->kv, &s->kv, NULL) < 0) {
        entry_close(e);
        return;
    }
    muse_kv_rewind(&e->kv, e->at[e->n - 1]);   /* what no mark reaches; if a window forbids it, it stays */
    pthread_mutex_lock(&c->lock);
    Entry *known = NULL;
    for (Entry *k = c->entries; k && !known; k = k->next)
        if (same_mode(k, s) && match(k, e->at, e->hash, e->n) == e->n - 1) known = k;
    if (known) {
        to_front(c, known);
    } else {
        e->next = c->entries;
        c->entries = e;
        c->info.entries++;
        c->info.bytes += muse_kv_count(&e->kv, true);
        trim(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (known) entry_close(e);
}
