/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/trace: coordinates both ways, the record and its listener, refused values, JSON there and back, memory that fails. */
#include "tests/unit/trace_util.h"

/* ---- coordinates ---- */

/* A box goes to cells and comes back around what it was, wider by less than a cell a side; on rulers it is itself. */
static void round_trips(void **state)
{
    (void)state;
    uint32_t n = 1;
    for (int i = 0; i < 20000; i++) {
        const double w = floor(real(&n, 1, 5000)), h = floor(real(&n, 1, 5000)), ox = floor(real(&n, 0, 2) ) * 37, oy = floor(real(&n, 0, 2)) * 11;
        const MuseRect frame = { ox, oy, ox + w, oy + h };
        const double a = real(&n, ox, ox + w), b = real(&n, oy, oy + h);
        const MuseRect box = { a, b, real(&n, a, ox + w), real(&n, b, oy + h) };
        const MuseCoords kinds[] = { muse_coords_places(frame), muse_coords_thousand(frame, 1), muse_coords_thousand(frame, 0) };
        for (size_t k = 0; k < 3; k++) {
            double v[4], p[2];
            MuseRect back, point;
            ok(muse_coords_from_rect(&kinds[k], box, v, 4, &err));
            ok(muse_coords_to_rect(&kinds[k], v, 4, &back, &err));
            ok(muse_coords_from_rect(&kinds[k], box, p, 2, &err));
            ok(muse_coords_to_rect(&kinds[k], p, 2, &point, &err));
            const double cx = kinds[k].whole ? w / 64 : 0, cy = kinds[k].whole ? h / 64 : 0, e = 1e-9 * (w + h + ox + oy);
            assert_true(back.x0 <= box.x0 + e && back.x0 > box.x0 - cx - e && back.x1 >= box.x1 - e && back.x1 < box.x1 + cx + e);
            assert_true(back.y0 <= box.y0 + e && back.y0 > box.y0 - cy - e && back.y1 >= box.y1 - e && back.y1 < box.y1 + cy + e);
            assert_true(fabs(point.x0 - (box.x0 + box.x1) / 2) <= cx / 2 + e && fabs(point.y0 - (box.y0 + box.y1) / 2) <= cy / 2 + e);   /* half a cell */
            assert_true(point.x0 == point.x1 && point.y0 == point.y1);
        }
    }
}

/* Whole cells come back as themselves, in every picture: numbers -> pixels -> numbers. */
static void cells_are_stable(void **state)
{
    (void)state;
    uint32_t n = 5;
    for (int i = 0; i < 20000; i++) {
        const MuseCoords c = muse_coords_places((MuseRect){ 0, 0, floor(real(&n, 1, 9000)), floor(real(&n, 1, 9000)) });
        const double a = floor(real(&n, 0, 64)), b = floor(real(&n, 0, 64)), v[4] = { a, b, floor(real(&n, a, 64)), floor(real(&n, b, 64)) };
        double back[4];
        MuseRect r;
        ok(muse_coords_to_rect(&c, v, 4, &r, &err));
        ok(muse_coords_from_rect(&c, r, back, 4, &err));
        for (int k = 0; k < 4; k++) assert_true(back[k] == v[k]);
        ok(muse_coords_to_rect(&c, v, 2, &r, &err));
        ok(muse_coords_from_rect(&c, r, back, 2, &err));
        assert_true(back[0] == a && back[1] == b);
        assert_true(floor(64 * r.x0 / c.frame.x1) == a && floor(64 * r.y0 / c.frame.y1) == b);   /* the rule as the training data has it */
    }
}

