/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason/turn.c: several turns of one conversation on one agent. What the model writes is scripted; what stands in the sequence between the
 * turns is read back by its bytes. */
#include "libmuse/reason/record.h"
#include "tests/unit/test_reason_data.h"

/* the bytes of the sequence from a position on; a picture's patches as # */
static const char *read_back(const MuseAgent *a, size_t from)
{
    static char out[4096];
    const MuseSequence *seq = muse_session_sequence(a->s);
    size_t n = 0, last = SIZE_MAX;
    for (size_t i = from; i < muse_sequence_length(seq); i++) {
        MusePosition p;
        ok(muse_sequence_position(seq, i, &p));
        if (p.modality == MUSE_IMAGE && !p.is_marker) {
            if (last != p.span) out[n++] = '#';
            last = p.span;
            continue;
        }
        memcpy(out + n, p.bytes, p.n_bytes);
        n += p.n_bytes;
    }
    out[n] = 0;
    return out;
}

static MuseReasonPart text(const char *t) { return (MuseReasonPart){ .modality = MUSE_TEXT, .text = t }; }

static void two_turns(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *first = make_picture(128, 128), *second = make_picture(640, 320);
    MuseAgent *a = open_agent(m, &first, 1, NULL);
    script(a, "<look> a<box><x1><y1><x2><y2> 7</think> seven<eos>");
    ok(run_one(a));
    const size_t end = muse_sequence_length(muse_session_sequence(a->s));
    const uint64_t computed = a->s->kv.length;
    assert_int_equal(computed, end);
    MuseTraceStep s;
    MuseTurnParams p;
    muse_turn_params_init(&p);
    ok(muse_trace_open(&p.trace, NULL, NULL, &err));
    const MuseReasonPart more[] = { { .modality = MUSE_IMAGE, .image = second }, text("And here?") };
    ok(muse_agent_ask(a, more, 2, &p, &err));
    assert_string_equal(read_back(a, end), "<image 3>#</image>And here?<think>");
    assert_int_equal(a->s->kv.length, end);   /* nothing is computed again */
    assert_int_equal(info_of(a).finish, MUSE_AGENT_RUNNING);
    assert_int_equal(info_of(a).n_answer, 0);
    assert_int_equal(info_of(a).looks, 0);
    script(a, " red star<x16><y32><image 1><x1><y1></think> eight<eos>");
    ok(run_one(a));
    assert_memory_equal(info_of(a).answer, "eight", 5);
    assert_int_equal(info_of(a).n_answer, 5);
    assert_int_equal(info_of(a).n_steps, 4);
    assert_int_equal(step_at(a, 1).image, 2);
    ok(muse_trace_step(p.trace, 1, &s));   /* places mean the new picture, which is number 2 of those given */
    assert_int_equal(s.kind, MUSE_STEP_CLAIM);
    assert_int_equal(s.marks[0].image, 2);
    assert_rect(s.marks[0].rect, 165, 162.5, 165, 162.5);
    ok(muse_trace_step(p.trace, 2, &s));
    assert_int_equal(s.marks[0].image, 1);
    assert_int_equal(muse_trace_image_count(p.trace), 2);
    /* the third one is instant, and a look can be asked for in a thinking one again */
    muse_trace_close(&p.trace);
    p.thinking = MUSE_THINKING_OFF;
    const size_t third = muse_sequence_length(muse_session_sequence(a->s));
    const MuseReasonPart again = text("So?");
    ok(muse_agent_ask(a, &again, 1, &p, &err));
    assert_string_equal(read_back(a, third), "So?<think></think>");
    script(a, " yes<eos>");
    ok(run_one(a));
    assert_int_equal(info_of(a).thought_tokens, 0);
    p.thinking = MUSE_THINKING_ON;
    ok(muse_agent_ask(a, &again, 1, &p, &err));
    ok(muse_look(a, 2, (MuseRect){ 100, 100, 120, 110 }, &err));
    script(a, " 7</think> 7<eos>");
    ok(run_one(a));
    assert_int_equal(info_of(a).looks, 1);
    muse_agent_close(&a);
    muse_image_close(&first);
    muse_image_close(&second);
    muse_model_close(&m);
}

