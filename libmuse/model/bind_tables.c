/* SPDX-License-Identifier: Apache-2.0 */
/* One row per tensor role and family. Sources: Gemma spec 7 and 8, Llama spec 3, Fuyu spec 5; muse: docs/FORMATS.md.
 * Read by bind.c. */
#include <stddef.h>

#include "libmuse/model/bind.h"

#define LAYER(m) offsetof(MuseLayerWeights, m)
#define GLOBAL(m) offsetof(MuseWeights, m)
#define TABLE(p, l, g, ...) { .prefixes = p, .layer = l, .n_layer = sizeof l / sizeof *l, .global = g, .n_global = sizeof g / sizeof *g, .ignored = { __VA_ARGS__ } }

/* ---- llama, qwen2, qwen3 ---- */

static const MuseBind plain_layer[] = {
    { "input_layernorm.weight", "attn_norm.weight", LAYER(attn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "self_attn.q_proj.weight", "attn_q.weight", LAYER(wq), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_HK, DIM_D } },
    { "self_attn.q_proj.bias", "attn_q.bias", LAYER(bq), SPACE_TEXT, WHEN_QKV_BIAS, true, { DIM_HK } },
    { "self_attn.k_proj.weight", "attn_k.weight", LAYER(wk), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_GK, DIM_D } },
    { "self_attn.k_proj.bias", "attn_k.bias", LAYER(bk), SPACE_TEXT, WHEN_QKV_BIAS, true, { DIM_GK } },
    { "self_attn.v_proj.weight", "attn_v.weight", LAYER(wv), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_GK, DIM_D } },
    { "self_attn.v_proj.bias", "attn_v.bias", LAYER(bv), SPACE_TEXT, WHEN_QKV_BIAS, true, { DIM_GK } },
    { "self_attn.q_norm.weight", "attn_q_norm.weight", LAYER(q_norm), SPACE_TEXT, WHEN_QKNORM, true, { DIM_K } },
    { "self_attn.k_norm.weight", "attn_k_norm.weight", LAYER(k_norm), SPACE_TEXT, WHEN_QKNORM, true, { DIM_K } },
    { "self_attn.o_proj.weight", "attn_output.weight", LAYER(wo), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_D, DIM_HK } },
    { "self_attn.o_proj.bias", "attn_output.bias", LAYER(bo), SPACE_TEXT, WHEN_BIAS, true, { DIM_D } },
    { "post_attention_layernorm.weight", "ffn_norm.weight", LAYER(ffn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "mlp.gate_proj.weight", "ffn_gate.weight", LAYER(w_gate), SPACE_TEXT, WHEN_GATED, false, { DIM_F, DIM_D } },
    { "mlp.up_proj.weight", "ffn_up.weight", LAYER(w_up), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_F, DIM_D } },
    { "mlp.up_proj.bias", "ffn_up.bias", LAYER(b_up), SPACE_TEXT, WHEN_BIAS, true, { DIM_F } },
    { "mlp.down_proj.weight", "ffn_down.weight", LAYER(w_down), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_D, DIM_F } },
    { "mlp.down_proj.bias", "ffn_down.bias", LAYER(b_down), SPACE_TEXT, WHEN_BIAS, true, { DIM_D } },
};

static const MuseBind plain_global[] = {
    { "embed_tokens.weight", "token_embd.weight", GLOBAL(embed), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_V, DIM_D } },
    { "norm.weight", "output_norm.weight", GLOBAL(norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "lm_head.weight", "output.weight", GLOBAL(head), SPACE_HEAD, WHEN_HEAD, false, { DIM_V, DIM_D } },
    { NULL, "rope_freqs.weight", GLOBAL(rope_freqs), SPACE_TEXT, WHEN_ROPE_FREQS, true, { DIM_END } },
};

/* ---- gemma4_unified ---- */

static const MuseBind gemma_layer[] = {
    { "input_layernorm.weight", "attn_norm.weight", LAYER(attn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "self_attn.q_proj.weight", "attn_q.weight", LAYER(wq), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_HK, DIM_D } },
    { "self_attn.k_proj.weight", "attn_k.weight", LAYER(wk), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_GK, DIM_D } },
    { "self_attn.v_proj.weight", "attn_v.weight", LAYER(wv), SPACE_TEXT, WHEN_V, false, { DIM_GK, DIM_D } },
    { "self_attn.q_norm.weight", "attn_q_norm.weight", LAYER(q_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_K } },
    { "self_attn.k_norm.weight", "attn_k_norm.weight", LAYER(k_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_K } },
    { "self_attn.o_proj.weight", "attn_output.weight", LAYER(wo), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_D, DIM_HK } },
    { "post_attention_layernorm.weight", "post_attention_norm.weight", LAYER(post_attn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "pre_feedforward_layernorm.weight", "ffn_norm.weight", LAYER(ffn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "mlp.gate_proj.weight", "ffn_gate.weight", LAYER(w_gate), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_F, DIM_D } },
    { "mlp.up_proj.weight", "ffn_up.weight", LAYER(w_up), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_F, DIM_D } },
    { "mlp.down_proj.weight", "ffn_down.weight", LAYER(w_down), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_D, DIM_F } },
    { "post_feedforward_layernorm.weight", "post_ffw_norm.weight", LAYER(post_ffn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "layer_scalar", "layer_output_scale.weight", LAYER(out_scale), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_1 } },
};

