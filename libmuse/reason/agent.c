/* SPDX-License-Identifier: Apache-2.0 */
/* Life of an agent: prompt, fork, what it keeps and tells. What it writes: run.c. */
#include "libmuse/reason/agent.h"

#include <math.h>

#include "base/params.h"
#include "libmuse/reason/record.h"

enum { THOUGHT_TOKENS = 512, ANSWER_TOKENS = 256, LOOKS = 8, CALLS = 16, ANSWER_ROOM = 32 };

void muse_agent_params_init(MuseAgentParams *params) { MUSE_PARAMS_INIT(params); }

/* ---- what forks share ---- */

static void shared_release(MuseAgentShared *sh)
{
    if (!sh || atomic_fetch_sub(&sh->refs, 1) != 1) return;
    MuseRuntime *rt = sh->rt;
    muse_chat_close(&sh->chat);
    muse_free(sh->close);
    muse_free(sh->masked);
    muse_call_grammar_close(&sh->calls);
    muse_model_close(&sh->model);
    muse_free(sh);
    muse_runtime_close(&rt);
}

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    const MuseAgentShared *sh = user;
    if (sh->progress && sh->progress(sh->progress_user, done, total)) return 1;
    return sh->p.cancel && sh->p.cancel(sh->p.cancel_user);
}

