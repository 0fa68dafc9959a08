/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizers/image/resize.c and the weight tables below it: stored results of Pillow and of the PyTorch definition, ways of
 * pushing, orders of passes, threads, CPU levels, extremes, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "muse/family.h"
#include "ops/runtime.h"
#include "tests/unit/meter.h"
#include "tokenizers/image/resize.h"

static MuseRuntime *open_runtime(uint32_t threads, uint32_t level, Meter *meter)
{
    MuseRuntimeParams params;
    muse_runtime_params_init(&params);
    params.threads = threads;
    params.cpu_level = level;
    if (meter) params.allocator = meter_allocator(meter);
    MuseRuntime *rt = NULL;
    assert_int_equal(muse_runtime_open(&rt, &params, NULL), 0);
    return rt;
}

/* step: rows of a push; each push is a heap block of its exact size */
static int resize_in(MuseRuntime *rt, const MuseResizeSpec *spec, const uint8_t *src, uint8_t *dst, uint32_t step)
{
    MuseResizer *r = NULL;
    MuseError err = { 0 };
    int rc = muse_resizer_open(&r, rt, spec, dst, 0, &err);
    const size_t bytes = (size_t)spec->src_width * (size_t)spec->channels;
    for (uint32_t y = 0; rc == 0 && y < spec->src_height; y += step) {
        const uint32_t n = spec->src_height - y < step ? spec->src_height - y : step;
        uint8_t *exact = malloc(n * bytes);
        assert_non_null(exact);
        memcpy(exact, src + y * bytes, n * bytes);
        rc = muse_resizer_push(r, exact, 0, n, &err);
        free(exact);
    }
    muse_resizer_close(&r);
    assert_null(r);
    return rc;
}

static size_t src_size(const MuseResizeSpec *s) { return (size_t)s->src_width * s->src_height * (size_t)s->channels; }
static size_t dst_size(const MuseResizeSpec *s) { return (size_t)s->dst_width * s->dst_height * (size_t)s->channels; }

static uint8_t *noise(size_t n, uint32_t seed)
{
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = seed >> 29 == 0 ? (uint8_t)(seed >> 12 & 1 ? 255 : 0) : (uint8_t)(seed >> 24);   /* noise with extremes in it */
    }
    return p;
}

static void *filled(size_t n)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    return memset(p, 0xa5, n);
}

/* the two arrays of the definition, typed in */
static void test_definition_arrays(void **state)
{
    (void)state;
    static const uint8_t up[] = { 0, 12, 40, 65, 89, 113, 137, 171, 194, 36, 57, 89, 118, 158, 200, 235, 152, 64, 85, 110, 155, 209, 168, 123,
                                  170, 139, 95, 134, 169, 206, 203, 119, 53, 106, 125, 126, 175, 224, 230, 73, 77, 151, 209, 106, 0 };
    static const uint8_t down[] = { 60, 141, 156, 175, 139, 115 };
    uint8_t src[24], dst[45];
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++) src[y * 6 + x] = (uint8_t)(37 * x + 59 * y + 11 * x * y);
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    for (uint32_t precision = 0; precision < 2; precision++) {
        const MuseResizeSpec a = { 6, 4, 9, 5, 1, MUSE_FILTER_BICUBIC, precision, 0 }, b = { 6, 4, 3, 2, 1, MUSE_FILTER_BICUBIC, precision, 0 };
        assert_int_equal(resize_in(rt, &a, src, dst, 4), 0);
        assert_memory_equal(dst, up, sizeof up);
        assert_int_equal(resize_in(rt, &b, src, dst, 1), 0);
        assert_memory_equal(dst, down, sizeof down);
    }
    muse_runtime_close(&rt);
}

