/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: out/step-NNNNNNNN, a model folder that muse_model_open() takes, with the optimiser's state beside the weights.
 * A folder is written under another name and renamed when it is whole; older ones than `keep` are removed. docs/FORMATS.md
 * has the files. Users: trainer.c. */
#ifndef LIBMUSE_TRAIN_CHECKPOINT_H
#define LIBMUSE_TRAIN_CHECKPOINT_H

#include "libmuse/model/model.h"
#include "libmuse/train/optim.h"

typedef struct MuseTrainState {
    uint64_t step, number, positions, skipped;
    char     rounding[64];             /* what the bits of the weights depend on besides: threads, number type, kernels; "": not known */
} MuseTrainState;

typedef struct MuseCheckpoint {
    const MuseAllocator *alloc;
    const char *out;                   /* folder of the run */
    const MuseNet *net;
    const MuseOptim *optim;
    MuseTrainState state;
    const void *config_json, *tokenizer_json;   /* tokenizer NULL: none */
    size_t config_bytes, tokenizer_bytes;
    const char *document;              /* of the run */
    const MuseBuf *csv;
    const MuseBuf *rl_json, *rl_csv;   /* rl.json, rl.csv; NULL: none */
    uint32_t keep;
} MuseCheckpoint;

/* *folder: the new one, muse_free() it. 0; MUSE_ERR_IO; MUSE_ERR_NOMEM: older checkpoints are as they were. */
int muse_checkpoint_write(const MuseCheckpoint *c, char **folder, MuseError *err);

/* Holds the folder of a run, which exists, until *fd is closed by muse_checkpoint_unlock(): of two runs that write there one would
 * remove the other's checkpoints. 0; MUSE_ERR_STATE: another run holds it. A file system without locks lets everyone in (*fd: -1). */
int  muse_checkpoint_lock(const char *out, int *fd, MuseError *err);
void muse_checkpoint_unlock(int *fd);

/* The newest one in out (a damaged one is an error when it is read); MUSE_ERR_NOT_FOUND: none (out may be missing). muse_free(*folder). */
int muse_checkpoint_find(const MuseAllocator *a, const char *out, char **folder, MuseError *err);

/* Read weights and moments back. The document it was written for: *document, muse_free() it. 0; MUSE_ERR_IO;
 * MUSE_ERR_FORMAT: damaged, or of another model; MUSE_ERR_NOMEM. */
int muse_checkpoint_read(const char *folder, const MuseNet *net, MuseOptim *optim, MuseTrainState *state, MuseBuf *csv, char **document, MuseError *err);

/* A small file of a checkpoint, appended to a buffer. 0; MUSE_ERR_IO; MUSE_ERR_NOMEM */
int muse_checkpoint_read_file(const char *folder, const char *name, MuseBuf *out, MuseError *err);

/* Weights by name from a model folder; names that the layout has and the folder lacks are an error, label heads apart. */
int muse_checkpoint_read_model(const char *folder, const MuseNet *net, MuseError *err);

/* The values of a layout (the master weights, or their average) as a model in memory: bit for bit what would be read back from a
 * checkpoint. rt: the model's. 0; MUSE_ERR_NOMEM. */
int muse_checkpoint_model(MuseModel **out, MuseRuntime *rt, const MuseNet *net, const float *values, const MuseModelBytes *texts, MuseError *err);

/* Losses of a log as a picture. */
int muse_curve_write(const MuseAllocator *a, const char *path, const MuseBuf *csv, MuseError *err);

#endif
