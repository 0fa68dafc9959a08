/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a Hugging Face folder to MuseConfig, one short reader a family. Sources: Gemma spec 1, Llama spec 1 and 2, Fuyu
 * spec 1; muse: docs/FORMATS.md. Called by libmuse/model/model.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/model/config.h"
#include "libmuse/model/config_keys.h"
#include "libmuse/model/config_read.h"

enum { CONTEXT_MAX = 1 << 30 };

/* what all families spell the same way; the layers are made, all alike */
static void read_geometry(MuseReader *r, MuseConfig *c, const MuseAllocator *a, bool grouped)
{
    uint32_t heads = 0, kv_heads = 0, head_width = 0;
    muse_read_u32(r, "hidden_size", 1, MUSE_WIDTH_MAX, &c->width);
    muse_read_u32(r, "intermediate_size", 1, MUSE_FFN_MAX, &c->ffn);
    muse_read_u32(r, "vocab_size", 1, MUSE_VOCAB_MAX, &c->vocab);
    muse_read_u32(r, "num_hidden_layers", 1, MUSE_LAYERS_MAX, &c->n_layers);
    muse_read_u32(r, "num_attention_heads", 1, MUSE_HEADS_MAX, &heads);
    if (grouped) muse_read_u32(r, "num_key_value_heads", 1, MUSE_HEADS_MAX, &kv_heads);
    else kv_heads = heads;
    muse_read_u32(r, "max_position_embeddings", 1, CONTEXT_MAX, &c->context);
    muse_read_maybe_u32(r, "head_dim", 2, MUSE_HEAD_WIDTH_MAX, &head_width);
    if (r->rc < 0) return;
    if (head_width == 0) {   /* absent: the published meaning is an even share */
        if (c->width % heads) {
            muse_read_fail(r, MUSE_ERR_FORMAT, "hidden_size", "is not a multiple of num_attention_heads, and there is no head_dim");
            return;
        }
        head_width = c->width / heads;
    }
    r->rc = muse_config_alloc_layers(c, a, r->err);
    for (uint32_t n = 0; n < c->n_layers && r->rc == 0; n++)
        c->layers[n] = (MuseLayerConfig){ .heads = heads, .kv_heads = kv_heads, .head_width = head_width, .scale = (float)(1 / sqrt((double)head_width)) };
}

static void read_tied(MuseReader *r, MuseConfig *c)
{
    bool tied = false;
    if (!muse_read_has(r, "tie_word_embeddings")) return;   /* stays: by tensor */
    muse_read_maybe_bool(r, "tie_word_embeddings", &tied);
    c->tied = tied ? MUSE_YES : MUSE_NO;
}

/* eos_token_id: an id, or a list of them */
static void read_eos(MuseReader *r, MuseConfig *c)
{
    const MuseJsonValue *v = muse_json_get(r->object, "eos_token_id");
    if (r->rc < 0 || !v || v->type == MUSE_JSON_NULL) return;
    const MuseJsonValue *first = v->type == MUSE_JSON_ARRAY ? v->u.first : v;
    for (const MuseJsonValue *id = first; id && r->rc == 0; id = v->type == MUSE_JSON_ARRAY ? id->next : NULL) {
        if (id->type != MUSE_JSON_INT) muse_read_fail(r, MUSE_ERR_FORMAT, "eos_token_id", "is neither an id nor a list of ids");
        else if (id->u.integer != -1) r->rc = muse_ids_add(&c->eos, id->u.integer, c->vocab, "eos_token_id", r->err);
    }
}

static void read_ids(MuseReader *r, MuseConfig *c)
{
    muse_read_maybe_id(r, "bos_token_id", &c->bos);
    muse_read_maybe_id(r, "pad_token_id", &c->pad);
    if (c->pad >= (int64_t)c->vocab) c->pad = -1;   /* Qwen and Llama derivatives name one beyond the table; it is never computed */
    read_eos(r, c);
}

/* ---- llama, qwen2, qwen3 ---- */

