/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and steps of an agent to steps of a trace. Which words belong to which place is decided here, by one rule; what places mean in pixels is
 * run.c's and look.c's. Called by them; docs/reason.md, "Traces", has the rule.
 *
 *   words place words ; words place ...       a place is named by the words before it, back to the end of a clause: ; ? ! or a full stop. Without such a
 *   \--name--/        \--name-/               name, or with a number only ("2"), the words behind it up to there or to what comes next are its name, counts
 *                                             of it in brackets. A number right behind a place and before a name is the place's: <x1><y2>8 bar B<x3><y4>.
 *                                             Number tokens behind a place are its own: <y20><x2> nearest<x36><y19> has a clause's end before " nearest"
 *
 * So a place without a name waits (MuseWaiting) until what is behind it has been written. */
#include "libmuse/reason/record_steps.h"

#include <math.h>
#include <stdio.h>

/* ---- the step that waits ---- */

/* The words of a step: those before its place, then those behind it. Of a name behind it counts come last, in brackets: "red star (2)". */
static int words_of(const MuseAgent *a, const char *before, size_t n_before, const char *head, size_t n_head, bool named_behind, MuseBuf *out)
{
    const size_t name = named_behind ? muse_record_name_end(head, n_head) : n_head, count = n_head - name;
    const bool both = n_before && n_head;
    int rc = named_behind ? 0 : muse_buf_append(out, before, n_before);
    if (rc == 0 && both && !named_behind) rc = muse_buf_append(out, " ", 1);
    if (rc == 0) rc = muse_record_spell(a, head, name, NULL, 0, out);
    if (rc < 0 || !named_behind || (!n_before && !count)) return rc;
    const char *tail = head + name;
    size_t n = count;
    muse_record_trim(&tail, &n);
    rc = muse_buf_append(out, " (", 2);
    if (rc == 0) rc = muse_buf_append(out, before, n_before);
    if (rc == 0 && n_before && n) rc = muse_buf_append(out, ", ", 2);
    if (rc == 0) rc = muse_buf_append(out, tail, n);
    return rc == 0 ? muse_buf_append(out, ")", 1) : rc;
}

/* It is complete with these words behind it. */
static int settle(MuseAgent *a, const char *head, size_t n_head, const MuseCut *to, MuseError *err)
{
    Record *r = a->record;
    MuseWaiting w = r->waits;
    const char *before = r->before.len ? (const char *)r->before.data : "";
    size_t n_before = r->before.len;
    uint32_t number = 0;
    bool joined = false;
    r->waits.kind = NO_STEP;
    if (w.kind == NO_STEP) return 0;
    muse_record_trim(&before, &n_before);
    muse_record_trim(&head, &n_head);
    MuseTraceStep s = muse_record_step_of(a, w.kind);
    if (w.parent) s.parent = w.parent;
    const bool is_place = w.kind == MUSE_STEP_POINT || w.kind == MUSE_STEP_BOX;
    const bool named_before = muse_record_has_name(before, n_before), named_behind = is_place && !w.parent && !named_before && muse_record_names(head, n_head);
    if (is_place && (named_before || (n_head && !muse_record_only_numbers(head, n_head, false)))) s.kind = MUSE_STEP_CLAIM;
    if (w.view) muse_record_see(a, w.view);
    if (is_place && named_before) w.marks[0].object = muse_record_object(r->trace, before, n_before);
    else if (w.turned && !n_before && !n_head) w.marks[0].object = r->thread = r->thread ? r->thread : muse_record_new_object(r->trace);
    s.marks = w.marks;
    s.n_marks = w.n_marks;
    if (r->heat.image) {
        s.heats = &r->heat;
        s.n_heats = 1;
    }
    MuseBuf b = { .alloc = &a->shared->rt->alloc };
    int rc = words_of(a, before, n_before, head, n_head, named_behind, &b);
    rc = rc < 0 ? MUSE_NOMEM(err, n_before + n_head) : is_place ? muse_record_join_track(a, &s, (const char *)b.data, b.len, &w.from, to, &joined, err) : 0;
    if (rc == 0 && is_place && !joined && !w.marks[0].object && muse_record_names(head, n_head)) w.marks[0].object = muse_record_thing(a, (const char *)b.data, b.len, &w.marks[0]);
    if (rc == 0 && !joined) rc = muse_record_add(a, &s, (const char *)b.data, b.len, &w.from, to, &number, err);
    muse_buf_clear(&b);
    r->before.len = 0;
    r->heat.image = 0;
    if (w.kind == MUSE_STEP_COMPARE || w.kind == MUSE_STEP_VERIFY) r->group = number;
    return rc;
}

