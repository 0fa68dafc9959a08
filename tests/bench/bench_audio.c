/* SPDX-License-Identifier: Apache-2.0 */
/* A minute of stereo FLAC at 44.1 kHz, made here through libsndfile, to frames: medians of decoding alone, raw frames and
 * log-mel frames, on one thread. Asserts no time. */
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "muse/audio.h"
#include "tokenizers/audio/audio.h"
#include "tokenizers/audio/sound_reader.h"

enum { RATE = 44100, SECONDS = 60, CHANNELS = 2, RUNS = 9 };

typedef struct Memory { uint8_t *data; size_t len, at, cap; } Memory;

static sf_count_t m_len(void *u) { return (sf_count_t)((Memory *)u)->len; }
static sf_count_t m_tell(void *u) { return (sf_count_t)((Memory *)u)->at; }

static sf_count_t m_seek(sf_count_t o, int whence, void *u)
{
    Memory *m = u;
    m->at = (size_t)((whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (sf_count_t)m->at : (sf_count_t)m->len) + o);
    return (sf_count_t)m->at;
}

static sf_count_t m_read(void *to, sf_count_t n, void *u)
{
    Memory *m = u;
    const size_t take = m->len - m->at < (size_t)n ? m->len - m->at : (size_t)n;
    memcpy(to, m->data + m->at, take);
    m->at += take;
    return (sf_count_t)take;
}

static sf_count_t m_write(const void *from, sf_count_t n, void *u)
{
    Memory *m = u;
    if (m->at + (size_t)n > m->cap) return 0;
    memcpy(m->data + m->at, from, (size_t)n);
    m->at += (size_t)n;
    if (m->at > m->len) m->len = m->at;
    return n;
}

/* something like speech: harmonics of a gliding pitch under an envelope, with breath */
static int make_flac(Memory *m)
{
    const size_t n = (size_t)RATE * SECONDS;
    SF_VIRTUAL_IO vio = { m_len, m_seek, m_read, m_write, m_tell };
    SF_INFO info = { .samplerate = RATE, .channels = CHANNELS, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16 };
    m->cap = n * CHANNELS * 2 + (1 << 20);
    m->data = malloc(m->cap);
    float *x = malloc(n * CHANNELS * sizeof *x);
    SNDFILE *f = m->data && x ? sf_open_virtual(&vio, SFM_WRITE, &info, m) : NULL;
    double phase = 0;
    uint32_t noise = 1;
    for (size_t i = 0; f && i < n; i++) {
        const double t = (double)i / RATE, loud = 0.5 + 0.5 * sin(6.2832 * 3 * t);
        phase += 6.2832 * (140 + 40 * sin(2 * t)) / RATE;
        noise = noise * 1664525u + 1013904223u;
        const double v = 0.2 * loud * (sin(phase) + 0.5 * sin(2 * phase) + 0.3 * sin(5 * phase)) + 0.01 * ((double)noise / 2147483648.0 - 1);
        x[2 * i] = (float)v;
        x[2 * i + 1] = (float)(0.8 * v + 0.005 * sin(700 * t));
    }
    if (f) sf_writef_float(f, x, (sf_count_t)n);
    free(x);
    return f ? sf_close(f) : 1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static int decode_only(const MuseAudio *audio)
{
    MuseSoundReader r;
    size_t n = 0;
    int rc = muse_sound_reader_open(&r, audio->rt, &audio->sound, NULL);
    if (rc < 0) return rc;
    do rc = muse_sound_reader_next(&r, &n, NULL);
    while (rc == 0 && n);
    muse_sound_reader_close(&r);
    return rc;
}

static int frames(const MuseAudio *audio, const MuseAudioRule *rule)
{
    MuseFrames *f = NULL;
    const int rc = muse_audio_frames(&f, audio, rule, NULL, NULL, NULL);
    muse_frames_close(&f);
    return rc;
}

int main(void)
{
    static const MuseAudioRule raw = { .struct_size = sizeof raw, .kind = MUSE_AUDIO_RAW, .rate = 16000, .frame_samples = 640 };
    static const MuseAudioRule mel = { .struct_size = sizeof mel, .kind = MUSE_AUDIO_LOGMEL, .rate = 16000, .window = 400, .hop = 160,
                                       .mel_bins = 80, .stack = 4, .floor_db = -80 };
    static const char *const names[3] = { "decode only", "raw frames", "log-mel frames" };
    Memory m = { 0 };
    MuseAudio *audio = NULL;
    MuseError err;
    if (make_flac(&m)) return 1;
    printf("%d s of %d Hz stereo FLAC, %zu bytes; median of %d, lowest, highest\n", SECONDS, RATE, m.len, RUNS);
    for (int k = 0; k < 3; k++) {
        double ms[RUNS];
        for (int i = 0; i < RUNS; i++) {
            const double start = now();
            if (muse_audio_open_memory(&audio, NULL, m.data, m.len, NULL, &err) < 0) {
                fprintf(stderr, "%s\n", err.text);
                return 1;
            }
            const int rc = k == 0 ? decode_only(audio) : frames(audio, k == 1 ? &raw : &mel);
            muse_audio_close(&audio);
            ms[i] = now() - start;
            if (rc < 0) return 1;
        }
        qsort(ms, RUNS, sizeof *ms, by_value);
        printf("%-15s %7.1f ms  (%.1f .. %.1f), %.0f times real time\n", names[k], ms[RUNS / 2], ms[0], ms[RUNS - 1], SECONDS * 1e3 / ms[RUNS / 2]);
    }
    free(m.data);
    return 0;
}
