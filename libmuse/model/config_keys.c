/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of configuration keys. A key that is in no table is not refused, because published files carry many notes of the
 * tools that wrote them, but the log says that it had no effect. Called by the two readers of configurations. */
#include "libmuse/model/config_keys.h"

#include <string.h>

typedef enum Rule {
    READ,     /* the reader of the family takes it, and judges its value */
    NEUTRAL,  /* changes nothing in a forward pass */
    IDLE,     /* the same, but said like an unknown key unless absent, null, false, 0 or empty */
    OFF,      /* only absent, null, false, 0 or empty */
    ONE       /* only absent, null or 1 */
} Rule;

typedef struct KeyRule { const char *name; Rule rule; } KeyRule;

/* Any family. Sources: the configuration classes of the published models, Gemma spec 1.2, Llama spec 1. */
static const KeyRule common_rules[] = {
    { "model_type", READ }, { "hidden_size", READ }, { "intermediate_size", READ }, { "num_hidden_layers", READ }, { "num_attention_heads", READ },
    { "num_key_value_heads", READ }, { "head_dim", READ }, { "vocab_size", READ }, { "max_position_embeddings", READ }, { "rms_norm_eps", READ },
    { "hidden_act", READ }, { "rope_theta", READ }, { "rope_scaling", READ }, { "rope_parameters", READ }, { "tie_word_embeddings", READ },
    { "bos_token_id", READ }, { "eos_token_id", READ }, { "pad_token_id", READ }, { "layer_types", READ },
    { "architectures", NEUTRAL }, { "dtype", NEUTRAL }, { "torch_dtype", NEUTRAL }, { "transformers_version", NEUTRAL }, { "initializer_range", NEUTRAL },
    { "use_cache", NEUTRAL }, { "attention_dropout", NEUTRAL }, { "hidden_dropout", NEUTRAL }, { "_name_or_path", NEUTRAL }, { "_attn_implementation", NEUTRAL },
    { "_attn_implementation_autoset", NEUTRAL }, { "attn_implementation", NEUTRAL }, { "auto_map", NEUTRAL }, { "pretraining_tp", NEUTRAL }, { "max_window_layers", NEUTRAL },
    { "output_attentions", NEUTRAL }, { "output_hidden_states", NEUTRAL }, { "return_dict", NEUTRAL }, { "is_decoder", NEUTRAL },
    { "is_llama_config", NEUTRAL }, { "unsloth_fixed", NEUTRAL }, { "unsloth_version", NEUTRAL }, { "id2label", NEUTRAL }, { "label2id", NEUTRAL }, { "problem_type", NEUTRAL }, { "transformers.js_config", NEUTRAL },
    { "chunk_size_feed_forward", NEUTRAL }, { "torchscript", NEUTRAL }, { "finetuning_task", NEUTRAL }, { "task_specific_params", NEUTRAL }, { "tokenizer_class", NEUTRAL },
    /* how to generate, which older files repeat in every configuration with all defaults; generation_config.json counts */
    { "bad_words_ids", IDLE }, { "begin_suppress_tokens", IDLE }, { "decoder_start_token_id", IDLE }, { "diversity_penalty", IDLE }, { "do_sample", NEUTRAL },
    { "early_stopping", NEUTRAL }, { "encoder_no_repeat_ngram_size", IDLE }, { "exponential_decay_length_penalty", IDLE }, { "forced_bos_token_id", IDLE },
    { "forced_eos_token_id", IDLE }, { "length_penalty", NEUTRAL }, { "max_length", NEUTRAL }, { "min_length", IDLE }, { "no_repeat_ngram_size", IDLE },
    { "num_beam_groups", NEUTRAL }, { "num_beams", NEUTRAL }, { "num_return_sequences", NEUTRAL }, { "output_scores", NEUTRAL }, { "prefix", IDLE },
    { "remove_invalid_values", NEUTRAL }, { "repetition_penalty", NEUTRAL }, { "return_dict_in_generate", NEUTRAL }, { "sep_token_id", IDLE }, { "suppress_tokens", IDLE },
    { "temperature", NEUTRAL }, { "top_k", NEUTRAL }, { "top_p", NEUTRAL }, { "typical_p", NEUTRAL }, { "tf_legacy_loss", NEUTRAL }, { "use_bfloat16", NEUTRAL },
    { "tie_encoder_decoder", OFF }, { "cross_attention_hidden_size", OFF },
    /* experts */
    { "num_experts", OFF }, { "num_local_experts", OFF }, { "n_routed_experts", OFF }, { "n_shared_experts", OFF }, { "num_experts_per_tok", OFF }, { "top_k_experts", OFF },
    { "moe_intermediate_size", OFF }, { "shared_expert_intermediate_size", OFF }, { "enable_moe_block", OFF }, { "mlp_only_layers", OFF }, { "norm_topk_prob", OFF },
    { "router_aux_loss_coef", NEUTRAL },
    /* parts of other decoders */
    { "hidden_size_per_layer_input", OFF }, { "num_kv_shared_layers", OFF }, { "use_double_wide_mlp", OFF }, { "attention_bias", OFF }, { "mlp_bias", OFF }, { "qkv_bias", OFF },
    { "use_sliding_window", OFF }, { "sliding_window", OFF }, { "attention_chunk_size", OFF }, { "no_rope_layers", OFF }, { "no_rope_layer_interval", OFF }, { "attn_temperature_tuning", OFF },
    { "attn_logit_softcapping", OFF }, { "final_logit_softcapping", OFF }, { "query_pre_attn_scalar", OFF }, { "attention_multiplier", ONE }, { "embedding_multiplier", ONE },
    { "residual_multiplier", ONE }, { "logits_scaling", ONE }, { "logit_scale", ONE }, { "partial_rotary_factor", ONE }, { "rope_interleaved", OFF }, { "use_qk_norm", OFF }, { "qk_norm", OFF },
    { "qk_layernorm", OFF }, { "q_lora_rank", OFF }, { "kv_lora_rank", OFF }, { "qk_rope_head_dim", OFF }, { "num_nextn_predict_layers", OFF }, { "altup_num_inputs", OFF }, { "laurel_rank", OFF },
    { "alibi", OFF }, { "parallel_attn", OFF }, { "is_encoder_decoder", OFF }, { "add_cross_attention", OFF }, { "cross_attention_layers", OFF }, { "quantization_config", OFF },
    { "compression_config", OFF }, { "adapter_layers", OFF }, { "pruned_heads", OFF }, { "use_bidirectional_attention", OFF }, { "text_config", OFF }, { "vision_config", OFF },
    { "audio_config", OFF }, { "dual_chunk_attention_config", OFF }, { "vision_feature_layer", OFF }, { "hidden_activation", OFF },
};

