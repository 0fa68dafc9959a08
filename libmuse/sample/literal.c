/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces that JSON is made of, as fragments: structure, literals, numbers, strings. Reads no schema. Called by schema.c. */
#include "libmuse/sample/schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "muse/grammar.h"

enum { KEY_CHARS_MAX = 256 };

static MuseFrag white(MuseNfa *f)
{
    static const char spaces[] = " \t\n\r";
    MuseFrag choice = muse_nfa_choice(f);
    for (int i = 0; i < 4; i++) muse_nfa_branch(f, &choice, muse_nfa_bytes(f, (uint8_t)spaces[i], (uint8_t)spaces[i]));
    return muse_nfa_repeat(f, choice, 0, UINT32_MAX);
}

MuseFrag muse_json_mark(MuseNfa *f, char mark, unsigned space)
{
    const bool inner = mark == ',' || mark == ':';
    MuseFrag all = muse_nfa_empty(f);
    if (space == MUSE_GRAMMAR_FREE && mark != '{' && mark != '[') all = muse_nfa_cat(f, all, white(f));
    all = muse_nfa_cat(f, all, muse_nfa_bytes(f, (uint8_t)mark, (uint8_t)mark));
    if (space == MUSE_GRAMMAR_FREE && mark != '}' && mark != ']') all = muse_nfa_cat(f, all, white(f));
    if (space == MUSE_GRAMMAR_SPACED && inner) all = muse_nfa_cat(f, all, muse_nfa_text(f, " ", 1));
    return all;
}

MuseFrag muse_json_text(MuseNfa *f, const char *text, size_t n)
{
    MuseBuf b = { .alloc = f->alloc };
    if (muse_json_write_string(&b, text, n) < 0) muse_nfa_fail(f, MUSE_ERR_NOMEM, "no memory for a string of %zu bytes", n);
    MuseFrag all = muse_nfa_text(f, b.data, f->rc < 0 ? 0 : b.len);
    muse_buf_clear(&b);
    return all;
}

