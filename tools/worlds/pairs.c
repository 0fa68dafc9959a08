/* SPDX-License-Identifier: Apache-2.0 */
/* The world "pairs": two pictures of one scene, with one thing added, removed, moved or recoloured between them, or nothing.
 * All names in a picture are distinct, so a thing is the same thing when it has the same name, or the same place. */
#include <math.h>

#include "tools/worlds/inside.h"

enum { NOTHING, ADDED, REMOVED, MOVED, RECOLOURED };
static const char *const verbs[] = { "nothing", "added", "removed", "moved", "recoloured" };

typedef struct Change { int kind, before, after; } Change;   /* objects of picture 1 and 2; -1: none */

/* ---- drawing ---- */

static bool name_taken(const Maker *m, size_t first, size_t n, const MuseWorldsObject *o)
{
    for (size_t i = first; i < first + n; i++)
        if (m->objects[i].color == o->color && m->objects[i].kind == o->kind && m->objects[i].mark[0] == o->mark[0]) return true;
    return false;
}

/* a free place in picture 2 for o, at least a fifth of the smaller side from where it was */
static bool find_room(Maker *m, MuseWorldsObject *o, int w, int h, bool from_old)
{
    const double x = o->x, y = o->y, edge = o->box.x1 + 1, side = w < h ? w : h;
    for (int tries = 0; tries < 80; tries++) {
        o->x = rng_range(&m->lay, edge, w - edge);
        o->y = rng_range(&m->lay, edge, h - edge);
        if (from_old && hypot(o->x - x, o->y - y) < 0.2 * side) continue;
        if (muse_wd_free(m, o, 0.03 * side)) return true;
    }
    return false;
}

/* picture 2: copies of the n objects, changed; false: no such change fits */
static bool change_scene(Maker *m, size_t n, int w, int h, const Plan *plan, Change *c)
{
    const size_t victim = rng_below(&m->lay, (uint32_t)n);
    c->before = c->kind == NOTHING || c->kind == ADDED ? -1 : (int)victim;
    c->after = -1;
    for (size_t i = 0; i < n; i++) {
        if (i == victim && (c->kind == REMOVED || c->kind == MOVED)) continue;
        MuseWorldsObject o = m->objects[i];
        o.image = 1;
        if (i == victim && c->kind == RECOLOURED) {
            o.color = (uint8_t)muse_wd_pick_color(m, plan->colors);
            if (name_taken(m, 0, n, &o) || !muse_wd_known(m, (Desc){ 0, o.color, o.kind, 0 })) return false;
            c->after = (int)m->sample.n_objects;
        }
        muse_wd_add(m, &o);
        m->objects[m->sample.n_objects - 1].id = m->objects[i].id;
    }
    if (c->kind != MOVED && c->kind != ADDED) return true;
    MuseWorldsObject o = c->kind == MOVED ? m->objects[victim] : muse_wd_object(m, 1, w, h, plan);
    o.image = 1;
    if ((c->kind == ADDED && name_taken(m, 0, n, &o)) || !find_room(m, &o, w, h, c->kind == MOVED)) return false;
    c->after = (int)m->sample.n_objects;
    muse_wd_add(m, &o);
    m->objects[c->after].id = c->kind == MOVED ? m->objects[victim].id : (uint8_t)n;
    return true;
}

/* a thing keeps its shade and its angle from picture to picture */
static void draw(Maker *m, size_t image, const Ground *ground, const Finish *finish, uint64_t key)
{
    const Rng noise = m->paint;
    muse_wd_paint_ground(m, image, ground);
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        MuseWorldsObject *o = &m->objects[i];
        if (o->image != image) continue;
        m->paint = rng_stream(key, o->id);
        const double angle = rng_range(&m->paint, -0.2, 0.2);
        muse_wd_draw_one(m, o, angle);
    }
    m->paint = noise;
    m->paint.n += (uint64_t)image << 32;
    muse_wd_apply(m, image, finish);
    m->paint = noise;
}

/* ---- questions ---- */

/* "<x3><y4> red star same", "... blue recoloured", "...<image 2><x9><y9> moved", "...<image 2> none removed": place, name, what
 * stands there in picture 2; what has gone is looked for in all of it */
static void put_verdict(Maker *m, const Change *c, int object)
{
    muse_wd_at(m, object);
    muse_wd_name(m, muse_wd_full(&m->objects[object], false), object);
    if (object != c->before) {
        muse_wd_put(m, " same");
        return;
    }
    if (c->kind == MOVED || c->kind == REMOVED) muse_wd_put(m, c->kind == MOVED ? "<image 2>" : "<image 2> none");
    if (c->kind == MOVED) muse_wd_at(m, c->after);
    if (c->kind == RECOLOURED) {
        muse_wd_put(m, " ");
        muse_wd_put(m, muse_worlds_color_name(m->objects[c->after].color));
    }
    muse_wd_put(m, " ");
    muse_wd_put(m, verbs[c->kind]);
}

