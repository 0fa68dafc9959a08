/* SPDX-License-Identifier: Apache-2.0 */
/* The body of ops/train.h's tables, included twice by each file that compiles it: with ACT_BF16 0 and 1. No include guard. */
#include <math.h>

#include "base/dtype.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"   /* under sanitizers it does not vectorise, and says so of each loop that asks for it */
#endif

#undef ACT
#undef LD
#undef ST
#undef FN
#if ACT_BF16
#define ACT MuseBf16
#define LD(p, i) muse_bf16_f32((p)[i])
#define ST(p, i, v) ((p)[i] = muse_f32_bf16(v))
#define FN(name) name##_bf16
#else
#define ACT float
#define LD(p, i) ((p)[i])
#define ST(p, i, v) ((p)[i] = (v))
#define FN(name) name##_f32

#define SUM_OF(s) _Pragma(s)
#define SIMD _Pragma("omp simd")

/* exp(x) within 2 ulp for x <= 88; 0 below -87. x = n log 2 + r, |r| <= log(2)/2; e^r by its series to r^6 (next term: 3e-8 relative) */
static inline float exp_poly(float x)
{
    const float low = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float shifted = low * 1.44269504f + 12582912.0f;   /* 1.5 * 2^23: rounds to a whole number */
    const float n = shifted - 12582912.0f;
    const float r = (low - n * 0.693145752f) - n * 1.42860677e-6f;   /* log 2 in two parts */
    const float p = 1 + r * (1 + r * (0.5f + r * (0.166666667f + r * (0.0416666667f + r * (0.00833333333f + r * 0.00138888889f)))));
    const float e = p * muse_bits_f32((muse_f32_bits(shifted) - 0x4b400000u + 127) << 23);   /* n from the bits: a NaN has no int */
    return x < -87.0f ? 0 : x != x ? x : e;
}

/* largest of x[i] (+ b[i]), -infinity for none; in lanes, because compilers do not agree on reductions to a maximum. NaN is passed over:
 * it shows in the sums that follow */
static float largest_of(const float *x, const float *b, size_t n)
{
    enum { LANES = 16 };
    float lane[LANES], max = -INFINITY;
    size_t i = 0;
    for (int j = 0; j < LANES; j++) lane[j] = -INFINITY;
    for (; !b && i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] = x[i + (size_t)j] > lane[j] ? x[i + (size_t)j] : lane[j];
    for (; i < n; i++) {
        const float v = b ? x[i] + b[i] : x[i];
        max = v > max ? v : max;
    }
    for (int j = 0; j < LANES; j++) max = lane[j] > max ? lane[j] : max;
    return max;
}

static inline float tanh_poly(float x) { return 1 - 2 / (exp_poly(2 * x) + 1); }
#endif

static void FN(store)(void *y_, const float *x, size_t n)
{
    ACT *y = y_;
    for (size_t i = 0; i < n; i++) ST(y, i, x[i]);
}

static void FN(load)(float *y, const void *x_, size_t n)
{
    const ACT *x = x_;
    for (size_t i = 0; i < n; i++) y[i] = LD(x, i);
}

static void FN(store_scaled)(void *y_, size_t y_stride, const float *x, size_t x_stride, const float *scale, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict y = (ACT *)y_ + t * y_stride;
        const float *restrict row = x + t * x_stride;
        const float s = scale[t];
        for (size_t i = 0; i < d; i++) ST(y, i, row[i] * s);
    }
}

/* ---- norms ---- */

static void FN(norm)(void *y_, void *unit_, float *rstd, const float *x, const float *w, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict y = (ACT *)y_ + t * d, *restrict unit = (ACT *)unit_ + t * d;
        const float *restrict row = x + t * d;
        float sum = 0;
        SUM_OF("omp simd reduction(+:sum)")
        for (size_t i = 0; i < d; i++) sum += row[i] * row[i];
        const float r = 1 / sqrtf(sum / (float)d + eps);
        rstd[t] = r;
        if (w) {
            for (size_t i = 0; i < d; i++) {
                ST(unit, i, row[i] * r);
                ST(y, i, row[i] * r * w[i]);
            }
        } else {
            for (size_t i = 0; i < d; i++) {
                ST(unit, i, row[i] * r);
                ST(y, i, row[i] * r);
            }
        }
    }
}

