/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic over a row of logits: highest, sums of exponentials, the most probable, random numbers. Fixed order of
 * additions whatever the vector width, so results are the same on every platform. Users: libmuse/sample. */
#ifndef LIBMUSE_SAMPLE_FILTER_H
#define LIBMUSE_SAMPLE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MUSE_ROW_BLOCK = 64 };   /* a word of a token mask; maxima and sums are kept per block */

static inline size_t muse_row_blocks(size_t V) { return (V + MUSE_ROW_BLOCK - 1) / MUSE_ROW_BLOCK; }

/* Highest of x[0..V); false if one is NaN or +inf. maxima: NULL or [blocks] */
bool muse_row_max(const float *x, size_t V, float *maxima, float *out);

/* sum of exp(scale (x - top)), top the highest; terms below e^-87 are 0. sums: NULL or [blocks], the terms of each block.
 * Each term has a relative error below 3e-7. */
double muse_row_sum_exp(const float *x, size_t V, float top, float scale, double *sums);

/* exp(x) for x <= 0 as in the sums above */
float muse_row_exp(float x);

typedef struct MuseCand {
    float    x;    /* logit */
    float    p;    /* weight: not normalised */
    uint32_t id;
} MuseCand;

/* All x >= floor and > -inf, in order of ids; blocks whose maximum is below floor are not looked at. c: room for V;
 * the return value is their number. */
size_t muse_cand_gather(MuseCand *c, const float *x, size_t V, const float *maxima, float floor);

/* p = exp(scale (x - top)); returns the sum */
double muse_cand_weigh(MuseCand *c, size_t n, float top, float scale);

/* The smallest prefix, in order of falling x and rising id, whose sum of p reaches target: moves it to the front (in no
 * particular order) and returns its length, at least 1; n if the sum is never reached. n > 0. */
size_t muse_cand_keep(MuseCand *c, size_t n, double target);

/* A floor that at least k elements reach: the k-th highest block maximum; -inf if there are not that many. scratch: [blocks] */
float muse_row_floor(const float *maxima, size_t blocks, size_t k, float *scratch);

/* Four random words: Philox4x32-10 */
void muse_philox(uint64_t key, uint64_t counter, uint32_t out[4]);
/* [0, 1), 53 bits, the n-th of this seed */
double muse_uniform(uint64_t seed, uint64_t n);

#endif
