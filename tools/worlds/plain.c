/* SPDX-License-Identifier: Apache-2.0 */
/* The worlds "solid" (pictures of one colour, and of two halves) and "odd" (one thing unlike the others). */
#include <stdio.h>
#include <string.h>

#include "tools/worlds/inside.h"

/* ---- solid ---- */

static void ask_solid(Maker *m, int color)
{
    static const char *const t[] = { "What colour is this?", "What colour is the picture?", "Which color fills the picture?", "Name the colour.", "What color do you see?" };
    const bool think = muse_wd_begin(m, "solid");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        muse_wd_point(m, 0, m->images[0].width / 2.0, m->images[0].height / 2.0);
        muse_wd_put(m, " ");
        muse_wd_put(m, muse_worlds_color_name(color));
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_put(m, muse_worlds_color_name(color));
    if (color == MUSE_WORLDS_GRAY) muse_wd_accept(m, "grey");
    muse_wd_end(m);
}

static void ask_half(Maker *m, const int colors[2], bool across)
{
    static const char *const sides[2][2] = { { "upper half", "lower half" }, { "left half", "right half" } };
    static const char *const t[] = { "What colour is the %r?", "Which color fills the %r?", "What colour is the %r of the picture?" };
    const int which = rng_int(&m->ask, 0, 1);
    const double w = m->images[0].width, h = m->images[0].height, at = which ? 0.75 : 0.25;
    const bool think = muse_wd_begin(m, "half");
    ASK(m, t, .ia = -1, .r = sides[across][which]);
    if (think) {
        muse_wd_think(m);
        muse_wd_point(m, 0, across ? w * at : w / 2, across ? h / 2 : h * at);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_put(m, muse_worlds_color_name(colors[which]));
    if (colors[which] == MUSE_WORLDS_GRAY) muse_wd_accept(m, "grey");
    muse_wd_end(m);
}

/* A colour that fills a picture has nothing beside it to be told from: all that bears its name. */
static Rgb filling(Maker *m, int color)
{
    static const uint8_t range[3][2] = { { 96, 160 }, { 0, 36 }, { 226, 255 } };   /* gray, black, white */
    if (color < MUSE_WORLDS_GRAY) return muse_wd_color(m, color);
    const uint8_t *r = range[color - MUSE_WORLDS_GRAY], v = (uint8_t)rng_int(&m->paint, r[0], r[1]);
    return (Rgb){ v, v, v };
}

void muse_wd_make_solid(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 256, false, &w, &h);
    if (!muse_wd_picture(m, w, h)) return;
    const bool halves = rng_chance(&m->lay, 0.35), across = rng_chance(&m->lay, 0.5);
    int colors[2] = { rng_int(&m->lay, 1, MUSE_WORLDS_COLORS - 1), 0 };
    do colors[1] = rng_int(&m->lay, 1, MUSE_WORLDS_COLORS - 1); while (colors[1] == colors[0]);
    muse_wd_rect(m, 0, (MuseRect){ 0, 0, w, h }, filling(m, colors[0]));
    if (halves) muse_wd_rect(m, 0, across ? (MuseRect){ w / 2.0, 0, w, h } : (MuseRect){ 0, h / 2.0, w, h }, filling(m, colors[1]));
    Finish f = { .gain = rng_range(&m->paint, 0.94, 1.04), .noise = rng_chance(&m->paint, 0.5) ? rng_range(&m->paint, 0, 6) : 0 };
    muse_wd_apply(m, 0, &f);
    if (!halves && muse_wd_wants(m, "solid")) ask_solid(m, colors[0]);
    for (int i = 0; halves && i < 3; i++)
        if (muse_wd_wants(m, "half")) ask_half(m, colors, across);
}

/* ---- odd one out ---- */

static const char *const which[] = { "Which one is different?", "Which object is the odd one out?", "Name the object that is unlike the others.", "What does not belong here?" };

/* " others small star;<x3><y9> small star same;<x7><y20> small cross odd": what most are, then each held against it, up to the one
 * that is not. The list first and the verdict behind it were wrong twice as often: to find a thing in a list again is a step more. */
static void ask_odd(Maker *m, int odd, bool size, bool place)
{
    static const char *const where[] = { "Where is the odd one out?", "Point to the object that is different.", "Where is the one unlike the others?" };
    uint8_t order[SCENE_MAX];
    const int n = muse_wd_sorted(m, 0, order);
    const bool think = muse_wd_begin(m, place ? "oddplace" : "odd");
    if (place) ASK(m, where, .ia = -1);
    else ASK(m, which, .ia = -1);
    if (think) {
        muse_wd_think(m);
        muse_wd_put(m, " others");
        muse_wd_name(m, muse_wd_full(&m->objects[!odd], true), -1);
        for (int i = 0, at = -1; i < n && at != odd; i++) {
            at = order[i];
            muse_wd_put(m, ";");
            muse_wd_at(m, at);
            muse_wd_name(m, muse_wd_full(&m->objects[at], true), at);
            muse_wd_put(m, at == odd ? " odd" : " same");
        }
    }
    muse_wd_answer(m);
    if (place) {
        muse_wd_put(m, "<point>");
        muse_wd_at(m, odd);
        muse_wd_accept_near(m, 0, m->objects[odd].x, m->objects[odd].y);
    } else {
        muse_wd_name(m, muse_wd_full(&m->objects[odd], size), odd);
        if (!size) muse_wd_accept_name(m, &m->objects[odd]);
    }
    muse_wd_end(m);
}

