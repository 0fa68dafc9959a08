/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file tools.h
 * Tools: C functions that a model may call. Each has a name, a description and a JSON schema of its arguments; what it gives back
 * is a list of parts, pictures included. Calls that do not depend on each other run at once, each in a thread of its own.
 *
 * A call that fails or takes too long becomes a result with an error text, which the model can read: it is never an error of
 * the run.
 */
#ifndef MUSE_TOOLS_H
#define MUSE_TOOLS_H

#include "muse/image.h"
#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Functions that a model may call. Add to it from one thread; calls may then come from any. Close with muse_tools_close(). */
typedef struct MuseTools MuseTools;
/** What a call gave back: its function fills it, in its own thread; whoever ran the call reads it and closes it with muse_tool_reply_close(). */
typedef struct MuseToolReply MuseToolReply;

/**
 * Does the work, in a thread of its own; may run at the same time as other calls, also of the same tool.
 * @param arguments A JSON object of n bytes, terminated. Not checked against the schema. Valid for the call.
 * @param reply     Receives the result through the muse_tool_reply_ calls.
 * @return 0; negative: the call failed, err's text (or the code's) is what the model reads. What was put into reply before is dropped then.
 */
typedef int MuseToolFn(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *err);

/** A tool: its name, what it takes, the function behind it. */
typedef struct MuseToolSpec {
    size_t      struct_size; ///< set by muse_tool_spec_init()
    const char *name;        ///< 1 to 256 of A-Z a-z 0-9 _ . : / -; copied, as the others
    const char *description; ///< NULL = ""
    const char *parameters;  ///< JSON schema, an object; NULL = none
    MuseToolFn *fn;          ///< needed
    void       *user;        ///< handed to fn; must live until the tools are closed and no call runs any more (muse_tools_running()), which release tells
    double      timeout;     ///< seconds, at most 10^6; 0 = 30. A call that takes longer is answered for: the model reads that it timed out
    MuseReleaseFn *release;  ///< called once, when the tools and all replies are closed and no call runs any more: nobody uses user from then on. By the thread that closes, or that of
                             ///< the last call. Not if muse_tools_add() failed. NULL = none
} MuseToolSpec;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_tool_spec_init(MuseToolSpec *tool);

/**
 * An empty set of tools. Add to it from one thread; calls may then come from any.
 * @param out Receives the handle, or NULL. Release with muse_tools_close().
 * @param rt  NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_tools_open(MuseTools **out, MuseRuntime *rt, MuseError *err);

/**
 * Release; *tools becomes NULL. NULL and a pointer to NULL are accepted. Does not wait for calls that hang: those keep what they
 * need until their function returns.
 */
MUSE_API void muse_tools_close(MuseTools **tools);

/** Add a tool. Not while calls run. @return 0; MUSE_ERR_ARG: no function, a bad or used name, a bad timeout; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: over 256 tools. */
MUSE_API int muse_tools_add(MuseTools *tools, const MuseToolSpec *tool, MuseError *err);

/** 0 if tools is NULL. */
MUSE_API size_t muse_tools_count(const MuseTools *tools);

/** Tool number i; its strings live as long as tools. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_tools_at(const MuseTools *tools, size_t i, MuseToolSpec *out);

/** Calls whose function has not returned yet, those that timed out included. Any thread. */
MUSE_API size_t muse_tools_running(const MuseTools *tools);

/** A call as the model wrote it. */
typedef struct MuseToolCall {
    const char *name;
    const char *arguments;   ///< JSON object
    size_t      n_arguments; ///< bytes
} MuseToolCall;

/**
 * Carry out n calls at once and wait for all of them, or their time-outs. Any thread.
 * @param calls   [n], n at least 1; borrowed for the call.
 * @param replies [n] Receives the results, in the order of calls, also of those that failed; release each with muse_tool_reply_close().
 * @param cancel  Polled about every 10 ms; NULL = never.
 * @return 0, also if calls failed; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_CANCELLED. No replies on error; functions that still run end by themselves.
 */
MUSE_API int muse_tools_run(MuseTools *tools, const MuseToolCall *calls, size_t n, MuseToolReply **replies, MuseCancelFn *cancel,
                            void *cancel_user, MuseError *err);

/** Add text to a result, n bytes of UTF-8; copied. From the tool's function. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: over 1,024 parts. */
MUSE_API int muse_tool_reply_text(MuseToolReply *reply, const char *text, size_t n, MuseError *err);

/** Add a picture; a reference is kept. From the tool's function. @return as muse_tool_reply_text(). */
MUSE_API int muse_tool_reply_image(MuseToolReply *reply, MuseImage *image, MuseError *err);

/** 1: nobody waits any more (time-out or cancelled); a long function should return. Any thread. */
MUSE_API int muse_tool_reply_abandoned(const MuseToolReply *reply);

/** One part of a result: text, or a picture. */
typedef struct MuseToolPart {
    const char *text;  ///< n bytes; NULL at a picture. Lives as long as the reply
    size_t      n;
    MuseImage  *image; ///< NULL at text. Lives as long as the reply
} MuseToolPart;

/** Parts of a finished result: an error has one, its text. 0 if reply is NULL. */
MUSE_API size_t muse_tool_reply_count(const MuseToolReply *reply);
/** Part i of a finished result. @return 0; MUSE_ERR_ARG. */
MUSE_API int    muse_tool_reply_part(const MuseToolReply *reply, size_t i, MuseToolPart *out);

/** 0; or the negative code of a call that failed: the function's own, MUSE_ERR_LIMIT for a time-out, MUSE_ERR_NOT_FOUND for a tool that does not exist. */
MUSE_API int muse_tool_reply_status(const MuseToolReply *reply);

/** Release; *reply becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_tool_reply_close(MuseToolReply **reply);

#ifdef __cplusplus
}
#endif
#endif
