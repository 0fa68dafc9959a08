/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as config.json, generation_config.json and processor_config.json. */
#include "libmuse/model/model.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseConfig c;
    MuseError err = { 0 };
    if (muse_config_from_json(&c, NULL, NULL, exact, size, &err) == 0) {
        FUZZ_CHECK(c.n_layers > 0 && c.layers && c.vocab > 0 && c.width > 0 && c.norm_eps > 0);
        for (uint32_t n = 0; n < c.n_layers; n++) {
            const MuseLayerConfig *l = &c.layers[n];
            FUZZ_CHECK(l->heads && l->kv_heads && l->heads % l->kv_heads == 0 && l->scale > 0);
            FUZZ_CHECK(l->rope.base > 1 && l->rope.pairs <= l->rope.width / 2 && l->rope.width <= l->head_width);
        }
        for (uint32_t i = 0; i < c.eos.n; i++) FUZZ_CHECK(c.eos.ids[i] >= 0 && (uint32_t)c.eos.ids[i] < c.vocab);
        MuseFamily family;
        muse_family_from_config(&family, &c);
        FUZZ_CHECK((family.image.kind != MUSE_IMAGE_NONE) == c.image.live);
    } else {
        FUZZ_CHECK(err.text[0]);
    }
    muse_config_clear(&c);
    /* as the files that stand beside one */
    muse_config_start(&c, MUSE_ARCH_GEMMA4);
    c.vocab = 512;
    c.image = (MuseImageConfig){ .live = true, .unit = 12, .budgets = { 70 }, .budget = 70 };
    c.audio = (MuseAudioConfig){ .live = true, .frame = 640 };
    if (muse_config_add_generation(&c, NULL, exact, size, &err) == 0) FUZZ_CHECK(c.eos.n <= MUSE_IDS_MAX && c.suppress.n <= MUSE_IDS_MAX);
    if (muse_config_add_processor(&c, NULL, exact, size, &err) == 0) FUZZ_CHECK(c.image.budget == 70);
    free(exact);
    return 0;
}
