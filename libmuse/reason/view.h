/* SPDX-License-Identifier: Apache-2.0 */
/* Parts with their pictures seen in another way. Users: reason.c, tests. */
#ifndef LIBMUSE_REASON_VIEW_H
#define LIBMUSE_REASON_VIEW_H

#include <stdbool.h>

#include "libmuse/reason/agent.h"

/* Way `number` of MUSE_VIEWS, 0: all of it. Pixels of the picture. */
MuseRect muse_reason_view(uint32_t width, uint32_t height, uint32_t number);
bool muse_reason_has_views(const MuseReasonPart *parts, size_t n);   /* false: all ways are the same */

/* A copy of the parts, with regions for pictures. Release with muse_reason_view_close(), which takes NULL too. */
int  muse_reason_view_open(MuseReasonPart **out, const MuseAllocator *alloc, const MuseReasonPart *parts, size_t n, uint32_t number, MuseError *err);
void muse_reason_view_close(MuseReasonPart *parts, size_t n);

#endif
