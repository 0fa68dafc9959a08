/* SPDX-License-Identifier: Apache-2.0 */
/* MP3 and MP2: walks all frames, which must follow each other without a gap and have one rate, layer and channel number;
 * mpg123 would search past damage without a word. An information frame (Xing, Info) must agree with the frames found.
 * @source ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; ISO/IEC 13818-3, 2.4.2.3; G. Bouvigne, "MP3 Info Tag", revision 1 */
#include <sndfile.h>

#include "base/status.h"
#include "tokenizers/audio/sound.h"

/* kbit/s; rows: MPEG-1 layer II, MPEG-1 layer III, MPEG-2 and 2.5 layers II and III */
static const uint16_t bitrates[3][15] = {
    { 0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384 },
    { 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },
    { 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
};

typedef struct MpegFrame {
    uint32_t layer, rate, channels, samples, bytes;   /* samples: a channel */
    bool     version1, crc;
} MpegFrame;

/* the frame header at p, 4 bytes; false if it is none, or of free format, which states no length */
static bool frame_read(MpegFrame *f, const uint8_t *p)
{
    static const uint16_t rates[3] = { 44100, 48000, 32000 };
    const uint32_t version = p[1] >> 3 & 3, layer = 4u - (p[1] >> 1 & 3u), bitrate = p[2] >> 4, rate = p[2] >> 2 & 3;
    if (p[0] != 0xff || (p[1] & 0xe0) != 0xe0 || version == 1 || (layer != 2 && layer != 3)) return false;
    if (bitrate == 0 || bitrate == 15 || rate == 3 || (p[3] & 3) == 2) return false;
    f->version1 = version == 3;
    f->layer = layer;
    f->rate = (uint32_t)rates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    f->channels = p[3] >> 6 == 3 ? 1 : 2;
    f->samples = layer == 3 && !f->version1 ? 576 : 1152;
    f->bytes = f->samples / 8 * 1000 * bitrates[!f->version1 ? 2 : layer - 2][bitrate] / f->rate + (p[2] >> 1 & 1);
    f->crc = !(p[1] & 1);
    return true;
}

static bool alike(const MpegFrame *a, const MpegFrame *b)
{
    return a->layer == b->layer && a->rate == b->rate && a->channels == b->channels && a->version1 == b->version1;
}

bool muse_sound_is_mpeg(const uint8_t *bytes, size_t size)
{
    MpegFrame f, next;
    if (size < 4 || !frame_read(&f, bytes)) return false;
    if (size < f.bytes + 4u) return size <= f.bytes || bytes[f.bytes] == 0xff || bytes[f.bytes] == 'T';   /* one frame, whole or cut */
    return frame_read(&next, bytes + f.bytes) || memcmp(bytes + f.bytes, "TAG", 3) == 0 || memcmp(bytes + f.bytes, "APET", 4) == 0;
}

static uint32_t side_bytes(const MpegFrame *f) { return f->version1 ? (f->channels == 1 ? 17 : 32) : f->channels == 1 ? 9 : 17; }

typedef struct Bits { const uint8_t *p; uint32_t at; } Bits;

static uint32_t bits(Bits *b, uint32_t n)
{
    uint32_t v = 0;
    for (; n; n--, b->at++) v = v << 1 | (b->p[b->at / 8] >> (7 - b->at % 8) & 1u);
    return v;
}

/* Is a layer III frame's side information possible? mpg123 mutes a frame where it is not, and says so on stderr only.
 * p: [f->bytes] */
static bool side_ok(const MpegFrame *f, const uint8_t *p)
{
    const uint32_t side = side_bytes(f), before = 4 + (f->crc ? 2 : 0) + side;
    if (f->bytes < before) return false;
    Bits b = { p + before - side, 0 };
    const uint32_t reservoir = bits(&b, f->version1 ? 9 : 8);
    const uint32_t granules = f->version1 ? 2 : 1;
    bits(&b, f->version1 ? (f->channels == 1 ? 5 + 4 : 3 + 8) : f->channels);   /* private bits, scfsi */
    uint32_t used = 0;
    for (uint32_t i = 0; i < granules * f->channels; i++) {
        used += bits(&b, 12);                              /* part2_3_length */
        if (bits(&b, 9) > 288) return false;               /* big_values: pairs of 576 lines */
        bits(&b, f->version1 ? 8 + 4 : 8 + 9);             /* global_gain, scalefac_compress */
        const uint32_t switched = bits(&b, 1);
        if (switched && bits(&b, 2) == 0) return false;    /* block_type 0 is what is not switched */
        bits(&b, (switched ? 20 : 22) + (f->version1 ? 3 : 2));
    }
    return used <= 8 * (reservoir + f->bytes - before);
}

/* Bytes of the Lyrics3 tag at p: to behind its end mark. @source Lyrics3 v1 and v2 */
static size_t lyrics_bytes(const uint8_t *p, size_t size)
{
    for (size_t i = 11; i + 9 <= size; i++)
        if (memcmp(p + i, "LYRICSEND", 9) == 0 || memcmp(p + i, "LYRICS200", 9) == 0) return i + 9;
    return size;
}

/* Bytes of the tag at p, which may pass the end; 0 if there is none. @source ID3v1, ID3v2.4 section 3, APEv2 */
static uint64_t tag_bytes(const uint8_t *p, size_t size)
{
    if (size >= 4 && memcmp(p, "TAG+", 4) == 0) return 227;
    if (size >= 3 && memcmp(p, "TAG", 3) == 0) return 128;
    if (size >= 10 && memcmp(p, "ID3", 3) == 0)
        return 10 + ((uint64_t)(p[6] & 127) << 21 | (uint64_t)(p[7] & 127) << 14 | (uint64_t)(p[8] & 127) << 7 | (p[9] & 127)) + (p[5] & 16 ? 10 : 0);
    if (size >= 32 && memcmp(p, "APETAGEX", 8) == 0)
        return 32 + ((uint64_t)p[12] | (uint64_t)p[13] << 8 | (uint64_t)p[14] << 16 | (uint64_t)p[15] << 24);
    if (size >= 11 && memcmp(p, "LYRICSBEGIN", 11) == 0) return lyrics_bytes(p, size);
    return 0;
}

/* Behind the last frame there may be tags and zeros, nothing else: it could be a second sound. */
static bool is_tail(const uint8_t *p, size_t size)
{
    while (size > 0) {
        const uint64_t tag = *p == 0 ? 1 : tag_bytes(p, size);
        if (tag == 0) return false;
        if (tag >= size) return true;
        p += tag;
        size -= (size_t)tag;
    }
    return true;
}

/* Where the side information of a layer III frame ends: what follows may be "Xing" or "Info". */
static size_t side_end(const MpegFrame *f)
{
    return 4 + side_bytes(f);  /* the tag ignores the CRC's two bytes */
}

/* The information frame, if p starts with one: *promised is its number of frames (0: none stated). Its number of bytes is
 * put right in the copy that the decoder gets, which complains on stderr about others' tags that are counted in. */
static bool info_frame(MuseSound *s, const MpegFrame *f, const uint8_t *p, uint32_t sound_bytes, uint32_t *promised)
{
    const size_t at = side_end(f);
    *promised = 0;
    if (f->layer != 3 || f->bytes < at + 16 || (memcmp(p + at, "Xing", 4) && memcmp(p + at, "Info", 4))) return false;
    MuseBytes b = muse_bytes(p + at + 4, 12);
    const uint32_t flags = muse_bytes_u32be(&b);
    memcpy(s->head, p, f->bytes);
    s->head_len = f->bytes;
    if (flags & 1) *promised = muse_bytes_u32be(&b);
    if (flags & 2) {
        uint8_t *bytes = s->head + at + 4 + b.pos;
        for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(sound_bytes >> (24 - 8 * i));
    }
    return true;
}

int muse_sound_mpeg(MuseSound *s, const uint8_t *bytes, size_t size, size_t at, MuseError *err)
{
    MpegFrame first = { 0 }, f;
    size_t pos = 0, frames = 0;
    frame_read(&first, bytes);
    s->format = first.layer == 3 ? "mp3" : "mp2";
    s->container = SF_FORMAT_MPEG;
    while (size - pos >= 4 && frame_read(&f, bytes + pos)) {
        if (!alike(&f, &first))
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: rate, layer or channels change at byte %zu, in frame %zu",
                             s->format, at + pos, frames);
        if (f.bytes > size - pos)
            return muse_fail(err, MUSE_ERR_FORMAT, "%s: frame %zu at byte %zu promises %u bytes, the file has %zu left",
                             s->format, frames, at + pos, f.bytes, size - pos);
        if (f.layer == 3 && !side_ok(&f, bytes + pos))
            return muse_fail(err, MUSE_ERR_FORMAT, "%s: impossible side information in frame %zu at byte %zu", s->format, frames, at + pos);
        pos += f.bytes;
        frames++;
    }
    if (!is_tail(bytes + pos, size - pos))
        return muse_fail(err, MUSE_ERR_FORMAT, "%s: no frame at byte %zu, behind frame %zu; %zu bytes are left",
                         s->format, at + pos, frames, size - pos);
    if (pos > 0x7fffffffu) return muse_fail(err, MUSE_ERR_LIMIT, "%s: %zu bytes of frames, the limit is 2^31 - 1", s->format, pos);
    s->rate = first.rate;
    s->channels = first.channels;
    s->body = bytes;
    s->body_len = pos;
    uint32_t promised = 0;
    s->count = MUSE_COUNT_GUESS;
    if (info_frame(s, &first, bytes, (uint32_t)pos, &promised)) {
        s->body += s->head_len;
        s->body_len -= s->head_len;
        frames--;
        s->count = MUSE_COUNT_DECODER;
        if (promised && promised != frames)
            return muse_fail(err, MUSE_ERR_FORMAT, "%s: %u frames promised, %zu found", s->format, promised, frames);
    }
    s->n_samples = (uint64_t)frames * first.samples;   /* less what encoder and decoder add, which only decoding tells */
    return muse_sound_check(s, err);
}
