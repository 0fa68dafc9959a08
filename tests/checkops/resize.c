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

static MuseResizeAxis open_axis(Check *c, Shape s, uint32_t precision, bool across)
{
    MuseResizeAxis axis = { 0 };
    check_true(c, muse_resize_axis_open(&axis, NULL, s.n_in, s.n_out, s.filter, precision, across ? MUSE_RESIZE_ACROSS : 0, NULL) == 0, "a weight table");
    return axis;
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

static void bench_across(Check *c, MuseResizeAcrossU8 *fn, Shape s, size_t channels, uint32_t precision, const char *label)
{
    MuseResizeAxis axis = open_axis(c, s, precision, true);
    uint8_t *dst[MUSE_RESIZE_ROWS];
    for (size_t r = 0; r < MUSE_RESIZE_ROWS; r++) dst[r] = check_out(c, s.n_out * channels);
    const MuseResizeRows rows = { dst, check_u8(c, MUSE_RESIZE_ROWS * s.n_in * channels, CHECK_RANDOM), s.n_in * channels, MUSE_RESIZE_ROWS,
                                  channels, 0, s.n_out };
    check_bench(c, label, MUSE_RESIZE_ROWS * channels * ((double)s.n_in + s.n_out), fn(&rows, &axis));
    check_done(c);
    muse_resize_axis_close(&axis);
}

static void check_across_u8(Check *c, CheckFn *any)
{
    MuseResizeAcrossU8 *fn = (MuseResizeAcrossU8 *)any;
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++)
        for (uint32_t precision = 0; precision < 2; precision++)
            for (size_t k = 0; k < CHECK_COUNT(channel_counts); k++) {
                const Shape s = shapes[i];
                const size_t channels = channel_counts[k];
                MuseResizeAxis axis = open_axis(c, s, precision, true);
                for (size_t n_rows = 1; n_rows <= MUSE_RESIZE_ROWS; n_rows++) {
                    check_note(c, "%u->%u filter %u precision %u channels %zu rows %zu", s.n_in, s.n_out, s.filter, precision, channels, n_rows);
                    across_once(c, fn, &axis, channels, n_rows, (CheckKind)((i + n_rows) % 5), 0, s.n_out);
                }
                if (s.n_out > 2) across_once(c, fn, &axis, channels, 4, CHECK_RANDOM, s.n_out / 3, s.n_out - 1);
                muse_resize_axis_close(&axis);
            }
    const Shape down = { 4000, 912, 3 }, more = { 4000, 224, 3 }, up = { 500, 912, 3 };
    bench_across(c, fn, down, 3, MUSE_PRECISION_TORCH, "4000->912 rgb torch x8");
    bench_across(c, fn, down, 3, MUSE_PRECISION_PILLOW, "4000->912 rgb pillow x8");
    bench_across(c, fn, more, 3, MUSE_PRECISION_TORCH, "4000->224 rgb torch x8");
    bench_across(c, fn, up, 3, MUSE_PRECISION_TORCH, "500->912 rgb torch x8");
    bench_across(c, fn, down, 1, MUSE_PRECISION_TORCH, "4000->912 grey torch x8");
    bench_across(c, fn, down, 4, MUSE_PRECISION_TORCH, "4000->912 rgba torch x8");
}

static void bench_down(Check *c, MuseResizeDownU8 *fn, Shape s, size_t n, uint32_t precision, const char *label)
{
    enum { ROWS = 48 };
    MuseResizeAxis axis = open_axis(c, s, precision, false);
    const uint8_t *rows[ROWS];
    for (size_t r = 0; r < ROWS; r++) rows[r] = check_u8(c, n, CHECK_RANDOM);
    uint8_t *dst = check_out(c, n);
    const size_t i = s.n_out / 2;
    check_bench(c, label, (double)n * (axis.count[i] + 1), fn(dst, rows, n, &axis, i));
    check_done(c);
    muse_resize_axis_close(&axis);
}

static void check_down_u8(Check *c, CheckFn *any)
{
    MuseResizeDownU8 *fn = (MuseResizeDownU8 *)any;
    static const size_t widths[] = { 1, 3, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 200, 255, 257 };
    enum { ROWS = 24 };
    for (size_t i = 0; i < CHECK_COUNT(shapes); i++)
        for (uint32_t precision = 0; precision < 2; precision++)
            for (size_t k = 0; k < CHECK_COUNT(widths); k++) {
                const size_t n = widths[k];
                MuseResizeAxis axis = open_axis(c, shapes[i], precision, false);
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
    const Shape down = { 3000, 672, 3 }, up = { 500, 912, 3 };
    bench_down(c, fn, down, 2736, MUSE_PRECISION_TORCH, "3000->672 2736 torch");
    bench_down(c, fn, down, 2736, MUSE_PRECISION_PILLOW, "3000->672 2736 pillow");
    bench_down(c, fn, up, 2736, MUSE_PRECISION_TORCH, "500->912 2736 torch");
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/resize_kernels.inc"
#undef KERNEL
};
const CheckFamily check_resize = { "resize", variants, CHECK_COUNT(variants) };
