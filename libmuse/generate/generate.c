/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: every session of a batch takes a token, then those that go on step together; and the same for one session at the
 * caller's pace. What a token does: generation.c. */
#include <assert.h>
#include <string.h>

#include "base/params.h"
#include "libmuse/generate/generation.h"

void muse_generate_params_init(MuseGenerateParams *params)
{
    if (!params) return;
    *params = (MuseGenerateParams){ .struct_size = sizeof *params };
}

const char *muse_finish_name(int finish)
{
    static const char *const names[] = { "error", "stop id", "stop string", "length", "full", "grammar", "cancelled" };
    return finish < 0 || finish > MUSE_FINISH_CANCELLED ? names[0] : names[finish];
}

void muse_generate_result_clear(MuseGenerateResult *r)
{
    if (!r) return;
    muse_free(r->ids);
    muse_free(r->logprobs);
    muse_free(r->text);
    *r = (MuseGenerateResult){ 0 };
}

typedef struct Batch {
    MuseGeneration *all;       /* [n] */
    MuseSession   **sessions;  /* [n]: room for those that step */
    int32_t        *ids;       /* [n] */
    size_t          n;
} Batch;

static void close_batch(Batch *b)
{
    for (size_t i = 0; b->all && i < b->n; i++) muse_generation_close(&b->all[i]);
    muse_free(b->all);
    muse_free(b->sessions);
    muse_free(b->ids);
}

static int open_batch(Batch *b, MuseSession *const *sessions, const MuseGenerateParams *const *params, size_t n, MuseGenerateResult *out, MuseError *err)
{
    const MuseAllocator *a = &sessions[0]->model->rt->alloc;
    b->n = n;
    b->all = muse_zalloc_array(a, n, sizeof *b->all);
    b->sessions = muse_alloc_array(a, n, sizeof(MuseSession *));
    b->ids = muse_alloc_array(a, n, sizeof *b->ids);
    if (!b->all || !b->sessions || !b->ids) return MUSE_NOMEM(err, n * sizeof *b->all);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) rc = muse_generation_open(&b->all[i], sessions[i], params ? params[i] : NULL, &out[i], err);
    return rc;
}

/* The step in which sessions were cancelled is as if it had not been: those leave. 1: others remain, to be tried again. */
static int leave_cancelled(Batch *b, MuseError *err)
{
    size_t left = 0;
    for (size_t i = 0; i < b->n; i++) {
        MuseGeneration *g = &b->all[i];
        if (g->done || !muse_session_asks_to_stop(g->s)) continue;
        atomic_store(g->s->stop, 0);
        const int rc = muse_generation_end(g, MUSE_FINISH_CANCELLED, err);
        if (rc < 0) return rc;
        left++;
    }
    return left > 0;
}

/* All sessions that go on append and compute their token. 1: none does. */
static int step(Batch *b, MuseError *err)
{
    for (;;) {
        MuseError why;
        size_t n = 0;
        for (size_t i = 0; i < b->n; i++) {
            MuseGeneration *g = &b->all[i];
            if (g->done) continue;
            b->sessions[n] = g->s;
            b->ids[n++] = g->out->ids[g->out->n - 1];
        }
        if (n == 0) return 1;
        int rc = muse_session_advance(b->sessions, b->ids, n, &why);
        if (rc == 0) {
            for (size_t i = 0; i < b->n; i++) b->all[i].pending &= b->all[i].done;
            return 0;
        }
        if (rc != MUSE_ERR_CANCELLED) return muse_fail_copy(err, &why);
        rc = leave_cancelled(b, err);
        if (rc != 1) return rc < 0 ? rc : muse_fail_copy(err, &why);
    }
}

static int run(Batch *b, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < b->n; i++) rc = muse_generation_start(&b->all[i], err);
    while (rc == 0) {
        for (size_t i = 0; rc == 0 && i < b->n; i++)
            if (!b->all[i].done) rc = muse_generation_take(&b->all[i], err);
        if (rc == 0) rc = step(b, err);
    }
    return rc < 0 ? rc : 0;
}

int muse_generate_batch(MuseSession *const *sessions, const MuseGenerateParams *const *params, size_t n, MuseGenerateResult *out, MuseError *err)
{
    MUSE_REQUIRE(err, out && n > 0 && n <= UINT32_MAX);
    memset(out, 0, n * sizeof *out);
    MUSE_REQUIRE(err, sessions);
    int rc = muse_session_check_batch(sessions, n, err);
    if (rc < 0) return rc;
    Batch b = { 0 };
    rc = open_batch(&b, sessions, params, n, out, err);
    if (rc == 0) rc = run(&b, err);
    for (size_t i = 0; b.all && i < n; i++) {
        if (!b.all[i].s) continue;
        const int settled = muse_generation_settle(&b.all[i], rc < 0 ? NULL : err);
        if (rc == 0) rc = settled;
    }
    close_batch(&b);
    return rc;
}

