/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary as a trie in preorder: sorted texts, each node once; made once a tokenizer. Knows no grammar. Called by grammar.c. */
#include <stdlib.h>
#include <string.h>

#include "libmuse/sample/mask.h"

typedef struct Item {
    uint64_t key;            /* the first eight bytes, so that most comparisons are one */
    const uint8_t *bytes;
    uint32_t n, id;
} Item;

static int compare(const void *x, const void *y)
{
    const Item *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    const uint32_t n = a->n < b->n ? a->n : b->n;
    const int c = memcmp(a->bytes, b->bytes, n);
    if (c) return c;
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static uint64_t key_of(const uint8_t *s, size_t n)
{
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++) key = key << 8 | (i < n ? s[i] : 0);
    return key;
}

static uint32_t shared(const Item *a, const Item *b)
{
    uint32_t n = 0;
    while (n < a->n && n < b->n && a->bytes[n] == b->bytes[n]) n++;
    return n;
}

/* tokens that a text is made of: not added, not empty, not too long */
static uint32_t list_items(const MuseTextTokenizer *tok, Item *items, size_t *bytes)
{
    uint32_t n = 0;
    for (uint32_t id = 0; id < tok->vocab.n; id++) {
        size_t len;
        const uint8_t *text = muse_vocab_bytes(&tok->vocab, id, &len);
        if ((tok->vocab.flags[id] & (MUSE_TOKEN_PRESENT | MUSE_TOKEN_ADDED | MUSE_TOKEN_SPECIAL)) != MUSE_TOKEN_PRESENT) continue;
        if (!len || len > MUSE_TOKEN_BYTES_MAX || (int32_t)id == tok->unk) continue;
        items[n++] = (Item){ key_of(text, len), text, (uint32_t)len, id };
        *bytes += len;
    }
    return n;
}

static void fill(MuseTokenTrie *t, const Item *items, uint32_t n)
{
    uint32_t path[MUSE_TOKEN_BYTES_MAX], depth = 0, nodes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t keep = i ? shared(&items[i - 1], &items[i]) : 0;
        while (depth > keep) t->end[path[--depth]] = nodes;
        for (; depth < items[i].n; depth++) {
            t->byte[nodes] = items[i].bytes[depth];
            t->depth[nodes] = (uint16_t)depth;
            t->ids_at[nodes] = i;
            t->has[items[i].bytes[depth]] = true;
            path[depth] = nodes++;
        }
        t->ids[i] = items[i].id;
        t->longest = items[i].n > t->longest ? items[i].n : t->longest;
    }
    while (depth) t->end[path[--depth]] = nodes;
    t->ids_at[nodes] = n;
    t->n_nodes = nodes;
    t->n_tokens = n;
}

static void copy_texts(MuseTokenTrie *t, const MuseTextTokenizer *tok, const Item *items, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) t->text_at[items[i].id] = items[i].n;   /* lengths first */
    for (uint32_t id = 0; id <= t->vocab; id++) {
        const uint32_t len = id < t->vocab ? t->text_at[id] : 0;
        size_t whole;
        t->text_at[id] = at;
        if (len) memcpy(t->text + at, muse_vocab_bytes(&tok->vocab, id, &whole), len);
        at += len;
    }
}

static int alloc_arrays(MuseTokenTrie *t, size_t nodes, uint32_t n, size_t bytes, MuseError *err)
{
    const MuseAllocator *a = &t->rt->alloc;
    t->byte = muse_alloc_array(a, nodes, sizeof *t->byte);
    t->depth = muse_alloc_array(a, nodes, sizeof *t->depth);
    t->end = muse_alloc_array(a, nodes, sizeof *t->end);
    t->ids_at = muse_alloc_array(a, nodes + 1, sizeof *t->ids_at);
    t->ids = muse_alloc_array(a, n, sizeof *t->ids);
    t->text = muse_alloc(a, bytes);
    t->text_at = muse_zalloc_array(a, (size_t)t->vocab + 1, sizeof *t->text_at);
    const void *const blocks[] = { t->byte, t->depth, t->end, t->ids_at, t->ids, t->text, t->text_at, t };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (!blocks[i]) return MUSE_NOMEM(err, nodes * 11 + bytes);
        t->derived.bytes += muse_alloc_size(blocks[i]);
    }
    return 0;
}

static int build(MuseTokenTrie *t, const MuseTextTokenizer *tok, MuseError *err)
{
    Item *items = muse_alloc_array(&t->rt->alloc, tok->vocab.n, sizeof *items);
    size_t bytes = 0, nodes = 0;
    if (!items) return MUSE_NOMEM(err, (size_t)tok->vocab.n * sizeof *items);
    const uint32_t n = list_items(tok, items, &bytes);
    qsort(items, n, sizeof *items, compare);
    for (uint32_t i = 0; i < n; i++) nodes += items[i].n - (i ? shared(&items[i - 1], &items[i]) : 0);
    int rc = n ? alloc_arrays(t, nodes, n, bytes, err) : muse_fail(err, MUSE_ERR_STATE, "the vocabulary has no tokens that a text could be made of");
    if (rc == 0) {
        fill(t, items, n);
        copy_texts(t, tok, items, n);
    }
    muse_free(items);
    return rc;
}

static void close_derived(MuseTextDerived *it) { muse_token_trie_close((MuseTokenTrie *)(void *)it); }

static int make(MuseTokenTrie **out, const MuseTextTokenizer *tok, MuseError *err)
{
    MuseTokenTrie *t = muse_zalloc(&tok->rt->alloc, sizeof *t);
    if (!t) return MUSE_NOMEM(err, sizeof *t);
    t->derived.close = close_derived;
    atomic_init(&t->refs, 1);
    t->rt = muse_runtime_ref(tok->rt);
    t->vocab = tok->vocab.n;
    const int rc = build(t, tok, err);
    if (rc < 0) muse_token_trie_close(t);
    else *out = t;
    return rc;
}

int muse_token_trie_of(MuseTokenTrie **out, const MuseTextTokenizer *tok, MuseError *err)
{
    _Atomic(MuseTextDerived *) *slot = &((MuseTextTokenizer *)(uintptr_t)tok)->derived;   /* only this changes */
    MuseTextDerived *known = atomic_load(slot);
    MuseTokenTrie *t = (MuseTokenTrie *)(void *)known;
    if (!known) {
        const int rc = make(&t, tok, err);
        if (rc < 0) return rc;
        if (!atomic_compare_exchange_strong(slot, &known, &t->derived)) {   /* another thread was first */
            muse_token_trie_close(t);
            t = (MuseTokenTrie *)(void *)known;
        }
    }
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    *out = t;
    return 0;
}

void muse_token_trie_close(MuseTokenTrie *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    muse_free(t->byte);
    muse_free(t->depth);
    muse_free(t->end);
    muse_free(t->ids_at);
    muse_free(t->ids);
    muse_free(t->text);
    muse_free(t->text_at);
    MuseRuntime *rt = t->rt;
    muse_free(t);
    muse_runtime_close(&rt);
}