static bool wants_words(const Record *r)
{
    return r->waits.kind != NO_STEP && !muse_record_has_name((const char *)r->before.data, r->before.len);
}

/* Everything up to `to` goes into steps. place: the words that name what comes next stay in r->before, for the step that waits then. */
static int flush(MuseAgent *a, bool place, const MuseCut *to, MuseError *err)
{
    Record *r = a->record;
    int rc = muse_record_end_stream(a, to, err);
    if (rc < 0) return rc;
    const char *words = r->words.len ? (const char *)r->words.data : "";
    const bool group = r->waits.kind == MUSE_STEP_COMPARE || r->waits.kind == MUSE_STEP_VERIFY;
    const bool waits = wants_words(r) && !(group && place);   /* words behind <verify> are its own unless they name a place */
    if (r->words.len) r->n_views = 0;
    const size_t len = r->words.len, head = !waits ? 0 : r->ends ? r->end_at[0] : len;   /* of the step that waits */
    const size_t rest = !place ? len : r->ends ? r->end_at[1] : waits ? len : 0;         /* of the place that comes */
    const MuseCut head_cut = !waits ? r->from : r->ends ? r->end_cut[0] : place ? r->spoken : *to;
    const MuseCut rest_cut = !place ? *to : r->ends ? r->end_cut[1] : waits ? r->spoken : r->from;
    rc = settle(a, words, head, &head_cut, err);
    if (rc == 0 && rest > head) rc = muse_record_words(a, words + head, rest - head, &head_cut, &rest_cut, err);
    r->before.len = 0;
    if (rc == 0 && place && muse_record_spell(a, words + rest, len - rest, NULL, 0, &r->before) < 0) rc = MUSE_NOMEM(err, len - rest);
    r->words.len = 0;
    r->ends = r->behind = false;
    r->from = rest_cut;
    if (r->spoken.position < rest_cut.position) r->spoken = rest_cut;
    return rc;
}

/* the step that comes waits for words */
static void await_words(Record *r, int kind, const MuseCut *from)
{
    r->waits = (MuseWaiting){ .kind = kind, .from = *from };
    r->from = r->spoken = r->at;
}

/* ---- places ---- */

/* The texts of the places themselves are no words: all but the newest stand at the end of words, the newest comes next. */
static void drop_places(MuseAgent *a, uint32_t n)
{
    Record *r = a->record;
    char text[4 * SKIP_BYTES], *at = text;
    size_t size = 0, last = 0;
    for (uint32_t i = 0; i < n; i++) {
        last = size;
        size += (size_t)snprintf(at + size, SKIP_BYTES, "<%c%u>", "xy"[i % 2], a->chain.v[i]);
    }
    if (r->words.len >= size && memcmp(r->words.data + r->words.len - size, text, size) == 0) r->words.len -= size;   /* all of it is read: a look */
    else if (r->words.len >= last && memcmp(r->words.data + r->words.len - last, text, last) == 0) {
        r->words.len -= last;
        memcpy(r->skip, text + last, size - last + 1);
    }
}

/* The picture of the sequence that the place is in: the chain's, or, behind <compare>, the given one after it */
static uint32_t picture_of(const MuseAgent *a, const MuseReasonStep *s)
{
    const uint32_t number = a->chain.image;
    return number >= 1 && number < a->n_pictures && a->pictures[number - 1].origin != s->image ? number + 1 : number;
}

