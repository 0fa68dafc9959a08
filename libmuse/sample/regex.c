/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions into fragments, by recursive descent. Greed has no meaning here (a set of texts is described, nothing is
 * captured), so lazy and possessive marks are refused rather than ignored. Called by grammar.c and schema.c. */
#include <string.h>

#include "base/utf8.h"
#include "libmuse/sample/nfa.h"

enum { GROUPS_MAX = 64, REPEAT_MAX = 65535 };

typedef struct Parser {
    MuseNfa *f;
    const uint8_t *s;
    size_t   n, at;
    MuseSpelling spelling;
    int      depth;
    MuseSet  set, inner;   /* the class being read; a \d and the like inside it */
} Parser;

static MuseFrag alternatives(Parser *p);

static bool more(const Parser *p) { return p->at < p->n && p->f->rc == 0; }
static bool next_is(const Parser *p, char c) { return more(p) && p->s[p->at] == (uint8_t)c; }

static bool take(Parser *p, char c)
{
    if (!next_is(p, c)) return false;
    p->at++;
    return true;
}

static void wrong(Parser *p, int code, const char *what)
{
    muse_nfa_fail(p->f, code, "regular expression, byte %zu: %s", p->at, what);
    p->at = p->n;
}

static uint32_t character(Parser *p)
{
    uint32_t c = 0;
    const unsigned n = muse_utf8_char(p->s + p->at, p->n - p->at, &c);
    if (!n) wrong(p, MUSE_ERR_FORMAT, "not UTF-8");
    p->at += n;
    return c;
}

static uint32_t hex_digits(Parser *p, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        const char *digits = "0123456789abcdef";
        const int c = more(p) ? p->s[p->at] | (p->s[p->at] >= 'A' ? 0x20 : 0) : 0;
        const char *d = c ? strchr(digits, c) : NULL;
        if (!d) {
            wrong(p, MUSE_ERR_FORMAT, "hexadecimal digits are missing");
            return 0;
        }
        v = v << 4 | (uint32_t)(d - digits);
        p->at++;
    }
    return v;
}

/* \d \w \s and their opposites, ASCII as in JSON schemas' dialect (ECMA-262 without the u flag's Unicode sets; \s with its spaces) */
static bool class_escape(MuseSet *s, uint8_t letter)
{
    s->n = 0;
    s->full = false;
    switch (letter | 0x20) {
    case 'd': muse_set_add(s, '0', '9'); break;
    case 'w': muse_set_add(s, '0', '9'), muse_set_add(s, 'A', 'Z'), muse_set_add(s, '_', '_'), muse_set_add(s, 'a', 'z'); break;
    case 's':
        muse_set_add(s, 9, 13), muse_set_add(s, ' ', ' '), muse_set_add(s, 0xa0, 0xa0), muse_set_add(s, 0x1680, 0x1680), muse_set_add(s, 0x2000, 0x200a);
        muse_set_add(s, 0x2028, 0x2029), muse_set_add(s, 0x202f, 0x202f), muse_set_add(s, 0x205f, 0x205f), muse_set_add(s, 0x3000, 0x3000), muse_set_add(s, 0xfeff, 0xfeff);
        break;
    default: return false;
    }
    if (!(letter & 0x20)) muse_set_invert(s);
    return true;
}

/* after a backslash, one character */
static uint32_t escaped(Parser *p)
{
    static const char letters[] = "fnrtv0", codes[] = "\f\n\r\t\v";
    if (!more(p)) {
        wrong(p, MUSE_ERR_FORMAT, "ends in a backslash");
        return 0;
    }
    const uint8_t c = p->s[p->at];
    const char *at = strchr(letters, c);
    uint32_t v = c;
    if (c >= 0x80) return character(p);
    p->at++;
    if (c && at) return (uint8_t)codes[at - letters];
    if (c == 'x') return hex_digits(p, 2);
    if (c == 'u') v = hex_digits(p, 4);
    else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) wrong(p, MUSE_ERR_UNSUPPORTED, "this escape (back references, \\b, \\p and the like are not known)");
    if (v >= 0xd800 && v <= 0xdfff) wrong(p, MUSE_ERR_UNSUPPORTED, "a surrogate");
    return v;
}

