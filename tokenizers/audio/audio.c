/* SPDX-License-Identifier: Apache-2.0 */
/* Opening sounds: files, their bytes, PCM. Nothing is decoded here but where a file does not state its length.
 * Public entries of muse/audio.h; frames come from frames.c. */
#include "tokenizers/audio/audio.h"

#include <math.h>
#include <string.h>

#include "base/params.h"
#include "tokenizers/audio/pipe.h"
#include "tokenizers/audio/rule.h"
#include "tokenizers/audio/sound_reader.h"

static const double   default_seconds = 4 * 3600.0;            /* muse/audio.h, MuseAudioParams */
static const uint64_t default_bytes   = UINT64_C(1) << 31;

void muse_audio_params_init(MuseAudioParams *params) { MUSE_PARAMS_INIT(params); }

static int params_read(MuseAudioParams *p, const MuseAudioParams *params, MuseError *err)
{
    int rc = MUSE_PARAMS_IMPORT(p, params, "MuseAudioParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p->max_seconds >= 0);
    MUSE_REQUIRE(err, p->borrow == 0 || p->borrow == 1);
    MUSE_REQUIRE(err, p->borrow || !p->release);
    if (p->max_seconds == 0) p->max_seconds = default_seconds;
    if (p->max_bytes == 0) p->max_bytes = default_bytes;
    return 0;
}

static int audio_new(MuseAudio **out, MuseRuntime *rt, MuseError *err)
{
    MuseRuntime *kept = muse_runtime_ref(rt);
    if (!kept) return MUSE_NOMEM(err, sizeof(MuseRuntime));
    MuseAudio *a = muse_zalloc(&kept->alloc, sizeof *a);
    if (!a) {
        muse_runtime_close(&kept);
        return MUSE_NOMEM(err, sizeof *a);
    }
    a->rt = kept;
    atomic_init(&a->refs, 1);
    *out = a;
    return 0;
}

/* The caller's bytes, or a copy of them. */
static int take_bytes(MuseAudio *a, const void *bytes, size_t size, int borrow, MuseError *err)
{
    a->bytes = bytes;
    a->size = size;
    if (borrow || size == 0) return 0;
    a->owned = muse_alloc(&a->rt->alloc, size);
    if (!a->owned) return MUSE_NOMEM(err, size);
    memcpy(a->owned, bytes, size);
    a->bytes = a->owned;
    return 0;
}

/* The caller has a sound now, and so the sound has the caller's bytes. */
static void hand_over(MuseAudio **out, MuseAudio *a, const MuseAudioParams *p)
{
    a->release = p->release;
    a->release_user = p->release_user;
    *out = a;
}

static int check_seconds(const MuseAudio *a, uint64_t n, double max_seconds, MuseError *err)
{
    if ((double)n <= max_seconds * a->info.rate) return 0;
    return muse_fail(err, MUSE_ERR_LIMIT, "%s: %.1f seconds of sound or more, the limit is %g",
                     a->info.format, (double)n / a->info.rate, max_seconds);
}

/* Length by decoding, for files that do not state it. */
static int count_samples(MuseAudio *a, MuseSoundReader *r, double max_seconds, MuseError *err)
{
    size_t n = 0;
    int rc = 0;
    do {
        rc = muse_sound_reader_next(r, &n, err);
        if (rc == 0) rc = check_seconds(a, r->pos, max_seconds, err);
    } while (rc == 0 && n);
    a->info.n_samples = r->pos;
    return rc;
}

/* What container and decoder say of the length must agree; where neither promises one, decoding counts. */
static int settle_length(MuseAudio *a, MuseSoundReader *r, double max_seconds, MuseError *err)
{
    const MuseSound *s = &a->sound;
    const bool silent = r->n_samples == UINT64_MAX;   /* the decoder promises nothing */
    uint64_t want = 0;
    a->info.rate = r->rate;
    if (s->rate && !muse_resampled_len(s->n_samples, s->rate, r->rate, &want)) want = UINT64_MAX;
    const uint64_t apart = silent ? 0 : r->n_samples > want ? r->n_samples - want : want - r->n_samples;
    if (s->count == MUSE_COUNT_EXACT && apart > (r->rate != s->rate))   /* Opus counts at 48 kHz, whatever it decodes to */
        return muse_fail(err, MUSE_ERR_FORMAT, "%s: %llu samples promised, the decoder finds %llu", s->format, (unsigned long long)want,
                         (unsigned long long)r->n_samples);
    const bool believed = s->count == MUSE_COUNT_EXACT || (!silent && apart == 0) || (s->count == MUSE_COUNT_DECODER && r->n_samples <= want);
    if (!believed) return count_samples(a, r, max_seconds, err);
    a->info.n_samples = silent ? want : r->n_samples;
    return check_seconds(a, a->info.n_samples, max_seconds, err);
}

/* a->bytes are a sound file: what is it, and how long? */
static int inspect(MuseAudio *a, size_t size, double max_seconds, MuseError *err)
{
    MuseSound *s = &a->sound;
    int rc = muse_sound_probe(s, a->bytes, size, err);
    if (rc < 0) return rc;
    a->info = (MuseAudioInfo){ s->n_samples, s->rate, s->channels, 0, s->format };
    if (s->count == MUSE_COUNT_EXACT) rc = check_seconds(a, s->n_samples, max_seconds, err);
    if (rc < 0) return rc;
    if (s->count == MUSE_COUNT_EXACT && s->n_samples == 0) return 0;
    MuseSoundReader r;
    rc = muse_sound_reader_open(&r, a->rt, s, err);
    if (rc < 0) return rc;
    rc = settle_length(a, &r, max_seconds, err);
    muse_sound_reader_close(&r);
    if (a->info.rate < MUSE_SOUND_RATE_MIN || a->info.rate > MUSE_SOUND_RATE_MAX)
        rc = muse_fail(err, MUSE_ERR_LIMIT, "%s: %u Hz, taken are %d to %d",
                       s->format, a->info.rate, MUSE_SOUND_RATE_MIN, MUSE_SOUND_RATE_MAX);
    a->info.seconds = (double)a->info.n_samples / a->info.rate;
    return rc;
}

int muse_audio_open_file(MuseAudio **out, MuseRuntime *rt, const char *path, const MuseAudioParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, path);
    MuseAudioParams p;
    MuseAudio *a = NULL;
    int rc = params_read(&p, params, err);
    if (rc == 0 && p.release) rc = muse_fail(err, MUSE_ERR_ARG, "%s: release is told of borrowed bytes, and a file has none", path);
    if (rc == 0) rc = audio_new(&a, rt, err);
    if (rc < 0) return rc;
    a->file.alloc = &a->rt->alloc;
    rc = muse_file_open(&a->file, path, p.max_bytes, err);
    if (rc < 0) goto fail;
    a->bytes = a->file.data;
    a->size = a->file.size;
    rc = inspect(a, a->file.size, p.max_seconds, err);
    if (rc < 0) {
        muse_fail_prefix(err, rc, "%s", path);
        goto fail;
    }
    *out = a;
    return 0;
fail:
    muse_audio_close(&a);
    return rc;
}

