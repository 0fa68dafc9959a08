/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars: what is matched, checked by an independent backtracking matcher and by the JSON parser; masks against trying
 * every token; random walks end in texts that fit; what is refused. */
#include <pthread.h>
#include <regex.h>

#include "libmuse/sample/mask.h"
#include "tests/unit/meter.h"
#include "tests/unit/text_util.h"
#include "tokenizers/text/textcore.h"

typedef enum Kind { REGEX, SCHEMA, JSON } Kind;

static const char *const tokenizers[] = { "golden/llama3/hf/tokenizer.json", "golden/gemma4-a/hf/tokenizer.json", "golden/qwen2/hf/tokenizer.json", NULL };

static MuseTextTokenizer *open_tokenizer(int i)
{
    char path[1024];
    MuseTextTokenizer *tok;
    MuseError err;
    if (tokenizers[i]) return open_data(tokenizers[i]);
    snprintf(path, sizeof path, "%s/models/muse-nano/tokenizer.json", getenv("MUSE_SOURCE"));
    if (muse_text_open_file(&tok, NULL, path, &err) < 0) fail_msg("%s", err.text);
    return tok;
}

static int open_kind(MuseGrammar **g, const MuseTextTokenizer *tok, Kind kind, const char *text, unsigned space, size_t mask_bytes, MuseError *err)
{
    MuseGrammarParams p;
    muse_grammar_params_init(&p);
    p.space = space;
    p.mask_bytes = mask_bytes;
    if (kind == REGEX) return muse_grammar_open_regex(g, NULL, tok, text, strlen(text), &p, err);
    if (kind == SCHEMA) return muse_grammar_open_schema(g, NULL, tok, text, strlen(text), &p, err);
    return muse_grammar_open_json(g, NULL, tok, &p, err);
}

static MuseGrammar *must_open(const MuseTextTokenizer *tok, Kind kind, const char *text, unsigned space, size_t mask_bytes)
{
    MuseGrammar *g;
    MuseError err;
    if (open_kind(&g, tok, kind, text, space, mask_bytes, &err) < 0) fail_msg("%s: %s", text, err.text);
    return g;
}

/* ERE of POSIX and our syntax agree on these; regexec is the slow independent matcher */
static const char *const expressions[] = {
    "a*", "(a|b)*abb", "a{2,4}b?", "[ab]+c|c[^ab]", "(ab?){2}", "a(b|c(a|b){0,2})*", "((a|b)(a|c)){1,2}", "(a|b)*a(a|b){3}", "[^a]{2}", "a+b+c+", "(aa|aab)(b|)", ".b.",
};

static void test_regex_enumerated(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(0);
    for (size_t e = 0; e < sizeof expressions / sizeof *expressions; e++) {
        char anchored[128], text[8];
        regex_t slow;
        snprintf(anchored, sizeof anchored, "^(%s)$", expressions[e]);
        assert_int_equal(regcomp(&slow, anchored, REG_EXTENDED | REG_NOSUB), 0);
        MuseGrammar *g = must_open(tok, REGEX, expressions[e], 0, 0);
        for (int n = 0; n <= 7; n++)
            for (int code = 0; code < ((int[]){ 1, 3, 9, 27, 81, 243, 729, 2187 })[n]; code++) {
                for (int i = 0, c = code; i < n; i++, c /= 3) text[i] = (char)('a' + c % 3);
                text[n] = 0;
                const bool want = regexec(&slow, text, 0, NULL, 0) == 0;
                if ((muse_grammar_match(g, text, (size_t)n) == 0) != want) fail_msg("%s on %s", expressions[e], text);
            }
        regfree(&slow);
        muse_grammar_close(&g);
    }
    muse_text_close(&tok);
}

typedef struct Match { Kind kind; unsigned space; const char *grammar, *yes, *no; } Match;   /* texts by newline */

#define LIST "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"next\"]}"
#define TREE "{\"$ref\":\"#/$defs/box\",\"$defs\":{\"text\":{\"type\":\"object\",\"properties\":{\"t\":{\"const\":\"x\"}},\"required\":[\"t\"]}," \
    "\"box\":{\"type\":\"object\",\"properties\":{\"c\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"$ref\":\"#/$defs/text\"},{\"$ref\":\"#/$defs/box\"}]}}},\"required\":[\"c\"]}}}"
