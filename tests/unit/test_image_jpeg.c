/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG of every subsampling, coding and size: whole pictures equal libjpeg's own decode, regions equal a part of it bit for
 * bit although rows and columns are skipped, and files that only keep a decoder busy are stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/image_help.h"
#include "tests/unit/jpeg_make.h"

static const JpegLayout layouts[] = {
    { "grey", 1, JCS_GRAYSCALE, 1, 1, 0, 0, 0, NULL, 0 },
    { "444", 3, JCS_YCbCr, 1, 1, 0, 0, 0, NULL, 0 },
    { "422", 3, JCS_YCbCr, 2, 1, 0, 0, 0, NULL, 0 },
    { "440", 3, JCS_YCbCr, 1, 2, 0, 0, 0, NULL, 0 },
    { "420", 3, JCS_YCbCr, 2, 2, 0, 0, 0, NULL, 0 },
    { "411", 3, JCS_YCbCr, 4, 1, 0, 0, 0, NULL, 0 },
    { "410", 3, JCS_YCbCr, 4, 2, 0, 0, 0, NULL, 0 },
    { "420 restart", 3, JCS_YCbCr, 2, 2, 0, 0, 1, NULL, 0 },
    { "422 restart", 3, JCS_YCbCr, 2, 1, 0, 0, 2, NULL, 0 },
    { "rgb", 3, JCS_RGB, 1, 1, 0, 0, 0, NULL, 0 },
    { "420 arithmetic", 3, JCS_YCbCr, 2, 2, 0, 1, 0, NULL, 0 },
    { "420 progressive", 3, JCS_YCbCr, 2, 2, 1, 0, 0, NULL, 0 },
    { "444 progressive arithmetic", 3, JCS_YCbCr, 1, 1, 1, 1, 0, NULL, 0 },
    { "cmyk", 4, JCS_CMYK, 1, 1, 0, 0, 0, NULL, 0 },
    { "ycck", 4, JCS_YCCK, 1, 1, 0, 0, 0, NULL, 0 },
    { "ycck progressive", 4, JCS_YCCK, 1, 1, 1, 0, 0, NULL, 0 },
};

/* What libjpeg and the definition of inverted CMYK give: RGB, row by row. */
static uint8_t *expected(const unsigned char *bytes, unsigned long size, uint32_t width, uint32_t height)
{
    const size_t n = (size_t)width * height;
    uint8_t *raw = malloc(n * 4), *rgb = malloc(n * 3);
    const int components = jpeg_bare(bytes, size, raw);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = components == 1 ? raw[i] : components == 3 ? raw[3 * i + c]
                             : (uint8_t)((raw[4 * i + c] * raw[4 * i + 3] + 127) / 255);
    free(raw);
    return rgb;
}

static MuseImage *open_bytes(const void *bytes, size_t size, const char *what)
{
    MuseImage *img;
    MuseError err = { 0 };
    if (muse_image_open_memory(&img, NULL, bytes, size, NULL, &err) < 0) fail_msg("%s: %s", what, err.text);
    return img;
}

static void check_part(const MuseImage *img, const uint8_t *whole, uint32_t width, const MuseRect *r, const char *what)
{
    MuseImage *region;
    MuseImageInfo info;
    assert_int_equal(muse_image_region(&region, img, *r, NULL), 0);
    muse_image_info(region, &info);
    uint8_t *part = read_rgb(region, MUSE_ALPHA_DROP, NULL);
    for (size_t y = 0; y < info.height; y++)
        if (memcmp(part + y * info.width * 3, whole + ((y + (size_t)r->y0) * width + (size_t)r->x0) * 3, info.width * 3))
            fail_msg("%s: region %g,%g..%g,%g differs at row %zu", what, r->x0, r->y0, r->x1, r->y1, y);
    free(part);
    muse_image_close(&region);
}

