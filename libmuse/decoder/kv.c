/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, their counts, the pool they come from. No arithmetic on keys or values here. */
#include "libmuse/decoder/kv.h"

#include <pthread.h>
#include <string.h>

#include "base/slab.h"

/* before a page's data; 64 bytes, so that the data stays aligned */
typedef struct PageHead {
    _Alignas(64) MuseSlabItem item;
    atomic_int refs;
    uint32_t class_of, counted; /* counted: muse_kv_count() */
} PageHead;

/* Pages that nobody uses are kept for later up to what is in use and this much more; above it slabs of which no page is
 * in use go back to the allocator. */
static const uint64_t kept_more = UINT64_C(64) << 20;

struct MuseKvPool {
    MuseRuntime    *rt;        /* one reference held */
    atomic_int      refs;
    MuseKvLayout    layout;
    pthread_mutex_t lock;      /* of what follows; never held while the allocator is asked: it may take long, or be anybody's */
    MuseSlabs       slabs[MUSE_KV_CLASSES_MAX];
};

static PageHead *head_of(uint8_t *page) { return (PageHead *)(void *)(page - sizeof(PageHead)); }

/* ---- pool ---- */

static int class_for(MuseKvLayout *layout, uint32_t window, MuseError *err)
{
    for (uint32_t i = 0; i < layout->n_classes; i++)
        if (layout->window[i] == window) return (int)i;
    if (layout->n_classes == MUSE_KV_CLASSES_MAX)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "layers have more than %d different attention windows", MUSE_KV_CLASSES_MAX);
    layout->window[layout->n_classes] = window;
    return (int)layout->n_classes++;
}

static int lay_out(MuseKvLayout *layout, const MuseConfig *c, MuseError *err)
{
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const MuseLayerConfig *l = &c->layers[i];
        const int class_of = class_for(layout, l->window, err);
        if (class_of < 0) return class_of;
        MuseKvLayer *to = &layout->layers[i];
        to->class_of = (uint8_t)class_of;
        to->offset = layout->page_bytes[class_of];
        to->heads = l->kv_heads;
        to->head_width = l->head_width;
        to->head_bytes = muse_kv_head_bytes(layout->type, l->head_width);
        layout->page_bytes[class_of] += 2 * l->kv_heads * to->head_bytes;   /* config.c bounds each factor */
    }
    return 0;
}

int muse_kv_pool_open(MuseKvPool **out, const MuseModel *model, MuseKvType type, MuseError *err)
{
    const MuseAllocator *a = &model->rt->alloc;
    MuseKvPool *pool = muse_zalloc(a, sizeof *pool);
    *out = NULL;
    if (!pool) return MUSE_NOMEM(err, sizeof *pool);
    atomic_init(&pool->refs, 1);
    pthread_mutex_init(&pool->lock, NULL);
    pool->rt = muse_runtime_ref(model->rt);
    pool->layout.type = type;
    pool->layout.n_layers = model->config.n_layers;
    pool->layout.layers = muse_zalloc_array(a, model->config.n_layers, sizeof *pool->layout.layers);
    const int rc = pool->layout.layers ? lay_out(&pool->layout, &model->config, err) : MUSE_NOMEM(err, model->config.n_layers * sizeof *pool->layout.layers);
    for (uint32_t i = 0; i < pool->layout.n_classes; i++) pool->slabs[i] = (MuseSlabs){ .alloc = &pool->rt->alloc, .item_bytes = sizeof(PageHead) + pool->layout.page_bytes[i] };
    if (rc < 0) muse_kv_pool_close(&pool);
    *out = pool;
    return rc;
}

MuseKvPool *muse_kv_pool_ref(MuseKvPool *pool)
{
    atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

void muse_kv_pool_close(MuseKvPool **pool)
{
    MuseKvPool *p = *pool;
    *pool = NULL;
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < MUSE_KV_CLASSES_MAX; i++) muse_slabs_clear(&p->slabs[i]);
    pthread_mutex_destroy(&p->lock);
    muse_free(p->layout.layers);
    MuseRuntime *rt = p->rt;
    muse_free(p);
    muse_runtime_close(&rt);
}

const MuseKvLayout *muse_kv_layout(const MuseKvPool *pool) { return &pool->layout; }

