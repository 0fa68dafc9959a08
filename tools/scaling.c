/* SPDX-License-Identifier: Apache-2.0 */
/* muse scaling: trains a ladder of sizes and lengths from one document, fits L(N, D) to their losses and predicts the next. A run that
 * is finished is not done again, so an interrupted ladder goes on. The fit is libmuse's (muse/scaling.h). */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "muse/scaling.h"
#include "tools/nano/doc.h"
#include "tools/train_run.h"

enum { RUNS_MAX = 64, LIST_MAX = 16, PATH_BYTES = 4096 };

typedef struct Rung {
    size_t   size;               /* index of "sizes" */
    uint64_t steps;
    char    *folder;             /* of its model, once it is finished */
    MuseScalingPoint point;
} Rung;

typedef struct Ladder {
    const char *path;
    yajl_val doc, base, sizes[LIST_MAX];
    char    *folder, *base_folder;   /* where paths of the two documents start */
    char     out[PATH_BYTES];
    Rung     rungs[RUNS_MAX];
    size_t   n, n_sizes;
    double   tail;
    uint64_t seed;
    yajl_val next_size;
    uint64_t next_steps;             /* 0: no prediction is asked for */
    MuseScalingPoint next;
    MuseScalingFit fit;
    MuseRuntime *rt;
    double   said;
} Ladder;

static void help(FILE *to)
{
    fputs("usage: muse scaling CONFIG.json [OPTION ...]\n"
          "Trains a ladder of models from one document (docs/train.md, \"Scaling\"), fits loss = E + A / N^a + B / D^b and predicts the next.\n"
          "Finished runs are kept and not done again; an interrupt saves the running one and stops.\n\n"
          "  --threads N               size of the thread team; all cores unless told\n"
          "  --cpu-level LEVEL         c, avx2, avx512 or amx; the best unless told\n"
          "  --json                    JSON on stdout instead of a table\n"
          "  --quiet                   no progress, no warnings\n"
          "\nexit codes: 0 done, 2 usage, 3 bad input file, 4 unsupported, 5 memory or limit, 6 interrupted, 1 anything else\n", to);
}

static int fail(const Ladder *l, MuseError *err, int code, const char *text)
{
    err->code = code;
    snprintf(err->text, sizeof err->text, "%.200s: %s", l->path, text);
    return err->code;
}

static int refuse(const Ladder *l, MuseError *err, const char *text) { return fail(l, err, MUSE_ERR_FORMAT, text); }

/* ---- the document ---- */

/* every key of the object is one of these, once */
static bool only(yajl_val object, const char *const *names)
{
    int twice;
    return !nano_doc_odd_key(object, names, &twice);
}
#define ONLY(object, ...) only(object, (const char *const[]){ __VA_ARGS__, NULL })

static bool read_count(yajl_val v, uint64_t *out)
{
    if (!YAJL_IS_INTEGER(v) || YAJL_GET_INTEGER(v) < 1 || YAJL_GET_INTEGER(v) > UINT32_MAX) return false;
    *out = (uint64_t)YAJL_GET_INTEGER(v);
    return true;
}

static int read_lists(Ladder *l, MuseError *err)
{
    yajl_val sizes = nano_doc_get(l->doc, "sizes"), steps = nano_doc_get(l->doc, "steps");
    if (!YAJL_IS_ARRAY(sizes) || !YAJL_IS_ARRAY(steps) || sizes->u.array.len < 1 || sizes->u.array.len > LIST_MAX || steps->u.array.len < 1 || steps->u.array.len > LIST_MAX ||
        sizes->u.array.len * steps->u.array.len > RUNS_MAX)
        return refuse(l, err, "\"sizes\" and \"steps\" are not lists of 1 to 16, of at most 64 runs together");
    if (sizes->u.array.len * steps->u.array.len < MUSE_SCALING_POINTS_MIN) return refuse(l, err, "\"sizes\" and \"steps\" make fewer than 6 runs: too few for a fit");
    for (size_t i = 0; i < sizes->u.array.len; i++) {
        l->sizes[l->n_sizes++] = sizes->u.array.values[i];
        if (!YAJL_IS_OBJECT(sizes->u.array.values[i])) return refuse(l, err, "\"sizes\" holds something that is no object");
        for (size_t k = 0; k < steps->u.array.len; k++) {
            Rung *r = &l->rungs[l->n++];
            r->size = i;
            if (!read_count(steps->u.array.values[k], &r->steps)) return refuse(l, err, "\"steps\" holds something that is no number of steps");
        }
    }
    return 0;
}

