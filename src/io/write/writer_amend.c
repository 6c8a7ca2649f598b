// SPDX-License-Identifier: BSD-3-Clause
// writer_amend.c -- a published file of which some small datasets become others: a copy of it, changed and published.
//
// What is not written anew keeps its bytes and its hashes; those are not read back, as the caller has just compared the
// file with its manifest.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "io/write/writer.h"

enum { BLOCK = 4 << 20 };

// 0, or -1 with errno. By the file system where it can share or move the bytes itself.
static int copy_bytes(int from, int to, const char *path, char *block)
{
    ssize_t n;
    if (xn_io_check("write", path) != 0) return -1;
    while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0) continue;
    if (n == 0) return 0;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return -1;
    while ((n = read(from, block, BLOCK)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 || xn_io_write(to, block, (size_t)n, path) != 0) return -1;
    }
    return 0;
}

static xani_status copy_file(xn_ctx *ctx, const char *path, const char *temporary)
{
    char *block = xn_alloc(BLOCK, 1);
    if (block == NULL) return xn_fail_memory(ctx, path, BLOCK);
    const int from = open(path, O_RDONLY | O_CLOEXEC);
    const int to = from < 0 ? -1 : open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool bad = to < 0 || copy_bytes(from, to, path, block) != 0;
    int number = errno;
    if (to >= 0 && close(to) != 0 && !bad) bad = true, number = errno;
    if (from >= 0) close(from);
    xn_free(block);
    return bad ? xn_output_fail(ctx, path, number) : XANI_OK;
}

static xani_status read_manifest(xn_ctx *ctx, const char *path, xn_writer *w)
{
    char *name = xn_manifest_path(path);
    if (name == NULL) return xn_fail_memory(ctx, path, 1);
    json_t *manifest = json_load_file(name, 0, NULL);
    const char *kind = json_string_value(json_object_get(manifest, "kind"));
    if (kind != NULL) xn_writer_kind(w, kind);
    w->kept = json_incref(json_object_get(manifest, "datasets"));
    json_decref(manifest);
    xani_status st =
        json_is_object(w->kept) ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "%s: is no manifest of datasets", name);
    xn_free(name);
    return st;
}

xani_status xn_writer_amend(xn_ctx *ctx, const char *path, xn_writer **writer)
{
    XN_TRY(xn_writer_open(ctx, path, XN_LAYOUT_RESULT, writer));
    xn_writer *w = *writer;
    xani_status st = read_manifest(ctx, path, w);
    if (st == XANI_OK) st = copy_file(ctx, path, w->temporary);
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t access = st == XANI_OK ? xn_writer_access(w) : H5I_INVALID_HID;
    if (access >= 0) w->file = H5Fopen(w->temporary, H5F_ACC_RDWR, access);
    if (st == XANI_OK && w->file < 0) st = xn_output_fail(ctx, path, w->latch->number);
    if (access >= 0) H5Pclose(access);
    xn_hdf_leave(guard);
    if (st != XANI_OK) xn_writer_abort(writer);
    return st;
}

xani_status xn_writer_remove(xn_writer *w, const char *dataset)
{
    if (w->status != XANI_OK) return w->status;
    xn_hdf_guard guard = xn_hdf_enter();
    if (H5Lexists(w->file, dataset, H5P_DEFAULT) > 0 && H5Ldelete(w->file, dataset, H5P_DEFAULT) < 0)
        xn_writer_fail(w, dataset);
    xn_hdf_leave(guard);
    json_object_del(w->kept, dataset);
    return xn_writer_status(w);
}
