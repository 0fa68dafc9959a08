/* SPDX-License-Identifier: Apache-2.0 */
/* Items of one size, carved out of growing blocks of memory, so that many large ones lie side by side and the system can back them
 * with huge pages: who reads all of them in turn meets fewer page boundaries. Not thread-safe; but slabs are made and freed apart from the list,
 * so that a lock on it need not be held meanwhile. Users: libmuse/decoder/kv.c. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/alloc.h"

typedef struct MuseSlab MuseSlab;

/* An item begins with this; the rest is its user's */
typedef struct MuseSlabItem {
    MuseSlab *slab;
    struct MuseSlabItem *next;   /* while nobody has it; its user's otherwise */
} MuseSlabItem;

typedef struct MuseSlabs {
    const MuseAllocator *alloc;  /* borrowed until muse_slabs_clear() */
    size_t    item_bytes;        /* a multiple of MUSE_ALIGN, at least a MuseSlabItem */
    MuseSlab *first, *last;      /* oldest first */
    size_t    items, used;       /* in all slabs, free ones included; those taken */
    size_t    empty;             /* slabs of which no item is taken */
} MuseSlabs;

/* An item, MUSE_ALIGN aligned, from the oldest slab with room, so that young ones empty. fresh: nobody had it before and its bytes are not set; else they
 * are as they were given back. Under ASan a red zone follows. NULL: all are taken; muse_slabs_add(). Never asks the allocator. */
MuseSlabItem *muse_slab_take(MuseSlabs *s, bool *fresh);
/* The item goes back and stays for later; nobody may touch it. */
void muse_slab_give(MuseSlabs *s, MuseSlabItem *item);
/* Items of the next slab: half of what there is, at least one item and at most 32 MiB. So the first ones cost no more than single items. */
size_t muse_slabs_next(const MuseSlabs *s);
/* A slab of so many items, or of one where there is no memory for them. NULL: not for that either. Reads only what never changes in s. */
MuseSlab *muse_slab_new(const MuseSlabs *s, size_t items);
/* The slab, made for s, is one of its own from here on. */
void muse_slabs_add(MuseSlabs *s, MuseSlab *slab);
/* Empty slabs leave, youngest first, until that many free items are gone, or a few more, or no slab is empty. They go before what *gone lists,
 * NULL or a list; for muse_slab_free(). */
void muse_slabs_release(MuseSlabs *s, size_t items, MuseSlab **gone);
/* Slabs of no MuseSlabs go back to the allocator: a new one that was not needed, or a list. Accepts NULL. */
void muse_slab_free(MuseSlab *slabs);
/* All slabs go back to the allocator, whoever has their items. */
void muse_slabs_clear(MuseSlabs *s);

#endif