static int read_next(Ladder *l, MuseError *err)
{
    yajl_val next = nano_doc_get(l->doc, "next"), tail = nano_doc_get(l->doc, "tail"), seed = nano_doc_get(l->doc, "seed");
    l->tail = 0.1;
    l->seed = 1;
    if (tail && !(YAJL_IS_NUMBER(tail) && (l->tail = YAJL_GET_DOUBLE(tail)) > 0 && l->tail <= 1)) return refuse(l, err, "\"tail\" is not a share above 0 and at most 1");
    if (seed && !(YAJL_IS_INTEGER(seed) && YAJL_GET_INTEGER(seed) >= 0)) return refuse(l, err, "\"seed\" is not a whole number");
    if (seed) l->seed = (uint64_t)YAJL_GET_INTEGER(seed);
    if (!next) return 0;
    if (!YAJL_IS_OBJECT(next) || !ONLY(next, "size", "steps") || !YAJL_IS_OBJECT(nano_doc_get(next, "size")) || !read_count(nano_doc_get(next, "steps"), &l->next_steps))
        return refuse(l, err, "\"next\" is not {\"size\": {...}, \"steps\": n}");
    l->next_size = nano_doc_get(next, "size");
    return 0;
}

static int read_doc(const Ladder *l, MuseError *err, const char *json, size_t size, yajl_val *doc)
{
    int code;
    *doc = nano_doc_parse(json, size, &code);
    if (code == MUSE_ERR_NOMEM) return fail(l, err, code, "no memory for a document");
    if (code == MUSE_ERR_LIMIT) return fail(l, err, code, "a document of over 8,192 objects and lists");
    return YAJL_IS_OBJECT(*doc) ? 0 : refuse(l, err, "not a JSON object");
}

/* "train": a document, or the path of one */
static int read_base(Ladder *l, MuseError *err)
{
    yajl_val train = nano_doc_get(l->doc, "train");
    char path[PATH_BYTES];
    size_t size;
    l->base = train;
    if (!YAJL_IS_STRING(train)) {
        if (!YAJL_IS_OBJECT(train)) return refuse(l, err, "\"train\" is neither a training document nor the path of one");
        l->base_folder = strdup(l->folder);
        return l->base_folder ? 0 : fail(l, err, MUSE_ERR_NOMEM, "no memory for a path");
    }
    if (nano_doc_path(path, sizeof path, l->folder, train->u.string) < 0) return refuse(l, err, "\"train\" is too long a path");
    l->base = NULL;
    if (!(l->base_folder = train_folder(path))) return fail(l, err, MUSE_ERR_NOMEM, "no memory for a path");
    char *json = train_read(path, &size);
    int rc = json ? read_doc(l, err, json, size, &l->base) : fail(l, err, MUSE_ERR_IO, "can't read");
    free(json);
    if (rc < 0) snprintf(err->text + strlen(err->text), sizeof err->text - strlen(err->text), ": the file of \"train\"");
    return rc;
}

static int read_ladder(Ladder *l, MuseError *err)
{
    yajl_val out = nano_doc_get(l->doc, "out");
    if (!ONLY(l->doc, "train", "out", "sizes", "steps", "next", "tail", "seed")) return refuse(l, err, "a key that is not known, or stands there twice: there are train, out, sizes, steps, next, tail, seed");
    if (!YAJL_IS_STRING(out) || !out->u.string[0]) return refuse(l, err, "\"out\" is not a path");
    if (nano_doc_path(l->out, sizeof l->out - 64, l->folder, out->u.string) < 0) return refuse(l, err, "\"out\" is too long a path");
    int rc = read_lists(l, err);
    if (rc == 0) rc = read_next(l, err);
    return rc < 0 ? rc : read_base(l, err);
}

/* ---- a run's own document ---- */

