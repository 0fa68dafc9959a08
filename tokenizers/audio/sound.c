/* SPDX-License-Identifier: Apache-2.0 */
/* Which container the bytes are. Containers that libsndfile would read but whose length we cannot check are refused by
 * name, so that no damaged file is taken for a shorter one. */
#include "tokenizers/audio/sound.h"

#include "base/status.h"
#include "tokenizers/audio/rule.h"

/* What people do hand over, to refuse it by name. at: offset of the magic. */
static const struct { size_t at; const char *magic; const char *name; } refused[] = {
    { 0, ".snd", "AU" },           { 0, "caff", "CAF" },         { 0, "riff", "Wave64" },      { 0, "RIFX", "big-endian WAV" },
    { 4, "ftyp", "MP4 or M4A" },   { 0, "ADIF", "AAC" },         { 0, "Creative Voice File", "VOC" },
    { 0, "#!AMR", "AMR" },         { 0, "\x1a\x45\xdf\xa3", "Matroska or WebM" },
    { 0, "\x30\x26\xb2\x75", "ASF or WMA" }, { 0, "wvpk", "WavPack" }, { 0, "MAC ", "Monkey's Audio" },
    { 0, "MThd", "MIDI" },         { 0, "MPCK", "Musepack" },    { 0, "TTA1", "True Audio" },  { 0, "NIST", "NIST Sphere" },
};

static bool has(const uint8_t *bytes, size_t size, size_t at, const char *magic)
{
    const size_t n = strlen(magic);
    return size >= at + n && memcmp(bytes + at, magic, n) == 0;
}

int muse_sound_check(const MuseSound *s, MuseError *err)
{
    if (s->channels == 0 || s->rate == 0)
        return muse_fail(err, MUSE_ERR_FORMAT, "%s header: %u channels at %u Hz", s->format, s->channels, s->rate);
    if (s->channels > MUSE_SOUND_CHANNELS_MAX)
        return muse_fail(err, MUSE_ERR_LIMIT, "%s header: %u channels, the limit is %d", s->format, s->channels, MUSE_SOUND_CHANNELS_MAX);
    if (s->rate < MUSE_SOUND_RATE_MIN || s->rate > MUSE_SOUND_RATE_MAX)
        return muse_fail(err, MUSE_ERR_LIMIT, "%s header: %u Hz, taken are %d to %d",
                         s->format, s->rate, MUSE_SOUND_RATE_MIN, MUSE_SOUND_RATE_MAX);
    return 0;
}

/* Length of the ID3v2 tags in front, 0 if there are none. Four bytes of 7 bits; flag 0x10 adds a footer.
 * @source id3.org, ID3v2.4 section 3.1 */
static int skip_id3(const uint8_t *bytes, size_t size, size_t *at, MuseError *err)
{
    *at = 0;
    while (size - *at >= 10 && memcmp(bytes + *at, "ID3", 3) == 0) {
        const uint8_t *t = bytes + *at;
        const size_t body = (size_t)(t[6] & 127) << 21 | (size_t)(t[7] & 127) << 14 | (size_t)(t[8] & 127) << 7 | (size_t)(t[9] & 127);
        const size_t tag = 10 + body + (t[5] & 0x10 ? 10 : 0);
        if (tag > size - *at)
            return muse_fail(err, MUSE_ERR_FORMAT, "ID3 tag at byte %zu promises %zu bytes, the file has %zu left", *at, tag, size - *at);
        *at += tag;
    }
    if (*at)   /* some writers leave zeros between tag and sound */
        while (*at < size && bytes[*at] == 0) ++*at;
    return 0;
}

int muse_sound_probe(MuseSound *s, const uint8_t *bytes, size_t size, MuseError *err)
{
    memset(s, 0, sizeof *s);
    if (size == 0) return muse_fail(err, MUSE_ERR_FORMAT, "the sound file is empty");
    if ((has(bytes, size, 0, "RIFF") || has(bytes, size, 0, "RF64") || has(bytes, size, 0, "BW64")) && has(bytes, size, 8, "WAVE"))
        return muse_sound_wav(s, bytes, size, err);
    if (has(bytes, size, 0, "FORM") && (has(bytes, size, 8, "AIFF") || has(bytes, size, 8, "AIFC"))) return muse_sound_aiff(s, bytes, size, err);
    if (has(bytes, size, 0, "OggS")) return muse_sound_ogg(s, bytes, size, err);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (has(bytes, size, refused[i].at, refused[i].magic))
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s files are not read; WAV, FLAC, OGG (Vorbis, Opus), MP3 and AIFF are",
                             refused[i].name);
    size_t at = 0;
    int rc = skip_id3(bytes, size, &at, err);
    if (rc < 0) return rc;
    if (has(bytes + at, size - at, 0, "fLaC")) return muse_sound_flac(s, bytes + at, size - at, at, err);
    if (muse_sound_is_mpeg(bytes + at, size - at)) return muse_sound_mpeg(s, bytes + at, size - at, at, err);
    if (size - at >= 2 && bytes[at] == 0xff && (bytes[at + 1] & 0xf6) == 0xf0)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "AAC files are not read; WAV, FLAC, OGG (Vorbis, Opus), MP3 and AIFF are");
    return muse_fail(err, MUSE_ERR_FORMAT, "not a sound file of a known kind (WAV, FLAC, OGG, MP3, AIFF)");
}
