// SPDX-License-Identifier: BSD-3-Clause
// writer.c -- a file that is not yet published: created, its groups, closed and published.  See publish.h.
//
// The file below (writer_file.c) keeps its first failure, which is looked at after each step together with
// the library's returns; the first of all stays in w->status.  xn_writer_compare reads everything back before
// the file gets its name.  No times are stored: equal results are equal bytes.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/write/writer_rows.h"

enum { ALIGN = 4096, ALIGN_ABOVE = 16 << 10 }; // small pieces are packed: padding would outweigh them

hid_t xn_writer_access(const xn_writer *w)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0 || !xn_latch_set_driver(access, w->latch)) return access;
    H5Pset_libver_bounds(access, w->layout == XN_LAYOUT_RESULT ? H5F_LIBVER_V110 : H5F_LIBVER_EARLIEST,
                         H5F_LIBVER_V110);
    H5Pset_alignment(access, ALIGN_ABOVE, ALIGN);
    return access;
}

// Groups keep the order of creation (netCDF demands it) and no times; the oldest format knows neither.
static hid_t group_properties(xn_layout layout, hid_t class)
{
    hid_t created = H5Pcreate(class);
    if (created < 0 || layout != XN_LAYOUT_RESULT) return created;
    H5Pset_link_creation_order(created, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_obj_track_times(created, false);
    return created;
}

static xani_status create_file(xn_writer *w, const xn_creation_order *root)
{
    hid_t access = xn_writer_access(w), created = group_properties(w->layout, H5P_FILE_CREATE);
    if (root && created >= 0) {
        H5Pset_link_creation_order(created, root->links);
        H5Pset_attr_creation_order(created, root->attributes);
    }
    if (access >= 0 && created >= 0) w->file = H5Fcreate(w->temporary, H5F_ACC_EXCL, created, access);
    int number = w->latch->number;
    xani_status st = w->file >= 0 && number == 0 ? XANI_OK : xn_output_fail(w->ctx, w->path, number);
    if (access >= 0) H5Pclose(access);
    if (created >= 0) H5Pclose(created);
    return st;
}

// What stands in the way of the final name is found out before hours of work, not after.
static xani_status look_at_target(xn_ctx *ctx, const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) return XANI_OK;
    if (S_ISDIR(s.st_mode)) return xn_output_fail(ctx, path, EISDIR);
    if ((s.st_mode & 0222) == 0 || access(path, W_OK) != 0)
        return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written: it exists and is read-only", path);
    return XANI_OK;
}

static void destroy(xn_writer *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        xn_free(w->record[i].name);
        xn_rows_free(&w->record[i].rows);
    }
    xn_free(w->record);
    xn_free(w->path);
    xn_free(w->temporary);
    xn_free(w->kind);
    xn_latch_release(w->latch);
    json_decref(w->kept);
    xn_free(w);
}

xani_status xn_writer_open(xn_ctx *ctx, const char *path, xn_layout layout, xn_writer **writer)
{
    *writer = NULL;
    XN_TRY(look_at_target(ctx, path));
    xn_writer *w = xn_calloc(1, sizeof *w);
    if (w == NULL) return xn_fail_memory(ctx, path, sizeof *w);
    *w = (xn_writer){.ctx = ctx, .layout = layout, .file = H5I_INVALID_HID};
    w->path = xn_strdup(path);
    w->temporary = xn_io_temporary(path);
    w->latch = xn_latch_make();
    xn_io_sweep(path);
    *writer = w;
    if (w->path && w->temporary && w->latch) return XANI_OK;
    xn_writer_abort(writer);
    return xn_fail_memory(ctx, path, 1);
}

xani_status xn_writer_create(xn_ctx *ctx, const char *path, xn_layout layout, xn_writer **writer)
{
    return xn_writer_create_as(ctx, path, layout, NULL, writer);
}

xani_status xn_writer_create_as(xn_ctx *ctx, const char *path, xn_layout layout, const xn_creation_order *root,
                                xn_writer **writer)
{
    XN_TRY(xn_writer_open(ctx, path, layout, writer));
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = create_file(*writer, root);
    xn_hdf_leave(guard);
    if (st != XANI_OK) xn_writer_abort(writer);
    return st;
}

void xn_writer_kind(xn_writer *w, const char *kind)
{
    w->kind = xn_strdup(kind);
    if (w->kind == NULL && w->status == XANI_OK) w->status = xn_fail_memory(w->ctx, w->path, strlen(kind));
}

xani_status xn_writer_fail(xn_writer *w, const char *name)
{
    char reason[XN_HDF_REASON];
    xn_hdf_reason(reason);
    if (xn_writer_status(w) != XANI_OK) return w->status;
    w->status = xn_fail(w->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s%s%s", w->path, reason,
                        reason[0] ? ", at " : "at ", name);
    return w->status;
}

xani_status xn_writer_status(xn_writer *w)
{
    if (w->latch && w->latch->number != 0 && w->status == XANI_OK)
        w->status = xn_output_fail(w->ctx, w->path, w->latch->number);
    return w->status;
}

// ---- closing

static void close_datasets(xn_writer *w)
{
    for (size_t i = 0; i < w->n_records; i++)
        if (w->record[i].rows) xn_rows_end(w, &w->record[i]);
}

void xn_writer_abort(xn_writer **writer)
{
    if (writer == NULL || *writer == NULL) return;
    xn_writer *w = *writer;
    if (w->status == XANI_OK) w->status = XANI_ERR_OUTPUT; // no text: nothing failed
    xn_hdf_guard guard = xn_hdf_enter();
    if (w->latch && w->latch->number == 0) w->latch->number = ECANCELED; // no need to write any more of it
    close_datasets(w);
    if (w->file >= 0) H5Fclose(w->file);
    if (w->temporary) unlink(w->temporary);
    xn_hdf_leave(guard);
    destroy(w);
    *writer = NULL;
}

