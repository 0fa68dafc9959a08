/* SPDX-License-Identifier: Apache-2.0 */
/* Sound files of any bytes, with small limits: opening, then raw and log-mel frames. Length and frames must agree with the
 * plan, values must be finite. */
#include <math.h>

#include "fuzz.h"
#include "muse/audio.h"

static void frames(const MuseAudio *audio, const MuseAudioRule *rule)
{
    MuseAudioInfo info;
    MuseAudioPlan plan;
    MuseFrames *f = NULL;
    MuseError err;
    FUZZ_CHECK(muse_audio_info(audio, &info) == 0);
    FUZZ_CHECK(info.rate >= 1000 && info.rate <= 768000 && info.channels >= 1 && info.channels <= 64);
    FUZZ_CHECK(muse_audio_plan(rule, info.n_samples, info.rate, &plan, &err) == 0);
    const int rc = muse_audio_frames(&f, audio, rule, NULL, NULL, &err);
    FUZZ_CHECK((rc == 0) == (f != NULL));
    if (rc < 0) {
        FUZZ_CHECK(rc == MUSE_ERR_FORMAT && err.text[0]);
        return;
    }
    FUZZ_CHECK(muse_frames_plan(f)->n_frames == plan.n_frames);
    const float *x = muse_frames_data(f);
    for (uint64_t i = 0; i < plan.n_frames * plan.frame_width; i++) FUZZ_CHECK(isfinite(x[i]));
    muse_frames_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const MuseAudioRule rules[2] = {
        { .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_RAW, .rate = 16000, .frame_samples = 640 },
        { .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_LOGMEL, .rate = 16000, .window = 400, .hop = 160, .mel_bins = 80, .stack = 4,
          .floor_rule = MUSE_MEL_FLOOR_GLOBAL },
    };
    uint8_t *exact = fuzz_copy(data, size);
    MuseAudioParams p;
    MuseAudio *audio = NULL;
    MuseError err;
    muse_audio_params_init(&p);
    p.max_seconds = 3;
    p.max_bytes = 1 << 20;
    p.borrow = 1;
    if (muse_audio_open_memory(&audio, NULL, exact, size, &p, &err) == 0) {
        frames(audio, &rules[0]);
        frames(audio, &rules[1]);
    }
    muse_audio_close(&audio);
    free(exact);
    return 0;
}
