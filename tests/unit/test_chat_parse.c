/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/chat, reading: what comes out for good and bad output, in one piece, byte by byte and as ids; round trips over random
 * chats. */
#include "tests/unit/test_chat_data.h"

/* items as one line of text: T{..} A{..} K{..} C name args B{..} .reason; neighbours of one kind joined */
static void describe(MuseChatParser *p, char *out, size_t cap, int *last)
{
    static const char names[] = "?TAKCB.";
    MuseChatItem item;
    size_t n = strlen(out);
    while (muse_chat_parser_next(p, &item) == 0) {
        if (item.kind == *last && item.kind <= MUSE_CHAT_ANSWER) n -= 1;
        else n += (size_t)snprintf(out + n, cap - n, "%c{", names[item.kind]);
        if (item.kind == MUSE_CHAT_END) n += (size_t)snprintf(out + n, cap - n, "%d}", item.reason);
        else if (item.kind == MUSE_CHAT_CALL) n += (size_t)snprintf(out + n, cap - n, "%s %s}", item.name, item.arguments);
        else n += (size_t)snprintf(out + n, cap - n, "%.*s}", (int)item.n, item.text);
        assert_true(n < cap);
        if (item.kind == MUSE_CHAT_BAD_CALL) assert_true(strlen(item.error) > 5);
        if (item.kind == MUSE_CHAT_CALL) assert_int_equal(strlen(item.arguments), item.n_arguments);
        *last = item.kind;
    }
}

enum { AT_ONCE, BY_BYTES, BY_IDS };

static MuseChatParser *parse(const MuseChat *chat, const MuseTextTokenizer *tok, const char *text, size_t n, int how, char *out, size_t cap)
{
    MuseChatParser *p = NULL;
    int last = 0;
    size_t used = 0;
    *out = 0;
    ok(muse_chat_parser_open(&p, chat, how == BY_IDS ? tok : NULL, &err));
    if (how == BY_IDS) {
        int32_t *ids;
        size_t n_ids;
        ok(muse_text_encode(tok, text, n, MUSE_TEXT_ADDED, &ids, &n_ids, &err));
        for (size_t i = 0; i < n_ids && (i == 0 || used == 1); i++) {
            const int rc = muse_chat_parser_feed_ids(p, ids + i, 1, &used, &err);
            if (rc == MUSE_ERR_STATE) break;
            ok(rc);
            describe(p, out, cap, &last);
        }
        muse_free(ids);
    }
    for (size_t i = 0; how == BY_BYTES && i < n; i++) {
        const int rc = muse_chat_parser_feed_text(p, text + i, 1, &used, &err);
        if (rc == MUSE_ERR_STATE) break;
        ok(rc);
        assert_int_equal(used, 1);
        describe(p, out, cap, &last);
    }
    if (how == AT_ONCE) ok(muse_chat_parser_feed_text(p, text, n, &used, &err));
    ok(muse_chat_parser_finish(p, &err));
    describe(p, out, cap, &last);
    MuseChatItem item;
    assert_int_equal(muse_chat_parser_next(p, &item), MUSE_DONE);
    return p;
}

