/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of tokenizers/audio: test data, rules, random sound, files written by libsndfile into memory. */
#ifndef TESTS_UNIT_AUDIO_UTIL_H
#define TESTS_UNIT_AUDIO_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sndfile.h>

#include "base/bytes.h"
#include "muse/audio.h"

static inline MuseFile load(const char *name)
{
    char path[4096];
    MuseFile f = { 0 };
    MuseError err;
    assert_non_null(getenv("MUSE_TEST_DATA"));
    snprintf(path, sizeof path, "%s/%s", getenv("MUSE_TEST_DATA"), name);
    if (muse_file_open(&f, path, 1 << 24, &err) < 0) fail_msg("%s", err.text);
    return f;
}

static inline MuseAudioRule raw_rule(uint32_t rate, uint32_t frame_samples)
{
    return (MuseAudioRule){ .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_RAW, .rate = rate, .frame_samples = frame_samples, .max_seconds = 30 };
}

static inline MuseAudioRule mel_rule(uint32_t rate, uint32_t window, uint32_t hop, uint32_t bins, uint32_t stack, uint32_t floor_rule)
{
    return (MuseAudioRule){ .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_LOGMEL, .rate = rate, .window = window, .hop = hop,
                            .mel_bins = bins, .stack = stack, .floor_rule = floor_rule, .floor_db = -80, .max_seconds = 30 };
}

/* xorshift64*: the same on every machine */
static inline uint32_t random32(uint64_t *seed)
{
    *seed ^= *seed >> 12, *seed ^= *seed << 25, *seed ^= *seed >> 27;
    return (uint32_t)(*seed * 2685821657736338717u >> 32);
}

static inline float *random_sound(uint64_t *seed, size_t n)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)((double)random32(seed) / 2147483648.0 - 1.0) * 0.5f;
    return x;
}

/* A file in memory, for libsndfile to write. */
typedef struct MemoryFile { uint8_t *data; size_t len, cap, at; } MemoryFile;

static sf_count_t memory_len(void *user) { return (sf_count_t)((MemoryFile *)user)->len; }
static sf_count_t memory_tell(void *user) { return (sf_count_t)((MemoryFile *)user)->at; }

static sf_count_t memory_seek(sf_count_t offset, int whence, void *user)
{
    MemoryFile *m = user;
    m->at = (size_t)((whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (sf_count_t)m->at : (sf_count_t)m->len) + offset);
    return (sf_count_t)m->at;
}

static sf_count_t memory_read(void *to, sf_count_t n, void *user)
{
    MemoryFile *m = user;
    const size_t take = m->at >= m->len ? 0 : m->len - m->at < (size_t)n ? m->len - m->at : (size_t)n;
    if (take) memcpy(to, m->data + m->at, take);
    m->at += take;
    return (sf_count_t)take;
}

static sf_count_t memory_write(const void *from, sf_count_t n, void *user)
{
    MemoryFile *m = user;
    if (m->at + (size_t)n > m->cap) {
        m->cap = (m->at + (size_t)n) * 2;
        m->data = realloc(m->data, m->cap);
        if (!m->data) abort();
    }
    memcpy(m->data + m->at, from, (size_t)n);
    m->at += (size_t)n;
    if (m->at > m->len) m->len = m->at;
    return n;
}

/* x: [n, channels]. Release data with free(). */
static inline MemoryFile encode(int format, const float *x, size_t n, int rate, int channels)
{
    MemoryFile m = { 0 };
    SF_VIRTUAL_IO vio = { memory_len, memory_seek, memory_read, memory_write, memory_tell };
    SF_INFO info = { .samplerate = rate, .channels = channels, .format = format };
    SNDFILE *f = sf_open_virtual(&vio, SFM_WRITE, &info, &m);
    if (!f) {
        fprintf(stderr, "format %#x: %s\n", (unsigned)format, sf_strerror(NULL));
        abort();
    }
    sf_writef_float(f, x, (sf_count_t)n);
    sf_close(f);
    return m;
}

#endif
