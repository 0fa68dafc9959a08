/* SPDX-License-Identifier: Apache-2.0 */
/* MuseSession from the inside. Users: this folder, libmuse/generate. */
#ifndef LIBMUSE_SESSION_SESSION_H
#define LIBMUSE_SESSION_SESSION_H

#include "libmuse/decoder/decoder.h"
#include "libmuse/sequence.h"
#include "muse/session.h"

struct MuseSession {
    MuseModel         *model;      /* one reference held */
    const MuseDecoder *decoder;    /* of the model */
    MuseSequence      *seq;
    MuseKv             kv;         /* kv.length: computed positions */
    MuseSessionParams  params;     /* compute, kv, image_mask, chunk, max_positions resolved */
    MuseImageMask      mask;
    MusePrefixCache   *cache;      /* one reference held, or NULL */
    float             *logits;     /* [V] */
    float             *hidden;     /* [D], behind the logits in memory */
    bool               has_logits; /* they are those after position kv.length - 1 */
    bool               has_hidden; /* with has_logits: it is that of position kv.length - 1; a file has none */
    atomic_int         cancel;
    atomic_int        *stop;       /* what cancels it: its own cancel, or that of the session whose score it computes */
    bool               foreign;    /* its pages came from a file: nobody else's session may get them from the cache */
    uint64_t           reused, workspace_bytes;
    struct MuseSessionWatch *watch; /* NULL: nobody watches */
    uint32_t           batch;      /* step_batch: its mark while it looks for one given twice */
};

/* Bring kv in line with a sequence that was truncated. */
void muse_session_sync(MuseSession *s);
/* The soft tokens of the picture that position i belongs to, if those see each other; else begin == end. */
void muse_session_block(const MuseSession *s, size_t i, size_t *begin, size_t *end);
int  muse_session_asks_to_stop(void *session);

/* Logits of positions first .. first + rows - 1 */
typedef int MuseLogitsFn(void *user, size_t first, const float *logits, size_t rows, MuseError *err);
/* Compute what is pending, s->logits for the last position; each: called for every position's logits, or NULL. */
int  muse_session_compute(MuseSession *s, MuseLogitsFn *each, void *user, MuseError *err);

/* Sessions of one model and mode, none given twice. */
int  muse_session_check_batch(MuseSession *const *sessions, size_t n, MuseError *err);
/* muse_session_step_batch() of sessions and ids that were checked. After MUSE_ERR_CANCELLED the sessions that asked for it still do. */
int  muse_session_advance(MuseSession *const *sessions, const int32_t *ids, size_t n, MuseError *err);

/* ---- watch.c ---- */
/* for a batch, which writes over what was seen; NULL: nobody watches */
MuseWatch *muse_session_watch_of(const MuseSession *s);
void muse_session_saw(MuseSession *s);                    /* the newest position is computed: add its weights up */
void muse_session_watch_close(MuseSession *s);

/* ---- cache.c ---- */
MusePrefixCache *muse_prefix_cache_ref(MusePrefixCache *cache);
/* The pool that sessions with this cache take their pages from, borrowed. 0; MUSE_ERR_ARG: the cache is another model's; as muse_kv_pool_open(). */
int muse_prefix_cache_pool(MusePrefixCache *cache, const MuseModel *model, MuseKvType type, MuseKvPool **out, MuseError *err);
/* An empty session takes over the longest known prefix of its sequence that leaves at least one position to compute. */
void muse_prefix_cache_find(MusePrefixCache *cache, MuseSession *s);
/* Keep what the session has computed. A cache that has no memory keeps nothing. */
void muse_prefix_cache_keep(MusePrefixCache *cache, const MuseSession *s);

#endif
