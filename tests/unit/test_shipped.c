/* SPDX-License-Identifier: Apache-2.0 */
/* What users of picture models ask first, of the shipped model, greedily: solid colours, things at known places, two pictures the
 * other way round, small print. Pictures are drawn here; the small print is a sample of tools/worlds. And the
 * warning of a picture that was scaled down, on the rule of another family. */
#include "worlds_util.h"

#include <math.h>

static MuseModel *model;
static MuseError err;

typedef struct Thing { const char *name; uint8_t rgb[3]; double x, y, rx, ry; } Thing;   /* a filled rectangle: centre, half sides; pixels */

static MuseImage *draw(uint32_t width, uint32_t height, const uint8_t ground[3], const Thing *things, size_t n)
{
    uint8_t *rgb = malloc((size_t)width * height * 3);
    MuseImage *image;
    assert_non_null(rgb);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            const uint8_t *color = ground;
            for (size_t i = 0; i < n; i++)
                if (fabs(x + 0.5 - things[i].x) <= things[i].rx && fabs(y + 0.5 - things[i].y) <= things[i].ry) color = things[i].rgb;
            memcpy(rgb + ((size_t)y * width + x) * 3, color, 3);
        }
    if (muse_image_open_pixels(&image, NULL, rgb, width, height, 0, MUSE_PIXELS_RGB, NULL, &err) < 0) fail_msg("%s", err.text);
    free(rgb);
    return image;
}

/* The agent has answered; the caller closes it */
static MuseAgent *ask(MuseImage *const *images, size_t n, const char *question)
{
    MuseReasonPart parts[3] = { 0 };
    MuseAgent *a;
    for (size_t i = 0; i < n; i++) parts[i] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = images[i] };
    parts[n] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = question };
    if (muse_agent_open(&a, model, parts, n + 1, NULL, &err) < 0 || muse_agent_run(&a, 1, &err) < 0) fail_msg("%s: %s", question, err.text);
    return a;
}

static void assert_answer(MuseImage *const *images, size_t n, const char *question, const char *want)
{
    MuseAgentInfo info;
    MuseAgent *a = ask(images, n, question);
    muse_agent_info(a, &info);
    if (info.n_answer != strlen(want) || memcmp(info.answer, want, info.n_answer) != 0) fail_msg("%s %.*s, wanted %s", question, (int)info.n_answer, info.answer, want);
    muse_agent_close(&a);
}

/* the last place that was named is the thing's centre, to a share of the sides; in pixels of the picture that was given */
static void assert_at(MuseImage *image, const Thing *t, const char *question, double share)
{
    MuseReasonStep s = { 0 };
    MuseImageInfo info;
    char text[128];
    snprintf(text, sizeof text, question, t->name);
    MuseAgent *a = ask(&image, 1, text);
    muse_image_info(image, &info);
    size_t n = 0;
    while (muse_agent_step(a, n, &s) == 0) n++;
    const double x = (s.rect.x0 + s.rect.x1) / 2, y = (s.rect.y0 + s.rect.y1) / 2;
    if (n == 0 || s.kind != MUSE_REASON_POINT || fabs(x - t->x) > share * info.width || fabs(y - t->y) > share * info.height)
        fail_msg("%s at %g, %g after %zu steps, it is at %g, %g of %u x %u", text, x, y, n, t->x, t->y, info.width, info.height);
    muse_agent_close(&a);
}

static const uint8_t light[3] = { 235, 235, 232 };

static void solid_colours(void **state)
{
    (void)state;
    static const Thing colours[] = { { "red", { 220, 40, 40 }, 0, 0, 0, 0 }, { "green", { 40, 160, 60 }, 0, 0, 0, 0 }, { "blue", { 40, 80, 220 }, 0, 0, 0, 0 }, { "yellow", { 240, 220, 40 }, 0, 0, 0, 0 }, { "purple", { 130, 50, 170 }, 0, 0, 0, 0 },
                                   { "black", { 18, 18, 18 }, 0, 0, 0, 0 }, { "gray", { 128, 128, 128 }, 0, 0, 0, 0 }, { "white", { 245, 245, 245 }, 0, 0, 0, 0 } };
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        MuseImage *image = draw(64, 64, colours[i].rgb, NULL, 0);
        assert_answer(&image, 1, "What color is the picture?", colours[i].name);
        muse_image_close(&image);
    }
}

static void four_centres(void **state)
{
    (void)state;
    static const Thing things[] = { { "red square", { 220, 40, 40 }, 24, 30, 10, 9 }, { "green square", { 40, 160, 60 }, 100, 24, 9, 10 }, { "blue square", { 40, 80, 220 }, 34, 96, 10, 10 }, { "black square", { 16, 16, 16 }, 92, 88, 10, 9 } };
    MuseImage *image = draw(128, 128, light, things, 4);
    for (size_t i = 0; i < 4; i++) assert_at(image, &things[i], "Where is the %s?", 0.05);
    muse_image_close(&image);
}

