/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas into fragments. A definition is written out wherever it is used, so that alternatives share their beginnings;
 * where it leads back to itself it becomes a rule and a call. What is not known is refused, never skipped. Called by
 * grammar.c. */
#include "libmuse/sample/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "muse/grammar.h"

enum { PATH_MAX_NODES = 512, PROPERTIES_MAX = 4096 };

typedef struct Writer {
    MuseNfa *f;
    const MuseJsonValue *root;
    unsigned space;
    const MuseJsonValue *path[PATH_MAX_NODES];   /* schemas that are being written */
    int      n_path;
    const MuseJsonValue *rule[MUSE_NFA_RULES_MAX];   /* what each rule stands for */
} Writer;

enum { OBJECT = 1, ARRAY = 2, STRING = 4, NUMBER = 8, INTEGER = 16, BOOLEAN = 32, NULLS = 64, ANNOTATION = 128, VALUE = 256, COMBINE = 512, TYPE = 1024 };

static const struct { const char *name; unsigned kind; } keywords[] = {
    { "type", TYPE }, { "enum", VALUE }, { "const", VALUE }, { "anyOf", COMBINE }, { "oneOf", COMBINE }, { "allOf", COMBINE }, { "$ref", COMBINE },
    { "properties", OBJECT }, { "required", OBJECT }, { "additionalProperties", OBJECT }, { "items", ARRAY }, { "minItems", ARRAY }, { "maxItems", ARRAY },
    { "minLength", STRING }, { "maxLength", STRING }, { "pattern", STRING }, { "format", STRING },
    { "minimum", INTEGER }, { "maximum", INTEGER }, { "exclusiveMinimum", INTEGER }, { "exclusiveMaximum", INTEGER },
    { "title", ANNOTATION }, { "description", ANNOTATION }, { "default", ANNOTATION }, { "examples", ANNOTATION }, { "$schema", ANNOTATION }, { "$id", ANNOTATION },
    { "$comment", ANNOTATION }, { "deprecated", ANNOTATION }, { "readOnly", ANNOTATION }, { "writeOnly", ANNOTATION }, { "$defs", ANNOTATION }, { "definitions", ANNOTATION },
};

static const struct { const char *name; unsigned type; } types[] = {
    { "object", OBJECT }, { "array", ARRAY }, { "string", STRING }, { "number", NUMBER }, { "integer", INTEGER }, { "boolean", BOOLEAN }, { "null", NULLS },
};

/* narrower than RFC 3339 and RFC 9562 allow (no 29 February, no leap second), never wider */
#define DATE "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
static const struct { const char *name, *pattern; } formats[] = {
    { "date", DATE }, { "time", TIME }, { "date-time", DATE "T" TIME },
    { "uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}" },
};

/* stands for "any object or array" among the rules */
static const MuseJsonValue any_container;

static MuseFrag write_value(Writer *w, const MuseJsonValue *v, bool branch);

/* a refusal with the place: the keys on the way */
static MuseFrag refuse(Writer *w, int code, const char *what, const char *name, size_t n)
{
    char at[256] = "#";
    size_t len = 1;
    for (int i = 1; i < w->n_path && len < sizeof at - 1; i++)
        if (w->path[i]->key) {
            const int more = snprintf(at + len, sizeof at - len, "/%.*s", (int)w->path[i]->key_len, w->path[i]->key);
            len += more > 0 ? (size_t)more : 0;
        }
    muse_nfa_fail(w->f, code, "schema at %s: %s%.*s", at, what, (int)(n < 100 ? n : 100), name ? name : "");
    return muse_nfa_empty(w->f);
}

/* the rule of a schema, made when it is first called */
static uint32_t rule_of(Writer *w, const MuseJsonValue *v)
{
    MuseNfa *f = w->f;
    for (uint32_t i = 1; i < f->n_rules; i++)
        if (w->rule[i] == v) return i;
    if (f->n_rules == MUSE_NFA_RULES_MAX) {
        muse_nfa_fail(f, MUSE_ERR_LIMIT, "over %d recursive definitions", MUSE_NFA_RULES_MAX);
        return 0;
    }
    w->rule[f->n_rules] = v;
    return f->n_rules++;
}

