/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of data sets (docs/eval.md): JSONL lines read and checked, their pictures and sounds opened when they are asked.
 * Users: muse eval. */
#ifndef TOOLS_EVAL_SET_H
#define TOOLS_EVAL_SET_H

#include <stdbool.h>
#include <yajl/yajl_tree.h>

#include "muse/muse.h"

typedef struct EvalQuestion {
    const char *set;          /* path of its file, as given */
    size_t      line;         /* as an editor counts */
    const char *task;
    const char *answer;
    yajl_val    shared, own;  /* parts: of the line; of the branch, NULL if it is none */
    yajl_val    accept;       /* list of texts, or NULL */
} EvalQuestion;

/* Start with zeros. */
typedef struct EvalSets {
    EvalQuestion *questions;
    yajl_val     *lines;      /* what the questions point into */
    size_t        n, cap, n_lines, cap_lines;
    size_t        skipped;    /* broken lines that were left out */
    bool          skip_broken;
} EvalSets;

/* Add the questions of a file, at most `limit` (0: all). A broken line is an error that names file and line; with skip_broken it is
 * said on stderr, counted and left out. 0; MUSE_ERR_IO, _FORMAT, _NOMEM. */
int  eval_sets_add(EvalSets *sets, const char *path, size_t limit, MuseError *err);
void eval_sets_clear(EvalSets *sets);

/* The parts of a question with their media opened; *out has room for eval_parts_max(). Release with eval_parts_close(), also after
 * errors, which name file and line. */
size_t eval_parts_max(const EvalQuestion *q);
int    eval_parts_open(const EvalQuestion *q, MuseRuntime *rt, MuseReasonPart *out, size_t *n, MuseError *err);
void   eval_parts_close(MuseReasonPart *parts, size_t n);

bool   eval_is_right(const EvalQuestion *q, const char *given, size_t n);
int    eval_say_where(const EvalQuestion *q, MuseError *err);   /* puts "file:line: " before the text; returns err->code */

#endif
