/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in a model's own tool format: looks as a tool, the caller's tools, and results back into the same turn. */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "libmuse/reason/record.h"

/* Corners as Gemma writes boxes: thousandths, y before x. */
const char muse_look_name[] = "look";
static const char look_about[] = "Look at a part of a picture again, at full detail. The result is that part as a picture of its own.";
static const char look_schema[] =
    "{\"type\":\"object\",\"properties\":{\"image\":{\"type\":\"integer\",\"description\":\"number of the picture, from 1\"},"
    "\"box\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"description\":\"ymin, xmin, ymax, xmax in thousandths of the picture\"}},"
    "\"required\":[\"box\"]}";

int muse_agent_offer_look(MuseChat *chat, MuseError *err)
{
    return muse_chat_add_tool(chat, muse_look_name, look_about, look_schema, sizeof look_schema - 1, err);
}

/* ---- a call that the caller wants ---- */

/* the ids of a segment: control tokens by id, text by the tokenizer */
static int force_segment(MuseAgent *a, const MuseChatSegment *s, MuseError *err)
{
    const MuseTextTokenizer *tok = muse_session_tokenizer(a->s);
    int32_t *ids, id;
    size_t n;
    if (s->kind == MUSE_SEGMENT_CONTROL && (id = muse_text_find(tok, s->text, s->n)) >= 0) return muse_agent_force(a, &id, 1, err);
    int rc = muse_text_encode(tok, s->text, s->n, 0, &ids, &n, err);
    if (rc < 0) return rc;
    rc = muse_agent_force(a, ids, n, err);
    muse_free(ids);
    return rc;
}

/* the thousandths that rect touches, so that there is always an area */
static int add_look(const MuseAgent *a, MuseChat *chat, const MuseFocus *f, MuseError *err)
{
    MuseImageInfo info;
    char arguments[128];
    muse_image_info(a->pictures[f->image - 1].image, &info);
    const double sx = 1000.0 / info.width, sy = 1000.0 / info.height;
    const double x1 = fmin(ceil(f->rect.x1 * sx), 1000), y1 = fmin(ceil(f->rect.y1 * sy), 1000);
    const int size = snprintf(arguments, sizeof arguments, "{\"image\":%u,\"box\":[%.0f,%.0f,%.0f,%.0f]}", f->image, floor(f->rect.y0 * sy), floor(f->rect.x0 * sx), y1, x1);
    return muse_chat_add_call(chat, NULL, muse_look_name, arguments, (size_t)size, err);
}

int muse_agent_call_ids(MuseAgent *a, const MuseFocus *looks, size_t n_looks, MuseError *err)
{
    MuseChatParams p;
    MuseChat *chat = NULL;
    MuseChatSegment *segments = NULL;
    size_t n = 0;
    muse_chat_params_init(&p);
    p.format = a->shared->format;
    p.no_generation = 1;
    int rc = muse_chat_open(&chat, a->shared->rt, &p, err);   /* a small chat, only to have the calls written in the format's words */
    if (rc == 0) rc = muse_agent_offer_look(chat, err);
    if (rc == 0) rc = muse_chat_add(chat, MUSE_ROLE_USER, err);
    if (rc == 0) rc = muse_chat_add_text(chat, "look", 4, err);
    if (rc == 0) rc = muse_chat_add(chat, MUSE_ROLE_ASSISTANT, err);
    for (size_t i = 0; i < n_looks && rc == 0; i++) rc = add_look(a, chat, &looks[i], err);
    if (rc == 0) rc = muse_chat_render(chat, &segments, &n, err);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (segments[i].generated && segments[i].message == 1) rc = force_segment(a, &segments[i], err);
    muse_free(segments);
    muse_chat_close(&chat);
    return rc;
}

/* ---- carrying out ---- */

