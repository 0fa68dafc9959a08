/* SPDX-License-Identifier: Apache-2.0 */
/* Weight types and their decoding in portable C, which defines the answer, and activations in 8-bit blocks.
 * Encoding weights: ops/quantize.c. Contracts: ops/quant.h. */
#include "ops/quant.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dtype.h"

/* type numbers: the GGUF specification's list of tensor types */
static const MuseWeightTypeInfo types[MUSE_WEIGHT_TYPES] = {
    [MUSE_WEIGHT_F32]  = { "F32", 0, 1, 4 },
    [MUSE_WEIGHT_F16]  = { "F16", 1, 1, 2 },
    [MUSE_WEIGHT_BF16] = { "BF16", 30, 1, 2 },
    [MUSE_WEIGHT_Q8_0] = { "Q8_0", 8, MUSE_QUANT_BLOCK, MUSE_Q8_0_BYTES },
    [MUSE_WEIGHT_Q4_0] = { "Q4_0", 2, MUSE_QUANT_BLOCK, MUSE_Q4_0_BYTES },
    [MUSE_WEIGHT_Q4_K] = { "Q4_K", 12, MUSE_QUANT_SUPER, MUSE_Q4_K_BYTES },
    [MUSE_WEIGHT_Q5_K] = { "Q5_K", 13, MUSE_QUANT_SUPER, MUSE_Q5_K_BYTES },
    [MUSE_WEIGHT_Q6_K] = { "Q6_K", 14, MUSE_QUANT_SUPER, MUSE_Q6_K_BYTES },
    [MUSE_WEIGHT_Q5_0] = { "Q5_0", 6, MUSE_QUANT_BLOCK, MUSE_Q5_0_BYTES },
    [MUSE_WEIGHT_Q5_1] = { "Q5_1", 7, MUSE_QUANT_BLOCK, MUSE_Q5_1_BYTES },
};

const MuseWeightTypeInfo *muse_weight_type_info(unsigned type) { return type < MUSE_WEIGHT_TYPES ? &types[type] : NULL; }

MuseWeightType muse_weight_type_of_gguf(uint32_t gguf)
{
    unsigned t = 0;
    while (t < MUSE_WEIGHT_TYPES && types[t].gguf != gguf) t++;
    return (MuseWeightType)t;
}

bool muse_weight_row_bytes(unsigned type, size_t k, size_t *bytes)
{
    const MuseWeightTypeInfo *t = muse_weight_type_info(type);
    return t && k && k % t->block == 0 && muse_mul_size(k / t->block, t->bytes, bytes);
}

static float f16_at(const uint8_t *p) { return muse_f16_f32((MuseF16)(p[0] | p[1] << 8)); }

void muse_dequant_f32_c(float *y, const void *x, size_t n) { memcpy(y, x, n * sizeof *y); }

void muse_dequant_f16_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = f16_at(p + 2 * i);
}

void muse_dequant_bf16_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = muse_bf16_f32((MuseBf16)(p[2 * i] | p[2 * i + 1] << 8));
}

void muse_dequant_q8_0_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q8_0_BYTES, y += MUSE_QUANT_BLOCK) {
        const float d = f16_at(p);
        for (int i = 0; i < MUSE_QUANT_BLOCK; i++) y[i] = (float)(int8_t)p[2 + i] * d;
    }
}

void muse_dequant_q4_0_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q4_0_BYTES, y += MUSE_QUANT_BLOCK) {
        const float d = f16_at(p);
        for (int i = 0; i < 16; i++) {
            y[i] = (float)((p[2 + i] & 15) - 8) * d;
            y[i + 16] = (float)((p[2 + i] >> 4) - 8) * d;
        }
    }
}

/* Q5_0 and Q5_1, whose fifth bits are at `high`: y = (q - zero) * d - low, nibbles behind the bits */
static void dequant_q5_block(float *y, float d, float low, int zero, const uint8_t *high)
{
    const uint8_t *q = high + 4;
    for (int i = 0; i < MUSE_QUANT_BLOCK; i++) {
        const int nibble = i < 16 ? q[i] & 15 : q[i - 16] >> 4, top = high[i / 8] >> i % 8 & 1;
        y[i] = (float)((nibble | top << 4) - zero) * d - low;
    }
}

void muse_dequant_q5_0_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q5_0_BYTES, y += MUSE_QUANT_BLOCK) dequant_q5_block(y, f16_at(p), 0, 16, p + 2);
}

void muse_dequant_q5_1_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q5_1_BYTES, y += MUSE_QUANT_BLOCK) dequant_q5_block(y, f16_at(p), -f16_at(p + 2), 0, p + 4);
}