int muse_audio_open_memory(MuseAudio **out, MuseRuntime *rt, const void *bytes, size_t size, const MuseAudioParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, bytes || size == 0);
    MuseAudioParams p;
    MuseAudio *a = NULL;
    int rc = params_read(&p, params, err);
    if (rc < 0) return rc;
    if (size > p.max_bytes)
        return muse_fail(err, MUSE_ERR_LIMIT, "a sound file of %zu bytes, the limit is %llu", size, (unsigned long long)p.max_bytes);
    rc = audio_new(&a, rt, err);
    if (rc < 0) return rc;
    rc = take_bytes(a, bytes, size, p.borrow, err);
    if (rc == 0) rc = inspect(a, size, p.max_seconds, err);
    if (rc < 0) goto fail;
    hand_over(out, a, &p);
    return 0;
fail:
    muse_audio_close(&a);
    return rc;
}

int muse_audio_open_pcm(MuseAudio **out, MuseRuntime *rt, const void *pcm, uint64_t n_samples, int type, uint32_t rate, uint32_t channels,
                        const MuseAudioParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, pcm || n_samples == 0);
    MUSE_REQUIRE(err, type == MUSE_PCM_S16 || type == MUSE_PCM_F32);
    MUSE_REQUIRE(err, rate >= MUSE_SOUND_RATE_MIN && rate <= MUSE_SOUND_RATE_MAX);
    MUSE_REQUIRE(err, channels >= 1 && channels <= MUSE_SOUND_CHANNELS_MAX);
    const size_t sample_bytes = channels * (type == MUSE_PCM_S16 ? sizeof(int16_t) : sizeof(float));
    MUSE_REQUIRE(err, n_samples <= SIZE_MAX / 2 / sample_bytes);
    MuseAudioParams p;
    MuseAudio *a = NULL;
    int rc = params_read(&p, params, err);
    if (rc < 0) return rc;
    rc = audio_new(&a, rt, err);
    if (rc < 0) return rc;
    a->pcm_type = type;
    a->info = (MuseAudioInfo){ n_samples, rate, channels, (double)n_samples / rate, "pcm" };
    rc = check_seconds(a, n_samples, p.max_seconds, err);
    if (rc < 0) goto fail;
    const size_t values = (size_t)n_samples * channels, bad = type == MUSE_PCM_F32 ? muse_pcm_bad(pcm, values) : values;
    if (bad < values) {
        rc = muse_fail(err, MUSE_ERR_FORMAT, "pcm: sample %zu of channel %zu is %g",
                       bad / channels, bad % channels, (double)((const float *)pcm)[bad]);
        goto fail;
    }
    rc = take_bytes(a, pcm, (size_t)n_samples * sample_bytes, p.borrow, err);
    if (rc < 0) goto fail;
    hand_over(out, a, &p);
    return 0;
fail:
    muse_audio_close(&a);
    return rc;
}

void muse_audio_close(MuseAudio **audio)
{
    if (!audio || !*audio) return;
    MuseAudio *a = *audio;
    *audio = NULL;
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1) return;
    MuseRuntime *rt = a->rt;
    muse_file_close(&a->file);
    muse_free(a->owned);
    if (a->release) a->release(a->release_user);
    muse_free(a);
    muse_runtime_close(&rt);
}

MuseAudio *muse_audio_ref(MuseAudio *audio)
{
    if (audio) atomic_fetch_add_explicit(&audio->refs, 1, memory_order_relaxed);
    return audio;
}

int muse_audio_info(const MuseAudio *audio, MuseAudioInfo *out)
{
    if (!audio || !out) return MUSE_ERR_ARG;
    *out = audio->info;
    return 0;
}
