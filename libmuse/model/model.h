/* SPDX-License-Identifier: Apache-2.0 */
/* MuseModel from the inside: mapped files, configuration, bound tensors. Read-only after open. Users: api, embed, decoder, session. */
#ifndef LIBMUSE_MODEL_MODEL_H
#define LIBMUSE_MODEL_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "libmuse/io/weights.h"
#include "libmuse/model/bind.h"
#include "libmuse/model/config.h"
#include "muse/model.h"
#include "muse/reason.h"
#include "ops/runtime.h"

/* A calibration.json: rows, and what the agents were that it was measured with */
typedef struct MuseCalibrationFile {
    MuseCalibration *rows;       /* [n]; NULL: there is none */
    size_t   n;
    uint32_t agents, views;      /* as asked for; agents 0: not said; views 0: as many as the model has of itself */
    double   temperature;        /* as asked for; 0: none */
} MuseCalibrationFile;

struct MuseModel {
    MuseRuntime   *rt;
    atomic_int     refs;
    char          *path;         /* as given */
    MuseWeightFile files[2];     /* the model; a projector file */
    size_t         n_files;
    MuseConfig     config;
    MuseWeights    weights;
    MuseFamily     family;       /* the family's rules with this model's numbers */
    void          *values;       /* what tensors that are not in a file point to; NULL: files, or no weights */
    bool           in_memory;    /* has no files at all: muse_model_from_bytes() */
    bool           no_weights;   /* tensors without bytes */
    MuseBuf        tokenizer_json;   /* of a model in memory; empty: there is none */
    MuseCalibrationFile calibration;  /* of the folder; rows NULL: it has none */

    /* made when first asked for, then shared and read-only; under the lock */
    pthread_mutex_t   lock;
    MuseTextTokenizer *tokenizer;
    void             *decoders[4];   /* one a MuseCompute; made by session, which knows what they are */
    void            (*close_decoder)(void *decoder);
};

enum { MUSE_CHUNK_POSITIONS = 512 };   /* a prompt goes through the layers in chunks of at least this, or one picture if it is longer */

/* A model without files. */
typedef struct MuseModelBytes {
    const char  *name;           /* stands for its path in messages */
    const void  *config, *tokenizer;   /* config.json; tokenizer.json, or NULL. Copied */
    size_t       config_bytes, tokenizer_bytes;
    MuseTensors *tensors;        /* taken in any case; names as in safetensors */
    void        *values;         /* what they point to; taken in any case */
} MuseModelBytes;

/* 0; as muse_model_open() but for files. */
int  muse_model_from_bytes(MuseModel **out, MuseRuntime *rt, MuseModelBytes *b, MuseError *err);

/* Tensors of m's configuration as its only file: drawn, or (none) without bytes. 0; MUSE_ERR_NOMEM; MUSE_ERR_FORMAT. */
int  muse_model_draw(MuseModel *m, bool none, MuseError *err);
/* The family's table with the numbers of c. */
void muse_family_from_config(MuseFamily *family, const MuseConfig *c);
/* A calibration.json: muse_free() its rows. 0; MUSE_ERR_FORMAT; MUSE_ERR_NOMEM. */
int  muse_calibration_read(MuseCalibrationFile *out, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err);
/* The model's tokenizer, opened at the first call; lives as long as the model. 0; as muse_model_open_tokenizer(). Any thread. */
int  muse_model_tokenizer(MuseModel *model, const MuseTextTokenizer **out, MuseError *err);
/* Positions of one prompt chunk, which the workspace and windowed KV caches are sized for. */
uint32_t muse_config_chunk(const MuseConfig *c);

#endif
