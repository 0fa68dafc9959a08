/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/resize.h"

void muse_resize_ops_init(MuseResizeOps *ops, unsigned cpu)
{
    (void)cpu;
    ops->unused = 0;
}
