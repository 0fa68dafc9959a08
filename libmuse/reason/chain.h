/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a chain of thought token by token. Knows ids and places, no sessions and no pictures. Users: agent.c, run.c, look.c, tests. */
#ifndef LIBMUSE_REASON_CHAIN_H
#define LIBMUSE_REASON_CHAIN_H

#include <stdbool.h>

#include "muse/reason.h"

enum { MUSE_PLACES_MAX = 256, MUSE_NAMED_IMAGES = 32, MUSE_LOOK_WORDS = 32 };

/* The tokens that mean something inside a chain; -1: the tokenizer has none */
typedef struct MuseWords {
    int32_t  look, box, point, compare, verify, semicolon;
    int32_t  image[MUSE_NAMED_IMAGES];                       /* "<image 1>" is [0] */
    int32_t  place[2][MUSE_PLACES_MAX];                      /* x, y */
    uint32_t n_places;                                       /* a side; 0: there are none */
} MuseWords;

void muse_words_find(MuseWords *w, const MuseTextTokenizer *tok);
/* true: a box can be written */
bool muse_words_have_boxes(const MuseWords *w);

/* Where a chain stands. Zeroed is not the beginning: muse_chain_begin(). */
typedef struct MuseChain {
    enum { MUSE_CHAIN_TEXT, MUSE_CHAIN_PLACE } state;
    int      kind;        /* PLACE: MUSE_REASON_POINT or MUSE_REASON_BOX; 0: an x token that may become a point */
    uint32_t n, want;     /* places read and to be read: 2 or 4 */
    uint32_t v[4];
    bool     look;        /* <look> came, its box did not yet */
    uint32_t words;       /* tokens since then */
    uint32_t image;       /* the picture in the sequence that places mean, from 1 */
    uint32_t group;       /* step of the comparison or check that is open; MUSE_REASON_NONE */
    bool     compares;    /* behind <compare>, before <verify> and <image k> */
    uint32_t in_clause;   /* places there since the last ; */
} MuseChain;

void muse_chain_begin(MuseChain *c);

/* What a token completed. bad goes first; then kind, if any. */
typedef struct MuseChainEvent {
    const char *bad;      /* NULL, or what was written wrongly until here */
    int      kind;        /* 0: nothing; MUSE_REASON_POINT .. MUSE_REASON_IMAGE */
    uint32_t image;       /* IMAGE: the number that was written */
    bool     next;        /* POINT: the second of a comparison's clause: the same thing in the next picture */
} MuseChainEvent;

MuseChainEvent muse_chain_push(MuseChain *c, const MuseWords *w, int32_t id);
/* the thought or the turn ends here: NULL, or what it leaves unfinished */
const char *muse_chain_end(MuseChain *c);

/* Only these ids may come: allowed ids are [first, first + n) of w->place[axis]. false: anything may */
bool muse_chain_wants(const MuseChain *c, const MuseWords *w, uint32_t *axis, uint32_t *first, uint32_t *n);

#endif
