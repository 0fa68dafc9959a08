/* SPDX-License-Identifier: Apache-2.0 */
/* The world "charts": bars, lines and pies with axes, labels and legends. Values are whole tenths of the axis (pies: twentieths
 * of the circle), so that the chain can name a tick, then multiply: "red bar<x9><y20>7*5=35". */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/worlds/inside.h"

enum { BARS, LINE, PIE, ENTRIES_MAX = 9, TICKS = 10, SHARES = 20 };

typedef struct Chart {
    int  kind, n, max;            /* value of tick 10 */
    int  ticks[ENTRIES_MAX];      /* in tenths of the axis, or twentieths of the pie */
    int  starts[ENTRIES_MAX];     /* pies: where the slice begins, in twentieths from the top */
    double rim[ENTRIES_MAX][2];   /* and where on the rim it ends, pixels */
    bool lettered;                /* asked by letter, else by colour */
    bool legend;                  /* letters stand in a legend, not at the entry */
    unsigned font;
    double cap;                   /* of the labels */
    MuseRect plot;
    Rgb  ink;
} Chart;

/* ---- lots ---- */

static Rgb shade(int v) { return (Rgb){ (uint8_t)v, (uint8_t)v, (uint8_t)v }; }

static bool draw_ticks(Maker *m, Chart *c)
{
    if (c->kind != PIE) {
        for (int i = 0; i < c->n; i++) c->ticks[i] = rng_int(&m->lay, 1, TICKS);
        return true;
    }
    int left = SHARES - 2 * c->n;   /* at least a tenth each */
    for (int i = 0, at = 0; i < c->n; i++) {
        const int more = i + 1 < c->n ? rng_int(&m->lay, 0, left) : left;
        c->ticks[i] = 2 + more;
        c->starts[i] = at;
        left -= more;
        at += c->ticks[i];
    }
    return true;
}

static Chart make_chart(Maker *m, unsigned colors, int w, int h)
{
    static const int maxima[] = { 10, 20, 50, 100 };
    Rng *r = &m->lay;
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    Chart c = { .kind = rng_chance(r, 0.5) ? BARS : rng_int(r, LINE, PIE), .max = maxima[rng_below(r, 4)], .font = muse_wd_pick_font(m) };
    c.n = c.kind == PIE ? (many ? rng_int(r, 6, 7) : rng_int(r, 2, 5)) : many ? rng_int(r, 7, 9) : rng_int(r, 2, 6);
    if (c.n > __builtin_popcount(colors)) c.n = __builtin_popcount(colors);
    c.lettered = c.kind == LINE || rng_chance(r, 0.5);
    c.legend = c.lettered && c.kind != LINE && rng_chance(r, 0.4);
    const double side = w < h ? w : h;
    c.cap = fmax(5, side * rng_range(r, 0.045, 0.06));
    const double left = c.kind == PIE ? 2 * c.cap : 4 * c.cap, right = c.legend ? 4.5 * c.cap : 2 * c.cap;
    c.plot = (MuseRect){ left, 2 * c.cap, w - right, h - (c.kind == PIE ? 2 : 2.8) * c.cap };
    draw_ticks(m, &c);
    uint8_t used[MUSE_WORLDS_COLORS] = { 0 };
    const uint8_t one = (uint8_t)muse_wd_pick_color(m, colors);
    const bool single = c.kind == LINE || (c.lettered && !c.legend && c.kind == BARS && rng_chance(r, 0.5));
    for (int i = 0; i < c.n; i++) {
        MuseWorldsObject o = { .kind = (uint8_t)(c.kind == BARS ? MUSE_WORLDS_BAR : c.kind == LINE ? MUSE_WORLDS_POINT : MUSE_WORLDS_SLICE), .color = one };
        if (!single) {
            do o.color = (uint8_t)muse_wd_pick_color(m, colors); while (used[o.color]);
            used[o.color] = 1;
        }
        if (c.lettered) o.mark[0] = (char)('A' + i);
        o.value = c.kind == PIE ? c.ticks[i] * 100.0 / SHARES : c.ticks[i] * c.max / (double)TICKS;
        muse_wd_add(m, &o);
    }
    return c;
}

