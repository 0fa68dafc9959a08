/* SPDX-License-Identifier: Apache-2.0 */
/* JSON out through yajl_gen. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

size_t utf8_bytes(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    const size_t need = s[0] < 0x80 ? 1 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;
    if (need == 0 || need > n) return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    const bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    const bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : need;
}

void json_string(yajl_gen g, const char *text, size_t n)
{
    unsigned char *clean = malloc(3 * n + 1);
    if (!clean) {
        yajl_gen_string(g, (const unsigned char *)"(no memory)", 11);
        return;
    }
    size_t len = 0;
    for (size_t i = 0; i < n;) {
        const size_t bytes = utf8_bytes(text + i, n - i);
        memcpy(clean + len, bytes ? text + i : "\xef\xbf\xbd", bytes ? bytes : 3);
        len += bytes ? bytes : 3;
        i += bytes ? bytes : 1;
    }
    yajl_gen_string(g, clean, len);
    free(clean);
}

void json_key(yajl_gen g, const char *key) { yajl_gen_string(g, (const unsigned char *)key, strlen(key)); }

void json_integer(yajl_gen g, const char *key, long long value)
{
    json_key(g, key);
    yajl_gen_integer(g, value);
}

/* JSON has no word for what is no number: null */
static void number(yajl_gen g, double value)
{
    char text[32];
    if (!isfinite(value)) {
        yajl_gen_null(g);
        return;
    }
    const int n = snprintf(text, sizeof text, "%.10g", value);
    yajl_gen_number(g, text, (size_t)n);
}

void json_number(yajl_gen g, const char *key, double value)
{
    json_key(g, key);
    number(g, value);
}

void json_text(yajl_gen g, const char *key, const char *value)
{
    json_key(g, key);
    json_string(g, value, strlen(value));
}

void json_bool(yajl_gen g, const char *key, int value)
{
    json_key(g, key);
    yajl_gen_bool(g, value);
}

void json_hash(yajl_gen g, const char *key, const uint8_t hash[32])
{
    char hex[65];
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    json_text(g, key, hex);
}

void json_rect(yajl_gen g, const char *key, MuseRect r)
{
    json_key(g, key);
    yajl_gen_array_open(g);
    number(g, r.x0);
    number(g, r.y0);
    number(g, r.x1);
    number(g, r.y1);
    yajl_gen_array_close(g);
}

void json_plan(yajl_gen g, const MuseImagePlan *p)
{
    json_integer(g, "width", p->width);
    json_integer(g, "height", p->height);
    json_integer(g, "used_width", p->used_width);
    json_integer(g, "used_height", p->used_height);
    json_number(g, "scale_x", p->scale_x);
    json_number(g, "scale_y", p->scale_y);
    json_integer(g, "patches", p->n_patches);
}

void json_ids(yajl_gen g, const char *key, const int32_t *ids, size_t n)
{
    json_key(g, key);
    yajl_gen_array_open(g);
    for (size_t i = 0; i < n; i++) yajl_gen_integer(g, ids[i]);
    yajl_gen_array_close(g);
}

void json_numbers(yajl_gen g, const char *key, const float *values, size_t n)
{
    json_key(g, key);
    yajl_gen_array_open(g);
    for (size_t i = 0; i < n; i++) number(g, (double)values[i]);
    yajl_gen_array_close(g);
}

int json_print(yajl_gen g)
{
    const unsigned char *text;
    size_t n;
    yajl_gen_get_buf(g, &text, &n);
    const bool ok = fwrite(text, 1, n, stdout) == n && fputc('\n', stdout) != EOF;
    yajl_gen_clear(g);
    yajl_gen_reset(g, NULL);
    return ok ? EXIT_OK : EXIT_OTHER;
}
