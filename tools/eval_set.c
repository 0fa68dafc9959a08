/* SPDX-License-Identifier: Apache-2.0 */
/* Reading data sets as questions: eval_set.h. What a line may hold: docs/eval.md. */
#include "tools/eval_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/score.h"

enum { BRACKETS_MAX = 8192 };   /* of objects and lists in a line: yajl releases its tree by recursion */

static int fail(MuseError *err, int code, const char *text)
{
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s", text);
    return code;
}

static int prefix(MuseError *err, const char *path, size_t line)
{
    char text[sizeof err->text];
    memcpy(text, err->text, sizeof text);
    snprintf(err->text, sizeof err->text, "%.400s:%zu: %.*s", path, line, (int)(sizeof text - 430), text);
    return err->code;
}

int eval_say_where(const EvalQuestion *q, MuseError *err) { return prefix(err, q->set, q->line); }

static yajl_val get(yajl_val object, const char *key)
{
    for (size_t i = 0; YAJL_IS_OBJECT(object) && i < object->u.object.len; i++)
        if (strcmp(object->u.object.keys[i], key) == 0) return object->u.object.values[i];
    return NULL;
}

static size_t length(yajl_val list) { return YAJL_IS_ARRAY(list) ? list->u.array.len : 0; }

/* room for one more of n things */
static bool grow(void *list, size_t n, size_t *cap, size_t size)
{
    void **at = list;
    if (n < *cap) return true;
    const size_t more = *cap ? 2 * *cap : 256;
    void *larger = more < SIZE_MAX / size ? realloc(*at, more * size) : NULL;
    if (!larger) return false;
    *at = larger;
    *cap = more;
    return true;
}

/* ---- what a line must be ---- */

static const char *const media[] = { "text", "image", "audio" };
static const int modalities[] = { MUSE_TEXT, MUSE_IMAGE, MUSE_AUDIO };

/* which of the media a part is, and its text or path; -1: no part that can be asked */
static int kind_of(yajl_val part, const char **value)
{
    int kind = -1;
    for (int i = 0; i < 3; i++) {
        yajl_val v = get(part, media[i]);
        if (!v) continue;
        if (kind >= 0 || !YAJL_IS_STRING(v)) return -1;
        kind = i;
        *value = v->u.string;
    }
    return get(part, "region") || get(part, "given") ? -1 : kind;
}

static bool budget_of(yajl_val part, uint32_t *budget)
{
    yajl_val v = get(part, "budget");
    *budget = 0;
    if (!v) return true;
    if (!YAJL_IS_INTEGER(v) || YAJL_GET_INTEGER(v) < 0 || YAJL_GET_INTEGER(v) > UINT32_MAX) return false;
    *budget = (uint32_t)YAJL_GET_INTEGER(v);
    return true;
}

static int check_parts(yajl_val parts, MuseError *err)
{
    const char *value;
    uint32_t budget;
    for (size_t i = 0; i < length(parts); i++) {
        yajl_val p = parts->u.array.values[i];
        if (kind_of(p, &value) < 0) return fail(err, MUSE_ERR_FORMAT, "a part is not an object with one of \"text\", \"image\", \"audio\"");
        if (!budget_of(p, &budget)) return fail(err, MUSE_ERR_FORMAT, "\"budget\" is not a number of patches");
        if (YAJL_IS_TRUE(get(p, "learn"))) return fail(err, MUSE_ERR_FORMAT, "a line whose parts the model learns to write (\"learn\") is no question");
    }
    return 0;
}

