/* SPDX-License-Identifier: Apache-2.0 */
/* Files that must be refused, each with its code and a word of the message (tests/data/make_text.py makes them), and damage
 * done to good ones: cut anywhere, or with bits flipped, they are refused or work, but never break. */
#include "tests/unit/text_util.h"

typedef struct Bad { const char *name; int code; const char *word; } Bad;

#define FORMAT MUSE_ERR_FORMAT
#define UNSUP  MUSE_ERR_UNSUPPORTED
#define LIMIT  MUSE_ERR_LIMIT

static const Bad bad[] = {
    { "text-empty.json", FORMAT, "" }, { "text-truncated.json", FORMAT, "line 1" }, { "text-array.json", FORMAT, "object" }, { "text-no-model.json", FORMAT, "model" },
    { "text-vocab-list.json", FORMAT, "vocab" }, { "text-id-string.json", FORMAT, "id" }, { "text-id-negative.json", FORMAT, "id" }, { "text-id-huge.json", LIMIT, "99999999999" },
    { "text-id-sparse.json", FORMAT, "16000000" }, { "text-id-twice.json", FORMAT, "two texts" }, { "text-key-twice.json", FORMAT, "two ids" }, { "text-id-fraction.json", FORMAT, "id" },
    { "text-merge-unknown.json", FORMAT, "merge 0" }, { "text-merge-no-result.json", FORMAT, "together" }, { "text-merge-one.json", FORMAT, "merge 0" },
    { "text-merge-three.json", FORMAT, "merge 0" }, { "text-merge-number.json", FORMAT, "merge 0" }, { "text-merge-triple.json", FORMAT, "merge 0" },
    { "text-merges-object.json", FORMAT, "merges" }, { "text-type-unknown.json", UNSUP, "WordPiece" }, { "text-dropout.json", UNSUP, "dropout" },
    { "text-prefix.json", UNSUP, "continuing_subword_prefix" }, { "text-suffix.json", UNSUP, "end_of_word_suffix" }, { "text-model-member.json", UNSUP, "surprise" },
    { "text-root-member.json", UNSUP, "surprise" }, { "text-unk-unknown.json", FORMAT, "unk_token" }, { "text-flag.json", FORMAT, "fuse_unk" },
    { "text-normalizer.json", UNSUP, "Lowercase" }, { "text-normalizer-none.json", FORMAT, "type" }, { "text-normalizer-deep.json", UNSUP, "nested" },
    { "text-pre.json", UNSUP, "Whitespace" }, { "text-pre-after.json", UNSUP, "ByteLevel" }, { "text-decoder-none.json", UNSUP, "decoder" },
    { "text-decoder.json", UNSUP, "WordPiece" }, { "text-decoder-other.json", UNSUP, "ByteLevel" }, { "text-post.json", UNSUP, "BertProcessing" },
    { "text-post-eos.json", UNSUP, "TemplateProcessing" }, { "text-post-id.json", FORMAT, "77" }, { "text-added-other.json", FORMAT, "<x>" },
    { "text-added-text-twice.json", FORMAT, "ab" }, { "text-added-id-twice.json", FORMAT, "two added" }, { "text-added-empty.json", FORMAT, "0 bytes" },
    { "text-added-long.json", LIMIT, "1025" }, { "text-added-member.json", UNSUP, "surprise" }, { "text-added-object.json", FORMAT, "added_tokens" },
    { "text-regex-verb.json", UNSUP, "verb" }, { "text-regex-class-in-class.json", UNSUP, "class within" }, { "text-regex-and.json", UNSUP, "intersection" },
    { "text-regex-backreference.json", UNSUP, "escape" }, { "text-regex-empty.json", UNSUP, "empty string" }, { "text-regex-open.json", FORMAT, "pattern" },
    { "text-regex-brace.json", UNSUP, "repeat" }, { "text-regex-possessive-count.json", UNSUP, "second quantifier" }, { "text-regex-word-edge.json", UNSUP, "escape" },
    { "text-regex-reset.json", UNSUP, "escape" }, { "text-regex-script.json", UNSUP, "pattern" }, { "text-regex-option.json", UNSUP, "group" },
    { "text-regex-end.json", UNSUP, "backslash" }, { "text-regex-hex.json", UNSUP, "hexadecimal" },
    { "text-uni-score.json", FORMAT, "score" }, { "text-uni-infinite.json", FORMAT, "score" }, { "text-uni-shape.json", FORMAT, "piece 0" },
    { "text-uni-unk.json", FORMAT, "unk_id" }, { "text-uni-twice.json", FORMAT, "two ids" }, { "text-uni-long.json", LIMIT, "1025" },
    { "text-magic.gguf", FORMAT, "header" }, { "text-version.gguf", UNSUP, "version 1" }, { "text-big-endian.gguf", UNSUP, "big-endian" },
    { "text-truncated.gguf", FORMAT, "ends" }, { "text-many-keys.gguf", FORMAT, "keys" }, { "text-many-tensors.gguf", FORMAT, "tensors" },
    { "text-key-length.gguf", FORMAT, "name" }, { "text-value-type.gguf", FORMAT, "type 99" }, { "text-array-length.gguf", FORMAT, "ends" },
    { "text-array-nested.gguf", UNSUP, "array of arrays" }, { "text-string-length.gguf", FORMAT, "ends" }, { "text-no-model.gguf", MUSE_ERR_NOT_FOUND, "no tokenizer" },
    { "text-no-tokens.gguf", FORMAT, "tokens" }, { "text-model.gguf", UNSUP, "bert" }, { "text-pre.gguf", UNSUP, "unheard-of" }, { "text-no-pre.gguf", UNSUP, "pre" },
    { "text-types-short.gguf", FORMAT, "token_type" }, { "text-types-range.gguf", FORMAT, "type 9" }, { "text-merge.gguf", FORMAT, "merge 0" },
    { "text-no-merges.gguf", FORMAT, "merges" }, { "text-merges-type.gguf", FORMAT, "merges" }, { "text-bos.gguf", FORMAT, "bos_token_id" },
    { "text-bos-type.gguf", FORMAT, "bos_token_id" }, { "text-alignment.gguf", FORMAT, "alignment" }, { "text-no-scores.gguf", FORMAT, "scores" },
    { "text-score.gguf", FORMAT, "score of token 1" }, { "text-utf8.gguf", FORMAT, "token 1" }, { "text-dims.gguf", FORMAT, "dimensions" }, { "text-offset.gguf", FORMAT, "starts at" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[128];
        snprintf(name, sizeof name, "bad/%s", bad[i].name);
        MuseTextTokenizer *tok = (MuseTextTokenizer *)(void *)name;
        MuseError err = { 0 };
        const int rc = muse_text_open_file(&tok, NULL, data_path(name), &err);
        if (rc != bad[i].code || err.code != rc) fail_msg("%s: %s, wanted %s: %s", bad[i].name, muse_status_name(rc), muse_status_name(bad[i].code), err.text);
        assert_null(tok);
        assert_non_null(strstr(err.text, bad[i].name));   /* the file is named */
        const char *said = strstr(err.text, bad[i].name) + strlen(bad[i].name);
        if (!strstr(said, bad[i].word)) fail_msg("%s: no \"%s\" in \"%s\"", bad[i].name, bad[i].word, err.text);
    }
}

