/* SPDX-License-Identifier: Apache-2.0 */
/* MuseSampler: from a row of logits to the next token. Edits a copy of the row (penalties, suppress, grammar), then chooses. All
 * memory is taken at open. The arithmetic is in filter.c, the grammar's part in mask.c. Called by users and the driver. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/params.h"
#include "libmuse/sample/filter.h"
#include "libmuse/sample/mask.h"
#include "libmuse/sample/sampler.h"

enum { VOCAB_MAX = 1 << 24, LAST_MAX = 1 << 24 };
static const uint32_t listed = UINT32_C(1) << 31;   /* in counts: the id is in seen_ids */
/* top_p without top_k looks among so many first */
enum { LIKELY = 512 };

struct MuseSampler {
    MuseRuntime *rt;
    MuseSampleParams p;
    uint32_t   V;
    MuseArena  arena;
    float     *work, *maxima, *scratch;   /* [V] the edited row, NULL if nothing edits; [blocks] each */
    double    *sums;                      /* [blocks] */
    MuseCand  *cands;                     /* [V], NULL if greedy */
    uint64_t  *mask;                      /* [words] of both vocabularies, NULL without grammar */
    int32_t   *suppress;
    uint32_t  *counts, *seen_ids;         /* [V] times an id was seen, with `listed`; the ids; NULL without penalties */
    int32_t   *last;                      /* [penalty_last] ring */
    size_t     n_seen, n_last, last_at;
    MuseWalk   walk;
    MuseCursor cursor;
    uint64_t   picks;
};

void muse_sample_params_init(MuseSampleParams *params) { MUSE_PARAMS_INIT(params); }

uint32_t muse_sampler_vocab(const MuseSampler *s) { return s->V; }
bool muse_sampler_ended(const MuseSampler *s) { return s->p.grammar && s->cursor.ended; }

static bool within(float x, float lo, float hi) { return x >= lo && x <= hi; }

static int check_params(MuseSampler *s, MuseError *err)
{
    MuseSampleParams *p = &s->p;
    MUSE_REQUIRE(err, p->temperature == 0 || within(p->temperature, 1e-6f, 1e6f));
    MUSE_REQUIRE(err, within(p->top_p, 0, 1));
    MUSE_REQUIRE(err, within(p->min_p, 0, 1));
    MUSE_REQUIRE(err, within(p->repetition, 0, 1e6f));
    MUSE_REQUIRE(err, within(p->presence, -1e6f, 1e6f) && within(p->frequency, -1e6f, 1e6f));
    MUSE_REQUIRE(err, p->penalty_last <= LAST_MAX);
    MUSE_REQUIRE(err, (p->suppress || !p->n_suppress) && p->n_suppress <= VOCAB_MAX);
    for (size_t i = 0; i < p->n_suppress; i++)
        if (p->suppress[i] < 0 || (uint32_t)p->suppress[i] >= s->V)
            return muse_fail(err, MUSE_ERR_ARG, "suppressed id %d is not in 0 .. %u", p->suppress[i], s->V - 1);
    if (p->repetition == 0) p->repetition = 1;
    if (p->top_p == 0) p->top_p = 1;
    return 0;
}

static bool penalizes(const MuseSampler *s) { return s->p.repetition != 1 || s->p.presence != 0 || s->p.frequency != 0; }

static size_t mask_words(const MuseSampler *s)
{
    const size_t own = muse_row_blocks(s->V), other = s->p.grammar->masks->words;
    return own > other ? own : other;
}

/* take == NULL: only plan */
static void *place(MuseArenaPlan *plan, MuseArena *take, size_t n, size_t bytes)
{
    if (!n) return NULL;
    if (take) return muse_arena_take(take, n, bytes);
    muse_arena_plan(plan, n, bytes);
    return NULL;
}

