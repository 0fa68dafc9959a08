/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF metadata to MuseConfig: text files of architectures llama, qwen2, qwen3, gemma4, and Gemma's projector file. Sources: Llama
 * spec 3, Gemma spec 8. What GGUF leaves to the tensors is marked MUSE_BY_TENSOR, or settled by bind.c. Called by model.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/model/config.h"
#include "libmuse/model/config_keys.h"

typedef struct Source {
    const MuseGguf *g;
    const char *arch;          /* prefix of the keys, without the dot */
    MuseError *err;
    int rc;                    /* 0 until the first error; then the readers below do nothing */
} Source;

enum { NAME_BYTES = 160, CONTEXT_MAX = 1 << 30 };

static const char *full_name(const Source *s, const char *key, char *name)
{
    snprintf(name, NAME_BYTES, "%s%s%s", s->arch, *s->arch ? "." : "", key);
    return name;
}

static bool has(const Source *s, const char *key)
{
    char name[NAME_BYTES];
    return muse_gguf_find(s->g, full_name(s, key, name)) != NULL;
}

static void missing(Source *s, const char *key)
{
    char name[NAME_BYTES];
    if (s->rc == 0) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" is missing", full_name(s, key, name));
}

static uint32_t whole(Source *s, const char *key, uint32_t low, uint32_t high)
{
    char name[NAME_BYTES];
    uint32_t value = low;
    if (!has(s, key)) missing(s, key);
    if (s->rc < 0) return low;
    s->rc = muse_gguf_u32(s->g, full_name(s, key, name), 0, &value, s->err);
    if (s->rc == 0 && (value < low || value > high)) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" is %u, not from %u to %u", name, value, low, high);
    return s->rc == 0 ? value : low;
}

static float part(Source *s, const char *key, double low, double high)
{
    char name[NAME_BYTES];
    float value = (float)low;
    if (!has(s, key)) missing(s, key);
    if (s->rc < 0) return (float)low;
    s->rc = muse_gguf_f32(s->g, full_name(s, key, name), 0, &value, s->err);
    if (s->rc == 0 && !((double)value >= low && (double)value <= high)) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" is %g, not from %g to %g", name, (double)value, low, high);
    return value;
}

static bool text_is(const char *text, size_t n, const char *want) { return text && strlen(want) == n && memcmp(text, want, n) == 0; }

/* ---- the vocabulary's part: sizes and ids ---- */

/* id of a token by its text, -1 if it is not there */
static int32_t find_token(const MuseGguf *g, const char *text)
{
    const MuseGgufKey *tokens = NULL;
    if (muse_gguf_array(g, "tokenizer.ggml.tokens", MUSE_GGUF_STRING, &tokens, NULL) < 0 || !tokens) return -1;
    size_t at = 0, n;
    const size_t n_text = strlen(text);
    for (uint64_t i = 0; i < tokens->count && i < MUSE_VOCAB_MAX; i++) {
        const char *token = muse_gguf_next_string(tokens, &at, &n);
        if (n == n_text && memcmp(token, text, n) == 0) return (int32_t)i;
    }
    return -1;
}

static void read_vocab(Source *s, MuseConfig *c)
{
    const MuseGgufKey *tokens = NULL;
    if (s->rc < 0) return;
    if (has(s, "vocab_size")) {
        c->vocab = whole(s, "vocab_size", 1, MUSE_VOCAB_MAX);
        return;
    }
    s->rc = muse_gguf_array(s->g, "tokenizer.ggml.tokens", MUSE_GGUF_STRING, &tokens, s->err);
    if (s->rc == 0 && (!tokens || tokens->count < 1 || tokens->count > MUSE_VOCAB_MAX)) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: neither vocab_size nor tokenizer.ggml.tokens gives the size of the vocabulary");
    if (s->rc == 0) c->vocab = (uint32_t)tokens->count;
}

static int32_t read_id(Source *s, const MuseConfig *c, const char *key)
{
    uint32_t id = UINT32_MAX;
    if (s->rc == 0 && muse_gguf_find(s->g, key)) s->rc = muse_gguf_u32(s->g, key, UINT32_MAX, &id, s->err);
    if (s->rc < 0 || id == UINT32_MAX) return -1;   /* writers store 2^32 - 1 for none */
    if (id < c->vocab) return (int32_t)id;
    s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" is %u, outside of a vocabulary of %u", key, id, c->vocab);
    return -1;
}