static uint64_t fnv1a(const uint8_t *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

typedef void CaseFn(const char *name, const MuseResizeSpec *spec, const uint8_t *src, const uint8_t *want, uint64_t hash, void *user);

/* walks tests/data/image/resize/cases.bin, see tests/data/make_resize.py; returns how many */
static int for_each_case(CaseFn *fn, void *user)
{
    char path[1024], name[64], form[8];
    const char *data = getenv("MUSE_TEST_DATA");
    assert_non_null(data);
    snprintf(path, sizeof path, "%s/image/resize/cases.bin", data);
    MuseFile f = { 0 };
    assert_int_equal(muse_file_open(&f, path, 1 << 24, NULL), 0);
    int n = 0;
    for (size_t pos = 0; pos < f.size; n++) {
        const uint8_t *end = memchr(f.data + pos, '\n', f.size - pos);
        assert_non_null(end);
        char line[200];
        const size_t len = (size_t)(end - f.data) - pos;
        assert_true(len < sizeof line);
        memcpy(line, f.data + pos, len);
        line[len] = 0;
        MuseResizeSpec s = { 0 };
        assert_int_equal(sscanf(line, "%63s %u %u %u %u %d %u %u %7s", name, &s.src_width, &s.src_height, &s.dst_width, &s.dst_height,
                                &s.channels, &s.filter, &s.precision, form), 9);
        pos += len + 1;
        const bool whole = strcmp(form, "bytes") == 0;
        const uint8_t *src = f.data + pos, *want = src + src_size(&s);
        pos += src_size(&s) + (whole ? dst_size(&s) : 8);
        assert_true(pos <= f.size);
        uint64_t hash = 0;
        if (!whole) memcpy(&hash, want, 8);   /* tests run on little-endian machines only */
        fn(name, &s, src, whole ? want : NULL, hash, user);
    }
    muse_file_close(&f);
    return n;
}

static void check_case(const char *name, const MuseResizeSpec *spec, const uint8_t *src, const uint8_t *want, uint64_t hash, void *user)
{
    uint8_t *dst = filled(dst_size(spec));
    assert_int_equal(resize_in(user, spec, src, dst, 16), 0);
    const bool same = want ? memcmp(dst, want, dst_size(spec)) == 0 : fnv1a(dst, dst_size(spec)) == hash;
    if (!same) print_error("case %s filter %u precision %u\n", name, spec->filter, spec->precision);
    assert_true(same);
    free(dst);
}

/* Pillow's own bytes at 22 bits, and the PyTorch definition's, on every level of this machine */
static void test_stored_cases(void **state)
{
    (void)state;
    MuseRuntime *best = open_runtime(1, MUSE_CPU_AUTO, NULL);
    MuseRuntimeInfo info;
    muse_runtime_info(best, &info);
    muse_runtime_close(&best);
    for (uint32_t level = MUSE_CPU_C; level <= info.cpu_best; level++) {
        MuseRuntime *rt = open_runtime(1, level, NULL);
        assert_true(for_each_case(check_case, rt) >= 80);
        muse_runtime_close(&rt);
    }
}

static void compare_precisions(const char *name, const MuseResizeSpec *spec, const uint8_t *src, const uint8_t *want, uint64_t hash, void *user)
{
    (void)want, (void)hash, (void)name;
    size_t *count = user;
    const size_t n = dst_size(spec);
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    MuseResizeSpec other = *spec;
    other.precision ^= 1;
    uint8_t *a = filled(n), *b = filled(n);
    assert_int_equal(resize_in(rt, spec, src, a, 16), 0);
    assert_int_equal(resize_in(rt, &other, src, b, 16), 0);
    for (size_t i = 0; i < n; i++) {
        const int d = abs(a[i] - b[i]);
        assert_true(d <= 2);
        count[0] += d > 0;
        count[2] += d > 1;
    }
    count[1] += n;
    free(a);
    free(b);
    muse_runtime_close(&rt);
}

static void test_precisions_are_close(void **state)
{
    (void)state;
    size_t count[3] = { 0, 0, 0 };
    for_each_case(compare_precisions, count);
    assert_true(count[0] > 0);                       /* they are two precisions indeed */
    assert_true(count[0] * 100 < count[1] * 2);      /* and differ in under 2 % of bytes */
    /* by one; a level lost in the first pass can weigh more than one in the second, where overshoot adds up */
    assert_true(count[2] * 10000 < count[1]);
}

static const MuseResizeSpec shapes[] = {
    { 100, 70, 33, 21, 3, MUSE_FILTER_BICUBIC, 0, 0 },  { 100, 70, 33, 21, 3, MUSE_FILTER_BICUBIC, 1, 0 },
    { 33, 21, 100, 70, 3, MUSE_FILTER_BICUBIC, 0, 0 },  { 100, 70, 33, 150, 4, MUSE_FILTER_BILINEAR, 0, 0 },
    { 211, 40, 60, 40, 3, MUSE_FILTER_BICUBIC, 0, 0 },  { 40, 211, 40, 60, 3, MUSE_FILTER_BICUBIC, 1, 0 },
    { 211, 97, 60, 31, 1, MUSE_FILTER_BICUBIC, 0, 0 },  { 211, 97, 60, 31, 1, MUSE_FILTER_BOX, 1, 0 },
    { 50, 50, 50, 50, 3, MUSE_FILTER_BICUBIC, 0, 0 },   { 500, 300, 1, 1, 3, MUSE_FILTER_BICUBIC, 0, 0 },
    { 1, 1, 40, 30, 3, MUSE_FILTER_BICUBIC, 0, 0 },     { 1, 90, 7, 20, 4, MUSE_FILTER_BICUBIC, 1, 0 },
    { 90, 1, 20, 7, 1, MUSE_FILTER_BICUBIC, 0, 0 },     { 64, 48, 31, 47, 4, MUSE_FILTER_BOX, 0, 0 },
};

/* 1 row, 3, 7, 8, 9, 64, all at once; both orders of passes */
static void test_push_sizes(void **state)
{
    (void)state;
    static const uint32_t steps[] = { 1, 3, 7, 8, 9, 64 };
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int order = 0; order < 2; order++) {
            MuseResizeSpec s = shapes[i];
            s.turn = order;
            uint8_t *src = noise(src_size(&s), (uint32_t)i), *a = filled(dst_size(&s)), *b = filled(dst_size(&s));
            assert_int_equal(resize_in(rt, &s, src, a, s.src_height), 0);
            for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
                memset(b, 0x5a, dst_size(&s));
                assert_int_equal(resize_in(rt, &s, src, b, steps[k]), 0);
                assert_memory_equal(a, b, dst_size(&s));
            }
            free(src);
            free(a);
            free(b);
        }
    muse_runtime_close(&rt);
}

