/* SPDX-License-Identifier: Apache-2.0 */
/* Writing branches: parts, places, names with their references, questions from templates. Nothing is cut: what does not fit
 * marks the sample as full, and muse_worlds_make() reports it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/worlds/inside.h"

/* ---- text ---- */

static void put_bytes(Maker *m, const char *text, size_t n)
{
    if (m->full || n >= TEXT_MAX - m->text_len) {   /* one byte for the end */
        m->full = true;
        return;
    }
    memcpy(m->text + m->text_len, text, n);
    m->text_len += n;
    if (m->n_parts) m->parts[m->n_parts - 1].size += n;
}

void muse_wd_put(Maker *m, const char *text) { put_bytes(m, text, strlen(text)); }
void muse_wd_char(Maker *m, char c) { put_bytes(m, &c, 1); }

void muse_wd_int(Maker *m, int value)
{
    char text[16];
    put_bytes(m, text, (size_t)snprintf(text, sizeof text, "%d", value));
}

int muse_wd_place(double v, double side)
{
    const int p = (int)floor(v * MUSE_WORLDS_PLACES / side);
    return p < 0 ? 0 : p >= MUSE_WORLDS_PLACES ? MUSE_WORLDS_PLACES - 1 : p;
}

static void put_place(Maker *m, char axis, int place)
{
    char text[16];
    put_bytes(m, text, (size_t)snprintf(text, sizeof text, "<%c%d>", axis, place));
}

void muse_wd_point(Maker *m, size_t image, double x, double y)
{
    put_place(m, 'x', muse_wd_place(x, m->images[image].width));
    put_place(m, 'y', muse_wd_place(y, m->images[image].height));
}

/* first and last place that the box touches, so that a small box is never empty */
void muse_wd_box(Maker *m, size_t image, MuseRect r)
{
    const double w = m->images[image].width, h = m->images[image].height;
    muse_wd_put(m, "<box>");
    put_place(m, 'x', muse_wd_place(r.x0, w));
    put_place(m, 'y', muse_wd_place(r.y0, h));
    put_place(m, 'x', muse_wd_place(r.x1 - 1e-6, w));
    put_place(m, 'y', muse_wd_place(r.y1 - 1e-6, h));
}

void muse_wd_at(Maker *m, int object)
{
    const MuseWorldsObject *o = &m->objects[object];
    muse_wd_point(m, o->image, o->x, o->y);
}

static void refer(Maker *m, int object)
{
    MuseWorldsBranch *b = &m->branches[m->sample.n_branches];
    if (object < 0) return;
    if (m->n_refs >= REFS_MAX) {
        m->full = true;
        return;
    }
    m->refs[m->n_refs++] = (MuseWorldsRef){ (uint16_t)(b->n_parts - 1), (uint16_t)object, (uint32_t)m->parts[m->n_parts - 1].size };
    b->n_refs++;
}

/* ---- parts ---- */

bool muse_wd_wants(const Maker *m, const char *kind)
{
    return m->sample.n_branches < m->options.branches && (!m->options.only || strcmp(m->options.only, kind) == 0);
}

bool muse_wd_begin(Maker *m, const char *kind)
{
    if (m->sample.n_branches >= BRANCHES_MAX) m->full = true;
    if (m->full) return false;
    const int form = m->options.form;
    m->topic = rng_next(&m->ask);   /* of its own, unless muse_wd_ask() sets it */
    m->branches[m->sample.n_branches] = (MuseWorldsBranch){ .task = kind, .parts = m->parts + m->n_parts, .refs = m->refs + m->n_refs,
        .accept = m->accepts + m->n_accepts, .answer = "", .think = form == MUSE_WORLDS_THINK || (form == MUSE_WORLDS_MIX && rng_chance(&m->ask, m->think_share)) };
    return m->branches[m->sample.n_branches].think;
}

