/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler: its filters against a slow reference, choices against exact probabilities, penalties, random numbers, memory;
 * log probabilities; stop strings. */
#include <math.h>

#include "libmuse/sample/filter.h"
#include "tests/unit/meter.h"
#include "tests/unit/text_util.h"

static MuseSampler *open_sampler(uint32_t V, const MuseSampleParams *p)
{
    MuseSampler *s;
    MuseError err;
    if (muse_sampler_open(&s, NULL, V, p, &err) < 0) fail_msg("%s", err.text);
    return s;
}

static MuseSampled pick(MuseSampler *s, const float *x)
{
    MuseSampled got;
    MuseError err;
    if (muse_sampler_pick(s, x, &got, &err) < 0) fail_msg("%s", err.text);
    return got;
}

static MuseSampleParams params(float temperature)
{
    MuseSampleParams p;
    muse_sample_params_init(&p);
    p.temperature = temperature;
    return p;
}

static void fill(float *x, size_t n, uint64_t *seed, float scale)
{
    for (size_t i = 0; i < n; i++) x[i] = scale * ((float)(next_random(seed) % 2001) / 1000.0f - 1.0f);   /* ties happen */
}

/* the definition in muse/sample.h, by sorting, in double */
static const float *sort_by;
static int by_logit(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    if (sort_by[x] != sort_by[y]) return sort_by[x] > sort_by[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static void reference(const float *x, int V, const MuseSampleParams *p, double *prob)
{
    int order[512], n = V;
    double w[512], sum = 0;
    for (int i = 0; i < V; i++) order[i] = i;
    sort_by = x;
    qsort(order, (size_t)V, sizeof *order, by_logit);
    for (int i = 0; i < V; i++) w[i] = exp(((double)x[order[i]] - x[order[0]]) / p->temperature);
    if (p->top_k && (int)p->top_k < n) n = (int)p->top_k;
    for (int i = 0; i < n; i++) sum += w[i];
    if (p->top_p > 0 && p->top_p < 1) {
        double mass = 0;
        int k = 0;
        while (k < n && mass < p->top_p * sum) mass += w[k++];
        n = k;
    }
    while (n > 1 && w[n - 1] < p->min_p) n--;
    sum = 0;
    for (int i = 0; i < n; i++) sum += w[i];
    for (int i = 0; i < V; i++) prob[i] = 0;
    for (int i = 0; i < n; i++) prob[order[i]] = w[i] / sum;
}

static const struct { float temperature; uint32_t k; float p, min_p; int V; float scale; } filters[] = {
    { 1, 0, 0, 0, 40, 3 }, { 0.7f, 0, 0, 0, 130, 4 }, { 1, 5, 0, 0, 100, 3 }, { 2, 0, 0.8f, 0, 100, 3 }, { 1, 0, 0, 0.1f, 200, 5 }, { 0.5f, 20, 0.9f, 0.02f, 300, 4 },
    { 1, 1, 0, 0, 65, 2 }, { 1, 400, 0.95f, 0, 300, 3 }, { 1, 0, 0.9999f, 0, 500, 1 }, { 1, 0, 0.001f, 0, 64, 1 }, { 1, 0, 0, 1, 128, 2 }, { 1, 0, 0.5f, 0.5f, 77, 3 },
};

/* every choice lies in the reference's set, with its probability; and over many the frequencies fit (chi-square, 99.99 %) */
static void test_filters(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof filters / sizeof *filters; t++) {
        MuseSampleParams p = params(filters[t].temperature);
        p.top_k = filters[t].k;
        p.top_p = filters[t].p;
        p.min_p = filters[t].min_p;
        p.seed = 1000 + t;
        enum { N = 20000 };
        float x[512];
        double prob[512], chi = 0, freedom = -1;
        int seen[512] = { 0 };
        uint64_t seed = t + 1;
        const int V = filters[t].V;
        fill(x, (size_t)V, &seed, filters[t].scale);
        x[V / 2] = -INFINITY;
        reference(x, V, &p, prob);
        MuseSampler *s = open_sampler((uint32_t)V, &p);
        for (int i = 0; i < N; i++) {
            const MuseSampled got = pick(s, x);
            float lp;
            seen[got.id]++;
            if (!(prob[got.id] > 0) || fabs(got.sampled_logprob - log(prob[got.id])) > 1e-5) fail_msg("case %zu: id %d, %g for %g", t, got.id, exp(got.sampled_logprob), prob[got.id]);
            assert_int_equal(muse_logprobs(x, (size_t)V, &got.id, 1, &lp), 0);
            assert_true(lp == got.logprob);
        }
        double rest_want = 0, rest_got = 0;
        for (int i = 0; i < V; i++) {
            const double want = prob[i] * N;
            if (want >= 10) chi += (seen[i] - want) * (seen[i] - want) / want, freedom++;
            else rest_want += want, rest_got += seen[i];
        }
        if (rest_want >= 5) chi += (rest_got - rest_want) * (rest_got - rest_want) / rest_want, freedom++;
        /* Wilson and Hilferty 1931: the cube root is nearly normal; 3.72 is its 99.99 % point */
        const double k = freedom > 0 ? freedom : 1, z = (cbrt(chi / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));
        if (freedom > 0 && z > 3.72) fail_msg("case %zu: chi-square %g at %g degrees", t, chi, freedom);
        muse_sampler_close(&s);
    }
}

static void test_large(void **state)
{
    (void)state;
    enum { V = 50000 };
    float *x = malloc(V * sizeof *x);
    uint64_t seed = 5;
    for (int round = 0; round < 6; round++) {   /* flat rows leave the likely ones */
        MuseSampleParams p = params(1);
        p.top_p = 0.9f;
        p.top_k = round % 2 ? 3000 : 0;
        p.seed = (uint64_t)round;
        for (int i = 0; i < V; i++) x[i] = round < 2 ? 1.0f : (float)(next_random(&seed) % 1000) / (round < 4 ? 1000.0f : 50.0f);
        MuseSampler *s = open_sampler(V, &p);
        const int n = p.top_k ? (int)p.top_k : V;
        int32_t *top = malloc((size_t)n * sizeof *top);
        assert_int_equal(muse_top(x, V, (size_t)n, top, NULL), 0);
        double sum = 0, mass = 0;
        int k = 0;
        for (int i = 0; i < n; i++) sum += exp((double)x[top[i]]);
        while (k < n && mass < (double)p.top_p * sum) mass += exp((double)x[top[k++]]);
        for (int i = 0; i < 30; i++) {
            const MuseSampled got = pick(s, x);
            assert_true(fabs(got.sampled_logprob - ((double)x[got.id] - log(mass))) < 1e-3);   /* the border may move by rounding */
            assert_true(x[got.id] >= x[top[k < n ? k : n - 1]]);
        }
        free(top);
        muse_sampler_close(&s);
    }
    free(x);
}

static void test_greedy_and_bad_rows(void **state)
{
    (void)state;
    float x[200];
    MuseSampled got;
    MuseError err;
    for (int i = 0; i < 200; i++) x[i] = -1;
    x[77] = x[150] = x[199] = 2;
    for (int chance = 0; chance < 2; chance++) {
        MuseSampleParams p = params((float)chance);
        p.top_k = 1;
        MuseSampler *s = open_sampler(200, &p);
        got = pick(s, x);
        assert_int_equal(got.id, 77);
        assert_true(got.sampled_logprob == 0 && fabs(got.logprob - (2 - log(3 * exp(2) + 197 * exp(-1)))) < 1e-6);
        const float bad[] = { NAN, INFINITY, -NAN };
        for (int b = 0; b < 3; b++) {
            x[199] = bad[b];
            assert_int_equal(muse_sampler_pick(s, x, &got, &err), MUSE_ERR_STATE);
            assert_non_null(strstr(err.text, "199"));
            assert_int_equal(muse_logprobs(x, 200, &got.id, 1, x), MUSE_ERR_STATE);
            x[199] = 2;
        }
        float none[200];
        for (int i = 0; i < 200; i++) none[i] = -INFINITY;
        assert_int_equal(muse_sampler_pick(s, none, &got, &err), MUSE_ERR_STATE);
        none[3] = -1e30f;
        assert_int_equal(pick(s, none).id, 3);
        muse_sampler_close(&s);
    }
    MuseSampleParams p = params(1);
    const int32_t out[] = { 1, 3, 0 };
    p.suppress = out;
    p.n_suppress = 3;
    MuseSampler *s = open_sampler(4, &p);
    for (int i = 0; i < 50; i++) assert_int_equal(pick(s, (float[]){ 9, 9, -9, 9 }).id, 2);
    assert_int_equal(muse_sampler_pick(s, (float[]){ 9, 9, -INFINITY, 9 }, &got, &err), MUSE_ERR_STATE);
    muse_sampler_close(&s);
}

static void test_params(void **state)
{
    (void)state;
    MuseSampler *s;
    MuseError err;
    for (int i = 0; i < 12; i++) {
        MuseSampleParams p = params(1);
        const int32_t id = i == 9 ? -1 : 10;
        switch (i) {
        case 0: p.temperature = -1; break;
        case 1: p.temperature = NAN; break;
        case 2: p.temperature = 1e-9f; break;
        case 3: p.top_p = 1.5f; break;
        case 4: p.min_p = -0.1f; break;
        case 5: p.repetition = -1; break;
        case 6: p.presence = INFINITY; break;
        case 7: p.frequency = NAN; break;
        case 8: p.penalty_last = (1u << 24) + 1; break;
        case 11: p.n_suppress = 1; break;
        default: p.suppress = &id, p.n_suppress = 1; break;
        }
        assert_int_equal(muse_sampler_open(&s, NULL, 10, &p, &err), MUSE_ERR_ARG);
        assert_null(s);
    }
    assert_int_equal(muse_sampler_open(&s, NULL, 0, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_sampler_open(&s, NULL, 10, NULL, &err), 0);
    assert_int_equal(muse_sampler_accept(s, 10, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_sampler_accept(s, -1, &err), MUSE_ERR_ARG);
    assert_true(muse_sampler_can_end(s) && !muse_sampler_must_end(s));
    muse_sampler_close(&s);
    muse_sampler_close(&s);
}

static void test_penalties(void **state)
{
    (void)state;
    const float x[6] = { 3, -1, 2, 0.5f, 1, 0 };
    MuseSampleParams p = params(1);
    p.repetition = 1.5f;
    p.presence = 0.25f;
    p.frequency = 0.125f;
    for (uint32_t last = 0; last <= 3; last += 3) {
        p.penalty_last = last;
        MuseSampler *s = open_sampler(6, &p);
        const int32_t prompt[] = { 1, 4, 4, -1, 900 };
        assert_int_equal(muse_sampler_observe(s, prompt, 5, NULL), 0);
        assert_int_equal(muse_sampler_accept(s, 0, NULL), 0);
        /* all: 1 once, 4 twice, 0 once; the last three: 0 once (and two placeholders) */
        double want[6], sum = 0;
        const int count[6] = { 1, last ? 0 : 1, 0, 0, last ? 0 : 2, 0 };
        for (int i = 0; i < 6; i++) {
            double v = x[i];
            if (count[i]) v = (v > 0 ? v / 1.5 : v * 1.5) - 0.25 - 0.125 * count[i];
            sum += want[i] = exp(v);
        }
        for (int i = 0; i < 200; i++) {
            const MuseSampled got = pick(s, x);
            assert_true(fabs(got.sampled_logprob - log(want[got.id] / sum)) < 1e-5);
        }
        muse_sampler_reset(s);
        const MuseSampled got = pick(s, x);   /* nothing seen: the plain distribution */
        assert_true(fabs(got.sampled_logprob - got.logprob) < 1e-5);
        muse_sampler_close(&s);
    }
}

static void test_random(void **state)
{
    (void)state;
    /* known answers of the authors' distribution (Random123, kat_vectors): key and counter 0 */
    uint32_t w[4];
    muse_philox(0, 0, w);
    assert_true(w[0] == 0x6627e8d5 && w[1] == 0xe169c58d && w[2] == 0xbc57ac4c && w[3] == 0x9b00dbd8);
    double sum = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        const double u = muse_uniform(7, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 0.01);
    for (float x = 0; x > -90; x -= 0.0137f) assert_true(x < -87 ? muse_row_exp(x) == 0 : fabs(muse_row_exp(x) / exp((double)x) - 1) < 3e-7);
    assert_true(muse_row_exp(-INFINITY) == 0 && muse_row_exp(-0.0f) == 1);
}

static void test_same_seed(void **state)
{
    (void)state;
    float x[300];
    uint64_t seed = 3;
    int32_t first[40];
    MuseSampleParams p = params(1);
    p.top_k = 50;
    p.top_p = 0.97f;
    p.frequency = 0.1f;
    p.penalty_last = 8;
    p.seed = 12345;
    fill(x, 300, &seed, 3);
    MuseSampler *s = open_sampler(300, &p), *copy;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++) {
            const int32_t id = pick(s, x).id;
            if (round) assert_int_equal(id, first[i]);
            first[i] = id;
            assert_int_equal(muse_sampler_accept(s, id, NULL), 0);
        }
        if (!round) muse_sampler_reset(s);
    }
    assert_int_equal(muse_sampler_copy(&copy, s, p.seed, NULL), 0);
    for (int i = 0; i < 20; i++) {
        const int32_t id = pick(s, x).id;
        assert_int_equal(pick(copy, x).id, id);
        muse_sampler_accept(s, id, NULL);
        muse_sampler_accept(copy, id, NULL);
    }
    muse_sampler_close(&copy);
    assert_int_equal(muse_sampler_copy(&copy, s, 99, NULL), 0);
    int same = 0;
    for (int i = 0; i < 40; i++) same += pick(s, x).id == pick(copy, x).id;
    assert_true(same < 30);
    muse_sampler_close(&copy);
    muse_sampler_close(&s);
}

static void test_memory(void **state)
{
    (void)state;
    Meter c = { 0 };
    MuseRuntime *rt = meter_runtime(&c, 0);
    MuseTextTokenizer *tok = open_data("golden/llama3/hf/tokenizer.json");
    MuseTextInfo info;
    muse_text_info(tok, &info);
    MuseGrammar *g;
    MuseError err;
    float *x = calloc(info.vocab_size, sizeof *x);
    MuseSampleParams p = params(1);
    p.presence = 0.5f;
    p.penalty_last = 5;
    p.top_p = 0.9f;
    for (long n = 1;; n++) {   /* each allocation fails once, grammar and sampler */
        const long live = c.live;
        MuseSampler *s = NULL;
        c.calls = 0;
        c.fail_at = n;
        int rc = muse_grammar_open_json(&g, rt, tok, NULL, &err);
        p.grammar = g;
        if (rc == 0) rc = muse_sampler_open(&s, rt, info.vocab_size, &p, &err);
        c.fail_at = 0;
        if (rc == 0) {
            c.calls = 0;
            for (int i = 0; i < 300; i++) {
                if (muse_sampler_must_end(s)) muse_sampler_reset(s);
                const int32_t id = pick(s, x).id;
                assert_int_equal(muse_sampler_accept(s, id, NULL), 0);
            }
            assert_int_equal(c.calls, 0);   /* nothing is allocated after open */
        } else {
            assert_int_equal(rc, MUSE_ERR_NOMEM);
        }
        muse_sampler_close(&s);
        muse_grammar_close(&g);
        assert_int_equal(c.live, live);
        if (rc == 0) break;
    }
    free(x);
    muse_text_close(&tok);
    muse_runtime_close(&rt);
    assert_int_equal(c.live, 0);
}

static void test_top(void **state)
{
    (void)state;
    float x[400], lp[400];
    int32_t ids[400], order[400];
    uint64_t seed = 9;
    for (int V = 1; V <= 400; V += 57) {
        fill(x, (size_t)V, &seed, 8);
        if (V > 3) x[3] = -INFINITY;
        for (int i = 0; i < V; i++) order[i] = i;
        sort_by = x;
        qsort(order, (size_t)V, sizeof *order, by_logit);
        double sum = 0;
        for (int i = 0; i < V; i++) sum += exp((double)x[i]);
        for (int k = 1; k <= V; k += 13) {
            assert_int_equal(muse_top(x, (size_t)V, (size_t)k, ids, lp), 0);
            for (int i = 0; i < k; i++) {
                assert_int_equal(ids[i], order[i]);
                if (x[ids[i]] > -INFINITY) assert_true(fabs(lp[i] - ((double)x[ids[i]] - log(sum))) < 2e-7 + fabs(lp[i]) * 6e-8);
                else assert_true(lp[i] == -INFINITY);
            }
        }
    }
    assert_int_equal(muse_top(x, 5, 6, ids, lp), MUSE_ERR_ARG);
    assert_int_equal(muse_top(x, 5, 0, ids, lp), MUSE_ERR_ARG);
    assert_int_equal(muse_logprobs(x, 5, (int32_t[]){ 5 }, 1, lp), MUSE_ERR_ARG);
}

/* strings by '|'; text, cut into pushes of every size: what comes out, and which string stopped it (-1: none) */
static const struct { const char *strings, *text, *out; int hit; } stops[] = {
    { "STOP", "one STOP two", "one ", 0 }, { "STOP", "one STO", "one STO", -1 }, { "STOP", "SSTOSTOPX", "SSTO", 0 }, { "aab", "aaaab", "aa", 0 },
    { "bc|abcd", "xabcd", "xa", 0 }, { "abcd|bc", "xabcd", "xa", 1 }, { "cd|abcd", "xabcd", "x", 1 }, { "abab|baba", "xbabab", "x", 1 }, { "\n\n", "a\nb\n\nc", "a\nb", 0 },
    { "\xc3\xa9|\xe2\x82\xac", "caf\xc3\xa8 \xe2\x82\xab \xe2\x82\xac!", "caf\xc3\xa8 \xe2\x82\xab ", 1 }, { "\xa9", "caf\xc3\xa9", "caf\xc3", 0 }, { "", "plain", "plain", -1 }, { "x", "x", "", 0 },
};

static void test_stop(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof stops / sizeof *stops; t++) {
        const char *parts[4];
        size_t sizes[4], n = 0, used = 0;
        for (const char *s = stops[t].strings; *s;) {
            parts[n] = s;
            sizes[n] = strcspn(s, "|");
            s += sizes[n++];
            s += *s == '|';
        }
        MuseStop *stop;
        assert_int_equal(muse_stop_open(&stop, NULL, (int32_t[]){ 7, 9 }, 2, parts, sizes, n, NULL), 0);
        assert_true(muse_stop_is_id(stop, 9) && !muse_stop_is_id(stop, 8));
        const size_t len = strlen(stops[t].text);
        for (size_t step = 1; step <= len; step++) {
            char got[64];
            size_t k = 0;
            int hit = -1;
            for (size_t at = 0; at < len && hit < 0; at += step) {
                const char *text;
                size_t m;
                MuseStopHit h;
                const int rc = muse_stop_push(stop, stops[t].text + at, len - at < step ? len - at : step, &text, &m, &h, NULL);
                assert_true(rc == 0 || rc == MUSE_DONE);
                memcpy(got + k, text, m);
                k += m;
                /* held back is exactly what could still become a stop string */
                const size_t given = at + step < len ? at + step : len;
                size_t hold = 0;
                for (size_t i = 0; i < n; i++)
                    for (size_t d = 1; d < sizes[i] && d <= given; d++)
                        if (d > hold && memcmp(stops[t].text + given - d, parts[i], d) == 0) hold = d;
                if (rc == 0) assert_int_equal(k, given - hold);
                if (rc == MUSE_DONE) hit = (int)h.string, used = at + h.used;
            }
            const char *text;
            size_t m;
            if (hit >= 0) assert_int_equal(muse_stop_push(stop, "x", 1, &text, &m, NULL, NULL), MUSE_ERR_STATE);
            assert_int_equal(muse_stop_flush(stop, &text, &m, NULL), 0);
            memcpy(got + k, text, m);
            k += m;
            assert_int_equal(hit, stops[t].hit);
            if (k != strlen(stops[t].out) || memcmp(got, stops[t].out, k) != 0) fail_msg("case %zu, step %zu: \"%.*s\"", t, step, (int)k, got);
            if (hit >= 0) assert_int_equal(used, k + sizes[hit]);
        }
        muse_stop_close(&stop);
    }
    MuseStop *stop;
    const char *text = "";
    size_t zero = 0, long_one = 4097;
    assert_int_equal(muse_stop_open(&stop, NULL, NULL, 0, &text, &zero, 1, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_stop_open(&stop, NULL, NULL, 0, &text, &long_one, 1, NULL), MUSE_ERR_LIMIT);
    assert_null(stop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters), cmocka_unit_test(test_large), cmocka_unit_test(test_greedy_and_bad_rows), cmocka_unit_test(test_params),
        cmocka_unit_test(test_penalties), cmocka_unit_test(test_random), cmocka_unit_test(test_same_seed), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_top), cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
