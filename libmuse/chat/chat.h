/* SPDX-License-Identifier: Apache-2.0 */
/* Chat formats from the inside: a conversation as stored, the table of formats, and the list that a prompt is written to.
 * Users: the files of this folder. */
#ifndef LIBMUSE_CHAT_CHAT_H
#define LIBMUSE_CHAT_CHAT_H

#include "base/json.h"
#include "muse/chat.h"
#include "ops/runtime.h"

/* JSON with its tree; the tree's strings point into bytes */
typedef struct MuseChatJson {
    char    *bytes;       /* terminated; NULL: there is none */
    size_t   n;
    MuseJson doc;
} MuseChatJson;

typedef enum MusePartKind { MUSE_PART_TEXT, MUSE_PART_TOKEN, MUSE_PART_IMAGE, MUSE_PART_AUDIO } MusePartKind;

typedef struct MusePart {
    MusePartKind kind;
    bool       thought;
    char      *text;
    size_t     n;
    MuseImage *image;
    uint32_t   budget;
    MuseAudio *audio;
} MusePart;

typedef struct MuseCall {
    char *id, *name;      /* terminated; id may be NULL */
    MuseChatJson arguments;
} MuseCall;

typedef struct MuseMessage {
    int       role;
    char     *name;       /* MUSE_ROLE_TOOL: of the tool */
    MusePart *parts;
    size_t    n_parts, cap_parts;
    MuseCall *calls;
    size_t    n_calls, cap_calls;
    MuseChatJson json;    /* MUSE_ROLE_TOOL: instead of text */
} MuseMessage;

typedef struct MuseTool {
    char *name, *description;
    MuseChatJson parameters;
} MuseTool;

/* What a control token does in a model's output. */
typedef enum MuseTokenRole { MUSE_TOKEN_OTHER, MUSE_TOKEN_THINK, MUSE_TOKEN_THINK_END, MUSE_TOKEN_CALL, MUSE_TOKEN_CALL_END, MUSE_TOKEN_QUOTE,
                             MUSE_TOKEN_STOP, MUSE_TOKEN_STOP_CALL, MUSE_TOKEN_INLINE } MuseTokenRole;

typedef struct MuseControl {
    const char   *text;
    MuseTokenRole role;
    bool          optional;   /* a tokenizer without it reads its letters */
} MuseControl;

enum { MUSE_CONTROLS_MAX = 24 };
/* How boxes stand in JSON that a model writes: thousandths of the picture, in this order. Qwen 2.5-VL's pixels of a resized picture are unknown here. */
enum { MUSE_BOXES_UNKNOWN, MUSE_BOXES_Y_FIRST, MUSE_BOXES_X_FIRST };

typedef struct MuseRender MuseRender;
typedef struct MuseCallText MuseCallText;

typedef struct MuseChatFormat {
    const char *name;
    const MuseControl *controls;
    size_t      n_controls;
    int       (*render)(MuseRender *r);
    /* reads the inside of a call: appends name, NUL, arguments to out; 0, MUSE_ERR_FORMAT with a text, MUSE_ERR_NOMEM. NULL: no tools */
    int       (*read_call)(const MuseCallText *call, MuseBuf *out, MuseError *err);
    bool        images, audio;
    bool        places;                      /* <x0>, <y63> in a text are control tokens, where the tokenizer has them */
    int         boxes;                       /* MUSE_BOXES_ */
    int         thinking;                    /* the default; 0: no thoughts */
    const char *default_system;              /* NULL: none */
    const char *think_head, *think_tail;     /* inside the two tokens around a thought */
    const char *think_after;                 /* behind the second; all three are written by the format and no text */
    bool        newline_before_call;
} MuseChatFormat;

const MuseChatFormat *muse_chat_format_find(const char *name);

struct MuseChat {
    MuseRuntime *rt;
    const MuseChatFormat *format;
    bool         thinking, preserve_thinking, no_generation, no_default_system;
    char        *date;
    MuseTool    *tools;
    size_t       n_tools, cap_tools;
    MuseMessage *messages;
    size_t       n_messages, cap_messages;
};

