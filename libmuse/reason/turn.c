/* SPDX-License-Identifier: Apache-2.0 */
/* The next turn of a conversation on the same agent: the turn before is closed in the format's words, a user's message follows, counts begin
 * anew. Nothing is computed here. Called by programs. */
#include "base/params.h"
#include "libmuse/reason/record.h"

enum { STOPS_MAX = 64 };

void muse_turn_params_init(MuseTurnParams *params) { MUSE_PARAMS_INIT(params); }

static bool turn_is_read(MuseAgent *a)
{
    MuseChatItem item;
    return muse_chat_parser_next(a->parser, &item) == MUSE_DONE;   /* all else was taken when it came */
}

/* ids that were not computed, or are the format's: into the sequence, and read as if they had been written */
static int write_ids(MuseAgent *a, const int32_t *ids, size_t n, MuseError *err)
{
    bool end;
    int reason;
    if (muse_buf_append(&a->ids, ids, n * sizeof *ids) < 0) return MUSE_NOMEM(err, n * sizeof *ids);
    int rc = muse_sequence_append_ids(muse_session_sequence(a->s), ids, n, err);
    if (rc < 0) {
        a->ids.len -= n * sizeof *ids;
        return rc;
    }
    a->forced_tokens += n;
    rc = muse_chat_parser_feed_ids(a->parser, ids, n, NULL, err);
    return rc == 0 ? muse_agent_drain(a, &end, &reason, err) : rc;
}

/* A turn that was stopped or ran out of tokens gets its end: that of the thought, and the format's. */
static int close_turn(MuseAgent *a, MuseError *err)
{
    int32_t stops[STOPS_MAX];
    size_t n = 0;
    int rc = 0;
    bool end;
    int reason;
    if (a->pending) {   /* written, but the step that would have computed it was cancelled */
        rc = muse_sequence_append_ids(muse_session_sequence(a->s), muse_agent_id(a, muse_agent_count(a) - 1), 1, err);
        a->pending = rc < 0;
    }
    if (rc == 0 && !turn_is_read(a) && muse_chat_parser_in_thought(a->parser) && a->shared->close) rc = write_ids(a, a->shared->close, a->shared->n_close, err);
    if (rc < 0 || turn_is_read(a)) return rc;
    rc = muse_chat_stop_ids(a->shared->format, muse_session_tokenizer(a->s), stops, STOPS_MAX, &n, err);
    if (rc == 0) rc = write_ids(a, stops, 1, err);
    if (rc == 0) rc = muse_chat_parser_finish(a->parser, err);
    return rc == 0 ? muse_agent_drain(a, &end, &reason, err) : rc;
}

void muse_agent_begin_answer(MuseAgent *a, uint32_t image)
{
    muse_chain_begin(&a->chain);
    a->chain.image = a->first_picture = image;
    a->thought.len = a->answer.len = 0;
    a->text_from = muse_agent_count(a);
    a->prompt = muse_sequence_length(muse_session_sequence(a->s));
    a->asked_pictures = a->n_pictures;
    a->thought_tokens = a->answer_tokens = 0;
    a->answer_logprob = 0;
    a->n_answer_ids = 0;
    a->answer_id = a->answer_position = a->thought_id = a->thought_position = SIZE_MAX;
    a->cited = (MuseFocus){ 0 };
    a->again = 0;
    a->closing = a->ended_early = a->pending = a->look_due = a->calls_due = false;
    a->ending = 0;
    a->finish = MUSE_AGENT_RUNNING;
}

static void begin_anew(MuseAgent *a, const MuseTurnParams *p, uint32_t image)
{
    muse_agent_begin_answer(a, image);
    muse_agent_calls_clear(a);
    a->forced.len = a->forced_at = a->script.len = a->script_at = a->n_exact = 0;
    a->forced_tokens = a->view_positions = 0;
    a->thought_max = p->thought_tokens ? p->thought_tokens : a->shared->p.thought_tokens;
    a->looks = a->refused = a->bad = a->calls_made = a->asked = 0;
    if (p->thinking) a->doubt = p->doubt;
    a->direct.len = 0;
    a->direct_probability = 0;
    a->direct_tokens = a->direct_thought = 0;
    a->doubted = false;
}

/* the user's message behind the model's; *k: its number */
static int add_messages(MuseAgent *a, const MuseReasonPart *parts, size_t n, size_t *k, MuseError *err)
{
    int rc = muse_chat_add_parsed(a->chat, a->parser, err);
    *k = muse_chat_length(a->chat);
    if (rc == 0) rc = muse_chat_add(a->chat, MUSE_ROLE_USER, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = muse_agent_add_part(a, a->chat, &parts[i], err);
        if (rc < 0) muse_fail_prefix(err, rc, "part %zu", i);
    }
    return rc;
}

/* which picture places mean: the first new one */
static uint32_t first_picture(const MuseAgent *a, size_t before) { return before < a->n_pictures ? (uint32_t)before + 1 : a->chain.image; }

static int import_turn(const MuseAgent *a, MuseTurnParams *p, const MuseTurnParams *params, MuseError *err)
{
    const int rc = MUSE_PARAMS_IMPORT(p, params, "MuseTurnParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p->thinking >= MUSE_THINKING_DEFAULT && p->thinking <= MUSE_THINKING_OFF && muse_agent_may_doubt(p->doubt, p->thinking));
    if (a->broken || !a->finish) return muse_fail(err, MUSE_ERR_STATE, "agent %u %s", a->number, a->broken ? "failed before" : "has not ended");
    const MuseChatFormat *f = muse_agent_chat(a)->format;
    return p->thinking == MUSE_THINKING_ON && !f->thinking ? muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no thoughts", f->name) : 0;
}

int muse_agent_ask(MuseAgent *a, const MuseReasonPart *parts, size_t n_parts, const MuseTurnParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, a && parts && n_parts > 0);
    MuseTurnParams p;
    size_t k = 0;
    int rc = import_turn(a, &p, params, err);
    if (rc == 0) rc = close_turn(a, err);
    if (rc == 0 && !a->chat) rc = muse_chat_copy(&a->chat, a->shared->chat, err);
    if (rc < 0) return rc;
    const size_t messages = muse_chat_length(a->chat), pictures = a->n_pictures;
    const bool thinking = a->chat->thinking;
    if (p.thinking || a->doubted) a->chat->thinking = p.thinking == MUSE_THINKING_ON;   /* DEFAULT, as before: at once, and in doubt again */
    rc = add_messages(a, parts, n_parts, &k, err);
    if (rc == 0) rc = muse_chat_append(a->chat, muse_session_sequence(a->s), k, err);
    if (rc < 0) {   /* as if nothing had been asked */
        while (muse_chat_length(a->chat) > messages) muse_chat_drop_newest(a->chat);
        while (a->n_pictures > pictures) muse_image_close(&a->pictures[--a->n_pictures].image);
        a->chat->thinking = thinking;
        return rc;
    }
    begin_anew(a, &p, first_picture(a, pictures));
    a->broken = true;   /* until all of it is there */
    if (a->answerer) rc = muse_agent_open_samplers(a, err);   /* its grammar begins anew too */
    if (rc == 0) rc = muse_agent_start_turn(a, err);
    muse_record_close(a);
    a->started = muse_reason_now();
    a->trace = p.trace;   /* the one before may be closed now */
    a->trace_first = 0;
    if (rc == 0) rc = muse_record_open(a, err);
    a->broken = rc < 0;
    return rc;
}
