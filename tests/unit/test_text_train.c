/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer: against merging by definition over the whole text, determinism, round trips, refusals. */
#include "tests/unit/meter.h"
#include "tests/unit/text_util.h"

static const char text_a[] = "the cat sat on the mat, the hat that the cat sat on; 1234 cats don't sit\n\nnaïve cafés, cafés, the the the\n";
static const char text_b[] = "aaaa aaaa aaa aa abab abab ab\xff\xfe aaaa\n";

static MuseTextTrainParams params_of(uint32_t vocab)
{
    MuseTextTrainParams p;
    muse_text_train_params_init(&p);
    p.vocab_size = vocab;
    return p;
}

static char *train(const MuseTextTrainParams *p, size_t *n)
{
    const char *texts[] = { text_a, text_b, "" };
    const size_t sizes[] = { strlen(text_a), strlen(text_b), 0 };
    char *json;
    MuseError err;
    if (muse_text_train_bpe(NULL, texts, sizes, 3, p, &json, n, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(json[*n], 0);
    return json;
}

/* words and merges of the plain definition: count every pair of every word again after each merge */
typedef struct Plain { uint32_t symbols[64][64], lens[64], counts[64], n_words, merges[600][2], n_merges; } Plain;

static void plain_add(Plain *p, const char *word, size_t n)
{
    uint32_t s[64];
    for (size_t i = 0; i < n; i++) s[i] = (uint8_t)word[i];
    for (uint32_t w = 0; w < p->n_words; w++)
        if (p->lens[w] == n && memcmp(p->symbols[w], s, n * sizeof *s) == 0) {
            p->counts[w]++;
            return;
        }
    memcpy(p->symbols[p->n_words], s, n * sizeof *s);
    p->lens[p->n_words] = (uint32_t)n;
    p->counts[p->n_words++] = 1;
}

static uint32_t plain_count(const Plain *p, uint32_t a, uint32_t b)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < p->n_words; w++)
        for (uint32_t i = 0; i + 1 < p->lens[w]; i++) count += (p->symbols[w][i] == a && p->symbols[w][i + 1] == b) * p->counts[w];
    return count;
}

static bool plain_merge(Plain *p, uint32_t id)
{
    uint32_t best = 0, a = 0, b = 0;
    for (uint32_t w = 0; w < p->n_words; w++)
        for (uint32_t i = 0; i + 1 < p->lens[w]; i++) {
            const uint32_t x = p->symbols[w][i], y = p->symbols[w][i + 1], count = plain_count(p, x, y);
            if (count < best || (count == best && (x > a || (x == a && y >= b)))) continue;
            best = count;
            a = x;
            b = y;
        }
    if (best < 2) return false;
    p->merges[p->n_merges][0] = a;
    p->merges[p->n_merges++][1] = b;
    for (uint32_t w = 0; w < p->n_words; w++) {
        uint32_t to = 0;
        for (uint32_t i = 0; i < p->lens[w]; to++) {
            const bool hit = i + 1 < p->lens[w] && p->symbols[w][i] == a && p->symbols[w][i + 1] == b;
            p->symbols[w][to] = hit ? id : p->symbols[w][i];
            i += hit ? 2 : 1;
        }
        p->lens[w] = to;
    }
    return true;
}

