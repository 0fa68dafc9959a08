/* SPDX-License-Identifier: Apache-2.0 */
/* The set of tools and their calls: one thread a call, waited for with a time-out. Knows nothing of models; who calls what with which
 * arguments is call.c's.
 *
 * A hanging function can't be ended from outside, so a call is shared by two owners, its thread and the one that waits: whoever
 * leaves last releases it. */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/params.h"
#include "muse/tools.h"
#include "ops/runtime.h"

enum { TOOLS_MAX = 256, NAME_MAX_BYTES = 256, PARTS_MAX = 1024, POLL_NS = 10 * 1000 * 1000 };
static const double TIMEOUT_DEFAULT = 30, TIMEOUT_MAX = 1e6;   /* seconds */

struct MuseTools {
    MuseRuntime  *rt;
    MuseToolSpec *list;
    size_t        n, cap;
    atomic_int    refs;      /* the owner's, and one a call that has not returned */
    atomic_size_t running;
};

struct MuseToolReply {
    MuseRuntime  *rt;
    MuseTools    *tools;       /* NULL: there was no such tool */
    size_t        tool;
    char         *arguments;
    size_t        n_arguments;
    MuseToolPart *parts;
    size_t        n_parts, cap_parts;
    int           status;
    pthread_mutex_t lock;
    pthread_cond_t  returned_now;
    bool            returned;
    atomic_int      abandoned, refs;
};

/* ---- the set ---- */

void muse_tool_spec_init(MuseToolSpec *spec) { MUSE_PARAMS_INIT(spec); }

int muse_tools_open(MuseTools **out, MuseRuntime *rt, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MuseRuntime *held = muse_runtime_ref(rt);
    MuseTools *t = held ? muse_zalloc(&held->alloc, sizeof *t) : NULL;
    if (!t) {
        muse_runtime_close(&held);
        return MUSE_NOMEM(err, sizeof *t);
    }
    t->rt = held;
    atomic_init(&t->refs, 1);
    *out = t;
    return 0;
}

static void spec_clear(MuseToolSpec *s)
{
    muse_free((void *)(uintptr_t)s->name);
    muse_free((void *)(uintptr_t)s->description);
    muse_free((void *)(uintptr_t)s->parameters);
}

static void tools_release(MuseTools *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1) return;
    for (size_t i = 0; i < t->n; i++) {
        if (t->list[i].release) t->list[i].release(t->list[i].user);
        spec_clear(&t->list[i]);
    }
    muse_free(t->list);
    MuseRuntime *rt = t->rt;
    muse_free(t);
    muse_runtime_close(&rt);
}

void muse_tools_close(MuseTools **tools)
{
    if (!tools) return;
    tools_release(*tools);
    *tools = NULL;
}

static bool name_ok(const char *name)
{
    const size_t n = strlen(name);
    return n >= 1 && n <= NAME_MAX_BYTES && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-") == n;
}

static size_t find_tool(const MuseTools *t, const char *name)
{
    size_t i = 0;
    while (i < t->n && strcmp(t->list[i].name, name) != 0) i++;
    return i;
}

int muse_tools_add(MuseTools *t, const MuseToolSpec *spec, MuseError *err)
{
    MUSE_REQUIRE(err, t && spec);
    MuseToolSpec s;
    const int rc = MUSE_PARAMS_IMPORT(&s, spec, "MuseToolSpec", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, s.fn && s.name && isfinite(s.timeout) && s.timeout >= 0 && s.timeout <= TIMEOUT_MAX);
    if (!name_ok(s.name)) return muse_fail(err, MUSE_ERR_ARG, "\"%.64s\" is no name for a tool", s.name);
    if (find_tool(t, s.name) < t->n) return muse_fail(err, MUSE_ERR_ARG, "there is a tool called %s already", s.name);
    if (t->n >= TOOLS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "at most %d tools", TOOLS_MAX);
    const MuseAllocator *a = &t->rt->alloc;
    if (muse_grow(a, (void **)&t->list, t->n, &t->cap, sizeof s) < 0) return MUSE_NOMEM(err, sizeof s);
    if (s.timeout == 0) s.timeout = TIMEOUT_DEFAULT;
    s.name = muse_copy_text(a, s.name, strlen(s.name));
    s.description = muse_copy_text(a, s.description ? s.description : "", s.description ? strlen(s.description) : 0);
    const char *parameters = s.parameters;
    s.parameters = parameters ? muse_copy_text(a, parameters, strlen(parameters)) : NULL;
    if (!s.name || !s.description || (parameters && !s.parameters)) {
        spec_clear(&s);
        return MUSE_NOMEM(err, NAME_MAX_BYTES);
    }
    t->list[t->n++] = s;
    return 0;
}

