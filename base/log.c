/* SPDX-License-Identifier: Apache-2.0 */
/* Formats a line and hands it to the caller's callback; does nothing without one. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void muse_log(const MuseLog *log, int level, const char *fmt, ...)
{
    if (!log || !log->fn || level > log->level) return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    log->fn(log->user, level, line);
}
