/* SPDX-License-Identifier: Apache-2.0 */
/* MuseAgent from the inside. Users: this folder, tests.
 *
 *   prompt | t t t <look> .. <box> x y x y | cut | t t </think> | answer
 *            take() reads each id: parser (thought, answer, calls), chain (places), counters, steps
 *            settle() follows when it is computed: shows what was asked for, ends the turn */
#ifndef LIBMUSE_REASON_AGENT_H
#define LIBMUSE_REASON_AGENT_H

#include "libmuse/chat/chat.h"
#include "libmuse/reason/chain.h"
#include "libmuse/sample/calls.h"
#include "libmuse/session/session.h"
#include "muse/reason.h"
#include "muse/trace.h"

enum { MUSE_STOP_IDS_MAX = 64, MUSE_EXACT_MAX = 4 };
/* A view is shown so often in a turn, and so many looks in a row at such views end the thought. Why 3: docs/reason.md, "Budgets" */
enum { MUSE_SHOWN_MAX = 3, MUSE_AGAIN_MAX = 2 };

/* What forks have in common; read-only after open but for the scratch and the grammar of calls, and they belong to one thread */
typedef struct MuseAgentShared {
    atomic_int      refs;
    MuseRuntime    *rt;
    MuseModel      *model;
    MuseAgentParams p;              /* 0 resolved; what was borrowed for open only is NULL */
    MuseProgressFn *progress;       /* the caller's own, of prompts */
    void           *progress_user;
    MuseSampleParams sample;        /* grammar taken out */
    const MuseGrammar *grammar;     /* of the answer */
    MuseChat       *chat;           /* the prompt */
    const char     *format;
    MuseWords       words;
    bool            chains, offers_look;
    int             boxes;          /* MUSE_BOXES_: of answers in JSON; UNKNOWN with place tokens */
    int32_t         stop[MUSE_STOP_IDS_MAX];
    size_t          n_stop;
    int32_t        *close;          /* what ends a thought; NULL: the format has none */
    size_t          n_close;
    int32_t         think_end;      /* the token that ends a thought: never part of an answer; -1 */
    uint32_t        vocab;
    float          *masked;         /* [vocab] */
    MuseCallGrammar *calls;         /* made with the first call; NULL */
    bool            calls_tried;
    bool            view;           /* the pictures are parts of those in the trace: view.h */
} MuseAgentShared;

typedef struct MusePicture {
    MuseImage *image;
    uint32_t   origin;              /* number among those given, from 1; 0: a tool's */
    uint32_t   traced;              /* its picture in the trace; 0: none */
    bool       given;               /* no cut and not a tool's */
} MusePicture;

/* Where events of a run go */
typedef struct MuseRun {
    int      stage;
    uint64_t tokens;
    size_t   done, agents;
    bool     stop;                  /* the event function wants to */
    void   (*ended)(void *user, MuseAgent *agent);   /* NULL: nobody asks */
    void    *user;
} MuseRun;

typedef struct MuseAskedCall {
    char  *name, *arguments;        /* terminated; a call that can't be read: its text, and arguments NULL */
    size_t n_arguments;
    char  *error;                   /* why it can't be read */
} MuseAskedCall;

typedef struct MuseRecord MuseRecord;

