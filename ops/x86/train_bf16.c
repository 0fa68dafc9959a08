/* SPDX-License-Identifier: Apache-2.0 */
/* The bf16 table for AVX512_BF16: the steps that take most of the time between products, with the CPU's own conversion; all others as
 * the body has them. Denormals become 0 when they are stored. Contracts: ops/train.h. */
#include "ops/train.h"

#define ACT_BF16 0
#include "ops/train_body.h"
#undef ACT_BF16
#define ACT_BF16 1
#include "ops/train_body.h"
#include "ops/x86/vec.h"

INLINE Vec half_of(__m256i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16)); }
INLINE Vec h_load(const MuseBf16 *p, size_t n) { return half_of(n >= LANES ? _mm256_loadu_si256((const __m256i *)p) : _mm256_maskz_loadu_epi16(v_first(n), p)); }
/* whole vectors apart: a masked store of 16-bit values is slow on AMD */
INLINE void h_store(MuseBf16 *p, Vec v, size_t n)
{
    const __m256i h = (__m256i)_mm512_cvtneps_pbh(v);
    if (n >= LANES) _mm256_storeu_si256((__m256i *)p, h);
    else _mm256_mask_storeu_epi16(p, v_first(n), h);
}

static void store(void *y_, const float *x, size_t n)
{
    MuseBf16 *y = y_;
    for (size_t i = 0; i < n; i += LANES) h_store(y + i, v_load_n(x + i, n - i), n - i);
}

static void store_scaled(void *y_, size_t y_stride, const float *x, size_t x_stride, const float *scale, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < d; i += LANES) h_store((MuseBf16 *)y_ + t * y_stride + i, v_mul(v_load_n(x + t * x_stride + i, d - i), v_set(scale[t])), d - i);
}

/* ---- norms ---- */

static void norm(void *y_, void *unit_, float *rstd, const float *x, const float *w, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d) {
        MuseBf16 *y = (MuseBf16 *)y_ + t * d, *unit = (MuseBf16 *)unit_ + t * d;
        Vec sum = v_set(0);
        for (size_t i = 0; i < d; i += LANES) sum = v_fma(v_load_n(x + i, d - i), v_load_n(x + i, d - i), sum);
        const float r = rstd[t] = 1 / sqrtf(v_sum(sum) / (float)d + eps);
        for (size_t i = 0; i < d; i += LANES) {
            const Vec u = v_mul(v_load_n(x + i, d - i), v_set(r));
            h_store(unit + i, u, d - i);
            h_store(y + i, w ? v_mul(u, v_load_n(w + i, d - i)) : u, d - i);
        }
    }
}

static void norm_back(float *dx, void *dx_act, float *dw, const float *dy, const void *unit_, const float *rstd, const float *w, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++, dx += d, dy += d) {
        const MuseBf16 *unit = (const MuseBf16 *)unit_ + t * d;
        MuseBf16 *act = (MuseBf16 *)dx_act + t * d;
        Vec sum = v_set(0);
        for (size_t i = 0; i < d; i += LANES) {
            const Vec g = v_load_n(dy + i, d - i), gu = v_mul(g, h_load(unit + i, d - i));
            sum = w ? v_fma(gu, v_load_n(w + i, d - i), sum) : v_add(gu, sum);
            if (dw) v_store_n(dw + i, v_add(v_load_n(dw + i, d - i), gu), d - i);
        }
        const Vec mean = v_set(v_sum(sum) / (float)d), r = v_set(rstd[t]);
        for (size_t i = 0; i < d; i += LANES) {
            const Vec dy1 = v_load_n(dy + i, d - i), g = w ? v_mul(dy1, v_load_n(w + i, d - i)) : dy1;
            const Vec to = v_fma(r, v_sub(g, v_mul(h_load(unit + i, d - i), mean)), v_load_n(dx + i, d - i));
            v_store_n(dx + i, to, d - i);
            h_store(act + i, to, d - i);
        }
    }
}

/* ---- heads ---- */