/* A patch's cell is the rectangle that the image tokenizer gives it, clipped to the picture. */
static void patches_agree(void **state)
{
    (void)state;
    static const char *const families[] = { "muse", "gemma4_unified", "fuyu" };
    static const uint32_t sizes[][2] = { { 64, 64 }, { 2000, 300 }, { 300, 2000 }, { 641, 479 }, { 97, 31 } };
    for (size_t f = 0; f < COUNT_OF(families); f++)
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            MuseImagePlan plan;
            ok(muse_image_plan(&muse_family_find(families[f])->image, sizes[s][0], sizes[s][1], MUSE_BUDGET_DEFAULT, &plan, &err));
            const MuseCoords c = muse_coords_patches(&plan, (MuseRect){ 100, 50, 100.0 + sizes[s][0], 50.0 + sizes[s][1] });
            for (uint32_t y = 0; y < plan.grid_height; y += 3)
                for (uint32_t x = 0; x < plan.grid_width; x++) {
                    const double v[] = { x, y, x, y };
                    const MuseRect want = muse_image_plan_rect(&plan, x, y);
                    MuseRect got;
                    if (want.x0 >= plan.width || want.y0 >= plan.height) {
                        assert_int_equal(muse_coords_to_rect(&c, v, 4, &got, &err), MUSE_ERR_ARG);   /* padding only */
                        continue;
                    }
                    ok(muse_coords_to_rect(&c, v, 4, &got, &err));
                    assert_true(fabs(got.x0 - 100 - want.x0) < 1e-6 && fabs(got.y0 - 50 - want.y0) < 1e-6);
                    assert_true(fabs(got.x1 - 100 - fmin(want.x1, plan.width)) < 1e-6 && fabs(got.y1 - 50 - fmin(want.y1, plan.height)) < 1e-6);
                }
        }
}

static void known_places(void **state)
{
    (void)state;
    const MuseRect frame = { 0, 0, 2000, 300 };
    const MuseCoords yx = muse_coords_thousand(frame, 1), xy = muse_coords_thousand(frame, 0), places = muse_coords_places(frame);
    const double v[] = { 100, 200, 300, 1000 };
    MuseRect r;
    ok(muse_coords_to_rect(&yx, v, 4, &r, &err));
    assert_true(r.x0 == 400 && r.y0 == 30 && r.x1 == 2000 && r.y1 == 90);
    ok(muse_coords_to_rect(&xy, v, 4, &r, &err));
    assert_true(r.x0 == 200 && r.y0 == 60 && r.x1 == 600 && r.y1 == 300);
    const double p[] = { 0, 63, 31, 63 };
    ok(muse_coords_to_rect(&places, p, 4, &r, &err));
    assert_true(r.x0 == 0 && fabs(r.y0 - 63 * 300 / 64.0) < 1e-9 && r.x1 == 1000 && r.y1 == 300);
    ok(muse_coords_to_rect(&places, p, 2, &r, &err));
    assert_true(r.x0 == 2000 / 128.0 && r.x0 == r.x1 && fabs(r.y0 - 63.5 * 300 / 64) < 1e-9);
}