static void transpose(uint8_t *dst, const uint8_t *src, uint32_t width, uint32_t height, int channels)
{
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) memcpy(dst + (x * height + y) * (size_t)channels, src + (y * width + x) * (size_t)channels, (size_t)channels);
}

/* resizing the transposed picture equals transposing the picture that was resized vertically first */
static void test_vertical_first_is_the_transpose(void **state)
{
    (void)state;
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    size_t orders_differ = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        MuseResizeSpec s = shapes[i], t = s;
        s.turn = 1;
        t.src_width = s.src_height, t.src_height = s.src_width, t.dst_width = s.dst_height, t.dst_height = s.dst_width;
        uint8_t *src = noise(src_size(&s), 77), *turned = filled(src_size(&s));
        uint8_t *a = filled(dst_size(&s)), *b = filled(dst_size(&s)), *c = filled(dst_size(&s));
        transpose(turned, src, s.src_width, s.src_height, s.channels);
        assert_int_equal(resize_in(rt, &s, src, a, 10), 0);
        assert_int_equal(resize_in(rt, &t, turned, b, 10), 0);
        transpose(c, b, t.dst_width, t.dst_height, s.channels);
        assert_memory_equal(a, c, dst_size(&s));
        s.turn = 0;
        assert_int_equal(resize_in(rt, &s, src, b, 10), 0);
        orders_differ += memcmp(a, b, dst_size(&s)) != 0;
        free(src), free(turned), free(a), free(b), free(c);
    }
    assert_true(orders_differ > 0);   /* else the order would not be tested */
    muse_runtime_close(&rt);
}

static void across_quads(const MuseResizeRows *rows, const MuseResizeAxis *axis) { muse_resize_across_quads_u8_c(rows, axis); }

static void down_quads(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index)
{
    muse_resize_down_quads_u8_c(dst, rows, n, axis, index);
}

