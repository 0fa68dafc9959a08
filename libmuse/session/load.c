/* SPDX-License-Identifier: Apache-2.0 */
/* A session out of a file of save.c. The file is hostile: a section's hash is checked before it is read, every number before it
 * sizes anything; pictures and sounds go through their tokenizers again and must give the features that were hashed. What keys and
 * values hold can't be checked, so they never reach a shared prefix cache (MuseSession.foreign). */
#include <string.h>

#include "base/params.h"
#include "libmuse/session/saved.h"
#include "tokenizers/audio/audio.h"
#include "tokenizers/image/picture.h"

/* One original; one of the two, or none yet */
typedef struct Kept {
    MuseImage *image;
    MuseAudio *audio;
    uint64_t   uses;                  /* spans of the picture that are still to be read */
    bool       holds;                 /* its pixels may be held */
    MuseHeldPicture held;
} Kept;

typedef struct Loader {
    MuseModel   *model;
    MuseSession *s;
    MuseBytes    file;
    MuseError   *err;
    uint32_t compute, kv, mask;
    bool     has_logits;
    uint64_t length, computed, n_spans;
    uint8_t  hash[MUSE_HASH_BYTES];   /* of the sequence */
    Kept    *kept;                    /* [n_kept] */
    uint64_t n_kept;
} Loader;

static int damaged(const Loader *l, const char *what) { return muse_fail(l->err, MUSE_ERR_FORMAT, "damaged: %s", what); }

/* ---- sections ---- */

/* The next section, which must be this one and whole. */
static int open_section(Loader *l, const char *tag, MuseBytes *out)
{
    const size_t at = l->file.pos;
    const uint8_t *start = muse_bytes_take(&l->file, 4);
    if (!start || memcmp(start, tag, 4) != 0) return muse_fail(l->err, MUSE_ERR_FORMAT, "damaged: section %s is not at byte %zu", tag, at);
    const uint64_t size = muse_bytes_u64le(&l->file);
    const uint8_t *bytes = muse_bytes_take(&l->file, size), *want = muse_bytes_take(&l->file, MUSE_HASH_BYTES);
    if (!bytes || !want) return muse_fail(l->err, MUSE_ERR_FORMAT, "damaged: section %s at byte %zu is cut off", tag, at);
    MuseHash h;
    uint8_t got[MUSE_HASH_BYTES];
    muse_saved_hash_init(&h);
    muse_hash_add(&h, start, 12 + (size_t)size);
    muse_hash_done(&h, got);
    if (memcmp(got, want, sizeof got) != 0) return muse_fail(l->err, MUSE_ERR_FORMAT, "damaged: the checksum of section %s at byte %zu is wrong", tag, at);
    *out = muse_bytes(bytes, (size_t)size);
    return 0;
}

static int close_section(const Loader *l, const MuseBytes *b, const char *tag)
{
    if (!b->failed && b->pos == b->size) return 0;
    return muse_fail(l->err, MUSE_ERR_FORMAT, "damaged: section %s is too %s", tag, b->failed ? "short" : "long");
}

/* ---- model and mode ---- */

static int check_model(Loader *l, MuseBytes *b)
{
    const char *mine = l->model->family.name;
    uint8_t print[MUSE_HASH_BYTES];
    const uint32_t n = muse_bytes_u32le(b);
    const char *family = (const char *)muse_bytes_take(b, n);
    const uint8_t *saved = muse_bytes_take(b, MUSE_HASH_BYTES);
    if (!family || !saved) return damaged(l, "no model");
    if (n != strlen(mine) || memcmp(family, mine, n) != 0)
        return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "saved with a model of family %.*s, this one is %s", n < 64 ? (int)n : 64, family, mine);
    muse_model_fingerprint(l->model, print);
    if (memcmp(print, saved, sizeof print) != 0) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "saved with another model than %s: geometry or weights differ", l->model->path);
    return 0;
}

