/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file worlds_source.h
 * Worlds as training data: samples of tools/worlds in the positions that the runtime gives the same conversation.
 *
 * Each branch stands as muse/chat.h renders it in format muse: `<bos>` pictures question `<think>` thought `</think>` answer
 * `<eos>`. Sample n is the same in every run, whichever thread makes it. docs/train.md describes the keys. Users: muse train, tests.
 */
#ifndef TOOLS_NANO_WORLDS_SOURCE_H
#define TOOLS_NANO_WORLDS_SOURCE_H

#include <pthread.h>

#include "tools/nano/clips.h"
#include "tools/worlds/worlds.h"

enum { NANO_MIX_MAX = 32, NANO_STAGES_MAX = 16, NANO_HEADS_MAX = 32, NANO_TASKS_MAX = 256, NANO_THREADS_MAX = 65 };

/** What a head of the document's "labels" tells of a patch; PHONE: of a frame of speech. */
enum { NANO_LABEL_KIND, NANO_LABEL_MARK, NANO_LABEL_COLOR, NANO_LABEL_SIZE, NANO_LABEL_DX, NANO_LABEL_DY, NANO_LABEL_PHONE, NANO_LABELS };

typedef struct NanoMix {
    char     task[32], only[32];   /* task "hear": clips to be written down, no world */
    uint32_t weight;            /* samples of it in a round */
    uint32_t budget;            /* of the pictures, in patches; 0: the model's default */
    double   spoken;            /* share of the questions that can be spoken */
    MuseWorldsOptions options;  /* only: set when a sample is made */
} NanoMix;

typedef struct NanoStage {
    uint64_t samples;           /* UINT64_MAX: the rest */
    uint32_t round;             /* sum of weights */
    size_t   n_mix;
    NanoMix  mix[NANO_MIX_MAX];
} NanoStage;

/** What the document says. Fixed sizes: it is read once. */
typedef struct NanoPlan {
    uint64_t  seed;
    int       fonts;                        /* MUSE_WORLDS_FONTS_* */
    char      speech[2048];                 /* the folder of clips; "": none */
    size_t    n_stages;
    NanoStage stages[NANO_STAGES_MAX];
    size_t    n_heads;
    int       heads[NANO_HEADS_MAX];        /* NANO_LABEL_* */
    uint32_t  classes[NANO_HEADS_MAX];
    size_t    n_tasks;
    char      tasks[NANO_TASKS_MAX][65];
    uint32_t  n_groups;
    int       gaze;                         /* the document has "gaze" */
    uint64_t  positions;                    /* most of one sample: "batch"."positions" */
    uint32_t  budget;                       /* of pictures: the model's default; 0: the family's, so with the next two */
    uint32_t  budgets[MUSE_BUDGETS_MAX];    /* those that the model allows, ascending, then 0 */
    uint32_t  unit;                         /* side of a patch, pixels */
} NanoPlan;

/** Read a training document. @return 1: its data is worlds; 0: it is not; negative: MUSE_ERR_FORMAT with the key, MUSE_ERR_NOMEM */
int nano_plan_read(NanoPlan *plan, const char *json, size_t size, MuseError *err);

/** Prompts of "rl": {"worlds": {"seed", "fonts", "mix"}}. One thread: the trainer's. */
typedef struct NanoPrompts {
    NanoPlan  plan;                         /* one stage, its tasks */
    MuseRuntime *rt;                        /* of pictures and sounds */
    MuseWorlds *worlds;
    MuseWorldsMaker *maker;
} NanoPrompts;

/** Read a training document. @return 1: it has prompts of worlds; 0: it has none; negative: as nano_plan_read() */
int  nano_prompts_read(NanoPrompts *p, const char *json, size_t size, MuseError *err);
/** After read. @param rt Borrowed until close; NULL = one with defaults for each picture. @return 0; those of muse_worlds_open(). Close also after errors. */
int  nano_prompts_open(NanoPrompts *p, MuseRuntime *rt, MuseError *err);
void nano_prompts_close(NanoPrompts *p);
/** For MuseTrainerParams. Held-out prompts are of the worlds' test split. @param p Borrowed as long as it is used. */
MuseTrainPrompts nano_prompts(NanoPrompts *p);

/** The path of the document's tokenizer: "tokenizer", or "model" if that is a folder. @return 0; MUSE_ERR_NOT_FOUND */
int nano_tokenizer_path(const char *json, size_t size, char *path, size_t cap);

/** The path of config.json of the document's model, if that is a folder. @return 0; MUSE_ERR_NOT_FOUND */
int nano_model_path(const char *json, size_t size, char *path, size_t cap);
/** Of a model's config.json: fills plan->budget, budgets and unit. @return 0; MUSE_ERR_FORMAT */
int nano_plan_model(NanoPlan *plan, const char *json, size_t size, MuseError *err);

typedef struct NanoSource {
    NanoPlan plan;
    MuseRuntime *rt;                        /* one thread: loaders call from threads of their own */
    const MuseTextTokenizer *tokenizer;
    const MuseFamily *family;
    MuseImageRule image;                    /* the family's, with the model's numbers */
    MuseWorlds *worlds;
    NanoClips clips;                        /* n 0: no speech */
    pthread_mutex_t lock;
    MuseWorldsMaker *idle[NANO_THREADS_MAX];
    size_t n_idle;
    int    has_lock;
} NanoSource;

/** @param tokenizer Borrowed until close. @param folder Where the plan's paths start. @return 0; those of muse_worlds_open() and nano_clips_open(); MUSE_ERR_NOMEM.
 *  Close also after errors. */
int  nano_source_open(NanoSource *s, const MuseTextTokenizer *tokenizer, const char *folder, MuseError *err);
void nano_source_close(NanoSource *s);
/** For MuseTrainerParams. @param s Borrowed as long as it is used. */
MuseTrainSource nano_source(NanoSource *s);

/** Which of the mix makes sample `number`. */
const NanoMix *nano_plan_at(const NanoPlan *plan, uint64_t number);

/** What a clip says of its branch's question. */
enum {
    NANO_SPOKEN_SAME,    /* the question */
    NANO_SPOKEN_GIVEN,   /* something else; the question is given as what was heard, and what follows from it is learned */
    NANO_SPOKEN_HEARD    /* something else, which is learned as what was heard; there the branch ends */
};

/** Which branches of a sample are spoken, by which clip. */
typedef struct NanoSpoken {
    int32_t clip[32];   /* -1: typed */
    uint8_t says[32];   /* NANO_SPOKEN_* */
    int     hear;       /* 1: the question stands beside the sound; 0: the sound is the question */
    Rng     rng;        /* of the sounds */
} NanoSpoken;

/** A world's sample as training sample; release with nano_sample_release(). @param spoken NULL: all typed. @param budget Of its pictures, in patches; 0: the plan's */
int  nano_sample_make(const NanoSource *s, const MuseWorldsSample *from, const NanoSpoken *spoken, uint32_t budget, MuseTrainSample *out, MuseError *err);
void nano_sample_release(void *user, MuseTrainSample *sample);

#endif
