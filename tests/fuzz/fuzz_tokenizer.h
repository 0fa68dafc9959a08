/* SPDX-License-Identifier: Apache-2.0 */
/* What the tokenizer targets share: use a tokenizer and check what it promises. */
#ifndef TESTS_FUZZ_TOKENIZER_H
#define TESTS_FUZZ_TOKENIZER_H

#include "muse/muse.h"
#include "tests/fuzz/fuzz.h"

/* encode, then decode at once and as a stream: equal. Whether the text itself must come back is the caller's to say. */
static inline void fuzz_use(const MuseTextTokenizer *tok, const uint8_t *text, size_t n, unsigned flags, int round_trip)
{
    int32_t *ids;
    size_t n_ids, n_back, at = 0, k;
    char *back;
    const char *part;
    MuseTextInfo info;
    MuseTextDecoder *dec;
    FUZZ_CHECK(muse_text_info(tok, &info) == 0);
    if (muse_text_encode(tok, (const char *)text, n, flags, &ids, &n_ids, NULL) < 0) {
        FUZZ_CHECK(!round_trip && !ids && !n_ids);
        return;
    }
    for (size_t i = 0; i < n_ids; i++) FUZZ_CHECK(ids[i] >= 0 && (uint32_t)ids[i] < info.vocab_size);
    FUZZ_CHECK(muse_text_decode(tok, ids, n_ids, 0, &back, &n_back, NULL) == 0);
    if (round_trip) FUZZ_CHECK(n_back == n && (n == 0 || memcmp(back, text, n) == 0));
    FUZZ_CHECK(muse_text_decoder_open(&dec, tok, 0, NULL) == 0);
    for (size_t i = 0; i <= n_ids; i++) {
        const int rc = i < n_ids ? muse_text_decoder_push(dec, ids[i], &part, &k, NULL) : muse_text_decoder_flush(dec, &part, &k, NULL);
        FUZZ_CHECK(rc == 0 && k <= n_back - at && memcmp(back + at, part, k) == 0);
        at += k;
    }
    FUZZ_CHECK(at == n_back);
    muse_text_decoder_close(&dec);
    muse_free(back);
    muse_free(ids);
}

static inline int fuzz_open_tokenizer(const uint8_t *data, size_t size)
{
    static const char text[] = "The quick <s>fox's 123\n\n naïve e\xcc\x81 \xff\xe2\x96\x81 你好 aaaaaaaaaa<|x|>";
    uint8_t *exact = fuzz_copy(data, size);
    MuseTextTokenizer *tok;
    MuseError err = { 0 };
    const int rc = muse_text_open_memory(&tok, NULL, exact, size, &err);
    free(exact);   /* the bytes are borrowed for the call only */
    if (rc < 0) {
        FUZZ_CHECK(!tok && err.code == rc && err.text[0]);
        return 0;
    }
    fuzz_use(tok, (const uint8_t *)text, sizeof text - 1, 0, 0);
    fuzz_use(tok, (const uint8_t *)text, sizeof text - 1, MUSE_TEXT_ADDED | MUSE_TEXT_BOS, 0);
    for (int32_t id = -1; id < 300; id++) {
        const char *bytes;
        size_t n;
        if (muse_text_token_bytes(tok, id, &bytes, &n) == 0 && n) FUZZ_CHECK(bytes[0] == bytes[0] && bytes[n - 1] == bytes[n - 1]);
        muse_text_is_special(tok, id);
    }
    muse_text_find(tok, "<s>", 3);
    muse_text_close(&tok);
    return 0;
}

#endif
