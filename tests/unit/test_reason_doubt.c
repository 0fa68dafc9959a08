/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason/doubt.c: answers given at once that are taken, and such that are taken back for a thought. What the model writes is scripted where
 * words matter; a thought behind a doubt must be what thinking alone writes. */
#include <math.h>

#include "tests/unit/meter.h"
#include "tests/unit/test_reason_data.h"

static MuseReasonPart text(const char *t) { return (MuseReasonPart){ .modality = MUSE_TEXT, .text = t }; }

/* the bytes of the sequence, pictures as # */
static const char *read_back(const MuseAgent *a)
{
    static char out[8192];
    const MuseSequence *seq = muse_session_sequence(a->s);
    size_t n = 0, last = SIZE_MAX;
    for (size_t i = 0; i < muse_sequence_length(seq); i++) {
        MusePosition p;
        ok(muse_sequence_position(seq, i, &p));
        if (p.modality == MUSE_IMAGE && !p.is_marker) {
            if (last != p.span) out[n++] = '#';
            last = p.span;
            continue;
        }
        assert_true(n + p.n_bytes < sizeof out);
        memcpy(out + n, p.bytes, p.n_bytes);
        n += p.n_bytes;
    }
    out[n] = 0;
    return out;
}

static MuseAgentParams doubtful(double doubt)
{
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.thinking = MUSE_THINKING_OFF;
    p.doubt = doubt;
    return p;
}

/* The doubt at which this answer is taken back, and not before it is complete */
static double doubt_of(MuseModel *m, MuseImage *const *pictures, size_t n, const char *words)
{
    const MuseAgentParams p = doubtful(0);
    MuseAgent *a = open_agent(m, pictures, n, &p);
    script(a, words);
    ok(run_one(a));
    assert_int_equal(info_of(a).finish, MUSE_AGENT_ANSWERED);
    const double all = exp(a->answer_logprob);
    muse_agent_close(&a);
    return 1.5 * all;   /* what ends a turn is far less probable than two thirds in random models */
}

/* ---- as a mode ---- */

typedef struct Counts { int patches; } Counts;

static void count_patches(void *user, const char *stage, size_t first, const float *data, size_t rows, size_t width)
{
    (void)first, (void)data, (void)rows, (void)width;
    ((Counts *)user)->patches += strstr(stage, ".patches") != NULL;
}

typedef struct Setup {
    MuseModel        *m;
    MuseImage        *picture;
    MuseSessionParams session;
    MuseAgentParams   agent;
    MuseReasonParams  p;
    MuseReasonPart    parts[2];
    Counts            counts;
} Setup;

static void set_up(Setup *s)
{
    *s = (Setup){ .m = muse_model(), .picture = make_picture(128, 96) };
    muse_session_params_init(&s->session);
    muse_agent_params_init(&s->agent);
    muse_reason_params_init(&s->p);
    s->session.compute = MUSE_COMPUTE_F32;
    s->session.stage = count_patches;
    s->session.stage_user = &s->counts;
    s->agent.session = &s->session;
    s->agent.thought_tokens = 12;
    s->agent.answer_tokens = 6;
    s->p.agent = &s->agent;
    s->p.mode = MUSE_MODE_AUTO;
    s->parts[0] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = s->picture };
    s->parts[1] = text("How many?");
}

static void tear_down(Setup *s)
{
    muse_image_close(&s->picture);
    muse_model_close(&s->m);
}

/* What it is to write: at once, then in the thought if there is one */
typedef struct Script { MuseReasonResult *r; const char *words; } Script;

static int write_script(void *user, const MuseReasonEvent *e)
{
    const Script *t = user;
    if (e->kind == MUSE_EVENT_STAGE && e->stage == MUSE_STAGE_THINK) script(t->r->agents[0], t->words);
    return 0;
}

