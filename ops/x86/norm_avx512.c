/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>
#include <math.h>

#include "ops/norm.h"

static inline __mmask16 tail_mask(size_t left) { return left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1); }

/* sum of (x - shift)^power, power 1 or 2; masked lanes add nothing */
static double row_sum(const float *x, size_t d, float shift, int power)
{
    const __m512 s = _mm512_set1_ps(shift);
    __m512 a0 = _mm512_setzero_ps(), a1 = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 32 <= d; i += 32) {
        const __m512 u = _mm512_sub_ps(_mm512_loadu_ps(x + i), s), v = _mm512_sub_ps(_mm512_loadu_ps(x + i + 16), s);
        a0 = power == 1 ? _mm512_add_ps(a0, u) : _mm512_fmadd_ps(u, u, a0);
        a1 = power == 1 ? _mm512_add_ps(a1, v) : _mm512_fmadd_ps(v, v, a1);
    }
    for (; i < d; i += 16) {
        const __mmask16 k = tail_mask(d - i);
        const __m512 u = _mm512_maskz_sub_ps(k, _mm512_maskz_loadu_ps(k, x + i), s);
        a0 = power == 1 ? _mm512_add_ps(a0, u) : _mm512_fmadd_ps(u, u, a0);
    }
    const __m512 a = _mm512_add_ps(a0, a1);
    const __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(a)), hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
    return _mm512_reduce_add_pd(_mm512_add_pd(lo, hi));
}

void muse_layernorm_f32_avx512(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d, y += d) {
        /* the first value is close enough to the mean to keep the digits of a row with a large offset */
        const float near = d && isfinite(x[0]) ? x[0] : 0.0f;
        const double mean = near + row_sum(x, d, near, 1) / (double)d;
        const float m = (float)mean;
        const double rest = mean - (double)m;
        const double var = row_sum(x, d, m, 2) / (double)d - rest * rest;
        const float scale = (float)(1 / sqrt((var > 0 || var != var ? var : 0) + (double)eps));
        const __m512 vm = _mm512_set1_ps(m), vr = _mm512_set1_ps((float)rest), vs = _mm512_set1_ps(scale);
        for (size_t i = 0; i < d; i += 16) {
            const __mmask16 k = tail_mask(d - i);
            const __m512 c = _mm512_sub_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), vm), vr);
            const __m512 r = _mm512_fmadd_ps(_mm512_mul_ps(c, vs), _mm512_maskz_loadu_ps(k, w + i), _mm512_maskz_loadu_ps(k, b + i));
            _mm512_mask_storeu_ps(y + i, k, r);
        }
    }
}
