/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of keys and values against plain arrays, under random sequences of what sessions do: reserve, write, advance, fork, rewind,
 * clear, save. Contents, counts of pages, promises of reserve, and that nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libmuse/decoder/kv.h"
#include "tests/unit/image_help.h"

enum { KVS = 6, MOST = 700, LAYERS = 5 };

/* Several sequences over one pool, and what each should hold */
typedef struct World {
    Meter       meter;
    MuseModel   model;
    MuseLayerConfig layers[LAYERS];
    MuseKvPool *pool;
    MuseKv      kv[KVS];
    uint32_t    want[KVS][MOST];   /* what was written at each position */
    uint32_t    next, random;
} World;

static void world_open_wide(World *w, uint32_t seed, uint32_t head_width)
{
    const uint32_t windows[LAYERS] = { 0, 40, seed % 2 ? 5 : 1, 40, 100 };
    *w = (World){ .random = seed, .next = 1 };
    w->model.rt = open_runtime(1, &w->meter);
    w->model.config.n_layers = LAYERS;
    w->model.config.layers = w->layers;
    for (size_t i = 0; i < LAYERS; i++) w->layers[i] = (MuseLayerConfig){ .heads = 2, .kv_heads = 1 + i % 2, .head_width = head_width, .window = windows[i] };
    assert_int_equal(muse_kv_pool_open(&w->pool, &w->model, MUSE_KV_TYPE_F32, NULL), 0);
    for (size_t i = 0; i < KVS; i++) muse_kv_open(&w->kv[i], w->pool);
}

static void world_open(World *w, uint32_t seed) { world_open_wide(w, seed, 8); }

static void world_close(World *w)
{
    uint64_t used, kept;
    for (size_t i = 0; i < KVS; i++) muse_kv_close(&w->kv[i]);
    muse_kv_pool_bytes(w->pool, &used, &kept);
    assert_int_equal(used, 0);
    muse_kv_pool_close(&w->pool);
    muse_runtime_close(&w->model.rt);
    assert_int_equal(w->meter.live, 0);
}

static uint32_t chance(World *w, uint32_t n)
{
    w->random = w->random * 1664525 + 1013904223;
    return (w->random >> 8) % n;
}

static void at_of(const MuseKv *kv, uint32_t c, size_t p, uint8_t **at)
{
    assert_non_null(kv->pages[c][p / MUSE_KV_PAGE]);
    *at = kv->pages[c][p / MUSE_KV_PAGE] + 4 * (p % MUSE_KV_PAGE);
}

/* n positions are reserved: written and counted */
static void write_n(World *w, size_t i, size_t n)
{
    MuseKv *kv = &w->kv[i];
    for (size_t p = kv->length; p < kv->length + n; p++) {
        w->want[i][p] = w->next++;
        for (uint32_t c = 0; c < muse_kv_layout(w->pool)->n_classes; c++) {
            uint8_t *at;
            at_of(kv, c, p, &at);
            memcpy(at, &w->want[i][p], 4);
        }
    }
    muse_kv_advance(kv, n);
}

static void check(const World *w)
{
    const MuseKvLayout *layout = muse_kv_layout(w->pool);
    const uint8_t *seen[KVS * 4 * (MOST / MUSE_KV_PAGE + 8)];
    size_t n_seen = 0;
    uint64_t bytes = 0, used, kept;
    for (size_t i = 0; i < KVS; i++) {
        const MuseKv *kv = &w->kv[i];
        for (uint32_t c = 0; c < layout->n_classes; c++) {
            const size_t window = layout->window[c], from = window && kv->length >= window ? kv->length - window + 1 : 0;
            for (size_t p = from; p < kv->length; p++) {   /* all that a query sees */
                uint8_t *at;
                uint32_t got;
                at_of(kv, c, p, &at);
                memcpy(&got, at, 4);
                assert_int_equal(got, w->want[i][p]);
            }
            /* there are those pages, one more before, what is reserved, and no others */
            assert_true(kv->first[c] <= kv->end[c] && kv->end[c] <= (kv->cap ? kv->cap : 0));
            assert_true(kv->end[c] * MUSE_KV_PAGE >= kv->length);
            if (window && kv->length >= window + MUSE_KV_PAGE) assert_true(kv->first[c] >= (kv->length - MUSE_KV_PAGE - window + 1) / MUSE_KV_PAGE);
            for (size_t k = 0; k < kv->cap; k++) {
                const uint8_t *page = kv->pages[c][k];
                assert_true((page != NULL) == (k >= kv->first[c] && k < kv->end[c]));
                size_t j = 0;
                while (page && j < n_seen && seen[j] != page) j++;
                if (!page || j < n_seen) continue;
                seen[n_seen++] = page;
                bytes += layout->page_bytes[c];
            }
        }
    }
    muse_kv_pool_bytes(w->pool, &used, &kept);
    assert_int_equal(used, bytes);   /* shared pages once, none lost */
}

