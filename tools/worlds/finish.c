/* SPDX-License-Identifier: Apache-2.0 */
/* Grounds under the objects, and what a camera adds over them: light, blur, noise, block artefacts. Also the lots drawn for
 * sizes, colours and fonts of a picture. */
#include <math.h>
#include <string.h>

#include "tools/worlds/inside.h"

/* weights near how bright the eye finds the channels */
static double distance(Rgb a, Rgb b)
{
    const double dr = a.r - b.r, dg = a.g - b.g, db = a.b - b.b;
    return sqrt((2 * dr * dr + 4 * dg * dg + 3 * db * db) / 9);
}

static Rgb mix(Rgb a, Rgb b, double t)
{
    return (Rgb){ (uint8_t)(a.r + (b.r - a.r) * t + 0.5), (uint8_t)(a.g + (b.g - a.g) * t + 0.5), (uint8_t)(a.b + (b.b - a.b) * t + 0.5) };
}

static Rgb ground_color(Rng *r)
{
    const double lot = rng_unit(r);
    const int base = lot < 0.45 ? rng_int(r, 195, 250) : lot < 0.7 ? rng_int(r, 8, 55) : rng_int(r, 60, 200);
    const int tint = rng_chance(r, 0.4) ? 6 : 26;
    int v[3];
    for (int i = 0; i < 3; i++) {
        v[i] = base + rng_int(r, -tint, tint);
        v[i] = v[i] < 0 ? 0 : v[i] > 255 ? 255 : v[i];
    }
    return (Rgb){ (uint8_t)v[0], (uint8_t)v[1], (uint8_t)v[2] };
}

enum { CLEAR = 64 };   /* distance at which an object's colour stands out, seen on contact sheets: gray 128 on 192 does */

static unsigned standing_out(Maker *m, const Ground *g)
{
    unsigned bits = 0;
    for (int c = 1; c < MUSE_WORLDS_COLORS; c++) {
        const Rgb rgb = muse_wd_color(m, c);
        double least = 1e9;
        for (int i = 0; i <= 4; i++) least = fmin(least, distance(rgb, mix(g->a, g->b, i / 4.0)));
        if (least >= CLEAR) bits |= 1u << c;
    }
    return bits;
}

/* Flat, a gradient, or a texture of low contrast: stripes, tiles, clouds, dots. */
Ground muse_wd_ground(Maker *m, bool plain)
{
    Rng *r = &m->paint;
    for (;;) {
        Ground g = { .kind = plain ? rng_int(r, 0, 1) : rng_chance(r, 0.55) ? rng_int(r, 0, 1) : rng_int(r, 2, 5), .a = ground_color(r), .seed = rng_next(r) };
        const int reach = g.kind == 0 ? 0 : g.kind == 1 ? 40 : 22;
        const int shift = rng_int(r, -reach, reach);
        const int v[3] = { g.a.r + shift + rng_int(r, -reach / 4, reach / 4), g.a.g + shift + rng_int(r, -reach / 4, reach / 4), g.a.b + shift + rng_int(r, -reach / 4, reach / 4) };
        uint8_t b[3];
        for (int i = 0; i < 3; i++) b[i] = (uint8_t)(v[i] < 0 ? 0 : v[i] > 255 ? 255 : v[i]);
        g.b = (Rgb){ b[0], b[1], b[2] };
        g.angle = rng_range(r, 0, 6.2831853);
        g.step = rng_range(r, 0.04, 0.16);
        g.colors = standing_out(m, &g);
        if (__builtin_popcount(g.colors) >= 7) return g;
    }
}

static double lattice(uint64_t seed, int x, int y) { return (double)(rng_mix(seed ^ ((uint64_t)(uint32_t)x << 32 | (uint32_t)y)) >> 40) * 0x1p-24; }

/* values of a lattice, smoothed between its points */
static double cloud(uint64_t seed, double x, double y)
{
    const int ix = (int)x, iy = (int)y;
    const double fx = x - ix, fy = y - iy, sx = fx * fx * (3 - 2 * fx), sy = fy * fy * (3 - 2 * fy);
    const double top = lattice(seed, ix, iy) * (1 - sx) + lattice(seed, ix + 1, iy) * sx;
    const double low = lattice(seed, ix, iy + 1) * (1 - sx) + lattice(seed, ix + 1, iy + 1) * sx;
    return top * (1 - sy) + low * sy;
}