static xani_status rows_complete(xn_writer *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        const xn_record *r = &w->record[i];
        if (r->rows && r->rows->done != r->dims[0])
            return xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: %lld of %lld rows were written", w->path, r->name,
                           (long long)r->rows->done, (long long)r->dims[0]);
    }
    return XANI_OK;
}

static xani_status finish(xn_writer *w)
{
    if (w->status != XANI_OK) return w->status;
    XN_TRY(rows_complete(w));
    close_datasets(w);
    XN_TRY(xn_writer_status(w));
    hid_t file = w->file;
    w->file = H5I_INVALID_HID;
    if (H5Fclose(file) < 0) xn_writer_fail(w, "the end");
    XN_TRY(xn_writer_status(w));
    XN_TRY(xn_writer_compare(w));
    int fd = open(w->temporary, O_RDONLY | O_CLOEXEC);
    int bad = fd < 0 || xn_io_sync(fd, w->temporary) != 0, number = errno;
    if (fd >= 0) close(fd);
    return bad ? xn_output_fail(w->ctx, w->path, number) : XANI_OK;
}

xani_status xn_writer_publish(xn_writer **writer)
{
    xn_writer *w = *writer;
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = finish(w);
    xn_hdf_leave(guard);
    if (st == XANI_OK) {
        json_t *datasets = xn_manifest_datasets(w->record, w->n_records);
        if (datasets == NULL || (w->kept && json_object_update_missing(datasets, w->kept) != 0))
            st = xn_fail_memory(w->ctx, "a manifest", 1);
        if (st == XANI_OK) st = xn_manifest_publish(w->ctx, w->temporary, w->path, w->kind, datasets);
        json_decref(datasets);
    }
    xn_writer_abort(writer); // closes what is open, removes the temporary if it is still there
    return st;
}

// ---- groups

static xani_status make_group(xn_writer *w, const char *path)
{
    htri_t there = H5Lexists(w->file, path, H5P_DEFAULT);
    if (there > 0) return XANI_OK;
    hid_t created = group_properties(w->layout, H5P_GROUP_CREATE);
    hid_t group = H5Gcreate2(w->file, path, H5P_DEFAULT, created, H5P_DEFAULT);
    if (group < 0)
        xn_writer_fail(w, path);
    else
        H5Gclose(group);
    if (created >= 0) H5Pclose(created);
    return w->status;
}

// All groups above `path`; with `itself` that one too.
static xani_status make_groups(xn_writer *w, const char *path, bool itself)
{
    char *part = xn_format("%s%s", path[0] == '/' ? "" : "/", path);
    if (part == NULL) return w->status = xn_fail_memory(w->ctx, path, 1);
    for (char *p = part + 1; w->status == XANI_OK && *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        make_group(w, part);
        *p = '/';
    }
    if (w->status == XANI_OK && itself && part[1]) make_group(w, part);
    xn_free(part);
    return w->status;
}

xani_status xn_writer_group(xn_writer *w, const char *group, const char *nx_class)
{
    if (w->status != XANI_OK) return w->status;
    xn_hdf_guard guard = xn_hdf_enter();
    make_groups(w, group, true);
    xn_hdf_leave(guard);
    return nx_class ? xn_writer_attr_text(w, group, "NX_class", nx_class) : xn_writer_status(w);
}

xani_status xn_writer_link(xn_writer *w, const char *target, const char *link)
{
    if (w->status != XANI_OK) return w->status;
    xn_hdf_guard guard = xn_hdf_enter();
    if (make_groups(w, link, false) == XANI_OK &&
        H5Lcreate_hard(w->file, target, w->file, link, H5P_DEFAULT, H5P_DEFAULT) < 0)
        xn_writer_fail(w, link);
    xn_hdf_leave(guard);
    return xn_writer_status(w);
}

xn_record *xn_writer_record(xn_writer *w, const char *name, xn_type type, int rank, const int64_t *dims)
{
    if (w->n_records == w->room) {
        size_t room = w->room ? 2 * w->room : 32;
        xn_record *more = xn_realloc(w->record, room, sizeof *more);
        if (more == NULL) return w->status = xn_fail_memory(w->ctx, "list of datasets", room * sizeof *more), NULL;
        w->record = more;
        w->room = room;
    }
    xn_record *r = &w->record[w->n_records];
    *r = (xn_record){.type = type, .rank = rank};
    for (int i = 0; i < rank; i++) r->dims[i] = dims[i];
    r->name = xn_format("%s%s", name[0] == '/' ? "" : "/", name);
    if (r->name == NULL) return w->status = xn_fail_memory(w->ctx, name, 1), NULL;
    w->n_records++;
    return r;
}

hid_t xn_writer_dataset(xn_writer *w, const char *name, hid_t type, int rank, const int64_t *dims, hid_t created)
{
    hsize_t extent[XANI_MAX_RANK];
    for (int i = 0; i < rank; i++) extent[i] = (hsize_t)dims[i];
    if (make_groups(w, name, false) != XANI_OK) return H5I_INVALID_HID;
    hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, extent, NULL);
    hid_t dataset = space < 0 ? space : H5Dcreate2(w->file, name, type, space, H5P_DEFAULT, created, H5P_DEFAULT);
    if (dataset < 0) xn_writer_fail(w, name);
    if (space >= 0) H5Sclose(space);
    return dataset;
}