static void lay_out(MuseSampler *s, MuseArenaPlan *plan, MuseArena *take)
{
    const size_t V = s->V, blocks = muse_row_blocks(V);
    const bool penalty = penalizes(s), edits = penalty || s->p.n_suppress || s->p.grammar, chance = s->p.temperature > 0;
    s->work = place(plan, take, edits ? V : 0, sizeof *s->work);
    s->maxima = place(plan, take, blocks, sizeof *s->maxima);
    s->scratch = place(plan, take, chance ? blocks : 0, sizeof *s->scratch);
    s->sums = place(plan, take, chance ? blocks : 0, sizeof *s->sums);
    s->cands = place(plan, take, chance ? V : 0, sizeof *s->cands);
    s->mask = place(plan, take, s->p.grammar ? mask_words(s) : 0, sizeof *s->mask);
    s->suppress = place(plan, take, s->p.n_suppress, sizeof *s->suppress);
    s->counts = place(plan, take, penalty ? V : 0, sizeof *s->counts);
    s->seen_ids = place(plan, take, penalty ? V : 0, sizeof *s->seen_ids);
    s->last = place(plan, take, penalty ? s->p.penalty_last : 0, sizeof *s->last);
}

/* s->p is set, its suppress list still the caller's */
static int fill(MuseSampler *s, MuseError *err)
{
    MuseArenaPlan plan = { 0 };
    int rc = check_params(s, err);
    if (rc < 0) return rc;
    lay_out(s, &plan, NULL);
    if (muse_arena_open(&s->arena, &s->rt->alloc, &plan) < 0) return MUSE_NOMEM(err, plan.bytes);
    lay_out(s, NULL, &s->arena);
    if (s->p.n_suppress) memcpy(s->suppress, s->p.suppress, s->p.n_suppress * sizeof *s->suppress);
    s->p.suppress = s->suppress;
    if (s->p.grammar && muse_walk_open(&s->walk, &s->rt->alloc, s->p.grammar) < 0) return MUSE_NOMEM(err, sizeof s->walk);
    return 0;
}

static int start(MuseSampler **out, MuseRuntime *rt, uint32_t vocab, const MuseSampleParams *p, MuseError *err)
{
    rt = muse_runtime_ref(rt);
    if (!rt) return MUSE_NOMEM(err, sizeof *rt);
    MuseSampler *s = muse_zalloc(&rt->alloc, sizeof *s);
    if (!s) {
        muse_runtime_close(&rt);
        return MUSE_NOMEM(err, sizeof *s);
    }
    s->rt = rt;
    s->V = vocab;
    s->p = *p;
    int rc = fill(s, err);
    if (rc < 0) muse_sampler_close(&s);
    *out = s;
    return rc;
}

int muse_sampler_open(MuseSampler **out, MuseRuntime *rt, uint32_t vocab, const MuseSampleParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, vocab >= 1 && vocab <= VOCAB_MAX);
    MuseSampleParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseSampleParams", err);
    if (rc == 0) rc = start(out, rt, vocab, &p, err);
    if (rc == 0) muse_sampler_reset(*out);
    return rc;
}

int muse_sampler_copy(MuseSampler **out, const MuseSampler *s, uint64_t seed, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, s);
    MuseSampleParams p = s->p;
    p.seed = seed;
    MuseSampler *c;
    int rc = start(&c, s->rt, s->V, &p, err);
    if (rc < 0) return rc;
    c->cursor = s->cursor;
    c->picks = s->picks;
    c->n_seen = s->n_seen;
    c->n_last = s->n_last;
    c->last_at = s->last_at;
    if (s->counts) {
        memcpy(c->counts, s->counts, s->V * sizeof *s->counts);
        memcpy(c->seen_ids, s->seen_ids, s->n_seen * sizeof *s->seen_ids);
    }
    if (s->last) memcpy(c->last, s->last, s->n_last * sizeof *s->last);
    *out = c;
    return 0;
}

