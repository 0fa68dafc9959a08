/* SPDX-License-Identifier: Apache-2.0 */
/* What a model wrote, to thought, answer and calls. Text or ids become events (a control token, or text); one small machine with
 * three states reads them by the tables of the format. All it read is kept as a list of pieces: items are a cursor over it,
 * a message is all of it. No decisions about tools: the caller's. */
#include <string.h>

#include "libmuse/chat/chat.h"

typedef enum State { IN_ANSWER, IN_THOUGHT, IN_CALL } State;

typedef struct Piece {
    int    kind;                     /* MUSE_CHAT_THOUGHT .. MUSE_CHAT_BAD_CALL */
    bool   thought;
    size_t at, n;                    /* into text; CALL: the name; BAD_CALL: what the model wrote */
    size_t more, n_more;             /* CALL: arguments; BAD_CALL: the error */
} Piece;

struct MuseChatParser {
    MuseRuntime *rt;
    const MuseChatFormat *format;
    const MuseTextTokenizer *tok;
    MuseTextDecoder *decoder;
    int32_t  control_ids[MUSE_CONTROLS_MAX];   /* -1: there is none */
    enum { FED_NOTHING, FED_TEXT, FED_IDS } fed;
    State    state, around;          /* around: where a call stands */
    const char *skip;                /* text of the format's that may come now; NULL: none */
    size_t   skipped;                /* bytes of it that came */
    bool     newline;                /* one line end that may be the format's */
    int      reason;                 /* 0: not at the end */
    int      broken;                 /* an error that can't be undone */
    MuseBuf  hold;                   /* text that may be the start of a control token */
    MuseBuf  call, quotes;           /* the inside of a call; size_t: its string marks */
    MuseBuf  text, pieces;           /* Piece */
    size_t   taken, taken_bytes;     /* pieces given out, and bytes of the next one */
    bool     end_taken;
};

static Piece *piece_at(const MuseChatParser *p, size_t i) { return (Piece *)(void *)p->pieces.data + i; }

static size_t piece_count(const MuseChatParser *p) { return p->pieces.len / sizeof(Piece); }

/* ---- pieces ---- */

static int add_piece(MuseChatParser *p, int kind, const char *text, size_t n)
{
    if (n == 0) return 0;
    const size_t count = piece_count(p);
    Piece *last = count ? piece_at(p, count - 1) : NULL;
    const Piece piece = { .kind = kind, .thought = p->state == IN_THOUGHT, .at = p->text.len, .n = n };
    if (muse_buf_append(&p->text, text, n) < 0) return MUSE_ERR_NOMEM;
    if (last && last->kind == kind && kind <= MUSE_CHAT_ANSWER) last->n += n;
    else return muse_buf_append(&p->pieces, &piece, sizeof piece);
    return 0;
}

/* text of thought or answer; a line end that may belong to the format waits */
static int add_text(MuseChatParser *p, const char *text, size_t n)
{
    const bool thought = p->state == IN_THOUGHT, may_hold = thought ? p->format->think_tail[0] == '\n' : p->format->newline_before_call;
    const int kind = thought ? MUSE_CHAT_THOUGHT : MUSE_CHAT_ANSWER;
    if (n == 0) return 0;
    int rc = p->newline ? add_piece(p, kind, "\n", 1) : 0;
    p->newline = may_hold && text[n - 1] == '\n';
    return rc < 0 ? rc : add_piece(p, kind, text, n - p->newline);
}

/* what waited is text after all */
static int release(MuseChatParser *p)
{
    int rc = 0;
    if (p->skip && p->skipped) rc = add_text(p, p->skip, p->skipped);
    p->skip = NULL;
    p->skipped = 0;
    if (rc == 0 && p->newline) rc = add_piece(p, p->state == IN_THOUGHT ? MUSE_CHAT_THOUGHT : MUSE_CHAT_ANSWER, "\n", 1);
    p->newline = false;
    return rc;
}

