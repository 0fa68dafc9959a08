/* SPDX-License-Identifier: Apache-2.0 */
/* ops/train_body.h, compiled once for AVX2 and once for AVX-512: the compiler's vectors, no intrinsics. */
#include "ops/train.h"

#define ACT_BF16 0
#include "ops/train_body.h"
#undef ACT_BF16
#define ACT_BF16 1
#include "ops/train_body.h"

#ifdef __AVX512F__
const MuseTrainOps *const muse_train_ops_avx512[2] = { &table_f32, &table_bf16 };
#else
const MuseTrainOps *const muse_train_ops_avx2[2] = { &table_f32, &table_bf16 };
#endif
