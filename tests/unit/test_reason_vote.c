/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/reason, votes and calibration: candidates, ties, answers near each other, against sums by hand. */
#include <math.h>

#include "tests/unit/test_reason_data.h"

static void votes_by_hand(void **state)
{
    (void)state;
    const double by0[] = { -1, -2, -1 }, by1[] = { -3, -1, -3 };
    const MuseVote v[] = { { "Seven", 5, 0.2, by0 }, { "eight", 5, 0.9, by1 }, { " seven\n", 7, 0.4, NULL } };
    MuseCandidate c[3];
    size_t n;
    ok(muse_vote(v, 3, c, &n, &err));
    assert_int_equal(n, 2);
    /* weights 0.6 and 0.9 of 1.5; by0 gives seven e^-1 / (e^-1 + e^-2), by1 e^-3 / (e^-3 + e^-1) */
    const double seven = (exp(-1) / (exp(-1) + exp(-2)) + exp(-3) / (exp(-3) + exp(-1))) / 2, score = (0.4 + seven) / 2;
    const MuseCandidate *s = c[0].vote == 2 ? &c[0] : &c[1], *e = s == &c[0] ? &c[1] : &c[0];
    assert_int_equal(s->vote, 2);            /* the heavier of the two */
    assert_int_equal(s->count, 2);
    assert_true(fabs(s->weight - 0.4) < 1e-12 && fabs(s->cross - seven) < 1e-12 && fabs(s->score - score) < 1e-12);
    assert_true(fabs(e->score - (0.6 + 1 - seven) / 2) < 1e-12);
    assert_true(c[0].score >= c[1].score);

    const MuseVote plain[] = { { "a", 1, 0.5, NULL }, { "b", 1, 0.25, NULL }, { "b", 1, 0.25, NULL }, { "c", 1, 0, NULL } };
    ok(muse_vote(plain, 4, (MuseCandidate[4]){ { 0 } }, &n, &err));
    MuseCandidate p[4];
    ok(muse_vote(plain, 4, p, &n, &err));
    assert_int_equal(n, 3);
    assert_int_equal(p[0].vote, 1);          /* equal scores: more votes */
    assert_true(p[0].score == 0.5 && p[1].score == 0.5 && p[2].score == 0);
    const MuseVote zero[] = { { "a", 1, 0, NULL }, { "b", 1, 0, NULL }, { "A", 1, 0, NULL } };
    ok(muse_vote(zero, 3, p, &n, &err));
    assert_true(p[0].vote == 0 && fabs(p[0].weight - 2 / 3.0) < 1e-12);   /* no weights: counts */
    static const char *const points[] = { "<point><x10><y20>", " <POINT><x12><y18>", "<point><x13><y20>", "<point><y10><y20>", "<point><x10>", "<point><x1><y20>", "<point><x1000000><y20>", "<x10", "<x10>" };
    static const char same[] = "110000000", third[] = "011000000";   /* as the first; as the third */
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        assert_int_equal(muse_reason_agree(points[0], strlen(points[0]), points[i], strlen(points[i])), same[i] == '1');
        assert_int_equal(muse_reason_agree(points[2], strlen(points[2]), points[i], strlen(points[i])), third[i] == '1');
        assert_int_equal(muse_reason_same(points[0], strlen(points[0]), points[i], strlen(points[i])), i == 0);
    }
    const MuseVote near[] = { { points[0], 17, 0.5, NULL }, { "none", 4, 0.6, NULL }, { points[1], 18, 0.3, NULL } };
    ok(muse_vote(near, 3, p, &n, &err));
    assert_true(n == 2 && p[0].vote == 0 && p[0].count == 2);
    const MuseVote bad = { "a", 1, -1, NULL }, nan = { "a", 1, (double)NAN, NULL };
    assert_int_equal(muse_vote(&bad, 1, p, &n, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_vote(&nan, 1, p, &n, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_vote(&bad, 0, p, &n, &err), MUSE_ERR_ARG);
}

/* as many votes as the leader: the candidate of the chain that one agent alone would write, whatever the others weigh */
static void ties(void **state)
{
    (void)state;
    const MuseVote v[] = { { "a", 1, 0.9, NULL }, { "<x9>", 4, 0.1, NULL }, { "c", 1, 0.8, NULL }, { "A", 1, 0.9, NULL }, { "<x11>", 5, 0.2, NULL } };
    static const struct { size_t n, plain, first; uint32_t count; } cases[] = { { 5, 5, 0, 2 }, { 5, 1, 1, 2 }, { 5, 4, 4, 2 }, { 5, 0, 0, 2 }, { 5, 3, 3, 2 }, { 5, 2, 0, 2 }, { 4, 1, 0, 2 }, { 3, 1, 1, 1 }, { 3, 2, 2, 1 }, { 1, 0, 0, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseCandidate c[5];
        size_t n, votes = 0;
        ok(muse_reason_vote(v, cases[i].n, cases[i].plain, c, &n, &err));
        assert_int_equal(c[0].vote, cases[i].first);
        assert_int_equal(c[0].count, cases[i].count);
        for (size_t k = 0; k < n; k++) votes += c[k].count;
        assert_int_equal(votes, cases[i].n);
        for (size_t k = 2; k < n; k++) assert_true(c[k - 1].score >= c[k].score);
    }
}

static void calibration(void **state)
{
    (void)state;
    static const MuseCalibration own[] = { { 0.25, 0.1 }, { 1, 0.7 } };
    static const double in[] = { 0, 0.375, 0.5, 0.625, 0.75, 0.875, 1 }, want[] = { 0.39, 0.39, 0.57, 0.57, 0.67, 0.67, 0.948 };
    for (size_t i = 0; i < 7; i++) assert_true(muse_calibrate(NULL, 0, in[i]) == want[i]);
    assert_true(muse_calibrate(own, 2, 0.2) == 0 && muse_calibrate(own, 2, 0.9) == 0.1 && muse_calibrate(own, 2, 1) == 0.7);
}

/* 10 ~ 12 ~ 14, but not 10 ~ 14: who comes first keeps its candidate, and none goes by without one */
static void votes_near_each_other(void **state)
{
    (void)state;
    static const char *const texts[] = { "<x10>", "<x12>", "<x14>" };
    static const struct { uint8_t of[4], n, first, lead, second; double weight[4]; size_t vote; } cases[] = {
        { { 0, 1, 2, 2 }, 2, 0, 2, 2, { 0.3, 0.2, 0.1, 0.1 }, 0 },   /* 10 12 | 14 14 */
        { { 0, 1, 2, 2 }, 2, 0, 2, 2, { 0.1, 0.9, 0.1, 0.1 }, 1 },   /* the heavier text wins, and draws no 14 to it */
        { { 2, 2, 1, 0 }, 2, 0, 3, 1, { 0.1, 0.1, 0.1, 0.1 }, 0 },   /* 14 14 12 | 10 */
        { { 1, 2, 0, 2 }, 1, 0, 4, 0, { 0.1, 0.1, 0.1, 0.2 }, 3 },   /* 12 is near all */
        { { 2, 0, 2, 1 }, 2, 0, 3, 1, { 0.1, 0.1, 0.1, 0.7 }, 3 },
        { { 0, 2, 1, 2 }, 2, 0, 2, 2, { 0.1, 0.4, 0.1, 0.5 }, 3 },
        { { 0, 1, 2, 2 }, 2, 0, 2, 2, { 0, 0, 0, 0 }, 0 },
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        MuseVote v[4];
        MuseCandidate c[4];
        size_t n, lead, second;
        for (size_t i = 0; i < 4; i++) v[i] = (MuseVote){ texts[cases[t].of[i]], 5, cases[t].weight[i], NULL };
        n = muse_reason_group(v, 4, c);
        assert_int_equal(n, cases[t].n);
        assert_int_equal(c[0].vote, cases[t].first);
        muse_reason_lead(c, n, &lead, &second);
        assert_true(lead == cases[t].lead && second == cases[t].second);
        ok(muse_vote(v, 4, c, &n, &err));
        assert_int_equal(n, cases[t].n);
        assert_int_equal(c[0].vote, cases[t].vote);
        assert_int_equal(n == 2 ? c[0].count + c[1].count : c[0].count, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_by_hand), cmocka_unit_test(ties), cmocka_unit_test(calibration), cmocka_unit_test(votes_near_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
