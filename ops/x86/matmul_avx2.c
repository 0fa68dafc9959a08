/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix kernels for AVX2, FMA and F16C. Contracts: ops/matmul.h. */
#include <immintrin.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/matmul.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { TILE_ROWS = 4, LANES = MUSE_MATMUL_PANEL };

INLINE float sum8(__m256 v)
{
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 h = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}

INLINE float f16_at(const uint8_t *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
}

/* eight weights; type is a constant */
INLINE __m256 load_w(const uint8_t *w, size_t j, const int type)
{
    if (type == MUSE_WEIGHT_F32) return _mm256_loadu_ps((const float *)(const void *)(w + 4 * j));
    const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(w + 2 * j));
    if (type == MUSE_WEIGHT_F16) return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

INLINE __m256 load_x(const uint8_t *x, size_t j) { return _mm256_loadu_ps((const float *)(const void *)(x + 4 * j)); }

/* One row, `tokens` tokens; four sums of each hide the latency of the multiply-add. The last few weights go through zero-padded
 * copies. */
INLINE void row_f(const MuseRowsArgs *a, size_t i, size_t t, const int tokens, const int type)
{
    const size_t item = type == MUSE_WEIGHT_F32 ? 4 : 2;
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride, *x = (const uint8_t *)a->x + t * a->x_stride;
    __m256 acc[2][4];
    UNROLL for (int p = 0; p < tokens; p++)
        UNROLL for (int u = 0; u < 4; u++) acc[p][u] = _mm256_setzero_ps();
    size_t j = 0;
    for (; j + 32 <= a->k; j += 32)
        UNROLL for (int u = 0; u < 4; u++) {
            const size_t at = j + 8 * (size_t)u;
            const __m256 v = load_w(w, at, type);
            UNROLL for (int p = 0; p < tokens; p++) acc[p][u] = _mm256_fmadd_ps(v, load_x(x + (size_t)p * a->x_stride, at), acc[p][u]);
        }
    for (; j + 8 <= a->k; j += 8) {
        const __m256 v = load_w(w, j, type);
        UNROLL for (int p = 0; p < tokens; p++) acc[p][0] = _mm256_fmadd_ps(v, load_x(x + (size_t)p * a->x_stride, j), acc[p][0]);
    }
    if (j < a->k) {
        uint8_t wr[32] = { 0 };
        memcpy(wr, w + item * j, item * (a->k - j));
        const __m256 v = load_w(wr, 0, type);
        UNROLL for (int p = 0; p < tokens; p++) {
            uint8_t xr[32] = { 0 };
            memcpy(xr, x + (size_t)p * a->x_stride + 4 * j, 4 * (a->k - j));
            acc[p][0] = _mm256_fmadd_ps(v, load_x(xr, 0), acc[p][0]);
        }
    }
    UNROLL for (int p = 0; p < tokens; p++) {
        const __m256 s = _mm256_add_ps(_mm256_add_ps(acc[p][0], acc[p][1]), _mm256_add_ps(acc[p][2], acc[p][3]));
        a->y[(t + (size_t)p) * a->y_stride + i] = sum8(s) + (a->bias ? a->bias[i] : 0.0f);
    }
}

INLINE void rows_f(const MuseRowsArgs *a, const int type)
{
    for (size_t i = 0; i < a->m; i++) {
        size_t t = 0;
        for (; t + 2 <= a->n; t += 2) row_f(a, i, t, 2, type);
        if (t < a->n) row_f(a, i, t, 1, type);
    }
}

void muse_rows_f32_avx2(const MuseRowsArgs *a) { rows_f(a, MUSE_WEIGHT_F32); }
void muse_rows_f16_avx2(const MuseRowsArgs *a) { rows_f(a, MUSE_WEIGHT_F16); }
void muse_rows_bf16_avx2(const MuseRowsArgs *a) { rows_f(a, MUSE_WEIGHT_BF16); }

