/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a muse model as one array: which tensor lies where, under which name it is saved, how it is begun and which
 * optimiser it gets. q, k and v lie one after the other, so that one product makes all three; gate and up too.
 * Users: libmuse/train. */
#ifndef LIBMUSE_TRAIN_LAYOUT_H
#define LIBMUSE_TRAIN_LAYOUT_H

#include "base/alloc.h"
#include "libmuse/model/bind.h"
#include "libmuse/model/config.h"

typedef enum MuseParamKind {
    MUSE_PARAM_MATRIX,   /* a linear: Muon */
    MUSE_PARAM_TABLE,    /* rows that are looked up, label heads: Adam */
    MUSE_PARAM_VECTOR    /* gains and biases: Adam, no decay */
} MuseParamKind;

typedef struct MuseParam {
    char     name[96];        /* in safetensors; of label heads "train.labels.*", not part of the model */
    size_t   at;              /* first value */
    size_t   rows, cols;      /* vectors: 1, n */
    uint8_t  kind;            /* MuseParamKind */
    bool     extra;           /* a label head: saved with the optimiser only */
    float    begin;           /* standard deviation, or, vectors, the value */
} MuseParam;

typedef struct MuseLayerPlaces {
    size_t attn_norm, qkv, q_norm, k_norm, wo, ffn_norm, up, down;   /* up: with a gate, gate then up */
} MuseLayerPlaces;

typedef struct MuseLayout {
    MuseParam *items;
    size_t     n, cap, n_values;
    MuseLayerPlaces *layers;
    size_t embed, norm, head;
    size_t image_norm, image_norm_b, hidden, hidden_b, levels, image_proj, image_proj_b, rows, cols;
    size_t audio, audio_b;
    size_t labels, labels_b;
    size_t n_model;           /* values without label heads: they come last */
} MuseLayout;

/* c: of the muse family. n_classes: of all label heads together, 0 for none. 0; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT. Clear also after errors. */
int  muse_layout_make(MuseLayout *l, const MuseAllocator *a, const MuseConfig *c, size_t n_classes, MuseError *err);
void muse_layout_clear(MuseLayout *l);

/* Begin weights from a seed: docs/train.md, "Beginning". */
void muse_layout_begin(const MuseLayout *l, const MuseConfig *c, uint64_t seed, float *master);

/* A counter-based generator (SplitMix64): the same numbers whatever the order of use. */
typedef struct MuseRandom { uint64_t state; } MuseRandom;
uint64_t muse_random_next(MuseRandom *r);
double   muse_random_unit(MuseRandom *r);     /* 0 <= x < 1 */
float    muse_random_normal(MuseRandom *r);

/* Smooth random functions of the place, [n, d]: neighbours begin alike. How place tables begin. */
#define MUSE_PLACES_DEVIATION 0.3f
void muse_layout_begin_places(float *table, size_t n, size_t d, float deviation, MuseRandom *r);

#endif
