/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions compute does not depend on how: chunks, steps, batches, forks, rewinds and truncated sequences give the logits of a
 * fresh prefill. Also room that was reserved, cancelling, progress, scores, errors, missing memory. Caches and threads: test_session_shared.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pthread.h>

#include "tests/unit/session_util.h"

/* f32 computing: sums in another order, the tolerance of tests/data/golden/README.md */
static const double close_enough = 2e-3;

static const char *const models[] = { "golden/gemma4-a/hf", "golden/gemma4-b/hf", "golden/qwen2/hf", "golden/llama3/hf", "tiny/muse/hf", "tiny/muse-b/hf", "tiny/fuyu/hf" };

static MuseSessionParams exact(uint32_t chunk) { return params_of(MUSE_COMPUTE_F32, MUSE_KV_F32, chunk); }

/* text, and media where the model takes them */
static void add_prompt(MuseSession *s, uint32_t seed)
{
    add_ids(s, seed, 37);
    if (s->model->config.image.live) add_image(s, 60, 40, 0, seed);
    add_ids(s, seed + 1, 21);
    if (s->model->config.audio.live) {
        int16_t pcm[9000];
        MuseAudio *audio = NULL;
        for (size_t i = 0; i < COUNT_OF(pcm); i++) pcm[i] = (int16_t)some_id(seed, i, 30000);
        assert_int_equal(muse_audio_open_pcm(&audio, s->model->rt, pcm, COUNT_OF(pcm), MUSE_PCM_S16, 16000, 1, NULL, &err), 0);
        assert_int_equal(muse_sequence_append_audio(s->seq, audio, NULL, NULL, &err), 0);
        muse_audio_close(&audio);
    }
    add_ids(s, seed + 2, 15);
}

static void close_to(const MuseSession *s, float *want, double limit)
{
    const double off = logits_off(s, want);
    if (!(off <= limit)) fail_msg("%s: logits at %zu positions are off by %g, limit %g", s->model->path, s->seq->length, off, limit);
}

/* logits of a fresh session over the same sequence */
static float *fresh_logits(const MuseSession *s)
{
    MuseSessionParams p = s->params;
    p.struct_size = sizeof p;
    p.stage = NULL;
    p.progress = NULL;
    p.cache = NULL;
    p.chunk = 0;
    MuseSession *f = session_open(s->model, &p);
    muse_sequence_close(&f->seq);
    assert_int_equal(muse_sequence_copy(&f->seq, s->seq, &err), 0);
    prefill(f);
    float *logits = logits_copy(f);
    muse_session_close(&f);
    return logits;
}

static void like_fresh(const MuseSession *s) { close_to(s, fresh_logits(s), close_enough); }

static void for_models(void (*fn)(Setup *t))
{
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        Setup t;
        setup_open(&t, models[i]);
        fn(&t);
        setup_close(&t);
    }
}

/* ---- chunks, steps, batches ---- */

static void chunks(Setup *t)
{
    static const uint32_t sizes[] = { 1, 3, 16, 31, 32, 33, 100 };
    for (uint32_t mask = 0; mask <= MUSE_IMAGE_MASK_CAUSAL; mask++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            MuseSessionParams p = exact(sizes[i]);
            p.image_mask = mask;
            MuseSession *s = session_open(t->model, &p);
            add_prompt(s, 1);
            prefill(s);
            like_fresh(s);
            muse_session_close(&s);
        }
}

static void test_chunks(void **state) { (void)state; for_models(chunks); }

static void steps(Setup *t)
{
    MuseSessionParams p = exact(0);
    MuseSession *s = session_open(t->model, &p);
    for (size_t i = 0; i < 40; i++) step(s, some_id(3, i, t->vocab));   /* from nothing */
    like_fresh(s);
    add_prompt(s, 1);
    for (size_t i = 0; i < 70; i++) step(s, some_id(4, i, t->vocab));   /* over what is pending */
    like_fresh(s);
    muse_session_close(&s);
}

static void test_steps(void **state) { (void)state; for_models(steps); }

/* ---- hidden states ---- */

typedef struct LastRow { float *row; size_t width, end; } LastRow;

static void keep_last(void *user, const char *stage, size_t first, const float *data, size_t rows, size_t width)
{
    LastRow *k = user;
    if (strcmp(stage, "final_norm") != 0) return;
    assert_int_equal(width, k->width);
    memcpy(k->row, data + (rows - 1) * width, width * sizeof *data);
    k->end = first + rows;
}

static void near_row(const float *got, const LastRow *want)
{
    assert_non_null(got);
    for (size_t i = 0; i < want->width; i++) assert_true(fabs((double)(got[i] - want->row[i])) <= close_enough);
}

