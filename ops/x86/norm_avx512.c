/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

#include "ops/norm.h"

static inline __mmask16 tail_mask(size_t left) { return left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1); }

/* Sums of x - shift, or of its square, in double: f32 would lose the mean beside one large value, and overflow. */
static double row_sum(const float *x, size_t d, double shift, bool square)
{
    const __m512d s = _mm512_set1_pd(shift);
    __m512d a0 = _mm512_setzero_pd(), a1 = _mm512_setzero_pd();
    for (size_t i = 0; i < d; i += 16) {
        const __mmask16 k = tail_mask(d - i);
        const __m512 v = _mm512_maskz_loadu_ps(k, x + i);
        const __m512d lo = _mm512_maskz_sub_pd((__mmask8)k, _mm512_cvtps_pd(_mm512_castps512_ps256(v)), s);
        const __m512d hi = _mm512_maskz_sub_pd((__mmask8)(k >> 8), _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)), s);
        a0 = square ? _mm512_fmadd_pd(lo, lo, a0) : _mm512_add_pd(a0, lo);
        a1 = square ? _mm512_fmadd_pd(hi, hi, a1) : _mm512_add_pd(a1, hi);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(a0, a1));
}

void muse_layernorm_f32_avx512(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d, y += d) {
        const double mean = row_sum(x, d, 0, false) / (double)d, var = row_sum(x, d, mean, true) / (double)d;
        const float m = (float)mean;
        const double rest = mean - (double)m;
        const float scale = (float)(1 / sqrt(var + (double)eps));
        const __m512 vm = _mm512_set1_ps(m), vr = _mm512_set1_ps((float)rest), vs = _mm512_set1_ps(scale);
        for (size_t i = 0; i < d; i += 16) {
            const __mmask16 k = tail_mask(d - i);
            const __m512 c = _mm512_sub_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), vm), vr);
            const __m512 r = _mm512_fmadd_ps(_mm512_mul_ps(c, vs), _mm512_maskz_loadu_ps(k, w + i), _mm512_maskz_loadu_ps(k, b + i));
            _mm512_mask_storeu_ps(y + i, k, r);
        }
    }
}

void muse_rmsnorm_f32_avx512(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += x_stride, y += y_stride) {
        const __m512 scale = _mm512_set1_ps((float)(1 / sqrt(row_sum(x, d, 0, true) / (double)d + (double)eps)));
        for (size_t i = 0; i < d; i += 16) {
            const __mmask16 k = tail_mask(d - i);
            const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, x + i), scale);
            _mm512_mask_storeu_ps(y + i, k, w ? _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, w + i)) : v);
        }
    }
}
