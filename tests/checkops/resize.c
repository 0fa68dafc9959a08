/* SPDX-License-Identifier: Apache-2.0 */
/* ops/resize.h: every variant, C included, against the sums written once more in 64 bits. Tables are the library's; what is
 * in them is checked by tests/unit/test_resize.c. */
#include "check.h"

#include "muse/family.h"
#include "ops/resize.h"

typedef struct Shape { uint32_t n_in, n_out, filter; } Shape;

static const Shape shapes[] = {
    { 1, 1, 3 }, { 1, 9, 3 }, { 2, 5, 3 }, { 5, 2, 3 }, { 7, 8, 3 }, { 8, 7, 2 }, { 9, 40, 3 }, { 33, 11, 3 }, { 64, 17, 3 }, { 65, 16, 2 },
    { 100, 23, 3 }, { 200, 199, 3 }, { 40, 333, 3 }, { 333, 5, 3 }, { 1000, 1, 3 }, { 500, 114, 3 }, { 257, 64, 1 }, { 129, 130, 1 }, { 700, 3, 2 }, { 6000, 2, 3 },
};
static const size_t channel_counts[] = { 1, 3, 4 };

static uint8_t sum_of(const MuseResizeAxis *axis, size_t i, const uint8_t *s, size_t step)
{
    int64_t sum = (int64_t)1 << (axis->shift - 1);
    for (size_t k = 0; k < axis->count[i]; k++) sum += (int64_t)muse_resize_weight(axis, i, k) * s[(axis->first[i] + k) * step];
    sum >>= axis->shift;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static MuseResizeAxis open_axis(Check *c, Shape s, uint32_t precision, unsigned flags)
{
    MuseResizeAxis axis = { 0 };
    check_true(c, muse_resize_axis_open(&axis, NULL, s.n_in, s.n_out, s.filter, precision, flags, NULL) == 0, "a weight table");
    return axis;
}

/* Rows taken out of quads, n samples each; and the other way round, with noise where there is no row. */
static void from_quads(uint8_t *const rows[], const uint8_t *const quads[], size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t x = 0; x < n; x++) rows[r][x] = quads[r / 4][4 * x + r % 4];
}

static void to_quads(Check *c, uint8_t *quads[], const uint8_t *rows, size_t n_rows, size_t n)
{
    uint8_t *block = check_u8(c, (n_rows + 3) / 4 * 4 * n, CHECK_RANDOM);
    for (size_t q = 0; 4 * q < n_rows; q++) {
        quads[q] = block + q * 4 * n;
        for (size_t r = 4 * q; r < 4 * q + 4 && r < n_rows; r++)
            for (size_t x = 0; x < n; x++) quads[q][4 * x + r % 4] = rows[r * n + x];
    }
}

static void across_once(Check *c, MuseResizeAcrossU8 *fn, const MuseResizeAxis *axis, size_t channels, size_t n_rows, CheckKind kind,
                        size_t begin, size_t end)
{
    uint8_t *got[MUSE_RESIZE_ROWS], *want[MUSE_RESIZE_ROWS];
    const size_t m = (end - begin) * channels, stride = axis->n_in * channels + n_rows % 3;
    const uint8_t *src = check_u8(c, stride * (n_rows - 1) + axis->n_in * channels, kind);
    for (size_t r = 0; r < n_rows; r++) {
        want[r] = check_out(c, m);
        got[r] = (uint8_t *)check_out(c, m) - begin * channels;   /* the fence is at `begin`: nothing else may be written */
        for (size_t k = 0; k < m; k++) want[r][k] = sum_of(axis, begin + k / channels, src + r * stride + k % channels, channels);
    }
    const MuseResizeRows rows = { got, src, stride, n_rows, channels, begin, end };
    fn(&rows, axis);
    for (size_t r = 0; r < n_rows; r++) check_equal(c, got[r] + begin * channels, want[r], m);
    check_done(c);
}

