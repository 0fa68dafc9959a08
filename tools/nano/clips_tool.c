/* SPDX-License-Identifier: Apache-2.0 */
/* For make_speech.py, which speaks: the questions of worlds as lines, and sounds on stdin made into a file of clips. Does not speak. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/nano/clips.h"
#include "tools/worlds/worlds.h"

enum { SAMPLES_MAX = 48000 * 30 };

static int usage(const char *name)
{
    fprintf(stderr, "usage: %s texts N SEED         questions of N samples of each world that has pictures, one a line\n"
                    "       %s pack FILE            from stdin, for each clip: \"RATE SAMPLES COLUMNS TEXT\\n\", s16 samples, a class of sound for each 10 ms\n", name, name);
    return 2;
}

/* ---- texts ---- */

/* one part of text, without places or tables, and an answer of its own */
static int can_be_said(const MuseWorldsBranch *b)
{
    const MuseWorldsPart *p = &b->parts[0];
    return *b->answer && b->n_parts > 1 && b->parts[1].role != MUSE_WORLDS_QUESTION && !memchr(p->text, '<', p->size) && !memchr(p->text, '|', p->size) && !memchr(p->text, '\n', p->size);
}

static int print_texts(void *user, const MuseWorldsSample *s)
{
    (void)user;
    for (size_t i = 0; s->n_images && i < s->n_branches; i++)
        if (can_be_said(&s->branches[i])) printf("%.*s\n", (int)s->branches[i].parts[0].size, s->branches[i].parts[0].text);
    return 0;
}

static int texts(uint64_t n, uint64_t seed, MuseError *err)
{
    MuseWorlds *worlds = NULL;
    MuseWorldsMaker *maker = NULL;
    int rc = muse_worlds_open(&worlds, NULL, err);
    if (rc == 0) rc = muse_worlds_maker_open(&maker, worlds, err);
    for (size_t w = 0; rc == 0 && muse_worlds_name(w); w++) {
        MuseWorldsOptions o;
        muse_worlds_options_init(&o);
        o.form = MUSE_WORLDS_DIRECT;
        o.max_side = strcmp(muse_worlds_name(w), "print") == 0 ? 256 : 128;
        rc = muse_worlds_run(maker, muse_worlds_name(w), seed, 0, n, &o, print_texts, NULL, err);
    }
    muse_worlds_maker_close(&maker);
    muse_worlds_close(&worlds);
    return rc;
}

/* ---- pack ---- */

typedef struct Pack { NanoClip *clips; size_t n, cap; } Pack;

static int fail(MuseError *err, int code, const char *text)
{
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s", text);
    return code;
}

/* the same loudness for all: half of full scale at most */
static void level(int16_t *pcm, size_t n)
{
    int peak = 1;
    for (size_t i = 0; i < n; i++) peak = abs(pcm[i]) > peak ? abs(pcm[i]) : peak;
    for (size_t i = 0; i < n; i++) pcm[i] = (int16_t)lrintf((float)pcm[i] * 16384 / (float)peak);
}

/* 25 steps a factor of ten of power, from the floor at 10^-8: 0.4 dB, finer than anything that is heard */
static uint8_t stored(float y)
{
    const float v = roundf((4 * y + 4) * 25);
    return (uint8_t)fminf(fmaxf(v, 0), 255);
}

static int is_silent(const uint8_t *column)
{
    for (int b = 0; b < NANO_CLIP_BINS; b++)
        if (column[b]) return 0;
    return 1;
}

