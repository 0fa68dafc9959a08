/* SPDX-License-Identifier: Apache-2.0 */
/* ops/x86/matmul_amx.c on any CPU: see amx_emulated.c. User: matmul.c. */
#ifndef CHECKOPS_AMX_EMULATED_H
#define CHECKOPS_AMX_EMULATED_H

#include "ops/matmul.h"

MuseMatmulTile muse_tile_bf16_amx_emulated, muse_tile_q8_amx_emulated;

#endif
