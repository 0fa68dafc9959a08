/* SPDX-License-Identifier: Apache-2.0 */
/* One decoder for all families: what a layer does is read from its configuration.
 *
 *   x --norm--> q, k, v --(head norms, rotation)--> pages --attention--> o --wo--(norm)--> + x
 *   x --norm--> gate, up --activation--> down --(norm)--> + x, times the layer's scalar
 *
 * Rows of all sequences of a batch go through the same products; only attention and positions are theirs alone. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/decoder/plan.h"
#include "libmuse/decoder/rope.h"
#include "ops/runtime.h"

/* multiply-adds that a second thread is worth waking for: docs/ARCHITECTURE.md, "Threads" */
enum { PARALLEL_WORK = 1 << 19 };

/* One layer at work */
typedef struct Step {
    const MuseDecoder *d;
    const MuseConfig *c;
    const MuseLayerConfig *l;
    const MuseLayerPlan *p;
    const MuseBatch *batch;
    MuseWorkspace *ws;
    uint32_t layer;
    size_t   first;            /* rows before this one are done with */
    float   *q, *k, *v;        /* heads of row t at q + t * q_row + h * q_head, and so on */
    size_t   q_row, kv_row, q_head, kv_head;
} Step;

static void norm(const MuseDecoder *d, float *y, const float *x, const float *w, const float *b, size_t n)
{
    const MuseConfig *c = &d->model->config;
    const size_t width = c->width;
    if (c->norm == MUSE_LAYERNORM) d->rt->ops.norm.layernorm_f32(y, x, w, b, n, width, c->norm_eps);
    else d->rt->ops.norm.rmsnorm_f32(y, width, x, width, w, n, width, c->norm_eps);
}

typedef struct Rows {
    const Step *s;
    void (*fn)(const Step *s, size_t t);
} Rows;

static void rows_range(void *user, size_t begin, size_t end)
{
    const Rows *r = user;
    for (size_t t = begin; t < end; t++) r->fn(r->s, r->s->first + t);
}

/* fn for each row, on several threads if there is enough to do; cost: operations a row */
static void each_row(const Step *s, void (*fn)(const Step *, size_t), size_t cost)
{
    Rows rows = { s, fn };
    muse_parallel_for(&s->d->rt->team, s->batch->n_rows - s->first, PARALLEL_WORK / (cost + 1) + 1, rows_range, &rows);
}

/* ---- attention's inputs ---- */

static void norm_input(const Step *s, size_t t)
{
    const size_t w = s->c->width;
    norm(s->d, s->ws->h + t * w, s->ws->x + t * w, s->p->attn_norm, s->p->attn_norm_b, 1);
}

/* norms of single heads, before rotation: Gemma spec 2.4, Qwen 3, Fuyu spec 2 */
static void norm_heads(const Step *s, float *x, size_t heads, size_t stride, const float *w, const float *b)
{
    const MuseNormOps *ops = &s->d->rt->ops.norm;
    const size_t width = s->l->head_width;
    if (s->c->qk_norm == MUSE_QKNORM_LAYER)
        for (size_t h = 0; h < heads; h++) ops->layernorm_f32(x + h * stride, x + h * stride, w, b, 1, width, s->c->norm_eps);
    else ops->rmsnorm_f32(x, stride, x, stride, w, heads, width, s->c->norm_eps);
}

static const MuseSlot *slot_of(const MuseBatch *b, size_t t)
{
    size_t low = 0, high = b->n_slots;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (b->slots[middle].first <= t) low = middle;
        else high = middle;
    }
    return &b->slots[low];
}

static void put_row(const Step *s, size_t t, const float *k, const float *v)
{
    const MuseSlot *slot = slot_of(s->batch, t);
    const MuseKvLayout *layout = muse_kv_layout(slot->kv->pool);
    const MuseKvLayer *at = &layout->layers[s->layer];
    const size_t p = slot->kv->length + (t - slot->first);
    uint8_t *page = slot->kv->pages[at->class_of][p / MUSE_KV_PAGE] + at->offset;
    for (size_t g = 0; g < s->l->kv_heads; g++, page += 2 * at->head_bytes)
        muse_kv_put(layout->type, page, page + at->head_bytes, p % MUSE_KV_PAGE, k + g * s->kv_head, v + g * s->kv_head, s->l->head_width);
}

