/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as one drawing: the question, the pictures side by side with their marks, the steps in words, the answer.
 * The same code runs twice: first without pixels, to measure the height, then to draw. Called by programs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/params.h"
#include "base/utf8.h"
#include "libmuse/trace/trace_draw.h"

enum {
    WIDTH_DEFAULT = 2400, WIDTH_MIN = 160, WIDTH_MAX = 1 << 15,
    PICTURES_MAX = 12,                         /* drawn; those with marks first. The heading counts the rest */
    PIXELS_MAX = 1 << 26
};
static const double lone = 1280, beside = 860;   /* sides a picture is drawn at, alone and beside others, pixels */
static const uint32_t paper = 0xf6f7f9, ink = 0x12161c, grey = 0x5b6472, card = 0xffffff, edge = 0xd9dee5, empty = 0x9aa3af;

typedef struct Tile {
    uint32_t image;      /* number */
    MuseRect at;
    double   scale;      /* drawn pixels a picture's pixel */
} Tile;

static const double HEAT_OPACITY = 0.75;

typedef struct Page {
    const MuseTrace *t;
    MuseTraceDrawParams p;
    MuseCanvas c;
    double  y, text, margin;
    Tile    tiles[PICTURES_MAX];
    size_t  n_tiles, not_drawn, no_room;   /* no_room: labels */
    double  heat_top;                      /* the end of the colours' scale, of all drawn steps; 0: no heat maps */
    MuseError *err;
} Page;

/* ---- which pictures, where ---- */

static bool has_marks(const Page *g, uint32_t image)
{
    for (size_t i = 0; i < muse_trace_n_steps(g->t); i++) {
        const MuseTraceStep *s = muse_trace_at(g->t, i);
        if (!muse_trace_shown(g->t, &g->p, i)) continue;
        for (uint32_t k = 0; k < s->n_marks; k++)
            if (s->marks[k].image == image) return true;
        for (size_t k = 0; g->p.heat && k < s->n_heats; k++)
            if (s->heats[k].image == image) return true;
    }
    return false;
}

static void choose_pictures(Page *g)
{
    const size_t n = muse_trace_n_pictures(g->t);
    bool all = n <= PICTURES_MAX && !g->p.step;
    for (uint32_t i = 1; i <= n && g->n_tiles < PICTURES_MAX; i++)
        if (all || has_marks(g, i)) g->tiles[g->n_tiles++].image = i;
    if (g->n_tiles == 0) g->tiles[g->n_tiles++].image = 1;
    g->not_drawn = n - g->n_tiles;
}

/* rows of up to three; pictures of one row are as high as each other where their shapes allow it */
static void set_sizes(Page *g)
{
    const double side = g->n_tiles == 1 ? lone : beside;
    const size_t across = g->n_tiles < 3 ? g->n_tiles : g->n_tiles == 4 ? 2 : 3;
    double widest = 0;
    for (size_t row = 0; row < g->n_tiles; row += across) {
        const size_t end = row + across < g->n_tiles ? row + across : g->n_tiles;
        double total = 0, room = (double)(g->p.max_width) - 2 * g->margin - g->margin * (double)(end - row - 1);
        for (size_t i = row; i < end; i++) {
            const MuseRect r = muse_trace_picture(g->t, g->tiles[i].image - 1)->rect;
            const double w = r.x1 - r.x0, h = r.y1 - r.y0;
            g->tiles[i].scale = side / fmax(w, h);
            if (h * g->tiles[i].scale < side * 0.75 && w > h) g->tiles[i].scale = fmin(side * 0.75 / h, side * 1.34 / w);   /* as high as a 4:3 picture */
            total += w * g->tiles[i].scale;
        }
        const double shrink = total > room ? room / total : 1;
        for (size_t i = row; i < end; i++) g->tiles[i].scale *= shrink;
        widest = fmax(widest, total * shrink + 2 * g->margin + g->margin * (double)(end - row - 1));
    }
    const double least = fmin(g->p.max_width, 560);   /* the list needs some room */
    g->c.width = (int)fmin(g->p.max_width, ceil(fmax(widest, least)));
}

/* ---- text ---- */

/* bytes of the next line: as many words as fit, or part of a word that is wider than a line */
static size_t line_length(const char *text, size_t n, size_t room)
{
    size_t at = 0, count = 0, space = 0;
    while (at < n && text[at] != '\n' && count < room) {
        const unsigned bytes = muse_utf8_char((const uint8_t *)text + at, n - at, NULL);
        if (text[at] == ' ') space = at;
        at += bytes ? bytes : 1;
        count++;
    }
    return at == n || text[at] == '\n' || text[at] == ' ' || space == 0 ? at : space;
}

