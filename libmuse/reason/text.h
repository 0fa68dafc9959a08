/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of texts and growing lists in the caller's memory. Users: this folder. */
#ifndef LIBMUSE_REASON_TEXT_H
#define LIBMUSE_REASON_TEXT_H

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

/* a copy with a NUL behind it, also of n = 0; NULL: no memory */
static inline char *muse_reason_copy(const MuseAllocator *a, const char *text, size_t n)
{
    size_t size;
    char *copy = muse_add_size(n, 1, &size) ? muse_alloc(a, size) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

/* room for one more of item_bytes in *list; 0 or MUSE_ERR_NOMEM, unchanged then */
static inline int muse_reason_grow(const MuseAllocator *a, void **list, size_t n, size_t *cap, size_t item_bytes)
{
    if (n < *cap) return 0;
    const size_t more = *cap ? *cap * 2 : 4;
    void *moved = muse_realloc_array(a, *list, more, item_bytes);
    if (!moved) return MUSE_ERR_NOMEM;
    *list = moved;
    *cap = more;
    return 0;
}

#endif
