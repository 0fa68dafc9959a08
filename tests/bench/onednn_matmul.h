/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN's matrix product in the terms of a plan, to measure against: y[n, m] = x[n, k] * W[m, k]^T, f32 or bf16 inputs, f32 out.
 * Any error makes open() return NULL. Users: bench_matmul.c. */
#ifndef TESTS_BENCH_ONEDNN_MATMUL_H
#define TESTS_BENCH_ONEDNN_MATMUL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct OnednnMatmul OnednnMatmul;

/* w: [m, k] as in a file; pack: copied once into the layout oneDNN likes best, else read in place. Threads: OpenMP's default. */
OnednnMatmul *onednn_matmul_open(bool bf16, size_t m, size_t k, size_t n, const void *w, bool pack);
bool onednn_matmul_run(OnednnMatmul *o, float *y, const void *x);
void onednn_matmul_close(OnednnMatmul *o);

#endif
