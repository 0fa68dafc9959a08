/* SPDX-License-Identifier: Apache-2.0 */
/* The text tokenizer against vectors computed elsewhere (tests/data/make_text.py), and the promises of muse/text.h. */
#include "tests/unit/meter.h"
#include "tests/unit/text_util.h"

#include <pthread.h>

#include "tokenizers/text/classes.h"

typedef struct Vectors {
    const char *tokenizer, *cases;
    bool normalizes;    /* decoding need not give the text back */
} Vectors;

static const Vectors vectors[] = {
    { "text/gemma4-a", "text/gemma4-a/tokens.jsonl", false },
    { "text/gemma4-a/tokenizer.json", "text/gemma4-a/tokens.jsonl", false },
    { "text/gemma4-a/tokenizer.gguf", "text/gemma4-a/tokens.jsonl", false },
    { "text/gemma4-b", "text/gemma4-b/tokens.jsonl", false },
    { "text/llama3", "text/llama3/tokens.jsonl", false },
    { "text/llama3/tokenizer.gguf", "text/llama3/tokens.jsonl", false },
    { "text/qwen2", "text/qwen2/tokens.jsonl", true },
    { "text/qwen2/tokenizer.gguf", "text/qwen2/tokens.jsonl", true },
    { "text/spec.json", "text/spec.jsonl", true },      /* U+2581 in the text comes back as a space */
    { "text/unigram.json", "text/unigram.jsonl", false },
    { "text/llama.gguf", "text/llama.jsonl", true },    /* a space is put after each added token */
};

static void check_case(const MuseTextTokenizer *tok, const Vectors *v, const MuseJsonValue *c)
{
    const MuseJsonValue *text = muse_json_get(c, "text"), *want = muse_json_get(c, "ids");
    size_t n_ids, n_back, i = 0;
    int32_t *ids = encode(tok, text->u.string, text->len, MUSE_TEXT_ADDED, &n_ids);
    if (n_ids != want->len) fail_msg("%s: \"%.*s\": %zu ids, wanted %u", v->tokenizer, (int)text->len, text->u.string, n_ids, want->len);
    for (const MuseJsonValue *id = want->u.first; id; id = id->next, i++)
        if (ids[i] != id->u.integer) fail_msg("%s: \"%.*s\": id %zu is %d, wanted %d", v->tokenizer, (int)text->len, text->u.string, i, ids[i], (int)id->u.integer);
    char *back = decode(tok, ids, n_ids, &n_back);
    assert_int_equal(back[n_back], 0);
    if (!v->normalizes && (n_back != text->len || memcmp(back, text->u.string, n_back) != 0)) fail_msg("%s: \"%.*s\" came back as \"%s\"", v->tokenizer, (int)text->len, text->u.string, back);
    muse_free(back);
    muse_free(ids);
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++) {
        MuseTextTokenizer *tok = open_data(vectors[k].tokenizer);
        MuseFile file = data_file(vectors[k].cases);
        size_t n = 0;
        for (size_t at = 0; at < file.size;) {
            const uint8_t *end = memchr(file.data + at, '\n', file.size - at);
            const size_t len = end ? (size_t)(end - file.data) - at : file.size - at;
            MuseJson doc = { 0 };
            if (len) {
                assert_int_equal(muse_json_parse(&doc, NULL, file.data + at, len, NULL), 0);
                check_case(tok, &vectors[k], doc.root);
                n++;
            }
            muse_json_close(&doc);
            at += len + 1;
        }
        assert_true(n >= 20);
        muse_file_close(&file);
        muse_text_close(&tok);
    }
}

static void check_info(const char *name, MuseTextInfo want)
{
    MuseTextTokenizer *tok = open_data(name);
    MuseTextInfo got;
    assert_int_equal(muse_text_info(tok, &got), 0);
    assert_string_equal(got.algorithm, want.algorithm);
    assert_int_equal(got.vocab_size, want.vocab_size);
    assert_int_equal(got.n_added, want.n_added);
    assert_int_equal(got.bos, want.bos);
    assert_int_equal(got.eos, want.eos);
    assert_int_equal(got.unk, want.unk);
    assert_int_equal(got.pad, want.pad);
    assert_int_equal(got.add_bos, want.add_bos);
    assert_true(got.memory_bytes > 1000 && got.memory_bytes < 1 << 20);
    muse_text_close(&tok);
}