/* clouds are computed on a coarse grid of columns and interpolated: 8 lattice mixes a pixel are too slow */
static double ground_value(const Ground *g, double x, double y)   /* x, y: 0..1 along the larger side */
{
    const double c = cos(g->angle), s = sin(g->angle), u = (x - 0.5) * c + (y - 0.5) * s;
    switch (g->kind) {
    case 1: return fmin(fmax(u * 0.75 + 0.5, 0), 1);
    case 2: return ((int)floor(u / g->step) & 1) ? 1 : 0;
    case 3: return ((int)(x / g->step) + (int)(y / g->step)) & 1 ? 1 : 0;
    case 4: return cloud(g->seed, x / g->step, y / g->step);
    default: {
        const double dx = x / g->step - floor(x / g->step) - 0.5, dy = y / g->step - floor(y / g->step) - 0.5;
        return dx * dx + dy * dy < 0.08 ? 1 : 0;
    }
    }
}

enum { CELL = 4 };   /* clouds and gradients: exact at every 4th pixel, linear between */

static void ground_row(const Ground *g, uint8_t *row, int w, double y, double side)
{
    const Rgb a = g->a;
    const int d[3] = { g->b.r - a.r, g->b.g - a.g, g->b.b - a.b };
    const bool smooth = g->kind == 1 || g->kind == 4;
    int t = 0, next = 0;
    for (int x = 0; x < w; x++, row += 3) {
        if (!smooth) t = (int)(256 * ground_value(g, (x + 0.5) / side, y));
        else if (x % CELL == 0) {
            t = x == 0 ? (int)(256 * ground_value(g, 0, y)) : next;
            next = (int)(256 * ground_value(g, (x + CELL) / side, y));
        }
        const int v = smooth ? t + (next - t) * (x % CELL) / CELL : t;
        row[0] = (uint8_t)(a.r + (d[0] * v) / 256);
        row[1] = (uint8_t)(a.g + (d[1] * v) / 256);
        row[2] = (uint8_t)(a.b + (d[2] * v) / 256);
    }
}

void muse_wd_paint_ground(Maker *m, size_t image, const Ground *g)
{
    const int w = (int)m->images[image].width, h = (int)m->images[image].height;
    const double side = w > h ? w : h;
    const size_t bytes = (size_t)w * 3;
    uint8_t *rgb = m->rgb[image];
    if (g->kind == 0) {   /* one row, then copies */
        for (int x = 0; x < w; x++) memcpy(rgb + 3 * x, &g->a, 3);
        for (int y = 1; y < h; y++) memcpy(rgb + (size_t)y * bytes, rgb, bytes);
        return;
    }
    for (int y = 0; y < h; y++) ground_row(g, rgb + (size_t)y * bytes, w, (y + 0.5) / side, side);
}

/* ---- light, blur, noise, blocks ---- */

Finish muse_wd_finish(Maker *m, bool gentle)
{
    Rng *r = &m->paint;
    Finish f = { .gain = 1 };
    if (rng_chance(r, 0.6)) f.gain = rng_range(r, 0.82, 1.08);
    if (rng_chance(r, 0.4)) {
        f.gain_x = rng_range(r, -0.1, 0.1);
        f.gain_y = rng_range(r, -0.1, 0.1);
    }
    if (rng_chance(r, 0.6)) f.noise = rng_range(r, 0.5, gentle ? 3 : 7);
    if (!gentle && rng_chance(r, 0.2)) f.blur = 1;
    if (!gentle && rng_chance(r, 0.12)) f.quality = rng_int(r, 35, 85);
    if (m->options.split == MUSE_WORLDS_HARD) {
        f.noise = rng_range(r, 10, 28);
        f.blur = rng_chance(r, 0.4);
    }
    return f;
}

/* 1 2 1 across and down */
static void blur(Maker *m, size_t image)
{
    const size_t w = m->images[image].width, h = m->images[image].height, bytes = w * 3;
    uint8_t *rgb = m->rgb[image], *spare = m->spare;
    for (size_t y = 0; y < h; y++) {
        const uint8_t *in = rgb + y * bytes;
        uint8_t *out = spare + y * bytes;
        memcpy(out, in, 3);
        for (size_t i = 3; i + 3 < bytes; i++) out[i] = (uint8_t)((in[i - 3] + 2 * in[i] + in[i + 3] + 2) >> 2);
        memcpy(out + bytes - 3, in + bytes - 3, 3);
    }
    for (size_t y = 1; y + 1 < h; y++) {
        const uint8_t *in = spare + y * bytes, *above = in - bytes, *below = in + bytes;
        uint8_t *out = rgb + y * bytes;
        for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)((above[i] + 2 * in[i] + below[i] + 2) >> 2);
    }
}

