/* SPDX-License-Identifier: Apache-2.0 */
/* What the AVX-512 matrix kernels share: unrolling, and the tile loop, in which only the multiply-add differs.
 * Users: the other matmul files of AVX-512 and AMX. */
#ifndef OPS_X86_MATMUL_512_H
#define OPS_X86_MATMUL_512_H

#include <immintrin.h>
#include <string.h>

#include "ops/matmul.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 8, LANES = MUSE_MATMUL_PANEL };

/* Bytes that a row kernel asks for ahead of its reads: rows lie one after another, so this runs on into the next row.
 * Chosen by measurement, docs/ops/matmul.md. */
enum { AHEAD = 8192 };

/* Weights are read once: the hint keeps them from driving x out of the caches. */
INLINE void prefetch(const uint8_t *p) { _mm_prefetch((const char *)p, _MM_HINT_NTA); }

INLINE void prefetch_l2(const uint8_t *p) { _mm_prefetch((const char *)p, _MM_HINT_T1); }

/* Lines of the next block of weights, asked for while this one is worked on: eight rows, a column of 64 bytes at a time. The
 * first tokens' pass over the rows asks; later ones, and columns past the end, touch the line they stand on again. */
typedef struct Ahead {
    const uint8_t *at, *end, *idle;
    size_t stride;
} Ahead;

INLINE Ahead ahead_of(const MuseTileArgs *a, size_t row, size_t token)
{
    Ahead h = { NULL, NULL, (const uint8_t *)a->w, 0 };
    if (a->ahead && token == 0) {
        h.at = (const uint8_t *)a->ahead + row * a->ahead_stride;
        h.end = h.at + a->ahead_bytes;
        h.stride = a->ahead_stride;
    }
    return h;
}

INLINE const uint8_t *ahead_column(Ahead *h)
{
    const uint8_t *line = h->at;
    if (line >= h->end) {
        h->stride = 0;
        return h->idle;
    }
    h->at += 64;
    return line;
}

/* One panel of results, 8 rows of 16 tokens, turned and written: y[t * stride + r], for the first `tokens` and `rows` */
INLINE void put_panel(float *y, size_t stride, const __m512 s[ROWS], size_t rows, size_t tokens, const float *bias, bool add)
{
    float out[LANES * ROWS];
    UNROLL for (int half = 0; half < 2; half++) {
        const __m512 *r = s + 4 * half;
        const __m512 a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
        const __m512 c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
        const __m512d p[4] = {   /* lane L of p[i]: four rows of token 4 L + i */
            _mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(c)), _mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(c)),
            _mm512_unpacklo_pd(_mm512_castps_pd(b), _mm512_castps_pd(d)), _mm512_unpackhi_pd(_mm512_castps_pd(b), _mm512_castps_pd(d)) };
        UNROLL for (int i = 0; i < 4; i++) {
            const __m512 v = _mm512_castpd_ps(p[i]);
            _mm_storeu_ps(out + ROWS * i + 4 * half, _mm512_castps512_ps128(v));
            _mm_storeu_ps(out + ROWS * (4 + i) + 4 * half, _mm512_extractf32x4_ps(v, 1));
            _mm_storeu_ps(out + ROWS * (8 + i) + 4 * half, _mm512_extractf32x4_ps(v, 2));
            _mm_storeu_ps(out + ROWS * (12 + i) + 4 * half, _mm512_extractf32x4_ps(v, 3));
        }
    }
    const __mmask8 k = (__mmask8)((1u << rows) - 1);
    const __m256 b = bias ? _mm256_maskz_loadu_ps(k, bias) : _mm256_setzero_ps();
    for (size_t t = 0; t < tokens; t++) {
        __m256 v = _mm256_add_ps(_mm256_loadu_ps(out + ROWS * t), b);
        if (add) v = _mm256_add_ps(v, _mm256_maskz_loadu_ps(k, y + t * stride));
        _mm256_mask_storeu_ps(y + t * stride, k, v);
    }
}

/* put_panel for the sums of rows row .. row + 7 and the panel at `token` */
INLINE void put_tile(const MuseTileArgs *a, const __m512 s[ROWS], size_t row, size_t token)
{
    const size_t rows = a->m - row, tokens = a->n - token;
    put_panel(a->y + token * a->y_stride + row, a->y_stride, s, rows < ROWS ? rows : ROWS, tokens < LANES ? tokens : LANES,
              a->bias ? a->bias + row : NULL, a->add);
}

/* 16 vectors of 16 words turned: word w of vector v becomes word v of vector w. Pairs, pairs of pairs, then 128-bit lanes twice. */
INLINE void turn_words(__m512i r[16])
{
    __m512i s[16];
    UNROLL for (int t = 0; t < 16; t += 2) {
        s[t] = _mm512_unpacklo_epi32(r[t], r[t + 1]);
        s[t + 1] = _mm512_unpackhi_epi32(r[t], r[t + 1]);
    }
    UNROLL for (int t = 0; t < 16; t += 4)   /* r[t + i], lane L: word 4 L + i of vectors t .. t + 3 */
        UNROLL for (int i = 0; i < 2; i++) {
            r[t + 2 * i] = _mm512_unpacklo_epi64(s[t + i], s[t + 2 + i]);
            r[t + 2 * i + 1] = _mm512_unpackhi_epi64(s[t + i], s[t + 2 + i]);
        }
    UNROLL for (int i = 0; i < 4; i++) {
        const __m512i a = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x44), b = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xee);
        const __m512i c = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x44), d = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xee);
        s[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        s[4 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
        s[8 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
        s[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
    UNROLL for (int w = 0; w < 16; w++) r[w] = s[w];
}

/* Sums of rows row .. row + 15, 16 tokens each, turned and written: a token's sums fill a line of y */
INLINE void put_square(const MuseTileArgs *a, const float (*from)[LANES], size_t row, size_t token)
{
    const size_t rows = a->m - row, left = a->n - token, tokens = left < LANES ? left : LANES;
    const __mmask16 k = (__mmask16)(rows < 16 ? (1u << rows) - 1 : 0xffff);
    const __m512 bias = a->bias ? _mm512_maskz_loadu_ps(k, a->bias + row) : _mm512_setzero_ps();
    float *y = a->y + token * a->y_stride + row;
    __m512i s[16];
    UNROLL for (int r = 0; r < 16; r++) s[r] = _mm512_loadu_si512(from[r]);
    turn_words(s);
    UNROLL for (size_t t = 0; t < 16; t++, y += a->y_stride) {
        if (t >= tokens) break;
        __m512 v = _mm512_add_ps(_mm512_castsi512_ps(s[t]), bias);
        if (a->add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(k, y));
        _mm512_mask_storeu_ps(y, k, v);
    }
}

#endif