/* rms() in every published Llama, Qwen and SmolLM file; Qwen keeps a window size for a window that is off */
static const KeyRule qwen_rules[] = { { "sliding_window", NEUTRAL }, { "use_mrope", OFF } };

static const KeyRule gemma_rules[] = {
    { "text_config", READ }, { "vision_config", READ }, { "audio_config", READ }, { "boi_token_id", READ }, { "eoi_token_id", READ }, { "image_token_id", READ },
    { "video_token_id", READ }, { "boa_token_id", READ }, { "eoa_token_index", READ }, { "eoa_token_id", READ }, { "audio_token_id", READ },
    { "num_global_key_value_heads", READ }, { "global_head_dim", READ }, { "attention_k_eq_v", READ }, { "sliding_window", READ }, { "hidden_activation", READ },
    { "final_logit_softcapping", READ }, { "use_bidirectional_attention", READ }, { "vocab_size_per_layer_input", NEUTRAL }, { "vision_soft_tokens_per_image", NEUTRAL },
    { "hidden_act", OFF }, { "rope_theta", OFF }, { "rope_scaling", OFF },
    /* inside vision_config and audio_config */
    { "patch_size", READ }, { "pooling_kernel_size", READ }, { "model_patch_size", READ }, { "mm_embed_dim", READ }, { "mm_posemb_size", READ }, { "num_soft_tokens", READ },
    { "output_proj_dims", READ }, { "audio_embed_dim", READ }, { "audio_samples_per_token", READ },
};