/* The base may stand alone or inside rope_parameters; the rule in rope_scaling ("type" in old files) or rope_parameters. */
static void read_rope(MuseReader *r, MuseRope *rope)
{
    const MuseJsonValue *scaling = muse_read_object(r, "rope_scaling"), *parameters = muse_read_object(r, "rope_parameters");
    MuseReader inner = { .object = parameters, .where = "config.json: rope_parameters", .err = r->err, .rc = r->rc };
    muse_read_f64(parameters && muse_read_has(&inner, "rope_theta") ? &inner : r, "rope_theta", 1.0001, 1e12, &rope->base);
    if (inner.rc < 0) r->rc = inner.rc;
    if (!scaling) scaling = parameters;
    if (!scaling || r->rc < 0) return;
    MuseReader s = { .object = scaling, .where = scaling == parameters ? "config.json: rope_parameters" : "config.json: rope_scaling", .err = r->err };
    const char *key = muse_read_has(&s, "rope_type") ? "rope_type" : "type";
    const MuseJsonValue *type = muse_json_get(scaling, key);
    if (muse_json_equal(type, "llama3")) {
        muse_read_f64(&s, "factor", 1, 1e6, &rope->factor);
        muse_read_f64(&s, "low_freq_factor", 1e-6, 1e6, &rope->low_freq);
        muse_read_f64(&s, "high_freq_factor", 1e-6, 1e6, &rope->high_freq);
        muse_read_u32(&s, "original_max_position_embeddings", 1, CONTEXT_MAX, &rope->original_positions);
    } else if (!muse_json_equal(type, "default")) {
        char why[128];
        const bool text = muse_json_is(type, MUSE_JSON_STRING);
        snprintf(why, sizeof why, "%s%.*s%s", text ? "is \"" : "is missing", text ? type->len < 60 ? (int)type->len : 60 : 0, text ? type->u.string : "", text ? "\"; only \"default\" and \"llama3\" are supported" : "");
        muse_read_fail(&s, text ? MUSE_ERR_UNSUPPORTED : MUSE_ERR_FORMAT, key, why);
    }
    double same = 1;
    if (muse_read_has(&s, "partial_rotary_factor")) muse_read_f64(&s, "partial_rotary_factor", 0, 1, &same);
    if (same == 1 && muse_read_has(&s, "attention_factor")) muse_read_f64(&s, "attention_factor", 0, 1e6, &same);
    if (s.rc == 0 && same != 1) muse_read_fail(&s, MUSE_ERR_UNSUPPORTED, key, "comes with a partial_rotary_factor or attention_factor other than 1");
    r->rc = s.rc;
}

static void read_plain_layer_types(MuseReader *r, const MuseConfig *c)
{
    const MuseJsonValue *types = muse_json_get(r->object, "layer_types");
    if (r->rc < 0 || !types || types->type == MUSE_JSON_NULL) return;
    if (types->type != MUSE_JSON_ARRAY || types->len != c->n_layers) muse_read_fail(r, MUSE_ERR_FORMAT, "layer_types", "does not list each layer");
    for (const MuseJsonValue *t = r->rc == 0 ? types->u.first : NULL; t; t = t->next)
        if (!muse_json_equal(t, "full_attention")) {
            muse_read_fail(r, MUSE_ERR_UNSUPPORTED, "layer_types", "has layers other than \"full_attention\", which this family does not support");
            return;
        }
}

static void read_plain(MuseReader *r, MuseConfig *c, const MuseAllocator *a)
{
    MuseRope rope = { 0 };
    read_geometry(r, c, a, true);
    muse_read_expect(r, "hidden_act", "silu", true);
    muse_read_f32(r, "rms_norm_eps", 1e-12, 0.1, &c->norm_eps);
    read_plain_layer_types(r, c);
    read_rope(r, &rope);
    for (uint32_t n = 0; n < c->n_layers && r->rc == 0; n++) {
        MuseLayerConfig *l = &c->layers[n];
        l->rope = rope;
        l->rope.width = l->head_width;
        l->rope.pairs = l->head_width / 2;
    }
    read_tied(r, c);
    read_ids(r, c);
}

/* ---- gemma4_unified ---- */

