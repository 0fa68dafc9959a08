/* SPDX-License-Identifier: Apache-2.0 */
/* The thread team: OpenMP, one setting per runtime. Users: ops, tokenizers, decoder. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <stddef.h>
#include <stdint.h>

typedef struct MuseTeam {
    uint32_t threads;   /* 1..1024 */
} MuseTeam;

/* Cores this process may run on (affinity mask), at least 1. */
uint32_t muse_cpu_count(void);

/* fn(user, begin, end) over disjoint ranges that cover 0..n, on at most team->threads threads, the caller's among them;
 * returns when all are done. Ranges are at least `grain` long (but for the last). With one range it is a plain call. */
typedef void MuseRangeFn(void *user, size_t begin, size_t end);
void muse_parallel_for(const MuseTeam *team, size_t n, size_t grain, MuseRangeFn *fn, void *user);

#endif
