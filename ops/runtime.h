/* SPDX-License-Identifier: Apache-2.0 */
/* MuseRuntime from the inside: what tokenizers, models and sessions share. Read-only after open. */
#ifndef OPS_RUNTIME_H
#define OPS_RUNTIME_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "muse/runtime.h"
#include "ops/ops.h"

struct MuseRuntime {
    MuseAllocator alloc;
    MuseLog       log;
    MuseTeam      team;
    unsigned      cpu;       /* bits in use, MUSE_X86_* */
    uint32_t      cpu_best;  /* level */
    MuseOps       ops;
    atomic_int    refs;
};

/* One more reference; NULL makes a private runtime with the defaults. Release with muse_runtime_close().
 * NULL comes back only when there is no memory. */
MuseRuntime *muse_runtime_ref(MuseRuntime *rt);

#endif
