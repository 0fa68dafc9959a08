/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation: checks what callers add and keeps copies of it. Writing prompts is render.c and the formats; reading is parse.c. */
#include "libmuse/chat/chat.h"

#include <string.h>

#include "base/params.h"

enum { NAME_MAX_BYTES = 256, ITEMS_MAX = 1 << 20 };

void muse_chat_params_init(MuseChatParams *params) { MUSE_PARAMS_INIT(params); }

/* room for one more; the list is unchanged if there is no memory */
static int grow(const MuseAllocator *a, void **list, size_t n, size_t *cap, size_t item_bytes, MuseError *err)
{
    if (n >= ITEMS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "a chat holds at most %d messages, and as many parts a message", ITEMS_MAX);
    return muse_grow(a, list, n, cap, item_bytes) < 0 ? MUSE_NOMEM(err, (*cap ? 2 * *cap : 4) * item_bytes) : 0;
}

int muse_chat_open(MuseChat **out, MuseRuntime *rt, const MuseChatParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MuseChatParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseChatParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.format && p.thinking >= MUSE_THINKING_DEFAULT && p.thinking <= MUSE_THINKING_OFF);
    const MuseChatFormat *format = muse_chat_format_find(p.format);
    if (!format) return muse_fail(err, MUSE_ERR_NOT_FOUND, "no chat format is called %s", p.format);
    if (!format->thinking && p.thinking == MUSE_THINKING_ON)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no thoughts", format->name);
    MuseRuntime *held = muse_runtime_ref(rt);
    MuseChat *chat = held ? muse_zalloc(&held->alloc, sizeof *chat) : NULL;
    if (!chat) {
        muse_runtime_close(&held);
        return MUSE_NOMEM(err, sizeof *chat);
    }
    chat->rt = held;
    chat->format = format;
    chat->thinking = (p.thinking ? p.thinking : format->thinking) == MUSE_THINKING_ON;
    chat->preserve_thinking = p.preserve_thinking != 0;
    chat->no_generation = p.no_generation != 0;
    chat->no_default_system = p.no_default_system != 0;
    const char *date = p.date ? p.date : "26 Jul 2024";   /* what Llama 3.1's template writes; spec llama-qwen 5 */
    chat->date = muse_copy_text(&held->alloc, date, strlen(date));
    if (!chat->date) {
        rc = MUSE_NOMEM(err, strlen(date));
        goto fail;
    }
    *out = chat;
    return 0;
fail:
    muse_chat_close(&chat);
    return rc;
}

void muse_chat_json_clear(MuseChatJson *json)
{
    muse_json_close(&json->doc);
    muse_free(json->bytes);
    *json = (MuseChatJson){ 0 };
}

static void part_clear(MusePart *part)
{
    muse_free(part->text);
    muse_image_close(&part->image);
    muse_audio_close(&part->audio);
}

static void call_clear(MuseCall *call)
{
    muse_free(call->id);
    muse_free(call->name);
    muse_chat_json_clear(&call->arguments);
}

static void message_clear(MuseMessage *m)
{
    for (size_t i = 0; i < m->n_parts; i++) part_clear(&m->parts[i]);
    for (size_t i = 0; i < m->n_calls; i++) call_clear(&m->calls[i]);
    muse_free(m->parts);
    muse_free(m->calls);
    muse_free(m->name);
    muse_chat_json_clear(&m->json);
}

static void tool_clear(MuseTool *tool)
{
    muse_free(tool->name);
    muse_free(tool->description);
    muse_chat_json_clear(&tool->parameters);
}

void muse_chat_close(MuseChat **chat)
{
    if (!chat || !*chat) return;
    MuseChat *c = *chat;
    for (size_t i = 0; i < c->n_messages; i++) message_clear(&c->messages[i]);
    for (size_t i = 0; i < c->n_tools; i++) tool_clear(&c->tools[i]);
    muse_free(c->messages);
    muse_free(c->tools);
    muse_free(c->date);
    MuseRuntime *rt = c->rt;
    muse_free(c);
    muse_runtime_close(&rt);
    *chat = NULL;
}