#define EXPR "{\"$ref\":\"#/$defs/e\",\"$defs\":{\"e\":{\"anyOf\":[{\"type\":\"integer\"},{\"$ref\":\"#/$defs/bin\"},{\"$ref\":\"#/$defs/un\"}]}," \
    "\"bin\":{\"type\":\"object\",\"properties\":{\"op\":{\"enum\":[\"+\",\"-\"]},\"l\":{\"$ref\":\"#/$defs/e\"},\"r\":{\"$ref\":\"#/$defs/e\"}},\"required\":[\"op\",\"l\",\"r\"]}," \
    "\"un\":{\"type\":\"object\",\"properties\":{\"op\":{\"const\":\"-\"},\"x\":{\"$ref\":\"#/$defs/e\"}},\"required\":[\"op\",\"x\"]}}}"

static const Match matches[] = {
    { REGEX, 0, "[à-ö€]{1,2}|\\u20ac\\x41", "à\nö€\n€\n€A", "a\n÷x\nààà\n\xc3" },
    { REGEX, 0, "^\\d+(\\.\\d{2})?$", "1\n12.50", ".5\n1.\n1.5" },
    { REGEX, 0, "[^\\s\\d]+", "ab\né\U0001F600", "a b\n1\n\xc2\xa0" },
    { REGEX, 0, "[a-]+\\-\\[", "a--[", "b-[" },
    { REGEX, 0, "ab|a(c|d[xy]+[])e", "ab\nace", "ad\nae\nadx" },   /* a dead end behind d */
    { REGEX, 0, ".*", "abc\nñ\n\U0001F600", "\xff\n\xed\xa0\x80\n\xc0\x80" },
    { JSON, 0, "", "{}\n[]\n\"a\\u0041\\ud83d\\ude00é\"\n-0.5e-10\n{\"a\":[1,{\"b\":null}],\"c\":true}\n[[[]],{}]", "{ }\n[1,]\n\"\\ud83d\"\n01\n{\"a\"}\n[1 ]\nnul\n\"\t\"" },
    { JSON, MUSE_GRAMMAR_FREE, "", "{ }\n[ 1 , 2 ]\n{ \"a\" :\t[ ] }", " 1\n1 \n[1,,2]" },
    { JSON, MUSE_GRAMMAR_SPACED, "", "{\"a\": [1, 2]}\n[]", "{\"a\":1}\n[1,2]\n[1 , 2]" },
    { SCHEMA, 0, "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"null\"},\"c\":{\"type\":\"boolean\"}},\"required\":[\"b\"]}",
      "{\"b\":null}\n{\"a\":1,\"b\":null}\n{\"b\":null,\"c\":true}\n{\"a\":-12,\"b\":null,\"c\":false}", "{}\n{\"a\":1}\n{,\"b\":null}\n{\"b\":null,}\n{\"b\":null,\"a\":1}\n{\"a\":1.5,\"b\":null}" },
    { SCHEMA, 0, "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}", "{}\n{\"a\":1}", "{\"b\":1}\n{\"a\":1,\"a\":1}" },
    { SCHEMA, 0, "{\"properties\":{\"ab\":{\"type\":\"integer\"},\"b\":{\"const\":1}},\"additionalProperties\":{\"type\":\"null\"}}",
      "{}\n{\"ab\":1}\n{\"ab\":1,\"a\":null}\n{\"abc\":null}\n{\"x\":null,\"y\":null}\n{\"\":null}\n{\"b\":1}", "{\"ab\":null}\n{\"b\":null}\n{\"a\":1}\n{\"x\":null,\"ab\":1}\n{\"\\u0062\":null}" },
    { SCHEMA, 0, "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":true}", "{\"a\":null,\"z\":[1,{\"q\":2}]}\n{\"z\":1}", "{\"a\":1}" },
    { SCHEMA, 0, "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":255},\"minItems\":2,\"maxItems\":3}", "[0,255]\n[9,10,99]", "[1]\n[1,2,3,4]\n[256,1]\n[-1,1]\n[01,1]" },
    { SCHEMA, 0, "{\"type\":\"array\",\"maxItems\":0}", "[]", "[1]" },
    { SCHEMA, 0, "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"ab\"\n\"é\\n€\"\n\"\\ud83d\\ude00x\"", "\"a\"\n\"abcd\"\n\"\"" },
    { SCHEMA, 0, "{\"type\":\"string\",\"pattern\":\"^a\\\"b\\\\n?$\"}", "\"a\\\"b\"\n\"a\\\"b\\n\"", "\"ab\"\n\"xa\\\"b\"" },
    { SCHEMA, 0, "{\"type\":\"string\",\"pattern\":\"b+\"}", "\"abc\"\n\"b\"\n\"\\\"b\\\\\"", "\"ac\"\n\"\"" },
    { SCHEMA, 0, "{\"type\":\"string\",\"format\":\"date\"}", "\"2024-02-28\"\n\"1999-12-31\"", "\"2024-02-30\"\n\"2024-13-01\"\n\"24-01-01\"" },
    { SCHEMA, 0, "{\"enum\":[\"a\\\"\",-5,0.1,1e300,null,true,[1,{\"k\":\"v\"}]]}", "\"a\\\"\"\n-5\n0.1\n1e+300\nnull\ntrue\n[1,{\"k\":\"v\"}]", "5\nfalse\n[1]" },
    { SCHEMA, 0, "{\"type\":\"string\",\"enum\":[\"a\",1]}", "\"a\"", "1" },
    { SCHEMA, 0, "{\"type\":[\"integer\",\"null\"],\"maximum\":5}", "5\n-999\nnull", "6" },
    { SCHEMA, 0, "{\"type\":\"integer\",\"exclusiveMinimum\":-3,\"exclusiveMaximum\":3.5}", "-2\n0\n3", "-3\n4\n-0" },
    { SCHEMA, 0, LIST, "{\"v\":1,\"next\":null}\n{\"v\":1,\"next\":{\"v\":2,\"next\":{\"v\":3,\"next\":null}}}", "{\"v\":1}\n{\"v\":1,\"next\":{}}" },
    { SCHEMA, 0, TREE, "{\"c\":[]}\n{\"c\":[{\"t\":\"x\"},{\"c\":[{\"c\":[{\"t\":\"x\"}]}]}]}", "{\"t\":\"x\"}\n{\"c\":[{}]}\n{\"c\":[[]]}" },
    { SCHEMA, 0, EXPR, "7\n{\"op\":\"-\",\"x\":{\"op\":\"-\",\"l\":1,\"r\":{\"op\":\"+\",\"l\":{\"op\":\"-\",\"x\":3},\"r\":2}}}", "{\"op\":\"+\",\"x\":1}\n{\"op\":\"-\",\"l\":1}" },
    { SCHEMA, 0, "{\"allOf\":[{\"$ref\":\"#/$defs/a~1b\"}],\"$defs\":{\"a/b\":{\"type\":\"null\",\"title\":\"t\"}},\"description\":\"d\"}", "null", "1" },
};

