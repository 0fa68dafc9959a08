/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN, the portable matrix engine. The only folder that sees its headers. */
#ifndef OPS_ONEDNN_H
#define OPS_ONEDNN_H

#include <stddef.h>

/* "2.6.3" and the like into text, cap bytes */
void muse_onednn_version(char *text, size_t cap);

#endif
