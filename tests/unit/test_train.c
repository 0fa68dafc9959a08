/* SPDX-License-Identifier: Apache-2.0 */
/* libmuse/train from its public side: 20 steps against an independent float64 evaluation, resuming bit for bit, checkpoints that
 * open as models, data sets in JSONL, refused documents and samples, losses that are not finite, allocations that fail. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/dtype.h"
#include "libmuse/train/checkpoint.h"
#include "libmuse/train/data.h"
#include "muse/muse.h"
#include "tests/unit/meter.h"
#include "tests/unit/temp_folder.h"

static MuseError err;

static const char *data_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("MUSE_TEST_DATA"), name);
    return path;
}

static MuseRuntime *runtime(uint32_t threads)
{
    MuseRuntime *rt;
    MuseRuntimeParams p;
    muse_runtime_params_init(&p);
    p.threads = threads;
    assert_int_equal(muse_runtime_open(&rt, &p, &err), 0);
    return rt;
}

/* ---- samples by formulas; tests/data/make_train.py has the same ---- */

typedef struct Made {
    int32_t ids[4][8];
    float   weights[3][8], frames[24];
    uint8_t pixels[2][6 * 12];
    MuseTrainPart prefix[3], one[1], two[3];
    MuseTrainBranch branches[2];
    MuseTrainLabel labels[6];
    MuseTrainGaze gaze;
} Made;

static const int32_t *text(int32_t *ids, int n, int a, int b)
{
    for (int i = 0; i < n; i++) ids[i] = (a * i + b) % 32;
    return ids;
}

static const uint8_t *picture(uint8_t *rgb, int n, int seed)
{
    for (int i = 0; i < n; i++) rgb[i] = (uint8_t)((i * 37 + i * i * 5 + seed * 11) % 256);
    return rgb;
}

static int make(void *user, uint64_t number, MuseTrainSample *out, MuseError *e)
{
    (void)user;
    (void)e;
    static const float weights[3][8] = { { 0, 0, 1, 1, 1, 0.5f, 1 }, { 0.5f, 0, 1 }, { 0, 1, 1, 2, 1 } };
    static const uint32_t look[] = { 1, 4 };
    const int s = (int)(number % 6);
    Made *m = calloc(1, sizeof *m);
    memcpy(m->weights, weights, sizeof weights);
    for (int i = 0; i < 24; i++) m->frames[i] = (float)((i * 13 + s * 5) % 17) / 8 - 1;
    m->prefix[0] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = 2, .ids = text(m->ids[0], 2, 3, s) };
    m->prefix[1] = (MuseTrainPart){ .modality = MUSE_IMAGE, .n = 6, .grid_width = 3, .grid_height = 2, .rgb = picture(m->pixels[0], 72, s), .values = 72 };
    m->prefix[2] = (MuseTrainPart){ .modality = MUSE_AUDIO, .n = 4, .features = m->frames };
    m->one[0] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = 7, .ids = text(m->ids[1], 7, 5, s), .weights = m->weights[0] };
    m->two[0] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = 3, .ids = text(m->ids[2], 3, 7, s + 1), .weights = m->weights[1] };
    m->two[1] = (MuseTrainPart){ .modality = MUSE_IMAGE, .n = 4, .grid_width = 2, .grid_height = 2, .rgb = picture(m->pixels[1], 48, s + 9), .alone = 1 };
    m->two[2] = (MuseTrainPart){ .modality = MUSE_TEXT, .n = 5, .ids = text(m->ids[3], 5, 11, s + 3), .weights = m->weights[2] };
    m->branches[0] = (MuseTrainBranch){ m->one, 1, 0, 0 };
    m->branches[1] = (MuseTrainBranch){ m->two, 3, 1, 1 };
    for (uint32_t i = 0; i < 6; i++) m->labels[i] = (MuseTrainLabel){ UINT32_MAX, 1, i, 0, (i + (uint32_t)s) % 4, 1 + 0.25f * (float)i };
    m->gaze = (MuseTrainGaze){ 1, 2, 1, 1, look, 2, 1 };
    *out = (MuseTrainSample){ m->prefix, s % 2 ? 3 : 2, m->branches, 2, m->labels, 6, &m->gaze, 1, m };
    return 0;
}

static void release(void *user, MuseTrainSample *s)
{
    (void)user;
    free(s->handle);
}

static const MuseTrainSource source = { sizeof(MuseTrainSource), make, release, NULL };

#define REST "\"labels\":{\"tap\":1,\"heads\":[{\"name\":\"c\",\"classes\":4,\"weight\":0.5}]},\"gaze\":{\"layer\":1,\"head\":0,\"weight\":0.3},\"groups\":[1,0.7]," \
    "\"tasks\":[\"one\",\"two\"],\"places\":{\"first\":20,\"count\":10,\"sigma\":0.8},\"schedule\":{\"warmup\":3,\"stable\":0.5,\"last\":0.1}"
#define MUON "\"optimizer\":{\"decay\":0.1}"
#define ADAMW "\"optimizer\":{\"name\":\"adamw\",\"decay\":0.1}"

static MuseTrainer *open_run(const char *json, uint32_t threads, const char *out, int resume, uint64_t steps, int code)
{
    MuseTrainer *t = NULL;
    MuseRuntime *rt = runtime(threads);
    MuseTrainerParams p;
    muse_trainer_params_init(&p);
    p.folder = data_path("train");
    p.source = &source;
    p.out = out;
    p.resume = resume;
    p.steps = steps;
    const int rc = muse_trainer_open(&t, rt, json, strlen(json), &p, &err);
    if (rc != code) fail_msg("code %d, not %d: %s", rc, code, rc < 0 ? err.text : "");
    muse_runtime_close(&rt);
    return t;
}

