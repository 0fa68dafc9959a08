/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing out attention: work is cut into groups of at most 64 query rows that look at one KV head. Rows of several sequences go
 * together over the pages that they share (forks of one prefix), then each sequence goes over its own. */
#include <string.h>

#include "libmuse/decoder/plan.h"
#include "ops/runtime.h"

enum { PARALLEL_WORK = 1 << 19 };

typedef struct Attention {
    const MuseDecoder *d;
    MuseWorkspace *ws;
    const MuseBatch *batch;
    uint32_t layer;
    const MuseLayerConfig *l;
    const MuseKvLayout *layout;
    const MuseKvLayer *at;
    MuseAttend *kernel;
    MuseAttendWeights *weights;
    const MuseRange *ranges;   /* [n_rows] of this layer's class */
    size_t group;              /* query heads of an item */
    size_t heads;              /* KV heads of an item; more than 1: parts is 1, and all its rows are one position's */
    size_t parts;              /* items that a KV head's query heads make */
    size_t tile;               /* positions (of one slot), or slots (of one position each), of an item */
    size_t stride;             /* items of a thread are this far apart */
    size_t n_items;
} Attention;

/* Query rows of one item */
typedef struct Group {
    const float *q[MUSE_ATTEND_ROWS];
    float   *o[MUSE_ATTEND_ROWS];
    float    max[MUSE_ATTEND_ROWS], sum[MUSE_ATTEND_ROWS];
    uint32_t lo[MUSE_ATTEND_ROWS], hi[MUSE_ATTEND_ROWS];
    size_t   rows;
} Group;

static void add_rows(const Attention *a, Group *g, size_t t, size_t head)
{
    const size_t width = a->l->head_width;
    for (size_t h = head; h < head + a->group; h++, g->rows++) {
        const size_t at = (t * a->l->heads + h) * width;
        g->q[g->rows] = a->ws->q + at;
        g->o[g->rows] = a->ws->o + at;
        g->lo[g->rows] = a->ranges[t].lo;
        g->hi[g->rows] = a->ranges[t].hi;
    }
}

/* rows from .. to of g on kv */
static MuseAttendArgs args_of(const Attention *a, Group *g, size_t from, size_t to, const MuseKv *kv, size_t kv_head)
{
    const size_t k_offset = a->at->offset + 2 * kv_head * a->at->head_bytes;
    return (MuseAttendArgs){ .rows = to - from, .heads = a->heads, .width = a->l->head_width, .q = g->q + from, .o = g->o + from, .max = g->max + from, .sum = g->sum + from,
        .lo = g->lo + from, .hi = g->hi + from, .scale = a->l->scale, .pages = (const uint8_t *const *)kv->pages[a->at->class_of],
        .k_offset = k_offset, .v_offset = k_offset + a->at->head_bytes, .head_stride = 2 * a->at->head_bytes };
}

/* the same over pages first .. end - 1 */
static void run(const Attention *a, Group *g, size_t from, size_t to, const MuseKv *kv, size_t kv_head, size_t first, size_t end, bool start, bool finish, void *scratch)
{
    MuseAttendArgs args = args_of(a, g, from, to, kv, kv_head);
    args.first_page = first;
    args.n_pages = end > first ? end - first : 0;
    args.start = start;
    args.finish = finish;
    args.scratch = scratch;
    a->kernel(&args);
}

/* A position's rows are done (a->group of them, from row `from` of g, query heads from `head` on): their weights for who watches it.
 * Items differ in their heads, so threads write to different places. */
static void watch(const Attention *a, Group *g, size_t from, const MuseSlot *slot, size_t kv_head, size_t head, void *scratch)
{
    const MuseWatch *w = slot->watch;
    const int32_t layer = w->layer_at[a->layer];
    if (layer < 0) return;
    for (size_t i = 0; i < a->group; i++) {
        MuseAttendArgs args = args_of(a, g, from, from + a->group, slot->kv, kv_head + i / (a->group / a->heads));
        args.scratch = scratch;
        const int32_t at = w->head_at[head + i];
        if (at >= 0) a->weights(&args, i, w->first, w->n, w->weights + ((size_t)layer * w->n_heads + (size_t)at) * w->n);
    }
}

