/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/mel.h"

void muse_mel_ops_init(MuseMelOps *ops, unsigned cpu)
{
    (void)cpu;
    ops->unused = 0;
}
