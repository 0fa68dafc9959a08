/* SPDX-License-Identifier: Apache-2.0 */
/* The drawing of a scaling fit: loss against positions, both on log scales, a curve and a colour for each number of parameters. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/canvas.h"
#include "muse/scaling.h"
#include "ops/runtime.h"

enum { WIDTH = 900, HEIGHT = 520, LEFT = 70, RIGHT = 190, TOP = 30, BOTTOM = 50, PLOT_W = WIDTH - LEFT - RIGHT, PLOT_H = HEIGHT - TOP - BOTTOM, TICKS = 4, ROW = 18,
       ROWS = PLOT_H / ROW - 2 /* of the legend: what is next stands below it */ };
static const uint32_t colours[] = { 0x1f5fa8, 0xc0392b, 0x2e8b57, 0x8e44ad, 0xd68910, 0x16a2a2, 0x7f5539, 0x555555 };
static const uint32_t ink = 0x444444;

typedef struct Plot {
    MuseCanvas c;
    double x0, x1, y0, y1;       /* ln positions, ln loss */
} Plot;

static double px(const Plot *p, double positions) { return LEFT + (log(positions) - p->x0) / (p->x1 - p->x0) * PLOT_W; }
static double py(const Plot *p, double loss) { return TOP + (p->y1 - log(loss)) / (p->y1 - p->y0) * PLOT_H; }

static void include(Plot *p, double positions, double loss)
{
    p->x0 = fmin(p->x0, log(positions)), p->x1 = fmax(p->x1, log(positions));
    p->y0 = fmin(p->y0, log(loss)), p->y1 = fmax(p->y1, log(loss));
}

static void write(const Plot *p, double x, double y, const char *text, uint32_t colour) { muse_canvas_text(&p->c, (int)x, (int)y, text, strlen(text), colour); }

static void draw_axes(const Plot *p)
{
    char text[48];
    for (int i = 0; i <= TICKS; i++) {
        const double x = LEFT + PLOT_W * i / (double)TICKS, y = TOP + PLOT_H * i / (double)TICKS;
        muse_canvas_fill(&p->c, LEFT, (int)y, PLOT_W, 1, 0xdddddd);
        muse_canvas_fill(&p->c, (int)x, TOP, 1, PLOT_H, 0xdddddd);
        snprintf(text, sizeof text, "%9.4g", exp(p->y1 + (p->y0 - p->y1) * i / TICKS));
        write(p, 8, y - MUSE_FONT_HEIGHT / 2.0, text, ink);
        snprintf(text, sizeof text, "%.3g", exp(p->x0 + (p->x1 - p->x0) * i / TICKS));
        write(p, x - 20, HEIGHT - BOTTOM + 8, text, ink);
    }
    write(p, LEFT, 8, "loss by positions", ink);
    write(p, LEFT + PLOT_W / 2.0 - 40, HEIGHT - 20, "positions (log)", ink);
}

static void draw_size(const Plot *p, const MuseScalingFit *fit, double parameters, size_t number, size_t n)
{
    enum { PIECES = 120 };
    const uint32_t colour = colours[number % (sizeof colours / sizeof *colours)];
    char text[48];
    double before[2] = { 0 };
    for (int i = 0; i <= PIECES; i++) {
        const double d = exp(p->x0 + (p->x1 - p->x0) * i / PIECES), x = px(p, d), y = py(p, muse_scaling_predict(fit, parameters, d, NULL, NULL));
        const bool in = y >= TOP && y <= TOP + PLOT_H;
        if (i && in && before[1] >= TOP && before[1] <= TOP + PLOT_H) muse_canvas_line(&p->c, before[0], before[1], x, y, 1.5, colour);
        before[0] = x, before[1] = y;
    }
    const bool more = number == ROWS - 1 && n > ROWS;
    if (more) snprintf(text, sizeof text, "and %zu more N", n - number);
    else snprintf(text, sizeof text, "N = %.4g", parameters);
    if (number < ROWS) write(p, WIDTH - RIGHT + 20, TOP + ROW * (double)number, text, more ? ink : colour);
}

static void draw_next(const Plot *p, const MuseScalingFit *fit, const MuseScalingPoint *next)
{
    double low, high;
    char text[64];
    const double loss = muse_scaling_predict(fit, next->parameters, next->positions, &low, &high), x = px(p, next->positions);
    muse_canvas_line(&p->c, x, py(p, high), x, py(p, low), 1.5, 0);
    muse_canvas_disc(&p->c, x, py(p, loss), 5, 0);
    muse_canvas_disc(&p->c, x, py(p, loss), 3, 0xffffff);
    snprintf(text, sizeof text, "next: N = %.4g", next->parameters);
    write(p, WIDTH - RIGHT + 20, HEIGHT - BOTTOM - 34, text, 0);
    snprintf(text, sizeof text, "%.4g (%.4g..%.4g)", loss, low, high);
    write(p, WIDTH - RIGHT + 20, HEIGHT - BOTTOM - 16, text, 0);
}

int muse_scaling_draw(MuseRuntime *rt, const char *path, const MuseScalingFit *fit, const MuseScalingPoint *points, size_t n, const MuseScalingPoint *next, MuseError *err)
{
    MUSE_REQUIRE(err, path && fit && points && n > 0);
    MuseRuntime *held = muse_runtime_ref(rt);
    Plot p = { { held ? muse_alloc(&held->alloc, (size_t)WIDTH * HEIGHT * 3) : NULL, WIDTH, HEIGHT }, INFINITY, -INFINITY, INFINITY, -INFINITY };
    double *sizes = held ? muse_alloc_array(&held->alloc, n, sizeof *sizes) : NULL;
    size_t n_sizes = 0;
    int rc = p.c.rgb && sizes ? 0 : MUSE_NOMEM(err, (size_t)WIDTH * HEIGHT * 3);
    for (size_t i = 0; i < n && sizes; i++) {
        size_t k = 0;
        include(&p, points[i].positions, points[i].loss);
        while (k < n_sizes && sizes[k] != points[i].parameters) k++;
        if (k == n_sizes) sizes[n_sizes++] = points[i].parameters;
    }
    if (next) {
        double ends[2];
        muse_scaling_predict(fit, next->parameters, next->positions, &ends[0], &ends[1]);
        for (int i = 0; i < 2; i++) include(&p, next->positions, fmax(ends[i], 1e-6));
    }
    const double wide = fmax((p.x1 - p.x0) / 20, 0.05), high = fmax((p.y1 - p.y0) / 20, 0.01);
    p.x0 -= wide, p.x1 += wide, p.y0 -= high, p.y1 += high;
    if (rc == 0) {
        muse_canvas_fill(&p.c, 0, 0, WIDTH, HEIGHT, 0xffffff);
        draw_axes(&p);
        for (size_t k = 0; k < n_sizes; k++) draw_size(&p, fit, sizes[k], k, n_sizes);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < n_sizes; k++)
                if (sizes[k] == points[i].parameters) muse_canvas_disc(&p.c, px(&p, points[i].positions), py(&p, points[i].loss), 4, colours[k % (sizeof colours / sizeof *colours)]);
        if (next) draw_next(&p, fit, next);
        rc = muse_png_write_file(path, p.c.rgb, WIDTH, HEIGHT, 0, MUSE_PIXELS_RGB, err);
    }
    muse_free(sizes);
    muse_free(p.c.rgb);
    muse_runtime_close(&held);
    return rc;
}