static void test_layouts(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = { { 1, 1 }, { 7, 100 }, { 100, 7 }, { 131, 97 }, { 160, 128 }, { 129, 65 } };
    uint32_t seed = 1;
    for (size_t i = 0; i < COUNT_OF(layouts); i++)
        for (size_t k = 0; k < COUNT_OF(sizes); k++) {
            const uint32_t width = sizes[k][0], height = sizes[k][1];
            unsigned char *bytes;
            const unsigned long size = jpeg_make(&bytes, &layouts[i], width, height, 85, 8);
            uint8_t *want = expected(bytes, size, width, height);
            MuseImage *img = open_bytes(bytes, size, layouts[i].name);
            uint8_t *got = read_rgb(img, MUSE_ALPHA_DROP, NULL);
            if (memcmp(got, want, (size_t)width * height * 3)) fail_msg("%s %ux%u: pixels differ", layouts[i].name, width, height);
            for (int n = 0; n < 60; n++) {
                MuseRect r;
                r.x0 = (seed = jpeg_mix(seed)) % width;
                r.x1 = r.x0 + 1 + (seed = jpeg_mix(seed)) % (width - (uint32_t)r.x0);
                r.y0 = (seed = jpeg_mix(seed)) % height;
                r.y1 = r.y0 + 1 + (seed = jpeg_mix(seed)) % (height - (uint32_t)r.y0);
                check_part(img, want, width, &r, layouts[i].name);
                seed++;
            }
            free(got);
            free(want);
            free(bytes);
            muse_image_close(&img);
        }
}

/* every first row and every first column once */
static void test_every_edge(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(layouts); i++) {
        enum { W = 83, H = 71 };
        unsigned char *bytes;
        const unsigned long size = jpeg_make(&bytes, &layouts[i], W, H, 90, 8);
        uint8_t *want = expected(bytes, size, W, H);
        MuseImage *img = open_bytes(bytes, size, layouts[i].name);
        for (uint32_t y = 0; y < H; y++) check_part(img, want, W, &(MuseRect){ 0, y, W, y + 1 }, layouts[i].name);
        for (uint32_t y = 0; y < H; y++) check_part(img, want, W, &(MuseRect){ 5, y, 40, H }, layouts[i].name);
        for (uint32_t x = 0; x < W; x++) check_part(img, want, W, &(MuseRect){ x, 3, x + 1, H }, layouts[i].name);
        for (uint32_t x = 0; x < W; x++) check_part(img, want, W, &(MuseRect){ x, 0, W, H }, layouts[i].name);
        free(want);
        free(bytes);
        muse_image_close(&img);
    }
}

static int read_status(const void *bytes, size_t size, MuseError *err)
{
    MuseImage *img;
    int rc = muse_image_open_memory(&img, NULL, bytes, size, NULL, err);
    MuseImageInfo info;
    if (rc == 0) {
        muse_image_info(img, &info);
        uint8_t *rgb = malloc((size_t)info.width * info.height * 3);
        rc = muse_image_read_rgb(img, MUSE_ALPHA_DROP, NULL, rgb, 0, err);
        free(rgb);
    }
    muse_image_close(&img);
    return rc;
}

/* The last scan of a file again and again: legal, endless. */
static void test_scan_bomb(void **state)
{
    (void)state;
    static const jpeg_scan_info scans[] = { { 1, { 0 }, 0, 0, 0, 0 }, { 1, { 0 }, 1, 63, 0, 0 } };
    const JpegLayout layout = { "two scans", 1, JCS_GRAYSCALE, 1, 1, 0, 0, 0, scans, 2 };
    unsigned char *bytes;
    const unsigned long size = jpeg_make(&bytes, &layout, 64, 64, 50, 8);
    unsigned long at = size - 2;
    while (!(bytes[at] == 0xff && bytes[at + 1] == 0xda)) at--;
    const unsigned long scan = size - 2 - at;
    for (int copies = 1; copies <= 150; copies += 149) {
        uint8_t *bomb = malloc(at + scan * (size_t)copies + 2), *end = bomb + at;
        memcpy(bomb, bytes, at);
        for (int i = 0; i < copies; i++, end += scan) memcpy(end, bytes + at, scan);
        memcpy(end, "\xff\xd9", 2);
        MuseError err = { 0 };
        const int rc = read_status(bomb, (size_t)(end - bomb) + 2, &err);
        if (rc != (copies == 1 ? 0 : MUSE_ERR_LIMIT)) fail_msg("%d copies: %d %s", copies, rc, err.text);
        free(bomb);
    }
    free(bytes);
}