static MuseFrag scalars(Writer *w)
{
    MuseFrag choice = muse_nfa_choice(w->f);
    muse_nfa_branch(w->f, &choice, muse_json_string(w->f, 0, UINT32_MAX));
    muse_nfa_branch(w->f, &choice, muse_json_number(w->f));
    muse_nfa_branch(w->f, &choice, muse_nfa_text(w->f, "true", 4));
    muse_nfa_branch(w->f, &choice, muse_nfa_text(w->f, "false", 5));
    muse_nfa_branch(w->f, &choice, muse_nfa_text(w->f, "null", 4));
    return choice;
}

static MuseFrag any(Writer *w)
{
    MuseFrag choice = scalars(w);
    muse_nfa_branch(w->f, &choice, muse_nfa_call(w->f, rule_of(w, &any_container)));
    return choice;
}

/* Members of an object in order. Two tracks, before and after the first member, since only the second has commas; a member's own
 * fragment is on both. */
typedef struct Members { MuseFrag all; uint32_t none, some; } Members;

static Members members_open(Writer *w)
{
    MuseFrag open = muse_json_mark(w->f, '{', w->space);
    const uint32_t some = muse_nfa_empty(w->f).in;
    return (Members){ open, open.out, some };
}

static void member(Writer *w, Members *m, MuseFrag body, bool required, bool many)
{
    MuseNfa *f = w->f;
    MuseFrag comma = muse_json_mark(f, ',', w->space);
    const uint32_t none = muse_nfa_empty(f).in, some = muse_nfa_empty(f).in;
    muse_nfa_link(f, m->none, body.in);
    muse_nfa_link(f, m->some, comma.in);
    muse_nfa_link(f, comma.out, body.in);
    muse_nfa_link(f, body.out, some);
    if (!required) muse_nfa_link(f, m->none, none);
    if (!required) muse_nfa_link(f, m->some, some);
    if (many) muse_nfa_link(f, some, comma.in);
    m->none = none;
    m->some = some;
}

static MuseFrag members_close(Writer *w, Members *m)
{
    MuseFrag close = muse_json_mark(w->f, '}', w->space);
    muse_nfa_link(w->f, m->none, close.in);
    muse_nfa_link(w->f, m->some, close.in);
    return (MuseFrag){ m->all.from, m->all.in, close.out };
}

static MuseFrag key_value(Writer *w, MuseFrag key, const MuseJsonValue *value)
{
    MuseFrag all = muse_nfa_cat(w->f, key, muse_json_mark(w->f, ':', w->space));
    return muse_nfa_cat(w->f, all, value ? write_value(w, value, false) : any(w));
}

static bool names(const MuseJsonValue *list, const MuseJsonValue *property)
{
    for (const MuseJsonValue *r = list && list->len ? list->u.first : NULL; r; r = r->next)
        if (r->type == MUSE_JSON_STRING && r->len == property->key_len && memcmp(r->u.string, property->key, r->len) == 0) return true;
    return false;
}

/* required names are strings and have a property; property names are unique */
static bool check_names(Writer *w, const MuseJsonValue *properties, const MuseJsonValue *required)
{
    for (const MuseJsonValue *r = required && required->len ? required->u.first : NULL; r; r = r->next) {
        bool known = false;
        if (r->type != MUSE_JSON_STRING) return refuse(w, MUSE_ERR_FORMAT, "required holds something that is not a string", NULL, 0), false;
        for (const MuseJsonValue *p = properties && properties->len ? properties->u.first : NULL; p; p = p->next)
            known = known || (p->key_len == r->len && memcmp(p->key, r->u.string, r->len) == 0);
        if (!known) return refuse(w, MUSE_ERR_UNSUPPORTED, "required without a property of this name: ", r->u.string, r->len), false;
    }
    for (const MuseJsonValue *p = properties && properties->len ? properties->u.first : NULL; p; p = p->next)
        for (const MuseJsonValue *q = p->next; q; q = q->next)
            if (q->key_len == p->key_len && memcmp(q->key, p->key, p->key_len) == 0) return refuse(w, MUSE_ERR_FORMAT, "the property stands twice: ", p->key, p->key_len), false;
    return true;
}