/* under the lock */
static void count_bytes(const MuseKvPool *pool, uint64_t *used, uint64_t *kept)
{
    *used = *kept = 0;
    for (uint32_t c = 0; c < pool->layout.n_classes; c++) {
        *used += (uint64_t)pool->slabs[c].used * pool->layout.page_bytes[c];
        *kept += (uint64_t)(pool->slabs[c].items - pool->slabs[c].used) * pool->layout.page_bytes[c];
    }
}

void muse_kv_pool_bytes(MuseKvPool *pool, uint64_t *used, uint64_t *kept)
{
    pthread_mutex_lock(&pool->lock);
    count_bytes(pool, used, kept);
    pthread_mutex_unlock(&pool->lock);
}

/* All pages were taken: one of a new slab of n, or one that another thread gave back or made room for meanwhile. */
static MuseSlabItem *take_new(MuseKvPool *pool, MuseSlabs *s, size_t n, bool *fresh)
{
    MuseSlab *slab = muse_slab_new(s, n);
    pthread_mutex_lock(&pool->lock);
    MuseSlabItem *item = muse_slab_take(s, fresh);
    if (!item && slab) {
        muse_slabs_add(s, slab);
        slab = NULL;
        item = muse_slab_take(s, fresh);
    }
    pthread_mutex_unlock(&pool->lock);
    muse_slab_free(slab);
    return item;
}

static uint8_t *take_page(MuseKvPool *pool, uint32_t class_of)
{
    bool fresh;
    MuseSlabs *s = &pool->slabs[class_of];
    pthread_mutex_lock(&pool->lock);
    MuseSlabItem *item = muse_slab_take(s, &fresh);
    const size_t n = item ? 0 : muse_slabs_next(s);
    pthread_mutex_unlock(&pool->lock);
    if (!item) item = take_new(pool, s, n, &fresh);
    if (!item) return NULL;
    PageHead *h = (PageHead *)(void *)item;
    if (fresh) memset(h + 1, 0, pool->layout.page_bytes[class_of]);   /* what rounds heads up is never written, but saved */
    atomic_init(&h->refs, 1);
    h->class_of = class_of;
    h->counted = 0;
    return (uint8_t *)(h + 1);
}

/* Under the lock; for muse_slab_free() behind it. What lies idle beyond the allowance goes, whenever its slabs emptied: the allowance shrinks with
 * what is in use. */
static MuseSlab *release_idle(MuseKvPool *pool)
{
    MuseSlab *gone = NULL;
    for (uint32_t c = 0; c < pool->layout.n_classes; c++) {
        const uint64_t bytes = pool->layout.page_bytes[c];
        uint64_t used, kept;
        count_bytes(pool, &used, &kept);
        if (kept <= used + kept_more) break;
        muse_slabs_release(&pool->slabs[c], (size_t)((kept - used - kept_more + bytes - 1) / bytes), &gone);
    }
    return gone;
}

static void drop_page(MuseKvPool *pool, uint8_t *page)
{
    if (!page) return;
    PageHead *h = head_of(page);
    if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_lock(&pool->lock);
    muse_slab_give(&pool->slabs[h->class_of], &h->item);
    MuseSlab *gone = release_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    muse_slab_free(gone);
}

/* ---- one sequence ---- */

void muse_kv_open(MuseKv *kv, MuseKvPool *pool) { *kv = (MuseKv){ .pool = muse_kv_pool_ref(pool) }; }

void muse_kv_clear(MuseKv *kv)
{
    for (uint32_t c = 0; kv->pool && c < kv->pool->layout.n_classes; c++) {
        for (size_t i = kv->first[c]; i < kv->end[c]; i++) {
            drop_page(kv->pool, kv->pages[c][i]);
            kv->pages[c][i] = NULL;
        }
        kv->first[c] = kv->end[c] = 0;
    }
    kv->length = kv->promised = 0;
}

void muse_kv_close(MuseKv *kv)
{
    if (!kv->pool) return;
    muse_kv_clear(kv);
    for (uint32_t c = 0; c < MUSE_KV_CLASSES_MAX; c++) muse_free(kv->pages[c]);
    muse_kv_pool_close(&kv->pool);
    *kv = (MuseKv){ 0 };
}

