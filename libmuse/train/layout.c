/* SPDX-License-Identifier: Apache-2.0 */
/* See layout.h. The order of this file is the order of the array. */
#include "libmuse/train/layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/model/levels.h"

uint64_t muse_random_next(MuseRandom *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);   /* Steele, Lea and Flood 2014 */
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double muse_random_unit(MuseRandom *r) { return (double)(muse_random_next(r) >> 11) * 0x1p-53; }

float muse_random_normal(MuseRandom *r)
{
    const double a = 1 - muse_random_unit(r), b = muse_random_unit(r);   /* Box and Muller 1958 */
    return (float)(sqrt(-2 * log(a)) * cos(6.283185307179586 * b));
}

typedef struct Maker {
    MuseLayout *l;
    bool full, overflow;   /* more tensors than counted: a bug; values that do not fit */
} Maker;

static size_t add(Maker *m, const char *name, size_t rows, size_t cols, MuseParamKind kind, float begin)
{
    MuseLayout *l = m->l;
    size_t n, end = 0;
    if (l->n == l->cap) m->full = true;
    if (!muse_mul_size(rows, cols, &n) || !muse_add_size(l->n_values, n, &end) || end > SIZE_MAX / 64) m->overflow = true;
    if (m->full || m->overflow) return 0;
    MuseParam *p = &l->items[l->n++];
    *p = (MuseParam){ .at = l->n_values, .rows = rows, .cols = cols, .kind = (uint8_t)kind, .begin = begin };
    snprintf(p->name, sizeof p->name, "%s", name);
    l->n_values = end;
    return p->at;
}

static void align(Maker *m) { m->l->n_values = (m->l->n_values + 31) / 32 * 32; }   /* products like rows at 64 bytes */

static size_t add_layer(Maker *m, uint32_t layer, const char *name, size_t rows, size_t cols, MuseParamKind kind, float begin)
{
    char full[96];
    snprintf(full, sizeof full, "model.layers.%u.%s", layer, name);
    return add(m, full, rows, cols, kind, begin);
}

/* Residual branches begin at zero, other linears at unit gain for inputs of unit variance. */
static void make_layer(Maker *m, const MuseConfig *c, uint32_t n)
{
    const MuseLayerConfig *lc = &c->layers[n];
    const size_t d = c->width, hk = (size_t)lc->heads * lc->head_width, gk = (size_t)lc->kv_heads * lc->head_width;
    const float unit = 1 / sqrtf((float)d);
    MuseLayerPlaces *p = &m->l->layers[n];
    align(m);
    p->qkv = add_layer(m, n, "self_attn.q_proj.weight", hk, d, MUSE_PARAM_MATRIX, unit);
    add_layer(m, n, "self_attn.k_proj.weight", gk, d, MUSE_PARAM_MATRIX, unit);
    add_layer(m, n, "self_attn.v_proj.weight", gk, d, MUSE_PARAM_MATRIX, unit);
    align(m);
    p->wo = add_layer(m, n, "self_attn.o_proj.weight", d, hk, MUSE_PARAM_MATRIX, 0);
    align(m);
    if (c->act == MUSE_ACT_SILU_GATED) p->up = add_layer(m, n, "mlp.gate_proj.weight", c->ffn, d, MUSE_PARAM_MATRIX, unit);
    const size_t up = add_layer(m, n, "mlp.up_proj.weight", c->ffn, d, MUSE_PARAM_MATRIX, unit);
    if (c->act != MUSE_ACT_SILU_GATED) p->up = up;
    align(m);
    p->down = add_layer(m, n, "mlp.down_proj.weight", d, c->ffn, MUSE_PARAM_MATRIX, 0);
    align(m);
    p->attn_norm = add_layer(m, n, "input_layernorm.weight", 1, d, MUSE_PARAM_VECTOR, 1);
    p->ffn_norm = add_layer(m, n, "post_attention_layernorm.weight", 1, d, MUSE_PARAM_VECTOR, 1);
    if (c->qk_norm == MUSE_QKNORM_NONE) return;
    /* scores of unit vectors times 1.5: prototype measurements (scale 1.5 / sqrt(K) on heads of length sqrt(K)) */
    p->q_norm = add_layer(m, n, "self_attn.q_norm.weight", 1, lc->head_width, MUSE_PARAM_VECTOR, 1.2247449f);
    p->k_norm = add_layer(m, n, "self_attn.k_norm.weight", 1, lc->head_width, MUSE_PARAM_VECTOR, 1.2247449f);
}

