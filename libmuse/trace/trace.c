/* SPDX-License-Identifier: Apache-2.0 */
/* The record: steps, marks, heat maps and pictures, checked as they come in and handed to the listener. Draws and writes nothing.
 * Called by the reasoning driver, by trace_read.c, and by programs. */
#include "libmuse/trace/trace.h"

#include <math.h>
#include <string.h>

#include "base/params.h"

static const char *const names[MUSE_STEP_KINDS] = { "thought", "look", "box", "point", "claim", "compare", "track", "verify", "tool_call", "tool_result", "answer", "end" };

const char *muse_step_name(uint32_t kind) { return kind < MUSE_STEP_KINDS ? names[kind] : NULL; }

int muse_step_kind(const char *name, size_t n)
{
    for (int k = 0; k < MUSE_STEP_KINDS; k++)
        if (strlen(names[k]) == n && memcmp(names[k], name, n) == 0) return k;
    return -1;
}

void muse_trace_params_init(MuseTraceParams *params) { MUSE_PARAMS_INIT(params); }
void muse_trace_draw_params_init(MuseTraceDrawParams *params) { MUSE_PARAMS_INIT(params); }
void muse_trace_html_params_init(MuseTraceHtmlParams *params) { MUSE_PARAMS_INIT(params); }

void muse_trace_step_init(MuseTraceStep *step)
{
    MUSE_PARAMS_INIT(step);
    if (step) step->confidence = -1;
}

void muse_trace_summary_init(MuseTraceSummary *summary)
{
    MUSE_PARAMS_INIT(summary);
    if (summary) summary->confidence = -1;
}

/* ---- opening and closing ---- */

static char *copy_string(const MuseAllocator *a, const char *text) { return muse_copy_text(a, text, text ? strlen(text) : 0); }

int muse_trace_open(MuseTrace **out, MuseRuntime *rt, const MuseTraceParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MuseTraceParams p;
    const int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseTraceParams", err);
    if (rc < 0) return rc;
    MuseRuntime *held = muse_runtime_ref(rt);
    MuseTrace *t = held ? muse_zalloc(&held->alloc, sizeof *t) : NULL;
    if (!t) {
        muse_runtime_close(&held);
        return MUSE_NOMEM(err, sizeof *t);
    }
    t->rt = held;
    t->steps.alloc = t->pictures.alloc = &held->alloc;
    t->question = copy_string(&held->alloc, p.question);
    t->model = copy_string(&held->alloc, p.model);
    t->mode = copy_string(&held->alloc, p.mode);
    t->answer = copy_string(&held->alloc, NULL);
    t->fn = p.fn;
    t->user = p.user;
    muse_trace_summary_init(&t->summary);
    t->summary.answer = t->answer;
    if (!t->question || !t->model || !t->mode || !t->answer) {
        muse_trace_close(&t);
        return MUSE_NOMEM(err, 1);
    }
    *out = t;
    return 0;
}

int muse_trace_set_names(MuseTrace *t, const char *question, const char *model, const char *mode, MuseError *err)
{
    MUSE_REQUIRE(err, t);
    const char *const given[3] = { question, model, mode };
    char **const to[3] = { &t->question, &t->model, &t->mode }, *made[3] = { NULL, NULL, NULL };
    bool all = true;
    for (int i = 0; i < 3; i++)
        if (given[i]) all = (made[i] = copy_string(&t->rt->alloc, given[i])) != NULL && all;
    for (int i = 0; i < 3; i++) {
        if (!made[i]) continue;
        muse_free(all ? *to[i] : made[i]);
        if (all) *to[i] = made[i];
    }
    return all ? 0 : MUSE_NOMEM(err, 1);
}

static void clear_heats(MuseBuf *heats)
{
    MuseTraceHeat *h = (MuseTraceHeat *)(void *)heats->data;
    for (size_t i = 0; i < heats->len / sizeof *h; i++) muse_free((void *)h[i].values);
    muse_buf_clear(heats);
}

static void clear_step(MuseStepKept *k)
{
    muse_buf_clear(&k->text);
    muse_buf_clear(&k->marks);
    clear_heats(&k->heats);
}

static void clear_picture(MusePictureKept *p)
{
    muse_free(p->name);
    muse_image_close(&p->image);
}

