/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason, modes: early stop, seeds, focus, checks, synthesis, the coordinator,
 * memory of forks, cancelling at every stage. Answers are held to a few words by a grammar, so that a random model gives some. */
#include <math.h>

#include "libmuse/reason/view.h"
#include "tests/unit/test_reason_data.h"

/* ---- modes ---- */

typedef struct Setup {
    MuseModel        *m;
    MuseImage        *picture;
    MuseTextTokenizer *tok;
    MuseGrammar      *grammar;
    MuseSampleParams  sample;
    MuseSessionParams session;
    MuseAgentParams   agent;
    MuseReasonParams  p;
    MuseReasonPart    parts[2];
} Setup;

static void set_up(Setup *s, const char *pattern)
{
    static const int32_t eos = 2;
    MuseGrammarParams g;
    s->m = muse_model();
    s->picture = make_picture(128, 96);
    ok(muse_model_open_tokenizer(s->m, &s->tok, &err));
    muse_grammar_params_init(&g);
    g.end_ids = &eos;
    g.n_end = 1;
    ok(muse_grammar_open_regex(&s->grammar, NULL, s->tok, pattern, strlen(pattern), &g, &err));
    muse_sample_params_init(&s->sample);
    muse_session_params_init(&s->session);
    muse_agent_params_init(&s->agent);
    muse_reason_params_init(&s->p);
    s->sample.grammar = s->grammar;
    s->session.compute = MUSE_COMPUTE_F32;
    s->agent.sample = &s->sample;
    s->agent.session = &s->session;
    s->agent.thought_tokens = 9;
    s->p.agent = &s->agent;
    s->p.mode = MUSE_MODE_CONTEMPLATING;
    s->p.seed = 4;   /* one with which both answers get votes */
    s->p.temperature = 1;
    s->parts[0] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = s->picture };
    s->parts[1] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = "How many?" };
}

static void tear_down(Setup *s)
{
    muse_grammar_close(&s->grammar);
    muse_text_close(&s->tok);
    muse_image_close(&s->picture);
    muse_model_close(&s->m);
}

