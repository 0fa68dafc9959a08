/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling for AVX-512 BW; what it does is in resize_body.h. Called through ops/resize.h. */
#include <immintrin.h>

#include "ops/resize.h"

#define NAME(name) name##_avx512
#define VEC(op) _mm512_##op
#define spread _mm512_broadcast_i32x4
enum { LANES = 4 };
typedef __m512i Vec;

static inline Vec add_madd(Vec sum, Vec a, Vec b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }

static inline __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

static inline Vec load_lanes(const uint8_t *p, size_t stride)
{
    Vec v = _mm512_castsi128_si512(load16(p));
    v = _mm512_inserti32x4(v, load16(p + stride), 1);
    v = _mm512_inserti32x4(v, load16(p + 2 * stride), 2);
    return _mm512_inserti32x4(v, load16(p + 3 * stride), 3);
}

/* 8 bytes each at p and q */
static inline __m128i load8_8(const uint8_t *p, const uint8_t *q)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p), _mm_loadl_epi64((const __m128i *)(const void *)q));
}

static inline Vec load_grey(const uint8_t *p, size_t stride)
{
    const __m128i low = load8_8(p, p + stride), high = load8_8(p + 2 * stride, p + 3 * stride);
    return _mm512_cvtepu8_epi16(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
}

static inline void store_lanes(uint8_t *const *dst, size_t at, Vec v, size_t n, int room)
{
    const __m128i lane[LANES] = { _mm512_castsi512_si128(v), _mm512_extracti32x4_epi32(v, 1), _mm512_extracti32x4_epi32(v, 2), _mm512_extracti32x4_epi32(v, 3) };
    const __mmask16 k = (__mmask16)((1u << n) - 1);
    for (int r = 0; r < LANES; r++) {
        if (room) _mm_storeu_si128((__m128i *)(void *)(dst[r] + at), lane[r]);
        else _mm_mask_storeu_epi8(dst[r] + at, k, lane[r]);
    }
}

static inline __mmask64 first_bytes(size_t n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }
static inline Vec load_part(const uint8_t *p, size_t n) { return _mm512_maskz_loadu_epi8(first_bytes(n), p); }
static inline void store_part(uint8_t *p, Vec v, size_t n) { _mm512_mask_storeu_epi8(p, first_bytes(n), v); }

#include "ops/x86/resize_body.h"
