/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue with one filler and one user, and the user's thread. Knows nothing of pictures. Called by picture.c. */
#include "tokenizers/image/row_queue.h"

#include <signal.h>

static void use_block(MuseRowQueue *q, const MuseRowBlock *block)
{
    MuseError err = { 0 };
    const int rc = q->fn(q->user, block, &err);
    if (q->threaded) pthread_mutex_lock(&q->lock);
    q->used++;
    if (rc < 0) {
        q->rc = rc;
        q->error = err;
    }
    if (!q->threaded) return;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static void *use_blocks(void *user)
{
    MuseRowQueue *q = user;
    for (;;) {
        pthread_mutex_lock(&q->lock);
        while (q->filled == q->used && !q->done) pthread_cond_wait(&q->changed, &q->lock);
        const bool end = q->filled == q->used || q->rc < 0;
        const MuseRowBlock *block = &q->block[q->used % MUSE_ROW_BLOCKS];
        pthread_mutex_unlock(&q->lock);
        if (end) return NULL;
        use_block(q, block);
    }
}

/* The thread takes no signals: those are the caller's threads' business. */
static bool start_thread(MuseRowQueue *q)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_mutex_init(&q->lock, NULL) != 0) return false;
    if (pthread_cond_init(&q->changed, NULL) == 0) {
        pthread_sigmask(SIG_SETMASK, &all, &before);
        const int rc = pthread_create(&q->thread, NULL, use_blocks, q);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc == 0) return true;
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
    if (threaded && !start_thread(q)) q->threaded = false;
}

MuseRowBlock *muse_row_queue_next(MuseRowQueue *q)
{
    if (!q->threaded) return q->rc < 0 ? NULL : &q->block[0];
    pthread_mutex_lock(&q->lock);
    while (q->filled - q->used == MUSE_ROW_BLOCKS && q->rc == 0) pthread_cond_wait(&q->changed, &q->lock);
    MuseRowBlock *block = q->rc < 0 ? NULL : &q->block[q->filled % MUSE_ROW_BLOCKS];
    pthread_mutex_unlock(&q->lock);
    return block;
}

void muse_row_queue_push(MuseRowQueue *q)
{
    if (!q->threaded) {
        use_block(q, &q->block[0]);
        return;
    }
    pthread_mutex_lock(&q->lock);
    q->filled++;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

int muse_row_queue_close(MuseRowQueue *q, MuseError *err)
{
    if (q->threaded) {
        pthread_mutex_lock(&q->lock);
        q->done = true;
        pthread_cond_broadcast(&q->changed);
        pthread_mutex_unlock(&q->lock);
        pthread_join(q->thread, NULL);
        pthread_cond_destroy(&q->changed);
        pthread_mutex_destroy(&q->lock);
    }
    return q->rc < 0 ? muse_fail_copy(err, &q->error) : 0;
}
