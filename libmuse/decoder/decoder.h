/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder stack: rows of the embedding space through all layers, for one sequence or several at once. A MuseDecoder is a
 * model made ready to compute in one mode; it is read-only and shared by threads, each of which brings a workspace.
 *
 *   session --rows [T, D] + places--> forward --(layers, KV pages)--> final rows [T, D] --> head --logits [n, V]--> sampler
 *
 * Users: session, tests. */
#ifndef LIBMUSE_DECODER_DECODER_H
#define LIBMUSE_DECODER_DECODER_H

#include "libmuse/decoder/kv.h"
#include "libmuse/decoder/watch.h"
#include "libmuse/embed/embed.h"
#include "libmuse/model/model.h"
#include "ops/matmul_plan.h"

typedef struct MuseDecoder MuseDecoder;
typedef struct MuseWorkspace MuseWorkspace;

/* Where a position stands: for rotation and mask */
typedef struct MuseRowPlace {
    uint32_t position;                 /* number in its sequence: what rotates where a model has no axes */
    int32_t  t, y, x;
    uint32_t block_begin, block_end;   /* absolute positions of the soft tokens of its picture; equal: none */
} MuseRowPlace;

/* One sequence's share of a batch: its next n positions are rows first .. first + n - 1. A picture's soft tokens come in one piece. */
typedef struct MuseSlot {
    MuseKv *kv;
    size_t  first, n;
    MuseWatch *watch;                  /* gets the weights of the last position; NULL: nobody watches */
} MuseSlot;

typedef struct MuseBatch {
    const MuseSlot *slots;
    size_t n_slots;
    size_t n_rows;                     /* T: sum of the slots' n */
    const MuseRowPlace *places;        /* [T] */
    MuseImageMask mask;
    size_t first_wanted;               /* rows before this one are not needed after the last layer's keys and values */
    const MuseStages *stages;          /* NULL: nobody looks; else "layers.K", "final_norm" */
    MuseCancelFn *cancel;              /* asked before each layer; NULL: never */
    void *cancel_user;
} MuseBatch;

/* 0; MUSE_ERR_NOMEM; MUSE_ERR_UNSUPPORTED, MUSE_ERR_LIMIT: as plans say. The model is borrowed until close. */
int  muse_decoder_open(MuseDecoder **out, const MuseModel *model, MuseCompute compute, MuseError *err);
void muse_decoder_close(MuseDecoder **d);
const MuseEmbed *muse_decoder_embed(const MuseDecoder *d);

/* Scratch for batches of at most n_rows rows (media rows included) of at most n_slots sequences. Its bytes are the sum that
 * docs/ARCHITECTURE.md states. Workspaces that are given back are kept and handed out again: after the first, steps of the same
 * size allocate nothing. Any thread. */
int  muse_workspace_take(MuseWorkspace **out, const MuseDecoder *d, size_t n_rows, MuseError *err);
void muse_workspace_give(const MuseDecoder *d, MuseWorkspace **ws);
size_t muse_workspace_bytes(const MuseWorkspace *ws);
float *muse_workspace_rows(MuseWorkspace *ws);      /* [n_rows, D]: fill before, read after muse_decoder_forward() */
void  *muse_workspace_embed(MuseWorkspace *ws);     /* for muse_embed_*; valid until forward */
float *muse_workspace_features(MuseWorkspace *ws);  /* patches or frames of n_rows rows; valid until forward */
float *muse_workspace_logits(MuseWorkspace *ws);    /* [min(n_rows, MUSE_HEAD_ROWS), V]; after forward */
MuseRowPlace *muse_workspace_places(MuseWorkspace *ws);   /* [n_rows], for a batch */
MuseSlot *muse_workspace_slots(MuseWorkspace *ws);        /* [n_rows], for a batch */
uint32_t *muse_workspace_grid(MuseWorkspace *ws);         /* [2][n_rows], for muse_embed_patches() */
size_t muse_workspace_n(const MuseWorkspace *ws);         /* n_rows, or more */

/* All layers and the final norm. Every kv must have been reserved for its n; lengths grow when all is done, so after
 * MUSE_ERR_CANCELLED the sequences are as before. */
int  muse_decoder_forward(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *batch, MuseError *err);

enum { MUSE_HEAD_ROWS = 16 };
/* logits of rows first .. first + n - 1 (at most MUSE_HEAD_ROWS) after forward: [n, V] */
void muse_decoder_head(const MuseDecoder *d, MuseWorkspace *ws, size_t first, size_t n, float *logits);

#endif
