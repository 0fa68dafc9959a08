/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/chat, writing: random chats against an independent writing of the rules, ids against the tokenized prompt, the published
 * examples, control tokens in users' text, appending piece by piece, refused inputs, allocations that fail. */
#include "tests/unit/meter.h"
#include "tests/unit/test_chat_data.h"

/* ---- prompts ---- */

static void prompt_line(const MuseJsonValue *line, size_t i)
{
    const MuseJsonValue *want = muse_json_get(line, "prompt");
    MuseChat *chat = build(line, SIZE_MAX, (int)number(line, "no_generation"));
    size_t n, n_segments, at = 0;
    char *got = prompt_of(chat, &n);
    same_text(got, n, want->u.string, want->len, i);
    MuseChatSegment *segments;
    ok(muse_chat_render(chat, &segments, &n_segments, &err));
    for (size_t k = 0; k < n_segments; k++) {
        const MuseChatSegment *s = &segments[k];
        assert_true(s->kind >= MUSE_SEGMENT_IMAGE || (s->n > 0 && memcmp(got + at, s->text, s->n) == 0));
        assert_true(s->message <= muse_chat_length(chat));
        assert_true((s->kind == MUSE_SEGMENT_IMAGE) == (s->image != NULL) && (s->kind == MUSE_SEGMENT_AUDIO) == (s->audio != NULL));
        at += s->kind >= MUSE_SEGMENT_IMAGE ? 9 : s->n;
    }
    assert_int_equal(at, n);
    muse_free(segments);
    muse_free(got);
    muse_chat_close(&chat);
}

static void random_prompts(void **state)
{
    (void)state;
    assert_int_equal(each_chat(prompt_line), 970);
}

/* ---- ids ---- */

static MuseTextTokenizer *toks[5];
static const MuseFamily *families[5];
static size_t harmless, forged;

static int tokenizer_for(const char *format)
{
    static const char *const rows[][2] = { { "gemma4_unified", "0" }, { "llama3", "1" }, { "llama3.1", "1" }, { "qwen2.5", "2" }, { "chatml", "2" },
                                           { "smollm2", "2" }, { "qwen3", "3" }, { "muse", "4" } };
    for (size_t i = 0; i < 8; i++)
        if (strcmp(rows[i][0], format) == 0) return rows[i][1][0] - '0';
    return -1;
}

static void open_tokenizers(void)
{
    static const char *const paths[] = { "golden/gemma4-a/hf", "golden/llama3/hf", "golden/qwen2/hf", "golden/qwen3/hf", "../../models/muse-nano" };
    static const char *const names[] = { "gemma4_unified", "llama", "qwen2", "qwen3", "muse" };
    for (size_t i = 0; i < 5; i++) {
        ok(muse_text_open_file(&toks[i], NULL, data_path(paths[i]), &err));
        families[i] = muse_family_find(names[i]);
    }
}

static void close_tokenizers(void)
{
    for (size_t i = 0; i < 5; i++) muse_text_close(&toks[i]);
}

static MuseSequence *sequence(int tok)
{
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.tokenizer = toks[tok];
    p.family = families[tok];
    MuseSequence *seq = NULL;
    ok(muse_sequence_open(&seq, NULL, &p, &err));
    return seq;
}

/* the prompt as one string with added tokens on, cut at media */
static size_t published_ids(const MuseTextTokenizer *tok, const char *text, size_t n, int32_t *out)
{
    size_t count = 0;
    for (const char *end = text + n; text < end;) {
        const char *image = strstr(text, "<|image|>"), *audio = strstr(text, "<|audio|>");
        const char *stop = image && (!audio || image < audio) ? image : audio ? audio : end;
        int32_t *ids;
        size_t n_ids;
        ok(muse_text_encode(tok, text, (size_t)(stop - text), MUSE_TEXT_ADDED, &ids, &n_ids, &err));
        if (n_ids) memcpy(out + count, ids, n_ids * sizeof *ids);
        count += n_ids;
        muse_free(ids);
        text = stop < end ? stop + 9 : end;
    }
    return count;
}

static size_t text_ids(const MuseSequence *seq, int32_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < muse_sequence_length(seq); i++) {
        MusePosition p;
        assert_int_equal(muse_sequence_position(seq, i, &p), 0);
        if (p.modality == MUSE_TEXT && !p.is_marker) out[count++] = p.id;
    }
    return count;
}

