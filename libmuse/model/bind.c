/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the binding tables: look up, check type and shape, point the member at the tensor; then what only the tensors tell.
 * Reads no values but GGUF's RoPE divisors. Called by model.c. */
#include "libmuse/model/bind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "libmuse/model/levels.h"

enum { NAME_BYTES = 256 };

typedef struct Binder {
    MuseWeights *w;
    MuseConfig  *c;
    const MuseBindTable *table;
    const MuseWeightFile *files[2];   /* main, mmproj */
    uint8_t     *used[2];             /* [tensors of the file] */
    const MuseLog *log;
    MuseError   *err;
    bool         gguf;
} Binder;

/* ---- names ---- */

/* "model.layers.7.mlp.up_proj.weight", "blk.7.ffn_up.weight"; layer < 0: none. False: too long to be in any file. */
static bool make_name(char *name, const char *prefix, const char *group, int layer, const char *leaf)
{
    const int n = layer < 0 ? snprintf(name, NAME_BYTES, "%s%s", prefix, leaf) : snprintf(name, NAME_BYTES, "%s%s.%d.%s", prefix, group, layer, leaf);
    return n > 0 && n < NAME_BYTES;
}

/* The tensor of a row under any published name; *twice names a second one. `name` is then the first published name, for messages. */
static const MuseTensor *look_up(const Binder *b, const MuseBind *row, int layer, char *name, const char **twice)
{
    static const char *const none[] = { "", NULL };
    const char *leaf = b->gguf ? row->gguf : row->hf;
    const char *const *prefixes = b->gguf ? none : b->table->prefixes[row->space];
    const MuseTensor *found = NULL;
    *twice = NULL;
    for (size_t i = 0; i < MUSE_PREFIXES_MAX && prefixes[i]; i++) {
        char alias[NAME_BYTES];
        if (!make_name(alias, prefixes[i], b->gguf ? "blk" : "layers", layer, leaf)) continue;
        if (i == 0) snprintf(name, NAME_BYTES, "%s", alias);
        for (size_t f = 0; f < 2 && b->files[f]; f++) {
            const MuseTensor *t = muse_weights_find(b->files[f], alias);
            if (!t || t == found) continue;
            if (found) *twice = t->name;
            else found = t;
            b->used[f][t - b->files[f]->tensors.items] = 1;
        }
    }
    return found;
}

/* ---- shapes ---- */

static uint64_t dim_value(const MuseConfig *c, const MuseLayerConfig *l, MuseDim dim)
{
    switch (dim) {
    case DIM_1: return 1;
    case DIM_2: return 2;
    case DIM_LEVELS: return MUSE_LEVELS;
    case DIM_D: return c->width;
    case DIM_V: return c->vocab;
    case DIM_F: return c->ffn;
    case DIM_K: return l->head_width;
    case DIM_HK: return (uint64_t)l->heads * l->head_width;
    case DIM_GK: return (uint64_t)l->kv_heads * l->head_width;
    case DIM_H3K: return (uint64_t)l->heads * 3 * l->head_width;
    case DIM_E: return c->image.embed;
    case DIM_P: return (uint64_t)c->image.unit * c->image.unit * 3;
    case DIM_A: return c->audio.frame;
    case DIM_N: return c->image.positions;
    case DIM_M: return c->image.mlp;
    case DIM_X: return c->image.mlp ? c->image.mlp : (uint64_t)c->image.unit * c->image.unit * 3;
    default: return 0;
    }
}