static int on_place(MuseAgent *a, const MuseReasonStep *s, MuseError *err)
{
    Record *r = a->record;
    const bool point = s->kind == MUSE_REASON_POINT;
    const double x = (s->rect.x0 + s->rect.x1) / 2, y = (s->rect.y0 + s->rect.y1) / 2;
    const MuseRect rect = point ? (MuseRect){ x, y, x, y } : s->rect;
    const MuseTraceMark mark = muse_record_mark(r, s->image, rect);
    drop_places(a, point ? 2 : 4);
    if (!muse_chat_parser_in_thought(a->parser))   /* it belongs to the answer, which is one step */
        return muse_buf_append(&r->answer_marks, &mark, sizeof mark) < 0 ? MUSE_NOMEM(err, sizeof mark) : 0;
    const bool turned = r->turn != 0;
    int rc = flush(a, true, &r->at, err);
    if (rc < 0) return rc;
    r->turn = 0;
    const MuseCut from = r->from;
    await_words(r, point ? MUSE_STEP_POINT : MUSE_STEP_BOX, &from);
    r->waits.marks[0] = mark;
    r->waits.n_marks = 1;
    r->waits.turned = turned;
    r->n_views = 0;
    r->behind = true;
    muse_record_see(a, picture_of(a, s));
    muse_record_see_anew(a);
    return wants_words(r) ? 0 : settle(a, NULL, 0, &r->at, err);
}

static int on_look(MuseAgent *a, const MuseReasonStep *s, const char *reason, MuseError *err)
{
    Record *r = a->record;
    char why[160];
    uint32_t number;
    drop_places(a, 4);
    r->at.position = a->s->seq->length;
    r->at.time = muse_record_seconds(a);
    int rc = flush(a, true, &r->at, err);
    if (rc < 0) return rc;
    const char *name = r->before.len ? (const char *)r->before.data : "";
    size_t n = r->before.len;
    muse_record_trim(&name, &n);
    MuseTraceMark named = muse_record_mark(r, s->image, s->rect), shown = muse_record_mark(r, s->image, s->refused ? s->rect : s->view);
    if (n) named.object = shown.object = muse_record_object(r->trace, name, n);
    MuseTraceStep t = muse_record_step_of(a, MUSE_STEP_LOOK);
    t.marks = &shown;
    t.n_marks = 1;
    if (muse_record_see(a, a->chain.image)) {
        t.heats = &r->heat;
        t.n_heats = 1;
    }
    if (s->refused) {
        const int k = snprintf(why, sizeof why, "%s(not shown: %s)", n ? " " : "", reason);
        if (muse_buf_append(&r->before, why, (size_t)k < sizeof why ? (size_t)k : sizeof why - 1) < 0) return MUSE_NOMEM(err, sizeof why);
        name = (const char *)r->before.data;
        n = r->before.len;
        muse_record_trim(&name, &n);
    }
    const MuseCut from = r->from;
    rc = muse_record_add(a, &t, name, n, &from, &r->at, &number, err);
    r->before.len = 0;
    r->heat.image = 0;
    r->turn = 0;
    r->from = r->at;
    if (rc < 0 || s->refused) return rc;
    r->views[0] = r->views[1];
    r->views[1] = shown;
    r->n_views += r->n_views < 2;
    await_words(r, MUSE_STEP_BOX, &r->at);   /* what is read there */
    r->waits.marks[0] = named;
    r->waits.n_marks = 1;
    r->waits.parent = number;
    r->waits.view = s->shown;
    if (a->shared->p.heat) rc = muse_record_watch(a, err);
    return rc;
}

/* a comparison or check begins: what was looked at right before it belongs to it */
static int on_group(MuseAgent *a, int kind, MuseError *err)
{
    Record *r = a->record;
    const uint32_t n = kind == MUSE_STEP_COMPARE ? 2 : 1;
    const int rc = flush(a, false, &r->last, err);
    if (rc < 0) return rc;
    await_words(r, kind, &r->last);
    r->group = 0;
    if (r->n_views >= n) {
        memcpy(r->waits.marks, r->views + 2 - n, n * sizeof *r->views);
        r->waits.n_marks = n;
    }
    r->n_views = 0;
    return 0;
}

/* ---- what run.c and the others tell ---- */