static int on_text(MuseChatParser *p, const char *text, size_t n)
{
    if (p->state == IN_CALL) return muse_buf_append(&p->call, text, n);
    while (n > 0 && p->skip && p->skip[p->skipped] == *text) {
        text++, n--;
        if (!p->skip[++p->skipped]) p->skip = NULL, p->skipped = 0;
    }
    if (n > 0 && p->skip) {
        const char *came = p->skip;
        const size_t k = p->skipped;
        p->skip = NULL;
        p->skipped = 0;
        const int rc = add_text(p, came, k);
        if (rc < 0) return rc;
    }
    return add_text(p, text, n);
}

/* ---- calls ---- */

static const char *control_text(const MuseChatParser *p, MuseTokenRole role)
{
    for (size_t i = 0; i < p->format->n_controls; i++)
        if (p->format->controls[i].role == role) return p->format->controls[i].text;
    return "";
}

static int add_bad_call(MuseChatParser *p, bool closed, const char *why)
{
    const char *open = control_text(p, MUSE_TOKEN_CALL), *close = closed ? control_text(p, MUSE_TOKEN_CALL_END) : "";
    Piece piece = { .kind = MUSE_CHAT_BAD_CALL, .at = p->text.len, .n = strlen(open) + p->call.len + strlen(close), .n_more = strlen(why) };
    piece.more = piece.at + piece.n;
    if (muse_buf_append(&p->text, open, strlen(open)) < 0 || muse_buf_append(&p->text, p->call.data, p->call.len) < 0 ||
        muse_buf_append(&p->text, close, strlen(close)) < 0 || muse_buf_append(&p->text, why, strlen(why) + 1) < 0)
        return MUSE_ERR_NOMEM;
    return muse_buf_append(&p->pieces, &piece, sizeof piece);
}

/* out: name, NUL, arguments */
static int add_call(MuseChatParser *p, const MuseBuf *out)
{
    const size_t n_name = strlen((const char *)out->data);
    const Piece piece = { .kind = MUSE_CHAT_CALL, .at = p->text.len, .n = n_name, .more = p->text.len + n_name + 1, .n_more = out->len - n_name - 1 };
    if (muse_buf_append(&p->text, out->data, out->len) < 0 || muse_buf_append(&p->text, "", 1) < 0) return MUSE_ERR_NOMEM;
    return muse_buf_append(&p->pieces, &piece, sizeof piece);
}

/* unclosed: NULL, or why it did not end */
static int end_call(MuseChatParser *p, const char *unclosed)
{
    MuseError why;
    MuseChatJson arguments = { 0 };
    MuseBuf out = { .alloc = &p->rt->alloc };
    const MuseCallText call = { .alloc = &p->rt->alloc, .text = p->call.data ? (const char *)p->call.data : "", .n = p->call.len,
                                .quotes = (const size_t *)(const void *)p->quotes.data, .n_quotes = p->quotes.len / sizeof(size_t),
                                .quote_bytes = strlen(control_text(p, MUSE_TOKEN_QUOTE)) };
    int rc = unclosed ? muse_fail(&why, MUSE_ERR_FORMAT, "%s", unclosed) : p->format->read_call(&call, &out, &why);
    if (rc == 0) {   /* what is given out can be added to a chat */
        const size_t n_name = strlen((const char *)out.data);
        rc = muse_chat_json_set(&arguments, &p->rt->alloc, (const char *)out.data + n_name + 1, out.len - n_name - 1, true, "arguments of the call", &why);
    }
    if (rc == 0) rc = add_call(p, &out);
    else if (rc != MUSE_ERR_NOMEM) rc = add_bad_call(p, !unclosed, why.text);
    muse_chat_json_clear(&arguments);
    muse_buf_clear(&out);
    p->call.len = p->quotes.len = 0;
    p->state = p->around;
    return rc;
}

/* ---- events ---- */

static int end(MuseChatParser *p, int reason)
{
    int rc = p->state == IN_CALL ? end_call(p, "the call does not end") : 0;
    if (rc == 0) rc = release(p);
    for (size_t i = 0; i < piece_count(p); i++)
        if (reason == MUSE_CHAT_STOP && (piece_at(p, i)->kind == MUSE_CHAT_CALL || piece_at(p, i)->kind == MUSE_CHAT_BAD_CALL)) reason = MUSE_CHAT_TOOLS;
    p->reason = reason;
    return rc;
}

