/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file train.h
 * Training a model of the muse family, from zero or from weights: data in, checkpoints out.
 *
 * A run is described by one JSON document (docs/train.md lists every key): the model, the optimiser and its schedule, the
 * data, where checkpoints go. Data comes from JSONL files named there, or from a callback. The same document, data, build,
 * CPU level and thread count give the same weights bit for bit, also over a stop and a resume.
 *
 *   muse_trainer_open(&trainer, rt, json, size, &params, &err);
 *   while ((rc = muse_trainer_step(trainer, &report, &err)) == 0) { ... }   // MUSE_DONE: the last step is done and saved
 *   muse_trainer_close(&trainer);
 */
#ifndef MUSE_TRAIN_H
#define MUSE_TRAIN_H

#include "muse/reason.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A training run. One thread at a time. Close with muse_trainer_close(). */
typedef struct MuseTrainer MuseTrainer;

/** A run of positions of one kind inside a sample. */
typedef struct MuseTrainPart {
    int32_t        modality;    ///< MUSE_TEXT, MUSE_IMAGE (one picture) or MUSE_AUDIO (one sound)
    uint32_t       grid_width;  ///< MUSE_IMAGE: patches across
    uint32_t       grid_height; ///< MUSE_IMAGE: patches down
    int32_t        alone;       ///< MUSE_IMAGE in a branch: 1 = its patches see the prefix and each other, not the branch before them (a look)
    size_t         n;           ///< positions: ids, grid_width * grid_height patches, frames
    const int32_t *ids;         ///< MUSE_TEXT: [n]
    const float   *weights;     ///< MUSE_TEXT: [n], of the loss on writing ids[i] at its place; NULL = 0. Negative ones push away
    const uint8_t *rgb;         ///< MUSE_IMAGE: grid_height * patch rows of grid_width * patch RGB pixels, no gaps; NULL: features
    const float   *features;    ///< MUSE_IMAGE without rgb: [n, patch values]; MUSE_AUDIO: [n, frame values]
    size_t         values;      ///< numbers at rgb or features, to be refused if the model needs another number of them; 0 = not said
} MuseTrainPart;

/** One continuation of the prefix. It sees the prefix and itself; its positions go on where the prefix ended. */
typedef struct MuseTrainBranch {
    const MuseTrainPart *parts;
    size_t   n_parts;
    uint32_t task;              ///< number of the task in the configuration's "tasks", for the report; UINT32_MAX = none
    uint32_t group;             ///< number of the group in "groups": losses are averaged by group; 0 without groups
} MuseTrainBranch;

/** What a label head shall say at a position; or, a gaze, where one attention head shall look. */
typedef struct MuseTrainLabel {
    uint32_t branch;            ///< UINT32_MAX = the prefix
    uint32_t part, index;       ///< position number index of that part
    uint32_t head;              ///< number of the head in the configuration's "labels"
    uint32_t value;             ///< class, below the head's number of classes
    float    weight;
} MuseTrainLabel;

/** The attention head named in the configuration's "gaze" shall put its weight at this position on these patches. */
typedef struct MuseTrainGaze {
    uint32_t branch, part, index;   ///< as in a label
    uint32_t target_part;           ///< a part of the prefix
    const uint32_t *targets;        ///< [n_targets] position numbers in it, ascending
    size_t   n_targets;
    float    weight;
} MuseTrainGaze;

/** What one training step learns from, one of several: a shared beginning and what may follow it. */
typedef struct MuseTrainSample {
    const MuseTrainPart   *prefix;
    size_t                 n_prefix;
    const MuseTrainBranch *branches;  ///< at least one; more than one share the prefix, which is computed once
    size_t                 n_branches;
    const MuseTrainLabel  *labels;
    size_t                 n_labels;
    const MuseTrainGaze   *gazes;
    size_t                 n_gazes;
    void                  *handle;    ///< the source's own, for release
} MuseTrainSample;

/** Where samples come from. Calls come from several threads at once, each for another number. */
typedef struct MuseTrainSource {
    size_t struct_size;   ///< sizeof(MuseTrainSource)
    /**
     * Make sample number `number` (0, 1, 2, ...): the same number, the same sample, or a resumed run differs.
     * @param out  Zeroed. What it points to must stay valid until release.
     * @return 0; MUSE_AGAIN: there is no such sample (a broken one was left out), the next number takes its place; MUSE_ERR_*
     *         ends the run with this error.
     */
    int  (*make)(void *user, uint64_t number, MuseTrainSample *out, MuseError *err);
    void (*release)(void *user, MuseTrainSample *sample);   ///< NULL: nothing to release
    void  *user;
} MuseTrainSource;

