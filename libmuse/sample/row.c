/* SPDX-License-Identifier: Apache-2.0 */
/* muse_logprobs and muse_top: what a row of logits says, without choosing. Nothing is allocated. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "libmuse/sample/filter.h"
#include "muse/sample.h"

/* log of the sum of exponentials; false if the row is no distribution */
static bool log_sum(const float *logits, size_t V, double *out)
{
    float top;
    if (!muse_row_max(logits, V, NULL, &top) || top == -INFINITY) return false;
    *out = (double)top + log(muse_row_sum_exp(logits, V, top, 1.0f, NULL));
    return true;
}

int muse_logprobs(const float *logits, size_t V, const int32_t *ids, size_t n, float *out)
{
    double lse;
    if (!logits || !V || (n && (!ids || !out))) return MUSE_ERR_ARG;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= V) return MUSE_ERR_ARG;
    if (!log_sum(logits, V, &lse)) return MUSE_ERR_STATE;
    for (size_t i = 0; i < n; i++) out[i] = (float)((double)logits[ids[i]] - lse);
    return 0;
}

/* worse[a, b]: a comes after b in the answer */
static bool worse(const float *logits, int32_t a, int32_t b)
{
    return logits[a] < logits[b] || (logits[a] == logits[b] && a > b);
}

/* heap[0] is the worst of heap[0..n) */
static void sift(const float *logits, int32_t *heap, size_t n, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) return;
        if (child + 1 < n && worse(logits, heap[child + 1], heap[child])) child++;
        if (!worse(logits, heap[child], heap[at])) return;
        const int32_t t = heap[at];
        heap[at] = heap[child];
        heap[child] = t;
        at = child;
    }
}

int muse_top(const float *logits, size_t V, size_t k, int32_t *ids, float *logprobs)
{
    double lse;
    if (!logits || !V || V > INT32_MAX || !ids || !k || k > V) return MUSE_ERR_ARG;
    if (!log_sum(logits, V, &lse)) return MUSE_ERR_STATE;
    for (size_t i = 0; i < k; i++) ids[i] = (int32_t)i;
    for (size_t i = k / 2; i-- > 0;) sift(logits, ids, k, i);
    for (size_t i = k; i < V; i++)
        if (logits[i] > logits[ids[0]]) {   /* an equal one has a higher id: worse */
            ids[0] = (int32_t)i;
            sift(logits, ids, k, 0);
        }
    for (size_t n = k; n > 1; n--) {   /* the worst goes last */
        const int32_t t = ids[0];
        ids[0] = ids[n - 1];
        ids[n - 1] = t;
        sift(logits, ids, n - 1, 0);
    }
    for (size_t i = 0; logprobs && i < k; i++) logprobs[i] = (float)((double)logits[ids[i]] - lse);
    return 0;
}
