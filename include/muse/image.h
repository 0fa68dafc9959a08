/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file image.h
 * The image tokenizer: files or pixels to patches, regions of the kept original, and a PNG writer.
 *
 * Coordinates are pixels of the picture as a person sees it (EXIF orientation applied), x right, y down, the
 * left and top edge 0. A MuseImage is read-only after open: any number of threads.
 */
#ifndef MUSE_IMAGE_H
#define MUSE_IMAGE_H

#include "muse/family.h"
#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A picture, opened. Read-only: any thread. Counted references: whoever opened it closes with muse_image_close(). */
typedef struct MuseImage MuseImage;
/** What a rule made of a picture: patches. Read-only: any thread. Close with muse_patches_close(). */
typedef struct MusePatches MusePatches;

/** A rectangle: x0 <= x < x1, y0 <= y < y1. */
typedef struct MuseRect { double x0, y0, x1, y1; } MuseRect;

/** What is kept of the original for regions, re-looks and repeated use. */
enum {
    MUSE_KEEP_ENCODED = 0, ///< the encoded bytes, decoded again when asked; least memory (given pixels: the pixels)
    MUSE_KEEP_PIXELS  = 1  ///< 8-bit pixels, decoded once at open; fastest regions
};

/** How pictures are opened. */
typedef struct MuseImageParams {
    size_t        struct_size;        ///< set by muse_image_params_init()
    uint64_t      max_pixels;         ///< refuse larger pictures, from the header alone; 0 = 2^28 (268 megapixels)
    uint64_t      max_bytes;          ///< refuse larger files; 0 = 2^30
    uint32_t      keep;               ///< MUSE_KEEP_*
    int           ignore_orientation; ///< 1: take the pixels as stored, not as the EXIF orientation turns them
    int           borrow;             ///< open_memory, open_pixels: 1 = the caller's bytes stay valid and unchanged until the last reference is closed (sequences and regions
                                      ///< hold some), no copy is made
    MuseCancelFn *cancel;             ///< NULL = never. Used by open only
    void         *cancel_user;
    MuseReleaseFn *release;           ///< with borrow: told when the bytes are no longer needed, if open returned 0; NULL = nobody is told
    void         *release_user;
} MuseImageParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_image_params_init(MuseImageParams *params);

/**
 * Open a picture file: JPEG, PNG, WebP (first frame), PPM/PGM (binary or text, 8 or 16 bit). Any thread. The kind is
 * told by the contents, not the name.
 *
 * @param out     Receives the handle, or NULL. Release with muse_image_close().
 * @param rt      NULL = defaults.
 * @param params  NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_FORMAT: damaged, truncated, or no known kind; MUSE_ERR_UNSUPPORTED;
 *         MUSE_ERR_LIMIT: over max_pixels or max_bytes; MUSE_ERR_CANCELLED; MUSE_ERR_NOMEM.
 *         A file over 64 MiB must not be shortened by others while it is open (it is mapped).
 *         Under MUSE_KEEP_ENCODED only the header is read here: damage further in is reported by the call that decodes.
 */
MUSE_API int muse_image_open_file(MuseImage **out, MuseRuntime *rt, const char *path, const MuseImageParams *params, MuseError *err);

/** The same from the bytes of such a file. Copied unless params->borrow. @return as muse_image_open_file(), MUSE_ERR_IO excepted. */
MUSE_API int muse_image_open_memory(MuseImage **out, MuseRuntime *rt, const void *bytes, size_t size,
                                    const MuseImageParams *params, MuseError *err);

/** Layout of caller's pixels, 8 bits a sample. */
enum {
    MUSE_PIXELS_RGB  = 3, ///< 3 bytes a pixel
    MUSE_PIXELS_RGBA = 4, ///< 4 bytes a pixel, alpha last, not multiplied in
    MUSE_PIXELS_GREY = 1  ///< 1 byte a pixel
};

