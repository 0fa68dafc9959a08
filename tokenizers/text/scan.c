/* SPDX-License-Identifier: Apache-2.0 */
/* The published patterns by hand, for ASCII: the same cuts as the regular expressions make, several times faster. Where a
 * byte outside ASCII would decide, it gives up and the regular expression is asked; a test compares the two.
 * Called by muse_pattern_next(). */
#include "tokenizers/text/pattern.h"

enum { L = 1, N = 2, S = 3, R = 4, O = 5, X = 0 };   /* letter, number, space, line end (a space too), other, not ASCII */

static const uint8_t kind[256] = {
    O, O, O, O, O, O, O, O, O, S, R, S, S, R, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O,
};

/* bytes of a contraction after the apostrophe, 0 = none, 3 = a byte outside ASCII decides */
static size_t contraction(const uint8_t *s, size_t left, uint8_t fold)
{
    if (left == 0) return 0;
    const uint8_t a = s[0] | fold;
    if (fold && s[0] >= 0x80) return 3;   /* U+017F folds to s */
    if (kind[s[0]] != L) return 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1;
    if (left < 2) return 0;
    const uint8_t b = s[1] | fold;
    if (kind[s[1]] != L) return 0;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

/* end of the run of this kind that starts at i; 0 if the byte after it is not ASCII */
static inline size_t run(const uint8_t *s, size_t n, size_t i, uint8_t k)
{
    while (i < n && kind[s[i]] == k) i++;
    return i < n && kind[s[i]] == X ? 0 : i;
}

static inline bool is_space(uint8_t b) { return kind[b] == S || kind[b] == R; }

/* \s+(?!\S)|\s+ over the run [i, end): all of it at the end of the text, else all but the last, but never nothing */
static size_t spaces(size_t n, size_t i, size_t end)
{
    return end == n || end == i + 1 ? end : end - 1;
}

static size_t space_run(const uint8_t *s, size_t n, size_t i, size_t *last_line_end)
{
    *last_line_end = 0;
    for (; i < n && is_space(s[i]); i++)
        if (kind[s[i]] == R) *last_line_end = i + 1;
    return i < n && kind[s[i]] == X ? 0 : i;
}

static size_t scan_gpt2(const uint8_t *s, size_t n, size_t i)
{
    if (s[i] == '\'') {
        const size_t c = contraction(s + i + 1, n - i - 1, 0);
        if (c) return i + 1 + c;
    }
    const size_t word = i + (s[i] == ' ' && i + 1 < n && !is_space(s[i + 1]));
    const uint8_t k = kind[s[word]];
    if (k == L || k == N || k == O) return run(s, n, word, k);
    if (k == X) return 0;
    size_t line_end;
    const size_t end = space_run(s, n, i, &line_end);
    return end ? spaces(n, i, end) : 0;
}

static size_t scan_llama3(const uint8_t *s, size_t n, size_t i, size_t digits)
{
    const uint8_t k = kind[s[i]];
    if (k == L) return run(s, n, i, L);
    if (k == N) {
        size_t end = i + 1;
        while (end < n && end - i < digits && kind[s[end]] == N) end++;
        return end < n && end - i < digits && kind[s[end]] == X ? 0 : end;
    }
    if (s[i] == '\'') {
        const size_t c = contraction(s + i + 1, n - i - 1, 0x20);
        if (c) return c == 3 ? 0 : i + 1 + c;
    }
    const uint8_t next = i + 1 < n ? kind[s[i + 1]] : S;
    if (k != R && (next == L || next == X)) return next == L ? run(s, n, i + 1, L) : 0;
    if (k == O || (s[i] == ' ' && next == O)) {
        size_t end = run(s, n, i + (s[i] == ' '), O);
        while (end && end < n && kind[s[end]] == R) end++;   /* ASCII, so what follows does not matter */
        return end;
    }
    size_t line_end;
    const size_t end = space_run(s, n, i, &line_end);
    if (!end) return 0;
    return line_end ? line_end : spaces(n, i, end);
}

size_t muse_scan_next(MuseScan scan, const uint8_t *s, size_t n, size_t from)
{
    if (from >= n || kind[s[from]] == X) return 0;
    switch (scan) {
    case MUSE_SCAN_GPT2:   return scan_gpt2(s, n, from);
    case MUSE_SCAN_LLAMA3: return scan_llama3(s, n, from, 3);
    case MUSE_SCAN_QWEN2:  return scan_llama3(s, n, from, 1);
    default:               return 0;
    }
}
