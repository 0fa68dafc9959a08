/* SPDX-License-Identifier: Apache-2.0 */
/* Block formats for AVX-512. Contracts: ops/quant.h. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/quant.h"
#include "ops/x86/quant_q8.h"

#define NAME(op) muse_##op##_avx512

static inline __mmask16 tail_mask(size_t left) { return left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1); }

static inline void put32(float *y, __m256i q, float step0, float step1, float low)
{
    const __m512 a = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_castsi256_si128(q)));
    const __m512 b = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_extracti128_si256(q, 1)));
    const __m512 l = _mm512_set1_ps(low);
    _mm512_storeu_ps(y, _mm512_sub_ps(_mm512_mul_ps(a, _mm512_set1_ps(step0)), l));
    _mm512_storeu_ps(y + 16, _mm512_sub_ps(_mm512_mul_ps(b, _mm512_set1_ps(step1)), l));
}

static inline float quant_q8_block(int8_t *q, const float *x)
{
    const __m512 v0 = _mm512_loadu_ps(x), v1 = _mm512_loadu_ps(x + 16);
    const __m512i abs = _mm512_set1_epi32(0x7fffffff);
    const __m512i a0 = _mm512_and_si512(_mm512_castps_si512(v0), abs), a1 = _mm512_and_si512(_mm512_castps_si512(v1), abs);
    float d;
    const float scale = q8_scale((uint32_t)_mm512_reduce_max_epi32(_mm512_max_epi32(a0, a1)), &d);
    __m512i q0 = _mm512_setzero_si512(), q1 = q0;
    if (scale != 0.0f) {
        q0 = _mm512_cvtps_epi32(_mm512_mul_ps(v0, _mm512_set1_ps(scale)));
        q1 = _mm512_cvtps_epi32(_mm512_mul_ps(v1, _mm512_set1_ps(scale)));
    }
    _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtepi32_epi8(q0));
    _mm_storeu_si128((__m128i *)(void *)(q + 16), _mm512_cvtepi32_epi8(q1));
    return d;
}

#include "ops/x86/quant_body.h"

void muse_dequant_f16_avx512(float *y, const void *x, size_t n)
{
    const uint16_t *p = x;
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 k = tail_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(k, p + i)));
    }
}

void muse_dequant_bf16_avx512(float *y, const void *x, size_t n)
{
    const uint16_t *p = x;
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 k = tail_mask(n - i);
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(k, p + i));
        _mm512_mask_storeu_ps(y + i, k, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
    }
}

void muse_f32_to_bf16_avx512(uint16_t *y, const float *x, size_t n)
{
    const __m512i infinity = _mm512_set1_epi32(0x7f800000), abs = _mm512_set1_epi32(0x7fffffff);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 k = tail_mask(n - i);
        const __m512i u = _mm512_castps_si512(_mm512_maskz_loadu_ps(k, x + i)), high = _mm512_srli_epi32(u, 16);
        const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
        const __m512i near = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
        const __mmask16 nan = _mm512_cmpgt_epi32_mask(_mm512_and_si512(u, abs), infinity);
        const __m512i r = _mm512_mask_or_epi32(near, nan, high, _mm512_set1_epi32(0x40));
        _mm256_mask_storeu_epi16(y + i, k, _mm512_cvtepi32_epi16(r));
    }
}
