// SPDX-License-Identifier: BSD-3-Clause
// store.c -- see store.h: a dataset is described once, and its layout becomes a grid of blocks.
//
// Blocks of what is not chunked are runs of whole trailing axes of about XN_BLOCK_BYTES: small enough that a block
// read, decoded and put in place stays in the second cache, large enough that calls cost nothing.  Where only the
// library can read (unusual number formats, filters we have no decoder for, an index that could not be read), blocks
// are made of whole chunks for the same reason: each chunk is then decoded once.
#include "io/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/plugin.h"

enum { XN_BLOCK_BYTES = 1 << 20, STORED_MAX = 1 << 30, CHUNK_MAX = 1 << 30 };

void xn_store_close(xn_store **store)
{
    if (store == NULL || *store == NULL) return;
    xn_store *s = *store;
    xn_chunk_map_free(&s->map);
    if (s->h5_dataset >= 0) {
        xn_hdf_guard guard = xn_hdf_enter();
        H5Dclose(s->h5_dataset);
        xn_hdf_leave(guard);
    }
    xn_h5_close(&s->h5);
    for (int i = 0; i < s->n_segments; i++) xn_file_close(&s->segment[i].file);
    xn_free(s->segment);
    xn_file_close(&s->file);
    xn_free(s->memory);
    xn_free(s->path);
    xn_free(s->dataset);
    xn_free(s);
    *store = NULL;
}

// ---- type and shape

static xani_status describe_type(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, xn_store *s, bool *plain)
{
    hid_t type = H5Dget_type(dataset);
    if (type < 0) return xn_h5_fail(ctx, file, s->dataset, "its type cannot be read");
    s->type = xn_hdf_type(type);
    s->elem = xn_type_size(s->type);
    *plain = s->elem > 0 && xn_hdf_type_plain(type);
    s->swap = *plain && s->elem > 1 && H5Tget_order(type) == H5T_ORDER_BE;
    xani_status st = XANI_OK;
    H5T_class_t class = H5Tget_class(type);
    if (s->elem == 0 && (class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_BITFIELD))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s of %zu bytes, which xani does not read", file->path,
                     s->dataset, xn_hdf_class_name(type), H5Tget_size(type));
    else if (s->elem == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not numbers xani can read", file->path, s->dataset,
                     xn_hdf_class_name(type));
    H5Tclose(type);
    return st;
}

static xani_status describe_shape(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, xn_store *s)
{
    int64_t size;
    hid_t space = H5Dget_space(dataset);
    xani_status st = space < 0 ? xn_h5_fail(ctx, file, s->dataset, "its shape cannot be read")
                               : xn_h5_shape(ctx, file, s->dataset, space, &s->rank, s->dims, &size);
    if (st == XANI_OK && H5Sget_simple_extent_type(space) == H5S_NULL) s->rank = 1; // of extent 0
    if (space >= 0) H5Sclose(space);
    return st;
}

// Also for datasets of enumerations, whose fill value the library converts only to an enumeration.
static void describe_fill(hid_t dataset, hid_t created, xn_store *s)
{
    H5D_fill_value_t defined;
    bool told = H5Pfill_value_defined(created, &defined) >= 0;
    s->fill_given = told && defined == H5D_FILL_VALUE_USER_DEFINED;
    s->fill_undefined = told && defined == H5D_FILL_VALUE_UNDEFINED;
    hid_t stored = H5Dget_type(dataset), memory = H5I_INVALID_HID;
    bool number = stored >= 0 && (H5Tget_class(stored) == H5T_INTEGER || H5Tget_class(stored) == H5T_FLOAT);
    if (number) memory = H5Tcopy(xn_hdf_native(s->type));
    if (stored >= 0 && !number) memory = H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    if (memory < 0 || H5Tget_size(memory) != s->elem || H5Pget_fill_value(created, memory, s->fill) < 0)
        memset(s->fill, 0, sizeof s->fill);
    if (memory >= 0) H5Tclose(memory);
    if (stored >= 0) H5Tclose(stored);
}

// ---- blocks

static void count_blocks(xn_store *s)
{
    s->n_blocks = 1;
    s->block_bytes = s->elem;
    for (int k = 0; k < s->rank; k++) {
        s->grid[k] = (s->dims[k] + s->block[k] - 1) / s->block[k];
        s->n_blocks *= s->grid[k];
        s->block_bytes *= (size_t)s->block[k];
    }
}

