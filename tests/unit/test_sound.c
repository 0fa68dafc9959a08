/* SPDX-License-Identifier: Apache-2.0 */
/* Sound files: every container that is read, against what was written; every kind of damage, against its code. */
#include "audio_util.h"

#include <math.h>

enum { N = 9000 };

static int open_bytes(MuseAudio **audio, const uint8_t *bytes, size_t size, MuseError *err)
{
    MuseAudioParams p;
    muse_audio_params_init(&p);
    p.borrow = 1;
    p.max_seconds = 600;
    return muse_audio_open_memory(audio, NULL, bytes, size, &p, err);
}

/* open and decode; the code of whichever fails. A private copy of exact size finds reads beyond. */
static int try_bytes(const uint8_t *bytes, size_t size, MuseError *err)
{
    static const MuseAudioRule rule = { .struct_size = sizeof rule, .kind = MUSE_AUDIO_RAW, .rate = 16000, .frame_samples = 640 };
    uint8_t *copy = malloc(size ? size : 1);
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    assert_non_null(copy);
    if (size) memcpy(copy, bytes, size);
    *err = (MuseError){ 0 };
    int rc = open_bytes(&audio, copy, size, err);
    assert_true((rc == 0) == (audio != NULL));
    if (rc == 0) rc = muse_audio_frames(&frames, audio, &rule, NULL, NULL, err);
    assert_true((rc == 0) == (frames != NULL));
    if (rc < 0) assert_true(err->code == rc && err->text[0]);
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    free(copy);
    return rc;
}

typedef struct Format {
    const char *name, *format;
    int         code, rate, channels;
    double      bound;    /* largest error of a sample: the writer's rounding */
    int         lossy;
} Format;

