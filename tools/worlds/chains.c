/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of thought that a picture and a text-only drill share: relation, same glyph, sums column by column. In a drill what a
 * picture would have told is given, not learned; all that follows from it is learned (docs/worlds.md says why). */
#include <math.h>

#include "tools/worlds/inside.h"

void muse_wd_drill_think(Maker *m)
{
    m->topic = rng_next(&m->ask);   /* of its own again: drills with the same words differ */
    muse_wd_think(m);
    m->parts[m->n_parts - 1].learn = 0;
}

/* what is given: learned from a picture, not in a drill */
void muse_wd_spot_put(Maker *m, const Spot *s)
{
    muse_wd_name(m, s->desc, s->object);
    muse_wd_put(m, "<x");
    muse_wd_int(m, s->px);
    muse_wd_put(m, "><y");
    muse_wd_int(m, s->py);
    muse_wd_put(m, ">");
}

static void put_place(Maker *m, bool across, const Spot *s)
{
    muse_wd_put(m, across ? "<x" : "<y");
    muse_wd_int(m, across ? s->px : s->py);
    muse_wd_put(m, ">");
}

/* yes_no: "is a left of b?", else "is a left or right of b?". Chain: both places, the coordinates that count, the relation
 * found, the relation asked for, then the answer. */
void muse_wd_relation(Maker *m, const char *kind, const Spot *a, const Spot *b, bool across, bool yes_no, bool drill)
{
    static const char *const words[2][2] = { { "above", "below" }, { "left", "right" } };
    static const char *const asked[] = { "Is the %a %r the %b?", "Is the %a %r the %b?", "Does the %a lie %r the %b?", "The %a is %r the %b, true?" };
    static const char *const open[2][3] = {
        { "Is the %a above or below the %b?", "Where is the %a, above or below the %b?", "Above or below the %b: where is the %a?" },
        { "Is the %a left or right of the %b?", "Where is the %a, left or right of the %b?", "On which side of the %b is the %a, left or right?" } };
    static const char *const phrases[2][2][2] = { { { "above", "higher than" }, { "below", "lower than" } },
                                                  { { "left of", "to the left of" }, { "right of", "to the right of" } } };
    const int found = across ? a->px > b->px : a->py > b->py, want = rng_int(&m->ask, 0, 1);
    const bool think = muse_wd_begin(m, kind);
    const Ask ask = { .a = a->desc, .b = b->desc, .ia = a->object, .ib = b->object, .r = phrases[across][want][rng_below(&m->ask, 2)] };
    if (yes_no) muse_wd_ask(m, asked, 4, &ask);
    else muse_wd_ask(m, open[across], 3, &ask);
    if (think) {
        muse_wd_think(m);
        if (drill) m->parts[m->n_parts - 1].learn = 0;
        muse_wd_spot_put(m, a);
        muse_wd_spot_put(m, b);
        if (drill) muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
        put_place(m, across, a);
        put_place(m, across, b);
        muse_wd_put(m, " ");
        muse_wd_put(m, words[across][found]);
        if (yes_no) {
            muse_wd_put(m, " ");
            muse_wd_put(m, words[across][want]);
        }
    }
    muse_wd_answer(m);
    muse_wd_put(m, yes_no ? (found == want ? " yes" : " no") : across ? (found ? " right" : " left") : found ? " below" : " above");
    muse_wd_end(m);
}

/* number of a glyph: digits after letters */
static int glyph_index(char c) { return c >= 'A' ? c - 'A' : 26 + c - '0'; }

void muse_wd_same_chain(Maker *m, char a, char b, bool drill)
{
    muse_wd_put(m, " ");
    muse_wd_char(m, a);
    muse_wd_put(m, " ");
    muse_wd_char(m, b);
    if (drill) muse_wd_part(m, MUSE_WORLDS_THOUGHT, true);
    muse_wd_put(m, "<x");
    muse_wd_int(m, glyph_index(a));
    muse_wd_put(m, "><x");
    muse_wd_int(m, glyph_index(b));
    muse_wd_put(m, a == b ? "> same" : "> different");
}

static void put_term(Maker *m, int value)
{
    muse_wd_int(m, value / 10);
    muse_wd_put(m, ",");
    muse_wd_int(m, value % 10);
}

/* 47+25 -> "7+5=1,2;4+2+1=0,7": each column gives carry, digit; the carry is copied into the next column. For a - b, a >= b:
 * 52-27 -> "12-7=1,5;5-2-1=0,2": a borrow is written as the carry. */
void muse_wd_sum_chain(Maker *m, int a, char op, int b)
{
    int carry = 0;
    for (int column = 0; column == 0 || a || b; column++, a /= 10, b /= 10) {
        const int da = a % 10, db = b % 10;
        if (column) muse_wd_put(m, ";");
        const int value = op == '+' ? da + db + carry : da - db - carry;
        muse_wd_int(m, op == '-' && value < 0 ? da + 10 : da);
        muse_wd_char(m, op);
        muse_wd_int(m, db);
        if (carry) {
            muse_wd_char(m, op);
            muse_wd_put(m, "1");
        }
        muse_wd_put(m, "=");
        carry = op == '+' ? value / 10 : value < 0;
        put_term(m, 10 * carry + (value + 10) % 10);
    }
    if (carry) {
        muse_wd_put(m, ";");
        muse_wd_put(m, "1");
    }
}

/* "<y12><x9><x15>": how far down, across (in this order they are no point), and how far, in 64ths of the larger side; as places, since a guess near a place is
 * half right in training (docs/train.md, soft targets), near a number it is wrong */
void muse_wd_distance(Maker *m, double dx, double dy, double side)
{
    const double n = MUSE_WORLDS_PLACES / side;
    const long v[3] = { lround(fabs(dy) * n), lround(fabs(dx) * n), lround(hypot(dx, dy) * n) };
    for (int i = 0; i < 3; i++) {
        muse_wd_put(m, i == 0 ? "<y" : "<x");
        muse_wd_int(m, (int)(v[i] < MUSE_WORLDS_PLACES ? v[i] : MUSE_WORLDS_PLACES - 1));
        muse_wd_put(m, ">");
    }
}
