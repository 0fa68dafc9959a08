/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked containers: WAV (RIFF, RF64) and AIFF. Finds format and sound chunk, checks every length, and writes the
 * canonical header that libsndfile gets. Samples are not touched.
 * @source Microsoft, "Multimedia Programming Interface 1.0" (RIFF); EBU Tech 3306 (RF64); Apple, "AIFF 1.3", "AIFF-C" */
#include <math.h>
#include <sndfile.h>

#include "base/status.h"
#include "tokenizers/audio/sound.h"

static void put16le(uint8_t *p, uint32_t v) { p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); }
static void put32le(uint8_t *p, uint32_t v) { put16le(p, v); put16le(p + 2, v >> 16); }
static void put32be(uint8_t *p, uint32_t v) { for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i)); }

/* WAV format tags that are taken. @source RFC 2361 */
enum { TAG_PCM = 1, TAG_MS_ADPCM = 2, TAG_FLOAT = 3, TAG_ALAW = 6, TAG_MULAW = 7, TAG_IMA_ADPCM = 0x11, TAG_EXTENSIBLE = 0xfffe };

/* A canonical header's sizes have 32 bits. */
static const uint64_t body_max = 0xffff0000u;

typedef struct WavFormat {
    const uint8_t *chunk;   /* "fmt " as stored */
    uint32_t len, tag, block, bits;
} WavFormat;

static int wav_format(MuseSound *s, WavFormat *f, const uint8_t *chunk, uint64_t len, MuseError *err)
{
    if (f->chunk) return muse_fail(err, MUSE_ERR_FORMAT, "wav: a second fmt chunk");
    if (len < 16 || len > 1024) return muse_fail(err, MUSE_ERR_FORMAT, "wav: fmt chunk of %llu bytes", (unsigned long long)len);
    MuseBytes b = muse_bytes(chunk, (size_t)len);
    f->chunk = chunk;
    f->len = (uint32_t)len;
    f->tag = muse_bytes_u16le(&b);
    s->channels = muse_bytes_u16le(&b);
    s->rate = muse_bytes_u32le(&b);
    muse_bytes_u32le(&b);
    f->block = muse_bytes_u16le(&b);
    f->bits = muse_bytes_u16le(&b);
    if (f->tag == TAG_EXTENSIBLE) {
        static const uint8_t guid_tail[14] = { 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71 };
        if (len < 40) return muse_fail(err, MUSE_ERR_FORMAT, "wav: extensible fmt chunk of %llu bytes, at least 40 are needed",
                                       (unsigned long long)len);
        f->tag = chunk[24] | (uint32_t)chunk[25] << 8;
        if (memcmp(chunk + 26, guid_tail, sizeof guid_tail) || f->tag == TAG_EXTENSIBLE || f->tag == TAG_MS_ADPCM || f->tag == TAG_IMA_ADPCM)
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "wav: an extensible format that is not PCM, float, A-law or mu-law");
    }
    int rc = muse_sound_check(s, err);
    if (rc < 0) return rc;
    if (f->tag == TAG_MS_ADPCM || f->tag == TAG_IMA_ADPCM) {
        if (s->channels > 2 || f->block < 8 * s->channels || f->bits != 4)
            return muse_fail(err, MUSE_ERR_FORMAT, "wav: ADPCM with %u channels, blocks of %u bytes, %u bits",
                             s->channels, f->block, f->bits);
        return 0;
    }
    const bool pcm = f->tag == TAG_PCM && (f->bits == 8 || f->bits == 16 || f->bits == 24 || f->bits == 32);
    const bool ieee = f->tag == TAG_FLOAT && (f->bits == 32 || f->bits == 64);
    const bool law = (f->tag == TAG_ALAW || f->tag == TAG_MULAW) && f->bits == 8;
    if (!pcm && !ieee && !law) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "wav: format tag 0x%04x with %u bits a sample", f->tag, f->bits);
    if (f->block != s->channels * (f->bits / 8))
        return muse_fail(err, MUSE_ERR_FORMAT, "wav: blocks of %u bytes, %u channels of %u bits need %u",
                         f->block, s->channels, f->bits, s->channels * (f->bits / 8));
    return 0;
}

/* Programs that cannot seek back leave a size near the largest of 31 or 32 bits (ffmpeg, sox, arecord and GStreamer each
 * their own), or 0 in the data chunk and in the RIFF header alike. The sound then lasts to the end of the file. */
static bool is_streamed(uint64_t len, size_t left, uint32_t riff)
{
    if (len == 0) return left && (riff == 0 || riff == 0xffffffffu);
    return len > left && len >= 0x7fff0000u && len <= 0xffffffffu;
}

static bool is_chunk_id(const uint8_t *id)
{
    for (int i = 0; i < 4; i++)
        if (id[i] < 0x20 || id[i] > 0x7e) return false;
    return true;
}