/**
 * Wrap pixels. Copied unless params->borrow. Any thread.
 * @param out    Receives the handle, or NULL. Release with muse_image_close().
 * @param pixels Top row first.
 * @param stride Bytes from row to row; 0 = width * samples. At least that; rows may not overlap.
 * @param layout MUSE_PIXELS_*.
 * @return 0; MUSE_ERR_ARG: no area, a stride that is too small, no such layout; MUSE_ERR_LIMIT: over max_pixels; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_image_open_pixels(MuseImage **out, MuseRuntime *rt, const void *pixels, uint32_t width, uint32_t height,
                                    size_t stride, int layout, const MuseImageParams *params, MuseError *err);

/** Release one reference; *img becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_image_close(MuseImage **img);

/** One more reference to the same image. Any thread. @return img. */
MUSE_API MuseImage *muse_image_ref(MuseImage *img);

/** What is known of an open picture. */
typedef struct MuseImageInfo {
    uint32_t    width, height;  ///< as seen, pixels
    const char *format;         ///< "jpeg", "png", "webp", "pnm" or "pixels"; static
    uint32_t    orientation;    ///< EXIF value that was applied, 1..8; 1 = none
    uint32_t    bits;           ///< bits a sample in the file, 1..16; PNG keeps the high 8, PNM is scaled to 0..255 and rounded
    uint32_t    channels;       ///< in the file: 1 grey, 2 grey+alpha, 3 colour, 4 colour+alpha or CMYK
    int         has_alpha;
    int         is_cmyk;
    MuseRect    source;         ///< this picture's place in the original: the whole of it, or a region's rectangle
} MuseImageInfo;

/** Any thread. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_image_info(const MuseImage *img, MuseImageInfo *out);

/**
 * A part of a picture as a picture of its own, cut from the kept original at full detail. Any thread.
 * @param out   Receives the region, or NULL. Release with muse_image_close(); it keeps the original alive.
 * @param rect  In img's pixels. Rounded outwards to whole pixels and clipped to the picture; info.source tells the result,
 *              in pixels of the original also for a region of a region.
 * @return 0; MUSE_ERR_ARG: not finite, or nothing of it lies inside the picture; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_image_region(MuseImage **out, const MuseImage *img, MuseRect rect, MuseError *err);

/**
 * All pixels as 8-bit RGB, top row first. Any thread.
 * @param alpha      MUSE_ALPHA_*.
 * @param background RGB under MUSE_ALPHA_OVER; NULL = white.
 * @param rgb        height rows of width * 3 bytes, stride bytes apart; caller's.
 * @param stride     0 = width * 3.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_FORMAT; MUSE_ERR_NOMEM. On error the contents of rgb are undefined.
 */
MUSE_API int muse_image_read_rgb(const MuseImage *img, int alpha, const uint8_t background[3], uint8_t *rgb, size_t stride, MuseError *err);

/** What a rule makes of a size. Everything that counting, drawing and mapping back need. */
typedef struct MuseImagePlan {
    uint32_t width, height;             ///< original, pixels
    uint32_t used_width, used_height;   ///< after resizing, without padding
    uint32_t grid_width, grid_height;   ///< patches across and down
    uint32_t n_patches;                 ///< grid_width * grid_height
    uint32_t unit;                      ///< side of a patch in used pixels
    uint32_t budget;                    ///< the budget that was used; 0 for MUSE_IMAGE_FIT
    double   scale_x, scale_y;          ///< used / original; below 1 means detail was lost
    int      resized;                   ///< 0: the pixels are taken as they are
} MuseImagePlan;

/**
 * Size, grid and count for a picture of this size. No pixels needed: this is how tokens are counted. Any thread.
 * @param budget  One of rule->budgets, MUSE_BUDGET_DEFAULT or MUSE_BUDGET_AUTO.
 * @return 0; MUSE_ERR_ARG: zero size, or a budget that the rule does not allow; MUSE_ERR_UNSUPPORTED: no pictures in this
 *         family; MUSE_ERR_LIMIT: no grid fits this size (an extreme aspect ratio).
 * @source Gemma 4 spec 3.1; Fuyu spec 3.
 */
