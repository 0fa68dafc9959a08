/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling for AVX2; what it does is in resize_body.h. Called through ops/resize.h. */
#include <immintrin.h>
#include <string.h>

#include "ops/resize.h"

#define VEC(op) _mm256_##op
#define NAME(name) name##_avx2
#define spread _mm256_broadcastsi128_si256
enum { LANES = 2 };
typedef __m256i Vec;

static inline Vec add_madd(Vec sum, Vec a, Vec b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }

static inline __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

static inline Vec load_lanes(const uint8_t *p, size_t stride)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p)), load16(p + stride), 1);
}

static inline Vec load_grey(const uint8_t *p, size_t stride)
{
    const __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)p), b = _mm_loadl_epi64((const __m128i *)(const void *)(p + stride));
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(a, b));
}

static inline void store_lanes(uint8_t *const *dst, size_t at, Vec v, size_t n, int room)
{
    const __m128i lane[LANES] = { _mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1) };
    for (int r = 0; r < LANES; r++) {
        if (room) {
            _mm_storeu_si128((__m128i *)(void *)(dst[r] + at), lane[r]);
        } else {
            uint8_t bytes[16];
            _mm_storeu_si128((__m128i *)(void *)bytes, lane[r]);
            memcpy(dst[r] + at, bytes, n);
        }
    }
}

static inline Vec load_part(const uint8_t *p, size_t n)
{
    if (n >= sizeof(Vec)) return _mm256_loadu_si256((const Vec *)(const void *)p);
    uint8_t bytes[sizeof(Vec)] = { 0 };
    memcpy(bytes, p, n);
    return _mm256_loadu_si256((const Vec *)(const void *)bytes);
}

static inline void store_part(uint8_t *p, Vec v, size_t n)
{
    uint8_t bytes[sizeof(Vec)];
    _mm256_storeu_si256((Vec *)(void *)(n >= sizeof(Vec) ? p : bytes), v);
    if (n < sizeof(Vec)) memcpy(p, bytes, n);
}

#include "ops/x86/resize_body.h"
