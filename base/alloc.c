/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of the caller's allocator, aligned, with a header that remembers size and allocator. No pools. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/status.h"

enum { HUGE_PAGE = 2 << 20 };   /* x86-64, and arm64 with pages of 4 KiB; elsewhere the request is for more or less than it could be */

/* Lies in the 64 bytes before every block. */
typedef struct Header {
    MuseAllocator alloc;
    void  *raw;    /* what the allocator returned */
    size_t size;   /* usable bytes */
} Header;

_Static_assert(sizeof(Header) <= MUSE_ALIGN, "the header must fit in front of an aligned block");

static void *malloc_alloc(void *user, size_t size) { (void)user; return malloc(size); }
static void malloc_free(void *user, void *ptr) { (void)user; free(ptr); }

static const MuseAllocator malloc_allocator = { malloc_alloc, malloc_free, NULL };

static Header *header_of(const void *ptr) { return (Header *)((uintptr_t)ptr - MUSE_ALIGN); }

void *muse_alloc(const MuseAllocator *a, size_t size)
{
    size_t total;
    if (size == 0 || !muse_add_size(size, 2 * MUSE_ALIGN, &total)) return NULL;
    const MuseAllocator use = a && a->alloc ? *a : malloc_allocator;
    void *raw = use.alloc(use.user, total);
    if (!raw) return NULL;
    const uintptr_t at = ((uintptr_t)raw + 2 * MUSE_ALIGN - 1) & ~(uintptr_t)(MUSE_ALIGN - 1);
    *header_of((void *)at) = (Header){ use, raw, size };
    return (void *)at;
}

void *muse_zalloc(const MuseAllocator *a, size_t size)
{
    void *ptr = muse_alloc(a, size);
    if (ptr) memset(ptr, 0, size);
    return ptr;
}

void muse_ask_huge(void *block, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    if (bytes < 2 * HUGE_PAGE) return;
    const size_t before = (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
    (void)madvise((uint8_t *)block + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

void *muse_zalloc_huge(const MuseAllocator *a, size_t n, size_t item_bytes)
{
    void *ptr = muse_alloc_array(a, n, item_bytes);
    if (!ptr) return NULL;
    muse_ask_huge(ptr, n * item_bytes);
    memset(ptr, 0, n * item_bytes);
    return ptr;
}

void *muse_alloc_array(const MuseAllocator *a, size_t n, size_t item_bytes)
{
    size_t size;
    return muse_mul_size(n, item_bytes, &size) ? muse_alloc(a, size) : NULL;
}

void *muse_zalloc_array(const MuseAllocator *a, size_t n, size_t item_bytes)
{
    size_t size;
    return muse_mul_size(n, item_bytes, &size) ? muse_zalloc(a, size) : NULL;
}

void *muse_realloc(const MuseAllocator *a, void *ptr, size_t size)
{
    void *moved = muse_alloc(a, size);
    if (!moved || !ptr) return moved;
    const size_t old = header_of(ptr)->size;
    memcpy(moved, ptr, old < size ? old : size);
    muse_free(ptr);
    return moved;
}

void *muse_realloc_array(const MuseAllocator *a, void *ptr, size_t n, size_t item_bytes)
{
    size_t size;
    return muse_mul_size(n, item_bytes, &size) ? muse_realloc(a, ptr, size) : NULL;
}

char *muse_copy_text(const MuseAllocator *a, const char *text, size_t n)
{
    size_t size;
    char *copy = muse_add_size(n, 1, &size) ? muse_alloc(a, size) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

int muse_grow(const MuseAllocator *a, void **list, size_t n, size_t *cap, size_t item_bytes)
{
    if (n < *cap) return 0;
    const size_t more = *cap ? *cap * 2 : 4;
    void *moved = muse_realloc_array(a, *list, more, item_bytes);
    if (!moved) return MUSE_ERR_NOMEM;
    *list = moved;
    *cap = more;
    return 0;
}

size_t muse_alloc_size(const void *ptr) { return ptr ? header_of(ptr)->size : 0; }

void muse_free(void *ptr)
{
    if (!ptr) return;
    const Header h = *header_of(ptr);
    h.alloc.free(h.alloc.user, h.raw);
}

int muse_buf_reserve(MuseBuf *b, size_t n)
{
    size_t need;
    if (!muse_add_size(b->len, n, &need)) return MUSE_ERR_NOMEM;
    if (need <= b->cap && b->data) return 0;
    size_t cap = b->cap < SIZE_MAX / 2 ? b->cap * 2 : need;
    if (cap < need) cap = need;
    if (cap < 64) cap = 64;
    uint8_t *data = muse_realloc(b->alloc, b->data, cap);
    if (!data) return MUSE_ERR_NOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int muse_buf_append(MuseBuf *b, const void *bytes, size_t n)
{
    const int rc = muse_buf_reserve(b, n);
    if (rc < 0) return rc;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    return 0;
}

void muse_buf_clear(MuseBuf *b)
{
    muse_free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}
