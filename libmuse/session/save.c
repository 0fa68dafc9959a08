/* SPDX-License-Identifier: Apache-2.0 */
/* A session into a file, section by section: each is run through once to count its bytes and once to write them, so that nothing
 * but a page is ever held. load.c reads it. */
#include <string.h>

#include "base/outfile.h"
#include "libmuse/session/saved.h"
#include "tokenizers/audio/audio.h"
#include "tokenizers/image/picture.h"

enum { BUFFER = 1 << 16 };

typedef struct Original {
    const void *original;      /* MuseImage (a root) or MuseAudio */
    bool        holds;         /* a picture: muse_saved_holds() */
} Original;

typedef struct Writer {
    const MuseSession *s;
    MuseOutFile file;
    MuseError  *err;
    int         rc;            /* the first error; nothing is done after it */
    bool        counting;
    uint64_t    count;
    MuseHash    hash;
    Original   *kept;          /* [n_kept], each once */
    size_t      n_kept, used;
    uint8_t    *page;          /* one of the largest class */
    uint8_t     buffer[BUFFER];
} Writer;

static void flush(Writer *w)
{
    if (w->rc == 0) w->rc = muse_outfile_write(&w->file, w->buffer, w->used, w->err);
    w->used = 0;
}

static void put_raw(Writer *w, const void *bytes, size_t n)
{
    if (w->used + n > BUFFER) flush(w);
    if (n <= BUFFER) {
        if (n) memcpy(w->buffer + w->used, bytes, n);
        w->used += n;
    } else if (w->rc == 0) {
        w->rc = muse_outfile_write(&w->file, bytes, n, w->err);
    }
}

static void put(Writer *w, const void *bytes, size_t n)
{
    w->count += n;
    if (w->counting || w->rc < 0) return;
    muse_hash_add(&w->hash, bytes, n);
    put_raw(w, bytes, n);
}

static void put_number(Writer *w, uint64_t v, unsigned n)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < n; i++) bytes[i] = (uint8_t)(v >> (8 * i));
    put(w, bytes, n);
}

static void put_u32(Writer *w, uint32_t v) { put_number(w, v, 4); }
static void put_u64(Writer *w, uint64_t v) { put_number(w, v, 8); }

typedef void Section(Writer *w);

static void put_section(Writer *w, const char *tag, Section *fn)
{
    uint8_t hash[MUSE_HASH_BYTES];
    w->counting = true;
    w->count = 0;
    fn(w);
    const uint64_t bytes = w->count;
    w->counting = false;
    muse_saved_hash_init(&w->hash);
    put(w, tag, 4);
    put_u64(w, bytes);
    fn(w);
    muse_hash_done(&w->hash, hash);
    put_raw(w, hash, sizeof hash);
}

/* ---- model and mode ---- */

void muse_saved_hash_init(MuseHash *h) { muse_hash_init(h, "saved session"); }

bool muse_saved_byte_order(void)
{
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 1;
}

static void hash_numbers(MuseHash *h, const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) muse_hash_add_f64(h, v[i]);
}

static void hash_geometry(MuseHash *h, const MuseConfig *c)
{
    const double all[] = { c->arch, c->width, c->ffn, c->vocab, c->n_layers, c->norm, (double)c->norm_eps, c->act, c->qk_norm, c->v_norm, c->sandwich, c->layer_scalar,
                           c->fused_qkv, c->qkv_bias, c->bias, (double)c->embed_scale, (double)c->softcap, c->tied, c->image.live, c->image.unit, c->image.embed,
                           c->image.mlp, c->image.positions, (double)c->image.norm_eps, (double)c->image.rms_eps, c->audio.live, c->audio.frame, c->audio.mel_bins,
                           c->audio.stack, (double)c->audio.rms_eps };
    hash_numbers(h, all, sizeof all / sizeof *all);
    if (c->image.levels) hash_numbers(h, (double[]){ 1 }, 1);   /* files without it keep their hash */
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const MuseLayerConfig *l = &c->layers[i];
        const MuseRope *r = &l->rope;
        const double layer[] = { l->heads, l->kv_heads, l->head_width, l->window, l->k_eq_v, (double)l->scale, r->base, r->width, r->pairs, r->axes[0], r->axes[1],
                                 r->axes[2], r->factor, r->low_freq, r->high_freq, r->original_positions, r->divisors != NULL };
        hash_numbers(h, layer, sizeof layer / sizeof *layer);
    }
}

