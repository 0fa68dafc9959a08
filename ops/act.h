/* SPDX-License-Identifier: Apache-2.0 */
/* Activation functions of the MLP, the cap on logits, and the residual sum: elementwise, f32. */
#ifndef OPS_ACT_H
#define OPS_ACT_H

#include <stddef.h>

#include "config.h"
#include "ops/cpu.h"

/* y[i] = f(g[i]) * u[i]; y may be g or u; any alignment.
 * silu: x / (1 + exp(-x)). gelu_tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): Gemma spec 2.1. Not a table: full f32. */
typedef void MuseActMul(float *y, const float *g, const float *u, size_t n);
/* y[i] = max(x[i], 0)^2; y may be x */
typedef void MuseActRelu2(float *y, const float *x, size_t n);
/* y[i] = cap * tanh(x[i] / cap), cap > 0; y may be x */
typedef void MuseActSoftcap(float *y, const float *x, size_t n, float cap);
/* y[i] = (y[i] + x[i]) * scale */
typedef void MuseActAdd(float *y, const float *x, size_t n, float scale);

typedef struct MuseActOps {
    MuseActMul     *silu_mul, *gelu_tanh_mul;
    MuseActRelu2   *relu2;
    MuseActSoftcap *softcap;
    MuseActAdd     *add_scaled;
} MuseActOps;

void muse_act_ops_init(MuseActOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/act_kernels.inc"
#undef KERNEL

#endif
