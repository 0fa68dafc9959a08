/* SPDX-License-Identifier: Apache-2.0 */
/* The sound of a clip, varied in its log-mel columns. All is done in powers, where sounds add; one logarithm a value ends it.
 * See clips.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/nano/clips.h"

enum { BINS = NANO_CLIP_BINS, BEFORE_MAX = 30, AFTER_MAX = 60 };   /* columns of silence: espeak-ng's files end in 0.4 s of it */

typedef struct Manner {
    float  power[256];     /* of a stored value: 25 steps a factor of ten, from 10^-8 */
    float  shape[BINS];    /* loudness and timbre */
    float  noise[BINS];    /* mean power; 0: none */
    double pace, warp;     /* columns a column; bins a bin */
    float  echo, fade;     /* share of what has been, what is left of it after a column */
    size_t before, n;      /* columns of silence in front, columns in all */
} Manner;

static void plain(Manner *m, const NanoClip *clip)
{
    *m = (Manner){ .pace = 1, .warp = 1, .n = clip->n };
    for (int i = 1; i < 256; i++) m->power[i] = powf(10, (float)i / 25 - 8);   /* 0: at the floor, or below */
    for (int b = 0; b < BINS; b++) m->shape[b] = 1;
}

/* Ranges: voices 10 % either way and pace 14 %, so that the unseen ones lie between; 22 dB of loudness; noise from 45 dB under
 * loud speech down to none; rooms of 0.1 to 0.5 s. */
static void vary(Manner *m, const NanoClip *clip, Rng *r)
{
    const double gain = rng_range(r, -1.6, 0.6), tilt = rng_range(r, -0.3, 0.3), wave = rng_range(r, -0.2, 0.2), phase = rng_range(r, 0, 6.283), turns = rng_range(r, 0.05, 0.2);
    m->pace = rng_range(r, 0.87, 1.15);
    m->warp = rng_range(r, 0.9, 1.11);
    for (int b = 0; b < BINS; b++) m->shape[b] = powf(10, (float)(gain + tilt * (b - 40) / 40 + wave * cos(phase + turns * b)));
    if (rng_chance(r, 0.6)) {
        const double level = rng_range(r, -7.5, -3.6), slope = rng_range(r, -1, 0.4);
        for (int b = 0; b < BINS; b++) m->noise[b] = powf(10, (float)(level + slope * b / BINS));
    }
    if (rng_chance(r, 0.35)) {
        m->echo = (float)rng_range(r, 0.02, 0.25);
        m->fade = powf(10, -0.06f / (float)rng_range(r, 0.1, 0.5));   /* 60 dB in that many seconds, columns of 10 ms */
    }
    m->before = rng_below(r, BEFORE_MAX + 1);
    m->n = m->before + (size_t)(clip->n / m->pace) + 1 + (size_t)(AFTER_MAX * pow(rng_unit(r), 2));
}

/* power at a time and in a voice between the stored ones */
static void column(const Manner *m, const NanoClip *clip, double at, float *out)
{
    const size_t i = (size_t)at, k = i + 1 < clip->n ? i + 1 : i;
    const uint8_t *a = clip->columns + i * NANO_CLIP_COLUMN, *b = clip->columns + k * NANO_CLIP_COLUMN;
    const float part = (float)(at - (double)i);
    float row[BINS + 1];
    for (int f = 0; f < BINS; f++) row[f] = m->power[a[f]] + part * (m->power[b[f]] - m->power[a[f]]);
    row[BINS] = row[BINS - 1];
    for (int f = 0; f < BINS; f++) {
        const double from = fmin(f * m->warp, BINS - 1);
        const int low = (int)from;
        out[f] = m->shape[f] * (row[low] + (float)(from - low) * (row[low + 1] - row[low]));
    }
}

/* noise of a bin: a mean of as many independent powers as the bin is wide */
static void add_noise(const NanoClips *c, const Manner *m, Rng *r, float *out)
{
    uint64_t lot = 0;
    for (int f = 0, left = 0; f < BINS; f++) {
        const int n = 2 + f / 20;
        float sum = 0;
        for (int i = 0; i < n; i++, lot >>= 8) {
            if (left-- == 0) lot = rng_next(r), left = 7;
            sum += c->chance[lot & 255];
        }
        out[f] += m->noise[f] * sum / (float)n;
    }
}

int nano_clip_render(const NanoClips *c, const NanoClip *clip, Rng *rng, float **frames, const uint8_t **phones, size_t *n_frames)
{
    Manner m;
    plain(&m, clip);
    if (rng) vary(&m, clip, rng);
    const size_t n = (m.n + NANO_CLIP_STACK - 1) / NANO_CLIP_STACK;
    float *out = malloc(n * (NANO_CLIP_STACK * BINS * sizeof *out + 1)), echo[BINS] = { 0 }, now[BINS];
    *frames = out;
    if (!out) return MUSE_ERR_NOMEM;
    uint8_t *said = (uint8_t *)(out + n * NANO_CLIP_STACK * BINS);
    memset(said, 0, n);
    *phones = said;
    *n_frames = n;
    for (size_t t = 0; t < n * NANO_CLIP_STACK; t++, out += BINS) {
        const double at = ((double)t - (double)m.before) * m.pace;
        const int speaks = t >= m.before && at < clip->n;
        memset(now, 0, sizeof now);
        if (speaks) column(&m, clip, at, now);
        if (speaks && t % NANO_CLIP_STACK == 1) said[t / NANO_CLIP_STACK] = clip->columns[(size_t)at * NANO_CLIP_COLUMN + BINS];
        for (int f = 0; m.echo > 0 && f < BINS; f++) {
            const float direct = now[f];
            now[f] += m.echo * echo[f];
            echo[f] = m.fade * (echo[f] + direct);
        }
        if (m.noise[0] > 0 && t < m.n) add_noise(c, &m, rng, now);
        for (int f = 0; f < BINS; f++) out[f] = now[f] > 1e-8f ? (log10f(now[f]) + 4) / 4 : -1;   /* the floor of -80 dB */
    }
    return 0;
}
