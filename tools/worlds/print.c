/* SPDX-License-Identifier: Apache-2.0 */
/* The world "print": signs so small that only a look at the original reads them. In an overview of options.overview pixels a
 * side a capital is at most 2.4 pixels high, under the 3 to 5 at which a prototype still answered by chance. */
#include <math.h>
#include <string.h>

#include "tools/worlds/inside.h"

MuseRect muse_worlds_view_rect(uint32_t width, uint32_t height, MuseRect box)
{
    const double side = fmax(64, 1.15 * fmax(box.x1 - box.x0, box.y1 - box.y0)), w = fmin(side, width), h = fmin(side, height);
    const double x = fmin(fmax((box.x0 + box.x1) / 2 - w / 2, 0), width - w), y = fmin(fmax((box.y0 + box.y1) / 2 - h / 2, 0), height - h);
    return (MuseRect){ floor(x), floor(y), floor(x) + ceil(w), floor(y) + ceil(h) };
}

/* what a runtime makes of the written places */
static MuseRect written(const Maker *m, MuseRect r)
{
    const double w = m->images[0].width, h = m->images[0].height, n = MUSE_WORLDS_PLACES;
    return (MuseRect){ muse_wd_place(r.x0, w) * w / n, muse_wd_place(r.y0, h) * h / n, (muse_wd_place(r.x1 - 1e-6, w) + 1) * w / n,
                       (muse_wd_place(r.y1 - 1e-6, h) + 1) * h / n };
}

MuseRect muse_wd_look(Maker *m, MuseRect box)
{
    const MuseRect view = muse_worlds_view_rect(m->images[0].width, m->images[0].height, written(m, box));
    muse_wd_box(m, 0, box);
    muse_wd_view(m, 0, view);
    return view;
}

/* "<look> red square<box>...", the view; then what was read is written. A wrong look is given, not learned; noticing it is. */
static void look(Maker *m, Desc d, int object)
{
    if (rng_chance(&m->ask, 0.08) && m->sample.n_objects > 2) {
        int other;
        do other = (int)rng_below(&m->ask, (uint32_t)m->sample.n_objects); while (other == object);
        muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
        muse_wd_put(m, "<look>");
        muse_wd_name(m, d, object);
        muse_wd_look(m, m->objects[other].box);
        muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        muse_wd_put(m, "<verify> no");
    }
    muse_wd_put(m, "<look>");
    muse_wd_name(m, d, object);
    muse_wd_look(m, m->objects[object].box);
}

static void read_mark(Maker *m, int object)   /* sign by sign: each is a token of its own */
{
    for (const char *s = m->objects[object].mark; *s; s++) {
        muse_wd_put(m, " ");
        muse_wd_char(m, *s);
    }
}

static int marked(Maker *m, bool digits)
{
    for (int tries = 0; tries < 12; tries++) {
        const int at = (int)rng_below(&m->ask, (uint32_t)m->sample.n_objects);
        const char *mark = m->objects[at].mark;
        if (*mark && (!digits || (mark[0] <= '9' && !mark[1]))) return at;
    }
    return -1;
}

