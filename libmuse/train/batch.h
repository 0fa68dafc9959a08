/* SPDX-License-Identifier: Apache-2.0 */
/* Samples, checked and packed into the rows that go through the network together: what each row is, where it stands, what it
 * sees, what it shall predict. The mask is two ranges a row: of its prefix and of its own branch. Users: libmuse/train. */
#ifndef LIBMUSE_TRAIN_BATCH_H
#define LIBMUSE_TRAIN_BATCH_H

#include "base/alloc.h"
#include "libmuse/model/config.h"
#include "muse/train.h"
#include "ops/train.h"

enum { MUSE_BATCH_ROUND = 64, MUSE_GROUPS_MAX = 8, MUSE_LABEL_HEADS_MAX = 32, MUSE_SOFT_RADIUS_MAX = 16 };

/* What samples are checked against, and how they become targets. */
typedef struct MuseBatchRules {
    const MuseConfig *config;
    float    scale, offset;                   /* of pixels */
    uint32_t n_tasks, n_groups, n_heads;
    uint32_t classes[MUSE_LABEL_HEADS_MAX];
    bool     gaze;
    /* place tokens: ids place_first .. place_first + place_count - 1 are neighbours, their targets are spread */
    uint32_t place_first, place_count, radius;
    float    bell[2 * MUSE_SOFT_RADIUS_MAX + 1];   /* [2 radius + 1], not normalised */
} MuseBatchRules;

typedef struct MuseBatchTarget {
    uint32_t row, task;
    int32_t  id;
    uint8_t  group;
    float    weight;
} MuseBatchTarget;

typedef struct MuseBatchLabel {
    uint32_t row, value;
    uint8_t  head;
    float    weight;
} MuseBatchLabel;

typedef struct MuseBatchGaze {
    uint32_t row, first_target, n_targets;   /* targets: indices of MuseTrainBatch.gaze_rows */
    float    weight;
} MuseBatchGaze;

/* Start with zeros and an allocator; fill by muse_batch_add(); muse_batch_reset() keeps the memory. */
typedef struct MuseTrainBatch {
    const MuseAllocator *alloc;
    size_t n, cap;             /* rows in use; allocated */
    int32_t  *id;              /* token id; -1: a patch or frame */
    int32_t  *t, *y, *x;
    MuseSeen *seen;            /* rows of this batch */
    uint32_t *sample_at;       /* [n_samples + 1]: first rows */
    size_t n_samples, cap_samples;
    float    *patches;         /* [n_patches, P] */
    uint32_t *patch_row;
    size_t n_patches, cap_patches;
    float    *frames;          /* [n_frames, A] */
    uint32_t *frame_row;
    size_t n_frames, cap_frames;
    MuseBatchTarget *targets;  /* by row of each sample's order */
    size_t n_targets, cap_targets;
    MuseBatchLabel *labels;
    size_t n_labels, cap_labels;
    MuseBatchGaze *gazes;      /* ascending rows */
    size_t n_gazes, cap_gazes;
    uint32_t *gaze_rows;
    size_t n_gaze_rows, cap_gaze_rows;
} MuseTrainBatch;

/* Rows of a sample. false: overflow. */
bool muse_sample_rows(const MuseTrainSample *s, size_t *rows);
/* Append a sample. 0; MUSE_ERR_ARG: it contradicts the rules (said how); MUSE_ERR_UNSUPPORTED: a medium the model does not take;
 * MUSE_ERR_NOMEM. On error the batch is unchanged. */
int  muse_batch_add(MuseTrainBatch *b, const MuseBatchRules *rules, const MuseTrainSample *s, MuseError *err);
void muse_batch_reset(MuseTrainBatch *b);
void muse_batch_clear(MuseTrainBatch *b);

/* The distribution of a target: fills p (room for 2 radius + 1) and points at it. */
MuseSoftTarget muse_batch_soft(const MuseBatchRules *rules, int32_t id, float *p);

#endif
