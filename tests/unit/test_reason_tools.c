/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason, tools: the set by itself (results, errors, time-outs, many at once), and calls in Gemma's format on a tiny
 * checkpoint with scripted outputs: looks as a tool, pictures back, errors the model reads. Nothing here measures time; a time-out is
 * provoked by a function that waits until it is abandoned. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/unit/meter.h"
#include "tests/unit/test_reason_data.h"

/* ---- tools ---- */

static int echo(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    atomic_fetch_add((atomic_int *)user, 1);
    return muse_tool_reply_text(reply, arguments, n, e);
}

static int draw(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    (void)arguments, (void)n;
    int rc = muse_tool_reply_text(reply, "here", 4, e);
    return rc == 0 ? muse_tool_reply_image(reply, user, e) : rc;
}

static int fails(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    (void)user, (void)arguments, (void)n;
    muse_tool_reply_text(reply, "half", 4, e);
    snprintf(e->text, sizeof e->text, "the \"disk\" is full");
    return MUSE_ERR_IO;
}

static void nap(void)
{
    const struct timespec t = { 0, 1000000 };
    nanosleep(&t, NULL);
}

static int hangs(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    (void)user, (void)arguments, (void)n;
    while (!muse_tool_reply_abandoned(reply)) nap();
    return muse_tool_reply_text(reply, "late", 4, e);
}

/* returns once as many as in *user are inside: only if they run at the same time */
typedef struct Meeting { pthread_mutex_t lock; pthread_cond_t all; int inside, want; } Meeting;

static int meets(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    Meeting *m = user;
    pthread_mutex_lock(&m->lock);
    if (++m->inside == m->want) pthread_cond_broadcast(&m->all);
    while (m->inside < m->want) pthread_cond_wait(&m->all, &m->lock);
    pthread_mutex_unlock(&m->lock);
    return muse_tool_reply_text(reply, arguments, n, e);
}

static void add(MuseTools *t, const char *name, MuseToolFn *fn, void *user, double timeout)
{
    MuseToolSpec s;
    muse_tool_spec_init(&s);
    s.name = name;
    s.fn = fn;
    s.user = user;
    s.timeout = timeout;
    s.description = "about it";
    s.parameters = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}";
    ok(muse_tools_add(t, &s, &err));
}

static const char *text_of(const MuseToolReply *r, size_t i)
{
    MuseToolPart p;
    ok(muse_tool_reply_part(r, i, &p));
    return p.text;
}

static int never(void *user) { (void)user; return 0; }
static int at_once(void *user) { (void)user; return 1; }

static void results(void **state)
{
    (void)state;
    atomic_int n = 0;
    MuseImage *picture = make_picture(8, 8);
    MuseTools *t;
    MuseToolReply *r[5];
    MuseToolPart part;
    ok(muse_tools_open(&t, NULL, &err));
    add(t, "echo", echo, &n, 0);
    add(t, "draw", draw, picture, 0);
    add(t, "fails", fails, NULL, 0);
    add(t, "hangs", hangs, NULL, 0.02);
    const MuseToolCall calls[5] = { { "echo", "{\"a\":1}", 7 }, { "draw", "{}", 2 }, { "fails", "{}", 2 }, { "hangs", "{}", 2 }, { "nobody", "{}", 2 } };
    ok(muse_tools_run(t, calls, 5, r, never, NULL, &err));
    assert_string_equal(text_of(r[0], 0), "{\"a\":1}");
    assert_int_equal(muse_tool_reply_count(r[1]), 2);
    ok(muse_tool_reply_part(r[1], 1, &part));
    assert_ptr_equal(part.image, picture);
    assert_int_equal(muse_tool_reply_status(r[2]), MUSE_ERR_IO);
    assert_int_equal(muse_tool_reply_count(r[2]), 1);
    assert_string_equal(text_of(r[2], 0), "the \"disk\" is full");
    assert_int_equal(muse_tool_reply_status(r[3]), MUSE_ERR_LIMIT);
    assert_string_equal(text_of(r[3], 0), "hangs gave no result within 0.02 seconds");
    assert_int_equal(muse_tool_reply_status(r[4]), MUSE_ERR_NOT_FOUND);
    for (int i = 0; i < 5; i++) muse_tool_reply_close(&r[i]);
    while (muse_tools_running(t)) nap();
    assert_int_equal(muse_tools_run(t, &calls[3], 1, r, at_once, NULL, &err), MUSE_ERR_CANCELLED);
    assert_null(r[0]);
    muse_tools_close(&t);   /* while it still runs: it keeps what it needs */
    muse_image_close(&picture);
}

