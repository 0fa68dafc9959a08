/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions share: the prefix cache (what is found, what must never be, how much is kept), one model in several threads. Counts
 * positions, never time. Runs under the thread sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/unit/session_util.h"

static MusePrefixCache *cache_open(MuseModel *m, uint64_t bytes)
{
    MusePrefixCache *cache = NULL;
    if (muse_prefix_cache_open(&cache, m, bytes, &err) < 0) fail_msg("%s", err.text);
    return cache;
}

static MusePrefixCacheInfo cache_info(MusePrefixCache *cache)
{
    MusePrefixCacheInfo info;
    assert_int_equal(muse_prefix_cache_info(cache, &info), 0);
    return info;
}

static MuseSessionParams with(MusePrefixCache *cache)
{
    MuseSessionParams p = params_of(MUSE_COMPUTE_F32, 0, 0);
    p.cache = cache;
    return p;
}

/* How far logits may be from t's: sums in another order, 2e-3. With keys and values in 8 bits, one whose sum lies within those errors (1e-6 of
 * a block's largest) of the middle between two of the 254 steps is rounded to the other one: 1 in 4,000 of the first layer, by a whole step,
 * where rounding moves all of them by 0.29 of a step. Errors add like roots, so logits move by 1/18 of what rounding itself does to them, and
 * some more for the layers behind, whose inputs differ by then: at most 1/8 of it. (Here it is 0.8, and 0.0016 was measured.) */
static double allowed(const MuseSession *t, const MuseSession *exact)
{
    const double rounding = logits_off(t, logits_copy(exact)) / 8;
    return rounding > 2e-3 ? rounding : 2e-3;
}

/* a picture and a question about it; answered like without a cache. Returns what was taken from the cache */
static uint64_t ask(MuseModel *m, const MuseSessionParams *p, uint32_t picture, uint32_t question, size_t length)
{
    MuseSessionParams plain = *p, f32 = *p;
    plain.cache = f32.cache = NULL;
    if (p->kv == MUSE_KV_Q8) f32.kv = MUSE_KV_F32;
    MuseSession *s = session_open(m, p), *t = session_open(m, &plain), *exact = session_open(m, &f32);
    MuseSession *const all[] = { s, t, exact };
    for (size_t i = 0; i < 3; i++) {
        add_ids(all[i], 1, 10);
        if (m->config.image.live) add_image(all[i], 60, 40, 0, picture);
        else add_ids(all[i], picture, 64);
        add_ids(all[i], question, length);
        prefill(all[i]);
    }
    const double off = logits_off(s, logits_copy(t)), most = allowed(t, exact);
    if (!(off <= most)) fail_msg("%s: off by %g with a cache, at most %g", m->path, off, most);
    for (size_t i = 0; i < 3; i++) step(all[i], 3);
    assert_true(logits_off(s, logits_copy(t)) <= allowed(t, exact));
    const uint64_t reused = info_of(s).reused;
    assert_int_equal(info_of(t).reused, 0);
    muse_session_close(&s);
    muse_session_close(&t);
    muse_session_close(&exact);
    return reused;
}

static const char *const models[] = { "golden/gemma4-a/hf", "golden/gemma4-b/hf", "tiny/muse/hf", "tiny/fuyu/hf", "golden/qwen2/hf" };

/* positions before the question */
static size_t prefix_of(MuseModel *m)
{
    MuseSession *s = session_open(m, NULL);
    add_ids(s, 1, 10);
    if (m->config.image.live) add_image(s, 60, 40, 0, 1);
    else add_ids(s, 1, 64);
    const size_t n = s->seq->length;
    muse_session_close(&s);
    return m->config.image.live ? n : n / 32 * 32;
}

