/* SPDX-License-Identifier: Apache-2.0 */
/* FLAC: reads STREAMINFO, walks the metadata blocks and leaves them out. Frames are libFLAC's; it checks their CRCs, and
 * sound_reader.c turns what it finds into errors. A total of 0 samples means unknown.
 * @source RFC 9639, sections 8.1 and 8.2 */
#include <sndfile.h>

#include "base/status.h"
#include "tokenizers/audio/sound.h"

enum { STREAMINFO_BYTES = 34, BLOCK_LAST = 0x80, ID3V1_BYTES = 128 };

int muse_sound_flac(MuseSound *s, const uint8_t *bytes, size_t size, size_t at, MuseError *err)
{
    MuseBytes b = muse_bytes(bytes, size);
    s->format = "flac";
    s->container = SF_FORMAT_FLAC;
    muse_bytes_take(&b, 4);
    const uint8_t *info = NULL;
    for (bool last = false; !last;) {
        const size_t block = at + b.pos;
        const uint8_t *h = muse_bytes_take(&b, 4);
        if (!h) return muse_fail(err, MUSE_ERR_FORMAT, "flac: the file ends in its metadata at byte %zu", block);
        const size_t len = (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
        last = h[0] & BLOCK_LAST;
        if (!info && ((h[0] & ~BLOCK_LAST) != 0 || len != STREAMINFO_BYTES))
            return muse_fail(err, MUSE_ERR_FORMAT, "flac: the first metadata block is no STREAMINFO of 34 bytes");
        const size_t left = muse_bytes_left(&b);
        const uint8_t *body = muse_bytes_take(&b, len);
        if (!body) return muse_fail(err, MUSE_ERR_FORMAT, "flac: metadata block at byte %zu promises %zu bytes, the file has %zu left",
                                    block, len, left);
        if (!info) info = body;
    }
    s->rate = (uint32_t)info[10] << 12 | (uint32_t)info[11] << 4 | info[12] >> 4;
    s->channels = (info[12] >> 1 & 7) + 1u;
    const uint32_t bits = ((info[12] & 1u) << 4 | info[13] >> 4) + 1;
    s->n_samples = (uint64_t)(info[13] & 15) << 32 | (uint64_t)info[14] << 24 | (uint64_t)info[15] << 16 | (uint64_t)info[16] << 8 | info[17];
    s->count = s->n_samples ? MUSE_COUNT_EXACT : MUSE_COUNT_NONE;
    if (bits != 8 && bits != 16 && bits != 24) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "flac: %u bits a sample; 8, 16 and 24 are read",
                                                                bits);
    memcpy(s->head, "fLaC", 4);
    const uint8_t lone[4] = { BLOCK_LAST, 0, 0, STREAMINFO_BYTES };
    memcpy(s->head + 4, lone, 4);
    memcpy(s->head + 8, info, STREAMINFO_BYTES);
    /* Without a total libsndfile decodes to the end of the file, so that more samples than promised show too. */
    s->head[8 + 13] &= 0xf0;
    memset(s->head + 8 + 14, 0, 4);
    s->head_len = 8 + STREAMINFO_BYTES;
    s->body = bytes + b.pos;
    s->body_len = size - b.pos;
    if (s->body_len >= ID3V1_BYTES && memcmp(bytes + size - ID3V1_BYTES, "TAG", 3) == 0) s->body_len -= ID3V1_BYTES;
    return muse_sound_check(s, err);
}
