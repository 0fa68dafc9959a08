/* SPDX-License-Identifier: Apache-2.0 */
/* One session's generation, token by token.
 *
 *   logits -> sampler -> id --(stop id?)--> bytes -> whole characters -> without stop strings -> text, token function */
#include "libmuse/generate/generation.h"

#include <string.h>

#include "base/params.h"
#include "libmuse/sample/sampler.h"

/* tokens that room is made for at a time; bytes of text taken for each to begin with */
enum { SLAB = 256, TOKEN_BYTES = 8, CHAT_STOPS_MAX = 16 };

/* ---- opening ---- */

static bool penalties(const MuseSampleParams *p) { return (p->repetition > 0 && p->repetition != 1) || p->presence != 0 || p->frequency != 0; }

/* the text tokens that the session holds, to the penalties */
static int show_prompt(MuseGeneration *g, MuseError *err)
{
    MuseSequence *seq = g->s->seq;
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < seq->n_spans; k++)
        if (seq->spans[k].n_ids) rc = muse_sampler_observe(g->own, seq->spans[k].ids, seq->spans[k].n_ids, err);
    return rc;
}

static int open_sampler(MuseGeneration *g, MuseError *err)
{
    const MuseModel *m = g->s->model;
    if (g->p.sampler) {
        const uint32_t read = muse_sampler_vocab(g->p.sampler);
        if (read > m->config.vocab) return muse_fail(err, MUSE_ERR_ARG, "the sampler reads %u logits, but the model has %u", read, m->config.vocab);
        g->sampler = g->p.sampler;
        return 0;
    }
    MuseSampleParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, g->p.sample, "MuseSampleParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.suppress || p.n_suppress == 0);
    const bool own = g->p.suppress || g->p.n_suppress;
    const int32_t *more = own ? g->p.suppress : m->config.suppress.ids;
    const size_t n_more = own ? g->p.n_suppress : m->config.suppress.n;
    int32_t *both = NULL;
    if (n_more) {
        if (n_more > SIZE_MAX - p.n_suppress) return muse_fail(err, MUSE_ERR_ARG, "%zu suppressed ids", n_more);
        both = muse_alloc_array(&m->rt->alloc, p.n_suppress + n_more, sizeof *both);
        if (!both) return MUSE_NOMEM(err, n_more * sizeof *both);
        if (p.n_suppress) memcpy(both, p.suppress, p.n_suppress * sizeof *both);
        memcpy(both + p.n_suppress, more, n_more * sizeof *both);
        p.suppress = both;
        p.n_suppress += n_more;
    }
    rc = muse_sampler_open(&g->own, m->rt, m->config.vocab, &p, err);
    muse_free(both);
    g->sampler = g->own;
    return rc == 0 && penalties(&p) ? show_prompt(g, err) : rc;
}

/* the caller's ids, or the model's and the chat format's */
static int stop_ids(const MuseGeneration *g, int32_t *room, size_t cap, const int32_t **ids, size_t *n, MuseError *err)
{
    const MuseIds *eos = &g->s->model->config.eos;
    const MuseTextTokenizer *tok = g->s->seq->tokenizer;
    MuseTextInfo info;
    *ids = g->p.stop_ids;
    *n = g->p.n_stop_ids;
    if (g->p.stop_ids || g->p.n_stop_ids) return 0;
    *ids = room;
    memcpy(room, eos->ids, eos->n * sizeof *room);
    *n = eos->n;
    if (*n == 0 && tok && muse_text_info(tok, &info) == 0 && info.eos >= 0) room[(*n)++] = info.eos;
    if (!g->p.chat_format) return 0;
    size_t more;
    const int rc = tok ? muse_chat_stop_ids(g->p.chat_format, tok, room + *n, cap - *n, &more, err)
                       : muse_fail(err, MUSE_ERR_UNSUPPORTED, "a chat format needs the model's tokenizer");
    if (rc == 0) *n += more;
    return rc;
}

