/* SPDX-License-Identifier: Apache-2.0 */
/* A tool: a C function that the model may call, with a JSON schema of its arguments. Its result is text, a picture, or both.
 * Without a model this program makes the call itself, as the library would.
 *   cc tools.c -o tools $(pkg-config --cflags --libs muse)
 *   ./tools [MODEL [QUESTION [MOST_TOKENS]]]      a model with tools: Gemma 4 Unified, Qwen 2.5, Qwen 3 */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs in a thread of its own. A real tool would read its arguments with a JSON library. */
static int weather(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *err)
{
    const int oslo = strstr(arguments, "\"Oslo\"") != NULL;
    char text[64];
    (void)user, (void)n;
    if (!oslo) {
        snprintf(err->text, sizeof err->text, "only Oslo has weather");   /* the model reads this */
        return MUSE_ERR_NOT_FOUND;
    }
    const int size = snprintf(text, sizeof text, "-4 degrees, snow");
    return muse_tool_reply_text(reply, text, (size_t)size, err);
}

static int call_by_hand(MuseTools *tools, MuseError *err)
{
    const MuseToolCall calls[] = { { "weather", "{\"city\":\"Oslo\"}", 15 }, { "weather", "{\"city\":\"Rome\"}", 15 } };
    MuseToolReply *replies[2];
    int rc = muse_tools_run(tools, calls, 2, replies, NULL, NULL, err);   /* both at once */
    for (int i = 0; i < 2 && rc == 0; i++) {
        MuseToolPart part;
        if (muse_tool_reply_part(replies[i], 0, &part) == 0)
            printf("%s -> %.*s (%s)\n", calls[i].arguments, (int)part.n, part.text, muse_status_name(muse_tool_reply_status(replies[i])));
        muse_tool_reply_close(&replies[i]);
    }
    return rc;
}

static int ask(const char *folder, MuseTools *tools, const char *question, uint32_t most, MuseError *err)
{
    const MuseReasonPart part = { .modality = MUSE_TEXT, .text = question };
    MuseModel *model = NULL;
    MuseAgentParams agent;
    MuseReasonParams params;
    MuseReasonResult result = { 0 };
    MuseReasonStep step;
    muse_agent_params_init(&agent);
    muse_reason_params_init(&params);
    params.agent = &agent;
    agent.tools = tools;
    agent.answer_tokens = most;
    int rc = muse_model_open(&model, NULL, folder, NULL, err);
    if (rc == 0) rc = muse_reason(model, &part, 1, &params, &result, err);
    for (size_t i = 0; rc == 0 && muse_agent_step(result.agents[0], i, &step) == 0; i++)
        if (step.kind == MUSE_REASON_CALL) printf("called: %s%s%s\n", step.text, step.refused ? ": refused, " : "", step.reason);
    if (rc == 0) printf("answer: %s\n", result.answer ? result.answer : "none");
    muse_reason_result_clear(&result);
    muse_model_close(&model);
    return rc;
}

int main(int argc, char **argv)
{
    const char *question = argc > 2 ? argv[2] : "Do I need a coat in Oslo?";
    MuseError err = { 0 };
    MuseTools *tools = NULL;
    MuseToolSpec spec;
    muse_tool_spec_init(&spec);
    spec.name = "weather";
    spec.description = "The weather in a city now";
    spec.parameters = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";
    spec.fn = weather;
    int rc = muse_tools_open(&tools, NULL, &err);
    if (rc == 0) rc = muse_tools_add(tools, &spec, &err);
    if (rc == 0) rc = argc > 1 ? ask(argv[1], tools, question, argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0, &err) : call_by_hand(tools, &err);
    if (rc < 0) fprintf(stderr, "%s\n", err.text);
    muse_tools_close(&tools);
    return rc < 0;
}