static int begin_call(MuseChatParser *p)
{
    int rc = p->state == IN_CALL ? end_call(p, "another call begins inside it") : 0;
    if (p->state == IN_ANSWER && p->format->newline_before_call) p->newline = false, p->skipped = 0;   /* the format's */
    if (rc == 0) rc = release(p);
    p->around = p->state;
    p->state = IN_CALL;
    return rc;
}

static int on_control(MuseChatParser *p, const MuseControl *c)
{
    int rc = 0;
    if (c->role == MUSE_TOKEN_STOP) return end(p, MUSE_CHAT_STOP);
    if (c->role == MUSE_TOKEN_STOP_CALL) return end(p, MUSE_CHAT_TOOLS);
    if (c->role == MUSE_TOKEN_CALL) return begin_call(p);
    if (c->role == MUSE_TOKEN_CALL_END && p->state == IN_CALL) return end_call(p, NULL);
    if (c->role == MUSE_TOKEN_QUOTE && p->state == IN_CALL) rc = muse_buf_append(&p->quotes, &p->call.len, sizeof p->call.len);
    if (rc < 0) return rc;
    if (c->role == MUSE_TOKEN_INLINE && p->state != IN_CALL) return (rc = release(p)) < 0 ? rc : add_piece(p, MUSE_CHAT_TOKEN, c->text, strlen(c->text));
    if (c->role == MUSE_TOKEN_THINK && p->state == IN_ANSWER) {
        rc = release(p);
        p->state = IN_THOUGHT;
        p->skip = p->format->think_head[0] ? p->format->think_head : NULL;
        return rc;
    }
    if (c->role == MUSE_TOKEN_THINK_END && p->state == IN_THOUGHT) {
        p->newline = false;   /* the format's */
        rc = release(p);
        p->state = IN_ANSWER;
        p->skip = p->format->think_after[0] ? p->format->think_after : NULL;
        return rc;
    }
    return on_text(p, c->text, strlen(c->text));   /* it has no meaning here */
}

/* Control tokens spelled out in text: all of them when text is fed, those without an id when ids are. */
static bool is_spelled(const MuseChatParser *p, size_t i) { return p->fed == FED_TEXT || (p->control_ids[i] < 0 && p->format->controls[i].optional); }

/* Is there a control token at text? *n: its bytes. MUSE_AGAIN: more text will tell. -1: none. Else its number. */
enum { NO_CONTROL = -1, MAYBE_CONTROL = -2 };
static int control_here(const MuseChatParser *p, const char *text, size_t left, size_t *n)
{
    int found = NO_CONTROL;
    for (size_t i = 0; i < p->format->n_controls; i++) {
        const char *word = p->format->controls[i].text;
        const size_t k = strlen(word);
        if (word[0] != text[0] || !is_spelled(p, i)) continue;
        if (k <= left && memcmp(text, word, k) == 0) found = (int)i, *n = k;
        else if (k > left && memcmp(text, word, left) == 0) return MAYBE_CONTROL;
    }
    return found;
}

/* reads what is held; all: no more text comes. *rest: bytes behind the end of the turn */
static int scan(MuseChatParser *p, bool all, size_t *rest)
{
    const char *text = (const char *)p->hold.data;
    size_t at = 0, from = 0;
    int rc = 0;
    while (rc == 0 && at < p->hold.len && !p->reason) {
        size_t n = 0;
        const int found = control_here(p, text + at, p->hold.len - at, &n);
        if (found == MAYBE_CONTROL && !all) break;
        if (found < 0) {
            at++;
            continue;
        }
        rc = on_text(p, text + from, at - from);
        if (rc == 0) rc = on_control(p, &p->format->controls[found]);
        from = at += n;
    }
    if (rc == 0 && !p->reason) rc = on_text(p, text + from, at - from);
    *rest = p->hold.len - at;
    if (p->reason) p->hold.len = 0;
    else if (at > 0) {
        memmove(p->hold.data, text + at, *rest);
        p->hold.len = *rest;
    }
    return rc;
}

/* ---- the public side ---- */

