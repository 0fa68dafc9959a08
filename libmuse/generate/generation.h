/* SPDX-License-Identifier: Apache-2.0 */
/* One session's generation: what one token after another does to sampler, stops and text. It does not step the session:
 * generate.c does that, for one or for many together. */
#ifndef LIBMUSE_GENERATE_GENERATION_H
#define LIBMUSE_GENERATE_GENERATION_H

#include "libmuse/session/session.h"
#include "muse/chat.h"
#include "muse/generate.h"

typedef struct MuseGeneration {
    MuseSession        *s;
    MuseGenerateParams  p;
    MuseSampler        *sampler, *own;   /* own: made here, or NULL */
    MuseStop           *stop;
    MuseTextDecoder    *decoder;         /* NULL without a tokenizer */
    MuseGenerateResult *out;
    MuseBuf             text;            /* becomes out->text */
    uint64_t            most;            /* tokens that may be written */
    size_t              cap;             /* tokens that there is room for: ids, logprobs, pages */
    bool                done;
    bool                pending;         /* the last id is not in the sequence yet */
} MuseGeneration;

/* Everything that can be refused is looked at here. g->out is zeroed. On error close it too. */
int  muse_generation_open(MuseGeneration *g, MuseSession *s, const MuseGenerateParams *params, MuseGenerateResult *out, MuseError *err);
/* Computes what the session holds. */
int  muse_generation_start(MuseGeneration *g, MuseError *err);
/* Chooses the next token from the session's logits; afterwards it is pending, or g is done. */
int  muse_generation_take(MuseGeneration *g, MuseError *err);
/* The text ends here: what was held back comes out. Not called twice. */
int  muse_generation_end(MuseGeneration *g, int finish, MuseError *err);
/* A pending id goes to the sequence; text goes to the result, which is valid from here on. */
int  muse_generation_settle(MuseGeneration *g, MuseError *err);
void muse_generation_close(MuseGeneration *g);

#endif
