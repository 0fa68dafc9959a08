/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over packed samples, forward and backward. A block of 64 query rows meets the keys that any of them sees: the union
 * of their prefix ranges and the union of their own ranges, each one product. Scores exist for one block at a time and are
 * computed again in the backward pass. One thread does one key/value head of one sample, so nothing is shared.
 * Gaze: -log of the weight that a row puts on given rows, by one head; its gradient enters with the scores' (docs/train.md). */
#include <math.h>
#include <string.h>

#include "libmuse/train/net.h"

typedef struct Run { uint32_t lo, hi, cols; } Run;   /* rows lo .. hi - 1; columns in the block, rounded up */

typedef struct Block {
    MuseNet *net;
    const MuseTrainBatch *b;
    MuseAttendScratch *w;
    size_t lane, layer;
    uint32_t row, n;             /* first query row, rows */
    Run runs[2];
    int n_runs;
    size_t cols;                 /* of both runs, and from row to row of scores: without gaps oneDNN has faster kernels */
} Block;

/* so that shapes are few: oneDNN prepares each; own kernels work on 64 columns */
static uint32_t round_cols(uint32_t n) { return (n + 63) / 64 * 64; }

static void widen(Run *r, uint32_t lo, uint32_t hi)
{
    if (hi <= lo) return;
    if (r->hi <= r->lo) *r = (Run){ lo, hi, 0 };
    if (lo < r->lo) r->lo = lo;
    if (hi > r->hi) r->hi = hi;
}

/* Runs of the block, and what its rows see in columns of it. */
static void plan(Block *k)
{
    const MuseSeen *seen = k->b->seen + k->row;
    Run a = { 0 }, c = { 0 };
    for (uint32_t i = 0; i < k->n; i++) {
        widen(&a, seen[i].lo0, seen[i].hi0);
        widen(&c, seen[i].lo1, seen[i].hi1);
    }
    if (a.hi > a.lo && c.hi > c.lo && c.lo < a.hi + MUSE_NET_QUERIES) {   /* near: one longer product instead of two */
        widen(&a, c.lo, c.hi);
        c = (Run){ 0 };
    }
    k->n_runs = 0;
    uint32_t cols = 0, start[2] = { 0, 0 };
    if (a.hi > a.lo) k->runs[k->n_runs++] = a;
    if (c.hi > c.lo) k->runs[k->n_runs++] = c;
    for (int i = 0; i < k->n_runs; i++) {
        start[i] = cols;
        cols += k->runs[i].cols = round_cols(k->runs[i].hi - k->runs[i].lo);
    }
    for (uint32_t i = 0; i < MUSE_NET_QUERIES; i++) {
        MuseSeen v = { 0 };
        const MuseSeen s = i < k->n ? seen[i] : v;
        /* a range lies in the first run, or, not joined, the second in the second */
        const Run *second = c.hi > c.lo ? &k->runs[k->n_runs - 1] : &k->runs[0];
        const uint32_t at = c.hi > c.lo ? start[k->n_runs - 1] : 0;
        if (s.hi0 > s.lo0) v.lo0 = s.lo0 - k->runs[0].lo, v.hi0 = s.hi0 - k->runs[0].lo;
        if (s.hi1 > s.lo1) v.lo1 = s.lo1 - second->lo + at, v.hi1 = s.hi1 - second->lo + at;
        else v.lo1 = v.hi1 = v.hi0;
        k->w->seen[i] = v;
    }
    k->cols = cols;
}

static size_t stride_qkv(const MuseLayerConfig *c) { return ((size_t)c->heads + 2 * c->kv_heads) * c->head_width; }
/* plane number `head` of q, k, v, from a row on */
static void *head_at(const MuseNet *net, size_t layer, size_t head, size_t row)
{
    const MuseLayerConfig *c = &net->c->layers[layer];
    return muse_act_at(net, net->layers[layer].heads, head * muse_plane(net, c) + row * c->head_width);
}

/* s[64, cols] = rows[64, K] * keys^T over all runs; keys: a plane */
static void scores(const Block *k, float *s, const void *rows, const void *keys)
{
    const MuseNet *net = k->net;
    const size_t width = net->c->layers[k->layer].head_width;
    size_t col = 0;
    for (int i = 0; i < k->n_runs; col += k->runs[i].cols, i++) {
        const MuseGemmArgs args = { MUSE_NET_QUERIES, k->runs[i].cols, width, rows, muse_act_at(net, keys, k->runs[i].lo * width), s + col, width, width, k->cols,
                                    false, true, false, net->bf16, false };
        muse_gemm_run(net->gemm, k->lane, &args);
    }
}

