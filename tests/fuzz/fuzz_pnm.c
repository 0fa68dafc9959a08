/* SPDX-License-Identifier: Apache-2.0 */
/* The PGM and PPM reader, from bytes to patches. */
#include "tests/fuzz/fuzz_picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_picture(data, size);
    return 0;
}
