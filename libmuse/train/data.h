/* SPDX-License-Identifier: Apache-2.0 */
/* Samples by number: the sources of a training document mixed by their weights, and a loader whose threads make samples ahead.
 * Sample number n is the same in every run. Users: trainer.c, tests. */
#ifndef LIBMUSE_TRAIN_DATA_H
#define LIBMUSE_TRAIN_DATA_H

#include <stdatomic.h>

#include "libmuse/train/train_config.h"
#include "muse/train.h"
#include "ops/runtime.h"

/* ---- a sample under construction: a prefix, then branch after branch, each part behind the one before ---- */

/* Its buffers grow; pointers are set by finish. Begin, and clear in any case. Every call: 0 or MUSE_ERR_NOMEM. */
typedef struct MuseSampleDraft {
    MuseBuf parts, ids, weights, features, branches;   /* PartDraft, int32_t, float, float, MuseTrainBranch */
} MuseSampleDraft;

void muse_draft_begin(MuseSampleDraft *d, const MuseAllocator *a);
void muse_draft_clear(MuseSampleDraft *d);
/* what follows is of a new branch */
int  muse_draft_branch(MuseSampleDraft *d, uint32_t task, uint32_t group, MuseError *err);
int  muse_draft_ids(MuseSampleDraft *d, const int32_t *ids, const float *weights, size_t n, MuseError *err);   /* weights NULL: 0 */
/* n positions of `width` values; *to: room for them, until the next call */
int  muse_draft_features(MuseSampleDraft *d, int32_t modality, uint32_t grid_width, uint32_t grid_height, size_t n, size_t width, float **to, MuseError *err);
/* The sample owns the contents from here on. */
int  muse_draft_finish(MuseSampleDraft *d, MuseTrainSample *out, MuseError *err);
void muse_draft_release(MuseTrainSample *s);

/* ---- one JSONL file: docs/train.md, "Data" ---- */

typedef struct MuseJsonl MuseJsonl;

typedef struct MuseJsonlRules {
    MuseRuntime *rt;
    const MuseConfig *model;
    const MuseTextTokenizer *tokenizer;
    const char *const *tasks;    /* [n_tasks]; n_tasks 0: names are not looked at */
    uint32_t n_tasks;
    uint64_t seed;
    bool shuffle, skip_broken;
} MuseJsonlRules;

/* 0; MUSE_ERR_IO; MUSE_ERR_FORMAT: no lines; MUSE_ERR_NOMEM. What the rules point to is borrowed until close. */
int    muse_jsonl_open(MuseJsonl **out, const char *path, const MuseJsonlRules *rules, MuseError *err);
void   muse_jsonl_close(MuseJsonl **j);
size_t muse_jsonl_lines(const MuseJsonl *j);
/* Tells the log which keys of a line have no effect, each once a file: told has a bit for each (two may share one). */
typedef struct MuseJsonlTeller {
    const MuseLog *log;
    atomic_ullong *told;
    const char *path;
    uint64_t line;
} MuseJsonlTeller;
void   muse_jsonl_tell_keys(const MuseJsonlTeller *teller, const MuseJsonValue *line);

/* Line number `number` of endless passes over the file. folder: muse_free() it; everything else is borrowed. 0; MUSE_ERR_NOMEM */
typedef struct MuseJsonlLine {
    const MuseJsonlRules *rules;
    const char *path, *text;
    char    *folder;             /* where its paths start; NULL: the working directory */
    size_t   n;
    uint64_t pass, number;       /* number: as an editor counts */
    MuseJsonlTeller teller;
} MuseJsonlLine;
int    muse_jsonl_line(MuseJsonl *j, uint64_t number, MuseJsonlLine *out, MuseError *err);
/* Its file and line, for an error; cut where there is no room. 0; MUSE_ERR_NOMEM */
int    muse_jsonl_name(MuseJsonl *j, uint64_t number, char *to, size_t cap, MuseError *err);
/* Sample number `number` of endless passes over the file. MUSE_AGAIN: its line is broken and such are skipped (the log says it). */
int    muse_jsonl_make(MuseJsonl *j, uint64_t number, MuseTrainSample *out, MuseError *err);
/* One line's text as a sample; folder: where its paths start; that a picture is reduced is not logged. For fuzzing too. Release samples by muse_draft_release(). */
int    muse_jsonl_sample(const MuseJsonlRules *rules, const char *folder, const char *line, size_t n, MuseTrainSample *out, MuseError *err);

/* ---- the mixture ---- */

typedef struct MuseData MuseData;
int  muse_data_open(MuseData **out, MuseRuntime *rt, const MuseTrainConfig *c, const MuseConfig *model, const MuseTextTokenizer *tokenizer, MuseError *err);
void muse_data_close(MuseData **d);
/* Where sample number `number` is from: as muse_jsonl_name(), or the number of a random one; and whether that source's broken ones are skipped. */
int  muse_data_where(const MuseData *d, uint64_t number, char *name, size_t cap, bool *skips, MuseError *err);
MuseTrainSource muse_data_source(MuseData *d);

/* number -> a permutation of 0 .. n - 1, another for each seed; n at least 1 */
uint64_t muse_shuffle(uint64_t number, uint64_t n, uint64_t seed);

/* ---- the loader ---- */

typedef struct MuseTrainLoader MuseTrainLoader;
/* threads 0: samples are made in muse_train_loader_next(). first: number of the first sample. ahead: how many may wait. */
int  muse_train_loader_open(MuseTrainLoader **out, const MuseAllocator *a, const MuseTrainSource *source, uint32_t threads, size_t ahead, uint64_t first, MuseError *err);
void muse_train_loader_close(MuseTrainLoader **l);
/* The next sample in order; *skipped grows by those left out. Release it with muse_train_loader_release(). */
int  muse_train_loader_next(MuseTrainLoader *l, MuseTrainSample *out, uint64_t *skipped, MuseError *err);
void muse_train_loader_release(MuseTrainLoader *l, MuseTrainSample *s);
uint64_t muse_train_loader_number(const MuseTrainLoader *l);   /* of the next sample: what a checkpoint keeps */

#endif
