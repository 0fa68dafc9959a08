/* SPDX-License-Identifier: Apache-2.0 */
/* The world "text": random signs, words, numbers, sums of two numbers, and pairs of signs, printed in several fonts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/worlds/inside.h"

static const char *const words[] = { "apple", "bird", "boat", "book", "bread", "cat", "chair", "cloud", "dog", "door", "fish", "flag", "flower", "glass", "green",
    "hand", "house", "king", "lamp", "leaf", "milk", "moon", "night", "open", "paper", "rain", "ring", "river", "road", "salt", "ship", "snow", "stone", "sun",
    "table", "tree", "wind", "winter", "yes", "zebra" };

typedef struct Line { char text[12]; int n; } Line;   /* and what is drawn of it: objects 0..n-1, one a sign */

static int brightness(Rgb c) { return (2 * c.r + 5 * c.g + c.b) / 8; }

/* thin strokes need a difference in brightness, not only in colour */
static Rgb far_from(Maker *m, const Ground *g)
{
    const int a = brightness(g->a), b = brightness(g->b);
    for (int tries = 0; tries < 20; tries++) {
        const Rgb c = muse_wd_color(m, muse_wd_pick_color(m, g->colors));
        const int v = brightness(c);
        if ((v < a - 45 && v < b - 45) || (v > a + 45 && v > b + 45)) return c;
    }
    return a + b > 256 ? (Rgb){ 16, 16, 18 } : (Rgb){ 245, 245, 240 };
}

/* One line of text at a free place; signs become objects. */
static void draw_line(Maker *m, const Line *line, int w, int h, const Ground *g)
{
    const unsigned font = muse_wd_pick_font(m);
    const double side = w < h ? w : h, unit = muse_wd_write(m, 0, font, line->text, 0, 0, 1, NULL, NULL);
    const double cap = fmin(fmax(7, side * rng_range(&m->lay, 0.12, 0.24)), (w - 4) / unit);
    const double x = rng_range(&m->lay, 2, fmax(2, w - 2 - unit * cap)), y = rng_range(&m->lay, 1.35 * cap + 1, fmax(1.35 * cap + 1, h - 1 - 0.4 * cap));
    const Rgb color = far_from(m, g);
    double at = x;
    for (const char *s = line->text; *s; s++) {
        const char one[2] = { *s, 0 };
        MuseWorldsObject o = { .kind = MUSE_WORLDS_TEXT, .mark = { *s } };
        at += muse_wd_write(m, 0, font, one, at, y, cap, &color, &o.box);
        o.x = (o.box.x0 + o.box.x1) / 2;
        o.y = (o.box.y0 + o.box.y1) / 2;
        if (*s != ' ') muse_wd_add(m, &o);
    }
}

/* "<x3><y9>K<x9><y9>7": each sign where it is */
static void put_signs(Maker *m)
{
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        muse_wd_at(m, (int)i);
        muse_wd_char(m, m->objects[i].mark[0]);
    }
}

/* A look at the whole line: an overview leaves a sign too few patches. Returns what is seen. */
static MuseRect look_at_line(Maker *m)
{
    MuseRect all = m->objects[0].box;
    for (size_t i = 1; i < m->sample.n_objects; i++) {
        const MuseRect *b = &m->objects[i].box;
        all = (MuseRect){ fmin(all.x0, b->x0), fmin(all.y0, b->y0), fmax(all.x1, b->x1), fmax(all.y1, b->y1) };
    }
    muse_wd_put(m, "<look> text");
    return muse_wd_look(m, all);
}

static void put_column(Maker *m, double x, MuseRect view)
{
    muse_wd_put(m, "<x");
    muse_wd_int(m, muse_wd_place(x - view.x0, view.x1 - view.x0));
    muse_wd_put(m, ">");
}

/* "<look> text<box>...", the view, "<x3>K<x9>7<x15>": where the view has the line's beginning, then each sign with its end, where
 * the next begins; counted: "<x3>K<x9>1;7<x15>2". With the middles of signs in place of ends one of two alike was often left out. */
static void read_signs(Maker *m, bool counted)
{
    const MuseRect view = look_at_line(m);
    put_column(m, m->objects[0].box.x0, view);
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        if (counted && i) muse_wd_put(m, ";");
        muse_wd_char(m, m->objects[i].mark[0]);
        put_column(m, m->objects[i].box.x1, view);
        if (counted) muse_wd_int(m, (int)i + 1);
    }
}

