/* SPDX-License-Identifier: Apache-2.0 */
/* Log-mel kernels for AVX2. Contracts: ops/mel.h. */
#include <immintrin.h>
#include <math.h>

#include "ops/mel.h"

static inline __m256i tail_mask(size_t left)   /* first `left` lanes of 8 */
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left > 8 ? 8 : (int)left), lane);
}

void muse_mel_window_f32_avx2(float *y, const float *x, const float *w, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(w + i)));
    for (; i < n; i++) y[i] = x[i] * w[i];
}

void muse_mel_power_f32_avx2(float *p, const float *c, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 a = _mm256_loadu_ps(c + 2 * i), b = _mm256_loadu_ps(c + 2 * i + 8);
        /* hadd works within 128-bit halves: the quarters come out as 0 2 1 3 */
        const __m256 s = _mm256_hadd_ps(_mm256_mul_ps(a, a), _mm256_mul_ps(b, b));
        _mm256_storeu_ps(p + i, _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(s), 0xd8)));
    }
    for (; i < n; i++) p[i] = c[2 * i] * c[2 * i] + c[2 * i + 1] * c[2 * i + 1];
}

static inline float sum8(__m256 v)
{
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 h = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}

void muse_mel_bands_f32_avx2(float *y, const float *p, const MuseMelBank *bank)
{
    for (size_t b = 0; b < bank->bands; b++) {
        const float *w = bank->weight + bank->at[b], *q = p + bank->first[b];
        const size_t n = bank->len[b];
        __m256 sum = _mm256_setzero_ps();
        size_t k = 0;
        for (; k + 8 <= n; k += 8) sum = _mm256_fmadd_ps(_mm256_loadu_ps(w + k), _mm256_loadu_ps(q + k), sum);
        if (k < n) {
            const __m256i m = tail_mask(n - k);
            sum = _mm256_fmadd_ps(_mm256_maskload_ps(w + k, m), _mm256_maskload_ps(q + k, m), sum);
        }
        y[b] = sum8(sum);
    }
}

/* x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.1716: the series'
 * terms up to s^9 leave 2e-9 of ln m. e * log10(2) in two parts: the first has 12 bits, so its product is exact. */
static inline __m256 log10_8(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i off = _mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3));       /* sqrt(1/2) */
    const __m256 e = _mm256_cvtepi32_ps(_mm256_srai_epi32(off, 23));
    const __m256i frac = _mm256_and_si256(off, _mm256_set1_epi32(0x007fffff));
    const __m256 m = _mm256_castsi256_ps(_mm256_add_epi32(frac, _mm256_set1_epi32(0x3f3504f3)));
    const __m256 f = _mm256_sub_ps(m, one);
    const __m256 s = _mm256_div_ps(f, _mm256_add_ps(m, one)), z = _mm256_mul_ps(s, s);
    __m256 t = _mm256_fmadd_ps(z, _mm256_set1_ps(2.0f / 9.0f), _mm256_set1_ps(2.0f / 7.0f));
    t = _mm256_fmadd_ps(z, t, _mm256_set1_ps(2.0f / 5.0f));
    t = _mm256_mul_ps(z, _mm256_fmadd_ps(z, t, _mm256_set1_ps(2.0f / 3.0f)));
    /* 2s = f - s f exactly, which keeps the leading term free of the division's rounding */
    const __m256 ln = _mm256_fmadd_ps(s, _mm256_sub_ps(t, f), f);
    const __m256 low = _mm256_fmadd_ps(e, _mm256_set1_ps(4.6050390e-6f), _mm256_mul_ps(ln, _mm256_set1_ps(0.43429448f)));
    return _mm256_fmadd_ps(e, _mm256_set1_ps(0.301025390625f), low);
}

static inline __m256 floored_log10(__m256 x)
{
    const __m256 inf = _mm256_set1_ps(INFINITY);
    const __m256 r = _mm256_blendv_ps(log10_8(x), inf, _mm256_cmp_ps(x, inf, _CMP_EQ_OQ));
    return _mm256_blendv_ps(_mm256_set1_ps(-10.0f), r, _mm256_cmp_ps(x, _mm256_set1_ps(1e-10f), _CMP_GT_OQ));
}

void muse_mel_log10_f32_avx2(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, floored_log10(_mm256_loadu_ps(x + i)));
    if (i < n) {
        const __m256i m = tail_mask(n - i);
        _mm256_maskstore_ps(y + i, m, floored_log10(_mm256_maskload_ps(x + i, m)));
    }
}
