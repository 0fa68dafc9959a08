/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an answer: boxes in it are read or not, and what is read is whole. */
#include "fuzz.h"
#include "libmuse/reason/boxes.h"
#include "muse/trace.h"

static int on_box(void *user, const MuseBox *box)
{
    const MuseCoords coords = muse_coords_thousand((MuseRect){ 0, 0, 640, 480 }, 1);
    MuseRect r = { 0 };
    FUZZ_CHECK(box->n == 0 || box->n == 2 || box->n == 4);
    FUZZ_CHECK(box->image >= -1);
    for (size_t i = 0; i < box->n_label; i++) *(unsigned *)user += (unsigned char)box->label[i];
    if (box->n && muse_coords_to_rect(&coords, box->v, box->n, &r, NULL) == 0) FUZZ_CHECK(r.x0 >= 0 && r.y0 >= 0 && r.x1 <= 640 && r.y1 <= 480 && r.x0 <= r.x1 && r.y0 <= r.y1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const MuseAllocator alloc;
    uint8_t *exact = fuzz_copy(data, size);
    unsigned sum = 0;
    const int rc = muse_read_boxes(&alloc, (const char *)exact, size, on_box, &sum, NULL);
    FUZZ_CHECK(rc == 0 || rc == MUSE_ERR_FORMAT);
    free(exact);
    return 0;
}