void muse_chat_drop_newest(MuseChat *chat)
{
    if (chat && chat->n_messages) message_clear(&chat->messages[--chat->n_messages]);
}

bool muse_chat_name_ok(const char *name, size_t n)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-";
    if (n == 0 || n > NAME_MAX_BYTES) return false;
    for (size_t i = 0; i < n; i++)
        if (!memchr(allowed, name[i], sizeof allowed - 1)) return false;
    return true;
}

static int name_copy(char **out, const MuseAllocator *a, const char *name, MuseError *err)
{
    const size_t n = strlen(name);
    if (!muse_chat_name_ok(name, n))
        return muse_fail(err, MUSE_ERR_ARG, "\"%.64s\" can't be a tool's name: 1 to 256 of A-Z a-z 0-9 _ . : / -", name);
    *out = muse_copy_text(a, name, n);
    return *out ? 0 : MUSE_NOMEM(err, n + 1);
}

int muse_chat_json_set(MuseChatJson *out, const MuseAllocator *a, const char *bytes, size_t n, bool object, const char *what, MuseError *err)
{
    *out = (MuseChatJson){ .bytes = muse_copy_text(a, bytes, n), .n = n };
    if (!out->bytes) return MUSE_NOMEM(err, n);
    int rc = muse_json_parse(&out->doc, a, out->bytes, n, err);
    if (rc < 0) rc = muse_fail_prefix(err, rc, "%s", what);
    else if (object && out->doc.root->type != MUSE_JSON_OBJECT) rc = muse_fail(err, MUSE_ERR_FORMAT, "%s: not a JSON object", what);
    else rc = muse_json_check(a, out->doc.root, what, err);
    if (rc < 0) muse_chat_json_clear(out);
    return rc;
}

int muse_chat_add_tool(MuseChat *chat, const char *name, const char *description, const char *parameters, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && name && (parameters || n == 0));
    if (!chat->format->read_call) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no tools", chat->format->name);
    for (size_t i = 0; i < chat->n_tools; i++)
        if (strcmp(chat->tools[i].name, name) == 0) return muse_fail(err, MUSE_ERR_ARG, "there are two tools called %s", name);
    const MuseAllocator *a = &chat->rt->alloc;
    MuseTool tool = { 0 };
    if (!description) description = "";
    if (strlen(description) > UINT32_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "a tool's description of over 4 GiB");
    int rc = grow(a, (void **)&chat->tools, chat->n_tools, &chat->cap_tools, sizeof tool, err);
    if (rc == 0) rc = name_copy(&tool.name, a, name, err);
    if (rc == 0 && !(tool.description = muse_copy_text(a, description, strlen(description)))) rc = MUSE_NOMEM(err, strlen(description));
    if (rc == 0 && parameters) rc = muse_chat_json_set(&tool.parameters, a, parameters, n, true, "a tool's parameters", err);
    if (rc < 0) tool_clear(&tool);
    else chat->tools[chat->n_tools++] = tool;
    return rc;
}

int muse_chat_add(MuseChat *chat, int role, MuseError *err)
{
    MUSE_REQUIRE(err, chat && role >= MUSE_ROLE_SYSTEM && role <= MUSE_ROLE_ASSISTANT);
    const int rc = grow(&chat->rt->alloc, (void **)&chat->messages, chat->n_messages, &chat->cap_messages, sizeof *chat->messages, err);
    if (rc == 0) chat->messages[chat->n_messages++] = (MuseMessage){ .role = role };
    return rc;
}

/* the name of the call with this id among those that results may belong to now, else name */
static const char *result_name(const MuseMessage *owner, const char *id, const char *name)
{
    for (size_t i = 0; id && i < owner->n_calls; i++)
        if (owner->calls[i].id && strcmp(owner->calls[i].id, id) == 0) return owner->calls[i].name;
    return name;
}

