/* SPDX-License-Identifier: Apache-2.0 */
/* Equal answers, intervals, calibration: score.h. */
#include "tools/score.h"

#include <math.h>
#include <stdlib.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool score_same(const char *text, size_t n, const char *want)
{
    while (n && is_space(text[0])) text++, n--;
    while (n && is_space(text[n - 1])) n--;
    while (is_space(*want)) want++;
    for (; n && *want; text++, want++, n--)
        if (lower(*text) != lower(*want)) return false;
    while (is_space(*want)) want++;
    return n == 0 && !*want;
}

void score_wilson(uint64_t right, uint64_t n, double *low, double *high)
{
    static const double z = 1.959963984540054;   /* 97.5 % of a normal distribution lie below */
    *low = 0;
    *high = 1;
    if (n == 0) return;
    const double m = (double)n, p = (double)right / m, scale = 1 + z * z / m;
    const double middle = (p + z * z / (2 * m)) / scale, half = z * sqrt(p * (1 - p) / m + z * z / (4 * m * m)) / scale;
    if (right > 0) *low = middle - half;     /* at the ends the formula gives them but for rounding */
    if (right < n) *high = middle + half;
}

/* ---- calibration ---- */

static int ascending(const void *a, const void *b)
{
    const double x = ((const ScorePoint *)a)->agreement, y = ((const ScorePoint *)b)->agreement;
    return (x > y) - (x < y);
}

/* `from` holds the lowest agreement of a row until all are known; `high` the highest */
static void join(ScoreRow *into, const ScoreRow *next)
{
    into->n += next->n;
    into->right += next->right;
    into->high = next->high;
}

static double confidence(const ScoreRow *r) { return ((double)r->right + 1) / ((double)r->n + 2); }

size_t score_fit(ScorePoint *points, size_t n, uint64_t least, ScoreRow *rows)
{
    size_t n_rows = 0;
    qsort(points, n, sizeof *points, ascending);
    for (size_t i = 0; i < n;) {
        ScoreRow row = { .from = points[i].agreement, .high = points[i].agreement };
        for (; i < n && points[i].agreement == row.from; i++) row.n++, row.right += points[i].right;
        rows[n_rows++] = row;
        while (n_rows > 1 && (rows[n_rows - 2].n < least || confidence(&rows[n_rows - 2]) >= confidence(&rows[n_rows - 1]) || (i == n && rows[n_rows - 1].n < least))) {
            join(&rows[n_rows - 2], &rows[n_rows - 1]);
            n_rows--;
        }
    }
    for (size_t k = n_rows; k-- > 0;) rows[k].from = k ? (rows[k].from + rows[k - 1].high) / 2 : 0;
    for (size_t k = 0; k < n_rows; k++) {
        rows[k].confidence = confidence(&rows[k]);
        score_wilson(rows[k].right, rows[k].n, &rows[k].low, &rows[k].high);
    }
    return n_rows;
}