// Whole trailing axes and a part of the next one, in multiples of `unit`.
static void cut(xn_store *s, const int64_t *unit)
{
    int64_t bytes = (int64_t)s->elem;
    bool full = false;
    for (int k = 0; k < s->rank; k++) s->block[k] = unit[k];
    for (int k = 0; k < s->rank; k++) bytes *= unit[k];
    for (int k = s->rank - 1; k >= 0 && !full; k--) {
        int64_t units = (xn_max64(s->dims[k], 1) + unit[k] - 1) / unit[k];
        int64_t fit = xn_max64(1, XN_BLOCK_BYTES / bytes);
        full = units > fit;
        s->block[k] = xn_max64(1, xn_min64(unit[k] * xn_min64(units, fit), s->dims[k]));
        bytes *= xn_min64(units, fit);
    }
    count_blocks(s);
}

static void cut_runs(xn_store *s)
{
    int64_t unit[XANI_MAX_RANK];
    for (int k = 0; k < XANI_MAX_RANK; k++) unit[k] = 1;
    cut(s, unit);
}

// ---- layouts

static xani_status describe_contiguous(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, xn_store *s)
{
    s->kind = XN_STORE_CONTIGUOUS;
    cut_runs(s);
    s->offset = -1; // nothing is stored
    s->stored_bytes = (int64_t)H5Dget_storage_size(dataset);
    s->largest = s->block_bytes;
    if (s->n_blocks == 0 || s->stored_bytes == 0) return XANI_OK;
    XN_TRY(xn_h5_complete(ctx, file, s->dataset, dataset));
    s->offset = (int64_t)H5Dget_offset(dataset);
    return XANI_OK;
}

static xani_status describe_chunked(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, xn_store *s)
{
    hid_t holder = H5Iget_file_id(dataset), made = holder < 0 ? holder : H5Fget_create_plist(holder);
    hsize_t base = 0;
    bool usual = made >= 0 && H5Pget_userblock(made, &base) >= 0 && base <= (hsize_t)xn_file_bytes(s->file);
    if (made >= 0) H5Pclose(made);
    if (holder >= 0) H5Fclose(holder);
    int error = 0, fd = xn_file_pin(s->file, &error);
    if (fd < 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", s->path, xn_read_why(error));
    xani_status st = XANI_OK;
    if (usual) {
        xn_chunk_file f = {.fd = fd, .base = (int64_t)base, .bytes = xn_file_bytes(s->file)};
        st = xn_chunk_map_make(ctx, file, s->dataset, dataset, &f, &s->map);
    }
    xn_file_unpin(s->file);
    if (st != XANI_OK || s->map.table == NULL || s->map.chunk_bytes > CHUNK_MAX) return st; // the library's
    s->kind = XN_STORE_CHUNKED;
    memcpy(s->block, s->map.chunk, sizeof s->block);
    count_blocks(s);
    for (int64_t i = 0; i < s->map.n; i++) {
        const xn_chunk *c = &s->map.table[i];
        if (c->bytes > s->largest) s->largest = c->bytes;
        s->stored_bytes += c->bytes;
        if (c->bytes > STORED_MAX || c->bytes > xn_file_bytes(s->file))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: chunk %lld: stored size %u is more than the file holds",
                           s->path, s->dataset, (long long)i, c->bytes);
    }
    return XANI_OK;
}

// Where the library looks for an external file: below HDF5_EXTFILE_PREFIX, in which "${ORIGIN}" at the beginning is the
// folder of the HDF5 file, else at its name as it stands.  Where it finds nothing, beside the HDF5 file.
char *xn_external_path(const char *holder, const char *name)
{
    static const char origin[] = "${ORIGIN}";
    const char *slash = strrchr(holder, '/'), *prefix = getenv("HDF5_EXTFILE_PREFIX");
    int folder = slash ? (int)(slash - holder) : 0;
    if (name[0] == '/') return xn_strdup(name);
    bool none = prefix == NULL || prefix[0] == '\0' || strcmp(prefix, ".") == 0;
    bool beside = !none && strncmp(prefix, origin, sizeof origin - 1) == 0;
    char *path = none     ? xn_strdup(name)
                 : beside ? xn_format("%.*s%s/%s", slash ? folder : 1, slash ? holder : ".", prefix + 9, name)
                          : xn_format("%s/%s", prefix, name);
    if (path == NULL || access(path, F_OK) == 0 || slash == NULL) return path;
    xn_free(path);
    return xn_format("%.*s/%s", folder, holder, name);
}

