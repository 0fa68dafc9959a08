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

/* bytes of <image 2> before a place, whose mark says which picture; 0: something else */
static size_t turn(const char *text, size_t n)
{
    int v[4];
    size_t want, bytes;
    if (n < 10 || memcmp(text, "<image ", 7) != 0 || text[8] != '>') return 0;
    return opener(text + 9, n - 9, &want) || places_at(text + 9, n - 9, 2, v, &bytes) == 2 ? 9 : 0;
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
    Spell s = { .a = a, .marks = marks, .n_marks = n_marks, .out = out };
    int rc = 0, v[4];
    if (!a->shared->chains) return muse_buf_append(out, text, n);
    for (size_t i = 0; i < n && rc == 0;) {
        size_t want, bytes, skip = s.n_marks ? turn(text + i, n - i) : 0;
        i += skip;
        skip = opener(text + i, n - i, &want);
        size_t k = places_at(text + i + skip, n - i - skip, want, v, &bytes);
        if (k == want && s.n_marks && (k == 2 || (v[2] >= v[0] && v[3] >= v[1]))) {
            rc = put_mark(&s);
            i += skip + bytes;
            continue;
        }
        if (k == 0 && !skip && (bytes = muse_reason_place(text + i, n - i, &v[0])) > 0) k = 1;   /* a y alone */
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
