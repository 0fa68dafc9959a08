/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the session tests: a model whose allocations are counted and can fail, sessions, parts made from a seed. Include after cmocka.h. */
#ifndef TESTS_UNIT_SESSION_UTIL_H
#define TESTS_UNIT_SESSION_UTIL_H

#include <math.h>

#include "libmuse/session/session.h"
#include "tests/unit/image_help.h"
/* has a global error, which the functions above must not see */
#include "tests/unit/case_util.h"

typedef struct Setup {
    Meter        meter;
    MuseRuntime *rt;
    MuseModel   *model;
    size_t       vocab;
} Setup;

static inline void setup_open(Setup *t, const char *model)
{
    *t = (Setup){ .rt = NULL };
    t->rt = open_runtime(1, &t->meter);
    t->model = open_model(model, NULL, t->rt);
    t->vocab = t->model->config.vocab;
}

/* everything that was allocated is given back */
static inline void setup_close(Setup *t)
{
    muse_model_close(&t->model);
    muse_runtime_close(&t->rt);
    assert_int_equal(t->meter.live, 0);
}

static inline MuseSessionParams params_of(uint32_t compute, uint32_t kv, uint32_t chunk)
{
    MuseSessionParams p;
    muse_session_params_init(&p);
    p.compute = compute;
    p.kv = kv;
    p.chunk = chunk;
    return p;
}

static inline MuseSession *session_open(MuseModel *model, const MuseSessionParams *p)
{
    MuseSession *s = NULL;
    if (muse_session_open(&s, model, p, &err) < 0) fail_msg("%s", err.text);
    return s;
}

static inline int32_t some_id(uint32_t seed, size_t i, size_t vocab)
{
    uint64_t x = (seed * UINT64_C(0x9e3779b97f4a7c15)) ^ (i * UINT64_C(0xbf58476d1ce4e5b9));
    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    return (int32_t)((x >> 33) % vocab);
}

static inline void add_ids(MuseSession *s, uint32_t seed, size_t n)
{
    const size_t vocab = muse_session_model(s)->config.vocab;
    int32_t *ids = malloc(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) ids[i] = some_id(seed, i, vocab);
    if (muse_sequence_append_ids(muse_session_sequence(s), ids, n, &err) < 0) fail_msg("%s", err.text);
    free(ids);
}

static inline MuseImage *noise_image(MuseRuntime *rt, uint32_t width, uint32_t height, uint32_t seed)
{
    uint8_t *rgb = malloc((size_t)width * height * 3);
    for (size_t i = 0; i < (size_t)width * height * 3; i++) rgb[i] = (uint8_t)some_id(seed, i, 256);
    MuseImage *img = NULL;
    if (muse_image_open_pixels(&img, rt, rgb, width, height, 0, MUSE_PIXELS_RGB, NULL, &err) < 0) fail_msg("%s", err.text);
    free(rgb);
    return img;
}

static inline void add_image(MuseSession *s, uint32_t width, uint32_t height, uint32_t budget, uint32_t seed)
{
    MuseImage *img = noise_image(muse_session_model(s)->rt, width, height, seed);
    MuseImageOptions o;
    muse_image_options_init(&o);
    o.budget = budget;
    if (muse_sequence_append_image(muse_session_sequence(s), img, &o, &err) < 0) fail_msg("%s", err.text);
    muse_image_close(&img);
}

static inline void prefill(MuseSession *s)
{
    if (muse_session_prefill(s, &err) < 0) fail_msg("%s", err.text);
    assert_non_null(muse_session_logits(s));
}

static inline void step(MuseSession *s, int32_t id)
{
    if (muse_session_step(s, id, &err) < 0) fail_msg("%s", err.text);
    assert_non_null(muse_session_logits(s));
}

static inline float *logits_copy(const MuseSession *s)
{
    const size_t bytes = s->model->config.vocab * sizeof(float);
    assert_non_null(muse_session_logits(s));
    return memcpy(malloc(bytes), muse_session_logits(s), bytes);
}

/* largest difference to `want`, which is released */
static inline double logits_off(const MuseSession *s, float *want)
{
    const float *got = muse_session_logits(s);
    double most = 0;
    assert_non_null(got);
    for (size_t i = 0; i < s->model->config.vocab; i++) {
        const double off = fabs((double)got[i] - (double)want[i]);
        if (!(off <= most)) most = off;
    }
    free(want);
    return most;
}

static inline int32_t greedy(const MuseSession *s)
{
    const float *x = muse_session_logits(s);
    size_t best = 0;
    assert_non_null(x);
    for (size_t i = 1; i < s->model->config.vocab; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

static inline MuseSessionInfo info_of(const MuseSession *s)
{
    MuseSessionInfo info;
    assert_int_equal(muse_session_info(s, &info), 0);
    return info;
}

#endif
