/* SPDX-License-Identifier: Apache-2.0 */
/* What the four picture targets share: open with small limits, ask everything, check that the answers agree. */
#ifndef TESTS_FUZZ_PICTURE_H
#define TESTS_FUZZ_PICTURE_H

#include "muse/image.h"
#include "tests/fuzz/fuzz.h"

enum { FUZZ_PIXELS = 1 << 16 };

static inline uint8_t *fuzz_rgb(const MuseImage *img, MuseImageInfo *info, int *rc)
{
    FUZZ_CHECK(muse_image_info(img, info) == 0);
    FUZZ_CHECK(info->width >= 1 && info->height >= 1 && (uint64_t)info->width * info->height <= FUZZ_PIXELS);
    FUZZ_CHECK(info->orientation >= 1 && info->orientation <= 8 && info->bits >= 1 && info->bits <= 16);
    uint8_t *rgb = malloc((size_t)info->width * info->height * 3);
    if (!rgb) exit(1);
    *rc = muse_image_read_rgb(img, MUSE_ALPHA_OVER, NULL, rgb, 0, NULL);
    return rgb;
}

/* a region holds what the whole holds there */
static inline void fuzz_region(const MuseImage *img, const uint8_t *rgb, const MuseImageInfo *info)
{
    MuseImage *region;
    MuseImageInfo part;
    const MuseRect rect = { info->width * 0.3, info->height * 0.2, info->width * 0.8, info->height * 0.9 };
    FUZZ_CHECK(muse_image_region(&region, img, rect, NULL) == 0);
    int rc;
    uint8_t *got = fuzz_rgb(region, &part, &rc);
    FUZZ_CHECK(rc == 0);
    for (size_t y = 0; y < part.height; y++)
        FUZZ_CHECK(memcmp(got + y * part.width * 3, rgb + ((y + (size_t)part.source.y0) * info->width + (size_t)part.source.x0) * 3,
                          (size_t)part.width * 3) == 0);
    free(got);
    muse_image_close(&region);
}

static inline void fuzz_patches(const MuseImage *img, const MuseImageInfo *info, int read)
{
    const MuseImageRule rule = { .struct_size = sizeof rule, .kind = MUSE_IMAGE_FILL, .unit = 4, .budget = 16, .filter = MUSE_FILTER_BICUBIC,
                                 .alpha = MUSE_ALPHA_OVER, .scale = 1.0f / 255 };
    MuseImagePlan plan;
    MusePatches *p;
    FUZZ_CHECK(muse_image_plan(&rule, info->width, info->height, 0, &plan, NULL) == 0);
    const int rc = muse_image_patches(&p, img, &rule, 0, NULL, NULL, NULL);
    FUZZ_CHECK(rc == read);   /* one way to the pixels succeeds if the other does */
    FUZZ_CHECK((rc == 0) == (p != NULL));
    if (rc < 0) return;
    FUZZ_CHECK(memcmp(&plan, muse_patches_plan(p), sizeof plan) == 0);
    float values[16 * 48];
    FUZZ_CHECK(plan.n_patches >= 1 && plan.n_patches <= 16);
    FUZZ_CHECK(muse_patches_read(p, 0, plan.n_patches, values) == 0);
    for (size_t i = 0; i < plan.n_patches * 48; i++) FUZZ_CHECK(values[i] >= 0 && values[i] <= 1.0001f);
    muse_patches_close(&p);
}

static inline void fuzz_picture(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseImageParams params;
    MuseImage *img, *kept;
    MuseError err = { 0 };
    muse_image_params_init(&params);
    params.max_pixels = FUZZ_PIXELS;
    params.borrow = 1;
    const int rc = muse_image_open_memory(&img, NULL, exact, size, &params, &err);
    FUZZ_CHECK((rc == 0) == (img != NULL) && rc <= 0 && (rc == 0 || (err.code == rc && err.text[0])));
    if (rc == 0) {
        MuseImageInfo info;
        int read;
        uint8_t *rgb = fuzz_rgb(img, &info, &read);
        if (read == 0) fuzz_region(img, rgb, &info);
        fuzz_patches(img, &info, read);
        params.keep = MUSE_KEEP_PIXELS;
        FUZZ_CHECK(muse_image_open_memory(&kept, NULL, exact, size, &params, NULL) == read);
        if (read == 0) fuzz_region(kept, rgb, &info);
        muse_image_close(&kept);
        free(rgb);
    }
    muse_image_close(&img);
    free(exact);
}

#endif