static int read_head(Loader *l)
{
    MuseBytes b = { 0 };
    int rc = open_section(l, MUSE_SAVED_HEAD, &b);
    if (rc == 0) rc = check_model(l, &b);
    if (rc < 0) return rc;
    l->compute = muse_bytes_u32le(&b);
    l->kv = muse_bytes_u32le(&b);
    l->mask = muse_bytes_u32le(&b);
    const uint32_t logits = muse_bytes_u32le(&b);
    l->length = muse_bytes_u64le(&b);
    l->computed = muse_bytes_u64le(&b);
    l->n_kept = muse_bytes_u64le(&b);
    l->n_spans = muse_bytes_u64le(&b);
    const uint8_t *hash = muse_bytes_take(&b, MUSE_HASH_BYTES);
    if (hash) memcpy(l->hash, hash, MUSE_HASH_BYTES);
    rc = close_section(l, &b, MUSE_SAVED_HEAD);
    if (rc < 0) return rc;
    l->has_logits = logits == 1;
    if (l->compute > MUSE_COMPUTE_INT8 || l->kv < MUSE_KV_F32 || l->kv > MUSE_KV_Q8 || l->mask < MUSE_IMAGE_MASK_A || l->mask > MUSE_IMAGE_MASK_CAUSAL || logits > 1 ||
        l->length > INT32_MAX || l->computed > l->length || (l->has_logits && l->computed == 0))
        return damaged(l, "impossible numbers in section HEAD");
    return 0;
}

static int check_mode(const Loader *l, const char *what, uint32_t wanted, uint32_t saved)
{
    if (!wanted || wanted == saved) return 0;
    return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "saved with %s %u, asked for is %u", what, saved, wanted);
}

static int open_as_saved(Loader *l, const MuseSessionParams *params)
{
    MuseSessionParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseSessionParams", l->err);
    if (rc == 0) rc = check_mode(l, "compute", p.compute, l->compute);
    if (rc == 0) rc = check_mode(l, "kv", p.kv, l->kv);
    if (rc == 0) rc = check_mode(l, "image_mask", p.image_mask, l->mask);
    if (rc < 0) return rc;
    p.struct_size = sizeof p;
    p.compute = l->compute;
    p.kv = l->kv;
    p.image_mask = l->mask;
    rc = muse_session_open(&l->s, l->model, &p, l->err);
    if (rc == 0 && l->length > l->s->params.max_positions)
        rc = muse_fail(l->err, MUSE_ERR_LIMIT, "%llu positions are over the limit of %llu", (unsigned long long)l->length, (unsigned long long)l->s->params.max_positions);
    return rc;
}

/* ---- originals ---- */

static int read_picture(Loader *l, MuseBytes *b, bool is_pixels, MuseImage **out)
{
    MuseStoredImage st = { .is_pixels = is_pixels };
    MusePictureHead *h = &st.head;
    h->width = muse_bytes_u32le(b);
    h->height = muse_bytes_u32le(b);
    h->orientation = muse_bytes_u32le(b);
    h->bits = muse_bytes_u32le(b);
    h->channels = muse_bytes_u32le(b);
    h->has_alpha = (int)muse_bytes_u32le(b);
    h->is_cmyk = (int)muse_bytes_u32le(b);
    h->samples = muse_bytes_u32le(b);
    st.format = muse_bytes_u32le(b);
    const uint64_t size = muse_bytes_u64le(b);
    st.bytes = muse_bytes_take(b, size);
    st.size = (size_t)size;
    return st.bytes ? muse_image_from_stored(out, l->model->rt, &st, l->err) : damaged(l, "a picture is cut off");
}

