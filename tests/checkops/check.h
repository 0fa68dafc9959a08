/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel harness: a family file lists its variants by expanding ops/<family>_kernels.inc, gives one check function an
 * op, and registers in check.c. The harness decides which variants this CPU can run, fences outputs, compares, times.
 *
 *   static void check_layernorm_f32(Check *c, CheckFn *any)
 *   {
 *       MuseLayernormF32 *fn = (MuseLayernormF32 *)any;
 *       float *x = check_f32(c, d, CHECK_RANDOM), *want = check_out_f32(c, d), *got = check_out_f32(c, d);
 *       muse_layernorm_f32_c(want, x, w, b, 1, d, 1e-6f);
 *       fn(got, x, w, b, 1, d, 1e-6f);
 *       check_close(c, got, want, d, 4, 1e-3f);
 *       check_done(c);
 *   }
 *
 * Blocks end where their memory ends (an over-read is a sanitizer's report), start misaligned by a changing number of
 * elements, and outputs have guard bytes on both sides, which every comparison and check_done() look at. */
#ifndef CHECKOPS_CHECK_H
#define CHECKOPS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Check Check;   /* the variant at hand */
typedef void CheckFn(void);   /* any kernel; cast back to its type before calling */

typedef struct CheckVariant {
    const char *op, *name;
    unsigned    need;   /* CPU bits */
    void      (*run)(Check *c, CheckFn *fn);
    CheckFn    *fn;
} CheckVariant;

typedef struct CheckFamily {
    const char *name;
    const CheckVariant *variants;
    size_t n;
} CheckFamily;

/* For the variant list: #define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name) */
#define CHECK_VARIANT(op, need, name) { #op, #name, need, check_##op, (CheckFn *)name },
#define CHECK_COUNT(a) (sizeof(a) / sizeof *(a))

typedef enum CheckKind {
    CHECK_RANDOM,    /* f32: -1..1; u8: all values */
    CHECK_ZEROS,
    CHECK_HUGE,      /* f32: about 1e18, whose squares still fit; u8: 255 */
    CHECK_TINY,      /* f32: denormals; u8: 0 and 1 */
    CHECK_OFFSET,    /* f32: 1000 + noise of 1; u8: 0 and 255 */
    CHECK_OUTLIER,   /* f32: first 1e8, then random; u8: first 255, then 0 and 1 */
    CHECK_INFINITE,  /* f32: random with infinities; u8: random */
    CHECK_NAN,       /* f32: random with NaNs; u8: random */
    CHECK_KINDS
} CheckKind;

const char *check_kind_name(CheckKind kind);

/* Inputs. Never NULL: a test program without memory stops. */
float   *check_f32(Check *c, size_t n, CheckKind kind);
uint8_t *check_u8(Check *c, size_t n, CheckKind kind);
static inline float *check_rand(Check *c, size_t n) { return check_f32(c, n, CHECK_RANDOM); }
uint32_t check_random(Check *c);   /* 32 bits */

/* Fenced outputs, filled with a pattern. */
void    *check_out(Check *c, size_t bytes);
float   *check_out_f32(Check *c, size_t n);

/* What the sizes at hand are: part of a failure's text. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void check_note(Check *c, const char *fmt, ...);

/* Equal bytes. False (and the variant fails) if not, or if a fence is broken. */
bool check_equal(Check *c, const void *got, const void *want, size_t bytes);
/* |got - want| <= ulp * (distance of floats at max(|want|, floor)); NaN where want is NaN, equal infinities. */
bool check_close(Check *c, const float *got, const float *want, size_t n, double ulp, float floor);
bool check_true(Check *c, bool ok, const char *what);
/* Look at all fences, release all blocks. Call after each combination of sizes. */
void check_done(Check *c);

/* Time `call` under --bench; bytes: what one call reads and writes, or 0. */
#define check_bench(c, label, bytes, call) \
    do { \
        if (check_bench_begin((c), (label), (double)(bytes))) \
            while (check_bench_next(c)) { call; } \
    } while (0)
bool check_bench_begin(Check *c, const char *label, double bytes);
bool check_bench_next(Check *c);

#endif
