/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors and transposes, for windows and for rows of RGB pixels. Reads no EXIF: exif.c does. Called by picture.c, patches.c. */
#include "tokenizers/image/orient.h"

MuseOrient muse_orient(uint32_t exif)
{
    static const MuseOrient table[] = {
        [1] = { false, false, false }, [2] = { true, false, false }, [3] = { true, true, false }, [4] = { false, true, false },
        [5] = { false, false, true },  [6] = { false, true, true },  [7] = { true, true, true },  [8] = { true, false, true },
    };
    return table[exif >= 1 && exif <= 8 ? exif : 1];
}

MuseWindow muse_orient_window(MuseOrient o, uint32_t stored_width, uint32_t stored_height, MuseWindow w)
{
    if (o.transpose) w = (MuseWindow){ w.y, w.x, w.height, w.width };
    if (o.mirror_x) w.x = stored_width - w.x - w.width;
    if (o.mirror_y) w.y = stored_height - w.y - w.height;
    return w;
}

static void mirror_row(uint8_t *dst, const uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++, src += 3) memcpy(dst + 3 * (n - 1 - i), src, 3);
}

/* Columns of the block become runs of dst's rows, so that writes stay together. */
static void transpose_rows(MuseOrient o, uint32_t width, uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                           uint32_t at, uint32_t n)
{
    for (uint32_t x = 0; x < width; x++) {
        uint8_t *to = dst + (o.mirror_x ? width - 1 - x : x) * dst_stride + (size_t)at * 3;
        const uint8_t *from = src + (size_t)x * 3 + (o.mirror_y ? (n - 1) * src_stride : 0);
        for (uint32_t i = 0; i < n; i++, to += 3) {
            memcpy(to, from, 3);
            from = o.mirror_y ? from - (i + 1 < n ? src_stride : 0) : from + src_stride;
        }
    }
}

void muse_orient_rows(MuseOrient o, uint32_t width, uint32_t height, uint8_t *dst, size_t dst_stride, const uint8_t *src,
                      size_t src_stride, uint32_t first, uint32_t n)
{
    if (o.transpose) {
        transpose_rows(o, width, dst, dst_stride, src, src_stride, o.mirror_y ? height - first - n : first, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *to = dst + (o.mirror_y ? height - 1 - first - i : first + i) * dst_stride;
        if (o.mirror_x) mirror_row(to, src + i * src_stride, width);
        else memcpy(to, src + i * src_stride, (size_t)width * 3);
    }
}
