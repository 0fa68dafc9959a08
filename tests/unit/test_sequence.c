/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/sequence.c: positions of each family, counting against tokenizing, hashes, errors, drawing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "muse/muse.h"

static MuseError err;

static void ok(int rc)
{
    if (rc < 0) fail_msg("%s: %s", muse_status_name(rc), err.text);
}

/* a picture of this size in which every pixel differs */
static MuseImage *picture(uint32_t w, uint32_t h, int seed)
{
    uint8_t *rgb = malloc((size_t)w * h * 3);
    assert_non_null(rgb);
    for (size_t i = 0; i < (size_t)w * h * 3; i++) rgb[i] = (uint8_t)(i * 7 + i / 1000 + (size_t)seed * 31);
    MuseImage *image = NULL;
    ok(muse_image_open_pixels(&image, NULL, rgb, w, h, 0, MUSE_PIXELS_RGB, NULL, &err));
    free(rgb);
    return image;
}

static MuseAudio *sound(uint64_t n, uint32_t rate)
{
    int16_t *pcm = malloc(n * sizeof *pcm + 1);
    assert_non_null(pcm);
    for (uint64_t i = 0; i < n; i++) pcm[i] = (int16_t)((i * 2654435761u) >> 18);
    MuseAudio *audio = NULL;
    ok(muse_audio_open_pcm(&audio, NULL, pcm, n, MUSE_PCM_S16, rate, 1, NULL, &err));
    free(pcm);
    return audio;
}

static MuseSequence *open_family(const MuseFamily *family, const MuseTextTokenizer *tokenizer)
{
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.family = family;
    p.tokenizer = tokenizer;
    MuseSequence *seq = NULL;
    ok(muse_sequence_open(&seq, NULL, &p, &err));
    return seq;
}

static MusePosition at(const MuseSequence *seq, size_t i)
{
    MusePosition p;
    assert_int_equal(muse_sequence_position(seq, i, &p), 0);
    return p;
}

/* Gemma 4 spec 3.5 and 4: markers around soft tokens; 640 x 480 gives 19 x 14 patches (spec 3.1) */
static void test_gemma4(void **state)
{
    (void)state;
    MuseSequence *seq = open_family(muse_family_find("gemma4_unified"), NULL);
    MuseImage *image = picture(640, 480, 1);
    MuseAudio *audio = sound(16000 + 1, 16000);
    const int32_t ids[] = { 2, 105 };
    ok(muse_sequence_append_ids(seq, ids, 2, &err));
    ok(muse_sequence_append_image(seq, image, NULL, &err));
    ok(muse_sequence_append_audio(seq, audio, NULL, NULL, &err));
    muse_image_close(&image);   /* the sequence keeps its own reference */
    muse_audio_close(&audio);
    assert_int_equal(muse_sequence_length(seq), 2 + 268 + 28);

    MusePosition p = at(seq, 1);
    assert_int_equal(p.id, 105);
    assert_int_equal(p.t, 1);
    p = at(seq, 2);
    assert_int_equal(p.id, 255999);
    assert_true(p.is_marker && p.modality == MUSE_TEXT);
    assert_int_equal(p.n_bytes, 8);
    assert_memory_equal(p.bytes, "<|image>", 8);
    p = at(seq, 3 + 19 + 4);
    assert_int_equal(p.modality, MUSE_IMAGE);
    assert_int_equal(p.id, 258880);
    assert_int_equal(p.index, 23);
    assert_int_equal(p.y, 1);
    assert_int_equal(p.x, 4);
    assert_int_equal(p.t, 3);
    assert_float_equal(p.source.x0, 640.0 * 4 / 19, 1e-9);
    assert_float_equal(p.source.y1, 480.0 * 2 / 14, 1e-9);
    assert_int_equal(at(seq, 3 + 265).source.x1, 640);
    assert_int_equal(at(seq, 3 + 265).source.y1, 480);
    p = at(seq, 3 + 266);
    assert_int_equal(p.id, 258882);
    assert_int_equal(p.t, 4);
    p = at(seq, 270);
    assert_int_equal(p.id, 256000);
    p = at(seq, 271 + 25);
    assert_int_equal(p.id, 258881);
    assert_int_equal(p.t, 6 + 25);
    assert_float_equal(p.start_ms, 1000, 1e-9);
    assert_float_equal(p.end_ms, 1000.0625, 1e-9);   /* the sound ends inside its last frame */
    assert_int_equal(at(seq, 297).id, 258883);

    float *patches = malloc(266 * 6912 * sizeof *patches);
    ok(muse_sequence_features(seq, 1, 0, 266, patches, &err));
    for (size_t i = 0; i < 266 * 6912; i++) assert_true(patches[i] >= 0 && patches[i] <= 1);
    free(patches);
    float frame[640];
    ok(muse_sequence_features(seq, 2, 25, 1, frame, &err));
    for (int i = 1; i < 640; i++) assert_true(frame[i] == 0);
    assert_int_equal(muse_sequence_features(seq, 2, 25, 2, frame, &err), MUSE_ERR_ARG);
    MusePosition none;
    assert_int_equal(muse_sequence_position(seq, 298, &none), MUSE_ERR_ARG);
    muse_sequence_close(&seq);
}

