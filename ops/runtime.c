/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a runtime: imports the caller's settings, asks the CPU, fills the kernel tables, says what it chose. */
#include "ops/runtime.h"

#include <string.h>

#include "base/params.h"
#include "base/status.h"
#include "config.h"
#if MUSE_HAVE_ONEDNN
#include "ops/onednn/onednn.h"
#endif

enum { THREADS_MAX = 1024 };

void muse_runtime_params_init(MuseRuntimeParams *params) { MUSE_PARAMS_INIT(params); }

static int choose_cpu(MuseRuntime *rt, uint32_t level, MuseError *err)
{
    const unsigned detected = muse_cpu_detect();
    rt->cpu_best = muse_cpu_level_of_bits(detected);
    if (level > MUSE_CPU_AMX) return muse_fail(err, MUSE_ERR_ARG, "cpu_level %u is not a MUSE_CPU_ value", level);
    if (level > rt->cpu_best)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "CPU level %s is not to be had: this machine and build reach %s",
                         muse_cpu_level_name(level), muse_cpu_level_name(rt->cpu_best));
    rt->cpu = level == MUSE_CPU_AUTO ? detected : detected & muse_cpu_bits_of_level(level);
    return 0;
}

int muse_runtime_open(MuseRuntime **out, const MuseRuntimeParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MuseRuntimeParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseRuntimeParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, !p.allocator.alloc == !p.allocator.free);
    if (p.threads > THREADS_MAX) return muse_fail(err, MUSE_ERR_ARG, "threads: %u, and %d are the most", p.threads, THREADS_MAX);
    MUSE_REQUIRE(err, p.log_level >= MUSE_LOG_NONE && p.log_level <= MUSE_LOG_DEBUG);
    MuseRuntime *rt = muse_zalloc(&p.allocator, sizeof *rt);
    if (!rt) return MUSE_NOMEM(err, sizeof *rt);
    rt->alloc = p.allocator;
    rt->log = (MuseLog){ p.log, p.log_user, p.log_level ? p.log_level : MUSE_LOG_WARN };
    rt->team.threads = p.threads ? p.threads : muse_cpu_count();
    if (rt->team.threads > THREADS_MAX) rt->team.threads = THREADS_MAX;
    atomic_init(&rt->refs, 1);
    rc = choose_cpu(rt, p.cpu_level, err);
    if (rc == 0 && rt->team.threads > 1 && !(rt->team.pool = muse_pool_open(&rt->alloc, rt->team.threads))) rc = MUSE_NOMEM(err, rt->team.threads * sizeof(void *));
    if (rc < 0) {
        muse_runtime_close(&rt);
        return rc;
    }
    muse_ops_init(&rt->ops, rt->cpu);
    muse_log(&rt->log, MUSE_LOG_INFO, "libmuse " MUSE_VERSION ": %u threads, kernels %s of %s", rt->team.threads,
             muse_cpu_level_name(muse_cpu_level_of_bits(rt->cpu)), muse_cpu_level_name(rt->cpu_best));
    *out = rt;
    return 0;
}

MuseRuntime *muse_runtime_ref(MuseRuntime *rt)
{
    if (!rt) {
        muse_runtime_open(&rt, NULL, NULL);
        return rt;
    }
    atomic_fetch_add_explicit(&rt->refs, 1, memory_order_relaxed);
    return rt;
}

void muse_runtime_close(MuseRuntime **rt)
{
    if (!rt || !*rt) return;
    if (atomic_fetch_sub_explicit(&(*rt)->refs, 1, memory_order_acq_rel) == 1) {
        muse_pool_close(&(*rt)->team.pool);
        muse_free(*rt);
    }
    *rt = NULL;
}

static const char *onednn_version(void)
{
#if MUSE_HAVE_ONEDNN
    return muse_onednn_version();
#else
    return "";
#endif
}

int muse_runtime_info(const MuseRuntime *rt, MuseRuntimeInfo *out)
{
    if (!rt || !out) return MUSE_ERR_ARG;
    const uint32_t level = muse_cpu_level_of_bits(rt->cpu);
    *out = (MuseRuntimeInfo){ rt->team.threads, level, rt->cpu_best, muse_cpu_level_name(level), onednn_version() };
    return 0;
}