static int check_question(const EvalQuestion *q, yajl_val object, MuseError *err)
{
    yajl_val answer = get(object, "answer");
    if (q->own && !YAJL_IS_ARRAY(q->own)) return fail(err, MUSE_ERR_FORMAT, "\"parts\" of a branch is not a list");
    if (check_parts(q->own, err) < 0) return err->code;
    if (eval_parts_max(q) == 0) return fail(err, MUSE_ERR_FORMAT, "a question without parts");
    if (!answer || !YAJL_IS_STRING(answer) || !*q->answer) return fail(err, MUSE_ERR_FORMAT, "\"answer\" is missing, or no text");
    if (q->accept && !YAJL_IS_ARRAY(q->accept)) return fail(err, MUSE_ERR_FORMAT, "\"accept\" is not a list");
    for (size_t i = 0; i < length(q->accept); i++)
        if (!YAJL_IS_STRING(q->accept->u.array.values[i])) return fail(err, MUSE_ERR_FORMAT, "\"accept\" holds something that is no text");
    return 0;
}

static int add_question(EvalSets *sets, EvalQuestion q, yajl_val object, MuseError *err)
{
    yajl_val task = get(object, "task"), answer = get(object, "answer");
    if (task && !YAJL_IS_STRING(task)) return fail(err, MUSE_ERR_FORMAT, "\"task\" is no text");
    q.task = task ? task->u.string : "(none)";
    q.answer = answer && YAJL_IS_STRING(answer) ? answer->u.string : "";
    q.answer += strspn(q.answer, " ");   /* as the model is to write it; equal answers are compared without */
    q.accept = get(object, "accept");
    if (check_question(&q, object, err) < 0) return err->code;
    if (!grow(&sets->questions, sets->n, &sets->cap, sizeof q)) return fail(err, MUSE_ERR_NOMEM, "no memory for the questions");
    sets->questions[sets->n++] = q;
    return 0;
}

static int add_line(EvalSets *sets, const char *path, size_t number, yajl_val root, MuseError *err)
{
    EvalQuestion q = { .set = path, .line = number, .shared = get(root, "parts") };
    yajl_val branches = get(root, "branches");
    if (!YAJL_IS_OBJECT(root)) return fail(err, MUSE_ERR_FORMAT, "not a JSON object");
    if (q.shared && !YAJL_IS_ARRAY(q.shared)) return fail(err, MUSE_ERR_FORMAT, "\"parts\" is not a list");
    int rc = check_parts(q.shared, err);
    if (rc < 0 || !branches) return rc < 0 ? rc : add_question(sets, q, root, err);
    if (length(branches) == 0) return fail(err, MUSE_ERR_FORMAT, "\"branches\" is not a list with an element");
    for (size_t i = 0; i < length(branches) && rc == 0; i++) {
        q.own = get(branches->u.array.values[i], "parts");
        rc = add_question(sets, q, branches->u.array.values[i], err);
    }
    return rc;
}

/* ---- the file ---- */

static int parse(yajl_val *out, const char *line, size_t n, MuseError *err)
{
    char why[160] = "";
    size_t brackets = 0;
    *out = NULL;
    if (strlen(line) != n) return fail(err, MUSE_ERR_FORMAT, "a zero byte");
    for (size_t i = 0; i < n; i++) brackets += line[i] == '{' || line[i] == '[';
    if (brackets > BRACKETS_MAX) return fail(err, MUSE_ERR_FORMAT, "more than 8192 brackets");
    *out = yajl_tree_parse(line, why, sizeof why);
    if (*out) return 0;
    why[strcspn(why, "\n")] = 0;   /* below it the line and an arrow */
    err->code = MUSE_ERR_FORMAT;
    snprintf(err->text, sizeof err->text, "no JSON: %s", *why ? why : "unreadable");
    return err->code;
}

/* one line; a line whose question is broken adds none of its questions */
static int take_line(EvalSets *sets, const char *path, size_t number, const char *line, size_t n, MuseError *err)
{
    const size_t before = sets->n;
    yajl_val root;
    int rc = parse(&root, line, n, err);
    if (rc == 0 && !grow(&sets->lines, sets->n_lines, &sets->cap_lines, sizeof root)) {
        yajl_tree_free(root);
        return fail(err, MUSE_ERR_NOMEM, "no memory for the lines");
    }
    if (rc == 0) sets->lines[sets->n_lines++] = root;
    if (rc == 0) rc = add_line(sets, path, number, root, err);
    if (rc == 0) return 0;
    sets->n = before;
    prefix(err, path, number);
    if (rc != MUSE_ERR_FORMAT || !sets->skip_broken) return rc;
    fprintf(stderr, "muse: left out: %s\n", err->text);
    sets->skipped++;
    return 0;
}

