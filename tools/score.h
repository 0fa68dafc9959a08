/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of an evaluation: which answers are equal, how sure a share is, how agreement becomes confidence. Knows no model
 * and reads no file. Users: muse eval, nano_eval, tests. */
#ifndef TOOLS_SCORE_H
#define TOOLS_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The data sets' rule: equal after trimming and ASCII lower case; of a box (<box> or not, then <xA><yB><xC><yD>) each place may be
 * two off, as those of points may; of a drawing (`<use .../>`, as muse worlds --task svg writes it) the same things in any order, each at most two
 * off, of any size. text: n bytes; want: terminated. */
bool score_same(const char *text, size_t n, const char *want);

/* The 95 % interval of a share of `right` in n (Wilson 1927, equation 6). n 0: 0 to 1. */
void score_wilson(uint64_t right, uint64_t n, double *low, double *high);

typedef struct ScorePoint { double agreement; bool right; } ScorePoint;

/* Answers whose agreement is at least `from`, up to the next row's */
typedef struct ScoreRow {
    double   from, confidence;   /* confidence: (right + 1) / (n + 2), Laplace's rule, so that a few answers never say 0 or 1 */
    uint64_t n, right;
    double   low, high;          /* of right / n */
} ScoreRow;

/**
 * Agreement to confidence, never falling: neighbours are joined while a row of higher agreement was right less often, or has fewer
 * than `least` answers (pooling adjacent violators: Ayer et al. 1955).
 * @param points Are put in order.
 * @param rows   [n] receives them, ascending; the first has from = 0, the others begin halfway between two agreements that were seen.
 * @return their number
 */
size_t score_fit(ScorePoint *points, size_t n, uint64_t least, ScoreRow *rows);

/**
 * The same rows counted anew on answers that they were not fitted to: `from` and `confidence` stay.
 * @return the mean distance of confidence and share over these answers; 0 if there are none
 */
double score_check(const ScorePoint *points, size_t n, ScoreRow *rows, size_t n_rows);

#endif