/* Rounds the cosine coefficients of 8 x 8 blocks, coarser for fine detail, as JPEG does (ITU-T T.81 A.3.3); no file is written. */
static void blocks(Maker *m, size_t image, int quality)
{
    const size_t w = m->images[image].width, h = m->images[image].height;
    float basis[8][8];
    for (int k = 0; k < 8; k++)
        for (int x = 0; x < 8; x++) basis[k][x] = (float)(cos((2 * x + 1) * k * 3.14159265358979323846 / 16) * (k ? 0.5 : 0.35355339059327373));
    const float coarse = (float)(100 - quality) * 0.1f;
    for (size_t by = 0; by + 8 <= h; by += 8)
        for (size_t bx = 0; bx + 8 <= w; bx += 8)
            for (int c = 0; c < 3; c++) {
                uint8_t *p = m->rgb[image] + (by * w + bx) * 3 + c;
                float in[8][8], half[8][8];
                for (int y = 0; y < 8; y++)
                    for (int x = 0; x < 8; x++) in[y][x] = (float)p[((size_t)y * w + (size_t)x) * 3];
                for (int y = 0; y < 8; y++)
                    for (int k = 0; k < 8; k++) {
                        half[y][k] = 0;
                        for (int x = 0; x < 8; x++) half[y][k] += in[y][x] * basis[k][x];
                    }
                for (int k = 0; k < 8; k++)
                    for (int j = 0; j < 8; j++) {
                        float v = 0;
                        for (int y = 0; y < 8; y++) v += half[y][k] * basis[j][y];
                        const float step = 2 + coarse * (float)(1 + j + k);
                        in[j][k] = floorf(v / step + 0.5f) * step;
                    }
                for (int j = 0; j < 8; j++)
                    for (int x = 0; x < 8; x++) {
                        half[j][x] = 0;
                        for (int k = 0; k < 8; k++) half[j][x] += in[j][k] * basis[k][x];
                    }
                for (int y = 0; y < 8; y++)
                    for (int x = 0; x < 8; x++) {
                        float v = 0.5f;
                        for (int j = 0; j < 8; j++) v += half[j][x] * basis[j][y];
                        p[((size_t)y * w + (size_t)x) * 3] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
                    }
            }
}

static void light_and_noise(Maker *m, size_t image, const Finish *f)
{
    const int w = (int)m->images[image].width, h = (int)m->images[image].height, sigma = (int)(f->noise * 256);
    const int16_t *gauss = m->worlds->gauss;
    for (int y = 0; y < h; y++) {
        uint8_t *p = m->rgb[image] + (size_t)y * (size_t)w * 3;
        int gain = (int)(65536 * (f->gain + f->gain_y * ((double)y / h - 0.5) - f->gain_x / 2));
        const int slope = (int)(65536 * f->gain_x / w);
        uint64_t lots = 0;
        for (int x = 0; x < w; x++, gain += slope, p += 3) {
            if (x % 2 == 0) lots = rng_next(&m->paint);   /* six tenths-of-64-bit draws: two pixels */
            for (int c = 0; c < 3; c++, lots >>= 10) {
                const int v = ((p[c] * gain + 32768) >> 16) + ((gauss[lots & 1023] * sigma + 32768) >> 16);
                p[c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
}

void muse_wd_apply(Maker *m, size_t image, const Finish *f)
{
    if (f->blur) blur(m, image);
    if (f->noise > 0 || f->gain != 1 || f->gain_x != 0 || f->gain_y != 0) light_and_noise(m, image, f);
    if (f->quality) blocks(m, image, f->quality);
}

/* ---- lots ---- */

unsigned muse_wd_pick_font(Maker *m)
{
    const MuseWorlds *w = m->worlds;
    const unsigned held = w->n_fonts - w->n_train_fonts;
    if (m->options.split == MUSE_WORLDS_FONTS && held) return w->n_train_fonts + rng_below(&m->paint, held);
    return rng_below(&m->paint, w->n_train_fonts);
}

/* sides from low to high (the options' bounds go first), half of the pictures square, the others up to 2:1 */
void muse_wd_side(Maker *m, uint32_t low, uint32_t high, bool square, int *width, int *height)
{
    const double min = m->options.min_side ? m->options.min_side : low, max = m->options.max_side ? m->options.max_side : high > min ? high : min;
    const double side = exp(rng_range(&m->lay, log(min), log(max + 0.999)));
    const double shape = m->options.aspect > 2 ? log(m->options.aspect) : 0.6931;
    double other = side;
    if (!square && rng_chance(&m->lay, 0.5)) other = fmax(min, side / exp(rng_range(&m->lay, 0, shape)));
    *width = (int)fmin(side, max);
    *height = (int)fmin(other, max);
    if (rng_chance(&m->lay, 0.5)) {
        const int t = *width;
        *width = *height;
        *height = t;
    }
}