static const KeyRule fuyu_rules[] = {
    { "text_config", READ }, { "patch_size", READ }, { "num_channels", READ }, { "image_size", NEUTRAL }, { "partial_rotary_factor", READ }, { "qk_layernorm", READ },
    { "layer_norm_eps", READ }, { "image_token_id", READ }, { "rms_norm_eps", OFF },
};

static const KeyRule muse_rules[] = {
    { "muse_version", READ }, { "rope_pairs", READ }, { "qk_norm", READ }, { "final_logit_softcapping", READ }, { "image_config", READ }, { "audio_config", READ }, { "rope_scaling", OFF }, { "rope_parameters", OFF },
    /* inside image_config and audio_config */
    { "patch_size", READ }, { "budgets", READ }, { "default_budget", READ }, { "places", READ }, { "mlp_size", READ }, { "levels", READ }, { "image_mask", READ }, { "mel_bins", READ }, { "stack", READ },
};

#define TABLE(t) { (t), sizeof (t) / sizeof *(t) }
static const struct { const KeyRule *rules; size_t n; } tables[MUSE_ARCH_COUNT] = {
    [MUSE_ARCH_MUSE] = TABLE(muse_rules), [MUSE_ARCH_GEMMA4] = TABLE(gemma_rules), [MUSE_ARCH_QWEN2] = TABLE(qwen_rules),
    [MUSE_ARCH_QWEN3] = TABLE(qwen_rules), [MUSE_ARCH_FUYU] = TABLE(fuyu_rules),
};

static const KeyRule *find_rule(const KeyRule *rules, size_t n_rules, const char *name, size_t n)
{
    for (size_t i = 0; i < n_rules; i++)
        if (strlen(rules[i].name) == n && memcmp(rules[i].name, name, n) == 0) return &rules[i];
    return NULL;
}

static bool is_off(const MuseJsonValue *v)
{
    switch (v->type) {
    case MUSE_JSON_NULL: return true;
    case MUSE_JSON_BOOL: case MUSE_JSON_INT: return v->u.integer == 0;
    case MUSE_JSON_DOUBLE: return v->u.number == 0;
    default: return v->len == 0;
    }
}

static bool is_one(const MuseJsonValue *v)
{
    return v->type == MUSE_JSON_NULL || (v->type == MUSE_JSON_INT && v->u.integer == 1) || (v->type == MUSE_JSON_DOUBLE && v->u.number == 1);
}

int muse_keys_check_json(const MuseJsonValue *object, MuseArch arch, const char *where, const MuseLog *log, MuseError *err)
{
    for (const MuseJsonValue *v = object->u.first; v; v = v->next) {
        const int shown = v->key_len < 100 ? (int)v->key_len : 100;
        const KeyRule *rule = find_rule(tables[arch].rules, tables[arch].n, v->key, v->key_len);
        if (!rule) rule = find_rule(common_rules, sizeof common_rules / sizeof *common_rules, v->key, v->key_len);
        if (!rule || (rule->rule == IDLE && !is_off(v))) muse_log(log, MUSE_LOG_WARN, "%s: key \"%.*s\" is not known and has no effect", where, shown, v->key);
        else if ((rule->rule == OFF && !is_off(v)) || (rule->rule == ONE && !is_one(v)))
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: family %s: \"%s\" is set, which is not supported", where, muse_arch_name(arch), rule->name);
    }
    return 0;
}

/* ---- GGUF: names after the architecture's prefix ---- */