size_t muse_tools_count(const MuseTools *t) { return t ? t->n : 0; }

int muse_tools_at(const MuseTools *t, size_t i, MuseToolSpec *out)
{
    if (!t || !out || i >= t->n) return MUSE_ERR_ARG;
    *out = t->list[i];
    return 0;
}

size_t muse_tools_running(const MuseTools *t) { return t ? atomic_load(&t->running) : 0; }

/* ---- replies ---- */

static void parts_clear(MuseToolReply *r)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        muse_free((void *)(uintptr_t)r->parts[i].text);
        muse_image_close(&r->parts[i].image);
    }
    r->n_parts = 0;
}

static void reply_release(MuseToolReply *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    parts_clear(r);
    muse_free(r->parts);
    muse_free(r->arguments);
    pthread_cond_destroy(&r->returned_now);
    pthread_mutex_destroy(&r->lock);
    MuseRuntime *rt = r->rt;
    tools_release(r->tools);
    muse_free(r);
    muse_runtime_close(&rt);
}

void muse_tool_reply_close(MuseToolReply **reply)
{
    if (!reply) return;
    reply_release(*reply);
    *reply = NULL;
}

static int add_part(MuseToolReply *r, MuseToolPart part, MuseError *err)
{
    if (r->n_parts >= PARTS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "a result has at most %d parts", PARTS_MAX);
    if (muse_grow(&r->rt->alloc, (void **)&r->parts, r->n_parts, &r->cap_parts, sizeof part) < 0) return MUSE_NOMEM(err, sizeof part);
    r->parts[r->n_parts++] = part;
    return 0;
}

int muse_tool_reply_text(MuseToolReply *r, const char *text, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, r && (text || n == 0));
    const MuseToolPart part = { .text = muse_copy_text(&r->rt->alloc, text, n), .n = n };
    if (!part.text) return MUSE_NOMEM(err, n);
    const int rc = add_part(r, part, err);
    if (rc < 0) muse_free((void *)(uintptr_t)part.text);
    return rc;
}

int muse_tool_reply_image(MuseToolReply *r, MuseImage *image, MuseError *err)
{
    MUSE_REQUIRE(err, r && image);
    const int rc = add_part(r, (MuseToolPart){ .image = image }, err);
    if (rc == 0) muse_image_ref(image);
    return rc;
}

int muse_tool_reply_abandoned(const MuseToolReply *r) { return r && atomic_load(&((MuseToolReply *)(uintptr_t)r)->abandoned); }

size_t muse_tool_reply_count(const MuseToolReply *r) { return r ? r->n_parts : 0; }

int muse_tool_reply_part(const MuseToolReply *r, size_t i, MuseToolPart *out)
{
    if (!r || !out || i >= r->n_parts) return MUSE_ERR_ARG;
    *out = r->parts[i];
    return 0;
}

int muse_tool_reply_status(const MuseToolReply *r) { return r ? r->status : MUSE_ERR_ARG; }

/* the reply becomes one text: what went wrong. Without memory it has no parts, and its status tells. */
static void set_error(MuseToolReply *r, int status, const char *text)
{
    parts_clear(r);
    r->status = status;
    muse_tool_reply_text(r, text, strlen(text), NULL);
}

/* ---- calls ---- */

static int reply_open(MuseToolReply **out, MuseTools *t, const MuseToolCall *call, MuseError *err)
{
    MuseToolReply *r = muse_zalloc(&t->rt->alloc, sizeof *r);
    *out = r;
    if (!r) return MUSE_NOMEM(err, sizeof *r);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->returned_now, &attr);
    pthread_condattr_destroy(&attr);
    atomic_init(&r->refs, 1);
    r->rt = muse_runtime_ref(t->rt);
    r->tool = find_tool(t, call->name);
    if (r->tool < t->n) {
        r->tools = t;
        atomic_fetch_add(&t->refs, 1);
    }
    r->arguments = muse_copy_text(&t->rt->alloc, call->arguments, call->n_arguments);
    r->n_arguments = call->n_arguments;
    return r->arguments ? 0 : MUSE_NOMEM(err, call->n_arguments);
}

