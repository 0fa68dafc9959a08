/* SPDX-License-Identifier: Apache-2.0 */
/* What a model might write, in any format: in pieces it reads the same as whole, as ids it never fails, what was read can be put
 * into a chat and rendered. The same bytes also go in as a user's text, a tool's schema and a JSON result.
 *
 *   input: format and thinking, size of pieces; then text */
#include "fuzz.h"
#include "muse/chat.h"

static const char *const formats[] = { "gemma4_unified", "qwen3", "qwen2.5", "muse", "llama3.1", "smollm2", "fuyu", "chatml" };

typedef struct Read {
    char *text;      /* kind, then bytes, of each item; neighbours of one kind joined */
    size_t n;
    int last;
} Read;

static void put(Read *r, const char *text, size_t n)
{
    r->text = realloc(r->text, r->n + n + 1);
    if (!r->text) exit(1);
    if (n) memcpy(r->text + r->n, text, n);
    r->n += n;
}

static void take(MuseChatParser *p, Read *r)
{
    MuseChatItem item;
    while (muse_chat_parser_next(p, &item) == 0) {
        const char kind = (char)('0' + item.kind), reason = (char)('0' + item.reason);
        if (item.kind != r->last || item.kind > MUSE_CHAT_ANSWER) put(r, &kind, 1);
        put(r, &reason, item.kind == MUSE_CHAT_END);
        if (item.text) put(r, item.text, item.n);
        if (item.name) put(r, item.name, strlen(item.name));
        if (item.arguments) put(r, item.arguments, strlen(item.arguments));
        FUZZ_CHECK(item.kind != MUSE_CHAT_BAD_CALL || item.error);
        r->last = item.kind;
    }
}

static MuseChat *open_chat(uint8_t head)
{
    static MuseRuntime *rt;   /* one for all: opening it asks the CPU */
    if (!rt) FUZZ_CHECK(muse_runtime_open(&rt, NULL, NULL) == 0);
    MuseChatParams p;
    MuseChat *chat = NULL;
    muse_chat_params_init(&p);
    p.format = formats[head % 8];
    p.thinking = head % 8 == 0 || head % 8 == 1 || head % 8 == 3 ? head / 8 % 3 : 0;
    p.preserve_thinking = head / 32 % 2;
    p.no_generation = head / 64 % 2;
    FUZZ_CHECK(muse_chat_open(&chat, rt, &p, NULL) == 0);
    FUZZ_CHECK(muse_chat_add(chat, MUSE_ROLE_USER, NULL) == 0 && muse_chat_add_text(chat, "q", 1, NULL) == 0);
    return chat;
}

static MuseChatParser *parse(const MuseChat *chat, const char *text, size_t n, size_t piece, Read *r)
{
    MuseChatParser *p = NULL;
    MuseError err;
    size_t used;
    FUZZ_CHECK(muse_chat_parser_open(&p, chat, NULL, &err) == 0);
    for (size_t at = 0; at < n; at += piece) {
        const size_t k = n - at < piece ? n - at : piece;
        const int rc = muse_chat_parser_feed_text(p, text + at, k, &used, &err);
        FUZZ_CHECK((rc == 0 && used <= k) || (rc == MUSE_ERR_STATE && at > 0));   /* the turn ended with the last piece */
        take(p, r);
        if (rc < 0 || used < k) break;
    }
    FUZZ_CHECK(muse_chat_parser_finish(p, &err) == 0);
    take(p, r);
    return p;
}

static void read_ids(const MuseChat *chat, const uint8_t *data, size_t n)
{
    static MuseTextTokenizer *tok;
    if (!tok) {
        static const char *const added[] = { "<turn|>", "<eos>", "<|tool_response>", "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|\"|>", "<think>",
                                             "</think>", "<tool_call>", "<|im_end|>", "<look>", "<image 1>" };
        const char *texts[] = { "call:f{a:1}" };
        const size_t sizes[] = { 11 };
        MuseTextTrainParams p;
        char *json;
        size_t n_json;
        muse_text_train_params_init(&p);
        p.vocab_size = 275;
        p.added = added;
        p.n_added = sizeof added / sizeof *added;
        FUZZ_CHECK(muse_text_train_bpe(NULL, texts, sizes, 1, &p, &json, &n_json, NULL) == 0);
        FUZZ_CHECK(muse_text_open_memory(&tok, NULL, json, n_json, NULL) == 0);
        muse_free(json);
    }
    MuseChatParser *p = NULL;
    Read r = { 0 };
    FUZZ_CHECK(muse_chat_parser_open(&p, chat, tok, NULL) == 0);
    for (size_t i = 0, used = 1; i < n && used; i++) {
        const int32_t id = data[i];
        if (muse_chat_parser_feed_ids(p, &id, 1, &used, NULL) < 0) break;
    }
    FUZZ_CHECK(muse_chat_parser_finish(p, NULL) == 0);
    take(p, &r);
    muse_chat_parser_close(&p);
    free(r.text);
}

static void use_as_input(uint8_t head, const char *text, size_t n)
{
    MuseChat *chat = open_chat(head);
    char *prompt = NULL;
    size_t n_prompt;
    muse_chat_add_text(chat, text, n, NULL);
    muse_chat_add_tool(chat, "f", "d", text, n, NULL);
    if (muse_chat_add(chat, MUSE_ROLE_ASSISTANT, NULL) == 0 && muse_chat_add_text(chat, text, n, NULL) == 0 && muse_chat_add_call(chat, NULL, "f", text, n, NULL) == 0 &&
        muse_chat_add_result(chat, NULL, "f", NULL) == 0)
        muse_chat_add_json(chat, text, n, NULL);
    if (muse_chat_prompt(chat, &prompt, &n_prompt, NULL) == 0) FUZZ_CHECK(strlen(prompt) <= n_prompt);
    muse_free(prompt);
    muse_chat_close(&chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const size_t n = size - 2, piece = 1 + data[1] % 7;
    char *exact = (char *)fuzz_copy(data + 2, n), *prompt;
    MuseChat *chat = open_chat(data[0]);
    Read whole = { 0 }, pieces = { 0 };
    MuseChatParser *p = parse(chat, exact, n, n ? n : 1, &whole), *q = parse(chat, exact, n, piece, &pieces);
    FUZZ_CHECK(whole.n == pieces.n && memcmp(whole.text, pieces.text, whole.n) == 0);
    MuseError err;
    size_t n_prompt;
    FUZZ_CHECK(muse_chat_add_parsed(chat, p, &err) == 0);
    FUZZ_CHECK(muse_chat_prompt(chat, &prompt, &n_prompt, &err) == 0);
    muse_free(prompt);
    read_ids(chat, data + 2, n);
    use_as_input(data[0], exact, n);
    muse_chat_parser_close(&p);
    muse_chat_parser_close(&q);
    muse_chat_close(&chat);
    free(whole.text);
    free(pieces.text);
    free(exact);
    return 0;
}
