/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of positions. Parts go through their tokenizer, get the family's markers, and become spans; single positions
 * are computed from their span when asked for. No weights, no masks: those read this list. */
#include "libmuse/sequence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/params.h"
#include "tokenizers/image/picture.h"

enum { MAX_POSITIONS = 1 << 24 };

void muse_sequence_params_init(MuseSequenceParams *params) { MUSE_PARAMS_INIT(params); }
void muse_image_options_init(MuseImageOptions *options) { MUSE_PARAMS_INIT(options); }

int muse_sequence_open(MuseSequence **out, MuseRuntime *rt, const MuseSequenceParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MuseSequenceParams p;
    const int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseSequenceParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.max_positions <= INT32_MAX);   /* t, y, x are 32 bits */
    if (!p.family) p.family = muse_family_find(p.family_name ? p.family_name : "muse");
    if (!p.family) return muse_fail(err, MUSE_ERR_NOT_FOUND, "no family is called %s", p.family_name);
    MuseRuntime *held = muse_runtime_ref(rt);
    MuseSequence *seq = held ? muse_zalloc(&held->alloc, sizeof *seq) : NULL;
    if (!seq) {
        muse_runtime_close(&held);
        return MUSE_NOMEM(err, sizeof *seq);
    }
    seq->rt = held;
    seq->low = SIZE_MAX;
    seq->family = *p.family;
    if (!seq->family.name) seq->family.name = "(no name)";
    seq->tokenizer = p.tokenizer;
    seq->max_positions = p.max_positions ? p.max_positions : MAX_POSITIONS;
    *out = seq;
    return 0;
}

void muse_span_clear(MuseSpan *span)
{
    muse_free(span->ids);
    muse_free(span->rows);
    muse_patches_close(&span->patches);
    muse_image_close(&span->image);
    muse_frames_close(&span->frames);
    muse_audio_close(&span->audio);
}

void muse_sequence_close(MuseSequence **seq)
{
    if (!seq || !*seq) return;
    MuseSequence *s = *seq;
    for (size_t i = 0; i < s->n_spans; i++) muse_span_clear(&s->spans[i]);
    muse_free(s->spans);
    muse_free(s->next_ids);
    MuseRuntime *rt = s->rt;
    muse_free(s);
    muse_runtime_close(&rt);
    *seq = NULL;
}

/* The id of a family's marker: from the tokenizer if there is one, else the published one; -1 where the family has none. */
static int marker_id(const MuseSequence *seq, const MuseMarker *marker, uint32_t number, int32_t *id, MuseError *err)
{
    *id = -1;
    if (!marker->text) return 0;
    char text[64];
    const char *hole = strstr(marker->text, "%u");
    const int n = hole ? snprintf(text, sizeof text, "%.*s%u%s", (int)(hole - marker->text), marker->text, number, hole + 2)
                       : snprintf(text, sizeof text, "%s", marker->text);
    if (n < 0 || (size_t)n >= sizeof text) return muse_fail(err, MUSE_ERR_LIMIT, "the marker %s is longer than %zu bytes", marker->text, sizeof text - 1);
    *id = seq->tokenizer ? muse_text_find(seq->tokenizer, text, strlen(text)) : marker->id;
    if (*id >= 0) return 0;
    *id = -1;
    if (seq->tokenizer) return muse_fail(err, MUSE_ERR_NOT_FOUND, "the tokenizer has no token %s, which family %s needs here", text, seq->family.name);
    return muse_fail(err, MUSE_ERR_NOT_FOUND, "family %s has no published id for %s: a tokenizer is needed", seq->family.name, text);
}