static void act(World *w)
{
    const size_t i = chance(w, KVS), room = MOST - w->kv[i].length;
    MuseKv *kv = &w->kv[i];
    size_t n = 1 + chance(w, chance(w, 3) ? 10 : 150), j;
    switch (chance(w, 8)) {
    case 0: case 1: case 2:   /* a chunk */
        if (n > room) n = room;
        assert_int_equal(muse_kv_reserve(kv, n, true, NULL), 0);
        write_n(w, i, n);
        break;
    case 3:   /* room that is not used now */
        if (n <= room) assert_int_equal(muse_kv_reserve(kv, n, chance(w, 2), NULL), 0);
        break;
    case 4:   /* a fork in place of another */
        j = chance(w, KVS);
        if (j == i) break;
        muse_kv_close(&w->kv[j]);
        assert_int_equal(muse_kv_fork(&w->kv[j], kv, NULL), 0);
        memcpy(w->want[j], w->want[i], sizeof w->want[i]);
        break;
    case 5: {   /* back, if the windows allow it: up to 32 always */
        const size_t length = kv->length, to = length - (length ? chance(w, (uint32_t)(length < n ? length : n) + 1) : 0);
        const bool done = muse_kv_rewind(kv, to);
        assert_int_equal(done, muse_kv_holds(kv, to) && kv->length == to);
        if (length - to <= MUSE_KV_PAGE) assert_true(done);
        break;
    }
    case 6:
        if (chance(w, 4) == 0) assert_true(muse_kv_rewind(kv, 0));
        if (chance(w, 8) == 0) muse_kv_clear(kv);
        break;
    default: {   /* steps out of what was promised, with others taking pages between */
        j = chance(w, KVS);
        if (n > room) n = room;
        if (j == i || !n) break;
        assert_int_equal(muse_kv_reserve(kv, n, false, NULL), 0);
        while (n-- > 0) {
            const long calls = w->meter.calls;
            assert_int_equal(muse_kv_reserve(kv, 1, true, NULL), 0);
            write_n(w, i, 1);
            assert_int_equal(w->meter.calls, calls);
            if (chance(w, 8)) continue;
            muse_kv_close(&w->kv[j]);
            muse_kv_open(&w->kv[j], w->pool);
            assert_int_equal(muse_kv_reserve(&w->kv[j], 1 + chance(w, 300), true, NULL), 0);
        }
    }
    }
}

static void test_random(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        World *w = malloc(sizeof *w);
        world_open(w, seed);
        for (size_t n = 0; n < 400; n++) {
            act(w);
            check(w);
        }
        world_close(w);
        free(w);
    }
}