/* f32 against f64: 1e-5 of the loss at every step (rounding makes some 1e-7). Micro-batches of 40 positions: one sample each. */
static void test_curve(void **state)
{
    (void)state;
    static const char *const docs[] = { "{\"model\":\"start\",\"compute\":\"f32\",\"steps\":20,\"batch\":{\"samples\":2,\"positions\":40}," MUON "," REST "}",
                                        "{\"model\":\"start\",\"compute\":\"f32\",\"steps\":20,\"batch\":{\"samples\":2,\"positions\":40},\"loaders\":0," ADAMW "," REST "}" };
    for (int k = 0; k < 4; k++) {
        FILE *f = fopen(data_path("train/losses.txt"), "r");
        MuseTrainer *t = open_run(docs[k % 2], 1 + (uint32_t)(k / 2), NULL, 0, 0, 0);
        assert_non_null(f);
        MuseTrainReport r;
        double worst = 0;
        for (int step = 0; step < 20; step++) {
            double want[2];
            assert_int_equal(fscanf(f, "%lf %lf", &want[0], &want[1]), 2);
            if (muse_trainer_step(t, &r, &err) < 0) fail_msg("%s", err.text);
            const double off = fabs(r.loss - want[k % 2]) / want[k % 2];
            if (off > 1e-5) fail_msg("%s, step %d: loss %.9g, want %.9g", k % 2 ? "adamw" : "muon", step, r.loss, want[k % 2]);
            if (off > worst) worst = off;
        }
        print_message("%s, %d threads: worst %.2g of the loss\n", k % 2 ? "adamw" : "muon", 1 + k / 2, worst);
        assert_int_equal(muse_trainer_step(t, &r, &err), MUSE_DONE);
        muse_trainer_close(&t);
        fclose(f);
    }
}

#define SHORT(compute) "{\"model\":\"start\",\"compute\":\"" compute "\",\"steps\":12,\"batch\":{\"samples\":3,\"positions\":64},\"checkpoint\":{\"every\":4,\"keep\":2}," \
    "\"optimizer\":{\"ema\":0.9},\"shared_places\":{\"x\":2,\"y\":10,\"count\":6,\"patches\":3}," REST "}"

static void read_all(const char *path, MuseFile *f)
{
    *f = (MuseFile){ 0 };
    if (muse_file_open(f, path, 1 << 26, &err) < 0) fail_msg("%s", err.text);
}

/* A run that is thrown away between checkpoints and resumed ends with the same bytes; for one and two threads, f32 and bf16 */
static void test_resume(void **state)
{
    (void)state;
    static const char *const docs[] = { SHORT("f32"), SHORT("bf16") };
    for (int k = 0; k < 4; k++) {
        char whole[32], parts[32];
        snprintf(whole, sizeof whole, "whole%d", k);
        snprintf(parts, sizeof parts, "parts%d", k);
        const uint32_t threads = 1 + (uint32_t)(k / 2);
        MuseTrainReport r;
        MuseTrainer *t = open_run(docs[k % 2], threads, in_folder(whole), 0, 0, 0);
        while (muse_trainer_step(t, &r, &err) == 0) {}
        muse_trainer_close(&t);
        assert_int_equal(r.step, 12);
        t = open_run(docs[k % 2], threads, in_folder(parts), 0, 0, 0);
        for (int i = 0; i < 7; i++) assert_int_equal(muse_trainer_step(t, &r, &err), 0);   /* 4 is saved, 5 to 7 are lost */
        muse_trainer_close(&t);
        t = open_run(docs[k % 2], threads, in_folder(parts), 1, 0, 0);
        MuseTrainerInfo info;
        muse_trainer_info(t, &info);
        assert_int_equal(info.step, 4);
        while (muse_trainer_step(t, &r, &err) == 0) {}
        muse_trainer_close(&t);
        static const char *const names[] = { "train.safetensors", "model.safetensors", "train.json", "config.json" };
        for (int i = 0; i < 4; i++) {
            MuseFile a, b;
            char name[96];
            snprintf(name, sizeof name, "%s/step-00000012/%s", whole, names[i]);
            read_all(in_folder(name), &a);
            snprintf(name, sizeof name, "%s/step-00000012/%s", parts, names[i]);
            read_all(in_folder(name), &b);
            assert_int_equal(a.size, b.size);
            if (memcmp(a.data, b.data, a.size) != 0) fail_msg("run %d: %s differs after a resume", k, names[i]);
            muse_file_close(&a);
            muse_file_close(&b);
        }
    }
    assert_int_equal(access(in_folder("whole0/step-00000004"), F_OK), -1);   /* keep 2 of 4, 8, 12 */
    assert_int_equal(access(in_folder("whole0/step-00000008/curve.png"), F_OK), 0);
    assert_int_equal(access(in_folder("whole0/step-00000012.part"), F_OK), -1);
}

/* the numbers under a log's curve stand below their place on its axis, those of a long run too */
static void test_curve_numbers(void **state)
{
    (void)state;
    enum { WIDTH = 800, HEIGHT = 400, LEFT = 70, AXIS = 363, FIRST = 367, END = 385 };   /* of the plot; rows: the ticks, the numbers below */
    static const double last[] = { 200, 28600, 12345678 };
    MuseRuntime *rt = runtime(1);
    for (size_t k = 0; k < sizeof last / sizeof *last; k++) {
        char rows[200];
        const int n = snprintf(rows, sizeof rows, "step,positions,loss\n1,8,4\n%.0f,800,0.5\n", last[k]);
        MuseBuf csv = { .alloc = &rt->alloc };
        assert_int_equal(muse_buf_append(&csv, rows, (size_t)n), 0);
        const char *path = in_folder("numbers.png");
        assert_int_equal(muse_curve_write(&rt->alloc, path, &csv, &err), 0);
        MuseImage *image;
        assert_int_equal(muse_image_open_file(&image, rt, path, NULL, &err), 0);
        uint8_t *rgb = malloc((size_t)WIDTH * HEIGHT * 3);
        assert_non_null(rgb);
        assert_int_equal(muse_image_read_rgb(image, 0, NULL, rgb, (size_t)WIDTH * 3, &err), 0);
        int ticks = 0;
        for (int x = LEFT; x < WIDTH; x++) {
            if (rgb[(AXIS * WIDTH + x) * 3] == 255) continue;
            double sum = 0, dark = 0;
            for (int y = FIRST; y < END; y++)
                for (int at = x - 60 < 0 ? 0 : x - 60; at < x + 60 && at < WIDTH; at++)
                    if (rgb[(y * WIDTH + at) * 3] < 128) sum += at, dark++;
            assert_true(dark > 0);
            if (x + 25 < WIDTH && fabs(sum / dark - x) > 4) fail_msg("last step %.0f: a number stands at %.1f, its place is %d", last[k], sum / dark, x);
            ticks++;
        }
        assert_int_equal(ticks, 5);
        free(rgb);
        muse_image_close(&image);
        muse_buf_clear(&csv);
    }
    muse_runtime_close(&rt);
}

