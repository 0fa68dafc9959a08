/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of thought as steps of a MuseTrace, while it is written. Users: the files of this folder that read tokens, show pictures and end agents.
 *
 *   token -> muse_record_token()    position, probability, time
 *         -> muse_record_step()     what the chain completed with it: a place, a look, a comparison
 *         -> muse_record_text()     the words of it
 *   look, call, end of a thought or of the agent -> the calls below
 *
 * All of them do nothing for an agent without a trace. Errors are those of muse_trace_add(). */
#ifndef LIBMUSE_REASON_RECORD_H
#define LIBMUSE_REASON_RECORD_H

#include "libmuse/reason/agent.h"

/* The record of one agent in its trace, or none. Pictures that the trace does not have yet are added, others must be the same. */
int  muse_record_open(MuseAgent *a, MuseError *err);
void muse_record_close(MuseAgent *a);                              /* and its watch, if it watches */

void muse_record_token(MuseAgent *a, const MuseSampled *id, bool forced);
int  muse_record_step(MuseAgent *a, const MuseReasonStep *s, const char *reason, MuseError *err);   /* not LOOK and CALL of a tool format */
int  muse_record_text(MuseAgent *a, const char *text, size_t n, bool thought, MuseError *err);
int  muse_record_break(MuseAgent *a, MuseError *err);              /* the newest token begins something else */
int  muse_record_thought_end(MuseAgent *a, MuseError *err);        /* with the newest token */
/* A call in a tool format. reply: of a tool, or NULL; reason: why nothing came of it, or "" */
int  muse_record_call(MuseAgent *a, const MuseReasonStep *s, const char *call, const MuseToolReply *reply, const char *reason, MuseError *err);
int  muse_record_picture(MuseAgent *a, MuseImage *image, const char *name, uint32_t *number, MuseError *err);   /* a tool's; 0: not traced */
int  muse_record_end(MuseAgent *a, bool cut, MuseError *err);      /* the agent has ended: once. cut: or all is over before it has, which is told as if it were stopped; it may go on */
int  muse_record_doubt(MuseAgent *a, const MuseAgentInfo *info, MuseError *err);   /* its answer is taken back; the record is closed and opened anew then */

/* The run's own: who answered for all (NULL: nobody), how it ended */
int  muse_record_result(MuseTrace *trace, const MuseReasonResult *r, const MuseAgent *winner, bool several, MuseError *err);
double muse_reason_now(void);                                      /* seconds, from some moment on */

#endif
