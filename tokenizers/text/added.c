/* SPDX-License-Identifier: Apache-2.0 */
/* Finding added tokens in a text: the leftmost place, the longest text there, then the token's own conditions (a word by
 * itself; white space beside it taken along). Called by encode.c; built by finish.c. */
#include "tokenizers/text/textcore.h"
#include "tokenizers/text/classes.h"

/* the character that ends at `end`; a byte that is none counts as U+FFFD */
static size_t before(const uint8_t *s, size_t end, uint32_t *cp)
{
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (s[begin] & 0xc0) == 0x80) begin--;
    if (muse_utf8_char(s + begin, end - begin, cp) == end - begin) return begin;
    *cp = 0xfffd;
    return end - 1;
}

static bool is_alone(const uint8_t *s, size_t n, size_t begin, size_t end)
{
    uint32_t cp;
    if (begin > 0) {
        before(s, begin, &cp);
        if (muse_utf8_is_word(cp)) return false;
    }
    return !(end < n && muse_utf8_char(s + end, n - end, &cp) && muse_utf8_is_word(cp));
}

static size_t spaces_before(const uint8_t *s, size_t begin, size_t least)
{
    while (begin > least) {
        uint32_t cp;
        const size_t at = before(s, begin, &cp);
        if (!muse_utf8_is_space(cp) || at < least) break;
        begin = at;
    }
    return begin;
}

static size_t spaces_after(const uint8_t *s, size_t n, size_t end)
{
    uint32_t cp;
    unsigned len;
    while (end < n && (len = muse_utf8_char(s + end, n - end, &cp)) && muse_utf8_is_space(cp)) end += len;
    return end;
}

static bool longest(const MuseTrie *trie, const uint8_t *s, size_t n, size_t begin, MuseAddedMatch *out)
{
    uint32_t node = 0;
    bool found = false;
    for (size_t i = begin; i < n; i++) {
        node = muse_trie_step(trie, node, s[i]);
        if (!node) break;
        if (trie->values[node] == UINT32_MAX) continue;
        *out = (MuseAddedMatch){ begin, i + 1, trie->values[node] };
        found = true;
    }
    return found;
}

bool muse_added_next(const MuseTextTokenizer *tok, const MuseTrie *trie, const uint8_t *s, size_t n, size_t from, size_t taken, MuseAddedMatch *out)
{
    for (size_t i = from; i < n; i++) {
        while (i < n && !trie->first[s[i]]) i++;
        if (i == n || !longest(trie, s, n, i, out)) continue;
        const MuseAdded *added = &tok->added[out->index];
        if (added->single_word && !is_alone(s, n, out->begin, out->end)) {
            i = out->end - 1;   /* the match is used up all the same, as in Hugging Face tokenizers */
            continue;
        }
        if (added->lstrip) out->begin = spaces_before(s, out->begin, taken);
        if (added->rstrip) out->end = spaces_after(s, n, out->end);
        return true;
    }
    return false;
}
