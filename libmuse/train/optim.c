/* SPDX-License-Identifier: Apache-2.0 */
/* See optim.h. Muon: Jordan et al. 2024; its polynomial's coefficients are theirs. Products run in the network's act type. */
#include "libmuse/train/optim.h"

#include <math.h>
#include <string.h>

int muse_optim_open(MuseOptim *o, const MuseNet *net, const MuseOptimRules *rules, MuseError *err)
{
    const MuseAllocator *a = &net->rt->alloc;
    const MuseLayout *l = &net->layout;
    size_t large = 1, side = 1;
    memset(o, 0, sizeof *o);
    o->rules = *rules;
    for (size_t i = 0; i < l->n && rules->muon; i++) {
        const MuseParam *p = &l->items[i];
        const size_t small = p->rows < p->cols ? p->rows : p->cols;
        if (p->kind != MUSE_PARAM_MATRIX) continue;
        if (p->rows * p->cols > large) large = p->rows * p->cols;
        if (small > side) side = small;
    }
    o->m = muse_zalloc_huge(a, l->n_values, sizeof *o->m);
    o->v = muse_zalloc_huge(a, l->n_values, sizeof *o->v);
    if (rules->ema > 0) o->ema = muse_zalloc_huge(a, l->n_values, sizeof *o->ema);
    o->sums = muse_zalloc_array(a, net->rt->team.threads, sizeof *o->sums);
    o->x = muse_zalloc_huge(a, large, sizeof *o->x);
    o->y = muse_zalloc_huge(a, large, sizeof *o->y);
    o->xa = muse_zalloc_array(a, large, net->act);
    o->a = muse_zalloc_array(a, side * side, sizeof *o->a);
    o->a2 = muse_zalloc_array(a, side * side, sizeof *o->a2);
    o->aa = muse_zalloc_array(a, side * side, net->act);
    o->ba = muse_zalloc_array(a, side * side, net->act);
    const bool some = o->m && o->v && (o->ema || rules->ema == 0) && o->sums && o->x && o->y && o->xa && o->a && o->a2 && o->aa && o->ba;
    if (some) return 0;
    muse_optim_close(o, net);
    return MUSE_NOMEM(err, l->n_values * 8);
}

void muse_optim_close(MuseOptim *o, const MuseNet *net)
{
    (void)net;
    void *const blocks[] = { o->m, o->v, o->ema, o->sums, o->x, o->y, o->xa, o->a, o->a2, o->aa, o->ba };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) muse_free(blocks[i]);
    memset(o, 0, sizeof *o);
}

double muse_optim_factor(const MuseOptimRules *r, uint64_t step)
{
    const double at = (double)step + 1, all = (double)r->steps, flat = all * r->stable;
    if (step < r->warmup) return at / (double)(r->warmup + 1);
    if (at <= flat || all <= flat) return 1;
    if (at >= all) return r->last;
    return 1 - (1 - r->last) * (at - flat) / (all - flat);
}

typedef struct Job {
    MuseOptim *o;
    size_t at;
    float *x, *to;
    const float *from;
    float scale, rate, decay, keep, c1, c2;
} Job;

static void norm_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Job *j = job;
    j->o->sums[worker] = net->ops->sum_squares(j->from + begin, end - begin);
}

static double gather(MuseOptim *o, const MuseNet *net)
{
    double sum = 0;
    for (uint32_t i = 0; i < net->rt->team.threads; i++) {
        sum += o->sums[i];
        o->sums[i] = 0;
    }
    return sum;
}

double muse_optim_norm(MuseOptim *o, MuseNet *net)
{
    const Job job = { .o = o, .from = net->grad };
    muse_net_rows(net, net->layout.n_values, 1, norm_rows, &job);
    return sqrt(gather(o, net));
}

static void adam_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Job *j = job;
    const MuseOptimRules *r = &j->o->rules;
    const size_t at = j->at + begin;
    net->ops->adam(muse_act_at(net, net->work, at), net->master + at, j->o->m + at, j->o->v + at, net->grad + at, end - begin, j->scale, j->rate, j->decay, (float)r->beta1,
                   (float)r->beta2, (float)r->eps, j->c1, j->c2);
}

static void momentum_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Job *j = job;
    const size_t at = j->at + begin;
    j->o->sums[worker] = net->ops->momentum(j->x + begin, j->o->m + at, net->grad + at, end - begin, j->scale, (float)j->o->rules.momentum);
}

