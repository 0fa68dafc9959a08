/* SPDX-License-Identifier: Apache-2.0 */
/* Attention maps: against a slow softmax over the keys themselves, sums, sessions that stay the same to the bit, batches, pictures as heat maps,
 * refused values, memory that fails. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libmuse/decoder/plan.h"
#include "muse/attention.h"
#include "tests/unit/session_util.h"

static const char *const models[] = { "tiny/muse/hf", "tiny/fuyu/hf", "golden/gemma4-a/hf", "golden/llama3/hf", "golden/qwen3/hf" };

static void ok(int rc)
{
    if (rc < 0) fail_msg("%s: %s", muse_status_name(rc), err.text);
}

static void watch_range(MuseSession *s, uint64_t first, uint64_t n)
{
    MuseWatchParams p;
    muse_watch_params_init(&p);
    p.first = first;
    p.n = n;
    ok(muse_session_watch(s, &p, &err));
}

/* ---- against the keys ---- */

static double key(const MuseKv *kv, const MuseKvLayer *at, size_t g, size_t p, size_t i, size_t width)   /* F32 pages, ops/attend.h */
{
    const uint8_t *page = kv->pages[at->class_of][p / 32];
    const float *keys = (const float *)(const void *)(page + at->offset + 2 * g * at->head_bytes);
    return (double)keys[(p % 32 / 16 * width + i) * 16 + p % 16];
}

/* exp(q.k scale) over its sum, in double, for every key that the range shows */
static void slow_softmax(const MuseSession *s, const float *q, uint32_t layer, size_t head, MuseRange range, double *w, size_t n)
{
    const MuseLayerConfig *l = &s->model->config.layers[layer];
    const MuseKvLayer *at = &muse_kv_layout(s->kv.pool)->layers[layer];
    double most = -INFINITY, sum = 0;
    for (size_t p = 0; p < n; p++) {
        w[p] = -INFINITY;
        if (p < range.lo || p >= range.hi) continue;
        w[p] = 0;
        for (size_t i = 0; i < l->head_width; i++) w[p] += (double)q[i] * key(&s->kv, at, head / (l->heads / l->kv_heads), p, i, l->head_width);
        w[p] *= (double)l->scale;
        most = fmax(most, w[p]);
    }
    for (size_t p = 0; p < n; p++) sum += w[p] = exp(w[p] - most);
    for (size_t p = 0; p < n; p++) w[p] /= sum;
}

/* Random queries over a session's real keys through muse_decoder_attend(): n_slots forks with one row each, or one with several rows. */
static void compare_layer(MuseSession **s, size_t n_slots, size_t rows, uint32_t layer)
{
    const MuseDecoder *d = s[0]->decoder;
    const MuseLayerConfig *l = &d->model->config.layers[layer];
    const size_t T = s[0]->kv.length, all = n_slots * rows;
    const MuseKvLayer *at = &muse_kv_layout(s[0]->kv.pool)->layers[layer];
    MuseWorkspace *ws;
    MuseSlot slots[3];
    ok(muse_workspace_take(&ws, d, all, &err));
    for (size_t i = 0; i < all * l->heads * l->head_width; i++) ws->q[i] = (float)(some_id(layer + 7, i, 2001) - 1000) / 500;
    const uint32_t window = muse_kv_layout(s[0]->kv.pool)->window[at->class_of];
    const MuseRange range = { window && window < T ? (uint32_t)T - window : 0, (uint32_t)T };
    for (size_t t = 0; t < all; t++) ws->ranges[at->class_of * ws->n_rows + t] = range;
    for (size_t i = 0; i < n_slots; i++) {
        watch_range(s[i], 0, T + 3);   /* some that are not there */
        slots[i] = (MuseSlot){ &s[i]->kv, i * rows, rows, muse_session_watch_of(s[i]) };
    }
    const MuseBatch batch = { .slots = slots, .n_slots = n_slots, .n_rows = all };
    muse_decoder_attend(d, ws, &batch, layer);
    double *want = malloc((T + 3) * sizeof *want);
    for (size_t i = 0; i < n_slots; i++)
        for (size_t h = 0; h < s[i]->model->config.layers[layer].heads && h < slots[i].watch->n_heads; h++) {
            const float *got = slots[i].watch->weights + (layer * slots[i].watch->n_heads + h) * (T + 3);
            slow_softmax(s[i], ws->q + ((i * rows + rows - 1) * l->heads + h) * l->head_width, layer, h, range, want, T);
            want[T] = want[T + 1] = want[T + 2] = 0;
            for (size_t p = 0; p < T + 3; p++)
                if (!(fabs((double)got[p] - want[p]) < 2e-6)) fail_msg("layer %u head %zu position %zu: %g, not %g", layer, h, p, (double)got[p], want[p]);
        }
    free(want);
    muse_workspace_give(d, &ws);
}

