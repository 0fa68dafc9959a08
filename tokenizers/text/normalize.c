/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisation of text. Decomposition and composition are utf8proc's, a character at a time; the ordering of marks is done
 * here in linear time, because utf8proc's own sort is quadratic in a run of marks. Called by encode.c. */
#include "tokenizers/text/normalize.h"

#include <string.h>
#include <utf8proc.h>

#include "tokenizers/text/classes.h"

int muse_norm_add(MuseNorm *norm, const MuseAllocator *a, MuseNormKind kind, const char *text, size_t n, MuseNormStep **step, MuseError *err)
{
    if (norm->n == MUSE_NORM_STEPS_MAX) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "normalizer: over %d steps", MUSE_NORM_STEPS_MAX);
    MuseNormStep *s = &norm->steps[norm->n];
    *s = (MuseNormStep){ .kind = kind, .n_text = n };
    if (n) {
        s->text = muse_alloc(a, n);
        if (!s->text) return MUSE_NOMEM(err, n);
        memcpy(s->text, text, n);
    }
    norm->n++;
    *step = s;
    return 0;
}

void muse_norm_close(MuseNorm *norm)
{
    for (unsigned i = 0; i < norm->n; i++) {
        muse_pattern_close(&norm->steps[i].pattern);
        muse_free(norm->steps[i].text);
    }
    *norm = (MuseNorm){ 0 };
}

void muse_norm_work_close(MuseNormWork *work)
{
    muse_buf_clear(&work->a);
    muse_buf_clear(&work->b);
    muse_free(work->points);
    work->points = NULL;
    work->cap_points = 0;
}

static int reserve_points(MuseNormWork *w, size_t more)
{
    if (w->cap_points - w->n_points >= more) return 0;
    const size_t cap = (w->n_points + more) * 2;
    int32_t *points = muse_realloc_array(w->a.alloc, w->points, cap, sizeof *points);
    if (!points) return MUSE_ERR_NOMEM;
    w->points = points;
    w->cap_points = cap;
    return 0;
}

static int mark_class(int32_t cp) { return utf8proc_get_property(cp)->combining_class; }

/* Stable order by combining class of a run of marks: by insertion when short, else by counting. */
static int order_run(MuseNormWork *w, size_t begin, size_t end)
{
    int32_t *p = w->points;
    if (end - begin <= 16) {
        for (size_t i = begin + 1; i < end; i++) {
            const int32_t cp = p[i];
            size_t at = i;
            for (; at > begin && mark_class(p[at - 1]) > mark_class(cp); at--) p[at] = p[at - 1];
            p[at] = cp;
        }
        return 0;
    }
    size_t place[257] = { 0 };
    for (size_t i = begin; i < end; i++) place[mark_class(p[i]) + 1]++;
    for (size_t c = 1; c < 257; c++) place[c] += place[c - 1];
    if (reserve_points(w, end - begin) < 0) return MUSE_ERR_NOMEM;
    p = w->points;
    int32_t *sorted = p + w->n_points;
    for (size_t i = begin; i < end; i++) sorted[place[mark_class(p[i])]++] = p[i];
    memcpy(p + begin, sorted, (end - begin) * sizeof *p);
    return 0;
}

static int order_marks(MuseNormWork *w)
{
    for (size_t i = 0; i < w->n_points;) {
        size_t end = i;
        while (end < w->n_points && mark_class(w->points[end]) != 0) end++;
        if (end - i > 1 && order_run(w, i, end) < 0) return MUSE_ERR_NOMEM;
        i = end + 1;
    }
    return 0;
}

/* one stretch of well-formed text that nothing outside it can change */
static int form_stretch(const MuseNormStep *step, MuseNormWork *w, const uint8_t *s, size_t n, MuseBuf *out)
{
    const utf8proc_option_t how = (utf8proc_option_t)(UTF8PROC_DECOMPOSE | (step->compat ? UTF8PROC_COMPAT : 0));
    w->n_points = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += muse_utf8_char(s + i, n - i, &cp);
        if (reserve_points(w, 32) < 0) return MUSE_ERR_NOMEM;   /* the longest decomposition has 18 code points */
        int boundary = 0;
        const utf8proc_ssize_t k = utf8proc_decompose_char((utf8proc_int32_t)cp, w->points + w->n_points, 32, how, &boundary);
        if (k < 0 || k > 32) w->points[w->n_points++] = (int32_t)cp;
        else w->n_points += (size_t)k;
    }
    if (order_marks(w) < 0) return MUSE_ERR_NOMEM;
    if (step->compose) {
        const utf8proc_ssize_t k = utf8proc_normalize_utf32(w->points, (utf8proc_ssize_t)w->n_points, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
        if (k >= 0) w->n_points = (size_t)k;
    }
    for (size_t i = 0; i < w->n_points; i++) {
        uint8_t bytes[4];
        if (muse_buf_append(out, bytes, muse_utf8_put((uint32_t)w->points[i], bytes)) < 0) return MUSE_ERR_NOMEM;
    }
    return 0;
}

