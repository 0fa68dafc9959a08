/* SPDX-License-Identifier: Apache-2.0 */
/* Live sound: samples from standard input become frames as they arrive, in bounded memory; when the sound ends, it is the question.
 *   cc live_audio.c -o live_audio $(pkg-config --cflags --libs muse)
 *   arecord -q -d 3 -t raw -f S16_LE -r 16000 | ./live_audio [MODEL [PICTURE]]      (16-bit samples, native order, one channel, 16 kHz) */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>

enum { RATE = 16000, BLOCK = RATE / 50, MOST = 30 * RATE };   /* 20 ms at a time, 30 s in all */

static int16_t sound[MOST];

/* read, feed and show a meter until the input ends */
static int listen(MuseAudioFeed *feed, float *frame, size_t *n_samples, size_t *n_frames, MuseError *err)
{
    size_t n, taken;
    int rc = 0;
    *n_samples = *n_frames = 0;
    while (rc == 0 && *n_samples < MOST && (n = fread(sound + *n_samples, sizeof *sound, *n_samples + BLOCK < MOST ? BLOCK : MOST - *n_samples, stdin)) > 0) {
        int peak = 0;
        for (size_t i = 0; i < n; i++) peak = abs(sound[*n_samples + i]) > peak ? abs(sound[*n_samples + i]) : peak;
        rc = muse_audio_feed_push(feed, sound + *n_samples, n, err);
        *n_samples += n;
        while (rc == 0 && (rc = muse_audio_feed_take(feed, frame, 1, &taken)) == 0) *n_frames += taken;
        if (rc == MUSE_AGAIN) rc = 0;
        fprintf(stderr, "\r%5.2f s, %zu frames, %3d %% loud ", (double)*n_samples / RATE, *n_frames, 100 * peak / 32768);
    }
    fputs(*n_samples == MOST ? "that is as long as this program listens\n" : "\n", stderr);
    if (rc == 0) rc = muse_audio_feed_finish(feed, err);   /* the last, begun frame */
    while (rc == 0 && (rc = muse_audio_feed_take(feed, frame, 1, &taken)) == 0) *n_frames += taken;
    return rc == MUSE_DONE ? 0 : rc;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *picture = argc > 2 ? argv[2] : "examples/media/shapes.png";
    MuseError err = { 0 };
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseAudio *audio = NULL;
    MuseAudioFeed *feed = NULL;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    MuseAudioPlan plan;
    float *frame = NULL;   /* a frame as the model takes it; here they are only counted */
    size_t n = 0, n_frames = 0;
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_THINKING;
    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, picture, NULL, &err);
    const MuseAudioRule *rule = rc == 0 ? &muse_model_family(model)->audio : NULL;
    if (rc == 0) rc = muse_audio_plan(rule, RATE, RATE, &plan, &err);
    if (rc == 0) rc = (frame = malloc(plan.frame_width * sizeof *frame)) ? 0 : MUSE_ERR_NOMEM;
    if (rc == 0) rc = muse_audio_feed_open(&feed, NULL, rule, MUSE_PCM_S16, RATE, 1, &err);
    if (rc == 0) rc = listen(feed, frame, &n, &n_frames, &err);
    if (rc == 0) rc = muse_audio_open_pcm(&audio, NULL, sound, n, MUSE_PCM_S16, RATE, 1, NULL, &err);
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_AUDIO, .audio = audio } };
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text[0] ? err.text : muse_status_text(rc));
    else printf("%.2f s were %zu frames\nanswer: %s\n", (double)n / RATE, n_frames, result.answer ? result.answer : "none");
    muse_reason_result_clear(&result);
    muse_audio_feed_close(&feed);
    free(frame);
    muse_audio_close(&audio);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
