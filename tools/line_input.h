/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that a person types, with editing and history where libedit is built in, or that a script pipes in. User: talk.c. */
#ifndef TOOLS_LINE_INPUT_H
#define TOOLS_LINE_INPUT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct LineInput LineInput;

LineInput *line_input_open(const char *prompt);   /* from standard input; the prompt is shown on terminals only. NULL: no memory */
void line_input_close(LineInput *in);
bool line_input_is_person(const LineInput *in);   /* a terminal */

/* The next line without its end, terminated; valid until the next call. NULL at the end of the input, or, with *interrupted set, when
 * Ctrl-C was pressed: what was typed is gone, reading may go on. */
char *line_input_next(LineInput *in, bool *interrupted);

#endif