static int read_sound(Loader *l, MuseBytes *b, uint32_t kind, MuseAudio **out)
{
    const uint32_t rate = muse_bytes_u32le(b), channels = muse_bytes_u32le(b);
    const uint64_t n_samples = muse_bytes_u64le(b), size = muse_bytes_u64le(b);
    const uint8_t *bytes = muse_bytes_take(b, size);
    if (!bytes) return damaged(l, "a sound is cut off");
    if (kind == MUSE_KEPT_SOUND) return muse_audio_open_memory(out, l->model->rt, bytes, (size_t)size, NULL, l->err);
    const size_t sample = kind == MUSE_KEPT_PCM_S16 ? sizeof(int16_t) : sizeof(float);
    if (channels < 1 || channels > 64 || size % (sample * channels) || size / (sample * channels) != n_samples) return damaged(l, "a sound of another length than announced");
    /* samples lie at any address in the file */
    uint8_t *copy = size ? muse_alloc(&l->model->rt->alloc, (size_t)size) : NULL;
    if (size && !copy) return MUSE_NOMEM(l->err, size);
    if (size) memcpy(copy, bytes, (size_t)size);
    const int rc = muse_audio_open_pcm(out, l->model->rt, copy, n_samples, kind == MUSE_KEPT_PCM_S16 ? MUSE_PCM_S16 : MUSE_PCM_F32, rate, channels, NULL, l->err);
    muse_free(copy);
    return rc;
}

static int read_kept(Loader *l)
{
    MuseBytes b = { 0 };
    uint64_t held = 0;
    int rc = open_section(l, MUSE_SAVED_KEPT, &b);
    if (rc < 0) return rc;
    if (l->n_kept > l->n_spans || l->n_kept > b.size / 28) return damaged(l, "more originals than bytes");   /* 28: an empty sound */
    l->kept = l->n_kept ? muse_zalloc_array(&l->model->rt->alloc, (size_t)l->n_kept, sizeof *l->kept) : NULL;
    if (l->n_kept && !l->kept) return MUSE_NOMEM(l->err, l->n_kept * sizeof *l->kept);
    for (uint64_t i = 0; rc == 0 && i < l->n_kept; i++) {
        const uint32_t kind = muse_bytes_u32le(&b);
        if (kind == MUSE_KEPT_FILE || kind == MUSE_KEPT_PIXELS) rc = read_picture(l, &b, kind == MUSE_KEPT_PIXELS, &l->kept[i].image);
        else if (kind >= MUSE_KEPT_SOUND && kind <= MUSE_KEPT_PCM_F32) rc = read_sound(l, &b, kind, &l->kept[i].audio);
        else rc = damaged(l, "an original of unknown kind");
        if (l->kept[i].image) l->kept[i].holds = muse_saved_holds(l->kept[i].image, &held);
        if (rc < 0 && l->err) muse_fail_prefix(l->err, rc, "original %llu", (unsigned long long)i);
    }
    return rc < 0 ? rc : close_section(l, &b, MUSE_SAVED_KEPT);
}

/* ---- spans ---- */

static int read_text(Loader *l, MuseBytes *b)
{
    MuseSequence *seq = l->s->seq;
    const uint32_t vocab = l->model->config.vocab;
    MuseSpan span = { .begin_id = (int32_t)muse_bytes_u32le(b) };
    const uint32_t flags = muse_bytes_u32le(b);
    const uint64_t n = muse_bytes_u64le(b), left = muse_bytes_left(b) / sizeof *span.ids;
    if (b->failed || n > left || flags > (MUSE_SPAN_FROM_TEXT | MUSE_SPAN_GROWS) || ((flags & MUSE_SPAN_GROWS) && (n == 0 || span.begin_id != -1)))
        return damaged(l, "a text of impossible numbers");
    const uint8_t *ids = muse_bytes_take(b, n * sizeof *span.ids);
    span.n_ids = (size_t)n;
    span.from_text = flags & MUSE_SPAN_FROM_TEXT;
    span.grows = flags & MUSE_SPAN_GROWS;
    span.ids = n ? muse_alloc_array(&seq->rt->alloc, span.n_ids, sizeof *span.ids) : NULL;
    if (n && !span.ids) return MUSE_NOMEM(l->err, n * sizeof *span.ids);
    if (n) memcpy(span.ids, ids, span.n_ids * sizeof *span.ids);
    bool known = span.begin_id == -1 || (span.begin_id >= 0 && (uint32_t)span.begin_id < vocab);
    for (size_t i = 0; i < span.n_ids; i++) known = known && span.ids[i] >= 0 && (uint32_t)span.ids[i] < vocab;
    const int rc = known ? muse_sequence_push_ids(seq, &span, l->err) : damaged(l, "an id beyond the vocabulary");
    if (rc < 0) muse_span_clear(&span);
    else seq->text_begun |= span.from_text;
    return rc;
}