/* columns of the whole sound, less silence at both ends */
static int convert(int16_t *pcm, size_t n, uint32_t rate, const uint8_t *sounds, size_t n_sounds, NanoClip *clip, MuseError *err)
{
    MuseAudioRule rule = muse_family_find("muse")->audio;
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    rule.stack = 1;
    level(pcm, n);
    int rc = muse_audio_open_pcm(&audio, NULL, pcm, n, MUSE_PCM_S16, rate, 1, NULL, err);
    if (rc == 0) rc = muse_audio_frames(&frames, audio, &rule, NULL, NULL, err);
    const size_t columns = rc == 0 ? (size_t)muse_frames_plan(frames)->n_frames : 0;
    uint8_t *out = rc == 0 ? calloc(columns + 1, NANO_CLIP_COLUMN) : NULL;
    if (rc == 0 && !out) rc = fail(err, MUSE_ERR_NOMEM, "no memory for a clip");
    for (size_t t = 0; t < columns && rc == 0; t++) {
        for (int b = 0; b < NANO_CLIP_BINS; b++) out[t * NANO_CLIP_COLUMN + b] = stored(muse_frames_data(frames)[t * NANO_CLIP_BINS + b]);
        out[t * NANO_CLIP_COLUMN + NANO_CLIP_BINS] = t < n_sounds ? sounds[t] : 0;
    }
    size_t first = 0, end = rc == 0 ? columns : 0;
    while (end > first && is_silent(out + (end - 1) * NANO_CLIP_COLUMN)) end--;
    while (first < end && is_silent(out + first * NANO_CLIP_COLUMN)) first++;
    if (rc == 0) memmove(out, out + first * NANO_CLIP_COLUMN, (end - first) * NANO_CLIP_COLUMN);
    clip->columns = out;
    clip->n = (uint32_t)(end - first);
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    return rc;
}

static int read_clip(FILE *f, Pack *p, MuseError *err)
{
    unsigned rate;
    size_t n, n_sounds;
    char text[NANO_CLIP_TEXT_MAX + 2];
    if (fscanf(f, "%u %zu %zu", &rate, &n, &n_sounds) != 3) return feof(f) ? 0 : fail(err, MUSE_ERR_FORMAT, "not a clip");
    if (n == 0 || n > SAMPLES_MAX || n_sounds > NANO_CLIP_COLUMNS_MAX || fgetc(f) != ' ' || !fgets(text, sizeof text, f) || !strchr(text, '\n')) return fail(err, MUSE_ERR_FORMAT, "a clip that is too long");
    *strchr(text, '\n') = 0;
    if (p->n == p->cap) {
        NanoClip *more = realloc(p->clips, (p->cap = 2 * p->cap + 256) * sizeof *more);
        if (!more) return fail(err, MUSE_ERR_NOMEM, "no memory for clips");
        p->clips = more;
    }
    int16_t *pcm = malloc(n * sizeof *pcm);
    uint8_t *sounds = malloc(n_sounds + 1);
    NanoClip *c = &p->clips[p->n];
    *c = (NanoClip){ .text = strdup(text) };
    int rc = pcm && sounds && c->text ? 1 : fail(err, MUSE_ERR_NOMEM, "no memory for a clip");
    p->n++;
    if (rc > 0 && (fread(pcm, sizeof *pcm, n, f) != n || fread(sounds, 1, n_sounds, f) != n_sounds)) rc = fail(err, MUSE_ERR_FORMAT, "a clip that is cut");
    if (rc > 0 && convert(pcm, n, rate, sounds, n_sounds, c, err) < 0) rc = err->code;
    free(pcm);
    free(sounds);
    return rc;
}

static int pack(const char *path, MuseError *err)
{
    Pack p = { 0 };
    int rc;
    while ((rc = read_clip(stdin, &p, err)) > 0) {}
    if (rc == 0) rc = nano_clips_write(path, p.clips, p.n, err);
    if (rc == 0) fprintf(stderr, "%zu clips\n", p.n);
    for (size_t i = 0; i < p.n; i++) {
        void *owned[2];
        memcpy(owned, &p.clips[i].text, sizeof owned);   /* text and columns, which this file allocated */
        free(owned[0]);
        free(owned[1]);
    }
    free(p.clips);
    return rc;
}

int main(int argc, char **argv)
{
    MuseError err = { 0 };
    int rc;
    if (argc == 4 && strcmp(argv[1], "texts") == 0) rc = texts(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), &err);
    else if (argc == 3 && strcmp(argv[1], "pack") == 0) rc = pack(argv[2], &err);
    else return usage(argv[0]);
    if (rc < 0) fprintf(stderr, "%s: %s\n", argv[0], err.text);
    return rc < 0;
}