/* Fuyu spec 3: (patches, newline) a row, then <s> before the first text */
static void test_fuyu(void **state)
{
    (void)state;
    MuseSequence *seq = open_family(muse_family_find("fuyu"), NULL);
    MuseImage *image = picture(64, 300, 1);
    ok(muse_sequence_append_image(seq, image, NULL, &err));
    assert_int_equal(muse_sequence_length(seq), 10 * 4);
    for (size_t i = 0; i < 40; i++) {
        const MusePosition p = at(seq, i);
        assert_int_equal(p.id, i % 4 == 3 ? 71019 : 71011);
        assert_int_equal(p.is_marker, i % 4 == 3);
        assert_int_equal(p.y, i / 4);
        assert_int_equal(p.t, 0);
    }
    assert_float_equal(at(seq, 2).source.x1, 64, 1e-9);   /* the padding is not part of the picture */
    MuseAudio *audio = sound(100, 16000);
    assert_int_equal(muse_sequence_append_audio(seq, audio, NULL, NULL, &err), MUSE_ERR_UNSUPPORTED);
    assert_int_equal(muse_sequence_append_text(seq, "hi", 2, 0, &err), MUSE_ERR_UNSUPPORTED);
    assert_int_equal(muse_sequence_length(seq), 40);
    muse_audio_close(&audio);
    muse_image_close(&image);
    muse_sequence_close(&seq);
}

/* Counting by size gives the same positions as tokenizing, over many sizes, budgets and families. */
static void test_counting(void **state)
{
    (void)state;
    static const char *names[] = { "muse", "gemma4_unified", "fuyu" };
    uint32_t x = 12345;
    for (int round = 0; round < 45; round++) {
        MuseFamily family = *muse_family_find(names[round % 3]);
        family.image_begin.id = family.audio_begin.id = family.audio_end.id = 7;
        MuseImageOptions o;
        muse_image_options_init(&o);
        x = x * 1664525u + 1013904223u;
        if (round % 3 != 2 && x >> 30 == 1) o.budget = MUSE_BUDGET_AUTO;
        if (round % 3 != 2 && x >> 30 == 2) o.budget = family.image.budgets[x % 5];
        const uint32_t w = 1 + (x >> 8) % 700, h = 1 + (x >> 3) % 500, rate = 8000 + (x >> 5) % 40000;
        const uint64_t samples = (x >> 9) % 60000;
        MuseSequence *whole = open_family(&family, NULL), *counted = open_family(&family, NULL);
        MuseImage *image = picture(w, h, round);
        const int rc = muse_sequence_append_image(whole, image, &o, &err);
        assert_int_equal(muse_sequence_append_image_size(counted, w, h, &o, &err), rc);
        muse_image_close(&image);
        if (round % 3 != 2) {
            MuseAudio *audio = sound(samples, rate);
            ok(muse_sequence_append_audio(whole, audio, NULL, NULL, &err));
            ok(muse_sequence_append_audio_length(counted, samples, rate, &err));
            muse_audio_close(&audio);
        }
        assert_int_equal(muse_sequence_length(whole), muse_sequence_length(counted));
        for (size_t i = 0; i < muse_sequence_length(whole); i++) {
            const MusePosition a = at(whole, i), b = at(counted, i);
            assert_memory_equal(&a, &b, sizeof a);
        }
        MuseSpanInfo span;
        ok(muse_sequence_span(counted, 0, &span));
        assert_true(span.is_placeholder);
        static float one[256 * 256 * 3];
        assert_int_equal(muse_sequence_features(counted, 0, 0, 1, one, &err), MUSE_ERR_STATE);
        muse_sequence_close(&whole);
        muse_sequence_close(&counted);
    }
}