static void gen(yajl_gen g, yajl_val v)
{
    if (YAJL_IS_STRING(v)) yajl_gen_string(g, (const unsigned char *)v->u.string, strlen(v->u.string));
    else if (YAJL_IS_NUMBER(v)) yajl_gen_number(g, v->u.number.r, strlen(v->u.number.r));
    else if (YAJL_IS_TRUE(v) || YAJL_IS_FALSE(v)) yajl_gen_bool(g, YAJL_IS_TRUE(v));
    else if (YAJL_IS_ARRAY(v)) {
        yajl_gen_array_open(g);
        for (size_t i = 0; i < v->u.array.len; i++) gen(g, v->u.array.values[i]);
        yajl_gen_array_close(g);
    } else if (YAJL_IS_OBJECT(v)) {
        yajl_gen_map_open(g);
        for (size_t i = 0; i < v->u.object.len; i++) {
            json_key(g, v->u.object.keys[i]);
            gen(g, v->u.object.values[i]);
        }
        yajl_gen_map_close(g);
    } else yajl_gen_null(g);
}

/* members of over go before those of base, objects in objects too; steps (0: not here) before both */
static void merge(yajl_gen g, yajl_val base, yajl_val over, uint64_t steps)
{
    yajl_gen_map_open(g);
    for (size_t i = 0; i < base->u.object.len; i++) {
        const char *key = base->u.object.keys[i];
        yajl_val mine = base->u.object.values[i], other = nano_doc_get(over, key);
        if (steps && strcmp(key, "steps") == 0) continue;
        json_key(g, key);
        if (YAJL_IS_OBJECT(mine) && YAJL_IS_OBJECT(other)) merge(g, mine, other, 0);
        else gen(g, other ? other : mine);
    }
    for (size_t i = 0; i < over->u.object.len; i++) {
        if (nano_doc_get(base, over->u.object.keys[i]) || (steps && strcmp(over->u.object.keys[i], "steps") == 0)) continue;
        json_key(g, over->u.object.keys[i]);
        gen(g, over->u.object.values[i]);
    }
    if (steps) json_integer(g, "steps", (long long)steps);
    yajl_gen_map_close(g);
}

static char *document(const Ladder *l, yajl_val size, uint64_t steps, size_t *n)
{
    const unsigned char *text;
    yajl_gen g = yajl_gen_alloc(NULL);
    if (!g) return NULL;
    merge(g, l->base, size, steps);
    char *copy = yajl_gen_get_buf(g, &text, n) == yajl_gen_status_ok ? malloc(*n + 1) : NULL;
    if (copy) memcpy(copy, text, *n + 1);
    yajl_gen_free(g);
    return copy;
}

/* ---- a run ---- */

/* mean text_loss over the last steps, and the positions of the last one, from the log of a finished checkpoint */
static int read_log(const Ladder *l, const char *folder, Rung *r, MuseError *err)
{
    char path[PATH_BYTES + 64], line[65536];
    unsigned long long step = 0;
    double positions = 0, text, sum = 0, n = 0;
    snprintf(path, sizeof path, "%s/log.csv", folder);
    FILE *f = fopen(path, "r");
    if (!f) return fail(l, err, MUSE_ERR_IO, "a run's log.csv can't be read");
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%llu,%lf,%*f,%lf", &step, &positions, &text) != 3) continue;
        if ((double)step <= (1 - l->tail) * (double)r->steps && step < r->steps) continue;
        sum += text;
        n++;
    }
    fclose(f);
    if (step != r->steps || n == 0) return refuse(l, err, "a run's log.csv does not reach its last step");
    r->point.positions = positions;
    r->point.loss = sum / n;
    return 0;
}

static void tell(Ladder *l, const Cli *cli, size_t number, const MuseTrainReport *report)
{
    const double t = cli_now();
    if (cli->quiet || t - l->said < 15) return;
    l->said = t;
    fprintf(stderr, "run %zu/%zu: %" PRIu64 "/%" PRIu64 "  loss %.4f\n", number + 1, l->n, report->step, report->steps, report->text_loss);
}

/* what is there was begun from this very document: its names tell size and steps only by number */
static int same_document(const TrainRun *run, const char *json, size_t n, MuseError *err)
{
    MuseTrainerInfo info;
    char path[PATH_BYTES + 128];
    size_t size = 0;
    int rc = muse_trainer_info(run->trainer, &info);
    if (rc < 0) return rc;
    snprintf(path, sizeof path, "%s/document.json", info.folder);
    char *old = train_read(path, &size);
    if (!old || size != n || memcmp(old, json, n) != 0) {
        rc = err->code = old ? MUSE_ERR_STATE : MUSE_ERR_IO;
        snprintf(err->text, sizeof err->text, "%.300s: %s", info.folder, old ? "a run of another document: remove it, or choose another \"out\"" : "its document.json can't be read");
    }
    free(old);
    return rc;
}

