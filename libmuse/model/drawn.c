/* SPDX-License-Identifier: Apache-2.0 */
/* Weights for a configuration that nobody has trained, so that its speed and memory can be measured: matrices of a size that keeps
 * activations in range, norms of ones, biases of zeros. They mean nothing; training draws its own (libmuse/train). Called by
 * model.c. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "libmuse/model/model.h"

/* A matrix repeats so many drawn values, a prime: rows do not line up. Drawing all of a large model would take a minute. */
enum { DRAWN = 65521 };

static bool ends(const char *name, const char *with)
{
    const size_t n = strlen(name), k = strlen(with);
    return n >= k && strcmp(name + n - k, with) == 0;
}

static void fill(MuseBf16 *to, const MuseTensor *t, const float *unit, MuseBf16 *block)
{
    const uint64_t n = t->bytes / sizeof *to;
    const bool vector = t->rank < 2, bias = ends(t->name, ".bias");
    const float size = 1 / sqrtf((float)t->shape[t->rank ? t->rank - 1 : 0]);
    for (size_t i = 0; i < DRAWN; i++) block[i] = muse_f32_bf16(bias ? 0 : vector ? 1 : unit[i] * size);
    for (uint64_t at = 0; at < n; at += DRAWN) memcpy(to + at, block, (size_t)(n - at < DRAWN ? n - at : DRAWN) * sizeof *to);
}

/* even in -sqrt(3) .. sqrt(3): variance 1. Constants: Knuth, MMIX */
static void draw(float *unit)
{
    uint64_t state = 1;
    for (size_t i = 0; i < DRAWN; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        unit[i] = ((float)(state >> 40) / 8388608.0f - 1) * 1.7320508f;
    }
}

static int fill_all(MuseModel *m, MuseTensors *list, MuseError *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].bytes > SIZE_MAX || !muse_add_size(bytes, (size_t)list->items[i].bytes, &bytes)) return muse_fail(err, MUSE_ERR_NOMEM, "weights over the address space");
    float *unit = muse_alloc_array(&m->rt->alloc, DRAWN, sizeof *unit);
    MuseBf16 *block = muse_alloc_array(&m->rt->alloc, DRAWN, sizeof *block);
    m->values = unit && block ? muse_alloc(&m->rt->alloc, bytes) : NULL;
    if (m->values) {
        draw(unit);
        uint8_t *to = m->values;
        for (size_t i = 0; i < list->n; i++) {
            fill((MuseBf16 *)(void *)to, &list->items[i], unit, block);
            list->items[i].data = to;
            to += list->items[i].bytes;
        }
    }
    muse_free(unit);
    muse_free(block);
    return m->values ? 0 : MUSE_NOMEM(err, bytes);
}

int muse_model_draw(MuseModel *m, bool none, MuseError *err)
{
    MuseWeightFile *file = &m->files[0];
    *file = (MuseWeightFile){ .alloc = &m->rt->alloc, .format = MUSE_WEIGHTS_SAFETENSORS, .tensors = { .alloc = &m->rt->alloc } };
    m->n_files = 1;
    m->no_weights = none;
    int rc = muse_weights_plan(&file->tensors, &m->config, err);
    if (rc == 0 && !none) rc = fill_all(m, &file->tensors, err);
    return rc == 0 ? muse_tensors_sort(&file->tensors, err) : rc;
}
