/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes, points, tracks and their labels on one picture. Lines have a dark rim and labels a ground of their own, so that they read on anything; a
 * label never covers another one. Called by trace_draw.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "libmuse/trace/trace_draw.h"

enum { GROUPS_MAX = 4096, LABELS_MAX = 256, NO_ROOM_MAX = 16 /* labels without a place, after which none is looked for */, SAME_LOOKED_AT = 256, LABEL_CHARACTERS = 28 };

/* Marks in the same place: one outline, one label with all their steps' numbers */
typedef struct Group {
    MuseRect r;              /* on the canvas */
    uint32_t object, first;  /* step that named it first, from 0 */
    bool     look;           /* every mark is a look */
    char     numbers[48], words[80];   /* the label: of its steps, and what they say */
    bool     named;
} Group;

typedef struct Marks {
    const MuseCanvas *c;
    MuseRect at;
    double   height, line;   /* of text; width of lines */
    Group   *groups;
    size_t   n;
    MuseRect *labels;        /* placed */
    size_t   n_labels;
} Marks;

/* Told apart with every kind of colour vision by lightness as well as hue; bright, since the rim is dark. Own choice, checked by eye on white, black, photographs. */
static const uint32_t palette[] = { 0xffb000, 0x3da5ff, 0xff4f5e, 0x2fd27a, 0xd77bff, 0xffe45c, 0x3fe0e0, 0xff8ac2 };
static const uint32_t rim = 0x0b0e14;

uint32_t muse_trace_colour(uint32_t object, size_t step) { return palette[(object ? object + 2 : step) % (sizeof palette / sizeof *palette)]; }

uint32_t muse_trace_step_colour(const MuseTrace *t, const MuseTraceDrawParams *p, size_t step)
{
    const MuseTraceMark *own = &muse_trace_at(t, step)->marks[0];
    for (size_t i = step > SAME_LOOKED_AT ? step - SAME_LOOKED_AT : 0; i < step; i++) {
        const MuseTraceStep *s = muse_trace_at(t, i);
        for (uint32_t k = 0; k < s->n_marks && k < SAME_LOOKED_AT && muse_trace_shown(t, p, i); k++)
            if (s->marks[k].image == own->image && memcmp(&s->marks[k].rect, &own->rect, sizeof own->rect) == 0) return muse_trace_colour(s->marks[k].object, i);
    }
    return muse_trace_colour(own->object, step);
}

uint32_t muse_trace_ink_on(uint32_t colour)
{
    const double light = 0.299 * (colour >> 16 & 255) + 0.587 * (colour >> 8 & 255) + 0.114 * (colour & 255);   /* BT.601 */
    return light > 120 ? 0x0b0e14 : 0xffffff;
}

static double overlap(MuseRect a, MuseRect b)
{
    const double w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0), h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0);
    return w > 0 && h > 0 ? w * h : 0;
}

/* ---- what to draw ---- */

/* the first line of a text, at most so many characters, "..." where something is left out (the list has all of it) */
static void short_text(char *out, size_t cap, const char *text, size_t n)
{
    size_t at = 0, count = 0;
    while (at < n && text[at] != '\n' && count < LABEL_CHARACTERS) {
        const unsigned bytes = muse_utf8_char((const uint8_t *)text + at, n - at, NULL);
        at += bytes ? bytes : 1;
        count++;
    }
    snprintf(out, cap, "%.*s%s", (int)at, text, at < n ? "..." : "");
}

/* two letters in a row: numbers at a point or box, distances say, tell nothing in a picture */
static bool has_word(const char *text, size_t n)
{
    for (size_t i = 0, run = 0; i < n; i++) {
        const uint8_t c = (uint8_t)text[i], low = c | 32;
        run = (low >= 'a' && low <= 'z') || c >= 0x80 ? run + 1 : 0;
        if (run == 2) return true;
    }
    return false;
}

/* What the label says behind the numbers: a name, else the kind of the step. true: a name */
static bool words_of(char *out, size_t cap, const MuseTraceStep *s)
{
    const bool place = s->kind == MUSE_STEP_BOX || s->kind == MUSE_STEP_POINT;
    const bool named = s->n_text && (s->kind == MUSE_STEP_CLAIM || s->kind == MUSE_STEP_TRACK || (place && has_word(s->text, s->n_text)));
    if (named) short_text(out, cap - 4, s->text, s->n_text);
    else snprintf(out, cap, "%s", muse_step_name(s->kind));
    return named;
}