static void each_line(const MuseGrammar *g, const Match *m, const char *lines, bool want)
{
    for (const char *at = lines;; at++) {
        const size_t n = strcspn(at, "\n");
        const int rc = muse_grammar_match(g, at, n);
        if ((rc == 0) != want) fail_msg("%s: \"%.*s\" gives %d", m->grammar, (int)n, at, rc);
        for (size_t k = 0; want && k < n; k++) assert_true(muse_grammar_match(g, at, k) >= 0);   /* every beginning is one */
        at += n;
        if (!*at) return;
    }
}

static void test_matches(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(3);
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        MuseGrammar *g = must_open(tok, matches[i].kind, matches[i].grammar, matches[i].space, 0);
        each_line(g, &matches[i], matches[i].yes, true);
        each_line(g, &matches[i], matches[i].no, false);
        muse_grammar_close(&g);
    }
    muse_text_close(&tok);
}

static void test_integers(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(3);
    uint64_t seed = 4;
    for (int round = 0; round < 60; round++) {
        const int a = (int)(next_random(&seed) % 2400) - 1200, b = a + (int)(next_random(&seed) % (round % 2 ? 30 : 1300));
        char schema[128], text[16];
        snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", a, b);
        MuseGrammar *g = must_open(tok, SCHEMA, schema, 0, 0);
        for (int v = -1300; v <= 2600; v++) {
            const int n = snprintf(text, sizeof text, "%d", v);
            if ((muse_grammar_match(g, text, (size_t)n) == 0) != (v >= a && v <= b)) fail_msg("%s: %d", schema, v);
        }
        muse_grammar_close(&g);
    }
    muse_text_close(&tok);
}

static bool is_added(const MuseTextTokenizer *tok, int32_t id)
{
    return (tok->vocab.flags[id] & MUSE_TOKEN_ADDED) != 0;
}

/* the mask is what trying each token gives */
static void check_mask(const MuseGrammar *g, const MuseTextTokenizer *tok, const MuseCursor *c, MuseWalk *w, uint64_t *mask)
{
    MuseTextInfo info;
    muse_text_info(tok, &info);
    muse_grammar_mask(g, c, w, mask);
    for (uint32_t id = 0; id < info.vocab_size; id++) {
        const char *bytes;
        size_t n;
        MuseCursor next = *c;
        const bool there = muse_text_token_bytes(tok, (int32_t)id, &bytes, &n) == 0 && n && !is_added(tok, (int32_t)id) && (int32_t)id != info.unk;
        const bool want = there && muse_cursor_bytes(&next, g, (const uint8_t *)bytes, n) == n;
        if ((mask[id / 64] >> id % 64 & 1) != want) fail_msg("token %u \"%.*s\": %d wanted", id, (int)n, bytes, want);
    }
}

