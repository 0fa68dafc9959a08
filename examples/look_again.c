/* SPDX-License-Identifier: Apache-2.0 */
/* Small print: too small in the overview that the model gets, readable once it looks again at the original's pixels.
 * The same question without and with looks; each look is written to a PNG file.
 *   cc look_again.c -o look_again $(pkg-config --cflags --libs muse)
 *   ./look_again [MODEL [PICTURE [QUESTION [FOLDER]]]] */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* the pixels of one look, as the model got them before resizing */
static int save_view(const MuseImage *image, MuseRect view, const char *path, MuseError *err)
{
    MuseImage *cut = NULL;
    MuseImageInfo info;
    uint8_t *rgb = NULL;
    int rc = muse_image_region(&cut, image, view, err);
    if (rc == 0) {
        muse_image_info(cut, &info);
        rgb = malloc((size_t)info.width * info.height * 3);
        rc = rgb ? muse_image_read_rgb(cut, MUSE_ALPHA_OVER, NULL, rgb, 0, err) : MUSE_ERR_NOMEM;
    }
    if (rc == 0) rc = muse_png_write_file(path, rgb, info.width, info.height, 0, MUSE_PIXELS_RGB, err);
    free(rgb);
    muse_image_close(&cut);
    return rc;
}

static int print_looks(const MuseAgent *agent, const MuseImage *image, const char *folder, MuseError *err)
{
    MuseReasonStep step;
    int rc = 0, number = 0;
    for (size_t i = 0; rc == 0 && muse_agent_step(agent, i, &step) == 0; i++) {
        if (step.kind != MUSE_REASON_LOOK || step.refused) continue;
        char path[1024];
        const char *name = strstr(step.text, "<look>");   /* the model writes <look> name <box> and four places */
        name = name ? name + 6 : "";
        snprintf(path, sizeof path, "%s/look-%d.png", folder, ++number);
        printf("  looked at%.*s, pixels %.0f %.0f to %.0f %.0f: %s\n", (int)strcspn(name, "<"), name, step.view.x0, step.view.y0, step.view.x1, step.view.y1, path);
        if (step.image == 1) rc = save_view(image, step.view, path, err);
    }
    return rc;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/small-print.png";
    const char *question = argc > 3 ? argv[3] : "What is printed on the blue hexagon?";
    MuseError err = { 0 };
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    for (int no_look = 1; no_look >= 0 && rc == 0; no_look--) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_TEXT, .text = question } };
        MuseAgentParams agent;
        MuseReasonParams params;
        MuseReasonResult result = { 0 };
        muse_agent_params_init(&agent);
        muse_reason_params_init(&params);
        agent.no_look = no_look;
        agent.look_budget = 0;   /* at full detail; a number of patches would scale large looks down */
        params.mode = MUSE_MODE_THINKING;
        params.agent = &agent;
        rc = muse_reason(model, parts, 2, &params, &result, &err);
        if (rc == 0) printf("%s looks: %s\n", no_look ? "without" : "with", result.answer ? result.answer : "no answer");
        if (rc == 0) rc = print_looks(result.agents[0], image, argc > 4 ? argv[4] : ".", &err);
        muse_reason_result_clear(&result);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text[0] ? err.text : muse_status_text(rc));
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