/* a file where a checkpoint's folder is to be made: the error says so, and the file stays */
static void test_file_in_the_way(void **state)
{
    (void)state;
    MuseTrainReport r;
    MuseTrainer *t = open_run(SHORT("f32"), 1, in_folder("blocked"), 0, 0, 0);
    const char *path = in_folder("blocked/step-00000004.part");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    for (int i = 0; i < 3; i++) assert_int_equal(muse_trainer_step(t, &r, &err), 0);
    assert_int_equal(muse_trainer_step(t, &r, &err), MUSE_ERR_IO);
    if (!strstr(err.text, path) || !strstr(err.text, "can't make the folder")) fail_msg("%s", err.text);
    muse_trainer_close(&t);
    assert_int_equal(unlink(path), 0);
}

static void test_opens_as_model(void **state)
{
    (void)state;
    MuseTrainReport r;
    MuseTrainer *t = open_run(SHORT("f32"), 1, in_folder("run"), 0, 3, 0);
    while (muse_trainer_step(t, &r, &err) == 0) {}
    assert_int_equal(r.saved, 1);
    MuseTrainTask task;
    assert_int_equal(muse_trainer_task(t, 1, &task), 0);
    assert_string_equal(task.name, "two");
    assert_true(task.n == 3 * 3 * 6 && task.loss > 0);
    assert_int_equal(muse_trainer_task(t, 2, &task), MUSE_ERR_NOT_FOUND);
    muse_trainer_close(&t);
    MuseModel *m = NULL;
    if (muse_model_open(&m, NULL, in_folder("run/step-00000003"), NULL, &err) < 0) fail_msg("%s", err.text);
    MuseModelInfo info;
    muse_model_info(m, &info);
    assert_string_equal(info.family, "muse");
    assert_int_equal(info.n_unused, 0);
    muse_model_close(&m);
    /* in the way: not resumed, not another folder; then weights to start from */
    open_run(SHORT("f32"), 1, in_folder("run"), 0, 0, MUSE_ERR_STATE);
    char doc[512];
    snprintf(doc, sizeof doc, "{\"model\":\"%s\",\"steps\":1," REST "}", in_folder("run/step-00000003"));
    t = open_run(doc, 1, NULL, 0, 0, 0);
    muse_trainer_close(&t);
    /* a checkpoint of other label heads */
    open_run("{\"model\":\"start\",\"steps\":5,\"compute\":\"f32\"}", 1, in_folder("run"), 1, 0, MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "master"));
    open_run(SHORT("f32"), 1, in_folder("none"), 1, 0, MUSE_ERR_NOT_FOUND);
}

/* ---- more heads and tasks ---- */

static void read_master(const char *step, MuseFile *f, float *out, size_t n)
{
    char name[96];
    snprintf(name, sizeof name, "%s/train.safetensors", step);
    read_all(in_folder(name), f);
    uint64_t head;
    memcpy(&head, f->data, 8);
    assert_true(f->size >= 8 + head + n * 4);
    memcpy(out, f->data + 8 + head, n * 4);
    muse_file_close(f);
}

/* A head and a task that a resumed run adds: what was learned stays, the new head begins at zero, the log names its columns again.
 * Rows of fewer than 31 values could not be told apart, so the model is its own. */