static int import_params(MuseAgentShared *sh, const MuseAgentParams *params, MuseError *err)
{
    MuseAgentParams *p = &sh->p;
    int rc = MUSE_PARAMS_IMPORT(p, params, "MuseAgentParams", err);
    if (rc == 0) rc = MUSE_PARAMS_IMPORT(&sh->sample, p->sample, "MuseSampleParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, muse_agent_may_doubt(p->doubt, p->thinking));
    if (!p->thought_tokens) p->thought_tokens = THOUGHT_TOKENS;
    if (!p->answer_tokens) p->answer_tokens = ANSWER_TOKENS;
    if (!p->looks) p->looks = LOOKS;
    if (!p->look_positions) p->look_positions = UINT32_MAX;
    if (!p->look_budget) p->look_budget = MUSE_BUDGET_AUTO;
    if (!p->calls) p->calls = CALLS;
    sh->grammar = sh->sample.grammar;
    sh->sample.grammar = NULL;
    sh->sample.struct_size = sizeof sh->sample;
    p->sample = NULL;   /* the caller's stays its own */
    return 0;
}

/* ids that end a turn: the model's and the format's */
static int find_stops(MuseAgentShared *sh, const MuseModelInfo *info, const MuseTextTokenizer *tok, MuseError *err)
{
    for (size_t i = 0; i < info->n_eos && sh->n_stop < MUSE_STOP_IDS_MAX / 2; i++) sh->stop[sh->n_stop++] = info->eos[i];
    size_t n = 0;
    int rc = muse_chat_stop_ids(sh->format, tok, sh->stop + sh->n_stop, MUSE_STOP_IDS_MAX - sh->n_stop, &n, err);
    sh->n_stop += n;
    if (rc == MUSE_ERR_NOT_FOUND && sh->n_stop) rc = 0;
    if (rc < 0) return rc;
    rc = muse_chat_close_thought(sh->format, tok, sh->p.close_words, &sh->close, &sh->n_close, err);
    return rc == MUSE_ERR_UNSUPPORTED || rc == MUSE_ERR_NOT_FOUND ? 0 : rc;
}

/* what ends a thought in this format: a token of its own, or -1 */
static int32_t find_think_end(const MuseChatFormat *f, const MuseTextTokenizer *tok)
{
    for (size_t i = 0; f && i < f->n_controls; i++)
        if (f->controls[i].role == MUSE_TOKEN_THINK_END) return muse_text_find(tok, f->controls[i].text, strlen(f->controls[i].text));
    return -1;
}

static int shared_open(MuseAgentShared **out, MuseModel *model, const MuseAgentParams *params, MuseError *err)
{
    MuseAgentShared *sh = muse_zalloc(&model->rt->alloc, sizeof *sh);
    *out = sh;
    if (!sh) return MUSE_NOMEM(err, sizeof *sh);
    atomic_init(&sh->refs, 1);
    sh->rt = muse_runtime_ref(model->rt);
    sh->model = muse_model_ref(model);
    sh->vocab = model->config.vocab;
    sh->masked = muse_alloc_array(&sh->rt->alloc, sh->vocab, sizeof *sh->masked);
    return sh->masked ? import_params(sh, params, err) : MUSE_NOMEM(err, sh->vocab * sizeof *sh->masked);
}

/* ---- the prompt ---- */

static uint32_t count_given(const MuseAgent *a)
{
    uint32_t n = 0;
    for (size_t i = 0; i < a->n_pictures; i++) n += a->pictures[i].given;
    return n;
}

int muse_agent_add_part(MuseAgent *a, MuseChat *chat, const MuseReasonPart *p, MuseError *err)
{
    MuseImageOptions options;
    muse_image_options_init(&options);
    options.budget = p->budget;
    switch (p->modality) {
    case MUSE_TEXT:
        MUSE_REQUIRE(err, p->text);
        return muse_chat_add_text(chat, p->text, p->n ? p->n : strlen(p->text), err);
    case MUSE_AUDIO: return muse_chat_add_audio(chat, p->audio, err);
    case MUSE_IMAGE: {
        const int rc = muse_chat_add_image(chat, p->image, &options, err);
        return rc < 0 ? rc : muse_agent_add_picture(a, (MusePicture){ .image = p->image, .origin = count_given(a) + 1, .given = true }, err);
    }
    default: return muse_fail(err, MUSE_ERR_ARG, "%d is no modality of a part", p->modality);
    }
}

static int add_tools(const MuseAgent *a, MuseError *err)
{
    MuseAgentShared *sh = a->shared;
    int rc = 0;
    MuseToolSpec t;
    for (size_t i = 0; rc == 0 && muse_tools_at(sh->p.tools, i, &t) == 0; i++)
        rc = muse_chat_add_tool(sh->chat, t.name, t.description, t.parameters, t.parameters ? strlen(t.parameters) : 0, err);
    if (rc < 0 || sh->chains || sh->p.no_look || !a->n_pictures) return rc;
    const MuseChatFormat *f = muse_chat_format_find(sh->format);
    if (!f->read_call || !f->images) return 0;
    sh->offers_look = true;
    return muse_agent_offer_look(sh->chat, err);
}

static int make_prompt(MuseAgent *a, const MuseReasonPart *parts, size_t n, MuseError *err)
{
    MuseAgentShared *sh = a->shared;
    MuseChatParams p;
    muse_chat_params_init(&p);
    p.format = sh->format;
    p.thinking = sh->p.thinking;
    int rc = muse_chat_open(&sh->chat, sh->rt, &p, err);
    if (rc == 0 && sh->p.system) {
        rc = muse_chat_add(sh->chat, MUSE_ROLE_SYSTEM, err);
        if (rc == 0) rc = muse_chat_add_text(sh->chat, sh->p.system, strlen(sh->p.system), err);
    }
    if (rc == 0) rc = muse_chat_add(sh->chat, MUSE_ROLE_USER, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = muse_agent_add_part(a, sh->chat, &parts[i], err);
        if (rc < 0) muse_fail_prefix(err, rc, "part %zu", i);
    }
    if (rc == 0) rc = add_tools(a, err);
    return rc == 0 ? muse_chat_append(sh->chat, muse_session_sequence(a->s), 0, err) : rc;
}

/* ---- open, close, fork ---- */

static MuseAgent *new_agent(MuseAgentShared *sh)
{
    const MuseAllocator *alloc = &sh->rt->alloc;
    MuseAgent *a = muse_zalloc(alloc, sizeof *a);
    if (!a) return NULL;
    a->shared = sh;
    a->ids.alloc = a->forced.alloc = a->script.alloc = a->thought.alloc = a->answer.alloc = a->direct.alloc = alloc;
    a->answer_id = a->answer_position = a->thought_id = a->thought_position = SIZE_MAX;
    a->thought_max = sh->p.thought_tokens;
    a->first_picture = 1;
    muse_chain_begin(&a->chain);
    return a;
}

int muse_agent_open_samplers(MuseAgent *a, MuseError *err)
{
    muse_sampler_close(&a->sampler);
    muse_sampler_close(&a->answerer);
    const MuseAgentShared *sh = a->shared;
    MuseSampleParams p = sh->sample;
    MuseModelInfo info;
    muse_model_info(sh->model, &info);
    if (!p.suppress) {
        p.suppress = info.suppressed;
        p.n_suppress = info.n_suppressed;
    }
    p.seed = a->seed;
    p.temperature = a->temperature;
    int rc = muse_sampler_open(&a->sampler, sh->rt, sh->vocab, &p, err);
    p.grammar = sh->grammar;
    return rc == 0 && sh->grammar ? muse_sampler_open(&a->answerer, sh->rt, sh->vocab, &p, err) : rc;
}

int muse_agent_start_turn(MuseAgent *a, MuseError *err)
{
    muse_chat_parser_close(&a->parser);
    a->turn_first = muse_agent_count(a);
    a->answer.len = 0;
    a->answer_id = SIZE_MAX;
    return muse_chat_parser_open(&a->parser, muse_agent_chat(a), muse_session_tokenizer(a->s), err);
}

int muse_agent_open(MuseAgent **out, MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const MuseAgentParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, model && parts && n_parts > 0);
    MuseAgentShared *sh;
    MuseAgent *a = NULL;
    MuseModelInfo info;
    MuseSessionParams sp;
    int rc = shared_open(&sh, model, params, err);
    if (rc == 0) rc = MUSE_PARAMS_IMPORT(&sp, sh->p.session, "MuseSessionParams", err);
    if (rc < 0) {
        shared_release(sh);
        return rc;
    }
    if (!(a = new_agent(sh))) {
        shared_release(sh);
        return MUSE_NOMEM(err, sizeof *a);
    }
    sp.struct_size = sizeof sp;
    if (sh->p.cancel) {
        sh->progress = sp.progress;
        sh->progress_user = sp.progress_user;
        sp.progress = on_progress;
        sp.progress_user = sh;
    }
    muse_model_info(model, &info);
    rc = muse_session_open(&a->s, model, &sp, err);
    const MuseTextTokenizer *tok = muse_session_tokenizer(a->s);
    if (rc == 0 && !tok) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "the model has no tokenizer");
    if (rc < 0) goto fail;
    sh->format = sh->p.format;
    if (!sh->format && (rc = muse_chat_format_of(info.family, tok, &sh->format, err)) < 0) goto fail;
    const MuseChatFormat *format = muse_chat_format_find(sh->format);
    if (format) sh->format = format->name;   /* static; the caller's may go */
    muse_words_find(&sh->words, tok);
    sh->chains = muse_words_have_boxes(&sh->words);
    sh->boxes = format && !sh->chains ? format->boxes : MUSE_BOXES_UNKNOWN;
    sh->think_end = find_think_end(format, tok);
    a->seed = sh->sample.seed;
    a->temperature = sh->sample.temperature;
    rc = make_prompt(a, parts, n_parts, err);
    if (rc == 0) rc = find_stops(sh, &info, tok, err);
    if (rc == 0) rc = muse_agent_open_samplers(a, err);
    if (rc == 0) rc = muse_agent_start_turn(a, err);
    if (rc < 0) goto fail;
    sh->p.format = sh->p.system = sh->p.close_words = NULL;
    sh->p.session = NULL;
    a->prompt = muse_sequence_length(muse_session_sequence(a->s));
    a->asked_pictures = a->n_pictures;
    a->doubt = sh->p.doubt;
    a->trace = sh->p.trace;
    sh->p.trace = NULL;   /* each agent has its own from here on */
    a->started = muse_reason_now();
    rc = muse_record_open(a, err);
    if (rc < 0) goto fail;
    *out = a;
    return 0;
