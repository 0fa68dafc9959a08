/* SPDX-License-Identifier: Apache-2.0 */
/* AMX on a CPU that lacks it: its instructions raise SIGILL, and the handler carries them out. So the compiled kernels
 * themselves are checked: their encodings, configurations, addresses and strides. User: check.c. */
#ifndef CHECKOPS_AMX_TRAP_H
#define CHECKOPS_AMX_TRAP_H

#include <stdbool.h>

/* From now on AMX instructions work in this process (Linux, x86-64). false: not here, nothing changed. What a kernel's
 * mistake would make fault on a CPU (shapes, sizes, tiles not configured) stops the program with a text. */
bool muse_amx_trap_open(void);

#endif