static void make_media(Maker *m, const MuseConfig *c)
{
    MuseLayout *l = m->l;
    const size_t d = c->width, p = (size_t)3 * c->image.unit * c->image.unit;
    if (c->image.live) {
        align(m);
        size_t in = p;
        if (c->image.mlp) {
            l->hidden = add(m, "model.image.hidden.weight", c->image.mlp, p, MUSE_PARAM_MATRIX, 1 / sqrtf((float)p));
            align(m);
            in = c->image.mlp;
        }
        l->image_proj = add(m, "model.image.proj.weight", d, in, MUSE_PARAM_MATRIX, 1 / sqrtf((float)in));
        align(m);
        l->rows = add(m, "model.image.place_rows", c->image.positions, d, MUSE_PARAM_TABLE, MUSE_PLACES_DEVIATION);
        l->cols = add(m, "model.image.place_cols", c->image.positions, d, MUSE_PARAM_TABLE, MUSE_PLACES_DEVIATION);
        if (c->image.mlp) l->hidden_b = add(m, "model.image.hidden.bias", 1, c->image.mlp, MUSE_PARAM_VECTOR, 0);
        if (c->image.levels) l->levels = add(m, "model.image.levels.weight", MUSE_LEVELS, c->image.mlp, MUSE_PARAM_TABLE, 1 / sqrtf((float)p));
        l->image_proj_b = add(m, "model.image.proj.bias", 1, d, MUSE_PARAM_VECTOR, 0);
        l->image_norm = add(m, "model.image.norm.weight", 1, p, MUSE_PARAM_VECTOR, 1);
        l->image_norm_b = add(m, "model.image.norm.bias", 1, p, MUSE_PARAM_VECTOR, 0);
    }
    if (!c->audio.live) return;
    align(m);
    l->audio = add(m, "model.audio.proj.weight", d, c->audio.frame, MUSE_PARAM_MATRIX, 1 / sqrtf((float)c->audio.frame));
    l->audio_b = add(m, "model.audio.proj.bias", 1, d, MUSE_PARAM_VECTOR, 0);
}

int muse_layout_make(MuseLayout *l, const MuseAllocator *a, const MuseConfig *c, size_t n_classes, MuseError *err)
{
    const size_t d = c->width;
    memset(l, 0, sizeof *l);
    l->cap = (size_t)c->n_layers * 11 + 21;
    l->items = muse_zalloc_array(a, l->cap, sizeof *l->items);
    l->layers = muse_zalloc_array(a, c->n_layers, sizeof *l->layers);
    if (!l->items || !l->layers) return MUSE_NOMEM(err, l->cap * sizeof *l->items);
    Maker m = { .l = l };
    /* With a tied head a row's logit for its own token is deviation * gain * D at the start: the gain makes it 4 */
    const float deviation = 0.3f;
    l->embed = add(&m, "model.embed_tokens.weight", c->vocab, d, MUSE_PARAM_TABLE, deviation);
    align(&m);
    l->norm = add(&m, "model.norm.weight", 1, d, MUSE_PARAM_VECTOR, c->tied == MUSE_YES ? 4 / (deviation * (float)d) : 1);
    align(&m);
    l->head = l->embed;
    if (c->tied != MUSE_YES) l->head = add(&m, "lm_head.weight", c->vocab, d, MUSE_PARAM_TABLE, 0.02f);
    for (uint32_t n = 0; n < c->n_layers; n++) make_layer(&m, c, n);
    make_media(&m, c);
    align(&m);
    l->n_model = l->n_values;
    const size_t first_extra = l->n;
    if (n_classes) {
        l->labels = add(&m, "train.labels.weight", n_classes, d, MUSE_PARAM_TABLE, 0);
        l->labels_b = add(&m, "train.labels.bias", 1, n_classes, MUSE_PARAM_VECTOR, 0);
    }
    for (size_t i = first_extra; i < l->n; i++) l->items[i].extra = true;
    align(&m);
    if (m.full || m.overflow) return muse_fail(err, MUSE_ERR_LIMIT, "the model has too many parameters for this machine");
    return 0;
}

void muse_layout_clear(MuseLayout *l)
{
    muse_free(l->items);
    muse_free(l->layers);
    memset(l, 0, sizeof *l);
}

/* As measured in a prototype */
void muse_layout_begin_places(float *table, size_t n, size_t d, float deviation, MuseRandom *r)
{
    enum { WAVES = 8 };
    float weights[2 * WAVES];
    for (size_t i = 0; i < d; i++) {
        float power = 0;
        for (int k = 0; k < WAVES; k++) power += 1.0f / (float)(k + 1);
        for (int k = 0; k < 2 * WAVES; k++) weights[k] = muse_random_normal(r) * deviation / sqrtf((float)(k / 2 + 1) * power);
        for (size_t row = 0; row < n; row++) {
            double v = 0;
            for (int k = 0; k < WAVES; k++) {
                const double angle = 3.141592653589793 * (k + 1) * ((double)row + 0.5) / (double)n;
                v += weights[2 * k] * sin(angle) + weights[2 * k + 1] * cos(angle);
            }
            table[row * d + i] = (float)v;
        }
    }
}

void muse_layout_begin(const MuseLayout *l, const MuseConfig *c, uint64_t seed, float *master)
{
    memset(master, 0, l->n_values * sizeof *master);
    for (size_t i = 0; i < l->n; i++) {
        const MuseParam *p = &l->items[i];
        MuseRandom r = { seed * UINT64_C(0x2545f4914f6cdd1d) + i };
        muse_random_next(&r);
        float *to = master + p->at;
        const bool places = c->image.live && (p->at == l->rows || p->at == l->cols) && p->kind == MUSE_PARAM_TABLE;
        if (places) muse_layout_begin_places(to, p->rows, p->cols, p->begin, &r);
        else if (p->kind == MUSE_PARAM_VECTOR)
            for (size_t k = 0; k < p->cols; k++) to[k] = p->begin;
        else if (p->begin != 0)
            for (size_t k = 0; k < p->rows * p->cols; k++) to[k] = p->begin * muse_random_normal(&r);
    }
}
