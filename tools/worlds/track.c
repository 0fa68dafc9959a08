/* SPDX-License-Identifier: Apache-2.0 */
/* The world "track": 3 to 6 pictures of things that move. "Twins" look all alike and one of them bears a dot in the first picture
 * only: who it is later follows from small steps. Otherwise names are distinct, and a cover hides one thing for a picture or two. */
#include <math.h>

#include "tools/worlds/inside.h"

enum { MOVERS_MAX = 5 };
typedef struct Film { int frames, n, side_w, side_h; bool twins; int marked, hidden_from, hidden_to; double x[IMAGES_MAX][MOVERS_MAX], y[IMAGES_MAX][MOVERS_MAX]; } Film;

/* Each thing is nearer to where it was than to where any other was, by a clear margin: then small steps tell who is who. */
static bool clear_steps(const Film *f, const double *radius)
{
    for (int t = 0; t < f->frames; t++)
        for (int i = 0; i < f->n; i++)
            for (int k = 0; k < f->n; k++) {
                if (k == i) continue;
                if (hypot(f->x[t][i] - f->x[t][k], f->y[t][i] - f->y[t][k]) < 1.15 * (radius[i] + radius[k]) + 3) return false;
                if (t == 0) continue;
                const double own = hypot(f->x[t][i] - f->x[t - 1][i], f->y[t][i] - f->y[t - 1][i]);
                const double other = fmin(hypot(f->x[t][i] - f->x[t - 1][k], f->y[t][i] - f->y[t - 1][k]), hypot(f->x[t][k] - f->x[t - 1][i], f->y[t][k] - f->y[t - 1][i]));
                if (other < 1.6 * own) return false;
            }
    return true;
}

static void walk(Maker *m, Film *f, const double *radius)
{
    const double side = f->side_w < f->side_h ? f->side_w : f->side_h;
    for (int i = 0; i < f->n; i++) {
        const double edge = radius[i] + 2;
        double x = rng_range(&m->lay, edge, f->side_w - edge), y = rng_range(&m->lay, edge, f->side_h - edge);
        double turn = rng_range(&m->lay, 0, 6.2831853);
        const double step = side * (f->n > 4 ? rng_range(&m->lay, 0.03, 0.07) : rng_range(&m->lay, 0.05, 0.16));
        for (int t = 0; t < f->frames; t++) {
            f->x[t][i] = x;
            f->y[t][i] = y;
            turn += rng_range(&m->lay, -0.5, 0.5);
            if (x + step * cos(turn) < edge || x + step * cos(turn) > f->side_w - edge) turn = 3.14159265 - turn;
            if (y + step * sin(turn) < edge || y + step * sin(turn) > f->side_h - edge) turn = -turn;
            x = fmin(fmax(x + step * cos(turn), edge), f->side_w - edge);
            y = fmin(fmax(y + step * sin(turn), edge), f->side_h - edge);
        }
    }
}

/* in the pictures of the cover nothing else is near it */
static bool cover_fits(const Film *f, const double *radius, double half)
{
    for (int t = f->hidden_from; t < f->hidden_to; t++)
        for (int i = 0; i < f->n; i++)
            if (i != f->marked && fmax(fabs(f->x[t][i] - f->x[t][f->marked]), fabs(f->y[t][i] - f->y[t][f->marked])) < half + radius[i] + 2) return false;
    return true;
}

