/* SPDX-License-Identifier: Apache-2.0 */
/* What attention leaves for whoever watches: the weights of a slot's last position, for chosen layers and heads, over a range of keys. Nothing
 * is kept for other rows, so nothing of size T x T exists. Users: attention.c writes, session/watch.c owns and reads. */
#ifndef LIBMUSE_DECODER_WATCH_H
#define LIBMUSE_DECODER_WATCH_H

#include <stddef.h>
#include <stdint.h>

typedef struct MuseWatch {
    size_t   first, n;            /* positions of the keys */
    size_t   n_layers, n_heads;   /* watched */
    int32_t *layer_at;            /* [L]: which of the watched, or -1 */
    int32_t *head_at;             /* [H of the widest layer], the same */
    float   *weights;             /* [n_layers][n_heads][n] */
} MuseWatch;

#endif
