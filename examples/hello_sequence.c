/* SPDX-License-Identifier: Apache-2.0 */
/* What would Gemma 4 get from a picture? Prints the number of positions and what the first patch covers.
 *   cc hello_sequence.c -o hello_sequence $(pkg-config --cflags --libs muse) */
#include <muse/muse.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    MuseError err;
    MuseImage *image = NULL;
    MuseSequence *seq = NULL;
    MuseSequenceParams params;
    muse_sequence_params_init(&params);
    params.family_name = "gemma4_unified";
    int rc = muse_image_open_file(&image, NULL, argc > 1 ? argv[1] : "examples/media/coffee.jpg", NULL, &err);
    if (rc == 0) rc = muse_sequence_open(&seq, NULL, &params, &err);
    if (rc == 0) rc = muse_sequence_append_image(seq, image, NULL, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        MusePosition p;
        muse_sequence_position(seq, 1, &p);   /* 0 is the marker before the picture */
        printf("%zu positions; patch %u covers pixels (%.1f, %.1f) to (%.1f, %.1f)\n", muse_sequence_length(seq), p.index, p.source.x0,
               p.source.y0, p.source.x1, p.source.y1);
    }
    muse_sequence_close(&seq);
    muse_image_close(&image);
    return rc < 0;
}
