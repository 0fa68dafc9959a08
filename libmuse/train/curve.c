/* SPDX-License-Identifier: Apache-2.0 */
/* The loss curve as a PNG: the log's third column against its first, averaged over what falls on one pixel, on a log scale. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmuse/canvas.h"
#include "libmuse/train/checkpoint.h"
#include "muse/image.h"

enum { WIDTH = 800, HEIGHT = 400, LEFT = 70, RIGHT = 20, TOP = 20, BOTTOM = 40, PLOT_W = WIDTH - LEFT - RIGHT, PLOT_H = HEIGHT - TOP - BOTTOM };

typedef struct Curve {
    double sum[PLOT_W], last_step, low, high;
    unsigned n[PLOT_W];
} Curve;

/* calls over the rows: step and loss. The buffer ends with a newline. */
static bool next_row(const char **at, const char *end, double *step, double *loss)
{
    const char *line = memchr(*at, '\n', (size_t)(end - *at));
    while (line && line + 1 < end) {
        const char *p = line + 1, *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) return false;
        *at = p;
        char *rest;
        *step = strtod(p, &rest);
        if (rest != p && *rest == ',') {
            strtod(rest + 1, &rest);                  /* positions */
            if (*rest == ',') {
                *loss = strtod(rest + 1, &rest);
                return true;
            }
        }
        line = stop;
    }
    return false;
}

static void read_curve(Curve *c, const char *text, size_t n)
{
    double step, loss;
    for (const char *at = text; next_row(&at, text + n, &step, &loss);) c->last_step = step > c->last_step ? step : c->last_step;
    for (const char *at = text; next_row(&at, text + n, &step, &loss);) {
        const double x = c->last_step > 0 ? step / c->last_step * (PLOT_W - 1) : 0;
        if (!(x >= 0 && x < PLOT_W) || !isfinite(loss)) continue;
        c->sum[(int)x] += loss;
        c->n[(int)x]++;
    }
    c->low = 1e300, c->high = 1e-300;
    for (int i = 0; i < PLOT_W; i++) {
        if (!c->n[i]) continue;
        const double v = c->sum[i] / c->n[i];
        c->low = v < c->low ? v : c->low;
        c->high = v > c->high ? v : c->high;
    }
    if (!(c->low > 1e-6)) c->low = 1e-6;
    if (!(c->high > c->low * 1.01)) c->high = c->low * 1.01;
}

static int height_of(const Curve *c, double loss)
{
    const double share = log((loss > c->low ? loss : c->low) / c->low) / log(c->high / c->low);
    return TOP + (int)((1 - share) * (PLOT_H - 1));
}

static void draw(const MuseCanvas *k, const Curve *c)
{
    char text[64];
    muse_canvas_fill(k, 0, 0, WIDTH, HEIGHT, 0xffffff);
    for (int i = 0; i <= 4; i++) {
        const double loss = c->low * pow(c->high / c->low, i / 4.0);
        const int y = height_of(c, loss), x = LEFT + PLOT_W * i / 4;
        muse_canvas_fill(k, LEFT, y, PLOT_W, 1, 0xdddddd);
        muse_canvas_text(k, 8, y - MUSE_FONT_HEIGHT / 2, text, (size_t)snprintf(text, sizeof text, "%9.4g", loss), 0x444444);
        const int n = snprintf(text, sizeof text, "%.0f", c->last_step * i / 4), left = x - n * MUSE_FONT_WIDTH / 2;
        muse_canvas_fill(k, x, HEIGHT - BOTTOM, 1, 5, 0x444444);
        muse_canvas_text(k, left + n * MUSE_FONT_WIDTH < WIDTH ? left : WIDTH - n * MUSE_FONT_WIDTH, HEIGHT - BOTTOM + 8, text, (size_t)n, 0x444444);
    }
    muse_canvas_text(k, LEFT, 4, text, (size_t)snprintf(text, sizeof text, "loss by step"), 0x444444);
    for (int i = 0, y_before = -1; i < PLOT_W; i++) {
        if (!c->n[i]) continue;
        const int y = height_of(c, c->sum[i] / c->n[i]), top = y_before < 0 || y < y_before ? y : y_before, bottom = y_before > y ? y_before : y;
        muse_canvas_fill(k, LEFT + i, top, 2, bottom - top + 2, 0x1f5fa8);
        y_before = y;
    }
}

int muse_curve_write(const MuseAllocator *a, const char *path, const MuseBuf *csv, MuseError *err)
{
    Curve *c = muse_zalloc(a, sizeof *c);
    uint8_t *rgb = muse_alloc(a, (size_t)WIDTH * HEIGHT * 3);
    char *text = muse_zalloc(a, csv->len + 1);   /* terminated: numbers are read by strtod */
    int rc = c && rgb && text ? 0 : MUSE_NOMEM(err, WIDTH * HEIGHT * 3);
    if (rc == 0) {
        if (csv->len) memcpy(text, csv->data, csv->len);
        read_curve(c, text, csv->len);
        draw(&(MuseCanvas){ rgb, WIDTH, HEIGHT }, c);
        rc = muse_png_write_file(path, rgb, WIDTH, HEIGHT, 0, MUSE_PIXELS_RGB, err);
    }
    muse_free(c);
    muse_free(rgb);
    muse_free(text);
    return rc;
}
