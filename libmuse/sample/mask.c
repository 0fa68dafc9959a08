/* SPDX-License-Identifier: Apache-2.0 */
/* Which tokens a grammar allows at a place. A walk over the trie of tokens goes as deep as the automaton follows. What does not
 * depend on the stack is worked out once a state and kept; tokens that run over the end of a recursive definition are tried
 * each time, from the nodes of the trie where that happens. Nothing is allocated and nobody waits: a thread that meets a state
 * which another is working out does its own walk. Called by sampler.c and grammar.c. */
#include "libmuse/sample/mask.h"

#include <string.h>

int muse_walk_open(MuseWalk *w, const MuseAllocator *a, const MuseGrammar *g)
{
    const size_t depth = (size_t)g->trie->longest + 1;
    *w = (MuseWalk){ 0 };
    w->places = muse_alloc_array(a, depth, sizeof *w->places);
    w->marks = muse_alloc_array(a, depth, sizeof *w->marks);
    w->pushed = muse_alloc_array(a, depth * g->automaton.chain + 1, sizeof *w->pushed);
    if (g->automaton.chain) w->outs = muse_alloc_array(a, MUSE_OUTS_MAX, sizeof *w->outs);
    if (w->places && w->marks && w->pushed && (w->outs || !g->automaton.chain)) return 0;
    muse_walk_close(w);
    return MUSE_ERR_NOMEM;
}

void muse_walk_close(MuseWalk *w)
{
    muse_free(w->places);
    muse_free(w->marks);
    muse_free(w->pushed);
    muse_free(w->outs);
    *w = (MuseWalk){ 0 };
}

typedef struct Found {
    uint64_t *bits;
    uint32_t *outs;
    uint32_t  n_outs, deepest;
} Found;

static inline void mark(const MuseTokenTrie *t, uint32_t node, uint64_t *bits)
{
    for (uint32_t i = t->ids_at[node]; i < t->ids_at[node + 1]; i++) bits[t->ids[i] / 64] |= UINT64_C(1) << t->ids[i] % 64;
}

/* nodes [from, to), siblings and what is under them; `start` is the place before their bytes */
static void walk(const MuseGrammar *g, MuseWalk *w, MusePlaces *s, MusePlace start, uint32_t from, uint32_t to, Found *found)
{
    const MuseTokenTrie *t = g->trie;
    const MuseAutomaton *a = &g->automaton;
    const uint32_t base = from < to ? t->depth[from] : 0;
    w->places[0] = start;
    w->marks[0] = s->n_pushed;
    for (uint32_t i = from; i < to;) {
        const uint32_t d = t->depth[i] - base;
        MusePlace p = w->places[d];
        const uint32_t next = a->next[(size_t)p.state * a->n_classes + a->class_of[t->byte[i]]];
        int step = MUSE_STEP_YES;
        s->n_pushed = w->marks[d];
        if (next && p.depth + g->need_max <= MUSE_GRAMMAR_DEPTH_MAX) p.state = next;   /* as in the step: most bytes are this */
        else step = muse_automaton_step(a, s, &p, t->byte[i]);
        if (step == MUSE_STEP_YES) {
            mark(t, i, found->bits);
            w->places[d + 1] = p;
            w->marks[d + 1] = s->n_pushed;
            found->deepest = p.depth > found->deepest ? p.depth : found->deepest;
            i++;
        } else {
            if (step == MUSE_STEP_OUT) {
                if (found->n_outs < MUSE_OUTS_MAX) found->outs[found->n_outs] = i;
                found->n_outs++;
            }
            i = t->end[i];
        }
    }
}

/* n places of cap, for one thread alone. Never given back, since others may have taken theirs behind them meanwhile. */
static bool take(atomic_uint *used, uint32_t n, uint32_t cap, uint32_t *at)
{
    unsigned now = atomic_load(used);
    do
        if (n > cap - now) return false;
    while (!atomic_compare_exchange_weak(used, &now, now + n));
    *at = now;
    return true;
}

/* work out a state and keep it; false if there is no room */
static bool keep(const MuseGrammar *g, uint32_t state, MuseWalk *w, uint32_t *out)
{
    MuseMasks *m = g->masks;
    uint32_t at, outs_at = 0;
    if (!take(&m->used, 1, m->n, &at)) return false;
    uint64_t *bits = m->bits + (size_t)at * m->words;
    MusePlaces s = { .pushed = w->pushed, .open = g->automaton.chain > 0 };
    Found found = { .bits = bits, .outs = w->outs };
    memset(bits, 0, m->words * sizeof *bits);
    walk(g, w, &s, (MusePlace){ .state = state }, 0, g->trie->n_nodes, &found);
    if (found.n_outs) {
        if (found.n_outs > MUSE_OUTS_MAX || !take(&m->outs_used, found.n_outs, m->outs_cap, &outs_at)) return false;
        memcpy(m->outs + outs_at, w->outs, found.n_outs * sizeof *m->outs);
    }
    m->about[at] = (MuseMask){ outs_at, found.n_outs, found.deepest + g->need_max };
    *out = at;
    return true;
}

/* index of what is kept of a state; false: nothing is */
static bool kept(const MuseGrammar *g, uint32_t state, MuseWalk *w, uint32_t *out)
{
    atomic_uint *of = &g->masks->of_state[state];
    unsigned value = atomic_load_explicit(of, memory_order_acquire);
    if (value == 0 && atomic_compare_exchange_strong(of, &value, 1)) {
        if (!keep(g, state, w, out)) return false;
        atomic_store_explicit(of, *out + 2, memory_order_release);
        return true;
    }
    *out = value - 2;
    return value >= 2;
}

void muse_grammar_mask(const MuseGrammar *g, const MuseCursor *c, MuseWalk *w, uint64_t *mask)
{
    const MuseMasks *m = g->masks;
    const MusePlace here = { c->state, c->depth, 0, c->depth };
    MusePlaces s = { .stack = c->stack, .pushed = w->pushed };
    Found found = { .bits = mask };
    uint32_t at;
    if (!kept(g, c->state, w, &at) || m->about[at].reach + c->depth > MUSE_GRAMMAR_DEPTH_MAX) {
        memset(mask, 0, m->words * sizeof *mask);
        walk(g, w, &s, here, 0, g->trie->n_nodes, &found);
        return;
    }
    memcpy(mask, m->bits + (size_t)at * m->words, m->words * sizeof *mask);
    if (!c->depth) return;
    const MusePlace outside = { c->stack[c->depth - 1], c->depth - 1, 0, c->depth - 1 };
    for (uint32_t i = 0; i < m->about[at].n_outs; i++) {
        const uint32_t node = m->outs[m->about[at].outs_at + i];
        s.n_pushed = 0;
        walk(g, w, &s, outside, node, g->trie->end[node], &found);
    }
}
