/* SPDX-License-Identifier: Apache-2.0 */
/* JSON back to a trace. The text is foreign: every number goes through the same checks as a caller's. Called by programs. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/params.h"
#include "libmuse/trace/trace.h"

typedef struct Reader {
    MuseTrace *t;
    MuseError *err;
    size_t number;               /* of the step at work */
    MuseBuf marks;               /* of it: MuseTraceMark */
} Reader;

static int bad(const Reader *r, const char *key)
{
    return muse_fail(r->err, MUSE_ERR_FORMAT, "trace: step %zu: \"%s\" is missing or not what it should be", r->number, key);
}

static bool read_u64(const MuseJsonValue *v, uint64_t most, uint64_t *out)
{
    int64_t n;
    if (!muse_json_read_i64(v, 0, &n) || n < 0 || (uint64_t)n > most) return false;
    *out = (uint64_t)n;
    return true;
}

static bool read_u32(const MuseJsonValue *v, uint32_t *out)
{
    uint64_t n;
    if (!read_u64(v, UINT32_MAX, &n)) return false;
    *out = (uint32_t)n;
    return true;
}

/* exactly n numbers */
static bool read_numbers(const MuseJsonValue *v, double *out, size_t n)
{
    if (!muse_json_is(v, MUSE_JSON_ARRAY) || v->len != n) return false;
    const MuseJsonValue *at = v->u.first;
    for (size_t i = 0; i < n; i++, at = at->next)
        if (muse_json_is(at, MUSE_JSON_NULL) || !muse_json_read_f64(at, 0, &out[i])) return false;
    return true;
}

static bool read_rect(const MuseJsonValue *v, MuseRect *out)
{
    double n[4];
    if (!read_numbers(v, n, 4)) return false;
    *out = (MuseRect){ n[0], n[1], n[2], n[3] };
    return true;
}

static bool read_text(const MuseJsonValue *v, const char **text, size_t *n)
{
    *text = "";
    *n = 0;
    if (!v) return true;
    if (v->type != MUSE_JSON_STRING) return false;
    *text = v->u.string;
    *n = v->len;
    return true;
}

static bool read_confidence(const MuseJsonValue *v, double *out)
{
    return muse_json_read_f64(v, -1, out) && (!v || v->type == MUSE_JSON_NULL || *out >= 0);
}

/* image and box or point of an object; without either there is nothing: 0 */
static int read_mark(Reader *r, const MuseJsonValue *v)
{
    const MuseJsonValue *box = muse_json_get(v, "box"), *point = muse_json_get(v, "point");
    MuseTraceMark m = { 0 };
    double at[2];
    if (!box && !point) return 0;
    if (!read_u32(muse_json_get(v, "image"), &m.image)) return bad(r, "image");
    if (!read_u32(muse_json_get(v, "object"), &m.object)) return bad(r, "object");
    if (box && (!read_rect(box, &m.rect) || point)) return bad(r, "box");
    if (point && !read_numbers(point, at, 2)) return bad(r, "point");
    if (point) m.rect = (MuseRect){ at[0], at[1], at[0], at[1] };
    return muse_buf_append(&r->marks, &m, sizeof m) < 0 ? MUSE_NOMEM(r->err, sizeof m) : 0;
}

static int read_marks(Reader *r, const MuseJsonValue *v)
{
    const MuseJsonValue *list = muse_json_get(v, "marks");
    r->marks.len = 0;
    if (!list) return read_mark(r, v);
    if (list->type != MUSE_JSON_ARRAY) return bad(r, "marks");
    int rc = 0;
    const MuseJsonValue *m = list->u.first;
    for (size_t i = 0; rc == 0 && i < list->len; i++, m = m->next) {
        const size_t before = r->marks.len;
        rc = read_mark(r, m);
        if (rc == 0 && r->marks.len == before) rc = bad(r, "marks");
    }
    return rc;
}