static void ask_read(Maker *m)
{
    static const char *const t[] = { "What is printed on the %a?", "What does the %a say?", "Read the sign on the %a.", "What is written on the %a?" };
    const int at = marked(m, false);
    Desc d;
    if (at < 0 || !muse_wd_unique(m, 0, at, &d)) return;
    const bool think = muse_wd_begin(m, "read");
    ASK(m, t, .a = d, .ia = at);
    if (think) {
        muse_wd_think(m);
        look(m, d, at);
        read_mark(m, at);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_put(m, m->objects[at].mark);
    muse_wd_end(m);
}

static void ask_two(Maker *m, bool sum)
{
    static const char *const add[] = { "Add the digits on the %a and the %b.", "What is the sum of the digits on the %a and the %b?", "The %a plus the %b: what is the sum?" };
    static const char *const same[] = { "Do the %a and the %b bear the same sign?", "Is the sign on the %a the same as on the %b?", "Same sign on the %a and the %b?" };
    const int a = marked(m, sum);
    int b = marked(m, sum);
    for (size_t i = 0; a >= 0 && !sum && rng_chance(&m->ask, 0.7) && i < m->sample.n_objects; i++)   /* equal signs are rare */
        if ((int)i != a && strcmp(m->objects[i].mark, m->objects[a].mark) == 0) b = (int)i;
    Desc da, db;
    if (a < 0 || b < 0 || a == b || m->objects[a].mark[1] || m->objects[b].mark[1]) return;
    if (!muse_wd_unique(m, 0, a, &da) || !muse_wd_unique(m, 0, b, &db)) return;
    const char sa = m->objects[a].mark[0], sb = m->objects[b].mark[0];
    const bool think = muse_wd_begin(m, sum ? "addprint" : "sameprint");
    if (sum) ASK(m, add, .a = da, .b = db, .ia = a, .ib = b);
    else ASK(m, same, .a = da, .b = db, .ia = a, .ib = b);
    if (think) {
        muse_wd_think(m);
        look(m, da, a);
        read_mark(m, a);
        look(m, db, b);
        read_mark(m, b);
        muse_wd_put(m, ";");
        if (sum) muse_wd_sum_chain(m, sa - '0', '+', sb - '0');
        else muse_wd_same_chain(m, sa, sb, false);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    if (sum) {
        muse_wd_int(m, sa + sb - 2 * '0');
        muse_wd_accept_number(m, sa + sb - 2 * '0');
    } else muse_wd_put(m, sa == sb ? "yes" : "no");
    muse_wd_end(m);
}

/* ---- drawing ---- */

static void draw_mark(Maker *m, const MuseWorldsObject *o, unsigned font, double cap, Rgb ground)
{
    const bool light = (2 * ground.r + 5 * ground.g + ground.b) / 8 > 120;
    const Rgb ink = light ? (Rgb){ 12, 12, 14 } : (Rgb){ 248, 248, 244 };
    MuseRect box;
    const double width = muse_wd_write(m, 0, font, o->mark, 0, 0, cap, NULL, &box);
    const double dx = rng_range(&m->paint, -0.12, 0.12) * cap, dy = rng_range(&m->paint, -0.12, 0.12) * cap;
    muse_wd_write(m, 0, font, o->mark, o->x - width / 2 + dx, o->y - (box.y0 + box.y1) / 2 + dy, cap, &ink, NULL);
}

/* 1 sign on most things, 2 or 3 on some; half copy another thing's */
static void draw_marks(Maker *m, MuseWorldsObject *o, double cap, double radius)
{
    if (rng_chance(&m->lay, 0.12)) return;
    const MuseWorldsObject *other = &m->objects[rng_below(&m->lay, (uint32_t)m->sample.n_objects)];
    if (rng_chance(&m->lay, 0.5) && *other->mark && !other->mark[1]) memcpy(o->mark, other->mark, sizeof o->mark);
    else {
        const bool wide = o->kind == MUSE_WORLDS_CIRCLE || o->kind == MUSE_WORLDS_SQUARE || o->kind == MUSE_WORLDS_HEXAGON;
        const int n = rng_chance(&m->lay, 0.7) || !wide || radius < 2.2 * cap ? 1 : rng_int(&m->lay, 2, 3);
        for (int i = 0; i < n; i++) o->mark[i] = rng_chance(&m->lay, 0.45) ? (char)('0' + rng_int(&m->lay, 0, 9)) : muse_wd_glyph(&m->lay);
        o->mark[n] = 0;
    }
}

void muse_wd_make_print(Maker *m)
{
    int w, h;
    muse_wd_side(m, 256, 1024, false, &w, &h);
    const double scale = sqrt((double)w * h) / m->options.overview;
    if (scale < 3.9) return;   /* 9 pixels of print would still be seen in the overview */
    const double cap = fmax(9, rng_range(&m->lay, 1.6, 2.4) * scale);
    if (!muse_wd_picture(m, w, h)) return;
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, true);
    Plan plan = { .n = many ? rng_int(&m->lay, 9, 10) : rng_int(&m->lay, 2, 6), .distinct = true, .shapes_only = true, .colors = ground.colors, .gap = 0.01 };
    muse_wd_lay(m, 0, w, h, plan);
    if (m->sample.n_objects < (many ? 9 : 2) || (m->options.split == MUSE_WORLDS_PAIRS && !muse_worlds_held_out(m->objects[0].color, m->objects[0].kind))) return;
    muse_wd_paint_ground(m, 0, &ground);
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        MuseWorldsObject *o = &m->objects[i];
        const double radius = o->box.x1;
        muse_wd_draw_one(m, o, rng_range(&m->paint, -0.2, 0.2));
        if (radius < 2.2 * cap * (o->kind == MUSE_WORLDS_CROSS || o->kind == MUSE_WORLDS_STAR ? 1.2 : 0.75)) continue;   /* too small to bear a sign */
        draw_marks(m, o, cap, radius);
        if (!*o->mark) continue;
        const uint8_t *p = m->rgb[0] + ((size_t)o->y * (size_t)w + (size_t)o->x) * 3;
        draw_mark(m, o, muse_wd_pick_font(m), cap, (Rgb){ p[0], p[1], p[2] });
    }
    muse_wd_apply(m, 0, &finish);
    m->think_share = 0.8;   /* a direct answer is a guess here, and soon learned */
    for (int tries = 0; tries < 24 && m->sample.n_branches < m->options.branches && m->sample.n_branches < 8; tries++) {
        if (tries % 6 < 3 && muse_wd_wants(m, "read")) ask_read(m);
        else if (tries % 6 == 3 && muse_wd_wants(m, "addprint")) ask_two(m, true);
        else if (tries % 6 == 4 && muse_wd_wants(m, "sameprint")) ask_two(m, false);
        else if (tries % 6 == 5 && muse_wd_wants(m, tries % 12 == 5 ? "color" : "shape")) muse_wd_ask_attribute(m, tries % 12 == 5 ? 'c' : 'k');
    }
}
