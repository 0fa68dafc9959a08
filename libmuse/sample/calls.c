/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of tools as a grammar: their names, and arguments in the syntax of the format. A token that marks the ends of a string is a byte here that no UTF-8 holds.
 * Decides nothing of what a call means. Called by libmuse/reason. */
#include "libmuse/sample/calls.h"

#include <math.h>
#include <string.h>

#include "libmuse/sample/mask.h"
#include "libmuse/sample/schema.h"

/* CONTAINER: the rule for an object or a list inside a value. MASK_BYTES: 256 states of a vocabulary of 256 Ki, more than a few calls meet */
enum { MARK = 0xff, CONTAINER = 1, MASK_BYTES = 8 << 20 };

struct MuseCallGrammar {
    MuseGrammar *grammar;
    MuseWalk  walk;
    uint64_t *mask;        /* [words] */
    uint32_t *never;       /* [n_never] tokens that hold MARK as a byte */
    size_t    n_never;
    int32_t   end, mark;
};

/* ---- arguments ---- */

typedef struct Writer {
    MuseNfa *f;
    MuseSet *set;          /* scratch */
    bool     json;
} Writer;

static MuseFrag text(const Writer *w, const char *t) { return muse_nfa_text(w->f, t, strlen(t)); }

/* so many characters, none of these (NULL: any of UTF-8) */
static MuseFrag characters(const Writer *w, const char *without, uint32_t min)
{
    *w->set = (MuseSet){ 0 };
    if (without) {
        muse_set_add(w->set, 0, ' ');
        muse_set_add(w->set, 0x7f, 0x7f);
    }
    for (; without && *without; without++) muse_set_add(w->set, (uint8_t)*without, (uint8_t)*without);
    muse_set_sort(w->set);
    muse_set_invert(w->set);
    return muse_nfa_repeat(w->f, muse_nfa_set(w->f, w->set, MUSE_SPELL_UTF8), min, UINT32_MAX);
}

static MuseFrag string(const Writer *w)
{
    if (w->json) return muse_json_string(w->f, 0, UINT32_MAX);
    MuseFrag all = muse_nfa_bytes(w->f, MARK, MARK);
    all = muse_nfa_cat(w->f, all, characters(w, NULL, 0));
    return muse_nfa_cat(w->f, all, muse_nfa_bytes(w->f, MARK, MARK));
}

static MuseFrag value(const Writer *w)
{
    static const char *const words[] = { "true", "false", "null" };
    MuseFrag choice = muse_nfa_choice(w->f);
    for (size_t i = 0; i < 3; i++) muse_nfa_branch(w->f, &choice, text(w, words[i]));
    muse_nfa_branch(w->f, &choice, muse_json_number(w->f));
    muse_nfa_branch(w->f, &choice, string(w));
    muse_nfa_branch(w->f, &choice, muse_nfa_call(w->f, CONTAINER));
    return choice;
}

/* key:value of an object, or a value of a list */
static MuseFrag member(const Writer *w, bool object)
{
    if (!object) return value(w);
    MuseFrag all = w->json ? string(w) : characters(w, ":,{}[]\"<", 1);
    all = muse_nfa_cat(w->f, all, text(w, w->json ? ": " : ":"));
    return muse_nfa_cat(w->f, all, value(w));
}

static MuseFrag members(const Writer *w, bool object)
{
    MuseFrag all = text(w, object ? "{" : "["), some = muse_nfa_choice(w->f);
    muse_nfa_branch(w->f, &some, muse_nfa_empty(w->f));
    MuseFrag list = member(w, object), more = text(w, w->json ? ", " : ",");
    more = muse_nfa_cat(w->f, more, member(w, object));
    list = muse_nfa_cat(w->f, list, muse_nfa_repeat(w->f, more, 0, UINT32_MAX));
    muse_nfa_branch(w->f, &some, list);
    all = muse_nfa_cat(w->f, all, some);
    return muse_nfa_cat(w->f, all, text(w, object ? "}" : "]"));
}

/* ---- calls ---- */

/* names and what stands between a name and its arguments */
static MuseFrag named(const Writer *w, const char *name)
{
    MuseFrag all = text(w, name);
    return w->json ? muse_nfa_cat(w->f, all, text(w, "\", \"arguments\": ")) : all;
}

static MuseFrag calls(const Writer *w, const MuseCallRule *rules, size_t n)
{
    MuseFrag all = muse_nfa_choice(w->f), any = muse_nfa_choice(w->f);
    size_t n_any = 0;
    for (size_t i = 0; i < n && w->f->rc == 0; i++)
        if (!rules[i].arguments) muse_nfa_branch(w->f, &any, named(w, rules[i].name)), n_any++;
    if (n_any) muse_nfa_branch(w->f, &all, muse_nfa_cat(w->f, any, members(w, true)));   /* one copy for all names */
    for (size_t i = 0; i < n && w->f->rc == 0; i++) {
        if (!rules[i].arguments) continue;
        MuseFrag one = named(w, rules[i].name);
        one = muse_nfa_cat(w->f, one, muse_nfa_regex(w->f, rules[i].arguments, strlen(rules[i].arguments), MUSE_SPELL_UTF8, false));
        muse_nfa_branch(w->f, &all, one);
    }
    return all;
}

/* a line's end, or none */
static MuseFrag line_end(const Writer *w)
{
    MuseFrag choice = muse_nfa_choice(w->f);
    muse_nfa_branch(w->f, &choice, muse_nfa_empty(w->f));
    muse_nfa_branch(w->f, &choice, text(w, "\n"));
    return choice;
}

