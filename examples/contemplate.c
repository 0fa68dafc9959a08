/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel agents: several chains of thought over one picture, each seeing it in a way of its own; they step as one batch, then vote.
 *   cc contemplate.c -o contemplate $(pkg-config --cflags --libs muse)
 *   ./contemplate [MODEL [PICTURE [QUESTION [AGENTS [MOST_TOKENS]]]]] */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>

/* a newer library may have more of them than this program knows */
#define NAME(list, k) ((size_t)(k) < sizeof(list) / sizeof *(list) ? (list)[k] : "(unknown)")

static int progress(void *user, const MuseReasonEvent *event)
{
    static const char *const stages[] = { "", "reading the question", "thinking", "checking", "scoring each other", "merging" };
    (void)user;
    if (event->kind == MUSE_EVENT_STAGE) fprintf(stderr, "%s\n", NAME(stages, event->stage));
    if (event->kind == MUSE_EVENT_DONE) fprintf(stderr, "%zu of %zu agents done, %llu tokens\n", event->done, event->agents, (unsigned long long)event->tokens);
    return 0;
}

/* how agents end, by MuseAgentInfo.finish; who was stopped has no vote, whatever it had begun to say */
static const char *const ends[] = { "still runs", "answered", "out of tokens", "out of positions", "out of calls", "stopped, no vote" };

static void print(const MuseReasonResult *r)
{
    for (size_t i = 0; i < r->n_forks; i++) {
        MuseAgentInfo a;
        muse_agent_info(r->agents[i], &a);
        printf("agent %u, temperature %.2f, %s: %.*s\n", a.number, (double)a.temperature, NAME(ends, a.finish), (int)a.n_answer, a.answer);
    }
    for (size_t i = 0; i < r->n_candidates; i++) {
        MuseAgentInfo a;
        muse_agent_info(r->agents[r->candidates[i].vote], &a);
        printf("candidate %.*s: %u votes, score %.2f\n", (int)a.n_answer, a.answer, r->candidates[i].count, r->candidates[i].score);
    }
    printf("answer: %s (agreement %.0f %%%s)\n", r->answer ? r->answer : "none", 100 * r->agreement, r->stopped_early ? ", ended early" : "");
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "models/muse-nano", *file = argc > 2 ? argv[2] : "examples/media/shapes.png";
    const char *question = argc > 3 ? argv[3] : "Is the triangle above the white circle?";
    MuseError err;
    MuseModel *model = NULL;
    MuseImage *image = NULL;
    MuseSampleParams sample;
    MuseAgentParams agent;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    muse_sample_params_init(&sample);
    muse_agent_params_init(&agent);
    muse_reason_params_init(&params);
    params.mode = MUSE_MODE_CONTEMPLATING;
    params.agents = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 8;
    params.temperature = 0.7f;
    params.spread = 0.3f;   /* agents differ by seed and by temperature, 0.4 to 1 */
    params.seed = 1;        /* the same seed, the same run */
    params.agent = &agent;
    agent.sample = &sample;
    agent.thought_tokens = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0;   /* 0: 512 */
    agent.event = progress;

    int rc = muse_model_open(&model, NULL, folder, NULL, &err);
    if (rc == 0) rc = muse_image_open_file(&image, NULL, file, NULL, &err);
    if (rc == 0) {
        const MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = image }, { .modality = MUSE_TEXT, .text = question } };
        rc = muse_reason(model, parts, 2, &params, &result, &err);
    }
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    else print(&result);
    muse_reason_result_clear(&result);
    muse_image_close(&image);
    muse_model_close(&model);
    return rc < 0;
}
