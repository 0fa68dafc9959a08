/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of query rows over the keys and values of one head, or some side by side, which lie in pages. Blocked with a running softmax (Milakov and
 * Gimelshein 2018; Dao et al. 2022), so nothing of size T x T exists. Which rows see which keys is a range for each row: causal,
 * window and picture spans all are ranges (libmuse/decoder/mask.h). Threads, pages and heads are the caller's business.
 * Numerics, layouts, measurements: docs/ops/attend.md. Users: libmuse/decoder, tests. */
#ifndef OPS_ATTEND_H
#define OPS_ATTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "ops/cpu.h"

enum {
    MUSE_KV_PAGE = 32,          /* positions of a page: two panels of 16 */
    MUSE_KV_PANEL = 16,
    MUSE_KV_BLOCK = 32,         /* Q8: values that share a scale */
    MUSE_ATTEND_ROWS = 64,      /* most query rows of a call */
    MUSE_ATTEND_WIDTH = 2048    /* widest head, MUSE_HEAD_WIDTH_MAX */
};

/* How keys and values are kept. Position p of a page is lane p % 16 of key panel p / 16. K: head width.
 *   F32   keys   [2][K][16] f32                          values [32][K] f32
 *   BF16  keys   [2][ceil(K/2)][16] words: dims 2w, 2w+1  values [16][K] words: positions 2j (low half), 2j+1
 *   Q8    keys   [2][ceil(K/32)*8][16] words of 4 int8, then scales [ceil(K/32)][32] bf16
 *         values [32][ceil(K/32)*32] int8, then scales [32][ceil(K/32)] bf16;  value = int8 * scale
 * Words are little-endian; what rounds K up is zero. Never-written positions may hold anything: rows do not see them. */
typedef enum MuseKvType { MUSE_KV_TYPE_F32, MUSE_KV_TYPE_BF16, MUSE_KV_TYPE_Q8, MUSE_KV_TYPES } MuseKvType;

/* Bytes of one head's keys (and, the same number, its values) in a page, a multiple of 64. */
size_t muse_kv_head_bytes(MuseKvType type, size_t width);

/* Write keys and values of one position into slot (0..31) of a head's blocks. BF16 rounds to nearest even. Q8: blocks of 32 with
 * scale the bf16 at or above max|x| / 127, q = x / scale rounded to nearest even; a block that holds a NaN or an infinity gets
 * scale NaN. keys, values: blocks as above, 64-byte aligned. Threads: distinct heads or pages. */
void muse_kv_put(MuseKvType type, void *keys, void *values, size_t slot, const float *k, const float *v, size_t width);

typedef struct MuseAttendArgs {
    size_t rows;                  /* 1..MUSE_ATTEND_ROWS */
    size_t heads;                 /* KV heads, at least 1, a divisor of rows: the first rows / heads rows look at the first one, and so on */
    size_t width;                 /* K, 1..MUSE_ATTEND_WIDTH */
    const float *const *q;        /* [rows] -> [K]: rotated, not scaled */
    float *const *o;              /* [rows] -> [K]: running sum of weights times values, then (finish) the result */
    float *max, *sum;             /* [rows]: running state */
    const uint32_t *lo, *hi;      /* [rows]: row r sees positions lo[r] <= p < hi[r]; both ascend or not, any mix */
    float scale, softcap;         /* of the scores: s = scale * q.k, then softcap * tanh(s / softcap) unless 0 */
    const uint8_t *const *pages;  /* page i holds positions 32 i .. 32 i + 31. Pages that no row sees may be NULL */
    size_t first_page, n_pages;   /* what this call looks at: pages first_page .. first_page + n_pages - 1 */
    size_t k_offset, v_offset;    /* of the first head's blocks in a page, multiples of 64 */
    size_t head_stride;           /* bytes from a head's keys (and values) to those of the next head, a multiple of 64. Heads side by side are read page by page, ahead of time */
    bool   start, finish;         /* start: state and o are not read, but begun; finish: o is divided by the sum (zeros where the row saw nothing) */
    void  *scratch;               /* MUSE_ATTEND_SCRATCH bytes, 64-byte aligned */
} MuseAttendArgs;

/* Rows may go over several calls (shared pages first, then each one's own), in any order of pages, and with other rows beside
 * them; a row's result does not depend on the rows beside it. NaN in q, keys or values that a row sees make its result NaN. */
typedef void MuseAttend(const MuseAttendArgs *a);

/* q in the kernel's form, scores of all rows over a page, corrections */
enum { MUSE_ATTEND_SCRATCH = MUSE_ATTEND_ROWS * (4 * MUSE_ATTEND_WIDTH + 4 * MUSE_KV_PAGE * 2 + 64) };

/* w[p - first] = exp(score(p) - max) / sum for first <= p < first + n, 0 where the row does not see p: the weights of one finished row, for attention
 * maps. max, sum: what attend left; k_offset: of this row's head; o, heads, head_stride, first_page, n_pages, start and finish are not read. A NaN score gives a NaN weight. */
typedef void MuseAttendWeights(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w);

typedef struct MuseAttendOps {
    MuseAttend *attend_f32;        /* F32 pages, f32 arithmetic: the reference path */
    MuseAttend *attend_bf16;       /* BF16 pages, f32 arithmetic */
    MuseAttend *attend_bf16_bf16;  /* BF16 pages; q and softmax weights may be rounded to bf16 */
    MuseAttend *attend_q8;         /* Q8 pages; q may be rounded to 16-bit integers with a scale for each block of 32 (an infinite q is NaN then), softmax weights times values' scales to bf16 */
    MuseAttendWeights *weights_f32, *weights_bf16, *weights_q8;   /* F32, BF16 (f32 arithmetic), Q8 pages (as attend_q8) */
} MuseAttendOps;

void muse_attend_ops_init(MuseAttendOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/attend_kernels.inc"
#undef KERNEL

#endif
