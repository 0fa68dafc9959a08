/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/onednn/onednn.h"

#include <dnnl.h>
#include <stdio.h>

void muse_onednn_version(char *text, size_t cap)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, cap, "%d.%d.%d", v->major, v->minor, v->patch);
}
