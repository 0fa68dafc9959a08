/* SPDX-License-Identifier: Apache-2.0 */
/* Computing a session's pending positions in chunks, and steps of several sessions at once.
 *
 *   positions --(token rows; patches and frames through the embedder)--> rows [n, D] --> decoder --> logits of the last one */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "libmuse/session/session.h"

/* ---- what is pending ---- */

void muse_session_block(const MuseSession *s, size_t i, size_t *begin, size_t *end)
{
    const MuseSpan *span = &s->seq->spans[muse_sequence_span_of(s->seq, i)];
    *begin = *end = i;
    if (s->mask == MUSE_MASK_CAUSAL || span->info.modality != MUSE_IMAGE) return;
    const size_t from = span->info.first + (span->begin_id >= 0), to = span->info.first + span->info.count - (span->end_id >= 0);
    if (i < from || i >= to) return;
    *begin = from;
    *end = to;
}

/* Everything that could fail on pending spans is looked at before any of them is computed. */
static int check_pending(const MuseSession *s, MuseError *err)
{
    const MuseConfig *c = &s->model->config;
    if (s->seq->length == 0) return muse_fail(err, MUSE_ERR_STATE, "the sequence is empty");
    if (s->seq->length > s->params.max_positions)
        return muse_fail(err, MUSE_ERR_LIMIT, "%zu positions are over the limit of %llu", s->seq->length, (unsigned long long)s->params.max_positions);
    if (s->kv.length == s->seq->length) return 0;
    for (size_t k = muse_sequence_span_of(s->seq, s->kv.length); k < s->seq->n_spans; k++) {
        const MuseSpan *span = &s->seq->spans[k];
        if (span->info.is_placeholder) return muse_fail(err, MUSE_ERR_STATE, "part %zu is a placeholder: there is nothing to compute from", k);
        if (span->info.modality == MUSE_ROWS && span->info.feature_width != c->width)
            return muse_fail(err, MUSE_ERR_ARG, "part %zu has rows of %zu values, the model's have %u", k, span->info.feature_width, c->width);
        for (size_t i = 0; i < span->n_ids; i++)
            if ((uint32_t)span->ids[i] >= c->vocab) return muse_fail(err, MUSE_ERR_ARG, "id %d in part %zu is beyond the model's %u tokens", span->ids[i], k, c->vocab);
        const int32_t markers[] = { span->begin_id, span->row_end_id, span->end_id };
        for (size_t i = 0; i < 3; i++)
            if (markers[i] >= 0 && (uint32_t)markers[i] >= c->vocab)
                return muse_fail(err, MUSE_ERR_ARG, "the marker %d of part %zu is beyond the model's %u tokens", markers[i], k, c->vocab);
    }
    return 0;
}

/* Where what other prompts will begin with may end: behind the last medium. A chunk ends there if somebody keeps prefixes and layers
 * have windows, because the pages that a prompt needs to go on from there are given back later. 0: nowhere. */
static size_t worth_keeping(const MuseSession *s)
{
    const MuseKvLayout *layout = muse_kv_layout(s->kv.pool);
    bool windows = false;
    for (uint32_t c = 0; c < layout->n_classes; c++) windows |= layout->window[c] > 0;
    for (size_t k = s->cache && windows ? s->seq->n_spans : 0; k-- > 0;)
        if (s->seq->spans[k].info.modality != MUSE_TEXT) return s->seq->spans[k].info.first + s->seq->spans[k].info.count;
    return 0;
}

/* Positions of the next chunk: never through a picture whose positions see each other. */
static size_t next_chunk(const MuseSession *s, size_t stop)
{
    const size_t from = s->kv.length, left = (stop > from ? stop : s->seq->length) - from;
    size_t n = left < s->params.chunk ? left : s->params.chunk, begin, end;
    if (n == left) return n;
    muse_session_block(s, from + n, &begin, &end);
    if (begin >= from + n) return n;
    return begin > from ? begin - from : end - from;
}

/* ---- rows ---- */

/* The stages of one chunk on their way to the caller */
typedef struct Seen {
    const MuseSession *s;
    size_t first;
    const char *medium;   /* "image" or "audio", or NULL */
    uint32_t number;
} Seen;

static void saw(void *user, const char *stage, const float *data, size_t rows, size_t width)
{
    const Seen *seen = user;
    char name[64];
    if (seen->medium) {
        snprintf(name, sizeof name, "%s%u.%s", seen->medium, seen->number, stage);
        stage = name;
    }
    seen->s->params.stage(seen->s->params.stage_user, stage, seen->first, data, rows, width);
}