/* asked about three times, the picture is computed once; long questions, so that windows have left it behind */
static void test_same_picture(void **state)
{
    (void)state;
    static const size_t lengths[] = { 5, 40, 200 };
    for (size_t i = 0; i < COUNT_OF(models); i++)
        for (size_t k = 0; k < COUNT_OF(lengths); k++) {
            Setup t;
            setup_open(&t, models[i]);
            MusePrefixCache *cache = cache_open(t.model, 0);
            const MuseSessionParams p = with(cache);
            const size_t prefix = prefix_of(t.model);
            assert_int_equal(ask(t.model, &p, 1, 20, lengths[k]), 0);
            for (uint32_t q = 21; q < 23; q++) assert_int_equal(ask(t.model, &p, 1, q, lengths[k]), prefix);
            assert_int_equal(cache_info(cache).positions, 2 * prefix);
            assert_true(ask(t.model, &p, 2, 20, lengths[k]) < prefix);   /* another picture */
            /* the same question again: all but what lies behind its last mark */
            assert_true(ask(t.model, &p, 1, 20, lengths[k]) + 32 >= prefix + lengths[k]);
            muse_prefix_cache_close(&cache);
            setup_close(&t);
        }
}

/* ---- what must not be found ---- */

static void test_never_mixed(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/gemma4-a/hf");
    MusePrefixCache *cache = cache_open(t.model, 0);
    MuseSessionParams p = with(cache);
    static const struct { uint32_t compute, kv, mask; } ways[] = { { MUSE_COMPUTE_F32, MUSE_KV_F32, MUSE_IMAGE_MASK_A }, { MUSE_COMPUTE_F32, MUSE_KV_F32, MUSE_IMAGE_MASK_B },
        { MUSE_COMPUTE_F32, MUSE_KV_F32, MUSE_IMAGE_MASK_CAUSAL }, { MUSE_COMPUTE_F32, MUSE_KV_BF16, MUSE_IMAGE_MASK_A }, { MUSE_COMPUTE_F32, MUSE_KV_Q8, MUSE_IMAGE_MASK_A },
        { MUSE_COMPUTE_BF16, MUSE_KV_F32, MUSE_IMAGE_MASK_A } };
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(ways) - 1 + (round == 0); i++) {
            p.compute = ways[i].compute;
            p.kv = ways[i].kv;
            p.image_mask = ways[i].mask;
            if (i == COUNT_OF(ways) - 1) {   /* other sums in another chunking: only what was taken is looked at */
                MuseSession *s = session_open(t.model, &p);
                add_ids(s, 1, 10);
                add_image(s, 60, 40, 0, 1);
                add_ids(s, 20, 30);
                prefill(s);
                assert_int_equal(info_of(s).reused, 0);
                muse_session_close(&s);
                continue;
            }
            const uint64_t reused = ask(t.model, &p, 1, 20, 30);
            assert_true(round ? reused > 0 : reused == 0);
        }
    /* one pixel of another colour; the same picture at another place */
    p = with(cache);
    MuseSession *s = session_open(t.model, &p);
    uint8_t rgb[60 * 40 * 3] = { 0 };
    for (size_t i = 0; i < 2; i++) {
        MuseImage *img = NULL;
        rgb[100] = (uint8_t)(200 * i);
        assert_int_equal(muse_session_rewind(s, 0, &err), 0);
        assert_int_equal(muse_image_open_pixels(&img, t.rt, rgb, 60, 40, 0, MUSE_PIXELS_RGB, NULL, &err), 0);
        assert_int_equal(muse_sequence_append_image(s->seq, img, NULL, &err), 0);
        add_ids(s, 20, 30);
        prefill(s);
        assert_int_equal(info_of(s).reused, 0);
        muse_image_close(&img);
    }
    assert_int_equal(muse_session_rewind(s, 0, &err), 0);
    add_ids(s, 3, 1);
    add_image(s, 60, 40, 0, 1);
    add_ids(s, 20, 30);
    prefill(s);
    assert_int_equal(info_of(s).reused, 0);
    /* and the second of the two is still there */
    muse_session_close(&s);
    muse_prefix_cache_close(&cache);
    setup_close(&t);
}

