/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OPS_PIXEL_H
#define OPS_PIXEL_H

#include "config.h"
#include "ops/cpu.h"

typedef struct MusePixelOps {
    int unused;
} MusePixelOps;

void muse_pixel_ops_init(MusePixelOps *ops, unsigned cpu);

#endif
