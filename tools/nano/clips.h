/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file clips.h
 * Spoken sentences made once into one file, and read while training: columns of log-mel values with the sentence each says.
 *
 * Columns are what the audio tokenizer of family muse makes of a clip, in 8 bits; nano_clip_render() varies voice, pace, loudness,
 * noise and room in them, so no sound is decoded, resampled or transformed while training. docs/FORMATS.md has the bytes. Users:
 * tools/nano (worlds as training data), the program that writes the file, tests.
 */
#ifndef TOOLS_NANO_CLIPS_H
#define TOOLS_NANO_CLIPS_H

#include "muse/muse.h"
#include "tools/worlds/random.h"

enum { NANO_CLIP_BINS = 80, NANO_CLIP_COLUMN = NANO_CLIP_BINS + 1, NANO_CLIP_STACK = 4, NANO_CLIP_TEXT_MAX = 200, NANO_CLIP_COLUMNS_MAX = 3000 };
enum { NANO_PHONES = 48 };   /* classes of the sound of a column; 0: silence */

/** One clip. Lives as long as the file is open. */
typedef struct NanoClip {
    const char    *text;     ///< what it says, as a model shall write it; ends in 0
    const uint8_t *columns;  ///< [n, NANO_CLIP_COLUMN]: values, then the class of the sound, below NANO_PHONES
    uint32_t       n;        ///< 1..NANO_CLIP_COLUMNS_MAX, of 10 ms
} NanoClip;

/** An open file: read-only, any thread. */
typedef struct NanoClips {
    const uint8_t *map;
    size_t         size;
    NanoClip      *clips;    ///< ascending by key
    size_t         n;
    float          chance[256];  ///< quantiles of the power of noise
} NanoClips;

/** @return 0; MUSE_ERR_IO; MUSE_ERR_FORMAT: not such a file, or damaged; MUSE_ERR_NOMEM. */
int  nano_clips_open(NanoClips *c, const char *path, MuseError *err);
/** The same from memory, which is borrowed until close. */
int  nano_clips_open_memory(NanoClips *c, const void *bytes, size_t size, MuseError *err);
void nano_clips_close(NanoClips *c);

/** Write a file. @param clips Sorted by the call. @return 0; MUSE_ERR_IO; MUSE_ERR_LIMIT: a clip that is empty, too long or says nothing. */
int  nano_clips_write(const char *path, NanoClip *clips, size_t n, MuseError *err);

/** What can be heard of a text: lower case, one spelling, no mark at the end. @param key [NANO_CLIP_TEXT_MAX + 1]. @return 0: too long. */
int  nano_clip_key(const char *text, size_t n, char *key);

/** The clips that say this. @return how many; the first is *first. */
size_t nano_clips_find(const NanoClips *c, const char *text, size_t n_text, size_t *first);

/**
 * Frames of a clip, said a little otherwise each time: the same random numbers, the same frames.
 * @param rng    NULL: as it is.
 * @param frames Receives [n_frames, NANO_CLIP_STACK * NANO_CLIP_BINS] values; free() it.
 * @param phones Receives [n_frames] classes of sounds, in the same block.
 * @return 0; MUSE_ERR_NOMEM.
 */
int  nano_clip_render(const NanoClips *c, const NanoClip *clip, Rng *rng, float **frames, const uint8_t **phones, size_t *n_frames);

#endif
