/* SPDX-License-Identifier: Apache-2.0 */
/* What the grammar targets share: a small tokenizer, a walk that takes any allowed token, and the target itself. */
#ifndef TESTS_FUZZ_GRAMMAR_H
#define TESTS_FUZZ_GRAMMAR_H

#include "libmuse/sample/mask.h"
#include "muse/muse.h"
#include "tests/fuzz/fuzz.h"

/* the 256 bytes and some longer tokens, trained here once */
static inline const MuseTextTokenizer *fuzz_grammar_tokenizer(void)
{
    static MuseTextTokenizer *tok;
    static const char text[] = "{\"a\":1,\"b\":[true,false,null,{\"c\":\"d\"}],\"e\":\"f\"}]}],\"a\":{\"b\":\"\"},aaaa abab 1.5e-10 {\"x\":[[]],\"y\":{}}";
    const char *texts[] = { text };
    const size_t sizes[] = { sizeof text - 1 };
    MuseTextTrainParams p;
    char *json;
    size_t n;
    if (tok) return tok;
    muse_text_train_params_init(&p);
    p.vocab_size = 300;
    FUZZ_CHECK(muse_text_train_bpe(NULL, texts, sizes, 1, &p, &json, &n, NULL) == 0);
    FUZZ_CHECK(muse_text_open_memory(&tok, NULL, json, n, NULL) == 0);
    muse_free(json);
    return tok;
}

/* The grammar is walked by allowed tokens: there is always one, or the text may end; and each leads to a place that is
 * live as well. Closing bytes are liked more and more, so that most walks end. */
static inline void fuzz_grammar_walk(const MuseGrammar *g, uint64_t seed)
{
    float x[512];
    MuseSampleParams p;
    MuseSampler *s;
    char text[4096];
    size_t n = 0;
    MuseTextInfo info;
    const MuseTextTokenizer *tok = fuzz_grammar_tokenizer();
    FUZZ_CHECK(muse_text_info(tok, &info) == 0 && info.vocab_size <= 512);
    muse_sample_params_init(&p);
    p.temperature = 1;
    p.seed = seed;
    p.grammar = g;
    FUZZ_CHECK(muse_sampler_open(&s, NULL, info.vocab_size, &p, NULL) == 0);
    for (int i = 0; i < 60 && !muse_sampler_must_end(s); i++) {
        MuseSampled got;
        const char *bytes;
        size_t len;
        for (uint32_t k = 0; k < info.vocab_size; k++) x[k] = (float)((k * 2654435761u + seed) >> 24 & 7) + (i > 20 && (k == '}' || k == ']' || k == '"') ? 9.0f : 0.0f);
        const int rc = muse_sampler_pick(s, x, &got, NULL);
        if (rc == MUSE_ERR_STATE && muse_sampler_can_end(s)) break;   /* no end ids here: may end, and nothing follows */
        FUZZ_CHECK(rc == 0);
        FUZZ_CHECK(muse_sampler_accept(s, got.id, NULL) == 0);
        FUZZ_CHECK(muse_text_token_bytes(tok, got.id, &bytes, &len) == 0 && n + len <= sizeof text);
        memcpy(text + n, bytes, len);
        n += len;
        FUZZ_CHECK(muse_grammar_match(g, text, n) == (muse_sampler_can_end(s) ? 0 : MUSE_AGAIN));
    }
    muse_sampler_close(&s);
}

typedef int FuzzGrammarOpen(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *text, size_t n, const MuseGrammarParams *params, MuseError *err);

/* any bytes as a grammar; what opens is walked twice */
static inline int fuzz_grammar(FuzzGrammarOpen *open, const uint8_t *data, size_t size, uint32_t space)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseGrammarParams p;
    MuseGrammar *g;
    MuseError err = { 0 };
    muse_grammar_params_init(&p);
    p.mask_bytes = 1 << 14;   /* some states are kept, some not */
    p.space = space;
    const int rc = open(&g, NULL, fuzz_grammar_tokenizer(), (const char *)exact, size, &p, &err);
    free(exact);   /* borrowed for the call only */
    if (rc < 0) {
        FUZZ_CHECK(!g && err.code == rc && err.text[0]);
        return 0;
    }
    fuzz_grammar_walk(g, size);
    fuzz_grammar_walk(g, size + 77);
    muse_grammar_close(&g);
    return 0;
}

#endif
