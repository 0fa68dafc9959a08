/* SPDX-License-Identifier: Apache-2.0 */
/* The muse network written plainly in double: loss of a batch as a function of its parameters, one position at a time, full
 * T x T attention, no packing tricks. What the gradients of libmuse/train are held against. User: test_net.c. */
#ifndef TESTS_GRAD_REFERENCE_H
#define TESTS_GRAD_REFERENCE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libmuse/train/net.h"

static double *ref_new(size_t n) { return calloc(n ? n : 1, sizeof(double)); }

static void ref_norm(double *y, const double *x, const double *w, size_t d, double eps)
{
    double sum = 0;
    for (size_t i = 0; i < d; i++) sum += x[i] * x[i];
    const double r = 1 / sqrt(sum / (double)d + eps);
    for (size_t i = 0; i < d; i++) y[i] = x[i] * r * (w ? w[i] : 1);
}

static void ref_linear(double *y, const double *w, const double *x, size_t m, size_t k)
{
    for (size_t i = 0; i < m; i++) {
        y[i] = 0;
        for (size_t j = 0; j < k; j++) y[i] += w[i * k + j] * x[j];
    }
}

static double ref_relu2(double u) { return u > 0 ? u * u : 0; }

/* docs/FORMATS.md: 4 (mean - 1/2) of red, green and blue, 4 standard deviations of all; w: of one value, a row of mlp apart */
static double ref_levels(const float *patch, size_t p, double var, const double *w, size_t mlp)
{
    double sum = 4 * sqrt(var) * w[3 * mlp];
    for (size_t i = 0; i < p; i++) sum += 4 * ((double)patch[i] - 0.5) * 3 / (double)p * w[i % 3 * mlp];
    return sum;
}

/* rows of the batch, before the first block */
static void ref_embed(const MuseNet *net, const MuseTrainBatch *b, const double *w, double *x)
{
    const MuseLayout *l = &net->layout;
    const MuseConfig *c = net->c;
    const size_t d = c->width, p = 3 * (size_t)c->image.unit * c->image.unit, mlp = c->image.mlp;
    for (size_t r = 0; r < b->n; r++)
        for (size_t i = 0; b->id[r] >= 0 && i < d; i++) x[r * d + i] = w[l->embed + (size_t)b->id[r] * d + i];
    double *v = ref_new(p), *u = ref_new(mlp);
    for (size_t k = 0; k < b->n_patches; k++) {
        const float *from = b->patches + k * p;
        const size_t r = b->patch_row[k];
        double mean = 0, var = 0;
        for (size_t i = 0; i < p; i++) mean += (double)from[i] / (double)p;
        for (size_t i = 0; i < p; i++) var += ((double)from[i] - mean) * ((double)from[i] - mean) / (double)p;
        for (size_t i = 0; i < p; i++) v[i] = ((double)from[i] - mean) / sqrt(var + (double)c->image.norm_eps) * w[l->image_norm + i] + w[l->image_norm_b + i];
        if (mlp) {
            ref_linear(u, w + l->hidden, v, mlp, p);
            for (size_t i = 0; i < mlp; i++) u[i] = ref_relu2(u[i] + w[l->hidden_b + i] + (c->image.levels ? ref_levels(from, p, var, w + l->levels + i, mlp) : 0));
        }
        ref_linear(x + r * d, w + l->image_proj, mlp ? u : v, d, mlp ? mlp : p);
        for (size_t i = 0; i < d; i++)
            x[r * d + i] += w[l->image_proj_b + i] + w[l->rows + (size_t)b->y[r] * d + i] + w[l->cols + (size_t)b->x[r] * d + i];
    }
    for (size_t k = 0; k < b->n_frames; k++) {
        double *f = ref_new(c->audio.frame);
        for (size_t i = 0; i < c->audio.frame; i++) f[i] = (double)b->frames[k * c->audio.frame + i];
        ref_linear(x + b->frame_row[k] * d, w + l->audio, f, d, c->audio.frame);
        for (size_t i = 0; i < d; i++) x[b->frame_row[k] * d + i] += w[l->audio_b + i];
        free(f);
    }
    free(v);
    free(u);
}