/* n features of span k from index on, to rows */
static int embed_features(const MuseSession *s, MuseWorkspace *ws, size_t k, size_t index, size_t n, float *rows, const uint32_t *x, const uint32_t *y, MuseError *err)
{
    const MuseSpan *span = &s->seq->spans[k];
    Seen seen = { s, index, span->info.modality == MUSE_IMAGE ? "image" : "audio", span->info.number - 1 };
    const MuseStages stages = { s->params.stage ? saw : NULL, &seen };
    float *features = span->info.modality == MUSE_ROWS ? rows : muse_workspace_features(ws);
    const int rc = muse_sequence_features(s->seq, k, index, n, features, err);
    if (rc < 0 || span->info.modality == MUSE_ROWS) return rc;
    const MuseEmbed *e = muse_decoder_embed(s->decoder);
    if (span->info.modality == MUSE_IMAGE) return muse_embed_patches(e, rows, features, x, y, n, muse_workspace_embed(ws), &stages, err);
    muse_embed_frames(e, rows, features, n, muse_workspace_embed(ws), &stages);
    return 0;
}

static MuseRowPlace row_place(const MuseSession *s, size_t i, MusePlace p)
{
    size_t begin, end;
    muse_session_block(s, i, &begin, &end);
    return (MuseRowPlace){ (uint32_t)i, p.t, p.y, p.x, (uint32_t)begin, (uint32_t)end };
}