static const struct { const char *format; int thinking; const char *text, *want; } cases[] = {
    /* Gemma 4 */
    { "gemma4_unified", 1, "<|channel>thought\nhm\nso\n<channel|>42.<turn|>\n", "T{hm\nso}A{42.}.{1}" },
    { "gemma4_unified", 2, "42.<turn|>", "A{42.}.{1}" },
    { "gemma4_unified", 2, "42.<eos>", "A{42.}.{1}" },
    { "gemma4_unified", 2, "42", "A{42}.{3}" },
    { "gemma4_unified", 2, "", ".{3}" },
    { "gemma4_unified", 1, "<|channel>thought\n<channel|>x<turn|>", "A{x}.{1}" },
    { "gemma4_unified", 1, "<|channel>thoughts\n<channel|>x<turn|>", "T{thoughts}A{x}.{1}" },
    { "gemma4_unified", 1, "<|channel>plan\n\n<channel|>x<turn|>", "T{plan\n}A{x}.{1}" },
    { "gemma4_unified", 1, "<|channel>thought\nab", "T{ab}.{3}" },
    { "gemma4_unified", 1, "<|channel>thou", "T{thou}.{3}" },
    { "gemma4_unified", 1, "<|channel>thought\nab\n", "T{ab\n}.{3}" },
    { "gemma4_unified", 2, "a <chan <|turn x<|t", "A{a <chan <|turn x<|t}.{3}" },
    { "gemma4_unified", 2, "a<channel|>b<tool_call|><|\"|><turn|>", "A{a<channel|>b<tool_call|><|\"|>}.{1}" },
    { "gemma4_unified", 2, "<|tool_call>call:get_weather{city:<|\"|>Paris<|\"|>}<tool_call|><|tool_response>", "C{get_weather {\"city\":\"Paris\"}}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:1,b:-2.5e3,c:true,d:null,e:[1,<|\"|>x,\"y\\\n<|\"|>,{}],f:{g:[]}}<tool_call|><turn|>",
      "C{f {\"a\":1,\"b\":-2.5e3,\"c\":true,\"d\":null,\"e\":[1,\"x,\\\"y\\\\\\n\",{}],\"f\":{\"g\":[]}}}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{ <|\"|>a b<|\"|>: 1 , c:2 } <tool_call|><turn|>", "C{f {\"a b\":1,\"c\":2}}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{}<tool_call|><|tool_call>call:g{}<tool_call|><|tool_response>", "C{f {}}C{g {}}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:Paris}<tool_call|>x<turn|>", "B{<|tool_call>call:f{a:Paris}<tool_call|>}A{x}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:1", "B{<|tool_call>call:f{a:1}.{3}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:<|\"|>x}<tool_call|><turn|>", "B{<|tool_call>call:f{a:<|\"|>x}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{<|tool_call>call:g{}<tool_call|><turn|>", "B{<|tool_call>call:f{}C{g {}}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:1}}<tool_call|><turn|>", "B{<|tool_call>call:f{a:1}}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:1,a:2}<tool_call|><turn|>", "B{<|tool_call>call:f{a:1,a:2}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:1-2}<tool_call|><turn|>", "B{<|tool_call>call:f{a:1-2}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:99999999999999999999}<tool_call|><turn|>", "B{<|tool_call>call:f{a:99999999999999999999}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f{a:1,}<tool_call|><turn|>", "B{<|tool_call>call:f{a:1,}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:f<tool_call|><turn|>", "B{<|tool_call>call:f<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>call:{}<tool_call|><turn|>", "B{<|tool_call>call:{}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call>f{}<tool_call|><turn|>", "B{<|tool_call>f{}<tool_call|>}.{2}" },
    { "gemma4_unified", 2, "<|tool_call><turn|>", "B{<|tool_call>}.{2}" },
    /* Qwen */
    { "qwen3", 1, "<think>\nhm\n</think>\n\nHi<|im_end|>\n", "T{hm}A{Hi}.{1}" },
    { "qwen3", 1, "<think>hm</think>Hi<|im_end|>", "T{hm}A{Hi}.{1}" },
    { "qwen3", 1, "<think>\n\nhm\n\n</think>\n\n\nHi\n<|im_end|>", "T{\nhm\n}A{\nHi\n}.{1}" },
    { "qwen3", 1, "<think>\nhm\n", "T{hm\n}.{3}" },
    { "qwen3", 1, "<think>\n\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"\\u00e9\"]}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n"
      "</tool_call><|im_end|>", "C{f {\"a\": [1, \"é\"]}}C{g {}}.{2}" },
    { "qwen3", 2, "Wait.\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<|im_end|>", "A{Wait.\n}C{f {}}A{\n}.{2}" },
    { "qwen3", 2, "<tool_call>\n{\"name\": \"f\"}\n</tool_call><|im_end|>", "B{<tool_call>\n{\"name\": \"f\"}\n</tool_call>}.{2}" },
    { "qwen3", 2, "<tool_call>\n{\"name\": \"f\", \"arguments\": \"x\"}\n</tool_call><|im_end|>", "B{<tool_call>\n{\"name\": \"f\", \"arguments\": \"x\"}\n</tool_call>}.{2}" },
    { "qwen3", 2, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}, \"id\": 1}\n</tool_call><|im_end|>", "B{<tool_call>\n{\"name\": \"f\", \"arguments\": {}, \"id\": 1}\n</tool_call>}.{2}" },
    { "qwen3", 2, "<tool_call>\n{\"name\": ", "B{<tool_call>\n{\"name\": }.{3}" },
    { "qwen2.5", 0, "a<think>b<|endoftext|>", "A{a<think>b}.{1}" },
    /* the others */
    { "llama3.1", 0, "\nHi <|eot_id|><|start_header_id|>", "A{\nHi }.{1}" },
    { "smollm2", 0, "<tool_call>x<|im_end|>", "A{<tool_call>x}.{1}" },
    { "muse", 1, "the <look><box>12 34</think>two<eos>", "T{the }K{<look>}K{<box>}T{12 34}A{two}.{1}" },
    { "muse", 2, "two <image 2>\n<eos>", "A{two }K{<image 2>}A{\n}.{1}" },
    { "fuyu", 0, "a bus|ENDOFTEXT|x", "A{a bus}.{1}" },
};