static void across_quads_once(Check *c, MuseResizeAcrossU8 *fn, const MuseResizeAxis *axis, size_t channels, size_t n_rows, CheckKind kind,
                              size_t begin, size_t end)
{
    enum { QUADS = MUSE_RESIZE_ROWS / 4 };
    uint8_t *at[QUADS], *got[MUSE_RESIZE_ROWS];
    const uint8_t *quads[QUADS];
    const size_t m = (end - begin) * channels, stride = axis->n_in * channels + n_rows % 3;
    const uint8_t *src = check_u8(c, stride * (n_rows - 1) + axis->n_in * channels, kind);
    for (size_t q = 0; 4 * q < n_rows; q++) {
        quads[q] = check_out(c, 4 * m);
        at[q] = (uint8_t *)(uintptr_t)quads[q] - 4 * begin * channels;
    }
    for (size_t r = 0; r < n_rows; r++) got[r] = check_out(c, m);
    const MuseResizeRows rows = { at, src, stride, n_rows, channels, begin, end };
    fn(&rows, axis);
    from_quads(got, quads, n_rows, m);
    for (size_t r = 0; r < n_rows; r++) {
        uint8_t *want = check_out(c, m);
        for (size_t k = 0; k < m; k++) want[k] = sum_of(axis, begin + k / channels, src + r * stride + k % channels, channels);
        check_equal(c, got[r], want, m);
    }
    check_done(c);
}

/* quads: rows 0 .. 3 of dst are the quads */
static void bench_across(Check *c, MuseResizeAcrossU8 *fn, Shape s, size_t channels, uint32_t precision, bool quads, const char *label)
{
    MuseResizeAxis axis = open_axis(c, s, precision, MUSE_RESIZE_GROUPED | MUSE_RESIZE_HALVES);
    uint8_t *dst[MUSE_RESIZE_ROWS];
    for (size_t r = 0; r < MUSE_RESIZE_ROWS; r++) dst[r] = check_out(c, s.n_out * channels * (quads ? 4 : 1));
    const MuseResizeRows rows = { dst, check_u8(c, MUSE_RESIZE_ROWS * s.n_in * channels, CHECK_RANDOM), s.n_in * channels, MUSE_RESIZE_ROWS,
                                  channels, 0, s.n_out };
    check_bench(c, label, MUSE_RESIZE_ROWS * channels * ((double)s.n_in + s.n_out), fn(&rows, &axis));
    check_done(c);
    muse_resize_axis_close(&axis);
}

typedef void AcrossOnce(Check *c, MuseResizeAcrossU8 *fn, const MuseResizeAxis *axis, size_t channels, size_t n_rows, CheckKind kind, size_t begin,
                        size_t end);

static void check_across(Check *c, MuseResizeAcrossU8 *fn, AcrossOnce *once, unsigned flags)
{
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++)
        for (uint32_t precision = 0; precision < 2; precision++)
            for (size_t k = 0; k < CHECK_COUNT(channel_counts); k++) {
                const Shape s = shapes[i];
                const size_t channels = channel_counts[k];
                MuseResizeAxis axis = open_axis(c, s, precision, flags);
                for (size_t n_rows = 1; n_rows <= MUSE_RESIZE_ROWS; n_rows++) {
                    check_note(c, "%u->%u filter %u precision %u channels %zu rows %zu", s.n_in, s.n_out, s.filter, precision, channels, n_rows);
                    once(c, fn, &axis, channels, n_rows, (CheckKind)((i + n_rows) % 5), 0, s.n_out);
                }
                if (s.n_out > 2) once(c, fn, &axis, channels, 4, CHECK_RANDOM, s.n_out / 3, s.n_out - 1);
                muse_resize_axis_close(&axis);
            }
}

static const Shape across_down = { 4000, 912, 3 }, across_more = { 4000, 224, 3 }, across_up = { 500, 912, 3 };

static void check_across_u8(Check *c, CheckFn *any)
{
    MuseResizeAcrossU8 *fn = (MuseResizeAcrossU8 *)any;
    check_across(c, fn, across_once, MUSE_RESIZE_GROUPED);
    bench_across(c, fn, across_down, 3, MUSE_PRECISION_TORCH, false, "4000->912 rgb torch x16");
    bench_across(c, fn, across_down, 3, MUSE_PRECISION_PILLOW, false, "4000->912 rgb pillow x16");
    bench_across(c, fn, across_more, 3, MUSE_PRECISION_TORCH, false, "4000->224 rgb torch x16");
    bench_across(c, fn, across_up, 3, MUSE_PRECISION_TORCH, false, "500->912 rgb torch x16");
    bench_across(c, fn, across_down, 1, MUSE_PRECISION_TORCH, false, "4000->912 grey torch x16");
    bench_across(c, fn, across_down, 4, MUSE_PRECISION_TORCH, false, "4000->912 rgba torch x16");
}