static MuseFrag write_object(Writer *w, const MuseJsonValue *v)
{
    const MuseJsonValue *properties = muse_json_get(v, "properties"), *required = muse_json_get(v, "required"), *more = muse_json_get(v, "additionalProperties");
    if ((properties && properties->type != MUSE_JSON_OBJECT) || (required && required->type != MUSE_JSON_ARRAY) || (more && more->type != MUSE_JSON_BOOL && more->type != MUSE_JSON_OBJECT))
        return refuse(w, MUSE_ERR_FORMAT, "properties, required or additionalProperties is of a wrong type", NULL, 0);
    if ((properties && properties->len > PROPERTIES_MAX) || (required && required->len > PROPERTIES_MAX)) return refuse(w, MUSE_ERR_LIMIT, "over 4096 properties", NULL, 0);
    if (!check_names(w, properties, required)) return muse_nfa_empty(w->f);
    Members m = members_open(w);
    for (const MuseJsonValue *p = properties && properties->len ? properties->u.first : NULL; p && w->f->rc == 0; p = p->next)
        member(w, &m, key_value(w, muse_json_text(w->f, p->key, p->key_len), p), names(required, p), false);
    const bool others = more ? more->type == MUSE_JSON_OBJECT || more->u.integer : !properties;   /* {"type":"object"} alone is any object */
    if (others) {
        MuseText *texts = properties && properties->len ? muse_alloc_array(w->f->alloc, properties->len, sizeof *texts) : NULL;
        size_t n = 0;
        if (properties && properties->len && !texts) muse_nfa_fail(w->f, MUSE_ERR_NOMEM, "no memory for %u names", properties->len);
        for (const MuseJsonValue *p = texts ? properties->u.first : NULL; p; p = p->next) texts[n++] = (MuseText){ p->key, p->key_len };
        MuseFrag key = n ? muse_json_other_key(w->f, texts, n) : muse_json_string(w->f, 0, UINT32_MAX);
        muse_free(texts);
        member(w, &m, key_value(w, key, more && more->type == MUSE_JSON_OBJECT ? more : NULL), false, true);
    }
    return members_close(w, &m);
}

/* a count of at most 2^20 */
static uint32_t count(Writer *w, const MuseJsonValue *v, const char *name, uint32_t fallback)
{
    int64_t n;
    const MuseJsonValue *member_value = muse_json_get(v, name);
    if (!member_value) return fallback;
    if (member_value->type == MUSE_JSON_NULL || !muse_json_read_i64(member_value, 0, &n) || n < 0) refuse(w, MUSE_ERR_FORMAT, "not a count: ", name, strlen(name));
    else if (n > MUSE_NFA_NODES_MAX) refuse(w, MUSE_ERR_LIMIT, "over 1048576: ", name, strlen(name));
    else return (uint32_t)n;
    return fallback;
}

static MuseFrag list_of(Writer *w, const MuseJsonValue *item, uint32_t min, uint32_t max)
{
    MuseNfa *f = w->f;
    MuseFrag all = muse_json_mark(f, '[', w->space);
    if (max > 0) {
        MuseFrag inside = item ? write_value(w, item, false) : any(w);
        if (max > 1) {
            MuseFrag next = muse_json_mark(f, ',', w->space);
            next = muse_nfa_cat(f, next, item ? write_value(w, item, false) : any(w));
            next = muse_nfa_repeat(f, next, min ? min - 1 : 0, max == UINT32_MAX ? max : max - 1);
            inside = muse_nfa_cat(f, inside, next);
        }
        all = muse_nfa_cat(f, all, muse_nfa_repeat(f, inside, min > 0, 1));
    }
    return muse_nfa_cat(f, all, muse_json_mark(f, ']', w->space));
}

