/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason/record.c: what a chain leaves in a trace. The model's words are scripted, the records written by hand from the rules of
 * docs/reason.md. Seconds, confidences and token positions are looked at by themselves. */
#include <math.h>

#include "libmuse/reason/record_steps.h"
#include "tests/unit/test_reason_data.h"

static MuseTrace *open_trace(void)
{
    MuseTrace *t;
    ok(muse_trace_open(&t, NULL, NULL, &err));
    return t;
}

/* one line a step: kind text | marks as picture:coordinates#object, agent, parent */
static char *lines_of(const MuseTrace *t)
{
    static char out[8192];
    size_t n = 0;
    MuseTraceStep s;
    out[0] = 0;
    for (uint32_t i = 1; muse_trace_step(t, i, &s) == 0; i++) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%s %.*s", muse_step_name(s.kind), (int)s.n_text, s.text);
        for (uint32_t k = 0; k < s.n_marks; k++) {
            const MuseRect r = s.marks[k].rect;
            n += (size_t)snprintf(out + n, sizeof out - n, " |%u:%g,%g", s.marks[k].image, r.x0, r.y0);
            if (r.x1 > r.x0) n += (size_t)snprintf(out + n, sizeof out - n, ",%g,%g", r.x1, r.y1);
            if (s.marks[k].object) n += (size_t)snprintf(out + n, sizeof out - n, "#%u", s.marks[k].object);
        }
        if (s.agent) n += (size_t)snprintf(out + n, sizeof out - n, " @%u", s.agent);
        if (s.parent) n += (size_t)snprintf(out + n, sizeof out - n, " ^%u", s.parent);
        n += (size_t)snprintf(out + n, sizeof out - n, s.done ? "\n" : " ...\n");
    }
    return out;
}

typedef struct Case { const char *script, *want; } Case;

static void check(const Case *c, size_t n, MuseImage *const *pictures, size_t n_pictures)
{
    MuseModel *m = muse_model();
    for (size_t i = 0; i < n; i++) {
        MuseAgentParams p;
        muse_agent_params_init(&p);
        p.trace = open_trace();
        MuseAgent *a = open_agent(m, pictures, n_pictures, &p);
        script(a, c[i].script);
        ok(run_one(a));
        if (strcmp(lines_of(p.trace), c[i].want)) fail_msg("%s\n%s, wanted\n%s", c[i].script, lines_of(p.trace), c[i].want);
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
    }
    muse_model_close(&m);
}

/* 640 x 320: a place is 10 x 5 pixels. A point is the middle of its cell. */
static void places(void **state)
{
    static const Case cases[] = {
        { " red star<x16><y32> 3>2</think> yes<eos>", "claim red star |1:165,162.5#1\nthought 3>2\nanswer yes\n" },
        { "1<x0><y0> red star;2<x63><y63> blue cross;3<x1><y0> red star</think> 3<eos>",
          "claim red star (1) |1:5,2.5#1\nclaim blue cross (2) |1:635,317.5#2\nclaim red star (3) |1:15,2.5#3\nanswer 3\n" },
        { " Is there a red star? red star<x16><y32></think> yes<eos>", "thought Is there a red star?\nclaim red star |1:165,162.5#1\nanswer yes\n" },   /* as it was heard */
        { " How many?1<x0><y0> red star;2<x1><y0> blue! cross</think> 2<eos>", "thought How many?\nclaim red star (1) |1:5,2.5#1\nclaim blue! (2) |1:15,2.5#2\nthought cross\nanswer 2\n" },
        { " Find it. red star<x1><y1> 3.5</think> 3.5<eos>", "thought Find it.\nclaim red star |1:15,7.5#1\nthought 3.5\nanswer 3.5\n" },
        { " slice A<x1><y1>0-5;5*5=2,5</think> 25<eos>", "claim slice A |1:15,7.5#1\nthought 0-5;5*5=2,5\nanswer 25\n" },
        { "<x4><y8>8<x13><y8>K; 8 K<x34><x35> different</think> no<eos>", "claim 8 |1:45,42.5\nclaim K |1:135,42.5#1\nthought 8 K x 34/64, x 35/64 different\nanswer no\n" },
        { "<x1><y1></think> a<eos>", "point  |1:15,7.5\nanswer a\n" },
        { " a thing<box><x16><y32><x17><y33></think> b<eos>", "claim a thing |1:160,160,180,170#1\nanswer b\n" },
        { " red star<x1><y1> red star<x2><y1></think> c<eos>", "claim red star |1:15,7.5#1\nclaim red star |1:25,7.5#1\nanswer c\n" },
        { " a<eos> Z<think> B<eos>", "thought a\nend the thought was ended: the model ended its turn in it\nthought Z B\nanswer Z\n" },   /* thinks again behind its answer, and ends so */
        { "just words</think><point><x16><y32><eos>", "thought just words\nanswer picture 1 (165, 162) |1:165,162.5\n" },
        { "just words</think> at<x16><y32>not<box><x16><y32><x17><y33>or<x5>, <y7>5<eos>",
          "thought just words\nanswer at picture 1 (165, 162) not picture 1 [160, 160, 180, 170] or x 5/64, y 7/64 5 |1:165,162.5 |1:160,160,180,170\n" },
        { " star<x1><y1>;<x2><y2><y10><x3>;<x3><y3><y9><x2> nearest<x2><y2> red cross</think> e<eos>",   /* distances are of the place before them */
          "claim star |1:15,7.5#1\npoint y 10/64, x 3/64 |1:25,12.5\npoint y 9/64, x 2/64 |1:35,17.5\nclaim nearest |1:25,12.5#2\nthought red cross\nanswer e\n" },
        { " a<x1><y1> b<x2><y2><x1><x2> left</think> f<eos>", "claim a |1:15,7.5#1\nclaim b |1:25,12.5#2\nthought x 1/64, x 2/64 left\nanswer f\n" },
        /* as muse-nano writes them: count, tallest, higher, difference, nearest; a thing's own sign stays in its name */
        { "<x5><y5> red digit 8 0;<x6><y6> white digit 8;<x7><y7> red letter A 1;<x8><y8> red circle 12</think> 12<eos>",
          "claim red digit 8 (0) |1:55,27.5#1\nclaim white digit 8 |1:65,32.5#2\nclaim red letter A (1) |1:75,37.5#3\nclaim red circle (12) |1:85,42.5#4\nanswer 12\n" },
        { " lowest;1<x5><y5> A>1;2<x6><y6> B>1;<x5><y5></think> A<eos>",
          "thought lowest\nclaim A (1, >1) |1:55,27.5#1\nclaim B (2, >1) |1:65,32.5#2\npoint  |1:55,27.5\nanswer A\n" },
        { " bar B<x5><y5>8 bar A<x6><y6>6;8>6</think> yes<eos>", "claim bar B |1:55,27.5#1\nthought 8\nclaim bar A |1:65,32.5#2\nthought 6;8>6\nanswer yes\n" },
        { " bar B<x5><y5>8*1=8 bar A<x6><y6>6*1=6;8-6=0,2</think> 2<eos>",
          "claim bar B |1:55,27.5#1\nthought 8*1=8\nclaim bar A |1:65,32.5#2\nthought 6*1=6;8-6=0,2\nanswer 2\n" },
        { " red star<x5><y5>;<x6><y6><y1><x1><x2>; nearest<x6><y6> red cross</think> red cross<eos>",
          "claim red star |1:55,27.5#1\npoint y 1/64, x 1/64, x 2/64 |1:65,32.5\nclaim nearest |1:65,32.5#2\nthought red cross\nanswer red cross\n" },
        { "1<x5><y5>;2<x6><y6></think> 2<eos>", "point 1 |1:55,27.5\npoint 2 |1:65,32.5\nanswer 2\n" },
        { "<box><x16><y32><x17><y33> in</think> d<eos>", "claim in |1:160,160,180,170#1\nanswer d\n" },
    };
    (void)state;
    MuseImage *picture = make_picture(640, 320);
    check(cases, sizeof cases / sizeof *cases, &picture, 1);
    muse_image_close(&picture);
}

