/* SPDX-License-Identifier: Apache-2.0 */
/* Picture files: every good one against Pillow's pixels, every refused one against its code, cut and flipped ones against
 * crashes, reference cases against the reference's resized pixels and patches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/image_help.h"

typedef struct Good {
    char     file[64], format[16], drop[80], over[80];
    uint32_t width, height, orientation, bits, channels;
    int      alpha, cmyk;
} Good;

typedef void GoodFn(const Good *g, const char *path);

/* fn for each line of good/expect.csv */
static void for_each_good(GoodFn *fn)
{
    Bytes table = read_file(data_path("image/good/%s", "expect.csv"));
    size_t n = 0;
    for (char *line = strtok((char *)table.data, "\n"); line; line = strtok(NULL, "\n")) {
        Good g;
        if (sscanf(line, "%63[^,],%15[^,],%u,%u,%u,%u,%u,%d,%d,%79[^,],%79s", g.file, g.format, &g.width, &g.height, &g.orientation, &g.bits,
                   &g.channels, &g.alpha, &g.cmyk, g.drop, g.over) != 11)
            continue;
        char path[4096];
        snprintf(path, sizeof path, "%s", data_path("image/good/%s", g.file));
        fn(&g, path);
        n++;
    }
    assert_true(n > 140);
    free(table.data);
}

static void check_rgb(const Good *g, const MuseImage *img)
{
    static const uint8_t background[3] = { 10, 200, 60 };
    char hex[65];
    for (int alpha = MUSE_ALPHA_OVER; alpha <= MUSE_ALPHA_DROP; alpha++) {
        uint8_t *rgb = read_rgb(img, alpha, background);
        hash_hex(rgb, (size_t)g->width * g->height * 3, hex);
        free(rgb);
        if (strcmp(hex, alpha == MUSE_ALPHA_OVER ? g->over : g->drop) != 0) fail_msg("%s: pixels differ, alpha rule %d", g->file, alpha);
    }
}