/* One more step for a place: its number goes before the words, and its name in the place of a mere kind. Once there is no room for numbers the list alone has them. */
static void add_number(Group *g, const MuseTraceStep *s, size_t step, uint32_t index)
{
    char part[16] = "", words[80];
    const size_t n = strlen(g->numbers);
    if (s->n_marks > 1) snprintf(part, sizeof part, ".%u", index + 1);
    if (snprintf(g->numbers + n, sizeof g->numbers - n, "%s%zu%s", n ? ", " : "", step + 1, part) >= (int)(sizeof g->numbers - n)) g->numbers[n] = 0;
    if (g->named && n) return;
    const bool named = words_of(words, sizeof words, s);
    if (!n || named) memcpy(g->words, words, sizeof words);
    g->named = named;
}

static void add_mark(Marks *m, const MuseTraceStep *s, size_t step, uint32_t index, MuseRect r)
{
    for (size_t i = m->n > SAME_LOOKED_AT ? m->n - SAME_LOOKED_AT : 0; i < m->n; i++) {
        Group *g = &m->groups[i];
        const double away = fabs(g->r.x0 - r.x0) + fabs(g->r.y0 - r.y0) + fabs(g->r.x1 - r.x1) + fabs(g->r.y1 - r.y1);
        if (away > 4) continue;   /* a pixel a side */
        if (g->first != step) add_number(g, s, step, index);
        g->look = g->look && s->kind == MUSE_STEP_LOOK;
        return;
    }
    if (m->n == GROUPS_MAX) return;
    Group *g = &m->groups[m->n++];
    *g = (Group){ .r = r, .object = s->marks[index].object, .first = (uint32_t)step, .look = s->kind == MUSE_STEP_LOOK };
    add_number(g, s, step, index);
}

/* ---- lines ---- */

static void dashes(const Marks *m, double x0, double y0, double x1, double y1, double width, uint32_t colour)
{
    const double length = hypot(x1 - x0, y1 - y0), dash = 4 * m->line;
    const int n = (int)fmax(1, floor(length / (2 * dash) + 0.5));
    for (int i = 0; i < n; i++) {   /* starts and ends with half a dash, so that corners are closed */
        const double a = i == 0 ? 0 : (i - 0.25) / n, b = (i + 0.25) / n;
        muse_canvas_line(m->c, x0 + (x1 - x0) * a, y0 + (y1 - y0) * a, x0 + (x1 - x0) * b, y0 + (y1 - y0) * b, width, colour);
    }
    muse_canvas_line(m->c, x0 + (x1 - x0) * (n - 0.25) / n, y0 + (y1 - y0) * (n - 0.25) / n, x1, y1, width, colour);
}

static void outline(const Marks *m, const Group *g, double width, uint32_t colour)
{
    const MuseRect r = g->r;
    if (muse_rect_is_point(r)) {
        muse_canvas_disc(m->c, r.x0, r.y0, 1.2 * m->line + width, colour);
        return;
    }
    if (!g->look) {
        muse_canvas_box(m->c, r, fmin(m->line * 1.5, fmin(r.x1 - r.x0, r.y1 - r.y0) / 2), width, colour);
        return;
    }
    dashes(m, r.x0, r.y0, r.x1, r.y0, width, colour);
    dashes(m, r.x0, r.y1, r.x1, r.y1, width, colour);
    dashes(m, r.x0, r.y0, r.x0, r.y1, width, colour);
    dashes(m, r.x1, r.y0, r.x1, r.y1, width, colour);
}

static void arrow(const Marks *m, double x0, double y0, double x1, double y1, double width, uint32_t colour)
{
    const double length = hypot(x1 - x0, y1 - y0), ux = length > 0 ? (x1 - x0) / length : 0, uy = length > 0 ? (y1 - y0) / length : 0, head = 5 * m->line;
    muse_canvas_line(m->c, x0, y0, x1, y1, width, colour);
    if (length < 2 * head) return;
    for (int side = -1; side <= 1; side += 2)
        muse_canvas_line(m->c, x1, y1, x1 - head * (ux + side * 0.6 * uy), y1 - head * (uy - side * 0.6 * ux), width, colour);
}

