/* SPDX-License-Identifier: Apache-2.0 */
/* PCM of any bytes, rate, type, rule and split: the live feed gives the frames of the whole sound, bit for bit.
 *
 *   input: kind, rate, channels, type, size of pushes, frame or window, hop, stack; then samples */
#include "fuzz.h"
#include "muse/audio.h"

enum { HEAD = 8 };

static MuseAudioRule rule_of(const uint8_t *h)
{
    static const uint32_t rates[] = { 16000, 8000, 22050, 1000 };
    MuseAudioRule r = { .struct_size = sizeof r, .kind = h[0] % 2 ? MUSE_AUDIO_LOGMEL : MUSE_AUDIO_RAW, .rate = rates[h[0] / 2 % 4] };
    r.frame_samples = 1 + h[5] * 4u;
    r.window = 2 + h[5] * 2u;
    r.hop = 1 + h[6] % r.window;
    r.mel_bins = 1 + h[6] % 40;
    r.stack = 1 + h[7] % 5;
    r.floor_db = -80;
    return r;
}

static void feed_equals(const void *pcm, size_t n, size_t sample, const uint8_t *h, const MuseAudioRule *rule, uint32_t rate, const MuseFrames *want)
{
    const MuseAudioPlan *plan = muse_frames_plan(want);
    const float *rest = muse_frames_data(want);
    const int type = h[3] % 2 ? MUSE_PCM_S16 : MUSE_PCM_F32;
    MuseAudioFeed *feed = NULL;
    MuseError err;
    float *out = malloc(3 * plan->frame_width * sizeof *out);
    if (!out) exit(1);
    FUZZ_CHECK(muse_audio_feed_open(&feed, NULL, rule, type, rate, 1 + h[2] % 4, &err) == 0);
    size_t pushed = 0, taken = 0, got = 0;
    for (int rc = MUSE_AGAIN; rc != MUSE_DONE; taken += got) {
        size_t k = (h[4] + pushed) % 300;
        if (pushed == n) {
            FUZZ_CHECK(muse_audio_feed_finish(feed, &err) == 0);
        } else {
            if (k > n - pushed) k = n - pushed;
            FUZZ_CHECK(muse_audio_feed_push(feed, (const uint8_t *)pcm + pushed * sample, k, &err) == 0);
            pushed += k ? k : 0;
            if (k == 0) {   /* an empty push is allowed, but does not get on */
                FUZZ_CHECK(muse_audio_feed_push(feed, (const uint8_t *)pcm + pushed * sample, 1, &err) == 0);
                pushed++;
            }
        }
        rc = muse_audio_feed_take(feed, out, 3, &got);
        FUZZ_CHECK(rc >= 0 && taken + got <= plan->n_frames);
        if (got) FUZZ_CHECK(memcmp(out, rest + taken * plan->frame_width, got * plan->frame_width * sizeof *out) == 0);
    }
    FUZZ_CHECK(taken == plan->n_frames);
    muse_audio_feed_close(&feed);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t rates[] = { 16000, 44100, 48000, 8000, 11025, 96000, 1000, 768000, 12345 };
    if (size < HEAD) return 0;
    const MuseAudioRule rule = rule_of(data);
    const uint32_t rate = rates[data[1] % 9], channels = 1 + data[2] % 4;
    const int type = data[3] % 2 ? MUSE_PCM_S16 : MUSE_PCM_F32;
    const size_t sample = channels * (type == MUSE_PCM_S16 ? 2 : 4), n = (size - HEAD) / sample;
    uint8_t *pcm = fuzz_copy(data + HEAD, n * sample);
    MuseAudioParams p;
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    MuseError err;
    muse_audio_params_init(&p);
    p.borrow = 1;
    const int rc = muse_audio_open_pcm(&audio, NULL, pcm, n, type, rate, channels, &p, &err);
    FUZZ_CHECK(rc == 0 || (rc == MUSE_ERR_FORMAT && type == MUSE_PCM_F32));
    if (rc == 0) {
        FUZZ_CHECK(muse_audio_frames(&frames, audio, &rule, NULL, NULL, &err) == 0);
        feed_equals(pcm, n, sample, data, &rule, rate, frames);
    }
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    free(pcm);
    return 0;
}