/* the hidden state is the last row of stage "final_norm", whichever way the position was computed; forks have it, truncated sequences do not */
static void hidden(Setup *t)
{
    const size_t width = t->model->config.width;
    LastRow want = { calloc(width, sizeof(float)), width, 0 };
    MuseSessionParams p = exact(16), plain = exact(16);
    p.stage = keep_last;
    p.stage_user = &want;
    MuseSession *s[3] = { session_open(t->model, &plain), session_open(t->model, &p) };
    add_prompt(s[0], 1);
    add_prompt(s[1], 1);
    assert_null(muse_session_hidden(s[0]));
    prefill(s[0]);
    prefill(s[1]);
    assert_int_equal(want.end, s[1]->seq->length);
    assert_memory_equal(muse_session_hidden(s[1]), want.row, width * sizeof(float));
    near_row(muse_session_hidden(s[0]), &want);   /* computes no other row's last layer, so it may round otherwise */
    assert_int_equal(muse_session_fork(&s[2], s[0], &err), 0);
    assert_memory_equal(muse_session_hidden(s[2]), muse_session_hidden(s[0]), width * sizeof(float));
    const int32_t ids[] = { 3, 7 }, endings[][2] = { { 7 }, { 3, 5 } };
    MuseSession *both[] = { s[2], s[0] };
    assert_int_equal(muse_session_step_batch(both, ids, 2, &err), 0);   /* s[0] ends in 7 */
    step(s[2], 5);                                                       /* alone */
    const size_t length = s[1]->seq->length;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(muse_sequence_append_ids(s[1]->seq, endings[i], i + 1, &err), 0);
        prefill(s[1]);
        near_row(muse_session_hidden(s[i ? 2 : 0]), &want);
        assert_int_equal(muse_session_rewind(s[1], length, &err), 0);
    }
    assert_int_equal(muse_session_rewind(s[0], s[0]->seq->length - 1, &err), 0);
    assert_null(muse_session_hidden(s[0]));
    assert_null(muse_session_hidden(NULL));
    for (size_t i = 0; i < 3; i++) muse_session_close(&s[i]);
    free(want.row);
}

static void test_hidden(void **state) { (void)state; for_models(hidden); }

/* more than MUSE_HEAD_ROWS sessions of different lengths, forks among them, some pending */
static void batches(Setup *t)
{
    enum { N = 19 };
    MuseSession *s[N], *alone[N];
    MuseSessionParams p = exact(0);
    int32_t ids[N];
    for (size_t i = 0; i < N; i++) {
        if (i % 4 == 3) {
            assert_int_equal(muse_session_fork(&s[i], s[i - 1], &err), 0);
        } else {
            s[i] = session_open(t->model, &p);
            if (i % 5) add_ids(s[i], (uint32_t)i, 11 * i);
            if (i % 4 == 2) add_prompt(s[i], 2);
            if (i % 2 == 0 && s[i]->seq->length) prefill(s[i]);
        }
        assert_int_equal(muse_session_fork(&alone[i], s[i], &err), 0);
    }
    for (size_t k = 0; k < 40; k++) {
        for (size_t i = 0; i < N; i++) ids[i] = some_id((uint32_t)(10 + i), k, t->vocab);
        if (muse_session_step_batch(s, ids, N, &err) < 0) fail_msg("%s", err.text);
        for (size_t i = 0; i < N; i++) {
            step(alone[i], ids[i]);
            close_to(s[i], logits_copy(alone[i]), close_enough);
        }
    }
    for (size_t i = 0; i < N; i++) {
        muse_session_close(&s[i]);
        muse_session_close(&alone[i]);
    }
}

static void test_batches(void **state) { (void)state; for_models(batches); }

/* Coarser modes: the same prompt in chunks, by steps and in f32. The bounds are twice what was seen on these models, whose logits
 * spread over some 8: bf16 rounds to 2^-9, 8-bit keys and values to 1/254 of a block's largest. */
