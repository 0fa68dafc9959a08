/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions: pairs of a head's values are turned by angles that the caller gives as cosines and sines. Which angles:
 * libmuse/decoder/rope.h. Su et al. 2021, section 3.4. */
#ifndef OPS_ROPE_H
#define OPS_ROPE_H

#include <stddef.h>

#include "config.h"
#include "ops/cpu.h"

/* In place, for n heads of one position, stride floats apart: (a, b) -> (a cos - b sin, b cos + a sin) for each pair i < pairs.
 * halves: a = x[i], b = x[i + half]. neighbours: a = x[2 i], b = x[2 i + 1]; half is not used. cos, sin: [pairs]. */
typedef void MuseRopeF32(float *x, size_t n, size_t stride, const float *cos, const float *sin, size_t pairs, size_t half);

typedef struct MuseRopeOps {
    MuseRopeF32 *rope_halves, *rope_neighbours;
} MuseRopeOps;

void muse_rope_ops_init(MuseRopeOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/rope_kernels.inc"
#undef KERNEL

#endif
