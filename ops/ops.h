/* SPDX-License-Identifier: Apache-2.0 */
/* All kernel families of this build, one table each, chosen once for a set of CPU bits. */
#ifndef OPS_OPS_H
#define OPS_OPS_H

#include "ops/act.h"
#include "ops/attend.h"
#include "ops/matmul.h"
#include "ops/mel.h"
#include "ops/norm.h"
#include "ops/pixel.h"
#include "ops/quant.h"
#include "ops/resize.h"
#include "ops/rope.h"

typedef struct MuseOps {
    MuseNormOps   norm;
    MusePixelOps  pixel;
    MuseResizeOps resize;
    MuseMelOps    mel;
    MuseQuantOps  quant;
    MuseMatmulOps matmul;
    MuseActOps    act;
    MuseRopeOps   rope;
    MuseAttendOps attend;
} MuseOps;

/* cpu: detected bits, already masked */
void muse_ops_init(MuseOps *ops, unsigned cpu);

#endif