/* What goes back for one call */
typedef struct Result {
    MuseToolReply *reply;    /* of a tool */
    MuseImage     *image;    /* of a look */
    uint32_t       origin, traced;
    MuseReasonStep       step;
    char           error[256];   /* "" = none */
    bool           waits;    /* for muse_tools_run() */
} Result;

static bool is_number(const MuseJsonValue *v, double *out) { return v && muse_json_read_f64(v, 0, out); }

/* false: error says why */
static bool read_look(MuseAgent *a, const MuseAskedCall *c, uint32_t *image, double place[4], char error[256])
{
    MuseJson doc = { 0 };
    int64_t number = 1;
    bool ok = muse_json_parse(&doc, &a->shared->rt->alloc, c->arguments, c->n_arguments, NULL) == 0;
    const MuseJsonValue *box = ok ? muse_json_get(doc.root, "box") : NULL;
    ok = muse_json_is(box, MUSE_JSON_ARRAY) && box->len == 4;
    const MuseJsonValue *v = ok ? box->u.first : NULL;
    for (int i = 0; i < 4 && ok; i++, v = v->next) ok = is_number(v, &place[i]);
    if (!ok) snprintf(error, 256, "box must be four numbers: ymin, xmin, ymax, xmax, from 0 to 1000");
    else if (!muse_json_read_i64(muse_json_get(doc.root, "image"), 1, &number) || number < 1 || (uint64_t)number > a->n_pictures) {
        snprintf(error, 256, "there are pictures 1 to %zu", a->n_pictures);
        ok = false;
    }
    *image = (uint32_t)number;
    muse_json_close(&doc);
    return ok;
}

static int look(MuseAgent *a, const MuseAskedCall *c, Result *r, MuseError *err)
{
    uint32_t number;
    double place[4];
    uint64_t n;
    const char *why;
    MuseImageInfo info;
    r->step.kind = MUSE_REASON_LOOK;
    if (!read_look(a, c, &number, place, r->error)) return 0;
    const MusePicture from = a->pictures[number - 1];
    MuseRect rect;
    muse_image_info(from.image, &info);
    const MuseCoords coords = muse_coords_thousand((MuseRect){ 0, 0, info.width, info.height }, 1);
    if (muse_coords_to_rect(&coords, place, 4, &rect, NULL) < 0) {   /* a box that leaves the picture is not cut in silence */
        snprintf(r->error, sizeof r->error, "this box has no area or leaves the picture: corners are ymin, xmin, ymax, xmax, from 0 to 1000");
        return 0;
    }
    r->step.image = r->origin = from.origin;
    r->traced = from.traced;
    r->step.rect = muse_agent_to_original(from.image, rect);
    r->step.forced = a->n_exact > 0;
    if (a->n_exact) {   /* the caller's own, which thousandths only come near to */
        r->step.rect = a->exact[0].rect;
        rect = (MuseRect){ r->step.rect.x0 - info.source.x0, r->step.rect.y0 - info.source.y0, r->step.rect.x1 - info.source.x0, r->step.rect.y1 - info.source.y0 };
        memmove(a->exact, a->exact + 1, --a->n_exact * sizeof *a->exact);
    }
    const int rc = muse_agent_cut(a, &from, rect, &r->image, &r->step.view, &n, &why, err);
    if (rc < 0) return rc;
    if (why) {
        snprintf(r->error, sizeof r->error, "%s", why);
        return 0;
    }
    r->step.view = muse_agent_to_original(from.image, r->step.view);
    a->cited = (MuseFocus){ from.origin, r->step.rect };
    a->looks++;
    a->view_positions += n;
    return 0;
}