static void test_info(void **state)
{
    (void)state;
    check_info("text/llama3", (MuseTextInfo){ "bpe", 448, 8, 440, 446, -1, 442, 1, 0 });
    check_info("text/llama3/tokenizer.gguf", (MuseTextInfo){ "bpe", 448, 8, 440, 446, -1, -1, 1, 0 });
    check_info("text/qwen2", (MuseTextInfo){ "bpe", 448, 7, -1, 443, -1, 441, 0, 0 });
    check_info("text/gemma4-a", (MuseTextInfo){ "bpe-fallback", 512, 24, 2, 1, 3, 0, 0, 0 });
    check_info("text/gemma4-a/tokenizer.gguf", (MuseTextInfo){ "bpe-fallback", 512, 24, 2, 16, 3, 0, 1, 0 });
    check_info("text/unigram.json", (MuseTextInfo){ "unigram", 291, 3, 1, 2, 0, -1, 1, 0 });
    check_info("text/llama.gguf", (MuseTextInfo){ "bpe-fallback", 313, 4, 1, 2, 0, -1, 1, 0 });
}

static void test_flags(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/llama3");
    check_ids(tok, "hi<|eot_id|>", 12, MUSE_TEXT_ADDED | MUSE_TEXT_BOS, "440 439 446");
    check_ids(tok, "", 0, MUSE_TEXT_BOS, "440");
    check_ids(tok, "<|begin_of_text|>hi", 19, MUSE_TEXT_ADDED | MUSE_TEXT_BOS, "440 439");   /* never two, Gemma spec 5.1 */
    check_ids(tok, "", 0, 0, "");
    size_t n, n_back;
    int32_t *ids = encode(tok, "hi<|eot_id|>", 12, 0, &n);   /* plain text: no id of an added token */
    for (size_t i = 0; i < n; i++) assert_true(ids[i] < 440);
    char *back = decode(tok, ids, n, &n_back);
    assert_string_equal(back, "hi<|eot_id|>");
    muse_free(back);
    muse_free(ids);
    const int32_t some[] = { 440, 439, 446 };
    MuseError err;
    assert_int_equal(muse_text_decode(tok, some, 3, MUSE_TEXT_SKIP_SPECIAL, &back, &n_back, &err), 0);
    assert_string_equal(back, "hi");
    muse_free(back);
    assert_int_equal(muse_text_encode(tok, "x", 1, 8, &ids, &n, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_text_encode(tok, NULL, 1, 0, &ids, &n, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_text_encode(tok, "x", (size_t)(1 << 30) + 1, 0, &ids, &n, &err), MUSE_ERR_LIMIT);   /* by its size alone */
    assert_int_equal(muse_text_decode(tok, &(int32_t){ 448 }, 1, 0, &back, &n_back, &err), MUSE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "448"));
    assert_int_equal(muse_text_decode(tok, &(int32_t){ -1 }, 1, 0, &back, &n_back, &err), MUSE_ERR_NOT_FOUND);
    muse_text_close(&tok);
    muse_text_close(&tok);
    muse_text_close(NULL);
    assert_int_equal(muse_text_open_file(&tok, NULL, data_path("text/absent.json"), &err), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "absent.json"));
    assert_null(tok);
}

