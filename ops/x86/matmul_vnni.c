/* SPDX-License-Identifier: Apache-2.0 */
/* Integer tiles for AVX512_VNNI; rows: matmul_rows_vnni.c. The instruction multiplies unsigned by signed bytes: weights are the
 * unsigned side, offset by 128, and sums start at minus 128 times the sum of the activations. Contracts: ops/matmul.h. */
#include "ops/x86/matmul_512.h"

enum {
    PANELS = 3,
    SQUARE = 16,    /* rows whose results are turned and written together */
    HELD = 128      /* rows that pass by while three panels of a group, 30 KiB, stay in L1 */
};

/* of a group of 16 blocks in a panel, in bytes: all of it, where scales and sums begin, the first part that is not read, from
 * four bytes of a block to the next */
enum {
    GROUP = sizeof(MuseQ8Group) * LANES, GROUP_D = offsetof(MuseQ8Group, d) * LANES, GROUP_SUM = offsetof(MuseQ8Group, minus_sum) * LANES,
    GROUP_LOW = offsetof(MuseQ8Group, minus_low) * LANES, FOUR_BYTES = 64 * LANES
};

/* Float sums of 16 rows */
typedef struct Sums { _Alignas(64) float at[PANELS][SQUARE][LANES]; } Sums;

/* Rows that are worked on together, with integer and float sums in registers: a store of 64 bytes costs as much as a multiply-add */
INLINE int strip_rows(const int panels) { return panels == 1 ? 8 : 4; }

/* What a strip reads of one group: its rows of weights and their scales; panels */
typedef struct Strip {
    const uint8_t *w[ROWS], *x[PANELS];
    const float *d;
    size_t d_stride;
} Strip;

/* One pointer a panel, made here: else the compiler makes one a line, more than there are registers. */
INLINE void keep(const uint8_t **p) { __asm__ volatile("" : "+r"(*p)); }

/* Block b of a strip */
INLINE void strip_block(const Strip *at, size_t b, __m512 sum[PANELS][ROWS], const int panels)
{
    const int rows = strip_rows(panels);
    __m512i dot[PANELS][ROWS];
    const uint8_t *x[PANELS];
    UNROLL for (int p = 0; p < panels; p++) {
        x[p] = at->x[p] + 4 * LANES * muse_q8_lane(b);
        keep(&x[p]);
        const __m512i start = _mm512_slli_epi32(_mm512_loadu_si512(x[p] + GROUP_SUM), 7);
        UNROLL for (int r = 0; r < rows; r++) dot[p][r] = start;
    }
    UNROLL for (int j = 0; j < 8; j++) {
        __m512i v[PANELS];
        UNROLL for (int p = 0; p < panels; p++) v[p] = _mm512_loadu_si512(x[p] + FOUR_BYTES * j);
        UNROLL for (int r = 0; r < rows; r++) {
            int word;
            memcpy(&word, at->w[r] + MUSE_QUANT_BLOCK * b + 4 * j, 4);
            const __m512i u = _mm512_set1_epi32(word);
            UNROLL for (int p = 0; p < panels; p++) dot[p][r] = _mm512_dpbusd_epi32(dot[p][r], u, v[p]);
        }
    }
    UNROLL for (int p = 0; p < panels; p++) {
        const __m512 dx = _mm512_loadu_ps(x[p] + GROUP_D);
        UNROLL for (int r = 0; r < rows; r++) {
            const __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[p][r]), dx);
            sum[p][r] = _mm512_fmadd_ps(v, _mm512_set1_ps(at->d[b + (size_t)r * at->d_stride]), sum[p][r]);
        }
    }
}

INLINE void ask(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) prefetch_l2(p + i);
}

/* Asks for a part of the panels that come next and, during the last tokens, of the weights: called four times a strip, so that
 * not too many lines are under way together. */
