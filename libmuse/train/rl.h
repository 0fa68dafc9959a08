/* SPDX-License-Identifier: Apache-2.0 */
/* Trial and reward: agents answer prompts several times, what they wrote becomes training samples with weights. docs/train.md,
 * "Trial and reward". rl.c is the arithmetic, rollout.c the agents, rl_guard.c what is measured on held-out prompts and kept.
 * Users: trainer.c, tests. */
#ifndef LIBMUSE_TRAIN_RL_H
#define LIBMUSE_TRAIN_RL_H

#include "libmuse/train/data.h"
#include "libmuse/train/train_config.h"

/* ---- arithmetic ---- */

enum { MUSE_BUDGET_STEPS = 6 };                     /* docs/train.md, "Trial and reward" */

/* Rewards of the rollouts of one prompt. budget: share of the longest that a right answer may have before it is cut. */
void muse_rl_rewards(const MuseRewardRules *rules, const MuseTrainRollout *r, size_t n, double budget, double *rewards);

/* Rewards [groups, n] become advantages: less the group's mean; by_task: over the root mean square of all of that task, at least
 * MUSE_SCALE_LEAST. slots: [groups] which task. */
#define MUSE_SCALE_LEAST 0.05
void muse_rl_advantages(double *values, size_t groups, size_t n, const uint32_t *slots, bool by_task);

/* What thinking is worth at a prompt: how much more often the second n rollouts, which thought, are right than the first n, which
 * answered at once. */
double muse_rl_gain(const MuseTrainRollout *r, size_t n);
/* Odds p / (1 - p) of an id, at most MUSE_ODDS_MOST. logits [n]. NaN: they are not finite */
double muse_rl_odds(const float *logits, size_t n, int32_t id);
#define MUSE_ODDS_MOST 1e3   /* times 1 - p of the trainer it is to be p: its kernels and the rollouts' differ in p's last bits, and of 1 - p these are the more the smaller it is */

/* How far the thoughts of a task may be shortened */
typedef struct MuseRlTask {
    double budget;
    double n[2], right[2];                          /* rollouts within the next lower budget, and the others */
    double first, last;                             /* accuracy when made to think at the first and the newest measurement; -1: none */
} MuseRlTask;
void muse_rl_budget_note(MuseRlTask *t, const MuseTrainRollout *r, size_t n);
/* Lowers it if the shorter ones are as good, within one point; and forgets what was noted. held: it must not fall */
void muse_rl_budget_step(MuseRlTask *t, bool held);

/* ---- a run ---- */

enum { MUSE_RL_SLOTS = MUSE_TASKS_MAX + 1 };        /* the last one in use: prompts without a task */

/* What a step changes before it is known to succeed */
typedef struct MuseRlMark {
    uint64_t   number, measured_at;
    size_t     csv_len;
    MuseRlTask tasks[MUSE_RL_SLOTS];
} MuseRlMark;

typedef struct MuseRl {
    MuseRuntime *rt, *quiet;                        /* quiet: of rollouts; as rt, but it does not tell of every picture how it was scaled */
    const MuseTrainConfig *c;
    MuseTrainPrompts prompts;
    MuseJsonl   *files[2];                          /* prompts, held out */
    MuseJsonlRules rules;
    uint64_t     number, measured_at;               /* next prompt; step of the newest measurement, UINT64_MAX: none */
    MuseRlTask   tasks[MUSE_RL_SLOTS];
    MuseTrainGuard guard[MUSE_RL_SLOTS];
    uint32_t     n_slots;
    MuseBuf      csv;
    double       divisor;                           /* of the step's weights */
    double       reward, right, tokens, thinks;     /* sums over the step's rollouts */
    uint64_t     n;
    MuseRlMark   mark;
} MuseRl;

/* prompts NULL: of the document. 0; MUSE_ERR_UNSUPPORTED; those of muse_jsonl_open(). Close also after errors. */
int  muse_rl_open(MuseRl *rl, MuseRuntime *rt, const MuseTrainConfig *c, const MuseTextTokenizer *tokenizer, const MuseTrainPrompts *prompts, MuseError *err);
void muse_rl_close(MuseRl *rl);

/* One step's rollouts on the model; take() gets the samples and copies what it needs. */
typedef int MuseRlTake(void *user, const MuseTrainSample *sample, MuseError *err);
int  muse_rl_step(MuseRl *rl, MuseModel *model, uint64_t step, MuseRlTake *take, void *user, MuseError *err);
/* Measures, and adds rows to rl->csv. */
int  muse_rl_measure(MuseRl *rl, MuseModel *model, uint64_t step, MuseError *err);
bool muse_rl_due(const MuseRl *rl, uint64_t step, bool last);

/* Before a step; and, where it failed, back: what is saved then goes on as if it had not been tried. */
void muse_rl_mark(MuseRl *rl);
void muse_rl_back(MuseRl *rl);

/* What a resumed run needs, as JSON; and back. 0; MUSE_ERR_NOMEM; MUSE_ERR_FORMAT */
int  muse_rl_write(const MuseRl *rl, MuseBuf *json, MuseError *err);
int  muse_rl_read(MuseRl *rl, const void *json, size_t n, MuseError *err);

/* ---- rollout.c for rl_guard.c: agents on prompts ---- */

typedef struct MuseTrial {
    MuseTrainPrompt prompt;
    MuseAgent *root;                                /* at the end of the prompt; forks write */
    uint32_t   slot;
} MuseTrial;

typedef struct MuseTrials {
    MuseRl    *rl;
    MuseModel *model;
    MuseTrial *trials;                              /* [n] */
    size_t     n, each;
    MuseAgent **agents;                             /* [n, each] */
    MuseTrainRollout *rollouts;                     /* [n, each] */
} MuseTrials;

enum { MUSE_START_FREE, MUSE_START_DIRECT, MUSE_START_THINK };   /* how an agent begins: free, thought closed, thought begun */

int  muse_trials_open(MuseTrials *t, MuseRl *rl, MuseModel *model, size_t n, size_t each, uint64_t *number, bool held_out, MuseError *err);
int  muse_trials_fork(MuseTrials *t, size_t trial, size_t i, int start, uint64_t seed, float temperature, MuseError *err);
int  muse_trials_run(MuseTrials *t, MuseError *err);   /* all of them, then judges */
void muse_trials_close(MuseTrials *t);
/* rewards, advantages, samples: stage "grpo" */
int  muse_trials_learn(MuseTrials *t, MuseRlTake *take, void *user, MuseError *err);

/* ---- jsonl_prompt.c ---- */

int  muse_jsonl_prompt(MuseJsonl *j, uint64_t number, MuseTrainPrompt *out, MuseError *err);
/* one line's text, in this pass over the file; out is zeroed on error. teller NULL: unknown keys are not told. For fuzzing too */
int  muse_jsonl_prompt_line(const MuseJsonlRules *rules, const char *folder, const char *text, size_t n, uint64_t pass, const MuseJsonlTeller *teller, MuseTrainPrompt *out, MuseError *err);
void muse_jsonl_prompt_release(MuseTrainPrompt *p);

#endif
