/* SPDX-License-Identifier: Apache-2.0 */
/* One channel of samples to frames. It reads no files and knows no channels; frames.c and feed.c bring the samples.
 *
 *   mono -> [block of 960] -> soxr -> RAW:    appended to `out`, the last frame padded with zeros
 *           (equal rates:  ---------> LOGMEL: logmel.c, its columns appended to `out`, scaled, padded with silence
 *            straight on)
 *
 * soxr's latency hides the true length until the end, where what it gives is cut or zero-padded to
 * round(n * rule rate / rate): counting and cutting agree always. */
#include "tokenizers/audio/pipe.h"

#include <math.h>
#include <soxr.h>
#include <string.h>

#include "base/status.h"
#include "tokenizers/audio/rule.h"

static size_t value_count(const MusePipe *p) { return p->out.len / sizeof(float); }

int muse_pipe_open(MusePipe *p, const MuseRuntime *rt, const MuseAudioRule *rule, uint32_t rate, MuseError *err)
{
    memset(p, 0, sizeof *p);
    p->rt = rt;
    p->rule = *rule;
    p->rate = rate;
    p->out.alloc = &rt->alloc;
    int rc = 0;
    if (rule->kind == MUSE_AUDIO_LOGMEL) rc = muse_logmel_open(&p->mel, rt, rule, err);
    if (rc < 0 || rate == rule->rate) goto done;
    p->resampled = muse_alloc_array(&rt->alloc, MUSE_PIPE_TAKE, sizeof(float));
    if (!p->resampled) {
        rc = MUSE_NOMEM(err, MUSE_PIPE_TAKE * sizeof(float));
        goto done;
    }
    soxr_error_t failed = NULL;
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t one_thread = soxr_runtime_spec(1);
    p->soxr = soxr_create(rate, rule->rate, 1, &failed, &io, &quality, &one_thread);
    if (failed || !p->soxr)
        rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "resampling %u Hz to %u Hz: %s", rate, rule->rate, failed ? failed : "no memory");
done:
    if (rc < 0) muse_pipe_close(p);
    return rc;
}

void muse_pipe_close(MusePipe *p)
{
    if (p->soxr) soxr_delete(p->soxr);
    muse_free(p->resampled);
    muse_logmel_close(&p->mel);
    muse_buf_clear(&p->out);
    memset(p, 0, sizeof *p);
}

int muse_pipe_reserve(MusePipe *p, uint64_t n, MuseError *err)
{
    uint64_t after = 0;
    size_t values = 0, bytes = 0;
    bool fits = p->n_in <= UINT64_MAX - n && muse_resampled_len(p->n_in + n, p->rate, p->rule.rate, &after);
    if (fits && p->rule.kind == MUSE_AUDIO_LOGMEL) {
        const uint64_t columns = muse_mel_columns(&p->rule, after) - p->mel.columns;
        fits = columns <= SIZE_MAX - p->rule.stack && muse_mul_size((size_t)columns + p->rule.stack, p->rule.mel_bins, &values);
    } else if (fits) {
        fits = after - p->n_cut <= SIZE_MAX - p->rule.frame_samples;
        values = (size_t)(after - p->n_cut) + p->rule.frame_samples;
    }
    if (!fits || !muse_mul_size(values, sizeof(float), &bytes))
        return muse_fail(err, MUSE_ERR_NOMEM, "frames of %llu samples do not fit memory", (unsigned long long)n);
    if (muse_buf_reserve(&p->out, bytes) < 0) return MUSE_NOMEM(err, bytes);
    return 0;
}

/* The low end of FIXED columns, which no value falls below whatever the sound. */
static float fixed_low(const MuseAudioRule *rule)
{
    return fmaxf(rule->floor_db / 10.0f, -10.0f);
}

/* Samples at the rule's rate to frames; muse_pipe_reserve() has made room. */
static void cut(MusePipe *p, const float *x, size_t n)
{
    p->n_cut += n;
    if (p->rule.kind == MUSE_AUDIO_RAW) {
        memcpy(p->out.data + p->out.len, x, n * sizeof *x);
        p->out.len += n * sizeof *x;
        return;
    }
    while (n) {
        const size_t take = n < MUSE_MEL_CHUNK ? n : MUSE_MEL_CHUNK;
        float *columns = (float *)(void *)(p->out.data + p->out.len);
        const size_t values = muse_logmel_push(&p->mel, x, take, columns) * p->rule.mel_bins;
        if (p->rule.floor_rule == MUSE_MEL_FLOOR_FIXED) p->rt->ops.mel.mel_scale_f32(columns, values, fixed_low(&p->rule));
        p->out.len += values * sizeof(float);
        x += take;
        n -= take;
    }
}

/* Resampled samples to frames. That soxr never runs ahead of its input is its promise, our buffers' sizes rest on it. */
static int cut_resampled(MusePipe *p, size_t n, MuseError *err)
{
    uint64_t most = 0;
    if (!muse_resampled_len(p->n_in, p->rate, p->rule.rate, &most) || n > most - p->n_cut)
        return muse_fail(err, MUSE_ERR_STATE, "the resampler ran ahead of its input at sample %llu", (unsigned long long)p->n_cut);
    cut(p, p->resampled, n);
    return 0;
}

