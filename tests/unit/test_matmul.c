/* SPDX-License-Identifier: Apache-2.0 */
/* ops/matmul_plan.h: every type, mode, CPU level and number of threads against sums in double; refused weights; workspace kept to.
 *
 * Tolerances, relative to sum|x w| over the weights as decoded: f32 (8 + 2 sqrt(k)) 2^-24; bf16 2^-8 + 2^-9 more for weights that
 * are rounded too (two roundings of at most 2^-9 each, and cross terms); int8: each activation is off by at most half a step,
 * max|x| of its block / 254, so the limit is taken from the weights and the block's maximum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "muse/muse.h"
#include "ops/matmul_plan.h"
#include "ops/runtime.h"

typedef struct Data {
    unsigned type;
    size_t m, k, n, bytes;
    uint8_t *w;             /* one byte off any alignment */
    float *values, *x, *bias;
} Data;

static uint32_t next_random(uint32_t *s) { return (*s = *s * 1664525u + 1013904223u) >> 8; }
static float next_float(uint32_t *s) { return (float)next_random(s) * 0x1p-23f - 1.0f; }

static void make(Data *d, unsigned type, size_t m, size_t k, size_t n)
{
    *d = (Data){ .type = type, .m = m, .k = k, .n = n };
    uint32_t seed = (uint32_t)(type * 31 + m * 7 + k + n);
    size_t row = 0;
    assert_true(muse_weight_row_bytes(type, k, &row));
    d->bytes = row * m;
    uint8_t *aligned = muse_alloc(NULL, d->bytes);
    d->w = muse_alloc(NULL, d->bytes + 1);
    d->values = muse_alloc_array(NULL, m * k, sizeof *d->values);
    d->x = muse_alloc_array(NULL, n * k, sizeof *d->x);
    d->bias = muse_alloc_array(NULL, m, sizeof *d->bias);
    for (size_t i = 0; i < m * k; i++) d->values[i] = next_float(&seed);
    for (size_t i = 0; i < n * k; i++) d->x[i] = next_float(&seed) * (float)(1 + i / 32 % 5);
    for (size_t i = 0; i < m; i++) d->bias[i] = next_float(&seed);
    assert_true(muse_quantize(type, aligned, d->values, m * k));
    MuseQuantOps ops;
    muse_quant_ops_init(&ops, 0);
    muse_quant_dequant(&ops, type)(d->values, aligned, m * k);
    memcpy(d->w + 1, aligned, d->bytes);
    muse_free(aligned);
}

static void drop(Data *d)
{
    muse_free(d->w);
    muse_free(d->values);
    muse_free(d->x);
    muse_free(d->bias);
}

static void compare(const Data *d, MuseCompute mode, const float *y, size_t stride, bool bias, const char *level)
{
    for (size_t t = 0; t < d->n; t++)
        for (size_t i = 0; i < d->m; i++) {
            const float *w = d->values + i * d->k, *x = d->x + t * d->k;
            double sum = bias ? d->bias[i] : 0, size = fabs(sum), step = 0;
            for (size_t b = 0; b < d->k; b += 32) {
                double max = 0, weights = 0;
                for (size_t j = b; j < d->k && j < b + 32; j++) {
                    const double p = (double)w[j] * (double)x[j];
                    sum += p, size += fabs(p), weights += fabs((double)w[j]), max = fmax(max, fabs((double)x[j]));
                }
                step += weights * max / 254;
            }
            double limit = (8 + 2 * sqrt((double)d->k)) * 0x1p-24 * size;
            if (mode >= MUSE_COMPUTE_BF16) limit += size * (0x1p-8 + 0x1p-9);
            if (mode == MUSE_COMPUTE_INT8 && d->type > MUSE_WEIGHT_BF16) limit += step;
            const double error = fabs(y[t * stride + i] - sum);
            if (!(error <= limit))
                fail_msg("%s %s mode %d m=%zu k=%zu n=%zu: y[%zu][%zu] is %g, not %g, limit %g", level, muse_weight_type_info(d->type)->name,
                         (int)mode, d->m, d->k, d->n, t, i, (double)y[t * stride + i], sum, limit);
        }
}

