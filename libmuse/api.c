/* SPDX-License-Identifier: Apache-2.0 */
/* Public entries that belong to no module: the versions. */
#include "config.h"
#include "muse/muse.h"

int muse_abi_version(void) { return MUSE_ABI_VERSION; }

const char *muse_version(void) { return MUSE_VERSION; }