/* A GGUF file names one end token, where the publisher's generation_config has several; these are known by their texts
 * (Gemma spec 1.4 and pitfall 23, Llama spec 4). */
static const char *const stops[] = { "<eos>", "<turn|>", "<|tool_response>", "<|end_of_text|>", "<|eom_id|>", "<|eot_id|>", "<|im_end|>", "<|endoftext|>" };

bool muse_config_is_stop(const char *text, size_t n)
{
    bool stop = false;
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) stop |= text_is(text, n, stops[i]);
    return stop;
}

static void read_ids(Source *s, MuseConfig *c)
{
    static const char *const keys[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    c->bos = read_id(s, c, "tokenizer.ggml.bos_token_id");
    c->pad = read_id(s, c, "tokenizer.ggml.padding_token_id");
    for (size_t i = 0; i < sizeof keys / sizeof *keys && s->rc == 0; i++) {
        const int32_t id = read_id(s, c, keys[i]);
        if (id >= 0) s->rc = muse_ids_add(&c->eos, id, c->vocab, keys[i], s->err);
    }
    for (size_t i = 0; i < sizeof stops / sizeof *stops && s->rc == 0; i++) {
        const int32_t id = find_token(s->g, stops[i]);
        if (id >= 0) s->rc = muse_ids_add(&c->eos, id, c->vocab, stops[i], s->err);
    }
    const MuseGgufKey *list = NULL;
    if (s->rc == 0) s->rc = muse_gguf_array(s->g, "tokenizer.ggml.suppress_tokens", MUSE_GGUF_I32, &list, s->err);
    for (uint64_t i = 0; list && i < list->count && s->rc == 0; i++) s->rc = muse_ids_add(&c->suppress, muse_gguf_i32_at(list, (size_t)i), c->vocab, "suppress_tokens", s->err);
}

static void read_sampling(Source *s, MuseConfig *c)
{
    Source general = { s->g, "general.sampling", s->err, s->rc };
    static const char *const keys[] = { "temp", "top_k", "top_p", "min_p", "penalty_repeat" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) c->has_sampling |= has(&general, keys[i]);
    if (has(&general, "temp")) c->temperature = part(&general, "temp", 0, 100);
    if (has(&general, "top_k")) c->top_k = whole(&general, "top_k", 0, MUSE_VOCAB_MAX);
    if (has(&general, "top_p")) c->top_p = part(&general, "top_p", 0, 1);
    if (has(&general, "min_p")) c->min_p = part(&general, "min_p", 0, 1);
    if (has(&general, "penalty_repeat")) c->repetition = part(&general, "penalty_repeat", 0, 1e6);
    s->rc = general.rc;
}

/* ---- geometry ---- */

static void read_geometry(Source *s, MuseConfig *c, const MuseAllocator *a)
{
    char name[NAME_BYTES];
    c->n_layers = whole(s, "block_count", 1, MUSE_LAYERS_MAX);
    c->context = whole(s, "context_length", 1, CONTEXT_MAX);
    c->width = whole(s, "embedding_length", 1, MUSE_WIDTH_MAX);
    c->ffn = whole(s, "feed_forward_length", 1, MUSE_FFN_MAX);
    c->norm_eps = part(s, "attention.layer_norm_rms_epsilon", 1e-12, 0.1);
    read_vocab(s, c);
    bool causal = true;
    if (s->rc == 0) s->rc = muse_gguf_bool(s->g, full_name(s, "attention.causal", name), true, &causal, s->err);
    if (s->rc == 0 && !causal) s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: \"%s\" is false, which is not supported", name);
    const char *scaling;
    size_t n;
    if (s->rc == 0) s->rc = muse_gguf_string(s->g, full_name(s, "rope.scaling.type", name), &scaling, &n, s->err);
    if (s->rc == 0 && scaling && !text_is(scaling, n, "none") && !text_is(scaling, n, "linear"))   /* linear: its factor must be 1, see config_keys.c */
        s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: \"%s\" is \"%.*s\", which is not supported", name, n < 60 ? (int)n : 60, scaling);
    if (s->rc == 0) s->rc = muse_config_alloc_layers(c, a, s->err);
}

