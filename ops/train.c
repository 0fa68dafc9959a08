/* SPDX-License-Identifier: Apache-2.0 */
/* The portable table, and the choice. */
#include "ops/train.h"

#include "ops/cpu.h"

#define ACT_BF16 0
#include "ops/train_body.h"
#undef ACT_BF16
#define ACT_BF16 1
#include "ops/train_body.h"

const MuseTrainOps *const muse_train_ops_c[2] = { &table_f32, &table_bf16 };

const MuseTrainOps *muse_train_ops(unsigned cpu, bool bf16)
{
#if MUSE_HAVE_AVX512
    if (bf16 && (cpu & MUSE_X86_BF16)) return muse_train_ops_avx512bf16;
    if ((cpu & MUSE_X86_AVX512) == MUSE_X86_AVX512) return muse_train_ops_avx512[bf16];
#endif
#if MUSE_HAVE_AVX2
    if ((cpu & MUSE_X86_AVX2) == MUSE_X86_AVX2) return muse_train_ops_avx2[bf16];
#endif
    (void)cpu;
    return muse_train_ops_c[bf16];
}
