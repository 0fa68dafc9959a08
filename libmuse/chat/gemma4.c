/* SPDX-License-Identifier: Apache-2.0 */
/* The chat format of Gemma 4 Unified, the published template's oddities included. Rules: docs/chat.md. Reading calls back is
 * call_gemma4.c. */
#include <string.h>

#include "libmuse/chat/chat.h"

static void put(MuseRender *r, const char *fixed) { muse_render_fixed(r, fixed); }

static void quoted(MuseRender *r, const char *text, size_t n)
{
    put(r, "<|\"|>");
    muse_render_plain(r, text, n);
    put(r, "<|\"|>");
}

/* ---- values ---- */

static void value(MuseRender *r, const MuseJsonValue *v, bool quote_keys);

static void members(MuseRender *r, const MuseJsonValue *object, bool quote_keys)
{
    size_t n;
    const MuseJsonValue **list = muse_json_sorted(r, object, &n);
    put(r, "{");
    for (size_t i = 0; i < n; i++) {
        if (i) put(r, ",");
        if (quote_keys) quoted(r, list[i]->key, list[i]->key_len);
        else muse_render_plain(r, list[i]->key, list[i]->key_len);
        put(r, ":");
        value(r, list[i], quote_keys);
    }
    put(r, "}");
    muse_free(list);
}

static void value(MuseRender *r, const MuseJsonValue *v, bool quote_keys)
{
    char number[MUSE_NUMBER_BYTES];
    switch ((MuseJsonType)v->type) {
    case MUSE_JSON_STRING: quoted(r, v->u.string, v->len); break;
    case MUSE_JSON_BOOL: put(r, v->u.integer ? "true" : "false"); break;
    case MUSE_JSON_NULL: put(r, "null"); break;
    case MUSE_JSON_OBJECT: members(r, v, quote_keys); break;
    case MUSE_JSON_ARRAY:
        put(r, "[");
        for (const MuseJsonValue *m = v->u.first; m; m = m->next) {
            if (m != v->u.first) put(r, ",");
            value(r, m, quote_keys);
        }
        put(r, "]");
        break;
    default:
        muse_python_number(v, number);
        put(r, number);
    }
}

/* ---- declarations ---- */

static bool is_truthy(const MuseJsonValue *v)
{
    if (!v || v->type == MUSE_JSON_NULL) return false;
    if (v->type == MUSE_JSON_DOUBLE) return v->u.number != 0;
    return v->type == MUSE_JSON_BOOL || v->type == MUSE_JSON_INT ? v->u.integer != 0 : v->len > 0;
}