static MuseRuntime *open_runtime(uint32_t level, uint32_t threads)
{
    MuseRuntimeParams p;
    muse_runtime_params_init(&p);
    p.cpu_level = level;
    p.threads = threads;
    MuseRuntime *rt = NULL;
    return muse_runtime_open(&rt, &p, NULL) == 0 ? rt : NULL;
}

enum { FENCE = 4096 };

/* y of one plan, in a block with a fence; the workspace has one too */
static float *run(MuseRuntime *rt, const Data *d, MuseCompute mode, bool bias, size_t stride)
{
    MuseMatmulPlan plan;
    MuseError err;
    const MuseWeight w = { d->type, d->m, d->k, d->w + 1, d->bytes };
    assert_int_equal(muse_matmul_plan_open(&plan, rt, &w, mode, &err), 0);
    size_t size = 0;
    assert_true(muse_matmul_workspace(&plan, d->n, &size));
    uint8_t *workspace = muse_alloc(NULL, size + FENCE);
    float *y = muse_alloc_array(NULL, d->n * stride + FENCE, sizeof *y);
    memset(workspace, 0xff, size + FENCE);   /* NaN in every form: what is read before it is written shows */
    memset(y, 0xc7, (d->n * stride + FENCE) * sizeof *y);
    const MuseMatmulJob job = { &plan, y, stride == d->m ? 0 : stride, bias ? d->bias : NULL };
    muse_matmul_run(&job, 1, d->x, d->n, workspace);
    for (size_t i = 0; i < FENCE; i++) assert_int_equal(workspace[size + i], 0xff);
    for (size_t t = 0; t < d->n; t++)
        for (size_t i = d->m; i < stride; i++) assert_int_equal(((uint8_t *)(y + t * stride + i))[3], 0xc7);
    for (size_t i = 0; i < FENCE * sizeof *y; i++) assert_int_equal(((uint8_t *)(y + d->n * stride))[i], 0xc7);
    muse_free(workspace);
    muse_matmul_plan_close(&plan);
    return y;
}

static const struct { uint32_t level; const char *name; } levels[] = {
    { MUSE_CPU_C, "c" }, { MUSE_CPU_AVX2, "avx2" }, { MUSE_CPU_AVX512, "avx512" }, { MUSE_CPU_AUTO, "auto" } };

static void test_values(void **state)
{
    (void)state;
    static const struct { size_t m, k, n; } shapes[] = { { 1, 256, 1 }, { 3, 512, 2 }, { 37, 768, 5 }, { 9, 256, 23 }, { 70, 2304, 24 },
                                                         { 130, 256, 61 }, { 5, 4352, 33 } };
    for (unsigned type = 0; type < MUSE_WEIGHT_TYPES; type++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            Data d;
            const size_t stride = shapes[s].m + s % 3;
            make(&d, type, shapes[s].m, shapes[s].k, shapes[s].n);
            for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
                MuseRuntime *rt = open_runtime(levels[l].level, 2);
                for (int mode = MUSE_COMPUTE_F32; rt && mode <= MUSE_COMPUTE_INT8; mode++) {
                    const bool bias = (s + (size_t)mode) % 2;
                    float *y = run(rt, &d, (MuseCompute)mode, bias, stride);
                    compare(&d, (MuseCompute)mode, y, stride, bias, levels[l].name);
                    muse_free(y);
                }
                muse_runtime_close(&rt);
            }
            drop(&d);
        }
}

