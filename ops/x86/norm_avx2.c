/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

#include "ops/norm.h"

static double sum4(__m256d v)
{
    const __m128d t = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(t, _mm_unpackhi_pd(t, t)));
}

/* Sums of x - shift, or of its square, in double: f32 would lose the mean beside one large value, and overflow. */
static double row_sum(const float *x, size_t d, double shift, bool square)
{
    const __m256d s = _mm256_set1_pd(shift);
    __m256d a0 = _mm256_setzero_pd(), a1 = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= d; i += 8) {
        const __m256d u = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + i)), s), v = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + i + 4)), s);
        a0 = square ? _mm256_fmadd_pd(u, u, a0) : _mm256_add_pd(a0, u);
        a1 = square ? _mm256_fmadd_pd(v, v, a1) : _mm256_add_pd(a1, v);
    }
    double sum = sum4(_mm256_add_pd(a0, a1));
    for (; i < d; i++) {
        const double u = (double)x[i] - shift;
        sum += square ? u * u : u;
    }
    return sum;
}

void muse_layernorm_f32_avx2(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d, y += d) {
        const double mean = row_sum(x, d, 0, false) / (double)d, var = row_sum(x, d, mean, true) / (double)d;
        const float m = (float)mean;
        const double rest = mean - (double)m;
        const float scale = (float)(1 / sqrt(var + (double)eps));
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

void muse_rmsnorm_f32_avx2(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += x_stride, y += y_stride) {
        const float scale = (float)(1 / sqrt(row_sum(x, d, 0, true) / (double)d + (double)eps));
        size_t i = 0;
        for (; i + 8 <= d; i += 8) {
            const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale));
            _mm256_storeu_ps(y + i, w ? _mm256_mul_ps(v, _mm256_loadu_ps(w + i)) : v);
        }
        for (; i < d; i++) y[i] = x[i] * scale * (w ? w[i] : 1);
    }
}