static void parses(const char *text, size_t n)
{
    MuseJson doc;
    MuseError err;
    char *exact = malloc(n ? n : 1);
    memcpy(exact, text, n);
    if (muse_json_parse(&doc, NULL, exact, n, &err) < 0) fail_msg("%.*s: %s", (int)n, text, err.text);
    muse_json_close(&doc);
    free(exact);
}

/* Random walks by a sampler; after some steps the logits favour what closes. Each ends in a text that fits, and parses. */
static void walk(const MuseTextTokenizer *tok, const Match *m, size_t mask_bytes, uint64_t seed, bool masks)
{
    MuseTextInfo info;
    muse_text_info(tok, &info);
    MuseGrammar *g = must_open(tok, m->kind, m->grammar, m->space, mask_bytes);
    const int32_t end = info.eos >= 0 ? info.eos : -1;
    MuseSampleParams p;
    MuseSampler *s;
    MuseError err;
    MuseWalk w;
    float *x = malloc(info.vocab_size * sizeof *x);
    uint64_t *mask = malloc((info.vocab_size / 64 + 1) * sizeof *mask);
    muse_sample_params_init(&p);
    p.temperature = 1;
    p.seed = seed;
    p.grammar = g;
    assert_int_equal(muse_sampler_open(&s, NULL, info.vocab_size, &p, &err), 0);
    assert_int_equal(muse_walk_open(&w, NULL, g), 0);
    for (int round = 0; round < 12; round++) {
        char text[65536];
        size_t n = 0;
        MuseCursor c;
        int step = 0;
        muse_cursor_start(&c, g);
        muse_sampler_reset(s);
        for (; step < 3000 && !muse_sampler_must_end(s) && n < sizeof text - 1100; step++) {
            const char *bytes;
            size_t len;
            MuseSampled got;
            if (muse_sampler_can_end(s) && next_random(&seed) % 4 == 0) break;
            for (uint32_t i = 0; i < info.vocab_size; i++) {
                x[i] = (float)(next_random(&seed) % 1000) / 200.0f;
                if (step > 20 && muse_text_token_bytes(tok, (int32_t)i, &bytes, &len) == 0 && len && strchr("}]\"0", bytes[0]) && bytes[0]) x[i] += 12.0f - (float)len;
            }
            if (end >= 0) x[end] = -5;
            if (masks && step % 5 == 0) check_mask(g, tok, &c, &w, mask);
            if (muse_sampler_pick(s, x, &got, &err) < 0) fail_msg("%s after \"%.*s\": %s", m->grammar, (int)n, text, err.text);
            if (got.id == end) break;
            assert_int_equal(muse_sampler_accept(s, got.id, NULL), 0);
            assert_int_equal(muse_text_token_bytes(tok, got.id, &bytes, &len), 0);
            assert_int_equal(muse_cursor_bytes(&c, g, (const uint8_t *)bytes, len), len);
            memcpy(text + n, bytes, len);
            n += len;
        }
        if (!muse_sampler_can_end(s)) continue;   /* a walk that goes on for ever is no fault */
        assert_int_equal(muse_grammar_match(g, text, n), 0);
        if (m->kind != REGEX) parses(text, n);
        if (end >= 0) {
            assert_int_equal(muse_sampler_accept(s, end, NULL), 0);
            assert_true(muse_sampler_must_end(s));
            assert_int_equal(muse_sampler_pick(s, x, &(MuseSampled){ 0 }, &err), MUSE_ERR_STATE);
            assert_int_equal(muse_sampler_accept(s, end, NULL), MUSE_ERR_STATE);
        }
    }
    muse_walk_close(&w);
    free(mask);
    free(x);
    muse_sampler_close(&s);
    muse_grammar_close(&g);
}

static void test_walks(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        MuseTextTokenizer *tok = open_tokenizer(t);
        for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) walk(tok, &matches[i], i % 3 == 2 ? 64 : 0, i * 10 + (uint64_t)t, true);
        muse_text_close(&tok);
    }
}

