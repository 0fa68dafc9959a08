/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding of one piece (Sennrich et al. 2016, section 3.2): the pair of lowest rank is merged first, the leftmost
 * of equal ones. Short pieces scan for the minimum; long ones keep pairs in a heap over a linked list, so a piece of n symbols
 * takes n log n. Called by encode.c. */
#include "tokenizers/text/bpe.h"

#include <string.h>

#include "muse/status.h"

/* up to here scanning beats the heap (measured: equal near 80 symbols) */
enum { SHORT_PIECE = 64 };

int muse_merges_open(MuseMerges *m, const MuseAllocator *a, size_t n, bool ranked)
{
    *m = (MuseMerges){ .alloc = a };
    if (n >= MUSE_NO_MERGE / 2) return MUSE_ERR_NOMEM;
    m->n = (uint32_t)n;
    m->n_slots = n + n / 2 + 8;
    m->slots = muse_alloc_array(a, m->n_slots, sizeof *m->slots);
    m->result = muse_zalloc_array(a, n + 1, sizeof *m->result);
    if (ranked) m->rank = muse_zalloc_array(a, n + 1, sizeof *m->rank);
    if (!m->slots || !m->result || (ranked && !m->rank)) {
        muse_merges_close(m);
        return MUSE_ERR_NOMEM;
    }
    memset(m->slots, 0xff, m->n_slots * sizeof *m->slots);   /* MUSE_NO_MERGE everywhere */
    return 0;
}

void muse_merges_close(MuseMerges *m)
{
    muse_free(m->slots);
    muse_free(m->result);
    muse_free(m->rank);
    *m = (MuseMerges){ 0 };
}

void muse_merges_put(MuseMerges *m, uint32_t left, uint32_t right, uint32_t index)
{
    const uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)((((h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32) * m->n_slots) >> 32);
    while (m->slots[at].index != MUSE_NO_MERGE && (m->slots[at].left != left || m->slots[at].right != right))
        if (++at == m->n_slots) at = 0;
    m->slots[at] = (MuseMergeSlot){ left, right, index };
}

size_t muse_merges_memory(const MuseMerges *m)
{
    return muse_alloc_size(m->slots) + muse_alloc_size(m->result) + muse_alloc_size(m->rank);
}

static inline uint32_t rank_of(const MuseMerges *m, uint32_t index)
{
    return index == MUSE_NO_MERGE || !m->rank ? index : m->rank[index];
}

static size_t merge_short(const MuseMerges *m, uint32_t *ids, size_t n)
{
    uint32_t pair[SHORT_PIECE];   /* merge of (i, i + 1) */
    for (size_t i = 0; i + 1 < n; i++) pair[i] = muse_merges_find(m, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank_of(m, pair[i]) < rank_of(m, pair[best])) best = i;
        if (pair[best] == MUSE_NO_MERGE) break;
        ids[best] = m->result[pair[best]];
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        if (best + 1 < n) {
            memmove(pair + best + 1, pair + best + 2, (n - best - 2) * sizeof *pair);
            pair[best] = muse_merges_find(m, ids[best], ids[best + 1]);
        }
        if (best > 0) pair[best - 1] = muse_merges_find(m, ids[best - 1], ids[best]);
    }
    return n;
}

/* A symbol of a long piece; the list is threaded through the array. */
typedef struct MuseBpeNode {
    uint32_t id, prev, next;   /* UINT32_MAX = none */
    uint32_t pair;             /* merge with the next symbol, or MUSE_NO_MERGE */
} MuseBpeNode;

static void sift_down(uint64_t *heap, size_t n, size_t at)
{
    const uint64_t item = heap[at];
    for (;;) {   /* four children a node: half the levels, one cache line a level */
        size_t child = at * 4 + 1, best = child;
        if (child >= n) break;
        const size_t end = child + 4 < n ? child + 4 : n;
        while (++child < end)
            if (heap[child] < heap[best]) best = child;
        if (heap[best] >= item) break;
        heap[at] = heap[best];
        at = best;
    }
    heap[at] = item;
}