/* a conversation: each turn goes on in the session; another session begins like it */
static void test_turns(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/gemma4-b/hf");
    MusePrefixCache *cache = cache_open(t.model, 0);
    MuseSessionParams p = with(cache);
    MuseSession *s = session_open(t.model, &p);
    for (uint32_t turn = 0; turn < 6; turn++) {
        add_ids(s, turn, 70);
        prefill(s);
        for (size_t k = 0; k < 20; k++) step(s, some_id(turn, k, t.vocab));
        MuseSession *other = session_open(t.model, &p);
        muse_sequence_close(&other->seq);
        assert_int_equal(muse_sequence_copy(&other->seq, s->seq, &err), 0);
        add_ids(other, 99, 8);
        prefill(other);
        assert_true(info_of(other).reused + 20 + 32 >= s->seq->length);   /* all up to the last prefill's last mark */
        assert_true(info_of(other).reused < s->seq->length);
        muse_session_close(&other);
    }
    /* shared pages count once: less than the sum of six ever longer entries */
    const MusePrefixCacheInfo info = cache_info(cache);
    assert_true(info.entries >= 6 && info.bytes < 2 * info_of(s).kv_bytes * 3);
    muse_session_close(&s);
    muse_prefix_cache_close(&cache);
    setup_close(&t);
}