/* ---- drawing ---- */

static void text_centred(Maker *m, const Chart *c, const char *text, double x, double y)
{
    const double width = muse_wd_write(m, 0, c->font, text, 0, 0, c->cap, NULL, NULL);
    muse_wd_write(m, 0, c->font, text, x - width / 2, y + c->cap / 2, c->cap, &c->ink, NULL);
}

static double tick_y(const Chart *c, int tick) { return c->plot.y1 - (c->plot.y1 - c->plot.y0) * tick / TICKS; }

static void draw_axes(Maker *m, const Chart *c, int every)
{
    const double thin = fmax(1, c->cap / 8);
    const bool grid = rng_chance(&m->paint, 0.5);
    const Rgb faint = shade((c->ink.r + 3 * 150) / 4);
    for (int t = 0; t <= TICKS; t += every) {
        char label[16];
        const double y = tick_y(c, t);
        snprintf(label, sizeof label, "%d", t * c->max / TICKS);
        const double width = muse_wd_write(m, 0, c->font, label, 0, 0, c->cap, NULL, NULL);
        if (every < 5 && c->plot.y1 - c->plot.y0 < 1.7 * c->cap * TICKS / every && t % 5) { /* too dense to be read: ticks alone */ }
        else muse_wd_write(m, 0, c->font, label, c->plot.x0 - 0.7 * c->cap - width, y + c->cap / 2, c->cap, &c->ink, NULL);
        muse_wd_line(m, 0, c->plot.x0 - 0.45 * c->cap, y, c->plot.x0, y, thin, c->ink);
        if (grid && t) muse_wd_line(m, 0, c->plot.x0, y, c->plot.x1, y, thin, faint);
    }
    muse_wd_line(m, 0, c->plot.x0, c->plot.y0, c->plot.x0, c->plot.y1, thin * 1.3, c->ink);
    muse_wd_line(m, 0, c->plot.x0, c->plot.y1, c->plot.x1, c->plot.y1, thin * 1.3, c->ink);
}

static void draw_columns(Maker *m, const Chart *c)
{
    const double step = (c->plot.x1 - c->plot.x0) / c->n;
    const Rgb line_color = muse_wd_color(m, m->objects[0].color);
    double px = 0, py = 0;
    for (int i = 0; i < c->n; i++) {
        MuseWorldsObject *o = &m->objects[i];
        o->x = c->plot.x0 + (i + 0.5) * step;
        o->y = tick_y(c, c->ticks[i]);
        if (c->kind == BARS) {
            o->box = (MuseRect){ o->x - 0.34 * step, o->y, o->x + 0.34 * step, c->plot.y1 };
            muse_wd_rect(m, 0, o->box, muse_wd_color(m, o->color));
        } else {
            const double r = fmax(2, 0.4 * c->cap);
            if (i) muse_wd_line(m, 0, px, py, o->x, o->y, fmax(1.2, c->cap / 5), line_color);
            muse_wd_fill(m, 0, &m->worlds->shapes[MUSE_WORLDS_CIRCLE], o->x, o->y, r / 0.88, 0, line_color, &o->box);
        }
        px = o->x;
        py = o->y;
        if (c->lettered && !c->legend) text_centred(m, c, o->mark, o->x, c->plot.y1 + 1.2 * c->cap);
    }
}