static void refused_numbers(void **state)
{
    (void)state;
    const MuseRect frame = { 0, 0, 640, 480 };
    const MuseCoords ruler = muse_coords_thousand(frame, 0), cells = muse_coords_places(frame), none = muse_coords_places((MuseRect){ 0, 0, 0, 5 });
    const struct { const MuseCoords *c; double v[4]; size_t n; } bad[] = {
        { &ruler, { -1, 0, 5, 5 }, 4 }, { &ruler, { 0, 0, 1000.5, 5 }, 4 }, { &ruler, { 9, 0, 5, 5 }, 4 }, { &ruler, { 5, 0, 5, 5 }, 4 }, { &ruler, { NAN, 0, 5, 5 }, 4 },
        { &ruler, { 0, 0, INFINITY, 5 }, 4 }, { &ruler, { 0, 0, 5, 5 }, 3 }, { &cells, { 0, 0, 64, 5 }, 4 }, { &cells, { 0, 0.5, 5, 5 }, 4 }, { &cells, { 6, 0, 5, 5 }, 4 },
        { &cells, { 64, 0 }, 2 }, { &none, { 0, 0, 5, 5 }, 4 }, { NULL, { 0, 0, 5, 5 }, 4 } };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        MuseRect r = { 1, 2, 3, 4 };
        assert_int_equal(muse_coords_to_rect(bad[i].c, bad[i].v, bad[i].n, &r, &err), MUSE_ERR_ARG);
        assert_true(r.x0 == 1 && r.y1 == 4);
    }
    double v[4];
    assert_int_equal(muse_coords_from_rect(&cells, (MuseRect){ -1, 0, 5, 5 }, v, 4, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_coords_from_rect(&cells, (MuseRect){ 0, 0, 5, 481 }, v, 4, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_coords_from_rect(&cells, (MuseRect){ 5, 0, 5, 48 }, v, 4, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_coords_from_rect(&cells, (MuseRect){ NAN, 0, 5, 48 }, v, 2, &err), MUSE_ERR_ARG);
}

/* ---- the record ---- */

typedef struct Heard { char line[512]; } Heard;

static void hear(void *user, const MuseTrace *t, int event, uint32_t number, const char *text, size_t n)
{
    Heard *h = user;
    assert_true(number <= muse_trace_step_count(t));
    snprintf(h->line + strlen(h->line), sizeof h->line - strlen(h->line), "%c%u%.*s;", "BTDE"[event], number, (int)n, text);
}

static void streams(void **state)
{
    (void)state;
    Heard heard = { "" };
    MuseTraceParams p;
    muse_trace_params_init(&p);
    p.fn = hear;
    p.user = &heard;
    MuseTrace *t;
    ok(muse_trace_open(&t, NULL, &p, &err));
    MuseImage *a = picture(NULL, 300, 200, 1);
    uint32_t image, thought, look;
    ok(muse_trace_add_image(t, a, "a", &image, &err));
    MuseTraceStep s;
    muse_trace_step_init(&s);
    s.text = "first";
    s.n_text = 5;
    ok(muse_trace_begin(t, &s, &thought, &err));
    ok(muse_trace_text(t, thought, " more", 5, &err));
    const MuseTraceMark m = { image, 0, { 0, 0, 300, 200 } };
    s.kind = MUSE_STEP_LOOK;
    s.parent = thought;
    s.n_text = 0;
    s.marks = &m;
    s.n_marks = 1;
    ok(muse_trace_add(t, &s, &look, &err));
    ok(muse_trace_mark(t, thought, &m, &err));
    ok(muse_trace_end(t, thought, 12, 3.5, 0.5, &err));
    MuseTraceSummary sum;
    muse_trace_summary_init(&sum);
    ok(muse_trace_set_summary(t, &sum, &err));
    assert_string_equal(heard.line, "B1first;T1 more;B2;D2;D1;E0;");
    ok(muse_trace_step(t, 1, &s));
    assert_true(s.done && s.n_tokens == 12 && s.end == 3.5 && s.confidence == 0.5 && s.n_text == 10 && memcmp(s.text, "first more", 10) == 0 && s.n_marks == 1);
    assert_int_equal(muse_trace_text(t, 1, "x", 1, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_trace_mark(t, 1, &m, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_trace_end(t, 1, 1, 9, 1, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_trace_text(t, 3, "x", 1, &err), MUSE_ERR_ARG);
    muse_trace_close(&t);
    muse_image_close(&a);
}

static void refused_steps(void **state)
{
    (void)state;
    MuseTrace *t;
    MuseImage *a = picture(NULL, 300, 200, 1), *b = picture(NULL, 301, 200, 1);
    ok(muse_trace_open(&t, NULL, NULL, &err));
    ok(muse_trace_add_image(t, a, NULL, NULL, &err));
    static const MuseRect rects[] = { { -1, 0, 5, 5 }, { 0, 0, 301, 5 }, { 0, 0, 5, 200.1 }, { 9, 0, 5, 5 }, { NAN, 0, 5, 5 }, { 0, 0, INFINITY, 5 } };
    MuseTraceStep s;
    muse_trace_step_init(&s);
    MuseTraceMark m = { 1, 0, { 0, 0, 1, 1 } };
    s.marks = &m;
    s.n_marks = 1;
    for (size_t i = 0; i < COUNT_OF(rects); i++) {
        m.rect = rects[i];
        assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    }
    m = (MuseTraceMark){ 2, 0, { 0, 0, 1, 1 } };
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    s.n_marks = 0;
    s.kind = MUSE_STEP_KINDS;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    s.kind = 0;
    s.parent = 1;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    s.parent = 0;
    s.confidence = NAN;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    s.confidence = 1.01;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    s.confidence = -1;
    s.start = 2;
    s.end = 1;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    s.end = 3;
    float values[2] = { 0, NAN };
    MuseTraceHeat h = { 1, 2, 1, { 0, 0, 300, 200 }, values };
    s.heats = &h;
    s.n_heats = 1;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    values[1] = -1;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    values[1] = 1;
    h.width = 5000;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_trace_step_count(t), 0);
    assert_int_equal(muse_trace_set_image(t, 1, b, &err), MUSE_ERR_ARG);
    ok(muse_trace_set_image(t, 1, a, &err));
    muse_trace_close(&t);
    muse_image_close(&a);
    muse_image_close(&b);
}

/* A region's trace speaks of the original. */
static void region_frame(void **state)
{
    (void)state;
    MuseTrace *t;
    MuseImage *a = picture(NULL, 300, 200, 1), *cut = NULL;
    ok(muse_image_region(&cut, a, (MuseRect){ 100, 50, 200, 150 }, &err));
    ok(muse_trace_open(&t, NULL, NULL, &err));
    ok(muse_trace_add_image(t, cut, "cut", NULL, &err));
    MuseTraceMark m = { 1, 0, { 100, 50, 200, 150 } };
    MuseTraceStep s;
    muse_trace_step_init(&s);
    s.marks = &m;
    s.n_marks = 1;
    ok(muse_trace_add(t, &s, NULL, &err));
    m.rect.x0 = 99;
    assert_int_equal(muse_trace_add(t, &s, NULL, &err), MUSE_ERR_ARG);
    muse_trace_close(&t);
    muse_image_close(&a);
    muse_image_close(&cut);
}

/* ---- JSON ---- */

static void same_json(const MuseTrace *a, const MuseTrace *b)
{
    char *x, *y;
    ok(muse_trace_json(a, &x, NULL, &err));
    ok(muse_trace_json(b, &y, NULL, &err));
    assert_string_equal(x, y);
    muse_free(x);
    muse_free(y);
}

static void json_round_trip(void **state)
{
    (void)state;
    MuseImage *a = picture(NULL, 300, 200, 1), *b = picture(NULL, 120, 160, 3);
    MuseTraceParams p;
    muse_trace_params_init(&p);
    p.question = "What is \"it\"?";
    p.model = "nano";
    p.mode = "thinking";
    MuseTrace *t, *back, *copy;
    ok(build_trace(&t, NULL, a, b, &p));
    char *text;
    size_t size;
    ok(muse_trace_json(t, &text, &size, &err));
    assert_int_equal(strlen(text), size);
    ok(muse_trace_from_json(&back, NULL, text, size, NULL, &err));
    ok(muse_trace_copy(&copy, t, &err));
    same_json(t, back);
    same_json(t, copy);
    for (uint32_t i = 1; i <= muse_trace_step_count(t); i++) {
        MuseTraceStep x, y;
        ok(muse_trace_step(t, i, &x));
        ok(muse_trace_step(back, i, &y));
        assert_true(x.kind == y.kind && x.agent == y.agent && x.parent == y.parent && x.confidence == y.confidence && x.start == y.start && x.end == y.end
                    && x.n_marks == y.n_marks && x.n_heats == y.n_heats && x.first_token == y.first_token && x.n_tokens == y.n_tokens && x.done == y.done);
        for (uint32_t k = 0; k < x.n_marks; k++) assert_memory_equal(&x.marks[k], &y.marks[k], sizeof x.marks[k]);
        for (size_t k = 0; k < x.n_heats; k++) assert_memory_equal(x.heats[k].values, y.heats[k].values, 12 * sizeof(float));
    }
    assert_non_null(strstr(text, "\"answer\":\"7 & <more>\",\"confidence\":0.875,"));
    assert_non_null(strstr(text, "\"kind\":\"look\",\"text\":\"a red square \xc3\xa9\",\"image\":1,\"box\":[10,20,110.5,90]"));
    assert_non_null(strstr(text, "\"tokens\":{\"prompt\":300,\"thought\":41,\"look\":64,\"answer\":2},\"seconds\":1.7}"));
    muse_free(text);
    muse_trace_close(&t);
    muse_trace_close(&back);
    muse_trace_close(&copy);
    muse_image_close(&a);
    muse_image_close(&b);
}

static void names(void **state)
{
    (void)state;
    Meter meter = { 0 };
    MuseRuntime *rt = open_runtime(1, &meter);
    const size_t live = meter.live;
    MuseTrace *t;
    ok(muse_trace_open(&t, rt, NULL, &err));
    assert_string_equal(muse_trace_model(t), "");
    ok(muse_trace_set_names(t, "What?", "nano", NULL, &err));
    ok(muse_trace_set_names(t, NULL, NULL, "auto", &err));
    ok(muse_trace_set_names(t, NULL, "", NULL, &err));
    for (long n = 1; n <= 3; n++) {   /* all or none */
        meter.calls = 0;
        meter.fail_at = n;
        assert_int_equal(muse_trace_set_names(t, "a", "b", "c", &err), MUSE_ERR_NOMEM);
    }
    assert_string_equal(muse_trace_question(t), "What?");
    assert_string_equal(muse_trace_model(t), "");
    assert_string_equal(muse_trace_mode(t), "auto");
    assert_int_equal(muse_trace_set_names(NULL, "a", NULL, NULL, &err), MUSE_ERR_ARG);
    assert_null(muse_trace_mode(NULL));
    assert_null(muse_trace_model(NULL));
    muse_trace_close(&t);
    assert_int_equal(meter.live, live);
    muse_runtime_close(&rt);
}

static void refused_json(void **state)
{
    (void)state;
#define HEAD "{\"version\":1,\"images\":[{\"rect\":[0,0,10,10]}],\"trace\":["
    static const struct { const char *text; int code; } bad[] = {
        { "", MUSE_ERR_FORMAT }, { "[]", MUSE_ERR_FORMAT }, { "{}", MUSE_ERR_FORMAT }, { "{\"version\":2,\"trace\":[]}", MUSE_ERR_UNSUPPORTED },
        { "{\"version\":1}", MUSE_ERR_FORMAT }, { "{\"version\":1,\"trace\":[1]}", MUSE_ERR_FORMAT }, { "{\"version\":1,\"trace\":[{\"kind\":\"x\"}]}", MUSE_ERR_FORMAT },
        { "{\"version\":1,\"images\":[{}],\"trace\":[]}", MUSE_ERR_FORMAT }, { "{\"version\":1,\"images\":[{\"rect\":[0,0,0,1]}],\"trace\":[]}", MUSE_ERR_FORMAT },
        { "{\"version\":1,\"images\":[{\"rect\":[0,0,5,1],\"image\":2}],\"trace\":[]}", MUSE_ERR_FORMAT }, { "{\"version\":1,\"images\":[{\"rect\":[0,0,5,1],\"name\":\"a\\u0000b\"}],\"trace\":[]}", MUSE_ERR_FORMAT },
        { "{\"version\":1,\"trace\":[],\"seconds\":-1}", MUSE_ERR_FORMAT }, { "{\"version\":1,\"trace\":[],\"confidence\":2}", MUSE_ERR_FORMAT }, { "{\"version\":1,\"trace\":[],\"tokens\":{\"prompt\":-1}}", MUSE_ERR_FORMAT },
        { "{\"version\":1,\"question\":\"a\\u0000\",\"trace\":[]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"image\":1,\"box\":[0,0,11,5]}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"image\":2,\"box\":[0,0,1,5]}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"image\":1,\"box\":[0,0,5]}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"image\":1,\"box\":[0,0,5,\"5\"]}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"image\":1,\"box\":[0,0,5,null]}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"image\":1,\"box\":[0,0,5,5],\"point\":[1,1]}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"marks\":[{}]}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"text\":5}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"parent\":1}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"seconds\":[1]}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"tokens\":[1,-1]}]}", MUSE_ERR_FORMAT }, { HEAD "{\"kind\":\"box\",\"confidence\":-1}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"heat\":[{\"image\":1,\"grid\":[2,1],\"rect\":[0,0,1,1],\"values\":[1]}]}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"heat\":[{\"image\":1,\"grid\":[1e9,1],\"rect\":[0,0,1,1],\"values\":[1]}]}]}", MUSE_ERR_FORMAT },
        { HEAD "{\"kind\":\"box\",\"heat\":[{\"image\":1,\"grid\":[1,1],\"rect\":[0,0,1,1],\"values\":[1e39]}]}]}", MUSE_ERR_FORMAT } };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        MuseTrace *t = (MuseTrace *)1;
        const int rc = muse_trace_from_json(&t, NULL, bad[i].text, strlen(bad[i].text), NULL, &err);
        if (rc != bad[i].code) fail_msg("%s: %d, %s", bad[i].text, rc, err.text);
        assert_null(t);
    }
    MuseTrace *t;
    static const char newer[] = HEAD "{\"kind\":\"box\",\"image\":1,\"box\":[0,0,5,5],\"new key\":{}}],\"more\":1}";
    ok(muse_trace_from_json(&t, NULL, newer, sizeof newer - 1, NULL, &err));
    assert_int_equal(muse_trace_step_count(t), 1);
    muse_trace_close(&t);
}

/* ---- memory ---- */

static int everything(MuseRuntime *rt, MuseImage *a, MuseImage *b)
{
    MuseTrace *t = NULL, *copy = NULL, *back = NULL;
    char *text = NULL;
    size_t size = 0;
    int rc = build_trace(&t, rt, a, b, NULL);
    if (rc == 0) rc = muse_trace_copy(&copy, t, &err);
    if (rc == 0) rc = muse_trace_json(copy, &text, &size, &err);
    if (rc == 0) rc = muse_trace_from_json(&back, rt, text, size, NULL, &err);
    muse_free(text);
    muse_trace_close(&t);
    muse_trace_close(&copy);
    muse_trace_close(&back);
    return rc;
}

static void failing_allocator(void **state)
{
    (void)state;
    Meter meter = { 0 };
    MuseRuntime *rt = open_runtime(1, &meter);
    MuseImage *a = picture(NULL, 300, 200, 1), *b = picture(NULL, 120, 160, 3);
    const size_t live = meter.live;
    long n = 1;
    for (;; n++) {
        meter.calls = 0;
        meter.fail_at = n;
        const int rc = everything(rt, a, b);
        assert_int_equal(meter.live, live);
        if (rc == 0) break;
        assert_int_equal(rc, MUSE_ERR_NOMEM);
    }
    assert_true(n > 60);
    muse_runtime_close(&rt);
    muse_image_close(&a);
    muse_image_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips), cmocka_unit_test(cells_are_stable), cmocka_unit_test(patches_agree), cmocka_unit_test(known_places), cmocka_unit_test(refused_numbers),
        cmocka_unit_test(streams), cmocka_unit_test(refused_steps), cmocka_unit_test(region_frame), cmocka_unit_test(json_round_trip), cmocka_unit_test(refused_json), cmocka_unit_test(names),
        cmocka_unit_test(failing_allocator) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