void muse_wd_part(Maker *m, int role, bool learn)
{
    put_bytes(m, "", 0);
    if (m->n_parts >= PARTS_MAX) m->full = true;
    if (m->full) return;
    if (m->n_parts) m->text[m->text_len++] = 0;   /* of the part before */
    m->parts[m->n_parts++] = (MuseWorldsPart){ .role = (uint8_t)role, .learn = learn, .text = m->text + m->text_len };
    m->branches[m->sample.n_branches].n_parts++;
}

void muse_wd_think(Maker *m)
{
    muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
    muse_wd_put(m, "<think>");
}

void muse_wd_view(Maker *m, size_t image, MuseRect r)
{
    const MuseWorldsPart before = m->parts[m->n_parts - 1];
    muse_wd_part(m, MUSE_WORLDS_VIEW, false);
    m->parts[m->n_parts - 1].image = (uint8_t)image;
    m->parts[m->n_parts - 1].rect = r;
    muse_wd_part(m, before.role, before.learn);
}

void muse_wd_answer(Maker *m)
{
    MuseWorldsBranch *b = &m->branches[m->sample.n_branches];
    if (b->think && !m->full) {
        if (!m->parts[m->n_parts - 1].learn) muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        muse_wd_put(m, "</think>");
    }
    muse_wd_part(m, MUSE_WORLDS_ANSWER, true);
    if (!m->full) b->answer = m->parts[m->n_parts - 1].text;
}

void muse_wd_accept(Maker *m, const char *text)
{
    if (m->n_accepts >= ACCEPTS_MAX) m->full = true;
    if (m->full) return;
    m->accepts[m->n_accepts++] = text;
    m->branches[m->sample.n_branches].n_accept++;
}

