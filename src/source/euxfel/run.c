// SPDX-License-Identifier: BSD-3-Clause
// run.c -- the files of a European XFEL run opened and described, once each.
//
// A run has one series of files per aggregator, several hundred in all; their sequences do not end at the same trains.
// The HDF5 library opens files one after another under its lock, and on a parallel file system that is waiting for
// storage, not work.  So all threads first touch every file where the library will look, the beginning and the end, and
// the library then finds it in the system's cache.
//
// A virtual overview (EXtra-data's overview.h5) stands for the files it was made of: where it is given and still fits
// their names and sizes they need not be opened; where it does not fit, it is left out.
#include <fcntl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/euxfel/euxfel.h"

#define TOUCH_BYTES (256 * 1024)

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- touching

static void touch(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    char *bytes = fd >= 0 && fstat(fd, &info) == 0 ? xn_alloc(TOUCH_BYTES, 1) : NULL;
    if (bytes != NULL) {
        ssize_t got = pread(fd, bytes, TOUCH_BYTES, 0);
        if (got > 0 && info.st_size > 2 * TOUCH_BYTES) got = pread(fd, bytes, TOUCH_BYTES, info.st_size - TOUCH_BYTES);
        (void)got; // what cannot be read is told by the library
    }
    xn_free(bytes);
    if (fd >= 0) close(fd);
}

static void touch_all(char *const *paths, int n)
{
#pragma omp parallel for schedule(dynamic) num_threads(xn_threads(0) < 16 ? 16 : xn_threads(0)) if (n > 8)
    for (int i = 0; i < n; i++) touch(paths[i]);
}

// ---- overviews

static bool given(char *const *paths, int n, const char *name, int64_t bytes, bool *same)
{
    for (int i = 0; i < n; i++) {
        struct stat info;
        if (paths[i] == NULL || strcmp(base_name(paths[i]), name) != 0) continue;
        *same = stat(paths[i], &info) == 0 && info.st_size == bytes;
        return true;
    }
    return false;
}

// Which of the given files the overview stands for; *fits: those are as they were when it was made.
static xani_status compare_overview(xn_ctx *ctx, const xn_h5 *h5, char **paths, int n, char ***names, int64_t *n_names,
                                    bool *any, bool *fits)
{
    int64_t *bytes = NULL, n_bytes = 0;
    *any = false;
    *fits = true;
    XN_TRY(xn_h5_read_strings(ctx, h5, ".source_files/names", names, n_names));
    xani_status st = xn_h5_read_i64(ctx, h5, ".source_files/sizes", &bytes, &n_bytes);
    for (int64_t i = 0; st == XANI_OK && i < *n_names; i++) {
        bool same = true;
        if (!given(paths, n, (*names)[i], i < n_bytes ? bytes[i] : -1, &same)) continue;
        *any = true;
        *fits = *fits && same;
    }
    xn_free(bytes);
    return st;
}

static void drop(char **paths, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (paths[i] == NULL || strcmp(base_name(paths[i]), name) != 0) continue;
        xn_free(paths[i]);
        paths[i] = NULL;
    }
}

// Takes out of the list what an overview in it stands for, or the overview.
static xani_status settle_overview(xn_ctx *ctx, char **paths, int n, int at)
{
    xn_h5 *h5 = NULL;
    char **names = NULL;
    int64_t n_names = 0;
    bool any = false, fits = true;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, paths[at], &h5));
    if (!xn_h5_exists(h5, ".source_files/names")) goto out;
    XN_GOTO(out, st, compare_overview(ctx, h5, paths, n, &names, &n_names, &any, &fits));
    if (!fits) {
        xn_warn(ctx, "%s: the files it was made of have changed; they are read instead of it", paths[at]);
        xn_free(paths[at]);
        paths[at] = NULL;
        goto out;
    }
    if (any) xn_note(ctx, "%s: read instead of the files it was made of", paths[at]);
    for (int64_t i = 0; i < n_names; i++) drop(paths, n, names[i]);
out:
    for (int64_t i = 0; i < n_names; i++) xn_free(names[i]);
    xn_free(names);
    xn_h5_close(&h5);
    return st;
}

static bool is_overview_name(const char *path)
{
    const char *base = base_name(path);
    return strcasecmp(base, "overview.h5") == 0 || strstr(base, "-OVERVIEW.h5") != NULL;
}

// ---- the run

static xani_status open_one(xn_ctx *ctx, char *path, bool skip, xn_xf_run *run)
{
    xn_h5 *h5 = NULL;
    xn_xf_file *f = &run->file[run->n];
    xani_status st = xn_h5_open(ctx, path, &h5);
    if (st == XANI_OK) st = xn_xf_file_read(ctx, h5, path, f);
    xn_h5_close(&h5);
    if (st == XANI_ERR_INPUT && skip) {
        xn_warn(ctx, "left out: %s", xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_xf_file_free(f);
        return XANI_OK;
    }
    run->n++; // also what failed, to be freed
    if (st == XANI_OK && f->cxi) run->cxi = run->n - 1;
    return st;
}

xani_status xn_xf_run_open(xn_ctx *ctx, char **paths, bool skip, xn_xf_run *run)
{
    int n = 0;
    while (paths[n] != NULL) n++;
    *run = (xn_xf_run){.paths = paths, .cxi = -1};
    run->file = xn_calloc((size_t)n + 1, sizeof *run->file);
    if (run->file == NULL) return xn_fail_memory(ctx, "the list of files", (size_t)n * sizeof *run->file);
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < n; i++)
        if (paths[i] != NULL && is_overview_name(paths[i])) st = settle_overview(ctx, paths, n, i);
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (paths[i] != NULL) paths[kept++] = paths[i];
    paths[kept] = NULL;
    if (st == XANI_OK) touch_all(paths, kept);
    for (int i = 0; st == XANI_OK && i < kept; i++) {
        st = open_one(ctx, paths[i], skip, run);
        if (st == XANI_OK) st = xn_check_interrupt(ctx);
    }
    if (st == XANI_OK && run->n == 0) st = xn_fail(ctx, XANI_ERR_INPUT, "no file is left that can be read");
    return st;
}

void xn_xf_run_close(xn_xf_run *run)
{
    for (int i = 0; i < run->n; i++) xn_xf_file_free(&run->file[i]);
    xn_free(run->file);
    xn_h5_names_free(run->paths);
    memset(run, 0, sizeof *run);
}
