/* SPDX-License-Identifier: Apache-2.0 */
/* The reference versions, in double. */
#include "ops/act.h"

#include <math.h>

void muse_silu_mul_c(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)((double)g[i] / (1 + exp(-(double)g[i])) * (double)u[i]);
}

/* 0.5 (1 + tanh z) as 1 / (1 + exp(-2 z)): 1 + tanh z would lose every digit where x is far below 0 */
void muse_gelu_tanh_mul_c(float *y, const float *g, const float *u, size_t n)
{
    const double slope = 0.79788456080286535588;   /* sqrt(2/pi) */
    for (size_t i = 0; i < n; i++) {
        const double x = (double)g[i];
        y[i] = (float)(x / (1 + exp(-2 * slope * (x + 0.044715 * x * x * x))) * (double)u[i]);
    }
}

void muse_relu2_c(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] > 0 || x[i] != x[i] ? x[i] * x[i] : 0.0f;
}

void muse_softcap_c(float *y, const float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)((double)cap * tanh((double)x[i] / (double)cap));
}

void muse_add_scaled_c(float *y, const float *x, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++) y[i] = (y[i] + x[i]) * scale;
}

void muse_act_ops_init(MuseActOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/act_kernels.inc"
#undef KERNEL
}
