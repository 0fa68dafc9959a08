/* SPDX-License-Identifier: Apache-2.0 */
/* generation_config.json (stop and suppressed ids, suggested sampling) and processor_config.json (what the publisher's
 * processor does to media, which must be what this library does). Called by libmuse/model/model.c. */
#include <math.h>

#include "libmuse/model/config.h"
#include "libmuse/model/config_read.h"

static int open_object(MuseJson *doc, const MuseAllocator *a, const void *bytes, size_t size, const char *where, MuseError *err)
{
    int rc = muse_json_parse(doc, a, bytes, size, err);
    if (rc < 0) return muse_fail_prefix(err, rc, "%s", where);
    if (muse_json_is(doc->root, MUSE_JSON_OBJECT)) return 0;
    muse_json_close(doc);
    return muse_fail(err, MUSE_ERR_FORMAT, "%s: not an object", where);
}

/* an id, or a list of ids; replaces or adds to the list */
static void read_list(MuseReader *r, const char *key, MuseIds *list, uint32_t vocab, bool replace)
{
    const MuseJsonValue *v = muse_json_get(r->object, key);
    if (r->rc < 0 || !v || v->type == MUSE_JSON_NULL) return;
    const bool many = v->type == MUSE_JSON_ARRAY;
    if (replace) list->n = 0;
    for (const MuseJsonValue *id = many ? v->u.first : v; id && r->rc == 0; id = many ? id->next : NULL) {
        if (id->type != MUSE_JSON_INT) muse_read_fail(r, MUSE_ERR_FORMAT, key, "is neither an id nor a list of ids");
        else r->rc = muse_ids_add(list, id->u.integer, vocab, key, r->err);
    }
}

int muse_config_add_generation(MuseConfig *c, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err)
{
    MuseJson doc;
    const char *where = "generation_config.json";
    int rc = open_object(&doc, a, bytes, size, where, err);
    if (rc < 0) return rc;
    MuseReader r = { .object = doc.root, .where = where, .err = err };
    read_list(&r, "eos_token_id", &c->eos, c->vocab, true);   /* what generation stops on; config.json's is the model's own */
    read_list(&r, "suppress_tokens", &c->suppress, c->vocab, false);
    bool sample = false;
    muse_read_maybe_bool(&r, "do_sample", &sample);
    if (muse_read_has(&r, "temperature")) muse_read_f32(&r, "temperature", 0, 100, &c->temperature);
    if (muse_read_has(&r, "top_p")) muse_read_f32(&r, "top_p", 0, 1, &c->top_p);
    if (muse_read_has(&r, "min_p")) muse_read_f32(&r, "min_p", 0, 1, &c->min_p);
    if (muse_read_has(&r, "repetition_penalty")) muse_read_f32(&r, "repetition_penalty", 0, 1e6, &c->repetition);
    muse_read_maybe_u32(&r, "top_k", 0, MUSE_VOCAB_MAX, &c->top_k);
    c->has_sampling = sample;
    muse_json_close(&doc);
    return r.rc;
}

/* ---- processor_config.json ---- */

static void expect_bool(MuseReader *r, const char *key, bool value)
{
    bool given = value;
    muse_read_maybe_bool(r, key, &given);
    if (r->rc == 0 && given != value) muse_read_fail(r, MUSE_ERR_UNSUPPORTED, key, value ? "is false" : "is true");
}

static void expect_number(MuseReader *r, const char *key, double value)
{
    double given = value;
    if (muse_read_has(r, key)) muse_read_f64(r, key, -1e9, 1e9, &given);
    if (r->rc == 0 && fabs(given - value) > 1e-9) muse_read_fail(r, MUSE_ERR_UNSUPPORTED, key, "is not what this family's pictures and sounds are made with");
}

static void read_image(MuseReader *outer, MuseConfig *c)
{
    const MuseJsonValue *v = muse_read_object(outer, "image_processor");
    if (!v) return;
    MuseReader r = { .object = v, .where = "processor_config.json: image_processor", .err = outer->err };
    uint32_t patch = 0, pool = 0, tokens = c->image.budget;
    bool known = false;
    expect_bool(&r, "do_resize", true);
    expect_bool(&r, "do_rescale", true);
    expect_bool(&r, "do_normalize", false);
    expect_number(&r, "resample", 3);   /* bicubic */
    expect_number(&r, "rescale_factor", 1.0 / 255);
    muse_read_maybe_u32(&r, "patch_size", 1, 256, &patch);
    muse_read_maybe_u32(&r, "pooling_kernel_size", 1, 256, &pool);
    if (r.rc == 0 && patch && pool && patch * pool != c->image.unit) muse_read_fail(&r, MUSE_ERR_FORMAT, "patch_size", "does not agree with config.json");
    muse_read_maybe_u32(&r, "max_soft_tokens", 1, 65536, &tokens);
    for (uint32_t i = 0; i < MUSE_BUDGETS_MAX; i++) known |= c->image.budgets[i] == tokens;
    if (r.rc == 0 && !known) muse_read_fail(&r, MUSE_ERR_UNSUPPORTED, "max_soft_tokens", "is not a budget of this model");
    if (r.rc == 0) c->image.budget = tokens;
    outer->rc = r.rc;
}

static void read_audio(MuseReader *outer, const MuseConfig *c)
{
    const MuseJsonValue *v = muse_read_object(outer, "feature_extractor");
    if (!v) return;
    MuseReader r = { .object = v, .where = "processor_config.json: feature_extractor", .err = outer->err };
    expect_number(&r, "sampling_rate", 16000);
    expect_number(&r, "feature_size", c->audio.frame);
    expect_number(&r, "audio_samples_per_token", c->audio.frame);
    expect_number(&r, "padding_value", 0);
    outer->rc = r.rc;
}

int muse_config_add_processor(MuseConfig *c, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err)
{
    MuseJson doc;
    const char *where = "processor_config.json";
    int rc = open_object(&doc, a, bytes, size, where, err);
    if (rc < 0) return rc;
    MuseReader r = { .object = doc.root, .where = where, .err = err };
    if (c->arch == MUSE_ARCH_GEMMA4 && c->image.live) read_image(&r, c);
    if (c->arch == MUSE_ARCH_GEMMA4 && c->audio.live) read_audio(&r, c);
    muse_json_close(&doc);
    return r.rc;
}
