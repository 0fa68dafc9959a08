/* SPDX-License-Identifier: Apache-2.0 */
/* Making a model ready: a matmul plan for each linear, f32 copies of norms and biases, rope frequencies; and workspaces. */
#include "libmuse/decoder/plan.h"

#include <string.h>

#include "base/arena.h"
#include "libmuse/decoder/rope.h"
#include "ops/runtime.h"

/* ---- small tensors as f32 ---- */

typedef struct Small {
    const MuseDecoder *d;
    float *at;                 /* NULL while sizes are added up */
    size_t values;
} Small;

static size_t tensor_values(const MuseTensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++) n *= t->shape[i];   /* bounded by binding */
    return (size_t)n;
}

static const float *small(Small *s, const MuseTensor *t)
{
    if (!t) return NULL;
    const size_t n = tensor_values(t);
    s->values += n;
    if (!s->at) return NULL;
    float *to = s->at;
    muse_quant_dequant(&s->d->rt->ops.quant, muse_weight_type_of_gguf(t->type))(to, t->data, n);
    s->at += n;
    return to;
}

static void read_small(MuseDecoder *d, Small *s)
{
    const MuseWeights *w = &d->model->weights;
    d->norm = small(s, w->norm);
    d->norm_b = small(s, w->norm_b);
    for (uint32_t i = 0; i < d->model->config.n_layers; i++) {
        const MuseLayerWeights *l = &w->layers[i];
        MuseLayerPlan *p = &d->layers[i];
        const struct { const float **to; const MuseTensor *from; } all[] = {
            { &p->attn_norm, l->attn_norm }, { &p->attn_norm_b, l->attn_norm_b }, { &p->bq, l->bq }, { &p->bk, l->bk }, { &p->bv, l->bv },
            { &p->bqkv, l->bqkv }, { &p->q_norm, l->q_norm }, { &p->q_norm_b, l->q_norm_b }, { &p->k_norm, l->k_norm }, { &p->k_norm_b, l->k_norm_b },
            { &p->bo, l->bo }, { &p->post_attn_norm, l->post_attn_norm }, { &p->ffn_norm, l->ffn_norm }, { &p->ffn_norm_b, l->ffn_norm_b },
            { &p->b_up, l->b_up }, { &p->b_down, l->b_down }, { &p->post_ffn_norm, l->post_ffn_norm },
        };
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) *all[j].to = small(s, all[j].from);
        const float *scale = small(s, l->out_scale);
        p->out_scale = scale ? *scale : 1;
    }
}

static int open_small(MuseDecoder *d, MuseError *err)
{
    Small s = { .d = d };
    read_small(d, &s);
    s.at = d->small = muse_alloc_array(&d->rt->alloc, s.values, sizeof(float));
    if (!d->small) return MUSE_NOMEM(err, s.values * sizeof(float));
    read_small(d, &s);
    return 0;
}

/* ---- plans ---- */

static int plan(const MuseDecoder *d, MuseMatmulPlan *p, const MuseTensor *t, MuseError *err)
{
    if (!t) return 0;
    const MuseWeight w = { muse_weight_type_of_gguf(t->type), (size_t)t->shape[0], (size_t)t->shape[1], t->data, (size_t)t->bytes };
    const int rc = muse_matmul_plan_open(p, d->rt, &w, d->compute, err);
    return rc < 0 ? muse_fail_prefix(err, rc, "%s", t->name) : 0;
}

enum { LAYER_PLANS = 8 };

/* a layer's linears, those it does not have too (rt NULL) */
static void plans_of(MuseLayerPlan *p, MuseMatmulPlan *all[LAYER_PLANS])
{
    MuseMatmulPlan *const list[LAYER_PLANS] = { &p->q, &p->k, &p->v, &p->qkv, &p->o, &p->gate, &p->up, &p->down };
    memcpy(all, list, sizeof list);
}