static void quad(uint8_t *to, const uint8_t *rows, size_t stride, size_t n_rows, size_t n) { muse_resize_quad_u8_c(to, rows, stride, n_rows, n); }

/* A ring of quads gives the bytes of a ring of rows, on any CPU: kernels that are not the portable ones turn it on. */
static void test_quads(void **state)
{
    (void)state;
    static const MuseResizeSpec more[] = {
        { 37, 1, 12, 9, 3, MUSE_FILTER_BICUBIC, 0, 0 },  { 37, 2, 12, 1, 3, MUSE_FILTER_BICUBIC, 0, 0 },
        { 37, 90, 12, 89, 4, MUSE_FILTER_BICUBIC, 0, 6 }, { 37, 301, 12, 17, 1, MUSE_FILTER_BILINEAR, 0, 4 },
        { 37, 64, 64, 333, 3, MUSE_FILTER_BOX, 0, 2 },   { 37, 333, 64, 5, 3, MUSE_FILTER_BICUBIC, 0, 0 },
    };
    static const uint32_t threads[] = { 1, 2, 16 }, steps[] = { 1, 5, 16, 1000 };
    const size_t n_shapes = sizeof shapes / sizeof *shapes, n_more = sizeof more / sizeof *more;
    MuseRuntime *plain = open_runtime(1, MUSE_CPU_C, NULL);
    for (size_t t = 0; t < 3; t++) {
        MuseRuntime *rt = open_runtime(threads[t], MUSE_CPU_C, NULL);
        rt->ops.resize.across_quads_u8 = across_quads;
        rt->ops.resize.down_quads_u8 = down_quads;
        rt->ops.resize.quad_u8 = quad;
        for (size_t i = 0; i < 2 * (n_shapes + n_more); i++) {
            MuseResizeSpec s = i / 2 < n_shapes ? shapes[i / 2] : more[i / 2 - n_shapes];
            s.turn ^= i % 2;   /* MUSE_TURN_TRANSPOSE: the other order of passes */
            uint8_t *src = noise(src_size(&s), (uint32_t)i), *a = filled(dst_size(&s)), *b = filled(dst_size(&s));
            assert_int_equal(resize_in(plain, &s, src, a, 16), 0);
            for (size_t k = 0; k < 4; k++) {
                memset(b, 0x5a, dst_size(&s));
                assert_int_equal(resize_in(rt, &s, src, b, steps[k]), 0);
                assert_memory_equal(a, b, dst_size(&s));
            }
            free(src), free(a), free(b);
        }
        muse_runtime_close(&rt);
    }
    muse_runtime_close(&plain);
}

/* Halves make whole weights; a weight above 127 * 256 + 127 has none, and such an axis is left to other kernels. */
static void test_halves(void **state)
{
    (void)state;
    static const struct { uint32_t n_in, n_out, filter, precision; bool halves; } t[] = {
        { 4000, 912, 3, 0, true }, { 33, 100, 3, 0, true }, { 100, 50, 1, 0, true }, { 4000, 912, 3, 1, false },
        { 291, 68, 3, 0, false }, /* 32640 */ { 145, 34, 3, 0, false }, { 245, 61, 2, 0, false },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        MuseResizeAxis axis;
        assert_int_equal(muse_resize_axis_open(&axis, NULL, t[i].n_in, t[i].n_out, t[i].filter, t[i].precision,
                                               MUSE_RESIZE_GROUPED | MUSE_RESIZE_HALVES, NULL), 0);
        assert_int_equal(axis.halves != NULL, t[i].halves);
        int largest = 0;
        for (size_t k = 0; k < axis.n_out * axis.slots; k++) {
            if (axis.part[0][k] > largest) largest = axis.part[0][k];
            const int8_t *at = axis.halves ? axis.halves + k / 4 * 8 + k % 4 : NULL;
            if (at) assert_int_equal(at[0] * 256 + at[4], axis.part[0][k]);
        }
        if (t[i].precision == 0 && !t[i].halves) assert_true(largest > 32639);
        muse_resize_axis_close(&axis);
    }
    MuseRuntime *plain = open_runtime(1, MUSE_CPU_C, NULL), *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    static const MuseResizeSpec without[] = {   /* across, down, both */
        { 291, 100, 68, 40, 3, MUSE_FILTER_BICUBIC, 0, 0 }, { 100, 291, 40, 68, 3, MUSE_FILTER_BICUBIC, 0, 0 },
        { 145, 291, 34, 68, 4, MUSE_FILTER_BICUBIC, 0, 0 }, { 245, 100, 61, 40, 1, MUSE_FILTER_BILINEAR, 0, 0 },
    };
    for (size_t i = 0; i < 4; i++) {
        const MuseResizeSpec s = without[i];
        uint8_t *src = noise(src_size(&s), 3), *a = filled(dst_size(&s)), *b = filled(dst_size(&s));
        assert_int_equal(resize_in(plain, &s, src, a, 16), 0);
        assert_int_equal(resize_in(rt, &s, src, b, 16), 0);
        assert_memory_equal(a, b, dst_size(&s));
        free(src), free(a), free(b);
    }
    muse_runtime_close(&plain);
    muse_runtime_close(&rt);
}

