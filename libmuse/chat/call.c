/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a call that a model wrote, to a name and JSON arguments. Whatever does not fit the syntax is an error with a
 * sentence that the model can be shown; nothing is guessed. Called by parse.c. */
#include <string.h>

#include "base/utf8.h"
#include "libmuse/chat/chat.h"

enum { DEPTH_MAX = 100 };   /* below the JSON parser's */

/* ---- Gemma 4: call:NAME{key:value,...}, strings between string marks ---- */

typedef struct Reader {
    const MuseCallText *call;
    size_t at, quote;          /* quote: the next string mark */
    MuseBuf  *out;
    MuseError *err;
} Reader;

static int bad(const Reader *r, const char *what) { return muse_fail(r->err, MUSE_ERR_FORMAT, "byte %zu of the call: %s", r->at, what); }

static int put(Reader *r, const char *text, size_t n) { return muse_buf_append(r->out, text, n) < 0 ? MUSE_NOMEM(r->err, n) : 0; }

static bool at_quote(const Reader *r) { return r->quote < r->call->n_quotes && r->call->quotes[r->quote] == r->at; }

/* the character here; 0 at the end and at a string mark */
static char peek(const Reader *r) { return r->at < r->call->n && !at_quote(r) ? r->call->text[r->at] : 0; }

static void skip_space(Reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\n' || peek(r) == '\t' || peek(r) == '\r') r->at++;
}

static int put_string(Reader *r, const char *text, size_t n)
{
    if (muse_utf8_valid((const uint8_t *)text, n) != n) return bad(r, "text that is not UTF-8");
    return muse_json_write_string(r->out, text, n) < 0 ? MUSE_NOMEM(r->err, n) : 0;
}

static int read_string(Reader *r)
{
    const size_t from = r->at + r->call->quote_bytes;
    if (++r->quote == r->call->n_quotes) return bad(r, "a string that does not end");
    const size_t to = r->call->quotes[r->quote++];
    r->at = to + r->call->quote_bytes;
    return put_string(r, r->call->text + from, to - from);
}

static int read_key(Reader *r)
{
    if (at_quote(r)) return read_string(r);
    const size_t from = r->at;
    while (peek(r) && !strchr(":,{}[]", peek(r))) r->at++;
    if (r->at == from) return bad(r, "a key is missing");
    return put_string(r, r->call->text + from, r->at - from);
}

static int read_value(Reader *r, unsigned depth);

/* members up to the closing bracket; the opening one was read */
static int read_members(Reader *r, char close, unsigned depth)
{
    int rc = put(r, close == '}' ? "{" : "[", 1);
    skip_space(r);
    for (bool first = true; rc == 0 && (first ? peek(r) != close : peek(r) == ','); first = false) {
        if (!first) r->at++, rc = put(r, ",", 1);
        skip_space(r);
        if (close == '}') {
            if (rc == 0) rc = read_key(r);
            if (rc == 0 && peek(r) != ':') rc = bad(r, "a colon is missing behind a key");
            if (rc == 0) r->at++, rc = put(r, ":", 1);
            skip_space(r);
        }
        if (rc == 0) rc = read_value(r, depth);
        skip_space(r);
    }
    if (rc < 0) return rc;
    if (peek(r) != close) return bad(r, close == '}' ? "a comma or } is missing" : "a comma or ] is missing");
    r->at++;
    return put(r, &close, 1);
}

static int read_value(Reader *r, unsigned depth)
{
    if (depth == DEPTH_MAX) return bad(r, "nested deeper than 100 levels");
    if (at_quote(r)) return read_string(r);
    const char c = peek(r);
    if (c == '{' || c == '[') {
        r->at++;
        return read_members(r, c == '{' ? '}' : ']', depth + 1);
    }
    const char *word = r->call->text + r->at;
    size_t n = 0;
    while (peek(r) && !strchr(",{}[]: \n\t\r", peek(r))) r->at++, n++;
    if ((n == 4 && (memcmp(word, "true", 4) == 0 || memcmp(word, "null", 4) == 0)) || (n == 5 && memcmp(word, "false", 5) == 0)) return put(r, word, n);
    bool number = n > 0;
    for (size_t i = 0; i < n; i++) number = number && strchr("0123456789+-.eE", word[i]);   /* its grammar is checked as JSON afterwards */
    if (number) return put(r, word, n);
    r->at -= n;
    return bad(r, "neither a number, true, false, null, a list, an object nor text between string marks");
}

int muse_read_call_gemma4(const MuseCallText *call, MuseBuf *out, MuseError *err)
{
    Reader r = { .call = call, .out = out, .err = err };
    if (call->n < 5 || memcmp(call->text, "call:", 5) != 0) return bad(&r, "it does not start with call:");
    r.at = 5;
    while (peek(&r) && peek(&r) != '{') r.at++;
    if (!muse_chat_name_ok(call->text + 5, r.at - 5)) return bad(&r, "no tool can have this name");
    int rc = put(&r, call->text + 5, r.at - 5);
    if (rc == 0) rc = put(&r, "", 1);
    if (rc == 0 && peek(&r) != '{') rc = bad(&r, "the arguments are missing");
    if (rc < 0) return rc;
    r.at++;
    rc = read_members(&r, '}', 1);
    skip_space(&r);
    return rc == 0 && r.at < call->n ? bad(&r, "something follows the arguments") : rc;
}

/* ---- Qwen: {"name": ..., "arguments": {...}} ---- */

int muse_read_call_json(const MuseCallText *call, MuseBuf *out, MuseError *err)
{
    MuseJson doc;
    int rc = muse_json_parse(&doc, call->alloc, call->text, call->n, err);
    if (rc < 0) return rc;
    const MuseJsonValue *name = muse_json_get(doc.root, "name"), *arguments = muse_json_get(doc.root, "arguments");
    if (doc.root->type != MUSE_JSON_OBJECT || doc.root->len != 2 || !name || !arguments)
        rc = muse_fail(err, MUSE_ERR_FORMAT, "a call is one JSON object with \"name\" and \"arguments\" and nothing else");
    else if (name->type != MUSE_JSON_STRING || !muse_chat_name_ok(name->u.string, name->len))
        rc = muse_fail(err, MUSE_ERR_FORMAT, "no tool can have this name");
    else if (arguments->type != MUSE_JSON_OBJECT)
        rc = muse_fail(err, MUSE_ERR_FORMAT, "the arguments are no JSON object");
    else rc = muse_json_check(call->alloc, arguments, "arguments of a call", err);
    if (rc == 0 && (muse_buf_append(out, name->u.string, name->len) < 0 || muse_buf_append(out, "", 1) < 0 || muse_json_dump(out, arguments) < 0))
        rc = MUSE_NOMEM(err, call->n);
    muse_json_close(&doc);
    return rc;
}
