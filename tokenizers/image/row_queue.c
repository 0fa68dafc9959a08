/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue with one filler and one user, and the user's thread. Knows nothing of pictures. Called by picture.c. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE   /* pthread_setaffinity_np, sched_getcpu */
#endif
#include "tokenizers/image/row_queue.h"

#include <time.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "base/thread.h"

enum {
    LATE_MAX    = 6,   /* a thread that starts slowly is late once or twice */
    WAIT_MS_MAX = 1    /* a block is resized in some 25 us, a time slice lost is milliseconds */
};

static void lock(MuseRowQueue *q) { if (q->threaded) pthread_mutex_lock(&q->lock); }
static void unlock(MuseRowQueue *q) { if (q->threaded) pthread_mutex_unlock(&q->lock); }

/* The next block, which is there and not busy. Locked before and after, not while the block is used. */
static void use_next(MuseRowQueue *q)
{
    MuseError err = { 0 };
    q->busy = true;
    unlock(q);
    const int rc = q->fn(q->user, &q->block[q->used % q->blocks], &err);
    lock(q);
    q->busy = false;
    q->used++;
    if (rc < 0) {
        q->rc = rc;
        q->error = err;
    }
    if (q->threaded) pthread_cond_broadcast(&q->changed);
}

static void *use_blocks(void *user)
{
    MuseRowQueue *q = user;
    pthread_mutex_lock(&q->lock);
    while (q->rc == 0 && !q->done) {
        if (q->used < q->filled && !q->busy) use_next(q);
        else pthread_cond_wait(&q->changed, &q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Locked: the block in use is finished, or it took too long: the thread that uses it has lost its CPU. Only with a second
 * thread, for nobody else can be busy. */
static bool wait_for_block(MuseRowQueue *q)
{
    const double start = now_ms();
    pthread_cond_wait(&q->changed, &q->lock);
    return now_ms() - start < WAIT_MS_MAX;
}

/* Locked: until at most n blocks wait, or one has failed. Lends a hand. A second thread that has no CPU to itself, being late
 * again and again or stopped in the middle of a block, is sent home: it would only add waiting. */
static void drain(MuseRowQueue *q, uint64_t n)
{
    while (q->filled - q->used > n && q->rc == 0) {
        bool late = q->threaded && ++q->late == LATE_MAX;
        if (!q->busy) use_next(q);
        else if (!wait_for_block(q)) late = true;
        if (!late) continue;
        q->done = true;
        pthread_cond_broadcast(&q->changed);
    }
}

/* The thread keeps off the CPU of the one that decodes. A scheduler that packs threads together, as those of some virtual
 * machines do, would have the two take turns. False: there is only one CPU. */
static bool elsewhere(pthread_attr_t *attr)
{
#ifdef __linux__
    cpu_set_t set;
    const int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof set, &set) != 0) return true;   /* more CPUs than a cpu_set_t holds */
    CPU_CLR(here, &set);
    return CPU_COUNT(&set) > 0 && pthread_attr_setaffinity_np(attr, sizeof set, &set) == 0;
#else
    (void)attr;
    return true;
#endif
}

static bool create_thread(MuseRowQueue *q)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) return false;
    const bool ok = elsewhere(&attr) && muse_thread_start(&q->thread, &attr, use_blocks, q) == 0;
    pthread_attr_destroy(&attr);
    return ok;
}

static bool start_thread(MuseRowQueue *q)
{
    if (pthread_mutex_init(&q->lock, NULL) != 0) return false;
    if (pthread_cond_init(&q->changed, NULL) == 0) {
        if (create_thread(q)) return true;
        pthread_cond_destroy(&q->changed);
    }
    pthread_mutex_destroy(&q->lock);
    return false;
}

void muse_row_queue_open(MuseRowQueue *q, bool threaded, MuseRowBlockFn *fn, void *user)
{
    q->fn = fn;
    q->user = user;
    q->threaded = threaded;   /* before the thread looks at it */
    q->blocks = threaded ? MUSE_ROW_BLOCKS : 1;
    if (threaded && !start_thread(q)) {
        q->threaded = false;
        q->blocks = 1;
    }
}

MuseRowBlock *muse_row_queue_next(MuseRowQueue *q)
{
    lock(q);
    drain(q, q->blocks - 1);
    MuseRowBlock *block = q->rc < 0 ? NULL : &q->block[q->filled % q->blocks];
    unlock(q);
    return block;
}

void muse_row_queue_push(MuseRowQueue *q)
{
    lock(q);
    q->filled++;
    if (q->threaded) pthread_cond_broadcast(&q->changed);
    unlock(q);
}

int muse_row_queue_close(MuseRowQueue *q, MuseError *err)
{
    lock(q);
    drain(q, 0);
    q->done = true;
    unlock(q);
    if (q->threaded) {
        pthread_cond_broadcast(&q->changed);
        pthread_join(q->thread, NULL);
        pthread_cond_destroy(&q->changed);
        pthread_mutex_destroy(&q->lock);
    }
    return q->rc < 0 ? muse_fail_copy(err, &q->error) : 0;
}
