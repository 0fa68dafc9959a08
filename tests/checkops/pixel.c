/* SPDX-License-Identifier: Apache-2.0 */
/* ops/pixel.h: every variant, C included, against the formula written once more, in double where it divides. */
#include "check.h"

#include <math.h>

#include "ops/pixel.h"

static const size_t sizes[] = { 0, 1, 2, 5, 7, 8, 15, 16, 17, 21, 22, 31, 32, 33, 47, 63, 64, 65, 100, 127, 129, 1000 };
enum { BENCH_N = 4000 };

static uint8_t nearest(double v) { return (uint8_t)floor(v + 0.5); }

static void check_grey_to_rgb_u8(Check *c, CheckFn *any)
{
    MuseGreyToRgbU8 *fn = (MuseGreyToRgbU8 *)any;
    for (size_t i = 0; i < CHECK_COUNT(sizes); i++) {
        const size_t n = sizes[i];
        check_note(c, "n=%zu", n);
        const uint8_t *x = check_u8(c, n, CHECK_RANDOM);
        uint8_t *want = check_out(c, 3 * n), *got = check_out(c, 3 * n);
        for (size_t k = 0; k < 3 * n; k++) want[k] = x[k / 3];
        fn(got, x, n);
        check_equal(c, got, want, 3 * n);
        check_done(c);
    }
    uint8_t *x = check_u8(c, BENCH_N, CHECK_RANDOM), *y = check_out(c, 3 * BENCH_N);
    check_bench(c, "n=4000", 4 * BENCH_N, fn(y, x, BENCH_N));
}

/* all 65,536 pairs of colour and alpha, and sizes */
static void check_rgba_over_rgb_u8(Check *c, CheckFn *any)
{
    MuseRgbaOverRgbU8 *fn = (MuseRgbaOverRgbU8 *)any;
    static const uint8_t backgrounds[][3] = { { 255, 255, 255 }, { 0, 0, 0 }, { 1, 128, 254 }, { 77, 255, 0 } };
    for (size_t i = 0; i < CHECK_COUNT(sizes) + 1; i++)
        for (size_t b = 0; b < CHECK_COUNT(backgrounds); b++) {
            const bool pairs = i == CHECK_COUNT(sizes);
            const size_t n = pairs ? 65536 : sizes[i];
            const uint8_t *bg = backgrounds[b];
            check_note(c, "n=%zu background %zu", n, b);
            uint8_t *x = check_u8(c, 4 * n, (CheckKind)(i % 5)), *want = check_out(c, 3 * n), *got = check_out(c, 3 * n);
            for (size_t k = 0; pairs && k < n; k++) x[4 * k] = x[4 * k + 1] = x[4 * k + 2] = (uint8_t)k, x[4 * k + 3] = (uint8_t)(k >> 8);
            for (size_t k = 0; k < 3 * n; k++) {
                const double a = x[k / 3 * 4 + 3], v = x[k / 3 * 4 + k % 3];
                want[k] = nearest((v * a + bg[k % 3] * (255 - a)) / 255);
            }
            fn(got, x, n, bg);
            check_equal(c, got, want, 3 * n);
            check_done(c);
        }
    uint8_t *x = check_u8(c, 4 * BENCH_N, CHECK_RANDOM), *y = check_out(c, 3 * BENCH_N);
    check_bench(c, "n=4000", 7 * BENCH_N, fn(y, x, BENCH_N, backgrounds[2]));
}

static void check_rgba_drop_rgb_u8(Check *c, CheckFn *any)
{
    MuseRgbaDropRgbU8 *fn = (MuseRgbaDropRgbU8 *)any;
    for (size_t i = 0; i < CHECK_COUNT(sizes); i++) {
        const size_t n = sizes[i];
        check_note(c, "n=%zu", n);
        const uint8_t *x = check_u8(c, 4 * n, CHECK_RANDOM);
        uint8_t *want = check_out(c, 3 * n), *got = check_out(c, 3 * n);
        for (size_t k = 0; k < 3 * n; k++) want[k] = x[k / 3 * 4 + k % 3];
        fn(got, x, n);
        check_equal(c, got, want, 3 * n);
        check_done(c);
    }
    uint8_t *x = check_u8(c, 4 * BENCH_N, CHECK_RANDOM), *y = check_out(c, 3 * BENCH_N);
    check_bench(c, "n=4000", 7 * BENCH_N, fn(y, x, BENCH_N));
}

static void check_cmyk_to_rgb_u8(Check *c, CheckFn *any)
{
    MuseCmykToRgbU8 *fn = (MuseCmykToRgbU8 *)any;
    for (size_t i = 0; i < CHECK_COUNT(sizes) + 1; i++)
        for (int inverted = 0; inverted < 2; inverted++) {
            const bool pairs = i == CHECK_COUNT(sizes);
            const size_t n = pairs ? 65536 : sizes[i];
            check_note(c, "n=%zu inverted %d", n, inverted);
            uint8_t *x = check_u8(c, 4 * n, (CheckKind)(i % 5)), *want = check_out(c, 3 * n), *got = check_out(c, 3 * n);
            for (size_t k = 0; pairs && k < n; k++) x[4 * k] = x[4 * k + 1] = x[4 * k + 2] = (uint8_t)k, x[4 * k + 3] = (uint8_t)(k >> 8);
            for (size_t k = 0; k < 3 * n; k++) {
                const double ink = x[k / 3 * 4 + k % 3], black = x[k / 3 * 4 + 3];
                want[k] = nearest(inverted ? ink * black / 255 : (255 - ink) * (255 - black) / 255);
            }
            fn(got, x, n, inverted);
            check_equal(c, got, want, 3 * n);
            check_done(c);
        }
    uint8_t *x = check_u8(c, 4 * BENCH_N, CHECK_RANDOM), *y = check_out(c, 3 * BENCH_N);
    check_bench(c, "n=4000", 7 * BENCH_N, fn(y, x, BENCH_N, 1));
}

