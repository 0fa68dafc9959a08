/* SPDX-License-Identifier: Apache-2.0 */
/* Activations, compiled once for each instruction set. Contracts: ops/act.h; errors: docs/ops/act.md. */
#include "ops/act.h"
#include "ops/x86/vec.h"

/* x / (1 + e^-z) * u, z of the sign of x; the exponential taken is at most 1, so nothing overflows on the way to a small result */
INLINE Vec gate(Vec x, Vec z, Vec u)
{
    const Vec one = v_set(1), e = v_exp(v_sub(v_set(0), v_abs(z)));
    return v_mul(v_div(v_mul(x, v_if_negative(x, e, one)), v_add(one, e)), u);
}

void NAME(silu_mul)(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec x = v_load_n(g + i, n - i);
        v_store_n(y + i, gate(x, x, v_load_n(u + i, n - i)), n - i);
    }
}

/* 0.5 (1 + tanh z) = 1 / (1 + e^(-2 z)) */
void NAME(gelu_tanh_mul)(float *y, const float *g, const float *u, size_t n)
{
    const Vec slope = v_set(1.595769122f), cubic = v_set(0.07135481627f);   /* 2 sqrt(2/pi), and 0.044715 times that */
    for (size_t i = 0; i < n; i += LANES) {
        const Vec x = v_load_n(g + i, n - i);
        const Vec z = v_mul(x, v_fma(v_mul(x, x), cubic, slope));
        v_store_n(y + i, gate(x, z, v_load_n(u + i, n - i)), n - i);
    }
}

void NAME(relu2)(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec v = v_relu(v_load_n(x + i, n - i));
        v_store_n(y + i, v_mul(v, v), n - i);
    }
}

void NAME(softcap)(float *y, const float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += LANES)
        v_store_n(y + i, v_mul(v_set(cap), v_tanh(v_div(v_load_n(x + i, n - i), v_set(cap)))), n - i);
}

void NAME(add_scaled)(float *y, const float *x, size_t n, float scale)
{
    for (size_t i = 0; i < n; i += LANES)
        v_store_n(y + i, v_mul(v_add(v_load_n(y + i, n - i), v_load_n(x + i, n - i)), v_set(scale)), n - i);
}