int muse_generate(MuseSession *session, const MuseGenerateParams *params, MuseGenerateResult *out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    return muse_generate_batch(&session, &params, 1, out, err);
}

/* ---- at the caller's pace ---- */

/* a token, and what was held back: half a character, the beginning of a stop string */
enum { EVENTS_MAX = 3 };

struct MuseStream {
    MuseRuntime       *rt;
    Batch              b;                     /* of one */
    MuseGenerateResult result;
    MuseGenerated      events[EVENTS_MAX];    /* not handed out yet, without their texts: those stand in the generation's, one behind the other */
    size_t             n_events, next, text;  /* text: where the next event's begins */
    bool               started, taken;
};

static int keep_event(void *user, const MuseGenerated *token)
{
    MuseStream *s = user;
    assert(s->n_events < EVENTS_MAX);
    s->events[s->n_events++] = *token;
    return 0;
}

int muse_stream_open(MuseStream **out, MuseSession *session, const MuseGenerateParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, session);
    MuseGenerateParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseGenerateParams", err);
    if (rc < 0) return rc;
    if (p.token) return muse_fail(err, MUSE_ERR_ARG, "a stream hands its tokens out: it takes no token function");
    MuseStream *s = muse_zalloc(&session->model->rt->alloc, sizeof *s);
    if (!s) return MUSE_NOMEM(err, sizeof *s);
    s->rt = muse_runtime_ref(session->model->rt);
    p.token = keep_event;
    p.token_user = s;
    const MuseGenerateParams *all = &p;
    rc = open_batch(&s->b, &session, &all, 1, &s->result, err);
    if (rc < 0) {
        s->taken = true;   /* there is nothing to settle */
        muse_stream_close(&s);
        return rc;
    }
    *out = s;
    return 0;
}

/* computes what the newest token needs, then takes one; leaves at least one event, or the text has ended */
static int advance(MuseStream *s, MuseError *err)
{
    MuseGeneration *g = s->b.all;
    int rc = s->started ? step(&s->b, err) : muse_generation_start(g, err);
    s->started = true;
    if (rc == 0 && !g->done) rc = muse_generation_take(g, err);
    return rc;
}

int muse_stream_next(MuseStream *stream, MuseGenerated *token, MuseError *err)
{
    MUSE_REQUIRE(err, stream && token);
    MuseGeneration *g = stream->b.all;
    if (stream->taken) return MUSE_DONE;
    if (stream->next == stream->n_events) {
        stream->next = stream->n_events = 0;
        if (g->done) return MUSE_DONE;
        const int rc = advance(stream, err);
        if (rc < 0) {
            g->done = true;
            stream->n_events = 0;
            return rc;
        }
        if (stream->n_events == 0) return MUSE_DONE;
    }
    *token = stream->events[stream->next++];
    token->text = (const char *)g->text.data + stream->text;
    stream->text += token->n_text;
    return 0;
}

int muse_stream_result(MuseStream *stream, MuseGenerateResult *out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    memset(out, 0, sizeof *out);
    MUSE_REQUIRE(err, stream);
    if (stream->taken) return muse_fail(err, MUSE_ERR_STATE, "the stream's result was taken before");
    MuseGeneration *g = stream->b.all;
    stream->next = stream->n_events = 0;   /* what is held back may come out now */
    int rc = g->done ? 0 : muse_generation_end(g, MUSE_FINISH_CANCELLED, err);
    const int settled = muse_generation_settle(g, rc < 0 ? NULL : err);
    stream->taken = true;
    *out = stream->result;
    stream->result = (MuseGenerateResult){ 0 };
    return rc < 0 ? rc : settled;
}

void muse_stream_close(MuseStream **stream)
{
    if (!stream || !*stream) return;
    MuseStream *s = *stream;
    MuseGenerateResult result;
    if (!s->taken && muse_stream_result(s, &result, NULL) <= 0) muse_generate_result_clear(&result);
    close_batch(&s->b);
    muse_generate_result_clear(&s->result);
    MuseRuntime *rt = s->rt;
    muse_free(s);
    muse_runtime_close(&rt);
    *stream = NULL;
}
