/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OPS_RESIZE_H
#define OPS_RESIZE_H

#include "config.h"
#include "ops/cpu.h"

typedef struct MuseResizeOps {
    int unused;
} MuseResizeOps;

void muse_resize_ops_init(MuseResizeOps *ops, unsigned cpu);

#endif
