/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting L = E + A / N^a + B / D^b: Levenberg-Marquardt on ln L. With x = ln N and y = ln D, each less its mean, so that exponents and
 * coefficients do not pull against each other:  ln L = log sum exp(e, p - a x, q - b y). No training: tools/scaling.c. */
#include "muse/scaling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "libmuse/train/layout.h"

enum { V = MUSE_SCALING_VALUES, STEPS = 300 };
#define EXPONENT_MIN 0.01
#define EXPONENT_MAX 3.0

typedef struct Fit {
    size_t n;
    double mean_x, mean_y;
    double x[MUSE_SCALING_POINTS_MAX], y[MUSE_SCALING_POINTS_MAX], z[MUSE_SCALING_POINTS_MAX];   /* ln N and ln D less their means, ln L */
} Fit;

typedef struct Theta { double v[V]; } Theta;   /* e, p, a, q, b */

/* ln L and the shares of its three terms */
static double expected(const Theta *t, double x, double y, double share[3])
{
    const double term[3] = { t->v[0], t->v[1] - t->v[2] * x, t->v[3] - t->v[4] * y }, most = fmax(term[0], fmax(term[1], term[2]));
    double sum = 0;
    for (int i = 0; i < 3; i++) sum += share[i] = exp(term[i] - most);
    for (int i = 0; i < 3; i++) share[i] /= sum;
    return most + log(sum);
}

static double squares(const Fit *f, const Theta *t)
{
    double sum = 0, share[3];
    for (size_t i = 0; i < f->n; i++) {
        const double r = expected(t, f->x[i], f->y[i], share) - f->z[i];
        sum += r * r;
    }
    return sum;
}

/* J^T J and J^T r */
static void normal(const Fit *f, const Theta *t, double m[V][V], double g[V])
{
    memset(m, 0, V * sizeof *m);
    memset(g, 0, V * sizeof *g);
    for (size_t i = 0; i < f->n; i++) {
        double share[3];
        const double r = expected(t, f->x[i], f->y[i], share) - f->z[i];
        const double j[V] = { share[0], share[1], -f->x[i] * share[1], share[2], -f->y[i] * share[2] };
        for (int a = 0; a < V; a++) {
            g[a] += j[a] * r;
            for (int b = 0; b < V; b++) m[a][b] += j[a] * j[b];
        }
    }
}

/* m d = g by elimination with pivots; false: singular */
static bool solve(double m[V][V], double g[V], double d[V])
{
    for (int k = 0; k < V; k++) {
        int best = k;
        for (int i = k + 1; i < V; i++)
            if (fabs(m[i][k]) > fabs(m[best][k])) best = i;
        if (!(fabs(m[best][k]) > 1e-300)) return false;
        for (int i = 0; i < V; i++) {
            const double swap = m[k][i];
            m[k][i] = m[best][i];
            m[best][i] = swap;
        }
        const double swap = g[k];
        g[k] = g[best];
        g[best] = swap;
        for (int i = k + 1; i < V; i++) {
            const double factor = m[i][k] / m[k][k];
            for (int j = k; j < V; j++) m[i][j] -= factor * m[k][j];
            g[i] -= factor * g[k];
        }
    }
    for (int k = V - 1; k >= 0; k--) {
        d[k] = g[k];
        for (int j = k + 1; j < V; j++) d[k] -= m[k][j] * d[j];
        d[k] /= m[k][k];
    }
    return true;
}

static double limited(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

/* from t downhill; returns the sum of squares */
static double descend(const Fit *f, Theta *t)
{
    double best = squares(f, t), damping = 1e-3;
    for (int step = 0; step < STEPS && damping < 1e12; step++) {
        double m[V][V], g[V], d[V];
        normal(f, t, m, g);
        for (int i = 0; i < V; i++) m[i][i] += damping * (m[i][i] + 1e-12);
        Theta next = *t;
        if (solve(m, g, d))
            for (int i = 0; i < V; i++) next.v[i] = limited(t->v[i] - d[i], -60, 60);
        next.v[2] = limited(next.v[2], EXPONENT_MIN, EXPONENT_MAX);
        next.v[4] = limited(next.v[4], EXPONENT_MIN, EXPONENT_MAX);
        const double now = squares(f, &next);
        const bool better = now < best;
        const double gain = best - now;
        damping *= better ? 0.3 : 4;
        if (!better) continue;
        *t = next;
        best = now;
        if (gain < 1e-15 * best + 1e-30) break;
    }
    return best;
}

static void begin(const Fit *f, Theta *t, double floor, double a, double b)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < f->n; i++) {
        low = fmin(low, f->z[i]);
        high = fmax(high, f->z[i]);
    }
    const double rest = log(fmax((exp(low) + exp(high)) / 2 - floor * exp(low), 1e-6 * exp(low)) / 2);   /* what the two terms share at the middle */
    *t = (Theta){ { log(floor) + low, rest, a, rest, b } };
}

