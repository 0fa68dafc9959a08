/* SPDX-License-Identifier: Apache-2.0 */
/* A byte trie in one flat hash: (node, byte) -> node. Users: added tokens, Unigram. */
#ifndef TOKENIZERS_TEXT_TRIE_H
#define TOKENIZERS_TEXT_TRIE_H

#include "base/alloc.h"

typedef struct MuseTrieSlot {
    uint64_t key;     /* node << 8 | byte, plus 1; 0 = empty */
    uint32_t child;
} MuseTrieSlot;

typedef struct MuseTrie {
    const MuseAllocator *alloc;
    MuseTrieSlot *slots;
    size_t    n_slots, n_used;
    uint32_t *values;          /* by node; UINT32_MAX = no entry ends here */
    uint32_t  n_nodes, cap_nodes;
    bool      first[256];      /* bytes that start an entry */
} MuseTrie;

/* Node 0 is the root. All return 0 or MUSE_ERR_NOMEM; close accepts zeros. */
int  muse_trie_open(MuseTrie *t, const MuseAllocator *a, size_t bytes_expected);
void muse_trie_close(MuseTrie *t);
/* an entry of n > 0 bytes; a second one with the same bytes replaces the value */
int  muse_trie_add(MuseTrie *t, const uint8_t *bytes, size_t n, uint32_t value);
size_t muse_trie_memory(const MuseTrie *t);

/* child of node by byte; 0 = none */
static inline uint32_t muse_trie_step(const MuseTrie *t, uint32_t node, uint8_t byte)
{
    const uint64_t key = ((uint64_t)node << 8 | byte) + 1;
    /* multiplicative hash; the slot comes from the high bits (fast range) */
    size_t at = (size_t)(((key * UINT64_C(0x9e3779b97f4a7c15) >> 32) * t->n_slots) >> 32);
    while (t->slots[at].key && t->slots[at].key != key)
        if (++at == t->n_slots) at = 0;
    return t->slots[at].key ? t->slots[at].child : 0;
}

#endif
