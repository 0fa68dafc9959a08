/* SPDX-License-Identifier: Apache-2.0 */
/* How much longer than bare JPEG decoding is the way to patches? A 12-megapixel 4:2:0 picture of quality 85, made here, goes
 * through libjpeg alone (into one reused row; into a whole frame) and through the image tokenizer (Gemma 4, budget 280, f32
 * patches included), taking turns; medians are printed. The more detail in the picture, the longer bare decoding takes: the default noise makes a
 * file of 4 MB, as photographs have at this size and quality; noise 8 makes one of 2.5 MB.
 * usage: bench_image [rounds] [threads] [noise] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "muse/muse.h"
#include "tests/unit/jpeg_make.h"

enum { WIDTH = 4000, HEIGHT = 3000, ROUNDS_MAX = 99, NOISE = 22, N_TASKS = 6 };

typedef struct Bench {
    unsigned char *bytes;
    unsigned long  size;
    uint8_t       *frame;      /* [HEIGHT, WIDTH, 3] */
    uint8_t       *small;
    MuseRuntime   *rt;
    MuseImage     *upright, *turned;   /* turned: EXIF orientation 6 */
    const MuseImageRule *rule;
    float         *patches;
} Bench;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(int rc, const MuseError *err)
{
    if (rc >= 0) return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void decode_row(Bench *b) { jpeg_bare(b->bytes, b->size, NULL); }
static void decode_frame(Bench *b) { jpeg_bare(b->bytes, b->size, b->frame); }

static void to_patches(Bench *b, const MuseImage *img, int read)
{
    MuseError err;
    MusePatches *p;
    check(muse_image_patches(&p, img, b->rule, 280, NULL, NULL, &err), &err);
    if (read) muse_patches_read(p, 0, muse_patches_plan(p)->n_patches, b->patches);
    muse_patches_close(&p);
}

static void upright(Bench *b) { to_patches(b, b->upright, 1); }
static void turned(Bench *b) { to_patches(b, b->turned, 1); }

static void resize_alone(Bench *b)
{
    MuseError err;
    check(muse_image_resize(b->rt, b->frame, WIDTH, HEIGHT, 0, 3, MUSE_FILTER_BICUBIC, MUSE_PRECISION_TORCH, b->small, 912, 672, &err), &err);
}

static void read_rgb(Bench *b)
{
    MuseError err;
    check(muse_image_read_rgb(b->upright, MUSE_ALPHA_DROP, NULL, b->frame, 0, &err), &err);
}

static const struct { const char *name; void (*run)(Bench *b); } tasks[N_TASKS] = {
    { "libjpeg, one row", decode_row }, { "libjpeg, whole frame", decode_frame }, { "to patches", upright }, { "to patches, EXIF 6", turned },
    { "resize alone", resize_alone }, { "read_rgb", read_rgb },
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void open_images(Bench *b)
{
    static const uint8_t app1[] = "\xff\xe1\x00\x22" "Exif\0\0" "II*\0\x08\0\0\0" "\x01\0" "\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" "\0\0\0\0";
    MuseError err;
    check(muse_image_open_memory(&b->upright, b->rt, b->bytes, b->size, NULL, &err), &err);
    uint8_t *with = malloc(b->size + 36);
    memcpy(with, b->bytes, 2);
    memcpy(with + 2, app1, 36);
    memcpy(with + 38, b->bytes + 2, b->size - 2);
    check(muse_image_open_memory(&b->turned, b->rt, with, b->size + 36, NULL, &err), &err);
    free(with);
    MuseImageInfo info;
    muse_image_info(b->turned, &info);
    if (info.orientation != 6) exit(1);
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 9;
    if (rounds < 1 || rounds > ROUNDS_MAX) return 2;
    const JpegLayout layout = { "420", 3, JCS_YCbCr, 2, 2, 0, 0, 0, NULL, 0 };
    Bench b = { .rule = &muse_family_find("gemma4_unified")->image };
    MuseError err;
    MuseRuntimeParams params;
    muse_runtime_params_init(&params);
    params.threads = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;
    check(muse_runtime_open(&b.rt, &params, &err), &err);
    b.size = jpeg_make(&b.bytes, &layout, WIDTH, HEIGHT, 85, argc > 3 ? atof(argv[3]) : NOISE);
    b.frame = calloc((size_t)WIDTH * HEIGHT, 3);
    b.small = malloc((size_t)912 * 672 * 3);
    b.patches = malloc((size_t)280 * 48 * 48 * 3 * sizeof *b.patches);
    if (!b.frame || !b.small || !b.patches) return 1;
    open_images(&b);
    MuseRuntimeInfo info;
    muse_runtime_info(b.rt, &info);
    printf("%dx%d 4:2:0 quality 85, %lu bytes; %u threads, %s kernels; medians of %d\n", WIDTH, HEIGHT, b.size, info.threads, info.cpu_level_name, rounds);
    static double times[N_TASKS][ROUNDS_MAX];
    for (int r = -1; r < rounds; r++)   /* the first round warms up */
        for (int t = 0; t < N_TASKS; t++) {
            const double start = now_ms();
            tasks[t].run(&b);
            if (r >= 0) times[t][r] = now_ms() - start;
        }
    for (int t = 0; t < N_TASKS; t++) {
        qsort(times[t], (size_t)rounds, sizeof times[t][0], by_value);
        const double median = times[t][rounds / 2], row = times[0][rounds / 2];
        printf("%-22s %8.2f ms  (%.2f .. %.2f)  %.3f of one row, %.3f of whole frame\n", tasks[t].name, median, times[t][0], times[t][rounds - 1],
               median / row, median / times[1][rounds / 2]);
    }
    free(b.frame);
    free(b.small);
    free(b.patches);
    free(b.bytes);
    muse_image_close(&b.upright);
    muse_image_close(&b.turned);
    muse_runtime_close(&b.rt);
    return 0;
}
