/* SPDX-License-Identifier: Apache-2.0 */
/* Generation: the golden continuations, everything that ends a text, batches against single runs, cancelling, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "muse/generate.h"
#include "tests/unit/case_util.h"
#include "tests/unit/meter.h"

#define COUNT_OF(x) (sizeof (x) / sizeof *(x))

static MuseSession *session(MuseModel *m, const char *text, uint64_t max_positions)
{
    MuseSessionParams p;
    muse_session_params_init(&p);
    p.compute = MUSE_COMPUTE_F32;
    p.max_positions = max_positions;
    MuseSession *s;
    if (muse_session_open(&s, m, &p, &err) < 0) fail_msg("%s", err.text);
    if (text && muse_sequence_append_text(muse_session_sequence(s), text, strlen(text), MUSE_TEXT_ADDED, &err) < 0) fail_msg("%s", err.text);
    return s;
}

static MuseGenerateParams params(uint64_t max_tokens)
{
    MuseGenerateParams p;
    muse_generate_params_init(&p);
    p.max_tokens = max_tokens;
    return p;
}

static MuseGenerateResult generate(MuseSession *s, const MuseGenerateParams *p)
{
    MuseGenerateResult r;
    if (muse_generate(s, p, &r, &err) < 0) fail_msg("%s", err.text);
    return r;
}

/* What the token function saw; it checks as it goes. */
typedef struct Seen {
    char   text[4096];
    size_t n, tokens, tails;
    size_t stop_at;           /* token number at which it asks to stop; SIZE_MAX: never */
    MuseSession *cancel;      /* cancelled there instead */
} Seen;

static int see(void *user, const MuseGenerated *g)
{
    Seen *s = user;
    assert_true(s->n + g->n_text < sizeof s->text);
    memcpy(s->text + s->n, g->text, g->n_text);
    s->n += g->n_text;
    s->text[s->n] = 0;
    if (g->id < 0) {
        assert_true(g->n_text > 0);
        s->tails++;
        return 0;
    }
    assert_int_equal(g->index, s->tokens);
    assert_true(g->logprob <= 0);
    if (s->tokens++ != s->stop_at) return 0;
    if (s->cancel) muse_session_cancel(s->cancel);
    return s->cancel ? 0 : 1;
}

static void watch(MuseGenerateParams *p, Seen *seen)
{
    *seen = (Seen){ .stop_at = SIZE_MAX };
    p->token = see;
    p->token_user = seen;
}

static void check_text(const MuseGenerateResult *r, const Seen *seen)
{
    assert_int_equal(r->n_text, seen->n);
    assert_memory_equal(r->text, seen->text, seen->n);
    assert_int_equal(r->text[r->n_text], 0);
}

static void test_golden(void **state)
{
    (void)state;
    static const char *const names[] = { "golden/gemma4-a", "golden/llama3", "golden/qwen2", "golden/qwen3" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/hf", names[i]);
        MuseModel *m = open_model(path, NULL, NULL);
        Case c = { .model = m, .name = names[i] };
        snprintf(path, sizeof path, "%s/cases/text-short/", names[i]);
        open_case(&c, path);
        const MuseTensor *want = muse_weights_find(&c.expect, "greedy"), *ids = muse_weights_find(&c.expect, "input_ids");
        MuseSession *s = session(m, NULL, 0);
        assert_int_equal(muse_sequence_append_ids(muse_session_sequence(s), (const int32_t *)(const void *)ids->data, ids->shape[0], &err), 0);
        for (size_t at = 0; at < 16; at += 8) {   /* the second half goes on where the first ended */
            Seen seen;
            MuseGenerateParams p = params(8);
            watch(&p, &seen);
            MuseGenerateResult r = generate(s, &p);
            assert_int_equal(r.n, 8);
            assert_int_equal(r.finish, MUSE_FINISH_LENGTH);
            assert_int_equal(r.prompt_tokens, ids->shape[0] + at);
            assert_memory_equal(r.ids, want->data + 4 * at, 32);
            assert_int_equal(muse_sequence_length(muse_session_sequence(s)), ids->shape[0] + at + 8);
            check_text(&r, &seen);
            assert_int_equal(seen.tokens, 8);
            muse_generate_result_clear(&r);
        }
        muse_session_close(&s);
        close_case(&c);
        muse_model_close(&m);
    }
}

