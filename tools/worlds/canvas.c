/* SPDX-License-Identifier: Apache-2.0 */
/* Filling outlines with exact coverage of each pixel, lines, rectangles and text made of outlines. Grounds and noise: finish.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/worlds/inside.h"

static bool reserve(Maker *m, void **block, size_t *cap, size_t bytes)
{
    if (bytes <= *cap) return true;
    void *larger = realloc(*block, bytes);
    if (!larger) {
        m->no_memory = true;
        return false;
    }
    *block = larger;
    *cap = bytes;
    return true;
}

bool muse_wd_picture(Maker *m, int width, int height)
{
    const size_t i = m->sample.n_images;
    if (i >= IMAGES_MAX || width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX) {
        m->full = true;
        return false;
    }
    const size_t bytes = (size_t)width * (size_t)height * 3;
    void *rgb = m->rgb[i], *spare = m->spare;
    const bool ok = reserve(m, &rgb, &m->rgb_cap[i], bytes) && reserve(m, &spare, &m->spare_cap, bytes);
    m->rgb[i] = rgb;
    m->spare = spare;
    if (!ok) return false;
    m->images[i] = (MuseWorldsImage){ (uint32_t)width, (uint32_t)height, m->rgb[i] };
    m->sample.n_images = i + 1;
    return true;
}

/* ---- coverage ---- */

/* Signed areas by pixel: the running sum along a row is the coverage. Column w takes what lies to the right. */
typedef struct Cover { float *acc; int stride, w, h; } Cover;

/* a piece inside one row: from xa to xb while y advances by dy (signed) */
static void add_piece(float *row, float xa, float xb, float dy)
{
    if (xb < xa) {
        const float t = xa;
        xa = xb;
        xb = t;
    }
    const float slope = xb > xa ? dy / (xb - xa) : 0.0f;
    int column = (int)xa;
    while (xb > (float)(column + 1)) {
        const float right = (float)(column + 1), part = (right - xa) * slope, mean = 0.5f * (xa + right) - (float)column;
        row[column] += part * (1.0f - mean);
        row[column + 1] += part * mean;
        dy -= part;
        xa = right;
        column++;
    }
    const float mean = 0.5f * (xa + xb) - (float)column;
    row[column] += dy * (1.0f - mean);
    row[column + 1] += dy * mean;
}

static float clamp(float v, float low, float high) { return v < low ? low : v > high ? high : v; }

static void add_edge(const Cover *c, float x0, float y0, float x1, float y1)
{
    if (y0 == y1) return;
    const float sign = y0 < y1 ? 1.0f : -1.0f;
    if (y0 > y1) {
        float t = x0;
        x0 = x1;
        x1 = t;
        t = y0;
        y0 = y1;
        y1 = t;
    }
    const float dx = (x1 - x0) / (y1 - y0);
    const int first = (int)clamp(floorf(y0), 0, (float)c->h), last = (int)clamp(ceilf(y1), 0, (float)c->h);
    for (int y = first; y < last; y++) {
        const float top = fmaxf((float)y, y0), bottom = fminf((float)(y + 1), y1);
        const float xa = clamp(x0 + (top - y0) * dx, 0, (float)c->w), xb = clamp(x0 + (bottom - y0) * dx, 0, (float)c->w);
        add_piece(c->acc + (size_t)y * (size_t)c->stride, xa, xb, sign * (bottom - top));
    }
}

static void blend(uint8_t *p, int color, int alpha) { *p = (uint8_t)(alpha == 256 ? color : (*p * (256 - alpha) + color * alpha + 128) >> 8); }

static void paint(Maker *m, size_t image, const Cover *c, int left, int top, Rgb color)
{
    for (int y = 0; y < c->h; y++) {
        const float *row = c->acc + (size_t)y * (size_t)c->stride;
        uint8_t *p = m->rgb[image] + ((size_t)(top + y) * m->images[image].width + (size_t)left) * 3;
        float sum = 0;
        for (int x = 0; x < c->w; x++, p += 3) {
            sum += row[x];
            const int alpha = (int)(256.0f * fminf(fabsf(sum), 1.0f) + 0.5f);
            if (alpha == 0) continue;
            blend(p, color.r, alpha);
            blend(p + 1, color.g, alpha);
            blend(p + 2, color.b, alpha);
        }
    }
}

typedef struct Affine { float xx, xy, yx, yy, x, y; } Affine;

static void place(const Affine *t, const float *p, float *x, float *y)
{
    *x = t->xx * p[0] + t->xy * p[1] + t->x;
    *y = t->yx * p[0] + t->yy * p[1] + t->y;
}

