/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of the status codes, and the one place that fills a MuseError. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const struct { int code; const char *name, *text; } statuses[] = {
    { MUSE_OK, "MUSE_OK", "done" },
    { MUSE_AGAIN, "MUSE_AGAIN", "nothing to give yet" },
    { MUSE_DONE, "MUSE_DONE", "the stream has ended" },
    { MUSE_ERR_ARG, "MUSE_ERR_ARG", "an argument is missing, out of range or inconsistent" },
    { MUSE_ERR_NOMEM, "MUSE_ERR_NOMEM", "out of memory" },
    { MUSE_ERR_IO, "MUSE_ERR_IO", "a file can't be opened, read or written" },
    { MUSE_ERR_FORMAT, "MUSE_ERR_FORMAT", "the data is damaged or not of the expected format" },
    { MUSE_ERR_UNSUPPORTED, "MUSE_ERR_UNSUPPORTED", "not supported by this build or model" },
    { MUSE_ERR_LIMIT, "MUSE_ERR_LIMIT", "over a limit" },
    { MUSE_ERR_CANCELLED, "MUSE_ERR_CANCELLED", "cancelled by the caller" },
    { MUSE_ERR_FULL, "MUSE_ERR_FULL", "the buffer or capacity is too small" },
    { MUSE_ERR_STATE, "MUSE_ERR_STATE", "not possible in the present state" },
    { MUSE_ERR_NOT_FOUND, "MUSE_ERR_NOT_FOUND", "no such name, id or member" },
};

const char *muse_status_name(int code)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == code) return statuses[i].name;
    return "unknown status";
}

const char *muse_status_text(int code)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == code) return statuses[i].text;
    return "unknown status";
}

/* one line of valid UTF-8 without controls, even when it quotes file contents or was cut inside a character */
static void make_printable(char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        const unsigned bytes = muse_utf8_char((const uint8_t *)text + i, n - i, &code);
        const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (!bytes || control) memset(text + i, '?', bytes ? bytes : 1);
        i += bytes ? bytes : 1;
    }
}

static void set_text(MuseError *err, int code, const char *fmt, va_list args)
{
    err->code = code;
    err->text[0] = 0;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    make_printable(err->text);
}

int muse_fail(MuseError *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    set_text(err, code, fmt, args);
    va_end(args);
    return code;
}

int muse_fail_prefix(MuseError *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    char rest[MUSE_ERROR_TEXT];
    memcpy(rest, err->text, sizeof rest);
    rest[sizeof rest - 1] = 0;
    va_list args;
    va_start(args, fmt);
    set_text(err, code, fmt, args);
    va_end(args);
    const size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", rest);
    make_printable(err->text);   /* it may have been cut */
    return code;
}

int muse_fail_copy(MuseError *dst, const MuseError *src)
{
    if (dst) *dst = *src;
    return src->code;
}