static void slow_reference(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT_OF(models); m++) {
        Setup t;
        setup_open(&t, models[m]);
        const MuseSessionParams p = params_of(MUSE_COMPUTE_F32, MUSE_KV_F32, 0);
        MuseSession *s[3] = { session_open(t.model, &p) };
        add_ids(s[0], 3, 45);
        prefill(s[0]);
        for (int i = 1; i < 3; i++) {
            ok(muse_session_fork(&s[i], s[0], &err));
            step(s[i], some_id(9, (size_t)i, t.vocab));   /* pages that differ */
        }
        step(s[0], 1);
        for (uint32_t layer = 0; layer < t.model->config.n_layers; layer++) {
            compare_layer(s, 1, 1, layer);
            compare_layer(s, 1, 5, layer);
            compare_layer(s, 3, 1, layer);
        }
        for (int i = 0; i < 3; i++) muse_session_close(&s[i]);
        setup_close(&t);
    }
}

/* ---- whole sessions ---- */

/* Every head's weights sum to 1, and what the session computes is the same to the bit. */
static void sums_and_bits(void **state)
{
    (void)state;
    static const uint32_t kvs[] = { MUSE_KV_F32, MUSE_KV_BF16, MUSE_KV_Q8 };
    for (size_t m = 0; m < COUNT_OF(models); m++)
        for (size_t v = 0; v < COUNT_OF(kvs); v++) {
            Setup t;
            setup_open(&t, models[m]);
            const MuseSessionParams p = params_of(MUSE_COMPUTE_F32, kvs[v], 16);
            MuseSession *a = session_open(t.model, &p), *b = session_open(t.model, &p);
            add_ids(a, 5, 40);
            add_ids(b, 5, 40);
            watch_range(b, 0, 64);
            prefill(a);
            prefill(b);
            for (size_t k = 0; k < 4; k++) {
                MuseWatched w;
                assert_int_equal(muse_session_watched(b, &w, &err), 0);
                assert_true(w.position == 39 + k && w.tokens == k + 1 && w.n == 64 && w.n_layers == t.model->config.n_layers);
                assert_memory_equal(muse_session_logits(a), muse_session_logits(b), t.vocab * sizeof(float));
                double mean = 0;
                for (size_t r = 0; r < w.n_layers * w.n_heads; r++) {
                    double sum = 0;
                    for (size_t i = 0; i < w.n; i++) sum += (double)w.weights[r * w.n + i];
                    if (!(fabs(sum - 1) < (kvs[v] == MUSE_KV_Q8 ? 2e-3 : 1e-5))) fail_msg("%s kv %u head %zu: %g", models[m], kvs[v], r, sum);   /* Q8 may round q to 16 bits */
                    for (size_t i = 40 + k; i < w.n; i++) assert_true(w.weights[r * w.n + i] == 0);
                }
                for (size_t i = 0; i < w.n; i++) mean += w.mean[i];
                assert_true(fabs(mean - 1) < 2e-3);
                step(a, (int32_t)k);
                step(b, (int32_t)k);
            }
            muse_session_close(&a);
            muse_session_close(&b);
            setup_close(&t);
        }
}

