/* SPDX-License-Identifier: Apache-2.0 */
/* A run's folder over several sittings: what may change between them and what may not, what else lies there. The numbers of
 * training are test_train.c's. */
#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "libmuse/train/checkpoint.h"
#include "muse/muse.h"
#include "tests/unit/temp_folder.h"

static MuseError err;
static char said[4096];

static void listen(void *user, int level, const char *line)
{
    (void)user;
    (void)level;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

/* a model of a few hundred values on random tokens */
#define MODEL "\"model\":{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":16,\"hidden_size\":8,\"intermediate_size\":16,\"num_hidden_layers\":1,\"num_attention_heads\":1," \
    "\"num_key_value_heads\":1,\"head_dim\":8,\"max_position_embeddings\":32,\"rms_norm_eps\":1e-6,\"hidden_act\":\"relu2\",\"qk_norm\":true,\"rope_theta\":100,\"rope_pairs\":[2,1,1]," \
    "\"tie_word_embeddings\":true,\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":0,\"image_config\":{\"patch_size\":2,\"places\":8,\"budgets\":[16],\"default_budget\":16}}"
#define RUN(more) "{" MODEL ",\"compute\":\"f32\",\"steps\":12,\"batch\":{\"samples\":2,\"positions\":32},\"data\":[{\"random\":{\"length\":8}}]," \
    "\"checkpoint\":{\"every\":2,\"keep\":2},\"out\":\"run\"" more "}"

/* opens under a document; the log goes to said. NULL: refused, with this code */
static MuseTrainer *open_run(const char *json, uint32_t threads, int resume, uint64_t steps, int code)
{
    MuseRuntimeParams rp;
    MuseRuntime *rt;
    MuseTrainerParams p;
    MuseTrainer *t = NULL;
    said[0] = 0;
    muse_runtime_params_init(&rp);
    rp.threads = threads, rp.log = listen;
    assert_int_equal(muse_runtime_open(&rt, &rp, &err), 0);
    muse_trainer_params_init(&p);
    p.folder = folder, p.resume = resume, p.steps = steps;
    err.text[0] = 0;
    const int rc = muse_trainer_open(&t, rt, json, strlen(json), &p, &err);
    if (rc != code) fail_msg("code %d, not %d: %s", rc, code, err.text);
    muse_runtime_close(&rt);
    return t;
}

/* to the end, and closed */
static void go(MuseTrainer *t)
{
    int rc;
    while ((rc = muse_trainer_step(t, NULL, &err)) == 0) {}
    if (rc != MUSE_DONE) fail_msg("code %d: %s", rc, err.text);
    muse_trainer_close(&t);
}

/* Muon's moments of a matrix are not Adam's: with them the first steps would undo what was learned */
static void test_other_optimizer(void **state)
{
    (void)state;
    static const char muon[] = RUN(",\"optimizer\":{\"name\":\"muon\"}"), unnamed[] = RUN(""), adamw[] = RUN(",\"optimizer\":{\"name\":\"adamw\",\"rate\":0.1}");
    go(open_run(unnamed, 1, 0, 2, 0));
    open_run(adamw, 1, 1, 4, MUSE_ERR_FORMAT);
    if (!strstr(err.text, "\"muon\"") || !strstr(err.text, "\"adamw\"") || !strstr(err.text, "step-00000002")) fail_msg("%s", err.text);
    go(open_run(muon, 1, 1, 4, 0));      /* the same by another word */
    assert_int_equal(access(in_folder("run/step-00000004/train.json"), F_OK), 0);
    if (muse_file_write(in_folder("run/step-00000004/document.json"), "{", 1, &err) < 0) fail_msg("%s", err.text);
    open_run(muon, 1, 1, 6, MUSE_ERR_FORMAT);
    if (!strstr(err.text, "step-00000004/document.json")) fail_msg("%s", err.text);
}

/* going on by another number of threads rounds otherwise: it is allowed, and said; not so of a checkpoint that does not tell */
static void test_other_rounding(void **state)
{
    (void)state;
    MuseFile f = { 0 };
    char text[400], *by;
    go(open_run(RUN(""), 1, 0, 2, 0));
    go(open_run(RUN(""), 1, 1, 4, 0));
    if (strstr(said, "rounding")) fail_msg("%s", said);
    go(open_run(RUN(""), 2, 1, 6, 0));
    if (!strstr(said, "step-00000004 was computed by other roundings") || !strstr(said, "threads: 1)") || !strstr(said, "threads: 2)")) fail_msg("%s", said);
    const char *path = in_folder("run/step-00000006/train.json");
    assert_int_equal(muse_file_open(&f, path, sizeof text - 1, &err), 0);
    snprintf(text, sizeof text, "%.*s", (int)f.size, (const char *)f.data);
    muse_file_close(&f);
    assert_non_null(by = strstr(text, ", \"rounding\""));
    strcpy(by, "}");
    assert_int_equal(muse_file_write(path, text, strlen(text), &err), 0);
    go(open_run(RUN(""), 1, 1, 8, 0));
    if (strstr(said, "rounding")) fail_msg("%s", said);
    strcpy(by, ", \"rounding\": 3}");
    assert_int_equal(muse_file_write(in_folder("run/step-00000008/train.json"), text, strlen(text), &err), 0);
    open_run(RUN(""), 1, 1, 8, MUSE_ERR_FORMAT);
}

/* a conversation longer than the model's context is learned, with a warning */
static void test_long_sample(void **state)
{
    (void)state;
#define LONG(n) "{" MODEL ",\"compute\":\"f32\",\"steps\":3,\"batch\":{\"samples\":2,\"positions\":64},\"data\":[{\"random\":{\"length\":" #n "}}]}"
    MuseTrainer *t = open_run(LONG(32), 1, 0, 0, 0);
    go(t);
    if (strstr(said, "conversation")) fail_msg("%s", said);
    go(open_run(LONG(33), 1, 0, 0, 0));
    const char *first = strstr(said, "a sample has 33 positions in one conversation");
    if (!first || strstr(first + 1, "a sample has")) fail_msg("%s", said);
}

/* what the user put into a checkpoint stays when that is removed, and the folder counts no more: the others go in their turn */
static void test_a_note(void **state)
{
    (void)state;
    go(open_run(RUN(""), 1, 0, 2, 0));
    if (muse_file_write(in_folder("run/step-00000002/notes.txt"), "good", 4, &err) < 0) fail_msg("%s", err.text);
    go(open_run(RUN(""), 1, 1, 0, 0));
    assert_int_equal(access(in_folder("run/step-00000002/notes.txt"), F_OK), 0);
    assert_int_equal(access(in_folder("run/step-00000002/model.safetensors"), F_OK), -1);
    for (int step = 4; step <= 12; step += 2) {
        char name[64];
        snprintf(name, sizeof name, "run/step-%08d", step);
        assert_int_equal(access(in_folder(name), F_OK), step >= 10 ? 0 : -1);
    }
}

/* an average that is asked for later begins with the weights; one that is asked for no more is left */
static void test_later_average(void **state)
{
    (void)state;
    static const char with[] = RUN(",\"optimizer\":{\"ema\":0.9}");
    go(open_run(RUN(""), 1, 0, 2, 0));
    MuseTrainer *t = open_run(with, 1, 1, 4, 0);
    if (!strstr(said, "step-00000002/train.safetensors: has no average")) fail_msg("%s", said);
    MuseModel *m[2];   /* with and without: the same as yet */
    const float *row[2];
    assert_int_equal(muse_trainer_model(t, &m[0], &err), 0);
    assert_int_equal(muse_model_open(&m[1], NULL, in_folder("run/step-00000002"), NULL, &err), 0);
    MuseSession *s[2];
    for (int i = 0; i < 2; i++) {
        static const int32_t ids[] = { 3, 4, 5 };
        assert_int_equal(muse_session_open(&s[i], m[i], NULL, &err), 0);
        assert_int_equal(muse_sequence_append_ids(muse_session_sequence(s[i]), ids, 3, &err), 0);
        assert_int_equal(muse_session_prefill(s[i], &err), 0);
        row[i] = muse_session_logits(s[i]);
    }
    assert_memory_equal(row[0], row[1], 16 * sizeof **row);
    for (int i = 0; i < 2; i++) muse_session_close(&s[i]), muse_model_close(&m[i]);
    go(t);
    go(open_run(with, 1, 1, 6, 0));
    if (strstr(said, "average")) fail_msg("%s", said);
    go(open_run(RUN(""), 1, 1, 8, 0));
}

/* a disk that is full (here: files may not grow) costs no checkpoint that is there, keeps no half one, and can be tried again */
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit before, small;
    MuseTrainer *t = open_run(RUN(""), 1, 0, 0, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(muse_trainer_step(t, NULL, &err), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 5000;   /* less than the weights */
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int rc = muse_trainer_save(t, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old);
    assert_int_equal(rc, MUSE_ERR_IO);
    if (!strstr(err.text, "step-00000003.part/")) fail_msg("%s", err.text);
    assert_int_equal(access(in_folder("run/step-00000003.part"), F_OK), -1);
    assert_int_equal(access(in_folder("run/step-00000002/train.json"), F_OK), 0);
    assert_int_equal(muse_trainer_save(t, &err), 0);
    go(t);
}

/* two runs would remove each other's checkpoints; a process that was forked from one does not keep the folder behind its end */
static void test_two_runs(void **state)
{
    (void)state;
    int pipes[2];
    MuseTrainer *t = open_run(RUN(""), 1, 0, 4, 0);
    open_run(RUN(""), 1, 0, 4, MUSE_ERR_STATE);
    if (!strstr(err.text, "another run")) fail_msg("%s", err.text);
    assert_int_equal(muse_trainer_save(t, &err), 0);
    open_run(RUN(""), 1, 1, 4, MUSE_ERR_STATE);
    assert_int_equal(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {   /* lives until the pipe is closed */
        char byte;
        close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) != 0);
    }
    assert_true(child > 0);
    go(t);
    go(open_run(RUN(""), 1, 1, 6, 0));
    close(pipes[1]);
    close(pipes[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Of trial and reward the curve is the reward's, which may be below zero; it has no holes where steps are few, nor where columns are
 * named anew. */
static void test_curve_of_rewards(void **state)
{
    (void)state;
    enum { WIDTH = 800, HEIGHT = 400, LEFT = 70, TOP = 20, PLOT_W = 710, PLOT_H = 340 };
    static const char *const logs[] = { "step,positions,loss,task a,reward,right\n1,8,0,,-1,0\n2,8,-3,0.5,-0.5,0\nstep,positions,loss,task a,task reward,reward,right\n3,8,5,,,0,1\n4,8,0,,9,1,1\n",
                                        "step,positions,loss\n1,8,0.01\n2,8,0.1\n3,8,nan\n4,8,100\n" };
    for (int k = 0; k < 2; k++) {
        MuseRuntime *rt;
        MuseImage *image;
        assert_int_equal(muse_runtime_open(&rt, NULL, &err), 0);
        MuseBuf csv = { .alloc = &rt->alloc };
        assert_int_equal(muse_buf_append(&csv, logs[k], strlen(logs[k])), 0);
        const char *path = in_folder("curve.png");
        assert_int_equal(muse_curve_write(&rt->alloc, path, &csv, &err), 0);
        assert_int_equal(muse_image_open_file(&image, rt, path, NULL, &err), 0);
        uint8_t *rgb = malloc((size_t)WIDTH * HEIGHT * 3);
        assert_int_equal(muse_image_read_rgb(image, 0, NULL, rgb, (size_t)WIDTH * 3, &err), 0);
        int first = -1, last = -1;   /* rows of the curve's ends */
        for (int x = PLOT_W / 4; x < PLOT_W; x++) {
            int y = TOP;
            while (y < TOP + PLOT_H && rgb[3 * (y * WIDTH + LEFT + x)] != 0x1f) y++;
            if (y == TOP + PLOT_H) fail_msg("log %d: nothing at column %d", k, x);
            first = first < 0 ? y : first, last = y;
        }
        assert_in_range(first, TOP + PLOT_H - 4, TOP + PLOT_H - 1);
        assert_in_range(last, TOP, TOP + 3);
        free(rgb);
        muse_image_close(&image);
        muse_buf_clear(&csv);
        muse_runtime_close(&rt);
    }
}

/* a program in a language with a decimal comma writes the same files */
static void test_decimal_comma(void **state)
{
    (void)state;
    static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8" };
    const char *set = NULL;
    for (size_t i = 0; i < sizeof commas / sizeof *commas && !set; i++) set = setlocale(LC_ALL, commas[i]);
    if (!set) skip();   /* none is installed here */
    MuseFile f = { 0 };
    MuseModel *m;
    size_t fields = 1;
    go(open_run(RUN(""), 1, 0, 2, 0));
    go(open_run(RUN(""), 1, 1, 4, 0));
    setlocale(LC_ALL, "C");
    if (muse_model_open(&m, NULL, in_folder("run/step-00000004"), NULL, &err) < 0) fail_msg("%s", err.text);
    muse_model_close(&m);
    assert_int_equal(muse_file_open(&f, in_folder("run/step-00000004/log.csv"), 1 << 20, &err), 0);
    const char *row = memchr(f.data, '\n', f.size);
    for (const char *at = row + 1; *at != '\n'; at++) fields += *at == ',';
    assert_int_equal(fields, 10);
    muse_file_close(&f);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_other_optimizer), IN_FOLDER(test_other_rounding), IN_FOLDER(test_a_note), IN_FOLDER(test_long_sample), IN_FOLDER(test_later_average), IN_FOLDER(test_full_disk), IN_FOLDER(test_two_runs), IN_FOLDER(test_curve_of_rewards), IN_FOLDER(test_decimal_comma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
