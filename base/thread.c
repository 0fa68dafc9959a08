/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of workers. A region is published as one number, the ticket: its own number, how many ranges it has, how many are taken.
 * Who adds one to it has taken a range; nobody waits for a worker that has not begun. Why not OpenMP: its barrier waits for every
 * thread of the team, and on a busy machine one of them is often not running (docs/ARCHITECTURE.md, "Threads"). */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE   /* sched_getaffinity */
#endif
#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"

/* Looks at the ticket before a worker sleeps; each is followed by a yield, so that others get the core if they want it. On an
 * idle machine together about 0.2 ms: longer than what a decoder does between two regions. */
enum { SPINS = 400, PAUSES = 32 };

struct MusePool {
    uint32_t        threads;        /* the caller's included */
    pthread_mutex_t region;         /* held by the caller whose region it is */
    pthread_mutex_t lock;           /* with the conditions */
    pthread_cond_t  work, done;
    _Atomic uint64_t ticket;        /* region << 32 | taken << 16 | ranges */
    atomic_uint     left;           /* ranges that are not finished */
    atomic_int      sleepers, waiting, quit;
    _Atomic(MuseRangeFn *) fn;
    _Atomic(void *) user;
    atomic_size_t   n;
    uint32_t        n_workers;      /* started; under region */
    pthread_t       workers[];      /* [threads - 1] */
};

uint32_t muse_cpu_count(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (uint32_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

/* ---- ranges ---- */

static void run_range(MuseRangeFn *fn, void *user, size_t n, size_t parts, size_t i)
{
    const size_t part = n / parts, extra = n % parts, begin = i * part + (i < extra ? i : extra);
    fn(user, begin, begin + part + (i < extra));
}

/* Take a range of the region at hand and do it; false: there is none. The fields belong to the ticket that was read: as long as one
 * of its ranges is not taken, the region can't end. */
static bool take_range(MusePool *p)
{
    uint64_t ticket = atomic_load(&p->ticket);
    for (;;) {
        const size_t taken = ticket >> 16 & 0xffff, parts = ticket & 0xffff;
        if (taken >= parts) return false;
        MuseRangeFn *fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
        void *user = atomic_load_explicit(&p->user, memory_order_relaxed);
        const size_t n = atomic_load_explicit(&p->n, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket + (UINT64_C(1) << 16))) continue;
        run_range(fn, user, n, parts, taken);
        if (atomic_fetch_sub(&p->left, 1) == 1 && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
        return true;
    }
}

static void pause_a_little(void)
{
    for (int i = 0; i < PAUSES; i++) {
#if defined(__x86_64__) && defined(__GNUC__)
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
    }
    sched_yield();
}

static bool has_work(MusePool *p)
{
    const uint64_t ticket = atomic_load(&p->ticket);
    return (ticket >> 16 & 0xffff) < (ticket & 0xffff);
}

/* ---- workers ---- */

static void *work(void *pool)
{
    MusePool *p = pool;
    while (!atomic_load(&p->quit)) {
        while (take_range(p)) {}
        int spins = 0;
        while (spins < SPINS && !has_work(p) && !atomic_load(&p->quit)) {
            pause_a_little();
            spins++;
        }
        if (spins < SPINS) continue;
        pthread_mutex_lock(&p->lock);
        atomic_fetch_add(&p->sleepers, 1);
        while (!has_work(p) && !atomic_load(&p->quit)) pthread_cond_wait(&p->work, &p->lock);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

int muse_thread_start(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *user)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigset_t sent, before;
    sigfillset(&sent);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&sent, faults[i]);
    int rc = pthread_sigmask(SIG_SETMASK, &sent, &before);
    if (rc != 0) return rc;
    rc = pthread_create(thread, attr, fn, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void start_workers(MusePool *p)
{
    while (p->n_workers + 1 < p->threads && muse_thread_start(&p->workers[p->n_workers], NULL, work, p) == 0) p->n_workers++;
}

MusePool *muse_pool_open(const MuseAllocator *a, uint32_t threads)
{
    if (threads < 2) return NULL;
    MusePool *p = muse_zalloc(a, sizeof *p + (threads - 1) * sizeof *p->workers);
    if (!p) return NULL;
    p->threads = threads;
    pthread_mutex_init(&p->region, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    return p;
}

void muse_pool_close(MusePool **pool)
{
    MusePool *p = *pool;
    *pool = NULL;
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->quit, 1);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->n_workers; i++) pthread_join(p->workers[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->region);
    muse_free(p);
}

/* ---- regions ---- */

static void wait_for_others(MusePool *p)
{
    for (int spins = 0; spins < SPINS && atomic_load(&p->left); spins++) pause_a_little();
    if (!atomic_load(&p->left)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, 1);
    while (atomic_load(&p->left)) pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->waiting, 0);
    pthread_mutex_unlock(&p->lock);
}

static void run_region(MusePool *p, size_t n, size_t parts, MuseRangeFn *fn, void *user)
{
    if (p->n_workers + 1 < p->threads) start_workers(p);   /* what can't be started is not missed: the caller works */
    atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&p->user, user, memory_order_relaxed);
    atomic_store_explicit(&p->n, n, memory_order_relaxed);
    atomic_store(&p->left, (unsigned)parts);
    const uint64_t region = (atomic_load(&p->ticket) >> 32) + 1;
    atomic_store(&p->ticket, region << 32 | parts);
    if (atomic_load(&p->sleepers)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->lock);
    }
    while (take_range(p)) {}
    wait_for_others(p);
}

void muse_parallel_for(const MuseTeam *team, size_t n, size_t grain, MuseRangeFn *fn, void *user)
{
    if (n == 0) return;
    if (grain == 0) grain = 1;
    size_t parts = n / grain;
    if (parts > team->threads) parts = team->threads;
    if (parts <= 1) {
        fn(user, 0, n);
    } else if (team->pool && pthread_mutex_trylock(&team->pool->region) == 0) {
        run_region(team->pool, n, parts, fn, user);
        pthread_mutex_unlock(&team->pool->region);
    } else {
        for (size_t i = 0; i < parts; i++) run_range(fn, user, n, parts, i);   /* the same ranges */
    }
}