/* q, k, v of one row: head norms, rotation, k and v into the pages */
static void finish_qkv(const Step *s, size_t t)
{
    const MuseOps *ops = &s->d->rt->ops;
    const MuseLayerConfig *l = s->l;
    float *q = s->q + t * s->q_row, *k = s->k + t * s->kv_row, *v = s->v + t * s->kv_row;
    if (l->k_eq_v == MUSE_YES) memcpy(v, k, (size_t)l->kv_heads * l->head_width * sizeof *v);
    if (s->c->qk_norm != MUSE_QKNORM_NONE) {
        norm_heads(s, q, l->heads, s->q_head, s->p->q_norm, s->p->q_norm_b);
        norm_heads(s, k, l->kv_heads, s->kv_head, s->p->k_norm, s->p->k_norm_b);
    }
    if (s->c->v_norm) ops->norm.rmsnorm_f32(v, s->kv_head, v, s->kv_head, NULL, l->kv_heads, l->head_width, s->c->norm_eps);
    const size_t at = ((size_t)s->p->rope * s->ws->n_rows + t) * s->d->pairs;
    const bool neighbours = s->d->model->weights.rows_permuted;
    MuseRopeF32 *const rope = neighbours ? ops->rope.rope_neighbours : ops->rope.rope_halves;
    rope(q, l->heads, s->q_head, s->ws->cos + at, s->ws->sin + at, l->rope.pairs, l->rope.width / 2);
    rope(k, l->kv_heads, s->kv_head, s->ws->cos + at, s->ws->sin + at, l->rope.pairs, l->rope.width / 2);
    put_row(s, t, k, v);
}

static void project_qkv(Step *s)
{
    MuseWorkspace *ws = s->ws;
    const size_t n = s->batch->n_rows - s->first, width = s->l->head_width;
    const size_t q_row = (size_t)s->l->heads * width, kv_row = (size_t)s->l->kv_heads * width;
    if (s->c->fused_qkv) {   /* a head's q, k, v side by side: Fuyu spec 2 */
        const MuseMatmulJob job = { .plan = &s->p->qkv, .y = ws->qkv, .bias = s->p->bqkv };
        muse_matmul_run(&job, 1, ws->h, n, ws->matmul);
        s->q = ws->qkv;
        s->k = ws->qkv + width;
        s->v = ws->qkv + 2 * width;
        s->q_row = s->kv_row = 3 * q_row;
        s->q_head = s->kv_head = 3 * width;
        return;
    }
    const MuseMatmulJob jobs[] = {
        { .plan = &s->p->q, .y = ws->q, .bias = s->p->bq }, { .plan = &s->p->k, .y = ws->k, .bias = s->p->bk }, { .plan = &s->p->v, .y = ws->v, .bias = s->p->bv } };
    muse_matmul_run(jobs, s->l->k_eq_v == MUSE_YES ? 2 : 3, ws->h, n, ws->matmul);
    s->q = ws->q;
    s->k = ws->k;
    s->v = ws->v;
    s->q_row = q_row;
    s->kv_row = kv_row;
    s->q_head = s->kv_head = width;
}

/* attention reads rows of q without gaps */
static void gather_q(const Step *s, size_t t)
{
    const size_t width = s->l->head_width;
    for (size_t h = 0; h < s->l->heads; h++) memcpy(s->ws->q + (t * s->l->heads + h) * width, s->q + t * s->q_row + h * s->q_head, width * sizeof(float));
}

/* ---- residual sums ---- */

static void add_branch(const Step *s, size_t t, const float *post, float scale)
{
    const size_t w = s->c->width;
    float *y = s->ws->y + t * w;
    if (post) s->d->rt->ops.norm.rmsnorm_f32(y, w, y, w, post, 1, w, s->c->norm_eps);
    s->d->rt->ops.act.add_scaled(s->ws->x + t * w, y, w, scale);
}

static void after_attention(const Step *s, size_t t)
{
    const size_t w = s->c->width;
    add_branch(s, t, s->p->post_attn_norm, 1);
    norm(s->d, s->ws->h + t * w, s->ws->x + t * w, s->p->ffn_norm, s->p->ffn_norm_b, 1);
}

static void activate(const Step *s, size_t t)
{
    const MuseActOps *ops = &s->d->rt->ops.act;
    const size_t f = s->c->ffn;
    float *up = s->ws->up + t * f;
    const float *gate = s->ws->gate + t * f;
    if (s->c->act == MUSE_ACT_RELU2) ops->relu2(up, up, f);
    else if (s->c->act == MUSE_ACT_SILU_GATED) ops->silu_mul(up, gate, up, f);
    else ops->gelu_tanh_mul(up, gate, up, f);
}

static void after_mlp(const Step *s, size_t t) { add_branch(s, t, s->p->post_ffn_norm, s->p->out_scale); }

/* ---- a layer ---- */

