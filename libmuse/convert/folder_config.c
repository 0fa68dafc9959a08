/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF model's configuration as config.json and generation_config.json. Sources: Gemma spec 1, Llama spec 1 and 2. Called by
 * to_folder.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmuse/convert/convert.h"

/* so many significant digits, with a point whatever the locale writes */
static void put_digits(MuseText *t, int digits, double v)
{
    char text[40], plain[40];
    size_t n = 0;
    snprintf(text, sizeof text, "%.*g", digits, v);
    for (const char *c = text; *c; c++) {
        if (strchr("0123456789+-e", *c)) plain[n++] = *c;
        else if (n && plain[n - 1] != '.') plain[n++] = '.';   /* a locale's point may take several bytes */
    }
    plain[n] = 0;
    muse_text_put(t, "%s%s", plain, strpbrk(plain, ".e") ? "" : ".0");
}

/* the shortest text that reads back as this f32 */
static void put_number(MuseText *t, const char *name, double v)
{
    char text[40];
    int digits = 0;
    do snprintf(text, sizeof text, "%.*g", ++digits, v); while (digits < 9 && (float)strtod(text, NULL) != (float)v);
    muse_text_put(t, "  \"%s\": ", name);
    put_digits(t, digits, v);
    muse_text_put(t, ",\n");
}

/* the first member of an object whose rest follows */
static void put_rope(MuseText *t, const char *type, const char *name, double v)
{
    muse_text_put(t, "{\"rope_type\": \"%s\", \"%s\": ", type, name);
    put_digits(t, 9, v);
}

static void put_whole(MuseText *t, const char *name, uint32_t v) { muse_text_put(t, "  \"%s\": %u,\n", name, v); }

static void put_id(MuseText *t, const char *name, int32_t id)
{
    if (id >= 0) muse_text_put(t, "  \"%s\": %d,\n", name, id);
}

static void put_ids(MuseText *t, const char *name, const MuseIds *ids)
{
    if (ids->n == 0) return;
    muse_text_put(t, "  \"%s\": [", name);
    for (uint32_t i = 0; i < ids->n; i++) muse_text_put(t, i ? ", %d" : "%d", ids->ids[i]);
    muse_text_put(t, "],\n");
}

static const char *type_note(const MuseJob *job) { return job->type == MUSE_WEIGHT_F32 ? "float32" : job->type == MUSE_WEIGHT_F16 ? "float16" : "bfloat16"; }

static void put_sizes(MuseText *t, const MuseConfig *c, const MuseLayerConfig *l)
{
    put_whole(t, "hidden_size", c->width);
    put_whole(t, "intermediate_size", c->ffn);
    put_whole(t, "num_hidden_layers", c->n_layers);
    put_whole(t, "num_attention_heads", l->heads);
    put_whole(t, "num_key_value_heads", l->kv_heads);
    put_whole(t, "head_dim", l->head_width);
    put_whole(t, "max_position_embeddings", c->context);
    put_whole(t, "vocab_size", c->vocab);
    put_number(t, "rms_norm_eps", (double)c->norm_eps);
    put_id(t, "bos_token_id", c->bos);
    put_id(t, "pad_token_id", c->pad);
}

