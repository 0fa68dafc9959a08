/* SPDX-License-Identifier: Apache-2.0 */
/* Products of activations with a weight matrix, y[n, m] = x[n, k] * W[m, k]^T: the kernels. What chooses and drives them is a
 * plan: ops/matmul_plan.h. Two kinds: "rows" read the weights as they lie in the file, for few tokens (decode); "tiles" work on
 * blocks of weights brought into a common form, for many (prefill). Numerics and tolerances: docs/ops/matmul.md. */
#ifndef OPS_MATMUL_H
#define OPS_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "ops/cpu.h"
#include "ops/quant.h"

enum {
    MUSE_MATMUL_PANEL = 16,        /* tokens of a panel: one a 32-bit lane */
    MUSE_MATMUL_TILE_ROWS = 16,    /* rows of fetched weights come in multiples of this */
    MUSE_MATMUL_BF16_STEP = 32     /* rows of bf16 activations are zero-padded to a multiple of this */
};

/* y[t * y_stride + i] = bias[i] + sum_j x[t, j] * W[i, j] for t < n, i < m; bias NULL: none. Row i of the weights starts at
 * w + i * w_stride, token t at x + t * x_stride (bytes both). x by kernel: f32 [k]; rows_bf16_bf16: bf16, zero-padded;
 * rows_q*_q8: MuseQ8Group [ceil(k / 512)], 64-byte aligned or not. w: any alignment. Nothing outside the rows is read.
 * k: a multiple of the weight type's block, at least 1; n, m: at least 1. An element's sum does not depend on m, n or on what
 * lies beside it. */
typedef struct MuseRowsArgs {
    float *y;
    const void *w, *x;
    const float *bias;
    size_t y_stride, w_stride, x_stride;
    size_t m, n, k;
} MuseRowsArgs;
typedef void MuseMatmulRows(const MuseRowsArgs *a);

/* The same sum over a block of k for many tokens, added to y if `add`. Weights are "fetched": m rows (rounded up to
 * MUSE_MATMUL_TILE_ROWS; the extra ones are readable and ignored), w_stride bytes apart, f32, bf16 or bytes of value q + 128.
 * Activations are packed: token t is lane t % 16 of panel t / 16, x_panel bytes apart; a panel is [words][16] 32-bit words as
 * MuseMatmulPack makes it from rows of f32, bf16 or MuseQ8Group; lanes past n are readable and ignored.
 * k: for bf16 a multiple of 2 (pad with zeros), for q8 of 32, starting at a multiple of 512. w_scale: q8 only, [m, scale_stride]
 * scales, one a block of 32. ahead: NULL, or the bytes that will be fetched next, m rows of ahead_bytes, ahead_stride apart:
 * a kernel may ask the cache for them; nothing is read. */
typedef struct MuseTileArgs {
    float *y;
    const void *w, *x;
    const float *w_scale, *bias;
    size_t y_stride, w_stride, x_panel, scale_stride;
    size_t m, n, k;
    bool add;
    const void *ahead;
    size_t ahead_stride, ahead_bytes;
} MuseTileArgs;
typedef void MuseMatmulTile(const MuseTileArgs *a);

/* panel[w * 16 + t] = word w of row t, for w < words; 0 for t >= n. Rows stride bytes apart, 4-byte aligned; n: 1..16 */
typedef void MuseMatmulPack(uint32_t *panel, const void *rows, size_t stride, size_t words, size_t n);

/* n weights of a row (a multiple of 32) as bytes of value q + 128 and one scale a block: w = (byte - 128) * d */
typedef void MuseMatmulFetchQ8(uint8_t *q, float *d, const void *w, size_t n);

typedef struct MuseMatmulOps {
    MuseMatmulRows *rows_f32, *rows_f16, *rows_bf16;     /* x f32 */
    MuseMatmulRows *rows_bf16_bf16;
    MuseMatmulRows *rows_q8_0_q8, *rows_q4_0_q8, *rows_q4_k_q8, *rows_q5_k_q8, *rows_q6_k_q8, *rows_q5_0_q8, *rows_q5_1_q8;
    MuseMatmulTile *tile_f32, *tile_bf16, *tile_q8;
    MuseMatmulPack *pack;
    MuseMatmulFetchQ8 *fetch_q8_0, *fetch_q4_0;
} MuseMatmulOps;

void muse_matmul_ops_init(MuseMatmulOps *ops, unsigned cpu);
/* "muse_rows_f32_avx2" and the like for an entry of the table, cast to a generic function; "?" for others */
typedef void MuseAnyKernel(void);
const char *muse_matmul_kernel_name(MuseAnyKernel *fn);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/matmul_kernels.inc"
#undef KERNEL

#endif
