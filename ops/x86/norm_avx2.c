/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>
#include <math.h>

#include "ops/norm.h"

static double sum8(__m256 v)
{
    const __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(v)), hi = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    const __m256d s = _mm256_add_pd(lo, hi);
    const __m128d t = _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1));
    return _mm_cvtsd_f64(_mm_add_sd(t, _mm_unpackhi_pd(t, t)));
}

/* sum of (x - shift)^power, power 1 or 2 */
static double row_sum(const float *x, size_t d, float shift, int power)
{
    const __m256 s = _mm256_set1_ps(shift);
    __m256 a0 = _mm256_setzero_ps(), a1 = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= d; i += 16) {
        const __m256 u = _mm256_sub_ps(_mm256_loadu_ps(x + i), s), v = _mm256_sub_ps(_mm256_loadu_ps(x + i + 8), s);
        a0 = power == 1 ? _mm256_add_ps(a0, u) : _mm256_fmadd_ps(u, u, a0);
        a1 = power == 1 ? _mm256_add_ps(a1, v) : _mm256_fmadd_ps(v, v, a1);
    }
    double sum = sum8(a0) + sum8(a1);
    for (; i < d; i++) {
        const double u = (double)x[i] - (double)shift;
        sum += power == 1 ? u : u * u;
    }
    return sum;
}

void muse_layernorm_f32_avx2(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d, y += d) {
        /* the first value is close enough to the mean to keep the digits of a row with a large offset */
        const float near = d && isfinite(x[0]) ? x[0] : 0.0f;
        const double mean = near + row_sum(x, d, near, 1) / (double)d;
        const float m = (float)mean;
        const double rest = mean - (double)m;
        const double var = row_sum(x, d, m, 2) / (double)d - rest * rest;
        const float scale = (float)(1 / sqrt((var > 0 || var != var ? var : 0) + (double)eps));
        const __m256 vm = _mm256_set1_ps(m), vr = _mm256_set1_ps((float)rest), vs = _mm256_set1_ps(scale);
        size_t i = 0;
        for (; i + 8 <= d; i += 8) {
            const __m256 c = _mm256_sub_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), vm), vr);
            const __m256 r = _mm256_fmadd_ps(_mm256_mul_ps(c, vs), _mm256_loadu_ps(w + i), _mm256_loadu_ps(b + i));
            _mm256_storeu_ps(y + i, r);
        }
        for (; i < d; i++) y[i] = (x[i] - m - (float)rest) * scale * w[i] + b[i];
    }
}