void muse_trace_close(MuseTrace **trace)
{
    if (!trace || !*trace) return;
    MuseTrace *t = *trace;
    for (size_t i = 0; i < muse_trace_n_steps(t); i++) clear_step(&((MuseStepKept *)(void *)t->steps.data)[i]);
    for (size_t i = 0; i < muse_trace_n_pictures(t); i++) clear_picture(&((MusePictureKept *)(void *)t->pictures.data)[i]);
    muse_buf_clear(&t->steps);
    muse_buf_clear(&t->pictures);
    muse_free(t->question);
    muse_free(t->model);
    muse_free(t->mode);
    muse_free(t->answer);
    MuseRuntime *rt = t->rt;
    muse_free(t);
    muse_runtime_close(&rt);
    *trace = NULL;
}

int muse_trace_copy(MuseTrace **out, const MuseTrace *trace, MuseError *err)
{
    MUSE_REQUIRE(err, out && trace);
    MuseTraceParams p;
    muse_trace_params_init(&p);
    p.question = trace->question;
    p.model = trace->model;
    p.mode = trace->mode;
    MuseTrace *t;
    int rc = muse_trace_open(&t, trace->rt, &p, err);
    *out = NULL;
    if (rc < 0) return rc;
    for (size_t i = 0; rc == 0 && i < muse_trace_n_pictures(trace); i++) {
        const MusePictureKept *k = muse_trace_picture(trace, i);
        rc = muse_trace_add_picture(t, k->image, k->rect, k->name, strlen(k->name), err);
    }
    for (size_t i = 0; rc == 0 && i < muse_trace_n_steps(trace); i++) {
        const MuseTraceStep *s = muse_trace_at(trace, i);
        rc = s->done ? muse_trace_add(t, s, NULL, err) : muse_trace_begin(t, s, NULL, err);
    }
    if (rc == 0) rc = muse_trace_set_summary(t, &trace->summary, err);
    if (rc < 0) muse_trace_close(&t);
    *out = t;
    return rc;
}

/* ---- pictures ---- */

int muse_trace_add_picture(MuseTrace *t, MuseImage *image, MuseRect r, const char *name, size_t n_name, MuseError *err)
{
    if (muse_trace_n_pictures(t) >= MUSE_TRACE_IMAGES_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "trace: over %d pictures", MUSE_TRACE_IMAGES_MAX);
    if (!isfinite(r.x0) || !isfinite(r.y0) || !(r.x1 > r.x0) || !(r.y1 > r.y0) || !(r.x1 - r.x0 <= INT32_MAX) || !(r.y1 - r.y0 <= INT32_MAX))
        return muse_fail(err, MUSE_ERR_ARG, "trace: a picture at [%g, %g, %g, %g]", r.x0, r.y0, r.x1, r.y1);
    MusePictureKept k = { muse_copy_text(&t->rt->alloc, name, n_name), r, NULL };
    if (!k.name || muse_buf_append(&t->pictures, &k, sizeof k) < 0) {
        muse_free(k.name);
        return MUSE_NOMEM(err, sizeof k + n_name);
    }
    if (image) ((MusePictureKept *)(void *)t->pictures.data)[muse_trace_n_pictures(t) - 1].image = muse_image_ref(image);
    return 0;
}

int muse_trace_add_image(MuseTrace *t, MuseImage *image, const char *name, uint32_t *number, MuseError *err)
{
    MUSE_REQUIRE(err, t && image);
    MuseImageInfo info;
    int rc = muse_image_info(image, &info);
    if (rc == 0) rc = muse_trace_add_picture(t, image, info.source, name, name ? strlen(name) : 0, err);
    if (rc == 0 && number) *number = (uint32_t)muse_trace_n_pictures(t);
    return rc;
}

int muse_trace_set_image(MuseTrace *t, uint32_t number, MuseImage *image, MuseError *err)
{
    MUSE_REQUIRE(err, t && image && number > 0 && number <= muse_trace_n_pictures(t));
    MusePictureKept *k = &((MusePictureKept *)(void *)t->pictures.data)[number - 1];
    MuseImageInfo info;
    const int rc = muse_image_info(image, &info);
    if (rc < 0) return rc;
    const MuseRect s = info.source, r = k->rect;
    if (s.x0 != r.x0 || s.y0 != r.y0 || s.x1 != r.x1 || s.y1 != r.y1)
        return muse_fail(err, MUSE_ERR_ARG, "trace: picture %u is [%g, %g, %g, %g], not [%g, %g, %g, %g]", number, r.x0, r.y0, r.x1, r.y1, s.x0, s.y0, s.x1, s.y1);
    MuseImage *own = muse_image_ref(image);   /* first: it may be the same */
    muse_image_close(&k->image);
    k->image = own;
    return 0;
}

/* ---- what may come in ---- */

