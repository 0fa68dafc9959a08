/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/model: the golden checkpoints in both containers agree; configurations that must be refused; tensors that are missing,
 * misshapen or too many; sequences with a model's own rules; memory; allocations that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "libmuse/model/model.h"
#include "muse/muse.h"
#include "tests/unit/meter.h"

static MuseError err;

static const char *data_path(const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", getenv("MUSE_TEST_DATA"), name);
    return path;
}

static MuseModel *open_model(const char *name, const char *mmproj, MuseRuntime *rt)
{
    MuseModelParams p;
    muse_model_params_init(&p);
    if (mmproj) p.mmproj = data_path(mmproj);
    MuseModel *m = NULL;
    if (muse_model_open(&m, rt, data_path(name), &p, &err) < 0) fail_msg("%s", err.text);
    return m;
}

/* ---- the golden checkpoints ---- */

static const struct { const char *hf, *gguf, *mmproj; uint64_t parameters; } goldens[] = {
    { "golden/gemma4-a/hf", "golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf", 466310 },
    { "golden/gemma4-a/hf", "golden/gemma4-a/gguf/text-q8_0.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf", 466310 },
    { "golden/gemma4-b/hf", NULL, NULL, 679543 },
    { "golden/llama3/hf", "golden/llama3/gguf/model-bf16.gguf", NULL, 242368 },
    { "golden/llama3/hf", "golden/llama3/gguf/model-q8_0.gguf", NULL, 242368 },
    { "golden/qwen2/hf", "golden/qwen2/gguf/model-f32.gguf", NULL, 0 },
    { "golden/qwen3/hf", "golden/qwen3/gguf/model-bf16.gguf", NULL, 230208 },
};
enum { GOLDENS = sizeof goldens / sizeof *goldens };

static bool same_ids(const MuseIds *a, const MuseIds *b)
{
    bool same = a->n == b->n;
    for (uint32_t i = 0; i < a->n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < b->n; k++) found |= a->ids[i] == b->ids[k];
        same &= found;
    }
    return same;
}

static void check_layers(const MuseConfig *a, const MuseConfig *b)
{
    for (uint32_t n = 0; n < a->n_layers; n++) {
        const MuseLayerConfig *x = &a->layers[n], *y = &b->layers[n];
        assert_int_equal(x->heads, y->heads);
        assert_int_equal(x->kv_heads, y->kv_heads);
        assert_int_equal(x->head_width, y->head_width);
        assert_int_equal(x->window, y->window);
        assert_int_equal(x->k_eq_v, y->k_eq_v);
        assert_true(x->scale == y->scale);
        assert_true(x->rope.base == y->rope.base);
        assert_int_equal(x->rope.width, y->rope.width);
        assert_int_equal(x->rope.pairs, y->rope.pairs);
    }
}

static void check_agree(const MuseModel *hf, const MuseModel *gguf)
{
    const MuseConfig *a = &hf->config, *b = &gguf->config;
    assert_int_equal(a->arch, b->arch);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->ffn, b->ffn);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->context, b->context);
    assert_int_equal(a->tied, b->tied);
    assert_true(a->norm_eps == b->norm_eps);
    assert_true(a->softcap == b->softcap);
    assert_true(a->embed_scale == b->embed_scale);
    assert_int_equal(a->bos, b->bos);
    assert_true(same_ids(&a->suppress, &b->suppress));
    assert_true(same_ids(&a->eos, &b->eos));
    check_layers(a, b);
    assert_memory_equal(&a->audio, &b->audio, sizeof a->audio);
    assert_int_equal(a->image.live, b->image.live);
    assert_int_equal(a->image.unit, b->image.unit);
    assert_int_equal(a->image.embed, b->image.embed);
    assert_int_equal(a->image.positions, b->image.positions);
    assert_int_equal(a->image.budget, b->image.budget);
    assert_int_equal(a->image_soft, a->image.live ? b->image_soft : -1);
    assert_true(a->image.rms_eps == b->image.rms_eps && a->image.norm_eps == b->image.norm_eps);
}

static void check_tokenizer(const MuseModel *m)
{
    MuseTextTokenizer *tok;
    MuseTextInfo info;
    if (muse_model_open_tokenizer(m, &tok, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(muse_text_info(tok, &info), 0);
    assert_true(info.vocab_size > 256 && info.vocab_size <= m->config.vocab);
    muse_text_close(&tok);
}

static void golden_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS; i++) {
        MuseModel *hf = open_model(goldens[i].hf, NULL, NULL);
        MuseModelInfo info;
        assert_int_equal(muse_model_info(hf, &info), 0);
        if (goldens[i].parameters) assert_int_equal(info.n_parameters, goldens[i].parameters);
        assert_int_equal(info.weights_bytes, 2 * info.n_parameters);   /* all bf16 */
        assert_int_equal(info.n_unused, 0);
        assert_int_equal(info.n_tensors, muse_model_tensor_count(hf));
        check_tokenizer(hf);
        assert_false(hf->weights.rows_permuted || hf->weights.patch_chw || hf->weights.place_split);
        if (goldens[i].gguf) {
            MuseModel *gguf = open_model(goldens[i].gguf, goldens[i].mmproj, NULL);
            check_agree(hf, gguf);
            check_tokenizer(gguf);
            assert_int_equal(hf->weights.n_parameters, gguf->weights.n_parameters);
            assert_int_equal(gguf->weights.rows_permuted, hf->config.arch == MUSE_ARCH_LLAMA);
            assert_int_equal(gguf->weights.patch_chw, goldens[i].mmproj != NULL);
            assert_int_equal(gguf->weights.place_split, goldens[i].mmproj != NULL);
            muse_model_close(&gguf);
        }
        muse_model_close(&hf);
        assert_null(hf);
    }
}