/* a page is copied when it is written by one of two, and only that page */
static void test_copy_on_write(void **state)
{
    (void)state;
    World *w = malloc(sizeof *w);
    world_open(w, 1);
    const MuseKvLayout *layout = muse_kv_layout(w->pool);
    assert_int_equal(muse_kv_reserve(&w->kv[0], 100, true, NULL), 0);
    write_n(w, 0, 100);
    uint64_t before, after, kept, own, all, page = 0;
    muse_kv_pool_bytes(w->pool, &before, &kept);
    for (size_t i = 1; i < 5; i++) {
        muse_kv_close(&w->kv[i]);
        assert_int_equal(muse_kv_fork(&w->kv[i], &w->kv[0], NULL), 0);
        memcpy(w->want[i], w->want[0], sizeof w->want[0]);
        muse_kv_bytes(&w->kv[i], &all, &own);
        assert_int_equal(own, 0);
    }
    muse_kv_pool_bytes(w->pool, &after, &kept);
    assert_int_equal(after, before);
    for (uint32_t c = 0; c < layout->n_classes; c++) page += layout->page_bytes[c];
    for (size_t i = 1; i < 5; i++) {   /* 28 positions more: the last page, which is shared */
        assert_int_equal(muse_kv_reserve(&w->kv[i], 28, true, NULL), 0);
        muse_kv_bytes(&w->kv[i], &all, &own);
        assert_int_equal(own, page);
        write_n(w, i, 28);
        check(w);
    }
    muse_kv_pool_bytes(w->pool, &after, &kept);
    assert_true(after <= before + 4 * page);
    uint64_t counted = 0;
    for (size_t i = 0; i < 5; i++) counted += muse_kv_count(&w->kv[i], true);
    assert_int_equal(counted, after);
    assert_int_equal(muse_kv_count(&w->kv[0], true), 0);   /* twice */
    for (size_t i = 0; i < 5; i++) counted -= muse_kv_count(&w->kv[i], false);
    assert_true(counted > 0 || after == 0);
    assert_int_equal(muse_kv_count(&w->kv[0], false), counted);
    world_close(w);
    free(w);
}

/* what lies behind the length is not handed out */
static void test_read_page(void **state)
{
    (void)state;
    World *w = malloc(sizeof *w);
    world_open(w, 1);
    assert_int_equal(muse_kv_reserve(&w->kv[0], 40, true, NULL), 0);
    const MuseKvLayout *layout = muse_kv_layout(w->pool);
    for (uint32_t c = 0; c < layout->n_classes; c++)
        for (size_t i = 0; i < 2; i++) memset(w->kv[0].pages[c][i], 0x55, layout->page_bytes[c]);
    muse_kv_advance(&w->kv[0], 40);
    uint8_t *page = malloc(layout->page_bytes[0]);
    muse_kv_read_page(&w->kv[0], 0, 1, page);
    size_t kept = 0;
    for (size_t i = 0; i < layout->page_bytes[0]; i++) kept += page[i] == 0x55;
    assert_int_equal(kept, layout->page_bytes[0] / 32 * 8);   /* 8 of 32 positions */
    free(page);
    world_close(w);
    free(w);
}

static void test_no_memory(void **state)
{
    (void)state;
    World *w = malloc(sizeof *w);
    world_open(w, 7);
    for (long n = 1; n < 40; n++) {
        MuseKv fork;
        assert_int_equal(muse_kv_reserve(&w->kv[0], 33, true, NULL), 0);
        write_n(w, 0, 1);
        w->meter.fail_at = w->meter.calls + n;
        if (muse_kv_fork(&fork, &w->kv[0], NULL) == 0) {
            const int rc = muse_kv_reserve(&fork, 200, n % 2, NULL);
            assert_true(rc == 0 || rc == MUSE_ERR_NOMEM);
        }
        w->meter.fail_at = 0;
        assert_int_equal(w->kv[0].length, n);
        muse_kv_close(&fork);
        check(w);
    }
    world_close(w);
    free(w);
}

/* Whatever order pages come back in, no more than what is in use and 64 MiB stays, but for slabs of which a page is in use. Every second sequence
 * first: slabs empty while that is allowed, and must go when the others no longer justify them. */
static void test_idle(void **state)
{
    static const size_t order[KVS] = { 0, 2, 4, 5, 3, 1 };
    enum { IDLE = 64 << 20 };
    (void)state;
    World *w = malloc(sizeof *w);
    uint64_t used, kept;
    world_open_wide(w, 1, 1024);   /* pages of 256 KiB to 1 MiB */
    for (size_t i = 0; i < KVS; i++) assert_int_equal(muse_kv_reserve(&w->kv[i], MOST, true, NULL), 0);
    muse_kv_pool_bytes(w->pool, &used, &kept);
    assert_true(used > 3 * (uint64_t)IDLE);
    for (size_t i = 0; i < KVS; i++) {
        muse_kv_clear(&w->kv[order[i]]);
        muse_kv_pool_bytes(w->pool, &used, &kept);
        assert_true(kept <= used + IDLE + (i + 1 < KVS ? (uint64_t)IDLE : 0));
    }
    assert_int_equal(used, 0);
    assert_true(kept > 0);
    assert_true(w->meter.live < IDLE + (4 << 20));
    world_close(w);
    free(w);
}