/* a turn that was cut off is closed before the next one */
static void cut_off(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    const MuseReasonPart and = text("And?");
    for (int how = 0; how < 3; how++) {
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.thought_tokens = how == 1 ? 6 : 0;
        p.answer_tokens = 2;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        const size_t from = muse_sequence_length(muse_session_sequence(a->s));
        assert_int_equal(muse_agent_ask(a, &and, 1, NULL, &err), MUSE_ERR_STATE);   /* it has not ended */
        script(a, how == 0 ? "12</think>345678" : " a b c d e f g h i j");
        if (how < 2) ok(run_one(a));
        else muse_agent_stop(a);
        assert_int_equal(info_of(a).finish, how < 2 ? MUSE_AGENT_LENGTH : MUSE_AGENT_STOPPED);
        const size_t written = muse_agent_count(a);
        ok(muse_agent_ask(a, &and, 1, NULL, &err));
        const char *got = read_back(a, from), *want = how == 0 ? "12</think>34<eos>And?<think>" : how == 1 ? "<eos>And?<think>" : "</think><eos>And?<think>";
        const size_t n = strlen(got), k = strlen(want);
        if (n < k || strcmp(got + n - k, want)) fail_msg("%s, wanted ... %s", got, want);
        if (how == 2) assert_string_equal(got, want);
        assert_true(muse_agent_count(a) > written);
        a->script.len = a->script_at = 0;
        script(a, " x</think> y<eos>");
        ok(run_one(a));
        assert_memory_equal(info_of(a).answer, "y", 1);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* an agent that was just asked, forked: it goes on as the one that it comes from, over all turns */
static void forked(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128), *second = make_picture(640, 320);
    MuseSessionParams sp;
    MuseAgentParams p;
    MuseTurnParams t;
    muse_session_params_init(&sp);
    muse_agent_params_init(&p);
    muse_turn_params_init(&t);
    sp.compute = MUSE_COMPUTE_F32;
    p.session = &sp;
    p.thought_tokens = 12;
    p.answer_tokens = 6;
    MuseAgent *a = open_agent(m, &picture, 1, &p), *b, *c;
    script(a, "<look> a<box><x1><y1><x2><y2> 7</think> seven<eos>");
    ok(run_one(a));
    assert_int_equal(muse_agent_fork(&b, a, 1, 0, 0, &err), MUSE_ERR_STATE);   /* it has written */
    assert_null(b);
    t.thought_tokens = 20;
    ok(muse_trace_open(&t.trace, NULL, NULL, &err));
    const MuseReasonPart more[] = { { .modality = MUSE_IMAGE, .image = second }, text("And here?") };
    ok(muse_agent_ask(a, more, 2, &t, &err));
    ok(muse_agent_fork(&b, a, 1, 0, 0, &err));
    assert_int_equal(muse_agent_count(b), muse_agent_count(a));
    assert_int_equal(info_of(b).n_steps, info_of(a).n_steps);
    MuseAgent *each[2] = { a, b };
    for (int i = 0; i < 2; i++) {   /* places mean the second picture */
        script(each[i], " red star<x16><y32>");
        ok(run_one(each[i]));
    }
    assert_int_equal(info_of(a).thought_tokens, 20);
    assert_int_equal(info_of(b).thought_tokens, 20);
    assert_int_equal(muse_agent_count(b), muse_agent_count(a));
    assert_memory_equal(muse_agent_id(b, 0), muse_agent_id(a, 0), muse_agent_count(a) * sizeof(int32_t));
    assert_true(info_of(b).n_steps >= 2 && info_of(b).n_steps == info_of(a).n_steps);
    for (size_t i = 0; i < info_of(a).n_steps; i++) {
        assert_string_equal(step_at(b, i).text, step_at(a, i).text);
        assert_int_equal(step_at(b, i).image, step_at(a, i).image);
    }
    assert_int_equal(step_at(b, 1).image, 2);
    assert_int_equal(muse_agent_fork(&c, b, 2, 0, 0, &err), MUSE_ERR_STATE);
    const MuseReasonPart third = text("So?");   /* and each goes on by itself */
    muse_trace_close(&t.trace);
    for (int i = 0; i < 2; i++) ok(muse_agent_ask(each[i], &third, 1, &t, &err));
    ok(muse_agent_fork(&c, b, 2, 0, 0, &err));
    muse_agent_close(&a);
    muse_agent_close(&b);
    script(c, " 7</think> eight<eos>");
    ok(run_one(c));
    assert_memory_equal(info_of(c).answer, "eight", 5);
    muse_agent_close(&c);
    muse_image_close(&picture);
    muse_image_close(&second);
    muse_model_close(&m);
}

/* no room, a picture too many, a format without thoughts: said, and the agent can be asked something else */
static void refused(void **state)
{
    (void)state;
    MuseModel *m = muse_model(), *llama = open_model("golden/llama3/hf", NULL);
    MuseImage *picture = make_picture(128, 128);
    MuseSessionParams sp;
    MuseAgentParams p;
    MuseTurnParams t;
    muse_session_params_init(&sp);
    muse_agent_params_init(&p);
    muse_turn_params_init(&t);
    sp.max_positions = 80;
    p.session = &sp;
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    script(a, " a</think> b<eos>");
    ok(run_one(a));
    const size_t end = muse_sequence_length(muse_session_sequence(a->s));
    char lots[400];
    memset(lots, '7', sizeof lots - 1);
    lots[sizeof lots - 1] = 0;
    const MuseReasonPart long_one = text(lots), short_one = text("c?"), pictures[] = { { .modality = MUSE_IMAGE, .image = picture }, long_one };
    assert_true(muse_agent_ask(a, &long_one, 1, NULL, &err) < 0);
    assert_true(muse_agent_ask(a, pictures, 2, NULL, &err) < 0);
    assert_int_equal(a->n_pictures, 1);
    assert_int_equal(muse_sequence_length(muse_session_sequence(a->s)), end);
    assert_int_equal(muse_agent_ask(a, &short_one, 0, NULL, &err), MUSE_ERR_ARG);
    t.thinking = 7;
    assert_int_equal(muse_agent_ask(a, &short_one, 1, &t, &err), MUSE_ERR_ARG);
    ok(muse_agent_ask(a, &short_one, 1, NULL, &err));
    script(a, " a</think> b<eos>");
    ok(run_one(a));
    muse_agent_close(&a);
    MuseReasonPart words = text("Hi");
    ok(muse_agent_open(&a, llama, &words, 1, NULL, &err));
    muse_agent_stop(a);
    t.thinking = MUSE_THINKING_ON;
    assert_int_equal(muse_agent_ask(a, &words, 1, &t, &err), MUSE_ERR_UNSUPPORTED);
    ok(muse_agent_ask(a, &words, 1, NULL, &err));
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&llama);
    muse_model_close(&m);
}

