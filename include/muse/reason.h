/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file reason.h
 * Reasoning with pictures: a chain of thought that looks again, and the modes.
 *
 *   muse_reason_params_init(&p);
 *   p.mode = MUSE_MODE_THINKING;
 *   MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = picture }, { .modality = MUSE_TEXT, .text = "What is printed on the star?" } };
 *   muse_reason(model, parts, 2, &p, &result, &err);
 *   printf("%s (%.0f %%)\n", result.answer, 100 * result.confidence);
 *   muse_reason_result_clear(&result);
 *
 * A MuseAgent is one chain in progress: a prompt, what the model has written behind it, and the pictures that were shown in
 * between. Its stages can be called alone: open, look, compare, fork, run (several as one batch), verify, score, vote.
 *
 * Looks. A model with place tokens (`<look> name<box><xA><yB><xC><yD>`) is shown the place it named, cut from the original picture at
 * full detail, inside the same sequence, and goes on; three times the same in a turn, then it is refused. A model with tools and pictures is offered the tool look(image, box)
 * and gets the cut as the tool's result. Budgets end everything; a chain that is written wrongly is recorded, never an error.
 *
 * Rectangles are pixels of the original picture, x right, y down.
 */
#ifndef MUSE_REASON_H
#define MUSE_REASON_H

#include "muse/attention.h"
#include "muse/chat.h"
#include "muse/sample.h"
#include "muse/session.h"
#include "muse/tools.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One chain of thought in progress. One thread at a time, for all agents forked of each other. Close with muse_agent_close(). */
typedef struct MuseAgent MuseAgent;

/** What a user gives, in the order of the question. Fields that do not belong to the modality are ignored. */
typedef struct MuseReasonPart {
    int         modality; ///< MUSE_TEXT, MUSE_IMAGE or MUSE_AUDIO
    const char *text;     ///< TEXT, UTF-8; copied
    size_t      n;        ///< its bytes; 0 = it is terminated
    MuseImage  *image;    ///< IMAGE; a reference is kept
    uint32_t    budget;   ///< IMAGE: MuseImageOptions.budget
    MuseAudio  *audio;    ///< AUDIO; a reference is kept
} MuseReasonPart;

/** What happened in a chain. */
enum {
    MUSE_REASON_POINT   = 1, ///< a place was named
    MUSE_REASON_BOX     = 2, ///< a rectangle was named
    MUSE_REASON_LOOK    = 3, ///< a rectangle was asked for and shown, or refused
    MUSE_REASON_COMPARE = 4, ///< a comparison begins: the steps with this one as `group` belong to it
    MUSE_REASON_VERIFY  = 5, ///< a check begins; as COMPARE
    MUSE_REASON_IMAGE   = 6, ///< the chain turns to this picture
    MUSE_REASON_CALL    = 7, ///< a tool was called; text is its name and arguments
    MUSE_REASON_CLOSED  = 8, ///< the thought was ended for the model: text says which budget was spent, or that it ended its turn there
    MUSE_REASON_BAD     = 9, ///< something was written that has no meaning; text says what
    MUSE_REASON_DOUBT   = 10 ///< what was answered at once is taken back (MuseAgentParams.doubt): MuseAgentInfo.direct; a thought follows
};

#define MUSE_REASON_NONE 0xffffffffu

/** One step. Texts live as long as the agent. */
typedef struct MuseReasonStep {
    int         kind;     ///< MUSE_REASON_*
    int         refused;  ///< LOOK, CALL: 1: nothing was shown; reason says why
    int         forced;   ///< 1: the caller asked for it, not the model
    uint32_t    image;    ///< number of the picture among those given, from 1; 0: none
    uint32_t    shown;    ///< LOOK: the number that the cut has in the sequence, from 1; before a DOUBT those cuts are gone, and numbers are given again
    uint32_t    group;    ///< index of the COMPARE or VERIFY step it belongs to; MUSE_REASON_NONE
    MuseRect    rect;     ///< POINT: the cell that was named; BOX, LOOK: the rectangle
    MuseRect    view;     ///< LOOK: what was shown
    size_t      token;    ///< tokens written by then, this one included
    size_t      position; ///< positions of the sequence by then; LOOK: the first of the cut
    const char *text;     ///< what was written since the step before, such as the name of what is pointed at; terminated, never NULL
    size_t      n_text;
    const char *reason;   ///< why it was refused; "" otherwise
} MuseReasonStep;

