/* SPDX-License-Identifier: Apache-2.0 */
/* The live feed: pushes of any size through the same pipe as whole sounds, frames taken as they come.
 * Public entries of muse/audio.h. One thread per handle. */
#include <string.h>

#include "base/status.h"
#include "tokenizers/audio/pipe.h"
#include "tokenizers/audio/rule.h"

enum { FEED_BLOCK = 1024 };   /* samples mixed at once */

struct MuseAudioFeed {
    MuseRuntime *rt;
    int          type;
    uint32_t     channels;
    size_t       frame_bytes;
    size_t       taken;    /* bytes of pipe.out that have been taken */
    bool         broken;   /* the resampler failed in the midst of a push */
    MusePipe     pipe;
    float        mono[FEED_BLOCK];
};

int muse_audio_feed_open(MuseAudioFeed **out, MuseRuntime *rt, const MuseAudioRule *rule, int type, uint32_t rate, uint32_t channels, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, type == MUSE_PCM_S16 || type == MUSE_PCM_F32);
    MUSE_REQUIRE(err, rate >= MUSE_SOUND_RATE_MIN && rate <= MUSE_SOUND_RATE_MAX);
    MUSE_REQUIRE(err, channels >= 1 && channels <= MUSE_SOUND_CHANNELS_MAX);
    int rc = muse_audio_rule_check(rule, err);
    if (rc < 0) return rc;
    if (rule->kind == MUSE_AUDIO_LOGMEL && rule->floor_rule == MUSE_MEL_FLOOR_GLOBAL)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a live feed needs the fixed mel floor: the global one depends on the end of the sound");
    MuseRuntime *kept = muse_runtime_ref(rt);
    if (!kept) return MUSE_NOMEM(err, sizeof(MuseRuntime));
    MuseAudioFeed *f = muse_zalloc(&kept->alloc, sizeof *f);
    if (!f) {
        muse_runtime_close(&kept);
        return MUSE_NOMEM(err, sizeof *f);
    }
    f->rt = kept;
    f->type = type;
    f->channels = channels;
    f->frame_bytes = muse_audio_frame_width(rule) * sizeof(float);
    rc = muse_pipe_open(&f->pipe, kept, rule, rate, err);
    if (rc < 0) goto fail;
    *out = f;
    return 0;
fail:
    muse_audio_feed_close(&f);
    return rc;
}

/* Frames that were taken make room for new ones. */
static void compact(MuseAudioFeed *f)
{
    MuseBuf *b = &f->pipe.out;
    if (!f->taken) return;
    memmove(b->data, b->data + f->taken, b->len - f->taken);
    b->len -= f->taken;
    f->taken = 0;
}

static int usable(const MuseAudioFeed *f, MuseError *err)
{
    return f->broken ? muse_fail(err, MUSE_ERR_STATE, "the feed failed before; close it") : 0;
}

int muse_audio_feed_push(MuseAudioFeed *feed, const void *pcm, size_t n_samples, MuseError *err)
{
    MUSE_REQUIRE(err, feed);
    MUSE_REQUIRE(err, pcm || n_samples == 0);
    const size_t sample_bytes = feed->channels * (feed->type == MUSE_PCM_S16 ? sizeof(int16_t) : sizeof(float));
    MUSE_REQUIRE(err, n_samples <= SIZE_MAX / 2 / sample_bytes);
    int rc = usable(feed, err);
    if (rc < 0) return rc;
    if (feed->pipe.finished) return muse_fail(err, MUSE_ERR_STATE, "the feed is finished: no more sound can be given");
    const size_t values = n_samples * feed->channels, bad = feed->type == MUSE_PCM_F32 ? muse_pcm_bad(pcm, values) : values;
    if (bad < values)
        return muse_fail(err, MUSE_ERR_FORMAT, "sample %zu of channel %zu of this push is %g", bad / feed->channels, bad % feed->channels,
                         (double)((const float *)pcm)[bad]);
    compact(feed);
    rc = muse_pipe_reserve(&feed->pipe, n_samples, err);   /* all of it first: without memory nothing has changed */
    if (rc < 0) return rc;
    const uint8_t *p = pcm;
    while (rc == 0 && n_samples) {
        const size_t n = n_samples < FEED_BLOCK ? n_samples : FEED_BLOCK;
        muse_pcm_mix(feed->mono, p, feed->type, n, feed->channels);
        rc = muse_pipe_push(&feed->pipe, feed->mono, n, err);
        p += n * sample_bytes;
        n_samples -= n;
    }
    feed->broken = rc < 0;
    return rc;
}

int muse_audio_feed_finish(MuseAudioFeed *feed, MuseError *err)
{
    MUSE_REQUIRE(err, feed);
    int rc = usable(feed, err);
    if (rc < 0 || feed->pipe.finished) return rc;
    compact(feed);
    rc = muse_pipe_reserve(&feed->pipe, 0, err);
    if (rc < 0) return rc;
    rc = muse_pipe_finish(&feed->pipe, err);
    feed->broken = rc < 0;
    return rc;
}

size_t muse_audio_feed_ready(const MuseAudioFeed *feed)
{
    return feed ? (feed->pipe.out.len - feed->taken) / feed->frame_bytes : 0;
}

int muse_audio_feed_take(MuseAudioFeed *feed, float *out, size_t max_frames, size_t *n)
{
    if (n) *n = 0;
    if (!feed || !n || (!out && max_frames)) return MUSE_ERR_ARG;
    const size_t ready = muse_audio_feed_ready(feed), take = ready < max_frames ? ready : max_frames;
    if (ready == 0) return feed->pipe.finished ? MUSE_DONE : MUSE_AGAIN;
    if (take) memcpy(out, feed->pipe.out.data + feed->taken, take * feed->frame_bytes);
    feed->taken += take * feed->frame_bytes;
    *n = take;
    return 0;
}

void muse_audio_feed_close(MuseAudioFeed **feed)
{
    if (!feed || !*feed) return;
    MuseRuntime *rt = (*feed)->rt;
    muse_pipe_close(&(*feed)->pipe);
    muse_free(*feed);
    *feed = NULL;
    muse_runtime_close(&rt);
}
