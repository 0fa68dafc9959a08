/* SPDX-License-Identifier: Apache-2.0 */
/* Integer tiles for AVX512_VNNI; rows: matmul_rows_vnni.c. The instruction multiplies unsigned by signed bytes: weights are the
 * unsigned side, offset by 128, and sums start at minus 128 times the sum of the activations. Contracts: ops/matmul.h. */
#include "ops/x86/matmul_512.h"

/* of a group of 16 blocks in a panel, in bytes: all of it, where scales and sums begin, from four bytes of a block to the next */
enum {
    PANELS = 3,
    GROUP = sizeof(MuseQ8Group) * LANES, GROUP_D = offsetof(MuseQ8Group, d) * LANES, GROUP_SUM = offsetof(MuseQ8Group, minus_sum) * LANES,
    FOUR_BYTES = 64 * LANES
};

typedef struct Sums { _Alignas(64) float at[PANELS][ROWS][LANES]; } Sums;

/* One block of 32; x: its lane of the group, in the first panel */
INLINE void tile_q8_block(const MuseTileArgs *a, const uint8_t *w, const float *d, const uint8_t *x, Sums *sums, const int panels)
{
    __m512i dot[PANELS][ROWS];
    UNROLL for (int p = 0; p < panels; p++) {
        const __m512i start = _mm512_slli_epi32(_mm512_loadu_si512(x + (size_t)p * a->x_panel + GROUP_SUM), 7);
        UNROLL for (int r = 0; r < ROWS; r++) dot[p][r] = start;
    }
    UNROLL for (int j = 0; j < 8; j++) {
        __m512i v[PANELS];
        UNROLL for (int p = 0; p < panels; p++) v[p] = _mm512_loadu_si512(x + (size_t)p * a->x_panel + FOUR_BYTES * j);
        UNROLL for (int r = 0; r < ROWS; r++) {
            int word;
            memcpy(&word, w + (size_t)r * a->w_stride + 4 * j, 4);
            const __m512i u = _mm512_set1_epi32(word);
            UNROLL for (int p = 0; p < panels; p++) dot[p][r] = _mm512_dpbusd_epi32(dot[p][r], u, v[p]);
        }
    }
    __asm__ volatile("" : : "r"(sums) : "memory");   /* else the float sums are loaded early, and spilled */
    UNROLL for (int p = 0; p < panels; p++) {
        const __m512 dx = _mm512_loadu_ps(x + (size_t)p * a->x_panel + GROUP_D);
        UNROLL for (int r = 0; r < ROWS; r++) {
            const __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[p][r]), dx);
            _mm512_storeu_ps(sums->at[p][r], _mm512_fmadd_ps(v, _mm512_set1_ps(d[(size_t)r * a->scale_stride]), _mm512_loadu_ps(sums->at[p][r])));
        }
    }
}

/* The integer sums fill the registers; the float sums, touched once a block, stay in memory on purpose. */
INLINE void tile_q8(const MuseTileArgs *a, size_t row, size_t token, const int panels)
{
    const uint8_t *w = (const uint8_t *)a->w + row * a->w_stride;
    const float *d = a->w_scale + row * a->scale_stride;
    const uint8_t *x = (const uint8_t *)a->x + token / LANES * a->x_panel;
    Sums sums;
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int r = 0; r < ROWS; r++) _mm512_store_ps(sums.at[p][r], _mm512_setzero_ps());
    const size_t blocks = a->k / MUSE_QUANT_BLOCK;
    Ahead next = ahead_of(a, row, token);
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *line = ahead_column(&next);
        for (int r = 0; r < ROWS; r++, line += next.stride) prefetch_l2(line);
        tile_q8_block(a, w + 32 * b, d + b, x + b / 16 * GROUP + muse_q8_lane(b % 16) * 64, &sums, panels);
        __asm__ volatile("" : : "r"(&sums) : "memory");
    }
    UNROLL for (int p = 0; p < panels; p++) {
        __m512 s[ROWS];
        UNROLL for (int r = 0; r < ROWS; r++) s[r] = _mm512_load_ps(sums.at[p][r]);
        put_tile(a, s, row, token + (size_t)p * LANES);
    }
}

void muse_tile_q8_vnni(const MuseTileArgs *a)
{
    for (size_t t = 0; t < a->n;) {
        const size_t panels = (a->n - t + LANES - 1) / LANES;
        for (size_t i = 0; i < a->m; i += ROWS) {
            if (panels >= 3) tile_q8(a, i, t, 3);
            else if (panels == 2) tile_q8(a, i, t, 2);
            else tile_q8(a, i, t, 1);
        }
        t += LANES * (panels < PANELS ? panels : PANELS);
    }
}