fail:
    muse_agent_close(&a);
    return rc;
}

void muse_agent_calls_clear(MuseAgent *a)
{
    for (size_t i = 0; i < a->n_calls; i++) {
        muse_free(a->calls[i].name);
        muse_free(a->calls[i].arguments);
        muse_free(a->calls[i].error);
    }
    a->n_calls = 0;
}

void muse_agent_close(MuseAgent **agent)
{
    if (!agent || !*agent) return;
    MuseAgent *a = *agent;
    muse_agent_calls_clear(a);
    muse_record_close(a);
    muse_free(a->calls);
    muse_free(a->call_at);
    for (size_t i = 0; i < a->n_pictures; i++) muse_image_close(&a->pictures[i].image);
    muse_free(a->pictures);
    for (size_t i = 0; i < a->n_steps; i++) {
        muse_free((void *)(uintptr_t)a->steps[i].text);
        muse_free((void *)(uintptr_t)a->steps[i].reason);
    }
    muse_free(a->steps);
    muse_buf_clear(&a->ids);
    muse_buf_clear(&a->forced);
    muse_buf_clear(&a->script);
    muse_buf_clear(&a->thought);
    muse_buf_clear(&a->answer);
    muse_buf_clear(&a->direct);
    muse_sampler_close(&a->sampler);
    muse_sampler_close(&a->answerer);
    muse_chat_parser_close(&a->parser);
    muse_chat_close(&a->chat);
    muse_session_close(&a->s);
    MuseAgentShared *sh = a->shared;
    muse_free(a);
    shared_release(sh);
    *agent = NULL;
}