static void test_added_heads(void **state)
{
    (void)state;
#define GROW(heads, tasks) "{\"model\":{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":40,\"hidden_size\":32,\"intermediate_size\":32,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":2,\"num_key_value_heads\":2,\"head_dim\":16,\"max_position_embeddings\":128,\"rms_norm_eps\":1e-6,\"hidden_act\":\"relu2\",\"qk_norm\":true," \
    "\"rope_theta\":100,\"rope_pairs\":[4,2,2],\"tie_word_embeddings\":true,\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":0," \
    "\"image_config\":{\"patch_size\":2,\"places\":8,\"budgets\":[16],\"default_budget\":16},\"audio_config\":{\"mel_bins\":3,\"stack\":2}}," \
    "\"compute\":\"f32\",\"steps\":9,\"batch\":{\"samples\":3,\"positions\":64},\"gaze\":{\"layer\":1,\"head\":0},\"groups\":[1,1],\"labels\":{\"tap\":1,\"heads\":[" heads "]},\"tasks\":[" tasks "]}"
#define HEAD_C "{\"name\":\"c\",\"classes\":4}"
    static const char old[] = GROW(HEAD_C, "\"one\",\"two\""), more[] = GROW(HEAD_C ",{\"name\":\"e\",\"classes\":7}", "\"one\",\"two\",\"three\"");
    enum { D = 32, C = 4, E = 7 };
    MuseTrainReport r;
    MuseTrainerInfo info;
    MuseFile f;
    MuseTrainer *t = open_run(old, 1, in_folder("grow"), 0, 2, 0);
    while (muse_trainer_step(t, &r, &err) == 0) {}
    muse_trainer_info(t, &info);
    muse_trainer_close(&t);
    const size_t n = (size_t)info.n_parameters;
    float *a = calloc(n + (C + E) * (D + 1) + 64, sizeof *a), *b = calloc(n + (C + E) * (D + 1) + 64, sizeof *b);
    read_master("grow/step-00000002", &f, a, n + C * (D + 1));
    t = open_run(more, 1, in_folder("grow"), 1, 0, 0);
    for (int i = 0; i < 2; i++) assert_int_equal(muse_trainer_step(t, &r, &err), 0);
    assert_int_equal(muse_trainer_save(t, &err), 0);
    muse_trainer_close(&t);
    read_master("grow/step-00000004", &f, b, n + (C + E) * (D + 1));
    double moved = 0, most = 0;
    for (size_t i = 0; i < n + C * D; i++) moved = fmax(moved, fabs(a[i] - b[i])), most = fmax(most, fabs(a[i]));
    assert_true(most > 0.1 && moved < 0.1);            /* two steps of at most 0.03 */
    for (size_t i = 0; i < C; i++) assert_true(fabsf(a[n + C * D + i] - b[n + (C + E) * D + i]) < 0.02f);
    for (size_t i = 0; i < E * D; i++) assert_true(b[n + C * D + i] == 0);   /* no sample has such a label */
    read_all(in_folder("grow/step-00000004/log.csv"), &f);
    assert_true(memmem(f.data, f.size, "task two\n1,", 11) && memmem(f.data, f.size, "task two,task three\n3,", 22));
    muse_file_close(&f);
    open_run(old, 1, in_folder("grow"), 1, 0, MUSE_ERR_FORMAT);   /* fewer heads: not this checkpoint's */
    free(a);
    free(b);
}

