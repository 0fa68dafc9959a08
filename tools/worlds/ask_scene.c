/* SPDX-License-Identifier: Apache-2.0 */
/* The world "scenes" and its questions. Each asks about things that one description fits, or does not ask. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/worlds/inside.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int n_scene(const Maker *m) { return (int)m->sample.n_objects; }

/* an object by lot; in the split of pairs mostly one of a held-out pair */
static int pick(Maker *m)
{
    int i = (int)rng_below(&m->ask, (uint32_t)n_scene(m));
    for (int k = 0; m->options.split == MUSE_WORLDS_PAIRS && k < 3 && !muse_worlds_held_out(m->objects[i].color, m->objects[i].kind); k++)
        i = (int)rng_below(&m->ask, (uint32_t)n_scene(m));
    return i;
}

/* A description that fits nothing here: near misses (a colour and a kind that are both there) half of the time. */
static bool absent(Maker *m, Desc *d)
{
    Rng *r = &m->ask;
    for (int tries = 0; tries < 20; tries++) {
        const MuseWorldsObject *a = &m->objects[pick(m)], *b = &m->objects[pick(m)];
        *d = (Desc){ 0, a->color, b->kind, 0 };
        if (rng_chance(r, 0.35)) d->color = rng_int(r, 1, MUSE_WORLDS_COLORS - 1);
        if (rng_chance(r, 0.35)) d->kind = rng_int(r, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART);
        if (rng_chance(r, 0.12)) d->color = 0;
        else if (rng_chance(r, 0.12)) d->kind = 0;
        if (d->kind == MUSE_WORLDS_LETTER || d->kind == MUSE_WORLDS_DIGIT) {
            d->mark = muse_wd_glyph(r);
            d->kind = d->mark <= '9' ? MUSE_WORLDS_DIGIT : MUSE_WORLDS_LETTER;
        }
        if (muse_wd_known(m, *d) && muse_wd_count(m, 0, *d, NULL) == 0) return true;
    }
    return false;
}