static void hash_of(const MuseSequence *seq, size_t n, uint8_t out[32]) { assert_int_equal(muse_sequence_hash(seq, n, out), 0); }

static void test_hash(void **state)
{
    (void)state;
    const MuseFamily *family = muse_family_find("gemma4_unified");
    MuseSequence *a = open_family(family, NULL), *b = open_family(family, NULL);
    MuseImage *first = picture(100, 80, 1), *same = picture(100, 80, 1), *other = picture(100, 80, 2);
    const int32_t ids[] = { 5, 6, 7 };
    ok(muse_sequence_append_ids(a, ids, 3, &err));
    ok(muse_sequence_append_ids(b, ids, 1, &err));
    ok(muse_sequence_append_ids(b, NULL, 0, &err));
    ok(muse_sequence_append_ids(b, ids + 1, 2, &err));
    ok(muse_sequence_append_image(a, first, NULL, &err));
    ok(muse_sequence_append_image(b, same, NULL, &err));
    const size_t n = muse_sequence_length(a);
    assert_int_equal(n, muse_sequence_length(b));
    uint8_t ha[32], hb[32];
    for (size_t i = 0; i <= n; i++) {
        hash_of(a, i, ha);
        hash_of(b, i, hb);
        assert_memory_equal(ha, hb, 32);
        if (i == 0) continue;
        hash_of(a, i - 1, hb);
        assert_memory_not_equal(ha, hb, 32);
    }
    ok(muse_sequence_append_image(a, first, NULL, &err));
    ok(muse_sequence_append_image(b, other, NULL, &err));
    hash_of(a, muse_sequence_length(a), ha);
    hash_of(b, muse_sequence_length(b), hb);
    assert_memory_not_equal(ha, hb, 32);
    MuseSpanInfo s1, s2;
    ok(muse_sequence_span(a, 1, &s1));
    ok(muse_sequence_span(a, 2, &s2));
    assert_memory_equal(s1.hash, s2.hash, 32);
    assert_int_equal(s1.number, 1);
    assert_int_equal(s2.number, 2);
    muse_image_close(&first);
    muse_image_close(&same);
    muse_image_close(&other);
    muse_sequence_close(&a);
    muse_sequence_close(&b);
}

static void test_region(void **state)
{
    (void)state;
    MuseSequence *seq = open_family(muse_family_find("gemma4_unified"), NULL);
    MuseImage *image = picture(1000, 600, 1), *part = NULL;
    ok(muse_image_region(&part, image, (MuseRect){ 200, 100, 520, 260 }, &err));
    ok(muse_sequence_append_image(seq, part, NULL, &err));
    MuseSpanInfo span;
    ok(muse_sequence_span(seq, 0, &span));
    assert_int_equal(span.image.width, 320);
    const MusePosition p = at(seq, 1), last = at(seq, span.n_features);
    assert_float_equal(p.source.x0, 200, 1e-9);
    assert_float_equal(p.source.y0, 100, 1e-9);
    assert_float_equal(last.source.x1, 520, 1e-9);
    assert_float_equal(last.source.y1, 260, 1e-9);
    muse_image_close(&image);
    muse_image_close(&part);
    muse_sequence_close(&seq);
}