/* What lies behind the sound must be chunks, a tag, or zeros: anything else may be sound that the header forgot. */
static int check_behind(const char *format, const uint8_t *id, uint64_t len, size_t left, size_t at, MuseError *err)
{
    size_t zeros = 0;
    while (zeros < left && id[8 + zeros] == 0) zeros++;
    const bool empty = zeros == left && id[0] == 0 && len == 0;
    if (memcmp(id, "RIFF", 4) == 0 || memcmp(id, "RF64", 4) == 0 || memcmp(id, "FORM", 4) == 0)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: a second file begins at byte %zu", format, at);
    if (empty || memcmp(id, "ID3", 3) == 0 || (memcmp(id, "TAG", 3) == 0 && left == 128 - 8)) return MUSE_DONE;
    if (!is_chunk_id(id)) return muse_fail(err, MUSE_ERR_FORMAT, "%s: the %zu bytes behind the sound, from byte %zu on, are no chunk", format, left + 8, at);
    return 0;
}

/* Is there a chunk at p, or nothing at all? */
static bool chunk_follows(const uint8_t *p, size_t left)
{
    MuseBytes b = muse_bytes(p, left);
    muse_bytes_take(&b, 4);
    const uint32_t len = muse_bytes_u32le(&b);
    return left < 2 || (!b.failed && len <= muse_bytes_left(&b) && is_chunk_id(p));
}

static int wav_data(MuseSound *s, const WavFormat *f, const uint8_t *p, uint64_t len, size_t left, bool streamed, MuseError *err)
{
    if (!f->chunk) return muse_fail(err, MUSE_ERR_FORMAT, "wav: data chunk before the fmt chunk");
    const uint64_t whole = len / f->block;
    if (!streamed && len > left)
        return muse_fail(err, MUSE_ERR_FORMAT, "wav: %llu samples promised, %llu found: the data chunk promises %llu bytes, the file has %zu left",
                         (unsigned long long)whole, (unsigned long long)(left / f->block), (unsigned long long)len, left);
    if (!streamed && len % f->block)
        return muse_fail(err, MUSE_ERR_FORMAT, "wav: data chunk of %llu bytes is no whole number of %u-byte sample blocks",
                         (unsigned long long)len, f->block);
    if (!streamed && len == 0 && !chunk_follows(p, left))
        return muse_fail(err, MUSE_ERR_FORMAT, "wav: the data chunk promises no samples, but %zu bytes follow", left);
    s->body = p;
    s->body_len = streamed ? left : (size_t)len;
    if (streamed && left % f->block)
        return muse_fail(err, MUSE_ERR_FORMAT, "wav: streamed data ends inside a sample: %zu bytes in blocks of %u", left, f->block);
    if (s->body_len > body_max) return muse_fail(err, MUSE_ERR_LIMIT, "wav: %zu bytes of samples, the limit is %llu",
                                                 s->body_len, (unsigned long long)body_max);
    const bool adpcm = f->tag == TAG_MS_ADPCM || f->tag == TAG_IMA_ADPCM;
    s->count = adpcm ? MUSE_COUNT_DECODER : MUSE_COUNT_EXACT;
    /* ADPCM has 4 bits a sample, less what heads the blocks */
    s->n_samples = adpcm ? s->body_len * 2 / s->channels : s->body_len / f->block;
    return 0;
}

/* RIFF <size> WAVE, fmt without what its tag has no use for, data */
static void wav_head(MuseSound *s, const WavFormat *f)
{
    const bool extensible = f->chunk[0] == (TAG_EXTENSIBLE & 255), adpcm = s->count == MUSE_COUNT_DECODER;
    const uint32_t len = extensible ? 40 : adpcm ? f->len & ~1u : 16, data = (uint32_t)s->body_len;
    uint8_t *h = s->head;
    memcpy(h, "RIFF", 4);
    put32le(h + 4, 4 + 8 + len + 8 + data);
    memcpy(h + 8, "WAVEfmt ", 8);
    put32le(h + 16, len);
    memcpy(h + 20, f->chunk, len);
    memcpy(h + 20 + len, "data", 4);
    put32le(h + 24 + len, data);
    s->head_len = 28 + len;
}

