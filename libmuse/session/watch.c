/* SPDX-License-Identifier: Apache-2.0 */
/* Watching a session: which layers, heads and positions, the mean over tokens, a picture's share as a heat map. The weights themselves come
 * from libmuse/decoder/attention.c. Called by run.c after each token, and by programs. */
#include <string.h>

#include "base/params.h"
#include "libmuse/session/session.h"
#include "muse/attention.h"

enum { WEIGHTS_MAX = 1 << 26 };

typedef struct MuseSessionWatch {
    MuseWatch w;
    float    *own;             /* w.weights, if they are not the caller's */
    double   *sum, *mean;      /* [n] */
    uint64_t  tokens, position;
    bool      seen;
} MuseSessionWatch;

void muse_watch_params_init(MuseWatchParams *params) { MUSE_PARAMS_INIT(params); }

MuseWatch *muse_session_watch_of(const MuseSession *s)
{
    if (!s->watch) return NULL;
    s->watch->seen = false;   /* about to be written over; a cancelled step leaves it so */
    return &s->watch->w;
}

static void close_watch(MuseSessionWatch *k)
{
    if (!k) return;
    muse_free(k->w.layer_at);
    muse_free(k->w.head_at);
    muse_free(k->own);
    muse_free(k->sum);
    muse_free(k->mean);
    muse_free(k);
}

void muse_session_watch_close(MuseSession *s)
{
    close_watch(s->watch);
    s->watch = NULL;
}

/* the positions of a picture's span */
static int find_image(const MuseSession *s, uint32_t image, const MuseSpan **out, MuseError *err)
{
    for (size_t k = 0; k < s->seq->n_spans; k++)
        if (s->seq->spans[k].info.modality == MUSE_IMAGE && s->seq->spans[k].info.number == image) {
            *out = &s->seq->spans[k];
            return 0;
        }
    return muse_fail(err, MUSE_ERR_ARG, "attention: the sequence has no picture %u", image);
}

/* list (or 0 .. n - 1 without one) turned round: at[list[i]] = i */
static int turn_round(int32_t *at, size_t room, const uint32_t *list, size_t n, const char *what, MuseError *err)
{
    for (size_t i = 0; i < room; i++) at[i] = -1;
    for (size_t i = 0; i < n; i++) {
        const size_t k = list ? list[i] : i;
        if (k >= room) return muse_fail(err, MUSE_ERR_ARG, "attention: no %s %zu among %zu", what, k, room);
        if (at[k] >= 0) return muse_fail(err, MUSE_ERR_ARG, "attention: %s %zu is given twice", what, k);
        at[k] = (int32_t)i;
    }
    return 0;
}

static int fill_watch(MuseSessionWatch *k, const MuseSession *s, const MuseWatchParams *p, MuseError *err)
{
    const MuseConfig *c = &s->model->config;
    const MuseAllocator *a = &s->seq->rt->alloc;
    MuseWatch *w = &k->w;
    w->n_layers = p->n_layers ? p->n_layers : c->n_layers;
    w->layer_at = muse_alloc_array(a, c->n_layers, sizeof *w->layer_at);
    if (!w->layer_at) return MUSE_NOMEM(err, c->n_layers * sizeof *w->layer_at);
    int rc = turn_round(w->layer_at, c->n_layers, p->n_layers ? p->layers : NULL, w->n_layers, "layer", err);
    if (rc < 0) return rc;
    size_t least = SIZE_MAX, most = 0;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        if (c->layers[i].heads > most) most = c->layers[i].heads;
        if (w->layer_at[i] >= 0 && c->layers[i].heads < least) least = c->layers[i].heads;
    }
    w->n_heads = p->n_heads ? p->n_heads : least;
    w->head_at = muse_alloc_array(a, most, sizeof *w->head_at);
    if (!w->head_at) return MUSE_NOMEM(err, most * sizeof *w->head_at);
    for (size_t i = least; i < most; i++) w->head_at[i] = -1;
    rc = turn_round(w->head_at, least, p->n_heads ? p->heads : NULL, w->n_heads, "head", err);
    if (rc < 0) return rc;
    if (w->n > WEIGHTS_MAX / (w->n_layers * w->n_heads))
        return muse_fail(err, MUSE_ERR_LIMIT, "attention: %zu layers, %zu heads and %zu positions are over 2^26 weights", w->n_layers, w->n_heads, w->n);
    const size_t n_weights = w->n_layers * w->n_heads * w->n;
    if (p->weights && p->n_weights < n_weights) return muse_fail(err, MUSE_ERR_FULL, "attention: %zu weights have no room among %zu", n_weights, p->n_weights);
    if (!p->weights) k->own = muse_zalloc_array(a, n_weights, sizeof *k->own);
    w->weights = p->weights ? p->weights : k->own;
    k->sum = muse_zalloc_array(a, w->n, sizeof *k->sum);
    k->mean = muse_zalloc_array(a, w->n, sizeof *k->mean);
    return w->weights && k->sum && k->mean ? 0 : MUSE_NOMEM(err, n_weights * sizeof *w->weights);
}

