/* SPDX-License-Identifier: Apache-2.0 */
/* The components of a tokenizer.json but the model: normalizer, pre_tokenizer, decoder, post_processor. A type or member
 * that is not known is refused by name. Called by tokenizer_json.c. */
#include "tokenizers/text/loader.h"
#include "tokenizers/text/classes.h"

enum { LIST_DEPTH_MAX = 4 };   /* Sequences within Sequences */

typedef struct Names { const char *names[8]; } Names;

static int show(const MuseJsonValue *v) { return (int)(v->len < 80 ? v->len : 80); }

static int unsupported(MuseLoader *l, const char *part, const MuseJsonValue *type)
{
    if (!muse_json_is(type, MUSE_JSON_STRING)) return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: no type", part);
    return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "%s \"%.*s\" is not supported", part, show(type), type->u.string);
}

/* every member of v is one of these */
static int check_members(MuseLoader *l, const char *part, const MuseJsonValue *v, Names known)
{
    for (const MuseJsonValue *m = v->u.first; m; m = m->next) {
        bool found = m->key_len == 4 && memcmp(m->key, "type", 4) == 0;
        for (unsigned i = 0; i < 8 && known.names[i] && !found; i++) found = strlen(known.names[i]) == m->key_len && memcmp(known.names[i], m->key, m->key_len) == 0;
        if (!found) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "%s: member \"%.*s\" is not supported", part, (int)(m->key_len < 80 ? m->key_len : 80), m->key);
    }
    return 0;
}

static int read_flag(MuseLoader *l, const char *part, const MuseJsonValue *v, const char *name, bool fallback, bool *out)
{
    if (muse_json_read_bool(muse_json_get(v, name), fallback, out)) return 0;
    return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: %s is not true or false", part, name);
}

static int read_pattern(MuseLoader *l, const char *part, const MuseJsonValue *v, MusePattern *out)
{
    const MuseJsonValue *p = muse_json_get(v, "pattern");
    const MuseJsonValue *text = muse_json_get(p, "String"), *regex = muse_json_get(p, "Regex");
    const MuseAllocator *a = &l->tok->rt->alloc;
    if (muse_json_is(text, MUSE_JSON_STRING) && !regex) return muse_pattern_open_literal(out, a, text->u.string, text->len, l->err);
    if (muse_json_is(regex, MUSE_JSON_STRING) && !text) return muse_pattern_open_regex(out, a, regex->u.string, regex->len, l->err);
    return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: a pattern is {\"String\": ...} or {\"Regex\": ...}", part);
}

static int read_text(MuseLoader *l, const char *part, const MuseJsonValue *v, const char *name, const MuseJsonValue **out)
{
    *out = muse_json_get(v, name);
    return muse_json_is(*out, MUSE_JSON_STRING) ? 0 : muse_fail(l->err, MUSE_ERR_FORMAT, "%s: %s is not a text", part, name);
}

/* run fn over the members of a Sequence */
typedef int PartFn(MuseLoader *l, const MuseJsonValue *v, int depth);

static int each(MuseLoader *l, const char *part, const MuseJsonValue *v, const char *list, int depth, PartFn *fn)
{
    const MuseJsonValue *items = muse_json_get(v, list);
    if (!muse_json_is(items, MUSE_JSON_ARRAY)) return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: Sequence without %s", part, list);
    if (depth == LIST_DEPTH_MAX) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "%s: Sequences nested deeper than %d", part, LIST_DEPTH_MAX);
    int rc = check_members(l, part, v, (Names){ { list } });
    for (const MuseJsonValue *m = items->u.first; m && rc == 0; m = m->next) {
        if (!muse_json_is(m, MUSE_JSON_OBJECT)) return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: a member of a Sequence is no object", part);
        rc = fn(l, m, depth + 1);
    }
    return rc;
}

static int form(MuseLoader *l, const MuseJsonValue *v, bool compose, bool compat)
{
    MuseNormStep *step;
    int rc = check_members(l, "normalizer", v, (Names){ { 0 } });
    if (rc == 0) rc = muse_norm_add(&l->tok->norm, &l->tok->rt->alloc, MUSE_NORM_FORM, NULL, 0, &step, l->err);
    if (rc < 0) return rc;
    step->compose = compose;
    step->compat = compat;
    return 0;
}