static int is_added(const MuseTextTokenizer *tok, int32_t id)
{
    static const char *const plain_added[] = { "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>", "<|channel>", "<channel|>",
                                               "<think>", "</think>", "<tool_call>", "</tool_call>" };
    for (size_t i = 0; i < sizeof plain_added / sizeof *plain_added; i++)
        if (muse_text_find(tok, plain_added[i], strlen(plain_added[i])) == id) return 1;
    return muse_text_is_special(tok, id);
}

static void ids_line(const MuseJsonValue *line, size_t i)
{
    char *format = string(line, "format");
    const int t = tokenizer_for(format);
    free(format);
    if (t < 0) return;
    MuseChat *chat = build(line, SIZE_MAX, (int)number(line, "no_generation"));
    MuseSequence *seq = sequence(t);
    ok(muse_chat_append(chat, seq, 0, &err));
    size_t n, n_segments, controls = 0, added = 0, plain_controls = 0;
    char *prompt = prompt_of(chat, &n);
    int32_t *want = calloc(n + 1, sizeof *want), *got = calloc(n + 64, sizeof *got);
    assert_true(want && got);
    const size_t n_got = text_ids(seq, got), n_want = published_ids(toks[t], prompt, n, want);
    MuseChatSegment *segments;
    ok(muse_chat_render(chat, &segments, &n_segments, &err));
    for (size_t k = 0; k < n_segments; k++) {
        int32_t *ids;
        size_t n_ids;
        if (segments[k].kind > MUSE_SEGMENT_TEXT) continue;
        ok(muse_text_encode(toks[t], segments[k].text, segments[k].n, MUSE_TEXT_ADDED, &ids, &n_ids, &err));
        for (size_t m = 0; m < n_ids; m++)
            if (segments[k].kind == MUSE_SEGMENT_TEXT) plain_controls += (size_t)is_added(toks[t], ids[m]);
            else controls += (size_t)is_added(toks[t], ids[m]);
        muse_free(ids);
    }
    for (size_t k = 0; k < n_got; k++) added += (size_t)is_added(toks[t], got[k]);
    if (added != controls) fail_msg("chat %zu: %zu control ids, the format wrote %zu", i + 1, added, controls);
    if (plain_controls == 0) {
        harmless++;
        if (n_got != n_want || memcmp(got, want, n_got * sizeof *got) != 0) fail_msg("chat %zu: other ids than the prompt's", i + 1);
    } else forged++;
    muse_free(segments);
    muse_free(prompt);
    free(want), free(got);
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
}

static void random_ids(void **state)
{
    (void)state;
    open_tokenizers();
    each_chat(ids_line);
    assert_true(harmless > 400 && forged > 100);
    close_tokenizers();
}

/* ---- the published examples: spec gemma4-unified 6.2 ---- */

static void expect_prompt(MuseChat *chat, const char *want)
{
    size_t n;
    char *got = prompt_of(chat, &n);
    same_text(got, n, want, strlen(want), 0);
    muse_free(got);
    muse_chat_close(&chat);
}

