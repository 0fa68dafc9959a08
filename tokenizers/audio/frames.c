/* SPDX-License-Identifier: Apache-2.0 */
/* A whole sound to frames: reads or mixes blocks, drives the pipe, and compares promised and found.
 * Public entries of muse/audio.h. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/status.h"
#include "tokenizers/audio/audio.h"
#include "tokenizers/audio/pipe.h"
#include "tokenizers/audio/rule.h"
#include "tokenizers/audio/sound_reader.h"

struct MuseFrames {
    atomic_int    refs;
    MuseRuntime  *rt;
    MuseAudioRule rule;
    MuseAudioPlan plan;
    float        *data;   /* [n_frames, frame_width] */
};

/* A plan from a header is believed at once up to this size; beyond it memory grows with what is really there. */
static const uint64_t trusted_bytes = UINT64_C(64) << 20;

enum { PCM_BLOCK = 4096, MONO_CAP = 16384 };

/* Floats are full at 1; a loud mix may reach a few times that. Whole numbers of 16 bits that were not divided reach thousands. */
static const float peak_max = 100.0f;

typedef struct FramesJob {
    const MuseAudio *audio;
    MusePipe        *pipe;
    float           *mono;   /* [MONO_CAP] */
    MuseCancelFn    *cancel;
    void            *cancel_user;
    uint64_t         done;
    float            peak;   /* of the mixed samples */
    MuseError       *err;
} FramesJob;

/* one block of interleaved samples */
static int block(FramesJob *j, const void *samples, int type, size_t n)
{
    if (j->cancel && j->cancel(j->cancel_user))
        return muse_fail(j->err, MUSE_ERR_CANCELLED, "cancelled at sample %llu", (unsigned long long)j->done);
    muse_pcm_mix(j->mono, samples, type, n, j->audio->info.channels);
    j->done += n;
    for (size_t i = 0; i < n; i++) j->peak = fmaxf(j->peak, fabsf(j->mono[i]));
    return muse_pipe_push(j->pipe, j->mono, n, j->err);
}

static int run_pcm(FramesJob *j)
{
    const MuseAudioInfo *info = &j->audio->info;
    const size_t sample_bytes = info->channels * (j->audio->pcm_type == MUSE_PCM_S16 ? sizeof(int16_t) : sizeof(float));
    int rc = 0;
    while (rc == 0 && j->done < info->n_samples) {
        const uint64_t left = info->n_samples - j->done;
        rc = block(j, j->audio->bytes + j->done * sample_bytes, j->audio->pcm_type, left < PCM_BLOCK ? (size_t)left : PCM_BLOCK);
    }
    return rc;
}

static int run_file(FramesJob *j)
{
    const MuseAudioInfo *info = &j->audio->info;
    if (info->n_samples == 0) return 0;
    MuseSoundReader r;
    int rc = muse_sound_reader_open(&r, j->audio->rt, &j->audio->sound, j->err);
    if (rc < 0) return rc;
    size_t n = 1;
    while (rc == 0 && n && r.pos <= info->n_samples) {
        rc = muse_sound_reader_next(&r, &n, j->err);
        if (rc == 0 && n) rc = block(j, r.block, MUSE_PCM_F32, n);
    }
    if (rc == 0 && r.pos != info->n_samples)
        rc = muse_fail(j->err, MUSE_ERR_FORMAT, "%s: %llu samples promised, %s%llu found",
                       info->format, (unsigned long long)info->n_samples,
                       r.pos > info->n_samples ? "at least " : "", (unsigned long long)r.pos);
    muse_sound_reader_close(&r);
    return rc;
}