static int check_tensor(const Binder *b, const MuseBind *row, const MuseTensor *t, const MuseLayerConfig *l)
{
    const MuseTensorType *type = muse_tensor_type(t->type);
    const bool plain = t->type == MUSE_TENSOR_F32 || t->type == MUSE_TENSOR_F16 || t->type == MUSE_TENSOR_BF16;
    if (!type->is_weight || (row->plain && !plain))
        return muse_fail(b->err, MUSE_ERR_UNSUPPORTED, "tensor \"%.160s\" is of type %s, which it can't have%s", t->name, type->name, type->is_weight ? ": F32, F16 or BF16 is needed" : "");
    if (row->dims[0] == DIM_END) return 0;   /* its reader checks it */
    uint64_t want[3];
    uint32_t rank = 0;
    while (rank < 3 && row->dims[rank] != DIM_END) {
        want[rank] = dim_value(b->c, l, row->dims[rank]);
        rank++;
    }
    if (t->rank == rank && memcmp(t->shape, want, rank * sizeof *want) == 0) return 0;
    char got_text[128], want_text[128];
    return muse_fail(b->err, MUSE_ERR_FORMAT, "tensor \"%.160s\" has shape %s, but the configuration asks for %s", t->name, muse_shape_text(t->shape, t->rank, got_text, sizeof got_text),
                     muse_shape_text(want, rank, want_text, sizeof want_text));
}

/* ---- which tensors ---- */

/* MUSE_YES: needed; MUSE_NO: must not be there; MUSE_BY_TENSOR: either */
static int wanted(const MuseConfig *c, const MuseLayerConfig *l, MuseWhen when, bool gguf)
{
    switch (when) {
    case WHEN_ALWAYS: return MUSE_YES;
    case WHEN_QKV_BIAS: return c->qkv_bias;
    case WHEN_BIAS: return c->bias;
    case WHEN_QKNORM: return c->qk_norm != MUSE_QKNORM_NONE;
    case WHEN_GATED: return c->act != MUSE_ACT_RELU2;
    case WHEN_V: return l->k_eq_v == MUSE_BY_TENSOR ? MUSE_BY_TENSOR : l->k_eq_v == MUSE_NO;
    case WHEN_HEAD: return MUSE_BY_TENSOR;   /* see settle_head */
    case WHEN_IMAGE: return c->image.live;
    case WHEN_IMAGE_MLP: return c->image.live && c->image.mlp > 0;
    case WHEN_LEVELS: return c->image.live && c->image.levels;
    case WHEN_AUDIO: return c->audio.live;
    case WHEN_ROPE_FREQS: return !gguf ? MUSE_NO : c->arch == MUSE_ARCH_GEMMA4 ? MUSE_YES : c->arch == MUSE_ARCH_LLAMA ? MUSE_BY_TENSOR : MUSE_NO;
    default: return MUSE_NO;
    }
}

static void count_tensor(MuseWeights *w, const MuseTensor *t)
{
    uint64_t values = 0;
    muse_tensor_values(t, &values);
    w->n_parameters += values;
    w->bytes += t->bytes;   /* of mapped files: no overflow */
    w->n_bound++;
}

static int bind_row(Binder *b, const MuseBind *row, void *members, int layer)
{
    char name[NAME_BYTES] = "";
    const char *twice;
    if (!(b->gguf ? row->gguf : row->hf)) return 0;
    MuseLayerConfig *l = layer < 0 ? NULL : &b->c->layers[layer];
    const int want = wanted(b->c, l, row->when, b->gguf);
    const MuseTensor *t = look_up(b, row, layer, name, &twice);
    if (twice) return muse_fail(b->err, MUSE_ERR_FORMAT, "tensors \"%.160s\" and \"%.160s\" are the same one under two names", t->name, twice);
    if (want == MUSE_YES && !t) return muse_fail(b->err, MUSE_ERR_FORMAT, "tensor \"%s\" is missing", name);
    if (want == MUSE_NO && t) {
        if (row->when == WHEN_IMAGE || row->when == WHEN_IMAGE_MLP || row->when == WHEN_AUDIO) {   /* the configuration leaves a medium out */
            muse_log(b->log, MUSE_LOG_WARN, "tensor \"%.160s\" is not used: the configuration does not have this medium", t->name);
            return 0;
        }
        return muse_fail(b->err, MUSE_ERR_FORMAT, "tensor \"%.160s\" is there, but the configuration has no place for it", t->name);
    }
    if (!t) return 0;
    const int rc = check_tensor(b, row, t, l);
    if (rc < 0) return rc;
    memcpy((uint8_t *)members + row->member, &t, sizeof t);
    const uint64_t before = b->w->n_parameters;
    count_tensor(b->w, t);
    if (row->when == WHEN_ROPE_FREQS) b->w->n_parameters = before;   /* constants of the positions, not parameters */
    return 0;
}