void muse_sampler_close(MuseSampler **sampler)
{
    if (!sampler || !*sampler) return;
    MuseSampler *s = *sampler;
    MuseRuntime *rt = s->rt;
    muse_walk_close(&s->walk);
    muse_arena_close(&s->arena);
    muse_free(s);
    muse_runtime_close(&rt);
    *sampler = NULL;
}

void muse_sampler_reset(MuseSampler *s)
{
    if (!s) return;
    if (s->counts) memset(s->counts, 0, s->V * sizeof *s->counts);
    s->n_seen = s->n_last = s->last_at = 0;
    s->picks = 0;
    if (s->p.grammar) muse_cursor_start(&s->cursor, s->p.grammar);
}

/* the penalties see an id; ids outside the row only take a place among the last */
static void see(MuseSampler *s, int32_t id)
{
    if (!s->counts) return;
    if (s->last) {
        const int32_t gone = s->last[s->last_at];
        if (s->n_last == s->p.penalty_last && gone >= 0 && (uint32_t)gone < s->V) s->counts[gone]--;
        s->last[s->last_at] = id;
        s->last_at = (s->last_at + 1) % s->p.penalty_last;
        s->n_last += s->n_last < s->p.penalty_last;
    }
    if (id < 0 || (uint32_t)id >= s->V) return;
    if (!(s->counts[id] & listed)) {
        s->counts[id] |= listed;
        s->seen_ids[s->n_seen++] = (uint32_t)id;
    }
    if ((s->counts[id] & ~listed) < listed - 1) s->counts[id]++;
}

int muse_sampler_observe(MuseSampler *s, const int32_t *ids, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, s && (ids || !n));
    for (size_t i = 0; i < n; i++) see(s, ids[i]);
    return 0;
}

static bool is_end(const MuseGrammar *g, int32_t id)
{
    for (size_t i = 0; i < g->n_end; i++)
        if (g->end_ids[i] == id) return true;
    return false;
}

/* the grammar goes on by a token; false: not allowed, nothing has changed */
static bool follow(MuseSampler *s, int32_t id)
{
    const MuseGrammar *g = s->p.grammar;
    const MuseTokenTrie *t = g->trie;
    if (s->cursor.ended) return false;
    if (is_end(g, id) && muse_cursor_can_end(&s->cursor, g)) {
        s->cursor.ended = true;
        return true;
    }
    const uint32_t n = (uint32_t)id < t->vocab ? t->text_at[id + 1] - t->text_at[id] : 0;
    MuseCursor next = s->cursor;
    if (!n || muse_cursor_bytes(&next, g, t->text + t->text_at[id], n) < n) return false;
    s->cursor = next;
    return true;
}

int muse_sampler_accept(MuseSampler *s, int32_t id, MuseError *err)
{
    MUSE_REQUIRE(err, s);
    if (id < 0 || (uint32_t)id >= s->V) return muse_fail(err, MUSE_ERR_ARG, "token id %d is not in 0 .. %u", id, s->V - 1);
    if (s->p.grammar && !follow(s, id)) return muse_fail(err, MUSE_ERR_STATE, "the grammar does not allow token %d here", id);
    see(s, id);
    return 0;
}

int muse_sampler_can_end(const MuseSampler *s) { return s && (!s->p.grammar || muse_cursor_can_end(&s->cursor, s->p.grammar)); }
int muse_sampler_must_end(const MuseSampler *s) { return s && s->p.grammar && muse_cursor_must_end(&s->cursor, s->p.grammar); }

/* ids seen, in place; those that left the last ones leave the list */
static void penalize(MuseSampler *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_seen; i++) {
        const uint32_t id = s->seen_ids[i], count = s->counts[id] & ~listed;
        if (!count) {
            s->counts[id] = 0;
            continue;
        }
        float *x = &s->work[id];
        s->seen_ids[kept++] = id;
        *x = *x > 0 ? *x / s->p.repetition : *x * s->p.repetition;
        *x -= s->p.presence + s->p.frequency * (float)count;
    }
    s->n_seen = kept;
}