/* rows and places of the next n positions */
static int fill_rows(const MuseSession *s, MuseWorkspace *ws, size_t n, MuseError *err)
{
    const size_t width = s->model->config.width, most = muse_workspace_n(ws);
    float *rows = muse_workspace_rows(ws);
    MuseRowPlace *places = muse_workspace_places(ws);
    uint32_t *x = muse_workspace_grid(ws), *y = x + most;
    for (size_t j = 0; j < n;) {
        const size_t i = s->kv.length + j, k = muse_sequence_span_of(s->seq, i);
        const MuseSpan *span = &s->seq->spans[k];
        MusePlace p = muse_span_place(span, i - span->info.first);
        places[j] = row_place(s, i, p);
        if (p.is_marker || span->info.modality == MUSE_TEXT) {
            muse_embed_tokens(muse_decoder_embed(s->decoder), rows + j * width, &p.id, 1);
            j++;
            continue;
        }
        const size_t index = p.index, from = j;
        for (; j < n && !p.is_marker; j++) {   /* a run of features */
            places[j] = row_place(s, s->kv.length + j, p);
            x[j - from] = (uint32_t)p.x;
            y[j - from] = (uint32_t)p.y;
            const size_t next = s->kv.length + j + 1 - span->info.first;
            if (next == span->info.count) {
                j++;
                break;
            }
            p = muse_span_place(span, next);
        }
        const int rc = embed_features(s, ws, k, index, j - from, rows + from * width, x, y, err);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- chunks ---- */

static int give_logits(MuseSession *s, MuseWorkspace *ws, size_t n, MuseLogitsFn *each, void *user, MuseError *err)
{
    const size_t first = s->kv.length - n, vocab = s->model->config.vocab;
    float *logits = muse_workspace_logits(ws);
    for (size_t j = 0; j < n; j += MUSE_HEAD_ROWS) {
        const size_t rows = n - j < MUSE_HEAD_ROWS ? n - j : MUSE_HEAD_ROWS;
        muse_decoder_head(s->decoder, ws, j, rows, logits);
        if (s->params.stage) s->params.stage(s->params.stage_user, "logits", first + j, logits, rows, vocab);
        const int rc = each ? each(user, first + j, logits, rows, err) : 0;
        if (rc < 0) return rc;
        if (j + rows == n) memcpy(s->logits, logits + (rows - 1) * vocab, vocab * sizeof *logits);
    }
    return 0;
}

/* the newest position and its logits are computed; row: what the logits were made of */
static void note_newest(MuseSession *s, const float *row)
{
    memcpy(s->hidden, row, s->model->config.width * sizeof *row);
    s->has_logits = s->has_hidden = true;
    muse_session_saw(s);
}

static int run_chunk(MuseSession *s, size_t n, MuseLogitsFn *each, void *user, MuseError *err)
{
    const bool last = s->kv.length + n == s->seq->length, all = each || s->params.stage;
    MuseWorkspace *ws;
    int rc = muse_workspace_take(&ws, s->decoder, n, err);
    if (rc < 0) return rc;
    if (muse_workspace_bytes(ws) > s->workspace_bytes) s->workspace_bytes = muse_workspace_bytes(ws);
    rc = muse_kv_reserve(&s->kv, n, true, err);
    if (rc == 0) rc = fill_rows(s, ws, n, err);
    if (rc == 0) {
        Seen seen = { s, s->kv.length, NULL, 0 };
        const MuseStages stages = { s->params.stage ? saw : NULL, &seen };
        if (stages.fn) saw(&seen, "embeddings", muse_workspace_rows(ws), n, s->model->config.width);
        const MuseSlot slot = { &s->kv, 0, n, last ? muse_session_watch_of(s) : NULL };
        const MuseBatch batch = { .slots = &slot, .n_slots = 1, .n_rows = n, .places = muse_workspace_places(ws), .mask = s->mask,
            .first_wanted = all ? 0 : last ? n - 1 : n, .stages = &stages, .cancel = muse_session_asks_to_stop, .cancel_user = s };
        rc = muse_decoder_forward(s->decoder, ws, &batch, err);
    }
    if (rc == 0 && all) rc = give_logits(s, ws, n, each, user, err);
    else if (rc == 0 && last) muse_decoder_head(s->decoder, ws, n - 1, 1, s->logits);
    s->has_logits = false;
    if (rc == 0 && last) note_newest(s, muse_workspace_rows(ws) + (n - 1) * s->model->config.width);
    muse_workspace_give(s->decoder, &ws);
    return rc;
}

int muse_session_compute(MuseSession *s, MuseLogitsFn *each, void *user, MuseError *err)
{
    muse_session_sync(s);
    int rc = check_pending(s, err);
    if (rc < 0) return rc;
    if (s->kv.length == s->seq->length) {   /* computed, but the logits are another position's: once more from where that is allowed */
        if (s->has_logits) return 0;
        size_t begin, end;
        muse_session_block(s, s->seq->length - 1, &begin, &end);
        if (!muse_kv_rewind(&s->kv, begin)) muse_kv_clear(&s->kv);
    }
    if (s->kv.length == 0) {
        s->foreign = false;
        s->reused = 0;
        if (s->cache && !s->params.stage) muse_prefix_cache_find(s->cache, s);   /* who looks at stages sees every position */
    }
    const size_t keep = worth_keeping(s);
    while (rc == 0 && s->kv.length < s->seq->length) {
        if (muse_session_asks_to_stop(s)) rc = muse_fail(err, MUSE_ERR_CANCELLED, "cancelled after %zu of %zu positions", s->kv.length, s->seq->length);
        else rc = run_chunk(s, next_chunk(s, keep), each, user, err);
        if (rc == 0 && s->kv.length == keep) muse_prefix_cache_keep(s->cache, s);
        if (rc == 0 && s->params.progress && s->params.progress(s->params.progress_user, s->kv.length, s->seq->length) && s->kv.length < s->seq->length)
            rc = muse_fail(err, MUSE_ERR_CANCELLED, "stopped after %zu of %zu positions", s->kv.length, s->seq->length);
    }
    if (rc == MUSE_ERR_CANCELLED) atomic_store(s->stop, 0);
    return rc;
}

int muse_session_prefill(MuseSession *s, MuseError *err)
{
    MUSE_REQUIRE(err, s);
    muse_session_sync(s);
    const bool fresh = s->kv.length < s->seq->length;
    const size_t promised = s->kv.promised;
    int rc = muse_session_compute(s, NULL, NULL, err);
    if (rc == 0 && fresh && s->cache) muse_prefix_cache_keep(s->cache, s);
    /* steps were promised pages before chunks took them, the cache replaced them or came to share them */
    if (rc == 0 && promised > s->kv.length) rc = muse_kv_reserve(&s->kv, promised - s->kv.length, false, err);
    return rc;
}

/* ---- steps ---- */

int muse_session_check_batch(MuseSession *const *sessions, size_t n, MuseError *err)
{
    for (size_t i = 0; i < n; i++) {
        MuseSession *s = sessions[i];
        MUSE_REQUIRE(err, s);
        if (s->decoder != sessions[0]->decoder || s->params.kv != sessions[0]->params.kv)
            return muse_fail(err, MUSE_ERR_ARG, "sessions 0 and %zu are of different models or modes", i);
        s->batch = (uint32_t)i;
    }
    for (size_t i = 0; i < n; i++)
        if (sessions[i]->batch != (uint32_t)i) return muse_fail(err, MUSE_ERR_ARG, "session %zu is given twice", i);
    return 0;
}

/* everything before the id is computed, the id is appended, its page is there */
static int prepare_step(MuseSession *s, int32_t id, MuseError *err)
{
    muse_session_sync(s);
    int rc = s->kv.length < s->seq->length ? muse_session_prefill(s, err) : 0;
    if (rc == 0 && s->seq->length >= s->params.max_positions)
        rc = muse_fail(err, MUSE_ERR_LIMIT, "the limit of %llu positions is reached", (unsigned long long)s->params.max_positions);
    if (rc == 0) rc = muse_kv_reserve(&s->kv, 1, true, err);
    return rc == 0 ? muse_sequence_push_id(s->seq, id, err) : rc;
}

typedef struct Cancel {
    MuseSession *const *sessions;
    size_t n;
} Cancel;

static int any_asks_to_stop(void *user)
{
    const Cancel *c = user;
    for (size_t i = 0; i < c->n; i++)
        if (muse_session_asks_to_stop(c->sessions[i])) return 1;
    return 0;
}

static int run_steps(MuseSession *const *sessions, size_t n, MuseWorkspace *ws, MuseError *err)
{
    const MuseDecoder *d = sessions[0]->decoder;
    const size_t vocab = sessions[0]->model->config.vocab, width = sessions[0]->model->config.width;
    MuseSlot *slots = muse_workspace_slots(ws);
    MuseRowPlace *places = muse_workspace_places(ws);
    float *rows = muse_workspace_rows(ws), *logits = muse_workspace_logits(ws);
    for (size_t i = 0; i < n; i++) {
        MuseSession *s = sessions[i];
        const MuseSpan *span = &s->seq->spans[s->seq->n_spans - 1];
        const MusePlace p = muse_span_place(span, span->info.count - 1);
        places[i] = row_place(s, s->seq->length - 1, p);
        slots[i] = (MuseSlot){ &s->kv, i, 1, muse_session_watch_of(s) };
        muse_embed_tokens(muse_decoder_embed(d), rows + i * width, &p.id, 1);
        if (muse_workspace_bytes(ws) > s->workspace_bytes) s->workspace_bytes = muse_workspace_bytes(ws);
    }
    Cancel cancel = { sessions, n };
    const MuseBatch batch = { .slots = slots, .n_slots = n, .n_rows = n, .places = places, .mask = MUSE_MASK_CAUSAL, .cancel = any_asks_to_stop, .cancel_user = &cancel };
    const int rc = muse_decoder_forward(d, ws, &batch, err);
    if (rc < 0) return rc;
    if (n == 1) {
        muse_decoder_head(d, ws, 0, 1, sessions[0]->logits);
    } else for (size_t i = 0; i < n; i++) {
        const size_t j = i % MUSE_HEAD_ROWS, left = n - i;
        if (j == 0) muse_decoder_head(d, ws, i, left < MUSE_HEAD_ROWS ? left : MUSE_HEAD_ROWS, logits);
        memcpy(sessions[i]->logits, logits + j * vocab, vocab * sizeof *logits);
    }
    for (size_t i = 0; i < n; i++) note_newest(sessions[i], rows + i * width);
    return 0;
}

int muse_session_advance(MuseSession *const *sessions, const int32_t *ids, size_t n, MuseError *err)
{
    int rc = 0;
    size_t ready = 0;
    while (rc == 0 && ready < n) {
        rc = prepare_step(sessions[ready], ids[ready], err);
        ready += rc == 0;
    }
    MuseWorkspace *ws = NULL;
    if (rc == 0) rc = muse_workspace_take(&ws, sessions[0]->decoder, n, err);
    if (rc == 0) rc = run_steps(sessions, n, ws, err);
    if (ws) muse_workspace_give(sessions[0]->decoder, &ws);
    if (rc == 0) return 0;
    for (size_t i = 0; i < ready; i++) {   /* the ids are taken back */
        muse_sequence_truncate(sessions[i]->seq, sessions[i]->seq->length - 1, NULL);
        sessions[i]->seq->low = SIZE_MAX;
    }
    return rc;
}

int muse_session_step_batch(MuseSession *const *sessions, const int32_t *ids, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, sessions && ids && n > 0 && n <= UINT32_MAX);
    int rc = muse_session_check_batch(sessions, n, err);
    const uint32_t vocab = rc == 0 ? sessions[0]->model->config.vocab : 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= vocab) rc = muse_fail(err, MUSE_ERR_ARG, "id %d is not among the model's %u tokens", ids[i], vocab);
    if (rc == 0) rc = muse_session_advance(sessions, ids, n, err);
    for (size_t i = 0; rc == MUSE_ERR_CANCELLED && i < n; i++) atomic_store(&sessions[i]->cancel, 0);
    return rc;
}

int muse_session_step(MuseSession *s, int32_t id, MuseError *err)
{
    MUSE_REQUIRE(err, s);
    return muse_session_step_batch(&s, &id, 1, err);
}
