/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a line of a data set: what becomes a sample must pack, what becomes a prompt has parts and an answer; and as the
 * state of a run with rewards. Byte-level vocabulary, no media files within reach. */
#include "libmuse/train/rl.h"
#include "tests/fuzz/fuzz.h"

static const char config[] = "{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":270,\"hidden_size\":8,\"intermediate_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":1,"
    "\"num_key_value_heads\":1,\"head_dim\":8,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5,\"hidden_act\":\"relu2\",\"qk_norm\":true,\"rope_theta\":100,\"rope_pairs\":[4,0,0],"
    "\"tie_word_embeddings\":true,\"eos_token_id\":2,\"image_config\":{\"patch_size\":8,\"places\":32,\"budgets\":[4],\"default_budget\":4},\"audio_config\":{\"mel_bins\":80,\"stack\":4}}";

static MuseRuntime *rt;
static MuseConfig model;
static MuseTextTokenizer *tok;

static void start(void)
{
    static const char *const added[] = { "<pad>", "<bos>", "<eos>", "<image 1>", "<audio>", "</audio>", "<think>", "</think>" };
    const char *text = "a b c d e";
    const size_t n = strlen(text);
    char *json;
    size_t n_json;
    MuseError err;
    MuseTextTrainParams p;
    muse_text_train_params_init(&p);
    p.vocab_size = 266, p.added = added, p.n_added = 8;
    FUZZ_CHECK(muse_runtime_open(&rt, NULL, &err) == 0);
    FUZZ_CHECK(muse_config_from_json(&model, NULL, NULL, config, sizeof config - 1, &err) == 0);
    FUZZ_CHECK(muse_text_train_bpe(rt, &text, &n, 1, &p, &json, &n_json, &err) == 0);
    FUZZ_CHECK(muse_text_open_memory(&tok, rt, json, n_json, &err) == 0);
    muse_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!rt) start();
    uint8_t *exact = fuzz_copy(data, size);
    static const char *const tasks[] = { "count", "read" };
    const MuseJsonlRules rules = { .rt = rt, .model = &model, .tokenizer = tok, .tasks = tasks, .n_tasks = 2 };
    const MuseBatchRules batch_rules = { .config = &model, .n_tasks = 2, .n_groups = MUSE_GROUPS_MAX };
    MuseTrainSample s;
    MuseError err = { 0 };
    if (muse_jsonl_sample(&rules, "/nowhere", (const char *)exact, size, &s, &err) == 0) {
        MuseTrainBatch b = { 0 };
        size_t rows = 0;
        FUZZ_CHECK(muse_sample_rows(&s, &rows));
        if (muse_batch_add(&b, &batch_rules, &s, &err) == 0) {
            FUZZ_CHECK(b.n == rows && b.sample_at[1] == rows);
            for (size_t i = 0; i < b.n; i++) FUZZ_CHECK(b.seen[i].hi0 <= rows && b.seen[i].hi1 <= rows && b.seen[i].lo1 <= b.seen[i].hi1);
            for (size_t i = 0; i < b.n_targets; i++) FUZZ_CHECK(b.targets[i].row < rows);
        } else {
            FUZZ_CHECK(err.text[0]);
        }
        muse_batch_clear(&b);
        muse_draft_release(&s);
    } else {
        FUZZ_CHECK(err.text[0]);
    }
    atomic_ullong told = 0;
    const MuseJsonlTeller teller = { &rt->log, &told, "line", 1 };
    MuseTrainPrompt prompt;
    static MuseRl rl = { .n_slots = 2 };
    err.text[0] = 0;
    if (muse_jsonl_prompt_line(&rules, "/nowhere", (const char *)exact, size, size, &teller, &prompt, &err) == 0) {
        FUZZ_CHECK(prompt.n_parts > 0 && prompt.n_answers > 0 && prompt.answers[0]);
        muse_jsonl_prompt_release(&prompt);
    } else {
        FUZZ_CHECK(err.text[0] && !prompt.handle);
    }
    rl.rt = rt;
    err.text[0] = 0;
    FUZZ_CHECK(muse_rl_read(&rl, exact, size, &err) == 0 || err.text[0]);
    free(exact);
    return 0;
}