/** How an agent ended. */
enum {
    MUSE_AGENT_RUNNING  = 0, ///< it has not ended
    MUSE_AGENT_ANSWERED = 1, ///< the model ended its turn
    MUSE_AGENT_LENGTH   = 2, ///< answer_tokens
    MUSE_AGENT_FULL     = 3, ///< no more positions
    MUSE_AGENT_CALLS    = 4, ///< it wants more calls than are allowed
    MUSE_AGENT_STOPPED  = 5  ///< muse_agent_stop(): the others agreed
};

/** What the event function is told. */
enum {
    MUSE_EVENT_TOKEN = 1, ///< a token was taken
    MUSE_EVENT_STEP  = 2, ///< a step is complete
    MUSE_EVENT_DONE  = 3, ///< an agent ended
    MUSE_EVENT_STAGE = 4  ///< muse_reason() begins a stage
};

/** What muse_reason() is at. */
enum {
    MUSE_STAGE_PREFILL   = 1, ///< a prompt is computed
    MUSE_STAGE_THINK     = 2, ///< agents think and answer
    MUSE_STAGE_VERIFY    = 3, ///< leading answers are checked (MuseReasonParams.verify)
    MUSE_STAGE_SCORE     = 4, ///< answers are scored under other agents
    MUSE_STAGE_SYNTHESIS = 5  ///< one more agent merges (MUSE_SYNTHESIS_GENERATE), or answers after a coordinator's sub-questions
};

/** What a running agent does, as it happens. */
typedef struct MuseReasonEvent {
    int             kind;    ///< MUSE_EVENT_*
    int             stage;   ///< MUSE_STAGE_*; 0 outside muse_reason()
    uint32_t        agent;   ///< MuseAgentInfo.number
    int32_t         id;      ///< TOKEN
    const MuseReasonStep *step;    ///< STEP
    size_t          index;   ///< STEP: its number in the agent
    uint64_t        tokens;  ///< of all agents of this run, so far
    size_t          done, agents; ///< agents that have ended, and all of this run that have begun
} MuseReasonEvent;

/** Called from the running thread. Non-zero = stop: MUSE_ERR_CANCELLED. */
typedef int MuseReasonEventFn(void *user, const MuseReasonEvent *event);