/* the model in memory is the one that is saved: every tensor, and what a session computes; later steps leave it alone */
static void test_model_view(void **state)
{
    (void)state;
    static const char *const docs[] = { SHORT("f32"), SHORT("bf16") };
    static const int32_t ids[] = { 1, 7, 3, 9 };
    for (int k = 0; k < 2; k++) {
        char name[64];
        snprintf(name, sizeof name, "view%d", k);
        MuseTrainer *t = open_run(docs[k], 1, in_folder(name), 0, 0, 0);
        for (int i = 0; i < 2; i++) assert_int_equal(muse_trainer_step(t, NULL, &err), 0);
        MuseModel *m[2];
        MuseSession *s[2];
        if (muse_trainer_model(t, &m[0], &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(muse_trainer_save(t, &err), 0);
        assert_int_equal(muse_trainer_step(t, NULL, &err), 0);
        muse_trainer_close(&t);
        snprintf(name, sizeof name, "view%d/step-00000002", k);
        if (muse_model_open(&m[1], NULL, in_folder(name), NULL, &err) < 0) fail_msg("%s", err.text);
        const MuseTensors *a = &m[0]->files[0].tensors, *b = &m[1]->files[0].tensors;
        assert_int_equal(a->n, b->n);
        for (size_t i = 0; i < a->n; i++) {
            assert_string_equal(a->items[i].name, b->items[i].name);
            assert_int_equal(a->items[i].type, b->items[i].type);
            assert_int_equal(a->items[i].bytes, b->items[i].bytes);
            assert_memory_equal(a->items[i].data, b->items[i].data, a->items[i].bytes);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(muse_session_open(&s[i], m[i], NULL, &err), 0);
            assert_int_equal(muse_sequence_append_ids(muse_session_sequence(s[i]), ids, 4, &err), 0);
            if (muse_session_prefill(s[i], &err) < 0) fail_msg("%s", err.text);
        }
        assert_memory_equal(muse_session_logits(s[0]), muse_session_logits(s[1]), m[0]->config.vocab * sizeof(float));
        for (int i = 0; i < 2; i++) {
            muse_session_close(&s[i]);
            muse_model_close(&m[i]);
        }
    }
    MuseModel *none;
    assert_int_equal(muse_trainer_model(NULL, &none, &err), MUSE_ERR_ARG);
}

static float value_of(const MuseModel *m, const char *name, int i)
{
    const MuseTensors *all = &m->files[0].tensors;
    size_t k = 0;
    while (k < all->n && strcmp(all->items[k].name, name) != 0) k++;
    assert_true(k < all->n);
    return all->items[k].type == MUSE_TENSOR_F32 ? ((const float *)(const void *)all->items[k].data)[i] : muse_bf16_f32(((const MuseBf16 *)(const void *)all->items[k].data)[i]);
}

/* With shared places a model's tables are means of its embeddings, within what bf16 rounds: the weights in training, and their
 * average as it is saved. Entries behind the shared ones are their own. */
static void test_shared_places(void **state)
{
    (void)state;
    enum { D = 16 };
    MuseModel *m[2];
    MuseTrainer *t = open_run(SHORT("f32"), 1, in_folder("shared"), 0, 4, 0);
    while (muse_trainer_step(t, NULL, &err) == 0) {}
    assert_int_equal(muse_trainer_model(t, &m[0], &err), 0);
    muse_trainer_close(&t);
    assert_int_equal(muse_model_open(&m[1], NULL, in_folder("shared/step-00000004"), NULL, &err), 0);
    for (int k = 0; k < 4; k++) {
        double off = 0;
        for (int i = 0; i < 8 * D; i++) {
            const int first = ((k % 2 ? 10 : 2) + i / D * 2) * D + i % D;
            const double x = (double)value_of(m[k / 2], "model.embed_tokens.weight", first), y = (double)value_of(m[k / 2], "model.embed_tokens.weight", first + D);
            const double v = (double)value_of(m[k / 2], k % 2 ? "model.image.place_rows" : "model.image.place_cols", i);
            if (i < 3 * D) assert_true(fabs(v - (x + y) / 2) <= 0x1p-7 * (fabs(x) + fabs(y) + fabs(v)));
            else off += fabs(v - (x + y) / 2);
        }
        assert_true(off > 1);
    }
    for (int i = 0; i < 2; i++) muse_model_close(&m[i]);
}

/* ---- refused documents ---- */

static void test_bad_documents(void **state)
{
    (void)state;
    static const struct { const char *json; int code; const char *text; } cases[] = {
        { "", MUSE_ERR_FORMAT, "" },
        { "[1]", MUSE_ERR_FORMAT, "not a JSON object" },
        { "{\"steps\":4}", MUSE_ERR_FORMAT, "\"model\"" },
        { "{\"model\":\"start\"}", MUSE_ERR_FORMAT, "\"steps\"" },
        { "{\"model\":\"start\",\"steps\":0}", MUSE_ERR_FORMAT, "\"steps\"" },
        { "{\"model\":\"start\",\"steps\":4,\"stepz\":1}", MUSE_ERR_FORMAT, "\"stepz\" is not a key" },
        { "{\"model\":\"start\",\"steps\":4,\"optimizer\":{\"lr\":1}}", MUSE_ERR_FORMAT, "\"lr\"" },
        { "{\"model\":\"start\",\"steps\":4,\"optimizer\":{\"name\":\"sgd\"}}", MUSE_ERR_FORMAT, "muon" },
        { "{\"model\":\"start\",\"steps\":4,\"schedule\":{\"stable\":2}}", MUSE_ERR_FORMAT, "stable" },
        { "{\"model\":\"start\",\"steps\":4,\"compute\":\"f64\"}", MUSE_ERR_FORMAT, "compute" },
        { "{\"model\":\"start\",\"steps\":4,\"labels\":{\"tap\":3,\"heads\":[{\"classes\":4}]}}", MUSE_ERR_FORMAT, "tap 3" },
        { "{\"model\":\"start\",\"steps\":4,\"labels\":{\"tap\":1}}", MUSE_ERR_FORMAT, "heads" },
        { "{\"model\":\"start\",\"steps\":4,\"gaze\":{\"layer\":2}}", MUSE_ERR_FORMAT, "gaze" },
        { "{\"model\":\"start\",\"steps\":4,\"places\":{\"first\":30,\"count\":10,\"sigma\":1}}", MUSE_ERR_FORMAT, "places" },
        { "{\"model\":\"start\",\"steps\":4,\"shared_places\":{\"x\":2,\"y\":28,\"count\":6,\"patches\":3}}", MUSE_ERR_FORMAT, "vocabulary has 32" },
        { "{\"model\":\"start\",\"steps\":4,\"shared_places\":{\"x\":2,\"y\":7,\"count\":6,\"patches\":3}}", MUSE_ERR_FORMAT, "none may be both" },
        { "{\"model\":\"start\",\"steps\":4,\"shared_places\":{\"x\":2,\"y\":8,\"count\":6,\"patches\":4}}", MUSE_ERR_FORMAT, "whole places" },
        { "{\"model\":\"start\",\"steps\":4,\"shared_places\":{\"x\":2,\"y\":8,\"count\":9,\"patches\":9}}", MUSE_ERR_FORMAT, "none may be both" },
        { "{\"model\":\"start\",\"steps\":4,\"shared_places\":{\"x\":2,\"y\":11,\"count\":9,\"patches\":9}}", MUSE_ERR_FORMAT, "9 patches a side" },
        { "{\"model\":\"start\",\"steps\":4,\"shared_places\":{\"x\":2,\"y\":8,\"patches\":9}}", MUSE_ERR_FORMAT, "count" },
        { "{\"model\":\"start\",\"steps\":4,\"groups\":[-1]}", MUSE_ERR_FORMAT, "groups" },
        { "{\"model\":\"start\",\"steps\":4,\"data\":{}}", MUSE_ERR_FORMAT, "data" },
        { "{\"model\":\"start\",\"steps\":4,\"data\":[{\"weight\":1}]}", MUSE_ERR_FORMAT, "jsonl" },
        { "{\"model\":\"start\",\"steps\":4,\"data\":[{\"jsonl\":\"a\",\"random\":{\"length\":4}}]}", MUSE_ERR_FORMAT, "one source" },
        { "{\"model\":\"start\",\"steps\":4,\"tasks\":[\"a\",\"b\",\"a\"]}", MUSE_ERR_FORMAT, "twice" },
        { "{\"model\":\"start\",\"steps\":4,\"seed\":1,\"steps\":8}", MUSE_ERR_FORMAT, "\"steps\" stands there twice" },
        { "{\"model\":\"start\",\"steps\":4,\"optimizer\":{\"rate\":1,\"decay\":0,\"rate\":2}}", MUSE_ERR_FORMAT, "optimizer: \"rate\" stands there twice" },
        { "{\"model\":{\"model_type\":\"muse\"},\"steps\":4}", MUSE_ERR_FORMAT, "\"model\"" },
        { "{\"model\":{\"model_type\":\"bert\"},\"steps\":4}", MUSE_ERR_UNSUPPORTED, "bert" },
        { "{\"model\":\"nowhere\",\"steps\":4}", MUSE_ERR_IO, "nowhere" },
        { "{\"model\":\"../model/tiny-llama\",\"steps\":4}", MUSE_ERR_UNSUPPORTED, "muse" },
        { "{\"model\":\"start\",\"steps\":4,\"tokenizer\":\"nowhere.json\"}", MUSE_ERR_IO, "nowhere.json" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(open_run(cases[i].json, 1, NULL, 0, 0, cases[i].code));
        if (!strstr(err.text, cases[i].text)) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].text);
    }
}

/* ---- refused samples ---- */

static const int32_t some_ids[] = { 1, 2, 3, 40 };
static const float some_weights[] = { 1, 1, 1, NAN }, no_weights[4] = { 0 };
static const uint32_t some_targets[] = { 2, 1 };
static const MuseTrainPart good_text = { .modality = MUSE_TEXT, .n = 3, .ids = some_ids }, first_weight = { .modality = MUSE_TEXT, .n = 3, .ids = some_ids, .weights = some_weights };
static const MuseTrainPart bad_parts[] = {
    { .modality = MUSE_TEXT, .n = 4, .ids = some_ids }, { .modality = MUSE_TEXT, .n = 2 }, { .modality = MUSE_TEXT, .n = 4, .ids = (const int32_t[]){ 1, 1, 1, 1 }, .weights = some_weights },
    { .modality = MUSE_IMAGE, .n = 4, .grid_width = 2, .grid_height = 2 }, { .modality = MUSE_IMAGE, .n = 5, .grid_width = 2, .grid_height = 2, .features = no_weights },
    { .modality = MUSE_IMAGE, .n = 9, .grid_width = 9, .grid_height = 1, .features = no_weights }, { .modality = MUSE_AUDIO, .n = 2 }, { .modality = 7, .n = 1 },
    { .modality = MUSE_IMAGE, .n = 1, .grid_width = 1, .grid_height = 1, .features = some_weights, .values = 3 },   /* 12; below 6 each */
    { .modality = MUSE_AUDIO, .n = 1, .features = some_weights, .values = 4 }, { .modality = MUSE_AUDIO, .n = 1, .features = some_weights, .values = 12 },
};
enum { BAD_PARTS = sizeof bad_parts / sizeof *bad_parts };

static int bad_make(void *user, uint64_t number, MuseTrainSample *out, MuseError *e)
{
    (void)number;
    (void)e;
    static MuseTrainBranch branch;
    static MuseTrainPart weighted;
    static const MuseTrainLabel bad_label = { UINT32_MAX, 0, 3, 0, 0, 1 }, bad_class = { UINT32_MAX, 0, 0, 0, 4, 1 };
    static const MuseTrainGaze bad_gaze = { 0, 0, 0, 0, some_targets, 2, 1 };
    const size_t k = *(size_t *)user;
    branch = (MuseTrainBranch){ k < BAD_PARTS ? &bad_parts[k] : &good_text, 1, 0, 0 };
    *out = (MuseTrainSample){ .prefix = &good_text, .n_prefix = 1, .branches = &branch, .n_branches = 1 };
    weighted = first_weight;
    switch (k < BAD_PARTS ? 99 : k - BAD_PARTS) {
    case 0: out->n_branches = 0; break;
    case 1: branch.task = 2; break;
    case 2: branch.group = 2; break;
    case 3: out->prefix = &weighted; break;
    case 4: out->n_prefix = 0, branch.parts = &weighted; break;
    case 5: out->labels = &bad_label, out->n_labels = 1; break;
    case 6: out->labels = &bad_class, out->n_labels = 1; break;
    case 7: out->gazes = &bad_gaze, out->n_gazes = 1; break;
    default: break;
    }
    return 0;
}

static void test_bad_samples(void **state)
{
    (void)state;
    static const char doc[] = "{\"model\":\"start\",\"steps\":4,\"compute\":\"f32\",\"batch\":{\"samples\":1,\"positions\":64}," REST "}";
    for (size_t k = 0; k < BAD_PARTS + 8; k++) {
        MuseTrainer *t;
        const MuseTrainSource bad = { sizeof bad, bad_make, NULL, &k };
        MuseTrainerParams p;
        muse_trainer_params_init(&p);
        p.folder = data_path("train"), p.source = &bad;
        assert_int_equal(muse_trainer_open(&t, NULL, doc, strlen(doc), &p, &err), 0);
        const int rc = muse_trainer_step(t, NULL, &err);
        if (rc != MUSE_ERR_ARG || !strstr(err.text, "sample 0")) fail_msg("case %zu: code %d, %s", k, rc, err.text);
        assert_int_equal(muse_trainer_step(t, NULL, &err), MUSE_ERR_STATE);
        muse_trainer_close(&t);
    }
}

static int long_make(void *user, uint64_t number, MuseTrainSample *out, MuseError *e)
{
    (void)user;
    (void)number;
    (void)e;
    static const int32_t ids[100] = { 0 };
    static const MuseTrainPart part = { .modality = MUSE_TEXT, .n = 100, .ids = ids };
    static const MuseTrainBranch branch = { &part, 1, UINT32_MAX, 0 };
    *out = (MuseTrainSample){ .branches = &branch, .n_branches = 1 };
    return 0;
}

static void test_limits(void **state)
{
    (void)state;
    static const char doc[] = "{\"model\":\"start\",\"steps\":4,\"batch\":{\"samples\":1,\"positions\":64}}";
    const MuseTrainSource wide = { sizeof wide, long_make, NULL, NULL };
    MuseTrainerParams p;
    MuseTrainer *t;
    muse_trainer_params_init(&p);
    p.folder = data_path("train"), p.source = &wide;
    assert_int_equal(muse_trainer_open(&t, NULL, doc, strlen(doc), &p, &err), 0);
    assert_int_equal(muse_trainer_step(t, NULL, &err), MUSE_ERR_LIMIT);
    assert_non_null(strstr(err.text, "100 positions"));
    assert_int_equal(muse_trainer_save(t, &err), MUSE_ERR_STATE);
    muse_trainer_close(&t);
    assert_int_equal(muse_trainer_step(NULL, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_trainer_open(&t, NULL, NULL, 0, &p, &err), MUSE_ERR_ARG);
}

static int nan_make(void *user, uint64_t number, MuseTrainSample *out, MuseError *e)
{
    const int rc = make(user, number, out, e);
    if (number >= 4) ((Made *)out->handle)->frames[3] = INFINITY;   /* odd samples have a sound */
    return rc;
}

/* a loss that is not finite stops the run, names the step and leaves the weights */
static void test_not_finite(void **state)
{
    (void)state;
    const MuseTrainSource bad = { sizeof bad, nan_make, release, NULL };
    MuseTrainerParams p;
    MuseTrainer *t;
    muse_trainer_params_init(&p);
    p.folder = data_path("train"), p.source = &bad, p.out = in_folder("nan");
    static const char doc[] = SHORT("f32");
    assert_int_equal(muse_trainer_open(&t, NULL, doc, strlen(doc), &p, &err), 0);
    assert_int_equal(muse_trainer_step(t, NULL, &err), 0);
    assert_int_equal(muse_trainer_step(t, NULL, &err), MUSE_ERR_STATE);
    assert_non_null(strstr(err.text, "step 2"));
    assert_int_equal(muse_trainer_save(t, &err), 0);
    muse_trainer_close(&t);
    t = open_run(doc, 1, in_folder("nan"), 1, 0, 0);   /* what was saved is whole */
    assert_int_equal(muse_trainer_step(t, NULL, &err), 0);
    muse_trainer_close(&t);
}

/* ---- allocations that fail ---- */

static void test_no_memory(void **state)
{
    (void)state;
    static const char doc[] = "{\"model\":\"start\",\"compute\":\"f32\",\"steps\":1,\"loaders\":0,\"batch\":{\"samples\":2,\"positions\":64}," REST "}";
    bool whole = false;
    for (long n = 0; !whole; n += n < 120 ? 1 : 7) {
        Meter meter = { .fail_from = n + 1 };
        MuseRuntimeParams rp;
        MuseRuntime *rt = NULL;
        MuseTrainerParams p;
        MuseTrainer *t = NULL;
        muse_runtime_params_init(&rp);
        rp.threads = 1;
        rp.allocator = meter_allocator(&meter);
        muse_trainer_params_init(&p);
        p.folder = data_path("train"), p.source = &source, p.out = in_folder("memory");
        if (muse_runtime_open(&rt, &rp, &err) < 0) continue;
        int rc = muse_trainer_open(&t, rt, doc, strlen(doc), &p, &err);
        if (rc == 0) rc = muse_trainer_step(t, NULL, &err);
        whole = rc == 0;
        if (rc != 0 && rc != MUSE_ERR_NOMEM) fail_msg("%ld allocations: code %d, %s", n, rc, err.text);
        muse_trainer_close(&t);
        muse_runtime_close(&rt);
        assert_true(n < 100000);
    }
}

/* ---- data sets ---- */

#define NANO "{\"model_type\":\"muse\",\"muse_version\":1,\"vocab_size\":2048,\"hidden_size\":32,\"intermediate_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2," \
    "\"num_key_value_heads\":1,\"head_dim\":16,\"max_position_embeddings\":512,\"rms_norm_eps\":1e-5,\"hidden_act\":\"silu\",\"qk_norm\":true,\"rope_theta\":100,\"rope_pairs\":[4,2,2]," \
    "\"tie_word_embeddings\":true,\"bos_token_id\":1,\"eos_token_id\":2,\"pad_token_id\":0,\"image_config\":{\"patch_size\":8,\"places\":32,\"budgets\":[64,144],\"default_budget\":64}," \
    "\"audio_config\":{\"mel_bins\":80,\"stack\":4}}"

static void write_text(const char *name, const char *text_of)
{
    if (muse_file_write(in_folder(name), text_of, strlen(text_of), &err) < 0) fail_msg("%s", err.text);
}

static void write_picture(const char *name, uint32_t width)
{
    uint8_t rgb[200 * 40 * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 7);
    assert_int_equal(muse_png_write_file(in_folder(name), rgb, width, 40, 0, MUSE_PIXELS_RGB, &err), 0);
}

static MuseTextTokenizer *nano_tokenizer(void)
{
    MuseTextTokenizer *tok = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/models/muse-nano", getenv("MUSE_SOURCE"));
    if (muse_text_open_file(&tok, NULL, path, &err) < 0) fail_msg("%s", err.text);
    return tok;
}

static void test_bad_lines(void **state)
{
    (void)state;
    write_picture("a.png", 48);
    write_text("b.png", "not a picture");
    static const struct { const char *line; int code; } cases[] = {
        { "{", MUSE_ERR_FORMAT }, { "[]", MUSE_ERR_FORMAT }, { "{\"answer\":\"1\"}", MUSE_ERR_FORMAT }, { "{\"parts\":[]}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"text\":1}],\"answer\":\"1\"}", MUSE_ERR_FORMAT }, { "{\"parts\":[{}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"text\":\"a\",\"image\":\"a.png\"}],\"answer\":\"1\"}", MUSE_ERR_FORMAT }, { "{\"parts\":[{\"image\":\"c.png\"}],\"answer\":\"1\"}", MUSE_ERR_IO },
        { "{\"parts\":[{\"image\":\"b.png\"}],\"answer\":\"1\"}", MUSE_ERR_FORMAT }, { "{\"parts\":[{\"image\":\"a.png\",\"budget\":65}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"image\":\"a.png\"},{\"region\":{\"image\":1,\"box\":[0,0,1e999,9]}}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"image\":\"a.png\"},{\"region\":{\"image\":1,\"box\":[900,900,999,999]}}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"image\":\"a.png\"},{\"region\":{\"image\":2,\"box\":[0,0,9,9]}}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"image\":\"a.png\"},{\"region\":{\"image\":1,\"box\":[0,0,9]}}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"image\":\"a.png\"}],\"branches\":[]}", MUSE_ERR_FORMAT }, { "{\"parts\":[{\"text\":\"a\"}],\"answer\":\"1\",\"task\":\"x\"}", MUSE_ERR_FORMAT },
        { "{\"parts\":[{\"text\":\"a\"}],\"answer\":\"1\",\"group\":9}", MUSE_ERR_FORMAT }, { "{\"parts\":[{\"audio\":\"b.png\"}],\"answer\":\"1\"}", MUSE_ERR_FORMAT },
    };
    MuseRuntime *rt = runtime(1);
    MuseConfig c;
    assert_int_equal(muse_config_from_json(&c, NULL, NULL, NANO, strlen(NANO), &err), 0);
    MuseTextTokenizer *tok = nano_tokenizer();
    static const char *const tasks[] = { "count" };
    const MuseJsonlRules rules = { .rt = rt, .model = &c, .tokenizer = tok, .tasks = tasks, .n_tasks = 1 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseTrainSample s;
        const int rc = muse_jsonl_sample(&rules, folder, cases[i].line, strlen(cases[i].line), &s, &err);
        if (rc != cases[i].code) fail_msg("%s: code %d, not %d: %s", cases[i].line, rc, cases[i].code, err.text);
        assert_null(s.handle);
    }
    muse_text_close(&tok);
    muse_config_clear(&c);
    muse_runtime_close(&rt);
}

static char said[4096];
static void listen(void *user, int level, const char *line)
{
    (void)user;
    (void)level;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

/* Two files and loader threads; a broken line stops the run, or is left out and named; that pictures are reduced is said once a file,
 * of what is not reduced nothing. */
static void test_jsonl_run(void **state)
{
    (void)state;
    write_picture("a.png", 48);
    write_picture("wide.png", 200);
    write_text("a.jsonl", "{\"task\":\"count\",\"parts\":[{\"image\":\"a.png\"}],\"branches\":[{\"task\":\"count\",\"parts\":[{\"text\":\"How many?\"}],\"answer\":\"3\"},"
               "{\"task\":\"read\",\"parts\":[{\"text\":\"Read it.\"}],\"thought\":[{\"text\":\"<look>\"},{\"region\":{\"image\":1,\"box\":[4,4,24,24]}},{\"text\":\"x\"}],\"answer\":\"x\"}]}\n"
               "\n{\"task\":\"read\",\"parts\":[{\"text\":\"2+2=\"}],\"answer\":\"4\"}\n"
               "{\"parts\":[{\"image\":\"wide.png\"}],\"answer\":\"4\"}\n{\"parts\":[{\"image\":\"wide.png\"}],\"answer\":\"4\"}\n");
    write_text("b.jsonl", "{\"task\":\"read\",\"parts\":[{\"text\":\"1+2=\"}],\"answer\":\"3\"}\nbroken\n");
    for (int skip = 0; skip < 2; skip++) {
        char doc[3000];
        snprintf(doc, sizeof doc, "{\"model\":%s,\"tokenizer\":\"%s/models/muse-nano/tokenizer.json\",\"steps\":5,\"tasks\":[\"count\",\"read\"],\"batch\":{\"samples\":4,\"positions\":256},"
                 "\"loaders\":2,\"out\":\"out%d\",\"data\":[{\"jsonl\":\"a.jsonl\",\"weight\":2},{\"jsonl\":\"b.jsonl\",\"broken\":\"%s\"}]}", NANO, getenv("MUSE_SOURCE"), skip,
                 skip ? "skip" : "stop");
        MuseRuntimeParams rp;
        MuseRuntime *rt;
        MuseTrainerParams p;
        MuseTrainer *t;
        muse_runtime_params_init(&rp);
        rp.log = listen;
        said[0] = 0;
        assert_int_equal(muse_runtime_open(&rt, &rp, &err), 0);
        muse_trainer_params_init(&p);
        p.folder = folder;
        if (muse_trainer_open(&t, rt, doc, strlen(doc), &p, &err) < 0) fail_msg("%s", err.text);
        MuseTrainReport r = { 0 };
        int rc;
        while ((rc = muse_trainer_step(t, &r, &err)) == 0) {}
        if (skip) {
            assert_int_equal(rc, MUSE_DONE);
            assert_true(r.skipped > 0);
            assert_non_null(strstr(said, "b.jsonl:2"));
            const char *reduced = strstr(said, "/wide.png: 200 x 40 pixels are reduced to ");
            assert_non_null(reduced);
            assert_null(strstr(reduced + 2, "wide.png"));
            assert_int_equal(access(in_folder("out1/step-00000005/tokenizer.json"), F_OK), 0);
            MuseModel *m;
            MuseTextTokenizer *tok;
            assert_int_equal(muse_model_open(&m, rt, in_folder("out1/step-00000005"), NULL, &err), 0);
            assert_int_equal(muse_model_open_tokenizer(m, &tok, &err), 0);
            muse_text_close(&tok);
            muse_model_close(&m);
        } else {
            assert_int_equal(rc, MUSE_ERR_FORMAT);
            assert_non_null(strstr(err.text, "b.jsonl:2"));
        }
        muse_trainer_close(&t);
        muse_runtime_close(&rt);
    }
}

static void test_shuffle(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 300; n = n * 2 + 1) {
        uint8_t seen[300] = { 0 };
        for (uint64_t i = 0; i < n; i++) seen[muse_shuffle(i, n, 5)]++;
        for (uint64_t i = 0; i < n; i++) assert_int_equal(seen[i], 1);
    }
    assert_true(muse_shuffle(3, 200, 1) != muse_shuffle(3, 200, 2) || muse_shuffle(4, 200, 1) != muse_shuffle(4, 200, 2));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curve), IN_FOLDER(test_resume), IN_FOLDER(test_curve_numbers), IN_FOLDER(test_file_in_the_way), IN_FOLDER(test_opens_as_model), IN_FOLDER(test_added_heads), IN_FOLDER(test_model_view), IN_FOLDER(test_shared_places), cmocka_unit_test(test_bad_documents), cmocka_unit_test(test_bad_samples),
        cmocka_unit_test(test_limits), IN_FOLDER(test_not_finite), IN_FOLDER(test_no_memory), IN_FOLDER(test_bad_lines), IN_FOLDER(test_jsonl_run),
        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