static int normalizer(MuseLoader *l, const MuseJsonValue *v, int depth)
{
    const char *part = "normalizer";
    const MuseJsonValue *type = muse_json_get(v, "type"), *text = NULL;
    const MuseAllocator *a = &l->tok->rt->alloc;
    MuseNormStep *step;
    int rc;
    if (muse_json_equal(type, "Sequence")) return each(l, part, v, "normalizers", depth, normalizer);
    if (muse_json_equal(type, "NFC")) return form(l, v, true, false);
    if (muse_json_equal(type, "NFD")) return form(l, v, false, false);
    if (muse_json_equal(type, "NFKC")) return form(l, v, true, true);
    if (muse_json_equal(type, "NFKD")) return form(l, v, false, true);
    if (muse_json_equal(type, "Replace")) {
        if ((rc = check_members(l, part, v, (Names){ { "pattern", "content" } })) < 0) return rc;
        if ((rc = read_text(l, part, v, "content", &text)) < 0) return rc;
        if ((rc = muse_norm_add(&l->tok->norm, a, MUSE_NORM_REPLACE, text->u.string, text->len, &step, l->err)) < 0) return rc;
        return read_pattern(l, part, v, &step->pattern);
    }
    if (muse_json_equal(type, "Prepend")) {
        if ((rc = check_members(l, part, v, (Names){ { "prepend" } })) < 0) return rc;
        if ((rc = read_text(l, part, v, "prepend", &text)) < 0) return rc;
        return text->len ? muse_norm_add(&l->tok->norm, a, MUSE_NORM_PREPEND, text->u.string, text->len, &step, l->err) : 0;
    }
    return unsupported(l, part, type);
}

static bool is_absent(const MuseJsonValue *v) { return !v || muse_json_is(v, MUSE_JSON_NULL); }

int muse_load_normalizer(MuseLoader *l, const MuseJsonValue *v)
{
    if (is_absent(v)) return 0;
    return muse_json_is(v, MUSE_JSON_OBJECT) ? normalizer(l, v, 0) : muse_fail(l->err, MUSE_ERR_FORMAT, "normalizer: not an object");
}

static int pre_split(MuseLoader *l, const MuseJsonValue *v)
{
    static const struct { const char *name; MuseSplit value; } behaviors[] = {
        { "Isolated", MUSE_SPLIT_ISOLATED }, { "Removed", MUSE_SPLIT_REMOVED }, { "MergedWithPrevious", MUSE_SPLIT_PREVIOUS },
        { "MergedWithNext", MUSE_SPLIT_NEXT }, { "Contiguous", MUSE_SPLIT_CONTIGUOUS },
    };
    const MuseJsonValue *behavior = NULL;
    MusePretokStep *step;
    int rc = check_members(l, "pre_tokenizer Split", v, (Names){ { "pattern", "behavior", "invert" } });
    if (rc == 0) rc = read_text(l, "pre_tokenizer Split", v, "behavior", &behavior);
    if (rc == 0) rc = muse_pretok_add(&l->tok->pretok, MUSE_PRETOK_SPLIT, &step, l->err);
    if (rc == 0) rc = read_flag(l, "pre_tokenizer Split", v, "invert", false, &step->invert);
    if (rc == 0) rc = read_pattern(l, "pre_tokenizer Split", v, &step->pattern);
    if (rc < 0) return rc;
    for (size_t i = 0; i < sizeof behaviors / sizeof *behaviors; i++) {
        if (!muse_json_equal(behavior, behaviors[i].name)) continue;
        step->behavior = behaviors[i].value;
        return 0;
    }
    return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "pre_tokenizer Split: behavior \"%.*s\" is not supported", show(behavior), behavior->u.string);
}