/* A colour file whose second component never comes. */
static void test_missing_component(void **state)
{
    (void)state;
    static const jpeg_scan_info scans[] = { { 1, { 0 }, 0, 63, 0, 0 }, { 1, { 1 }, 0, 63, 0, 0 }, { 1, { 2 }, 0, 63, 0, 0 } };
    const JpegLayout layout = { "three scans", 3, JCS_YCbCr, 2, 2, 0, 0, 0, scans, 3 };
    unsigned char *bytes;
    const unsigned long size = jpeg_make(&bytes, &layout, 64, 64, 50, 8);
    MuseError err = { 0 };
    assert_int_equal(read_status(bytes, size, &err), 0);
    unsigned long at = size - 2;
    while (!(bytes[at] == 0xff && bytes[at + 1] == 0xda)) at--;
    memcpy(bytes + at, "\xff\xd9", 2);
    assert_int_equal(read_status(bytes, at + 2, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "component"));
    free(bytes);
}

static void test_two_components(void **state)
{
    (void)state;
    const JpegLayout layout = { "rgb", 3, JCS_RGB, 1, 1, 0, 0, 0, NULL, 0 };
    unsigned char *bytes;
    const unsigned long size = jpeg_make(&bytes, &layout, 16, 16, 50, 8);
    for (unsigned long i = 2; i + 12 < size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc0) {   /* SOF: shorten it to two components */
            bytes[i + 3] = 14;
            bytes[i + 9] = 2;
            memmove(bytes + i + 16, bytes + i + 19, size - i - 19);
            break;
        }
    MuseError err = { 0 };
    const int rc = read_status(bytes, size - 3, &err);
    assert_true(rc == MUSE_ERR_UNSUPPORTED || rc == MUSE_ERR_FORMAT);
    free(bytes);
}

/* Cameras pad with zeros or ones before the end marker, which is logged; other bytes there are damage. */
static void test_end_padding(void **state)
{
    (void)state;
    const JpegLayout layout = { "plain", 3, JCS_YCbCr, 2, 2, 0, 0, 0, NULL, 0 };
    static const struct { uint8_t byte; size_t n; int status; } pads[] = {
        { 0, 1, 0 }, { 0, 20, 0 }, { 0, 4000, 0 }, { 0xff, 9, 0 }, { 0x12, 20, MUSE_ERR_FORMAT }, { 0x12, 4000, MUSE_ERR_FORMAT },
    };
    unsigned char *bytes;
    const unsigned long size = jpeg_make(&bytes, &layout, 40, 24, 80, 8);
    for (size_t i = 0; i < sizeof pads / sizeof *pads; i++) {
        uint8_t *padded = malloc(size + pads[i].n);
        memcpy(padded, bytes, size - 2);
        memset(padded + size - 2, pads[i].byte, pads[i].n);
        memcpy(padded + size - 2 + pads[i].n, "\xff\xd9", 2);
        MuseError err = { 0 };
        const int rc = read_status(padded, size + pads[i].n, &err);
        if (rc != pads[i].status) fail_msg("%zu bytes of %02x: %d %s", pads[i].n, pads[i].byte, rc, err.text);
        free(padded);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts), cmocka_unit_test(test_every_edge), cmocka_unit_test(test_scan_bomb),
        cmocka_unit_test(test_missing_component), cmocka_unit_test(test_two_components), cmocka_unit_test(test_end_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