static void read_gemma_rope(MuseReader *text, const char *type, MuseRope *rope, uint32_t head_width)
{
    const MuseJsonValue *all = muse_read_object(text, "rope_parameters");
    const bool full = strcmp(type, "full_attention") == 0;
    MuseReader outer = { .object = all, .where = "text_config: rope_parameters", .err = text->err, .rc = text->rc };
    const MuseJsonValue *own = muse_read_object(&outer, type);
    if (!own) muse_read_fail(&outer, MUSE_ERR_FORMAT, type, "is missing");
    MuseReader r = { .object = own, .where = full ? "rope_parameters: full_attention" : "rope_parameters: sliding_attention", .err = text->err, .rc = outer.rc };
    double part = 1, factor = 1;
    muse_read_expect(&r, "rope_type", full ? "proportional" : "default", true);
    muse_read_f64(&r, "rope_theta", 1.0001, 1e12, &rope->base);
    if (full) muse_read_f64(&r, "partial_rotary_factor", 0, 1, &part);
    if (muse_read_has(&r, "factor")) muse_read_f64(&r, "factor", 1e-6, 1e6, &factor);
    if (r.rc == 0 && factor != 1) muse_read_fail(&r, MUSE_ERR_UNSUPPORTED, "factor", "is not 1");
    rope->width = head_width;
    rope->pairs = (uint32_t)(part * head_width / 2);   /* Gemma spec 2.5: truncated; the exponent's denominator is the full width */
    text->rc = r.rc;
}

static void read_gemma_layers(MuseReader *r, MuseConfig *c)
{
    uint32_t window = 0, kv_full = 0, width_full = 0;
    bool k_eq_v = false;
    muse_read_u32(r, "sliding_window", 1, CONTEXT_MAX, &window);
    muse_read_u32(r, "num_global_key_value_heads", 1, MUSE_HEADS_MAX, &kv_full);
    muse_read_u32(r, "global_head_dim", 2, MUSE_HEAD_WIDTH_MAX, &width_full);
    muse_read_u32(r, "head_dim", 2, MUSE_HEAD_WIDTH_MAX, &(uint32_t){ 0 });   /* here an even share is not what it means */
    muse_read_bool(r, "attention_k_eq_v", &k_eq_v);
    const MuseJsonValue *types = muse_json_get(r->object, "layer_types");
    if (r->rc == 0 && (!muse_json_is(types, MUSE_JSON_ARRAY) || types->len != c->n_layers)) muse_read_fail(r, MUSE_ERR_FORMAT, "layer_types", "is missing, or does not list each layer");
    if (r->rc < 0) return;
    MuseRope sliding = { 0 }, full = { 0 };
    read_gemma_rope(r, "sliding_attention", &sliding, c->layers[0].head_width);
    read_gemma_rope(r, "full_attention", &full, width_full);
    const MuseJsonValue *t = types->u.first;
    for (uint32_t n = 0; n < c->n_layers && r->rc == 0; n++, t = t->next) {
        MuseLayerConfig *l = &c->layers[n];
        const bool is_full = muse_json_equal(t, "full_attention");
        if (!is_full && !muse_json_equal(t, "sliding_attention")) muse_read_fail(r, MUSE_ERR_UNSUPPORTED, "layer_types", "has layers other than \"sliding_attention\" and \"full_attention\"");
        l->scale = 1;
        l->rope = is_full ? full : sliding;
        l->window = is_full ? 0 : window;
        if (!is_full) continue;
        l->head_width = width_full;
        l->kv_heads = kv_full;
        l->k_eq_v = k_eq_v ? MUSE_YES : MUSE_NO;
    }
}

static void read_gemma_text(MuseReader *r, MuseConfig *c, const MuseAllocator *a)
{
    read_geometry(r, c, a, true);
    muse_read_expect(r, "hidden_activation", "gelu_pytorch_tanh", true);
    muse_read_f32(r, "rms_norm_eps", 1e-12, 0.1, &c->norm_eps);
    if (muse_read_has(r, "final_logit_softcapping")) muse_read_f32(r, "final_logit_softcapping", 1e-3, 1e6, &c->softcap);
    if (muse_read_has(r, "use_bidirectional_attention")) muse_read_expect(r, "use_bidirectional_attention", "vision", true);
    else c->image_mask = MUSE_MASK_CAUSAL;
    read_gemma_layers(r, c);
    read_tied(r, c);
    read_ids(r, c);
}

static const MuseJsonValue *media_config(MuseReader *r, const char *key, const char *type, const MuseLog *log)
{
    const MuseJsonValue *v = muse_read_object(r, key);
    if (!v) return NULL;
    MuseReader inner = { .object = v, .where = key, .err = r->err };
    muse_read_expect(&inner, "model_type", type, true);
    if (inner.rc == 0) inner.rc = muse_keys_check_json(v, MUSE_ARCH_GEMMA4, key, log, r->err);
    r->rc = inner.rc;
    return r->rc == 0 ? v : NULL;
}

