/* SPDX-License-Identifier: Apache-2.0 */
/* What muse ask and muse chat say of a run behind its chain: the vote of several agents, and what each one wrote, for people and as JSON.
 * The numbers are the library's. */
#include "tools/ask_report.h"

#include <stdlib.h>
#include <string.h>

#include "tools/trace_show.h"

/* ---- for people ---- */

/* the agent's answer as the trace has it, with places in pixels */
static void put_answer(const MuseTrace *trace, uint32_t agent, const MuseAgentInfo *info)
{
    MuseTraceStep s;
    for (uint32_t i = (uint32_t)muse_trace_step_count(trace); i > 0; i--)
        if (muse_trace_step(trace, i, &s) == 0 && s.kind == MUSE_STEP_ANSWER && s.agent == agent) {
            show_words(s.text, s.n_text);
            return;
        }
    show_words(info->answer, info->n_answer);
}

static size_t voters(const MuseReasonResult *r)
{
    size_t n = 0;
    for (size_t k = 0; k < r->n_candidates; k++) n += r->candidates[k].count;
    return n;
}

/* "agents 3, 8: stopped, ..." for all that ended so */
static void put_ended(const MuseReasonResult *r, int finish, const char *why)
{
    MuseAgentInfo info;
    size_t n = 0, at = 0;
    for (size_t i = 0; i < r->n_forks; i++) n += muse_agent_info(r->agents[i], &info) == 0 && info.finish == finish;
    if (!n) return;
    fputs(n > 1 ? "; agents " : "; agent ", stderr);
    for (size_t i = 0; i < r->n_forks; i++)
        if (muse_agent_info(r->agents[i], &info) == 0 && info.finish == finish) fprintf(stderr, "%s%zu", at++ ? ", " : "", i + 1);
    fprintf(stderr, ": %s", why);
}

void ask_print_vote(const MuseReasonResult *r, const MuseTrace *trace)
{
    MuseAgentInfo info;
    const size_t n = voters(r);
    for (size_t k = 0; k < r->n_candidates; k++) {
        const MuseCandidate *c = &r->candidates[k];
        if (muse_agent_info(r->agents[c->vote], &info) < 0) continue;
        fprintf(stderr, "muse: %u of %zu for ", c->count, n);
        put_answer(trace, (uint32_t)c->vote + 1, &info);
        fprintf(stderr, "  (weight %.0f %%", 100 * c->weight);
        if (c->cross > 0) fprintf(stderr, ", the others' probability %.0f %%, score %.0f %%", 100 * c->cross, 100 * c->score);
        fputs(")\n", stderr);
    }
    fprintf(stderr, "muse: %zu of %zu agents answered, agreement %.0f %%", n, r->n_forks + r->n_unbegun, 100 * r->agreement);
    if (r->n_unbegun) fprintf(stderr, "; %zu were not begun, since %s", r->n_unbegun, r->stopped_early == 1 ? "these agree" : "more answers can't change the count");
    put_ended(r, MUSE_AGENT_STOPPED, "stopped, since the answer was settled");
    put_ended(r, MUSE_AGENT_LENGTH, "the tokens of the answer are spent");
    put_ended(r, MUSE_AGENT_FULL, "no more positions");
    put_ended(r, MUSE_AGENT_CALLS, "more calls than are allowed");
    if (n && !r->calibrated) fputs("; no calibration was measured with such agents: confidence is the share that gave this answer", stderr);
    fputc('\n', stderr);
}

void ask_print_written(MuseAgent *const *agents, size_t n)
{
    MuseAgentInfo info;
    for (size_t i = 0; i < n; i++) {
        if (muse_agent_info(agents[i], &info) < 0) continue;
        if (info.doubted) {
            fputs("muse: written at once, taken back: ", stderr);
            show_words(info.direct, info.n_direct);
            fputc('\n', stderr);
        }
        fputs("muse: written", stderr);
        if (n > 1) fprintf(stderr, " by agent %zu", i + 1);
        fputs(": ", stderr);
        show_words(info.thought, info.n_thought);
        fputs(info.n_thought && info.n_answer ? " | " : "", stderr);
        show_words(info.answer, info.n_answer);
        fputc('\n', stderr);
    }
}