static void read_plain(Source *s, MuseConfig *c)
{
    const uint32_t heads = whole(s, "attention.head_count", 1, MUSE_HEADS_MAX), kv_heads = whole(s, "attention.head_count_kv", 1, MUSE_HEADS_MAX);
    MuseLayerConfig l = { .heads = heads, .kv_heads = kv_heads };
    if (has(s, "attention.key_length")) l.head_width = whole(s, "attention.key_length", 2, MUSE_HEAD_WIDTH_MAX);
    else if (s->rc == 0 && c->width % heads == 0) l.head_width = c->width / heads;   /* absent: the published meaning is an even share */
    if (has(s, "attention.value_length") && whole(s, "attention.value_length", 2, MUSE_HEAD_WIDTH_MAX) != l.head_width && s->rc == 0)
        s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: values of another width than keys are not supported");
    l.rope = (MuseRope){ .base = (double)part(s, "rope.freq_base", 1.0001, 1e12), .width = l.head_width, .pairs = l.head_width / 2 };
    if (has(s, "rope.dimension_count") && whole(s, "rope.dimension_count", 2, MUSE_HEAD_WIDTH_MAX) != l.head_width && s->rc == 0)
        s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: rotating only a part of each head is not supported for %s", s->arch);
    if (has(s, "attention.sliding_window") && whole(s, "attention.sliding_window", 0, UINT32_MAX) != 0 && s->rc == 0)
        s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: \"%s.attention.sliding_window\" is set, which is not supported", s->arch);
    if (s->rc < 0) return;
    if (l.head_width) l.scale = (float)(1 / sqrt((double)l.head_width));
    for (uint32_t n = 0; n < c->n_layers; n++) c->layers[n] = l;
}

/* one number for all layers, or an array with one for each */
static void read_per_layer(Source *s, const char *key, uint32_t n_layers, MuseConfig *c, bool kv)
{
    char name[NAME_BYTES];
    const MuseGgufKey *k = muse_gguf_find(s->g, full_name(s, key, name));
    const bool list = k && k->type == MUSE_GGUF_ARRAY;
    if (s->rc == 0 && list) s->rc = muse_gguf_array(s->g, name, MUSE_GGUF_I32, &k, s->err);
    if (s->rc == 0 && list && k->count != n_layers) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" lists %llu layers, not %u", name, (unsigned long long)k->count, n_layers);
    const uint32_t all = list ? 0 : whole(s, key, 1, MUSE_HEADS_MAX);
    for (uint32_t n = 0; n < n_layers && s->rc == 0; n++) {
        const int64_t value = list ? muse_gguf_i32_at(k, n) : (int64_t)all;
        if (value < 1 || value > MUSE_HEADS_MAX) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" is %lld for layer %u", name, (long long)value, n);
        else if (kv) c->layers[n].kv_heads = (uint32_t)value;
        else c->layers[n].heads = (uint32_t)value;
    }
}

static uint32_t head_width(Source *s, const char *key, const char *value, const char *rope)
{
    const uint32_t width = whole(s, key, 2, MUSE_HEAD_WIDTH_MAX);
    if (whole(s, value, 2, MUSE_HEAD_WIDTH_MAX) != width && s->rc == 0) s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: values of another width than keys are not supported");
    if (whole(s, rope, 2, MUSE_HEAD_WIDTH_MAX) != width && s->rc == 0) s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: \"%s.%s\" is not the width of a head", s->arch, rope);
    return width;
}

static void read_gemma(Source *s, MuseConfig *c)
{
    read_per_layer(s, "attention.head_count", c->n_layers, c, false);
    read_per_layer(s, "attention.head_count_kv", c->n_layers, c, true);
    const uint32_t window = whole(s, "attention.sliding_window", 1, CONTEXT_MAX);
    const uint32_t full = head_width(s, "attention.key_length", "attention.value_length", "rope.dimension_count");
    const uint32_t sliding = head_width(s, "attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa");
    const double base_full = (double)part(s, "rope.freq_base", 1.0001, 1e12), base_sliding = (double)part(s, "rope.freq_base_swa", 1.0001, 1e12);
    if (has(s, "final_logit_softcapping")) c->softcap = part(s, "final_logit_softcapping", 1e-3, 1e6);
    const MuseGgufKey *pattern = NULL;
    if (s->rc == 0) s->rc = muse_gguf_array(s->g, "gemma4.attention.sliding_window_pattern", MUSE_GGUF_BOOL, &pattern, s->err);
    if (s->rc == 0 && (!pattern || pattern->count != c->n_layers)) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: key \"gemma4.attention.sliding_window_pattern\" does not list each layer");
    for (uint32_t n = 0; n < c->n_layers && s->rc == 0; n++) {
        MuseLayerConfig *l = &c->layers[n];
        const bool is_full = pattern->data[n] == 0;
        l->head_width = is_full ? full : sliding;
        l->window = is_full ? 0 : window;
        l->k_eq_v = is_full ? MUSE_BY_TENSOR : MUSE_NO;
        l->scale = 1;
        l->rope = (MuseRope){ .base = is_full ? base_full : base_sliding, .width = l->head_width, .pairs = l->head_width / 2 };
    }
    c->image_begin = find_token(s->g, "<|image>");
    c->image_soft = find_token(s->g, "<|image|>");
    c->image_end = find_token(s->g, "<image|>");
    c->video_soft = find_token(s->g, "<|video|>");
    c->audio_begin = find_token(s->g, "<|audio>");
    c->audio_soft = find_token(s->g, "<|audio|>");
    c->audio_end = find_token(s->g, "<audio|>");
}