void muse_wd_accept_number(Maker *m, int n)
{
    static const char *const words[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve" };
    if (n >= 0 && n < (int)(sizeof words / sizeof *words)) muse_wd_accept(m, words[n]);
}

/* an accepted answer that has to be written; only after the branch's last part */
static void accept_text(Maker *m, const char *text, size_t n)
{
    if (m->full || n + 2 >= TEXT_MAX - m->text_len) {
        m->full = true;
        return;
    }
    m->text[m->text_len++] = 0;   /* of the part before */
    char *at = m->text + m->text_len;
    memcpy(at, text, n);
    m->text_len += n;
    m->text[m->text_len] = 0;
    muse_wd_accept(m, at);
}

void muse_wd_accept_near(Maker *m, size_t image, double x, double y)
{
    const int px = muse_wd_place(x, m->images[image].width), py = muse_wd_place(y, m->images[image].height);
    for (int dy = -2; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++) {
            if ((dx == 0 && dy == 0) || px + dx < 0 || py + dy < 0 || px + dx >= MUSE_WORLDS_PLACES || py + dy >= MUSE_WORLDS_PLACES) continue;
            char text[40];
            accept_text(m, text, (size_t)snprintf(text, sizeof text, "<point><x%d><y%d>", px + dx, py + dy));
        }
}

static const char *article(const char *next) { return strchr("aeio", *next) ? "an" : "a"; }

void muse_wd_accept_name(Maker *m, const MuseWorldsObject *o)
{
    char text[64];
    const bool glyph = o->kind == MUSE_WORLDS_LETTER || o->kind == MUSE_WORLDS_DIGIT;
    const char *kind = muse_worlds_kind_name(o->kind), *space = glyph ? " " : "", *mark = glyph ? o->mark : "", *color = muse_worlds_color_name(o->color);
    accept_text(m, text, (size_t)snprintf(text, sizeof text, "the %s %s%s%s", color, kind, space, mark));
    accept_text(m, text, (size_t)snprintf(text, sizeof text, "%s %s %s%s%s", article(color), color, kind, space, mark));
    if (o->color != MUSE_WORLDS_GRAY) return;
    accept_text(m, text, (size_t)snprintf(text, sizeof text, "grey %s%s%s", kind, space, mark));
}

void muse_wd_end(Maker *m)
{
    if (m->full) return;
    MuseWorldsBranch *b = &m->branches[m->sample.n_branches];
    m->text[m->text_len] = 0;   /* read before more text is written */
    while (*b->answer == ' ') b->answer++;
    for (size_t i = 0; i < m->sample.n_branches; i++)
        if (m->topics[i] == m->topic && strcmp(m->branches[i].task, b->task) == 0) return;   /* the next branch takes its place */
    m->topics[m->sample.n_branches++] = m->topic;
}

/* ---- names ---- */

static void put_name(Maker *m, Desc d, bool plural, bool vary)
{
    Rng *r = &m->ask;
    if (d.size) {
        static const char *const other[] = { "", "little", "medium-sized", "big" };
        muse_wd_put(m, vary && rng_chance(r, 0.25) ? other[d.size] : muse_worlds_size_name(d.size));
        muse_wd_put(m, " ");
    }
    if (d.color) {
        muse_wd_put(m, d.color == MUSE_WORLDS_GRAY && vary && rng_chance(r, 0.3) ? "grey" : muse_worlds_color_name(d.color));
        muse_wd_put(m, " ");
    }
    if (!d.kind) muse_wd_put(m, vary && rng_chance(r, 0.2) ? "thing" : "object");
    else if (vary && d.kind == MUSE_WORLDS_CIRCLE && rng_chance(r, 0.06)) muse_wd_put(m, "disc");
    else if (vary && d.kind == MUSE_WORLDS_CROSS && !plural && rng_chance(r, 0.06)) muse_wd_put(m, "plus sign");
    else muse_wd_put(m, muse_worlds_kind_name(d.kind));
    if (plural) muse_wd_put(m, d.kind == MUSE_WORLDS_CROSS ? "es" : "s");
    if (d.mark) {
        muse_wd_put(m, " ");
        muse_wd_char(m, d.mark);
    }
}

void muse_wd_name(Maker *m, Desc d, int object)
{
    muse_wd_put(m, " ");
    put_name(m, d, false, false);
    refer(m, object);
}

static void put_article(Maker *m, Desc d)
{
    const char *first = d.size ? "s" : d.color ? muse_worlds_color_name(d.color) : d.kind ? "s" : "o";
    muse_wd_put(m, article(first));
    muse_wd_put(m, " ");
}

/* ---- questions ---- */

static void put_template(Maker *m, const char *t, const Ask *ask)
{
    for (; *t && !m->full; t++) {
        if (*t != '%') {
            muse_wd_char(m, *t);
            continue;
        }
        t++;
        const bool second = *t == 'b' || *t == 'B' || *t == 't', plural = *t == 's' || *t == 't';
        const Desc d = second ? ask->b : ask->a;
        if (*t == 'r') {
            muse_wd_put(m, ask->r);
            continue;
        }
        if (*t == 'A' || *t == 'B') put_article(m, d);
        put_name(m, d, plural, true);
        if (!plural) refer(m, second ? ask->ib : ask->ia);
    }
}

static uint64_t hash_desc(uint64_t h, Desc d)
{
    return rng_mix(h ^ (uint64_t)(d.size << 24 | d.color << 16 | d.kind << 8 | d.mark));
}

/* One template by lot. Some people leave the last mark out, or do not begin with a capital. */
void muse_wd_ask(Maker *m, const char *const *templates, size_t n, const Ask *ask)
{
    m->topic = hash_desc(hash_desc(1, ask->a), ask->b);
    for (const char *s = ask->r ? ask->r : ""; *s; s++) m->topic = rng_mix(m->topic ^ (uint64_t)*s);
    muse_wd_part(m, MUSE_WORLDS_QUESTION, false);
    put_template(m, templates[rng_below(&m->ask, (uint32_t)n)], ask);
    if (m->full) return;
    MuseWorldsPart *p = &m->parts[m->n_parts - 1];
    char *text = m->text + m->text_len - p->size;
    if (p->size && rng_chance(&m->ask, 0.15) && text[0] >= 'A' && text[0] <= 'Z') text[0] = (char)(text[0] - 'A' + 'a');
    if (p->size && rng_chance(&m->ask, 0.2) && strchr("?.", text[p->size - 1])) {
        p->size--;
        m->text_len--;
    }
}
