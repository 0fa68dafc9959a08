/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file chat.h
 * Conversations in the words of each model: typed messages to a prompt, and what the model wrote back to a message.
 *
 * Built-in formats, no template language (docs/chat.md has the rules of each). A prompt is a list of segments. A *control*
 * segment is one added token that the format writes; all other text, the caller's above all, is plain: a control token spelled
 * out in it stays text and can't start a turn, a call or a thought.
 */
#ifndef MUSE_CHAT_H
#define MUSE_CHAT_H

#include "muse/sequence.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Messages of a conversation, and the prompts they make. One thread at a time. Close with muse_chat_close(). */
typedef struct MuseChat MuseChat;
/** What a model writes, taken apart as it comes. One thread at a time. Close with muse_chat_parser_close(). */
typedef struct MuseChatParser MuseChatParser;

/** Who speaks a message. */
enum {
    MUSE_ROLE_SYSTEM    = 1, ///< instructions before the conversation
    MUSE_ROLE_USER      = 2, ///< what the model is told or asked
    MUSE_ROLE_ASSISTANT = 3, ///< what the model wrote
    MUSE_ROLE_TOOL      = 4  ///< a result of a call; made by muse_chat_add_result()
};

/** Whether the model thinks before it answers. */
enum {
    MUSE_THINKING_DEFAULT = 0, ///< the format's own: on for qwen3 and muse, off for gemma4_unified, none for the others
    MUSE_THINKING_ON      = 1, ///< it thinks first; MUSE_ERR_UNSUPPORTED in formats without thoughts
    MUSE_THINKING_OFF     = 2  ///< it answers at once
};

/** How messages become text for a model. */
typedef struct MuseChatParams {
    size_t      struct_size;       ///< set by muse_chat_params_init()
    const char *format;            ///< "gemma4_unified", "llama3", "llama3.1", "chatml", "smollm2", "qwen2.5", "qwen3", "muse" or "fuyu"; needed
    int         thinking;          ///< MUSE_THINKING_*
    int         preserve_thinking; ///< 1: thoughts of earlier turns stay in the prompt (gemma4_unified: of turns with calls); muse keeps them always
    int         no_generation;     ///< 1: the prompt ends behind the last message and does not begin the model's turn
    int         no_default_system; ///< 1: smollm2, qwen2.5: no system text of the publisher's where the chat has none
    const char *date;              ///< llama3.1: today's date such as "26 Jul 2024"; NULL = that one, which 3.1 always writes. Copied
} MuseChatParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_chat_params_init(MuseChatParams *params);

/**
 * The format that a model was made for. Any thread.
 * @param family  MuseModelInfo.family. "llama" covers Llama 3 and SmolLM2: the added tokens decide.
 * @param format  Receives a static string, for MuseChatParams.format.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_UNSUPPORTED: none is known, or the tokenizer lacks its tokens; use raw text.
 */
MUSE_API int muse_chat_format_of(const char *family, const MuseTextTokenizer *tok, const char **format, MuseError *err);

/**
 * Make an empty conversation. One thread per handle; calls that take a const MuseChat may run at once when nobody adds.
 * @param out Receives the handle, or NULL. Release with muse_chat_close().
 * @param rt  NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no such format; MUSE_ERR_UNSUPPORTED: thinking on in a format without thoughts;
 *         MUSE_ERR_NOMEM.
 */
MUSE_API int muse_chat_open(MuseChat **out, MuseRuntime *rt, const MuseChatParams *params, MuseError *err);

/** Release; *chat becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_chat_close(MuseChat **chat);

/*
 * Building. muse_chat_add() begins a message, the other calls add to the newest one. On error nothing was added. Common errors:
 * MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_STATE: there is no message yet, or not one of the role that this needs;
 * MUSE_ERR_UNSUPPORTED: the format has no place for it; MUSE_ERR_FORMAT: JSON that is damaged, has a key twice, or a number
 * that is not finite; MUSE_ERR_LIMIT: an integer beyond 64 bits, over 2^20 messages or parts.
 */

/**
 * Offer a tool. Before or after messages; tools stand in the order given.
 * @param name        1 to 256 of A-Z a-z 0-9 _ . : / -
 * @param description NULL = "".
 * @param parameters  JSON schema, an object; NULL = none. Copied, like everything below.
 */
MUSE_API int muse_chat_add_tool(MuseChat *chat, const char *name, const char *description, const char *parameters, size_t n, MuseError *err);

/** Begin a message. @param role MUSE_ROLE_SYSTEM, MUSE_ROLE_USER or MUSE_ROLE_ASSISTANT. */
MUSE_API int muse_chat_add(MuseChat *chat, int role, MuseError *err);

/**
 * Begin the result of a call, directly behind the message that made the call or another result.
 * @param id   Of the call; NULL or unknown: name counts.
 * @param name Of the tool; NULL if id tells it. MUSE_ERR_NOT_FOUND: neither names a tool.
 */
