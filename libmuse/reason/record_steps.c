/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into a trace, and how: steps with their range of tokens, words that grow, objects and their tracks, attention maps. Which words belong to
 * what is decided in record.c, which calls this. */
#include "libmuse/reason/record_steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "muse/attention.h"

/* of a side: two places of 64, as far as places of answers that agree (vote.c) */
static const double SAME_PLACE = 1.0 / 32;

double muse_reason_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double muse_record_seconds(const MuseAgent *a) { return muse_reason_now() - a->started; }

static uint32_t trace_agent(const MuseAgent *a) { return a->number + a->trace_first; }

/* ---- attention ---- */

/* from the first picture to the end of the last one that is there now */
int muse_record_watch(MuseAgent *a, MuseError *err)
{
    const MuseWatchParams *wanted = a->shared->p.heat;
    const MuseSequence *seq = muse_session_sequence(a->s);
    MuseSpanInfo span;
    MuseWatchParams p = *wanted;
    Record *r = a->record;
    size_t most = 0;
    p.image = 0;
    p.first = p.n = 0;
    p.weights = NULL;   /* there is one of these params, and a watch for each agent */
    p.n_weights = 0;
    for (size_t k = 0; k < muse_sequence_span_count(seq); k++) {
        if (muse_sequence_span(seq, k, &span) < 0 || span.modality != MUSE_IMAGE) continue;
        if (!p.n) p.first = span.first;
        p.n = span.first + span.count - p.first;
        if (span.image.n_patches > most) most = span.image.n_patches;
    }
    if (!p.n) return 0;
    if (most > r->n_values) {
        float *more = muse_realloc_array(&a->shared->rt->alloc, r->values, most, sizeof *more);
        if (!more) return MUSE_NOMEM(err, most * sizeof *more);
        r->values = more;
        r->n_values = most;
    }
    r->watches = true;
    return muse_session_watch(a->s, &p, err);
}

/* where the model looked since the last time, in one picture of the sequence; false: nobody knows */
bool muse_record_see(MuseAgent *a, uint32_t number)
{
    Record *r = a->record;
    r->heat.image = 0;
    if (!r->watches || number < 1 || number > a->n_pictures) return false;
    const uint32_t image = a->pictures[number - 1].traced;
    if (!image || muse_session_heat(a->s, number, r->values, r->n_values, &r->heat, NULL) < 0) {
        r->heat.image = 0;
        return false;
    }
    r->heat.image = image;
    return true;
}

void muse_record_see_anew(MuseAgent *a)
{
    if (a->record->watches) muse_session_watch_reset(a->s);
}

/* ---- steps ---- */

void muse_record_trim(const char **text, size_t *n)
{
    for (size_t before = *n + 1; before != *n;) {
        before = *n;
        muse_reason_trim(text, n);
        while (*n && **text == ';') ++*text, --*n;
        while (*n && (*text)[*n - 1] == ';') --*n;
    }
}

/* whose step it is, its words, and where it begins */
static void set_head(const MuseAgent *a, MuseTraceStep *s, const char *text, size_t n, const MuseCut *from)
{
    s->struct_size = sizeof *s;
    s->agent = trace_agent(a);
    s->text = text;
    s->n_text = n;
    s->first_token = from->position;
    s->start = from->time;
}

static double confidence_of(const MuseCut *from, const MuseCut *to)
{
    return to->n > from->n ? fmin(exp((to->logprob - from->logprob) / (double)(to->n - from->n)), 1) : -1;
}

int muse_record_add(MuseAgent *a, MuseTraceStep *s, const char *text, size_t n, const MuseCut *from, const MuseCut *to, uint32_t *number, MuseError *err)
{
    const bool answer = s->kind == MUSE_STEP_ANSWER;
    MuseBuf spelled = { .alloc = &a->shared->rt->alloc };
    set_head(a, s, text, n, from);
    s->n_tokens = to->position - from->position;
    s->end = fmax(to->time, from->time);
    if (s->confidence < 0) s->confidence = confidence_of(from, to);
    int rc = 0;
    if (n && a->shared->chains && memchr(text, '<', n)) {
        rc = muse_record_spell(a, text, n, s->marks, answer ? s->n_marks : 0, &spelled) < 0 ? MUSE_NOMEM(err, n) : 0;
        s->text = (const char *)spelled.data;
        s->n_text = spelled.len;
    }
    if (rc == 0) rc = muse_trace_add(a->record->trace, s, number, err);
    muse_buf_clear(&spelled);
    return rc;
}