/* looks at once; tools are left for muse_tools_run() */
static int prepare(MuseAgent *a, Result *results, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; i < a->n_calls && rc == 0; i++) {
        const MuseAskedCall *c = &a->calls[i];
        Result *r = &results[i];
        r->step = (MuseReasonStep){ .kind = MUSE_REASON_CALL, .group = MUSE_REASON_NONE, .token = muse_agent_count(a), .position = a->s->seq->length };
        if (c->error) continue;
        if (a->shared->offers_look && strcmp(c->name, muse_look_name) == 0) rc = look(a, c, r, err);
        else if (a->calls_made >= a->shared->p.calls) snprintf(r->error, sizeof r->error, "no more calls are allowed: answer now");
        else if (!a->shared->p.tools) snprintf(r->error, sizeof r->error, "there is no tool of this name");
        else {
            r->waits = true;
            a->calls_made++;
        }
    }
    return rc;
}

/* ---- results into the conversation ---- */

static int add_error(MuseChat *chat, const char *text, size_t n, const MuseAllocator *alloc, MuseError *err)
{
    MuseBuf b = { .alloc = alloc };
    int rc = muse_buf_append(&b, "{\"error\":", 9);
    if (rc == 0) rc = muse_json_write_string(&b, text, n);
    if (rc == 0) rc = muse_buf_append(&b, "}", 1);
    rc = rc == 0 ? muse_chat_add_json(chat, (const char *)b.data, b.len, err) : MUSE_NOMEM(err, n);
    muse_buf_clear(&b);
    return rc;
}

static int add_image(MuseAgent *a, MusePicture picture, uint32_t budget, MuseError *err)
{
    MuseImageOptions options;
    muse_image_options_init(&options);
    options.budget = budget;
    const int rc = muse_chat_add_image(a->chat, picture.image, &options, err);
    return rc < 0 ? rc : muse_agent_add_picture(a, picture, err);
}

static int add_reply(MuseAgent *a, const char *name, const MuseToolReply *reply, MuseError *err)
{
    const MuseAllocator *alloc = &a->shared->rt->alloc;
    const size_t n = muse_tool_reply_count(reply);
    MuseToolPart p;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        muse_tool_reply_part(reply, i, &p);
        if (p.image) {
            MusePicture picture = { .image = p.image };
            rc = muse_record_picture(a, p.image, name, &picture.traced, err);
            if (rc == 0) rc = add_image(a, picture, MUSE_BUDGET_DEFAULT, err);
        }
        else if (muse_tool_reply_status(reply) < 0) rc = add_error(a->chat, p.text, p.n, alloc, err);
        else rc = muse_chat_add_text(a->chat, p.text, p.n, err);
    }
    const char *failed = muse_status_text(muse_tool_reply_status(reply));
    return rc == 0 && n == 0 && muse_tool_reply_status(reply) < 0 ? add_error(a->chat, failed, strlen(failed), alloc, err) : rc;
}

static int add_result(MuseAgent *a, const MuseAskedCall *c, Result *r, MuseError *err)
{
    const MuseAllocator *alloc = &a->shared->rt->alloc;
    const char *reason = r->error;
    char said[64];
    int rc = muse_chat_add_result(a->chat, NULL, c->name, err);
    if (rc < 0) return rc;
    if (r->image) {
        const int size = snprintf(said, sizeof said, "{\"image\":%zu}", a->n_pictures + 1);
        rc = muse_chat_add_json(a->chat, said, (size_t)size, err);
        if (rc == 0) rc = add_image(a, (MusePicture){ .image = r->image, .origin = r->origin, .traced = r->traced }, a->shared->p.look_budget, err);
        r->step.shown = (uint32_t)a->n_pictures;
    } else if (r->reply) {
        MuseToolPart p;
        if (muse_tool_reply_status(r->reply) < 0) reason = muse_tool_reply_part(r->reply, 0, &p) == 0 ? p.text : muse_status_text(muse_tool_reply_status(r->reply));
        rc = add_reply(a, c->name, r->reply, err);
    } else rc = add_error(a->chat, r->error, strlen(r->error), alloc, err);
    if (rc < 0) return rc;
    r->step.refused = *reason != 0;
    a->refused += *reason != 0;
    const size_t size = strlen(c->name) + c->n_arguments;
    char *text = muse_alloc(alloc, size + 1);
    if (!text) return MUSE_NOMEM(err, size);
    memcpy(text, c->name, strlen(c->name));
    memcpy(text + strlen(c->name), c->arguments, c->n_arguments + 1);
    rc = muse_agent_add_step(a, r->step, text, reason, err);
    if (rc == 0) rc = muse_record_call(a, &r->step, text, r->reply, reason, err);
    muse_free(text);
    return rc;
}

