/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for a configuration from either source: what families fix by code, ranges, ids. Called by the two readers. */
#include "libmuse/model/config.h"

#include <math.h>
#include <string.h>

static const char *const names[MUSE_ARCH_COUNT] = { "muse", "gemma4_unified", "llama", "qwen2", "qwen3", "fuyu" };

const char *muse_arch_name(MuseArch arch) { return arch < MUSE_ARCH_COUNT ? names[arch] : "?"; }

/* Sources: Gemma spec 1.2 "fixed by code", Llama spec 1, Fuyu spec 2; muse: docs/FORMATS.md. */
void muse_config_start(MuseConfig *c, MuseArch arch)
{
    const bool gemma = arch == MUSE_ARCH_GEMMA4, fuyu = arch == MUSE_ARCH_FUYU;
    *c = (MuseConfig){
        .arch = arch,
        .norm = fuyu ? MUSE_LAYERNORM : MUSE_RMSNORM,
        .act = gemma ? MUSE_ACT_GELU_TANH_GATED : fuyu ? MUSE_ACT_RELU2 : MUSE_ACT_SILU_GATED,
        .qk_norm = gemma || arch == MUSE_ARCH_QWEN3 ? MUSE_QKNORM_RMS : fuyu ? MUSE_QKNORM_LAYER : MUSE_QKNORM_NONE,
        .v_norm = gemma, .sandwich = gemma, .layer_scalar = gemma, .fused_qkv = fuyu,
        .qkv_bias = arch == MUSE_ARCH_QWEN2 || fuyu, .bias = fuyu,
        .embed_scale = 1, .tied = MUSE_BY_TENSOR,
        .image_mask = gemma ? MUSE_MASK_A : arch == MUSE_ARCH_MUSE ? MUSE_MASK_B : MUSE_MASK_CAUSAL,
        .bos = -1, .pad = -1, .image_begin = -1, .image_soft = -1, .image_end = -1, .image_row_end = -1, .video_soft = -1,
        .audio_begin = -1, .audio_soft = -1, .audio_end = -1,
    };
}

int muse_config_alloc_layers(MuseConfig *c, const MuseAllocator *a, MuseError *err)
{
    c->layers = muse_zalloc_array(a, c->n_layers, sizeof *c->layers);
    return c->layers ? 0 : MUSE_NOMEM(err, c->n_layers * sizeof *c->layers);
}

void muse_config_clear(MuseConfig *c)
{
    muse_free(c->layers);
    *c = (MuseConfig){ 0 };
}

int muse_ids_add(MuseIds *list, int64_t id, uint32_t vocab, const char *what, MuseError *err)
{
    if (id < 0 || id >= (int64_t)vocab) return muse_fail(err, MUSE_ERR_FORMAT, "%s: id %lld is not in a vocabulary of %u", what, (long long)id, vocab);
    for (uint32_t i = 0; i < list->n; i++)
        if (list->ids[i] == id) return 0;
    if (list->n == MUSE_IDS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "%s: more than %d ids", what, MUSE_IDS_MAX);
    list->ids[list->n++] = (int32_t)id;
    return 0;
}

static int check_rope(const MuseRope *r, uint32_t head_width, uint32_t layer, MuseError *err)
{
    if (!(r->base > 1 && r->base < 1e12)) return muse_fail(err, MUSE_ERR_FORMAT, "layer %u: a RoPE base of %g", layer, r->base);
    if (r->width < 2 || r->width % 2 || r->width > head_width || r->pairs > r->width / 2)
        return muse_fail(err, MUSE_ERR_FORMAT, "layer %u: %u rotating pairs in %u of %u values of a head", layer, r->pairs, r->width, head_width);
    if (r->factor == 0) return 0;
    if (!(r->factor >= 1 && r->factor < 1e6 && r->low_freq > 0 && r->high_freq > r->low_freq && r->high_freq < 1e6 && r->original_positions > 0))
        return muse_fail(err, MUSE_ERR_FORMAT, "layer %u: llama3 RoPE scaling by %g between %g and %g of %u positions", layer, r->factor, r->low_freq, r->high_freq, r->original_positions);
    return 0;
}

