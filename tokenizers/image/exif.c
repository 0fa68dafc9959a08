/* SPDX-License-Identifier: Apache-2.0 */
/* A reader for one tag of one TIFF directory. Follows no other pointer, so nothing can loop or run away.
 * Called by the JPEG, PNG and WebP readers. Source: TIFF 6.0 section 2; EXIF 2.32 section 4.6.4, orientation. */
#include "tokenizers/image/exif.h"

#include "base/bytes.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

static uint32_t read_u16(MuseBytes *b, bool big) { return big ? muse_bytes_u16be(b) : muse_bytes_u16le(b); }
static uint32_t read_u32(MuseBytes *b, bool big) { return big ? muse_bytes_u32be(b) : muse_bytes_u32le(b); }

/* 1..8; 0: damaged, *why then says how */
static uint32_t orientation_of(MuseBytes b, const char **why)
{
    const uint8_t *order = muse_bytes_take(&b, 2);
    const bool big = order && order[0] == 'M';
    *why = "no TIFF header";
    if (!order || order[0] != order[1] || (!big && order[0] != 'I') || read_u16(&b, big) != 42) return 0;
    const uint32_t first = read_u32(&b, big);
    *why = "the first directory lies outside";
    if (b.failed || first > b.size) return 0;
    b.pos = first;
    const uint32_t n = read_u16(&b, big);
    for (uint32_t i = 0; i < n && !b.failed; i++) {
        const size_t at = b.pos;
        const uint32_t tag = read_u16(&b, big), type = read_u16(&b, big), count = read_u32(&b, big);
        if (b.failed) break;
        if (tag != TAG_ORIENTATION) {
            if (!muse_bytes_take(&b, at + ENTRY_BYTES - b.pos)) break;
            continue;
        }
        const uint32_t v = type == TYPE_LONG ? read_u32(&b, big) : read_u16(&b, big);
        *why = "the orientation is none of 1..8";
        return !b.failed && (type == TYPE_SHORT || type == TYPE_LONG) && count == 1 && v <= 8 ? v : 0;
    }
    *why = "the first directory is cut short";
    return b.failed ? 0 : 1;
}

uint32_t muse_exif_orientation(const uint8_t *bytes, size_t size, const MuseLog *log, const char *where, size_t offset)
{
    if (size >= 6 && memcmp(bytes, "Exif\0", 5) == 0) {
        bytes += 6;
        size -= 6;
    }
    const char *why;
    const uint32_t orientation = orientation_of(muse_bytes(bytes, size), &why);
    if (orientation) return orientation;
    muse_log(log, MUSE_LOG_WARN, "%s at byte %zu: EXIF is damaged (%s); the picture is taken as stored", where, offset, why);
    return 1;
}