static void outputs(void **state)
{
    (void)state;
    MuseTextTokenizer *gemma = NULL, *qwen = NULL, *muse = NULL;
    ok(muse_text_open_file(&gemma, NULL, data_path("golden/gemma4-a/hf"), &err));
    ok(muse_text_open_file(&qwen, NULL, data_path("golden/qwen3/hf"), &err));
    ok(muse_text_open_file(&muse, NULL, data_path("../../models/muse-nano"), &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *want = cases[i].want;
        MuseChat *chat = open_format(cases[i].format, cases[i].thinking);
        say(chat, MUSE_ROLE_USER, "q");
        char got[4096];
        const char c = cases[i].format[0];
        const MuseTextTokenizer *tok = c == 'g' ? gemma : c == 'm' ? muse : strcmp(cases[i].format, "qwen3") == 0 ? qwen : NULL;
        for (int how = AT_ONCE; how <= (tok ? BY_IDS : BY_BYTES); how++) {
            MuseChatParser *p = parse(chat, tok, cases[i].text, strlen(cases[i].text), how, got, sizeof got);
            if (strcmp(got, want) != 0) fail_msg("case %zu, way %d: %s\n got %s\nwant %s", i, how, cases[i].text, got, want);
            muse_chat_parser_close(&p);
        }
        muse_chat_close(&chat);
    }
    muse_text_close(&gemma);
    muse_text_close(&qwen);
    muse_text_close(&muse);
}

/* where the model goes on inside a thought that the prompt opened */
static void open_thought(void **state)
{
    (void)state;
    MuseChat *chat = open_format("gemma4_unified", MUSE_THINKING_ON);
    char got[256];
    say(chat, MUSE_ROLE_USER, "q");
    ok(muse_chat_add(chat, MUSE_ROLE_ASSISTANT, &err));
    ok(muse_chat_add_call(chat, NULL, "look", "{}", 2, &err));
    ok(muse_chat_add_result(chat, NULL, "look", &err));
    static const char text[] = "so\n<channel|>two<turn|>";
    MuseChatParser *p = parse(chat, NULL, text, sizeof text - 1, AT_ONCE, got, sizeof got);
    assert_string_equal(got, "T{so}A{two}.{1}");
    muse_chat_parser_close(&p);
    muse_chat_close(&chat);
}

/* by ids, control tokens spelled out in letters are text, also inside a call */
static void spelled_out(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = NULL;
    ok(muse_text_open_file(&tok, NULL, data_path("golden/gemma4-a/hf"), &err));
    MuseChat *chat = open_format("gemma4_unified", 0);
    say(chat, MUSE_ROLE_USER, "q");
    MuseChatParser *p = NULL;
    ok(muse_chat_parser_open(&p, chat, tok, &err));
    static const struct { const char *text; unsigned flags; } pieces[] = {
        { "<turn|>", 0 }, { "<|tool_call>", MUSE_TEXT_ADDED }, { "call:f{a:", 0 }, { "<|\"|>", MUSE_TEXT_ADDED }, { "<|\"|>},<tool_call|>", 0 }, { "<|\"|>", MUSE_TEXT_ADDED },
        { "}", 0 }, { "<tool_call|><turn|>", MUSE_TEXT_ADDED } };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        int32_t *ids;
        size_t n;
        ok(muse_text_encode(tok, pieces[i].text, strlen(pieces[i].text), pieces[i].flags, &ids, &n, &err));
        ok(muse_chat_parser_feed_ids(p, ids, n, NULL, &err));
        muse_free(ids);
    }
    char got[256] = "";
    int last = 0;
    describe(p, got, sizeof got, &last);
    assert_string_equal(got, "A{<turn|>}C{f {\"a\":\"<|\\\"|>},<tool_call|>\"}}.{2}");
    muse_chat_parser_close(&p);
    /* letters are no string marks */
    ok(muse_chat_parser_open(&p, chat, tok, &err));
    for (size_t i = 1; i < sizeof pieces / sizeof *pieces; i++) {
        int32_t *ids;
        size_t n;
        ok(muse_text_encode(tok, pieces[i].text, strlen(pieces[i].text), strcmp(pieces[i].text, "<|\"|>") == 0 ? 0 : pieces[i].flags, &ids, &n, &err));
        ok(muse_chat_parser_feed_ids(p, ids, n, NULL, &err));
        muse_free(ids);
    }
    *got = 0;
    describe(p, got, sizeof got, &last);
    assert_string_equal(got, "B{<|tool_call>call:f{a:<|\"|><|\"|>},<tool_call|><|\"|>}<tool_call|>}.{2}");
    const int32_t bad[] = { 99999999 };
    assert_int_equal(muse_chat_parser_feed_ids(p, bad, 1, NULL, &err), MUSE_ERR_STATE);
    muse_chat_parser_close(&p);
    ok(muse_chat_parser_open(&p, chat, tok, &err));
    assert_int_equal(muse_chat_parser_feed_ids(p, bad, 1, NULL, &err), MUSE_ERR_NOT_FOUND);
    ok(muse_chat_parser_feed_ids(p, (const int32_t[]){ 7 }, 1, NULL, &err));
    assert_int_equal(muse_chat_parser_feed_text(p, "x", 1, NULL, &err), MUSE_ERR_STATE);
    size_t used;
    muse_chat_parser_close(&p);
    ok(muse_chat_parser_open(&p, chat, NULL, &err));
    ok(muse_chat_parser_feed_text(p, "abc<turn|>\nrest", 15, &used, &err));
    assert_int_equal(used, 10);
    assert_int_equal(muse_chat_parser_feed_text(p, "\nrest", 5, &used, &err), MUSE_ERR_STATE);
    muse_chat_parser_close(&p);
    muse_chat_close(&chat);
    muse_text_close(&tok);
}

