/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, patches and frames to rows:
 *
 *   ids     -> table row * factor
 *   patches -> [bf16] [channel order] [norm1] -> [hidden, levels, relu^2] -> dense -> [norm2] [+ places] [norm3] [rms] -> [proj] -> rows
 *   frames  -> [bf16] [rms] -> proj -> rows
 *
 * What stands in brackets is done where the model has the tensor (or the number) for it. Big tables are read in place, row by
 * row; nothing is allocated after open. Called by the session. */
#include "libmuse/embed/embed.h"

#include <assert.h>
#include <string.h>

#include "libmuse/model/levels.h"

enum {
    PIECE = 64,           /* values that are converted on the stack at a time */
    SLOT_VALUES = 1 << 16 /* least values a thread: a region needs 2^19 operations each (docs/ARCHITECTURE.md, "Threads"), norms do about 8 a value */
};

/* A matrix whose rows are read one by one. */
typedef struct Table {
    const uint8_t *data;
    size_t stride;        /* bytes from row to row */
    size_t item;          /* bytes of a value; 0 for block types */
    MuseDequant *read;
} Table;

typedef struct Affine { const float *w, *b; } Affine;   /* of a LayerNorm; w NULL: there is none */

struct MuseEmbed {
    const MuseModel *model;
    MuseMatmulPlan hidden, dense, proj, frames;          /* rt NULL: the model has no such linear */
    Table  tokens, place_x, place_y, levels;             /* read NULL: none */
    Affine norm1, norm2, norm3;
    const float *hidden_b, *dense_b, *frames_b;
    float *small;                                        /* what those point into */
    size_t patch, between;                               /* P; width of what lies between two linears, 0: there is one */
    bool   patch_bf16, frame_bf16;
};

/* ---- open ---- */

static int open_plan(const MuseEmbed *e, MuseMatmulPlan *plan, const MuseTensor *t, MuseCompute compute, MuseError *err)
{
    if (!t) return 0;
    const MuseWeight w = { .type = muse_weight_type_of_gguf(t->type), .m = (size_t)t->shape[0], .k = (size_t)t->shape[1], .data = t->data, .bytes = (size_t)t->bytes };
    const int rc = muse_matmul_plan_open(plan, e->model->rt, &w, compute, err);
    return rc < 0 ? muse_fail_prefix(err, rc, "tensor \"%.160s\"", t->name) : 0;
}

static Table table_of(const MuseEmbed *e, const MuseTensor *t)
{
    if (!t) return (Table){ 0 };
    const MuseTensorType *type = muse_tensor_type(t->type);
    const size_t width = (size_t)t->shape[t->rank - 1];
    return (Table){ .data = t->data, .stride = width / type->values * type->bytes, .item = type->values == 1 ? type->bytes : 0,
                    .read = muse_quant_dequant(&e->model->rt->ops.quant, muse_weight_type_of_gguf(t->type)) };
}

/* [N, 2, E], or split into [2, N, E]; muse has two tables */
static void open_places(MuseEmbed *e)
{
    const MuseWeights *w = &e->model->weights;
    e->place_x = table_of(e, w->image.place ? w->image.place : w->image.place_cols);
    e->place_y = table_of(e, w->image.place ? w->image.place : w->image.place_rows);
    if (!w->image.place) return;
    e->place_y.data += e->place_y.stride * (w->place_split ? e->model->config.image.positions : 1);
    if (!w->place_split) e->place_x.stride = e->place_y.stride *= 2;
}

/* Small tensors may be of any plain type, at any alignment; kernels take aligned f32. */
static int open_small(MuseEmbed *e, MuseError *err)
{
    const MuseImageWeights *v = &e->model->weights.image;
    const struct { const MuseTensor *from; const float **to; } items[] = {
        { v->norm1, &e->norm1.w }, { v->norm1_b, &e->norm1.b }, { v->hidden_b, &e->hidden_b }, { v->dense_b, &e->dense_b },
        { v->norm2, &e->norm2.w }, { v->norm2_b, &e->norm2.b }, { v->norm3, &e->norm3.w }, { v->norm3_b, &e->norm3.b },
        { e->model->weights.audio.proj_b, &e->frames_b },
    };
    enum { N = sizeof items / sizeof *items, LINE = MUSE_ALIGN / sizeof(float) };
    size_t total = 0;   /* each is at most MUSE_FFN_MAX values */
    for (size_t i = 0; i < N; i++) total += items[i].from ? (size_t)items[i].from->shape[0] + LINE : 0;
    if (total == 0) return 0;
    float *at = e->small = muse_alloc_array(&e->model->rt->alloc, total, sizeof *at);
    if (!at) return MUSE_NOMEM(err, total * sizeof *at);
    for (size_t i = 0; i < N; i++) {
        if (!items[i].from) continue;
        const size_t n = (size_t)items[i].from->shape[0];
        table_of(e, items[i].from).read(at, items[i].from->data, n);
        *items[i].to = at;
        at += (n + LINE - 1) / LINE * LINE;
    }
    return 0;
}

