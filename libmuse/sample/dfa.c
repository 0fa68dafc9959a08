/* SPDX-License-Identifier: Apache-2.0 */
/* From fragments to a deterministic automaton (subset construction over all rules at once), and its step. Cuts what can not
 * reach an end; does not minimise. Called by grammar.c, the step by mask.c and grammar.c. */
#include "libmuse/sample/automaton.h"

#include <stdlib.h>
#include <string.h>

/* What the construction may cost in nodes looked at, a node that is sorted counting for eight, an edge that is followed back for an eighth:
 * about a second. Exponential expressions end here or at the states. */
static const uint64_t work_max = UINT64_C(1) << 27;
/* bytes of the table of edges */
enum { TABLE_BYTES_MAX = 1 << 26 };

typedef struct Set { size_t at; uint32_t n, hash; } Set;

typedef struct Builder {
    const MuseNfa *nfa;
    MuseAutomaton *a;
    MuseBuf   members;       /* u32: nodes of all sets, each sorted by the order of discovery */
    MuseBuf   sets;          /* Set, by state */
    MuseBuf   next, states;  /* as in the automaton */
    uint32_t *slots;         /* open addressing: state + 1 */
    uint32_t *stamp;         /* [nodes] round in which a node was met */
    uint32_t *todo;          /* [nodes] */
    uint32_t *set;           /* [nodes] the set being made */
    uint32_t  n_set, round;
    uint64_t  work;
    const bool *usable;      /* [256] */
    MuseError *err;
} Builder;

enum { SLOTS = MUSE_GRAMMAR_STATES_MAX * 2 };

/* the node and all it leads to without a byte go into the set; SPLITs are not kept */
static void close_over(Builder *b, uint32_t node)
{
    uint32_t n = 0;
    if (node == MUSE_NODE_NONE || b->stamp[node] == b->round) return;
    b->stamp[node] = b->round;
    b->todo[n++] = node;
    while (n) {
        const uint32_t at = b->todo[--n];
        const MuseNode *v = muse_nfa_node(b->nfa, at);
        b->work++;
        if (v->kind != MUSE_NODE_SPLIT) {
            b->set[b->n_set++] = at;
            continue;
        }
        const uint32_t ways[2] = { v->other, v->out };
        for (int i = 0; i < 2; i++)
            if (ways[i] != MUSE_NODE_NONE && b->stamp[ways[i]] != b->round) {
                b->stamp[ways[i]] = b->round;
                b->todo[n++] = ways[i];
            }
    }
}