/* every way to cut a text into tokens is allowed: from each byte that can be reached, each token that fits there */
static void test_tokenisations(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        MuseTextTokenizer *tok = open_tokenizer(t);
        MuseTextInfo info;
        muse_text_info(tok, &info);
        for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
            MuseGrammar *g = must_open(tok, matches[i].kind, matches[i].grammar, matches[i].space, 0);
            MuseWalk w;
            uint64_t *mask = malloc((info.vocab_size / 64 + 1) * sizeof *mask);
            assert_int_equal(muse_walk_open(&w, NULL, g), 0);
            const char *text = matches[i].yes;
            for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
                const size_t n = strcspn(text, "\n");
                for (size_t at = 0; at < n; at++) {   /* all of the bytes are tokens, so each is reached */
                    MuseCursor c;
                    muse_cursor_start(&c, g);
                    assert_int_equal(muse_cursor_bytes(&c, g, (const uint8_t *)text, at), at);
                    muse_grammar_mask(g, &c, &w, mask);
                    for (uint32_t id = 0; id < info.vocab_size; id++) {
                        const char *bytes;
                        size_t len;
                        if (is_added(tok, (int32_t)id) || muse_text_token_bytes(tok, (int32_t)id, &bytes, &len) < 0 || !len || len > n - at) continue;
                        if (memcmp(bytes, text + at, len) == 0) assert_true(mask[id / 64] >> id % 64 & 1);
                    }
                }
            }
            muse_walk_close(&w);
            free(mask);
            muse_grammar_close(&g);
        }
        muse_text_close(&tok);
    }
}

static void test_depth(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(0);
    char text[2 * 400];
    MuseGrammar *g = must_open(tok, JSON, "", 0, 0);
    memset(text, '[', 400);
    memset(text + 400, ']', 400);
    assert_int_equal(muse_grammar_match(g, text + 400 - MUSE_GRAMMAR_DEPTH_MAX, 2 * MUSE_GRAMMAR_DEPTH_MAX), 0);
    assert_int_equal(muse_grammar_match(g, text, 800), MUSE_ERR_NOT_FOUND);
    MuseCursor c;   /* near the limit masks are still exact */
    MuseWalk w;
    uint64_t mask[64];
    assert_int_equal(muse_walk_open(&w, NULL, g), 0);
    muse_cursor_start(&c, g);
    for (int i = 0; i < MUSE_GRAMMAR_DEPTH_MAX; i++) {
        assert_int_equal(muse_cursor_bytes(&c, g, (const uint8_t *)"[", 1), 1);
        if (i > MUSE_GRAMMAR_DEPTH_MAX - 6) check_mask(g, tok, &c, &w, mask);
    }
    muse_walk_close(&w);
    muse_grammar_close(&g);
    muse_text_close(&tok);
}

static void test_choices(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(2);
    const char *const words[] = { "yes", "yesterday", "no", "" };
    const size_t sizes[] = { 3, 9, 2, 0 };
    MuseGrammar *g;
    assert_int_equal(muse_grammar_open_choices(&g, NULL, tok, words, sizes, 3, NULL, NULL), 0);
    assert_int_equal(muse_grammar_match(g, "yes", 3), 0);
    assert_int_equal(muse_grammar_match(g, "yest", 4), MUSE_AGAIN);
    assert_int_equal(muse_grammar_match(g, "", 0), MUSE_AGAIN);
    assert_int_equal(muse_grammar_match(g, "nope", 4), MUSE_ERR_NOT_FOUND);
    muse_grammar_close(&g);
    assert_int_equal(muse_grammar_open_choices(&g, NULL, tok, words, sizes, 4, NULL, NULL), 0);
    assert_int_equal(muse_grammar_match(g, "", 0), 0);
    muse_grammar_close(&g);
    assert_int_equal(muse_grammar_open_choices(&g, NULL, tok, words, sizes, 0, NULL, NULL), MUSE_ERR_ARG);
    muse_text_close(&tok);
}