int muse_chat_parser_open(MuseChatParser **out, const MuseChat *chat, const MuseTextTokenizer *tok, MuseError *err)
{
    MUSE_REQUIRE(err, out && chat);
    *out = NULL;
    MuseRender r;
    int rc = muse_chat_run(chat, &r, err);
    const bool in_thought = r.in_thought;
    muse_render_clear(&r);
    if (rc < 0) return rc;
    const MuseAllocator *a = &chat->rt->alloc;
    MuseChatParser *p = muse_zalloc(a, sizeof *p);
    if (!p) return MUSE_NOMEM(err, sizeof *p);
    p->rt = muse_runtime_ref(chat->rt);
    p->format = chat->format;
    p->tok = tok;
    p->state = in_thought ? IN_THOUGHT : IN_ANSWER;
    p->hold.alloc = p->call.alloc = p->quotes.alloc = p->text.alloc = p->pieces.alloc = a;
    for (size_t i = 0; i < p->format->n_controls; i++) {
        const char *text = p->format->controls[i].text;
        p->control_ids[i] = tok ? muse_text_find(tok, text, strlen(text)) : -1;
    }
    rc = tok ? muse_text_decoder_open(&p->decoder, tok, 0, err) : 0;
    if (rc < 0) goto fail;
    *out = p;
    return 0;
fail:
    muse_chat_parser_close(&p);
    return rc;
}

void muse_chat_parser_close(MuseChatParser **p)
{
    if (!p || !*p) return;
    MuseChatParser *q = *p;
    muse_text_decoder_close(&q->decoder);
    muse_buf_clear(&q->hold);
    muse_buf_clear(&q->call);
    muse_buf_clear(&q->quotes);
    muse_buf_clear(&q->text);
    muse_buf_clear(&q->pieces);
    MuseRuntime *rt = q->rt;
    muse_free(q);
    muse_runtime_close(&rt);
    *p = NULL;
}

bool muse_chat_parser_in_thought(const MuseChatParser *p) { return (p->state == IN_CALL ? p->around : p->state) == IN_THOUGHT; }
bool muse_chat_parser_in_call(const MuseChatParser *p) { return p->state == IN_CALL; }

static int may_feed(const MuseChatParser *p, int what, MuseError *err)
{
    if (p->broken) return muse_fail(err, MUSE_ERR_STATE, "an earlier call failed; the parser can only be closed");
    if (p->reason) return muse_fail(err, MUSE_ERR_STATE, "the turn has ended");
    if (p->fed != FED_NOTHING && (int)p->fed != what) return muse_fail(err, MUSE_ERR_STATE, "a parser takes text or ids, not both");
    return 0;
}

static int done(MuseChatParser *p, int rc, MuseError *err)
{
    if (rc == MUSE_ERR_NOMEM) p->broken = muse_fail(err, rc, "no memory for what the model wrote");
    return rc;
}

static int feed(MuseChatParser *p, const char *text, size_t n, bool all, size_t *rest)
{
    const int rc = muse_buf_append(&p->hold, text, n);
    return rc < 0 ? rc : scan(p, all, rest);
}

int muse_chat_parser_feed_text(MuseChatParser *p, const char *text, size_t n, size_t *used, MuseError *err)
{
    MUSE_REQUIRE(err, p && (text || n == 0));
    if (used) *used = 0;
    if (n == 0) return 0;
    int rc = may_feed(p, FED_TEXT, err);
    if (rc < 0) return rc;
    p->fed = FED_TEXT;
    size_t rest = 0;
    rc = feed(p, text, n, false, &rest);
    if (used && rc == 0) *used = p->reason ? n - rest : n;
    return done(p, rc, err);
}

static int on_id(MuseChatParser *p, int32_t id, MuseError *err)
{
    const char *text;
    size_t n, rest;
    for (size_t i = 0; i < p->format->n_controls; i++) {
        if (p->control_ids[i] != id) continue;
        int rc = muse_text_decoder_flush(p->decoder, &text, &n, err);
        if (rc == 0) rc = feed(p, text, n, true, &rest);
        return rc < 0 ? rc : on_control(p, &p->format->controls[i]);
    }
    const int rc = muse_text_decoder_push(p->decoder, id, &text, &n, err);
    return rc < 0 ? rc : feed(p, text, n, false, &rest);
}