/* ---- trial and reward: docs/train.md, "Trial and reward" ---- */

/** A question that the model tries several times. */
typedef struct MuseTrainPrompt {
    const MuseReasonPart *parts;      ///< as muse_agent_open() takes them
    size_t             n_parts;
    uint32_t           task;          ///< number of the task in the configuration's "tasks"; UINT32_MAX = none
    const char *const *answers;       ///< [n_answers] terminated; one that equals any of them (MuseTrainPrompts.same) is right
    size_t             n_answers;
    const MuseFocus   *views;         ///< [n_views] rectangles that are worth a look, as muse_look_view() gives them; pixels. NULL = none are known
    size_t             n_views;
    void              *handle;        ///< the source's own, for release
} MuseTrainPrompt;

/** What came of one trial. */
typedef struct MuseTrainRollout {
    const MuseAgent *agent;           ///< it has ended; NULL in tests of the arithmetic
    int      right;                   ///< 1: its answer is one of the prompt's
    int      clean;                   ///< 1: it ended its turn by itself and wrote nothing that has no meaning
    int      thinks;                  ///< 1: its thought has a token, or it looked
    uint32_t tokens;                  ///< written, thought and answer and what ends them
    uint32_t looks;
    double   iou;                     ///< mean over its looks: of the view shown with the best of the prompt's; 0 without looks
} MuseTrainRollout;

/** Where prompts come from. Called from the training thread. */
typedef struct MuseTrainPrompts {
    size_t struct_size;               ///< sizeof(MuseTrainPrompts)
    /**
     * Make prompt `number`: the same number, the same prompt.
     * @param held_out 1: of the prompts that are only measured on, never trained on.
     * @param out Zeroed. What it points to must stay valid until release.
     * @return as MuseTrainSource.make.
     */
    int  (*make)(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *err);
    void (*release)(void *user, MuseTrainPrompt *prompt);   ///< NULL: nothing to release
    /** Instead of the document's reward. Must be finite, and the same for the same rollout. NULL: the document's. */
    double (*reward)(void *user, const MuseTrainPrompt *prompt, const MuseTrainRollout *rollout);
    void  *user;
    /**
     * Whether an answer is right. From the training thread, as the others; the same for the same two texts, or a resumed run differs.
     * @param given  What the model answered: n bytes, not terminated; borrowed for the call.
     * @param answer One of the prompt's answers, terminated.
     * @return non-zero: it is right; 0: it is not. NULL in place of the function: right if equal, trimmed, in ASCII lower case.
     */
    int  (*same)(void *user, const char *given, size_t n, const char *answer);
} MuseTrainPrompts;

/** What the caller sets in place of the document. */
typedef struct MuseTrainerParams {
    size_t      struct_size;        ///< set by muse_trainer_params_init()
    const char *folder;             ///< relative paths in the document start here; NULL = the working directory
    const char *out;                ///< goes before the document's "out"; NULL: as the document says
    const MuseTrainSource *source;  ///< goes before the document's "data"; NULL: as the document says. Borrowed until close
    int         resume;             ///< 1: go on from the newest checkpoint in "out"; MUSE_ERR_NOT_FOUND if there is none
    uint64_t    steps;              ///< stop after this many steps instead of the document's "steps"; 0 = as there. The schedule stays
    const MuseTrainPrompts *prompts; ///< goes before those of the document's "rl"; without "rl" not looked at. Borrowed until close
} MuseTrainerParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_trainer_params_init(MuseTrainerParams *params);

/**
 * Open a run. One thread per handle.
 * @param out  Receives the handle, or NULL. Release with muse_trainer_close().
 * @param json Borrowed for the call.
 * @param rt   NULL = defaults. Its thread count is the run's.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_FORMAT: the document, named key, or, resuming, a checkpoint of another model or optimizer; MUSE_ERR_IO, also
 *         if nothing can be written in "out", which is made here, with its parents;
 *         MUSE_ERR_STATE: "out" holds checkpoints and resume is not set, or another run has it open; MUSE_ERR_NOT_FOUND; MUSE_ERR_UNSUPPORTED; MUSE_ERR_NOMEM.
 *         Resuming under a changed document is allowed and said in the log. Label heads may be added behind those there were; tasks are known by their names.
 */
MUSE_API int muse_trainer_open(MuseTrainer **out, MuseRuntime *rt, const char *json, size_t size, const MuseTrainerParams *params, MuseError *err);

/** Release; *trainer becomes NULL. NULL and a pointer to NULL are accepted. Nothing is saved. */
MUSE_API void muse_trainer_close(MuseTrainer **trainer);

