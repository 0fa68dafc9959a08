/* SPDX-License-Identifier: Apache-2.0 */
/* A plan multiplies activations by one weight: y[n, m] = x[n, k] * W[m, k]^T + bias. Made once at load, it holds which kernels
 * serve the weight's type on this CPU; running it allocates nothing. Weights are never copied or repacked: kernels read them as
 * they lie in the mapped file, whatever their alignment. Numerics, layouts, measurements: docs/ops/matmul.md.
 * Users: libmuse/decoder, libmuse/embed, tests. */
#ifndef OPS_MATMUL_PLAN_H
#define OPS_MATMUL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "muse/runtime.h"
#include "ops/matmul.h"

typedef struct MuseWeight {
    unsigned    type;   /* MuseWeightType */
    size_t      m, k;   /* rows (outputs) and columns (inputs) */
    const void *data;   /* [m, k] in the type's blocks, rows without gaps; any alignment; outlives the plan */
    size_t      bytes;  /* what data has; must be at least what type, m and k need */
} MuseWeight;

enum { MUSE_MATMUL_CHUNK = 512 };   /* tokens that are prepared at a time, so that the workspace does not grow further */

typedef struct MuseMatmulPlan {
    const MuseRuntime *rt;      /* borrowed until close: kernels, thread team, log */
    MuseWeight weight;
    size_t     row_bytes;
    MuseCompute compute;        /* what is allowed; AUTO is resolved */
    /* few tokens: rows in place, or each row decoded to f32 first */
    MuseMatmulRows *rows;
    MuseDequant    *decode;     /* NULL: rows reads the type itself */
    uint8_t         rows_form;  /* what rows takes as x: MuseMatmulForm */
    /* many tokens: blocks of rows fetched into the form of a tile kernel */
    MuseMatmulTile    *tile;    /* NULL: rows serve all counts */
    MuseDequant       *fetch;   /* to f32 (and from there to bf16) */
    MuseMatmulFetchQ8 *fetch_q8;
    uint8_t            tile_form;
    size_t             tile_from;   /* tokens from which tiles are faster */
} MuseMatmulPlan;

typedef enum MuseMatmulForm { MUSE_FORM_F32, MUSE_FORM_BF16, MUSE_FORM_Q8 } MuseMatmulForm;

/* Choose kernels for a weight. Says at debug level what was chosen, at info level when the wanted mode has no kernel here and a
 * more exact one serves. 0; MUSE_ERR_ARG: unknown type or mode, a zero size; MUSE_ERR_FORMAT: k is no whole number of blocks,
 * or too few bytes; MUSE_ERR_LIMIT: sizes overflow. On error the plan is zeroed. */
int  muse_matmul_plan_open(MuseMatmulPlan *plan, const MuseRuntime *rt, const MuseWeight *w, MuseCompute compute, MuseError *err);
void muse_matmul_plan_close(MuseMatmulPlan *plan);   /* accepts a zeroed plan */

/* One weight's part of a run */
typedef struct MuseMatmulJob {
    const MuseMatmulPlan *plan;
    float       *y;         /* [n, m], rows y_stride floats apart */
    size_t       y_stride;  /* 0 = m */
    const float *bias;      /* [m] or NULL */
} MuseMatmulJob;

/* Bytes that a run of at most n_max tokens needs, the same for every n >= MUSE_MATMUL_CHUNK. For several jobs over one x: the
 * largest of theirs. false if it does not fit size_t. */
bool muse_matmul_workspace(const MuseMatmulPlan *plan, size_t n_max, size_t *bytes);

/* Every job's y = x * W^T + bias for the same x: [n, k] f32, rows k floats apart, 4-byte aligned. All plans have the same k and
 * the same runtime. workspace: 64-byte aligned, see above. Threads: the runtime's team; results do not depend on its size, nor
 * on what else runs in the call. Several calls may run at the same time, with workspaces of their own. */
void muse_matmul_run(const MuseMatmulJob *jobs, size_t n_jobs, const float *x, size_t n, void *workspace);

#endif