/** What one agent may do, and who hears of it. */
typedef struct MuseAgentParams {
    size_t           struct_size;    ///< set by muse_agent_params_init()
    const char      *format;         ///< chat format; NULL = muse_chat_format_of()
    const char      *system;         ///< NULL = none
    int              thinking;       ///< MUSE_THINKING_*
    uint32_t         thought_tokens; ///< tokens a thought may have; then it is closed as the format closes thoughts. 0 = 512
    uint32_t         answer_tokens;  ///< tokens outside of thoughts, calls included; 0 = 256
    const char      *close_words;    ///< said at the end of a thought that is closed; NULL = nothing
    int              no_look;        ///< 1: no looks: the token is never picked, the tool not offered
    uint32_t         looks;          ///< looks an agent may have, forced ones included; 0 = 8
    uint32_t         look_positions; ///< positions that they may take together; 0 = as many as there are
    uint32_t         look_budget;    ///< MuseImageOptions.budget of a cut; 0 = MUSE_BUDGET_AUTO: it is not scaled down while the family allows that
    int              free_places;    ///< 1: ids behind `<box>` and `<point>` are not held to places, nor those of a call to its syntax
    uint32_t         calls;          ///< tool calls an agent may make, looks not counted; 0 = 16. One over it gets an error to read; after calls + looks turns with calls the agent ends
    MuseTools       *tools;          ///< offered to the model; NULL = none. Borrowed until the agent and its forks are closed
    const MuseSampleParams  *sample; ///< NULL = greedy. A grammar in it holds for the answer only. Its grammar is borrowed like tools
    const MuseSessionParams *session; ///< NULL = defaults
    MuseReasonEventFn *event;        ///< NULL: none
    void            *event_user;
    MuseCancelFn    *cancel;         ///< polled before each token, between chunks of a prompt and while tools work; NULL = never
    void            *cancel_user;
    MuseTrace       *trace;          ///< filled while agents work: docs/reason.md, "Traces". The pictures it has already must be those given, in order (so they have names);
                                     ///< others are added. NULL = none. Borrowed like tools, or until a muse_agent_ask() has returned 0: what it closes of the turn before goes here. Used by the running thread only
    const MuseWatchParams *heat;     ///< with trace: attention maps of places, looks and answers in these layers and heads; image, first, n and weights do not count. NULL = none. Borrowed like tools
    double           doubt;          ///< with MUSE_THINKING_OFF, 0..1: an answer whose probability (the product of its tokens') falls under it, an empty one, or one cut off by answer_tokens, is taken back:
                                     ///< the agent is set back to the end of the question, thinks and answers again, with thought_tokens and answer_tokens anew (looks count together). Not after calls of tools, and not in formats without thoughts. 0 = never
} MuseAgentParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_agent_params_init(MuseAgentParams *params);

/**
 * Make an agent: the parts in the model's chat format, with the beginning of its turn; nothing is computed yet. Agents that are
 * forks of each other belong to one thread together.
 * @param out Receives the handle, or NULL. Release with muse_agent_close().
 * @param model Kept alive by the agent.
 * @param parts [n_parts], at least 1; borrowed for the call.
 * @param params Borrowed for the call but for what it says of its members; NULL = defaults.
 * @return 0; MUSE_ERR_ARG; those of muse_session_open(), muse_chat_format_of(), the muse_chat_ calls, muse_sampler_open().
 */
MUSE_API int muse_agent_open(MuseAgent **out, MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const MuseAgentParams *params, MuseError *err);

/** Release; *agent becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_agent_close(MuseAgent **agent);

/** Compute the prompt, so that forks share it. @return as muse_session_prefill(). */
MUSE_API int muse_agent_prefill(MuseAgent *agent, MuseError *err);

/**
 * A second agent at the same place, at the first question or that of a muse_agent_ask(), with a sampler of its own. Memory grows by what each writes from here on.
 * @param out    Receives the handle, or NULL. Release with muse_agent_close().
 * @param temperature As MuseSampleParams.temperature, in place of that of the params.
 * @param number What events call it.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: from has written something since it was asked; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_agent_fork(MuseAgent **out, const MuseAgent *from, uint32_t number, uint64_t seed, float temperature, MuseError *err);

/**
 * Make the agent look: the look is written as the model would write it, and the cut is shown at the next muse_agent_run(). Counts as a look.
 * @param image Number of the picture among those given, from 1.
 * @param rect  Pixels of the original. What is shown is muse_look_view() of it.
 * @return 0; MUSE_ERR_ARG: no such picture, or nothing of rect inside it; MUSE_ERR_STATE: in the middle of a place, behind the thought, or (tool
 *         formats) in the middle of a turn; MUSE_ERR_UNSUPPORTED: the model has neither look tokens nor tools; MUSE_ERR_LIMIT: the looks are spent; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_look(MuseAgent *agent, uint32_t image, MuseRect rect, MuseError *err);

/** Two looks side by side: with place tokens `<compare>` follows, in tool formats they are two calls of one turn. @return as muse_look(); on error neither look. */
MUSE_API int muse_compare(MuseAgent *agent, uint32_t image_a, MuseRect a, uint32_t image_b, MuseRect b, MuseError *err);