static void FN(norm_back)(float *dx, void *dx_act, float *dw, const float *dy, const void *unit_, const float *rstd, const float *w, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        const ACT *restrict unit = (const ACT *)unit_ + t * d;
        const float *restrict g = dy + t * d;
        float *restrict to = dx + t * d;
        const float r = rstd[t];
        float sum = 0;
        if (w) {
            SUM_OF("omp simd reduction(+:sum)")
            for (size_t i = 0; i < d; i++) sum += g[i] * w[i] * LD(unit, i);
            sum /= (float)d;
            for (size_t i = 0; i < d; i++) to[i] += r * (g[i] * w[i] - LD(unit, i) * sum);
        } else {
            SUM_OF("omp simd reduction(+:sum)")
            for (size_t i = 0; i < d; i++) sum += g[i] * LD(unit, i);
            sum /= (float)d;
            for (size_t i = 0; i < d; i++) to[i] += r * (g[i] - LD(unit, i) * sum);
        }
        if (dw)
            for (size_t i = 0; i < d; i++) dw[i] += g[i] * LD(unit, i);
        FN(store)((ACT *)dx_act + t * d, to, d);
    }
}

static void FN(layernorm)(void *y_, void *unit_, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict y = (ACT *)y_ + t * d, *restrict unit = (ACT *)unit_ + t * d;
        const float *restrict row = x + t * d;
        float sum = 0, var = 0;
        SUM_OF("omp simd reduction(+:sum)")
        for (size_t i = 0; i < d; i++) sum += row[i];
        const float mean = sum / (float)d;
        SUM_OF("omp simd reduction(+:var)")
        for (size_t i = 0; i < d; i++) var += (row[i] - mean) * (row[i] - mean);
        const float r = 1 / sqrtf(var / (float)d + eps);
        for (size_t i = 0; i < d; i++) {
            ST(unit, i, (row[i] - mean) * r);
            ST(y, i, (row[i] - mean) * r * w[i] + b[i]);
        }
    }
}

static void FN(layernorm_back)(float *dw, float *db, const void *dy_, const void *unit_, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        const ACT *restrict dy = (const ACT *)dy_ + t * d, *restrict unit = (const ACT *)unit_ + t * d;
        for (size_t i = 0; i < d; i++) {
            dw[i] += LD(dy, i) * LD(unit, i);
            db[i] += LD(dy, i);
        }
    }
}

/* ---- heads: norm and rotation ---- */

static void FN(turn)(void *y_, size_t y_stride, float *rstd, const void *x_, size_t x_stride, const float *w, const float *cs, const float *sn, size_t n, size_t heads,
                     size_t width, float eps)
{
    const size_t half = width / 2;
    for (size_t t = 0; t < n; t++)
        for (size_t h = 0; h < heads; h++) {
            ACT *restrict y = (ACT *)y_ + t * y_stride + h * width;
            const ACT *restrict x = (const ACT *)x_ + t * x_stride + h * width;
            const float *restrict c = cs + t * half, *restrict s = sn + t * half;
            float r = 1;
            if (w) {
                float sum = 0;
                SUM_OF("omp simd reduction(+:sum)")
                for (size_t i = 0; i < width; i++) sum += LD(x, i) * LD(x, i);
                r = 1 / sqrtf(sum / (float)width + eps);
                rstd[t * heads + h] = r;
                for (size_t i = 0; i < half; i++) {
                    const float a = LD(x, i) * r * w[i], b = LD(x, i + half) * r * w[i + half];
                    ST(y, i, a * c[i] - b * s[i]);
                    ST(y, i + half, b * c[i] + a * s[i]);
                }
            } else {
                for (size_t i = 0; i < half; i++) {
                    const float a = LD(x, i), b = LD(x, i + half);
                    ST(y, i, a * c[i] - b * s[i]);
                    ST(y, i + half, b * c[i] + a * s[i]);
                }
            }
        }
}

