// SPDX-License-Identifier: BSD-3-Clause
// frames_dataset.c -- a dataset of frames is described once: type, layout, filters, where its chunks lie.
//
// The direct way takes contiguous and chunked layouts of plain numbers with filters we decode.  Everything
// else (compact or external storage, unusual number formats, unknown filters, an index that could not be
// read) goes through H5Dread; the answer is the library's either way.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/frames_dataset.h"

enum { GROUP_BYTES_MAX = 256 << 20, STORED_MAX = 1 << 30 };

void xn_frameset_close(xn_frameset *s)
{
    if (s->view) munmap(s->view, (size_t)s->file_bytes);
    if (s->fd >= 0) close(s->fd);
    for (int i = 0; s->groups && i < XN_GROUPS; i++) {
        pthread_mutex_destroy(&s->groups[i].lock);
        xn_free(s->groups[i].frames);
    }
    xn_free(s->groups);
    xn_chunk_map_free(&s->map);
    xn_codec_drain(&s->codecs);
    if (s->h5_dataset >= 0) {
        xn_hdf_guard guard = xn_hdf_enter();
        H5Dclose(s->h5_dataset);
        xn_hdf_leave(guard);
    }
    xn_h5_close(&s->file);
    xn_free(s->path);
    xn_free(s->dataset);
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->h5_dataset = H5I_INVALID_HID;
}

static xani_status describe_type(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, xn_frameset *s,
                                 bool *plain)
{
    hid_t type = H5Dget_type(dataset);
    if (type < 0) return xn_h5_fail(ctx, file, name, "its type cannot be read");
    s->type = xn_hdf_type(type);
    s->elem = xn_type_size(s->type);
    *plain = s->elem > 0 && xn_hdf_type_plain(type);
    s->swap = *plain && s->elem > 1 && H5Tget_order(type) == H5T_ORDER_BE;
    xani_status st = XANI_OK;
    if (s->elem == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not frames of numbers", file->path, name,
                     xn_hdf_class_name(type));
    H5Tclose(type);
    return st;
}