/* the shortest digits that give the number back, with a point whatever the locale writes */
static MuseFrag number_text(MuseNfa *f, double v)
{
    char text[64] = "", plain[64];
    size_t n = 0;
    if (!isfinite(v)) muse_nfa_fail(f, MUSE_ERR_UNSUPPORTED, "a number beyond the range of double");
    for (int digits = 1; digits <= 17 && f->rc == 0; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    for (const char *c = text; *c; c++) {
        if (strchr("0123456789+-e", *c)) plain[n++] = *c;
        else if (n && plain[n - 1] != '.') plain[n++] = '.';
    }
    return muse_nfa_text(f, plain, n);
}

MuseFrag muse_json_literal(MuseNfa *f, const MuseJsonValue *v, unsigned space)
{
    char digits[32];
    switch ((MuseJsonType)v->type) {
    case MUSE_JSON_NULL: return muse_nfa_text(f, "null", 4);
    case MUSE_JSON_BOOL: return muse_nfa_text(f, v->u.integer ? "true" : "false", v->u.integer ? 4 : 5);
    case MUSE_JSON_INT:
        snprintf(digits, sizeof digits, "%lld", (long long)v->u.integer);
        return muse_nfa_text(f, digits, strlen(digits));
    case MUSE_JSON_DOUBLE: return number_text(f, v->u.number);
    case MUSE_JSON_STRING: return muse_json_text(f, v->u.string, v->len);
    default: break;
    }
    const bool object = v->type == MUSE_JSON_OBJECT;
    MuseFrag all = muse_json_mark(f, object ? '{' : '[', space);
    for (const MuseJsonValue *m = v->len ? v->u.first : NULL; m && f->rc == 0; m = m->next) {
        if (object) {
            all = muse_nfa_cat(f, all, muse_json_text(f, m->key, m->key_len));
            all = muse_nfa_cat(f, all, muse_json_mark(f, ':', space));
        }
        all = muse_nfa_cat(f, all, muse_json_literal(f, m, space));
        if (m->next) all = muse_nfa_cat(f, all, muse_json_mark(f, ',', space));
    }
    return muse_nfa_cat(f, all, muse_json_mark(f, object ? '}' : ']', space));
}

static MuseFrag pattern(MuseNfa *f, const char *text) { return muse_nfa_regex(f, text, strlen(text), MUSE_SPELL_UTF8, false); }

/* Bounded so that every text is a finite double and an integer fits 64 bits: a model that goes on counting digits must end. */
MuseFrag muse_json_number(MuseNfa *f) { return pattern(f, "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?"); }

/* numbers of n digits between lo and hi, from digit `at` on; a side that has left its bound is free */
static MuseFrag digits_between(MuseNfa *f, const char *lo, const char *hi, unsigned at, unsigned n, bool on_lo, bool on_hi)
{
    MuseFrag choice = muse_nfa_choice(f);
    if (at == n) {
        muse_nfa_branch(f, &choice, muse_nfa_empty(f));
        return choice;
    }
    if (!on_lo && !on_hi) return muse_nfa_repeat(f, muse_nfa_bytes(f, '0', '9'), n - at, n - at);
    const char first = on_lo ? lo[at] : '0', last = on_hi ? hi[at] : '9';
    for (char d = first; d <= last; d++) {   /* few branches: the digits between the bounds are all free */
        const bool a = on_lo && d == first, b = on_hi && d == last;
        char to = d;
        if (!a && !b) to = (char)(on_hi ? last - 1 : last);
        MuseFrag head = muse_nfa_bytes(f, (uint8_t)d, (uint8_t)to);
        head = muse_nfa_cat(f, head, digits_between(f, lo, hi, at + 1, n, a, b));
        muse_nfa_branch(f, &choice, head);
        d = to;
    }
    return choice;
}

/* lo <= hi, none negative: by number of digits */
static void add_naturals(MuseNfa *f, MuseFrag *choice, const char *sign, int64_t lo, int64_t hi)
{
    char a[24], b[24];
    for (int64_t from = lo; from <= hi;) {
        int64_t to = 9;
        while (to < from) to = to * 10 + 9;
        if (to > hi) to = hi;
        snprintf(a, sizeof a, "%lld", (long long)from);
        snprintf(b, sizeof b, "%lld", (long long)to);
        MuseFrag head = muse_nfa_text(f, sign, strlen(sign));
        muse_nfa_branch(f, choice, muse_nfa_cat(f, head, digits_between(f, a, b, 0, (unsigned)strlen(a), true, true)));
        from = to + 1;
    }
}

MuseFrag muse_json_integer(MuseNfa *f, const int64_t *min, const int64_t *max)
{
    const int64_t most = INT64_C(999999999999999999);   /* 18 digits */
    int64_t lo = min ? *min : -most, hi = max ? *max : most;
    if (!min && !max) return pattern(f, "-?(0|[1-9][0-9]{0,17})");
    lo = lo < -most ? -most : lo;
    hi = hi > most ? most : hi;
    MuseFrag choice = muse_nfa_choice(f);   /* without a branch: nothing fits */
    if (lo < 0) add_naturals(f, &choice, "-", hi < 0 ? -hi : 1, -lo);
    if (hi >= 0) add_naturals(f, &choice, "", lo > 0 ? lo : 0, hi);
    return choice;
}

MuseFrag muse_json_string(MuseNfa *f, uint32_t min, uint32_t max)
{
    MuseFrag all = muse_nfa_text(f, "\"", 1);
    all = muse_nfa_cat(f, all, muse_nfa_repeat(f, muse_nfa_json_char(f), min, max));
    return muse_nfa_cat(f, all, muse_nfa_text(f, "\"", 1));
}

static int by_text(const void *x, const void *y)
{
    const MuseText *a = x, *b = y;
    const int c = memcmp(a->text, b->text, a->n < b->n ? a->n : b->n);
    return c ? c : (a->n > b->n) - (a->n < b->n);
}

/* characters that stand in a JSON string as themselves */
static void plain_chars(MuseSet *s)
{
    *s = (MuseSet){ 0 };
    muse_set_add(s, 0, 0x1f);
    muse_set_add(s, '"', '"');
    muse_set_add(s, '\\', '\\');
    muse_set_sort(s);
}

/* the rest of a string, its quote too, that continues none of the sorted texts, which agree in `at` bytes, to its end */
static MuseFrag other_rest(MuseNfa *f, MuseSet *set, const MuseText *texts, size_t n, uint32_t at, unsigned depth)
{
    MuseFrag choice = muse_nfa_choice(f);
    size_t i = 0, first;
    bool ends = false;
    if (depth > KEY_CHARS_MAX) muse_nfa_fail(f, MUSE_ERR_LIMIT, "a property name of over %d characters beside additionalProperties", KEY_CHARS_MAX);
    for (; i < n && texts[i].n == at; i++) ends = true;
    if (!ends) muse_nfa_branch(f, &choice, muse_nfa_text(f, "\"", 1));
    first = i;
    for (size_t end; i < n && f->rc == 0; i = end) {
        uint32_t c = 0;
        const unsigned len = muse_utf8_char((const uint8_t *)texts[i].text + at, texts[i].n - at, &c);
        if (!len) muse_nfa_fail(f, MUSE_ERR_FORMAT, "a property name is not UTF-8");
        for (end = i + 1; end < n && texts[end].n >= at + len && memcmp(texts[end].text + at, texts[i].text + at, len) == 0;) end++;
        if (c < 0x20 || c == '"' || c == '\\' || f->rc < 0) continue;   /* such a key is never spelled here */
        MuseFrag head = muse_nfa_text(f, texts[i].text + at, len);
        muse_nfa_branch(f, &choice, muse_nfa_cat(f, head, other_rest(f, set, texts + i, end - i, at + len, depth + 1)));
    }
    plain_chars(set);   /* read again, since the set is one for all depths: ranges on the stack would add up to a megabyte */
    for (size_t k = first; k < n && f->rc == 0; k++) {
        uint32_t c = 0;
        muse_utf8_char((const uint8_t *)texts[k].text + at, texts[k].n - at, &c);
        muse_set_add(set, c, c);
    }
    muse_set_sort(set);
    muse_set_invert(set);
    MuseFrag other = muse_nfa_set(f, set, MUSE_SPELL_UTF8);
    plain_chars(set);
    muse_set_invert(set);
    other = muse_nfa_cat(f, other, muse_nfa_repeat(f, muse_nfa_set(f, set, MUSE_SPELL_UTF8), 0, UINT32_MAX));
    muse_nfa_branch(f, &choice, muse_nfa_cat(f, other, muse_nfa_text(f, "\"", 1)));
    return choice;
}

MuseFrag muse_json_other_key(MuseNfa *f, MuseText *texts, size_t n)
{
    MuseSet *set = muse_alloc(f->alloc, sizeof *set);
    if (!set) muse_nfa_fail(f, MUSE_ERR_NOMEM, "no memory for a set of characters");
    if (n) qsort(texts, n, sizeof *texts, by_text);
    MuseFrag all = muse_nfa_text(f, "\"", 1);
    if (set) all = muse_nfa_cat(f, all, other_rest(f, set, texts, n, 0, 0));
    muse_free(set);
    return all;
}
