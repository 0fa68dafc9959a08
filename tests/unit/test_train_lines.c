/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets as people write them: what is said of their lines, where they come from other systems, and which line was to blame.
 * That lines become the right samples is test_train_chat.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "muse/muse.h"
#include "tests/unit/temp_folder.h"

static MuseError err;
static char said[8192];

static void listen(void *user, int level, const char *line)
{
    (void)user;
    if (level >= MUSE_LOG_WARN) snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

static unsigned times(const char *what)
{
    unsigned n = 0;
    for (const char *at = said; (at = strstr(at, what)); at++) n++;
    return n;
}

static void write_file(const char *name, const char *text, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (muse_file_write(path, text, n, &err) < 0) fail_msg("%s", err.text);
}

#define MODEL "{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":1024,\"hidden_size\":16,\"intermediate_size\":16,\"num_hidden_layers\":1,\"num_attention_heads\":1," \
    "\"num_key_value_heads\":1,\"head_dim\":16,\"max_position_embeddings\":512,\"rms_norm_eps\":1e-5,\"hidden_act\":\"relu2\",\"qk_norm\":true,\"rope_theta\":100,\"rope_pairs\":[4,2,2]," \
    "\"tie_word_embeddings\":true,\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":0,\"image_config\":{\"patch_size\":8,\"places\":32,\"budgets\":[64],\"default_budget\":64}}"

static const char *also = "";   /* more members of the document */

/* Trains on these sources; what the run ends with, MUSE_DONE or an error, whose text is in err. The log goes to said. */
static int train(const char *data, uint64_t steps, MuseTrainReport *r)
{
    char doc[2500];
    MuseRuntimeParams rp;
    MuseRuntime *rt;
    MuseTrainerParams p;
    MuseTrainer *t;
    snprintf(doc, sizeof doc, "{\"model\":%s,\"compute\":\"f32\",\"tokenizer\":\"%s/models/muse-nano/tokenizer.json\",\"steps\":%u,\"batch\":{\"samples\":4,\"positions\":40},\"data\":[%s]%s}",
             MODEL, getenv("MUSE_SOURCE"), (unsigned)steps, data, also);
    muse_runtime_params_init(&rp);
    rp.threads = 1, rp.log = listen;
    said[0] = 0;
    *r = (MuseTrainReport){ 0 };
    assert_int_equal(muse_runtime_open(&rt, &rp, &err), 0);
    muse_trainer_params_init(&p);
    p.folder = folder;
    int rc = muse_trainer_open(&t, rt, doc, strlen(doc), &p, &err);
    while (rc == 0) rc = muse_trainer_step(t, r, &err);
    muse_trainer_close(&t);
    muse_runtime_close(&rt);
    return rc;
}

#define GOOD "{\"parts\":[{\"text\":\"a\"}],\"answer\":\"b\"}"

/* a misspelt thought is a thought that is not learned: each key is named once, with the line that has it first */
static void test_unknown_keys(void **state)
{
    (void)state;
    MuseTrainReport r;
    static const char odd[] = GOOD "\n{\"parts\":[{\"text\":\"a\",\"budgt\":3}],\"answer\":\"b\",\"thougt\":\"c\",\"id\":7}\n{\"parts\":[{\"text\":\"a\"}],\"answer\":\"b\",\"id\":8}\n"
        "{\"parts\":[],\"answer\":\"x\",\"branches\":[{\"parts\":[{\"text\":\"a\"}],\"answer\":\"b\",\"system\":\"s\"}]}\n";
    /* what other commands read, or write for them */
    static const char known[] = "{\"parts\":[{\"text\":\"a\"}],\"answer\":\"b\",\"accept\":[\"c\"],\"task\":\"t\",\"world\":\"w\",\"split\":\"s\",\"seed\":1,\"index\":0,\"objects\":[],\"views\":[],\"given\":[],\"thought\":\"x\"}\n";
    write_file("odd.jsonl", odd, sizeof odd - 1);
    write_file("known.jsonl", known, sizeof known - 1);
    if (train("{\"jsonl\":\"odd.jsonl\",\"shuffle\":false}", 4, &r) != MUSE_DONE) fail_msg("%s", err.text);
    static const char *const keys[] = { "odd.jsonl:2: key \"budgt\"", "odd.jsonl:2: key \"thougt\"", "odd.jsonl:2: key \"id\"", "odd.jsonl:4: key \"answer\"", "odd.jsonl:4: key \"system\"" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (times(keys[i]) != 1) fail_msg("%s: %u times in %s", keys[i], times(keys[i]), said);
    assert_int_equal(times("has no effect"), 5);
    if (train("{\"jsonl\":\"known.jsonl\"}", 2, &r) != MUSE_DONE) fail_msg("%s", err.text);
    assert_string_equal(said, "");
}

/* a line that is read but does not fit is named as well as one that can't be read; each source says for itself whether it may have such */
static void test_long_line(void **state)
{
    (void)state;
    MuseTrainReport r;
    static const char wide[] = GOOD "\n\n{\"parts\":[{\"text\":\"0123456789012345678901234567890123456789\"}],\"answer\":\"b\"}\n";
    write_file("wide.jsonl", wide, sizeof wide - 1);
    write_file("good.jsonl", GOOD, sizeof GOOD - 1);
    assert_int_equal(train("{\"jsonl\":\"wide.jsonl\"},{\"jsonl\":\"good.jsonl\",\"broken\":\"skip\"}", 2, &r), MUSE_ERR_LIMIT);
    if (!strstr(err.text, "wide.jsonl:3: a sample of 45 positions")) fail_msg("%s", err.text);
    if (train("{\"jsonl\":\"wide.jsonl\",\"broken\":\"skip\"},{\"jsonl\":\"good.jsonl\"}", 2, &r) != MUSE_DONE) fail_msg("%s", err.text);
    assert_true(r.skipped > 0 && times("left out: ") == r.skipped && times("wide.jsonl:3: a sample") == r.skipped);
}

/* from other systems: marks of byte order, two bytes an end of line, none at the end */
static void test_other_systems(void **state)
{
    (void)state;
    MuseTrainReport r;
    static const struct { const char *text; int code; } cases[] = {
        { "\xef\xbb\xbf" GOOD "\n", MUSE_DONE }, { GOOD "\r\n\r\n" GOOD "\r\n", MUSE_DONE }, { GOOD "\n" GOOD, MUSE_DONE }, { " \t" GOOD " \n \n", MUSE_DONE },
        { GOOD "\r" GOOD "\r", MUSE_ERR_FORMAT }, { "{\"parts\":[{\"text\":\"\xff\"}],\"answer\":\"b\"}", MUSE_ERR_FORMAT }, { "\r\n \n", MUSE_ERR_FORMAT }, { "[" GOOD "," GOOD "]", MUSE_ERR_FORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("a.jsonl", cases[i].text, strlen(cases[i].text));
        const int rc = train("{\"jsonl\":\"a.jsonl\"}", 2, &r);
        if (rc != cases[i].code) fail_msg("case %zu: code %d, not %d: %s", i, rc, cases[i].code, rc < 0 ? err.text : "");
        if (rc < 0 && !strstr(err.text, "a.jsonl:")) fail_msg("%s", err.text);
    }
}

/* a model whose answers would end at another token than the one that is learned */
static void test_other_ids(void **state)
{
    (void)state;
    static const struct { const char *key, *text; } cases[] = { { "eos_token_id", "<eos> has number 2, \"eos_token_id\" of the model is 7" },
                                                                { "bos_token_id", "<bos> has number 1, \"bos_token_id\" of the model is 7" } };
    for (size_t i = 0; i < 2; i++) {
        char doc[2000];
        MuseTrainer *t;
        snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s/models/muse-nano/tokenizer.json\",\"steps\":1,\"data\":[{\"random\":{\"length\":8}}]}", MODEL, getenv("MUSE_SOURCE"));
        char *at = strstr(doc, cases[i].key);
        assert_non_null(at);
        at[strlen(cases[i].key) + 2] = '7';
        assert_int_equal(muse_trainer_open(&t, NULL, doc, strlen(doc), NULL, &err), MUSE_ERR_FORMAT);
        if (!strstr(err.text, cases[i].text)) fail_msg("%s", err.text);
    }
}

/* prompts are lines of the same kind */
static void test_prompts(void **state)
{
    (void)state;
    MuseTrainReport r;
    static const char odd[] = GOOD "\n{\"parts\":[{\"text\":\"a\"}],\"answer\":\"b\",\"acept\":[\"c\"]}\n";
    static const char wide[] = "{\"parts\":[{\"text\":\"0123456789012345678901234567890123456789\"}],\"answer\":\"b\"}\n";
    write_file("good.jsonl", GOOD, sizeof GOOD - 1);
    write_file("odd.jsonl", odd, sizeof odd - 1);
    write_file("wide.jsonl", wide, sizeof wide - 1);
#define TRIALS(file) ",\"rl\":{\"stage\":\"grpo\",\"jsonl\":\"" file "\",\"prompts\":2,\"samples\":2,\"thought_tokens\":2,\"answer_tokens\":2,\"guard\":{\"prompts\":0}}"
    also = TRIALS("odd.jsonl");
    if (train("{\"jsonl\":\"good.jsonl\"}", 2, &r) != MUSE_DONE) fail_msg("%s", err.text);
    assert_int_equal(times("odd.jsonl:2: key \"acept\" has no effect"), 1);
    also = TRIALS("wide.jsonl");
    assert_int_equal(train("{\"jsonl\":\"good.jsonl\"}", 2, &r), MUSE_ERR_LIMIT);
    if (!strstr(err.text, "wide.jsonl:1: ")) fail_msg("%s", err.text);
    also = "";
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = { IN_FOLDER(test_unknown_keys), IN_FOLDER(test_long_line), IN_FOLDER(test_other_systems), IN_FOLDER(test_prompts), cmocka_unit_test(test_other_ids) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