static int pre_byte_level(MuseLoader *l, const MuseJsonValue *v)
{
    const char *part = "pre_tokenizer ByteLevel";
    bool prefix = true, regex = true, trim;
    MusePretokStep *step;
    int rc = check_members(l, part, v, (Names){ { "add_prefix_space", "trim_offsets", "use_regex" } });
    if (rc == 0) rc = read_flag(l, part, v, "add_prefix_space", true, &prefix);
    if (rc == 0) rc = read_flag(l, part, v, "trim_offsets", true, &trim);   /* offsets only */
    if (rc == 0) rc = read_flag(l, part, v, "use_regex", true, &regex);
    if (rc == 0 && prefix) rc = muse_pretok_add(&l->tok->pretok, MUSE_PRETOK_PREFIX, &step, l->err);
    if (rc == 0 && regex) {
        const char *gpt2 = muse_pattern_text("gpt2");
        rc = muse_pretok_add(&l->tok->pretok, MUSE_PRETOK_SPLIT, &step, l->err);
        if (rc == 0) rc = muse_pattern_open_regex(&step->pattern, &l->tok->rt->alloc, gpt2, strlen(gpt2), l->err);
    }
    l->pre_byte_level = true;
    return rc;
}

static int pre_digits(MuseLoader *l, const MuseJsonValue *v)
{
    bool individual = false;
    MusePretokStep *step;
    int rc = check_members(l, "pre_tokenizer Digits", v, (Names){ { "individual_digits" } });
    if (rc == 0) rc = read_flag(l, "pre_tokenizer Digits", v, "individual_digits", false, &individual);
    if (rc == 0) rc = muse_pretok_add(&l->tok->pretok, MUSE_PRETOK_SPLIT, &step, l->err);
    if (rc < 0) return rc;
    step->behavior = individual ? MUSE_SPLIT_ISOLATED : MUSE_SPLIT_CONTIGUOUS;
    return muse_pattern_open_regex(&step->pattern, &l->tok->rt->alloc, "\\p{N}", 5, l->err);
}

/* the members that Metaspace has as pre-tokenizer and as decoder */
static int metaspace(MuseLoader *l, const char *part, const MuseJsonValue *v, const MuseJsonValue **mark, MusePrepend *prepend, bool *split)
{
    bool prefix = true;
    int rc = check_members(l, part, v, (Names){ { "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split" } });
    if (rc == 0) rc = read_text(l, part, v, "replacement", mark);
    if (rc == 0) rc = read_flag(l, part, v, "add_prefix_space", true, &prefix);
    if (rc == 0) rc = read_flag(l, part, v, "split", true, split);
    if (rc < 0) return rc;
    if (!(*mark)->len || muse_utf8_char((const uint8_t *)(*mark)->u.string, (*mark)->len, NULL) != (*mark)->len) return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: replacement is not one character", part);
    const MuseJsonValue *scheme = muse_json_get(v, "prepend_scheme");
    *prepend = prefix ? MUSE_PREPEND_ALWAYS : MUSE_PREPEND_NEVER;
    if (is_absent(scheme)) return 0;
    if (muse_json_equal(scheme, "always")) *prepend = MUSE_PREPEND_ALWAYS;
    else if (muse_json_equal(scheme, "first")) *prepend = MUSE_PREPEND_FIRST;
    else if (muse_json_equal(scheme, "never")) *prepend = MUSE_PREPEND_NEVER;
    else return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "%s: this prepend_scheme is not supported", part);
    if (!prefix && *prepend != MUSE_PREPEND_NEVER) return muse_fail(l->err, MUSE_ERR_FORMAT, "%s: add_prefix_space contradicts prepend_scheme", part);
    return 0;
}

static int pre_metaspace(MuseLoader *l, const MuseJsonValue *v)
{
    MusePretokStep *step;
    const MuseJsonValue *mark = NULL;
    int rc = muse_pretok_add(&l->tok->pretok, MUSE_PRETOK_METASPACE, &step, l->err);
    if (rc == 0) rc = metaspace(l, "pre_tokenizer Metaspace", v, &mark, &step->prepend, &step->split);
    if (rc < 0) return rc;
    memcpy(step->mark, mark->u.string, mark->len);
    step->n_mark = mark->len;
    return muse_pattern_open_literal(&step->pattern, &l->tok->rt->alloc, mark->u.string, mark->len, l->err);
}