int muse_chat_add_result(MuseChat *chat, const char *id, const char *name, MuseError *err)
{
    MUSE_REQUIRE(err, chat);
    if (!chat->format->read_call) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no tools", chat->format->name);
    size_t k = chat->n_messages;
    while (k > 0 && chat->messages[k - 1].role == MUSE_ROLE_TOOL) k--;
    if (k == 0 || chat->messages[k - 1].n_calls == 0)
        return muse_fail(err, MUSE_ERR_STATE, "a tool's result must follow the message that called it");
    name = result_name(&chat->messages[k - 1], id, name);
    if (!name) return muse_fail(err, MUSE_ERR_NOT_FOUND, "no call before this result has the id %s, and no tool is named", id ? id : "(none)");
    MuseMessage m = { .role = MUSE_ROLE_TOOL };
    int rc = grow(&chat->rt->alloc, (void **)&chat->messages, chat->n_messages, &chat->cap_messages, sizeof m, err);
    if (rc == 0) rc = name_copy(&m.name, &chat->rt->alloc, name, err);
    if (rc == 0) chat->messages[chat->n_messages++] = m;
    return rc;
}

/* the message that is being built; NULL with an error if there is none, or assistant is asked for and it is another */
static MuseMessage *newest(MuseChat *chat, bool assistant, MuseError *err)
{
    MuseMessage *m = chat->n_messages ? &chat->messages[chat->n_messages - 1] : NULL;
    if (!m) muse_fail(err, MUSE_ERR_STATE, "there is no message to add to");
    else if (assistant && m->role != MUSE_ROLE_ASSISTANT) {
        muse_fail(err, MUSE_ERR_STATE, "message %zu is not the assistant's: it has no thoughts and calls", chat->n_messages - 1);
        m = NULL;
    }
    return m;
}

static int push_part(MuseChat *chat, MuseMessage *m, const MusePart *part, MuseError *err)
{
    const int rc = grow(&chat->rt->alloc, (void **)&m->parts, m->n_parts, &m->cap_parts, sizeof *part, err);
    if (rc == 0) m->parts[m->n_parts++] = *part;
    return rc;
}

static int push_text(MuseChat *chat, MuseMessage *m, MusePartKind kind, bool thought, const char *text, size_t n, MuseError *err)
{
    MusePart part = { .kind = kind, .thought = thought, .text = muse_copy_text(&chat->rt->alloc, text, n), .n = n };
    if (!part.text) return MUSE_NOMEM(err, n);
    const int rc = push_part(chat, m, &part, err);
    if (rc < 0) part_clear(&part);
    return rc;
}

int muse_chat_add_text(MuseChat *chat, const char *text, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && (text || n == 0));
    MuseMessage *m = newest(chat, false, err);
    if (!m) return MUSE_ERR_STATE;
    if (m->json.bytes) return muse_fail(err, MUSE_ERR_STATE, "this result is JSON already");
    return push_text(chat, m, MUSE_PART_TEXT, false, text, n, err);
}

static int no_media(const MuseChat *chat, const MuseMessage *m, bool takes, const char *what, MuseError *err)
{
    if (!takes) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s takes no %s", chat->format->name, what);
    if (m->role == MUSE_ROLE_SYSTEM) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a system message takes no %s", what);
    return 0;
}

int muse_chat_add_image(MuseChat *chat, MuseImage *image, const MuseImageOptions *options, MuseError *err)
{
    MUSE_REQUIRE(err, chat && image);
    MuseImageOptions o;
    int rc = MUSE_PARAMS_IMPORT(&o, options, "MuseImageOptions", err);
    if (rc < 0) return rc;
    MuseMessage *m = newest(chat, false, err);
    if (!m) return MUSE_ERR_STATE;
    if ((rc = no_media(chat, m, chat->format->images, "pictures", err)) < 0) return rc;
    MusePart part = { .kind = MUSE_PART_IMAGE, .image = muse_image_ref(image), .budget = o.budget };
    rc = push_part(chat, m, &part, err);
    if (rc < 0) part_clear(&part);
    return rc;
}