static void draw_frame(Maker *m, Film *f, int t, const MuseWorldsObject *things, const Ground *ground, const Finish *finish, uint64_t key)
{
    muse_wd_paint_ground(m, (size_t)t, ground);
    const Rng noise = rng_stream(key, 100 + (uint64_t)t);
    for (int i = 0; i < f->n; i++) {
        MuseWorldsObject o = things[i];
        o.image = (uint8_t)t;
        o.x = f->x[t][i];
        o.y = f->y[t][i];
        o.hidden = i == f->marked && t >= f->hidden_from && t < f->hidden_to;
        m->paint = rng_stream(key, f->twins ? 0 : (uint64_t)i);
        const Rgb color = muse_wd_color(m, o.color);
        const double radius = o.box.x1;
        muse_wd_draw_one(m, &o, f->twins ? 0 : rng_range(&m->paint, -0.2, 0.2));
        if (f->twins && t == 0 && i == f->marked) {
            const bool light = (2 * color.r + 5 * color.g + color.b) / 8 > 120;
            muse_wd_fill(m, 0, &m->worlds->shapes[MUSE_WORLDS_CIRCLE], o.x, o.y, radius * 0.36, 0, light ? (Rgb){ 10, 10, 10 } : (Rgb){ 250, 250, 250 }, NULL);
        }
        if (o.hidden) {
            const double half = radius * 1.25;
            const MuseRect r = { o.x - half, o.y - half, o.x + half, o.y + half };
            muse_wd_rect(m, (size_t)t, r, (Rgb){ 120, 84, 52 });
            muse_wd_line(m, (size_t)t, r.x0, r.y0, r.x1, r.y1, fmax(1, half * 0.12), (Rgb){ 70, 48, 30 });
            muse_wd_line(m, (size_t)t, r.x0, r.y1, r.x1, r.y0, fmax(1, half * 0.12), (Rgb){ 70, 48, 30 });
        }
        muse_wd_add(m, &o);
        m->objects[m->sample.n_objects - 1].id = (uint8_t)i;
    }
    if (f->hidden_to > f->hidden_from && t >= f->hidden_from && t < f->hidden_to) {
        const double half = things[f->marked].box.x1 * 1.25;
        const double x = f->x[t][f->marked], y = f->y[t][f->marked];
        const MuseWorldsObject cover = { .image = (uint8_t)t, .kind = MUSE_WORLDS_COVER, .box = { fmax(x - half, 0), fmax(y - half, 0), fmin(x + half, f->side_w), fmin(y + half, f->side_h) }, .x = x, .y = y };
        muse_wd_add(m, &cover);
        m->objects[m->sample.n_objects - 1].id = MOVERS_MAX;
    }
    m->paint = noise;
    muse_wd_apply(m, (size_t)t, finish);
}

static int object_at(const Maker *m, int t, int id)
{
    for (size_t k = 0; k < m->sample.n_objects; k++)
        if (m->objects[k].image == t && m->objects[k].id == id) return (int)k;
    return 0;
}

/* "<image 1><x3><y4><image 2> hidden<image 3><x9><y9>" */
static void put_path(Maker *m, const Film *f, int id)
{
    for (int t = 0; t < f->frames; t++) {
        const int at = object_at(m, t, id);
        muse_wd_put(m, "<image ");
        muse_wd_int(m, t + 1);
        muse_wd_put(m, ">");
        if (m->objects[at].hidden) muse_wd_put(m, " hidden");
        else muse_wd_at(m, at);
    }
}

static void ask_path(Maker *m, const Film *f, const MuseWorldsObject *things)
{
    static const char *const twins[] = { "One %a has a dot in the first picture. Where is it in the last picture?", "Follow the %a with the dot. Where does it end?",
                                         "The %a with a dot in picture 1: where is it at the end?" };
    static const char *const named[] = { "Follow the %a. Where is it in the last picture?", "Track the %a through the pictures. Where does it end?", "Where is the %a at the end?" };
    const int last = object_at(m, f->frames - 1, f->marked);
    const Desc d = f->twins ? (Desc){ 0, things[0].color, things[0].kind, 0 } : muse_wd_full(&things[f->marked], false);
    const bool think = muse_wd_begin(m, "track");
    const Ask ask = { .a = d, .ia = object_at(m, 0, f->marked) };
    muse_wd_ask(m, f->twins ? twins : named, 3, &ask);
    if (think) {
        muse_wd_think(m);
        put_path(m, f, f->marked);
    }
    muse_wd_answer(m);
    muse_wd_put(m, "<point>");
    muse_wd_at(m, last);
    muse_wd_accept_near(m, m->objects[last].image, m->objects[last].x, m->objects[last].y);
    muse_wd_end(m);
}