/* logits whose bit is not set become -inf. Four at a time by a table, which needs no shifts by lane. */
static void apply_mask(float *x, const uint64_t *mask, size_t V)
{
    static const float all_out[4] = { -INFINITY, -INFINITY, -INFINITY, -INFINITY };
    for (size_t at = 0, b = 0; at < V; at += MUSE_ROW_BLOCK, b++) {
        const uint64_t word = mask[b];
        const size_t n = V - at < MUSE_ROW_BLOCK ? V - at : MUSE_ROW_BLOCK;
        if (word == UINT64_MAX) continue;
        if (word == 0) {
            for (size_t j = 0; j + 4 <= n; j += 4) memcpy(x + at + j, all_out, sizeof all_out);
            for (size_t j = n & ~(size_t)3; j < n; j++) x[at + j] = -INFINITY;
            continue;
        }
        for (size_t j = 0; j < n; j++) x[at + j] = word >> j & 1 ? x[at + j] : -INFINITY;
    }
}

/* the row after penalties, suppress and grammar into work */
static int edit(MuseSampler *s, const float *logits, MuseError *err)
{
    const MuseGrammar *g = s->p.grammar;
    if (g && s->cursor.ended) return muse_fail(err, MUSE_ERR_STATE, "the grammar's text has ended");
    memcpy(s->work, logits, s->V * sizeof *s->work);
    if (s->counts) penalize(s);
    for (size_t i = 0; i < s->p.n_suppress; i++) s->work[s->suppress[i]] = -INFINITY;
    if (!g) return 0;
    memset(s->mask, 0, mask_words(s) * sizeof *s->mask);
    muse_grammar_mask(g, &s->cursor, &s->walk, s->mask);
    if (muse_cursor_can_end(&s->cursor, g))
        for (size_t i = 0; i < g->n_end; i++)
            if ((uint32_t)g->end_ids[i] < s->V) s->mask[g->end_ids[i] / 64] |= UINT64_C(1) << g->end_ids[i] % 64;
    apply_mask(s->work, s->mask, s->V);
    return 0;
}

static uint32_t first_equal(const MuseSampler *s, const float *x, float high)
{
    uint32_t i = 0;
    while (s->maxima[i / MUSE_ROW_BLOCK] != high) i += MUSE_ROW_BLOCK;
    while (x[i] != high) i++;
    return i;
}

typedef struct Chosen { uint32_t id; double p; } Chosen;   /* p: normalised */

static double mass_of(const MuseCand *c, size_t n)
{
    double mass = 0;
    for (size_t i = 0; i < n; i++) mass += c[i].p;
    return mass;
}

/* chance among all: the block first, then inside it. The last one with weight is taken should rounding eat the rest. */
static Chosen draw_all(const MuseSampler *s, const float *x, float high, float scale, double u)
{
    const double total = muse_row_sum_exp(x, s->V, high, scale, s->sums);
    double left = u * total;
    size_t block = 0;
    for (size_t b = 0; b < muse_row_blocks(s->V); b++) {
        if (s->sums[b] == 0) continue;
        block = b;
        if (left < s->sums[b]) break;
        left -= s->sums[b];
    }
    Chosen got = { 0, 0 };
    for (size_t i = block * MUSE_ROW_BLOCK; i < s->V && i < (block + 1) * MUSE_ROW_BLOCK; i++) {
        const double p = muse_row_exp((x[i] - high) * scale);
        if (p == 0) continue;
        got = (Chosen){ (uint32_t)i, p / total };
        left -= p;
        if (left < 0) break;
    }
    return got;
}

static Chosen draw(const MuseCand *c, size_t n, double u)
{
    const double total = mass_of(c, n);
    double left = u * total;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].p == 0) continue;
        at = i;   /* the last one with weight, should rounding eat the rest */
        left -= c[i].p;
        if (left < 0) break;
    }
    return (Chosen){ c[at].id, c[at].p / total };
}