/* A character that no form changes and that ends what marks before and after it can reach: ASCII for all forms, below
 * U+0300 and CJK ideographs for NFC (Unicode Standard Annex #15, quick check: no, and no composition begins with them). */
static bool is_inert(const MuseNormStep *step, uint32_t cp)
{
    return step->compose && !step->compat && (cp < 0x300 || (cp >= 0x4e00 && cp <= 0x9fff));
}

/* end of what needs no work from i on */
static size_t skip_inert(const MuseNormStep *step, const uint8_t *s, size_t n, size_t i)
{
    while (i < n) {
        uint32_t cp = 0;
        const unsigned len = muse_utf8_char(s + i, n - i, &cp);
        if (len > 1 && !is_inert(step, cp)) break;
        i += len ? len : 1;
    }
    return i;
}

/* A stretch begins one character before the first that needs work, as a mark may join it, and ends before an ASCII one. */
static int form(const MuseNormStep *step, MuseNormWork *w, const uint8_t *s, size_t n, MuseBuf *out)
{
    for (size_t i = 0; i < n;) {
        const size_t work = skip_inert(step, s, n, i);
        size_t begin = work;
        if (work < n && begin > i) {
            begin--;
            while (begin > i && (s[begin] & 0xc0) == 0x80) begin--;
            if (muse_utf8_char(s + begin, n - begin, NULL) != work - begin) begin = work;   /* not a character: nothing to join */
        }
        if (begin > i && muse_buf_append(out, s + i, begin - i) < 0) return MUSE_ERR_NOMEM;
        size_t end = work;
        while (end < n && s[end] >= 0x80) {
            const unsigned len = muse_utf8_char(s + end, n - end, NULL);
            if (!len) break;
            end += len;
        }
        if (end > begin && form_stretch(step, w, s + begin, end - begin, out) < 0) return MUSE_ERR_NOMEM;
        i = end;
    }
    return 0;
}

static int replace(const MuseNormStep *step, MuseMatcher *m, const uint8_t *s, size_t n, MuseBuf *out)
{
    size_t at = 0;
    /* a regular expression must not see bytes that are not UTF-8: it runs over the well-formed runs between them */
    for (size_t run = 0; run < n;) {
        size_t run_end = n;
        if (step->pattern.code) {
            run_end = run + muse_utf8_valid(s + run, n - run);
            if (run_end == run) {
                run++;
                continue;
            }
        }
        size_t start = 0, end = 0, from = 0;
        int rc;
        while ((rc = muse_pattern_next(&step->pattern, m, s + run, run_end - run, from, &start, &end)) == 1) {
            if (muse_buf_append(out, s + at, run + start - at) < 0) return MUSE_ERR_NOMEM;
            if (muse_buf_append(out, step->text, step->n_text) < 0) return MUSE_ERR_NOMEM;
            at = run + end;
            from = end;
        }
        if (rc < 0) return rc;
        run = run_end;
    }
    return muse_buf_append(out, s + at, n - at);
}

int muse_norm_run(const MuseNorm *norm, MuseNormWork *w, MuseMatcher *m, const uint8_t *s, size_t n, const uint8_t **out, size_t *n_out)
{
    for (unsigned i = 0; i < norm->n && n; i++) {
        const MuseNormStep *step = &norm->steps[i];
        if (step->kind == MUSE_NORM_FORM && skip_inert(step, s, n, 0) == n) continue;
        MuseBuf *to = s == w->a.data ? &w->b : &w->a;
        to->len = 0;
        int rc = 0;
        switch (step->kind) {
        case MUSE_NORM_FORM:
            rc = form(step, w, s, n, to);
            break;
        case MUSE_NORM_REPLACE:
            rc = replace(step, m, s, n, to);
            break;
        case MUSE_NORM_PREPEND:
            rc = muse_buf_append(to, step->text, step->n_text);
            if (rc == 0) rc = muse_buf_append(to, s, n);
            break;
        }
        if (rc < 0) return rc;
        s = to->data;
        n = to->len;
    }
    *out = s;
    *n_out = n;
    return 0;
}
