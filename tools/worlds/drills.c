/* SPDX-License-Identifier: Apache-2.0 */
/* The world "drills": the last steps of chains as text alone. What a picture would have told is random and given; only what
 * follows from it is learned. Cheap practice that measured drills need (docs/worlds.md). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/worlds/inside.h"

static Desc random_name(Maker *m)
{
    Desc d;
    do d = (Desc){ 0, rng_int(&m->ask, 1, MUSE_WORLDS_COLORS - 1), rng_int(&m->ask, MUSE_WORLDS_CIRCLE, MUSE_WORLDS_HEART), 0 }; while (!muse_wd_known(m, d));
    return d;
}

static void drill_relation(Maker *m, bool yes_no)
{
    Spot a = { .desc = random_name(m), .object = -1 }, b;
    const bool across = rng_chance(&m->ask, 0.5);
    do {
        b = (Spot){ .desc = random_name(m), .object = -1, .px = rng_int(&m->ask, 2, 61), .py = rng_int(&m->ask, 2, 61) };
        a.px = rng_int(&m->ask, 2, 61);
        a.py = rng_int(&m->ask, 2, 61);
    } while (memcmp(&a.desc, &b.desc, sizeof a.desc) == 0 || (across ? a.px - b.px > -4 && a.px - b.px < 4 : a.py - b.py > -4 && a.py - b.py < 4));
    muse_wd_relation(m, yes_no ? "drill-relation" : "drill-where", &a, &b, across, yes_no, true);
}

static void drill_same(Maker *m)
{
    static const char *const t[] = { "Are the two signs the same?", "Do you see the same sign twice?", "Same or not?", "Are both signs equal?" };
    const char a = muse_wd_glyph(&m->ask), b = rng_chance(&m->ask, 0.5) ? a : muse_wd_glyph(&m->ask);
    muse_wd_begin(m, "drill-same");
    ASK(m, t, .ia = -1);
    muse_wd_drill_think(m);
    muse_wd_put(m, ";");
    muse_wd_same_chain(m, a, b, true);
    muse_wd_answer(m);
    muse_wd_put(m, a == b ? " yes" : " no");
    muse_wd_end(m);
}

/* as a picture of "47+25" would be read, at random places: each sign between its beginning and its end */
static void drill_sum(Maker *m)
{
    static const char *const t[] = { "What is the result?", "Compute.", "Solve it.", "How much is it?", "What does it come to?" };
    int a = rng_int(&m->ask, 0, 49), b = rng_int(&m->ask, 0, 49);
    const char op = rng_chance(&m->ask, 0.6) ? '+' : '-';
    if (op == '-' && a < b) {
        const int s = a;
        a = b;
        b = s;
    }
    char text[16];
    snprintf(text, sizeof text, "%d%c%d", a, op, b);
    muse_wd_begin(m, "drill-sum");
    ASK(m, t, .ia = -1);
    muse_wd_drill_think(m);
    const int step = rng_int(&m->ask, 4, 10);
    int x = rng_int(&m->ask, 2, 13);
    for (const char *s = text; *s; s++, x += step) {
        char place[32];
        snprintf(place, sizeof place, "<x%d>%c", x, *s);
        muse_wd_put(m, place);
    }
    muse_wd_put(m, "<x");
    muse_wd_int(m, x);
    muse_wd_put(m, ">;");
    muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
    muse_wd_sum_chain(m, a, op, b);
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, op == '+' ? a + b : a - b);
    muse_wd_end(m);
}

/* single columns and products of ticks, packed: "7+5=1,2;4+2+1=0,7;6*5=30" */
static void drill_facts(Maker *m)
{
    static const int steps[] = { 1, 2, 5, 10 };
    muse_wd_begin(m, "drill-facts");
    m->branches[m->sample.n_branches].think = 0;
    for (int i = 0; i < 6; i++) {
        char given[32], told[16];
        const int a = rng_int(&m->ask, 0, 9), b = rng_int(&m->ask, 0, 9), carry = rng_int(&m->ask, 0, 1), kind = rng_int(&m->ask, 0, 4);
        if (kind < 3) {
            snprintf(given, sizeof given, carry ? "%s%d+%d+1=" : "%s%d+%d=", i ? ";" : "", a, b);
            snprintf(told, sizeof told, "%d,%d", (a + b + carry) / 10, (a + b + carry) % 10);
        } else if (kind == 3) {
            const int v = a - b - carry;
            snprintf(given, sizeof given, carry ? "%s%d-%d-1=" : "%s%d-%d=", i ? ";" : "", v < 0 ? a + 10 : a, b);
            snprintf(told, sizeof told, "%d,%d", v < 0, v < 0 ? v + 10 : v);
        } else {
            const int tick = rng_int(&m->ask, 1, 10), step = steps[rng_below(&m->ask, 4)];
            snprintf(given, sizeof given, "%s%d*%d=", i ? ";" : "", tick, step);
            snprintf(told, sizeof told, "%d", tick * step);
        }
        muse_wd_part(m, MUSE_WORLDS_QUESTION, false);
        muse_wd_put(m, given);
        muse_wd_part(m, MUSE_WORLDS_ANSWER, true);
        muse_wd_put(m, told);
    }
    muse_wd_end(m);
}

