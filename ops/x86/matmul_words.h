/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles whose multiply-add takes one 32-bit word of a weight row and one of each token: f32, and pairs of bf16. The including
 * file gives mul_add(acc, weights, activations). 8 rows x 3 panels of 16 tokens stay in registers. Users: matmul_avx512.c,
 * matmul_bf16.c. */

#include "ops/x86/matmul_512.h"

enum { PANELS = 3 };

INLINE void word(const MuseTileArgs *a, const uint8_t *w, const uint8_t *x, __m512 acc[PANELS][ROWS], const int panels)
{
    __m512i v[PANELS];
    UNROLL for (int p = 0; p < panels; p++) v[p] = _mm512_loadu_si512(x + (size_t)p * a->x_panel);
    UNROLL for (int r = 0; r < ROWS; r++) {
        int bits;
        memcpy(&bits, w + (size_t)r * a->w_stride, 4);
        const __m512i u = _mm512_set1_epi32(bits);
        UNROLL for (int p = 0; p < panels; p++) acc[p][r] = mul_add(acc[p][r], u, v[p]);
    }
}

INLINE void tile_words(const MuseTileArgs *a, size_t words, size_t row, size_t token, const int panels)
{
    const uint8_t *w = (const uint8_t *)a->w + row * a->w_stride;
    const uint8_t *x = (const uint8_t *)a->x + token / LANES * a->x_panel;
    __m512 acc[PANELS][ROWS];
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int r = 0; r < ROWS; r++) acc[p][r] = _mm512_setzero_ps();
    size_t j = 0;
    Ahead next = ahead_of(a, row, token);
    for (; j + 16 <= words; j += 16) {
        const uint8_t *line = ahead_column(&next);
        for (int i = 0; i < 8; i++, w += 8, x += 8 * LANES, line += next.stride) {
            prefetch_l2(line);
            word(a, w, x, acc, panels);
            word(a, w + 4, x + 4 * LANES, acc, panels);
        }
    }
    for (; j < words; j++, w += 4, x += 4 * LANES) word(a, w, x, acc, panels);
    UNROLL for (int p = 0; p < panels; p++) put_tile(a, acc[p], row, token + (size_t)p * LANES);
}

/* Three panels stay in L2 while the rows pass by. */
INLINE void tile_all(const MuseTileArgs *a, size_t words)
{
    for (size_t t = 0; t < a->n;) {
        const size_t panels = (a->n - t + LANES - 1) / LANES;
        for (size_t i = 0; i < a->m; i += ROWS) {
            if (panels >= 3) tile_words(a, words, i, t, 3);
            else if (panels == 2) tile_words(a, words, i, t, 2);
            else tile_words(a, words, i, t, 1);
        }
        t += LANES * (panels < PANELS ? panels : PANELS);
    }
}