int muse_agent_prefill(MuseAgent *a, MuseError *err)
{
    MUSE_REQUIRE(err, a);
    if (muse_agent_cancelled(a)) return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled before the prompt");
    return muse_session_prefill(a->s, err);
}

/* a fork without what was written */
static int fork_empty(MuseAgent **out, const MuseAgent *from, uint32_t number, uint64_t seed, float temperature, MuseError *err)
{
    MuseAgent *a = new_agent(from->shared);
    *out = a;
    if (!a) return MUSE_NOMEM(err, sizeof *a);
    atomic_fetch_add(&from->shared->refs, 1);
    a->number = number;
    a->seed = seed;
    a->temperature = temperature;
    a->prompt = from->prompt;
    a->trace = from->trace;
    a->trace_first = from->trace_first;
    a->started = from->started;
    int rc = muse_session_fork(&a->s, from->s, err);
    if (rc == 0) rc = muse_agent_open_samplers(a, err);
    if (rc == 0 && from->chat) rc = muse_chat_copy(&a->chat, from->chat, err);
    for (size_t i = 0; i < from->n_pictures && rc == 0; i++) rc = muse_agent_add_picture(a, from->pictures[i], err);
    return rc;
}

static int copy_steps(MuseAgent *a, const MuseAgent *from, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; i < from->n_steps && rc == 0; i++)
        if (from->steps[i].token <= from->thought_id) rc = muse_agent_add_step(a, from->steps[i], from->steps[i].text, from->steps[i].reason, err);
    a->looks = from->looks;
    a->view_positions = from->view_positions;
    a->calls_made = from->calls_made;
    a->cited = from->cited;
    a->refused = from->refused;
    a->bad = from->bad;
    return rc;
}

/* What the turns before wrote: of an agent that stands at a question */
static int copy_turns(MuseAgent *a, const MuseAgent *from, MuseError *err)
{
    const size_t n = muse_agent_count(from);
    if (n && muse_buf_append(&a->ids, from->ids.data, n * sizeof(int32_t)) < 0) return MUSE_NOMEM(err, n * sizeof(int32_t));
    int rc = n ? muse_sampler_observe(a->sampler, muse_agent_id(a, 0), n, err) : 0;   /* penalties go over all turns */
    if (rc == 0) rc = copy_steps(a, from, err);
    a->chain = from->chain;
    a->first_picture = from->first_picture;
    a->asked_pictures = from->asked_pictures;
    a->thought_max = from->thought_max;
    a->doubt = from->doubt;
    a->text_from = n;
    return rc;
}

