/* SPDX-License-Identifier: Apache-2.0 */
/* muse eval from the inside. eval.c: options and the order of things; eval_ask.c: questions to answers; eval_report.c: counting,
 * printing, calibration; eval_set.c: the data sets. */
#ifndef TOOLS_EVAL_H
#define TOOLS_EVAL_H

#include "tools/cli.h"
#include "tools/eval_set.h"
#include "tools/score.h"

enum { EVAL_BATCH_MAX = 256 };

typedef struct EvalOptions {
    const char  *model, *mmproj, *calibrate;
    const char **sets;          /* [n_sets]; free() it */
    size_t       n_sets;
    uint32_t     mode, agents, views, budget, limit, batch, compute;
    float        temperature, doubt;
    bool         no_look, lines, skip_broken, all_agents, help;
} EvalOptions;

/* One of the different answers of several agents */
typedef struct EvalCandidate {
    char    *text;              /* n bytes; free() it */
    size_t   n;
    uint32_t votes;
    bool     right;
} EvalCandidate;

/* What came of one question. Counts are of all agents that worked on it. */
typedef struct EvalAnswer {
    bool     asked;             /* false: left out, or interrupted */
    bool     right, cut;        /* cut: a thought was ended by its budget */
    char    *given, *thought;   /* free() them; NULL: no answer, no or several thoughts; zero bytes count */
    size_t   n_given, n_thought;
    bool     doubted;           /* auto: what was answered at once was taken back: direct, n_direct bytes, free() it */
    char    *direct;
    size_t   n_direct;
    double   direct_probability;
    EvalCandidate *candidates;  /* contemplating: [n_candidates], the winner first */
    size_t   n_candidates;
    int      finish;            /* MUSE_AGENT_* of the agent, of the first of several */
    double   confidence, agreement, seconds;   /* seconds: its share of the batch */
    uint64_t prompt_tokens, thought_tokens, answer_tokens;
    uint64_t positions;         /* that its sequences hold in the end: prompts (one for each view of the pictures), writing, looks */
    uint32_t looks, bad;
    int      needless;          /* 1: it looked, and is right without looking too; 0: not right without; -1: not known */
} EvalAnswer;

typedef struct EvalTally {
    const char *task;           /* NULL: all of them */
    uint64_t n, right, thought_tokens, looks, positions;
} EvalTally;

typedef struct Eval {
    Cli         *cli;
    EvalOptions  o;
    EvalSets     sets;
    MuseRuntime *rt;
    MuseModel   *model;
    MusePrefixCache *cache;     /* pictures that several questions are about are computed once */
    char        *path;      /* of the model */
    EvalTally   *tasks, all;    /* tasks: in order of appearance */
    size_t       n_tasks;
    uint64_t     answer_tokens, bad, cut, unanswered, looked, needless, left_out, doubted, any;   /* any: one of the answers is right */
    double       seconds;
    bool         interrupted;
    MuseError    error;         /* that ended it early; code 0: none */
    ScorePoint  *points;        /* [sets.n] with --calibrate */
    size_t       n_points;
    yajl_gen     g;
} Eval;

/* ---- eval.c ---- */
void eval_erase_progress(const Eval *e);   /* before something is said on stderr */

/* ---- eval_ask.c ---- */
/* Questions q[0..n) to answers, which the caller clears. MUSE_ERR_CANCELLED: those that were done are asked. */
int  eval_ask(Eval *e, const EvalQuestion *q, size_t n, EvalAnswer *out, MuseError *err);
void eval_answer_clear(EvalAnswer *a);

/* ---- eval_report.c ---- */
int  eval_count(Eval *e, const EvalQuestion *q, const EvalAnswer *a);   /* and prints its line; exit code */
int  eval_print(Eval *e);                                              /* exit code */
int  eval_write_calibration(const Eval *e);                            /* exit code */
extern const char *const eval_modes[];

#endif
