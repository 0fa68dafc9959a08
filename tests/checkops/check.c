/* SPDX-License-Identifier: Apache-2.0 */
/* checkops: runs every kernel variant this CPU can, compares it with its reference, times it under --bench.
 *   --list  --family F  --level c|avx2|avx512|amx  --seed N  --bench [OP]  --self-test
 * Last line: "N passed, N failed, N skipped", counted in variants. Exit: 0; 1 a failure; 2 usage; 77 all skipped. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "amx_trap.h"
#include "muse/runtime.h"
#include "ops/cpu.h"

extern const CheckFamily check_norm, check_resize, check_pixel, check_mel, check_quant, check_matmul, check_act, check_rope, check_attend, check_self;
static const CheckFamily *const families[] = { &check_norm, &check_resize, &check_pixel, &check_mel, &check_quant, &check_matmul, &check_act, &check_rope,
    &check_attend };

enum { FENCE = 64, BLOCKS_MAX = 64, SAMPLES = 15, REPORTS_MAX = 5, REFERENCES_MAX = 512 };

typedef struct Block {
    uint8_t *memory, *data;
    size_t   bytes;
    bool     fenced;
} Block;

struct Check {
    const CheckFamily  *family;
    const CheckVariant *variant;
    uint64_t seed, random;
    unsigned skew;                  /* changes from block to block */
    Block    blocks[BLOCKS_MAX];
    size_t   n_blocks;
    char     note[160];
    unsigned failures, reports;
    bool     quiet;
    /* bench */
    bool        bench;
    const char *bench_only;
    char        label[64];
    double      bytes, begin, samples[SAMPLES];
    long        calls, repeat;
    int         n_samples;          /* -1: finding out how many calls a sample needs */
    struct { char key[128]; double ns; } references[REFERENCES_MAX];   /* times of the C variants */
    size_t      n_references;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

uint32_t check_random(Check *c)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;   /* Knuth's MMIX generator */
    return (uint32_t)(c->random >> 32);
}

static void fail(Check *c, const char *fmt, ...)
{
    c->failures++;
    if (c->quiet || c->reports++ >= REPORTS_MAX) return;
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printf("FAIL %s %s [%s] %s (seed %llu)\n", c->family->name, c->variant->name, c->note, text, (unsigned long long)c->seed);
}

/* data ends where the memory does, or at the fence; it starts skew elements off a 64-byte line */
static Block *new_block(Check *c, size_t bytes, size_t element, bool fenced)
{
    const size_t skew = (c->skew++ * 5 % 16) * element, fence = fenced ? FENCE : 0;
    uint8_t *memory = malloc(64 + skew + bytes + fence);
    if (!memory || c->n_blocks == BLOCKS_MAX) {
        fprintf(stderr, "checkops: no memory or no check_done() in %s\n", c->variant->op);
        exit(1);
    }
    Block *b = &c->blocks[c->n_blocks++];
    *b = (Block){ memory, memory + 64 + skew, bytes, fenced };
    memset(memory, 0xc7, 64 + skew + bytes + fence);
    return b;
}

static void check_fences(Check *c)
{
    for (size_t i = 0; i < c->n_blocks; i++) {
        Block *b = &c->blocks[i];
        if (!b->fenced) continue;
        for (const uint8_t *p = b->memory; p < b->data; p++)
            if (*p != 0xc7) { fail(c, "wrote %td bytes before an output", b->data - p); b->fenced = false; break; }
        for (const uint8_t *p = b->data + b->bytes + FENCE; b->fenced && p-- > b->data + b->bytes;)
            if (*p != 0xc7) { fail(c, "wrote %td bytes past an output", p + 1 - b->data - b->bytes); b->fenced = false; }
    }
}

void check_done(Check *c)
{
    check_fences(c);
    for (size_t i = 0; i < c->n_blocks; i++) free(c->blocks[i].memory);
    c->n_blocks = 0;
}

void *check_out(Check *c, size_t bytes) { return new_block(c, bytes, 1, true)->data; }
float *check_out_f32(Check *c, size_t n) { return (float *)(void *)new_block(c, n * sizeof(float), sizeof(float), true)->data; }

const char *check_kind_name(CheckKind kind)
{
    static const char *const names[CHECK_KINDS] = { "random", "zeros", "huge", "tiny", "offset", "outlier", "infinite", "nan" };
    return names[kind];
}