static void instant_and_thinking(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    set_up(&s, "four");
    for (int mode = MUSE_MODE_INSTANT; mode <= MUSE_MODE_THINKING; mode++) {
        s.p.mode = mode;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        assert_string_equal(r.answer, "four");
        assert_int_equal(r.n_agents, 1);
        assert_int_equal(r.thought_tokens, mode == MUSE_MODE_INSTANT ? 0 : 9);
        assert_true(r.agreement == 1 && r.confidence == info_of(r.agents[0]).confidence && r.confidence > 0 && r.confidence <= 1);
        muse_reason_result_clear(&r);
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

typedef struct Ends { size_t told, done, agents; } Ends;

static int count_ends(void *user, const MuseReasonEvent *e)
{
    Ends *n = user;
    if (e->kind == MUSE_EVENT_DONE) *n = (Ends){ n->told + 1, e->done, e->agents };
    return 0;
}

/* all agree: five of eight settle it, the other three are stopped; with agree, two do. Of each end is told, whoever ended it */
static void early_stop(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    Ends ends;
    set_up(&s, "yes");
    s.agent.event = count_ends;
    s.agent.event_user = &ends;
    for (int k = 0; k < 3; k++) {
        ends = (Ends){ 0 };
        s.p.agree = k == 1 ? 2 : 0;
        s.p.no_stop = k == 2;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        size_t answered = 0;
        for (size_t i = 0; i < r.n_agents; i++) answered += info_of(r.agents[i]).finish == MUSE_AGENT_ANSWERED;
        assert_int_equal(answered, k == 0 ? 5 : k == 1 ? 2 : 8);
        assert_int_equal(r.stopped_early, k == 0 ? 2 : k == 1);   /* the count, enough that agree, nothing */
        assert_true(r.agreement == 1 && r.confidence == 0.948 && r.calibrated);
        assert_int_equal(r.n_candidates, 1);
        assert_int_equal(r.candidates[0].count, answered);
        assert_true(ends.told == r.n_agents && ends.done == r.n_agents && ends.agents == r.n_agents);
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

/* What each agent is to write: agent 0 ends first */
typedef struct Scripted { MuseReasonResult *r; const char *answers; int scoring; } Scripted;   /* a digit each: 0 is <x10>, 2 is <x12> ...; how often that stage was told */

static int write_scripts(void *user, const MuseReasonEvent *e)
{
    Scripted *t = user;
    char text[64];
    t->scoring += e->kind == MUSE_EVENT_STAGE && e->stage == MUSE_STAGE_SCORE;
    if (e->kind != MUSE_EVENT_STAGE || e->stage != MUSE_STAGE_THINK) return 0;
    for (size_t i = 0; i < t->r->n_forks; i++) {
        snprintf(text, sizeof text, "%.*s</think><point><x1%c><y20><eos>", (int)(2 * i + 1), "aaaaaaaaaaaaaaaa", t->answers[i]);
        script(t->r->agents[i], text);
    }
    return 0;
}

/* what is thought is written for the agents */
static void follow_scripts(Setup *s, Scripted *t)
{
    s->sample.grammar = NULL;
    s->agent.thought_tokens = 40;
    s->agent.event = write_scripts;
    s->agent.event_user = t;
}

/* places are near each other in chains: an answer that still comes may decide, so it is waited for */
static void near_answers_stop_nobody(void **state)
{
    (void)state;
    static const struct { const char *answers; int stopped; double agreement; } cases[] = {
        { "02444", 0, 3 / 5.0 },   /* 10 12 | 14 14, and 14 */
        { "02448", 0, 2 / 5.0 }, { "40284", 0, 3 / 5.0 },
        { "44288", 2, 1 },         /* three and none, two to come */
        { "24088", 2, 1 }, { "02244", 2, 1 },
    };
    Setup s;
    MuseReasonResult r;
    Scripted t = { &r, NULL, 0 };
    set_up(&s, "yes");
    follow_scripts(&s, &t);
    s.p.agents = 5;
    s.p.views = 1;
    s.p.no_cross = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.answers = cases[i].answers;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        size_t most = 0;
        uint32_t votes = 0;
        for (size_t k = 0; k < r.n_candidates; k++) {
            votes += r.candidates[k].count;
            most = r.candidates[k].count > most ? r.candidates[k].count : most;
        }
        if (r.stopped_early != cases[i].stopped || r.agreement != cases[i].agreement) fail_msg("%s: %d, %g", t.answers, r.stopped_early, r.agreement);
        assert_true(r.agreement == (double)most / votes);   /* of the same candidates */
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

static void same_ids(const MuseAgent *a, const MuseAgent *b)
{
    const int32_t *x, *y;
    const size_t n = muse_agent_ids(a, &x);
    assert_int_equal(muse_agent_ids(b, &y), n);
    assert_memory_equal(x, y, n * sizeof *x);
}

/* Agent i is the same beside two, seven or no others, and in a second run; different agents differ. */
static void seeds(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult few, many, again, one;
    set_up(&s, "[a-z]{1,3}");
    s.p.no_stop = 1;
    s.p.spread = 0.5f;
    s.p.agents = 3;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &few, &err));
    s.p.agents = 8;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &many, &err));
    ok(muse_reason(s.m, s.parts, 2, &s.p, &again, &err));
    for (size_t i = 0; i < 3; i++) same_ids(few.agents[i], many.agents[i]);
    for (size_t i = 0; i < 8; i++) same_ids(again.agents[i], many.agents[i]);
    assert_string_equal(many.answer, again.answer);
    assert_true(info_of(many.agents[1]).temperature == 1.5f && info_of(many.agents[2]).temperature == 0.5f && info_of(many.agents[3]).temperature == 1.25f);
    muse_reason_result_clear(&again);
    s.p.temperature = 0;                           /* a spread without a temperature: around 1 */
    ok(muse_reason(s.m, s.parts, 2, &s.p, &again, &err));
    for (size_t i = 0; i < 8; i++) same_ids(again.agents[i], many.agents[i]);
    assert_true(info_of(again.agents[1]).temperature == 1.5f);
    const int32_t *x, *y;
    muse_agent_ids(many.agents[0], &x);
    muse_agent_ids(many.agents[3], &y);
    assert_memory_not_equal(x, y, 9 * sizeof *x);
    s.p.mode = MUSE_MODE_THINKING;
    s.p.temperature = 1;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &one, &err));
    same_ids(one.agents[0], many.agents[0]);
    muse_reason_result_clear(&few);
    muse_reason_result_clear(&many);
    muse_reason_result_clear(&again);
    muse_reason_result_clear(&one);
    tear_down(&s);
}

/* forced looks at different regions, checks, cross scores, synthesis: all in one */
/* agent 1 has looked: the others' long answers do not fit behind its thought, so it scores none of them */
static void no_room_to_score(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    const MuseFocus focus = { 1, { 0, 0, 20, 20 } };
    set_up(&s, "[a-z]{60,70}");
    s.p.agents = 3;
    s.p.no_stop = 1;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    s.session.max_positions = info_of(r.agents[0]).prompt_tokens + 95;
    muse_reason_result_clear(&r);
    s.p.focus = &focus;
    s.p.n_focus = 1;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_int_equal(info_of(r.agents[1]).finish, MUSE_AGENT_FULL);
    assert_int_equal(r.n_candidates, 3);
    double cross = 0;
    for (size_t k = 0; k < 3; k++) cross += r.candidates[k].cross;
    assert_true(fabs(cross - 1) < 1e-9);
    muse_reason_result_clear(&r);
    tear_down(&s);
}

