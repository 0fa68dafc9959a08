/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a MuseError. Users: everything that can fail. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "muse/status.h"

#if defined(__GNUC__)
#define MUSE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MUSE_PRINTF(fmt, args)
#endif

/* Returns code, so that a failing line reads `return muse_fail(err, MUSE_ERR_FORMAT, "...", ...);`. err may be NULL.
 * The text is cut at MUSE_ERROR_TEXT - 1 bytes, control characters become '?', so file contents may be quoted. */
int muse_fail(MuseError *err, int code, const char *fmt, ...) MUSE_PRINTF(3, 4);

/* For an error that passes through: puts "prefix: " before the text that is already there, returns code. */
int muse_fail_prefix(MuseError *err, int code, const char *fmt, ...) MUSE_PRINTF(3, 4);

/* Copy src to dst if dst is given; returns src's code. */
int muse_fail_copy(MuseError *dst, const MuseError *src);

/* Argument check at a public entry. */
#define MUSE_REQUIRE(err, cond) \
    do { if (!(cond)) return muse_fail((err), MUSE_ERR_ARG, "%s: argument check failed: %s", __func__, #cond); } while (0)

/* Out of memory, with the wanted size. */
#define MUSE_NOMEM(err, bytes) muse_fail((err), MUSE_ERR_NOMEM, "%s: no memory for %zu bytes", __func__, (size_t)(bytes))

#endif
