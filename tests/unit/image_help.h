/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the image tests: files, runtimes with a counting allocator, rules. Include after cmocka.h. */
#ifndef TESTS_IMAGE_HELP_H
#define TESTS_IMAGE_HELP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "muse/image.h"
#include "ops/runtime.h"
#include "tests/unit/meter.h"

#define COUNT_OF(a) (sizeof (a) / sizeof *(a))

static inline MuseRuntime *open_runtime(uint32_t threads, Meter *meter)
{
    MuseRuntimeParams params;
    muse_runtime_params_init(&params);
    params.threads = threads;
    if (meter) params.allocator = meter_allocator(meter);
    MuseRuntime *rt = NULL;
    assert_int_equal(muse_runtime_open(&rt, &params, NULL), 0);
    return rt;
}

static inline const char *data_path(const char *format, const char *name)
{
    static char path[4096];
    const char *root = getenv("MUSE_TEST_DATA");
    assert_non_null(root);
    const int n = snprintf(path, sizeof path, "%s/", root);
    snprintf(path + n, sizeof path - (size_t)n, format, name);
    return path;
}

typedef struct Bytes { uint8_t *data; size_t size; } Bytes;

static inline Bytes read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s: can't open", path);
    fseek(f, 0, SEEK_END);
    Bytes b = { NULL, (size_t)ftell(f) };
    rewind(f);
    b.data = malloc(b.size + 1);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.size, f), b.size);
    b.data[b.size] = 0;
    fclose(f);
    return b;
}

static inline void hash_hex(const uint8_t *bytes, size_t n, char hex[65])
{
    MuseHash h;
    uint8_t out[32];
    muse_hash_init(&h, "test");
    muse_hash_add(&h, bytes, n);
    muse_hash_done(&h, out);
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", out[i]);
}

static inline uint8_t *read_rgb(const MuseImage *img, int alpha, const uint8_t *background)
{
    MuseImageInfo info;
    MuseError err = { 0 };
    assert_int_equal(muse_image_info(img, &info), 0);
    uint8_t *rgb = malloc((size_t)info.width * info.height * 3);
    assert_non_null(rgb);
    if (muse_image_read_rgb(img, alpha, background, rgb, 0, &err) < 0) fail_msg("%s", err.text);
    return rgb;
}

/* Gemma 4, with a unit and budgets to choose */
static inline MuseImageRule fill_rule(uint32_t unit, uint32_t budget)
{
    return (MuseImageRule){ .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_FILL, .unit = unit, .budget = budget,
                            .filter = MUSE_FILTER_BICUBIC, .alpha = MUSE_ALPHA_DROP, .scale = 0.00392156862745098f };
}

static inline MuseImageRule gemma_rule(void)
{
    MuseImageRule rule = fill_rule(48, 280);
    const uint32_t budgets[] = { 70, 140, 280, 560, 1120 };
    memcpy(rule.budgets, budgets, sizeof budgets);
    return rule;
}

static inline MuseImageRule fuyu_rule(void)
{
    return (MuseImageRule){ .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_FIT, .unit = 30, .max_width = 1920, .max_height = 1080,
                            .filter = MUSE_FILTER_BILINEAR, .alpha = MUSE_ALPHA_DROP, .pad = 1, .scale = 1.0f / 127.5f, .offset = -1 };
}

#endif
