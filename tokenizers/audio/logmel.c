/* SPDX-License-Identifier: Apache-2.0 */
/* Log-mel spectrum, Whisper's definition (Radford et al. 2022, section 2.2; docs/audio.md): periodic Hann window,
 * centred columns with reflected ends, power, Slaney's mel filters, log10. Scaling and stacking are the pipe's.
 *
 *   samples -> history [start .. n) -> column c: window centred at c * hop -> FFT -> power -> mel bands -> log10
 *
 * A column is made as soon as no later sample can change it, so a live feed and a whole sound take the same path. */
#include "tokenizers/audio/logmel.h"

#include <fftw3.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/status.h"
#include "tokenizers/audio/rule.h"

/* FFTW's planner is one per process and not thread-safe; executing plans is. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

static const double pi = 3.14159265358979323846;

/* Slaney's mel scale: linear below 1 kHz with 3 mels in 200 Hz, above it 27 mels for a factor of 6.4.
 * @source M. Slaney, Auditory Toolbox (1998); the defaults of librosa.filters.mel */
static double mel_of_hz(double hz)
{
    return hz < 1000 ? hz * 3 / 200 : 15 + 27 * log(hz / 1000) / log(6.4);
}

static double hz_of_mel(double mel)
{
    return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27);
}

/* weight of frequency hz in the triangle low..mid..high, of unit area over Hz */
static double triangle(double hz, double low, double mid, double high)
{
    const double rise = (hz - low) / (mid - low), fall = (high - hz) / (high - mid);
    const double least = rise < fall ? rise : fall;
    return least > 0 ? least * 2 / (high - low) : 0;
}

/* Two passes over the triangles: the first counts, the second (weight given) fills. Returns the number of weights. */
static size_t bank_fill(const MuseAudioRule *rule, uint32_t *first, uint32_t *len, uint32_t *at, float *weight)
{
    const uint32_t bins = rule->window / 2 + 1;
    const double step = mel_of_hz(rule->rate / 2.0) / (rule->mel_bins + 1), width = (double)rule->rate / rule->window;
    size_t used = 0;
    for (uint32_t b = 0; b < rule->mel_bins; b++) {
        const double low = hz_of_mel(b * step), mid = hz_of_mel((b + 1) * step), high = hz_of_mel((b + 2) * step);
        first[b] = len[b] = 0;
        at[b] = (uint32_t)used;
        for (uint32_t k = (uint32_t)(low / width); k < bins && k * width < high; k++) {
            const double w = triangle(k * width, low, mid, high);
            if (w <= 0) continue;
            if (len[b]++ == 0) first[b] = k;
            if (weight) weight[used] = (float)w;
            used++;
        }
    }
    return used;
}

static int bank_open(MuseLogmel *m, MuseError *err)
{
    const uint32_t bands = m->rule.mel_bins;
    m->index = muse_alloc_array(&m->rt->alloc, bands, 3 * sizeof *m->index);
    if (!m->index) return MUSE_NOMEM(err, bands * 3 * sizeof *m->index);
    uint32_t *first = m->index, *len = first + bands, *at = len + bands;
    const size_t n = bank_fill(&m->rule, first, len, at, NULL);
    m->weight = muse_alloc_array(&m->rt->alloc, n + 1, sizeof *m->weight);   /* + 1: a bank may be empty */
    if (!m->weight) return MUSE_NOMEM(err, (n + 1) * sizeof *m->weight);
    bank_fill(&m->rule, first, len, at, m->weight);
    m->bank = (MuseMelBank){ bands, first, len, at, m->weight };
    return 0;
}

static int buffers_open(MuseLogmel *m, MuseError *err)
{
    const size_t w = m->rule.window, bins = w / 2 + 1;
    m->history_cap = 2 * w + MUSE_MEL_CHUNK;   /* what waits for a column is under window + window / 2 */
    m->window = muse_alloc_array(&m->rt->alloc, w, sizeof(float));
    m->work = muse_alloc_array(&m->rt->alloc, w, sizeof(float));
    m->spectrum = muse_alloc_array(&m->rt->alloc, bins, 2 * sizeof(float));
    m->power = muse_alloc_array(&m->rt->alloc, bins, sizeof(float));
    m->history = muse_alloc_array(&m->rt->alloc, m->history_cap, sizeof(float));
    if (!m->window || !m->work || !m->spectrum || !m->power || !m->history)
        return MUSE_NOMEM(err, (m->history_cap + 5 * w) * sizeof(float));
    for (size_t i = 0; i < w; i++) m->window[i] = (float)(0.5 - 0.5 * cos(2 * pi * (double)i / (double)w));
    return 0;
}