static int open_layer(MuseDecoder *d, uint32_t i, MuseError *err)
{
    const MuseLayerWeights *l = &d->model->weights.layers[i];
    const MuseLayerConfig *c = &d->model->config.layers[i];
    const MuseTensor *const weights[LAYER_PLANS] = { l->wq, l->wk, l->wv, l->wqkv, l->wo, l->w_gate, l->w_up, l->w_down };
    MuseMatmulPlan *all[LAYER_PLANS];
    plans_of(&d->layers[i], all);
    for (size_t j = 0; j < LAYER_PLANS; j++) {
        const int rc = plan(d, all[j], weights[j], err);
        if (rc < 0) return rc;
    }
    const size_t q = (size_t)c->heads * c->head_width, kv = (size_t)c->kv_heads * c->head_width;
    if (q > d->q_width) d->q_width = q;
    if (kv > d->kv_width) d->kv_width = kv;
    return 0;
}

static int open_rope(MuseDecoder *d, uint32_t layer, MuseError *err)
{
    const MuseRope *rope = &d->model->config.layers[layer].rope;
    uint32_t i = 0;
    while (i < d->n_ropes && !muse_rope_equal(rope, d->ropes[i].rope)) i++;
    d->layers[layer].rope = (uint8_t)i;
    if (i < d->n_ropes) return 0;
    if (i == MUSE_ROPES_MAX) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "layers rotate in more than %d different ways", MUSE_ROPES_MAX);
    MuseRopePlan *p = &d->ropes[d->n_ropes++];
    p->rope = rope;
    p->f = muse_alloc_array(&d->rt->alloc, rope->pairs ? rope->pairs : 1, sizeof *p->f);
    p->axis = muse_alloc(&d->rt->alloc, rope->pairs ? rope->pairs : 1);
    if (!p->f || !p->axis) return MUSE_NOMEM(err, rope->pairs * sizeof *p->f);
    muse_rope_frequencies(rope, p->f, p->axis);
    if (rope->pairs > d->pairs) d->pairs = rope->pairs;
    return 0;
}

static int open_all(MuseDecoder *d, MuseError *err)
{
    int rc = muse_embed_open(&d->embed, d->model, d->compute, err);
    if (rc == 0) rc = open_small(d, err);
    if (rc == 0) rc = plan(d, &d->head, d->model->weights.head, err);
    for (uint32_t i = 0; rc == 0 && i < d->model->config.n_layers; i++) {
        rc = open_layer(d, i, err);
        if (rc == 0) rc = open_rope(d, i, err);
    }
    return rc;
}