/* Another thread's work comes between: inside the call for a new slab somebody else takes a page of the same pool. */
typedef struct Between {
    Meter   meter;
    MuseKv *other;   /* takes pages within the next call, until it has so many; NULL: nobody does */
    size_t  pages;
} Between;

static void *between_alloc(void *user, size_t size)
{
    Between *b = user;
    MuseKv *other = b->other;
    b->other = NULL;
    if (other) assert_int_equal(muse_kv_reserve(other, b->pages * MUSE_KV_PAGE, true, NULL), 0);
    return meter_alloc(&b->meter, size);
}

static void between_free(void *user, void *ptr) { meter_free(&((Between *)user)->meter, ptr); }

/* pages for kv, of which it has *n, until nothing is kept; of all slabs there are so many then */
static void fill(MuseKvPool *pool, MuseKv *kv, size_t *n, size_t want)
{
    const uint64_t page = muse_kv_layout(pool)->page_bytes[0];
    uint64_t used, kept;
    do {
        assert_int_equal(muse_kv_reserve(kv, ++*n * MUSE_KV_PAGE, true, NULL), 0);
        muse_kv_pool_bytes(pool, &used, &kept);
    } while (used < want * page);
    assert_int_equal(used, want * page);
    assert_int_equal(kept, 0);
}

/* The pool's lock is not held while the allocator is asked, or this would never return; when another thread made room meanwhile, the new slab goes
 * back, and it does no harm that there was none. */
static void test_allocator_between(void **state)
{
    (void)state;
    Between b = { .pages = 1 };
    MuseRuntimeParams params;
    MuseLayerConfig layer = { .heads = 1, .kv_heads = 1, .head_width = 64 };
    MuseModel model = { .config = { .n_layers = 1, .layers = &layer } };
    MuseKvPool *pool;
    MuseKv kv, other;
    uint64_t used, kept;
    size_t n = 0;
    muse_runtime_params_init(&params);
    params.threads = 1;
    params.allocator = (MuseAllocator){ between_alloc, between_free, &b };
    assert_int_equal(muse_runtime_open(&model.rt, &params, NULL), 0);
    assert_int_equal(muse_kv_pool_open(&pool, &model, MUSE_KV_TYPE_F32, NULL), 0);
    const uint64_t page = muse_kv_layout(pool)->page_bytes[0];
    muse_kv_open(&kv, pool);
    muse_kv_open(&other, pool);
    assert_int_equal(muse_kv_reserve(&other, MUSE_KV_PAGE, true, NULL), 0);
    static const size_t full[] = { 13, 19 }, more[] = { 6, 9 };   /* 1 + 1 + 1 + 1 + 2 + 3 + 4, + 6, + 9 */
    for (size_t i = 0; i < 2; i++) {
        fill(pool, &kv, &n, full[i]);
        const size_t live = b.meter.live;
        b.other = &other;
        b.pages++;
        if (i == 1) b.meter.fail_from = b.meter.calls + 2;   /* the first is the other's */
        assert_int_equal(muse_kv_reserve(&kv, ++n * MUSE_KV_PAGE, true, NULL), 0);
        b.meter.fail_from = 0;
        muse_kv_pool_bytes(pool, &used, &kept);
        assert_int_equal(used, (full[i] + 2) * page);
        assert_int_equal(kept, (more[i] - 2) * page);
        assert_true(b.meter.live - live < (more[i] + 1) * page);
    }
    muse_kv_close(&kv);
    muse_kv_close(&other);
    muse_kv_pool_close(&pool);
    muse_runtime_close(&model.rt);
    assert_int_equal(b.meter.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_copy_on_write), cmocka_unit_test(test_read_page), cmocka_unit_test(test_no_memory),
                                        cmocka_unit_test(test_idle), cmocka_unit_test(test_allocator_between) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
