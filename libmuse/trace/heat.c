/* SPDX-License-Identifier: Apache-2.0 */
/* Heat maps: grid cells to pixels (bilinear between the middles of cells), and colour over a picture. Computes no attention.
 * Called by trace_draw.c, trace_html.c and programs. */
#include <math.h>
#include <stdio.h>

#include "libmuse/trace/trace.h"

double muse_heat_top(const MuseTraceHeat *h)
{
    double top = 0;
    for (size_t i = 0; i < (size_t)h->width * h->height; i++) top = fmax(top, (double)h->values[i]);
    return top;
}

double muse_step_heat_top(const MuseTraceStep *s)
{
    double top = 0;
    for (size_t k = 0; k < s->n_heats; k++) top = fmax(top, muse_heat_top(&s->heats[k]));
    return top;
}

void muse_heat_share(double v, char text[24])
{
    if (v > 1) snprintf(text, 24, "%.3g", v);   /* no share: another driver's numbers */
    else snprintf(text, 24, v >= 0.1 ? "%.0f %%" : v >= 0.01 ? "%.1f %%" : "%.2g %%", 100 * v);
}

static double cell(const MuseTraceHeat *h, double x, double y)
{
    const double cx = fmin(fmax(x, 0), h->width - 1.0), cy = fmin(fmax(y, 0), h->height - 1.0);
    return (double)h->values[(size_t)cy * h->width + (size_t)cx];
}

double muse_heat_at(const MuseTraceHeat *h, double top, double x, double y)
{
    if (!(top > 0) || x < h->rect.x0 || x > h->rect.x1 || y < h->rect.y0 || y > h->rect.y1) return 0;
    const double u = (x - h->rect.x0) / (h->rect.x1 - h->rect.x0) * h->width - 0.5, v = (y - h->rect.y0) / (h->rect.y1 - h->rect.y0) * h->height - 0.5;
    const double i = floor(u), j = floor(v), a = u - i, b = v - j;
    return ((cell(h, i, j) * (1 - a) + cell(h, i + 1, j) * a) * (1 - b) + (cell(h, i, j + 1) * (1 - a) + cell(h, i + 1, j + 1) * a) * b) / top;
}

/* Dark violet, red, orange, pale yellow: brightness grows with the value, so it reads in grey and without red or green too. Own choice. */
static void heat_colour(double v, double rgb[3])
{
    static const double stops[][3] = { { 40, 10, 90 }, { 150, 20, 110 }, { 230, 60, 50 }, { 255, 160, 20 }, { 255, 245, 170 } };
    const double at = fmin(fmax(v, 0), 1) * 4;
    const int i = at >= 4 ? 3 : (int)at;
    for (int k = 0; k < 3; k++) rgb[k] = stops[i][k] + (stops[i + 1][k] - stops[i][k]) * (at - i);
}

void muse_heat_colour(double v, uint8_t rgba[4])
{
    double rgb[3];
    heat_colour(v, rgb);
    for (int k = 0; k < 3; k++) rgba[k] = (uint8_t)(rgb[k] + 0.5);
    rgba[3] = (uint8_t)(0.8 * 255 * sqrt(v) + 0.5);
}

/* what muse_heat_at() takes for the middle of pixel i of n over a side of a rectangle */
static double middle(double from, double to, uint32_t i, uint32_t n) { return from + (to - from) * (i + 0.5) / n; }

void muse_heat_over(uint8_t rgb[3], double v, double opacity)
{
    const double share = opacity * sqrt(v);   /* the root: small weights stay visible */
    double colour[3];
    heat_colour(v, colour);
    for (int k = 0; k < 3; k++) rgb[k] = (uint8_t)(rgb[k] * (1 - share) + colour[k] * share + 0.5);
}

int muse_heat_overlay(const MuseTraceHeat *h, MuseRect rect, uint8_t *rgb, uint32_t width, uint32_t height, double opacity, MuseError *err)
{
    MUSE_REQUIRE(err, h && h->values && h->width > 0 && h->height > 0 && rgb && width > 0 && height > 0 && opacity >= 0 && opacity <= 1);
    MUSE_REQUIRE(err, rect.x1 > rect.x0 && rect.y1 > rect.y0 && h->rect.x1 > h->rect.x0 && h->rect.y1 > h->rect.y0);
    const double top = muse_heat_top(h);
    for (uint32_t j = 0; j < height; j++)
        for (uint32_t i = 0; i < width; i++)
            muse_heat_over(rgb + ((size_t)j * width + i) * 3, muse_heat_at(h, top, middle(rect.x0, rect.x1, i, width), middle(rect.y0, rect.y1, j, height)), opacity);
    return 0;
}

void muse_heat_raise(const MuseTraceHeat *h, double top, MuseRect rect, float *values, uint32_t width, uint32_t height)
{
    for (uint32_t j = 0; j < height; j++)
        for (uint32_t i = 0; i < width; i++) {
            float *v = values + (size_t)j * width + i;
            *v = fmaxf(*v, (float)muse_heat_at(h, top, middle(rect.x0, rect.x1, i, width), middle(rect.y0, rect.y1, j, height)));
        }
}

void muse_heat_cover(const float *values, uint8_t *rgb, size_t n, double opacity)
{
    for (size_t i = 0; i < n; i++) muse_heat_over(rgb + i * 3, (double)values[i], opacity);
}
