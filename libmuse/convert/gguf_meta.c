/* SPDX-License-Identifier: Apache-2.0 */
/* A model's configuration as GGUF metadata: text files of llama, qwen2, qwen3 and gemma4, and Gemma's projector file. Sources:
 * Llama spec 3, Gemma spec 8. The tokenizer's keys are in gguf_vocab.c. Called by to_gguf.c. */
#include <stdio.h>
#include <string.h>

#include "libmuse/convert/convert.h"

/* llama.cpp's numbers for the type most matrices have (enum llama_ftype); only shown to users. Q4_K, Q5_K: the "small" mixes */
uint32_t muse_gguf_file_type(MuseWeightType type)
{
    static const uint32_t numbers[MUSE_WEIGHT_TYPES] = {
        [MUSE_WEIGHT_F32] = 0, [MUSE_WEIGHT_F16] = 1, [MUSE_WEIGHT_BF16] = 32, [MUSE_WEIGHT_Q8_0] = 7, [MUSE_WEIGHT_Q4_0] = 2,
        [MUSE_WEIGHT_Q4_K] = 14, [MUSE_WEIGHT_Q5_K] = 16, [MUSE_WEIGHT_Q6_K] = 18, [MUSE_WEIGHT_Q5_0] = 8, [MUSE_WEIGHT_Q5_1] = 9,
    };
    return numbers[type];
}

typedef struct Keys {
    MuseGgufMeta *m;
    const char *arch;
    char name[96];
} Keys;

static const char *key(Keys *k, const char *leaf)
{
    snprintf(k->name, sizeof k->name, "%s.%s", k->arch, leaf);
    return k->name;
}

static void put_u32(Keys *k, const char *leaf, uint32_t v) { muse_meta_u32(k->m, key(k, leaf), v); }
static void put_f32(Keys *k, const char *leaf, float v) { muse_meta_f32(k->m, key(k, leaf), v); }

static void put_text(MuseGgufMeta *m, const char *name, const char *text) { muse_meta_text(m, name, text, strlen(text)); }

static void put_gemma(Keys *k, const MuseConfig *c)
{
    const MuseLayerConfig *full = NULL, *sliding = NULL;
    for (uint32_t n = 0; n < c->n_layers; n++) {
        const MuseLayerConfig **which = c->layers[n].window ? &sliding : &full;
        if (!*which) *which = &c->layers[n];
    }
    if (!full) full = sliding;   /* the keys of a kind that no layer is of are needed all the same */
    if (!sliding) sliding = full;
    put_u32(k, "attention.head_count", c->layers[0].heads);
    muse_meta_array(k->m, key(k, "attention.head_count_kv"), MUSE_GGUF_I32, c->n_layers);
    for (uint32_t n = 0; n < c->n_layers; n++) muse_meta_items(k->m, &c->layers[n].kv_heads, 4);
    put_u32(k, "attention.sliding_window", sliding->window ? sliding->window : 1);
    muse_meta_array(k->m, key(k, "attention.sliding_window_pattern"), MUSE_GGUF_BOOL, c->n_layers);
    for (uint32_t n = 0; n < c->n_layers; n++) muse_meta_items(k->m, c->layers[n].window ? "\1" : "\0", 1);
    put_u32(k, "attention.key_length", full->head_width);
    put_u32(k, "attention.value_length", full->head_width);
    put_u32(k, "attention.key_length_swa", sliding->head_width);
    put_u32(k, "attention.value_length_swa", sliding->head_width);
    put_u32(k, "rope.dimension_count", full->head_width);
    put_u32(k, "rope.dimension_count_swa", sliding->head_width);
    put_f32(k, "rope.freq_base", (float)full->rope.base);
    put_f32(k, "rope.freq_base_swa", (float)sliding->rope.base);
    if (c->softcap > 0) put_f32(k, "final_logit_softcapping", c->softcap);
    put_u32(k, "attention.shared_kv_layers", 0);
    put_u32(k, "embedding_length_per_layer_input", 0);
}

static void put_plain(Keys *k, const MuseConfig *c)
{
    const MuseLayerConfig *l = &c->layers[0];   /* these families' layers are all alike */
    put_u32(k, "attention.head_count", l->heads);
    put_u32(k, "attention.head_count_kv", l->kv_heads);
    put_u32(k, "attention.key_length", l->head_width);
    put_u32(k, "attention.value_length", l->head_width);
    put_u32(k, "rope.dimension_count", l->head_width);
    put_f32(k, "rope.freq_base", (float)l->rope.base);
    put_u32(k, "vocab_size", c->vocab);
}