static int heap_push(MuseBpeWork *w, uint64_t item)
{
    if (w->n_heap == w->cap_heap) {
        const size_t cap = w->cap_heap + w->cap_heap / 2 + 64;
        uint64_t *heap = muse_realloc_array(w->alloc, w->heap, cap, sizeof *heap);
        if (!heap) return MUSE_ERR_NOMEM;
        w->heap = heap;
        w->cap_heap = cap;
    }
    size_t at = w->n_heap++;
    while (at > 0 && w->heap[(at - 1) / 4] > item) {
        w->heap[at] = w->heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    w->heap[at] = item;
    return 0;
}

static uint64_t heap_pop(MuseBpeWork *w)
{
    const uint64_t top = w->heap[0];
    w->heap[0] = w->heap[--w->n_heap];
    if (w->n_heap) sift_down(w->heap, w->n_heap, 0);
    return top;
}

/* look the pair (at, next) up again and queue it; an item is rank << 32 | position, so equal ranks go left to right */
static int queue_pair(const MuseMerges *m, MuseBpeWork *w, uint32_t at)
{
    MuseBpeNode *node = &w->nodes[at];
    node->pair = node->next == UINT32_MAX ? MUSE_NO_MERGE : muse_merges_find(m, node->id, w->nodes[node->next].id);
    return node->pair == MUSE_NO_MERGE ? 0 : heap_push(w, (uint64_t)rank_of(m, node->pair) << 32 | at);
}

static int fill(const MuseMerges *m, MuseBpeWork *w, size_t n)
{
    if (w->cap_nodes < n) {
        MuseBpeNode *nodes = muse_realloc_array(w->alloc, w->nodes, n, sizeof *nodes);
        if (!nodes) return MUSE_ERR_NOMEM;
        w->nodes = nodes;
        w->cap_nodes = n;
    }
    if (w->cap_heap < n) {
        uint64_t *heap = muse_realloc_array(w->alloc, w->heap, n, sizeof *heap);
        if (!heap) return MUSE_ERR_NOMEM;
        w->heap = heap;
        w->cap_heap = n;
    }
    w->n_heap = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t pair = i + 1 < n ? muse_merges_find(m, w->ids[i], w->ids[i + 1]) : MUSE_NO_MERGE;
        w->nodes[i] = (MuseBpeNode){ w->ids[i], i ? (uint32_t)i - 1 : UINT32_MAX, i + 1 < n ? (uint32_t)i + 1 : UINT32_MAX, pair };
        if (pair != MUSE_NO_MERGE) w->heap[w->n_heap++] = (uint64_t)rank_of(m, pair) << 32 | i;
    }
    for (size_t i = w->n_heap / 4 + 1; i-- > 0;)
        if (i < w->n_heap) sift_down(w->heap, w->n_heap, i);
    return 0;
}

static int merge_long(const MuseMerges *m, MuseBpeWork *w, size_t n, size_t *n_out)
{
    int rc = fill(m, w, n);
    while (rc == 0 && w->n_heap) {
        const uint64_t top = heap_pop(w);
        const uint32_t at = (uint32_t)top;
        MuseBpeNode *node = &w->nodes[at];
        /* stale when the pair here has another rank by now; a symbol merged away has no pair */
        if (node->pair == MUSE_NO_MERGE || rank_of(m, node->pair) != (uint32_t)(top >> 32)) continue;
        MuseBpeNode *gone = &w->nodes[node->next];
        node->id = m->result[node->pair];
        node->next = gone->next;
        gone->pair = MUSE_NO_MERGE;
        if (node->next != UINT32_MAX) w->nodes[node->next].prev = at;
        rc = queue_pair(m, w, at);
        if (rc == 0 && node->prev != UINT32_MAX) rc = queue_pair(m, w, node->prev);
    }
    size_t k = 0;
    for (uint32_t at = 0; rc == 0 && at != UINT32_MAX; at = w->nodes[at].next) w->ids[k++] = w->nodes[at].id;
    *n_out = k;
    return rc;
}

int muse_bpe_reserve(MuseBpeWork *w, size_t n)
{
    if (n <= w->cap) return 0;
    const size_t cap = n + n / 2 + 64;
    uint32_t *ids = muse_realloc_array(w->alloc, w->ids, cap, sizeof *ids);
    if (!ids) return MUSE_ERR_NOMEM;
    w->ids = ids;
    w->cap = cap;
    return 0;
}

int muse_bpe_merge(const MuseMerges *m, MuseBpeWork *w, size_t n, size_t *n_out)
{
    if (n <= SHORT_PIECE) {
        *n_out = merge_short(m, w->ids, n);
        return 0;
    }
    return merge_long(m, w, n, n_out);
}

void muse_bpe_work_close(MuseBpeWork *w)
{
    muse_free(w->ids);
    muse_free(w->nodes);
    muse_free(w->heap);
    *w = (MuseBpeWork){ .alloc = w->alloc };
}
