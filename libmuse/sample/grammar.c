/* SPDX-License-Identifier: Apache-2.0 */
/* MuseGrammar: opening from the four languages, matching, the cursor of a text. The languages are in regex.c and schema.c,
 * what tokens are allowed in mask.c. */
#include <string.h>

#include "base/params.h"
#include "libmuse/sample/mask.h"
#include "libmuse/sample/schema.h"

/* token masks by default: 2,000 states of a vocabulary of 128 Ki */
enum { MASK_BYTES = 32 << 20, END_IDS_MAX = 4096 };

void muse_grammar_params_init(MuseGrammarParams *params) { MUSE_PARAMS_INIT(params); }

static int open_masks(MuseGrammar *g, size_t bytes, MuseError *err)
{
    const MuseAllocator *a = &g->rt->alloc;
    MuseMasks *m = g->masks = muse_zalloc(a, sizeof *m);
    if (!m) return MUSE_NOMEM(err, sizeof *m);
    m->words = (g->trie->vocab + 63) / 64;
    const size_t n = bytes / (m->words * sizeof *m->bits), states = g->automaton.n_states - 1;
    m->n = (uint32_t)(n < states ? n : states);
    m->outs_cap = g->automaton.chain ? (uint32_t)(bytes / 64 < 1u << 24 ? bytes / 64 : 1u << 24) : 0;   /* a sixteenth of the bytes */
    m->of_state = muse_zalloc_array(a, g->automaton.n_states, sizeof *m->of_state);
    m->bits = muse_alloc_array(a, (size_t)m->n * m->words, sizeof *m->bits);
    m->about = muse_alloc_array(a, m->n, sizeof *m->about);
    m->outs = muse_alloc_array(a, m->outs_cap, sizeof *m->outs);
    if (!m->of_state || (m->n && (!m->bits || !m->about)) || (m->outs_cap && !m->outs)) return MUSE_NOMEM(err, bytes);
    return 0;
}

static int copy_ends(MuseGrammar *g, const MuseTextTokenizer *tok, const MuseGrammarParams *p, MuseError *err)
{
    MuseTextInfo info = { 0 };
    muse_text_info(tok, &info);
    const int32_t *ids = p->n_end ? p->end_ids : &info.eos;
    const size_t n = p->n_end ? p->n_end : info.eos >= 0;
    if (n > END_IDS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "%zu end ids, at most %d", n, END_IDS_MAX);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0) return muse_fail(err, MUSE_ERR_ARG, "end id %d is negative", ids[i]);
    if (!n) return 0;
    g->end_ids = muse_alloc_array(&g->rt->alloc, n, sizeof *ids);
    if (!g->end_ids) return MUSE_NOMEM(err, n * sizeof *ids);
    memcpy(g->end_ids, ids, n * sizeof *ids);
    g->n_end = n;
    return 0;
}

static int compile(MuseGrammar *g, MuseGrammarWrite *write, const void *source, size_t n, unsigned space, int mark, MuseError *err)
{
    bool usable[256];
    MuseNfa *f = muse_zalloc(&g->rt->alloc, sizeof *f);
    if (!f) return MUSE_NOMEM(err, sizeof *f);
    f->alloc = f->nodes.alloc = &g->rt->alloc;
    f->err = err;
    memcpy(usable, g->trie->has, sizeof usable);
    if (mark >= 0) usable[mark] = true;
    int rc = write(f, source, n, space);
    if (rc == 0) rc = muse_automaton_open(&g->automaton, f->alloc, f, usable, err);
    g->n_rules = f->n_rules - (f->n_rules > 0);
    muse_nfa_close(f);
    muse_free(f);
    return rc;
}

static int fill(MuseGrammar *g, const MuseTextTokenizer *tok, MuseGrammarWrite *write, const void *source, size_t n, int mark, const MuseGrammarParams *params, MuseError *err)
{
    MuseGrammarParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseGrammarParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.space <= MUSE_GRAMMAR_FREE && (p.end_ids || !p.n_end));
    if ((rc = copy_ends(g, tok, &p, err)) < 0) return rc;
    if ((rc = muse_token_trie_of(&g->trie, tok, err)) < 0) return rc;
    if ((rc = compile(g, write, source, n, p.space, mark, err)) < 0) return rc;
    for (uint32_t i = 1; i < g->automaton.n_states; i++) {
        const uint32_t need = g->automaton.states[i].need;
        if (need <= MUSE_GRAMMAR_DEPTH_MAX && need > g->need_max) g->need_max = need;
    }
    return open_masks(g, p.mask_bytes ? p.mask_bytes : MASK_BYTES, err);
}

int muse_grammar_open_written(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, MuseGrammarWrite *write, const void *source, size_t n,
                              int mark, const MuseGrammarParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, tok && (source || !n));
    rt = muse_runtime_ref(rt);
    if (!rt) return MUSE_NOMEM(err, sizeof *rt);
    MuseGrammar *g = muse_zalloc(&rt->alloc, sizeof *g);
    if (!g) {
        muse_runtime_close(&rt);
        return MUSE_NOMEM(err, sizeof *g);
    }
    g->rt = rt;
    int rc = fill(g, tok, write, source, n, mark, params, err);
    if (rc < 0) muse_grammar_close(&g);
    *out = g;
    return rc;
}