static int bind_all(Binder *b)
{
    int rc = 0;
    for (size_t i = 0; i < b->table->n_global && rc == 0; i++) rc = bind_row(b, &b->table->global[i], b->w, -1);
    for (uint32_t n = 0; n < b->c->n_layers && rc == 0; n++)
        for (size_t i = 0; i < b->table->n_layer && rc == 0; i++) rc = bind_row(b, &b->table->layer[i], &b->w->layers[n], (int)n);
    return rc;
}

/* ---- what only the tensors tell ---- */

static void settle_head(Binder *b)
{
    MuseWeights *w = b->w;
    if (w->head && b->c->tied == MUSE_YES) {
        muse_log(b->log, MUSE_LOG_INFO, "tensor \"%.160s\" is not used: the head is tied to the embedding", w->head->name);
        uint64_t values = 0;
        muse_tensor_values(w->head, &values);
        w->n_parameters -= values;
        w->bytes -= w->head->bytes;
        w->n_bound--;
        w->n_unused++;
        w->head = NULL;
    } else if (!w->head && b->c->tied == MUSE_NO) {
        muse_log(b->log, MUSE_LOG_WARN, "the configuration says that the head is not tied, but there is no tensor for it: the embedding is taken");
    }
    b->c->tied = w->head ? MUSE_NO : MUSE_YES;
    if (!w->head) w->head = w->embed;
}

static float read_value(const MuseTensor *t, size_t i)
{
    uint16_t half;
    float f;
    if (t->type == MUSE_TENSOR_F32) {
        memcpy(&f, t->data + 4 * i, 4);
        return f;
    }
    memcpy(&half, t->data + 2 * i, 2);
    return t->type == MUSE_TENSOR_F16 ? muse_f16_f32(half) : muse_bf16_f32(half);
}

/* Gemma: ones, then 1e30 for "does not rotate" (Gemma spec 8.1): that is a number of pairs. Anything else stays a list of divisors. */
static uint32_t leading_ones(const float *divisors, uint32_t n)
{
    uint32_t ones = 0;
    while (ones < n && divisors[ones] == 1) ones++;
    for (uint32_t i = ones; i < n; i++)
        if (!(divisors[i] >= 1e29f)) return UINT32_MAX;
    return ones;
}

static int settle_rope(Binder *b, const MuseAllocator *a)
{
    const MuseTensor *t = b->w->rope_freqs;
    MuseConfig *c = b->c;
    if (!t) return 0;
    const MuseLayerConfig *full = NULL;
    for (uint32_t n = 0; n < c->n_layers && !full; n++)
        if (c->layers[n].window == 0) full = &c->layers[n];
    if (!full) return 0;   /* all layers are windowed: none uses them */
    const uint32_t pairs = full->rope.width / 2;
    if (t->rank != 1 || t->shape[0] != pairs)
        return muse_fail(b->err, MUSE_ERR_FORMAT, "tensor \"%.160s\" has %" PRIu64 " values, but heads have %u pairs", t->name, t->shape[0], pairs);
    float *d = b->w->divisors = muse_alloc_array(a, pairs, sizeof *d);
    if (!d) return MUSE_NOMEM(b->err, pairs * sizeof *d);
    for (uint32_t i = 0; i < pairs; i++) {
        d[i] = read_value(t, i);
        if (!(d[i] > 0 && d[i] <= 1e31f)) return muse_fail(b->err, MUSE_ERR_FORMAT, "tensor \"%.160s\": divisor %u is %g", t->name, i, (double)d[i]);
    }
    const uint32_t ones = leading_ones(d, pairs);
    for (uint32_t n = 0; n < c->n_layers; n++) {
        MuseRope *r = &c->layers[n].rope;
        if (c->layers[n].window != 0) continue;
        if (ones != UINT32_MAX) r->pairs = ones;
        else r->divisors = d;
    }
    return 0;
}

static void settle_keys(Binder *b)
{
    for (uint32_t n = 0; n < b->c->n_layers; n++)
        if (b->c->layers[n].k_eq_v == MUSE_BY_TENSOR) b->c->layers[n].k_eq_v = b->w->layers[n].wv ? MUSE_NO : MUSE_YES;
}

