/* SPDX-License-Identifier: Apache-2.0 */
/* Losses with their gradients: cross-entropy of what is to be written, and of label heads. Rows are gathered, so positions
 * without a target cost nothing; logits exist for 512 rows at a time, and their gradient is made where they are. */
#include <string.h>

#include "libmuse/train/net.h"

static size_t chunk(size_t left)
{
    size_t c = MUSE_NET_HEAD_ROWS;
    while (c > MUSE_BATCH_ROUND && c / 2 >= left) c /= 2;   /* the smallest that holds what is left */
    return c;
}

typedef struct Head {
    const void *rows;            /* act [n, D] that rows are gathered from */
    const uint32_t *at;          /* [n]: which ones, stride bytes apart */
    size_t stride, n, size;      /* rows in use, rows of the chunk */
    float *dh;                   /* [.., D]: gradients are added to the same rows */
    size_t w, classes;           /* weights by place */
    const float *bias;           /* or NULL */
    size_t bias_at;
    float cap;
} Head;

static uint32_t row_at(const Head *h, size_t i) { return *(const uint32_t *)(const void *)((const uint8_t *)h->at + i * h->stride); }

static void judge(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Head *h = job;
    const size_t v = h->classes;
    net->ops->cross_entropy(muse_act_at(net, net->dlogits, begin * v), net->losses + begin, net->hits + begin, net->logits + begin * v, h->bias, net->soft + begin, end - begin, v,
                            h->cap);
}

/* Loss of a chunk whose net->soft is filled: logits, their gradient, from there to weights and rows. */
static void chunk_loss(MuseNet *net, const Head *h)
{
    const size_t d = net->c->width;
    const MuseLinear linear = { h->w, h->size, h->classes, d };
    for (size_t i = 0; i < h->size; i++) {
        if (i < h->n) memcpy(muse_act_at(net, net->head_h, i * d), muse_act_at(net, h->rows, row_at(h, i) * d), d * net->act);
        else memset(muse_act_at(net, net->head_h, i * d), 0, d * net->act);
    }
    muse_linear_f32(net, &linear, net->head_h, net->logits, false);
    muse_net_rows(net, h->size, 4 * h->classes, judge, h);
    muse_linear_back_w(net, &linear, net->dlogits, net->head_h);
    muse_linear_back_x_f32(net, &linear, net->dlogits, net->head_dh);
    if (h->bias) net->ops->bias_back(net->grad + h->bias_at, net->dlogits, h->n, h->classes);
    for (size_t i = 0; i < h->n; i++) {
        float *to = h->dh + row_at(h, i) * d;
        const float *from = net->head_dh + i * d;
        for (size_t k = 0; k < d; k++) to[k] += from[k];
    }
}

void muse_loss_text(MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, MuseNetTerms *terms, MuseTaskSums *tasks)
{
    enum { SPREAD = 2 * MUSE_SOFT_RADIUS_MAX + 1 };
    Head h = { .rows = net->h, .dh = net->dh, .stride = sizeof *b->targets, .w = net->layout.head, .classes = net->c->vocab, .cap = net->c->softcap };
    for (size_t at = 0; at < b->n_targets; at += h.n) {
        h.size = chunk(b->n_targets - at);
        h.n = b->n_targets - at < h.size ? b->n_targets - at : h.size;
        h.at = &b->targets[at].row;
        for (size_t i = 0; i < h.size; i++) {
            net->soft[i] = (MuseSoftTarget){ 0 };
            if (i >= h.n) continue;
            const MuseBatchTarget *t = &b->targets[at + i];
            net->soft[i] = muse_batch_soft(net->rules, t->id, net->soft_p + i * SPREAD);
            net->soft[i].weight = (float)(t->weight * scale->group[t->group]);
        }
        chunk_loss(net, &h);
        for (size_t i = 0; i < h.n; i++) {
            const MuseBatchTarget *t = &b->targets[at + i];
            terms->text += (double)net->losses[i] * (double)net->soft[i].weight;
            terms->n_targets++;
            terms->n_hits += net->hits[i];
            if (!tasks || t->task == UINT32_MAX) continue;
            tasks[t->task].loss += (double)net->losses[i];
            tasks[t->task].n++;
            tasks[t->task].hits += net->hits[i];
        }
    }
}

void muse_loss_labels(MuseNet *net, const MuseTrainBatch *b, const MuseNetScale *scale, MuseNetTerms *terms)
{
    static const float one = 1;
    uint32_t rows[MUSE_NET_HEAD_ROWS];
    for (uint32_t head = 0; head < net->rules->n_heads; head++) {
        const size_t first = net->class_at[head];
        Head h = { .rows = net->tap_unit, .dh = net->dtap, .at = rows, .stride = sizeof *rows, .w = net->layout.labels + first * net->c->width,
                   .classes = net->rules->classes[head], .bias = net->master + net->layout.labels_b + first, .bias_at = net->layout.labels_b + first };
        for (size_t at = 0; at < b->n_labels;) {
            h.n = 0;
            for (; at < b->n_labels && h.n < MUSE_NET_HEAD_ROWS; at++) {
                const MuseBatchLabel *l = &b->labels[at];
                if (l->head != head) continue;
                net->soft[h.n] = (MuseSoftTarget){ l->value, 1, &one, (float)(l->weight * scale->head[head]) };
                rows[h.n++] = l->row;
            }
            if (h.n == 0) break;
            h.size = chunk(h.n);
            for (size_t i = h.n; i < h.size; i++) net->soft[i] = (MuseSoftTarget){ 0 };
            chunk_loss(net, &h);
            for (size_t i = 0; i < h.n; i++) terms->labels += (double)net->losses[i] * (double)net->soft[i].weight;
        }
    }
}