static int fill(MuseEmbed *e, MuseCompute compute, MuseError *err)
{
    const MuseConfig *c = &e->model->config;
    const MuseWeights *w = &e->model->weights;
    e->tokens = table_of(e, w->embed);
    e->levels = table_of(e, w->image.levels);
    open_places(e);
    int rc = open_small(e, err);
    if (rc == 0) rc = open_plan(e, &e->hidden, w->image.hidden, compute, err);
    if (rc == 0) rc = open_plan(e, &e->dense, w->image.dense, compute, err);
    if (rc == 0) rc = open_plan(e, &e->proj, w->image.proj, compute, err);
    if (rc == 0) rc = open_plan(e, &e->frames, w->audio.proj, compute, err);
    if (rc < 0) return rc;
    e->patch = (size_t)c->image.unit * c->image.unit * 3;
    e->between = e->hidden.rt ? c->image.mlp : e->proj.rt ? c->image.embed : 0;
    e->patch_bf16 = (e->hidden.rt ? &e->hidden : &e->dense)->compute >= MUSE_COMPUTE_BF16;
    e->frame_bf16 = e->frames.compute >= MUSE_COMPUTE_BF16;
    return 0;
}

int muse_embed_open(MuseEmbed **out, const MuseModel *model, MuseCompute compute, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, model && (unsigned)compute <= MUSE_COMPUTE_INT8);
    MuseEmbed *e = muse_zalloc(&model->rt->alloc, sizeof *e);
    if (!e) return MUSE_NOMEM(err, sizeof *e);
    e->model = model;
    const int rc = fill(e, compute, err);
    if (rc < 0) goto fail;
    *out = e;
    return 0;
fail:
    muse_embed_close(&e);
    return rc;
}

void muse_embed_close(MuseEmbed **e)
{
    if (!e || !*e) return;
    muse_matmul_plan_close(&(*e)->hidden);
    muse_matmul_plan_close(&(*e)->dense);
    muse_matmul_plan_close(&(*e)->proj);
    muse_matmul_plan_close(&(*e)->frames);
    muse_free((*e)->small);
    muse_free(*e);
    *e = NULL;
}

/* ---- workspace: [n, between], [n, levels], then a part that the products and the re-ordering of patches use in turn ---- */

static bool bytes_of(size_t n, size_t width, size_t *bytes)
{
    size_t values, padded;
    if (!muse_mul_size(n, width, &values) || !muse_mul_size(values, sizeof(float), &padded) || !muse_add_size(padded, MUSE_ALIGN - 1, &padded)) return false;
    *bytes = padded / MUSE_ALIGN * MUSE_ALIGN;
    return true;
}

static bool measure_patches(const MuseEmbed *e, size_t n, size_t *bytes)
{
    const MuseMatmulPlan *const plans[] = { &e->hidden, &e->dense, &e->proj };
    const size_t threads = e->model->rt->team.threads;
    size_t middle, levels, tail = 0;
    if (!bytes_of(n, e->between, &middle) || !bytes_of(n, e->levels.read ? MUSE_LEVELS : 0, &levels)) return false;
    if (e->model->weights.patch_chw) {
        if (!bytes_of(1, e->patch, &tail) || !muse_mul_size(tail, threads < n ? threads : n, &tail)) return false;
    }
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        size_t need = 0;
        if (plans[i]->rt && !muse_matmul_workspace(plans[i], n, &need)) return false;
        if (need > tail) tail = need;
    }
    return muse_add_size(middle, levels, bytes) && muse_add_size(*bytes, tail, bytes);
}

bool muse_embed_workspace(const MuseEmbed *e, size_t n_patches, size_t n_frames, size_t *bytes)
{
    size_t patches = 0, frames = 0;
    if (e->dense.rt && n_patches && !measure_patches(e, n_patches, &patches)) return false;
    if (e->frames.rt && n_frames && !muse_matmul_workspace(&e->frames, n_frames, &frames)) return false;
    *bytes = patches > frames ? patches : frames;
    return true;
}

/* ---- steps over rows, shared out to the team ---- */

typedef struct Run Run;
typedef void Step(const Run *r, float *row, size_t i, float *scratch);

struct Run {
    const MuseEmbed *e;
    Step  *step;
    float *rows;             /* [n, width] */
    size_t n, width, n_slots;
    const uint32_t *x, *y;   /* [n] */
    float *levels;           /* [n, MUSE_LEVELS] */
    float *scratch;          /* one row a slot */
    bool   split;            /* somebody looks at what lies between the third norm and the last */
};

