/* SPDX-License-Identifier: Apache-2.0 */
/* Place tokens in the words of a step, spelled for people: places in pixels of the original picture, numbers in parts of a side. What the model wrote stays where it is, in MuseAgentInfo.
 * Decides nothing of what a place means: whole places come as marks. Called by record_steps.c and record.c. */
#include "libmuse/reason/record_steps.h"

#include <stdio.h>
#include <string.h>

typedef struct Spell {
    const MuseAgent *a;
    const MuseTraceMark *marks;      /* of the whole places, in order */
    uint32_t n_marks;
    MuseBuf *out;
    bool     apart;                  /* a space is due before a letter or digit */
} Spell;

static int put(Spell *s, const char *text, size_t n)
{
    s->apart = true;
    const uint8_t last = s->out->len ? s->out->data[s->out->len - 1] : ' ';
    const int rc = last == ' ' || last == '\n' || last == '(' ? 0 : muse_buf_append(s->out, " ", 1);
    return rc < 0 ? rc : muse_buf_append(s->out, text, n);
}

static int put_mark(Spell *s)
{
    char text[128];
    const MuseTraceMark *m = s->marks++;
    const MuseRect r = m->rect;
    s->n_marks--;
    const int n = r.x1 > r.x0 || r.y1 > r.y0 ? snprintf(text, sizeof text, "picture %u [%.0f, %.0f, %.0f, %.0f]", m->image, r.x0, r.y0, r.x1, r.y1)
                                             : snprintf(text, sizeof text, "picture %u (%.0f, %.0f)", m->image, r.x0, r.y0);
    return put(s, text, (size_t)n);
}

/* An x or a y alone is a number like any other: a column of the picture or of a view, a distance. Which, only the model knows. next: another one follows */
static int put_number(Spell *s, char axis, int value, bool next)
{
    char text[48];
    const int n = snprintf(text, sizeof text, "%c %d/%u%s", axis, value, s->a->shared->words.n_places, next ? "," : "");
    return put(s, text, (size_t)n);
}

/* as many as there are of x y x y, at most `most` */
static size_t places_at(const char *text, size_t n, size_t most, int v[4], size_t *bytes)
{
    size_t k = 0, at = 0, len;
    for (; k < most && n > at + 1 && text[at + 1] == "xy"[k % 2] && (len = muse_reason_place(text + at, n - at, &v[k])) > 0; k++) at += len;
    *bytes = at;
    return k;
}

/* bytes of <box> or <point>, 0: neither; *want: places behind it */
static size_t opener(const char *text, size_t n, size_t *want)
{
    *want = n >= 5 && memcmp(text, "<box>", 5) == 0 ? 4 : 2;
    return *want == 4 ? 5 : n >= 7 && memcmp(text, "<point>", 7) == 0 ? 7 : 0;
}

/* A place of which a mark can be: a point, or a box whose corners are in order. *skip, *bytes: of what opens it and of its k places, also if it is none. */
static bool whole_at(const char *text, size_t n, size_t *skip, size_t *bytes, size_t *k)
{
    size_t want;
    int v[4];
    *skip = opener(text, n, &want);
    *k = places_at(text + *skip, n - *skip, want, v, bytes);
    return *k == want && (want == 2 || (v[2] >= v[0] && v[3] >= v[1]));
}

static uint32_t count_whole(const char *text, size_t n)
{
    uint32_t whole = 0;
    for (size_t i = 0, skip, bytes, k; i < n; i += k ? skip + bytes : 1) whole += whole_at(text + i, n - i, &skip, &bytes, &k);
    return whole;
}

/* bytes of <image 2> before a place, whose mark says which picture; 0: something else */
static size_t turn(const MuseAgent *a, const char *text, size_t n)
{
    size_t at = 7, skip, bytes, k;
    uint32_t number = 0;
    if (n < at || memcmp(text, "<image ", at) != 0 || (n > at && text[at] == '0')) return 0;
    for (; at < n && text[at] >= '0' && text[at] <= '9' && number <= MUSE_NAMED_IMAGES; at++) number = 10 * number + (uint32_t)(text[at] - '0');
    if (at == n || text[at] != '>' || number < 1 || number > MUSE_NAMED_IMAGES) return 0;
    if (number > a->n_pictures || a->shared->words.image[number - 1] < 0) return 0;   /* nothing was turned to */
    at++;
    return whole_at(text + at, n - at, &skip, &bytes, &k) ? at : 0;
}

/* n places, one by one */
static int put_numbers(Spell *s, const char *text, size_t n, size_t count)
{
    int rc = 0, v = 0;
    for (size_t at = 0; rc == 0 && count > 0; count--) {
        const char axis = text[at + 1];
        at += muse_reason_place(text + at, n - at, &v);
        int then;
        rc = put_number(s, axis, v, at < n && muse_reason_place(text + at, n - at, &then) > 0);
    }
    return rc;
}

int muse_record_spell(const MuseAgent *a, const char *text, size_t n, const MuseTraceMark *marks, uint32_t n_marks, MuseBuf *out)
{
    if (!a->shared->chains) return muse_buf_append(out, text, n);
    /* A look in an answer has no mark in it. Which place that is can't be told, and a wrong picture is worse than a number. */
    Spell s = { .a = a, .marks = marks, .n_marks = n_marks && n_marks == count_whole(text, n) ? n_marks : 0, .out = out };
    int rc = 0, v;
    for (size_t i = 0; i < n && rc == 0;) {
        size_t skip, bytes, k;
        if (s.n_marks) i += turn(a, text + i, n - i);
        if (whole_at(text + i, n - i, &skip, &bytes, &k) && s.n_marks) {
            rc = put_mark(&s);
            i += skip + bytes;
            continue;
        }
        if (k == 0 && !skip && (bytes = muse_reason_place(text + i, n - i, &v)) > 0) k = 1;   /* a y alone */
        if (k > 0) {   /* what was not finished too */
            rc = put_numbers(&s, text + i + skip, n - i - skip, k);
            i += skip + bytes;
            continue;
        }
        const bool letter = (text[i] >= '0' && text[i] <= '9') || ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z');
        if (s.apart && letter) rc = muse_buf_append(out, " ", 1);
        s.apart = false;
        if (rc == 0) rc = muse_buf_append(out, text + i++, 1);
    }
    return rc;
}
