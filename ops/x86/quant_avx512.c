/* SPDX-License-Identifier: Apache-2.0 */
/* Block formats for AVX-512. Contracts: ops/quant.h. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "ops/quant.h"

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

static inline __m512i magnitude(const float *x)
{
    return _mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x)), _mm512_set1_epi32(0x7fffffff));
}

static inline __m512i max_of_lanes(__m512i a, __m512i b)
{
    return _mm512_max_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

/* The largest |x| of each block in its lane, as bits, which order NaN and infinity above the rest */
static inline __m512i block_tops(const float *x)
{
    __m512i t[4];
    for (size_t i = 0; i < 4; i++) {   /* the blocks of 128-bit lane i */
        __m512i m[4];
        for (size_t j = 0; j < 4; j++) m[j] = _mm512_max_epi32(magnitude(x + 32 * (i + 4 * j)), magnitude(x + 32 * (i + 4 * j) + 16));
        const __m512i a = _mm512_max_epi32(_mm512_unpacklo_epi32(m[0], m[1]), _mm512_unpackhi_epi32(m[0], m[1]));
        const __m512i b = _mm512_max_epi32(_mm512_unpacklo_epi32(m[2], m[3]), _mm512_unpackhi_epi32(m[2], m[3]));
        t[i] = _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    }
    return max_of_lanes(max_of_lanes(t[0], t[1]), max_of_lanes(t[2], t[3]));
}

/* Scales of all blocks, by the steps of the C version: d to the group, what to multiply with to `scale`; those that are finite */
static inline __mmask16 group_scales(MuseQ8Group *g, float scale[16], const float *x)
{
    const __m512i tops = block_tops(x);
    const __m512 max = _mm512_castsi512_ps(tops);
    const __mmask16 finite = _mm512_cmplt_epi32_mask(tops, _mm512_set1_epi32(0x7f800000));
    const __mmask16 some = finite & _mm512_cmp_ps_mask(max, _mm512_set1_ps(0x1p-100f), _CMP_GE_OQ);
    const __m512 d = _mm512_maskz_mul_ps(some, max, _mm512_set1_ps(1.0f / 127.0f));
    _mm512_storeu_ps(g->d, _mm512_mask_blend_ps(finite, _mm512_set1_ps(NAN), d));
    _mm512_storeu_ps(scale, _mm512_maskz_div_ps(some, _mm512_set1_ps(127.0f), max));
    return finite;
}

/* Packing puts four bytes of four blocks side by side; then 128-bit lanes are turned. */
static inline void quant_q8_group(MuseQ8Group *g, const float *x)
{
    float scale[16], zeroed[MUSE_Q8_GROUP];
    const __mmask16 finite = group_scales(g, scale, x);
    if (finite != 0xffff) {
        for (size_t i = 0; i < MUSE_Q8_GROUP; i++) zeroed[i] = finite >> muse_q8_lane(i / MUSE_QUANT_BLOCK) & 1 ? x[i] : 0;
        x = zeroed;
    }
    __m512i minus = _mm512_setzero_si512();
    for (size_t half = 0; half < 2; half++) {
        __m512i p[4];   /* 128-bit lane r of p[i]: lane i of row 4 half + r */
        for (size_t i = 0; i < 4; i++) {
            __m512i q[4];
            for (size_t j = 0; j < 4; j++)
                q[j] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 32 * (i + 4 * j) + 16 * half), _mm512_set1_ps(scale[4 * i + j])));
            p[i] = _mm512_packs_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
        }
        const __m512i a = _mm512_shuffle_i32x4(p[0], p[1], 0x44), b = _mm512_shuffle_i32x4(p[0], p[1], 0xee);
        const __m512i c = _mm512_shuffle_i32x4(p[2], p[3], 0x44), d = _mm512_shuffle_i32x4(p[2], p[3], 0xee);
        const __m512i row[4] = { _mm512_shuffle_i32x4(a, c, 0x88), _mm512_shuffle_i32x4(a, c, 0xdd), _mm512_shuffle_i32x4(b, d, 0x88), _mm512_shuffle_i32x4(b, d, 0xdd) };
        for (size_t r = 0; r < 4; r++) {
            _mm512_storeu_si512(g->q[4 * half + r], row[r]);
            minus = _mm512_sub_epi32(minus, _mm512_madd_epi16(_mm512_maddubs_epi16(_mm512_set1_epi8(1), row[r]), _mm512_set1_epi16(1)));
        }
        _mm512_storeu_si512(half ? g->minus_sum : g->minus_low, minus);
    }
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