static void check_good(const Good *g, const char *path)
{
    for (uint32_t keep = MUSE_KEEP_ENCODED; keep <= MUSE_KEEP_PIXELS; keep++) {
        MuseImageParams params;
        MuseError err = { 0 };
        MuseImageInfo info;
        MuseImage *img;
        muse_image_params_init(&params);
        params.keep = keep;
        if (muse_image_open_file(&img, NULL, path, &params, &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(muse_image_info(img, &info), 0);
        if (info.width != g->width || info.height != g->height || info.orientation != g->orientation || info.bits != g->bits ||
            info.channels != g->channels || info.has_alpha != g->alpha || info.is_cmyk != g->cmyk || strcmp(info.format, g->format) != 0)
            fail_msg("%s: info says %s %ux%u orientation %u bits %u channels %u alpha %d cmyk %d", g->file, info.format, info.width,
                     info.height, info.orientation, info.bits, info.channels, info.has_alpha, info.is_cmyk);
        assert_true(info.source.x0 == 0 && info.source.y0 == 0 && info.source.x1 == g->width && info.source.y1 == g->height);
        check_rgb(g, img);
        muse_image_close(&img);
        assert_null(img);
    }
}

static void test_good(void **state)
{
    (void)state;
    for_each_good(check_good);
}

/* Regions of every file: equal to the same part of the whole. */
static void check_regions(const Good *g, const char *path)
{
    static const double parts[][4] = { { 0, 0, 1, 1 }, { 0, 0, 0.5, 0.4 }, { 0.3, 0.2, 0.7, 0.9 }, { 0.6, 0.7, 1, 1 }, { 0.99, 0, 1, 1 }, { 0, 0.99, 1, 1 } };
    MuseImage *img, *region;
    assert_int_equal(muse_image_open_file(&img, NULL, path, NULL, NULL), 0);
    uint8_t *whole = read_rgb(img, MUSE_ALPHA_DROP, NULL);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const MuseRect r = { parts[i][0] * g->width, parts[i][1] * g->height, parts[i][2] * g->width, parts[i][3] * g->height };
        MuseImageInfo info;
        assert_int_equal(muse_image_region(&region, img, r, NULL), 0);
        muse_image_info(region, &info);
        assert_true(info.source.x0 <= r.x0 && info.source.y0 <= r.y0 && info.source.x1 >= r.x1 && info.source.y1 >= r.y1);
        uint8_t *part = read_rgb(region, MUSE_ALPHA_DROP, NULL);
        for (size_t y = 0; y < info.height; y++)
            if (memcmp(part + y * info.width * 3, whole + ((y + (size_t)info.source.y0) * g->width + (size_t)info.source.x0) * 3, info.width * 3))
                fail_msg("%s: region %zu differs at row %zu", g->file, i, y);
        free(part);
        muse_image_close(&region);
    }
    free(whole);
    muse_image_close(&img);
}

static void test_regions(void **state)
{
    (void)state;
    for_each_good(check_regions);
}

static int read_all(const MuseImage *img, MuseError *err)
{
    MuseImageInfo info;
    muse_image_info(img, &info);
    uint8_t *rgb = malloc((size_t)info.width * info.height * 3);
    assert_non_null(rgb);
    const int rc = muse_image_read_rgb(img, MUSE_ALPHA_DROP, NULL, rgb, 0, err);
    free(rgb);
    return rc;
}

/* Open and read; the status of each. at_open alone if open refuses. */
static void try_file(const char *path, uint32_t keep, int *at_open, int *at_read, MuseError *err)
{
    MuseImageParams params;
    MuseImage *img;
    muse_image_params_init(&params);
    params.keep = keep;
    *at_open = *at_read = muse_image_open_file(&img, NULL, path, &params, err);
    if (*at_open == 0) *at_read = read_all(img, err);
    muse_image_close(&img);
}

static void test_bad(void **state)
{
    (void)state;
    Bytes table = read_file(data_path("bad/image/%s", "codes.csv"));
    size_t n = 0;
    for (char *line = strtok((char *)table.data, "\n"); line; line = strtok(NULL, "\n")) {
        char file[64], path[4096];
        int at_open, at_read, got_open, got_read;
        if (sscanf(line, "%63[^,],%d,%d", file, &at_open, &at_read) != 3) continue;
        snprintf(path, sizeof path, "%s", data_path("bad/image/%s", file));
        MuseError err = { 0 };
        try_file(path, MUSE_KEEP_ENCODED, &got_open, &got_read, &err);
        if (got_open != at_open || got_read != at_read || err.code != got_read || !strstr(err.text, file))
            fail_msg("%s: open %d, read %d, not %d and %d (%s)", file, got_open, got_read, at_open, at_read, err.text);
        try_file(path, MUSE_KEEP_PIXELS, &got_open, &got_read, &err);   /* open decodes */
        if (got_open != at_read) fail_msg("%s: open with kept pixels %d, not %d (%s)", file, got_open, at_read, err.text);
        n++;
    }
    assert_true(n > 50);
    free(table.data);
}

/* A file too short for the size it states is found out before memory is taken for that size. */
static void test_lying_sizes(void **state)
{
    (void)state;
    static const char *const files[] = { "jpeg-16000.jpg", "jpeg-progressive-16000.jpg", "png-wide.png", "png-wide-interlaced.png" };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        MuseError err = { 0 };
        int at_open, at_read;
        MuseImage *img;
        Meter meter = { 0 };
        MuseRuntime *rt = open_runtime(1, &meter);
        assert_int_equal(muse_image_open_file(&img, rt, data_path("bad/image/%s", files[i]), NULL, &err), 0);
        const MuseImageRule rule = gemma_rule();
        MusePatches *p;
        assert_int_equal(muse_image_patches(&p, img, &rule, 70, NULL, NULL, &err), MUSE_ERR_FORMAT);
        assert_non_null(strstr(err.text, "can't hold"));
        assert_true(meter.peak < 4 << 20);
        muse_image_close(&img);
        muse_runtime_close(&rt);
        try_file(data_path("bad/image/%s", files[i]), MUSE_KEEP_ENCODED, &at_open, &at_read, &err);
        assert_non_null(strstr(err.text, "can't hold"));
    }
}

static void test_no_file(void **state)
{
    (void)state;
    MuseImage *img;
    MuseError err;
    assert_int_equal(muse_image_open_file(&img, NULL, data_path("%s", "image"), NULL, &err), MUSE_ERR_IO);
    assert_int_equal(muse_image_open_file(&img, NULL, data_path("%s", "no such file"), NULL, &err), MUSE_ERR_IO);
    assert_null(img);
    assert_int_equal(muse_image_open_memory(&img, NULL, NULL, 0, NULL, &err), MUSE_ERR_FORMAT);
}

/* A copy of exact size: one byte too far is a report under the sanitizers. */
static int try_bytes(const uint8_t *bytes, size_t size)
{
    MuseImageParams params;
    MuseImage *img;
    muse_image_params_init(&params);
    params.max_pixels = 1 << 16;
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    if (size) memcpy(exact, bytes, size);
    params.borrow = 1;
    int rc = muse_image_open_memory(&img, NULL, exact, size, &params, NULL);
    if (rc == 0) rc = read_all(img, NULL);
    muse_image_close(&img);
    free(exact);
    return rc;
}