/* one end of a range; false: it was a whole class, which is in the set now */
static bool class_item(Parser *p, uint32_t *c)
{
    if (!take(p, '\\')) {
        *c = character(p);
        return true;
    }
    if (more(p) && class_escape(&p->inner, p->s[p->at])) {
        for (uint32_t i = 0; i < p->inner.n; i++) muse_set_add(&p->set, p->inner.r[i].lo, p->inner.r[i].hi);
        p->at++;
        return false;
    }
    if (next_is(p, 'b')) {
        p->at++;
        *c = '\b';
        return true;
    }
    *c = escaped(p);
    return true;
}

static MuseFrag class_set(Parser *p)
{
    const bool invert = take(p, '^');
    p->set.n = 0;
    p->set.full = false;
    while (!next_is(p, ']')) {
        uint32_t lo = 0, hi = 0;
        if (!more(p)) {
            wrong(p, MUSE_ERR_FORMAT, "a class without ]");
            break;
        }
        if (next_is(p, '[') && p->at + 1 < p->n && p->s[p->at + 1] == ':') wrong(p, MUSE_ERR_UNSUPPORTED, "[: :] classes");
        if (!class_item(p, &lo)) continue;
        hi = lo;
        if (next_is(p, '-') && p->at + 1 < p->n && p->s[p->at + 1] != ']') {
            p->at++;
            if (!class_item(p, &hi)) wrong(p, MUSE_ERR_FORMAT, "a class can not end a range");
        }
        if (hi < lo) wrong(p, MUSE_ERR_FORMAT, "a range runs backwards");
        if (p->f->rc == 0) muse_set_add(&p->set, lo, hi);
    }
    p->at += p->f->rc == 0;
    muse_set_sort(&p->set);
    if (invert) muse_set_invert(&p->set);
    return muse_nfa_set(p->f, &p->set, p->spelling);
}

static MuseFrag single(Parser *p, uint32_t c)
{
    p->set.n = 0;
    p->set.full = false;
    muse_set_add(&p->set, c, c);
    return muse_nfa_set(p->f, &p->set, p->spelling);
}

static MuseFrag group(Parser *p)
{
    if (take(p, '?') && !take(p, ':')) wrong(p, MUSE_ERR_UNSUPPORTED, "look-around, names and flags of groups");
    if (++p->depth > GROUPS_MAX) wrong(p, MUSE_ERR_LIMIT, "groups nested deeper than 64");
    MuseFrag inside = alternatives(p);
    p->depth--;
    if (!take(p, ')') && p->f->rc == 0) wrong(p, MUSE_ERR_FORMAT, "a group without )");
    return inside;
}

static MuseFrag atom(Parser *p)
{
    if (take(p, '(')) return group(p);
    if (take(p, '[')) return class_set(p);
    if (take(p, '.')) {   /* all but the line terminators of ECMA-262 */
        p->set = (MuseSet){ .n = 3, .r = { { '\n', '\n' }, { '\r', '\r' }, { 0x2028, 0x2029 } } };
        muse_set_invert(&p->set);
        return muse_nfa_set(p->f, &p->set, p->spelling);
    }
    if (take(p, '\\')) {
        if (more(p) && class_escape(&p->set, p->s[p->at])) {
            p->at++;
            return muse_nfa_set(p->f, &p->set, p->spelling);
        }
        return single(p, escaped(p));
    }
    if (strchr("*+?{", p->s[p->at]) && p->s[p->at]) wrong(p, MUSE_ERR_FORMAT, "nothing to repeat");
    else if (strchr("^$", p->s[p->at]) && p->s[p->at]) wrong(p, MUSE_ERR_UNSUPPORTED, "^ and $ only at the beginning and end of the expression");
    if (p->f->rc < 0) return muse_nfa_empty(p->f);
    return single(p, character(p));
}

