/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that make samples ahead, handed out in order. Slot n % cap holds number n; a thread takes the lowest number that is
 * not begun and has room. */
#include <pthread.h>
#include <string.h>

#include "libmuse/train/data.h"

typedef enum SlotState { SLOT_FREE, SLOT_BUSY, SLOT_READY } SlotState;

typedef struct Slot {
    SlotState state;
    int rc;
    MuseTrainSample sample;
    MuseError err;
} Slot;

struct MuseTrainLoader {
    MuseTrainSource source;
    pthread_mutex_t lock;
    pthread_cond_t  made, room;
    pthread_t *threads;
    uint32_t n_threads;
    Slot    *slots;
    size_t   cap;
    uint64_t next, begun;    /* to hand out; to begin */
    bool     stop, has_lock, has_conds;
};

static void *work(void *user)
{
    MuseTrainLoader *l = user;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && (l->begun >= l->next + l->cap || l->slots[l->begun % l->cap].state != SLOT_FREE)) pthread_cond_wait(&l->room, &l->lock);
        if (l->stop) break;
        const uint64_t number = l->begun++;
        Slot *s = &l->slots[number % l->cap];
        s->state = SLOT_BUSY;
        pthread_mutex_unlock(&l->lock);
        memset(&s->sample, 0, sizeof s->sample);
        s->rc = l->source.make(l->source.user, number, &s->sample, &s->err);
        pthread_mutex_lock(&l->lock);
        s->state = SLOT_READY;
        pthread_cond_broadcast(&l->made);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

int muse_train_loader_open(MuseTrainLoader **out, const MuseAllocator *a, const MuseTrainSource *source, uint32_t threads, size_t ahead, uint64_t first, MuseError *err)
{
    MuseTrainLoader *l = *out = muse_zalloc(a, sizeof *l);
    if (!l) return MUSE_NOMEM(err, sizeof *l);
    int rc = 0;
    l->source = *source;
    l->next = l->begun = first;
    l->cap = ahead > threads ? ahead : threads;
    if (threads == 0) return 0;
    l->slots = muse_zalloc_array(a, l->cap, sizeof *l->slots);
    l->threads = muse_zalloc_array(a, threads, sizeof *l->threads);
    l->has_lock = pthread_mutex_init(&l->lock, NULL) == 0;
    l->has_conds = l->has_lock && pthread_cond_init(&l->made, NULL) == 0 && pthread_cond_init(&l->room, NULL) == 0;
    if (!l->slots || !l->threads || !l->has_conds) {
        rc = MUSE_NOMEM(err, l->cap * sizeof *l->slots);
        goto fail;
    }
    for (; l->n_threads < threads; l->n_threads++)
        if (pthread_create(&l->threads[l->n_threads], NULL, work, l) != 0) {
            rc = muse_fail(err, MUSE_ERR_NOMEM, "the system gives no thread to load data with");
            goto fail;
        }
    return 0;
fail:
    muse_train_loader_close(out);
    return rc;
}

void muse_train_loader_close(MuseTrainLoader **out)
{
    MuseTrainLoader *l = *out;
    if (!l) return;
    if (l->has_lock) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        if (l->has_conds) pthread_cond_broadcast(&l->room);
        pthread_mutex_unlock(&l->lock);
    }
    for (uint32_t i = 0; i < l->n_threads; i++) pthread_join(l->threads[i], NULL);
    for (size_t i = 0; l->slots && i < l->cap; i++)
        if (l->slots[i].state == SLOT_READY && l->slots[i].rc == 0) muse_train_loader_release(l, &l->slots[i].sample);
    if (l->has_conds) pthread_cond_destroy(&l->made), pthread_cond_destroy(&l->room);
    if (l->has_lock) pthread_mutex_destroy(&l->lock);
    muse_free(l->slots);
    muse_free(l->threads);
    muse_free(l);
    *out = NULL;
}

static int take(MuseTrainLoader *l, MuseTrainSample *out, MuseError *err)
{
    memset(out, 0, sizeof *out);
    if (l->n_threads == 0) return l->source.make(l->source.user, l->next++, out, err);
    pthread_mutex_lock(&l->lock);
    Slot *s = &l->slots[l->next % l->cap];
    while (s->state != SLOT_READY) pthread_cond_wait(&l->made, &l->lock);
    const int rc = s->rc;
    *out = s->sample;
    if (rc < 0) muse_fail_copy(err, &s->err);
    s->state = SLOT_FREE;
    l->next++;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int muse_train_loader_next(MuseTrainLoader *l, MuseTrainSample *out, uint64_t *skipped, MuseError *err)
{
    enum { SKIPS_MAX = 100000 };   /* in a row: then nothing is left to train on */
    for (int i = 0; i < SKIPS_MAX; i++) {
        const int rc = take(l, out, err);
        if (rc != MUSE_AGAIN) return rc;
        (*skipped)++;
    }
    return muse_fail(err, MUSE_ERR_FORMAT, "%d samples one after the other were left out: broken, or longer than \"positions\" of \"batch\"", SKIPS_MAX);
}

void muse_train_loader_release(MuseTrainLoader *l, MuseTrainSample *s)
{
    if (l->source.release) l->source.release(l->source.user, s);
    memset(s, 0, sizeof *s);
}

uint64_t muse_train_loader_number(const MuseTrainLoader *l) { return l->next; }
