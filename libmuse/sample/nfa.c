/* SPDX-License-Identifier: Apache-2.0 */
/* Building nondeterministic automata out of fragments; sets of characters as bytes. Parses nothing. Called by regex.c and
 * schema*.c. */
#include "libmuse/sample/nfa.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void muse_nfa_close(MuseNfa *f)
{
    muse_buf_clear(&f->nodes);
    f->n = 0;
}

int muse_nfa_fail(MuseNfa *f, int code, const char *fmt, ...)
{
    if (f->rc < 0) return f->rc;
    char text[MUSE_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return f->rc = muse_fail(f->err, code, "%s", text);
}

/* the index of a new node; 0, the first node, once something has failed: builders may go on writing there */
static uint32_t node(MuseNfa *f, MuseNode n)
{
    if (f->rc == 0 && f->n >= MUSE_NFA_NODES_MAX) muse_nfa_fail(f, MUSE_ERR_LIMIT, "the grammar has over %d nodes", MUSE_NFA_NODES_MAX);
    if (f->rc == 0 && muse_buf_append(&f->nodes, &n, sizeof n) < 0) muse_nfa_fail(f, MUSE_ERR_NOMEM, "no memory for the nodes of a grammar");
    return f->rc < 0 ? 0 : f->n++;
}

static uint32_t split(MuseNfa *f) { return node(f, (MuseNode){ .kind = MUSE_NODE_SPLIT, .out = MUSE_NODE_NONE, .other = MUSE_NODE_NONE }); }

void muse_nfa_link(MuseNfa *f, uint32_t from, uint32_t to)
{
    if (f->rc < 0) return;
    MuseNode *n = muse_nfa_node(f, from);
    if (n->kind != MUSE_NODE_SPLIT || n->out == MUSE_NODE_NONE) {
        n->out = to;
    } else if (n->other == MUSE_NODE_NONE) {
        n->other = to;
    } else {   /* both used: `other` becomes a new node that leads to both, so a node may have any number of ways on */
        const uint32_t more = node(f, (MuseNode){ .kind = MUSE_NODE_SPLIT, .out = n->other, .other = to });
        if (f->rc == 0) muse_nfa_node(f, from)->other = more;
    }
}

MuseFrag muse_nfa_empty(MuseNfa *f)
{
    const uint32_t n = split(f);
    return (MuseFrag){ n, n, n };
}

static MuseFrag one(MuseNfa *f, MuseNode n)
{
    const uint32_t in = node(f, n), out = split(f);
    if (f->rc == 0) muse_nfa_node(f, in)->out = out;
    return (MuseFrag){ in, in, out };
}

MuseFrag muse_nfa_bytes(MuseNfa *f, uint8_t lo, uint8_t hi) { return one(f, (MuseNode){ .kind = MUSE_NODE_BYTES, .lo = lo, .hi = hi }); }
MuseFrag muse_nfa_call(MuseNfa *f, uint32_t rule) { return one(f, (MuseNode){ .kind = MUSE_NODE_CALL, .other = rule }); }

MuseFrag muse_nfa_text(MuseNfa *f, const void *bytes, size_t n)
{
    MuseFrag all = muse_nfa_empty(f);
    for (size_t i = 0; i < n && f->rc == 0; i++) all = muse_nfa_cat(f, all, muse_nfa_bytes(f, ((const uint8_t *)bytes)[i], ((const uint8_t *)bytes)[i]));
    return all;
}

MuseFrag muse_nfa_cat(MuseNfa *f, MuseFrag a, MuseFrag b)
{
    muse_nfa_link(f, a.out, b.in);
    return (MuseFrag){ a.from < b.from ? a.from : b.from, a.in, b.out };
}

MuseFrag muse_nfa_choice(MuseNfa *f)
{
    const uint32_t in = split(f), out = split(f);
    return (MuseFrag){ in, in, out };
}

void muse_nfa_branch(MuseNfa *f, MuseFrag *choice, MuseFrag branch)
{
    muse_nfa_link(f, choice->in, branch.in);
    muse_nfa_link(f, branch.out, choice->out);
}

/* a copy of the nodes from .. to - 1, at the end */
static void copy_nodes(MuseNfa *f, uint32_t from, uint32_t to)
{
    const uint32_t shift = f->n - from;
    for (uint32_t i = from; i < to && f->rc == 0; i++) {
        MuseNode n = *muse_nfa_node(f, i);
        if (n.out != MUSE_NODE_NONE) n.out += shift;
        if (n.kind == MUSE_NODE_SPLIT && n.other != MUSE_NODE_NONE) n.other += shift;
        node(f, n);
    }
}

/* Links are made after all copies are there, so that none is copied. Skips go straight to the end: no chain of empty edges grows
 * with max. */
MuseFrag muse_nfa_repeat(MuseNfa *f, MuseFrag a, uint32_t min, uint32_t max)
{
    if (max == 0) {   /* nothing of it is reached */
        MuseFrag none = muse_nfa_empty(f);
        return (MuseFrag){ a.from, none.in, none.out };
    }
    const bool endless = max == UINT32_MAX;
    const uint32_t copies = endless ? (min ? min : 1) : max, size = f->n - a.from;
    if (f->rc == 0 && (uint64_t)size * copies > MUSE_NFA_NODES_MAX)
        muse_nfa_fail(f, MUSE_ERR_LIMIT, "a part of %u nodes, repeated %u times: the grammar has over %d nodes", size, copies, MUSE_NFA_NODES_MAX);
    const uint32_t from = a.from, to = f->n;
    for (uint32_t i = 1; i < copies && f->rc == 0; i++) copy_nodes(f, from, to);
    const uint32_t in = split(f), out = split(f);
    uint32_t at = in;
    for (uint32_t i = 0; i < copies && f->rc == 0; i++) {
        const uint32_t shift = i * size;
        muse_nfa_link(f, at, a.in + shift);
        if (i >= min) muse_nfa_link(f, at, out);
        at = a.out + shift;
    }
    if (endless) muse_nfa_link(f, at, a.in + (copies - 1) * size);   /* the last copy once more */
    muse_nfa_link(f, at, out);
    return (MuseFrag){ a.from, in, out };
}

void muse_nfa_rule(MuseNfa *f, uint32_t rule, MuseFrag body)
{
    const uint32_t end = node(f, (MuseNode){ .kind = MUSE_NODE_END, .out = MUSE_NODE_NONE, .other = MUSE_NODE_NONE });
    muse_nfa_link(f, body.out, end);
    if (f->rc == 0) f->rules[rule] = body.in;
}

void muse_set_add(MuseSet *s, uint32_t lo, uint32_t hi)
{
    if (s->n == MUSE_SET_RANGES_MAX) muse_set_sort(s);   /* joins what touches */
    if (s->n == MUSE_SET_RANGES_MAX) s->full = true;
    else s->r[s->n++] = (MuseRange){ lo, hi };
}

static int by_lo(const void *a, const void *b)
{
    const uint32_t x = ((const MuseRange *)a)->lo, y = ((const MuseRange *)b)->lo;
    return (x > y) - (x < y);
}

void muse_set_sort(MuseSet *s)
{
    uint32_t n = 0;
    qsort(s->r, s->n, sizeof *s->r, by_lo);
    for (uint32_t i = 0; i < s->n; i++) {
        if (n && s->r[i].lo <= s->r[n - 1].hi + 1) s->r[n - 1].hi = s->r[i].hi > s->r[n - 1].hi ? s->r[i].hi : s->r[n - 1].hi;
        else s->r[n++] = s->r[i];
    }
    s->n = n;
}

void muse_set_invert(MuseSet *s)
{
    MuseSet old = *s;
    uint32_t at = 0;
    muse_set_add(&old, 0xd800, 0xdfff);
    muse_set_sort(&old);
    s->n = 0;
    s->full = old.full;
    for (uint32_t i = 0; i < old.n; i++) {
        if (old.r[i].lo > at) muse_set_add(s, at, old.r[i].lo - 1);
        at = old.r[i].hi + 1;
    }
    if (at <= MUSE_CODE_MAX) muse_set_add(s, at, MUSE_CODE_MAX);
}

/* A range of code points of equal length in UTF-8 as byte ranges: cut until the low bits of lo are all 0 and of hi all 1 below the
 * first byte that differs. */
static void add_range(MuseNfa *f, MuseFrag *choice, uint32_t lo, uint32_t hi)
{
    for (unsigned bits = 6; bits <= 18; bits += 6) {
        const uint32_t mask = (UINT32_C(1) << bits) - 1;
        if (lo < 0x80 || (lo & ~mask) == (hi & ~mask)) break;
        if (lo & mask) {
            add_range(f, choice, lo, lo | mask);
            add_range(f, choice, (lo | mask) + 1, hi);
            return;
        }
        if ((hi & mask) != mask) {
            add_range(f, choice, lo, (hi & ~mask) - 1);
            add_range(f, choice, hi & ~mask, hi);
            return;
        }
    }
    uint8_t a[4], b[4];
    const unsigned n = muse_utf8_put(lo, a);
    muse_utf8_put(hi, b);
    MuseFrag seq = muse_nfa_bytes(f, a[0], b[0]);
    for (unsigned i = 1; i < n; i++) seq = muse_nfa_cat(f, seq, muse_nfa_bytes(f, a[i], b[i]));
    muse_nfa_branch(f, choice, seq);
}

/* UTF-8 of lo..hi; the surrogates between are left out */
static void add_codes(MuseNfa *f, MuseFrag *choice, uint32_t lo, uint32_t hi)
{
    static const MuseRange lengths[] = { { 0, 0x7f }, { 0x80, 0x7ff }, { 0x800, 0xd7ff }, { 0xe000, 0xffff }, { 0x10000, MUSE_CODE_MAX } };
    for (unsigned i = 0; i < 5; i++) {
        const uint32_t a = lo > lengths[i].lo ? lo : lengths[i].lo, b = hi < lengths[i].hi ? hi : lengths[i].hi;
        if (a <= b) add_range(f, choice, a, b);
    }
}

/* a character that JSON must escape: its short escape, or \u00XX in lower case */
static void add_escaped(MuseNfa *f, MuseFrag *choice, uint32_t c)
{
    static const char codes[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    char text[8];
    const char *at = c ? strchr(codes, (int)c) : NULL;
    if (at) snprintf(text, sizeof text, "\\%c", letters[at - codes]);
    else snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
    muse_nfa_branch(f, choice, muse_nfa_text(f, text, strlen(text)));
}

MuseFrag muse_nfa_set(MuseNfa *f, const MuseSet *s, MuseSpelling spelling)
{
    MuseFrag choice = muse_nfa_choice(f);
    if (s->full) muse_nfa_fail(f, MUSE_ERR_LIMIT, "a class of over %d ranges", MUSE_SET_RANGES_MAX);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t lo = s->r[i].lo;
        const uint32_t hi = s->r[i].hi;
        if (spelling == MUSE_SPELL_JSON)
            for (uint32_t c = lo; c <= hi && c <= '\\'; c++) {
                if (c >= 0x20 && c != '"' && c != '\\') continue;
                if (c > lo) add_codes(f, &choice, lo, c - 1);
                add_escaped(f, &choice, c);
                lo = c + 1;
            }
        if (lo <= hi) add_codes(f, &choice, lo, hi);
    }
    return choice;
}

static MuseFrag hex(MuseNfa *f, const char *ranges)
{
    MuseFrag choice = muse_nfa_choice(f);
    for (; *ranges; ranges += 2) muse_nfa_branch(f, &choice, muse_nfa_bytes(f, (uint8_t)ranges[0], (uint8_t)ranges[1]));
    return choice;
}

static MuseFrag hexes(MuseNfa *f, const char *first, const char *second)
{
    static const char any[] = "09afAF";
    MuseFrag all = muse_nfa_cat(f, muse_nfa_text(f, "\\u", 2), hex(f, first));
    all = muse_nfa_cat(f, all, hex(f, second));
    all = muse_nfa_cat(f, all, hex(f, any));
    return muse_nfa_cat(f, all, hex(f, any));
}

MuseFrag muse_nfa_json_char(MuseNfa *f)
{
    MuseFrag choice = muse_nfa_choice(f);
    add_codes(f, &choice, 0x20, 0x21);
    add_codes(f, &choice, 0x23, 0x5b);
    add_codes(f, &choice, 0x5d, MUSE_CODE_MAX);
    MuseFrag escape = muse_nfa_text(f, "\\", 1);
    escape = muse_nfa_cat(f, escape, hex(f, "\"\"\\\\//bbffnnrrtt"));
    muse_nfa_branch(f, &choice, escape);
    /* \uXXXX but surrogates, and pairs of them: RFC 8259, section 7 */
    muse_nfa_branch(f, &choice, hexes(f, "09acefACEF", "09afAF"));
    muse_nfa_branch(f, &choice, hexes(f, "ddDD", "07"));
    MuseFrag pair = hexes(f, "ddDD", "89abAB");
    pair = muse_nfa_cat(f, pair, hexes(f, "ddDD", "cfCF"));
    muse_nfa_branch(f, &choice, pair);
    return choice;
}
