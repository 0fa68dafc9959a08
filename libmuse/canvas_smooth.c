/* SPDX-License-Identifier: Apache-2.0 */
/* Anti-aliased drawing by distance: a pixel's cover is how far its middle lies inside a shape. Text is the built-in font taken as strokes
 * between the middles of neighbouring dots, so that it has no steps at any size. Clips; allocates nothing. Called by trace_draw.c, trace_marks.c. */
#include <math.h>

#include "base/utf8.h"
#include "libmuse/canvas.h"

/* Half the width of a stroke of text, in dots of the font: 0.5 would be the dots' own */
static const double stroke = 0.6;

static void put(const MuseCanvas *c, int x, int y, uint32_t colour, double cover)
{
    if (!c->rgb || x < 0 || y < 0 || x >= c->width || y >= c->height || !(cover > 0)) return;
    const double share = cover < 1 ? cover : 1;
    uint8_t *at = c->rgb + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
    for (int k = 0; k < 3; k++) at[k] = (uint8_t)(at[k] * (1 - share) + (colour >> (16 - 8 * k) & 255) * share + 0.5);
}

/* whole pixels that a span may touch, within 0..limit */
static void reach(double low, double high, int limit, int *from, int *to)
{
    *from = (int)fmax(0, fmin(limit, floor(low)));
    *to = (int)fmax(0, fmin(limit, ceil(high)));
}

static double to_segment(double px, double py, double x0, double y0, double x1, double y1)
{
    const double dx = x1 - x0, dy = y1 - y0, len = dx * dx + dy * dy;
    const double t = len > 0 ? fmin(fmax(((px - x0) * dx + (py - y0) * dy) / len, 0), 1) : 0;
    const double x = px - x0 - t * dx, y = py - y0 - t * dy;
    return sqrt(x * x + y * y);   /* hypot() would guard a range that pixels have not */
}

void muse_canvas_line(const MuseCanvas *c, double x0, double y0, double x1, double y1, double width, uint32_t colour)
{
    int left, right, top, bottom;
    const double r = width / 2;
    reach(fmin(x0, x1) - r - 1, fmax(x0, x1) + r + 1, c->width, &left, &right);
    reach(fmin(y0, y1) - r - 1, fmax(y0, y1) + r + 1, c->height, &top, &bottom);
    for (int y = top; y < bottom && c->rgb; y++)
        for (int x = left; x < right; x++) put(c, x, y, colour, r + 0.5 - to_segment(x + 0.5, y + 0.5, x0, y0, x1, y1));
}

void muse_canvas_disc(const MuseCanvas *c, double x, double y, double radius, uint32_t colour) { muse_canvas_line(c, x, y, x, y, 2 * radius, colour); }

/* distance to a rounded rectangle, negative inside */
static double to_box(double px, double py, MuseRect b, double radius)
{
    const double qx = fabs(px - (b.x0 + b.x1) / 2) - (b.x1 - b.x0) / 2 + radius, qy = fabs(py - (b.y0 + b.y1) / 2) - (b.y1 - b.y0) / 2 + radius;
    const double x = fmax(qx, 0), y = fmax(qy, 0);
    return sqrt(x * x + y * y) + fmin(fmax(qx, qy), 0) - radius;
}

void muse_canvas_box(const MuseCanvas *c, MuseRect b, double radius, double width, uint32_t colour)
{
    int left, right, top, bottom;
    const double r = width / 2, skip = r + radius + 2;
    reach(b.x0 - r - 1, b.x1 + r + 1, c->width, &left, &right);
    reach(b.y0 - r - 1, b.y1 + r + 1, c->height, &top, &bottom);
    for (int y = top; y < bottom && c->rgb; y++) {
        const int inner = y > b.y0 + skip && y < b.y1 - skip;
        for (int x = left; x < right; x++) {
            if (inner && x > b.x0 + skip && x < b.x1 - skip) {   /* far inside: on to the right side */
                x = (int)(b.x1 - skip);
                continue;
            }
            put(c, x, y, colour, r + 0.5 - fabs(to_box(x + 0.5, y + 0.5, b, radius)));
        }
    }
}

void muse_canvas_panel(const MuseCanvas *c, MuseRect b, double radius, uint32_t colour, double opacity)
{
    int left, right, top, bottom;
    reach(b.x0 - 1, b.x1 + 1, c->width, &left, &right);
    reach(b.y0 - 1, b.y1 + 1, c->height, &top, &bottom);
    for (int y = top; y < bottom && c->rgb; y++)
        for (int x = left; x < right; x++) put(c, x, y, colour, opacity * fmin(1, 0.5 - to_box(x + 0.5, y + 0.5, b, radius)));
}

