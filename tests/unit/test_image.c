/* SPDX-License-Identifier: Apache-2.0 */
/* The image tokenizer's calls: arguments, limits, keeping, references, plans, patches in every orientation, cancelling,
 * failing allocations, the PNG writer. Picture files: test_image_files.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <unistd.h>

#include "tests/unit/image_help.h"
#include "tokenizers/image/exif.h"
#include "tokenizers/image/row_queue.h"

static uint8_t *noise(size_t n, uint32_t seed)
{
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)(seed >> 24);
    }
    return p;
}

static MuseImage *wrap(const void *pixels, uint32_t width, uint32_t height, size_t stride, int layout)
{
    MuseImage *img;
    MuseError err = { 0 };
    if (muse_image_open_pixels(&img, NULL, pixels, width, height, stride, layout, NULL, &err) < 0) fail_msg("%s", err.text);
    return img;
}

static MusePatches *cut(const MuseImage *img, const MuseImageRule *rule, uint32_t budget)
{
    MusePatches *p;
    MuseError err = { 0 };
    if (muse_image_patches(&p, img, rule, budget, NULL, NULL, &err) < 0) fail_msg("%s", err.text);
    return p;
}

static size_t rgb_bytes(const MusePatches *p)
{
    const MuseImagePlan *plan = muse_patches_plan(p);
    return (size_t)plan->n_patches * plan->unit * plan->unit * 3;
}

/* ---- plans */

static void test_plan_sizes(void **state)
{
    (void)state;
    Bytes table = read_file(data_path("image/golden/%s", "sizes.csv"));
    const MuseImageRule rule = gemma_rule();
    size_t n = 0;
    for (char *line = strtok((char *)table.data, "\n"); line; line = strtok(NULL, "\n")) {
        uint32_t w, h, budget, tw, th;
        if (sscanf(line, "%u,%u,%u,%u,%u", &w, &h, &budget, &tw, &th) != 5) continue;
        MuseImagePlan p;
        const int rc = muse_image_plan(&rule, w, h, budget, &p, NULL);
        if (tw == 0 ? rc != MUSE_ERR_LIMIT : rc != 0 || p.used_width != tw || p.used_height != th)
            fail_msg("%ux%u at %u: %d, %ux%u, not %ux%u", w, h, budget, rc, p.used_width, p.used_height, tw, th);
        n++;
        if (rc < 0) continue;
        assert_int_equal(p.n_patches, p.grid_width * p.grid_height);
        assert_true(p.n_patches <= budget && p.budget == budget && p.unit == 48 && p.width == w && p.height == h);
        assert_int_equal(p.resized, p.used_width != w || p.used_height != h);
    }
    assert_true(n > 150);
    free(table.data);
}

/* Gemma 4 spec 3.1 */
static void test_plan_spec(void **state)
{
    (void)state;
    static const uint32_t rows[][5] = {
        { 512, 512, 280, 768, 256 }, { 640, 480, 70, 432, 63 }, { 1920, 1080, 1120, 2112, 1100 }, { 3000, 4000, 280, 672, 266 },
        { 960, 672, 280, 960, 280 }, { 5000, 20, 70, 3360, 70 }, { 5000, 20, 1120, 25392, 1058 }, { 10000, 10, 280, 13440, 280 },
        { 10000, 10, 1120, 50784, 1058 },
    };
    const MuseImageRule rule = gemma_rule();
    MuseImagePlan p;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(muse_image_plan(&rule, rows[i][0], rows[i][1], rows[i][2], &p, NULL), 0);
        assert_int_equal(p.used_width, rows[i][3]);
        assert_int_equal(p.n_patches, rows[i][4]);
    }
    assert_int_equal(muse_image_plan(&rule, 960, 672, MUSE_BUDGET_DEFAULT, &p, NULL), 0);
    assert_true(p.budget == 280 && !p.resized && p.scale_x == 1 && p.scale_y == 1);
}

/* Largest sides whose squares fit: no picture loses a row that it has room for. Square ones of 99 pixels or 130 do under FILL. */
static void test_plan_exact(void **state)
{
    (void)state;
    static const uint32_t budgets[] = { 64, 144, 280, 1024 };
    MuseImageRule rule = fill_rule(8, 64);
    MuseImagePlan p;
    assert_int_equal(muse_image_plan(&rule, 99, 99, 64, &p, NULL), 0);
    assert_int_equal(p.n_patches, 49);
    rule.kind = MUSE_IMAGE_FILL_EXACT;
    for (size_t i = 0; i < COUNT_OF(budgets); i++)
        for (uint64_t w = 1; w < 2000; w += w / 9 + 1)
            for (uint64_t h = w / 3 + 1; h < 3 * w; h += h / 7 + 1) {
                const uint64_t b = budgets[i];
                assert_int_equal(muse_image_plan(&rule, (uint32_t)w, (uint32_t)h, (uint32_t)b, &p, NULL), 0);
                const uint64_t x = p.grid_width, y = p.grid_height;
                assert_true(x * x * h <= b * w && (x + 1) * (x + 1) * h > b * w);
                assert_true(y * y * w <= b * h && (y + 1) * (y + 1) * w > b * h);
            }
    assert_int_equal(muse_image_plan(&rule, 2580480, 1, 64, &p, NULL), 0);
    assert_true(p.grid_width == 64 && p.grid_height == 1);
    assert_int_equal(muse_image_plan(&rule, 7, 7, 1, &p, NULL), 0);
    assert_int_equal(p.n_patches, 1);
}