static int run(MuseFrames *f, const FramesJob *job)
{
    const MuseAudio *a = job->audio;
    FramesJob j = *job;
    MusePipe *pipe = muse_alloc(&f->rt->alloc, sizeof *pipe);
    j.mono = muse_alloc_array(&f->rt->alloc, MONO_CAP, sizeof(float));
    j.pipe = pipe;
    int rc = pipe && j.mono ? 0 : MUSE_NOMEM(j.err, sizeof *pipe + MONO_CAP * sizeof(float));
    if (rc == 0) rc = muse_pipe_open(pipe, f->rt, &f->rule, a->info.rate, j.err);
    if (rc < 0) goto done;
    if (a->pcm_type || f->plan.n_frames <= trusted_bytes / sizeof(float) / f->plan.frame_width)
        rc = muse_pipe_reserve(pipe, a->info.n_samples, j.err);
    if (rc == 0) rc = a->pcm_type ? run_pcm(&j) : run_file(&j);
    if (j.peak > peak_max)
        muse_log(&f->rt->log, MUSE_LOG_WARN, "samples reach %.0f, and floats are full at 1: whole numbers that were not divided?", (double)j.peak);
    if (rc == 0) rc = muse_pipe_finish(pipe, j.err);
    if (rc == 0 && pipe->out.len != f->plan.n_frames * f->plan.frame_width * sizeof(float))
        rc = muse_fail(j.err, MUSE_ERR_STATE, "%zu bytes of frames, planned were %llu frames",
                       pipe->out.len, (unsigned long long)f->plan.n_frames);
    if (rc == 0 && f->plan.n_frames) {
        f->data = (float *)(void *)pipe->out.data;
        pipe->out = (MuseBuf){ 0 };
    }
    muse_pipe_close(pipe);
done:
    muse_free(j.mono);
    muse_free(pipe);
    return rc;
}

int muse_audio_frames(MuseFrames **out, const MuseAudio *audio, const MuseAudioRule *rule, MuseCancelFn *cancel, void *cancel_user, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, audio);
    MuseAudioPlan plan;
    int rc = muse_audio_plan(rule, audio->info.n_samples, audio->info.rate, &plan, err);
    if (rc < 0) return rc;
    MuseFrames *f = muse_zalloc(&audio->rt->alloc, sizeof *f);
    if (!f) return MUSE_NOMEM(err, sizeof *f);
    atomic_init(&f->refs, 1);
    f->rt = muse_runtime_ref(audio->rt);
    f->rule = *rule;
    f->plan = plan;
    if (plan.too_long)
        muse_log(&f->rt->log, MUSE_LOG_WARN, "%.1f seconds of sound: the model was made for %g; all of it is used",
                 audio->info.seconds, (double)rule->max_seconds);
    if (audio->info.n_samples == 0) muse_log(&f->rt->log, MUSE_LOG_WARN, "a sound without samples: there is nothing to hear");
    rc = run(f, &(FramesJob){ .audio = audio, .cancel = cancel, .cancel_user = cancel_user, .err = err });
    if (rc < 0) goto fail;
    *out = f;
    return 0;
fail:
    muse_frames_close(&f);
    return rc;
}

MuseFrames *muse_frames_ref(MuseFrames *frames)
{
    if (frames) atomic_fetch_add_explicit(&frames->refs, 1, memory_order_relaxed);
    return frames;
}

void muse_frames_close(MuseFrames **frames)
{
    if (!frames || !*frames) return;
    MuseFrames *f = *frames;
    *frames = NULL;
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
    MuseRuntime *rt = f->rt;
    muse_free(f->data);
    muse_free(f);
    muse_runtime_close(&rt);
}

const MuseAudioPlan *muse_frames_plan(const MuseFrames *frames) { return frames ? &frames->plan : NULL; }

const float *muse_frames_data(const MuseFrames *frames) { return frames ? frames->data : NULL; }

/* What frames depend on, and nothing else: a rule's unused fields and its statement on length change no feature. */
void muse_frames_hash(const MuseFrames *frames, uint8_t hash[32])
{
    if (!hash) return;
    memset(hash, 0, MUSE_HASH_BYTES);
    if (!frames) return;
    const MuseAudioRule *r = &frames->rule;
    MuseHash h;
    muse_hash_init(&h, "audio frames");
    muse_hash_add_u64(&h, r->kind);
    muse_hash_add_u64(&h, r->rate);
    if (r->kind == MUSE_AUDIO_RAW) {
        muse_hash_add_u64(&h, r->frame_samples);
    } else {
        const uint64_t fields[] = { r->window, r->hop, r->mel_bins, r->stack, r->floor_rule };
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) muse_hash_add_u64(&h, fields[i]);
        muse_hash_add_f64(&h, r->floor_rule == MUSE_MEL_FLOOR_FIXED ? (double)r->floor_db : 0);
    }
    muse_hash_add_u64(&h, frames->plan.n_frames);
    muse_hash_add(&h, frames->data, (size_t)frames->plan.n_frames * frames->plan.frame_width * sizeof(float));
    muse_hash_done(&h, hash);
}
