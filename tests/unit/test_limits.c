/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine can do: every loop runs, reading reads all of it, what a level lacks is 0. No figure is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "muse/limits.h"
#include "ops/cpu.h"
#include "ops/peak.h"

#define READ(need, name) MuseReadBytes name;
#define PEAK(member, need, name, per_round) MuseMultiplyAdds name;
#include "ops/peak_kernels.inc"
#undef READ
#undef PEAK

static const struct { unsigned need; MuseReadBytes *read; MuseMultiplyAdds *peak; } loops[] = {
#define READ(need, name) { need, name, NULL },
#define PEAK(member, need, name, per_round) { need, NULL, name },
#include "ops/peak_kernels.inc"
#undef READ
#undef PEAK
};

static void test_loops(void **state)
{
    (void)state;
    enum { N = 3 * 4096 + 256 };
    uint8_t *bytes = malloc(N + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i <= N; i++) bytes[i] = (uint8_t)(i * 2654435761u >> 7);
    const unsigned cpu = muse_cpu_detect();
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        if ((cpu & loops[i].need) != loops[i].need) continue;
        if (loops[i].peak) {
            loops[i].peak(0);
            loops[i].peak(3);
            continue;
        }
        assert_int_equal(loops[i].read(bytes, 0), 0);
        for (size_t n = 256; n <= N; n += 256) assert_int_equal(loops[i].read(bytes, n), muse_read_bytes_c(bytes, n));
        assert_int_equal(loops[i].read(bytes + 1, N), muse_read_bytes_c(bytes + 1, N));
        bytes[N - 1] ^= 0x40;   /* the last byte counts */
        assert_int_equal(loops[i].read(bytes, N), muse_read_bytes_c(bytes, N));
    }
    free(bytes);
}

static void *no_block(void *user, size_t size) { return size > *(size_t *)user ? NULL : malloc(size); }

static void free_block(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

static void test_measure(void **state)
{
    (void)state;
    MuseError err;
    MuseLimits l;
    size_t most = SIZE_MAX;
    for (uint32_t level = MUSE_CPU_C; level <= MUSE_CPU_AMX; level++) {
        MuseRuntimeParams p;
        MuseRuntime *rt;
        muse_runtime_params_init(&p);
        p.cpu_level = level;
        p.threads = 1 + level % 2;
        p.allocator = (MuseAllocator){ no_block, free_block, &most };
        most = SIZE_MAX;
        if (muse_runtime_open(&rt, &p, &err) < 0) continue;
        assert_int_equal(muse_measure_limits(rt, &l, &err), 0);
        assert_true(l.read_gbs > 0 && isfinite(l.read_gbs));
        assert_int_equal(l.fma_f32_gflops > 0, level >= MUSE_CPU_AVX2);
        assert_true(level >= MUSE_CPU_AVX512 || (l.dot_bf16_gflops == 0 && l.dot_int8_gops == 0));
        assert_true(level >= MUSE_CPU_AMX || (l.amx_bf16_gflops == 0 && l.amx_int8_gops == 0));
        most = 1 << 20;
        assert_int_equal(muse_measure_limits(rt, &l, &err), MUSE_ERR_NOMEM);
        assert_int_equal(muse_measure_limits(rt, NULL, &err), MUSE_ERR_ARG);
        muse_runtime_close(&rt);
    }
    assert_int_equal(muse_measure_limits(NULL, &l, &err), MUSE_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_loops), cmocka_unit_test(test_measure) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
