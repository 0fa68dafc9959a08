/* SPDX-License-Identifier: Apache-2.0 */
/* Letting agents write: which id comes next under which budget, what it means, and stepping all of them as one batch. Looks: look.c;
 * tools: call.c. */
#include <math.h>

#include "libmuse/reason/record.h"

bool muse_agent_cancelled(const MuseAgent *a)
{
    const MuseAgentParams *p = &a->shared->p;
    return (a->run && a->run->stop) || (p->cancel && p->cancel(p->cancel_user));
}

static bool in_thought(const MuseAgent *a) { return muse_chat_parser_in_thought(a->parser); }

static bool is_forced(const MuseAgent *a) { return a->forced_at * sizeof(int32_t) < a->forced.len; }

/* once: of one that was stopped by another too */
static void tell_end(MuseAgent *a)
{
    if (a->told) return;
    a->told = true;
    a->run->done++;
    muse_agent_tell(a, (MuseReasonEvent){ .kind = MUSE_EVENT_DONE });
}

void muse_agent_finish(MuseAgent *a, int how)
{
    a->finish = how;
    if (!a->run) return;
    tell_end(a);
    if (a->run->ended) a->run->ended(a->run->user, a);
}

/* ---- budgets ---- */

static int close_thought(MuseAgent *a, const char *why, MuseError *err)
{
    const MuseAgentShared *sh = a->shared;
    const char *bad = muse_chain_end(&a->chain);
    a->closing = true;
    int rc = bad ? muse_agent_bad(a, bad, err) : 0;
    if (rc == 0) rc = muse_agent_add_step(a, (MuseReasonStep){ .kind = MUSE_REASON_CLOSED, .group = MUSE_REASON_NONE, .token = muse_agent_count(a), .position = a->s->seq->length }, why, NULL, err);
    return rc == 0 ? muse_agent_force(a, sh->close, sh->n_close, err) : rc;
}

/* its tokens are spent, or it is in doubt already */
static bool answer_is_over(const MuseAgent *a) { return !is_forced(a) && !in_thought(a) && (a->answer_tokens >= a->shared->p.answer_tokens || muse_agent_gives_up(a)); }

static int keep_budgets(MuseAgent *a, MuseError *err)
{
    const MuseAgentShared *sh = a->shared;
    const uint64_t room = muse_agent_room(a);
    const bool thinks = in_thought(a), spent = a->thought_tokens >= a->thought_max, circles = a->again >= MUSE_AGAIN_MAX && sh->n_close;
    if (room == 0) muse_agent_finish(a, MUSE_AGENT_FULL);
    if (a->finish || is_forced(a) || !thinks || (!spent && !circles && room > muse_agent_reserve(a))) return 0;
    if (!a->closing && sh->n_close)
        return close_thought(a, spent ? "the tokens of the thought are spent" : circles ? "it looks again at what it was shown" : "the sequence is nearly full", err);
    muse_agent_finish(a, MUSE_AGENT_LENGTH);   /* a thought that can't be closed */
    return 0;
}

/* ---- choosing ---- */

static bool looks_spent(const MuseAgent *a)
{
    const MuseAgentParams *p = &a->shared->p;
    return p->no_look || a->looks >= p->looks || a->view_positions >= p->look_positions;
}

/* The logits under what may come now: the session's own if all may */
static const float *allowed(const MuseAgent *a)
{
    const MuseAgentShared *sh = a->shared;
    const float *logits = muse_session_logits(a->s);
    uint32_t axis, first, n;
    const bool places = !sh->p.free_places && muse_chain_wants(&a->chain, &sh->words, &axis, &first, &n);
    const bool no_look = sh->chains && sh->words.look >= 0 && looks_spent(a);
    const bool no_end = sh->think_end >= 0 && !in_thought(a);   /* where it means nothing, a model that was made to answer may write it */
    const float *of_call = muse_agent_call_logits(a, logits);
    if (of_call) return of_call;   /* control tokens are not among what may come there */
    if (!places && !no_look && !no_end) return logits;
    if (places) {
        for (uint32_t i = 0; i < sh->vocab; i++) sh->masked[i] = -INFINITY;
        for (uint32_t i = first; i < first + n; i++) sh->masked[sh->words.place[axis][i]] = logits[sh->words.place[axis][i]];
    } else {
        memcpy(sh->masked, logits, sh->vocab * sizeof *logits);
        if (no_look) sh->masked[sh->words.look] = -INFINITY;
        if (no_end) sh->masked[sh->think_end] = -INFINITY;
    }
    return sh->masked;
}

static int32_t next_of(const MuseBuf *b, size_t *at)
{
    int32_t id;
    memcpy(&id, b->data + *at * sizeof id, sizeof id);
    ++*at;
    return id;
}

