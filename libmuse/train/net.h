/* SPDX-License-Identifier: Apache-2.0 */
/* The muse network for training: forward and backward over a packed batch. Weights, gradients and every buffer are made once;
 * a pass allocates nothing but oneDNN's scratch for shapes it meets first.
 *
 *   rows -> embed.c -> x [n, D] f32 -> block.c (L times: norm, qkv, attend.c, out; norm, up, act, down) -> loss.c
 *
 * x is the one f32 stream; what enters a product is kept as act (bf16 or f32) for the backward pass. Users: trainer.c, tests. */
#ifndef LIBMUSE_TRAIN_NET_H
#define LIBMUSE_TRAIN_NET_H

#include "base/arena.h"
#include "libmuse/train/batch.h"
#include "libmuse/train/layout.h"
#include "ops/gemm.h"
#include "ops/runtime.h"
#include "ops/train.h"

enum {
    MUSE_NET_HEAD_ROWS = 512,    /* rows of logits at a time */
    MUSE_NET_QUERIES = 64,       /* rows of an attention block */
    MUSE_NET_SLACK = 256         /* rows behind the last one that products may read: keys round up */
};

typedef struct MuseLayerActs {
    void  *unit1, *h1, *qkv, *o, *unit2, *h2, *u, *a;   /* act; [n, D], [n, D], [n, (H+2G) K], [n, H K], [n, D] twice, [n, F or 2 F], [n, F] */
    void  *heads;                                       /* act; what attention works on, a plane [n, K] a head: q turned, k turned, v */
    float *rstd1, *rstd2, *qk_rstd, *lse;               /* [n], [n], [H+G, n], [H, n] */
} MuseLayerActs;

/* One thread's scratch for attention */
typedef struct MuseAttendScratch {
    float *s, *dp, *extra;       /* [QUERIES, cols] */
    void  *p, *ds, *dout;        /* act, the same shape; [QUERIES, K] */
    float *o, *dk, *dv;          /* [QUERIES, K]; [rows + SLACK, K] */
    float *inv_sum, *lse, *delta;
    MuseSeen *seen;
    double gaze_loss;
} MuseAttendScratch;

typedef struct MuseNetTerms {    /* the losses of a pass, already weighted; and what was counted */
    double text, labels, gaze;
    uint64_t n_targets, n_hits;
} MuseNetTerms;

/* Of each task: sums over targets */
typedef struct MuseTaskSums { double loss; uint64_t n, hits; } MuseTaskSums;

typedef struct MuseNet {
    const MuseRuntime *rt;
    const MuseConfig *c;
    const MuseBatchRules *rules;
    const MuseTrainOps *ops;
    MuseGemm *gemm;
    MuseLayout layout;
    bool   bf16;
    size_t act;                  /* bytes of one act */
    float *master, *grad;        /* [layout.n_values] */
    void  *work;                 /* master as act */
    /* label heads and gaze */
    uint32_t tap, gaze_layer, gaze_head;
    size_t n_classes, class_at[MUSE_LABEL_HEADS_MAX];
    /* buffers, for batches of at most `rows` rows */
    size_t rows, cols;
    MuseArena arena;
    MuseLayerActs *layers;
    float *x, *cos, *sin;        /* [n, D]; [n, K/2] */
    void  *unit, *h;             /* of the last norm */
    float *rstd;
    void  *tap_unit;
    float *tap_rstd, *dtap;
    void  *patch_unit, *patch_n, *patch_u, *patch_a, *frame;   /* media on their way in */
    float *media;                /* [n, D] */
    float *dx, *dh;              /* [n, D] */
    void  *dxa, *dbig, *dmid;    /* act: [n, D], [n, widest], [n, F or H K] */
    float *logits, *head_dh, *losses;
    void  *head_h, *dlogits;
    uint8_t *hits;
    MuseSoftTarget *soft;
    float *soft_p;
    float *partial;              /* [threads, partial_width()]: sums of one thread */
    MuseAttendScratch *scratch;  /* [threads] */
    double *inv_freq;            /* [K/2]; which axis: config */
    size_t turns;                /* positions whose angles are kept */
    float *turn_cos, *turn_sin;  /* [turns, K/2]; a pair is of one axis, so all axes share them */
} MuseNet;

