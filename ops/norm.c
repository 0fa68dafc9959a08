/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/norm.h"

#include <math.h>

void muse_layernorm_f32_c(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d, y += d) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < d; i++) sum += x[i];
        const double mean = sum / (double)d;
        for (size_t i = 0; i < d; i++) squares += (x[i] - mean) * (x[i] - mean);
        const double scale = 1 / sqrt(squares / (double)d + (double)eps);
        for (size_t i = 0; i < d; i++) y[i] = (float)((x[i] - mean) * scale * w[i] + b[i]);
    }
}

void muse_rmsnorm_f32_c(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += x_stride, y += y_stride) {
        double squares = 0;
        for (size_t i = 0; i < d; i++) squares += (double)x[i] * (double)x[i];
        const double scale = 1 / sqrt(squares / (double)d + (double)eps);
        for (size_t i = 0; i < d; i++) y[i] = (float)((double)x[i] * scale * (w ? (double)w[i] : 1));
    }
}

void muse_norm_ops_init(MuseNormOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/norm_kernels.inc"
#undef KERNEL
}