static int open_rung(Ladder *l, TrainRun *run, const Rung *r, const char *out, MuseError *err)
{
    MuseTrainerParams p;
    size_t n;
    char *json = document(l, l->sizes[r->size], r->steps, &n);
    if (!json) return fail(l, err, MUSE_ERR_NOMEM, "no memory for a document");
    muse_trainer_params_init(&p);
    p.folder = l->base_folder, p.out = out, p.resume = 1;
    int rc = train_run_open(run, l->rt, json, n, p, err);
    if (rc == 0) rc = same_document(run, json, n, err);
    if (rc == MUSE_ERR_NOT_FOUND) {   /* nothing there yet */
        train_run_close(run);
        *run = (TrainRun){ .tokenizer = NULL };
        p.resume = 0;
        rc = train_run_open(run, l->rt, json, n, p, err);
    }
    free(json);
    return rc;
}

static void run_folder(const Ladder *l, size_t number, char path[PATH_BYTES + 64])
{
    snprintf(path, PATH_BYTES + 64, "%s/size-%zu-steps-%" PRIu64, l->out, l->rungs[number].size + 1, l->rungs[number].steps);
}

/* MUSE_ERR_CANCELLED: interrupted, saved */
static int train_rung(Ladder *l, const Cli *cli, size_t number, MuseError *err)
{
    Rung *r = &l->rungs[number];
    TrainRun run = { .tokenizer = NULL };
    MuseTrainReport report;
    MuseTrainerInfo info;
    char out[PATH_BYTES + 64];
    run_folder(l, number, out);
    int rc = open_rung(l, &run, r, out, err);
    while (rc == 0 && (rc = muse_trainer_step(run.trainer, &report, err)) == 0) {
        tell(l, cli, number, &report);
        if (!cli_interrupted(NULL) || report.step == report.steps) continue;
        rc = muse_trainer_save(run.trainer, err);
        if (rc == 0) rc = err->code = MUSE_ERR_CANCELLED;
    }
    if (rc == MUSE_DONE) rc = muse_trainer_info(run.trainer, &info);
    if (rc == 0) {
        r->point.parameters = (double)info.n_parameters;
        rc = read_log(l, info.folder, r, err);
        r->folder = strdup(info.folder);
    }
    if (rc == 0 && !cli->quiet) fprintf(stderr, "run %zu/%zu: %.0f parameters, %.0f positions: loss %.4f\n", number + 1, l->n, r->point.parameters, r->point.positions, r->point.loss);
    train_run_close(&run);
    return rc;
}

/* the path of next's config.json: that of a model folder, or written for the moment: *own */
static int next_config(const Ladder *l, yajl_val model, char *path, size_t cap, bool *own, MuseError *err)
{
    const unsigned char *text;
    char name[PATH_BYTES];
    size_t n;
    *own = YAJL_IS_OBJECT(model);
    if (YAJL_IS_STRING(model) && snprintf(name, sizeof name, "%s/config.json", model->u.string) < (int)sizeof name && nano_doc_path(path, cap, l->base_folder, name) == 0) return 0;
    if (!*own) return refuse(l, err, "\"next\": \"model\" is neither a configuration nor the path of a model");
    snprintf(path, cap, "%s/next.json", l->out);
    yajl_gen g = yajl_gen_alloc(NULL);
    if (!g) return fail(l, err, MUSE_ERR_NOMEM, "no memory for a document");
    gen(g, model);
    FILE *f = yajl_gen_get_buf(g, &text, &n) == yajl_gen_status_ok ? fopen(path, "wb") : NULL;
    bool good = f && fwrite(text, 1, n, f) == n;
    good = f && fclose(f) == 0 && good;
    yajl_gen_free(g);
    return good ? 0 : fail(l, err, MUSE_ERR_IO, "\"out\": can't write there");
}