static void draw_pie(Maker *m, Chart *c)
{
    const double x = (c->plot.x0 + c->plot.x1) / 2, y = (c->plot.y0 + c->plot.y1) / 2, turn = 2 * 3.14159265358979323846;
    const double r = fmin(c->plot.x1 - c->plot.x0, c->plot.y1 - c->plot.y0) / 2 * (c->lettered && !c->legend ? 0.85 : 1);
    for (int i = 0; i < c->n; i++) {
        MuseWorldsObject *o = &m->objects[i];
        float xy[2 * 66] = { (float)x, (float)y };
        const double from = turn * c->starts[i] / SHARES, to = from + turn * c->ticks[i] / SHARES, middle = (from + to) / 2;
        for (int k = 0; k <= 64; k++) {
            const double a = from + (to - from) * k / 64;
            xy[2 * k + 2] = (float)(x + r * sin(a));
            xy[2 * k + 3] = (float)(y - r * cos(a));
        }
        c->rim[i][0] = x + r * sin(to);
        c->rim[i][1] = y - r * cos(to);
        muse_wd_polygon(m, 0, xy, 66, muse_wd_color(m, o->color), &o->box);
        o->x = x + 0.62 * r * sin(middle);
        o->y = y - 0.62 * r * cos(middle);
        if (c->lettered && !c->legend) text_centred(m, c, o->mark, x + (r + c->cap) * sin(middle), y - (r + c->cap) * cos(middle));
    }
}

static void draw_legend(Maker *m, const Chart *c)
{
    const double x = c->plot.x1 + 0.9 * c->cap, step = fmin(1.9 * c->cap, (c->plot.y1 - c->plot.y0) / c->n);
    for (int i = 0; i < c->n; i++) {
        const double y = c->plot.y0 + (i + 0.5) * step;
        muse_wd_rect(m, 0, (MuseRect){ x, y - 0.5 * c->cap, x + c->cap, y + 0.5 * c->cap }, muse_wd_color(m, m->objects[i].color));
        muse_wd_write(m, 0, c->font, m->objects[i].mark, x + 1.5 * c->cap, y + c->cap / 2, c->cap, &c->ink, NULL);
    }
}

/* ---- questions ---- */

static Desc entry(const Maker *m, const Chart *c, int i)
{
    const MuseWorldsObject *o = &m->objects[i];
    return c->lettered ? (Desc){ 0, 0, o->kind, o->mark[0] } : (Desc){ 0, o->color, o->kind, 0 };
}

/* by letter behind a legend, the chain goes by the colour first */
static void put_entry(Maker *m, const Chart *c, int i)
{
    muse_wd_name(m, entry(m, c, i), i);
    if (c->legend) {
        muse_wd_put(m, " ");
        muse_wd_put(m, muse_worlds_color_name(m->objects[i].color));
    }
    muse_wd_at(m, i);
}

static void put_label(Maker *m, const Chart *c, int i, bool chain)
{
    if (chain && c->legend) {
        muse_wd_put(m, " ");
        muse_wd_put(m, muse_worlds_color_name(m->objects[i].color));
    }
    muse_wd_put(m, " ");
    muse_wd_put(m, c->lettered ? m->objects[i].mark : muse_worlds_color_name(m->objects[i].color));
}

/* where the slice ends, on the rim and in twentieths: the next one begins there */
static void put_rim(Maker *m, const Chart *c, int i, int at)
{
    muse_wd_point(m, 0, c->rim[i][0], c->rim[i][1]);
    muse_wd_int(m, at);
}

/* "2<x3><y9> red<x40><y8>7,3": a slice, where it ends, and so its share */
static void put_slice(Maker *m, const Chart *c, int i)
{
    muse_wd_int(m, i + 1);
    muse_wd_at(m, i);
    put_label(m, c, i, true);
    put_rim(m, c, i, c->starts[i] + c->ticks[i]);
    muse_wd_put(m, ",");
    muse_wd_int(m, c->ticks[i]);
}

/* Of a pie's slice: the slices from the top up to it. Its begin and end alone were another slice's too often. */
static void put_tick(Maker *m, const Chart *c, int i)
{
    for (int k = 0; c->kind == PIE && k <= i; k++) {
        muse_wd_put(m, ";");
        put_slice(m, c, k);
    }
    if (c->kind == PIE) muse_wd_put(m, ";");
    muse_wd_int(m, c->ticks[i]);
    muse_wd_put(m, "*");
    muse_wd_int(m, c->kind == PIE ? 100 / SHARES : c->max / TICKS);
    muse_wd_put(m, "=");
    muse_wd_int(m, (int)m->objects[i].value);
}