/* The shift of TORCH tables is the largest that fits, also where neither the edges nor the middle hold the largest weight. */
static void test_shift(void **state)
{
    (void)state;
    static const struct { uint32_t n_in, n_out, filter; } t[] = {
        { 124, 68, 2 }, { 268, 135, 3 }, { 182, 94, 1 }, { 1964, 1056, 2 }, { 4000, 912, 3 }, { 9, 40, 3 },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        MuseResizeAxis axis;
        assert_int_equal(muse_resize_axis_open(&axis, NULL, t[i].n_in, t[i].n_out, t[i].filter, MUSE_PRECISION_TORCH, 0, NULL), 0);
        int largest = 0;
        for (size_t k = 0; k < axis.n_out * axis.slots; k++)
            if (axis.part[0][k] > largest) largest = axis.part[0][k];
        assert_true(largest >= 1 << 14);   /* one bit more would not fit int16 */
        muse_resize_axis_close(&axis);
    }
}

/* the last ones are large enough for the team: a round's work is shared out from 2^19 multiply-adds a thread on */
static const MuseResizeSpec team_shapes[] = {
    { 4000, 130, 2000, 65, 3, MUSE_FILTER_BICUBIC, 0, 0 }, { 4000, 130, 2000, 65, 3, MUSE_FILTER_BICUBIC, 1, 1 },
    { 9000, 200, 3000, 30, 1, MUSE_FILTER_BICUBIC, 0, 0 },
};

static void test_threads_and_levels_agree(void **state)
{
    (void)state;
    const size_t n_shapes = sizeof shapes / sizeof *shapes, n_team = sizeof team_shapes / sizeof *team_shapes;
    MuseRuntime *one = open_runtime(1, MUSE_CPU_C, NULL);
    static const uint32_t threads[] = { 1, 2, 3, 5, 16 };
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
        MuseRuntime *many = open_runtime(threads[k], MUSE_CPU_AUTO, NULL);
        for (size_t i = 0; i < n_shapes + n_team; i++)
            for (int order = 0; order < 2; order++) {
                MuseResizeSpec s = i < n_shapes ? shapes[i] : team_shapes[i - n_shapes];
                s.turn = order;
                uint8_t *src = noise(src_size(&s), 5), *a = filled(dst_size(&s)), *b = filled(dst_size(&s));
                assert_int_equal(resize_in(one, &s, src, a, 8), 0);
                assert_int_equal(resize_in(many, &s, src, b, k & 1 ? s.src_height : 5), 0);
                assert_memory_equal(a, b, dst_size(&s));
                free(src), free(a), free(b);
            }
        muse_runtime_close(&many);
    }
    muse_runtime_close(&one);
}