float *check_f32(Check *c, size_t n, CheckKind kind)
{
    float *p = (float *)(void *)new_block(c, n * sizeof(float), sizeof(float), false)->data;
    for (size_t i = 0; i < n; i++) {
        const float r = (float)((int32_t)check_random(c) / 2147483648.0);
        const bool special = check_random(c) % 37 == 0 || i == n / 2;
        switch (kind) {
        case CHECK_ZEROS: p[i] = 0; break;
        case CHECK_HUGE: p[i] = r * 1e18f; break;
        case CHECK_TINY: p[i] = r * 1e-39f; break;
        case CHECK_OFFSET: p[i] = 1000 + r; break;
        case CHECK_OUTLIER: p[i] = i == 0 ? 1e8f : r; break;
        case CHECK_INFINITE: p[i] = special ? copysignf(INFINITY, r) : r; break;
        case CHECK_NAN: p[i] = special ? NAN : r; break;
        default: p[i] = r; break;
        }
    }
    return p;
}

uint8_t *check_u8(Check *c, size_t n, CheckKind kind)
{
    uint8_t *p = new_block(c, n, 1, false)->data;
    for (size_t i = 0; i < n; i++) {
        const uint32_t r = check_random(c) >> 8;
        switch (kind) {
        case CHECK_ZEROS: p[i] = 0; break;
        case CHECK_HUGE: p[i] = 255; break;
        case CHECK_TINY: p[i] = r & 1; break;
        case CHECK_OFFSET: p[i] = r & 1 ? 255 : 0; break;
        case CHECK_OUTLIER: p[i] = i == 0 ? 255 : r & 1; break;
        default: p[i] = (uint8_t)r; break;
        }
    }
    return p;
}

void check_note(Check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->note, sizeof c->note, fmt, ap);
    va_end(ap);
}

bool check_true(Check *c, bool ok, const char *what)
{
    if (!ok) fail(c, "%s", what);
    return ok;
}

bool check_equal(Check *c, const void *got, const void *want, size_t bytes)
{
    const unsigned before = c->failures;
    const uint8_t *g = got, *w = want;
    for (size_t i = 0; i < bytes; i++)
        if (g[i] != w[i]) {
            fail(c, "byte %zu of %zu is %u, not %u", i, bytes, g[i], w[i]);
            break;
        }
    check_fences(c);
    return c->failures == before;
}

static bool close_enough(float got, float want, double ulp, float floor, double *distance)
{
    *distance = INFINITY;
    if (isnan(want)) return isnan(got);
    if (isinf(want) || isinf(got)) return got == want;
    const float at = fmaxf(fabsf(want), floor);
    const double unit = at > FLT_MAX / 2 ? (double)at - nextafterf(at, 0) : nextafterf(at, INFINITY) - (double)at;
    *distance = fabs((double)got - want) / unit;
    return *distance <= ulp;
}

bool check_close(Check *c, const float *got, const float *want, size_t n, double ulp, float floor)
{
    const unsigned before = c->failures;
    for (size_t i = 0; i < n; i++) {
        double distance = 0;
        if (close_enough(got[i], want[i], ulp, floor, &distance)) continue;
        fail(c, "element %zu of %zu is %.9g, not %.9g: %.1f ulp, limit %.1f", i, n, (double)got[i], (double)want[i], distance, ulp);
        break;
    }
    check_fences(c);
    return c->failures == before;
}

