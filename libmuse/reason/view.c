/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures seen in several ways: each leaves narrow strips at some edges out, so that another grid of patches lies over the things.
 * A view is a region of the picture that was given, so places stay pixels of the original. Called by reason.c. */
#include "libmuse/reason/view.h"

#include <math.h>

#include "tokenizers/image/picture.h"

/* What is left out at the left, the top, the right, the bottom, in strips. */
static const struct { uint8_t x0, y0, x1, y1; } strips[MUSE_VIEWS] = {
    { 0, 0, 0, 0 }, { 1, 1, 0, 0 }, { 0, 0, 1, 1 }, { 0, 1, 1, 0 }, { 1, 0, 0, 1 }, { 1, 1, 1, 1 }, { 1, 0, 0, 0 }, { 0, 1, 0, 0 },
};

/* A third of a patch where 144 patches cover a square picture: docs/reason.md, "Contemplating". */
static const double STRIP = 0.03;

enum { SIDE_MIN = 16 };   /* of less nothing is left out */

MuseRect muse_reason_view(uint32_t width, uint32_t height, uint32_t number)
{
    const double w = width, h = height, strip = fmin(w, h) < SIDE_MIN ? 0 : fmax(1, floor(STRIP * fmin(w, h) + 0.5));
    return (MuseRect){ strips[number].x0 * strip, strips[number].y0 * strip, w - strips[number].x1 * strip, h - strips[number].y1 * strip };
}

bool muse_reason_has_views(const MuseReasonPart *parts, size_t n)
{
    MuseImageInfo info;
    for (size_t i = 0; i < n; i++)
        if (parts[i].modality == MUSE_IMAGE && parts[i].image && muse_image_info(parts[i].image, &info) == 0 && info.width >= SIDE_MIN && info.height >= SIDE_MIN) return true;
    return false;
}

void muse_reason_view_close(MuseReasonPart *parts, size_t n)
{
    for (size_t i = 0; parts && i < n; i++)
        if (parts[i].modality == MUSE_IMAGE) muse_image_close(&parts[i].image);
    muse_free(parts);
}

int muse_reason_view_open(MuseReasonPart **out, const MuseAllocator *alloc, const MuseReasonPart *parts, size_t n, uint32_t number, MuseError *err)
{
    int rc = 0;
    MuseReasonPart *own = *out = muse_zalloc_array(alloc, n, sizeof *own);
    if (!own) return MUSE_NOMEM(err, n * sizeof *own);
    for (size_t i = 0; i < n && rc == 0; i++) {
        MuseImageInfo info;
        own[i] = parts[i];
        if (own[i].modality != MUSE_IMAGE || !own[i].image) continue;
        own[i].image = NULL;
        rc = muse_image_info(parts[i].image, &info);
        if (rc == 0) rc = muse_image_region(&own[i].image, parts[i].image, muse_reason_view(info.width, info.height, number), err);
        if (rc == 0) own[i].image->is_view = true;
    }
    if (rc == 0) return 0;
    muse_reason_view_close(own, n);
    *out = NULL;
    return rc;
}