int muse_config_from_gguf(MuseConfig *c, const MuseAllocator *a, const MuseLog *log, const MuseGguf *g, MuseError *err)
{
    static const struct { const char *name; MuseArch arch; } archs[] = {
        { "llama", MUSE_ARCH_LLAMA }, { "qwen2", MUSE_ARCH_QWEN2 }, { "qwen3", MUSE_ARCH_QWEN3 }, { "gemma4", MUSE_ARCH_GEMMA4 },
    };
    *c = (MuseConfig){ 0 };
    const char *text;
    size_t n;
    int rc = muse_gguf_string(g, "general.architecture", &text, &n, err);
    if (rc < 0) return rc;
    if (!text) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: key \"general.architecture\" is missing");
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        if (!text_is(text, n, archs[i].name)) continue;
        char prefix[32];
        snprintf(prefix, sizeof prefix, "%s.", archs[i].name);
        rc = muse_keys_check_gguf(g, prefix, log, err);
        if (rc < 0) return rc;
        muse_config_start(c, archs[i].arch);
        Source s = { g, archs[i].name, err, 0 };
        read_geometry(&s, c, a);
        if (s.rc == 0 && c->arch == MUSE_ARCH_GEMMA4) read_gemma(&s, c);
        else if (s.rc == 0) read_plain(&s, c);
        read_ids(&s, c);
        read_sampling(&s, c);
        if (s.rc == 0 && (s.rc = muse_config_finish(c, err)) < 0) s.rc = muse_fail_prefix(err, s.rc, "GGUF");
        return s.rc;
    }
    if (text_is(text, n, "clip")) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: this is a projector file; give it beside the text model (--mmproj)");
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: architecture \"%.*s\" is not supported (gemma4, llama, qwen2 and qwen3 are)", n < 60 ? (int)n : 60, text);
}

/* ---- Gemma's projector file ---- */

static void expect_type(Source *s, const char *key, const char *want)
{
    const char *text;
    size_t n;
    if (s->rc == 0) s->rc = muse_gguf_string(s->g, key, &text, &n, s->err);
    if (s->rc < 0 || text_is(text, n, want)) return;
    s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: key \"%s\" is \"%.*s\"; only \"%s\" is supported", key, n < 60 ? (int)n : 60, text ? text : "", want);
}

/* image_mean 0 and image_std 1, where they are given */
static void expect_floats(Source *s, const char *key, float value)
{
    const MuseGgufKey *list = NULL;
    if (s->rc == 0) s->rc = muse_gguf_array(s->g, key, MUSE_GGUF_F32, &list, s->err);
    for (uint64_t i = 0; list && i < list->count && s->rc == 0; i++)
        if (muse_gguf_f32_at(list, (size_t)i) != value) s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: \"%s\" is not %g, as this family's pictures are made", key, (double)value);
}

static const MuseGgufTensor *find_tensor(Source *s, const char *name, uint32_t n_dims)
{
    const MuseGgufTensor *t = s->rc == 0 ? muse_gguf_tensor(s->g, name) : NULL;
    if (s->rc == 0 && !t) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: tensor \"%s\" is missing", name);
    else if (t && t->n_dims != n_dims) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: tensor \"%s\" has %u dimensions, not %u", name, t->n_dims, n_dims);
    return s->rc == 0 ? t : NULL;
}