bool check_bench_begin(Check *c, const char *label, double bytes)
{
    if (!c->bench || (c->bench_only && !strstr(c->variant->op, c->bench_only))) return false;
    snprintf(c->label, sizeof c->label, "%s", label);
    c->bytes = bytes;
    c->n_samples = -1;
    c->repeat = 1;
    c->calls = 0;
    c->begin = now_ns();
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report_bench(Check *c)
{
    qsort(c->samples, SAMPLES, sizeof *c->samples, compare_doubles);
    const double ns = c->samples[SAMPLES / 2], spread = (c->samples[3 * SAMPLES / 4] - c->samples[SAMPLES / 4]) / 2;
    char key[128];
    snprintf(key, sizeof key, "%s %s", c->variant->op, c->label);
    double reference = 0;
    for (size_t i = 0; i < c->n_references; i++)
        if (!strcmp(c->references[i].key, key)) reference = c->references[i].ns;
    if (!c->variant->need && c->n_references < REFERENCES_MAX) {
        memcpy(c->references[c->n_references].key, key, sizeof key);
        c->references[c->n_references++].ns = reference = ns;
    }
    printf("%-34s %-26s %12.0f ns +/- %3.0f %%", c->variant->name, c->label, ns, 100 * spread / ns);
    if (c->bytes > 0) printf(" %8.2f GB/s", c->bytes / ns);
    if (reference > 0) printf(" %7.2f x C", reference / ns);
    printf("\n");
}

bool check_bench_next(Check *c)
{
    if (c->calls++ < c->repeat) return true;
    const double t = now_ns() - c->begin;
    if (c->n_samples < 0) {
        if (t < 1e6 && c->repeat < 1 << 24) c->repeat *= 2;   /* a sample lasts at least a millisecond */
        else c->n_samples = 0;
    } else {
        c->samples[c->n_samples++] = t / (double)c->repeat;
    }
    if (c->n_samples == SAMPLES) {
        report_bench(c);
        return false;
    }
    c->calls = 1;
    c->begin = now_ns();
    return true;
}

static unsigned level_of(const CheckVariant *v)
{
    unsigned level = MUSE_CPU_C;
    while (level < MUSE_CPU_AMX && (muse_cpu_bits_of_level(level) & v->need) != v->need) level++;
    return level;
}

/* 1 passed, 0 failed */
static int run_variant(Check *c, const CheckFamily *f, const CheckVariant *v)
{
    c->family = f;
    c->variant = v;
    c->random = c->seed;
    c->failures = c->reports = 0;
    c->note[0] = 0;
    v->run(c, v->fn);
    check_done(c);
    return c->failures == 0;
}

/* The harness itself: each broken kernel of check_self must fail, each sound one pass. */
static int self_test(Check *c)
{
    int wrong = 0, n = (int)check_self.n;
    c->quiet = true;
    for (size_t i = 0; i < check_self.n; i++) {
        const CheckVariant *v = &check_self.variants[i];
        const int passed = run_variant(c, &check_self, v);
        if (passed != (v->need == 0)) {
            printf("the harness is wrong about %s\n", v->name);
            wrong++;
        }
    }
    printf("%d passed, %d failed, 0 skipped\n", n - wrong, wrong);
    return wrong ? 1 : 0;
}

typedef struct Options {
    const char *family;
    unsigned level;   /* 0: all */
    bool list, self;
} Options;

static int run_all(Check *c, const Options *o)
{
    unsigned cpu = muse_cpu_detect();
    if (!c->bench && !(cpu & MUSE_X86_AMX) && muse_amx_trap_open()) cpu |= MUSE_X86_AMX;
    int passed = 0, failed = 0, skipped = 0;
    for (size_t k = 0; k < CHECK_COUNT(families); k++) {
        const CheckFamily *f = families[k];
        if (o->family && strcmp(o->family, f->name)) continue;
        for (size_t i = 0; i < f->n; i++) {
            const CheckVariant *v = &f->variants[i];
            const unsigned level = level_of(v);
            if (o->level && o->level != level && !(c->bench && !v->need)) continue;
            const bool able = (cpu & v->need) == v->need;
            if (o->list) {
                printf("%s %s %s %s%s\n", f->name, v->op, v->name, muse_cpu_level_name(level), able ? "" : " (not on this CPU)");
            } else if (!able) {
                printf("skipped %s: this CPU lacks its instructions\n", v->name);
                skipped++;
            } else {
                const int ok = run_variant(c, f, v);
                passed += ok;
                failed += !ok;
            }
        }
    }
    if (o->list) return 0;
    if (passed + failed + skipped == 0) printf("nothing matches\n");
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed ? 1 : passed ? 0 : skipped ? 77 : 2;
}

static int usage(void)
{
    fprintf(stderr, "usage: checkops [--list] [--family F] [--level c|avx2|avx512|amx] [--seed N] [--bench [OP]] [--self-test]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static Check c;
    Options o = { 0 };
    c.seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(a, "--list")) o.list = true;
        else if (!strcmp(a, "--self-test")) o.self = true;
        else if (!strcmp(a, "--family") && value) o.family = value, i++;
        else if (!strcmp(a, "--seed") && value) c.seed = strtoull(value, NULL, 0), i++;
        else if (!strcmp(a, "--bench")) {
            c.bench = true;
            if (value && value[0] != '-') c.bench_only = value, i++;
        } else if (!strcmp(a, "--level") && value) {
            for (o.level = MUSE_CPU_AMX; o.level && strcmp(value, muse_cpu_level_name(o.level)); o.level--) {}
            if (!o.level) return usage();
            i++;
        } else return usage();
    }
    if (!o.list) printf("seed %llu\n", (unsigned long long)c.seed);
    return o.self ? self_test(&c) : run_all(&c, &o);
}
