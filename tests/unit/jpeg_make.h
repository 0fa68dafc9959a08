/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG files of every layout, made with libjpeg in memory, and libjpeg's own whole decode of them. */
#ifndef TESTS_JPEG_MAKE_H
#define TESTS_JPEG_MAKE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct JpegLayout {
    const char *name;
    int components;              /* 1, 3, 4 */
    J_COLOR_SPACE colour;        /* in the file */
    int h, v;                    /* sampling of the first component; the others have 1 */
    int progressive, arithmetic, restart_rows;
    const jpeg_scan_info *scans; /* NULL: the usual ones */
    int n_scans;
} JpegLayout;

static inline uint32_t jpeg_mix(uint32_t v)
{
    v = (v ^ v >> 16) * 0x7feb352du;
    v = (v ^ v >> 15) * 0x846ca68bu;
    return v ^ v >> 16;
}

/* One row of a textured picture: waves of several lengths, and noise of up to so many levels. */
static inline void jpeg_row(uint8_t *row, uint32_t y, uint32_t width, int components, double noise)
{
    for (uint32_t x = 0; x < width; x++) {
        const double wave = 40 * sin(x * 0.011 + y * 0.007) + 30 * sin(x * 0.13) * cos(y * 0.09) + 18 * sin((x + 2.0 * y) * 0.41);
        for (int c = 0; c < components; c++) {
            const double grain = ((double)(jpeg_mix(x * 4 + (uint32_t)c + y * 0x9e3779b9u) >> 24) / 128 - 1) * noise;
            const double v = 120 + 10 * c + wave * (1 - 0.3 * c) + 25 * sin(x * 0.017 * (c + 1) - y * 0.013) + grain;
            row[x * (uint32_t)components + (uint32_t)c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}

/* The file; release *bytes with free(). */
static inline unsigned long jpeg_make(unsigned char **bytes, const JpegLayout *layout, uint32_t width, uint32_t height, int quality, double noise)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned long size = 0;
    *bytes = NULL;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, bytes, &size);
    c.image_width = width;
    c.image_height = height;
    c.input_components = layout->components;
    c.in_color_space = layout->components == 1 ? JCS_GRAYSCALE : layout->components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, layout->colour);
    jpeg_set_quality(&c, quality, TRUE);
    c.comp_info[0].h_samp_factor = layout->h;
    c.comp_info[0].v_samp_factor = layout->v;
    if (layout->progressive) jpeg_simple_progression(&c);
    if (layout->scans) {
        c.scan_info = layout->scans;
        c.num_scans = layout->n_scans;
    }
    c.arith_code = layout->arithmetic ? TRUE : FALSE;
    c.restart_in_rows = layout->restart_rows;
    jpeg_start_compress(&c, TRUE);
    uint8_t *row = malloc((size_t)width * (size_t)layout->components);
    for (uint32_t y = 0; y < height; y++) {
        JSAMPROW at = row;
        jpeg_row(row, y, width, layout->components, noise);
        jpeg_write_scanlines(&c, &at, 1);
    }
    free(row);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return size;
}

/* libjpeg alone, into one reused row (whole NULL) or into the whole picture. Returns the samples a pixel. */
static inline int jpeg_bare(const unsigned char *bytes, unsigned long size, uint8_t *whole)
{
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    c.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&c);
    jpeg_mem_src(&c, bytes, size);
    jpeg_read_header(&c, TRUE);
    c.out_color_space = c.num_components == 4 ? JCS_CMYK : c.num_components == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_start_decompress(&c);
    const int components = c.output_components;
    const size_t stride = (size_t)c.output_width * (size_t)components;
    uint8_t *row = whole ? NULL : malloc(stride);
    while (c.output_scanline < c.output_height) {
        JSAMPROW at = whole ? whole + c.output_scanline * stride : row;
        jpeg_read_scanlines(&c, &at, 1);
    }
    jpeg_finish_decompress(&c);
    jpeg_destroy_decompress(&c);
    free(row);
    return components;
}

#endif