static MuseFrag write_array(Writer *w, const MuseJsonValue *v)
{
    const uint32_t min = count(w, v, "minItems", 0), max = count(w, v, "maxItems", UINT32_MAX);
    if (min > max) return refuse(w, MUSE_ERR_STATE, "minItems is above maxItems", NULL, 0);
    return list_of(w, muse_json_get(v, "items"), min, max);
}

static MuseFrag write_string(Writer *w, const MuseJsonValue *v)
{
    const MuseJsonValue *pattern = muse_json_get(v, "pattern"), *format = muse_json_get(v, "format");
    const bool lengths = muse_json_get(v, "minLength") || muse_json_get(v, "maxLength");
    MuseNfa *f = w->f;
    if ((pattern != NULL) + (format != NULL) + lengths > 1) return refuse(w, MUSE_ERR_UNSUPPORTED, "pattern, format and a length at once", NULL, 0);
    if ((pattern && pattern->type != MUSE_JSON_STRING) || (format && format->type != MUSE_JSON_STRING)) return refuse(w, MUSE_ERR_FORMAT, "pattern or format is not a string", NULL, 0);
    if (!pattern && !format) {
        const uint32_t min = count(w, v, "minLength", 0), max = count(w, v, "maxLength", UINT32_MAX);
        if (min > max) return refuse(w, MUSE_ERR_STATE, "minLength is above maxLength", NULL, 0);
        return muse_json_string(f, min, max);
    }
    const char *text = pattern ? pattern->u.string : NULL;
    size_t n = pattern ? pattern->len : 0;
    for (size_t i = 0; format && i < sizeof formats / sizeof *formats; i++)
        if (muse_json_equal(format, formats[i].name)) {
            text = formats[i].pattern;
            n = strlen(text);
        }
    if (!text) return refuse(w, MUSE_ERR_UNSUPPORTED, "format ", format->u.string, format->len);
    MuseFrag all = muse_nfa_text(f, "\"", 1);
    all = muse_nfa_cat(f, all, muse_nfa_regex(f, text, n, MUSE_SPELL_JSON, pattern != NULL));
    return muse_nfa_cat(f, all, muse_nfa_text(f, "\"", 1));
}

/* a bound on integers, rounded inwards; an exclusive one is moved by one */
static bool bound(Writer *w, const MuseJsonValue *v, const char *name, int direction, bool exclusive, int64_t *value, bool have)
{
    const MuseJsonValue *b = muse_json_get(v, name);
    double d = 0;
    if (!b) return have;
    if ((b->type != MUSE_JSON_INT && b->type != MUSE_JSON_DOUBLE) || !muse_json_read_f64(b, 0, &d)) {
        refuse(w, MUSE_ERR_FORMAT, "not a number: ", name, strlen(name));
        return have;
    }
    int64_t i;
    if (b->type == MUSE_JSON_INT) {
        i = b->u.integer;
    } else {   /* 2e18 is beyond the 18 digits that are ever written */
        const double inward = direction > 0 ? ceil(d) : floor(d);
        exclusive = exclusive && inward == d;
        i = inward > 2e18 ? INT64_C(2000000000000000000) : inward < -2e18 ? -INT64_C(2000000000000000000) : (int64_t)inward;
    }
    if (exclusive && i > INT64_MIN && i < INT64_MAX) i += direction;
    if (!have || (direction > 0 ? i > *value : i < *value)) *value = i;
    return true;
}