static xani_status describe_external(xn_ctx *ctx, hid_t created, xn_store *s)
{
    int n = H5Pget_external_count(created);
    s->kind = XN_STORE_EXTERNAL;
    cut_runs(s);
    s->segment = xn_calloc((size_t)n, sizeof *s->segment);
    if (s->segment == NULL) return xn_fail_memory(ctx, s->dataset, (size_t)n * sizeof *s->segment);
    int64_t need = (int64_t)s->elem, at = 0;
    for (int k = 0; k < s->rank; k++) need *= s->dims[k];
    for (int i = 0; i < n && at < need; i++) {
        char name[4096] = "";
        off_t offset = 0;
        hsize_t size = 0;
        if (H5Pget_external(created, (unsigned)i, sizeof name - 1, name, &offset, &size) < 0)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its external files cannot be listed", s->path, s->dataset);
        char *path = xn_external_path(s->path, name);
        if (path == NULL) return xn_fail_memory(ctx, name, sizeof name);
        xn_segment *g = &s->segment[s->n_segments];
        xani_status st = xn_file_open(ctx, path, &g->file);
        xn_free(path);
        if (st != XANI_OK) return xn_context(ctx, st, "%s: %s: external file", s->path, s->dataset);
        s->n_segments++;
        g->offset = (int64_t)offset;
        g->at = at;
        g->bytes = size == H5F_UNLIMITED ? need - at : (int64_t)xn_min64((int64_t)size, need - at);
        at += g->bytes;
    }
    s->stored_bytes = at;
    return at == need ? XANI_OK
                      : xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its external files hold %lld of %lld bytes", s->path,
                                s->dataset, (long long)at, (long long)need);
}

// Read whole, now: less than 64 KiB by the format.
static xani_status describe_compact(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, xn_store *s)
{
    s->kind = XN_STORE_COMPACT;
    for (int k = 0; k < s->rank; k++) s->block[k] = xn_max64(1, s->dims[k]);
    count_blocks(s);
    s->stored_bytes = (int64_t)(s->n_blocks > 0 ? s->block_bytes : 0);
    // The library copies as much as the extents say, also from behind what is there.
    if (s->stored_bytes > 0 && (hsize_t)s->stored_bytes > H5Dget_storage_size(dataset))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: has fewer bytes than its extents need", s->path, s->dataset);
    s->memory = xn_calloc(s->block_bytes, 1);
    if (s->memory == NULL) return xn_fail_memory(ctx, s->dataset, s->block_bytes);
    hid_t type = H5Dget_type(dataset), native = type < 0 ? type : H5Tget_native_type(type, H5T_DIR_DEFAULT);
    bool good = native >= 0 && H5Tget_size(native) == s->elem &&
                (s->n_blocks == 0 || H5Dread(dataset, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, s->memory) >= 0);
    xani_status st = good ? XANI_OK : xn_h5_fail(ctx, file, s->dataset, "cannot be read");
    if (native >= 0) H5Tclose(native);
    if (type >= 0) H5Tclose(type);
    s->swap = false;
    return st;
}

// Of chunks only those that are read have to be there.
static xani_status find_holes(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, hid_t created, xn_store *s)
{
    if (s->n_blocks == 0 || s->fill_missing) return XANI_OK;
    if (H5Pget_layout(created) != H5D_CHUNKED || s->fill_given) return xn_h5_complete(ctx, file, s->dataset, dataset);
    hsize_t stored = 0;
    hid_t space = H5Dget_space(dataset);
    bool counted = space >= 0 && H5Dget_num_chunks(dataset, space, &stored) >= 0;
    s->holes = counted && (int64_t)stored < xn_hdf_chunks(created, space);
    if (space >= 0) H5Sclose(space);
    return counted ? XANI_OK : xn_h5_fail(ctx, file, s->dataset, "its chunks cannot be counted");
}

// The source keeps a file of its own open, since the one it was described from is closed.
static xani_status describe_library(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, hid_t created, xn_store *s)
{
    hsize_t chunk[H5S_MAX_RANK];
    int64_t unit[XANI_MAX_RANK];
    bool chunked = H5Pget_layout(created) == H5D_CHUNKED && H5Pget_chunk(created, H5S_MAX_RANK, chunk) == s->rank;
    for (int k = 0; k < XANI_MAX_RANK; k++)
        unit[k] = chunked && k < s->rank ? xn_min64((int64_t)chunk[k], xn_max64(1, s->dims[k])) : 1;
    s->kind = XN_STORE_LIBRARY;
    s->swap = false;
    xn_chunk_map_free(&s->map);
    cut(s, unit);
    XN_TRY(find_holes(ctx, file, dataset, created, s));
    s->stored_bytes = (int64_t)H5Dget_storage_size(dataset);
    XN_TRY(xn_h5_open_live(ctx, file->path, &s->h5));
    return xn_h5_dataset(ctx, s->h5, s->dataset, &s->h5_dataset);
}