/* Count the positions, check the limit, and take the span over; on error the span is the caller's to clear. */
static int push_span(MuseSequence *seq, MuseSpan *span, uint64_t count, int32_t t_count, MuseError *err)
{
    static const char *const kinds[] = { "text", "picture", "sound", "rows" };   /* by modality */
    if (count > seq->max_positions - seq->length)
        return muse_fail(err, MUSE_ERR_LIMIT, "%s: %llu more positions after %zu are over the limit of %llu", kinds[span->info.modality],
                         (unsigned long long)count, seq->length, (unsigned long long)seq->max_positions);
    if (seq->n_spans == seq->cap_spans) {
        const size_t cap = seq->cap_spans ? seq->cap_spans * 2 : 8;
        MuseSpan *spans = muse_realloc_array(&seq->rt->alloc, seq->spans, cap, sizeof *spans);
        if (!spans) return MUSE_NOMEM(err, cap * sizeof *spans);
        seq->spans = spans;
        seq->cap_spans = cap;
    }
    span->info.first = seq->length;
    span->info.count = (size_t)count;
    span->t = seq->t_next;
    seq->spans[seq->n_spans++] = *span;
    seq->length += (size_t)count;
    seq->t_next += t_count;
    return 0;
}

static void hash_markers(MuseHash *h, const MuseSpan *span)
{
    const int32_t ids[] = { span->begin_id, span->soft_id, span->row_end_id, span->end_id };
    for (size_t i = 0; i < 4; i++) muse_hash_add_u64(h, (uint64_t)(int64_t)ids[i]);
}

void muse_span_hash_ids(const MuseSpan *span, uint8_t hash[32])
{
    MuseHash h;
    muse_hash_init(&h, "text");
    muse_hash_add_u64(&h, (uint64_t)(int64_t)span->begin_id);
    for (size_t i = 0; i < span->n_ids; i++) muse_hash_add_u64(&h, (uint64_t)span->ids[i]);
    muse_hash_done(&h, hash);
}

int muse_sequence_push_ids(MuseSequence *seq, MuseSpan *span, MuseError *err)
{
    span->info.modality = MUSE_TEXT;
    span->soft_id = span->row_end_id = span->end_id = -1;
    muse_span_hash_ids(span, span->info.hash);
    const uint64_t count = (uint64_t)span->n_ids + (span->begin_id >= 0);
    return push_span(seq, span, count, count <= INT32_MAX ? (int32_t)count : 0, err);
}

int muse_sequence_append_text(MuseSequence *seq, const char *text, size_t n, unsigned flags, MuseError *err)
{
    MUSE_REQUIRE(err, seq && (text || n == 0));
    if (!seq->tokenizer) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "text needs a tokenizer, and this sequence was opened without one");
    MuseSpan span = { .begin_id = -1 };
    int rc = seq->text_begun ? 0 : marker_id(seq, &seq->family.text_begin, 0, &span.begin_id, err);
    if (rc < 0) return rc;
    if (seq->family.text_begin.text || seq->text_begun) flags &= ~(unsigned)MUSE_TEXT_BOS;   /* one beginning, whoever writes it */
    rc = muse_text_encode(seq->tokenizer, text, n, flags, &span.ids, &span.n_ids, err);
    if (rc < 0) return rc;
    span.from_text = true;
    rc = muse_sequence_push_ids(seq, &span, err);
    if (rc < 0) muse_span_clear(&span);
    else seq->text_begun = true;
    return rc;
}

int muse_sequence_append_ids(MuseSequence *seq, const int32_t *ids, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, seq && (ids || n == 0));
    const char *bytes;
    size_t n_bytes;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (seq->tokenizer && muse_text_token_bytes(seq->tokenizer, ids[i], &bytes, &n_bytes) < 0))
            return muse_fail(err, MUSE_ERR_ARG, "id %d (number %zu) is not in the vocabulary", ids[i], i);
    MuseSpan span = { .begin_id = -1, .n_ids = n };
    if (n > 0) {
        span.ids = muse_alloc_array(&seq->rt->alloc, n, sizeof *ids);
        if (!span.ids) return MUSE_NOMEM(err, n * sizeof *ids);
        memcpy(span.ids, ids, n * sizeof *ids);
    }
    const int rc = muse_sequence_push_ids(seq, &span, err);
    if (rc < 0) muse_span_clear(&span);
    return rc;
}

