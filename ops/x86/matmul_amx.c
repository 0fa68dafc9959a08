/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles for AMX: bf16, and bytes with scales. A tile of weights is 16 rows of the fetched block as they lie there, a tile of
 * activations 16 words of a panel, and a result is 16 rows x 16 tokens; two by two of them stay in registers. Contracts:
 * ops/matmul.h. CPUs without AMX check it too: tests/checkops/amx_trap.h. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ops/x86/matmul_512.h"

enum { SIDE = 16, LINE = 64, WORD_ROW = 64 };   /* rows or tokens of a tile; bytes of its rows; bytes of a word of a panel */

/* Intel SDM volume 1, chapter 18: what LDTILECFG reads */
typedef struct TileConfig {
    uint8_t  palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t  rows[16];
} TileConfig;

/* The compiler does not know what tile instructions read and write: without this it moves or drops stores. */
INLINE void settle(const void *memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

/* results 0 to 3, weights 4 and 5, activations 6 and 7; bytes: of weights in a row, 4 for each word of activations */
static void configure(unsigned bytes)
{
    TileConfig c;
    memset(&c, 0, sizeof c);
    c.palette = 1;
    for (unsigned t = 0; t < 8; t++) {
        c.row_bytes[t] = (uint16_t)(t == 4 || t == 5 ? bytes : LINE);
        c.rows[t] = (uint8_t)(t < 6 ? SIDE : bytes / 4);
    }
    settle(&c);
    _tile_loadconfig(&c);
}

/* Where the two tiles of rows and the two of tokens come from */
typedef struct Sides {
    const uint8_t *w[2], *x[2];
    size_t w_stride, x_stride;
} Sides;

INLINE Sides sides_of(const MuseTileArgs *a, size_t row, size_t token, size_t x_stride)
{
    const uint8_t *w = (const uint8_t *)a->w + row * a->w_stride, *x = (const uint8_t *)a->x + token / SIDE * a->x_panel;
    return (Sides){ { w, w + SIDE * a->w_stride }, { x, x + a->x_panel }, a->w_stride, x_stride };
}

/* One line of each row of the next block, asked for by the first tokens' pass */
INLINE void ask_ahead(const MuseTileArgs *a, size_t row, size_t token, const int rows, size_t at)
{
    if (!a->ahead || token || at >= a->ahead_bytes) return;
    for (size_t r = row; r < row + SIDE * (size_t)rows && r < a->m; r++) prefetch_l2((const uint8_t *)a->ahead + r * a->ahead_stride + at);
}

INLINE void load(const Sides *s, size_t w_at, size_t x_at, const int rows, const int panels)
{
    _tile_loadd(6, s->x[0] + x_at, s->x_stride);
    if (panels > 1) _tile_loadd(7, s->x[1] + x_at, s->x_stride);
    _tile_loadd(4, s->w[0] + w_at, s->w_stride);
    if (rows > 1) _tile_loadd(5, s->w[1] + w_at, s->w_stride);
}

INLINE void multiply_bf16(const int rows, const int panels)
{
    _tile_dpbf16ps(0, 4, 6);
    if (panels > 1) _tile_dpbf16ps(1, 4, 7);
    if (rows > 1) _tile_dpbf16ps(2, 5, 6);
    if (rows > 1 && panels > 1) _tile_dpbf16ps(3, 5, 7);
}

/* results to out[2 * rows' tile + panel] */
INLINE void store(void *out, const int rows, const int panels)
{
    uint8_t *at = out;
    _tile_stored(0, at, LINE);
    if (panels > 1) _tile_stored(1, at + SIDE * LINE, LINE);
    if (rows > 1) _tile_stored(2, at + 2 * SIDE * LINE, LINE);
    if (rows > 1 && panels > 1) _tile_stored(3, at + 3 * SIDE * LINE, LINE);
    settle(out);
}

typedef struct Sums { _Alignas(64) float at[4][SIDE][SIDE]; } Sums;

INLINE void put_sums(const MuseTileArgs *a, const Sums *s, size_t row, size_t token, const int rows, const int panels)
{
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < panels; p++) put_square(a, s->at[2 * r + p], row + SIDE * (size_t)r, token + SIDE * (size_t)p);
}

/* the last columns, fewer than 32, beside zeros */
static void multiply_rest(const Sides *s, size_t at, size_t words, const int rows, const int panels)
{
    _Alignas(64) uint8_t w[2][SIDE][LINE] = { { { 0 } } }, x[2][SIDE][LINE] = { { { 0 } } };
    for (size_t r = 0; r < SIDE * (size_t)rows; r++) memcpy(w[r / SIDE][r % SIDE], s->w[r / SIDE] + r % SIDE * s->w_stride + LINE * at, 4 * words);
    for (int p = 0; p < panels; p++) memcpy(x[p], s->x[p] + WORD_ROW * SIDE * at, WORD_ROW * words);
    const Sides padded = { { w[0][0], w[1][0] }, { x[0][0], x[1][0] }, LINE, WORD_ROW };
    settle(w);
    settle(x);
    load(&padded, 0, 0, rows, panels);
    multiply_bf16(rows, panels);
    settle(w);
    settle(x);
}