void muse_record_token(MuseAgent *a, const MuseSampled *id, bool forced)
{
    Record *r = a->record;
    if (!r) return;
    r->last = r->at;
    r->at.position = a->s->seq->length + 1;
    r->at.time = muse_record_seconds(a);
    r->skip[0] = 0;
    if (forced) return;
    r->at.n++;
    r->at.logprob += (double)id->logprob;
}

/* a clause ends behind so many bytes of the words */
static void add_end(Record *r, size_t bytes, const MuseCut *cut)
{
    for (int j = r->ends ? 1 : 0; j < 2; j++) {
        r->end_at[j] = bytes;
        r->end_cut[j] = *cut;
    }
    r->ends = true;
}

/* The clause holds numbers of the model's own so far, distances of the place before it, or is that place's value: 8 bar A */
static bool only_numbers(const Record *r)
{
    const size_t at = r->ends ? r->end_at[1] : 0;
    return r->words.len > at && muse_record_only_numbers((const char *)r->words.data + at, r->words.len - at, r->behind && !r->ends);
}

int muse_record_text(MuseAgent *a, const char *text, size_t n, bool thought, MuseError *err)
{
    Record *r = a->record;
    if (!r) return 0;
    if (thought && !a->shared->chains) return muse_record_stream(a, text, n, err);
    const size_t skip = strlen(r->skip);
    if (skip && n >= skip && memcmp(text, r->skip, skip) == 0) text += skip, n -= skip;
    r->skip[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t before = i ? (uint8_t)text[i - 1] : r->words.len ? r->words.data[r->words.len - 1] : 0;
        if (text[i] == ';' || text[i] == '?' || text[i] == '!') add_end(r, r->words.len + i + 1, &r->at);
        else if (text[i] == ' ' && before == '.') add_end(r, r->words.len + i, i ? &r->at : &r->last);   /* "3.5" goes on */
        else if (text[i] == ' ' && i == 0 && only_numbers(r)) add_end(r, r->words.len, &r->last);
    }
    if (n && a->chain.state != MUSE_CHAIN_PLACE) r->spoken = r->at;
    r->last = r->at;   /* it is read: what is told of before the next token stands behind it */
    return n && muse_buf_append(&r->words, text, n) < 0 ? MUSE_NOMEM(err, n) : 0;
}

int muse_record_break(MuseAgent *a, MuseError *err)
{
    if (!a->record) return 0;
    const int rc = flush(a, false, &a->record->last, err);
    muse_record_see_anew(a);
    return rc;
}

int muse_record_step(MuseAgent *a, const MuseReasonStep *s, const char *reason, MuseError *err)
{
    Record *r = a->record;
    int rc = 0;
    if (!r || (s->kind == MUSE_REASON_LOOK && !a->shared->chains)) return 0;
    const bool thinks = muse_chat_parser_in_thought(a->parser);
    switch (s->kind) {
    case MUSE_REASON_POINT: case MUSE_REASON_BOX: return on_place(a, s, err);
    case MUSE_REASON_LOOK: return on_look(a, s, reason, err);
    case MUSE_REASON_COMPARE: return thinks ? on_group(a, MUSE_STEP_COMPARE, err) : 0;   /* in an answer it is a word of it, as a turn is */
    case MUSE_REASON_VERIFY: return thinks ? on_group(a, MUSE_STEP_VERIFY, err) : 0;
    case MUSE_REASON_IMAGE:
        rc = thinks ? flush(a, false, &r->last, err) : 0;
        r->turn = thinks ? s->image : 0;
        return rc;
    case MUSE_REASON_CLOSED:
        rc = flush(a, false, &r->at, err);
        return rc == 0 ? muse_record_note(a, MUSE_STEP_END, "the thought was ended", s->n_text ? s->text : "", err) : rc;
    case MUSE_REASON_BAD:
        rc = thinks ? flush(a, false, &r->last, err) : 0;   /* words of an answer are the answer's */
        return rc == 0 ? muse_record_note(a, MUSE_STEP_THOUGHT, "not understood", s->n_text ? s->text : "", err) : rc;
    default: return 0;
    }
}