static MuseRect on_canvas(const Marks *m, MuseRect picture, MuseRect r)
{
    const double sx = (m->at.x1 - m->at.x0) / (picture.x1 - picture.x0), sy = (m->at.y1 - m->at.y0) / (picture.y1 - picture.y0);
    return (MuseRect){ m->at.x0 + (r.x0 - picture.x0) * sx, m->at.y0 + (r.y0 - picture.y0) * sy, m->at.x0 + (r.x1 - picture.x0) * sx, m->at.y0 + (r.y1 - picture.y0) * sy };
}

/* from place to place of a track, in one picture */
static void track(const Marks *m, const MuseTraceStep *s, size_t step, uint32_t image, MuseRect picture)
{
    for (uint32_t i = 0, last = UINT32_MAX; i < s->n_marks; i++) {
        if (s->marks[i].image != image) continue;
        if (last != UINT32_MAX) {
            const MuseRect a = on_canvas(m, picture, s->marks[last].rect), b = on_canvas(m, picture, s->marks[i].rect);
            const uint32_t colour = muse_trace_colour(s->marks[i].object, step);
            for (int pass = 0; pass < 2; pass++)
                arrow(m, (a.x0 + a.x1) / 2, (a.y0 + a.y1) / 2, (b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2, pass ? m->line * 0.8 : m->line * 0.8 + 3, pass ? colour : rim);
        }
        last = i;
    }
}

/* ---- labels ---- */

static double place_cost(const Marks *m, const Group *g, MuseRect l)
{
    const double area = (l.x1 - l.x0) * (l.y1 - l.y0);
    if (l.x0 < m->at.x0 || l.y0 < m->at.y0 || l.x1 > m->at.x1 || l.y1 > m->at.y1) return INFINITY;
    const MuseRect clear = { l.x0 - 3, l.y0 - 3, l.x1 + 3, l.y1 + 3 };
    for (size_t i = 0; i < m->n_labels; i++)
        if (overlap(m->labels[i], clear) > 0) return INFINITY;
    const double dx = fmax(0, fmax(g->r.x0 - l.x1, l.x0 - g->r.x1)), dy = fmax(0, fmax(g->r.y0 - l.y1, l.y0 - g->r.y1));
    double cost = hypot(dx, dy) / m->height;
    for (size_t i = 0; i < m->n && i < LABELS_MAX; i++) {   /* what it would hide; of a large box, little */
        const MuseRect *r = &m->groups[i].r, dot = { r->x0 - 6, r->y0 - 6, r->x1 + 6, r->y1 + 6 };
        const double hidden = overlap(dot, l), own = (dot.x1 - dot.x0) * (dot.y1 - dot.y0);
        cost += hidden / area * 0.4 + hidden / own * 6;
    }
    return cost;
}

static void try_place(const Marks *m, const Group *g, double x, double y, double w, double h, double extra, MuseRect *best, double *cost)
{
    const MuseRect l = { x, y, x + w, y + h };
    const double c = place_cost(m, g, l) + extra;
    if (c < *cost) *cost = c, *best = l;
}

/* Beside the mark's corners first, then further and further away. False: no room in the whole picture. */
static bool find_place(const Marks *m, const Group *g, double w, double h, MuseRect *best)
{
    const MuseRect r = g->r;
    const double gap = muse_rect_is_point(r) ? 2.5 * m->line : m->line;
    double cost = INFINITY;
    const double xs[] = { r.x0 - m->line / 2, r.x1 - w + m->line / 2, r.x0 + gap, r.x1 + gap, r.x0 - w - gap, (r.x0 + r.x1 - w) / 2 };
    const double ys[] = { r.y0 - h - gap, r.y1 + gap, r.y0 + gap, r.y1 - h - gap, (r.y0 + r.y1 - h) / 2 };
    for (size_t j = 0; j < 5; j++)
        for (size_t i = 0; i < 6; i++) try_place(m, g, xs[i], ys[j], w, h, 0.01 * (double)(j * 6 + i), best, &cost);
    if (cost < 2) return true;
    const double step_x = fmax(w / 3, 4), step_y = fmax(h / 2, 4);
    for (double y = m->at.y0; y + h <= m->at.y1; y += step_y)
        for (double x = m->at.x0; x + w <= m->at.x1; x += step_x) try_place(m, g, x, y, w, h, 1, best, &cost);
    return cost < INFINITY;
}

/* A line from a label that stands away to what it is about */
static void leader(const Marks *m, const Group *g, MuseRect l, uint32_t colour)
{
    const double lx = fmin(fmax((g->r.x0 + g->r.x1) / 2, l.x0), l.x1), ly = fmin(fmax((g->r.y0 + g->r.y1) / 2, l.y0), l.y1);
    const double rx = fmin(fmax(lx, g->r.x0), g->r.x1), ry = fmin(fmax(ly, g->r.y0), g->r.y1);
    if (hypot(lx - rx, ly - ry) < m->height * 0.75) return;
    muse_canvas_line(m->c, lx, ly, rx, ry, m->line * 0.5 + 2.5, rim);
    muse_canvas_line(m->c, lx, ly, rx, ry, m->line * 0.5, colour);
}

static bool draw_label(Marks *m, const Group *g)
{
    const double pad = m->height * 0.3, h = m->height * 1.25;
    char label[sizeof g->numbers + sizeof g->words];
    size_t n = (size_t)snprintf(label, sizeof label, "%s %s", g->numbers, g->words);
    MuseRect l;
    if (m->n_labels == LABELS_MAX) return false;
    double w = muse_canvas_type_width(m->height, label, n) + 2 * pad;
    if (!find_place(m, g, w, h, &l)) {   /* the numbers alone take less room */
        n = strlen(g->numbers);
        w = muse_canvas_type_width(m->height, label, n) + 2 * pad;
        if (!find_place(m, g, w, h, &l)) return false;
    }
    const uint32_t colour = muse_trace_colour(g->object, g->first);
    leader(m, g, l, colour);
    m->labels[m->n_labels++] = l;
    muse_canvas_panel(m->c, (MuseRect){ l.x0 - 1, l.y0 - 1, l.x1 + 1, l.y1 + 1 }, m->height * 0.25 + 1, rim, 0.9);
    muse_canvas_panel(m->c, l, m->height * 0.25, colour, 1);
    muse_canvas_type(m->c, l.x0 + pad, l.y0 + m->height * 0.12, m->height, label, n, muse_trace_ink_on(colour), 0, 0);
    return true;
}

int muse_trace_draw_marks(const MuseTrace *t, const MuseTraceDrawParams *p, const MuseCanvas *c, uint32_t image, MuseRect at, double height, size_t *left_out, MuseError *err)
{
    const MuseRect picture = muse_trace_picture(t, image - 1)->rect;
    Marks m = { .c = c, .at = at, .height = height, .line = fmax(2, height / 6) };
    size_t seen = 0;
    m.groups = muse_alloc_array(&t->rt->alloc, GROUPS_MAX, sizeof *m.groups);
    m.labels = muse_alloc_array(&t->rt->alloc, LABELS_MAX, sizeof *m.labels);
    if (!m.groups || !m.labels) {
        muse_free(m.groups);
        muse_free(m.labels);
        return MUSE_NOMEM(err, GROUPS_MAX * sizeof *m.groups);
    }
    for (size_t i = 0; i < muse_trace_n_steps(t); i++) {
        const MuseTraceStep *s = muse_trace_at(t, i);
        if (!muse_trace_shown(t, p, i)) continue;
        for (uint32_t k = 0; k < s->n_marks; k++) {
            if (s->marks[k].image != image) continue;
            seen += m.n == GROUPS_MAX;
            add_mark(&m, s, i, k, on_canvas(&m, picture, s->marks[k].rect));
        }
    }
    for (int pass = 0; pass < 2; pass++)   /* all rims first: none crosses a line */
        for (size_t i = 0; i < m.n; i++) outline(&m, &m.groups[i], pass ? m.line : m.line + 3, pass ? muse_trace_colour(m.groups[i].object, m.groups[i].first) : rim);
    for (size_t i = 0; i < muse_trace_n_steps(t); i++)
        if (muse_trace_shown(t, p, i) && muse_trace_at(t, i)->kind == MUSE_STEP_TRACK) track(&m, muse_trace_at(t, i), i, image, picture);
    size_t no_room = 0;
    for (size_t i = 0; i < m.n; i++) no_room += no_room >= NO_ROOM_MAX || !draw_label(&m, &m.groups[i]);
    *left_out = seen + no_room;
    muse_free(m.groups);
    muse_free(m.labels);
    return 0;
}