static void test_stop_ids(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    MuseGenerateParams p = params(20);
    p.stop_ids = &(int32_t){ 0 };   /* none: not NULL, and 0 of them */
    MuseGenerateResult all = generate(s, &p);
    assert_int_equal(all.finish, MUSE_FINISH_LENGTH);
    size_t k = 1;   /* a token that is new at its place */
    for (bool seen = true; seen; k += seen) {
        seen = false;
        for (size_t j = 0; j < k; j++) seen |= all.ids[j] == all.ids[k];
    }
    muse_session_close(&s);
    s = session(m, "Some words", 0);
    Seen seen;
    watch(&p, &seen);
    p.stop_ids = &all.ids[k];
    p.n_stop_ids = 1;
    MuseGenerateResult r = generate(s, &p);
    assert_int_equal(r.finish, MUSE_FINISH_ID);
    assert_int_equal(r.n, k + 1);
    assert_memory_equal(r.ids, all.ids, (k + 1) * sizeof *r.ids);
    assert_int_equal(seen.tokens, k + 1);
    check_text(&r, &seen);
    assert_true(r.n_text < all.n_text);
    assert_memory_equal(r.text, all.text, r.n_text);
    MusePosition last;   /* the session holds the stop id */
    assert_int_equal(muse_sequence_position(muse_session_sequence(s), muse_sequence_length(muse_session_sequence(s)) - 1, &last), 0);
    assert_int_equal(last.id, all.ids[k]);
    muse_generate_result_clear(&r);
    muse_generate_result_clear(&all);
    muse_session_close(&s);
}

static void test_stop_strings(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    MuseGenerateParams p = params(30);
    MuseGenerateResult all = generate(s, &p);
    muse_session_close(&s);
    for (size_t at = 0; at + 3 <= all.n_text; at++) {
        char stop[4] = { 0 };
        memcpy(stop, all.text + at, 3);
        if (strlen(stop) < 3) continue;   /* a NUL */
        const char *const stops[] = { "never \xff", stop };
        Seen seen;
        p = params(30);
        watch(&p, &seen);
        p.stop = stops;
        p.n_stop = 2;
        s = session(m, "Some words", 0);
        MuseGenerateResult r = generate(s, &p);
        assert_int_equal(r.finish, MUSE_FINISH_STRING);
        assert_int_equal(r.stop, 1);
        assert_true(r.n_text <= at);
        assert_memory_equal(r.text, all.text, r.n_text);
        assert_memory_equal(all.text + r.n_text, stop, 3);
        check_text(&r, &seen);
        assert_int_equal(seen.tails, 0);
        muse_generate_result_clear(&r);
        muse_session_close(&s);
    }
    /* a string that has begun when the tokens end comes out after all */
    char begun[8];
    snprintf(begun, sizeof begun, "%c~~~", all.text[all.n_text - 1]);
    const char *const stops[] = { begun };
    Seen seen;
    p = params(30);
    watch(&p, &seen);
    p.stop = stops;
    p.n_stop = 1;
    s = session(m, "Some words", 0);
    MuseGenerateResult r = generate(s, &p);
    assert_int_equal(r.finish, MUSE_FINISH_LENGTH);
    assert_int_equal(r.n_text, all.n_text);
    assert_int_equal(seen.tails, 1);
    check_text(&r, &seen);
    muse_generate_result_clear(&r);
    muse_session_close(&s);
    muse_generate_result_clear(&all);
}

