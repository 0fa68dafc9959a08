/* SPDX-License-Identifier: Apache-2.0 */
/* Between the page of a drawing (trace_draw.c) and the marks on one picture (trace_marks.c). */
#ifndef LIBMUSE_TRACE_TRACE_DRAW_H
#define LIBMUSE_TRACE_TRACE_DRAW_H

#include "libmuse/canvas.h"
#include "libmuse/trace/trace.h"

/* A step that is drawn: its number and what it shows */
static inline bool muse_trace_shown(const MuseTrace *t, const MuseTraceDrawParams *p, size_t i)
{
    const MuseTraceStep *s = muse_trace_at(t, i);
    return (!p->step || p->step == i + 1) && (!p->agent || !s->agent || s->agent == p->agent);
}

/* the colour of a mark or of a step's number: by object where one is named, else by step */
uint32_t muse_trace_colour(uint32_t object, size_t step);
/* the same for a step that may repeat an earlier place: that one's */
uint32_t muse_trace_step_colour(const MuseTrace *t, const MuseTraceDrawParams *p, size_t step);
/* black or white, whichever reads better on a colour */
uint32_t muse_trace_ink_on(uint32_t colour);

/* Marks of all steps that are shown on picture `image`, which is drawn at `at` on the canvas; height: of the labels' text.
 * left_out: labels that found no place. 0 or MUSE_ERR_NOMEM */
int muse_trace_draw_marks(const MuseTrace *t, const MuseTraceDrawParams *p, const MuseCanvas *c, uint32_t image, MuseRect at, double height, size_t *left_out, MuseError *err);

#endif
