/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes and points that an answer names in JSON, as models without place tokens write them: [{"box_2d": [100, 200, 300, 400], "label": "dog"}].
 * Users: record_boxes.c, the fuzz target. */
#ifndef LIBMUSE_REASON_BOXES_H
#define LIBMUSE_REASON_BOXES_H

#include "base/alloc.h"
#include "base/status.h"

typedef struct MuseBox {
    const char *label;          /* n_label bytes, not terminated; n_label 0: there is none */
    size_t      n_label;
    int64_t     image;          /* the object's "image", a number; 0: there is none; -1: none that a picture could have */
    size_t      n;              /* 4: a box, 2: a point; 0: not that many numbers */
    double      v[4];           /* as written */
} MuseBox;

/* 0, or an error that ends the reading */
typedef int MuseBoxFn(void *user, const MuseBox *box);

/* Each "box_2d", "bbox_2d" and "point_2d" of an answer that is JSON, or holds one fenced block of it, in order. Other answers have none.
 * 0; MUSE_ERR_FORMAT: one of these names, but no JSON; MUSE_ERR_NOMEM; what fn gave, which tells err itself. */
int muse_read_boxes(const MuseAllocator *alloc, const char *text, size_t n, MuseBoxFn *fn, void *user, MuseError *err);

#endif