static void mlp(const Step *s)
{
    MuseWorkspace *ws = s->ws;
    const size_t n = s->batch->n_rows - s->first, w = s->c->width, f = s->c->ffn, at = s->first;
    const MuseMatmulJob up[] = { { .plan = &s->p->up, .y = ws->up + at * f, .bias = s->p->b_up }, { .plan = &s->p->gate, .y = ws->gate + at * f } };
    muse_matmul_run(up, s->p->gate.rt ? 2 : 1, ws->h + at * w, n, ws->matmul);
    each_row(s, activate, 32 * f);
    const MuseMatmulJob down = { .plan = &s->p->down, .y = ws->y + at * w, .bias = s->p->b_down };
    muse_matmul_run(&down, 1, ws->up + at * f, n, ws->matmul);
    each_row(s, after_mlp, 8 * w);
}

static void run_layer(Step *s)
{
    MuseWorkspace *ws = s->ws;
    const size_t w = s->c->width, q = (size_t)s->l->heads * s->l->head_width;
    each_row(s, norm_input, 8 * w);
    project_qkv(s);
    each_row(s, finish_qkv, 16 * (s->q_row + 2 * s->kv_row));
    if (s->c->fused_qkv) each_row(s, gather_q, q);
    if (s->layer + 1 == s->c->n_layers) s->first = s->batch->first_wanted;
    muse_decoder_attend(s->d, ws, s->batch, s->layer);
    const MuseMatmulJob out = { .plan = &s->p->o, .y = ws->y + s->first * w, .bias = s->p->bo };
    muse_matmul_run(&out, 1, ws->o + s->first * q, s->batch->n_rows - s->first, ws->matmul);
    each_row(s, after_attention, 16 * w);
    mlp(s);
}

/* ---- before and after the layers ---- */

static void fill_angles(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *b)
{
    for (uint32_t r = 0; r < d->n_ropes; r++) {
        const MuseRopePlan *p = &d->ropes[r];
        const bool axes = muse_rope_axes(p->rope);
        for (size_t t = 0; t < b->n_rows; t++) {
            const size_t at = (r * ws->n_rows + t) * d->pairs;
            const MuseRowPlace *at_row = &b->places[t];
            const double place[] = { axes ? (double)at_row->t : (double)at_row->position, at_row->y, at_row->x };
            for (uint32_t i = 0; i < p->rope->pairs; i++) {
                const double angle = place[p->axis[i]] * p->f[i];
                ws->cos[at + i] = (float)cos(angle);
                ws->sin[at + i] = (float)sin(angle);
            }
        }
    }
}

static void fill_ranges(MuseWorkspace *ws, const MuseBatch *b)
{
    for (size_t i = 0; i < b->n_slots; i++) {
        const MuseSlot *slot = &b->slots[i];
        const MuseKvLayout *layout = muse_kv_layout(slot->kv->pool);
        for (uint32_t c = 0; c < layout->n_classes; c++)
            for (size_t j = 0; j < slot->n; j++) {
                const MuseRowPlace *place = &b->places[slot->first + j];
                ws->ranges[c * ws->n_rows + slot->first + j] =
                    muse_mask_range(b->mask, layout->window[c], (uint32_t)(slot->kv->length + j), place->block_begin, place->block_end);
            }
    }
}

static void look(const MuseBatch *b, const char *stage, uint32_t layer, const float *data, size_t width)
{
    char name[32];
    if (!b->stages || !b->stages->fn) return;
    if (layer != UINT32_MAX) {
        snprintf(name, sizeof name, "%s.%u", stage, layer);
        stage = name;
    }
    b->stages->fn(b->stages->user, stage, data, b->n_rows, width);
}

int muse_decoder_forward(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *batch, MuseError *err)
{
    const MuseConfig *c = &d->model->config;
    const size_t w = c->width;
    Step s = { .d = d, .c = c, .batch = batch, .ws = ws };
    fill_angles(d, ws, batch);
    fill_ranges(ws, batch);
    for (s.layer = 0; s.layer < c->n_layers; s.layer++) {
        if (batch->cancel && batch->cancel(batch->cancel_user)) return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled in layer %u of %u", s.layer, c->n_layers);
        s.l = &c->layers[s.layer];
        s.p = &d->layers[s.layer];
        run_layer(&s);
        look(batch, "layers", s.layer, ws->x, w);
    }
    norm(d, ws->x + s.first * w, ws->x + s.first * w, d->norm, d->norm_b, batch->n_rows - s.first);
    look(batch, "final_norm", UINT32_MAX, ws->x, w);
    for (size_t i = 0; i < batch->n_slots; i++) muse_kv_advance(batch->slots[i].kv, batch->slots[i].n);
    return 0;
}

void muse_decoder_head(const MuseDecoder *d, MuseWorkspace *ws, size_t first, size_t n, float *logits)
{
    const MuseConfig *c = &d->model->config;
    const MuseMatmulJob job = { .plan = &d->head, .y = logits };
    muse_matmul_run(&job, 1, ws->x + first * c->width, n, ws->matmul);
    if (c->softcap > 0) d->rt->ops.act.softcap(logits, logits, n * c->vocab, c->softcap);
}