MUSE_API int muse_chat_add_result(MuseChat *chat, const char *id, const char *name, MuseError *err);

/** Text, n bytes of UTF-8. Formats that trim, trim each message as published (docs/chat.md). In muse, places in it (`<x3>`) are tokens. */
MUSE_API int muse_chat_add_text(MuseChat *chat, const char *text, size_t n, MuseError *err);

/** A picture or a region of one (muse_image_region()). The chat keeps a reference. @param options NULL = defaults; its cancel is not kept. */
MUSE_API int muse_chat_add_image(MuseChat *chat, MuseImage *image, const MuseImageOptions *options, MuseError *err);

/** A sound. The chat keeps a reference. */
MUSE_API int muse_chat_add_audio(MuseChat *chat, MuseAudio *audio, MuseError *err);

/** The whole of a result as JSON of any type, instead of text. Media may stand beside it. */
MUSE_API int muse_chat_add_json(MuseChat *chat, const char *json, size_t n, MuseError *err);

/** Assistant: what it thought before the answer. Several are joined. */
MUSE_API int muse_chat_add_thought(MuseChat *chat, const char *text, size_t n, MuseError *err);

/**
 * A token by its text inside a message, such as "<look>" or "<image 2>". Formats with tokens inside text only (muse).
 * @param thought 1: it is part of the thought.
 */
MUSE_API int muse_chat_add_token(MuseChat *chat, int thought, const char *token, MuseError *err);

/** Assistant: a call. @param id NULL = none. @param arguments A JSON object. */
MUSE_API int muse_chat_add_call(MuseChat *chat, const char *id, const char *name, const char *arguments, size_t n, MuseError *err);

/** Messages so far. 0 if chat is NULL. */
MUSE_API size_t muse_chat_length(const MuseChat *chat);

/** Takes the newest message back; nothing if there is none, or chat is NULL. */
MUSE_API void muse_chat_drop_newest(MuseChat *chat);

/** What a piece of a rendered chat is. */
enum {
    MUSE_SEGMENT_CONTROL = 0, ///< one added token, by its text
    MUSE_SEGMENT_TEXT    = 1, ///< plain text
    MUSE_SEGMENT_IMAGE   = 2, ///< a picture, with its markers
    MUSE_SEGMENT_AUDIO   = 3  ///< a sound, with its markers
};

/** A piece of a rendered chat: text, or a part that stands between texts. */
typedef struct MuseChatSegment {
    int         kind;      ///< MUSE_SEGMENT_*
    int         generated; ///< 1: the model writes this (what training learns): thoughts, calls, answers and what ends them
    size_t      message;   ///< the message it came with; the number of messages for what begins the model's turn
    const char *text;      ///< CONTROL, TEXT: not terminated
    size_t      n;
    MuseImage  *image;     ///< IMAGE; borrowed from the chat
    uint32_t    budget;    ///< IMAGE: MuseImageOptions.budget
    MuseAudio  *audio;     ///< AUDIO; borrowed from the chat
} MuseChatSegment;

/**
 * The prompt as segments.
 * @param segments Receives *n of them in one block with their texts; release with muse_free(). Media live as long as the chat.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_STATE: no message; MUSE_ERR_UNSUPPORTED: an order of messages or parts that the
 *         format can't say.
 */
MUSE_API int muse_chat_render(const MuseChat *chat, MuseChatSegment **segments, size_t *n, MuseError *err);

/**
 * The prompt as one string, to look at: control tokens by their text, each picture as <|image|>, each sound as <|audio|>.
 * Feeding it to a tokenizer with MUSE_TEXT_ADDED gives the same ids if no text of the caller's spells out a control token.
 * @param text Receives the bytes and one NUL; release with muse_free(). @param n Their number without the NUL.
 * @return as muse_chat_render().
 */
MUSE_API int muse_chat_prompt(const MuseChat *chat, char **text, size_t *n, MuseError *err);

/**
 * Append the prompt to a sequence of the same model. Control tokens go in by id; the text between two of them (and media) is
 * tokenized as one piece with added tokens off, just as the tokenizers cut at added tokens themselves.
 *
 * @param from_message 0: all. k: what comes behind message k - 1, for a sequence that already holds everything up to and with the
 *        token that ended message k - 1 (the ids that were generated); the number of messages: only what begins the model's turn.
 * @return 0; as muse_chat_render(); as muse_sequence_append_text() and _image(), _audio(); MUSE_ERR_NOT_FOUND: the tokenizer lacks a
 *         control token; MUSE_ERR_STATE: message k - 1 reads otherwise once its results are there (gemma4_unified: text beside
 *         calls), so the whole chat has to be appended to a new sequence. On error the sequence is unchanged.
 */
MUSE_API int muse_chat_append(const MuseChat *chat, MuseSequence *seq, size_t from_message, MuseError *err);