static void start_set(Builder *b)
{
    b->round++;
    b->n_set = 0;
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int add_state(Builder *b, uint32_t hash, MuseError *err)
{
    const size_t row = b->a->n_classes * sizeof(uint32_t);
    const Set set = { b->members.len / sizeof(uint32_t), b->n_set, hash };
    const MuseDfaState state = { .need = MUSE_DFA_DEAD };
    if (b->a->n_states == MUSE_GRAMMAR_STATES_MAX || (b->a->n_states + 1) * row > TABLE_BYTES_MAX)
        return muse_fail(err, MUSE_ERR_LIMIT, "the grammar needs over %u states of %u kinds of bytes (at most %d states, %d bytes of table)",
                         b->a->n_states, b->a->n_classes, MUSE_GRAMMAR_STATES_MAX, TABLE_BYTES_MAX);
    if (muse_buf_reserve(&b->next, row) < 0 || muse_buf_append(&b->sets, &set, sizeof set) < 0 || muse_buf_append(&b->states, &state, sizeof state) < 0 ||
        muse_buf_append(&b->members, b->set, b->n_set * sizeof *b->set) < 0)
        return MUSE_NOMEM(err, row);
    memset(b->next.data + b->next.len, 0, row);
    b->next.len += row;
    b->a->n_states++;
    return 0;
}

/* the state of the set that was made; an empty one is 0 */
static int state_of(Builder *b, uint32_t *out)
{
    *out = 0;
    if (!b->n_set) return 0;
    b->work += (uint64_t)b->n_set * 8;
    qsort(b->set, b->n_set, sizeof *b->set, by_value);
    uint32_t hash = 2166136261u;   /* FNV-1a, by words */
    for (uint32_t i = 0; i < b->n_set; i++) hash = (hash ^ b->set[i]) * 16777619u;
    hash ^= hash >> 15;
    uint32_t at = hash % SLOTS;
    for (; b->slots[at]; at = (at + 1) % SLOTS) {
        const Set *s = (const Set *)(const void *)b->sets.data + (b->slots[at] - 1);
        if (s->hash == hash && s->n == b->n_set && memcmp((uint32_t *)(void *)b->members.data + s->at, b->set, s->n * sizeof *b->set) == 0) {
            *out = b->slots[at] - 1;
            return 0;
        }
    }
    int rc = add_state(b, hash, b->err);
    if (rc < 0) return rc;
    *out = b->a->n_states - 1;
    b->slots[at] = *out + 1;
    return 0;
}

/* bytes that no range tells apart share a column; those that no token has get the last one, which has no edges */
static void make_classes(Builder *b)
{
    uint8_t cut[257] = { 0 };
    for (uint32_t i = 0; i < b->nfa->n; i++) {
        const MuseNode *v = muse_nfa_node(b->nfa, i);
        if (v->kind == MUSE_NODE_BYTES) cut[v->lo] = cut[v->hi + 1] = 1;
    }
    uint32_t n = 0;
    for (int c = 0; c < 256; c++) {
        if (c && cut[c]) n++;
        b->a->class_of[c] = (uint8_t)n;
    }
    bool all = true;
    for (int c = 0; c < 256; c++) all = all && b->usable[c];
    for (int c = 0; !all && c < 256; c++)
        if (!b->usable[c]) b->a->class_of[c] = (uint8_t)(n + 1);   /* at most 255: n + 1 of 256 bytes are taken only if all are usable */
    b->a->n_classes = n + (all ? 1 : 2);
}

/* what a state's set says beyond bytes */
static int set_calls(Builder *b, uint32_t state)
{
    const Set s = ((const Set *)(const void *)b->sets.data)[state];
    uint32_t rule = MUSE_NODE_NONE, call = 0, back = 0;
    bool accept = false;
    start_set(b);
    for (uint32_t i = 0; i < s.n; i++) {
        const MuseNode *v = muse_nfa_node(b->nfa, ((uint32_t *)(void *)b->members.data)[s.at + i]);
        if (v->kind == MUSE_NODE_END) accept = true;
        if (v->kind != MUSE_NODE_CALL) continue;
        if (rule != MUSE_NODE_NONE && rule != v->other)
            return muse_fail(b->err, MUSE_ERR_UNSUPPORTED, "two recursive definitions could begin at the same place of a text");
        rule = v->other;
        close_over(b, v->out);
    }
    if (rule != MUSE_NODE_NONE) {
        int rc = state_of(b, &back);
        if (rc < 0) return rc;
        start_set(b);
        close_over(b, b->nfa->rules[rule]);
        rc = state_of(b, &call);
        if (rc < 0) return rc;
    }
    MuseDfaState *q = (MuseDfaState *)(void *)b->states.data + state;
    q->call = call;
    q->back = back;
    q->accept = accept;
    return 0;
}

static int check_work(const Builder *b)
{
    if (b->work <= work_max) return 0;
    return muse_fail(b->err, MUSE_ERR_LIMIT, "the grammar takes over %llu steps to compile (%u states so far)", (unsigned long long)work_max, b->a->n_states);
}

static int expand(Builder *b, uint32_t state)
{
    int first_byte[257], byte = 255;
    const Set s = ((const Set *)(const void *)b->sets.data)[state];
    for (uint32_t c = 0; c < b->a->n_classes; c++) first_byte[c] = -1;
    for (; byte >= 0; byte--)
        if (b->usable[byte]) first_byte[b->a->class_of[byte]] = byte;
    for (uint32_t c = 0; c < b->a->n_classes; c++) {
        uint32_t to;
        if (first_byte[c] < 0) continue;
        start_set(b);
        for (uint32_t i = 0; i < s.n; i++) {
            const MuseNode *v = muse_nfa_node(b->nfa, ((uint32_t *)(void *)b->members.data)[s.at + i]);
            if (v->kind == MUSE_NODE_BYTES && v->lo <= first_byte[c] && v->hi >= first_byte[c]) close_over(b, v->out);
        }
        b->work += s.n;
        int rc = state_of(b, &to);
        if (rc < 0) return rc;
        ((uint32_t *)(void *)b->next.data)[(size_t)state * b->a->n_classes + c] = to;
    }
    const int rc = check_work(b);
    return rc < 0 ? rc : set_calls(b, state);
}

/* need: how much stack the end of the rule takes at least from each state; from the back, since states are numbered forwards. Rules that
 * call each other the other way round take a sweep each, so sweeps count as work; a need over the greatest depth stays DEAD. */
static int find_needs(Builder *b)
{
    MuseAutomaton *a = b->a;
    for (bool changed = true; changed;) {
        changed = false;
        b->work += (uint64_t)a->n_states * a->n_classes / 8;
        const int rc = check_work(b);
        if (rc < 0) return rc;
        for (uint32_t i = a->n_states - 1; i > 0; i--) {
            MuseDfaState *q = &a->states[i];
            uint32_t need = q->accept ? 0 : q->need;
            for (uint32_t c = 0; c < a->n_classes && need; c++) {
                const uint32_t to = a->next[(size_t)i * a->n_classes + c];
                if (to && a->states[to].need < need) need = a->states[to].need;
            }
            if (q->call && need) {
                const uint32_t inside = a->states[q->call].need + 1, after = a->states[q->back].need;
                const uint32_t most = inside > after ? inside : after;
                if (most < need && most <= MUSE_GRAMMAR_DEPTH_MAX) need = most;
            }
            if (need != q->need) changed = true;
            q->need = need;
        }
    }
    return 0;
}

static void cut_dead(MuseAutomaton *a)
{
    for (size_t i = 0; i < (size_t)a->n_states * a->n_classes; i++)
        if (a->states[a->next[i]].need > MUSE_GRAMMAR_DEPTH_MAX) a->next[i] = 0;
    for (uint32_t i = 1; i < a->n_states; i++) {
        MuseDfaState *q = &a->states[i];
        if (q->call && (a->states[q->call].need > MUSE_GRAMMAR_DEPTH_MAX || a->states[q->back].need > MUSE_GRAMMAR_DEPTH_MAX)) q->call = q->back = 0;
    }
}

/* One byte decides: a call must not share its first bytes with edges, nor be left out, nor lead to itself without a byte. */
static int check_calls(MuseAutomaton *a, MuseError *err)
{
    for (uint32_t i = 1; i < a->n_states; i++) {
        uint32_t chain = 0;
        for (uint32_t at = i; a->states[at].call; at = a->states[at].call) {
            const uint32_t *first = a->next + (size_t)a->states[at].call * a->n_classes, *own = a->next + (size_t)at * a->n_classes;
            if (++chain > MUSE_CHAIN_MAX) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a recursive definition leads to itself without a byte of text");
            if (a->states[at].accept || a->states[a->states[at].call].accept)
                return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a recursive definition may be empty or left out at its place");
            for (uint32_t c = 0; c < a->n_classes; c++)
                if (first[c] && own[c]) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a recursive definition and something else could begin with the same byte");
        }
        if (chain > a->chain) a->chain = chain;
    }
    return 0;
}

static int build(Builder *b)
{
    MuseAutomaton *a = b->a;
    make_classes(b);
    int rc = add_state(b, 0, b->err);   /* 0: nowhere */
    if (rc < 0) return rc;
    start_set(b);
    close_over(b, b->nfa->rules[0]);
    if ((rc = state_of(b, &a->start)) < 0) return rc;
    for (uint32_t i = 1; i < a->n_states; i++)
        if ((rc = expand(b, i)) < 0) return rc;
    a->next = (uint32_t *)(void *)b->next.data;
    a->states = (MuseDfaState *)(void *)b->states.data;
    b->next.data = b->states.data = NULL;
    if ((rc = find_needs(b)) < 0) return rc;
    cut_dead(a);
    if (a->states[a->start].need > MUSE_GRAMMAR_DEPTH_MAX)
        return muse_fail(b->err, MUSE_ERR_STATE, "no text fits the grammar");
    return check_calls(a, b->err);
}

int muse_automaton_open(MuseAutomaton *a, const MuseAllocator *alloc, const MuseNfa *nfa, const bool usable[256], MuseError *err)
{
    Builder b = { .usable = usable, .nfa = nfa, .a = a, .err = err };
    b.members.alloc = b.sets.alloc = b.next.alloc = b.states.alloc = alloc;
    *a = (MuseAutomaton){ 0 };
    b.slots = muse_zalloc_array(alloc, SLOTS, sizeof *b.slots);
    b.stamp = muse_zalloc_array(alloc, nfa->n, sizeof *b.stamp);
    b.todo = muse_alloc_array(alloc, nfa->n, sizeof *b.todo);
    b.set = muse_alloc_array(alloc, nfa->n, sizeof *b.set);
    const bool have = b.slots && b.stamp && b.todo && b.set;
    int rc = have ? build(&b) : MUSE_NOMEM(err, (size_t)nfa->n * 12 + SLOTS * 4);
    muse_free(b.slots);
    muse_free(b.stamp);
    muse_free(b.todo);
    muse_free(b.set);
    muse_buf_clear(&b.members);
    muse_buf_clear(&b.sets);
    muse_buf_clear(&b.next);
    muse_buf_clear(&b.states);
    if (rc < 0) muse_automaton_close(a);
    return rc;
}

void muse_automaton_close(MuseAutomaton *a)
{
    muse_free(a->next);
    muse_free(a->states);
    *a = (MuseAutomaton){ 0 };
}

int muse_automaton_step(const MuseAutomaton *a, MusePlaces *s, MusePlace *p, uint8_t byte)
{
    const uint32_t class = a->class_of[byte];
    for (;;) {
        const MuseDfaState *q = &a->states[p->state];
        const uint32_t to = a->next[(size_t)p->state * a->n_classes + class];
        if (to) {
            if (p->depth + a->states[to].need > MUSE_GRAMMAR_DEPTH_MAX) return MUSE_STEP_NO;
            p->state = to;
            return MUSE_STEP_YES;
        }
        if (q->call) {
            if (p->depth + 1 + a->states[q->call].need > MUSE_GRAMMAR_DEPTH_MAX || p->depth + a->states[q->back].need > MUSE_GRAMMAR_DEPTH_MAX) return MUSE_STEP_NO;
            s->pushed[s->n_pushed++] = (MusePush){ q->back, p->top };
            p->top = s->n_pushed;
            p->depth++;
            p->state = q->call;
        } else if (!q->accept) {
            return MUSE_STEP_NO;
        } else if (p->top) {
            const MusePush under = s->pushed[p->top - 1];
            p->state = under.back;
            p->top = under.under;
            p->depth--;
        } else if (p->below) {
            p->state = s->stack[--p->below];
            p->depth--;
        } else {
            return s->open ? MUSE_STEP_OUT : MUSE_STEP_NO;
        }
    }
}
