/* SPDX-License-Identifier: Apache-2.0 */
/* The log callback. Silent unless the caller gave one. Users: everything that holds a MuseLog. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/status.h"
#include "muse/runtime.h"

typedef struct MuseLog {
    MuseLogFn *fn;
    void      *user;
    int        level;
} MuseLog;

/* log may be NULL. Nothing is formatted when level is above log->level. Lines are cut at 1023 bytes. */
void muse_log(const MuseLog *log, int level, const char *fmt, ...) MUSE_PRINTF(3, 4);

#endif
