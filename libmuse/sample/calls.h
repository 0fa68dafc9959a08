/* SPDX-License-Identifier: Apache-2.0 */
/* A grammar for what stands inside a call of a tool: which tokens may come while a model writes one. Users: libmuse/reason/call_mask.c, tests. */
#ifndef LIBMUSE_SAMPLE_CALLS_H
#define LIBMUSE_SAMPLE_CALLS_H

#include "muse/text.h"
#include "ops/runtime.h"

typedef struct MuseCallRule {
    const char *name;         /* terminated; ASCII that JSON writes as it is */
    const char *arguments;    /* a regular expression, the braces too; NULL: any arguments */
} MuseCallRule;

typedef struct MuseCallParams {
    const MuseCallRule *rules;  /* [n], n at least 1; borrowed for the call, as their texts */
    size_t   n;
    int32_t  end;               /* the token that ends a call */
    int32_t  mark;              /* Gemma: call:NAME{key:value}, this token at both ends of a string. -1: JSON, as Qwen writes it: {"name": ..., "arguments": {...}} */
} MuseCallParams;

/* One thread at a time. */
typedef struct MuseCallGrammar MuseCallGrammar;
typedef struct MuseCursor MuseCursor;   /* where a call stands */

/* 0; errors as muse_grammar_open_regex() */
int  muse_call_grammar_open(MuseCallGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const MuseCallParams *p, MuseError *err);
void muse_call_grammar_close(MuseCallGrammar **g);
/* The beginning of a call. *at: NULL, or of an earlier one, which is used again; release with muse_free(). 0; MUSE_ERR_NOMEM */
int  muse_call_start(const MuseCallGrammar *g, MuseCursor **at, MuseError *err);
/* Logits [V] of tokens that can't come become -inf. false: there is no other, and nothing has changed */
bool muse_call_mask(MuseCallGrammar *g, const MuseCursor *at, float *logits, uint32_t V);
/* One token of the call, its end too; false: it can't come there, and *at is of no use any more */
bool muse_call_follow(const MuseCallGrammar *g, MuseCursor *at, int32_t id);

#endif
