/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns that cut text: a regular expression in the syntax tokenizer.json uses (Oniguruma's), run by PCRE2, or an exact
 * string. Users: pre-tokenizers and the Replace normaliser. */
#ifndef TOKENIZERS_TEXT_PATTERN_H
#define TOKENIZERS_TEXT_PATTERN_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"
#include "base/status.h"

/* Patterns that also have a hand-written scanner for ASCII. */
typedef enum MuseScan { MUSE_SCAN_NONE, MUSE_SCAN_GPT2, MUSE_SCAN_LLAMA3, MUSE_SCAN_QWEN2 } MuseScan;

typedef struct MusePattern {
    pcre2_code *code;       /* NULL: the exact string below */
    bool        jit;
    MuseScan    scan;
    uint8_t    *literal;
    size_t      n_literal;
} MusePattern;

/* What a thread needs to run patterns. Zeros to start. */
typedef struct MuseMatcher {
    pcre2_match_data    *data;
    pcre2_match_context *context;
    pcre2_jit_stack     *stack;
} MuseMatcher;

/* The published patterns; NULL for a name that is none: "gpt2", "llama3", "qwen2", "qwen35". */
const char *muse_pattern_text(const char *name);

/* 0; MUSE_ERR_UNSUPPORTED: a construct that means something else in PCRE2, or matches the empty string (named);
 * MUSE_ERR_FORMAT: not a pattern; MUSE_ERR_NOMEM */
int  muse_pattern_open_regex(MusePattern *p, const MuseAllocator *a, const char *regex, size_t n, MuseError *err);
int  muse_pattern_open_literal(MusePattern *p, const MuseAllocator *a, const char *text, size_t n, MuseError *err);
void muse_pattern_close(MusePattern *p);

int  muse_matcher_open(MuseMatcher *m, MuseError *err);
void muse_matcher_close(MuseMatcher *m);
/* Bound the work of one match by the size of the text it runs over. */
void muse_matcher_limit(MuseMatcher *m, size_t n);

/* The first match at or after `from` in s, well-formed UTF-8. 1: found; 0: none; MUSE_ERR_LIMIT: it takes too many steps */
int  muse_pattern_next(const MusePattern *p, MuseMatcher *m, const uint8_t *s, size_t n, size_t from, size_t *start, size_t *end);

/* End of the match that starts at `from`, by ASCII tables; 0 when a byte that decides is not ASCII: ask the pattern. */
size_t muse_scan_next(MuseScan scan, const uint8_t *s, size_t n, size_t from);

/* Rewrite a pattern for PCRE2, appended to out. For tests. */
int  muse_pattern_rewrite(MuseBuf *out, const char *regex, size_t n, bool *multiline, MuseError *err);

#endif
