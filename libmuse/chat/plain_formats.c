/* SPDX-License-Identifier: Apache-2.0 */
/* The chat formats of Llama 3, of ChatML and its relatives (SmolLM2, Qwen 2.5, Qwen 3), of muse and of Fuyu. Rules: docs/chat.md. */
#include <string.h>

#include "libmuse/chat/chat.h"

static const char *const role_names[] = { "", "system", "user", "assistant", "tool" };

static void put(MuseRender *r, const char *fixed) { muse_render_fixed(r, fixed); }

/* what the model's turn starts with */
static void begin_generation(MuseRender *r, const char *fixed)
{
    r->message = r->chat->n_messages;
    r->generated = false;
    if (!r->chat->no_generation) put(r, fixed);
}

/* ---- Llama 3 ---- */

int muse_render_llama3(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    size_t i = 0;
    put(r, "<|begin_of_text|>");
    if (strcmp(chat->format->name, "llama3.1") == 0) {
        put(r, "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: ");
        muse_render_plain(r, chat->date, strlen(chat->date));
        put(r, "\n\n");
        if (chat->messages[0].role == MUSE_ROLE_SYSTEM) muse_render_trimmed(r, &chat->messages[i++]);
        put(r, "<|eot_id|>");
    }
    for (; i < chat->n_messages; i++) {
        const MuseMessage *m = &chat->messages[i];
        r->message = i;
        put(r, "<|start_header_id|>");
        put(r, role_names[m->role]);
        put(r, "<|end_header_id|>\n\n");
        r->generated = m->role == MUSE_ROLE_ASSISTANT;
        muse_render_trimmed(r, m);
        put(r, "<|eot_id|>");
        r->generated = false;
    }
    begin_generation(r, "<|start_header_id|>assistant<|end_header_id|>\n\n");
    return r->rc;
}

/* ---- ChatML ---- */

static void dump(MuseRender *r, const MuseJsonValue *v)
{
    MuseBuf text = { .alloc = &r->chat->rt->alloc };
    if (muse_json_dump(&text, v) < 0) muse_render_fail(r, MUSE_ERR_NOMEM, "no memory for its JSON");
    else muse_render_plain(r, (const char *)text.data, text.len);
    muse_buf_clear(&text);
}

static void dump_text(MuseRender *r, const char *text)
{
    const MuseJsonValue v = { .type = MUSE_JSON_STRING, .len = (uint32_t)strlen(text), .u.string = text };
    dump(r, &v);
}

/* The words are part of the format: Qwen's models were trained on exactly them (their published chat templates). */
static void tools_text(MuseRender *r)
{
    put(r, "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
           "You are provided with function signatures within <tools></tools> XML tags:\n<tools>");
    for (size_t i = 0; i < r->chat->n_tools; i++) {
        const MuseTool *tool = &r->chat->tools[i];
        put(r, "\n{\"type\": \"function\", \"function\": {\"name\": ");
        dump_text(r, tool->name);
        put(r, ", \"description\": ");
        dump_text(r, tool->description);
        if (tool->parameters.doc.root) {
            put(r, ", \"parameters\": ");
            dump(r, tool->parameters.doc.root);
        }
        put(r, "}}");
    }
    put(r, "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
           "<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>");
}

/* @return how many messages it took */
static size_t chatml_system(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    const bool own = chat->messages[0].role == MUSE_ROLE_SYSTEM;
    const char *text = own || chat->no_default_system ? NULL : chat->format->default_system;
    if (!own && !text && chat->n_tools == 0) return 0;
    put(r, "<|im_start|>system\n");
    if (own) muse_render_parts(r, &chat->messages[0], false);
    else if (text) put(r, text);
    if (chat->n_tools > 0 && (own || text)) put(r, "\n\n");
    if (chat->n_tools > 0) tools_text(r);
    put(r, "<|im_end|>\n");
    return own;
}

/* text of one side without line ends at its start, and at its end if asked for */
static void without_newlines(MuseRender *r, const MuseMessage *m, bool thought)
{
    const MuseAllocator *a = &r->chat->rt->alloc;
    MuseBuf all = { .alloc = a };
    size_t from = 0;
    for (size_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].thought == thought && muse_buf_append(&all, m->parts[i].text, m->parts[i].n) < 0) muse_render_fail(r, MUSE_ERR_NOMEM, "no memory for its text");
    while (from < all.len && all.data[from] == '\n') from++;
    while (thought && all.len > from && all.data[all.len - 1] == '\n') all.len--;
    if (all.len > from) muse_render_plain(r, (const char *)all.data + from, all.len - from);
    muse_buf_clear(&all);
}

