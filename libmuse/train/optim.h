/* SPDX-License-Identifier: Apache-2.0 */
/* Optimisers over the layout's arrays: AdamW for everything, or Muon for the linears and Adam for the rest; schedule, clipping,
 * moving average. Deterministic at a given thread count. Users: trainer.c, tests. */
#ifndef LIBMUSE_TRAIN_OPTIM_H
#define LIBMUSE_TRAIN_OPTIM_H

#include "libmuse/train/net.h"

typedef struct MuseOptimRules {
    bool   muon;
    double rate, momentum;                       /* Muon: of the linears */
    double adam_rate, beta1, beta2, eps, decay;  /* decay: of matrices and tables, times the rate */
    double clip;                                 /* largest norm of all gradients; 0: none */
    double ema;                                  /* share that is kept at each step; 0: no average */
    uint64_t warmup, steps;
    double stable, last;                         /* share of the steps at full rate, warm-up included; factor at the end */
} MuseOptimRules;

typedef struct MuseOptim {
    MuseOptimRules rules;
    float *m, *v, *ema;          /* [layout.n_values]; ema NULL: none */
    float *x, *y, *a, *a2;       /* Muon: [largest matrix], twice; [its smaller side squared], twice */
    void  *xa, *aa, *ba;         /* the same as act */
    double *sums;                /* [threads] */
} MuseOptim;

int  muse_optim_open(MuseOptim *o, const MuseNet *net, const MuseOptimRules *rules, MuseError *err);
void muse_optim_close(MuseOptim *o, const MuseNet *net);

/* Factor of the rates for step number `step`, from 0: warm-up, stable, linear decay (Hu et al. 2024). */
double muse_optim_factor(const MuseOptimRules *r, uint64_t step);
/* Norm of all gradients. */
double muse_optim_norm(MuseOptim *o, MuseNet *net);
/* One step; `norm` as above. Gradients are left as they are. */
void muse_optim_step(MuseOptim *o, MuseNet *net, uint64_t step, double norm);

/* x [rows, cols] f32, to the nearest matrix whose singular values are about 1; five Newton-Schulz steps. For tests too. */
void muse_optim_orthogonalise(MuseOptim *o, MuseNet *net, float *x, size_t rows, size_t cols, double norm);

#endif
