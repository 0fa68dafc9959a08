/* SPDX-License-Identifier: Apache-2.0 */
/* A training document opened with what the muse program makes itself: worlds as data and as prompts. Users: train.c, scaling.c. */
#ifndef TOOLS_TRAIN_RUN_H
#define TOOLS_TRAIN_RUN_H

#include "tools/cli.h"
#include "tools/nano/worlds_source.h"

/* Start with zeros. Not moved while it is open. */
typedef struct TrainRun {
    NanoSource worlds;
    NanoPrompts trials;
    MuseTextTokenizer *tokenizer;
    MuseTrainSource source;
    MuseTrainPrompts prompts;
    MuseTrainer *trainer;
} TrainRun;

/* p: folder, out, resume, steps; the sources are set here. As muse_trainer_open(). Close also after errors. */
int  train_run_open(TrainRun *r, MuseRuntime *rt, const char *json, size_t size, MuseTrainerParams p, MuseError *err);
void train_run_close(TrainRun *r);

/* A file of at most 64 MiB; NULL: said on stderr. free() it */
char *train_read(const char *path, size_t *size);
/* The folder that a document's paths start in; free() it. NULL: no memory */
char *train_folder(const char *path);

#endif