int muse_session_watch(MuseSession *s, const MuseWatchParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, s);
    MuseWatchParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseWatchParams", err);
    if (rc < 0) return rc;
    if (!params) {
        muse_session_watch_close(s);
        return 0;
    }
    MUSE_REQUIRE(err, (p.layers || !p.n_layers) && (p.heads || !p.n_heads) && (p.image == 0 || p.n == 0) && (p.weights || !p.n_weights));
    const MuseSpan *span = NULL;
    if (p.image) rc = find_image(s, p.image, &span, err);
    if (rc < 0) return rc;
    if (span) {
        p.first = span->info.first;
        p.n = span->info.count;
    }
    MUSE_REQUIRE(err, p.n > 0 && p.n <= UINT32_MAX && p.first <= UINT32_MAX - p.n);
    MuseSessionWatch *k = muse_zalloc(&s->seq->rt->alloc, sizeof *k);
    if (!k) return MUSE_NOMEM(err, sizeof *k);
    k->w.first = (size_t)p.first;
    k->w.n = (size_t)p.n;
    rc = fill_watch(k, s, &p, err);
    if (rc < 0) {
        close_watch(k);
        return rc;
    }
    muse_session_watch_close(s);
    s->watch = k;
    return 0;
}

void muse_session_saw(MuseSession *s)
{
    MuseSessionWatch *k = s->watch;
    if (!k) return;
    const size_t rows = k->w.n_layers * k->w.n_heads;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k->w.n; i++) k->sum[i] += (double)k->w.weights[r * k->w.n + i];
    k->tokens++;
    k->position = s->kv.length - 1;
    k->seen = true;
    for (size_t i = 0; i < k->w.n; i++) k->mean[i] = k->sum[i] / ((double)rows * (double)k->tokens);
}

int muse_session_watched(const MuseSession *s, MuseWatched *out, MuseError *err)
{
    MUSE_REQUIRE(err, s && out);
    const MuseSessionWatch *k = s->watch;
    if (!k) return muse_fail(err, MUSE_ERR_STATE, "attention: nobody watches this session");
    *out = (MuseWatched){ k->position, k->tokens, k->w.first, k->w.n, k->w.n_layers, k->w.n_heads, k->w.weights, k->mean };
    return k->seen ? 0 : MUSE_AGAIN;
}

void muse_session_watch_reset(MuseSession *s)
{
    if (!s || !s->watch) return;
    s->watch->tokens = 0;
    memset(s->watch->sum, 0, s->watch->w.n * sizeof *s->watch->sum);
    memset(s->watch->mean, 0, s->watch->w.n * sizeof *s->watch->mean);
}

int muse_session_heat(const MuseSession *s, uint32_t image, float *values, size_t cap, MuseTraceHeat *out, MuseError *err)
{
    MUSE_REQUIRE(err, values && out);
    MuseWatched seen;
    const MuseSpan *span = NULL;
    int rc = muse_session_watched(s, &seen, err);
    if (rc >= 0) rc = 0;   /* a token that was cancelled midway takes nothing from the mean */
    if (rc == 0 && seen.tokens == 0) rc = muse_fail(err, MUSE_ERR_STATE, "attention: no token was computed since the watch began");
    if (rc == 0) rc = find_image(s, image, &span, err);
    if (rc < 0) return rc;
    const MuseImagePlan *plan = &span->info.image;
    if (cap < plan->n_patches) return muse_fail(err, MUSE_ERR_FULL, "attention: %zu values have no room for %u patches", cap, plan->n_patches);
    for (size_t i = 0; i < span->info.count; i++) {
        const MusePlace p = muse_span_place(span, i);
        if (p.is_marker) continue;
        const size_t at = span->info.first + i;
        if (at < seen.first || at - seen.first >= seen.n) return muse_fail(err, MUSE_ERR_ARG, "attention: position %zu of picture %u is not watched", at, image);
        values[p.index] = (float)seen.mean[at - seen.first];
    }
    const MuseRect from = span->info.region;
    const double w = (double)plan->grid_width * plan->unit * plan->width / plan->used_width, h = (double)plan->grid_height * plan->unit * plan->height / plan->used_height;
    *out = (MuseTraceHeat){ image, plan->grid_width, plan->grid_height, { from.x0, from.y0, from.x0 + w, from.y0 + h }, values };   /* padding and all */
    return 0;
}