static void FN(turn_back)(void *dx_, size_t dx_stride, float *dw, const void *dy_, size_t dy_stride, const void *x_, size_t x_stride, const float *rstd, const float *w,
                          const float *cs, const float *sn, size_t n, size_t heads, size_t width)
{
    const size_t half = width / 2;
    for (size_t t = 0; t < n; t++)
        for (size_t h = 0; h < heads; h++) {
            ACT *dx = (ACT *)dx_ + t * dx_stride + h * width;
            const ACT *dy = (const ACT *)dy_ + t * dy_stride + h * width;
            const ACT *restrict x = (const ACT *)x_ + t * x_stride + h * width;
            const float *restrict c = cs + t * half, *restrict s = sn + t * half;
            if (!w) {
                SIMD
                for (size_t i = 0; i < half; i++) {
                    const float a = LD(dy, i), b = LD(dy, i + half);
                    ST(dx, i, a * c[i] + b * s[i]);
                    ST(dx, i + half, b * c[i] - a * s[i]);
                }
                continue;
            }
            const float r = rstd[t * heads + h];
            float sum = 0;
            SUM_OF("omp simd reduction(+:sum)")
            for (size_t i = 0; i < half; i++) {
                const float a = LD(dy, i) * c[i] + LD(dy, i + half) * s[i], b = LD(dy, i + half) * c[i] - LD(dy, i) * s[i];
                const float ua = LD(x, i) * r, ub = LD(x, i + half) * r;
                dw[i] += a * ua;
                dw[i + half] += b * ub;
                sum += a * w[i] * ua + b * w[i + half] * ub;
            }
            sum /= (float)width;
            SIMD
            for (size_t i = 0; i < half; i++) {
                const float a = LD(dy, i) * c[i] + LD(dy, i + half) * s[i], b = LD(dy, i + half) * c[i] - LD(dy, i) * s[i];
                ST(dx, i, r * (a * w[i] - LD(x, i) * r * sum));
                ST(dx, i + half, r * (b * w[i + half] - LD(x, i + half) * r * sum));
            }
        }
}

/* ---- MLP ---- */

static void FN(relu2)(void *y_, const void *u_, size_t n)
{
    ACT *restrict y = y_;
    const ACT *restrict u = u_;
    for (size_t i = 0; i < n; i++) {
        const float v = LD(u, i), p = v > 0 ? v : 0;
        ST(y, i, p * p);
    }
}

static void FN(relu2_back)(void *du_, const void *dy_, const void *u_, size_t n)
{
    ACT *du = du_;
    const ACT *dy = dy_, *u = u_;
    SIMD
    for (size_t i = 0; i < n; i++) {
        const float v = LD(u, i), p = v > 0 ? v : 0;
        ST(du, i, LD(dy, i) * 2 * p);
    }
}

static void FN(silu)(void *y_, const void *gu_, size_t n, size_t f)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict y = (ACT *)y_ + t * f;
        const ACT *restrict g = (const ACT *)gu_ + t * 2 * f, *restrict u = g + f;
        for (size_t i = 0; i < f; i++) {
            const float v = LD(g, i);
            ST(y, i, v / (1 + exp_poly(-v)) * LD(u, i));
        }
    }
}

static void FN(silu_back)(void *dgu_, const void *dy_, const void *gu_, size_t n, size_t f)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict dg = (ACT *)dgu_ + t * 2 * f, *restrict du = dg + f;
        const ACT *restrict g = (const ACT *)gu_ + t * 2 * f, *restrict u = g + f, *restrict dy = (const ACT *)dy_ + t * f;
        for (size_t i = 0; i < f; i++) {
            const float v = LD(g, i), s = 1 / (1 + exp_poly(-v)), d = LD(dy, i);
            ST(dg, i, d * LD(u, i) * s * (1 + v * (1 - s)));
            ST(du, i, d * v * s);
        }
    }
}

static void FN(bias)(void *x_, const float *b, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict x = (ACT *)x_ + t * d;
        for (size_t i = 0; i < d; i++) ST(x, i, LD(x, i) + b[i]);
    }
}

static void FN(bias_back)(float *db, const void *dx_, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        const ACT *restrict dx = (const ACT *)dx_ + t * d;
        for (size_t i = 0; i < d; i++) db[i] += LD(dx, i);
    }
}

/* ---- attention ---- */

static float FN(weights_range)(ACT *restrict p, const float *restrict s, float max, size_t lo, size_t hi, float scale)
{
    float sum = 0;
    SUM_OF("omp simd reduction(+:sum)")
    for (size_t i = lo; i < hi; i++) {
        const float e = exp_poly((s[i] - max) * scale);
        ST(p, i, e);
        sum += e;
    }
    return sum;
}

static void FN(clear)(ACT *p, size_t lo, size_t hi)
{
    for (size_t i = lo; i < hi; i++) p[i] = 0;
}