/* a turn of one agent leaves the trace of its forks alone, and ends its own watch */
static void siblings(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    const MuseReasonPart and = text("And?");
    MuseWatchParams w;
    MuseWatched seen;
    MuseAgentParams p;
    muse_watch_params_init(&w);
    muse_agent_params_init(&p);
    p.heat = &w;
    ok(muse_trace_open(&p.trace, NULL, NULL, &err));
    MuseAgent *agents[2] = { open_agent(m, &picture, 1, &p) }, *check;
    ok(muse_agent_fork(&agents[1], agents[0], 1, 1, 0, &err));
    for (int i = 0; i < 2; i++) script(agents[i], "<look> a<box><x1><y1><x2><y2> 7</think> 7<eos>");
    ok(muse_agent_run(agents, 2, &err));
    ok(muse_session_watched(agents[0]->s, &seen, &err));
    const double started = agents[1]->started;
    ok(muse_agent_ask(agents[0], &and, 1, NULL, &err));   /* without a trace */
    assert_int_equal(muse_session_watched(agents[0]->s, &seen, &err), MUSE_ERR_STATE);
    assert_true(agents[0]->started > started && agents[1]->started == started);
    const uint32_t before = (uint32_t)muse_trace_step_count(p.trace);
    ok(muse_agent_verify(&check, agents[1], 2, 0, &err));
    script(check, " 7</think> 7<eos>");
    ok(run_one(check));
    assert_true(muse_trace_step_count(p.trace) > before);
    muse_agent_close(&check);
    for (int i = 0; i < 2; i++) muse_agent_close(&agents[i]);
    muse_trace_close(&p.trace);
    muse_image_close(&picture);
    muse_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(two_turns), cmocka_unit_test(cut_off), cmocka_unit_test(forked), cmocka_unit_test(refused), cmocka_unit_test(siblings) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