INLINE void ask_ahead(const MuseTileArgs *a, size_t row, size_t token, size_t first, size_t quarter, const size_t rows)
{
    const size_t blocks = a->k / MUSE_QUANT_BLOCK, next = token + LANES * PANELS, part = GROUP_LOW * rows / HELD;
    const bool more = first + 16 < blocks;   /* groups of these panels */
    const size_t at = (more ? (first / 16 + 1) * GROUP : 0) + row % HELD / rows * part, t = (more ? token : next) + LANES * quarter;
    if (quarter < PANELS && t < a->n) ask((const uint8_t *)a->x + t / LANES * a->x_panel + at, part);
    if (!a->ahead || next < a->n) return;
    const size_t begin = a->ahead_bytes * first / blocks, end = more ? a->ahead_bytes * (first + 16) / blocks : a->ahead_bytes;
    for (size_t r = row + quarter; r < row + rows && r < a->m; r += 4) ask((const uint8_t *)a->ahead + r * a->ahead_stride + begin, end - begin);
}

/* The group from block `first` on: rows from `row` on, whose sums are at sums[panel][at] on */
INLINE void strip(const MuseTileArgs *a, size_t row, size_t token, size_t first, Sums *sums, size_t at, const int panels)
{
    const int rows = strip_rows(panels);
    Strip s = { .d = a->w_scale + row * a->scale_stride + first, .d_stride = a->scale_stride };
    UNROLL for (int r = 0; r < rows; r++) s.w[r] = (const uint8_t *)a->w + (row + (size_t)r) * a->w_stride + MUSE_QUANT_BLOCK * first;
    UNROLL for (int p = 0; p < panels; p++) {
        s.x[p] = (const uint8_t *)a->x + (token / LANES + (size_t)p) * a->x_panel + first / 16 * GROUP;
        keep(&s.x[p]);
    }
    __m512 sum[PANELS][ROWS];
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int r = 0; r < rows; r++) sum[p][r] = first ? _mm512_load_ps(sums->at[p][at + (size_t)r]) : _mm512_setzero_ps();
    const size_t left = a->k / MUSE_QUANT_BLOCK - first, blocks = left < 16 ? left : 16;
    for (size_t quarter = 0, b = 0; quarter < 4; quarter++) {
        ask_ahead(a, row, token, first, quarter, (size_t)rows);
        for (; b < 4 * quarter + 4 && b < blocks; b++) strip_block(&s, b, sum, panels);
    }
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int r = 0; r < rows; r++) _mm512_store_ps(sums->at[p][at + (size_t)r], sum[p][r]);
}

/* Up to HELD rows, group after group; float sums wait in between. */
INLINE void tile_q8(const MuseTileArgs *a, size_t row, size_t token, const int panels)
{
    Sums sums[HELD / SQUARE];
    const size_t left = a->m - row, rows = left < HELD ? (left + SQUARE - 1) / SQUARE * SQUARE : HELD, step = (size_t)strip_rows(panels);
    for (size_t b = 0; b < a->k / MUSE_QUANT_BLOCK; b += 16)
        for (size_t i = 0; i < rows; i += step) strip(a, row + i, token, b, &sums[i / SQUARE], i % SQUARE, panels);
    /* token by token: the lines of one column of y lie in one cache set if its rows are a power of two apart */
    for (size_t p = 0; p < (size_t)panels; p++)
        for (size_t i = 0; i < rows; i += SQUARE) put_square(a, (const float (*)[LANES])sums[i / SQUARE].at[p], row + i, token + p * LANES);
}

void muse_tile_q8_vnni(const MuseTileArgs *a)
{
    for (size_t i = 0; i < a->m; i += HELD)
        for (size_t t = 0; t < a->n; t += LANES * PANELS) {
            if (a->n - t > 2 * LANES) tile_q8(a, i, t, 3);
            else if (a->n - t > LANES) tile_q8(a, i, t, 2);
            else tile_q8(a, i, t, 1);
        }
}
