/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern written for Oniguruma (what Hugging Face tokenizers runs) in the words of PCRE2. Only constructs that are known
 * to mean the same, or can be said so, pass; the rest is refused by name instead of cutting text differently.
 * Called by pattern.c. */
#include <string.h>

#include "tokenizers/text/pattern.h"
#include "tokenizers/text/classes.h"

/* White_Space is separators and U+0009..U+000D and U+0085; PCRE2's own \s also takes U+180E (Unicode 5) */
#define SPACE_SET "\\t-\\r\\x{85}\\p{Z}"
#define WORD_SET  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"

typedef struct Rewriter {
    MuseBuf *out;
    const char *s;
    size_t n, i;
    bool in_class, multiline;
    MuseError *err;
} Rewriter;

static int put(Rewriter *r, const char *text, size_t n)
{
    return muse_buf_append(r->out, text, n) < 0 ? MUSE_NOMEM(r->err, n) : 0;
}

static int put_text(Rewriter *r, const char *text) { return put(r, text, strlen(text)); }

static int refuse(Rewriter *r, const char *what)
{
    return muse_fail(r->err, MUSE_ERR_UNSUPPORTED, "pattern, byte %zu of \"%.*s\": %s", r->i, (int)(r->n < 200 ? r->n : 200), r->s, what);
}

static char peek(const Rewriter *r, size_t ahead) { return r->i + ahead < r->n ? r->s[r->i + ahead] : 0; }

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* \p{..}, \P{..}: one- and two-letter names are general categories in both; others are scripts, by Script alone */
static int property(Rewriter *r)
{
    if (peek(r, 2) != '{') return refuse(r, "a property without braces");
    const char *name = r->s + r->i + 3;
    size_t n = 0;
    while (r->i + 3 + n < r->n && name[n] != '}') n++;
    if (r->i + 3 + n >= r->n || n == 0 || n > 40) return refuse(r, "a property name that does not end");
    for (size_t k = 0; k < n; k++)
        if (!((name[k] >= 'a' && name[k] <= 'z') || (name[k] >= 'A' && name[k] <= 'Z') || name[k] == '_')) return refuse(r, "a property name with other characters than letters");
    int rc = put(r, r->s + r->i, 3);
    if (rc == 0 && n > 2) rc = put_text(r, "sc:");
    if (rc == 0) rc = put(r, name, n + 1);
    r->i += n + 4;
    return rc;
}

/* \xHH, \x{H...}, \uHHHH */
static int hex(Rewriter *r)
{
    const bool braces = peek(r, 1) == 'x' && peek(r, 2) == '{';
    const size_t first = r->i + (braces ? 3 : 2), most = braces ? 8 : peek(r, 1) == 'u' ? 4 : 2;
    size_t n = 0;
    while (n < most && first + n < r->n && is_hex(r->s[first + n])) n++;
    if (braces ? n == 0 || first + n >= r->n || r->s[first + n] != '}' : n < most) return refuse(r, "a code point that is not written in hexadecimal digits");
    int rc = put_text(r, "\\x{");
    if (rc == 0) rc = put(r, r->s + first, n);
    if (rc == 0) rc = put_text(r, "}");
    r->i = first + n + braces;
    return rc;
}

