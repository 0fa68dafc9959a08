/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as text, over three small fixed tokenizers (byte-level, byte fallback, Unigram): they come back. The first byte
 * chooses the tokenizer and the flags. */
#include "tests/fuzz/fuzz_tokenizer.h"

static MuseTextTokenizer *toks[4];

static MuseTextTokenizer *open_json(const char *json, size_t n)
{
    MuseTextTokenizer *tok;
    MuseError err = { 0 };
    if (muse_text_open_memory(&tok, NULL, json, n, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return tok;
}

static MuseTextTokenizer *trained(const char *pattern)
{
    static const char text[] = "the cat and the hat, don't we'll they've 12 123 1234\n\n\n  the   then  naïve café 你好你好 \xff\xff aaaa aaaa abab abab <|x|> été";
    static const char *const added[] = { "<|x|>", "<|x|><|", "\n\n" };
    const char *texts[] = { text };
    const size_t sizes[] = { sizeof text - 1 };
    MuseTextTrainParams p;
    char *json;
    size_t n;
    muse_text_train_params_init(&p);
    p.vocab_size = 330;
    p.added = added;
    p.n_added = 3;
    p.pattern = pattern;
    if (muse_text_train_bpe(NULL, texts, sizes, 1, &p, &json, &n, NULL) < 0) abort();
    MuseTextTokenizer *tok = open_json(json, n);
    muse_free(json);
    return tok;
}

/* 256 byte tokens, then `more`; unigram: with scores */
static MuseTextTokenizer *with_bytes(const char *model, const char *more, const char *end, int scores)
{
    static char json[16384];
    size_t n = (size_t)snprintf(json, sizeof json,
        "{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"▁\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"▁\"},"
        "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},\"model\":{%s", model);
    for (unsigned b = 0; b < 257; b++)
        n += (size_t)snprintf(json + n, sizeof json - n, scores ? "%s[\"%s%02X%s\",-9.5]" : "%s\"%s%02X%s\":%u", b ? "," : "", b ? "<0x" : "<s>", b ? b - 1 : 0, b ? ">" : "", b);
    /* the first entry is written as <s>00: make it <s> */
    char *first = strstr(json, "<s>00");
    memmove(first + 3, first + 5, strlen(first + 5) + 1);
    n = strlen(json);
    n += (size_t)snprintf(json + n, sizeof json - n, "%s%s", more, end);
    return open_json(json, n);
}

static void open_all(void)
{
    toks[0] = trained("llama3");
    toks[1] = trained("smollm");
    toks[2] = with_bytes("\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{", ",\"▁\":257,\"a\":258,\"b\":259,\"é\":260,\"ab\":261,\"▁a\":262,\"▁▁\":263,\"aa\":264,\"\\n\":265,\"\\n\\n\":266",
                         "},\"merges\":[\"\\n \\n\",\"▁ ▁\",\"a b\",\"a a\",\"▁ a\"]}}", 0);
    toks[3] = with_bytes("\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[", ",[\"▁\",-2.5],[\"a\",-3.0],[\"b\",-4.25],[\"▁a\",-4.0],[\"ab\",-5.0],[\"é\",-6.0],[\"▁▁\",-3.5],[\"bab\",-6.5]",
                         "]}}", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!toks[0]) open_all();
    if (size == 0) return 0;
    uint8_t *exact = fuzz_copy(data + 1, size - 1);
    const unsigned kind = data[0] & 3, flags = data[0] & 4 ? MUSE_TEXT_ADDED : 0;
    /* U+2581 comes back as a space, and each segment after an added token gets a space of its own */
    int round_trip = kind < 2 || !flags;
    for (size_t i = 0; kind >= 2 && i + 3 < size; i++)
        if (memcmp(exact + i, "\xe2\x96\x81", 3) == 0) round_trip = 0;
    fuzz_use(toks[kind], exact, size - 1, flags, round_trip);
    free(exact);
    return 0;
}