static void all_stages(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    const MuseFocus focus[] = { { 1, { 0, 0, 20, 20 } }, { 1, { 100, 60, 120, 90 } } };
    set_up(&s, "(yes|no)");
    s.p.focus = focus;
    s.p.n_focus = 2;
    s.p.no_stop = 1;
    s.p.verify = 2;
    s.p.synthesis = MUSE_SYNTHESIS_GENERATE;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_int_equal(r.n_forks, 8);
    assert_int_equal(step_at(r.agents[1], 0).kind, MUSE_REASON_LOOK);
    assert_rect(step_at(r.agents[1], 0).view, 0, 0, 64, 64);
    assert_rect(step_at(r.agents[2], 0).view, 64, 32, 128, 96);
    uint32_t votes = 0;
    double cross = 0, weight = 0;
    for (size_t k = 0; k < r.n_candidates; k++) {
        const MuseCandidate *c = &r.candidates[k];
        votes += c->count;
        cross += c->cross;
        weight += c->weight;
        assert_true(fabs(c->score - (c->weight + c->cross) / 2) < 1e-12);
        assert_true(c->vote < r.n_agents);
    }
    assert_int_equal(r.n_candidates, 2);
    assert_true(fabs(cross - 1) < 1e-9 && fabs(weight - 1) < 1e-9);
    const size_t checks = r.n_agents - 8 - 1;      /* the last one merged */
    assert_true(checks <= 2 && votes == 8 + checks);
    assert_true(strcmp(r.answer, "yes") == 0 || strcmp(r.answer, "no") == 0);
    size_t yes = 0;
    for (size_t i = 0; i < 8; i++) yes += info_of(r.agents[i]).n_answer == 3;
    assert_true(r.agreement == (double)(yes > 4 ? yes : 8 - yes) / 8);
    size_t same = 0;
    for (size_t i = 0; i < 8; i++) same += info_of(r.agents[i]).n_answer == r.n_answer;
    assert_true(!r.calibrated && r.confidence == (double)same / 8);   /* nothing was measured with a focus, a check, a merger: whose answer it may be */
    double before = 0, after = 0;                  /* scoring leaves an agent as it is */
    ok(muse_agent_score(r.agents[0], r.agents[1], &before, &err));
    ok(muse_agent_score(r.agents[0], r.agents[1], &after, &err));
    assert_true(before == after && before < 0);
    /* an agent's score of its own answer is what it was written with */
    double own;
    ok(muse_agent_score(r.agents[0], r.agents[0], &own, &err));
    assert_true(isfinite(own));
    muse_reason_result_clear(&r);
    tear_down(&s);
}

static int script_merger(void *user, const MuseReasonEvent *e)
{
    Scripted *t = user;
    char text[64];
    if (e->kind == MUSE_EVENT_STAGE && e->stage == MUSE_STAGE_SYNTHESIS) {
        snprintf(text, sizeof text, "</think><point><x1%c><y20><eos>", t->answers[8]);
        script(t->r->agents[t->r->n_agents - 1], text);
    }
    return write_scripts(user, e);
}