MUSE_API int muse_image_plan(const MuseImageRule *rule, uint32_t width, uint32_t height, uint32_t budget,
                             MuseImagePlan *out, MuseError *err);

/** The rectangle of patch (gx, gy) in pixels of the original (plan frame, not yet offset by a region's source). Any thread. */
MUSE_API MuseRect muse_image_plan_rect(const MuseImagePlan *plan, uint32_t gx, uint32_t gy);

/**
 * Decode, resize and cut. Rows are streamed: memory beyond the decoder's own is a few rows of the original and the result.
 * Any thread. Large pictures are resized on a second thread while this one decodes, unless the runtime has one thread.
 *
 * @param out     Receives the patches, or NULL. Release with muse_patches_close().
 * @param cancel  NULL = never.
 * @return as muse_image_plan() and muse_image_open_file().
 */
MUSE_API int muse_image_patches(MusePatches **out, const MuseImage *img, const MuseImageRule *rule, uint32_t budget,
                                MuseCancelFn *cancel, void *cancel_user, MuseError *err);

/** Release one reference; *patches becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_patches_close(MusePatches **patches);

/** One more reference to the same patches. Any thread. @return patches. */
MUSE_API MusePatches *muse_patches_ref(MusePatches *patches);

/** The plan that was carried out. Lives as long as patches; NULL if patches is NULL. */
MUSE_API const MuseImagePlan *muse_patches_plan(const MusePatches *patches);

/**
 * The resized pixels, padding included: grid_height * unit rows of grid_width * unit RGB pixels, no gaps.
 * @return a pointer that lives as long as patches; NULL if patches is NULL.
 */
MUSE_API const uint8_t *muse_patches_rgb(const MusePatches *patches);

/**
 * Patch values, f32. Any thread.
 * @param first,n  Patches in raster order, x fastest.
 * @param out      Shape [n, unit * unit * 3]: row, column, RGB fastest; values sample * scale + offset.
 * @return 0; MUSE_ERR_ARG: out of range.
 */
MUSE_API int muse_patches_read(const MusePatches *patches, size_t first, size_t n, float *out);

/** Content hash of the resized pixels, their geometry and the rule: equal hashes, equal features. BLAKE2b, 32 bytes. Any thread. */
MUSE_API void muse_patches_hash(const MusePatches *patches, uint8_t hash[32]);

/**
 * Resize 8-bit pixels by themselves, as Pillow and torchvision do. Any thread; the calling thread works.
 * @param rt       NULL = defaults.
 * @param src      height rows of width * channels bytes, stride bytes apart; stride 0 = no gaps. May not overlap dst.
 * @param channels 1, 3 or 4.
 * @param filter,precision MUSE_FILTER_*, MUSE_PRECISION_*.
 * @param dst      dst_height rows of dst_width * channels bytes, no gaps.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_image_resize(MuseRuntime *rt, const uint8_t *src, uint32_t width, uint32_t height, size_t stride, int channels,
                               uint32_t filter, uint32_t precision, uint8_t *dst, uint32_t dst_width, uint32_t dst_height, MuseError *err);

/**
 * Write 8-bit pixels as a PNG file, whole or not at all (a temporary file beside it is renamed). Any thread.
 * @param layout MUSE_PIXELS_*.
 * @param stride Bytes from row to row; 0 = no gaps.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_png_write_file(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride,
                                 int layout, MuseError *err);

/** The same into memory. @param rt NULL = defaults. @param bytes Receives the file; release with muse_free().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM. */
MUSE_API int muse_png_write_memory(MuseRuntime *rt, void **bytes, size_t *size, const uint8_t *pixels, uint32_t width, uint32_t height,
                                   size_t stride, int layout, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