static int check_layer(const MuseConfig *c, uint32_t n, MuseError *err)
{
    const MuseLayerConfig *l = &c->layers[n];
    if (l->heads < 1 || l->heads > MUSE_HEADS_MAX || l->kv_heads < 1 || l->heads % l->kv_heads)
        return muse_fail(err, MUSE_ERR_FORMAT, "layer %u: %u query heads on %u key/value heads", n, l->heads, l->kv_heads);
    if (l->head_width < 2 || l->head_width > MUSE_HEAD_WIDTH_MAX || l->head_width % 2)
        return muse_fail(err, MUSE_ERR_FORMAT, "layer %u: heads of %u values", n, l->head_width);
    if (c->fused_qkv && l->heads != l->kv_heads) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "layer %u: fused query_key_value with %u key/value heads for %u", n, l->kv_heads, l->heads);
    return check_rope(&l->rope, l->head_width, n, err);
}

static int check_image(const MuseConfig *c, MuseError *err)
{
    const MuseImageConfig *v = &c->image;
    if (v->unit < 1 || v->unit > 256) return muse_fail(err, MUSE_ERR_FORMAT, "patches of %u x %u pixels", v->unit, v->unit);
    if (v->embed < 1 || v->embed > MUSE_WIDTH_MAX || v->mlp > MUSE_FFN_MAX || v->positions > 1 << 20)
        return muse_fail(err, MUSE_ERR_FORMAT, "patches become %u values by way of %u, on %u positions", v->embed, v->mlp, v->positions);
    return 0;
}

/* ids of the media that are live must be in the vocabulary */
static int check_ids(const MuseConfig *c, MuseError *err)
{
    const struct { const char *name; int32_t id; } ids[] = {
        { "bos", c->bos }, { "pad", c->pad }, { "image begin", c->image_begin }, { "image", c->image_soft }, { "image end", c->image_end },
        { "image row end", c->image_row_end }, { "video", c->video_soft }, { "audio begin", c->audio_begin }, { "audio", c->audio_soft }, { "audio end", c->audio_end },
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id < -1 || ids[i].id >= (int64_t)c->vocab)
            return muse_fail(err, MUSE_ERR_FORMAT, "the %s token is %d, outside of a vocabulary of %u", ids[i].name, ids[i].id, c->vocab);
    return 0;
}

/* Gemma spec 2.8: the closing markers' rows have inflated norms and must never be sampled, whatever the files list. */
static int suppress_markers(MuseConfig *c, MuseError *err)
{
    int rc = 0;
    if (c->arch == MUSE_ARCH_GEMMA4 && c->image_end >= 0) rc = muse_ids_add(&c->suppress, c->image_end, c->vocab, "suppressed ids", err);
    if (rc == 0 && c->arch == MUSE_ARCH_GEMMA4 && c->audio_end >= 0) rc = muse_ids_add(&c->suppress, c->audio_end, c->vocab, "suppressed ids", err);
    return rc;
}

int muse_config_finish(MuseConfig *c, MuseError *err)
{
    if (c->width < 1 || c->width > MUSE_WIDTH_MAX || c->ffn < 1 || c->ffn > MUSE_FFN_MAX || c->vocab < 1 || c->vocab > MUSE_VOCAB_MAX || c->context < 1)
        return muse_fail(err, MUSE_ERR_FORMAT, "a model of width %u, MLP %u, %u tokens, %u positions", c->width, c->ffn, c->vocab, c->context);
    if (!(c->norm_eps > 0 && c->norm_eps < 1)) return muse_fail(err, MUSE_ERR_FORMAT, "a norm epsilon of %g", (double)c->norm_eps);
    if (!(c->softcap >= 0 && c->softcap < 1e6f)) return muse_fail(err, MUSE_ERR_FORMAT, "a soft-cap of %g", (double)c->softcap);
    if (c->arch == MUSE_ARCH_GEMMA4) c->embed_scale = sqrtf((float)c->width);
    int rc = 0;
    for (uint32_t n = 0; n < c->n_layers && rc == 0; n++) rc = check_layer(c, n, err);
    if (rc == 0 && c->image.live) rc = check_image(c, err);
    if (rc == 0 && c->audio.live && (c->audio.frame < 1 || c->audio.frame > 1 << 14)) rc = muse_fail(err, MUSE_ERR_FORMAT, "audio frames of %u values", c->audio.frame);
    if (rc == 0) rc = check_ids(c, err);
    return rc < 0 ? rc : suppress_markers(c, err);
}