/* the entry with the largest (sign 1) or smallest (-1) value, by at least `clear` ticks; -1: none */
static int extreme(const Chart *c, int sign, int clear)
{
    int best = 0;
    for (int i = 1; i < c->n; i++)
        if (sign * c->ticks[i] > sign * c->ticks[best]) best = i;
    for (int i = 0; i < c->n; i++)
        if (i != best && sign * (c->ticks[best] - c->ticks[i]) < clear) return -1;
    return best;
}

static const char *const extremes[3][2][3] = {
    { { "Which bar is the tallest?", "Which bar is highest?", "Name the tallest bar." }, { "Which bar is the shortest?", "Which bar is lowest?", "Name the shortest bar." } },
    { { "Where is the line highest?", "At which label is the line highest?", "Which point is the highest?" },
      { "Where is the line lowest?", "At which label is the line lowest?", "Which point is the lowest?" } },
    { { "Which slice is the largest?", "Name the largest slice.", "Which slice is biggest?" }, { "Which slice is the smallest?", "Name the smallest slice.", "Which slice is the least?" } } };

/* ">2": number of the first that leads up to entry i; returns it, from 0 */
static int put_best(Maker *m, const Chart *c, bool low, int best, int i)
{
    if ((low ? -1 : 1) * (c->ticks[i] - c->ticks[best]) > 0) best = i;
    muse_wd_put(m, ">");
    muse_wd_int(m, best + 1);
    return best;
}

static void ask_extreme(Maker *m, const Chart *c)
{
    const int low = rng_int(&m->ask, 0, 1), at = extreme(c, low ? -1 : 1, c->kind == PIE ? 2 : 1);
    if (at < 0) return;
    const bool think = muse_wd_begin(m, "tallest");
    const Ask ask = { .ia = -1 };
    int best = 0;
    muse_wd_ask(m, extremes[c->kind][low], 3, &ask);
    if (think) {
        muse_wd_think(m);
        muse_wd_put(m, low ? " lowest" : " highest");
        for (int i = 0; i < c->n; i++) {
            muse_wd_put(m, ";");
            if (c->kind == PIE) put_slice(m, c, i);
            else {
                muse_wd_int(m, i + 1);
                muse_wd_at(m, i);
                put_label(m, c, i, true);
            }
            best = put_best(m, c, low, best, i);
        }
        muse_wd_put(m, ";");
        muse_wd_at(m, at);
    }
    muse_wd_answer(m);
    put_label(m, c, at, false);
    muse_wd_end(m);
}

/* where the things of a drill's chart stand, in places: along an axis, or round a middle */
static void drill_places(Maker *m, const Chart *c, int places[ENTRIES_MAX][4])
{
    const int base = rng_int(&m->ask, 44, 52), tick = rng_int(&m->ask, 3, 4), first = rng_int(&m->ask, 8, 20), step = rng_int(&m->ask, 6, 8);
    const double x = rng_int(&m->ask, 27, 36), y = rng_int(&m->ask, 27, 36), r = rng_int(&m->ask, 18, 25), turn = 2 * 3.14159265358979323846 / SHARES;
    for (int i = 0; i < c->n; i++) {
        int *p = places[i];
        const double to = turn * (c->starts[i] + c->ticks[i]), middle = to - turn * c->ticks[i] / 2;
        if (c->kind != PIE) p[0] = first + i * step, p[1] = base - tick * c->ticks[i] + rng_int(&m->ask, 0, 1);
        else p[0] = (int)(x + 0.62 * r * sin(middle)), p[1] = (int)(y - 0.62 * r * cos(middle)), p[2] = (int)(x + r * sin(to)), p[3] = (int)(y - r * cos(to));
    }
}

