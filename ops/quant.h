/* SPDX-License-Identifier: Apache-2.0 */
/* Weight types and block formats as GGUF stores them: sizes, rows to f32, f32 rows to blocks; and activations in blocks of
 * 8-bit integers for integer dot products. Layouts, numerics and sources: docs/ops/quant.md. No products here: ops/matmul.
 * Users: ops/matmul, model loading, the converter. */
#ifndef OPS_QUANT_H
#define OPS_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "ops/cpu.h"

typedef enum MuseWeightType {
    MUSE_WEIGHT_F32, MUSE_WEIGHT_F16, MUSE_WEIGHT_BF16,
    MUSE_WEIGHT_Q8_0, MUSE_WEIGHT_Q4_0, MUSE_WEIGHT_Q4_K, MUSE_WEIGHT_Q5_K, MUSE_WEIGHT_Q6_K,
    MUSE_WEIGHT_Q5_0, MUSE_WEIGHT_Q5_1,
    MUSE_WEIGHT_TYPES
} MuseWeightType;

typedef struct MuseWeightTypeInfo {
    const char *name;       /* "F32", "Q4_K": GGUF's spelling */
    uint32_t    gguf;       /* number of the type in a GGUF tensor directory */
    uint32_t    block;      /* weights of one block; a row is a whole number of blocks */
    uint32_t    bytes;      /* of one block */
} MuseWeightTypeInfo;

enum {
    MUSE_QUANT_BLOCK = 32,        /* weights of a Q8_0, Q4_0, Q5_0 or Q5_1 block */
    MUSE_QUANT_SUPER = 256,       /* weights of a K block */
    MUSE_Q8_0_BYTES = 34, MUSE_Q4_0_BYTES = 18, MUSE_Q5_0_BYTES = 22, MUSE_Q5_1_BYTES = 24, MUSE_Q4_K_BYTES = 144, MUSE_Q5_K_BYTES = 176, MUSE_Q6_K_BYTES = 210,
    MUSE_Q8_GROUP = 512           /* activations of a MuseQ8Group */
};

/* NULL if type is not a MuseWeightType */
const MuseWeightTypeInfo *muse_weight_type_info(unsigned type);
/* MUSE_WEIGHT_TYPES if a GGUF type number is not one of ours */
MuseWeightType muse_weight_type_of_gguf(uint32_t gguf);
/* Bytes of a row of k weights; false if the type is unknown, k is 0, no whole number of blocks, or the size does not fit. */
bool muse_weight_row_bytes(unsigned type, size_t k, size_t *bytes);

/* y[i] = the value of weight i of the blocks at x, i < n; n: a multiple of the type's block; any alignment, y apart from x.
 * Definitions in docs/ops/quant.md; every step is a single rounded f32 operation, so all variants give the same bits. */
typedef void MuseDequant(float *y, const void *x, size_t n);

/* y[i] = x[i] rounded to nearest even; NaN stays NaN (its payload may differ); any alignment, y apart from x */
typedef void MuseF32ToBf16(uint16_t *y, const float *x, size_t n);

/* Activations for integer dot products: sixteen blocks of 32, each with its scale, a 32-bit lane a block: x[32 b + j] is about
 * d[l] * q[j / 4][4 l + j % 4] with l = muse_q8_lane(b). minus_sum has -(sum of q) of a block, minus_low that of its first 16. */
typedef struct MuseQ8Group {
    int8_t  q[8][64];
    float   d[16];
    int32_t minus_sum[16], minus_low[16];
} MuseQ8Group;

/* Lane of block b, 0..15: the order in which four vectors of four blocks come out of a transposition within 128-bit lanes */
static inline size_t muse_q8_lane(size_t b) { return 4 * (b % 4) + b / 4; }

/* g: [ceil(k / 512)], x: [k], zeros past k. d = max|x| / 127, q = x * (127 / max|x|) rounded to nearest even. A block whose
 * largest value is under 2^-100 becomes zeros; a block with an infinity or a NaN has d NaN, so that what depends on it is NaN.
 * The same bits in all variants. */
typedef void MuseQuantQ8Groups(MuseQ8Group *g, const float *x, size_t k);

typedef struct MuseQuantOps {
    MuseDequant *dequant_f32, *dequant_f16, *dequant_bf16, *dequant_q8_0, *dequant_q4_0, *dequant_q4_k, *dequant_q5_k, *dequant_q6_k,
        *dequant_q5_0, *dequant_q5_1;
    MuseF32ToBf16     *f32_to_bf16;
    MuseQuantQ8Groups *quant_q8_groups;
} MuseQuantOps;

void muse_quant_ops_init(MuseQuantOps *ops, unsigned cpu);
MuseDequant *muse_quant_dequant(const MuseQuantOps *ops, unsigned type);   /* the table's entry; type: a MuseWeightType */

/* Rows of f32 to any type: n is a multiple of the type's block. Q8_0, Q4_0, Q5_0 and Q5_1 round as llama.cpp's reference does; the K types
 * search scales that keep the squared error small. Values must be finite and within f16 range where the type has f16 parts:
 * otherwise it stops there and returns false. type: any MuseWeightType. Single-threaded; C only. */
bool muse_quantize(unsigned type, void *y, const float *x, size_t n);

/* Scale and minimum of sub-block j (0..7) of a Q4_K or Q5_K block, 6 bits each, from its 12 bytes */
static inline void muse_k_scale_min(const uint8_t *s, unsigned j, uint8_t *scale, uint8_t *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *min = (uint8_t)((s[j + 4] >> 4) | (s[j] >> 6) << 4);
    }
}

#define KERNEL(op, Type, need, name) Type name;
#include "ops/quant_kernels.inc"
#undef KERNEL

#endif
