/* SPDX-License-Identifier: Apache-2.0 */
/* A small RGB canvas: rectangles, lines, blended pixels, a built-in font. Everything is clipped. Users: draw.c. */
#ifndef LIBMUSE_CANVAS_H
#define LIBMUSE_CANVAS_H

#include <stddef.h>
#include <stdint.h>

enum { MUSE_FONT_WIDTH = 6, MUSE_FONT_HEIGHT = 13, MUSE_FONT_FIRST = 0x20, MUSE_FONT_LAST = 0xff };
extern const uint8_t muse_font[][MUSE_FONT_HEIGHT];

/* rgb NULL: nothing is drawn, so that the same code can measure first */
typedef struct MuseCanvas {
    uint8_t *rgb;
    int width, height;
} MuseCanvas;

/* colours are 0xRRGGBB */
void muse_canvas_fill(const MuseCanvas *c, int x, int y, int w, int h, uint32_t colour);
/* opacity 0..256 */
void muse_canvas_blend(const MuseCanvas *c, int x, int y, int w, int h, uint32_t colour, int opacity);
void muse_canvas_frame(const MuseCanvas *c, int x, int y, int w, int h, uint32_t colour);
void muse_canvas_copy(const MuseCanvas *c, int x, int y, const uint8_t *rgb, int w, int h);
/* One line of UTF-8; code points without a glyph show as a box. Returns the x after the last character. */
int  muse_canvas_text(const MuseCanvas *c, int x, int y, const char *text, size_t n, uint32_t colour);
/* the same with a background that keeps it legible on anything */
void muse_canvas_label(const MuseCanvas *c, int x, int y, const char *text, uint32_t colour, uint32_t background);

#endif
