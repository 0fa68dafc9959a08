/* SPDX-License-Identifier: Apache-2.0 */
/* Antialiased resampling of 8-bit samples in fixed point: weight tables and the two passes. Every variant gives the
 * same bytes. Definition, numerics and sources: docs/ops/resize.md. Users: tokenizers/image/resize.c, tests. */
#ifndef OPS_RESIZE_H
#define OPS_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/status.h"
#include "config.h"
#include "ops/cpu.h"

enum {
    MUSE_RESIZE_ROWS  = 16,   /* most rows of one call across; what JPEG decoders give at a time */
    MUSE_RESIZE_GROUP = 4,    /* `first` is a multiple of this in grouped tables; rows of a quad */
    MUSE_RESIZE_SLOTS = 8,    /* `slots` is a multiple of this */
    MUSE_RESIZE_SPLIT = 4096  /* a weight of two parts is part[0] * 4096 + part[1], 0 <= part[1] < 4096 */
};

/* How one axis goes from n_in to n_out samples: output i = clamp((sum_k w[i,k] * in[first[i] + k] + 2^(shift-1)) >> shift),
 * k < count[i]. Weights are 32-bit integers kept as one int16 part (TORCH) or two (PILLOW), so that 16-bit multiply-adds
 * serve both. Rows of the table have `slots` weights; those past count[i] are 0. */
typedef struct MuseResizeAxis {
    uint32_t n_in, n_out;
    size_t   taps;      /* most source samples of an output, leading zeros not counted */
    size_t   slots;     /* at least every count */
    int      parts;     /* 1 or 2 */
    int      shift;     /* 1..22; sums of weights times samples fit 31 bits */
    bool     mirror, grouped;   /* as asked for */
    uint32_t *first;    /* [n_out], never falling; first[i] + count[i] <= n_in */
    uint32_t *count;    /* [n_out] */
    int16_t  *part[2];  /* [n_out, slots]; part[1] is NULL if parts is 1 */
    int8_t   *halves;   /* [n_out, slots / 4, 2, 4]: of 4 weights the high halves, then the low: 256 * high + low. Or NULL */
} MuseResizeAxis;

enum { MUSE_RESIZE_GROUPED = 1, MUSE_RESIZE_MIRROR = 2, MUSE_RESIZE_HALVES = 4 };

/* Build the table. Start with zeros; muse_resize_axis_close() accepts a half-open one.
 * flags:
 *   GROUPED  windows start at a multiple of MUSE_RESIZE_GROUP, with zero weights in front, so that kernels load and
 *            rearrange each group of samples once for all outputs that see it; all passes but MuseResizeDownU8 over rows need it
 *   MIRROR   as if the samples came in reverse and the outputs were reversed after
 *   HALVES   TORCH only: weights also in 8-bit halves; `halves` is NULL if a weight is above 127 * 256 + 127
 * 0; MUSE_ERR_ARG: a size of 0, an unknown filter or precision, weights that do not fit; MUSE_ERR_NOMEM. */
int  muse_resize_axis_open(MuseResizeAxis *axis, const MuseAllocator *a, uint32_t n_in, uint32_t n_out, uint32_t filter,
                           uint32_t precision, unsigned flags, MuseError *err);
void muse_resize_axis_close(MuseResizeAxis *axis);

static inline int32_t muse_resize_weight(const MuseResizeAxis *axis, size_t i, size_t k)
{
    const size_t at = i * axis->slots + k;
    return axis->parts == 1 ? axis->part[0][at] : axis->part[0][at] * MUSE_RESIZE_SPLIT + axis->part[1][at];
}

/* n_rows rows of n_in pixels of 1, 3 or 4 channels, src_stride bytes apart; output row r is dst[r], of which only
 * dst[r][begin * channels .. end * channels) is written. Reads nothing outside the rows. n_rows: 1..MUSE_RESIZE_ROWS.
 * No dst overlaps src. */
typedef struct MuseResizeRows {
    uint8_t *const *dst;
    const uint8_t  *src;
    size_t src_stride, n_rows, channels, begin, end;
} MuseResizeRows;
typedef void MuseResizeAcrossU8(const MuseResizeRows *rows, const MuseResizeAxis *axis);

/* Output row `index` of the other axis: dst[x] from rows[k][x], k < count[index], x < n. dst overlaps no row. */
typedef void MuseResizeDownU8(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index);

/* Four rows interleaved: byte k of 32-bit word x of the quad, x < n, is sample x of row min(k, n_rows - 1). n_rows: 1..4 */
typedef void MuseResizeQuadU8(uint8_t *quad, const uint8_t *rows, size_t stride, size_t n_rows, size_t n);

/* The same two passes with rows between them in quads, so that four samples of a column lie side by side as the 8-bit dot
 * product wants them. Both tables are grouped.
 * across_quads_u8: dst[q] is the quad of rows 4q .. 4q+3; bytes of rows past n_rows are written, with anything.
 * down_quads_u8: rows[q] is the quad of rows 4q .. 4q+3 of the window. */
typedef struct MuseResizeOps {
    MuseResizeAcrossU8 *across_u8, *across_quads_u8;
    MuseResizeDownU8   *down_u8, *down_quads_u8;
    MuseResizeQuadU8   *quad_u8;
} MuseResizeOps;

void muse_resize_ops_init(MuseResizeOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/resize_kernels.inc"
#undef KERNEL

#endif