static const Format formats[] = {
    { "wav u8", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8000, 1, 1.01 / 128, 0 },
    { "wav s16", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 2, 1.01 / 32768, 0 },
    { "wav s24", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 44100, 2, 1.01 / 8388608, 0 },
    { "wav s32", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 48000, 1, 1e-7, 0 },
    { "wav float", "wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 11025, 3, 0, 0 },
    { "wav double", "wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 96000, 1, 0, 0 },
    { "wav a-law", "wav", SF_FORMAT_WAV | SF_FORMAT_ALAW, 8000, 1, 0.02, 0 },
    { "wav mu-law", "wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 2, 0.02, 0 },
    { "wavex s16", "wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 48000, 6, 1.01 / 32768, 0 },
    { "wavex float", "wav", SF_FORMAT_WAVEX | SF_FORMAT_FLOAT, 48000, 8, 0, 0 },
    { "rf64 s16", "wav", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 16000, 1, 1.01 / 32768, 0 },
    { "aiff s8", "aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, 22050, 1, 1.01 / 128, 0 },
    { "aiff s16", "aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 44100, 2, 1.01 / 32768, 0 },
    { "aiff s24", "aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 16000, 1, 1.01 / 8388608, 0 },
    { "aiff s16 little", "aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE, 16000, 1, 1.01 / 32768, 0 },
    { "aiff float", "aiff", SF_FORMAT_AIFF | SF_FORMAT_FLOAT, 48000, 2, 0, 0 },
    { "aiff a-law", "aiff", SF_FORMAT_AIFF | SF_FORMAT_ALAW, 8000, 1, 0.02, 0 },
    { "flac s8", "flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_S8, 16000, 1, 1.01 / 128, 0 },
    { "flac s16", "flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, 1.01 / 32768, 0 },
    { "flac s24", "flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 96000, 8, 1.01 / 8388608, 0 },
    { "vorbis", "ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 2, 0, 1 },
    { "vorbis mono", "ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16000, 1, 0, 1 },
    { "opus", "ogg", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 2, 0, 1 },
    { "opus 16k", "ogg", SF_FORMAT_OGG | SF_FORMAT_OPUS, 16000, 1, 0, 1 },
    { "mp3", "mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 2, 0, 1 },
    { "mp3 mono 16k", "mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 16000, 1, 0, 1 },
    { "ms adpcm", "wav", SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, 16000, 1, 0, 1 },
    { "ima adpcm", "wav", SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 16000, 2, 0, 1 },
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* two tones that differ a little between channels */
static float *tones(int rate, int channels, size_t n)
{
    float *x = malloc(n * (size_t)channels * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            x[i * (size_t)channels + (size_t)c] = (float)(0.3 * sin(6.283185307179586 * 300 * (double)i / rate + 0.2 * c) + 0.2 * sin(6.283185307179586 * 1100 * (double)i / rate));
    return x;
}

static MemoryFile make(const Format *f, float **x)
{
    *x = tones(f->rate, f->channels, N);
    return encode(f->code, *x, N, f->rate, f->channels);
}

/* share of want's power that got misses */
static double lost(const float *got, const double *want, size_t n)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) error += (got[i] - want[i]) * (got[i] - want[i]), power += want[i] * want[i];
    return error / power;
}

static void check_format(const Format *f)
{
    float *x;
    MemoryFile file = make(f, &x);
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    MuseAudioInfo info;
    MuseError err;
    const MuseAudioRule rule = raw_rule((uint32_t)f->rate, 100);
    if (open_bytes(&audio, file.data, file.len, &err) < 0) fail_msg("%s: %s", f->name, err.text);
    muse_audio_info(audio, &info);
    assert_string_equal(info.format, f->format);
    assert_int_equal(info.rate, f->rate);
    assert_int_equal(info.channels, f->channels);
    if (muse_audio_frames(&frames, audio, &rule, NULL, NULL, &err) < 0) fail_msg("%s: %s", f->name, err.text);
    assert_true(info.n_samples >= N && info.n_samples <= N + (f->lossy ? 4 * 1152 : 0));
    assert_int_equal(muse_frames_plan(frames)->n_used, info.n_samples);
    double *mean = calloc(N, sizeof *mean), worst = 0;
    assert_non_null(mean);
    for (size_t i = 0; i < N; i++) {
        for (int c = 0; c < f->channels; c++) mean[i] += x[i * (size_t)f->channels + (size_t)c];
        mean[i] /= f->channels;
        worst = fmax(worst, fabs(muse_frames_data(frames)[i] - mean[i]));
    }
    if (!f->lossy && worst > f->bound + 3e-8) fail_msg("%s: off by %g", f->name, worst);
    if (f->lossy && lost(muse_frames_data(frames), mean, N) > 0.02)
        fail_msg("%s: misses %g of the power", f->name, lost(muse_frames_data(frames), mean, N));
    free(mean);
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    free(file.data);
    free(x);
}

static void test_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMATS; i++) check_format(&formats[i]);
}

/* A file that is cut anywhere is refused, or (ADPCM aside, whose blocks are whole) it is not a file of that kind any more. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMATS; i++) {
        float *x;
        MemoryFile file = make(&formats[i], &x);
        MuseError err;
        size_t step = file.len / 300 + 1, end = file.len;
        if (strcmp(formats[i].format, "wav") == 0 || strcmp(formats[i].format, "aiff") == 0) end = file.len - 200;   /* tags may stand behind the sound */
        for (size_t n = 0; n < end; n += n < 200 ? 1 : step) {
            const int rc = try_bytes(file.data, n, &err);
            const int streamed = rc == 0 && n > 100;
            if (rc == 0) fail_msg("%s: cut to %zu of %zu bytes, and taken%s", formats[i].name, n, file.len, streamed ? "" : " early");
            if (rc != MUSE_ERR_FORMAT && rc != MUSE_ERR_UNSUPPORTED) fail_msg("%s: cut to %zu bytes: %s %s",
                                                                              formats[i].name, n, muse_status_name(rc), err.text);
        }
        free(file.data);
        free(x);
    }
}

/* Flipped bits never harm, and never shorten in silence: a file that is taken has the length it promises. */
static void test_flips(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (size_t i = 0; i < FORMATS; i++) {
        float *x;
        MemoryFile file = make(&formats[i], &x);
        MuseError err;
        int refused = 0;
        for (int k = 0; k < 150; k++) {
            const size_t at = random32(&seed) % (k % 2 ? file.len : file.len < 64 ? file.len : 64);
            const uint8_t bit = (uint8_t)(1u << random32(&seed) % 8);
            file.data[at] ^= bit;
            const int rc = try_bytes(file.data, file.len, &err);
            refused += rc < 0;
            if (rc < 0 && rc != MUSE_ERR_FORMAT && rc != MUSE_ERR_UNSUPPORTED && rc != MUSE_ERR_LIMIT)
                fail_msg("%s: bit at byte %zu: %s %s", formats[i].name, at, muse_status_name(rc), err.text);
            /* these carry checksums over all their bytes */
            if (strcmp(formats[i].format, "ogg") == 0 && rc == 0) fail_msg("%s: flipped bit at byte %zu was not seen", formats[i].name, at);
            file.data[at] ^= bit;
        }
        assert_true(refused > 5);
        free(file.data);
        free(x);
    }
}

/* a damaged FLAC frame is an error, not silence */
static void test_flac_damage(void **state)
{
    (void)state;
    uint64_t seed = 6;
    float *x = random_sound(&seed, 20000);
    MemoryFile file = encode(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, x, 20000, 16000, 1);
    MuseError err;
    assert_int_equal(try_bytes(file.data, file.len, &err), 0);
    for (size_t at = 200; at < file.len; at += 97) {
        file.data[at] ^= 4;
        const int rc = try_bytes(file.data, file.len, &err);
        if (rc != MUSE_ERR_FORMAT) fail_msg("byte %zu of %zu: %s", at, file.len, muse_status_name(rc));
        file.data[at] ^= 4;
    }
    /* a total of 0 means unknown: counted by decoding */
    file.data[21] &= 0xf0;
    memset(file.data + 22, 0, 4);
    MuseAudio *audio = NULL;
    MuseAudioInfo info;
    assert_int_equal(open_bytes(&audio, file.data, file.len, &err), 0);
    muse_audio_info(audio, &info);
    assert_int_equal(info.n_samples, 20000);
    muse_audio_close(&audio);
    file.data[file.len / 2] ^= 4;   /* damage that no count shows */
    assert_int_equal(try_bytes(file.data, file.len, &err), MUSE_ERR_FORMAT);
    free(file.data);
    free(x);
}

/* programs that write to a pipe can not state the length: the sound lasts to the end of the file */
static void test_streamed_wav(void **state)
{
    (void)state;
    float *x = tones(16000, 2, 500);
    static const uint32_t sizes[][2] = { { 0xffffffff, 0xffffffff }, { 0x80000000, 0x80000024 }, { 0x7fff0000, 0x7fff0024 }, { 0xffffffdb, 0xffffffff }, { 0x7ffff000, 0x7ffff024 }, { 0x7fffffff, 0xffffffff }, { 0, 0 }, { 0, 0xffffffff } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        MemoryFile file = encode(SF_FORMAT_WAV | SF_FORMAT_PCM_16, x, 500, 16000, 2);
        MuseAudio *audio = NULL;
        MuseAudioInfo info;
        MuseError err;
        assert_memory_equal(file.data + 36, "data", 4);
        for (int k = 0; k < 4; k++) {
            file.data[40 + k] = (uint8_t)(sizes[i][0] >> (8 * k));
            file.data[4 + k] = (uint8_t)(sizes[i][1] >> (8 * k));
        }
        assert_int_equal(open_bytes(&audio, file.data, file.len, &err), 0);
        muse_audio_info(audio, &info);
        assert_int_equal(info.n_samples, 500);
        muse_audio_close(&audio);
        assert_int_equal(try_bytes(file.data, file.len, &err), 0);
        assert_int_equal(try_bytes(file.data, file.len - 1, &err), MUSE_ERR_FORMAT);   /* inside a sample */
        free(file.data);
    }
    free(x);
}

/* nothing that could be sound is left out without a word: a second file, a length that forgot most of it */
static void test_sound_behind(void **state)
{
    (void)state;
    static const int codes[] = { SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III };
    static const int wanted[] = { MUSE_ERR_UNSUPPORTED, MUSE_ERR_UNSUPPORTED, MUSE_ERR_FORMAT };
    float *x = tones(44100, 1, N);
    MuseError err;
    for (size_t k = 0; k < 3; k++) {
        MemoryFile file = encode(codes[k], x, N, 44100, 1);
        uint8_t *twice = calloc(1, 2 * file.len + 128);
        assert_non_null(twice);
        memcpy(twice, file.data, file.len);
        size_t at = file.len;
        if (k == 2) memcpy(twice + at, "TAG", 3), at += 128;   /* the first ends in an ID3v1 tag */
        assert_int_equal(try_bytes(twice, at, &err), 0);
        memcpy(twice + at, file.data, file.len);
        const int rc = try_bytes(twice, at + file.len, &err);
        if (rc != wanted[k]) fail_msg("format %zu: %d %s", k, rc, err.text);
        free(twice);
        free(file.data);
    }
    MemoryFile file = encode(SF_FORMAT_WAV | SF_FORMAT_PCM_16, x, N, 44100, 1);
    const uint32_t half = N / 2 * 2;
    for (int k = 0; k < 4; k++) file.data[40 + k] = (uint8_t)(half >> (8 * k));
    assert_int_equal(try_bytes(file.data, file.len, &err), MUSE_ERR_FORMAT);
    free(file.data);
    free(x);
}

/* tags in front of and behind the sound change nothing */
static void test_tags(void **state)
{
    (void)state;
    static const uint8_t id3[30] = { 'I', 'D', '3', 3, 0, 0, 0, 0, 0, 18 };
    static const int codes[] = { SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, SF_FORMAT_FLAC | SF_FORMAT_PCM_16 };
    float *x = tones(44100, 1, N);
    for (size_t k = 0; k < 2; k++) {
        MemoryFile file = encode(codes[k], x, N, 44100, 1);
        uint8_t *tagged = calloc(1, file.len + 200);
        MuseAudio *audio = NULL;
        MuseAudioInfo plain, info;
        MuseError err;
        assert_non_null(tagged);
        assert_int_equal(open_bytes(&audio, file.data, file.len, &err), 0);
        muse_audio_info(audio, &plain);
        muse_audio_close(&audio);
        memcpy(tagged, id3, sizeof id3);
        memcpy(tagged + sizeof id3, file.data, file.len);
        memcpy(tagged + sizeof id3 + file.len, "TAG", 3);
        const size_t size = sizeof id3 + file.len + (k == 0 ? 128 : 0);
        if (open_bytes(&audio, tagged, size, &err) < 0) fail_msg("%s", err.text);
        muse_audio_info(audio, &info);
        assert_int_equal(info.n_samples, plain.n_samples);
        muse_audio_close(&audio);
        assert_int_equal(try_bytes(tagged, size, &err), 0);
        free(tagged);
        free(file.data);
    }
    free(x);
}

/* tests/data/bad/audio, made by tests/data/make_audio.py. text: what the message must name */
static const struct { const char *file; int code; const char *text; } bad[] = {
    { "empty.wav", MUSE_ERR_FORMAT, "empty" },
    { "text.wav", MUSE_ERR_FORMAT, "not a sound file" },
    { "magic-only.wav", MUSE_ERR_FORMAT, "fmt" },
    { "cut-in-fmt.wav", MUSE_ERR_FORMAT, "chunk at byte 12 promises 16" },
    { "cut-in-data.wav", MUSE_ERR_FORMAT, "400 samples promised, 350 found" },
    { "no-data.wav", MUSE_ERR_FORMAT, "no data chunk" },
    { "data-first.wav", MUSE_ERR_FORMAT, "before the fmt" },
    { "huge-data.wav", MUSE_ERR_FORMAT, "1879048192 bytes" },
    { "zero-size-data.wav", MUSE_ERR_FORMAT, "promises no samples" },
    { "odd-data.wav", MUSE_ERR_FORMAT, "no whole number" },
    { "zero-channels.wav", MUSE_ERR_FORMAT, "0 channels" },
    { "channels-65.wav", MUSE_ERR_LIMIT, "65 channels" },
    { "zero-rate.wav", MUSE_ERR_FORMAT, "0 Hz" },
    { "rate-999.wav", MUSE_ERR_LIMIT, "999 Hz" },
    { "rate-4g.wav", MUSE_ERR_LIMIT, "4294967295 Hz" },
    { "wrong-block.wav", MUSE_ERR_FORMAT, "blocks of 3 bytes" },
    { "bits-12.wav", MUSE_ERR_UNSUPPORTED, "12 bits" },
    { "mp3-in.wav", MUSE_ERR_UNSUPPORTED, "0x0055" },
    { "two-data.wav", MUSE_ERR_UNSUPPORTED, "second data chunk" },
    { "nan.wav", MUSE_ERR_FORMAT, "sample 2 of channel 0 is nan" },
    { "infinite.wav", MUSE_ERR_FORMAT, "sample 3 of channel 0 is -inf" },
    { "beyond-f32.wav", MUSE_ERR_FORMAT, "sample 1 of channel 0" },
    { "zero-channels.aiff", MUSE_ERR_FORMAT, "0 channels" },
    { "too-many.aiff", MUSE_ERR_FORMAT, "4000 samples promised, 400 found" },
    { "cut.aiff", MUSE_ERR_FORMAT, "400 samples promised, 300 found" },
    { "huge.aiff", MUSE_ERR_FORMAT, "4294967295 samples promised" },
    { "no-sound.aiff", MUSE_ERR_FORMAT, "no SSND" },
    { "zero-rate.aiff", MUSE_ERR_FORMAT, "0 Hz" },
    { "cut-in-streaminfo.flac", MUSE_ERR_FORMAT, "metadata block at byte 4" },
    { "cut.flac", MUSE_ERR_FORMAT, "flac" },
    { "flipped.flac", MUSE_ERR_FORMAT, "flac" },
    { "huge-count.flac", MUSE_ERR_LIMIT, "seconds" },
    { "more-promised.flac", MUSE_ERR_FORMAT, "4001 samples promised, 4000 found" },
    { "fewer-promised.flac", MUSE_ERR_FORMAT, "3999 samples promised" },
    { "cut-in-page.ogg", MUSE_ERR_FORMAT, "cut short" },
    { "cut-after-page.ogg", MUSE_ERR_FORMAT, "no end" },
    { "flipped.ogg", MUSE_ERR_FORMAT, "checksum" },
    { "missing-page.ogg", MUSE_ERR_FORMAT, "pages are missing" },
    { "chained.ogg", MUSE_ERR_UNSUPPORTED, "second stream" },
    { "cut-in-page.opus", MUSE_ERR_FORMAT, "cut short" },
    { "unknown-codec.ogg", MUSE_ERR_UNSUPPORTED, "neither Vorbis nor Opus" },
    { "huge-granule.ogg", MUSE_ERR_LIMIT, "seconds" },
    { "no-end.ogg", MUSE_ERR_FORMAT, "no end" },
    { "cut.mp3", MUSE_ERR_FORMAT, "mp3: frame" },
    { "gap.mp3", MUSE_ERR_FORMAT, "no frame at byte" },
    { "fewer-frames.mp3", MUSE_ERR_FORMAT, "frames promised" },
    { "cut-id3.mp3", MUSE_ERR_FORMAT, "ID3 tag at byte 0" },
    { "cut-block.wav", MUSE_ERR_FORMAT, "samples promised" },
    { "au.snd", MUSE_ERR_UNSUPPORTED, "AU" },
    { "m4a.m4a", MUSE_ERR_UNSUPPORTED, "M4A" },
    { "caf.caf", MUSE_ERR_UNSUPPORTED, "CAF" },
    { "picture.png", MUSE_ERR_FORMAT, "not a sound file" },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[100];
        MuseError err;
        snprintf(name, sizeof name, "bad/audio/%s", bad[i].file);
        MuseFile f = load(name);
        const int rc = try_bytes(f.data, f.size, &err);
        if (rc != bad[i].code || !strstr(err.text, bad[i].text))
            fail_msg("%s: %s \"%s\"; expected %s with \"%s\"",
                     bad[i].file, muse_status_name(rc), rc < 0 ? err.text : "", muse_status_name(bad[i].code), bad[i].text);
        muse_file_close(&f);
    }
}

static void test_files(void **state)
{
    (void)state;
    char path[4096];
    MuseAudio *audio = NULL;
    MuseAudioParams p;
    MuseAudioInfo info;
    MuseError err;
    snprintf(path, sizeof path, "%s/audio/golden-audio-mono.wav", getenv("MUSE_TEST_DATA"));
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, NULL, &err), 0);
    muse_audio_info(audio, &info);
    assert_int_equal(info.n_samples, (11764 - 44) / 2);
    muse_audio_close(&audio);
    muse_audio_params_init(&p);
    p.max_bytes = 11763;
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, &p, &err), MUSE_ERR_LIMIT);
    MuseFile wav = load("audio/golden-audio-mono.wav");
    assert_int_equal(muse_audio_open_memory(&audio, NULL, wav.data, wav.size, &p, &err), MUSE_ERR_LIMIT);
    p.max_bytes++;
    assert_int_equal(muse_audio_open_memory(&audio, NULL, wav.data, wav.size, &p, &err), 0);
    muse_audio_close(&audio);
    muse_file_close(&wav);
    p.max_bytes = 0;
    p.max_seconds = 0.3;
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, &p, &err), MUSE_ERR_LIMIT);
    p.borrow = 2;
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_open_file(&audio, NULL, NULL, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_open_file(NULL, NULL, path, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_open_memory(&audio, NULL, NULL, 5, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_audio_open_memory(&audio, NULL, NULL, 0, NULL, &err), MUSE_ERR_FORMAT);
    snprintf(path, sizeof path, "%s/audio/no such file.wav", getenv("MUSE_TEST_DATA"));
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, NULL, &err), MUSE_ERR_IO);
    snprintf(path, sizeof path, "%s/bad/audio/nan.wav", getenv("MUSE_TEST_DATA"));
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, NULL, &err), 0);   /* decoding finds it */
    muse_audio_close(&audio);
    snprintf(path, sizeof path, "%s/bad/audio/text.wav", getenv("MUSE_TEST_DATA"));
    assert_int_equal(muse_audio_open_file(&audio, NULL, path, NULL, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats), cmocka_unit_test(test_cut), cmocka_unit_test(test_flips), cmocka_unit_test(test_flac_damage),
        cmocka_unit_test(test_streamed_wav), cmocka_unit_test(test_sound_behind), cmocka_unit_test(test_tags), cmocka_unit_test(test_bad), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
