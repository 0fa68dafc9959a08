/* SPDX-License-Identifier: Apache-2.0 */
/* A spoken question about a picture: the sound is a part like any other, nothing turns it into text first. muse-nano's thought
 * begins with the words it heard.
 *   cc voice.c -o voice $(pkg-config --cflags --libs muse)
 *   ./voice [MODEL [PICTURE [SOUND]]]      sounds: WAV, FLAC, OGG, MP3, AIFF */
#include <muse/muse.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *picture = argc > 2 ? argv[2] : "examples/media/shapes.png";
    const char *sound = argc > 3 ? argv[3] : "examples/media/question.wav";   /* "How many squares are there?" */
    MuseError err;
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseAudio *audio = NULL;
    MuseAudioInfo info;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    MuseAgentInfo agent;
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_THINKING;
    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, picture, NULL, &err);
    if (rc == 0) rc = muse_audio_open_file(&audio, NULL, sound, NULL, &err);
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_AUDIO, .audio = audio } };
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc == 0) rc = muse_audio_info(audio, &info);
    if (rc == 0) rc = muse_agent_info(result.agents[0], &agent);
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    else printf("%.2f s of sound and the picture: %llu positions\nthought:%s\nanswer: %s\n", info.seconds, (unsigned long long)result.prompt_tokens,
                agent.thought, result.answer ? result.answer : "none");
    muse_reason_result_clear(&result);
    muse_audio_close(&audio);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
