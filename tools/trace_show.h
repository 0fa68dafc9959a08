/* SPDX-License-Identifier: Apache-2.0 */
/* A trace for people: its steps as lines while it grows, and its faces as files. Users: ask.c, talk.c. */
#ifndef TOOLS_TRACE_SHOW_H
#define TOOLS_TRACE_SHOW_H

#include "tools/cli.h"

/* A MuseTraceFn: each complete step as a line on stderr, the answer of the run excepted; a thought that grows as it grows. user: a Shown, zeroed. */
typedef struct Shown { uint32_t live; } Shown;   /* the step whose line is not ended; 0 */
void show_step(void *user, const MuseTrace *trace, int event, uint32_t number, const char *text, size_t n_text);
/* An answer on stdout. On a terminal control characters are shown as ?: they are a model's, and could do what they like there. false: can't write */
bool show_answer_text(const char *text, size_t n);
/* Text of a model's on stderr, on one line: control characters as spaces */
void show_words(const char *text, size_t n);
/* The run's answer with its places in pixels, or (raw) as it was written. Lives as long as the trace is not changed */
const char *trace_answer(const MuseTrace *trace, bool raw, size_t *n);
/* What it took, as a line on stderr */
void show_summary(const MuseTrace *trace);

/* Files, by what path ends in: .png (annotated picture), .html, .json. "" when the end says none of these: *kind 0 */
typedef enum TraceFile { TRACE_NONE, TRACE_PNG, TRACE_HTML, TRACE_JSON } TraceFile;
TraceFile trace_file_kind(const char *path);
int trace_write(const MuseTrace *trace, TraceFile kind, const char *path, bool heat, bool quiet);   /* exit code; says what it wrote on stderr */
int trace_print_json(const MuseTrace *trace, const char *more, size_t n_more);   /* with the members of the object `more` too; one line on stdout; exit code */

/* The name of a file without its folders */
const char *base_name(const char *path);

#endif
