/* SPDX-License-Identifier: Apache-2.0 */
/* The curve of a run as a PNG: the log's column "reward" where it has one (its loss says little), else "loss", against the first,
 * averaged over what falls on one pixel; losses on a log scale, if all are above zero. Users: checkpoint.c, tests. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmuse/canvas.h"
#include "libmuse/train/checkpoint.h"
#include "muse/image.h"

enum { WIDTH = 800, HEIGHT = 400, LEFT = 70, RIGHT = 20, TOP = 20, BOTTOM = 40, PLOT_W = WIDTH - LEFT - RIGHT, PLOT_H = HEIGHT - TOP - BOTTOM };

typedef struct Curve {
    const char *what;              /* the column */
    bool linear;
    double sum[PLOT_W], last_step, low, high;
    unsigned n[PLOT_W];
} Curve;

/* which column of a line of names; 0: none, since the first is the step */
static unsigned column_of(const char *line, const char *name)
{
    const size_t n = strlen(name);
    for (unsigned column = 1; (line = line + strcspn(line, ",\n"), *line == ','); column++) {
        line++;
        if (strncmp(line, name, n) == 0 && (line[n] == ',' || line[n] == '\n')) return column;
    }
    return 0;
}

static bool names_columns(const char *line) { return strncmp(line, "step,", 5) == 0; }

/* The next row that has a value, from *at on, which moves; *column is that of the last line of names. The text is terminated. */
static bool next_row(const char **at, const char *what, unsigned *column, double *step, double *value)
{
    for (const char *line = *at, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *rest;
        const char *field = line;
        if (names_columns(line)) {
            *column = column_of(line, what);
            continue;
        }
        for (unsigned i = 0; i < *column && field; i++) field = memchr(field, ',', (size_t)(end - field)) ? (const char *)memchr(field, ',', (size_t)(end - field)) + 1 : NULL;
        *step = strtod(line, &rest);
        if (*column == 0 || !field || rest == line || *rest != ',') continue;
        *value = strtod(field, &rest);
        *at = end + 1;
        if (rest != field) return true;
    }
    return false;
}

static bool has_reward(const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (names_columns(line) && column_of(line, "reward")) return true;
    return false;
}

static void read_curve(Curve *c, const char *text)
{
    double step, value;
    unsigned column = 0;
    c->what = has_reward(text) ? "reward" : "loss";
    for (const char *at = text; next_row(&at, c->what, &column, &step, &value);) c->last_step = step > c->last_step ? step : c->last_step;
    for (const char *at = text; next_row(&at, c->what, &column, &step, &value);) {
        const double x = c->last_step > 0 ? step / c->last_step * (PLOT_W - 1) : 0;
        if (!(x >= 0 && x < PLOT_W) || !isfinite(value)) continue;
        c->sum[(int)x] += value;
        c->n[(int)x]++;
    }
    c->low = INFINITY, c->high = -INFINITY;
    for (int i = 0; i < PLOT_W; i++) {
        if (!c->n[i]) continue;
        const double v = c->sum[i] / c->n[i];
        c->low = v < c->low ? v : c->low;
        c->high = v > c->high ? v : c->high;
    }
    if (!(c->low <= c->high)) c->low = c->high = 1;
    c->linear = strcmp(c->what, "loss") != 0 || !(c->low > 0);
    if (!c->linear && c->low < 1e-6) c->low = 1e-6;
    if (c->linear ? !(c->high - c->low > 1e-6) : !(c->high > c->low * 1.01)) c->high = c->linear ? c->low + 1e-6 : c->low * 1.01;
}

static double value_at(const Curve *c, double share) { return c->linear ? c->low + (c->high - c->low) * share : c->low * pow(c->high / c->low, share); }

static int height_of(const Curve *c, double value)
{
    const double share = c->linear ? (value - c->low) / (c->high - c->low) : log((value > c->low ? value : c->low) / c->low) / log(c->high / c->low);
    return TOP + (int)((1 - share) * (PLOT_H - 1));
}

static void draw(const MuseCanvas *k, const Curve *c)
{
    char text[64];
    muse_canvas_fill(k, 0, 0, WIDTH, HEIGHT, 0xffffff);
    for (int i = 0; i <= 4; i++) {
        const double value = value_at(c, i / 4.0);
        const int y = height_of(c, value), x = LEFT + PLOT_W * i / 4;
        muse_canvas_fill(k, LEFT, y, PLOT_W, 1, 0xdddddd);
        muse_canvas_text(k, 8, y - MUSE_FONT_HEIGHT / 2, text, (size_t)snprintf(text, sizeof text, "%9.4g", value), 0x444444);
        const int n = snprintf(text, sizeof text, "%.0f", c->last_step * i / 4), left = x - n * MUSE_FONT_WIDTH / 2;
        muse_canvas_fill(k, x, HEIGHT - BOTTOM, 1, 5, 0x444444);
        muse_canvas_text(k, left + n * MUSE_FONT_WIDTH < WIDTH ? left : WIDTH - n * MUSE_FONT_WIDTH, HEIGHT - BOTTOM + 8, text, (size_t)n, 0x444444);
    }
    muse_canvas_text(k, LEFT, 4, text, (size_t)snprintf(text, sizeof text, "%s by step", c->what), 0x444444);
    for (int i = 0, x_before = 0, y_before = -1; i < PLOT_W; i++) {
        if (!c->n[i]) continue;
        const int y = height_of(c, c->sum[i] / c->n[i]), top = y_before < 0 || y < y_before ? y : y_before, bottom = y_before > y ? y_before : y;
        if (y_before >= 0) muse_canvas_fill(k, LEFT + x_before, y_before, i - x_before, 2, 0x1f5fa8);   /* few steps are far from each other */
        muse_canvas_fill(k, LEFT + i, top, 2, bottom - top + 2, 0x1f5fa8);
        x_before = i, y_before = y;
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
        read_curve(c, text);
        draw(&(MuseCanvas){ rgb, WIDTH, HEIGHT }, c);
        rc = muse_png_write_file(path, rgb, WIDTH, HEIGHT, 0, MUSE_PIXELS_RGB, err);
    }
    muse_free(c);
    muse_free(rgb);
    muse_free(text);
    return rc;
}