/* the budgets of the family that the position table can place: a budget of M patches may be one row of M */
static void set_gemma_budgets(MuseImageConfig *v, uint32_t wanted)
{
    const MuseImageRule *rule = &muse_family_find("gemma4_unified")->image;
    uint32_t n = 0;
    for (uint32_t i = 0; i < MUSE_BUDGETS_MAX && rule->budgets[i]; i++)
        if (rule->budgets[i] <= v->positions) v->budgets[n++] = rule->budgets[i];
    v->budget = 0;
    for (uint32_t i = 0; i < n; i++)
        if (v->budgets[i] <= wanted) v->budget = v->budgets[i];
}

static void read_gemma_vision(MuseReader *outer, MuseConfig *c, const MuseJsonValue *v)
{
    MuseReader r = { .object = v, .where = "vision_config", .err = outer->err };
    MuseImageConfig *image = &c->image;
    uint32_t patch = 0, pool = 0, out = 0, wanted = 0;
    muse_read_u32(&r, "patch_size", 1, 256, &patch);
    muse_read_u32(&r, "pooling_kernel_size", 1, 256, &pool);
    muse_read_u32(&r, "model_patch_size", 1, 256, &image->unit);
    muse_read_u32(&r, "mm_embed_dim", 1, MUSE_WIDTH_MAX, &image->embed);
    muse_read_u32(&r, "output_proj_dims", 1, MUSE_WIDTH_MAX, &out);
    muse_read_u32(&r, "mm_posemb_size", 1, 1 << 20, &image->positions);
    muse_read_u32(&r, "num_soft_tokens", 1, 65536, &wanted);
    muse_read_f32(&r, "rms_norm_eps", 1e-12, 0.1, &image->rms_eps);
    if (r.rc == 0 && patch * pool != image->unit) muse_read_fail(&r, MUSE_ERR_FORMAT, "model_patch_size", "is not patch_size times pooling_kernel_size");
    if (r.rc == 0 && out != image->embed) muse_read_fail(&r, MUSE_ERR_UNSUPPORTED, "output_proj_dims", "is not mm_embed_dim");
    if (r.rc == 0) {
        image->live = true;
        image->norm_eps = 1e-5f;   /* of the LayerNorms, fixed by code: Gemma spec 8.2 */
        set_gemma_budgets(image, wanted);
        if (image->budget != wanted) muse_read_fail(&r, MUSE_ERR_UNSUPPORTED, "num_soft_tokens", "is not one of the budgets 70, 140, 280, 560, 1120 that fit mm_posemb_size");
    }
    outer->rc = r.rc;
}

static void read_gemma_audio(MuseReader *outer, MuseConfig *c, const MuseJsonValue *v)
{
    MuseReader r = { .object = v, .where = "audio_config", .err = outer->err };
    muse_read_u32(&r, "audio_samples_per_token", 1, 1 << 14, &c->audio.frame);
    muse_read_same(&r, "audio_embed_dim", c->audio.frame);
    muse_read_same(&r, "hidden_size", c->audio.frame);
    muse_read_same(&r, "output_proj_dims", c->audio.frame);
    muse_read_f32(&r, "rms_norm_eps", 1e-12, 0.1, &c->audio.rms_eps);
    c->audio.live = r.rc == 0;
    outer->rc = r.rc;
}

