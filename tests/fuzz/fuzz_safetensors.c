/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a safetensors file, and as an index of shards. */
#include "libmuse/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseTensors list = { 0 };
    MuseError err = { 0 };
    if (muse_safetensors_read(&list, exact, size, 0, &err) == 0) {
        uint64_t sum = 0;
        for (size_t i = 0; i < list.n; i++) {
            const MuseTensor *t = &list.items[i];
            uint64_t values;
            FUZZ_CHECK(t->data >= exact && t->data <= exact + size && t->bytes <= (uint64_t)(exact + size - t->data));
            FUZZ_CHECK(muse_tensor_values(t, &values) && values * muse_tensor_type(t->type)->bytes == t->bytes);
            FUZZ_CHECK(muse_tensors_find(&list, t->name) == t);
            sum += t->bytes;
        }
        FUZZ_CHECK(sum <= size);
    } else {
        FUZZ_CHECK(err.text[0]);
    }
    muse_tensors_clear(&list);
    MuseShardIndex index;
    if (muse_shard_index_read(&index, NULL, exact, size, &err) == 0) {
        for (size_t i = 0; i < index.n_files; i++) FUZZ_CHECK(!strchr(index.files[i], '/') && index.files[i][0] != '.');
        for (size_t i = 0; i < index.n_entries; i++) FUZZ_CHECK(index.entries[i].shard < index.n_files);
    }
    muse_shard_index_clear(&index);
    free(exact);
    return 0;
}