int muse_record_thought_end(MuseAgent *a, MuseError *err)
{
    Record *r = a->record;
    if (!r) return 0;
    int rc = flush(a, false, &r->last, err);
    if (rc == 0) rc = muse_record_end_tracks(a, err);
    r->from = r->at;
    r->group = r->turn = r->n_views = 0;
    muse_record_see_anew(a);
    return rc;
}

/* ---- calls ---- */

int muse_record_picture(MuseAgent *a, MuseImage *image, const char *name, uint32_t *number, MuseError *err)
{
    return a->record ? muse_trace_add_image(a->record->trace, image, name, number, err) : 0;
}

/* all of its pictures, which are the newest ones of the sequence and of the trace: call.c has just put them there */
static int mark_pictures(const MuseAgent *a, const MuseToolReply *reply, MuseBuf *marks)
{
    MuseToolPart part;
    MuseTraceImage t;
    size_t at = a->n_pictures;
    int rc = 0;
    for (size_t i = 0; muse_tool_reply_part(reply, i, &part) == 0; i++) at -= part.image != NULL;
    for (; at < a->n_pictures && rc == 0; at++) {
        const uint32_t number = a->pictures[at].traced;
        if (muse_trace_image(a->record->trace, number, &t) < 0) continue;
        const MuseTraceMark m = { .image = number, .rect = t.rect };
        rc = muse_buf_append(marks, &m, sizeof m);
    }
    return rc;
}

static int add_result(MuseAgent *a, const MuseToolReply *reply, const char *reason, uint32_t parent, MuseError *err)
{
    Record *r = a->record;
    MuseBuf text = { .alloc = &a->shared->rt->alloc }, marks = text;
    MuseTraceStep s = muse_record_step_of(a, MUSE_STEP_TOOL_RESULT);
    MuseToolPart part;
    int rc = *reason ? muse_buf_append(&text, reason, strlen(reason)) : 0;
    const MuseCut end = { r->at.position, r->at.n, r->at.logprob, muse_record_seconds(a) };
    for (size_t i = 0; rc == 0 && !*reason && muse_tool_reply_part(reply, i, &part) == 0; i++)
        if (!part.image) rc = muse_buf_append(&text, part.text, part.n);
    if (rc == 0 && !*reason) rc = mark_pictures(a, reply, &marks);
    s.parent = parent;
    s.marks = (const MuseTraceMark *)(const void *)marks.data;
    s.n_marks = (uint32_t)(marks.len / sizeof *s.marks);
    if (rc < 0) rc = MUSE_NOMEM(err, text.len);
    else rc = muse_record_add(a, &s, (const char *)text.data, text.len, &r->at, &end, NULL, err);
    muse_buf_clear(&text);
    muse_buf_clear(&marks);
    return rc;
}

int muse_record_call(MuseAgent *a, const MuseReasonStep *s, const char *call, const MuseToolReply *reply, const char *reason, MuseError *err)
{
    Record *r = a->record;
    uint32_t number = 0;
    if (!r) return 0;
    int rc = flush(a, false, &r->at, err);
    if (rc < 0) return rc;
    const bool look = s->kind == MUSE_REASON_LOOK && !*reason;
    const uint32_t image = look ? a->pictures[s->shown - 1].traced : 0;   /* 0: a picture of a tool's from an earlier turn */
    MuseTraceMark view = muse_record_mark(r, image, s->view);
    MuseTraceStep t = muse_record_step_of(a, look ? MUSE_STEP_LOOK : MUSE_STEP_TOOL_CALL);
    t.marks = &view;
    t.n_marks = image != 0;
    rc = muse_record_add(a, &t, call, strlen(call), &r->from, &r->at, &number, err);
    r->from = r->at;
    if (rc == 0 && !look) rc = add_result(a, reply, reason, number, err);
    return rc;
}

/* ---- ends ---- */

/* maps of all pictures that were given */
static int add_heats(MuseAgent *a, uint32_t step, MuseError *err)
{
    int rc = 0;
    for (uint32_t i = 1; i <= a->n_pictures && rc == 0; i++)
        if (a->pictures[i - 1].given && muse_record_see(a, i)) rc = muse_trace_heat(a->record->trace, step, &a->record->heat, err);
    a->record->heat.image = 0;
    return rc;
}