static void test_rows_and_limits(void **state)
{
    (void)state;
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.max_positions = 100;
    MuseSequence *seq = NULL;
    ok(muse_sequence_open(&seq, NULL, &p, &err));
    float rows[6] = { 1, 2, 3, 4, 5, 6 }, back[6];
    ok(muse_sequence_append_rows(seq, rows, 2, 3, &err));
    ok(muse_sequence_features(seq, 0, 0, 2, back, &err));
    assert_memory_equal(rows, back, sizeof rows);
    assert_int_equal(at(seq, 1).modality, MUSE_ROWS);
    assert_int_equal(at(seq, 1).id, -1);
    const uint32_t nan_bits = 0x7fc00000u;
    memcpy(&rows[4], &nan_bits, 4);
    assert_int_equal(muse_sequence_append_rows(seq, rows, 2, 3, &err), MUSE_ERR_ARG);
    assert_non_null(strstr(err.text, "row 1, value 1"));
    static const int32_t many[99];
    assert_int_equal(muse_sequence_append_ids(seq, many, 99, &err), MUSE_ERR_LIMIT);
    assert_string_equal(err.text, "text: 99 more positions after 2 are over the limit of 100");
    ok(muse_sequence_append_ids(seq, many, 98, &err));
    assert_int_equal(muse_sequence_append_ids(seq, many, 1, &err), MUSE_ERR_LIMIT);
    const int32_t negative = -1;
    assert_int_equal(muse_sequence_append_ids(seq, &negative, 1, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_sequence_length(seq), 100);
    muse_sequence_params_init(&p);
    p.family_name = "gemma4-unified";   /* a typing error is told, not taken for the default */
    MuseSequence *none = NULL;
    assert_int_equal(muse_sequence_open(&none, NULL, &p, &err), MUSE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "gemma4-unified"));
    /* family muse has no published ids: without a tokenizer its markers are unknown, and that is said */
    MuseImage *image = picture(8, 8, 1);
    assert_int_equal(muse_sequence_append_image(seq, image, NULL, &err), MUSE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "<image 1>"));
    muse_image_close(&image);
    muse_sequence_close(&seq);
    muse_sequence_close(&seq);
    muse_sequence_close(NULL);
    assert_int_equal(muse_sequence_length(NULL), 0);
    assert_int_equal(muse_sequence_append_ids(NULL, many, 1, &err), MUSE_ERR_ARG);
}

/* share of pixels of a drawing whose colour is near 0xRRGGBB */
static double share(const uint8_t *rgb, size_t pixels, uint32_t colour)
{
    size_t near = 0;
    for (size_t i = 0; i < pixels; i++)
        near += abs(rgb[3 * i] - (int)(colour >> 16)) < 24 && abs(rgb[3 * i + 1] - (int)(colour >> 8 & 255)) < 24 &&
                abs(rgb[3 * i + 2] - (int)(colour & 255)) < 24;
    return (double)near / (double)pixels;
}

static double drawn_share(const MuseSequence *seq, uint32_t colour)
{
    uint8_t *rgb;
    uint32_t w, h;
    ok(muse_sequence_draw(seq, NULL, &rgb, &w, &h, &err));
    const double part = share(rgb, (size_t)w * h, colour);
    muse_free(rgb);
    return part;
}

/* a green picture is drawn green, a loud sound blue, and the lines of a grid cut both */
static void test_draw(void **state)
{
    (void)state;
    static uint8_t green[64 * 48 * 3];
    for (size_t i = 0; i < sizeof green; i++) green[i] = i % 3 == 1 ? 200 : 20;
    MuseFamily few = *muse_family_find("gemma4_unified"), many = few;
    few.image.unit = 48;
    few.image.budgets[0] = 1;
    few.image.budgets[1] = 0;
    many.image.budgets[0] = 1120;
    many.image.budgets[1] = 0;
    double coarse = 0, fine = 0;
    for (int round = 0; round < 2; round++) {
        MuseSequence *seq = open_family(round ? &many : &few, NULL);
        MuseImage *image = NULL;
        ok(muse_image_open_pixels(&image, NULL, green, 48, 48, 0, MUSE_PIXELS_RGB, NULL, &err));
        MuseImageOptions o;
        muse_image_options_init(&o);
        o.budget = round ? 1120 : 1;
        ok(muse_sequence_append_image(seq, image, &o, &err));
        assert_true(drawn_share(seq, 0x14c814) > 0.3);
        *(round ? &fine : &coarse) = drawn_share(seq, 0x9d6b20);   /* the grid's red over this green */
        muse_image_close(&image);
        muse_sequence_close(&seq);
    }
    assert_true(coarse > 0 && fine > 4 * coarse);   /* 33 lines against 2, both ways */

    MuseSequence *seq = open_family(muse_family_find("gemma4_unified"), NULL);
    MuseAudio *audio = sound(5000, 16000), *empty = sound(0, 16000);
    ok(muse_sequence_append_audio_length(seq, 5000, 16000, &err));
    const double silent = drawn_share(seq, 0x0b5fb0);
    muse_sequence_close(&seq);
    seq = open_family(muse_family_find("gemma4_unified"), NULL);
    ok(muse_sequence_append_audio(seq, audio, NULL, NULL, &err));
    assert_true(drawn_share(seq, 0x0b5fb0) > silent + 0.1);
    ok(muse_sequence_append_audio(seq, empty, NULL, NULL, &err));
    ok(muse_sequence_append_image_size(seq, 5000, 20, NULL, &err));
    ok(muse_sequence_append_image_size(seq, 10, 9000, NULL, &err));
    muse_audio_close(&audio);
    muse_audio_close(&empty);
    uint8_t *rgb;
    uint32_t w, h;
    for (uint32_t width = 0; width <= 2000; width += 400) {
        MuseDrawParams p;
        muse_draw_params_init(&p);
        p.max_width = width;
        ok(muse_sequence_draw(seq, &p, &rgb, &w, &h, &err));
        assert_int_equal(w, width ? width : 1600);
        muse_free(rgb);
    }
    MuseDrawParams p;
    muse_draw_params_init(&p);
    p.max_width = 10;
    assert_int_equal(muse_sequence_draw(seq, &p, &rgb, &w, &h, &err), MUSE_ERR_ARG);
    muse_sequence_close(&seq);
}

