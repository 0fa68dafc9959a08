/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting a scaling law: runs of a known law (tests/data/make_scaling.py, float64) give its values back; with noise, within the
 * error bars; refused points; a drawing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "muse/image.h"
#include "muse/scaling.h"

static const double law[MUSE_SCALING_VALUES] = { 1.7, 406.4, 0.34, 410.7, 0.28 };
static MuseError err;
static MuseScalingFit fit, again;

static size_t read_points(MuseScalingPoint *points, bool noise)
{
    char path[4096];
    double a, b;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/train/scaling.txt", getenv("MUSE_TEST_DATA"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (n < 20 && fscanf(f, "%lf %lf %lf %lf", &points[n].parameters, &points[n].positions, &a, &b) == 4) points[n++].loss = noise ? b : a;
    fclose(f);
    assert_int_equal(n, 20);
    return n;
}

static void test_exact(void **state)
{
    (void)state;
    MuseScalingPoint p[20];
    const size_t n = read_points(p, false);
    double low, high;
    assert_int_equal(muse_scaling_fit(p, n, 1, &fit, &err), 0);
    for (int k = 0; k < MUSE_SCALING_VALUES; k++)
        if (fabs(fit.value[k] / law[k] - 1) > 1e-4) fail_msg("value %d: %.9g, want %g", k, fit.value[k], law[k]);
    assert_true(fit.error < 1e-6 && fit.n == 20);
    const double next = 1.7 + 406.4 / pow(1e8, 0.34) + 410.7 / pow(1e10, 0.28);
    assert_true(fabs(muse_scaling_predict(&fit, 1e8, 1e10, &low, &high) / next - 1) < 1e-4);
    assert_true(low <= next * 1.0001 && high >= next * 0.9999);
}

/* 1 % noise on 20 runs: all values within the 90 % bars (or, seldom, beside them by their width), the prediction too */
static void test_noise(void **state)
{
    (void)state;
    MuseScalingPoint p[20];
    const size_t n = read_points(p, true);
    double low, high;
    assert_int_equal(muse_scaling_fit(p, n, 1, &fit, &err), 0);
    for (int k = 0; k < MUSE_SCALING_VALUES; k++) {
        const double wide = fit.high[k] - fit.low[k];
        print_message("value %d: %.4g (%.4g .. %.4g), law %g\n", k, fit.value[k], fit.low[k], fit.high[k], law[k]);
        assert_true(fit.low[k] <= fit.value[k] && fit.value[k] <= fit.high[k] && wide > 0);
        if (law[k] < fit.low[k] - wide || law[k] > fit.high[k] + wide) fail_msg("value %d: %g is far from %g .. %g", k, law[k], fit.low[k], fit.high[k]);
    }
    assert_true(fit.error > 0.005 && fit.error < 0.02);
    const double next = 1.7 + 406.4 / pow(1e7, 0.34) + 410.7 / pow(1e9, 0.28), got = muse_scaling_predict(&fit, 1e7, 1e9, &low, &high);
    print_message("next: %.4f (%.4f .. %.4f), law %.4f\n", got, low, high, next);
    assert_true(low < got && got < high && fabs(got / next - 1) < 0.05);
    /* the same points and seed: the same bits; another seed: other bars, the same fit */
    assert_int_equal(muse_scaling_fit(p, n, 1, &again, &err), 0);
    assert_memory_equal(&fit, &again, sizeof fit);
    assert_int_equal(muse_scaling_fit(p, n, 2, &again, &err), 0);
    assert_memory_equal(fit.value, again.value, sizeof fit.value);
    assert_true(memcmp(fit.low, again.low, sizeof fit.low) != 0);
}