static int choose(MuseAgent *a, MuseSampled *out, MuseError *err)
{
    const float *logits = allowed(a);
    MuseSampler *by = a->answerer && !in_thought(a) ? a->answerer : a->sampler;
    while (a->script_at * sizeof(int32_t) < a->script.len) {
        out->id = next_of(&a->script, &a->script_at);
        if (out->id >= 0 && (uint32_t)out->id < a->shared->vocab && logits[out->id] > -INFINITY) return muse_logprobs(logits, a->shared->vocab, &out->id, 1, &out->logprob);
    }
    return muse_sampler_pick(by, logits, out, err);
}

/* ---- taking ---- */

static int keep_call(MuseAgent *a, const MuseChatItem *item, MuseError *err)
{
    const MuseAllocator *alloc = &a->shared->rt->alloc;
    const bool good = item->kind == MUSE_CHAT_CALL;
    if (muse_grow(alloc, (void **)&a->calls, a->n_calls, &a->cap_calls, sizeof *a->calls) < 0) return MUSE_NOMEM(err, sizeof *a->calls);
    MuseAskedCall *c = &a->calls[a->n_calls++];
    *c = (MuseAskedCall){ .n_arguments = item->n_arguments };
    c->name = good ? muse_copy_text(alloc, item->name, strlen(item->name)) : muse_copy_text(alloc, item->text, item->n);
    if (good) c->arguments = muse_copy_text(alloc, item->arguments, item->n_arguments);
    else c->error = muse_copy_text(alloc, item->error, strlen(item->error));
    return c->name && (c->arguments || c->error) ? 0 : MUSE_NOMEM(err, item->n + item->n_arguments);
}

/* terminated, the NUL not counted */
static int add_text(MuseBuf *b, const char *text, size_t n, MuseError *err)
{
    if (muse_buf_reserve(b, n + 1) < 0) return MUSE_NOMEM(err, n);
    if (n) memcpy(b->data + b->len, text, n);
    b->len += n;
    b->data[b->len] = 0;
    return 0;
}

int muse_agent_drain(MuseAgent *a, bool *end, int *reason, MuseError *err)
{
    MuseChatItem item;
    int rc = 0;
    while (rc == 0 && muse_chat_parser_next(a->parser, &item) == 0) {
        const bool thought = item.kind == MUSE_CHAT_THOUGHT || (item.kind == MUSE_CHAT_TOKEN && item.thought);
        if (item.kind <= MUSE_CHAT_TOKEN) {
            rc = add_text(thought ? &a->thought : &a->answer, item.text, item.n, err);
            if (rc == 0 && item.kind != MUSE_CHAT_TOKEN) rc = muse_record_text(a, item.text, item.n, thought, err);
        } else if (item.kind != MUSE_CHAT_END) rc = keep_call(a, &item, err);
        else {
            *end = true;
            *reason = item.reason;
        }
    }
    return rc;
}

/* A step of the machine: a place becomes pixels, a comparison or check opens a group */
static int on_event(MuseAgent *a, const MuseChainEvent *e, bool forced, MuseError *err)
{
    MuseReasonStep s = { .kind = e->kind, .forced = forced, .group = a->chain.group, .token = muse_agent_count(a), .position = a->s->seq->length + 1 };
    uint32_t number = e->kind == MUSE_REASON_IMAGE ? e->image : a->chain.image;
    if (e->next && number < a->n_pictures && a->pictures[number].given) number++;
    int rc = e->bad ? muse_agent_bad(a, e->bad, err) : 0;
    if (rc < 0 || !e->kind) return rc;
    if (e->kind == MUSE_REASON_COMPARE || e->kind == MUSE_REASON_VERIFY) {
        s.group = MUSE_REASON_NONE;
        a->chain.group = (uint32_t)a->n_steps;
        return muse_agent_add_step(a, s, NULL, NULL, err);
    }
    if (number < 1 || number > a->n_pictures) return muse_agent_bad(a, "a place in a picture that is not there", err);
    const MusePicture *p = &a->pictures[number - 1];
    s.image = p->origin;
    if (e->kind == MUSE_REASON_IMAGE) {
        a->chain.image = number;
        return muse_agent_add_step(a, s, NULL, NULL, err);
    }
    if (forced && e->kind == MUSE_REASON_LOOK && a->n_exact) {   /* the caller's own rectangle instead of the places' */
        for (uint32_t i = 0; i < a->n_pictures; i++)
            if (a->pictures[i].origin == a->exact[0].image) p = &a->pictures[i], s.image = p->origin, i = (uint32_t)a->n_pictures;
        s.rect = a->exact[0].rect;
        memmove(a->exact, a->exact + 1, --a->n_exact * sizeof *a->exact);
    } else if (muse_agent_place(a, e->kind, number, &s.rect)) s.rect = muse_agent_to_original(p->image, s.rect);
    else return muse_agent_bad(a, "a place outside of the picture", err);
    if (e->kind != MUSE_REASON_POINT || !a->cited.image) a->cited = (MuseFocus){ s.image, s.rect };
    if (e->kind != MUSE_REASON_LOOK) return muse_agent_add_step(a, s, NULL, NULL, err);
    a->look_due = true;
    a->due = s;
    a->due.shown = (uint32_t)(p - a->pictures);   /* until it is shown: where it is cut from */
    return 0;
}

