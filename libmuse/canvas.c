/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing primitives; all of them clip, none of them allocates. */
#include "libmuse/canvas.h"

#include <string.h>

#include "base/utf8.h"

static void clip(const MuseCanvas *c, int *x, int *y, int *w, int *h)
{
    if (*x < 0) *w += *x, *x = 0;
    if (*y < 0) *h += *y, *y = 0;
    if (*w > c->width - *x) *w = c->width - *x;
    if (*h > c->height - *y) *h = c->height - *y;
    if (!c->rgb) *h = 0;
}

void muse_canvas_blend(const MuseCanvas *c, int x, int y, int w, int h, uint32_t colour, int opacity)
{
    clip(c, &x, &y, &w, &h);
    const int rgb[3] = { colour >> 16 & 255, colour >> 8 & 255, colour & 255 };
    for (int j = 0; j < h; j++) {
        uint8_t *at = c->rgb + ((size_t)(y + j) * (size_t)c->width + (size_t)x) * 3;
        for (int i = 0; i < w; i++, at += 3)
            for (int k = 0; k < 3; k++) at[k] = (uint8_t)((at[k] * (256 - opacity) + rgb[k] * opacity) >> 8);
    }
}

void muse_canvas_fill(const MuseCanvas *c, int x, int y, int w, int h, uint32_t colour)
{
    clip(c, &x, &y, &w, &h);
    for (int j = 0; j < h; j++) {
        uint8_t *at = c->rgb + ((size_t)(y + j) * (size_t)c->width + (size_t)x) * 3;
        for (int i = 0; i < w; i++, at += 3) {
            at[0] = (uint8_t)(colour >> 16);
            at[1] = (uint8_t)(colour >> 8);
            at[2] = (uint8_t)colour;
        }
    }
}

void muse_canvas_copy(const MuseCanvas *c, int x, int y, const uint8_t *rgb, int w, int h)
{
    int cx = x, cy = y, cw = w, ch = h;
    clip(c, &cx, &cy, &cw, &ch);
    for (int j = 0; j < ch && cw > 0; j++)
        memcpy(c->rgb + ((size_t)(cy + j) * (size_t)c->width + (size_t)cx) * 3,
               rgb + ((size_t)(cy - y + j) * (size_t)w + (size_t)(cx - x)) * 3, (size_t)cw * 3);
}

int muse_canvas_text(const MuseCanvas *c, int x, int y, const char *text, size_t n, uint32_t colour)
{
    for (size_t i = 0, bytes; i < n; i += bytes, x += MUSE_FONT_WIDTH) {
        uint32_t code = 0xfffd;
        bytes = muse_utf8_char((const uint8_t *)text + i, n - i, &code);
        if (!bytes) bytes = 1;
        const int known = code >= MUSE_FONT_FIRST && code <= MUSE_FONT_LAST;
        const uint8_t *glyph = muse_font[known ? code - MUSE_FONT_FIRST : MUSE_FONT_LAST - MUSE_FONT_FIRST + 1];
        for (int row = 0; row < MUSE_FONT_HEIGHT; row++)
            for (int col = 0; col < MUSE_FONT_WIDTH; col++)
                if (glyph[row] >> (MUSE_FONT_WIDTH - 1 - col) & 1) muse_canvas_fill(c, x + col, y + row, 1, 1, colour);
    }
    return x;
}

void muse_canvas_label(const MuseCanvas *c, int x, int y, const char *text, uint32_t colour, uint32_t background)
{
    const size_t n = strlen(text);
    muse_canvas_blend(c, x, y, (int)n * MUSE_FONT_WIDTH + 3, MUSE_FONT_HEIGHT, background, 190);
    muse_canvas_text(c, x + 2, y, text, n, colour);
}
