/* SPDX-License-Identifier: Apache-2.0 */
/* Block formats for AVX2. Contracts: ops/quant.h. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/quant.h"
#include "ops/x86/quant_q8.h"

#define NAME(op) muse_##op##_avx2

static inline void put16(float *y, __m128i q, float step, float low)
{
    const __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)), b = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8)));
    const __m256 s = _mm256_set1_ps(step), l = _mm256_set1_ps(low);
    _mm256_storeu_ps(y, _mm256_sub_ps(_mm256_mul_ps(a, s), l));
    _mm256_storeu_ps(y + 8, _mm256_sub_ps(_mm256_mul_ps(b, s), l));
}

static inline void put32(float *y, __m256i q, float step0, float step1, float low)
{
    put16(y, _mm256_castsi256_si128(q), step0, low);
    put16(y + 16, _mm256_extracti128_si256(q, 1), step1, low);
}

static inline int reduce_max(__m256i v)
{
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

/* sixteen 32-bit values, which fit, to bytes */
static inline __m128i pack16(__m256i a, __m256i b)
{
    const __m256i h = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    return _mm_packs_epi16(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

static inline float quant_q8_block(int8_t *out, const float *x)
{
    __m256i top = _mm256_setzero_si256(), q[4] = { top, top, top, top };
    for (int i = 0; i < 4; i++)
        top = _mm256_max_epi32(top, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + 8 * i)), _mm256_set1_epi32(0x7fffffff)));
    float d;
    const float scale = q8_scale((uint32_t)reduce_max(top), &d);
    if (scale != 0.0f)
        for (int i = 0; i < 4; i++) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(scale)));
    _mm_storeu_si128((__m128i *)(void *)out, pack16(q[0], q[1]));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), pack16(q[2], q[3]));
    return d;
}

/* Four blocks of a 128-bit lane are turned together, four bytes at a time. */
static inline void quant_q8_group(MuseQ8Group *g, const float *x)
{
    int8_t q[MUSE_Q8_GROUP];
    for (size_t b = 0; b < MUSE_Q8_GROUP / MUSE_QUANT_BLOCK; b++)
        g->d[muse_q8_lane(b)] = quant_q8_block(q + MUSE_QUANT_BLOCK * b, x + MUSE_QUANT_BLOCK * b);
    for (size_t l = 0; l < 4; l++) {
        __m128i minus = _mm_setzero_si128();
        for (size_t half = 0; half < 2; half++) {
            const __m128i *from = (const __m128i *)(const void *)(q + 32 * l + 16 * half);   /* the next is four blocks on */
            const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 8), c = _mm_loadu_si128(from + 16), d = _mm_loadu_si128(from + 24);
            const __m128i ab0 = _mm_unpacklo_epi32(a, b), ab1 = _mm_unpackhi_epi32(a, b), cd0 = _mm_unpacklo_epi32(c, d), cd1 = _mm_unpackhi_epi32(c, d);
            const __m128i turned[4] = { _mm_unpacklo_epi64(ab0, cd0), _mm_unpackhi_epi64(ab0, cd0), _mm_unpacklo_epi64(ab1, cd1), _mm_unpackhi_epi64(ab1, cd1) };
            for (size_t j = 0; j < 4; j++) {
                _mm_storeu_si128((__m128i *)(void *)(g->q[4 * half + j] + 16 * l), turned[j]);
                minus = _mm_sub_epi32(minus, _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), turned[j]), _mm_set1_epi16(1)));
            }
            _mm_storeu_si128((__m128i *)(void *)((half ? g->minus_sum : g->minus_low) + 4 * l), minus);
        }
    }
}

#include "ops/x86/quant_body.h"

void muse_dequant_f16_avx2(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i))));
    for (; i < n; i++) y[i] = f16_at(p + 2 * i);
}

void muse_dequant_bf16_avx2(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i)));
        _mm256_storeu_ps(y + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    for (; i < n; i++) y[i] = muse_bf16_f32((MuseBf16)(p[2 * i] | p[2 * i + 1] << 8));
}

void muse_f32_to_bf16_avx2(uint16_t *y, const float *x, size_t n)
{
    const __m256i infinity = _mm256_set1_epi32(0x7f800000), abs = _mm256_set1_epi32(0x7fffffff);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256i u = _mm256_castps_si256(_mm256_loadu_ps(x + i)), high = _mm256_srli_epi32(u, 16);
        const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
        const __m256i near = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
        const __m256i nan = _mm256_cmpgt_epi32(_mm256_and_si256(u, abs), infinity);
        const __m256i r = _mm256_blendv_epi8(near, _mm256_or_si256(high, _mm256_set1_epi32(0x40)), nan);
        const __m256i h = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)(y + i), _mm256_castsi256_si128(h));
    }
    for (; i < n; i++) y[i] = muse_f32_bf16(x[i]);
}
