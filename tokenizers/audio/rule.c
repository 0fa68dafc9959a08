/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule makes of a length, in whole numbers. It sees no samples. Callers count tokens with muse_audio_plan();
 * the pipe keeps to the same numbers. */
#include "tokenizers/audio/rule.h"

#include <math.h>

#include "base/status.h"

/* Over this many frames a count no longer fits a sequence. @source muse/audio.h, muse_audio_plan */
static const uint64_t frames_max = UINT64_C(1) << 31;

/* Largest window and frame: two seconds at 8 kHz, far beyond any rule, and small enough that power stays finite. */
enum { SPAN_MAX = 16384, BINS_MAX = 256, STACK_MAX = 64 };

static int range_check(const char *name, uint32_t value, uint32_t low, uint32_t high, MuseError *err)
{
    if (value >= low && value <= high) return 0;
    return muse_fail(err, MUSE_ERR_ARG, "audio rule: %s is %u, must be %u to %u", name, value, low, high);
}

static int logmel_check(const MuseAudioRule *rule, MuseError *err)
{
    int rc = range_check("window", rule->window, 2, SPAN_MAX, err);
    if (rc == 0) rc = range_check("hop", rule->hop, 1, rule->window, err);   /* a longer hop would skip samples */
    if (rc == 0) rc = range_check("mel_bins", rule->mel_bins, 1, BINS_MAX, err);
    if (rc == 0) rc = range_check("stack", rule->stack, 1, STACK_MAX, err);
    if (rc == 0) rc = range_check("floor_rule", rule->floor_rule, MUSE_MEL_FLOOR_FIXED, MUSE_MEL_FLOOR_GLOBAL, err);
    if (rc == 0 && rule->floor_rule == MUSE_MEL_FLOOR_FIXED && !(rule->floor_db >= -300.0f && rule->floor_db <= 100.0f))
        rc = muse_fail(err, MUSE_ERR_ARG, "audio rule: floor_db is %g, must be -300 to 100", (double)rule->floor_db);
    return rc;
}

int muse_audio_rule_check(const MuseAudioRule *rule, MuseError *err)
{
    MUSE_REQUIRE(err, rule);
    MUSE_REQUIRE(err, rule->struct_size == sizeof *rule);
    if (rule->kind == MUSE_AUDIO_NONE) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "this model family takes no sound");
    if (rule->kind != MUSE_AUDIO_RAW && rule->kind != MUSE_AUDIO_LOGMEL)
        return muse_fail(err, MUSE_ERR_ARG, "audio rule: unknown kind %u", rule->kind);
    if (!(rule->max_seconds >= 0.0f && isfinite(rule->max_seconds)))
        return muse_fail(err, MUSE_ERR_ARG, "audio rule: max_seconds is %g", (double)rule->max_seconds);
    int rc = range_check("rate", rule->rate, MUSE_SOUND_RATE_MIN, MUSE_SOUND_RATE_MAX, err);
    if (rc < 0) return rc;
    if (rule->kind == MUSE_AUDIO_RAW) return range_check("frame_samples", rule->frame_samples, 1, SPAN_MAX, err);
    return logmel_check(rule, err);
}

bool muse_resampled_len(uint64_t n, uint32_t from, uint32_t to, uint64_t *out)
{
    const uint64_t whole = n / from, rest = n % from;
    const uint64_t part = (rest * to + from / 2) / from;   /* both rates below 2^20: no overflow */
    if (whole && to > (UINT64_MAX - part) / whole) return false;
    *out = whole * to + part;
    return true;
}

uint64_t muse_mel_columns(const MuseAudioRule *rule, uint64_t n_used)
{
    if (n_used == 0) return 0;
    return n_used < rule->hop ? 1 : n_used / rule->hop;
}

uint32_t muse_audio_frame_width(const MuseAudioRule *rule)
{
    return rule->kind == MUSE_AUDIO_RAW ? rule->frame_samples : rule->mel_bins * rule->stack;
}

int muse_audio_plan(const MuseAudioRule *rule, uint64_t n_samples, uint32_t rate, MuseAudioPlan *out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    int rc = muse_audio_rule_check(rule, err);
    if (rc == 0) rc = range_check("the sound's rate", rate, MUSE_SOUND_RATE_MIN, MUSE_SOUND_RATE_MAX, err);
    if (rc < 0) return rc;
    MuseAudioPlan plan = { 0 };
    if (!muse_resampled_len(n_samples, rate, rule->rate, &plan.n_used))
        return muse_fail(err, MUSE_ERR_LIMIT, "%llu samples are too many to count", (unsigned long long)n_samples);
    const uint64_t steps = rule->kind == MUSE_AUDIO_RAW ? plan.n_used : muse_mel_columns(rule, plan.n_used);
    const uint32_t unit = rule->kind == MUSE_AUDIO_RAW ? rule->frame_samples : rule->stack;
    plan.n_frames = steps / unit + (steps % unit != 0);
    if (plan.n_frames > frames_max)
        return muse_fail(err, MUSE_ERR_LIMIT, "%llu samples at %u Hz make %llu frames, over the limit of 2^31",
                         (unsigned long long)n_samples, rate, (unsigned long long)plan.n_frames);
    plan.frame_width = muse_audio_frame_width(rule);
    const double frame_samples = rule->kind == MUSE_AUDIO_RAW ? rule->frame_samples : (double)rule->hop * rule->stack;
    plan.ms_per_frame = frame_samples * 1000.0 / rule->rate;
    plan.too_long = rule->max_seconds > 0 && (double)n_samples > (double)rule->max_seconds * rate;
    *out = plan;
    return 0;
}