/** One step's numbers. */
typedef struct MuseTrainReport {
    uint64_t step;          ///< steps done, this one included
    uint64_t steps;         ///< of the whole run
    double   loss;          ///< all terms with their weights
    double   text_loss;     ///< mean cross-entropy of what was to be written, nats
    double   label_loss;    ///< label heads, weighted
    double   gaze_loss;
    double   accuracy;      ///< share of written tokens whose likeliest id was right
    double   grad_norm;     ///< before clipping
    double   rate;          ///< factor of the schedule, 0..1
    double   seconds;       ///< wall time of the step
    double   wait_seconds;  ///< of these, waiting for data
    uint64_t positions;     ///< of the step
    uint64_t total_positions;
    uint64_t skipped;       ///< samples left out so far as broken (the log names each)
    int      saved;         ///< 1: a checkpoint was written after this step
    uint64_t rollouts;      ///< of this step; 0 without "rl", then the next four are 0 too
    double   reward;        ///< mean over them
    double   right;         ///< share of right ones
    double   tokens;        ///< mean number of written tokens
    double   thinks;        ///< share that thought; stage "mode": of prompts that shall
} MuseTrainReport;

/**
 * Do one step: forward, backward, optimiser; write a checkpoint if one is due.
 * @param out NULL = not wanted.
 * @return 0; MUSE_DONE: all steps were done before, nothing was done; MUSE_ERR_STATE: the loss or a gradient is not finite
 *         (weights are as before the step), or an earlier step failed; MUSE_ERR_NOMEM; MUSE_ERR_IO; MUSE_ERR_LIMIT: a sample longer
 *         than the document's "positions"; what the source returned.
 */
MUSE_API int muse_trainer_step(MuseTrainer *trainer, MuseTrainReport *out, MuseError *err);

/** Write a checkpoint now; after a step that failed, of the newest one that changed the weights. @return 0; MUSE_ERR_STATE: the run has no "out"; MUSE_ERR_IO; MUSE_ERR_NOMEM. */
MUSE_API int muse_trainer_save(MuseTrainer *trainer, MuseError *err);

/**
 * The model as it is now, without files: bit for bit what muse_model_open() reads from a checkpoint of this moment. The weights are
 * copied; later steps do not change it. Sessions and agents run on it as on any model.
 * @param out Receives it, or NULL; release with muse_model_close(). It may outlive the trainer.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_trainer_model(const MuseTrainer *trainer, MuseModel **out, MuseError *err);

/** Where a run stands. */
typedef struct MuseTrainerInfo {
    uint64_t    step, steps;
    uint64_t    n_parameters;  ///< of the model, without label heads
    uint64_t    memory_bytes;  ///< weights, moments, gradients
    const char *compute;       ///< "bf16" or "f32"; static
    const char *folder;        ///< the newest checkpoint; NULL: none. Lives until the next step or save
    size_t      n_tasks;
} MuseTrainerInfo;

/** @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_trainer_info(const MuseTrainer *trainer, MuseTrainerInfo *out);

/** A task's name, and its loss and accuracy over the last step that had it (n 0: none yet). */
typedef struct MuseTrainTask {
    const char *name;          ///< lives as long as the trainer
    double      loss, accuracy;
    uint64_t    n;             ///< written tokens, all steps
} MuseTrainTask;

/** @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no more tasks. */
MUSE_API int muse_trainer_task(const MuseTrainer *trainer, size_t i, MuseTrainTask *out);

/** Indices of the three ways in MuseTrainGuard. */
enum {
    MUSE_GUARD_THINK  = 0, ///< made to think
    MUSE_GUARD_FREE   = 1, ///< free to choose
    MUSE_GUARD_DIRECT = 2, ///< made to answer at once
    MUSE_GUARDS       = 3  ///< how many there are
};

/** Held-out prompts of one task, answered greedily in three ways: made to think, free to choose, made to answer at once. */
typedef struct MuseTrainGuard {
    const char *task;               ///< lives as long as the trainer; "" for prompts without a task
    uint64_t    step, n;            ///< after this step; prompts (0: not measured yet, all else is 0)
    double      accuracy[MUSE_GUARDS], tokens[MUSE_GUARDS], looks[MUSE_GUARDS];   ///< share right; means
    double      thinks;             ///< share of the free ones that thought
    double      budget;             ///< 1 down to 0: thoughts longer than this share of a group's longest lose reward
} MuseTrainGuard;

/** The newest measurement. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no more tasks, or no "rl". */
MUSE_API int muse_trainer_guard(const MuseTrainer *trainer, size_t i, MuseTrainGuard *out);

#ifdef __cplusplus
}
#endif
#endif