static void test_modes(void **state)
{
    (void)state;
    static const struct { uint32_t compute, kv; double limit; } modes[] = { { MUSE_COMPUTE_F32, MUSE_KV_BF16, 0.25 }, { MUSE_COMPUTE_F32, MUSE_KV_Q8, 1.1 },
        { MUSE_COMPUTE_BF16, MUSE_KV_BF16, 0.6 }, { MUSE_COMPUTE_BF16, MUSE_KV_Q8, 1.1 }, { MUSE_COMPUTE_AUTO, 0, 0.6 }, { MUSE_COMPUTE_INT8, MUSE_KV_F32, 0.4 } };
    for (size_t m = 0; m < COUNT_OF(models); m++) {
        Setup t;
        setup_open(&t, models[m]);
        MuseSessionParams p = exact(0);
        MuseSession *s = session_open(t.model, &p), *coarse, *chunked;
        add_prompt(s, 1);
        prefill(s);
        for (size_t i = 0; i < COUNT_OF(modes); i++) {
            p = params_of(modes[i].compute, modes[i].kv, 0);
            coarse = session_open(t.model, &p);
            p.chunk = 17;
            chunked = session_open(t.model, &p);
            add_prompt(coarse, 1);
            add_prompt(chunked, 1);
            prefill(coarse);
            prefill(chunked);
            close_to(coarse, logits_copy(s), modes[i].limit);
            close_to(chunked, logits_copy(coarse), modes[i].limit);
            muse_session_close(&coarse);
            muse_session_close(&chunked);
        }
        muse_session_close(&s);
        setup_close(&t);
    }
}

/* ---- forks, rewinds, other contents ---- */

/* four forks of a picture's prefix: memory grows by what each writes, and none sees another's */
static void forks(Setup *t)
{
    MuseSessionParams p = exact(0);
    MuseSession *s = session_open(t->model, &p), *f[4];
    add_prompt(s, 1);
    prefill(s);
    float *before = logits_copy(s);
    uint64_t page = 0, kept;
    for (uint32_t c = 0; c < muse_kv_layout(s->kv.pool)->n_classes; c++) page += muse_kv_layout(s->kv.pool)->page_bytes[c];
    uint64_t used, grown;
    muse_kv_pool_bytes(s->kv.pool, &used, &kept);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(muse_session_fork(&f[i], s, &err), 0);
        close_to(f[i], logits_copy(s), 0);
        assert_int_equal(info_of(f[i]).kv_own_bytes, 0);
    }
    muse_kv_pool_bytes(s->kv.pool, &grown, &kept);
    assert_int_equal(grown, used);
    for (size_t k = 0; k < 20; k++)
        for (size_t i = 0; i < 4; i++) step(f[i], some_id((uint32_t)i, k, t->vocab));
    muse_kv_pool_bytes(s->kv.pool, &grown, &kept);
    assert_true(grown <= used + 4 * 2 * page);   /* 20 positions: at most the page they began in and one more */
    for (size_t i = 0; i < 4; i++) {
        like_fresh(f[i]);
        if (i == 2) muse_session_close(&s);   /* the original may go first */
        if (s) close_to(s, memcpy(malloc(t->vocab * 4), before, t->vocab * 4), 0);
        muse_session_close(&f[i]);
    }
    free(before);
}

static void test_forks(void **state) { (void)state; for_models(forks); }

static bool inside_medium(const MuseSession *s, size_t n)
{
    for (size_t k = 0; k < s->seq->n_spans; k++) {
        const MuseSpanInfo *i = &s->seq->spans[k].info;
        if (i->modality != MUSE_TEXT && n > i->first && n < i->first + i->count) return true;
    }
    return false;
}

static void rewinds(Setup *t)
{
    MuseSessionParams p = exact(0);
    MuseSession *whole = session_open(t->model, &p), *s;
    add_prompt(whole, 1);
    add_ids(whole, 4, 60);
    prefill(whole);
    for (size_t n = 0; n <= whole->seq->length; n += n % 7 == 0 ? 5 : 8) {
        assert_int_equal(muse_session_fork(&s, whole, &err), 0);
        const int rc = muse_session_rewind(s, n, &err);
        if (inside_medium(whole, n)) {
            assert_int_equal(rc, MUSE_ERR_ARG);
            close_to(s, logits_copy(whole), 0);   /* nothing changed */
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(s->seq->length, n);
            assert_true((muse_session_logits(s) != NULL) == (n == whole->seq->length));
            if (n > 0) {   /* the last position again, for its logits */
                prefill(s);
                like_fresh(s);
            }
            step(s, 5);
            add_ids(s, 6, 9);
            prefill(s);
            like_fresh(s);
        }
        muse_session_close(&s);
    }
    assert_int_equal(muse_session_rewind(whole, whole->seq->length + 1, &err), MUSE_ERR_ARG);
    muse_session_close(&whole);
}

static void test_rewinds(void **state) { (void)state; for_models(rewinds); }