/* its parameters, of its configuration: before anything is trained, and without memory for it */
static int size_next(Ladder *l, MuseError *err)
{
    MuseModelParams p;
    MuseModelInfo info;
    MuseModel *m = NULL;
    char path[PATH_BYTES + 64];
    bool own = false;
    size_t n;
    yajl_val doc = NULL;
    if (!l->next_steps) return 0;
    char *json = document(l, l->next_size, l->next_steps, &n);
    int rc = json ? read_doc(l, err, json, n, &doc) : fail(l, err, MUSE_ERR_NOMEM, "no memory for a document");
    if (rc == 0) rc = next_config(l, nano_doc_get(doc, "model"), path, sizeof path, &own, err);
    muse_model_params_init(&p);
    p.weights = MUSE_WEIGHTS_NONE;
    if (rc == 0) rc = muse_model_open(&m, l->rt, path, &p, err);
    if (rc == 0) rc = muse_model_info(m, &info);
    if (rc == 0) l->next.parameters = (double)info.n_parameters;
    if (own) remove(path);
    muse_model_close(&m);
    yajl_tree_free(doc);
    free(json);
    return rc;
}

static int make_folder(const char *path, MuseError *err)
{
    if (cli_make_folder(path)) return 0;
    err->code = MUSE_ERR_IO;
    snprintf(err->text, sizeof err->text, "%.400s: can't make the folder: %.80s", path, strerror(errno));
    return err->code;
}

static int climb(Ladder *l, const Cli *cli, MuseError *err)
{
    MuseScalingPoint points[RUNS_MAX];
    char path[PATH_BYTES + 64];
    int rc = make_folder(l->out, err);
    if (rc == 0) rc = size_next(l, err);
    for (size_t i = 0; i < l->n && rc == 0; i++) {   /* what can't be written is told before anything is trained */
        run_folder(l, i, path);
        rc = make_folder(path, err);
    }
    snprintf(path, sizeof path, "%s/scaling.png", l->out);
    if (rc == 0 && cli_check_writable(path) != EXIT_OK) rc = fail(l, err, MUSE_ERR_IO, "\"out\": the picture of the fit can't be written");
    for (size_t i = 0; i < l->n && rc == 0; i++) {
        rc = train_rung(l, cli, i, err);
        points[i] = l->rungs[i].point;
    }
    if (rc == 0) rc = muse_scaling_fit(points, l->n, l->seed, &l->fit, err);
    for (size_t i = 0; i < l->n; i++) l->next.positions += l->rungs[i].point.positions / (double)l->rungs[i].steps / (double)l->n * (double)l->next_steps;   /* as many a step */
    return rc < 0 ? rc : muse_scaling_draw(l->rt, path, &l->fit, points, l->n, l->next_steps ? &l->next : NULL, err);
}

/* ---- what is said at the end ---- */

static const char *const names[MUSE_SCALING_VALUES] = { "E", "A", "a", "B", "b" };

static void print_table(const Ladder *l)
{
    double low, high;
    printf("%12s %14s %10s %10s\n", "parameters", "positions", "loss", "fit");
    for (size_t i = 0; i < l->n; i++) {
        const MuseScalingPoint *p = &l->rungs[i].point;
        printf("%12.0f %14.0f %10.4f %10.4f\n", p->parameters, p->positions, p->loss, muse_scaling_predict(&l->fit, p->parameters, p->positions, NULL, NULL));
    }
    printf("\nloss = E + A / N^a + B / D^b; 90 %% bars; residuals %.2g of the loss\n", l->fit.error);
    for (int k = 0; k < MUSE_SCALING_VALUES; k++) printf("  %s %10.4g  (%.4g .. %.4g)\n", names[k], l->fit.value[k], l->fit.low[k], l->fit.high[k]);
    if (!l->next_steps) return;
    const double loss = muse_scaling_predict(&l->fit, l->next.parameters, l->next.positions, &low, &high);
    printf("next: %.0f parameters, %.0f positions: loss %.4f (%.4f .. %.4f)\n", l->next.parameters, l->next.positions, loss, low, high);
}

/* where the best model is; a folder is missing when memory was */
static void tell_folder(const Ladder *l)
{
    const Rung *best = &l->rungs[0];
    for (size_t i = 1; i < l->n; i++)
        if (l->rungs[i].point.loss < best->point.loss) best = &l->rungs[i];
    fprintf(stderr, "muse: the runs are in %s, drawn in %s/scaling.png\n", l->out, l->out);
    if (best->folder) fprintf(stderr, "  ask the best: muse ask --model %s ...   (--mode instant if it saw no thoughts)\n", best->folder);
}