/* A second conversation with the same content. 0; as the calls for building */
int  muse_chat_copy(MuseChat **out, const MuseChat *from, MuseError *err);
/* what comes next belongs to a thought */
bool muse_chat_parser_in_thought(const MuseChatParser *p);
/* what comes next stands inside a call */
bool muse_chat_parser_in_call(const MuseChatParser *p);
/* true: 1..256 of the characters that a tool's name may have */
bool muse_chat_name_ok(const char *name, size_t n);
/* Parses a copy of the bytes; out is zeroed on error. object: refuse other types. */
int  muse_chat_json_set(MuseChatJson *out, const MuseAllocator *a, const char *bytes, size_t n, bool object, const char *what, MuseError *err);
void muse_chat_json_clear(MuseChatJson *json);

/* ---- writing a prompt: render.c ---- */

typedef struct MuseRenderItem {
    int      kind;            /* MUSE_SEGMENT_* */
    bool     generated;
    size_t   message, at, n;  /* at: into MuseRender.text */
    const MusePart *part;     /* media */
} MuseRenderItem;

/* Errors stick: writing goes on without effect, and the first one is returned at the end. */
struct MuseRender {
    const MuseChat *chat;
    size_t   message;         /* what is being written belongs to it */
    bool     generated;
    bool     in_thought;      /* the prompt ended inside a thought */
    MuseBuf  text;
    MuseBuf  items;           /* MuseRenderItem */
    int      rc;
    MuseError *err;
};

void muse_render_fixed(MuseRender *r, const char *text);                /* the format's own text; its control tokens are found in it */
void muse_render_plain(MuseRender *r, const char *text, size_t n);
void muse_render_control(MuseRender *r, const char *text, size_t n);
void muse_render_media(MuseRender *r, const MusePart *part);
int  muse_render_fail(MuseRender *r, int code, const char *what);       /* names the message */
/* all text, tokens and media of one side of a message, as they are */
void muse_render_parts(MuseRender *r, const MuseMessage *m, bool thought);
/* the same with white space at both ends of the whole removed */
void muse_render_trimmed(MuseRender *r, const MuseMessage *m);
/* that side's text has no byte and no token or medium stands there */
bool muse_message_empty(const MuseMessage *m, bool thought);
/* white space as Python's str.strip() knows it */
void muse_trim(const char **text, size_t *n);

int  muse_chat_run(const MuseChat *chat, MuseRender *r, MuseError *err);   /* clear r in any case */
void muse_render_clear(MuseRender *r);

/* ---- JSON in the ways of the templates: values.c ---- */

/* members of an object by key without regard to case, stable; release with muse_free(). *n 0 and NULL: empty, or NOMEM with r failed */
const MuseJsonValue **muse_json_sorted(MuseRender *r, const MuseJsonValue *object, size_t *n);
enum { MUSE_NUMBER_BYTES = 64 };
/* a number as Python prints it; with its NUL */
void muse_python_number(const MuseJsonValue *v, char out[MUSE_NUMBER_BYTES]);
/* JSON as Python's json.dumps writes it, ", " and ": " between, not only ASCII */
int  muse_json_dump(MuseBuf *b, const MuseJsonValue *v);
/* refuses numbers that can't be printed back, and a key twice */
int  muse_json_check(const MuseAllocator *a, const MuseJsonValue *v, const char *what, MuseError *err);

/* ---- the formats ---- */

int muse_render_gemma4(MuseRender *r);
int muse_render_llama3(MuseRender *r);
int muse_render_chatml(MuseRender *r);
int muse_render_muse(MuseRender *r);
int muse_render_fuyu(MuseRender *r);

/* The inside of a call. quotes: where in text the string mark stands as a token, ascending. */
struct MuseCallText {
    const MuseAllocator *alloc;
    const char   *text;
    size_t        n;
    const size_t *quotes;
    size_t        n_quotes;
    size_t        quote_bytes;
};

int muse_read_call_gemma4(const MuseCallText *call, MuseBuf *out, MuseError *err);
int muse_read_call_json(const MuseCallText *call, MuseBuf *out, MuseError *err);

#endif