static void read_gemma(MuseReader *r, MuseConfig *c, const MuseAllocator *a, const MuseLog *log)
{
    const MuseJsonValue *text = muse_read_object(r, "text_config");
    MuseReader t = { .object = text ? text : r->object, .where = text ? "text_config" : "config.json", .err = r->err, .rc = r->rc };
    muse_read_expect(&t, "model_type", "gemma4_unified_text", true);
    if (t.rc == 0 && text) t.rc = muse_keys_check_json(text, MUSE_ARCH_GEMMA4, "text_config", log, r->err);
    read_gemma_text(&t, c, a);
    r->rc = t.rc;
    if (!text || r->rc < 0) return;
    read_tied(r, c);
    if (muse_read_has(r, "eos_token_id")) {   /* the outer list is the newer one */
        c->eos.n = 0;
        read_eos(r, c);
    }
    const MuseJsonValue *vision = media_config(r, "vision_config", "gemma4_unified_vision", log), *audio = media_config(r, "audio_config", "gemma4_unified_audio", log);
    if (vision && r->rc == 0) {
        read_gemma_vision(r, c, vision);
        muse_read_maybe_id(r, "boi_token_id", &c->image_begin);
        muse_read_maybe_id(r, "image_token_id", &c->image_soft);
        muse_read_maybe_id(r, "eoi_token_id", &c->image_end);
        muse_read_maybe_id(r, "video_token_id", &c->video_soft);
    }
    if (audio && r->rc == 0) {
        read_gemma_audio(r, c, audio);
        muse_read_maybe_id(r, "boa_token_id", &c->audio_begin);
        muse_read_maybe_id(r, "audio_token_id", &c->audio_soft);
        muse_read_maybe_id(r, "eoa_token_id", &c->audio_end);
        muse_read_maybe_id(r, "eoa_token_index", &c->audio_end);   /* how the published file spells it */
    }
}

/* ---- fuyu ---- */

static void read_fuyu(MuseReader *r, MuseConfig *c, const MuseAllocator *a, const MuseLog *log)
{
    const MuseJsonValue *text = muse_read_object(r, "text_config");
    MuseReader t = { .object = text ? text : r->object, .where = text ? "text_config" : "config.json", .err = r->err, .rc = r->rc };
    double part = 0;
    bool qk = false;
    uint32_t channels = 0;
    MuseRope rope = { 0 };
    if (text && t.rc == 0) t.rc = muse_keys_check_json(text, MUSE_ARCH_FUYU, "text_config", log, r->err);
    if (text) muse_read_expect(&t, "model_type", "persimmon", true);
    read_geometry(&t, c, a, false);
    if (t.rc == 0) muse_read_same(&t, "num_key_value_heads", c->layers[0].heads);   /* some files say it */
    muse_read_expect(&t, "hidden_act", "relu2", true);
    muse_read_f32(&t, "layer_norm_eps", 1e-12, 0.1, &c->norm_eps);
    muse_read_bool(&t, "qk_layernorm", &qk);
    if (t.rc == 0 && !qk) muse_read_fail(&t, MUSE_ERR_UNSUPPORTED, "qk_layernorm", "is false");
    const MuseJsonValue *parameters = muse_read_object(&t, "rope_parameters");
    if (muse_read_has(&t, "rope_scaling")) muse_read_fail(&t, MUSE_ERR_UNSUPPORTED, "rope_scaling", "is set");
    MuseReader p = t;
    if (parameters) p.object = parameters, p.where = "rope_parameters";
    if (parameters) muse_read_expect(&p, "rope_type", "default", false);
    muse_read_f64(&p, "rope_theta", 1.0001, 1e12, &rope.base);
    const bool outside = !muse_read_has(&p, "partial_rotary_factor");
    if (outside) p.object = t.object, p.where = t.where;
    muse_read_f64(&p, "partial_rotary_factor", 0.001, 1, &part);
    r->rc = t.rc = p.rc;
    for (uint32_t n = 0; n < c->n_layers && r->rc == 0; n++) {
        MuseLayerConfig *l = &c->layers[n];
        l->rope = rope;
        l->rope.width = (uint32_t)(part * l->head_width);   /* Fuyu spec 2: the first dims only, split-half inside those */
        l->rope.pairs = l->rope.width / 2;
    }
    if (r->rc == 0) read_tied(&t, c);
    if (r->rc == 0) read_ids(&t, c);
    if (r->rc == 0) r->rc = t.rc;
    read_tied(r, c);
    muse_read_u32(r, "patch_size", 1, 256, &c->image.unit);
    muse_read_u32(r, "num_channels", 1, 16, &channels);
    if (r->rc == 0 && channels != 3) muse_read_fail(r, MUSE_ERR_UNSUPPORTED, "num_channels", "is not 3");
    muse_read_maybe_id(r, "image_token_id", &c->image_soft);
    c->image.embed = c->width;
    c->image.live = true;
}

/* ---- muse ---- */