static void paragraph(Page *g, double x, double right, double height, const char *text, size_t n, uint32_t colour)
{
    const double wide = muse_canvas_type_width(height, " ", 1);
    const size_t room = (size_t)fmax(1, (right - x) / wide);
    for (size_t at = 0; at < n && g->y < (1 << 27);) {
        const size_t len = line_length(text + at, n - at, room);
        muse_canvas_type(&g->c, x, g->y, height, text + at, len, colour, 0, 0);
        g->y += height * 1.25;
        at += len;
        if (at < n && (text[at] == '\n' || text[at] == ' ')) at++;
    }
}

static void line(Page *g, double x, double height, uint32_t colour, const char *text) { muse_canvas_type(&g->c, x, g->y, height, text, strlen(text), colour, 0, 0); }

/* ---- pictures ---- */

/* the largest value of all heat maps on a picture at each pixel, on one scale: one over the other they would hide it */
static int draw_heat(const Page *g, const Tile *tile, uint8_t *rgb, uint32_t w, uint32_t h)
{
    const size_t n = (size_t)w * h;
    float *values = muse_alloc_array(&g->t->rt->alloc, n, sizeof *values);
    if (!values) return MUSE_NOMEM(g->err, n * sizeof *values);
    memset(values, 0, n * sizeof *values);
    for (size_t i = 0; i < muse_trace_n_steps(g->t); i++) {
        const MuseTraceStep *s = muse_trace_at(g->t, i);
        for (size_t k = 0; k < s->n_heats && muse_trace_shown(g->t, &g->p, i); k++)
            if (s->heats[k].image == tile->image) muse_heat_raise(&s->heats[k], g->heat_top, muse_trace_picture(g->t, tile->image - 1)->rect, values, w, h);
    }
    muse_heat_cover(values, rgb, n, HEAT_OPACITY);
    muse_free(values);
    return 0;
}

static int draw_picture(Page *g, const Tile *tile)
{
    const MusePictureKept *k = muse_trace_picture(g->t, tile->image - 1);
    const int x = (int)tile->at.x0, y = (int)tile->at.y0, w = (int)(tile->at.x1 - tile->at.x0), h = (int)(tile->at.y1 - tile->at.y0);
    muse_canvas_fill(&g->c, x, y, w, h, empty);
    uint8_t *rgb = NULL;
    int rc = 0;
    if (k->image) rc = muse_trace_pixels(g->t->rt, k->image, (uint32_t)w, (uint32_t)h, &rgb, g->err);
    if (rc < 0) return rc;
    if (!rgb && g->p.heat) {
        rgb = muse_alloc_array(&g->t->rt->alloc, (size_t)w * (size_t)h, 3);
        if (!rgb) return MUSE_NOMEM(g->err, (size_t)w * (size_t)h * 3);
        memset(rgb, empty & 255, (size_t)w * (size_t)h * 3);
    }
    if (rgb && g->p.heat) rc = draw_heat(g, tile, rgb, (uint32_t)w, (uint32_t)h);
    if (rgb && rc == 0) muse_canvas_copy(&g->c, x, y, rgb, w, h);
    muse_free(rgb);
    return rc;
}

/* the longest form that fits over the picture */
static void tile_heading(const Page *g, const Tile *tile, double x, double y, double height, double room)
{
    const MusePictureKept *k = muse_trace_picture(g->t, tile->image - 1);
    const char *none = k->image ? "" : ", no pixels";
    char text[400];
    const double percent = 100 * tile->scale;
    snprintf(text, sizeof text, "Picture %u   %.200s%s%.0f x %.0f px, drawn at %.*f %%%s", tile->image, k->name, *k->name ? "   " : "", k->rect.x1 - k->rect.x0, k->rect.y1 - k->rect.y0,
             percent < 10 ? 2 : 0, percent, none);
    if (muse_canvas_type_width(height, text, strlen(text)) > room) snprintf(text, sizeof text, "%u: %.*f %%%s", tile->image, percent < 10 ? 2 : 0, percent, none);
    muse_canvas_type(&g->c, x, y, height, text, strlen(text), grey, 0, 0);
}

static int draw_tile(Page *g, Tile *tile, double x, double y, double w, double h)
{
    size_t left_out = 0;
    const double small = fmax(13, g->text * 0.75);
    tile->at = (MuseRect){ floor(x), floor(y), floor(x) + w, floor(y) + h };
    int rc = g->c.rgb ? draw_picture(g, tile) : 0;
    const double height = fmin(fmax(fmin(fmax(w, h) / 52, h / 7), 13), 30);   /* labels follow the picture, but stay readable */
    if (rc == 0) rc = muse_trace_draw_marks(g->t, &g->p, &g->c, tile->image, tile->at, height, &left_out, g->err);
    g->no_room += left_out;
    tile_heading(g, tile, x, y - small * 1.5, small, g->n_tiles > 1 ? w : g->c.width - g->margin - x);
    return rc;
}