static int read_heat(Reader *r, const MuseJsonValue *v)
{
    MuseTraceHeat h = { 0 };
    double grid[2];
    const MuseJsonValue *values = muse_json_get(v, "values");
    if (!read_u32(muse_json_get(v, "image"), &h.image) || !read_rect(muse_json_get(v, "rect"), &h.rect) || !read_numbers(muse_json_get(v, "grid"), grid, 2)) return bad(r, "heat");
    for (int i = 0; i < 2; i++)
        if (!(grid[i] >= 1) || !(grid[i] <= MUSE_TRACE_CELLS_MAX) || grid[i] != floor(grid[i])) return bad(r, "grid");
    h.width = (uint32_t)grid[0];
    h.height = (uint32_t)grid[1];
    const size_t n = (size_t)h.width * h.height;
    if (!muse_json_is(values, MUSE_JSON_ARRAY) || values->len != n) return bad(r, "values");
    float *own = muse_alloc_array(&r->t->rt->alloc, n, sizeof *own);
    if (!own) return MUSE_NOMEM(r->err, n * sizeof *own);
    int rc = 0;
    const MuseJsonValue *at = values->u.first;
    for (size_t i = 0; rc == 0 && i < n; i++, at = at->next) {
        double x;
        if (muse_json_is(at, MUSE_JSON_NULL) || !muse_json_read_f64(at, 0, &x)) rc = bad(r, "values");
        else own[i] = fabs(x) <= 3.4e38 ? (float)x : INFINITY;   /* f32's range; infinity is refused by the trace */
    }
    h.values = own;
    if (rc == 0) rc = muse_trace_heat(r->t, (uint32_t)r->number, &h, r->err);
    muse_free(own);
    return rc;
}

static int read_step(Reader *r, const MuseJsonValue *v)
{
    MuseTraceStep s;
    double seconds[2] = { 0, 0 };
    bool open;
    muse_trace_step_init(&s);
    const MuseJsonValue *kind = muse_json_get(v, "kind"), *tokens = muse_json_get(v, "tokens"), *time = muse_json_get(v, "seconds"), *heat = muse_json_get(v, "heat");
    const int k = muse_json_is(kind, MUSE_JSON_STRING) ? muse_step_kind(kind->u.string, kind->len) : -1;
    if (k < 0) return bad(r, "kind");
    s.kind = (uint32_t)k;
    if (!read_text(muse_json_get(v, "text"), &s.text, &s.n_text)) return bad(r, "text");
    if (!read_u32(muse_json_get(v, "agent"), &s.agent)) return bad(r, "agent");
    if (!read_u32(muse_json_get(v, "parent"), &s.parent)) return bad(r, "parent");
    if (!read_confidence(muse_json_get(v, "confidence"), &s.confidence)) return bad(r, "confidence");
    if (time && !read_numbers(time, seconds, 2)) return bad(r, "seconds");
    if (tokens && (!muse_json_is(tokens, MUSE_JSON_ARRAY) || tokens->len != 2 || !read_u64(tokens->u.first, INT64_MAX, &s.first_token)
                   || !read_u64(tokens->u.first->next, INT64_MAX, &s.n_tokens))) return bad(r, "tokens");
    if (!muse_json_read_bool(muse_json_get(v, "open"), false, &open)) return bad(r, "open");
    if (heat && heat->type != MUSE_JSON_ARRAY) return bad(r, "heat");
    s.start = seconds[0];
    s.end = seconds[1];
    int rc = read_marks(r, v);
    if (rc < 0) return rc;
    s.marks = (const MuseTraceMark *)(const void *)r->marks.data;
    s.n_marks = (uint32_t)(r->marks.len / sizeof *s.marks);
    rc = open ? muse_trace_begin(r->t, &s, NULL, r->err) : muse_trace_add(r->t, &s, NULL, r->err);
    const MuseJsonValue *h = heat ? heat->u.first : NULL;
    for (size_t i = 0; rc == 0 && heat && i < heat->len; i++, h = h->next) rc = read_heat(r, h);
    return rc == MUSE_ERR_ARG ? muse_fail_prefix(r->err, MUSE_ERR_FORMAT, "step %zu", r->number) : rc;
}

static int read_pictures(Reader *r, const MuseJsonValue *list)
{
    if (!list) return 0;
    if (list->type != MUSE_JSON_ARRAY) return muse_fail(r->err, MUSE_ERR_FORMAT, "trace: \"images\" is no list");
    const MuseJsonValue *v = list->u.first;
    for (size_t i = 0; i < list->len; i++, v = v->next) {
        const char *name;
        size_t n;
        MuseRect rect;
        int64_t number;
        if (!read_text(muse_json_get(v, "name"), &name, &n) || memchr(name, 0, n) || !read_rect(muse_json_get(v, "rect"), &rect)
            || !muse_json_read_i64(muse_json_get(v, "image"), (int64_t)i + 1, &number) || number != (int64_t)i + 1)
            return muse_fail(r->err, MUSE_ERR_FORMAT, "trace: picture %zu has no \"rect\", another number, or a name that is no text", i + 1);
        const int rc = muse_trace_add_picture(r->t, NULL, rect, name, n, r->err);
        if (rc < 0) return rc == MUSE_ERR_ARG ? MUSE_ERR_FORMAT : rc;
    }
    return 0;
}

