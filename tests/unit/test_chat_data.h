/* SPDX-License-Identifier: Apache-2.0 */
/* Building a chat from a line of tests/data/chat/chats.jsonl. Users: test_chat.c, test_chat_parse.c. */
#ifndef TEST_CHAT_DATA_H
#define TEST_CHAT_DATA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/json.h"
#include "muse/muse.h"

static MuseError err;

static inline void ok(int rc)
{
    if (rc < 0) fail_msg("%s: %s", muse_status_name(rc), err.text);
}

static inline const char *data_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("MUSE_TEST_DATA"), name);
    return path;
}

static inline MuseImage *picture(void)
{
    static const uint8_t rgb[12 * 12 * 3] = { 1, 2, 3 };
    MuseImage *image = NULL;
    ok(muse_image_open_pixels(&image, NULL, rgb, 12, 12, 0, MUSE_PIXELS_RGB, NULL, &err));
    return image;
}

static inline MuseAudio *sound(void)
{
    static const int16_t pcm[1000] = { 5 };
    MuseAudio *audio = NULL;
    ok(muse_audio_open_pcm(&audio, NULL, pcm, 1000, MUSE_PCM_S16, 16000, 1, NULL, &err));
    return audio;
}

static inline int64_t number(const MuseJsonValue *v, const char *key)
{
    int64_t n;
    assert_true(muse_json_read_i64(muse_json_get(v, key), 0, &n));
    return n;
}

/* a member as a terminated string, or NULL; released by the caller */
static inline char *string(const MuseJsonValue *v, const char *key)
{
    const MuseJsonValue *s = muse_json_get(v, key);
    if (!muse_json_is(s, MUSE_JSON_STRING)) return NULL;
    char *copy = calloc(1, s->len + 1);
    assert_non_null(copy);
    memcpy(copy, s->u.string, s->len);
    return copy;
}

static inline void add_parts(MuseChat *chat, const MuseJsonValue *parts)
{
    for (const MuseJsonValue *p = parts->u.first; p; p = p->next) {
        const MuseJsonValue *text = muse_json_get(p, "text");
        char *token = string(p, "token");
        if (text) ok(muse_chat_add_text(chat, text->u.string, text->len, &err));
        else if (token) ok(muse_chat_add_token(chat, 0, token, &err));
        else if (muse_json_get(p, "image")) {
            MuseImage *image = picture();
            ok(muse_chat_add_image(chat, image, NULL, &err));
            muse_image_close(&image);
        } else {
            MuseAudio *audio = sound();
            ok(muse_chat_add_audio(chat, audio, &err));
            muse_audio_close(&audio);
        }
        free(token);
    }
}

static inline void add_message(MuseChat *chat, const MuseJsonValue *m)
{
    char *role = string(m, "role"), *id = string(m, "id"), *name = string(m, "name");
    const MuseJsonValue *thought = muse_json_get(m, "thought"), *calls = muse_json_get(m, "calls"), *json = muse_json_get(m, "json");
    if (strcmp(role, "tool") == 0) ok(muse_chat_add_result(chat, id, name, &err));
    else ok(muse_chat_add(chat, role[0] == 's' ? MUSE_ROLE_SYSTEM : role[0] == 'u' ? MUSE_ROLE_USER : MUSE_ROLE_ASSISTANT, &err));
    if (thought && thought->len) ok(muse_chat_add_thought(chat, thought->u.string, thought->len, &err));
    for (const MuseJsonValue *c = calls ? calls->u.first : NULL; c; c = c->next) {
        char *call = string(c, "name"), *call_id = string(c, "id"), *arguments = string(c, "arguments");
        ok(muse_chat_add_call(chat, call_id, call, arguments, strlen(arguments), &err));
        free(call), free(call_id), free(arguments);
    }
    if (json) ok(muse_chat_add_json(chat, json->u.string, json->len, &err));
    add_parts(chat, muse_json_get(m, "parts"));
    free(role), free(id), free(name);
}

/* the chat of a line, with its first n messages */
static inline MuseChat *build(const MuseJsonValue *line, size_t n, int no_generation)
{
    MuseChatParams p;
    muse_chat_params_init(&p);
    char *format = string(line, "format"), *date = string(line, "date");
    p.format = format;
    p.date = date;
    p.thinking = (int)number(line, "thinking");
    p.preserve_thinking = (int)number(line, "preserve");
    p.no_generation = no_generation;
    MuseChat *chat = NULL;
    ok(muse_chat_open(&chat, NULL, &p, &err));
    for (const MuseJsonValue *t = muse_json_get(line, "tools")->u.first; t; t = t->next) {
        char *name = string(t, "name"), *description = string(t, "description"), *parameters = string(t, "parameters");
        ok(muse_chat_add_tool(chat, name, description, parameters, parameters ? strlen(parameters) : 0, &err));
        free(name), free(description), free(parameters);
    }
    for (const MuseJsonValue *m = muse_json_get(line, "messages")->u.first; m && n > 0; m = m->next, n--) add_message(chat, m);
    free(format), free(date);
    return chat;
}

/* calls fn with each line of the file */
static inline size_t each_chat(void (*fn)(const MuseJsonValue *line, size_t i))
{
    MuseFile file = { 0 };
    ok(muse_file_open(&file, data_path("chat/chats.jsonl"), 1 << 24, &err));
    size_t count = 0;
    for (const uint8_t *at = file.data, *end = at + file.size; at < end; count++) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(stop);
        MuseJson doc;
        ok(muse_json_parse(&doc, NULL, at, (size_t)(stop - at), &err));
        fn(doc.root, count);
        muse_json_close(&doc);
        at = stop + 1;
    }
    muse_file_close(&file);
    return count;
}

static inline char *prompt_of(const MuseChat *chat, size_t *n)
{
    char *text;
    ok(muse_chat_prompt(chat, &text, n, &err));
    return text;
}

/* shows where two texts part */
static inline void same_text(const char *got, size_t n, const char *want, size_t n_want, size_t line)
{
    size_t i = 0;
    while (i < n && i < n_want && got[i] == want[i]) i++;
    if (i == n && i == n_want) return;
    const size_t from = i > 60 ? i - 60 : 0;
    fail_msg("chat %zu, byte %zu:\n got ...%.*s\nwant ...%.*s", line + 1, i, (int)(n - from < 120 ? n - from : 120), got + from,
             (int)(n_want - from < 120 ? n_want - from : 120), want + from);
}

static inline MuseChat *open_format(const char *format, int thinking)
{
    MuseChatParams p;
    muse_chat_params_init(&p);
    p.format = format;
    p.thinking = thinking;
    MuseChat *chat = NULL;
    ok(muse_chat_open(&chat, NULL, &p, &err));
    return chat;
}

static inline void say(MuseChat *chat, int role, const char *text)
{
    ok(muse_chat_add(chat, role, &err));
    ok(muse_chat_add_text(chat, text, strlen(text), &err));
}

#endif