static void swapped(void **state)
{
    (void)state;
    static const Thing red = { "red square", { 220, 40, 40 }, 40, 44, 10, 10 }, blue = { "blue square", { 40, 80, 220 }, 40, 44, 10, 10 };
    MuseImage *pictures[2] = { draw(96, 96, light, &red, 1), draw(96, 96, light, &blue, 1) }, *turned[2] = { pictures[1], pictures[0] };
    MuseAgentInfo a, b;
    MuseAgent *first = ask(pictures, 2, "What has changed between the pictures?"), *second = ask(turned, 2, "What has changed between the pictures?");
    muse_agent_info(first, &a);
    muse_agent_info(second, &b);
    if (a.n_answer < 4 || memcmp(a.answer, "red ", 4) != 0 || b.n_answer < 5 || memcmp(b.answer, "blue ", 5) != 0)
        fail_msg("%.*s; the other way round %.*s", (int)a.n_answer, a.answer, (int)b.n_answer, b.answer);
    muse_agent_close(&first);
    muse_agent_close(&second);
    muse_image_close(&pictures[0]);
    muse_image_close(&pictures[1]);
}

/* of eight unlike signs at least five; without looks it reads one in twelve (docs/TRAINING.md) */
static void small_print(void **state)
{
    (void)state;
    MuseWorlds *worlds = open_worlds(MUSE_WORLDS_FONTS_BUILTIN);
    MuseWorldsMaker *m = open_maker(worlds);
    size_t right = 0, looks = 0;
    enum { N = 8 };
    for (uint64_t i = 0; i < N; i++) {
        const MuseWorldsSample *s;
        MuseWorldsOptions o;
        MuseAgentInfo info;
        char question[512] = "";
        muse_worlds_options_init(&o);
        o.split = MUSE_WORLDS_TEST, o.form = MUSE_WORLDS_DIRECT, o.max_side = 256, o.branches = 1;
        assert_int_equal(muse_worlds_make(m, "read", 11, i, &o, &s, &err), 0);
        for (size_t k = 0; k < s->branches[0].n_parts; k++)
            if (s->branches[0].parts[k].role == MUSE_WORLDS_QUESTION) strncat(question, s->branches[0].parts[k].text, sizeof question - strlen(question) - 1);
        MuseImage *image;
        assert_int_equal(muse_image_open_pixels(&image, NULL, s->images[0].rgb, s->images[0].width, s->images[0].height, 0, MUSE_PIXELS_RGB, NULL, &err), 0);
        MuseAgent *a = ask(&image, 1, question);
        muse_agent_info(a, &info);
        right += info.n_answer == strlen(s->branches[0].answer) && memcmp(info.answer, s->branches[0].answer, info.n_answer) == 0;
        looks += info.looks > 0;
        muse_agent_close(&a);
        muse_image_close(&image);
    }
    muse_worlds_maker_close(&m);
    muse_worlds_close(&worlds);
    if (right < 5 || looks < N) fail_msg("%zu of %d right, %zu looked", right, N, looks);
}

/* ---- a large screenshot ---- */

static size_t warnings;
static void count_warning(void *user, int level, const char *text)
{
    (void)user;
    warnings += level <= MUSE_LOG_WARN && strstr(text, "reduced") != NULL;
}

static void screenshot(void **state)
{
    (void)state;
    static const uint32_t budgets[] = { 280, 1120 };
    MuseRuntime *rt;
    MuseRuntimeParams rp;
    MuseSequenceParams sp;
    muse_runtime_params_init(&rp);
    muse_sequence_params_init(&sp);
    sp.family_name = "gemma4_unified";
    rp.log = count_warning;
    if (muse_runtime_open(&rt, &rp, &err) < 0) fail_msg("%s", err.text);
    MuseImage *image = draw(1920, 1080, light, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        MuseSequence *seq;
        MuseImageOptions o;
        muse_image_options_init(&o);
        o.budget = budgets[i];
        warnings = 0;
        if (muse_sequence_open(&seq, rt, &sp, &err) < 0 || muse_sequence_append_image(seq, image, &o, &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(warnings, i == 0);
        muse_sequence_close(&seq);
    }
    muse_image_close(&image);
    muse_runtime_close(&rt);
}

static int begin(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/models/muse-nano", getenv("MUSE_SOURCE"));
    return muse_model_open(&model, NULL, path, NULL, &err);
}

static int end(void **state)
{
    (void)state;
    muse_model_close(&model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(solid_colours), cmocka_unit_test(four_centres), cmocka_unit_test(swapped),
                                        cmocka_unit_test(small_print), cmocka_unit_test(screenshot) };
    return cmocka_run_group_tests(tests, begin, end);
}
