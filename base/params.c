/* SPDX-License-Identifier: Apache-2.0 */
#include "base/params.h"

#include <stdint.h>
#include <string.h>

int muse_params_import(void *dst, size_t dst_size, const void *src, const char *name, MuseError *err)
{
    memset(dst, 0, dst_size);
    memcpy(dst, &dst_size, sizeof dst_size);   /* struct_size comes first in every such struct */
    if (!src) return 0;
    size_t src_size;
    memcpy(&src_size, src, sizeof src_size);
    if (src_size < sizeof src_size || src_size > 1 << 16)
        return muse_fail(err, MUSE_ERR_ARG, "%s: struct_size is %zu; call its _init function first", name, src_size);
    const uint8_t *bytes = src;
    for (size_t i = dst_size; i < src_size; i++)
        if (bytes[i])
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: byte %zu is set, but this library knows only %zu bytes of it", name, i, dst_size);
    const size_t known = src_size < dst_size ? src_size : dst_size;
    memcpy((uint8_t *)dst + sizeof src_size, bytes + sizeof src_size, known - sizeof src_size);
    return 0;
}
