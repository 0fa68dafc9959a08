/* SPDX-License-Identifier: Apache-2.0 */
/* Let a model go on from a text; its words appear as they come.
 *   cc generate.c -o generate $(pkg-config --cflags --libs muse)
 *   ./generate FOLDER_OR_GGUF "Once upon a time" [MAX_TOKENS] */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show(void *user, const MuseGenerated *token)
{
    (void)user;
    fwrite(token->text, 1, token->n_text, stdout);
    fflush(stdout);
    return 0;   /* anything else would stop here */
}

int main(int argc, char **argv)
{
    MuseError err;
    MuseModel *model = NULL;
    MuseSession *session = NULL;
    MuseGenerateParams params;
    MuseGenerateResult result = { 0 };
    if (argc < 3) {
        fprintf(stderr, "usage: generate MODEL TEXT [MAX_TOKENS]\n");
        return 2;
    }
    muse_generate_params_init(&params);
    params.max_tokens = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
    params.token = show;
    int rc = muse_model_open(&model, NULL, argv[1], NULL, &err);
    if (rc == 0) rc = muse_session_open(&session, model, NULL, &err);
    if (rc == 0) rc = muse_sequence_append_text(muse_session_sequence(session), argv[2], strlen(argv[2]), MUSE_TEXT_BOS, &err);
    if (rc == 0) rc = muse_generate(session, &params, &result, &err);
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    else printf("\n(%zu tokens, ended by %s)\n", result.n, muse_finish_name(result.finish));
    muse_generate_result_clear(&result);
    muse_session_close(&session);
    muse_model_close(&model);
    return rc < 0;
}