static const MuseBind gemma_global[] = {
    { "embed_tokens.weight", "token_embd.weight", GLOBAL(embed), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_V, DIM_D } },
    { "norm.weight", "output_norm.weight", GLOBAL(norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "lm_head.weight", "output.weight", GLOBAL(head), SPACE_HEAD, WHEN_HEAD, false, { DIM_V, DIM_D } },
    { NULL, "rope_freqs.weight", GLOBAL(rope_freqs), SPACE_TEXT, WHEN_ROPE_FREQS, true, { DIM_END } },
    { "patch_ln1.weight", "v.patch_norm.1.weight", GLOBAL(image.norm1), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_P } },
    { "patch_ln1.bias", "v.patch_norm.1.bias", GLOBAL(image.norm1_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_P } },
    { "patch_dense.weight", "v.patch_embd.weight", GLOBAL(image.dense), SPACE_IMAGE, WHEN_IMAGE, false, { DIM_E, DIM_P } },
    { "patch_dense.bias", "v.patch_embd.bias", GLOBAL(image.dense_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_E } },
    { "patch_ln2.weight", "v.patch_norm.2.weight", GLOBAL(image.norm2), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_E } },
    { "patch_ln2.bias", "v.patch_norm.2.bias", GLOBAL(image.norm2_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_E } },
    { "pos_embedding", NULL, GLOBAL(image.place), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_N, DIM_2, DIM_E } },
    { NULL, "v.position_embd.weight", GLOBAL(image.place), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_2, DIM_N, DIM_E } },
    { "pos_norm.weight", "v.patch_norm.3.weight", GLOBAL(image.norm3), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_E } },
    { "pos_norm.bias", "v.patch_norm.3.bias", GLOBAL(image.norm3_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_E } },
    { "embedding_projection.weight", "mm.input_projection.weight", GLOBAL(image.proj), SPACE_IMAGE_PROJ, WHEN_IMAGE, false, { DIM_D, DIM_E } },
    { "embedding_projection.weight", "mm.a.input_projection.weight", GLOBAL(audio.proj), SPACE_AUDIO, WHEN_AUDIO, false, { DIM_D, DIM_A } },
};

/* ---- fuyu ---- */

static const MuseBind fuyu_layer[] = {
    { "input_layernorm.weight", NULL, LAYER(attn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "input_layernorm.bias", NULL, LAYER(attn_norm_b), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "self_attn.query_key_value.weight", NULL, LAYER(wqkv), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_H3K, DIM_D } },
    { "self_attn.query_key_value.bias", NULL, LAYER(bqkv), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_H3K } },
    { "self_attn.q_layernorm.weight", NULL, LAYER(q_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_K } },
    { "self_attn.q_layernorm.bias", NULL, LAYER(q_norm_b), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_K } },
    { "self_attn.k_layernorm.weight", NULL, LAYER(k_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_K } },
    { "self_attn.k_layernorm.bias", NULL, LAYER(k_norm_b), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_K } },
    { "self_attn.dense.weight", NULL, LAYER(wo), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_D, DIM_HK } },
    { "self_attn.dense.bias", NULL, LAYER(bo), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "post_attention_layernorm.weight", NULL, LAYER(ffn_norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "post_attention_layernorm.bias", NULL, LAYER(ffn_norm_b), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "mlp.dense_h_to_4h.weight", NULL, LAYER(w_up), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_F, DIM_D } },
    { "mlp.dense_h_to_4h.bias", NULL, LAYER(b_up), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_F } },
    { "mlp.dense_4h_to_h.weight", NULL, LAYER(w_down), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_D, DIM_F } },
    { "mlp.dense_4h_to_h.bias", NULL, LAYER(b_down), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
};

static const MuseBind fuyu_global[] = {
    { "embed_tokens.weight", NULL, GLOBAL(embed), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_V, DIM_D } },
    { "final_layernorm.weight", NULL, GLOBAL(norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "final_layernorm.bias", NULL, GLOBAL(norm_b), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "lm_head.weight", NULL, GLOBAL(head), SPACE_HEAD, WHEN_HEAD, false, { DIM_V, DIM_D } },
    { "vision_embed_tokens.weight", NULL, GLOBAL(image.dense), SPACE_IMAGE, WHEN_IMAGE, false, { DIM_D, DIM_P } },
    { "vision_embed_tokens.bias", NULL, GLOBAL(image.dense_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_D } },
};

