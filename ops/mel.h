/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OPS_MEL_H
#define OPS_MEL_H

#include "config.h"
#include "ops/cpu.h"

typedef struct MuseMelOps {
    int unused;
} MuseMelOps;

void muse_mel_ops_init(MuseMelOps *ops, unsigned cpu);

#endif