void muse_model_fingerprint(const MuseModel *m, uint8_t out[MUSE_HASH_BYTES])
{
    enum { SAMPLES = 4, BYTES = 64 };   /* of a tensor: first, last and between */
    MuseHash h;
    muse_hash_init(&h, "model");
    hash_geometry(&h, &m->config);
    for (size_t f = 0; f < m->n_files; f++)
        for (size_t i = 0; i < m->files[f].tensors.n; i++) {
            const MuseTensor *t = &m->files[f].tensors.items[i];
            muse_hash_add(&h, t->name, strlen(t->name) + 1);
            muse_hash_add_u64(&h, t->type);
            muse_hash_add_u64(&h, t->bytes);
            const size_t n = t->bytes < BYTES ? (size_t)t->bytes : BYTES;
            for (size_t k = 0; k < SAMPLES; k++) muse_hash_add(&h, t->data + (t->bytes - n) / (SAMPLES - 1) * k, n);
        }
    muse_hash_done(&h, out);
}

static void put_head(Writer *w)
{
    const MuseSession *s = w->s;
    static const uint32_t masks[] = { [MUSE_MASK_CAUSAL] = MUSE_IMAGE_MASK_CAUSAL, [MUSE_MASK_A] = MUSE_IMAGE_MASK_A, [MUSE_MASK_B] = MUSE_IMAGE_MASK_B };
    const char *family = s->model->family.name;
    uint8_t hash[MUSE_HASH_BYTES] = { 0 };
    put_u32(w, (uint32_t)strlen(family));
    put(w, family, strlen(family));
    if (!w->counting) muse_model_fingerprint(s->model, hash);
    put(w, hash, sizeof hash);
    put_u32(w, s->params.compute);
    put_u32(w, s->params.kv);
    put_u32(w, masks[s->mask]);
    put_u32(w, s->has_logits);
    put_u64(w, s->seq->length);
    put_u64(w, s->kv.length);
    put_u64(w, w->n_kept);
    put_u64(w, s->seq->n_spans);
    if (!w->counting) muse_sequence_hash(s->seq, s->seq->length, hash);
    put(w, hash, sizeof hash);
}

/* ---- originals ---- */

static const void *original_of(const MuseSpan *span) { return span->image ? (const void *)muse_picture_root(span->image) : span->audio; }

static uint32_t number_of(const Writer *w, const void *original)
{
    uint32_t i = 0;
    while (w->kept[i].original != original) i++;   /* it is there: list_kept() */
    return i;
}

bool muse_saved_holds(const MuseImage *root, uint64_t *held)
{
    const uint64_t bytes = (uint64_t)root->head.width * root->head.height * root->head.samples;
    if (bytes > MUSE_SAVED_HELD_BYTES - *held) return false;
    *held += bytes;
    return true;
}

uint64_t muse_saved_cost(const MuseImage *root, bool holds, uint64_t cut, bool first)
{
    const uint64_t all = (uint64_t)root->head.width * root->head.height;
    return !holds ? all : first ? all + cut : cut;
}

/* What restoring would refuse, by the default limits of MuseImageParams and MuseAudioParams, is refused here. */
static int check_original(const MuseSpan *span, size_t k, MuseError *err)
{
    const MuseImage *root = span->image ? muse_picture_root(span->image) : NULL;
    const bool file = root && !muse_image_store(root).is_pixels;
    if (root && ((uint64_t)root->head.width * root->head.height > UINT64_C(1) << 28 || (file && root->source.size > UINT64_C(1) << 30)))
        return muse_fail(err, MUSE_ERR_LIMIT, "part %zu: a picture of %u x %u pixels is over what a saved session may hold", k, root->head.width, root->head.height);
    if (span->audio && (span->audio->info.seconds > 4 * 3600.0 || span->audio->size > UINT64_C(1) << 31))
        return muse_fail(err, MUSE_ERR_LIMIT, "part %zu: a sound of %.0f seconds and %zu bytes is over what a saved session may hold", k, span->audio->info.seconds, span->audio->size);
    return 0;
}

