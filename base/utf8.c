/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 by the table of well-formed sequences: checking, reading, writing. */
#include "base/utf8.h"

#include <string.h>

static bool is_tail(uint8_t b) { return (b & 0xc0) == 0x80; }

/* bounds of the second byte after this lead byte; false if it leads nothing */
static bool lead(uint8_t b, unsigned *n, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (b >= 0xc2 && b <= 0xdf) *n = 2;
    else if (b >= 0xe0 && b <= 0xef) *n = 3;
    else if (b >= 0xf0 && b <= 0xf4) *n = 4;
    else return false;
    if (b == 0xe0) *low = 0xa0;
    if (b == 0xed) *high = 0x9f;   /* no surrogates */
    if (b == 0xf0) *low = 0x90;
    if (b == 0xf4) *high = 0x8f;   /* nothing above 0x10ffff */
    return true;
}

unsigned muse_utf8_char(const uint8_t *s, size_t n, uint32_t *cp)
{
    if (n == 0) return 0;
    if (s[0] < 0x80) {
        if (cp) *cp = s[0];
        return 1;
    }
    unsigned len;
    uint8_t low, high;
    if (!lead(s[0], &len, &low, &high) || n < len || s[1] < low || s[1] > high) return 0;
    uint32_t v = s[0] & (0x7fu >> len);
    for (unsigned i = 1; i < len; i++) {
        if (!is_tail(s[i])) return 0;
        v = v << 6 | (s[i] & 0x3fu);
    }
    if (cp) *cp = v;
    return len;
}

size_t muse_utf8_valid(const uint8_t *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= 8) {
            memcpy(&eight, s + i, 8);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                i += 8;
                continue;
            }
        }
        const unsigned len = muse_utf8_char(s + i, n - i, NULL);
        if (!len) break;
        i += len;
    }
    return i;
}

unsigned muse_utf8_open_tail(const uint8_t *s, size_t n)
{
    for (unsigned back = 1; back <= 3 && back <= n; back++) {
        const uint8_t *p = s + n - back;
        if (is_tail(*p)) continue;
        unsigned len;
        uint8_t low, high;
        if (!lead(*p, &len, &low, &high) || len <= back) return 0;
        if (back > 1 && (p[1] < low || p[1] > high)) return 0;
        return back;
    }
    return 0;
}

unsigned muse_utf8_put(uint32_t cp, uint8_t out[4])
{
    if (cp < 0x80) {
        out[0] = (uint8_t)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (uint8_t)(0xc0 | cp >> 6);
        out[1] = (uint8_t)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (uint8_t)(0xe0 | cp >> 12);
        out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | cp >> 18);
    out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (cp & 0x3f));
    return 4;
}