int muse_logmel_open(MuseLogmel *m, const MuseRuntime *rt, const MuseAudioRule *rule, MuseError *err)
{
    memset(m, 0, sizeof *m);
    m->rt = rt;
    m->rule = *rule;
    m->loudest = -10.0f;
    int rc = buffers_open(m, err);
    if (rc == 0) rc = bank_open(m, err);
    if (rc < 0) goto fail;
    /* FFTW_ESTIMATE measures nothing: the same plan, so the same bits, each time */
    pthread_mutex_lock(&planner);
    m->plan = fftwf_plan_dft_r2c_1d((int)rule->window, m->work, (fftwf_complex *)(void *)m->spectrum, FFTW_ESTIMATE);
    pthread_mutex_unlock(&planner);
    if (!m->plan) {
        rc = muse_fail(err, MUSE_ERR_NOMEM, "no FFT plan for %u samples", rule->window);
        goto fail;
    }
    return 0;
fail:
    muse_logmel_close(m);
    return rc;
}

void muse_logmel_close(MuseLogmel *m)
{
    if (m->plan) {
        pthread_mutex_lock(&planner);
        fftwf_destroy_plan(m->plan);
        pthread_mutex_unlock(&planner);
    }
    muse_free(m->window);
    muse_free(m->work);
    muse_free(m->spectrum);
    muse_free(m->power);
    muse_free(m->history);
    muse_free(m->index);
    muse_free(m->weight);
    memset(m, 0, sizeof *m);
}

/* Place i of a sound of n samples mirrored at both ends without repeating them, as often as it takes. */
static uint64_t reflect(int64_t i, uint64_t n)
{
    if (n == 1) return 0;
    const int64_t period = (int64_t)(2 * (n - 1));
    i %= period;
    if (i < 0) i += period;
    return (uint64_t)(i < (int64_t)n ? i : period - i);
}

/* Column m->columns from the history; the sound is taken to have n samples. */
static void column(MuseLogmel *m, float *out)
{
    const MuseMelOps *ops = &m->rt->ops.mel;
    const size_t w = m->rule.window;
    const int64_t from = (int64_t)(m->columns * m->rule.hop) - (int64_t)(w / 2);
    if (from >= 0 && (uint64_t)from + w <= m->n) {
        ops->mel_window_f32(m->work, m->history + ((uint64_t)from - m->start), m->window, w);
    } else {
        for (size_t i = 0; i < w; i++) m->work[i] = m->history[reflect(from + (int64_t)i, m->n) - m->start];
        ops->mel_window_f32(m->work, m->work, m->window, w);
    }
    fftwf_execute(m->plan);
    ops->mel_power_f32(m->power, m->spectrum, w / 2 + 1);
    ops->mel_bands_f32(out, m->power, &m->bank);
    ops->mel_log10_f32(out, out, m->rule.mel_bins);
    for (uint32_t b = 0; b < m->rule.mel_bins; b++)
        if (out[b] > m->loudest) m->loudest = out[b];
    m->columns++;
}

/* Is the next column certain to be counted, and out of reach of later samples: are its own here, and what its start
 * reflects? */
static bool settled(const MuseLogmel *m)
{
    const uint64_t centre = m->columns * m->rule.hop, before = m->rule.window / 2;
    const uint64_t reflected = centre < before ? before - centre : 0;
    return m->n >= centre + m->rule.hop && m->n >= centre + m->rule.window - before && m->n > reflected;
}

static void forget(MuseLogmel *m)
{
    const uint64_t centre = m->columns * m->rule.hop, before = m->rule.window / 2;
    const uint64_t keep = centre > before ? centre - before : 0;   /* a start that reflects keeps everything */
    if (keep <= m->start) return;
    memmove(m->history, m->history + (keep - m->start), (size_t)(m->n - keep) * sizeof *m->history);
    m->start = keep;
}

size_t muse_logmel_push(MuseLogmel *m, const float *x, size_t n, float *out)
{
    memcpy(m->history + (m->n - m->start), x, n * sizeof *x);
    m->n += n;
    size_t made = 0;
    while (settled(m)) column(m, out + made++ * m->rule.mel_bins);
    forget(m);
    return made;
}

size_t muse_logmel_finish(MuseLogmel *m, float *out)
{
    const uint64_t total = muse_mel_columns(&m->rule, m->n);
    size_t made = 0;
    while (m->columns < total) column(m, out + made++ * m->rule.mel_bins);
    return made;
}
