/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, the table of worlds, and making a sample: the streams of random numbers are set, the world draws and asks. */
#include "tools/worlds/worlds.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/worlds/inside.h"

/* The number is part of the key of a sample: lines are added at the end and never moved. */
static const struct World {
    const char *name, *about;
    void (*make)(Maker *m);
    const char *kinds[20];
} worlds[] = {
    { "scenes", "shapes and glyphs on varied grounds", muse_wd_make_scenes,
      { "find", "caption", "count", "exist", "color", "shape", "size", "at", "locate", "box", "relation", "where", "nearest", "compare" } },
    { "solid", "one colour, or two halves", muse_wd_make_solid, { "solid", "half" } },
    { "odd", "one thing unlike the others", muse_wd_make_odd, { "odd", "oddplace" } },
    { "pairs", "two pictures of a scene: one thing added, removed, moved, recoloured, or nothing", muse_wd_make_pairs, { "change", "changed", "second" } },
    { "print", "signs too small for the overview: look, then read", muse_wd_make_print, { "read", "addprint", "sameprint", "color", "shape" } },
    { "charts", "bars, lines and pies with axes and legends", muse_wd_make_charts, { "value", "tallest", "higher", "difference", "entries" } },
    { "text", "printed signs, words, numbers and sums in several fonts", muse_wd_make_text, { "text", "length", "sum", "same" } },
    { "track", "3 to 6 pictures of moving things, some hidden for a while", muse_wd_make_track, { "track", "which", "hidden" } },
    { "tables", "a table as text beside a picture", muse_wd_make_tables, { "lookup", "total" } },
    { "svg", "redraw the picture as SVG", muse_wd_make_svg, { "svg" } },
    { "drills", "last steps of chains, text only", muse_wd_make_drills, { "drill-sum", "drill-facts", "drill-same", "drill-relation", "drill-where", "drill-lookup", "drill-svg", "drill-odd", "drill-tallest", "drill-nearest", "drill-which" } },
    { "tones", "beeps and dialled numbers", muse_wd_make_tones, { "tones", "pitch", "dial" } },
};
enum { N_WORLDS = sizeof worlds / sizeof *worlds };

const char *muse_worlds_name(size_t world) { return world < N_WORLDS ? worlds[world].name : NULL; }
const char *muse_worlds_about(size_t world) { return world < N_WORLDS ? worlds[world].about : NULL; }

const char *muse_worlds_kind_of(size_t world, size_t kind)
{
    return world < N_WORLDS && kind < sizeof worlds->kinds / sizeof *worlds->kinds ? worlds[world].kinds[kind] : NULL;
}