/* o[64, K] = p[64, cols] * values over all runs */
static void gather(const Block *k, float *o, const void *p, const void *values)
{
    const MuseNet *net = k->net;
    const size_t width = net->c->layers[k->layer].head_width;
    size_t col = 0;
    for (int i = 0; i < k->n_runs; col += k->runs[i].cols, i++) {
        const MuseGemmArgs args = { MUSE_NET_QUERIES, width, k->runs[i].cols, muse_act_at(net, p, col), muse_act_at(net, values, k->runs[i].lo * width), o, k->cols,
                                    width, width, false, false, i > 0, net->bf16, false };
        muse_gemm_run(net->gemm, k->lane, &args);
    }
}

/* acc[row - first, K] += p[64, cols]^T * rows[64, K] over all runs */
static void scatter(const Block *k, float *acc, uint32_t first, const void *p, const void *rows)
{
    const MuseNet *net = k->net;
    const size_t width = net->c->layers[k->layer].head_width;
    size_t col = 0;
    for (int i = 0; i < k->n_runs; col += k->runs[i].cols, i++) {
        const MuseGemmArgs args = { k->runs[i].cols, width, MUSE_NET_QUERIES, muse_act_at(net, p, col), rows, acc + (k->runs[i].lo - first) * width, k->cols, width, width,
                                    true, false, true, net->bf16, false };
        muse_gemm_run(net->gemm, k->lane, &args);
    }
}

/* ---- forward ---- */

static void forward_head(Block *k, uint32_t end, uint32_t head)
{
    const MuseNet *net = k->net;
    const MuseLayerConfig *c = &net->c->layers[k->layer];
    MuseLayerActs *a = &net->layers[k->layer];
    const size_t width = c->head_width, kv = head / (c->heads / c->kv_heads), hk = (size_t)c->heads * width;
    const void *keys = head_at(net, k->layer, c->heads + kv, 0), *values = head_at(net, k->layer, c->heads + c->kv_heads + kv, 0);
    for (; k->row < end; k->row += k->n) {
        k->n = end - k->row < MUSE_NET_QUERIES ? end - k->row : MUSE_NET_QUERIES;
        plan(k);
        scores(k, k->w->s, head_at(net, k->layer, head, k->row), keys);
        net->ops->weights(k->w->p, k->w->inv_sum, k->w->lse, k->w->s, k->w->seen, MUSE_NET_QUERIES, k->cols, k->cols, c->scale);
        gather(k, k->w->o, k->w->p, values);
        net->ops->store_scaled(muse_act_at(net, a->o, k->row * hk + head * width), hk, k->w->o, width, k->w->inv_sum, k->n, width);
        memcpy(a->lse + head * net->rows + k->row, k->w->lse, k->n * sizeof *a->lse);
    }
}

typedef struct Attend { const MuseTrainBatch *b; uint32_t layer; const MuseNetScale *scale; } Attend;

static void forward_items(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Attend *j = job;
    const MuseLayerConfig *c = &net->c->layers[j->layer];
    for (size_t item = begin; item < end; item++) {
        const size_t sample = item / c->heads;
        Block k = { .net = net, .b = j->b, .w = &net->scratch[worker], .lane = worker + 1, .layer = j->layer, .row = j->b->sample_at[sample] };
        forward_head(&k, j->b->sample_at[sample + 1], (uint32_t)(item % c->heads));
    }
}

/* of one head of one sample, in values of a row-wise step: a score takes K multiply-adds of a product, some 16 a value */
static size_t cost_of(const MuseTrainBatch *b, const MuseLayerConfig *c)
{
    const size_t rows = b->n_samples ? b->n / b->n_samples : 0;
    return rows * rows / 2 * (2 + c->head_width / 16);
}

void muse_attend(MuseNet *net, const MuseTrainBatch *b, uint32_t layer)
{
    const Attend job = { b, layer, NULL };
    const size_t hk = (size_t)net->c->layers[layer].heads * net->c->layers[layer].head_width;
    memset(muse_act_at(net, net->layers[layer].o, b->n * hk), 0, (muse_round_rows(b->n) - b->n) * hk * net->act);   /* rows that only round up stay zero */
    muse_net_rows(net, b->n_samples * net->c->layers[layer].heads, cost_of(b, &net->c->layers[layer]), forward_items, &job);
}

/* ---- backward ---- */

/* gazes of the block's rows into extra; false: there are none */
static bool gazes(Block *k, double scale)
{
    const MuseTrainBatch *b = k->b;
    const float score_scale = k->net->c->layers[k->layer].scale;
    bool any = false;
    for (size_t i = 0; i < b->n_gazes; i++) {
        const MuseBatchGaze *g = &b->gazes[i];
        if (g->row < k->row || g->row >= k->row + k->n) continue;
        if (!any) memset(k->w->extra, 0, MUSE_NET_QUERIES * k->cols * sizeof(float));
        any = true;
        const size_t r = g->row - k->row;
        float *extra = k->w->extra + r * k->cols;
        const float *s = k->w->s + r * k->cols, w = (float)(g->weight * scale);
        double p = 0;
        for (uint32_t t = 0; t < g->n_targets; t++) p += exp((double)(s[b->gaze_rows[g->first_target + t] - k->runs[0].lo] * score_scale - k->w->lse[r]));
        if (p < 1e-30) p = 1e-30;   /* its log and its share stay finite */
        for (size_t col = 0; col < k->cols; col++) extra[col] += w;
        for (uint32_t t = 0; t < g->n_targets; t++) extra[b->gaze_rows[g->first_target + t] - k->runs[0].lo] -= w / (float)p;
        k->w->gaze_loss -= log(p) * (double)w;
    }
    return any;
}