static void span_of_rows(const Group *g, size_t from, size_t to, size_t *first, size_t *end)
{
    uint32_t lo = UINT32_MAX, hi = 0;
    for (size_t r = from; r < to; r++) {
        if (g->lo[r] < lo) lo = g->lo[r];
        if (g->hi[r] > hi) hi = g->hi[r];
    }
    *first = lo / MUSE_KV_PAGE;
    *end = (hi + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
}

/* ---- one sequence, several positions ---- */

static void run_tile(const Attention *a, size_t slot_index, size_t tile, size_t kv_head, size_t head, void *scratch)
{
    const MuseSlot *slot = &a->batch->slots[slot_index];
    const size_t skip = a->batch->first_wanted > slot->first ? a->batch->first_wanted - slot->first : 0;
    const size_t begin = tile * a->tile, end = begin + a->tile < slot->n ? begin + a->tile : slot->n;
    Group g = { .rows = 0 };
    const bool last = a->layer + 1 == a->d->model->config.n_layers;
    for (size_t j = begin; j < end; j++)
        if (!last || j >= skip) add_rows(a, &g, slot->first + j, head);
    if (!g.rows) return;
    size_t first, stop;
    span_of_rows(&g, 0, g.rows, &first, &stop);
    run(a, &g, 0, g.rows, slot->kv, kv_head, first, stop, true, true, scratch);
    if (slot->watch && end == slot->n) watch(a, &g, g.rows - a->group, slot, kv_head, head, scratch);
}

/* ---- several sequences, one position each ---- */

/* pages from the first on that all of slots begin .. end - 1 hold in common */
static size_t shared_pages(const Attention *a, size_t begin, size_t end, size_t first, size_t stop)
{
    uint8_t *const *one = a->batch->slots[begin].kv->pages[a->at->class_of];
    for (size_t p = first; p < stop; p++)
        for (size_t i = begin + 1; i < end; i++) {
            const MuseKv *kv = a->batch->slots[i].kv;
            if (p >= kv->cap || kv->pages[a->at->class_of][p] != one[p]) return p;
        }
    return stop;
}

static void run_slots(const Attention *a, size_t begin, size_t end, size_t kv_head, size_t head, void *scratch)
{
    Group g = { .rows = 0 };
    for (size_t i = begin; i < end; i++) add_rows(a, &g, a->batch->slots[i].first, head);
    size_t first, stop, common = SIZE_MAX;
    for (size_t i = begin; i < end; i++) {
        const size_t from = (i - begin) * a->group;
        span_of_rows(&g, from, from + a->group, &first, &stop);
        if (stop < common) common = stop;
    }
    span_of_rows(&g, 0, g.rows, &first, &stop);
    if (end - begin > 1) common = shared_pages(a, begin, end, first, common);
    else common = first;
    const bool some = common > first;
    if (some) run(a, &g, 0, g.rows, a->batch->slots[begin].kv, kv_head, first, common, true, false, scratch);
    for (size_t i = begin; i < end; i++) {
        const size_t from = (i - begin) * a->group, to = from + a->group;
        size_t own_first, own_stop;
        span_of_rows(&g, from, to, &own_first, &own_stop);
        run(a, &g, from, to, a->batch->slots[i].kv, kv_head, some ? common : own_first, own_stop, !some, true, scratch);
        if (a->batch->slots[i].watch) watch(a, &g, from, &a->batch->slots[i], kv_head, head, scratch);
    }
}

/* ---- sharing out ---- */

static bool single(const MuseBatch *b) { return b->n_rows == b->n_slots; }

static size_t tiles_of(const Attention *a, size_t slot) { return (a->batch->slots[slot].n + a->tile - 1) / a->tile; }

static void run_item(const Attention *a, size_t item, void *scratch)
{
    const size_t heads = a->l->kv_heads / a->heads * a->parts, which = item % heads, kv_head = which / a->parts * a->heads;
    const size_t head = kv_head * (a->l->heads / a->l->kv_heads) + which % a->parts * a->group;
    size_t tile = item / heads;
    if (single(a->batch)) {
        const size_t begin = tile * a->tile, end = begin + a->tile;
        run_slots(a, begin, end < a->batch->n_slots ? end : a->batch->n_slots, kv_head, head, scratch);
        return;
    }
    size_t slot = 0;
    for (; tile >= tiles_of(a, slot); slot++) tile -= tiles_of(a, slot);
    run_tile(a, slot, tile, kv_head, head, scratch);
}

/* items thread, thread + stride ...: neighbours cost about the same, so the shares are even */
static void run_share(void *user, size_t begin, size_t end)
{
    const Attention *a = user;
    for (size_t thread = begin; thread < end; thread++)
        for (size_t i = thread; i < a->n_items; i += a->stride) run_item(a, i, a->ws->attend + thread * a->ws->attend_bytes);
}

static MuseAttend *kernel_for(const MuseDecoder *d, MuseKvType type)
{
    const MuseAttendOps *ops = &d->rt->ops.attend;
    if (type == MUSE_KV_TYPE_F32) return ops->attend_f32;
    if (type == MUSE_KV_TYPE_Q8) return ops->attend_q8;
    return d->compute == MUSE_COMPUTE_F32 ? ops->attend_bf16 : ops->attend_bf16_bf16;
}

static MuseAttendWeights *weights_for(const MuseAttendOps *ops, MuseKvType type)
{
    return type == MUSE_KV_TYPE_F32 ? ops->weights_f32 : type == MUSE_KV_TYPE_BF16 ? ops->weights_bf16 : ops->weights_q8;
}

static double work_of(const Attention *a)
{
    double keys = 0;
    for (size_t t = 0; t < a->batch->n_rows; t++) keys += a->ranges[t].hi - a->ranges[t].lo;
    return 2 * keys * a->l->heads * a->l->head_width;
}

/* As many KV heads for each item as its rows allow while the threads' shares stay equal: they lie side by side, so that memory is
 * read in longer pieces (docs/ops/attend.md). Rows of several positions share what is read; there it matters less. */
static size_t heads_at_once(const Attention *a, size_t threads)
{
    size_t heads = a->l->kv_heads;
    while (heads > 1 && (heads * a->group > MUSE_ATTEND_ROWS || a->l->kv_heads % heads || a->l->kv_heads / heads % threads)) heads--;
    return heads;
}

void muse_decoder_attend(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *batch, uint32_t layer)
{
    const MuseLayerConfig *l = &d->model->config.layers[layer];
    const MuseKvLayout *layout = muse_kv_layout(batch->slots[0].kv->pool);
    const MuseKvLayer *at = &layout->layers[layer];
    Attention a = { .d = d, .ws = ws, .batch = batch, .layer = layer, .l = l, .layout = layout, .at = at, .kernel = kernel_for(d, layout->type),
                    .weights = weights_for(&d->rt->ops.attend, layout->type), .ranges = ws->ranges + at->class_of * ws->n_rows, .group = l->heads / l->kv_heads, .heads = 1, .parts = 1 };
    const size_t threads = work_of(&a) < PARALLEL_WORK ? 1 : d->rt->team.threads;
    while (a.group > MUSE_ATTEND_ROWS || (a.group % 2 == 0 && a.group > 1 && l->kv_heads * a.parts < threads && single(batch))) {
        a.parts++;
        while (l->heads / l->kv_heads % a.parts) a.parts++;
        a.group = l->heads / l->kv_heads / a.parts;
    }
    if (batch->n_rows == 1 && a.parts == 1) a.heads = heads_at_once(&a, threads);
    a.group *= a.heads;
    a.tile = MUSE_ATTEND_ROWS / a.group;
    size_t tiles = 0;
    if (single(batch)) tiles = (batch->n_slots + a.tile - 1) / a.tile;
    else for (size_t i = 0; i < batch->n_slots; i++) tiles += tiles_of(&a, i);
    a.n_items = tiles * (l->kv_heads / a.heads) * a.parts;
    a.stride = threads < a.n_items ? threads : a.n_items;
    muse_parallel_for(&d->rt->team, a.stride, 1, run_share, &a);
}