static void test_definition(void **state)
{
    (void)state;
    /* letters and single spaces only, so that words are easy to cut here */
    static const char text[] = "low low low low low lower lower newest newest newest newest newest newest widest widest widest aaaa aaaa aaab abab ababab aab aab";
    static Plain p;
    for (const char *s = text; *s;) {
        const char *end = strchr(s + 1, ' ');
        if (!end) end = s + strlen(s);
        plain_add(&p, s, (size_t)(end - s));
        s = end;
    }
    while (p.n_merges < 60 && plain_merge(&p, 256 + p.n_merges)) {}
    assert_true(p.n_merges > 20);
    MuseTextTrainParams params = params_of(256 + p.n_merges);
    const char *texts[] = { text };
    const size_t sizes[] = { strlen(text) };
    char *json;
    size_t n;
    assert_int_equal(muse_text_train_bpe(NULL, texts, sizes, 1, &params, &json, &n, NULL), 0);
    MuseJson doc = { 0 };
    assert_int_equal(muse_json_parse(&doc, NULL, json, n, NULL), 0);
    const MuseJsonValue *merges = muse_json_get(muse_json_get(doc.root, "model"), "merges");
    MuseTextTokenizer *tok = open_text(json);
    assert_int_equal(merges->len, p.n_merges);
    size_t i = 0;
    for (const MuseJsonValue *m = merges->u.first; m; m = m->next, i++) {
        const char *space = memchr(m->u.string, ' ', m->len);
        assert_int_equal(muse_text_find(tok, m->u.string, (size_t)(space - m->u.string)), p.merges[i][0]);
        assert_int_equal(muse_text_find(tok, space + 1, m->len - (size_t)(space + 1 - m->u.string)), p.merges[i][1]);
    }
    muse_json_close(&doc);
    muse_text_close(&tok);
    muse_free(json);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const added[] = { "<pad>", "<eos>", "the", "<|a b|>", "Ġcat", "Ġt" };
    static const char *const patterns[] = { NULL, "gpt2", "llama3", "qwen2", "smollm" };
    for (size_t k = 0; k < 5; k++) {
        MuseTextTrainParams p = params_of(330);
        p.added = added;
        p.n_added = 6;
        p.pattern = patterns[k];
        size_t n, n_again;
        char *json = train(&p, &n), *again = train(&p, &n_again);
        assert_int_equal(n, n_again);
        assert_memory_equal(json, again, n);   /* deterministic */
        MuseTextTokenizer *tok = open_text(json);
        MuseTextInfo info;
        assert_int_equal(muse_text_info(tok, &info), 0);
        assert_true(info.vocab_size > 270 && info.vocab_size <= 330);
        assert_int_equal(info.n_added, 6);
        for (int i = 0; i < 6; i++) assert_int_equal(muse_text_find(tok, added[i], strlen(added[i])), i);
        size_t n_ids, n_back;
        const size_t n_text = strlen(text_b);
        int32_t *ids = encode(tok, text_b, n_text, 0, &n_ids);
        char *back = decode(tok, ids, n_ids, &n_back);
        assert_int_equal(n_back, n_text);
        assert_memory_equal(back, text_b, n_text);
        assert_true(n_ids < n_text / 2);
        muse_free(back);
        muse_free(ids);
        check_ids(tok, "<eos><|a b|>", 12, MUSE_TEXT_ADDED, "1 3");
        ids = encode(tok, "the cat t", 9, 0, &n_ids);   /* an added token's text is never what a merge makes */
        for (size_t i = 0; i < n_ids; i++) assert_true(ids[i] >= 6);
        muse_free(ids);
        muse_text_close(&tok);
        muse_free(json);
        muse_free(again);
    }
}

static int stop_at_once(void *user, uint32_t done, uint32_t wanted)
{
    ++*(int *)user;
    (void)done;
    (void)wanted;
    return 1;
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const twice[] = { "<a>", "<a>" }, *const empty[] = { "" }, *const letter[] = { "Ġ" };
    char *json;
    size_t n;
    MuseError err;
    MuseTextTrainParams p = params_of(255);
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), MUSE_ERR_ARG);
    p = params_of((1 << 20) + 1);
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), MUSE_ERR_LIMIT);
    p = params_of(300);
    p.pattern = "unknown";
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), MUSE_ERR_ARG);
    p = params_of(300);
    p.added = twice;
    p.n_added = 2;
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), MUSE_ERR_ARG);
    p.n_added = 1;
    p.added = empty;
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), MUSE_ERR_ARG);
    p.added = letter;
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, NULL, &json, &n, &err), MUSE_ERR_ARG);
    p = params_of(300);
    assert_int_equal(muse_text_train_bpe(NULL, NULL, NULL, 0, &p, &json, &n, &err), 0);   /* no text: bytes alone */
    MuseTextTokenizer *tok = open_text(json);
    MuseTextInfo info;
    muse_text_info(tok, &info);
    assert_int_equal(info.vocab_size, 256);
    muse_text_close(&tok);
    muse_free(json);

    char text[4096];
    uint64_t seed = 2;
    for (size_t i = 0; i < sizeof text; i++) text[i] = "abcdefgh "[next_random(&seed) % 9];
    const char *texts[] = { text };
    const size_t sizes[] = { sizeof text };
    int calls = 0;
    p = params_of(600);
    p.progress = stop_at_once;
    p.progress_user = &calls;
    assert_int_equal(muse_text_train_bpe(NULL, texts, sizes, 1, &p, &json, &n, &err), MUSE_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_null(json);
}

static void test_no_memory(void **state)
{
    (void)state;
    int rc = MUSE_ERR_NOMEM, allowed = 0;
    for (; rc == MUSE_ERR_NOMEM && allowed < 20000; allowed += 1 + allowed / 50) {
        Meter meter = { 0 };
        MuseRuntime *rt = meter_runtime(&meter, 0);
        meter_leave(&meter, allowed);
        MuseTextTrainParams p = params_of(300);
        const char *texts[] = { text_a };
        const size_t sizes[] = { strlen(text_a) };
        char *json;
        size_t n;
        rc = muse_text_train_bpe(rt, texts, sizes, 1, &p, &json, &n, NULL);
        if (rc == 0) muse_free(json);
        muse_runtime_close(&rt);
        assert_int_equal(meter.live, 0);
    }
    assert_int_equal(rc, 0);
    assert_true(allowed > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refusals), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