/* Tables no filter makes: weights of every size that halves can hold, extremes first, all sums within 31 bits. */
static MuseResizeAxis extreme_axis(Check *c, uint32_t n_in, uint32_t n_out, size_t count)
{
    static const int16_t extremes[] = { 32639, -32768, 127, 128, -128, -129, 255, 256, -256, 32512, 0, -1, 32511, -32640 };
    MuseResizeAxis axis = { .n_in = n_in, .n_out = n_out, .taps = count, .slots = (count + 3 + 7) / 8 * 8, .parts = 1,
                            .shift = 1 + (int)(check_random(c) % 22) };
    axis.first = muse_alloc_array(NULL, n_out, sizeof *axis.first);
    axis.count = muse_alloc_array(NULL, n_out, sizeof *axis.count);
    axis.part[0] = muse_zalloc_array(NULL, n_out * axis.slots, sizeof *axis.part[0]);
    axis.halves = muse_zalloc_array(NULL, n_out * axis.slots, 2);
    check_true(c, axis.first && axis.count && axis.part[0] && axis.halves, "memory");
    for (size_t i = 0; i < n_out; i++) {
        axis.first[i] = (uint32_t)((n_in - count) * i / n_out / 4 * 4);
        axis.count[i] = (uint32_t)count;
        for (size_t k = 0; k < count; k++) {
            const int w = i % 2 ? extremes[(i / 2 + k) % CHECK_COUNT(extremes)] : (int)(check_random(c) % 65408) - 32768;
            const int high = w >= 0 ? (w + 128) / 256 : -((127 - w) / 256);   /* to the nearest, ties up */
            axis.part[0][i * axis.slots + k] = (int16_t)w;
            int8_t *at = axis.halves + (i * axis.slots + k) / 4 * 8 + k % 4;
            at[0] = (int8_t)high;
            at[4] = (int8_t)(w - 256 * high);
        }
    }
    return axis;
}

static void check_across_quads_u8(Check *c, CheckFn *any)
{
    MuseResizeAcrossU8 *fn = (MuseResizeAcrossU8 *)any;
    check_across(c, fn, across_quads_once, MUSE_RESIZE_GROUPED | MUSE_RESIZE_HALVES);
    for (size_t i = 0; i < 30; i++) {
        const size_t count = i % 10 ? 1 + i : 100;
        MuseResizeAxis axis = extreme_axis(c, 203, 29, count);
        check_note(c, "extreme weights, %zu taps", count);
        for (size_t k = 0; k < CHECK_COUNT(channel_counts); k++) across_quads_once(c, fn, &axis, channel_counts[k], 1 + i % 16, (CheckKind)(i % 5), 0, 29);
        muse_resize_axis_close(&axis);
    }
    bench_across(c, fn, across_down, 3, MUSE_PRECISION_TORCH, true, "4000->912 rgb torch x16");
    bench_across(c, fn, across_more, 3, MUSE_PRECISION_TORCH, true, "4000->224 rgb torch x16");
    bench_across(c, fn, across_up, 3, MUSE_PRECISION_TORCH, true, "500->912 rgb torch x16");
    bench_across(c, fn, across_down, 1, MUSE_PRECISION_TORCH, true, "4000->912 grey torch x16");
    bench_across(c, fn, across_down, 4, MUSE_PRECISION_TORCH, true, "4000->912 rgba torch x16");
}

static void bench_down(Check *c, MuseResizeDownU8 *fn, Shape s, size_t n, uint32_t precision, bool quads, const char *label)
{
    enum { ROWS = 48 };
    MuseResizeAxis axis = open_axis(c, s, precision, quads ? MUSE_RESIZE_GROUPED | MUSE_RESIZE_HALVES : 0);
    const uint8_t *rows[ROWS];
    for (size_t r = 0; r < ROWS; r++) rows[r] = check_u8(c, n * (quads ? 4 : 1), CHECK_RANDOM);
    uint8_t *dst = check_out(c, n);
    const size_t i = s.n_out / 2;
    check_bench(c, label, (double)n * (axis.count[i] + 1), fn(dst, rows, n, &axis, i));
    check_done(c);
    muse_resize_axis_close(&axis);
}

static const Shape down_down = { 3000, 672, 3 }, down_up = { 500, 912, 3 };
static const size_t widths[] = { 1, 3, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 200, 255, 257 };