static void test_refused(void **state)
{
    (void)state;
    MuseScalingPoint p[20];
    read_points(p, false);
    assert_int_equal(muse_scaling_fit(p, 5, 1, &fit, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "5 runs"));
    assert_int_equal(muse_scaling_fit(p, 300, 1, &fit, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_scaling_fit(NULL, 20, 1, &fit, &err), MUSE_ERR_ARG);
    const double bad[] = { 0, -1, NAN, INFINITY };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) {
            read_points(p, false);
            *(k == 0 ? &p[3].parameters : k == 1 ? &p[3].positions : &p[3].loss) = bad[i];
            assert_int_equal(muse_scaling_fit(p, 20, 1, &fit, &err), MUSE_ERR_ARG);
            assert_non_null(strstr(err.text, "run 3"));
        }
    read_points(p, false);
    for (int i = 0; i < 20; i++) p[i].parameters = 5;
    assert_int_equal(muse_scaling_fit(p, 20, 1, &fit, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "parameters"));
    read_points(p, false);
    for (int i = 0; i < 20; i++) p[i].positions = 5;
    assert_int_equal(muse_scaling_fit(p, 20, 1, &fit, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "positions"));
}

/* losses that do not fall, or are all the same: a fit all the same, finite */
static void test_odd(void **state)
{
    (void)state;
    MuseScalingPoint p[20];
    for (int k = 0; k < 2; k++) {
        read_points(p, false);
        for (int i = 0; i < 20; i++) p[i].loss = k ? 2 : 5 - p[i].loss / 10;
        assert_int_equal(muse_scaling_fit(p, 20, 1, &fit, &err), 0);
        for (int i = 0; i < MUSE_SCALING_VALUES; i++) assert_true(isfinite(fit.value[i]) && isfinite(fit.low[i]) && isfinite(fit.high[i]));
    }
}

static void test_draw(void **state)
{
    (void)state;
    MuseScalingPoint p[20];
    const size_t n = read_points(p, true);
    const MuseScalingPoint next = { 1e7, 1e9, 0 };
    char path[] = "/tmp/muse-scaling-XXXXXX";
    MuseImage *image;
    MuseImageInfo info;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(muse_scaling_fit(p, n, 1, &fit, &err), 0);
    assert_int_equal(muse_scaling_draw(NULL, path, &fit, p, n, &next, &err), 0);
    assert_int_equal(muse_image_open_file(&image, NULL, path, NULL, &err), 0);
    muse_image_info(image, &info);
    assert_true(info.width == 900 && info.height == 520);
    muse_image_close(&image);
    unlink(path);
    assert_int_equal(muse_scaling_draw(NULL, "/nowhere/a.png", &fit, p, n, NULL, &err), MUSE_ERR_IO);
    assert_int_equal(muse_scaling_draw(NULL, path, &fit, p, 0, NULL, &err), MUSE_ERR_ARG);
}

/* of more sizes than colours and rows of the legend all points are drawn: the last but one is seen to move */
static void test_draw_many(void **state)
{
    (void)state;
    static unsigned char bytes[2][1 << 20];
    MuseScalingPoint p[30];
    size_t n[2];
    const MuseScalingPoint next = { 1e7, 1e9, 0 };
    char path[] = "/tmp/muse-scaling-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < 30; i++) p[i] = (MuseScalingPoint){ 1e5 * (double)(i + 1), 1e8 * (double)(1 + i % 5), 3 + 0.01 * (double)i };
    assert_int_equal(muse_scaling_fit(p, 30, 1, &fit, &err), 0);
    for (int turn = 0; turn < 2; turn++) {
        p[28].loss = turn ? 3.1 : 3.2;
        assert_int_equal(muse_scaling_draw(NULL, path, &fit, p, 30, &next, &err), 0);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        n[turn] = fread(bytes[turn], 1, sizeof bytes[turn], f);
        fclose(f);
    }
    unlink(path);
    assert_true(n[0] > 0 && n[0] < sizeof bytes[0]);
    assert_true(n[0] != n[1] || memcmp(bytes[0], bytes[1], n[0]) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_exact), cmocka_unit_test(test_noise), cmocka_unit_test(test_refused), cmocka_unit_test(test_odd), cmocka_unit_test(test_draw), cmocka_unit_test(test_draw_many) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
