/* SPDX-License-Identifier: Apache-2.0 */
/* A probed sound's samples, block by block, through libsndfile. Users: tokenizers/audio/audio.c, frames.c. */
#ifndef TOKENIZERS_AUDIO_SOUND_READER_H
#define TOKENIZERS_AUDIO_SOUND_READER_H

#include "ops/runtime.h"
#include "tokenizers/audio/sound.h"

typedef struct MuseSoundReader {
    const MuseSound *sound;   /* borrowed */
    void    *sf;              /* SNDFILE */
    size_t   at;              /* cursor in head and body */
    uint32_t rate;            /* as decoded; Opus headers state another one */
    uint64_t n_samples;       /* as the decoder promises; UINT64_MAX: it does not */
    uint64_t pos;             /* samples read */
    float   *block;           /* [block_samples, channels], and some room behind */
    size_t   block_samples;
} MuseSoundReader;

/* 0; MUSE_ERR_FORMAT; MUSE_ERR_UNSUPPORTED; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM. Close accepts a zeroed or half-open one. The
 * reader must not move. */
int  muse_sound_reader_open(MuseSoundReader *r, const MuseRuntime *rt, const MuseSound *s, MuseError *err);
void muse_sound_reader_close(MuseSoundReader *r);
/* Next samples into r->block; *n: how many, 0 at the end. MUSE_ERR_FORMAT: the decoder found damage, or a sample is NaN,
 * infinite or beyond 1e15. */
int  muse_sound_reader_next(MuseSoundReader *r, size_t *n, MuseError *err);

#endif
