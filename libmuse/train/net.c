/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of the network, and the order of a pass. */
#include "libmuse/train/net.h"

#include <math.h>
#include <string.h>

#include "libmuse/model/levels.h"

/* ---- buffers: one function that plans them and one more call of it that takes them ---- */

typedef struct Taker {
    MuseArenaPlan plan;
    MuseArena *arena;      /* NULL: only plan */
} Taker;

static void *take(Taker *t, size_t n, size_t width, size_t item)
{
    size_t all;
    if (!muse_mul_size(n, width, &all)) {
        t->plan.overflow = true;
        return NULL;
    }
    if (t->arena) {
        void *piece = muse_arena_take(t->arena, all, item);
        if (piece) memset(piece, 0, all * item);   /* products read rows behind the last one: they must hold numbers */
        return piece;
    }
    muse_arena_plan(&t->plan, all, item);
    return NULL;
}

enum { TURNS_MAX = 4096 };   /* positions whose angles are kept: 1 MiB for heads of 64; later ones are computed each time */

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

static size_t widest(const MuseNet *net)
{
    const MuseConfig *c = net->c;
    size_t w = largest((c->act == MUSE_ACT_SILU_GATED ? 2 : 1) * (size_t)c->ffn, c->width);
    for (uint32_t n = 0; n < c->n_layers; n++) w = largest(w, ((size_t)c->layers[n].heads + 2 * c->layers[n].kv_heads) * c->layers[n].head_width);
    w = largest(w, c->image.live ? largest(c->image.mlp, 2 * 3 * (size_t)c->image.unit * c->image.unit) : 0);
    return largest(w, net->n_classes);
}

/* sums that one thread keeps: a row, or the gradient of all levels */
static size_t partial_width(const MuseNet *net) { return largest(widest(net), net->c->image.levels ? MUSE_LEVELS * (size_t)net->c->image.mlp : 0); }

static void take_layers(MuseNet *net, Taker *t, size_t rows)
{
    const size_t d = net->c->width, f = net->c->ffn, act = net->act, gates = net->c->act == MUSE_ACT_SILU_GATED ? 2 : 1;
    for (uint32_t n = 0; n < net->c->n_layers; n++) {
        const MuseLayerConfig *c = &net->c->layers[n];
        const size_t hk = (size_t)c->heads * c->head_width, gk = (size_t)c->kv_heads * c->head_width;
        const MuseLayerActs a = {
            .unit1 = take(t, rows, d, act), .h1 = take(t, rows, d, act), .qkv = take(t, rows, hk + 2 * gk, act), .heads = take(t, rows, hk + 2 * gk, act), .o = take(t, rows, hk, act),
            .unit2 = take(t, rows, d, act), .h2 = take(t, rows, d, act), .u = take(t, rows, gates * f, act), .a = take(t, rows, f, act), .rstd1 = take(t, rows, 1, 4),
            .rstd2 = take(t, rows, 1, 4), .qk_rstd = take(t, rows, (size_t)c->heads + c->kv_heads, 4), .lse = take(t, rows, c->heads, 4),
        };
        if (t->arena) net->layers[n] = a;
    }
}

static void take_media(MuseNet *net, Taker *t, size_t rows)
{
    const MuseConfig *c = net->c;
    const size_t p = 3 * (size_t)c->image.unit * c->image.unit, act = net->act;
    if (c->image.live) {
        net->patch_unit = take(t, rows, p, act);
        net->patch_n = take(t, rows, p, act);
        net->patch_u = take(t, rows, largest(c->image.mlp, 1), act);
        net->patch_a = take(t, rows, largest(c->image.mlp, 1), act);
    }
    if (c->audio.live) net->frame = take(t, rows, c->audio.frame, act);
    net->media = take(t, rows, c->width, 4);
}

