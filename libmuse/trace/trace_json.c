/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as one JSON object; docs/trace.md has the schema. trace_read.c reads it back. Called by programs (`muse ask --json`). */
#include <string.h>

#include "libmuse/trace/trace.h"

static void put_string(MuseOut *o, const char *key, const char *text, size_t n)
{
    muse_out_put(o, "\"%s\":", key);
    muse_out_json_string(o, text, n);
}

static void put_number(MuseOut *o, const char *key, double v)
{
    muse_out_put(o, "\"%s\":", key);
    muse_out_number(o, v);
}

/* what is not known (negative) is null */
static void put_confidence(MuseOut *o, double v)
{
    if (v >= 0) put_number(o, "confidence", v);
    else muse_out_put(o, "\"confidence\":null");
}

static void put_rect(MuseOut *o, const char *key, MuseRect r, bool point)
{
    const double v[] = { r.x0, r.y0, r.x1, r.y1 };
    muse_out_put(o, "\"%s\":[", key);
    for (int i = 0; i < (point ? 2 : 4); i++) {
        if (i) muse_out_put(o, ",");
        muse_out_number(o, v[i]);
    }
    muse_out_put(o, "]");
}

static void put_mark(MuseOut *o, const MuseTraceMark *m)
{
    const bool point = muse_rect_is_point(m->rect);
    muse_out_put(o, "\"image\":%u,", m->image);
    put_rect(o, point ? "point" : "box", m->rect, point);
}

static void put_heat(MuseOut *o, const MuseTraceHeat *h)
{
    muse_out_put(o, "{\"image\":%u,\"grid\":[%u,%u],", h->image, h->width, h->height);
    put_rect(o, "rect", h->rect, false);
    muse_out_put(o, ",\"values\":[");
    for (size_t i = 0; i < (size_t)h->width * h->height; i++) {
        if (i) muse_out_put(o, ",");
        muse_out_f32(o, h->values[i]);
    }
    muse_out_put(o, "]}");
}

static void put_step(MuseOut *o, const MuseTraceStep *s, uint32_t number)
{
    muse_out_put(o, "{\"step\":%u,\"kind\":\"%s\",", number, muse_step_name(s->kind));
    put_string(o, "text", s->text, s->n_text);
    if (s->n_marks) {
        muse_out_put(o, ",");
        put_mark(o, &s->marks[0]);
    }
    if (s->n_marks > 1 || (s->n_marks && s->marks[0].object)) {
        muse_out_put(o, ",\"marks\":[");
        for (uint32_t i = 0; i < s->n_marks; i++) {
            muse_out_put(o, i ? ",{" : "{");
            put_mark(o, &s->marks[i]);
            if (s->marks[i].object) muse_out_put(o, ",\"object\":%u", s->marks[i].object);
            muse_out_put(o, "}");
        }
        muse_out_put(o, "]");
    }
    if (s->agent) muse_out_put(o, ",\"agent\":%u", s->agent);
    if (s->parent) muse_out_put(o, ",\"parent\":%u", s->parent);
    if (s->confidence >= 0) {
        muse_out_put(o, ",");
        put_confidence(o, s->confidence);
    }
    if (s->first_token || s->n_tokens) muse_out_put(o, ",\"tokens\":[%llu,%llu]", (unsigned long long)s->first_token, (unsigned long long)s->n_tokens);
    muse_out_put(o, ",\"seconds\":[");
    muse_out_number(o, s->start);
    muse_out_put(o, ",");
    muse_out_number(o, s->end);
    muse_out_put(o, "]");
    if (!s->done) muse_out_put(o, ",\"open\":true");
    for (size_t i = 0; i < s->n_heats; i++) {
        muse_out_put(o, i ? "," : ",\"heat\":[");
        put_heat(o, &s->heats[i]);
    }
    muse_out_put(o, s->n_heats ? "]}" : "}");
}

static void put_picture(MuseOut *o, const MusePictureKept *p, uint32_t number)
{
    muse_out_put(o, "{\"image\":%u,", number);
    put_string(o, "name", p->name, strlen(p->name));
    muse_out_put(o, ",");
    put_rect(o, "rect", p->rect, false);
    muse_out_put(o, "}");
}

int muse_trace_json(const MuseTrace *t, char **text, size_t *size, MuseError *err)
{
    MUSE_REQUIRE(err, t && text);
    *text = NULL;
    MuseOut out = { .buf = { .alloc = &t->rt->alloc } }, *o = &out;
    const MuseTraceSummary *s = &t->summary;
    muse_out_put(o, "{\"version\":1,");
    put_string(o, "question", t->question, strlen(t->question));
    muse_out_put(o, ",");
    put_string(o, "model", t->model, strlen(t->model));
    muse_out_put(o, ",");
    put_string(o, "mode", t->mode, strlen(t->mode));
    muse_out_put(o, ",");
    put_string(o, "answer", s->answer, s->n_answer);
    muse_out_put(o, ",");
    put_confidence(o, s->confidence);
    muse_out_put(o, ",\"images\":[");
    for (size_t i = 0; i < muse_trace_n_pictures(t); i++) {
        if (i) muse_out_put(o, ",");
        put_picture(o, muse_trace_picture(t, i), (uint32_t)i + 1);
    }
    muse_out_put(o, "],\"trace\":[");
    for (size_t i = 0; i < muse_trace_n_steps(t); i++) {
        if (i) muse_out_put(o, ",\n");
        put_step(o, muse_trace_at(t, i), (uint32_t)i + 1);
    }
    muse_out_put(o, "],\"tokens\":{\"prompt\":%llu,\"thought\":%llu,\"look\":%llu,\"answer\":%llu},", (unsigned long long)s->prompt_tokens,
                 (unsigned long long)s->thought_tokens, (unsigned long long)s->look_tokens, (unsigned long long)s->answer_tokens);
    put_number(o, "seconds", s->seconds);
    muse_out_put(o, "}");
    return muse_out_take(o, text, size, err);
}
