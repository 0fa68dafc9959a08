/* SPDX-License-Identifier: Apache-2.0 */
/* Building nondeterministic automata out of fragments. A fragment is a range of nodes [from, n) with one way in and one way
 * out, built by appending, so that repeating it is copying the range. Errors are remembered: builders return nothing, the
 * owner asks nfa->rc at the end. Users: regex.c, schema*.c, literal.c, dfa.c. */
#ifndef LIBMUSE_SAMPLE_NFA_H
#define LIBMUSE_SAMPLE_NFA_H

#include "base/alloc.h"
#include "base/status.h"

enum { MUSE_NFA_NODES_MAX = 1 << 20, MUSE_NFA_RULES_MAX = 1024 };

typedef enum MuseNodeKind {
    MUSE_NODE_SPLIT,   /* to `out` and `other` without a byte; NONE = nowhere */
    MUSE_NODE_BYTES,   /* lo..hi, then `out` */
    MUSE_NODE_CALL,    /* rule `other`, then `out` */
    MUSE_NODE_END      /* the rule ends */
} MuseNodeKind;

typedef struct MuseNode {
    uint8_t  kind, lo, hi;
    uint32_t out, other;
} MuseNode;

enum { MUSE_NODE_NONE = UINT32_MAX };

typedef struct MuseFrag { uint32_t from, in, out; } MuseFrag;   /* out: a SPLIT node that leads nowhere yet */

typedef struct MuseNfa {
    const MuseAllocator *alloc;
    MuseBuf    nodes;
    uint32_t   n;
    uint32_t   rules[MUSE_NFA_RULES_MAX];   /* first node of each; rule 0 is the grammar */
    uint32_t   n_rules;
    MuseError *err;
    int        rc;
} MuseNfa;

static inline MuseNode *muse_nfa_node(const MuseNfa *f, uint32_t i) { return (MuseNode *)(void *)f->nodes.data + i; }

void muse_nfa_close(MuseNfa *f);
int  muse_nfa_fail(MuseNfa *f, int code, const char *fmt, ...) MUSE_PRINTF(3, 4);   /* the first one counts */

MuseFrag muse_nfa_empty(MuseNfa *f);
MuseFrag muse_nfa_bytes(MuseNfa *f, uint8_t lo, uint8_t hi);
MuseFrag muse_nfa_text(MuseNfa *f, const void *bytes, size_t n);
MuseFrag muse_nfa_call(MuseNfa *f, uint32_t rule);
/* a then b, both built right before, in whatever order */
MuseFrag muse_nfa_cat(MuseNfa *f, MuseFrag a, MuseFrag b);
/* One of several: open, then for each branch build it and add it. */
MuseFrag muse_nfa_choice(MuseNfa *f);
void     muse_nfa_branch(MuseNfa *f, MuseFrag *choice, MuseFrag branch);
/* an edge without a byte */
void     muse_nfa_link(MuseNfa *f, uint32_t from, uint32_t to);
/* a, min to max times; max UINT32_MAX = no end. a is the newest fragment. */
MuseFrag muse_nfa_repeat(MuseNfa *f, MuseFrag a, uint32_t min, uint32_t max);
void     muse_nfa_rule(MuseNfa *f, uint32_t rule, MuseFrag body);

/* A set of code points as sorted ranges that do not touch. */
typedef struct MuseRange { uint32_t lo, hi; } MuseRange;
enum { MUSE_SET_RANGES_MAX = 512, MUSE_CODE_MAX = 0x10ffff };
typedef struct MuseSet { MuseRange r[MUSE_SET_RANGES_MAX]; uint32_t n; bool full; } MuseSet;   /* full: a range did not fit */

void muse_set_add(MuseSet *s, uint32_t lo, uint32_t hi);
void muse_set_sort(MuseSet *s);     /* after adding */
void muse_set_invert(MuseSet *s);   /* of a sorted one; surrogates are in neither */

/* One character of the set as UTF-8, or as it stands in a JSON string, escaped only where it must be */
typedef enum MuseSpelling { MUSE_SPELL_UTF8, MUSE_SPELL_JSON } MuseSpelling;
MuseFrag muse_nfa_set(MuseNfa *f, const MuseSet *s, MuseSpelling spelling);
/* one character of a JSON string in any spelling */
MuseFrag muse_nfa_json_char(MuseNfa *f);

/* A regular expression. search: ^ and $ must be written, as in JSON schemas; else the whole text is matched. */
MuseFrag muse_nfa_regex(MuseNfa *f, const char *pattern, size_t n, MuseSpelling spelling, bool search);

#endif
