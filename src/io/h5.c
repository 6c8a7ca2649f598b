// SPDX-License-Identifier: BSD-3-Clause
// h5.c -- see h5.h: opening, listing, describing.
//
// A file that cannot be opened is told apart before the library is asked: missing, not readable, a folder,
// empty, not HDF5 (no signature at 0, 512, 1024, ...); what remains is truncated, open for writing
// elsewhere, or damaged, as the library's error says.  Files are locked against writers where the file
// system can do that; where it cannot (read-only or network file systems without locks) they are opened
// without, but never when the refusal means that a writer holds the file.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/library.h"
#include "io/pipeline.h"
#include "io/worker/worker.h"

static bool has_signature(int fd, int64_t bytes)
{
    static const char signature[8] = "\x89HDF\r\n\x1a\n";
    char head[8];
    for (int64_t at = 0; at + 8 <= bytes; at = at ? 2 * at : 512)
        if (pread(fd, head, 8, at) == 8 && memcmp(head, signature, 8) == 0) return true;
    return false;
}

// What is wrong with a path, without the library. *bytes: size of the file.
static xani_status look_at(xn_ctx *ctx, const char *path, int64_t *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ENOENT) return xn_fail(ctx, XANI_ERR_INPUT, "%s: no such file", path);
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    }
    struct stat s;
    xani_status st = XANI_OK;
    char head[10] = "";
    if (fstat(fd, &s) != 0) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be examined: %s", path, strerror(errno));
    } else if (!S_ISREG(s.st_mode)) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: is %s, not a file", path, S_ISDIR(s.st_mode) ? "a folder" : "a device");
    } else if (s.st_size == 0) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: is empty (0 bytes)", path);
    } else if (!has_signature(fd, s.st_size)) {
        bool matlab = pread(fd, head, 10, 0) == 10 && memcmp(head, "MATLAB 5.0", 10) == 0;
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: is not an HDF5 file%s", path,
                     matlab ? " but MATLAB 5; save it with -v7.3" : "");
    }
    if (st == XANI_OK) *bytes = s.st_size;
    close(fd);
    return st;
}

typedef struct {
    hid_t id;
    int number; // errno behind a refusal, 0: the library's own
    char reason[XN_HDF_REASON];
} attempt;

static attempt try_open(const char *path, bool lock, unsigned flags)
{
    attempt a = {H5I_INVALID_HID, 0, ""};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return a;
    H5Pset_file_locking(access, lock, true);
    a.id = H5Fopen(path, H5F_ACC_RDONLY | flags, access);
    if (a.id < 0) { // before the next call clears the error stack
        a.number = xn_hdf_errno();
        xn_hdf_reason(a.reason);
    }
    H5Pclose(access);
    return a;
}

static xani_status refuse(xn_ctx *ctx, const char *path, int64_t bytes, const char *reason, int number)
{
    const char *eof = strstr(reason, "stored_eof = ");
    if (strstr(reason, "truncated file") != NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: is truncated: %lld bytes of %s", path, (long long)bytes,
                       eof ? eof + 13 : "more");
    if (number == EAGAIN || strstr(reason, "already open for write") != NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: is open for writing in another program, or was not closed properly",
                       path);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: is a damaged HDF5 file%s%s", path, reason[0] ? ": " : "", reason);
}

// The superblock (version 3) says that a writer lets others read meanwhile (SWMR), or ended without closing.
static bool written_meanwhile(const char *path)
{
    enum { VERSION = 8, FLAGS = 11, WRITING = 1, SHARED = 4 };
    uint8_t head[12] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is = fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && head[VERSION] == 3 &&
              (head[FLAGS] & SHARED) && (head[FLAGS] & WRITING);
    if (fd >= 0) close(fd);
    return is;
}

static xani_status open_file(xn_ctx *ctx, const char *path, bool live, xn_h5 **file)
{
    *file = NULL;
    int64_t bytes = 0;
    XN_TRY(look_at(ctx, path, &bytes));
    XN_TRY(xn_worker_look(ctx, path, ""));
    xn_h5 *f = xn_calloc(1, sizeof *f);
    char *name = xn_strdup(path);
    if (f == NULL || name == NULL) {
        xn_free(f);
        xn_free(name);
        return xn_fail_memory(ctx, path, sizeof *f);
    }
    xn_hdf_guard guard = xn_hdf_enter();
    live = live && written_meanwhile(path);
    unsigned flags = live ? H5F_ACC_SWMR_READ : 0;
    attempt a = try_open(path, true, flags);
    if (a.id < 0 && a.number != 0 && a.number != EAGAIN) a = try_open(path, false, flags); // no locks here
    if (a.id < 0 && live) a = try_open(path, true, 0), live = false;                       // closed meanwhile
    xn_hdf_leave(guard);
    if (a.id < 0) {
        xn_free(f);
        xn_free(name);
        return refuse(ctx, path, bytes, a.reason, a.number);
    }
    *f = (xn_h5){.id = a.id, .path = name, .bytes = bytes, .live = live};
    *file = f;
    return XANI_OK;
}