/* A limit on the sides, here 12 patches. By hand: 4000 x 100 at 144 would be 75 x 1; 20:1 at 144 would be 53 x 2, and 12 x 12 / 20. */
static void test_plan_sides(void **state)
{
    (void)state;
    static const struct { uint32_t w, h, budget, x, y; } rows[] = {
        { 64, 64, 144, 12, 12 }, { 64, 64, 1024, 12, 12 }, { 300, 100, 64, 12, 4 }, { 300, 100, 1024, 12, 4 }, { 100, 300, 1024, 4, 12 }, { 4000, 100, 144, 12, 1 },
        { 100, 4000, 144, 1, 12 }, { 2000, 100, 144, 12, 1 }, { 20000, 3, 1024, 12, 1 }, { 1, 4294967295u, 1024, 1, 12 }, { 100, 90, 64, 8, 7 },
    };
    MuseImageRule rule = fill_rule(8, 64);
    MuseImagePlan p;
    rule.kind = MUSE_IMAGE_FILL_EXACT;
    rule.max_width = rule.max_height = 12 * 8 + 7;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(muse_image_plan(&rule, rows[i].w, rows[i].h, rows[i].budget, &p, NULL), 0);
        assert_true(p.grid_width == rows[i].x && p.grid_height == rows[i].y && p.n_patches == rows[i].x * rows[i].y);
    }
    rule.max_height = 0;
    assert_int_equal(muse_image_plan(&rule, 100, 300, 1024, &p, NULL), 0);
    assert_true(p.grid_width == 12 && p.grid_height == 36);
    rule.max_width = 7;
    assert_int_equal(muse_image_plan(&rule, 1, 1, 64, &p, NULL), MUSE_ERR_ARG);
}

static void test_plan_auto(void **state)
{
    (void)state;
    static const uint32_t rows[][3] = {   /* 70 patches of 48 pixels are 161280 pixels, 1120 are 2580480 */
        { 1, 1, 70 }, { 400, 403, 70 }, { 401, 403, 140 }, { 960, 672, 280 }, { 961, 672, 560 }, { 1920, 1080, 1120 }, { 2580480, 1, 1120 },
        { 4000, 3000, 1120 }, { 4294967295u, 4294967295u, 1120 },
    };
    MuseImageRule rule = gemma_rule();
    MuseImagePlan p;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(muse_image_plan(&rule, rows[i][0], rows[i][1], MUSE_BUDGET_AUTO, &p, NULL), 0);
        assert_int_equal(p.budget, rows[i][2]);
    }
    rule = fill_rule(8, 64);
    assert_int_equal(muse_image_plan(&rule, 80, 80, MUSE_BUDGET_AUTO, &p, NULL), 0);
    assert_true(p.budget == 100 && !p.resized);
    assert_int_equal(muse_image_plan(&rule, 81, 80, MUSE_BUDGET_AUTO, &p, NULL), 0);
    assert_int_equal(p.budget, 102);
    assert_int_equal(muse_image_plan(&rule, 100000, 100000, MUSE_BUDGET_AUTO, &p, NULL), 0);
    assert_int_equal(p.budget, 65536);
    rule = fill_rule(48, 64);
    for (uint32_t n = 1; n < 3000; n++) {   /* budget 1 takes every square, however the product rounds */
        assert_int_equal(muse_image_plan(&rule, n, n, 1, &p, NULL), 0);
        assert_true(p.grid_width == 1 && p.grid_height == 1);
    }
}

static void test_plan_fuyu(void **state)
{
    (void)state;
    static const uint32_t rows[][6] = {   /* size, used, grid; int(h s) and int(w s) in double as in spec 3 */
        { 1920, 1080, 1920, 1080, 64, 36 }, { 300, 300, 300, 300, 10, 10 }, { 301, 29, 301, 29, 11, 1 }, { 1, 1, 1, 1, 1, 1 },
        { 3840, 2160, 1920, 1080, 64, 36 }, { 4000, 3000, 1440, 1080, 48, 36 }, { 3000, 4000, 810, 1080, 27, 36 }, { 1921, 100, 1920, 99, 64, 4 },
    };
    const MuseImageRule rule = fuyu_rule();
    MuseImagePlan p;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(muse_image_plan(&rule, rows[i][0], rows[i][1], MUSE_BUDGET_DEFAULT, &p, NULL), 0);
        if (p.used_width != rows[i][2] || p.used_height != rows[i][3] || p.grid_width != rows[i][4] || p.grid_height != rows[i][5])
            fail_msg("%ux%u: %ux%u, grid %ux%u", rows[i][0], rows[i][1], p.used_width, p.used_height, p.grid_width, p.grid_height);
        assert_int_equal(p.budget, 0);
    }
    assert_int_equal(muse_image_plan(&rule, 1000000, 1, MUSE_BUDGET_DEFAULT, &p, NULL), MUSE_ERR_LIMIT);
    assert_int_equal(muse_image_plan(&rule, 10, 10, 70, &p, NULL), MUSE_ERR_ARG);
}

static void test_plan_rects(void **state)
{
    (void)state;
    MuseImageRule rule = gemma_rule();
    MuseImagePlan p;
    assert_int_equal(muse_image_plan(&rule, 4000, 3000, 280, &p, NULL), 0);
    MuseRect r = muse_image_plan_rect(&p, 0, 0);
    assert_true(r.x0 == 0 && r.y0 == 0 && r.x1 == 48 * 4000.0 / 912 && r.y1 == 48 * 3000.0 / 672);
    r = muse_image_plan_rect(&p, 18, 13);
    assert_true(r.x1 == 4000 && r.y1 == 3000);
    assert_true(p.scale_x == 912 / 4000.0 && p.scale_y == 672 / 3000.0);
    for (uint32_t g = 0; g + 1 < p.grid_width; g++)
        assert_true(muse_image_plan_rect(&p, g, 0).x1 == muse_image_plan_rect(&p, g + 1, 0).x0);
    rule = fuyu_rule();
    assert_int_equal(muse_image_plan(&rule, 301, 29, 0, &p, NULL), 0);
    r = muse_image_plan_rect(&p, 10, 0);
    assert_true(r.x0 == 300 && r.x1 == 301 && r.y0 == 0 && r.y1 == 29);   /* padding is no part of the original */
    r = muse_image_plan_rect(&p, 99, 99);
    assert_true(r.x0 == 301 && r.x1 == 301 && r.y0 == 29 && r.y1 == 29);
}

