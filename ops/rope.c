/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/rope.h"

void muse_rope_halves_c(float *x, size_t n, size_t stride, const float *cos, const float *sin, size_t pairs, size_t half)
{
    for (size_t h = 0; h < n; h++, x += stride)
        for (size_t i = 0; i < pairs; i++) {
            const float a = x[i], b = x[i + half];
            x[i] = a * cos[i] - b * sin[i];
            x[i + half] = b * cos[i] + a * sin[i];
        }
}

void muse_rope_neighbours_c(float *x, size_t n, size_t stride, const float *cos, const float *sin, size_t pairs, size_t half)
{
    (void)half;
    for (size_t h = 0; h < n; h++, x += stride)
        for (size_t i = 0; i < pairs; i++) {
            const float a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = a * cos[i] - b * sin[i];
            x[2 * i + 1] = b * cos[i] + a * sin[i];
        }
}

void muse_rope_ops_init(MuseRopeOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/rope_kernels.inc"
#undef KERNEL
}