static void gemma_examples(void **state)
{
    (void)state;
    MuseChat *chat = open_format("gemma4_unified", 0);
    say(chat, MUSE_ROLE_USER, "Name three primary colors.");
    expect_prompt(chat, "<bos><|turn>user\nName three primary colors.<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
    chat = open_format("gemma4_unified", MUSE_THINKING_ON);
    say(chat, MUSE_ROLE_USER, "Name three primary colors.");
    expect_prompt(chat, "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nName three primary colors.<turn|>\n<|turn>model\n");
    chat = open_format("gemma4_unified", 0);
    say(chat, MUSE_ROLE_USER, "Transcribe:");
    MuseAudio *audio = sound();
    ok(muse_chat_add_audio(chat, audio, &err));
    muse_audio_close(&audio);
    expect_prompt(chat, "<bos><|turn>user\nTranscribe:<|audio|><turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
    static const char tool[] = "{\"properties\":{\"city\":{\"type\":\"string\"}},\"type\":\"object\"}";
    chat = open_format("gemma4_unified", 0);
    ok(muse_chat_add_tool(chat, "get_weather", "Get weather", tool, sizeof tool - 1, &err));
    say(chat, MUSE_ROLE_SYSTEM, "You are a helpful assistant.");
    say(chat, MUSE_ROLE_USER, "What's the weather in Paris?");
    ok(muse_chat_add(chat, MUSE_ROLE_ASSISTANT, &err));
    ok(muse_chat_add_call(chat, "1", "get_weather", "{\"city\":\"Paris\"}", 16, &err));
    ok(muse_chat_add_result(chat, "1", NULL, &err));
    ok(muse_chat_add_json(chat, "{\"temp\":21}", 11, &err));
    say(chat, MUSE_ROLE_ASSISTANT, "It is 21 degrees.");
    expect_prompt(chat, "<bos><|turn>system\nYou are a helpful assistant.<|tool>declaration:get_weather{description:<|\"|>Get weather<|\"|>,parameters:{properties:{city:{"
        "type:<|\"|>STRING<|\"|>}},type:<|\"|>OBJECT<|\"|>}}<tool|><turn|>\n<|turn>user\nWhat's the weather in Paris?<turn|>\n<|turn>model\n"
        "<|tool_call>call:get_weather{city:<|\"|>Paris<|\"|>}<tool_call|><|tool_response>response:get_weather{temp:21}<tool_response|>It is 21 degrees.<turn|>\n"
        "<|turn>model\n<|channel>thought\n<channel|>");
}

/* the golden prompts with one turn */
static void golden_prompts(void **state)
{
    (void)state;
    MuseChat *chat = open_format("gemma4_unified", 0);
    ok(muse_chat_add(chat, MUSE_ROLE_USER, &err));
    MuseImage *image = picture();
    MuseAudio *audio = sound();
    ok(muse_chat_add_image(chat, image, NULL, &err));
    ok(muse_chat_add_text(chat, "What is this?", 13, &err));
    ok(muse_chat_add_audio(chat, audio, &err));
    muse_image_close(&image);
    muse_audio_close(&audio);
    MuseFile file = { 0 };
    MuseJson doc;
    ok(muse_file_open(&file, data_path("golden/gemma4-b/cases/image-audio-text/case.json"), 1 << 20, &err));
    ok(muse_json_parse(&doc, NULL, file.data, file.size, &err));
    char *want = string(doc.root, "prompt");
    expect_prompt(chat, want);
    free(want);
    muse_json_close(&doc);
    muse_file_close(&file);
}

/* ---- piece by piece ---- */

static void append_text(MuseSequence *seq, const char *text) { ok(muse_sequence_append_text(seq, text, strlen(text), MUSE_TEXT_ADDED, &err)); }

static void expect_decoded(const MuseSequence *seq, const MuseTextTokenizer *tok, const char *want)
{
    int32_t ids[4096];
    char *text;
    size_t n;
    ok(muse_text_decode(tok, ids, text_ids(seq, ids), 0, &text, &n, &err));
    same_text(text, n, want, strlen(want), 0);
    muse_free(text);
}

static void incremental(void **state)
{
    (void)state;
    static const char *const formats[] = { "gemma4_unified", "qwen3", "llama3.1" };
    static const int tok[] = { 0, 3, 1 };
    static const char *const answers[] = { "Fine.<turn|>", "Fine.<|im_end|>", "Fine.<|eot_id|>" };
    open_tokenizers();
    for (size_t f = 0; f < 3; f++) {
        MuseChat *chat = open_format(formats[f], 0);
        MuseSequence *seq = sequence(tok[f]), *whole = sequence(tok[f]);
        say(chat, MUSE_ROLE_USER, "How are you?");
        ok(muse_chat_append(chat, seq, 0, &err));
        append_text(seq, answers[f]);
        say(chat, MUSE_ROLE_ASSISTANT, "Fine.");
        say(chat, MUSE_ROLE_USER, "Good");
        ok(muse_chat_append(chat, seq, 2, &err));
        ok(muse_chat_append(chat, whole, 0, &err));
        if (f == 0) {   /* the generated turn has its empty thought, the same turn as history has none */
            expect_decoded(seq, toks[0], "<bos><|turn>user\nHow are you?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>Fine.<turn|>\n<|turn>user\nGood<turn|>\n"
                                         "<|turn>model\n<|channel>thought\n<channel|>");
        } else {
            int32_t a[1000], b[1000];
            const size_t n = text_ids(seq, a);
            assert_int_equal(n, text_ids(whole, b));
            assert_memory_equal(a, b, n * sizeof *a);
        }
        muse_sequence_close(&seq);
        muse_sequence_close(&whole);
        muse_chat_close(&chat);
    }
    close_tokenizers();
}

static void tool_round(void **state)
{
    (void)state;
    open_tokenizers();
    MuseChat *chat = open_format("gemma4_unified", 0);
    MuseSequence *seq = sequence(0);
    say(chat, MUSE_ROLE_USER, "Q");
    ok(muse_chat_append(chat, seq, 0, &err));
    append_text(seq, "<|tool_call>call:look{}<tool_call|><|tool_response>");
    ok(muse_chat_add(chat, MUSE_ROLE_ASSISTANT, &err));
    ok(muse_chat_add_call(chat, NULL, "look", "{}", 2, &err));
    ok(muse_chat_add_result(chat, NULL, "look", &err));
    ok(muse_chat_add_text(chat, "seen", 4, &err));
    ok(muse_chat_append(chat, seq, 2, &err));
    expect_decoded(seq, toks[0], "<bos><|turn>user\nQ<turn|>\n<|turn>model\n<|channel>thought\n<channel|><|tool_call>call:look{}<tool_call|>"
                                 "<|tool_response>response:look{value:<|\"|>seen<|\"|>}<tool_response|>");
    muse_chat_close(&chat);
    /* text beside the call moves behind the results: that can't be appended */
    chat = open_format("gemma4_unified", 0);
    say(chat, MUSE_ROLE_USER, "Q");
    say(chat, MUSE_ROLE_ASSISTANT, "wait");
    ok(muse_chat_add_call(chat, NULL, "look", "{}", 2, &err));
    ok(muse_chat_add_result(chat, NULL, "look", &err));
    const size_t before = muse_sequence_length(seq);
    assert_int_equal(muse_chat_append(chat, seq, 2, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_sequence_length(seq), before);
    ok(muse_chat_append(chat, seq, 0, &err));
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
    close_tokenizers();
}

/* a medium that is refused late takes everything back */
static void append_is_whole(void **state)
{
    (void)state;
    open_tokenizers();
    MuseChat *chat = open_format("gemma4_unified", 0);
    say(chat, MUSE_ROLE_USER, "Q");
    MuseImage *image = picture();
    MuseImageOptions o;
    muse_image_options_init(&o);
    o.budget = 3;
    ok(muse_chat_add_image(chat, image, &o, &err));
    muse_image_close(&image);
    MuseSequence *seq = sequence(0);
    append_text(seq, "x");
    const size_t before = muse_sequence_length(seq);
    uint8_t a[32], b[32];
    assert_int_equal(muse_sequence_hash(seq, before, a), 0);
    assert_int_equal(muse_chat_append(chat, seq, 0, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_sequence_length(seq), before);
    assert_int_equal(muse_sequence_hash(seq, before, b), 0);
    assert_memory_equal(a, b, 32);
    muse_sequence_close(&seq);
    seq = sequence(1);   /* a tokenizer of another format */
    assert_int_equal(muse_chat_append(chat, seq, 0, &err), MUSE_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "<bos>"));
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
    close_tokenizers();
}

/* Fuyu's beginning is written by the family, before the question; the answer's mark is byte 4 */
static void fuyu_ids(void **state)
{
    (void)state;
    MuseTextTokenizer *tok = NULL;
    ok(muse_text_open_file(&tok, NULL, data_path("text/unigram.json"), &err));
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.family_name = "fuyu";
    p.tokenizer = tok;
    MuseSequence *seq = NULL;
    ok(muse_sequence_open(&seq, NULL, &p, &err));
    MuseChat *chat = open_format("fuyu", 0);
    say(chat, MUSE_ROLE_USER, "the cat");
    ok(muse_chat_append(chat, seq, 0, &err));
    int32_t ids[64], *want;
    MusePosition begin;
    size_t n_want;
    ok(muse_text_encode(tok, "the cat\n\x04", 9, 0, &want, &n_want, &err));
    const size_t n = text_ids(seq, ids);
    assert_int_equal(muse_sequence_position(seq, 0, &begin), 0);
    assert_int_equal(begin.id, muse_text_find(tok, "<s>", 3));
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof *ids);
    assert_int_equal(ids[n - 1], muse_text_find(tok, "<0x04>", 6));
    muse_free(want);
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
    muse_text_close(&tok);
}

/* ---- formats ---- */

static void format_choice(void **state)
{
    (void)state;
    static const struct { const char *family; int tok; const char *want; } rows[] = {
        { "gemma4_unified", 0, "gemma4_unified" }, { "llama", 1, "llama3.1" }, { "llama", 2, "smollm2" }, { "qwen2", 2, "qwen2.5" }, { "qwen3", 3, "qwen3" },
        { "muse", 4, "muse" }, { "gemma4_unified", 1, NULL }, { "llama", 0, NULL }, { "gpt2", 1, NULL }, { "fuyu", 0, NULL },
    };
    open_tokenizers();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *format = "";
        const int rc = muse_chat_format_of(rows[i].family, toks[rows[i].tok], &format, &err);
        assert_int_equal(rc, rows[i].want ? 0 : MUSE_ERR_UNSUPPORTED);
        if (rows[i].want) assert_string_equal(format, rows[i].want);
        else assert_null(format);
    }
    int32_t ids[4];
    size_t n;
    ok(muse_chat_stop_ids("gemma4_unified", toks[0], ids, 4, &n, &err));   /* spec 5.2: 1, 106, 50 in the published vocabulary */
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], muse_text_find(toks[0], "<turn|>", 7));
    assert_int_equal(ids[1], muse_text_find(toks[0], "<eos>", 5));
    assert_int_equal(ids[2], muse_text_find(toks[0], "<|tool_response>", 16));
    assert_int_equal(muse_chat_stop_ids("gemma4_unified", toks[0], ids, 2, &n, &err), MUSE_ERR_FULL);
    assert_int_equal(muse_chat_stop_ids("gemma4_unified", toks[1], ids, 4, &n, &err), MUSE_ERR_NOT_FOUND);
    assert_int_equal(muse_chat_stop_ids("other", toks[1], ids, 4, &n, &err), MUSE_ERR_NOT_FOUND);
    static const struct { const char *format; int tok; const char *words, *want; } closes[] = {
        { "gemma4_unified", 0, "Enough.", "Enough.\n<channel|>" }, { "qwen3", 3, NULL, "\n</think>\n\n" }, { "muse", 4, NULL, "</think>" }, { "muse", 4, "<eos>", "<eos></think>" },
    };
    for (size_t i = 0; i < 4; i++) {
        int32_t *close;
        char *text;
        ok(muse_chat_close_thought(closes[i].format, toks[closes[i].tok], closes[i].words, &close, &n, &err));
        if (i == 3) assert_true(n > 2);   /* words are plain text */
        size_t n_text;
        ok(muse_text_decode(toks[closes[i].tok], close, n, 0, &text, &n_text, &err));
        assert_string_equal(text, closes[i].want);
        muse_free(text);
        muse_free(close);
    }
    int32_t *none;
    assert_int_equal(muse_chat_close_thought("llama3", toks[1], NULL, &none, &n, &err), MUSE_ERR_UNSUPPORTED);
    close_tokenizers();
}

