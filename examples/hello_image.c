/* SPDX-License-Identifier: Apache-2.0 */
/* Ask a model about a picture: one call.
 *   cc hello_image.c -o hello_image $(pkg-config --cflags --libs muse)
 *   ./hello_image [MODEL [PICTURE [QUESTION]]] */
#include <muse/muse.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/shapes.png";
    const char *question = argc > 3 ? argv[3] : "What color is the circle?";
    MuseError err;
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseReasonResult result = { 0 };
    MuseReasonParams params;
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_THINKING;   /* without params the model answers at once */
    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_TEXT, .text = question } };
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    else printf("%s (%.0f %%)\n", result.answer ? result.answer : "no answer", 100 * result.confidence);
    muse_reason_result_clear(&result);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
