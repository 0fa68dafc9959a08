/* SPDX-License-Identifier: Apache-2.0 */
/* The document that describes a run, read and checked: docs/train.md lists its keys. A key that is not known is an error: a
 * misspelt setting must not pass for its default. Users: trainer.c, fuzzing. */
#ifndef LIBMUSE_TRAIN_TRAIN_CONFIG_H
#define LIBMUSE_TRAIN_TRAIN_CONFIG_H

#include "base/json.h"
#include "base/log.h"
#include "libmuse/train/optim.h"
#include "libmuse/train/share.h"

enum { MUSE_TASKS_MAX = 256, MUSE_DATA_MAX = 16 };

/* CALLER: made by whoever opens the trainer ("worlds" by the muse program); libmuse does not look at it */
typedef enum MuseDataKind { MUSE_DATA_JSONL, MUSE_DATA_RANDOM, MUSE_DATA_CALLER } MuseDataKind;

typedef struct MuseDataConfig {
    MuseDataKind kind;
    char    *path;             /* JSONL */
    uint32_t length;           /* RANDOM: tokens a sample */
    uint32_t weight;           /* samples of this source in a round */
    bool     shuffle, skip_broken;
} MuseDataConfig;

/* What a rollout is worth: docs/train.md, "Trial and reward" */
typedef struct MuseRewardRules {
    double right, format, look, iou, tokens, cut;
} MuseRewardRules;

typedef enum MuseRlStage { MUSE_RL_NONE, MUSE_RL_GRPO, MUSE_RL_MODE } MuseRlStage;

typedef struct MuseRlConfig {
    MuseRlStage stage;
    char    *jsonl, *held_out; /* NULL: prompts are the caller's */
    uint32_t prompts, samples, thought_tokens, answer_tokens, looks, every, guard_prompts, guard_every;
    double   temperature, supervised, margin;   /* supervised: factor of the weights of other data */
    bool     by_task;          /* one scale of advantages a task */
    MuseRewardRules reward;
} MuseRlConfig;

typedef struct MuseTrainConfig {
    const MuseAllocator *alloc;
    MuseJson doc;
    char    *json;             /* the document's text, doc points into it */
    MuseBuf  model_json;       /* of "model", when it is an object: becomes config.json */
    char    *start;            /* folder to begin from, when "model" is a path */
    char    *out, *tokenizer;  /* NULL: none */
    MuseConfig model;
    bool     has_model;        /* model is read */
    uint32_t seed, samples, positions, loaders, every, keep;
    int      compute;          /* 0: auto, 1: f32, 2: bf16 */
    MuseOptimRules optim;
    uint32_t tap, n_heads, classes[MUSE_LABEL_HEADS_MAX];
    double   head_weight[MUSE_LABEL_HEADS_MAX];
    uint32_t gaze_layer, gaze_head;
    double   gaze_weight;      /* 0: no gaze */
    uint32_t n_groups;
    double   group_weight[MUSE_GROUPS_MAX];
    char    *tasks[MUSE_TASKS_MAX];
    uint32_t n_tasks;
    uint32_t place_first, place_count;
    double   place_sigma;
    MuseShare shared;          /* count 0: patches have place vectors of their own */
    MuseDataConfig data[MUSE_DATA_MAX];
    uint32_t n_data;
    MuseRlConfig rl;           /* stage NONE: there is none. Its samples are of a group of their own, the last */
} MuseTrainConfig;

/* Paths in it start at folder (NULL: the working directory). 0; MUSE_ERR_FORMAT, MUSE_ERR_UNSUPPORTED: with the key; MUSE_ERR_NOMEM.
 * Clear also after errors. */
int  muse_train_config_read(MuseTrainConfig *c, const MuseAllocator *a, const MuseLog *log, const char *json, size_t size, const char *folder, MuseError *err);
void muse_train_config_clear(MuseTrainConfig *c);

/* What follows from the model's shape: layers and heads that are named must exist. After has_model. */
int muse_train_config_check(const MuseTrainConfig *c, MuseError *err);

/* folder "/" name, or name if it starts with "/" or folder is NULL; muse_free() it. NULL: no memory */
char *muse_train_path(const MuseAllocator *a, const char *folder, const char *name, size_t n);

#endif