static int read_summary(Reader *r, const MuseJsonValue *root)
{
    MuseTraceSummary s;
    muse_trace_summary_init(&s);
    const MuseJsonValue *tokens = muse_json_get(root, "tokens");
    if (!read_text(muse_json_get(root, "answer"), &s.answer, &s.n_answer) || !read_confidence(muse_json_get(root, "confidence"), &s.confidence)
        || !read_u64(muse_json_get(tokens, "prompt"), INT64_MAX, &s.prompt_tokens) || !read_u64(muse_json_get(tokens, "thought"), INT64_MAX, &s.thought_tokens)
        || !read_u64(muse_json_get(tokens, "look"), INT64_MAX, &s.look_tokens) || !read_u64(muse_json_get(tokens, "answer"), INT64_MAX, &s.answer_tokens)
        || !muse_json_read_f64(muse_json_get(root, "seconds"), 0, &s.seconds))
        return muse_fail(r->err, MUSE_ERR_FORMAT, "trace: answer, confidence, tokens or seconds is not what it should be");
    const int rc = muse_trace_set_summary(r->t, &s, r->err);
    return rc == MUSE_ERR_ARG ? MUSE_ERR_FORMAT : rc;
}

static int read_name(Reader *r, const MuseJsonValue *root, const char *key, char **to)
{
    const char *text;
    size_t n;
    if (!read_text(muse_json_get(root, key), &text, &n) || memchr(text, 0, n)) return muse_fail(r->err, MUSE_ERR_FORMAT, "trace: \"%s\" is no text", key);
    char *copy = muse_copy_text(&r->t->rt->alloc, text, n);
    if (!copy) return MUSE_NOMEM(r->err, n + 1);
    muse_free(*to);
    *to = copy;
    return 0;
}

static int read_all(Reader *r, const MuseJsonValue *root)
{
    int64_t version;
    if (!muse_json_is(root, MUSE_JSON_OBJECT) || !muse_json_read_i64(muse_json_get(root, "version"), 0, &version) || version < 1)
        return muse_fail(r->err, MUSE_ERR_FORMAT, "trace: not a trace: no \"version\"");
    if (version > 1) return muse_fail(r->err, MUSE_ERR_UNSUPPORTED, "trace: version %lld, this library reads 1", (long long)version);
    int rc = read_name(r, root, "question", &r->t->question);
    if (rc == 0) rc = read_name(r, root, "model", &r->t->model);
    if (rc == 0) rc = read_name(r, root, "mode", &r->t->mode);
    if (rc == 0) rc = read_pictures(r, muse_json_get(root, "images"));
    const MuseJsonValue *steps = muse_json_get(root, "trace");
    if (rc == 0 && !muse_json_is(steps, MUSE_JSON_ARRAY)) rc = muse_fail(r->err, MUSE_ERR_FORMAT, "trace: \"trace\" is no list");
    const MuseJsonValue *v = rc == 0 ? steps->u.first : NULL;
    for (size_t i = 0; rc == 0 && i < steps->len; i++, v = v->next) {
        r->number = i + 1;
        rc = read_step(r, v);
    }
    return rc == 0 ? read_summary(r, root) : rc;
}

int muse_trace_from_json(MuseTrace **out, MuseRuntime *rt, const char *text, size_t size, const MuseTraceParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out && (text || size == 0));
    MuseTrace *t;
    int rc = muse_trace_open(&t, rt, params, err);
    *out = NULL;
    if (rc < 0) return rc;
    Reader r = { .t = t, .err = err, .marks = { .alloc = &t->rt->alloc } };
    MuseJson doc;
    rc = muse_json_parse(&doc, &t->rt->alloc, text, size, err);
    if (rc == 0) rc = read_all(&r, doc.root);
    muse_json_close(&doc);
    muse_buf_clear(&r.marks);
    if (rc < 0) muse_trace_close(&t);
    *out = t;
    return rc;
}
