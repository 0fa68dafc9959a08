/* SPDX-License-Identifier: Apache-2.0 */
/* ops/quant.h: every variant gives the C version's bits (two NaNs count as equal). */
#include "check.h"

#include <string.h>

#include "base/dtype.h"
#include "ops/quant.h"

/* f32 bits equal, or both NaN */
static void check_bits(Check *c, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (muse_f32_bits(got[i]) != muse_f32_bits(want[i]) && !(got[i] != got[i] && want[i] != want[i])) {
            check_equal(c, got + i, want + i, sizeof *got);
            return;
        }
    check_equal(c, got, got, 0);   /* fences */
}

/* fenced, aligned for their type and no better; the end is exact */
static uint16_t *out_u16(Check *c, size_t n) { return (uint16_t *)(void *)check_out_f32(c, (n + 1) / 2) + (n & 1); }
static MuseQ8Group *out_groups(Check *c, size_t n) { return (MuseQ8Group *)(void *)check_out_f32(c, n * sizeof(MuseQ8Group) / sizeof(float)); }

static void check_dequant(Check *c, CheckFn *any, MuseDequant *reference, unsigned type)
{
    MuseDequant *fn = (MuseDequant *)any;
    const MuseWeightTypeInfo *t = muse_weight_type_info(type);
    static const size_t counts[] = { 1, 2, 3, 7, 8, 9, 15, 16, 17, 33 };
    for (size_t i = 0; i < CHECK_COUNT(counts); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {   /* random bytes: also scales that are infinite, NaN, denormal */
            const size_t n = counts[i] * t->block;
            check_note(c, "n=%zu %s", n, check_kind_name((CheckKind)kind));
            const uint8_t *x = check_u8(c, counts[i] * t->bytes, (CheckKind)kind);
            float *want = check_out_f32(c, n), *got = check_out_f32(c, n);
            reference(want, x, n);
            fn(got, x, n);
            check_bits(c, got, want, n);
            check_done(c);
        }
    const size_t n = 8192;
    const uint8_t *x = check_u8(c, n / t->block * t->bytes, CHECK_RANDOM);
    float *y = check_out_f32(c, n);
    check_bench(c, "n=8192", 4 * n + n / t->block * t->bytes, fn(y, x, n));
    check_done(c);
}

static void check_dequant_f32(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_f32_c, MUSE_WEIGHT_F32); }
static void check_dequant_f16(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_f16_c, MUSE_WEIGHT_F16); }
static void check_dequant_bf16(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_bf16_c, MUSE_WEIGHT_BF16); }
static void check_dequant_q8_0(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q8_0_c, MUSE_WEIGHT_Q8_0); }
static void check_dequant_q4_0(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q4_0_c, MUSE_WEIGHT_Q4_0); }
static void check_dequant_q4_k(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q4_k_c, MUSE_WEIGHT_Q4_K); }
static void check_dequant_q5_k(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q5_k_c, MUSE_WEIGHT_Q5_K); }
static void check_dequant_q6_k(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q6_k_c, MUSE_WEIGHT_Q6_K); }
static void check_dequant_q5_0(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q5_0_c, MUSE_WEIGHT_Q5_0); }
static void check_dequant_q5_1(Check *c, CheckFn *fn) { check_dequant(c, fn, muse_dequant_q5_1_c, MUSE_WEIGHT_Q5_1); }

static void check_f32_to_bf16(Check *c, CheckFn *any)
{
    MuseF32ToBf16 *fn = (MuseF32ToBf16 *)any;
    for (size_t n = 1; n < 70; n += n < 20 ? 1 : 7)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {
            check_note(c, "n=%zu %s", n, check_kind_name((CheckKind)kind));
            float *x = check_f32(c, n, (CheckKind)kind);
            x[0] = muse_bits_f32(0x3f808000u + (check_random(c) & 0x10000u));   /* half way: to even */
            uint16_t *want = out_u16(c, n), *got = out_u16(c, n);
            muse_f32_to_bf16_c(want, x, n);
            fn(got, x, n);
            check_equal(c, got, want, n * sizeof *got);
            check_done(c);
        }
    const float *x = check_rand(c, 8192);
    uint16_t *y = out_u16(c, 8192);
    check_bench(c, "n=8192", 6 * 8192, fn(y, x, 8192));
    check_done(c);
}

static void check_quant_q8_groups(Check *c, CheckFn *any)
{
    MuseQuantQ8Groups *fn = (MuseQuantQ8Groups *)any;
    static const size_t widths[] = { 1, 15, 16, 17, 31, 32, 33, 64, 96, 127, 128, 129, 160, 500, 512, 513, 1024 };
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {
            const size_t k = widths[i], groups = (k + MUSE_Q8_GROUP - 1) / MUSE_Q8_GROUP;
            check_note(c, "k=%zu %s", k, check_kind_name((CheckKind)kind));
            const float *x = check_f32(c, k, (CheckKind)kind);
            MuseQ8Group *want = out_groups(c, groups), *got = out_groups(c, groups);
            muse_quant_q8_groups_c(want, x, k);
            fn(got, x, k);
            for (size_t g = 0; g < groups; g++) {
                check_equal(c, got[g].q, want[g].q, sizeof got[g].q);
                check_equal(c, got[g].minus_sum, want[g].minus_sum, sizeof got[g].minus_sum);
                check_equal(c, got[g].minus_low, want[g].minus_low, sizeof got[g].minus_low);
                check_bits(c, got[g].d, want[g].d, 16);
            }
            check_done(c);
        }
    const float *x = check_rand(c, 8192);
    MuseQ8Group *y = out_groups(c, 64);
    check_bench(c, "k=8192", 6 * 8192, fn(y, x, 8192));
    check_done(c);
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/quant_kernels.inc"
#undef KERNEL
};
const CheckFamily check_quant = { "quant", variants, CHECK_COUNT(variants) };
