// SPDX-License-Identifier: BSD-3-Clause
// writer_frames.c -- frames appended chunk by chunk, as detectors' own writers do.
//
// One frame is one chunk, stored as given (H5Dwrite_chunk): the caller encodes in parallel, this thread only
// writes.  The layout is that of raw detector files, so there is no Fletcher32; what was written is known by
// the hash of each frame's stored bytes, compared when the file is read back.
#include <string.h>
#include <xxhash.h>

#include "io/writer.h"

enum { BITSHUFFLE = 32008, LZ4 = 2 };

static hid_t frame_properties(const int64_t dims[3], bool compress)
{
    hsize_t chunk[3] = {1, (hsize_t)dims[1], (hsize_t)dims[2]};
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    if (created < 0) return created;
    H5Pset_obj_track_times(created, false);
    H5Pset_fill_time(created, H5D_FILL_TIME_NEVER);
    bool good = H5Pset_chunk(created, 3, chunk) >= 0;
    if (good && compress) {
        unsigned values[2] = {0, LZ4}; // default block; the filter puts its version and the element size before them
        xn_filter_make_available(BITSHUFFLE);
        good = H5Pset_filter(created, BITSHUFFLE, H5Z_FLAG_MANDATORY, 2, values) >= 0;
    }
    if (good) return created;
    H5Pclose(created);
    return H5I_INVALID_HID;
}

static void begin(xn_writer *w, xn_record *r)
{
    r->dataset = H5I_INVALID_HID;
    if (r->dims[0] == 0 || r->dims[1] == 0 || r->dims[2] == 0) {
        w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: frames without pixels", w->path, r->name);
        return;
    }
    hid_t created = frame_properties(r->dims, r->compressed);
    if (created < 0) {
        xn_writer_fail(w, r->name);
        return;
    }
    r->dataset = xn_writer_dataset(w, r->name, xn_hdf_native(r->type), 3, r->dims, created);
    H5Pclose(created);
}

xani_status xn_writer_frames_begin(xn_writer *w, const char *dataset, xn_type type, int64_t n, int64_t h, int64_t wd,
                                   bool compress)
{
    if (w->status != XANI_OK) return w->status;
    xn_record *r = xn_writer_record(w, dataset, type, 3, (const int64_t[]){n, h, wd});
    if (r == NULL) return w->status;
    r->frames = true;
    r->compressed = compress;
    r->frame_hash = xn_calloc((size_t)xn_max64(n, 1), sizeof *r->frame_hash);
    if (r->frame_hash == NULL) return w->status = xn_fail_memory(w->ctx, dataset, (size_t)n * sizeof *r->frame_hash);
    xn_hdf_guard guard = xn_hdf_enter();
    begin(w, r);
    xn_hdf_leave(guard);
    return xn_writer_status(w);
}

static xn_record *find(xn_writer *w, const char *dataset)
{
    if (dataset[0] == '/') dataset++;
    for (size_t i = 0; i < w->n_records; i++)
        if (w->record[i].frames && strcmp(w->record[i].name + 1, dataset) == 0) return &w->record[i];
    return NULL;
}

xani_status xn_writer_frame(xn_writer *w, const char *dataset, int64_t frame, const void *stored, size_t stored_bytes)
{
    if (w->status != XANI_OK) return w->status;
    xn_record *r = find(w, dataset);
    if (r == NULL || frame != r->frames_done || frame >= r->dims[0])
        return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: frame %lld is out of order", w->path, dataset,
                                   (long long)frame);
    size_t bytes = (size_t)(r->dims[1] * r->dims[2]) * xn_type_size(r->type);
    if (stored_bytes == 0 || (!r->compressed && stored_bytes != bytes))
        return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: frame %lld has %zu bytes, not %zu", w->path,
                                   dataset, (long long)frame, stored_bytes, bytes);
    r->frame_hash[frame] = XXH3_64bits(stored, stored_bytes);
    hsize_t offset[3] = {(hsize_t)frame, 0, 0};
    xn_hdf_guard guard = xn_hdf_enter();
    if (H5Dwrite_chunk(r->dataset, H5P_DEFAULT, 0, offset, stored_bytes, stored) < 0) xn_writer_fail(w, r->name);
    xn_hdf_leave(guard);
    r->frames_done++;
    return xn_writer_status(w);
}
