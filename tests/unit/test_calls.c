/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/sample/calls.h: what may stand inside a call, in both formats; masks against trying every token; random walks, which the parser of the format must be able to read. */
#include <math.h>

#include "libmuse/chat/chat.h"
#include "libmuse/sample/calls.h"
#include "tests/unit/text_util.h"

enum { ROOM = 4096 };

static const MuseCallRule rules[] = { { "look", "\\{box:\\[(0|[1-9][0-9]{0,2}),(0|[1-9][0-9]{0,2})\\]\\}" }, { "echo", NULL }, { "echo.all", NULL } };

typedef struct Format { const char *name, *tokenizer, *begin, *end, *mark; size_t first, n; } Format;

static const Format gemma = { "gemma4_unified", "golden/gemma4-a/hf/tokenizer.json", "<|tool_call>", "<tool_call|>", "<|\"|>", 0, 3 };
static const Format qwen = { "qwen3", "golden/qwen3/hf/tokenizer.json", "<tool_call>", "</tool_call>", NULL, 1, 2 };   /* a look is never offered there */

typedef struct Use {
    MuseTextTokenizer *tok;
    MuseRuntime *rt;
    MuseCallGrammar *g;
    uint32_t V;
} Use;

static int32_t find(const MuseTextTokenizer *tok, const char *text)
{
    const int32_t id = text ? muse_text_find(tok, text, strlen(text)) : -1;
    if (text && id < 0) fail_msg("no token %s", text);
    return id;
}

static Use open_use(const Format *f)
{
    MuseError err;
    MuseTextInfo info;
    Use u = { .tok = open_data(f->tokenizer) };
    muse_text_info(u.tok, &info);
    u.V = info.vocab_size;
    assert_int_equal(muse_runtime_open(&u.rt, NULL, &err), 0);
    const MuseCallParams p = { rules + f->first, f->n, find(u.tok, f->end), find(u.tok, f->mark) };
    if (muse_call_grammar_open(&u.g, u.rt, u.tok, &p, &err) < 0) fail_msg("%s: %s", f->name, err.text);
    return u;
}

static void close_use(Use *u)
{
    muse_call_grammar_close(&u->g);
    muse_text_close(&u->tok);
    muse_runtime_close(&u->rt);
}

/* ids of a text that could be taken, and of how many */
static size_t taken(const Use *u, const char *text, size_t *n)
{
    MuseCursor *at = NULL;
    MuseError err;
    int32_t *ids;
    size_t k = 0;
    assert_int_equal(muse_call_start(u->g, &at, &err), 0);
    assert_int_equal(muse_text_encode(u->tok, text, strlen(text), MUSE_TEXT_ADDED, &ids, n, &err), 0);
    while (k < *n && muse_call_follow(u->g, at, ids[k])) k++;
    muse_free(ids);
    muse_free(at);
    return k;
}

typedef struct Syntax { const char *text; int good; } Syntax;

static void check_syntax(const Format *f, const Syntax *t, size_t n)
{
    Use u = open_use(f);
    for (size_t i = 0; i < n; i++) {
        size_t all;
        const size_t k = taken(&u, t[i].text, &all);
        if ((k == all) != t[i].good) fail_msg("%s: %zu of %zu tokens", t[i].text, k, all);
    }
    close_use(&u);
}

static void syntax(void **state)
{
    static const Syntax marked[] = {
        { "call:look{box:[12,900]}<tool_call|>", 1 }, { "call:look{box:[12]}", 0 }, { "call:look{box:[12,9000]}", 0 }, { "call:look{}", 0 }, { "call:looks{}", 0 },
        { "call:echo{}<tool_call|>", 1 }, { "call:echo<tool_call|>", 0 }, { "call:echo{}}", 0 }, { "call:echo{a:1,b:-2.5e3,c:true,d:null}<tool_call|>", 1 },
        { "call:echo{a:<|\"|>}:{\n<|\"|>,b:[<|\"|><|\"|>,[],{x y:1}]}<tool_call|>", 0 }, { "call:echo{a:<|\"|>}:{\n<|\"|>,b:[<|\"|><|\"|>,[],{x:1}]}<tool_call|>", 1 },
        { "call:echo.all{\xc3\xa4:1}<tool_call|>", 1 }, { "call:echo{a:<|\"|>x<tool_call|>", 0 }, { "call:echo{a:x}", 0 }, { "call:echo{a:1,}", 0 }, { "call:echo{a:01}", 0 },
        { "call:echo{a:{b:[1}]}", 0 }, { "call:echo{a:1}<|\"|>", 0 }, { "call:fly{}", 0 }, { "echo{}", 0 }, { "call:echo{a:1", 1 }, { "call:echo{a:1<tool_call|>", 0 },
    };
    static const Syntax json[] = {
        { "\n{\"name\": \"echo\", \"arguments\": {}}\n</tool_call>", 1 }, { "{\"name\": \"echo.all\", \"arguments\": {\"a\": [1, \"}\", {\"b\": null}]}}</tool_call>", 1 },
        { "{\"name\": \"look\", ", 0 }, { "{\"name\": \"echo\"}", 0 }, { "{\"name\": \"echo\", \"arguments\": []}", 0 }, { "\n{\"name\": \"echo\", \"arguments\": {}\n", 0 },
        { "\n{\"name\": \"echo\", \"arguments\": {}}\n\n", 0 }, { "\n{\"name\": \"echo\", \"arguments\": {}</tool_call>", 0 },
    };
    (void)state;
    check_syntax(&gemma, marked, sizeof marked / sizeof *marked);
    check_syntax(&qwen, json, sizeof json / sizeof *json);
}