static void check_down_u8(Check *c, CheckFn *any)
{
    MuseResizeDownU8 *fn = (MuseResizeDownU8 *)any;
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++)
        for (uint32_t precision = 0; precision < 2; precision++)
            for (size_t k = 0; k < CHECK_COUNT(widths); k++) {
                const size_t n = widths[k];
                MuseResizeAxis axis = open_axis(c, shapes[i], precision, 0);
                uint8_t *block = check_u8(c, n * axis.n_in, (CheckKind)((i + k) % 5));
                const uint8_t *rows[6000];
                for (size_t r = 0; r < axis.n_in; r++) rows[r] = block + r * n;
                for (size_t at = 0; at < axis.n_out; at += 1 + axis.n_out / 7) {
                    check_note(c, "%u->%u filter %u precision %u width %zu output %zu", axis.n_in, axis.n_out, shapes[i].filter, precision, n, at);
                    uint8_t *want = check_out(c, n), *got = check_out(c, n);
                    for (size_t x = 0; x < n; x++) want[x] = sum_of(&axis, at, block + x, n);
                    fn(got, rows + axis.first[at], n, &axis, at);
                    check_equal(c, got, want, n);
                }
                check_done(c);
                muse_resize_axis_close(&axis);
            }
    bench_down(c, fn, down_down, 2736, MUSE_PRECISION_TORCH, false, "3000->672 2736 torch");
    bench_down(c, fn, down_down, 2736, MUSE_PRECISION_PILLOW, false, "3000->672 2736 pillow");
    bench_down(c, fn, down_up, 2736, MUSE_PRECISION_TORCH, false, "500->912 2736 torch");
}

static void down_quads(Check *c, MuseResizeDownU8 *fn, const MuseResizeAxis *axis, size_t n, CheckKind kind)
{
    uint8_t *block = check_u8(c, n * axis->n_in, kind), *quads[1500];
    to_quads(c, quads, block, axis->n_in, n);
    for (size_t at = 0; at < axis->n_out; at += 1 + axis->n_out / 7) {
        uint8_t *want = check_out(c, n), *got = check_out(c, n);
        for (size_t x = 0; x < n; x++) want[x] = sum_of(axis, at, block + x, n);
        fn(got, (const uint8_t *const *)quads + axis->first[at] / 4, n, axis, at);
        check_equal(c, got, want, n);
    }
    check_done(c);
}

static void check_down_quads_u8(Check *c, CheckFn *any)
{
    MuseResizeDownU8 *fn = (MuseResizeDownU8 *)any;
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++)
        for (uint32_t precision = 0; precision < 2; precision++)
            for (size_t k = 0; k < CHECK_COUNT(widths); k++) {
                MuseResizeAxis axis = open_axis(c, shapes[i], precision, MUSE_RESIZE_GROUPED | MUSE_RESIZE_HALVES);
                check_note(c, "%u->%u filter %u precision %u width %zu", axis.n_in, axis.n_out, shapes[i].filter, precision, widths[k]);
                down_quads(c, fn, &axis, widths[k], (CheckKind)((i + k) % 5));
                muse_resize_axis_close(&axis);
            }
    for (size_t i = 0; i < 30; i++) {
        MuseResizeAxis axis = extreme_axis(c, 203, 29, i % 10 ? 1 + i : 100);
        check_note(c, "extreme weights, %zu taps, width %zu", axis.taps, widths[i % CHECK_COUNT(widths)]);
        down_quads(c, fn, &axis, widths[i % CHECK_COUNT(widths)], (CheckKind)(i % 5));
        muse_resize_axis_close(&axis);
    }
    bench_down(c, fn, down_down, 2736, MUSE_PRECISION_TORCH, true, "3000->672 2736 torch");
    bench_down(c, fn, down_up, 2736, MUSE_PRECISION_TORCH, true, "500->912 2736 torch");
}

static void check_quad_u8(Check *c, CheckFn *any)
{
    MuseResizeQuadU8 *fn = (MuseResizeQuadU8 *)any;
    for (size_t k = 0; k < CHECK_COUNT(widths); k++)
        for (size_t n_rows = 1; n_rows <= 4; n_rows++) {
            const size_t n = widths[k], stride = n + k % 3;
            const uint8_t *rows = check_u8(c, stride * (n_rows - 1) + n, CHECK_RANDOM);
            uint8_t *want = check_out(c, 4 * n), *got = check_out(c, 4 * n);
            check_note(c, "%zu rows of %zu", n_rows, n);
            for (size_t x = 0; x < 4 * n; x++) want[x] = rows[(x % 4 < n_rows ? x % 4 : n_rows - 1) * stride + x / 4];
            fn(got, rows, stride, n_rows, n);
            check_equal(c, got, want, 4 * n);
            check_done(c);
        }
    const size_t n = 12000;
    const uint8_t *rows = check_u8(c, 4 * n, CHECK_RANDOM);
    uint8_t *quad = check_out(c, 4 * n);
    check_bench(c, "12000", 8 * n, fn(quad, rows, n, 4, n));
    check_done(c);
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/resize_kernels.inc"
#undef KERNEL
};
const CheckFamily check_resize = { "resize", variants, CHECK_COUNT(variants) };