static void ask_text(Maker *m, const Line *line)
{
    static const char *const t[] = { "What does it say?", "Read the text.", "What is written here?", "Which text do you see?", "What is printed in the picture?" };
    const bool think = muse_wd_begin(m, "text");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        read_signs(m, false);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_put(m, line->text);
    muse_wd_end(m);
}

static void ask_length(Maker *m, const Line *line)
{
    static const char *const t[] = { "How many signs are there?", "How long is the text?", "Count the letters and digits." };
    const bool think = muse_wd_begin(m, "length");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        read_signs(m, true);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, line->n);
    muse_wd_accept_number(m, line->n);
    muse_wd_end(m);
}

static void ask_sum(Maker *m, int a, char op, int b)
{
    static const char *const t[] = { "What is the result?", "Compute.", "Solve it.", "How much is it?", "What does it come to?" };
    const bool think = muse_wd_begin(m, "sum");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        read_signs(m, false);
        muse_wd_put(m, ";");
        muse_wd_sum_chain(m, a, op, b);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, op == '+' ? a + b : a - b);
    muse_wd_end(m);
}

static void ask_same(Maker *m)
{
    static const char *const t[] = { "Are the two signs the same?", "Do you see the same sign twice?", "Same or not?", "Are both signs equal?" };
    const char a = m->objects[0].mark[0], b = m->objects[1].mark[0];
    const bool think = muse_wd_begin(m, "same");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        put_signs(m);
        muse_wd_put(m, ";");
        muse_wd_same_chain(m, a, b, false);
    }
    muse_wd_answer(m);
    muse_wd_put(m, a == b ? " yes" : " no");
    muse_wd_end(m);
}

static Line signs(Maker *m)
{
    Line line = { .n = m->options.split == MUSE_WORLDS_MANY ? rng_int(&m->lay, 7, 8) : rng_int(&m->lay, 1, 6) };
    const double lot = rng_unit(&m->lay);
    if (lot < 0.25) {
        snprintf(line.text, sizeof line.text, "%s", words[rng_below(&m->lay, sizeof words / sizeof *words)]);
        line.n = (int)strlen(line.text);
        if (rng_chance(&m->lay, 0.5))
            for (char *s = line.text; *s; s++) *s = (char)(*s - 'a' + 'A');
        return line;
    }
    for (int i = 0; i < line.n; i++) line.text[i] = lot < 0.5 ? (char)('0' + rng_int(&m->lay, i == 0 && line.n > 1, 9)) : muse_wd_glyph(&m->lay);
    return line;
}

void muse_wd_make_text(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 512, false, &w, &h);
    if (!muse_wd_picture(m, w, h)) return;
    const Ground ground = muse_wd_ground(m, rng_chance(&m->lay, 0.7));
    const Finish finish = muse_wd_finish(m, true);
    const int what = rng_int(&m->lay, 0, 9), most = m->options.split == MUSE_WORLDS_MANY ? 99 : 49;
    int a = rng_int(&m->lay, 0, most), b = rng_int(&m->lay, 0, most);
    const char op = rng_chance(&m->lay, 0.6) ? '+' : '-';
    if (op == '-' && a < b) {
        const int t = a;
        a = b;
        b = t;
    }
    Line line;
    if (what < 5) line = signs(m);
    else if (what < 8) {
        snprintf(line.text, sizeof line.text, "%d%c%d", a, op, b);
        line.n = (int)strlen(line.text);
    } else {
        const char first = muse_wd_glyph(&m->lay);
        line = (Line){ { first, ' ', rng_chance(&m->lay, 0.5) ? first : muse_wd_glyph(&m->lay) }, 2 };
    }
    muse_wd_paint_ground(m, 0, &ground);
    draw_line(m, &line, w, h, &ground);
    muse_wd_apply(m, 0, &finish);
    if (what < 5) {
        if (muse_wd_wants(m, "text")) ask_text(m, &line);
        if (muse_wd_wants(m, "length") && rng_chance(&m->ask, m->options.only ? 1 : 0.3)) ask_length(m, &line);
    } else if (what < 8) {
        if (muse_wd_wants(m, "sum")) ask_sum(m, a, op, b);
        if (muse_wd_wants(m, "text")) ask_text(m, &line);
    } else if (muse_wd_wants(m, "same")) ask_same(m);
}
