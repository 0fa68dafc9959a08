/* SPDX-License-Identifier: Apache-2.0 */
/* Scales of two K super-blocks at once, one of each of 16 sub-blocks in the order of muse_q8_lane(). Layouts: docs/ops/quant.md.
 * Users: matmul_rows_vnni.c, matmul_rows_avx2.c. */
#ifndef OPS_X86_MATMUL_K_H
#define OPS_X86_MATMUL_K_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static inline __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }
static inline __m256i load32(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

/* Q4_K and Q5_K: d and dmin of p, then of other; their 6-bit scales and minima as bytes. Words of the 16 bytes at p: d and dmin,
 * then s[0..3], s[4..7], s[8..11] of muse_k_scale_min(). */
static inline __m128 k_scales(const uint8_t *p, const uint8_t *other, __m128i *scale, __m128i *min)
{
    const __m128i a = load16(p), b = load16(other);
    const __m128i low = _mm_unpacklo_epi32(a, b), high = _mm_unpackhi_epi32(a, b);
    const __m128i s = _mm_alignr_epi8(high, low, 8), last = _mm_unpackhi_epi64(high, high);   /* s: bytes 0..3 of both, 4..7 of both */
    const __m128i below4 = _mm_and_si128(s, _mm_set1_epi8(63));
    const __m128i four = _mm_and_si128(_mm_srlv_epi32(last, _mm_setr_epi32(0, 0, 4, 4)), _mm_set1_epi8(15));
    const __m128i from4 = _mm_or_si128(four, _mm_and_si128(_mm_srli_epi16(s, 2), _mm_set1_epi8(0x30)));
    const __m128i order = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    *scale = _mm_shuffle_epi8(_mm_unpacklo_epi8(below4, from4), order);
    *min = _mm_shuffle_epi8(_mm_unpackhi_epi8(below4, from4), order);
    return _mm_cvtph_ps(low);
}

/* the f16 at p twice, then the one at other twice */
static inline __m128 two_f16(const uint8_t *p, const uint8_t *other)
{
    uint16_t a, b;
    memcpy(&a, p, sizeof a);
    memcpy(&b, other, sizeof b);
    const __m128 v = _mm_cvtph_ps(_mm_cvtsi32_si128((int)(a | (uint32_t)b << 16)));
    return _mm_unpacklo_ps(v, v);
}

#endif