/* how sure seven of eight are says nothing of what a merger says instead */
static void confidence_is_of_the_answer(void **state)
{
    (void)state;
    static const struct { const char *answers; double confidence; } cases[] = { { "222222260", 7 / 8.0 }, { "222222266", 1 / 8.0 }, { "222222269", 0 }, { "333333367", 1 / 8.0 } };
    Setup s;
    MuseReasonResult r;
    Scripted t = { &r, NULL, 0 };
    set_up(&s, "yes");
    follow_scripts(&s, &t);
    s.agent.event = script_merger;
    s.p.no_stop = 1;
    s.p.synthesis = MUSE_SYNTHESIS_GENERATE;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.answers = cases[i].answers;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        assert_true(r.by == 8 && r.agreement == 7 / 8.0 && !r.calibrated);
        if (r.confidence != cases[i].confidence) fail_msg("%s: %s: %g", t.answers, r.answer, r.confidence);
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

static void coordinator(void **state)
{
    (void)state;
    static const char *const questions[] = { "Which colour?", "Which shape?" };
    Setup s;
    MuseReasonResult r;
    set_up(&s, "(red|blue)");
    s.p.mode = MUSE_MODE_THINKING;
    s.p.temperature = 1;
    ok(muse_coordinate(s.m, s.parts, 1, questions, 2, "What is it?", &s.p, &r, &err));
    assert_int_equal(r.n_agents, 3);
    assert_non_null(r.answer);
    char want[128], got[1024];
    snprintf(want, sizeof want, "Which colour? %.*s\nWhich shape? %.*s\nWhat is it?", (int)info_of(r.agents[0]).n_answer, info_of(r.agents[0]).answer,
             (int)info_of(r.agents[1]).n_answer, info_of(r.agents[1]).answer);
    const MuseSequence *seq = muse_session_sequence(muse_agent_session(r.agents[2]));
    size_t n = 0;
    for (size_t i = 0; i < info_of(r.agents[2]).prompt_tokens; i++) {
        MusePosition p;
        ok(muse_sequence_position(seq, i, &p));
        if (p.modality != MUSE_TEXT) continue;
        memcpy(got + n, p.bytes, p.n_bytes);
        n += p.n_bytes;
    }
    got[n] = 0;
    if (!strstr(got, want)) fail_msg("%s, wanted %s", got, want);
    MuseSessionInfo info;
    ok(muse_session_info(muse_agent_session(r.agents[1]), &info));
    assert_true(info.reused >= 12);                /* the picture is computed once */
    muse_reason_result_clear(&r);
    s.p.mode = MUSE_MODE_CONTEMPLATING;
    assert_int_equal(muse_coordinate(s.m, s.parts, 1, questions, 2, "What is it?", &s.p, &r, &err), MUSE_ERR_ARG);
    muse_reason_result_clear(&r);
    tear_down(&s);
}

/* each agent sees the pictures in its own way, all in pixels of the original; the first of each way are greedy, one with a focus sees all */
static void views(void **state)
{
    (void)state;
    static const double want[][4] = { { 0, 0, 128, 96 }, { 3, 3, 128, 96 }, { 0, 0, 128, 96 }, { 0, 0, 128, 96 }, { 3, 3, 128, 96 } };
    const MuseRect wide = muse_reason_view(2000, 300, 5), tiny = muse_reason_view(15, 300, 5);
    assert_rect(wide, 9, 9, 1991, 291);   /* 3 % of 300 */
    assert_rect(tiny, 0, 0, 15, 300);
    Setup s;
    MuseReasonResult r, alone;
    const MuseFocus focus[] = { { 1, { 0, 0, 1, 1 } }, { 1, { 0, 0, 1, 1 } } };
    set_up(&s, "(yes|no)");
    s.p.temperature = 0;
    s.p.no_stop = 1;
    s.p.agents = 5;
    s.p.views = 3;
    for (int looks = 0; looks < 2; looks++) {
        uint64_t prompts = 0;
        s.p.focus = looks ? focus : NULL;
        s.p.n_focus = looks ? 2 : 0;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        for (size_t i = 0; i < 5; i++) {
            const double *w = want[looks && i < 3 ? 0 : i];
            MuseSpanInfo span;
            size_t k = 0;
            do ok(muse_sequence_span(muse_session_sequence(muse_agent_session(r.agents[i])), k++, &span)); while (span.modality != MUSE_IMAGE);
            if (i != 2 || looks) assert_rect(span.region, w[0], w[1], w[2], w[3]);
            else assert_rect(span.region, 0, 0, 125, 93);
            assert_true(info_of(r.agents[i]).temperature == (i < 3 ? 0 : 1));
            if (looks ? i % 4 == 0 : i < 3) prompts += info_of(r.agents[i]).prompt_tokens;   /* the first of each view; with a focus agents 0 and 4 */
        }
        assert_true(r.prompt_tokens == prompts && prompts > info_of(r.agents[0]).prompt_tokens);
        if (looks) assert_rect(step_at(r.agents[1], 0).view, 0, 0, 64, 64);
        else {
            s.p.mode = MUSE_MODE_THINKING;
            ok(muse_reason(s.m, s.parts, 2, &s.p, &alone, &err));
            same_ids(r.agents[0], alone.agents[0]);
            muse_reason_result_clear(&alone);
            s.p.mode = MUSE_MODE_CONTEMPLATING;
        }
        muse_reason_result_clear(&r);
    }
    MuseImage *small = make_picture(15, 40);
    const MuseReasonPart nothing[] = { s.parts[1], { .modality = MUSE_IMAGE, .image = small } };
    s.p.n_focus = 0;
    for (size_t n = 1; n <= 2; n++) {   /* nothing to see, or too little to leave some out: one prompt, the first agent is greedy */
        s.p.views = n == 1 ? 0 : 3;
        ok(muse_reason(s.m, nothing, n, &s.p, &r, &err));
        for (size_t i = 0; i < 5; i++) assert_true(info_of(r.agents[i]).temperature == (i ? 1 : 0));
        muse_reason_result_clear(&r);
    }
    muse_image_close(&small);
    tear_down(&s);
}

/* Of several views three begin; the others, and their prompts, only if those don't agree. Nobody is another for it.
 * With a focus agents see alike, and of themselves do not settle it so */
static void views_by_need(void **state)
{
    (void)state;
    static const struct { const char *answers; uint32_t views, agree; size_t forks; int stopped; double agreement; } cases[] = {
        { "22266666", 0, 0, 3, 1, 1 },          /* three agree */
        { "22622666", 0, 0, 8, 0, 4 / 8.0 },    /* they don't: all of them count */
        { "26222266", 0, 0, 8, 2, 5 / 6.0 },    /* and the count settles it before the last */
        { "26622222", 0, 2, 8, 2, 5 / 7.0 }, { "22666666", 0, 2, 2, 1, 1 },
        { "22222666", 0, 1, 8, 2, 1 },          /* all begin: five of eight settle it */
        { "22222222", 4, 6, 6, 2, 1 },          /* two of a view begin, two more could; of five the count is settled */
        { "22222666", 1, 0, 8, 2, 1 },          /* one prompt: all begin */
        { "22222666", 2, 0, 8, 2, 1 },          /* two views: of the first three one would not be greedy */
    };
    Setup s;
    MuseReasonResult r, all;
    Scripted t = { &r, NULL, 0 };
    set_up(&s, "yes");
    follow_scripts(&s, &t);
    s.p.temperature = 0;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        uint64_t prompts = 0;
        t.answers = cases[k].answers;
        s.p.views = cases[k].views;
        s.p.agree = cases[k].agree;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        if (r.n_forks != cases[k].forks || r.n_unbegun != 8 - r.n_forks || r.stopped_early != cases[k].stopped || r.agreement != cases[k].agreement)
            fail_msg("%s: %zu, %d, %g", t.answers, r.n_forks, r.stopped_early, r.agreement);
        for (size_t i = 0; i < r.n_forks && i < (s.p.views ? s.p.views : MUSE_VIEWS); i++) prompts += info_of(r.agents[i]).prompt_tokens;
        assert_true(r.prompt_tokens == prompts);
        muse_reason_result_clear(&r);
    }
    const MuseFocus focus[] = { { 1, { 0, 0, 1, 1 } }, { 1, { 0, 0, 1, 1 } } };
    s.p.focus = focus;
    for (s.p.n_focus = 1; s.p.n_focus <= 2; s.p.n_focus++) {   /* agents 0 and 1 see alike, so three that agree are no three ways */
        t.answers = "22222222";
        s.p.views = 0;
        s.p.agents = 8;
        s.p.agree = 0;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        assert_true(r.n_forks == 8 && r.stopped_early == 2);
        muse_reason_result_clear(&r);
        s.p.agents = 3;
        s.p.agree = 2;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        assert_int_equal(r.n_forks, s.p.n_focus == 1 ? 2 : 3);   /* the third sees in another way; all see alike */
        muse_reason_result_clear(&r);
    }
    s.p.focus = NULL;
    s.p.n_focus = 0;
    s.p.agents = 8;
    s.agent.event = NULL;
    s.agent.thought_tokens = 9;
    s.p.agree = 2;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    s.p.no_stop = 1;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &all, &err));
    assert_int_equal(all.n_forks, 8);
    for (size_t i = 0; i < r.n_forks; i++)
        if (info_of(r.agents[i]).finish == MUSE_AGENT_ANSWERED) same_ids(r.agents[i], all.agents[i]);
    muse_reason_result_clear(&all);
    muse_reason_result_clear(&r);
    tear_down(&s);
}

