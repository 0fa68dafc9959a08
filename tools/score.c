/* SPDX-License-Identifier: Apache-2.0 */
/* Equal answers, intervals, calibration: score.h. */
#include "tools/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEAR = 2 };   /* places; a data set's `accept` lists points as far off (docs/worlds.md) */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

typedef struct Text { const char *at, *end; } Text;

static Text trim(const char *text, size_t n)
{
    while (n && is_space(text[0])) text++, n--;
    while (n && is_space(text[n - 1])) n--;
    return (Text){ text, text + n };
}

static bool skip(Text *t, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0) return false;
    t->at += n;
    return true;
}

/* "<x12>": the number, and on; -1: no such place */
static int place(Text *t, char axis)
{
    const char open[] = { '<', axis, 0 };
    int v = 0, digits = 0;
    if (!skip(t, open)) return -1;
    for (; digits < 3 && t->at < t->end && *t->at >= '0' && *t->at <= '9'; digits++) v = 10 * v + (*t->at++ - '0');
    return digits && skip(t, ">") ? v : -1;
}

/* "<box><xA><yB><xC><yD>", or the four places alone, in both; none of them farther off than a point may be */
static bool near_box(Text a, Text b)
{
    if (skip(&a, "<box>") != skip(&b, "<box>")) return false;
    for (const char *axis = "xyxy"; *axis; axis++) {
        const int p = place(&a, *axis), q = place(&b, *axis);
        if (p < 0 || q < 0 || abs(p - q) > NEAR) return false;
    }
    return a.at == a.end && b.at == b.end;
}

/* ---- drawings ---- */

enum { USES_MAX = 64 };

typedef struct Use { Text kind, color; int x, y; } Use;   /* <use href="#star" fill="red" transform="translate(12,40)scale(4)"/> */

static bool number(Text *t, int *v)
{
    int digits = 0;
    for (*v = 0; digits < 3 && t->at < t->end && *t->at >= '0' && *t->at <= '9'; digits++) *v = 10 * *v + (*t->at++ - '0');
    return digits > 0;
}

static bool word(Text *t, Text *out)
{
    *out = (Text){ t->at, t->at };
    while (out->end < t->end && lower(*out->end) >= 'a' && lower(*out->end) <= 'z') out->end++;
    t->at = out->end;
    return out->at < out->end;
}

static bool same_word(Text a, Text b) { return a.end - a.at == b.end - b.at && memcmp(a.at, b.at, (size_t)(a.end - a.at)) == 0; }

/* things of a drawing; -1: it is none, or of too many */
static int uses_of(Text t, Use uses[USES_MAX])
{
    int n = 0, scale;
    for (; t.at < t.end; n++) {
        if (n == USES_MAX) return -1;
        Use *u = &uses[n];
        if (!skip(&t, "<use href=\"#") || !word(&t, &u->kind) || !skip(&t, "\" fill=\"") || !word(&t, &u->color) || !skip(&t, "\" transform=\"translate(")
            || !number(&t, &u->x) || !skip(&t, ",") || !number(&t, &u->y) || !skip(&t, ")scale(") || !number(&t, &scale) || !skip(&t, ")\"/>")) return -1;
    }
    return n;
}

typedef struct Match {
    Use  given[USES_MAX], want[USES_MAX];
    int  n, of[USES_MAX];     /* the wanted thing that a given one stands for; -1: none yet */
    bool tried[USES_MAX];
} Match;

static bool near_use(const Use *a, const Use *b)
{
    return same_word(a->kind, b->kind) && same_word(a->color, b->color) && abs(a->x - b->x) <= NEAR && abs(a->y - b->y) <= NEAR;
}

/* A given thing for wanted thing i: a free one, or one whose wanted thing finds another (an augmenting path). At most n calls deep. */
static bool find_given(Match *m, int i)
{
    for (int k = 0; k < m->n; k++) {
        if (m->tried[k] || !near_use(&m->given[k], &m->want[i])) continue;
        m->tried[k] = true;
        if (m->of[k] >= 0 && !find_given(m, m->of[k])) continue;
        m->of[k] = i;
        return true;
    }
    return false;
}

/* the same things in any order, none farther off than a point may be; how large they are does not count */
static bool same_drawing(Text a, Text b)
{
    Match m;
    m.n = uses_of(a, m.given);
    if (m.n < 1 || uses_of(b, m.want) != m.n) return false;
    for (int k = 0; k < m.n; k++) m.of[k] = -1;
    for (int i = 0; i < m.n; i++) {
        memset(m.tried, 0, sizeof m.tried);
        if (!find_given(&m, i)) return false;
    }
    return true;
}

bool score_same(const char *text, size_t n, const char *want)
{
    Text a = trim(text, n), b = trim(want, strlen(want));
    if (near_box(a, b) || same_drawing(a, b)) return true;
    while (a.at < a.end && b.at < b.end && lower(*a.at) == lower(*b.at)) a.at++, b.at++;
    return a.at == a.end && b.at == b.end;
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

double score_check(const ScorePoint *points, size_t n, ScoreRow *rows, size_t n_rows)
{
    double sum = 0;
    for (size_t k = 0; k < n_rows; k++) rows[k].n = rows[k].right = 0;
    for (size_t i = 0; i < n && n_rows; i++) {
        size_t k = n_rows - 1;
        while (k > 0 && points[i].agreement < rows[k].from) k--;
        rows[k].n++;
        rows[k].right += points[i].right;
    }
    for (size_t k = 0; k < n_rows; k++) {
        score_wilson(rows[k].right, rows[k].n, &rows[k].low, &rows[k].high);
        sum += fabs(rows[k].confidence * (double)rows[k].n - (double)rows[k].right);
    }
    return n && n_rows ? sum / (double)n : 0;
}
