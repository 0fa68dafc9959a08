/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file limits.h
 * What this machine can do at most: reading memory, multiplying and adding. Speeds of a model are shares of these.
 */
#ifndef MUSE_LIMITS_H
#define MUSE_LIMITS_H

#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** On all threads of a runtime together. An instruction that the CPU or the runtime's level lacks has 0. A multiply-add is two operations. */
typedef struct MuseLimits {
    double read_gbs;        ///< 10^9 bytes a second, streaming through 512 MiB once: decoding, which reads each weight once a step, can't be faster. Caches larger than that flatter it
    double fma_f32_gflops;  ///< 10^9 operations a second: f32 vector multiply-add
    double dot_bf16_gflops; ///< AVX512_BF16
    double dot_int8_gops;   ///< AVX512_VNNI
    double amx_bf16_gflops; ///< tiles
    double amx_int8_gops;
} MuseLimits;

/**
 * Measure, which takes some tenths of a second and 512 MiB while it does. One figure says little on a machine that does other
 * things: measure between the runs that are compared with it, and take medians. Any thread, but nothing should compute beside it.
 * @param rt Not NULL: its threads and its CPU level are measured.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_measure_limits(MuseRuntime *rt, MuseLimits *out, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