static int pre_tokenizer(MuseLoader *l, const MuseJsonValue *v, int depth)
{
    const MuseJsonValue *type = muse_json_get(v, "type");
    if (l->pre_byte_level) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "pre_tokenizer: a step after ByteLevel is not supported");
    if (muse_json_equal(type, "Sequence")) return each(l, "pre_tokenizer", v, "pretokenizers", depth, pre_tokenizer);
    if (muse_json_equal(type, "Split")) return pre_split(l, v);
    if (muse_json_equal(type, "ByteLevel")) return pre_byte_level(l, v);
    if (muse_json_equal(type, "Digits")) return pre_digits(l, v);
    if (muse_json_equal(type, "Metaspace")) return pre_metaspace(l, v);
    return unsupported(l, "pre_tokenizer", type);
}

int muse_load_pre_tokenizer(MuseLoader *l, const MuseJsonValue *v)
{
    if (is_absent(v)) return 0;
    return muse_json_is(v, MUSE_JSON_OBJECT) ? pre_tokenizer(l, v, 0) : muse_fail(l->err, MUSE_ERR_FORMAT, "pre_tokenizer: not an object");
}

static int add_replace(MuseLoader *l, const MuseJsonValue *from, const char *to, uint32_t n_to)
{
    if (l->rule.byte_fallback || l->fused) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder: a replacement after ByteFallback or Fuse is not supported");
    if (l->rule.n_replace == MUSE_LOADER_REPLACES) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder: over %d replacements", MUSE_LOADER_REPLACES);
    if (!from->len || from->len < n_to) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder Replace: an empty pattern, or content longer than the pattern");
    l->replaces[l->rule.n_replace++] = (struct MuseReplace){ from->u.string, to, from->len, n_to };
    return 0;
}

static int dec_replace(MuseLoader *l, const MuseJsonValue *v)
{
    const MuseJsonValue *from = muse_json_get(muse_json_get(v, "pattern"), "String"), *to = NULL;
    int rc = check_members(l, "decoder Replace", v, (Names){ { "pattern", "content" } });
    if (rc == 0) rc = read_text(l, "decoder Replace", v, "content", &to);
    if (rc < 0) return rc;
    if (!muse_json_is(from, MUSE_JSON_STRING)) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder Replace: only a String pattern is supported");
    return add_replace(l, from, to->u.string, to->len);
}

static int dec_strip(MuseLoader *l, const MuseJsonValue *v)
{
    int64_t start = 0, stop = 0;
    int rc = check_members(l, "decoder Strip", v, (Names){ { "content", "start", "stop" } });
    if (rc < 0) return rc;
    const bool numbers = muse_json_read_i64(muse_json_get(v, "start"), 0, &start) && muse_json_read_i64(muse_json_get(v, "stop"), 0, &stop);
    if (!numbers || start < 0 || stop < 0 || start > UINT32_MAX) return muse_fail(l->err, MUSE_ERR_FORMAT, "decoder Strip: start and stop are not counts");
    if (!muse_json_equal(muse_json_get(v, "content"), " ") || stop != 0 || !l->fused)
        return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder Strip: only spaces at the start, after Fuse, are supported");
    l->tok->strip = (uint32_t)start;
    return 0;
}

static int dec_metaspace(MuseLoader *l, const MuseJsonValue *v)
{
    const MuseJsonValue *mark = NULL;
    MusePrepend prepend;
    bool split;
    int rc = metaspace(l, "decoder Metaspace", v, &mark, &prepend, &split);
    if (rc == 0) rc = add_replace(l, mark, " ", 1);
    if (rc == 0) l->tok->strip = prepend != MUSE_PREPEND_NEVER;
    return rc;
}

static int decoder(MuseLoader *l, const MuseJsonValue *v, int depth)
{
    const MuseJsonValue *type = muse_json_get(v, "type");
    if (l->decoder_byte_level) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "decoder: a step after ByteLevel is not supported");
    if (muse_json_equal(type, "Sequence")) return each(l, "decoder", v, "decoders", depth, decoder);
    if (muse_json_equal(type, "Replace")) return dec_replace(l, v);
    if (muse_json_equal(type, "Strip")) return dec_strip(l, v);
    if (muse_json_equal(type, "Metaspace")) return dec_metaspace(l, v);
    if (muse_json_equal(type, "ByteLevel")) {
        l->decoder_byte_level = true;
        return check_members(l, "decoder ByteLevel", v, (Names){ { "add_prefix_space", "trim_offsets", "use_regex" } });
    }
    if (muse_json_equal(type, "ByteFallback")) {
        l->rule.byte_fallback = true;
        return check_members(l, "decoder ByteFallback", v, (Names){ { 0 } });
    }
    if (muse_json_equal(type, "Fuse")) {
        l->fused = true;
        return check_members(l, "decoder Fuse", v, (Names){ { 0 } });
    }
    return unsupported(l, "decoder", type);
}

