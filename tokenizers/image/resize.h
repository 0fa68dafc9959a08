/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming resampling of 8-bit pictures: source rows in, the whole result out. Users: the image encoder, muse_image_resize().
 *
 * Memory beside the result, with S = src_width * channels, D = dst_width * channels, T = the most source rows that one
 * output row sees (at most 2 * support * max(1, src_height / dst_height) + 2) and B = rows of a round (16 on one thread,
 * 16 a thread up to 64 on more), in bytes:
 *   horizontal pass first:  min(T + B - 1, src_height) * D  +  16 * S   (rows that come in too few at a time wait here)
 *   vertical pass first:    min(T + B - 1, src_height) * S  +  16 * S  +  B * S   (rows between the passes)
 * with up to 6 rows more in the first term where rows are kept in quads,
 * and the weight tables, 2 to 4 for each tap of each output column and row. */
#ifndef TOKENIZERS_IMAGE_RESIZE_H
#define TOKENIZERS_IMAGE_RESIZE_H

#include "muse/runtime.h"

/* A picture that is turned after it was resized, since its rows come as they are stored: the bytes are those of the picture
 * turned first and resized then. */
enum {
    MUSE_TURN_TRANSPOSE = 1,   /* the vertical pass goes before the horizontal one */
    MUSE_TURN_MIRROR_X  = 2,   /* filter windows lie as on the mirrored axis, where rounding may differ */
    MUSE_TURN_MIRROR_Y  = 4
};

typedef struct MuseResizeSpec {
    uint32_t src_width, src_height, dst_width, dst_height;  /* at least 1 */
    int      channels;                                      /* 1, 3 or 4; each by itself, alpha is not special */
    uint32_t filter, precision;                             /* MUSE_FILTER_*, MUSE_PRECISION_* */
    uint32_t turn;                                          /* MUSE_TURN_*, what will be done to the result */
} MuseResizeSpec;

typedef struct MuseResizer MuseResizer;

/* rt is borrowed until close. dst: dst_height rows of dst_width * channels bytes, dst_stride bytes apart (0: no gaps);
 * borrowed until close. 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM. *out is NULL on error. */
int muse_resizer_open(MuseResizer **out, MuseRuntime *rt, const MuseResizeSpec *spec, uint8_t *dst, size_t dst_stride, MuseError *err);

/* The next n_rows source rows, top to bottom, stride bytes apart (0: no gaps). Borrowed for the call. After src_height
 * rows dst is complete. Any cutting into pushes gives the same bytes; multiples of 16 rows save a copy, and large pushes
 * let the team work. 0; MUSE_ERR_ARG: more rows than the spec says, or a stride too small; nothing is changed then. */
int muse_resizer_push(MuseResizer *r, const uint8_t *rows, size_t stride, uint32_t n_rows, MuseError *err);

/* From now on only the calling thread works, whichever that is at each push. */
void muse_resizer_alone(MuseResizer *r);

/* *r becomes NULL; NULL and a pointer to NULL are accepted. Before the last row: what dst holds is undefined. */
void muse_resizer_close(MuseResizer **r);

#endif