static int write_calls(MuseNfa *f, const void *source, size_t n, unsigned space)
{
    const MuseCallParams *p = source;
    Writer w = { .f = f, .set = muse_alloc(f->alloc, sizeof *w.set), .json = p->mark < 0 };
    (void)n, (void)space;
    if (!w.set) return muse_nfa_fail(f, MUSE_ERR_NOMEM, "no memory for a set of characters");
    MuseFrag all = w.json ? line_end(&w) : muse_nfa_empty(f);
    all = muse_nfa_cat(f, all, text(&w, w.json ? "{\"name\": \"" : "call:"));
    all = muse_nfa_cat(f, all, calls(&w, p->rules, p->n));
    if (w.json) {
        all = muse_nfa_cat(f, all, text(&w, "}"));
        all = muse_nfa_cat(f, all, line_end(&w));
    }
    f->n_rules = 2;
    muse_nfa_rule(f, 0, all);
    MuseFrag both = muse_nfa_choice(f);
    muse_nfa_branch(f, &both, members(&w, true));
    muse_nfa_branch(f, &both, members(&w, false));
    muse_nfa_rule(f, CONTAINER, both);
    muse_free(w.set);
    return f->rc;
}

/* ---- the handle ---- */

static bool holds_mark(const MuseTokenTrie *t, uint32_t id) { return memchr(t->text + t->text_at[id], MARK, t->text_at[id + 1] - t->text_at[id]) != NULL; }

static int find_never(MuseCallGrammar *g, const MuseAllocator *alloc, MuseError *err)
{
    const MuseTokenTrie *t = g->grammar->trie;
    for (int fill = 0; fill < 2; fill++) {
        size_t n = 0;
        for (uint32_t id = 0; id < t->vocab; id++) {
            if (!holds_mark(t, id)) continue;
            if (fill) g->never[n] = id;
            n++;
        }
        g->n_never = n;
        if (!fill && n && !(g->never = muse_alloc_array(alloc, n, sizeof *g->never))) return MUSE_NOMEM(err, n * sizeof *g->never);
        if (!n) break;
    }
    return 0;
}

int muse_call_grammar_open(MuseCallGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const MuseCallParams *p, MuseError *err)
{
    const MuseAllocator *alloc = &rt->alloc;
    MuseGrammarParams params;
    MuseCallGrammar *g = muse_zalloc(alloc, sizeof *g);
    *out = NULL;
    if (!g) return MUSE_NOMEM(err, sizeof *g);
    muse_grammar_params_init(&params);
    params.end_ids = &p->end;
    params.n_end = 1;
    params.mask_bytes = MASK_BYTES;
    g->end = p->end;
    g->mark = p->mark;
    int rc = muse_grammar_open_written(&g->grammar, rt, tok, write_calls, p, p->n, MARK, &params, err);
    if (rc < 0) goto fail;
    const size_t words = g->grammar->masks->words;
    g->mask = muse_alloc_array(alloc, words, sizeof *g->mask);
    rc = g->mask && muse_walk_open(&g->walk, alloc, g->grammar) == 0 ? find_never(g, alloc, err) : MUSE_NOMEM(err, words * sizeof *g->mask);
    if (rc < 0) goto fail;
    *out = g;
    return 0;
fail:
    muse_call_grammar_close(&g);
    return rc;
}

void muse_call_grammar_close(MuseCallGrammar **grammar)
{
    if (!grammar || !*grammar) return;
    MuseCallGrammar *g = *grammar;
    muse_walk_close(&g->walk);
    muse_grammar_close(&g->grammar);
    muse_free(g->mask);
    muse_free(g->never);
    muse_free(g);
    *grammar = NULL;
}

int muse_call_start(const MuseCallGrammar *g, MuseCursor **at, MuseError *err)
{
    if (!*at) *at = muse_alloc(&g->grammar->rt->alloc, sizeof **at);
    if (!*at) return MUSE_NOMEM(err, sizeof **at);
    muse_cursor_start(*at, g->grammar);
    return 0;
}

static bool takes_mark(const MuseCallGrammar *g, MuseCursor *at)
{
    static const uint8_t byte = MARK;
    return muse_cursor_bytes(at, g->grammar, &byte, 1) == 1;
}

bool muse_call_mask(MuseCallGrammar *g, const MuseCursor *at, float *logits, uint32_t V)
{
    MuseCursor next = *at;
    const uint32_t known = g->grammar->trie->vocab;
    const bool can_end = !at->ended && muse_cursor_can_end(at, g->grammar), can_mark = g->mark >= 0 && takes_mark(g, &next);
    bool any = false;
    if (at->ended) return false;
    muse_grammar_mask(g->grammar, at, &g->walk, g->mask);
    for (size_t i = 0; i < g->n_never; i++) g->mask[g->never[i] / 64] &= ~(UINT64_C(1) << g->never[i] % 64);
    for (int write = 0; write < 2 && (any || !write); write++)   /* first look whether something is left */
        for (uint32_t i = 0; i < V; i++) {
            const bool may = (i < known && (g->mask[i / 64] >> i % 64 & 1)) || (can_end && (int32_t)i == g->end) || (can_mark && (int32_t)i == g->mark);
            if (write && !may) logits[i] = -INFINITY;
            any = any || (may && logits[i] > -INFINITY);
        }
    return any;
}

bool muse_call_follow(const MuseCallGrammar *g, MuseCursor *at, int32_t id)
{
    const MuseTokenTrie *t = g->grammar->trie;
    if (at->ended || id < 0) return false;
    if (id == g->end) return at->ended = muse_cursor_can_end(at, g->grammar);
    if (id == g->mark) return takes_mark(g, at);
    if ((uint32_t)id >= t->vocab || holds_mark(t, (uint32_t)id)) return false;
    const uint32_t n = t->text_at[id + 1] - t->text_at[id];
    return n && muse_cursor_bytes(at, g->grammar, t->text + t->text_at[id], n) == n;
}