/* ---- round trip: the last answer of each random chat, cut out of its prompt, read and put back ---- */

static size_t trips;

static void trip_line(const MuseJsonValue *line, size_t i)
{
    static const char *const heads[][2] = { { "gemma4_unified", "<|turn>model\n" }, { "qwen3", "<|im_start|>assistant\n" }, { "qwen2.5", "<|im_start|>assistant\n" },
        { "chatml", "<|im_start|>assistant\n" }, { "smollm2", "<|im_start|>assistant\n" }, { "llama3", "<|start_header_id|>assistant<|end_header_id|>\n\n" },
        { "llama3.1", "<|start_header_id|>assistant<|end_header_id|>\n\n" }, { "muse", "<think>" }, { "fuyu", "" } };
    const MuseJsonValue *messages = muse_json_get(line, "messages"), *last = messages->u.first;
    while (last->next) last = last->next;
    if (!muse_json_equal(muse_json_get(last, "role"), "assistant") || messages->len < 2) return;
    char *format = string(line, "format");
    MuseChat *before = build(line, messages->len - 1, 1), *whole = build(line, messages->len, 1), *chat = build(line, messages->len - 1, 0), *back = build(line, messages->len - 1, 1);
    size_t n, n_before, n_got, n_head = 0;
    char *full = prompt_of(whole, &n), *start = prompt_of(before, &n_before), got[2][8192];
    const char *head = "";
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++)
        if (strcmp(heads[k][0], format) == 0) head = heads[k][1];
    if (n >= n_before + strlen(head) && memcmp(full + n_before, head, strlen(head)) == 0) n_head = strlen(head);
    else if (number(line, "thinking") == 1) n = 0;   /* goes on in an open turn, where the prompt itself may begin the thought */
    if (strcmp(format, "muse") == 0 && number(line, "thinking") == 2) n_head = 15;   /* instant: <think></think> */
    const int instant_thought = n_head == 15 && muse_json_get(last, "thought")->len > 0;
    if (n >= n_before + n_head && memcmp(full, start, n_before) == 0 && !instant_thought) {
        const char *wrote = full + n_before + n_head;
        MuseChatParser *p = parse(chat, NULL, wrote, n - n_before - n_head, AT_ONCE, got[0], sizeof got[0]);
        ok(muse_chat_add_parsed(back, p, &err));
        muse_chat_parser_close(&p);
        p = parse(chat, NULL, wrote, n - n_before - n_head, BY_BYTES, got[1], sizeof got[1]);
        assert_string_equal(got[0], got[1]);
        assert_null(strstr(got[0], "B{<"));
        muse_chat_parser_close(&p);
        char *again = prompt_of(back, &n_got);
        same_text(again, n_got, full, n, i);
        muse_free(again);
        trips++;
    }
    muse_free(full), muse_free(start), free(format);
    muse_chat_close(&before), muse_chat_close(&whole), muse_chat_close(&chat), muse_chat_close(&back);
}

