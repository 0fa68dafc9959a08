/* SPDX-License-Identifier: Apache-2.0 */
/* An arena: one block, sizes planned before, handed out in order, given back by mark. Users: decoder steps, encoders.
 *
 *   MuseArenaPlan plan = { 0 };
 *   muse_arena_plan(&plan, rows * cols, sizeof(float));   // as often as needed; overflow is remembered
 *   rc = muse_arena_open(&arena, alloc, &plan);
 *   float *x = muse_arena_take(&arena, rows * cols, sizeof(float));   // cannot fail: the plan reserved it
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/alloc.h"

typedef struct MuseArenaPlan {
    size_t bytes;
    bool   overflow;
} MuseArenaPlan;

typedef struct MuseArena {
    uint8_t *base;
    size_t   used, cap, peak;
} MuseArena;

void muse_arena_plan(MuseArenaPlan *plan, size_t n, size_t item_bytes);
/* 0; MUSE_ERR_NOMEM, also when the plan overflowed */
int  muse_arena_open(MuseArena *arena, const MuseAllocator *a, const MuseArenaPlan *plan);
void muse_arena_close(MuseArena *arena);
/* 64-byte aligned, contents undefined. NULL only if the plan was too small: a bug, asserted. Under ASan a red zone follows. */
void *muse_arena_take(MuseArena *arena, size_t n, size_t item_bytes);
static inline size_t muse_arena_mark(const MuseArena *arena) { return arena->used; }
void muse_arena_reset(MuseArena *arena, size_t mark);

#endif