static int check_mark(const MuseTrace *t, const MuseTraceMark *m, MuseError *err)
{
    if (m->image == 0 || m->image > muse_trace_n_pictures(t))
        return muse_fail(err, MUSE_ERR_ARG, "trace: picture %u of %zu", m->image, muse_trace_n_pictures(t));
    const MuseRect r = m->rect, in = muse_trace_picture(t, m->image - 1)->rect;
    if (!(r.x0 >= in.x0 && r.y0 >= in.y0 && r.x1 <= in.x1 && r.y1 <= in.y1 && r.x0 <= r.x1 && r.y0 <= r.y1))
        return muse_fail(err, MUSE_ERR_ARG, "trace: [%g, %g, %g, %g] is not inside picture %u, [%g, %g, %g, %g]", r.x0, r.y0, r.x1, r.y1, m->image, in.x0, in.y0, in.x1, in.y1);
    return 0;
}

static int check_heat(const MuseTrace *t, const MuseTraceHeat *h, MuseError *err)
{
    if (h->image == 0 || h->image > muse_trace_n_pictures(t))
        return muse_fail(err, MUSE_ERR_ARG, "trace: a heat map of picture %u of %zu", h->image, muse_trace_n_pictures(t));
    const MuseRect r = h->rect;
    if (!isfinite(r.x0) || !isfinite(r.y0) || !isfinite(r.x1) || !isfinite(r.y1) || !(r.x1 > r.x0) || !(r.y1 > r.y0))
        return muse_fail(err, MUSE_ERR_ARG, "trace: a heat map over [%g, %g, %g, %g]", r.x0, r.y0, r.x1, r.y1);
    if (h->width == 0 || h->height == 0 || h->width > MUSE_TRACE_CELLS_MAX || h->height > MUSE_TRACE_CELLS_MAX || !h->values)
        return muse_fail(err, MUSE_ERR_ARG, "trace: a heat map of %u x %u cells", h->width, h->height);
    for (size_t i = 0; i < (size_t)h->width * h->height; i++)
        if (!(h->values[i] >= 0) || isinf(h->values[i])) return muse_fail(err, MUSE_ERR_ARG, "trace: value %zu of a heat map is %g", i, (double)h->values[i]);
    return 0;
}

static int check_step(const MuseTrace *t, const MuseTraceStep *s, MuseError *err)
{
    const size_t n = muse_trace_n_steps(t);
    if (s->kind >= MUSE_STEP_KINDS) return muse_fail(err, MUSE_ERR_ARG, "trace: no kind of step is %u", s->kind);
    if (s->parent > n) return muse_fail(err, MUSE_ERR_ARG, "trace: step %zu belongs to step %u, which is not there yet", n + 1, s->parent);
    if ((s->n_text && !s->text) || (s->n_marks && !s->marks) || (s->n_heats && !s->heats)) return muse_fail(err, MUSE_ERR_ARG, "trace: step %zu: a null pointer with a count", n + 1);
    if (!(s->confidence <= 1) || !(s->start >= 0) || !(s->end >= 0) || isinf(s->start) || isinf(s->end) || s->n_tokens > UINT64_MAX - s->first_token)
        return muse_fail(err, MUSE_ERR_ARG, "trace: step %zu: confidence %g, seconds %g to %g, tokens", n + 1, s->confidence, s->start, s->end);
    if (s->end != 0 && s->end < s->start) return muse_fail(err, MUSE_ERR_ARG, "trace: step %zu ends at %g s, before %g s", n + 1, s->end, s->start);
    if (n >= MUSE_TRACE_STEPS_MAX || s->n_marks > MUSE_TRACE_MARKS_MAX || s->n_heats > MUSE_TRACE_HEATS_MAX)
        return muse_fail(err, MUSE_ERR_LIMIT, "trace: step %zu with %u marks and %zu heat maps is over the limit", n + 1, s->n_marks, s->n_heats);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n_marks; i++) rc = check_mark(t, &s->marks[i], err);
    for (size_t i = 0; rc == 0 && i < s->n_heats; i++) rc = check_heat(t, &s->heats[i], err);
    return rc;
}

/* ---- steps ---- */

static void point_to_buffers(MuseStepKept *k)
{
    k->s.text = k->text.len ? (const char *)k->text.data : "";
    k->s.n_text = k->text.len;
    k->s.marks = (const MuseTraceMark *)(const void *)k->marks.data;
    k->s.n_marks = (uint32_t)(k->marks.len / sizeof(MuseTraceMark));
    k->s.heats = (const MuseTraceHeat *)(const void *)k->heats.data;
    k->s.n_heats = k->heats.len / sizeof(MuseTraceHeat);
}

