/* SPDX-License-Identifier: Apache-2.0 */
/* A small RGB canvas: rectangles, lines, blended pixels, a built-in font. Everything is clipped. Users: draw.c, trace. */
#ifndef LIBMUSE_CANVAS_H
#define LIBMUSE_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "muse/image.h"

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
void muse_canvas_copy(const MuseCanvas *c, int x, int y, const uint8_t *rgb, int w, int h);
/* One line of UTF-8; code points without a glyph show as a box. Returns the x after the last character. */
int  muse_canvas_text(const MuseCanvas *c, int x, int y, const char *text, size_t n, uint32_t colour);
/* the same with a background that keeps it legible on anything */
void muse_canvas_label(const MuseCanvas *c, int x, int y, const char *text, uint32_t colour, uint32_t background);

/* Anti-aliased, at any place: canvas_smooth.c. width, radius, height in pixels. */
void muse_canvas_line(const MuseCanvas *c, double x0, double y0, double x1, double y1, double width, uint32_t colour);   /* round ends */
void muse_canvas_disc(const MuseCanvas *c, double x, double y, double radius, uint32_t colour);
void muse_canvas_box(const MuseCanvas *c, MuseRect b, double radius, double width, uint32_t colour);      /* a line along the edge, corners rounded */
void muse_canvas_panel(const MuseCanvas *c, MuseRect b, double radius, uint32_t colour, double opacity);  /* filled; opacity 0..1 */
/* Text of any height, with a halo that many pixels wide (0: none) in another colour. Returns the x after it. */
double muse_canvas_type(const MuseCanvas *c, double x, double y, double height, const char *text, size_t n, uint32_t colour, double halo, uint32_t halo_colour);
double muse_canvas_type_width(double height, const char *text, size_t n);

#endif
