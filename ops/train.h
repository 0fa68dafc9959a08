/* SPDX-License-Identifier: Apache-2.0 */
/* What training needs between its products: forward and backward of each elementwise and row-wise step. Activations ("act") are
 * bf16 or f32, one table for each; what flows along the residual, sums and statistics are f32. One body (train_body.h) is
 * compiled once for each instruction set, without intrinsics: reductions are marked as such (omp simd), nothing else is
 * reordered; for AVX512_BF16 the steps that cost most are written out (x86/train_bf16.c). Formulas with their derivations: docs/train.md. Users: libmuse/train, tests.
 * Where a text says "+=", the caller has set the first value. */
#ifndef OPS_TRAIN_H
#define OPS_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

enum { MUSE_ACT_BYTES_MAX = 4 };

/* What a row of scores sees: columns [lo0, hi0) and [lo1, hi1) of the block, in this order, not overlapping, either may be empty. */
typedef struct MuseSeen {
    uint32_t lo0, hi0, lo1, hi1;
} MuseSeen;

/* A target: probabilities p[0 .. n - 1] of the ids first .. first + n - 1, which sum to 1; weight of its loss. */
typedef struct MuseSoftTarget {
    uint32_t first, n;
    const float *p;
    float weight;
} MuseSoftTarget;

typedef struct MuseTrainOps {
    size_t act_bytes;   /* 2 or 4 */

    /* conversions; sizes in values */
    void (*store)(void *y, const float *x, size_t n);
    void (*load)(float *y, const void *x, size_t n);
    void (*store_scaled)(void *y, size_t y_stride, const float *x, size_t x_stride, const float *scale, size_t n, size_t d);   /* y[t] = x[t] * scale[t] */

    /* RMSNorm: unit = x r, y = unit w, r = 1 / sqrt(mean x^2 + eps) kept in rstd; w NULL: 1.
     * Back: g = dy w; dx += r (g - unit mean(g unit)), dx_act = the new dx; dw += sum_t dy unit (dw NULL: not wanted) */
    void (*norm)(void *y, void *unit, float *rstd, const float *x, const float *w, size_t n, size_t d, float eps);
    void (*norm_back)(float *dx, void *dx_act, float *dw, const float *dy, const void *unit, const float *rstd, const float *w, size_t n, size_t d);

    /* LayerNorm of rows that need no gradient themselves (pixels): unit = (x - mean) / sqrt(var + eps), y = unit w + b.
     * Back: dw += sum_t dy unit, db += sum_t dy */
    void (*layernorm)(void *y, void *unit, const float *x, const float *w, const float *b, size_t n, size_t d, float eps);
    void (*layernorm_back)(float *dw, float *db, const void *dy, const void *unit, size_t n, size_t d);

    /* Heads of a row, each normalised as above (w NULL: not at all), then turned: pair (i, i + K/2) by the row's cos[i], sin[i].
     * x and y: rows x_stride and y_stride apart, heads K apart; rstd: [n, heads].
     * Back: from dy (rows y_stride apart), x and rstd to dx (rows x_stride apart, may be dy); dw += */
    void (*turn)(void *y, size_t y_stride, float *rstd, const void *x, size_t x_stride, const float *w, const float *cos, const float *sin, size_t n, size_t heads,
                 size_t width, float eps);
    void (*turn_back)(void *dx, size_t dx_stride, float *dw, const void *dy, size_t dy_stride, const void *x, size_t x_stride, const float *rstd, const float *w,
                      const float *cos, const float *sin, size_t n, size_t heads, size_t width);

    /* MLP: y = max(u, 0)^2; du = dy 2 max(u, 0) (du may be dy).
     * silu: gu holds rows [g (f values), u (f values)]; y = g sigmoid(g) u */
    void (*relu2)(void *y, const void *u, size_t n);
    void (*relu2_back)(void *du, const void *dy, const void *u, size_t n);
    void (*silu)(void *y, const void *gu, size_t n, size_t f);
    void (*silu_back)(void *dgu, const void *dy, const void *gu, size_t n, size_t f);

    /* x[t] += b; db += sum_t dx[t] */
    void (*bias)(void *x, const float *b, size_t n, size_t d);
    void (*bias_back)(float *db, const void *dx, size_t n, size_t d);

    /* Scores of a block to weights: p = exp(scale s - max) for what the row sees, else 0, not yet divided by its sum; inv_sum, and
     * lse = max + log(sum). A row that sees nothing: inv_sum 0, lse 0. cols: width of the block.
     * Back: p = exp(scale s - lse), ds = p (dp - delta) scale. extra: NULL, or [n, cols]: added to dp - delta before the product */
    void (*weights)(void *p, float *inv_sum, float *lse, const float *s, const MuseSeen *seen, size_t n, size_t cols, size_t stride, float scale);
    void (*weights_back)(void *p, void *ds, const float *s, const float *dp, const float *lse, const float *delta, const float *extra, const MuseSeen *seen,
                         size_t n, size_t cols, size_t stride, float scale);
    /* delta[t] = sum_i x[t,i] y[t,i]; rows x_stride and y_stride apart */
    void (*dots)(float *delta, const void *x, size_t x_stride, const void *y, size_t y_stride, size_t n, size_t d);

    /* Cross-entropy of rows of logits, loss[t] = sum_j p_j (lse - z_j), not weighted; dlogits = weight (softmax - p); cap: of the
     * logits, 0 for none; bias: added to them before, or NULL. hit[t]: 1 if the likeliest id is the target's likeliest.
     * A row that has n 0 gets zeros. */
    void (*cross_entropy)(void *dlogits, float *loss, uint8_t *hit, const float *logits, const float *bias, const MuseSoftTarget *target, size_t n, size_t vocab, float cap);

    /* Adam with decoupled decay (Loshchilov and Hutter 2019): m and v are moments, lr and decay already scheduled, c1 and c2 the
     * bias corrections 1 / (1 - beta^step); g is multiplied by g_scale first. work = master as act. */
    void (*adam)(void *work, float *master, float *m, float *v, const float *g, size_t n, float g_scale, float lr, float decay, float beta1, float beta2, float eps,
                 float c1, float c2);
    /* m = beta m + g g_scale; y = m beta + g g_scale (Nesterov), the input of Muon; returns the sum of y^2 */
    double (*momentum)(float *y, float *m, const float *g, size_t n, float g_scale, float beta);
    /* master = master (1 - decay) - lr x; work = master as act */
    void (*descend)(void *work, float *master, const float *x, size_t n, float lr, float decay);
    void (*mix)(void *y, const float *x, const float *z, size_t n, float a, float b);   /* y = a x + b z */
    void (*average)(float *ema, const float *x, size_t n, float keep);                 /* ema = keep ema + (1 - keep) x */
    double (*sum_squares)(const float *x, size_t n);
} MuseTrainOps;

/* The table for these CPU bits. Static. */
const MuseTrainOps *muse_train_ops(unsigned cpu, bool bf16);

/* [f32, bf16] */
extern const MuseTrainOps *const muse_train_ops_c[2];
#if MUSE_HAVE_AVX2
extern const MuseTrainOps *const muse_train_ops_avx2[2];
#endif
#if MUSE_HAVE_AVX512
extern const MuseTrainOps *const muse_train_ops_avx512[2], *const muse_train_ops_avx512bf16;   /* the last: bf16 with AVX512_BF16 */
#endif

#endif