static int keep_heat(MuseBuf *to, const MuseTraceHeat *h)
{
    MuseTraceHeat own = *h;
    const size_t bytes = (size_t)h->width * h->height * sizeof(float);   /* at most 2^24 values: checked */
    float *values = muse_alloc(to->alloc, bytes);
    if (!values) return MUSE_ERR_NOMEM;
    memcpy(values, h->values, bytes);
    own.values = values;
    const int rc = muse_buf_append(to, &own, sizeof own);
    if (rc < 0) muse_free(values);
    return rc;
}

static void tell(const MuseTrace *t, int event, uint32_t number, const char *text, size_t n)
{
    if (t->fn) t->fn(t->user, t, event, number, text, n);
}

static int add(MuseTrace *t, const MuseTraceStep *step, bool done, uint32_t *number, MuseError *err)
{
    MUSE_REQUIRE(err, t && step);
    MuseTraceStep s;
    int rc = MUSE_PARAMS_IMPORT(&s, step, "MuseTraceStep", err);
    if (rc == 0) rc = check_step(t, &s, err);
    if (rc < 0) return rc;
    if (s.end == 0) s.end = s.start;
    if (s.confidence < 0) s.confidence = -1;
    s.done = done;
    const MuseAllocator *a = &t->rt->alloc;
    MuseStepKept k = { .s = s, .text = { .alloc = a }, .marks = { .alloc = a }, .heats = { .alloc = a } };
    rc = s.n_text ? muse_buf_append(&k.text, s.text, s.n_text) : 0;
    if (rc == 0 && s.n_marks) rc = muse_buf_append(&k.marks, s.marks, s.n_marks * sizeof *s.marks);
    for (size_t i = 0; rc == 0 && i < s.n_heats; i++) rc = keep_heat(&k.heats, &s.heats[i]);
    point_to_buffers(&k);
    if (rc == 0) rc = muse_buf_append(&t->steps, &k, sizeof k);
    if (rc < 0) {
        clear_step(&k);
        return MUSE_NOMEM(err, sizeof k + s.n_text);
    }
    const uint32_t n = (uint32_t)muse_trace_n_steps(t);
    if (number) *number = n;
    const MuseTraceStep *kept = muse_trace_at(t, n - 1);
    tell(t, MUSE_TRACE_BEGUN, n, kept->text, kept->n_text);
    if (done) tell(t, MUSE_TRACE_DONE, n, "", 0);
    return 0;
}

int muse_trace_add(MuseTrace *t, const MuseTraceStep *step, uint32_t *number, MuseError *err) { return add(t, step, true, number, err); }
int muse_trace_begin(MuseTrace *t, const MuseTraceStep *step, uint32_t *number, MuseError *err) { return add(t, step, false, number, err); }

/* the step of that number, to be changed */
static int growing(MuseTrace *t, uint32_t number, bool even_done, MuseStepKept **out, MuseError *err)
{
    MUSE_REQUIRE(err, t && number > 0 && number <= muse_trace_n_steps(t));
    *out = &((MuseStepKept *)(void *)t->steps.data)[number - 1];
    if ((*out)->s.done && !even_done) return muse_fail(err, MUSE_ERR_STATE, "trace: step %u is completed", number);
    return 0;
}

int muse_trace_text(MuseTrace *t, uint32_t number, const char *text, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, text || n == 0);
    MuseStepKept *k = NULL;
    const int rc = growing(t, number, false, &k, err);
    if (rc < 0 || n == 0) return rc;
    if (muse_buf_append(&k->text, text, n) < 0) return MUSE_NOMEM(err, n);
    point_to_buffers(k);
    tell(t, MUSE_TRACE_TEXT, number, k->s.text + k->s.n_text - n, n);
    return 0;
}

int muse_trace_mark(MuseTrace *t, uint32_t number, const MuseTraceMark *mark, MuseError *err)
{
    MUSE_REQUIRE(err, mark);
    MuseStepKept *k = NULL;
    int rc = growing(t, number, false, &k, err);
    if (rc == 0) rc = check_mark(t, mark, err);
    if (rc < 0) return rc;
    if (k->s.n_marks >= MUSE_TRACE_MARKS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "trace: over %d marks in step %u", MUSE_TRACE_MARKS_MAX, number);
    if (muse_buf_append(&k->marks, mark, sizeof *mark) < 0) return MUSE_NOMEM(err, sizeof *mark);
    point_to_buffers(k);
    return 0;
}