static uint32_t number(Parser *p)
{
    uint32_t v = 0;
    if (!more(p) || p->s[p->at] < '0' || p->s[p->at] > '9') wrong(p, MUSE_ERR_FORMAT, "a number of repeats is missing");
    while (more(p) && p->s[p->at] >= '0' && p->s[p->at] <= '9') {
        v = v * 10 + (uint32_t)(p->s[p->at++] - '0');
        if (v > REPEAT_MAX) wrong(p, MUSE_ERR_LIMIT, "over 65535 repeats");
    }
    return v;
}

static MuseFrag repeated(Parser *p)
{
    MuseFrag a = atom(p);
    uint32_t min = 1, max = 1;
    if (take(p, '*')) min = 0, max = UINT32_MAX;
    else if (take(p, '+')) max = UINT32_MAX;
    else if (take(p, '?')) min = 0;
    else if (take(p, '{')) {
        min = max = number(p);
        if (take(p, ',')) max = next_is(p, '}') ? UINT32_MAX : number(p);
        if (!take(p, '}') || max < min) wrong(p, MUSE_ERR_FORMAT, "bounds of a repeat");
    } else {
        return a;
    }
    if (more(p) && strchr("*+?{", p->s[p->at]) && p->s[p->at]) wrong(p, MUSE_ERR_UNSUPPORTED, "lazy, possessive and repeated repeats");
    return p->f->rc < 0 ? a : muse_nfa_repeat(p->f, a, min, max);
}

static MuseFrag sequence(Parser *p)
{
    MuseFrag all = muse_nfa_empty(p->f);
    while (more(p) && !next_is(p, '|') && !next_is(p, ')')) {
        if (p->depth == 0 && p->at + 1 == p->n && next_is(p, '$')) break;   /* the end, for who called */
        all = muse_nfa_cat(p->f, all, repeated(p));
    }
    return all;
}

static MuseFrag alternatives(Parser *p)
{
    MuseFrag first = sequence(p);
    if (!next_is(p, '|')) return first;
    MuseFrag choice = muse_nfa_choice(p->f);
    choice.from = first.from;
    muse_nfa_branch(p->f, &choice, first);
    while (take(p, '|')) muse_nfa_branch(p->f, &choice, sequence(p));
    return choice;
}

static MuseFrag anything(Parser *p)
{
    p->set = (MuseSet){ 0 };
    muse_set_invert(&p->set);
    return muse_nfa_repeat(p->f, muse_nfa_set(p->f, &p->set, p->spelling), 0, UINT32_MAX);
}

/* A branch that begins with ^ or ends with $ beside others without would have to be told apart: refused in search mode. */
MuseFrag muse_nfa_regex(MuseNfa *f, const char *pattern, size_t n, MuseSpelling spelling, bool search)
{
    Parser *p = muse_zalloc(f->alloc, sizeof *p);
    if (!p) {
        muse_nfa_fail(f, MUSE_ERR_NOMEM, "no memory to read a regular expression");
        return muse_nfa_empty(f);
    }
    *p = (Parser){ .f = f, .s = (const uint8_t *)pattern, .n = n, .spelling = spelling };
    MuseFrag all = muse_nfa_empty(f);
    const bool begin = take(p, '^');
    if (search && !begin) all = muse_nfa_cat(f, all, anything(p));
    MuseFrag body = alternatives(p);
    bool bar = false;   /* outside groups: ^a|b would bind the mark to one branch */
    for (size_t i = 0, depth = 0; i < n; i++) {
        if (pattern[i] == '\\') i++;
        else if (pattern[i] == '[') while (i < n && pattern[i] != ']') i += pattern[i] == '\\' ? 2 : 1;
        else if (pattern[i] == '(') depth++;
        else if (pattern[i] == ')') depth--;
        else if (pattern[i] == '|' && !depth) bar = true;
    }
    const bool end = take(p, '$');
    if (bar && (begin || end)) wrong(p, MUSE_ERR_UNSUPPORTED, "^ or $ beside a | outside a group: write ^(a|b)$");
    if (p->at < n && f->rc == 0) wrong(p, MUSE_ERR_FORMAT, "a ) without group");
    all = muse_nfa_cat(f, all, body);
    if (search && !end) all = muse_nfa_cat(f, all, anything(p));
    muse_free(p);
    return all;
}
