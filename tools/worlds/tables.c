/* SPDX-License-Identifier: Apache-2.0 */
/* The worlds "tables" (a table as text beside a picture) and "svg" (redraw the picture as vector graphics), and drills of both. */
#include <stdio.h>
#include <string.h>

#include "tools/worlds/inside.h"

typedef struct Table { bool by_color; int keys[8], values[8], n; } Table;

static const char *key_name(const Table *t, int i) { return t->by_color ? muse_worlds_color_name(t->keys[i]) : muse_worlds_kind_name(t->keys[i]); }

static int row_of(const Table *t, const MuseWorldsObject *o)
{
    for (int i = 0; i < t->n; i++)
        if (t->keys[i] == (t->by_color ? o->color : o->kind)) return i;
    return -1;
}

/* a row for each key of the picture and up to `more`, in any order, values distinct */
static Table make_table(Maker *m, int more)
{
    Table t = { .by_color = rng_chance(&m->lay, 0.5) };
    for (size_t i = 0; i < m->sample.n_objects; i++)
        if (row_of(&t, &m->objects[i]) < 0) t.keys[t.n++] = t.by_color ? m->objects[i].color : m->objects[i].kind;
    for (int tries = 0, wish = t.n + more; tries < 8 && t.n < wish && t.n < 8; tries++) {
        const MuseWorldsObject o = { .color = (uint8_t)rng_int(&m->lay, 1, MUSE_WORLDS_COLORS - 1), .kind = (uint8_t)rng_int(&m->lay, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART) };
        if (row_of(&t, &o) < 0) t.keys[t.n++] = t.by_color ? o.color : o.kind;
    }
    for (int i = t.n - 1; i > 0; i--) {
        const int k = rng_int(&m->lay, 0, i), key = t.keys[i];
        t.keys[i] = t.keys[k];
        t.keys[k] = key;
    }
    for (int i = 0; i < t.n; i++) {
        bool taken;
        do {
            t.values[i] = rng_int(&m->lay, 1, 20);
            taken = false;
            for (int k = 0; k < i; k++) taken = taken || t.values[k] == t.values[i];
        } while (taken);
    }
    return t;
}

static void put_table(Maker *m, const Table *t)
{
    static const char *const value[] = { "price", "points", "weight" };
    muse_wd_part(m, MUSE_WORLDS_QUESTION, false);
    muse_wd_put(m, t->by_color ? "color | " : "shape | ");
    muse_wd_put(m, value[rng_below(&m->ask, 3)]);
    muse_wd_put(m, "\n");
    for (int i = 0; i < t->n; i++) {
        muse_wd_put(m, key_name(t, i));
        muse_wd_put(m, " | ");
        muse_wd_int(m, t->values[i]);
        muse_wd_put(m, "\n");
    }
}

/* the object, its key, the key's value */
static void put_lookup(Maker *m, const Table *t, Desc d, int at)
{
    const int row = row_of(t, &m->objects[at]);
    muse_wd_name(m, d, at);
    muse_wd_at(m, at);
    muse_wd_put(m, " ");
    muse_wd_put(m, key_name(t, row));
    muse_wd_put(m, " ");
    muse_wd_int(m, t->values[row]);
}

static void ask_lookup(Maker *m, const Table *t, bool two)
{
    static const char *const one[] = { "What does the table give for the %a?", "Which number belongs to the %a?", "Look up the %a.", "What is the number of the %a in the table?" };
    static const char *const sum[] = { "What do the %a and the %b come to together?", "Add the numbers of the %a and the %b.", "What is the total of the %a and the %b?" };
    const int n = (int)m->sample.n_objects, a = rng_int(&m->ask, 0, n - 1), b = rng_int(&m->ask, 0, n - 1);
    Desc da, db;
    if ((two && a == b) || !muse_wd_unique(m, 0, a, &da) || !muse_wd_unique(m, 0, b, &db)) return;
    const int va = t->values[row_of(t, &m->objects[a])], vb = t->values[row_of(t, &m->objects[b])];
    const bool think = muse_wd_begin(m, two ? "total" : "lookup");
    put_table(m, t);
    if (two) ASK(m, sum, .a = da, .b = db, .ia = a, .ib = b);
    else ASK(m, one, .a = da, .ia = a);
    if (think) {
        muse_wd_think(m);
        put_lookup(m, t, da, a);
        if (two) {
            muse_wd_put(m, ";");
            put_lookup(m, t, db, b);
            muse_wd_put(m, ";");
            muse_wd_sum_chain(m, va, '+', vb);
        }
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, two ? va + vb : va);
    muse_wd_accept_number(m, two ? va + vb : va);
    muse_wd_end(m);
}

/* A table and half of its rows looked up, each beginning as a chain from a picture would; only the numbers are learned. A row's key
 * begins a line, the same word in the chain does not, so they are different tokens: without this drill pictures taught 1 in 7. */