/**
 * Let agents of one model and mode write until all have ended. They step as one batch; one that looks takes its picture in and joins
 * again, calls of all agents that wait for tools run at once. Agents that have ended are left out.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_CANCELLED: calling again goes on; those of muse_session_step_batch(), muse_sampler_pick().
 */
MUSE_API int muse_agent_run(MuseAgent *const *agents, size_t n, MuseError *err);

/** End it where it is. In the running thread: between runs, or from the event function, then before its next token. Its trace says `stopped` when it is run again, which writes no more. */
MUSE_API void muse_agent_stop(MuseAgent *agent);

/** What holds for one turn. */
typedef struct MuseTurnParams {
    size_t     struct_size;    ///< set by muse_turn_params_init()
    int        thinking;       ///< MUSE_THINKING_*; DEFAULT = as before
    uint32_t   thought_tokens; ///< for this turn; 0 = MuseAgentParams.thought_tokens
    MuseTrace *trace;          ///< of this turn, as MuseAgentParams.trace: its pictures are all that were given so far. NULL = none
    double     doubt;          ///< as MuseAgentParams.doubt, with MUSE_THINKING_OFF; with DEFAULT as before, and only 0 is accepted
} MuseTurnParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_turn_params_init(MuseTurnParams *params);

/**
 * The next turn of the conversation, for an agent that has ended: what the user says now. Then muse_look(), muse_agent_run() and so on, as after
 * opening. What was computed stays; a turn that was cut off is closed as its format closes it. Budgets, the counts of MuseAgentInfo, thought and
 * answer begin anew, steps and ids go on; a grammar begins anew. Pictures are numbered on. Places mean the first of the new pictures; without one, what they meant before.
 * @param params NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: it has not ended; MUSE_ERR_UNSUPPORTED: no thoughts in this format; as muse_agent_open(). On error the agent has
 *         ended as before and can be asked again, MUSE_ERR_NOMEM excepted.
 */
MUSE_API int muse_agent_ask(MuseAgent *agent, const MuseReasonPart *parts, size_t n_parts, const MuseTurnParams *params, MuseError *err);

/** Where an agent stands. */
typedef struct MuseAgentInfo {
    uint32_t    number;         ///< 0 for one that was opened
    int         finish;         ///< MUSE_AGENT_*
    const char *thought;        ///< terminated, never NULL; these live until the next call on the agent
    size_t      n_thought;
    const char *answer;         ///< without white space at both ends; n_answer bytes, not terminated
    size_t      n_answer;
    uint64_t    prompt_tokens;  ///< positions of the prompt
    uint64_t    thought_tokens; ///< written by the model in thoughts
    uint64_t    answer_tokens;  ///< written by the model outside of them, what ends the turn included; direct_tokens too
    uint64_t    forced_tokens;  ///< written for it
    uint64_t    view_positions; ///< of looks
    uint32_t    looks, refused, bad, calls; ///< looks shown; looks and calls refused; MUSE_REASON_BAD; calls carried out
    size_t      n_steps;
    double      confidence;     ///< geometric mean of the probabilities of the answer's tokens; 0 without answer
    uint64_t    seed;
    float       temperature;
    int         doubted;        ///< 1: it answered at once, took that back (MuseAgentParams.doubt) and thought; the four below are of what it took back, else 0 and ""
    const char *direct;         ///< that answer as far as it was written: until it was in doubt; like `answer`; n_direct bytes, not terminated
    size_t      n_direct;
    double      direct_probability; ///< the product of its tokens' probabilities
    uint64_t    direct_tokens;  ///< its tokens, of answer_tokens
} MuseAgentInfo;

/** Read back. @return 0; MUSE_ERR_ARG: a null pointer. */
MUSE_API int muse_agent_info(const MuseAgent *agent, MuseAgentInfo *out);
/** Step i. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_agent_step(const MuseAgent *agent, size_t i, MuseReasonStep *out);
/** The ids it wrote, forced ones included, pictures not. Live until the next call on the agent. @param ids May be NULL. @return their number */
MUSE_API size_t muse_agent_ids(const MuseAgent *agent, const int32_t **ids);
/** Its session: to read. Lives as long as the agent; NULL if agent is NULL. */
MUSE_API MuseSession *muse_agent_session(const MuseAgent *agent);

