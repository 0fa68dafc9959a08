/* SPDX-License-Identifier: Apache-2.0 */
/* Any ids through the reader of chains of thought: bytes 0 and 1 make its words, each other byte is an id as it is, or the one that
 * the byte picks among those that may come. No model. */
#include "fuzz.h"
#include "libmuse/reason/chain.h"

enum { FIRST_PLACE = 40, IDS = 256 };

/* ids of single meaning; a cleared bit of `have` is a word that the tokenizer lacks */
static void make_words(MuseWords *w, uint8_t have, uint8_t places)
{
    int32_t *const words[] = { &w->look, &w->box, &w->point, &w->compare, &w->verify };
    memset(w, 0, sizeof *w);
    for (int i = 0; i < 5; i++) *words[i] = have >> i & 1 ? i : -1;
    for (int i = 0; i < MUSE_NAMED_IMAGES; i++) w->image[i] = have >> 5 & 1 ? 5 + i : -1;
    w->n_places = places % ((IDS - FIRST_PLACE) / 2 + 1);
    for (uint32_t i = 0; i < w->n_places; i++) {
        w->place[0][i] = (int32_t)(FIRST_PLACE + 2 * i);
        w->place[1][i] = (int32_t)(FIRST_PLACE + 2 * i + 1);
    }
}

static void check_state(const MuseChain *c, const MuseWords *w)
{
    uint32_t axis, first, n;
    FUZZ_CHECK(c->state == MUSE_CHAIN_TEXT || c->state == MUSE_CHAIN_PLACE);
    if (c->state == MUSE_CHAIN_PLACE) {
        FUZZ_CHECK(c->want == 2 || c->want == 4);
        FUZZ_CHECK(c->n < c->want);
        for (uint32_t i = 0; i < c->n; i++) FUZZ_CHECK(c->v[i] < w->n_places);
    }
    FUZZ_CHECK(!c->look || c->words <= MUSE_LOOK_WORDS + 1);
    if (!muse_chain_wants(c, w, &axis, &first, &n)) return;
    FUZZ_CHECK(axis < 2 && axis == c->n % 2);
    FUZZ_CHECK(first <= w->n_places && n == w->n_places - first);
    FUZZ_CHECK(n > 0 || w->n_places == 0);   /* something may come, as long as there are places at all */
}

/* what a token completed is what was read */
static void check_event(const MuseChain *c, const MuseWords *w, MuseChainEvent e, bool looked, bool forced)
{
    FUZZ_CHECK(!e.bad || e.bad[0]);
    if (e.kind == MUSE_REASON_BOX || e.kind == MUSE_REASON_LOOK) {
        FUZZ_CHECK(c->state == MUSE_CHAIN_TEXT && c->n == 4 && c->v[0] <= c->v[2] && c->v[1] <= c->v[3] && c->v[2] < w->n_places && c->v[3] < w->n_places);
        FUZZ_CHECK((e.kind == MUSE_REASON_LOOK) == looked && !c->look);
    } else if (e.kind == MUSE_REASON_POINT) {
        FUZZ_CHECK(c->state == MUSE_CHAIN_TEXT && c->n == 2 && c->v[0] < w->n_places && c->v[1] < w->n_places);
    } else if (e.kind == MUSE_REASON_IMAGE) {
        FUZZ_CHECK(e.image >= 1 && e.image <= MUSE_NAMED_IMAGES);
    } else FUZZ_CHECK(e.kind == 0 || e.kind == MUSE_REASON_COMPARE || e.kind == MUSE_REASON_VERIFY);
    if (forced) FUZZ_CHECK(!e.bad);   /* who obeys the masks writes nothing wrongly */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static MuseWords w;
    MuseChain c;
    if (size < 3) return 0;
    uint8_t *exact = fuzz_copy(data, size);
    make_words(&w, exact[0], exact[1]);
    const bool obey = exact[0] >> 7;
    muse_chain_begin(&c);
    for (size_t i = 2; i < size; i++) {
        uint32_t axis, first, n;
        const bool wants = obey && muse_chain_wants(&c, &w, &axis, &first, &n) && n > 0, looked = c.look;
        const MuseChainEvent e = muse_chain_push(&c, &w, wants ? w.place[axis][first + exact[i] % n] : (int32_t)exact[i] - 1);
        check_event(&c, &w, e, looked, wants);
        check_state(&c, &w);
    }
    const bool open = c.look || (c.state == MUSE_CHAIN_PLACE && c.kind);
    FUZZ_CHECK((muse_chain_end(&c) != NULL) == open);
    FUZZ_CHECK(c.state == MUSE_CHAIN_TEXT && !c.look && c.group == MUSE_REASON_NONE && !muse_chain_end(&c));
    free(exact);
    return 0;
}