int muse_wd_error(MuseError *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

/* ---- opening ---- */

void muse_worlds_params_init(MuseWorldsParams *params) { *params = (MuseWorldsParams){ .struct_size = sizeof *params }; }
void muse_worlds_options_init(MuseWorldsOptions *options) { *options = (MuseWorldsOptions){ .struct_size = sizeof *options }; }

/* quantile i + 1/2 of 1024, by halving */
static void fill_gauss(int16_t *gauss)
{
    for (int i = 0; i < 1024; i++) {
        double low = -5, high = 5;
        for (int k = 0; k < 40; k++) {
            const double mid = (low + high) / 2;
            if (0.5 * erfc(-mid / 1.4142135623730951) < (i + 0.5) / 1024) low = mid;
            else high = mid;
        }
        gauss[i] = (int16_t)floor(low * 256 + 0.5);
    }
}

int muse_worlds_open(MuseWorlds **out, const MuseWorldsParams *params, MuseError *err)
{
    if (!out) return muse_wd_error(err, MUSE_ERR_ARG, "out is null");
    *out = NULL;
    MuseWorldsParams own;
    muse_worlds_params_init(&own);
    if (params) own = *params;
    if (own.struct_size != sizeof own || own.fonts < 0 || own.fonts > MUSE_WORLDS_FONTS_BUILTIN)
        return muse_wd_error(err, MUSE_ERR_ARG, "params: made without muse_worlds_params_init(), or fonts %d", own.fonts);
    MuseWorlds *w = calloc(1, sizeof *w);
    int rc = w ? muse_wd_shapes_open(w) : MUSE_ERR_NOMEM;
    if (rc == 0) rc = muse_wd_fonts_open(w, &own, err);
    if (rc == MUSE_ERR_NOMEM) muse_wd_error(err, rc, "no memory for fonts and shapes");
    if (rc < 0) goto fail;
    fill_gauss(w->gauss);
    *out = w;
    return 0;
fail:
    muse_worlds_close(&w);
    return rc;
}

void muse_worlds_close(MuseWorlds **worlds_)
{
    MuseWorlds *w = worlds_ ? *worlds_ : NULL;
    if (!w) return;
    for (int i = 0; i <= MUSE_WORLDS_HEART; i++) muse_wd_outline_free(&w->shapes[i]);
    muse_wd_fonts_close(w);
    free(w);
    *worlds_ = NULL;
}

int muse_worlds_maker_open(MuseWorldsMaker **out, const MuseWorlds *w, MuseError *err)
{
    if (!out || !w) return muse_wd_error(err, MUSE_ERR_ARG, "a null pointer");
    Maker *m = *out = calloc(1, sizeof *m);
    if (m) m->text = malloc(TEXT_MAX);
    if (!m || !m->text) {
        muse_worlds_maker_close(out);
        return muse_wd_error(err, MUSE_ERR_NOMEM, "no memory for a maker");
    }
    m->worlds = w;
    return 0;
}

void muse_worlds_maker_close(MuseWorldsMaker **maker)
{
    Maker *m = maker ? *maker : NULL;
    if (!m) return;
    for (int i = 0; i < IMAGES_MAX; i++) free(m->rgb[i]);
    free(m->cover);
    free(m->spare);
    free(m->pcm);
    free(m->text);
    free(m);
    *maker = NULL;
}

/* ---- making ---- */

static const struct World *find_world(const char *task, const char **only)
{
    for (size_t i = 0; i < N_WORLDS; i++)
        if (strcmp(task, worlds[i].name) == 0) return &worlds[i];
    for (size_t i = 0; i < N_WORLDS; i++)
        for (size_t k = 0; muse_worlds_kind_of(i, k); k++)
            if (strcmp(task, worlds[i].kinds[k]) == 0) {
                *only = worlds[i].kinds[k];
                return &worlds[i];
            }
    return NULL;
}

static bool asks(const struct World *w, const char *kind)
{
    for (size_t k = 0; k < sizeof w->kinds / sizeof *w->kinds && w->kinds[k]; k++)
        if (strcmp(w->kinds[k], kind) == 0) return true;
    return false;
}

static int take_options(Maker *m, const MuseWorldsOptions *options, MuseError *err)
{
    MuseWorldsOptions o;
    muse_worlds_options_init(&o);
    if (options) o = *options;
    if (o.struct_size != sizeof o) return muse_wd_error(err, MUSE_ERR_ARG, "options made without muse_worlds_options_init()");
    const bool low = o.min_side == 0 || (o.min_side >= SIDE_MIN && o.min_side <= SIDE_MAX);
    const bool high = o.max_side == 0 || (o.max_side >= SIDE_MIN && o.max_side <= SIDE_MAX && o.max_side >= o.min_side);
    if (!low || !high) return muse_wd_error(err, MUSE_ERR_ARG, "sides of %u to %u: 64 to 1024, the smaller first", o.min_side, o.max_side);
    if (o.aspect && (o.aspect < 2 || o.aspect > 8)) return muse_wd_error(err, MUSE_ERR_ARG, "sides of %u:1: 2 to 8", o.aspect);
    if (o.split < MUSE_WORLDS_TRAIN || o.split > MUSE_WORLDS_HARD) return muse_wd_error(err, MUSE_ERR_ARG, "no split %d", o.split);
    if (o.form < MUSE_WORLDS_MIX || o.form > MUSE_WORLDS_THINK) return muse_wd_error(err, MUSE_ERR_ARG, "no form %d", o.form);
    if (o.branches > BRANCHES_MAX) return muse_wd_error(err, MUSE_ERR_ARG, "%u branches: at most %d", o.branches, BRANCHES_MAX);
    if (o.overview > SIDE_MAX) return muse_wd_error(err, MUSE_ERR_ARG, "an overview of %u pixels: at most %d", o.overview, SIDE_MAX);
    if (o.branches == 0) o.branches = 10;
    if (o.overview == 0) o.overview = 64;
    m->options = o;
    return 0;
}

static void clear(Maker *m)
{
    m->sample = (MuseWorldsSample){ .images = m->images, .objects = m->objects, .branches = m->branches };
    m->n_parts = m->n_refs = m->n_accepts = m->text_len = 0;
    m->full = m->no_memory = false;
    m->think_share = 0.5;
}

enum { ATTEMPTS = 400 };   /* pictures tried for one that allows the question */

int muse_worlds_make(MuseWorldsMaker *m, const char *task, uint64_t seed, uint64_t index, const MuseWorldsOptions *options,
                     const MuseWorldsSample **out, MuseError *err)
{
    if (!m || !task || !out) return muse_wd_error(err, MUSE_ERR_ARG, "a null pointer");
    *out = NULL;
    const int rc = take_options(m, options, err);
    if (rc < 0) return rc;
    const char *only = m->options.only;
    const struct World *w = find_world(task, &only);
    if (!w) return muse_wd_error(err, MUSE_ERR_NOT_FOUND, "no world and no kind of question is called %s (muse worlds --list names them)", task);
    if (only && !asks(w, only)) return muse_wd_error(err, MUSE_ERR_NOT_FOUND, "%s never asks %s", w->name, only);
    m->options.only = only;
    const uint64_t key = rng_mix(rng_mix(rng_mix(seed + 1) ^ (uint64_t)(w - worlds) * 0x9e3779b97f4a7c15u ^ (uint64_t)m->options.split << 56) + index);
    for (uint64_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        clear(m);
        m->lay = rng_stream(key, 4 * attempt);
        m->paint = rng_stream(key, 4 * attempt + 1);
        m->ask = rng_stream(key, 4 * attempt + 2);
        w->make(m);
        if (m->no_memory) return muse_wd_error(err, MUSE_ERR_NOMEM, "no memory for a picture");
        if (m->full) return muse_wd_error(err, MUSE_ERR_LIMIT, "%s: sample %llu does not fit in the buffers", w->name, (unsigned long long)index);
        if (m->sample.n_branches == 0) continue;
        m->sample.world = w->name;
        m->sample.seed = seed;
        m->sample.index = index;
        m->sample.split = m->options.split;
        *out = &m->sample;
        return 0;
    }
    return muse_wd_error(err, MUSE_ERR_LIMIT, "%s: %d pictures of %u to %u pixels allowed no such question", w->name, ATTEMPTS, m->options.min_side, m->options.max_side);
}

int muse_worlds_run(MuseWorldsMaker *m, const char *task, uint64_t seed, uint64_t first, uint64_t n, const MuseWorldsOptions *options,
                    MuseWorldsFn *fn, void *user, MuseError *err)
{
    if (!fn) return muse_wd_error(err, MUSE_ERR_ARG, "a null pointer");
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        const MuseWorldsSample *sample;
        rc = muse_worlds_make(m, task, seed, first + i, options, &sample, err);
        if (rc == 0) rc = fn(user, sample);
    }
    return rc;
}
