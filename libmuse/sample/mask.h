/* SPDX-License-Identifier: Apache-2.0 */
/* Which tokens a grammar allows at a place: a trie of the vocabulary, walked with the automaton, and what was found kept by
 * state. Users: grammar.c, sampler.c. */
#ifndef LIBMUSE_SAMPLE_MASK_H
#define LIBMUSE_SAMPLE_MASK_H

#include <stdatomic.h>

#include "libmuse/sample/automaton.h"
#include "ops/runtime.h"
#include "tokenizers/text/textcore.h"

enum { MUSE_TOKEN_BYTES_MAX = 1024 };   /* longer tokens are never allowed */

/* The vocabulary's tokens as a trie in preorder: a node's children follow it, up to its end. Added tokens are not in it. Read-only; shared by
 * all grammars of a tokenizer, which it may outlive. */
typedef struct MuseTokenTrie {
    MuseTextDerived derived;
    atomic_int   refs;   /* the tokenizer's, and each grammar's */
    MuseRuntime *rt;     /* the tokenizer's; one reference held */
    uint32_t  n_nodes, n_tokens, vocab, longest;
    uint8_t  *byte;      /* [n_nodes] */
    uint16_t *depth;     /* [n_nodes] 0 for those under the root */
    uint32_t *end;       /* [n_nodes] first node behind the subtree */
    uint32_t *ids_at;    /* [n_nodes + 1] into ids: the tokens that end at the node */
    uint32_t *ids;       /* [n_tokens] */
    uint8_t  *text;      /* the tokens' bytes, by id */
    uint32_t *text_at;   /* [vocab + 1]; empty: not in the trie */
    bool      has[256];  /* bytes that some token holds */
} MuseTokenTrie;

/* The tokenizer's, made at the first call; one reference for the caller. Any thread; several at once may each make it, and one is kept.
 * 0; MUSE_ERR_STATE: no tokens that a text could be made of; MUSE_ERR_NOMEM. */
int  muse_token_trie_of(MuseTokenTrie **out, const MuseTextTokenizer *tok, MuseError *err);
void muse_token_trie_close(MuseTokenTrie *t);   /* gives a reference back; NULL is accepted */

/* Memory of one walk; a sampler owns one. */
typedef struct MuseWalk {
    MusePlace *places;   /* [longest + 1] by depth */
    uint32_t  *marks;    /* [longest + 1] pushes made before that depth */
    MusePush  *pushed;   /* [longest * chain + 1] */
    uint32_t  *outs;     /* [MUSE_OUTS_MAX] nodes where a walk leaves its rule; NULL if nothing is called */
} MuseWalk;

enum { MUSE_OUTS_MAX = 1 << 16 };   /* a state with more of them is not kept */

/* What is kept of a state, when nothing is known about the stack: tokens allowed whatever lies on it, and the nodes of the trie
 * that are reached when the rule has ended. */
typedef struct MuseMask {
    uint32_t outs_at, n_outs;
    uint32_t reach;          /* most stack that these tokens need on top */
} MuseMask;

typedef struct MuseMasks {
    atomic_uint *of_state;   /* [n_states] 0: not met; 1: being worked out, or no room; else index + 2 */
    uint64_t    *bits;       /* [n, words] */
    MuseMask    *about;      /* [n] */
    uint32_t    *outs;       /* [outs_cap] */
    uint32_t     n, words, outs_cap;
    atomic_uint  used, outs_used;
} MuseMasks;

struct MuseGrammar {
    MuseRuntime  *rt;
    MuseAutomaton automaton;
    MuseTokenTrie *trie;     /* one reference held */
    MuseMasks    *masks;     /* the one part that changes after open */
    int32_t      *end_ids;
    size_t        n_end;
    uint32_t      n_rules, need_max;
};

/* A language puts its rules into the nfa; 0 or what nfa->rc holds */
typedef int MuseGrammarWrite(MuseNfa *f, const void *source, size_t n, unsigned space);
/* mark: a byte that the rules use though no token may hold it, -1 without. Errors: as muse_grammar_open_regex() */
int  muse_grammar_open_written(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, MuseGrammarWrite *write, const void *source, size_t n, int mark,
                               const MuseGrammarParams *params, MuseError *err);

int  muse_walk_open(MuseWalk *w, const MuseAllocator *a, const MuseGrammar *g);
void muse_walk_close(MuseWalk *w);

/* Where a sampler's text stands. */
typedef struct MuseCursor {
    uint32_t state, depth;
    bool     ended;
    uint32_t stack[MUSE_GRAMMAR_DEPTH_MAX];
} MuseCursor;

void muse_cursor_start(MuseCursor *c, const MuseGrammar *g);
bool muse_cursor_can_end(const MuseCursor *c, const MuseGrammar *g);
bool muse_cursor_must_end(const MuseCursor *c, const MuseGrammar *g);
/* bytes of text; how many of them were taken. After less than n the cursor is of no use. */
size_t muse_cursor_bytes(MuseCursor *c, const MuseGrammar *g, const uint8_t *bytes, size_t n);

/* the tokens allowed; end ids are not among them. mask: [words of the trie's vocabulary] */
void muse_grammar_mask(const MuseGrammar *g, const MuseCursor *c, MuseWalk *w, uint64_t *mask);
#endif
