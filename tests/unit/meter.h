/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator that counts calls and bytes, and fails when told to; from any thread. Users: unit tests. */
#ifndef TESTS_UNIT_METER_H
#define TESTS_UNIT_METER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "muse/runtime.h"

/* Begin with zeros. */
typedef struct Meter {
    atomic_size_t live, peak;   /* bytes */
    atomic_long   calls;
    long          fail_at;      /* this call fails; 0: none */
    long          fail_from;    /* this one and all after it; 0: none */
    size_t        watch;        /* how often this many bytes were asked for */
    atomic_size_t watched;
} Meter;

/* n more calls succeed, then none */
static inline void meter_leave(Meter *m, long n) { m->fail_from = m->calls + n + 1; }

static inline void *meter_alloc(void *user, size_t size)
{
    Meter *m = user;
    const long call = atomic_fetch_add(&m->calls, 1) + 1;
    if (call == m->fail_at || (m->fail_from && call >= m->fail_from)) return NULL;
    if (size == m->watch) m->watched++;
    size_t *p = malloc(size + 64);
    if (!p) return NULL;
    *p = size;
    const size_t live = atomic_fetch_add(&m->live, size) + size;
    for (size_t peak = m->peak; live > peak && !atomic_compare_exchange_weak(&m->peak, &peak, live);) {}
    return (uint8_t *)p + 64;
}

static inline void meter_free(void *user, void *ptr)
{
    size_t *p = (size_t *)(void *)((uint8_t *)ptr - 64);
    atomic_fetch_sub(&((Meter *)user)->live, *p);
    free(p);
}

static inline MuseAllocator meter_allocator(Meter *m) { return (MuseAllocator){ meter_alloc, meter_free, m }; }

/* A runtime of its own on it. @param threads 0: as many as there are cores */
static inline MuseRuntime *meter_runtime(Meter *m, uint32_t threads)
{
    MuseRuntimeParams p;
    MuseRuntime *rt = NULL;
    muse_runtime_params_init(&p);
    p.allocator = meter_allocator(m);
    p.threads = threads;
    assert_int_equal(muse_runtime_open(&rt, &p, NULL), 0);
    return rt;
}

#endif