xani_status xn_h5_open(xn_ctx *ctx, const char *path, xn_h5 **file) { return open_file(ctx, path, false, file); }

xani_status xn_h5_open_live(xn_ctx *ctx, const char *path, xn_h5 **file) { return open_file(ctx, path, true, file); }

void xn_h5_close(xn_h5 **file)
{
    if (file == NULL || *file == NULL) return;
    xn_hdf_guard guard = xn_hdf_enter();
    H5Fclose((*file)->id);
    xn_hdf_leave(guard);
    xn_h5_forget_tree(*file);
    xn_free((*file)->path);
    xn_free(*file);
    *file = NULL;
}

const char *xn_h5_path(const xn_h5 *file) { return file->path; }

bool xn_h5_exists(const xn_h5 *file, const char *object)
{
    if (xn_worker_look(NULL, file->path, object) != XANI_OK) return false;
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t id = H5Oopen(file->id, object[0] ? object : "/", H5P_DEFAULT);
    if (id >= 0) H5Oclose(id);
    xn_hdf_leave(guard);
    return id >= 0;
}

xani_status xn_h5_fail(xn_ctx *ctx, const xn_h5 *file, const char *name, const char *what)
{
    char reason[XN_HDF_REASON];
    xn_hdf_reason(reason);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %s%s%s", file->path, name, what, reason[0] ? ": " : "", reason);
}

xani_status xn_h5_dataset(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t *dataset)
{
    *dataset = H5I_INVALID_HID;
    XN_TRY(xn_worker_look(ctx, file->path, name));
    *dataset = H5Oopen(file->id, name[0] ? name : "/", H5P_DEFAULT);
    if (*dataset < 0) {
        char reason[XN_HDF_REASON];
        xn_hdf_reason(reason); // before the next call clears the error stack
        if (strstr(reason, "version number") != NULL)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is damaged, or in a format newer than HDF5 %s reads: %s",
                           file->path, name, H5_VERS_INFO + strlen("HDF5 library version: "), reason);
        // A link whose target is missing is another matter than a name nobody wrote.
        bool dangling = H5Lexists(file->id, name, H5P_DEFAULT) > 0;
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %s", file->path, name,
                       dangling ? "cannot be opened (damaged, or a link to a file that is missing)"
                                : "no such dataset");
    }
    if (H5Iget_type(*dataset) != H5I_DATASET) {
        bool group = H5Iget_type(*dataset) == H5I_GROUP;
        H5Oclose(*dataset);
        *dataset = H5I_INVALID_HID;
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is a %s, not a dataset", file->path, name,
                       group ? "group" : "named type");
    }
    xn_filters_make_available(*dataset);
    return XANI_OK;
}

xani_status xn_h5_shape(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t space, int *rank,
                        int64_t dims[XANI_MAX_RANK], int64_t *size)
{
    hsize_t extent[H5S_MAX_RANK];
    int n = H5Sget_simple_extent_dims(space, extent, NULL);
    bool null = H5Sget_simple_extent_type(space) == H5S_NULL;
    if (n < 0 || n > XANI_MAX_RANK)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: has %d axes, more than %d", file->path, name, n, XANI_MAX_RANK);
    *rank = null ? 1 : n; // no elements: one axis of 0, as the array reader has it
    *size = null ? 0 : 1;
    if (null) dims[0] = 0;
    for (int i = 0; i < n; i++) {
        dims[i] = (int64_t)extent[i];
        if (extent[i] > INT64_MAX || __builtin_mul_overflow(*size, dims[i], size) || *size > INT64_MAX / 64)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: claims an impossible size", file->path, name);
    }
    return XANI_OK;
}