/* the part that pictures and placeholders share: span->info.image is planned, features may be there */
static int push_image(MuseSequence *seq, MuseSpan *span, MuseError *err)
{
    const MuseFamily *f = &seq->family;
    const MuseImagePlan *plan = &span->info.image;
    span->info.modality = MUSE_IMAGE;
    span->info.number = seq->n_images + 1;
    span->info.n_features = plan->n_patches;
    span->info.feature_width = (size_t)plan->unit * plan->unit * 3;
    int rc;
    if ((rc = marker_id(seq, &f->image_begin, span->info.number, &span->begin_id, err)) < 0 ||
        (rc = marker_id(seq, &f->image_soft, 0, &span->soft_id, err)) < 0 ||
        (rc = marker_id(seq, &f->image_row_end, 0, &span->row_end_id, err)) < 0 ||
        (rc = marker_id(seq, &f->image_end, span->info.number, &span->end_id, err)) < 0) return rc;
    MuseHash h;
    muse_hash_init(&h, span->patches ? "image" : "image size");
    hash_markers(&h, span);
    if (span->patches) {
        uint8_t content[MUSE_HASH_BYTES];
        muse_patches_hash(span->patches, content);
        muse_hash_add(&h, content, sizeof content);
    } else {
        const uint32_t sizes[] = { plan->width, plan->height, plan->used_width, plan->used_height, plan->grid_width, plan->grid_height, plan->unit };
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) muse_hash_add_u64(&h, sizes[i]);
    }
    muse_hash_done(&h, span->info.hash);
    const uint64_t ends = (span->begin_id >= 0) + (span->end_id >= 0);
    const uint64_t count = ends + plan->n_patches + (span->row_end_id >= 0 ? plan->grid_height : 0);
    rc = push_span(seq, span, count, (int32_t)ends + 1, err);
    if (rc < 0) return rc;
    seq->n_images++;
    if ((plan->scale_x < 1 || plan->scale_y < 1) && !(span->image && span->image->is_view))
        muse_log(&seq->rt->log, MUSE_LOG_WARN, "picture %u: %u x %u pixels are reduced to %u x %u (scale %.3g x %.3g)", span->info.number,
                 plan->width, plan->height, plan->used_width, plan->used_height, plan->scale_x, plan->scale_y);
    return 0;
}

int muse_sequence_append_image(MuseSequence *seq, MuseImage *image, const MuseImageOptions *options, MuseError *err)
{
    MUSE_REQUIRE(err, seq && image);
    MuseImageOptions o;
    MuseImageInfo info;
    int rc = MUSE_PARAMS_IMPORT(&o, options, "MuseImageOptions", err);
    if (rc < 0) return rc;
    MuseSpan span = { .begin_id = -1, .image = muse_image_ref(image) };
    rc = muse_image_patches(&span.patches, image, &seq->family.image, o.budget, o.cancel, o.cancel_user, err);
    if (rc < 0) goto fail;
    muse_image_info(image, &info);
    span.info.image = *muse_patches_plan(span.patches);
    span.info.region = info.source;
    rc = push_image(seq, &span, err);
    if (rc < 0) goto fail;
    return 0;
fail:
    muse_span_clear(&span);
    return rc;
}

int muse_sequence_append_image_size(MuseSequence *seq, uint32_t width, uint32_t height, const MuseImageOptions *options, MuseError *err)
{
    MUSE_REQUIRE(err, seq);
    MuseImageOptions o;
    int rc = MUSE_PARAMS_IMPORT(&o, options, "MuseImageOptions", err);
    if (rc < 0) return rc;
    MuseSpan span = { .begin_id = -1, .info = { .is_placeholder = 1, .region = { 0, 0, width, height } } };
    rc = muse_image_plan(&seq->family.image, width, height, o.budget, &span.info.image, err);
    return rc < 0 ? rc : push_image(seq, &span, err);
}