static void read_muse_image(MuseReader *outer, MuseConfig *c, const MuseJsonValue *v)
{
    MuseReader r = { .object = v, .where = "image_config", .err = outer->err };
    MuseImageConfig *image = &c->image;
    muse_read_u32(&r, "patch_size", 1, 256, &image->unit);
    muse_read_u32(&r, "places", 1, 4096, &image->positions);
    muse_read_u32(&r, "default_budget", 1, 65536, &image->budget);
    muse_read_maybe_u32(&r, "mlp_size", 0, MUSE_FFN_MAX, &image->mlp);
    muse_read_maybe_bool(&r, "levels", &image->levels);
    if (r.rc == 0 && image->levels && !image->mlp) muse_read_fail(&r, MUSE_ERR_FORMAT, "levels", "needs a \"mlp_size\"");
    if (muse_json_equal(muse_json_get(v, "image_mask"), "causal")) c->image_mask = MUSE_MASK_CAUSAL;
    else if (muse_read_has(&r, "image_mask") && !muse_json_equal(muse_json_get(v, "image_mask"), "bidirectional"))
        muse_read_fail(&r, MUSE_ERR_UNSUPPORTED, "image_mask", "is neither \"bidirectional\" nor \"causal\"");
    image->embed = c->width;
    image->norm_eps = 1e-5f;
    const MuseJsonValue *budgets = muse_json_get(v, "budgets");
    uint32_t n = 0;
    bool found = false;
    if (r.rc == 0 && (!muse_json_is(budgets, MUSE_JSON_ARRAY) || budgets->len < 1 || budgets->len > MUSE_BUDGETS_MAX)) muse_read_fail(&r, MUSE_ERR_FORMAT, "budgets", "is not a list of 1 to 8 numbers");
    for (const MuseJsonValue *b = r.rc == 0 ? budgets->u.first : NULL; b && r.rc == 0; b = b->next) {
        if (b->type != MUSE_JSON_INT || b->u.integer < 1 || b->u.integer > 65536 || (n > 0 && b->u.integer <= image->budgets[n - 1])) muse_read_fail(&r, MUSE_ERR_FORMAT, "budgets", "does not ascend from 1 to 65536");
        else image->budgets[n++] = (uint32_t)b->u.integer;
        found |= r.rc == 0 && image->budgets[n - 1] == image->budget;
    }
    if (r.rc == 0 && !found) muse_read_fail(&r, MUSE_ERR_FORMAT, "default_budget", "is not one of the budgets");
    image->live = r.rc == 0;
    outer->rc = r.rc;
}

static void read_muse_audio(MuseReader *outer, MuseConfig *c, const MuseJsonValue *v)
{
    MuseReader r = { .object = v, .where = "audio_config", .err = outer->err };
    muse_read_u32(&r, "mel_bins", 1, 256, &c->audio.mel_bins);
    muse_read_u32(&r, "stack", 1, 64, &c->audio.stack);
    c->audio.frame = c->audio.mel_bins * c->audio.stack;
    c->audio.live = r.rc == 0;
    outer->rc = r.rc;
}

/* time, row and column share the pairs of a head */
static void read_rope_pairs(MuseReader *r, MuseRope *rope)
{
    const MuseJsonValue *list = muse_json_get(r->object, "rope_pairs");
    uint32_t i = 0;
    if (r->rc == 0 && (!muse_json_is(list, MUSE_JSON_ARRAY) || list->len != 3)) muse_read_fail(r, MUSE_ERR_FORMAT, "rope_pairs", "is not a list of 3 numbers");
    for (const MuseJsonValue *v = r->rc == 0 ? list->u.first : NULL; v && r->rc == 0; v = v->next) {
        if (v->type != MUSE_JSON_INT || v->u.integer < 0 || v->u.integer > MUSE_HEAD_WIDTH_MAX) muse_read_fail(r, MUSE_ERR_FORMAT, "rope_pairs", "holds something else than small numbers");
        else rope->pairs += rope->axes[i++] = (uint32_t)v->u.integer;
    }
}