/* nothing was written since the question was asked */
static bool is_at_question(const MuseAgent *a)
{
    return muse_agent_count(a) == a->turn_first && muse_sequence_length(a->s->seq) == a->prompt && !a->forced.len && !a->doubted && !a->broken;
}

int muse_agent_fork(MuseAgent **out, const MuseAgent *from, uint32_t number, uint64_t seed, float temperature, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, from);
    if (!is_at_question(from)) return muse_fail(err, MUSE_ERR_STATE, "agent %u has written something: only one that was just asked can be forked", from->number);
    int rc = fork_empty(out, from, number, seed, temperature, err);
    if (rc == 0) rc = copy_turns(*out, from, err);
    if (rc == 0) rc = muse_agent_start_turn(*out, err);
    if (rc == 0) rc = muse_record_open(*out, err);
    if (rc < 0) muse_agent_close(out);
    return rc;
}

/* Everything up to (not with) the token that ended the thought */
static int copy_thought(MuseAgent *a, const MuseAgent *from, MuseError *err)
{
    const size_t n = from->thought_id;
    bool end = false;
    int reason;
    int rc = muse_session_rewind(a->s, from->thought_position, err);
    a->turn_first = from->turn_first;
    if (rc == 0) rc = muse_chat_parser_open(&a->parser, muse_agent_chat(a), muse_session_tokenizer(a->s), err);
    if (rc == 0 && n > a->turn_first) rc = muse_chat_parser_feed_ids(a->parser, muse_agent_id(from, a->turn_first), n - a->turn_first, NULL, err);
    if (rc == 0) rc = muse_agent_drain(a, &end, &reason, err);
    if (rc == 0 && n && muse_buf_append(&a->ids, from->ids.data, n * sizeof(int32_t)) < 0) rc = MUSE_NOMEM(err, n * sizeof(int32_t));
    if (rc == 0 && n) rc = muse_sampler_observe(a->sampler, muse_agent_id(a, 0), n, err);
    a->chain = from->chain_then;
    muse_chain_end(&a->chain);   /* what was unfinished there is recorded already */
    a->text_from = n;
    return rc;
}

int muse_agent_verify(MuseAgent **out, const MuseAgent *from, uint32_t number, uint32_t extra, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, from);
    const MuseAgentShared *sh = from->shared;
    if (from->finish != MUSE_AGENT_ANSWERED || (sh->chains && from->thought_id == SIZE_MAX))
        return muse_fail(err, MUSE_ERR_STATE, "agent %u has no thought with an answer to check", from->number);
    if (!from->cited.image) return muse_fail(err, MUSE_ERR_NOT_FOUND, "agent %u named no region", from->number);
    int rc = fork_empty(out, from, number, from->seed, from->temperature, err);
    MuseAgent *a = *out;
    if (rc == 0) rc = copy_steps(a, from, err);
    if (rc == 0 && sh->chains) {
        rc = copy_thought(a, from, err);
        a->thought_tokens = from->thought_tokens;
        a->thought_max = from->thought_tokens + (extra ? extra : 64);
    } else if (rc == 0) {   /* a new turn asks for it */
        static const char ask[] = "Look at that region again, then confirm or correct your answer. Reply with the answer only.";
        if (!a->chat) rc = muse_chat_copy(&a->chat, sh->chat, err);
        const size_t k = muse_chat_length(a->chat);
        if (rc == 0) rc = muse_chat_add_parsed(a->chat, from->parser, err);
        if (rc == 0) rc = muse_chat_add(a->chat, MUSE_ROLE_USER, err);
        if (rc == 0) rc = muse_chat_add_text(a->chat, ask, sizeof ask - 1, err);
        if (rc == 0) rc = muse_chat_append(a->chat, muse_session_sequence(a->s), k + 1, err);
        if (rc == 0) rc = muse_agent_start_turn(a, err);
    }
    if (rc == 0) rc = muse_record_open(a, err);
    if (rc == 0) rc = muse_look(a, from->cited.image, from->cited.rect, err);
    if (rc == 0 && sh->chains && sh->words.verify >= 0) rc = muse_agent_force(a, &sh->words.verify, 1, err);
    if (rc < 0) muse_agent_close(out);
    return rc;
}