/* ASCII: the types of JSON schema are */
static char upper_char(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

static void upper(MuseRender *r, const MuseJsonValue *v)
{
    for (uint32_t i = 0; i < v->len; i++) {
        const char c = upper_char(v->u.string[i]);
        muse_render_plain(r, &c, 1);
    }
}

/* A type in capitals. A list of types is printed as Python shows a list: a quirk of the published template. */
static void type_text(MuseRender *r, const MuseJsonValue *type)
{
    put(r, "<|\"|>");
    if (muse_json_is(type, MUSE_JSON_STRING)) upper(r, type);
    else if (muse_json_is(type, MUSE_JSON_ARRAY)) {
        put(r, "[");
        for (const MuseJsonValue *t = type->u.first; t; t = t->next) {
            if (t != type->u.first) put(r, ", ");
            put(r, "'");
            if (t->type == MUSE_JSON_STRING) upper(r, t);
            else muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a tool's schema has a type that is no string");
            put(r, "'");
        }
        put(r, "]");
    } else if (type) muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a tool's schema has a type that is no string");
    put(r, "<|\"|>");
}

static bool type_is(const MuseJsonValue *schema, const char *name)
{
    const MuseJsonValue *type = muse_json_get(schema, "type");
    if (!muse_json_is(type, MUSE_JSON_STRING) || type->len != strlen(name)) return false;
    for (uint32_t i = 0; i < type->len; i++)
        if (upper_char(type->u.string[i]) != name[i]) return false;
    return true;
}

static void properties(MuseRender *r, const MuseJsonValue *object);

static void required(MuseRender *r, const MuseJsonValue *list)
{
    put(r, "required:[");
    if (!muse_json_is(list, MUSE_JSON_ARRAY)) muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a tool's schema has \"required\" that is no list");
    else for (const MuseJsonValue *v = list->u.first; v; v = v->next) {
        if (v != list->u.first) put(r, ",");
        if (v->type == MUSE_JSON_STRING) quoted(r, v->u.string, v->len);
        else muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a tool's schema requires something that is no name");
    }
    put(r, "]");
}

/* one member of "items" */
static void item_member(MuseRender *r, const MuseJsonValue *m)
{
    const bool is_type = m->key_len == 4 && memcmp(m->key, "type", 4) == 0;
    if (m->key_len == 10 && memcmp(m->key, "properties", 10) == 0) {
        put(r, "properties:");
        properties(r, m);
    } else if (m->key_len == 8 && memcmp(m->key, "required", 8) == 0) {
        required(r, m);
    } else {
        muse_render_plain(r, m->key, m->key_len);
        put(r, ":");
        if (is_type && m->type == MUSE_JSON_STRING) type_text(r, m);
        else if (is_type && m->type == MUSE_JSON_ARRAY) {
            put(r, "[");
            for (const MuseJsonValue *t = m->u.first; t; t = t->next) {
                if (t != m->u.first) put(r, ",");
                type_text(r, t);
            }
            put(r, "]");
        } else value(r, m, true);
    }
}

static void items(MuseRender *r, const MuseJsonValue *object)
{
    size_t n;
    const MuseJsonValue **list = muse_json_sorted(r, object, &n);
    put(r, "items:{");
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (list[i]->type == MUSE_JSON_NULL) continue;
        if (any) put(r, ",");
        any = true;
        item_member(r, list[i]);
    }
    put(r, "},");
    muse_free(list);
}

static void text_member(MuseRender *r, const MuseJsonValue *v)
{
    if (v->type != MUSE_JSON_STRING) muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a tool's schema has a description that is no string");
    else quoted(r, v->u.string, v->len);
}

static void property(MuseRender *r, const MuseJsonValue *p)
{
    muse_render_plain(r, p->key, p->key_len);
    put(r, ":{");
    if (p->type != MUSE_JSON_OBJECT) muse_render_fail(r, MUSE_ERR_UNSUPPORTED, "a tool's schema has a property that is no object");
    const MuseJsonValue *description = muse_json_get(p, "description"), *choices = muse_json_get(p, "enum"), *of = muse_json_get(p, "items");
    const MuseJsonValue *inner = muse_json_get(p, "properties"), *needed = muse_json_get(p, "required");
    if (is_truthy(description)) {
        put(r, "description:");
        text_member(r, description);
        put(r, ",");
    }
    if (type_is(p, "STRING") && is_truthy(choices)) {
        put(r, "enum:");
        value(r, choices, true);
        put(r, ",");
    }
    if (type_is(p, "ARRAY") && muse_json_is(of, MUSE_JSON_OBJECT) && of->len > 0) items(r, of);
    if (is_truthy(muse_json_get(p, "nullable"))) put(r, "nullable:true,");
    if (type_is(p, "OBJECT") && muse_json_is(inner, MUSE_JSON_OBJECT)) {
        put(r, "properties:");
        properties(r, inner);
        put(r, ",");
    }
    if (type_is(p, "OBJECT") && is_truthy(needed)) {
        required(r, needed);
        put(r, ",");
    }
    put(r, "type:");
    type_text(r, muse_json_get(p, "type"));
    put(r, "}");
}

static void properties(MuseRender *r, const MuseJsonValue *object)
{
    size_t n;
    const MuseJsonValue **list = muse_json_sorted(r, object, &n);
    put(r, "{");
    for (size_t i = 0; i < n; i++) {
        if (i) put(r, ",");
        property(r, list[i]);
    }
    put(r, "}");
    muse_free(list);
}

