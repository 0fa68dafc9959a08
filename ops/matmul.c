/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix kernels in portable C: sums in double, one rounding at the end. They define the answer. Contracts: ops/matmul.h. */
#include "ops/matmul.h"

#include <string.h>

#include "base/dtype.h"

static const uint8_t *row_at(const void *base, size_t i, size_t stride) { return (const uint8_t *)base + i * stride; }

static float f32_at(const uint8_t *p, size_t i) { float f; memcpy(&f, p + 4 * i, 4); return f; }
static uint16_t u16_at(const uint8_t *p, size_t i) { uint16_t h; memcpy(&h, p + 2 * i, 2); return h; }

static void put(const MuseRowsArgs *a, size_t i, size_t t, double sum)
{
    a->y[t * a->y_stride + i] = (float)(a->bias ? sum + (double)a->bias[i] : sum);
}

typedef float At(const uint8_t *row, size_t j);

static float f16_at(const uint8_t *row, size_t j) { return muse_f16_f32(u16_at(row, j)); }
static float bf16_at(const uint8_t *row, size_t j) { return muse_bf16_f32(u16_at(row, j)); }

static inline void rows(const MuseRowsArgs *a, At *w_at, At *x_at)
{
    for (size_t i = 0; i < a->m; i++)
        for (size_t t = 0; t < a->n; t++) {
            const uint8_t *w = row_at(a->w, i, a->w_stride), *x = row_at(a->x, t, a->x_stride);
            double sum = 0;
            for (size_t j = 0; j < a->k; j++) sum += (double)w_at(w, j) * (double)x_at(x, j);
            put(a, i, t, sum);
        }
}

void muse_rows_f32_c(const MuseRowsArgs *a) { rows(a, f32_at, f32_at); }
void muse_rows_f16_c(const MuseRowsArgs *a) { rows(a, f16_at, f32_at); }
void muse_rows_bf16_c(const MuseRowsArgs *a) { rows(a, bf16_at, f32_at); }
void muse_rows_bf16_bf16_c(const MuseRowsArgs *a) { rows(a, bf16_at, bf16_at); }

/* A token's blocks against a row that comes apart a super-block (or a group) at a time */
static void rows_q8(const MuseRowsArgs *a, MuseDequant *dequant, size_t block_bytes, size_t block)
{
    float w[MUSE_QUANT_SUPER];
    for (size_t i = 0; i < a->m; i++)
        for (size_t t = 0; t < a->n; t++) {
            const uint8_t *p = row_at(a->w, i, a->w_stride);
            const MuseQ8Group *g = (const MuseQ8Group *)(const void *)row_at(a->x, t, a->x_stride);
            double sum = 0;
            for (size_t j = 0; j < a->k; j++) {
                if (j % block == 0) dequant(w, p + j / block * block_bytes, block);
                const MuseQ8Group *at = g + j / MUSE_Q8_GROUP;
                const size_t lane = muse_q8_lane(j / 32 % 16), l = j % 32;
                sum += (double)w[j % block] * (double)at->d[lane] * at->q[l / 4][4 * lane + l % 4];
            }
            put(a, i, t, sum);
        }
}

void muse_rows_q8_0_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q8_0_c, MUSE_Q8_0_BYTES, MUSE_QUANT_BLOCK); }
void muse_rows_q4_0_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q4_0_c, MUSE_Q4_0_BYTES, MUSE_QUANT_BLOCK); }
void muse_rows_q4_k_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q4_k_c, MUSE_Q4_K_BYTES, MUSE_QUANT_SUPER); }
void muse_rows_q5_k_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q5_k_c, MUSE_Q5_K_BYTES, MUSE_QUANT_SUPER); }
void muse_rows_q6_k_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q6_k_c, MUSE_Q6_K_BYTES, MUSE_QUANT_SUPER); }
void muse_rows_q5_0_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q5_0_c, MUSE_Q5_0_BYTES, MUSE_QUANT_BLOCK); }
void muse_rows_q5_1_q8_c(const MuseRowsArgs *a) { rows_q8(a, muse_dequant_q5_1_c, MUSE_Q5_1_BYTES, MUSE_QUANT_BLOCK); }

static void tile_put(const MuseTileArgs *a, size_t i, size_t t, double sum)
{
    float *y = a->y + t * a->y_stride + i;
    if (a->bias) sum += (double)a->bias[i];
    *y = a->add ? *y + (float)sum : (float)sum;
}

