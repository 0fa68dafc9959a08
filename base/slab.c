/* SPDX-License-Identifier: Apache-2.0 */
/* A list of slabs, oldest first, each with its own list of free items. What an item holds is its user's business. Under ASan a red zone
 * follows each item, and what nobody has is fenced. */
#include "base/slab.h"

#include "base/fence.h"

enum {
    SLAB_MOST = 32 << 20    /* bytes: more gains nothing, and a slab goes back only as a whole */
};

struct MuseSlab {
    _Alignas(MUSE_ALIGN) MuseSlab *next;
    MuseSlab     *prev;
    MuseSlabItem *free;
    size_t        items, carved, used;   /* items from `carved` on were never taken */
    size_t        bytes;                 /* of all of it */
};

/* from an item to the next */
static size_t stride_of(const MuseSlabs *s) { return s->item_bytes + MUSE_RED_ZONE; }

size_t muse_slabs_next(const MuseSlabs *s)
{
    const size_t most = SLAB_MOST / s->item_bytes, half = s->items / 2, items = half < most ? half : most;
    return items ? items : 1;
}

MuseSlab *muse_slab_new(const MuseSlabs *s, size_t items)
{
    size_t bytes;
    if (!muse_mul_size(items, stride_of(s), &bytes) || !muse_add_size(bytes, sizeof(MuseSlab), &bytes)) return NULL;
    MuseSlab *slab = muse_alloc(s->alloc, bytes);
    if (!slab) return items > 1 ? muse_slab_new(s, 1) : NULL;
    muse_ask_huge(slab, bytes);
    muse_fence(slab + 1, bytes - sizeof *slab);
    *slab = (MuseSlab){ .items = items, .bytes = bytes };
    return slab;
}

void muse_slab_free(MuseSlab *slab)
{
    for (MuseSlab *next; slab; slab = next) {
        next = slab->next;
        muse_unfence(slab + 1, slab->bytes - sizeof *slab);
        muse_free(slab);
    }
}

void muse_slabs_add(MuseSlabs *s, MuseSlab *slab)
{
    slab->prev = s->last;
    *(s->last ? &s->last->next : &s->first) = slab;
    s->last = slab;
    s->items += slab->items;
    s->empty++;
}

static void unlink_slab(MuseSlabs *s, MuseSlab *slab)
{
    *(slab->prev ? &slab->prev->next : &s->first) = slab->next;
    *(slab->next ? &slab->next->prev : &s->last) = slab->prev;
    s->items -= slab->items;
}

MuseSlabItem *muse_slab_take(MuseSlabs *s, bool *fresh)
{
    MuseSlab *slab = s->used < s->items ? s->first : NULL;
    while (slab && slab->used == slab->items) slab = slab->next;
    if (!slab) return NULL;
    MuseSlabItem *item = slab->free;
    *fresh = !item;
    if (!item) item = (MuseSlabItem *)(void *)((uint8_t *)(slab + 1) + stride_of(s) * slab->carved++);
    muse_unfence(item, s->item_bytes);
    if (!*fresh) slab->free = item->next;
    item->slab = slab;
    s->empty -= !slab->used++;
    s->used++;
    return item;
}

void muse_slab_give(MuseSlabs *s, MuseSlabItem *item)
{
    MuseSlab *slab = item->slab;
    item->next = slab->free;
    slab->free = item;
    muse_fence(item, s->item_bytes);
    s->empty += !--slab->used;
    s->used--;
}

void muse_slabs_release(MuseSlabs *s, size_t items, MuseSlab **gone)
{
    for (MuseSlab *slab = s->last, *before; slab && s->empty && items; slab = before) {
        before = slab->prev;
        if (slab->used) continue;
        items -= items < slab->items ? items : slab->items;
        s->empty--;
        unlink_slab(s, slab);
        slab->next = *gone;
        *gone = slab;
    }
}

void muse_slabs_clear(MuseSlabs *s)
{
    muse_slab_free(s->first);
    s->first = s->last = NULL;
    s->items = s->used = s->empty = 0;
}