static int read_rows(Loader *l, MuseBytes *b)
{
    const uint64_t n = muse_bytes_u64le(b), width = muse_bytes_u64le(b), left = muse_bytes_left(b) / sizeof(float);
    if (width == 0 || width > left || n > left / width) return damaged(l, "rows are cut off");
    const size_t bytes = (size_t)(n * width) * sizeof(float);
    float *rows = muse_alloc(&l->model->rt->alloc, bytes ? bytes : 1);   /* at any address in the file */
    if (!rows) return MUSE_NOMEM(l->err, bytes);
    memcpy(rows, muse_bytes_take(b, bytes), bytes);
    const int rc = muse_sequence_append_rows(l->s->seq, rows, (size_t)n, (size_t)width, l->err);
    muse_free(rows);
    return rc;
}

/* The picture's pixels from its first span to its last, if there are several and they may be held */
static int hold(Loader *l, Kept *kept)
{
    return kept->uses < 2 || kept->held.root || !kept->holds ? 0 : muse_picture_hold(&kept->held, kept->image, l->err);
}

static int read_image(Loader *l, MuseBytes *b, Kept *kept)
{
    MuseImageOptions o;
    muse_image_options_init(&o);
    o.budget = muse_bytes_u32le(b);
    const double x = muse_bytes_u32le(b), y = muse_bytes_u32le(b), width = muse_bytes_u32le(b), height = muse_bytes_u32le(b);
    if (b->failed || !kept->image) return damaged(l, "a picture without original");
    if (x + width > kept->image->seen.width || y + height > kept->image->seen.height) return damaged(l, "a region outside of its picture");
    MuseImage *seen = NULL;
    MuseImagePlan plan;
    int rc = muse_image_plan(&l->s->seq->family.image, (uint32_t)width, (uint32_t)height, o.budget, &plan, l->err);
    if (rc == 0 && plan.n_patches > l->length - l->s->seq->length) rc = damaged(l, "a picture with more patches than there are positions");
    if (rc == 0) rc = hold(l, kept);
    if (rc == 0) rc = muse_image_region(&seen, kept->image, (MuseRect){ x, y, x + width, y + height }, l->err);
    if (rc == 0) rc = muse_sequence_append_image(l->s->seq, seen, &o, l->err);
    muse_image_close(&seen);
    if (kept->uses <= 1) muse_picture_release(&kept->held);
    kept->uses -= kept->uses > 0;
    return rc;
}

/* Before a long sound is decoded: does it fit? */
static int read_audio(Loader *l, const Kept *kept)
{
    MuseSequence *seq = l->s->seq;
    MuseAudioPlan plan;
    if (!kept->audio) return damaged(l, "a sound without original");
    const int rc = muse_audio_plan(&seq->family.audio, kept->audio->info.n_samples, kept->audio->info.rate, &plan, l->err);
    if (rc < 0) return rc;
    if (plan.n_frames > l->length - seq->length) return damaged(l, "a sound with more frames than there are positions");
    return muse_sequence_append_audio(seq, kept->audio, NULL, NULL, l->err);
}

static int read_span(Loader *l, MuseBytes *b, uint64_t k)
{
    const uint32_t modality = muse_bytes_u32le(b);
    const uint8_t *hash = muse_bytes_take(b, MUSE_HASH_BYTES);
    if (!hash) return damaged(l, "spans are cut off");
    if (modality == MUSE_ROWS) return read_rows(l, b);
    if (modality == MUSE_TEXT) return read_text(l, b);
    const uint32_t original = muse_bytes_u32le(b);
    if (l->s->seq->length > l->length) return damaged(l, "more parts than positions");
    if (modality > MUSE_ROWS || b->failed || original >= l->n_kept) return damaged(l, "a span of unknown kind or without original");
    const int rc = modality == MUSE_IMAGE ? read_image(l, b, &l->kept[original]) : read_audio(l, &l->kept[original]);
    if (rc < 0 || memcmp(l->s->seq->spans[l->s->seq->n_spans - 1].info.hash, hash, MUSE_HASH_BYTES) == 0) return rc;
    return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "part %llu: its original gives other features here than where the session was saved", (unsigned long long)k);
}

