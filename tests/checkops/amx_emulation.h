/* SPDX-License-Identifier: Apache-2.0 */
/* The AMX instructions that ops/x86/matmul_amx.c uses, in plain C, and the helpers it takes from matmul_512.h. Shapes that do
 * not fit each other stop the program, as they fault on a CPU. One thread. Users: amx_emulated.c. */
#ifndef CHECKOPS_AMX_EMULATION_H
#define CHECKOPS_AMX_EMULATION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/matmul.h"

#define INLINE static inline __attribute__((always_inline))

typedef struct Tile { unsigned rows, row_bytes; uint8_t at[16][64]; } Tile;
static Tile tiles[8];

static void amx_require(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "amx emulation: %s\n", what);
    abort();
}

static void _tile_loadconfig(const void *config)
{
    const uint8_t *c = config;
    amx_require(c[0] == 1 && c[1] == 0, "palette or start row");
    memset(tiles, 0, sizeof tiles);
    for (int t = 0; t < 8; t++) {
        uint16_t bytes;
        memcpy(&bytes, c + 16 + 2 * t, 2);
        amx_require(bytes <= 64 && c[48 + t] <= 16, "configuration");
        tiles[t].row_bytes = bytes;
        tiles[t].rows = c[48 + t];
    }
}

static void _tile_release(void) { memset(tiles, 0, sizeof tiles); }
static void _tile_zero(int t) { memset(tiles[t].at, 0, sizeof tiles[t].at); }

static void _tile_loadd(int t, const void *base, size_t stride)
{
    amx_require(tiles[t].rows > 0, "load of a tile without a configuration");
    _tile_zero(t);
    for (unsigned r = 0; r < tiles[t].rows; r++) memcpy(tiles[t].at[r], (const uint8_t *)base + r * stride, tiles[t].row_bytes);
}

static void _tile_stored(int t, void *base, size_t stride)
{
    for (unsigned r = 0; r < tiles[t].rows; r++) memcpy((uint8_t *)base + r * stride, tiles[t].at[r], tiles[t].row_bytes);
}

static void amx_shapes(const Tile *c, const Tile *a, const Tile *b)
{
    amx_require(c->rows && c->rows == a->rows && c->row_bytes == b->row_bytes && a->row_bytes == 4 * b->rows, "shapes of a product");
}

static void _tile_dpbf16ps(int dst, int src1, int src2)
{
    Tile *c = &tiles[dst];
    const Tile *a = &tiles[src1], *b = &tiles[src2];
    amx_shapes(c, a, b);
    for (unsigned m = 0; m < c->rows; m++)
        for (unsigned n = 0; n < c->row_bytes / 4; n++) {
            float sum;
            memcpy(&sum, c->at[m] + 4 * n, 4);
            for (unsigned k = 0; k < b->rows; k++) {
                uint16_t x[2], y[2];
                memcpy(x, a->at[m] + 4 * k, 4);
                memcpy(y, b->at[k] + 4 * n, 4);
                sum += muse_bf16_f32(x[0]) * muse_bf16_f32(y[0]);
                sum += muse_bf16_f32(x[1]) * muse_bf16_f32(y[1]);
            }
            memcpy(c->at[m] + 4 * n, &sum, 4);
        }
}

static void _tile_dpbusd(int dst, int src1, int src2)   /* src1 unsigned, src2 signed */
{
    Tile *c = &tiles[dst];
    const Tile *a = &tiles[src1], *b = &tiles[src2];
    amx_shapes(c, a, b);
    for (unsigned m = 0; m < c->rows; m++)
        for (unsigned n = 0; n < c->row_bytes / 4; n++) {
            int32_t sum;
            memcpy(&sum, c->at[m] + 4 * n, 4);
            for (unsigned k = 0; k < a->row_bytes; k++) sum += (int32_t)a->at[m][k] * (int8_t)b->at[k / 4][4 * n + k % 4];
            memcpy(c->at[m] + 4 * n, &sum, 4);
        }
}

static inline void prefetch_l2(const uint8_t *p) { (void)p; }

/* 16 rows of 16 tokens, those that exist */
static void put_square(const MuseTileArgs *a, const float (*s)[16], size_t row, size_t token)
{
    for (size_t r = 0; r < 16 && row + r < a->m; r++)
        for (size_t t = 0; t < 16 && token + t < a->n; t++) {
            float *y = a->y + (token + t) * a->y_stride + row + r;
            const float sum = s[r][t] + (a->bias ? a->bias[row + r] : 0.0f);
            *y = a->add ? *y + sum : sum;
        }
}

#endif
