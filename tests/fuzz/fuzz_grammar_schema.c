/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JSON schema, in each kind of white space; what opens is walked. */
#include "tests/fuzz/fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseGrammarParams p;
    MuseGrammar *g;
    MuseError err = { 0 };
    muse_grammar_params_init(&p);
    p.mask_bytes = 1 << 14;   /* some states are kept, some not */
    p.space = size % 3;
    const int rc = muse_grammar_open_schema(&g, NULL, fuzz_grammar_tokenizer(), (const char *)exact, size, &p, &err);
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