static void read_mmproj_image(Source *s, MuseConfig *c)
{
    MuseImageConfig *v = &c->image;
    expect_type(s, "clip.vision.projector_type", "gemma4uv");
    const uint32_t patch = whole(s, "vision.patch_size", 1, 256);
    const uint32_t scale = has(s, "vision.projector.scale_factor") ? whole(s, "vision.projector.scale_factor", 1, 256) : 3;   /* Gemma spec 8.2 */
    v->unit = patch * scale;
    v->embed = whole(s, "vision.embedding_length", 1, MUSE_WIDTH_MAX);
    if (whole(s, "vision.projection_dim", 1, MUSE_WIDTH_MAX) != c->width && s->rc == 0) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: the projector makes rows of another width than the text model's %u", c->width);
    v->rms_eps = part(s, "vision.attention.layer_norm_epsilon", 1e-12, 0.1);
    v->norm_eps = 1e-5f;   /* fixed by code: Gemma spec 8.2 */
    expect_floats(s, "clip.vision.image_mean", 0);
    expect_floats(s, "clip.vision.image_std", 1);
    const MuseGgufTensor *table = find_tensor(s, "v.position_embd.weight", 3);
    if (!table) return;
    v->positions = table->dims[1] <= 1 << 20 ? (uint32_t)table->dims[1] : UINT32_MAX;
    /* no key gives the budget: the family's, if the position table can place it */
    const MuseImageRule *rule = &muse_family_find("gemma4_unified")->image;
    uint32_t n = 0;
    for (uint32_t i = 0; i < MUSE_BUDGETS_MAX && rule->budgets[i]; i++) {
        if (rule->budgets[i] > v->positions) continue;
        v->budgets[n++] = rule->budgets[i];
        if (rule->budgets[i] <= rule->budget) v->budget = rule->budgets[i];
    }
    if (n == 0) s->rc = muse_fail(s->err, MUSE_ERR_UNSUPPORTED, "GGUF: a position table of %u entries has room for no image budget", v->positions);
    v->live = s->rc == 0;
}

static void read_mmproj_audio(Source *s, MuseConfig *c)
{
    expect_type(s, "clip.audio.projector_type", "gemma4ua");
    if (whole(s, "audio.projection_dim", 1, MUSE_WIDTH_MAX) != c->width && s->rc == 0) s->rc = muse_fail(s->err, MUSE_ERR_FORMAT, "GGUF: the projector makes rows of another width than the text model's %u", c->width);
    c->audio.rms_eps = has(s, "audio.attention.layer_norm_epsilon") ? part(s, "audio.attention.layer_norm_epsilon", 1e-12, 0.1) : 1e-6f;   /* Gemma spec 1.3 */
    const MuseGgufTensor *t = find_tensor(s, "mm.a.input_projection.weight", 2);   /* the keys may say 128 mel bins: Gemma spec 8.2 */
    if (!t) return;
    c->audio.frame = t->dims[0] <= 1 << 14 ? (uint32_t)t->dims[0] : UINT32_MAX;
    c->audio.live = true;
}

int muse_config_add_mmproj(MuseConfig *c, const MuseGguf *g, MuseError *err)
{
    Source s = { g, "clip", err, 0 };
    const char *text;
    size_t n;
    bool vision = false, audio = false;
    if (c->arch != MUSE_ARCH_GEMMA4) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "family %s takes no projector file", muse_arch_name(c->arch));
    s.rc = muse_gguf_string(g, "general.architecture", &text, &n, err);
    if (s.rc == 0 && !text_is(text, n, "clip")) s.rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: not a projector file: its architecture is \"%.*s\"", n < 60 ? (int)n : 60, text ? text : "");
    if (s.rc == 0) s.rc = muse_gguf_bool(g, "clip.has_vision_encoder", false, &vision, err);
    if (s.rc == 0) s.rc = muse_gguf_bool(g, "clip.has_audio_encoder", false, &audio, err);
    if (s.rc == 0 && !vision && !audio) s.rc = muse_fail(err, MUSE_ERR_FORMAT, "GGUF: a projector file for neither pictures nor sound");
    if (s.rc == 0 && vision) read_mmproj_image(&s, c);
    if (s.rc == 0 && audio) read_mmproj_audio(&s, c);
    return s.rc < 0 ? s.rc : muse_config_finish(c, err);
}