static void gen_interval(yajl_gen g, double value, double low, double high)
{
    json_number(g, "value", value);
    json_number(g, "low", low);
    json_number(g, "high", high);
}

static int print_json(const Ladder *l)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    double low, high;
    yajl_gen_map_open(g);
    json_key(g, "runs");
    yajl_gen_array_open(g);
    for (size_t i = 0; i < l->n; i++) {
        const MuseScalingPoint *p = &l->rungs[i].point;
        yajl_gen_map_open(g);
        json_number(g, "parameters", p->parameters);
        json_number(g, "positions", p->positions);
        json_integer(g, "steps", (long long)l->rungs[i].steps);
        if (l->rungs[i].folder) json_text(g, "folder", l->rungs[i].folder);
        json_number(g, "loss", p->loss);
        json_number(g, "fit", muse_scaling_predict(&l->fit, p->parameters, p->positions, NULL, NULL));
        yajl_gen_map_close(g);
    }
    yajl_gen_array_close(g);
    json_key(g, "fit");
    yajl_gen_map_open(g);
    for (int k = 0; k < MUSE_SCALING_VALUES; k++) {
        json_key(g, names[k]);
        yajl_gen_map_open(g);
        gen_interval(g, l->fit.value[k], l->fit.low[k], l->fit.high[k]);
        yajl_gen_map_close(g);
    }
    json_number(g, "error", l->fit.error);
    yajl_gen_map_close(g);
    if (l->next_steps) {
        const double loss = muse_scaling_predict(&l->fit, l->next.parameters, l->next.positions, &low, &high);
        json_key(g, "next");
        yajl_gen_map_open(g);
        json_number(g, "parameters", l->next.parameters);
        json_number(g, "positions", l->next.positions);
        gen_interval(g, loss, low, high);
        yajl_gen_map_close(g);
    }
    json_text(g, "folder", l->out);
    yajl_gen_map_close(g);
    const int code = json_print(g);
    yajl_gen_free(g);
    return code;
}

static int read_options(Cli *cli, Ladder *l)
{
    int code = EXIT_OK;
    const char *option;
    while ((option = cli_next(cli, &code))) {
        if (strcmp(option, "--help") == 0) {
            help(stdout);
            return -1;
        }
        if (option[0] == '-' && option[1]) code = cli_no_option(cli, option);
        else if (l->path) code = cli_usage("scaling: one document, not %s and %s", l->path, option);
        else l->path = option;
    }
    if (code == EXIT_OK && !l->path) code = cli_usage("scaling: which document? (muse scaling CONFIG.json)");
    return code;
}

int cmd_scaling(Cli *cli)
{
    Ladder *l = calloc(1, sizeof *l);
    if (!l) return EXIT_RESOURCE;
    MuseError err = { 0 };
    size_t size;
    int code = read_options(cli, l), rc = 0;
    char *json = code == EXIT_OK ? train_read(l->path, &size) : NULL;
    if (code == EXIT_OK && !json) code = EXIT_INPUT;
    if (code == EXIT_OK) {
        l->folder = train_folder(l->path);
        rc = l->folder ? read_doc(l, &err, json, size, &l->doc) : fail(l, &err, MUSE_ERR_NOMEM, "no memory for a path");
        if (rc == 0) rc = read_ladder(l, &err);
        if (rc == 0) rc = muse_runtime_open(&l->rt, &cli->runtime, &err);
        cli_catch_interrupts(true);
        if (rc == 0) rc = climb(l, cli, &err);
        if (rc == MUSE_ERR_CANCELLED) fprintf(stderr, "muse: interrupted; what is done is saved in %s: the same command goes on\n", l->out);
        else if (rc < 0) code = cli_fail(&err, NULL);
        else if (cli->json) code = print_json(l);
        else print_table(l);
        if (rc == 0 && !cli->quiet) tell_folder(l);
        if (rc == MUSE_ERR_CANCELLED) code = EXIT_CANCELLED;
    }
    muse_runtime_close(&l->rt);
    if (l->base && l->base != nano_doc_get(l->doc, "train")) yajl_tree_free(l->base);
    yajl_tree_free(l->doc);
    for (size_t i = 0; i < l->n; i++) free(l->rungs[i].folder);
    free(l->folder);
    free(l->base_folder);
    free(json);
    free(l);
    return code < 0 ? EXIT_OK : code;
}
