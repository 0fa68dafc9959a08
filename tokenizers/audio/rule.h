/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a MuseAudioRule and counting what it makes of a length. Users: the files of this folder. */
#ifndef TOKENIZERS_AUDIO_RULE_H
#define TOKENIZERS_AUDIO_RULE_H

#include <stdbool.h>

#include "muse/audio.h"

enum {
    MUSE_SOUND_RATE_MIN = 1000, MUSE_SOUND_RATE_MAX = 768000,   /* muse/audio.h; 768 kHz is the highest studio rate in use */
    MUSE_SOUND_CHANNELS_MAX = 64
};

/* 0; MUSE_ERR_ARG names the field; MUSE_ERR_UNSUPPORTED: no sound in this family */
int muse_audio_rule_check(const MuseAudioRule *rule, MuseError *err);

/* round(n * to / from), halves up, in whole numbers; false if it does not fit */
bool muse_resampled_len(uint64_t n, uint32_t from, uint32_t to, uint64_t *out);

/* Log-mel columns of n_used samples: floor(n_used / hop), one for a shorter sound, none for an empty one. */
uint64_t muse_mel_columns(const MuseAudioRule *rule, uint64_t n_used);

uint32_t muse_audio_frame_width(const MuseAudioRule *rule);

#endif
