/* SPDX-License-Identifier: Apache-2.0 */
/* Memory from the caller's allocator. Blocks are 64-byte aligned and know their size and their allocator,
 * so muse_free() needs nothing but the pointer. Users: everything. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "muse/runtime.h"

enum { MUSE_ALIGN = 64 };

/* a: NULL or a->alloc NULL means malloc and free. All return NULL when there is no memory or size is 0. */
void *muse_alloc(const MuseAllocator *a, size_t size);
void *muse_zalloc(const MuseAllocator *a, size_t size);
void *muse_alloc_array(const MuseAllocator *a, size_t n, size_t item_bytes);   /* n * item_bytes, checked */
void *muse_zalloc_array(const MuseAllocator *a, size_t n, size_t item_bytes);
/* Asks for huge pages for what of a block they can hold: a hint, before it is written to. For memory that is used in full, from 4 MiB
 * on; less is left as it is. */
void muse_ask_huge(void *block, size_t bytes);
void *muse_zalloc_huge(const MuseAllocator *a, size_t n, size_t item_bytes);   /* muse_zalloc_array() with it */
/* ptr may be NULL; on failure ptr is still valid and NULL comes back. Contents are kept up to the smaller size. */
void *muse_realloc(const MuseAllocator *a, void *ptr, size_t size);
void *muse_realloc_array(const MuseAllocator *a, void *ptr, size_t n, size_t item_bytes);
/* a copy with a NUL behind it, also of n = 0 (text may be NULL then); NULL: no memory */
char *muse_copy_text(const MuseAllocator *a, const char *text, size_t n);
/* room for one more of item_bytes in *list, which has n of *cap; 0 or MUSE_ERR_NOMEM, unchanged then */
int muse_grow(const MuseAllocator *a, void **list, size_t n, size_t *cap, size_t item_bytes);
/* usable bytes of a block, 0 for NULL */
size_t muse_alloc_size(const void *ptr);

/* checked size arithmetic: false when the result does not fit, *out is then unchanged */
static inline bool muse_mul_size(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

static inline bool muse_add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

/* A growing array. Start with zeros; release with muse_buf_clear(). */
typedef struct MuseBuf {
    const MuseAllocator *alloc;
    uint8_t *data;
    size_t   len, cap;   /* bytes */
} MuseBuf;

/* Make room for n more bytes (amortised doubling); data is not NULL then, also for n = 0. 0 or MUSE_ERR_NOMEM; unchanged on error. */
int muse_buf_reserve(MuseBuf *b, size_t n);
int muse_buf_append(MuseBuf *b, const void *bytes, size_t n);
void muse_buf_clear(MuseBuf *b);

#endif
