/* SPDX-License-Identifier: Apache-2.0 */
/* Merging pairs of symbols by rank. Users: encode.c (all BPE kinds), the loaders. */
#ifndef TOKENIZERS_TEXT_BPE_H
#define TOKENIZERS_TEXT_BPE_H

#include "base/alloc.h"

enum { MUSE_NO_MERGE = 0xffffffff };

typedef struct MuseMergeSlot {
    uint32_t left, right;   /* ids */
    uint32_t index;         /* MUSE_NO_MERGE = empty */
} MuseMergeSlot;

typedef struct MuseMerges {
    const MuseAllocator *alloc;
    MuseMergeSlot *slots;   /* open addressing by (left, right) */
    size_t    n_slots;
    uint32_t *result;       /* [n] id of the merged symbol */
    uint32_t *rank;         /* [n] lower first, equal ranks leftmost first; NULL: the index is the rank */
    uint32_t  n;
    uint8_t   glue[256];    /* 1: some result has U+2581 right after a character that ends in this byte */
} MuseMerges;

/* Room for n merges, indices 0..n-1, results to be filled in. 0 or MUSE_ERR_NOMEM; close accepts zeros. */
int  muse_merges_open(MuseMerges *m, const MuseAllocator *a, size_t n, bool ranked);
void muse_merges_close(MuseMerges *m);
/* Enter merge `index`; a pair that was entered before now has this index. */
void muse_merges_put(MuseMerges *m, uint32_t left, uint32_t right, uint32_t index);
size_t muse_merges_memory(const MuseMerges *m);

static inline uint32_t muse_merges_find(const MuseMerges *m, uint32_t left, uint32_t right)
{
    const uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)((((h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32) * m->n_slots) >> 32);
    while (m->slots[at].index != MUSE_NO_MERGE && (m->slots[at].left != left || m->slots[at].right != right))
        if (++at == m->n_slots) at = 0;
    return m->slots[at].index;
}

/* Working memory of one thread. */
typedef struct MuseBpeWork {
    const MuseAllocator *alloc;
    uint32_t *ids;           /* [cap] the symbols: filled by the caller, merged in place */
    size_t    cap;
    struct MuseBpeNode *nodes;
    size_t    cap_nodes;
    uint64_t *heap;
    size_t    n_heap, cap_heap;
} MuseBpeWork;

/* room for n symbols in work->ids */
int  muse_bpe_reserve(MuseBpeWork *w, size_t n);
/* Merge work->ids[0..n) until no pair has a merge; *n_out symbols are left there. n log n. 0 or MUSE_ERR_NOMEM */
int  muse_bpe_merge(const MuseMerges *m, MuseBpeWork *w, size_t n, size_t *n_out);
void muse_bpe_work_close(MuseBpeWork *w);

#endif