static void declaration(MuseRender *r, const MuseTool *tool)
{
    const MuseJsonValue *p = tool->parameters.doc.root;
    put(r, "<|tool>declaration:");
    muse_render_plain(r, tool->name, strlen(tool->name));
    put(r, "{description:");
    quoted(r, tool->description, strlen(tool->description));
    if (is_truthy(p)) {
        put(r, ",parameters:{");
        if (is_truthy(muse_json_get(p, "properties"))) {
            put(r, "properties:");
            properties(r, muse_json_get(p, "properties"));
            put(r, ",");
        }
        if (is_truthy(muse_json_get(p, "required"))) {
            required(r, muse_json_get(p, "required"));
            put(r, ",");
        }
        if (is_truthy(muse_json_get(p, "type"))) {   /* the brace belongs to the type: another quirk */
            put(r, "type:");
            type_text(r, muse_json_get(p, "type"));
            put(r, "}");
        }
    }
    put(r, "}<tool|>");
}

/* ---- turns ---- */

static bool is_string(const MuseMessage *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_parts; i++)
        if (!m->parts[i].thought) n += m->parts[i].kind == MUSE_PART_TEXT ? 1 : 2;
    return n <= 1;
}

static const char *find(const char *text, size_t n, const char *word)
{
    const size_t k = strlen(word);
    for (size_t i = 0; k <= n && i <= n - k; i++)
        if (text[i] == word[0] && memcmp(text + i, word, k) == 0) return text + i;
    return NULL;
}

/* Text of the model's without spelled-out thoughts (only whole ones; the ends are trimmed afterwards), as published. */
static void model_text(MuseRender *r, const char *text, size_t n)
{
    MuseBuf kept = { .alloc = &r->chat->rt->alloc };
    const char *end = text + n, *open, *close;
    int rc = 0;
    while (rc == 0 && (open = find(text, (size_t)(end - text), "<|channel>")) && (close = find(open, (size_t)(end - open), "<channel|>"))) {
        rc = muse_buf_append(&kept, text, (size_t)(open - text));
        text = close + strlen("<channel|>");
    }
    if (rc == 0) rc = muse_buf_append(&kept, text, (size_t)(end - text));
    if (rc < 0) muse_render_fail(r, MUSE_ERR_NOMEM, "no memory for its text");
    else {
        text = (const char *)kept.data;
        n = kept.len;
        muse_trim(&text, &n);
        muse_render_plain(r, text, n);
    }
    muse_buf_clear(&kept);
}

/* false: nothing was written */
static bool content(MuseRender *r, const MuseMessage *m)
{
    const size_t before = r->text.len, items_before = r->items.len;
    for (size_t i = 0; i < m->n_parts; i++) {
        const MusePart *part = &m->parts[i];
        const char *text = part->text;
        size_t n = part->n;
        if (part->thought) continue;
        if (part->kind != MUSE_PART_TEXT) muse_render_media(r, part);
        else if (m->role == MUSE_ROLE_ASSISTANT) model_text(r, text, n);
        else {
            muse_trim(&text, &n);
            muse_render_plain(r, text, n);
        }
    }
    return r->text.len != before || r->items.len != items_before;
}

/* The block before the first turn. @return how many messages it took: 0 or 1 */
static size_t system_block(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    const MuseMessage *m = chat->messages[0].role == MUSE_ROLE_SYSTEM ? &chat->messages[0] : NULL;
    if (!m && !chat->thinking && chat->n_tools == 0) return 0;
    put(r, chat->thinking ? "<|turn>system\n<|think|>\n" : "<|turn>system\n");
    for (size_t i = 0; m && i < m->n_parts; i++) {
        const char *text = m->parts[i].text;
        size_t n = m->parts[i].n;
        muse_trim(&text, &n);
        muse_render_plain(r, text, n);
        if (!is_string(m)) put(r, " ");
    }
    for (size_t i = 0; i < chat->n_tools; i++) declaration(r, &chat->tools[i]);
    put(r, "<turn|>\n");
    return m != NULL;
}

static void call(MuseRender *r, const MuseCall *c)
{
    put(r, "<|tool_call>call:");
    muse_render_plain(r, c->name, strlen(c->name));
    members(r, c->arguments.doc.root, false);
    put(r, "<tool_call|>");
}

