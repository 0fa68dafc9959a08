/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a GGUF model on its way into a folder: the plan of tensors, the configuration, the tokenizer. What is written must be
 * read as the same again. */
#include "libmuse/convert/convert.h"
#include "libmuse/io/gguf_tensors.h"
#include "tests/fuzz/fuzz.h"

static void check_config(const MuseConfig *a, const MuseText *text)
{
    MuseConfig b;
    MuseError err;
    const int rc = muse_config_from_json(&b, NULL, NULL, text->b.data, text->b.len, &err);
    if (rc < 0) fprintf(stderr, "%s\n%.*s\n", err.text, (int)text->b.len, (const char *)text->b.data);
    FUZZ_CHECK(rc == 0);
    FUZZ_CHECK(a->arch == b.arch && a->width == b.width && a->ffn == b.ffn && a->vocab == b.vocab && a->n_layers == b.n_layers && a->context == b.context);
    FUZZ_CHECK(a->norm_eps == b.norm_eps && a->softcap == b.softcap && a->bos == b.bos && a->eos.n == b.eos.n && a->tied == b.tied);
    for (uint32_t n = 0; n < a->n_layers; n++) {
        const MuseLayerConfig *x = &a->layers[n], *y = &b.layers[n];
        FUZZ_CHECK(x->heads == y->heads && x->kv_heads == y->kv_heads && x->head_width == y->head_width && x->window == y->window && x->k_eq_v == y->k_eq_v);
        FUZZ_CHECK((float)x->rope.base == (float)y->rope.base && (x->rope.divisors || x->rope.pairs == y->rope.pairs) && x->rope.width == y->rope.width);
    }
    muse_config_clear(&b);
}

static void convert_model(MuseJob *job)
{
    MuseModel *m = job->model;
    MuseText config = { .rc = 0 }, generation = { .rc = 0 };
    MusePlan plan = { .items = NULL };
    if (muse_plan_by_role(job, &plan, NULL) == 0) {
        FUZZ_CHECK(plan.out.n == m->weights.n_bound - (m->weights.rope_freqs ? 1 : 0));
        for (size_t i = 0; i < plan.out.n; i++) FUZZ_CHECK(muse_tensor_measure(&plan.out.items[i], "", 0, NULL) == 0);
    }
    muse_plan_clear(&plan);
    if (muse_folder_config(job, &config, &generation) == 0) {
        FUZZ_CHECK(config.rc == 0 && generation.rc == 0);
        check_config(&m->config, &config);
    } else {
        FUZZ_CHECK(job->err->text[0]);
    }
    muse_buf_clear(&config.b);
    muse_buf_clear(&generation.b);
}

static void convert_vocab(MuseJob *job)
{
    MuseText tokenizer = { .rc = 0 }, config = { .rc = 0 };
    if (muse_folder_vocab(job, &tokenizer, &config) == 0) {
        FUZZ_CHECK(tokenizer.rc == 0 && config.rc == 0);
        MuseTextTokenizer *tok = NULL;
        FUZZ_CHECK(muse_text_open_memory(&tok, job->rt, tokenizer.b.data, tokenizer.b.len, NULL) == 0);
        muse_text_close(&tok);
    } else {
        FUZZ_CHECK(job->err->text[0]);
    }
    muse_buf_clear(&tokenizer.b);
    muse_buf_clear(&config.b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseError err = { 0 };
    MuseWeightPart part = { .file = { .data = exact, .size = size } };
    MuseModel m = { .path = (char[]){ "fuzz" }, .n_files = 1 };
    MuseRuntimeParams params;
    muse_runtime_params_init(&params);
    params.threads = 1;
    FUZZ_CHECK(muse_runtime_open(&m.rt, &params, NULL) == 0);
    MuseJob job = { .rt = m.rt, .model = &m, .in = "fuzz", .out = "out", .type = MUSE_WEIGHT_BF16, .from_gguf = true, .err = &err };
    m.files[0] = (MuseWeightFile){ .format = MUSE_WEIGHTS_GGUF, .parts = &part, .n_parts = 1 };
    MuseWeightFile *w = &m.files[0];
    if (muse_gguf_open(&w->gguf, NULL, exact, size, &err) == 0) {
        int rc = muse_gguf_tensors_read(&w->tensors, &w->gguf, 0, NULL, &err);
        if (rc == 0) rc = muse_config_from_gguf(&m.config, NULL, NULL, &w->gguf, &err);
        if (rc == 0) rc = muse_weights_bind(&m.weights, &m.config, NULL, NULL, w, NULL, &err);
        if (rc == 0) convert_model(&job);
        m.config.vocab = MUSE_VOCAB_MAX;   /* the tokenizer for itself */
        convert_vocab(&job);
    }
    muse_weights_clear(&m.weights);
    muse_config_clear(&m.config);
    muse_tensors_clear(&w->tensors);
    muse_gguf_close(&w->gguf);
    muse_runtime_close(&m.rt);
    free(exact);
    return 0;
}