static void ref_turn(const MuseNet *net, const MuseTrainBatch *b, size_t row, double *head)
{
    const MuseRope *rope = &net->c->layers[0].rope;
    const size_t half = net->c->layers[0].head_width / 2;
    const double at[3] = { b->t[row], b->y[row], b->x[row] };
    size_t i = 0;
    for (int axis = 0; axis < 3; axis++)
        for (uint32_t j = 0; j < rope->axes[axis]; j++, i++) {
            const double angle = at[axis] * pow(rope->base, -(double)j / rope->axes[axis]), a = head[i], z = head[i + half];
            head[i] = a * cos(angle) - z * sin(angle);
            head[i + half] = z * cos(angle) + a * sin(angle);
        }
}

static double ref_gaze(const MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, uint32_t layer, uint32_t head, size_t row, const double *p)
{
    double loss = 0;
    for (size_t i = 0; i < b->n_gazes && layer == net->gaze_layer && head == net->gaze_head; i++) {
        if (b->gazes[i].row != row) continue;
        double sum = 0;
        for (uint32_t t = 0; t < b->gazes[i].n_targets; t++) sum += p[b->gaze_rows[b->gazes[i].first_target + t]];
        loss -= log(sum) * (double)b->gazes[i].weight * scale->gaze;
    }
    return loss;
}

static double ref_attend(const MuseNet *net, const MuseTrainBatch *b, const double *w, const MuseNetScale *scale, uint32_t layer, const double *h, double *x)
{
    const MuseLayerConfig *c = &net->c->layers[layer];
    const MuseLayerPlaces *p = &net->layout.layers[layer];
    const size_t d = net->c->width, K = c->head_width, H = c->heads, G = c->kv_heads, width = (H + 2 * G) * K, n = b->n;
    double *qkv = ref_new(n * width), *o = ref_new(H * K), *weight = ref_new(n), *add = ref_new(d), loss = 0;
    const bool normed = net->c->qk_norm != MUSE_QKNORM_NONE;
    for (size_t r = 0; r < n; r++) {
        double *row = qkv + r * width;
        ref_linear(row, w + p->qkv, h + r * d, width, d);
        for (size_t i = 0; i < H + G; i++) {
            if (normed) ref_norm(row + i * K, row + i * K, w + (i < H ? p->q_norm : p->k_norm), K, (double)net->c->norm_eps);
            ref_turn(net, b, r, row + i * K);
        }
    }
    for (size_t r = 0; r < n; r++) {
        const MuseSeen s = b->seen[r];
        for (size_t head = 0; head < H; head++) {
            const double *q = qkv + r * width + head * K;
            const size_t kv = head / (H / G);
            double sum = 0;
            memset(o + head * K, 0, K * sizeof *o);
            for (size_t j = 0; j < n; j++) {
                const bool sees = (j >= s.lo0 && j < s.hi0) || (j >= s.lo1 && j < s.hi1);
                const double *key = qkv + j * width + (H + kv) * K;
                double dot = 0;
                for (size_t i = 0; i < K; i++) dot += q[i] * key[i];
                sum += weight[j] = sees ? exp(dot * (double)c->scale) : 0;
            }
            for (size_t j = 0; j < n; j++) {
                const double *value = qkv + j * width + (H + G + kv) * K;
                weight[j] /= sum;
                for (size_t i = 0; i < K; i++) o[head * K + i] += weight[j] * value[i];
            }
            loss += ref_gaze(net, b, scale, layer, (uint32_t)head, r, weight);
        }
        ref_linear(add, w + p->wo, o, d, H * K);
        for (size_t i = 0; i < d; i++) x[r * d + i] += add[i];
    }
    free(qkv);
    free(o);
    free(weight);
    free(add);
    return loss;
}