int muse_meta_model(MuseJob *job, MuseGgufMeta *m)
{
    const MuseConfig *c = &job->model->config;
    static const char *const archs[MUSE_ARCH_COUNT] = { [MUSE_ARCH_GEMMA4] = "gemma4", [MUSE_ARCH_LLAMA] = "llama", [MUSE_ARCH_QWEN2] = "qwen2", [MUSE_ARCH_QWEN3] = "qwen3" };
    Keys k = { .m = m, .arch = archs[c->arch] };
    if (!k.arch) return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: family %s has no GGUF form", job->in, muse_arch_name(c->arch));
    if (c->image.live && c->image_mask == MUSE_MASK_CAUSAL)
        return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: GGUF has no key for pictures that are attended to causally (use_bidirectional_attention)", job->in);
    put_text(m, "general.architecture", k.arch);
    muse_meta_u32(m, "general.alignment", MUSE_GGUF_ALIGNMENT);
    muse_meta_u32(m, "general.quantization_version", 2);
    muse_meta_u32(m, "general.file_type", muse_gguf_file_type(job->type));
    if (c->temperature > 0) muse_meta_f32(m, "general.sampling.temp", c->temperature);
    if (c->top_k > 0) muse_meta_i32(m, "general.sampling.top_k", (int32_t)c->top_k);
    if (c->top_p > 0) muse_meta_f32(m, "general.sampling.top_p", c->top_p);
    if (c->min_p > 0) muse_meta_f32(m, "general.sampling.min_p", c->min_p);
    if (c->repetition > 0) muse_meta_f32(m, "general.sampling.penalty_repeat", c->repetition);
    put_u32(&k, "block_count", c->n_layers);
    put_u32(&k, "context_length", c->context);
    put_u32(&k, "embedding_length", c->width);
    put_u32(&k, "feed_forward_length", c->ffn);
    put_f32(&k, "attention.layer_norm_rms_epsilon", c->norm_eps);
    if (c->arch == MUSE_ARCH_GEMMA4) put_gemma(&k, c);
    else put_plain(&k, c);
    return 0;
}

/* ---- the projector ---- */

/* zeros that other readers ask for: Gemma spec 8.2 */
static void put_dummies(Keys *k)
{
    put_u32(k, "block_count", 0);
    put_u32(k, "attention.head_count", 0);
    put_u32(k, "feed_forward_length", 0);
}

static void put_triple(Keys *k, const char *leaf, float v)
{
    const float three[3] = { v, v, v };
    muse_meta_array(k->m, key(k, leaf), MUSE_GGUF_F32, 3);
    muse_meta_items(k->m, three, sizeof three);
}

static void put_vision(MuseJob *job, MuseGgufMeta *m)
{
    const MuseConfig *c = &job->model->config;
    const bool pooled = c->image.unit % 3 == 0;   /* readers multiply by 3 unless told */
    Keys k = { .m = m, .arch = "clip.vision" };
    muse_meta_text(m, "clip.vision.projector_type", "gemma4uv", 8);
    put_u32(&k, "patch_size", pooled ? c->image.unit / 3 : c->image.unit);
    if (!pooled) put_u32(&k, "projector.scale_factor", 1);
    put_u32(&k, "image_size", 224);   /* what published files say; pictures are not of a fixed size */
    put_u32(&k, "embedding_length", c->image.embed);
    put_u32(&k, "projection_dim", c->width);
    put_dummies(&k);
    put_f32(&k, "attention.layer_norm_epsilon", c->image.rms_eps);
    put_triple(&k, "image_mean", 0);
    put_triple(&k, "image_std", 1);
    uint32_t readers = 0;   /* what a reader without a key for the budget takes: the family's, as far as the table of places goes */
    for (uint32_t i = 0; i < MUSE_BUDGETS_MAX && c->image.budgets[i]; i++)
        if (c->image.budgets[i] <= muse_family_find("gemma4_unified")->image.budget) readers = c->image.budgets[i];
    if (readers != c->image.budget) muse_log(&job->rt->log, MUSE_LOG_WARN, "GGUF has no key for the image budget of %u: readers take %u", c->image.budget, readers);
}

int muse_meta_mmproj(MuseJob *job, MuseGgufMeta *m)
{
    const MuseConfig *c = &job->model->config;
    put_text(m, "general.architecture", "clip");
    muse_meta_u32(m, "general.alignment", MUSE_GGUF_ALIGNMENT);
    muse_meta_bool(m, "clip.has_vision_encoder", c->image.live);
    muse_meta_bool(m, "clip.has_audio_encoder", c->audio.live);
    muse_meta_bool(m, "clip.use_gelu", true);
    if (c->image.live) put_vision(job, m);
    if (!c->audio.live) return 0;
    Keys k = { .m = m, .arch = "clip.audio" };
    put_text(m, "clip.audio.projector_type", "gemma4ua");
    put_u32(&k, "embedding_length", c->audio.frame);
    put_u32(&k, "projection_dim", c->width);
    put_dummies(&k);
    put_f32(&k, "attention.layer_norm_epsilon", c->audio.rms_eps);
    put_u32(&k, "num_mel_bins", 128);   /* no meaning here, but readers ask for it: Gemma spec 8.2 */
    return 0;
}
