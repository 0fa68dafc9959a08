/* SPDX-License-Identifier: Apache-2.0 */
/* A table of matmul primitives by shape and strides. Scratch comes from our allocator (mode "user"), so that lanes of different
 * threads share nothing. oneDNN divides work among as many threads as OpenMP would give when a primitive is made, so the
 * count is set around making and running it; it is a setting of the calling thread, not of the process. */
#include "ops/onednn/onednn_gemm.h"

#include <dnnl.h>
#include <omp.h>
#include <string.h>

/* shapes kept; twice what a model with every medium and label head meets. When full, all are dropped and made again */
enum { SLOTS = 1024, KEPT = 700 };

typedef struct Entry {
    MuseGemmArgs key;      /* pointers NULL */
    bool used, refused;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, scratch;
    void *scratch_bytes;
} Entry;

struct MuseOnednnGemm {
    const MuseAllocator *alloc;
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    size_t n;
    Entry entries[SLOTS];
};

static bool ok(dnnl_status_t s) { return s == dnnl_success; }

static void clear_entry(Entry *e)
{
    dnnl_memory_destroy(e->a);
    dnnl_memory_destroy(e->b);
    dnnl_memory_destroy(e->c);
    dnnl_memory_destroy(e->scratch);
    dnnl_primitive_destroy(e->primitive);
    muse_free(e->scratch_bytes);
    memset(e, 0, sizeof *e);
}

static void clear_all(MuseOnednnGemm *g)
{
    for (size_t i = 0; i < SLOTS; i++) clear_entry(&g->entries[i]);
    g->n = 0;
}

MuseOnednnGemm *muse_onednn_gemm_open(const MuseAllocator *a, uint32_t threads)
{
    MuseOnednnGemm *g = muse_zalloc(a, sizeof *g);
    if (!g) return NULL;
    g->alloc = a;
    g->threads = (int)threads;
    if (ok(dnnl_engine_create(&g->engine, dnnl_cpu, 0)) && ok(dnnl_stream_create(&g->stream, g->engine, dnnl_stream_default_flags))) return g;
    muse_onednn_gemm_close(g);
    return NULL;
}

void muse_onednn_gemm_close(MuseOnednnGemm *g)
{
    if (!g) return;
    clear_all(g);
    dnnl_stream_destroy(g->stream);
    dnnl_engine_destroy(g->engine);
    muse_free(g);
}

static bool describe(dnnl_memory_desc_t *md, size_t rows, size_t cols, size_t stride, bool turn, bool bf16)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)rows, (dnnl_dim_t)cols };
    const dnnl_dims_t strides = { turn ? 1 : (dnnl_dim_t)stride, turn ? (dnnl_dim_t)stride : 1 };
    return ok(dnnl_memory_desc_init_by_strides(md, 2, dims, bf16 ? dnnl_bf16 : dnnl_f32, strides));
}

static bool make_attr(dnnl_primitive_attr_t *attr, bool add)
{
    dnnl_post_ops_t ops = NULL;
    bool done = ok(dnnl_primitive_attr_create(attr)) && ok(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user));
    if (done && add) {
        done = ok(dnnl_post_ops_create(&ops)) && ok(dnnl_post_ops_append_sum(ops, 1)) && ok(dnnl_primitive_attr_set_post_ops(*attr, ops));
        dnnl_post_ops_destroy(ops);
    }
    return done;
}

static bool make_scratch(MuseOnednnGemm *g, Entry *e, dnnl_primitive_desc_t desc)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const size_t bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    if (bytes == 0) return true;
    e->scratch_bytes = muse_alloc(g->alloc, bytes);
    return e->scratch_bytes && ok(dnnl_memory_create(&e->scratch, md, g->engine, e->scratch_bytes));
}

static bool make(MuseOnednnGemm *g, Entry *e)
{
    const MuseGemmArgs *k = &e->key;
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t op;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    const bool done = describe(&a, k->m, k->k, k->lda, k->turn_a, k->bf16) && describe(&b, k->k, k->n, k->ldb, k->turn_b, k->bf16)
        && describe(&c, k->m, k->n, k->ldc, false, k->c_bf16) && ok(dnnl_matmul_desc_init(&op, &a, &b, NULL, &c)) && make_attr(&attr, k->add)
        && ok(dnnl_primitive_desc_create(&desc, &op, attr, g->engine, NULL)) && ok(dnnl_primitive_create(&e->primitive, desc))
        && ok(dnnl_memory_create(&e->a, &a, g->engine, DNNL_MEMORY_NONE)) && ok(dnnl_memory_create(&e->b, &b, g->engine, DNNL_MEMORY_NONE))
        && ok(dnnl_memory_create(&e->c, &c, g->engine, DNNL_MEMORY_NONE)) && make_scratch(g, e, desc);
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attr);
    return done;
}

static bool same(const MuseGemmArgs *x, const MuseGemmArgs *y)
{
    return x->m == y->m && x->n == y->n && x->k == y->k && x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc && x->turn_a == y->turn_a
        && x->turn_b == y->turn_b && x->add == y->add && x->bf16 == y->bf16 && x->c_bf16 == y->c_bf16;
}

static size_t slot_of(const MuseGemmArgs *k)
{
    const size_t parts[] = { k->m, k->n, k->k, k->lda, k->ldb, k->ldc, (size_t)k->turn_a * 16 + k->turn_b * 8 + k->add * 4 + k->bf16 * 2 + k->c_bf16 };
    uint64_t h = 1469598103934665603u;   /* FNV-1a over words */
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) h = (h ^ parts[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 29) % SLOTS;
}

static Entry *find(MuseOnednnGemm *g, const MuseGemmArgs *args)
{
    size_t at = slot_of(args);
    for (; g->entries[at].used; at = (at + 1) % SLOTS)
        if (same(&g->entries[at].key, args)) return &g->entries[at];
    if (g->n == KEPT) {
        clear_all(g);
        at = slot_of(args);
    }
    Entry *e = &g->entries[at];
    e->key = *args;
    e->key.a = e->key.b = e->key.c = NULL;
    if (!make(g, e)) {
        const MuseGemmArgs key = e->key;
        clear_entry(e);
        e->key = key;
        e->refused = true;
    }
    e->used = true;
    g->n++;
    return e;
}

bool muse_onednn_gemm_run(MuseOnednnGemm *g, const MuseGemmArgs *args)
{
    const int before = omp_get_max_threads();
    omp_set_num_threads(g->threads);
    Entry *e = find(g, args);
    bool done = !e->refused && ok(dnnl_memory_set_data_handle(e->a, (void *)args->a)) && ok(dnnl_memory_set_data_handle(e->b, (void *)args->b))
        && ok(dnnl_memory_set_data_handle(e->c, args->c));
    if (done) {
        const dnnl_exec_arg_t list[] = { { DNNL_ARG_SRC, e->a }, { DNNL_ARG_WEIGHTS, e->b }, { DNNL_ARG_DST, e->c }, { DNNL_ARG_SCRATCHPAD, e->scratch } };
        done = ok(dnnl_primitive_execute(e->primitive, g->stream, e->scratch ? 4 : 3, list)) && ok(dnnl_stream_wait(g->stream));
    }
    omp_set_num_threads(before);
    return done;
}
