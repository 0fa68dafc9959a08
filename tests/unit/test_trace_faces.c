/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/trace, what people see: the drawing (same bytes each time, marks where they belong, labels apart), heat maps, the page's escapes and
 * structure, memory that fails. */
#include "base/hash.h"
#include "tests/unit/trace_util.h"

typedef struct Drawn { uint8_t *rgb; uint32_t w, h; } Drawn;

static Drawn draw(const MuseTrace *t, uint32_t max_width, uint32_t only, int no_list, int heat)
{
    MuseTraceDrawParams p;
    muse_trace_draw_params_init(&p);
    p.max_width = max_width;
    p.step = only;
    p.no_list = no_list;
    p.heat = heat;
    Drawn d;
    ok(muse_trace_draw(t, &p, &d.rgb, &d.w, &d.h, &err));
    return d;
}

static uint32_t pixel(const Drawn *d, uint32_t x, uint32_t y)
{
    const uint8_t *at = d->rgb + ((size_t)y * d->w + x) * 3;
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static void one_picture(MuseTrace **t, uint32_t w, uint32_t h)
{
    MuseImage *a = picture(NULL, w, h, 1);
    ok(muse_trace_open(t, NULL, NULL, &err));
    ok(muse_trace_add_image(*t, a, "a", NULL, &err));
    muse_image_close(&a);
}

static void add_box(MuseTrace *t, MuseRect r, const char *text)
{
    const MuseTraceMark m = { 1, 0, r };
    MuseTraceStep s;
    muse_trace_step_init(&s);
    s.kind = MUSE_STEP_BOX;
    s.text = text;
    s.n_text = strlen(text);
    s.marks = &m;
    s.n_marks = 1;
    ok(muse_trace_add(t, &s, NULL, &err));
}

/* the drawing of a picture with points at one place; kinds end with 0 */
static Drawn draw_points(const uint32_t *kinds, const char *const *texts)
{
    MuseTrace *t;
    MuseTraceStep s;
    const MuseTraceMark m = { 1, 0, { 100, 100, 100, 100 } };
    one_picture(&t, 320, 240);
    for (size_t i = 0; kinds[i]; i++) {
        muse_trace_step_init(&s);
        s.kind = kinds[i];
        s.text = texts[i];
        s.n_text = strlen(texts[i]);
        s.marks = &m;
        s.n_marks = 1;
        ok(muse_trace_add(t, &s, NULL, &err));
    }
    const Drawn d = draw(t, 0, 0, 1, 0);
    muse_trace_close(&t);
    return d;
}

/* Labels: numbers of all steps of a place, then a name, wherever in them it came, else the kind; numbers are no name of a point */
static void labels(void **state)
{
    enum { P = MUSE_STEP_POINT, C = MUSE_STEP_CLAIM };
    static const struct { uint32_t a[3], b[3]; const char *text_a[2], *text_b[2]; int same; } t[] = {
        { { P }, { P }, { "y 47/64, x 29/64" }, { "" }, 1 }, { { P }, { P }, { "1" }, { "12,12" }, 1 }, { { P }, { P }, { "here" }, { "" }, 0 }, { { C }, { C }, { "1" }, { "2" }, 0 },
        { { P, C }, { C, P }, { "", "8 x" }, { "8 x", "3" }, 1 }, { { C, P }, { C, P }, { "8 x", "" }, { "x", "" }, 0 }, { { C, C }, { C, P }, { "red", "blue" }, { "red", "" }, 1 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        Drawn a = draw_points(t[i].a, t[i].text_a), b = draw_points(t[i].b, t[i].text_b);
        assert_true(a.w == b.w && a.h == b.h);
        if ((memcmp(a.rgb, b.rgb, (size_t)a.w * a.h * 3) == 0) != t[i].same) fail_msg("case %zu", i);
        muse_free(a.rgb);
        muse_free(b.rgb);
    }
}

static void deterministic(void **state)
{
    (void)state;
    MuseImage *a = picture(NULL, 300, 200, 1), *b = picture(NULL, 120, 160, 3);
    MuseTrace *t;
    ok(build_trace(&t, NULL, a, b, NULL));
    static const uint32_t widths[] = { 0, 160, 400, 1000 };
    for (size_t i = 0; i < COUNT_OF(widths); i++) {
        Drawn x = draw(t, widths[i], 0, 0, 1), y = draw(t, widths[i], 0, 0, 1);
        assert_true(x.w == y.w && x.h == y.h && x.w <= (widths[i] ? widths[i] : 2400));
        assert_memory_equal(x.rgb, y.rgb, (size_t)x.w * x.h * 3);
        Drawn cold = draw(t, widths[i], 0, 0, 0);
        assert_true(cold.w == x.w && cold.h < x.h && memcmp(cold.rgb, x.rgb, (size_t)cold.w * cold.h * 3) != 0);   /* the colours have a legend */
        muse_free(x.rgb);
        muse_free(y.rgb);
        muse_free(cold.rgb);
    }
    MuseTraceDrawParams p;
    muse_trace_draw_params_init(&p);
    uint8_t *rgb;
    uint32_t w, h;
    p.step = 99;
    assert_int_equal(muse_trace_draw(t, &p, &rgb, &w, &h, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "there is no step"));
    p.step = 0;
    p.max_width = 10;
    assert_int_equal(muse_trace_draw(t, &p, &rgb, &w, &h, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "max_width is 10, not 160 to 32768"));
    muse_trace_close(&t);
    ok(muse_trace_open(&t, NULL, NULL, &err));
    assert_int_equal(muse_trace_draw(t, NULL, &rgb, &w, &h, &err), MUSE_ERR_ARG);   /* no pictures */
    assert_non_null(strstr(err.text, "no pictures"));
    muse_trace_close(&t);
    muse_image_close(&a);
    muse_image_close(&b);
}

/* What a box changes lies at its edge or in its label; its inside and the far side of the picture stay as they were. */
static void boxes_lie_where_they_should(void **state)
{
    (void)state;
    MuseTrace *t;
    one_picture(&t, 640, 480);
    Drawn before = draw(t, 0, 0, 1, 0);
    add_box(t, (MuseRect){ 160, 240, 320, 360 }, "x");
    Drawn after = draw(t, 0, 0, 1, 0);
    assert_true(before.w == after.w && before.h == after.h);
    const double scale = 1280.0 / 640, left = 28;
    const double top = after.h - 28 * 0.7 - 480 * scale;   /* the page ends a margin's share below the picture */
    const double x0 = left + 160 * scale, y0 = top + 240 * scale, x1 = left + 320 * scale, y1 = top + 360 * scale;
    size_t edge = 0, length = 0;
    for (uint32_t y = 0; y < after.h; y++)
        for (uint32_t x = 0; x < after.w; x++) {
            const int changed = pixel(&before, x, y) != pixel(&after, x, y);
            const int far = x < x0 - 12 || x > x1 + 12 || y < y0 - 60 || y > y1 + 60;
            const int inside = x > x0 + 12 && x < x1 - 12 && y > y0 + 12 && y < y1 - 12;
            if (changed && (far || inside)) fail_msg("pixel %u, %u", x, y);
            if (fabs(y + 0.5 - y1) < 1 && x > x0 + 12 && x < x1 - 12) length++, edge += (size_t)changed;
        }
    assert_true(length > 500 && edge == length);   /* the lower edge is drawn all along */
    muse_free(before.rgb);
    muse_free(after.rgb);
    muse_trace_close(&t);
}

/* Many boxes on one spot: each label has its own ground, so each colour of the palette covers about a label. */
static void labels_do_not_cover_each_other(void **state)
{
    (void)state;
    static const uint32_t palette[] = { 0xffb000, 0x3da5ff, 0xff4f5e, 0x2fd27a, 0xd77bff, 0xffe45c, 0x3fe0e0, 0xff8ac2 };
    MuseTrace *t;
    one_picture(&t, 640, 480);
    for (int i = 0; i < 8; i++) add_box(t, (MuseRect){ 300 + 4 * i, 220 + 4 * i, 340 + 4 * i, 250 + 4 * i }, "same");
    Drawn d = draw(t, 0, 0, 1, 0);
    const double height = 1280 / 52.0;   /* of a label's text */
    const size_t least = (size_t)(6 * height * 6 / 13 * height * 0.8);   /* "8 same" and its ground, less the letters */
    for (size_t k = 0; k < 8; k++) {
        size_t n = 0;
        for (uint32_t y = 0; y < d.h; y++)
            for (uint32_t x = 0; x < d.w; x++) n += pixel(&d, x, y) == palette[k];
        if (n < least) fail_msg("label %zu: %zu pixels of %zu", k + 1, n, least);
    }
    muse_free(d.rgb);
    muse_trace_close(&t);
}

/* ---- heat ---- */

static void heat_is_bilinear(void **state)
{
    (void)state;
    static const float values[] = { 0, 1 };
    const MuseTraceHeat h = { 1, 2, 1, { 0, 0, 200, 100 }, values };
    uint8_t *rgb = calloc(200 * 100, 3);
    ok(muse_heat_overlay(&h, h.rect, rgb, 200, 100, 1, &err));
    for (uint32_t x = 0; x < 50; x++) assert_true(rgb[3 * x] == 0);   /* left of the first cell's middle: its value */
    for (uint32_t x = 151; x < 200; x++) assert_true(rgb[3 * x] == 255 && rgb[3 * x + 1] == 245 && rgb[3 * x + 2] == 170);
    const double half[3] = { 230, 60, 50 }, share = sqrt(0.5);   /* the middle of the colours, at the root of a half */
    for (int k = 0; k < 3; k++) assert_true(fabs(rgb[3 * 100 + k] - half[k] * share) < 4);
    assert_int_equal(muse_heat_overlay(&h, h.rect, rgb, 200, 100, 1.5, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_heat_overlay(&h, (MuseRect){ 0, 0, 0, 1 }, rgb, 200, 100, 1, &err), MUSE_ERR_ARG);
    free(rgb);
}

/* Maps of several steps: the largest value at each place, once. The same map again changes nothing, zeros and lower values neither.
 * All have one scale, so half the attention has another colour. */
static void heats_do_not_pile_up(void **state)
{
    (void)state;
    static const float left[] = { 1, 0 }, right[] = { 0, 1 }, low[] = { 0.5f, 0 }, none[] = { 0, 0 };
    const float *const maps[][3] = { { left, right, NULL }, { left, right, left }, { right, left, none }, { low, right, left }, { low, right, NULL } };
    enum { SAME = 4, ALL = 5 };
    Drawn d[ALL];
    for (int i = 0; i < ALL; i++) {
        MuseTrace *t;
        one_picture(&t, 120, 80);
        for (int k = 0; k < 3 && maps[i][k]; k++) {
            const MuseTraceHeat h = { 1, 2, 1, { 0, 0, 120, 80 }, maps[i][k] };
            MuseTraceStep s;
            muse_trace_step_init(&s);
            s.heats = &h, s.n_heats = 1;
            ok(muse_trace_add(t, &s, NULL, &err));
        }
        d[i] = draw(t, 200, 0, 1, 1);
        muse_trace_close(&t);
        assert_true(d[i].w == d[0].w && d[i].h == d[0].h);
        const bool same = memcmp(d[i].rgb, d[0].rgb, (size_t)d[0].w * d[0].h * 3) == 0;
        if (same != (i < SAME)) fail_msg("drawing %d %s", i, same ? "is the same" : "differs");
    }
    for (int i = 0; i < ALL; i++) muse_free(d[i].rgb);
}

/* ---- the page ---- */

static size_t count(const char *page, const char *what)
{
    size_t n = 0;
    for (const char *at = page; (at = strstr(at, what)); at++) n++;
    return n;
}

/* Tags are balanced and attributes quoted, whatever the texts held. */
static void check_structure(const char *page)
{
    static const char *const pairs[] = { "html", "head", "body", "title", "style", "script", "main", "ol", "li", "figure", "header", "h1", "nav", "section" };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        char open[32], close[32], with[32];
        snprintf(open, sizeof open, "<%s>", pairs[i]);
        snprintf(with, sizeof with, "<%s ", pairs[i]);
        snprintf(close, sizeof close, "</%s>", pairs[i]);
        if (count(page, open) + count(page, with) != count(page, close)) fail_msg("<%s>", pairs[i]);
    }
    assert_int_equal(count(page, "<svg "), count(page, "</svg>"));
    assert_int_equal(count(page, "<script>"), 1);
    assert_null(strstr(page, "http:"));
    assert_null(strstr(page, "https:"));
    assert_null(strstr(page, "src="));
    assert_non_null(strstr(page, "default-src 'none'"));
    assert_int_equal(count(page, "role=\"img\" aria-label=\""), count(page, "<svg "));
}

static void page_escapes(void **state)
{
    (void)state;
    MuseImage *a = picture(NULL, 300, 200, 1), *b = picture(NULL, 120, 160, 3);
    MuseTraceParams p;
    muse_trace_params_init(&p);
    p.question = "</title><script>alert(1)</script>\"><b onclick='x'>";
    p.model = "<i>m";
    MuseTrace *t;
    ok(build_trace(&t, NULL, a, b, &p));
    char *page;
    size_t size;
    ok(muse_trace_html(t, NULL, &page, &size, &err));
    assert_int_equal(strlen(page), size);
    /* `src=` and tags of the texts are there only escaped; the text "src=" itself is allowed behind &lt; */
    char *texts = strstr(page, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; &quot;quoted&quot; &amp; &#39;so&#39; \xef\xbf\xbd\xef\xbf\xbd tab\there");
    assert_non_null(texts);
    memcpy(strstr(texts, "src="), "    ", 4);
    assert_null(strstr(page, "<img"));
    assert_null(strstr(page, "<b onclick"));
    assert_null(strstr(page, "<i>m"));
    assert_non_null(strstr(page, "right &lt;b&gt;.png"));
    check_structure(page);
    assert_int_equal(count(page, "<li "), MUSE_STEP_KINDS);
    assert_int_equal(count(page, "class=\"pic\""), 2);
    assert_int_equal(count(page, "class=\"heat\""), 1);
    assert_int_equal(count(page, "class=\"scale\""), 1);     /* what its colours mean */
    assert_int_equal(count(page, "class=\"crop\""), 3);      /* a look, and both sides of a comparison */
    assert_int_equal(count(page, "data-t=\""), 3);           /* all, agents 1 and 2 */
    assert_true(count(page, "<nav hidden ") == 1 && count(page, "class=\"tabs\" hidden ") == 1);   /* until the script shows them: without it they do nothing */
    assert_int_equal(count(page, "href=\"data:image/png;base64,iVBORw0KGgo"), 3);   /* two pictures and a heat map, whole PNG files */
    muse_free(page);
    MuseTraceHtmlParams small;
    muse_trace_html_params_init(&small);
    small.max_side = 100;
    ok(muse_trace_html(t, &small, &page, &size, &err));
    assert_int_equal(count(page, "stored here at"), 2);   /* reduced, and said so; what was looked at has its own pixels */
    assert_int_equal(count(page, "href=\"data:image/png;base64,iVBORw0KGgo"), 6);
    muse_free(page);
    muse_trace_close(&t);
    muse_image_close(&a);
    muse_image_close(&b);
}

static void page_without_anything(void **state)
{
    (void)state;
    MuseTrace *t;
    char *page;
    size_t size;
    ok(muse_trace_open(&t, NULL, NULL, &err));
    ok(muse_trace_html(t, NULL, &page, &size, &err));
    check_structure(page);
    assert_null(strstr(page, "class=\"pics\""));   /* no empty column where pictures would be */
    muse_free(page);
    muse_trace_close(&t);
}

/* each agent that has steps has a button, however many there are and whatever their numbers */
static void page_of_many_agents(void **state)
{
    (void)state;
    MuseTrace *t;
    char *page, button[32];
    ok(muse_trace_open(&t, NULL, NULL, &err));
    for (uint32_t a = 100; a > 0; a--) {
        MuseTraceStep s;
        muse_trace_step_init(&s);
        s.agent = a == 100 ? 4000000000u : a;
        ok(muse_trace_add(t, &s, NULL, &err));
        ok(muse_trace_add(t, &s, NULL, &err));
    }
    ok(muse_trace_html(t, NULL, &page, NULL, &err));
    check_structure(page);
    assert_int_equal(count(page, "data-t=\""), 101);
    for (uint32_t a = 1; a <= 100; a++) {
        snprintf(button, sizeof button, "data-t=\"%u\">", a == 100 ? 4000000000u : a);
        assert_int_equal(count(page, button), 1);
    }
    muse_free(page);
    muse_trace_close(&t);
}

/* ---- memory ---- */

static void failing_allocator(void **state)
{
    (void)state;
    Meter meter = { 0 };
    MuseRuntime *rt = open_runtime(1, &meter);
    MuseImage *a = picture(rt, 300, 200, 1), *b = picture(rt, 120, 160, 3);
    MuseTrace *t;
    ok(build_trace(&t, rt, a, b, NULL));
    MuseTraceDrawParams p;
    muse_trace_draw_params_init(&p);
    p.max_width = 200;
    p.heat = 1;
    for (int face = 0; face < 2; face++)
        for (long n = 1;; n++) {
            const size_t live = meter.live;
            uint8_t *rgb = NULL;
            uint32_t w, h;
            char *page = NULL;
            meter.calls = 0;
            meter.fail_at = n;
            const int rc = face ? muse_trace_html(t, NULL, &page, NULL, &err) : muse_trace_draw(t, &p, &rgb, &w, &h, &err);
            muse_free(rgb);
            muse_free(page);
            assert_int_equal(meter.live, live);
            if (rc == 0) break;
            assert_int_equal(rc, MUSE_ERR_NOMEM);
            assert_true(n < 1000);
        }
    meter.fail_at = 0;
    muse_trace_close(&t);
    muse_image_close(&a);
    muse_image_close(&b);
    muse_runtime_close(&rt);
    assert_int_equal(meter.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels), cmocka_unit_test(deterministic), cmocka_unit_test(boxes_lie_where_they_should), cmocka_unit_test(labels_do_not_cover_each_other), cmocka_unit_test(heat_is_bilinear),
        cmocka_unit_test(heats_do_not_pile_up),
        cmocka_unit_test(page_escapes), cmocka_unit_test(page_without_anything), cmocka_unit_test(page_of_many_agents), cmocka_unit_test(failing_allocator) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
