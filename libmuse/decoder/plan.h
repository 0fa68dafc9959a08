/* SPDX-License-Identifier: Apache-2.0 */
/* MuseDecoder and MuseWorkspace from the inside. Users: this folder. */
#ifndef LIBMUSE_DECODER_PLAN_H
#define LIBMUSE_DECODER_PLAN_H

#include <pthread.h>

#include "libmuse/decoder/decoder.h"
#include "libmuse/decoder/mask.h"

enum { MUSE_ROPES_MAX = 8 };   /* different rotations in one model; more are refused */

typedef struct MuseLayerPlan {
    MuseMatmulPlan q, k, v, qkv, o, gate, up, down;   /* qkv instead of q, k, v where fused; v zeroed where the key is the value */
    const float *attn_norm, *attn_norm_b, *bq, *bk, *bv, *bqkv, *q_norm, *q_norm_b, *k_norm, *k_norm_b, *bo, *post_attn_norm,
                *ffn_norm, *ffn_norm_b, *b_up, *b_down, *post_ffn_norm;   /* f32; NULL where the family has none */
    float   out_scale;
    uint8_t rope;              /* index of ropes */
} MuseLayerPlan;

typedef struct MuseRopePlan {
    const MuseRope *rope;
    double  *f;                /* [pairs] */
    uint8_t *axis;             /* [pairs] */
} MuseRopePlan;

struct MuseDecoder {
    const MuseModel *model;
    const MuseRuntime *rt;
    MuseCompute    compute;
    MuseEmbed     *embed;
    MuseLayerPlan *layers;     /* [L] */
    MuseMatmulPlan head;
    const float   *norm, *norm_b;
    MuseRopePlan   ropes[MUSE_ROPES_MAX];
    uint32_t       n_ropes;
    float         *small;      /* all f32 copies of norms and biases */
    size_t         q_width, kv_width;   /* of the widest layer: H K, G K */
    size_t         pairs;      /* most pairs of a rope */
    pthread_mutex_t lock;      /* of the kept workspaces */
    MuseWorkspace *kept;
};

struct MuseWorkspace {
    MuseWorkspace *next;
    size_t   n_rows, bytes;
    float   *x, *h, *y;        /* [n_rows, D] */
    float   *q, *k, *v, *o;    /* [n_rows, q_width], [n_rows, kv_width] twice, [n_rows, q_width]; share memory with gate, up */
    float   *gate, *up;        /* [n_rows, F] */
    float   *qkv;              /* fused: q, k, v as they come, over q, k, v */
    float   *cos, *sin;        /* [n_ropes][n_rows][pairs] */
    float   *logits;           /* [min(n_rows, MUSE_HEAD_ROWS), V], over what the layers use */
    MuseRowPlace *places;      /* [n_rows]: the caller's */
    MuseSlot *slots;           /* [n_rows]: the caller's */
    uint32_t *grid;            /* [2][n_rows]: the caller's */
    MuseRange *ranges;         /* [MUSE_KV_CLASSES_MAX][n_rows] */
    void    *features, *embed; /* over what the layers use */
    void    *matmul;
    uint8_t *attend;           /* [threads] of attend_bytes */
    size_t   attend_bytes;
};

/* Attention of a layer for all slots: ws->q, pages -> ws->o. attention.c */
void muse_decoder_attend(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *batch, uint32_t layer);

#endif