static const struct { Kind kind; const char *grammar; int code; const char *word; } bad[] = {
    { REGEX, "(a", MUSE_ERR_FORMAT, ")" }, { REGEX, "a)", MUSE_ERR_FORMAT, ")" }, { REGEX, "[a", MUSE_ERR_FORMAT, "]" }, { REGEX, "*a", MUSE_ERR_FORMAT, "repeat" },
    { REGEX, "a{3,2}", MUSE_ERR_FORMAT, "bounds" }, { REGEX, "a{x}", MUSE_ERR_FORMAT, "number" }, { REGEX, "[z-a]", MUSE_ERR_FORMAT, "backwards" }, { REGEX, "\xff", MUSE_ERR_FORMAT, "UTF-8" },
    { REGEX, "\\", MUSE_ERR_FORMAT, "backslash" }, { REGEX, "\\u12g4", MUSE_ERR_FORMAT, "hexadecimal" }, { REGEX, "(a)\\1", MUSE_ERR_UNSUPPORTED, "escape" }, { REGEX, "(?=a)", MUSE_ERR_UNSUPPORTED, "look" },
    { REGEX, "a*?", MUSE_ERR_UNSUPPORTED, "lazy" }, { REGEX, "\\bfoo", MUSE_ERR_UNSUPPORTED, "escape" }, { REGEX, "\\p{L}", MUSE_ERR_UNSUPPORTED, "escape" }, { REGEX, "a^b", MUSE_ERR_UNSUPPORTED, "^" },
    { REGEX, "^a|b", MUSE_ERR_UNSUPPORTED, "|" }, { REGEX, "[[:alpha:]]", MUSE_ERR_UNSUPPORTED, "classes" }, { REGEX, "a{70000}", MUSE_ERR_LIMIT, "repeats" },
    { REGEX, "((a{1000}){1000}){1000}", MUSE_ERR_LIMIT, "nodes" }, { REGEX, "(a|b)*a(a|b){20}", MUSE_ERR_LIMIT, "states" }, { REGEX, "[]", MUSE_ERR_STATE, "no text" }, { REGEX, "a[]", MUSE_ERR_STATE, "no text" },
    { SCHEMA, "{", MUSE_ERR_FORMAT, "JSON" }, { SCHEMA, "1", MUSE_ERR_FORMAT, "neither" }, { SCHEMA, "{\"type\":\"thing\"}", MUSE_ERR_FORMAT, "thing" }, { SCHEMA, "{\"type\":[]}", MUSE_ERR_FORMAT, "empty" },
    { SCHEMA, "{\"type\":\"object\",\"patternProperties\":{}}", MUSE_ERR_UNSUPPORTED, "patternProperties" }, { SCHEMA, "{\"not\":{}}", MUSE_ERR_UNSUPPORTED, "not" },
    { SCHEMA, "{\"properties\":{\"here\":{\"multipleOf\":3}}}", MUSE_ERR_UNSUPPORTED, "#/here" }, { SCHEMA, "{\"type\":\"number\",\"minimum\":3}", MUSE_ERR_UNSUPPORTED, "bounds" },
    { SCHEMA, "{\"type\":\"string\",\"format\":\"email\"}", MUSE_ERR_UNSUPPORTED, "email" }, { SCHEMA, "{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":3}", MUSE_ERR_UNSUPPORTED, "pattern" },
    { SCHEMA, "{\"$ref\":\"#/$defs/no\"}", MUSE_ERR_NOT_FOUND, "#/$defs/no" }, { SCHEMA, "{\"$ref\":\"http://x\"}", MUSE_ERR_UNSUPPORTED, "http" }, { SCHEMA, "{\"$ref\":\"#\"}", MUSE_ERR_STATE, "no text" },
    { SCHEMA, "{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", MUSE_ERR_UNSUPPORTED, "recursive" }, { SCHEMA, "{\"anyOf\":[]}", MUSE_ERR_FORMAT, "list" }, { SCHEMA, "false", MUSE_ERR_STATE, "no text" },
    { SCHEMA, "{\"enum\":[]}", MUSE_ERR_FORMAT, "enum" }, { SCHEMA, "{\"type\":\"null\",\"enum\":[1]}", MUSE_ERR_STATE, "no text" }, { SCHEMA, "{\"allOf\":[{},{}]}", MUSE_ERR_UNSUPPORTED, "allOf" },
    { SCHEMA, "{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", MUSE_ERR_STATE, "minItems" }, { SCHEMA, "{\"type\":\"array\",\"minItems\":-1}", MUSE_ERR_FORMAT, "minItems" },
    { SCHEMA, "{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", MUSE_ERR_STATE, "no text" }, { SCHEMA, "{\"type\":\"object\",\"required\":[\"q\"]}", MUSE_ERR_UNSUPPORTED, "q" },
    { SCHEMA, "{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#\"}},\"required\":[\"n\"]}", MUSE_ERR_STATE, "no text" }, { SCHEMA, "{\"type\":\"string\",\"maxLength\":1048577}", MUSE_ERR_LIMIT, "maxLength" },
    { SCHEMA, "{\"$defs\":{\"a\":{\"items\":{\"$ref\":\"#/$defs/b\"},\"minItems\":99},\"b\":{\"items\":{\"$ref\":\"#/$defs/c\"},\"minItems\":99},\"c\":{\"items\":{},\"minItems\":99}},\"$ref\":\"#/$defs/a\"}", MUSE_ERR_LIMIT, "nodes" },
};

static void test_refused(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        MuseGrammar *g = (MuseGrammar *)tok;
        MuseError err = { 0 };
        const int rc = open_kind(&g, tok, bad[i].kind, bad[i].grammar, 0, 0, &err);
        if (rc != bad[i].code || err.code != rc || g || !strstr(err.text, bad[i].word)) fail_msg("%s: %s: %s", bad[i].grammar, muse_status_name(rc), err.text);
    }
    muse_text_close(&tok);
}

