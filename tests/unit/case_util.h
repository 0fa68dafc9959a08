/* SPDX-License-Identifier: Apache-2.0 */
/* A golden or tiny case in a test: its model, its prompt as a sequence made from the media files, its reference values. */
#ifndef TESTS_UNIT_CASE_UTIL_H
#define TESTS_UNIT_CASE_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"
#include "libmuse/io/weights.h"
#include "libmuse/model/model.h"
#include "muse/muse.h"

static MuseError err;

static inline const char *path_of(const char *folder, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s%s", getenv("MUSE_TEST_DATA"), folder, name);
    return path;
}

static inline MuseModel *open_model(const char *name, const char *mmproj, MuseRuntime *rt)
{
    MuseModelParams p;
    muse_model_params_init(&p);
    if (mmproj) p.mmproj = path_of(mmproj, "");
    MuseModel *m = NULL;
    if (muse_model_open(&m, rt, path_of(name, ""), &p, &err) < 0) fail_msg("%s", err.text);
    return m;
}

typedef struct Case {
    MuseWeightFile expect;
    MuseSequence  *seq;
    MuseTextTokenizer *tokenizer;
    const MuseModel *model;
    const char *name;
    bool   f32;
    size_t n_stages;     /* that were compared */
} Case;

/* The parts of a case in order, to any sequence of the model's family. */
static inline void append_prompt(Case *c, const char *folder, const MuseJsonValue *doc)
{
    const MuseJsonValue *prompt = muse_json_get(doc, "prompt"), *budget = muse_json_get(doc, "max_soft_tokens"), *media = muse_json_get(doc, "media")->u.first;
    char text[4096];   /* terminated, which JSON strings are not */
    assert_true(prompt->len < sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)prompt->len, prompt->u.string);
    const char *at = text, *end = at + prompt->len;
    MuseImageOptions options;
    muse_image_options_init(&options);
    if (budget) options.budget = (uint32_t)budget->u.integer;
    while (at < end) {
        const char *image = strstr(at, "<|image|>"), *audio = strstr(at, "<|audio|>"), *next = !image || (audio && audio < image) ? audio : image;
        const size_t n = (size_t)((next ? next : end) - at);
        if (n > 0 && muse_sequence_append_text(c->seq, at, n, MUSE_TEXT_ADDED, &err) < 0) fail_msg("%s", err.text);
        if (!next) break;
        char file[64];
        snprintf(file, sizeof file, "%.*s", (int)media->len, media->u.string);
        MuseImage *picture = NULL;
        MuseAudio *sound = NULL;
        const int rc = next == image ? muse_image_open_file(&picture, NULL, path_of(folder, file), NULL, &err) : muse_audio_open_file(&sound, NULL, path_of(folder, file), NULL, &err);
        if (rc < 0 || (picture ? muse_sequence_append_image(c->seq, picture, &options, &err) : muse_sequence_append_audio(c->seq, sound, NULL, NULL, &err)) < 0) fail_msg("%s", err.text);
        muse_image_close(&picture);
        muse_audio_close(&sound);
        media = media->next;
        at = next + strlen("<|image|>");   /* both are as long */
    }
}

static inline void check_positions(Case *c)
{
    const MuseTensor *ids = muse_weights_find(&c->expect, "input_ids"), *places = muse_weights_find(&c->expect, "positions");
    assert_non_null(ids);
    assert_int_equal(ids->shape[0], muse_sequence_length(c->seq));
    for (size_t i = 0; i < ids->shape[0]; i++) {
        MusePosition p;
        int32_t want[4] = { 0 };
        assert_int_equal(muse_sequence_position(c->seq, i, &p), 0);
        memcpy(want, ids->data + 4 * i, 4);
        assert_int_equal(p.id, want[0]);
        if (!places) continue;
        memcpy(want, places->data + 12 * i, 12);
        if (p.t != want[0] || p.y != want[1] || p.x != want[2]) fail_msg("%s: position %zu is at %d %d %d, expected %d %d %d", c->name, i, p.t, p.y, p.x, want[0], want[1], want[2]);
    }
}

static inline void open_case(Case *c, const char *folder)
{
    MuseFile file = { 0 };
    MuseJson doc;
    if (muse_weights_open(&c->expect, NULL, &c->model->rt->log, path_of(folder, "expect.safetensors"), &err) < 0) fail_msg("%s", err.text);
    if (muse_file_open(&file, path_of(folder, "case.json"), 1 << 20, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(muse_json_parse(&doc, NULL, file.data, file.size, &err), 0);
    if (muse_model_open_tokenizer(c->model, &c->tokenizer, &err) < 0) fail_msg("%s", err.text);
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.family = muse_model_family(c->model);
    p.tokenizer = c->tokenizer;
    assert_int_equal(muse_sequence_open(&c->seq, NULL, &p, &err), 0);
    append_prompt(c, folder, doc.root);
    check_positions(c);
    muse_json_close(&doc);
    muse_file_close(&file);
}

static inline void close_case(Case *c)
{
    muse_sequence_close(&c->seq);
    muse_text_close(&c->tokenizer);
    muse_weights_close(&c->expect);
}

#endif
