/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file status.h
 * Status codes, error text, and the export macro. Every other public header includes this one.
 *
 * A call returns an int: 0 is done, a positive value is a normal state, a negative value is one of
 * the MUSE_ERR_ codes. The numbers are part of the ABI and never change. Calls that can fail take an
 * optional MuseError as their last argument, which receives the code and one line of text that names
 * what failed and where; there is no global "last error".
 */
#ifndef MUSE_STATUS_H
#define MUSE_STATUS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define MUSE_API
#elif defined(__GNUC__)
#define MUSE_API __attribute__((visibility("default")))
#else
#define MUSE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What calls return. Negative: an error. The numbers are stable. */
enum {
    MUSE_OK    = 0, ///< done
    MUSE_AGAIN = 1, ///< nothing to give yet: feed more input, call again
    MUSE_DONE  = 2, ///< the stream has ended

    MUSE_ERR_ARG         = -1,  ///< an argument is null, out of range or inconsistent
    MUSE_ERR_NOMEM       = -2,  ///< the allocator gave no memory
    MUSE_ERR_IO          = -3,  ///< a file can't be opened, read or written
    MUSE_ERR_FORMAT      = -4,  ///< the bytes are not valid for their format: damaged, truncated, lying
    MUSE_ERR_UNSUPPORTED = -5,  ///< valid, but not something this build or model can take
    MUSE_ERR_LIMIT       = -6,  ///< over a stated limit (pixels, seconds, file size)
    MUSE_ERR_CANCELLED   = -7,  ///< the caller asked to stop
    MUSE_ERR_FULL        = -8,  ///< the given buffer or capacity is too small; nothing was written
    MUSE_ERR_STATE       = -9,  ///< the handle is not in a state that allows this call
    MUSE_ERR_NOT_FOUND   = -10  ///< no such name, id or member
};

/** Bounds of a MuseError. */
enum {
    MUSE_ERROR_TEXT = 512 ///< bytes of its text, the final 0 included
};

/** What failed, in words. Owned by the caller; overwritten when a call fails, left alone when it succeeds. */
typedef struct MuseError {
    int  code;                   ///< the value the call returned
    char text[MUSE_ERROR_TEXT];  ///< one line of valid UTF-8, always terminated
} MuseError;

/**
 * The fixed name of a code. Any thread.
 * @return a static string such as "MUSE_ERR_FORMAT"; "unknown status" for any other number. Never NULL.
 */
MUSE_API const char *muse_status_name(int code);

/**
 * A short sentence for a code, for when no MuseError was kept. Any thread.
 * @return a static string, never NULL.
 */
MUSE_API const char *muse_status_text(int code);

#ifdef __cplusplus
}
#endif
#endif