int muse_sound_wav(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err)
{
    MuseBytes b = muse_bytes(bytes, size);
    WavFormat f = { 0 };
    uint64_t data64 = 0;
    const bool rf64 = bytes[1] != 'I';   /* RF64, BW64: sizes of 0xffffffff stand in the ds64 chunk */
    s->format = "wav";
    s->container = SF_FORMAT_WAV;
    muse_bytes_take(&b, 4);
    const uint32_t riff = muse_bytes_u32le(&b);
    muse_bytes_take(&b, 4);
    while (muse_bytes_left(&b) >= 8) {
        const uint8_t *id = muse_bytes_take(&b, 4);
        uint64_t len = muse_bytes_u32le(&b);
        const size_t left = muse_bytes_left(&b), at = b.pos;
        int rc = s->body ? check_behind("wav", id, len, left, at - 8, err) : 0;
        if (rc != 0) {
            if (rc == MUSE_DONE) break;
        } else if (memcmp(id, "data", 4) == 0) {
            if (s->body) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "wav: a second data chunk at byte %zu", at - 8);
            if (len == 0xffffffffu && rf64 && data64) len = data64;
            const bool streamed = is_streamed(len, left, riff);
            rc = wav_data(s, &f, bytes + at, len, left, streamed, err);
            if (streamed) len = left;
        } else if (memcmp(id, "wavl", 4) == 0 || (memcmp(id, "LIST", 4) == 0 && left >= 4 && memcmp(bytes + at, "wavl", 4) == 0)) {
            rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "wav: sound in a wave list at byte %zu", at - 8);
        } else if (len > left) {
            rc = muse_fail(err, MUSE_ERR_FORMAT, "wav: chunk at byte %zu promises %llu bytes, the file has %zu left",
                           at - 8, (unsigned long long)len, left);
        } else if (memcmp(id, "fmt ", 4) == 0) {
            rc = wav_format(s, &f, bytes + at, len, err);
        } else if (rf64 && memcmp(id, "ds64", 4) == 0 && len >= 24) {
            MuseBytes d = muse_bytes(bytes + at, (size_t)len);
            muse_bytes_u64le(&d);
            data64 = muse_bytes_u64le(&d);
        }
        if (rc < 0) return rc;
        const size_t skip = (size_t)len + (len % 2 && len < left);   /* chunks are padded to even lengths */
        muse_bytes_take(&b, skip);
    }
    if (!s->body) return muse_fail(err, MUSE_ERR_FORMAT, "wav: no %s chunk", f.chunk ? "data" : "fmt");
    wav_head(s, &f);
    return 0;
}

/* 80-bit extended to a rate; 0 if it is no whole number below 2^31. AIFF's sample rates have this type. */
static uint32_t rate_of_extended(const uint8_t *p)
{
    const int exponent = ((p[0] & 0x7f) << 8 | p[1]) - 16383;
    uint64_t mantissa = 0;
    for (int i = 0; i < 8; i++) mantissa = mantissa << 8 | p[2 + i];
    if (p[0] & 0x80 || exponent < 0 || exponent > 30) return 0;
    const uint64_t whole = mantissa >> (63 - exponent);
    return whole << (63 - exponent) == mantissa ? (uint32_t)whole : 0;
}

/* Bytes a sample of an AIFF-C compression, 0 if it is not taken. bits: of the COMM chunk. */
static uint32_t aiff_sample_bytes(const uint8_t *type, uint32_t bits)
{
    static const struct { char id[5]; uint8_t bytes; } known[] = {
        { "fl32", 4 }, { "FL32", 4 }, { "fl64", 8 }, { "FL64", 8 }, { "alaw", 1 }, { "ALAW", 1 }, { "ulaw", 1 }, { "ULAW", 1 },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(type, known[i].id, 4) == 0) return known[i].bytes;
    if (memcmp(type, "NONE", 4) && memcmp(type, "twos", 4) && memcmp(type, "sowt", 4)) return 0;
    return bits == 8 || bits == 16 || bits == 24 || bits == 32 ? bits / 8 : 0;
}

typedef struct AiffFormat {
    const uint8_t *chunk;   /* COMM: channels, frames, bits, rate; compression in AIFF-C */
    uint32_t n, bits, sample_bytes;
    uint8_t  type[4];
} AiffFormat;

static int aiff_common(MuseSound *s, AiffFormat *f, bool aifc, const uint8_t *chunk, uint64_t len, MuseError *err)
{
    if (f->chunk) return muse_fail(err, MUSE_ERR_FORMAT, "aiff: a second COMM chunk");
    if (len < (aifc ? 22u : 18u)) return muse_fail(err, MUSE_ERR_FORMAT, "aiff: COMM chunk of %llu bytes", (unsigned long long)len);
    MuseBytes b = muse_bytes(chunk, (size_t)len);
    f->chunk = chunk;
    s->channels = muse_bytes_u16be(&b);
    f->n = muse_bytes_u32be(&b);
    f->bits = muse_bytes_u16be(&b);
    s->rate = rate_of_extended(chunk + 8);
    memcpy(f->type, aifc ? (const char *)chunk + 18 : "NONE", 4);
    if (s->rate == 0 && (chunk[8] & 0x7f || chunk[9])) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "aiff: the sample rate is no whole number of Hz");
    int rc = muse_sound_check(s, err);
    if (rc < 0) return rc;
    f->sample_bytes = aiff_sample_bytes(f->type, f->bits);
    if (!f->sample_bytes) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "aiff: compression '%.4s' with %u bits",
                                           (const char *)f->type, f->bits);
    return 0;
}

