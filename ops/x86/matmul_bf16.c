/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix kernels for AVX512_BF16. The instruction adds two products at a time and takes denormals as 0. Contracts: ops/matmul.h. */
#include "ops/x86/matmul_512.h"

INLINE __m512 mul_add(__m512 acc, __m512i w, __m512i x) { return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)x); }

#include "ops/x86/matmul_words.h"

void muse_tile_bf16_avx512bf16(const MuseTileArgs *a) { tile_all(a, a->k / 2); }

/* One row, `tokens` tokens, four sums of each. x is zero-padded to 32, so only w needs masks. */
INLINE void row_bf16(const MuseRowsArgs *a, size_t i, size_t t, const int tokens)
{
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride, *x = (const uint8_t *)a->x + t * a->x_stride;
    __m512 acc[4][4];
    UNROLL for (int p = 0; p < tokens; p++)
        UNROLL for (int u = 0; u < 4; u++) acc[p][u] = _mm512_setzero_ps();
    size_t j = 0;
    for (; j + 128 <= a->k; j += 128)
        UNROLL for (int u = 0; u < 4; u++) {
            const size_t at = 2 * j + 64 * (size_t)u;
            const __m512i v = _mm512_loadu_si512(w + at);
            prefetch(w + at + AHEAD);
            UNROLL for (int p = 0; p < tokens; p++) acc[p][u] = mul_add(acc[p][u], v, _mm512_loadu_si512(x + (size_t)p * a->x_stride + at));
        }
    for (; j < a->k; j += 32) {
        const size_t left = a->k - j;
        const __mmask32 k = left >= 32 ? (__mmask32)~0u : (__mmask32)((1u << left) - 1);
        const __m512i v = _mm512_maskz_loadu_epi16(k, w + 2 * j);
        UNROLL for (int p = 0; p < tokens; p++) acc[p][0] = mul_add(acc[p][0], v, _mm512_loadu_si512(x + (size_t)p * a->x_stride + 2 * j));
    }
    UNROLL for (int p = 0; p < tokens; p++) {
        const __m512 s = _mm512_add_ps(_mm512_add_ps(acc[p][0], acc[p][1]), _mm512_add_ps(acc[p][2], acc[p][3]));
        a->y[(t + (size_t)p) * a->y_stride + i] = _mm512_reduce_add_ps(s) + (a->bias ? a->bias[i] : 0.0f);
    }
}

void muse_rows_bf16_bf16_avx512bf16(const MuseRowsArgs *a)
{
    for (size_t i = 0; i < a->m; i++) {
        size_t t = 0;
        for (; t + 4 <= a->n; t += 4) row_bf16(a, i, t, 4);
        for (; t + 2 <= a->n; t += 2) row_bf16(a, i, t, 2);
        if (t < a->n) row_bf16(a, i, t, 1);
    }
}
