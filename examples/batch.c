/* SPDX-License-Identifier: Apache-2.0 */
/* Many users at once: a session for each question, all advanced by the same steps, so that weights are read once for all.
 * The picture is computed once: the sessions share it through a prefix cache.
 *   cc batch.c -o batch $(pkg-config --cflags --libs muse)
 *   ./batch [MODEL [PICTURE [QUESTION ...]]] */
#include <muse/muse.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 16 };

/* a session that holds the picture and one question, ready for an answer without thoughts */
static int prepare(MuseSession **out, MuseModel *model, MusePrefixCache *cache, MuseImage *image, const char *question, MuseError *err)
{
    MuseChat *chat = NULL;
    MuseChatParams params;
    MuseSessionParams session;
    MuseModelInfo info;
    muse_chat_params_init(&params);
    muse_session_params_init(&session);
    muse_model_info(model, &info);
    params.thinking = MUSE_THINKING_OFF;
    session.cache = cache;
    int rc = muse_session_open(out, model, &session, err);
    if (rc == 0) rc = muse_chat_format_of(info.family, muse_session_tokenizer(*out), &params.format, err);
    if (rc == 0) rc = muse_chat_open(&chat, NULL, &params, err);
    if (rc == 0) rc = muse_chat_add(chat, MUSE_ROLE_USER, err);
    if (rc == 0) rc = muse_chat_add_image(chat, image, NULL, err);
    if (rc == 0) rc = muse_chat_add_text(chat, question, strlen(question), err);
    if (rc == 0) rc = muse_chat_append(chat, muse_session_sequence(*out), 0, err);
    if (rc == 0) rc = muse_session_prefill(*out, err);
    muse_chat_close(&chat);
    return rc;
}

int main(int argc, char **argv)
{
    const char *questions[MOST] = { "What color is the cross?", "What shape is the cyan object?", "Is there a star?", "What color is the circle?" };
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/shapes.png";
    const size_t n = argc > 3 ? (size_t)argc - 3 : 4;
    MuseError err;
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MusePrefixCache *cache = NULL;
    MuseSession *sessions[MOST] = { 0 };
    MuseGenerateParams params;
    const MuseGenerateParams *each[MOST];
    MuseGenerateResult results[MOST] = { 0 };
    if (n > MOST) {
        fprintf(stderr, "at most %d questions\n", MOST);
        return 2;
    }
    for (int i = 3; i < argc; i++) questions[i - 3] = argv[i];
    muse_generate_params_init(&params);
    params.max_tokens = 20;

    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    if (rc == 0) rc = muse_prefix_cache_open(&cache, model, 0, &err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = prepare(&sessions[i], model, cache, image, questions[i], &err);
        each[i] = &params;
    }
    if (rc == 0) rc = muse_generate_batch(sessions, each, n, results, &err);
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    for (size_t i = 0; i < n && rc == 0; i++) {
        MuseSessionInfo info;
        muse_session_info(sessions[i], &info);
        printf("%s%s  (%llu of %llu positions were there already)\n", questions[i], results[i].text, (unsigned long long)info.reused,
               (unsigned long long)results[i].prompt_tokens);
    }
    for (size_t i = 0; i < n; i++) {
        muse_generate_result_clear(&results[i]);
        muse_session_close(&sessions[i]);
    }
    muse_prefix_cache_close(&cache);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
