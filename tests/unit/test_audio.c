/* SPDX-License-Identifier: Apache-2.0 */
/* PCM to frames: golden values, counting, resampling, the live feed, limits, threads, memory that runs out. */
#include "audio_util.h"

#include <math.h>
#include <pthread.h>

#include "muse/runtime.h"
#include "tests/unit/meter.h"

static MuseFrames *frames_of_pcm(const void *x, size_t n, int type, uint32_t rate, uint32_t channels, const MuseAudioRule *rule)
{
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    MuseError err;
    if (muse_audio_open_pcm(&audio, NULL, x, n, type, rate, channels, NULL, &err) < 0) fail_msg("%s", err.text);
    if (muse_audio_frames(&frames, audio, rule, NULL, NULL, &err) < 0) fail_msg("%s", err.text);
    muse_audio_close(&audio);
    return frames;
}

/* Gemma 4: the published frames to 1e-7 */
static void test_golden(void **state)
{
    (void)state;
    static const struct { const char *wav, *frames; uint32_t channels; } cases[] = {
        { "audio/golden-audio-mono.wav", "audio/golden-audio-mono.f32", 1 },
        { "audio/golden-audio-stereo.wav", "audio/golden-audio-stereo.f32", 2 },
    };
    const MuseAudioRule rule = raw_rule(16000, 640);
    for (size_t i = 0; i < 2; i++) {
        MuseFile wav = load(cases[i].wav), want = load(cases[i].frames);
        MuseAudio *audio = NULL;
        MuseFrames *frames = NULL;
        MuseAudioInfo info;
        assert_int_equal(muse_audio_open_memory(&audio, NULL, wav.data, wav.size, NULL, NULL), 0);
        assert_int_equal(muse_audio_info(audio, &info), 0);
        assert_int_equal(info.channels, cases[i].channels);
        assert_int_equal(info.rate, 16000);
        assert_string_equal(info.format, "wav");
        assert_int_equal(muse_audio_frames(&frames, audio, &rule, NULL, NULL, NULL), 0);
        assert_int_equal(muse_frames_plan(frames)->n_frames * 640 * sizeof(float), want.size);
        const float *w = (const float *)(const void *)want.data;
        for (size_t k = 0; k < want.size / sizeof(float); k++) assert_true(fabsf(muse_frames_data(frames)[k] - w[k]) <= 1e-7f);
        muse_frames_close(&frames);
        muse_audio_close(&audio);
        muse_file_close(&wav);
        muse_file_close(&want);
    }
}

