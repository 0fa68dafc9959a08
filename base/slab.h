/* SPDX-License-Identifier: Apache-2.0 */
/* Items of one size, carved out of growing blocks of memory, so that many large ones lie side by side and the system can back them
 * with huge pages: who reads all of them in turn meets fewer page boundaries. Not thread-safe. Users: libmuse/decoder/kv.c. */
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

/* An item, MUSE_ALIGN aligned. fresh: nobody had it before and its bytes are not set; else they are as they were given back. From the oldest slab with room, so that young ones empty; else from a new one, as
 * large as half of what there is, at least one item and at most 32 MiB: the first ones cost no more than single items. Under ASan a red zone follows. NULL: no memory. */
MuseSlabItem *muse_slab_take(MuseSlabs *s, bool *fresh);
/* The item goes back and stays for later; nobody may touch it. */
void muse_slab_give(MuseSlabs *s, MuseSlabItem *item);
/* Empty slabs go back to the allocator, youngest first, until that many free items are gone, or a few more, or no slab is empty. */
void muse_slabs_release(MuseSlabs *s, size_t items);
/* All slabs go back to the allocator, whoever has their items. */
void muse_slabs_clear(MuseSlabs *s);

#endif