static int grow_tables(MuseKv *kv, size_t pages, MuseError *err)
{
    if (pages <= kv->cap) return 0;
    size_t cap = kv->cap ? kv->cap : 32;
    while (cap < pages) cap *= 2;
    for (uint32_t c = 0; c < kv->pool->layout.n_classes; c++) {
        uint8_t **table = muse_realloc_array(&kv->pool->rt->alloc, kv->pages[c], cap, sizeof *table);
        if (!table) return MUSE_NOMEM(err, cap * sizeof *table);
        memset(table + kv->cap, 0, (cap - kv->cap) * sizeof *table);
        kv->pages[c] = table;
    }
    kv->cap = cap;
    return 0;
}

/* the page that holds position length may be shared: a copy of our own before it is written */
static int own_page(MuseKv *kv, uint32_t c, size_t i, MuseError *err)
{
    uint8_t *page = kv->pages[c][i];
    if (page && atomic_load_explicit(&head_of(page)->refs, memory_order_acquire) == 1) return 0;
    const size_t bytes = kv->pool->layout.page_bytes[c];
    uint8_t *own = take_page(kv->pool, c);
    if (!own) return MUSE_NOMEM(err, bytes);
    if (page) memcpy(own, page, bytes);
    drop_page(kv->pool, page);
    kv->pages[c][i] = own;
    return 0;
}