/* the thought ended with the last id, or a new one may begin */
static int on_phase(MuseAgent *a, bool was, MuseError *err)
{
    if (!was || in_thought(a)) return 0;
    a->closing = false;
    a->thought_id = muse_agent_count(a) - 1;
    a->thought_position = a->s->seq->length;
    a->answer_id = SIZE_MAX;
    const char *bad = muse_chain_end(&a->chain);
    const int rc = muse_record_thought_end(a, err);
    return rc == 0 && bad ? muse_agent_bad(a, bad, err) : rc;
}

static void count(MuseAgent *a, const MuseSampled *id, bool forced, bool thought)
{
    if (forced) a->forced_tokens++;
    else if (thought) a->thought_tokens++;
    else a->answer_tokens++;
    if (forced || thought) return;
    if (a->answer_id == SIZE_MAX) {
        a->answer_id = muse_agent_count(a) - 1;
        a->answer_position = a->s->seq->length;
        a->answer_logprob = 0;
        a->n_answer_ids = 0;
    }
    a->answer_logprob += (double)id->logprob;
    a->n_answer_ids++;
}

static bool stops(const MuseAgentShared *sh, int32_t id)
{
    for (size_t i = 0; i < sh->n_stop; i++)
        if (sh->stop[i] == id) return true;
    return false;
}

/* The end of the turn inside a thought, without a call: the thought is ended instead, once a turn, so that an answer can follow */
static bool ends_early(const MuseAgent *a, int32_t id)
{
    return !a->ended_early && !a->closing && !a->n_calls && a->shared->n_close && in_thought(a) && stops(a->shared, id);
}

static int take(MuseAgent *a, const MuseSampled *id, bool forced, MuseError *err)
{
    const bool thought = in_thought(a), in_call = muse_chat_parser_in_call(a->parser);
    bool end = false;
    int reason = 0;
    a->broken = true;   /* until all of it is read */
    if (muse_buf_append(&a->ids, &id->id, sizeof id->id) < 0) return MUSE_NOMEM(err, sizeof id->id);
    MuseSampler *by = a->answerer && !thought && !forced ? a->answerer : a->sampler;
    int rc = muse_sampler_accept(by, id->id, err);
    if (rc == MUSE_ERR_STATE && by == a->answerer) rc = 0;   /* a script that leaves the grammar */
    count(a, id, forced, thought);
    muse_record_token(a, id, forced);
    const MuseChain before = a->chain;
    if (rc == 0 && a->shared->chains) {
        const MuseChainEvent e = muse_chain_push(&a->chain, &a->shared->words, id->id);
        if (a->chain.look && !before.look) rc = muse_record_break(a, err);
        if (rc == 0) rc = on_event(a, &e, forced, err);
    }
    if (rc == 0) rc = muse_chat_parser_feed_ids(a->parser, &id->id, 1, NULL, err);
    if (rc == MUSE_ERR_NOT_FOUND) rc = 0;   /* a row of the model's without a token */
    if (rc == 0) rc = muse_agent_follow_call(a, id->id, in_call, err);
    if (rc == 0 && stops(a->shared, id->id)) rc = muse_chat_parser_finish(a->parser, err);
    if (rc == 0) rc = muse_agent_drain(a, &end, &reason, err);
    if (rc == 0) {
        if (thought && !in_thought(a)) a->chain_then = before;
        rc = on_phase(a, thought, err);
    }
    if (rc < 0) return rc;
    if (end) {
        const char *bad = muse_chain_end(&a->chain);
        if (bad && (rc = muse_agent_bad(a, bad, err)) < 0) return rc;
        a->ending = reason == MUSE_CHAT_TOOLS || a->n_calls ? MUSE_AGENT_CALLS : MUSE_AGENT_ANSWERED;
    }
    a->pending = true;
    a->broken = false;
    if (a->run) a->run->tokens++;
    muse_agent_tell(a, (MuseReasonEvent){ .kind = MUSE_EVENT_TOKEN, .id = id->id });
    return 0;
}

