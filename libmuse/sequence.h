/* SPDX-License-Identifier: Apache-2.0 */
/* MuseSequence from the inside. Users: sequence.c, sequence_edit.c, draw.c, session, chat. */
#ifndef LIBMUSE_SEQUENCE_H
#define LIBMUSE_SEQUENCE_H

#include "muse/sequence.h"
#include "ops/runtime.h"

/* One appended part. Its positions are, in order: begin marker (if any), features with a row-end marker after each row of
 * patches (if any), end marker (if any); of text: begin marker (if any), ids. Where a position lies is arithmetic. */
typedef struct MuseSpan {
    MuseSpanInfo info;
    int32_t  begin_id, soft_id, row_end_id, end_id;   /* -1: there is none */
    int32_t  t;             /* of its first position */
    int32_t *ids;           /* text: its ids, without the marker */
    size_t   n_ids;
    bool     from_text;     /* appended as text, not as ids */
    bool     grows;         /* ids one at a time: what a model writes; info.hash is made when asked for */
    MuseImage   *image;     /* kept original; NULL for a placeholder */
    MusePatches *patches;
    MuseAudio   *audio;
    MuseFrames  *frames;
    float       *rows;      /* [n_features, feature_width] */
    uint64_t     n_samples; /* audio: of the original */
    uint32_t     rate;
} MuseSpan;

struct MuseSequence {
    MuseRuntime *rt;
    MuseFamily   family;
    const MuseTextTokenizer *tokenizer;
    uint64_t  max_positions;
    MuseSpan *spans;
    size_t    n_spans, cap_spans;
    size_t    length;
    int32_t   t_next;
    uint32_t  n_images, n_audios;
    bool      text_begun;
    size_t    low;          /* the shortest it has been since a session looked; SIZE_MAX: no shorter */
    int32_t  *next_ids;     /* room for the ids of the next growing span; NULL: none yet */
};

/* What lies at an offset of a span. */
typedef struct MusePlace {
    bool    is_marker;
    int32_t id;             /* -1 at features without placeholder id */
    size_t  index;          /* feature or token; of a row-end marker the next feature */
    int32_t t, y, x;
} MusePlace;

MusePlace muse_span_place(const MuseSpan *span, size_t offset);
size_t    muse_sequence_span_of(const MuseSequence *seq, size_t i);   /* the span that holds position i, which exists */
void      muse_span_clear(MuseSpan *span);
void      muse_span_hash_ids(const MuseSpan *span, uint8_t hash[32]);

/* A span of text from its ids and begin marker, which are taken over; on error the span is the caller's to clear. 0; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM. */
int       muse_sequence_push_ids(MuseSequence *seq, MuseSpan *span, MuseError *err);

/* muse_sequence_hash() at several lengths, ascending, none inside a medium, in one pass: out[i] of the first at[i] positions */
void muse_sequence_hashes(const MuseSequence *seq, const size_t *at, size_t n, uint8_t (*out)[32]);

/* One more id of what a model writes; the caller has checked it. 0; MUSE_ERR_NOMEM, MUSE_ERR_LIMIT: unchanged. Allocates nothing
 * for the next n after muse_sequence_reserve_ids(n). */
int muse_sequence_push_id(MuseSequence *seq, int32_t id, MuseError *err);
int muse_sequence_reserve_ids(MuseSequence *seq, size_t n, MuseError *err);

#endif