/**
 * An agent that checks the answer of one that has ended: back to the end of the thought, a fresh look at the region that was named
 * last, `<verify>` (tool formats: asked for in words), and on. Run it: the same answer confirms, another revises.
 * @param out   Receives the handle, or NULL. Release with muse_agent_close().
 * @param number What events call it.
 * @param extra Tokens its thought may have beyond those written; 0 = 64.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: from has not answered, or had no thought; MUSE_ERR_NOT_FOUND: it named no region; as muse_look().
 */
MUSE_API int muse_agent_verify(MuseAgent **out, const MuseAgent *from, uint32_t number, uint32_t extra, MuseError *err);

/**
 * How probable an agent would find another's answer: log-probability of those ids where its own answer begins. The agent stays as it is.
 * @param logprob Natural logarithm, 0 or below; the sum over the ids.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: it has not come to an answer; as muse_session_score().
 */
MUSE_API int muse_agent_score(const MuseAgent *agent, const MuseAgent *answer, double *logprob, MuseError *err);

/** What is shown for a look at rect: a square round its middle, 1.15 of its larger side, at least 64 pixels, inside the picture. All in
 * pixels of the original. Any thread. */
MUSE_API MuseRect muse_look_view(uint32_t width, uint32_t height, MuseRect rect);

/* ---- votes ---- */

/** One answer in a vote. */
typedef struct MuseVote {
    const char *answer;     ///< n bytes. Equal after trimming and ASCII lower case, places (`<x12>`) at most 2 apart, to the first vote of a candidate: one more for it, for the earliest of several
    size_t      n;
    double      weight;     ///< its confidence, at least 0
    const double *cross;    ///< [n_votes] its agent's log-probability of each vote's answer; NULL: not scored
} MuseVote;

/** One of the different answers in a vote. */
typedef struct MuseCandidate {
    size_t   vote;          ///< the vote with its text: of equal ones the heaviest, the first
    uint32_t count;         ///< votes for it
    double   weight;        ///< their share of all weights
    double   cross;         ///< mean over scored agents of its probability among the candidates; 0 if nobody was scored. muse_reason() scores nobody for a single candidate
    double   score;         ///< weight, or with cross scores the mean of both. Of equal ones more votes win, then the earlier
} MuseCandidate;

/**
 * Count votes. Any thread.
 * @param votes [n], n at least 1; borrowed for the call.
 * @param out   [n] receives the candidates, the winner first. @param n_out Their number.
 * @return 0; MUSE_ERR_ARG: also a weight that is negative or not finite.
 */
MUSE_API int muse_vote(const MuseVote *votes, size_t n, MuseCandidate *out, size_t *n_out, MuseError *err);

/** From a share of equal answers to how often those are right: the value of the last row whose `from` is not above it. */
typedef struct MuseCalibration { double from, confidence; } MuseCalibration;

/**
 * Any thread.
 * @param table     n rows, from ascending; NULL = the built-in one (docs/reason.md).
 * @param agreement Share, 0..1.
 * @return the confidence of that share, 0..1; 0 below the first row.
 */
MUSE_API double muse_calibrate(const MuseCalibration *table, size_t n, double agreement);

/* ---- modes ---- */

/** How a question is answered. */
enum {
    MUSE_MODE_INSTANT       = 0, ///< one agent answers at once
    MUSE_MODE_THINKING      = 1, ///< one agent thinks first
    MUSE_MODE_CONTEMPLATING = 2, ///< several think and vote
    MUSE_MODE_AUTO          = 3  ///< one agent answers at once, and thinks if that answer is in doubt; MuseAgentInfo.doubted of agents[0] tells which way was taken
};
/** How several agents' answers become one. */
enum {
    MUSE_SYNTHESIS_VOTE     = 0, ///< that of the candidate with the highest score
    MUSE_SYNTHESIS_GENERATE = 1  ///< where candidates differ, one more agent answers, told what they said and how often
};
/** Bounds of a run. */
enum {
    MUSE_AGENTS_MAX = 256, ///< agents of one run
    MUSE_VIEWS      = 8    ///< ways of seeing the pictures: most of MuseReasonParams.views
};

