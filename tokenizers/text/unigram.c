/* SPDX-License-Identifier: Apache-2.0 */
/* Viterbi over a trie of pieces (Kudo 2018, "Subword Regularization", section 3.2). A character that is no piece by itself
 * may stand as unknown, 10 below the lowest score (the penalty of SentencePiece and of Hugging Face tokenizers).
 * Called by encode.c. */
#include "tokenizers/text/unigram.h"

#include "muse/status.h"
#include "tokenizers/text/classes.h"

/* strictly better only, so of equal paths the one with the longest last piece stays */
static void offer(MuseUnigramNode *to, double score, size_t start, int32_t id)
{
    if (to->start == UINT32_MAX || score > to->score) *to = (MuseUnigramNode){ score, (uint32_t)start, id };
}

/* Turn the back links into forward ones: nodes[i].start becomes the end of the piece that starts at i. */
static void reverse(MuseUnigramNode *nodes, size_t n)
{
    size_t end = n;
    MuseUnigramNode last = nodes[n];
    while (end > 0) {
        const size_t start = last.start;
        const MuseUnigramNode before = nodes[start];
        nodes[start] = (MuseUnigramNode){ last.score, (uint32_t)end, last.id };
        last = before;
        end = start;
    }
}

int muse_unigram_run(const MuseUnigram *u, MuseUnigramWork *w, const uint8_t *s, size_t n)
{
    if (n >= UINT32_MAX) return MUSE_ERR_NOMEM;
    if (w->cap < n + 1) {
        muse_free(w->nodes);
        w->cap = 0;
        w->nodes = muse_alloc_array(w->alloc, n + n / 2 + 64, sizeof *w->nodes);
        if (!w->nodes) return MUSE_ERR_NOMEM;
        w->cap = n + n / 2 + 64;
    }
    MuseUnigramNode *nodes = w->nodes;
    for (size_t i = 0; i <= n; i++) nodes[i] = (MuseUnigramNode){ 0.0, UINT32_MAX, -1 };
    nodes[0].start = 0;
    for (size_t i = 0; i < n;) {
        const unsigned c = muse_utf8_char(s + i, n - i, NULL);
        const size_t len = c ? c : 1;   /* a byte that is no character counts as one */
        bool covered = false;
        uint32_t node = 0;
        for (size_t k = i; k < n; k++) {
            node = muse_trie_step(&u->trie, node, s[k]);
            if (!node) break;
            const uint32_t id = u->trie.values[node];
            if (id == UINT32_MAX) continue;
            offer(&nodes[k + 1], nodes[i].score + u->scores[id], i, (int32_t)id);
            covered |= k + 1 - i == len;
        }
        if (!covered) offer(&nodes[i + len], nodes[i].score + u->unk_score, i, -1);
        i += len;
    }
    reverse(nodes, n);
    return 0;
}

bool muse_unigram_next(const MuseUnigramWork *w, size_t n, size_t *at, size_t *len, int32_t *id)
{
    if (*at >= n) return false;
    *len = w->nodes[*at].start - *at;
    *id = w->nodes[*at].id;
    *at += *len;
    return true;
}

void muse_unigram_close(MuseUnigram *u)
{
    muse_trie_close(&u->trie);
    muse_free(u->scores);
    *u = (MuseUnigram){ 0 };
}