static void report_unused(Binder *b)
{
    for (size_t f = 0; f < 2 && b->files[f]; f++)
        for (size_t i = 0; i < b->files[f]->tensors.n; i++) {
            const char *name = b->files[f]->tensors.items[i].name;
            bool silent = false;
            if (b->used[f][i]) continue;
            for (size_t k = 0; k < 4 && b->table->ignored[k]; k++) silent |= strstr(name, b->table->ignored[k]) != NULL;
            b->w->n_unused++;
            if (!silent) muse_log(b->log, MUSE_LOG_INFO, "tensor \"%.160s\" has no role in family %s and is not used", name, muse_arch_name(b->c->arch));
        }
}

int muse_weights_bind(MuseWeights *w, MuseConfig *c, const MuseAllocator *a, const MuseLog *log, const MuseWeightFile *main, const MuseWeightFile *mmproj, MuseError *err)
{
    *w = (MuseWeights){ 0 };
    Binder b = { .w = w, .c = c, .table = muse_bind_table(c->arch), .files = { main, mmproj }, .log = log, .err = err, .gguf = main->format == MUSE_WEIGHTS_GGUF };
    int rc = 0;
    w->layers = muse_zalloc_array(a, c->n_layers, sizeof *w->layers);
    if (!w->layers) rc = MUSE_NOMEM(err, c->n_layers * sizeof *w->layers);
    for (size_t f = 0; f < 2 && b.files[f] && rc == 0; f++) {
        b.used[f] = muse_zalloc(a, b.files[f]->tensors.n + 1);
        if (!b.used[f]) rc = MUSE_NOMEM(err, b.files[f]->tensors.n + 1);
    }
    w->rows_permuted = b.gguf && c->arch == MUSE_ARCH_LLAMA;
    w->patch_chw = w->place_split = b.gguf && c->image.live;
    if (rc == 0) rc = bind_all(&b);
    if (rc == 0) rc = settle_rope(&b, a);
    if (rc == 0) {
        settle_head(&b);
        settle_keys(&b);
        report_unused(&b);
    }
    muse_free(b.used[0]);
    muse_free(b.used[1]);
    return rc;
}

void muse_weights_clear(MuseWeights *w)
{
    muse_free(w->layers);
    muse_free(w->divisors);
    *w = (MuseWeights){ 0 };
}

/* ---- the tensors of a configuration ---- */

static int plan_row(MuseTensors *out, const MuseConfig *c, const MuseBindTable *table, const MuseBind *row, int layer, MuseError *err)
{
    char name[NAME_BYTES];
    const MuseLayerConfig *l = layer < 0 ? NULL : &c->layers[layer];
    const int want = row->when == WHEN_HEAD ? c->tied == MUSE_NO : wanted(c, l, row->when, false);
    if (!row->hf || row->dims[0] == DIM_END || want == MUSE_NO || !make_name(name, table->prefixes[row->space][0], "layers", layer, row->hf)) return 0;
    MuseTensor t = { .type = MUSE_TENSOR_BF16, .shape = { 1, 1, 1, 1 } };
    while (t.rank < 3 && row->dims[t.rank] != DIM_END) {
        t.shape[t.rank] = dim_value(c, l, row->dims[t.rank]);
        t.rank++;
    }
    const int rc = muse_tensor_measure(&t, name, strlen(name), err);
    return rc < 0 ? rc : muse_tensors_add(out, &t, name, strlen(name), err);
}

int muse_weights_plan(MuseTensors *out, const MuseConfig *c, MuseError *err)
{
    const MuseBindTable *table = muse_bind_table(c->arch);
    int rc = 0;
    for (size_t i = 0; i < table->n_global && rc == 0; i++) rc = plan_row(out, c, table, &table->global[i], -1, err);
    for (uint32_t n = 0; n < c->n_layers && rc == 0; n++)
        for (size_t i = 0; i < table->n_layer && rc == 0; i++) rc = plan_row(out, c, table, &table->layer[i], (int)n, err);
    return rc;
}
