/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes and points of an answer in JSON as steps of a trace, for formats without place tokens: each a claim with its label, a mark in pixels of the original and an object; the answer gets
 * the same marks. Reading them: boxes.c. Called by record.c when an answer is complete. */
#include "libmuse/reason/boxes.h"
#include "libmuse/reason/record_steps.h"

#include <string.h>

typedef struct Boxes {
    MuseAgent *a;
    MuseError *err;
} Boxes;

/* in pixels of the original, in a picture of the trace; or why not */
static const char *mark_of(const MuseAgent *a, const MuseBox *box, MuseTraceMark *out)
{
    const uint64_t number = box->image ? (uint64_t)box->image : a->first_picture;
    MuseImageInfo info;
    if (!box->n) return "a box is four numbers, a point two";
    if (number > a->n_pictures || !a->pictures[number - 1].traced) return "there is no picture of this number";
    const MusePicture *p = &a->pictures[number - 1];
    muse_image_info(p->image, &info);
    const MuseCoords coords = muse_coords_thousand((MuseRect){ 0, 0, info.width, info.height }, a->shared->boxes == MUSE_BOXES_Y_FIRST);
    if (muse_coords_to_rect(&coords, box->v, box->n, &out->rect, NULL) < 0) return "numbers go from 0 to 1000, and a box has an area";
    *out = muse_record_mark(a->record, p->traced, muse_agent_to_original(p->image, out->rect));
    return NULL;
}

/* what can't be drawn is said in a step of its own */
static int add_bad(MuseAgent *a, const MuseBox *box, const char *why, MuseError *err)
{
    static const char head[] = "not understood: ";
    MuseBuf b = { .alloc = &a->shared->rt->alloc };
    MuseTraceStep s = muse_record_step_of(a, MUSE_STEP_THOUGHT);
    int rc = muse_buf_append(&b, head, sizeof head - 1);
    if (rc == 0 && box->n_label) rc = muse_buf_append(&b, box->label, box->n_label);
    if (rc == 0 && box->n_label) rc = muse_buf_append(&b, ": ", 2);
    if (rc == 0) rc = muse_buf_append(&b, why, strlen(why));
    rc = rc < 0 ? MUSE_NOMEM(err, box->n_label) : muse_record_add(a, &s, (const char *)b.data, b.len, &a->record->at, &a->record->at, NULL, err);
    muse_buf_clear(&b);
    return rc;
}

static int add_box(void *user, const MuseBox *box)
{
    const Boxes *u = user;
    MuseAgent *a = u->a;
    Record *r = a->record;
    MuseTraceMark mark;
    const char *why = mark_of(a, box, &mark);
    if (why) return add_bad(a, box, why, u->err);
    if (box->n_label) mark.object = muse_record_thing(a, box->label, box->n_label, &mark);
    MuseTraceStep s = muse_record_step_of(a, box->n_label ? MUSE_STEP_CLAIM : box->n == 4 ? MUSE_STEP_BOX : MUSE_STEP_POINT);
    s.marks = &mark;
    s.n_marks = 1;
    const int rc = muse_record_add(a, &s, box->label, box->n_label, &r->at, &r->at, NULL, u->err);   /* which tokens were its own nobody knows */
    return rc == 0 && muse_buf_append(&r->answer_marks, &mark, sizeof mark) < 0 ? MUSE_NOMEM(u->err, sizeof mark) : rc;
}

int muse_record_boxes(MuseAgent *a, const char *answer, size_t n, MuseError *err)
{
    Boxes u = { a, err };
    if (a->shared->boxes == MUSE_BOXES_UNKNOWN) return 0;
    const int rc = muse_read_boxes(&a->shared->rt->alloc, answer, n, add_box, &u, err);
    if (rc == MUSE_ERR_FORMAT) return muse_record_note(a, MUSE_STEP_THOUGHT, "not understood", "boxes in what is no JSON", err);
    return rc;
}
