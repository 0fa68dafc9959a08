/* SPDX-License-Identifier: Apache-2.0 */
/* ops/quant.h against values decoded by numpy (tests/data/make_quant.py), and what encoding promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/dtype.h"
#include "ops/quant.h"

static MuseFile file;
static MuseBytes in;

static int open_data(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s/quant/blocks.bin", getenv("MUSE_TEST_DATA"));
    if (muse_file_open(&file, path, 1 << 20, NULL) < 0) return -1;
    in = muse_bytes(file.data, file.size);
    return 0;
}

static int close_data(void **state)
{
    (void)state;
    muse_file_close(&file);
    return 0;
}

static uint32_t next_random(uint32_t *s) { return (*s = *s * 1664525u + 1013904223u) >> 8; }

/* roughly normal, standard deviation 1 */
static float next_normal(uint32_t *s)
{
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += (float)next_random(s) * 0x1p-24f;
    return sum - 6;
}

static const MuseWeightType in_file[] = { MUSE_WEIGHT_F16, MUSE_WEIGHT_BF16, MUSE_WEIGHT_Q8_0, MUSE_WEIGHT_Q4_0, MUSE_WEIGHT_Q4_K,
                                          MUSE_WEIGHT_Q5_K, MUSE_WEIGHT_Q6_K, MUSE_WEIGHT_Q5_0, MUSE_WEIGHT_Q5_1 };

/* One test, because the file is read from front to end. */
static void test_against_numpy(void **state)
{
    (void)state;
    MuseQuantOps ops;
    muse_quant_ops_init(&ops, 0);
    for (size_t t = 0; t < sizeof in_file / sizeof *in_file; t++) {
        const MuseWeightTypeInfo *info = muse_weight_type_info(in_file[t]);
        const uint32_t blocks = muse_bytes_u32le(&in);
        const uint8_t *raw = muse_bytes_take(&in, (uint64_t)blocks * info->bytes);
        assert_non_null(raw);
        float y[1024];
        const size_t n = (size_t)blocks * info->block;
        assert_true(n > 0 && n <= 1024);
        muse_quant_dequant(&ops, in_file[t])(y, raw, n);
        for (size_t i = 0; i < n; i++) {
            const float want = muse_bytes_f32le(&in);
            if (muse_f32_bits(y[i]) != muse_f32_bits(want)) fail_msg("%s: weight %zu is %.9g, not %.9g", info->name, i, (double)y[i], (double)want);
        }
    }
    static const MuseWeightType encoded[] = { MUSE_WEIGHT_Q8_0, MUSE_WEIGHT_Q4_0, MUSE_WEIGHT_Q5_0, MUSE_WEIGHT_Q5_1 };
    for (size_t t = 0; t < sizeof encoded / sizeof *encoded; t++) {
        const MuseWeightTypeInfo *info = muse_weight_type_info(encoded[t]);
        const uint32_t n = muse_bytes_u32le(&in);
        assert_int_equal(n, 256);
        float x[256];
        for (size_t i = 0; i < n; i++) x[i] = muse_bytes_f32le(&in);
        const size_t bytes = n / info->block * info->bytes;
        const uint8_t *want = muse_bytes_take(&in, bytes);
        uint8_t got[256 * 2];
        assert_non_null(want);
        assert_true(muse_quantize(encoded[t], got, x, n));
        assert_memory_equal(got, want, bytes);
    }
    assert_false(in.failed);
    assert_int_equal(muse_bytes_left(&in), 0);
}

static double round_trip(unsigned type, const float *x, size_t n)
{
    MuseQuantOps ops;
    muse_quant_ops_init(&ops, 0);
    uint8_t packed[4096];
    float y[1024];
    assert_true(muse_quantize(type, packed, x, n));
    muse_quant_dequant(&ops, type)(y, packed, n);
    double error = 0, square = 0;
    for (size_t i = 0; i < n; i++) error += ((double)y[i] - x[i]) * ((double)y[i] - x[i]), square += (double)x[i] * x[i];
    return sqrt(error / square);
}

/* Relative RMS errors of normal weights. The limits are what uniform steps of that many levels a block can give, and what a
 * careless search (no least squares, or one range for all) misses. */
