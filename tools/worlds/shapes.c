/* SPDX-License-Identifier: Apache-2.0 */
/* Names and outlines of shapes, names and values of colours, the SVG head. What is held out of training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/worlds/inside.h"

static const double pi = 3.14159265358979323846;

static const char *const kinds[MUSE_WORLDS_KINDS] = { "", "circle", "square", "triangle", "star", "cross", "diamond", "hexagon", "heart",
                                                      "letter", "digit", "bar", "point", "slice", "cover", "text" };
static const char *const colors[MUSE_WORLDS_COLORS] = { "", "red", "green", "blue", "yellow", "orange", "purple", "cyan", "pink", "gray", "black", "white" };
static const char *const sizes[MUSE_WORLDS_SIZES] = { "", "small", "medium", "large" };

const char *muse_worlds_kind_name(int kind) { return kind > 0 && kind < MUSE_WORLDS_KINDS ? kinds[kind] : ""; }
const char *muse_worlds_color_name(int color) { return color > 0 && color < MUSE_WORLDS_COLORS ? colors[color] : ""; }
const char *muse_worlds_size_name(int size) { return size > 0 && size < MUSE_WORLDS_SIZES ? sizes[size] : ""; }

/* 6 of 88 pairs; each colour and each shape is still seen with all others */
int muse_worlds_held_out(int color, int kind)
{
    static const uint8_t pairs[][2] = { { MUSE_WORLDS_RED, MUSE_WORLDS_STAR }, { MUSE_WORLDS_BLUE, MUSE_WORLDS_CROSS }, { MUSE_WORLDS_GREEN, MUSE_WORLDS_DIAMOND },
        { MUSE_WORLDS_YELLOW, MUSE_WORLDS_TRIANGLE }, { MUSE_WORLDS_PURPLE, MUSE_WORLDS_HEART }, { MUSE_WORLDS_ORANGE, MUSE_WORLDS_HEXAGON } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][0] == color && pairs[i][1] == kind) return 1;
    return 0;
}

Rgb muse_wd_color(Maker *m, int color)
{
    static const uint8_t base[MUSE_WORLDS_COLORS][3] = { { 0, 0, 0 }, { 216, 40, 42 }, { 40, 158, 58 }, { 44, 78, 214 }, { 238, 214, 36 }, { 244, 138, 22 },
        { 132, 48, 170 }, { 46, 200, 214 }, { 246, 136, 186 }, { 128, 128, 128 }, { 18, 18, 18 }, { 245, 245, 245 } };
    const bool neutral = color >= MUSE_WORLDS_GRAY;   /* grays stay gray */
    const int reach = 8, same = rng_int(&m->paint, -reach, reach);
    int v[3];
    for (int i = 0; i < 3; i++) {
        v[i] = base[color][i] + (neutral ? same : rng_int(&m->paint, -reach, reach));
        v[i] = v[i] < 0 ? 0 : v[i] > 255 ? 255 : v[i];
    }
    return (Rgb){ (uint8_t)v[0], (uint8_t)v[1], (uint8_t)v[2] };
}

/* ---- outlines ---- */

void muse_wd_outline_free(Outline *o)
{
    free(o->xy);
    free(o->ends);
    *o = (Outline){ 0 };
}

/* one contour of n points at radii r0, r1, r0 ..., the first upwards */
static size_t ring(float *xy, size_t n, double r0, double r1, double start)
{
    for (size_t i = 0; i < n; i++) {
        const double a = start + 2 * pi * (double)i / (double)n, r = i % 2 ? r1 : r0;
        xy[2 * i] = (float)(r * sin(a));
        xy[2 * i + 1] = (float)(-r * cos(a));
    }
    return n;
}

static size_t heart(float *xy)
{
    const size_t n = 48;
    for (size_t i = 0; i < n; i++) {
        const double t = 2 * pi * (double)i / (double)n, s = sin(t);
        xy[2 * i] = (float)(s * s * s * 0.98);
        xy[2 * i + 1] = (float)(-(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)) / 16.5 - 0.1);
    }
    return n;
}

static size_t shape_points(int kind, float *xy)
{
    static const float square[] = { -0.76f, -0.76f, 0.76f, -0.76f, 0.76f, 0.76f, -0.76f, 0.76f }, diamond[] = { 0, -1, 0.66f, 0, 0, 1, -0.66f, 0 };
    static const float triangle[] = { 0, -0.95f, 0.95f, 0.75f, -0.95f, 0.75f };
    static const float cross[] = { -0.3f, -0.95f, 0.3f, -0.95f, 0.3f, -0.3f, 0.95f, -0.3f, 0.95f, 0.3f, 0.3f, 0.3f, 0.3f, 0.95f, -0.3f, 0.95f,
                                   -0.3f, 0.3f, -0.95f, 0.3f, -0.95f, -0.3f, -0.3f, -0.3f };
    switch (kind) {
    case MUSE_WORLDS_CIRCLE: return ring(xy, 64, 0.88, 0.88, 0);
    case MUSE_WORLDS_STAR: return ring(xy, 10, 1.0, 0.42, 0);
    case MUSE_WORLDS_HEXAGON: return ring(xy, 6, 0.96, 0.96, 0);
    case MUSE_WORLDS_HEART: return heart(xy);
    case MUSE_WORLDS_SQUARE: memcpy(xy, square, sizeof square); return 4;
    case MUSE_WORLDS_DIAMOND: memcpy(xy, diamond, sizeof diamond); return 4;
    case MUSE_WORLDS_TRIANGLE: memcpy(xy, triangle, sizeof triangle); return 3;
    default: memcpy(xy, cross, sizeof cross); return 12;
    }
}

int muse_wd_shapes_open(MuseWorlds *w)
{
    for (int kind = MUSE_WORLDS_CIRCLE; kind <= MUSE_WORLDS_HEART; kind++) {
        float xy[2 * 64];
        Outline *o = &w->shapes[kind];
        const size_t n = shape_points(kind, xy);
        o->xy = malloc(n * 2 * sizeof *xy);
        o->ends = malloc(sizeof *o->ends);
        if (!o->xy || !o->ends) return MUSE_ERR_NOMEM;
        memcpy(o->xy, xy, n * 2 * sizeof *xy);
        o->ends[0] = (uint16_t)n;
        o->n_contours = 1;
    }
    return 0;
}

const char *muse_worlds_svg_head(void)
{
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\"><defs>"
           "<circle id=\"circle\" r=\".88\"/><path id=\"square\" d=\"M-.76-.76H.76V.76H-.76Z\"/><path id=\"triangle\" d=\"M0-.95L.95 .75H-.95Z\"/>"
           "<path id=\"star\" d=\"M0-1L.247-.34L.951-.309L.399.13L.588.809L0 .42L-.588.809L-.399.13L-.951-.309L-.247-.34Z\"/>"
           "<path id=\"cross\" d=\"M-.3-.95H.3V-.3H.95V.3H.3V.95H-.3V.3H-.95V-.3H-.3Z\"/><path id=\"diamond\" d=\"M0-1L.66 0L0 1L-.66 0Z\"/>"
           "<path id=\"hexagon\" d=\"M0-.96L.831-.48V.48L0 .96L-.831.48V-.48Z\"/>"
           "<path id=\"heart\" d=\"M0 .93C-.5 .5-.98 .1-.98-.42C-.98-1-.25-1.05 0-.5C.25-1.05 .98-1 .98-.42C.98 .1 .5 .5 0 .93Z\"/></defs>";
}