/* The trace has the picture as it was given, once, and what is named in a view in its pixels: of 64 x 64 cells the middle of (12, 20) */
static void views_in_a_trace(void **state)
{
    (void)state;
    static const double want[][2] = { { 25, 30.75 }, { 3 + 12.5 * 125 / 64, 3 + 20.5 * 93 / 64 }, { 12.5 * 125 / 64, 20.5 * 93 / 64 } };
    Setup s;
    MuseReasonResult r;
    MuseTraceStep step;
    set_up(&s, "yes");
    Scripted t = { &r, "222", 0 };
    ok(muse_trace_open(&s.agent.trace, NULL, NULL, &err));
    follow_scripts(&s, &t);
    s.p.agents = 3;
    s.p.no_stop = 1;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_int_equal(muse_trace_image_count(s.agent.trace), 1);
    uint32_t answers = 0;
    for (uint32_t i = 1; i <= muse_trace_step_count(s.agent.trace); i++) {
        ok(muse_trace_step(s.agent.trace, i, &step));
        if (step.kind != MUSE_STEP_ANSWER || step.agent == 0) continue;
        assert_int_equal(step.n_marks, 1);
        assert_int_equal(step.marks[0].image, 1);
        const MuseRect at = step.marks[0].rect;
        const double *w = want[step.agent - 1];
        if (fabs((at.x0 + at.x1) / 2 - w[0]) > 1e-4 || fabs((at.y0 + at.y1) / 2 - w[1]) > 1e-4) fail_msg("agent %u: %g %g", step.agent, (at.x0 + at.x1) / 2, (at.y0 + at.y1) / 2);
        answers++;
    }
    assert_int_equal(answers, 3);
    muse_reason_result_clear(&r);
    muse_trace_close(&s.agent.trace);
    tear_down(&s);
}

static void count_reduced(void *user, int level, const char *text)
{
    *(int *)user += level == MUSE_LOG_WARN && strstr(text, "picture 1: 1280 x 960 pixels are reduced") ? 1 : 100;
}

/* of eight views of a picture one warns, with the sizes that were given; and a part of the caller's own does */
static void reduced_is_said_once(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    MuseRuntime *rt;
    MuseRuntimeParams rp;
    int said = 0;
    set_up(&s, "yes");
    muse_runtime_params_init(&rp);
    rp.log = count_reduced;
    rp.log_user = &said;
    ok(muse_runtime_open(&rt, &rp, &err));
    muse_model_close(&s.m);
    s.m = open_model("reason/muse", rt);
    muse_image_close(&s.picture);
    s.picture = make_picture(1280, 961);
    ok(muse_image_region(&s.parts[0].image, s.picture, (MuseRect){ 0, 0, 1280, 960 }, &err));
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_int_equal(said, 1);
    muse_reason_result_clear(&r);
    muse_image_close(&s.parts[0].image);
    tear_down(&s);
    muse_runtime_close(&rt);
}

/* a candidate's cross score, from what muse_agent_score() says of each agent; a single answer is not scored, and the stage is not told */
static void cross_scores(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    set_up(&s, "yes");
    Scripted t = { &r, "26226", 0 };
    follow_scripts(&s, &t);
    s.p.agents = 5;
    s.p.views = 1;
    s.p.no_stop = 1;
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_int_equal(r.n_candidates, 2);
    double mean[2] = { 0 };
    for (size_t i = 0; i < r.n_forks; i++) {
        double p[2];
        for (size_t k = 0; k < 2; k++) ok(muse_agent_score(r.agents[i], r.agents[r.candidates[k].vote], &p[k], &err));
        for (size_t k = 0; k < 2; k++) mean[k] += exp(p[k]) / (exp(p[0]) + exp(p[1])) / 5;
    }
    assert_true(mean[0] != mean[1]);
    for (size_t k = 0; k < 2; k++) assert_true(fabs(r.candidates[k].cross - mean[k]) < 1e-9);
    muse_reason_result_clear(&r);
    t.answers = "22222";
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    assert_int_equal(r.n_candidates, 1);
    assert_true(r.candidates[0].cross == 0 && r.candidates[0].score == 1);
    assert_int_equal(t.scoring, 1);
    muse_reason_result_clear(&r);
    tear_down(&s);
}