/* Calls that can't be read have no result: the format refuses one. What was wrong is said by the user. */
static int add_bad(MuseAgent *a, MuseError *err)
{
    int rc = muse_chat_add(a->chat, MUSE_ROLE_USER, err);
    for (size_t i = 0; i < a->n_calls && rc == 0; i++) {
        static const char head[] = "The call could not be read: ";
        rc = muse_chat_add_text(a->chat, head, sizeof head - 1, err);
        if (rc == 0) rc = muse_chat_add_text(a->chat, a->calls[i].error, strlen(a->calls[i].error), err);
    }
    return rc;
}

/* The turn goes on behind results[]; the whole conversation is written anew where the format wants that. */
static int go_on(MuseAgent *a, Result *results, MuseError *err)
{
    MuseError why;
    size_t good = 0;
    int rc = a->chat ? 0 : muse_chat_copy(&a->chat, a->shared->chat, err);
    if (rc == 0) rc = muse_chat_add_parsed(a->chat, a->parser, err);
    if (rc < 0) return rc;
    const size_t k = muse_chat_length(a->chat);
    for (size_t i = 0; i < a->n_calls && rc == 0; i++) {
        good += !a->calls[i].error;
        rc = a->calls[i].error ? muse_agent_bad(a, a->calls[i].error, err) : add_result(a, &a->calls[i], &results[i], err);
    }
    if (rc == 0 && !good) rc = add_bad(a, err);
    if (rc < 0) return rc;
    rc = muse_chat_append(a->chat, muse_session_sequence(a->s), k, &why);
    if (rc == MUSE_ERR_STATE) {
        rc = muse_session_rewind(a->s, 0, err);
        if (rc == 0) rc = muse_chat_append(a->chat, muse_session_sequence(a->s), 0, &why);
    }
    if (rc == MUSE_ERR_LIMIT) {   /* no room for the results: it ends here */
        muse_agent_finish(a, MUSE_AGENT_FULL);
        return 0;
    }
    if (rc < 0) return muse_fail_copy(err, &why);
    a->text_from = muse_agent_count(a);
    return muse_agent_start_turn(a, err);
}

/* ---- all agents at once ---- */

/* every call that waits, of all agents with these tools */
static int run_tools(MuseTools *tools, MuseAgent *const *agents, size_t n, Result *const *results, size_t n_waits, MuseError *err)
{
    const MuseAgentShared *sh = NULL;
    const MuseAllocator *alloc = &agents[0]->shared->rt->alloc;
    MuseToolCall *calls = muse_alloc_array(alloc, n_waits, sizeof *calls);
    MuseToolReply **replies = muse_alloc_array(alloc, n_waits, sizeof *replies);
    size_t m = 0;
    int rc = calls && replies ? 0 : MUSE_NOMEM(err, n_waits * sizeof *calls);
    for (int give = 0; give < 2 && rc == 0; give++) {   /* first collect, then hand out, in the same order */
        for (size_t i = 0, j = 0; i < n; i++)
            for (size_t k = 0; results[i] && agents[i]->shared->p.tools == tools && k < agents[i]->n_calls; k++) {
                if (!results[i][k].waits) continue;
                sh = agents[i]->shared;
                const MuseAskedCall *c = &agents[i]->calls[k];
                if (give) {
                    results[i][k].reply = replies[j++];
                    results[i][k].waits = false;
                } else calls[m++] = (MuseToolCall){ c->name, c->arguments, c->n_arguments };
            }
        if (!give) rc = m ? muse_tools_run(tools, calls, m, replies, sh->p.cancel, sh->p.cancel_user, err) : 0;
    }
    muse_free(calls);
    muse_free(replies);
    return rc;
}