static void read_muse(MuseReader *r, MuseConfig *c, const MuseAllocator *a, const MuseLog *log)
{
    bool qk = false;
    MuseRope rope = { 0 };
    muse_read_same(r, "muse_version", 1);
    if (!muse_read_has(r, "muse_version")) muse_read_fail(r, MUSE_ERR_FORMAT, "muse_version", "is missing");
    read_geometry(r, c, a, true);
    if (muse_json_equal(muse_json_get(r->object, "hidden_act"), "relu2")) c->act = MUSE_ACT_RELU2;
    else muse_read_expect(r, "hidden_act", "silu", true);
    muse_read_f32(r, "rms_norm_eps", 1e-12, 0.1, &c->norm_eps);
    muse_read_bool(r, "qk_norm", &qk);
    c->qk_norm = qk ? MUSE_QKNORM_RMS : MUSE_QKNORM_NONE;
    muse_read_f64(r, "rope_theta", 1.0001, 1e12, &rope.base);
    read_rope_pairs(r, &rope);
    if (muse_read_has(r, "final_logit_softcapping")) muse_read_f32(r, "final_logit_softcapping", 1e-3, 1e6, &c->softcap);
    for (uint32_t n = 0; n < c->n_layers && r->rc == 0; n++) {
        c->layers[n].rope = rope;
        c->layers[n].rope.width = c->layers[n].head_width;
        if (rope.pairs != c->layers[n].head_width / 2) muse_read_fail(r, MUSE_ERR_FORMAT, "rope_pairs", "does not add up to half the head_dim");
    }
    read_tied(r, c);
    if (r->rc == 0 && c->tied == MUSE_BY_TENSOR) muse_read_fail(r, MUSE_ERR_FORMAT, "tie_word_embeddings", "is missing");
    read_ids(r, c);
    const MuseJsonValue *image = muse_read_object(r, "image_config"), *audio = muse_read_object(r, "audio_config");
    if (image && r->rc == 0) r->rc = muse_keys_check_json(image, MUSE_ARCH_MUSE, "image_config", log, r->err);
    if (image && r->rc == 0) read_muse_image(r, c, image);
    if (audio && r->rc == 0) r->rc = muse_keys_check_json(audio, MUSE_ARCH_MUSE, "audio_config", log, r->err);
    if (audio && r->rc == 0) read_muse_audio(r, c, audio);
}

/* ---- the file ---- */

static int find_arch(const MuseJsonValue *root, MuseArch *arch, MuseError *err)
{
    const MuseJsonValue *type = muse_json_get(root, "model_type");
    for (MuseArch i = 0; i < MUSE_ARCH_COUNT; i++)
        if (muse_json_equal(type, muse_arch_name(i))) {
            *arch = i;
            return 0;
        }
    *arch = MUSE_ARCH_GEMMA4;
    if (muse_json_equal(type, "gemma4_unified_text")) return 0;   /* a text-only export */
    if (!muse_json_is(type, MUSE_JSON_STRING)) return muse_fail(err, MUSE_ERR_FORMAT, "config.json: there is no model_type");
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "config.json: model_type \"%.*s\" is not supported (muse, gemma4_unified, llama, qwen2, qwen3 and fuyu are)",
                     type->len < 60 ? (int)type->len : 60, type->u.string);
}

int muse_config_from_json(MuseConfig *c, const MuseAllocator *a, const MuseLog *log, const void *bytes, size_t size, MuseError *err)
{
    *c = (MuseConfig){ 0 };
    MuseJson doc;
    MuseArch arch = MUSE_ARCH_MUSE;
    int rc = muse_json_parse(&doc, a, bytes, size, err);
    if (rc < 0) return muse_fail_prefix(err, rc, "config.json");
    if (!muse_json_is(doc.root, MUSE_JSON_OBJECT)) rc = muse_fail(err, MUSE_ERR_FORMAT, "config.json: not an object");
    if (rc == 0) rc = find_arch(doc.root, &arch, err);
    if (rc == 0) rc = muse_keys_check_json(doc.root, arch, "config.json", log, err);
    if (rc == 0) {
        muse_config_start(c, arch);
        MuseReader r = { .object = doc.root, .where = "config.json", .err = err };
        if (arch == MUSE_ARCH_GEMMA4) read_gemma(&r, c, a, log);
        else if (arch == MUSE_ARCH_FUYU) read_fuyu(&r, c, a, log);
        else if (arch == MUSE_ARCH_MUSE) read_muse(&r, c, a, log);
        else read_plain(&r, c, a);
        rc = r.rc;
        if (rc == 0 && (rc = muse_config_finish(c, err)) < 0) rc = muse_fail_prefix(err, rc, "config.json");
    }
    muse_json_close(&doc);
    return rc;
}