/* what release is told of: how often, and that the function had returned */
typedef struct Guest { atomic_int released, inside, let_go; } Guest;

static int lingers(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    (void)arguments, (void)n, (void)reply, (void)e;
    Guest *g = user;
    atomic_store(&g->inside, 1);
    while (!atomic_load(&g->let_go)) nap();
    atomic_store(&g->inside, 0);
    return 0;
}

static void released(void *user)
{
    Guest *g = user;
    atomic_fetch_add(&g->released, 1 + 100 * atomic_load(&g->inside));
}

static void release(void **state)
{
    (void)state;
    Guest g = { 0 };
    MuseTools *t;
    MuseToolReply *r;
    MuseToolSpec s;
    ok(muse_tools_open(&t, NULL, &err));
    muse_tool_spec_init(&s);
    s.name = "lingers";
    s.fn = lingers;
    s.user = &g;
    s.timeout = 0.02;
    s.release = released;
    ok(muse_tools_add(t, &s, &err));
    assert_int_equal(muse_tools_add(t, &s, &err), MUSE_ERR_ARG);   /* the name is taken: user stays the caller's */
    const MuseToolCall call = { "lingers", "{}", 2 };
    ok(muse_tools_run(t, &call, 1, &r, NULL, NULL, &err));
    assert_int_equal(muse_tool_reply_status(r), MUSE_ERR_LIMIT);
    muse_tool_reply_close(&r);
    muse_tools_close(&t);
    assert_int_equal(atomic_load(&g.released), 0);   /* the call runs */
    atomic_store(&g.let_go, 1);
    while (!atomic_load(&g.released)) nap();
    assert_int_equal(atomic_load(&g.released), 1);
    ok(muse_tools_open(&t, NULL, &err));
    ok(muse_tools_add(t, &s, &err));
    muse_tools_close(&t);
    assert_int_equal(atomic_load(&g.released), 2);   /* none runs: at once */
}

static void all_at_once(void **state)
{
    (void)state;
    enum { N = 24 };
    Meeting m = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, N };
    MuseTools *t;
    MuseToolCall calls[N];
    MuseToolReply *r[N];
    char arguments[N][16];
    ok(muse_tools_open(&t, NULL, &err));
    add(t, "meets", meets, &m, 60);
    for (int i = 0; i < N; i++) {
        const int n = snprintf(arguments[i], sizeof arguments[i], "{\"a\":%d}", i);
        calls[i] = (MuseToolCall){ "meets", arguments[i], (size_t)n };
    }
    ok(muse_tools_run(t, calls, N, r, NULL, NULL, &err));
    for (int i = 0; i < N; i++) {
        assert_string_equal(text_of(r[i], 0), arguments[i]);   /* in the order of the calls */
        muse_tool_reply_close(&r[i]);
    }
    while (muse_tools_running(t)) nap();
    muse_tools_close(&t);
}

