/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas into fragments. Users: grammar.c; literal.c and schema.c among themselves. */
#ifndef LIBMUSE_SAMPLE_SCHEMA_H
#define LIBMUSE_SAMPLE_SCHEMA_H

#include "base/json.h"
#include "libmuse/sample/nfa.h"

/* n bytes of a schema to rules; 0 or f->rc. space: MUSE_GRAMMAR_COMPACT .. FREE */
int muse_schema_write(MuseNfa *f, const void *source, size_t n, unsigned space);

/* literal.c */
/* Tokens of structure: a byte, with the white space that stands before and after it. */
MuseFrag muse_json_mark(MuseNfa *f, char mark, unsigned space);
/* a value of JSON as it is written; keys and strings with the escapes that they must have */
MuseFrag muse_json_literal(MuseNfa *f, const MuseJsonValue *v, unsigned space);
/* "text": also for keys */
MuseFrag muse_json_text(MuseNfa *f, const char *text, size_t n);
MuseFrag muse_json_number(MuseNfa *f);
MuseFrag muse_json_integer(MuseNfa *f, const int64_t *min, const int64_t *max);   /* NULL: no bound */
/* "any string" of min to max characters */
MuseFrag muse_json_string(MuseNfa *f, uint32_t min, uint32_t max);
/* any string that is none of the texts; plain spelling, so that no escape hides one of them */
typedef struct MuseText { const char *text; uint32_t n; } MuseText;
MuseFrag muse_json_other_key(MuseNfa *f, MuseText *texts, size_t n);

#endif