void muse_wd_drill_lookup(Maker *m)
{
    static const char *const q[] = { "What does the table give?", "Which numbers are they?", "Look them up.", "Read the table." };
    const Table t = make_table(m, 7);
    int row = 0;
    muse_wd_begin(m, "drill-lookup");
    put_table(m, &t);
    ASK(m, q, .ia = -1);
    muse_wd_drill_think(m);
    for (int i = 0, n = (t.n + 1) / 2; i < n; i++) {
        Desc d;
        row = rng_int(&m->ask, 0, t.n - 1);
        do d = (Desc){ 0, rng_int(&m->ask, 1, MUSE_WORLDS_COLORS - 1), rng_int(&m->ask, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART), 0 };
        while ((t.by_color ? d.color : d.kind) != t.keys[row] || !muse_wd_known(m, d));
        if (i) muse_wd_part(m, MUSE_WORLDS_THOUGHT, false), muse_wd_put(m, ";");
        muse_wd_spot_put(m, &(Spot){ .desc = d, .object = -1, .px = rng_int(&m->ask, 2, 61), .py = rng_int(&m->ask, 2, 61) });
        muse_wd_put(m, " ");
        muse_wd_put(m, key_name(&t, row));
        muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        muse_wd_put(m, " ");
        muse_wd_int(m, t.values[row]);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, t.values[row]);
    muse_wd_end(m);
}

void muse_wd_make_tables(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 256, false, &w, &h);
    if (!muse_wd_picture(m, w, h)) return;
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, false);
    const int n = m->options.split == MUSE_WORLDS_MANY ? 6 : rng_int(&m->lay, 2, 5);
    muse_wd_lay(m, 0, w, h, (Plan){ .n = n, .shapes_only = true, .distinct = true, .colors = ground.colors, .gap = 0.02 });
    if (m->sample.n_objects < 2) return;
    const Table t = make_table(m, 2);
    muse_wd_paint_ground(m, 0, &ground);
    muse_wd_draw(m, 0);
    muse_wd_apply(m, 0, &finish);
    for (int i = 0; i < 3; i++) {
        if (i < 2 && muse_wd_wants(m, "lookup")) ask_lookup(m, &t, false);
        if (muse_wd_wants(m, "total") && (i == 0 || m->options.only)) ask_lookup(m, &t, true);
    }
}

/* ---- svg ---- */

static const char *const redraw[] = { "Redraw the picture as SVG.", "Write this picture as SVG.", "Draw it again as SVG.", "Give SVG code for the picture." };

static void put_use(Maker *m, Desc d, int x, int y)
{
    static const int scale[] = { 0, 4, 6, 8 };   /* what the sizes are in 64ths of the side, rounded */
    muse_wd_put(m, "<use href=\"#");
    muse_wd_put(m, muse_worlds_kind_name(d.kind));
    muse_wd_put(m, "\" fill=\"");
    muse_wd_put(m, muse_worlds_color_name(d.color));
    muse_wd_put(m, "\" transform=\"translate(");
    muse_wd_int(m, x);
    muse_wd_put(m, ",");
    muse_wd_int(m, y);
    muse_wd_put(m, ")scale(");
    muse_wd_int(m, scale[d.size]);
    muse_wd_put(m, ")\"/>");
}

static void ask_svg(Maker *m)
{
    uint8_t order[SCENE_MAX];
    const int n = muse_wd_sorted(m, 0, order);
    const bool think = muse_wd_begin(m, "svg");
    ASK(m, redraw, .ia = -1);
    if (think) {
        muse_wd_think(m);
        for (int i = 0; i < n; i++) {
            if (i) muse_wd_put(m, ";");
            muse_wd_int(m, i + 1);
            muse_wd_at(m, order[i]);
            muse_wd_name(m, muse_wd_full(&m->objects[order[i]], true), order[i]);
        }
    }
    muse_wd_answer(m);
    for (int i = 0; i < n; i++) {
        const MuseWorldsObject *o = &m->objects[order[i]];
        put_use(m, muse_wd_full(o, true), muse_wd_place(o->x, m->images[0].width), muse_wd_place(o->y, m->images[0].height));
    }
    muse_wd_end(m);
}

/* From the list that a picture would give to the drawing: places become numbers. */
void muse_wd_drill_svg(Maker *m)
{
    Desc d[6];
    char at[32];
    int x[6], y[6];
    const int n = rng_int(&m->ask, 1, 6);
    muse_wd_begin(m, "drill-svg");
    ASK(m, redraw, .ia = -1);
    muse_wd_drill_think(m);
    for (int i = 0; i < n; i++) {
        do d[i] = (Desc){ rng_int(&m->ask, 1, 3), rng_int(&m->ask, 1, MUSE_WORLDS_COLORS - 1), rng_int(&m->ask, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART), 0 };
        while (!muse_wd_known(m, d[i]));
        x[i] = rng_int(&m->ask, 2, 61);
        y[i] = rng_int(&m->ask, 2, 61);
        if (i) muse_wd_put(m, ";");
        snprintf(at, sizeof at, "%d<x%d><y%d>", i + 1, x[i], y[i]);
        muse_wd_put(m, at);
        muse_wd_name(m, d[i], -1);
    }
    muse_wd_answer(m);
    for (int i = 0; i < n; i++) put_use(m, d[i], x[i], y[i]);
    muse_wd_end(m);
}

void muse_wd_make_svg(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 256, true, &w, &h);
    if (!muse_wd_picture(m, w, h)) return;
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, false);
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    muse_wd_lay(m, 0, w, h, (Plan){ .n = many ? 9 : rng_int(&m->lay, 1, 6), .shapes_only = true, .colors = ground.colors, .gap = 0.015 });
    if (m->sample.n_objects < (many ? 9 : 1)) return;
    muse_wd_paint_ground(m, 0, &ground);
    muse_wd_draw(m, 0);
    muse_wd_apply(m, 0, &finish);
    if (muse_wd_wants(m, "svg")) ask_svg(m);
}