static void test_plan(void **state)
{
    (void)state;
    MuseAudioPlan p;
    MuseAudioRule r = raw_rule(16000, 640);
    static const struct { uint64_t n; uint32_t rate; uint64_t used, frames; int too_long; } raw[] = {
        { 0, 16000, 0, 0, 0 }, { 1, 16000, 1, 1, 0 }, { 640, 16000, 640, 1, 0 }, { 641, 16000, 641, 2, 0 },
        { 480000, 16000, 480000, 750, 0 }, { 480001, 16000, 480001, 751, 1 },   /* Gemma 4 spec 4.5 */
        { 441, 44100, 160, 1, 0 }, { 1, 44100, 0, 0, 0 }, { 2, 44100, 1, 1, 0 }, { 3, 48000, 1, 1, 0 }, { 1, 8000, 2, 1, 0 },
        { 44100, 44100, 16000, 25, 0 },
    };
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        assert_int_equal(muse_audio_plan(&r, raw[i].n, raw[i].rate, &p, NULL), 0);
        assert_int_equal(p.n_used, raw[i].used);
        assert_int_equal(p.n_frames, raw[i].frames);
        assert_int_equal(p.too_long, raw[i].too_long);
        assert_int_equal(p.frame_width, 640);
        assert_true(p.ms_per_frame == 40.0);
    }
    r = mel_rule(16000, 400, 160, 80, 4, MUSE_MEL_FLOOR_GLOBAL);
    static const struct { uint64_t n, frames; } mel[] = { { 0, 0 }, { 1, 1 }, { 159, 1 }, { 799, 1 }, { 800, 2 }, { 480000, 750 } };
    for (size_t i = 0; i < sizeof mel / sizeof *mel; i++) {
        assert_int_equal(muse_audio_plan(&r, mel[i].n, 16000, &p, NULL), 0);
        assert_int_equal(p.n_frames, mel[i].frames);
        assert_true(p.ms_per_frame == 40.0);
    }
    MuseError err;
    assert_int_equal(muse_audio_plan(&r, UINT64_MAX, 1000, &p, &err), MUSE_ERR_LIMIT);
    assert_int_equal(muse_audio_plan(&r, UINT64_C(1) << 60, 16000, &p, &err), MUSE_ERR_LIMIT);
    assert_int_equal(muse_audio_plan(&r, 5, 999, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_plan(&r, 5, 768001, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_plan(NULL, 5, 16000, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_plan(&r, 5, 16000, NULL, &err), MUSE_ERR_ARG);
    r.kind = MUSE_AUDIO_NONE;
    assert_int_equal(muse_audio_plan(&r, 5, 16000, &p, &err), MUSE_ERR_UNSUPPORTED);
    static const struct { size_t at; uint32_t value; } wrong[] = {
        { offsetof(MuseAudioRule, kind), 3 }, { offsetof(MuseAudioRule, rate), 999 }, { offsetof(MuseAudioRule, window), 1 },
        { offsetof(MuseAudioRule, window), 16385 }, { offsetof(MuseAudioRule, hop), 0 }, { offsetof(MuseAudioRule, hop), 401 },
        { offsetof(MuseAudioRule, mel_bins), 0 }, { offsetof(MuseAudioRule, mel_bins), 257 }, { offsetof(MuseAudioRule, stack), 0 },
        { offsetof(MuseAudioRule, stack), 65 }, { offsetof(MuseAudioRule, floor_rule), 2 }, { offsetof(MuseAudioRule, floor_db), 0x7fc00000 },
        { offsetof(MuseAudioRule, max_seconds), 0x7f800000 }, { offsetof(MuseAudioRule, struct_size), 8 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        r = mel_rule(16000, 400, 160, 80, 4, MUSE_MEL_FLOOR_FIXED);
        memcpy((uint8_t *)&r + wrong[i].at, &wrong[i].value, 4);
        if (muse_audio_plan(&r, 5, 16000, &p, &err) != MUSE_ERR_ARG) fail_msg("wrong rule %zu was taken", i);
    }
    r = raw_rule(16000, 0);
    assert_int_equal(muse_audio_plan(&r, 5, 16000, &p, &err), MUSE_ERR_ARG);
}

static const uint32_t rates[] = { 16000, 44100, 48000, 8000, 11025, 96000, 22050, 1000, 768000, 12345, 16001 };

/* counting equals tokenizing for any length, rate and rule; values are finite */
static void test_counts(void **state)
{
    (void)state;
    uint64_t seed = 99;
    float *x = random_sound(&seed, 20000);
    for (int i = 0; i < 400; i++) {
        const size_t n = random32(&seed) % (i % 4 ? 20000 : 600);
        const uint32_t rate = rates[random32(&seed) % (sizeof rates / sizeof *rates)];
        MuseAudioRule r = raw_rule(random32(&seed) % 3 ? 16000 : rates[random32(&seed) % 7], 1 + random32(&seed) % 1000);
        if (i % 2) {
            const uint32_t window = 2 + random32(&seed) % 600;
            r = mel_rule(r.rate, window, 1 + random32(&seed) % window, 1 + random32(&seed) % 128, 1 + random32(&seed) % 5, random32(&seed) % 2);
        }
        MuseAudioPlan p;
        assert_int_equal(muse_audio_plan(&r, n, rate, &p, NULL), 0);
        MuseFrames *f = frames_of_pcm(x, n, MUSE_PCM_F32, rate, 1, &r);
        const MuseAudioPlan *q = muse_frames_plan(f);
        assert_true(q->n_used == p.n_used && q->n_frames == p.n_frames && q->frame_width == p.frame_width);
        for (size_t k = 0; k < p.n_frames * p.frame_width; k++) assert_true(isfinite(muse_frames_data(f)[k]));
        muse_frames_close(&f);
    }
    free(x);
}

/* A tone keeps its frequency, height and time; what lies above the new band goes. */
static void test_resampling(void **state)
{
    (void)state;
    enum { SECONDS = 1 };
    const MuseAudioRule rule = raw_rule(16000, 16000);
    for (size_t r = 0; r < 6; r++) {
        const uint32_t rate = rates[r];
        float *x = malloc(rate * sizeof *x);
        assert_non_null(x);
        const double tone = 6.283185307179586 * 1000, high = rate >= 44100 ? 0.4 : 0;
        for (size_t i = 0; i < rate; i++) x[i] = (float)(0.5 * sin(tone * (double)i / rate) + high * sin(12 * tone * (double)i / rate));
        MuseFrames *f = frames_of_pcm(x, rate, MUSE_PCM_F32, rate, 1, &rule);
        double worst = 0, ends = 0;   /* the ends ring, but are there */
        for (size_t i = 100; i < 15900; i++) {
            const double d = fabs(muse_frames_data(f)[i] - 0.5 * sin(tone * (double)i / 16000));
            if (i < 1000 || i >= 15000) ends = fmax(ends, d);
            else worst = fmax(worst, d);
        }
        if (worst > 3e-5 || ends > 0.02) fail_msg("%u Hz: off by %g, at the ends %g", rate, worst, ends);   /* 20 bits less rounding in f32 */
        muse_frames_close(&f);
        free(x);
    }
}

/* s16 and f32, mono and many channels: the mean, rounded once */
static void test_mix(void **state)
{
    (void)state;
    const MuseAudioRule rule = raw_rule(16000, 100);
    uint64_t seed = 3;
    for (uint32_t channels = 1; channels <= 64; channels += channels < 3 ? 1 : 61) {
        int16_t *s = malloc(100 * channels * sizeof *s);
        float *x = malloc(100 * channels * sizeof *x);
        assert_true(s && x);
        for (size_t i = 0; i < 100 * channels; i++) s[i] = (int16_t)random32(&seed), x[i] = (float)s[i] / 32768.0f;
        s[0] = -32768, x[0] = -1;
        MuseFrames *a = frames_of_pcm(s, 100, MUSE_PCM_S16, 16000, channels, &rule), *b = frames_of_pcm(x, 100, MUSE_PCM_F32, 16000, channels, &rule);
        assert_memory_equal(muse_frames_data(a), muse_frames_data(b), 100 * sizeof(float));
        for (size_t i = 0; i < 100; i++) {
            double sum = 0;
            for (size_t c = 0; c < channels; c++) sum += s[i * channels + c];
            assert_true(muse_frames_data(a)[i] == (float)(sum / channels / 32768));
        }
        muse_frames_close(&a);
        muse_frames_close(&b);
        free(s);
        free(x);
    }
    const float loud[3] = { 4.5f, -3.0f, 1e9f };   /* neither gain nor clipping */
    MuseFrames *f = frames_of_pcm(loud, 3, MUSE_PCM_F32, 16000, 1, &rule);
    assert_memory_equal(muse_frames_data(f), loud, sizeof loud);
    for (size_t i = 3; i < 100; i++) assert_true(muse_frames_data(f)[i] == 0);
    muse_frames_close(&f);
}

/* Push x in random splits, take in random portions; the frames must equal want's bit for bit. */
static void feed_equals(const void *x, size_t n, int type, uint32_t rate, uint32_t channels, const MuseAudioRule *rule, const MuseFrames *want, uint64_t *seed)
{
    const MuseAudioPlan *plan = muse_frames_plan(want);
    const size_t sample = channels * (type == MUSE_PCM_S16 ? 2 : 4), width = plan->frame_width;
    MuseAudioFeed *feed = NULL;
    MuseError err;
    if (muse_audio_feed_open(&feed, NULL, rule, type, rate, channels, &err) < 0) fail_msg("%s", err.text);
    float *got = malloc((plan->n_frames + 1) * width * sizeof *got);
    assert_non_null(got);
    size_t taken = 0, pushed = 0;
    const uint32_t most = 1 + random32(seed) % (random32(seed) % 2 ? 5000 : 50);
    for (int state = MUSE_AGAIN; state != MUSE_DONE;) {
        if (pushed < n) {
            size_t k = random32(seed) % (most + 1);
            if (k > n - pushed) k = n - pushed;
            assert_int_equal(muse_audio_feed_push(feed, (const uint8_t *)x + pushed * sample, k, &err), 0);
            pushed += k;
        } else {
            assert_int_equal(muse_audio_feed_finish(feed, &err), 0);
            assert_int_equal(muse_audio_feed_finish(feed, &err), 0);
        }
        size_t m = 77;
        const size_t ready = muse_audio_feed_ready(feed), ask = 1 + random32(seed) % 4;
        assert_true(taken + ready <= plan->n_frames);
        state = muse_audio_feed_take(feed, got + taken * width, ask, &m);
        assert_int_equal(m, ready < ask ? ready : ask);
        assert_int_equal(state, ready ? 0 : pushed < n || state == MUSE_AGAIN ? MUSE_AGAIN : MUSE_DONE);
        taken += m;
    }
    assert_int_equal(taken, plan->n_frames);
    if (taken) assert_memory_equal(got, muse_frames_data(want), taken * width * sizeof *got);
    assert_int_equal(muse_audio_feed_push(feed, x, n ? 1 : 0, &err), MUSE_ERR_STATE);
    free(got);
    muse_audio_feed_close(&feed);
}

static void test_feed(void **state)
{
    (void)state;
    uint64_t seed = 1234;
    const size_t values = 60000;
    float *x = random_sound(&seed, values);
    int16_t *s = malloc(values * sizeof *s);
    assert_non_null(s);
    for (size_t i = 0; i < values; i++) s[i] = (int16_t)(x[i] * 30000);
    for (int i = 0; i < 120; i++) {
        const uint32_t rate = rates[(size_t)i % (sizeof rates / sizeof *rates)], channels = 1 + random32(&seed) % 3;
        const size_t n = random32(&seed) % (i % 5 ? values / channels : 300);
        const int type = random32(&seed) % 2 ? MUSE_PCM_S16 : MUSE_PCM_F32;
        const MuseAudioRule rule = i % 2 ? raw_rule(16000, 640) : mel_rule(16000, 400, 160, 80, 1 + random32(&seed) % 4, MUSE_MEL_FLOOR_FIXED);
        const void *pcm = type == MUSE_PCM_S16 ? (const void *)s : x;
        MuseFrames *want = frames_of_pcm(pcm, n, type, rate, channels, &rule);
        feed_equals(pcm, n, type, rate, channels, &rule, want, &seed);
        muse_frames_close(&want);
    }
    free(s);
    free(x);
}

static void test_feed_errors(void **state)
{
    (void)state;
    MuseAudioFeed *feed = NULL;
    MuseError err;
    MuseAudioRule rule = mel_rule(16000, 400, 160, 80, 2, MUSE_MEL_FLOOR_GLOBAL);
    assert_int_equal(muse_audio_feed_open(&feed, NULL, &rule, MUSE_PCM_F32, 16000, 1, &err), MUSE_ERR_UNSUPPORTED);
    assert_null(feed);
    rule = raw_rule(16000, 10);
    assert_int_equal(muse_audio_feed_open(&feed, NULL, &rule, 3, 16000, 1, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_open(&feed, NULL, &rule, MUSE_PCM_F32, 16000, 0, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_open(&feed, NULL, &rule, MUSE_PCM_F32, 16000, 65, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_open(&feed, NULL, &rule, MUSE_PCM_F32, 999, 1, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_open(NULL, NULL, &rule, MUSE_PCM_F32, 16000, 1, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_open(&feed, NULL, &rule, MUSE_PCM_F32, 16000, 2, &err), 0);
    float x[40] = { 0.5f }, out[40];
    size_t n = 0;
    assert_int_equal(muse_audio_feed_push(feed, x, 7, &err), 0);
    x[9] = NAN;
    assert_int_equal(muse_audio_feed_push(feed, x, 20, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "sample 4 of channel 1"));
    x[9] = 2e15f;
    assert_int_equal(muse_audio_feed_push(feed, x, 20, &err), MUSE_ERR_FORMAT);
    x[9] = 0;
    assert_int_equal(muse_audio_feed_push(feed, NULL, 3, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_ready(feed), 0);   /* unchanged: 7 samples */
    assert_int_equal(muse_audio_feed_push(feed, x, 3, &err), 0);
    assert_int_equal(muse_audio_feed_ready(feed), 1);
    assert_int_equal(muse_audio_feed_take(feed, out, 0, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(muse_audio_feed_take(feed, out, 4, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(muse_audio_feed_take(feed, out, 4, &n), MUSE_AGAIN);
    assert_int_equal(muse_audio_feed_take(feed, NULL, 4, &n), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_take(NULL, out, 4, &n), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_finish(feed, &err), 0);
    assert_int_equal(muse_audio_feed_take(feed, out, 4, &n), MUSE_DONE);
    assert_int_equal(muse_audio_feed_push(feed, x, 1, &err), MUSE_ERR_STATE);
    muse_audio_feed_close(&feed);
    muse_audio_feed_close(&feed);
    muse_audio_feed_close(NULL);
    assert_int_equal(muse_audio_feed_ready(NULL), 0);
    assert_int_equal(muse_audio_feed_finish(NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_feed_push(NULL, x, 1, &err), MUSE_ERR_ARG);
}

/* a feed that is taken from does not grow with the sound */
static void test_feed_memory(void **state)
{
    (void)state;
    Meter c = { 0 };
    MuseRuntime *rt = meter_runtime(&c, 0);
    uint64_t seed = 8;
    float *x = random_sound(&seed, 4800), *out = malloc(100 * 640 * sizeof *out);
    assert_non_null(out);
    const MuseAudioRule rules[2] = { raw_rule(16000, 640), mel_rule(16000, 400, 160, 80, 4, MUSE_MEL_FLOOR_FIXED) };
    for (int r = 0; r < 2; r++) {
        MuseAudioFeed *feed = NULL;
        assert_int_equal(muse_audio_feed_open(&feed, rt, &rules[r], MUSE_PCM_F32, 48000, 1, NULL), 0);
        long calls = 0;
        for (int i = 0; i < 600; i++) {   /* a minute */
            size_t n = 0;
            assert_int_equal(muse_audio_feed_push(feed, x, 4800, NULL), 0);
            assert_true(muse_audio_feed_take(feed, out, 100, &n) >= 0);
            if (i == 20) calls = c.calls;
        }
        assert_int_equal(c.calls, calls);   /* after a warm-up no memory is asked for */
        muse_audio_feed_close(&feed);
    }
    muse_runtime_close(&rt);
    assert_int_equal(c.live, 0);
    free(x);
    free(out);
}

static int cancel_at(void *user) { return --*(int *)user == 0; }

static void seen_log(void *user, int level, const char *text)
{
    (void)text;
    if (level == MUSE_LOG_WARN) ++*(int *)user;
}

static void test_limits(void **state)
{
    (void)state;
    uint64_t seed = 4;
    float *x = random_sound(&seed, 40000);
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    MuseAudioParams p;
    MuseError err;
    MuseAudioRule rule = raw_rule(16000, 640);
    muse_audio_params_init(&p);
    p.max_seconds = 1;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, 16001, MUSE_PCM_F32, 16000, 1, &p, &err), MUSE_ERR_LIMIT);
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, 16000, MUSE_PCM_F32, 16000, 1, &p, &err), 0);
    muse_audio_close(&audio);
    p.max_seconds = NAN;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, 16000, MUSE_PCM_F32, 16000, 1, &p, &err), MUSE_ERR_ARG);
    x[17] = INFINITY;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, 100, MUSE_PCM_F32, 16000, 2, NULL, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "sample 8 of channel 1"));
    assert_null(audio);
    x[17] = 0;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, UINT64_MAX, MUSE_PCM_F32, 16000, 1, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, NULL, 1, MUSE_PCM_F32, 16000, 1, NULL, &err), MUSE_ERR_ARG);
    /* a log line and a flag for what the model was not made for; nothing is cut */
    int warnings = 0, calls = 3;
    MuseRuntimeParams rp;
    MuseRuntime *rt = NULL;
    muse_runtime_params_init(&rp);
    rp.log = seen_log;
    rp.log_user = &warnings;
    assert_int_equal(muse_runtime_open(&rt, &rp, NULL), 0);
    assert_int_equal(muse_audio_open_pcm(&audio, rt, x, 40000, MUSE_PCM_F32, 16000, 1, NULL, &err), 0);
    muse_runtime_close(&rt);
    rule.max_seconds = 2.5f;
    assert_int_equal(muse_audio_frames(&frames, audio, &rule, NULL, NULL, &err), 0);
    assert_int_equal(muse_frames_plan(frames)->too_long, 0);
    assert_int_equal(warnings, 0);
    muse_frames_close(&frames);
    rule.max_seconds = 2.4f;
    assert_int_equal(muse_audio_frames(&frames, audio, &rule, NULL, NULL, &err), 0);
    assert_int_equal(muse_frames_plan(frames)->too_long, 1);
    assert_int_equal(muse_frames_plan(frames)->n_frames, 63);
    assert_int_equal(warnings, 1);
    muse_frames_close(&frames);
    MuseAudio *silent = NULL;   /* a recording that never began */
    assert_int_equal(muse_runtime_open(&rt, &rp, NULL), 0);
    assert_int_equal(muse_audio_open_pcm(&silent, rt, x, 0, MUSE_PCM_F32, 16000, 1, NULL, &err), 0);
    muse_runtime_close(&rt);
    assert_int_equal(muse_audio_frames(&frames, silent, &rule, NULL, NULL, &err), 0);
    muse_audio_close(&silent);
    assert_int_equal(warnings, 2);
    muse_frames_close(&frames);
    const float whole[4] = { 0, -101, 7, 0 };   /* as of int16, not divided by 32768 */
    MuseAudio *loud = NULL;
    assert_int_equal(muse_runtime_open(&rt, &rp, NULL), 0);
    for (int k = 0; k < 2; k++) {   /* all of it; what does not reach 100 */
        assert_int_equal(muse_audio_open_pcm(&loud, rt, whole + 2 * k, 4 - 2 * (uint64_t)k, MUSE_PCM_F32, 16000, 1, NULL, &err), 0);
        assert_int_equal(muse_audio_frames(&frames, loud, &rule, NULL, NULL, &err), 0);
        assert_int_equal(warnings, 3);
        muse_frames_close(&frames);
        muse_audio_close(&loud);
    }
    muse_runtime_close(&rt);
    assert_int_equal(muse_audio_frames(&frames, audio, &rule, cancel_at, &calls, &err), MUSE_ERR_CANCELLED);
    assert_null(frames);
    rule.kind = MUSE_AUDIO_NONE;
    assert_int_equal(muse_audio_frames(&frames, audio, &rule, NULL, NULL, &err), MUSE_ERR_UNSUPPORTED);
    assert_ptr_equal(muse_audio_ref(audio), audio);
    MuseAudio *second = audio;
    muse_audio_close(&audio);
    assert_null(audio);
    MuseAudioInfo info;
    assert_int_equal(muse_audio_info(second, &info), 0);
    assert_true(info.seconds == 2.5);
    assert_string_equal(info.format, "pcm");
    muse_audio_close(&second);
    muse_audio_close(&second);
    muse_audio_close(NULL);
    assert_null(muse_audio_ref(NULL));
    assert_int_equal(muse_audio_info(NULL, &info), MUSE_ERR_ARG);
    assert_null(muse_frames_plan(NULL));
    assert_null(muse_frames_data(NULL));
    muse_frames_close(NULL);
    free(x);
}

/* equal features, equal hashes, whatever the way; another rule or sample, another hash */
static void test_hash(void **state)
{
    (void)state;
    uint64_t seed = 21;
    float *x = random_sound(&seed, 5000);
    MuseAudioRule rules[] = { raw_rule(16000, 640), raw_rule(16000, 320), raw_rule(8000, 640), mel_rule(16000, 400, 160, 80, 1, 0),
                              mel_rule(16000, 400, 160, 80, 1, 1), mel_rule(16000, 400, 160, 40, 2, 0), mel_rule(16000, 400, 200, 80, 1, 0) };
    enum { N = sizeof rules / sizeof *rules };
    uint8_t hash[N + 1][32];
    for (size_t i = 0; i <= N; i++) {
        if (i == N) x[4999] += 1e-3f;
        const MuseAudioRule *rule = &rules[i % N];
        MuseFrames *f = frames_of_pcm(x, 5000, MUSE_PCM_F32, 16000, 1, rule);
        muse_frames_hash(f, hash[i]);
        muse_frames_close(&f);
        for (size_t k = 0; k < i; k++) assert_memory_not_equal(hash[i], hash[k], 32);
    }
    x[4999] -= 1e-3f;
    MuseAudioRule same = rules[0];
    same.max_seconds = 1;   /* states something about the model, changes no feature */
    same.hop = 7;
    float *stereo = malloc(10000 * sizeof *stereo);
    assert_non_null(stereo);
    for (size_t i = 0; i < 10000; i++) stereo[i] = x[i / 2];
    MuseFrames *a = frames_of_pcm(x, 5000, MUSE_PCM_F32, 16000, 1, &rules[0]), *b = frames_of_pcm(stereo, 5000, MUSE_PCM_F32, 16000, 2, &same);
    muse_frames_hash(a, hash[0]);
    muse_frames_hash(b, hash[1]);
    assert_memory_equal(hash[0], hash[1], 32);
    muse_frames_hash(NULL, hash[0]);
    muse_frames_hash(a, NULL);
    muse_frames_close(&a);
    muse_frames_close(&b);
    free(stereo);
    free(x);
}

/* a copy outlives the caller's samples; borrowed ones are read in place */
static void test_borrow(void **state)
{
    (void)state;
    float x[640] = { 0 };
    const MuseAudioRule rule = raw_rule(16000, 640);
    for (int borrow = 0; borrow < 2; borrow++) {
        MuseAudioParams p;
        MuseAudio *audio = NULL;
        MuseFrames *f = NULL;
        muse_audio_params_init(&p);
        p.borrow = borrow;
        x[5] = 0.25f;
        assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, 640, MUSE_PCM_F32, 16000, 1, &p, NULL), 0);
        x[5] = 0.5f;
        assert_int_equal(muse_audio_frames(&f, audio, &rule, NULL, NULL, NULL), 0);
        assert_true(muse_frames_data(f)[5] == (borrow ? 0.5f : 0.25f));
        muse_frames_close(&f);
        muse_audio_close(&audio);
    }
}

static void count_up(void *user) { ++*(int *)user; }

/* borrowed samples are given back once, by the last of who holds them, and not by an open that failed */
static void test_release(void **state)
{
    (void)state;
    static const int16_t x[640];
    int told = 0;
    MuseAudioParams p;
    MuseAudio *a, *b;
    muse_audio_params_init(&p);
    p.borrow = 1;
    p.release = count_up;
    p.release_user = &told;
    assert_int_equal(muse_audio_open_pcm(&a, NULL, x, 640, MUSE_PCM_S16, 16000, 1, &p, NULL), 0);
    b = muse_audio_ref(a);
    muse_audio_close(&a);
    assert_int_equal(told, 0);
    muse_audio_close(&b);
    assert_int_equal(told, 1);
    assert_int_equal(muse_audio_open_memory(&a, NULL, x, sizeof x, &p, NULL), MUSE_ERR_FORMAT);
    assert_int_equal(muse_audio_open_file(&a, NULL, "/nothing", &p, NULL), MUSE_ERR_ARG);
    p.borrow = 0;
    assert_int_equal(muse_audio_open_pcm(&a, NULL, x, 640, MUSE_PCM_S16, 16000, 1, &p, NULL), MUSE_ERR_ARG);
    assert_int_equal(told, 1);
}

typedef struct Worker { const MuseAudio *audio; uint8_t want[2][32]; int bad; } Worker;

static void *work(void *user)
{
    Worker *w = user;
    const MuseAudioRule rules[2] = { raw_rule(16000, 640), mel_rule(16000, 400, 160, 80, 4, MUSE_MEL_FLOOR_GLOBAL) };
    for (int i = 0; i < 20; i++) {
        MuseFrames *f = NULL;
        uint8_t hash[32];
        if (muse_audio_frames(&f, w->audio, &rules[i % 2], NULL, NULL, NULL) < 0) w->bad++;
        muse_frames_hash(f, hash);
        w->bad += memcmp(hash, w->want[i % 2], 32) != 0;
        muse_frames_close(&f);
    }
    return NULL;
}

/* one sound, several threads, PCM and files */
static void test_threads(void **state)
{
    (void)state;
    uint64_t seed = 31;
    float *x = random_sound(&seed, 30000);
    static const int formats[] = { 0, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III };
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        MuseAudio *audio = NULL;
        MemoryFile file = { 0 };
        if (formats[k]) {
            file = encode(formats[k], x, 15000, 44100, 2);
            assert_int_equal(muse_audio_open_memory(&audio, NULL, file.data, file.len, NULL, NULL), 0);
        } else {
            assert_int_equal(muse_audio_open_pcm(&audio, NULL, x, 15000, MUSE_PCM_F32, 44100, 2, NULL, NULL), 0);
        }
        Worker workers[3] = { { .audio = audio } };
        const MuseAudioRule rules[2] = { raw_rule(16000, 640), mel_rule(16000, 400, 160, 80, 4, MUSE_MEL_FLOOR_GLOBAL) };
        for (int r = 0; r < 2; r++) {
            MuseFrames *f = NULL;
            assert_int_equal(muse_audio_frames(&f, audio, &rules[r], NULL, NULL, NULL), 0);
            muse_frames_hash(f, workers[0].want[r]);
            muse_frames_close(&f);
        }
        pthread_t threads[3];
        workers[1] = workers[2] = workers[0];
        for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < 3; i++) assert_int_equal(workers[i].bad, 0);
        muse_audio_close(&audio);
        free(file.data);
    }
    free(x);
}