/* Before anything is decoded: which pictures the spans are of, and what that costs. What can't be read ends it: read_span() says why. */
static int survey(Loader *l, MuseBytes b)
{
    uint64_t pixels = 0;
    for (uint64_t k = 0; k < l->n_spans && !b.failed; k++) {
        const uint32_t modality = muse_bytes_u32le(&b);
        muse_bytes_take(&b, MUSE_HASH_BYTES);
        if (modality == MUSE_TEXT || modality == MUSE_ROWS) {   /* two numbers: marker and flags, then ids; or rows, then their width */
            const uint64_t first = muse_bytes_u64le(&b), second = muse_bytes_u64le(&b), n = modality == MUSE_TEXT ? 1 : first;
            if (second && n > muse_bytes_left(&b) / 4 / second) return 0;
            muse_bytes_take(&b, n * second * 4);
            continue;
        }
        const uint32_t original = muse_bytes_u32le(&b);
        if (modality == MUSE_AUDIO) continue;   /* its positions bound it: read_audio() */
        uint32_t window[5];
        for (size_t i = 0; i < 5; i++) window[i] = muse_bytes_u32le(&b);
        if (modality != MUSE_IMAGE || b.failed || original >= l->n_kept || !l->kept[original].image) return 0;
        Kept *kept = &l->kept[original];
        if (window[3] > kept->image->seen.width || window[4] > kept->image->seen.height) return 0;
        pixels += muse_saved_cost(kept->image, kept->holds, (uint64_t)window[3] * window[4], kept->uses++ == 0);
        if (pixels > MUSE_SAVED_PIXELS_MAX) return muse_fail(l->err, MUSE_ERR_LIMIT, "part %llu: over %llu pixels would be decoded", (unsigned long long)k, (unsigned long long)MUSE_SAVED_PIXELS_MAX);
    }
    return 0;
}

static int read_spans(Loader *l)
{
    MuseBytes b = { 0 };
    uint8_t hash[MUSE_HASH_BYTES];
    int rc = open_section(l, MUSE_SAVED_SPAN, &b);
    if (rc == 0) rc = survey(l, b);
    for (uint64_t k = 0; rc == 0 && k < l->n_spans; k++) rc = read_span(l, &b, k);   /* each takes bytes: their number bounds it */
    if (rc == 0) rc = close_section(l, &b, MUSE_SAVED_SPAN);
    if (rc < 0) return rc;
    muse_sequence_hash(l->s->seq, l->s->seq->length, hash);
    if (l->s->seq->length != l->length || memcmp(hash, l->hash, sizeof hash) != 0) return damaged(l, "the spans make another sequence than was saved");
    return 0;
}

/* ---- keys, values, logits ---- */