static void gemma_numbers(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL, NULL);
    const MuseConfig *c = &m->config;
    assert_int_equal(c->arch, MUSE_ARCH_GEMMA4);
    assert_int_equal(c->n_layers, 6);
    for (uint32_t n = 0; n < 6; n++) {
        const MuseLayerConfig *l = &c->layers[n];
        const bool full = n == 5;
        assert_int_equal(l->window, full ? 0 : 16);
        assert_int_equal(l->head_width, full ? 32 : 16);
        assert_int_equal(l->kv_heads, full ? 1 : 2);
        assert_int_equal(l->k_eq_v, full);
        assert_int_equal(l->rope.pairs, full ? 4 : 8);
        assert_int_equal(l->rope.width, full ? 32 : 16);
        assert_true(l->rope.base == (full ? 1e6 : 1e4) && l->scale == 1);
        assert_int_equal(m->weights.layers[n].wv == NULL, full);
        assert_non_null(m->weights.layers[n].out_scale);
    }
    assert_true(c->softcap == 30 && c->sandwich && c->v_norm && c->layer_scalar && c->qk_norm == MUSE_QKNORM_RMS);
    assert_int_equal(c->image_mask, MUSE_MASK_A);
    assert_ptr_equal(m->weights.head, m->weights.embed);
    assert_int_equal(c->eos.n, 3);
    assert_int_equal(c->suppress.n, 2);
    const MuseFamily *f = muse_model_family(m);
    assert_int_equal(f->image.unit, 12);
    assert_int_equal(f->image.budget, 70);
    assert_int_equal(f->image.budgets[0], 70);
    assert_int_equal(f->image.budgets[1], 0);   /* 140 patches in a row have no place in a table of 80 */
    assert_int_equal(f->image_begin.id, 505);
    assert_int_equal(f->audio_end.id, 510);
    MuseModelType type;
    assert_int_equal(muse_model_type(m, 0, &type), 0);
    assert_string_equal(type.name, "BF16");
    assert_int_equal(muse_model_type(m, 1, &type), MUSE_ERR_NOT_FOUND);
    MuseTensorInfo tensor;
    assert_int_equal(muse_model_tensor(m, 0, &tensor), 0);
    assert_int_equal(muse_model_tensor(m, muse_model_tensor_count(m), &tensor), MUSE_ERR_ARG);
    muse_model_close(&m);
}

static void llama_rope(void **state)
{
    (void)state;
    MuseModel *hf = open_model("golden/llama3/hf", NULL, NULL), *gguf = open_model("golden/llama3/gguf/model-bf16.gguf", NULL, NULL);
    const MuseRope *a = &hf->config.layers[4].rope, *b = &gguf->config.layers[4].rope;
    assert_true(a->factor == 8 && a->low_freq == 1 && a->high_freq == 4 && a->original_positions == 64);
    assert_null(a->divisors);
    assert_non_null(b->divisors);   /* GGUF has only the outcome of the rule */
    assert_true(b->factor == 0);
    assert_true(b->divisors[0] == 1 && b->divisors[7] == 8);
    muse_model_close(&hf);
    MuseModel *second = muse_model_ref(gguf);
    muse_model_close(&gguf);
    assert_int_equal(second->config.n_layers, 5);
    muse_model_close(&second);
}

/* ---- sequences ---- */

/* every picture and sound of the golden cases takes as many positions as the case says, counted from its size alone */
static void count_case(const MuseModel *m, const MuseTextTokenizer *tokenizer, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "golden/%s/case.json", name);
    MuseFile file = { 0 };
    MuseJson doc;
    assert_int_equal(muse_file_open(&file, data_path(path), 1 << 20, &err), 0);
    assert_int_equal(muse_json_parse(&doc, NULL, file.data, file.size, &err), 0);
    const MuseJsonValue *spans = muse_json_get(doc.root, "spans");
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.family = muse_model_family(m);
    p.tokenizer = tokenizer;
    MuseSequence *seq = NULL;
    assert_int_equal(muse_sequence_open(&seq, NULL, &p, &err), 0);
    size_t k = 0;
    for (const MuseJsonValue *s = spans->u.first; s; s = s->next, k++) {
        const MuseJsonValue *source = muse_json_get(s, "source");
        int64_t tokens;
        if (!muse_json_equal(muse_json_get(s, "kind"), "image")) continue;
        assert_true(muse_json_read_i64(muse_json_get(s, "count"), -1, &tokens));
        assert_int_equal(muse_json_is(source, MUSE_JSON_ARRAY) && source->len == 2, 1);
        const uint32_t w = (uint32_t)source->u.first->u.integer, h = (uint32_t)source->u.first->next->u.integer;
        if (muse_sequence_append_image_size(seq, w, h, NULL, &err) < 0) fail_msg("%s: %s", name, err.text);
        MuseSpanInfo info;
        muse_sequence_span(seq, muse_sequence_span_count(seq) - 1, &info);
        assert_int_equal(info.n_features, tokens);
    }
    muse_sequence_close(&seq);
    muse_json_close(&doc);
    muse_file_close(&file);
}

