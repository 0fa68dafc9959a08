/* SPDX-License-Identifier: Apache-2.0 */
/* Objects on a picture: drawing lots for them, finding room, drawing them; descriptions and what they fit. Users: the worlds. */
#include <math.h>
#include <string.h>

#include "tools/worlds/inside.h"

static bool is_glyph(int kind) { return kind == MUSE_WORLDS_LETTER || kind == MUSE_WORLDS_DIGIT; }

/* ---- descriptions ---- */

bool muse_wd_matches(const MuseWorldsObject *o, Desc d)
{
    return (!d.size || d.size == o->size) && (!d.color || d.color == o->color) && (!d.kind || d.kind == o->kind) && (!d.mark || d.mark == o->mark[0]);
}

int muse_wd_count(const Maker *m, size_t image, Desc d, int *first)
{
    int n = 0;
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        if (m->objects[i].image != image || m->objects[i].kind > MUSE_WORLDS_DIGIT || !muse_wd_matches(&m->objects[i], d)) continue;
        if (n++ == 0 && first) *first = (int)i;
    }
    return n;
}

Desc muse_wd_full(const MuseWorldsObject *o, bool size)
{
    return (Desc){ size ? o->size : 0, o->color, o->kind, is_glyph(o->kind) ? o->mark[0] : 0 };
}

bool muse_wd_unique(Maker *m, size_t image, int object, Desc *out)
{
    const MuseWorldsObject *o = &m->objects[object];
    const Desc full = muse_wd_full(o, true);
    const Desc forms[] = { { 0, full.color, full.kind, full.mark }, { 0, full.color, full.kind, full.mark }, { 0, 0, full.kind, full.mark }, { 0, full.color, 0, 0 },
                           { full.size, 0, full.kind, full.mark }, full };
    const uint32_t n = sizeof forms / sizeof *forms, start = rng_below(&m->ask, n);
    for (uint32_t i = 0; i < n; i++) {
        *out = forms[(start + i) % n];
        if (muse_wd_count(m, image, *out, NULL) == 1) return true;
    }
    return false;
}

bool muse_wd_known(const Maker *m, Desc d) { return m->options.split == MUSE_WORLDS_PAIRS || !muse_worlds_held_out(d.color, d.kind); }

/* ---- lots ---- */

double muse_wd_radius(Maker *m, int size, int width, int height)
{
    static const double share[] = { 0, 0.0625, 0.094, 0.13 };   /* of the smaller side: 4, 6 and 8 pixels of 64, apart by more than the jitter */
    return share[size] * (width < height ? width : height) * rng_range(&m->lay, 0.95, 1.05);
}

int muse_wd_pick_color(Maker *m, unsigned colors)
{
    int color;
    do color = rng_int(&m->lay, 1, MUSE_WORLDS_COLORS - 1); while (!(colors >> color & 1));
    return color;
}

char muse_wd_glyph(Rng *r)
{
    static const char glyphs[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";   /* without I, O, 0 and 1 */
    return glyphs[rng_below(r, sizeof glyphs - 1)];
}

MuseWorldsObject muse_wd_object(Maker *m, size_t image, int width, int height, const Plan *plan)
{
    Rng *r = &m->lay;
    MuseWorldsObject o = { .image = (uint8_t)image };
    do {
        o.color = (uint8_t)muse_wd_pick_color(m, plan->colors);
        o.kind = (uint8_t)rng_int(r, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART);
        if (!plan->shapes_only && rng_chance(r, 0.2)) o.kind = MUSE_WORLDS_LETTER;
    } while (m->options.split != MUSE_WORLDS_PAIRS && muse_worlds_held_out(o.color, o.kind));
    o.size = (uint8_t)rng_int(r, MUSE_WORLDS_SMALL, MUSE_WORLDS_LARGE);
    if (m->options.split == MUSE_WORLDS_HARD && rng_chance(r, 0.6)) o.size = MUSE_WORLDS_SMALL;
    if (o.kind == MUSE_WORLDS_LETTER) {
        o.mark[0] = muse_wd_glyph(r);
        if (o.mark[0] <= '9') o.kind = MUSE_WORLDS_DIGIT;
        if (o.size == MUSE_WORLDS_SMALL) o.size = MUSE_WORLDS_MEDIUM;   /* 8 pixels of 64 are too few to read */
    }
    o.box.x1 = muse_wd_radius(m, o.size, width, height);   /* the radius, until it is drawn */
    return o;
}

bool muse_wd_free(const Maker *m, const MuseWorldsObject *o, double gap)
{
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        const MuseWorldsObject *p = &m->objects[i];
        if (p->image == o->image && hypot(p->x - o->x, p->y - o->y) < p->box.x1 + o->box.x1 + gap) return false;
    }
    return true;
}