static int read_pages(Loader *l)
{
    MuseKv *kv = &l->s->kv;
    const MuseKvLayout *layout = muse_kv_layout(kv->pool);
    MuseBytes b = { 0 };
    const size_t length = (size_t)l->computed, end = (length + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
    size_t first[MUSE_KV_CLASSES_MAX] = { 0 };
    uint64_t total = 0;
    int rc = open_section(l, MUSE_SAVED_PAGE, &b);
    if (rc < 0) return rc;
    if (muse_bytes_u32le(&b) != layout->n_classes) return damaged(l, "keys of another number of windows");
    for (uint32_t c = 0; c < layout->n_classes; c++) {
        const uint32_t window = muse_bytes_u32le(&b);
        const uint64_t page_bytes = muse_bytes_u64le(&b), from = muse_bytes_u64le(&b);
        if (b.failed || window != layout->window[c] || page_bytes != layout->page_bytes[c] || from > end || end - from > b.size / page_bytes)
            return damaged(l, "keys of another window or size");
        first[c] = (size_t)from;
        total += (end - first[c]) * page_bytes;
    }
    if (total != muse_bytes_left(&b)) return damaged(l, "another number of pages than positions ask for");
    rc = muse_kv_restore(kv, length, first, l->err);
    for (uint32_t c = 0; rc == 0 && c < layout->n_classes; c++)
        for (size_t i = first[c]; i < end; i++) memcpy(kv->pages[c][i], muse_bytes_take(&b, layout->page_bytes[c]), layout->page_bytes[c]);
    return rc < 0 ? rc : close_section(l, &b, MUSE_SAVED_PAGE);
}

static int read_last(Loader *l)
{
    MuseBytes b = { 0 };
    int rc = open_section(l, MUSE_SAVED_LAST, &b);
    if (rc < 0) return rc;
    const size_t bytes = l->has_logits ? l->model->config.vocab * sizeof *l->s->logits : 0;
    const uint8_t *logits = muse_bytes_take(&b, bytes);
    if (logits && bytes) memcpy(l->s->logits, logits, bytes);
    rc = close_section(l, &b, MUSE_SAVED_LAST);
    if (rc == 0 && muse_bytes_left(&l->file)) rc = damaged(l, "bytes behind the last section");
    return rc;
}

/* ---- the file ---- */

static int read_all(Loader *l, const MuseSessionParams *params)
{
    const uint8_t *magic = muse_bytes_take(&l->file, 8);
    const uint32_t version = muse_bytes_u32le(&l->file);
    if (!magic || memcmp(magic, MUSE_SAVED_MAGIC, 8) != 0 || l->file.failed) return muse_fail(l->err, MUSE_ERR_FORMAT, "not a saved session");
    if (version != MUSE_SAVED_VERSION) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "a saved session of version %u; this library reads %d", version, MUSE_SAVED_VERSION);
    int rc = read_head(l);
    if (rc == 0) rc = open_as_saved(l, params);
    if (rc == 0) rc = read_kept(l);
    if (rc == 0) rc = read_spans(l);
    if (rc == 0) rc = read_pages(l);
    if (rc == 0) rc = read_last(l);
    if (rc < 0) return rc;
    size_t begin = 0, end = 0;
    if (l->computed < l->length) muse_session_block(l->s, (size_t)l->computed, &begin, &end);
    if (begin < l->computed && l->computed < end) return damaged(l, "computed to the middle of a picture");
    l->s->has_logits = l->has_logits;
    l->s->foreign = l->computed > 0;
    return 0;
}

int muse_session_read(MuseSession **out, MuseModel *model, const void *bytes, size_t size, const char *name, const MuseSessionParams *params, MuseError *err)
{
    Loader l = { .model = model, .file = muse_bytes(bytes, size), .err = err };
    *out = NULL;
    if (!muse_saved_byte_order()) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "sessions are restored on little-endian machines only");
    const int rc = read_all(&l, params);
    for (uint64_t i = 0; l.kept && i < l.n_kept; i++) {
        muse_picture_release(&l.kept[i].held);   /* before the session's own references are all that is left */
        muse_image_close(&l.kept[i].image);
        muse_audio_close(&l.kept[i].audio);
    }
    muse_free(l.kept);
    if (rc < 0) muse_session_close(&l.s);
    *out = l.s;
    return rc < 0 ? muse_fail_prefix(err, rc, "%s", name) : 0;
}

int muse_session_restore(MuseSession **out, MuseModel *model, const char *path, const MuseSessionParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, model && path);
    MuseFile file = { .alloc = &model->rt->alloc };
    int rc = muse_file_open(&file, path, UINT64_MAX, err);
    if (rc == 0) rc = muse_session_read(out, model, file.data, file.size, path, params, err);
    muse_file_close(&file);
    return rc;
}
