/* SPDX-License-Identifier: Apache-2.0 */
/* Scoring given text: a fork computes it in chunks, the session stays as it is. */
#include "libmuse/session/session.h"
#include "muse/sample.h"

static int log_probability(const float *logits, size_t vocab, int32_t id, double *out, MuseError *err)
{
    float value = 0;
    const int rc = muse_logprobs(logits, vocab, &id, 1, &value);
    *out = (double)value;
    return rc < 0 ? muse_fail(err, rc, "the model's logits before id %d are not all numbers", id) : 0;
}

typedef struct Score {
    const int32_t *ids;
    double *logprobs;
    size_t  n, first, vocab;   /* ids[i] stands at position first + i */
} Score;

static int score_rows(void *user, size_t first, const float *logits, size_t rows, MuseError *err)
{
    const Score *s = user;
    int rc = 0;
    for (size_t j = 0; j < rows && rc == 0; j++) {
        const size_t i = first + j + 1 - s->first;   /* the logits of a position tell of the next */
        if (first + j + 1 >= s->first && i < s->n) rc = log_probability(logits + j * s->vocab, s->vocab, s->ids[i], &s->logprobs[i], err);
    }
    return rc;
}

int muse_session_score(MuseSession *s, const int32_t *ids, size_t n, double *logprobs, MuseError *err)
{
    MUSE_REQUIRE(err, s && ids && logprobs && n > 0);
    const size_t vocab = s->model->config.vocab;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= vocab) return muse_fail(err, MUSE_ERR_ARG, "id %d (number %zu) is not among the model's %zu tokens", ids[i], i, vocab);
    int rc = muse_session_prefill(s, err);
    if (rc < 0) return rc;
    rc = log_probability(s->logits, vocab, ids[0], &logprobs[0], err);
    if (rc < 0 || n == 1) return rc;
    MuseSession *fork;
    rc = muse_session_fork(&fork, s, err);
    if (rc < 0) return rc;
    Score score = { ids, logprobs, n, s->seq->length, vocab };
    fork->params.stage = NULL;
    fork->stop = &s->cancel;
    for (size_t i = 0; rc == 0 && i + 1 < n; i++) rc = muse_sequence_push_id(fork->seq, ids[i], err);
    if (rc == 0) rc = muse_session_compute(fork, score_rows, &score, err);
    muse_session_close(&fork);
    return rc;
}