int eval_sets_add(EvalSets *sets, const char *path, size_t limit, MuseError *err)
{
    FILE *f = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0, number = 0;
    const size_t before = sets->n, most = limit ? before + limit : SIZE_MAX;
    ssize_t n = 0;
    int rc = 0;
    errno = f ? 0 : errno;
    while (f && rc == 0 && sets->n < most && (n = getline(&line, &cap, f)) >= 0) {
        while (n && strchr(" \t\r\n", line[n - 1]) && line[n - 1]) line[--n] = 0;
        number++;
        if (n) rc = take_line(sets, path, number, line, (size_t)n, err);
        errno = 0;
    }
    if (rc == 0 && (!f || ferror(f) || (n < 0 && errno == ENOMEM))) {
        err->code = errno == ENOMEM ? MUSE_ERR_NOMEM : MUSE_ERR_IO;
        snprintf(err->text, sizeof err->text, "%.400s: can't read: %s", path, strerror(errno));
        rc = err->code;
    }
    if (sets->n > most) sets->n = most;   /* the last line had more questions */
    if (rc == 0 && sets->n == before) {
        rc = fail(err, MUSE_ERR_FORMAT, "no questions");
        prefix(err, path, number);
    }
    free(line);
    if (f) fclose(f);
    return rc;
}

void eval_sets_clear(EvalSets *sets)
{
    for (size_t i = 0; i < sets->n_lines; i++) yajl_tree_free(sets->lines[i]);
    free(sets->lines);
    free(sets->questions);
    *sets = (EvalSets){ 0 };
}

/* ---- parts ---- */

size_t eval_parts_max(const EvalQuestion *q) { return length(q->shared) + length(q->own); }

/* paths start where the set lies */
static int open_media(const EvalQuestion *q, MuseRuntime *rt, const char *name, MuseReasonPart *out, MuseError *err)
{
    const char *slash = strrchr(q->set, '/');
    const size_t folder = *name != '/' && slash ? (size_t)(slash - q->set) + 1 : 0, n = strlen(name);
    char *path = malloc(folder + n + 1);
    if (!path) return fail(err, MUSE_ERR_NOMEM, "no memory for a path");
    memcpy(path, q->set, folder);
    memcpy(path + folder, name, n + 1);
    const int rc = out->modality == MUSE_IMAGE ? muse_image_open_file(&out->image, rt, path, NULL, err) : muse_audio_open_file(&out->audio, rt, path, NULL, err);
    free(path);
    return rc;
}

int eval_parts_open(const EvalQuestion *q, MuseRuntime *rt, MuseReasonPart *out, size_t *n, MuseError *err)
{
    const yajl_val lists[] = { q->shared, q->own };
    int rc = 0;
    *n = 0;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < length(lists[k]) && rc == 0; i++) {
            const char *value = "";
            MuseReasonPart *p = &out[(*n)++];
            *p = (MuseReasonPart){ .modality = modalities[kind_of(lists[k]->u.array.values[i], &value)] };
            budget_of(lists[k]->u.array.values[i], &p->budget);
            p->text = value;
            if (p->modality != MUSE_TEXT) rc = open_media(q, rt, value, p, err);
        }
    return rc < 0 ? eval_say_where(q, err) : 0;
}

void eval_parts_close(MuseReasonPart *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        muse_image_close(&parts[i].image);
        muse_audio_close(&parts[i].audio);
    }
}

bool eval_is_right(const EvalQuestion *q, const char *given, size_t n)
{
    bool right = score_same(given, n, q->answer);
    for (size_t i = 0; i < length(q->accept) && !right; i++) right = score_same(given, n, q->accept->u.array.values[i]->u.string);
    return right;
}