/* ---- refused ---- */

static void refused(void **state)
{
    (void)state;
    MuseChat *chat = NULL;
    MuseChatParams p;
    muse_chat_params_init(&p);
    assert_int_equal(muse_chat_open(&chat, NULL, &p, &err), MUSE_ERR_ARG);
    p.format = "nothing";
    assert_int_equal(muse_chat_open(&chat, NULL, &p, &err), MUSE_ERR_NOT_FOUND);
    p.format = "llama3";
    p.thinking = MUSE_THINKING_ON;
    assert_int_equal(muse_chat_open(&chat, NULL, &p, &err), MUSE_ERR_UNSUPPORTED);
    MuseImage *image = picture();
    char *text;
    size_t n;

    chat = open_format("gemma4_unified", 0);
    assert_int_equal(muse_chat_prompt(chat, &text, &n, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_text(chat, "x", 1, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_result(chat, NULL, "look", &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add(chat, MUSE_ROLE_TOOL, &err), MUSE_ERR_ARG);
    say(chat, MUSE_ROLE_SYSTEM, "s");
    assert_int_equal(muse_chat_add_image(chat, image, NULL, &err), MUSE_ERR_UNSUPPORTED);
    say(chat, MUSE_ROLE_USER, "u");
    assert_int_equal(muse_chat_add_thought(chat, "x", 1, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_call(chat, NULL, "look", "{}", 2, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_result(chat, NULL, "look", &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_json(chat, "1", 1, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_token(chat, 0, "<look>", &err), MUSE_ERR_UNSUPPORTED);
    ok(muse_chat_add(chat, MUSE_ROLE_ASSISTANT, &err));
    static const struct { const char *name, *json; int code; } calls[] = {
        { "look", "[]", MUSE_ERR_FORMAT }, { "look", "", MUSE_ERR_FORMAT }, { "look", "{", MUSE_ERR_FORMAT }, { "look", "{\"a\":1,\"a\":2}", MUSE_ERR_FORMAT },
        { "look", "{\"a\":[{\"b\":1,\"c\":0,\"b\":2}]}", MUSE_ERR_FORMAT }, { "look", "{\"a\":1e999}", MUSE_ERR_FORMAT }, { "look", "{\"a\":9223372036854775808}", MUSE_ERR_LIMIT },
        { "look", "{\"a\":\"\xff\"}", MUSE_ERR_FORMAT }, { "", "{}", MUSE_ERR_ARG }, { "a b", "{}", MUSE_ERR_ARG }, { "a\"", "{}", MUSE_ERR_ARG }, { "a{", "{}", MUSE_ERR_ARG },
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        assert_int_equal(muse_chat_add_call(chat, NULL, calls[i].name, calls[i].json, strlen(calls[i].json), &err), calls[i].code);
    ok(muse_chat_add_call(chat, "7", "look", "{}", 2, &err));
    assert_int_equal(muse_chat_add_result(chat, "8", NULL, &err), MUSE_ERR_NOT_FOUND);
    ok(muse_chat_add_result(chat, "7", NULL, &err));
    ok(muse_chat_add_json(chat, "[1]", 3, &err));
    assert_int_equal(muse_chat_add_json(chat, "[1]", 3, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_text(chat, "x", 1, &err), MUSE_ERR_STATE);
    assert_int_equal(muse_chat_add_tool(chat, "a", "", "[]", 2, &err), MUSE_ERR_FORMAT);
    ok(muse_chat_add_tool(chat, "a", NULL, NULL, 0, &err));
    assert_int_equal(muse_chat_add_tool(chat, "a", "", NULL, 0, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_chat_length(chat), 4);
    ok(muse_chat_add(chat, MUSE_ROLE_USER, &err));
    muse_chat_drop_newest(chat);
    assert_int_equal(muse_chat_length(chat), 4);
    muse_chat_drop_newest(NULL);
    ok(muse_chat_prompt(chat, &text, &n, &err));
    muse_free(text);
    MuseSequence *seq = NULL;
    MuseSequenceParams sp;
    muse_sequence_params_init(&sp);
    sp.family_name = "gemma4_unified";
    ok(muse_sequence_open(&seq, NULL, &sp, &err));
    assert_int_equal(muse_chat_append(chat, seq, 0, &err), MUSE_ERR_UNSUPPORTED);   /* no tokenizer */
    assert_int_equal(muse_chat_append(chat, seq, 5, &err), MUSE_ERR_ARG);
    muse_sequence_close(&seq);
    muse_chat_close(&chat);

    static const char *const schemas[] = { "{\"type\":[1]}", "{\"type\":1}", "{\"properties\":{\"a\":{\"type\":null}}}", "{\"type\":\"object\",\"required\":\"a\"}", "{\"type\":\"object\",\"required\":[1]}",
                                           "{\"properties\":{\"a\":1}}", "{\"properties\":{\"a\":{\"description\":1}}}" };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        chat = open_format("gemma4_unified", 0);
        ok(muse_chat_add_tool(chat, "a", NULL, schemas[i], strlen(schemas[i]), &err));
        say(chat, MUSE_ROLE_USER, "u");
        assert_int_equal(muse_chat_prompt(chat, &text, &n, &err), MUSE_ERR_UNSUPPORTED);
        muse_chat_close(&chat);
    }
    chat = open_format("llama3", 0);
    assert_int_equal(muse_chat_add_tool(chat, "a", "", NULL, 0, &err), MUSE_ERR_UNSUPPORTED);
    say(chat, MUSE_ROLE_ASSISTANT, "a");
    assert_int_equal(muse_chat_add_image(chat, image, NULL, &err), MUSE_ERR_UNSUPPORTED);
    assert_int_equal(muse_chat_add_thought(chat, "a", 1, &err), MUSE_ERR_UNSUPPORTED);
    assert_int_equal(muse_chat_add_call(chat, NULL, "a", "{}", 2, &err), MUSE_ERR_UNSUPPORTED);
    muse_chat_close(&chat);
    chat = open_format("muse", 0);
    say(chat, MUSE_ROLE_USER, "u");
    assert_int_equal(muse_chat_add_token(chat, 0, "<eos>", &err), MUSE_ERR_UNSUPPORTED);
    say(chat, MUSE_ROLE_SYSTEM, "s");
    assert_int_equal(muse_chat_prompt(chat, &text, &n, &err), MUSE_ERR_UNSUPPORTED);
    muse_chat_close(&chat);
    static const char *const questions[] = { "a\x04", "\x01" };
    for (size_t i = 0; i < 2; i++) {
        chat = open_format("fuyu", 0);
        say(chat, MUSE_ROLE_USER, questions[i]);
        assert_int_equal(muse_chat_prompt(chat, &text, &n, &err), MUSE_ERR_UNSUPPORTED);
        muse_chat_close(&chat);
    }
    chat = open_format("fuyu", 0);
    say(chat, MUSE_ROLE_USER, "q");
    ok(muse_chat_add_image(chat, image, NULL, &err));
    assert_int_equal(muse_chat_prompt(chat, &text, &n, &err), MUSE_ERR_UNSUPPORTED);
    say(chat, MUSE_ROLE_USER, "again");
    assert_int_equal(muse_chat_prompt(chat, &text, &n, &err), MUSE_ERR_UNSUPPORTED);
    muse_chat_close(&chat);
    muse_image_close(&image);
}

/* ---- memory ---- */

static Meter meter;

static int whole_use(MuseRuntime *rt, const char *format, MuseSequence *seq)
{
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"string\",\"enum\":[\"x\"]},\"a\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}";
    static const char wrote_gemma[] = "<|channel>thought\nhm\n<channel|>yes<|tool_call>call:look{b:[1,{c:<|\"|>x<|\"|>}],a:true}<tool_call|><|tool_call>call:<tool_call|><|tool_response>";
    static const char wrote_qwen[] = "<think>\nhm\n</think>\n\nyes\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"b\": [1]}}\n</tool_call>\n<tool_call>\n{</tool_call><|im_end|>";
    const char *wrote = format[0] == 'g' ? wrote_gemma : wrote_qwen;
    MuseChatParams p;
    MuseChat *chat = NULL;
    MuseChatParser *parser = NULL;
    MuseChatSegment *segments = NULL;
    char *text = NULL;
    size_t n;
    muse_chat_params_init(&p);
    p.format = format;
    int rc = muse_chat_open(&chat, rt, &p, &err);
    if (rc == 0) rc = muse_chat_add_tool(chat, "look", "d", schema, sizeof schema - 1, &err);
    if (rc == 0) rc = muse_chat_add(chat, MUSE_ROLE_SYSTEM, &err);
    if (rc == 0) rc = muse_chat_add_text(chat, "s", 1, &err);
    if (rc == 0) rc = muse_chat_add(chat, MUSE_ROLE_USER, &err);
    for (int i = 0; i < 5 && rc == 0; i++) rc = muse_chat_add_text(chat, "q", 1, &err);
    if (rc == 0) rc = muse_chat_parser_open(&parser, chat, NULL, &err);
    if (rc == 0) rc = muse_chat_parser_feed_text(parser, wrote, strlen(wrote), NULL, &err);
    if (rc == 0) {
        const size_t before = muse_chat_length(chat);
        rc = muse_chat_add_parsed(chat, parser, &err);
        if (rc < 0) assert_int_equal(muse_chat_length(chat), before);
    }
    if (rc == 0) rc = muse_chat_add_result(chat, NULL, "look", &err);
    if (rc == 0) rc = muse_chat_add_json(chat, "{\"b\":1,\"a\":[2]}", 15, &err);
    if (rc == 0) rc = muse_chat_render(chat, &segments, &n, &err);
    if (rc == 0) rc = muse_chat_prompt(chat, &text, &n, &err);
    if (rc == 0) rc = muse_chat_append(chat, seq, 0, &err);
    muse_free(segments);
    muse_free(text);
    muse_chat_parser_close(&parser);
    muse_chat_close(&chat);
    return rc;
}

static void no_memory(void **state)
{
    (void)state;
    open_tokenizers();
    for (int f = 0; f < 2; f++) {
        meter.fail_from = 0;
        MuseRuntime *rt = meter_runtime(&meter, 0);
        int rc = MUSE_ERR_NOMEM;
        for (long n = 0; rc == MUSE_ERR_NOMEM; n++) {
            MuseSequence *seq = sequence(f ? 3 : 0);
            meter_leave(&meter, n);
            rc = whole_use(rt, f ? "qwen3" : "gemma4_unified", seq);
            meter.fail_from = 0;
            muse_sequence_close(&seq);
        }
        if (rc < 0) fail_msg("%s", err.text);
        muse_runtime_close(&rt);
    }
    close_tokenizers();
}

/* ids of a user's text in the muse format under a tokenizer, all of the prompt */
static size_t muse_ids(MuseTextTokenizer *tok, const char *text, int32_t *out)
{
    MuseChatParams p;
    MuseChat *chat = NULL;
    MuseTextTokenizer *const held = toks[4];
    muse_chat_params_init(&p);
    p.format = "muse";
    ok(muse_chat_open(&chat, NULL, &p, &err));
    ok(muse_chat_add(chat, MUSE_ROLE_USER, &err));
    ok(muse_chat_add_text(chat, text, strlen(text), &err));
    toks[4] = tok;
    MuseSequence *seq = sequence(4);
    toks[4] = held;
    ok(muse_chat_append(chat, seq, 0, &err));
    const size_t n = text_ids(seq, out);
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
    return n;
}

static void places_in_text(void **state)
{
    (void)state;
    int32_t got[128], want[128];
    open_tokenizers();
    static const char text[] = "<bos>What is at <x53><y30> or <x0><y63>?<think>";
    const size_t n = published_ids(toks[4], text, sizeof text - 1, want);
    assert_int_equal(muse_ids(toks[4], "What is at <x53><y30> or <x0><y63>?", got), n);
    assert_memory_equal(got, want, n * sizeof *got);
    static const char *const no_places[] = { "<x64>", "<x>", "<z3>", "<x3", "<x1234>", "<X3>" };   /* letters, as they are without added tokens */
    for (size_t i = 0; i < sizeof no_places / sizeof *no_places; i++) {
        int32_t *plain;
        size_t n_plain;
        ok(muse_text_encode(toks[4], no_places[i], strlen(no_places[i]), 0, &plain, &n_plain, &err));
        assert_int_equal(muse_ids(toks[4], no_places[i], got), n_plain + 2);
        assert_memory_equal(got + 1, plain, n_plain * sizeof *got);
        muse_free(plain);
    }
    MuseTextTokenizer *without;   /* a tokenizer that has no places */
    ok(muse_text_open_file(&without, NULL, data_path("tiny/muse/hf"), &err));
    assert_true(muse_ids(without, "<x3>", got) > 3);
    muse_text_close(&without);
    close_tokenizers();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_prompts), cmocka_unit_test(places_in_text), cmocka_unit_test(random_ids), cmocka_unit_test(gemma_examples), cmocka_unit_test(golden_prompts), cmocka_unit_test(incremental),
        cmocka_unit_test(tool_round), cmocka_unit_test(append_is_whole), cmocka_unit_test(fuyu_ids), cmocka_unit_test(format_choice), cmocka_unit_test(refused), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