static void ref_mlp(const MuseNet *net, const double *w, uint32_t layer, double *x)
{
    const MuseLayerPlaces *p = &net->layout.layers[layer];
    const size_t d = net->c->width, f = net->c->ffn;
    const bool gated = net->c->act == MUSE_ACT_SILU_GATED;
    double *h = ref_new(d), *u = ref_new(2 * f), *add = ref_new(d);
    ref_norm(h, x, w + p->ffn_norm, d, (double)net->c->norm_eps);
    ref_linear(u, w + p->up, h, gated ? 2 * f : f, d);
    for (size_t i = 0; i < f; i++) u[i] = gated ? u[i] / (1 + exp(-u[i])) * u[f + i] : ref_relu2(u[i]);
    ref_linear(add, w + p->down, u, d, f);
    for (size_t i = 0; i < d; i++) x[i] += add[i];
    free(h);
    free(u);
    free(add);
}

/* sum_j p_j (lse - z_j) */
static double ref_cross_entropy(const double *z, size_t n, const MuseSoftTarget *t)
{
    double sum = 0, loss = 0;
    for (size_t i = 0; i < n; i++) sum += exp(z[i]);
    for (uint32_t j = 0; j < t->n; j++) loss += (double)t->p[j] * (log(sum) - z[t->first + j]);
    return loss;
}

static double ref_labels(const MuseNet *net, const MuseTrainBatch *b, const double *w, const MuseNetScale *scale, const double *x)
{
    const size_t d = net->c->width;
    double loss = 0, *unit = ref_new(d), *z = ref_new(net->n_classes);
    for (size_t i = 0; i < b->n_labels; i++) {
        const MuseBatchLabel *l = &b->labels[i];
        const size_t first = net->class_at[l->head], n = net->rules->classes[l->head];
        const float one = 1;
        ref_norm(unit, x + l->row * d, NULL, d, (double)net->c->norm_eps);
        ref_linear(z, w + net->layout.labels + first * d, unit, n, d);
        for (size_t k = 0; k < n; k++) z[k] += w[net->layout.labels_b + first + k];
        loss += ref_cross_entropy(z, n, &(MuseSoftTarget){ l->value, 1, &one, 1 }) * (double)l->weight * scale->head[l->head];
    }
    free(unit);
    free(z);
    return loss;
}

static double ref_loss(const MuseNet *net, const MuseTrainBatch *b, const double *w, const MuseNetScale *scale)
{
    const MuseConfig *c = net->c;
    const size_t d = c->width;
    double *x = ref_new(b->n * d), *h = ref_new(b->n * d), *z = ref_new(c->vocab), loss = 0;
    ref_embed(net, b, w, x);
    for (uint32_t l = 0; l <= c->n_layers; l++) {
        if (l == net->tap) loss += ref_labels(net, b, w, scale, x);
        if (l == c->n_layers) break;
        for (size_t r = 0; r < b->n; r++) ref_norm(h + r * d, x + r * d, w + net->layout.layers[l].attn_norm, d, (double)c->norm_eps);
        loss += ref_attend(net, b, w, scale, l, h, x);
        for (size_t r = 0; r < b->n; r++) ref_mlp(net, w, l, x + r * d);
    }
    for (size_t i = 0; i < b->n_targets; i++) {
        const MuseBatchTarget *t = &b->targets[i];
        float p[2 * MUSE_SOFT_RADIUS_MAX + 1];
        const MuseSoftTarget soft = muse_batch_soft(net->rules, t->id, p);
        ref_norm(h, x + t->row * d, w + net->layout.norm, d, (double)c->norm_eps);
        ref_linear(z, w + net->layout.head, h, c->vocab, d);
        for (size_t k = 0; c->softcap > 0 && k < c->vocab; k++) z[k] = (double)c->softcap * tanh(z[k] / (double)c->softcap);
        loss += ref_cross_entropy(z, c->vocab, &soft) * (double)t->weight * scale->group[t->group];
    }
    free(x);
    free(h);
    free(z);
    return loss;
}

#endif