static int list_kept(Writer *w)
{
    const MuseSequence *seq = w->s->seq;
    uint64_t pixels = 0, held = 0;
    w->kept = muse_alloc_array(&seq->rt->alloc, seq->n_spans + 1, sizeof *w->kept);
    if (!w->kept) return MUSE_NOMEM(w->err, (seq->n_spans + 1) * sizeof *w->kept);
    for (size_t k = 0; k < seq->n_spans; k++) {
        const MuseSpan *span = &seq->spans[k];
        if (span->info.is_placeholder) return muse_fail(w->err, MUSE_ERR_STATE, "part %zu is a placeholder: it has nothing to save", k);
        const int rc = check_original(span, k, w->err);
        if (rc < 0) return rc;
        const void *original = original_of(span);
        if (!original) continue;
        w->kept[w->n_kept].original = original;
        const uint32_t number = number_of(w, original);
        const bool first = number == w->n_kept;
        if (first && span->image) w->kept[number].holds = muse_saved_holds(original, &held);
        w->n_kept += first;
        if (span->image) pixels += muse_saved_cost(original, w->kept[number].holds, (uint64_t)span->image->seen.width * span->image->seen.height, first);
        if (pixels > MUSE_SAVED_PIXELS_MAX) return muse_fail(w->err, MUSE_ERR_LIMIT, "part %zu: restoring would decode over %llu pixels", k, (unsigned long long)MUSE_SAVED_PIXELS_MAX);
    }
    return 0;
}

static void put_picture(Writer *w, const MuseImage *image)
{
    const MuseStoredImage st = muse_image_store(image);
    const MusePictureHead *h = &st.head;
    const uint32_t numbers[] = { st.is_pixels ? MUSE_KEPT_PIXELS : MUSE_KEPT_FILE, h->width, h->height, h->orientation, h->bits, h->channels, (uint32_t)h->has_alpha,
                                 (uint32_t)h->is_cmyk, h->samples, st.format };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put_u32(w, numbers[i]);
    put_u64(w, st.size);
    if (!st.is_pixels) {
        put(w, st.bytes, st.size);
        return;
    }
    for (size_t y = 0; y < h->height; y++) put(w, st.bytes + y * st.stride, (size_t)h->width * h->samples);
}

static void put_sound(Writer *w, const MuseAudio *a)
{
    put_u32(w, a->pcm_type == 0 ? MUSE_KEPT_SOUND : a->pcm_type == MUSE_PCM_S16 ? MUSE_KEPT_PCM_S16 : MUSE_KEPT_PCM_F32);
    put_u32(w, a->info.rate);
    put_u32(w, a->info.channels);
    put_u64(w, a->info.n_samples);
    put_u64(w, a->size);
    put(w, a->bytes, a->size);
}

static void put_kept(Writer *w)
{
    const MuseSequence *seq = w->s->seq;
    for (size_t i = 0, k = 0; i < w->n_kept; i++) {
        while (original_of(&seq->spans[k]) != w->kept[i].original) k++;   /* they were listed in the order of the spans */
        if (seq->spans[k].image) put_picture(w, seq->spans[k].image);
        else put_sound(w, seq->spans[k].audio);
    }
}

/* ---- spans ---- */

static void put_text(Writer *w, const MuseSpan *span)
{
    put_u32(w, (uint32_t)span->begin_id);
    put_u32(w, (span->from_text ? MUSE_SPAN_FROM_TEXT : 0u) | (span->grows ? MUSE_SPAN_GROWS : 0u));
    put_u64(w, span->n_ids);
    put(w, span->ids, span->n_ids * sizeof *span->ids);
}