static void *run_call(void *user)
{
    MuseToolReply *r = user;
    const MuseToolSpec *tool = &r->tools->list[r->tool];
    MuseError why = { 0 };
    const int rc = tool->fn(tool->user, r->arguments, r->n_arguments, r, &why);
    if (rc < 0) set_error(r, rc, why.text[0] ? why.text : muse_status_text(rc));
    atomic_fetch_sub(&r->tools->running, 1);
    pthread_mutex_lock(&r->lock);
    r->returned = true;
    pthread_cond_signal(&r->returned_now);
    pthread_mutex_unlock(&r->lock);
    reply_release(r);
    return NULL;
}

static void start_call(MuseToolReply *r)
{
    pthread_t thread;
    pthread_attr_t attr;
    atomic_fetch_add(&r->refs, 1);
    atomic_fetch_add(&r->tools->running, 1);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    const int rc = pthread_create(&thread, &attr, run_call, r);
    pthread_attr_destroy(&attr);
    if (rc == 0) return;
    atomic_fetch_sub(&r->tools->running, 1);
    atomic_fetch_sub(&r->refs, 1);
    r->returned = true;
    set_error(r, MUSE_ERR_NOMEM, "the system gives no thread for this call");
}

static struct timespec after(struct timespec t, double seconds)
{
    const double whole = floor(seconds);
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((seconds - whole) * 1e9);
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool earlier(struct timespec a, struct timespec b) { return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec; }

/* 0: it returned; MUSE_AGAIN: its time is over; MUSE_ERR_CANCELLED */
static int wait_for(MuseToolReply *r, struct timespec deadline, MuseCancelFn *cancel, void *cancel_user)
{
    int rc = 0;
    pthread_mutex_lock(&r->lock);
    while (!r->returned && rc == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (cancel && cancel(cancel_user)) rc = MUSE_ERR_CANCELLED;
        else if (!earlier(now, deadline)) rc = MUSE_AGAIN;
        else {
            struct timespec until = cancel ? after(now, POLL_NS / 1e9) : deadline;
            if (earlier(deadline, until)) until = deadline;
            pthread_cond_timedwait(&r->returned_now, &r->lock, &until);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

/* *reply belongs to a function that still runs: another one, with an error, takes its place */
static int replace(MuseToolReply **reply, const MuseTools *t, const MuseToolCall *call, MuseError *err)
{
    MuseToolReply *r;
    MuseError why;
    const int rc = reply_open(&r, (*reply)->tools, call, err);
    if (rc < 0) {
        reply_release(r);
        return rc;
    }
    muse_fail(&why, MUSE_ERR_LIMIT, "%s gave no result within %g seconds", call->name, t->list[r->tool].timeout);
    set_error(r, MUSE_ERR_LIMIT, why.text);
    atomic_store(&(*reply)->abandoned, 1);
    reply_release(*reply);
    *reply = r;
    return 0;
}

int muse_tools_run(MuseTools *t, const MuseToolCall *calls, size_t n, MuseToolReply **replies, MuseCancelFn *cancel, void *cancel_user, MuseError *err)
{
    MUSE_REQUIRE(err, t && calls && n > 0 && replies);
    for (size_t i = 0; i < n; i++) replies[i] = NULL;
    for (size_t i = 0; i < n; i++) MUSE_REQUIRE(err, calls[i].name && (calls[i].arguments || calls[i].n_arguments == 0));
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) rc = reply_open(&replies[i], t, &calls[i], err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (replies[i]->tools) start_call(replies[i]);
        else set_error(replies[i], MUSE_ERR_NOT_FOUND, "there is no tool of this name");
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!replies[i]->tools) continue;
        rc = wait_for(replies[i], after(start, t->list[replies[i]->tool].timeout), cancel, cancel_user);
        if (rc == MUSE_AGAIN) rc = replace(&replies[i], t, &calls[i], err);
        else if (rc < 0) muse_fail(err, rc, "cancelled while %s worked", calls[i].name);
    }
    for (size_t i = 0; i < n && rc < 0; i++) {
        if (replies[i]) atomic_store(&replies[i]->abandoned, 1);
        muse_tool_reply_close(&replies[i]);
    }
    return rc;
}