static Theta best_of_starts(const Fit *f)
{
    static const double floors[] = { 0.2, 0.6, 0.95 }, exponents[] = { 0.15, 0.4, 1 };
    Theta best = { { 0 } };
    double least = INFINITY;
    for (int k = 0; k < 27; k++) {
        Theta t;
        begin(f, &t, floors[k % 3], exponents[k / 3 % 3], exponents[k / 9]);
        const double sum = descend(f, &t);
        if (!(sum < least)) continue;
        least = sum;
        best = t;
    }
    return best;
}

static void store(const Fit *f, const Theta *t, double out[V])
{
    out[MUSE_SCALING_E] = exp(t->v[0]);
    out[MUSE_SCALING_A] = exp(t->v[1] + t->v[2] * f->mean_x);
    out[MUSE_SCALING_ALPHA] = t->v[2];
    out[MUSE_SCALING_B] = exp(t->v[3] + t->v[4] * f->mean_y);
    out[MUSE_SCALING_BETA] = t->v[4];
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void percentiles(double *values, double *low, double *high)
{
    qsort(values, MUSE_SCALING_SAMPLES, sizeof *values, ascending);
    *low = values[MUSE_SCALING_SAMPLES / 20];
    *high = values[MUSE_SCALING_SAMPLES - 1 - MUSE_SCALING_SAMPLES / 20];
}

/* residuals drawn anew onto the fit; each fitted from the best and from one start */
static void bootstrap(Fit *f, const Theta *best, uint64_t seed, MuseScalingFit *out)
{
    double residuals[MUSE_SCALING_POINTS_MAX];
    MuseRandom random = { seed };
    double share[3];
    for (size_t i = 0; i < f->n; i++) residuals[i] = (f->z[i] - expected(best, f->x[i], f->y[i], share)) * sqrt((double)f->n / (double)(f->n - V));
    for (int s = 0; s < MUSE_SCALING_SAMPLES; s++) {
        for (size_t i = 0; i < f->n; i++) f->z[i] = expected(best, f->x[i], f->y[i], share) + residuals[(size_t)(muse_random_unit(&random) * (double)f->n)];
        Theta t = *best, other;
        begin(f, &other, 0.6, 0.4, 0.4);
        const double sum = descend(f, &t);
        if (descend(f, &other) < sum) t = other;
        store(f, &t, out->samples[s]);
    }
    for (int k = 0; k < V; k++) {
        double values[MUSE_SCALING_SAMPLES];
        for (int s = 0; s < MUSE_SCALING_SAMPLES; s++) values[s] = out->samples[s][k];
        percentiles(values, &out->low[k], &out->high[k]);
    }
}

static int check(const MuseScalingPoint *p, size_t n, MuseError *err)
{
    bool sizes = false, data = false;
    if (n < MUSE_SCALING_POINTS_MIN || n > MUSE_SCALING_POINTS_MAX)
        return muse_fail(err, MUSE_ERR_ARG, "%zu runs; a fit of five values needs %d to %d", n, MUSE_SCALING_POINTS_MIN, MUSE_SCALING_POINTS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!(p[i].parameters > 0 && p[i].positions > 0 && p[i].loss > 0 && isfinite(p[i].parameters + p[i].positions + p[i].loss)))
            return muse_fail(err, MUSE_ERR_ARG, "run %zu: parameters %g, positions %g, loss %g: not all above 0 and finite", i, p[i].parameters, p[i].positions, p[i].loss);
        sizes = sizes || p[i].parameters != p[0].parameters;
        data = data || p[i].positions != p[0].positions;
    }
    return sizes && data ? 0 : muse_fail(err, MUSE_ERR_ARG, "all runs have the same %s", sizes ? "positions" : "parameters");
}

int muse_scaling_fit(const MuseScalingPoint *points, size_t n, uint64_t seed, MuseScalingFit *out, MuseError *err)
{
    MUSE_REQUIRE(err, points && out);
    const int rc = check(points, n, err);
    if (rc < 0) return rc;
    Fit f = { .n = n };
    for (size_t i = 0; i < n; i++) {
        f.mean_x += log(points[i].parameters) / (double)n;
        f.mean_y += log(points[i].positions) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        f.x[i] = log(points[i].parameters) - f.mean_x;
        f.y[i] = log(points[i].positions) - f.mean_y;
        f.z[i] = log(points[i].loss);
    }
    memset(out, 0, sizeof *out);
    const Theta best = best_of_starts(&f);
    out->n = n;
    out->error = sqrt(squares(&f, &best) / (double)(n - V));
    store(&f, &best, out->value);
    bootstrap(&f, &best, seed, out);
    return 0;
}

static double loss_at(const double v[V], double parameters, double positions)
{
    return v[MUSE_SCALING_E] + v[MUSE_SCALING_A] * pow(parameters, -v[MUSE_SCALING_ALPHA]) + v[MUSE_SCALING_B] * pow(positions, -v[MUSE_SCALING_BETA]);
}

double muse_scaling_predict(const MuseScalingFit *fit, double parameters, double positions, double *low, double *high)
{
    double values[MUSE_SCALING_SAMPLES], a, b;
    for (int s = 0; s < MUSE_SCALING_SAMPLES; s++) values[s] = loss_at(fit->samples[s], parameters, positions);
    percentiles(values, &a, &b);
    if (low) *low = a;
    if (high) *high = b;
    return loss_at(fit->value, parameters, positions);
}