/* 0, the colours over a middle grey, and the value of the last one */
static void heat_scale(Page *g)
{
    const double bar = fmin(260, g->c.width / 4.0), height = fmax(13, g->text * 0.75);
    char top[24], text[64];
    muse_heat_share(g->heat_top, top);
    snprintf(text, sizeof text, "attention on a patch, at its step:   0 ");
    double x = g->margin;
    muse_canvas_type(&g->c, x, g->y, height, text, strlen(text), grey, 0, 0);
    x = floor(x + muse_canvas_type_width(height, text, strlen(text)));
    for (int i = 0; i < (int)bar; i++) {
        uint8_t rgb[3] = { 128, 128, 128 };
        muse_heat_over(rgb, i / (bar - 1), HEAT_OPACITY);
        muse_canvas_fill(&g->c, (int)x + i, (int)g->y, 1, (int)height, (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2]);
    }
    muse_canvas_type(&g->c, x + bar + height * 0.6, g->y, height, top, strlen(top), grey, 0, 0);
    g->y += height * 2;
}

static int pictures(Page *g)
{
    const size_t across = g->n_tiles < 3 ? g->n_tiles : g->n_tiles == 4 ? 2 : 3;
    const double heading = fmax(13, g->text * 0.75) * 1.7;
    for (size_t row = 0; row < g->n_tiles; row += across) {
        double x = g->margin, tallest = 0;
        for (size_t i = row; i < row + across && i < g->n_tiles; i++) {
            const MuseRect r = muse_trace_picture(g->t, g->tiles[i].image - 1)->rect;
            const double w = fmax(1, floor((r.x1 - r.x0) * g->tiles[i].scale)), h = fmax(1, floor((r.y1 - r.y0) * g->tiles[i].scale));
            const int rc = draw_tile(g, &g->tiles[i], x, g->y + heading, w, h);
            if (rc < 0) return rc;
            x += w + g->margin;
            tallest = fmax(tallest, h);
        }
        g->y += heading + tallest + g->margin * 0.7;
    }
    char text[80];
    if (g->heat_top > 0) heat_scale(g);
    if (g->no_room) {
        snprintf(text, sizeof text, "no room for %zu of the labels", g->no_room);
        line(g, g->margin, g->text, grey, text);
        g->y += g->text * 1.6;
    }
    if (g->not_drawn) {
        snprintf(text, sizeof text, "and %zu more pictures, not drawn", g->not_drawn);
        line(g, g->margin, g->text, grey, text);
        g->y += g->text * 1.6;
    }
    return 0;
}

/* ---- the list ---- */

/* columns of the list: number, what, text; confidence stands at the right edge */
static double column(const Page *g, int which)
{
    const double wide = muse_canvas_type_width(g->text, " ", 1), what = muse_trace_next_agent(g->t, 0) ? 22 : 13;   /* "tool result  agent 00" */
    return g->margin * 1.6 + (which > 0 ? 5 * wide : 0) + (which > 1 ? what * wide : 0);
}

static void percent(Page *g, double confidence)
{
    char text[24];
    if (confidence < 0) return;
    snprintf(text, sizeof text, "%.0f %%", 100 * confidence);
    line(g, g->c.width - g->margin * 1.6 - muse_canvas_type_width(g->text, text, strlen(text)), g->text, grey, text);
}

static void list_text(Page *g, double height, const char *text, size_t n)
{
    const double wide = muse_canvas_type_width(g->text, " ", 1), x = column(g, 2), right = g->c.width - g->margin * 1.6 - 6 * wide;   /* the rest is the confidence's */
    if (right - x > 20 * wide) paragraph(g, x, right, height, text, n, ink);
    else g->y += g->text * 1.35, paragraph(g, column(g, 1), right, height, text, n, ink);
}

static void list_step(Page *g, size_t i)
{
    const MuseTraceStep *s = muse_trace_at(g->t, i);
    char number[24], what[48];
    const int digits = snprintf(number, sizeof number, "%zu", i + 1);
    snprintf(what, sizeof what, "%s", muse_step_name(s->kind));
    char *under = strchr(what, '_');
    if (under) *under = ' ';
    if (s->agent) snprintf(what + strlen(what), sizeof what - strlen(what), "  agent %u", s->agent);
    const double x = column(g, 0), wide = muse_canvas_type_width(g->text, number, (size_t)digits) + g->text * 0.7;
    const uint32_t colour = s->n_marks ? muse_trace_step_colour(g->t, &g->p, i) : edge;
    muse_canvas_panel(&g->c, (MuseRect){ x, g->y - g->text * 0.12, x + wide, g->y + g->text * 1.13 }, g->text * 0.25, colour, 1);
    line(g, x + g->text * 0.35, g->text, muse_trace_ink_on(colour), number);
    line(g, column(g, 1), g->text, grey, what);
    percent(g, s->confidence);
    const double before = g->y;
    list_text(g, g->text, s->text, s->n_text);
    g->y = fmax(g->y, before + g->text * 1.25) + g->text * 0.4;
}