int muse_kv_reserve(MuseKv *kv, size_t n, bool at_once, MuseError *err)
{
    if (n == 0) return 0;
    if (n > SIZE_MAX / 64 - kv->length) return muse_fail(err, MUSE_ERR_LIMIT, "%zu more positions are too many", n);
    const size_t pages = (kv->length + n + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
    int rc = grow_tables(kv, pages, err);
    for (uint32_t c = 0; rc == 0 && c < kv->pool->layout.n_classes; c++) {
        /* a window's pages come back as it moves on: when the page `enough` is written, muse_kv_advance() has let go of page length / 32 */
        const size_t window = kv->pool->layout.window[c], enough = kv->length / MUSE_KV_PAGE + window / MUSE_KV_PAGE + 3;
        const size_t to = window && !at_once && enough < pages ? enough : pages;
        for (size_t i = kv->length / MUSE_KV_PAGE; rc == 0 && i < to; i++) {
            rc = own_page(kv, c, i, err);
            if (rc == 0 && i >= kv->end[c]) {
                if (kv->first[c] == kv->end[c]) kv->first[c] = i;
                kv->end[c] = i + 1;
            }
        }
    }
    if (rc == 0 && !at_once) kv->promised = kv->length + n;
    return rc;
}

/* the first position that a query at n or later sees */
static size_t first_seen(const MuseKv *kv, uint32_t c, size_t n)
{
    const size_t window = kv->pool->layout.window[c];
    return window && n >= window ? n - window + 1 : 0;
}

/* the first page that is there at length n: see the header */
static size_t first_kept(const MuseKv *kv, uint32_t c, size_t n) { return n > MUSE_KV_PAGE ? first_seen(kv, c, n - MUSE_KV_PAGE) / MUSE_KV_PAGE : 0; }

void muse_kv_advance(MuseKv *kv, size_t n)
{
    kv->length += n;
    for (uint32_t c = 0; c < kv->pool->layout.n_classes; c++)
        for (const size_t keep = first_kept(kv, c, kv->length); kv->first[c] < keep && kv->first[c] < kv->end[c]; kv->first[c]++) {
            uint8_t *page = kv->pages[c][kv->first[c]];
            kv->pages[c][kv->first[c]] = NULL;
            /* while steps are promised, our own pages go round here: another sequence could take them out of the pool */
            if (kv->end[c] * MUSE_KV_PAGE < kv->promised && atomic_load_explicit(&head_of(page)->refs, memory_order_acquire) == 1)
                kv->pages[c][kv->end[c]++] = page;
            else drop_page(kv->pool, page);
        }
}

int muse_kv_fork(MuseKv *to, const MuseKv *from, MuseError *err)
{
    muse_kv_open(to, from->pool);
    const int rc = grow_tables(to, from->cap, err);
    if (rc < 0) {
        muse_kv_close(to);
        return rc;
    }
    const size_t used = (from->length + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
    for (uint32_t c = 0; c < from->pool->layout.n_classes; c++) {
        to->first[c] = from->first[c];
        to->end[c] = from->end[c] < used ? from->end[c] : used;   /* pages reserved ahead are not shared */
        if (to->end[c] < to->first[c]) to->first[c] = to->end[c];
        for (size_t i = to->first[c]; i < to->end[c]; i++) {
            uint8_t *page = to->pages[c][i] = from->pages[c][i];
            atomic_fetch_add_explicit(&head_of(page)->refs, 1, memory_order_relaxed);
        }
    }
    to->length = from->length;
    return 0;
}

bool muse_kv_holds(const MuseKv *kv, size_t n)
{
    for (uint32_t c = 0; n > 0 && c < kv->pool->layout.n_classes; c++) {
        const size_t first = first_seen(kv, c, n) / MUSE_KV_PAGE;
        if (first * MUSE_KV_PAGE < n && first < kv->first[c]) return false;
    }
    return n <= kv->length;
}

bool muse_kv_rewind(MuseKv *kv, size_t n)
{
    if (!muse_kv_holds(kv, n)) return false;
    for (uint32_t c = 0; c < kv->pool->layout.n_classes; c++) {
        const size_t keep = (n + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
        while (kv->end[c] > keep && kv->end[c] > kv->first[c]) {
            drop_page(kv->pool, kv->pages[c][--kv->end[c]]);
            kv->pages[c][kv->end[c]] = NULL;
        }
        if (kv->end[c] == kv->first[c]) kv->end[c] = kv->first[c] = n / MUSE_KV_PAGE;   /* none is left, as a window of 1 sees none before it: the next one is written there */
    }
    kv->length = n;
    kv->promised = 0;
    return true;
}

void muse_kv_bytes(const MuseKv *kv, uint64_t *all, uint64_t *own)
{
    *all = *own = 0;
    for (uint32_t c = 0; c < kv->pool->layout.n_classes; c++)
        for (size_t i = kv->first[c]; i < kv->end[c]; i++) {
            const uint64_t bytes = kv->pool->layout.page_bytes[c];
            *all += bytes;
            if (atomic_load_explicit(&head_of(kv->pages[c][i])->refs, memory_order_relaxed) == 1) *own += bytes;
        }
}

uint64_t muse_kv_count(const MuseKv *kv, bool more)
{
    uint64_t bytes = 0;
    for (uint32_t c = 0; c < kv->pool->layout.n_classes; c++)
        for (size_t i = kv->first[c]; i < kv->end[c]; i++) {
            PageHead *h = head_of(kv->pages[c][i]);
            if (h->counted == !more) bytes += kv->pool->layout.page_bytes[c];
            h->counted += more ? 1u : UINT32_MAX;
        }
    return bytes;
}

/* ---- to a file and back ---- */

void muse_kv_read_page(const MuseKv *kv, uint32_t c, size_t i, uint8_t *out)
{
    static const float zeros[MUSE_HEAD_WIDTH_MAX];
    const MuseKvLayout *layout = &kv->pool->layout;
    memcpy(out, kv->pages[c][i], layout->page_bytes[c]);
    for (uint32_t n = 0; n < layout->n_layers; n++) {
        const MuseKvLayer *l = &layout->layers[n];
        uint8_t *head = out + l->offset;
        for (uint32_t g = 0; l->class_of == c && g < l->heads; g++, head += 2 * l->head_bytes)
            for (size_t p = i * MUSE_KV_PAGE > kv->length ? i * MUSE_KV_PAGE : kv->length; p < (i + 1) * MUSE_KV_PAGE; p++)
                muse_kv_put(layout->type, head, head + l->head_bytes, p % MUSE_KV_PAGE, zeros, zeros, l->head_width);
    }
}

int muse_kv_restore(MuseKv *kv, size_t length, const size_t *first, MuseError *err)
{
    const size_t end = (length + MUSE_KV_PAGE - 1) / MUSE_KV_PAGE;
    int rc = grow_tables(kv, end, err);
    for (uint32_t c = 0; rc == 0 && c < kv->pool->layout.n_classes; c++) {
        if (first[c] > first_seen(kv, c, length) / MUSE_KV_PAGE || first[c] > end)
            rc = muse_fail(err, MUSE_ERR_FORMAT, "keys from position %zu on: earlier ones are needed", first[c] * MUSE_KV_PAGE);
        kv->first[c] = kv->end[c] = rc == 0 ? first[c] : 0;
        for (size_t i = first[c]; rc == 0 && i < end; i++) {
            rc = own_page(kv, c, i, err);
            if (rc == 0) kv->end[c] = i + 1;
        }
    }
    if (rc < 0) muse_kv_clear(kv);
    else kv->length = length;
    return rc;
}
