/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and running patterns. The text of a pattern is rewritten first (pattern_rewrite.c), because \s, \w, \p{Han} and
 * others mean different characters in Oniguruma and PCRE2; ASCII text of the published patterns is cut by scan.c.
 * Called by pretok.c and normalize.c. */
#include "tokenizers/text/pattern.h"

#include <string.h>

/* Longer patterns are refused before PCRE2 sees them; the longest published one has about 300 bytes. */
enum { PATTERN_BYTES_MAX = 16384 };
enum { JIT_STACK_MIN = 32 << 10, JIT_STACK_MAX = 1 << 20 };

static const struct Known {
    const char *name;
    MuseScan    scan;
    const char *text;
} known[] = {
    /* Radford et al. 2019, the released encoder */
    { "gpt2", MUSE_SCAN_GPT2, "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
    /* the tokenizer.json of Llama 3, of Qwen 2 and of Qwen 3.5 */
    { "llama3", MUSE_SCAN_LLAMA3, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" },
    { "qwen2", MUSE_SCAN_QWEN2, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" },
    /* marks are no ASCII, so the scanner of Qwen 2 serves */
    { "qwen35", MUSE_SCAN_QWEN2, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" },
};

const char *muse_pattern_text(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) return known[i].text;
    return NULL;
}

static MuseScan scan_of(const char *regex, size_t n)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].text) == n && memcmp(known[i].text, regex, n) == 0) return known[i].scan;
    return MUSE_SCAN_NONE;
}

static int compile(MusePattern *p, const MuseBuf *text, bool multiline, MuseError *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) return MUSE_NOMEM(err, text->len);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int why = 0;
    PCRE2_SIZE at = 0;
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (multiline ? PCRE2_MULTILINE : 0u);
    p->code = pcre2_compile(text->data, text->len, options, &why, &at, context);
    pcre2_compile_context_free(context);
    if (p->code) return 0;
    if (why == PCRE2_ERROR_NOMEMORY) return MUSE_NOMEM(err, text->len);
    char reason[128] = "";
    pcre2_get_error_message(why, (PCRE2_UCHAR *)reason, sizeof reason);
    /* 146 and 147: a property this PCRE2 does not know, so the pattern may well be one */
    const int code = why == PCRE2_ERROR_MALFORMED_UNICODE_PROPERTY || why == PCRE2_ERROR_UNKNOWN_UNICODE_PROPERTY ? MUSE_ERR_UNSUPPORTED : MUSE_ERR_FORMAT;
    return muse_fail(err, code, "pattern, at byte %zu of \"%.*s\": %s", (size_t)at, (int)(text->len < 200 ? text->len : 200), (const char *)text->data, reason);
}

int muse_pattern_open_regex(MusePattern *p, const MuseAllocator *a, const char *regex, size_t n, MuseError *err)
{
    *p = (MusePattern){ 0 };
    if (n == 0 || n > PATTERN_BYTES_MAX) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "pattern of %zu bytes; 1 to %d are taken", n, PATTERN_BYTES_MAX);
    MuseBuf text = { .alloc = a };
    bool multiline = false;
    int rc = muse_pattern_rewrite(&text, regex, n, &multiline, err);
    if (rc == 0) rc = compile(p, &text, multiline, err);
    muse_buf_clear(&text);
    if (rc < 0) goto fail;

    uint32_t empty = 1;
    pcre2_pattern_info(p->code, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty) {
        rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "pattern \"%.*s\" can match the empty string", (int)(n < 200 ? n : 200), regex);
        goto fail;
    }
    /* without JIT (a system that forbids it) the same pattern is interpreted */
    p->jit = pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0;
    p->scan = scan_of(regex, n);
    return 0;
fail:
    muse_pattern_close(p);
    return rc;
}

int muse_pattern_open_literal(MusePattern *p, const MuseAllocator *a, const char *text, size_t n, MuseError *err)
{
    *p = (MusePattern){ 0 };
    if (n == 0 || n > PATTERN_BYTES_MAX) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "pattern string of %zu bytes; 1 to %d are taken", n, PATTERN_BYTES_MAX);
    p->literal = muse_alloc(a, n);
    if (!p->literal) return MUSE_NOMEM(err, n);
    memcpy(p->literal, text, n);
    p->n_literal = n;
    return 0;
}

void muse_pattern_close(MusePattern *p)
{
    pcre2_code_free(p->code);
    muse_free(p->literal);
    *p = (MusePattern){ 0 };
}

int muse_matcher_open(MuseMatcher *m, MuseError *err)
{
    *m = (MuseMatcher){ pcre2_match_data_create(1, NULL), pcre2_match_context_create(NULL), pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL) };
    if (!m->data || !m->context) {
        muse_matcher_close(m);
        return MUSE_NOMEM(err, JIT_STACK_MIN);
    }
    if (m->stack) pcre2_jit_stack_assign(m->context, NULL, m->stack);   /* none where JIT is not built in */
    pcre2_set_heap_limit(m->context, 64 << 10);                         /* KiB, for the interpreter */
    return 0;
}

void muse_matcher_close(MuseMatcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    *m = (MuseMatcher){ 0 };
}

void muse_matcher_limit(MuseMatcher *m, size_t n)
{
    /* The published patterns take a step a character at most; a pattern that backtracks without end meets this. */
    const uint64_t steps = 1000000u + (uint64_t)n * 4;
    pcre2_set_match_limit(m->context, steps > UINT32_MAX ? UINT32_MAX : (uint32_t)steps);
}

static int literal_next(const MusePattern *p, const uint8_t *s, size_t n, size_t from, size_t *start, size_t *end)
{
    while (from < n && n - from >= p->n_literal) {
        const uint8_t *at = memchr(s + from, p->literal[0], n - from - p->n_literal + 1);
        if (!at) return 0;
        from = (size_t)(at - s);
        if (memcmp(at, p->literal, p->n_literal) == 0) {
            *start = from;
            *end = from + p->n_literal;
            return 1;
        }
        from++;
    }
    return 0;
}

int muse_pattern_next(const MusePattern *p, MuseMatcher *m, const uint8_t *s, size_t n, size_t from, size_t *start, size_t *end)
{
    if (!p->code) return literal_next(p, s, n, from, start, end);
    if (p->scan) {
        const size_t stop = muse_scan_next(p->scan, s, n, from);
        if (stop) {
            *start = from;
            *end = stop;
            return 1;
        }
    }
    if (from >= n) return 0;
    const int rc = p->jit ? pcre2_jit_match(p->code, s, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context)
                          : pcre2_match(p->code, s, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc < 0) return MUSE_ERR_LIMIT;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->data);
    *start = at[0];
    *end = at[1];
    /* \K is refused by the rewriter and empty matches at open; this keeps the caller's loop moving all the same */
    return at[1] > at[0] && at[0] >= from ? 1 : MUSE_ERR_LIMIT;
}