typedef struct Opening { const MuseTextTokenizer *tok; const char *schema; MuseGrammar *g; } Opening;

static void *open_on_thread(void *user)
{
    Opening *o = user;
    MuseError err;
    if (open_kind(&o->g, o->tok, SCHEMA, o->schema, 0, 0, &err) < 0) o->g = NULL;
    return NULL;
}

/* a long name beside additionalProperties, on a thread with little stack */
static void test_long_key(void **state)
{
    (void)state;
    enum { LONG = 250, STACK = 256 << 10 };
    char schema[1024], name[LONG + 1], text[600];
    MuseTextTokenizer *tok = open_tokenizer(0);
    Opening o = { tok, schema, NULL };
    pthread_attr_t attr;
    pthread_t thread;
    memset(name, 'k', LONG);
    name[LONG] = 0;
    snprintf(schema, sizeof schema, "{\"properties\":{\"%s\":{\"const\":1}},\"additionalProperties\":{\"const\":2}}", name);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attr, open_on_thread, &o), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    assert_non_null(o.g);
    snprintf(text, sizeof text, "{\"%s\":1,\"%sx\":2}", name, name);
    assert_int_equal(muse_grammar_match(o.g, text, strlen(text)), 0);
    snprintf(text, sizeof text, "{\"%s\":2}", name);
    assert_int_equal(muse_grammar_match(o.g, text, strlen(text)), MUSE_ERR_NOT_FOUND);
    muse_grammar_close(&o.g);
    muse_text_close(&tok);
}

/* ---- threads ---- */

enum { WALKERS = 4, STEPS = 60 };

typedef struct Walker {
    const MuseGrammar *g;
    const float *logits;     /* [V] */
    uint32_t V, seed;
    int32_t  ids[STEPS];
    size_t   n;
    int      rc;
} Walker;

static void *walk_on_thread(void *user)
{
    Walker *w = user;
    MuseSampleParams p;
    MuseSampler *s;
    MuseSampled got;
    muse_sample_params_init(&p);
    p.temperature = 1;
    p.seed = w->seed;
    p.grammar = w->g;
    w->rc = muse_sampler_open(&s, NULL, w->V, &p, NULL);
    while (w->rc == 0 && w->n < STEPS && !muse_sampler_must_end(s)) {
        w->rc = muse_sampler_pick(s, w->logits, &got, NULL);
        if (w->rc == 0) w->rc = muse_sampler_accept(s, got.id, NULL);
        if (w->rc == 0) w->ids[w->n++] = got.id;
    }
    muse_sampler_close(&s);
    return NULL;
}

/* One grammar in several threads, with less room for what is kept than they ask for, allows what it allows without keeping. */
static void test_threads(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_tokenizer(0);
    const uint32_t V = tok->vocab.n;
    float *logits = calloc(V, sizeof *logits);
    for (uint32_t round = 0; round < 8; round++) {
        static const char nested[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}},\"b\":{\"$ref\":\"#\"},"
                                     "\"c\":{\"type\":\"boolean\"}},\"required\":[\"a\",\"c\"]}";
        MuseGrammar *g = must_open(tok, SCHEMA, nested, MUSE_GRAMMAR_FREE, round % 2 ? 64 << 10 : 1 << 20), *plain = must_open(tok, SCHEMA, nested, MUSE_GRAMMAR_FREE, 1);
        Walker w[WALKERS], want[WALKERS];
        pthread_t threads[WALKERS];
        for (uint32_t i = 0; i < WALKERS; i++) {
            w[i] = (Walker){ .g = g, .logits = logits, .V = V, .seed = 10 * round + i };
            assert_int_equal(pthread_create(&threads[i], NULL, walk_on_thread, &w[i]), 0);
        }
        for (uint32_t i = 0; i < WALKERS; i++) {
            pthread_join(threads[i], NULL);
            want[i] = (Walker){ .g = plain, .logits = logits, .V = V, .seed = 10 * round + i };
            walk_on_thread(&want[i]);
            assert_int_equal(w[i].rc, want[i].rc);
            assert_int_equal(w[i].n, want[i].n);
            assert_memory_equal(w[i].ids, want[i].ids, w[i].n * sizeof *w[i].ids);
        }
        muse_grammar_close(&g);
        muse_grammar_close(&plain);
    }
    free(logits);
    muse_text_close(&tok);
}

typedef struct Letters { const MuseTextTokenizer *tok; MuseGrammar *g; int rc; } Letters;