/** A place that an agent looks at first. */
typedef struct MuseFocus { uint32_t image; MuseRect rect; } MuseFocus;

#define MUSE_DOUBT 0.95   ///< MuseReasonParams.doubt unless told: docs/RL.md, "Choosing without training"

/** How muse_reason() comes to an answer. */
typedef struct MuseReasonParams {
    size_t                 struct_size;  ///< set by muse_reason_params_init()
    int                    mode;         ///< MUSE_MODE_*
    const MuseAgentParams *agent;        ///< NULL = defaults. `thinking` and `doubt` follow from mode; the seed of its sample from seed
    uint32_t               agents;       ///< CONTEMPLATING: 1..MUSE_AGENTS_MAX; 0 = 8
    uint64_t               seed;         ///< agent i has a seed of its own that follows from this and i alone; it matters only to agents that sample
    float                  temperature;  ///< 0 = that of agent->sample; CONTEMPLATING without one: agents 0 to views - 1 take the most probable tokens, the others sample at 1; with a spread all sample, at 1 and it
    float                  spread;       ///< CONTEMPLATING: agents i = 0, 1, 2 ... have the temperature plus 0, +1, -1, +1/2, -1/2 times this, and so on; 0 .. below temperature
    const MuseFocus       *focus;        ///< CONTEMPLATING: agent i begins with a look at focus[i - 1], as far as they reach; agent 0 is free. NULL = none
    size_t                 n_focus;
    uint32_t               agree;        ///< stop also when so many have answered and all are equal, in whatever views (agents with a focus share view 0); with several views no other begins before these have ended. 1 = only when the rest can't change the count; 0 = 3 with 3 views or more and without focus, temperature and spread, else 1
    int                    no_stop;      ///< 1: all agents run to their end
    int                    no_cross;     ///< 1: answers are not scored under other agents
    uint32_t               verify;       ///< the best agent of each of so many leading candidates is checked by muse_agent_verify(), which gives a vote more; 0 = none
    int                    synthesis;    ///< MUSE_SYNTHESIS_*
    const MuseCalibration *calibration;  ///< NULL = the calibration.json of the model's folder (docs/eval.md), without one the built-in table of 8 agents; either only for such agents as it was
                                         ///< measured with (MuseReasonResult.calibrated)
    size_t                 n_calibration;
    uint32_t               views;        ///< CONTEMPLATING with pictures, 1..MUSE_VIEWS: agent i sees them in way i mod views: 0 as they were given, the others without narrow strips at some edges, so that other patches
                                         ///< lie over the things; agents with a focus as given. A prompt is computed for each when its first agent begins (see agree). 0 = MUSE_VIEWS if the model has place tokens, else 1
    double                 doubt;        ///< AUTO: MuseAgentParams.doubt, which follows from this as `thinking` does from mode; 0 = MUSE_DOUBT
    MuseAgent             *from;         ///< a conversation: an agent that has ended. The parts are its next turn (muse_agent_ask()), and the agents are its forks, all over what was said
                                         ///< so far: as it was opened, of `model`, but for mode, seed, temperature and, of `agent`, thought_tokens, trace, and event and cancel between agents. It stays
                                         ///< at the question, stopped; go on with muse_reason_take(). With views at most 1, and without a merger. NULL = none
} MuseReasonParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_reason_params_init(MuseReasonParams *params);

