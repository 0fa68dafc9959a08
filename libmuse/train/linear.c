/* SPDX-License-Identifier: Apache-2.0 */
/* Linears over rows. Batches have any number of rows, and oneDNN prepares a product for each shape it meets, so rows go in
 * chunks whose sizes are few: 1,024, 512, 256, 128, 64. */
#include "libmuse/train/net.h"

static size_t chunk(size_t left)
{
    size_t c = 1024;
    while (c > left) c /= 2;
    return c;
}

/* one thread for little work: see muse_net_rows() */
static size_t lane_of(const MuseGemmArgs *a) { return a->m * a->n * a->k < (size_t)1 << 21 ? MUSE_GEMM_TEAM + 1 : MUSE_GEMM_TEAM; }

static void forward(MuseNet *net, const MuseLinear *l, const void *x, void *y, bool c_bf16, bool add)
{
    const size_t y_bytes = c_bf16 ? 2 : 4;
    for (size_t at = 0, n; at < l->n; at += n) {
        n = chunk(l->n - at);
        const MuseGemmArgs args = { n, l->m, l->k, muse_act_at(net, x, at * l->k), muse_act_at(net, net->work, l->w), (uint8_t *)y + at * l->m * y_bytes, l->k, l->k, l->m,
                                    false, true, add, net->bf16, c_bf16 };
        muse_gemm_run(net->gemm, lane_of(&args), &args);
    }
}

void muse_linear(MuseNet *net, const MuseLinear *l, const void *x, void *y_act) { forward(net, l, x, y_act, net->bf16, false); }
void muse_linear_f32(MuseNet *net, const MuseLinear *l, const void *x, float *y, bool add) { forward(net, l, x, y, false, add); }

static void back_x(MuseNet *net, const MuseLinear *l, const void *dy, void *dx, bool c_bf16)
{
    const size_t x_bytes = c_bf16 ? 2 : 4;
    for (size_t at = 0, n; at < l->n; at += n) {
        n = chunk(l->n - at);
        const MuseGemmArgs args = { n, l->k, l->m, muse_act_at(net, dy, at * l->m), muse_act_at(net, net->work, l->w), (uint8_t *)dx + at * l->k * x_bytes, l->m, l->k, l->k,
                                    false, false, false, net->bf16, c_bf16 };
        muse_gemm_run(net->gemm, lane_of(&args), &args);
    }
}

void muse_linear_back_x(MuseNet *net, const MuseLinear *l, const void *dy, void *dx_act) { back_x(net, l, dy, dx_act, net->bf16); }
void muse_linear_back_x_f32(MuseNet *net, const MuseLinear *l, const void *dy, float *dx) { back_x(net, l, dy, dx, false); }

void muse_linear_back_w(MuseNet *net, const MuseLinear *l, const void *dy, const void *x)
{
    for (size_t at = 0, n; at < l->n; at += n) {
        n = chunk(l->n - at);
        const MuseGemmArgs args = { l->m, l->k, n, muse_act_at(net, dy, at * l->m), muse_act_at(net, x, at * l->k), net->grad + l->w, l->m, l->k, l->k,
                                    true, false, true, net->bf16, false };
        muse_gemm_run(net->gemm, lane_of(&args), &args);
    }
}
