/* SPDX-License-Identifier: Apache-2.0 */
/* parallel_for on OpenMP. The team's size is given per region, so no process-wide setting is touched. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE   /* sched_getaffinity */
#endif
#include "base/thread.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

uint32_t muse_cpu_count(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (uint32_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

void muse_parallel_for(const MuseTeam *team, size_t n, size_t grain, MuseRangeFn *fn, void *user)
{
    if (n == 0) return;
    if (grain == 0) grain = 1;
    size_t parts = n / grain;
    if (parts > team->threads) parts = team->threads;
    if (parts <= 1) {
        fn(user, 0, n);
        return;
    }
#pragma omp parallel for num_threads((int)parts) schedule(static, 1)
    for (size_t i = 0; i < parts; i++) {
        const size_t part = n / parts, extra = n % parts;
        const size_t begin = i * part + (i < extra ? i : extra);
        fn(user, begin, begin + part + (i < extra));
    }
}
