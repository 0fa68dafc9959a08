/* SPDX-License-Identifier: Apache-2.0 */
/* One block, forward and backward side by side:
 *   h1 = norm(x)   qkv = h1 Wqkv^T   heads = turn(norm(q)), turn(norm(k)), v   o = attend   x += o Wo^T
 *   h2 = norm(x)   u = h2 Wup^T      a = relu(u)^2, or silu(gate) up                  x += a Wdown^T
 * Attention itself: attend.c. */
#include <string.h>

#include "libmuse/train/net.h"

typedef struct Step {
    uint32_t layer;
    const MuseLayerActs *a;
    const MuseLayerConfig *lc;
    const MuseLayerPlaces *p;
    const MuseTrainOps *ops;
    size_t d, hk, qkv, f;           /* widths of rows */
    bool gated, qk_norm;
} Step;

static Step step_of(const MuseNet *net, uint32_t layer)
{
    const MuseLayerConfig *lc = &net->c->layers[layer];
    const size_t hk = (size_t)lc->heads * lc->head_width, gk = (size_t)lc->kv_heads * lc->head_width;
    return (Step){ layer, &net->layers[layer], lc, &net->layout.layers[layer], net->ops, net->c->width, hk, hk + 2 * gk, net->c->ffn,
                   net->c->act == MUSE_ACT_SILU_GATED, net->c->qk_norm != MUSE_QKNORM_NONE };
}

/* ---- forward ---- */

static void norm1(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Step *s = job;
    s->ops->norm(muse_act_at(net, s->a->h1, begin * s->d), muse_act_at(net, s->a->unit1, begin * s->d), s->a->rstd1 + begin, net->x + begin * s->d,
                 net->master + s->p->attn_norm, end - begin, s->d, net->c->norm_eps);
}

static void norm2(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Step *s = job;
    s->ops->norm(muse_act_at(net, s->a->h2, begin * s->d), muse_act_at(net, s->a->unit2, begin * s->d), s->a->rstd2 + begin, net->x + begin * s->d,
                 net->master + s->p->ffn_norm, end - begin, s->d, net->c->norm_eps);
}

/* rows to heads: q and k normalised and turned, v as it is */
static void turn(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Step *s = job;
    const size_t width = s->lc->head_width, half = width / 2, n = end - begin, n_turned = (size_t)s->lc->heads + s->lc->kv_heads, plane = muse_plane(net, s->lc);
    for (size_t h = 0; h < n_turned + s->lc->kv_heads; h++) {
        const void *from = muse_act_at(net, s->a->qkv, begin * s->qkv + h * width);
        void *to = muse_act_at(net, s->a->heads, h * plane + begin * width);
        const float *w = s->qk_norm ? net->master + (h < s->lc->heads ? s->p->q_norm : s->p->k_norm) : NULL;
        if (h < n_turned)
            s->ops->turn(to, width, s->a->qk_rstd + h * net->rows + begin, from, s->qkv, w, net->cos + begin * half, net->sin + begin * half, n, 1, width, net->c->norm_eps);
        else
            for (size_t r = 0; r < n; r++) memcpy(muse_act_at(net, to, r * width), muse_act_at(net, from, r * s->qkv), width * net->act);
    }
}

static void activate(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Step *s = job;
    const size_t n = end - begin;
    if (s->gated) s->ops->silu(muse_act_at(net, s->a->a, begin * s->f), muse_act_at(net, s->a->u, begin * 2 * s->f), n, s->f);
    else s->ops->relu2(muse_act_at(net, s->a->a, begin * s->f), muse_act_at(net, s->a->u, begin * s->f), n * s->f);
}

void muse_block(MuseNet *net, const MuseTrainBatch *b, uint32_t layer, size_t n)
{
    const Step s = step_of(net, layer);
    muse_net_rows(net, n, s.d, norm1, &s);
    muse_linear(net, &(MuseLinear){ s.p->qkv, n, s.qkv, s.d }, s.a->h1, s.a->qkv);
    muse_net_rows(net, n, s.qkv, turn, &s);
    muse_attend(net, b, layer);
    muse_linear_f32(net, &(MuseLinear){ s.p->wo, n, s.d, s.hk }, s.a->o, net->x, true);
    muse_net_rows(net, n, s.d, norm2, &s);
    muse_linear(net, &(MuseLinear){ s.p->up, n, s.gated ? 2 * s.f : s.f, s.d }, s.a->h2, s.a->u);
    muse_net_rows(net, n, s.f, activate, &s);
    muse_linear_f32(net, &(MuseLinear){ s.p->down, n, s.d, s.f }, s.a->a, net->x, true);
}

