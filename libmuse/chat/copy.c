/* SPDX-License-Identifier: Apache-2.0 */
/* A second conversation with the same content, by the calls that made the first. Users: libmuse/reason. */
#include <string.h>

#include "libmuse/chat/chat.h"

static int copy_part(MuseChat *to, const MusePart *p, MuseError *err)
{
    MuseImageOptions options;
    muse_image_options_init(&options);
    options.budget = p->budget;
    switch (p->kind) {
    case MUSE_PART_TEXT: return p->thought ? muse_chat_add_thought(to, p->text, p->n, err) : muse_chat_add_text(to, p->text, p->n, err);
    case MUSE_PART_TOKEN: return muse_chat_add_token(to, p->thought, p->text, err);
    case MUSE_PART_IMAGE: return muse_chat_add_image(to, p->image, &options, err);
    case MUSE_PART_AUDIO: return muse_chat_add_audio(to, p->audio, err);
    }
    return 0;
}

static int copy_message(MuseChat *to, const MuseMessage *m, MuseError *err)
{
    int rc = m->role == MUSE_ROLE_TOOL ? muse_chat_add_result(to, NULL, m->name, err) : muse_chat_add(to, m->role, err);
    if (rc == 0 && m->json.bytes) rc = muse_chat_add_json(to, m->json.bytes, m->json.n, err);
    for (size_t i = 0; i < m->n_parts && rc == 0; i++) rc = copy_part(to, &m->parts[i], err);
    for (size_t i = 0; i < m->n_calls && rc == 0; i++)
        rc = muse_chat_add_call(to, m->calls[i].id, m->calls[i].name, m->calls[i].arguments.bytes, m->calls[i].arguments.n, err);
    return rc;
}

int muse_chat_copy(MuseChat **out, const MuseChat *from, MuseError *err)
{
    MuseChatParams p;
    muse_chat_params_init(&p);
    p.format = from->format->name;
    p.thinking = !from->format->thinking ? MUSE_THINKING_DEFAULT : from->thinking ? MUSE_THINKING_ON : MUSE_THINKING_OFF;
    p.preserve_thinking = from->preserve_thinking;
    p.no_generation = from->no_generation;
    p.no_default_system = from->no_default_system;
    p.date = from->date;
    int rc = muse_chat_open(out, from->rt, &p, err);
    for (size_t i = 0; i < from->n_tools && rc == 0; i++) {
        const MuseTool *t = &from->tools[i];
        rc = muse_chat_add_tool(*out, t->name, t->description, t->parameters.bytes, t->parameters.n, err);
    }
    for (size_t i = 0; i < from->n_messages && rc == 0; i++) rc = copy_message(*out, &from->messages[i], err);
    if (rc < 0) muse_chat_close(out);
    return rc;
}