int muse_chat_add_audio(MuseChat *chat, MuseAudio *audio, MuseError *err)
{
    MUSE_REQUIRE(err, chat && audio);
    MuseMessage *m = newest(chat, false, err);
    if (!m) return MUSE_ERR_STATE;
    int rc = no_media(chat, m, chat->format->audio, "sounds", err);
    if (rc < 0) return rc;
    MusePart part = { .kind = MUSE_PART_AUDIO, .audio = muse_audio_ref(audio) };
    rc = push_part(chat, m, &part, err);
    if (rc < 0) part_clear(&part);
    return rc;
}

int muse_chat_add_json(MuseChat *chat, const char *json, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && json);
    MuseMessage *m = newest(chat, false, err);
    if (!m) return MUSE_ERR_STATE;
    if (m->role != MUSE_ROLE_TOOL) return muse_fail(err, MUSE_ERR_STATE, "message %zu is no tool's result: JSON goes in as text", chat->n_messages - 1);
    if (m->json.bytes || !muse_message_empty(m, false)) return muse_fail(err, MUSE_ERR_STATE, "this result has text or JSON already");
    return muse_chat_json_set(&m->json, &chat->rt->alloc, json, n, false, "a tool's result", err);
}

int muse_chat_add_thought(MuseChat *chat, const char *text, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && (text || n == 0));
    MuseMessage *m = newest(chat, true, err);
    if (!m) return MUSE_ERR_STATE;
    if (!chat->format->thinking) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no thoughts", chat->format->name);
    return push_text(chat, m, MUSE_PART_TEXT, true, text, n, err);
}

int muse_chat_add_token(MuseChat *chat, int thought, const char *token, MuseError *err)
{
    MUSE_REQUIRE(err, chat && token);
    MuseMessage *m = newest(chat, thought != 0, err);
    if (!m) return MUSE_ERR_STATE;
    for (size_t i = 0; i < chat->format->n_controls; i++)
        if (chat->format->controls[i].role == MUSE_TOKEN_INLINE && strcmp(chat->format->controls[i].text, token) == 0)
            return push_text(chat, m, MUSE_PART_TOKEN, thought != 0, token, strlen(token), err);
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no token %.64s inside text", chat->format->name, token);
}

int muse_chat_add_call(MuseChat *chat, const char *id, const char *name, const char *arguments, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && name && arguments);
    MuseMessage *m = newest(chat, true, err);
    if (!m) return MUSE_ERR_STATE;
    if (!chat->format->read_call) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no tools", chat->format->name);
    const MuseAllocator *a = &chat->rt->alloc;
    MuseCall call = { 0 };
    int rc = grow(a, (void **)&m->calls, m->n_calls, &m->cap_calls, sizeof call, err);
    if (rc == 0) rc = name_copy(&call.name, a, name, err);
    if (rc == 0 && id && !(call.id = muse_copy_text(a, id, strlen(id)))) rc = MUSE_NOMEM(err, strlen(id));
    if (rc == 0) rc = muse_chat_json_set(&call.arguments, a, arguments, n, true, "arguments of a call", err);
    if (rc < 0) call_clear(&call);
    else m->calls[m->n_calls++] = call;
    return rc;
}

size_t muse_chat_length(const MuseChat *chat) { return chat ? chat->n_messages : 0; }

bool muse_message_empty(const MuseMessage *m, bool thought)
{
    for (size_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].thought == thought && (m->parts[i].kind != MUSE_PART_TEXT || m->parts[i].n > 0)) return false;
    return true;
}
