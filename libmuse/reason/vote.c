/* SPDX-License-Identifier: Apache-2.0 */
/* Counting answers. Numbers only: who answered, and how probable others find it, comes from reason.c. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/status.h"
#include "libmuse/reason/agent.h"

enum { NEAR = 2 };   /* places: as far as a point may be off and still be right, docs/eval.md */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void muse_reason_trim(const char **text, size_t *n)
{
    while (*n && is_space(**text)) ++*text, --*n;
    while (*n && is_space((*text)[*n - 1])) --*n;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool muse_reason_same(const char *a, size_t n_a, const char *b, size_t n_b)
{
    muse_reason_trim(&a, &n_a);
    muse_reason_trim(&b, &n_b);
    if (n_a != n_b) return false;
    for (size_t i = 0; i < n_a; i++)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

size_t muse_reason_place(const char *text, size_t n, int *value)
{
    size_t i = 2;
    if (n < 4 || text[0] != '<' || (text[1] != 'x' && text[1] != 'y')) return 0;
    for (*value = 0; i < n && i < 6 && text[i] >= '0' && text[i] <= '9'; i++) *value = 10 * *value + (text[i] - '0');
    return i > 2 && i < n && text[i] == '>' ? i + 1 : 0;
}

bool muse_reason_agree(const char *a, size_t n_a, const char *b, size_t n_b)
{
    muse_reason_trim(&a, &n_a);
    muse_reason_trim(&b, &n_b);
    while (n_a && n_b) {
        int v = 0, w = 0;
        size_t i = muse_reason_place(a, n_a, &v), k = muse_reason_place(b, n_b, &w);
        if (i && k && a[1] == b[1] && v - w <= NEAR && w - v <= NEAR) {
            a += i, n_a -= i;
            b += k, n_b -= k;
        } else if (lower(*a) == lower(*b)) {
            a++, n_a--;
            b++, n_b--;
        } else return false;
    }
    return n_a == n_b;
}

static bool same(const MuseVote *a, const MuseVote *b) { return muse_reason_agree(a->answer, a->n, b->answer, b->n); }

/* probability that one agent gives to candidate k, among all of them */
static double share_of(const MuseVote *by, const MuseCandidate *c, size_t n, size_t k)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, by->cross[c[i].vote]);
    if (!isfinite(most)) return 1.0 / (double)n;
    for (size_t i = 0; i < n; i++) sum += exp(by->cross[c[i].vote] - most);
    return exp(by->cross[c[k].vote] - most) / sum;
}

static bool before(const MuseCandidate *a, const MuseCandidate *b)
{
    if (a->score != b->score) return a->score > b->score;
    return a->count != b->count ? a->count > b->count : a->vote < b->vote;
}

/* of the first n candidates the one that vote i is for, n if none. `.vote` is still their first */
static size_t candidate_of(const MuseVote *votes, size_t i, const MuseCandidate *c, size_t n)
{
    size_t k = 0;
    while (k < n && !same(&votes[c[k].vote], &votes[i])) k++;
    return k;
}

size_t muse_reason_group(const MuseVote *votes, size_t n, MuseCandidate *out)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t k = candidate_of(votes, i, out, n_out);
        if (k == n_out) out[n_out++] = (MuseCandidate){ .vote = i };
        out[k].count++;
        out[k].weight += votes[i].weight;
    }
    return n_out;
}

void muse_reason_lead(const MuseCandidate *c, size_t n, size_t *lead, size_t *second)
{
    *lead = *second = 0;
    for (size_t k = 0; k < n; k++) {
        if (c[k].count > *lead) {
            *second = *lead;
            *lead = c[k].count;
        } else if (c[k].count > *second) *second = c[k].count;
    }
}

/* candidates in the order of their first votes, counted and weighed, each with its heaviest vote's text, but that of vote `plain`, where
 * there is one, with its own: places that other views see are rounded once more on the way back */
static size_t collect(const MuseVote *votes, size_t n, size_t plain, MuseCandidate *out)
{
    const size_t n_out = muse_reason_group(votes, n, out), mine = plain < n ? candidate_of(votes, plain, out, n_out) : n_out;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += votes[i].weight;
    for (size_t k = n_out; k-- > 0;) {   /* the last first: whose vote one is, first votes tell */
        size_t heaviest = out[k].vote;
        for (size_t i = heaviest + 1; i < n; i++)
            if (votes[i].weight > votes[heaviest].weight && candidate_of(votes, i, out, k + 1) == k) heaviest = i;
        out[k].vote = k == mine ? plain : heaviest;
        out[k].weight = sum > 0 ? out[k].weight / sum : (double)out[k].count / (double)n;
    }
    return n_out;
}

/* the candidate whose text is vote `plain` to the front, if none has more votes */
static void prefer(MuseCandidate *c, size_t n, size_t plain)
{
    size_t at = 0, lead, second;
    muse_reason_lead(c, n, &lead, &second);
    while (c[at].vote != plain) at++;
    if (c[at].count < lead) return;
    const MuseCandidate first = c[at];
    memmove(c + 1, c, at * sizeof *c);
    c[0] = first;
}

int muse_reason_vote(const MuseVote *votes, size_t n, size_t plain, MuseCandidate *out, size_t *n_out, MuseError *err)
{
    MUSE_REQUIRE(err, votes && n > 0 && out && n_out);
    for (size_t i = 0; i < n; i++) MUSE_REQUIRE(err, (votes[i].answer || votes[i].n == 0) && isfinite(votes[i].weight) && votes[i].weight >= 0);
    *n_out = collect(votes, n, plain, out);
    for (size_t k = 0; k < *n_out; k++) {
        size_t scored = 0;
        for (size_t j = 0; j < n; j++) {
            if (!votes[j].cross) continue;
            out[k].cross += share_of(&votes[j], out, *n_out, k);
            scored++;
        }
        if (scored) out[k].cross /= (double)scored;
        out[k].score = scored ? (out[k].weight + out[k].cross) / 2 : out[k].weight;
    }
    for (size_t i = 1; i < *n_out; i++)   /* insertion: few, and stable */
        for (size_t k = i; k > 0 && before(&out[k], &out[k - 1]); k--) {
            const MuseCandidate c = out[k];
            out[k] = out[k - 1];
            out[k - 1] = c;
        }
    if (plain < n) prefer(out, *n_out, plain);
    return 0;
}

int muse_vote(const MuseVote *votes, size_t n, MuseCandidate *out, size_t *n_out, MuseError *err) { return muse_reason_vote(votes, n, n, out, n_out, err); }

/* Eight chains of the 2.9M prototype, 768 pictures: docs/reason.md. */
static const MuseCalibration measured[] = { { 0, 0.39 }, { 0.5, 0.57 }, { 0.75, 0.67 }, { 0.995, 0.948 } };

double muse_calibrate(const MuseCalibration *table, size_t n, double agreement)
{
    if (!table) {
        table = measured;
        n = sizeof measured / sizeof *measured;
    }
    double value = 0;
    for (size_t i = 0; i < n && !(agreement < table[i].from); i++) value = table[i].confidence;
    return value;
}