static void model_sequences(void **state)
{
    (void)state;
    MuseModel *a = open_model("golden/gemma4-a/hf", NULL, NULL), *b = open_model("golden/gemma4-b/hf", NULL, NULL);
    MuseModel *g = open_model("golden/gemma4-a/gguf/text-q8_0.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf", NULL);
    MuseTextTokenizer *ta, *tg;
    if (muse_model_open_tokenizer(a, &ta, &err) < 0 || muse_model_open_tokenizer(g, &tg, &err) < 0) fail_msg("%s", err.text);
    static const char *const cases_a[] = { "image-wide", "image-tall-grey", "image-sliver", "image-square", "image-exact", "two-images" };
    for (size_t i = 0; i < 6; i++) {
        char name[128];
        snprintf(name, sizeof name, "gemma4-a/cases/%s", cases_a[i]);
        count_case(a, NULL, name);
        count_case(a, ta, name);
        count_case(g, tg, name);
    }
    count_case(b, NULL, "gemma4-b/cases/image-tall");
    count_case(b, NULL, "gemma4-b/cases/image-up");
    muse_text_close(&ta);
    muse_text_close(&tg);
    muse_model_close(&a);
    muse_model_close(&b);
    muse_model_close(&g);
}

static void text_only(void **state)
{
    (void)state;
    static const char *const models[] = { "golden/llama3/hf", "golden/qwen3/gguf/model-bf16.gguf", "golden/gemma4-a/gguf/text-bf16.gguf" };
    for (size_t i = 0; i < 3; i++) {
        MuseModel *m = open_model(models[i], NULL, NULL);
        MuseSequenceParams p;
        muse_sequence_params_init(&p);
        p.family = muse_model_family(m);
        assert_int_equal(p.family->image.kind, MUSE_IMAGE_NONE);
        MuseSequence *seq = NULL;
        assert_int_equal(muse_sequence_open(&seq, NULL, &p, &err), 0);
        assert_int_equal(muse_sequence_append_image_size(seq, 64, 64, NULL, &err), MUSE_ERR_UNSUPPORTED);
        assert_int_equal(muse_sequence_append_audio_length(seq, 16000, 16000, &err), MUSE_ERR_UNSUPPORTED);
        MuseModelInfo info;
        muse_model_info(m, &info);
        assert_false(info.takes_images || info.takes_audio);
        muse_sequence_close(&seq);
        muse_model_close(&m);
    }
}

