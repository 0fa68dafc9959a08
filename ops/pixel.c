/* SPDX-License-Identifier: Apache-2.0 */
/* The portable pixel kernels, which define the answer, and the table. Does not know file formats or picture sizes: the
 * image tokenizer calls these a row or a picture at a time. */
#include "ops/pixel.h"

void muse_grey_to_rgb_u8_c(uint8_t *rgb, const uint8_t *grey, size_t n)
{
    for (size_t i = 0; i < n; i++) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
}

/* v / 255 to the nearest; 255 is odd, so there are no ties. v <= 255 * 255 */
static inline uint8_t div255(unsigned v) { return (uint8_t)((v + 127) / 255); }

void muse_rgba_over_rgb_u8_c(uint8_t *rgb, const uint8_t *rgba, size_t n, const uint8_t background[3])
{
    for (size_t i = 0; i < n; i++) {
        const unsigned a = rgba[4 * i + 3];
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = div255(rgba[4 * i + c] * a + background[c] * (255 - a));
    }
}

void muse_rgba_drop_rgb_u8_c(uint8_t *rgb, const uint8_t *rgba, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = rgba[4 * i + c];
}

void muse_cmyk_to_rgb_u8_c(uint8_t *rgb, const uint8_t *cmyk, size_t n, int inverted)
{
    const uint8_t flip = inverted ? 0 : 255;
    for (size_t i = 0; i < n; i++) {
        const unsigned light = cmyk[4 * i + 3] ^ flip;
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = div255((unsigned)(cmyk[4 * i + c] ^ flip) * light);
    }
}

void muse_u8_to_f32_c(float *y, const uint8_t *x, size_t n, float scale, float offset)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i] * scale + offset;
}

void muse_transpose_rgb_u8_c(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, size_t width, size_t height)
{
    enum { TILE = 32 };   /* both tiles stay in the first-level cache */
    for (size_t y0 = 0; y0 < height; y0 += TILE)
        for (size_t x0 = 0; x0 < width; x0 += TILE) {
            const size_t y1 = height - y0 < TILE ? height : y0 + TILE, x1 = width - x0 < TILE ? width : x0 + TILE;
            for (size_t x = x0; x < x1; x++)
                for (size_t y = y0; y < y1; y++) {
                    const uint8_t *s = src + y * src_stride + 3 * x;
                    uint8_t *d = dst + x * dst_stride + 3 * y;
                    d[0] = s[0], d[1] = s[1], d[2] = s[2];
                }
        }
}

void muse_cut_patches_f32_c(float *out, const MusePatchCut *cut, size_t n)
{
    const size_t row = cut->unit * 3;
    for (size_t i = cut->first; i < cut->first + n; i++) {
        const uint8_t *corner = cut->rgb + i / cut->grid_width * cut->unit * cut->stride + i % cut->grid_width * row;
        for (size_t y = 0; y < cut->unit; y++, out += row) muse_u8_to_f32_c(out, corner + y * cut->stride, row, cut->scale, cut->offset);
    }
}

void muse_pixel_ops_init(MusePixelOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/pixel_kernels.inc"
#undef KERNEL
}