/* From the points of bars, or the shares of slices, to the largest or smallest. */
void muse_wd_drill_tallest(Maker *m)
{
    const int low = rng_int(&m->ask, 0, 1);
    Chart c = { .kind = rng_int(&m->ask, BARS, PIE) };
    const bool lettered = c.kind == LINE || rng_chance(&m->ask, 0.5);
    c.n = rng_int(&m->ask, 2, c.kind == PIE ? 5 : 6);
    uint8_t colors[ENTRIES_MAX], used[MUSE_WORLDS_COLORS] = { 0 };
    int at, best = 0, places[ENTRIES_MAX][4];
    do draw_ticks(m, &c); while ((at = extreme(&c, low ? -1 : 1, c.kind == PIE ? 2 : 1)) < 0);
    for (int i = 0; i < c.n; i++) {
        do colors[i] = (uint8_t)rng_int(&m->ask, 1, MUSE_WORLDS_COLORS - 1); while (used[colors[i]]);
        used[colors[i]] = 1;
    }
    muse_wd_begin(m, "drill-tallest");
    muse_wd_ask(m, extremes[c.kind][low], 3, &(Ask){ .ia = -1 });
    muse_wd_drill_think(m);
    drill_places(m, &c, places);
    muse_wd_put(m, low ? " lowest" : " highest");
    char text[80], label[16], answer[16] = "";
    for (int i = 0; i < c.n; i++) {
        snprintf(label, sizeof label, " %s", muse_worlds_color_name(colors[i]));
        if (lettered) snprintf(label, sizeof label, " %c", 'A' + i);
        if (i == at) strcpy(answer, label);
        snprintf(text, sizeof text, ";%d<x%d><y%d>%s", i + 1, places[i][0], places[i][1], label);
        if (i) muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
        muse_wd_put(m, text);
        snprintf(text, sizeof text, "<x%d><y%d>", places[i][2], places[i][3]);
        if (c.kind == PIE) muse_wd_put(m, text);
        muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        snprintf(text, sizeof text, "%d,%d", c.starts[i] + c.ticks[i], c.ticks[i]);
        if (c.kind == PIE) muse_wd_put(m, text);
        best = put_best(m, &c, low, best, i);
    }
    snprintf(text, sizeof text, ";<x%d><y%d>", places[at][0], places[at][1]);
    muse_wd_put(m, text);
    muse_wd_answer(m);
    muse_wd_put(m, answer);
    muse_wd_end(m);
}

static void ask_value(Maker *m, const Chart *c)
{
    static const char *const t[] = { "What is the value of the %a?", "How much is the %a?", "Read the value of the %a.", "Which value has the %a?" };
    static const char *const pie[] = { "How many percent is the %a?", "What percentage is the %a?", "What share in percent has the %a?" };
    const int at = rng_int(&m->ask, 0, c->n - 1);
    const bool think = muse_wd_begin(m, "value");
    const Ask ask = { .a = entry(m, c, at), .ia = at };
    muse_wd_ask(m, c->kind == PIE ? pie : t, c->kind == PIE ? 3 : 4, &ask);
    if (think) {
        muse_wd_think(m);
        put_entry(m, c, at);
        put_tick(m, c, at);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, (int)m->objects[at].value);
    muse_wd_end(m);
}

static void ask_higher(Maker *m, const Chart *c)
{
    static const char *const t[] = { "Is the %a higher than the %b?", "Is the value of the %a larger than that of the %b?", "Does the %a beat the %b?" };
    const int a = rng_int(&m->ask, 0, c->n - 1), b = rng_int(&m->ask, 0, c->n - 1), clear = c->kind == PIE ? 2 : 1;
    if (a == b || (c->ticks[a] - c->ticks[b] < clear && c->ticks[b] - c->ticks[a] < clear)) return;
    const bool think = muse_wd_begin(m, "higher");
    ASK(m, t, .a = entry(m, c, a), .b = entry(m, c, b), .ia = a, .ib = b);
    if (think) {
        muse_wd_think(m);
        put_entry(m, c, a);
        muse_wd_int(m, c->ticks[a]);
        put_entry(m, c, b);
        muse_wd_int(m, c->ticks[b]);
        muse_wd_put(m, ";");
        muse_wd_int(m, c->ticks[a]);
        muse_wd_put(m, c->ticks[a] > c->ticks[b] ? ">" : "<");
        muse_wd_int(m, c->ticks[b]);
    }
    muse_wd_answer(m);
    muse_wd_put(m, c->ticks[a] > c->ticks[b] ? " yes" : " no");
    muse_wd_end(m);
}

