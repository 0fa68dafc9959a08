/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file scaling.h
 * How the loss falls with parameters and data: L(N, D) = E + A / N^a + B / D^b, fitted to finished runs, with error bars, and what it
 * predicts for runs that nobody has done yet. `muse scaling` trains the runs (docs/train.md, "Scaling").
 */
#ifndef MUSE_SCALING_H
#define MUSE_SCALING_H

#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One finished run. All three are above 0. */
typedef struct MuseScalingPoint {
    double parameters;   ///< N
    double positions;    ///< D: seen in training
    double loss;         ///< L at its end, nats
} MuseScalingPoint;

/** Indices of a fit's values: L = E + A / N^a + B / D^b. */
enum {
    MUSE_SCALING_E      = 0, ///< nats: what no size and no data take away
    MUSE_SCALING_A      = 1, ///< nats times parameters^a
    MUSE_SCALING_ALPHA  = 2, ///< the exponent a, 0.01 to 3
    MUSE_SCALING_B      = 3, ///< nats times positions^b
    MUSE_SCALING_BETA   = 4, ///< the exponent b, 0.01 to 3
    MUSE_SCALING_VALUES = 5  ///< how many there are
};
/** Bounds of a fit. */
enum {
    MUSE_SCALING_POINTS_MIN = 6,   ///< fewest runs: one more than values
    MUSE_SCALING_POINTS_MAX = 256, ///< most runs
    MUSE_SCALING_SAMPLES    = 200  ///< of the bootstrap
};

/** The law L(N, D) = E + A / N^a + B / D^b, fitted: muse_scaling_fit(). */
typedef struct MuseScalingFit {
    double value[MUSE_SCALING_VALUES];   ///< E, A, a, B, b
    double low[MUSE_SCALING_VALUES];     ///< 5th percentile of the bootstrap
    double high[MUSE_SCALING_VALUES];    ///< 95th
    double error;                        ///< root mean square of ln(loss / fit), over n - 5
    size_t n;                            ///< points
    double samples[MUSE_SCALING_SAMPLES][MUSE_SCALING_VALUES]; ///< of the bootstrap; for predictions
} MuseScalingFit;

/**
 * Fit by least squares of ln L, from several starts, exponents between 0.01 and 3. Error bars: the residuals, as large as n - 5 free
 * values make them, are drawn anew MUSE_SCALING_SAMPLES times and fitted. The same points and seed: the same result. Any thread.
 * @param points [n], MUSE_SCALING_POINTS_MIN to MUSE_SCALING_POINTS_MAX of them.
 * @return 0; MUSE_ERR_ARG: fewer points, or more; a value that is not above 0 and finite; fewer than two different N, or D.
 */
MUSE_API int muse_scaling_fit(const MuseScalingPoint *points, size_t n, uint64_t seed, MuseScalingFit *out, MuseError *err);

/**
 * The loss that a fit expects. Any thread.
 * @param low, high NULL, or receive the 5th and 95th percentile: of the fit, without the noise of a single run.
 */
MUSE_API double muse_scaling_predict(const MuseScalingFit *fit, double parameters, double positions, double *low, double *high);

/**
 * A drawing as PNG: loss against positions, a colour for each N, points and the fit's curves; `next` (may be NULL) is drawn as a
 * ring with its interval.
 * @param rt NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_scaling_draw(MuseRuntime *rt, const char *path, const MuseScalingFit *fit, const MuseScalingPoint *points, size_t n, const MuseScalingPoint *next, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