static MuseFrag write_integer(Writer *w, const MuseJsonValue *v)
{
    int64_t min = 0, max = 0;
    bool low = bound(w, v, "minimum", 1, false, &min, false), high = bound(w, v, "maximum", -1, false, &max, false);
    low = bound(w, v, "exclusiveMinimum", 1, true, &min, low);
    high = bound(w, v, "exclusiveMaximum", -1, true, &max, high);
    return muse_json_integer(w->f, low ? &min : NULL, high ? &max : NULL);
}

static unsigned type_named(Writer *w, const MuseJsonValue *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (muse_json_equal(name, types[i].name)) return types[i].type;
    const bool text = muse_json_is(name, MUSE_JSON_STRING);
    refuse(w, MUSE_ERR_FORMAT, "no such type: ", text ? name->u.string : "", text ? name->len : 0);
    return 0;
}

/* the types a schema names; 0 if it names none */
static unsigned types_of(Writer *w, const MuseJsonValue *v)
{
    const MuseJsonValue *type = muse_json_get(v, "type");
    unsigned all = 0;
    if (!type) return 0;
    if (type->type != MUSE_JSON_ARRAY) return type_named(w, type);
    for (const MuseJsonValue *t = type->len ? type->u.first : NULL; t; t = t->next) all |= type_named(w, t);
    if (!all) refuse(w, MUSE_ERR_FORMAT, "type is an empty list", NULL, 0);
    return all;
}

static MuseFrag write_types(Writer *w, const MuseJsonValue *v, unsigned mask)
{
    MuseNfa *f = w->f;
    MuseFrag choice = muse_nfa_choice(f);
    if (mask & OBJECT) muse_nfa_branch(f, &choice, write_object(w, v));
    if (mask & ARRAY) muse_nfa_branch(f, &choice, write_array(w, v));
    if (mask & STRING) muse_nfa_branch(f, &choice, write_string(w, v));
    if (mask & NUMBER) muse_nfa_branch(f, &choice, muse_json_number(f));
    if (mask & INTEGER) muse_nfa_branch(f, &choice, write_integer(w, v));
    if (mask & BOOLEAN) muse_nfa_branch(f, &choice, muse_nfa_text(f, "true", 4));
    if (mask & BOOLEAN) muse_nfa_branch(f, &choice, muse_nfa_text(f, "false", 5));
    if (mask & NULLS) muse_nfa_branch(f, &choice, muse_nfa_text(f, "null", 4));
    return choice;
}

static unsigned type_of_value(const MuseJsonValue *v)
{
    switch ((MuseJsonType)v->type) {
    case MUSE_JSON_NULL: return NULLS;
    case MUSE_JSON_BOOL: return BOOLEAN;
    case MUSE_JSON_INT: return INTEGER | NUMBER;
    case MUSE_JSON_DOUBLE: return v->u.number == floor(v->u.number) ? INTEGER | NUMBER : NUMBER;
    case MUSE_JSON_STRING: return STRING;
    case MUSE_JSON_ARRAY: return ARRAY;
    default: return OBJECT;
    }
}

/* enum or const; values that a type beside it excludes are left out, as the schema says */
static MuseFrag write_values(Writer *w, const MuseJsonValue *v)
{
    const MuseJsonValue *list = muse_json_get(v, "enum"), *only = muse_json_get(v, "const");
    const unsigned mask = types_of(w, v);
    MuseFrag choice = muse_nfa_choice(w->f);
    if (list && only) return refuse(w, MUSE_ERR_UNSUPPORTED, "enum and const at once", NULL, 0);
    if (list && (list->type != MUSE_JSON_ARRAY || !list->len)) return refuse(w, MUSE_ERR_FORMAT, "enum is no list of values", NULL, 0);
    for (const MuseJsonValue *e = only ? only : list->u.first; e && w->f->rc == 0; e = only ? NULL : e->next)
        if (!mask || (mask & type_of_value(e))) muse_nfa_branch(w->f, &choice, muse_json_literal(w->f, e, w->space));
    return choice;
}

