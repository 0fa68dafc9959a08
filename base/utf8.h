/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 by the table of well-formed sequences (The Unicode Standard, 3.9, table 3-7). Users: errors, JSON, text, drawing. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes of the well-formed character at s, 1..4, and its code point; 0 if there is none. cp may be NULL */
unsigned muse_utf8_char(const uint8_t *s, size_t n, uint32_t *cp);

/* the longest prefix that is well-formed, in bytes */
size_t muse_utf8_valid(const uint8_t *s, size_t n);

/* bytes at the end, 0..3, that more bytes could still turn into one character */
unsigned muse_utf8_open_tail(const uint8_t *s, size_t n);

/* cp at most 0x10ffff and no surrogate; @return bytes written, 1..4 */
unsigned muse_utf8_put(uint32_t cp, uint8_t out[4]);

#endif
