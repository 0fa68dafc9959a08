/* SPDX-License-Identifier: Apache-2.0 */
/* One planned block handed out in order. Under ASan a red zone follows each piece. */
#include "base/arena.h"

#include <assert.h>

#include "base/fence.h"

/* the one function that sizes a piece, for planning and for taking */
static bool piece_bytes(size_t n, size_t item_bytes, size_t *out)
{
    size_t bytes;
    if (!muse_mul_size(n, item_bytes, &bytes) || !muse_add_size(bytes, MUSE_ALIGN - 1 + MUSE_RED_ZONE, &bytes)) return false;
    *out = bytes & ~(size_t)(MUSE_ALIGN - 1);
    return true;
}

void muse_arena_plan(MuseArenaPlan *plan, size_t n, size_t item_bytes)
{
    size_t bytes;
    if (!piece_bytes(n, item_bytes, &bytes) || !muse_add_size(plan->bytes, bytes, &plan->bytes)) plan->overflow = true;
}

int muse_arena_open(MuseArena *arena, const MuseAllocator *a, const MuseArenaPlan *plan)
{
    *arena = (MuseArena){ 0 };
    if (plan->overflow) return MUSE_ERR_NOMEM;
    if (plan->bytes == 0) return 0;
    arena->base = muse_alloc(a, plan->bytes);
    if (!arena->base) return MUSE_ERR_NOMEM;
    arena->cap = plan->bytes;
    muse_fence(arena->base, arena->cap);
    return 0;
}

void muse_arena_close(MuseArena *arena)
{
    if (arena->base) muse_unfence(arena->base, arena->cap);
    muse_free(arena->base);
    *arena = (MuseArena){ 0 };
}

void *muse_arena_take(MuseArena *arena, size_t n, size_t item_bytes)
{
    size_t bytes;
    if (!piece_bytes(n, item_bytes, &bytes) || bytes > arena->cap - arena->used) {
        assert(!"the arena's plan was too small");
        return NULL;
    }
    uint8_t *at = arena->base + arena->used;
    arena->used += bytes;
    if (arena->used > arena->peak) arena->peak = arena->used;
    muse_unfence(at, n * item_bytes);
    return at;
}

void muse_arena_reset(MuseArena *arena, size_t mark)
{
    assert(mark <= arena->used);
    if (arena->base) muse_fence(arena->base + mark, arena->used - mark);
    arena->used = mark;
}