static void round_trips(void **state)
{
    (void)state;
    each_chat(trip_line);
    assert_true(trips > 200);
}

/* a bad call goes back as plain text */
static void bad_call_kept(void **state)
{
    (void)state;
    MuseChat *chat = open_format("gemma4_unified", 0);
    say(chat, MUSE_ROLE_USER, "q");
    char got[256];
    static const char text[] = "Hm. <|tool_call>call:f{x}<tool_call|><turn|>";
    MuseChatParser *p = parse(chat, NULL, text, sizeof text - 1, AT_ONCE, got, sizeof got);
    ok(muse_chat_add_parsed(chat, p, &err));
    MuseChatSegment *s;
    size_t n, seen = 0;
    ok(muse_chat_render(chat, &s, &n, &err));
    for (size_t i = 0; i < n; i++)
        if (s[i].kind == MUSE_SEGMENT_TEXT && s[i].generated && s[i].n == 36 && memcmp(s[i].text, "Hm.<|tool_call>call:f{x}<tool_call|>", 36) == 0) seen++;
    assert_int_equal(seen, 1);
    muse_free(s);
    muse_chat_parser_close(&p);
    muse_chat_close(&chat);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(outputs), cmocka_unit_test(open_thought), cmocka_unit_test(spelled_out), cmocka_unit_test(round_trips),
                                        cmocka_unit_test(bad_call_kept) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