static void take_scratch(MuseNet *net, Taker *t, size_t rows)
{
    size_t width = 0;
    const size_t q = MUSE_NET_QUERIES, act = net->act;
    for (uint32_t n = 0; n < net->c->n_layers; n++) width = largest(width, net->c->layers[n].head_width);
    for (uint32_t i = 0; i < net->rt->team.threads; i++) {
        const MuseAttendScratch s = {
            .s = take(t, q, net->cols, 4), .dp = take(t, q, net->cols, 4), .extra = take(t, net->rules->gaze ? q : 1, net->cols, 4), .p = take(t, q, net->cols, act),
            .ds = take(t, q, net->cols, act), .dout = take(t, q, width, act), .o = take(t, q, width, 4), .dk = take(t, rows, width, 4), .dv = take(t, rows, width, 4), .inv_sum = take(t, q, 1, 4),
            .lse = take(t, q, 1, 4), .delta = take(t, q, 1, 4), .seen = take(t, q, 1, sizeof(MuseSeen)),
        };
        if (t->arena) net->scratch[i] = s;
    }
}

static void take_all(MuseNet *net, Taker *t)
{
    const MuseConfig *c = net->c;
    const size_t rows = net->rows + MUSE_NET_SLACK, d = c->width, half = c->layers[0].head_width / 2, act = net->act, w = widest(net);
    size_t mid = largest(c->ffn, c->image.live ? 3 * (size_t)c->image.unit * c->image.unit : 0);
    for (uint32_t n = 0; n < c->n_layers; n++) mid = largest(mid, (size_t)c->layers[n].heads * c->layers[n].head_width);
    const size_t head = MUSE_NET_HEAD_ROWS, classes = largest(c->vocab, net->n_classes);
    take_layers(net, t, rows);
    take_media(net, t, rows);
    take_scratch(net, t, rows);
    net->x = take(t, rows, d, 4);
    net->cos = take(t, rows, half, 4);
    net->sin = take(t, rows, half, 4);
    net->unit = take(t, rows, d, act);
    net->h = take(t, rows, d, act);
    net->rstd = take(t, rows, 1, 4);
    net->tap_unit = take(t, rows, d, act);
    net->tap_rstd = take(t, rows, 1, 4);
    net->dtap = take(t, rows, d, 4);
    net->dx = take(t, rows, d, 4);
    net->dh = take(t, rows, d, 4);
    net->dxa = take(t, rows, d, act);
    net->dbig = take(t, rows, w, act);
    net->dmid = take(t, rows, mid, act);
    net->logits = take(t, head, classes, 4);
    net->dlogits = take(t, head, classes, act);
    net->head_h = take(t, head, d, act);
    net->head_dh = take(t, head, d, 4);
    net->losses = take(t, head, 1, 4);
    net->hits = take(t, head, 1, 1);
    net->soft = take(t, head, 1, sizeof *net->soft);
    net->soft_p = take(t, head, 2 * MUSE_SOFT_RADIUS_MAX + 1, 4);
    net->partial = take(t, net->rt->team.threads, partial_width(net), 4);
}

static int open_buffers(MuseNet *net, MuseError *err)
{
    const MuseAllocator *a = &net->rt->alloc;
    Taker t = { .arena = NULL };
    take_all(net, &t);
    if (t.plan.overflow) return muse_fail(err, MUSE_ERR_LIMIT, "buffers for %zu positions do not fit this machine", net->rows);
    if (muse_arena_open(&net->arena, a, &t.plan) < 0) return MUSE_NOMEM(err, t.plan.bytes);
    muse_ask_huge(net->arena.base, net->arena.cap);
    t.arena = &net->arena;
    take_all(net, &t);
    return 0;
}