static int open_stop(MuseGeneration *g, MuseError *err)
{
    const MuseAllocator *a = &g->s->model->rt->alloc;
    int32_t room[MUSE_IDS_MAX + 1 + CHAT_STOPS_MAX];
    const int32_t *ids;
    size_t n_ids, *sizes = NULL;
    int rc = stop_ids(g, room, sizeof room / sizeof *room, &ids, &n_ids, err);
    if (rc < 0) return rc;
    if (g->p.n_stop && !g->s->seq->tokenizer) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "stop strings need the model's tokenizer");
    if (g->p.n_stop && !g->p.stop_sizes) {
        sizes = muse_alloc_array(a, g->p.n_stop, sizeof *sizes);
        if (!sizes) return MUSE_NOMEM(err, g->p.n_stop * sizeof *sizes);
        for (size_t i = 0; i < g->p.n_stop; i++) sizes[i] = g->p.stop[i] ? strlen(g->p.stop[i]) : 0;
    }
    rc = muse_stop_open(&g->stop, g->s->model->rt, ids, n_ids, g->p.stop, sizes ? sizes : g->p.stop_sizes, g->p.n_stop, err);
    muse_free(sizes);
    return rc;
}

int muse_generation_open(MuseGeneration *g, MuseSession *s, const MuseGenerateParams *params, MuseGenerateResult *out, MuseError *err)
{
    *g = (MuseGeneration){ .s = s, .out = out };
    int rc = MUSE_PARAMS_IMPORT(&g->p, params, "MuseGenerateParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, (g->p.suppress || !g->p.n_suppress) && (g->p.stop_ids || !g->p.n_stop_ids) && (g->p.stop || !g->p.n_stop));
    g->text.alloc = &s->model->rt->alloc;
    out->prompt_tokens = s->seq->length;
    rc = muse_buf_append(&g->text, "", 1) < 0 ? MUSE_NOMEM(err, 1) : open_sampler(g, err);
    if (rc == 0) rc = open_stop(g, err);
    if (rc == 0 && s->seq->tokenizer) rc = muse_text_decoder_open(&g->decoder, s->seq->tokenizer, MUSE_TEXT_CONTINUE, err);
    return rc;
}

/* ---- text ---- */

/* Text that is certain, to the result and the token function. Asked to stop: done. */
static int give(MuseGeneration *g, int32_t id, const char *text, size_t n, MuseError *err)
{
    if (muse_buf_reserve(&g->text, n) < 0) return MUSE_NOMEM(err, n);
    g->text.len--;   /* the terminator */
    if (n) muse_buf_append(&g->text, text, n);
    muse_buf_append(&g->text, "", 1);
    const MuseGenerated seen = { g->out->n - 1, id, id < 0 ? 0 : g->out->logprobs[g->out->n - 1], n ? text : "", n };
    return g->p.token && g->p.token(g->p.token_user, &seen) ? 1 : 0;
}

/* Bytes on their way through the stop strings: 0 or MUSE_DONE, with what came out */
static int pass(MuseGeneration *g, const char *bytes, size_t n, const char **text, size_t *n_text, MuseError *err)
{
    MuseStopHit hit;
    const int rc = muse_stop_push(g->stop, bytes, n, text, n_text, &hit, err);
    if (rc == MUSE_DONE) g->out->stop = hit.string;
    return rc;
}

int muse_generation_end(MuseGeneration *g, int finish, MuseError *err)
{
    const char *text = "";
    size_t n = 0;
    int rc = 0;
    g->done = true;
    g->out->finish = finish;
    if (finish != MUSE_FINISH_STRING && g->decoder) {
        rc = muse_text_decoder_flush(g->decoder, &text, &n, err);   /* half a character, as it is */
        if (rc == 0) rc = pass(g, text, n, &text, &n, err);
        if (rc == 0 && n) rc = give(g, -1, text, n, err) < 0 ? MUSE_ERR_NOMEM : 0;
        if (rc == 0) rc = muse_stop_flush(g->stop, &text, &n, err);
    } else n = 0;
    if (rc >= 0 && n) rc = give(g, -1, text, n, err);
    return rc < 0 ? rc : 0;
}

/* ---- tokens ---- */

static int make_room(MuseGeneration *g, MuseError *err)
{
    const MuseAllocator *a = &g->s->model->rt->alloc;
    if (g->out->n < g->cap) return 0;
    const size_t more = g->most - g->cap < SLAB ? (size_t)(g->most - g->cap) : SLAB;
    int32_t *ids = muse_realloc_array(a, g->out->ids, g->cap + more, sizeof *ids);
    if (ids) g->out->ids = ids;
    float *logprobs = muse_realloc_array(a, g->out->logprobs, g->cap + more, sizeof *logprobs);
    if (logprobs) g->out->logprobs = logprobs;
    if (!ids || !logprobs || muse_buf_reserve(&g->text, more * TOKEN_BYTES) < 0) return MUSE_NOMEM(err, more * (sizeof *ids + sizeof *logprobs + TOKEN_BYTES));
    const int rc = muse_session_reserve(g->s, more, err);
    if (rc == 0) g->cap += more;
    return rc;
}

static bool cancelled(const MuseGeneration *g) { return muse_session_asks_to_stop(g->s) || (g->p.cancel && g->p.cancel(g->p.cancel_user)); }

static int end_cancelled(MuseGeneration *g, MuseError *err)
{
    atomic_store(g->s->stop, 0);
    return muse_generation_end(g, MUSE_FINISH_CANCELLED, err);
}

int muse_generation_start(MuseGeneration *g, MuseError *err)
{
    MuseError why;
    if (cancelled(g)) return end_cancelled(g, err);
    const int rc = muse_session_prefill(g->s, &why);
    if (rc == MUSE_ERR_CANCELLED) return end_cancelled(g, err);
    if (rc < 0) return muse_fail_copy(err, &why);
    const uint64_t room = g->s->params.max_positions - g->s->seq->length;
    g->most = g->p.max_tokens && g->p.max_tokens < room ? g->p.max_tokens : room;
    return g->most == 0 ? muse_generation_end(g, MUSE_FINISH_FULL, err) : 0;
}

/* what the newest token ends, before its text is known; MUSE_FINISH_NONE: nothing */
static int finish_of(const MuseGeneration *g, int32_t id)
{
    if (muse_stop_is_id(g->stop, id) || muse_sampler_ended(g->sampler)) return MUSE_FINISH_ID;
    if (muse_sampler_must_end(g->sampler)) return MUSE_FINISH_GRAMMAR;
    if (g->out->n < g->most) return MUSE_FINISH_NONE;
    return g->most == g->p.max_tokens ? MUSE_FINISH_LENGTH : MUSE_FINISH_FULL;
}

int muse_generation_take(MuseGeneration *g, MuseError *err)
{
    MuseSampled picked;
    const char *text = "";
    size_t n = 0;
    if (cancelled(g)) return end_cancelled(g, err);
    int rc = make_room(g, err);
    if (rc == 0) rc = muse_sampler_pick(g->sampler, muse_session_logits(g->s), &picked, err);
    if (rc == 0) rc = muse_sampler_accept(g->sampler, picked.id, err);
    if (rc < 0) return rc;
    g->out->ids[g->out->n] = picked.id;
    g->out->logprobs[g->out->n++] = picked.logprob;
    g->pending = true;
    int finish = finish_of(g, picked.id);
    if (g->decoder && finish != MUSE_FINISH_ID) {
        rc = muse_text_decoder_push(g->decoder, picked.id, &text, &n, err);
        if (rc == MUSE_ERR_NOT_FOUND) rc = 0;   /* models have more rows than tokenizers have tokens: an id without text */
        if (rc == 0 && (rc = pass(g, text, n, &text, &n, err)) == MUSE_DONE) finish = MUSE_FINISH_STRING;
        if (rc < 0) return rc;
    }
    rc = give(g, picked.id, text, n, err);
    if (rc == 1 && finish == MUSE_FINISH_NONE) finish = MUSE_FINISH_CANCELLED;
    return rc < 0 ? rc : finish != MUSE_FINISH_NONE ? muse_generation_end(g, finish, err) : 0;
}

/* ---- closing ---- */

int muse_generation_settle(MuseGeneration *g, MuseError *err)
{
    const int rc = g->pending ? muse_sequence_push_id(g->s->seq, g->out->ids[g->out->n - 1], err) : 0;
    g->pending = false;
    g->out->text = (char *)g->text.data;
    g->out->n_text = g->text.data ? g->text.len - 1 : 0;
    g->text = (MuseBuf){ .alloc = g->text.alloc };
    return rc;
}

void muse_generation_close(MuseGeneration *g)
{
    muse_sampler_close(&g->own);
    muse_stop_close(&g->stop);
    muse_text_decoder_close(&g->decoder);
    muse_buf_clear(&g->text);
}
