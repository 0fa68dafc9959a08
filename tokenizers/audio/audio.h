/* SPDX-License-Identifier: Apache-2.0 */
/* MuseAudio from the inside. Users: tokenizers/audio/audio.c, frames.c; libmuse/session, which saves it. Read-only after open, but for the count. */
#ifndef TOKENIZERS_AUDIO_AUDIO_H
#define TOKENIZERS_AUDIO_AUDIO_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "ops/runtime.h"
#include "tokenizers/audio/sound.h"

struct MuseAudio {
    MuseRuntime   *rt;
    atomic_int     refs;
    MuseAudioInfo  info;
    int            pcm_type;   /* MUSE_PCM_*, 0: a file */
    const uint8_t *bytes;      /* PCM or the file: mapped, owned or the caller's */
    size_t         size;       /* of those */
    MuseFile       file;
    uint8_t       *owned;
    MuseReleaseFn *release;    /* of borrowed bytes, or NULL */
    void          *release_user;
    MuseSound      sound;      /* a file */
};

#endif