static int escape(Rewriter *r)
{
    const char c = peek(r, 1);
    const char *set = NULL;
    switch (c) {
    case 's': set = r->in_class ? SPACE_SET : "[" SPACE_SET "]"; break;
    case 'S': set = r->in_class ? "\\P{White_Space}" : "[^" SPACE_SET "]"; break;
    case 'w': set = r->in_class ? WORD_SET : "[" WORD_SET "]"; break;
    case 'W': set = r->in_class ? NULL : "[^" WORD_SET "]"; break;
    case 'd': set = "\\p{Nd}"; break;
    case 'D': set = "\\P{Nd}"; break;
    case 'v': set = "\\x{0b}"; break;
    case 't': set = "\\t"; break;
    case 'n': set = "\\n"; break;
    case 'r': set = "\\r"; break;
    case 'f': set = "\\f"; break;
    case 'a': set = "\\a"; break;
    case 'e': set = "\\e"; break;
    case 'A': set = r->in_class ? NULL : "\\A"; break;
    case 'z': set = r->in_class ? NULL : "\\z"; break;
    case 'p': case 'P': return property(r);
    case 'x': case 'u': return hex(r);
    default: break;
    }
    if (set) {
        r->i += 2;
        return put_text(r, set);
    }
    if (r->i + 1 >= r->n) return refuse(r, "a backslash at the end");
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return refuse(r, "an escape that is not supported");
    r->i++;
    if ((uint8_t)c >= 0x80) return 0;   /* a backslash before a letter beyond ASCII says nothing */
    int rc = put_text(r, "\\");
    if (rc == 0) rc = put(r, &c, 1);
    r->i++;
    return rc;
}

/* the opening of a group: kinds that both engines read alike */
static int group(Rewriter *r)
{
    static const char *const heads[] = { "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:" };
    if (peek(r, 1) == '*') return refuse(r, "a verb");
    if (peek(r, 1) != '?') {
        r->i++;
        return put_text(r, "(?:");   /* nobody asks what a group held */
    }
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) {
        const size_t n = strlen(heads[k]);
        if (r->n - r->i >= n && memcmp(r->s + r->i, heads[k], n) == 0) {
            r->i += n;
            return put_text(r, heads[k]);
        }
    }
    if (r->i == 0 && r->n > 4 && memcmp(r->s, "(?i)", 4) == 0) {
        r->i += 4;
        return put_text(r, "(?i)");
    }
    return refuse(r, "a group of this kind");
}

/* {n}, {n,}, {n,m}; a + or ? after it means something else in each engine */
static int repeat(Rewriter *r)
{
    size_t k = 1, digits = 0;
    bool comma = false;
    for (; r->i + k < r->n && r->s[r->i + k] != '}'; k++) {
        const char c = r->s[r->i + k];
        if (c == ',' && !comma && digits) comma = true;
        else if (c >= '0' && c <= '9' && k < 12) digits++;
        else return refuse(r, "a brace that opens no repeat count");
    }
    if (r->i + k >= r->n || !digits) return refuse(r, "a brace that opens no repeat count");
    const char after = peek(r, k + 1);
    if (after == '+' || (after == '?' && !comma)) return refuse(r, "a repeat count with a second quantifier");
    int rc = put(r, r->s + r->i, k + 1);
    r->i += k + 1;
    return rc;
}

static int class_begin(Rewriter *r)
{
    const size_t n = peek(r, 1) == '^' ? 2 : 1;
    if (peek(r, n) == ']') return refuse(r, "an empty class");
    int rc = put(r, r->s + r->i, n);
    r->i += n;
    r->in_class = true;
    return rc;
}

static int step(Rewriter *r)
{
    const char c = r->s[r->i];
    if (c == '\\') return escape(r);
    if (r->in_class) {
        if (c == '[') return refuse(r, "a class within a class");
        if (c == '&' && peek(r, 1) == '&') return refuse(r, "an intersection of classes");
        if (c == ']') r->in_class = false;
    } else {
        if (c == '[') return class_begin(r);
        if (c == '(') return group(r);
        if (c == '{') return repeat(r);
        if (c == '^' || c == '$') r->multiline = true;   /* at every line in Oniguruma's default (Ruby) syntax */
    }
    r->i++;
    return put(r, &c, 1);
}

int muse_pattern_rewrite(MuseBuf *out, const char *regex, size_t n, bool *multiline, MuseError *err)
{
    Rewriter r = { .out = out, .s = regex, .n = n, .err = err };
    if (muse_utf8_valid((const uint8_t *)regex, n) != n) return muse_fail(err, MUSE_ERR_FORMAT, "a pattern that is not UTF-8");
    while (r.i < r.n) {
        int rc = step(&r);
        if (rc < 0) return rc;
    }
    *multiline = r.multiline;
    return 0;
}