/* open, and use what opens; true if it opened */
static bool try_bytes(const uint8_t *data, size_t n)
{
    MuseTextTokenizer *tok;
    MuseError err;
    uint8_t *exact = malloc(n ? n : 1);   /* its own block: one byte too far is seen by sanitizers */
    memcpy(exact, data, n);
    const int rc = muse_text_open_memory(&tok, NULL, exact, n, &err);
    free(exact);
    if (rc < 0) {
        assert_null(tok);
        assert_true(err.text[0] != 0 && err.code == rc);
        return false;
    }
    int32_t *ids;
    size_t n_ids, n_text;
    char *text;
    if (muse_text_encode(tok, "the quick\n\n <s>é", 17, MUSE_TEXT_ADDED | MUSE_TEXT_BOS, &ids, &n_ids, &err) == 0) {
        assert_int_equal(muse_text_decode(tok, ids, n_ids, 0, &text, &n_text, &err), 0);   /* every id given is one that exists */
        muse_free(text);
        muse_free(ids);
    }
    muse_text_close(&tok);
    return true;
}

static const char *const good[] = { "text/llama3/tokenizer.json", "text/spec.json", "text/unigram.json", "text/llama.gguf", "text/gemma4-a/tokenizer.gguf" };

static void test_cut_short(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        MuseFile f = data_file(good[k]);
        const bool gguf = strstr(good[k], "gguf") != NULL;
        assert_true(try_bytes(f.data, f.size));
        for (size_t n = 0; n + (gguf ? 33 : 2) < f.size; n += n < 200 ? 1 : 97) assert_false(try_bytes(f.data, n));   /* not counting padding at the end */
        muse_file_close(&f);
    }
}

static void test_bits_flipped(void **state)
{
    (void)state;
    uint64_t seed = 21;
    size_t opened = 0;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        MuseFile f = data_file(good[k]);
        uint8_t *copy = malloc(f.size);
        for (int round = 0; round < 300; round++) {
            memcpy(copy, f.data, f.size);
            for (unsigned i = 0; i < 1u + (unsigned)round % 4; i++) {
                const size_t at = next_random(&seed) % (round % 2 && f.size > 2000 ? 2000 : f.size);
                copy[at] ^= (uint8_t)(1u << next_random(&seed) % 8);
            }
            opened += try_bytes(copy, f.size);
        }
        free(copy);
        muse_file_close(&f);
    }
    assert_true(opened > 50 && opened < 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_refused), cmocka_unit_test(test_cut_short), cmocka_unit_test(test_bits_flipped) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
