/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason, chains: what is read out of them, what is shown for a look and where, budgets, looks of the caller's, cancelling,
 * no memory. What the model writes is scripted. */
#include <math.h>
#include <stdatomic.h>

#include "tests/unit/meter.h"
#include "tests/unit/test_reason_data.h"

/* ---- places ---- */

/* by hand from the rule in reason.h */
static void views(void **state)
{
    (void)state;
    const MuseRect small = muse_look_view(256, 256, (MuseRect){ 100, 100, 110, 104 });    /* 64 round (105, 102) */
    assert_rect(small, 73, 70, 137, 134);
    const MuseRect corner = muse_look_view(256, 128, (MuseRect){ 0, 120, 8, 128 });
    assert_rect(corner, 0, 64, 64, 128);
    const MuseRect large = muse_look_view(1000, 1000, (MuseRect){ 100, 200, 300, 250 });  /* 230 round (200, 225) */
    assert_rect(large, 85, 110, 315, 340);
    const MuseRect flat = muse_look_view(2000, 40, (MuseRect){ 500, 10, 600, 30 });       /* 115 wide, 40 is all there is */
    assert_rect(flat, 492, 0, 607, 40);
    const MuseRect tiny = muse_look_view(20, 10, (MuseRect){ 0, 0, 5, 5 });
    assert_rect(tiny, 0, 0, 20, 10);
}

/* ---- the machine ---- */

/* events of a text: one letter each, BAD as !, images with their number */
static void machine(void **state)
{
    static const struct { const char *text, *want; } t[] = {
        { " red star<x3><y9> none", "p" },
        { "<box><x1><y2><x3><y4>", "b" },
        { "<look> red star<box><x1><y2><x3><y4> 7", "l" },
        { "<look> red<x1><y1><box><x1><y2><x3><y4> 7", "pl" },
        { "<point><x1><y2>", "p" },
        { "<compare><image 2><x1><y1><image 1>", "c2p1" },
        { "<verify> no<look> a<box><x0><y0><x0><y0>", "vl" },
        { "7<x10><x33> different", "" },
        { "<y3><x1><y1><y2>", "p" },
        { "<x1><x2><y3>", "p" },
        { "<box><x1><y2> no", "!" },
        { "<box><y1><x2>", "!" },
        { "<look><look><box><x1><y1><x1><y1>", "!l" },
        { "<look> a<box><x5><y1><x4><y1> b<box><x1><y1><x1><y1>", "!b" },
        { "<box><x1><y1><x2><box><x1><y1><x1><y1>", "!b" },
        { "<point><y1><x1><y1>", "!p" },
        { "<look> a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a", "!" },
    };
    (void)state;
    MuseModel *m = muse_model();
    MuseTextTokenizer *tok;
    MuseWords w;
    ok(muse_model_open_tokenizer(m, &tok, &err));
    muse_words_find(&w, tok);
    assert_int_equal(w.n_places, 64);
    assert_true(muse_words_have_boxes(&w));
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int32_t *ids;
        size_t n, k = 0;
        char got[64] = "";
        MuseChain c;
        muse_chain_begin(&c);
        ok(muse_text_encode(tok, t[i].text, strlen(t[i].text), MUSE_TEXT_ADDED, &ids, &n, &err));
        for (size_t j = 0; j < n; j++) {
            const MuseChainEvent e = muse_chain_push(&c, &w, ids[j]);
            if (e.bad) got[k++] = '!';
            if (e.kind == MUSE_REASON_IMAGE) got[k++] = (char)('0' + e.image);
            else if (e.kind) got[k++] = " pblcv"[e.kind];
        }
        muse_free(ids);
        if (strcmp(got, t[i].want)) fail_msg("%s: %s, wanted %s", t[i].text, got, t[i].want);
    }
    muse_text_close(&tok);
    muse_model_close(&m);
}

/* ---- looks ---- */