static void test_odd_widths(void **state)   /* plain types take any k; 32-blocks any number of blocks */
{
    (void)state;
    static const struct { unsigned type; size_t k; } cases[] = { { MUSE_WEIGHT_F32, 1 }, { MUSE_WEIGHT_BF16, 1 }, { MUSE_WEIGHT_BF16, 4099 },
        { MUSE_WEIGHT_F16, 77 }, { MUSE_WEIGHT_F32, 1025 }, { MUSE_WEIGHT_Q8_0, 32 }, { MUSE_WEIGHT_Q4_0, 96 }, { MUSE_WEIGHT_Q4_0, 2080 },
        { MUSE_WEIGHT_Q8_0, 2208 } };
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        MuseRuntime *rt = open_runtime(levels[l].level, 3);
        if (!rt) continue;
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
            for (size_t n = 1; n < 60; n += 25) {
                Data d;
                make(&d, cases[c].type, 19, cases[c].k, n);
                float *y = run(rt, &d, MUSE_COMPUTE_AUTO, false, 19);
                compare(&d, cases[c].type == MUSE_WEIGHT_F32 ? MUSE_COMPUTE_F32 : MUSE_COMPUTE_INT8, y, 19, false, levels[l].name);
                muse_free(y);
                drop(&d);
            }
        muse_runtime_close(&rt);
    }
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    static const size_t counts[] = { 1, 7, 40, MUSE_MATMUL_CHUNK + 3 };
    for (unsigned type = 0; type < MUSE_WEIGHT_TYPES; type++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            Data d;
            make(&d, type, 83, 512, counts[c]);
            float *want = NULL;
            for (uint32_t threads = 1; threads <= 5; threads++) {
                MuseRuntime *rt = open_runtime(MUSE_CPU_AUTO, threads);
                assert_non_null(rt);
                float *y = run(rt, &d, MUSE_COMPUTE_AUTO, true, 83);
                if (want) assert_memory_equal(y, want, d.n * 83 * sizeof *y);
                if (want) muse_free(y);
                else want = y;
                muse_runtime_close(&rt);
            }
            compare(&d, MUSE_COMPUTE_INT8, want, 83, true, "threads");
            muse_free(want);
            drop(&d);
        }
}

/* several weights over one x, of types that want x in different forms: the same bits as one by one */
static void test_jobs_together(void **state)
{
    (void)state;
    for (size_t n = 1; n < 80; n += 39) {
        MuseRuntime *rt = open_runtime(MUSE_CPU_AUTO, 2);
        Data d[MUSE_WEIGHT_TYPES];
        MuseMatmulPlan plan[MUSE_WEIGHT_TYPES];
        MuseMatmulJob job[MUSE_WEIGHT_TYPES];
        size_t size = 0;
        for (unsigned t = 0; t < MUSE_WEIGHT_TYPES; t++) {
            make(&d[t], t, 40 + 9 * t, 512, n);
            const MuseWeight w = { t, d[t].m, d[t].k, d[t].w + 1, d[t].bytes };
            assert_int_equal(muse_matmul_plan_open(&plan[t], rt, &w, MUSE_COMPUTE_AUTO, NULL), 0);
            job[t] = (MuseMatmulJob){ &plan[t], muse_zalloc_array(NULL, n * d[t].m, sizeof(float)), 0, NULL };
            size_t need = 0;
            assert_true(muse_matmul_workspace(&plan[t], n, &need));
            if (need > size) size = need;
        }
        void *workspace = muse_alloc(NULL, size);
        muse_matmul_run(job, MUSE_WEIGHT_TYPES, d[0].x, n, workspace);
        for (unsigned t = 0; t < MUSE_WEIGHT_TYPES; t++) {
            memcpy(d[t].x, d[0].x, n * 512 * sizeof(float));
            float *y = run(rt, &d[t], MUSE_COMPUTE_AUTO, false, d[t].m);
            assert_memory_equal(y, job[t].y, n * d[t].m * sizeof *y);
            muse_free(y);
        }
        for (unsigned t = 0; t < MUSE_WEIGHT_TYPES; t++) {
            muse_free(job[t].y);
            drop(&d[t]);
        }
        muse_free(workspace);
        muse_runtime_close(&rt);
    }
}