/* ---- muse: layers as the plain families have them ---- */

static const MuseBind muse_global[] = {
    { "embed_tokens.weight", NULL, GLOBAL(embed), SPACE_TEXT, WHEN_ALWAYS, false, { DIM_V, DIM_D } },
    { "norm.weight", NULL, GLOBAL(norm), SPACE_TEXT, WHEN_ALWAYS, true, { DIM_D } },
    { "lm_head.weight", NULL, GLOBAL(head), SPACE_HEAD, WHEN_HEAD, false, { DIM_V, DIM_D } },
    { "norm.weight", NULL, GLOBAL(image.norm1), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_P } },
    { "norm.bias", NULL, GLOBAL(image.norm1_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_P } },
    { "hidden.weight", NULL, GLOBAL(image.hidden), SPACE_IMAGE, WHEN_IMAGE_MLP, false, { DIM_M, DIM_P } },
    { "hidden.bias", NULL, GLOBAL(image.hidden_b), SPACE_IMAGE, WHEN_IMAGE_MLP, true, { DIM_M } },
    { "levels.weight", NULL, GLOBAL(image.levels), SPACE_IMAGE, WHEN_LEVELS, true, { DIM_LEVELS, DIM_M } },
    { "proj.weight", NULL, GLOBAL(image.dense), SPACE_IMAGE, WHEN_IMAGE, false, { DIM_D, DIM_X } },
    { "proj.bias", NULL, GLOBAL(image.dense_b), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_D } },
    { "place_rows", NULL, GLOBAL(image.place_rows), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_N, DIM_D } },
    { "place_cols", NULL, GLOBAL(image.place_cols), SPACE_IMAGE, WHEN_IMAGE, true, { DIM_N, DIM_D } },
    { "proj.weight", NULL, GLOBAL(audio.proj), SPACE_AUDIO, WHEN_AUDIO, false, { DIM_D, DIM_A } },
    { "proj.bias", NULL, GLOBAL(audio.proj_b), SPACE_AUDIO, WHEN_AUDIO, true, { DIM_D } },
};

#define PLAIN_PREFIXES { [SPACE_TEXT] = { "model." }, [SPACE_HEAD] = { "" } }
/* published; text-only exports; MLX exports; and the names of newer re-saved files */
#define GEMMA_PREFIXES { \
    [SPACE_TEXT] = { "model.language_model.", "language_model.model.", "model." }, [SPACE_HEAD] = { "", "language_model." }, \
    [SPACE_IMAGE] = { "model.vision_embedder.", "model.embed_vision.", "vision_embedder.", "embed_vision." }, \
    [SPACE_IMAGE_PROJ] = { "model.embed_vision.", "model.embed_vision.multimodal_embedder.", "embed_vision.", "embed_vision.multimodal_embedder." }, \
    [SPACE_AUDIO] = { "model.embed_audio.", "model.embed_audio.multimodal_embedder.", "embed_audio.", "embed_audio.multimodal_embedder." } }
#define FUYU_PREFIXES { [SPACE_TEXT] = { "language_model.model.", "model.language_model." }, [SPACE_HEAD] = { "language_model.", "" }, [SPACE_IMAGE] = { "", "model." } }
#define MUSE_PREFIXES { [SPACE_TEXT] = { "model." }, [SPACE_HEAD] = { "" }, [SPACE_IMAGE] = { "model.image." }, [SPACE_AUDIO] = { "model.audio." } }

static const MuseBindTable tables[MUSE_ARCH_COUNT] = {
    [MUSE_ARCH_MUSE] = TABLE(MUSE_PREFIXES, plain_layer, muse_global, NULL),
    [MUSE_ARCH_GEMMA4] = TABLE(GEMMA_PREFIXES, gemma_layer, gemma_global, "rotary_emb."),
    [MUSE_ARCH_LLAMA] = TABLE(PLAIN_PREFIXES, plain_layer, plain_global, "rotary_emb.inv_freq"),
    [MUSE_ARCH_QWEN2] = TABLE(PLAIN_PREFIXES, plain_layer, plain_global, "rotary_emb.inv_freq"),
    [MUSE_ARCH_QWEN3] = TABLE(PLAIN_PREFIXES, plain_layer, plain_global, "rotary_emb.inv_freq"),
    [MUSE_ARCH_FUYU] = TABLE(FUYU_PREFIXES, fuyu_layer, fuyu_global, "rotary_emb.inv_freq", "image_patch_projection."),
};

const MuseBindTable *muse_bind_table(MuseArch arch) { return arch < MUSE_ARCH_COUNT ? &tables[arch] : NULL; }