/* ---- what it keeps ---- */

const MuseChat *muse_agent_chat(const MuseAgent *a) { return a->chat ? a->chat : a->shared->chat; }

uint64_t muse_agent_room(const MuseAgent *a) { return a->s->params.max_positions - a->s->seq->length; }

uint64_t muse_agent_reserve(const MuseAgent *a)
{
    const uint32_t answer = a->shared->p.answer_tokens;
    return a->shared->n_close + (answer < ANSWER_ROOM ? answer : ANSWER_ROOM);
}

int muse_agent_force(MuseAgent *a, const int32_t *ids, size_t n, MuseError *err)
{
    return n == 0 || muse_buf_append(&a->forced, ids, n * sizeof *ids) == 0 ? 0 : MUSE_NOMEM(err, n * sizeof *ids);
}

int muse_agent_script(MuseAgent *a, const int32_t *ids, size_t n) { return muse_buf_append(&a->script, ids, n * sizeof *ids); }

int muse_agent_add_picture(MuseAgent *a, MusePicture picture, MuseError *err)
{
    if (muse_grow(&a->shared->rt->alloc, (void **)&a->pictures, a->n_pictures, &a->cap_pictures, sizeof *a->pictures) < 0)
        return MUSE_NOMEM(err, sizeof *a->pictures);
    picture.image = muse_image_ref(picture.image);
    a->pictures[a->n_pictures++] = picture;
    return 0;
}

void muse_agent_tell(MuseAgent *a, MuseReasonEvent e)
{
    const MuseAgentParams *p = &a->shared->p;
    if (!p->event || !a->run) return;
    e.agent = a->number;
    e.stage = a->run->stage;
    e.tokens = a->run->tokens;
    e.done = a->run->done;
    e.agents = a->run->agents;
    if (p->event(p->event_user, &e)) a->run->stop = true;
}

int muse_agent_add_step(MuseAgent *a, MuseReasonStep step, const char *text, const char *reason, MuseError *err)
{
    const MuseAllocator *alloc = &a->shared->rt->alloc;
    char *written = NULL;
    size_t n = text ? strlen(text) : 0;
    if (!text) {
        const int rc = muse_text_decode(muse_session_tokenizer(a->s), muse_agent_id(a, a->text_from), muse_agent_count(a) - a->text_from, 0, &written, &n, err);
        if (rc < 0 && rc != MUSE_ERR_NOT_FOUND) return rc;   /* models have more rows than tokenizers have tokens */
        text = written ? written : "";
    }
    step.text = muse_copy_text(alloc, text, n);
    step.n_text = n;
    step.reason = muse_copy_text(alloc, reason ? reason : "", reason ? strlen(reason) : 0);
    muse_free(written);
    if (!step.text || !step.reason || muse_grow(alloc, (void **)&a->steps, a->n_steps, &a->cap_steps, sizeof step) < 0) {
        muse_free((void *)(uintptr_t)step.text);
        muse_free((void *)(uintptr_t)step.reason);
        return MUSE_NOMEM(err, n + sizeof step);
    }
    a->text_from = muse_agent_count(a);
    a->steps[a->n_steps++] = step;
    muse_agent_tell(a, (MuseReasonEvent){ .kind = MUSE_EVENT_STEP, .step = &a->steps[a->n_steps - 1], .index = a->n_steps - 1 });
    return muse_record_step(a, &a->steps[a->n_steps - 1], a->steps[a->n_steps - 1].reason, err);
}