static void wrong_files(void **state)
{
    (void)state;
    static const struct { const char *path, *mmproj; int code; const char *words; } cases[] = {
        { "golden/gemma4-a/gguf/mmproj-bf16.gguf", NULL, MUSE_ERR_UNSUPPORTED, "projector file" },
        { "golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/gguf/text-bf16.gguf", MUSE_ERR_UNSUPPORTED, "not a projector" },
        { "golden/gemma4-a/gguf/text-bf16.gguf", "golden/gemma4-a/hf/model.safetensors", MUSE_ERR_UNSUPPORTED, "not a GGUF" },
        { "golden/llama3/gguf/model-bf16.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf", MUSE_ERR_UNSUPPORTED, "takes no projector" },
        { "golden/gemma4-a/hf", "golden/gemma4-a/gguf/mmproj-bf16.gguf", MUSE_ERR_ARG, "GGUF text model only" },
        { "golden/gemma4-a/gguf/text-bf16.gguf", "golden/none.gguf", MUSE_ERR_IO, "none.gguf" },
        { "golden/none", NULL, MUSE_ERR_IO, "none" },
        { "golden", NULL, MUSE_ERR_IO, "model.safetensors" },
        { "golden/README.md", NULL, MUSE_ERR_FORMAT, "README.md" },
        { "golden/qwen2/cases/text-short/expect.safetensors", NULL, MUSE_ERR_IO, "config.json" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseModelParams p;
        muse_model_params_init(&p);
        if (cases[i].mmproj) p.mmproj = data_path(cases[i].mmproj);
        MuseModel *m = (MuseModel *)&p;
        const int rc = muse_model_open(&m, NULL, data_path(cases[i].path), &p, &err);
        if (rc != cases[i].code || !strstr(err.text, cases[i].words)) fail_msg("%s: %d, \"%s\"", cases[i].path, rc, err.text);
        assert_null(m);
    }
}

/* ---- configurations ---- */

static char *read_text(const char *name)
{
    FILE *f = fopen(data_path(name), "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

/* the first `from` of text becomes `to` */
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at) fail_msg("no %s", from);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    assert_non_null(out);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

#define LLAMA "golden/llama3/hf/config.json"
#define QWEN "golden/qwen3/hf/config.json"
#define GEMMA "golden/gemma4-a/hf/config.json"

static void bad_configs(void **state)
{
    (void)state;
    static const struct { const char *file, *from, *to; int code; const char *words; } cases[] = {
        { LLAMA, "\"llama\"", "\"mixtral\"", MUSE_ERR_UNSUPPORTED, "mixtral" },
        { LLAMA, "\"model_type\": \"llama\",", "", MUSE_ERR_FORMAT, "model_type" },
        { LLAMA, "\"hidden_size\": 64,", "", MUSE_ERR_FORMAT, "hidden_size" },
        { LLAMA, "\"num_key_value_heads\": 2,", "", MUSE_ERR_FORMAT, "num_key_value_heads" },
        { LLAMA, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", MUSE_ERR_FORMAT, "3 key/value heads" },
        { LLAMA, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 0", MUSE_ERR_FORMAT, "num_key_value_heads" },
        { LLAMA, "\"num_attention_heads\": 4", "\"num_attention_heads\": -4", MUSE_ERR_FORMAT, "num_attention_heads" },
        { LLAMA, "\"num_hidden_layers\": 5", "\"num_hidden_layers\": 1000000", MUSE_ERR_FORMAT, "num_hidden_layers" },
        { LLAMA, "\"vocab_size\": 448", "\"vocab_size\": 99999999999", MUSE_ERR_FORMAT, "vocab_size" },
        { LLAMA, "\"hidden_size\": 64", "\"hidden_size\": \"64\"", MUSE_ERR_FORMAT, "hidden_size" },
        { LLAMA, "\"head_dim\": 16", "\"head_dim\": 15", MUSE_ERR_FORMAT, "heads of 15" },
        { LLAMA, "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 0", MUSE_ERR_FORMAT, "rms_norm_eps" },
        { LLAMA, "\"rms_norm_eps\": 1e-05,", "", MUSE_ERR_FORMAT, "rms_norm_eps" },
        { LLAMA, "\"rope_theta\": 500000.0,", "", MUSE_ERR_FORMAT, "rope_theta" },
        { LLAMA, "\"llama3\"", "\"yarn\"", MUSE_ERR_UNSUPPORTED, "yarn" },
        { LLAMA, "\"llama3\"", "\"linear\"", MUSE_ERR_UNSUPPORTED, "linear" },
        { LLAMA, "\"rope_type\": \"llama3\"", "\"x\": 1", MUSE_ERR_FORMAT, "missing" },
        { LLAMA, "\"low_freq_factor\": 1.0,", "", MUSE_ERR_FORMAT, "low_freq_factor" },
        { LLAMA, "\"low_freq_factor\": 1.0", "\"low_freq_factor\": 4.0", MUSE_ERR_FORMAT, "llama3" },
        { LLAMA, "\"attention_bias\": false", "\"attention_bias\": true", MUSE_ERR_UNSUPPORTED, "attention_bias" },
        { LLAMA, "\"mlp_bias\": false", "\"mlp_bias\": true", MUSE_ERR_UNSUPPORTED, "mlp_bias" },
        { LLAMA, "\"silu\"", "\"gelu\"", MUSE_ERR_UNSUPPORTED, "gelu" },
        { LLAMA, "\"use_cache\": true", "\"num_local_experts\": 8", MUSE_ERR_UNSUPPORTED, "num_local_experts" },
        { LLAMA, "\"use_cache\": true", "\"sliding_window\": 4096", MUSE_ERR_UNSUPPORTED, "sliding_window" },
        { LLAMA, "\"use_cache\": true", "\"quantization_config\": {\"bits\": 4}", MUSE_ERR_UNSUPPORTED, "quantization_config" },
        { LLAMA, "\"use_cache\": true", "\"partial_rotary_factor\": 0.5", MUSE_ERR_UNSUPPORTED, "partial_rotary_factor" },
        { LLAMA, "\"use_cache\": true", "\"logits_scaling\": 8", MUSE_ERR_UNSUPPORTED, "logits_scaling" },
        { LLAMA, "446", "446000", MUSE_ERR_FORMAT, "446000" },
        { QWEN, "\"use_sliding_window\": false", "\"use_sliding_window\": true", MUSE_ERR_UNSUPPORTED, "use_sliding_window" },
        { QWEN, "\"attention_bias\": false", "\"attention_bias\": true", MUSE_ERR_UNSUPPORTED, "attention_bias" },
        { QWEN, "\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\":\"yarn\",\"factor\":4}", MUSE_ERR_UNSUPPORTED, "yarn" },
        { QWEN, "\"use_cache\": true", "\"layer_types\": [\"full_attention\",\"sliding_attention\",\"full_attention\",\"full_attention\"]", MUSE_ERR_UNSUPPORTED, "layer_types" },
        { QWEN, "\"use_cache\": true", "\"num_experts\": 128", MUSE_ERR_UNSUPPORTED, "num_experts" },
        { GEMMA, "\"enable_moe_block\": false", "\"enable_moe_block\": true", MUSE_ERR_UNSUPPORTED, "enable_moe_block" },
        { GEMMA, "\"hidden_size_per_layer_input\": 0", "\"hidden_size_per_layer_input\": 256", MUSE_ERR_UNSUPPORTED, "hidden_size_per_layer_input" },
        { GEMMA, "\"num_kv_shared_layers\": 0", "\"num_kv_shared_layers\": 2", MUSE_ERR_UNSUPPORTED, "num_kv_shared_layers" },
        { GEMMA, "\"use_double_wide_mlp\": false", "\"use_double_wide_mlp\": true", MUSE_ERR_UNSUPPORTED, "use_double_wide_mlp" },
        { GEMMA, "\"vision\"", "\"all\"", MUSE_ERR_UNSUPPORTED, "use_bidirectional_attention" },
        { GEMMA, "\"gelu_pytorch_tanh\"", "\"gelu\"", MUSE_ERR_UNSUPPORTED, "hidden_activation" },
        { GEMMA, "\"proportional\"", "\"default\"", MUSE_ERR_UNSUPPORTED, "rope_type" },
        { GEMMA, "\"partial_rotary_factor\": 0.25,", "", MUSE_ERR_FORMAT, "partial_rotary_factor" },
        { GEMMA, "\"partial_rotary_factor\": 0.25", "\"factor\": 8, \"partial_rotary_factor\": 0.25", MUSE_ERR_UNSUPPORTED, "factor" },
        { GEMMA, "\"layer_types\"", "\"old_layer_types\"", MUSE_ERR_FORMAT, "layer_types" },
        { GEMMA, "\"full_attention\"\n  ]", "\"full_attention\", \"full_attention\"\n  ]", MUSE_ERR_FORMAT, "layer_types" },
        { GEMMA, "\"sliding_attention\"", "\"linear_attention\"", MUSE_ERR_UNSUPPORTED, "layer_types" },
        { GEMMA, "\"global_head_dim\": 32,", "", MUSE_ERR_FORMAT, "global_head_dim" },
        { GEMMA, "\"head_dim\": 16,", "", MUSE_ERR_FORMAT, "head_dim" },
        { GEMMA, "\"num_global_key_value_heads\": 1", "\"num_global_key_value_heads\": 3", MUSE_ERR_FORMAT, "layer 5" },
        { GEMMA, "\"sliding_window\": 16,", "", MUSE_ERR_FORMAT, "sliding_window" },
        { GEMMA, "\"gemma4_unified_vision\"", "\"gemma4_vision\"", MUSE_ERR_UNSUPPORTED, "gemma4_vision" },
        { GEMMA, "\"gemma4_unified_audio\"", "\"gemma4_audio\"", MUSE_ERR_UNSUPPORTED, "gemma4_audio" },
        { GEMMA, "\"model_patch_size\": 12", "\"model_patch_size\": 13", MUSE_ERR_FORMAT, "model_patch_size" },
        { GEMMA, "\"num_soft_tokens\": 70", "\"num_soft_tokens\": 280", MUSE_ERR_UNSUPPORTED, "num_soft_tokens" },
        { GEMMA, "\"audio_embed_dim\": 640", "\"audio_embed_dim\": 641", MUSE_ERR_UNSUPPORTED, "audio_embed_dim" },
        { GEMMA, "\"image_token_id\": 507", "\"image_token_id\": 5070", MUSE_ERR_FORMAT, "5070" },
        { GEMMA, "\"text_config\": {", "\"text_config\": 3, \"old\": {", MUSE_ERR_FORMAT, "text_config" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = read_text(cases[i].file), *bad = edited(text, cases[i].from, cases[i].to);
        MuseConfig c;
        const int rc = muse_config_from_json(&c, NULL, NULL, bad, strlen(bad), &err);
        if (rc != cases[i].code || !strstr(err.text, cases[i].words)) fail_msg("%s -> %s: %d, \"%s\"", cases[i].from, cases[i].to, rc, rc < 0 ? err.text : "");
        muse_config_clear(&c);
        free(text);
        free(bad);
    }
}

static unsigned n_lines;
static char last_line[1024];
static void keep_line(void *user, int level, const char *text) { (void)user; (void)level; n_lines++; snprintf(last_line, sizeof last_line, "%s", text); }

/* good ones: other spellings, unknown keys that are said, not refused */
static void odd_configs(void **state)
{
    (void)state;
    static const struct { const char *file, *from, *to; unsigned lines; } cases[] = {
        { LLAMA, "\"use_cache\": true", "\"use_cache\": true", 0 }, { QWEN, "\"use_cache\": true", "\"use_cache\": true", 0 }, { GEMMA, "\"use_cache\": true", "\"use_cache\": true", 0 },
        { LLAMA, "\"use_cache\": true", "\"made_by\": \"somebody\"", 1 },
        { LLAMA, "\"use_cache\": true", "\"num_experts\": 0, \"sliding_window\": null", 0 },
        { LLAMA, "\"use_cache\": true", "\"suppress_tokens\": null, \"min_length\": 0, \"top_k\": 50", 0 },
        { LLAMA, "\"use_cache\": true", "\"suppress_tokens\": [3]", 1 },
        { LLAMA, "\"rope_type\"", "\"type\"", 0 },
        { LLAMA, "\"rope_theta\": 500000.0,", "\"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"default\"},", 0 },
        { LLAMA, "\"head_dim\": 16,", "", 0 },
        { LLAMA, "\"tie_word_embeddings\": false,", "", 0 },
        { GEMMA, "\"final_logit_softcapping\": 30.0", "\"final_logit_softcapping\": 30", 0 },
        { GEMMA, "\"eoa_token_index\"", "\"eoa_token_id\"", 0 },
        { GEMMA, "\"vision_config\": {", "\"vision_config\": null, \"old\": {", 1 },
    };
    const MuseLog log = { keep_line, NULL, MUSE_LOG_WARN };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = read_text(cases[i].file), *other = edited(text, cases[i].from, cases[i].to);
        MuseConfig c;
        n_lines = 0;
        if (muse_config_from_json(&c, NULL, &log, other, strlen(other), &err) < 0) fail_msg("%s: %s", cases[i].to, err.text);
        if (n_lines != cases[i].lines) fail_msg("%s: %u lines, %s", cases[i].to, n_lines, last_line);
        if (cases[i].file[7] == 'l') assert_true(c.layers[0].rope.base == 500000 && c.layers[0].head_width == 16);
        muse_config_clear(&c);
        free(text);
        free(other);
    }
}

/* Sizes as published (Fuyu spec 1; docs/FORMATS.md): families without a golden checkpoint. */
static void other_families(void **state)
{
    (void)state;
    static const char fuyu[] = "{\"model_type\":\"fuyu\",\"vocab_size\":262144,\"hidden_size\":4096,\"intermediate_size\":16384,\"num_hidden_layers\":36,\"num_attention_heads\":64,"
                               "\"hidden_act\":\"relu2\",\"max_position_embeddings\":16384,\"image_size\":300,\"patch_size\":30,\"num_channels\":3,\"layer_norm_eps\":1e-05,\"tie_word_embeddings\":false,"
                               "\"rope_theta\":25000.0,\"rope_scaling\":null,\"qk_layernorm\":true,\"partial_rotary_factor\":0.5,\"bos_token_id\":1,\"eos_token_id\":2,\"image_token_id\":71011}";
    static const char muse[] = "{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":1000,\"hidden_size\":192,\"intermediate_size\":768,\"num_hidden_layers\":6,\"num_attention_heads\":3,"
                               "\"num_key_value_heads\":3,\"head_dim\":64,\"hidden_act\":\"relu2\",\"rms_norm_eps\":1e-6,\"qk_norm\":true,\"rope_theta\":10000,\"rope_pairs\":[16,8,8],\"max_position_embeddings\":4096,"
                               "\"tie_word_embeddings\":true,\"image_config\":{\"patch_size\":8,\"places\":32,\"budgets\":[64,144],\"default_budget\":64,\"mlp_size\":512},\"audio_config\":{\"mel_bins\":80,\"stack\":4}}";
    const MuseLog log = { keep_line, NULL, MUSE_LOG_WARN };
    MuseConfig c;
    n_lines = 0;
    if (muse_config_from_json(&c, NULL, &log, fuyu, strlen(fuyu), &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(n_lines, 0);
    assert_true(c.norm == MUSE_LAYERNORM && c.act == MUSE_ACT_RELU2 && c.qk_norm == MUSE_QKNORM_LAYER && c.fused_qkv && c.bias && c.image.live && !c.audio.live);
    assert_int_equal(c.layers[35].head_width, 64);
    assert_int_equal(c.layers[35].rope.width, 32);
    assert_int_equal(c.layers[35].rope.pairs, 16);
    assert_true(c.layers[35].scale == 0.125f);
    MuseFamily f;
    muse_family_from_config(&f, &c);
    assert_int_equal(f.image.unit, 30);
    assert_int_equal(f.image_row_end.id, 71019);
    muse_config_clear(&c);
    /* older files repeat in it how to generate, and that heads are not grouped */
    char *full = edited(fuyu, "\"hidden_act\"", "\"num_key_value_heads\":64,\"num_beams\":1,\"top_k\":50,\"temperature\":1.0,\"bad_words_ids\":null,\"cross_attention_hidden_size\":null,\"hidden_act\"");
    char *grouped = edited(full, "\"num_key_value_heads\":64", "\"num_key_value_heads\":8");
    if (muse_config_from_json(&c, NULL, &log, full, strlen(full), &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(n_lines, 0);
    muse_config_clear(&c);
    assert_int_equal(muse_config_from_json(&c, NULL, &log, grouped, strlen(grouped), &err), MUSE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "num_key_value_heads"));
    muse_config_clear(&c);
    free(full);
    free(grouped);
    if (muse_config_from_json(&c, NULL, &log, muse, strlen(muse), &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(n_lines, 0);
    assert_int_equal(c.layers[0].rope.axes[1], 8);
    assert_int_equal(c.audio.frame, 320);
    assert_int_equal(c.image.mlp, 512);
    assert_int_equal(c.image_mask, MUSE_MASK_B);
    muse_family_from_config(&f, &c);
    assert_int_equal(f.image.budgets[1], 144);
    assert_int_equal(f.image.budgets[2], 0);
    assert_true(f.image.max_width == 256 && f.image.max_height == 256);   /* 32 places */
    muse_config_clear(&c);
    static const struct { const char *from, *to; int code; MuseImageMask mask; } edits[] = {
        { "[16,8,8]", "[16,8,9]", MUSE_ERR_FORMAT, 0 }, { "\"mlp_size\":512", "\"image_mask\":\"prefix\"", MUSE_ERR_UNSUPPORTED, 0 },
        { "\"mlp_size\":512", "\"image_mask\":1", MUSE_ERR_UNSUPPORTED, 0 }, { "\"mlp_size\":512", "\"image_mask\":\"causal\"", 0, MUSE_MASK_CAUSAL },
        { "\"mlp_size\":512", "\"image_mask\":\"bidirectional\"", 0, MUSE_MASK_B },
        { "\"mlp_size\":512", "\"levels\":true", MUSE_ERR_FORMAT, 0 }, { "\"mlp_size\":512", "\"mlp_size\":512,\"levels\":1", MUSE_ERR_FORMAT, 0 },
        { "\"mlp_size\":512", "\"mlp_size\":512,\"levels\":true", 0, MUSE_MASK_B },
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *other = edited(muse, edits[i].from, edits[i].to);
        assert_int_equal(muse_config_from_json(&c, NULL, &log, other, strlen(other), &err), edits[i].code);
        if (edits[i].code == 0) assert_int_equal(c.image_mask, edits[i].mask);
        muse_config_clear(&c);
        free(other);
    }
    for (MuseArch i = 0; i < MUSE_ARCH_COUNT; i++) assert_non_null(muse_family_find(muse_arch_name(i)));
}

/* the published sizes of Gemma 4 12B (Gemma spec 1 and 7): parameters and bytes add up to the published totals */
static void gemma_12b_totals(void **state)
{
    (void)state;
    char *text = read_text(GEMMA);
    static const char *const edits[][2] = {
        { "\"hidden_size\": 96", "\"hidden_size\": 3840" }, { "\"intermediate_size\": 96", "\"intermediate_size\": 15360" }, { "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 48" },
        { "\"num_attention_heads\": 4", "\"num_attention_heads\": 16" }, { "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 8" }, { "\"head_dim\": 16", "\"head_dim\": 256" },
        { "\"global_head_dim\": 32", "\"global_head_dim\": 512" }, { "\"sliding_window\": 16", "\"sliding_window\": 1024" }, { "\"vocab_size\": 512", "\"vocab_size\": 262144" },
        { "\"mm_embed_dim\": 96", "\"mm_embed_dim\": 3840" }, { "\"output_proj_dims\": 96", "\"output_proj_dims\": 3840" }, { "\"mm_posemb_size\": 80", "\"mm_posemb_size\": 1120" },
        { "\"patch_size\": 4", "\"patch_size\": 16" }, { "\"model_patch_size\": 12", "\"model_patch_size\": 48" }, { "\"num_soft_tokens\": 70", "\"num_soft_tokens\": 280" },
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *next = edited(text, edits[i][0], edits[i][1]);
        free(text);
        text = next;
    }
    static const char six[] = "\"sliding_attention\", \"sliding_attention\", \"sliding_attention\", \"sliding_attention\", \"sliding_attention\", \"full_attention\"";
    char list[2048] = "\"layer_types\": [";
    for (int i = 0; i < 8; i++) sprintf(list + strlen(list), "%s%s", i ? ", " : "", six);
    strcat(list, "], \"unused\": [");
    char *full = edited(text, "\"layer_types\": [", list);
    MuseConfig c;
    if (muse_config_from_json(&c, NULL, NULL, full, strlen(full), &err) < 0) fail_msg("%s", err.text);
    /* bind against a directory that is made from the binding table's own idea of the shapes would prove nothing: the totals do */
    uint64_t values = (uint64_t)c.vocab * c.width + c.width;
    for (uint32_t n = 0; n < c.n_layers; n++) {
        const MuseLayerConfig *l = &c.layers[n];
        const uint64_t q = (uint64_t)l->heads * l->head_width, kv = (uint64_t)l->kv_heads * l->head_width;
        values += 4 * (uint64_t)c.width + 1 + 2 * q * c.width + (l->k_eq_v ? 1 : 2) * kv * c.width + 2 * l->head_width + 3 * (uint64_t)c.ffn * c.width;
    }
    const uint64_t p = (uint64_t)c.image.unit * c.image.unit * 3, e = c.image.embed;
    values += 2 * p + e * p + e + 2 * e + (uint64_t)c.image.positions * 2 * e + 2 * e + e * c.width + (uint64_t)c.audio.frame * c.width;
    assert_int_equal(values, 11959730224u);
    assert_int_equal(c.image.budget, 280);
    assert_int_equal(c.image.budgets[4], 1120);
    muse_config_clear(&c);
    free(text);
    free(full);
}

static void generation(void **state)
{
    (void)state;
    static const struct { const char *json; int code; } cases[] = {
        { "{}", 0 }, { "{\"eos_token_id\":3}", 0 }, { "{\"eos_token_id\":[3,4,3],\"suppress_tokens\":null}", 0 },
        { "[]", MUSE_ERR_FORMAT }, { "{\"eos_token_id\":\"3\"}", MUSE_ERR_FORMAT }, { "{\"eos_token_id\":[3.5]}", MUSE_ERR_FORMAT }, { "{\"eos_token_id\":-1}", MUSE_ERR_FORMAT },
        { "{\"eos_token_id\":448}", MUSE_ERR_FORMAT }, { "{\"suppress_tokens\":[1e9]}", MUSE_ERR_FORMAT }, { "{\"temperature\":-1}", MUSE_ERR_FORMAT }, { "{\"top_k\":1.5}", MUSE_ERR_FORMAT },
        { "{\"min_p\":2}", MUSE_ERR_FORMAT }, { "{\"repetition_penalty\":\"1.1\"}", MUSE_ERR_FORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = read_text(LLAMA);
        MuseConfig c;
        assert_int_equal(muse_config_from_json(&c, NULL, NULL, text, strlen(text), &err), 0);
        const int rc = muse_config_add_generation(&c, NULL, cases[i].json, strlen(cases[i].json), &err);
        if (rc != cases[i].code) fail_msg("%s: %d", cases[i].json, rc);
        if (rc == 0) assert_int_equal(c.eos.n, i == 0 ? 3 : i);
        muse_config_clear(&c);
        free(text);
    }
}

/* ---- tensors ---- */

/* open a Llama whose directory one edit has changed */
static int bind_edited(void (*edit)(MuseWeightFile *), const char *name)
{
    MuseWeightFile w;
    MuseWeights bound = { 0 };
    MuseConfig c;
    char *text = read_text(name[7] == 'q' ? "golden/qwen2/hf/config.json" : LLAMA);
    assert_int_equal(muse_config_from_json(&c, NULL, NULL, text, strlen(text), &err), 0);
    assert_int_equal(muse_weights_open(&w, NULL, NULL, data_path(name), &err), 0);
    edit(&w);
    assert_int_equal(muse_tensors_sort(&w.tensors, &err), 0);
    const int rc = muse_weights_bind(&bound, &c, NULL, &(MuseLog){ keep_line, NULL, MUSE_LOG_INFO }, &w, NULL, &err);
    muse_weights_clear(&bound);
    muse_weights_close(&w);
    muse_config_clear(&c);
    free(text);
    return rc;
}

static MuseTensor *editable(MuseWeightFile *w, const char *name)
{
    MuseTensor *t = (MuseTensor *)(uintptr_t)muse_weights_find(w, name);
    assert_non_null(t);
    return t;
}

static void rename_tensor(MuseWeightFile *w, const char *from, const char *to)
{
    MuseTensor *t = editable(w, from);
    char *name = muse_alloc(NULL, strlen(to) + 1);
    strcpy(name, to);
    muse_free((void *)(uintptr_t)t->name);
    t->name = name;
}

static void edit_none(MuseWeightFile *w) { (void)w; }
static void edit_missing(MuseWeightFile *w) { rename_tensor(w, "model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.other.weight"); }
static void edit_shape(MuseWeightFile *w) { editable(w, "model.layers.0.self_attn.q_proj.weight")->shape[1]++; }
static void edit_rank(MuseWeightFile *w) { editable(w, "model.norm.weight")->rank = 2; }
static void edit_type(MuseWeightFile *w) { editable(w, "model.norm.weight")->type = MUSE_TENSOR_Q8_0; }
static void edit_integer(MuseWeightFile *w) { editable(w, "model.layers.1.mlp.down_proj.weight")->type = MUSE_TENSOR_I8; }
static void edit_head(MuseWeightFile *w) { rename_tensor(w, "lm_head.weight", "x.inv_freq"); }
static void edit_bias(MuseWeightFile *w) { rename_tensor(w, "lm_head.weight", "model.layers.0.self_attn.q_proj.bias"); }
static void edit_extra(MuseWeightFile *w) { rename_tensor(w, "lm_head.weight", "model.layers.9.mlp.up_proj.weight"); }
static void edit_ignored(MuseWeightFile *w) { rename_tensor(w, "lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"); }
static void edit_no_bias(MuseWeightFile *w) { rename_tensor(w, "model.layers.2.self_attn.k_proj.bias", "x"); }

static void binding(void **state)
{
    (void)state;
    static const struct { const char *file; void (*edit)(MuseWeightFile *); int code; const char *words; unsigned lines; } cases[] = {
        { "golden/llama3/hf", edit_none, 0, "", 0 },
        { "golden/llama3/hf", edit_missing, MUSE_ERR_FORMAT, "\"model.layers.3.mlp.up_proj.weight\" is missing", 0 },
        { "golden/llama3/hf", edit_shape, MUSE_ERR_FORMAT, "has shape [64, 65], but the configuration asks for [64, 64]", 0 },
        { "golden/llama3/hf", edit_rank, MUSE_ERR_FORMAT, "has shape [64, 1], but the configuration asks for [64]", 0 },
        { "golden/llama3/hf", edit_type, MUSE_ERR_UNSUPPORTED, "Q8_0", 0 },
        { "golden/llama3/hf", edit_integer, MUSE_ERR_UNSUPPORTED, "I8", 0 },
        { "golden/llama3/hf", edit_head, 0, "", 2 },             /* tied after all, and a tensor without role: both said */
        { "golden/llama3/hf", edit_bias, MUSE_ERR_FORMAT, "no place", 0 },
        { "golden/llama3/hf", edit_extra, 0, "", 2 },
        { "golden/llama3/hf", edit_ignored, 0, "", 1 },
        { "golden/qwen2/hf", edit_none, 0, "", 0 },
        { "golden/qwen2/hf", edit_no_bias, MUSE_ERR_FORMAT, "k_proj.bias\" is missing", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        n_lines = 0;
        err.text[0] = 0;
        const int rc = bind_edited(cases[i].edit, cases[i].file);
        if (rc != cases[i].code || !strstr(err.text, cases[i].words)) fail_msg("case %zu: %d, \"%s\"", i, rc, err.text);
        if (rc == 0) assert_int_equal(n_lines, cases[i].lines);
    }
}

static void two_names(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-a/hf", NULL, NULL);
    MuseWeightFile *w = &m->files[0];
    const MuseTensor copy = *muse_weights_find(w, "model.language_model.norm.weight");
    assert_int_equal(muse_tensors_add(&w->tensors, &copy, "language_model.model.norm.weight", 32, &err), 0);
    assert_int_equal(muse_tensors_sort(&w->tensors, &err), 0);
    MuseWeights bound;
    assert_int_equal(muse_weights_bind(&bound, &m->config, NULL, NULL, w, NULL, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "two names"));
    muse_weights_clear(&bound);
    muse_model_close(&m);
}

/* ---- memory ---- */

static void memory(void **state)
{
    (void)state;
    MuseModel *m = open_model("golden/gemma4-b/hf", NULL, NULL);
    MuseModelMemory a, b;
    assert_int_equal(muse_model_memory(m, 100, &a), 0);
    assert_int_equal(a.kv_16, 128 * (4 * 2 * 2 * 16 + 3 * 2 * 32) * 2);
    assert_int_equal(muse_model_memory(m, 4000, &b), 0);
    const uint64_t kept = ((76 + 512) / 32 + 3) * 32;   /* window and one chunk, in pages */
    assert_int_equal(b.kv_16, (kept * 4 * 2 * 2 * 16 + UINT64_C(4000) * 3 * 2 * 32) * 2);   /* 4000 are whole pages */
    assert_int_equal(b.kv_8, (kept * 4 * 2 * 2 + UINT64_C(4000) * 3 * 2) * 34);   /* heads of 16 and 32: a block of 32 with its scale */
    assert_int_equal(a.weights, b.weights);
    assert_int_equal(muse_model_memory(m, 0, &a), 0);
    assert_int_equal(a.positions, 4096);
    assert_int_equal(muse_model_memory(m, UINT64_MAX, &a), MUSE_ERR_ARG);
    muse_model_close(&m);
}

static Meter meter;

static void no_memory(void **state)
{
    (void)state;
    static const char *const paths[][2] = { { "golden/qwen3/hf", NULL }, { "golden/gemma4-a/gguf/text-q8_0.gguf", "golden/gemma4-a/gguf/mmproj-bf16.gguf" } };
    for (size_t i = 0; i < 2; i++) {
        meter.fail_from = 0;
        MuseRuntime *rt = meter_runtime(&meter, 0);
        int rc = MUSE_ERR_NOMEM;
        for (long n = 0; rc == MUSE_ERR_NOMEM; n++) {
            MuseModelParams p;
            muse_model_params_init(&p);
            if (paths[i][1]) p.mmproj = data_path(paths[i][1]);
            MuseModel *m;
            meter_leave(&meter, n);
            rc = muse_model_open(&m, rt, data_path(paths[i][0]), &p, &err);
            meter.fail_from = 0;
            muse_model_close(&m);
        }
        if (rc < 0) fail_msg("%s", err.text);
        muse_runtime_close(&rt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_agree), cmocka_unit_test(gemma_numbers), cmocka_unit_test(llama_rope), cmocka_unit_test(model_sequences), cmocka_unit_test(text_only),
        cmocka_unit_test(wrong_files), cmocka_unit_test(bad_configs), cmocka_unit_test(odd_configs), cmocka_unit_test(other_families), cmocka_unit_test(gemma_12b_totals),
        cmocka_unit_test(generation), cmocka_unit_test(binding), cmocka_unit_test(two_names), cmocka_unit_test(memory), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