static void put_span(Writer *w, const MuseSpan *span)
{
    uint8_t hash[MUSE_HASH_BYTES];
    memcpy(hash, span->info.hash, sizeof hash);
    if (span->grows) muse_span_hash_ids(span, hash);
    put_u32(w, (uint32_t)span->info.modality);
    put(w, hash, sizeof hash);
    if (span->info.modality == MUSE_TEXT) {
        put_text(w, span);
    } else if (span->info.modality == MUSE_ROWS) {
        put_u64(w, span->info.n_features);
        put_u64(w, span->info.feature_width);
        put(w, span->rows, span->info.n_features * span->info.feature_width * sizeof *span->rows);
    } else {
        put_u32(w, number_of(w, original_of(span)));
        if (!span->image) return;
        const MuseWindow *seen = &span->image->seen;
        const uint32_t numbers[] = { span->info.image.budget, seen->x, seen->y, seen->width, seen->height };
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put_u32(w, numbers[i]);
    }
}

static void put_spans(Writer *w)
{
    for (size_t k = 0; k < w->s->seq->n_spans; k++) put_span(w, &w->s->seq->spans[k]);
}

/* ---- keys, values, logits ---- */

static void put_pages(Writer *w)
{
    const MuseKv *kv = &w->s->kv;
    const MuseKvLayout *layout = muse_kv_layout(kv->pool);
    const size_t end = (kv->length + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;   /* not what is reserved */
    put_u32(w, layout->n_classes);
    for (uint32_t c = 0; c < layout->n_classes; c++) {
        put_u32(w, layout->window[c]);
        put_u64(w, layout->page_bytes[c]);
        put_u64(w, kv->length ? kv->first[c] : 0);
    }
    for (uint32_t c = 0; c < layout->n_classes; c++)
        for (size_t i = kv->first[c]; i < end; i++) {
            const bool whole = (i + 1) * MUSE_KV_PAGE <= kv->length;
            if (!whole && !w->counting) muse_kv_read_page(kv, c, i, w->page);
            put(w, whole ? kv->pages[c][i] : w->page, layout->page_bytes[c]);
        }
}

static void put_last(Writer *w)
{
    if (w->s->has_logits) put(w, w->s->logits, w->s->model->config.vocab * sizeof *w->s->logits);
}

/* ---- the file ---- */

static int alloc_page(Writer *w)
{
    const MuseKvLayout *layout = muse_kv_layout(w->s->kv.pool);
    size_t most = 0;
    for (uint32_t c = 0; c < layout->n_classes; c++)
        if (layout->page_bytes[c] > most) most = layout->page_bytes[c];
    w->page = muse_alloc(&w->s->model->rt->alloc, most);
    return w->page ? 0 : MUSE_NOMEM(w->err, most);
}

static void put_all(Writer *w)
{
    const uint8_t version[4] = { MUSE_SAVED_VERSION };
    put_raw(w, MUSE_SAVED_MAGIC, 8);
    put_raw(w, version, sizeof version);
    put_section(w, MUSE_SAVED_HEAD, put_head);
    put_section(w, MUSE_SAVED_KEPT, put_kept);
    put_section(w, MUSE_SAVED_SPAN, put_spans);
    put_section(w, MUSE_SAVED_PAGE, put_pages);
    put_section(w, MUSE_SAVED_LAST, put_last);
    flush(w);
}

int muse_session_save(MuseSession *s, const char *path, MuseError *err)
{
    MUSE_REQUIRE(err, s && path);
    if (!muse_saved_byte_order()) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "sessions are saved on little-endian machines only");
    muse_session_sync(s);
    Writer *w = muse_zalloc(&s->model->rt->alloc, sizeof *w);
    if (!w) return MUSE_NOMEM(err, sizeof *w);
    w->s = s;
    w->err = err;
    w->rc = list_kept(w);
    if (w->rc == 0) w->rc = alloc_page(w);
    if (w->rc == 0) w->rc = muse_outfile_open(&w->file, &s->model->rt->alloc, path, err);
    w->file.sync = true;
    if (w->rc == 0) put_all(w);
    if (w->rc == 0) w->rc = muse_outfile_commit(&w->file, err);
    if (w->rc == 0) w->rc = muse_outfile_sync_name(&w->file, err);
    const int rc = w->rc;
    muse_outfile_close(&w->file);
    muse_free(w->kept);
    muse_free(w->page);
    muse_free(w);
    return rc;
}