/* the sequence is cut and grown behind the session's back: keys of what was there are not used */
static void truncated(Setup *t)
{
    MuseSessionParams p = exact(0);
    MuseSession *s = session_open(t->model, &p);
    add_ids(s, 1, 80);
    prefill(s);
    assert_int_equal(muse_sequence_truncate(s->seq, 50, &err), 0);
    assert_null(muse_session_logits(s));
    assert_int_equal(info_of(s).computed, 50);
    add_ids(s, 2, 30);
    assert_null(muse_session_logits(s));
    assert_int_equal(info_of(s).computed, 50);
    prefill(s);
    like_fresh(s);
    assert_int_equal(muse_sequence_truncate(s->seq, 70, &err), 0);
    add_ids(s, 3, 4);
    assert_int_equal(muse_sequence_truncate(s->seq, 72, &err), 0);   /* the lowest counts */
    add_ids(s, 4, 8);
    MuseSession *f;
    assert_int_equal(muse_session_fork(&f, s, &err), 0);   /* before anybody looked */
    prefill(f);
    like_fresh(f);
    step(s, 7);
    like_fresh(s);
    assert_int_equal(muse_sequence_truncate(s->seq, 0, &err), 0);
    add_prompt(s, 5);
    prefill(s);
    like_fresh(s);
    muse_session_close(&f);
    muse_session_close(&s);
}

static void test_truncated(void **state) { (void)state; for_models(truncated); }

static void scores(Setup *t)
{
    enum { N = 45 };
    MuseSessionParams p = exact(16);
    MuseSession *s = session_open(t->model, &p), *f;
    int32_t ids[N];
    double got[N];
    add_prompt(s, 1);
    for (size_t i = 0; i < N; i++) ids[i] = some_id(8, i, t->vocab);
    if (muse_session_score(s, ids, N, got, &err) < 0) fail_msg("%s", err.text);
    const size_t length = s->seq->length;
    assert_int_equal(info_of(s).computed, length);
    assert_int_equal(muse_session_fork(&f, s, &err), 0);
    for (size_t i = 0; i < N; i++) {
        const float *x = muse_session_logits(f);
        double sum = 0;
        for (size_t k = 0; k < t->vocab; k++) sum += exp((double)x[k]);
        const double want = (double)x[ids[i]] - log(sum);
        if (!(fabs(want - got[i]) <= 4e-3)) fail_msg("%s: score %zu is %g, expected %g", s->model->path, i, got[i], want);
        if (i + 1 < N) step(f, ids[i]);
    }
    assert_int_equal(s->seq->length, length);
    like_fresh(s);
    ids[3] = -1;
    assert_int_equal(muse_session_score(s, ids, 4, got, &err), MUSE_ERR_ARG);
    ids[3] = (int32_t)t->vocab;
    assert_int_equal(muse_session_score(s, ids, 4, got, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_score(s, ids, 0, got, &err), MUSE_ERR_ARG);
    ids[3] = 1;
    assert_int_equal(muse_session_score(s, ids, 4, got, &err), 0);
    s->logits[3] = NAN;
    assert_int_equal(muse_session_score(s, ids, 4, got, &err), MUSE_ERR_STATE);
    muse_session_close(&f);
    muse_session_close(&s);
}

static void test_scores(void **state) { (void)state; for_models(scores); }

/* ---- cancel, progress ---- */

typedef struct Watch {
    MuseSession *s;
    uint64_t calls, done, total;
    uint64_t stop_at;          /* progress: non-zero from this call on; 0: never */
    uint64_t cancel_at;        /* another thread cancels at this call; 0: never */
    uint32_t layers;           /* stages "layers" seen; cancel after this one */
    uint32_t cancel_layer;
} Watch;

static void *cancel_it(void *session)
{
    muse_session_cancel(session);
    return NULL;
}

static void cancel_from_thread(MuseSession *s)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_it, s), 0);
    pthread_join(thread, NULL);
}

static int watch(void *user, uint64_t done, uint64_t total)
{
    Watch *w = user;
    assert_true(done > w->done && done <= total);
    w->done = done;
    w->total = total;
    if (++w->calls == w->cancel_at) cancel_from_thread(w->s);
    return w->stop_at && w->calls >= w->stop_at;
}

static void watch_stage(void *user, const char *stage, size_t first, const float *data, size_t rows, size_t width)
{
    Watch *w = user;
    (void)first, (void)data, (void)rows, (void)width;
    if (strncmp(stage, "layers", 6) == 0 && ++w->layers == w->cancel_layer) cancel_from_thread(w->s);
}

