/* SPDX-License-Identifier: Apache-2.0 */
/* How text is cut: tables of what the published patterns do, the hand-written scanners against the regular expressions, and
 * every behaviour of Split. */
#include "tests/unit/text_util.h"

#include "tokenizers/text/pattern.h"
#include "tokenizers/text/pretok.h"

/* Cuts by a pattern of the library, "a|b|c". */
static void cut(const char *regex, const char *text, size_t n, char *got)
{
    MusePattern p;
    MuseMatcher m;
    MuseError err;
    size_t at = 0, start, end, k = 0;
    if (muse_pattern_open_regex(&p, NULL, regex, strlen(regex), &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(muse_matcher_open(&m, NULL), 0);
    muse_matcher_limit(&m, n);
    int rc;
    while ((rc = muse_pattern_next(&p, &m, (const uint8_t *)text, n, at, &start, &end)) == 1) {
        assert_int_equal(start, at);   /* the published patterns cover everything */
        if (at) got[k++] = '|';
        memcpy(got + k, text + start, end - start);
        k += end - start;
        at = end;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(at, n);
    got[k] = 0;
    muse_matcher_close(&m);
    muse_pattern_close(&p);
}

static const struct { const char *text, *gpt2, *llama3, *qwen2; } table[] = {
    { "Hello world", "Hello| world", "Hello| world", "Hello| world" },
    { "I'm we'LL 'tis", "I|'m| we|'|LL| '|tis", "I|'m| we|'LL| '|tis", "I|'m| we|'LL| '|tis" },
    { "don'T", "don|'|T", "don|'T", "don|'T" },
    { "1234567", "1234567", "123|456|7", "1|2|3|4|5|6|7" },
    { "a 12 b", "a| 12| b", "a| |12| b", "a| |1|2| b" },
    { "(foo)", "(|foo|)", "(foo|)", "(foo|)" },
    { "a  b", "a| | b", "a| | b", "a| | b" },
    { "a   !", "a|  | !", "a|  | !", "a|  | !" },
    { "a\n\nb", "a|\n|\n|b", "a|\n\n|b", "a|\n\n|b" },
    { "a \n b", "a| \n| b", "a| \n| b", "a| \n| b" },
    { "x!!\n\ny", "x|!!|\n|\n|y", "x|!!\n\n|y", "x|!!\n\n|y" },
    { "end  ", "end|  ", "end|  ", "end|  " },
    { "\t\tx", "\t|\t|x", "\t|\tx", "\t|\tx" },
    { "\r\n\t\n z", "\r\n\t\n| z", "\r\n\t\n| z", "\r\n\t\n| z" },
    { "naïve café", "naïve| café", "naïve| café", "naïve| café" },
    { "你好 世界", "你好| 世界", "你好| 世界", "你好| 世界" },
    { "x\xc2\xa0y", "x|\xc2\xa0|y", "x|\xc2\xa0y", "x|\xc2\xa0y" },                      /* U+00A0 is white space, but no letter or number */
    { "a\xc2\x85" "b", "a|\xc2\x85|b", "a|\xc2\x85" "b", "a|\xc2\x85" "b" },              /* U+0085 is white space */
    { "a \xef\xbb\xbf b", "a| \xef\xbb\xbf| b", "a| \xef\xbb\xbf| b", "a| \xef\xbb\xbf| b" },   /* U+FEFF is none */
    { "a \xe1\xa0\x8e b", "a| \xe1\xa0\x8e| b", "a| \xe1\xa0\x8e| b", "a| \xe1\xa0\x8e| b" },   /* U+180E is none since Unicode 6.3 */
    { "'\xc5\xbf", "'|\xc5\xbf", "'\xc5\xbf", "'\xc5\xbf" },                              /* U+017F folds to s */
    { "١٢٣٤", "١٢٣٤", "١٢٣|٤", "١|٢|٣|٤" },
    { "e\xcc\x81t", "e|\xcc\x81|t", "e|\xcc\x81t", "e|\xcc\x81t" },                        /* a mark is no letter */
    { "\x01\x02 \x1c", "\x01\x02| \x1c", "\x01\x02| \x1c", "\x01\x02| \x1c" },
};

static void test_table(void **state)
{
    (void)state;
    char got[256];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const size_t n = strlen(table[i].text);
        cut(muse_pattern_text("gpt2"), table[i].text, n, got);
        assert_string_equal(got, table[i].gpt2);
        cut(muse_pattern_text("llama3"), table[i].text, n, got);
        assert_string_equal(got, table[i].llama3);
        cut(muse_pattern_text("qwen2"), table[i].text, n, got);
        assert_string_equal(got, table[i].qwen2);
    }
    const char *marked = "e\xcc\x81t \xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87";   /* marks go with letters */
    cut(muse_pattern_text("qwen35"), marked, strlen(marked), got);
    assert_string_equal(got, "e\xcc\x81t| \xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87");
    assert_null(muse_pattern_text("none"));
}

/* the scanner and PCRE2 cut at the same places, wherever one starts */
static void test_scanners(void **state)
{
    (void)state;
    static const char *const names[] = { "gpt2", "llama3", "qwen2", "qwen35" };
    static const char *const parts[] = { "a", "Z", "s", "t", "re", "LL", "'", "'", " ", " ", "  ", "\n", "\r", "\t", "\x0b", "1", "7", "42", "!", ".", "_", "\x01", "\x7f", "\x1f",
                                         "é", "你", "\xc5\xbf", "\xc2\xa0", "\xcc\x81", "١", "\xe2\x80\x94" };
    uint64_t seed = 9;
    for (size_t k = 0; k < 4; k++) {
        MusePattern p;
        MuseMatcher m;
        const char *regex = muse_pattern_text(names[k]);
        assert_int_equal(muse_pattern_open_regex(&p, NULL, regex, strlen(regex), NULL), 0);
        assert_int_equal(muse_matcher_open(&m, NULL), 0);
        assert_true(p.scan != MUSE_SCAN_NONE);
        muse_matcher_limit(&m, 64);
        size_t decided = 0;
        for (int round = 0; round < 40000; round++) {
            char text[64];
            size_t n = 0, start, end;
            for (unsigned i = 1 + next_random(&seed) % 9; i-- > 0;) {
                const char *part = parts[next_random(&seed) % (sizeof parts / sizeof *parts - (round % 2 ? 7 : 0))];
                memcpy(text + n, part, strlen(part));
                n += strlen(part);
            }
            for (size_t from = 0; from < n; from++) {
                if ((text[from] & 0xc0) == 0x80) continue;
                const size_t fast = muse_scan_next(p.scan, (const uint8_t *)text, n, from);
                if (!fast) continue;
                MusePattern slow = p;
                slow.scan = MUSE_SCAN_NONE;
                assert_int_equal(muse_pattern_next(&slow, &m, (const uint8_t *)text, n, from, &start, &end), 1);
                if (start != from || end != fast) fail_msg("%s: \"%.*s\" from %zu: scanner %zu, pattern %zu", names[k], (int)n, text, from, fast, end);
                decided++;
            }
        }
        assert_true(decided > 100000);
        muse_matcher_close(&m);
        muse_pattern_close(&p);
    }
}

typedef struct Pieces { char text[256]; size_t n; } Pieces;

static int collect(void *user, const uint8_t *s, size_t n)
{
    Pieces *p = user;
    if (p->n) p->text[p->n++] = '|';
    memcpy(p->text + p->n, s, n);
    p->n += n;
    p->text[p->n] = 0;
    return 0;
}

static void check_split(MuseSplit behavior, bool invert, const char *text, const char *wanted)
{
    MusePretok pretok = { 0 };
    MusePretokStep *step;
    MuseMatcher m;
    MuseBuf bufs[MUSE_PRETOK_STEPS_MAX] = { { 0 } };
    Pieces pieces = { 0 };
    assert_int_equal(muse_pretok_add(&pretok, MUSE_PRETOK_SPLIT, &step, NULL), 0);
    step->behavior = behavior;
    step->invert = invert;
    assert_int_equal(muse_pattern_open_regex(&step->pattern, NULL, "-", 1, NULL), 0);
    assert_int_equal(muse_matcher_open(&m, NULL), 0);
    MusePretokRun run = { &m, bufs, true, false, collect, &pieces };
    assert_int_equal(muse_pretok_run(&pretok, &run, (const uint8_t *)text, strlen(text)), 0);
    assert_string_equal(pieces.text, wanted);
    muse_matcher_close(&m);
    muse_pretok_close(&pretok);
}

/* the example of Hugging Face's documentation, and edges */
static void test_behaviors(void **state)
{
    (void)state;
    const char *text = "the-final--countdown";
    check_split(MUSE_SPLIT_REMOVED, false, text, "the|final|countdown");
    check_split(MUSE_SPLIT_ISOLATED, false, text, "the|-|final|-|-|countdown");
    check_split(MUSE_SPLIT_PREVIOUS, false, text, "the-|final-|-|countdown");
    check_split(MUSE_SPLIT_NEXT, false, text, "the|-final|-|-countdown");
    check_split(MUSE_SPLIT_CONTIGUOUS, false, text, "the|-|final|--|countdown");
    check_split(MUSE_SPLIT_REMOVED, true, text, "-|-|-");
    check_split(MUSE_SPLIT_PREVIOUS, false, "--a-", "-|-|a-");
    check_split(MUSE_SPLIT_NEXT, false, "a--", "a|-|-");
    check_split(MUSE_SPLIT_NEXT, false, "-a", "-a");
    check_split(MUSE_SPLIT_REMOVED, false, "--", "");
    check_split(MUSE_SPLIT_CONTIGUOUS, true, "ab-", "ab|-");
}

/* SmolLM: each digit alone, then GPT-2; GPT-2 with a space in front */
static void test_sequences(void **state)
{
    (void)state;
    static const char file[] = "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[%s]},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"Ġ\":1,\"1\":2,\"2\":3,\"Ġa\":4,\"12\":5,\"Ġ1\":6,\"Ġ12\":7,\"Ċ\":8,\"ĠĠ\":9},\"merges\":[]}}";
    char json[1024];
    snprintf(json, sizeof json, file, "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}");
    MuseTextTokenizer *tok = open_text(json);
    check_pieces(tok, "a 12 a", 6, "a| |1|2| a");
    muse_text_close(&tok);
    snprintf(json, sizeof json, file, "{\"type\":\"Digits\",\"individual_digits\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}");
    tok = open_text(json);
    check_pieces(tok, "a 12 a", 6, "a| |12| a");
    muse_text_close(&tok);
    snprintf(json, sizeof json, file, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}");
    tok = open_text(json);
    check_pieces(tok, "a 12 a", 6, " a| 12| a");
    check_pieces(tok, " a", 2, " a");
    check_pieces(tok, "", 0, "");
    muse_text_close(&tok);
}

/* what the rewriter makes of constructs that mean something else in PCRE2 */
static void test_rewrite(void **state)
{
    (void)state;
    static const struct { const char *from, *to; bool multiline; } cases[] = {
        { "\\s+", "[\\t-\\r\\x{85}\\p{Z}]+", false }, { "[^\\s]", "[^\\t-\\r\\x{85}\\p{Z}]", false }, { "\\p{Han}\\p{Lu}", "\\p{sc:Han}\\p{Lu}", false },
        { "(a)\\u00e9", "(?:a)\\x{00e9}", false }, { "^a$", "^a$", true }, { "\\d\\v\\.", "\\p{Nd}\\x{0b}\\.", false }, { "a{1,3}?", "a{1,3}?", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseBuf out = { 0 };
        bool multiline;
        assert_int_equal(muse_pattern_rewrite(&out, cases[i].from, strlen(cases[i].from), &multiline, NULL), 0);
        assert_int_equal(muse_buf_append(&out, "", 1), 0);
        assert_string_equal((const char *)out.data, cases[i].to);
        assert_int_equal(multiline, cases[i].multiline);
        muse_buf_clear(&out);
    }
}

/* a pattern that backtracks without end ends in an error, not in hours */
static void test_limit(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_text("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a+)+b\"},\"behavior\":\"Isolated\"},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2},\"merges\":[]}}");
    char text[64];
    memset(text, 'a', sizeof text);
    text[40] = 'c';
    text[41] = 'b';   /* without a b PCRE2 would not even try */
    int32_t *ids;
    size_t n;
    MuseError err;
    assert_int_equal(muse_text_encode(tok, text, 42, 0, &ids, &n, &err), MUSE_ERR_LIMIT);
    assert_non_null(strstr(err.text, "pattern"));
    check_ids(tok, "aabc", 4, 0, "0 0 1 2");
    muse_text_close(&tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_scanners), cmocka_unit_test(test_behaviors),
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_rewrite), cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