struct MuseAgent {
    MuseAgentShared *shared;        /* one reference held */
    uint32_t         number;
    uint64_t         seed;
    float            temperature;
    MuseSession     *s;
    MuseChat        *chat;          /* its own once it differs from shared->chat; NULL */
    MuseChatParser  *parser;        /* of this turn */
    MuseSampler     *sampler, *answerer;   /* answerer: with a grammar; NULL */
    MuseChain        chain;
    MusePicture     *pictures;      /* in the order of the sequence's numbers */
    size_t           n_pictures, cap_pictures;
    MuseReasonStep        *steps;
    size_t           n_steps, cap_steps;
    MuseBuf          ids;           /* int32_t: all that was written */
    MuseBuf          forced, script;/* int32_t: what is written next, for it; what tests let it pick */
    size_t           forced_at, script_at;
    MuseFocus        exact[MUSE_EXACT_MAX];   /* rectangles of forced looks that are to come */
    size_t           n_exact;
    MuseBuf          thought, answer;
    MuseAskedCall   *calls;         /* of this turn */
    size_t           n_calls, cap_calls;
    MuseCursor      *call_at;       /* in the call that is being written; NULL: there was none yet */
    bool             call_held;     /* it is held to the syntax */
    size_t           turn_first;    /* ids[turn_first] began this turn */
    size_t           text_from;     /* ids behind the last step */
    uint64_t         prompt, thought_tokens, answer_tokens, forced_tokens, view_positions, thought_max;   /* thought_tokens, answer_tokens: of this answer */
    uint32_t         looks, refused, bad, calls_made, asked;   /* asked: turns that ended in calls */
    uint32_t         again;         /* looks in a row that were refused since the view was shown often enough */
    double           answer_logprob;/* sum over n_answer_ids */
    size_t           n_answer_ids;
    size_t           answer_id, answer_position;     /* where the answer begins; SIZE_MAX: it did not yet */
    size_t           thought_id, thought_position;   /* of the token that ended the thought; SIZE_MAX */
    MuseChain        chain_then;    /* before that token */
    MuseFocus        cited;         /* the region named last; image 0: none. Pixels of the original */
    uint32_t         first_picture; /* what places meant when the turn began */
    size_t           asked_pictures;/* n_pictures then */
    double           doubt;         /* MuseAgentParams.doubt, of this turn */
    MuseBuf          direct;        /* doubted: the answer that it took back */
    double           direct_probability;
    uint64_t         direct_tokens, direct_thought;   /* what it took, of each kind */
    bool             doubted;
    bool             closing;       /* what ends the thought is being written */
    bool             ended_early;   /* the model ended this turn in its thought, and was kept from it */
    bool             pending;       /* the last id is not computed yet */
    bool             look_due;      /* show `due` when it is */
    MuseReasonStep         due;
    int              ending;        /* MUSE_AGENT_* when it is; 0: goes on */
    bool             calls_due;     /* the turn waits for results */
    bool             broken;        /* an error in the middle of something: close is all that is left */
    int              finish;
    bool             told;          /* the run has told of it */
    MuseRun         *run;           /* NULL: not running */
    MuseTrace       *trace;         /* of this turn, of forks too; NULL */
    uint32_t         trace_first;   /* agent number 0 is this agent of the trace: 1 in a turn of several, whose answers are votes. Forks have it too */
    double           started;       /* muse_reason_now() of its second 0 */
    MuseRecord      *record;        /* record.h; NULL: nobody wants a trace */
};

/* Lets it pick these ids instead of its own choice, as long as they reach and the masks allow them. For tests */
int muse_agent_script(MuseAgent *a, const int32_t *ids, size_t n);

/* ---- agent.c ---- */
int  muse_agent_start_turn(MuseAgent *a, MuseError *err);                 /* a new parser */
int  muse_agent_open_samplers(MuseAgent *a, MuseError *err);               /* again: they forget what they saw */
int  muse_agent_add_part(MuseAgent *a, MuseChat *chat, const MuseReasonPart *p, MuseError *err);   /* to the newest message; pictures are numbered */
int  muse_agent_force(MuseAgent *a, const int32_t *ids, size_t n, MuseError *err);
int  muse_agent_add_picture(MuseAgent *a, MusePicture picture, MuseError *err);   /* with a reference of its own */
/* keeps a step with what was written since the one before (text NULL) or with this text; tells of it */
int  muse_agent_add_step(MuseAgent *a, MuseReasonStep step, const char *text, const char *reason, MuseError *err);
int  muse_agent_bad(MuseAgent *a, const char *what, MuseError *err);
void muse_agent_tell(MuseAgent *a, MuseReasonEvent e);
const MuseChat *muse_agent_chat(const MuseAgent *a);
uint64_t muse_agent_room(const MuseAgent *a);
/* of these, what is kept for ending a thought and for an answer: 32 positions, less if it may not have so many */
uint64_t muse_agent_reserve(const MuseAgent *a);
static inline size_t muse_agent_count(const MuseAgent *a) { return a->ids.len / sizeof(int32_t); }
static inline const int32_t *muse_agent_id(const MuseAgent *a, size_t i) { return (const int32_t *)(const void *)a->ids.data + i; }
/* muse_agent_score() of n answers, at least 1: where a's answer begins is computed once for all. logprobs [n] */
int  muse_agent_score_all(const MuseAgent *a, const MuseAgent *const *answers, size_t n, double *logprobs, MuseError *err);
void muse_agent_calls_clear(MuseAgent *a);
int  muse_agent_drain(MuseAgent *a, bool *end, int *reason, MuseError *err);   /* what the parser has read */