static int put_plain(MuseJob *job, MuseText *t)
{
    const MuseConfig *c = &job->model->config;
    const MuseLayerConfig *l = &c->layers[0];
    const char *arch = c->arch == MUSE_ARCH_LLAMA ? "LlamaForCausalLM" : c->arch == MUSE_ARCH_QWEN2 ? "Qwen2ForCausalLM" : "Qwen3ForCausalLM";
    MuseRope rope = l->rope;
    muse_text_put(t, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n  \"torch_dtype\": \"%s\",\n", arch, muse_arch_name(c->arch), type_note(job));
    muse_text_put(t, "  \"hidden_act\": \"silu\",\n  \"attention_dropout\": 0.0,\n");
    if (c->arch == MUSE_ARCH_LLAMA) muse_text_put(t, "  \"attention_bias\": false,\n  \"mlp_bias\": false,\n");
    else muse_text_put(t, "  \"use_sliding_window\": false,\n");
    put_sizes(t, c, l);
    put_ids(t, "eos_token_id", &c->eos);
    put_number(t, "rope_theta", rope.base);
    if (rope.divisors) {
        if (!muse_llama3_find(&rope, rope.divisors, rope.width / 2))
            return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: rope_freqs.weight holds divisors that are not those of a llama3 scaling rule, so config.json can't say them", job->in);
        muse_text_put(t, "  \"rope_scaling\": ");
        put_rope(t, "llama3", "factor", rope.factor);
        /* whole numbers: muse_llama3_find() */
        muse_text_put(t, ", \"low_freq_factor\": %u.0, \"high_freq_factor\": %u.0, \"original_max_position_embeddings\": %u},\n", (unsigned)rope.low_freq, (unsigned)rope.high_freq, rope.original_positions);
    } else if (rope.pairs != rope.width / 2) {
        return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: heads that rotate in part, which config.json can't say for family %s", job->in, muse_arch_name(c->arch));
    }
    muse_text_put(t, "  \"tie_word_embeddings\": %s\n}\n", c->tied == MUSE_YES ? "true" : "false");
    return 0;
}

/* ---- gemma4_unified ---- */

static int put_gemma_text(MuseJob *job, MuseText *t)
{
    const MuseConfig *c = &job->model->config;
    const MuseLayerConfig *full = NULL, *sliding = NULL;
    for (uint32_t n = 0; n < c->n_layers; n++) {
        const MuseLayerConfig *l = &c->layers[n], **which = l->window ? &sliding : &full;
        if (!*which) *which = l;
        if (l->heads != (*which)->heads || l->kv_heads != (*which)->kv_heads || l->heads != c->layers[0].heads || l->k_eq_v != (*which)->k_eq_v || l->rope.divisors)
            return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: layer %u has heads or divisors of its own, which config.json can't say", job->in, n);
    }
    if (!full) full = sliding;
    if (!sliding) sliding = full;
    muse_text_put(t, "  \"model_type\": \"gemma4_unified_text\",\n  \"attention_bias\": false,\n  \"attention_dropout\": 0.0,\n  \"hidden_activation\": \"gelu_pytorch_tanh\",\n  \"dtype\": \"%s\",\n", type_note(job));
    put_sizes(t, c, sliding);
    put_whole(t, "num_global_key_value_heads", full->kv_heads);
    put_whole(t, "global_head_dim", full->head_width);
    muse_text_put(t, "  \"attention_k_eq_v\": %s,\n", full->k_eq_v == MUSE_YES ? "true" : "false");
    put_whole(t, "sliding_window", sliding->window ? sliding->window : 1);
    if (c->softcap > 0) put_number(t, "final_logit_softcapping", (double)c->softcap);
    muse_text_put(t, "  \"use_bidirectional_attention\": \"vision\",\n  \"num_kv_shared_layers\": 0,\n  \"hidden_size_per_layer_input\": 0,\n  \"enable_moe_block\": false,\n  \"use_double_wide_mlp\": false,\n");
    muse_text_put(t, "  \"layer_types\": [");
    for (uint32_t n = 0; n < c->n_layers; n++) muse_text_put(t, "%s\"%s\"", n ? ", " : "", c->layers[n].window ? "sliding_attention" : "full_attention");
    muse_text_put(t, "],\n  \"rope_parameters\": {\n    \"sliding_attention\": ");
    put_rope(t, "default", "rope_theta", sliding->rope.base);
    muse_text_put(t, "},\n    \"full_attention\": ");
    put_rope(t, "proportional", "rope_theta", full->rope.base);
    muse_text_put(t, ", \"partial_rotary_factor\": ");
    put_digits(t, 17, 2.0 * full->rope.pairs / full->rope.width);
    muse_text_put(t, "}\n  },\n");
    muse_text_put(t, "  \"tie_word_embeddings\": %s", c->tied == MUSE_YES ? "true" : "false");
    return 0;
}

