/* SPDX-License-Identifier: Apache-2.0 */
/* The mask: which keys a query sees. For every family, window and variant that is one range, because a query lies inside its
 * own picture. Users: decoder.c, tests (against a slow matrix). */
#ifndef LIBMUSE_DECODER_MASK_H
#define LIBMUSE_DECODER_MASK_H

#include "libmuse/model/config.h"

typedef struct MuseRange {
    uint32_t lo, hi;   /* keys at positions lo <= p < hi */
} MuseRange;

/* For the query at position p of a layer with this window (0: none). [block_begin, block_end): the soft tokens of the picture
 * that p belongs to; equal: none. Gemma spec 2.6: A adds the block to causal attention in windowed layers only, and the window
 * still cuts what is too old; B adds the whole block in every layer. */
static inline MuseRange muse_mask_range(MuseImageMask rule, uint32_t window, uint32_t p, uint32_t block_begin, uint32_t block_end)
{
    MuseRange r = { window && p >= window ? p - window + 1 : 0, p + 1 };
    if (block_begin >= block_end || rule == MUSE_MASK_CAUSAL || (rule == MUSE_MASK_A && !window)) return r;
    if (block_end > r.hi) r.hi = block_end;
    if (rule == MUSE_MASK_B && block_begin < r.lo) r.lo = block_begin;
    return r;
}

#endif
