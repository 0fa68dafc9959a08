/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary positions, compiled once for each instruction set. Products are rounded before they are added, as in C, so all
 * variants give equal bits. Contracts: ops/rope.h. */
#include "ops/rope.h"
#include "ops/x86/vec.h"

void NAME(rope_halves)(float *x, size_t n, size_t stride, const float *cos, const float *sin, size_t pairs, size_t half)
{
    for (size_t h = 0; h < n; h++, x += stride)
        for (size_t i = 0; i < pairs; i += LANES) {
            const size_t left = pairs - i;
            const Vec a = v_load_n(x + i, left), b = v_load_n(x + i + half, left), c = v_load_n(cos + i, left), s = v_load_n(sin + i, left);
            v_store_n(x + i, v_sub(v_mul(a, c), v_mul(b, s)), left);
            v_store_n(x + i + half, v_add(v_mul(b, c), v_mul(a, s)), left);
        }
}

void NAME(rope_neighbours)(float *x, size_t n, size_t stride, const float *cos, const float *sin, size_t pairs, size_t half)
{
    (void)half;
    for (size_t h = 0; h < n; h++, x += stride)
        for (size_t i = 0; i < pairs; i += LANES / 2) {
            const size_t left = pairs - i, k = left < LANES / 2 ? left : LANES / 2;   /* pairs in this vector */
            const Vec v = v_load_n(x + 2 * i, 2 * left), c = v_twice(v_load_n(cos + i, k)), s = v_twice(v_load_n(sin + i, k));
            v_store_n(x + 2 * i, v_addsub(v_mul(v, c), v_mul(v_swap(v), s)), 2 * left);
        }
}
