/* SPDX-License-Identifier: Apache-2.0 */
/* Place tokens and places of patches with the same vectors: the vector that a patch has for its column is the mean of the
 * embeddings of the place tokens within that column, rows likewise. The place tables of a saved model hold these means, so nothing
 * but training knows of it. Users: trainer.c, tests. */
#ifndef LIBMUSE_TRAIN_SHARE_H
#define LIBMUSE_TRAIN_SHARE_H

#include "libmuse/train/layout.h"

typedef struct MuseShare {
    uint32_t x, y;      /* ids of the first place on x and on y */
    uint32_t count;     /* places a side; 0: nothing is shared */
    uint32_t patches;   /* patches a side, of which each covers count / patches places; the tables' entries behind stay their own */
} MuseShare;

/* 0; MUSE_ERR_FORMAT: ids outside of the vocabulary or twice, more patches than the tables have, not whole places a patch */
int  muse_share_check(const MuseShare *s, const MuseConfig *c, MuseError *err);
/* Embeddings of places begin as the tables' entries do: neighbours alike. */
void muse_share_begin(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, uint64_t seed, float *master);
/* tables = means of embeddings; values: weights, or their average */
void muse_share_put(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, float *values);
/* the tables' gradients go to the embeddings */
void muse_share_back(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, float *grad);

#endif