/* one step of a JSON pointer: up to '/' or the end, with ~0 and ~1 */
static const MuseJsonValue *pointer_step(const MuseJsonValue *v, const char *token, size_t n)
{
    const MuseJsonValue *found = NULL;
    size_t index = 0;
    if (!v || (v->type != MUSE_JSON_OBJECT && v->type != MUSE_JSON_ARRAY) || !v->len) return NULL;
    for (const MuseJsonValue *m = v->u.first; m; m = m->next, index++) {
        char digits[24];
        const char *key = m->key;
        size_t len = m->key_len, i = 0, k = 0;
        if (v->type == MUSE_JSON_ARRAY) {
            len = (size_t)snprintf(digits, sizeof digits, "%zu", index);
            key = digits;
        }
        for (; i < n && k < len; i++, k++) {
            char c = token[i];
            if (c == '~' && i + 1 < n) c = token[++i] == '0' ? '~' : token[i] == '1' ? '/' : '\0';
            if (c != key[k]) break;
        }
        if (i == n && k == len) found = m;
    }
    return found;
}

static const MuseJsonValue *resolve(Writer *w, const MuseJsonValue *ref)
{
    const MuseJsonValue *v = w->root;
    const bool text = ref->type == MUSE_JSON_STRING;
    if (!text || !ref->len || ref->u.string[0] != '#' || (ref->len > 1 && ref->u.string[1] != '/') || memchr(ref->u.string, '%', ref->len)) {
        refuse(w, MUSE_ERR_UNSUPPORTED, "$ref that is not #/... in this document: ", text ? ref->u.string : "", text ? ref->len : 0);
        return NULL;
    }
    for (size_t at = 1; v && at < ref->len;) {
        const char *token = ref->u.string + at + 1, *slash = memchr(token, '/', ref->len - at - 1);
        const size_t n = slash ? (size_t)(slash - token) : ref->len - at - 1;
        v = pointer_step(v, token, n);
        at += n + 1;
    }
    if (!v) refuse(w, MUSE_ERR_NOT_FOUND, "$ref leads nowhere: ", ref->u.string, ref->len);
    return v;
}

static MuseFrag write_combined(Writer *w, const MuseJsonValue *v, bool branch)
{
    const MuseJsonValue *ref = muse_json_get(v, "$ref"), *all = muse_json_get(v, "allOf"), *list = muse_json_get(v, "anyOf");
    if (ref) {
        const MuseJsonValue *target = resolve(w, ref);
        return target ? write_value(w, target, branch) : muse_nfa_empty(w->f);
    }
    if (!list) list = all ? all : muse_json_get(v, "oneOf");
    if (list->type != MUSE_JSON_ARRAY || !list->len) return refuse(w, MUSE_ERR_FORMAT, "anyOf, oneOf or allOf is no list of schemas", NULL, 0);
    if (all && list->len > 1) return refuse(w, MUSE_ERR_UNSUPPORTED, "allOf of several schemas", NULL, 0);
    MuseFrag choice = muse_nfa_choice(w->f);
    for (const MuseJsonValue *e = list->u.first; e && w->f->rc == 0; e = e->next) muse_nfa_branch(w->f, &choice, write_value(w, e, true));
    return choice;
}

