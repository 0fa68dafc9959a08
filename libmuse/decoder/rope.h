/* SPDX-License-Identifier: Apache-2.0 */
/* Angles of the rotary positions. Users: decoder.c, tests. */
#ifndef LIBMUSE_DECODER_ROPE_H
#define LIBMUSE_DECODER_ROPE_H

#include "libmuse/model/config.h"

/* f: [rope->pairs] radians a step; axis: [rope->pairs] 0 time, 1 row, 2 column. MuseRope says how. */
void muse_rope_frequencies(const MuseRope *rope, double *f, uint8_t *axis);

/* Does it tell time, row and column apart? */
static inline bool muse_rope_axes(const MuseRope *rope) { return rope->axes[0] || rope->axes[1] || rope->axes[2]; }

#endif