void muse_grammar_close(MuseGrammar **grammar)
{
    if (!grammar || !*grammar) return;
    MuseGrammar *g = *grammar;
    MuseRuntime *rt = g->rt;
    if (g->masks) {
        muse_free(g->masks->of_state);
        muse_free(g->masks->bits);
        muse_free(g->masks->about);
        muse_free(g->masks->outs);
        muse_free(g->masks);
    }
    muse_automaton_close(&g->automaton);
    muse_token_trie_close(g->trie);
    muse_free(g->end_ids);
    muse_free(g);
    muse_runtime_close(&rt);
    *grammar = NULL;
}

static int write_regex(MuseNfa *f, const void *source, size_t n, unsigned space)
{
    (void)space;
    MuseFrag body = muse_nfa_regex(f, source, n, MUSE_SPELL_UTF8, false);
    f->n_rules = 1;
    muse_nfa_rule(f, 0, body);
    return f->rc;
}

typedef struct Choices { const char *const *strings; const size_t *sizes; } Choices;

static int write_choices(MuseNfa *f, const void *source, size_t n, unsigned space)
{
    const Choices *c = source;
    (void)space;
    MuseFrag choice = muse_nfa_choice(f);
    for (size_t i = 0; i < n && f->rc == 0; i++) muse_nfa_branch(f, &choice, muse_nfa_text(f, c->strings[i], c->sizes[i]));
    f->n_rules = 1;
    muse_nfa_rule(f, 0, choice);
    return f->rc;
}

int muse_grammar_open_regex(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *pattern, size_t n,
                            const MuseGrammarParams *params, MuseError *err)
{
    return muse_grammar_open_written(out, rt, tok, write_regex, pattern, n, -1, params, err);
}

int muse_grammar_open_schema(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *schema, size_t n,
                             const MuseGrammarParams *params, MuseError *err)
{
    return muse_grammar_open_written(out, rt, tok, muse_schema_write, schema, n, -1, params, err);
}

int muse_grammar_open_json(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const MuseGrammarParams *params, MuseError *err)
{
    return muse_grammar_open_written(out, rt, tok, muse_schema_write, "true", 4, -1, params, err);
}

int muse_grammar_open_choices(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *const *strings, const size_t *sizes,
                              size_t n, const MuseGrammarParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, strings && sizes && n);
    for (size_t i = 0; i < n; i++) MUSE_REQUIRE(err, strings[i] || !sizes[i]);
    const Choices choices = { strings, sizes };
    return muse_grammar_open_written(out, rt, tok, write_choices, &choices, n, -1, params, err);
}

void muse_cursor_start(MuseCursor *c, const MuseGrammar *g)
{
    c->state = g->automaton.start;
    c->depth = 0;
    c->ended = false;
}

/* may the text end here; busy: also, is there a way to go on */
static bool at_end(const MuseCursor *c, const MuseGrammar *g, bool *busy)
{
    const MuseAutomaton *a = &g->automaton;
    uint32_t state = c->state;
    *busy = false;
    for (uint32_t depth = c->depth;; state = c->stack[--depth]) {
        if (!a->states[state].accept) return false;
        if (a->states[state].call) *busy = true;
        for (uint32_t i = 0; i < a->n_classes; i++)
            if (a->next[(size_t)state * a->n_classes + i]) *busy = true;
        if (!depth) return true;
    }
}

bool muse_cursor_can_end(const MuseCursor *c, const MuseGrammar *g)
{
    bool busy;
    return c->ended || at_end(c, g, &busy);
}

bool muse_cursor_must_end(const MuseCursor *c, const MuseGrammar *g)
{
    bool busy;
    return c->ended || (at_end(c, g, &busy) && !busy);
}

size_t muse_cursor_bytes(MuseCursor *c, const MuseGrammar *g, const uint8_t *bytes, size_t n)
{
    MusePush pushed[MUSE_CHAIN_MAX + 1];
    for (size_t i = 0; i < n; i++) {
        MusePlaces s = { .stack = c->stack, .pushed = pushed };
        MusePlace p = { c->state, c->depth, 0, c->depth };
        if (muse_automaton_step(&g->automaton, &s, &p, bytes[i]) != MUSE_STEP_YES) return i;
        uint32_t at = p.depth;
        for (uint32_t top = p.top; top; top = pushed[top - 1].under) c->stack[--at] = pushed[top - 1].back;
        c->state = p.state;
        c->depth = p.depth;
    }
    return n;
}

int muse_grammar_match(const MuseGrammar *g, const char *text, size_t n)
{
    MuseCursor c;
    if (!g || (!text && n)) return MUSE_ERR_ARG;
    muse_cursor_start(&c, g);
    if (muse_cursor_bytes(&c, g, (const uint8_t *)text, n) < n) return MUSE_ERR_NOT_FOUND;
    return muse_cursor_can_end(&c, g) ? MUSE_OK : MUSE_AGAIN;
}

int muse_grammar_info(const MuseGrammar *g, MuseGrammarInfo *out)
{
    if (!g || !out) return MUSE_ERR_ARG;
    const MuseMasks *m = g->masks;
    const void *const blocks[] = { m->of_state, m->bits, m->about, m->outs, g->automaton.next, g->automaton.states, g->end_ids, m, g };
    *out = (MuseGrammarInfo){ .n_states = g->automaton.n_states - 1, .n_rules = g->n_rules, .n_masks = atomic_load(&m->used), .masks_max = m->n };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) out->memory_bytes += muse_alloc_size(blocks[i]);
    return 0;
}