/** The answer and how it came about. Release with muse_reason_result_clear(). */
typedef struct MuseReasonResult {
    char          *answer;        ///< n_answer bytes and one NUL; NULL: none was given
    size_t         n_answer;
    double         agreement;     ///< share of the forks' answers that the largest candidate has, in the order in which they ended; 1 for one agent
    double         confidence;    ///< CONTEMPLATING: calibrated agreement, or (see calibrated) the share of the forks that gave the answer: the agreement, unless the scores, a check or the merger came to another candidate than the largest; else MuseAgentInfo.confidence
    MuseAgent    **agents;        ///< [n_agents] (NULL: taken) with their steps, in order of number: the forks, then checks, then the one that merged
    size_t         n_agents;
    size_t         n_forks;       ///< of these, the first ones
    MuseCandidate *candidates;    ///< [n_candidates] the winner first, as muse_vote(), but where agent 0 is greedy (no temperature, no spread) its candidate wins if no other has more votes; vote: index into agents
    size_t         n_candidates;
    uint64_t       prompt_tokens, thought_tokens, answer_tokens; ///< prompt: of each that was computed: one for each view that an agent has, one to merge; muse_coordinate(): the first one's. The others of all agents
    double         seconds;
    int            stopped_early; ///< CONTEMPLATING: not all agents came to their end (or began), because 1: so many as `agree` says answered alike; 2: what the others could say would not have changed the count. 0: all did
    size_t         n_unbegun;     ///< CONTEMPLATING: agents that did not begin, because of stopped_early: with n_forks as many as were asked for
    int            calibrated;    ///< CONTEMPLATING: 1: confidence is how often such agreement was right, by the caller's table or one that was measured with such agents: as many, with these
                                  ///< views, temperature and stop, and without focus, checks, merger or `from` (the built-in table: eight agents without these). 0: nothing was measured so, and confidence is a share of votes; or another mode
    size_t         by;            ///< index into agents: whose answer it is; n_agents: nobody's
} MuseReasonResult;

/** Release what the result holds and zero it. NULL is accepted. */
MUSE_API void muse_reason_result_clear(MuseReasonResult *result);

/**
 * Answer. One call for all of it. Any thread: several may ask the same model at once, each for itself.
 * @param parts  [n_parts], at least 1: pictures, sounds, the question; borrowed for the call.
 * @param params NULL = defaults.
 * @param out    Receives the result, also on error: what was done until then. Release with muse_reason_result_clear().
 * @return 0, also if no agent came to an answer; MUSE_ERR_ARG; MUSE_ERR_CANCELLED; as muse_agent_open() and muse_agent_run().
 */
MUSE_API int muse_reason(MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const MuseReasonParams *params, MuseReasonResult *out, MuseError *err);

/**
 * Take agent i out of a result, to go on with what it was asked: its place is NULL then, and its number 0. One thread, that of the other agents.
 * It keeps its sampler, so its seed and its temperature (MuseAgentInfo): one of several that draws goes on drawing in later turns. One that takes the
 * most probable tokens instead is its muse_agent_fork() at temperature 0, made when muse_agent_ask() has asked it.
 * @return it, to be released with muse_agent_close(); NULL: there is none at i.
 */
MUSE_API MuseAgent *muse_reason_take(MuseReasonResult *result, size_t i);

/**
 * A coordinator: one agent for each sub-question, all over the same parts and at once, then one that gets the parts, the
 * question and what each answered.
 * @param parts      Shared: pictures, sounds.
 * @param questions  [n] sub-questions, terminated.
 * @param question   What the last agent answers; terminated.
 * @param params     mode INSTANT, THINKING or AUTO holds for all of them; `from` must be NULL.
 * @param out        As muse_reason(): agents in the order of questions, the one that merged last; no candidates.
 * @return as muse_reason(); MUSE_ERR_ARG also: MUSE_AGENTS_MAX questions or more, mode CONTEMPLATING, or `from`.
 */
MUSE_API int muse_coordinate(MuseModel *model, const MuseReasonPart *parts, size_t n_parts, const char *const *questions, size_t n, const char *question,
                             const MuseReasonParams *params, MuseReasonResult *out, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
