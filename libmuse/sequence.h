/* SPDX-License-Identifier: Apache-2.0 */
/* MuseSequence from the inside. Users: sequence.c, draw.c, later embed/ and session. */
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
};

/* What lies at an offset of a span. */
typedef struct MusePlace {
    bool    is_marker;
    int32_t id;             /* -1 at features without placeholder id */
    size_t  index;          /* feature or token; of a row-end marker the next feature */
    int32_t t, y, x;
} MusePlace;

MusePlace muse_span_place(const MuseSpan *span, size_t offset);

#endif
