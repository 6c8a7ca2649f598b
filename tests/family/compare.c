// SPDX-License-Identifier: BSD-3-Clause
// compare.c -- see family.h: what a reader says about one dataset against H5Dread and against what was written.
//
// The library is asked for the whole dataset once; each part a reader gives is compared with that part of the whole,
// byte by byte.  NaN and the sign of zero count, so bytes are compared and not numbers.
#include "family.h"
#include "io/frames.h"
#include "io/library.h"

typedef struct {
    hid_t file, dataset;
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK], n;
    size_t elem;
    bool complete; // all of it was written
    uint8_t *values;
} referee;

static hid_t memory_type(hid_t type)
{
    hid_t native = H5I_INVALID_HID;
    H5T_class_t class = H5Tget_class(type);
    size_t size = H5Tget_size(type);
    if (class == H5T_BITFIELD)
        native = size == 1 ? H5T_NATIVE_B8 : size == 2 ? H5T_NATIVE_B16 : size == 4 ? H5T_NATIVE_B32 : H5T_NATIVE_B64;
    else if (class == H5T_ENUM)
        return H5Tget_native_type(type, H5T_DIR_DEFAULT);
    else
        native = xn_hdf_native(xn_hdf_type(type));
    return H5Tcopy(native);
}

static bool all_written(hid_t dataset, hid_t created, hid_t space, const referee *t)
{
    hsize_t stored = 0, chunk[H5S_MAX_RANK], n = 1;
    switch (H5Pget_layout(created)) {
    case H5D_CHUNKED:
        H5Pget_chunk(created, H5S_MAX_RANK, chunk);
        for (int k = 0; k < t->rank; k++) n *= ((hsize_t)t->dims[k] + chunk[k] - 1) / chunk[k];
        return H5Dget_num_chunks(dataset, space, &stored) >= 0 && stored == n;
    case H5D_VIRTUAL:
        return false; // its sources know
    default:
        return t->n == 0 || H5Dget_storage_size(dataset) > 0;
    }
}

static bool referee_open(const family_reading *reading, referee *t)
{
    memset(t, 0, sizeof *t);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, true, true); // as src/io does: the library wants all who open a file to agree
    t->file = H5Fopen(reading->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    t->dataset = H5Dopen2(t->file, reading->name, H5P_DEFAULT);
    if (t->dataset < 0) return false;
    hid_t space = H5Dget_space(t->dataset), type = H5Dget_type(t->dataset), created = H5Dget_create_plist(t->dataset);
    hid_t memory = memory_type(type);
    hsize_t dims[H5S_MAX_RANK];
    t->rank = H5Sget_simple_extent_dims(space, dims, NULL);
    t->n = H5Sget_simple_extent_npoints(space);
    for (int k = 0; k < t->rank; k++) t->dims[k] = (int64_t)dims[k];
    t->type = xn_hdf_type(type);
    t->elem = H5Tget_size(type);
    t->complete = all_written(t->dataset, created, space, t);
    t->values = malloc((size_t)t->n * t->elem + 1);
    bool good = true;
    if (reading->referee) good = H5Dread(t->dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->values) >= 0;
    if (!reading->referee) memcpy(t->values, reading->truth, (size_t)t->n * t->elem);
    H5Tclose(memory);
    H5Tclose(type);
    H5Pclose(created);
    H5Sclose(space);
    return good;
}

static void referee_close(referee *t)
{
    if (t->dataset >= 0) H5Dclose(t->dataset);
    if (t->file >= 0) H5Fclose(t->file);
    free(t->values);
}

static bool same(const void *got, const void *want, size_t n, const char *what, char why[512])
{
    const uint8_t *a = got, *b = want;
    size_t i = 0;
    if (n == 0 || memcmp(a, b, n) == 0) return true;
    while (a[i] == b[i]) i++;
    snprintf(why, 512, "%s: byte %zu of %zu is %d, not %d", what, i, n, a[i], b[i]);
    return false;
}

// ---- frames.h: whole rows of the slowest axis, for two axes or more

static bool compare_frames(xn_ctx *ctx, const family_reading *reading, const referee *t, char why[512])
{
    xn_frames *f;
    const char *paths[1] = {reading->path};
    xn_rng r;
    if (t->rank < 2 || t->n == 0 || !t->complete) return true;
    xn_rng_init(&r, reading->seed, 3);
    if (xn_frames_open(ctx, paths, 1, reading->name, &f) != XANI_OK) {
        snprintf(why, 512, "frames: %s", xani_error_text(ctx));
        return false;
    }
    const xn_frames_info *info = xn_frames_get_info(f);
    bool good = info->n == t->dims[0] && info->type == t->type &&
                (int64_t)info->frame_bytes * info->n == t->n * (int64_t)t->elem;
    if (!good) snprintf(why, 512, "frames: other shape or type");
    uint8_t *frame = malloc(info->frame_bytes);
    int64_t tries = info->direct ? xn_min64(info->n, 40) : 0;
    for (int64_t i = 0; i < tries && good; i++) {
        int64_t k = xn_rng_u32(&r) % info->n;
        good = xn_frames_read(ctx, f, k, frame) == XANI_OK;
        if (!good) snprintf(why, 512, "frames: %s", xani_error_text(ctx));
        good = good && same(frame, t->values + (size_t)k * info->frame_bytes, info->frame_bytes, "frame", why);
    }
    free(frame);
    xn_frames_close(&f);
    return good;
}

bool family_compare(xn_ctx *ctx, const family_reading *reading, char why[512])
{
    referee t;
    bool good = referee_open(reading, &t);
    if (!good) snprintf(why, 512, "the library cannot read it");
    if (good && reading->truth)
        good = same(t.values, reading->truth, (size_t)t.n * t.elem, "the library against what was written", why);
    xn_clear_error(ctx);
    good = good && compare_frames(ctx, reading, &t, why);
    referee_close(&t);
    return good;
}
