/* SPDX-License-Identifier: Apache-2.0 */
/* The AMX kernels with their instructions in plain C, so that all but the instructions is checked on every CPU. */
#include "amx_emulated.h"

#include "amx_emulation.h"

#define MUSE_AMX_EMULATED 1
#define muse_tile_bf16_amx muse_tile_bf16_amx_emulated
#define muse_tile_q8_amx muse_tile_q8_amx_emulated
#include "ops/x86/matmul_amx.c"
