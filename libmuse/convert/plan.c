/* SPDX-License-Identifier: Apache-2.0 */
/* Which tensors are written, under which names, types and orders. Writes nothing. Called by to_gguf.c and to_folder.c. */
#include <stdio.h>
#include <string.h>

#include "libmuse/convert/convert.h"

void muse_plan_clear(MusePlan *p)
{
    muse_tensors_clear(&p->out);
    muse_free(p->items);
    muse_free(p->columns);
    muse_free((void *)(uintptr_t)p->made.data);
    *p = (MusePlan){ 0 };
}

static int add(MuseJob *job, MusePlan *p, const MuseTensor *out, const char *name, MusePlanItem item)
{
    if (p->out.n == p->cap) {
        const size_t cap = p->cap ? 2 * p->cap : 64;
        MusePlanItem *items = muse_realloc_array(p->out.alloc, p->items, cap, sizeof *items);
        if (!items) return MUSE_NOMEM(job->err, cap * sizeof *items);
        p->items = items;
        p->cap = cap;
    }
    p->items[p->out.n] = item;
    job->total += item.from->bytes;
    return muse_tensors_add(&p->out, out, name, strlen(name), job->err);
}

static uint32_t tensor_type(MuseWeightType type) { return muse_weight_type_info(type)->gguf; }

/* The type of a matrix: the wanted one, or what its rows can be (see muse/convert.h). */
static uint32_t matrix_type(MuseJob *job, const MuseTensor *t, const char *name)
{
    const uint64_t row = t->rank ? t->shape[t->rank - 1] : 1;
    if (row % muse_weight_type_info(job->type)->block == 0) return tensor_type(job->type);
    const uint32_t kept = t->type == MUSE_TENSOR_F32 ? MUSE_TENSOR_BF16 : t->type;
    job->info.n_kept++;
    muse_log(&job->rt->log, MUSE_LOG_INFO, "tensor \"%.160s\" becomes %s: its rows of %llu values are not whole blocks of %s", name, muse_tensor_type(kept)->name,
             (unsigned long long)row, muse_weight_type_info(job->type)->name);
    return kept;
}

static bool is_float(uint32_t type) { return type == MUSE_TENSOR_F32 || type == MUSE_TENSOR_F16 || type == MUSE_TENSOR_BF16; }

/* ---- by name ---- */

static void mark(uint8_t *marks, const MuseWeightFile *f, const MuseBind *rows, size_t n, const void *members)
{
    for (size_t i = 0; i < n; i++) {
        const MuseTensor *t;
        memcpy(&t, (const uint8_t *)members + rows[i].member, sizeof t);
        if (t && !rows[i].plain && t >= f->tensors.items && t < f->tensors.items + f->tensors.n) marks[t - f->tensors.items] = 1;
    }
}

/* GGUF: the matrices that may be quantised */
static uint8_t *mark_matrices(const MuseJob *job)
{
    const MuseModel *m = job->model;
    const MuseBindTable *table = muse_bind_table(m->config.arch);
    uint8_t *marks = muse_zalloc(&job->rt->alloc, m->files[0].tensors.n + 1);
    if (!marks) return NULL;
    mark(marks, &m->files[0], table->global, table->n_global, &m->weights);
    for (uint32_t n = 0; n < m->config.n_layers; n++) mark(marks, &m->files[0], table->layer, table->n_layer, &m->weights.layers[n]);
    return marks;
}

int muse_plan_keep(MuseJob *job, MusePlan *p)
{
    const MuseWeightFile *f = &job->model->files[0];
    uint8_t *marks = mark_matrices(job);
    int rc = marks ? 0 : MUSE_NOMEM(job->err, f->tensors.n);
    for (uint32_t part = 0; part < f->n_parts && rc == 0; part++) {   /* in the order of the files */
        size_t n;
        const MuseTensor **order = muse_tensors_by_place(&f->tensors, part, &n);
        if (!order) rc = MUSE_NOMEM(job->err, f->tensors.n * sizeof *order);
        for (size_t i = 0; i < n && rc == 0; i++) {
            MuseTensor out = *order[i];
            if (job->to_gguf ? marks[order[i] - f->tensors.items] : is_float(out.type)) out.type = matrix_type(job, order[i], order[i]->name);
            rc = add(job, p, &out, order[i]->name, (MusePlanItem){ .from = order[i] });
        }
        muse_free(order);
    }
    muse_free(marks);
    return rc;
}

/* ---- by role ---- */

static bool is_media(const MuseBind *row) { return row->space == SPACE_IMAGE || row->space == SPACE_IMAGE_PROJ || row->space == SPACE_AUDIO; }

/* Value i of a GGUF patch is channel, row, column; of a folder's row, column, channel (Gemma spec 8.2). */
static int make_columns(MuseJob *job, MusePlan *p)
{
    const uint32_t u = job->model->config.image.unit;
    if (p->columns) return 0;
    p->columns = muse_alloc_array(p->out.alloc, (size_t)u * u * 3, sizeof *p->columns);
    if (!p->columns) return MUSE_NOMEM(job->err, (size_t)u * u * 3 * sizeof *p->columns);
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t i = 0; i < u * u; i++) {
            const uint32_t gguf = c * u * u + i, folder = i * 3 + c;
            if (job->to_gguf) p->columns[gguf] = folder;
            else p->columns[folder] = gguf;
        }
    return 0;
}