static void test_round_trip_error(void **state)
{
    (void)state;
    static const struct { MuseWeightType type; double limit; } cases[] = {
        { MUSE_WEIGHT_F32, 0 }, { MUSE_WEIGHT_F16, 3e-4 }, { MUSE_WEIGHT_BF16, 2.5e-3 }, { MUSE_WEIGHT_Q8_0, 6e-3 }, { MUSE_WEIGHT_Q4_0, 0.088 },
        { MUSE_WEIGHT_Q4_K, 0.069 }, { MUSE_WEIGHT_Q5_K, 0.035 }, { MUSE_WEIGHT_Q6_K, 0.0175 },
        { MUSE_WEIGHT_Q5_0, 0.044 }, { MUSE_WEIGHT_Q5_1, 0.044 },
    };
    float x[1024];
    uint32_t seed = 5;
    for (size_t i = 0; i < 1024; i++) x[i] = 0.02f * next_normal(&seed);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const double error = round_trip(cases[c].type, x, 1024);
        if (!(error <= cases[c].limit))
            fail_msg("%s: relative error %.5f, limit %.5f", muse_weight_type_info(cases[c].type)->name, error, cases[c].limit);
    }
}

static void test_round_trip_exact(void **state)
{
    (void)state;
    float x[256];
    for (int i = 0; i < 256; i++) x[i] = 0;
    for (unsigned t = 0; t < MUSE_WEIGHT_TYPES; t++) {   /* zeros stay zeros, also where a scale is 0 */
        uint8_t packed[1024];
        float y[256];
        MuseQuantOps ops;
        muse_quant_ops_init(&ops, 0);
        assert_true(muse_quantize(t, packed, x, 256));
        muse_quant_dequant(&ops, t)(y, packed, 256);
        for (int i = 0; i < 256; i++) assert_true(y[i] == 0);
    }
    for (int i = 0; i < 256; i++) x[i] = (float)(i % 16) * 0.5f - 3;   /* 16 levels: what four bits hold exactly */
    assert_true(round_trip(MUSE_WEIGHT_Q4_K, x, 256) < 1e-3);
    for (int i = 0; i < 256; i++) x[i] = (float)(i % 16 - 8) * 0.5f;
    assert_true(round_trip(MUSE_WEIGHT_Q4_0, x, 256) == 0);
    assert_true(round_trip(MUSE_WEIGHT_Q8_0, x, 256) < 4e-3);
    for (int i = 0; i < 256; i++) x[i] = 1e-42f * (float)(i - 128);    /* below f16: flushed, not garbage */
    for (unsigned t = MUSE_WEIGHT_Q8_0; t < MUSE_WEIGHT_TYPES; t++) assert_true(round_trip(t, x, 256) <= 1);
}

static void test_refused(void **state)
{
    (void)state;
    float x[256] = { 0 };
    uint8_t y[1024];
    for (unsigned t = 0; t < MUSE_WEIGHT_TYPES; t++) {
        x[7] = NAN;
        assert_false(muse_quantize(t, y, x, 256));
        x[7] = -INFINITY;
        assert_false(muse_quantize(t, y, x, 256));
        x[7] = 3e38f;   /* beyond what an f16 scale reaches */
        assert_int_equal(muse_quantize(t, y, x, 256), t == MUSE_WEIGHT_F32 || t == MUSE_WEIGHT_BF16);
    }
    x[7] = 0;
    assert_false(muse_quantize(MUSE_WEIGHT_TYPES, y, x, 256));
    assert_false(muse_quantize(MUSE_WEIGHT_Q8_0, y, x, 33));
    assert_false(muse_quantize(MUSE_WEIGHT_Q4_K, y, x, 32));
}

static void test_types(void **state)
{
    (void)state;
    size_t bytes = 0;
    assert_null(muse_weight_type_info(MUSE_WEIGHT_TYPES));
    assert_int_equal(muse_weight_type_of_gguf(14), MUSE_WEIGHT_Q6_K);
    assert_int_equal(muse_weight_type_of_gguf(30), MUSE_WEIGHT_BF16);
    assert_int_equal(muse_weight_type_of_gguf(3), MUSE_WEIGHT_TYPES);
    assert_true(muse_weight_row_bytes(MUSE_WEIGHT_Q5_K, 2048, &bytes));
    assert_int_equal(bytes, 8 * 176);
    assert_true(muse_weight_row_bytes(MUSE_WEIGHT_Q4_0, 96, &bytes));
    assert_int_equal(bytes, 3 * 18);
    assert_false(muse_weight_row_bytes(MUSE_WEIGHT_Q4_0, 40, &bytes));
    assert_false(muse_weight_row_bytes(MUSE_WEIGHT_F32, 0, &bytes));
    assert_false(muse_weight_row_bytes(MUSE_WEIGHT_F32, SIZE_MAX / 2, &bytes));
    assert_false(muse_weight_row_bytes(99, 32, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_against_numpy, open_data, close_data),
        cmocka_unit_test(test_round_trip_error), cmocka_unit_test(test_round_trip_exact),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