static int push_audio(MuseSequence *seq, MuseSpan *span, MuseError *err)
{
    const MuseFamily *f = &seq->family;
    const MuseAudioPlan *plan = &span->info.audio;
    span->info.modality = MUSE_AUDIO;
    span->info.number = seq->n_audios + 1;
    span->info.n_features = (size_t)plan->n_frames;
    span->info.feature_width = plan->frame_width;
    span->row_end_id = -1;
    int rc;
    if ((rc = marker_id(seq, &f->audio_begin, span->info.number, &span->begin_id, err)) < 0 ||
        (rc = marker_id(seq, &f->audio_soft, 0, &span->soft_id, err)) < 0 ||
        (rc = marker_id(seq, &f->audio_end, span->info.number, &span->end_id, err)) < 0) return rc;
    MuseHash h;
    muse_hash_init(&h, span->frames ? "audio" : "audio length");
    hash_markers(&h, span);
    if (span->frames) {
        uint8_t content[MUSE_HASH_BYTES];
        muse_frames_hash(span->frames, content);
        muse_hash_add(&h, content, sizeof content);
    } else {
        muse_hash_add_u64(&h, span->n_samples);
        muse_hash_add_u64(&h, span->rate);
        muse_hash_add_u64(&h, plan->n_frames);
        muse_hash_add_u64(&h, plan->frame_width);
    }
    muse_hash_done(&h, span->info.hash);
    const uint64_t count = plan->n_frames + (span->begin_id >= 0) + (span->end_id >= 0);
    rc = push_span(seq, span, count, count <= INT32_MAX ? (int32_t)count : 0, err);
    if (rc < 0) return rc;
    seq->n_audios++;
    if (plan->too_long)
        muse_log(&seq->rt->log, MUSE_LOG_WARN, "sound %u: %.1f s are more than the %.0f s that family %s was made for; all of it is taken",
                 span->info.number, (double)span->n_samples / span->rate, (double)f->audio.max_seconds, f->name);
    return 0;
}

int muse_sequence_append_audio(MuseSequence *seq, MuseAudio *audio, MuseCancelFn *cancel, void *cancel_user, MuseError *err)
{
    MUSE_REQUIRE(err, seq && audio);
    MuseAudioInfo info;
    MuseSpan span = { .begin_id = -1, .audio = muse_audio_ref(audio) };
    int rc = muse_audio_frames(&span.frames, audio, &seq->family.audio, cancel, cancel_user, err);
    if (rc < 0) goto fail;
    muse_audio_info(audio, &info);
    span.n_samples = info.n_samples;
    span.rate = info.rate;
    span.info.audio = *muse_frames_plan(span.frames);
    rc = push_audio(seq, &span, err);
    if (rc < 0) goto fail;
    return 0;
fail:
    muse_span_clear(&span);
    return rc;
}

int muse_sequence_append_audio_length(MuseSequence *seq, uint64_t n_samples, uint32_t rate, MuseError *err)
{
    MUSE_REQUIRE(err, seq);
    MuseSpan span = { .begin_id = -1, .n_samples = n_samples, .rate = rate, .info = { .is_placeholder = 1 } };
    const int rc = muse_audio_plan(&seq->family.audio, n_samples, rate, &span.info.audio, err);
    return rc < 0 ? rc : push_audio(seq, &span, err);
}

int muse_sequence_append_rows(MuseSequence *seq, const float *rows, size_t n, size_t width, MuseError *err)
{
    MUSE_REQUIRE(err, seq && rows && n > 0 && width > 0);
    size_t values;
    if (!muse_mul_size(n, width, &values) || n > seq->max_positions) return muse_fail(err, MUSE_ERR_LIMIT, "%zu rows of %zu values are too many", n, width);
    for (size_t i = 0; i < values; i++)
        if (!isfinite(rows[i])) return muse_fail(err, MUSE_ERR_ARG, "row %zu, value %zu is not finite", i / width, i % width);
    MuseSpan span = { .begin_id = -1, .soft_id = -1, .row_end_id = -1, .end_id = -1,
                      .info = { .modality = MUSE_ROWS, .n_features = n, .feature_width = width } };
    span.rows = muse_alloc_array(&seq->rt->alloc, values, sizeof *rows);
    if (!span.rows) return MUSE_NOMEM(err, values * sizeof *rows);
    memcpy(span.rows, rows, values * sizeof *rows);
    MuseHash h;
    muse_hash_init(&h, "rows");
    muse_hash_add_u64(&h, width);
    muse_hash_add(&h, rows, values * sizeof *rows);
    muse_hash_done(&h, span.info.hash);
    const int rc = push_span(seq, &span, n, (int32_t)n, err);
    if (rc < 0) muse_span_clear(&span);
    return rc;
}