/* An answer as probable as asked for is taken, one a little less probable is not */
static void accepts_and_thinks(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    Script t = { &r, "four<eos>" };
    set_up(&s);
    s.agent.event = write_script;
    s.agent.event_user = &t;
    s.p.mode = MUSE_MODE_INSTANT;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    MuseAgentInfo info = info_of(r.agents[0]);
    const double c = r.confidence, all = exp(r.agents[0]->answer_logprob);
    const uint64_t prompt = r.prompt_tokens, tokens = info.answer_tokens;
    assert_true(all > 0 && fabs(log(all) - (double)tokens * log(c)) < 1e-9);
    muse_reason_result_clear(&r);
    s.p.mode = MUSE_MODE_AUTO;
    s.p.doubt = all;   /* of the whole answer */
    s.counts.patches = 0;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    info = info_of(r.agents[0]);
    assert_string_equal(r.answer, "four");
    assert_true(r.confidence == c && r.prompt_tokens == prompt && r.n_agents == 1 && r.agreement == 1);
    assert_true(!info.doubted && info.n_direct == 0 && info.direct_tokens == 0 && info.direct_probability == 0 && info.n_steps == 0);
    assert_int_equal(s.counts.patches, 1);
    muse_reason_result_clear(&r);
    for (int given = 0; given < 2; given++) {
        t.words = given ? "four<eos> a<x1><y2> b</think>five<eos>" : "f a<x1><y2> b</think>five<eos>";
        s.p.doubt = given ? nextafter(all, 1) : 0;   /* 0 is 0.95: the first token decides */
        s.counts.patches = 0;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        info = info_of(r.agents[0]);
        assert_string_equal(r.answer, "five");
        assert_memory_equal(info.direct, "four", given ? 4 : 1);
        assert_true(info.doubted && info.n_direct == (given ? 4 : 1) && (!given || info.direct_probability == all) && info.direct_probability < 0.95 && info.direct_tokens == (given ? tokens : 1));
        assert_true(info.answer_tokens == tokens + info.direct_tokens && r.answer_tokens == info.answer_tokens && r.confidence == info.confidence && r.confidence != c);
        assert_string_equal(info.thought, " a<x1><y2> b");
        assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
        assert_int_equal(s.counts.patches, 1);   /* the picture is computed once */
        assert_int_equal(step_at(r.agents[0], 0).kind, MUSE_REASON_DOUBT);
        assert_int_equal(step_at(r.agents[0], 0).token, info.direct_tokens);
        assert_int_equal(step_at(r.agents[0], 1).kind, MUSE_REASON_POINT);
        assert_int_equal(info.n_steps, 2);
        assert_string_equal(read_back(r.agents[0]), "<bos><image 1>#</image>How many?<think> a<x1><y2> b</think>five<eos>");
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

/* token for token: what is written behind a doubt is what thinking writes, also sampled; nothing of the first answer is left in it */
static void thinks_as_thinking_does(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r, alone;
    set_up(&s);
    for (int k = 0; k < 6; k++) {
        s.p.temperature = k % 2 ? 1 : 0;
        s.p.seed = (uint64_t)k;
        s.agent.no_look = k == 4;
        s.p.mode = MUSE_MODE_AUTO;
        s.p.doubt = 1;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        s.p.mode = MUSE_MODE_THINKING;
        s.p.doubt = 0.5;   /* means nothing here */
        ok(muse_reason(s.m, s.parts, 2, &s.p, &alone, &err));
        const MuseAgentInfo a = info_of(r.agents[0]), b = info_of(alone.agents[0]);
        const int32_t *x, *y;
        const size_t n = muse_agent_ids(r.agents[0], &x), m = muse_agent_ids(alone.agents[0], &y);
        assert_true(a.doubted && !b.doubted && n == m + a.direct_tokens);
        assert_memory_equal(x + a.direct_tokens, y, m * sizeof *x);
        if (fabs(a.confidence - b.confidence) > 1e-5 * b.confidence) fail_msg("%d: %.17g %.17g", k, a.confidence, b.confidence);   /* what begins the turn is computed in a product of its own, which rounds otherwise: 1.4e-6 on a CPU with AVX2; seven times that is left for others */
        assert_true(a.prompt_tokens == b.prompt_tokens && a.thought_tokens == b.thought_tokens && a.answer_tokens == b.answer_tokens + a.direct_tokens);
        assert_true(a.n_answer == b.n_answer && memcmp(a.answer, b.answer, a.n_answer) == 0);
        assert_int_equal(muse_sequence_length(muse_session_sequence(r.agents[0]->s)), muse_sequence_length(muse_session_sequence(alone.agents[0]->s)));
        muse_reason_result_clear(&alone);
        s.p.mode = MUSE_MODE_INSTANT;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &alone, &err));
        const MuseAgentInfo c = info_of(alone.agents[0]);
        assert_true(a.n_direct <= c.n_answer && memcmp(a.direct, c.answer, a.n_direct) == 0 && a.direct_probability < 1 && a.direct_tokens <= c.answer_tokens);
        muse_reason_result_clear(&alone);
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

/* nothing said, and a cut off answer, are in doubt whatever their probability */
static void empty_and_cut_off(void **state)
{
    (void)state;
    static const char *const words[] = { "<eos>x</think>yes<eos>", "aaaaaax</think>yes<eos>" };
    Setup s;
    MuseReasonResult r;
    Script t = { &r, NULL };
    set_up(&s);
    s.agent.event = write_script;
    s.agent.event_user = &t;
    s.p.doubt = 1e-300;
    for (int k = 0; k < 2; k++) {
        t.words = words[k];
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        const MuseAgentInfo info = info_of(r.agents[0]);
        assert_string_equal(r.answer, "yes");
        assert_true(info.doubted && info.n_direct == (k ? 6 : 0) && info.direct_tokens == (k ? 6 : 1));
        assert_int_equal(step_at(r.agents[0], 0).kind, MUSE_REASON_DOUBT);
        muse_reason_result_clear(&r);
    }
    t.words = "<think>abc</think>aaaaaaaaaaaayes<eos>";   /* a thought of its own in what is taken back leaves the budget whole */
    s.p.doubt = 0.95;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_string_equal(r.answer, "yes");
    assert_int_equal(info_of(r.agents[0]).thought_tokens, 4 + 12);   /* `</think>` of its own counts; that of a spent budget is forced */
    assert_string_equal(info_of(r.agents[0]).thought, "aaaaaaaaaaaa");
    muse_reason_result_clear(&r);
    s.p.doubt = 1e-300;
    t.words = "no<eos>";   /* improbable, but not that much */
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_string_equal(r.answer, "no");
    muse_reason_result_clear(&r);
    tear_down(&s);
}

static void assert_text(const MuseTraceStep *s, const char *want)
{
    if (s->n_text != strlen(want) || memcmp(s->text, want, s->n_text) != 0) fail_msg("%.*s, wanted %s", (int)s->n_text, s->text, want);
}

/* the trace has the answer that was taken back with its probability, then the chain, then the answer */
static void in_a_trace(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    MuseTraceStep step;
    MuseTraceSummary sum;
    MuseWatchParams heat;
    Script t = { &r, "<x9><y9> four<eos>star<x1><y2></think>five<eos>" };
    set_up(&s);
    muse_watch_params_init(&heat);
    s.agent.heat = &heat;
    s.agent.answer_tokens = 16;
    s.parts[1] = text("What?");
    s.p.doubt = doubt_of(s.m, &s.picture, 1, "<x9><y9> four<eos>");
    s.agent.event = write_script;
    s.agent.event_user = &t;
    ok(muse_trace_open(&s.agent.trace, NULL, NULL, &err));
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    const MuseAgentInfo info = info_of(r.agents[0]);
    assert_int_equal(muse_trace_step_count(s.agent.trace), 3);
    ok(muse_trace_step(s.agent.trace, 1, &step));
    assert_int_equal(step.kind, MUSE_STEP_END);
    assert_text(&step, "in doubt (0 %), taken back: picture 1 (19, 14) four");
    assert_true(fabs(step.confidence - info.direct_probability) < 1e-12 && step.agent == 0 && step.done);   /* that which its text tells */
    ok(muse_trace_step(s.agent.trace, 2, &step));
    assert_int_equal(step.kind, MUSE_STEP_CLAIM);
    assert_text(&step, "star");
    ok(muse_trace_step(s.agent.trace, 3, &step));
    assert_int_equal(step.kind, MUSE_STEP_ANSWER);
    assert_text(&step, "five");
    assert_true(fabs(step.confidence - r.confidence) < 1e-12);
    assert_int_equal(step.first_token + step.n_tokens, muse_sequence_length(muse_session_sequence(r.agents[0]->s)));
    muse_trace_summary_init(&sum);
    muse_trace_summary(s.agent.trace, &sum);
    assert_string_equal(sum.answer, "five");
    assert_int_equal(sum.answer_tokens, info.answer_tokens);
    assert_int_equal(muse_trace_image_count(s.agent.trace), 1);
    muse_reason_result_clear(&r);
    muse_trace_close(&s.agent.trace);
    tear_down(&s);
}

/* ---- cancelled ---- */

static int countdown(void *user) { return (*(int *)user)-- <= 0; }

/* at any poll, and going on gives what would have been */
static void cancel_anywhere(double doubt, int least)
{
    Setup s;
    MuseReasonResult r;
    int left = 1 << 20, n = 0, rc = MUSE_ERR_CANCELLED, before = 0, behind = 0;
    set_up(&s);
    s.p.doubt = doubt;
    s.agent.cancel = countdown;
    s.agent.cancel_user = &left;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    const size_t n_ids = muse_agent_count(r.agents[0]);
    int32_t *ids = malloc(n_ids * sizeof *ids);
    memcpy(ids, muse_agent_id(r.agents[0], 0), n_ids * sizeof *ids);
    muse_reason_result_clear(&r);
    for (; n < 2000; n++) {
        left = n;
        rc = muse_reason(s.m, s.parts, 2, &s.p, &r, &err);
        if (rc == 0) break;
        assert_int_equal(rc, MUSE_ERR_CANCELLED);
        assert_null(r.answer);
        left = 1 << 20;
        if (r.n_agents) {
            before += !info_of(r.agents[0]).doubted;
            behind += info_of(r.agents[0]).doubted;
            ok(muse_agent_run(r.agents, 1, &err));
            assert_int_equal(muse_agent_count(r.agents[0]), n_ids);
            assert_memory_equal(muse_agent_id(r.agents[0], 0), ids, n_ids * sizeof *ids);
        }
        muse_reason_result_clear(&r);
    }
    assert_int_equal(rc, 0);
    if (before < least || behind < 10) fail_msg("%d %d", before, behind);
    muse_reason_result_clear(&r);
    free(ids);
    tear_down(&s);
}

/* given up at the first token, and cut off at the last */
static void cancelled(void **state)
{
    (void)state;
    cancel_anywhere(1, 2);
    cancel_anywhere(1e-300, 6);
}

static void no_memory(void **state)
{
    (void)state;
    static Meter meter;
    MuseRuntime *rt = meter_runtime(&meter, 1);
    MuseModel *m = open_model("reason/muse", rt);
    MuseImage *picture = make_picture(64, 64);
    int rc = MUSE_ERR_NOMEM;
    long n = 0;
    for (; rc != 0 && n < 4000; n += 1 + n / 80) {
        const MuseReasonPart parts[2] = { { .modality = MUSE_IMAGE, .image = picture }, text("What?") };
        MuseAgentParams p = doubtful(1);
        MuseAgent *a = NULL;
        int32_t *ids = NULL;
        size_t n_ids;
        static const char words[] = "os<x1><y1></think> d<eos>";
        meter_leave(&meter, n);
        rc = muse_trace_open(&p.trace, rt, NULL, &err);
        if (rc == 0) rc = muse_agent_open(&a, m, parts, 2, &p, &err);
        if (rc == 0) rc = muse_text_encode(muse_session_tokenizer(a->s), words, sizeof words - 1, MUSE_TEXT_ADDED, &ids, &n_ids, &err);
        if (rc == 0) rc = muse_agent_script(a, ids, n_ids);
        if (rc == 0) rc = muse_agent_run(&a, 1, &err);
        muse_free(ids);
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
        if (rc != 0 && rc != MUSE_ERR_NOMEM) fail_msg("allocation %ld: %d %s", n, rc, err.text);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 50);
    meter.fail_from = 0;
    muse_image_close(&picture);
    muse_model_close(&m);
    muse_runtime_close(&rt);
    assert_int_equal(meter.live, 0);
}

/* ---- other models, batches, turns ---- */

/* The thinking prompt is the one that an agent gets which thinks; where it begins otherwise all is computed again. Without thoughts what was said holds */
static void formats(void **state)
{
    (void)state;
    static const struct { const char *model, *words; bool picture, doubts, again; } cases[] = {
        { "golden/gemma4-a/hf", "Seven.<turn|><|channel>thought\nIt is<channel|>Eight.<turn|>", true, true, true },
        { "golden/qwen3/hf", "Seven.<|im_end|><think>\nIt is\n</think>\n\nEight.<|im_end|>", false, true, false },
        { "golden/llama3/hf", "Seven.<|eot_id|>", false, false, false },
        { "golden/qwen2/hf", "Seven.<|im_end|>", false, false, false },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        MuseModel *m = open_model(cases[k].model, NULL);
        MuseImage *picture = make_picture(128, 128);
        char first[64];
        snprintf(first, sizeof first, "%.*s", (int)(strchr(cases[k].words, '>') + 1 - cases[k].words), cases[k].words);
        MuseAgentParams p = doubtful(cases[k].doubts ? doubt_of(m, &picture, cases[k].picture, first) : 1), thinks;
        muse_agent_params_init(&thinks);
        thinks.thinking = cases[k].doubts ? MUSE_THINKING_ON : MUSE_THINKING_OFF;
        MuseAgent *b = open_agent(m, &picture, cases[k].picture, &thinks), *a = open_agent(m, &picture, cases[k].picture, &p);
        char want[8192];
        snprintf(want, sizeof want, "%s", read_back(b));
        const size_t n = strlen(want);
        script(a, cases[k].words);
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        assert_int_equal(info.doubted, cases[k].doubts);
        assert_memory_equal(info.answer, cases[k].doubts ? "Eight." : "Seven.", 6);
        assert_int_equal(info.n_answer, 6);
        if (cases[k].doubts) {
            assert_memory_equal(info.direct, "Seven.", 6);
            assert_memory_equal(info.thought, "It is", 5);
        }
        const char *got = read_back(a);
        if (memcmp(got, want, n) != 0 || strstr(got, "Seven") != (cases[k].doubts ? NULL : got + n)) fail_msg("%s:\n%s\nwanted first\n%s", cases[k].model, got, want);
        assert_true(info.prompt_tokens == info_of(b).prompt_tokens);
        muse_agent_close(&a);
        muse_agent_close(&b);
        muse_image_close(&picture);
        muse_model_close(&m);
    }
}

/* what came from calls is not asked for again */
static void calls_are_not_made_twice(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL);
    MuseImage *picture = make_picture(400, 200);
    const MuseAgentParams p = doubtful(1);
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    ok(muse_look(a, 1, (MuseRect){ 201, 51, 219, 59 }, &err));
    script(a, "It is red.<turn|>");
    ok(run_one(a));
    assert_true(!info_of(a).doubted && info_of(a).looks == 1);
    assert_memory_equal(info_of(a).answer, "It is red.", 10);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* Taken back right behind a call that was written and not made: it is never made. Where that is, the sweep of doubts finds */
static void calls_in_doubt_are_not_made(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL);
    MuseImage *picture = make_picture(400, 200);
    MuseAgentParams p = doubtful(1);
    uint32_t behind = 0, accepted = 0;
    p.free_places = 1;
    for (p.doubt = 1e-235; p.doubt > 1e-280; p.doubt *= 0.05) {   /* from where the call itself is taken back to where all is accepted */
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "<|tool_call>call:look{box:[1,1,99,99]}<tool_call|><|tool_response><|channel>thought\nq<channel|>It is red.<turn|>");
        ok(muse_agent_run(&a, 1, &err));
        const MuseAgentInfo info = info_of(a);
        behind += info.doubted && !info.looks;
        accepted += !info.doubted;
        if (!info.doubted) assert_int_equal(info.looks, 1);   /* the call as such is a good one */
        muse_agent_close(&a);
    }
    assert_true(behind > 0 && accepted > 0);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* in one batch some think and some don't; cuts that the first answer looked at are gone */
static void in_a_batch(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    static const char looks[] = "<look> s<box><x1><y1><x2><y2> four<eos>";
    MuseAgentParams p[3] = { doubtful(1e-300), doubtful(1), doubtful(doubt_of(m, &picture, 1, looks)) };
    MuseAgent *a[3];
    for (int i = 0; i < 3; i++) a[i] = open_agent(m, &picture, 1, &p[i]);
    script(a[0], "one<eos>");
    script(a[1], "tabc</think>three<eos>");
    script(a[2], "<look> s<box><x1><y1><x2><y2> four<eos><look> s<box><x1><y1><x2><y2> q</think>five<eos>");
    ok(muse_agent_run(a, 3, &err));
    static const char *const want[] = { "one", "three", "five" };
    for (int i = 0; i < 3; i++) assert_true(info_of(a[i]).n_answer == strlen(want[i]) && memcmp(info_of(a[i]).answer, want[i], strlen(want[i])) == 0);
    assert_true(!info_of(a[0]).doubted && info_of(a[1]).doubted && info_of(a[2]).doubted);
    assert_int_equal(info_of(a[2]).looks, 2);
    assert_int_equal(a[2]->n_pictures, 2);
    assert_int_equal(step_at(a[2], 2).shown, 2);
    assert_string_equal(read_back(a[2]), "<bos><image 1>#</image>What?<think><look> s<box><x1><y1><x2><y2><image 2>#</image> q</think>five<eos>");
    for (int i = 0; i < 3; i++) muse_agent_close(&a[i]);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* in a conversation only the turn's own answer goes; the next turn doubts as this one did, unless told */
static void turns(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *first = make_picture(128, 128), *second = make_picture(640, 320);
    const MuseAgentParams p = doubtful(1);
    MuseAgent *a = open_agent(m, &first, 1, &p);
    script(a, "oa</think>two<eos>");
    ok(run_one(a));
    const size_t end = muse_sequence_length(muse_session_sequence(a->s));
    const MuseReasonPart more[] = { { .modality = MUSE_IMAGE, .image = second }, text("And here?") };
    ok(muse_agent_ask(a, more, 2, NULL, &err));
    assert_false(info_of(a).doubted);
    script(a, "<image 1><x32><y32></think>four<eos>");
    ok(run_one(a));
    assert_true(info_of(a).doubted);
    assert_int_equal(info_of(a).n_direct, strlen("<image 1>"));
    const MuseReasonStep s = step_at(a, info_of(a).n_steps - 1);
    assert_int_equal(s.kind, MUSE_REASON_POINT);
    assert_int_equal(s.image, 2);   /* the picture of this turn again */
    assert_true(a->s->kv.length >= end);
    assert_string_equal(read_back(a), "<bos><image 1>#</image>What?<think>a</think>two<eos><image 2>#</image>And here?<think><x32><y32></think>four<eos>");
    MuseTurnParams t;
    muse_turn_params_init(&t);
    const MuseReasonPart again = text("So?");
    for (int k = 0; k < 3; k++) {   /* think; at once; at once with doubt */
        t.thinking = k ? MUSE_THINKING_OFF : MUSE_THINKING_ON;
        t.doubt = k == 2 ? 1 : 0;
        ok(muse_agent_ask(a, &again, 1, &t, &err));
        script(a, k == 0 ? "b</think>yes<eos>" : k == 1 ? "no<eos>" : "nc</think>yes<eos>");
        ok(run_one(a));
        assert_int_equal(info_of(a).doubted, k == 2);
        assert_int_equal(info_of(a).n_answer, k == 1 ? 2 : 3);
    }
    muse_agent_close(&a);
    muse_image_close(&first);
    muse_image_close(&second);
    muse_model_close(&m);
}

static void refused(void **state)
{
    (void)state;
    static const struct { int thinking; double doubt; int turn, rc; } cases[] = {
        { MUSE_THINKING_OFF, 1.01, 0, MUSE_ERR_ARG }, { MUSE_THINKING_OFF, -0.1, 0, MUSE_ERR_ARG }, { MUSE_THINKING_OFF, (double)NAN, 0, MUSE_ERR_ARG }, { MUSE_THINKING_ON, 0.5, 0, MUSE_ERR_ARG },
        { MUSE_THINKING_DEFAULT, 0.5, 0, MUSE_ERR_ARG }, { MUSE_THINKING_OFF, 1, 0, 0 }, { MUSE_THINKING_ON, 0.5, 1, MUSE_ERR_ARG }, { MUSE_THINKING_DEFAULT, 0.5, 1, MUSE_ERR_ARG },
        { MUSE_THINKING_OFF, 2, 1, MUSE_ERR_ARG }, { MUSE_THINKING_OFF, 0.5, 1, 0 },
    };
    Setup s;
    MuseReasonResult r;
    set_up(&s);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        MuseAgentParams p = doubtful(cases[k].turn ? 0 : cases[k].doubt);
        MuseTurnParams t;
        MuseAgent *a = NULL;
        if (!cases[k].turn) p.thinking = cases[k].thinking;
        p.thought_tokens = p.answer_tokens = 2;
        int rc = muse_agent_open(&a, s.m, s.parts, 2, &p, &err);
        if (cases[k].turn) {
            assert_int_equal(rc, 0);
            ok(run_one(a));
            muse_turn_params_init(&t);
            t.thinking = cases[k].thinking;
            t.doubt = cases[k].doubt;
            rc = muse_agent_ask(a, &s.parts[1], 1, &t, &err);
        }
        if (rc != cases[k].rc) fail_msg("case %zu: %d", k, rc);
        muse_agent_close(&a);
    }
    const double bad[] = { -1, 1.5, (double)NAN };
    for (int i = 0; i < 3; i++) {
        s.p.doubt = bad[i];
        assert_int_equal(muse_reason(s.m, s.parts, 2, &s.p, &r, &err), MUSE_ERR_ARG);
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_thinks), cmocka_unit_test(thinks_as_thinking_does), cmocka_unit_test(empty_and_cut_off), cmocka_unit_test(in_a_trace), cmocka_unit_test(cancelled), cmocka_unit_test(no_memory),
        cmocka_unit_test(formats), cmocka_unit_test(calls_are_not_made_twice), cmocka_unit_test(calls_in_doubt_are_not_made), cmocka_unit_test(in_a_batch), cmocka_unit_test(turns), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
