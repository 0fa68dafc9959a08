/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the text tokenizer share. */
#ifndef TESTS_UNIT_TEXT_UTIL_H
#define TESTS_UNIT_TEXT_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"
#include "muse/muse.h"

/* MUSE_TEST_DATA/name; two results live at a time */
static inline const char *data_path(const char *name)
{
    static char paths[2][1024];
    static int turn;
    turn ^= 1;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", getenv("MUSE_TEST_DATA"), name);
    return paths[turn];
}

static inline MuseFile data_file(const char *name)
{
    MuseFile f = { 0 };
    MuseError err;
    if (muse_file_open(&f, data_path(name), UINT64_C(1) << 30, &err) < 0) fail_msg("%s", err.text);
    return f;
}

static inline MuseTextTokenizer *open_data(const char *name)
{
    MuseTextTokenizer *tok;
    MuseError err;
    if (muse_text_open_file(&tok, NULL, data_path(name), &err) < 0) fail_msg("%s", err.text);
    return tok;
}

static inline MuseTextTokenizer *open_text(const char *json)
{
    MuseTextTokenizer *tok;
    MuseError err;
    if (muse_text_open_memory(&tok, NULL, json, strlen(json), &err) < 0) fail_msg("%s", err.text);
    return tok;
}

/* a small generator, so that tests do not depend on the C library's */
static inline uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);   /* Knuth's MMIX */
    return (uint32_t)(*state >> 33);
}

static inline int32_t *encode(const MuseTextTokenizer *tok, const char *text, size_t n, unsigned flags, size_t *n_ids)
{
    int32_t *ids;
    MuseError err;
    if (muse_text_encode(tok, text, n, flags, &ids, n_ids, &err) < 0) fail_msg("%s", err.text);
    return ids;
}

static inline char *decode(const MuseTextTokenizer *tok, const int32_t *ids, size_t n_ids, size_t *n)
{
    char *text;
    MuseError err;
    if (muse_text_decode(tok, ids, n_ids, 0, &text, n, &err) < 0) fail_msg("%s", err.text);
    return text;
}

/* text and ids agree: "12 5 7"; wanted NULL prints them instead */
static inline void check_ids(const MuseTextTokenizer *tok, const char *text, size_t n, unsigned flags, const char *wanted)
{
    char got[4096] = "";
    size_t n_ids, k = 0;
    int32_t *ids = encode(tok, text, n, flags, &n_ids);
    for (size_t i = 0; i < n_ids && k < sizeof got - 16; i++) k += (size_t)snprintf(got + k, sizeof got - k, i ? " %d" : "%d", ids[i]);
    muse_free(ids);
    if (strcmp(got, wanted) != 0) fail_msg("\"%.*s\": got \"%s\", wanted \"%s\"", (int)n, text, got, wanted);
}

/* pieces a text is cut into by the tokens it becomes: "a|b|c" */
static inline void check_pieces(const MuseTextTokenizer *tok, const char *text, size_t n, const char *wanted)
{
    char got[4096] = "";
    size_t n_ids, k = 0;
    int32_t *ids = encode(tok, text, n, 0, &n_ids);
    for (size_t i = 0; i < n_ids; i++) {
        const char *bytes;
        size_t len;
        assert_int_equal(muse_text_token_bytes(tok, ids[i], &bytes, &len), 0);
        assert_true(k + len + 2 < sizeof got);
        if (i) got[k++] = '|';
        memcpy(got + k, bytes, len);
        got[k += len] = 0;
    }
    muse_free(ids);
    if (strcmp(got, wanted) != 0) fail_msg("\"%.*s\": got \"%s\", wanted \"%s\"", (int)n, text, got, wanted);
}

#endif