/* forks own their suffixes only */
static void memory_of_forks(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    set_up(&s, "(yes|no)");
    s.p.views = 1;
    s.parts[1].text = "How many are there, and how many were there before, and how many will there be? Count them all, one after the other, then answer in a word.";
    ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
    for (size_t i = 0; i < r.n_forks; i++) {
        MuseSessionInfo info;
        ok(muse_session_info(muse_agent_session(r.agents[i]), &info));
        assert_true(info.kv_own_bytes <= info.kv_bytes / 2);   /* 160 positions of prompt are shared, pages of 32 are not split */
    }
    muse_reason_result_clear(&r);
    tear_down(&s);
}

static int countdown(void *user) { return (*(int *)user)-- <= 0; }

static int stop_at_event(void *user, const MuseReasonEvent *e)
{
    (void)e;
    return countdown(user);
}

static void cancelled_anywhere(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    int rc = MUSE_ERR_CANCELLED, left, n = 0;
    set_up(&s, "(yes|no)");
    s.p.agents = 3;
    s.p.verify = 1;
    s.agent.cancel_user = s.agent.event_user = &left;
    for (int by_event = 0; by_event < 2; by_event++) {
        s.agent.cancel = by_event ? NULL : countdown;
        s.agent.event = by_event ? stop_at_event : NULL;
        for (n = 0; n < 2000; n++) {
            left = n;
            rc = muse_reason(s.m, s.parts, 2, &s.p, &r, &err);
            if (rc == 0) break;
            assert_int_equal(rc, MUSE_ERR_CANCELLED);
            assert_null(r.answer);
            if (n % 7 == 0 && r.n_agents == 3 && !by_event) {   /* the agents are usable still */
                left = 1 << 20;
                ok(muse_agent_run(r.agents, r.n_agents, &err));
            }
            muse_reason_result_clear(&r);
        }
        assert_int_equal(rc, 0);
        assert_true(n > 10);
        muse_reason_result_clear(&r);
    }
    tear_down(&s);
}

static bool ends_stopped(const MuseTraceStep *s)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)s->n_text, s->text);
    return strstr(text, "stopped") != NULL;
}

/* Wherever a run is cancelled: an agent that was at work says so, once, and only such; if none was, the run does. A lone agent's
 * steps are the run's. */
static void cancelled_is_told(void **state)
{
    (void)state;
    Setup s;
    set_up(&s, "(yes|no)");
    s.p.agents = 3;
    s.p.no_stop = 1;
    int left;
    size_t cut = 0;
    s.agent.cancel_user = &left;
    s.agent.cancel = countdown;
    for (s.p.mode = MUSE_MODE_INSTANT; s.p.mode <= MUSE_MODE_AUTO; s.p.mode++) {
        const bool several = s.p.mode == MUSE_MODE_CONTEMPLATING;
        int rc = MUSE_ERR_CANCELLED;
        for (int n = 0; rc != 0; n++) {
            MuseReasonResult r;
            MuseTraceStep t;
            size_t running = 0, told = 0, ends[4] = { 0 }, answers[4] = { 0 };   /* by agent, 0: the run */
            ok(muse_trace_open(&s.agent.trace, NULL, NULL, &err));
            left = n;
            rc = muse_reason(s.m, s.parts, 2, &s.p, &r, &err);
            assert_true(r.n_agents <= 3);
            for (uint32_t k = 1; muse_trace_step(s.agent.trace, k, &t) == 0; k++) {
                assert_true(t.agent <= 3);
                ends[t.agent] += t.kind == MUSE_STEP_END && ends_stopped(&t);
                answers[t.agent] += t.kind == MUSE_STEP_ANSWER;
            }
            for (size_t i = 0; i < r.n_agents; i++) {
                const uint32_t finish = info_of(r.agents[i]).finish;
                if (several) assert_int_equal(ends[i + 1], finish == MUSE_AGENT_RUNNING);
                assert_int_equal(answers[several ? i + 1 : 0], finish == MUSE_AGENT_ANSWERED);
                running += finish == MUSE_AGENT_RUNNING;
            }
            for (size_t i = 0; i < 4; i++) told += ends[i];
            assert_int_equal(told, running ? running : rc != 0);
            cut += told;
            muse_reason_result_clear(&r);
            muse_trace_close(&s.agent.trace);
        }
    }
    assert_true(cut > 60);
    tear_down(&s);
}

typedef struct AtOnce { long at, tokens, after; } AtOnce;   /* cancelled from token `at` on */

static int count_tokens(void *user, const MuseReasonEvent *e)
{
    AtOnce *c = user;
    if (e->kind != MUSE_EVENT_TOKEN) return 0;
    c->after += c->tokens >= c->at;
    c->tokens++;
    return 0;
}

static int is_cancelled(void *user) { return ((AtOnce *)user)->tokens >= ((AtOnce *)user)->at; }

