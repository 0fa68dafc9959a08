/* SPDX-License-Identifier: Apache-2.0 */
/* Times resampling on one thread.
 *   bench_resize                                  a list of shapes, medians
 *   bench_resize --serve FILE W H DW DH CHANNELS PRECISION LEVEL OUT
 *       for tests/bench/pillow_resize.py: reads W x H raw pixels, then times one run for each line on stdin, printing
 *       nanoseconds; at the end of stdin writes the result to OUT. LEVEL: auto, c, avx2, avx512. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "muse/family.h"
#include "ops/cpu.h"
#include "ops/runtime.h"
#include "tokenizers/image/resize.h"

enum { PUSH = 16, RUNS = 15 };   /* rows a push: what a JPEG decoder gives at a time */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_resize: %s\n", what);
    exit(1);
}

static MuseRuntime *open_runtime(const char *level)
{
    MuseRuntimeParams params;
    MuseError err;
    muse_runtime_params_init(&params);
    params.threads = 1;
    while (strcmp(level, "auto") && strcmp(level, muse_cpu_level_name(params.cpu_level)))
        if (++params.cpu_level > MUSE_CPU_AMX) die("unknown level");
    MuseRuntime *rt = NULL;
    if (muse_runtime_open(&rt, &params, &err) < 0) die(err.text);
    return rt;
}

/* one resize with everything that belongs to it: tables, memory, both passes */
static double run(MuseRuntime *rt, const MuseResizeSpec *s, const uint8_t *src, uint8_t *dst)
{
    const size_t stride = (size_t)s->src_width * (size_t)s->channels;
    const double begin = now_ns();
    MuseResizer *r = NULL;
    MuseError err;
    if (muse_resizer_open(&r, rt, s, dst, 0, &err) < 0) die(err.text);
    for (uint32_t y = 0; y < s->src_height; y += PUSH) {
        const uint32_t n = s->src_height - y < PUSH ? s->src_height - y : PUSH;
        if (muse_resizer_push(r, src + y * stride, 0, n, &err) < 0) die(err.text);
    }
    muse_resizer_close(&r);
    return now_ns() - begin;
}

static uint8_t *pixels(size_t n)
{
    uint8_t *p = malloc(n);
    if (!p) die("no memory");
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    return p;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_shapes(void)
{
    static const MuseResizeSpec shapes[] = {
        { 4000, 3000, 912, 672, 3, MUSE_FILTER_BICUBIC, 0, 0 },  { 4000, 3000, 912, 672, 3, MUSE_FILTER_BICUBIC, 1, 0 },
        { 4000, 3000, 912, 672, 3, MUSE_FILTER_BICUBIC, 0, 1 },  { 4000, 3000, 912, 672, 1, MUSE_FILTER_BICUBIC, 0, 0 },
        { 4000, 3000, 912, 672, 4, MUSE_FILTER_BICUBIC, 0, 0 },  { 4000, 3000, 224, 168, 3, MUSE_FILTER_BICUBIC, 0, 0 },
        { 1920, 1080, 1056, 576, 3, MUSE_FILTER_BICUBIC, 0, 0 }, { 640, 480, 912, 672, 3, MUSE_FILTER_BICUBIC, 0, 0 },
        { 224, 224, 768, 768, 3, MUSE_FILTER_BICUBIC, 0, 0 },    { 4000, 3000, 1440, 1080, 3, MUSE_FILTER_BILINEAR, 0, 0 },
    };
    static const char *const levels[] = { "c", "avx2", "avx512" };
    const unsigned best = muse_cpu_level_of_bits(muse_cpu_detect());
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const MuseResizeSpec *s = &shapes[i];
        uint8_t *src = pixels((size_t)s->src_width * s->src_height * (size_t)s->channels);
        uint8_t *dst = pixels((size_t)s->dst_width * s->dst_height * (size_t)s->channels);
        printf("%ux%u -> %ux%u, %d channels, filter %u, %s%s:", s->src_width, s->src_height, s->dst_width, s->dst_height, s->channels, s->filter,
               s->precision ? "Pillow" : "PyTorch", s->turn & MUSE_TURN_TRANSPOSE ? ", vertical first" : "");
        for (unsigned k = 0; k < 3 && k < best; k++) {
            MuseRuntime *rt = open_runtime(levels[k]);
            double t[RUNS];
            for (int n = 0; n < RUNS; n++) t[n] = run(rt, s, src, dst);
            qsort(t, RUNS, sizeof *t, compare_doubles);
            printf("  %s %.2f ms", levels[k], t[RUNS / 2] / 1e6);
            muse_runtime_close(&rt);
        }
        printf("\n");
        free(src);
        free(dst);
    }
}

static void serve(char **a)
{
    const MuseResizeSpec s = { (uint32_t)atoi(a[1]), (uint32_t)atoi(a[2]), (uint32_t)atoi(a[3]), (uint32_t)atoi(a[4]), atoi(a[5]),
                               MUSE_FILTER_BICUBIC, (uint32_t)atoi(a[6]), 0 };
    const size_t n = (size_t)s.src_width * s.src_height * (size_t)s.channels, m = (size_t)s.dst_width * s.dst_height * (size_t)s.channels;
    uint8_t *src = pixels(n), *dst = pixels(m);
    FILE *f = fopen(a[0], "rb");
    if (!f || fread(src, 1, n, f) != n) die("the pixel file is too short");
    fclose(f);
    MuseRuntime *rt = open_runtime(a[7]);
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        printf("%.0f\n", run(rt, &s, src, dst));
        fflush(stdout);
    }
    f = fopen(a[8], "wb");
    if (!f || fwrite(dst, 1, m, f) != m || fclose(f)) die("can not write the result");
    muse_runtime_close(&rt);
    free(src);
    free(dst);
}

int main(int argc, char **argv)
{
    if (argc == 11 && !strcmp(argv[1], "--serve")) serve(argv + 2);
    else if (argc == 1) bench_shapes();
    else die("usage: bench_resize | bench_resize --serve FILE W H DW DH CHANNELS PRECISION LEVEL OUT");
    return 0;
}