/* rows: of the largest batch, a multiple of MUSE_BATCH_ROUND. 0; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT. The configuration and rules are borrowed until close. */
int  muse_net_open(MuseNet *net, const MuseRuntime *rt, const MuseConfig *c, const MuseBatchRules *rules, bool bf16, size_t rows, MuseError *err);
void muse_net_close(MuseNet *net);
/* work = master, after weights were read */
void muse_net_refresh(MuseNet *net);

/* What divides the weights of a group's targets, of a head's labels, of gazes: sums of |weight| over all batches of a step;
 * and what each is multiplied by. */
typedef struct MuseNetScale {
    double group[MUSE_GROUPS_MAX], head[MUSE_LABEL_HEADS_MAX], gaze;
} MuseNetScale;
void muse_net_scale_add(MuseNetScale *sum, const MuseTrainBatch *b);

/* Forward and backward: gradients are added to net->grad. scale: weight of the term / sum, 0 where there is none.
 * tasks: [rules->n_tasks] or NULL. */
void muse_net_pass(MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, MuseNetTerms *terms, MuseTaskSums *tasks);

/* ---- parts of the pass ---- */

/* fn(net, job, worker, begin, end) over rows 0 .. n - 1, one range a thread; cost: values that a row touches. Little work is done
 * by worker 0 alone: on busy cores a region costs far more than it saves (docs/ARCHITECTURE.md, "Threads"). */
typedef void MuseNetRows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end);
void muse_net_rows(MuseNet *net, size_t n, size_t cost, MuseNetRows *fn, const void *job);
/* to[i] += sum over workers of partial, in order; partial is cleared */
float *muse_net_partial(MuseNet *net, size_t worker);
void muse_net_gather_partial(MuseNet *net, float *to, size_t n);

/* linear.c: y[n, m] (+)= x[n, k] W^T; dx = dy W; dW += dy^T x. Weights by their place in the layout. n: a multiple of MUSE_BATCH_ROUND */
typedef struct MuseLinear {
    size_t w, n, m, k;
} MuseLinear;
void muse_linear(MuseNet *net, const MuseLinear *l, const void *x, void *y_act);
void muse_linear_f32(MuseNet *net, const MuseLinear *l, const void *x, float *y, bool add);
void muse_linear_back_x(MuseNet *net, const MuseLinear *l, const void *dy, void *dx_act);
void muse_linear_back_x_f32(MuseNet *net, const MuseLinear *l, const void *dy, float *dx);
void muse_linear_back_w(MuseNet *net, const MuseLinear *l, const void *dy, const void *x);

void muse_embed(MuseNet *net, const MuseTrainBatch *b, size_t n);
void muse_embed_back(MuseNet *net, const MuseTrainBatch *b);
void muse_block(MuseNet *net, const MuseTrainBatch *b, uint32_t layer, size_t n);
void muse_block_back(MuseNet *net, const MuseTrainBatch *b, uint32_t layer, size_t n, const MuseNetScale *scale);
/* o from heads; and dqkv (turned) from dO in net->dmid to net->dbig */
void muse_attend(MuseNet *net, const MuseTrainBatch *b, uint32_t layer);
void muse_attend_back(MuseNet *net, const MuseTrainBatch *b, uint32_t layer, const MuseNetScale *scale);
/* losses; leave d(last norm's output) in net->dh and label gradients in net->dtap */
void muse_loss_text(MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, MuseNetTerms *terms, MuseTaskSums *tasks);
void muse_loss_labels(MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, MuseNetTerms *terms);

static inline void *muse_act_at(const MuseNet *net, const void *p, size_t i) { return (uint8_t *)(uintptr_t)p + i * net->act; }
/* Values of a plane of heads: rows that products may read behind the last one belong to it. Without gaps between rows, which is
 * where oneDNN has its faster kernels. */
static inline size_t muse_plane(const MuseNet *net, const MuseLayerConfig *c) { return (net->rows + MUSE_NET_SLACK) * c->head_width; }
static inline size_t muse_round_rows(size_t n) { return (n + MUSE_BATCH_ROUND - 1) / MUSE_BATCH_ROUND * MUSE_BATCH_ROUND; }

#endif