int muse_trace_heat(MuseTrace *t, uint32_t number, const MuseTraceHeat *heat, MuseError *err)
{
    MUSE_REQUIRE(err, heat);
    MuseStepKept *k = NULL;
    int rc = growing(t, number, true, &k, err);
    if (rc == 0) rc = check_heat(t, heat, err);
    if (rc < 0) return rc;
    if (k->s.n_heats >= MUSE_TRACE_HEATS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "trace: over %d heat maps in step %u", MUSE_TRACE_HEATS_MAX, number);
    if (keep_heat(&k->heats, heat) < 0) return MUSE_NOMEM(err, (size_t)heat->width * heat->height * sizeof(float));
    point_to_buffers(k);
    return 0;
}

int muse_trace_end(MuseTrace *t, uint32_t number, uint64_t n_tokens, double end, double confidence, MuseError *err)
{
    MuseStepKept *k = NULL;
    const int rc = growing(t, number, false, &k, err);
    if (rc < 0) return rc;
    if (!(end >= k->s.start) || isinf(end) || !(confidence <= 1) || n_tokens > UINT64_MAX - k->s.first_token)
        return muse_fail(err, MUSE_ERR_ARG, "trace: step %u can't end at %g s (begun at %g s) with confidence %g", number, end, k->s.start, confidence);
    k->s.n_tokens = n_tokens;
    k->s.end = end;
    if (confidence >= 0) k->s.confidence = confidence;
    k->s.done = 1;
    tell(t, MUSE_TRACE_DONE, number, "", 0);
    return 0;
}

int muse_trace_set_summary(MuseTrace *t, const MuseTraceSummary *summary, MuseError *err)
{
    MUSE_REQUIRE(err, t && summary);
    MuseTraceSummary s;
    const int rc = MUSE_PARAMS_IMPORT(&s, summary, "MuseTraceSummary", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, (s.answer || !s.n_answer) && s.confidence <= 1 && s.seconds >= 0 && !isinf(s.seconds));
    if (s.confidence < 0) s.confidence = -1;
    char *answer = muse_copy_text(&t->rt->alloc, s.answer, s.n_answer);
    if (!answer) return MUSE_NOMEM(err, s.n_answer + 1);
    muse_free(t->answer);
    s.answer = t->answer = answer;
    t->summary = s;
    tell(t, MUSE_TRACE_END, 0, "", 0);
    return 0;
}

/* ---- reading ---- */

void muse_trace_summary(const MuseTrace *t, MuseTraceSummary *out)
{
    if (!out) return;
    muse_trace_summary_init(out);
    if (t) *out = t->summary;
}

const char *muse_trace_question(const MuseTrace *t) { return t ? t->question : NULL; }
const char *muse_trace_model(const MuseTrace *t) { return t ? t->model : NULL; }
const char *muse_trace_mode(const MuseTrace *t) { return t ? t->mode : NULL; }
size_t muse_trace_step_count(const MuseTrace *t) { return t ? muse_trace_n_steps(t) : 0; }
size_t muse_trace_image_count(const MuseTrace *t) { return t ? muse_trace_n_pictures(t) : 0; }

int muse_trace_step(const MuseTrace *t, uint32_t number, MuseTraceStep *out)
{
    if (!t || !out || number == 0 || number > muse_trace_n_steps(t)) return MUSE_ERR_ARG;
    *out = *muse_trace_at(t, number - 1);
    return 0;
}

int muse_trace_image(const MuseTrace *t, uint32_t number, MuseTraceImage *out)
{
    if (!t || !out || number == 0 || number > muse_trace_n_pictures(t)) return MUSE_ERR_ARG;
    const MusePictureKept *k = muse_trace_picture(t, number - 1);
    *out = (MuseTraceImage){ k->name, k->rect, k->image };
    return 0;
}

const MuseTraceStep *muse_trace_answer(const MuseTrace *t)
{
    const size_t n = muse_trace_n_steps(t);
    const MuseTraceStep *last = n ? muse_trace_at(t, n - 1) : NULL;
    bool places = false;
    for (size_t i = 1; i < t->summary.n_answer; i++) places = places || (t->answer[i - 1] == '<' && (t->answer[i] == 'x' || t->answer[i] == 'y'));
    return places && last && last->kind == MUSE_STEP_ANSWER ? last : NULL;
}

uint32_t muse_trace_next_agent(const MuseTrace *t, uint32_t agent)
{
    uint32_t next = 0;
    for (size_t i = 0; i < muse_trace_n_steps(t); i++) {
        const uint32_t a = muse_trace_at(t, i)->agent;
        if (a > agent && (!next || a < next)) next = a;
    }
    return next;
}