/* Only a byte that begins a character may be picked: each but the last is no character for sure, the last when the text ends. */
static void test_half_a_character(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    const MuseTextTokenizer *tok = muse_session_tokenizer(s);
    const size_t vocab = m->config.vocab;
    int32_t *others = malloc(vocab * sizeof *others), half = -1;
    size_t n = 0;
    for (int32_t id = 0; id < (int32_t)vocab; id++) {
        const char *bytes;
        size_t n_bytes;
        if (half < 0 && muse_text_token_bytes(tok, id, &bytes, &n_bytes) == 0 && n_bytes == 1 && *bytes == '\xc3') half = id;
        else others[n++] = id;
    }
    assert_true(half >= 0);
    Seen seen;
    MuseGenerateParams p = params(3);
    watch(&p, &seen);
    p.suppress = others;
    p.n_suppress = n;
    MuseGenerateResult r = generate(s, &p);
    assert_int_equal(r.n_text, 3);
    assert_memory_equal(r.text, "\xc3\xc3\xc3", 3);
    assert_int_equal(seen.tails, 1);
    check_text(&r, &seen);
    muse_generate_result_clear(&r);
    free(others);
    muse_session_close(&s);
}

static int say_yes(void *user) { return ++*(int *)user > 3; }

static void test_cancelling(void **state)
{
    MuseModel *m = *state;
    for (int how = 0; how < 4; how++) {
        MuseSession *s = session(m, "Some words", 0);
        MuseGenerateParams p = params(20);
        Seen seen;
        int asked = 0;
        watch(&p, &seen);
        if (how == 0) seen.stop_at = 2;
        if (how == 1) seen.stop_at = 2, seen.cancel = s;
        if (how == 2) p.cancel = say_yes, p.cancel_user = &asked;
        if (how == 3) muse_session_cancel(s);
        MuseGenerateResult r = generate(s, &p);
        assert_int_equal(r.finish, MUSE_FINISH_CANCELLED);
        assert_int_equal(r.n, how == 3 ? 0 : how == 2 ? 2 : 3);   /* how 2: asked before the prompt and before each token */
        assert_int_equal(muse_sequence_length(muse_session_sequence(s)), r.prompt_tokens + r.n);
        check_text(&r, &seen);
        p = params(4);   /* it can go on */
        MuseGenerateResult more = generate(s, &p), whole;
        assert_int_equal(more.n, 4);
        MuseSession *fresh = session(m, "Some words", 0);
        p = params(r.n + 4);
        whole = generate(fresh, &p);
        assert_memory_equal(whole.ids, r.ids, r.n * sizeof *r.ids);
        assert_memory_equal(whole.ids + r.n, more.ids, 4 * sizeof *r.ids);
        muse_generate_result_clear(&r);
        muse_generate_result_clear(&more);
        muse_generate_result_clear(&whole);
        muse_session_close(&fresh);
        muse_session_close(&s);
    }
}

static void test_full(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    const size_t n = muse_sequence_length(muse_session_sequence(s));
    muse_session_close(&s);
    for (uint64_t max_tokens = 0; max_tokens < 10; max_tokens += 9) {
        s = session(m, "Some words", n + 5);
        MuseGenerateParams p = params(max_tokens);
        MuseGenerateResult r = generate(s, &p);
        assert_int_equal(r.finish, MUSE_FINISH_FULL);
        assert_int_equal(r.n, 5);
        muse_generate_result_clear(&r);
        r = generate(s, &p);
        assert_int_equal(r.finish, MUSE_FINISH_FULL);
        assert_int_equal(r.n, 0);
        muse_generate_result_clear(&r);
        muse_session_close(&s);
    }
}