/* The same thing, named by several agents behind its place, is one object: the nearest one of that name, counts aside, at most two places away. 640 x 320 as above */
static void things(void **state)
{
    static const char *const scripts[] = { "1<x16><y32> red star;2<x18><y32> red star;3<x40><y9> red star 3;4<x16><y32> cross</think> 4<eos>",
                                           "1<x40><y10> red star;2<x17><y32> red star;3<x18><y33> red star 3;4<x43><y9> red star;5<x16><y32> blue cross</think> 5<eos>",
                                           "<x16><y32> red star same;<x18><y32><y9><x3> red star</think> 1<eos>" };
    static const char want[] =
        "claim red star (1) |1:165,162.5#1\nclaim red star (2) |1:185,162.5#2\nclaim red star (3, 3) |1:405,47.5#3\nclaim cross (4) |1:165,162.5#4\nanswer 4\n"
        "claim red star (1) |1:405,52.5#3 @1\nclaim red star (2) |1:175,162.5#1 @1\nclaim red star (3, 3) |1:185,167.5#2 @1\nclaim red star (4) |1:435,47.5#5 @1\nclaim blue cross (5) |1:165,162.5#6 @1\nanswer 5 @1\n"
        "claim red star same |1:165,162.5#7 @2\npoint y 9/64, x 3/64 |1:185,162.5 @2\nthought red star @2\nanswer 1 @2\n";
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(640, 320);
    MuseAgentParams p;
    muse_agent_params_init(&p);
    p.trace = open_trace();
    for (uint32_t i = 0; i < 3; i++) {
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        a->trace_first = i;
        script(a, scripts[i]);
        ok(run_one(a));
        muse_agent_close(&a);
    }
    assert_string_equal(lines_of(p.trace), want);
    muse_trace_close(&p.trace);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* what a text becomes beside marks in pictures 1, 2, ... */
static void spelled(void **state)
{
    static const struct { const char *text; uint32_t n_marks; const char *want; } cases[] = {
        { "<image 2><x1><y1>", 1, "picture 1 (1, 2)" },
        { "at <image 12><x1><y1>, <image 32><box><x1><y1><x2><y2>", 2, "at picture 1 (1, 2), picture 2 (1, 2)" },
        { "<image 33><x1><y1>", 1, "<image 33> picture 1 (1, 2)" },   /* no token, so it turned nothing */
        { "<image 4294967298><x1><y1>", 1, "<image 4294967298> picture 1 (1, 2)" },
        { "<image 02><x1><y1><image 0><image ><image 5", 1, "<image 02> picture 1 (1, 2)<image 0><image ><image 5" },
        { "<image 9><x1><y1>", 1, "<image 9> picture 1 (1, 2)" },     /* nor has this tokenizer a 9 */
        { "<image 12> and<x1><y1>", 1, "<image 12> and picture 1 (1, 2)" },
        { "<x1><y1>,<x2><y2>", 1, "x 1/64, y 1/64, x 2/64, y 2/64" },
        { "<image 2><x1><y1>", 2, "<image 2> x 1/64, y 1/64" },
        { "<box><x2><y2><x1><y1>,<x3><y3>", 1, "x 2/64, y 2/64, x 1/64, y 1/64, picture 1 (1, 2)" },
        { "no < place", 0, "no < place" },
    };
    (void)state;
    MuseTraceMark marks[2];
    MuseAgentShared shared = { .chains = true, .words = { .n_places = 64 } };
    const MuseAgent a = { .shared = &shared, .n_pictures = 32 };
    shared.words.image[8] = -1;
    for (uint32_t i = 0; i < 2; i++) marks[i] = (MuseTraceMark){ .image = i + 1, .rect = { 1, 2, 1, 2 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseBuf b = { 0 };
        char *exact = malloc(strlen(cases[i].text));   /* a byte too far is reported */
        memcpy(exact, cases[i].text, strlen(cases[i].text));
        assert_int_equal(muse_record_spell(&a, exact, strlen(cases[i].text), marks, cases[i].n_marks, &b), 0);
        free(exact);
        assert_int_equal(muse_buf_append(&b, "", 1), 0);
        assert_string_equal((char *)b.data, cases[i].want);
        muse_buf_clear(&b);
    }
}

static void names(void **state)
{
    static const struct { const char *text; size_t end; const char *stripped; } t[] = {
        { "red star 2", 8, "red star" }, { "2 red star", 10, "red star" }, { "red star (2)", 12, "red star" }, { "red star (1, >2)", 16, "red star" }, { "red star (2 of 3)", 17, "red star (2 of 3)" },
        { "A>1", 1, "A" }, { "K7", 2, "K7" }, { "K>7", 1, "K" }, { "digit 8", 7, "digit 8" }, { "red digit 8 3", 11, "red digit 8" }, { "red digit 8 (3)", 15, "red digit 8" },
        { "prefigdigit 8", 11, "prefigdigit" }, { "(2)", 3, "(2)" }, { "red 12,12", 3, "red" }, { "red -", 5, "red -" }, { "7", 1, "" }, { "", 0, "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        size_t n = strlen(t[i].text);
        char *exact = malloc(n + !n);   /* a byte too far is reported */
        memcpy(exact, t[i].text, n);
        const char *text = exact;
        assert_int_equal(muse_record_name_end(exact, n), t[i].end);
        muse_record_strip_counts(&text, &n);
        if (n != strlen(t[i].stripped) || memcmp(text, t[i].stripped, n)) fail_msg("%s: %.*s", t[i].text, (int)n, text);
        free(exact);
    }
}

static void looks(void **state)
{
    static const Case cases[] = {
        { " look:<look> red star<box><x16><y32><x17><y33> K 7</think> K7<eos>",
          "thought look:\nlook red star |1:138,133,202,197#1\nclaim K 7 |1:160,160,180,170#1 ^2\nanswer K7\n" },
        { "<look> a thing<box><x0><y0><x0><y0><look> a thing<box><x63><y63><x63><y63> 2; 3</think> 5<eos>",
          "look a thing |1:0,0,64,64#1\nbox  |1:0,0,10,5#1 ^1\nlook a thing |1:576,256,640,320#1\nclaim 2 |1:630,315,640,320#1 ^3\nthought 3\nanswer 5\n" },
        { "<look> red star<box><x0><y0><x0><y0> 7<verify> no<look> red star<box><x63><y63><x63><y63> 8</think> 8<eos>",
          "look red star |1:0,0,64,64#1\nclaim 7 |1:0,0,10,5#1 ^1\nverify no\nlook red star |1:576,256,640,320#1 ^3\nclaim 8 |1:630,315,640,320#1 ^4\nanswer 8\n" },
    };
    (void)state;
    MuseImage *picture = make_picture(640, 320);
    check(cases, sizeof cases / sizeof *cases, &picture, 1);
    muse_image_close(&picture);
}

static void groups_and_tracks(void **state)
{
    static const Case cases[] = {
        { "<compare><x1><y1> red star same;<x2><y2> blue cross removed</think> f<eos>",
          "compare \nclaim red star same |1:3,3#1 ^1\nclaim blue cross removed |1:5,5#2 ^1\nanswer f\n" },
        { "<compare><x1><y1> red star same</think> no<image 7><eos>",   /* the group ends with the thought */
          "compare \nclaim red star same |1:3,3#1 ^1\nthought not understood: a place in a picture that is not there\nanswer no<image 7>\n" },
        { "<compare><x1><y1> red star<x2><y2> moved;<x3><y3> blue cross same<image 3><x1><y1><x2><y2></think> f<eos>",
          "compare \nclaim red star |1:3,3#1 ^1\nclaim moved |2:5,5#2 ^1\nclaim blue cross same |1:7,7#3 ^1\npoint  |3:3,3#4 ^1\npoint  |3:5,5 ^1\nanswer f\n" },
        { "<look><box><x0><y0><x31><y31><image 2><look><box><x0><y0><x0><y0><compare> same<x1><y1></think> f<eos>",
          "look  |1:0,0,74,74\nbox  |1:0,0,64,64 ^1\nlook  |2:0,0,64,64\nbox  |2:0,0,2,2 ^3\ncompare  |1:0,0,74,74 |2:0,0,64,64\nclaim same |2:3,3#1 ^5\nanswer f\n" },
        { "<image 1><x1><y1><image 2><x2><y2><image 3> hidden<image 4><x3><y3></think> g<eos>",
          "point  |1:3,3#1\ntrack  |1:3,3#1 |2:5,5#1 |4:7,7#1\nthought picture 3: hidden\nanswer g\n" },
        { " one<x1><image 2> two<y2><image 3><x1><y1></think> it is<image 2><point><x3><y9>;<image 1> and<image 4><box><x0><y0><x1><y1><eos>",
          "thought one x 1/64\nthought picture 2: two y 2/64\npoint  |3:3,3#1\nanswer it is picture 2 (7, 19);<image 1> and picture 4 [0, 0, 4, 4] |2:7,19 |4:0,0,4,4\n" },
        { " red star<x1><y1><image 2> red star<x2><y2> gone<image 3> red star<x2><y2> red star<x3><y2></think> g<eos>",
          "claim red star |1:3,3#1\ntrack red star |1:3,3#1 |2:5,5#1 |3:5,5#1\nthought gone\nclaim red star |3:7,5#1\nanswer g\n" },
        { " a<x5> star<x1><y1><image 2> a<x5> star<x2><y2><image 3> a<x5> star<x2><y2></think> g<eos>",   /* a name with a place in it */
          "claim a x 5/64 star |1:3,3#1\ntrack a x 5/64 star |1:3,3#1 |2:5,5#1 |3:5,5#1\nanswer g\n" },
        { " a<x5> star<x1><y1><look> a<x5> star<box><x0><y0><x0><y0> 7<y9></think> g<eos>",
          "claim a x 5/64 star |1:3,3#1\nlook a x 5/64 star |1:0,0,64,64#1\nclaim 7 y 9/64 |1:0,0,2,2#1 ^2\nanswer g\n" },
        { "w</think> it is<image 2><x3><y9>;<image 7><x1><y1><eos>",   /* there is no seventh: still the second, and that it was named stays */
          "thought w\nthought not understood: a place in a picture that is not there\nanswer it is picture 2 (7, 19);<image 7> picture 2 (3, 3) |2:7,19 |2:3,3\n" },
        { "w</think> no<compare> red<x1><y1><verify> it<eos>", "thought w\nanswer no<compare> red picture 1 (3, 3)<verify> it |1:3,3\n" },   /* all of it is the answer */
        { "w</think> it<look><box><x0><y0><x1><y1> is<image 2><x3><y9><eos>",   /* a place without a mark: numbers, nothing is said to be elsewhere */
          "thought w\nthought it\nlook  |1:0,0,64,64\nbox  |1:0,0,4,4 ^3\nanswer it<look> x 0/64, y 0/64, x 1/64, y 1/64 is<image 2> x 3/64, y 9/64 |2:7,19\n" },
    };
    (void)state;
    MuseImage *pictures[4];
    for (int i = 0; i < 4; i++) pictures[i] = make_picture(128, 128);
    check(cases, sizeof cases / sizeof *cases, pictures, 4);
    for (int i = 0; i < 4; i++) muse_image_close(&pictures[i]);
}


/* what is written wrongly, refused, or cut off by a budget is in the record too */
static void nothing_is_lost(void **state)
{
    static const char chain[] = " a<box><x1><y2> no<look> red<box><x1><y1><x1><y1> 7; 8<look> blue<box><x1><y1><x1><y1> 9";
    static const char want[] = "thought a x 1/64, y 2/64\nthought not understood: a box that is not finished\nthought no\nlook red |1:0,0,64,64#1\nclaim 7 |1:2,2,4,4#1 ^4\nthought 8\n"
                               "look blue (not shown: the positions for looks are spent) |1:2,2,4,4#2\nthought 9\nend the thought was ended: the tokens of the thought are spent\n";
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    for (int forced = 0; forced < 2; forced++) {
        MuseAgentParams p;
        MuseTextTokenizer *tok;
        int32_t *ids;
        size_t n;
        ok(muse_model_open_tokenizer(m, &tok, &err));
        ok(muse_text_encode(tok, chain, sizeof chain - 1, MUSE_TEXT_ADDED, &ids, &n, &err));
        muse_free(ids);
        muse_text_close(&tok);
        muse_agent_params_init(&p);
        p.free_places = 1;
        p.look_positions = 30;   /* one look: a square of 64 pixels is 16 patches of this model, and two markers */
        p.thought_tokens = forced ? 0 : (uint32_t)n;
        p.answer_tokens = 2;
        p.trace = open_trace();
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        if (forced) ok(muse_look(a, 1, (MuseRect){ 3, 3, 9, 9 }, &err));   /* what the caller asks for is recorded like the model's own */
        script(a, forced ? " 7</think> 7<eos>" : chain);
        ok(run_one(a));
        const char *got = lines_of(p.trace);
        if (forced) assert_string_equal(got, "look  |1:0,0,64,64\nclaim 7 |1:3,3,9,9 ^1\nend the answer was cut off: its tokens are spent\nanswer 7\n");
        else if (strncmp(got, want, sizeof want - 1) != 0) fail_msg("%s, wanted\n%s", got, want);
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

typedef struct Until { MuseAgent *a; size_t thought, answer; bool cancels; } Until;

/* once so many bytes are written: stops the agent, or cancels the run */
static int until(void *user, const MuseReasonEvent *e)
{
    Until *u = user;
    if (e->kind != MUSE_EVENT_TOKEN || info_of(u->a).n_thought < u->thought || info_of(u->a).n_answer < u->answer) return 0;
    if (!u->cancels) muse_agent_stop(u->a);
    return u->cancels;
}

/* an answer that was stopped is an answer, one of a run that was cancelled is none, and may go on; what is stopped in a thought stays a thought */
static void stopped(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 128);
    static const struct { Until until; const char *want; } cases[] = {
        { { NULL, 4, 3, false }, "thought red\nend the answer was cut off: stopped\nanswer 123\n" },
        { { NULL, 4, 3, true }, "thought red\nend stopped, having begun to answer: 123\n" },
        { { NULL, 4, 0, false }, "thought red\nend ended: stopped\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseAgentParams p;
        Until u = cases[i].until;
        muse_agent_params_init(&p);
        p.trace = open_trace();
        p.event = until;
        p.event_user = &u;
        MuseAgent *a = u.a = open_agent(m, &picture, 1, &p);
        script(a, " red</think>12345<eos>");
        assert_int_equal(run_one(a), u.cancels ? MUSE_ERR_CANCELLED : 0);
        ok(muse_record_end(a, u.cancels, &err));
        assert_string_equal(lines_of(p.trace), cases[i].want);
        if (u.cancels) {
            u.answer = 99;
            ok(run_one(a));
            assert_string_equal(lines_of(p.trace), "thought red\nend stopped, having begun to answer: 123\nanswer 12345\n");
        }
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* cuts "confidence":..., and "seconds":[...] out: the model's own weights, and the clock */
static void strip(char *json, const char *key)
{
    for (char *at = json; (at = strstr(at, key)) != NULL;) {
        char *end = at + strlen(key);
        if (*end == '[') end = strchr(end, ']') + 1;
        else end += strcspn(end, ",}");
        memmove(at, end + (*end == ','), strlen(end + (*end == ',')) + 1);
    }
}

/* positions: 12 by 6 patches of 8 pixels are a picture of 96 x 48; a square cut of 64 pixels is 64 patches */
static void as_json(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(640, 320), *again = NULL;
    MuseTraceParams tp;
    MuseAgentParams p;
    MuseTraceStep s;
    muse_trace_params_init(&tp);
    muse_agent_params_init(&p);
    tp.question = "What?";
    tp.mode = "thinking";
    ok(muse_trace_open(&p.trace, NULL, &tp, &err));
    ok(muse_trace_add_image(p.trace, picture, "sign.png", NULL, &err));
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    script(a, "<look> red star<box><x16><y32><x17><y33> 7</think> 7<eos>");
    ok(run_one(a));
    const MuseAgentInfo info = info_of(a);
    const unsigned long long at = info.prompt_tokens, views = info.view_positions;
    char *json, want[2048];
    ok(muse_trace_json(p.trace, &json, NULL, &err));
    strip(json, "\"seconds\":");
    strip(json, "\"confidence\":");
    /* <look>, " red star" in n tokens, <box>, 4 places, the cut | " 7" | </think> and " 7", <eos> */
    ok(muse_trace_step(p.trace, 1, &s));
    const unsigned long long look = s.n_tokens;
    assert_true(look > views + 6 && look <= views + 6 + 9);
    ok(muse_trace_step(p.trace, 2, &s));
    const unsigned long long claim = s.n_tokens;
    ok(muse_trace_step(p.trace, 3, &s));
    assert_true(s.first_token == at + look + claim + 1 && s.first_token + s.n_tokens == muse_sequence_length(muse_session_sequence(a->s)));
    snprintf(want, sizeof want,
             "{\"version\":1,\"question\":\"What?\",\"model\":\"\",\"mode\":\"thinking\",\"answer\":\"\",\"images\":[{\"image\":1,\"name\":\"sign.png\",\"rect\":[0,0,640,320]}],"
             "\"trace\":[{\"step\":1,\"kind\":\"look\",\"text\":\"red star\",\"image\":1,\"box\":[138,133,202,197],\"marks\":[{\"image\":1,\"box\":[138,133,202,197],\"object\":1}],\"tokens\":[%llu,%llu],},\n"
             "{\"step\":2,\"kind\":\"claim\",\"text\":\"7\",\"image\":1,\"box\":[160,160,180,170],\"marks\":[{\"image\":1,\"box\":[160,160,180,170],\"object\":1}],\"parent\":1,\"tokens\":[%llu,%llu],},\n"
             "{\"step\":3,\"kind\":\"answer\",\"text\":\"7\",\"tokens\":[%llu,%llu],}],\"tokens\":{\"prompt\":0,\"thought\":0,\"look\":0,\"answer\":0},}",
             at, look, at + look, claim, at + look + claim + 1, (unsigned long long)s.n_tokens);
    assert_string_equal(json, want);
    muse_free(json);
    /* the model's own tokens decide: the geometric mean of their probabilities */
    assert_true(s.confidence > 0 && fabs(s.confidence - info.confidence) < 1e-9);
    muse_agent_close(&a);
    again = make_picture(641, 320);   /* another picture than the trace has */
    MuseReasonPart part = { .modality = MUSE_IMAGE, .image = again };
    assert_int_equal(muse_agent_open(&a, m, &part, 1, &p, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "picture 1 of the trace"));
    muse_trace_close(&p.trace);
    muse_image_close(&again);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* several agents, a check, and the run's own answer; JSON reads back as it was */
static void of_a_run(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(128, 96);
    const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = picture }, { .modality = MUSE_TEXT, .text = "How many?" } };
    const MuseFocus focus = { 1, { 100, 60, 120, 90 } };
    for (int mode = MUSE_MODE_INSTANT; mode <= MUSE_MODE_CONTEMPLATING; mode++) {
        MuseAgentParams agent;
        MuseReasonParams p;
        MuseReasonResult r;
        MuseTraceSummary sum;
        MuseTraceStep s, last;
        MuseTrace *back;
        char *json, *same;
        size_t size;
        muse_agent_params_init(&agent);
        muse_reason_params_init(&p);
        agent.trace = open_trace();
        agent.thought_tokens = 9;
        agent.answer_tokens = 4;
        p.agent = &agent;
        p.mode = mode;
        p.agents = 3;
        p.no_stop = 1;
        p.verify = 1;
        p.focus = &focus;
        p.n_focus = 1;
        p.seed = 4;
        ok(muse_reason(m, parts, 2, &p, &r, &err));
        muse_trace_summary(agent.trace, &sum);
        assert_int_equal(sum.n_answer, r.n_answer);
        assert_true(sum.prompt_tokens == r.prompt_tokens && sum.thought_tokens == r.thought_tokens && sum.answer_tokens == r.answer_tokens && sum.seconds == r.seconds);
        const uint32_t n = (uint32_t)muse_trace_step_count(agent.trace);
        uint32_t most = 0, answers = 0;
        uint64_t looks = 0;
        for (uint32_t i = 1; i <= n; i++) {
            ok(muse_trace_step(agent.trace, i, &s));
            assert_true(s.done && s.end >= s.start);
            if (s.agent > most) most = s.agent;
            answers += s.kind == MUSE_STEP_ANSWER;
        }
        for (size_t i = 0; i < r.n_agents; i++) looks += info_of(r.agents[i]).view_positions;
        assert_true(sum.look_tokens == looks);
        ok(muse_trace_step(agent.trace, n, &last));
        assert_int_equal(last.kind, MUSE_STEP_ANSWER);
        assert_int_equal(last.agent, 0);
        assert_memory_equal(sum.answer, r.answer, r.n_answer);   /* as it was written; the step is for people */
        assert_null(memmem(last.text, last.n_text, "<x", 2));
        if (mode == MUSE_MODE_CONTEMPLATING) {
            assert_true(most == r.n_agents && answers >= 3 && sum.confidence == r.confidence && last.confidence == r.confidence);
            ok(muse_trace_step(agent.trace, last.parent, &s));
            assert_true(s.kind == MUSE_STEP_ANSWER && s.agent > 0 && s.n_text == last.n_text && memcmp(s.text, last.text, s.n_text) == 0);
        } else assert_true(most == 0 && answers == 1);
        ok(muse_trace_json(agent.trace, &json, &size, &err));
        ok(muse_trace_from_json(&back, NULL, json, size, NULL, &err));
        ok(muse_trace_json(back, &same, NULL, &err));
        assert_string_equal(json, same);
        muse_free(json);
        muse_free(same);
        muse_trace_close(&back);
        muse_reason_result_clear(&r);
        muse_trace_close(&agent.trace);
    }
    muse_image_close(&picture);
    muse_model_close(&m);
}

typedef struct Watcher { const MuseAgent *agent; uint64_t tokens[6]; } Watcher;

/* how many tokens are in the mean when a step is complete */
static void on_step(void *user, const MuseTrace *trace, int event, uint32_t number, const char *text, size_t n)
{
    Watcher *w = user;
    MuseWatched seen;
    (void)trace, (void)text, (void)n;
    if (event == MUSE_TRACE_DONE && number < 6 && muse_session_watched(w->agent->s, &seen, NULL) >= 0) w->tokens[number] = seen.tokens;
}

/* maps belong to places, looks and answers, in the frame of the original */
static void heat(void **state)
{
    (void)state;
    static const uint32_t layer = 1;
    MuseModel *m = muse_model();
    MuseImage *picture = make_picture(640, 320);
    MuseWatchParams w;
    MuseAgentParams p;
    MuseTraceStep s;
    muse_watch_params_init(&w);
    muse_agent_params_init(&p);
    w.layers = &layer;
    w.n_layers = 1;
    p.heat = &w;
    MuseTraceParams tp;
    Watcher watcher = { 0 };
    muse_trace_params_init(&tp);
    tp.fn = on_step;
    tp.user = &watcher;
    ok(muse_trace_open(&p.trace, NULL, &tp, &err));
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    watcher.agent = a;
    script(a, " red star<x1><y1> so<look> red star<box><x16><y32><x17><y33> 7</think> 7<eos>");
    ok(run_one(a));
    assert_string_equal(lines_of(p.trace), "claim red star |1:15,7.5#1\nthought so\nlook red star |1:138,133,202,197#1\nclaim 7 |1:160,160,180,170#1 ^3\nanswer 7\n");
    for (uint32_t i = 1; i <= 5; i++) {   /* each map is of its step's tokens alone: the mean begins anew with the place that is complete, with <look>, and behind the thought */
        ok(muse_trace_step(p.trace, i, &s));
        assert_true(i == 1 ? watcher.tokens[i] == 0 : watcher.tokens[i] > 0 && watcher.tokens[i] <= s.n_tokens + 1);
    }
    static const int n_heats[] = { 1, 0, 1, 1, 1 };
    for (uint32_t i = 1; i <= 5; i++) {
        ok(muse_trace_step(p.trace, i, &s));
        assert_int_equal(s.n_heats, n_heats[i - 1]);
        if (!s.n_heats) continue;
        const MuseTraceHeat h = s.heats[0];
        double sum = 0;
        for (uint32_t k = 0; k < h.width * h.height; k++) sum += (double)h.values[k];
        assert_true(h.image == 1 && sum > 0 && sum <= 1.0001);
        if (i == 4) assert_true(h.rect.x0 == 138 && h.rect.y0 == 133 && h.rect.x1 == 202 && h.rect.y1 == 197);   /* into what the look showed */
        else assert_true(h.rect.x0 == 0 && h.rect.y0 == 0 && h.rect.x1 >= 640 && h.rect.y1 >= 320);
    }
    muse_agent_close(&a);
    muse_trace_close(&p.trace);
    const uint32_t none = 99;
    w.layers = &none;
    p.trace = open_trace();
    MuseReasonPart part = { .modality = MUSE_IMAGE, .image = picture };
    assert_int_equal(muse_agent_open(&a, m, &part, 1, &p, &err), MUSE_ERR_ARG);
    muse_trace_close(&p.trace);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* of a comparison's two points each has the map of its own picture */
static void heat_of_pairs(void **state)
{
    (void)state;
    MuseModel *m = muse_model();
    MuseImage *pictures[] = { make_picture(128, 128), make_picture(64, 64) };
    MuseWatchParams w;
    MuseAgentParams p;
    MuseTraceStep s;
    muse_watch_params_init(&w);
    muse_agent_params_init(&p);
    p.heat = &w;
    p.trace = open_trace();
    MuseAgent *a = open_agent(m, pictures, 2, &p);
    script(a, "<compare><x1><y1> red star<x2><y2> moved;<x3><y3> blue cross<image 2><x4><y4> same</think> f<eos>");
    ok(run_one(a));
    static const uint32_t want[] = { 0, 1, 2, 1, 2 };   /* of the steps: the picture of mark and map */
    assert_string_equal(lines_of(p.trace), "compare \nclaim red star |1:3,3#1 ^1\nclaim moved |2:2.5,2.5#2 ^1\nclaim blue cross |1:7,7#3 ^1\nclaim same |2:4.5,4.5#4 ^1\nanswer f\n");
    for (uint32_t i = 2; i <= 5; i++) {
        ok(muse_trace_step(p.trace, i, &s));
        assert_int_equal(s.n_heats, 1);
        assert_int_equal(s.marks[0].image, want[i - 1]);
        assert_int_equal(s.heats[0].image, want[i - 1]);
    }
    muse_agent_close(&a);
    muse_trace_close(&p.trace);
    for (int i = 0; i < 2; i++) muse_image_close(&pictures[i]);
    muse_model_close(&m);
}

/* ---- tools ---- */

static int draw(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    (void)arguments, (void)n;
    const int rc = muse_tool_reply_text(reply, "here", 4, e);
    return rc == 0 ? muse_tool_reply_image(reply, user, e) : rc;
}

typedef struct Grown { char text[64]; int pieces; } Grown;

static void on_growth(void *user, const MuseTrace *trace, int event, uint32_t number, const char *text, size_t n)
{
    Grown *g = user;
    (void)trace;
    if (number != 1 || event == MUSE_TRACE_DONE) return;
    strncat(g->text, text, n);
    g->pieces++;
}

enum { FRAMES = 10 };

static int film(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *e)
{
    (void)arguments, (void)n;
    int rc = 0;
    for (int i = 0; i < FRAMES && rc == 0; i++) rc = muse_tool_reply_image(reply, ((MuseImage **)user)[i % 2], e);
    return rc;
}

/* all pictures of a result have their mark, each its own, though some are the same picture again */
static void call_with_many_pictures(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL);
    MuseImage *picture = make_picture(400, 200), *frames[2] = { make_picture(60, 40), make_picture(40, 60) };
    MuseTools *tools;
    MuseToolSpec spec;
    MuseAgentParams p;
    MuseSessionParams sp;
    MuseTraceStep s;
    muse_tool_spec_init(&spec);
    spec.name = "film";
    spec.fn = film;
    spec.user = frames;
    ok(muse_tools_open(&tools, NULL, &err));
    ok(muse_tools_add(tools, &spec, &err));
    muse_agent_params_init(&p);
    muse_session_params_init(&sp);
    sp.max_positions = 8192;
    p.session = &sp;
    p.tools = tools;
    p.trace = open_trace();
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    script(a, "<|tool_call>call:film{a:1}<tool_call|><|tool_response>It is red.<turn|>");
    ok(run_one(a));
    ok(muse_trace_step(p.trace, 2, &s));
    assert_int_equal(s.kind, MUSE_STEP_TOOL_RESULT);
    assert_int_equal(s.n_marks, FRAMES);
    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_int_equal(s.marks[i].image, 2 + i);
        assert_rect(s.marks[i].rect, 0, 0, i % 2 ? 40 : 60, i % 2 ? 60 : 40);
    }
    muse_agent_close(&a);
    muse_trace_close(&p.trace);
    muse_tools_close(&tools);
    for (int i = 0; i < 2; i++) muse_image_close(&frames[i]);
    muse_image_close(&picture);
    muse_model_close(&m);
}

static void calls(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL);
    MuseImage *picture = make_picture(400, 200), *drawn = make_picture(60, 40);
    MuseTools *tools;
    MuseToolSpec spec;
    MuseAgentParams p;
    muse_tool_spec_init(&spec);
    spec.name = "draw";
    spec.fn = draw;
    spec.user = drawn;
    ok(muse_tools_open(&tools, NULL, &err));
    ok(muse_tools_add(tools, &spec, &err));
    muse_agent_params_init(&p);
    p.tools = tools;
    p.trace = open_trace();
    MuseAgent *a = open_agent(m, &picture, 1, &p);
    script(a, "<|tool_call>call:look{box:[250,500,300,550],image:1}<tool_call|><|tool_response>");
    script(a, "<|tool_call>call:draw{a:1}<tool_call|><|tool_response>");
    script(a, "<|tool_call>call:look{box:[0,0,9,9],image:7}<tool_call|><|tool_response>It is red.<turn|>");
    ok(run_one(a));
    assert_string_equal(lines_of(p.trace), "look look{\"box\":[250,500,300,550],\"image\":1} |1:178,23,242,87\ntool_call draw{\"a\":1}\ntool_result here |2:0,0,60,40 ^2\n"
                                           "tool_call look{\"box\":[0,0,9,9],\"image\":7}\ntool_result there are pictures 1 to 3 ^4\nanswer It is red.\n");
    MuseTraceImage seen;
    ok(muse_trace_image(p.trace, 2, &seen));
    assert_string_equal(seen.name, "draw");
    muse_agent_close(&a);
    muse_trace_close(&p.trace);
    /* a thought of this format is one step that grows */
    MuseTraceParams tp;
    Grown grown = { 0 };
    muse_trace_params_init(&tp);
    tp.fn = on_growth;
    tp.user = &grown;
    ok(muse_trace_open(&p.trace, NULL, &tp, &err));
    p.thinking = MUSE_THINKING_ON;
    a = open_agent(m, &picture, 1, &p);
    script(a, "<|channel>thought\nIt may be; or not<channel|>red<turn|>");
    ok(run_one(a));
    assert_string_equal(lines_of(p.trace), "thought It may be; or not\nanswer red\n");
    assert_string_equal(grown.text, "It may be; or not");
    assert_true(grown.pieces > 3);
    muse_agent_close(&a);
    muse_trace_close(&p.trace);
    muse_tools_close(&tools);
    muse_image_close(&drawn);
    muse_image_close(&picture);
    muse_model_close(&m);
}

/* ---- answers in JSON ---- */

typedef struct Boxed { const char *answer, *want; } Boxed;

/* 400 x 200 and 100 x 1000: a thousandth is 0.4 x 0.2 and 0.1 x 1 pixels. The answer's text stands in want as $ */
static void check_boxed(const Boxed *c, size_t n, const char *format)
{
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL);
    MuseImage *pictures[2] = { make_picture(400, 200), make_picture(100, 1000) };
    for (size_t i = 0; i < n; i++) {
        MuseAgentParams p;
        char line[1024], want[4096];
        const char *answer = strchr(c[i].want, '$');
        muse_agent_params_init(&p);
        p.trace = open_trace();
        p.answer_tokens = 2048;
        MuseAgent *a = open_agent(m, pictures, 2, &p);
        assert_int_equal(a->shared->boxes, MUSE_BOXES_Y_FIRST);
        a->shared->boxes = muse_chat_format_find(format)->boxes;
        snprintf(line, sizeof line, "%s<turn|>", c[i].answer);
        script(a, line);
        ok(run_one(a));
        snprintf(want, sizeof want, "%.*s%s%s", (int)(answer - c[i].want), c[i].want, c[i].answer, answer + 1);
        if (strcmp(lines_of(p.trace), want)) fail_msg("%s\n%s, wanted\n%s", c[i].answer, lines_of(p.trace), want);
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
    }
    for (int i = 0; i < 2; i++) muse_image_close(&pictures[i]);
    muse_model_close(&m);
}

static void boxes_in_json(void **state)
{
    static const Boxed gemma[] = {
        { "[{\"box_2d\": [100, 200, 300, 400], \"label\": \"dog\"}]", "claim dog |1:80,20,160,60#1\nanswer $ |1:80,20,160,60#1\n" },
        { "Here:\n```json\n[{\"box_2d\":[0,0,1000,1000]},{\"point_2d\":[500,250],\"label\":\"an ear\"}]\n```\nBoth.",
          "box  |1:0,0,400,200\nclaim an ear |1:100,100#1\nanswer $ |1:0,0,400,200 |1:100,100#1\n" },
        { "{\"found\":[{\"label\":\"cat\",\"box_2d\":[0,0,500,500],\"image\":2},{\"label\":\"cat\",\"box_2d\":[0,500,500,1000],\"image\":2.0},{\"label\":\"cat\",\"box_2d\":[9,0,509,499],\"image\":2}]}",
          "claim cat |2:0,0,50,500#1\nclaim cat |2:50,0,100,500#2\nclaim cat |2:0,9,49.9,509#3\nanswer $ |2:0,0,50,500#1 |2:50,0,100,500#2 |2:0,9,49.9,509#3\n" },
        { "{\"point_2d\":[1000,0]}", "point  |1:0,200\nanswer $ |1:0,200\n" },
        { "{\"box_2d\":[0,0,9,9],\"image\":\"a.png\"}", "box  |1:0,0,3.6,1.8\nanswer $ |1:0,0,3.6,1.8\n" },
        /* without a mark, and said */
        { "[{\"box_2d\":[100,200,300],\"label\":\"dog\"},{\"box_2d\":[0,0,1,1],\"label\":\"fly\"}]",
          "thought not understood: dog: a box is four numbers, a point two\nclaim fly |1:0,0,0.4,0.2#1\nanswer $ |1:0,0,0.4,0.2#1\n" },
        { "[{\"box_2d\":[0,0,1,null]},{\"box_2d\":\"1 2 3 4\"},{\"bbox_2d\":[[0,0,1,1]]},{\"point_2d\":[0,0,1,1]},{\"box_2d\":[\"0\",0,1,1]}]",
          "thought not understood: a box is four numbers, a point two\nthought not understood: a box is four numbers, a point two\nthought not understood: a box is four numbers, a point two\n"
          "thought not understood: a box is four numbers, a point two\nthought not understood: a box is four numbers, a point two\nanswer $\n" },
        { "[{\"box_2d\":[0,0,1001,9],\"label\":\"out\"},{\"box_2d\":[9,0,8,9]},{\"point_2d\":[-1,0]}]",
          "thought not understood: out: numbers go from 0 to 1000, and a box has an area\nthought not understood: numbers go from 0 to 1000, and a box has an area\n"
          "thought not understood: numbers go from 0 to 1000, and a box has an area\nanswer $\n" },
        { "[{\"box_2d\":[0,0,9,9],\"image\":3},{\"box_2d\":[0,0,9,9],\"image\":0},{\"box_2d\":[0,0,9,9],\"image\":1.5}]",
          "thought not understood: there is no picture of this number\nthought not understood: there is no picture of this number\nthought not understood: there is no picture of this number\nanswer $\n" },
        { "[{\"box_2d\":[0,0,9,9]}", "thought not understood: boxes in what is no JSON\nanswer $\n" },
        /* no boxes at all */
        { "The box_2d is [0, 0, 9, 9].", "answer $\n" }, { "{\"label\":\"dog\"}", "answer $\n" }, { "[1,2", "answer $\n" },
        { "```\n{\"box_2d\":[0,0,9,9]}\n```\nor\n```\n{}\n```", "answer $\n" }, { "``` {\"box_2d\":[0,0,9,9]}", "answer $\n" },
    };
    static const Boxed qwen[] = {
        { "[{\"bbox_2d\": [100, 200, 300, 400], \"label\": \"dog\"}]", "claim dog |1:40,40,120,80#1\nanswer $ |1:40,40,120,80#1\n" },
        { "{\"point_2d\": [1000, 0], \"label\": \"corner\"}", "claim corner |1:400,0#1\nanswer $ |1:400,0#1\n" },
    };
    static const Boxed unknown[] = { { "[{\"bbox_2d\": [100, 200, 300, 400]}]", "answer $\n" } };
    (void)state;
    check_boxed(gemma, sizeof gemma / sizeof *gemma, "gemma4_unified");
    check_boxed(qwen, 2, "qwen3");
    check_boxed(unknown, 1, "qwen2.5");
}

/* ---- pictures that are no squares ---- */

/* a patch of the first picture, in its pixels */
static void patch_of(const MuseAgent *a, double *w, double *h)
{
    MuseSpanInfo span = { 0 };
    for (size_t k = 0; span.modality != MUSE_IMAGE; k++) ok(muse_sequence_span(muse_session_sequence(a->s), k, &span));
    *w = span.image.unit / span.image.scale_x;
    *h = span.image.unit / span.image.scale_y;
}

static void assert_near(MuseRect got, MuseRect want, double w, double h, const char *script)
{
    if (fabs(got.x0 - want.x0) > w || fabs(got.x1 - want.x1) > w || fabs(got.y0 - want.y0) > h || fabs(got.y1 - want.y1) > h)
        fail_msg("%s: %g %g %g %g, wanted %g %g %g %g up to a patch of %g x %g", script, got.x0, got.y0, got.x1, got.y1, want.x0, want.y0, want.x1, want.y1, w, h);
}

/* What the model wrote of a thing, whose pixels are known, comes out at these pixels: within a patch, and within a place or thousandth, in which it was written.
 * Numbers by hand: a place is 2000 / 64 = 31.25 by 300 / 64 = 4.6875 pixels, a thousandth 2 by 0.3. */
static void wide_and_tall(void **state)
{
    static const struct { bool gemma, tall; const char *script; uint32_t step; MuseRect truth; } t[] = {
        { false, false, " a<box><x19><y7><x47><y53></think> b<eos>", 1, { 612, 37, 1480, 251 } },
        { false, false, " a<x63><y0></think> b<eos>", 1, { 1999, 1, 1999, 1 } },
        { false, false, "w</think><box><x0><y63><x0><y63><eos>", 2, { 3, 296, 28, 300 } },
        { false, false, "<look> a<box><x19><y7><x47><y53> b</think> c<eos>", 2, { 612, 37, 1480, 251 } },
        { false, true, " a<box><x7><y19><x53><y47></think> b<eos>", 1, { 37, 612, 251, 1480 } },
        { true, false, "[{\"box_2d\":[123,306,837,740],\"label\":\"a\"}]<turn|>", 1, { 612, 37, 1480, 251 } },
        { true, false, "{\"point_2d\":[3,1000]}<turn|>", 2, { 1999, 1, 1999, 1 } },
        { true, true, "[{\"box_2d\":[306,123,740,837],\"label\":\"a\"}]<turn|>", 2, { 37, 612, 251, 1480 } },
    };
    (void)state;
    MuseModel *models[2] = { muse_model(), open_model("golden/gemma4-a/hf", NULL) };
    MuseImage *pictures[2] = { make_picture(2000, 300), make_picture(300, 2000) };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        MuseAgentParams p;
        MuseTraceStep s;
        double w, h;
        const double parts = t[i].gemma ? 1000 : 64, width = t[i].tall ? 300 : 2000, height = t[i].tall ? 2000 : 300;
        muse_agent_params_init(&p);
        p.trace = open_trace();
        MuseAgent *a = open_agent(models[t[i].gemma], &pictures[t[i].tall], 1, &p);
        script(a, t[i].script);
        ok(run_one(a));
        patch_of(a, &w, &h);
        assert_true(w >= width / parts && h >= height / parts);
        ok(muse_trace_step(p.trace, t[i].step, &s));
        assert_int_equal(s.n_marks, 1);
        assert_near(s.marks[0].rect, t[i].truth, width / parts, height / parts, t[i].script);
        if (!t[i].gemma) assert_near(step_at(a, 0).rect, t[i].truth, width / parts, height / parts, t[i].script);   /* the agent's own record says the same */
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
    }
    for (int i = 0; i < 2; i++) {
        muse_image_close(&pictures[i]);
        muse_model_close(&models[i]);
    }
}

/* Any shape is taken, also where a side would be more patches than the model has places (12): looks are shown, marks lie in the picture. */
static void extremes(void **state)
{
    static const uint32_t sizes[][2] = { { 1, 1 }, { 3000, 1 }, { 1, 3000 }, { 20000, 3 }, { 3, 20000 }, { 640, 80 }, { 80, 320 } };
    (void)state;
    MuseModel *m = muse_model();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const double w = sizes[i][0], h = sizes[i][1];
        MuseImage *picture = make_picture(sizes[i][0], sizes[i][1]);
        MuseAgentParams p;
        MuseTraceStep s;
        muse_agent_params_init(&p);
        p.trace = open_trace();
        MuseAgent *a = open_agent(m, &picture, 1, &p);
        script(a, "<look> all<box><x0><y0><x63><y63> 7<look> a<box><x63><y63><x63><y63> 8</think><point><x63><y63><eos>");
        ok(run_one(a));
        assert_int_equal(info_of(a).looks, 2);
        assert_int_equal(info_of(a).refused, 0);
        ok(muse_trace_step(p.trace, 1, &s));
        assert_rect(s.marks[0].rect, 0, 0, w, h);
        ok(muse_trace_step(p.trace, 4, &s));
        assert_int_equal(s.kind, MUSE_STEP_CLAIM);
        assert_rect(s.marks[0].rect, w * 63 / 64, h * 63 / 64, w, h);
        ok(muse_trace_step(p.trace, 5, &s));
        assert_int_equal(s.kind, MUSE_STEP_ANSWER);
        assert_rect(s.marks[0].rect, w * 63.5 / 64, h * 63.5 / 64, w * 63.5 / 64, h * 63.5 / 64);
        muse_agent_close(&a);
        muse_trace_close(&p.trace);
        muse_image_close(&picture);
    }
    muse_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places), cmocka_unit_test(things), cmocka_unit_test(spelled), cmocka_unit_test(names), cmocka_unit_test(looks), cmocka_unit_test(groups_and_tracks), cmocka_unit_test(nothing_is_lost), cmocka_unit_test(as_json), cmocka_unit_test(of_a_run),
        cmocka_unit_test(stopped), cmocka_unit_test(heat), cmocka_unit_test(heat_of_pairs), cmocka_unit_test(call_with_many_pictures), cmocka_unit_test(calls), cmocka_unit_test(boxes_in_json),
        cmocka_unit_test(wide_and_tall), cmocka_unit_test(extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
