/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a GGUF file with a tokenizer. */
#include "base/gguf.h"
#include "tests/fuzz/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseGguf g;
    MuseError err = { 0 };
    if (muse_gguf_open(&g, NULL, exact, size, &err) == 0) {
        FUZZ_CHECK(g.data_at <= size);
        for (size_t i = 0; i < g.n_keys; i++) {
            const MuseGgufKey *key = &g.keys[i];
            FUZZ_CHECK(key->data >= exact && key->bytes <= (size_t)(exact + size - key->data));
            size_t at = 0, n;
            if (key->type == MUSE_GGUF_ARRAY && key->elem == MUSE_GGUF_STRING)
                for (uint64_t k = 0; k < key->count; k++) muse_gguf_next_string(key, &at, &n);
            FUZZ_CHECK(at <= key->bytes);
        }
        for (size_t i = 0; i < g.n_tensors; i++) FUZZ_CHECK(g.tensors[i].offset <= size - g.data_at);
    } else {
        FUZZ_CHECK(err.text[0]);
    }
    muse_gguf_close(&g);
    free(exact);
    return muse_gguf_is(data, size) ? fuzz_open_tokenizer(data, size) : 0;
}
