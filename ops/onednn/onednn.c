/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/onednn/onednn.h"

#include <dnnl_version.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *muse_onednn_version(void)
{
    return TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}