static int aiff_sound(MuseSound *s, const AiffFormat *f, const uint8_t *p, uint64_t len, size_t left, MuseError *err)
{
    if (s->body) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "aiff: a second SSND chunk");
    if (!f->chunk) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "aiff: SSND chunk before the COMM chunk");
    MuseBytes b = muse_bytes(p, left);
    const uint32_t offset = muse_bytes_u32be(&b);
    muse_bytes_u32be(&b);
    const uint64_t want = (uint64_t)f->n * s->channels * f->sample_bytes, have = muse_bytes_left(&b) > offset ? muse_bytes_left(&b) - offset : 0;
    if (b.failed || want > have || want + offset + 8 > len)
        return muse_fail(err, MUSE_ERR_FORMAT, "aiff: %u samples promised, %llu found: the SSND chunk has %llu bytes, the file %zu", f->n,
                         (unsigned long long)(have / (s->channels * f->sample_bytes)), (unsigned long long)len, left);
    const uint64_t holds = len - 8 - offset;   /* not less than want: checked above */
    if (holds >= want + s->channels * f->sample_bytes)
        return muse_fail(err, MUSE_ERR_FORMAT, "aiff: %u samples promised, the SSND chunk holds %llu", f->n,
                         (unsigned long long)(holds / (s->channels * f->sample_bytes)));
    if (want > body_max) return muse_fail(err, MUSE_ERR_LIMIT, "aiff: %llu bytes of samples, the limit is %llu",
                                          (unsigned long long)want, (unsigned long long)body_max);
    s->body = p + 8 + offset;
    s->body_len = (size_t)want;
    s->n_samples = f->n;
    s->count = MUSE_COUNT_EXACT;
    return 0;
}

/* FORM <size> AIFC, FVER, COMM, SSND; every sound becomes AIFF-C, which has a place for the compression */
static void aiff_head(MuseSound *s, const AiffFormat *f)
{
    uint8_t *h = s->head;
    const uint32_t data = (uint32_t)s->body_len;
    memcpy(h, "FORM", 4);
    put32be(h + 4, 4 + 12 + 8 + 24 + 8 + 8 + data);
    memcpy(h + 8, "AIFCFVER", 8);
    put32be(h + 16, 4);
    put32be(h + 20, 0xa2805140u);   /* the one AIFF-C version. @source Apple, "AIFF-C", 1991 */
    memcpy(h + 24, "COMM", 4);
    put32be(h + 28, 24);
    memcpy(h + 32, f->chunk, 18);
    memcpy(h + 50, f->type, 4);
    memset(h + 54, 0, 2);           /* empty name */
    memcpy(h + 56, "SSND", 4);
    put32be(h + 60, 8 + data);
    memset(h + 64, 0, 8);           /* offset, block size */
    s->head_len = 72;
}

int muse_sound_aiff(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err)
{
    MuseBytes b = muse_bytes(bytes, size);
    AiffFormat f = { 0 };
    const bool aifc = bytes[11] == 'C';
    s->format = "aiff";
    s->container = SF_FORMAT_AIFF;
    muse_bytes_take(&b, 12);
    while (muse_bytes_left(&b) >= 8) {
        const uint8_t *id = muse_bytes_take(&b, 4);
        const uint64_t len = muse_bytes_u32be(&b);
        const size_t left = muse_bytes_left(&b), at = b.pos;
        int rc = s->body ? check_behind("aiff", id, len, left, at - 8, err) : 0;
        if (rc != 0) {
            if (rc == MUSE_DONE) break;
        } else if (memcmp(id, "SSND", 4) == 0) {
            rc = aiff_sound(s, &f, bytes + at, len, left, err);
            if (rc == 0 && len > left) break;
        } else if (len > left) {
            rc = muse_fail(err, MUSE_ERR_FORMAT, "aiff: chunk at byte %zu promises %llu bytes, the file has %zu left",
                           at - 8, (unsigned long long)len, left);
        } else if (memcmp(id, "COMM", 4) == 0) {
            rc = aiff_common(s, &f, aifc, bytes + at, len, err);
        }
        if (rc < 0) return rc;
        muse_bytes_take(&b, len + (len % 2 && len < left));
    }
    if (!f.chunk) return muse_fail(err, MUSE_ERR_FORMAT, "aiff: no COMM chunk");
    if (!s->body && f.n) return muse_fail(err, MUSE_ERR_FORMAT, "aiff: %u samples promised, but there is no SSND chunk", f.n);
    if (!s->body) s->body = bytes + size;   /* a sound without samples may leave the chunk out */
    aiff_head(s, &f);
    return 0;
}
