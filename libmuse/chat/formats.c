/* SPDX-License-Identifier: Apache-2.0 */
/* The table of chat formats, and what is asked of a format without a chat: which one, its end tokens, how a thought is closed. */
#include <string.h>

#include "libmuse/chat/chat.h"

#define COUNT_OF(x) (sizeof (x) / sizeof *(x))

/* spec gemma4-unified 5.2 and 6 */
static const MuseControl gemma4_controls[] = {
    { "<turn|>", MUSE_TOKEN_STOP, false }, { "<eos>", MUSE_TOKEN_STOP, false }, { "<|tool_response>", MUSE_TOKEN_STOP_CALL, false },
    { "<|channel>", MUSE_TOKEN_THINK, false }, { "<channel|>", MUSE_TOKEN_THINK_END, false },
    { "<|tool_call>", MUSE_TOKEN_CALL, false }, { "<tool_call|>", MUSE_TOKEN_CALL_END, false }, { "<|\"|>", MUSE_TOKEN_QUOTE, false },
    { "<bos>", MUSE_TOKEN_OTHER, false }, { "<|turn>", MUSE_TOKEN_OTHER, false }, { "<|think|>", MUSE_TOKEN_OTHER, false },
    { "<|tool>", MUSE_TOKEN_OTHER, false }, { "<tool|>", MUSE_TOKEN_OTHER, false }, { "<tool_response|>", MUSE_TOKEN_OTHER, false },
};

static const MuseControl llama3_controls[] = {
    { "<|eot_id|>", MUSE_TOKEN_STOP, false }, { "<|end_of_text|>", MUSE_TOKEN_STOP, false }, { "<|eom_id|>", MUSE_TOKEN_STOP_CALL, true },
    { "<|begin_of_text|>", MUSE_TOKEN_OTHER, false }, { "<|start_header_id|>", MUSE_TOKEN_OTHER, false }, { "<|end_header_id|>", MUSE_TOKEN_OTHER, false },
};

/* the first three are all that plain ChatML has, the first seven all of Qwen 2.5 */
static const MuseControl chatml_controls[] = {
    { "<|im_end|>", MUSE_TOKEN_STOP, false }, { "<|endoftext|>", MUSE_TOKEN_STOP, true }, { "<|im_start|>", MUSE_TOKEN_OTHER, false },
    { "<tool_call>", MUSE_TOKEN_CALL, true }, { "</tool_call>", MUSE_TOKEN_CALL_END, true },
    { "<tool_response>", MUSE_TOKEN_OTHER, true }, { "</tool_response>", MUSE_TOKEN_OTHER, true },
    { "<think>", MUSE_TOKEN_THINK, true }, { "</think>", MUSE_TOKEN_THINK_END, true },
};

/* models/muse-nano/special.txt */
static const MuseControl muse_controls[] = {
    { "<eos>", MUSE_TOKEN_STOP, false }, { "<bos>", MUSE_TOKEN_OTHER, false },
    { "<think>", MUSE_TOKEN_THINK, false }, { "</think>", MUSE_TOKEN_THINK_END, false },
    { "<look>", MUSE_TOKEN_INLINE, false }, { "<box>", MUSE_TOKEN_INLINE, false }, { "<point>", MUSE_TOKEN_INLINE, false },
    { "<compare>", MUSE_TOKEN_INLINE, false }, { "<verify>", MUSE_TOKEN_INLINE, false },
    { "<image 1>", MUSE_TOKEN_INLINE, false }, { "<image 2>", MUSE_TOKEN_INLINE, false }, { "<image 3>", MUSE_TOKEN_INLINE, false },
    { "<image 4>", MUSE_TOKEN_INLINE, false }, { "<image 5>", MUSE_TOKEN_INLINE, false }, { "<image 6>", MUSE_TOKEN_INLINE, false },
    { "<image 7>", MUSE_TOKEN_INLINE, false }, { "<image 8>", MUSE_TOKEN_INLINE, false },
};

/* spec fuyu 4 */
static const MuseControl fuyu_controls[] = {
    { "|ENDOFTEXT|", MUSE_TOKEN_STOP, false }, { "</s>", MUSE_TOKEN_STOP, true }, { "<s>", MUSE_TOKEN_STOP, true },
};

#define CONTROLS(list) .controls = list, .n_controls = COUNT_OF(list)

