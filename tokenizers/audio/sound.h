/* SPDX-License-Identifier: Apache-2.0 */
/* Sound files, before any decoder sees them: which container, how long, which bytes are sound.
 * Users: tokenizers/audio/audio.c, sound_reader.c, tests.
 *
 * Every container is walked by our own code first. Lengths that do not agree, damage that checksums show, and what would
 * be dropped (a second stream, a second data chunk) are errors here, and libsndfile is then given a file of just a
 * canonical header and the sound's own bytes: tags, pictures and cue lists never reach it. */
#ifndef TOKENIZERS_AUDIO_SOUND_H
#define TOKENIZERS_AUDIO_SOUND_H

#include <stdbool.h>

#include "base/bytes.h"
#include "muse/audio.h"

/* Longest header that is served instead of the file's own: an MP3 information frame has at most 1441 bytes. */
enum { MUSE_SOUND_HEAD_MAX = 2048 };

/* How far n_samples can be trusted before decoding. Decoding checks it in any case. */
typedef enum MuseSoundCount {
    MUSE_COUNT_EXACT,     /* the header promises it: fewer or more is damage */
    MUSE_COUNT_DECODER,   /* the decoder's own reading promises it; n_samples is at least that */
    MUSE_COUNT_GUESS,     /* if the decoder agrees it holds, else decoding counts */
    MUSE_COUNT_NONE       /* only decoding tells */
} MuseSoundCount;

typedef struct MuseSound {
    const char *format;        /* static: "wav", "aiff", "flac", "ogg", "mp3", "mp2" */
    int         container;     /* SF_FORMAT_ major type that libsndfile must see too */
    uint32_t    rate, channels;
    uint64_t    n_samples;     /* a channel, at `rate` */
    MuseSoundCount count;
    const uint8_t *body;       /* sound bytes inside the file */
    size_t      body_len;
    size_t      head_len;
    uint8_t     head[MUSE_SOUND_HEAD_MAX];   /* stands before the body */
} MuseSound;

/* bytes must outlive s. 0; MUSE_ERR_FORMAT; MUSE_ERR_UNSUPPORTED; MUSE_ERR_LIMIT: rate or channels out of range. */
int muse_sound_probe(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err);

/* One a container; the bytes begin with its magic (after ID3v2 tags). `at`: their offset in the file, for messages. */
int muse_sound_wav(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err);
int muse_sound_aiff(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err);
int muse_sound_flac(MuseSound *s, const uint8_t *bytes, size_t size, size_t at, MuseError *err);
int muse_sound_ogg(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err);
int muse_sound_mpeg(MuseSound *s, const uint8_t *bytes, size_t size, size_t at, MuseError *err);
/* Do the bytes begin with an MPEG layer II or III frame that another one, or the end, follows? */
bool muse_sound_is_mpeg(const uint8_t *bytes, size_t size);

/* rate and channels of a header: 0 of either is MUSE_ERR_FORMAT, out of range MUSE_ERR_LIMIT */
int muse_sound_check(const MuseSound *s, MuseError *err);

#endif
