/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a GGUF model: metadata, tensors, configuration, binding; and as a projector file. */
#include "libmuse/io/gguf_tensors.h"
#include "libmuse/model/bind.h"
#include "tests/fuzz/fuzz.h"

static void check_bound(const MuseConfig *c, const MuseWeights *w)
{
    FUZZ_CHECK(w->embed && w->head && w->norm && c->n_layers > 0 && c->tied != MUSE_BY_TENSOR);
    for (uint32_t n = 0; n < c->n_layers; n++) {
        const MuseLayerConfig *l = &c->layers[n];
        FUZZ_CHECK(l->heads % l->kv_heads == 0 && l->rope.pairs <= l->rope.width / 2 && l->rope.width <= l->head_width);
        FUZZ_CHECK(w->layers[n].wq && w->layers[n].wk && (w->layers[n].wv != NULL) == (l->k_eq_v == MUSE_NO));
        FUZZ_CHECK(w->layers[n].wq->shape[0] == (uint64_t)l->heads * l->head_width);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseWeightFile w = { .format = MUSE_WEIGHTS_GGUF };
    MuseConfig c = { 0 }, gemma = { 0 };
    MuseWeights bound = { 0 };
    MuseError err = { 0 };
    int rc = muse_gguf_open(&w.gguf, NULL, exact, size, &err);
    if (rc == 0) {
        rc = muse_gguf_tensors_read(&w.tensors, &w.gguf, 0, NULL, &err);
        if (rc == 0)
            for (size_t i = 0; i < w.tensors.n; i++) {
                const MuseTensor *t = &w.tensors.items[i];
                FUZZ_CHECK(t->data >= exact && t->data <= exact + size && t->bytes <= (uint64_t)(exact + size - t->data));
            }
        if (rc == 0) rc = muse_config_from_gguf(&c, NULL, NULL, &w.gguf, &err);
        if (rc == 0) rc = muse_weights_bind(&bound, &c, NULL, NULL, &w, NULL, &err);
        if (rc == 0) check_bound(&c, &bound);
        muse_config_start(&gemma, MUSE_ARCH_GEMMA4);
        gemma.width = 4;
        gemma.vocab = 6;
        gemma.ffn = gemma.context = 8;
        gemma.norm_eps = 1e-6f;
        if (muse_config_add_mmproj(&gemma, &w.gguf, NULL) == 0) FUZZ_CHECK(gemma.image.live || gemma.audio.live);
    }
    if (rc < 0) FUZZ_CHECK(err.text[0]);
    muse_weights_clear(&bound);
    muse_config_clear(&c);
    muse_config_clear(&gemma);
    muse_tensors_clear(&w.tensors);
    muse_gguf_close(&w.gguf);
    free(exact);
    return 0;
}
