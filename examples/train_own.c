/* SPDX-License-Identifier: Apache-2.0 */
/* Own data: pictures, thoughts and answers as JSONL, a small model trained on them from zero, and questions about new pictures.
 *   cc train_own.c -o train_own $(pkg-config --cflags --libs muse)
 *   mkdir squares && ./train_own squares [TOKENIZER.json]      about a second; the model stays in squares/run */
#include <muse/muse.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 64, PICTURES = 128, STEPS = 60 };

static const struct { const char *name; uint8_t rgb[3]; } colours[] = {
    { "red", { 220, 40, 40 } }, { "green", { 40, 170, 60 } }, { "blue", { 40, 80, 220 } }, { "yellow", { 230, 210, 40 } },
};
static uint8_t rgb[SIDE * SIDE * 3];

static const char document[] =
    "{ \"model\": { \"model_type\": \"muse\", \"muse_version\": 1, \"vocab_size\": %u, \"hidden_size\": 64, \"intermediate_size\": 256,"
    " \"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"num_key_value_heads\": 2, \"head_dim\": 32, \"max_position_embeddings\": 512,"
    " \"rms_norm_eps\": 1e-5, \"hidden_act\": \"relu2\", \"qk_norm\": true, \"rope_theta\": 100, \"rope_pairs\": [8, 4, 4], \"tie_word_embeddings\": true,"
    " \"bos_token_id\": 1, \"eos_token_id\": 2, \"pad_token_id\": 0, \"image_config\": { \"patch_size\": 8, \"places\": 32, \"budgets\": [64],"
    " \"default_budget\": 64, \"mlp_size\": 128 } }, \"tokenizer\": \"%s\", \"out\": \"%s/run\", \"steps\": %d, \"data\": [{ \"jsonl\": \"%s/train.jsonl\" }] }";

/* picture i: a square of colour i % 4 somewhere on grey; returns its side */
static unsigned draw(unsigned i)
{
    const unsigned size = 14 + i * 5 % 23, left = i * 29 % (SIDE - size), top = i * 13 % (SIDE - size);
    memset(rgb, (int)(100 + i * 7 % 60), sizeof rgb);
    for (unsigned y = top; y < top + size; y++)
        for (unsigned x = left; x < left + size; x++) memcpy(rgb + (y * SIDE + x) * 3, colours[i % 4].rgb, 3);
    return size;
}

static int write_data(const char *folder, MuseError *err)
{
    char path[1024];
    int rc = 0;
    snprintf(path, sizeof path, "%s/train.jsonl", folder);
    FILE *lines = fopen(path, "w");
    for (unsigned i = 0; lines && rc == 0 && i < PICTURES; i++) {
        const char *size = draw(i) > 24 ? "large" : "small";
        snprintf(path, sizeof path, "%s/%03u.png", folder, i);
        rc = muse_png_write_file(path, rgb, SIDE, SIDE, 0, MUSE_PIXELS_RGB, err);
        fprintf(lines, "{\"parts\":[{\"image\":\"%03u.png\"},{\"text\":\"What colour is it?\"}],\"thought\":\" a %s square\",\"answer\":\"%s\"}\n",
                i, size, colours[i % 4].name);
    }
    if (lines && fclose(lines) == 0) return rc;
    snprintf(err->text, sizeof err->text, "%s/train.jsonl: can't write (the folder has to be there)", folder);
    return MUSE_ERR_IO;
}

static int train(const char *folder, const char *tokenizer, MuseRuntime *rt, MuseModel **model, MuseError *err)
{
    MuseTextTokenizer *tok = NULL;
    MuseTextInfo text;
    MuseTrainer *trainer = NULL;
    MuseTrainReport report;
    MuseTrainerInfo info;
    char json[4096];
    int rc = muse_text_open_file(&tok, rt, tokenizer, err);
    if (rc == 0 && muse_text_info(tok, &text) == 0) snprintf(json, sizeof json, document, text.vocab_size, tokenizer, folder, STEPS, folder);
    if (rc == 0) rc = muse_trainer_open(&trainer, rt, json, strlen(json), NULL, err);
    while (rc == 0 && (rc = muse_trainer_step(trainer, &report, err)) == 0)
        if (report.step % 10 == 0) fprintf(stderr, "step %d: loss %.3f, %.0f %% right\n", (int)report.step, report.loss, 100 * report.accuracy);
    if (rc == MUSE_DONE) rc = muse_trainer_info(trainer, &info);
    if (rc == 0) rc = muse_model_open(model, rt, info.folder, NULL, err);   /* a checkpoint is a model folder */
    muse_trainer_close(&trainer);
    muse_text_close(&tok);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 2) { fputs("usage: train_own FOLDER [TOKENIZER.json]\n", stderr); return 2; }
    const char *folder = argv[1], *tokenizer = argc > 2 ? argv[2] : "models/muse-nano/tokenizer.json";
    MuseError err = { 0 };
    MuseRuntimeParams one = { .struct_size = sizeof one, .threads = 1 };   /* waking a second thread would cost more than it does here */
    MuseRuntime *rt = NULL;
    MuseModel *model = NULL;
    MuseReasonParams params = { .struct_size = sizeof params, .mode = MUSE_MODE_THINKING };
    MuseReasonPart parts[] = { { .modality = MUSE_IMAGE }, { .modality = MUSE_TEXT, .text = "What colour is it?" } };
    int rc = muse_runtime_open(&rt, &one, &err);
    if (rc == 0) rc = write_data(folder, &err);
    if (rc == 0) rc = train(folder, tokenizer, rt, &model, &err);
    for (unsigned i = PICTURES; i < PICTURES + 4 && rc == 0; i++) {   /* pictures it has not seen */
        MuseReasonResult result = { 0 };
        MuseAgentInfo agent;
        draw(i);
        rc = muse_image_open_pixels(&parts[0].image, rt, rgb, SIDE, SIDE, 0, MUSE_PIXELS_RGB, NULL, &err);
        if (rc == 0) rc = muse_reason(model, parts, 2, &params, &result, &err);
        if (rc == 0 && muse_agent_info(result.agents[0], &agent) == 0)
            printf("%s: thought%s, said %s\n", colours[i % 4].name, agent.thought, result.answer ? result.answer : "nothing");
        muse_reason_result_clear(&result);
        muse_image_close(&parts[0].image);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    muse_model_close(&model);
    muse_runtime_close(&rt);
    return rc < 0;
}
