/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels between formats: to RGB, to float, into patches. Integer results are exact and float results single rounded
 * operations, so every variant gives the same bits. Users: tokenizers/image. */
#ifndef OPS_PIXEL_H
#define OPS_PIXEL_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "ops/cpu.h"

/* In all of these n counts pixels (samples in u8_to_f32), any alignment will do, and the output overlaps no input. */

/* rgb[i] = grey[i] three times */
typedef void MuseGreyToRgbU8(uint8_t *rgb, const uint8_t *grey, size_t n);

/* composite: rgb = round((c * a + b * (255 - a)) / 255), c and a of the pixel (not premultiplied), b the background */
typedef void MuseRgbaOverRgbU8(uint8_t *rgb, const uint8_t *rgba, size_t n, const uint8_t background[3]);

/* the stored colours, alpha left out */
typedef void MuseRgbaDropRgbU8(uint8_t *rgb, const uint8_t *rgba, size_t n);

/* rgb = round((255 - c) * (255 - k) / 255), likewise m, y; what Pillow gives. inverted: samples are 255 - ink, as Adobe
 * writes CMYK JPEG files */
typedef void MuseCmykToRgbU8(uint8_t *rgb, const uint8_t *cmyk, size_t n, int inverted);

/* y[i] = x[i] * scale + offset, rounded after each of the two operations */
typedef void MuseU8ToF32(float *y, const uint8_t *x, size_t n, float scale, float offset);

/* dst[x][y] = src[y][x] of RGB pixels; src has height rows of width pixels; strides in bytes */
typedef void MuseTransposeRgbU8(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, size_t width, size_t height);

/* Patches first .. first+n-1 of a picture cut into squares of `unit` pixels, grid_width squares a row, raster order.
 * rgb: the picture, rows stride bytes apart. out: [n, unit * unit * 3], row, column, RGB fastest; value as u8_to_f32. */
typedef struct MusePatchCut {
    const uint8_t *rgb;
    size_t stride, unit, grid_width, first;
    float  scale, offset;
} MusePatchCut;
typedef void MuseCutPatchesF32(float *out, const MusePatchCut *cut, size_t n);

typedef struct MusePixelOps {
    MuseGreyToRgbU8    *grey_to_rgb_u8;
    MuseRgbaOverRgbU8  *rgba_over_rgb_u8;
    MuseRgbaDropRgbU8  *rgba_drop_rgb_u8;
    MuseCmykToRgbU8    *cmyk_to_rgb_u8;
    MuseU8ToF32        *u8_to_f32;
    MuseTransposeRgbU8 *transpose_rgb_u8;
    MuseCutPatchesF32  *cut_patches_f32;
} MusePixelOps;

void muse_pixel_ops_init(MusePixelOps *ops, unsigned cpu);

#define KERNEL(op, Type, need, name) Type name;
#include "ops/pixel_kernels.inc"
#undef KERNEL

#endif