/* candidates for top_p without top_k: the likely ones if they suffice, else all */
static size_t gather_mass(MuseSampler *s, const float *x, float high, float scale, double target)
{
    size_t n = muse_cand_gather(s->cands, x, s->V, s->maxima, muse_row_floor(s->maxima, muse_row_blocks(s->V), LIKELY, s->scratch));
    if (muse_cand_weigh(s->cands, n, high, scale) >= target) return n;
    n = muse_cand_gather(s->cands, x, s->V, s->maxima, -INFINITY);
    muse_cand_weigh(s->cands, n, high, scale);
    return n;
}

/* steps 3 to 7 of the public header; high is the highest of x */
static Chosen choose(MuseSampler *s, const float *x, float high)
{
    const MuseSampleParams *p = &s->p;
    if (p->temperature == 0) return (Chosen){ first_equal(s, x, high), 1 };
    const float scale = 1.0f / p->temperature;
    const double u = muse_uniform(p->seed, s->picks);
    const bool k = p->top_k && p->top_k < s->V;
    size_t n;
    if (k) {
        n = muse_cand_gather(s->cands, x, s->V, s->maxima, muse_row_floor(s->maxima, muse_row_blocks(s->V), p->top_k, s->scratch));
        n = muse_cand_keep(s->cands, n, p->top_k);   /* each weighs 1 */
        const double mass = muse_cand_weigh(s->cands, n, high, scale);
        if (p->top_p < 1) n = muse_cand_keep(s->cands, n, p->top_p * mass);
    } else if (p->top_p < 1) {
        const double target = p->top_p * muse_row_sum_exp(x, s->V, high, scale, NULL);
        n = gather_mass(s, x, high, scale, target);
        n = muse_cand_keep(s->cands, n, target);
    } else if (p->min_p > 0) {
        n = muse_cand_gather(s->cands, x, s->V, s->maxima, high + logf(p->min_p) * p->temperature * 1.001f - 1e-3f);   /* a little more than needed */
        muse_cand_weigh(s->cands, n, high, scale);
    } else {
        return draw_all(s, x, high, scale, u);
    }
    if (p->min_p > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (s->cands[i].p >= p->min_p) s->cands[kept++] = s->cands[i];   /* the highest has 1 */
        n = kept;
    }
    return draw(s->cands, n, u);
}

static int refuse(const float *logits, uint32_t V, MuseError *err)
{
    for (uint32_t i = 0; i < V; i++)
        if (!(logits[i] <= FLT_MAX)) return muse_fail(err, MUSE_ERR_STATE, "logit %u is %s", i, isnan(logits[i]) ? "not a number" : "infinite");
    return muse_fail(err, MUSE_ERR_STATE, "all %u logits are -inf", V);
}

int muse_sampler_pick(MuseSampler *s, const float *logits, MuseSampled *out, MuseError *err)
{
    float top, high;
    MUSE_REQUIRE(err, s && logits && out);
    if (!muse_row_max(logits, s->V, s->maxima, &top) || top == -INFINITY) return refuse(logits, s->V, err);
    const float *x = logits;
    high = top;
    if (s->work) {
        int rc = edit(s, logits, err);
        if (rc < 0) return rc;
        x = s->work;
        if (!muse_row_max(x, s->V, s->maxima, &high)) return muse_fail(err, MUSE_ERR_STATE, "a logit is beyond the numbers after penalties");
        if (high == -INFINITY) return muse_fail(err, MUSE_ERR_STATE, "no token is left: %s", s->p.grammar ? "none that the grammar allows has a probability and is not suppressed" : "all are suppressed");
    }
    const Chosen got = choose(s, x, high);
    const double lse = (double)top + log(muse_row_sum_exp(logits, s->V, top, 1.0f, NULL));
    *out = (MuseSampled){ (int32_t)got.id, (float)((double)logits[got.id] - lse), (float)log(got.p) };
    s->picks++;
    return 0;
}
