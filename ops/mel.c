/* SPDX-License-Identifier: Apache-2.0 */
/* Log-mel kernels in portable C: sums in double, one rounding at the end. They define the answer. */
#include "ops/mel.h"

#include <math.h>

void muse_mel_window_f32_c(float *y, const float *x, const float *w, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * w[i];
}

void muse_mel_power_f32_c(float *p, const float *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double re = c[2 * i], im = c[2 * i + 1];
        p[i] = (float)(re * re + im * im);
    }
}

void muse_mel_bands_f32_c(float *y, const float *p, const MuseMelBank *bank)
{
    for (size_t b = 0; b < bank->bands; b++) {
        const float *w = bank->weight + bank->at[b], *q = p + bank->first[b];
        double sum = 0;
        for (uint32_t k = 0; k < bank->len[b]; k++) sum += (double)w[k] * (double)q[k];
        y[b] = (float)sum;
    }
}

void muse_mel_log10_f32_c(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] > 1e-10f ? (float)log10((double)x[i]) : -10.0f;
}

void muse_mel_scale_f32_c(float *y, size_t n, float low)
{
    for (size_t i = 0; i < n; i++) y[i] = ((y[i] > low ? y[i] : low) + 4.0f) * 0.25f;
}

void muse_mel_ops_init(MuseMelOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/mel_kernels.inc"
#undef KERNEL
}
