/* SPDX-License-Identifier: Apache-2.0 */
/* A value from a chart, as a number that a program can use: a grammar holds the answer to digits, whatever the model would say.
 *   cc chart.c -o chart $(pkg-config --cflags --libs muse)
 *   ./chart [MODEL [PICTURE [QUESTION [EXPRESSION]]]] */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/chart.png";
    const char *question = argc > 3 ? argv[3] : "What is the value of the gray bar?", *expression = argc > 4 ? argv[4] : " ?[0-9]{1,3}";
    MuseError err;
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseTextTokenizer *tokenizer = NULL;
    MuseGrammar *grammar = NULL;
    MuseSampleParams sample;
    MuseAgentParams agent;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    muse_sample_params_init(&sample);
    muse_agent_params_init(&agent);
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_THINKING;
    params.agent = &agent;
    agent.sample = &sample;

    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    if (rc == 0) rc = muse_model_open_tokenizer(model, &tokenizer, &err);
    if (rc == 0) rc = muse_grammar_open_regex(&grammar, NULL, tokenizer, expression, strlen(expression), NULL, &err);
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_TEXT, .text = question } };
        sample.grammar = grammar;   /* for the answer; thoughts stay free */
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    else printf("%ld\n", result.answer ? strtol(result.answer, NULL, 10) : -1);
    muse_reason_result_clear(&result);
    muse_grammar_close(&grammar);
    muse_text_close(&tokenizer);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