static const KeyRule gguf_rules[] = {
    { "block_count", READ }, { "context_length", READ }, { "embedding_length", READ }, { "feed_forward_length", READ }, { "vocab_size", READ }, { "attention.head_count", READ },
    { "attention.head_count_kv", READ }, { "attention.layer_norm_rms_epsilon", READ }, { "attention.key_length", READ }, { "attention.value_length", READ },
    { "attention.key_length_swa", READ }, { "attention.value_length_swa", READ }, { "attention.sliding_window", READ }, { "attention.sliding_window_pattern", READ },
    { "rope.dimension_count", READ }, { "rope.dimension_count_swa", READ }, { "rope.freq_base", READ }, { "rope.freq_base_swa", READ }, { "rope.scaling.type", READ },
    { "final_logit_softcapping", READ }, { "attention.causal", READ }, { "rope.scaling.original_context_length", NEUTRAL }, { "rope.scaling.finetuned", NEUTRAL },
    { "rope.scaling.factor", ONE }, { "rope.scale_linear", ONE }, { "rope.scaling.attn_factor", ONE }, { "rope.scaling.yarn_log_multiplier", OFF }, { "logit_scale", ONE }, { "embedding_scale", ONE }, { "residual_scale", ONE },
    { "attention.scale", OFF }, { "expert_count", OFF }, { "expert_used_count", OFF }, { "expert_feed_forward_length", OFF }, { "expert_shared_count", OFF }, { "attention.shared_kv_layers", OFF },
    { "embedding_length_per_layer_input", OFF }, { "attn_logit_softcapping", OFF }, { "attention.clamp_kqv", OFF }, { "attention.max_alibi_bias", OFF }, { "attention.q_lora_rank", OFF },
    { "attention.kv_lora_rank", OFF }, { "attention.layer_norm_epsilon", OFF }, { "nextn_predict_layers", OFF }, { "use_parallel_residual", OFF }, { "rope.dimension_sections", OFF }, { "tensor_data_layout", NEUTRAL },
    { "pooling_type", NEUTRAL },
};

/* numbers and truth values; texts and lists are never "off" unless empty */
static bool gguf_value(const MuseGguf *g, const MuseGgufKey *key, double *value)
{
    char name[128];
    uint32_t whole;
    float part;
    bool truth;
    if (key->name_len >= sizeof name) return false;
    memcpy(name, key->name, key->name_len);
    name[key->name_len] = 0;
    if (muse_gguf_u32(g, name, 0, &whole, NULL) == 0) *value = whole;
    else if (muse_gguf_f32(g, name, 0, &part, NULL) == 0) *value = (double)part;
    else if (muse_gguf_bool(g, name, false, &truth, NULL) == 0) *value = truth;
    else return false;
    return true;
}

int muse_keys_check_gguf(const MuseGguf *g, const char *prefix, const MuseLog *log, MuseError *err)
{
    const size_t n_prefix = strlen(prefix);
    for (size_t i = 0; i < g->n_keys; i++) {
        const MuseGgufKey *key = &g->keys[i];
        if (key->name_len <= n_prefix || memcmp(key->name, prefix, n_prefix) != 0) continue;
        const int shown = key->name_len < 100 ? (int)key->name_len : 100;
        const KeyRule *rule = find_rule(gguf_rules, sizeof gguf_rules / sizeof *gguf_rules, key->name + n_prefix, key->name_len - n_prefix);
        if (!rule) {
            muse_log(log, MUSE_LOG_WARN, "GGUF: key \"%.*s\" is not known and has no effect", shown, key->name);
            continue;
        }
        double value;
        if (rule->rule != OFF && rule->rule != ONE) continue;
        const bool number = gguf_value(g, key, &value);
        if ((!number && key->count > 0) || (number && value != (rule->rule == ONE)))
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: \"%.*s\" is set, which is not supported", shown, key->name);
    }
    return 0;
}
