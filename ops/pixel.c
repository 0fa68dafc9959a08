/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/pixel.h"

void muse_pixel_ops_init(MusePixelOps *ops, unsigned cpu)
{
    (void)cpu;
    ops->unused = 0;
}