MuseTraceStep muse_record_step_of(const MuseAgent *a, int kind)
{
    MuseTraceStep s;
    muse_trace_step_init(&s);
    s.kind = (uint32_t)kind;
    s.parent = a->record->group;
    return s;
}

/* words that belong to no place */
int muse_record_words(MuseAgent *a, const char *text, size_t n, const MuseCut *from, const MuseCut *to, MuseError *err)
{
    char turned[64];
    Record *r = a->record;
    MuseTraceStep s = muse_record_step_of(a, MUSE_STEP_THOUGHT);
    muse_record_trim(&text, &n);
    if (!n) return 0;
    if (!r->turn) return muse_record_add(a, &s, text, n, from, to, NULL, err);
    const int head = snprintf(turned, sizeof turned, "picture %u: ", r->turn);   /* the turn itself is no step */
    r->turn = 0;
    MuseBuf b = { .alloc = &a->shared->rt->alloc };
    int rc = muse_buf_append(&b, turned, (size_t)head) < 0 || muse_buf_append(&b, text, n) < 0 ? MUSE_NOMEM(err, n) : 0;
    if (rc == 0) rc = muse_record_add(a, &s, (const char *)b.data, b.len, from, to, NULL, err);
    muse_buf_clear(&b);
    return rc;
}

int muse_record_stream(MuseAgent *a, const char *text, size_t n, MuseError *err)
{
    Record *r = a->record;
    if (r->live) return muse_trace_text(r->trace, r->live, text, n, err);
    while (n && (*text == ' ' || *text == '\n')) text++, n--;
    if (!n) return 0;
    MuseTraceStep s = muse_record_step_of(a, MUSE_STEP_THOUGHT);
    set_head(a, &s, text, n, &r->from);
    return muse_trace_begin(r->trace, &s, &r->live, err);
}

int muse_record_end_stream(MuseAgent *a, const MuseCut *to, MuseError *err)
{
    Record *r = a->record;
    const uint32_t live = r->live;
    if (!live) return 0;
    const MuseCut from = r->from;
    r->live = 0;
    r->from = *to;
    return muse_trace_end(r->trace, live, to->position - from.position, fmax(to->time, from.time), confidence_of(&from, to), err);
}

int muse_record_note(MuseAgent *a, int kind, const char *what, const char *text, MuseError *err)
{
    char line[320];
    const int n = snprintf(line, sizeof line, "%s: %s", what, text);
    MuseTraceStep s = muse_record_step_of(a, kind);
    Record *r = a->record;
    const MuseCut from = r->words.len ? r->last : r->from;   /* words of an answer wait for its end, and begin where they began */
    if (!r->words.len) r->from = r->at;
    return muse_record_add(a, &s, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1, &from, &r->at, NULL, err);
}

/* ---- objects and tracks ---- */

MuseTraceMark muse_record_mark(const Record *r, uint32_t image, MuseRect rect)
{
    MuseTraceImage t;
    if (muse_trace_image(r->trace, image, &t) < 0) return (MuseTraceMark){ .image = image, .rect = rect };
    const MuseRect in = t.rect;
    return (MuseTraceMark){ .image = image, .rect = { fmax(rect.x0, in.x0), fmax(rect.y0, in.y0), fmin(rect.x1, in.x1), fmin(rect.y1, in.y1) } };
}

uint32_t muse_record_new_object(const MuseTrace *t)
{
    uint32_t most = 0;
    MuseTraceStep s;
    for (uint32_t i = 1; muse_trace_step(t, i, &s) == 0; i++)
        for (uint32_t k = 0; k < s.n_marks; k++)
            if (s.marks[k].object > most) most = s.marks[k].object;
    return most + 1;
}

