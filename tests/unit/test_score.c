/* SPDX-License-Identifier: Apache-2.0 */
/* Scoring of muse eval: equal answers, intervals against values computed in another way, calibration. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/score.h"

static void same_answers(void **state)
{
    static const struct { const char *given, *want; bool same; } rows[] = {
        { "2", "2", true }, { " Two\n", "two", true }, { "two", " TWO ", true }, { "", "", true }, { " \t", "", true }, { "red  star", "red star", false },
        { "twofold", "two", false }, { "tw", "two", false }, { "\xc3\x84", "\xc3\xa4", false }, { "<point><x1><y2>", "<point><x1><y2>", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(score_same(rows[i].given, strlen(rows[i].given), rows[i].want), rows[i].same);
    assert_true(score_same("yes, it is", 3, "Yes"));   /* not terminated */
    assert_false(score_same("a\0b", 3, "a"));
}

static void boxes(void **state)
{
    static const struct { const char *given, *want; bool same; } rows[] = {
        { "<box><x10><y7><x46><y18>", "<box><x10><y7><x46><y18>", true }, { " <box><x12><y5><x44><y20>\n", "<box><x10><y7><x46><y18>", true },
        { "<box><x13><y7><x46><y18>", "<box><x10><y7><x46><y18>", false }, { "<box><x10><y4><x46><y18>", "<box><x10><y7><x46><y18>", false },
        { "<box><x10><y7><x49><y18>", "<box><x10><y7><x46><y18>", false }, { "<box><x10><y7><x46><y15>", "<box><x10><y7><x46><y18>", false },
        { "<x11><y7><x46><y18>", "<x10><y7><x46><y18>", true }, { "<x10><y7><x46><y18>", "<box><x10><y7><x46><y18>", false },
        { "<box><x11><y7><x46>", "<box><x10><y7><x46><y18>", false }, { "<box><x11><y7><x46><y18", "<box><x10><y7><x46><y18>", false },
        { "<box><x11><y7><x46><y18> a", "<box><x10><y7><x46><y18>", false }, { "<box><y11><x7><y46><x18>", "<box><x11><y7><x46><y18>", false },
        { "<box><x><y7><x46><y18>", "<box><x0><y7><x46><y18>", false }, { "<box><x11><y7><x46><y18>", "<box><x10><y7><x46><y18><x1>", false },
        { "<point><x11><y7>", "<point><x10><y7>", false }, { "<x11><y7>", "<x10><y7>", false },
        { "<box><x4294967306><y7><x46><y18>", "<box><x10><y7><x46><y18>", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(score_same(rows[i].given, strlen(rows[i].given), rows[i].want), rows[i].same);
    assert_false(score_same("<box><x11><y7><x46><y18>", 23, "<box><x10><y7><x46><y18>"));   /* not terminated */
}

static void drawings(void **state)
{
#define STAR(x, y, s) "<use href=\"#star\" fill=\"red\" transform=\"translate(" x "," y ")scale(" s ")\"/>"
#define HEART(x, y) "<use href=\"#heart\" fill=\"blue\" transform=\"translate(" x "," y ")scale(4)\"/>"
    static const struct { const char *given, *want; bool same; } rows[] = {
        { STAR("10", "20", "4") HEART("40", "5"), STAR("10", "20", "4") HEART("40", "5"), true }, { HEART("40", "5") STAR("10", "20", "4"), STAR("10", "20", "4") HEART("40", "5"), true },
        { " " STAR("12", "18", "8"), STAR("10", "20", "4"), true }, { STAR("13", "20", "4"), STAR("10", "20", "4"), false }, { STAR("10", "23", "4"), STAR("10", "20", "4"), false },
        { HEART("10", "20"), STAR("10", "20", "4"), false }, { STAR("10", "20", "4"), STAR("10", "20", "4") STAR("40", "20", "4"), false },
        { STAR("10", "20", "4") STAR("10", "20", "4"), STAR("10", "20", "4") STAR("40", "20", "4"), false }, { STAR("10", "20", "4") "x", STAR("10", "20", "4"), false },
        { STAR("11", "20", "4") STAR("9", "20", "4"), STAR("9", "20", "4") STAR("11", "20", "4"), true },
        { STAR("11", "20", "4") STAR("8", "20", "4"), STAR("9", "20", "4") STAR("13", "20", "4"), true },
        { STAR("10", "20", "4") STAR("12", "20", "4") STAR("8", "20", "4"), STAR("11", "20", "4") STAR("9", "20", "4") STAR("13", "20", "4"), true },
        { STAR("10", "20", "4") STAR("12", "20", "4") STAR("8", "20", "4"), STAR("11", "20", "4") STAR("13", "20", "4") STAR("14", "20", "4"), false }, { "<use href=\"#star\"/>", "<use href=\"#heart\"/>", false },
        { STAR("1000", "20", "4"), STAR("10", "20", "4"), false }, { STAR("", "20", "4"), STAR("0", "20", "4"), false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(score_same(rows[i].given, strlen(rows[i].given), rows[i].want), rows[i].same);
    char many[65 * 80] = "";
    for (int i = 0; i < 64; i++) strcat(many, HEART("1", "1"));
    assert_true(score_same(many, strlen(many), many));
    assert_false(score_same(STAR("1", "1", "4"), 40, STAR("1", "1", "4")));   /* not terminated */
}

/* Expected: the two solutions of (p - q)^2 = z^2 q (1 - q) / n for q by numpy.roots, float64. */
static void intervals(void **state)
{
    static const struct { uint64_t right, n; double low, high; } rows[] = {
        { 0, 0, 0, 1 }, { 0, 10, 0, 0.2775327998628892 }, { 10, 10, 0.7224672001371107, 1 }, { 5, 10, 0.2365930905125640, 0.7634069094874360 },
        { 181, 200, 0.8563983883518009, 0.9383368972826132 }, { 1, 1, 0.2065493143772375, 1 }, { 999999, 1000000, 0.999994335080145, 0.999999823483474 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double low, high;
        score_wilson(rows[i].right, rows[i].n, &low, &high);
        assert_float_equal(low, rows[i].low, 1e-12);
        assert_float_equal(high, rows[i].high, 1e-12);
    }
}

static size_t fill(ScorePoint *p, double agreement, size_t n, size_t right)
{
    for (size_t i = 0; i < n; i++) p[i] = (ScorePoint){ agreement, i < right };
    return n;
}

static void calibration(void **state)
{
    ScorePoint p[400];
    ScoreRow rows[400];
    (void)state;
    size_t n = fill(p, 1, 100, 95);
    n += fill(p + n, 0.25, 40, 10);
    n += fill(p + n, 0.5, 40, 30);     /* right more often than 0.75: the two are joined */
    n += fill(p + n, 0.75, 40, 24);
    assert_int_equal(score_fit(p, n, 20, rows), 3);
    assert_float_equal(rows[0].from, 0, 0);
    assert_float_equal(rows[1].from, 0.375, 1e-15);
    assert_float_equal(rows[2].from, 0.875, 1e-15);
    assert_int_equal(rows[1].n, 80);
    assert_int_equal(rows[1].right, 54);
    assert_float_equal(rows[0].confidence, 11.0 / 42, 1e-15);
    assert_float_equal(rows[1].confidence, 55.0 / 82, 1e-15);
    assert_float_equal(rows[2].confidence, 96.0 / 102, 1e-15);
    assert_true(rows[2].low < 0.95 && rows[2].high > 0.95);

    n = fill(p, 0.2, 3, 0);            /* rows of too few go to the next one, the last to the one before */
    n += fill(p + n, 0.4, 30, 10);
    n += fill(p + n, 0.9, 30, 25);
    n += fill(p + n, 1, 2, 2);
    assert_int_equal(score_fit(p, n, 10, rows), 2);
    assert_int_equal(rows[0].n, 33);
    assert_int_equal(rows[1].n, 32);
    assert_float_equal(rows[1].from, 0.65, 1e-15);

    assert_int_equal(score_fit(p, 0, 10, rows), 0);
    n = fill(p, 1, 1, 1);
    assert_int_equal(score_fit(p, n, 10, rows), 1);
    assert_float_equal(rows[0].confidence, 2.0 / 3, 1e-15);
}

/* rows of one half, counted on the other */
static void calibration_held_out(void **state)
{
    ScorePoint p[200];
    ScoreRow rows[200];
    (void)state;
    size_t n = fill(p, 0.25, 40, 9);
    n += fill(p + n, 1, 40, 37);
    assert_int_equal(score_fit(p, n, 20, rows), 2);
    n = fill(p, 0.625, 10, 4);   /* at a row's beginning: that row's */
    n += fill(p + n, 0.5, 20, 5);
    n += fill(p + n, 1, 10, 8);
    assert_float_equal(score_check(p, n, rows, 2), (fabs(20 * 10.0 / 42 - 5) + fabs(20 * 38.0 / 42 - 12)) / 40, 1e-15);
    assert_float_equal(rows[1].from, 0.625, 0);
    assert_float_equal(rows[1].confidence, 38.0 / 42, 1e-15);
    assert_true(rows[0].n == 20 && rows[0].right == 5 && rows[1].n == 20 && rows[1].right == 12 && rows[1].low < 0.6 && rows[1].high > 0.6);
    assert_float_equal(score_check(p, 0, rows, 2), 0, 0);
    assert_true(rows[1].n == 0 && rows[1].low == 0 && rows[1].high == 1);
    assert_float_equal(score_check(p, n, rows, 0), 0, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(same_answers), cmocka_unit_test(boxes), cmocka_unit_test(drawings), cmocka_unit_test(intervals), cmocka_unit_test(calibration), cmocka_unit_test(calibration_held_out) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