static MuseRect clip(const Maker *m, size_t image, MuseRect r)
{
    const double w = m->images[image].width, h = m->images[image].height;
    return (MuseRect){ fmin(fmax(r.x0, 0), w), fmin(fmax(r.y0, 0), h), fmin(fmax(r.x1, 0), w), fmin(fmax(r.y1, 0), h) };
}

static void fill(Maker *m, size_t image, const float *xy, const uint16_t *ends, size_t n_contours, const Affine *t, Rgb color, MuseRect *box)
{
    MuseRect r = { 1e9, 1e9, -1e9, -1e9 };
    float x, y;
    for (size_t i = 0; i < ends[n_contours - 1]; i++) {
        place(t, xy + 2 * i, &x, &y);
        r = (MuseRect){ fmin(r.x0, x), fmin(r.y0, y), fmax(r.x1, x), fmax(r.y1, y) };
    }
    r = clip(m, image, r);
    if (box) *box = r;
    const int left = (int)r.x0, top = (int)r.y0;
    Cover c = { m->cover, 0, (int)ceil(r.x1) - left, (int)ceil(r.y1) - top };
    if (c.w <= 0 || c.h <= 0) return;
    c.stride = c.w + 2;
    const size_t bytes = (size_t)c.stride * (size_t)c.h * sizeof(float);
    void *cover = m->cover;
    const bool ok = reserve(m, &cover, &m->cover_cap, bytes);
    m->cover = c.acc = cover;
    if (!ok) return;
    memset(c.acc, 0, bytes);
    for (size_t k = 0, i = 0; k < n_contours; k++) {
        const size_t first = i, end = ends[k];
        for (; i < end; i++) {
            float x1, y1;
            place(t, xy + 2 * i, &x, &y);
            place(t, xy + 2 * (i + 1 < end ? i + 1 : first), &x1, &y1);
            add_edge(&c, x - (float)left, y - (float)top, x1 - (float)left, y1 - (float)top);
        }
    }
    paint(m, image, &c, left, top, color);
}

void muse_wd_fill(Maker *m, size_t image, const Outline *o, double x, double y, double size, double angle, Rgb color, MuseRect *box)
{
    if (box) *box = (MuseRect){ x, y, x, y };
    if (o->n_contours == 0) return;   /* a space */
    const float co = (float)(cos(angle) * size), si = (float)(sin(angle) * size);
    fill(m, image, o->xy, o->ends, o->n_contours, &(Affine){ co, -si, si, co, (float)x, (float)y }, color, box);
}

void muse_wd_polygon(Maker *m, size_t image, const float *xy, size_t n, Rgb color, MuseRect *box)
{
    const uint16_t end = (uint16_t)n;
    fill(m, image, xy, &end, 1, &(Affine){ 1, 0, 0, 1, 0, 0 }, color, box);
}

void muse_wd_rect(Maker *m, size_t image, MuseRect r, Rgb color)
{
    const float x0 = (float)r.x0, y0 = (float)r.y0, x1 = (float)r.x1, y1 = (float)r.y1;
    muse_wd_polygon(m, image, (const float[]){ x0, y0, x1, y0, x1, y1, x0, y1 }, 4, color, NULL);
}

void muse_wd_line(Maker *m, size_t image, double x0, double y0, double x1, double y1, double width, Rgb color)
{
    const double length = hypot(x1 - x0, y1 - y0);
    if (length == 0) return;
    const float nx = (float)((y1 - y0) / length * width / 2), ny = (float)(-(x1 - x0) / length * width / 2);
    const float ax = (float)x0, ay = (float)y0, bx = (float)x1, by = (float)y1;
    muse_wd_polygon(m, image, (const float[]){ ax + nx, ay + ny, bx + nx, by + ny, bx - nx, by - ny, ax - nx, ay - ny }, 4, color, NULL);
}

double muse_wd_write(Maker *m, size_t image, unsigned font, const char *text, double x, double y, double cap, const Rgb *color, MuseRect *box)
{
    const Font *f = &m->worlds->fonts[font];
    double at = x;
    MuseRect all = { 1e9, 1e9, -1e9, -1e9 };
    for (const char *s = text; *s; s++) {
        const Outline *g = &f->glyphs[*s >= GLYPH_FIRST && *s <= GLYPH_LAST ? *s - GLYPH_FIRST : '?' - GLYPH_FIRST];
        if (g->n_contours) {
            all = (MuseRect){ fmin(all.x0, at + g->x0 * cap), fmin(all.y0, y + g->y0 * cap), fmax(all.x1, at + g->x1 * cap), fmax(all.y1, y + g->y1 * cap) };
            if (color) muse_wd_fill(m, image, g, at, y, cap, 0, *color, NULL);
        }
        at += g->advance * cap;
    }
    if (box) *box = all.x1 > all.x0 ? all : (MuseRect){ x, y, x, y };
    return at - x;
}