static size_t count_waits(MuseAgent *const *agents, size_t n, Result *const *results)
{
    size_t waits = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; results[i] && k < agents[i]->n_calls; k++) waits += results[i][k].waits;
    return waits;
}

/* What preparing changed, to take it back when the tools are cancelled: the next run prepares again. */
typedef struct Before {
    uint32_t looks, calls_made;
    uint64_t view_positions;
    MuseFocus cited, exact[MUSE_EXACT_MAX];
    size_t   n_exact;
} Before;

static Before before_of(const MuseAgent *a)
{
    Before b = { a->looks, a->calls_made, a->view_positions, a->cited, { { 0 } }, a->n_exact };
    memcpy(b.exact, a->exact, sizeof b.exact);
    return b;
}

static void take_back(MuseAgent *a, const Before *b)
{
    a->looks = b->looks;
    a->calls_made = b->calls_made;
    a->view_positions = b->view_positions;
    a->cited = b->cited;
    memcpy(a->exact, b->exact, sizeof a->exact);
    a->n_exact = b->n_exact;
}

typedef struct Batch {
    Result **results;   /* [n], NULL: this agent does not wait */
    Before  *before;    /* [n] */
} Batch;

static void results_clear(Result *r, size_t n)
{
    for (size_t k = 0; r && k < n; k++) {
        muse_tool_reply_close(&r[k].reply);
        muse_image_close(&r[k].image);
    }
    muse_free(r);
}

static int prepare_all(MuseAgent *const *agents, size_t n, Batch *b, MuseError *err)
{
    const MuseAllocator *alloc = &agents[0]->shared->rt->alloc;
    b->results = muse_zalloc_array(alloc, n, sizeof *b->results);
    b->before = muse_alloc_array(alloc, n, sizeof *b->before);
    int rc = b->results && b->before ? 0 : MUSE_NOMEM(err, n * sizeof *b->before);
    for (size_t i = 0; i < n && rc == 0; i++) {
        MuseAgent *a = agents[i];
        if (!a->calls_due || a->finish) continue;
        if (a->asked >= (uint64_t)a->shared->p.calls + a->shared->p.looks) {   /* refused ones count: this ends all */
            muse_agent_finish(a, MUSE_AGENT_CALLS);
            continue;
        }
        b->before[i] = before_of(a);
        b->results[i] = muse_zalloc_array(alloc, a->n_calls, sizeof **b->results);
        rc = b->results[i] ? prepare(a, b->results[i], err) : MUSE_NOMEM(err, a->n_calls * sizeof **b->results);
    }
    const size_t waits = rc == 0 ? count_waits(agents, n, b->results) : 0;
    for (size_t i = 0; i < n && rc == 0 && waits; i++)
        if (agents[i]->shared->p.tools) rc = run_tools(agents[i]->shared->p.tools, agents, n, b->results, waits, err);
    return rc;
}

int muse_agents_answer_calls(MuseAgent *const *agents, size_t n, MuseError *err)
{
    Batch b = { 0 };
    const int prepared = prepare_all(agents, n, &b, err);
    int rc = prepared;
    for (size_t i = 0; i < n && b.results; i++) {
        MuseAgent *a = agents[i];
        if (!b.results[i]) continue;
        const size_t n_calls = a->n_calls;
        if (prepared < 0) take_back(a, &b.before[i]);
        else if (rc == 0) {
            a->asked++;
            rc = go_on(a, b.results[i], err);
            a->broken = rc < 0;
            a->calls_due = false;
            muse_agent_calls_clear(a);
        }
        results_clear(b.results[i], n_calls);
    }
    muse_free(b.results);
    muse_free(b.before);
    return rc;
}