static void run_slots(void *user, size_t first, size_t last)
{
    const Run *r = user;
    size_t stride = 0;
    bytes_of(1, r->width, &stride);
    for (size_t s = first; s < last; s++) {
        float *scratch = r->scratch ? r->scratch + s * (stride / sizeof(float)) : NULL;
        for (size_t i = s * r->n / r->n_slots; i < (s + 1) * r->n / r->n_slots; i++) r->step(r, r->rows + i * r->width, i, scratch);
    }
}

static void over_rows(Run *r, Step *step, float *rows, size_t width)
{
    const MuseTeam *team = &r->e->model->rt->team;
    const size_t most = r->n * width / SLOT_VALUES;
    r->step = step;
    r->rows = rows;
    r->width = width;
    r->n_slots = most < team->threads ? most : team->threads;
    if (r->n_slots > r->n) r->n_slots = r->n;
    if (r->n_slots < 1) r->n_slots = 1;
    muse_parallel_for(team, r->n_slots, 1, run_slots, r);
}

static void round_bf16(const MuseQuantOps *q, float *row, size_t width)
{
    uint16_t half[PIECE];
    for (size_t i = 0; i < width; i += PIECE) {
        const size_t n = width - i < PIECE ? width - i : PIECE;
        q->f32_to_bf16(half, row + i, n);
        q->dequant_bf16(row + i, half, n);
    }
}

static void add_row(const MuseEmbed *e, float *row, size_t width, const Table *t, uint32_t which, float factor)
{
    const uint8_t *from = t->data + which * t->stride;
    float wide[PIECE];
    for (size_t i = 0; i < width; i += PIECE) {
        const size_t n = width - i < PIECE ? width - i : PIECE;
        t->read(wide, from + i * t->item, n);
        for (size_t k = 0; factor != 1 && k < n; k++) wide[k] *= factor;
        e->model->rt->ops.act.add_scaled(row + i, wide, n, 1);
    }
}

/* pixels (row, column, channel) to planes (channel, row, column) */
static void to_planes(float *out, const float *pixels, size_t area)
{
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++) out[c * area + i] = pixels[3 * i + c];
}

static void layernorm(const MuseEmbed *e, float *row, const Affine *a, size_t width)
{
    if (a->w) e->model->rt->ops.norm.layernorm_f32(row, row, a->w, a->b, 1, width, e->model->config.image.norm_eps);
}

static void prepare_patch(const Run *r, float *row, size_t i, float *scratch)
{
    const MuseEmbed *e = r->e;
    if (e->patch_bf16) round_bf16(&e->model->rt->ops.quant, row, r->width);
    if (e->levels.read) muse_patch_levels(row, r->width, r->levels + i * MUSE_LEVELS);
    if (scratch) {   /* the patch follows the weights' order: they are larger */
        to_planes(scratch, row, r->width / 3);
        memcpy(row, scratch, r->width * sizeof *row);
    }
    layernorm(e, row, &e->norm1, r->width);
}

static void square_hidden(const Run *r, float *row, size_t i, float *scratch)
{
    (void)scratch;
    for (uint32_t k = 0; r->e->levels.read && k < MUSE_LEVELS; k++) add_row(r->e, row, r->width, &r->e->levels, k, r->levels[i * MUSE_LEVELS + k]);
    r->e->model->rt->ops.act.relu2(row, row, r->width);
}

static void last_norm(const Run *r, float *row, size_t i, float *scratch)
{
    const MuseModel *m = r->e->model;
    (void)i, (void)scratch;
    if (m->config.image.rms_eps > 0) m->rt->ops.norm.rmsnorm_f32(row, r->width, row, r->width, NULL, 1, r->width, m->config.image.rms_eps);
}

static void place_row(const Run *r, float *row, size_t i, float *scratch)
{
    const MuseEmbed *e = r->e;
    layernorm(e, row, &e->norm2, r->width);
    if (e->place_x.read) add_row(e, row, r->width, &e->place_x, r->x[i], 1);
    if (e->place_y.read) add_row(e, row, r->width, &e->place_y, r->y[i], 1);
    layernorm(e, row, &e->norm3, r->width);
    if (!r->split) last_norm(r, row, i, scratch);
}

static void prepare_frame(const Run *r, float *row, size_t i, float *scratch)
{
    const MuseModel *m = r->e->model;
    (void)i, (void)scratch;
    if (r->e->frame_bf16) round_bf16(&m->rt->ops.quant, row, r->width);
    if (m->config.audio.rms_eps > 0) m->rt->ops.norm.rmsnorm_f32(row, r->width, row, r->width, NULL, 1, r->width, m->config.audio.rms_eps);
}