static void descend_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Job *j = job;
    const size_t at = j->at + begin;
    net->ops->descend(muse_act_at(net, net->work, at), net->master + at, j->x + begin, end - begin, j->rate, j->decay);
}

static void average_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Job *j = job;
    net->ops->average(j->o->ema + begin, net->master + begin, end - begin, j->keep);
}

/* X [s, l] with s <= l as stored (turned: X lies as [l, s]); one step X <- a X + (b A + c A^2) X with A = X X^T */
static void newton_schulz(MuseOptim *o, MuseNet *net, size_t rows, size_t cols)
{
    const bool tall = rows > cols;
    const size_t s = tall ? cols : rows, l = tall ? rows : cols, n = rows * cols;
    const MuseGemmArgs gram = { s, s, l, o->xa, o->xa, o->a, cols, cols, s, tall, !tall, false, net->bf16, false };
    const MuseGemmArgs square = { s, s, s, o->aa, o->aa, o->a2, s, s, s, false, true, false, net->bf16, false };   /* A is symmetric */
    const MuseGemmArgs apply = { rows, cols, s, tall ? o->xa : o->ba, tall ? o->ba : o->xa, o->y, tall ? cols : s, tall ? s : cols, cols, false, false, false, net->bf16, false };
    muse_gemm_run(net->gemm, MUSE_GEMM_TEAM, &gram);
    net->ops->store(o->aa, o->a, s * s);
    muse_gemm_run(net->gemm, MUSE_GEMM_TEAM, &square);
    net->ops->mix(o->ba, o->a, o->a2, s * s, -4.7750f, 2.0315f);
    muse_gemm_run(net->gemm, MUSE_GEMM_TEAM, &apply);
    net->ops->load(o->x, o->xa, n);
    net->ops->mix(o->xa, o->x, o->y, n, 3.4445f, 1);
}

void muse_optim_orthogonalise(MuseOptim *o, MuseNet *net, float *x, size_t rows, size_t cols, double norm)
{
    const float scale = (float)(1 / (norm + 1e-7));
    net->ops->mix(o->xa, x, x, rows * cols, scale, 0);
    for (int i = 0; i < 5; i++) newton_schulz(o, net, rows, cols);
    net->ops->load(x, o->xa, rows * cols);
}

static void muon(MuseOptim *o, MuseNet *net, const MuseParam *p, double factor, float scale)
{
    const size_t n = p->rows * p->cols;
    const double shape = p->rows > p->cols ? sqrt((double)p->rows / (double)p->cols) : 1, rate = o->rules.rate * factor;
    const Job job = { .o = o, .at = p->at, .x = o->x, .scale = scale, .rate = (float)(rate * shape), .decay = (float)(rate * o->rules.decay) };
    muse_net_rows(net, n, 1, momentum_rows, &job);
    muse_optim_orthogonalise(o, net, o->x, p->rows, p->cols, sqrt(gather(o, net)));
    muse_net_rows(net, n, 1, descend_rows, &job);
}

void muse_optim_step(MuseOptim *o, MuseNet *net, uint64_t step, double norm)
{
    const MuseOptimRules *r = &o->rules;
    const double factor = muse_optim_factor(r, step), t = (double)step + 1;
    const float scale = r->clip > 0 && norm > r->clip ? (float)(r->clip / norm) : 1;
    for (size_t i = 0; i < net->layout.n; i++) {
        const MuseParam *p = &net->layout.items[i];
        if (r->muon && p->kind == MUSE_PARAM_MATRIX) {
            muon(o, net, p, factor, scale);
            continue;
        }
        const double rate = r->adam_rate * factor;
        const Job job = { .o = o, .at = p->at, .scale = scale, .rate = (float)rate, .decay = p->kind == MUSE_PARAM_VECTOR ? 0 : (float)(rate * r->decay),
                          .c1 = (float)(1 / (1 - pow(r->beta1, t))), .c2 = (float)(1 / (1 - pow(r->beta2, t))) };
        muse_net_rows(net, p->rows * p->cols, 1, adam_rows, &job);
    }
    if (!o->ema) return;
    /* the first steps count less than the share says, so that the beginning does not linger */
    const double keep = r->ema < t / (t + 10) ? r->ema : t / (t + 10);
    const Job job = { .o = o, .keep = step == 0 ? 0 : (float)keep };
    muse_net_rows(net, net->layout.n_values, 1, average_rows, &job);
}
