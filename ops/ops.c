/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/ops.h"

void muse_ops_init(MuseOps *ops, unsigned cpu)
{
    muse_norm_ops_init(&ops->norm, cpu);
    muse_pixel_ops_init(&ops->pixel, cpu);
    muse_resize_ops_init(&ops->resize, cpu);
    muse_mel_ops_init(&ops->mel, cpu);
    muse_quant_ops_init(&ops->quant, cpu);
    muse_matmul_ops_init(&ops->matmul, cpu);
    muse_act_ops_init(&ops->act, cpu);
    muse_rope_ops_init(&ops->rope, cpu);
    muse_attend_ops_init(&ops->attend, cpu);
}