static void put_gemma_media(MuseJob *job, MuseText *t)
{
    const MuseConfig *c = &job->model->config;
    const MuseImageConfig *v = &c->image;
    if (v->live) {
        const uint32_t pool = v->unit % 3 ? 1 : 3;
        put_id(t, "boi_token_id", c->image_begin);
        put_id(t, "eoi_token_id", c->image_end);
        put_id(t, "image_token_id", c->image_soft);
        put_id(t, "video_token_id", c->video_soft);
        muse_text_put(t, "  \"vision_config\": {\n  \"model_type\": \"gemma4_unified_vision\",\n");
        put_whole(t, "patch_size", v->unit / pool);
        put_whole(t, "pooling_kernel_size", pool);
        put_whole(t, "model_patch_size", v->unit);
        put_whole(t, "mm_embed_dim", v->embed);
        put_whole(t, "output_proj_dims", v->embed);
        put_whole(t, "mm_posemb_size", v->positions);
        put_number(t, "rms_norm_eps", (double)v->rms_eps);
        muse_text_put(t, "  \"num_soft_tokens\": %u\n  },\n", v->budget);
    }
    if (!c->audio.live) return;
    put_id(t, "boa_token_id", c->audio_begin);
    put_id(t, "eoa_token_index", c->audio_end);   /* how the published file spells it */
    put_id(t, "audio_token_id", c->audio_soft);
    muse_text_put(t, "  \"audio_config\": {\n  \"model_type\": \"gemma4_unified_audio\",\n");
    put_whole(t, "audio_samples_per_token", c->audio.frame);
    put_whole(t, "audio_embed_dim", c->audio.frame);
    put_whole(t, "hidden_size", c->audio.frame);
    put_number(t, "rms_norm_eps", (double)c->audio.rms_eps);
    muse_text_put(t, "  \"output_proj_dims\": %u\n  },\n", c->audio.frame);
}

static int put_gemma(MuseJob *job, MuseText *t)
{
    const MuseConfig *c = &job->model->config;
    int rc;
    muse_text_put(t, "{\n");
    if (!c->image.live && !c->audio.live) {   /* a text-only export is the text part alone */
        put_ids(t, "eos_token_id", &c->eos);
        rc = put_gemma_text(job, t);
        muse_text_put(t, "\n}\n");
        return rc;
    }
    muse_text_put(t, "  \"architectures\": [\"Gemma4UnifiedForConditionalGeneration\"],\n  \"model_type\": \"gemma4_unified\",\n  \"dtype\": \"%s\",\n", type_note(job));
    put_ids(t, "eos_token_id", &c->eos);
    put_gemma_media(job, t);
    muse_text_put(t, "  \"text_config\": {\n");
    rc = put_gemma_text(job, t);
    muse_text_put(t, "\n  },\n  \"tie_word_embeddings\": %s\n}\n", c->tied == MUSE_YES ? "true" : "false");
    return rc;
}

int muse_folder_config(MuseJob *job, MuseText *config, MuseText *generation)
{
    const MuseConfig *c = &job->model->config;
    const int rc = c->arch == MUSE_ARCH_GEMMA4 ? put_gemma(job, config) : put_plain(job, config);
    muse_text_put(generation, "{\n");
    put_id(generation, "bos_token_id", c->bos);
    put_id(generation, "pad_token_id", c->pad);
    put_ids(generation, "eos_token_id", &c->eos);
    put_ids(generation, "suppress_tokens", &c->suppress);
    if (c->temperature > 0) put_number(generation, "temperature", (double)c->temperature);
    if (c->top_k > 0) put_whole(generation, "top_k", c->top_k);
    if (c->top_p > 0) put_number(generation, "top_p", (double)c->top_p);
    if (c->min_p > 0) put_number(generation, "min_p", (double)c->min_p);
    if (c->repetition > 0) put_number(generation, "repetition_penalty", (double)c->repetition);
    muse_text_put(generation, "  \"do_sample\": %s\n}\n", c->has_sampling ? "true" : "false");
    return rc;
}