uint32_t muse_record_object(const MuseTrace *t, const char *name, size_t n)
{
    MuseTraceStep s;
    for (uint32_t i = 1; muse_trace_step(t, i, &s) == 0; i++)
        if (s.n_marks && s.marks[0].object && s.n_text == n && memcmp(s.text, name, n) == 0) return s.marks[0].object;
    return muse_record_new_object(t);
}

/* How far apart, in sides of the picture: of the edge that is farthest */
static double distance(const MuseTrace *t, const MuseTraceMark *a, const MuseTraceMark *b)
{
    MuseTraceImage in;
    if (a->image != b->image || muse_trace_image(t, a->image, &in) < 0) return INFINITY;
    const double w = in.rect.x1 - in.rect.x0, h = in.rect.y1 - in.rect.y0;
    const double x = fmax(fabs(a->rect.x0 - b->rect.x0), fabs(a->rect.x1 - b->rect.x1)), y = fmax(fabs(a->rect.y0 - b->rect.y0), fabs(a->rect.y1 - b->rect.y1));
    return fmax(x / w, y / h);
}

uint32_t muse_record_thing(const MuseAgent *a, const char *name, size_t n, const MuseTraceMark *at)
{
    const MuseTrace *t = a->record->trace;
    MuseTraceStep s;
    uint32_t object = 0;
    double nearest = INFINITY;
    muse_record_strip_counts(&name, &n);
    for (uint32_t i = 1; n && muse_trace_step(t, i, &s) == 0; i++) {
        const char *other = s.text;
        size_t size = s.n_text;
        if (s.n_marks != 1 || !s.marks[0].object || s.kind == MUSE_STEP_LOOK) continue;
        const double away = distance(t, &s.marks[0], at);
        if (away >= nearest || away > (s.agent == trace_agent(a) ? 0 : SAME_PLACE)) continue;   /* its own list may name two that touch */
        muse_record_strip_counts(&other, &size);
        if (size == n && memcmp(other, name, n) == 0) object = s.marks[0].object, nearest = away;
    }
    return object ? object : muse_record_new_object(t);
}

/* the newest step of this agent with that object; 0: there is none */
static uint32_t find_object(const MuseAgent *a, uint32_t object, MuseTraceStep *out)
{
    for (uint32_t i = (uint32_t)muse_trace_step_count(a->record->trace); i > 0; i--)
        if (muse_trace_step(a->record->trace, i, out) == 0 && out->agent == trace_agent(a) && out->kind != MUSE_STEP_LOOK && out->n_marks && out->marks[0].object == object) return i;
    return 0;
}

/* The place is one more of an object that was named in another picture: it goes into the track. *joined: into one that is open. */
int muse_record_join_track(MuseAgent *a, MuseTraceStep *s, const char *text, size_t n, const MuseCut *from, const MuseCut *to, bool *joined, MuseError *err)
{
    Record *r = a->record;
    MuseTraceStep old;
    MuseTraceMark two[2];
    uint32_t number;
    *joined = false;
    const uint32_t i = s->marks[0].object ? find_object(a, s->marks[0].object, &old) : 0;
    if (!i || old.marks[old.n_marks - 1].image == s->marks[0].image) return 0;
    *joined = true;
    if (old.kind == MUSE_STEP_TRACK && !old.done) {
        const int rc = muse_trace_mark(r->trace, i, &s->marks[0], err);
        return rc == 0 && s->n_heats ? muse_trace_heat(r->trace, i, s->heats, err) : rc;
    }
    two[0] = old.marks[old.n_marks - 1];
    two[1] = s->marks[0];
    s->kind = MUSE_STEP_TRACK;
    s->marks = two;
    s->n_marks = 2;
    set_head(a, s, text, n, from);
    s->n_tokens = to->position - from->position;
    return muse_trace_begin(r->trace, s, &number, err);
}

/* tracks that are open get no more places */
int muse_record_end_tracks(MuseAgent *a, MuseError *err)
{
    Record *r = a->record;
    MuseTraceStep s;
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && muse_trace_step(r->trace, i, &s) == 0; i++)
        if (s.kind == MUSE_STEP_TRACK && !s.done && s.agent == trace_agent(a)) rc = muse_trace_end(r->trace, i, r->at.position - s.first_token, fmax(r->at.time, s.start), -1, err);
    r->thread = 0;
    return rc;
}
