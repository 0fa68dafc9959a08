/* SPDX-License-Identifier: Apache-2.0 */
/* A few blocks of rows between the thread that decodes and one that resizes. Users: picture.c.
 *
 * The team's parallel loops are no use here: a JPEG decodes on one thread, and a block of 16 rows is too little work to
 * share out, so the two stages run side by side instead. Blocks are used in order, one at a time, by whichever thread is
 * free: when the second one gets no CPU the first does its work and waits for nothing but a block that is in use. */
#ifndef TOKENIZERS_IMAGE_ROW_QUEUE_H
#define TOKENIZERS_IMAGE_ROW_QUEUE_H

#include <pthread.h>

#include "base/alloc.h"
#include "base/status.h"

enum { MUSE_ROW_BLOCKS = 3 };   /* one is filled, one is used, one waits */

typedef struct MuseRowBlock {
    uint8_t *memory;           /* of raw */
    uint8_t *raw;              /* as decoded */
    uint8_t *flat;             /* as handed on; NULL: raw is */
    uint32_t first, n;
} MuseRowBlock;

typedef int MuseRowBlockFn(void *user, const MuseRowBlock *block, MuseError *err);

typedef struct MuseRowQueue {
    MuseRowBlock block[MUSE_ROW_BLOCKS];
    uint32_t     blocks;        /* how many of these take turns: all with a second thread, else 1 */
    uint64_t     filled, used;  /* blocks, counted from the start */
    bool         threaded;      /* a second thread uses blocks too */
    bool         busy;          /* one of them uses the next block */
    bool         done;          /* the second thread is to end */
    uint32_t     late;          /* how often the filler found no free block */
    int          rc;            /* of the first use that failed */
    MuseError    error;
    MuseRowBlockFn *fn;
    void        *user;
    pthread_t       thread;
    pthread_mutex_t lock;
    pthread_cond_t  changed;
} MuseRowQueue;

/* Start with zeros but for memory, raw and flat of block[]; fn and user use a block. threaded: ask for a thread of its own; where none
 * is to be had the blocks are used by muse_row_queue_push(). */
void muse_row_queue_open(MuseRowQueue *q, bool threaded, MuseRowBlockFn *fn, void *user);

/* The block to fill next, once it is free. NULL: a use has failed, muse_row_queue_close() tells. */
MuseRowBlock *muse_row_queue_next(MuseRowQueue *q);

/* The block from muse_row_queue_next() is filled. */
void muse_row_queue_push(MuseRowQueue *q);

/* Returns when every pushed block was used (or one failed) and the thread has ended. 0 or the code of that use, with its text. Once for each open. */
int muse_row_queue_close(MuseRowQueue *q, MuseError *err);

#endif
