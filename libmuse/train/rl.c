/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of trial and reward: no models, no agents. Formulas: docs/train.md, "Trial and reward". */
#include "libmuse/train/rl.h"

#include <math.h>

static uint32_t longest(const MuseTrainRollout *r, size_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) most = r[i].tokens > most ? r[i].tokens : most;
    return most;
}

void muse_rl_rewards(const MuseRewardRules *rules, const MuseTrainRollout *r, size_t n, double budget, double *rewards)
{
    const double limit = budget * longest(r, n);
    bool unseen_right = false, short_right = false;   /* right without a look; right within the budget */
    for (size_t i = 0; i < n; i++) {
        unseen_right = unseen_right || (r[i].right && r[i].looks == 0);
        short_right = short_right || (r[i].right && r[i].tokens <= limit);
    }
    for (size_t i = 0; i < n; i++) {
        rewards[i] = r[i].clean ? rules->format : 0;
        if (!r[i].right) continue;                    /* nothing else is paid for a wrong answer, and nothing taken */
        rewards[i] += rules->right - rules->tokens * r[i].tokens;
        if (r[i].looks) rewards[i] += unseen_right ? -rules->look : rules->iou * r[i].iou;
        if (short_right && r[i].tokens > limit) rewards[i] -= rules->cut * rules->right;
    }
}

void muse_rl_advantages(double *values, size_t groups, size_t n, const uint32_t *slots, bool by_task)
{
    for (size_t g = 0; g < groups; g++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += values[g * n + i];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) values[g * n + i] -= mean;
    }
    for (size_t g = 0; g < groups && by_task; g++) {
        double sum = 0, count = 0;
        bool first = true;
        for (size_t k = 0; k < g; k++) first = first && slots[k] != slots[g];
        if (!first) continue;
        for (size_t k = g; k < groups; k++)
            for (size_t i = 0; i < n && slots[k] == slots[g]; i++, count++) sum += values[k * n + i] * values[k * n + i];
        const double scale = fmax(sqrt(sum / count), MUSE_SCALE_LEAST);
        for (size_t k = g; k < groups; k++)
            for (size_t i = 0; i < n && slots[k] == slots[g]; i++) values[k * n + i] /= scale;
    }
}

double muse_rl_gain(const MuseTrainRollout *r, size_t n)
{
    double more = 0;
    for (size_t i = 0; i < n; i++) more += (double)r[n + i].right - (double)r[i].right;
    return more / (double)n;
}

double muse_rl_odds(const float *logits, size_t n, int32_t id)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(logits[i])) return NAN;
        if ((int32_t)i != id) sum += exp((double)logits[i] - (double)logits[id]);   /* infinite: its odds are 0 */
    }
    return sum > 0 ? fmin(1 / sum, MUSE_ODDS_MOST) : MUSE_ODDS_MOST;
}

#define SHORTER 0.8          /* of the budget, each time */
#define SHORTEST 0.1
#define TOLERANCE 0.01       /* the shorter may be this much less often right */

void muse_rl_budget_note(MuseRlTask *t, const MuseTrainRollout *r, size_t n)
{
    const double limit = SHORTER * t->budget * longest(r, n);
    for (size_t i = 0; i < n; i++) {
        t->n[r[i].tokens > limit]++;
        t->right[r[i].tokens > limit] += r[i].right;
    }
}

void muse_rl_budget_step(MuseRlTask *t, bool held)
{
    const bool seen = t->right[0] > 0 && t->n[1] > 0;   /* once one kind is gone, or is never right, nothing can be compared */
    if (seen && !held && t->right[0] / t->n[0] >= t->right[1] / t->n[1] - TOLERANCE) t->budget = fmax(SHORTER * t->budget, SHORTEST);
    t->n[0] = t->n[1] = t->right[0] = t->right[1] = 0;
}
