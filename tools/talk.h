/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation in muse chat. Users: talk.c (what is said), talk_several.c (a turn of several agents),
 * talk_commands.c (lines that begin with /). */
#ifndef TOOLS_TALK_H
#define TOOLS_TALK_H

#include "tools/ask.h"
#include "tools/trace_show.h"

enum { TALK_QUEUE = 64, TALK_LOOKS = 4 };
enum { HISTORY_AUTO, HISTORY_KEEP, HISTORY_NONE };   /* auto: none in models of the family muse, else keep */

typedef struct TalkPicture {
    MuseImage *image;                         /* held */
    char      *name;
    uint32_t   budget;
} TalkPicture;

typedef struct Talk {
    Cli         *cli;
    AskOptions   o;
    uint32_t     history;                     /* resolved when the model is open */
    bool         told;                        /* that there is no history, or nobody needs to be told */
    const char  *system;
    char        *path;                        /* of the model */
    MuseRuntime *rt;
    MuseModel   *model;
    MusePrefixCache *cache;                   /* history none: pictures that were asked about are not computed again */
    MuseAgent   *agent;                       /* NULL: nothing was said yet */
    MuseTrace   *trace;                       /* of the newest turn; NULL */
    MuseReasonPart queue[TALK_QUEUE];         /* pictures and sounds of the next message; held */
    char        *queue_names[TALK_QUEUE];
    size_t       n_queue;
    TalkPicture *pictures;                    /* of the whole conversation; history none: those that came last */
    size_t       n_pictures, room;
    MuseFocus    looks[TALK_LOOKS];           /* asked for at the next turn */
    size_t       n_looks;
    bool         sounds;                      /* the newest message had some */
    bool         chosen;                      /* the agent is one of several: it may draw its tokens */
    size_t       shown;                       /* bytes of the answer that are on stdout */
    Shown        chain;                       /* the chain on stderr */
    int          code;                        /* of the newest failure */
    bool         quit;
} Talk;

#define TALK_ONE_VIEW "is for questions by themselves (--history none): a conversation goes on from one agent, so all see the pictures as they are"

/* talk.c; failures are said and leave their exit code in t->code */
void talk_queue(Talk *t, PartKind kind, const char *path, uint32_t budget);   /* a picture or sound for the next message */
void talk_say(Talk *t, const char *text);       /* and let the model answer; "" with what is queued */
void talk_reset(Talk *t);
bool talk_begins_anew(const Talk *t);           /* the next message leaves the pictures before it behind */

/* Of the conversation's agents; a struct, since the params point to each other */
typedef struct TalkParams { MuseAgentParams agent; MuseSessionParams session; MuseSampleParams sample; } TalkParams;
void talk_params(Talk *t, TalkParams *p);

/* talk_several.c: mode contemplating */
/* Ask several agents the next message. *taken: it is part of the conversation now, whatever is returned. Result: also on error, to be cleared */
int  talk_contemplate(Talk *t, const MuseReasonPart *parts, size_t n, MuseTrace *trace, MuseReasonResult *out, bool *taken, MuseError *err);
void talk_adopt(Talk *t, MuseReasonResult *r);  /* the conversation goes on from the one whose answer it is */

/* talk_commands.c */
void talk_command(Talk *t, char *line);
void talk_commands_help(FILE *to);

#endif