static void tell(const MuseStages *stages, const char *stage, const float *data, size_t rows, size_t width)
{
    if (stages && stages->fn) stages->fn(stages->user, stage, data, rows, width);
}

static void multiply(const MuseMatmulPlan *plan, float *y, const float *bias, const float *x, size_t n, void *workspace)
{
    const MuseMatmulJob job = { .plan = plan, .y = y, .bias = bias };
    muse_matmul_run(&job, 1, x, n, workspace);
}

/* ---- tokens ---- */

typedef struct TokenRun { const MuseEmbed *e; float *rows; const int32_t *ids; } TokenRun;

static void run_tokens(void *user, size_t begin, size_t end)
{
    const TokenRun *r = user;
    const MuseConfig *c = &r->e->model->config;
    const Table *t = &r->e->tokens;
    for (size_t i = begin; i < end; i++) {
        float *row = r->rows + i * c->width;
        assert(r->ids[i] >= 0 && (uint32_t)r->ids[i] < c->vocab);
        t->read(row, t->data + (size_t)r->ids[i] * t->stride, c->width);
        if (c->embed_scale != 1)
            for (size_t k = 0; k < c->width; k++) row[k] *= c->embed_scale;
    }
}

void muse_embed_tokens(const MuseEmbed *e, float *rows, const int32_t *ids, size_t n)
{
    TokenRun r = { .e = e, .rows = rows, .ids = ids };
    muse_parallel_for(&e->model->rt->team, n, SLOT_VALUES / e->model->config.width + 1, run_tokens, &r);
}

/* ---- patches and frames ---- */

static int check_places(const MuseEmbed *e, const uint32_t *x, const uint32_t *y, size_t n, MuseError *err)
{
    const uint32_t places = e->model->config.image.positions;
    if (!e->place_x.read) return 0;
    MUSE_REQUIRE(err, (x && y) || n == 0);
    for (size_t i = 0; i < n; i++)
        if (x[i] >= places || y[i] >= places)
            return muse_fail(err, MUSE_ERR_LIMIT, "a patch in column %u, row %u of its picture: the model's position table has %u entries", x[i], y[i], places);
    return 0;
}

int muse_embed_patches(const MuseEmbed *e, float *rows, float *patches, const uint32_t *x, const uint32_t *y, size_t n, void *workspace, const MuseStages *stages, MuseError *err)
{
    const MuseConfig *c = &e->model->config;
    if (!e->dense.rt) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: this model takes no pictures", e->model->path);
    const int rc = check_places(e, x, y, n, err);
    if (rc < 0 || n == 0) return rc;
    size_t middle_bytes = 0, levels_bytes = 0;   /* were measured for at least n */
    bytes_of(n, e->between, &middle_bytes);
    bytes_of(n, e->levels.read ? MUSE_LEVELS : 0, &levels_bytes);
    float *middle = workspace, *in = patches, *out = e->proj.rt ? middle : rows;
    float *levels = (float *)((uint8_t *)workspace + middle_bytes);
    void *tail = (uint8_t *)levels + levels_bytes;
    const size_t width = e->dense.weight.m;
    Run r = { .e = e, .n = n, .x = x, .y = y, .levels = levels, .scratch = e->model->weights.patch_chw ? tail : NULL, .split = stages && stages->fn };
    tell(stages, "patches", patches, n, e->patch);
    over_rows(&r, prepare_patch, patches, e->patch);
    r.scratch = NULL;
    if (e->hidden.rt) {
        in = middle;
        multiply(&e->hidden, in, e->hidden_b, patches, n, tail);
        over_rows(&r, square_hidden, in, e->between);
    }
    multiply(&e->dense, out, e->dense_b, in, n, tail);
    tell(stages, "patch_dense", out, n, width);
    over_rows(&r, place_row, out, width);
    if (e->norm3.w) tell(stages, "pos_norm", out, n, width);
    if (r.split) over_rows(&r, last_norm, out, width);
    if (e->proj.rt) multiply(&e->proj, rows, NULL, out, n, tail);
    tell(stages, "rows", rows, n, c->width);
    return 0;
}

void muse_embed_frames(const MuseEmbed *e, float *rows, float *frames, size_t n, void *workspace, const MuseStages *stages)
{
    assert(e->frames.rt);   /* a model without sound has no such span */
    Run r = { .e = e, .n = n };
    if (n == 0) return;
    tell(stages, "frames", frames, n, e->frames.weight.k);
    over_rows(&r, prepare_frame, frames, e->frames.weight.k);
    multiply(&e->frames, rows, e->frames_b, frames, n, workspace);
    tell(stages, "rows", rows, n, e->frames.weight.m);
}
