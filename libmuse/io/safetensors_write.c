/* SPDX-License-Identifier: Apache-2.0 */
/* See safetensors_write.h. The header is padded with spaces to 8 bytes, so that data lies aligned. */
#include "libmuse/io/safetensors_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dtype.h"

static uint64_t values(const MuseSaveTensor *t) { return t->shape[0] * (t->rank > 1 ? t->shape[1] : 1); }
static uint64_t value_bytes(const MuseSaveTensor *t) { return t->type == MUSE_TENSOR_BF16 ? 2 : 4; }

static int add_text(MuseBuf *b, const char *text, int n, MuseError *err) { return muse_buf_append(b, text, (size_t)n) < 0 ? MUSE_NOMEM(err, b->len) : 0; }

static int make_header(MuseBuf *b, const MuseSaveTensor *tensors, size_t n, MuseError *err)
{
    uint64_t at = 0;
    char text[400], shape[64];
    int rc = add_text(b, "{\"__metadata__\":{\"format\":\"pt\"}", 31, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const MuseSaveTensor *t = &tensors[i];
        const uint64_t end = at + values(t) * value_bytes(t);
        if (t->rank > 1) snprintf(shape, sizeof shape, "%" PRIu64 ",%" PRIu64, t->shape[0], t->shape[1]);
        else snprintf(shape, sizeof shape, "%" PRIu64, t->shape[0]);
        const int len = snprintf(text, sizeof text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->name,
                                 t->type == MUSE_TENSOR_BF16 ? "BF16" : "F32", shape, at, end);
        rc = add_text(b, text, len, err);
        at = end;
    }
    if (rc == 0) rc = add_text(b, "}", 1, err);
    while (rc == 0 && b->len % 8) rc = add_text(b, " ", 1, err);
    return rc;
}

static bool write_values(FILE *f, const MuseSaveTensor *t)
{
    const uint64_t n = values(t);
    if (t->type == MUSE_TENSOR_F32) return n == 0 || fwrite(t->data, sizeof(float), (size_t)n, f) == n;
    MuseBf16 block[4096];
    for (uint64_t at = 0; at < n; at += 4096) {
        const size_t m = n - at < 4096 ? (size_t)(n - at) : 4096;
        for (size_t i = 0; i < m; i++) block[i] = muse_f32_bf16(t->data[at + i]);
        if (fwrite(block, sizeof *block, m, f) != m) return false;
    }
    return true;
}

int muse_safetensors_write(const char *path, const MuseAllocator *a, const MuseSaveTensor *tensors, size_t n, MuseError *err)
{
    MuseBuf header = { .alloc = a };
    int rc = make_header(&header, tensors, n, err);
    FILE *f = rc == 0 ? fopen(path, "wb") : NULL;
    bool good = f != NULL;
    if (good) {
        uint8_t length[8];
        for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)header.len >> 8 * i);
        good = fwrite(length, 1, 8, f) == 8 && fwrite(header.data, 1, header.len, f) == header.len;
        for (size_t i = 0; i < n && good; i++) good = write_values(f, &tensors[i]);
        good = good && fflush(f) == 0 && fsync(fileno(f)) == 0;
    }
    if (rc == 0 && !good) rc = muse_fail(err, MUSE_ERR_IO, "%s: can't write: %s", path, strerror(errno));
    if (f && fclose(f) != 0 && rc == 0) rc = muse_fail(err, MUSE_ERR_IO, "%s: can't write: %s", path, strerror(errno));
    muse_buf_clear(&header);
    return rc;
}
