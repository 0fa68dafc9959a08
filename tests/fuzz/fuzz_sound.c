/* SPDX-License-Identifier: Apache-2.0 */
/* Sound files of any bytes, with small limits: opening, then raw and log-mel frames. Length and frames must agree with the
 * plan, values must be finite. Ogg bytes run a second time with their checksums put right, so that codecs are reached. */
#include <math.h>
#include <stdbool.h>

#include "fuzz.h"
#include "muse/audio.h"

/* libsndfile 1.2 loses a Vorbis decoder (6 KB) whose comment or setup header is wrong; ours to report, not to mend. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libvorbis.so\nleak:libvorbisenc.so\n"; }

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

/* @source RFC 3533, section 6 */
static bool seal_pages(uint8_t *p, size_t size)
{
    size_t at = 0;
    while (size - at >= 27 && memcmp(p + at, "OggS", 4) == 0 && size - at >= 27u + p[at + 26]) {
        size_t len = 27u + p[at + 26];
        for (size_t i = 0; i < p[at + 26]; i++) len += p[at + 27 + i];
        if (len > size - at) break;
        uint32_t crc = 0;
        memset(p + at + 22, 0, 4);
        for (size_t i = 0; i < len; i++) {
            crc ^= (uint32_t)p[at + i] << 24;
            for (int k = 0; k < 8; k++) crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
        }
        for (int i = 0; i < 4; i++) p[at + 22 + (size_t)i] = (uint8_t)(crc >> (8 * i));
        at += len;
    }
    return at > 0;
}

static void whole(const uint8_t *bytes, size_t size)
{
    static const MuseAudioRule rules[2] = {
        { .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_RAW, .rate = 16000, .frame_samples = 640 },
        { .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_LOGMEL, .rate = 16000, .window = 400, .hop = 160, .mel_bins = 80, .stack = 4,
          .floor_rule = MUSE_MEL_FLOOR_GLOBAL },
    };
    MuseAudioParams p;
    MuseAudio *audio = NULL;
    MuseError err;
    muse_audio_params_init(&p);
    p.max_seconds = 3;
    p.max_bytes = 1 << 20;
    p.borrow = 1;
    if (muse_audio_open_memory(&audio, NULL, bytes, size, &p, &err) == 0) {
        frames(audio, &rules[0]);
        frames(audio, &rules[1]);
    }
    muse_audio_close(&audio);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;   /* tests/data/bad/audio/empty.wav */
    uint8_t *exact = fuzz_copy(data, size);
    whole(exact, size);
    if (seal_pages(exact, size)) whole(exact, size);
    free(exact);
    return 0;
}