static void turn(void *y_, size_t y_stride, float *rstd, const void *x_, size_t x_stride, const float *w, const float *cs, const float *sn, size_t n, size_t heads,
                 size_t width, float eps)
{
    const size_t half = width / 2;
    for (size_t t = 0; t < n; t++, cs += half, sn += half)
        for (size_t h = 0; h < heads; h++) {
            MuseBf16 *y = (MuseBf16 *)y_ + t * y_stride + h * width;
            const MuseBf16 *x = (const MuseBf16 *)x_ + t * x_stride + h * width;
            Vec sum = v_set(0), r = v_set(1);
            for (size_t i = 0; w && i < width; i += LANES) sum = v_fma(h_load(x + i, width - i), h_load(x + i, width - i), sum);
            if (w) r = v_set(rstd[t * heads + h] = 1 / sqrtf(v_sum(sum) / (float)width + eps));
            for (size_t i = 0; i < half; i += LANES) {
                const size_t m = half - i;
                const Vec c = v_load_n(cs + i, m), s = v_load_n(sn + i, m);
                Vec a = h_load(x + i, m), b = h_load(x + half + i, m);
                if (w) a = v_mul(v_mul(a, r), v_load_n(w + i, m)), b = v_mul(v_mul(b, r), v_load_n(w + half + i, m));
                h_store(y + i, v_sub(v_mul(a, c), v_mul(b, s)), m);
                h_store(y + half + i, v_fma(b, c, v_mul(a, s)), m);
            }
        }
}

/* a row of one head; dx may be dy */
INLINE void turn_row_back(MuseBf16 *dx, float *dw, const MuseBf16 *dy, const MuseBf16 *x, float rstd, const float *w, const float *cs, const float *sn, size_t half)
{
    const Vec r = v_set(rstd);
    Vec sum = v_set(0);
    for (size_t i = 0; w && i < half; i += LANES) {
        const size_t m = half - i;
        const Vec c = v_load_n(cs + i, m), s = v_load_n(sn + i, m), da = h_load(dy + i, m), db = h_load(dy + half + i, m);
        const Vec au = v_mul(v_fma(da, c, v_mul(db, s)), v_mul(h_load(x + i, m), r)), bu = v_mul(v_sub(v_mul(db, c), v_mul(da, s)), v_mul(h_load(x + half + i, m), r));
        v_store_n(dw + i, v_add(v_load_n(dw + i, m), au), m);
        v_store_n(dw + half + i, v_add(v_load_n(dw + half + i, m), bu), m);
        sum = v_fma(au, v_load_n(w + i, m), v_fma(bu, v_load_n(w + half + i, m), sum));
    }
    const Vec mean = w ? v_set(v_sum(sum) / (float)(2 * half)) : sum;
    for (size_t i = 0; i < half; i += LANES) {
        const size_t m = half - i;
        const Vec c = v_load_n(cs + i, m), s = v_load_n(sn + i, m), da = h_load(dy + i, m), db = h_load(dy + half + i, m);
        Vec a = v_fma(da, c, v_mul(db, s)), b = v_sub(v_mul(db, c), v_mul(da, s));
        if (w) {
            a = v_mul(r, v_sub(v_mul(a, v_load_n(w + i, m)), v_mul(v_mul(h_load(x + i, m), r), mean)));
            b = v_mul(r, v_sub(v_mul(b, v_load_n(w + half + i, m)), v_mul(v_mul(h_load(x + half + i, m), r), mean)));
        }
        h_store(dx + i, a, m);
        h_store(dx + half + i, b, m);
    }
}

static void turn_back(void *dx_, size_t dx_stride, float *dw, const void *dy_, size_t dy_stride, const void *x_, size_t x_stride, const float *rstd, const float *w,
                      const float *cs, const float *sn, size_t n, size_t heads, size_t width)
{
    for (size_t t = 0; t < n; t++)
        for (size_t h = 0; h < heads; h++)
            turn_row_back((MuseBf16 *)dx_ + t * dx_stride + h * width, dw, (const MuseBf16 *)dy_ + t * dy_stride + h * width, (const MuseBf16 *)x_ + t * x_stride + h * width,
                          w ? rstd[t * heads + h] : 1, w, cs + t * (width / 2), sn + t * (width / 2), width / 2);
}