/* Q4_K (high NULL) and Q5_K: sub-block j has low nibbles of qs[32 (j / 2) ..] if j is even, else the high ones; bit j of
 * high[i] is the fifth bit */
static void dequant_k45(float *y, const uint8_t *head, const uint8_t *high, const uint8_t *qs)
{
    const float d = f16_at(head), dmin = f16_at(head + 2);
    for (unsigned j = 0; j < 8; j++) {
        uint8_t scale, min;
        muse_k_scale_min(head + 4, j, &scale, &min);
        const float step = d * (float)scale, low = dmin * (float)min;
        const uint8_t *q = qs + 32 * (j / 2);
        for (int i = 0; i < 32; i++) {
            const int v = ((j & 1 ? q[i] >> 4 : q[i] & 15)) | (high ? (high[i] >> j & 1) << 4 : 0);
            y[32 * j + (unsigned)i] = step * (float)v - low;
        }
    }
}

void muse_dequant_q4_k_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_SUPER, p += MUSE_Q4_K_BYTES, y += MUSE_QUANT_SUPER) dequant_k45(y, p, NULL, p + 16);
}

void muse_dequant_q5_k_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_SUPER, p += MUSE_Q5_K_BYTES, y += MUSE_QUANT_SUPER) dequant_k45(y, p, p + 16, p + 48);
}

void muse_dequant_q6_k_c(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_SUPER, p += MUSE_Q6_K_BYTES, y += MUSE_QUANT_SUPER) {
        const float d = f16_at(p + 208);
        for (unsigned i = 0; i < MUSE_QUANT_SUPER; i++) {   /* half h, quarter c of 32 weights, weight l of it */
            const unsigned h = i / 128, c = i / 32 % 4, l = i % 32;
            const unsigned nibble = p[64 * h + 32 * (c % 2) + l] >> 4 * (c / 2) & 15, top = p[128 + 32 * h + l] >> 2 * c & 3;
            const float step = d * (float)(int8_t)p[192 + i / 16];
            y[i] = step * (float)((int)(nibble | top << 4) - 32);
        }
    }
}

void muse_f32_to_bf16_c(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = muse_f32_bf16(x[i]);
}

/* One block of 32, of which `left` exist. Adding and subtracting 1.5 * 2^23 rounds to nearest even below 2^22. */
static void quant_q8_block(MuseQ8Group *g, unsigned b, const float *x, size_t left)
{
    uint32_t top = 0;
    for (size_t i = 0; i < left && i < MUSE_QUANT_BLOCK; i++) {
        const uint32_t a = muse_f32_bits(x[i]) & 0x7fffffffu;
        if (a > top) top = a;
    }
    const float max = muse_bits_f32(top);
    const bool finite = top < 0x7f800000u, tiny = max < 0x1p-100f;
    const float scale = finite && !tiny ? 127.0f / max : 0.0f;
    const size_t lane = muse_q8_lane(b);
    int sum[2] = { 0, 0 };
    for (size_t i = 0; i < MUSE_QUANT_BLOCK; i++) {
        const float v = scale != 0.0f && i < left ? x[i] * scale : 0.0f;
        const int q = (int)((v + 12582912.0f) - 12582912.0f);
        g->q[i / 4][4 * lane + i % 4] = (int8_t)q;
        sum[i / 16] += q;
    }
    g->d[lane] = !finite ? NAN : tiny ? 0.0f : max * (1.0f / 127.0f);
    g->minus_sum[lane] = -sum[0] - sum[1];
    g->minus_low[lane] = -sum[0];
}

void muse_quant_q8_groups_c(MuseQ8Group *g, const float *x, size_t k)
{
    for (size_t i = 0; i < k; i += MUSE_Q8_GROUP, g++)
        for (unsigned b = 0; b < MUSE_Q8_GROUP / MUSE_QUANT_BLOCK; b++) {
            const size_t at = i + b * MUSE_QUANT_BLOCK;
            quant_q8_block(g, b, x + (at < k ? at : k), at < k ? k - at : 0);
        }
}

void muse_quant_ops_init(MuseQuantOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/quant_kernels.inc"
#undef KERNEL
}

MuseDequant *muse_quant_dequant(const MuseQuantOps *ops, unsigned type)
{
    MuseDequant *const table[MUSE_WEIGHT_TYPES] = { ops->dequant_f32, ops->dequant_f16, ops->dequant_bf16, ops->dequant_q8_0,
        ops->dequant_q4_0, ops->dequant_q4_k, ops->dequant_q5_k, ops->dequant_q6_k, ops->dequant_q5_0, ops->dequant_q5_1 };
    return table[type];
}
