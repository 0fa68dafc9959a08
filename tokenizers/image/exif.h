/* SPDX-License-Identifier: Apache-2.0 */
/* The orientation of an EXIF block. Users: the JPEG, PNG and WebP readers. */
#ifndef TOKENIZERS_IMAGE_EXIF_H
#define TOKENIZERS_IMAGE_EXIF_H

#include "base/log.h"

/* bytes: a TIFF structure, or one behind "Exif\0\0". Tag 0x0112 of the first directory, 1..8; 1 if there is none. A damaged
 * block, or a value outside 1..8, also means 1, with a warning in the log: pictures with broken EXIF are common, and their
 * pixels are good. where: for the warning, such as "jpeg: APP1 at byte 20". */
uint32_t muse_exif_orientation(const uint8_t *bytes, size_t size, const MuseLog *log, const char *where, size_t offset);

#endif
