/* SPDX-License-Identifier: Apache-2.0 */
/* Time to make a sample with its branches, by world and size, on one core. Nothing is asserted. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tools/worlds/worlds.h"

enum { BATCH = 200, ROUNDS = 5 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int count(void *user, const MuseWorldsSample *s)
{
    *(size_t *)user += s->n_branches;
    return 0;
}

static int time_world(MuseWorldsMaker *maker, const char *world, uint32_t low, uint32_t high)
{
    MuseWorldsOptions o;
    MuseError err;
    double ms[ROUNDS];
    size_t branches = 0;
    muse_worlds_options_init(&o);
    o.min_side = low;
    o.max_side = high;
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now();
        if (muse_worlds_run(maker, world, 1, (uint64_t)i * BATCH, BATCH, &o, count, &branches, &err) < 0) {
            printf("%-7s %s\n", world, err.text);
            return 1;
        }
        ms[i] = (now() - start) * 1e3 / BATCH;
    }
    qsort(ms, ROUNDS, sizeof *ms, compare);
    printf("%-7s %4u..%-4u px  %7.3f ms a sample (%.3f to %.3f), %.1f branches\n", world, low, high, ms[ROUNDS / 2], ms[0], ms[ROUNDS - 1], (double)branches / BATCH / ROUNDS);
    return 0;
}

int main(void)
{
    MuseWorlds *worlds;
    MuseWorldsMaker *maker;
    MuseWorldsParams p;
    MuseError err;
    muse_worlds_params_init(&p);
    p.fonts = MUSE_WORLDS_FONTS_BUILTIN;   /* outlines of about equal length; no fonts need be installed */
    if (muse_worlds_open(&worlds, &p, &err) < 0 || muse_worlds_maker_open(&maker, worlds, &err) < 0) {
        printf("%s\n", err.text);
        return 1;
    }
    int failed = time_world(maker, "scenes", 64, 64) | time_world(maker, "scenes", 64, 128) | time_world(maker, "scenes", 256, 256) | time_world(maker, "scenes", 512, 512);
    failed |= time_world(maker, "pairs", 64, 128) | time_world(maker, "print", 256, 256) | time_world(maker, "charts", 96, 128) | time_world(maker, "text", 64, 128);
    failed |= time_world(maker, "track", 64, 64) | time_world(maker, "tables", 64, 128) | time_world(maker, "svg", 64, 128) | time_world(maker, "odd", 64, 128);
    failed |= time_world(maker, "solid", 64, 128) | time_world(maker, "drills", 0, 0) | time_world(maker, "tones", 0, 0);
    muse_worlds_maker_close(&maker);
    muse_worlds_close(&worlds);
    return failed;
}