/* behind <|tool_response> */
static void response(MuseRender *r, const MuseMessage *m)
{
    put(r, "response:");
    muse_render_plain(r, m->name, strlen(m->name));
    if (muse_json_is(m->json.doc.root, MUSE_JSON_OBJECT)) {
        members(r, m->json.doc.root, false);
    } else {
        put(r, "{value:");
        if (m->json.doc.root) value(r, m->json.doc.root, false);
        else {
            put(r, "<|\"|>");
            for (size_t i = 0; i < m->n_parts; i++)
                if (m->parts[i].kind == MUSE_PART_TEXT) muse_render_plain(r, m->parts[i].text, m->parts[i].n);
            put(r, "<|\"|>");
        }
        put(r, "}");
    }
    put(r, "<tool_response|>");
    for (size_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].kind != MUSE_PART_TEXT) muse_render_media(r, &m->parts[i]);
}

/* Results of message i, which stand right behind it. The first mark is the model's: it stops there. @return their number */
static size_t responses(MuseRender *r, size_t i)
{
    const MuseChat *chat = r->chat;
    const bool generated = r->generated;
    size_t n = 0;
    while (i + 1 + n < chat->n_messages && chat->messages[i + 1 + n].role == MUSE_ROLE_TOOL) {
        if (n) r->message = i + 1 + n;
        put(r, "<|tool_response>");
        r->message = i + 1 + n;
        r->generated = false;
        response(r, &chat->messages[i + 1 + n++]);
    }
    r->message = i;
    r->generated = generated;
    return n;
}

enum { LAST_OTHER, LAST_CALL, LAST_RESPONSE };

/* Message i and its results. @return what it ended with */
static int turn(MuseRender *r, size_t i, bool continues, size_t last_user)
{
    static const char *const heads[] = { "", "<|turn>system\n", "<|turn>user\n", "<|turn>model\n" };
    const MuseChat *chat = r->chat;
    const MuseMessage *m = &chat->messages[i];
    const bool model = m->role == MUSE_ROLE_ASSISTANT;
    r->message = i;
    if (!continues) put(r, heads[m->role]);
    r->generated = model;
    const bool recent = last_user == SIZE_MAX || i > last_user;
    if (!muse_message_empty(m, true) && (recent || (chat->preserve_thinking && m->n_calls > 0))) {
        put(r, "<|channel>thought\n");
        muse_render_parts(r, m, true);
        put(r, "\n<channel|>");
    }
    for (size_t k = 0; k < m->n_calls; k++) call(r, &m->calls[k]);
    const size_t n_responses = responses(r, i);
    const bool any = content(r, m);
    const size_t next = i + 1 + n_responses;
    const bool last = next == chat->n_messages;
    if (m->n_calls > 0 && n_responses == 0) {
        put(r, "<|tool_response>");
        return LAST_CALL;
    }
    if ((last || chat->messages[next].role != MUSE_ROLE_ASSISTANT || !model) && !(n_responses > 0 && !any && last)) {
        put(r, "<turn|>");
        if (model) r->message = next;   /* the model stops before the newline */
        r->generated = false;
        put(r, "\n");
    }
    return n_responses > 0 ? LAST_RESPONSE : LAST_OTHER;
}

static void generation(MuseRender *r, int last)
{
    const MuseChat *chat = r->chat;
    r->message = chat->n_messages;
    r->generated = false;
    if (last == LAST_OTHER) put(r, chat->thinking ? "<|turn>model\n" : "<|turn>model\n<|channel>thought\n<channel|>");
    if (last == LAST_RESPONSE && chat->thinking) {
        put(r, "<|channel>thought\n");
        r->in_thought = true;
    }
}

int muse_render_gemma4(MuseRender *r)
{
    const MuseChat *chat = r->chat;
    size_t last_user = SIZE_MAX;
    for (size_t i = 0; i < chat->n_messages; i++)
        if (chat->messages[i].role == MUSE_ROLE_USER) last_user = i;
    put(r, "<bos>");
    bool model_before = false;
    int last = LAST_OTHER;
    for (size_t i = system_block(r); i < chat->n_messages; i++) {
        if (chat->messages[i].role == MUSE_ROLE_TOOL) continue;
        const bool model = chat->messages[i].role == MUSE_ROLE_ASSISTANT;
        last = turn(r, i, model && model_before, last_user);
        model_before = model;
    }
    if (!chat->no_generation) generation(r, last);
    return r->rc;
}