static void test_cancel(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/gemma4-a/hf");
    for (size_t way = 0; way < 4; way++) {
        Watch w = { .stop_at = way == 0 ? 3 : 0, .cancel_at = way == 1 ? 3 : 0, .cancel_layer = way == 2 ? 15 : 0 };
        MuseSessionParams p = exact(16);
        p.progress = watch;
        p.progress_user = &w;
        if (way == 2) {
            p.stage = watch_stage;
            p.stage_user = &w;
        }
        MuseSession *s = w.s = session_open(t.model, &p);
        add_ids(s, 1, 100);
        if (way == 3) cancel_from_thread(s);   /* without a call: the next one */
        assert_int_equal(muse_session_prefill(s, &err), MUSE_ERR_CANCELLED);
        assert_int_equal(info_of(s).computed, way == 3 ? 0 : way == 2 ? 32 : 48);   /* whole chunks; six layers each */
        assert_null(muse_session_logits(s));
        w.stop_at = w.cancel_at = w.cancel_layer = 0;
        prefill(s);
        assert_int_equal(w.done, 100);
        assert_int_equal(w.total, 100);
        like_fresh(s);
        /* a step */
        float *before = logits_copy(s);
        cancel_from_thread(s);
        assert_int_equal(muse_session_step(s, 3, &err), MUSE_ERR_CANCELLED);
        assert_int_equal(s->seq->length, 100);
        close_to(s, before, 0);
        step(s, 3);
        like_fresh(s);
        /* one of a batch stops all */
        MuseSession *both[2] = { s, NULL };
        const int32_t ids[2] = { 4, 5 };
        assert_int_equal(muse_session_fork(&both[1], s, &err), 0);
        cancel_from_thread(both[1]);
        assert_int_equal(muse_session_step_batch(both, ids, 2, &err), MUSE_ERR_CANCELLED);
        assert_true(s->seq->length == 101 && both[1]->seq->length == 101);
        assert_int_equal(muse_session_step_batch(both, ids, 2, &err), 0);
        like_fresh(s);
        like_fresh(both[1]);
        muse_session_close(&both[1]);
        /* a score computes on a fork, but this session's cancel stops it */
        double logprobs[3];
        cancel_from_thread(s);
        assert_int_equal(muse_session_score(s, (const int32_t[]){ 1, 2, 3 }, 3, logprobs, &err), MUSE_ERR_CANCELLED);
        assert_int_equal(muse_session_score(s, (const int32_t[]){ 1, 2, 3 }, 3, logprobs, &err), 0);
        assert_int_equal(s->seq->length, 102);
        muse_session_close(&s);
    }
    setup_close(&t);
}

/* ---- room ---- */

static void no_allocation(Setup *t, MuseSession *s, size_t n, uint32_t seed)
{
    const long calls = t->meter.calls;
    for (size_t i = 0; i < n; i++) step(s, some_id(seed, i, t->vocab));
    if (t->meter.calls != calls) fail_msg("%s: %ld allocations in %zu steps", s->model->path, t->meter.calls - calls, n);
}

static void reserves(Setup *t)
{
    for (size_t way = 0; way < 4; way++) {   /* with a cache or not; reserved before the prefill or after */
        MusePrefixCache *cache = NULL;
        assert_int_equal(muse_prefix_cache_open(&cache, t->model, 0, &err), 0);
        MuseSessionParams p = exact(way % 2 ? 0 : 20);
        p.max_positions = 1000;
        if (way >= 2) p.cache = cache;
        MuseSession *before = session_open(t->model, &p), *s = session_open(t->model, &p), *f, *other = session_open(t->model, &p);
        add_prompt(before, 1);
        prefill(before);   /* with a cache, s takes over its pages */
        add_prompt(s, 1);
        if (way % 2) assert_int_equal(muse_session_reserve(s, 300, &err), 0);
        prefill(s);
        if (way % 2 == 0) assert_int_equal(muse_session_reserve(s, 300, &err), 0);
        add_ids(other, 9, 100);
        prefill(other);
        assert_int_equal(muse_session_reserve(other, 800, &err), 0);   /* takes what the common pool has */
        no_allocation(t, s, 150, 5);
        assert_int_equal(muse_session_fork(&f, s, &err), 0);
        assert_int_equal(muse_session_reserve(f, 300, &err), 0);
        assert_int_equal(muse_session_reserve(s, 150, &err), 0);
        no_allocation(t, f, 300, 6);
        no_allocation(t, s, 150, 7);
        like_fresh(s);
        like_fresh(f);
        const size_t left = 1000 - s->seq->length;
        assert_int_equal(muse_session_reserve(s, left + 1, &err), MUSE_ERR_LIMIT);
        assert_int_equal(muse_session_reserve(s, SIZE_MAX, &err), MUSE_ERR_LIMIT);
        assert_int_equal(muse_session_reserve(s, 0, &err), 0);
        muse_session_close(&before);
        muse_session_close(&s);
        muse_session_close(&f);
        muse_session_close(&other);
        muse_prefix_cache_close(&cache);
    }
}

static void test_reserves(void **state) { (void)state; for_models(reserves); }