static void refused(void **state)
{
    (void)state;
    static const char *const names[] = { "", "a b", "\xc3\xa4", "echo" };
    atomic_int n = 0;
    MuseTools *t;
    MuseToolSpec s;
    MuseToolReply *r;
    ok(muse_tools_open(&t, NULL, &err));
    add(t, "echo", echo, &n, 0);
    muse_tool_spec_init(&s);
    s.fn = echo;
    for (size_t i = 0; i < 4; i++) {
        s.name = names[i];
        assert_int_equal(muse_tools_add(t, &s, &err), MUSE_ERR_ARG);
    }
    s.name = "other";
    s.timeout = -1;
    assert_int_equal(muse_tools_add(t, &s, &err), MUSE_ERR_ARG);
    s.timeout = 0;
    s.fn = NULL;
    assert_int_equal(muse_tools_add(t, &s, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_tools_count(t), 1);
    assert_int_equal(muse_tools_run(t, NULL, 1, &r, NULL, NULL, &err), MUSE_ERR_ARG);
    muse_tools_close(&t);
}

/* ---- calls in Gemma's format ---- */

#define CALL "<|tool_call>call:"
#define END "<tool_call|><|tool_response>"

static MuseModel *gemma(void) { return open_model("golden/gemma4-a/hf", NULL); }

/* text of the sequence from position `from` on, pictures as # */
static void read_back(const MuseAgent *a, size_t from, char *out, size_t cap)
{
    const MuseSequence *seq = muse_session_sequence(a->s);
    size_t n = 0;
    for (size_t i = from; i < muse_sequence_length(seq); i++) {
        MusePosition p;
        ok(muse_sequence_position(seq, i, &p));
        if (p.modality == MUSE_IMAGE && !p.is_marker) {
            if (n == 0 || out[n - 1] != '#') out[n++] = '#';
            continue;
        }
        assert_true(n + p.n_bytes + 2 < cap);
        memcpy(out + n, p.bytes, p.n_bytes);
        n += p.n_bytes;
    }
    out[n] = 0;
}

static void look_is_a_tool(void **state)
{
    (void)state;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(400, 200);
    MuseAgent *a = open_agent(m, &picture, 1, NULL);
    char text[4096];
    read_back(a, 0, text, sizeof text);
    assert_non_null(strstr(text, "<|tool>declaration:look{"));
    const size_t from = muse_sequence_length(muse_session_sequence(a->s));
    script(a, CALL "look{box:[250,500,300,550],image:1}" END "It is red.<turn|>");
    ok(run_one(a));
    read_back(a, from, text, sizeof text);
    assert_string_equal(text, CALL "look{box:[250,500,300,550],image:1}" END "response:look{image:2}<tool_response|><|image>#<image|>It is red.<turn|>");
    const MuseAgentInfo info = info_of(a);
    assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
    assert_memory_equal(info.answer, "It is red.", 10);
    assert_int_equal(info.looks, 1);
    const MuseReasonStep s = step_at(a, 0);
    assert_int_equal(s.kind, MUSE_REASON_LOOK);
    assert_int_equal(s.shown, 2);
    assert_rect(s.rect, 200, 50, 220, 60);
    assert_rect(s.view, 178, 23, 242, 87);
    MuseSpanInfo span;
    const MuseSequence *seq = muse_session_sequence(a->s);
    for (size_t k = 0, seen = 0; k < muse_sequence_span_count(seq); k++) {
        ok(muse_sequence_span(seq, k, &span));
        if (span.modality == MUSE_IMAGE && ++seen == 2) assert_rect(span.region, 178, 23, 242, 87);
    }
    /* a check by the caller: a new turn with a forced look */
    MuseAgent *v;
    ok(muse_agent_verify(&v, a, 1, 0, &err));
    script(v, "It is blue.<turn|>");
    ok(run_one(v));
    assert_memory_equal(info_of(v).answer, "It is blue.", 11);
    assert_int_equal(info_of(v).looks, 2);
    assert_true(step_at(v, 1).forced);
    assert_rect(step_at(v, 1).view, 178, 23, 242, 87);
    muse_agent_close(&v);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

static void forced_looks_and_cuts(void **state)
{
    (void)state;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(400, 200);
    MuseAgent *a = open_agent(m, &picture, 1, NULL);
    ok(muse_look(a, 1, (MuseRect){ 201, 51, 219, 59 }, &err));
    assert_int_equal(muse_look(a, 1, (MuseRect){ 201, 51, 219, 59 }, &err), MUSE_ERR_STATE);
    script(a, CALL "look{image:2,box:[0,0,500,500]}" END "ok<turn|>");   /* inside what was shown */
    ok(run_one(a));
    assert_true(step_at(a, 0).forced);
    assert_rect(step_at(a, 0).rect, 201, 51, 219, 59);
    assert_rect(step_at(a, 0).view, 178, 23, 242, 87);
    assert_false(step_at(a, 1).forced);
    assert_int_equal(step_at(a, 1).image, 1);
    assert_rect(step_at(a, 1).rect, 178, 23, 210, 55);
    assert_rect(step_at(a, 1).view, 178, 23, 242, 87);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* two calls of one turn, both answered before the model goes on; a rectangle smaller than a thousandth is one */
static void forced_comparison(void **state)
{
    (void)state;
    MuseModel *m = gemma();
    MuseImage *pictures[2] = { make_picture(400, 200), make_picture(3000, 50) };
    char text[4096];
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.looks = 3;
    MuseAgent *a = open_agent(m, pictures, 2, &p);
    const size_t from = muse_sequence_length(muse_session_sequence(a->s));
    assert_int_equal(muse_compare(a, 1, (MuseRect){ 0, 0, 9, 9 }, 3, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_ARG);   /* neither */
    ok(muse_compare(a, 1, (MuseRect){ 201, 51, 219, 59 }, 2, (MuseRect){ 2999.5, 0, 3000, 50 }, &err));
    script(a, "They differ.<turn|>");
    ok(run_one(a));
    read_back(a, from, text, sizeof text);
    assert_string_equal(text, CALL "look{box:[255,502,295,548],image:1}<tool_call|>" CALL "look{box:[0,999,1000,1000],image:2}" END
                        "response:look{image:3}<tool_response|><|image>#<image|>" "<|tool_response>response:look{image:4}<tool_response|><|image>#<image|>They differ.<turn|>");
    assert_int_equal(info_of(a).looks, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(step_at(a, i).forced && !step_at(a, i).refused);
        assert_int_equal(step_at(a, i).image, i + 1);
        assert_int_equal(step_at(a, i).shown, i + 3);
    }
    assert_rect(step_at(a, 0).rect, 201, 51, 219, 59);
    assert_rect(step_at(a, 1).rect, 2999.5, 0, 3000, 50);
    muse_agent_close(&a);
    p.looks = 1;
    a = open_agent(m, pictures, 2, &p);
    assert_int_equal(muse_compare(a, 1, (MuseRect){ 0, 0, 9, 9 }, 2, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_LIMIT);
    muse_agent_close(&a);
    for (int i = 0; i < 2; i++) muse_image_close(&pictures[i]);
    muse_model_close(&m);
}

/* what the model reads after calls that are wrong */
static void bad_looks(void **state)
{
    static const struct { const char *call, *want; } t[] = {
        { "look{box:[1,2,3]}", "box must be four numbers" }, { "look{}", "box must be four numbers" }, { "look{box:[0,0,9,9],image:3}", "there are pictures 1 to 1" },
        { "look{box:[500,0,100,9]}", "has no area or leaves the picture" }, { "look{box:[500,0,1100,9]}", "has no area or leaves the picture" }, { "look{box:[0,0,9,9],image:0}", "there are pictures" }, { "fly{}", "there is no tool" },
    };
    (void)state;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(40, 40);
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.free_places = 1;   /* most of them could not be written otherwise */
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char text[4096];
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        const size_t from = muse_sequence_length(muse_session_sequence(a->s));
        snprintf(text, sizeof text, CALL "%s" END "sorry<turn|>", t[i].call);
        script(a, text);
        const int rc = run_one(a);
        if (i == 5) {   /* a result that names no tool can't be said in this format */
            assert_true(rc == 0 || rc == MUSE_ERR_NOT_FOUND);
            if (rc) {
                muse_agent_close(&a);
                continue;
            }
        }
        ok(rc);
        read_back(a, from, text, sizeof text);
        if (!strstr(text, t[i].want)) fail_msg("%s: %s", t[i].call, text);
        assert_int_equal(info_of(a).refused, 1);
        assert_memory_equal(info_of(a).answer, "sorry", 5);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

typedef struct Closing { MuseAgent *a; int32_t end; } Closing;

/* behind a call the turn ends, then the answer comes */
static int on_closing(void *user, const MuseReasonEvent *e)
{
    Closing *c = user;
    if (e->kind == MUSE_EVENT_TOKEN && e->id == c->end) script(c->a, "<|tool_response>ok<turn|>");
    return 0;
}

/* What does not fit is not picked, whatever the model wants: the call is a whole look in the end. Its words are the model's own from there on. */
static void calls_are_held(void **state)
{
    static const char *const scripts[] = { "look{box:[1,2,3]}" END, "look{box:[1,2,3,4000]}" END, "look{}" END, "fly{}" END, "look{box:[<turn|>", "look{box:[1,2,<|tool_call>call:look{", "", "<|\"|>" };
    (void)state;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(400, 200);
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.looks = 1;
    p.calls = 1;
    Closing closing;
    p.event = on_closing;
    p.event_user = &closing;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char text[256];
        double v[5];
        int n, end = 0;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        snprintf(text, sizeof text, CALL "%s", scripts[i]);
        if (i == 6) snprintf(text, sizeof text, "<|tool_call>");
        closing = (Closing){ a, muse_text_find(muse_session_tokenizer(a->s), "<tool_call|>", 12) };
        script(a, text);
        ok(run_one(a));
        assert_int_equal(info_of(a).bad, 0);
        assert_int_equal(info_of(a).n_steps, 1);
        assert_int_equal(info_of(a).finish, MUSE_AGENT_ANSWERED);
        const MuseReasonStep s = step_at(a, 0);
        assert_int_equal(s.kind, MUSE_REASON_LOOK);
        n = sscanf(s.text, "look{\"box\":[%lf,%lf,%lf,%lf],\"image\":%lf}%n", &v[0], &v[1], &v[2], &v[3], &v[4], &end);
        if (n == 4) n += sscanf(s.text, "look{\"box\":[%*f,%*f,%*f,%*f]%n", &end) + 1, end += s.text[end] == '}';
        if (n == 0) n = sscanf(s.text, "look{\"image\":%lf,\"box\":[%lf,%lf,%lf,%lf]}%n", &v[4], &v[0], &v[1], &v[2], &v[3], &end);
        if (n < 5 || s.text[end]) fail_msg("%s: %s", text, s.text);
        for (int k = 0; k < 4; k++) assert_true(v[k] >= 0 && v[k] <= 1000 && v[k] == (int)v[k]);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* a call that can't be read, again and again, ends */
static void unreadable_calls(void **state)
{
    (void)state;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(40, 40);
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.calls = 1;
    p.looks = 2;
    p.free_places = 1;
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    for (int i = 0; i < 6; i++) script(a, CALL "look{box:" END);
    ok(run_one(a));
    assert_int_equal(info_of(a).finish, MUSE_AGENT_CALLS);
    assert_int_equal(info_of(a).bad, 3);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

static void tools_in_a_turn(void **state)
{
    (void)state;
    atomic_int n = 0;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(40, 40);
    MuseTools *t;
    MuseAgentParams p;
    char text[8192];
    ok(muse_tools_open(&t, NULL, &err));
    add(t, "echo", echo, &n, 0);
    add(t, "draw", draw, picture, 0);
    add(t, "fails", fails, NULL, 0);
    add(t, "hangs", hangs, NULL, 0.02);
    muse_agent_params_init(&p);
    p.tools = t;
    p.calls = 5;
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    const size_t from = muse_sequence_length(muse_session_sequence(a->s));
    script(a, CALL "echo{a:1}<tool_call|>" CALL "fails{}<tool_call|>" CALL "draw{}<tool_call|>" CALL "hangs{}" END "done" "<turn|>");
    ok(run_one(a));
    read_back(a, from, text, sizeof text);
    assert_non_null(strstr(text, "response:echo{value:<|\"|>{\"a\":1}<|\"|>}<tool_response|>"));
    assert_non_null(strstr(text, "response:fails{error:<|\"|>the \"disk\" is full<|\"|>}<tool_response|>"));
    assert_non_null(strstr(text, "response:draw{value:<|\"|>here<|\"|>}<tool_response|><|image>#<image|>"));
    assert_non_null(strstr(text, "response:hangs{error:<|\"|>hangs gave no result within 0.02 seconds<|\"|>}<tool_response|>"));
    assert_int_equal(info_of(a).calls, 4);
    assert_int_equal(info_of(a).refused, 2);
    assert_int_equal(step_at(a, 0).kind, MUSE_REASON_CALL);
    assert_string_equal(step_at(a, 0).text, "echo{\"a\":1}");
    muse_agent_close(&a);

    a = open_agent(m, &picture, 1, &p);   /* over the budget: told so */
    for (int i = 0; i < 6; i++) script(a, CALL "echo{a:1}" END);
    script(a, "done<turn|>");
    atomic_store(&n, 0);
    ok(run_one(a));
    assert_int_equal(atomic_load(&n), 5);
    assert_int_equal(info_of(a).calls, 5);
    assert_int_equal(info_of(a).finish, MUSE_AGENT_ANSWERED);
    assert_non_null(strstr(step_at(a, 5).reason, "no more calls"));
    muse_agent_close(&a);
    while (muse_tools_running(t)) nap();
    muse_tools_close(&t);
    muse_image_close(&picture);
    muse_model_close(&m);
}

static int after_some(void *user) { return atomic_fetch_sub((atomic_int *)user, 1) <= 0; }

/* cancelled while a tool hangs: calling again goes on with the call */
static void cancelled_in_a_tool(void **state)
{
    (void)state;
    MuseModel *m = gemma();
    MuseImage *picture = make_picture(40, 40);
    MuseTools *t;
    MuseAgentParams p;
    atomic_int left = 1 << 20;
    ok(muse_tools_open(&t, NULL, &err));
    add(t, "hangs", hangs, NULL, 0.05);
    muse_agent_params_init(&p);
    p.tools = t;
    p.cancel = after_some;
    p.cancel_user = &left;
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    script(a, CALL "hangs{}" END "done<turn|>");
    int rc, stops = 0;
    for (int k = 0; (rc = run_one(a)) == MUSE_ERR_CANCELLED || k < 1; k++) {
        assert_true(stops++ < 10);
        atomic_store(&left, 1 << 20);
    }
    if (rc) ok(rc);
    assert_int_equal(info_of(a).calls, 1);
    assert_memory_equal(info_of(a).answer, "done", 4);
    muse_agent_close(&a);
    while (muse_tools_running(t)) nap();
    muse_tools_close(&t);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* calls, a comparison of the caller's and boxes in the answer, with every allocation failing once */
static void no_memory(void **state)
{
    (void)state;
    static Meter meter;
    MuseRuntime *rt = meter_runtime(&meter, 1);
    MuseModel *m = open_model("golden/gemma4-a/hf", rt);
    MuseImage *picture = make_picture(64, 32);
    int rc = MUSE_ERR_NOMEM;
    long n = 0;
    for (; rc != 0 && n < 20000; n += 1 + n / 60) {
        static const char turn[] = CALL "look{box:[0,0,9,9]}" END "[{\"box_2d\":[0,0,9,9],\"label\":\"a\"},{\"box_2d\":[1],\"label\":\"b\"}]<turn|>";
        const MuseReasonPart parts[2] = { { .modality = MUSE_IMAGE, .image = picture }, { .modality = MUSE_TEXT, .text = "What?" } };
        MuseAgent *a = NULL;
        MuseAgentParams p;
        int32_t *ids = NULL;
        size_t n_ids;
        meter_leave(&meter, n);
        muse_agent_params_init(&p);
        rc = muse_trace_open(&p.trace, rt, NULL, &err);
        if (rc == 0) rc = muse_agent_open(&a, m, parts, 2, &p, &err);
        if (rc == 0) rc = muse_compare(a, 1, (MuseRect){ 0, 0, 9, 9 }, 1, (MuseRect){ 9, 9, 20, 20 }, &err);
        if (rc == 0) rc = muse_text_encode(muse_session_tokenizer(a->s), turn, sizeof turn - 1, MUSE_TEXT_ADDED, &ids, &n_ids, &err);
        if (rc == 0) rc = muse_agent_script(a, ids, n_ids);
        if (rc == 0) rc = muse_agent_run(&a, 1, &err);
        if (rc == 0) assert_int_equal(info_of(a).looks, 3);
        if (rc == 0) assert_int_equal(muse_trace_step_count(p.trace), 6);   /* three looks, a claim, what is not understood, the answer */
        muse_free(ids);
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
        if (rc != 0 && rc != MUSE_ERR_NOMEM) fail_msg("allocation %ld: %d %s", n, rc, err.text);
    }
    ok(rc);
    meter.fail_from = 0;
    muse_image_close(&picture);
    muse_model_close(&m);
    muse_runtime_close(&rt);
    assert_int_equal(meter.live, 0);
}

/* mode thinking thinks, also where the format's own way is not to and the caller has named it; a format without thoughts does not */
static void a_named_format_thinks(void **state)
{
    (void)state;
    static const struct { const char *model, *format; } cases[] = { { "golden/gemma4-a/hf", NULL }, { "golden/gemma4-a/hf", "gemma4_unified" }, { "golden/qwen2/hf", NULL }, { "golden/qwen2/hf", "qwen2.5" } };
    const MuseReasonPart part = { .modality = MUSE_TEXT, .text = "What?" };
    uint64_t prompt[4];
    for (size_t i = 0; i < 4; i++) {
        MuseModel *m = open_model(cases[i].model, NULL);
        MuseAgentParams agent;
        MuseReasonParams p;
        MuseReasonResult r;
        muse_agent_params_init(&agent);
        muse_reason_params_init(&p);
        agent.format = cases[i].format;
        agent.thought_tokens = agent.answer_tokens = 1;
        p.agent = &agent;
        p.mode = MUSE_MODE_THINKING;
        ok(muse_reason(m, &part, 1, &p, &r, &err));
        prompt[i] = info_of(r.agents[0]).prompt_tokens;
        muse_reason_result_clear(&r);
        muse_model_close(&m);
    }
    assert_int_equal(prompt[0], prompt[1]);
    assert_int_equal(prompt[2], prompt[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_format_thinks), cmocka_unit_test(results), cmocka_unit_test(release), cmocka_unit_test(all_at_once), cmocka_unit_test(refused), cmocka_unit_test(look_is_a_tool), cmocka_unit_test(forced_looks_and_cuts), cmocka_unit_test(forced_comparison),
        cmocka_unit_test(bad_looks), cmocka_unit_test(calls_are_held), cmocka_unit_test(unreadable_calls), cmocka_unit_test(tools_in_a_turn), cmocka_unit_test(cancelled_in_a_tool), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
