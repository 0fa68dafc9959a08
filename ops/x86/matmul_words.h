/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles whose multiply-add takes one 32-bit word of a weight row and one of each token: f32, and pairs of bf16. The including
 * file gives mul_add(acc, weights, activations). 8 rows x 3 panels of 16 tokens stay in registers. Users: matmul_avx512.c,
 * matmul_bf16.c. */

#include "ops/x86/matmul_512.h"

INLINE void tile_words(const MuseTileArgs *a, size_t words, size_t row, size_t token, const int panels)
{
    const uint8_t *w = (const uint8_t *)a->w + row * a->w_stride;
    const uint8_t *x = (const uint8_t *)a->x + token / LANES * a->x_panel;
    __m512 acc[3][ROWS];
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int r = 0; r < ROWS; r++) acc[p][r] = _mm512_setzero_ps();
    for (size_t j = 0; j < words; j++, x += 4 * LANES, w += 4) {
        __m512i v[3];
        UNROLL for (int p = 0; p < panels; p++) v[p] = _mm512_loadu_si512(x + (size_t)p * a->x_panel);
        UNROLL for (int r = 0; r < ROWS; r++) {
            int word;
            memcpy(&word, w + (size_t)r * a->w_stride, 4);
            const __m512i u = _mm512_set1_epi32(word);
            UNROLL for (int p = 0; p < panels; p++) acc[p][r] = mul_add(acc[p][r], u, v[p]);
        }
    }
    const size_t rows = a->m - row < ROWS ? a->m - row : ROWS;
    UNROLL for (int p = 0; p < panels; p++) {
        const size_t t = token + (size_t)p * LANES, left = a->n - t;
        put_panel(a->y + t * a->y_stride + row, a->y_stride, acc[p], rows, left < LANES ? left : LANES, a->bias ? a->bias + row : NULL, a->add);
    }
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
        t += LANES * (panels < 3 ? panels : 3);
    }
}