// Numbers that are stored in fewer bytes than they are read as (2-byte floats): only the library converts them.
static bool is_widened(hid_t dataset, const xn_store *s)
{
    hid_t type = H5Dget_type(dataset);
    bool widened = type >= 0 && H5Tget_size(type) != s->elem;
    if (type >= 0) H5Tclose(type);
    return widened;
}

static xani_status describe_layout(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, hid_t created, bool plain,
                                   xn_store_how how, xn_store *s)
{
    H5D_layout_t layout = H5Pget_layout(created);
    bool outside = layout == H5D_CONTIGUOUS && H5Pget_external_count(created) > 0;
    s->layout = outside                 ? "external"
                : layout == H5D_CHUNKED ? "chunked"
                : layout == H5D_COMPACT ? "compact"
                : layout == H5D_VIRTUAL ? "virtual"
                                        : "contiguous";
    s->kind = XN_STORE_LIBRARY;
    xn_pipeline_get(created, &s->pipeline);
    if (how == XN_STORE_OUTLINE) return cut_runs(s), XANI_OK;
    if (how == XN_STORE_BY_LIBRARY) return describe_library(ctx, file, dataset, created, s);
    if (layout == H5D_COMPACT && !is_widened(dataset, s)) return describe_compact(ctx, file, dataset, s);
    if (plain && outside) return describe_external(ctx, created, s);
    if (plain && layout == H5D_CONTIGUOUS) return describe_contiguous(ctx, file, dataset, s);
    if (plain && layout == H5D_CHUNKED && s->pipeline.known && xn_plugin_agrees(dataset, &s->pipeline))
        XN_TRY(describe_chunked(ctx, file, dataset, s));
    else if (layout == H5D_CHUNKED && xn_store_packed(&s->pipeline)) {
        XN_TRY(describe_chunked(ctx, file, dataset, s));
        XN_TRY(xn_store_check_packed(ctx, s));
        s->kind = XN_STORE_LIBRARY;
    }
    return s->kind == XN_STORE_LIBRARY ? describe_library(ctx, file, dataset, created, s) : XANI_OK;
}

static xani_status describe(xn_ctx *ctx, xn_h5 *file, hid_t dataset, xn_store_how how, xn_store *s)
{
    char path[4096]; // behind an external link the dataset lies in another file
    bool plain = false;
    if (H5Fget_name(dataset, path, sizeof path) <= 0) return xn_h5_fail(ctx, file, s->dataset, "its file has no name");
    s->path = xn_strdup(path);
    if (s->path == NULL) return xn_fail_memory(ctx, s->dataset, sizeof path);
    XN_TRY(xn_file_open(ctx, s->path, &s->file));
    if (file->live) xn_file_follow(s->file);
    XN_TRY(describe_type(ctx, file, dataset, s, &plain));
    XN_TRY(describe_shape(ctx, file, dataset, s));
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return xn_h5_fail(ctx, file, s->dataset, "its layout cannot be read");
    describe_fill(dataset, created, s);
    xani_status st = describe_layout(ctx, file, dataset, created, plain, how, s);
    H5Pclose(created);
    xn_h5_filters(dataset, s->filters, sizeof s->filters);
    return st;
}

xani_status xn_store_open(xn_ctx *ctx, xn_h5 *file, const char *name, hid_t dataset, xn_store_how how,
                          bool fill_missing, xn_store **store)
{
    *store = NULL;
    xn_store *s = xn_calloc(1, sizeof *s);
    if (s == NULL) return xn_fail_memory(ctx, name, sizeof *s);
    s->h5_dataset = H5I_INVALID_HID;
    s->fill_missing = fill_missing;
    s->dataset = xn_strdup(name);
    xani_status st = s->dataset ? describe(ctx, file, dataset, how, s) : xn_fail_memory(ctx, name, strlen(name));
    if (st == XANI_OK)
        *store = s;
    else
        xn_store_close(&s);
    return st;
}