/* in the thoughts, the answers, the check, the merging: nothing but the step under way is finished, and the agents go on when asked to */
static void cancelled_at_once(void **state)
{
    (void)state;
    static const char *const questions[] = { "Which colour?", "Which shape?" };
    Setup s;
    MuseReasonResult r;
    AtOnce c = { 0 };
    set_up(&s, "(yes|no)");
    s.p.agents = 3;
    s.p.verify = 1;
    s.p.no_stop = 1;
    s.p.synthesis = MUSE_SYNTHESIS_GENERATE;
    s.agent.event = count_tokens;
    s.agent.cancel = is_cancelled;
    s.agent.event_user = s.agent.cancel_user = &c;
    for (int coordinate = 0; coordinate < 2; coordinate++) {
        int rc = MUSE_ERR_CANCELLED;
        s.p.mode = coordinate ? MUSE_MODE_THINKING : MUSE_MODE_CONTEMPLATING;
        long n = 0;
        for (; rc != 0 && n < 200; n++) {
            c = (AtOnce){ .at = n };
            rc = coordinate ? muse_coordinate(s.m, s.parts, 1, questions, 2, "What?", &s.p, &r, &err) : muse_reason(s.m, s.parts, 2, &s.p, &r, &err);
            if (rc != 0) {
                assert_int_equal(rc, MUSE_ERR_CANCELLED);
                assert_true(c.tokens >= n && c.after < 3);
                c.at = 1 << 20;
                if (r.n_agents && n % 5 == 0) ok(muse_agent_run(r.agents, r.n_agents, &err));
                for (size_t i = 0; i < r.n_agents && n % 5 == 0; i++) assert_int_not_equal(info_of(r.agents[i]).finish, MUSE_AGENT_RUNNING);
            }
            muse_reason_result_clear(&r);
        }
        assert_int_equal(rc, 0);
        assert_true(n > 30);
    }
    tear_down(&s);
}

/* ---- a turn of a conversation ---- */

static MuseAgent *first_turn(Setup *s)
{
    MuseAgent *a;
    s->agent.thinking = MUSE_THINKING_ON;
    ok(muse_agent_open(&a, s->m, s->parts, 2, &s->agent, &err));
    ok(muse_agent_run(&a, 1, &err));
    return a;
}

/* several answer over what was said so far; the first is what one alone would be, and the chosen one goes on */
static void conversation(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r, again;
    MuseTraceStep step;
    set_up(&s, "(yes|no)");
    s.sample.temperature = s.p.temperature = 0;
    MuseAgent *a = first_turn(&s), *alone = first_turn(&s), *next;
    MuseReasonPart more[] = { { .modality = MUSE_TEXT, .text = "And now?" } };
    MuseTurnParams t;
    muse_turn_params_init(&t);
    t.thought_tokens = 11;
    ok(muse_agent_ask(alone, more, 1, &t, &err));
    ok(muse_agent_run(&alone, 1, &err));
    ok(muse_trace_open(&s.agent.trace, NULL, NULL, &err));
    s.agent.thought_tokens = 11;
    s.p.from = a;
    s.p.agents = 4;
    s.p.no_stop = 1;
    ok(muse_reason(s.m, more, 1, &s.p, &r, &err));
    assert_int_equal(r.n_forks, 4);
    assert_int_equal(r.prompt_tokens, info_of(alone).prompt_tokens);   /* one for all */
    assert_int_equal(r.calibrated, 0);
    same_ids(r.agents[0], alone);
    assert_int_equal(info_of(r.agents[0]).thought_tokens, 11);
    assert_true(r.by < 4 && r.by == r.candidates[0].vote && strlen(r.answer) == info_of(r.agents[r.by]).n_answer);
    uint32_t last = 0;
    for (uint32_t i = 1; i <= muse_trace_step_count(s.agent.trace); i++) {
        ok(muse_trace_step(s.agent.trace, i, &step));
        assert_true(step.agent <= 4 && (step.agent || step.kind == MUSE_STEP_ANSWER));
        last = step.agent > last ? step.agent : last;
    }
    assert_int_equal(last, 4);
    assert_int_equal(step.agent, 0);
    assert_int_equal(muse_trace_image_count(s.agent.trace), 1);
    muse_trace_close(&s.agent.trace);
    assert_int_equal(info_of(a).finish, MUSE_AGENT_STOPPED);
    next = muse_reason_take(&r, r.by);
    assert_non_null(next);
    assert_null(r.agents[r.by]);
    assert_null(muse_reason_take(&r, r.by));
    assert_null(muse_reason_take(&r, r.n_agents));
    assert_null(muse_reason_take(NULL, 0));
    assert_int_equal(info_of(next).number, 0);
    muse_reason_result_clear(&r);
    for (int i = 0; i < 2; i++) {   /* one agent, then several again; behind each other or (a) behind a question without an answer */
        s.p.mode = i ? MUSE_MODE_CONTEMPLATING : MUSE_MODE_INSTANT;
        s.p.from = next;
        ok(muse_reason(s.m, s.parts, 2, &s.p, &r, &err));
        assert_true(r.n_forks == (i ? 4 : 1) && r.answer && r.prompt_tokens > info_of(alone).prompt_tokens);
        s.p.from = a;
        ok(muse_reason(s.m, more, 1, &s.p, &again, &err));
        assert_non_null(again.answer);
        muse_reason_result_clear(&again);
        muse_agent_close(&next);
        next = muse_reason_take(&r, r.n_agents - 1);
        muse_reason_result_clear(&r);
    }
    const MuseAgentInfo drawing = info_of(next);   /* the last of four */
    assert_true(drawing.temperature == 1);
    ok(muse_trace_open(&t.trace, NULL, NULL, &err));   /* a plain turn is the run's own in its trace again */
    ok(muse_agent_ask(next, more, 1, &t, &err));
    assert_true(info_of(next).temperature == 1 && info_of(next).seed == drawing.seed);
    MuseAgent *plain;
    ok(muse_agent_fork(&plain, next, 0, 3, 0, &err));
    assert_true(info_of(plain).temperature == 0 && info_of(plain).seed == 3);
    muse_agent_close(&plain);
    ok(muse_agent_run(&next, 1, &err));
    for (uint32_t i = 1; i <= muse_trace_step_count(t.trace); i++) {
        ok(muse_trace_step(t.trace, i, &step));
        assert_int_equal(step.agent, 0);
    }
    muse_agent_close(&next);
    muse_agent_close(&alone);
    muse_agent_close(&a);
    muse_trace_close(&t.trace);
    tear_down(&s);
}