static MuseFrag write_schema(Writer *w, const MuseJsonValue *v, bool branch)
{
    unsigned kinds = 0, n_combine = 0;
    if (v->type == MUSE_JSON_BOOL && v->u.integer) return any(w);
    if (v->type == MUSE_JSON_BOOL) return muse_nfa_choice(w->f);   /* false: nothing fits */
    if (v->type != MUSE_JSON_OBJECT) return refuse(w, MUSE_ERR_FORMAT, "a schema is neither an object nor a boolean", NULL, 0);
    for (const MuseJsonValue *m = v->len ? v->u.first : NULL; m; m = m->next) {
        unsigned kind = 0;
        for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
            if (m->key_len == strlen(keywords[i].name) && memcmp(m->key, keywords[i].name, m->key_len) == 0) kind = keywords[i].kind;
        if (!kind) return refuse(w, MUSE_ERR_UNSUPPORTED, "keyword ", m->key, m->key_len);
        kinds |= kind;
        n_combine += kind == COMBINE;
    }
    kinds &= ~(unsigned)ANNOTATION;
    if ((kinds & COMBINE) && (kinds != COMBINE || n_combine > 1)) return refuse(w, MUSE_ERR_UNSUPPORTED, "$ref, anyOf, oneOf or allOf beside another keyword", NULL, 0);
    if ((kinds & VALUE) && (kinds & ~(unsigned)(VALUE | TYPE))) return refuse(w, MUSE_ERR_UNSUPPORTED, "enum or const beside another keyword than type", NULL, 0);
    if (kinds & COMBINE) return write_combined(w, v, branch);
    if (kinds & VALUE) return write_values(w, v);
    if (!kinds) return any(w);
    const unsigned named = types_of(w, v), implied = kinds & ~(unsigned)TYPE;
    if (named && (implied & ~named)) return refuse(w, MUSE_ERR_UNSUPPORTED, implied & INTEGER ? "bounds of a type that is not integer" : "a keyword of another type than `type` names", NULL, 0);
    return write_types(w, v, named ? named : implied);
}

/* A schema that is being written already is called instead; but as one of several alternatives it is written once more, so that the
 * call comes after the bytes that tell the alternatives apart. */
static MuseFrag write_value(Writer *w, const MuseJsonValue *v, bool branch)
{
    int met = 0;
    if (w->f->rc < 0) return muse_nfa_empty(w->f);
    for (int i = 0; i < w->n_path; i++) met += w->path[i] == v;
    if (met && (!branch || met > 1)) return muse_nfa_call(w->f, rule_of(w, v));
    if (w->n_path == PATH_MAX_NODES) return refuse(w, MUSE_ERR_LIMIT, "schemas nested deeper than 512", NULL, 0);
    w->path[w->n_path++] = v;
    MuseFrag all = write_schema(w, v, branch);
    w->n_path--;
    return all;
}

static MuseFrag write_container(Writer *w)
{
    MuseFrag choice = muse_nfa_choice(w->f);
    Members m = members_open(w);
    member(w, &m, key_value(w, muse_json_string(w->f, 0, UINT32_MAX), NULL), false, true);
    muse_nfa_branch(w->f, &choice, members_close(w, &m));
    muse_nfa_branch(w->f, &choice, list_of(w, NULL, 0, UINT32_MAX));
    return choice;
}

static int write_all(Writer *w)
{
    MuseNfa *f = w->f;
    f->n_rules = 1;
    w->rule[0] = w->root;
    muse_nfa_rule(f, 0, write_value(w, w->root, false));
    for (uint32_t r = 1; r < f->n_rules && f->rc == 0; r++) {
        const MuseFrag body = w->rule[r] == &any_container ? write_container(w) : write_value(w, w->rule[r], false);
        muse_nfa_rule(f, r, body);
    }
    return f->rc;
}

int muse_schema_write(MuseNfa *f, const void *source, size_t n, unsigned space)
{
    MuseJson doc = { 0 };
    Writer *w = muse_zalloc(f->alloc, sizeof *w);
    if (!w) return muse_nfa_fail(f, MUSE_ERR_NOMEM, "no memory to read a schema");
    MuseError err = { 0 };
    int rc = muse_json_parse(&doc, f->alloc, source, n, &err);
    if (rc < 0) {
        muse_nfa_fail(f, rc, "schema: %s", err.text);
    } else {
        *w = (Writer){ .f = f, .root = doc.root, .space = space };
        write_all(w);
    }
    muse_json_close(&doc);
    muse_free(w);
    return f->rc;
}
