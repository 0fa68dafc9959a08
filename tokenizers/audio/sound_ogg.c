/* SPDX-License-Identifier: Apache-2.0 */
/* Ogg: walks all pages. Each must be whole, have its CRC right, follow its predecessor and belong to the one stream; then
 * libogg, which would skip damaged pages without a word, has none to skip. Packets are the codec's.
 * @source RFC 3533, section 6; Vorbis I, section 4.2.2; RFC 7845, section 5.1 */
#include <sndfile.h>

#include "base/status.h"
#include "tokenizers/audio/sound.h"

enum { PAGE_HEAD = 27, FLAG_CONTINUED = 1, FLAG_BEGIN = 2, FLAG_END = 4 };

/* CRC-32 of polynomial 0x04c11db7, most significant bit first, start 0, with bytes 22..25 taken as 0 */
static uint32_t page_crc(const uint32_t table[256], const uint8_t *page, size_t size)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = i >= 22 && i < 26 ? 0 : page[i];
        crc = crc << 8 ^ table[(crc >> 24) ^ byte];
    }
    return crc;
}

static void crc_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i << 24;
        for (int k = 0; k < 8; k++) r = r << 1 ^ (r >> 31 ? 0x04c11db7u : 0);
        table[i] = r;
    }
}

typedef struct OggWalk {
    uint32_t serial, sequence;
    uint64_t granule;   /* of the last page that ends a packet */
    bool     begun, ended;
} OggWalk;

/* The page at b. *page_len: its bytes. */
static int page(OggWalk *w, const uint32_t table[256], MuseBytes *b, MuseError *err)
{
    const size_t at = b->pos, left = muse_bytes_left(b);
    const uint8_t *h = muse_bytes_take(b, PAGE_HEAD);
    const uint8_t *lacing = h ? muse_bytes_take(b, h[26]) : NULL;
    if (h && memcmp(h, "OggS\0", 5)) return muse_fail(err, MUSE_ERR_FORMAT, "ogg: no page at byte %zu", at);
    size_t body = 0;
    for (size_t i = 0; lacing && i < h[26]; i++) body += lacing[i];
    if (!lacing || !muse_bytes_take(b, body))
        return muse_fail(err, MUSE_ERR_FORMAT, "ogg: the page at byte %zu is cut short: %zu bytes are left%s",
                         at, left, w->ended ? " behind the end of the stream" : "");
    MuseBytes f = muse_bytes(h + 6, PAGE_HEAD - 6);
    const uint64_t granule = muse_bytes_u64le(&f);
    const uint32_t serial = muse_bytes_u32le(&f), sequence = muse_bytes_u32le(&f), crc = muse_bytes_u32le(&f);
    if (crc != page_crc(table, h, b->pos - at)) return muse_fail(err, MUSE_ERR_FORMAT, "ogg: wrong checksum in the page at byte %zu", at);
    const bool begin = h[5] & FLAG_BEGIN;
    if (begin && w->begun) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "ogg: a second stream at byte %zu; chained and multiplexed files are not read",
                                            at);
    if (!begin && !w->begun) return muse_fail(err, MUSE_ERR_FORMAT, "ogg: the first page does not begin a stream");
    if (w->begun && (serial != w->serial || w->ended)) return muse_fail(err, MUSE_ERR_FORMAT, "ogg: the page at byte %zu belongs to no stream",
                                                                        at);
    if (w->begun && sequence != w->sequence + 1)
        return muse_fail(err, MUSE_ERR_FORMAT, "ogg: page %u follows page %u at byte %zu: pages are missing", sequence, w->sequence, at);
    if (granule != UINT64_MAX) w->granule = granule;
    w->begun = true;
    w->ended = h[5] & FLAG_END;
    w->serial = serial;
    w->sequence = sequence;
    return 0;
}

/* The first packet, whole on the first page. A granule position counts samples from the stream's start; Opus counts at
 * 48 kHz and includes what the decoder throws away first. */
static int identify(MuseSound *s, const uint8_t *bytes, uint64_t granule, MuseError *err)
{
    MuseBytes b = muse_bytes(bytes + PAGE_HEAD + bytes[26], bytes[26] ? bytes[PAGE_HEAD] : 0);
    const uint8_t *id = b.data;
    if (b.size >= 19 && memcmp(id, "OpusHead", 8) == 0) {
        muse_bytes_take(&b, 9);
        s->channels = muse_bytes_u8(&b);
        const uint32_t skip = muse_bytes_u16le(&b);
        s->rate = 48000;   /* the reader takes libsndfile's, which follows the original rate in the header */
        s->n_samples = granule > skip ? granule - skip : 0;
    } else if (b.size >= 30 && memcmp(id, "\1vorbis", 7) == 0) {
        muse_bytes_take(&b, 7);
        const uint32_t version = muse_bytes_u32le(&b);
        s->channels = muse_bytes_u8(&b);
        s->rate = muse_bytes_u32le(&b);
        s->n_samples = granule;
        const uint32_t small = id[28] & 15, large = id[28] >> 4;   /* block sizes, as powers of two */
        if (version || small < 6 || large > 13 || small > large || !(id[29] & 1))
            return muse_fail(err, MUSE_ERR_FORMAT, "ogg: impossible Vorbis header: version %u, blocks of 2^%u and 2^%u, framing %u",
                             version, small, large, id[29] & 1u);
    } else {
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "ogg: the stream is neither Vorbis nor Opus");
    }
    return muse_sound_check(s, err);
}

int muse_sound_ogg(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err)
{
    uint32_t table[256];
    OggWalk w = { 0 };
    MuseBytes b = muse_bytes(bytes, size);
    s->format = "ogg";
    s->container = SF_FORMAT_OGG;
    crc_table(table);
    while (muse_bytes_left(&b)) {
        const int rc = page(&w, table, &b, err);
        if (rc < 0) return rc;
    }
    /* the last page's flag is the one promise of a length: without it the file may have been cut between two pages */
    if (!w.ended) return muse_fail(err, MUSE_ERR_FORMAT, "ogg: the stream has no end: its last page, number %u, lacks the end flag",
                                   w.sequence);
    s->body = bytes;
    s->body_len = size;
    s->count = MUSE_COUNT_EXACT;
    return identify(s, bytes, w.granule, err);
}
