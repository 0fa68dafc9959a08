/* SPDX-License-Identifier: Apache-2.0 */
/* Pixel kernels for AVX2; contracts in ops/pixel.h, whose C versions take the tails. */
#include <immintrin.h>
#include <string.h>

#include "ops/pixel.h"

static inline __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }
static inline void store16(uint8_t *p, __m128i v) { _mm_storeu_si128((__m128i *)(void *)p, v); }
static inline __m256i load32(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

void muse_grey_to_rgb_u8_avx2(uint8_t *rgb, const uint8_t *grey, size_t n)
{
    const __m128i a = _mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
    const __m128i b = _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10);
    const __m128i c = _mm_setr_epi8(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m128i v = load16(grey + i);
        store16(rgb + 3 * i, _mm_shuffle_epi8(v, a));
        store16(rgb + 3 * i + 16, _mm_shuffle_epi8(v, b));
        store16(rgb + 3 * i + 32, _mm_shuffle_epi8(v, c));
    }
    muse_grey_to_rgb_u8_c(rgb + 3 * i, grey + i, n - i);
}

/* 8 pixels of 4 bytes, the fourth of no meaning, to 24 bytes; 28 are written */
static inline void store_rgb(uint8_t *rgb, __m256i v)
{
    const __m256i squeeze = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    v = _mm256_shuffle_epi8(v, squeeze);
    store16(rgb, _mm256_castsi256_si128(v));
    store16(rgb + 12, _mm256_extracti128_si256(v, 1));
}

void muse_rgba_drop_rgb_u8_avx2(uint8_t *rgb, const uint8_t *rgba, size_t n)
{
    size_t i = 0;
    for (; i + 10 <= n; i += 8) store_rgb(rgb + 3 * i, load32(rgba + 4 * i));   /* 10: room for the 4 bytes beyond */
    muse_rgba_drop_rgb_u8_c(rgb + 3 * i, rgba + 4 * i, n - i);
}

/* v / 255 to the nearest, v <= 255 * 255: exact there, as checkops proves for every product */
static inline __m256i div255(__m256i v)
{
    v = _mm256_add_epi16(v, _mm256_set1_epi16(128));
    return _mm256_srli_epi16(_mm256_add_epi16(v, _mm256_srli_epi16(v, 8)), 8);
}

/* 16-bit c * a + b * (255 - a) over 255, of 4 pixels in 16-bit lanes */
static inline __m256i over(__m256i c, __m256i background)
{
    const __m256i a = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(c, 0xff), 0xff);
    const __m256i rest = _mm256_sub_epi16(_mm256_set1_epi16(255), a);
    return div255(_mm256_add_epi16(_mm256_mullo_epi16(c, a), _mm256_mullo_epi16(background, rest)));
}

void muse_rgba_over_rgb_u8_avx2(uint8_t *rgb, const uint8_t *rgba, size_t n, const uint8_t background[3])
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i bg = _mm256_set1_epi64x((long long)(background[0] | (uint64_t)background[1] << 16 | (uint64_t)background[2] << 32));
    size_t i = 0;
    for (; i + 10 <= n; i += 8) {
        const __m256i v = load32(rgba + 4 * i);
        const __m256i lo = over(_mm256_unpacklo_epi8(v, zero), bg), hi = over(_mm256_unpackhi_epi8(v, zero), bg);
        store_rgb(rgb + 3 * i, _mm256_packus_epi16(lo, hi));
    }
    muse_rgba_over_rgb_u8_c(rgb + 3 * i, rgba + 4 * i, n - i, background);
}

static inline __m256i times_fourth(__m256i c)
{
    return div255(_mm256_mullo_epi16(c, _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(c, 0xff), 0xff)));
}

void muse_cmyk_to_rgb_u8_avx2(uint8_t *rgb, const uint8_t *cmyk, size_t n, int inverted)
{
    const __m256i zero = _mm256_setzero_si256(), flip = _mm256_set1_epi8(inverted ? 0 : -1);
    size_t i = 0;
    for (; i + 10 <= n; i += 8) {
        const __m256i v = _mm256_xor_si256(load32(cmyk + 4 * i), flip);
        const __m256i lo = times_fourth(_mm256_unpacklo_epi8(v, zero)), hi = times_fourth(_mm256_unpackhi_epi8(v, zero));
        store_rgb(rgb + 3 * i, _mm256_packus_epi16(lo, hi));
    }
    muse_cmyk_to_rgb_u8_c(rgb + 3 * i, cmyk + 4 * i, n - i, inverted);
}

void muse_u8_to_f32_avx2(float *y, const uint8_t *x, size_t n, float scale, float offset)
{
    const __m256 s = _mm256_set1_ps(scale), o = _mm256_set1_ps(offset);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256 v = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(x + i))));
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_mul_ps(v, s), o));   /* two roundings, as in C: no FMA */
    }
    muse_u8_to_f32_c(y + i, x + i, n - i, scale, offset);
}

void muse_cut_patches_f32_avx2(float *out, const MusePatchCut *cut, size_t n)
{
    const size_t row = cut->unit * 3;
    for (size_t i = cut->first; i < cut->first + n; i++) {
        const uint8_t *corner = cut->rgb + i / cut->grid_width * cut->unit * cut->stride + i % cut->grid_width * row;
        for (size_t y = 0; y < cut->unit; y++, out += row) muse_u8_to_f32_avx2(out, corner + y * cut->stride, row, cut->scale, cut->offset);
    }
}