static void chatml_assistant(MuseRender *r, size_t i, size_t last_user)
{
    const MuseChat *chat = r->chat;
    const MuseMessage *m = &chat->messages[i];
    const bool recent = last_user != SIZE_MAX && i > last_user, thought = !muse_message_empty(m, true);
    r->generated = true;
    /* Qwen 3 writes an empty thought before the last message that has none */
    if (chat->format->thinking && ((recent && (thought || i + 1 == chat->n_messages)) || (chat->preserve_thinking && thought))) {
        put(r, "<think>\n");
        without_newlines(r, m, true);
        put(r, "\n</think>\n\n");
        without_newlines(r, m, false);
    } else {
        muse_render_parts(r, m, false);
    }
    for (size_t k = 0; k < m->n_calls; k++) {
        put(r, k > 0 || !muse_message_empty(m, false) ? "\n<tool_call>\n{\"name\": " : "<tool_call>\n{\"name\": ");
        dump_text(r, m->calls[k].name);
        put(r, ", \"arguments\": ");
        dump(r, m->calls[k].arguments.doc.root);
        put(r, "}\n</tool_call>");
    }
    put(r, "<|im_end|>");
    r->message = i + 1;   /* the model stops before the newline */
    r->generated = false;
    put(r, "\n");
}

/* results in a row share a user turn */
static void chatml_result(MuseRender *r, size_t i)
{
    const MuseChat *chat = r->chat;
    const MuseMessage *m = &chat->messages[i];
    if (chat->messages[i - 1].role != MUSE_ROLE_TOOL) put(r, "<|im_start|>user");
    put(r, "\n<tool_response>\n");
    if (m->json.doc.root) dump(r, m->json.doc.root);
    else muse_render_parts(r, m, false);
    put(r, "\n</tool_response>");
    if (i + 1 == chat->n_messages || chat->messages[i + 1].role != MUSE_ROLE_TOOL) put(r, "<|im_end|>\n");
}

int muse_render_chatml(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    size_t last_user = SIZE_MAX;
    for (size_t i = 0; i < chat->n_messages; i++)
        if (chat->messages[i].role == MUSE_ROLE_USER) last_user = i;
    for (size_t i = chatml_system(r); i < chat->n_messages; i++) {
        const MuseMessage *m = &chat->messages[i];
        r->message = i;
        if (m->role == MUSE_ROLE_TOOL) {
            chatml_result(r, i);
            continue;
        }
        put(r, "<|im_start|>");
        put(r, role_names[m->role]);
        put(r, "\n");
        if (m->role == MUSE_ROLE_ASSISTANT) {
            chatml_assistant(r, i, last_user);
        } else {
            muse_render_parts(r, m, false);
            put(r, "<|im_end|>\n");
        }
    }
    begin_generation(r, chat->format->thinking && !chat->thinking ? "<|im_start|>assistant\n<think>\n\n</think>\n\n" : "<|im_start|>assistant\n");
    return r->rc;
}

/* ---- muse ---- */

int muse_render_muse(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    put(r, "<bos>");
    for (size_t i = 0; i < chat->n_messages; i++) {
        const MuseMessage *m = &chat->messages[i];
        r->message = i;
        if (m->role == MUSE_ROLE_SYSTEM) {
            if (i > 0) return muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a system text stands only at the start");
            muse_render_parts(r, m, false);
            put(r, "<eos>");
        } else if (m->role == MUSE_ROLE_USER) {
            if (i > 0 && chat->messages[i - 1].role == MUSE_ROLE_USER) put(r, "\n");
            muse_render_parts(r, m, false);
        } else {
            put(r, "<think>");
            r->generated = chat->thinking || !muse_message_empty(m, true);
            muse_render_parts(r, m, true);
            put(r, "</think>");
            r->generated = true;
            muse_render_parts(r, m, false);
            put(r, "<eos>");
            r->generated = false;
        }
    }
    begin_generation(r, chat->thinking ? "<think>" : "<think></think>");
    r->in_thought = chat->thinking && !chat->no_generation;
    return r->rc;
}

/* ---- Fuyu ---- */

/* Bytes 0 to 4 are Fuyu's tokens for boxes, points and the answer (spec fuyu 4 and 5): in a text they would forge these. */
static void fuyu_text(MuseRender *r, const MuseMessage *m, bool question)
{
    bool begun = false;
    for (size_t i = 0; i < m->n_parts; i++) {
        const MusePart *part = &m->parts[i];
        if (part->kind == MUSE_PART_TEXT) {
            for (size_t k = 0; k < part->n && question; k++)
                if ((unsigned char)part->text[k] <= 4) muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "bytes 0 to 4 are control tokens here and can't be text");
            muse_render_plain(r, part->text, part->n);
            begun = true;
        } else {
            if (begun || i > 0 || !question) muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "one picture may stand, before the text");
            muse_render_media(r, part);
        }
    }
}

int muse_render_fuyu(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    const MuseMessage *m = chat->messages;
    if (chat->n_messages > 2 || m[0].role != MUSE_ROLE_USER || (chat->n_messages == 2 && m[1].role != MUSE_ROLE_ASSISTANT))
        return muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "there is one question and at most one answer");
    fuyu_text(r, &m[0], true);
    put(r, "\n\x04");
    if (chat->n_messages == 2) {
        r->message = 1;
        r->generated = true;
        fuyu_text(r, &m[1], false);
        put(r, "|ENDOFTEXT|");
    }
    return r->rc;
}
