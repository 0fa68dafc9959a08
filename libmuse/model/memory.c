/* SPDX-License-Identifier: Apache-2.0 */
/* What running a model takes, before anything runs: the sums of docs/ARCHITECTURE.md. They restate what libmuse/decoder lays out
 * (plan.c, kv.c), which this folder does not know; test_session.c holds sessions to them. */
#include <string.h>

#include "libmuse/model/levels.h"
#include "libmuse/model/model.h"
#include "ops/attend.h"
#include "ops/matmul_plan.h"

bool muse_rope_equal(const MuseRope *a, const MuseRope *b)
{
    return a->base == b->base && a->width == b->width && a->pairs == b->pairs && !memcmp(a->axes, b->axes, sizeof a->axes)
        && a->factor == b->factor && a->low_freq == b->low_freq && a->high_freq == b->high_freq
        && a->original_positions == b->original_positions && a->divisors == b->divisors;
}

uint32_t muse_config_chunk(const MuseConfig *c)
{
    uint32_t chunk = MUSE_CHUNK_POSITIONS;
    for (uint32_t i = 0; c->image.live && i < MUSE_BUDGETS_MAX; i++)
        if (c->image.budgets[i] > chunk) chunk = c->image.budgets[i];
    return chunk;
}

/* The numbers below stay far under 2^64: config.c bounds each factor. */

/* bytes of keys and values of a layer, for this many positions: whole pages; heads rounded up as ops/attend.h says */
static uint64_t layer_kv(const MuseLayerConfig *l, uint64_t positions, uint64_t chunk, MuseKvType type)
{
    uint64_t pages = (positions + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
    /* a window behind the chunk's first query, a page to go back, and what is begun at both ends */
    const uint64_t most = (l->window + chunk) / MUSE_KV_PAGE + 3;
    if (l->window && most < pages) pages = most;
    return pages * 2 * l->kv_heads * muse_kv_head_bytes(type, l->head_width);
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* scratch of a product over k columns */
static uint64_t matmul(const MuseModel *m, uint64_t k, uint64_t rows)
{
    const MuseMatmulPlan plan = { .rt = m->rt, .weight = { .k = (size_t)k } };
    size_t bytes = 0;
    return k && muse_matmul_workspace(&plan, (size_t)rows, &bytes) ? bytes : 0;
}

/* bytes a row of all rotations: cosines and sines */
static uint64_t angles(const MuseConfig *c)
{
    uint64_t ropes = 0, pairs = 0;
    for (uint32_t n = 0; n < c->n_layers; n++) {
        uint32_t before = 0;
        while (before < n && !muse_rope_equal(&c->layers[before].rope, &c->layers[n].rope)) before++;
        ropes += before == n;
        pairs = larger(pairs, c->layers[n].rope.pairs);
    }
    return ropes * pairs * 8;
}

/* patches or frames on their way into the embedding space */
static uint64_t media(const MuseModel *m, uint64_t rows)
{
    const MuseConfig *c = &m->config;
    const uint64_t patch = c->image.live ? (uint64_t)c->image.unit * c->image.unit * 3 : 0, frame = c->audio.live ? c->audio.frame : 0;
    const uint64_t between = c->image.live ? larger(c->image.mlp, c->image.embed) : 0;
    const uint64_t planes = 4 * patch * m->rt->team.threads + MUSE_ALIGN * m->rt->team.threads;
    const uint64_t products = larger(matmul(m, larger(patch, between), rows), planes);
    const uint64_t levels = c->image.levels ? 4 * rows * MUSE_LEVELS : 0;
    return 4 * rows * larger(patch, frame) + larger(4 * rows * between + levels + products, matmul(m, frame, rows));
}

/* layers: attention, then the MLP, over the same memory; logits too */
static uint64_t layers(const MuseModel *m, uint64_t rows)
{
    const MuseConfig *c = &m->config;
    uint64_t q = 0, kv = 0;
    for (uint32_t n = 0; n < c->n_layers; n++) {
        q = larger(q, (uint64_t)c->layers[n].heads * c->layers[n].head_width);
        kv = larger(kv, (uint64_t)c->layers[n].kv_heads * c->layers[n].head_width);
    }
    const uint64_t attention = 4 * rows * (2 * q + 2 * kv + (c->fused_qkv ? 3 * q : 0)) + (uint64_t)m->rt->team.threads * MUSE_ATTEND_SCRATCH;
    const uint64_t logits = 4 * (rows < 16 ? rows : 16) * (uint64_t)c->vocab;
    return 8 * rows * c->width + matmul(m, larger(larger(c->width, c->ffn), q), rows) + larger(larger(attention, 8 * rows * (uint64_t)c->ffn), logits);
}

int muse_model_memory(const MuseModel *model, uint64_t positions, MuseModelMemory *out)
{
    enum { ROW = 96, ENDS = 4096 };   /* of a row: ranges, places, slots, grid; all pieces rounded up to lines */
    if (!model || !out || positions > UINT64_C(1) << 30) return MUSE_ERR_ARG;
    const MuseConfig *c = &model->config;
    if (positions == 0) positions = c->context;
    const uint64_t chunk = muse_config_chunk(c);
    uint64_t rows = 1;
    while (rows < positions && rows < MUSE_CHUNK_POSITIONS) rows *= 2;
    if (rows < positions) rows = chunk;
    *out = (MuseModelMemory){ .positions = positions, .weights = model->weights.bytes };
    for (uint32_t n = 0; n < c->n_layers; n++) {
        out->kv_16 += layer_kv(&c->layers[n], positions, chunk, MUSE_KV_TYPE_BF16);
        out->kv_8 += layer_kv(&c->layers[n], positions, chunk, MUSE_KV_TYPE_Q8);
    }
    out->workspace = rows * (4 * (uint64_t)c->width + angles(c) + ROW) + larger(media(model, rows), layers(model, rows)) + ENDS;
    return 0;
}