static void *open_letters(void *user)
{
    Letters *o = user;
    o->rc = muse_grammar_open_regex(&o->g, NULL, o->tok, "[a-z]+", 6, NULL, NULL);
    return NULL;
}

/* All grammars of a tokenizer share one trie, which outlives it; several threads may be first. */
static void test_shared_trie(void **state)
{
    (void)state;
    static Meter meter;
    MuseTextTokenizer *tok;
    MuseTextInfo before, after;
    MuseRuntime *rt = meter_runtime(&meter, 0);
    assert_int_equal(muse_text_open_file(&tok, rt, data_path("golden/llama3/hf/tokenizer.json"), NULL), 0);
    muse_runtime_close(&rt);
    muse_text_info(tok, &before);
    Letters o[WALKERS];
    pthread_t threads[WALKERS];
    for (uint32_t i = 0; i < WALKERS; i++) {
        o[i] = (Letters){ .tok = tok };
        assert_int_equal(pthread_create(&threads[i], NULL, open_letters, &o[i]), 0);
    }
    for (uint32_t i = 0; i < WALKERS; i++) pthread_join(threads[i], NULL);
    muse_text_info(tok, &after);
    assert_true(after.memory_bytes > before.memory_bytes);
    const long calls = meter.calls;
    MuseGrammar *late = must_open(tok, SCHEMA, "{\"type\":\"integer\"}", 0, 0);
    assert_int_equal(meter.calls, calls);   /* nothing more of the tokenizer's runtime */
    assert_ptr_equal(late->trie, o[0].g->trie);
    muse_text_close(&tok);
    Walker w = { .g = late, .logits = calloc(after.vocab_size, sizeof(float)), .V = after.vocab_size, .seed = 5 };
    walk_on_thread(&w);
    assert_true(w.rc == 0 && w.n > 0);
    free((void *)(uintptr_t)w.logits);
    for (uint32_t i = 0; i < WALKERS; i++) {
        assert_int_equal(o[i].rc, 0);
        assert_ptr_equal(late->trie, o[i].g->trie);
        muse_grammar_close(&o[i].g);
    }
    assert_true(meter.live > 0);
    muse_grammar_close(&late);
    assert_int_equal(meter.live, 0);
}

/* Rules that call each other in a row beside one long text: to find out how deep they go takes a sweep over all states for each rule. */
static int open_row(uint32_t rules, uint32_t length, MuseError *err)
{
    static bool usable[256];
    MuseNfa *f = calloc(1, sizeof *f);
    MuseAutomaton a;
    uint8_t *text = malloc(length);
    memset(usable, 1, sizeof usable);
    for (uint32_t i = 0; i < length; i++) text[i] = i ? (uint8_t)(i * 7 % 251) : 255;
    f->err = err;
    f->n_rules = rules + 1;
    MuseFrag first = muse_nfa_choice(f);
    for (uint32_t r = 1; r <= rules; r++) {
        const MuseFrag name = muse_nfa_bytes(f, (uint8_t)r, (uint8_t)r);
        muse_nfa_branch(f, &first, muse_nfa_cat(f, name, muse_nfa_call(f, r)));
    }
    muse_nfa_branch(f, &first, muse_nfa_text(f, text, length));
    muse_nfa_rule(f, 0, first);
    for (uint32_t r = 1; r <= rules; r++) {
        MuseFrag body = muse_nfa_bytes(f, 'x', 'x');
        if (r < rules) body = muse_nfa_cat(f, body, muse_nfa_call(f, r + 1));
        muse_nfa_rule(f, r, muse_nfa_cat(f, body, muse_nfa_bytes(f, 'y', 'y')));
    }
    assert_int_equal(f->rc, 0);
    const int rc = muse_automaton_open(&a, NULL, f, usable, err);
    muse_automaton_close(&a);
    muse_nfa_close(f);
    free(f);
    free(text);
    return rc;
}

static void test_endless_needs(void **state)
{
    (void)state;
    MuseError err;
    assert_int_equal(open_row(250, 100, &err), 0);
    assert_int_equal(open_row(10, 48000, &err), 0);
    assert_int_equal(open_row(250, 48000, &err), MUSE_ERR_LIMIT);
    assert_non_null(strstr(err.text, "steps"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regex_enumerated), cmocka_unit_test(test_matches), cmocka_unit_test(test_integers), cmocka_unit_test(test_walks),
        cmocka_unit_test(test_tokenisations), cmocka_unit_test(test_depth), cmocka_unit_test(test_choices), cmocka_unit_test(test_refused), cmocka_unit_test(test_long_key), cmocka_unit_test(test_endless_needs), cmocka_unit_test(test_threads), cmocka_unit_test(test_shared_trie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
