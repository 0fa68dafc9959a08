/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a run: what was thought, looked at and named, in pixels of the original. As JSON on standard output, as an annotated
 * picture and as one HTML page that steps through it.
 *   cc trace.c -o trace $(pkg-config --cflags --libs muse)
 *   ./trace [MODEL [PICTURE [QUESTION [FOLDER]]]] */
#include <muse/muse.h>
#include <stdio.h>

static int write_page(const MuseTrace *trace, const char *path, MuseError *err)
{
    char *text = NULL;
    size_t size;
    int rc = muse_trace_html(trace, NULL, &text, &size, err);
    FILE *f = rc == 0 ? fopen(path, "wb") : NULL;
    if (rc == 0 && (!f || fwrite(text, 1, size, f) != size)) rc = MUSE_ERR_IO;
    if (f && fclose(f) != 0) rc = MUSE_ERR_IO;
    muse_free(text);
    return rc;
}

static int write_picture(const MuseTrace *trace, const char *path, MuseError *err)
{
    uint8_t *rgb = NULL;
    uint32_t width, height;
    int rc = muse_trace_draw(trace, NULL, &rgb, &width, &height, err);
    if (rc == 0) rc = muse_png_write_file(path, rgb, width, height, 0, MUSE_PIXELS_RGB, err);
    muse_free(rgb);
    return rc;
}

int main(int argc, char **argv)
{
    const char *model_path = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/small-print.png";
    const char *question = argc > 3 ? argv[3] : "What is printed on the blue hexagon?", *folder = argc > 4 ? argv[4] : ".";
    MuseError err = { 0 };
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseTrace *trace = NULL;
    MuseTraceParams record;
    MuseAgentParams agent;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    char *json = NULL, path[1024];
    size_t size;
    muse_trace_params_init(&record);
    muse_agent_params_init(&agent);
    muse_reason_params_init(&params);
    record.question = question;
    record.model = model_path;   /* names for people; the run fills in the rest */
    record.mode = "thinking";
    params.mode = MUSE_MODE_THINKING;
    params.agent = &agent;

    int rc = muse_model_open(&model, NULL, model_path, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    if (rc == 0) rc = muse_trace_open(&trace, NULL, &record, &err);
    if (rc == 0) rc = muse_trace_add_image(trace, image, file, NULL, &err);   /* so that it has a name */
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_TEXT, .text = question } };
        agent.trace = trace;
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc == 0) rc = muse_trace_json(trace, &json, &size, &err);
    if (rc == 0) puts(json);
    snprintf(path, sizeof path, "%s/trace.png", folder);
    if (rc == 0) rc = write_picture(trace, path, &err);
    snprintf(path, sizeof path, "%s/trace.html", folder);
    if (rc == 0) rc = write_page(trace, path, &err);
    if (rc < 0) fprintf(stderr, "%s\n", err.text[0] ? err.text : muse_status_text(rc));
    muse_free(json);
    muse_reason_result_clear(&result);   /* its agents use the trace */
    muse_trace_close(&trace);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