/* ---- MLP ---- */

static void relu2(void *y_, const void *u_, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec p = v_max(h_load((const MuseBf16 *)u_ + i, n - i), v_set(0));
        h_store((MuseBf16 *)y_ + i, v_mul(p, p), n - i);
    }
}

static void relu2_back(void *du_, const void *dy_, const void *u_, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const Vec p = v_max(h_load((const MuseBf16 *)u_ + i, n - i), v_set(0));
        h_store((MuseBf16 *)du_ + i, v_mul(v_mul(h_load((const MuseBf16 *)dy_ + i, n - i), v_set(2)), p), n - i);
    }
}

/* ---- attention ---- */

INLINE Vec most_of(Vec most, const float *s, size_t lo, size_t hi)
{
    for (size_t i = lo; i < hi; i += LANES) most = _mm512_mask_max_ps(most, v_first(hi - i), v_load_n(s + i, hi - i), most);   /* NaN is passed over */
    return most;
}

INLINE Vec weigh(Vec sum, MuseBf16 *p, const float *s, size_t lo, size_t hi, float max, float scale)
{
    for (size_t i = lo; i < hi; i += LANES) {
        const Vec e = v_exp(v_mul(v_sub(v_load_n(s + i, hi - i), v_set(max)), v_set(scale)));
        h_store(p + i, e, hi - i);
        sum = _mm512_mask_add_ps(sum, v_first(hi - i), sum, e);
    }
    return sum;
}

INLINE void clear(MuseBf16 *p, size_t lo, size_t hi) { if (hi > lo) memset(p + lo, 0, (hi - lo) * sizeof *p); }

static void weights(void *p_, float *inv_sum, float *lse, const float *s, const MuseSeen *seen, size_t n, size_t cols, size_t stride, float scale)
{
    for (size_t t = 0; t < n; t++, s += stride) {
        MuseBf16 *p = (MuseBf16 *)p_ + t * stride;
        const MuseSeen v = seen[t];
        const float max = v_most(most_of(most_of(v_set(-INFINITY), s, v.lo0, v.hi0), s, v.lo1, v.hi1));
        clear(p, 0, v.lo0);
        Vec sums = weigh(v_set(0), p, s, v.lo0, v.hi0, max, scale);
        clear(p, v.hi0, v.lo1);
        sums = weigh(sums, p, s, v.lo1, v.hi1, max, scale);
        clear(p, v.hi1, cols);
        const bool some = v.hi0 > v.lo0 || v.hi1 > v.lo1;
        const float sum = v_sum(sums);
        inv_sum[t] = some ? 1 / sum : 0;
        lse[t] = some ? max * scale + logf(sum) : 0;
    }
}

INLINE void weigh_back(MuseBf16 *p, MuseBf16 *ds, const float *s, const float *dp, const float *extra, size_t lo, size_t hi, float scale, float lse, float delta)
{
    for (size_t i = lo; i < hi; i += LANES) {
        const Vec e = v_exp(v_sub(v_mul(v_load_n(s + i, hi - i), v_set(scale)), v_set(lse)));
        Vec d = v_sub(v_load_n(dp + i, hi - i), v_set(delta));
        if (extra) d = v_add(d, v_load_n(extra + i, hi - i));
        h_store(p + i, e, hi - i);
        h_store(ds + i, v_mul(v_mul(e, d), v_set(scale)), hi - i);
    }
}