/* an answer that is none: of one of several that was stopped, or taken back. confidence: negative = of its tokens, as everywhere */
static int note_answer(MuseAgent *a, const char *head, const MuseAgentInfo *info, double confidence, const MuseCut *from, MuseError *err)
{
    Record *r = a->record;
    MuseBuf text = { .alloc = &a->shared->rt->alloc };
    MuseTraceStep s = muse_record_step_of(a, MUSE_STEP_END);
    s.confidence = confidence;
    const bool made = muse_buf_append(&text, head, strlen(head)) == 0 &&
                      muse_record_spell(a, info->answer, info->n_answer, (const MuseTraceMark *)(const void *)r->answer_marks.data, (uint32_t)(r->answer_marks.len / sizeof(MuseTraceMark)), &text) == 0;
    const int rc = made ? muse_record_add(a, &s, (const char *)text.data, text.len, from, &r->at, NULL, err) : MUSE_NOMEM(err, info->n_answer);
    muse_buf_clear(&text);
    return rc;
}

int muse_record_doubt(MuseAgent *a, const MuseAgentInfo *info, MuseError *err)
{
    Record *r = a->record;
    char head[64];
    if (!r) return 0;
    snprintf(head, sizeof head, "in doubt (%.0f %%), taken back: ", 100 * a->direct_probability);
    r->words.len = 0, r->ends = false;   /* the note has them */
    const MuseCut from = r->from;
    int rc = flush(a, false, &r->at, err);
    if (rc == 0) rc = muse_record_end_tracks(a, err);
    return rc == 0 ? note_answer(a, head, info, fmin(a->direct_probability, 1), &from, err) : rc;
}

int muse_record_end(MuseAgent *a, bool cut, MuseError *err)
{
    static const char *const why[] = { [MUSE_AGENT_LENGTH] = "its tokens are spent", [MUSE_AGENT_FULL] = "the sequence is full", [MUSE_AGENT_CALLS] = "more calls than are allowed",
                                       [MUSE_AGENT_STOPPED] = "stopped" };
    Record *r = a->record;
    MuseAgentInfo info;
    if (!r || r->ended) return 0;
    muse_agent_info(a, &info);
    r->ended = info.finish != MUSE_AGENT_RUNNING;   /* one that was cancelled may go on */
    cut = cut && !r->ended;
    if (cut) info.finish = MUSE_AGENT_STOPPED;
    const bool in_answer = info.n_answer && !muse_chat_parser_in_thought(a->parser);
    const bool stopped = info.finish == MUSE_AGENT_STOPPED && in_answer, voteless = stopped && (a->trace_first || cut);   /* one of several: what it began to say is no answer */
    const bool answered = info.n_answer && (info.finish == MUSE_AGENT_ANSWERED || info.finish == MUSE_AGENT_LENGTH || info.finish == MUSE_AGENT_FULL || stopped) && !voteless;
    if (info.finish == MUSE_AGENT_RUNNING && in_answer) return 0;   /* its words wait for the rest of the answer */
    if ((answered || voteless) && in_answer) r->words.len = 0, r->ends = false;   /* the answer has them, or the note; those of a thought behind it nobody */
    const MuseCut from = in_answer ? r->from : r->at;
    int rc = flush(a, false, &r->at, err);
    if (rc == 0) rc = muse_record_end_tracks(a, err);
    if (rc == 0 && voteless) rc = note_answer(a, "stopped, having begun to answer: ", &info, -1, &from, err);
    else if (rc == 0 && why[info.finish]) rc = muse_record_note(a, MUSE_STEP_END, answered ? "the answer was cut off" : "ended", why[info.finish], err);
    if (rc == 0 && answered) rc = muse_record_boxes(a, info.answer, info.n_answer, err);
    if (rc < 0 || !answered) return rc;
    MuseTraceStep s;
    muse_trace_step_init(&s);
    s.kind = MUSE_STEP_ANSWER;
    s.marks = (const MuseTraceMark *)(const void *)r->answer_marks.data;
    s.n_marks = (uint32_t)(r->answer_marks.len / sizeof(MuseTraceMark));
    rc = muse_record_add(a, &s, info.answer, info.n_answer, &from, &r->at, &r->answer_step, err);
    return rc == 0 ? add_heats(a, r->answer_step, err) : rc;
}

