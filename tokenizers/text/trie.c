/* SPDX-License-Identifier: Apache-2.0 */
/* Building a byte trie. Matching walks it with muse_trie_step(). Called while a tokenizer is loaded. */
#include "tokenizers/text/trie.h"

#include <string.h>

#include "muse/status.h"

static size_t slot_of(const MuseTrie *t, uint64_t key)
{
    size_t at = (size_t)(((key * UINT64_C(0x9e3779b97f4a7c15) >> 32) * t->n_slots) >> 32);
    while (t->slots[at].key && t->slots[at].key != key)
        if (++at == t->n_slots) at = 0;
    return at;
}

static int grow_slots(MuseTrie *t, size_t n_slots)
{
    if (n_slots > UINT32_MAX) return MUSE_ERR_NOMEM;   /* fast range takes 32 bits */
    MuseTrie bigger = *t;
    bigger.slots = muse_zalloc_array(t->alloc, n_slots, sizeof *bigger.slots);
    if (!bigger.slots) return MUSE_ERR_NOMEM;
    bigger.n_slots = n_slots;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].key) bigger.slots[slot_of(&bigger, t->slots[i].key)] = t->slots[i];
    muse_free(t->slots);
    *t = bigger;
    return 0;
}

static int new_node(MuseTrie *t, uint32_t *node)
{
    if (t->n_nodes == t->cap_nodes) {
        const uint32_t cap = t->cap_nodes ? t->cap_nodes + t->cap_nodes / 2 + 16 : 64;
        uint32_t *values = cap > t->cap_nodes ? muse_realloc_array(t->alloc, t->values, cap, sizeof *values) : NULL;
        if (!values) return MUSE_ERR_NOMEM;
        t->values = values;
        t->cap_nodes = cap;
    }
    t->values[t->n_nodes] = UINT32_MAX;
    *node = t->n_nodes++;
    return 0;
}

int muse_trie_open(MuseTrie *t, const MuseAllocator *a, size_t bytes_expected)
{
    *t = (MuseTrie){ .alloc = a };
    uint32_t root;
    int rc = grow_slots(t, bytes_expected / 2 + 64);
    if (rc == 0) rc = new_node(t, &root);
    if (rc < 0) muse_trie_close(t);
    return rc;
}

void muse_trie_close(MuseTrie *t)
{
    muse_free(t->slots);
    muse_free(t->values);
    *t = (MuseTrie){ 0 };
}

int muse_trie_add(MuseTrie *t, const uint8_t *bytes, size_t n, uint32_t value)
{
    uint32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t next = muse_trie_step(t, node, bytes[i]);
        if (!next) {
            int rc = t->n_used * 3 >= t->n_slots * 2 ? grow_slots(t, t->n_slots * 2) : 0;
            if (rc == 0) rc = new_node(t, &next);
            if (rc < 0) return rc;
            const uint64_t key = ((uint64_t)node << 8 | bytes[i]) + 1;
            t->slots[slot_of(t, key)] = (MuseTrieSlot){ key, next };
            t->n_used++;
        }
        node = next;
    }
    t->values[node] = value;
    t->first[bytes[0]] = true;
    return 0;
}

size_t muse_trie_memory(const MuseTrie *t)
{
    return t->n_slots * sizeof *t->slots + t->cap_nodes * sizeof *t->values;
}
