/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that reads `<look> name<box><xA><yB><xC><yD>`, points, comparisons and checks out of a stream of ids, and says which
 * ids may come next. What a look shows is look.c's; what the steps are kept in is agent.c's.
 *
 *   text --<box>--> place 0 of 4 --x--> 1 --y--> 2 --x--> 3 --y--> text, BOX (behind <look>: LOOK)
 *   text --<point>--> place 0 of 2 --x--> 1 --y--> text, POINT
 *   text --x--> place 1 of 2 --y--> text, POINT             an x alone, or a y alone, is a number like any other
 */
#include "libmuse/reason/chain.h"

#include <stdio.h>
#include <string.h>

static int32_t find(const MuseTextTokenizer *tok, const char *text)
{
    const int32_t id = muse_text_find(tok, text, strlen(text));
    return id < 0 ? -1 : id;
}

void muse_words_find(MuseWords *w, const MuseTextTokenizer *tok)
{
    char text[32];
    *w = (MuseWords){ find(tok, "<look>"), find(tok, "<box>"), find(tok, "<point>"), find(tok, "<compare>"), find(tok, "<verify>"), find(tok, ";"), { 0 }, { { 0 } }, 0 };
    for (int i = 0; i < MUSE_NAMED_IMAGES; i++) {
        snprintf(text, sizeof text, "<image %d>", i + 1);
        w->image[i] = find(tok, text);
    }
    for (; w->n_places < MUSE_PLACES_MAX; w->n_places++) {
        int32_t id[2];
        for (int axis = 0; axis < 2; axis++) {
            snprintf(text, sizeof text, "<%c%u>", "xy"[axis], w->n_places);
            id[axis] = find(tok, text);
        }
        if (id[0] < 0 || id[1] < 0) break;
        w->place[0][w->n_places] = id[0];
        w->place[1][w->n_places] = id[1];
    }
}

bool muse_words_have_boxes(const MuseWords *w) { return w->box >= 0 && w->n_places > 0; }

void muse_chain_begin(MuseChain *c) { *c = (MuseChain){ .image = 1, .group = MUSE_REASON_NONE }; }

/* axis and value of a place token; false: it is none */
static bool place_of(const MuseWords *w, int32_t id, uint32_t *axis, uint32_t *value)
{
    for (*axis = 0; *axis < 2; ++*axis)
        for (*value = 0; *value < w->n_places; ++*value)
            if (w->place[*axis][*value] == id) return true;
    return false;
}

static void await(MuseChain *c, int kind, uint32_t want)
{
    c->state = MUSE_CHAIN_PLACE;
    c->kind = kind;
    c->want = want;
    c->n = 0;
}

/* what is unfinished is given up; NULL: nothing was */
static const char *give_up(MuseChain *c)
{
    const bool open = c->state == MUSE_CHAIN_PLACE && c->kind;
    c->state = MUSE_CHAIN_TEXT;
    if (!open) return NULL;
    c->look = false;
    return c->kind == MUSE_REASON_BOX ? "a box that is not finished" : "a point that is not finished";
}

/* the last place came */
static MuseChainEvent complete(MuseChain *c)
{
    MuseChainEvent e = { .kind = c->kind ? c->kind : MUSE_REASON_POINT };
    c->state = MUSE_CHAIN_TEXT;
    if (c->want < 4) {
        e.next = c->compares && ++c->in_clause == 2;
        return e;
    }
    if (c->v[2] < c->v[0] || c->v[3] < c->v[1]) e = (MuseChainEvent){ .bad = "a box that ends before it begins" };
    else if (c->look) e.kind = MUSE_REASON_LOOK;
    c->look = false;
    return e;
}

static MuseChainEvent control(MuseChain *c, const MuseWords *w, int32_t id)
{
    MuseChainEvent e = { 0 };
    if (id == w->look) {
        if (c->look) e.bad = "a look without a box";
        c->look = true;
        c->words = 0;
    }
    else if (id == w->box) await(c, MUSE_REASON_BOX, 4);
    else if (id == w->point) await(c, MUSE_REASON_POINT, 2);
    else if (id == w->compare) {
        e.kind = MUSE_REASON_COMPARE;
        c->compares = true;
        c->in_clause = 0;
    }
    else if (id == w->semicolon) c->in_clause = 0;
    else if (id == w->verify) e.kind = MUSE_REASON_VERIFY;
    for (uint32_t i = 0; i < MUSE_NAMED_IMAGES; i++)
        if (id == w->image[i]) e = (MuseChainEvent){ .kind = MUSE_REASON_IMAGE, .image = i + 1 };
    if (e.kind == MUSE_REASON_VERIFY || e.kind == MUSE_REASON_IMAGE) c->compares = false;
    return e;
}

MuseChainEvent muse_chain_push(MuseChain *c, const MuseWords *w, int32_t id)
{
    MuseChainEvent e = { 0 };
    uint32_t axis, value;
    if (id < 0) return e;
    const bool place = place_of(w, id, &axis, &value);
    if (c->state == MUSE_CHAIN_PLACE && place && axis == c->n % 2) {
        c->v[c->n++] = value;
        return c->n == c->want ? complete(c) : e;
    }
    const char *bad = give_up(c);
    if (place && axis == 0) {   /* may become a point */
        await(c, 0, 2);
        c->v[c->n++] = value;
    } else if (!place) e = control(c, w, id);
    if (c->look && c->state == MUSE_CHAIN_TEXT && c->words++ > MUSE_LOOK_WORDS) {
        c->look = false;
        e.bad = "a look without a box";
    }
    if (bad) e.bad = bad;
    return e;
}

const char *muse_chain_end(MuseChain *c)
{
    const char *bad = give_up(c);
    if (!bad && c->look) bad = "a look without a box";
    c->look = false;
    c->group = MUSE_REASON_NONE;
    c->compares = false;
    return bad;
}

bool muse_chain_wants(const MuseChain *c, const MuseWords *w, uint32_t *axis, uint32_t *first, uint32_t *n)
{
    if (c->state != MUSE_CHAIN_PLACE || !c->kind) return false;
    *axis = c->n % 2;
    *first = c->n >= 2 ? c->v[c->n - 2] : 0;
    *n = w->n_places - *first;
    return true;
}