static void test_plan_arguments(void **state)
{
    (void)state;
    MuseImagePlan p;
    MuseError err;
    MuseImageRule rule = gemma_rule();
    static const uint32_t budgets[] = { 1, 69, 71, 1121, 65537, 0xfffffffe };
    for (size_t i = 0; i < COUNT_OF(budgets); i++) {
        assert_int_equal(muse_image_plan(&rule, 100, 100, budgets[i], &p, &err), MUSE_ERR_ARG);
        assert_non_null(strstr(err.text, "70, 140, 280, 560, 1120"));
    }
    assert_int_equal(muse_image_plan(&rule, 0, 1, 70, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_plan(&rule, 1, 0, 70, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_plan(NULL, 1, 1, 70, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_plan(&rule, 1, 1, 70, NULL, &err), MUSE_ERR_ARG);
#define REFUSED(member, value, code) \
    do { MuseImageRule r = gemma_rule(); r.member = (value); assert_int_equal(muse_image_plan(&r, 9, 9, 70, &p, &err), (code)); } while (0)
    REFUSED(kind, MUSE_IMAGE_NONE, MUSE_ERR_UNSUPPORTED);
    REFUSED(kind, 4, MUSE_ERR_ARG);
    REFUSED(unit, 0, MUSE_ERR_ARG);
    REFUSED(unit, 257, MUSE_ERR_ARG);
    REFUSED(filter, 0, MUSE_ERR_ARG);
    REFUSED(filter, 4, MUSE_ERR_ARG);
    REFUSED(precision, 2, MUSE_ERR_ARG);
    REFUSED(alpha, 2, MUSE_ERR_ARG);
    REFUSED(struct_size, 0, MUSE_ERR_ARG);
    rule = fuyu_rule();
    rule.max_width = 0;
    assert_int_equal(muse_image_plan(&rule, 9, 9, 0, &p, &err), MUSE_ERR_ARG);
}

/* ---- patches */

/* Picture (x, y) as seen, of a stored picture under an orientation: written down again here, value by value. */
static void seen_pixel(const uint8_t *stored, uint32_t w, uint32_t h, uint32_t o, uint32_t x, uint32_t y, int samples, uint8_t *out)
{
    uint32_t sx = x, sy = y;
    switch (o) {
    case 2: sx = w - 1 - x; break;
    case 3: sx = w - 1 - x; sy = h - 1 - y; break;
    case 4: sy = h - 1 - y; break;
    case 5: sx = y; sy = x; break;
    case 6: sx = y; sy = h - 1 - x; break;
    case 7: sx = w - 1 - y; sy = h - 1 - x; break;
    case 8: sx = w - 1 - y; sy = x; break;
    default: break;
    }
    memcpy(out, stored + ((size_t)sy * w + sx) * (size_t)samples, (size_t)samples);
}

/* A binary PNM has no EXIF: a PNG with an eXIf chunk in front of its pixels. */
static void *oriented_png(const uint8_t *pixels, uint32_t w, uint32_t h, int layout, uint32_t o, size_t *size)
{
    void *plain;
    assert_int_equal(muse_png_write_memory(NULL, &plain, size, pixels, w, h, 0, layout, NULL), 0);
    const uint8_t exif[] = { 'e', 'X', 'I', 'f', 'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, (uint8_t)o, 0, 0, 0, 0, 0, 0, 0 };
    uint32_t check = 0xffffffffu;
    for (size_t i = 0; i < sizeof exif; i++) {
        check ^= exif[i];
        for (int b = 0; b < 8; b++) check = check >> 1 ^ (check & 1 ? 0xedb88320u : 0);
    }
    check = ~check;
    const uint32_t n = sizeof exif - 4;
    const uint8_t head[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
    const uint8_t tail[4] = { (uint8_t)(check >> 24), (uint8_t)(check >> 16), (uint8_t)(check >> 8), (uint8_t)check };
    uint8_t *with = malloc(*size + sizeof exif + 8);
    assert_non_null(with);
    enum { AFTER_IHDR = 33 };
    memcpy(with, plain, AFTER_IHDR);
    memcpy(with + AFTER_IHDR, head, 4);
    memcpy(with + AFTER_IHDR + 4, exif, sizeof exif);
    memcpy(with + AFTER_IHDR + 4 + sizeof exif, tail, 4);
    memcpy(with + AFTER_IHDR + 8 + sizeof exif, (uint8_t *)plain + AFTER_IHDR, *size - AFTER_IHDR);
    *size += sizeof exif + 8;
    muse_free(plain);
    return with;
}

static void check_orientation(uint32_t w, uint32_t h, int layout, uint32_t o, const MuseImageRule *rule)
{
    uint8_t *stored = noise((size_t)w * h * (size_t)layout, w * 31 + h);
    const uint32_t sw = o >= 5 ? h : w, sh = o >= 5 ? w : h;
    uint8_t *seen = malloc((size_t)w * h * (size_t)layout);
    for (uint32_t y = 0; y < sh; y++)
        for (uint32_t x = 0; x < sw; x++) seen_pixel(stored, w, h, o, x, y, layout, seen + ((size_t)y * sw + x) * (size_t)layout);
    size_t size;
    void *file = oriented_png(stored, w, h, layout, o, &size);
    for (uint32_t keep = MUSE_KEEP_ENCODED; keep <= MUSE_KEEP_PIXELS; keep++) {
        MuseImageParams params;
        muse_image_params_init(&params);
        params.keep = keep;
        MuseImage *img, *plain = wrap(seen, sw, sh, 0, layout);
        assert_int_equal(muse_image_open_memory(&img, NULL, file, size, &params, NULL), 0);
        MusePatches *got = cut(img, rule, 0), *want = cut(plain, rule, 0);
        assert_int_equal(rgb_bytes(got), rgb_bytes(want));
        const uint8_t *a = muse_patches_rgb(got), *b = muse_patches_rgb(want);
        size_t differ = 0;
        for (size_t i = 0; i < rgb_bytes(got); i++) differ += a[i] != b[i];
        if (differ)
            fail_msg("%ux%u, %d samples, orientation %u, kind %u, filter %u: %zu of %zu bytes differ", w, h, layout, o, rule->kind, rule->filter,
                     differ, rgb_bytes(got));
        uint8_t ha[32], hb[32];
        muse_patches_hash(got, ha);
        muse_patches_hash(want, hb);
        assert_memory_equal(ha, hb, 32);
        muse_patches_close(&got);
        muse_patches_close(&want);
        muse_image_close(&img);
        muse_image_close(&plain);
    }
    free(file);
    free(seen);
    free(stored);
}

/* Turning the small result must equal turning the original, bit for bit. */
static void test_orientations(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = { { 1, 1 }, { 37, 23 }, { 64, 48 }, { 30, 100 }, { 96, 64 }, { 48, 48 }, { 250, 11 } };
    for (uint32_t o = 1; o <= 8; o++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            for (uint32_t filter = MUSE_FILTER_BOX; filter <= MUSE_FILTER_BICUBIC; filter++)
                for (int layout = 1; layout <= 4; layout += layout == 1 ? 2 : 1) {
                    MuseImageRule rule = fill_rule(8, 24);
                    rule.filter = filter;
                    rule.precision = i % 2 ? MUSE_PRECISION_PILLOW : MUSE_PRECISION_TORCH;
                    check_orientation(sizes[i][0], sizes[i][1], layout, o, &rule);
                    rule = fuyu_rule();
                    rule.unit = 7;
                    rule.max_width = 60;
                    rule.max_height = 50;
                    rule.filter = filter;
                    check_orientation(sizes[i][0], sizes[i][1], layout, o, &rule);
                }
}

static void test_padding(void **state)
{
    (void)state;
    uint8_t *pixels = noise(31 * 29 * 3, 5);
    MuseImage *img = wrap(pixels, 31, 29, 0, MUSE_PIXELS_RGB);
    MuseImageRule rule = fuyu_rule();
    MusePatches *p = cut(img, &rule, 0);
    const uint8_t *rgb = muse_patches_rgb(p);
    for (size_t y = 0; y < 30; y++)
        for (size_t x = 0; x < 60; x++)
            for (size_t c = 0; c < 3; c++)
                assert_int_equal(rgb[(y * 60 + x) * 3 + c], x < 31 && y < 29 ? pixels[(y * 31 + x) * 3 + c] : 1);
    float values[2700];
    assert_int_equal(muse_patches_read(p, 1, 1, values), 0);
    assert_true(fabsf(values[2699] - -0.992157f) < 1e-6f);   /* Fuyu spec 3 */
    assert_true(values[0] == (float)pixels[30 * 3] * rule.scale - 1);
    assert_int_equal(muse_patches_read(p, 2, 0, NULL), 0);
    assert_int_equal(muse_patches_read(p, 1, 2, values), MUSE_ERR_ARG);
    assert_int_equal(muse_patches_read(p, 3, 0, values), MUSE_ERR_ARG);
    assert_int_equal(muse_patches_read(p, SIZE_MAX, 2, values), MUSE_ERR_ARG);
    assert_int_equal(muse_patches_read(p, 0, 1, NULL), MUSE_ERR_ARG);
    muse_patches_close(&p);
    muse_image_close(&img);
    free(pixels);
}

/* Row, column, RGB fastest; raster order; reading in pieces equals reading at once. */
static void test_patch_order(void **state)
{
    (void)state;
    uint8_t *pixels = noise(24 * 16 * 3, 6);
    MuseImage *img = wrap(pixels, 24, 16, 0, MUSE_PIXELS_RGB);
    const MuseImageRule rule = fill_rule(8, 6);
    MusePatches *p = cut(img, &rule, 0);
    assert_int_equal(muse_patches_plan(p)->resized, 0);
    float all[6 * 192], one[192];
    assert_int_equal(muse_patches_read(p, 0, 6, all), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(muse_patches_read(p, i, 1, one), 0);
        assert_memory_equal(one, all + i * 192, sizeof one);
        for (size_t y = 0; y < 8; y++)
            for (size_t x = 0; x < 8; x++)
                for (size_t c = 0; c < 3; c++)
                    assert_true(one[(y * 8 + x) * 3 + c] == (float)pixels[((i / 3 * 8 + y) * 24 + i % 3 * 8 + x) * 3 + c] * rule.scale);
    }
    muse_patches_close(&p);
    muse_image_close(&img);
    free(pixels);
}

static void hash_of(const uint8_t *pixels, uint32_t w, uint32_t h, const MuseImageRule *rule, uint8_t hash[32])
{
    MuseImage *img = wrap(pixels, w, h, 0, MUSE_PIXELS_RGB);
    MusePatches *p = cut(img, rule, 0);
    muse_patches_hash(p, hash);
    muse_patches_close(&p);
    muse_image_close(&img);
}

static void test_hash(void **state)
{
    (void)state;
    uint8_t *pixels = noise(24 * 16 * 3, 6), a[32], b[32];
    MuseImageRule rule = fill_rule(8, 6);
    hash_of(pixels, 24, 16, &rule, a);
    hash_of(pixels, 24, 16, &rule, b);
    assert_memory_equal(a, b, 32);
    pixels[24 * 16 * 3 - 1] ^= 1;
    hash_of(pixels, 24, 16, &rule, b);
    assert_memory_not_equal(a, b, 32);
    pixels[24 * 16 * 3 - 1] ^= 1;
    hash_of(pixels, 16, 24, &rule, b);
    assert_memory_not_equal(a, b, 32);
    rule.offset = 1;
    hash_of(pixels, 24, 16, &rule, b);
    assert_memory_not_equal(a, b, 32);
    rule.offset = 0;
    rule.scale = 1;
    hash_of(pixels, 24, 16, &rule, b);
    assert_memory_not_equal(a, b, 32);
    rule = fill_rule(4, 24);
    hash_of(pixels, 24, 16, &rule, b);
    assert_memory_not_equal(a, b, 32);
    free(pixels);
}

static void test_alpha(void **state)
{
    (void)state;
    uint8_t pixels[256 * 4], rgb[256 * 3];
    for (int i = 0; i < 256; i++) memcpy(pixels + 4 * i, (uint8_t[]){ (uint8_t)i, 255, 0, (uint8_t)(255 - i) }, 4);
    MuseImage *img = wrap(pixels, 16, 16, 0, MUSE_PIXELS_RGBA);
    const uint8_t background[3] = { 0, 7, 200 };
    assert_int_equal(muse_image_read_rgb(img, MUSE_ALPHA_OVER, background, rgb, 0, NULL), 0);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(rgb[3 * i + c], (int)floor((pixels[4 * i + c] * (255.0 - i) + background[c] * (double)i) / 255 + 0.5));
    assert_int_equal(muse_image_read_rgb(img, MUSE_ALPHA_OVER, NULL, rgb, 0, NULL), 0);
    assert_int_equal(rgb[3 * 255], 255);   /* white */
    assert_int_equal(muse_image_read_rgb(img, MUSE_ALPHA_DROP, NULL, rgb, 0, NULL), 0);
    for (int i = 0; i < 256; i++) assert_memory_equal(rgb + 3 * i, pixels + 4 * i, 3);
    MuseImageRule rule = fill_rule(8, 4);
    rule.alpha = MUSE_ALPHA_OVER;
    memcpy(rule.background, background, 3);
    MusePatches *p = cut(img, &rule, 0);
    assert_int_equal(muse_patches_rgb(p)[16 * 16 * 3 - 1], 200);
    muse_patches_close(&p);
    muse_image_close(&img);
}

/* ---- images */

static void test_pixels(void **state)
{
    (void)state;
    enum { W = 9, H = 5, STRIDE = 41 };
    uint8_t *pixels = noise(STRIDE * H, 3);
    MuseImage *img;
    MuseError err;
    for (int layout = 1; layout <= 4; layout++) {
        const int rc = muse_image_open_pixels(&img, NULL, pixels, W, H, STRIDE, layout, NULL, &err);
        assert_int_equal(rc, layout == 2 ? MUSE_ERR_ARG : 0);
        if (rc < 0) continue;
        uint8_t wide[H][W * 3 + 5];
        memset(wide, 77, sizeof wide);
        assert_int_equal(muse_image_read_rgb(img, MUSE_ALPHA_DROP, NULL, wide[0], sizeof wide[0], &err), 0);
        for (int y = 0; y < H; y++) {
            for (int x = 0; x < W; x++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(wide[y][3 * x + c], pixels[y * STRIDE + x * layout + (layout == 1 ? 0 : c)]);
            for (int i = W * 3; i < W * 3 + 5; i++) assert_int_equal(wide[y][i], 77);
        }
        MuseImageInfo info;
        assert_int_equal(muse_image_info(img, &info), 0);
        assert_string_equal(info.format, "pixels");
        assert_true(info.width == W && info.height == H && info.orientation == 1 && info.bits == 8 && info.channels == (uint32_t)layout);
        assert_int_equal(muse_image_read_rgb(img, MUSE_ALPHA_DROP, NULL, wide[0], W * 3 - 1, &err), MUSE_ERR_ARG);
        assert_int_equal(muse_image_read_rgb(img, 2, NULL, wide[0], 0, &err), MUSE_ERR_ARG);
        muse_image_close(&img);
    }
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, 0, H, 0, 3, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, W, H, W * 3 - 1, 3, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, W, H, SIZE_MAX / 2, 3, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_open_pixels(&img, NULL, NULL, W, H, 0, 3, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, 1 << 20, 1 << 20, 0, 3, NULL, &err), MUSE_ERR_LIMIT);
    free(pixels);
}

static void test_borrow(void **state)
{
    (void)state;
    uint8_t pixels[4 * 4 * 3] = { 0 }, rgb[4 * 4 * 3];
    MuseImageParams params;
    muse_image_params_init(&params);
    for (int borrow = 0; borrow <= 1; borrow++) {
        MuseImage *img;
        params.borrow = borrow;
        pixels[0] = 1;
        assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, 4, 4, 0, 3, &params, NULL), 0);
        pixels[0] = 2;
        assert_int_equal(muse_image_read_rgb(img, MUSE_ALPHA_DROP, NULL, rgb, 0, NULL), 0);
        assert_int_equal(rgb[0], borrow ? 2 : 1);
        muse_image_close(&img);
    }
}

static void count_up(void *user) { ++*(int *)user; }

/* borrowed bytes are given back once, by the last of who holds them, and not by an open that failed */
static void test_release(void **state)
{
    (void)state;
    static const uint8_t pixels[4 * 4 * 3];
    const char *path = data_path("image/good/%s", "png-rgb8.png");
    Bytes b = read_file(path);
    int told = 0;
    MuseImageParams params;
    muse_image_params_init(&params);
    params.borrow = 1;
    params.release = count_up;
    params.release_user = &told;
    MuseImage *img, *region;
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, 4, 4, 0, 3, &params, NULL), 0);
    assert_int_equal(muse_image_region(&region, img, (MuseRect){ 1, 1, 3, 3 }, NULL), 0);
    muse_image_close(&img);
    assert_int_equal(told, 0);
    muse_image_close(&region);
    assert_int_equal(told, 1);
    assert_int_equal(muse_image_open_memory(&img, NULL, b.data, b.size, &params, NULL), 0);
    muse_image_close(&img);
    assert_int_equal(told, 2);
    assert_int_equal(muse_image_open_memory(&img, NULL, b.data, 20, &params, NULL), MUSE_ERR_FORMAT);
    assert_int_equal(muse_image_open_file(&img, NULL, path, &params, NULL), MUSE_ERR_ARG);
    params.max_pixels = 1;
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, 4, 4, 0, 3, &params, NULL), MUSE_ERR_LIMIT);
    params.borrow = 0;
    params.max_pixels = 0;
    assert_int_equal(muse_image_open_pixels(&img, NULL, pixels, 4, 4, 0, 3, &params, NULL), MUSE_ERR_ARG);
    assert_int_equal(told, 2);
    free(b.data);
}

