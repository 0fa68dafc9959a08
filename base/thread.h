/* SPDX-License-Identifier: Apache-2.0 */
/* The thread team of a runtime: workers that wait between regions, first spinning (a decoder step is a hundred regions, each
 * soon after the last), then asleep. Users: ops, tokenizers, libmuse. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "muse/runtime.h"

typedef struct MusePool MusePool;

typedef struct MuseTeam {
    uint32_t  threads;   /* 1..1024 */
    MusePool *pool;      /* NULL: everything runs on the caller's thread, in as many ranges */
} MuseTeam;

/* Cores this process may run on (affinity mask), at least 1. */
uint32_t muse_cpu_count(void);

/* A pool for a team of this size; its workers start with the first region. NULL: no memory, or one thread. */
MusePool *muse_pool_open(const MuseAllocator *a, uint32_t threads);
void muse_pool_close(MusePool **pool);

/* pthread_create(), but the thread takes no signals sent to the process: they go to the program's own threads. Faults (SIGSEGV,
 * SIGBUS and the like) stay open, since a blocked one kills the process past the program's handler. 0 or an errno
 * value. attr: borrowed, NULL = defaults. The caller joins it, unless attr detaches it. */
int muse_thread_start(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *user);

/* fn(user, begin, end) over disjoint ranges that cover 0..n, at most team->threads of them; returns when all are done. Ranges are at
 * least `grain` long (but for the last). With one range it is a plain call. Ranges that no worker has begun, the caller does itself,
 * so a team on a busy machine is hardly slower than one thread. Several callers may share a team: one gets the workers, the others
 * work alone; so does a region inside a region. */
typedef void MuseRangeFn(void *user, size_t begin, size_t end);
void muse_parallel_for(const MuseTeam *team, size_t n, size_t grain, MuseRangeFn *fn, void *user);

#endif