/* every legal floor of a log-mel rule can be drawn, also one above what silence gives */
static void test_draw_mel(void **state)
{
    (void)state;
    static const float floors[] = { -300, -80, 20, 40, 100 };
    for (size_t i = 0; i < sizeof floors / sizeof *floors; i++) {
        MuseFamily family = *muse_family_find("muse");
        family.audio.floor_db = floors[i];
        family.audio_begin.id = family.audio_end.id = 7;
        MuseSequence *seq = open_family(&family, NULL);
        int16_t quiet[4000] = { 0 };
        MuseAudio *audio = NULL;
        ok(muse_audio_open_pcm(&audio, NULL, quiet, 4000, MUSE_PCM_S16, 16000, 1, NULL, &err));
        ok(muse_sequence_append_audio(seq, audio, NULL, NULL, &err));
        assert_true(drawn_share(seq, 0xffffff) < 1);
        muse_audio_close(&audio);
        muse_sequence_close(&seq);
    }
}

/* one beginning, rules in hashes, long markers, splits of rows */
static void test_small_print(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    MuseFamily family = *muse_family_find("gemma4_unified");
    MuseSequence *x = open_family(&family, NULL);
    family.audio.frame_samples = 320;
    MuseSequence *y = open_family(&family, NULL);
    ok(muse_sequence_append_audio_length(x, 16000, 16000, &err));
    ok(muse_sequence_append_audio_length(y, 16000, 16000, &err));
    ok(muse_sequence_hash(x, 5, a));
    ok(muse_sequence_hash(y, 5, b));
    assert_memory_not_equal(a, b, 32);
    muse_sequence_close(&x);
    muse_sequence_close(&y);

    const float rows[4] = { 1, 2, 3, 4 };
    x = open_family(NULL, NULL);
    y = open_family(NULL, NULL);
    ok(muse_sequence_append_rows(x, rows, 2, 2, &err));
    ok(muse_sequence_append_rows(y, rows, 1, 2, &err));
    ok(muse_sequence_append_rows(y, rows + 2, 1, 2, &err));
    ok(muse_sequence_hash(x, 2, a));
    ok(muse_sequence_hash(y, 2, b));
    assert_memory_equal(a, b, 32);
    ok(muse_sequence_append_ids(x, NULL, 0, &err));
    float none;
    assert_int_equal(muse_sequence_features(x, 1, 0, 0, &none, &err), MUSE_ERR_ARG);
    muse_sequence_close(&x);
    muse_sequence_close(&y);

    family = *muse_family_find("gemma4_unified");
    family.image_begin = (MuseMarker){ "<a marker of over sixty-three characters is not cut but refused, %u>", 5 };
    x = open_family(&family, NULL);
    assert_int_equal(muse_sequence_append_image_size(x, 10, 10, NULL, &err), MUSE_ERR_LIMIT);
    muse_sequence_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemma4), cmocka_unit_test(test_fuyu), cmocka_unit_test(test_counting), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_region), cmocka_unit_test(test_rows_and_limits), cmocka_unit_test(test_draw), cmocka_unit_test(test_draw_mel), cmocka_unit_test(test_small_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