/* Places are given, distances and the least of them are learned; square pictures, as most are. */
static void drill_nearest(Maker *m)
{
    static const char *const t[] = { "What is nearest to the %a?", "Which object is closest to the %a?", "What lies nearest to the %a?", "Name the object closest to the %a." };
    const Desc d = random_name(m);
    const int n = rng_int(&m->ask, 2, 7);
    int x[8], y[8], best;
    double first, second;
    do {
        best = 0;
        first = second = 1e9;
        for (int i = 0; i <= n; i++) x[i] = rng_int(&m->ask, 3, 60), y[i] = rng_int(&m->ask, 3, 60);
        for (int i = 1; i <= n; i++) {
            const double far = hypot(x[i] - x[0], y[i] - y[0]);
            second = fmin(second, fmax(far, first));
            if (far < first) first = far, best = i;
        }
    } while (first < 5 || second < 1.25 * first);
    muse_wd_begin(m, "drill-nearest");
    ASK(m, t, .a = d, .ia = -1);
    muse_wd_drill_think(m);
    muse_wd_name(m, d, -1);
    for (int i = 0; i <= n; i++) {
        char place[40];
        snprintf(place, sizeof place, "%s<x%d><y%d>", i ? ";" : "", x[i], y[i]);
        if (i > 1) muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
        muse_wd_put(m, place);
        if (i) muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        if (i) muse_wd_distance(m, x[i] - x[0], y[i] - y[0], MUSE_WORLDS_PLACES);
    }
    char place[40];
    snprintf(place, sizeof place, "; nearest<x%d><y%d>", x[best], y[best]);
    muse_wd_put(m, place);
    muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
    const Desc found = random_name(m);
    muse_wd_name(m, found, -1);
    muse_wd_answer(m);
    muse_wd_name(m, found, -1);
    muse_wd_end(m);
}

/* The path of the thing with the dot and the places of all at its end are given: which is it? */
static void drill_which(Maker *m)
{
    static const char *const t[] = { "One %a has a dot in the first picture. Counted from the left, which one is it in the last picture?",
                                     "Which %a from the left in the last picture is the one with the dot?", "Follow the %a with the dot. Which one from the left is it at the end?" };
    const int frames = rng_int(&m->ask, 3, 6), n = rng_int(&m->ask, 2, 4), at = rng_int(&m->ask, 0, n - 1);
    int x[4], y[4], path[6][2];
    for (int i = 0; i < n; i++) x[i] = rng_int(&m->ask, 6 + 50 * i / n, 2 + 50 * (i + 1) / n), y[i] = rng_int(&m->ask, 6, 57);
    path[frames - 1][0] = x[at];
    path[frames - 1][1] = y[at];
    for (int i = frames - 2; i >= 0; i--)   /* small steps, from the end backwards */
        for (int k = 0; k < 2; k++) {
            const int v = path[i + 1][k] + rng_int(&m->ask, -8, 8);
            path[i][k] = v < 6 ? 6 : v > 57 ? 57 : v;
        }
    muse_wd_begin(m, "drill-which");
    ASK(m, t, .a = random_name(m), .ia = -1);
    muse_wd_drill_think(m);
    for (int i = 0; i < frames; i++) {
        char place[48];
        snprintf(place, sizeof place, "<image %d><x%d><y%d>", i + 1, path[i][0], path[i][1]);
        muse_wd_put(m, place);
    }
    for (int i = 0; i <= at; i++) {
        char place[32];
        snprintf(place, sizeof place, ";%d<x%d><y%d>", i + 1, x[i], y[i]);
        if (i) muse_wd_part(m, MUSE_WORLDS_THOUGHT, false);
        muse_wd_put(m, place);
        muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        muse_wd_put(m, i == at ? " yes" : " no");
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, at + 1);
    muse_wd_end(m);
}

static void drill_yes_no(Maker *m) { drill_relation(m, true); }
static void drill_side(Maker *m) { drill_relation(m, false); }

void muse_wd_make_drills(Maker *m)
{
    /* the ending shares that kept all skills, drill-notes section 7, and six more */
    static const struct { const char *kind; int share; void (*make)(Maker *); } drills[] = {
        { "drill-sum", 8, drill_sum }, { "drill-facts", 6, drill_facts }, { "drill-same", 4, drill_same }, { "drill-relation", 3, drill_yes_no },
        { "drill-where", 3, drill_side }, { "drill-lookup", 3, muse_wd_drill_lookup }, { "drill-svg", 2, muse_wd_drill_svg },
        { "drill-odd", 3, muse_wd_drill_odd }, { "drill-tallest", 3, muse_wd_drill_tallest }, { "drill-nearest", 4, drill_nearest }, { "drill-which", 3, drill_which },
    };
    int shares = 0;
    for (size_t i = 0; i < sizeof drills / sizeof *drills; i++) shares += drills[i].share;
    m->options.form = MUSE_WORLDS_THINK;   /* a direct answer to a thing not seen can't be learned */
    for (int tries = 0; tries < 200 && m->sample.n_branches < m->options.branches; tries++) {
        int lot = rng_int(&m->ask, 0, shares - 1), k = 0;
        while (lot >= drills[k].share) lot -= drills[k++].share;
        if (muse_wd_wants(m, drills[k].kind)) drills[k].make(m);
    }
}