/* Things of picture 1 until one has changed; if none has, things of picture 2 until one is new. */
static void put_lists(Maker *m, const Change *c)
{
    uint8_t order[SCENE_MAX + 1];
    int n = muse_wd_sorted(m, 0, order);
    for (int i = 0; i < n; i++) {
        if (i) muse_wd_put(m, ";");
        put_verdict(m, c, order[i]);
        if (order[i] == c->before) return;
    }
    muse_wd_put(m, ";<image 2>");
    n = muse_wd_sorted(m, 1, order);
    for (int i = 0; i < n; i++) {
        if (i) muse_wd_put(m, ";");
        muse_wd_at(m, order[i]);
        muse_wd_name(m, muse_wd_full(&m->objects[order[i]], false), order[i]);
        muse_wd_put(m, order[i] == c->after ? " added" : " same");
        if (order[i] == c->after) return;
    }
}

static void ask_change(Maker *m, const Change *c)
{
    static const char *const t[] = { "What changed?", "What is different in the second picture?", "What has changed between the pictures?", "Compare the two pictures: what changed?",
                                     "What is the difference?" };
    const bool think = muse_wd_begin(m, "change");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        muse_wd_put(m, "<compare>");
        put_lists(m, c);
    }
    muse_wd_answer(m);
    const int thing = c->before >= 0 ? c->before : c->after;
    if (thing >= 0) muse_wd_name(m, muse_wd_full(&m->objects[thing], false), thing);
    muse_wd_put(m, " ");
    muse_wd_put(m, verbs[c->kind]);
    if (c->kind == NOTHING) muse_wd_accept(m, "no change");
    muse_wd_end(m);
}

/* about one thing, which the change may or may not have met */
static void ask_changed(Maker *m, const Change *c)
{
    static const char *const t[] = { "Did the %a change?", "Is the %a different in the second picture?", "Has the %a changed?" };
    uint8_t order[SCENE_MAX + 1];
    const int n = muse_wd_sorted(m, 0, order), at = c->before >= 0 && rng_chance(&m->ask, 0.5) ? c->before : order[rng_below(&m->ask, (uint32_t)n)];
    Desc d;
    if (!muse_wd_unique(m, 0, at, &d)) return;
    const bool think = muse_wd_begin(m, "changed");
    ASK(m, t, .a = d, .ia = at);
    if (think) {
        muse_wd_think(m);
        muse_wd_put(m, "<compare>");
        put_verdict(m, c, at);
    }
    muse_wd_answer(m);
    muse_wd_put(m, at == c->before ? " yes" : " no");
    muse_wd_end(m);
}

static void ask_second(Maker *m)
{
    static const char *const t[] = { "Where is the %a in the second picture?", "Point to the %a in picture 2.", "Find the %a in the second picture." };
    uint8_t order[SCENE_MAX + 1];
    const int n = muse_wd_sorted(m, 1, order);
    if (n == 0) return;
    const int at = order[rng_below(&m->ask, (uint32_t)n)];
    Desc d;
    if (!muse_wd_unique(m, 1, at, &d)) return;
    const bool think = muse_wd_begin(m, "second");
    ASK(m, t, .a = d, .ia = at);
    if (think) {   /* which picture the answer's place is in */
        muse_wd_think(m);
        muse_wd_put(m, "<image 2>");
        muse_wd_name(m, d, at);
        muse_wd_at(m, at);
    }
    muse_wd_answer(m);
    muse_wd_put(m, "<point>");
    muse_wd_at(m, at);
    muse_wd_accept_near(m, 1, m->objects[at].x, m->objects[at].y);
    muse_wd_end(m);
}

void muse_wd_make_pairs(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 512, false, &w, &h);
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, false);
    m->font = muse_wd_pick_font(m);
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    const Plan plan = { .n = many ? rng_int(&m->lay, 9, 11) : rng_int(&m->lay, muse_wd_least(m, 2, 5), 7), .distinct = true, .colors = ground.colors, .gap = 0.02 };
    if (!muse_wd_picture(m, w, h) || !muse_wd_picture(m, w, h)) return;
    muse_wd_lay(m, 0, w, h, plan);
    const size_t n = m->sample.n_objects;
    if (n < (many ? 9 : 2) || (m->options.split == MUSE_WORLDS_PAIRS && !muse_worlds_held_out(m->objects[0].color, m->objects[0].kind))) return;
    Change c = { .kind = rng_chance(&m->lay, 0.12) ? NOTHING : rng_int(&m->lay, ADDED, RECOLOURED) };
    if (!change_scene(m, n, w, h, &plan, &c)) return;
    const uint64_t key = rng_next(&m->paint);
    draw(m, 0, &ground, &finish, key);
    draw(m, 1, &ground, &finish, key);
    if (muse_wd_wants(m, "change")) ask_change(m, &c);
    for (int i = 0; i < 3; i++)
        if (muse_wd_wants(m, "changed")) ask_changed(m, &c);
    for (int i = 0; i < 2; i++)
        if (muse_wd_wants(m, "second")) ask_second(m);
}
