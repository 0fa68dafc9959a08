/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a segment into pieces that are encoded one by one. Users: encode.c, train.c, the loaders. */
#ifndef TOKENIZERS_TEXT_PRETOK_H
#define TOKENIZERS_TEXT_PRETOK_H

#include "tokenizers/text/pattern.h"

enum { MUSE_PRETOK_STEPS_MAX = 8 };

typedef enum MusePretokKind { MUSE_PRETOK_SPLIT, MUSE_PRETOK_METASPACE, MUSE_PRETOK_PREFIX } MusePretokKind;
typedef enum MuseSplit { MUSE_SPLIT_ISOLATED, MUSE_SPLIT_REMOVED, MUSE_SPLIT_PREVIOUS, MUSE_SPLIT_NEXT, MUSE_SPLIT_CONTIGUOUS } MuseSplit;
typedef enum MusePrepend { MUSE_PREPEND_ALWAYS, MUSE_PREPEND_FIRST, MUSE_PREPEND_NEVER } MusePrepend;

typedef struct MusePretokStep {
    MusePretokKind kind;
    MusePattern pattern;     /* SPLIT; METASPACE with split: the mark */
    MuseSplit   behavior;
    bool        invert;      /* SPLIT: what does not match counts as the match */
    bool        split;       /* METASPACE: cut before each mark */
    MusePrepend prepend;     /* METASPACE */
    uint8_t     mark[4];     /* METASPACE: what a space becomes */
    unsigned    n_mark;
} MusePretokStep;            /* PREFIX: a space before a piece that does not start with one */

typedef struct MusePretok {
    MusePretokStep steps[MUSE_PRETOK_STEPS_MAX];
    unsigned n;
} MusePretok;

/* Gets each piece, in order. 0 or an error, which ends the run. */
typedef int MusePieceFn(void *user, const uint8_t *s, size_t n);

typedef struct MusePretokRun {
    MuseMatcher *matcher;
    MuseBuf     *bufs;       /* [MUSE_PRETOK_STEPS_MAX] */
    bool         at_start;   /* the segment starts the whole text */
    bool         inside;     /* s is the later part of a segment: nothing is put before it */
    MusePieceFn *emit;
    void        *user;
} MusePretokRun;

/* the next free step; 0; MUSE_ERR_UNSUPPORTED: too many */
int  muse_pretok_add(MusePretok *p, MusePretokKind kind, MusePretokStep **step, MuseError *err);
void muse_pretok_close(MusePretok *p);
/* s: well-formed UTF-8. 0; what emit returned; MUSE_ERR_LIMIT: a pattern takes too many steps; MUSE_ERR_NOMEM */
int  muse_pretok_run(const MusePretok *p, MusePretokRun *run, const uint8_t *s, size_t n);

#endif