static void test_find(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/llama3");
    const char *bytes;
    size_t n;
    assert_int_equal(muse_text_find(tok, "<|eot_id|>", 10), 446);
    const int32_t the = muse_text_find(tok, "Ġthe", 5);
    assert_true(the >= 256);
    assert_int_equal(muse_text_token_bytes(tok, the, &bytes, &n), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(bytes, " the", 4);
    assert_int_equal(muse_text_find(tok, " the", 4), MUSE_ERR_NOT_FOUND);   /* as written in the file */
    assert_int_equal(muse_text_find(tok, "", 0), MUSE_ERR_NOT_FOUND);
    assert_int_equal(muse_text_is_special(tok, 446), 1);
    assert_int_equal(muse_text_is_special(tok, the), 0);
    assert_int_equal(muse_text_is_special(tok, 5000), 0);
    muse_text_close(&tok);
    tok = open_data("text/spec.json");
    const int32_t byte = muse_text_find(tok, "<0x0A>", 6);
    assert_int_equal(muse_text_token_bytes(tok, byte, &bytes, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(bytes[0], '\n');
    assert_int_equal(muse_text_is_special(tok, muse_text_find(tok, "<|\"|>", 5)), 0);   /* user-defined: shown */
    assert_int_equal(muse_text_is_special(tok, muse_text_find(tok, "<|turn>", 7)), 1);
    muse_text_close(&tok);
}

static const char *const all_kinds[] = { "text/llama3", "text/qwen2", "text/gemma4-a", "text/spec.json", "text/unigram.json", "text/llama.gguf" };

/* bytes that are not UTF-8, NUL among them, are encoded one by one and come back */
static void test_literal_entries(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_text("{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"Ġ\":2,\"a b\":3,\"你\":4,\"Ġab\":5},\"merges\":[]}}");
    const char *bytes;
    size_t n;
    assert_int_equal(muse_text_find(tok, "a b", 3), 3);   /* a space is no letter of the byte alphabet: the text stands for itself */
    assert_int_equal(muse_text_token_bytes(tok, 3, &bytes, &n), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "a b", 3);
    assert_int_equal(muse_text_token_bytes(tok, 4, &bytes, &n), 0);
    assert_memory_equal(bytes, "你", 3);
    check_ids(tok, "a b ab", 6, 0, "0 2 1 5");             /* and is never what text becomes */
    muse_text_close(&tok);
    tok = open_data("text/ignore.gguf");                   /* llama-bpe takes a piece that is a token whole */
    check_ids(tok, "abc ab", 6, 0, "3 4 0 1");
    muse_text_close(&tok);
    tok = open_data("text/gemma4-a/tokenizer.gguf");
    assert_int_equal(muse_text_is_special(tok, muse_text_find(tok, "<|tool_call>", 12)), 0);   /* user-defined */
    assert_int_equal(muse_text_is_special(tok, muse_text_find(tok, "<bos>", 5)), 1);
    muse_text_close(&tok);
}

/* every sequence of up to three bytes, and the edges of four; counts from the definition of scalar values */
static void test_utf8(void **state)
{
    (void)state;
    size_t two = 0, three = 0;
    for (uint32_t v = 0; v < 1u << 24; v += v < 0xc00000 ? 0x10000 : 1) {
        const uint8_t s[3] = { (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
        uint32_t cp;
        const unsigned n = muse_utf8_char(s, 3, &cp);
        uint8_t back[4];
        if (n > 1) assert_true(muse_utf8_put(cp, back) == n && memcmp(back, s, n) == 0);
        three += n == 3;
        two += n == 2 && s[2] == 0;
    }
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);   /* without those of two bytes, without surrogates */
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(muse_utf8_char((const uint8_t *)"\xf0\x90\x80\x80", 4, NULL), 4);
    assert_int_equal(muse_utf8_char((const uint8_t *)"\xf0\x8f\xbf\xbf", 4, NULL), 0);
    assert_int_equal(muse_utf8_char((const uint8_t *)"\xf4\x8f\xbf\xbf", 4, NULL), 4);
    assert_int_equal(muse_utf8_char((const uint8_t *)"\xf4\x90\x80\x80", 4, NULL), 0);
    static const struct { const char *text; unsigned open; } tails[] = {
        { "", 0 }, { "a", 0 }, { "\xc3\xa9", 0 }, { "\xe4\xbd\xa0", 0 }, { "\xf0\x9f\x99\x82", 0 }, { "\xc3", 1 }, { "x\xe4\xbd", 2 }, { "\xf0\x9f\x99", 3 },
        { "\xf0\x9f", 2 }, { "\xed\xa0", 0 }, { "\xe0\x80", 0 }, { "\xc0", 0 }, { "\xf5", 0 }, { "\x80\x80", 0 }, { "\xe4\xbd\xa0\xe4", 1 }, { "\xf4\x90", 0 },
    };
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) assert_int_equal(muse_utf8_open_tail((const uint8_t *)tails[i].text, strlen(tails[i].text)), tails[i].open);
    for (unsigned b = 0; b < 256; b++) assert_int_equal(muse_byte_of_alphabet(muse_byte_alphabet((uint8_t)b)), b);
    assert_int_equal(muse_byte_alphabet(' '), 0x120);
    assert_int_equal(muse_byte_of_alphabet(' '), -1);
}

static void test_any_bytes(void **state)
{
    (void)state;
    static const char alphabet[] = "ab \n\0\xff\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x99\x82\x80\xed\xa0\x80\xc0\xf5'1";
    for (size_t k = 0; k < sizeof all_kinds / sizeof *all_kinds; k++) {
        MuseTextTokenizer *tok = open_data(all_kinds[k]);
        uint64_t seed = 5;
        for (int round = 0; round < 400; round++) {
            char text[64];
            const size_t n = next_random(&seed) % sizeof text;
            for (size_t i = 0; i < n; i++) text[i] = round % 4 ? alphabet[next_random(&seed) % (sizeof alphabet - 1)] : (char)next_random(&seed);
            size_t n_ids, n_back;
            int32_t *ids = encode(tok, text, n, (round & 1) ? MUSE_TEXT_ADDED : 0, &n_ids);
            char *back = decode(tok, ids, n_ids, &n_back);
            /* NFC may change a text that has marks or singletons; these bytes make none but by accident */
            if (k != 1 && (n_back != n || memcmp(back, text, n) != 0)) fail_msg("%s, round %d: other bytes came back", all_kinds[k], round);
            muse_free(back);
            muse_free(ids);
        }
        muse_text_close(&tok);
    }
    MuseTextTokenizer *tok = open_data("text/llama3");
    check_ids(tok, "\xe4\xbd", 2, 0, "228 189");      /* byte-level: E4 and BD by themselves, though some vocabularies join them */
    check_ids(tok, "a\0b", 3, 0, "64 94 65");
    muse_text_close(&tok);
}

/* a stream gives the same bytes as decoding at once, never half a character */
static void test_stream(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof all_kinds / sizeof *all_kinds; k++) {
        MuseTextTokenizer *tok = open_data(all_kinds[k]);
        MuseTextInfo info;
        MuseTextDecoder *dec;
        MuseError err;
        muse_text_info(tok, &info);
        assert_int_equal(muse_text_decoder_open(&dec, tok, 0, &err), 0);
        uint64_t seed = 11;
        for (int round = 0; round < 300; round++) {
            int32_t ids[48];
            const size_t n_ids = next_random(&seed) % 48;
            size_t total = 0, n, n_whole;
            char got[4096];
            const char *text;
            for (size_t i = 0; i < n_ids; i++) {
                ids[i] = (int32_t)(next_random(&seed) % info.vocab_size);
                assert_int_equal(muse_text_decoder_push(dec, ids[i], &text, &n, &err), 0);
                assert_int_equal(text[n], 0);
                memcpy(got + total, text, n);
                total += n;
                if (i % 7 == 3) assert_int_equal(muse_text_decoder_push(dec, 1 << 20, &text, &n, &err), MUSE_ERR_NOT_FOUND);   /* changes nothing */
            }
            assert_int_equal(muse_text_decoder_flush(dec, &text, &n, &err), 0);
            memcpy(got + total, text, n);
            total += n;
            char *whole = decode(tok, ids, n_ids, &n_whole);
            assert_int_equal(total, n_whole);
            assert_memory_equal(got, whole, total);
            muse_free(whole);
        }
        muse_text_decoder_close(&dec);
        muse_text_decoder_close(&dec);
        muse_text_close(&tok);
    }
}

/* text/unigram.json takes one space from the beginning of a text */
static void test_stream_goes_on(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/unigram.json");
    size_t n_ids;
    int32_t *ids = encode(tok, "ab", 2, 0, &n_ids);
    for (unsigned flags = 0; flags <= MUSE_TEXT_CONTINUE; flags += MUSE_TEXT_CONTINUE) {
        MuseTextDecoder *dec;
        char *whole, streamed[64];
        const char *text;
        size_t n, at = 0;
        assert_int_equal(muse_text_decoder_open(&dec, tok, flags, NULL), 0);
        for (size_t i = 0; i < n_ids; i++) {
            assert_int_equal(muse_text_decoder_push(dec, ids[i], &text, &n, NULL), 0);
            memcpy(streamed + at, text, n);
            at += n;
        }
        assert_int_equal(muse_text_decode(tok, ids, n_ids, flags, &whole, &n, NULL), 0);
        assert_int_equal(at, n);
        assert_memory_equal(streamed, whole, n);
        assert_int_equal(whole[0] == ' ', flags == MUSE_TEXT_CONTINUE);
        muse_free(whole);
        muse_text_decoder_close(&dec);
    }
    muse_free(ids);
    muse_text_close(&tok);
}

static void test_stream_characters(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/llama3");
    MuseTextDecoder *dec;
    const char *text;
    size_t n, n_ids;
    assert_int_equal(muse_text_decoder_open(&dec, tok, 0, NULL), 0);
    int32_t *ids = encode(tok, "🙂", 4, 0, &n_ids);
    assert_int_equal(n_ids, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(muse_text_decoder_push(dec, ids[i], &text, &n, NULL), 0);
        assert_int_equal(n, i == 3 ? 4 : 0);
    }
    /* F0 9F then a letter: the two bytes can't become a character any more, so they pass */
    muse_text_decoder_push(dec, ids[0], &text, &n, NULL);
    muse_text_decoder_push(dec, ids[1], &text, &n, NULL);
    assert_int_equal(n, 0);
    muse_text_decoder_push(dec, 64, &text, &n, NULL);
    assert_int_equal(n, 3);
    assert_memory_equal(text, "\xf0\x9f" "a", 3);
    muse_text_decoder_push(dec, ids[0], &text, &n, NULL);
    muse_text_decoder_flush(dec, &text, &n, NULL);
    assert_int_equal(n, 1);
    muse_text_decoder_flush(dec, &text, &n, NULL);
    assert_int_equal(n, 0);
    muse_free(ids);
    muse_text_decoder_close(&dec);
    muse_text_close(&tok);
}

/* the conditions of added tokens, with and without a normaliser */
static void test_added_conditions(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_text(
        "{\"added_tokens\":[{\"id\":10,\"content\":\"<l>\",\"lstrip\":true},{\"id\":11,\"content\":\"<r>\",\"rstrip\":true},"
        "{\"id\":12,\"content\":\"word\",\"single_word\":true},{\"id\":13,\"content\":\"<<\",\"normalized\":false},{\"id\":14,\"content\":\"<<<\",\"normalized\":false},"
        "{\"id\":15,\"content\":\"a b\",\"normalized\":true}],"
        "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"_\"},\"pre_tokenizer\":null,\"post_processor\":null,"
        "\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"_\":1,\"a\":2,\"b\":3,\"w\":4,\"o\":5,\"r\":6,\"d\":7,\"<\":8,\"é\":9},\"merges\":[]}}");
    check_ids(tok, "a <r> b", 7, MUSE_TEXT_ADDED, "2 1 11 1 3");         /* white space to the right is U+005F by then */
    check_ids(tok, "a word b", 8, MUSE_TEXT_ADDED, "2 1 4 5 6 7 1 3");   /* _ is a word character */
    check_ids(tok, "<word<", 6, MUSE_TEXT_ADDED, "8 12 8");
    check_ids(tok, "éword<", 7, MUSE_TEXT_ADDED, "9 4 5 6 7 8");
    check_ids(tok, "<<<<<", 5, MUSE_TEXT_ADDED, "14 13");                /* leftmost, then longest */
    check_ids(tok, "<<<<<", 5, 0, "8 8 8 8 8");
    check_ids(tok, "xa bx", 5, MUSE_TEXT_ADDED, "0 15 0");               /* matched as a_b */
    check_ids(tok, "a_b", 3, MUSE_TEXT_ADDED, "15");
    check_ids(tok, "zzz", 3, 0, "0 0 0");                                /* fuse_unk false */
    muse_text_close(&tok);
    tok = open_text("{\"added_tokens\":[{\"id\":10,\"content\":\"<l>\",\"lstrip\":true},{\"id\":11,\"content\":\"<r>\",\"rstrip\":true,\"normalized\":false},"
        "{\"id\":12,\"content\":\"<m>\",\"lstrip\":true,\"rstrip\":true}],\"decoder\":{\"type\":\"Fuse\"},"
        "\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"fuse_unk\":true,\"vocab\":{\"?\":0,\" \":1,\"a\":2},\"merges\":[]}}");
    check_ids(tok, "a \n\xc2\x85 <l> a", 11, MUSE_TEXT_ADDED, "2 10 1 2");
    check_ids(tok, "a <r> \xe3\x80\x80 a", 11, MUSE_TEXT_ADDED, "2 1 11 2");
    check_ids(tok, "a <m> <m> a", 11, MUSE_TEXT_ADDED, "2 12 12 2");
    check_ids(tok, "zzz zz", 6, 0, "0 1 0");                             /* fuse_unk true */
    muse_text_close(&tok);
}

static void test_no_token(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_text("{\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}");
    int32_t *ids;
    size_t n;
    MuseError err;
    assert_int_equal(muse_text_encode(tok, "ab", 2, 0, &ids, &n, &err), MUSE_ERR_NOT_FOUND);   /* nothing is dropped */
    assert_non_null(strstr(err.text, "0x62"));
    assert_null(ids);
    muse_text_close(&tok);
}

static void test_metaspace(void **state)
{
    (void)state;
    static const char file[] =
        "{\"added_tokens\":[{\"id\":6,\"content\":\"<s>\",\"special\":true}],\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"%s\",\"split\":%s},"
        "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"%s\"},"
        "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0.0],[\"▁\",-2.0],[\"a\",-1.0],[\"▁a\",-1.5],[\"▁▁\",-1.0],[\"a▁\",-0.5]]}}";
    static const struct { const char *scheme, *split, *text, *ids, *back; } cases[] = {
        { "always", "true", "a", "3", "a" }, { "always", "true", "a a", "3 3", "a a" }, { "always", "true", "a<s>a", "3 6 3", "a<s> a" },
        { "first", "true", "a<s>a", "3 6 2", "a<s>a" }, { "never", "true", "a a", "2 3", "a a" }, { "never", "false", "a a", "5 2", "a a" },
        { "always", "true", " a", "3", "a" }, { "never", "true", " a", "3", " a" }, { "never", "false", "  ", "4", "  " }, { "always", "true", "xya", "1 0 2", "?a" },
        { "always", "true", "a\xff" "a", "3 0 2", "a?a" }, { "always", "true", "\xff", "0", "?" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[1024];
        snprintf(json, sizeof json, file, cases[i].scheme, cases[i].split, cases[i].scheme);
        MuseTextTokenizer *tok = open_text(json);
        check_ids(tok, cases[i].text, strlen(cases[i].text), MUSE_TEXT_ADDED, cases[i].ids);
        size_t n, n_ids;
        int32_t *ids = encode(tok, cases[i].text, strlen(cases[i].text), MUSE_TEXT_ADDED, &n_ids);
        char *back = decode(tok, ids, n_ids, &n);
        assert_string_equal(back, cases[i].back);
        muse_free(back);
        muse_free(ids);
        muse_text_close(&tok);
    }
    /* behind another pre-tokenizer "first" is still the first piece of the text, not of each piece */
    MuseTextTokenizer *tok = open_text(
        "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},"
        "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\",\"split\":false}]},"
        "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\"},"
        "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0.0],[\"▁\",-2.0],[\"a\",-1.0],[\"1\",-1.0],[\"b\",-1.0],[\"2\",-1.0]]}}");
    check_ids(tok, "a1 b2", 5, 0, "1 2 3 1 4 5");
    muse_text_close(&tok);
}

/* files from before prepend_scheme */
static void test_metaspace_old(void **state)
{
    (void)state;
    static const char file[] = "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"add_prefix_space\":%s},"
        "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"add_prefix_space\":%s},\"model\":{\"unk_id\":0,\"vocab\":[[\"?\",0.0],[\"▁\",-2.0],[\"a\",-1.0],[\"▁a\",-1.5]]}}";
    for (int prefix = 0; prefix < 2; prefix++) {
        char json[512];
        snprintf(json, sizeof json, file, prefix ? "true" : "false", prefix ? "true" : "false");
        MuseTextTokenizer *tok = open_text(json);
        check_ids(tok, "a a", 3, 0, prefix ? "3 3" : "2 3");
        size_t n;
        char *back = decode(tok, (const int32_t[]){ 3, 3 }, 2, &n);
        assert_string_equal(back, prefix ? "a a" : " a a");
        muse_free(back);
        muse_text_close(&tok);
    }
}

static void keep_line(void *user, int level, const char *text)
{
    if (level == MUSE_LOG_WARN) snprintf(user, 256, "%s", text);
}

/* a GGUF file that asks for an eos behind each text: said, since nothing adds it */
static void test_add_eos(void **state)
{
    (void)state;
    static const char asked[] = "tokenizer.ggml.add_bos_token", written[] = "tokenizer.ggml.add_eos_token";   /* both are true, and as long */
    char said[256] = "";
    MuseRuntimeParams p;
    MuseRuntime *rt;
    muse_runtime_params_init(&p);
    p.log = keep_line;
    p.log_user = said;
    assert_int_equal(muse_runtime_open(&rt, &p, NULL), 0);
    MuseFile file = data_file("text/llama3/tokenizer.gguf");
    uint8_t *bytes = test_malloc(file.size);
    memcpy(bytes, file.data, file.size);
    for (int renamed = 0; renamed < 2; renamed++) {
        MuseTextTokenizer *tok;
        size_t at = 0;
        while (memcmp(bytes + at, asked, strlen(asked)) != 0) at++;
        if (renamed) memcpy(bytes + at, written, strlen(written));
        assert_int_equal(muse_text_open_memory(&tok, rt, bytes, file.size, NULL), 0);
        assert_true((strstr(said, written) != NULL) == renamed);
        muse_text_close(&tok);
    }
    test_free(bytes);
    muse_file_close(&file);
    muse_runtime_close(&rt);
}

/* a word of megabytes: n log n, and the same ids as merging by definition gives (a run of one letter halves each time) */
static void test_long_word(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/llama.gguf");
    const size_t n = 1 << 20;
    char *text = test_malloc(n);
    memset(text, 'a', n);
    size_t n_ids;
    int32_t *ids = encode(tok, text, n, 0, &n_ids);
    const int32_t four = muse_text_find(tok, "aaaa", 4);
    assert_int_equal(n_ids, 1 + n / 4);
    for (size_t i = 1; i < n_ids; i++) assert_int_equal(ids[i], four);
    muse_free(ids);
    for (size_t i = 0; i < n; i++) text[i] = "thing anda"[i % 10];
    ids = encode(tok, text, n, 0, &n_ids);
    size_t n_back;
    char *back = decode(tok, ids, n_ids, &n_back);
    assert_int_equal(n_back, n);
    assert_memory_equal(back, text, n);
    muse_free(back);
    muse_free(ids);
    test_free(text);
    muse_text_close(&tok);
}

/* the heap and the short loop agree: a text and the same text as part of a long piece */
static void test_heap_agrees(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/llama3");
    uint64_t seed = 3;
    for (int round = 0; round < 200; round++) {
        char word[600];
        const size_t half = 20 + next_random(&seed) % 40;
        for (size_t i = 0; i < half; i++) word[i] = "etaonhris"[next_random(&seed) % 9];
        size_t n_short, n_long;
        int32_t *a = encode(tok, word, half, 0, &n_short);
        /* q is in no merge, so the halves can't meet */
        for (size_t i = half; i < 400; i++) word[i] = 'Q';
        int32_t *b = encode(tok, word, 400, 0, &n_long);
        assert_true(n_long > n_short);
        assert_memory_equal(a, b, n_short * sizeof *a);
        muse_free(a);
        muse_free(b);
    }
    muse_text_close(&tok);
}

/* NFC: marks out of order, Hangul, singletons, a run of marks that would take quadratic time to sort by exchange */
static void test_normalize(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/qwen2");
    static const struct { const char *in, *out; } cases[] = {
        { "e\xcc\x81", "\xc3\xa9" }, { "\xe2\x84\xab", "\xc3\x85" }, { "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87" }, { "\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80" },
        { "a\xff\xcc\x81", "a\xff\xcc\x81" }, { "\xcc\x81", "\xcc\x81" }, { "ae\xcc\x81z e\xcc\x81", "a\xc3\xa9z \xc3\xa9" }, { "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n_ids, n;
        int32_t *ids = encode(tok, cases[i].in, strlen(cases[i].in), 0, &n_ids);
        char *back = decode(tok, ids, n_ids, &n);
        assert_string_equal(back, cases[i].out);
        muse_free(back);
        muse_free(ids);
    }
    const size_t n = 400000;
    char *text = test_malloc(n);
    for (size_t i = 0; i < n; i += 4) memcpy(text + i, "\xcc\x81\xcc\xa3", 4);   /* above, below, above, below ... */
    size_t n_ids, n_back;
    int32_t *ids = encode(tok, text, n, 0, &n_ids);
    char *back = decode(tok, ids, n_ids, &n_back);
    assert_int_equal(n_back, n);
    assert_memory_equal(back, "\xcc\xa3\xcc\xa3", 4);
    assert_memory_equal(back + n - 4, "\xcc\x81\xcc\x81", 4);
    muse_free(back);
    muse_free(ids);
    test_free(text);
    muse_text_close(&tok);
}

typedef struct Job {
    const MuseTextTokenizer *tok;
    const char *text;
    size_t n, n_ids;
    const int32_t *ids;
    int wrong;
} Job;

static void *encode_often(void *arg)
{
    Job *job = arg;
    for (int i = 0; i < 200; i++) {
        int32_t *ids;
        size_t n_ids;
        if (muse_text_encode(job->tok, job->text, job->n, 0, &ids, &n_ids, NULL) < 0) return NULL;
        job->wrong += n_ids != job->n_ids || memcmp(ids, job->ids, n_ids * sizeof *ids) != 0;
        muse_free(ids);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = open_data("text/llama3");
    static const char text[] = "The quick brown fox, 123 times; naïve café — don't you see? 你好 world";
    size_t n_ids;
    int32_t *ids = encode(tok, text, strlen(text), 0, &n_ids);
    pthread_t threads[12];   /* more than the pool holds */
    Job jobs[12];
    for (int i = 0; i < 12; i++) {
        jobs[i] = (Job){ tok, text, strlen(text), n_ids, ids, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &jobs[i]), 0);
    }
    for (int i = 0; i < 12; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].wrong, 0);
    }
    muse_free(ids);
    muse_text_close(&tok);
}

static int use_all(MuseRuntime *rt, const MuseFile *file)
{
    MuseTextTokenizer *tok;
    MuseTextDecoder *dec = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    const char *part;
    size_t n, n_text;
    int rc = muse_text_open_memory(&tok, rt, file->data, file->size, NULL);
    if (rc < 0) return rc;
    static const char input[] = "e\xcc\x81 <|turn>the naïve\n\n \xff<s>abababababababababababababababababababababababababababababababababababababababababab";
    rc = muse_text_encode(tok, input, strlen(input), MUSE_TEXT_ADDED | MUSE_TEXT_BOS, &ids, &n, NULL);
    if (rc == 0) rc = muse_text_decode(tok, ids, n, 0, &text, &n_text, NULL);
    if (rc == 0) rc = muse_text_decoder_open(&dec, tok, 0, NULL);
    for (size_t i = 0; i < n && rc == 0; i++) rc = muse_text_decoder_push(dec, ids[i], &part, &n_text, NULL);
    muse_text_decoder_close(&dec);
    muse_free(text);
    muse_free(ids);
    muse_text_close(&tok);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const files[] = { "text/qwen2/tokenizer.json", "text/spec.json", "text/unigram.json", "text/llama.gguf", "text/gemma4-a/tokenizer.gguf" };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        MuseFile file = data_file(files[k]);
        int rc = MUSE_ERR_NOMEM, allowed = 0;
        for (; rc == MUSE_ERR_NOMEM && allowed < 20000; allowed++) {
            Meter meter = { 0 };
            MuseRuntime *rt = meter_runtime(&meter, 0);
            meter_leave(&meter, allowed);
            rc = use_all(rt, &file);
            muse_runtime_close(&rt);
            assert_int_equal(meter.live, 0);
        }
        assert_int_equal(rc, 0);
        assert_true(allowed > 20);   /* every one of them failed once */
        muse_file_close(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_info), cmocka_unit_test(test_flags), cmocka_unit_test(test_find),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_literal_entries), cmocka_unit_test(test_utf8), cmocka_unit_test(test_stream), cmocka_unit_test(test_stream_goes_on), cmocka_unit_test(test_stream_characters),
        cmocka_unit_test(test_added_conditions), cmocka_unit_test(test_no_token), cmocka_unit_test(test_metaspace), cmocka_unit_test(test_metaspace_old),
        cmocka_unit_test(test_add_eos), cmocka_unit_test(test_long_word), cmocka_unit_test(test_heap_agrees), cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
