/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix kernels for AVX-512 without further extensions. Contracts: ops/matmul.h. */
#include "ops/x86/matmul_512.h"

INLINE __m512 mul_add(__m512 acc, __m512i w, __m512i x) { return _mm512_fmadd_ps(_mm512_castsi512_ps(w), _mm512_castsi512_ps(x), acc); }

#include "ops/x86/matmul_words.h"

void muse_tile_f32_avx512(const MuseTileArgs *a) { tile_all(a, a->k); }

/* weights j .. j + 15 of a row, those of the mask; type is a constant */
INLINE __m512 load_w(const uint8_t *w, size_t j, __mmask16 k, const int type)
{
    if (type == MUSE_WEIGHT_F32) return _mm512_maskz_loadu_ps(k, w + 4 * j);
    const __m256i h = _mm256_maskz_loadu_epi16(k, w + 2 * j);
    if (type == MUSE_WEIGHT_F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* One row, `tokens` tokens; four sums of each hide the latency of the multiply-add. */
INLINE void row_f(const MuseRowsArgs *a, size_t i, size_t t, const int tokens, const int type)
{
    const size_t item = type == MUSE_WEIGHT_F32 ? 4 : 2;
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride, *x = (const uint8_t *)a->x + t * a->x_stride;
    __m512 acc[4][4];
    UNROLL for (int p = 0; p < tokens; p++)
        UNROLL for (int u = 0; u < 4; u++) acc[p][u] = _mm512_setzero_ps();
    size_t j = 0;
    for (; j + 64 <= a->k; j += 64) {
        UNROLL for (int l = 0; l < 4; l += item == 4 ? 1 : 2) prefetch(w + item * (j + 16 * (size_t)l) + AHEAD);
        UNROLL for (int u = 0; u < 4; u++) {
            const __m512 v = load_w(w, j + 16 * (size_t)u, 0xffff, type);
            UNROLL for (int p = 0; p < tokens; p++)
                acc[p][u] = _mm512_fmadd_ps(v, _mm512_loadu_ps(x + (size_t)p * a->x_stride + 4 * (j + 16 * (size_t)u)), acc[p][u]);
        }
    }
    for (; j < a->k; j += 16) {
        const __mmask16 k = a->k - j >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (a->k - j)) - 1);
        const __m512 v = load_w(w, j, k, type);
        UNROLL for (int p = 0; p < tokens; p++)
            acc[p][0] = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(k, x + (size_t)p * a->x_stride + 4 * j), acc[p][0]);
    }
    UNROLL for (int p = 0; p < tokens; p++) {
        const __m512 s = _mm512_add_ps(_mm512_add_ps(acc[p][0], acc[p][1]), _mm512_add_ps(acc[p][2], acc[p][3]));
        a->y[(t + (size_t)p) * a->y_stride + i] = _mm512_reduce_add_ps(s) + (a->bias ? a->bias[i] : 0.0f);
    }
}

INLINE void rows_f(const MuseRowsArgs *a, const int type)
{
    for (size_t i = 0; i < a->m; i++) {
        size_t t = 0;
        for (; t + 4 <= a->n; t += 4) row_f(a, i, t, 4, type);
        for (; t + 2 <= a->n; t += 2) row_f(a, i, t, 2, type);
        if (t < a->n) row_f(a, i, t, 1, type);
    }
}

void muse_rows_f32_avx512(const MuseRowsArgs *a) { rows_f(a, MUSE_WEIGHT_F32); }
void muse_rows_f16_avx512(const MuseRowsArgs *a) { rows_f(a, MUSE_WEIGHT_F16); }
void muse_rows_bf16_avx512(const MuseRowsArgs *a) { rows_f(a, MUSE_WEIGHT_BF16); }

/* 16 rows x 16 words at a time. Rows past n are zeros. */
void muse_matmul_pack_avx512(uint32_t *panel, const void *rows, size_t stride, size_t words, size_t n)
{
    for (size_t at = 0; at < words; at += 16) {
        const size_t left = words - at < 16 ? words - at : 16;
        const __mmask16 k = (__mmask16)((1u << left) - 1);
        __m512i r[16];
        UNROLL for (size_t t = 0; t < 16; t++)
            r[t] = t < n ? _mm512_maskz_loadu_epi32(k, (const uint8_t *)rows + t * stride + 4 * at) : _mm512_setzero_si512();
        turn_words(r);
        UNROLL for (size_t w = 0; w < 16; w++)
            if (w < left) _mm512_storeu_si512(panel + (at + w) * 16, r[w]);
    }
}