/* ---- text ---- */

static int dot(const uint8_t *glyph, int col, int row)
{
    return col >= 0 && row >= 0 && col < MUSE_FONT_WIDTH && row < MUSE_FONT_HEIGHT && (glyph[row] >> (MUSE_FONT_WIDTH - 1 - col) & 1);
}

typedef struct Strokes { double at[160][4]; int n; } Strokes;

static void add_stroke(Strokes *s, int x0, int y0, int x1, int y1)
{
    if (s->n == 160) return;   /* no glyph of the font comes near */
    double *to = s->at[s->n++];
    to[0] = x0 + 0.5, to[1] = y0 + 0.5, to[2] = x1 + 0.5, to[3] = y1 + 0.5;
}

/* Dots side by side are joined; corner to corner only where no way round joins them. */
static void strokes_of(const uint8_t *glyph, Strokes *s)
{
    s->n = 0;
    for (int y = 0; y < MUSE_FONT_HEIGHT; y++)
        for (int x = 0; x < MUSE_FONT_WIDTH; x++) {
            if (!dot(glyph, x, y)) continue;
            const int right = dot(glyph, x + 1, y), down = dot(glyph, x, y + 1), before = s->n;
            if (right) add_stroke(s, x, y, x + 1, y);
            if (down) add_stroke(s, x, y, x, y + 1);
            if (!right && !down && dot(glyph, x + 1, y + 1)) add_stroke(s, x, y, x + 1, y + 1);
            if (!down && !dot(glyph, x - 1, y) && dot(glyph, x - 1, y + 1)) add_stroke(s, x, y, x - 1, y + 1);
            if (right && down && dot(glyph, x - 1, y) && dot(glyph, x, y - 1) && !dot(glyph, x - 1, y - 1))   /* the font's full stop is a cross: filled to a dot */
                for (int k = 0; k < 4; k++) add_stroke(s, x + (k < 2 ? -1 : 1), y, x, y + (k % 2 ? -1 : 1));
            if (s->n == before) add_stroke(s, x, y, x, y);   /* a dot of its own, or an end that others have joined */
        }
}

static void type_glyph(const MuseCanvas *c, double x, double y, double unit, const Strokes *s, double grow, uint32_t colour)
{
    int left, right, top, bottom;
    const double r = stroke * unit + grow;
    reach(x - r - 1, x + MUSE_FONT_WIDTH * unit + r + 1, c->width, &left, &right);
    reach(y - r - 1, y + MUSE_FONT_HEIGHT * unit + r + 1, c->height, &top, &bottom);
    for (int j = top; j < bottom && s->n; j++)
        for (int i = left; i < right; i++) {
            double d = INFINITY;
            const double px = (i + 0.5 - x) / unit, py = (j + 0.5 - y) / unit;
            for (int k = 0; k < s->n; k++) d = fmin(d, to_segment(px, py, s->at[k][0], s->at[k][1], s->at[k][2], s->at[k][3]));
            put(c, i, j, colour, r + 0.5 - d * unit);
        }
}

double muse_canvas_type_width(double height, const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0, bytes; i < n; i += bytes, count++) {
        bytes = muse_utf8_char((const uint8_t *)text + i, n - i, NULL);
        if (!bytes) bytes = 1;
    }
    return (double)count * MUSE_FONT_WIDTH * height / MUSE_FONT_HEIGHT;
}

double muse_canvas_type(const MuseCanvas *c, double x, double y, double height, const char *text, size_t n, uint32_t colour, double halo, uint32_t halo_colour)
{
    const double unit = height / MUSE_FONT_HEIGHT, start = x;
    for (int pass = halo > 0 ? 0 : 1; pass < 2 && c->rgb; pass++) {   /* all halos first: none lies over a neighbour's letter */
        x = start;
        for (size_t i = 0, bytes; i < n && x < c->width; i += bytes, x += MUSE_FONT_WIDTH * unit) {
            uint32_t code = 0xfffd;
            Strokes s;
            bytes = muse_utf8_char((const uint8_t *)text + i, n - i, &code);
            if (!bytes) bytes = 1;
            const int known = code >= MUSE_FONT_FIRST && code <= MUSE_FONT_LAST;
            strokes_of(muse_font[known ? code - MUSE_FONT_FIRST : MUSE_FONT_LAST - MUSE_FONT_FIRST + 1], &s);
            type_glyph(c, x, y, unit, &s, pass ? 0 : halo, pass ? colour : halo_colour);
        }
    }
    return start + muse_canvas_type_width(height, text, n);
}