INLINE void tile_bf16(const MuseTileArgs *a, size_t row, size_t token, const int rows, const int panels)
{
    const Sides s = sides_of(a, row, token, WORD_ROW);
    const size_t whole = a->k / 32, words = a->k % 32 / 2;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t j = 0; j < whole; j++) {
        ask_ahead(a, row, token, rows, LINE * j);
        load(&s, LINE * j, WORD_ROW * SIDE * j, rows, panels);
        multiply_bf16(rows, panels);
    }
    if (words) multiply_rest(&s, whole, words, rows, panels);
    Sums sums;
    store(&sums, rows, panels);
    put_sums(a, &sums, row, token, rows, panels);
}

/* in a panel, bytes: a group of 16 blocks, where scales and sums begin in it, from four bytes of a block to the next */
enum {
    GROUP = sizeof(MuseQ8Group) * SIDE, GROUP_D = offsetof(MuseQ8Group, d) * SIDE, GROUP_SUM = offsetof(MuseQ8Group, minus_sum) * SIDE,
    FOUR_BYTES = 64 * SIDE
};

/* Block b: results start at -128 times the sums of the activations, since weights are offset by 128; a stride of 0 repeats the
 * row for all weight rows. */
INLINE void dot_block(const Sides *s, size_t b, size_t lane, int32_t (*dot)[SIDE][SIDE], const int rows, const int panels)
{
    _Alignas(64) int32_t start[2][SIDE];
    for (int p = 0; p < panels; p++) {
        memcpy(start[p], s->x[p] + lane + GROUP_SUM, sizeof start[p]);
        for (int t = 0; t < SIDE; t++) start[p][t] *= 128;
    }
    settle(start);
    _tile_loadd(0, start[0], 0);
    if (panels > 1) _tile_loadd(1, start[1], 0);
    if (rows > 1) _tile_loadd(2, start[0], 0);
    if (rows > 1 && panels > 1) _tile_loadd(3, start[1], 0);
    load(s, MUSE_QUANT_BLOCK * b, lane, rows, panels);
    _tile_dpbusd(0, 4, 6);
    if (panels > 1) _tile_dpbusd(1, 4, 7);
    if (rows > 1) _tile_dpbusd(2, 5, 6);
    if (rows > 1 && panels > 1) _tile_dpbusd(3, 5, 7);
    store(dot, rows, panels);
    settle(start);
}

INLINE void tile_q8(const MuseTileArgs *a, size_t row, size_t token, const int rows, const int panels)
{
    const Sides s = sides_of(a, row, token, FOUR_BYTES);
    _Alignas(64) int32_t dot[4][SIDE][SIDE];
    Sums sums;
    memset(&sums, 0, sizeof sums);
    for (size_t b = 0; b < a->k / MUSE_QUANT_BLOCK; b++) {
        const size_t lane = b / 16 * GROUP + muse_q8_lane(b % 16) * WORD_ROW;
        ask_ahead(a, row, token, rows, LINE * b);
        dot_block(&s, b, lane, dot, rows, panels);
        for (int p = 0; p < panels; p++) {
            float dx[SIDE];
            memcpy(dx, s.x[p] + lane + GROUP_D, sizeof dx);
            for (size_t r = 0; r < SIDE * (size_t)rows; r++) {
                const float dw = a->w_scale[(row + r) * a->scale_stride + b];
                float *sum = sums.at[r / SIDE * 2 + (size_t)p][r % SIDE];
                const int32_t *d = dot[r / SIDE * 2 + (size_t)p][r % SIDE];
                for (int t = 0; t < SIDE; t++) sum[t] = fmaf((float)d[t] * dx[t], dw, sum[t]);
            }
        }
    }
    put_sums(a, &sums, row, token, rows, panels);
}

/* the call with constants: 32 tokens stay in L2 while the rows pass by */
#define TILES(square) \
    for (size_t t = 0; t < a->n; t += 2 * SIDE) \
        for (size_t i = 0; i < a->m; i += 2 * SIDE) { \
            if (a->m - i > SIDE && a->n - t > SIDE) square(a, i, t, 2, 2); \
            else if (a->m - i > SIDE) square(a, i, t, 2, 1); \
            else if (a->n - t > SIDE) square(a, i, t, 1, 2); \
            else square(a, i, t, 1, 1); \
        }

void muse_tile_bf16_amx(const MuseTileArgs *a)
{
    configure(LINE);
    TILES(tile_bf16)
    _tile_release();
}

void muse_tile_q8_amx(const MuseTileArgs *a)
{
    configure(MUSE_QUANT_BLOCK);
    TILES(tile_q8)
    _tile_release();
}
