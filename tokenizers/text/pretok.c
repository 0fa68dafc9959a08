/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-tokenizer steps, each over the pieces of the one before; the behaviours are those of Hugging Face tokenizers' Split.
 * Called by encode.c and train.c. */
#include "tokenizers/text/pretok.h"

#include <string.h>

int muse_pretok_add(MusePretok *p, MusePretokKind kind, MusePretokStep **step, MuseError *err)
{
    if (p->n == MUSE_PRETOK_STEPS_MAX) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "pre_tokenizer: over %d steps", MUSE_PRETOK_STEPS_MAX);
    *step = &p->steps[p->n++];
    **step = (MusePretokStep){ .kind = kind };
    return 0;
}

void muse_pretok_close(MusePretok *p)
{
    for (unsigned i = 0; i < p->n; i++) muse_pattern_close(&p->steps[i].pattern);
    *p = (MusePretok){ 0 };
}

static int run_step(const MusePretok *p, MusePretokRun *run, unsigned step, const uint8_t *s, size_t n);

/* A split at work: pieces may wait for their neighbour. */
typedef struct Splitter {
    const MusePretok *p;
    MusePretokRun *run;
    unsigned step;
    const uint8_t *s;
    size_t begin, end;     /* a piece that waits; empty: none */
    bool   last_matched;   /* the span before this one was a match */
} Splitter;

static int flush(Splitter *sp)
{
    const size_t begin = sp->begin, end = sp->end;
    sp->begin = sp->end = 0;
    return end > begin ? run_step(sp->p, sp->run, sp->step + 1, sp->s + begin, end - begin) : 0;
}

static int hold(Splitter *sp, size_t begin, size_t end)
{
    int rc = flush(sp);
    sp->begin = begin;
    sp->end = end;
    return rc;
}

static int span(Splitter *sp, MuseSplit behavior, size_t begin, size_t end, bool match)
{
    const bool last = sp->last_matched, waiting = sp->end > sp->begin;
    int rc = 0;
    sp->last_matched = match;
    switch (behavior) {
    case MUSE_SPLIT_REMOVED:
        return match ? 0 : run_step(sp->p, sp->run, sp->step + 1, sp->s + begin, end - begin);
    case MUSE_SPLIT_ISOLATED:
        return run_step(sp->p, sp->run, sp->step + 1, sp->s + begin, end - begin);
    case MUSE_SPLIT_PREVIOUS:   /* a match joins a piece before it that is none */
        if (!(match && !last && waiting)) return hold(sp, begin, end);
        sp->end = end;
        return 0;
    case MUSE_SPLIT_CONTIGUOUS:
        if (!(match == last && waiting)) return hold(sp, begin, end);
        sp->end = end;
        return 0;
    case MUSE_SPLIT_NEXT:       /* a match waits for what follows it and joins it unless that is a match, too */
        if (match) return hold(sp, begin, end);
        if (!waiting) return run_step(sp->p, sp->run, sp->step + 1, sp->s + begin, end - begin);
        sp->end = end;
        rc = flush(sp);
        return rc;
    }
    return rc;
}

static int split(const MusePretok *p, MusePretokRun *run, unsigned i, const MusePattern *pattern, MuseSplit behavior, bool invert, const uint8_t *s, size_t n)
{
    Splitter sp = { .p = p, .run = run, .step = i, .s = s };
    size_t at = 0, start = 0, end = 0;
    int rc;
    while ((rc = muse_pattern_next(pattern, run->matcher, s, n, at, &start, &end)) == 1) {
        if (start > at && (rc = span(&sp, behavior, at, start, invert)) < 0) return rc;
        if ((rc = span(&sp, behavior, start, end, !invert)) < 0) return rc;
        at = end;
    }
    if (rc < 0) return rc;
    if (at < n && (rc = span(&sp, behavior, at, n, invert)) < 0) return rc;
    return flush(&sp);
}

static int metaspace(const MusePretok *p, MusePretokRun *run, unsigned i, const uint8_t *s, size_t n)
{
    const MusePretokStep *step = &p->steps[i];
    MuseBuf *buf = &run->bufs[i];
    buf->len = 0;
    const bool marked = n && (s[0] == ' ' || (n >= step->n_mark && memcmp(s, step->mark, step->n_mark) == 0));
    const bool wanted = step->prepend == MUSE_PREPEND_ALWAYS || (step->prepend == MUSE_PREPEND_FIRST && run->at_start);
    run->at_start = false;   /* only the first piece of a text is at its start */
    int rc = wanted && !marked && !run->inside ? muse_buf_append(buf, step->mark, step->n_mark) : 0;
    for (size_t k = 0; k < n && rc == 0;) {
        const uint8_t *space = memchr(s + k, ' ', n - k);
        const size_t end = space ? (size_t)(space - s) : n;
        rc = muse_buf_append(buf, s + k, end - k);
        if (rc == 0 && space) rc = muse_buf_append(buf, step->mark, step->n_mark);
        k = end + (space != NULL);
    }
    if (rc < 0) return rc;
    return step->split ? split(p, run, i, &step->pattern, MUSE_SPLIT_NEXT, false, buf->data, buf->len)
                       : run_step(p, run, i + 1, buf->data, buf->len);
}

static int prefix(const MusePretok *p, MusePretokRun *run, unsigned i, const uint8_t *s, size_t n)
{
    if (s[0] == ' ' || run->inside) return run_step(p, run, i + 1, s, n);
    MuseBuf *buf = &run->bufs[i];
    buf->len = 0;
    int rc = muse_buf_append(buf, " ", 1);
    if (rc == 0) rc = muse_buf_append(buf, s, n);
    return rc < 0 ? rc : run_step(p, run, i + 1, buf->data, buf->len);
}

/* recursion is as deep as there are steps, 8 at most */
static int run_step(const MusePretok *p, MusePretokRun *run, unsigned i, const uint8_t *s, size_t n)
{
    if (i == p->n) return run->emit(run->user, s, n);
    const MusePretokStep *step = &p->steps[i];
    switch (step->kind) {
    case MUSE_PRETOK_METASPACE: return metaspace(p, run, i, s, n);
    case MUSE_PRETOK_PREFIX:    return prefix(p, run, i, s, n);
    default:                    return split(p, run, i, &step->pattern, step->behavior, step->invert, s, n);
    }
}

int muse_pretok_run(const MusePretok *p, MusePretokRun *run, const uint8_t *s, size_t n)
{
    return n ? run_step(p, run, 0, s, n) : 0;
}