static int resample(MusePipe *p, const float *x, size_t n, MuseError *err)
{
    int rc = 0;
    size_t made = MUSE_PIPE_TAKE;
    while (rc == 0 && (n || made == MUSE_PIPE_TAKE)) {
        size_t used = 0;
        soxr_error_t failed = soxr_process(p->soxr, x, n, &used, p->resampled, MUSE_PIPE_TAKE, &made);
        if (!failed && n && !used && !made) failed = "it stopped taking samples";
        if (failed) return muse_fail(err, MUSE_ERR_NOMEM, "resampling %u Hz to %u Hz: %s", p->rate, p->rule.rate, failed);
        rc = cut_resampled(p, made, err);
        x += used;
        n -= used;
    }
    return rc;
}

int muse_pipe_push(MusePipe *p, const float *x, size_t n, MuseError *err)
{
    int rc = muse_pipe_reserve(p, n, err);
    if (rc < 0) return rc;
    p->n_in += n;
    if (!p->soxr) {
        cut(p, x, n);
        return 0;
    }
    while (n && rc == 0) {
        const size_t room = MUSE_PIPE_BLOCK - p->fill, take = n < room ? n : room;
        memcpy(p->block + p->fill, x, take * sizeof *x);
        p->fill += take;
        x += take;
        n -= take;
        if (p->fill < MUSE_PIPE_BLOCK) break;
        p->fill = 0;
        rc = resample(p, p->block, MUSE_PIPE_BLOCK, err);
    }
    return rc;
}

/* What soxr still holds, cut or padded to the planned length. */
static int drain(MusePipe *p, uint64_t total, MuseError *err)
{
    int rc = p->fill ? resample(p, p->block, p->fill, err) : 0;
    p->fill = 0;
    while (rc == 0 && p->n_cut < total) {
        const uint64_t left = total - p->n_cut;
        const size_t want = left < MUSE_PIPE_TAKE ? (size_t)left : MUSE_PIPE_TAKE;
        size_t made = 0;
        soxr_error_t failed = soxr_process(p->soxr, NULL, 0, NULL, p->resampled, want, &made);
        if (failed) return muse_fail(err, MUSE_ERR_NOMEM, "resampling %u Hz to %u Hz: %s", p->rate, p->rule.rate, failed);
        if (made == 0) {
            made = want;
            memset(p->resampled, 0, made * sizeof *p->resampled);
        }
        rc = cut_resampled(p, made, err);
    }
    return rc;
}

int muse_pipe_finish(MusePipe *p, MuseError *err)
{
    if (p->finished) return 0;
    uint64_t total = 0;
    if (!muse_resampled_len(p->n_in, p->rate, p->rule.rate, &total)) return MUSE_NOMEM(err, SIZE_MAX);
    int rc = muse_pipe_reserve(p, 0, err);
    if (rc == 0 && p->soxr) rc = drain(p, total, err);
    if (rc == 0 && p->n_cut != total)
        rc = muse_fail(err, MUSE_ERR_STATE, "the resampler gave %llu samples of %llu",
                       (unsigned long long)p->n_cut, (unsigned long long)total);
    if (rc < 0) return rc;
    float silence = 0;
    if (p->rule.kind == MUSE_AUDIO_LOGMEL) {
        const size_t done = value_count(p), last = muse_logmel_finish(&p->mel, (float *)(void *)p->out.data + done) * p->rule.mel_bins;
        const bool global = p->rule.floor_rule == MUSE_MEL_FLOOR_GLOBAL;
        const float low = global ? p->mel.loudest - 8.0f : fixed_low(&p->rule);   /* 8: Radford et al.'s code, log10 of power */
        p->out.len += last * sizeof(float);
        p->rt->ops.mel.mel_scale_f32((float *)(void *)p->out.data + (global ? 0 : done), last + (global ? done : 0), low);
        silence = -10.0f;
        p->rt->ops.mel.mel_scale_f32(&silence, 1, low);
    }
    const size_t width = muse_audio_frame_width(&p->rule);
    for (float *end = (float *)(void *)p->out.data; value_count(p) % width; p->out.len += sizeof(float)) end[value_count(p)] = silence;
    p->finished = true;
    return 0;
}

size_t muse_pcm_bad(const float *x, size_t n)
{
    enum { BATCH = 256 };   /* tested without a branch each, so that the compiler can use vectors */
    for (size_t i = 0; i < n; i += BATCH) {
        const size_t end = n - i < BATCH ? n : i + BATCH;
        int bad = 0;
        for (size_t k = i; k < end; k++) bad |= !(fabsf(x[k]) <= MUSE_SAMPLE_MAX);
        for (size_t k = i; bad && k < end; k++)
            if (!(fabsf(x[k]) <= MUSE_SAMPLE_MAX)) return k;
    }
    return n;
}

void muse_pcm_mix(float *y, const void *x, int type, size_t n, uint32_t channels)
{
    const int16_t *s = x;
    const float *f = x;
    const double divisor = (type == MUSE_PCM_S16 ? 32768.0 : 1.0) * channels;
    if (channels == 1 && type == MUSE_PCM_F32) {
        memcpy(y, f, n * sizeof *y);
    } else if (channels == 2 && type == MUSE_PCM_F32) {   /* the usual case, in a form that vectorises */
        for (size_t i = 0; i < n; i++) y[i] = (float)(((double)f[2 * i] + (double)f[2 * i + 1]) * 0.5);
    } else {
        for (size_t i = 0; i < n; i++) {
            double sum = 0;
            for (uint32_t c = 0; c < channels; c++) sum += type == MUSE_PCM_S16 ? (double)s[i * channels + c] : (double)f[i * channels + c];
            y[i] = (float)(sum / divisor);
        }
    }
}