/* what the containers keep in different orders */
static int set_order(MuseJob *job, MusePlan *p, const MuseBind *row, const MuseLayerWeights *layer, const MuseTensor *t, MuseTensor *out, MusePlanItem *item, uint32_t head)
{
    const MuseWeights *w = &job->model->weights;
    if (layer && job->model->config.arch == MUSE_ARCH_LLAMA && (t == layer->wq || t == layer->wk)) {
        item->rows = job->to_gguf ? MUSE_ROWS_PERMUTE : MUSE_ROWS_RESTORE;
        item->n = head;
    } else if (!layer && is_media(row) && t == w->image.place) {
        item->rows = job->to_gguf ? MUSE_ROWS_SPLIT : MUSE_ROWS_JOIN;
        item->n = job->model->config.image.positions;
        out->shape[0] = t->shape[1];
        out->shape[1] = t->shape[0];
    } else if (!layer && is_media(row) && (t == w->image.dense || t == w->image.norm1 || t == w->image.norm1_b)) {
        const int rc = make_columns(job, p);
        item->columns = p->columns;
        return rc;
    }
    return 0;
}

static uint32_t role_type(MuseJob *job, const MuseBind *row, const MuseTensor *t, const char *name)
{
    if (!job->to_gguf) return tensor_type(job->type);
    if (row->plain || t == job->model->weights.image.dense) return MUSE_TENSOR_F32;
    if (!is_media(row)) return matrix_type(job, t, name);
    return job->type == MUSE_WEIGHT_F32 || job->type == MUSE_WEIGHT_F16 ? tensor_type(job->type) : MUSE_TENSOR_BF16;   /* Gemma spec, pitfall 10 */
}

static int add_role(MuseJob *job, MusePlan *p, const MuseBind *row, const void *members, int layer, bool text_only)
{
    const MuseModel *m = job->model;
    const char *leaf = job->to_gguf ? row->gguf : row->hf;
    const MuseTensor *t;
    char name[256];
    memcpy(&t, (const uint8_t *)members + row->member, sizeof t);
    if (!t || !leaf || row->when == WHEN_ROPE_FREQS || (row->when == WHEN_HEAD && t == m->weights.embed)) return 0;
    /* a Gemma folder without media has the names of a text-only export: those of the other families */
    const char *prefix = text_only ? row->space == SPACE_TEXT ? "model." : "" : muse_bind_table(m->config.arch)->prefixes[row->space][0];
    if (layer < 0) snprintf(name, sizeof name, "%s%s", job->to_gguf ? "" : prefix, leaf);
    else if (job->to_gguf) snprintf(name, sizeof name, "blk.%d.%s", layer, leaf);
    else snprintf(name, sizeof name, "%slayers.%d.%s", prefix, layer, leaf);
    MuseTensor out = *t;
    MusePlanItem item = { .from = t };
    const int rc = set_order(job, p, row, layer < 0 ? NULL : members, t, &out, &item, layer < 0 ? 0 : m->config.layers[layer].head_width);
    out.type = role_type(job, row, t, name);
    return rc < 0 ? rc : add(job, p, &out, name, item);
}

/* the divisors that GGUF has in place of Llama's scaling rule and of Gemma's partly rotating heads */
static int add_divisors(MuseJob *job, MusePlan *p)
{
    const MuseConfig *c = &job->model->config;
    const MuseLayerConfig *l = NULL;
    for (uint32_t n = 0; n < c->n_layers && !l; n++)
        if (c->layers[n].window == 0) l = &c->layers[n];
    if (!l || (l->rope.factor == 0 && l->rope.pairs == l->rope.width / 2)) return 0;
    const uint32_t n = l->rope.width / 2;
    float *d = muse_alloc_array(p->out.alloc, n, sizeof *d);
    if (!d) return MUSE_NOMEM(job->err, n * sizeof *d);
    if (l->rope.factor != 0) muse_llama3_divisors(&l->rope, d, n);
    else for (uint32_t i = 0; i < n; i++) d[i] = i < l->rope.pairs ? 1 : 1e30f;   /* "does not rotate": Gemma spec 8.1 */
    p->made = (MuseTensor){ .type = MUSE_TENSOR_F32, .rank = 1, .shape = { n, 1, 1, 1 }, .data = (const uint8_t *)d, .bytes = n * sizeof *d };
    return add(job, p, &p->made, "rope_freqs.weight", (MusePlanItem){ .from = &p->made });
}

int muse_plan_by_role(MuseJob *job, MusePlan *p, MusePlan *media)
{
    const MuseModel *m = job->model;
    const MuseBindTable *table = muse_bind_table(m->config.arch);
    const bool text_only = m->config.arch == MUSE_ARCH_GEMMA4 && !job->to_gguf && !m->config.image.live && !m->config.audio.live;
    int rc = 0;
    for (size_t i = 0; i < table->n_global && rc == 0; i++) rc = add_role(job, media && is_media(&table->global[i]) ? media : p, &table->global[i], &m->weights, -1, text_only);
    if (rc == 0 && job->to_gguf) rc = add_divisors(job, p);
    for (uint32_t n = 0; n < m->config.n_layers && rc == 0; n++)
        for (size_t i = 0; i < table->n_layer && rc == 0; i++) rc = add_role(job, p, &table->layer[i], &m->weights.layers[n], (int)n, text_only);
    if (rc == 0 && m->weights.n_unused) muse_log(&job->rt->log, MUSE_LOG_WARN, "%zu tensors that this family has no role for are not written", m->weights.n_unused);
    return rc;
}