int muse_agent_bad(MuseAgent *a, const char *what, MuseError *err)
{
    a->bad++;
    return muse_agent_add_step(a, (MuseReasonStep){ .kind = MUSE_REASON_BAD, .group = a->chain.group, .token = muse_agent_count(a), .position = a->s->seq->length }, what, NULL, err);
}

void muse_agent_stop(MuseAgent *a)
{
    if (a && !a->finish) a->finish = MUSE_AGENT_STOPPED;
}

/* ---- reading ---- */

int muse_agent_info(const MuseAgent *a, MuseAgentInfo *out)
{
    if (!a || !out) return MUSE_ERR_ARG;
    const char *answer = a->answer.data ? (const char *)a->answer.data : "";
    size_t n = a->answer.len;
    muse_reason_trim(&answer, &n);
    const char *direct = a->direct.data ? (const char *)a->direct.data : "";
    *out = (MuseAgentInfo){ .number = a->number, .finish = a->finish, .thought = a->thought.len ? (const char *)a->thought.data : "", .n_thought = a->thought.len,
        .answer = answer, .n_answer = n, .prompt_tokens = a->prompt, .thought_tokens = a->thought_tokens + a->direct_thought, .answer_tokens = a->answer_tokens + a->direct_tokens,
        .forced_tokens = a->forced_tokens, .view_positions = a->view_positions, .looks = a->looks, .refused = a->refused, .bad = a->bad, .calls = a->calls_made,
        .n_steps = a->n_steps, .confidence = a->n_answer_ids ? exp(a->answer_logprob / (double)a->n_answer_ids) : 0, .seed = a->seed, .temperature = a->temperature,
        .doubted = a->doubted, .direct = direct, .n_direct = a->direct.len, .direct_probability = a->direct_probability, .direct_tokens = a->direct_tokens };
    return 0;
}

int muse_agent_step(const MuseAgent *a, size_t i, MuseReasonStep *out)
{
    if (!a || !out || i >= a->n_steps) return MUSE_ERR_ARG;
    *out = a->steps[i];
    return 0;
}

size_t muse_agent_ids(const MuseAgent *a, const int32_t **ids)
{
    if (!a) return 0;
    if (ids) *ids = muse_agent_id(a, 0);
    return muse_agent_count(a);
}

MuseSession *muse_agent_session(const MuseAgent *a) { return a ? a->s : NULL; }

int muse_agent_score_all(const MuseAgent *a, const MuseAgent *const *answers, size_t n, double *logprobs, MuseError *err)
{
    size_t most = 0;
    for (size_t k = 0; k < n; k++) {
        if (a->answer_id == SIZE_MAX || answers[k]->answer_id == SIZE_MAX)
            return muse_fail(err, MUSE_ERR_STATE, "agent %u has not come to an answer", a->answer_id == SIZE_MAX ? a->number : answers[k]->number);
        const size_t ids = muse_agent_count(answers[k]) - answers[k]->answer_id;
        most = ids > most ? ids : most;
    }
    MuseSession *fork = NULL;
    double *each = muse_alloc_array(&a->shared->rt->alloc, most, sizeof *each);
    int rc = each ? muse_session_fork(&fork, a->s, err) : MUSE_NOMEM(err, most * sizeof *each);
    if (rc == 0) rc = muse_session_rewind(fork, a->answer_position, err);
    for (size_t k = 0; k < n && rc == 0; k++) {
        const size_t ids = muse_agent_count(answers[k]) - answers[k]->answer_id;
        rc = muse_session_score(fork, muse_agent_id(answers[k], answers[k]->answer_id), ids, each, err);
        if (rc == 0) logprobs[k] = 0;
        for (size_t i = 0; i < ids && rc == 0; i++) logprobs[k] += each[i];
    }
    muse_session_close(&fork);
    muse_free(each);
    return rc;
}

int muse_agent_score(const MuseAgent *a, const MuseAgent *answer, double *logprob, MuseError *err)
{
    MUSE_REQUIRE(err, a && answer && logprob);
    return muse_agent_score_all(a, &answer, 1, logprob, err);
}
