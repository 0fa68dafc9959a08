/* SPDX-License-Identifier: Apache-2.0 */
/* Two pictures in one question: what the model compared, thing by thing, and where.
 *   cc compare_pictures.c -o compare_pictures $(pkg-config --cflags --libs muse)
 *   ./compare_pictures [MODEL [PICTURE PICTURE [QUESTION]]] */
#include <muse/muse.h>
#include <stdio.h>
#include <string.h>

/* The chain names a place, then says what is there: up to ';' or the next place. Pixels are those of the picture it turned to. */
static void print_steps(const MuseAgent *agent)
{
    MuseAgentInfo info;
    MuseReasonStep step, next;
    muse_agent_info(agent, &info);
    const char *last = strrchr(info.thought, '>');
    for (size_t i = 0; muse_agent_step(agent, i, &step) == 0; i++) {
        if (step.kind != MUSE_REASON_POINT) continue;
        const char *said = muse_agent_step(agent, i + 1, &next) == 0 ? next.text : last ? last + 1 : "";
        printf("picture %u, pixel (%.0f, %.0f):%.*s\n", step.image, (step.rect.x0 + step.rect.x1) / 2, (step.rect.y0 + step.rect.y1) / 2,
               (int)strcspn(said, ";<"), said);
    }
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano";
    const char *files[2] = { argc > 3 ? argv[2] : "examples/media/before.png", argc > 3 ? argv[3] : "examples/media/after.png" };
    const char *question = argc > 4 ? argv[4] : "What is different in the second picture?";
    MuseError err;
    MuseModel *model = NULL;
    MuseReasonPart parts[3] = { { .modality = MUSE_IMAGE }, { .modality = MUSE_IMAGE }, { .modality = MUSE_TEXT, .text = question } };
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_THINKING;

    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    for (int i = 0; i < 2 && rc == 0; i++) rc = muse_image_open_file(&parts[i].image, NULL, files[i], NULL, &err);
    if (rc == 0) rc = muse_reason(model, parts, 3, &params, &result, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        print_steps(result.agents[0]);
        printf("answer: %s\n", result.answer ? result.answer : "none");
    }
    muse_reason_result_clear(&result);
    for (int i = 0; i < 2; i++) muse_image_close(&parts[i].image);
    muse_model_close(&model);
    return rc < 0;
}
