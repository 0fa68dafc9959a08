/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a training document whose data, or prompts, are worlds: read or refused with a text; every sample number then has a maker. */
#include "tests/fuzz/fuzz.h"
#include "tools/nano/worlds_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    static NanoPlan plan;
    char path[64];
    MuseError err = { 0 };
    const int rc = nano_plan_read(&plan, (const char *)exact, size, &err);
    FUZZ_CHECK(rc >= 0 || err.text[0]);
    for (uint64_t n = 0; rc == 1 && n < 1000; n = 3 * n + 1) {
        const NanoMix *mix = nano_plan_at(&plan, n);
        FUZZ_CHECK(mix->task[0] && mix->weight > 0);
    }
    static NanoPrompts prompts;
    err.text[0] = 0;
    const int has = nano_prompts_read(&prompts, (const char *)exact, size, &err);
    FUZZ_CHECK(has >= 0 || err.text[0]);
    for (uint64_t n = 0; has == 1 && n < 1000; n = 3 * n + 1) FUZZ_CHECK(nano_plan_at(&prompts.plan, n)->weight > 0);
    if (nano_tokenizer_path((const char *)exact, size, path, sizeof path) == 0) FUZZ_CHECK(strlen(path) < sizeof path);
    free(exact);
    return 0;
}