/* the last id is computed */
static int settle(MuseAgent *a, MuseError *err)
{
    if (a->look_due) {
        const int rc = muse_agent_show(a, err);
        if (rc < 0) return rc;
        a->look_due = false;
    }
    if (a->ending == MUSE_AGENT_CALLS && a->n_calls) a->calls_due = true;
    const bool answered = a->ending && !a->calls_due;
    a->ending = 0;
    return answered ? muse_agent_end_answer(a, MUSE_AGENT_ANSWERED, err) : 0;
}

/* The id to compute next is a->pending's; or the agent has ended, or waits for tools */
static int advance(MuseAgent *a, MuseError *err)
{
    if (a->broken) return muse_fail(err, MUSE_ERR_STATE, "agent %u failed before", a->number);
    int rc = 0;
    if (a->finish || a->calls_due || a->pending) return 0;
    if (a->look_due || a->ending) rc = settle(a, err);   /* an earlier run was stopped in between */
    if (rc == 0 && !a->finish && !a->calls_due && answer_is_over(a)) rc = muse_agent_end_answer(a, MUSE_AGENT_LENGTH, err);
    if (rc == 0 && !a->finish && !a->calls_due && !muse_session_logits(a->s)) rc = muse_session_prefill(a->s, err);
    if (rc == 0 && !a->finish && !a->calls_due) rc = keep_budgets(a, err);
    if (rc < 0 || a->finish || a->calls_due) return rc;
    MuseSampled id = { 0 };
    bool forced = is_forced(a);
    if (!forced) rc = choose(a, &id, err);
    if (rc == 0 && !forced && ends_early(a, id.id)) {
        a->ended_early = forced = true;
        rc = close_thought(a, "the model ended its turn in it", err);
    }
    if (rc == 0 && forced) id = (MuseSampled){ .id = next_of(&a->forced, &a->forced_at) };
    if (forced && !is_forced(a)) a->forced.len = a->forced_at = 0;
    return rc == 0 ? take(a, &id, forced, err) : rc;
}

/* ---- the batch ---- */

static int32_t last_id(const MuseAgent *a) { return *muse_agent_id(a, muse_agent_count(a) - 1); }

static int step_all(MuseAgent *const *agents, size_t n, MuseSession **sessions, int32_t *ids, bool *any, MuseError *err)
{
    size_t m = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i == 0 || agents[i]->shared != agents[i - 1]->shared || agents[i]->run->stop)
            if (muse_agent_cancelled(agents[i])) return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled after %llu tokens", (unsigned long long)agents[i]->run->tokens);
        if ((rc = advance(agents[i], err)) < 0) return rc;
        if (!agents[i]->pending || agents[i]->finish) continue;
        sessions[m] = agents[i]->s;
        ids[m++] = last_id(agents[i]);
    }
    *any = m > 0;
    if (m) rc = muse_session_step_batch(sessions, ids, m, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < n; i++)   /* all of them first: an error below must not make one step twice */
        if (!agents[i]->finish) agents[i]->pending = false;
    for (size_t i = 0; i < n && rc == 0; i++)
        if (!agents[i]->finish && (agents[i]->look_due || agents[i]->ending)) rc = settle(agents[i], err);
    return rc;
}

int muse_agents_run(MuseAgent *const *agents, size_t n, MuseRun *run, MuseError *err)
{
    const MuseAllocator *alloc = &agents[0]->shared->rt->alloc;
    MuseSession **sessions = muse_alloc_array(alloc, n, sizeof *sessions);
    int32_t *ids = muse_alloc_array(alloc, n, sizeof *ids);
    int rc = sessions && ids ? 0 : MUSE_NOMEM(err, n * (sizeof *sessions + sizeof *ids));
    bool any = true;
    run->agents = n;
    for (size_t i = 0; i < n; i++) {
        agents[i]->run = run;
        agents[i]->told = agents[i]->finish != 0;
        run->done += agents[i]->told;
    }
    while (rc == 0 && any) {
        bool waits = false;
        rc = step_all(agents, n, sessions, ids, &any, err);
        for (size_t i = 0; i < n && rc == 0; i++) waits = waits || (agents[i]->calls_due && !agents[i]->finish);
        if (waits) rc = muse_agents_answer_calls(agents, n, err);
        for (size_t i = 0; i < n && rc == 0; i++) {
            if (!agents[i]->finish) continue;
            tell_end(agents[i]);
            rc = muse_record_end(agents[i], false, err);
        }
        any = any || waits;
    }
    for (size_t i = 0; i < n; i++) agents[i]->run = NULL;
    muse_free(sessions);
    muse_free(ids);
    return rc;
}

int muse_agent_run(MuseAgent *const *agents, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, agents && n > 0);
    for (size_t i = 0; i < n; i++) {
        MUSE_REQUIRE(err, agents[i]);
        for (size_t k = 0; k < i; k++) MUSE_REQUIRE(err, agents[k] != agents[i]);
    }
    MuseRun run = { 0 };
    return muse_agents_run(agents, n, &run, err);
}
