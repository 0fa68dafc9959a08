/* SPDX-License-Identifier: Apache-2.0 */
/* One channel of samples to frames: resampling, cutting, log-mel. Whole sounds and live feeds both run through it.
 * Users: tokenizers/audio/frames.c, feed.c. */
#ifndef TOKENIZERS_AUDIO_PIPE_H
#define TOKENIZERS_AUDIO_PIPE_H

#include <stdbool.h>

#include "base/alloc.h"
#include "tokenizers/audio/logmel.h"

enum {
    /* Samples that go to the resampler at once, always: how sound is split must not reach its arithmetic. 20 ms at
     * 48 kHz, and under a second at the lowest rate. */
    MUSE_PIPE_BLOCK = 960,
    MUSE_PIPE_TAKE = 4096   /* resampled samples taken at once */
};

/* A sample beyond this is refused like an infinite one: the spectrum's power would leave f32. (1e15 * 16384 / 2)^2 does not. */
#define MUSE_SAMPLE_MAX 1e15f

typedef struct MusePipe {
    const MuseRuntime *rt;   /* borrowed */
    MuseAudioRule rule;
    uint32_t   rate;
    void      *soxr;         /* NULL: the rates are equal */
    MuseLogmel mel;          /* LOGMEL */
    MuseBuf    out;          /* RAW: samples; LOGMEL: columns */
    float     *resampled;    /* [MUSE_PIPE_TAKE] */
    uint64_t   n_in, n_cut;  /* samples taken in; samples that went on to the cutter */
    size_t     fill;
    bool       finished;
    float      block[MUSE_PIPE_BLOCK];
} MusePipe;

/* rule: checked; rate: in range. Close accepts a zeroed or half-open one. 0; MUSE_ERR_NOMEM; MUSE_ERR_UNSUPPORTED: the
 * resampler refuses this pair of rates. */
int  muse_pipe_open(MusePipe *p, const MuseRuntime *rt, const MuseAudioRule *rule, uint32_t rate, MuseError *err);
void muse_pipe_close(MusePipe *p);

/* Make room for what n more samples (and the end) can give. Then push and finish find no lack of own memory. */
int  muse_pipe_reserve(MusePipe *p, uint64_t n, MuseError *err);
/* x: [n], within MUSE_SAMPLE_MAX. 0; MUSE_ERR_NOMEM. */
int  muse_pipe_push(MusePipe *p, const float *x, size_t n, MuseError *err);
/* The end: exactly round(n_in * rule rate / rate) samples have then been cut, the last frame is padded. */
int  muse_pipe_finish(MusePipe *p, MuseError *err);

/* Interleaved samples to the mean of their channels; x: [n, channels] of MUSE_PCM_ type. */
void muse_pcm_mix(float *y, const void *x, int type, size_t n, uint32_t channels);
/* Index of the first value that is NaN or beyond MUSE_SAMPLE_MAX; n if there is none. x: [n] */
size_t muse_pcm_bad(const float *x, size_t n);

#endif