static void weights_back(void *p_, void *ds_, const float *s, const float *dp, const float *lse, const float *delta, const float *extra, const MuseSeen *seen, size_t n,
                         size_t cols, size_t stride, float scale)
{
    for (size_t t = 0; t < n; t++) {
        MuseBf16 *p = (MuseBf16 *)p_ + t * stride, *ds = (MuseBf16 *)ds_ + t * stride;
        const MuseSeen v = seen[t];
        const float *more = extra ? extra + t * stride : NULL;
        const size_t gaps[3][2] = { { 0, v.lo0 }, { v.hi0, v.lo1 }, { v.hi1, cols } };
        for (int i = 0; i < 3; i++) clear(p, gaps[i][0], gaps[i][1]), clear(ds, gaps[i][0], gaps[i][1]);
        weigh_back(p, ds, s + t * stride, dp + t * stride, more, v.lo0, v.hi0, scale, lse[t], delta[t]);
        weigh_back(p, ds, s + t * stride, dp + t * stride, more, v.lo1, v.hi1, scale, lse[t], delta[t]);
    }
}

static void dots(float *delta, const void *x_, size_t x_stride, const void *y_, size_t y_stride, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        Vec sum = v_set(0);
        for (size_t i = 0; i < d; i += LANES) sum = v_fma(h_load((const MuseBf16 *)x_ + t * x_stride + i, d - i), h_load((const MuseBf16 *)y_ + t * y_stride + i, d - i), sum);
        delta[t] = v_sum(sum);
    }
}

/* ---- loss ---- */

/* a row of plain logits: log of the sum of exponentials; weighted probabilities to dl */
INLINE float soft_max(MuseBf16 *dl, const float *z, size_t vocab, float weight, float *max)
{
    Vec sum = v_set(0);
    *max = v_most(most_of(v_set(-INFINITY), z, 0, vocab));
    for (size_t i = 0; i < vocab; i += LANES) sum = _mm512_mask_add_ps(sum, v_first(vocab - i), sum, v_exp(v_sub(v_load_n(z + i, vocab - i), v_set(*max))));
    const float lse = *max + logf(v_sum(sum));
    for (size_t i = 0; i < vocab; i += LANES) h_store(dl + i, v_mul(v_set(weight), v_exp(v_sub(v_load_n(z + i, vocab - i), v_set(lse)))), vocab - i);
    return lse;
}

static void cross_entropy(void *dlogits, float *loss, uint8_t *hit, const float *logits, const float *bias, const MuseSoftTarget *target, size_t n, size_t vocab, float cap)
{
    if (bias || cap > 0) {
        cross_entropy_bf16(dlogits, loss, hit, logits, bias, target, n, vocab, cap);
        return;
    }
    for (size_t t = 0; t < n; t++) {
        MuseBf16 *dl = (MuseBf16 *)dlogits + t * vocab;
        const float *z = logits + t * vocab;
        const MuseSoftTarget g = target[t];
        loss[t] = 0;
        hit[t] = 0;
        if (g.n == 0) {
            clear(dl, 0, vocab);
            continue;
        }
        float max;
        const float lse = soft_max(dl, z, vocab, g.weight, &max);
        uint32_t likeliest = 0;
        for (uint32_t j = 0; j < g.n; j++) {
            loss[t] += g.p[j] * (lse - z[g.first + j]);
            if (g.p[j] > g.p[likeliest]) likeliest = j;
            dl[g.first + j] = muse_f32_bf16(g.weight * (exp_poly(z[g.first + j] - lse) - g.p[j]));
        }
        hit[t] = z[g.first + likeliest] >= max;
    }
}

/* ---- optimisers ---- */

static void mix(void *y_, const float *x, const float *z, size_t n, float a, float b)
{
    for (size_t i = 0; i < n; i += LANES) h_store((MuseBf16 *)y_ + i, v_fma(v_set(a), v_load_n(x + i, n - i), v_mul(v_set(b), v_load_n(z + i, n - i))), n - i);
}

static const MuseTrainOps table = {
    sizeof(MuseBf16), store, load_bf16, store_scaled, norm, norm_back, layernorm_bf16, layernorm_back_bf16, turn, turn_back, relu2, relu2_back, silu_bf16, silu_back_bf16,
    bias_bf16, bias_back_bf16, weights, weights_back, dots, cross_entropy, adam_bf16, momentum_bf16, descend_bf16, mix, average_bf16, sum_squares_bf16,
};
const MuseTrainOps *const muse_train_ops_avx512bf16 = &table;
