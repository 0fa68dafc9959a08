/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file runtime.h
 * What everything else is opened with: memory, log, threads and the CPU level.
 *
 * A MuseRuntime is made once and shared. Passing NULL where a runtime is asked for means a private one
 * with the defaults below. Objects keep the runtime alive, so it may be closed before them.
 */
#ifndef MUSE_RUNTIME_H
#define MUSE_RUNTIME_H

#include "muse/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Allocator, log, threads and kernels. Read-only: any thread; all that was opened with it keeps it alive. Close with muse_runtime_close(). */
typedef struct MuseRuntime MuseRuntime;

/**
 * The caller's memory. Both functions are called from any thread. All of libmuse's own blocks come from
 * here; the libraries it stands on (libjpeg-turbo, libpng, libwebp, libsndfile, soxr, FFTW, PCRE2) use malloc.
 */
typedef struct MuseAllocator {
    void *(*alloc)(void *user, size_t size);  ///< at least malloc's alignment; NULL on failure; size is never 0
    void (*free)(void *user, void *ptr);      ///< ptr is never NULL
    void *user;                               ///< handed back unchanged
} MuseAllocator;

/** Polled while a long call works; non-zero makes it return MUSE_ERR_CANCELLED. Called from the calling thread. */
typedef int MuseCancelFn(void *user);

/** Called once, when the library no longer needs memory that it borrowed; from whichever thread gives up the last reference. */
typedef void MuseReleaseFn(void *user);

/** How talkative a log is, and how grave a line. */
enum {
    MUSE_LOG_NONE  = 0, ///< the level of a runtime without a log function: libmuse is silent
    MUSE_LOG_WARN  = 1, ///< something was changed or left out that the caller may not expect
    MUSE_LOG_INFO  = 2, ///< what was chosen: kernels, threads, sizes
    MUSE_LOG_DEBUG = 3  ///< details of these choices: how each matrix is multiplied
};

/** Called from any thread that works for this runtime; text is one line without newline, valid for the call. */
typedef void MuseLogFn(void *user, int level, const char *text);

/** Bundles of instruction sets. A level includes those below it. */
enum {
    MUSE_CPU_AUTO   = 0, ///< the best that this CPU, its operating system and this build offer
    MUSE_CPU_C      = 1, ///< portable C, the reference
    MUSE_CPU_AVX2   = 2, ///< AVX2 + FMA + F16C
    MUSE_CPU_AVX512 = 3, ///< AVX-512 F, BW, CD, DQ, VL
    MUSE_CPU_AMX    = 4  ///< AVX-512 + AMX tiles (bf16, int8)
};

/** How coarsely a product of activations and weights may round; each mode allows what stands above it too. All sums are f32 or better. */
typedef enum MuseCompute {
    MUSE_COMPUTE_AUTO = 0, ///< INT8 for Q8_0, Q4_0 and the K types, BF16 for F16 and BF16 weights, F32 for F32 weights
    MUSE_COMPUTE_F32  = 1, ///< weights widened exactly, activations as they are: the reference path
    MUSE_COMPUTE_BF16 = 2, ///< weights and activations may be rounded to bf16
    MUSE_COMPUTE_INT8 = 3  ///< block types: activations may be rounded to 8-bit blocks of 32; other types: as BF16
} MuseCompute;

/** What a runtime is made of. */
typedef struct MuseRuntimeParams {
    size_t        struct_size; ///< set by muse_runtime_params_init()
    MuseAllocator allocator;   ///< alloc NULL: malloc and free. Both functions or neither
    MuseLogFn    *log;         ///< NULL: silent
    void         *log_user;    ///< handed to log unchanged
    int           log_level;   ///< most talkative level passed to log, MUSE_LOG_WARN..MUSE_LOG_DEBUG; 0 = MUSE_LOG_WARN
    uint32_t      threads;     ///< 1..1024; 0 = the cores this process may run on
    uint32_t      cpu_level;   ///< MUSE_CPU_*; a level this machine lacks is MUSE_ERR_UNSUPPORTED, never a silent step down
} MuseRuntimeParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_runtime_params_init(MuseRuntimeParams *params);

/**
 * Make a runtime. Any thread.
 *
 * @param out     Receives the handle, or NULL on error. Release with muse_runtime_close().
 * @param params  Borrowed for the call; NULL = defaults.
 * @param err     Optional.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_UNSUPPORTED: cpu_level is not to be had here.
 */
MUSE_API int muse_runtime_open(MuseRuntime **out, const MuseRuntimeParams *params, MuseError *err);

/** Release; *rt becomes NULL. NULL and a pointer to NULL are accepted. Objects made with it stay valid. Any thread. */
MUSE_API void muse_runtime_close(MuseRuntime **rt);

/** What the runtime settled on. */
typedef struct MuseRuntimeInfo {
    uint32_t    threads;        ///< size of the thread team
    uint32_t    cpu_level;      ///< MUSE_CPU_C .. MUSE_CPU_AMX, the level in use
    uint32_t    cpu_best;       ///< the best level of this machine and build
    const char *cpu_level_name; ///< "c", "avx2", "avx512" or "amx"; static
    const char *onednn_version; ///< such as "2.6.3"; "" in a build without oneDNN; static
} MuseRuntimeInfo;

/** Read back. Any thread. @return 0; MUSE_ERR_ARG: a null pointer. */
MUSE_API int muse_runtime_info(const MuseRuntime *rt, MuseRuntimeInfo *out);

/**
 * Release a block that a call returned with the words "release with muse_free". Any thread.
 * @param ptr  NULL is accepted.
 */
MUSE_API void muse_free(void *ptr);

#ifdef __cplusplus
}
#endif
#endif