size_t muse_sequence_length(const MuseSequence *seq) { return seq ? seq->length : 0; }

size_t muse_sequence_span_count(const MuseSequence *seq) { return seq ? seq->n_spans : 0; }

int muse_sequence_span(const MuseSequence *seq, size_t k, MuseSpanInfo *out)
{
    if (!seq || !out || k >= seq->n_spans) return MUSE_ERR_ARG;
    *out = seq->spans[k].info;
    if (seq->spans[k].grows) muse_span_hash_ids(&seq->spans[k], out->hash);
    return 0;
}

static MusePlace image_place(const MuseSpan *span, size_t offset, MusePlace place)
{
    const size_t across = span->info.image.grid_width, row = across + (span->row_end_id >= 0);
    place.y = (int32_t)(offset / row);
    place.x = (int32_t)(offset % row);
    place.is_marker = (size_t)place.x == across;
    place.id = place.is_marker ? span->row_end_id : span->soft_id;
    place.index = (size_t)place.y * across + (size_t)place.x;
    return place;
}

MusePlace muse_span_place(const MuseSpan *span, size_t offset)
{
    const size_t begin = span->begin_id >= 0;
    const MusePlace marker = { .is_marker = true, .id = span->begin_id, .t = span->t };
    if (offset < begin) return marker;
    const size_t inner = span->info.count - begin - (span->end_id >= 0);
    offset -= begin;
    const bool image = span->info.modality == MUSE_IMAGE;
    MusePlace place = { .id = span->soft_id, .index = offset, .t = span->t + (int32_t)begin + (image ? 0 : (int32_t)offset) };
    if (offset >= inner) {
        place = (MusePlace){ .is_marker = true, .id = span->end_id, .index = span->info.n_features };
        place.t = span->t + (int32_t)begin + (image ? 1 : (int32_t)inner);
    } else if (image) {
        place = image_place(span, offset, place);
    } else if (span->info.modality == MUSE_TEXT) {
        place.id = span->ids[offset];
    }
    return place;
}

/* the span that holds position i, which exists */
size_t muse_sequence_span_of(const MuseSequence *seq, size_t i)
{
    size_t low = 0, high = seq->n_spans;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (seq->spans[middle].info.first <= i) low = middle;
        else high = middle;
    }
    return low;
}

static void fill_source(const MuseSpan *span, const MusePlace *place, MusePosition *out)
{
    if (span->info.modality == MUSE_IMAGE) {
        const MuseRect r = muse_image_plan_rect(&span->info.image, (uint32_t)place->x, (uint32_t)place->y);
        const MuseRect *region = &span->info.region;
        out->source = (MuseRect){ r.x0 + region->x0, r.y0 + region->y0, r.x1 + region->x0, r.y1 + region->y0 };
    } else if (span->info.modality == MUSE_AUDIO) {
        const double all = 1000.0 * (double)span->n_samples / span->rate, frame = span->info.audio.ms_per_frame;
        out->start_ms = fmin(all, frame * (double)place->index);
        out->end_ms = fmin(all, frame * (double)(place->index + 1));
    }
}

/* the text of a marker that took its published id */
static void published_bytes(const MuseFamily *f, int32_t id, MusePosition *out)
{
    const MuseMarker *markers[] = { &f->image_begin, &f->image_row_end, &f->image_end, &f->audio_begin, &f->audio_end, &f->text_begin };
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++)
        if (markers[i]->text && markers[i]->id == id) {
            out->bytes = markers[i]->text;
            out->n_bytes = strlen(markers[i]->text);
        }
}

