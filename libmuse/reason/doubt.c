/* SPDX-License-Identifier: Apache-2.0 */
/* An answer given at once that is in doubt: taken back and kept as such, and the agent set back to the end of the question, to think. What it
 * writes from there is run.c's. Called by run.c when a turn ends in an answer; docs/reason.md, "Think when in doubt".
 *
 *   question <think></think> 7            7 has 0.6: not taken
 *   question <think>                      the same positions, computed once, and a thought follows */
#include <math.h>

#include "libmuse/reason/record.h"

bool muse_agent_may_doubt(double doubt, int thinking)
{
    return doubt >= 0 && doubt <= 1 && (doubt == 0 || thinking == MUSE_THINKING_OFF);   /* false for what is no number */
}

enum { BEGINNING_MAX = 64 };   /* positions of a turn's beginning, and of what Gemma 4 puts before the first message: some twenty at most */

/* Calls may have done something in the world, so what followed from them stays; so does an answer where no thought has room. */
static bool may_take_back(const MuseAgent *a)
{
    const uint64_t room = a->s->params.max_positions - a->prompt;
    return a->doubt > 0 && !a->doubted && !a->asked && room > 2 * BEGINNING_MAX + muse_agent_reserve(a) && muse_agent_chat(a)->format->thinking;
}

/* of the whole answer, not a token's mean: of forty sure tokens and a guess the mean is sure. It only falls, so what is written behind
 * the first doubt is written for nothing */
static double probability(const MuseAgent *a) { return exp(a->answer_logprob); }

bool muse_agent_gives_up(const MuseAgent *a) { return may_take_back(a) && a->n_answer_ids && probability(a) < a->doubt; }

static bool is_in_doubt(const MuseAgent *a, const MuseAgentInfo *info, int how)
{
    return may_take_back(a) && (how == MUSE_AGENT_LENGTH || info->n_answer == 0 || probability(a) < a->doubt);
}

/* whether the messages read alike before a thought and before none: then what is computed of them stays */
static int reads_alike(MuseChat *chat, bool *alike, MuseError *err)
{
    char *text[2] = { NULL, NULL };
    size_t n[2] = { 0, 0 };
    int rc = 0;
    chat->no_generation = true;
    for (int thinks = 0; thinks < 2 && rc == 0; thinks++) {   /* ends with a thought to come */
        chat->thinking = thinks;
        rc = muse_chat_prompt(chat, &text[thinks], &n[thinks], err);
    }
    chat->no_generation = false;
    *alike = rc == 0 && n[0] == n[1] && memcmp(text[0], text[1], n[0]) == 0;
    muse_free(text[0]);
    muse_free(text[1]);
    return rc;
}

/* The sequence as it was when the question was complete, then the beginning of a turn that thinks. Only what begins the turn differs,
 * unless the format says at the beginning of the first message that a thought is wanted (Gemma 4): then all is computed again */
static int set_back(MuseAgent *a, MuseError *err)
{
    MuseSequence *seq = muse_session_sequence(a->s);
    const bool first = !a->chat;
    bool alike = true;
    int rc = first ? muse_chat_copy(&a->chat, a->shared->chat, err) : 0;
    if (rc < 0) return rc;
    const size_t n = muse_chat_length(a->chat), end = (size_t)a->prompt;
    a->chat->thinking = false;
    rc = muse_session_rewind(a->s, end, err);
    if (rc == 0) rc = muse_chat_append(a->chat, seq, n, err);   /* again, to see how long it is */
    if (rc == 0) rc = muse_session_rewind(a->s, 2 * end - muse_sequence_length(seq), err);
    if (rc == 0 && first) rc = reads_alike(a->chat, &alike, err);
    if (rc == 0 && !alike) rc = muse_session_rewind(a->s, 0, err);
    a->chat->thinking = true;
    return rc == 0 ? muse_chat_append(a->chat, seq, alike ? n : 0, err) : rc;
}

/* the answer and what it took, where muse_agent_info() finds them, and as a step */
static int keep_direct(MuseAgent *a, const MuseAgentInfo *info, MuseError *err)
{
    if (info->n_answer && muse_buf_append(&a->direct, info->answer, info->n_answer) < 0) return MUSE_NOMEM(err, info->n_answer);
    a->direct_probability = probability(a);
    a->direct_tokens = a->answer_tokens;
    a->direct_thought = a->thought_tokens;   /* a model may open one by itself */
    a->doubted = true;
    const int rc = muse_record_doubt(a, info, err);
    return rc == 0 ? muse_agent_add_step(a, (MuseReasonStep){ .kind = MUSE_REASON_DOUBT, .group = MUSE_REASON_NONE, .token = muse_agent_count(a), .position = a->s->seq->length }, NULL, NULL, err) : rc;
}

int muse_agent_end_answer(MuseAgent *a, int how, MuseError *err)
{
    MuseAgentInfo info;
    muse_agent_info(a, &info);
    if (!is_in_doubt(a, &info, how)) {
        muse_agent_finish(a, how);
        return 0;
    }
    a->broken = true;   /* until all of it is done */
    int rc = keep_direct(a, &info, err);
    if (rc == 0) rc = set_back(a, err);
    if (rc < 0) return rc;
    while (a->n_pictures > a->asked_pictures) muse_image_close(&a->pictures[--a->n_pictures].image);   /* cuts of the answer's looks */
    muse_agent_calls_clear(a);   /* written, not made */
    muse_agent_begin_answer(a, a->first_picture);
    rc = muse_agent_open_samplers(a, err);   /* they forget what was written, so the thought is what it would be without it */
    if (rc == 0) rc = muse_agent_start_turn(a, err);
    muse_record_close(a);
    if (rc == 0) rc = muse_record_open(a, err);
    a->broken = rc < 0;
    return rc;
}