static void ask_difference(Maker *m, const Chart *c)
{
    static const char *const t[] = { "How much higher is the %a than the %b?", "What is the difference between the %a and the %b?", "By how much does the %a exceed the %b?" };
    const int a = rng_int(&m->ask, 0, c->n - 1), b = rng_int(&m->ask, 0, c->n - 1);
    if (c->ticks[a] <= c->ticks[b]) return;
    const int va = (int)m->objects[a].value, vb = (int)m->objects[b].value;
    const bool think = muse_wd_begin(m, "difference");
    ASK(m, t, .a = entry(m, c, a), .b = entry(m, c, b), .ia = a, .ib = b);
    if (think) {
        muse_wd_think(m);
        put_entry(m, c, a);
        put_tick(m, c, a);
        put_entry(m, c, b);
        put_tick(m, c, b);
        muse_wd_put(m, ";");
        muse_wd_sum_chain(m, va, '-', vb);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, va - vb);
    muse_wd_end(m);
}

static void ask_entries(Maker *m, const Chart *c)
{
    static const char *const t[3][2] = { { "How many bars are there?", "Count the bars." }, { "How many points does the line have?", "Count the points of the line." },
                                         { "How many slices has the pie?", "Count the slices." } };
    const bool think = muse_wd_begin(m, "entries");
    const Ask ask = { .ia = -1 };
    muse_wd_ask(m, t[c->kind], 2, &ask);
    if (think) {
        muse_wd_think(m);
        for (int i = 0; i < c->n; i++) {
            if (i) muse_wd_put(m, ";");
            if (c->kind == PIE) {   /* the last ends at the top: none is left out */
                put_slice(m, c, i);
                continue;
            }
            muse_wd_int(m, i + 1);
            muse_wd_at(m, i);
        }
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, c->n);
    muse_wd_accept_number(m, c->n);
    muse_wd_end(m);
}

void muse_wd_make_charts(Maker *m)
{
    int w, h;
    muse_wd_side(m, 96, 512, false, &w, &h);
    if (w < 80 || h < 80) w = h = w > h ? w : h;   /* labels need room */
    if (!muse_wd_picture(m, w, h)) return;
    Ground ground;
    do ground = muse_wd_ground(m, true); while (ground.a.g > 90 && ground.a.g < 165);
    const Finish finish = muse_wd_finish(m, true);
    Chart c = make_chart(m, ground.colors, w, h);
    c.ink = ground.a.g > 128 ? shade(25) : shade(232);
    muse_wd_paint_ground(m, 0, &ground);
    if (c.kind == PIE) draw_pie(m, &c);
    else {
        draw_axes(m, &c, rng_chance(&m->paint, 0.5) ? 5 : rng_int(&m->paint, 1, 2));
        draw_columns(m, &c);
    }
    if (c.legend) draw_legend(m, &c);
    muse_wd_apply(m, 0, &finish);
    for (int tries = 0; tries < 14 && m->sample.n_branches < m->options.branches; tries++) {
        if (tries % 7 < 2 && muse_wd_wants(m, "value")) ask_value(m, &c);
        else if ((tries % 7 == 2 || tries % 7 == 3) && muse_wd_wants(m, "tallest")) ask_extreme(m, &c);
        else if (tries % 7 == 4 && muse_wd_wants(m, "higher")) ask_higher(m, &c);
        else if (tries % 7 == 5 && c.kind != PIE && muse_wd_wants(m, "difference")) ask_difference(m, &c);
        else if (tries % 7 == 6 && muse_wd_wants(m, "entries")) ask_entries(m, &c);
    }
}
