/* SPDX-License-Identifier: Apache-2.0 */
/* Log-mel kernels for AVX-512. Contracts: ops/mel.h. */
#include <immintrin.h>
#include <math.h>

#include "ops/mel.h"

static inline __mmask16 tail_mask(size_t left) { return left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1); }

void muse_mel_window_f32_avx512(float *y, const float *x, const float *w, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 k = tail_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(_mm512_maskz_loadu_ps(k, x + i), _mm512_maskz_loadu_ps(k, w + i)));
    }
}

void muse_mel_power_f32_avx512(float *p, const float *c, size_t n)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    for (size_t i = 0; i < n; i += 16) {
        const size_t floats = 2 * (n - i);
        const __m512 a = _mm512_maskz_loadu_ps(tail_mask(floats), c + 2 * i);
        const __m512 b = floats > 16 ? _mm512_maskz_loadu_ps(tail_mask(floats - 16), c + 2 * i + 16) : _mm512_setzero_ps();
        const __m512 re = _mm512_permutex2var_ps(a, even, b), im = _mm512_permutex2var_ps(a, odd, b);
        _mm512_mask_storeu_ps(p + i, tail_mask(n - i), _mm512_fmadd_ps(re, re, _mm512_mul_ps(im, im)));
    }
}

/* most bands of a usual bank: half the width has half the sum to fold */
static inline float short_band(const float *w, const float *q, size_t n)
{
    const __mmask8 m = (__mmask8)((1u << n) - 1);
    const __m256 v = _mm256_mul_ps(_mm256_maskz_loadu_ps(m, w), _mm256_maskz_loadu_ps(m, q));
    const __m128 h = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)), d = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

void muse_mel_bands_f32_avx512(float *y, const float *p, const MuseMelBank *bank)
{
    for (size_t b = 0; b < bank->bands; b++) {
        const float *w = bank->weight + bank->at[b], *q = p + bank->first[b];
        const size_t n = bank->len[b];
        if (n <= 8) {
            y[b] = short_band(w, q, n);
            continue;
        }
        __m512 sum = _mm512_setzero_ps();
        for (size_t k = 0; k < n; k += 16) {
            const __mmask16 m = tail_mask(n - k);
            sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, w + k), _mm512_maskz_loadu_ps(m, q + k), sum);
        }
        y[b] = _mm512_reduce_add_ps(sum);
    }
}

/* The same steps as the AVX2 variant, where they are explained. */
static inline __m512 log10_16(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512i off = _mm512_sub_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x3f3504f3));   /* sqrt(1/2) */
    const __m512 e = _mm512_cvtepi32_ps(_mm512_srai_epi32(off, 23));
    const __m512i frac = _mm512_and_si512(off, _mm512_set1_epi32(0x007fffff));
    const __m512 m = _mm512_castsi512_ps(_mm512_add_epi32(frac, _mm512_set1_epi32(0x3f3504f3)));
    const __m512 f = _mm512_sub_ps(m, one);
    const __m512 s = _mm512_div_ps(f, _mm512_add_ps(m, one)), z = _mm512_mul_ps(s, s);
    __m512 t = _mm512_fmadd_ps(z, _mm512_set1_ps(2.0f / 9.0f), _mm512_set1_ps(2.0f / 7.0f));
    t = _mm512_fmadd_ps(z, t, _mm512_set1_ps(2.0f / 5.0f));
    t = _mm512_mul_ps(z, _mm512_fmadd_ps(z, t, _mm512_set1_ps(2.0f / 3.0f)));
    const __m512 ln = _mm512_fmadd_ps(s, _mm512_sub_ps(t, f), f);
    const __m512 low = _mm512_fmadd_ps(e, _mm512_set1_ps(4.6050390e-6f), _mm512_mul_ps(ln, _mm512_set1_ps(0.43429448f)));
    return _mm512_fmadd_ps(e, _mm512_set1_ps(0.301025390625f), low);
}

void muse_mel_log10_f32_avx512(float *y, const float *x, size_t n)
{
    const __m512 inf = _mm512_set1_ps(INFINITY);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 k = tail_mask(n - i);
        const __m512 v = _mm512_maskz_loadu_ps(k, x + i);
        const __m512 r = _mm512_mask_mov_ps(log10_16(v), _mm512_cmp_ps_mask(v, inf, _CMP_EQ_OQ), inf);
        const __mmask16 above = _mm512_cmp_ps_mask(v, _mm512_set1_ps(1e-10f), _CMP_GT_OQ);
        _mm512_mask_storeu_ps(y + i, k, _mm512_mask_mov_ps(_mm512_set1_ps(-10.0f), above, r));
    }
}
