/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values in pages of 32 positions. Forks share pages and copy one when they write to it; a window's old pages are given
 * back, but for one page more than is seen: going back by up to 32 positions is always possible. One pool serves a session and its forks, so that pages given back are used again without asking the allocator.
 *
 *   class 0: layers without window      pages[0]: [0..31] [32..63] ...           a page holds, for each layer of its class and
 *   class 1: layers with window W       pages[1]:  NULL   [32..63] ...           each KV head: keys, then values (ops/attend.h)
 *
 * Users: decoder, session. */
#ifndef LIBMUSE_DECODER_KV_H
#define LIBMUSE_DECODER_KV_H

#include "libmuse/model/model.h"
#include "ops/attend.h"

enum { MUSE_KV_CLASSES_MAX = 4 };   /* different windows in one model, "none" being one */

typedef struct MuseKvLayer {
    uint8_t class_of;
    uint32_t heads, head_width;
    size_t  offset;            /* of its first head in a page */
    size_t  head_bytes;        /* of one head's keys, and of its values: head g has keys at offset + 2 g head_bytes */
} MuseKvLayer;

typedef struct MuseKvLayout {
    MuseKvType   type;
    uint32_t     n_classes, n_layers;
    uint32_t     window[MUSE_KV_CLASSES_MAX];
    size_t       page_bytes[MUSE_KV_CLASSES_MAX];
    MuseKvLayer *layers;       /* [n_layers] */
} MuseKvLayout;

typedef struct MuseKvPool MuseKvPool;

/* A pool for a model's geometry; counted. 0; MUSE_ERR_UNSUPPORTED: more classes than are kept; MUSE_ERR_NOMEM. */
int  muse_kv_pool_open(MuseKvPool **out, const MuseModel *model, MuseKvType type, MuseError *err);
MuseKvPool *muse_kv_pool_ref(MuseKvPool *pool);
void muse_kv_pool_close(MuseKvPool **pool);
const MuseKvLayout *muse_kv_layout(const MuseKvPool *pool);
/* bytes of all pages that are in use, and of those there is room for besides, touched or not. Any thread */
void muse_kv_pool_bytes(MuseKvPool *pool, uint64_t *used, uint64_t *kept);

/* One sequence's pages. Start with zeros; one thread. */
typedef struct MuseKv {
    MuseKvPool *pool;          /* one reference held */
    size_t      length;        /* positions that are computed */
    size_t      promised;      /* up to here steps find pages without asking the allocator; 0: nothing was promised */
    size_t      cap;           /* entries of each table */
    uint8_t   **pages[MUSE_KV_CLASSES_MAX];   /* [cap]; NULL: not there */
    size_t      first[MUSE_KV_CLASSES_MAX];   /* the first page that is there */
    size_t      end[MUSE_KV_CLASSES_MAX];     /* pages from here on are not there */
} MuseKv;

void muse_kv_open(MuseKv *kv, MuseKvPool *pool);
void muse_kv_close(MuseKv *kv);
/* Pages of its own for positions length .. length + n - 1, for writing them at once, or (at_once false) one after another: then
 * windowed classes get what they need at a time, and pages that a window leaves are used again. After this, writing those positions
 * allocates nothing; a fork from this sequence, rewind and clear end that promise. MUSE_ERR_NOMEM: nothing is lost. */
int  muse_kv_reserve(MuseKv *kv, size_t n, bool at_once, MuseError *err);
/* n positions were written: length grows, pages that no later query can see are given back. */
void muse_kv_advance(MuseKv *kv, size_t n);
/* to: a fork with the same pages (opened by this call). MUSE_ERR_NOMEM. */
int  muse_kv_fork(MuseKv *to, const MuseKv *from, MuseError *err);
/* Forget positions from n on. False (and nothing is done) when a window's pages that a query at n would see are gone. */
bool muse_kv_rewind(MuseKv *kv, size_t n);
/* An empty kv gets pages of its own, not yet filled, as if length positions had been computed and each class c had given back what
 * lies before page first[c]. 0; MUSE_ERR_FORMAT: pages that a query would see are missing; MUSE_ERR_NOMEM: it is empty. */
int  muse_kv_restore(MuseKv *kv, size_t length, const size_t *first, MuseError *err);
/* Forget everything. */
void muse_kv_clear(MuseKv *kv);
/* True if a query at position n would find all pages it may see. */
bool muse_kv_holds(const MuseKv *kv, size_t n);
/* Page i of class c into out: positions from length on are zeros, whatever an earlier user left there. */
void muse_kv_read_page(const MuseKv *kv, uint32_t c, size_t i, uint8_t *out);
/* bytes of pages: all it holds, reserved ones included, and those nobody else holds */
void muse_kv_bytes(const MuseKv *kv, uint64_t *all, uint64_t *own);
/* What several hold together, as they come and go: one more counts these pages, or one of those fewer. Bytes of the pages that nobody counted
 * before, or nobody counts any more. Between the two calls nothing is written to kv; one thread at a time for all sequences of a pool. */
uint64_t muse_kv_count(const MuseKv *kv, bool more);

#endif