/* ---- backward ---- */

static void activate_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Step *s = job;
    const size_t n = end - begin;
    const void *dy = muse_act_at(net, net->dmid, begin * s->f);
    if (s->gated) s->ops->silu_back(muse_act_at(net, net->dbig, begin * 2 * s->f), dy, muse_act_at(net, s->a->u, begin * 2 * s->f), n, s->f);
    else s->ops->relu2_back(muse_act_at(net, net->dbig, begin * s->f), dy, muse_act_at(net, s->a->u, begin * s->f), n * s->f);
}

static void norm1_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Step *s = job;
    s->ops->norm_back(net->dx + begin * s->d, muse_act_at(net, net->dxa, begin * s->d), muse_net_partial(net, worker), net->dh + begin * s->d, muse_act_at(net, s->a->unit1, begin * s->d), s->a->rstd1 + begin,
                      net->master + s->p->attn_norm, end - begin, s->d);
}

static void norm2_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Step *s = job;
    s->ops->norm_back(net->dx + begin * s->d, muse_act_at(net, net->dxa, begin * s->d), muse_net_partial(net, worker), net->dh + begin * s->d, muse_act_at(net, s->a->unit2, begin * s->d), s->a->rstd2 + begin,
                      net->master + s->p->ffn_norm, end - begin, s->d);
}

static void turn_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Step *s = job;
    const size_t width = s->lc->head_width, half = width / 2;
    for (size_t h = 0; h < (size_t)s->lc->heads + s->lc->kv_heads; h++) {
        const bool q = h < s->lc->heads;
        const float *w = s->qk_norm ? net->master + (q ? s->p->q_norm : s->p->k_norm) : NULL;
        float *dw = muse_net_partial(net, worker) + (q ? 0 : width);
        void *d = muse_act_at(net, net->dbig, begin * s->qkv + h * width);
        s->ops->turn_back(d, s->qkv, dw, d, s->qkv, muse_act_at(net, s->a->qkv, begin * s->qkv + h * width), s->qkv, s->a->qk_rstd + h * net->rows + begin, w,
                          net->cos + begin * half, net->sin + begin * half, end - begin, 1, width);
    }
}

void muse_block_back(MuseNet *net, const MuseTrainBatch *b, uint32_t layer, size_t n, const MuseNetScale *scale)
{
    const Step s = step_of(net, layer);
    const MuseLinear down = { s.p->down, n, s.d, s.f }, up = { s.p->up, n, s.gated ? 2 * s.f : s.f, s.d };
    const MuseLinear out = { s.p->wo, n, s.d, s.hk }, qkv = { s.p->qkv, n, s.qkv, s.d };
    muse_linear_back_w(net, &down, net->dxa, s.a->a);
    muse_linear_back_x(net, &down, net->dxa, net->dmid);
    muse_net_rows(net, n, s.f, activate_back, &s);
    muse_linear_back_w(net, &up, net->dbig, s.a->h2);
    muse_linear_back_x_f32(net, &up, net->dbig, net->dh);
    muse_net_rows(net, n, s.d, norm2_back, &s);
    muse_net_gather_partial(net, net->grad + s.p->ffn_norm, s.d);

    muse_linear_back_w(net, &out, net->dxa, s.a->o);
    muse_linear_back_x(net, &out, net->dxa, net->dmid);
    muse_attend_back(net, b, layer, scale);
    muse_net_rows(net, b->n, s.qkv, turn_back, &s);
    if (s.qk_norm) {
        /* q_norm and k_norm lie side by side */
        muse_net_gather_partial(net, net->grad + s.p->q_norm, 2 * (size_t)s.lc->head_width);
    }
    muse_linear_back_w(net, &qkv, net->dbig, s.a->h1);
    muse_linear_back_x_f32(net, &qkv, net->dbig, net->dh);
    muse_net_rows(net, n, s.d, norm1_back, &s);
    muse_net_gather_partial(net, net->grad + s.p->attn_norm, s.d);
}