static void test_limits(void **state)
{
    (void)state;
    const char *path = data_path("image/good/%s", "png-rgb8.png");
    Bytes b = read_file(path);
    MuseImageParams params;
    MuseImage *img;
    MuseError err;
    muse_image_params_init(&params);
    params.max_pixels = 23 * 17;
    assert_int_equal(muse_image_open_file(&img, NULL, path, &params, &err), 0);
    muse_image_close(&img);
    params.max_pixels--;
    assert_int_equal(muse_image_open_file(&img, NULL, path, &params, &err), MUSE_ERR_LIMIT);
    assert_int_equal(muse_image_open_memory(&img, NULL, b.data, b.size, &params, &err), MUSE_ERR_LIMIT);
    params.max_pixels = 0;
    params.max_bytes = b.size;
    assert_int_equal(muse_image_open_memory(&img, NULL, b.data, b.size, &params, &err), 0);
    muse_image_close(&img);
    params.max_bytes--;
    assert_int_equal(muse_image_open_memory(&img, NULL, b.data, b.size, &params, &err), MUSE_ERR_LIMIT);
    assert_int_equal(muse_image_open_file(&img, NULL, path, &params, &err), MUSE_ERR_LIMIT);
    muse_image_params_init(&params);
    params.keep = 2;
    assert_int_equal(muse_image_open_file(&img, NULL, path, &params, &err), MUSE_ERR_ARG);
    params.struct_size = 0;
    assert_int_equal(muse_image_open_file(&img, NULL, path, &params, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_open_file(&img, NULL, NULL, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_open_file(NULL, NULL, path, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_info(NULL, NULL), MUSE_ERR_ARG);
    muse_image_close(NULL);
    muse_image_close(&img);
    free(b.data);
}

static void test_ignore_orientation(void **state)
{
    (void)state;
    MuseImageParams params;
    MuseImageInfo info;
    MuseImage *img;
    muse_image_params_init(&params);
    params.ignore_orientation = 1;
    assert_int_equal(muse_image_open_file(&img, NULL, data_path("image/good/%s", "jpeg-exif6.jpg"), &params, NULL), 0);
    muse_image_info(img, &info);
    assert_true(info.width == 37 && info.height == 23 && info.orientation == 1);
    muse_image_close(&img);
}

static void test_regions(void **state)
{
    (void)state;
    uint8_t *pixels = noise(40 * 30 * 3, 9);
    MuseImage *img = wrap(pixels, 40, 30, 0, MUSE_PIXELS_RGB), *a, *b;
    MuseImageInfo info;
    MuseError err;
    assert_int_equal(muse_image_region(&a, img, (MuseRect){ 5.5, 3, 20.2, 99 }, &err), 0);
    muse_image_info(a, &info);
    assert_true(info.width == 16 && info.height == 27 && info.source.x0 == 5 && info.source.y0 == 3 && info.source.x1 == 21 && info.source.y1 == 30);
    muse_image_close(&img);   /* the region keeps it alive */
    assert_int_equal(muse_image_region(&b, a, (MuseRect){ -3, 2, 4, 3 }, &err), 0);
    muse_image_close(&a);
    muse_image_info(b, &info);
    assert_true(info.width == 4 && info.height == 1 && info.source.x0 == 5 && info.source.y0 == 5 && info.source.x1 == 9 && info.source.y1 == 6);
    uint8_t rgb[12];
    assert_int_equal(muse_image_read_rgb(b, MUSE_ALPHA_DROP, NULL, rgb, 0, NULL), 0);
    assert_memory_equal(rgb, pixels + (5 * 40 + 5) * 3, 12);
    MuseImage *c = muse_image_ref(b);
    assert_ptr_equal(c, b);
    muse_image_close(&b);
    assert_int_equal(muse_image_read_rgb(c, MUSE_ALPHA_DROP, NULL, rgb, 0, NULL), 0);
    const MuseRect nothing[] = { { 4, 0, 5, 1 }, { -2, 0, 0, 1 }, { 1, 0, 1, 1 }, { 2, 0, 1, 1 }, { NAN, 0, 1, 1 }, { 0, 0, INFINITY, 1 }, { 0, 1, 1, 2 } };
    for (size_t i = 0; i < COUNT_OF(nothing); i++) {
        assert_int_equal(muse_image_region(&a, c, nothing[i], &err), MUSE_ERR_ARG);
        assert_null(a);
    }
    assert_int_equal(muse_image_region(&a, c, (MuseRect){ -1e300, -1e300, 1e300, 1e300 }, &err), 0);
    muse_image_close(&a);
    muse_image_close(&c);
    free(pixels);
}

/* A region's patches equal the patches of its pixels. */
static void test_region_patches(void **state)
{
    (void)state;
    MuseImage *img, *region, *copy;
    MuseImageInfo info;
    assert_int_equal(muse_image_open_file(&img, NULL, data_path("image/good/%s", "jpeg-exif6.jpg"), NULL, NULL), 0);
    assert_int_equal(muse_image_region(&region, img, (MuseRect){ 3, 7, 19, 30 }, NULL), 0);
    muse_image_info(region, &info);
    uint8_t *rgb = read_rgb(region, MUSE_ALPHA_DROP, NULL);
    copy = wrap(rgb, info.width, info.height, 0, MUSE_PIXELS_RGB);
    const MuseImageRule rule = gemma_rule();
    MusePatches *a = cut(region, &rule, 70), *b = cut(copy, &rule, 70);
    assert_memory_equal(muse_patches_rgb(a), muse_patches_rgb(b), rgb_bytes(b));
    muse_patches_close(&a);
    muse_patches_close(&b);
    muse_image_close(&copy);
    muse_image_close(&region);
    muse_image_close(&img);
    free(rgb);
}

/* ---- stopping and failing */

typedef struct Stop { int polls, at; } Stop;

static int stop(void *user)
{
    Stop *s = user;
    return ++s->polls >= s->at;
}

/* At least one poll in 64 rows, and each of them is obeyed. */
static void test_cancel(void **state)
{
    (void)state;
    enum { W = 20, H = 640 };
    uint8_t *pixels = noise(W * H * 3, 9);
    size_t size;
    void *png = oriented_png(pixels, W, H, MUSE_PIXELS_RGB, 6, &size);
    MuseImage *img;
    assert_int_equal(muse_image_open_memory(&img, NULL, png, size, NULL, NULL), 0);
    const MuseImageRule rule = gemma_rule();
    Stop s = { 0, 1 << 30 };
    MusePatches *p;
    MuseError err;
    assert_int_equal(muse_image_patches(&p, img, &rule, 70, stop, &s, &err), 0);
    muse_patches_close(&p);
    const int polls = s.polls;
    assert_true(polls >= H / 64);
    for (int at = 1; at <= polls; at++) {
        s = (Stop){ 0, at };
        assert_int_equal(muse_image_patches(&p, img, &rule, 70, stop, &s, &err), MUSE_ERR_CANCELLED);
        assert_null(p);
        assert_int_equal(s.polls, at);
    }
    muse_image_close(&img);
    MuseImageParams params;
    muse_image_params_init(&params);
    params.keep = MUSE_KEEP_PIXELS;
    params.cancel = stop;
    params.cancel_user = &s;
    s = (Stop){ 0, 3 };
    assert_int_equal(muse_image_open_memory(&img, NULL, png, size, &params, &err), MUSE_ERR_CANCELLED);
    assert_null(img);
    static const char *const files[] = { "jpeg-420.jpg", "jpeg-progressive-420.jpg", "png-rgb8-interlaced.png", "webp-lossy.webp", "pnm-p3-255.ppm" };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        assert_int_equal(muse_image_open_file(&img, NULL, data_path("image/good/%s", files[i]), NULL, &err), 0);
        s = (Stop){ 0, 1 };
        assert_int_equal(muse_image_patches(&p, img, &rule, 70, stop, &s, &err), MUSE_ERR_CANCELLED);
        muse_image_close(&img);
    }
    free(png);
    free(pixels);
}

static int whole_way(MuseRuntime *rt, const char *file, uint32_t keep)
{
    MuseImageParams params;
    MuseImage *img = NULL, *region = NULL;
    MusePatches *p = NULL;
    MuseError err;
    void *png = NULL;
    size_t size;
    MuseImageRule rule = fill_rule(8, 12);
    rule.alpha = MUSE_ALPHA_OVER;
    muse_image_params_init(&params);
    params.keep = keep;
    int rc = muse_image_open_file(&img, rt, data_path("image/good/%s", file), &params, &err);
    if (rc == 0) rc = muse_image_region(&region, img, (MuseRect){ 3, 3, 12, 8 }, &err);
    if (rc == 0) rc = muse_image_patches(&p, img, &rule, 12, NULL, NULL, &err);
    muse_patches_close(&p);
    if (rc == 0) rc = muse_image_patches(&p, region, &rule, 12, NULL, NULL, &err);
    const MuseImagePlan *plan = muse_patches_plan(p);
    if (rc == 0) rc = muse_png_write_memory(rt, &png, &size, muse_patches_rgb(p), plan->used_width, plan->used_height, 0, MUSE_PIXELS_RGB, &err);
    uint8_t small[5 * 5 * 3];
    if (rc == 0) rc = muse_image_resize(rt, muse_patches_rgb(p), plan->used_width, plan->used_height, 0, 3, MUSE_FILTER_BICUBIC, 0, small, 5, 5, &err);
    muse_free(png);
    muse_patches_close(&p);
    muse_image_close(&region);
    muse_image_close(&img);
    if (rc < 0) assert_int_equal(err.code, rc);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const files[] = { "jpeg-exif6.jpg", "jpeg-cmyk.jpg", "jpeg-grey.jpg", "png-rgba8.png", "png-grey2-trns-interlaced.png",
                                         "webp-exif8.webp", "webp-lossy-alpha.webp", "webp-animated-bare.webp", "pnm-p5-100.pgm", "pnm-p3-1023.ppm" };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        for (uint32_t keep = MUSE_KEEP_ENCODED; keep <= MUSE_KEEP_PIXELS; keep++) {
            int rc = MUSE_ERR_NOMEM;
            for (long n = 1; rc != 0; n++) {
                Meter meter = { 0 };
                MuseRuntime *rt = open_runtime(1, &meter);
                meter.fail_at = meter.calls + n;
                rc = whole_way(rt, files[i], keep);
                if (rc != 0 && rc != MUSE_ERR_NOMEM) fail_msg("%s: allocation %ld: %d", files[i], n, rc);
                muse_runtime_close(&rt);
                if (meter.live) fail_msg("%s: allocation %ld: %zu bytes are lost", files[i], n, meter.live);
                assert_true(n < 500);
            }
        }
}

/* ---- two threads */

typedef struct Blocks { uint32_t used, fail_at; } Blocks;

static int count_block(void *user, const MuseRowBlock *block, MuseError *err)
{
    Blocks *b = user;
    if (block->first != b->used || block->n != 7) return muse_fail(err, MUSE_ERR_STATE, "block %u out of turn", block->first);
    if (++b->used == b->fail_at) return muse_fail(err, MUSE_ERR_FORMAT, "told to fail");
    return 0;
}

static void test_row_queue(void **state)
{
    (void)state;
    for (int threaded = 0; threaded <= 1; threaded++)
        for (uint32_t fail_at = 0; fail_at <= 12; fail_at++) {
            MuseRowQueue q = { 0 };
            Blocks b = { 0, fail_at };
            MuseError err = { 0 };
            muse_row_queue_open(&q, threaded, count_block, &b);
            uint32_t pushed = 0;
            for (MuseRowBlock *next; pushed < 10 && (next = muse_row_queue_next(&q)); pushed++) {
                next->first = pushed;
                next->n = 7;
                muse_row_queue_push(&q);
            }
            const bool fails = fail_at >= 1 && fail_at <= 10;
            assert_int_equal(muse_row_queue_close(&q, &err), fails ? MUSE_ERR_FORMAT : 0);
            assert_int_equal(b.used, fails ? fail_at : 10);
            if (fails) assert_string_equal(err.text, "told to fail");
        }
}

/* Large pictures are decoded and resized side by side: same bytes, same stops. */
static void test_overlap(void **state)
{
    (void)state;
    enum { W = 1031, H = 1021 };
    uint8_t *pixels = noise(W * H * 3, 4);
    size_t size;
    void *png = oriented_png(pixels, W, H, MUSE_PIXELS_RGB, 6, &size);
    const MuseImageRule rule = gemma_rule();
    uint8_t hash[2][32];
    for (uint32_t threads = 1; threads <= 2; threads++) {
        Meter meter = { 0 };
        MuseRuntime *rt = open_runtime(threads, &meter);
        MuseImage *img;
        MusePatches *p;
        MuseError err;
        assert_int_equal(muse_image_open_memory(&img, rt, png, size, NULL, &err), 0);
        assert_int_equal(muse_image_patches(&p, img, &rule, 280, NULL, NULL, &err), 0);
        muse_patches_hash(p, hash[threads - 1]);
        muse_patches_close(&p);
        for (int at = 1; at <= 64; at += 9) {
            Stop s = { 0, at };
            assert_int_equal(muse_image_patches(&p, img, &rule, 280, stop, &s, &err), MUSE_ERR_CANCELLED);
        }
        int rc = MUSE_ERR_NOMEM;
        for (long n = 1; rc != 0; n++) {
            meter.fail_at = meter.calls + n;
            rc = muse_image_patches(&p, img, &rule, 280, NULL, NULL, &err);
            assert_true(rc == 0 || rc == MUSE_ERR_NOMEM);
            assert_true(n < 200);
        }
        muse_patches_close(&p);
        muse_image_close(&img);
        muse_runtime_close(&rt);
        assert_int_equal(meter.live, 0);
    }
    assert_memory_equal(hash[0], hash[1], 32);
    free(png);
    free(pixels);
}

/* ---- PNG writer, resize */

static void test_png_writer(void **state)
{
    (void)state;
    char path[] = "/tmp/muse-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int layout = 1; layout <= 4; layout += layout == 1 ? 2 : 1) {
        enum { W = 33, H = 21, STRIDE = 140 };
        uint8_t *pixels = noise(STRIDE * H, (uint32_t)layout);
        MuseImage *want = wrap(pixels, W, H, STRIDE, layout), *got;
        MuseError err = { 0 };
        assert_int_equal(muse_png_write_file(path, pixels, W, H, STRIDE, layout, &err), 0);
        if (muse_image_open_file(&got, NULL, path, NULL, &err) < 0) fail_msg("%s", err.text);
        MuseImageInfo info;
        muse_image_info(got, &info);
        assert_true(info.channels == (uint32_t)layout && info.bits == 8 && info.width == W && info.height == H);
        const uint8_t background[3] = { 9, 8, 7 };
        uint8_t *a = read_rgb(want, MUSE_ALPHA_OVER, background), *b = read_rgb(got, MUSE_ALPHA_OVER, background);
        assert_memory_equal(a, b, W * H * 3);
        free(a);
        free(b);
        muse_image_close(&want);
        muse_image_close(&got);
        free(pixels);
    }
    unlink(path);
    uint8_t pixel[4] = { 0 };
    void *bytes;
    size_t size;
    MuseError err;
    assert_int_equal(muse_png_write_file("/nowhere/at/all.png", pixel, 1, 1, 0, 3, &err), MUSE_ERR_IO);
    assert_int_equal(muse_png_write_file(NULL, pixel, 1, 1, 0, 3, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_png_write_memory(NULL, &bytes, &size, pixel, 1, 1, 0, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_png_write_memory(NULL, &bytes, &size, pixel, 0, 1, 0, 3, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_png_write_memory(NULL, &bytes, &size, pixel, 1, 1, 2, 3, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_png_write_memory(NULL, &bytes, &size, NULL, 1, 1, 0, 3, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_png_write_memory(NULL, &bytes, &size, pixel, 0x80000000u, 1, 0, 1, &err), MUSE_ERR_ARG);
}

/* Gemma 4 spec 3.2 */
static void test_resize(void **state)
{
    (void)state;
    static const uint8_t up[45] = { 0, 12, 40, 65, 89, 113, 137, 171, 194, 36, 57, 89, 118, 158, 200, 235, 152, 64, 85, 110, 155, 209, 168, 123, 170,
                                    139, 95, 134, 169, 206, 203, 119, 53, 106, 125, 126, 175, 224, 230, 73, 77, 151, 209, 106, 0 };
    static const uint8_t down[6] = { 60, 141, 156, 175, 139, 115 };
    uint8_t src[4][7], dst[45];
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 7; x++) src[y][x] = (uint8_t)(37 * x + 59 * y + 11 * x * y);
    for (uint32_t precision = 0; precision <= 1; precision++) {
        assert_int_equal(muse_image_resize(NULL, src[0], 6, 4, 7, 1, MUSE_FILTER_BICUBIC, precision, dst, 9, 5, NULL), 0);
        assert_memory_equal(dst, up, 45);
        assert_int_equal(muse_image_resize(NULL, src[0], 6, 4, 7, 1, MUSE_FILTER_BICUBIC, precision, dst, 3, 2, NULL), 0);
        assert_memory_equal(dst, down, 6);
    }
    MuseError err;
    assert_int_equal(muse_image_resize(NULL, src[0], 6, 4, 5, 1, MUSE_FILTER_BICUBIC, 0, dst, 3, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_resize(NULL, src[0], 6, 4, 0, 2, MUSE_FILTER_BICUBIC, 0, dst, 3, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_resize(NULL, src[0], 6, 4, 0, 1, 0, 0, dst, 3, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_resize(NULL, src[0], 6, 0, 0, 1, MUSE_FILTER_BICUBIC, 0, dst, 3, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_image_resize(NULL, NULL, 6, 4, 0, 1, MUSE_FILTER_BICUBIC, 0, dst, 3, 2, &err), MUSE_ERR_ARG);
}

/* ---- EXIF */

static char logged[1024];

static void keep_line(void *user, int level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(logged, sizeof logged, "%s", text);
}

static void test_exif(void **state)
{
    (void)state;
    const MuseLog log = { keep_line, NULL, MUSE_LOG_WARN };
    uint8_t block[26] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0 };
    assert_int_equal(muse_exif_orientation(block, sizeof block, &log, "x", 5), 6);
    for (size_t n = 0; n < 20; n++) {   /* every cut before the value's end is broken */
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, block, n);
        logged[0] = 0;
        assert_int_equal(muse_exif_orientation(exact, n, &log, "x: APP1", 5), 1);
        assert_non_null(strstr(logged, "x: APP1 at byte 5: EXIF is damaged"));
        free(exact);
    }
    logged[0] = 0;
    block[11] = 0x13;   /* no such tag: not broken */
    assert_int_equal(muse_exif_orientation(block, sizeof block, &log, "x", 5), 1);
    assert_int_equal(logged[0], 0);
    block[8] = block[9] = 0xff;   /* 65535 entries */
    assert_int_equal(muse_exif_orientation(block, sizeof block, &log, "x", 5), 1);
    assert_int_not_equal(logged[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_sizes), cmocka_unit_test(test_plan_spec), cmocka_unit_test(test_plan_exact), cmocka_unit_test(test_plan_sides), cmocka_unit_test(test_plan_auto), cmocka_unit_test(test_plan_fuyu),
        cmocka_unit_test(test_plan_rects), cmocka_unit_test(test_plan_arguments), cmocka_unit_test(test_orientations), cmocka_unit_test(test_padding),
        cmocka_unit_test(test_patch_order), cmocka_unit_test(test_hash), cmocka_unit_test(test_alpha), cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_borrow), cmocka_unit_test(test_release), cmocka_unit_test(test_limits), cmocka_unit_test(test_ignore_orientation), cmocka_unit_test(test_regions),
        cmocka_unit_test(test_region_patches), cmocka_unit_test(test_cancel), cmocka_unit_test(test_no_memory), cmocka_unit_test(test_row_queue), cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_png_writer),
        cmocka_unit_test(test_resize), cmocka_unit_test(test_exif),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