static void test_grammar_and_own_sampler(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    MuseGrammar *grammar;
    MuseSampleParams sp;
    MuseSampler *sampler;
    muse_sample_params_init(&sp);
    assert_int_equal(muse_grammar_open_regex(&grammar, NULL, muse_session_tokenizer(s), "[0-9]{4}", 8, NULL, &err), 0);
    sp.grammar = grammar;
    for (int own = 0; own < 2; own++) {
        MuseGenerateParams p = params(100);
        p.sample = &sp;
        if (own) {
            assert_int_equal(muse_sampler_open(&sampler, NULL, m->config.vocab, &sp, &err), 0);
            p.sampler = sampler;
            p.sample = NULL;
        }
        MuseGenerateResult r = generate(s, &p);
        assert_int_equal(r.finish, MUSE_FINISH_GRAMMAR);
        assert_int_equal(r.n_text, 4);
        assert_int_equal(muse_grammar_match(grammar, r.text, r.n_text), 0);
        if (own) {
            assert_int_equal(muse_sampler_must_end(sampler), 1);
            muse_sampler_close(&sampler);
        }
        muse_generate_result_clear(&r);
    }
    muse_grammar_close(&grammar);
    muse_session_close(&s);
}

/* An end id of the grammar ends the text as a stop id does, whether it is one or not. */
static void test_grammar_ends(void **state)
{
    MuseModel *m = *state;
    static const int32_t none = 0;
    MuseSession *s = session(m, "Some words", 0);
    MuseGrammar *grammar;
    MuseSampleParams sp;
    MuseTextInfo info;
    const MuseTextTokenizer *tok = muse_session_tokenizer(s);
    muse_sample_params_init(&sp);
    assert_int_equal(muse_text_info(tok, &info), 0);
    assert_int_equal(muse_grammar_open_regex(&grammar, NULL, tok, "[0-9]{1,400}", 12, NULL, &err), 0);   /* ends in the tokenizer's eos */
    sp.grammar = grammar;
    sp.temperature = 100;
    MuseGenerateParams p = params(500);
    p.sample = &sp;
    p.stop_ids = &none;   /* with 0 of them: none */
    MuseGenerateResult r = generate(s, &p);
    assert_int_equal(r.finish, MUSE_FINISH_ID);
    assert_int_equal(r.ids[r.n - 1], info.eos);
    if (muse_grammar_match(grammar, r.text, r.n_text) != 0) fail_msg("\"%s\"", r.text);
    muse_generate_result_clear(&r);
    muse_grammar_close(&grammar);
    muse_session_close(&s);
}

static void test_penalties_see_the_prompt(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    const size_t n = muse_sequence_length(muse_session_sequence(s));
    MuseGenerateParams p = params(50);
    MuseSampleParams sp;
    muse_sample_params_init(&sp);
    sp.presence = 1e4f;
    p.sample = &sp;
    MuseGenerateResult r = generate(s, &p);
    for (size_t i = 0; i < r.n; i++) {
        MusePosition at;
        for (size_t j = 0; j < n + i; j++) {
            assert_int_equal(muse_sequence_position(muse_session_sequence(s), j, &at), 0);
            assert_int_not_equal(at.id, r.ids[i]);
        }
    }
    muse_generate_result_clear(&r);
    muse_session_close(&s);
}

static void test_suppressed(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL, NULL);
    MuseModelInfo info;
    muse_model_info(m, &info);
    assert_true(info.n_suppressed > 0);
    for (int all = 0; all < 2; all++) {   /* the model's; then its own first choice */
        MuseSession *s = session(m, "Some words", 0);
        MuseGenerateParams p = params(1);
        p.suppress = &(int32_t){ 0 };   /* none */
        MuseGenerateResult free_choice = generate(s, &p);
        muse_session_close(&s);
        s = session(m, "Some words", 0);
        p = params(40);
        if (all) p.suppress = free_choice.ids, p.n_suppress = 1;
        MuseGenerateResult r = generate(s, &p);
        for (size_t i = 0; i < r.n; i++)
            for (size_t j = 0; j < (all ? 1 : info.n_suppressed); j++) assert_int_not_equal(r.ids[i], all ? free_choice.ids[0] : info.suppressed[j]);
        muse_generate_result_clear(&r);
        muse_generate_result_clear(&free_choice);
        muse_session_close(&s);
    }
    muse_model_close(&m);
}

