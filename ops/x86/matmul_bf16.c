/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix kernels for AVX512_BF16. The instruction adds two products at a time and takes denormals as 0. Contracts: ops/matmul.h. */
#include "ops/x86/matmul_512.h"

INLINE __m512 mul_add(__m512 acc, __m512i w, __m512i x) { return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)x); }

#include "ops/x86/matmul_words.h"

void muse_tile_bf16_avx512bf16(const MuseTileArgs *a) { tile_all(a, a->k / 2); }

enum { UNIT_TOKENS_NEAR = 256 };    /* 32 KiB */

INLINE size_t unit_columns(const int type) { (void)type; return 64; }
INLINE size_t unit_bytes(const int type) { (void)type; return 128; }

#include "ops/x86/matmul_rows_512.h"

/* At most four tokens at a time. For eight, lines are asked for a second time when the row is read again: it helps. */
INLINE void some_tokens(__m512 acc[2][TOKENS], const Pass *pass, const uint8_t *w, const uint8_t *ahead, size_t to, const int first, const int n)
{
    for (size_t at = 128 * pass->from; at < 128 * to; at += 128)
        UNROLL for (size_t u = 0; u < 2; u++) {
            const __m512i v = _mm512_loadu_si512(w + at + 64 * u);
            prefetch(ahead + at + 64 * u);
            UNROLL for (int p = first; p < first + n; p++) acc[u][p] = mul_add(acc[u][p], v, _mm512_loadu_si512(pass->x[p] + at + 64 * u));
        }
}

/* Two sums of each token. x is zero-padded to 32, so only w needs masks. */
INLINE size_t rows_at(const MuseRowsArgs *a, Pass *pass, size_t i, size_t r, const int tokens, const int type)
{
    (void)type;
    const size_t whole = a->k / 64, to = pass->to < whole ? pass->to : whole;
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride;
    const uint8_t *ahead = w + ahead_of_row(a, pass, r);
    __m512 acc[2][TOKENS];
    UNROLL for (int p = 0; p < tokens; p++)
        UNROLL for (int u = 0; u < 2; u++) acc[u][p] = pass->from ? pass->sums[r][2 * p + u] : _mm512_setzero_ps();
    some_tokens(acc, pass, w, ahead, to, 0, tokens < 4 ? tokens : 4);
    if (tokens > 4) some_tokens(acc, pass, w, ahead, to, 4, 4);
    if (pass->to < pass->units) {
        UNROLL for (int p = 0; p < tokens; p++)
            UNROLL for (int u = 0; u < 2; u++) pass->sums[r][2 * p + u] = acc[u][p];
        return 1;
    }
    for (size_t j = 64 * whole; j < a->k; j += 32) {
        const size_t left = a->k - j;
        const __mmask32 k = left >= 32 ? (__mmask32)~0u : (__mmask32)((1u << left) - 1);
        const __m512i v = _mm512_maskz_loadu_epi16(k, w + 2 * j);
        UNROLL for (int p = 0; p < tokens; p++) acc[0][p] = mul_add(acc[0][p], v, _mm512_loadu_si512(pass->x[p] + 2 * j));
    }
    UNROLL for (int p = 0; p < tokens; p++) acc[0][p] = _mm512_add_ps(acc[0][p], acc[1][p]);
    put_row(a, pass, i, acc[0], tokens);
    return 1;
}

void muse_rows_bf16_bf16_avx512bf16(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_BF16); }