static void check_u8_to_f32(Check *c, CheckFn *any)
{
    MuseU8ToF32 *fn = (MuseU8ToF32 *)any;
    for (size_t i = 0; i < CHECK_COUNT(sizes); i++) {
        const size_t n = sizes[i];
        check_note(c, "n=%zu", n);
        const uint8_t *x = check_u8(c, n, CHECK_RANDOM);
        const float scale = i & 1 ? 1 / 255.0f : 2 / 255.0f, offset = i & 1 ? 0.0f : -1.0f;
        float *want = check_out_f32(c, n), *got = check_out_f32(c, n);
        for (size_t k = 0; k < n; k++) {
            const volatile float product = (float)x[k] * scale;   /* rounded by itself */
            want[k] = product + offset;
        }
        fn(got, x, n, scale, offset);
        check_equal(c, got, want, n * sizeof *want);
        check_done(c);
    }
    uint8_t *x = check_u8(c, BENCH_N, CHECK_RANDOM);
    float *y = check_out_f32(c, BENCH_N);
    check_bench(c, "n=4000", 5 * BENCH_N, fn(y, x, BENCH_N, 1 / 255.0f, 0));
}

static void check_transpose_rgb_u8(Check *c, CheckFn *any)
{
    MuseTransposeRgbU8 *fn = (MuseTransposeRgbU8 *)any;
    static const size_t shapes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 4, 4 }, { 16, 16 }, { 17, 5 }, { 5, 33 }, { 40, 65 }, { 100, 31 } };
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++) {
        const size_t w = shapes[i][0], h = shapes[i][1], ss = 3 * w + i, ds = 3 * h + i % 3;
        check_note(c, "%zux%zu", w, h);
        const uint8_t *x = check_u8(c, ss * (h - 1) + 3 * w, CHECK_RANDOM);
        uint8_t *want = check_out(c, ds * (w - 1) + 3 * h), *got = check_out(c, ds * (w - 1) + 3 * h);
        for (size_t k = 0; k < 3 * w * h; k++) want[k / 3 / h * ds + k / 3 % h * 3 + k % 3] = x[k / 3 % h * ss + k / 3 / h * 3 + k % 3];
        fn(got, ds, x, ss, w, h);
        check_equal(c, got, want, ds * (w - 1) + 3 * h);
        check_done(c);
    }
    uint8_t *x = check_u8(c, 912 * 672 * 3, CHECK_RANDOM), *y = check_out(c, 912 * 672 * 3);
    check_bench(c, "912x672", 2 * 912 * 672 * 3, fn(y, 672 * 3, x, 912 * 3, 912, 672));
}

static void check_cut_patches_f32(Check *c, CheckFn *any)
{
    MuseCutPatchesF32 *fn = (MuseCutPatchesF32 *)any;
    static const size_t shapes[][3] = { { 1, 1, 1 }, { 1, 5, 3 }, { 3, 2, 2 }, { 12, 3, 4 }, { 16, 3, 2 }, { 30, 2, 2 }, { 48, 2, 3 } };   /* unit, grid */
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++) {
        const size_t u = shapes[i][0], gw = shapes[i][1], gh = shapes[i][2], stride = gw * u * 3 + i, size = u * u * 3;
        const size_t first = i % 2, n = gw * gh - first;
        check_note(c, "unit=%zu grid=%zux%zu", u, gw, gh);
        const MusePatchCut cut = { check_u8(c, stride * (gh * u - 1) + gw * u * 3, CHECK_RANDOM), stride, u, gw, first, 2 / 255.0f, -1 };
        float *want = check_out_f32(c, n * size), *got = check_out_f32(c, n * size);
        for (size_t k = 0; k < n * size; k++) {
            const size_t p = first + k / size, y = p / gw * u + k % size / (3 * u), x = p % gw * 3 * u + k % (3 * u);
            const volatile float product = (float)cut.rgb[y * stride + x] * cut.scale;
            want[k] = product + cut.offset;
        }
        fn(got, &cut, n);
        check_equal(c, got, want, n * size * sizeof *want);
        check_done(c);
    }
    const MusePatchCut cut = { check_u8(c, 912 * 672 * 3, CHECK_RANDOM), 912 * 3, 48, 19, 0, 1 / 255.0f, 0 };
    float *y = check_out_f32(c, 912 * 672 * 3);
    check_bench(c, "912x672 unit=48", 5 * 912 * 672 * 3, fn(y, &cut, 19 * 14));
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/pixel_kernels.inc"
#undef KERNEL
};
const CheckFamily check_pixel = { "pixel", variants, CHECK_COUNT(variants) };
