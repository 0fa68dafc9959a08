/* SPDX-License-Identifier: Apache-2.0 */
/* What turns ids, patches and frames into rows of the embedding space. One way through for all families: what a family has no
 * tensor for is left out. Sources: Gemma spec 2.2, 3.4, 4 and 8; Fuyu spec 2 and 3; muse: docs/FORMATS.md.
 * Users: session, tests. */
#ifndef LIBMUSE_EMBED_EMBED_H
#define LIBMUSE_EMBED_EMBED_H

#include "libmuse/model/model.h"
#include "ops/matmul_plan.h"

/* Plans, and f32 copies of the small tensors. Read-only after open: any number of threads, each with a workspace of its own. */
typedef struct MuseEmbed MuseEmbed;

/* Called by the thread that embeds, in the order of the stages: "patches", "patch_dense" (muse: before the places are added),
 * "pos_norm" (Gemma), "rows"; "frames", "rows". data: [rows, width], valid for the call. */
typedef void MuseStageFn(void *user, const char *stage, const float *data, size_t rows, size_t width);
typedef struct MuseStages { MuseStageFn *fn; void *user; } MuseStages;   /* fn NULL: nobody looks */

/* Borrows the model until close. With compute F32 nothing is rounded; else patches and frames are rounded to bf16 where the plan
 * of their first product allows bf16. 0; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM. */
int  muse_embed_open(MuseEmbed **out, const MuseModel *model, MuseCompute compute, MuseError *err);
void muse_embed_close(MuseEmbed **e);

/* Bytes of workspace (64-byte aligned) for calls of at most n patches, and of at most n frames. false: does not fit size_t. */
bool muse_embed_workspace(const MuseEmbed *e, size_t n_patches, size_t n_frames, size_t *bytes);

/* rows: [n, D], scaled by the family's factor; ids: [n], each of the vocabulary (the caller has checked). */
void muse_embed_tokens(const MuseEmbed *e, float *rows, const int32_t *ids, size_t n);

/* rows: [n, D], unscaled. patches: [n, P] as muse_patches_read() gives them, overwritten; x, y: [n] grid column and row, NULL
 * where the family has no position table. Patches of several pictures may go in one call. stages: NULL, or who looks.
 * 0; MUSE_ERR_LIMIT: a coordinate beyond the position table (named); MUSE_ERR_UNSUPPORTED: the model takes no pictures. On error
 * nothing is changed. */
int  muse_embed_patches(const MuseEmbed *e, float *rows, float *patches, const uint32_t *x, const uint32_t *y, size_t n, void *workspace, const MuseStages *stages, MuseError *err);

/* The same for frames: [n, A]; of a model that takes sound. */
void muse_embed_frames(const MuseEmbed *e, float *rows, float *frames, size_t n, void *workspace, const MuseStages *stages);

#endif