/* dst rows apart, src rows apart: nothing between them is touched or read as a sample */
static void test_strides(void **state)
{
    (void)state;
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const MuseResizeSpec s = shapes[i];
        const size_t sb = (size_t)s.src_width * (size_t)s.channels, db = (size_t)s.dst_width * (size_t)s.channels, ss = sb + 7, ds = db + 5;
        uint8_t *src = noise(ss * s.src_height, 9), *tight = filled(src_size(&s)), *a = filled(dst_size(&s)), *b = filled(ds * s.dst_height);
        for (size_t y = 0; y < s.src_height; y++) memcpy(tight + y * sb, src + y * ss, sb);
        assert_int_equal(resize_in(rt, &s, tight, a, 8), 0);
        MuseResizer *r = NULL;
        assert_int_equal(muse_resizer_open(&r, rt, &s, b, ds, NULL), 0);
        assert_int_equal(muse_resizer_push(r, src, ss, s.src_height, NULL), 0);
        muse_resizer_close(&r);
        for (size_t y = 0; y < s.dst_height; y++) {
            assert_memory_equal(b + y * ds, a + y * db, db);
            for (size_t x = db; x < ds; x++) assert_int_equal(b[y * ds + x], 0xa5);
        }
        free(src), free(tight), free(a), free(b);
    }
    muse_runtime_close(&rt);
}

/* flat pictures stay flat whatever the ratio: weights of every window sum to one within rounding */
static void test_extreme_ratios(void **state)
{
    (void)state;
    static const MuseResizeSpec wide[] = {
        { 10000, 3, 1, 1, 3, MUSE_FILTER_BICUBIC, 0, 0 }, { 3, 10000, 1, 1, 3, MUSE_FILTER_BICUBIC, 0, 0 },
        { 10000, 3, 1, 5, 1, MUSE_FILTER_BILINEAR, 1, 0 }, { 65500, 1, 2, 1, 4, MUSE_FILTER_BOX, 0, 0 },
        { 1, 1, 3000, 2, 3, MUSE_FILTER_BICUBIC, 0, 0 },  { 2, 1, 1, 4000, 1, MUSE_FILTER_BICUBIC, 1, 0 },
    };
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        uint8_t *src = malloc(src_size(&wide[i])), *dst = filled(dst_size(&wide[i]));
        assert_non_null(src);
        memset(src, 200, src_size(&wide[i]));
        assert_int_equal(resize_in(rt, &wide[i], src, dst, 100), 0);
        for (size_t k = 0; k < dst_size(&wide[i]); k++)
            if (abs(dst[k] - 200) > 1) fail_msg("shape %zu: byte %zu is %d", i, k, dst[k]);
        free(src), free(dst);
    }
    muse_runtime_close(&rt);
}

/* Where every weight is 0.5 and rounds up to 1, sums come nearest to 2^31. The exact result is twice too large (the
 * definition's rounding): it must be clamped. */
static void test_largest_sums(void **state)
{
    (void)state;
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    const MuseResizeSpec across = { 1 << 23, 1, 1, 1, 1, MUSE_FILTER_BOX, 1, 0 }, down = { 1, 1 << 23, 1, 1, 1, MUSE_FILTER_BOX, 1, 0 };
    uint8_t *src = malloc(1 << 23), dst = 0;
    assert_non_null(src);
    memset(src, 255, 1 << 23);
    assert_int_equal(resize_in(rt, &across, src, &dst, 1), 0);
    assert_int_equal(dst, 255);
    dst = 0;
    assert_int_equal(resize_in(rt, &down, src, &dst, 1 << 20), 0);
    assert_int_equal(dst, 255);
    free(src);
    muse_runtime_close(&rt);
}