int muse_chat_parser_feed_ids(MuseChatParser *p, const int32_t *ids, size_t n, size_t *used, MuseError *err)
{
    MUSE_REQUIRE(err, p && p->tok && (ids || n == 0));
    if (used) *used = 0;
    if (n == 0) return 0;
    int rc = may_feed(p, FED_IDS, err);
    if (rc < 0) return rc;
    p->fed = FED_IDS;
    size_t i = 0;
    while (i < n && rc == 0 && !p->reason) {
        rc = on_id(p, ids[i], err);
        if (rc == 0) i++;
    }
    if (used) *used = i;
    return done(p, rc, err);
}

int muse_chat_parser_finish(MuseChatParser *p, MuseError *err)
{
    MUSE_REQUIRE(err, p);
    if (p->reason) return 0;
    if (p->broken) return muse_fail(err, MUSE_ERR_STATE, "an earlier call failed; the parser can only be closed");
    const char *text = "";
    size_t n = 0, rest;
    int rc = p->fed == FED_IDS ? muse_text_decoder_flush(p->decoder, &text, &n, err) : 0;
    if (rc == 0) rc = feed(p, text, n, true, &rest);
    if (rc == 0 && !p->reason) rc = end(p, MUSE_CHAT_CUT);
    return done(p, rc, err);
}

int muse_chat_parser_next(MuseChatParser *p, MuseChatItem *item)
{
    if (!p || !item) return MUSE_ERR_ARG;
    *item = (MuseChatItem){ 0 };
    const size_t count = piece_count(p);
    if (p->taken < count && p->taken_bytes == piece_at(p, p->taken)->n && p->taken_bytes > 0 && (p->taken + 1 < count || p->reason)) {
        p->taken++;
        p->taken_bytes = 0;
    }
    const Piece *piece = p->taken < count ? piece_at(p, p->taken) : NULL;
    if (piece && p->taken_bytes < piece->n) {
        const char *text = (const char *)p->text.data;
        *item = (MuseChatItem){ .kind = piece->kind, .thought = piece->thought };
        if (piece->kind == MUSE_CHAT_CALL) {
            item->name = text + piece->at;
            item->arguments = text + piece->more;
            item->n_arguments = piece->n_more;
        } else {
            item->text = text + piece->at + p->taken_bytes;
            item->n = piece->n - p->taken_bytes;
            if (piece->kind == MUSE_CHAT_BAD_CALL) item->error = text + piece->more;
        }
        p->taken_bytes = piece->n;
        return 0;
    }
    if (!p->reason) return MUSE_AGAIN;
    if (p->end_taken) return MUSE_DONE;
    p->end_taken = true;
    *item = (MuseChatItem){ .kind = MUSE_CHAT_END, .reason = p->reason };
    return 0;
}

int muse_chat_add_parsed(MuseChat *chat, const MuseChatParser *p, MuseError *err)
{
    MUSE_REQUIRE(err, chat && p);
    int rc = muse_chat_add(chat, MUSE_ROLE_ASSISTANT, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < piece_count(p) && rc == 0; i++) {
        const Piece *piece = piece_at(p, i);
        const char *text = (const char *)p->text.data + piece->at;
        if (piece->kind == MUSE_CHAT_THOUGHT) rc = muse_chat_add_thought(chat, text, piece->n, err);
        else if (piece->kind == MUSE_CHAT_CALL) rc = muse_chat_add_call(chat, NULL, text, (const char *)p->text.data + piece->more, piece->n_more, err);
        else if (piece->kind != MUSE_CHAT_TOKEN) rc = muse_chat_add_text(chat, text, piece->n, err);
        else {
            char token[32] = "";
            memcpy(token, text, piece->n < sizeof token ? piece->n : sizeof token - 1);
            rc = muse_chat_add_token(chat, piece->thought, token, err);
        }
    }
    if (rc < 0) muse_chat_drop_newest(chat);
    return rc;
}