static xani_status describe_shape(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, xn_frameset *s)
{
    int64_t size, pixels = 1;
    hid_t space = H5Dget_space(dataset);
    xani_status st = space < 0 ? xn_h5_fail(ctx, file, name, "its shape cannot be read")
                               : xn_h5_shape(ctx, file, name, space, &s->rank, s->dims, &size);
    if (space >= 0) H5Sclose(space);
    if (st != XANI_OK) return st;
    if (s->rank < 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: has %d axes; frames need (n, h, w)", file->path, name, s->rank);
    for (int k = 1; k < s->rank; k++) pixels *= s->dims[k];
    if (pixels == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its frames have no pixels", file->path, name);
    s->frame_bytes = (size_t)pixels * s->elem;
    return XANI_OK;
}

static xani_status describe_contiguous(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, xn_frameset *s)
{
    s->kind = XN_CONTIGUOUS;
    s->stored_bytes = s->dims[0] * (int64_t)s->frame_bytes;
    if (s->dims[0] == 0) return XANI_OK;
    XN_TRY(xn_h5_complete(ctx, file, name, dataset));
    s->offset = (int64_t)H5Dget_offset(dataset);
    return XANI_OK;
}

static xani_status make_groups(xn_ctx *ctx, xn_frameset *s)
{
    s->groups = xn_calloc(XN_GROUPS, sizeof *s->groups);
    if (s->groups == NULL) return xn_fail_memory(ctx, s->dataset, XN_GROUPS * sizeof *s->groups);
    for (int i = 0; i < XN_GROUPS; i++) {
        pthread_mutex_init(&s->groups[i].lock, NULL);
        s->groups[i].group = -1;
    }
    return XANI_OK;
}

static xani_status check_chunks(xn_ctx *ctx, xn_frameset *s)
{
    int64_t per_layer = s->dims[0] ? s->map.n / s->map.grid[0] : 1;
    for (int64_t i = 0; i < s->map.n; i++) {
        const xn_chunk *c = &s->map.table[i];
        if (c->bytes > s->largest) s->largest = c->bytes;
        s->stored_bytes += c->bytes;
        int64_t frame = i / per_layer * s->depth;
        if (c->bytes > STORED_MAX || c->bytes > s->file_bytes)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: frame %lld: stored size %u is more than the file holds",
                           s->path, s->dataset, (long long)frame, c->bytes);
    }
    return XANI_OK;
}

static xani_status describe_chunked(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created,
                                    xn_frameset *s)
{
    hid_t holder = H5Iget_file_id(dataset), made = holder < 0 ? holder : H5Fget_create_plist(holder);
    hsize_t base = 0;
    size_t offsets = 0, lengths = 0;
    if (made >= 0 && H5Pget_userblock(made, &base) >= 0) H5Pget_sizes(made, &offsets, &lengths);
    if (made >= 0) H5Pclose(made);
    if (holder >= 0) H5Fclose(holder);
    if (offsets != 8 || lengths != 8 || base > (hsize_t)s->file_bytes) return s->kind = XN_LIBRARY, XANI_OK;
    s->kind = XN_CHUNKED;
    xn_chunk_file f = {s->fd, (int64_t)base, s->file_bytes, NULL};
    XN_TRY(xn_chunk_map_make(ctx, file, name, dataset, &f, &s->map));
    s->depth = s->map.chunk[0];
    bool too_deep = s->depth > 1 && s->frame_bytes > (size_t)(GROUP_BYTES_MAX / s->depth);
    xn_pipeline_get(created, &s->pipeline);
    if (s->map.table == NULL || too_deep) return s->kind = XN_LIBRARY, XANI_OK;
    s->one_to_one = s->depth == 1;
    for (int k = 1; k < s->rank; k++) s->one_to_one = s->one_to_one && s->map.chunk[k] == s->dims[k];
    XN_TRY(check_chunks(ctx, s));
    return s->depth > 1 ? make_groups(ctx, s) : XANI_OK;
}

static xani_status describe_layout(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, bool plain,
                                   xn_frameset *s)
{
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return xn_h5_fail(ctx, file, name, "its layout cannot be read");
    H5D_layout_t layout = H5Pget_layout(created);
    xn_pipeline p;
    xn_pipeline_get(created, &p);
    xani_status st = XANI_OK;
    s->kind = XN_LIBRARY;
    if (plain && layout == H5D_CONTIGUOUS && H5Pget_external_count(created) == 0)
        st = describe_contiguous(ctx, file, name, dataset, s);
    else if (plain && layout == H5D_CHUNKED && p.known)
        st = describe_chunked(ctx, file, name, dataset, created, s);
    H5Pclose(created);
    return st;
}

xani_status xn_frameset_open(xn_ctx *ctx, xn_h5 *file, const char *name, hid_t dataset, bool keep_open, xn_frameset *s)
{
    char path[4096]; // behind an external link the dataset lies in another file
    *s = (xn_frameset){.fd = -1, .h5_dataset = H5I_INVALID_HID, .depth = 1};
    bool plain = false;
    if (H5Fget_name(dataset, path, sizeof path) <= 0) return xn_h5_fail(ctx, file, name, "its file has no name");
    s->path = xn_strdup(path);
    s->dataset = xn_strdup(name);
    if (s->path == NULL || s->dataset == NULL) return xn_fail_memory(ctx, name, 1);
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be opened: %s", s->path, strerror(errno));
    struct stat st;
    if (fstat(s->fd, &st) != 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", s->path, strerror(errno));
    s->file_bytes = st.st_size;
    XN_TRY(describe_type(ctx, file, name, dataset, s, &plain));
    XN_TRY(describe_shape(ctx, file, name, dataset, s));
    XN_TRY(describe_layout(ctx, file, name, dataset, plain, s));
    xn_h5_filters(dataset, s->filters, sizeof s->filters);
    if (s->kind == XN_LIBRARY) {
        if (s->dims[0] > 0) XN_TRY(xn_h5_complete(ctx, file, name, dataset));
        s->stored_bytes = (int64_t)H5Dget_storage_size(dataset);
        return xn_frameset_through_library(ctx, file->path, name, s);
    }
    if (!keep_open) {
        close(s->fd);
        s->fd = -1;
    }
    return XANI_OK;
}

// The source keeps a file of its own open, since the one it was described from is closed.
xani_status xn_frameset_through_library(xn_ctx *ctx, const char *path, const char *name, xn_frameset *s)
{
    s->kind = XN_LIBRARY;
    s->swap = false;
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    XN_TRY(xn_h5_open(ctx, path, &s->file));
    return xn_h5_dataset(ctx, s->file, name, &s->h5_dataset);
}
