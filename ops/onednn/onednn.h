/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN, the portable matrix engine. The only folder that sees its headers. */
#ifndef OPS_ONEDNN_H
#define OPS_ONEDNN_H

/* "2.6.3" and the like, of the library that is built against; static. */
const char *muse_onednn_version(void);

#endif
