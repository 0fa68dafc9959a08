/* SPDX-License-Identifier: Apache-2.0 */
/* The world "tones": beeps of three pitches, and numbers dialled on a telephone keypad. Speech is made by tools/worlds/speak.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/worlds/inside.h"

enum { RATE = 16000, TONES_MAX = 6 };
static const char *const pitches[] = { "low", "middle", "high" };

/* one note, or two at once, with soft edges */
static void play(Maker *m, double f0, double f1, double seconds, double loud)
{
    const size_t n = (size_t)(seconds * RATE), at = m->sample.n_pcm;
    if (n > PCM_MAX - at) {
        m->full = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / RATE, edge = fmin(1, fmin((double)i, (double)(n - i)) / (0.008 * RATE));
        const double wave = f1 > 0 ? 0.5 * (sin(6.283185307179586 * f0 * t) + sin(6.283185307179586 * f1 * t)) : f0 > 0 ? sin(6.283185307179586 * f0 * t) : 0;
        m->pcm[at + i] = (int16_t)(28000 * loud * edge * wave);
    }
    m->sample.n_pcm = at + n;
}

static void add_noise(Maker *m, double sigma)
{
    for (size_t i = 0; i < m->sample.n_pcm; i++) {
        const int v = m->pcm[i] + (int)(sigma * m->worlds->gauss[rng_next(&m->paint) & 1023] / 256);
        m->pcm[i] = (int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
    }
}

static void put_list(Maker *m, const int *pitch, int n)
{
    for (int i = 0; i < n; i++) {
        if (i) muse_wd_put(m, ";");
        muse_wd_int(m, i + 1);
        muse_wd_put(m, " ");
        muse_wd_put(m, pitches[pitch[i]]);
    }
}

static void ask_tones(Maker *m, const int *pitch, int n)
{
    static const char *const t[] = { "How many tones do you hear?", "Count the tones.", "How many beeps are there?" };
    const bool think = muse_wd_begin(m, "tones");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        put_list(m, pitch, n);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_int(m, n);
    muse_wd_accept_number(m, n);
    muse_wd_end(m);
}

static void ask_pitch(Maker *m, const int *pitch, int n)
{
    static const char *const t[] = { "Is the %r tone low, middle or high?", "How high is the %r tone?", "What pitch has the %r tone?" };
    static const char *const order[] = { "first", "second", "third", "fourth", "fifth", "sixth" };
    const int at = rng_int(&m->ask, 0, n - 1);
    const bool think = muse_wd_begin(m, "pitch");
    ASK(m, t, .ia = -1, .r = at == n - 1 && n > 1 && rng_chance(&m->ask, 0.4) ? "last" : order[at]);
    if (think) {
        muse_wd_think(m);
        put_list(m, pitch, n);
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_put(m, pitches[pitch[at]]);
    muse_wd_end(m);
}

static void ask_dial(Maker *m, const char *digits)
{
    static const char *const t[] = { "Which number is dialled?", "What number do you hear?", "Write down the number." };
    const bool think = muse_wd_begin(m, "dial");
    ASK(m, t, .ia = -1);
    if (think) {
        muse_wd_think(m);
        for (const char *s = digits; *s; s++) {
            if (s != digits) muse_wd_put(m, ";");
            muse_wd_int(m, (int)(s - digits) + 1);
            muse_wd_put(m, " ");
            muse_wd_char(m, *s);
        }
    }
    muse_wd_answer(m);
    muse_wd_put(m, " ");
    muse_wd_put(m, digits);
    muse_wd_end(m);
}

/* keypad frequencies of ITU-T Q.23 */
static void dial(Maker *m, const char *digits, double loud)
{
    static const double rows[] = { 697, 770, 852, 941 }, columns[] = { 1209, 1336, 1477 };
    for (const char *s = digits; *s; s++) {
        const int key = *s == '0' ? 10 : *s - '1';
        play(m, rows[key / 3], columns[key % 3], rng_range(&m->lay, 0.12, 0.22), loud);
        play(m, 0, 0, rng_range(&m->lay, 0.08, 0.16), 0);
    }
}

void muse_wd_make_tones(Maker *m)
{
    static const double low[] = { 200, 480, 1000 }, high[] = { 320, 700, 1500 };
    if (!m->pcm) m->pcm = malloc(PCM_MAX * sizeof *m->pcm);
    if (!m->pcm) {
        m->no_memory = true;
        return;
    }
    Rng *r = &m->lay;
    const bool many = m->options.split == MUSE_WORLDS_MANY;
    const double loud = rng_range(r, 0.15, 0.9), noise = rng_chance(r, 0.5) ? rng_range(r, 0, 900) : 0;
    m->sample.pcm = m->pcm;
    m->sample.rate = RATE;
    play(m, 0, 0, rng_range(r, 0.05, 0.3), 0);
    if (rng_chance(r, 0.4)) {
        char digits[8] = { 0 };
        for (int i = 0, n = many ? 5 : rng_int(r, 1, 4); i < n; i++) digits[i] = (char)('0' + rng_int(r, i == 0, 9));
        dial(m, digits, loud);
        add_noise(m, noise);
        if (muse_wd_wants(m, "dial")) ask_dial(m, digits);
        return;
    }
    int pitch[TONES_MAX];
    const int n = many ? 6 : rng_int(r, 1, 5);
    for (int i = 0; i < n; i++) {
        pitch[i] = rng_int(r, 0, 2);
        play(m, rng_range(r, low[pitch[i]], high[pitch[i]]), 0, rng_range(r, 0.12, 0.3), loud);
        play(m, 0, 0, rng_range(r, 0.1, 0.25), 0);
    }
    add_noise(m, noise);
    if (muse_wd_wants(m, "tones")) ask_tones(m, pitch, n);
    for (int i = 0; i < 2; i++)
        if (muse_wd_wants(m, "pitch")) ask_pitch(m, pitch, n);
}