int muse_net_open(MuseNet *net, const MuseRuntime *rt, const MuseConfig *c, const MuseBatchRules *rules, bool bf16, size_t rows, MuseError *err)
{
    const MuseAllocator *a = &rt->alloc;
    memset(net, 0, sizeof *net);
    net->rt = rt;
    net->c = c;
    net->rules = rules;
    net->bf16 = bf16;
    net->ops = muse_train_ops(rt->cpu, bf16);
    net->act = net->ops->act_bytes;
    net->rows = muse_round_rows(rows);
    net->cols = net->rows + MUSE_NET_SLACK + 16;   /* + 16: rows of a power of two would meet in the same cache lines */
    for (uint32_t i = 0; i < rules->n_heads; i++) {
        net->class_at[i] = net->n_classes;
        net->n_classes += rules->classes[i];
    }
    int rc = muse_layout_make(&net->layout, a, c, net->n_classes, err);
    if (rc < 0) goto fail;
    if ((rc = muse_gemm_open(&net->gemm, rt, err)) < 0) goto fail;
    const size_t n = net->layout.n_values;
    net->master = muse_zalloc_huge(a, n, sizeof *net->master);
    net->grad = muse_zalloc_huge(a, n, sizeof *net->grad);
    net->work = muse_zalloc_huge(a, n, net->act);
    net->layers = muse_zalloc_array(a, c->n_layers, sizeof *net->layers);
    net->scratch = muse_zalloc_array(a, rt->team.threads, sizeof *net->scratch);
    const size_t half = c->layers[0].head_width / 2;
    net->turns = c->context < TURNS_MAX ? c->context : TURNS_MAX;
    net->inv_freq = muse_zalloc_array(a, half, sizeof *net->inv_freq);
    net->turn_cos = muse_alloc_array(a, net->turns * half, sizeof *net->turn_cos);
    net->turn_sin = muse_alloc_array(a, net->turns * half, sizeof *net->turn_sin);
    const bool turns = net->turns == 0 || (net->turn_cos && net->turn_sin);
    if (!net->master || !net->grad || !net->work || !net->layers || !net->scratch || !net->inv_freq || !turns) rc = MUSE_NOMEM(err, n * 10);
    else rc = open_buffers(net, err);
    if (rc < 0) goto fail;
    size_t pair = 0;
    for (int axis = 0; axis < 3; axis++)
        for (uint32_t j = 0; j < c->layers[0].rope.axes[axis]; j++) net->inv_freq[pair++] = pow(c->layers[0].rope.base, -(double)j / c->layers[0].rope.axes[axis]);
    for (size_t i = 0; i < net->turns * half; i++) {
        net->turn_cos[i] = (float)cos((double)(i / half) * net->inv_freq[i % half]);
        net->turn_sin[i] = (float)sin((double)(i / half) * net->inv_freq[i % half]);
    }
    return 0;
fail:
    muse_net_close(net);
    return rc;
}

void muse_net_close(MuseNet *net)
{
    muse_arena_close(&net->arena);
    muse_gemm_close(&net->gemm);
    muse_layout_clear(&net->layout);
    void *const blocks[] = { net->master, net->grad, net->work, net->layers, net->scratch, net->inv_freq, net->turn_cos, net->turn_sin };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) muse_free(blocks[i]);
    memset(net, 0, sizeof *net);
}

void muse_net_refresh(MuseNet *net) { net->ops->store(net->work, net->master, net->layout.n_values); }

/* ---- rows over threads ---- */

typedef struct Rows { MuseNet *net; size_t n; MuseNetRows *fn; const void *job; } Rows;

static void worker_rows(void *user, size_t begin, size_t end)
{
    const Rows *r = user;
    const size_t threads = r->net->rt->team.threads;
    for (size_t w = begin; w < end; w++) {
        const size_t lo = r->n * w / threads, hi = r->n * (w + 1) / threads;
        if (hi > lo) r->fn(r->net, r->job, w, lo, hi);
    }
}

void muse_net_rows(MuseNet *net, size_t n, size_t cost, MuseNetRows *fn, const void *job)
{
    enum { WORTH = 1 << 17 };   /* values; some 50 us of one core */
    Rows r = { net, n, fn, job };
    if (n * cost < WORTH) {
        if (n) fn(net, job, 0, 0, n);
        return;
    }
    muse_parallel_for(&net->rt->team, net->rt->team.threads, 1, worker_rows, &r);
}

float *muse_net_partial(MuseNet *net, size_t worker) { return net->partial + worker * partial_width(net); }

void muse_net_gather_partial(MuseNet *net, float *to, size_t n)
{
    for (uint32_t w = 0; w < net->rt->team.threads; w++) {
        float *from = muse_net_partial(net, w);
        for (size_t i = 0; i < n; i++) to[i] += from[i];
        memset(from, 0, n * sizeof *from);
    }
}

/* ---- a pass ---- */

void muse_net_scale_add(MuseNetScale *sum, const MuseTrainBatch *b)
{
    for (size_t i = 0; i < b->n_targets; i++) sum->group[b->targets[i].group] += fabs((double)b->targets[i].weight);
    for (size_t i = 0; i < b->n_labels; i++) sum->head[b->labels[i].head] += fabs((double)b->labels[i].weight);
    for (size_t i = 0; i < b->n_gazes; i++) sum->gaze += fabs((double)b->gazes[i].weight);
}