/**
 * Ids that end the model's turn. Any thread.
 * @param ids Room for cap ids. @param n Receives their number. @return 0; MUSE_ERR_ARG; MUSE_ERR_FULL; MUSE_ERR_NOT_FOUND: no such format, or
 *        the tokenizer has none of them.
 */
MUSE_API int muse_chat_stop_ids(const char *format, const MuseTextTokenizer *tok, int32_t *ids, size_t cap, size_t *n, MuseError *err);

/**
 * What to append to a running thought so that the answer comes next: a thinking budget that ends gracefully. Any thread.
 * @param words Said at the end of the thought, as plain text; NULL = nothing.
 * @param ids   Receives the ids; release with muse_free().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_NOT_FOUND: no such format, or no such token; MUSE_ERR_UNSUPPORTED: it has no thoughts.
 */
MUSE_API int muse_chat_close_thought(const char *format, const MuseTextTokenizer *tok, const char *words, int32_t **ids, size_t *n,
                                     MuseError *err);

/** What a parser's item is. */
enum {
    MUSE_CHAT_THOUGHT  = 1, ///< text of the thought
    MUSE_CHAT_ANSWER   = 2, ///< text of the answer
    MUSE_CHAT_TOKEN    = 3, ///< a token inside thought or answer (muse: "<look>" ...)
    MUSE_CHAT_CALL     = 4, ///< a whole call
    MUSE_CHAT_BAD_CALL = 5, ///< a call that can't be read: text has all of it, error says why
    MUSE_CHAT_END      = 6  ///< nothing follows
};

/** Why nothing follows. */
enum {
    MUSE_CHAT_STOP  = 1, ///< the model ended its turn
    MUSE_CHAT_TOOLS = 2, ///< it waits for results
    MUSE_CHAT_CUT   = 3  ///< muse_chat_parser_finish() came first: the text is not at its end
};

/** Pointers are valid until the next call on the parser other than muse_chat_parser_next(). */
typedef struct MuseChatItem {
    int         kind;      ///< MUSE_CHAT_THOUGHT .. MUSE_CHAT_END
    int         thought;   ///< TOKEN: 1 inside the thought
    int         reason;    ///< END: MUSE_CHAT_STOP .. MUSE_CHAT_CUT
    const char *text;      ///< THOUGHT, ANSWER, TOKEN, BAD_CALL: n bytes, not terminated
    size_t      n;
    const char *name;      ///< CALL: of the tool, terminated
    const char *arguments; ///< CALL: a JSON object, terminated, n_arguments bytes
    size_t      n_arguments;
    const char *error;     ///< BAD_CALL: a sentence, terminated
} MuseChatItem;

/**
 * Read what the model writes behind the prompt of this chat, piece by piece. One thread per handle.
 * @param out  Receives the handle, or NULL. Release with muse_chat_parser_close().
 * @param chat Its format and prompt tell where the text begins (inside a thought, say). Borrowed for the call.
 * @param tok  For ids: control tokens then count by id only. NULL: text only. Must outlive the parser.
 * @return 0; as muse_chat_render(); MUSE_ERR_NOMEM.
 */
MUSE_API int muse_chat_parser_open(MuseChatParser **out, const MuseChat *chat, const MuseTextTokenizer *tok, MuseError *err);

/**
 * Give text. Pieces may end anywhere, also inside a character or a token's text.
 * @param used NULL, or receives the bytes that were taken: all of them, unless the turn ended in between.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: after the end, or after ids; MUSE_ERR_NOMEM: only close is left then.
 */
MUSE_API int muse_chat_parser_feed_text(MuseChatParser *p, const char *text, size_t n, size_t *used, MuseError *err);

/** Give ids. @return as feed_text; MUSE_ERR_NOT_FOUND: an id outside the vocabulary. */
MUSE_API int muse_chat_parser_feed_ids(MuseChatParser *p, const int32_t *ids, size_t n, size_t *used, MuseError *err);

/** No more comes. Does nothing after the end. @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: an earlier call failed; MUSE_ERR_NOMEM. */
MUSE_API int muse_chat_parser_finish(MuseChatParser *p, MuseError *err);

/** Take the next item. @return 0; MUSE_AGAIN: none yet; MUSE_DONE: END was taken; MUSE_ERR_ARG. */
MUSE_API int muse_chat_parser_next(MuseChatParser *p, MuseChatItem *item);

/**
 * Add all that was read so far as an assistant message: thought, answer, calls. A call that can't be read is added to the answer as
 * plain text, so nothing is lost.
 * @return 0; as the calls for building.
 */
MUSE_API int muse_chat_add_parsed(MuseChat *chat, const MuseChatParser *p, MuseError *err);

/** Release; *p becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_chat_parser_close(MuseChatParser **p);

#ifdef __cplusplus
}
#endif
#endif
