/* SPDX-License-Identifier: Apache-2.0 */
/* Copying, cutting and growing a sequence: what sessions need to fork, rewind and write. */
#include <string.h>

#include "libmuse/sequence.h"

/* span becomes a copy with references and blocks of its own; false: no memory, and it is empty */
static bool span_copy(MuseSpan *span, const MuseAllocator *a)
{
    const int32_t *ids = span->ids;
    const float *rows = span->rows;
    span->ids = NULL;
    span->rows = NULL;
    muse_image_ref(span->image);
    muse_patches_ref(span->patches);
    muse_audio_ref(span->audio);
    muse_frames_ref(span->frames);
    if (ids && (span->ids = muse_alloc_array(a, span->n_ids ? span->n_ids : 1, sizeof *ids)) != NULL) memcpy(span->ids, ids, span->n_ids * sizeof *ids);
    const size_t values = rows ? span->info.n_features * span->info.feature_width : 0;
    if (rows && (span->rows = muse_alloc_array(a, values, sizeof *rows)) != NULL) memcpy(span->rows, rows, values * sizeof *rows);
    if ((!ids || span->ids) && (!rows || span->rows)) return true;
    muse_span_clear(span);
    return false;
}

int muse_sequence_copy(MuseSequence **out, const MuseSequence *seq, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, seq);
    const MuseAllocator *a = &seq->rt->alloc;
    MuseSequence *copy = muse_alloc(a, sizeof *copy);
    if (!copy) return MUSE_NOMEM(err, sizeof *copy);
    *copy = *seq;
    copy->rt = muse_runtime_ref(seq->rt);
    copy->next_ids = NULL;
    copy->low = SIZE_MAX;
    copy->n_spans = 0;
    copy->cap_spans = seq->n_spans ? seq->n_spans : 1;
    copy->spans = muse_alloc_array(a, copy->cap_spans, sizeof *copy->spans);
    while (copy->spans && copy->n_spans < seq->n_spans) {
        copy->spans[copy->n_spans] = seq->spans[copy->n_spans];
        if (!span_copy(&copy->spans[copy->n_spans], a)) break;
        copy->n_spans++;
    }
    if (copy->spans && copy->n_spans == seq->n_spans) {
        *out = copy;
        return 0;
    }
    muse_sequence_close(&copy);
    return muse_fail(err, MUSE_ERR_NOMEM, "no memory for a copy of %zu positions", seq->length);
}

int muse_sequence_truncate(MuseSequence *seq, size_t n, MuseError *err)
{
    static const char *const names[] = { "text", "picture", "sound", "rows" };
    MUSE_REQUIRE(err, seq);
    if (n > seq->length) return muse_fail(err, MUSE_ERR_ARG, "there are %zu positions, not %zu", seq->length, n);
    if (n == seq->length) return 0;
    const size_t k = muse_sequence_span_of(seq, n);
    MuseSpan *span = &seq->spans[k];
    const size_t keep = n - span->info.first, marker = span->begin_id >= 0;
    if (keep > 0 && (span->info.modality != MUSE_TEXT || keep < marker))
        return muse_fail(err, MUSE_ERR_ARG, "position %zu lies inside a %s (positions %zu to %zu), which can't be cut", n, names[span->info.modality],
                         span->info.first, span->info.first + span->info.count - 1);
    seq->t_next = span->t + (int32_t)keep;
    for (size_t i = k + (keep > 0); i < seq->n_spans; i++) {
        if (seq->spans[i].info.modality == MUSE_IMAGE) seq->n_images--;
        if (seq->spans[i].info.modality == MUSE_AUDIO) seq->n_audios--;
        muse_span_clear(&seq->spans[i]);
    }
    seq->n_spans = k + (keep > 0);
    if (keep > 0) {
        span->n_ids = keep - marker;
        span->info.count = keep;
        muse_span_hash_ids(span, span->info.hash);
    }
    seq->length = n;
    if (n < seq->low) seq->low = n;
    seq->text_begun = false;
    for (size_t i = 0; i < seq->n_spans; i++) seq->text_begun |= seq->spans[i].from_text;
    return 0;
}

static MuseSpan *growing(MuseSequence *seq) { return seq->n_spans && seq->spans[seq->n_spans - 1].grows ? &seq->spans[seq->n_spans - 1] : NULL; }

int muse_sequence_reserve_ids(MuseSequence *seq, size_t n, MuseError *err)
{
    const MuseAllocator *a = &seq->rt->alloc;
    MuseSpan *span = growing(seq);
    int32_t **ids = span ? &span->ids : &seq->next_ids;
    const size_t used = span ? span->n_ids : 0;
    if (n > SIZE_MAX / 8 - used) return muse_fail(err, MUSE_ERR_LIMIT, "%zu more ids are too many", n);
    if (muse_alloc_size(*ids) < (used + n) * sizeof **ids) {
        int32_t *grown = muse_realloc_array(a, *ids, used + n, sizeof **ids);
        if (!grown) return MUSE_NOMEM(err, (used + n) * sizeof **ids);
        *ids = grown;
    }
    if (!span && seq->n_spans == seq->cap_spans) {
        MuseSpan *spans = muse_realloc_array(a, seq->spans, seq->n_spans + 8, sizeof *spans);
        if (!spans) return MUSE_NOMEM(err, (seq->n_spans + 8) * sizeof *spans);
        seq->spans = spans;
        seq->cap_spans = seq->n_spans + 8;
    }
    return 0;
}

int muse_sequence_push_id(MuseSequence *seq, int32_t id, MuseError *err)
{
    if (seq->length >= seq->max_positions) return muse_fail(err, MUSE_ERR_LIMIT, "the limit of %llu positions is reached", (unsigned long long)seq->max_positions);
    MuseSpan *span = growing(seq);
    const size_t room = span ? muse_alloc_size(span->ids) / sizeof id - span->n_ids : muse_alloc_size(seq->next_ids) / sizeof id;
    if (!room || (!span && seq->n_spans == seq->cap_spans)) {
        const int rc = muse_sequence_reserve_ids(seq, span ? span->n_ids + 1 : 16, err);
        if (rc < 0) return rc;
        span = growing(seq);
    }
    if (!span) {
        span = &seq->spans[seq->n_spans++];
        *span = (MuseSpan){ .info = { .modality = MUSE_TEXT, .first = seq->length }, .begin_id = -1, .soft_id = -1, .row_end_id = -1, .end_id = -1,
                            .t = seq->t_next, .ids = seq->next_ids, .grows = true };
        seq->next_ids = NULL;
    }
    span->ids[span->n_ids++] = id;
    span->info.count++;
    seq->length++;
    seq->t_next++;
    return 0;
}