static void ask_find(Maker *m)
{
    static const char *const openings[] = { "Places of the", "Places of", "Each place: the", "Each place:" };   /* none that asks for one thing alone: those answers say <point> */
    uint8_t order[SCENE_MAX];
    const int n = n_scene(m);
    for (int i = 0; i < n; i++) order[i] = (uint8_t)i;
    for (int i = n - 1; i > 0; i--) {
        const int k = (int)rng_below(&m->ask, (uint32_t)i + 1);
        const uint8_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    muse_wd_begin(m, "find");
    m->branches[m->sample.n_branches].think = 0;
    muse_wd_part(m, MUSE_WORLDS_QUESTION, false);
    muse_wd_put(m, openings[rng_below(&m->ask, COUNT(openings))]);
    int asked = 0;
    for (int i = 0; i < n || asked == 0; i++) {
        Desc d;
        const bool there = i < n && !rng_chance(&m->ask, 0.25);
        if (there ? !muse_wd_unique(m, 0, order[i], &d) : !absent(m, &d)) {
            if (i > n + 8) break;
            continue;
        }
        if (asked++) {
            muse_wd_part(m, MUSE_WORLDS_QUESTION, false);
            muse_wd_put(m, ";");
        }
        muse_wd_name(m, d, there ? order[i] : -1);
        muse_wd_part(m, MUSE_WORLDS_ANSWER, true);
        if (there) muse_wd_at(m, order[i]);
        else muse_wd_put(m, " none");
    }
    muse_wd_end(m);
}

static void ask_caption(Maker *m)
{
    static const char *const t[] = { "Describe the picture.", "What is in the picture?", "List the objects.", "What do you see?", "Give a caption with places." };
    uint8_t order[SCENE_MAX];
    const int n = muse_wd_sorted(m, 0, order);
    muse_wd_begin(m, "caption");
    m->branches[m->sample.n_branches].think = 0;
    ASK(m, t, .ia = -1);
    muse_wd_answer(m);
    for (int i = 0; i < n; i++) {
        if (i) muse_wd_put(m, ";");
        muse_wd_at(m, order[i]);
        muse_wd_name(m, muse_wd_full(&m->objects[order[i]], true), order[i]);
    }
    muse_wd_end(m);
}

/* "<x3><y4> red star 1;<x9><y9> blue cross 1": all things in reading order, behind each how many fit so far. A list of those alone
 * that fit missed one in eight: to go on from one to the next that fits is harder than to the next. */
static void enumerate(Maker *m, const Desc *d, int n_d)
{
    uint8_t order[SCENE_MAX];
    const int n = muse_wd_sorted(m, 0, order);
    int found[2] = { 0 };
    for (int i = 0; i < n; i++) {
        const MuseWorldsObject *o = &m->objects[order[i]];
        if (i) muse_wd_put(m, ";");
        muse_wd_at(m, order[i]);
        muse_wd_name(m, muse_wd_full(o, d->size > 0), order[i]);
        for (int k = 0; k < n_d; k++) {
            found[k] += muse_wd_matches(o, d[k]);
            muse_wd_put(m, k ? "," : " ");
            muse_wd_int(m, found[k]);
        }
    }
}

/* what can be counted: all, a colour, a kind, both, a size */
static Desc group(Maker *m)
{
    Rng *r = &m->ask;
    const MuseWorldsObject *o = &m->objects[pick(m)];
    Desc d = { 0 };
    const double lot = rng_unit(r);
    if (lot > 0.15) {
        if (lot < 0.7) d.color = o->color;
        if (lot > 0.45) d.kind = o->kind;
        if (lot > 0.92) d.size = o->size;
    }
    if (rng_chance(r, 0.1)) {
        d.kind = rng_int(r, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_DIGIT);
        if (!muse_wd_known(m, d)) d.color = 0;
    }
    return d;
}

static void ask_count(Maker *m)
{
    static const char *const t[] = { "How many %s are there?", "How many %s do you see?", "Count the %s.", "What is the number of %s?", "How many %s are in the picture?" };
    const Desc d = group(m);
    const int n = muse_wd_count(m, 0, d, NULL);
    const bool think = muse_wd_begin(m, "count");
    ASK(m, t, .a = d, .ia = -1);
    if (think) {
        muse_wd_think(m);
        enumerate(m, &d, 1);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, n);
    muse_wd_accept_number(m, n);
    muse_wd_end(m);
}

static void ask_compare(Maker *m)
{
    static const char *const t[] = { "Are there more %s than %t?", "Do you see more %s than %t?", "Is the number of %s larger than the number of %t?" };
    Desc d[2];
    int n[2];
    for (int tries = 0; tries < 10; tries++) {
        d[0] = group(m);
        d[1] = group(m);
        const bool kinds = d[0].kind && d[1].kind && d[0].kind != d[1].kind && !d[0].color && !d[1].color && !d[0].size && !d[1].size;
        const bool colors = d[0].color && d[1].color && d[0].color != d[1].color && d[0].kind == d[1].kind && !d[0].size && !d[1].size;
        if (!kinds && !colors) continue;
        for (int i = 0; i < 2; i++) n[i] = muse_wd_count(m, 0, d[i], NULL);
        if (n[0] < n[1] && rng_chance(&m->ask, 0.7)) {   /* ties are a "no" already */
            const Desc other = d[0];
            const int count = n[0];
            d[0] = d[1];
            d[1] = other;
            n[0] = n[1];
            n[1] = count;
        }
        const bool think = muse_wd_begin(m, "compare");
        ASK(m, t, .a = d[0], .b = d[1], .ia = -1, .ib = -1);
        if (think) {
            muse_wd_think(m);
            enumerate(m, d, 2);
            muse_wd_put(m, ";");
            muse_wd_int(m, n[0]);
            muse_wd_put(m, n[0] > n[1] ? ">" : n[0] < n[1] ? "<" : "=");
            muse_wd_int(m, n[1]);
        }
        muse_wd_answer(m);
        muse_wd_put(m, n[0] > n[1] ? " yes" : " no");
        muse_wd_end(m);
        return;
    }
}

/* something that shares an attribute with d and does not fit it; -1: nothing does */
static int alike(Maker *m, Desc d)
{
    for (int tries = 0; tries < 12; tries++) {
        const int at = pick(m);
        const MuseWorldsObject *o = &m->objects[at];
        if (!muse_wd_matches(o, d) && ((d.color && o->color == d.color) || (d.kind && o->kind == d.kind))) return at;
    }
    return -1;
}

/* "<x3><y4> red heart; red star": the wrong place is given, that it holds another thing is learned */
static void mistake(Maker *m, Desc d, int other)
{
    const MuseWorldsObject *o = &m->objects[other];
    const bool sign = o->kind == MUSE_WORLDS_LETTER || o->kind == MUSE_WORLDS_DIGIT;
    muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
    muse_wd_at(m, other);
    muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
    muse_wd_name(m, (Desc){ d.size ? o->size : 0, d.color ? o->color : 0, d.kind ? o->kind : 0, d.kind && sign ? o->mark[0] : 0 }, other);
    muse_wd_put(m, ";");
    muse_wd_name(m, d, -1);
}

static void ask_exist(Maker *m)
{
    static const char *const t[] = { "Is there %A?", "Do you see %A?", "Does the picture show %A?", "Is %A in the picture?", "Can you see %A here?" };
    Desc d;
    int at = -1;
    const bool there = rng_chance(&m->ask, 0.5);
    if (there) {
        at = pick(m);
        if (!muse_wd_unique(m, 0, at, &d)) return;
    } else if (!absent(m, &d)) return;
    const bool think = muse_wd_begin(m, "exist");
    ASK(m, t, .a = d, .ia = at);
    if (think) {
        muse_wd_think(m);
        const int other = rng_chance(&m->ask, there ? 0.15 : 0.5) ? alike(m, d) : -1;
        muse_wd_name(m, d, at);
        if (other >= 0) mistake(m, d, other);
        if (there) {
            muse_wd_at(m, at);
            muse_wd_name(m, d, at);
        } else muse_wd_put(m, " none");
    }
    muse_wd_answer(m);
    muse_wd_put(m, there ? " yes" : " no");
    muse_wd_end(m);
}

/* the description without the attribute asked for; false: others fit it too */
static bool without(Maker *m, int at, char attribute, Desc *d)
{
    const MuseWorldsObject *o = &m->objects[at];
    *d = muse_wd_full(o, attribute != 's' && rng_chance(&m->ask, 0.2));
    if (attribute == 'c') d->color = 0;
    if (attribute == 'k') d->kind = d->mark = 0;
    return muse_wd_count(m, 0, *d, NULL) == 1;
}

void muse_wd_ask_attribute(Maker *m, char attribute)
{
    static const char *const color[] = { "What colour is the %a?", "What color is the %a?", "Which colour does the %a have?", "Tell me the colour of the %a.", "The %a is of which colour?" };
    static const char *const kind[] = { "What shape is the %a?", "What is the %a?", "Which shape does the %a have?", "Tell me the shape of the %a." };
    static const char *const size[] = { "What size is the %a?", "How large is the %a?", "How big is the %a?", "Is the %a small, medium or large?" };
    Desc d;
    int at = pick(m);
    for (int tries = 0; !without(m, at, attribute, &d); at = pick(m))
        if (++tries > 6) return;
    const MuseWorldsObject *o = &m->objects[at];
    const bool think = muse_wd_begin(m, attribute == 'c' ? "color" : attribute == 'k' ? "shape" : "size");
    const Ask ask = { .a = d, .ia = at };
    if (attribute == 'c') muse_wd_ask(m, color, COUNT(color), &ask);
    else if (attribute == 'k') muse_wd_ask(m, kind, COUNT(kind), &ask);
    else muse_wd_ask(m, size, COUNT(size), &ask);
    if (think) {
        muse_wd_think(m);
        muse_wd_name(m, d, at);
        muse_wd_at(m, at);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    if (attribute == 'c') muse_wd_put(m, muse_worlds_color_name(o->color));
    else if (attribute == 's') muse_wd_put(m, muse_worlds_size_name(o->size));
    else muse_wd_put(m, muse_worlds_kind_name(o->kind));
    if (attribute == 'k' && o->mark[0]) {
        muse_wd_put(m, " ");
        muse_wd_char(m, o->mark[0]);
    }
    if (attribute == 'c' && o->color == MUSE_WORLDS_GRAY) muse_wd_accept(m, "grey");
    if (attribute == 's') muse_wd_accept(m, o->size == MUSE_WORLDS_LARGE ? "big" : o->size == MUSE_WORLDS_SMALL ? "little" : "medium-sized");
    if (attribute == 'k') muse_wd_accept_name(m, o);
    muse_wd_end(m);
}

static void ask_color(Maker *m) { muse_wd_ask_attribute(m, 'c'); }
static void ask_shape(Maker *m) { muse_wd_ask_attribute(m, 'k'); }
static void ask_size(Maker *m) { muse_wd_ask_attribute(m, 's'); }

static void ask_at(Maker *m)
{
    static const char *const t[] = { "What is at ", "Name the object at ", "Which object is at ", "What do you see at " };
    const int at = pick(m);
    const MuseWorldsObject *o = &m->objects[at];
    const double reach = fmin(o->box.x1 - o->box.x0, o->box.y1 - o->box.y0) * 0.15;
    muse_wd_begin(m, "at");
    m->branches[m->sample.n_branches].think = 0;
    ASK(m, t, .ia = -1);
    m->topic = (uint64_t)at;
    muse_wd_point(m, 0, o->x + rng_range(&m->ask, -reach, reach), o->y + rng_range(&m->ask, -reach, reach));
    muse_wd_put(m, "?");
    muse_wd_answer(m);
    muse_wd_name(m, muse_wd_full(o, false), at);
    muse_wd_accept_name(m, o);
    muse_wd_end(m);
}

static void ask_locate(Maker *m)
{
    static const char *const t[] = { "Where is the %a?", "Point to the %a.", "Show me the %a.", "Find the %a.", "At which place is the %a?" };
    Desc d;
    int at = -1;
    const bool there = !rng_chance(&m->ask, 0.2);
    if (there) {
        at = pick(m);
        if (!muse_wd_unique(m, 0, at, &d)) return;
    } else if (!absent(m, &d)) return;
    muse_wd_begin(m, "locate");
    m->branches[m->sample.n_branches].think = 0;
    ASK(m, t, .a = d, .ia = at);
    muse_wd_answer(m);
    if (there) {
        muse_wd_put(m, "<point>");
        muse_wd_at(m, at);
        muse_wd_accept_near(m, 0, m->objects[at].x, m->objects[at].y);
    } else {
        muse_wd_put(m, " none");
        muse_wd_accept(m, "nowhere");
    }
    muse_wd_end(m);
}

static void ask_box(Maker *m)
{
    static const char *const t[] = { "Give the box of the %a.", "Draw a box around the %a.", "Which box holds the %a?" };
    Desc d;
    const int at = pick(m);
    if (!muse_wd_unique(m, 0, at, &d)) return;
    muse_wd_begin(m, "box");
    m->branches[m->sample.n_branches].think = 0;
    ASK(m, t, .a = d, .ia = at);
    muse_wd_answer(m);
    muse_wd_box(m, 0, m->objects[at].box);
    muse_wd_end(m);
}

static Spot spot(const Maker *m, Desc d, int at)
{
    const MuseWorldsObject *o = &m->objects[at];
    return (Spot){ d, at, muse_wd_place(o->x, m->images[0].width), muse_wd_place(o->y, m->images[0].height) };
}

enum { APART = 4 };   /* places between two things whose order is asked: seen by eye, and past the rounding of places */

static void ask_order(Maker *m, bool yes_no)
{
    for (int tries = 0; tries < 12; tries++) {
        const int a = pick(m), b = pick(m);
        Desc da, db;
        if (a == b || !muse_wd_unique(m, 0, a, &da) || !muse_wd_unique(m, 0, b, &db)) continue;
        const Spot sa = spot(m, da, a), sb = spot(m, db, b);
        const bool across = rng_chance(&m->ask, 0.5);
        if ((across ? abs(sa.px - sb.px) : abs(sa.py - sb.py)) < APART) continue;
        muse_wd_relation(m, yes_no ? "relation" : "where", &sa, &sb, across, yes_no, false);
        return;
    }
}

static void ask_relation(Maker *m) { ask_order(m, true); }
static void ask_where(Maker *m) { ask_order(m, false); }

/* the nearest by centres, clearly nearer than the next; -1: none */
static int nearest(const Maker *m, int at)
{
    int best = -1;
    double first = 1e9, second = 1e9;
    for (int i = 0; i < n_scene(m); i++) {
        const double d = hypot(m->objects[i].x - m->objects[at].x, m->objects[i].y - m->objects[at].y);
        if (i == at) continue;
        if (d < first) {
            second = first;
            first = d;
            best = i;
        } else if (d < second) second = d;
    }
    return second > 1.25 * first ? best : -1;
}

/* the others in reading order, each with its distance */
static void put_distances(Maker *m, int at)
{
    uint8_t order[SCENE_MAX + 1];
    const int n = muse_wd_sorted(m, 0, order);
    const double w = m->images[0].width, h = m->images[0].height;
    for (int i = 0; i < n; i++) {
        if (order[i] == at) continue;
        muse_wd_put(m, ";");
        muse_wd_at(m, order[i]);
        muse_wd_distance(m, m->objects[order[i]].x - m->objects[at].x, m->objects[order[i]].y - m->objects[at].y, w > h ? w : h);
    }
}

static void ask_nearest(Maker *m)
{
    static const char *const t[] = { "What is nearest to the %a?", "Which object is closest to the %a?", "What lies nearest to the %a?", "Name the object closest to the %a." };
    for (int tries = 0; tries < 8 && n_scene(m) > 2; tries++) {
        const int at = pick(m), near = nearest(m, at);
        Desc d;
        if (near < 0 || !muse_wd_unique(m, 0, at, &d)) continue;
        const MuseWorldsObject *o = &m->objects[near];
        const bool think = muse_wd_begin(m, "nearest");
        ASK(m, t, .a = d, .ia = at);
        if (think) {
            muse_wd_think(m);
            muse_wd_name(m, d, at);
            muse_wd_at(m, at);
            put_distances(m, at);
            muse_wd_put(m, "; nearest");
            muse_wd_at(m, near);
            muse_wd_name(m, muse_wd_full(o, false), near);
        }
        muse_wd_answer(m);
        muse_wd_name(m, muse_wd_full(o, false), near);
        muse_wd_accept_name(m, o);
        muse_wd_end(m);
        return;
    }
}

static const struct { const char *kind; void (*ask)(Maker *); int weight; } questions[] = {
    { "count", ask_count, 4 }, { "exist", ask_exist, 3 }, { "color", ask_color, 2 }, { "shape", ask_shape, 2 }, { "size", ask_size, 1 },
    { "at", ask_at, 2 }, { "locate", ask_locate, 2 }, { "box", ask_box, 1 }, { "relation", ask_relation, 2 }, { "where", ask_where, 2 },
    { "nearest", ask_nearest, 3 }, { "compare", ask_compare, 3 },
};

static void ask_some(Maker *m)
{
    int total = 0;
    for (size_t i = 0; i < COUNT(questions); i++) total += questions[i].weight;
    for (int tries = 0; tries < 40 && m->sample.n_branches < m->options.branches; tries++) {
        int lot = rng_int(&m->ask, 0, total - 1);
        size_t k = 0;
        while (lot >= questions[k].weight) lot -= questions[k++].weight;
        if (m->options.only) {
            for (k = 0; k < COUNT(questions) && strcmp(questions[k].kind, m->options.only) != 0; k++) { }
            if (k == COUNT(questions)) return;
        }
        questions[k].ask(m);
    }
}

/* two dense searches a picture teach where a name is; the caption teaches the rest (docs/worlds.md) */
void muse_wd_make_scenes(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 1024, false, &w, &h);
    if (!muse_wd_picture(m, w, h)) return;
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, false);
    m->font = muse_wd_pick_font(m);
    const int n = many ? rng_int(&m->lay, 9, 12) : rng_int(&m->lay, muse_wd_least(m, 1, 6), 8);
    muse_wd_lay(m, 0, w, h, (Plan){ .n = n, .distinct = rng_chance(&m->lay, 0.25), .colors = ground.colors, .gap = 0.015 });
    if (n_scene(m) == 0 || (many && n_scene(m) < 9)) return;
    if (m->options.split == MUSE_WORLDS_PAIRS && !muse_worlds_held_out(m->objects[0].color, m->objects[0].kind)) return;
    muse_wd_paint_ground(m, 0, &ground);
    muse_wd_draw(m, 0);
    muse_wd_apply(m, 0, &finish);
    for (int i = 0; i < 2; i++)
        if (muse_wd_wants(m, "find")) ask_find(m);
    if (muse_wd_wants(m, "caption") && (m->options.only || rng_chance(&m->ask, 0.3))) ask_caption(m);
    ask_some(m);
}
