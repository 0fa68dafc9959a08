/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is ours but that nobody may touch now: under ASan an access is reported, elsewhere this is nothing. Users: arena.c, slab.c, tests. */
#ifndef BASE_FENCE_H
#define BASE_FENCE_H

#include "base/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define MUSE_FENCES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MUSE_FENCES 1
#endif
#endif

/* MUSE_RED_ZONE: fenced bytes behind each piece that is handed out, a multiple of MUSE_ALIGN */
#ifdef MUSE_FENCES
#include <sanitizer/asan_interface.h>
enum { MUSE_RED_ZONE = MUSE_ALIGN };
static inline void muse_fence(const void *at, size_t bytes) { ASAN_POISON_MEMORY_REGION(at, bytes); }
static inline void muse_unfence(const void *at, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(at, bytes); }
static inline bool muse_fenced(const void *at) { return __asan_address_is_poisoned(at) != 0; }
#else
enum { MUSE_RED_ZONE = 0 };
static inline void muse_fence(const void *at, size_t bytes) { (void)at, (void)bytes; }
static inline void muse_unfence(const void *at, size_t bytes) { (void)at, (void)bytes; }
static inline bool muse_fenced(const void *at) { (void)at; return false; }
#endif

#endif