static void FN(weights)(void *p_, float *inv_sum, float *lse, const float *s_, const MuseSeen *seen, size_t n, size_t cols, size_t stride, float scale)
{
    for (size_t t = 0; t < n; t++) {
        ACT *p = (ACT *)p_ + t * stride;
        const float *s = s_ + t * stride;
        const MuseSeen v = seen[t];
        const float max0 = largest_of(s + v.lo0, NULL, v.hi0 - v.lo0), max1 = largest_of(s + v.lo1, NULL, v.hi1 - v.lo1), max = max0 > max1 ? max0 : max1;
        FN(clear)(p, 0, v.lo0);
        float sum = FN(weights_range)(p, s, max, v.lo0, v.hi0, scale);
        FN(clear)(p, v.hi0, v.lo1);
        sum += FN(weights_range)(p, s, max, v.lo1, v.hi1, scale);
        FN(clear)(p, v.hi1, cols);
        const bool some = v.hi0 > v.lo0 || v.hi1 > v.lo1;
        inv_sum[t] = some ? 1 / sum : 0;
        lse[t] = some ? max * scale + logf(sum) : 0;
    }
}

static void FN(back_range)(ACT *restrict p, ACT *restrict ds, const float *restrict s, const float *restrict dp, const float *restrict extra, size_t lo, size_t hi, float scale,
                           float lse, float delta)
{
    if (extra) {
        for (size_t i = lo; i < hi; i++) {
            const float e = exp_poly(s[i] * scale - lse);
            ST(p, i, e);
            ST(ds, i, e * (dp[i] - delta + extra[i]) * scale);
        }
        return;
    }
    for (size_t i = lo; i < hi; i++) {
        const float e = exp_poly(s[i] * scale - lse);
        ST(p, i, e);
        ST(ds, i, e * (dp[i] - delta) * scale);
    }
}

static void FN(weights_back)(void *p_, void *ds_, const float *s, const float *dp, const float *lse, const float *delta, const float *extra, const MuseSeen *seen, size_t n,
                             size_t cols, size_t stride, float scale)
{
    for (size_t t = 0; t < n; t++) {
        ACT *p = (ACT *)p_ + t * stride, *ds = (ACT *)ds_ + t * stride;
        const MuseSeen v = seen[t];
        const float *more = extra ? extra + t * stride : NULL;
        FN(clear)(p, 0, v.lo0);
        FN(clear)(ds, 0, v.lo0);
        FN(back_range)(p, ds, s + t * stride, dp + t * stride, more, v.lo0, v.hi0, scale, lse[t], delta[t]);
        FN(clear)(p, v.hi0, v.lo1);
        FN(clear)(ds, v.hi0, v.lo1);
        FN(back_range)(p, ds, s + t * stride, dp + t * stride, more, v.lo1, v.hi1, scale, lse[t], delta[t]);
        FN(clear)(p, v.hi1, cols);
        FN(clear)(ds, v.hi1, cols);
    }
}

static void FN(dots)(float *delta, const void *x_, size_t x_stride, const void *y_, size_t y_stride, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        const ACT *x = (const ACT *)x_ + t * x_stride, *y = (const ACT *)y_ + t * y_stride;
        float sum = 0;
        SUM_OF("omp simd reduction(+:sum)")
        for (size_t i = 0; i < d; i++) sum += LD(x, i) * LD(y, i);
        delta[t] = sum;
    }
}

/* ---- loss ---- */

/* z into dl as f32 where act is f32; for bf16 it is computed again: logits may not be kept in bf16 */
static inline float FN(logit)(const float *z, const float *bias, size_t i, float cap)
{
    const float v = z[i] + (bias ? bias[i] : 0);
    return cap > 0 ? cap * tanh_poly(v / cap) : v;
}

