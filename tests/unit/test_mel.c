/* SPDX-License-Identifier: Apache-2.0 */
/* Log-mel frames against numpy in float64 (tests/data/make_audio.py), on every CPU level. */
#include "audio_util.h"

#include <math.h>

#include "muse/runtime.h"

/* Bounds on the largest difference, in scaled units (a quarter of log10 of power). FFTs in f32 leave noise about 1e-13 of the
 * loudest bin's power: nothing where the floor is 80 dB below the loudest, and what is seen just above a fixed floor. */
static const double bound_global = 1e-4, bound_fixed = 1e-3;

static double compare(MuseRuntime *rt, const MuseAudioRule *rule, const int16_t *pcm, size_t n, const float *want, size_t columns)
{
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    assert_int_equal(muse_audio_open_pcm(&audio, rt, pcm, n, MUSE_PCM_S16, rule->rate, 1, NULL, NULL), 0);
    assert_int_equal(muse_audio_frames(&frames, audio, rule, NULL, NULL, NULL), 0);
    assert_int_equal(muse_frames_plan(frames)->n_frames, columns);
    assert_int_equal(muse_frames_plan(frames)->frame_width, rule->mel_bins);
    double worst = 0;
    const float *got = muse_frames_data(frames);
    for (size_t i = 0; i < columns * rule->mel_bins; i++) worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    return worst;
}

static void check_level(MuseRuntime *rt, const char *level)
{
    MuseFile pcm = load("audio/logmel.s16"), values = load("audio/logmel.f32"), csv = load("audio/logmel.csv");
    const char *line = (const char *)csv.data, *end = line + csv.size;
    double worst[2] = { 0, 0 };
    size_t cases = 0;
    for (; line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1) {
        unsigned first, n, rate, window, hop, bins, rule, at, columns;
        float db;
        char name[32];
        char row[256] = "";   /* sscanf wants a terminated text */
        const size_t length = (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) - line);
        if (*line == '#') continue;
        assert_true(length < sizeof row);
        memcpy(row, line, length);
        assert_int_equal(sscanf(row, "%31[^,],%u,%u,%u,%u,%u,%u,%u,%f,%u,%u", name, &first, &n, &rate, &window, &hop, &bins, &rule, &db, &at, &columns), 11);
        assert_true((first + n) * 2 <= pcm.size && (at + columns * bins) * 4 <= values.size);
        MuseAudioRule r = mel_rule(rate, window, hop, bins, 1, rule);
        r.floor_db = db;
        const double d = compare(rt, &r, (const int16_t *)(const void *)pcm.data + first, n, (const float *)(const void *)values.data + at, columns);
        if (d > (rule ? bound_global : bound_fixed)) fail_msg("%s: %.*s: off by %g", level, 40, line, d);
        worst[rule] = fmax(worst[rule], d);
        cases++;
    }
    assert_int_equal(cases, 39);
    print_message("%s: worst difference %.2g with the global floor, %.2g with a fixed one\n", level, worst[1], worst[0]);
    muse_file_close(&pcm);
    muse_file_close(&values);
    muse_file_close(&csv);
}

static void test_reference(void **state)
{
    (void)state;
    static const char *const names[] = { "c", "avx2", "avx512" };
    for (uint32_t level = MUSE_CPU_C; level <= MUSE_CPU_AVX512; level++) {
        MuseRuntimeParams p;
        MuseRuntime *rt = NULL;
        muse_runtime_params_init(&p);
        p.cpu_level = level;
        if (muse_runtime_open(&rt, &p, NULL) < 0) {
            print_message("%s: skipped, not to be had here\n", names[level - 1]);
            continue;
        }
        check_level(rt, names[level - 1]);
        muse_runtime_close(&rt);
    }
}

static MuseFrames *frames_of(const float *x, size_t n, const MuseAudioRule *rule)
{
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, n, MUSE_PCM_F32, rule->rate, 1, NULL, NULL), 0);
    assert_int_equal(muse_audio_frames(&frames, audio, rule, NULL, NULL, NULL), 0);
    muse_audio_close(&audio);
    return frames;
}

/* stacked frames are the columns in order, and what is missing of the last one is silence */
static void test_stack(void **state)
{
    (void)state;
    uint64_t seed = 7;
    float *x = random_sound(&seed, 3000);
    for (uint32_t rule = 0; rule < 2; rule++) {
        const MuseAudioRule one = mel_rule(16000, 400, 160, 80, 1, rule), four = mel_rule(16000, 400, 160, 80, 4, rule);
        MuseFrames *a = frames_of(x, 3000, &one), *b = frames_of(x, 3000, &four);
        assert_int_equal(muse_frames_plan(a)->n_frames, 18);
        assert_int_equal(muse_frames_plan(b)->n_frames, 5);
        assert_int_equal(muse_frames_plan(b)->frame_width, 320);
        assert_memory_equal(muse_frames_data(a), muse_frames_data(b), 18 * 80 * sizeof(float));
        float loudest = -100;
        for (size_t i = 0; i < 18 * 80; i++) loudest = fmaxf(loudest, muse_frames_data(a)[i]);
        for (size_t i = 18 * 80; i < 20 * 80; i++) {
            if (rule == MUSE_MEL_FLOOR_FIXED) assert_true(muse_frames_data(b)[i] == -1.0f);   /* (-80 / 10 + 4) / 4 */
            else assert_true(fabsf(muse_frames_data(b)[i] - (loudest - 2)) < 1e-6f);
        }
        muse_frames_close(&a);
        muse_frames_close(&b);
    }
    free(x);
}

/* silence has one value everywhere, padding included */
static void test_silence(void **state)
{
    (void)state;
    const float x[1000] = { 0 };
    for (uint32_t rule = 0; rule < 2; rule++) {
        const MuseAudioRule r = mel_rule(16000, 400, 160, 80, 4, rule);
        MuseFrames *f = frames_of(x, 1000, &r);
        assert_int_equal(muse_frames_plan(f)->n_frames, 2);
        for (size_t i = 0; i < 2 * 320; i++) assert_true(muse_frames_data(f)[i] == (rule ? -1.5f : -1.0f));
        muse_frames_close(&f);
        f = frames_of(x, 0, &r);
        assert_int_equal(muse_frames_plan(f)->n_frames, 0);
        assert_null(muse_frames_data(f));
        muse_frames_close(&f);
    }
}

/* the loudest sound there may be stays finite */
static void test_extremes(void **state)
{
    (void)state;
    float x[2000];
    for (size_t i = 0; i < 2000; i++) x[i] = i % 2 ? 1e15f : -1e15f;
    for (uint32_t rule = 0; rule < 2; rule++) {
        const MuseAudioRule r = mel_rule(16000, 1024, 256, 80, 1, rule);
        MuseFrames *f = frames_of(x, 2000, &r);
        for (size_t i = 0; i < muse_frames_plan(f)->n_frames * 80; i++) assert_true(isfinite(muse_frames_data(f)[i]));
        muse_frames_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_stack), cmocka_unit_test(test_silence), cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
