/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of tools/worlds: opening, and reading descriptions back out of sentences. */
#ifndef TESTS_UNIT_WORLDS_UTIL_H
#define TESTS_UNIT_WORLDS_UTIL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tools/worlds/worlds.h"

static inline MuseWorlds *open_worlds(int fonts)
{
    MuseWorldsParams p;
    MuseWorlds *w = NULL;
    muse_worlds_params_init(&p);
    p.fonts = fonts;
    if (muse_worlds_open(&w, &p, NULL) < 0) return NULL;
    return w;
}

static inline MuseWorldsMaker *open_maker(const MuseWorlds *w)
{
    MuseWorldsMaker *m = NULL;
    assert_int_equal(muse_worlds_maker_open(&m, w, NULL), 0);
    return m;
}

static inline const MuseWorldsSample *make(MuseWorldsMaker *m, const char *task, uint64_t index, const MuseWorldsOptions *o)
{
    const MuseWorldsSample *s = NULL;
    MuseError err = { 0, "" };
    MuseWorldsOptions low;
    if (o && o->max_side == 0 && index % 16) {   /* sanitizers are slow: few pictures of full size */
        const bool print = strstr(task, "print") != NULL;
        low = *o;
        low.max_side = print ? 288 : 128;
        o = &low;
    }
    const int rc = muse_worlds_make(m, task, 77, index, o, &s, &err);
    if (rc != 0) fail_msg("%s %llu: %s", task, (unsigned long long)index, err.text);
    return s;
}

/* A description found in a sentence. 0 = not said. */
typedef struct Said { int size, color, kind; char mark; size_t at; } Said;

static inline int word_in(const char *word, const char *const *names, int n)
{
    for (int i = 1; i < n; i++) {
        const size_t k = strlen(names[i]);
        if (strncmp(word, names[i], k) == 0 && (word[k] == 0 || strcmp(word + k, "s") == 0 || strcmp(word + k, "es") == 0)) return i;
    }
    return 0;
}

/* All descriptions of a text, in order: size, colour, noun, sign; a colour alone is none. Its own lists, not the generator's. */
static inline size_t read_said(const char *text, Said *out, size_t max)
{
    static const char *const kinds[] = { "", "circle", "square", "triangle", "star", "cross", "diamond", "hexagon", "heart", "letter", "digit", "bar", "point", "slice" };
    static const char *const colors[] = { "", "red", "green", "blue", "yellow", "orange", "purple", "cyan", "pink", "gray", "black", "white" };
    size_t n = 0;
    Said now = { 0 };
    char word[32];
    for (size_t i = 0; text[i];) {
        size_t k = 0;
        const size_t start = i;
        while ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= '0' && text[i] <= '9') || text[i] == '-') {
            if (k + 1 < sizeof word) word[k++] = text[i];
            i++;
        }
        word[k] = 0;
        if (k == 0) {
            if (text[i] != ' ') now = (Said){ 0 };
            i++;
            continue;
        }
        const int kind = strcmp(word, "disc") == 0 || strcmp(word, "discs") == 0 ? 1 : strcmp(word, "plus") == 0 && strncmp(text + i, " sign", 5) == 0 ? 5 : word_in(word, kinds, 14);
        const int color = strcmp(word, "grey") == 0 ? MUSE_WORLDS_GRAY : word_in(word, colors, 12);
        const bool object = strncmp(word, "object", 6) == 0 || strncmp(word, "thing", 5) == 0;
        if (strcmp(word, "small") == 0 || strcmp(word, "little") == 0) now = (Said){ .size = 1, .at = start };
        else if (strcmp(word, "medium") == 0 || strcmp(word, "medium-sized") == 0) now = (Said){ .size = 2, .at = start };
        else if (strcmp(word, "large") == 0 || strcmp(word, "big") == 0) now = (Said){ .size = 3, .at = start };
        else if (color) {
            now.color = color;
            if (!now.size) now.at = start;
        } else if (kind || object) {
            if (!now.size && !now.color) now.at = start;
            now.kind = kind;
            const char *sign = text + i;
            if (kind >= MUSE_WORLDS_LETTER && sign[0] == ' ' && sign[1] && (sign[2] == 0 || strchr(" ?.,;:<", sign[2])) && ((sign[1] >= 'A' && sign[1] <= 'Z') || (sign[1] >= '0' && sign[1] <= '9'))) now.mark = sign[1];
            if (n < max) out[n++] = now;
            now = (Said){ 0 };
        } else now = (Said){ 0 };
    }
    return n;
}

static inline bool fits(const MuseWorldsObject *o, Said d)
{
    return (!d.size || o->size == d.size) && (!d.color || o->color == d.color) && (!d.kind || o->kind == d.kind) && (!d.mark || o->mark[0] == d.mark);
}

/* how many scene objects of a picture fit; *at: one of them */
static inline int n_fit(const MuseWorldsSample *s, size_t image, Said d, size_t *at)
{
    int n = 0;
    for (size_t i = 0; i < s->n_objects; i++)
        if (s->objects[i].image == image && s->objects[i].kind <= MUSE_WORLDS_SLICE && fits(&s->objects[i], d)) {
            n++;
            if (at) *at = i;
        }
    return n;
}

static inline int cell(double v, uint32_t side)
{
    const int c = (int)(v * 64 / side);
    return c > 63 ? 63 : c;
}

#endif
