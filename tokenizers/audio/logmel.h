/* SPDX-License-Identifier: Apache-2.0 */
/* Samples to log-mel columns, as they come. Users: tokenizers/audio/pipe.c, tests. */
#ifndef TOKENIZERS_AUDIO_LOGMEL_H
#define TOKENIZERS_AUDIO_LOGMEL_H

#include "muse/audio.h"
#include "ops/runtime.h"

enum { MUSE_MEL_CHUNK = 4096 };   /* most samples a push takes */

typedef struct MuseLogmel {
    const MuseRuntime *rt;       /* borrowed */
    MuseAudioRule rule;
    void     *plan;              /* fftwf_plan */
    float    *window;            /* [window] periodic Hann */
    float    *work;              /* [window] windowed samples */
    float    *spectrum;          /* [window / 2 + 1] complex */
    float    *power;             /* [window / 2 + 1] */
    uint32_t *index;             /* bank's first, len, at: 3 x [mel_bins] */
    float    *weight;            /* bank's weights */
    MuseMelBank bank;
    float    *history;           /* samples from `start` on, [history_cap] */
    size_t    history_cap;
    uint64_t  start, n;          /* first sample kept; samples seen */
    uint64_t  columns;           /* made so far */
    float     loudest;           /* largest log10 power seen, at least -10 */
} MuseLogmel;

/* rule: checked, LOGMEL. 0; MUSE_ERR_NOMEM. Close accepts a zeroed or half-open one. */
int  muse_logmel_open(MuseLogmel *m, const MuseRuntime *rt, const MuseAudioRule *rule, MuseError *err);
void muse_logmel_close(MuseLogmel *m);

/* At most MUSE_MEL_CHUNK samples. Columns that are complete go to out, [columns, mel_bins]: log10 power, unscaled.
 * Returns their number: with those made before at most muse_mel_columns() of all samples so far. */
size_t muse_logmel_push(MuseLogmel *m, const float *x, size_t n, float *out);
/* The columns that hang over the end. Returns their number; with those made before muse_mel_columns() of all samples. */
size_t muse_logmel_finish(MuseLogmel *m, float *out);

#endif
