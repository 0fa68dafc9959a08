/* SPDX-License-Identifier: Apache-2.0 */
/* MuseModel from the inside: mapped files, configuration, bound tensors. Read-only after open. Users: api, embed, decoder, session. */
#ifndef LIBMUSE_MODEL_MODEL_H
#define LIBMUSE_MODEL_MODEL_H

#include <stdatomic.h>

#include "libmuse/io/weights.h"
#include "libmuse/model/bind.h"
#include "libmuse/model/config.h"
#include "muse/model.h"
#include "ops/runtime.h"

struct MuseModel {
    MuseRuntime   *rt;
    atomic_int     refs;
    char          *path;         /* as given */
    MuseWeightFile files[2];     /* the model; a projector file */
    size_t         n_files;
    MuseConfig     config;
    MuseWeights    weights;
    MuseFamily     family;       /* the family's rules with this model's numbers */
};

enum { MUSE_CHUNK_POSITIONS = 512 };   /* a prompt goes through the layers in chunks of at least this, or one picture if it is longer */

/* The family's table with the numbers of c. */
void muse_family_from_config(MuseFamily *family, const MuseConfig *c);
/* Positions of one prompt chunk, which the workspace and windowed KV caches are sized for. */
uint32_t muse_config_chunk(const MuseConfig *c);

#endif