int muse_record_result(MuseTrace *trace, const MuseReasonResult *result, const MuseAgent *winner, bool several, MuseError *err)
{
    MuseTraceSummary sum;
    MuseAgentInfo info;
    MuseTraceStep s, own;
    int rc = 0;
    muse_trace_summary_init(&sum);
    sum.prompt_tokens = result->prompt_tokens;
    sum.thought_tokens = result->thought_tokens;
    sum.answer_tokens = result->answer_tokens;
    sum.seconds = result->seconds;
    sum.answer = result->answer;
    sum.n_answer = result->n_answer;
    if (result->answer) sum.confidence = fmin(result->confidence, 1);
    for (size_t i = 0; i < result->n_agents; i++)
        if (muse_agent_info(result->agents[i], &info) == 0) sum.look_tokens += info.view_positions;
    if (several && winner && result->answer && winner->record && muse_trace_step(trace, winner->record->answer_step, &own) == 0) {
        muse_trace_step_init(&s);
        s.kind = MUSE_STEP_ANSWER;
        s.parent = winner->record->answer_step;
        s.text = own.text;
        s.n_text = own.n_text;
        s.marks = own.marks;
        s.n_marks = own.n_marks;
        s.confidence = sum.confidence;
        s.start = own.end;
        s.end = fmax(own.end, result->seconds);
        rc = muse_trace_add(trace, &s, NULL, err);
    }
    return rc == 0 ? muse_trace_set_summary(trace, &sum, err) : rc;
}

/* ---- life ---- */

/* The given pictures are the first ones of the trace, in order. */
static int match_pictures(MuseAgent *a, MuseError *err)
{
    Record *r = a->record;
    uint32_t n = 0;
    for (size_t i = 0; i < a->n_pictures; i++) {
        MusePicture *p = &a->pictures[i];
        MuseTraceImage has;
        MuseImageInfo info;
        int rc = 0;
        if (!p->given) continue;   /* a cut, or a tool's: numbered when it came */
        p->traced = ++n;
        muse_image_info(p->image, &info);
        if (n > muse_trace_image_count(r->trace)) rc = muse_trace_add_image(r->trace, p->image, NULL, NULL, err);
        else if (!a->shared->view && muse_trace_image(r->trace, n, &has) == 0 && memcmp(&has.rect, &info.source, sizeof has.rect) != 0)
            return muse_fail(err, MUSE_ERR_ARG, "picture %u of the trace is not the one given: %g x %g pixels, not %u x %u", n, has.rect.x1 - has.rect.x0, has.rect.y1 - has.rect.y0,
                             info.width, info.height);
        if (rc < 0) return rc;
    }
    return 0;
}

int muse_record_open(MuseAgent *a, MuseError *err)
{
    const MuseAllocator *alloc = &a->shared->rt->alloc;
    if (!a->trace) return 0;
    Record *r = muse_zalloc(alloc, sizeof *r);
    if (!r) return MUSE_NOMEM(err, sizeof *r);
    a->record = r;
    r->trace = a->trace;
    r->words.alloc = r->before.alloc = r->answer_marks.alloc = alloc;
    r->waits.kind = NO_STEP;
    r->at.position = a->s->seq->length;
    r->at.time = muse_record_seconds(a);
    r->last = r->from = r->at;
    int rc = match_pictures(a, err);
    if (rc == 0 && a->shared->p.heat) rc = muse_record_watch(a, err);
    return rc;
}

void muse_record_close(MuseAgent *a)
{
    Record *r = a->record;
    if (!r) return;
    if (r->watches) muse_session_watch(a->s, NULL, NULL);
    muse_buf_clear(&r->words);
    muse_buf_clear(&r->before);
    muse_buf_clear(&r->answer_marks);
    muse_free(r->values);
    muse_free(r);
    a->record = NULL;
}