/* *at: where a call stands behind these ids */
static void follow_all(const Use *u, MuseCursor **at, const int32_t *ids, size_t n)
{
    MuseError err;
    assert_int_equal(muse_call_start(u->g, at, &err), 0);
    for (size_t k = 0; k < n; k++) assert_true(muse_call_follow(u->g, *at, ids[k]));
}

/* the mask allows exactly the tokens that can be followed */
static void masks(void **state)
{
    static const char *const starts[] = { "", "call:", "call:look{box:[1", "call:echo{", "call:echo{a:", "call:echo{a:<|\"|>", "call:echo{a:<|\"|>x", "call:echo{a:[1", "call:echo{a:1}", "call:echo{a:[{b:<|\"|><|\"|>}" };
    (void)state;
    Use u = open_use(&gemma);
    float *logits = malloc(u.V * sizeof *logits);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        MuseError err;
        MuseCursor *at = NULL;
        int32_t *ids;
        size_t n;
        assert_int_equal(muse_text_encode(u.tok, starts[i], strlen(starts[i]), MUSE_TEXT_ADDED, &ids, &n, &err), 0);
        follow_all(&u, &at, ids, n);
        for (uint32_t j = 0; j < u.V; j++) logits[j] = 0;
        assert_true(muse_call_mask(u.g, at, logits, u.V));
        for (uint32_t id = 0; id < u.V; id++) {
            follow_all(&u, &at, ids, n);
            if (muse_call_follow(u.g, at, (int32_t)id) != (logits[id] == 0)) fail_msg("%s: token %u", starts[i], id);
        }
        muse_free(ids);
        muse_free(at);
    }
    /* only the end is left, and the row has it at -inf: nothing changes */
    MuseCursor *at = NULL;
    MuseError err;
    int32_t *ids;
    size_t n;
    assert_int_equal(muse_text_encode(u.tok, "call:echo{}", 11, 0, &ids, &n, &err), 0);
    follow_all(&u, &at, ids, n);
    for (uint32_t j = 0; j < u.V; j++) logits[j] = (float)j;
    logits[find(u.tok, gemma.end)] = -INFINITY;
    assert_false(muse_call_mask(u.g, at, logits, u.V));
    assert_true(logits[7] == 7);
    muse_free(ids);
    muse_free(at);
    free(logits);
    close_use(&u);
}

/* The ids of a random call, begin and end too; 0: it did not end */
static size_t walk(const Use *u, const Format *f, uint64_t seed, float *logits, int32_t *ids, size_t most)
{
    MuseCursor *at = NULL;
    MuseError err;
    size_t n = 0;
    const int32_t end = find(u->tok, f->end), mark = find(u->tok, f->mark);
    ids[n++] = find(u->tok, f->begin);
    assert_int_equal(muse_call_start(u->g, &at, &err), 0);
    while (n < most && ids[n - 1] != end) {
        uint32_t count = 0, pick = 0;
        for (uint32_t i = 0; i < u->V; i++) logits[i] = 0;
        assert_true(muse_call_mask(u->g, at, logits, u->V));
        for (uint32_t i = 0; i < u->V; i++) count += logits[i] == 0;
        uint32_t k = next_random(&seed) % count;
        for (; pick < u->V && (logits[pick] != 0 || k-- > 0); pick++) continue;
        if (n > 12 && next_random(&seed) % 3 == 0 && mark >= 0 && logits[mark] == 0) pick = (uint32_t)mark;   /* so that strings and calls come to an end */
        if (logits[end] == 0) pick = (uint32_t)end;
        ids[n++] = (int32_t)pick;
        assert_true(muse_call_follow(u->g, at, (int32_t)pick));
    }
    muse_free(at);
    return ids[n - 1] == end ? n : 0;
}

static void walks_of(const Format *f, uint32_t want)
{
    Use u = open_use(f);
    MuseError err;
    MuseChatParams p;
    MuseChat *chat;
    float *logits = malloc(u.V * sizeof *logits);
    int32_t *ids = malloc(ROOM * sizeof *ids);
    uint32_t ended = 0;
    muse_chat_params_init(&p);
    p.format = f->name;
    assert_int_equal(muse_chat_open(&chat, NULL, &p, &err), 0);
    assert_int_equal(muse_chat_add(chat, MUSE_ROLE_USER, &err), 0);
    assert_int_equal(muse_chat_add_text(chat, "a", 1, &err), 0);
    for (uint32_t seed = 1; seed <= 120; seed++) {
        MuseChatParser *parser;
        MuseChatItem item;
        const size_t n = walk(&u, f, seed * 7919, logits, ids, 400);
        if (!n) continue;
        ended++;
        assert_int_equal(muse_chat_parser_open(&parser, chat, u.tok, &err), 0);
        assert_int_equal(muse_chat_parser_feed_ids(parser, ids, n, NULL, &err), 0);
        assert_int_equal(muse_chat_parser_next(parser, &item), 0);
        if (item.kind != MUSE_CHAT_CALL && !strstr(item.error, "stands twice")) fail_msg("seed %u: %.*s: %s", seed, (int)item.n, item.text, item.error);   /* two equal keys can be written */
        muse_chat_parser_close(&parser);
    }
    if (ended < want) fail_msg("%s: only %u calls ended", f->name, ended);
    muse_chat_close(&chat);
    free(ids);
    free(logits);
    close_use(&u);
}

static void walks(void **state)
{
    (void)state;
    walks_of(&gemma, 40);
    walks_of(&qwen, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(syntax), cmocka_unit_test(masks), cmocka_unit_test(walks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
