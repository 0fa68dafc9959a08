/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of thought, shown as it grows: each token as it comes, and behind each place its pixels in the picture.
 *   cc reason.c -o reason $(pkg-config --cflags --libs muse)
 *   ./reason [MODEL [PICTURE [QUESTION [MOST_TOKENS]]]] */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Screen {
    MuseTextDecoder *decoder;
    MuseRect place;
    int placed;
} Screen;

static int show(void *user, const MuseReasonEvent *event)
{
    Screen *s = user;
    const char *text;
    size_t n;
    if (event->kind == MUSE_EVENT_STEP && event->step->image) {   /* comes before the token that completed it */
        s->place = event->step->rect;
        s->placed = 1;
    } else if (event->kind == MUSE_EVENT_TOKEN && muse_text_decoder_push(s->decoder, event->id, &text, &n, NULL) == 0) {
        fwrite(text, 1, n, stdout);
        if (s->placed) printf("{%.0f %.0f %.0f %.0f}", s->place.x0, s->place.y0, s->place.x1, s->place.y1);
        s->placed = 0;
        fflush(stdout);
    }
    return 0;   /* anything else would stop the run */
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/shapes.png";
    const char *question = argc > 3 ? argv[3] : "Is the triangle to the left of the red square?";
    MuseError err;
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseTextTokenizer *tokenizer = NULL;
    Screen screen = { 0 };
    MuseAgentParams agent;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    muse_agent_params_init(&agent);
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_THINKING;
    params.agent = &agent;
    agent.event = show;
    agent.event_user = &screen;
    agent.thought_tokens = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;   /* 0: 512 */

    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    if (rc == 0) rc = muse_model_open_tokenizer(model, &tokenizer, &err);
    if (rc == 0) rc = muse_text_decoder_open(&screen.decoder, tokenizer, 0, &err);
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_TEXT, .text = question } };
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    else printf("\nanswer: %s (%llu tokens of thought)\n", result.answer ? result.answer : "none", (unsigned long long)result.thought_tokens);
    muse_reason_result_clear(&result);
    muse_text_decoder_close(&screen.decoder);
    muse_text_close(&tokenizer);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
