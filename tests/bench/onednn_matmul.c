/* SPDX-License-Identifier: Apache-2.0 */
/* See onednn_matmul.h. Written for the C interface of oneDNN 2.x. */
#include "onednn_matmul.h"

#include <dnnl.h>
#include <stdlib.h>

struct OnednnMatmul {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t w, x, y;
};

static bool ok(dnnl_status_t s) { return s == dnnl_success; }

static bool pack_weights(OnednnMatmul *o, const dnnl_memory_desc_t *plain, void *w)
{
    const dnnl_memory_desc_t *want = dnnl_primitive_desc_query_md(o->desc, dnnl_query_weights_md, 0);
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    bool done = ok(dnnl_memory_create(&from, plain, o->engine, w)) && ok(dnnl_memory_create(&o->w, want, o->engine, DNNL_MEMORY_ALLOCATE))
        && ok(dnnl_reorder_primitive_desc_create(&desc, plain, o->engine, want, o->engine, NULL)) && ok(dnnl_primitive_create(&reorder, desc));
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, o->w } };
    done = done && ok(dnnl_primitive_execute(reorder, o->stream, 2, args)) && ok(dnnl_stream_wait(o->stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(from);
    return done;
}

OnednnMatmul *onednn_matmul_open(bool bf16, size_t m, size_t k, size_t n, const void *w, bool pack)
{
    OnednnMatmul *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    const dnnl_data_type_t type = bf16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t xd = { (dnnl_dim_t)n, (dnnl_dim_t)k }, wd = { (dnnl_dim_t)k, (dnnl_dim_t)m }, yd = { (dnnl_dim_t)n, (dnnl_dim_t)m };
    dnnl_memory_desc_t xm, wm, any, ym;
    dnnl_matmul_desc_t op;
    if (!ok(dnnl_memory_desc_init_by_tag(&xm, 2, xd, type, dnnl_ab)) || !ok(dnnl_memory_desc_init_by_tag(&wm, 2, wd, type, dnnl_ba))
        || !ok(dnnl_memory_desc_init_by_tag(&any, 2, wd, type, dnnl_format_tag_any)) || !ok(dnnl_memory_desc_init_by_tag(&ym, 2, yd, dnnl_f32, dnnl_ab))
        || !ok(dnnl_engine_create(&o->engine, dnnl_cpu, 0)) || !ok(dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags))
        || !ok(dnnl_matmul_desc_init(&op, &xm, pack ? &any : &wm, NULL, &ym)) || !ok(dnnl_primitive_desc_create(&o->desc, &op, NULL, o->engine, NULL))
        || !ok(dnnl_primitive_create(&o->primitive, o->desc)) || !ok(dnnl_memory_create(&o->x, &xm, o->engine, DNNL_MEMORY_NONE))
        || !ok(dnnl_memory_create(&o->y, &ym, o->engine, DNNL_MEMORY_NONE))
        || !(pack ? pack_weights(o, &wm, (void *)w) : ok(dnnl_memory_create(&o->w, &wm, o->engine, (void *)w)))) {
        onednn_matmul_close(o);
        return NULL;
    }
    return o;
}

bool onednn_matmul_run(OnednnMatmul *o, float *y, const void *x)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, o->x }, { DNNL_ARG_WEIGHTS, o->w }, { DNNL_ARG_DST, o->y } };
    return ok(dnnl_memory_set_data_handle(o->x, (void *)x)) && ok(dnnl_memory_set_data_handle(o->y, y))
        && ok(dnnl_primitive_execute(o->primitive, o->stream, 3, args)) && ok(dnnl_stream_wait(o->stream));
}

void onednn_matmul_close(OnednnMatmul *o)
{
    if (!o) return;
    dnnl_memory_destroy(o->w);
    dnnl_memory_destroy(o->x);
    dnnl_memory_destroy(o->y);
    dnnl_primitive_destroy(o->primitive);
    dnnl_primitive_desc_destroy(o->desc);
    dnnl_stream_destroy(o->stream);
    dnnl_engine_destroy(o->engine);
    free(o);
}
