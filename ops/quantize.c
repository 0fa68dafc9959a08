/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of f32 to every weight type. Q8_0, Q4_0, Q5_0 and Q5_1 round as llama.cpp's reference does, the first two bit for bit; the K types try a range of
 * steps for each sub-block, fit step and minimum by least squares, and keep the best. Contract: ops/quant.h. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/quant.h"

static void put_f16(uint8_t *p, MuseF16 h) { p[0] = (uint8_t)h; p[1] = (uint8_t)(h >> 8); }

/* d as f16 at p and rounded back in *d; false if it is out of range */
static bool put_scale(uint8_t *p, float *d)
{
    const MuseF16 h = muse_f32_f16(*d);
    put_f16(p, h);
    *d = muse_f16_f32(h);
    return isfinite(*d);
}

static int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

/* roundf() of a value far below 2^31, halves away from zero, without a call */
static int round_small(float v)
{
    const int t = (int)v;
    const float rest = v - (float)t;
    return t + (rest >= 0.5f) - (rest <= -0.5f);
}

static bool quantize_q8_0(uint8_t *y, const float *x)
{
    float max = 0;
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++) max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    const float d = max / 127.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    float stored = d;
    if (!put_scale(y, &stored)) return false;
    /* a scale so small that its inverse is infinite is 0 as f16: the integers mean nothing */
    const float scale = isfinite(inverse) ? inverse : 0.0f;
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++) y[2 + i] = (uint8_t)(int8_t)round_small(x[i] * scale);
    return true;
}

static bool quantize_q4_0(uint8_t *y, const float *x)
{
    float max = 0, value = 0;   /* value: the one of largest size, with its sign */
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++)
        if (fabsf(x[i]) > max) max = fabsf(x[i]), value = x[i];
    const float d = value / -8.0f, inverse = d != 0.0f && isfinite(1.0f / d) ? 1.0f / d : 0.0f;
    float stored = d;
    if (!put_scale(y, &stored)) return false;
    for (int i = 0; i < 16; i++) {
        const int low = clamp((int)(x[i] * inverse + 8.5f), 0, 15), high = clamp((int)(x[i + 16] * inverse + 8.5f), 0, 15);
        y[2 + i] = (uint8_t)(low | high << 4);
    }
    return true;
}

/* 32 integers of 0..31 as nibbles and fifth bits */
static void put_q5(uint8_t *high, const int *q)
{
    memset(high, 0, 4);
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++) high[i / 8] = (uint8_t)(high[i / 8] | (q[i] >> 4) << i % 8);
    for (int i = 0; i < 16; i++) high[4 + i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

static bool quantize_q5_0(uint8_t *y, const float *x)
{
    float max = 0, value = 0;
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++)
        if (fabsf(x[i]) > max) max = fabsf(x[i]), value = x[i];
    const float d = value / -16.0f, inverse = d != 0.0f && isfinite(1.0f / d) ? 1.0f / d : 0.0f;
    float stored = d;
    if (!put_scale(y, &stored)) return false;
    int q[MUSE_QUANT_BLOCK];
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++) q[i] = clamp((int)(x[i] * inverse + 16.5f), 0, 31);
    put_q5(y + 2, q);
    return true;
}

static bool quantize_q5_1(uint8_t *y, const float *x)
{
    float low = x[0], high = x[0];
    for (int i = 1; i < MUSE_QUANT_BLOCK; i++) low = x[i] < low ? x[i] : low, high = x[i] > high ? x[i] : high;
    const float d = (high - low) / 31.0f, inverse = d != 0.0f && isfinite(1.0f / d) ? 1.0f / d : 0.0f;
    float step = d, least = low;
    if (!put_scale(y, &step) || !put_scale(y + 2, &least)) return false;
    int q[MUSE_QUANT_BLOCK];
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++) q[i] = clamp((int)((x[i] - low) * inverse + 0.5f), 0, 31);
    put_q5(y + 4, q);
    return true;
}

typedef struct Fit {
    double step, min;   /* x is about step * q - min */
    double gain;        /* how much of the sum of squares it explains; larger is better */
} Fit;

/* nearbyint() where the compiler has no instruction for it at the baseline: |v| below 2^51 becomes whole numbers by losing the
 * bits after the point; larger ones stay large, and are clamped by the callers. */
static double whole(double v) { return (v + 0x1.8p52) - 0x1.8p52; }