void muse_wd_add(Maker *m, const MuseWorldsObject *o)
{
    if (m->sample.n_objects >= OBJECTS_MAX) {
        m->full = true;
        return;
    }
    m->objects[m->sample.n_objects] = *o;
    m->objects[m->sample.n_objects].id = (uint8_t)m->sample.n_objects;
    m->sample.n_objects++;
}

static bool same_name(const MuseWorldsObject *a, const MuseWorldsObject *b)
{
    return a->color == b->color && a->kind == b->kind && a->mark[0] == b->mark[0];
}

/* few colours and kinds: then a name needs both of its words */
static unsigned few(Maker *m, unsigned colors)
{
    unsigned bits = 0;
    while (__builtin_popcount(bits) < 3) bits |= 1u << muse_wd_pick_color(m, colors);
    return bits;
}

void muse_wd_lay(Maker *m, size_t image, int width, int height, Plan plan)
{
    Rng *r = &m->lay;
    const size_t first = m->sample.n_objects;
    const bool narrow = rng_chance(r, 0.45);
    uint8_t kinds[3];
    if (narrow) {
        plan.colors = few(m, plan.colors);
        for (int i = 0; i < 3; i++) kinds[i] = (uint8_t)rng_int(r, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART);
    }
    for (int tries = 0; tries < 60 * plan.n && (int)(m->sample.n_objects - first) < plan.n && !m->full; tries++) {
        MuseWorldsObject o = muse_wd_object(m, image, width, height, &plan);
        if (narrow && o.kind <= MUSE_WORLDS_HEART) o.kind = kinds[rng_int(r, 0, 2)];
        if (m->options.split != MUSE_WORLDS_PAIRS && muse_worlds_held_out(o.color, o.kind)) continue;
        if (m->options.split == MUSE_WORLDS_PAIRS && m->sample.n_objects == first && !muse_worlds_held_out(o.color, o.kind)) {
            o.kind = (uint8_t)(MUSE_WORLDS_CIRCLE + tries % 8);   /* the first object is a held-out pair */
            o.mark[0] = 0;
            if (!muse_worlds_held_out(o.color, o.kind)) continue;
        }
        const double edge = o.box.x1 + 1;
        o.x = rng_range(r, edge, width - edge);
        o.y = rng_range(r, edge, height - edge);
        bool ok = muse_wd_free(m, &o, plan.gap * (width < height ? width : height));
        for (size_t i = first; plan.distinct && i < m->sample.n_objects; i++) ok = ok && !same_name(&o, &m->objects[i]);
        if (ok) muse_wd_add(m, &o);
    }
}

/* ---- drawing ---- */

void muse_wd_draw_one(Maker *m, MuseWorldsObject *o, double angle)
{
    const Rgb color = muse_wd_color(m, o->color);
    const double r = o->box.x1;
    if (!is_glyph(o->kind)) {
        muse_wd_fill(m, o->image, &m->worlds->shapes[o->kind], o->x, o->y, r, angle, color, &o->box);
        return;
    }
    const Outline *g = &m->worlds->fonts[m->font].glyphs[o->mark[0] - GLYPH_FIRST];
    const double cap = fmin(1.75 * r, 2 * r / fmax(g->x1 - g->x0, g->y1 - g->y0)), co = cos(angle), si = sin(angle);
    const double mx = (g->x0 + g->x1) / 2 * cap, my = (g->y0 + g->y1) / 2 * cap;   /* the glyph's middle comes to (x, y) */
    muse_wd_fill(m, o->image, g, o->x - (co * mx - si * my), o->y - (si * mx + co * my), cap, angle, color, &o->box);
}

void muse_wd_draw(Maker *m, size_t image)
{
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        MuseWorldsObject *o = &m->objects[i];
        if (o->image == image && o->kind <= MUSE_WORLDS_DIGIT) muse_wd_draw_one(m, o, rng_range(&m->paint, -0.2, 0.2));
    }
}

/* Rows first: by the place of the centre, so that the order can be told from the text. */
int muse_wd_sorted(const Maker *m, size_t image, uint8_t *order)
{
    int n = 0;
    for (size_t i = 0; i < m->sample.n_objects; i++) {
        const MuseWorldsObject *o = &m->objects[i];
        if (o->image != image || o->kind > MUSE_WORLDS_DIGIT) continue;
        int k = n++;
        const double w = m->images[image].width, h = m->images[image].height;
        const int key = muse_wd_place(o->y, h) * MUSE_WORLDS_PLACES + muse_wd_place(o->x, w);
        for (; k > 0; k--) {
            const MuseWorldsObject *p = &m->objects[order[k - 1]];
            if (muse_wd_place(p->y, h) * MUSE_WORLDS_PLACES + muse_wd_place(p->x, w) <= key) break;
            order[k] = order[k - 1];
        }
        order[k] = (uint8_t)i;
    }
    return n;
}