static void FN(cross_entropy)(void *dlogits, float *loss, uint8_t *hit, const float *logits, const float *bias, const MuseSoftTarget *target, size_t n, size_t vocab, float cap)
{
    for (size_t t = 0; t < n; t++) {
        ACT *restrict dl = (ACT *)dlogits + t * vocab;
        const float *restrict z = logits + t * vocab;
        const MuseSoftTarget g = target[t];
        float max, sum = 0, mean = 0;
        loss[t] = 0;
        hit[t] = 0;
        if (g.n == 0) {
            FN(clear)(dl, 0, vocab);
            continue;
        }
        const bool plain = !bias && cap == 0;
        max = largest_of(z, bias, vocab);   /* the cap keeps the order */
        if (cap > 0) max = cap * tanh_poly(max / cap);
        if (plain) {
            SUM_OF("omp simd reduction(+:sum)")
            for (size_t i = 0; i < vocab; i++) sum += exp_poly(z[i] - max);
        } else {
            SUM_OF("omp simd reduction(+:sum)")
            for (size_t i = 0; i < vocab; i++) sum += exp_poly(FN(logit)(z, bias, i, cap) - max);
        }
        const float lse = max + logf(sum), w = g.weight;
        uint32_t likeliest = 0;
        for (uint32_t j = 0; j < g.n; j++) {
            mean += g.p[j] * (lse - FN(logit)(z, bias, g.first + j, cap));
            if (g.p[j] > g.p[likeliest]) likeliest = j;
        }
        loss[t] = mean;
        hit[t] = FN(logit)(z, bias, g.first + likeliest, cap) >= max;
        if (plain) {
            for (size_t i = 0; i < vocab; i++) ST(dl, i, w * exp_poly(z[i] - lse));
        } else {
            for (size_t i = 0; i < vocab; i++) {
                const float c = FN(logit)(z, bias, i, cap), slope = cap > 0 ? 1 - (c / cap) * (c / cap) : 1;
                ST(dl, i, w * slope * exp_poly(c - lse));
            }
        }
        for (uint32_t j = 0; j < g.n; j++) {
            const float c = FN(logit)(z, bias, g.first + j, cap), slope = cap > 0 ? 1 - (c / cap) * (c / cap) : 1;
            ST(dl, g.first + j, w * slope * (exp_poly(c - lse) - g.p[j]));
        }
    }
}

/* ---- optimisers ---- */

static void FN(adam)(void *work_, float *restrict master, float *restrict m, float *restrict v, const float *restrict g, size_t n, float g_scale, float lr, float decay,
                     float beta1, float beta2, float eps, float c1, float c2)
{
    ACT *restrict work = work_;
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] * g_scale;
        m[i] = beta1 * m[i] + (1 - beta1) * d;
        v[i] = beta2 * v[i] + (1 - beta2) * d * d;
        master[i] = master[i] * (1 - decay) - lr * (m[i] * c1) / (sqrtf(v[i] * c2) + eps);
        ST(work, i, master[i]);
    }
}

static double FN(sum_squares)(const float *x, size_t n)
{
    double total = 0;
    for (size_t at = 0; at < n; at += 1024) {   /* f32 inside a block, double across: fast, and no drift with n */
        const size_t end = n - at < 1024 ? n : at + 1024;
        float sum = 0;
        SUM_OF("omp simd reduction(+:sum)")
        for (size_t i = at; i < end; i++) sum += x[i] * x[i];
        total += (double)sum;
    }
    return total;
}

static double FN(momentum)(float *restrict y, float *restrict m, const float *restrict g, size_t n, float g_scale, float beta)
{
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] * g_scale;
        m[i] = beta * m[i] + d;
        y[i] = beta * m[i] + d;
    }
    return FN(sum_squares)(y, n);
}

static void FN(descend)(void *work_, float *restrict master, const float *restrict x, size_t n, float lr, float decay)
{
    ACT *restrict work = work_;
    for (size_t i = 0; i < n; i++) {
        master[i] = master[i] * (1 - decay) - lr * x[i];
        ST(work, i, master[i]);
    }
}

static void FN(mix)(void *y_, const float *restrict x, const float *restrict z, size_t n, float a, float b)
{
    ACT *restrict y = y_;
    for (size_t i = 0; i < n; i++) ST(y, i, a * x[i] + b * z[i]);
}

static void FN(average)(float *restrict ema, const float *restrict x, size_t n, float keep)
{
    for (size_t i = 0; i < n; i++) ema[i] = keep * ema[i] + (1 - keep) * x[i];
}

static const MuseTrainOps FN(table) __attribute__((unused)) = {   /* train_bf16.c takes single functions */
    sizeof(ACT), FN(store), FN(load), FN(store_scaled), FN(norm), FN(norm_back), FN(layernorm), FN(layernorm_back), FN(turn), FN(turn_back), FN(relu2), FN(relu2_back),
    FN(silu), FN(silu_back), FN(bias), FN(bias_back), FN(weights), FN(weights_back), FN(dots), FN(cross_entropy), FN(adam), FN(momentum), FN(descend), FN(mix),
    FN(average), FN(sum_squares),
};