static int whole_run(MuseRuntime *rt, const MemoryFile *file, const float *x, const MuseAudioRule *rule)
{
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    MuseAudioFeed *feed = NULL;
    MuseError err;
    int rc = file ? muse_audio_open_memory(&audio, rt, file->data, file->len, NULL, &err)
                  : muse_audio_open_pcm(&audio, rt, x, 4000, MUSE_PCM_F32, 22050, 1, NULL, &err);
    if (rc == 0) rc = muse_audio_frames(&frames, audio, rule, NULL, NULL, &err);
    if (rc == 0) rc = muse_audio_feed_open(&feed, rt, rule, MUSE_PCM_F32, 22050, 1, &err);
    for (int i = 0; rc == 0 && i < 4; i++) rc = muse_audio_feed_push(feed, x + i * 1000, 1000, &err);
    if (rc == 0) rc = muse_audio_feed_finish(feed, &err);
    muse_audio_feed_close(&feed);
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    return rc;
}

/* the n-th allocation fails, for every n: an error, nothing kept */
static void test_no_memory(void **state)
{
    (void)state;
    uint64_t seed = 77;
    float *x = random_sound(&seed, 4000);
    MemoryFile flac = encode(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, x, 4000, 22050, 1);
    const MuseAudioRule rules[2] = { raw_rule(16000, 640), mel_rule(16000, 400, 160, 80, 4, MUSE_MEL_FLOOR_FIXED) };
    for (int k = 0; k < 4; k++) {
        for (long n = 1;; n++) {
            Meter c = { .fail_at = 0 };
            MuseRuntime *rt = meter_runtime(&c, 0);
            c.fail_at = c.calls + n;
            const int rc = whole_run(rt, k & 1 ? &flac : NULL, x, &rules[k >> 1]);
            const int failed = c.calls >= c.fail_at;
            muse_runtime_close(&rt);
            assert_int_equal(c.live, 0);
            assert_int_equal(rc, failed ? MUSE_ERR_NOMEM : 0);
            if (!failed) {
                assert_true(n > 8);
                break;
            }
        }
    }
    free(flac.data);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_plan), cmocka_unit_test(test_counts), cmocka_unit_test(test_resampling),
        cmocka_unit_test(test_mix), cmocka_unit_test(test_feed), cmocka_unit_test(test_feed_errors), cmocka_unit_test(test_feed_memory),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_hash), cmocka_unit_test(test_borrow), cmocka_unit_test(test_release), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