static void backward_head(Block *k, uint32_t first, uint32_t end, uint32_t head, const MuseNetScale *scale)
{
    MuseNet *net = k->net;
    const MuseLayerConfig *c = &net->c->layers[k->layer];
    MuseLayerActs *a = &net->layers[k->layer];
    const size_t width = c->head_width, kv = head / (c->heads / c->kv_heads), hk = (size_t)c->heads * width;
    const void *keys = head_at(net, k->layer, c->heads + kv, 0), *values = head_at(net, k->layer, c->heads + c->kv_heads + kv, 0);
    const bool gaze = scale->gaze != 0 && k->layer == net->gaze_layer && head == net->gaze_head && k->b->n_gazes;
    for (k->row = first; k->row < end; k->row += k->n) {
        k->n = end - k->row < MUSE_NET_QUERIES ? end - k->row : MUSE_NET_QUERIES;
        plan(k);
        const void *q = head_at(net, k->layer, head, k->row), *dout = k->w->dout;
        for (size_t r = 0; r < MUSE_NET_QUERIES; r++) memcpy(muse_act_at(net, dout, r * width), muse_act_at(net, net->dmid, (k->row + r) * hk + head * width), width * net->act);
        memset(k->w->lse, 0, MUSE_NET_QUERIES * sizeof(float));
        memcpy(k->w->lse, a->lse + head * net->rows + k->row, k->n * sizeof(float));
        net->ops->dots(k->w->delta, dout, width, muse_act_at(net, a->o, k->row * hk + head * width), hk, k->n, width);
        scores(k, k->w->s, q, keys);
        scores(k, k->w->dp, dout, values);
        const bool more = gaze && gazes(k, scale->gaze);
        net->ops->weights_back(k->w->p, k->w->ds, k->w->s, k->w->dp, k->w->lse, k->w->delta, more ? k->w->extra : NULL, k->w->seen, MUSE_NET_QUERIES, k->cols, k->cols, c->scale);
        gather(k, k->w->o, k->w->ds, keys);
        for (uint32_t r = 0; r < k->n; r++) net->ops->store(muse_act_at(net, net->dbig, (k->row + r) * stride_qkv(c) + head * width), k->w->o + r * width, width);
        scatter(k, k->w->dk, first, k->w->ds, q);
        scatter(k, k->w->dv, first, k->w->p, dout);
    }
}

static void backward_items(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Attend *j = job;
    const MuseLayerConfig *c = &net->c->layers[j->layer];
    const size_t group = c->heads / c->kv_heads, width = c->head_width, hk = (size_t)c->heads * width;
    MuseAttendScratch *w = &net->scratch[worker];
    for (size_t item = begin; item < end; item++) {
        const size_t sample = item / c->kv_heads, kv = item % c->kv_heads;
        const uint32_t first = j->b->sample_at[sample], last = j->b->sample_at[sample + 1];
        Block k = { .net = net, .b = j->b, .w = w, .lane = worker + 1, .layer = j->layer };
        memset(w->dk, 0, (last - first + MUSE_NET_SLACK) * width * sizeof(float));
        memset(w->dv, 0, (last - first + MUSE_NET_SLACK) * width * sizeof(float));
        for (size_t h = 0; h < group; h++) backward_head(&k, first, last, (uint32_t)(kv * group + h), j->scale);
        for (uint32_t r = first; r < last; r++) {
            void *row = muse_act_at(net, net->dbig, r * stride_qkv(c));
            net->ops->store(muse_act_at(net, row, hk + kv * width), w->dk + (r - first) * width, width);
            net->ops->store(muse_act_at(net, row, hk + (c->kv_heads + kv) * width), w->dv + (r - first) * width, width);
        }
    }
}

void muse_attend_back(MuseNet *net, const MuseTrainBatch *b, uint32_t layer, const MuseNetScale *scale)
{
    const Attend job = { b, layer, scale };
    const size_t width = stride_qkv(&net->c->layers[layer]);
    memset(muse_act_at(net, net->dbig, b->n * width), 0, (muse_round_rows(b->n) - b->n) * width * net->act);
    muse_net_rows(net, b->n_samples * net->c->layers[layer].kv_heads, 3 * cost_of(b, &net->c->layers[layer]), backward_items, &job);
}