static double within(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* Least squares for x = step * q - min with the integers that `inverse` and `low` give; sx is the sum of x. Without a minimum,
 * or where the best one would be negative, min is 0. */
static Fit fit_once(const double *x, int n, double sx, double inverse, double low, int q_low, int q_high, bool with_min)
{
    double q[32], sq = 0, sxq = 0, sqq = 0;
    for (int i = 0; i < n; i++) q[i] = within(whole((x[i] - low) * inverse), q_low, q_high);
    for (int i = 0; i < n; i++) sq += q[i], sxq += x[i] * q[i], sqq += q[i] * q[i];
    Fit f = { 0, 0, 0 };
    const double det = n * sqq - sq * sq;
    if (with_min && det > 0) {
        f.step = (n * sxq - sx * sq) / det;
        f.min = -(sx - f.step * sq) / n;
        if (f.min > 0 && f.step > 0) {
            f.gain = f.step * sxq - f.min * sx;
            return f;
        }
    }
    f.min = 0;
    f.step = sqq > 0 ? sxq / sqq : 0;
    f.gain = f.step * sxq;
    if (with_min && f.step < 0) f = (Fit){ 0, 0, 0 };   /* stored scales have no sign there */
    return f;
}

enum { TRIES = 20 };   /* steps tried each side: 5 % of an integer apart, up to one integer more or less over the range */

static Fit fit_best(const float *x, int n, int q_low, int q_high, bool with_min)
{
    double v[32], low = 0, high = 0, far = 0, sx = 0;
    for (int i = 0; i < n; i++) {
        v[i] = x[i];
        sx += v[i];
        low = v[i] < low ? v[i] : low, high = v[i] > high ? v[i] : high;
        if (fabs(v[i]) > fabs(far)) far = v[i];
    }
    Fit best = { 0, 0, 0 };
    for (int t = -TRIES; t <= TRIES; t++) {
        const double part = t / (double)TRIES, range = with_min ? high - low : far;
        if (range == 0) break;
        const double inverse = ((with_min ? q_high : q_low) + part) / range;
        const Fit f = fit_once(v, n, sx, inverse, with_min ? low : 0, q_low, q_high, with_min);
        if (f.gain > best.gain) best = f;
    }
    return best;
}

static void put_k_scales(uint8_t *s, const uint8_t scale[8], const uint8_t min[8])
{
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(scale[j] | (scale[j + 4] >> 4) << 6);
        s[j + 4] = (uint8_t)(min[j] | (min[j + 4] >> 4) << 6);
        s[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

/* Q4_K (bits 4) and Q5_K (bits 5) */
static bool quantize_k45(uint8_t *y, const float *x, int bits)
{
    const int q_high = (1 << bits) - 1;
    uint8_t *high = y + 16, *qs = y + (bits == 5 ? 48 : 16), scale[8], min[8];
    Fit fit[8];
    double step_max = 0, min_max = 0;
    for (int j = 0; j < 8; j++) {
        fit[j] = fit_best(x + 32 * j, 32, 0, q_high, true);
        step_max = fmax(step_max, fit[j].step), min_max = fmax(min_max, fit[j].min);
    }
    float d = (float)(step_max / 63), dmin = (float)(min_max / 63);
    if (!put_scale(y, &d) || !put_scale(y + 2, &dmin)) return false;
    for (int j = 0; j < 8; j++) {
        scale[j] = d > 0 ? (uint8_t)fmin(63, nearbyint(fit[j].step / d)) : 0;
        min[j] = dmin > 0 ? (uint8_t)fmin(63, nearbyint(fit[j].min / dmin)) : 0;
    }
    put_k_scales(y + 4, scale, min);
    memset(high, 0, (size_t)(qs - high) + 128);
    for (int i = 0; i < MUSE_QUANT_SUPER; i++) {
        const int j = i / 32, l = i % 32;
        const double step = (double)d * scale[j], low = (double)dmin * min[j];
        const int q = step > 0 ? (int)within(whole((x[i] + low) / step), 0, q_high) : 0;
        qs[32 * (j / 2) + l] = (uint8_t)(qs[32 * (j / 2) + l] | (q & 15) << 4 * (j & 1));
        if (bits == 5) high[l] = (uint8_t)(high[l] | (q >> 4) << j);
    }
    return true;
}

static bool quantize_q6_k(uint8_t *y, const float *x)
{
    Fit fit[16];
    double far = 0;
    for (int j = 0; j < 16; j++) {
        fit[j] = fit_best(x + 16 * j, 16, -32, 31, false);
        if (fabs(fit[j].step) > fabs(far)) far = fit[j].step;
    }
    memset(y, 0, MUSE_Q6_K_BYTES);
    float d = (float)(far / -128);
    if (!put_scale(y + 208, &d)) return false;
    for (int i = 0; i < MUSE_QUANT_SUPER; i++) {
        const int h = i / 128, c = i / 32 % 4, l = i % 32, j = i / 16;
        const int scale = d != 0.0f ? (int)fmin(fmax(nearbyint(fit[j].step / d), -128), 127) : 0;
        const double step = (double)d * scale;
        const int q = 32 + (step != 0 ? (int)within(whole(x[i] / step), -32, 31) : 0);
        uint8_t *low = y + 64 * h + 32 * (c % 2) + l, *high = y + 128 + 32 * h + l;
        *low = (uint8_t)(*low | (q & 15) << 4 * (c / 2));
        *high = (uint8_t)(*high | (q >> 4) << 2 * c);
        y[192 + j] = (uint8_t)(int8_t)scale;
    }
    return true;
}

static bool quantize_block(unsigned type, uint8_t *y, const float *x)
{
    switch (type) {
    case MUSE_WEIGHT_Q8_0: return quantize_q8_0(y, x);
    case MUSE_WEIGHT_Q4_0: return quantize_q4_0(y, x);
    case MUSE_WEIGHT_Q4_K: return quantize_k45(y, x, 4);
    case MUSE_WEIGHT_Q5_K: return quantize_k45(y, x, 5);
    case MUSE_WEIGHT_Q6_K: return quantize_q6_k(y, x);
    case MUSE_WEIGHT_Q5_0: return quantize_q5_0(y, x);
    case MUSE_WEIGHT_Q5_1: return quantize_q5_1(y, x);
    case MUSE_WEIGHT_F16: put_f16(y, muse_f32_f16(*x)); return isfinite(muse_f16_f32(muse_f32_f16(*x)));
    case MUSE_WEIGHT_BF16: put_f16(y, muse_f32_bf16(*x)); return isfinite(muse_bf16_f32(muse_f32_bf16(*x)));
    default: memcpy(y, x, sizeof *x); return true;
    }
}

bool muse_quantize(unsigned type, void *y, const float *x, size_t n)
{
    const MuseWeightTypeInfo *t = muse_weight_type_info(type);
    if (!t || n % t->block) return false;
    uint8_t *out = y;
    for (size_t i = 0; i < n; i += t->block, out += t->bytes) {
        for (size_t j = 0; j < t->block; j++)
            if (!isfinite(x[i + j])) return false;
        if (!quantize_block(type, out, x + i)) return false;
    }
    return true;
}