/* A watched fork in a batch sees what it sees alone; who does not watch gets nothing. */
static void batches(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "tiny/muse/hf");
    const MuseSessionParams p = params_of(MUSE_COMPUTE_F32, MUSE_KV_F32, 0);
    MuseSession *a = session_open(t.model, &p), *b, *alone;
    add_ids(a, 5, 70);
    prefill(a);
    ok(muse_session_fork(&b, a, &err));
    ok(muse_session_fork(&alone, a, &err));
    const uint32_t layers[] = { 1 }, heads[] = { 1, 0 };
    MuseWatchParams w;
    muse_watch_params_init(&w);
    w.first = 10;
    w.n = 30;
    w.layers = layers;
    w.n_layers = 1;
    w.heads = heads;
    w.n_heads = 2;
    ok(muse_session_watch(b, &w, &err));
    ok(muse_session_watch(alone, &w, &err));
    MuseSession *both[] = { a, b };
    const int32_t ids[] = { 4, 9 };
    MuseWatched x, y;
    assert_int_equal(muse_session_watched(b, &x, &err), MUSE_AGAIN);
    ok(muse_session_step_batch(both, ids, 2, &err));
    step(alone, 9);
    assert_int_equal(muse_session_watched(b, &x, &err), 0);
    assert_int_equal(muse_session_watched(alone, &y, &err), 0);
    assert_true(x.n_layers == 1 && x.n_heads == 2 && x.first == 10 && x.n == 30);
    for (size_t i = 0; i < 60; i++) assert_true(fabs((double)(x.weights[i] - y.weights[i])) < 1e-6 && x.weights[i] > 0);
    watch_range(alone, 10, 30);   /* all heads: head 1 is the second there, the first here */
    step(alone, 9);
    assert_int_equal(muse_session_watched(a, &x, &err), MUSE_ERR_STATE);
    ok(muse_session_watch(b, NULL, &err));
    assert_int_equal(muse_session_watched(b, &x, &err), MUSE_ERR_STATE);
    muse_session_close(&a);
    muse_session_close(&b);
    muse_session_close(&alone);
    setup_close(&t);
}

/* ---- pictures ---- */

static void heat_map(void **state)
{
    (void)state;
    static const char *const with_pictures[] = { "tiny/muse/hf", "tiny/fuyu/hf", "golden/gemma4-a/hf" };
    for (size_t m = 0; m < COUNT_OF(with_pictures); m++) {
        Setup t;
        setup_open(&t, with_pictures[m]);
        MuseSession *s = session_open(t.model, NULL);
        add_ids(s, 1, 3);
        MuseImage *whole = noise_image(t.rt, 200, 90, 3), *part = NULL;
        ok(muse_image_region(&part, whole, (MuseRect){ 40, 10, 168, 74 }, &err));
        ok(muse_sequence_append_image(muse_session_sequence(s), part, NULL, &err));
        MuseWatchParams p;
        muse_watch_params_init(&p);
        p.image = 1;
        ok(muse_session_watch(s, &p, &err));
        float values[2048];
        MuseTraceHeat heat;
        assert_int_equal(muse_session_heat(s, 1, values, COUNT_OF(values), &heat, &err), MUSE_ERR_STATE);
        add_ids(s, 2, 4);
        prefill(s);
        step(s, 5);
        assert_int_equal(muse_session_heat(s, 2, values, COUNT_OF(values), &heat, &err), MUSE_ERR_ARG);
        assert_int_equal(muse_session_heat(s, 1, values, 1, &heat, &err), MUSE_ERR_FULL);
        ok(muse_session_heat(s, 1, values, COUNT_OF(values), &heat, &err));
        MuseWatched w;
        ok(muse_session_watched(s, &w, &err));
        size_t seen = 0;
        for (size_t i = 0; i < w.n; i++) {   /* each patch's value lies where the sequence says the patch is */
            MusePosition at;
            ok(muse_sequence_position(muse_session_sequence(s), (size_t)w.first + i, &at));
            if (at.is_marker) continue;
            assert_true(values[(size_t)at.y * heat.width + (size_t)at.x] == (float)w.mean[i]);
            const double x0 = heat.rect.x0 + (heat.rect.x1 - heat.rect.x0) * at.x / heat.width, y1 = heat.rect.y0 + (heat.rect.y1 - heat.rect.y0) * (at.y + 1) / heat.height;
            assert_true(fabs(x0 - at.source.x0) < 1e-6);
            assert_true(y1 > at.source.y0 && (fabs(y1 - at.source.y1) < 1e-6 || y1 > 74));
            seen++;
        }
        assert_int_equal(seen, (size_t)heat.width * heat.height);
        muse_session_watch_reset(s);
        assert_int_equal(muse_session_heat(s, 1, values, COUNT_OF(values), &heat, &err), MUSE_ERR_STATE);
        muse_image_close(&whole);
        muse_image_close(&part);
        muse_session_close(&s);
        setup_close(&t);
    }
}

