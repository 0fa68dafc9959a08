/* SPDX-License-Identifier: Apache-2.0 */
/* See share.h. */
#include "libmuse/train/share.h"

#include <string.h>

int muse_share_check(const MuseShare *s, const MuseConfig *c, MuseError *err)
{
    if (s->count == 0) return 0;
    const uint64_t x = s->x, y = s->y, n = s->count;
    if (x + n > c->vocab || y + n > c->vocab || (x < y + n && y < x + n))
        return muse_fail(err, MUSE_ERR_FORMAT, "\"shared_places\": ids %u and %u, %u from each on; the vocabulary has %u, and none may be both", s->x, s->y, s->count, c->vocab);
    if (!c->image.live || s->patches == 0 || s->patches > c->image.positions || s->count % s->patches)
        return muse_fail(err, MUSE_ERR_FORMAT, "\"shared_places\": %u patches a side for %u places; the model has %u, and each must cover whole places", s->patches, s->count,
                         c->image.live ? c->image.positions : 0);
    return 0;
}

void muse_share_begin(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, uint64_t seed, float *master)
{
    enum { OWN = 1 << 20 };   /* far from the numbers of tensors, which seed the others */
    for (uint32_t k = 0; k < 2 && s->count; k++) {
        MuseRandom r = { seed * UINT64_C(0x2545f4914f6cdd1d) + OWN + k };
        muse_layout_begin_places(master + l->embed + (size_t)(k ? s->y : s->x) * c->width, s->count, c->width, MUSE_PLACES_DEVIATION, &r);
    }
}

typedef struct Side { size_t table, tokens; } Side;   /* first values of the table, of the first place's embedding */

static Side side(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, int k)
{
    return (Side){ k ? l->rows : l->cols, l->embed + (size_t)(k ? s->y : s->x) * c->width };
}

void muse_share_put(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, float *values)
{
    const size_t d = c->width, each = s->patches ? s->count / s->patches : 0;
    for (int k = 0; k < 2; k++) {
        const Side at = side(s, l, c, k);
        for (size_t i = 0; i < s->patches * d; i++) {
            const float *from = values + at.tokens + i / d * each * d + i % d;
            float sum = 0;
            for (size_t j = 0; j < each; j++) sum += from[j * d];
            values[at.table + i] = sum / (float)each;
        }
    }
}

void muse_share_back(const MuseShare *s, const MuseLayout *l, const MuseConfig *c, float *grad)
{
    const size_t d = c->width, each = s->patches ? s->count / s->patches : 0;
    for (int k = 0; k < 2; k++) {
        const Side at = side(s, l, c, k);
        for (size_t i = 0; i < s->patches * d; i++) {
            float *to = grad + at.tokens + i / d * each * d + i % d;
            for (size_t j = 0; j < each; j++) to[j * d] += grad[at.table + i] / (float)each;
        }
        memset(grad + at.table, 0, s->patches * d * sizeof *grad);
    }
}