/* what a session uses is within what the model says it will */
static void memory(Setup *t)
{
    static const size_t lengths[] = { 1, 2, 31, 100, 400, 1700 };
    for (size_t i = 0; i < COUNT_OF(lengths) && lengths[i] < t->model->config.context; i++)
        for (uint32_t compute = MUSE_COMPUTE_AUTO; compute <= MUSE_COMPUTE_INT8; compute++) {
            Setup u;   /* of its own: another session's larger scratch may serve */
            setup_open(&u, strstr(t->model->path, "hf") ? t->model->path + strlen(getenv("MUSE_TEST_DATA")) + 1 : "");
            MuseSessionParams p = params_of(compute, 0, 0);
            MuseSession *s = session_open(u.model, &p);
            MuseModelMemory m;
            add_ids(s, 1, lengths[i]);
            if (i > 2 && t->model->config.image.live) add_image(s, 60, 40, 0, 1);
            prefill(s);
            assert_int_equal(muse_model_memory(u.model, s->seq->length, &m), 0);
            const MuseSessionInfo info = info_of(s);
            if (info.workspace_bytes > m.workspace) fail_msg("%s: %zu positions take %llu bytes of scratch, stated are %llu", s->model->path, s->seq->length,
                                                             (unsigned long long)info.workspace_bytes, (unsigned long long)m.workspace);
            const uint64_t kv = info.kv == MUSE_KV_F32 ? 2 * m.kv_16 : m.kv_16;
            if (info.kv_bytes > kv) fail_msg("%s: %llu bytes of keys, stated are %llu", s->model->path, (unsigned long long)info.kv_bytes, (unsigned long long)kv);
            muse_session_close(&s);
            setup_close(&u);
        }
}

static void test_memory(void **state) { (void)state; for_models(memory); }

/* ---- large parts ---- */

/* a picture of more positions than a chunk; 95 s of sound; both all used */
static void test_large(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/gemma4-a/hf");
    MuseSessionParams p = exact(512);
    MuseSession *s = session_open(t.model, &p);
    s->seq->family.image.budgets[1] = 1120;   /* the tiny checkpoint has the smallest only */
    add_ids(s, 1, 30);
    add_image(s, 700, 600, 1120, 1);
    assert_true(s->seq->spans[1].info.n_features > 862);
    add_ids(s, 2, 10);
    prefill(s);
    assert_int_equal(info_of(s).computed, s->seq->length);
    p.chunk = 4096;
    MuseSession *once = session_open(t.model, &p);
    once->seq->family.image.budgets[1] = 1120;
    add_ids(once, 1, 30);
    add_image(once, 700, 600, 1120, 1);
    add_ids(once, 2, 10);
    prefill(once);
    close_to(s, logits_copy(once), close_enough);
    muse_session_close(&once);
    muse_session_close(&s);

    const size_t n = 95 * 16000;
    int16_t *pcm = malloc(n * sizeof *pcm);
    for (size_t i = 0; i < n; i++) pcm[i] = (int16_t)(some_id(2, i, 20000) - 10000);
    for (size_t way = 0; way < 2; way++) {   /* the last frame counts */
        MuseAudio *audio = NULL;
        if (way) memset(pcm + n - 640, 0x11, 640 * sizeof *pcm);
        assert_int_equal(muse_audio_open_pcm(&audio, t.rt, pcm, n, MUSE_PCM_S16, 16000, 1, NULL, &err), 0);
        MuseSession *a = session_open(t.model, NULL);
        assert_int_equal(muse_sequence_append_audio(a->seq, audio, NULL, NULL, &err), 0);
        assert_int_equal(a->seq->spans[0].info.n_features, 2375);
        prefill(a);
        assert_int_equal(info_of(a).computed, a->seq->length);
        if (way) assert_true(logits_off(a, logits_copy(s)) > 0);
        muse_audio_close(&audio);
        if (!way) s = a;
        else muse_session_close(&a);
    }
    muse_session_close(&s);
    free(pcm);
    setup_close(&t);
}

/* ---- errors ---- */