/* 4 rows x 16 tokens in registers */
INLINE void tile_f32(const MuseTileArgs *a, size_t row, size_t token)
{
    const uint8_t *w = (const uint8_t *)a->w + row * a->w_stride;
    const float *x = (const float *)(const void *)((const uint8_t *)a->x + token / LANES * a->x_panel);
    __m256 acc[TILE_ROWS][2];
    UNROLL for (int r = 0; r < TILE_ROWS; r++) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
    for (size_t j = 0; j < a->k; j++, x += LANES) {
        const __m256 v0 = _mm256_loadu_ps(x), v1 = _mm256_loadu_ps(x + 8);
        UNROLL for (int r = 0; r < TILE_ROWS; r++) {
            const __m256 u = _mm256_broadcast_ss((const float *)(const void *)(w + (size_t)r * a->w_stride + 4 * j));
            acc[r][0] = _mm256_fmadd_ps(u, v0, acc[r][0]);
            acc[r][1] = _mm256_fmadd_ps(u, v1, acc[r][1]);
        }
    }
    float out[TILE_ROWS][LANES];
    UNROLL for (int r = 0; r < TILE_ROWS; r++) {
        _mm256_storeu_ps(out[r], acc[r][0]);
        _mm256_storeu_ps(out[r] + 8, acc[r][1]);
    }
    for (size_t t = 0; t < LANES && token + t < a->n; t++)
        for (size_t r = 0; r < TILE_ROWS && row + r < a->m; r++) {
            float *y = a->y + (token + t) * a->y_stride + row + r;
            const float sum = out[r][t] + (a->bias ? a->bias[row + r] : 0.0f);
            *y = a->add ? *y + sum : sum;
        }
}

void muse_tile_f32_avx2(const MuseTileArgs *a)
{
    for (size_t t = 0; t < a->n; t += LANES)
        for (size_t i = 0; i < a->m; i += TILE_ROWS) tile_f32(a, i, t);
}

/* 8 rows x 8 words turned in registers; the rest word by word */
void muse_matmul_pack_avx2(uint32_t *panel, const void *rows, size_t stride, size_t words, size_t n)
{
    size_t w = 0;
    for (; w + 8 <= words; w += 8)
        for (size_t half = 0; half < 2; half++) {
            __m256 r[8], s[8];
            UNROLL for (size_t t = 0; t < 8; t++) {
                const float *from = (const float *)(const void *)((const uint8_t *)rows + (8 * half + t) * stride + 4 * w);
                r[t] = 8 * half + t < n ? _mm256_loadu_ps(from) : _mm256_setzero_ps();
            }
            UNROLL for (int t = 0; t < 8; t += 4) {   /* s[t + i], lane L: word 4 L + i of rows t .. t + 3 */
                const __m256 a = _mm256_unpacklo_ps(r[t], r[t + 1]), b = _mm256_unpackhi_ps(r[t], r[t + 1]);
                const __m256 c = _mm256_unpacklo_ps(r[t + 2], r[t + 3]), d = _mm256_unpackhi_ps(r[t + 2], r[t + 3]);
                s[t] = _mm256_shuffle_ps(a, c, 0x44);
                s[t + 1] = _mm256_shuffle_ps(a, c, 0xee);
                s[t + 2] = _mm256_shuffle_ps(b, d, 0x44);
                s[t + 3] = _mm256_shuffle_ps(b, d, 0xee);
            }
            UNROLL for (size_t i = 0; i < 4; i++) {
                _mm256_storeu_ps((float *)(void *)(panel + (w + i) * LANES + 8 * half), _mm256_permute2f128_ps(s[i], s[4 + i], 0x20));
                _mm256_storeu_ps((float *)(void *)(panel + (w + 4 + i) * LANES + 8 * half), _mm256_permute2f128_ps(s[i], s[4 + i], 0x31));
            }
        }
    if (w < words) muse_matmul_pack_c(panel + w * LANES, (const uint8_t *)rows + 4 * w, stride, words - w, n);
}

void muse_fetch_q8_0_avx2(uint8_t *q, float *d, const void *w, size_t n)
{
    const uint8_t *p = w;
    for (size_t b = 0; b < n / 32; b++, p += MUSE_Q8_0_BYTES, q += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + 2));
        d[b] = f16_at(p);
        _mm256_storeu_si256((__m256i *)(void *)q, _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80)));
    }
}

void muse_fetch_q4_0_avx2(uint8_t *q, float *d, const void *w, size_t n)
{
    const uint8_t *p = w;
    for (size_t b = 0; b < n / 32; b++, p += MUSE_Q4_0_BYTES, q += 32) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 2));
        const __m256i nibbles = _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(v, 4), v), _mm256_set1_epi8(15));
        d[b] = f16_at(p);
        _mm256_storeu_si256((__m256i *)(void *)q, _mm256_add_epi8(nibbles, _mm256_set1_epi8(120)));
    }
}