/* ---- as JSON ---- */

/* the answer that it took back */
static void gen_direct(yajl_gen g, const MuseAgentInfo *info)
{
    json_key(g, "direct");
    yajl_gen_map_open(g);
    json_key(g, "answer");
    json_string(g, info->direct, info->n_direct);
    json_number(g, "probability", info->direct_probability);
    yajl_gen_map_close(g);
}

static void gen_agents(yajl_gen g, MuseAgent *const *agents, size_t n)
{
    MuseAgentInfo info;
    json_key(g, "agents");
    yajl_gen_array_open(g);
    for (size_t i = 0; i < n; i++) {
        if (muse_agent_info(agents[i], &info) < 0) continue;
        yajl_gen_map_open(g);
        if (n > 1) json_integer(g, "agent", (long long)i + 1);
        json_text(g, "finish", cli_finishes[info.finish]);
        json_key(g, "thought");
        json_string(g, info.thought, info.n_thought);
        json_key(g, "answer");
        json_string(g, info.answer, info.n_answer);
        json_number(g, "confidence", info.confidence);
        if (info.doubted) gen_direct(g, &info);
        yajl_gen_map_close(g);
    }
    yajl_gen_array_close(g);
}

static void gen_vote(yajl_gen g, const MuseReasonResult *r)
{
    MuseAgentInfo info;
    json_key(g, "vote");
    yajl_gen_map_open(g);
    json_integer(g, "agents", (long long)(r->n_forks + r->n_unbegun));
    json_integer(g, "not_begun", (long long)r->n_unbegun);
    json_integer(g, "answered", (long long)voters(r));
    json_bool(g, "stopped_early", r->stopped_early);
    json_number(g, "agreement", r->agreement);
    json_bool(g, "calibrated", r->calibrated);
    json_key(g, "candidates");
    yajl_gen_array_open(g);
    for (size_t k = 0; k < r->n_candidates; k++) {
        const MuseCandidate *c = &r->candidates[k];
        if (muse_agent_info(r->agents[c->vote], &info) < 0) continue;
        yajl_gen_map_open(g);
        json_key(g, "answer");
        json_string(g, info.answer, info.n_answer);
        json_integer(g, "agent", (long long)c->vote + 1);
        json_integer(g, "votes", c->count);
        json_number(g, "weight", c->weight);
        json_number(g, "cross", c->cross);
        json_number(g, "score", c->score);
        yajl_gen_map_close(g);
    }
    yajl_gen_array_close(g);
    yajl_gen_map_close(g);
}

static void gen_pictures(yajl_gen g, const AskJson *more)
{
    long long number = 0;
    json_key(g, "pictures");
    yajl_gen_array_open(g);
    for (size_t i = 0; i < more->n_parts; i++) {
        MuseImageInfo info;
        MuseImagePlan plan;
        if (more->parts[i].modality != MUSE_IMAGE) continue;
        yajl_gen_map_open(g);
        json_integer(g, "image", ++number);
        if (muse_image_info(more->parts[i].image, &info) == 0 &&   /* else nothing is known but that there is one */
            muse_image_plan(&muse_model_family(more->model)->image, info.width, info.height, more->parts[i].budget, &plan, NULL) == 0) json_plan(g, &plan);
        yajl_gen_map_close(g);
    }
    yajl_gen_array_close(g);
}

int ask_print_json(const MuseTrace *trace, const AskJson *more)
{
    const unsigned char *text;
    size_t size;
    yajl_gen g = yajl_gen_alloc(NULL);
    if (!g) return EXIT_RESOURCE;
    yajl_gen_map_open(g);
    gen_agents(g, more->agents, more->n);
    if (more->vote) gen_vote(g, more->vote);
    if (more->model) gen_pictures(g, more);
    yajl_gen_map_close(g);
    const int code = yajl_gen_get_buf(g, &text, &size) == yajl_gen_status_ok ? trace_print_json(trace, (const char *)text, size) : EXIT_RESOURCE;
    yajl_gen_free(g);
    return code;
}