static const char *const prompts[] = { "Some words", "a", "One more prompt that is longer than the others", "Some words too" };
enum { N = COUNT_OF(prompts) };

static void test_batch(void **state)
{
    MuseModel *m = *state;
    MuseSession *sessions[N];
    MuseGenerateParams p[N];
    const MuseGenerateParams *pointers[N];
    MuseGenerateResult r[N];
    MuseSampleParams sp[N];
    Seen seen[N];
    for (int cancel = 0; cancel < 2; cancel++) {
        for (size_t i = 0; i < N; i++) {
            sessions[i] = session(m, prompts[i], 0);
            p[i] = params(5 + 7 * i);
            muse_sample_params_init(&sp[i]);
            sp[i].temperature = 0.5f * (float)i;
            sp[i].seed = i;
            p[i].sample = &sp[i];
            watch(&p[i], &seen[i]);
            pointers[i] = &p[i];
        }
        if (cancel) seen[2].stop_at = 6, seen[2].cancel = sessions[2];
        if (muse_generate_batch(sessions, pointers, N, r, &err) < 0) fail_msg("%s", err.text);
        for (size_t i = 0; i < N; i++) {
            const bool stopped = cancel && i == 2;
            assert_int_equal(r[i].finish, stopped ? MUSE_FINISH_CANCELLED : MUSE_FINISH_LENGTH);
            assert_int_equal(r[i].n, stopped ? 7 : 5 + 7 * i);
            check_text(&r[i], &seen[i]);
            MuseSession *alone = session(m, prompts[i], 0);
            p[i].token = NULL;
            MuseGenerateResult one = generate(alone, &p[i]);
            assert_memory_equal(one.ids, r[i].ids, r[i].n * sizeof *one.ids);
            assert_int_equal(muse_sequence_length(muse_session_sequence(sessions[i])), r[i].prompt_tokens + r[i].n);
            muse_generate_result_clear(&one);
            muse_generate_result_clear(&r[i]);
            muse_session_close(&alone);
            muse_session_close(&sessions[i]);
        }
    }
}

static void test_refused(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0), *empty = session(m, NULL, 0), *twice[] = { s, s };
    const size_t n = muse_sequence_length(muse_session_sequence(s));
    MuseGenerateResult r[2];
    MuseGenerateParams p = params(3);
    assert_int_equal(muse_generate(NULL, &p, r, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_generate(s, &p, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_generate_batch(NULL, NULL, 1, r, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_generate_batch(&s, NULL, 0, r, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_generate_batch(twice, NULL, 2, r, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_generate(empty, &p, r, &err), MUSE_ERR_STATE);
    muse_generate_result_clear(r);
    MuseSampleParams hot;
    muse_sample_params_init(&hot);
    hot.temperature = -1;
    MuseSampler *wide;
    assert_int_equal(muse_sampler_open(&wide, NULL, m->config.vocab + 1, NULL, &err), 0);
    const struct { MuseGenerateParams p; int code; } rows[] = {
        { { .struct_size = 0 }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .n_stop = 1 }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .n_stop_ids = 1 }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .n_suppress = 1 }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .stop = (const char *const[]){ "" }, .n_stop = 1 }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .stop = (const char *const[]){ NULL }, .n_stop = 1 }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .sample = &hot }, MUSE_ERR_ARG },
        { { .struct_size = sizeof p, .sampler = wide }, MUSE_ERR_ARG },   /* would read behind the logits */
        { { .struct_size = sizeof p, .chat_format = "nonsense" }, MUSE_ERR_NOT_FOUND },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(muse_generate(s, &rows[i].p, r, &err), rows[i].code);
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(r[0].finish, MUSE_FINISH_NONE);
        muse_generate_result_clear(r);
    }
    assert_int_equal(muse_sequence_length(muse_session_sequence(s)), n);
    muse_sampler_close(&wide);
    muse_generate_result_clear(NULL);
    assert_string_equal(muse_finish_name(MUSE_FINISH_STRING), "stop string");
    assert_string_equal(muse_finish_name(99), "error");
    muse_session_close(&s);
    muse_session_close(&empty);
}