/* Weights in the caller's memory: the same numbers, written while the watch lasts and not after it. */
static void own_memory(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "tiny/muse/hf");
    MuseSession *a = session_open(t.model, NULL), *b = session_open(t.model, NULL);
    MuseWatched x, y;
    float first[2048], second[2048];
    for (size_t i = 0; i < COUNT_OF(first); i++) first[i] = second[i] = -1;
    add_ids(a, 1, 20);
    add_ids(b, 1, 20);
    watch_range(a, 0, 30);
    assert_int_equal(muse_session_watched(a, &x, &err), MUSE_AGAIN);   /* tells the size */
    const size_t n = x.n_layers * x.n_heads * x.n;
    MuseWatchParams p;
    muse_watch_params_init(&p);
    p.n = 30;
    p.n_weights = n;
    assert_int_equal(muse_session_watch(b, &p, &err), MUSE_ERR_ARG);   /* room in nothing */
    p.weights = first;
    p.n_weights = n - 1;
    assert_int_equal(muse_session_watch(b, &p, &err), MUSE_ERR_FULL);
    p.n_weights = COUNT_OF(first);
    ok(muse_session_watch(b, &p, &err));
    prefill(a);
    prefill(b);
    ok(muse_session_watched(a, &x, &err));
    ok(muse_session_watched(b, &y, &err));
    assert_ptr_equal(y.weights, first);
    assert_memory_equal(x.weights, first, n * sizeof *first);
    assert_true(n < COUNT_OF(first) && first[n] == -1);
    p.weights = second;
    ok(muse_session_watch(b, &p, &err));
    step(a, 4);
    step(b, 4);
    ok(muse_session_watched(a, &x, &err));
    assert_memory_equal(x.weights, second, n * sizeof *second);
    assert_memory_not_equal(first, second, n * sizeof *first);
    memcpy(first, second, sizeof first);
    ok(muse_session_watch(b, NULL, &err));
    step(b, 5);
    assert_memory_equal(first, second, sizeof first);
    muse_session_close(&a);
    muse_session_close(&b);
    setup_close(&t);
}

static void refused(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "tiny/muse/hf");
    MuseSession *s = session_open(t.model, NULL);
    static const uint32_t none[] = { 999 }, twice[] = { 0, 0 };
    const MuseWatchParams bad[] = { { .n = 0 }, { .n = 5, .layers = none, .n_layers = 1 }, { .n = 5, .layers = twice, .n_layers = 2 }, { .n = 5, .heads = none, .n_heads = 1 },
        { .n = 5, .heads = twice, .n_heads = 2 }, { .n = 5, .n_heads = 1 }, { .image = 1 }, { .image = 1, .n = 5 }, { .n = UINT64_MAX }, { .n = 5, .first = UINT32_MAX } };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        MuseWatchParams p = bad[i];
        p.struct_size = sizeof p;
        assert_int_equal(muse_session_watch(s, &p, &err), MUSE_ERR_ARG);
    }
    MuseWatchParams p;
    muse_watch_params_init(&p);
    p.n = 1 << 30;
    assert_int_equal(muse_session_watch(s, &p, &err), MUSE_ERR_LIMIT);
    p.n = 5;
    for (long n = 1;; n++) {
        t.meter.calls = 0;
        t.meter.fail_at = n;
        const size_t live = t.meter.live;
        const int rc = muse_session_watch(s, &p, &err);
        if (rc == 0) break;
        assert_int_equal(rc, MUSE_ERR_NOMEM);
        assert_int_equal(t.meter.live, live);
        assert_true(n < 20);
    }
    t.meter.fail_at = 0;
    muse_session_close(&s);
    setup_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(slow_reference), cmocka_unit_test(sums_and_bits), cmocka_unit_test(batches), cmocka_unit_test(heat_map), cmocka_unit_test(own_memory), cmocka_unit_test(refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