static void ask_which(Maker *m, const Film *f, const MuseWorldsObject *things)
{
    static const char *const t[] = { "One %a has a dot in the first picture. Counted from the left, which one is it in the last picture?",
                                     "Which %a from the left in the last picture is the one with the dot?", "Follow the %a with the dot. Which one from the left is it at the end?" };
    int order[MOVERS_MAX], rank = 0;
    for (int i = 0; i < f->n; i++) {
        int k = i;
        for (; k > 0 && f->x[f->frames - 1][order[k - 1]] > f->x[f->frames - 1][i]; k--) order[k] = order[k - 1];
        order[k] = i;
    }
    for (int i = 1; i < f->n; i++)
        if (f->x[f->frames - 1][order[i]] - f->x[f->frames - 1][order[i - 1]] < f->side_w * 3.0 / MUSE_WORLDS_PLACES) return;
    const bool think = muse_wd_begin(m, "which");
    ASK(m, t, .a = { 0, things[0].color, things[0].kind, 0 }, .ia = object_at(m, 0, f->marked));
    if (think) {
        muse_wd_think(m);
        put_path(m, f, f->marked);
    }
    while (order[rank++] != f->marked) { }
    for (int i = 0; think && i < rank; i++) {   /* up to the one: where the list went on, the answer was often another's number */
        muse_wd_put(m, ";");
        muse_wd_int(m, i + 1);
        muse_wd_at(m, object_at(m, f->frames - 1, order[i]));
        muse_wd_put(m, i + 1 == rank ? " yes" : " no");
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, rank);
    muse_wd_accept_number(m, rank);
    muse_wd_end(m);
}

static void ask_hidden(Maker *m, const Film *f, const MuseWorldsObject *things)
{
    static const char *const t[] = { "In which picture is the %a hidden?", "When can't you see the %a? Give the picture's number.", "Which picture hides the %a?" };
    if (f->hidden_to != f->hidden_from + 1) return;
    const bool think = muse_wd_begin(m, "hidden");
    ASK(m, t, .a = muse_wd_full(&things[f->marked], false), .ia = object_at(m, 0, f->marked));
    if (think) {
        muse_wd_think(m);
        put_path(m, f, f->marked);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, f->hidden_from + 1);
    muse_wd_accept_number(m, f->hidden_from + 1);
    muse_wd_end(m);
}

static bool name_used(const MuseWorldsObject *things, int n, const MuseWorldsObject *o)
{
    for (int i = 0; i < n; i++)
        if (things[i].color == o->color && things[i].kind == o->kind) return true;
    return false;
}

void muse_wd_make_track(Maker *m)
{
    int w, h;
    muse_wd_side(m, 64, 192, true, &w, &h);
    const bool many = m->options.split == MUSE_WORLDS_MANY, pairs = m->options.split == MUSE_WORLDS_PAIRS;
    Film f = { .frames = many ? 6 : rng_int(&m->lay, 3, 6), .n = many ? MOVERS_MAX : rng_int(&m->lay, 2, 4), .side_w = w, .side_h = h, .twins = rng_chance(&m->lay, 0.6) };
    const Ground ground = muse_wd_ground(m, false);
    const Finish finish = muse_wd_finish(m, true);
    const Plan plan = { .shapes_only = true, .colors = ground.colors };
    MuseWorldsObject things[MOVERS_MAX];
    double radius[MOVERS_MAX];
    for (int i = 0; i < f.n; i++) {
        do things[i] = f.twins && i ? things[0] : muse_wd_object(m, 0, w, h, &plan);
        while ((pairs && i == 0 && !muse_worlds_held_out(things[0].color, things[0].kind)) || (!f.twins && name_used(things, i, &things[i])));
        things[i].size = MUSE_WORLDS_MEDIUM;
        radius[i] = things[i].box.x1 = 0.094 * (w < h ? w : h);
    }
    f.marked = pairs ? 0 : rng_int(&m->lay, 0, f.n - 1);
    const bool cover = !f.twins || rng_chance(&m->lay, 0.4);
    f.hidden_from = f.hidden_to = f.frames;
    if (cover) {
        f.hidden_from = rng_int(&m->lay, 1, f.frames - 2);
        f.hidden_to = f.hidden_from + (f.frames - f.hidden_from > 2 && rng_chance(&m->lay, 0.3) ? 2 : 1);
    }
    int tries = 0;
    do {
        if (++tries > 200) return;
        walk(m, &f, radius);
    } while (!clear_steps(&f, radius) || !cover_fits(&f, radius, radius[f.marked] * 1.25));
    const uint64_t key = rng_next(&m->paint);
    for (int t = 0; t < f.frames; t++) {
        if (!muse_wd_picture(m, w, h)) return;
        draw_frame(m, &f, t, things, &ground, &finish, key);
    }
    if (muse_wd_wants(m, "track")) ask_path(m, &f, things);
    if (f.twins && muse_wd_wants(m, "which")) ask_which(m, &f, things);
    if (!f.twins && muse_wd_wants(m, "hidden")) ask_hidden(m, &f, things);
}