/* ---- memory ---- */

typedef struct Calls { Meter *c; long at_third; } Calls;

static int note_calls(void *user, const MuseGenerated *g)
{
    Calls *calls = user;
    if (g->id >= 0 && g->index == 2) calls->at_third = calls->c->calls;
    return 0;
}

static void test_memory(void **state)
{
    (void)state;
    Meter c = { 0 };
    MuseRuntime *rt = meter_runtime(&c, 1);
    MuseModel *m = open_model("golden/llama3/hf", NULL, rt);
    MuseSession *s = session(m, "Some words", 0);
    assert_int_equal(muse_session_prefill(s, &err), 0);
    Calls calls = { &c, 0 };
    MuseGenerateParams p = params(200);
    const char *const stops[] = { "never" };
    p.stop = stops;
    p.n_stop = 1;
    p.token = note_calls;
    p.token_user = &calls;
    MuseGenerateResult r = generate(s, &p);
    assert_int_equal(r.n, 200);
    assert_int_equal(c.calls, calls.at_third);   /* steps allocate nothing */
    muse_generate_result_clear(&r);
    p.token = NULL;
    p.max_tokens = 6;
    bool done = false;
    for (long k = 1; !done; k++) {   /* every allocation fails once */
        MuseSession *fork;
        assert_int_equal(muse_session_fork(&fork, s, &err), 0);
        const size_t used = muse_sequence_length(muse_session_sequence(fork));
        c.fail_at = c.calls + k;
        const int rc = muse_generate(fork, &p, &r, &err);
        done = c.calls < c.fail_at;
        c.fail_at = 0;
        if (rc < 0) assert_int_equal(rc, MUSE_ERR_NOMEM);
        else assert_int_equal(r.n, 6);
        assert_int_equal(muse_sequence_length(muse_session_sequence(fork)), used + r.n);
        muse_generate_result_clear(&r);
        muse_session_close(&fork);
    }
    muse_session_close(&s);
    muse_model_close(&m);
    muse_runtime_close(&rt);
    assert_int_equal(c.live, 0);
}

/* ---- streams ---- */

/* tokens of a stream, at most `most`, to the token function */
static void pull(MuseStream *stream, size_t most, Seen *seen)
{
    MuseGenerated token;
    int rc = 0;
    *seen = (Seen){ .stop_at = SIZE_MAX };
    while (seen->tokens < most && (rc = muse_stream_next(stream, &token, &err)) == 0) see(seen, &token);
    if (rc < 0) fail_msg("%s", err.text);
    if (seen->tokens < most) assert_int_equal(muse_stream_next(stream, &token, &err), MUSE_DONE);
}

