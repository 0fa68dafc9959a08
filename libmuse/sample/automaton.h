/* SPDX-License-Identifier: Apache-2.0 */
/* A deterministic automaton over bytes with calls: what every grammar is compiled to. A state has byte edges, or one call
 * (go to another state and come back), and may be accepting: the rule that it belongs to may end there. Byte edges go first,
 * then the call, then the return, so one byte of look-ahead decides. Users: dfa.c makes it, mask.c and grammar.c run it. */
#ifndef LIBMUSE_SAMPLE_AUTOMATON_H
#define LIBMUSE_SAMPLE_AUTOMATON_H

#include "base/alloc.h"
#include "libmuse/sample/nfa.h"
#include "muse/grammar.h"

typedef struct MuseDfaState {
    uint32_t call;    /* start of the rule called; 0 = none */
    uint32_t back;    /* state after it */
    uint32_t need;    /* stack that the shortest way to the rule's end takes; DEAD if there is no way */
    uint32_t accept;  /* the rule may end here */
} MuseDfaState;

enum { MUSE_DFA_DEAD = UINT16_MAX };   /* as need: above any depth */
enum { MUSE_CHAIN_MAX = 64 };          /* calls in a row without a byte */

typedef struct MuseAutomaton {
    uint8_t   class_of[256];
    uint32_t  n_classes, n_states, start, chain;   /* chain: most calls in a row without a byte */
    uint32_t *next;          /* [n_states, n_classes]; 0 = none. State 0 has nothing */
    MuseDfaState *states;    /* [n_states] */
} MuseAutomaton;

/* Where a text stands. `below` entries of the caller's stack are left, `top` are on top of them: the walker keeps what it
 * pushes in a list, so that a place is copied as three numbers. */
typedef struct MusePlace {
    uint32_t state, below, top, depth;   /* top: index + 1 into pushed; depth: all entries */
} MusePlace;

typedef struct MusePush { uint32_t back, under; } MusePush;   /* under: as MusePlace.top */

typedef struct MusePlaces {
    const uint32_t *stack;   /* the caller's entries */
    MusePush *pushed;
    uint32_t n_pushed;
    bool     open;           /* what lies under the stack is unknown: see MUSE_STEP_OUT */
} MusePlaces;

enum { MUSE_STEP_NO = 0, MUSE_STEP_YES = 1, MUSE_STEP_OUT = 2 };   /* OUT: the byte goes to whoever called */

/* One byte from *p. NO leaves *p undefined. */
int muse_automaton_step(const MuseAutomaton *a, MusePlaces *s, MusePlace *p, uint8_t byte);

/* From rules to an automaton: subset construction for all rules at once; states from which no end can be reached are cut.
 * usable: the bytes that there are.
 * 0; MUSE_ERR_LIMIT, MUSE_ERR_UNSUPPORTED (two calls in one state), MUSE_ERR_STATE (nothing matches), MUSE_ERR_NOMEM. */
int  muse_automaton_open(MuseAutomaton *a, const MuseAllocator *alloc, const MuseNfa *nfa, const bool usable[256], MuseError *err);
void muse_automaton_close(MuseAutomaton *a);

#endif