/* the formula of tokenizers/image/resize.h, and tables */
static void test_memory_bound(void **state)
{
    (void)state;
    static const MuseResizeSpec s[] = { { 4000, 3000, 912, 672, 3, MUSE_FILTER_BICUBIC, 0, 0 }, { 4000, 3000, 912, 672, 3, MUSE_FILTER_BICUBIC, 0, 1 } };
    uint8_t *src = calloc(1, src_size(&s[0])), *dst = filled(dst_size(&s[0]));
    assert_non_null(src);
    for (int i = 0; i < 2; i++) {
        Meter meter = { 0 };
        MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, &meter);
        const size_t before = meter.live;
        meter.peak = before;
        assert_int_equal(resize_in(rt, &s[i], src, dst, 500), 0);
        assert_int_equal(meter.live, before);
        const size_t S = 4000 * 3, D = 912 * 3, T = 2 * 2 * 3000 / 672 + 2, B = 16;
        const size_t rows = i == 0 ? (T + B - 1 + 6) * D + 16 * S : (T + B - 1 + 6) * S + 16 * S + B * S;
        const size_t tables = (912 + 672) * (24 * 4 + 8) + 2 * (T + B) * sizeof(void *) + 4096;
        if (meter.peak - before > rows + tables) fail_msg("%zu bytes at peak, %zu allowed", meter.peak - before, rows + tables);
        muse_runtime_close(&rt);
        assert_int_equal(meter.live, 0);
    }
    free(src), free(dst);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        const MuseResizeSpec s = { 30, 20, 11, 7, 3, MUSE_FILTER_BICUBIC, MUSE_PRECISION_PILLOW, order };
        uint8_t *src = noise(src_size(&s), 1), *dst = filled(dst_size(&s));
        Meter meter = { 0 };
        MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, &meter);
        const size_t before = meter.live;
        int rc = MUSE_ERR_NOMEM, refused = 0;
        for (long n = 1; rc != 0; n++, refused++) {
            assert_true(n < 100);
            meter.fail_at = meter.calls + n;
            rc = resize_in(rt, &s, src, dst, 8);
            assert_true(rc == 0 || rc == MUSE_ERR_NOMEM);
            assert_int_equal(meter.live, before);
        }
        assert_true(refused > 8);
        meter.fail_at = 0;
        muse_runtime_close(&rt);
        free(src), free(dst);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const MuseResizeSpec bad[] = {
        { 0, 1, 1, 1, 3, 3, 0, 0 }, { 1, 0, 1, 1, 3, 3, 0, 0 }, { 1, 1, 0, 1, 3, 3, 0, 0 }, { 1, 1, 1, 0, 3, 3, 0, 0 }, { 1, 1, 1, 1, 2, 3, 0, 0 },
        { 1, 1, 1, 1, 0, 3, 0, 0 }, { 1, 1, 1, 1, -3, 3, 0, 0 }, { 1, 1, 1, 1, 3, 0, 0, 0 }, { 1, 1, 1, 1, 3, 4, 0, 0 }, { 1, 1, 1, 1, 3, 3, 2, 0 },
    };
    MuseRuntime *rt = open_runtime(1, MUSE_CPU_AUTO, NULL);
    uint8_t px[64] = { 0 };
    MuseResizer *r = NULL;
    MuseError err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = (MuseResizer *)(void *)px;
        assert_int_equal(muse_resizer_open(&r, rt, &bad[i], px, 0, &err), MUSE_ERR_ARG);
        assert_null(r);
        assert_true(err.text[0]);
    }
    const MuseResizeSpec good = { 2, 2, 3, 3, 3, MUSE_FILTER_BICUBIC, 0, 0 };
    assert_int_equal(muse_resizer_open(&r, rt, &good, px, 8, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_resizer_open(&r, rt, &good, px, 0, &err), 0);
    assert_int_equal(muse_resizer_push(r, px, 5, 1, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_resizer_push(r, px, 0, 3, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_resizer_push(r, px, 0, 1, &err), 0);
    assert_int_equal(muse_resizer_push(r, px, 0, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_resizer_push(r, px, 0, 1, &err), 0);
    assert_int_equal(muse_resizer_push(r, px, 0, 0, &err), 0);
    assert_int_equal(muse_resizer_push(r, px, 0, 1, &err), MUSE_ERR_ARG);
    muse_resizer_close(&r);
    muse_resizer_close(&r);
    muse_resizer_close(NULL);
    muse_runtime_close(&rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition_arrays), cmocka_unit_test(test_stored_cases), cmocka_unit_test(test_precisions_are_close),
        cmocka_unit_test(test_push_sizes), cmocka_unit_test(test_vertical_first_is_the_transpose),
        cmocka_unit_test(test_quads), cmocka_unit_test(test_halves), cmocka_unit_test(test_shift),
        cmocka_unit_test(test_threads_and_levels_agree), cmocka_unit_test(test_strides), cmocka_unit_test(test_extreme_ratios),
        cmocka_unit_test(test_largest_sums), cmocka_unit_test(test_memory_bound), cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