int muse_load_decoder(MuseLoader *l, const MuseJsonValue *v)
{
    if (!muse_json_is(v, MUSE_JSON_OBJECT)) return muse_fail(l->err, is_absent(v) ? MUSE_ERR_UNSUPPORTED : MUSE_ERR_FORMAT, "decoder: none; joining tokens with spaces is not supported");
    return decoder(l, v, 0);
}

/* [special token ...] A: the first special token is bos; anything after the text is refused, as nobody would add it */
static int template(MuseLoader *l, const MuseJsonValue *v)
{
    const MuseJsonValue *single = muse_json_get(v, "single");
    if (!muse_json_is(single, MUSE_JSON_ARRAY)) return muse_fail(l->err, MUSE_ERR_FORMAT, "post_processor TemplateProcessing: no list \"single\"");
    bool text = false;
    for (const MuseJsonValue *m = single->u.first; m; m = m->next) {
        const MuseJsonValue *special = muse_json_get(m, "SpecialToken");
        if (!special) {
            if (!muse_json_get(m, "Sequence") || text) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "post_processor TemplateProcessing: a part that is neither one text nor a special token");
            text = true;
            continue;
        }
        const MuseJsonValue *name = muse_json_get(special, "id"), *all = muse_json_get(v, "special_tokens"), *entry = NULL;
        for (const MuseJsonValue *k = muse_json_is(all, MUSE_JSON_OBJECT) && muse_json_is(name, MUSE_JSON_STRING) ? all->u.first : NULL; k; k = k->next)
            if (k->key_len == name->len && memcmp(k->key, name->u.string, name->len) == 0) entry = k;
        const MuseJsonValue *ids = muse_json_get(entry, "ids");
        int64_t id = -1;
        if (!muse_json_is(ids, MUSE_JSON_ARRAY) || ids->len != 1 || !muse_json_is(ids->u.first, MUSE_JSON_INT)) return muse_fail(l->err, MUSE_ERR_FORMAT, "post_processor TemplateProcessing: a special token without one id");
        id = ids->u.first->u.integer;
        if (id < 0 || id >= (int64_t)l->n_items || !l->items[id].flags) return muse_fail(l->err, MUSE_ERR_FORMAT, "post_processor TemplateProcessing: id %lld is not in the vocabulary", (long long)id);
        if (text || l->tok->add_bos) return muse_fail(l->err, MUSE_ERR_UNSUPPORTED, "post_processor TemplateProcessing: only one special token, before the text, is supported");
        l->tok->bos = (int32_t)id;
        l->tok->add_bos = true;
    }
    return check_members(l, "post_processor TemplateProcessing", v, (Names){ { "single", "pair", "special_tokens" } });
}

static int post_processor(MuseLoader *l, const MuseJsonValue *v, int depth)
{
    const MuseJsonValue *type = muse_json_get(v, "type");
    if (muse_json_equal(type, "Sequence")) return each(l, "post_processor", v, "processors", depth, post_processor);
    if (muse_json_equal(type, "TemplateProcessing")) return template(l, v);
    if (muse_json_equal(type, "ByteLevel")) return check_members(l, "post_processor ByteLevel", v, (Names){ { "add_prefix_space", "trim_offsets", "use_regex" } });   /* offsets only */
    return unsupported(l, "post_processor", type);
}

int muse_load_post_processor(MuseLoader *l, const MuseJsonValue *v)
{
    if (is_absent(v)) return 0;
    return muse_json_is(v, MUSE_JSON_OBJECT) ? post_processor(l, v, 0) : muse_fail(l->err, MUSE_ERR_FORMAT, "post_processor: not an object");
}
