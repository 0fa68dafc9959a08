/* SPDX-License-Identifier: Apache-2.0 */
/* What a log-mel column is made of, but for the Fourier transform: window, power, filter bank, logarithm.
 * Definitions of the whole: docs/audio.md. Users: tokenizers/audio. */
#ifndef OPS_MEL_H
#define OPS_MEL_H

#include "config.h"
#include "ops/cpu.h"

#include <stddef.h>
#include <stdint.h>

/* A sparse filter bank: band b weighs the power bins first[b] .. first[b] + len[b] - 1 with weight[at[b]] .... */
typedef struct MuseMelBank {
    size_t bands;
    const uint32_t *first, *len, *at;   /* [bands] */
    const float *weight;
} MuseMelBank;

/* y[i] = x[i] * w[i];  y, x, w: [n]; y may be x; any alignment. Equal bits in all variants. */
typedef void MuseMelWindowF32(float *y, const float *x, const float *w, size_t n);

/* p[i] = c[2i]^2 + c[2i+1]^2;  c: n complex numbers; p: [n], apart from c; any alignment */
typedef void MuseMelPowerF32(float *p, const float *c, size_t n);

/* y[b] = sum over k < len[b] of weight[at[b]+k] * p[first[b]+k];  y: [bands], apart from p; any alignment */
typedef void MuseMelBandsF32(float *y, const float *p, const MuseMelBank *bank);

/* y[i] = x[i] > 1e-10 ? log10(x[i]) : -10;  x, y: [n]; y may be x; any alignment. NaN gives -10, infinity infinity.
 * SIMD variants stay within 3 ulp of the exact value. */
typedef void MuseMelLog10F32(float *y, const float *x, size_t n);

/* y[i] = (max(y[i], low) + 4) / 4, in place: Whisper's scaling. Two exact-rounded steps, so C is enough. */
typedef void MuseMelScaleF32(float *y, size_t n, float low);

typedef struct MuseMelOps {
    MuseMelWindowF32 *mel_window_f32;
    MuseMelPowerF32  *mel_power_f32;
    MuseMelBandsF32  *mel_bands_f32;
    MuseMelLog10F32  *mel_log10_f32;
    MuseMelScaleF32  *mel_scale_f32;
} MuseMelOps;

void muse_mel_ops_init(MuseMelOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/mel_kernels.inc"
#undef KERNEL

#endif