/* the same as muse_generate(), however a text ends */
static void test_stream(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, "Some words", 0);
    MuseGenerateParams p = params(12);
    p.stop_ids = &(int32_t){ 0 };
    MuseGenerateResult all = generate(s, &p);
    muse_session_close(&s);
    char stop[64], held[64];
    snprintf(stop, sizeof stop, "%.*s", 3, all.text + all.n_text / 2);
    snprintf(held, sizeof held, "%s\x01", all.text + all.n_text - 2);   /* its beginning ends the text: held back until the end */
    const char *const stops[] = { stop }, *const helds[] = { held };
    const struct { MuseGenerateParams p; uint64_t room; int finish; } rows[] = {
        { { .max_tokens = 12, .stop_ids = p.stop_ids }, 0, MUSE_FINISH_LENGTH },
        { { .stop_ids = &all.ids[11], .n_stop_ids = 1 }, 0, MUSE_FINISH_ID },
        { { .max_tokens = 12, .stop = stops, .n_stop = 1 }, 0, MUSE_FINISH_STRING },
        { { .max_tokens = 12, .stop_ids = p.stop_ids, .stop = helds, .n_stop = 1 }, 0, MUSE_FINISH_LENGTH },
        { { .stop_ids = p.stop_ids }, 9, MUSE_FINISH_FULL },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        MuseSession *one = session(m, "Some words", rows[i].room), *two = session(m, "Some words", rows[i].room);
        MuseGenerateParams q = rows[i].p;
        MuseStream *stream;
        MuseGenerateResult r;
        Seen seen, pulled;
        q.struct_size = sizeof q;
        assert_int_equal(muse_stream_open(&stream, two, &q, &err), 0);
        pull(stream, SIZE_MAX, &pulled);
        assert_int_equal(muse_stream_result(stream, &r, &err), 0);
        watch(&q, &seen);
        MuseGenerateResult want = generate(one, &q);
        assert_int_equal(want.finish, rows[i].finish);
        assert_true(i != 3 || seen.tails > 0);
        assert_int_equal(r.finish, want.finish);
        assert_int_equal(r.n, want.n);
        assert_memory_equal(r.ids, want.ids, want.n * sizeof *want.ids);
        assert_memory_equal(r.logprobs, want.logprobs, want.n * sizeof *want.logprobs);
        assert_string_equal(r.text, want.text);
        assert_int_equal(pulled.tokens, seen.tokens);
        assert_int_equal(pulled.tails, seen.tails);
        check_text(&r, &pulled);
        assert_int_equal(muse_sequence_length(muse_session_sequence(two)), muse_sequence_length(muse_session_sequence(one)));
        muse_stream_close(&stream);
        muse_generate_result_clear(&r);
        muse_generate_result_clear(&want);
        muse_session_close(&one);
        muse_session_close(&two);
    }
    muse_generate_result_clear(&all);
}

/* ended early the session holds what was handed out, and goes on as if nothing had been */
static void test_stream_early(void **state)
{
    MuseModel *m = *state;
    for (int how = 0; how < 3; how++) {   /* the result; closed without one; never begun */
        MuseSession *s = session(m, "Some words", 0), *other = session(m, "Some words", 0);
        const size_t before = muse_sequence_length(muse_session_sequence(s)), n = how == 2 ? 0 : 5;
        MuseGenerateParams p = params(0), ten = params(10);
        ten.stop_ids = p.stop_ids = &(int32_t){ 0 };
        MuseGenerateResult r, want = generate(other, &ten);
        MuseStream *stream;
        Seen seen;
        assert_int_equal(muse_stream_open(&stream, s, &p, &err), 0);
        pull(stream, n, &seen);
        if (how == 0) {
            assert_int_equal(muse_stream_result(stream, &r, &err), 0);
            assert_int_equal(r.finish, MUSE_FINISH_CANCELLED);
            assert_int_equal(r.n, n);
            assert_memory_equal(r.ids, want.ids, n * sizeof *r.ids);
            muse_generate_result_clear(&r);
            assert_int_equal(muse_stream_result(stream, &r, &err), MUSE_ERR_STATE);
            assert_int_equal(muse_stream_next(stream, &(MuseGenerated){ 0 }, &err), MUSE_DONE);
        }
        muse_stream_close(&stream);
        muse_stream_close(&stream);
        assert_int_equal(muse_sequence_length(muse_session_sequence(s)), before + n);
        ten.max_tokens = 10 - n;
        r = generate(s, &ten);
        assert_memory_equal(r.ids, want.ids + n, r.n * sizeof *r.ids);
        muse_generate_result_clear(&r);
        muse_generate_result_clear(&want);
        muse_session_close(&s);
        muse_session_close(&other);
    }
}