static void describe_layout(hid_t dataset, xn_h5_info *info)
{
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return;
    H5D_layout_t layout = H5Pget_layout(created);
    info->chunked = layout == H5D_CHUNKED;
    info->is_virtual = layout == H5D_VIRTUAL;
    hsize_t chunk[H5S_MAX_RANK];
    if (info->chunked && H5Pget_chunk(created, H5S_MAX_RANK, chunk) == info->rank)
        for (int i = 0; i < info->rank; i++) info->chunk[i] = (int64_t)chunk[i];
    H5Pclose(created);
    xn_h5_filters(dataset, info->filters, sizeof info->filters);
}

static xani_status describe(xn_ctx *ctx, const xn_h5 *file, const char *object, xn_h5_info *info)
{
    hid_t id = H5Oopen(file->id, object[0] ? object : "/", H5P_DEFAULT);
    if (id < 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no such group or dataset", file->path, object);
    if (H5Iget_type(id) != H5I_DATASET) {
        info->is_group = H5Iget_type(id) == H5I_GROUP;
        info->type = XN_OTHER;
        H5Oclose(id);
        return XANI_OK;
    }
    xani_status st = XANI_OK;
    hid_t type = H5Dget_type(id), space = H5Dget_space(id);
    if (type < 0 || space < 0) {
        st = xn_h5_fail(ctx, file, object, "cannot be described");
    } else {
        info->type = xn_hdf_type(type);
        st = xn_h5_shape(ctx, file, object, space, &info->rank, info->dims, &info->size);
        if (st == XANI_OK) describe_layout(id, info);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Oclose(id);
    return st;
}

xani_status xn_h5_info_get(xn_ctx *ctx, const xn_h5 *file, const char *object, xn_h5_info *info)
{
    memset(info, 0, sizeof *info);
    XN_TRY(xn_worker_look(ctx, file->path, object));
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = describe(ctx, file, object, info);
    xn_hdf_leave(guard);
    return st;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef struct {
    char **name;
    size_t n, room;
} names_found;

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *link, void *user)
{
    names_found *f = user;
    (void)group;
    (void)link;
    if (f->n == f->room) return -1;
    f->name[f->n] = xn_strdup(name);
    return f->name[f->n++] != NULL ? 0 : -1;
}

// In one go: to ask for the i-th name makes the library walk there from the first.
static xani_status list(xn_ctx *ctx, const xn_h5 *file, const char *group, hid_t id, char ***names)
{
    H5G_info_t info;
    if (H5Gget_info(id, &info) < 0) return xn_h5_fail(ctx, file, group, "members cannot be listed");
    names_found f = {.room = info.nlinks};
    f.name = info.nlinks > (hsize_t)file->bytes ? NULL : xn_calloc(info.nlinks + 1, sizeof *f.name);
    if (f.name == NULL) return xn_fail_memory(ctx, "names of a group", (size_t)info.nlinks * sizeof *f.name);
    *names = f.name; // freed by the caller when a later name fails
    if (H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_name, &f) < 0)
        return f.n > 0 && f.name[f.n - 1] == NULL ? xn_fail_memory(ctx, "a name", 1)
                                                  : xn_h5_fail(ctx, file, group, "members cannot be listed");
    qsort(f.name, f.n, sizeof *f.name, by_name);
    return XANI_OK;
}

xani_status xn_h5_names(xn_ctx *ctx, const xn_h5 *file, const char *group, char ***names)
{
    *names = NULL;
    XN_TRY(xn_worker_look(ctx, file->path, group));
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t id = H5Gopen2(file->id, group[0] ? group : "/", H5P_DEFAULT);
    xani_status st;
    if (id < 0) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no such group", file->path, group);
    } else {
        st = list(ctx, file, group, id, names);
        H5Gclose(id);
    }
    xn_hdf_leave(guard);
    if (st != XANI_OK && *names) {
        xn_h5_names_free(*names);
        *names = NULL;
    }
    return st;
}

void xn_h5_names_free(char **names)
{
    if (names == NULL) return;
    for (char **s = names; *s; s++) xn_free(*s);
    xn_free(names);
}

xani_status xn_h5_list_add(xn_ctx *ctx, xn_h5_list *l, char *name)
{
    if (name == NULL) return xn_fail_memory(ctx, "a file name", 1);
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->name[i], name) != 0) continue;
        xn_free(name);
        return XANI_OK;
    }
    char **longer = xn_realloc(l->name, l->n + 2, sizeof *longer);
    if (longer == NULL) {
        xn_free(name);
        return xn_fail_memory(ctx, "the list of files", (l->n + 2) * sizeof *longer);
    }
    l->name = longer;
    l->name[l->n++] = name;
    l->name[l->n] = NULL;
    return XANI_OK;
}
