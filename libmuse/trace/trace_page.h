/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a trace's page that trace_html.c puts together. */
#ifndef LIBMUSE_TRACE_TRACE_PAGE_H
#define LIBMUSE_TRACE_TRACE_PAGE_H

#include "libmuse/trace/trace.h"

/* Labels of all steps on a picture, as SVG. unit: pixels of the picture that are a CSS pixel; letter: CSS pixels; grows: by so much in narrow windows. 0; MUSE_ERR_NOMEM */
int muse_trace_numbers(MuseOut *o, const MuseTrace *t, uint32_t image, double unit, double letter, double grows, MuseError *err);

extern const char muse_page_head[], muse_page_style[], muse_page_buttons[], muse_page_script[];

#endif