/* What a picture would give, thing by thing; whether it is like the others is learned. */
void muse_wd_drill_odd(Maker *m)
{
    const int what = rng_int(&m->ask, 0, 2), at = rng_int(&m->ask, 0, 7);
    Desc common, odd;
    do {
        common = (Desc){ rng_int(&m->ask, 1, 3), rng_int(&m->ask, 1, MUSE_WORLDS_COLORS - 1), rng_int(&m->ask, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART), 0 };
        odd = common;
        if (what == 0) odd.color = rng_int(&m->ask, 1, MUSE_WORLDS_COLORS - 1);
        else if (what == 1) odd.kind = rng_int(&m->ask, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART);
        else odd.size = MUSE_WORLDS_SMALL + MUSE_WORLDS_LARGE - common.size;
    } while (memcmp(&odd, &common, sizeof odd) == 0 || !muse_wd_known(m, common) || !muse_wd_known(m, odd));
    muse_wd_begin(m, "drill-odd");
    ASK(m, which, .ia = -1);
    muse_wd_drill_think(m);
    muse_wd_put(m, " others");
    muse_wd_name(m, common, -1);
    for (int i = 0; i <= at; i++) {
        char place[32];
        snprintf(place, sizeof place, ";<x%d><y%d>", rng_int(&m->ask, 2, 61), rng_int(&m->ask, 2 + 7 * i, 8 + 7 * i));
        if (i) muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
        muse_wd_put(m, place);
        muse_wd_name(m, i == at ? odd : common, -1);
        muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        muse_wd_put(m, i == at ? " odd" : " same");
    }
    muse_wd_answer(m);
    if (what != 2) odd.size = 0;
    muse_wd_name(m, odd, -1);
    muse_wd_end(m);
}

/* one thing in n differs in one attribute; sizes differ by a whole step between small and large */
void muse_wd_make_odd(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 512, false, &w, &h);
    if (!muse_wd_picture(m, w, h)) return;
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, false);
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    const Plan plan = { .shapes_only = true, .colors = ground.colors };
    const int n = many ? rng_int(&m->lay, 9, 10) : rng_int(&m->lay, muse_wd_least(m, 3, 6), 8), what = rng_int(&m->lay, 0, 2);
    const MuseWorldsObject common = muse_wd_object(m, 0, w, h, &plan);
    MuseWorldsObject odd = common;
    if (what == 0) odd.color = (uint8_t)muse_wd_pick_color(m, ground.colors);
    else if (what == 1) odd.kind = (uint8_t)rng_int(&m->lay, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART);
    else odd.size = common.size == MUSE_WORLDS_SMALL ? MUSE_WORLDS_LARGE : MUSE_WORLDS_SMALL;
    const bool differs = odd.color != common.color || odd.kind != common.kind || odd.size != common.size;
    const bool sizes = what == 2 && common.size == MUSE_WORLDS_MEDIUM;   /* too alike */
    const bool pair = muse_worlds_held_out(odd.color, odd.kind);
    if (!differs || sizes || (pair && m->options.split != MUSE_WORLDS_PAIRS)) return;
    if (m->options.split == MUSE_WORLDS_PAIRS && !pair && !muse_worlds_held_out(common.color, common.kind)) return;
    for (int tries = 0; tries < 60 * n && (int)m->sample.n_objects < n; tries++) {
        MuseWorldsObject o = m->sample.n_objects ? common : odd;
        o.box.x1 = muse_wd_radius(m, o.size, w, h);
        o.x = rng_range(&m->lay, o.box.x1 + 1, w - o.box.x1 - 1);
        o.y = rng_range(&m->lay, o.box.x1 + 1, h - o.box.x1 - 1);
        if (muse_wd_free(m, &o, 0.015 * (w < h ? w : h))) muse_wd_add(m, &o);
    }
    if ((int)m->sample.n_objects < (many ? 9 : 3)) return;
    muse_wd_paint_ground(m, 0, &ground);
    muse_wd_draw(m, 0);
    muse_wd_apply(m, 0, &finish);
    if (muse_wd_wants(m, "odd")) ask_odd(m, 0, what == 2, false);
    if (muse_wd_wants(m, "oddplace")) ask_odd(m, 0, what == 2, true);
}
