/* SPDX-License-Identifier: Apache-2.0 */
/* What an open model says about itself: counts, types, tensors, the family's rules with its numbers. */
#include <string.h>

#include "libmuse/model/model.h"

/* ---- family ---- */

static void set_marker(MuseMarker *marker, int32_t id)
{
    if (marker->text) marker->id = id;   /* -1 where the file names none: a tokenizer then decides */
}

void muse_family_from_config(MuseFamily *family, const MuseConfig *c)
{
    *family = *muse_family_find(muse_arch_name(c->arch));   /* every arch has one: test_model.c */
    if (!c->image.live) {
        family->image = (MuseImageRule){ .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_NONE };
    } else {
        family->image.unit = c->image.unit;
        if (family->image.kind != MUSE_IMAGE_FIT) {
            memcpy(family->image.budgets, c->image.budgets, sizeof family->image.budgets);
            family->image.budget = c->image.budget;
        }
        if (family->image.kind == MUSE_IMAGE_FILL_EXACT) family->image.max_width = family->image.max_height = c->image.positions * c->image.unit;   /* beyond its places it knows none */
    }
    if (!c->audio.live) {
        family->audio = (MuseAudioRule){ .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_NONE };
    } else if (family->audio.kind == MUSE_AUDIO_RAW) {
        family->audio.frame_samples = c->audio.frame;
    } else {
        family->audio.mel_bins = c->audio.mel_bins;
        family->audio.stack = c->audio.stack;
    }
    if (c->arch == MUSE_ARCH_FUYU) {   /* its config names one id, the others are fixed by the published tokenizer */
        if (c->image_soft >= 0) family->image_soft.id = c->image_soft;
        return;
    }
    set_marker(&family->image_begin, c->image_begin);
    set_marker(&family->image_soft, c->image_soft);
    set_marker(&family->image_end, c->image_end);
    set_marker(&family->audio_begin, c->audio_begin);
    set_marker(&family->audio_soft, c->audio_soft);
    set_marker(&family->audio_end, c->audio_end);
}

/* ---- counts ---- */

int muse_model_info(const MuseModel *model, MuseModelInfo *out)
{
    if (!model || !out) return MUSE_ERR_ARG;
    const MuseConfig *c = &model->config;
    const MuseLayerConfig *first = &c->layers[0];
    *out = (MuseModelInfo){
        .family = muse_arch_name(c->arch), .format = model->files[0].format == MUSE_WEIGHTS_GGUF ? "gguf" : "safetensors",
        .takes_images = c->image.live, .takes_audio = c->audio.live, .n_layers = c->n_layers, .width = c->width, .ffn = c->ffn, .vocab = c->vocab,
        .heads = first->heads, .kv_heads = first->kv_heads, .head_width = first->head_width, .tied = c->tied == MUSE_YES, .context_limit = c->context,
        .n_parameters = model->weights.n_parameters, .weights_bytes = model->weights.bytes, .n_tensors = model->weights.n_bound, .n_unused = model->weights.n_unused,
        .bos = c->bos, .pad = c->pad, .eos = c->eos.ids, .n_eos = c->eos.n, .suppressed = c->suppress.ids, .n_suppressed = c->suppress.n,
        .temperature = c->temperature, .top_p = c->top_p, .top_k = c->top_k, .min_p = c->min_p, .repetition = c->repetition,
    };
    for (uint32_t n = 0; n < c->n_layers; n++) {
        out->n_windowed += c->layers[n].window > 0;
        if (c->layers[n].window > 0) out->window = c->layers[n].window;
    }
    for (size_t f = 0; f < model->n_files; f++) {
        out->file_bytes += model->files[f].file_bytes;
        out->n_files += model->files[f].n_parts;
    }
    return 0;
}

int muse_model_type(const MuseModel *model, size_t i, MuseModelType *out)
{
    if (!model || !out) return MUSE_ERR_ARG;
    MuseModelType sums[MUSE_TENSOR_TYPES_MAX] = { { 0 } };
    for (size_t f = 0; f < model->n_files; f++)
        for (size_t k = 0; k < model->files[f].tensors.n; k++) {
            const MuseTensor *t = &model->files[f].tensors.items[k];
            MuseModelType *sum = &sums[t->type];
            uint64_t values = 0;
            muse_tensor_values(t, &values);
            sum->name = muse_tensor_type(t->type)->name;
            sum->n_tensors++;
            sum->n_values += values;
            sum->bytes += t->bytes;
        }
    for (;; i--) {   /* take the largest away until number i is the largest */
        MuseModelType *best = NULL;
        for (size_t k = 0; k < MUSE_TENSOR_TYPES_MAX; k++)
            if (sums[k].name && (!best || sums[k].bytes > best->bytes)) best = &sums[k];
        if (!best) return MUSE_ERR_NOT_FOUND;
        *out = *best;
        if (i == 0) return 0;
        best->name = NULL;
    }
}

size_t muse_model_tensor_count(const MuseModel *model)
{
    size_t n = 0;
    for (size_t f = 0; model && f < model->n_files; f++) n += model->files[f].tensors.n;
    return n;
}

int muse_model_tensor(const MuseModel *model, size_t i, MuseTensorInfo *out)
{
    if (!model || !out) return MUSE_ERR_ARG;
    for (size_t f = 0; f < model->n_files; f++) {
        const MuseWeightFile *w = &model->files[f];
        if (i >= w->tensors.n) {
            i -= w->tensors.n;
            continue;
        }
        const MuseTensor *t = &w->tensors.items[i];
        *out = (MuseTensorInfo){ .name = t->name, .type = muse_tensor_type(t->type)->name, .file = w->parts ? w->parts[t->part].path : model->path, .rank = t->rank, .bytes = t->bytes };
        memcpy(out->shape, t->shape, sizeof out->shape);
        return 0;
    }
    return MUSE_ERR_ARG;
}