static void angles(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const MuseTrainBatch *b = job;
    const MuseRope *rope = &net->c->layers[0].rope;
    const size_t half = net->c->layers[0].head_width / 2;
    for (size_t r = begin; r < end; r++) {
        const int32_t at[3] = { b->t[r], b->y[r], b->x[r] };
        float *cs = net->cos + r * half, *sn = net->sin + r * half;
        size_t pair = 0;
        for (int axis = 0; axis < 3; axis++)
            for (uint32_t j = 0; j < rope->axes[axis]; j++, pair++) {
                const bool kept = at[axis] >= 0 && (size_t)at[axis] < net->turns;
                const size_t i = kept ? (size_t)at[axis] * half + pair : 0;
                cs[pair] = kept ? net->turn_cos[i] : (float)cos(at[axis] * net->inv_freq[pair]);
                sn[pair] = kept ? net->turn_sin[i] : (float)sin(at[axis] * net->inv_freq[pair]);
            }
        for (; pair < half; pair++) cs[pair] = 1, sn[pair] = 0;
    }
}

static void last_norm(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)job;
    (void)worker;
    const size_t d = net->c->width;
    net->ops->norm(muse_act_at(net, net->h, begin * d), muse_act_at(net, net->unit, begin * d), net->rstd + begin, net->x + begin * d, net->master + net->layout.norm, end - begin, d,
                   net->c->norm_eps);
}

static void last_norm_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)job;
    const size_t d = net->c->width;
    net->ops->norm_back(net->dx + begin * d, muse_act_at(net, net->dxa, begin * d), muse_net_partial(net, worker), net->dh + begin * d, muse_act_at(net, net->unit, begin * d), net->rstd + begin,
                        net->master + net->layout.norm, end - begin, d);
}

static void tap(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)job;
    (void)worker;
    const size_t d = net->c->width;
    void *to = muse_act_at(net, net->tap_unit, begin * d);
    net->ops->norm(to, to, net->tap_rstd + begin, net->x + begin * d, NULL, end - begin, d, net->c->norm_eps);
}

static void tap_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)job;
    (void)worker;
    const size_t d = net->c->width;
    net->ops->norm_back(net->dx + begin * d, muse_act_at(net, net->dxa, begin * d), NULL, net->dtap + begin * d, muse_act_at(net, net->tap_unit, begin * d), net->tap_rstd + begin, NULL, end - begin, d);
}

void muse_net_pass(MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, MuseNetTerms *terms, MuseTaskSums *tasks)
{
    const size_t n = muse_round_rows(b->n), d = net->c->width;
    const uint32_t layers = net->c->n_layers;
    const bool labels = b->n_labels > 0;
    if (b->n == 0) return;
    muse_net_rows(net, b->n, 16 * (size_t)net->c->layers[0].head_width, angles, b);
    muse_embed(net, b, n);
    for (uint32_t l = 0; l <= layers; l++) {
        if (labels && l == net->tap) muse_net_rows(net, n, d, tap, NULL);
        if (l < layers) muse_block(net, b, l, n);
    }
    muse_net_rows(net, n, d, last_norm, NULL);

    memset(net->dh, 0, n * d * sizeof *net->dh);
    memset(net->dx, 0, n * d * sizeof *net->dx);
    muse_loss_text(net, b, scale, terms, tasks);
    if (labels) {
        memset(net->dtap, 0, n * d * sizeof *net->dtap);
        muse_loss_labels(net, b, scale, terms);
    }
    muse_net_rows(net, n, d, last_norm_back, NULL);
    muse_net_gather_partial(net, net->grad + net->layout.norm, d);
    for (uint32_t l = layers + 1; l-- > 0;) {
        if (l < layers) muse_block_back(net, b, l, n, scale);
        if (labels && l == net->tap) muse_net_rows(net, n, d, tap_back, NULL);
    }
    muse_embed_back(net, b);
    for (uint32_t i = 0; i < net->rt->team.threads; i++) {
        terms->gaze += net->scratch[i].gaze_loss;
        net->scratch[i].gaze_loss = 0;
    }
}