static int is_over(void *user) { return --*(long *)user < 0; }

/* whatever goes wrong, the agent that led the conversation has ended and can be asked again */
static void conversation_refused(void **state)
{
    (void)state;
    static const char *const questions[] = { "Which?" };
    Setup s;
    MuseReasonResult r;
    set_up(&s, "yes");
    long polls = 1 << 20;
    s.agent.cancel = is_over;
    s.agent.cancel_user = &polls;
    MuseReasonPart more[] = { { .modality = MUSE_TEXT, .text = "And now?" } };
    MuseAgent *a = first_turn(&s);
    s.p.from = a;
    s.p.agents = 2;
    MuseReasonParams bad[2] = { s.p, s.p };
    bad[0].views = 2;
    bad[1].synthesis = MUSE_SYNTHESIS_GENERATE;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(muse_reason(s.m, more, 1, &bad[i], &r, &err), MUSE_ERR_ARG);
        muse_reason_result_clear(&r);
    }
    MuseModel *other = muse_model();
    assert_int_equal(muse_reason(other, more, 1, &s.p, &r, &err), MUSE_ERR_ARG);
    muse_reason_result_clear(&r);
    muse_model_close(&other);
    s.p.mode = MUSE_MODE_THINKING;
    assert_int_equal(muse_coordinate(s.m, NULL, 0, questions, 1, "So?", &s.p, &r, &err), MUSE_ERR_ARG);
    muse_reason_result_clear(&r);
    s.p.mode = MUSE_MODE_CONTEMPLATING;
    more[0].modality = 9;
    assert_int_equal(muse_reason(s.m, more, 1, &s.p, &r, &err), MUSE_ERR_ARG);
    assert_int_equal(r.by, r.n_agents);
    muse_reason_result_clear(&r);
    more[0].modality = MUSE_TEXT;
    assert_int_equal(info_of(a).finish, MUSE_AGENT_ANSWERED);   /* not asked */
    int rc = MUSE_ERR_CANCELLED;
    for (long n = 0; rc != 0 && n < 200; n++) {
        polls = n;
        rc = muse_reason(s.m, more, 1, &s.p, &r, &err);
        if (rc != 0) assert_int_equal(rc, MUSE_ERR_CANCELLED);
        assert_int_not_equal(info_of(a).finish, MUSE_AGENT_RUNNING);
        muse_reason_result_clear(&r);
    }
    assert_int_equal(rc, 0);
    ok(muse_agent_ask(a, more, 1, NULL, &err));
    assert_int_equal(muse_reason(s.m, more, 1, &s.p, &r, &err), MUSE_ERR_STATE);   /* it writes */
    muse_reason_result_clear(&r);
    polls = 1 << 20;
    ok(muse_agent_run(&a, 1, &err));
    muse_agent_close(&a);
    tear_down(&s);
}

static void refused(void **state)
{
    (void)state;
    Setup s;
    MuseReasonResult r;
    set_up(&s, "yes");
    const MuseReasonParams good = s.p;
    static const char *const says[8] = { "mode 4", "257 agents: at most 256", "spread is 1,", "", "synthesis 2", "", "9 views: at most 8", "doubt is 1.5" };
    MuseReasonParams bad[8];
    for (int i = 0; i < 8; i++) bad[i] = good;
    bad[7].doubt = 1.5;
    bad[6].views = MUSE_VIEWS + 1;
    bad[0].mode = 4;
    bad[1].agents = MUSE_AGENTS_MAX + 1;
    bad[2].spread = 1;   /* as far as the temperature */
    bad[3].n_focus = 1;
    bad[4].synthesis = 2;
    bad[5].struct_size = 0;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(muse_reason(s.m, s.parts, 2, &bad[i], &r, &err), MUSE_ERR_ARG);
        if (!strstr(err.text, says[i])) fail_msg("%d: %s", i, err.text);
        muse_reason_result_clear(&r);
    }
    assert_int_equal(muse_reason(s.m, s.parts, 0, &good, &r, &err), MUSE_ERR_ARG);
    s.parts[1].modality = 9;
    assert_int_equal(muse_reason(s.m, s.parts, 2, &good, &r, &err), MUSE_ERR_ARG);
    muse_reason_result_clear(&r);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_answers_stop_nobody), cmocka_unit_test(instant_and_thinking), cmocka_unit_test(early_stop), cmocka_unit_test(seeds), cmocka_unit_test(views), cmocka_unit_test(views_by_need), cmocka_unit_test(views_in_a_trace), cmocka_unit_test(reduced_is_said_once), cmocka_unit_test(no_room_to_score),
        cmocka_unit_test(all_stages), cmocka_unit_test(confidence_is_of_the_answer), cmocka_unit_test(coordinator), cmocka_unit_test(cross_scores), cmocka_unit_test(memory_of_forks), cmocka_unit_test(cancelled_anywhere), cmocka_unit_test(cancelled_is_told), cmocka_unit_test(cancelled_at_once), cmocka_unit_test(conversation), cmocka_unit_test(conversation_refused), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