static void list(Page *g)
{
    const MuseTraceSummary *s = &g->t->summary;
    g->y += g->margin * 0.6;
    for (size_t i = 0; i < muse_trace_n_steps(g->t); i++)
        if (muse_trace_shown(g->t, &g->p, i)) list_step(g, i);
    if (s->n_answer && !g->p.step) {
        char text[96];
        g->y += g->text * 0.5;
        line(g, column(g, 1), g->text, grey, "Answer");
        percent(g, s->confidence);
        g->y -= g->text * 0.27;   /* one baseline with the larger text */
        const MuseTraceStep *a = muse_trace_answer(g->t);
        list_text(g, g->text * 1.35, a ? a->text : s->answer, a ? a->n_text : s->n_answer);
        snprintf(text, sizeof text, "%llu thought tokens   %.2f s", (unsigned long long)s->thought_tokens, s->seconds);
        g->y += g->text * 0.3;
        line(g, column(g, 2), fmax(13, g->text * 0.75), grey, text);
        g->y += g->text * 1.2;
    }
    g->y += g->margin * 0.4;
}

static int draw_page(Page *g)
{
    const int w = g->c.width, h = g->c.height;
    muse_canvas_fill(&g->c, 0, 0, w, h, paper);
    g->y = g->margin;
    g->no_room = 0;
    if (*g->t->question) {
        paragraph(g, g->margin, g->c.width - g->margin, g->text * 1.35, g->t->question, strlen(g->t->question), ink);
        g->y += g->text * 0.3;
    }
    const int rc = pictures(g);
    if (rc < 0 || g->p.no_list) return rc;
    const double top = g->y;
    if (g->c.rgb) {   /* the second pass knows how high the list is: the rest of the page */
        muse_canvas_panel(&g->c, (MuseRect){ g->margin, top, w - g->margin, h - g->margin }, 8, edge, 1);
        muse_canvas_panel(&g->c, (MuseRect){ g->margin + 1, top + 1, w - g->margin - 1, h - g->margin - 1 }, 7, card, 1);
    }
    list(g);
    g->y += g->margin;
    return 0;
}

int muse_trace_draw(const MuseTrace *t, const MuseTraceDrawParams *params, uint8_t **rgb, uint32_t *width, uint32_t *height, MuseError *err)
{
    MUSE_REQUIRE(err, t && rgb && width && height);
    *rgb = NULL;
    Page g = { .t = t, .err = err };
    int rc = MUSE_PARAMS_IMPORT(&g.p, params, "MuseTraceDrawParams", err);
    if (rc < 0) return rc;
    if (!g.p.max_width) g.p.max_width = WIDTH_DEFAULT;
    if (!muse_trace_n_pictures(t)) return muse_fail(err, MUSE_ERR_ARG, "the trace has no pictures to draw on");
    if (g.p.step > muse_trace_n_steps(t)) return muse_fail(err, MUSE_ERR_ARG, "there is no step %u: the trace has %zu", g.p.step, muse_trace_n_steps(t));
    if (g.p.max_width < WIDTH_MIN || g.p.max_width > WIDTH_MAX) return muse_fail(err, MUSE_ERR_ARG, "max_width is %u, not %d to %d", g.p.max_width, WIDTH_MIN, WIDTH_MAX);
    for (size_t i = 0; g.p.heat && i < muse_trace_n_steps(t); i++)
        if (muse_trace_shown(t, &g.p, i)) g.heat_top = fmax(g.heat_top, muse_step_heat_top(muse_trace_at(t, i)));
    choose_pictures(&g);
    g.margin = fmin(28, g.p.max_width / 16.0);
    set_sizes(&g);
    g.text = fmin(fmax(g.c.width / 64.0, 13), 24);
    rc = draw_page(&g);
    if (rc < 0) return rc;
    if (!(g.y * g.c.width <= PIXELS_MAX)) return muse_fail(err, MUSE_ERR_LIMIT, "the drawing would be %d x %.0f pixels, over %d", g.c.width, g.y, PIXELS_MAX);
    g.c.height = (int)ceil(g.y);
    g.c.rgb = muse_alloc_array(&t->rt->alloc, (size_t)g.c.width * (size_t)g.c.height, 3);
    if (!g.c.rgb) return MUSE_NOMEM(err, (size_t)g.c.width * (size_t)g.c.height * 3);
    rc = draw_page(&g);
    if (rc < 0) {
        muse_free(g.c.rgb);
        return rc;
    }
    *rgb = g.c.rgb;
    *width = (uint32_t)g.c.width;
    *height = (uint32_t)g.c.height;
    return 0;
}