/* the cut is the right rectangle at the right place: ids, positions, pixels, picture numbers */
static void look_shows_the_rectangle(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(640, 320);
    MuseAgent *a = open_agent(m, &picture, 1, NULL);
    script(a, " sign<look> red star<box><x16><y32><x17><y33> 7</think> seven<eos>");
    ok(run_one(a));
    const MuseAgentInfo info = info_of(a);
    assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
    assert_string_equal(info.answer, "seven");
    assert_int_equal(info.looks, 1);
    assert_int_equal(info.bad, 0);
    assert_int_equal(info.n_steps, 1);
    const MuseReasonStep s = step_at(a, 0);
    assert_int_equal(s.kind, MUSE_REASON_LOOK);
    assert_int_equal(s.image, 1);
    assert_int_equal(s.shown, 2);
    assert_false(s.refused);
    assert_rect(s.rect, 160, 160, 180, 170);       /* 640 / 64 = 10, 320 / 64 = 5 pixels a place */
    assert_rect(s.view, 138, 133, 202, 197);       /* 64 round (170, 165) */
    assert_non_null(strstr(s.text, "red star<box>"));

    const MuseSequence *seq = muse_session_sequence(muse_agent_session(a));
    MusePosition p;
    MuseSpanInfo span;
    ok(muse_sequence_position(seq, s.position - 1, &p));
    assert_memory_equal(p.bytes, "<y33>", 5);       /* the last place stands right before the cut */
    ok(muse_sequence_position(seq, s.position, &p));
    assert_memory_equal(p.bytes, "<image 2>", 9);
    assert_true(p.is_marker);
    ok(muse_sequence_span(seq, p.span, &span));
    assert_int_equal(span.modality, MUSE_IMAGE);
    assert_int_equal(span.number, 2);
    assert_rect(span.region, 138, 133, 202, 197);
    ok(muse_sequence_position(seq, s.position + span.count, &p));
    assert_memory_equal(p.bytes, " ", 1);           /* and " 7" right behind it */
    assert_int_equal(info.view_positions, span.count);
    ok(muse_sequence_position(seq, s.position + 1, &p));
    assert_true(p.source.x0 == 138 && p.source.y0 == 133);   /* of the original: full detail, not of the overview */
    int32_t t0 = p.t;
    ok(muse_sequence_position(seq, s.position + span.count - 2, &p));   /* the last patch; a marker follows */
    assert_int_equal(p.t, t0);
    assert_true(p.source.x1 == 202 && p.source.y1 == 197);
    float values[48];
    ok(muse_sequence_features(seq, p.span, 0, 1, values, &err));   /* 20 patches of a 64 x 64 cut: its corner is about (138, 133) */
    assert_true(values[0] * 255 > 137 && values[0] * 255 < 150 && values[1] * 255 > 132 && values[1] * 255 < 150);

    /* what the session computed is what one computes that is given the same sequence at once */
    MuseSession *fork;
    ok(muse_session_fork(&fork, a->s, &err));
    const size_t length = muse_sequence_length(seq), vocab = a->shared->vocab;
    float *want = malloc(vocab * sizeof *want);
    memcpy(want, muse_session_logits(a->s), vocab * sizeof *want);
    MuseSession *fresh;
    ok(muse_session_open(&fresh, m, NULL, &err));
    MuseSequence *again = muse_session_sequence(fresh);
    for (size_t k = 0; k < muse_sequence_span_count(seq); k++) {
        ok(muse_sequence_span(seq, k, &span));
        if (span.modality == MUSE_IMAGE) {
            MuseImageOptions o;
            muse_image_options_init(&o);
            o.budget = span.image.budget;
            ok(muse_sequence_append_image(again, a->pictures[span.number - 1].image, &o, &err));
        }
        for (size_t i = span.first; span.modality == MUSE_TEXT && i < span.first + span.count; i++) {
            ok(muse_sequence_position(seq, i, &p));
            ok(muse_sequence_append_ids(again, &p.id, 1, &err));
        }
    }
    assert_int_equal(muse_sequence_length(again), length);
    ok(muse_session_prefill(fresh, &err));
    for (size_t i = 0; i < vocab; i++) assert_true(muse_session_logits(fresh)[i] - want[i] < 2e-2f && want[i] - muse_session_logits(fresh)[i] < 2e-2f);
    free(want);
    muse_session_close(&fresh);
    muse_session_close(&fork);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* a look inside a look, at the second picture, in a given region, and points in each: all in pixels of the original */
static void nested(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *whole = make_picture(640, 320), *second = make_picture(200, 400), *region, *pictures[2];
    ok(muse_image_region(&region, whole, (MuseRect){ 64, 32, 64 + 512, 32 + 256 }, &err));
    pictures[0] = region;
    pictures[1] = second;
    MuseAgent *a = open_agent(m, pictures, 2, NULL);
    script(a, "<look> a<box><x0><y0><x31><y31><image 3><x0><y0><look> b<box><x32><y32><x32><y32><image 2><x32><y16> c</think> d<eos>");
    ok(run_one(a));
    assert_int_equal(info_of(a).n_steps, 6);
    assert_int_equal(info_of(a).looks, 2);
    MuseReasonStep s = step_at(a, 0);
    assert_rect(s.rect, 64, 32, 320, 160);            /* half of the region, in the whole picture's pixels */
    assert_rect(s.view, 64, 32, 64 + 295, 32 + 256);  /* 1.15 * 256 = 294.4, the region is 256 high */
    s = step_at(a, 1);
    assert_int_equal(s.kind, MUSE_REASON_IMAGE);
    assert_int_equal(s.image, 1);                     /* <image 3> is a cut of the first */
    s = step_at(a, 2);
    assert_rect(s.rect, 64, 32, 64 + 295 / 64.0, 36);
    s = step_at(a, 3);
    assert_int_equal(s.shown, 4);
    assert_rect(s.rect, 64 + 32 * 295 / 64.0, 32 + 128, 64 + 33 * 295 / 64.0, 32 + 132);
    s = step_at(a, 5);
    assert_int_equal(s.kind, MUSE_REASON_POINT);
    assert_int_equal(s.image, 2);
    assert_rect(s.rect, 100, 100, 100 + 200 / 64.0, 106.25);
    muse_agent_close(&a);
    muse_image_close(&whole);
    muse_image_close(&region);
    muse_image_close(&second);
    muse_model_close(&m);
}

/* comparisons and checks hold what follows them together */
static void groups(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *pictures[2] = { make_picture(128, 128), make_picture(128, 128) };
    MuseAgent *a = open_agent(m, pictures, 2, NULL);
    script(a, "<x1><y1><compare><image 1><x2><y2> red<image 2><x3><y3> moved<verify> yes<x4><y4></think><x5><y5><eos>");
    ok(run_one(a));
    static const struct { int kind; uint32_t group; } want[] = {
        { MUSE_REASON_POINT, MUSE_REASON_NONE }, { MUSE_REASON_COMPARE, MUSE_REASON_NONE }, { MUSE_REASON_IMAGE, 1 }, { MUSE_REASON_POINT, 1 }, { MUSE_REASON_IMAGE, 1 },
        { MUSE_REASON_POINT, 1 }, { MUSE_REASON_VERIFY, MUSE_REASON_NONE }, { MUSE_REASON_POINT, 6 }, { MUSE_REASON_POINT, MUSE_REASON_NONE },
    };
    assert_int_equal(info_of(a).n_steps, sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(step_at(a, i).kind, want[i].kind);
        assert_true(step_at(a, i).group == want[i].group);
    }
    muse_agent_close(&a);
    muse_image_close(&pictures[0]);
    muse_image_close(&pictures[1]);
    muse_model_close(&m);
}

/* behind <box> the model is held to places in order: a script that leaves them is not followed */
static void boxes_are_constrained(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    for (int free_places = 0; free_places < 2; free_places++) {
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.free_places = free_places;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "<box><x40><y50> wrong<x39><x41><y49><eos><y51></think> x<eos>");   /* allowed: x40 y50 x41 y51 */
        ok(run_one(a));
        const MuseReasonStep s = step_at(a, 0);
        assert_int_equal(s.kind, free_places ? MUSE_REASON_BAD : MUSE_REASON_BOX);
        if (!free_places) assert_rect(s.rect, 80, 100, 84, 104);
        muse_agent_close(&a);
    }
    for (uint64_t seed = 0; seed < 20; seed++) {   /* the model's own choice is a box too */
        MuseSampleParams sample;
        MuseAgentParams p;
        muse_sample_params_init(&sample);
        muse_agent_params_init(&p);
        sample.temperature = 3;
        sample.seed = seed;
        p.sample = &sample;
        p.thought_tokens = 5;
        p.answer_tokens = 1;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "<box>");
        ok(run_one(a));
        const MuseReasonStep s = step_at(a, 0);
        assert_int_equal(s.kind, MUSE_REASON_BOX);
        assert_true(s.rect.x1 > s.rect.x0 && s.rect.y1 > s.rect.y0);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* ---- budgets ---- */

static void thought_budget(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    for (uint32_t budget = 1; budget < 9; budget++) {
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.thought_tokens = budget;
        p.answer_tokens = 3;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "ab<box><x1><y1><x2><y2>cdefghijklm");
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        assert_int_equal(info.thought_tokens, budget);
        assert_int_equal(info.answer_tokens, 3);
        assert_int_equal(info.forced_tokens, 1);     /* </think> */
        assert_int_equal(info.finish, MUSE_AGENT_LENGTH);
        assert_int_equal(info.bad, budget >= 3 && budget < 7);   /* in the middle of the box */
        size_t closed = 0;
        while (step_at(a, closed).kind != MUSE_REASON_CLOSED) closed++;
        assert_int_equal(step_at(a, closed).token, budget);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* the thought's budget ends in the middle of a look: it is not shown, or shown at its last place; the answer follows, always */
static void budget_in_a_look(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    for (uint32_t budget = 1; budget < 10; budget++) {
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.thought_tokens = budget;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "a<look><box><x1><y1><x2><y2>bcd");
        a->script.len = budget * sizeof(int32_t);
        script(a, " d<eos>");
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
        assert_int_equal(info.thought_tokens, budget);
        assert_int_equal(info.looks, budget >= 7);
        assert_int_equal(info.bad, budget >= 2 && budget < 7);
        assert_memory_equal(info.answer, "d", 1);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* a picture that is not there: a step that says so, and the chain goes on */
static void places_nowhere(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    MuseAgent *a = open_agent(m, &picture, 1, NULL);
    script(a, "<image 5><x1><y1><look> s<box><x1><y1><x2><y2><image 1><look> s<box><x1><y1><x2><y2></think> d<eos>");
    ok(run_one(a));
    const MuseAgentInfo info = info_of(a);
    assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
    assert_int_equal(step_at(a, 0).kind, MUSE_REASON_BAD);
    assert_string_equal(step_at(a, 0).text, "a place in a picture that is not there");
    assert_int_equal(info.looks, 2);
    assert_int_equal(info.bad, 1);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

static void look_budgets(void **state)
{
    (void)state;
    static const char two[] = "<look> a<box><x1><y1><x2><y2>b<look> a<box><x1><y1><x2><y2>c</think> d<eos>";
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.looks = 1;
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    script(a, two);
    ok(run_one(a));   /* the second <look> can't be picked: what follows is a box */
    assert_int_equal(info_of(a).looks, 1);
    assert_int_equal(info_of(a).refused, 0);
    assert_int_equal(step_at(a, 1).kind, MUSE_REASON_BOX);
    const uint64_t each = info_of(a).view_positions;
    muse_agent_close(&a);

    for (uint64_t room = each - 1; room <= 2 * each; room += each) {   /* one too few for the first; for the second */
        muse_agent_params_init(&p);
        p.look_positions = (uint32_t)room;
        a = open_agent(m, &picture, 1, &p);
        script(a, two);
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        assert_int_equal(info.looks, room < each ? 0 : 1);
        assert_int_equal(info.view_positions, room < each ? 0 : each);
        assert_true(info.view_positions <= room);
        assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
        const MuseReasonStep s = step_at(a, info.n_steps - 1);
        assert_int_equal(s.kind, MUSE_REASON_LOOK);
        assert_true(s.refused && strstr(s.reason, "positions"));
        muse_agent_close(&a);
    }

    muse_agent_params_init(&p);
    p.looks = 20;
    p.thought_tokens = 400;
    a = open_agent(m, &picture, 1, &p);
    for (int i = 0; i < 8; i++) {   /* <image 8> is the last number: seven */
        char look[64];
        snprintf(look, sizeof look, "<look> a<box><x%d><y1><x%d><y2>", 16 + 3 * i, 17 + 3 * i);
        script(a, look);
    }
    script(a, "</think> d<eos>");
    ok(run_one(a));
    assert_int_equal(info_of(a).looks, 7);
    assert_int_equal(info_of(a).refused, 1);
    assert_non_null(strstr(step_at(a, 7).reason, "number"));
    assert_int_equal(info_of(a).finish, MUSE_AGENT_ANSWERED);
    muse_agent_close(&a);

    muse_agent_params_init(&p);
    p.no_look = 1;
    a = open_agent(m, &picture, 1, &p);
    script(a, two);
    ok(run_one(a));
    assert_int_equal(info_of(a).looks, 0);
    assert_int_equal(muse_look(a, 1, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_STATE);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* A view is shown three times a turn, a place beside it is the same; two looks in a row that are refused for it end the thought. */
static void circles(void **state)
{
    (void)state;
    static const char here[] = "<look> a<box><x20><y20><x30><y30> b", beside[] = "<look> a<box><x21><y20><x31><y30> b", there[] = "<look> a<box><x40><y20><x50><y30> b";
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.looks = 20;
    p.look_positions = 4000;
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    for (int i = 0; i < 4; i++) script(a, i == 1 ? beside : here);
    script(a, "<look> a<box><x20><y20><x30><y30> d<eos>");   /* the thought ends before " d" */
    ok(run_one(a));
    MuseAgentInfo info = info_of(a);
    assert_int_equal(info.looks, 3);
    assert_int_equal(info.refused, 2);
    assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
    assert_string_equal(info.answer, "d");
    assert_int_equal(info.n_steps, 6);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(step_at(a, i).kind, MUSE_REASON_LOOK);
        assert_string_equal(step_at(a, i).reason, i < 3 ? "" : "it was shown often enough");
    }
    assert_int_equal(step_at(a, 5).kind, MUSE_REASON_CLOSED);
    assert_string_equal(step_at(a, 5).text, "it looks again at what it was shown");

    /* a turn begins anew; a look elsewhere in between, and the thought goes on */
    MuseReasonPart part = { .modality = MUSE_TEXT, .text = "And?" };
    ok(muse_agent_ask(a, &part, 1, NULL, &err));
    for (int i = 0; i < 4; i++) script(a, here);
    script(a, there);
    script(a, here);
    script(a, "<x1><y1></think> e<eos>");
    ok(run_one(a));
    info = info_of(a);
    assert_true(info.looks == 4 && info.refused == 2);
    assert_true(step_at(a, 9).refused && !step_at(a, 10).refused && step_at(a, 11).refused);
    assert_int_equal(step_at(a, 12).kind, MUSE_REASON_POINT);
    assert_string_equal(info.answer, "e");
    muse_agent_close(&a);

    a = open_agent(m, &picture, 1, &p);   /* who asks for it is shown it */
    for (int i = 0; i < 4; i++) ok(muse_look(a, 1, (MuseRect){ 40, 40, 60, 60 }, &err));
    script(a, " c</think> d<eos>");
    ok(run_one(a));
    assert_true(info_of(a).looks == 4 && info_of(a).refused == 0);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* a sequence that fills up: the thought is closed, a look is refused, the answer ends; never over the limit */
static void full(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    MuseAgent *probe = open_agent(m, &picture, 1, NULL);
    const uint64_t prompt = info_of(probe).prompt_tokens;
    muse_agent_close(&probe);
    for (uint64_t more = 0; more < 64; more += 3) {
        MuseSessionParams sp;
        MuseAgentParams p;
        muse_session_params_init(&sp);
        muse_agent_params_init(&p);
        sp.max_positions = prompt + more;
        p.session = &sp;
        p.answer_tokens = 4;
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "ab<look> a<box><x1><y1><x2><y2>cdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        assert_true(muse_sequence_length(muse_session_sequence(a->s)) <= sp.max_positions);
        assert_int_equal(info.finish, more >= 5 ? MUSE_AGENT_LENGTH : MUSE_AGENT_FULL);
        if (more >= 5) assert_int_equal(info.answer_tokens, 4);   /* </think> and four tokens always fit */
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* ---- looks of the caller's ---- */

static void forced_look(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(640, 320);
    MuseAgent *a = open_agent(m, &picture, 1, NULL);
    ok(muse_look(a, 1, (MuseRect){ 163, 161, 177, 168 }, &err));
    script(a, "x</think> y<eos>");
    ok(run_one(a));
    const MuseReasonStep s = step_at(a, 0);
    assert_int_equal(s.kind, MUSE_REASON_LOOK);
    assert_true(s.forced);
    assert_rect(s.rect, 163, 161, 177, 168);          /* the caller's own */
    assert_rect(s.view, 138, 132, 202, 196);
    assert_string_equal(s.text, "<look><box><x16><y32><x17><y33>");   /* as the model would write it */
    assert_int_equal(info_of(a).forced_tokens, 6);
    assert_int_equal(info_of(a).thought_tokens, 2);
    assert_int_equal(muse_look(a, 1, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_STATE);
    muse_agent_close(&a);

    a = open_agent(m, &picture, 1, NULL);
    assert_int_equal(muse_look(a, 0, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_look(a, 2, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_look(a, 1, (MuseRect){ 640, 0, 700, 9 }, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_look(a, 1, (MuseRect){ 9, 9, 9, 9 }, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_look(a, 1, (MuseRect){ 0, 0, (double)INFINITY, 9 }, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_look(NULL, 1, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_ARG);
    for (int i = 0; i < 4; i++) ok(muse_look(a, 1, (MuseRect){ -5, 0, 640 + 9 * i, 320 }, &err));   /* cut to the picture */
    assert_int_equal(muse_look(a, 1, (MuseRect){ 0, 0, 9, 9 }, &err), MUSE_ERR_LIMIT);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* the places that are written are those that the rectangle touches, at the far edge and where a division would round to the cell before too */
static void forced_places(void **state)
{
    (void)state;
    static const struct { uint32_t side; double x0, x1; const char *wanted; } rows[] = {
        { 98, 49, 98, "<look><box><x32><y32><x63><y63>" }, { 98, 0, 49, "<look><box><x0><y0><x31><y31>" }, { 105, 105, 106, "<look><box><x63><y63><x63><y63>" },
        { 640, 0, 0, "<look><box><x0><y0><x0><y0>" }, { 1, 0, 1, "<look><box><x0><y0><x63><y63>" } };
    MuseModel *m = muse_model();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        MuseImage *picture = make_picture(rows[i].side, rows[i].side);
        MuseAgent *a = open_agent(m, &picture, 1, NULL);
        const double x0 = rows[i].x0 < rows[i].side ? rows[i].x0 : nextafter(rows[i].side, 0), x1 = rows[i].x1 > 0 ? rows[i].x1 : 5e-324;   /* the least that is an area */
        ok(muse_look(a, 1, (MuseRect){ x0, x0, x1, x1 }, &err));
        script(a, "</think> y<eos>");
        ok(run_one(a));
        assert_string_equal(step_at(a, 0).text, rows[i].wanted);
        muse_agent_close(&a);
        muse_image_close(&picture);
    }
    muse_model_close(&m);
}

/* A place is a 64th of the original's side, whatever its shape and what it was reduced to */
static void places_of_long_pictures(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = { { 512, 128 }, { 128, 512 }, { 2000, 300 }, { 300, 2000 }, { 20000, 3 }, { 3, 20000 }, { 1, 1 }, { 1, 300 }, { 103, 118 } };
    MuseModel *m = muse_model();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const double w = sizes[i][0], h = sizes[i][1];
        MuseImage *picture = make_picture(sizes[i][0], sizes[i][1]);
        MuseAgent *a = open_agent(m, &picture, 1, NULL);
        script(a, "<point><x0><y0> a<point><x12><y32> b<point><x50><y63> c<box><x12><y0><x49><y63></think> y<eos>");
        ok(run_one(a));
        assert_rect(step_at(a, 0).rect, 0, 0, w / 64, h / 64);
        assert_rect(step_at(a, 1).rect, 12 * w / 64, 32 * h / 64, 13 * w / 64, 33 * h / 64);
        assert_rect(step_at(a, 2).rect, 50 * w / 64, 63 * h / 64, 51 * w / 64, h);
        assert_rect(step_at(a, 3).rect, 12 * w / 64, 0, 50 * w / 64, h);
        muse_agent_close(&a);
        muse_image_close(&picture);
    }
    muse_model_close(&m);
}

static void forced_comparison(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *pictures[2] = { make_picture(128, 128), make_picture(256, 128) };
    MuseAgent *a = open_agent(m, pictures, 2, NULL);
    ok(muse_compare(a, 1, (MuseRect){ 0, 0, 10, 10 }, 2, (MuseRect){ 200, 100, 210, 110 }, &err));
    script(a, "<x32><y32> moved</think> y<eos>");
    ok(run_one(a));
    assert_int_equal(info_of(a).looks, 2);
    const MuseReasonStep s = step_at(a, 3);
    assert_int_equal(step_at(a, 1).kind, MUSE_REASON_LOOK);
    assert_int_equal(s.kind, MUSE_REASON_LOOK);
    assert_int_equal(s.image, 2);
    assert_rect(s.view, 173, 64, 237, 128);
    assert_int_equal(step_at(a, 4).kind, MUSE_REASON_COMPARE);
    assert_int_equal(step_at(a, 5).group, 4);
    assert_rect(step_at(a, 5).rect, 128, 64, 132, 66);   /* places mean the second picture now */
    muse_agent_close(&a);
    muse_image_close(&pictures[0]);
    muse_image_close(&pictures[1]);
    muse_model_close(&m);
}

/* back to the end of the thought, a fresh look at what was named last, <verify>, and another answer */
static void verify_pass(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(640, 320);
    MuseAgent *a = open_agent(m, &picture, 1, NULL), *v;
    assert_int_equal(muse_agent_verify(&v, a, 1, 0, &err), MUSE_ERR_STATE);
    script(a, " star<box><x16><y32><x17><y33> 7</think> seven<eos>");
    ok(run_one(a));
    const size_t length = muse_sequence_length(muse_session_sequence(a->s));
    ok(muse_agent_verify(&v, a, 9, 0, &err));
    script(v, " no 8</think> eight<eos>");
    ok(run_one(v));
    const MuseAgentInfo info = info_of(v);
    assert_int_equal(info.number, 9);
    assert_string_equal(info.thought, " star<box><x16><y32><x17><y33> 7<look><box><x16><y32><x17><y33><verify> no 8");
    assert_memory_equal(info.answer, "eight", 5);
    assert_int_equal(info.looks, 1);
    assert_int_equal(step_at(v, 0).kind, MUSE_REASON_BOX);
    assert_rect(step_at(v, 1).view, 138, 133, 202, 197);
    assert_int_equal(step_at(v, 2).kind, MUSE_REASON_VERIFY);
    assert_int_equal(muse_sequence_length(muse_session_sequence(a->s)), length);   /* the other is as it was */
    assert_memory_equal(info_of(a).answer, "seven", 5);
    muse_agent_close(&v);
    muse_agent_close(&a);
    a = open_agent(m, &picture, 1, NULL);
    script(a, " star</think> seven<eos>");
    ok(run_one(a));
    assert_int_equal(muse_agent_verify(&v, a, 1, 0, &err), MUSE_ERR_NOT_FOUND);
    assert_null(v);
    muse_agent_close(&a);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* the end of the turn inside a thought ends the thought, the first time */
static void ended_in_thought(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    const struct { const char *script, *answer; } cases[] = { { " red<eos>7<eos>", "7" }, { "<eos>7<eos>", "7" }, { " red<eos>7<think> a<eos>8<eos>", "7" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseAgent *a = open_agent(m, &picture, 1, NULL);
        script(a, cases[i].script);
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
        assert_int_equal(info.n_answer, strlen(cases[i].answer));
        assert_memory_equal(info.answer, cases[i].answer, info.n_answer);
        assert_int_equal(info.forced_tokens, 1);
        assert_int_equal(info.n_steps, 1);
        assert_int_equal(step_at(a, 0).kind, MUSE_REASON_CLOSED);
        assert_string_equal(step_at(a, 0).text, "the model ended its turn in it");
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* ---- stopping, no memory ---- */

static int countdown(void *user) { return (*(int *)user)-- <= 0; }

/* cancelled after any number of polls, run again until it is done: the same as without */
static void cancelled(void **state)
{
    (void)state;
    static const char chain[] = "a<look> s<box><x1><y1><x2><y2>b<x3><y3></think> d<eos>";
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    MuseAgent *a = open_agent(m, &picture, 1, NULL);
    script(a, chain);
    ok(run_one(a));
    const size_t length = muse_sequence_length(muse_session_sequence(a->s));
    muse_agent_close(&a);
    for (int n = 0; n < 25; n++) {
        int left = n, stops = 0, rc;
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.cancel = countdown;
        p.cancel_user = &left;
        a = open_agent(m, &picture, 1, &p);
        script(a, chain);
        while ((rc = run_one(a)) == MUSE_ERR_CANCELLED && stops < 100) left = n + 2 + 10 * stops++;   /* one picture takes several polls */
        assert_int_equal(rc, 0);
        assert_int_equal(muse_sequence_length(muse_session_sequence(a->s)), length);
        assert_int_equal(info_of(a).looks, 1);
        assert_int_equal(info_of(a).n_steps, 2);
        muse_agent_close(&a);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

static void no_memory(void **state)
{
    (void)state;
    static Meter meter;
    MuseRuntime *rt = meter_runtime(&meter, 1);
    MuseModel *m = open_model("reason/muse", rt);
    MuseImage *picture = make_picture(128, 128);
    int rc = MUSE_ERR_NOMEM;
    long n = 0;
    for (; rc != 0 && n < 4000; n += 1 + n / 60) {
        MuseReasonPart parts[2] = { { .modality = MUSE_IMAGE, .image = picture }, { .modality = MUSE_TEXT, .text = "What?" } };
        MuseAgent *a = NULL, *b = NULL, *both[2];
        int32_t *ids = NULL;
        size_t n_ids;
        meter_leave(&meter, n);
        MuseTrace *trace = NULL;
        MuseWatchParams heat;
        MuseAgentParams p;
        muse_watch_params_init(&heat);
        muse_agent_params_init(&p);
        rc = muse_trace_open(&trace, rt, NULL, &err);
        p.trace = trace;
        p.heat = &heat;
        if (rc == 0) rc = muse_agent_open(&a, m, parts, 2, &p, &err);
        static const char chain[] = "s<x1><y1><look> s<box><x1><y1><x2><y2><look> r</think> d<eos>";
        if (rc == 0) rc = muse_agent_fork(&b, a, 1, 5, 0, &err);
        if (rc == 0) rc = muse_text_encode(muse_session_tokenizer(a->s), chain, sizeof chain - 1, MUSE_TEXT_ADDED, &ids, &n_ids, &err);
        if (rc == 0) rc = muse_agent_script(a, ids, n_ids);
        if (rc == 0) rc = muse_agent_script(b, ids, n_ids);
        if (rc == 0) rc = muse_look(b, 1, (MuseRect){ 3, 3, 9, 9 }, &err);
        both[0] = a;
        both[1] = b;
        if (rc == 0) rc = muse_agent_run(both, 2, &err);
        muse_agent_close(&b);
        if (rc == 0) rc = muse_agent_verify(&b, a, 2, 4, &err);
        muse_free(ids);
        muse_agent_close(&a);
        muse_agent_close(&b);
        muse_trace_close(&trace);
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

/* at once, behind a thought, behind one that was ended for the model: what the model would write there is passed over */
static void no_end_of_a_thought_in_answers(void **state)
{
    (void)state;
    static const struct { const char *model, *words, *answer; int thinking; } cases[] = {
        { "reason/muse", "</think>1</think>2</think><eos>", "12", MUSE_THINKING_OFF },
        { "reason/muse", "a</think>1</think>2</think><eos>", "12", MUSE_THINKING_ON },
        { "reason/muse", "a<eos>1</think>2</think><eos>", "12", MUSE_THINKING_ON },
        { "golden/qwen3/hf", "<think>\na\n</think>\n\n1</think>2</think><|im_end|>", "12", MUSE_THINKING_ON },
        { "golden/gemma4-a/hf", "1<channel|>2<channel|><turn|>", "12", MUSE_THINKING_OFF },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        MuseModel *m = open_model(cases[k].model, NULL);
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.thinking = cases[k].thinking;
        MuseAgent *a = open_agent(m, NULL, 0, &p);
        script(a, cases[k].words);
        ok(run_one(a));
        const MuseAgentInfo info = info_of(a);
        if (info.finish != MUSE_AGENT_ANSWERED || info.n_answer != 2 || memcmp(info.answer, cases[k].answer, 2) != 0) fail_msg("case %zu: %.*s", k, (int)info.n_answer, info.answer);
        muse_agent_close(&a);
        muse_model_close(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views), cmocka_unit_test(machine), cmocka_unit_test(look_shows_the_rectangle), cmocka_unit_test(nested),
        cmocka_unit_test(groups), cmocka_unit_test(boxes_are_constrained), cmocka_unit_test(thought_budget), cmocka_unit_test(ended_in_thought), cmocka_unit_test(no_end_of_a_thought_in_answers), cmocka_unit_test(budget_in_a_look), cmocka_unit_test(places_nowhere), cmocka_unit_test(look_budgets), cmocka_unit_test(circles), cmocka_unit_test(full),
        cmocka_unit_test(forced_look), cmocka_unit_test(forced_places), cmocka_unit_test(places_of_long_pictures), cmocka_unit_test(forced_comparison), cmocka_unit_test(verify_pass), cmocka_unit_test(cancelled), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