/* Every cut of one file of each kind is an error, except where only what follows the picture is cut. */
static void test_truncated(void **state)
{
    (void)state;
    static const struct { const char *file; size_t spare; } files[] = {
        { "jpeg-420.jpg", 0 }, { "jpeg-progressive-420.jpg", 0 }, { "jpeg-cmyk.jpg", 0 }, { "jpeg-grey.jpg", 0 }, { "png-rgba8.png", 0 },
        { "png-palette4-trns-interlaced.png", 0 }, { "png-grey1.png", 0 }, { "webp-lossy.webp", 0 }, { "webp-lossless-alpha.webp", 0 },
        { "webp-lossy-alpha.webp", 0 }, { "pnm-p6-255.ppm", 0 }, { "pnm-p5-65535.pgm", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        Bytes b = read_file(data_path("image/good/%s", files[i].file));
        assert_int_equal(try_bytes(b.data, b.size), 0);
        for (size_t n = 0; n < b.size; n += n < 700 ? 1 : 37)
            if (try_bytes(b.data, n) >= 0) fail_msg("%s is taken when cut at byte %zu of %zu", files[i].file, n, b.size);
        if (try_bytes(b.data, b.size - 1) >= 0) fail_msg("%s is taken without its last byte", files[i].file);
        free(b.data);
    }
}

/* Any status will do; nothing may crash or be read outside. */
static void check_flips(const Good *g, const char *path)
{
    (void)g;
    Bytes b = read_file(path);
    uint32_t seed = 1;
    for (int i = 0; i < 60; i++) {
        seed = seed * 1664525u + 1013904223u;
        const size_t at = (i % 2 ? seed >> 8 : (seed >> 8) % 64) % b.size;
        const uint8_t old = b.data[at];
        b.data[at] = (uint8_t)(i % 3 ? old ^ 1u << (seed & 7) : seed >> 16);
        try_bytes(b.data, b.size);
        b.data[at] = old;
    }
    free(b.data);
}

static void test_flipped(void **state)
{
    (void)state;
    for_each_good(check_flips);
}

static void check_reference(const char *name, const MuseImageRule *rule, const MuseImagePlan *want, bool patches)
{
    MuseImage *img, *resized;
    MusePatches *p;
    MuseError err = { 0 };
    char file[96];
    snprintf(file, sizeof file, "%s.png", name);
    if (muse_image_open_file(&img, NULL, data_path("image/golden/%s", file), NULL, &err) < 0) fail_msg("%s", err.text);
    if (muse_image_patches(&p, img, rule, MUSE_BUDGET_DEFAULT, NULL, NULL, &err) < 0) fail_msg("%s", err.text);
    const MuseImagePlan *plan = muse_patches_plan(p);
    if (plan->width != want->width || plan->height != want->height || plan->used_width != want->used_width || plan->used_height != want->used_height)
        fail_msg("%s: plan %ux%u to %ux%u", name, plan->width, plan->height, plan->used_width, plan->used_height);
    snprintf(file, sizeof file, plan->resized ? "%s.resized.png" : "%s.png", name);
    assert_int_equal(muse_image_open_file(&resized, NULL, data_path("image/golden/%s", file), NULL, &err), 0);
    uint8_t *rgb = read_rgb(resized, MUSE_ALPHA_DROP, NULL);
    if (memcmp(rgb, muse_patches_rgb(p), (size_t)plan->used_width * plan->used_height * 3)) fail_msg("%s: resized pixels differ", name);
    if (patches) {
        const size_t n = (size_t)plan->n_patches * plan->unit * plan->unit * 3;
        float *got = malloc(n * sizeof *got);
        assert_int_equal(muse_patches_read(p, 0, plan->n_patches, got), 0);
        snprintf(file, sizeof file, "%s.patches.f32", name);
        Bytes b = read_file(data_path("image/golden/%s", file));
        assert_int_equal(b.size, n * sizeof *got);
        for (size_t i = 0; i < n; i++) {
            float v;
            memcpy(&v, b.data + i * sizeof v, sizeof v);
            if (!(got[i] - v <= 1e-7f && v - got[i] <= 1e-7f)) fail_msg("%s: value %zu is %g, not %g", name, i, (double)got[i], (double)v);
        }
        free(b.data);
        free(got);
    }
    free(rgb);
    muse_patches_close(&p);
    muse_image_close(&resized);
    muse_image_close(&img);
}

static void test_reference(void **state)
{
    (void)state;
    Bytes table = read_file(data_path("image/golden/%s", "cases.csv"));
    size_t n = 0;
    for (char *line = strtok((char *)table.data, "\n"); line; line = strtok(NULL, "\n")) {
        char name[64];
        uint32_t unit, patches;
        MuseImagePlan want = { 0 };
        if (sscanf(line, "%63[^,],%u,%u,%u,%u,%u,%u", name, &unit, &want.width, &want.height, &want.used_width, &want.used_height, &patches) != 7)
            continue;
        const MuseImageRule rule = fill_rule(unit, 70);
        check_reference(name, &rule, &want, patches);
        n++;
    }
    assert_int_equal(n, 5);
    free(table.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_regions), cmocka_unit_test(test_bad), cmocka_unit_test(test_lying_sizes),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped), cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
