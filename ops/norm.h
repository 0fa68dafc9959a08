/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisation over the last axis. */
#ifndef OPS_NORM_H
#define OPS_NORM_H

#include "config.h"
#include "ops/cpu.h"

#include <stddef.h>

/* y[t,i] = (x[t,i] - mean) / sqrt(var + eps) * w[i] + b[i], mean and biased variance over i;
 * x, y: [n, d], w, b: [d]; y may be x; any alignment. Two passes: variance is of the centred values.
 * |x| at most 1e37: beyond it wide variants may overflow where the reference does not. */
typedef void MuseLayernormF32(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps);

/* y[t,i] = x[t,i] / sqrt(mean_i x[t,i]^2 + eps) * w[i]; w NULL: all 1. Rows x_stride and y_stride floats apart (heads of a
 * fused projection are), y may be x; any alignment. Zhang and Sennrich 2019 */
typedef void MuseRmsnormF32(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t n, size_t d, float eps);

typedef struct MuseNormOps {
    MuseLayernormF32 *layernorm_f32;
    MuseRmsnormF32   *rmsnorm_f32;
} MuseNormOps;

void muse_norm_ops_init(MuseNormOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/norm_kernels.inc"
#undef KERNEL

#endif