int muse_sequence_position(const MuseSequence *seq, size_t i, MusePosition *out)
{
    if (!seq || !out || i >= seq->length) return MUSE_ERR_ARG;
    const size_t k = muse_sequence_span_of(seq, i);
    const MuseSpan *span = &seq->spans[k];
    const MusePlace place = muse_span_place(span, i - span->info.first);
    *out = (MusePosition){ .modality = place.is_marker ? MUSE_TEXT : span->info.modality, .is_marker = place.is_marker, .id = place.id,
                           .span = (uint32_t)k, .index = (uint32_t)place.index, .t = place.t, .y = place.y, .x = place.x };
    if (!place.is_marker) fill_source(span, &place, out);
    if (out->modality == MUSE_TEXT && seq->tokenizer) muse_text_token_bytes(seq->tokenizer, place.id, &out->bytes, &out->n_bytes);
    else if (place.is_marker) published_bytes(&seq->family, place.id, out);
    return 0;
}

int muse_sequence_features(const MuseSequence *seq, size_t k, size_t first, size_t n, float *out, MuseError *err)
{
    MUSE_REQUIRE(err, seq && out && k < seq->n_spans);
    const MuseSpan *span = &seq->spans[k];
    const size_t width = span->info.feature_width;
    if (span->info.modality == MUSE_TEXT) return muse_fail(err, MUSE_ERR_ARG, "span %zu is text: it has ids, no features", k);
    if (first > span->info.n_features || n > span->info.n_features - first)
        return muse_fail(err, MUSE_ERR_ARG, "span %zu has %zu features; %zu from %zu on were asked for", k, span->info.n_features, n, first);
    if (span->info.is_placeholder) return muse_fail(err, MUSE_ERR_STATE, "span %zu is a placeholder: it has a size but no features", k);
    if (span->patches) return muse_patches_read(span->patches, first, n, out);
    const float *all = span->frames ? muse_frames_data(span->frames) : span->rows;
    if (n > 0) memcpy(out, all + first * width, n * width * sizeof *out);
    return 0;
}

/* positions from .. to - 1 of a span; of a medium always from 0 */
static void hash_positions(MuseHash *h, const MuseSpan *span, size_t from, size_t to)
{
    if (span->info.modality == MUSE_TEXT) {   /* by token: where one text ends and the next begins is not content */
        for (size_t i = from; i < to; i++) muse_hash_add_u64(h, (uint64_t)muse_span_place(span, i).id);
    } else if (span->info.modality == MUSE_ROWS) {   /* and neither is where rows were cut */
        for (size_t i = from; i < to; i++) {
            muse_hash_add_u64(h, UINT64_MAX - MUSE_ROWS);
            muse_hash_add_u64(h, span->info.feature_width);
            muse_hash_add(h, span->rows + i * span->info.feature_width, span->info.feature_width * sizeof *span->rows);
        }
    } else {
        muse_hash_add_u64(h, UINT64_MAX - (uint64_t)span->info.modality);
        muse_hash_add(h, span->info.hash, MUSE_HASH_BYTES);
        muse_hash_add_u64(h, to);
    }
}

int muse_sequence_hash(const MuseSequence *seq, size_t n, uint8_t hash[32])
{
    if (!seq || !hash || n > seq->length) return MUSE_ERR_ARG;
    muse_sequence_hashes(seq, &n, 1, (uint8_t (*)[32])hash);
    return 0;
}

void muse_sequence_hashes(const MuseSequence *seq, const size_t *at, size_t n, uint8_t (*out)[32])
{
    MuseHash h;
    muse_hash_init(&h, "sequence");
    size_t k = 0, from = 0;   /* from: positions of span k that are in h */
    for (size_t i = 0; i < n; i++) {
        for (; k < seq->n_spans && seq->spans[k].info.first < at[i]; k++, from = 0) {
            const MuseSpan *span = &seq->spans[k];
            const size_t to = at[i] - span->info.first;
            hash_positions(&h, span, from, to < span->info.count ? to : span->info.count);
            if (to < span->info.count) {
                from = to;
                break;
            }
        }
        MuseHash done = h;
        muse_hash_done(&done, out[i]);
    }
}