static void test_refused(void **state)
{
    (void)state;
    MuseRuntime *rt = open_runtime(MUSE_CPU_AUTO, 1);
    MuseMatmulPlan plan;
    MuseError err;
    uint8_t data[256] = { 0 };
    const struct { MuseWeight w; MuseCompute mode; int code; const char *text; } cases[] = {
        { { MUSE_WEIGHT_F32, 8, 8, data, 256 }, MUSE_COMPUTE_AUTO, 0, "" },
        { { MUSE_WEIGHT_F32, 8, 8, data, 255 }, MUSE_COMPUTE_AUTO, MUSE_ERR_FORMAT, "needs 256 bytes, there are 255" },
        { { MUSE_WEIGHT_Q4_0, 2, 48, data, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_FORMAT, "not a multiple of 32" },
        { { MUSE_WEIGHT_Q6_K, 1, 128, data, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_FORMAT, "not a multiple of 256" },
        { { MUSE_WEIGHT_TYPES, 8, 8, data, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_ARG, "" },
        { { MUSE_WEIGHT_F32, 0, 8, data, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_ARG, "" },
        { { MUSE_WEIGHT_F32, 8, 8, NULL, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_ARG, "" },
        { { MUSE_WEIGHT_F32, 8, 8, data, 256 }, (MuseCompute)4, MUSE_ERR_ARG, "" },
        { { MUSE_WEIGHT_F32, SIZE_MAX / 2, 8, data, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_LIMIT, "addresses" },
        { { MUSE_WEIGHT_F32, 1, SIZE_MAX / 2, data, 256 }, MUSE_COMPUTE_AUTO, MUSE_ERR_LIMIT, "addresses" },
        { { MUSE_WEIGHT_BF16, 1, SIZE_MAX / 4, data, SIZE_MAX }, MUSE_COMPUTE_AUTO, MUSE_ERR_LIMIT, "columns" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(muse_matmul_plan_open(&plan, rt, &cases[i].w, cases[i].mode, &err), cases[i].code);
        if (cases[i].code) {
            assert_non_null(strstr(err.text, cases[i].text));
            assert_null(plan.rt);
        }
    }
    muse_matmul_plan_close(&plan);
    muse_matmul_plan_close(NULL);
    muse_matmul_run(NULL, 0, NULL, 1, NULL);
    muse_runtime_close(&rt);
}

/* what was asked for and can not be had is said */
static char said[1024];
static void listen(void *user, int level, const char *text)
{
    (void)user;
    if (level == MUSE_LOG_INFO && strstr(text, "matmul")) strncpy(said, text, sizeof said - 1);
}

static void test_log(void **state)
{
    (void)state;
    MuseRuntimeParams p;
    muse_runtime_params_init(&p);
    p.log = listen;
    p.log_level = MUSE_LOG_INFO;
    p.cpu_level = MUSE_CPU_AUTO;
    MuseRuntime *rt = NULL;
    assert_int_equal(muse_runtime_open(&rt, &p, NULL), 0);
    MuseMatmulPlan plan;
    uint8_t data[512] = { 0 };
    const MuseWeight w = { MUSE_WEIGHT_F32, 8, 8, data, 256 };
    assert_int_equal(muse_matmul_plan_open(&plan, rt, &w, MUSE_COMPUTE_AUTO, NULL), 0);
    assert_string_equal(said, "");
    assert_int_equal(muse_matmul_plan_open(&plan, rt, &w, MUSE_COMPUTE_INT8, NULL), 0);
    assert_non_null(strstr(said, "8 x 8 F32"));
    assert_int_equal(plan.compute, MUSE_COMPUTE_BF16);
    muse_runtime_close(&rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_odd_widths), cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_jobs_together), cmocka_unit_test(test_refused), cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
