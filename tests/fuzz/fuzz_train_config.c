/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the document of a training run. Opens nothing that it names. */
#include "libmuse/train/train_config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseTrainConfig c;
    MuseError err = { 0 };
    if (muse_train_config_read(&c, NULL, NULL, (const char *)exact, size, "folder", &err) == 0) {
        FUZZ_CHECK(c.optim.steps > 0 && c.samples > 0 && c.positions > 1 && c.keep > 0 && c.every > 0);
        FUZZ_CHECK(c.n_groups >= 1 && c.n_groups <= MUSE_GROUPS_MAX && c.n_data <= MUSE_DATA_MAX && c.n_heads <= MUSE_LABEL_HEADS_MAX);
        FUZZ_CHECK(c.has_model || c.start);
        for (uint32_t i = 0; i < c.n_data; i++) FUZZ_CHECK(c.data[i].weight > 0 && (c.data[i].path || c.data[i].kind != MUSE_DATA_JSONL));
        for (uint64_t step = 0; step < 40; step++) FUZZ_CHECK(muse_optim_factor(&c.optim, step) >= 0 && muse_optim_factor(&c.optim, step) <= 1);
    } else {
        FUZZ_CHECK(err.text[0]);
    }
    muse_train_config_clear(&c);
    free(exact);
    return 0;
}
