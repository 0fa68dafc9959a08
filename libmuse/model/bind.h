/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a model, by role: every family's names bound to one set of members, each checked for shape and type. Values
 * are not read here. Users: model.c, embed, decoder, convert, train. */
#ifndef LIBMUSE_MODEL_BIND_H
#define LIBMUSE_MODEL_BIND_H

#include "base/log.h"
#include "libmuse/io/weights.h"
#include "libmuse/model/config.h"

/* Shapes in the letters of the house style; NULL where the family has none. A linear is [out, in]. */
typedef struct MuseLayerWeights {
    const MuseTensor *attn_norm, *attn_norm_b;     /* [D] */
    const MuseTensor *wq, *bq;                     /* [H*K, D], [H*K]; see rows_permuted */
    const MuseTensor *wk, *bk;                     /* [G*K, D], [G*K]; see rows_permuted */
    const MuseTensor *wv, *bv;                     /* [G*K, D], [G*K]; NULL where the key is the value */
    const MuseTensor *wqkv, *bqkv;                 /* fused: [H*3*K, D], [H*3*K], per head q, k, v */
    const MuseTensor *q_norm, *q_norm_b, *k_norm, *k_norm_b;   /* [K] */
    const MuseTensor *wo, *bo;                     /* [D, H*K], [D] */
    const MuseTensor *post_attn_norm;              /* [D] */
    const MuseTensor *ffn_norm, *ffn_norm_b;       /* [D] */
    const MuseTensor *w_gate, *w_up, *b_up;        /* [F, D], [F, D], [F] */
    const MuseTensor *w_down, *b_down;             /* [D, F], [D] */
    const MuseTensor *post_ffn_norm;               /* [D] */
    const MuseTensor *out_scale;                   /* [1] */
} MuseLayerWeights;

/* E: values of an embedded patch; P: values of a patch; A: values of a frame; N: entries of the position table; M: patch MLP */
typedef struct MuseImageWeights {
    const MuseTensor *norm1, *norm1_b;             /* [P]; see patch_chw */
    const MuseTensor *hidden, *hidden_b;           /* muse with a patch MLP: [M, P], [M] */
    const MuseTensor *levels;                      /* muse: [4, M], levels.h */
    const MuseTensor *dense, *dense_b;             /* [E, P] (with a patch MLP [E, M]), [E]; see patch_chw */
    const MuseTensor *norm2, *norm2_b;             /* [E] */
    const MuseTensor *place;                       /* [N, 2, E], x then y; GGUF [2, N, E]: see place_split */
    const MuseTensor *place_rows, *place_cols;     /* muse: [N, D] */
    const MuseTensor *norm3, *norm3_b;             /* [E] */
    const MuseTensor *proj;                        /* [D, E] */
} MuseImageWeights;

typedef struct MuseAudioWeights {
    const MuseTensor *proj, *proj_b;               /* [D, A], [D] */
} MuseAudioWeights;

/* Start with zeros. */
typedef struct MuseWeights {
    const MuseTensor *embed;                       /* [V, D] */
    const MuseTensor *norm, *norm_b;               /* [D] */
    const MuseTensor *head;                        /* [V, D]; when tied, the same tensor as embed */
    const MuseTensor *rope_freqs;                  /* GGUF: divisors of the layers without window; applied to the config by bind */
    MuseLayerWeights *layers;                      /* [L] */
    MuseImageWeights  image;
    MuseAudioWeights  audio;

    /* How GGUF stores some of them otherwise than Hugging Face; the decoder applies this when it packs. */
    bool rows_permuted;    /* q and k (weights, biases): inside each head, row 2j + t is row t*K/2 + j: rotate neighbours, or put back */
    bool patch_chw;        /* columns of dense and values of norm1: channel, row, column instead of row, column, channel */
    bool place_split;      /* place is [2, N, E]: the x table, then the y table */

    float   *divisors;     /* rope_freqs as f32, owned */
    uint64_t n_parameters; /* values of all bound tensors, tied ones once */
    uint64_t bytes;        /* of all bound tensors */
    size_t   n_bound, n_unused;
} MuseWeights;

/* Bind text (and media) tensors of `main`, and of a projector file if there is one (NULL: none). Settles what c leaves to the
 * tensors (tied, k_eq_v, rotating pairs) and points c's ropes at the divisors. 0; MUSE_ERR_FORMAT: a tensor is missing, has
 * another shape, is there under two names, or contradicts the configuration (all named); MUSE_ERR_UNSUPPORTED: of a type that a
 * weight or norm can't have; MUSE_ERR_NOMEM. Tensors with no role are said in the log. Clear also after errors. */
int  muse_weights_bind(MuseWeights *w, MuseConfig *c, const MuseAllocator *a, const MuseLog *log, const MuseWeightFile *main, const MuseWeightFile *mmproj, MuseError *err);
void muse_weights_clear(MuseWeights *w);
/* The tensors that a model of this configuration has, under their first published names, in BF16; without bytes. 0; MUSE_ERR_NOMEM;
 * MUSE_ERR_FORMAT: a shape that does not fit memory. Clear out also after errors. */
int  muse_weights_plan(MuseTensors *out, const MuseConfig *c, MuseError *err);

/* ---- the tables ---- */

typedef enum MuseDim { DIM_END, DIM_1, DIM_2, DIM_LEVELS, DIM_D, DIM_V, DIM_F, DIM_K, DIM_HK, DIM_GK, DIM_H3K, DIM_E, DIM_P, DIM_A, DIM_N, DIM_M, DIM_X } MuseDim;   /* X: what enters dense */

/* when a tensor must be there; when not, it must not */
typedef enum MuseWhen { WHEN_ALWAYS, WHEN_QKV_BIAS, WHEN_BIAS, WHEN_QKNORM, WHEN_GATED, WHEN_V, WHEN_HEAD, WHEN_IMAGE, WHEN_IMAGE_MLP, WHEN_LEVELS, WHEN_AUDIO, WHEN_ROPE_FREQS } MuseWhen;

typedef enum MuseSpace { SPACE_TEXT, SPACE_HEAD, SPACE_IMAGE, SPACE_IMAGE_PROJ, SPACE_AUDIO, SPACES } MuseSpace;   /* which prefixes */

typedef struct MuseBind {
    const char *hf;        /* after the prefix of its space, and "layers.N." in a layer; NULL: no such container */
    const char *gguf;      /* after "blk.N." in a layer */
    uint16_t    member;    /* offset in MuseLayerWeights or MuseWeights */
    uint8_t     space, when;
    bool        plain;     /* F32, F16 or BF16 only: norms, biases, tables */
    uint8_t     dims[3];   /* MuseDim */
} MuseBind;

enum { MUSE_PREFIXES_MAX = 5 };

typedef struct MuseBindTable {
    const char     *prefixes[SPACES][MUSE_PREFIXES_MAX];   /* published spellings, "" allowed, NULL ends */
    const MuseBind *layer, *global;
    size_t          n_layer, n_global;
    const char     *ignored[4];   /* parts of names that have no role and are silent */
} MuseBindTable;

const MuseBindTable *muse_bind_table(MuseArch arch);

#endif
