/* SPDX-License-Identifier: Apache-2.0 */
/* EXIF orientation as geometry: how stored rows lie in the picture as it is seen. Users: picture.c, patches.c, tests. */
#ifndef TOKENIZERS_IMAGE_ORIENT_H
#define TOKENIZERS_IMAGE_ORIENT_H

#include "tokenizers/image/decode.h"

/* The seen picture is the stored one, mirrored along its stored axes, then transposed. */
typedef struct MuseOrient {
    bool mirror_x, mirror_y, transpose;
} MuseOrient;

/* exif: 1..8; anything else is 1. Source: EXIF 2.32, section 4.6.4. */
MuseOrient muse_orient(uint32_t exif);

/* A window of the seen picture as one of the stored picture of these stored sizes. */
MuseWindow muse_orient_window(MuseOrient o, uint32_t stored_width, uint32_t stored_height, MuseWindow seen);

/* Put stored rows first .. first+n-1 (RGB) to their places in a seen picture whose stored size is width x height.
 * dst: the seen picture, stride bytes from row to row. */
void muse_orient_rows(MuseOrient o, uint32_t width, uint32_t height, uint8_t *dst, size_t dst_stride, const uint8_t *src,
                      size_t src_stride, uint32_t first, uint32_t n);

#endif
