/* SPDX-License-Identifier: Apache-2.0 */
/* What of the words at a place is the name of a thing, and what a count, a value or a distance beside it: docs/reason.md, "Names". Reads bytes, keeps
 * nothing. Called by record.c and record_steps.c. */
#include "libmuse/reason/record_steps.h"

#include <string.h>

/* of numbers and what is done with them: 10*10=100, 0-5, >3, 12,12 */
static bool counts(char c) { return c && strchr("0123456789*+-=<>,.", c); }

static bool digit(char c) { return c >= '0' && c <= '9'; }

bool muse_record_has_name(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!digit(text[i]) && text[i] != ' ') return true;
    return false;
}

/* numbers of the model's own at the beginning, distances say, are no name */
bool muse_record_names(const char *text, size_t n)
{
    int v;
    for (size_t k; (k = muse_reason_place(text, n, &v)) > 0; n -= k) text += k;
    return muse_record_has_name(text, n);
}

bool muse_record_only_numbers(const char *text, size_t n, bool digits)
{
    int v;
    size_t k = 1;
    const bool some = n > 0;
    for (; n && k; text += k, n -= k) {
        k = muse_reason_place(text, n, &v);
        if (!k && digits) k = counts(*text);
    }
    return some && !n;
}

/* the word that ends here is one that a number follows as a thing's own sign */
static bool takes_sign(const char *text, size_t n)
{
    static const char word[] = "digit";
    const size_t k = sizeof word - 1;
    return n >= k && memcmp(text + n - k, word, k) == 0 && (n == k || text[n - k - 1] == ' ');
}

size_t muse_record_name_end(const char *text, size_t n)
{
    size_t at = n;
    bool any = false;
    while (at && counts(text[at - 1])) any |= digit(text[--at]);
    if (!any || !at) return n;
    if (text[at - 1] == ' ' && !takes_sign(text, at - 1)) return at - 1;
    return text[at] == '<' || text[at] == '>' || text[at] == '=' ? at : n;   /* K7 is a sign, K>7 is not */
}

/* ... (1) or (1, >2), as record.c writes them */
static size_t written_end(const char *text, size_t n)
{
    size_t at = n;
    if (n < 3 || text[n - 1] != ')') return n;
    for (at = n - 1; at && (counts(text[at - 1]) || text[at - 1] == ' ');) at--;
    return at >= 2 && text[at - 1] == '(' && text[at - 2] == ' ' ? at - 2 : n;
}

void muse_record_strip_counts(const char **text, size_t *n)
{
    size_t from = 0, end = muse_record_name_end(*text, written_end(*text, *n));
    while (from < end && (digit((*text)[from]) || (*text)[from] == ' ')) from++;
    while (end > from && (*text)[end - 1] == ' ') end--;
    *text += from;
    *n = end - from;
}
