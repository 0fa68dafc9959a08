/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine can do at most, on all threads of a runtime. The loops of instruction sets: x86/peak_vec.c. */
#include "ops/peak.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/status.h"
#include "config.h"
#include "muse/limits.h"
#include "ops/runtime.h"

enum { BUFFER = 512 << 20, READ_GRAIN = 1 << 20 };   /* beyond the caches of most machines */
static const double SECONDS_MIN = 0.005;             /* a peak is timed over at least four times this */

uint64_t muse_read_bytes_c(const uint8_t *p, size_t n)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        sum ^= word;
    }
    return sum;
}

#define READ(need, name) MuseReadBytes name;
#define PEAK(member, need, name, per_round) MuseMultiplyAdds name;
#include "ops/peak_kernels.inc"
#undef READ
#undef PEAK

void muse_peak_ops_init(MusePeakOps *ops, unsigned cpu)
{
    *ops = (MusePeakOps){ 0 };
#define READ(need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->read = name;
#define PEAK(member, need, name, per_round) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->member = (MusePeak){ name, per_round };
#include "ops/peak_kernels.inc"
#undef READ
#undef PEAK
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct Work {
    const MusePeakOps *ops;
    uint8_t     *buffer;
    const MusePeak *peak;
    uint64_t     rounds;
    atomic_uint_fast64_t sum;   /* so that nothing read is read for nothing */
} Work;

/* by the threads that will read it, so that on a machine of several nodes each has its part nearby */
static void write_range(void *user, size_t begin, size_t end)
{
    memset(((Work *)user)->buffer + begin, 1, end - begin);
}

static void read_range(void *user, size_t begin, size_t end)
{
    Work *w = user;
    atomic_fetch_xor(&w->sum, w->ops->read(w->buffer + begin, end - begin));
}

static void peak_range(void *user, size_t begin, size_t end)
{
    const Work *w = user;
    w->peak->fn(w->rounds * (end - begin));
}

/* The rounds are chosen on the calling thread alone: waking the others may take longer than a short loop, on a busy machine. */
static double measure_peak(MuseRuntime *rt, Work *w, const MusePeak *peak)
{
    if (!peak->fn) return 0;
    double seconds = 0;
    for (w->rounds = 1000; seconds < SECONDS_MIN; w->rounds *= 4) {
        const double t = now();
        peak->fn(w->rounds);
        seconds = now() - t;
    }
    w->peak = peak;
    const double t = now();
    muse_parallel_for(&rt->team, rt->team.threads, 1, peak_range, w);
    return 1e-9 * (double)w->rounds * rt->team.threads * peak->ops / (now() - t);
}

int muse_measure_limits(MuseRuntime *rt, MuseLimits *out, MuseError *err)
{
    MUSE_REQUIRE(err, rt && out);
    MusePeakOps ops;
    muse_peak_ops_init(&ops, rt->cpu);
    Work w = { .ops = &ops, .buffer = muse_alloc(&rt->alloc, BUFFER) };
    if (!w.buffer) return MUSE_NOMEM(err, BUFFER);
    muse_parallel_for(&rt->team, BUFFER, READ_GRAIN, write_range, &w);
    const double t = now();
    muse_parallel_for(&rt->team, BUFFER, READ_GRAIN, read_range, &w);
    out->read_gbs = 1e-9 * BUFFER / (now() - t);
    muse_free(w.buffer);
    out->fma_f32_gflops = measure_peak(rt, &w, &ops.fma_f32);
    out->dot_bf16_gflops = measure_peak(rt, &w, &ops.dot_bf16);
    out->dot_int8_gops = measure_peak(rt, &w, &ops.dot_int8);
    out->amx_bf16_gflops = measure_peak(rt, &w, &ops.amx_bf16);
    out->amx_int8_gops = measure_peak(rt, &w, &ops.amx_int8);
    return 0;
}