static void test_refused(void **state)
{
    (void)state;
    Setup t, u;
    setup_open(&t, "golden/qwen2/hf");
    setup_open(&u, "tiny/muse/hf");
    MuseSessionParams p = exact(0);
    MuseSession *s = NULL, *v;
    /* open */
    static const struct { uint32_t compute, kv, mask, chunk; uint64_t most; } bad[] = { { 4, 0, 0, 0, 0 }, { 0, 4, 0, 0, 0 }, { 0, 0, 4, 0, 0 }, { 0, 0, 0, 65537, 0 }, { 0, 0, 0, 0, UINT64_C(1) << 31 } };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        p = params_of(bad[i].compute, bad[i].kv, bad[i].chunk);
        p.image_mask = bad[i].mask;
        p.max_positions = bad[i].most;
        s = (MuseSession *)(uintptr_t)1;
        assert_int_equal(muse_session_open(&s, t.model, &p, &err), MUSE_ERR_ARG);
        assert_null(s);
    }
    assert_int_equal(muse_session_open(&s, NULL, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_open(NULL, t.model, NULL, &err), MUSE_ERR_ARG);
    MusePrefixCache *cache = NULL;
    assert_int_equal(muse_prefix_cache_open(&cache, t.model, 0, &err), 0);
    p = exact(0);
    p.cache = cache;
    assert_int_equal(muse_session_open(&s, u.model, &p, &err), MUSE_ERR_ARG);   /* another model's */
    muse_prefix_cache_close(&cache);
    p = exact(0);
    p.max_positions = 60;
    s = session_open(t.model, &p);
    v = session_open(u.model, &p);
    /* contents */
    assert_int_equal(muse_session_prefill(s, &err), MUSE_ERR_STATE);
    MuseImage *img = noise_image(t.rt, 20, 20, 1);
    assert_int_equal(muse_sequence_append_image(s->seq, img, NULL, &err), MUSE_ERR_UNSUPPORTED);   /* a text-only model */
    assert_int_equal(s->seq->length, 0);
    muse_image_close(&img);
    assert_int_equal(muse_sequence_append_image_size(v->seq, 20, 20, NULL, &err), 0);
    assert_int_equal(muse_session_prefill(v, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_session_rewind(v, 0, &err), 0);
    const float rows[100] = { 0 };
    assert_int_equal(muse_sequence_append_rows(v->seq, rows, 2, 7, &err), 0);
    assert_int_equal(muse_session_prefill(v, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_step(v, 1, &err), MUSE_ERR_ARG);
    assert_int_equal(v->seq->length, 2);
    assert_int_equal(muse_session_rewind(v, 0, &err), 0);
    assert_int_equal(muse_session_step(s, -1, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_step(s, (int32_t)t.vocab, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_step(NULL, 1, &err), MUSE_ERR_ARG);
    s->seq->tokenizer = NULL;   /* an id that the tokenizer would have refused */
    assert_int_equal(muse_sequence_append_ids(s->seq, (const int32_t[]){ 1, (int32_t)t.vocab }, 2, &err), 0);
    assert_int_equal(muse_session_prefill(s, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "beyond"));
    assert_int_equal(muse_session_rewind(s, 0, &err), 0);
    /* limits */
    add_ids(s, 1, 58);
    step(s, 1);
    step(s, 2);
    float *before = logits_copy(s);
    assert_int_equal(muse_session_step(s, 3, &err), MUSE_ERR_LIMIT);
    close_to(s, before, 0);
    assert_int_equal(muse_sequence_append_ids(s->seq, (const int32_t[]){ 1 }, 1, &err), MUSE_ERR_LIMIT);
    /* batches */
    MuseSession *x[3] = { s, v, s };
    const int32_t ids[3] = { 1, 2, 3 };
    assert_int_equal(muse_session_rewind(s, 20, &err), 0);
    step(s, 7);
    before = logits_copy(s);
    assert_int_equal(muse_session_step_batch(x, ids, 2, &err), MUSE_ERR_ARG);   /* two models */
    x[1] = x[2];
    assert_int_equal(muse_session_step_batch(x, ids, 2, &err), MUSE_ERR_ARG);   /* one twice */
    x[1] = NULL;
    assert_int_equal(muse_session_step_batch(x, ids, 2, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_step_batch(x, ids, 0, &err), MUSE_ERR_ARG);
    p = params_of(MUSE_COMPUTE_F32, MUSE_KV_Q8, 0);
    x[1] = session_open(t.model, &p);   /* another kind of keys */
    assert_int_equal(muse_session_step_batch(x, ids, 2, &err), MUSE_ERR_ARG);
    muse_session_close(&x[1]);
    p = exact(0);
    p.max_positions = 1;
    x[1] = session_open(t.model, &p);
    step(x[1], 1);
    assert_int_equal(muse_session_step_batch(x, ids, 2, &err), MUSE_ERR_LIMIT);   /* the second has no room: the first is as before */
    assert_int_equal(s->seq->length, 21);
    close_to(s, before, 0);
    muse_session_close(&x[1]);
    /* nothing to do, nobody there */
    assert_int_equal(muse_session_prefill(s, &err), 0);
    assert_null(muse_session_logits(NULL));
    assert_null(muse_session_sequence(NULL));
    muse_session_cancel(NULL);
    muse_session_close(NULL);
    MuseSession *none = NULL;
    muse_session_close(&none);
    muse_session_close(&s);
    muse_session_close(&v);
    setup_close(&t);
    setup_close(&u);
}

/* ---- no memory ---- */

/* everything a session does, each call made to fail at its n-th allocation until it no longer does; it then goes on as if nothing was */
static int again(Setup *t, int (*call)(MuseSession **s, void *user), MuseSession **s, void *user)
{
    int n = 0, rc;
    do {
        t->meter.fail_at = t->meter.calls + ++n;
        rc = call(s, user);
        assert_true(rc == 0 || rc == MUSE_ERR_NOMEM);
    } while (rc < 0);
    t->meter.fail_at = 0;
    return n;
}


static int do_open(MuseSession **s, void *user)
{
    const MuseSessionParams p = exact(0);
    return muse_session_open(s, user, &p, &err);
}

static int do_prefill(MuseSession **s, void *user) { (void)user; return muse_session_prefill(*s, &err); }
static int do_step(MuseSession **s, void *user) { return muse_session_step(*s, *(int32_t *)user, &err); }
static int do_reserve(MuseSession **s, void *user) { (void)user; return muse_session_reserve(*s, 70, &err); }
static int do_fork(MuseSession **s, void *user) { return muse_session_fork(s, user, &err); }
static int do_batch(MuseSession **s, void *user) { return muse_session_step_batch(s, user, 2, &err); }

static int do_score(MuseSession **s, void *user)
{
    double logprobs[20];
    return muse_session_score(*s, user, 20, logprobs, &err);
}

static void no_memory(Setup *t)
{
    MuseSession *s[2] = { NULL };
    int32_t ids[20] = { 1, 2, 3, 4, 5 };
    assert_true(again(t, do_open, s, t->model) > 3);
    add_prompt(s[0], 1);
    assert_true(again(t, do_prefill, s, NULL) > 2);
    for (ids[0] = 0; ids[0] < 40; ids[0]++) again(t, do_step, s, ids);
    assert_true(again(t, do_reserve, s, NULL) > 1);
    assert_true(again(t, do_fork, s + 1, s[0]) > 3);
    assert_true(again(t, do_score, s, ids) > 3);
    again(t, do_batch, s, ids);
    like_fresh(s[0]);
    like_fresh(s[1]);
    muse_session_close(&s[0]);
    muse_session_close(&s[1]);
}

/* A folder without tokenizer.json takes ids; one whose tokenizer.json can't be read is an error, not a model without tokenizer. */
static void test_tokenizers(void **state)
{
    (void)state;
    static const char *const files[] = { "config.json", "model.safetensors" };
    char folder[] = "/tmp/muse-session-XXXXXX", path[4096];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        char from[512];
        snprintf(from, sizeof from, "golden/qwen2/hf/%s", files[i]);
        assert_int_equal(symlink(path_of(from, ""), path), 0);
    }
    MuseModel *m = NULL;
    MuseSession *s = NULL;
    assert_int_equal(muse_model_open(&m, NULL, folder, NULL, &err), 0);
    assert_int_equal(muse_session_open(&s, m, NULL, &err), 0);
    assert_null(muse_session_tokenizer(s));
    muse_session_close(&s);
    muse_model_close(&m);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_int_equal(mkdir(path, 0700), 0);   /* there, but not a file that can be read */
    assert_int_equal(muse_model_open(&m, NULL, folder, NULL, &err), 0);
    assert_int_equal(muse_session_open(&s, m, NULL, &err), MUSE_ERR_IO);
    muse_model_close(&m);
    rmdir(path);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void test_no_memory(void **state)
{
    (void)state;
    for_models(no_memory);
    Setup t;
    MuseSession *s[2] = { NULL };
    setup_open(&t, "model/tiny-llama");   /* without tokenizer.json, which is looked for by a path that takes memory */
    again(&t, do_open, s, t.model);       /* makes what sessions share; the next one asks for its own only */
    again(&t, do_open, s + 1, t.model);
    muse_session_close(&s[0]);
    muse_session_close(&s[1]);
    setup_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_chunks), cmocka_unit_test(test_steps), cmocka_unit_test(test_hidden), cmocka_unit_test(test_batches), cmocka_unit_test(test_modes),
        cmocka_unit_test(test_forks), cmocka_unit_test(test_rewinds), cmocka_unit_test(test_truncated), cmocka_unit_test(test_scores), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_reserves), cmocka_unit_test(test_memory), cmocka_unit_test(test_large), cmocka_unit_test(test_refused), cmocka_unit_test(test_tokenizers), cmocka_unit_test(test_no_memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