static void test_stream_refused(void **state)
{
    MuseModel *m = *state;
    MuseSession *s = session(m, NULL, 0);
    MuseStream *stream = (MuseStream *)m;
    MuseGenerateParams p = params(3);
    MuseGenerated token;
    MuseGenerateResult r;
    assert_int_equal(muse_stream_open(NULL, s, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_stream_open(&stream, NULL, &p, &err), MUSE_ERR_ARG);
    assert_null(stream);
    p.token = see;
    assert_int_equal(muse_stream_open(&stream, s, &p, &err), MUSE_ERR_ARG);
    p.token = NULL;
    p.chat_format = "nonsense";
    assert_int_equal(muse_stream_open(&stream, s, &p, &err), MUSE_ERR_NOT_FOUND);
    assert_null(stream);
    p.chat_format = NULL;
    assert_int_equal(muse_stream_open(&stream, s, &p, &err), 0);
    assert_int_equal(muse_stream_next(stream, &token, &err), MUSE_ERR_STATE);   /* an empty sequence */
    assert_int_equal(muse_stream_next(stream, &token, &err), MUSE_DONE);
    assert_int_equal(muse_stream_result(stream, &r, &err), 0);
    assert_int_equal(r.finish, MUSE_FINISH_NONE);
    muse_generate_result_clear(&r);
    assert_int_equal(muse_stream_next(NULL, &token, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_stream_result(NULL, &r, &err), MUSE_ERR_ARG);
    muse_stream_close(&stream);
    muse_stream_close(NULL);
    muse_session_close(&s);
}

static void test_stream_memory(void **state)
{
    (void)state;
    Meter c = { 0 };
    MuseRuntime *rt = meter_runtime(&c, 1);
    MuseModel *m = open_model("golden/llama3/hf", NULL, rt);
    MuseSession *s = session(m, "Some words", 0);
    assert_int_equal(muse_session_prefill(s, &err), 0);
    MuseGenerateParams p = params(4);
    bool done = false;
    for (long k = 1; !done; k++) {   /* every allocation fails once */
        MuseSession *fork;
        MuseStream *stream;
        MuseGenerated token;
        assert_int_equal(muse_session_fork(&fork, s, &err), 0);
        c.fail_at = c.calls + k;
        int rc = muse_stream_open(&stream, fork, &p, &err);
        while (rc == 0) rc = muse_stream_next(stream, &token, &err);
        if (rc < 0) assert_int_equal(rc, MUSE_ERR_NOMEM);
        muse_stream_close(&stream);
        done = c.calls < c.fail_at;
        c.fail_at = 0;
        muse_session_close(&fork);
    }
    muse_session_close(&s);
    muse_model_close(&m);
    muse_runtime_close(&rt);
    assert_int_equal(c.live, 0);
}

static int open_llama(void **state)
{
    *state = open_model("golden/llama3/hf", NULL, NULL);
    return 0;
}

static int close_llama(void **state)
{
    muse_model_close((MuseModel **)state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_stop_ids), cmocka_unit_test(test_stop_strings), cmocka_unit_test(test_half_a_character),
        cmocka_unit_test(test_cancelling), cmocka_unit_test(test_full), cmocka_unit_test(test_grammar_and_own_sampler), cmocka_unit_test(test_grammar_ends), cmocka_unit_test(test_penalties_see_the_prompt),
        cmocka_unit_test(test_suppressed), cmocka_unit_test(test_batch), cmocka_unit_test(test_refused), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_stream), cmocka_unit_test(test_stream_early), cmocka_unit_test(test_stream_refused), cmocka_unit_test(test_stream_memory) };
    return cmocka_run_group_tests(tests, open_llama, close_llama);
}