/* the words of token t's lane */
static const uint32_t *lane_of(const MuseTileArgs *a, size_t t)
{
    return (const uint32_t *)(const void *)row_at(a->x, t / MUSE_MATMUL_PANEL, a->x_panel) + t % MUSE_MATMUL_PANEL;
}

void muse_tile_f32_c(const MuseTileArgs *a)
{
    for (size_t t = 0; t < a->n; t++)
        for (size_t i = 0; i < a->m; i++) {
            const uint32_t *x = lane_of(a, t);
            const uint8_t *w = row_at(a->w, i, a->w_stride);
            double sum = 0;
            for (size_t j = 0; j < a->k; j++) sum += (double)f32_at(w, j) * (double)muse_bits_f32(x[16 * j]);
            tile_put(a, i, t, sum);
        }
}

void muse_tile_bf16_c(const MuseTileArgs *a)
{
    for (size_t t = 0; t < a->n; t++)
        for (size_t i = 0; i < a->m; i++) {
            const uint32_t *x = lane_of(a, t);
            const uint8_t *w = row_at(a->w, i, a->w_stride);
            double sum = 0;
            for (size_t j = 0; j < a->k; j++)
                sum += (double)muse_bf16_f32(u16_at(w, j)) * (double)muse_bf16_f32(u16_at((const uint8_t *)(x + 16 * (j / 2)), j % 2));
            tile_put(a, i, t, sum);
        }
}

void muse_tile_q8_c(const MuseTileArgs *a)
{
    for (size_t t = 0; t < a->n; t++)
        for (size_t i = 0; i < a->m; i++) {
            const uint32_t *x = lane_of(a, t);
            const uint8_t *w = row_at(a->w, i, a->w_stride);
            double sum = 0;
            for (size_t b = 0; b < a->k / 32; b++) {
                const uint32_t *group = x + b / 16 * (sizeof(MuseQ8Group) / 4) * 16;
                const size_t lane = muse_q8_lane(b % 16);
                int dot = 0;
                for (size_t l = 0; l < 32; l++)
                    dot += ((int)w[32 * b + l] - 128) * ((const int8_t *)(group + 16 * (l / 4 * 16 + lane)))[l % 4];
                const float d = muse_bits_f32(group[16 * (offsetof(MuseQ8Group, d) / 4 + lane)]);
                sum += (double)a->w_scale[i * a->scale_stride + b] * (double)d * dot;
            }
            tile_put(a, i, t, sum);
        }
}

void muse_matmul_pack_c(uint32_t *panel, const void *rows, size_t stride, size_t words, size_t n)
{
    for (size_t t = 0; t < MUSE_MATMUL_PANEL; t++)
        for (size_t w = 0; w < words; w++) {
            if (t < n) memcpy(&panel[w * MUSE_MATMUL_PANEL + t], row_at(rows, t, stride) + 4 * w, 4);
            else panel[w * MUSE_MATMUL_PANEL + t] = 0;
        }
}

void muse_fetch_q8_0_c(uint8_t *q, float *d, const void *w, size_t n)
{
    const uint8_t *p = w;
    for (size_t b = 0; b < n / 32; b++, p += MUSE_Q8_0_BYTES) {
        d[b] = muse_f16_f32(u16_at(p, 0));
        for (size_t i = 0; i < 32; i++) q[32 * b + i] = p[2 + i] ^ 0x80;
    }
}

void muse_fetch_q4_0_c(uint8_t *q, float *d, const void *w, size_t n)
{
    const uint8_t *p = w;
    for (size_t b = 0; b < n / 32; b++, p += MUSE_Q4_0_BYTES) {
        d[b] = muse_f16_f32(u16_at(p, 0));
        for (size_t i = 0; i < 16; i++) {
            q[32 * b + i] = (uint8_t)((p[2 + i] & 15) + 120);
            q[32 * b + 16 + i] = (uint8_t)((p[2 + i] >> 4) + 120);
        }
    }
}

void muse_matmul_ops_init(MuseMatmulOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/matmul_kernels.inc"
#undef KERNEL
}

const char *muse_matmul_kernel_name(MuseAnyKernel *fn)
{
#define KERNEL(op, Type, need, name) if (fn == (MuseAnyKernel *)name) return #name;
#include "ops/matmul_kernels.inc"
#undef KERNEL
    return "?";
}