int muse_decoder_open(MuseDecoder **out, const MuseModel *model, MuseCompute compute, MuseError *err)
{
    *out = NULL;
    const MuseAllocator *a = &model->rt->alloc;
    MuseDecoder *d = muse_zalloc(a, sizeof *d);
    if (!d) return MUSE_NOMEM(err, sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    d->model = model;
    d->rt = model->rt;
    d->compute = compute;
    d->layers = muse_zalloc_array(a, model->config.n_layers, sizeof *d->layers);
    const int rc = d->layers ? open_all(d, err) : MUSE_NOMEM(err, model->config.n_layers * sizeof *d->layers);
    if (rc < 0) muse_decoder_close(&d);
    *out = d;
    return rc;
}

void muse_decoder_close(MuseDecoder **decoder)
{
    MuseDecoder *d = *decoder;
    *decoder = NULL;
    if (!d) return;
    for (MuseWorkspace *ws = d->kept, *next; ws; ws = next) {
        next = ws->next;
        muse_free(ws);
    }
    for (uint32_t i = 0; i < d->n_ropes; i++) {
        muse_free(d->ropes[i].f);
        muse_free(d->ropes[i].axis);
    }
    for (uint32_t i = 0; d->layers && i < d->model->config.n_layers; i++) {
        MuseMatmulPlan *all[LAYER_PLANS];
        plans_of(&d->layers[i], all);
        for (size_t j = 0; j < LAYER_PLANS; j++) muse_matmul_plan_close(all[j]);
    }
    muse_matmul_plan_close(&d->head);
    muse_embed_close(&d->embed);
    muse_free(d->small);
    muse_free(d->layers);
    pthread_mutex_destroy(&d->lock);
    muse_free(d);
}

const MuseEmbed *muse_decoder_embed(const MuseDecoder *d) { return d->embed; }

/* ---- workspaces ---- */

static bool most(const MuseMatmulPlan *p, size_t n, size_t *bytes)
{
    size_t b = 0;
    if (!p->rt) return true;   /* this layer has none */
    if (!muse_matmul_workspace(p, n, &b)) return false;
    if (b > *bytes) *bytes = b;
    return true;
}

static bool matmul_bytes(const MuseDecoder *d, size_t n, size_t *bytes)
{
    *bytes = 0;
    bool ok = most(&d->head, n < MUSE_HEAD_ROWS ? n : MUSE_HEAD_ROWS, bytes);
    for (uint32_t i = 0; ok && i < d->model->config.n_layers; i++) {
        MuseMatmulPlan *all[LAYER_PLANS];
        plans_of(&d->layers[i], all);
        for (size_t j = 0; j < LAYER_PLANS; j++) ok = ok && most(all[j], n, bytes);
    }
    return ok;
}

/* a piece of the block at *at, which moves past it; NULL base: only measured */
static void *piece(uint8_t *base, size_t *at, size_t n, size_t bytes, bool *ok)
{
    size_t size = 0, end = 0;
    *ok = *ok && muse_mul_size(n, bytes, &size) && muse_add_size(size, 2 * MUSE_ALIGN + *at, &end);
    if (!*ok) return NULL;
    void *p = base ? base + *at : NULL;
    *at += (size + MUSE_ALIGN - 1) / MUSE_ALIGN * MUSE_ALIGN;
    return p;
}

/* Lays w out behind its head, or (base NULL) measures. Two phases use the same memory: features before the layers, then in each layer attention and MLP in turn. */
static bool lay_out(MuseWorkspace *w, const MuseDecoder *d, size_t n, uint8_t *base)
{
    const MuseConfig *c = &d->model->config;
    const size_t width = c->width, features_width = c->image.live ? (size_t)c->image.unit * c->image.unit * 3 : 0, frame = c->audio.live ? c->audio.frame : 0;
    size_t at = (sizeof *w + MUSE_ALIGN - 1) / MUSE_ALIGN * MUSE_ALIGN, matmul = 0, embed = 0;
    bool ok = matmul_bytes(d, n, &matmul) && muse_embed_workspace(d->embed, n, n, &embed);
    w->n_rows = n;
    w->x = piece(base, &at, n, 4 * width, &ok);
    w->cos = piece(base, &at, n * d->n_ropes, 4 * d->pairs, &ok);
    w->sin = piece(base, &at, n * d->n_ropes, 4 * d->pairs, &ok);
    w->ranges = piece(base, &at, n * MUSE_KV_CLASSES_MAX, sizeof *w->ranges, &ok);
    w->places = piece(base, &at, n, sizeof *w->places, &ok);
    w->slots = piece(base, &at, n, sizeof *w->slots, &ok);
    w->grid = piece(base, &at, n, 2 * sizeof *w->grid, &ok);
    const size_t shared = at;
    w->features = piece(base, &at, n, 4 * (features_width > frame ? features_width : frame), &ok);
    w->embed = piece(base, &at, 1, embed, &ok);
    const size_t media_end = at;
    at = shared;
    w->h = piece(base, &at, n, 4 * width, &ok);
    w->y = piece(base, &at, n, 4 * width, &ok);
    w->matmul = piece(base, &at, 1, matmul, &ok);
    const size_t phase = at;
    w->qkv = piece(base, &at, n, 4 * (c->fused_qkv ? 3 * d->q_width : 0), &ok);
    w->q = piece(base, &at, n, 4 * d->q_width, &ok);
    w->k = piece(base, &at, n, 4 * d->kv_width, &ok);
    w->v = piece(base, &at, n, 4 * d->kv_width, &ok);
    w->o = piece(base, &at, n, 4 * d->q_width, &ok);
    w->attend_bytes = MUSE_ATTEND_SCRATCH;
    w->attend = piece(base, &at, d->rt->team.threads, w->attend_bytes, &ok);
    size_t end = at;
    at = phase;
    w->logits = piece(base, &at, n < MUSE_HEAD_ROWS ? n : MUSE_HEAD_ROWS, 4 * (size_t)c->vocab, &ok);
    if (at > end) end = at;
    at = phase;
    w->gate = piece(base, &at, n, 4 * (size_t)c->ffn, &ok);
    w->up = piece(base, &at, n, 4 * (size_t)c->ffn, &ok);
    if (at < end) at = end;
    w->bytes = at > media_end ? at : media_end;
    return ok;
}

/* Few sizes, so that kept ones fit: powers of two up to a chunk, a picture's chunk, multiples of a chunk */
static size_t round_rows(const MuseDecoder *d, size_t n)
{
    const size_t chunk = muse_config_chunk(&d->model->config);
    size_t rows = 1;
    while (rows < n && rows < MUSE_CHUNK_POSITIONS) rows *= 2;
    if (rows >= n) return rows;
    if (n <= chunk) return chunk;
    return n > SIZE_MAX - MUSE_CHUNK_POSITIONS ? n : (n + MUSE_CHUNK_POSITIONS - 1) / MUSE_CHUNK_POSITIONS * MUSE_CHUNK_POSITIONS;
}

/* A kept one of this size. Beyond a chunk one that is larger serves too, and smaller ones go: else a caller's large chunks would
 * leave one of each size behind. */
static MuseWorkspace *take_kept(MuseDecoder *d, size_t rows)
{
    const size_t chunk = muse_config_chunk(&d->model->config);
    MuseWorkspace *found = NULL;
    pthread_mutex_lock(&d->lock);
    for (MuseWorkspace **link = &d->kept; *link && !found;) {
        MuseWorkspace *w = *link;
        const bool large = rows > chunk && w->n_rows > chunk;
        if (!large && w->n_rows != rows) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        if (w->n_rows >= rows) found = w;
        else muse_free(w);
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

int muse_workspace_take(MuseWorkspace **out, const MuseDecoder *decoder, size_t n_rows, MuseError *err)
{
    MuseDecoder *d = (MuseDecoder *)decoder;   /* only its list of kept workspaces changes, under the lock */
    const size_t rows = round_rows(d, n_rows);
    *out = take_kept(d, rows);
    if (*out) return 0;
    MuseWorkspace measure = { 0 };
    if (!lay_out(&measure, d, rows, NULL)) return muse_fail(err, MUSE_ERR_LIMIT, "scratch for %zu positions at once passes this machine's addresses", rows);
    MuseWorkspace *ws = muse_alloc(&d->rt->alloc, measure.bytes);
    if (!ws) return MUSE_NOMEM(err, measure.bytes);
    *ws = (MuseWorkspace){ 0 };
    lay_out(ws, d, rows, (uint8_t *)ws);
    *out = ws;
    return 0;
}

void muse_workspace_give(const MuseDecoder *decoder, MuseWorkspace **ws)
{
    MuseDecoder *d = (MuseDecoder *)decoder;
    if (!*ws) return;
    pthread_mutex_lock(&d->lock);
    (*ws)->next = d->kept;
    d->kept = *ws;
    pthread_mutex_unlock(&d->lock);
    *ws = NULL;
}

size_t muse_workspace_bytes(const MuseWorkspace *ws) { return ws->bytes; }
float *muse_workspace_rows(MuseWorkspace *ws) { return ws->x; }
void *muse_workspace_embed(MuseWorkspace *ws) { return ws->embed; }
float *muse_workspace_features(MuseWorkspace *ws) { return ws->features; }
float *muse_workspace_logits(MuseWorkspace *ws) { return ws->logits; }
MuseRowPlace *muse_workspace_places(MuseWorkspace *ws) { return ws->places; }
MuseSlot *muse_workspace_slots(MuseWorkspace *ws) { return ws->slots; }
uint32_t *muse_workspace_grid(MuseWorkspace *ws) { return ws->grid; }
size_t muse_workspace_n(const MuseWorkspace *ws) { return ws->n_rows; }