/* ---- look.c ---- */
/* Why this picture may not be shown now, or NULL; *cut: it, n: its positions. 0 or an error that is not the model's */
int  muse_agent_cut(MuseAgent *a, const MusePicture *from, MuseRect rect, MuseImage **cut, MuseRect *view, uint64_t *n, const char **why, MuseError *err);
int  muse_agent_show(MuseAgent *a, MuseError *err);                        /* a->due, at the end of the sequence */
MuseRect muse_agent_to_original(const MuseImage *image, MuseRect r);
/* the place of a chain in pixels of this picture (number in the sequence), or false */
bool muse_agent_place(const MuseAgent *a, int kind, uint32_t number, MuseRect *out);

/* ---- call.c ---- */
int  muse_agents_answer_calls(MuseAgent *const *agents, size_t n, MuseError *err);   /* of those that wait */
/* Looks as calls of one turn: forced. looks [n], n at least 1: number of the picture in the sequence, its pixels */
int  muse_agent_call_ids(MuseAgent *a, const MuseFocus *looks, size_t n, MuseError *err);
int  muse_agent_offer_look(MuseChat *chat, MuseError *err);

/* ---- call_mask.c ---- */
/* The newest id was read; before: it came inside a call. 0; MUSE_ERR_NOMEM */
int  muse_agent_follow_call(MuseAgent *a, int32_t id, bool before, MuseError *err);
/* The logits under what may come inside a call, in shared->masked, or NULL: nothing is known of it */
const float *muse_agent_call_logits(const MuseAgent *a, const float *logits);
extern const char muse_look_name[];   /* of the tool: call.c */

/* ---- doubt.c ---- */
/* The turn ends in an answer: the agent has ended so, or, in doubt, stands at the end of the question again and is to think */
int  muse_agent_end_answer(MuseAgent *a, int how, MuseError *err);
bool muse_agent_gives_up(const MuseAgent *a);                              /* whatever follows, this answer will be taken back */
bool muse_agent_may_doubt(double doubt, int thinking);                     /* MuseAgentParams.doubt has a meaning */

/* ---- turn.c ---- */
void muse_agent_begin_answer(MuseAgent *a, uint32_t image);               /* counts and places of an answer begin anew, behind what stands in the sequence */

/* ---- run.c ---- */
int  muse_agents_run(MuseAgent *const *agents, size_t n, MuseRun *run, MuseError *err);
bool muse_agent_cancelled(const MuseAgent *a);
void muse_agent_finish(MuseAgent *a, int how);

/* ---- vote.c ---- */
void muse_reason_trim(const char **text, size_t *n);
size_t muse_reason_place(const char *text, size_t n, int *value);   /* bytes of "<x12>" or "<y7>" at the beginning, 0 if there is none */
bool muse_reason_same(const char *a, size_t n_a, const char *b, size_t n_b);
bool muse_reason_agree(const char *a, size_t n_a, const char *b, size_t n_b);   /* for a vote: places may be 2 apart */
/* Each vote goes to the first candidate with whose first vote it agrees, so that later votes move nobody: a near b and b near c do not make
 * a near c. out [n]: vote (the first), count, weight (a sum). @return the number of candidates */
size_t muse_reason_group(const MuseVote *votes, size_t n, MuseCandidate *out);
/* muse_vote(). plain < n: the vote of the chain that one agent alone would write; its candidate comes first if no other has more votes */
int muse_reason_vote(const MuseVote *votes, size_t n, size_t plain, MuseCandidate *out, size_t *n_out, MuseError *err);
void muse_reason_lead(const MuseCandidate *c, size_t n, size_t *lead, size_t *second);   /* the two largest counts */

#endif
