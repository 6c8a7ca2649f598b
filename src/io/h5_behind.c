// SPDX-License-Identifier: BSD-3-Clause
// h5_behind.c -- the files that an HDF5 file's virtual datasets, external links and external storage lead to.
//
// For questions about files, not for reading: what cannot be listed is left out.  They are found as the library
// does.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/index/virtual_list.h"
#include "io/store.h"
#include "io/tree.h"

typedef struct {
    xn_ctx *ctx;
    xn_h5_list files; // a queue as well
} list;

static xani_status add(list *l, char *path) { return xn_h5_list_add(l->ctx, &l->files, path); }

// A source that is numbered ends with the first number missing.
static xani_status add_source(list *l, const char *holder, const char *stored)
{
    const bool numbered = xn_virtual_numbered(stored);
    for (int64_t block = 0;; block++) {
        char *name = xn_virtual_name(stored, block);
        if (name == NULL) return xn_fail_memory(l->ctx, "a file name", strlen(stored));
        char *found = xn_virtual_find(holder, name);
        xn_free(name);
        if (found == NULL) return XANI_OK;
        XN_TRY(add(l, found));
        if (!numbered) return XANI_OK;
    }
}

// A file of raw bytes that a dataset without chunks may lie in.
static xani_status add_raw(list *l, const char *holder, hid_t created, unsigned which)
{
    char name[4096] = "";
    off_t offset;
    hsize_t size;
    if (H5Pget_external(created, which, sizeof name - 1, name, &offset, &size) < 0) return XANI_OK;
    char *path = xn_external_path(holder, name);
    if (path == NULL || access(path, F_OK) == 0) return add(l, path);
    xn_free(path);
    return XANI_OK;
}

// Inside enter/leave.
static xani_status add_sources(list *l, const char *holder, hid_t dataset)
{
    xn_virtual_list sources;
    xn_entry e;
    char last[4096] = "";
    xani_status st = XANI_OK;
    hid_t created = H5Dget_create_plist(dataset);
    if (created >= 0 && H5Pget_layout(created) == H5D_VIRTUAL &&
        xn_virtual_list_open(&sources, holder, dataset, created)) {
        for (size_t i = 0; i < sources.n && st == XANI_OK && xn_virtual_list_next(&sources, &e); i++) {
            if (strcmp(e.file, last) == 0) continue; // one file has many frames
            (void)snprintf(last, sizeof last, "%s", e.file);
            st = add_source(l, holder, e.file);
        }
        xn_virtual_list_close(&sources);
    }
    const int raw = created >= 0 ? H5Pget_external_count(created) : 0;
    for (int i = 0; i < raw && st == XANI_OK; i++) st = add_raw(l, holder, created, (unsigned)i);
    if (created >= 0) H5Pclose(created);
    return st;
}

static xani_status add_external(list *l, const char *holder, const char *name)
{
    const char *slash = strrchr(holder, '/');
    const bool beside = name[0] != '/' && slash != NULL;
    char *path = xn_format("%.*s%s", beside ? (int)(slash - holder) + 1 : 0, holder, name);
    if (path == NULL || access(path, F_OK) == 0) return add(l, path);
    xn_free(path);
    return XANI_OK;
}

static xani_status add_node(list *l, const xn_h5 *file, const xn_node *node)
{
    if (node->kind == XN_NODE_EXTERNAL) return add_external(l, file->path, node->file);
    if (node->kind != XN_NODE_DATASET) return XANI_OK;
    hid_t dataset = H5Dopen2(file->id, node->path, H5P_DEFAULT);
    if (dataset < 0) return XANI_OK;
    xani_status st = add_sources(l, file->path, dataset);
    H5Dclose(dataset);
    return st;
}

static xani_status add_all_of(list *l, const char *path)
{
    xn_h5 *file = NULL;
    xn_tree tree = {0};
    xani_status st = xn_h5_open(l->ctx, path, &file);
    if (st != XANI_OK) {
        if (st != XANI_ERR_MEMORY) xn_clear_error(l->ctx);
        return st == XANI_ERR_MEMORY ? st : XANI_OK;
    }
    xn_hdf_guard guard = xn_hdf_enter();
    st = xn_tree_read(l->ctx, file, &tree);
    for (int64_t i = 0; st == XANI_OK && i < tree.n; i++) st = add_node(l, file, &tree.node[i]);
    xn_tree_free(&tree);
    xn_hdf_leave(guard);
    xn_h5_close(&file);
    if (st != XANI_ERR_INPUT) return st;
    xn_clear_error(l->ctx);
    return XANI_OK;
}

xani_status xn_h5_behind(xn_ctx *ctx, const char *path, bool all, char ***files)
{
    list l = {.ctx = ctx};
    const xn_h5_list *f = &l.files;
    xani_status st = add(&l, xn_strdup(path));
    for (size_t i = 0; st == XANI_OK && i < (all ? f->n : 1); i++) st = add_all_of(&l, f->name[i]);
    if (st == XANI_OK) {
        xn_free(f->name[0]);
        memmove(f->name, f->name + 1, f->n * sizeof *f->name);
    } else {
        xn_h5_names_free(f->name);
    }
    *files = st == XANI_OK ? f->name : NULL;
    return st;
}
