/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizes each line of stdin by itself and prints {"ids":[...],"decoded":"..."} a line, for compare.py. A line that starts
 * with a double quote is a JSON string; empty lines are left out. usage: tokenize_lines TOKENIZER < lines.txt */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "muse/muse.h"

static int fail(const char *what, const MuseError *err)
{
    fprintf(stderr, "%s: %s: %s\n", what, muse_status_name(err->code), err->text);
    return 1;
}

static int tokenize(const MuseTextTokenizer *tok, const char *text, size_t n, MuseError *err)
{
    int32_t *ids;
    size_t n_ids, n_back;
    char *back;
    int rc = muse_text_encode(tok, text, n, MUSE_TEXT_ADDED, &ids, &n_ids, err);
    if (rc < 0) return rc;
    rc = muse_text_decode(tok, ids, n_ids, 0, &back, &n_back, err);
    if (rc == 0) {
        MuseBuf json = { 0 };
        printf("{\"ids\":[");
        for (size_t i = 0; i < n_ids; i++) printf(i ? ",%d" : "%d", ids[i]);
        rc = muse_json_write_string(&json, back, n_back);
        printf("],\"decoded\":%.*s}\n", (int)json.len, (const char *)json.data);
        muse_buf_clear(&json);
    }
    muse_free(back);
    muse_free(ids);
    return rc;
}

static int line(const MuseTextTokenizer *tok, const char *text, size_t n, MuseError *err)
{
    if (n == 0) return 0;
    if (text[0] != '"') return tokenize(tok, text, n, err);
    MuseJson doc = { 0 };
    int rc = muse_json_parse(&doc, NULL, text, n, err);
    if (rc == 0) rc = tokenize(tok, doc.root->u.string, doc.root->len, err);
    muse_json_close(&doc);
    return rc;
}

int main(int argc, char **argv)
{
    MuseTextTokenizer *tok;
    MuseError err;
    if (argc != 2) {
        fprintf(stderr, "usage: %s TOKENIZER < lines.txt\n", argv[0]);
        return 2;
    }
    if (muse_text_open_file(&tok, NULL, argv[1], &err) < 0) return fail(argv[1], &err);
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = getline(&text, &cap, stdin)) >= 0) {
        if (n && text[n - 1] == '\n') n--;
        rc = line(tok, text, (size_t)n, &err);
    }
    free(text);
    muse_text_close(&tok);
    return rc < 0 ? fail("line", &err) : 0;
}