static const MuseChatFormat formats[] = {
    { .name = "gemma4_unified", CONTROLS(gemma4_controls), .render = muse_render_gemma4, .read_call = muse_read_call_gemma4, .images = true, .audio = true,
      .boxes = MUSE_BOXES_Y_FIRST, .thinking = MUSE_THINKING_OFF, .think_head = "thought\n", .think_tail = "\n", .think_after = "" },
    { .name = "llama3", CONTROLS(llama3_controls), .render = muse_render_llama3 },
    { .name = "llama3.1", CONTROLS(llama3_controls), .render = muse_render_llama3 },
    { .name = "chatml", .controls = chatml_controls, .n_controls = 3, .render = muse_render_chatml },
    { .name = "smollm2", .controls = chatml_controls, .n_controls = 3, .render = muse_render_chatml,
      .default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face" },
    { .name = "qwen2.5", .controls = chatml_controls, .n_controls = 7, .render = muse_render_chatml, .read_call = muse_read_call_json,
      .default_system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", .newline_before_call = true },
    { .name = "qwen3", CONTROLS(chatml_controls), .render = muse_render_chatml, .read_call = muse_read_call_json,
      .boxes = MUSE_BOXES_X_FIRST, .thinking = MUSE_THINKING_ON, .think_head = "\n", .think_tail = "\n", .think_after = "\n\n", .newline_before_call = true },
    { .name = "muse", CONTROLS(muse_controls), .render = muse_render_muse, .images = true, .audio = true, .places = true, .thinking = MUSE_THINKING_ON,
      .think_head = "", .think_tail = "", .think_after = "" },
    { .name = "fuyu", CONTROLS(fuyu_controls), .render = muse_render_fuyu, .images = true },
};

_Static_assert(COUNT_OF(gemma4_controls) <= MUSE_CONTROLS_MAX && COUNT_OF(muse_controls) <= MUSE_CONTROLS_MAX, "room in the parser");

const MuseChatFormat *muse_chat_format_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

static bool has(const MuseTextTokenizer *tok, const char *token) { return muse_text_find(tok, token, strlen(token)) >= 0; }

int muse_chat_format_of(const char *family, const MuseTextTokenizer *tok, const char **format, MuseError *err)
{
    /* family, a token that it needs, the format; the first row that fits */
    static const char *const rows[][3] = {
        { "gemma4_unified", "<|turn>", "gemma4_unified" }, { "llama", "<|im_start|>", "smollm2" }, { "llama", "<|python_tag|>", "llama3.1" },
        { "llama", "<|start_header_id|>", "llama3" }, { "smollm2", "<|im_start|>", "smollm2" }, { "qwen2", "<|im_start|>", "qwen2.5" },
        { "qwen3", "<|im_start|>", "qwen3" }, { "muse", "<think>", "muse" }, { "fuyu", "|ENDOFTEXT|", "fuyu" },
    };
    MUSE_REQUIRE(err, family && tok && format);
    *format = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i][0], family) == 0 && has(tok, rows[i][1])) {
            *format = rows[i][2];
            return 0;
        }
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "no chat format is known for family %.64s with the tokens of this tokenizer; give raw text", family);
}

int muse_chat_stop_ids(const char *format, const MuseTextTokenizer *tok, int32_t *ids, size_t cap, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, format && tok && n && (ids || cap == 0));
    *n = 0;
    const MuseChatFormat *f = muse_chat_format_find(format);
    if (!f) return muse_fail(err, MUSE_ERR_NOT_FOUND, "no chat format is called %.64s", format);
    size_t found = 0;
    for (size_t i = 0; i < f->n_controls; i++) {
        const MuseControl *c = &f->controls[i];
        if (c->role != MUSE_TOKEN_STOP && c->role != MUSE_TOKEN_STOP_CALL) continue;
        const int32_t id = muse_text_find(tok, c->text, strlen(c->text));
        if (id < 0) continue;
        if (found < cap) ids[found] = id;
        found++;
    }
    if (found == 0) return muse_fail(err, MUSE_ERR_NOT_FOUND, "the tokenizer has no token that ends a turn of chat format %s", f->name);
    if (found > cap) return muse_fail(err, MUSE_ERR_FULL, "%zu ids end a turn of chat format %s; there is room for %zu", found, f->name, cap);
    *n = found;
    return 0;
}

int muse_chat_close_thought(const char *format, const MuseTextTokenizer *tok, const char *words, int32_t **ids, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, format && tok && ids && n);
    *ids = NULL;
    *n = 0;
    const MuseChatFormat *f = muse_chat_format_find(format);
    if (!f) return muse_fail(err, MUSE_ERR_NOT_FOUND, "no chat format is called %.64s", format);
    const char *close = NULL;
    for (size_t i = 0; i < f->n_controls; i++)
        if (f->controls[i].role == MUSE_TOKEN_THINK_END) close = f->controls[i].text;
    if (!close || !f->thinking) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "chat format %s has no thoughts", f->name);
    if (!words) words = "";
    MuseBuf text = { 0 };
    const struct { const char *text; unsigned flags; } pieces[] = { { NULL, 0 }, { close, MUSE_TEXT_ADDED }, { f->think_after, 0 } };
    MuseBuf out = { 0 };   /* malloc: there is no runtime here */
    int rc = muse_buf_append(&text, words, strlen(words));
    if (rc == 0) rc = muse_buf_append(&text, f->think_tail, strlen(f->think_tail) + 1);
    if (rc < 0) MUSE_NOMEM(err, strlen(words));
    for (size_t i = 0; i < COUNT_OF(pieces) && rc == 0; i++) {
        const char *piece = pieces[i].text ? pieces[i].text : (const char *)text.data;
        int32_t *some;
        size_t n_some;
        rc = muse_text_encode(tok, piece, strlen(piece), pieces[i].flags, &some, &n_some, err);
        if (rc == 0 && n_some && (rc = muse_buf_append(&out, some, n_some * sizeof *some)) < 0) MUSE_NOMEM(err, n_some * sizeof *some);
        if (rc == 0) muse_free(some);
    }
    muse_buf_clear(&text);
    if (rc < 0) {
        muse_buf_clear(&out);
        return rc;
    }
    *ids = (int32_t *)(void *)out.data;
    *n = out.len / sizeof **ids;
    return 0;
}
