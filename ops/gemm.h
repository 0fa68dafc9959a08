/* SPDX-License-Identifier: Apache-2.0 */
/* General products C (+)= A * B of f32 or bf16 matrices with f32 sums, either operand turned: what training needs, where weights
 * change every step and gradients want A^T * B. Done by own kernels for bf16 on CPUs with AVX512_BF16 and no tiles, else by
 * oneDNN where it is built in and has the product on this CPU, else by plain C. Inference uses plans instead (ops/matmul_plan.h). Numbers and speed: docs/train.md. Users: libmuse/train, tests. */
#ifndef OPS_GEMM_H
#define OPS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "config.h"
#include "muse/runtime.h"

typedef struct MuseGemmArgs {
    size_t m, n, k;            /* C is [m, n], k is summed over; all at least 1 */
    const void *a, *b;         /* A [m, k] (turn_a: stored as [k, m]), B [k, n] (turn_b: stored as [n, k]) */
    void  *c;
    size_t lda, ldb, ldc;      /* elements from row to row, as stored */
    bool   turn_a, turn_b;
    bool   add;                /* C += A * B; then C is f32 */
    bool   bf16;               /* A and B are bf16, else f32 */
    bool   c_bf16;             /* C is bf16, else f32 */
} MuseGemmArgs;

typedef struct MuseGemm MuseGemm;

/* Lane 0 works with the runtime's whole team, lanes 1 .. threads with one thread each: those may run at the same time, each in
 * one thread. A lane prepares a product the first time it meets its shape, then keeps it. */
enum { MUSE_GEMM_TEAM = 0 };

/* 0; MUSE_ERR_NOMEM. The runtime must outlive it. */
int  muse_gemm_open(MuseGemm **out, const MuseRuntime *rt, MuseError *err);
void muse_gemm_close(MuseGemm **g);   /* accepts NULL */

/* Cannot fail: what the engine does not take (also for want of memory) plain C does, and the log says so once. */
void muse_gemm_run(MuseGemm *g, size_t lane, const MuseGemmArgs *args);

/* true: bf16 products have an engine here and are worth using */
bool muse_gemm_has_bf16(MuseGemm *g);

/* Rows begin .. end - 1 of a bf16 product, by one thread, with MUSE_GEMM_ROOM bytes of scratch at a multiple of 64. false: a shape
 * that it does not take (an odd k where A is not turned, a very long one where C is bf16); nothing is written then. Rows have the
 * same bits whatever the range. */
enum { MUSE_GEMM_ROOM = 832 << 10 };
#if MUSE_HAVE_AVX512
bool muse_gemm_bf16_avx512bf16(const MuseGemmArgs *args, size_t begin, size_t end, void *room);
#endif

#endif
