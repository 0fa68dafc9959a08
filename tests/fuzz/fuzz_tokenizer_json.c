/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a tokenizer.json. */
#include "tests/fuzz/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) return 0;   /* the other target's */
    return fuzz_open_tokenizer(data, size);
}