/* the least recently used goes; bytes never pass the limit; a limit below one entry keeps nothing */
static void test_limit(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/qwen2/hf");
    MusePrefixCache *cache = cache_open(t.model, 0);
    MuseSessionParams p = with(cache);
    ask(t.model, &p, 1, 20, 60);
    const uint64_t one = cache_info(cache).bytes;
    assert_true(one > 0);
    muse_prefix_cache_close(&cache);

    cache = cache_open(t.model, 3 * one);
    p = with(cache);
    const size_t prefix = prefix_of(t.model);
    for (uint32_t i = 0; i < 3; i++) assert_true(ask(t.model, &p, 50 + i, 20, 60) < prefix);
    assert_int_equal(cache_info(cache).entries, 3);
    assert_int_equal(ask(t.model, &p, 50, 20, 60) / 32, (10 + 64 + 60) / 32);   /* used again: it stays */
    assert_true(ask(t.model, &p, 60, 20, 60) < prefix);
    assert_true(ask(t.model, &p, 50, 20, 60) >= prefix);
    assert_true(ask(t.model, &p, 51, 20, 60) < prefix);   /* was the oldest */
    assert_true(cache_info(cache).bytes <= 3 * one);
    muse_prefix_cache_close(&cache);

    cache = cache_open(t.model, one / 2);
    p = with(cache);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(ask(t.model, &p, 1, 20, 60), 0);
    assert_int_equal(cache_info(cache).entries, 0);
    assert_int_equal(cache_info(cache).bytes, 0);
    muse_prefix_cache_close(&cache);
    /* closed while sessions use it; a null one */
    cache = cache_open(t.model, 0);
    p = with(cache);
    MuseSession *s = session_open(t.model, &p);
    muse_prefix_cache_close(&cache);
    add_ids(s, 1, 50);
    prefill(s);
    muse_session_close(&s);
    muse_prefix_cache_close(&cache);
    assert_int_equal(muse_prefix_cache_open(&cache, NULL, 0, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_prefix_cache_open(NULL, t.model, 0, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_prefix_cache_info(NULL, NULL), MUSE_ERR_ARG);
    setup_close(&t);
}

/* a cache that has no memory keeps and finds nothing, and nothing else happens */
static void test_no_memory(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/gemma4-a/hf");
    MusePrefixCache *cache = cache_open(t.model, 0);
    const MuseSessionParams p = with(cache);
    ask(t.model, &p, 1, 20, 60);
    for (long n = 1; n < 40; n++) {
        MuseSession *s = session_open(t.model, &p);
        add_ids(s, 1, 10);
        add_image(s, 60, 40, 0, 1);
        add_ids(s, (uint32_t)(20 + n), 60);
        t.meter.fail_at = t.meter.calls + n;
        const int rc = muse_session_prefill(s, &err);
        assert_true(rc == 0 || rc == MUSE_ERR_NOMEM);
        t.meter.fail_at = 0;
        prefill(s);
        muse_session_close(&s);
    }
    muse_prefix_cache_close(&cache);
    setup_close(&t);
}

/* ---- threads ---- */

enum { THREADS = 4 };

typedef struct Shared {
    MuseModel *model;
    MusePrefixCache *cache;
    float    **want;           /* [ROUNDS] logits of each round's end */
    unsigned   number;
    double     off;            /* the worst */
    uint64_t   reused;
} Shared;

enum { ROUNDS = 3 };

/* as cmocka's checks leave by longjmp, threads only compute and compare */
static int run_round(const Shared *w, const MuseSessionParams *p, uint32_t round, double *off, uint64_t *reused, float *out)
{
    const size_t vocab = w->model->config.vocab;
    MuseSession *s = NULL, *f[2] = { NULL };
    MuseError why;
    int32_t ids[40];
    MuseImage *img = NULL;
    uint8_t rgb[60 * 40 * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)some_id(7, i, 256);
    for (size_t i = 0; i < 40; i++) ids[i] = some_id(round, i, vocab);
    int rc = muse_session_open(&s, w->model, p, &why);
    if (rc == 0) rc = muse_image_open_pixels(&img, w->model->rt, rgb, 60, 40, 0, MUSE_PIXELS_RGB, NULL, &why);
    if (rc == 0) rc = muse_sequence_append_image(muse_session_sequence(s), img, NULL, &why);
    if (rc == 0) rc = muse_sequence_append_ids(muse_session_sequence(s), ids, 40, &why);
    if (rc == 0) rc = muse_session_prefill(s, &why);
    for (size_t i = 0; rc == 0 && i < 2; i++) rc = muse_session_fork(&f[i], s, &why);
    for (size_t i = 0; rc == 0 && i < 12; i++) rc = muse_session_step_batch(f, ids + i, 2, &why);
    for (size_t i = 0; rc == 0 && i < 12; i++) rc = muse_session_step(s, ids[i], &why);
    if (rc == 0) rc = muse_session_rewind(s, muse_sequence_length(muse_session_sequence(s)) - 5, &why);
    for (size_t i = 0; rc == 0 && i < 8; i++) rc = muse_session_step(s, ids[i], &why);
    if (rc == 0 && out) memcpy(out, muse_session_logits(s), vocab * sizeof *out);
    for (size_t i = 0; rc == 0 && !out && i < vocab; i++) {
        const double d = fabs((double)muse_session_logits(s)[i] - (double)w->want[round][i]);
        if (!(d <= *off)) *off = d;
    }
    MuseSessionInfo info = { 0 };
    muse_session_info(s, &info);
    *reused += info.reused;
    muse_image_close(&img);
    muse_session_close(&s);
    muse_session_close(&f[0]);
    muse_session_close(&f[1]);
    return rc;
}

static void *work(void *user)
{
    Shared *w = user;
    MuseSessionParams p = with(w->cache);
    for (uint32_t i = 0; i < ROUNDS; i++)
        if (run_round(w, &p, (i + w->number) % ROUNDS, &w->off, &w->reused, NULL) < 0) w->off = INFINITY;
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static const char *const shared[] = { "golden/gemma4-a/hf", "tiny/muse/hf" };
    for (size_t m = 0; m < COUNT_OF(shared); m++) {
        MuseRuntime *rt = open_runtime(1, NULL);
        MuseModel *model = open_model(shared[m], NULL, rt);
        Shared base = { .model = model }, w[THREADS];
        float *want[ROUNDS];
        base.want = want;
        for (uint32_t i = 0; i < ROUNDS; i++) {
            MuseSessionParams p = with(NULL);
            want[i] = malloc(model->config.vocab * sizeof(float));
            assert_int_equal(run_round(&base, &p, i, &base.off, &base.reused, want[i]), 0);
        }
        base.cache = cache_open(model, 0);
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            w[i] = base;
            w[i].number = i;
            assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
        }
        uint64_t reused = 0;
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            if (!(w[i].off <= 2e-3)) fail_msg("thread %u: off by %g", i, w[i].off);
            reused += w[i].reused;
        }
        assert_true(reused > 0);
        muse_prefix_cache_close(&base.cache);
        for (uint32_t i = 0; i < ROUNDS; i++) free(want[i]);
        muse_model_close(&model);
        muse_runtime_close(&rt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_same_picture), cmocka_unit_test(test_never_mixed), cmocka_unit_test(test_turns), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_threads) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
