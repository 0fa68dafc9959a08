/* SPDX-License-Identifier: Apache-2.0 */
/* Products through oneDNN's matmul, with primitives kept by shape. User: ops/gemm.c. */
#ifndef OPS_ONEDNN_GEMM_H
#define OPS_ONEDNN_GEMM_H

#include "base/alloc.h"
#include "ops/gemm.h"

typedef struct MuseOnednnGemm MuseOnednnGemm;

/* For one thread at a time, which itself works with `threads` threads. NULL: no memory. */
MuseOnednnGemm *muse_onednn_gemm_open(const MuseAllocator *a, uint32_t threads);
void muse_onednn_gemm_close(MuseOnednnGemm *g);
/* false: no such product on this CPU, or no memory; nothing is written then */
bool muse_onednn_gemm_run(MuseOnednnGemm *g, const MuseGemmArgs *args);

#endif
