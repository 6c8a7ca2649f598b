// SPDX-License-Identifier: BSD-3-Clause
// h5_reference.c -- datasets of object references, as MATLAB 7.3 stores cell arrays: see h5.h.
//
// A reference is given as the path of what it points to, so that all other calls read it.  It is an address, and the
// library looks for the name of each among all links of the file, a million of them where there are a thousand cells.
// The tree of the file is therefore read once, and kept while it is open.
#include <string.h>

#include "io/tree.h"

static xani_status read_tree(xn_ctx *ctx, xn_h5 *file)
{
    if (file->tree != NULL) return XANI_OK;
    xn_tree *tree = xn_calloc(1, sizeof *tree);
    if (tree == NULL) return xn_fail_memory(ctx, "the list of objects", sizeof *tree);
    xani_status st = xn_tree_read(ctx, file, tree);
    if (st == XANI_OK)
        file->tree = tree;
    else
        xn_free(tree);
    return st;
}

void xn_h5_forget_tree(xn_h5 *file)
{
    if (file->tree != NULL) xn_tree_free(file->tree);
    xn_free(file->tree);
    file->tree = NULL;
}

static char *path_of(const xn_h5 *file, hid_t dataset, const hobj_ref_t *reference)
{
    hid_t id = H5Rdereference2(dataset, H5P_DEFAULT, H5R_OBJECT, reference);
    if (id < 0) return NULL;
    const xn_node *node = xn_tree_at(file->tree, xn_object_address(id));
    H5Oclose(id);
    return node != NULL ? xn_strdup(node->path) : NULL;
}

static xani_status read_paths(xn_ctx *ctx, xn_h5 *file, const char *name, hid_t dataset, hid_t type, int64_t n,
                              char ***paths)
{
    if (H5Tequal(type, H5T_STD_REF_OBJ) <= 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not references", file->path, name,
                       xn_hdf_class_name(type));
    XN_TRY(read_tree(ctx, file));
    hobj_ref_t *references = xn_calloc((size_t)n, sizeof *references);
    char **list = *paths = xn_calloc((size_t)n + 1, sizeof *list);
    xani_status st = XANI_OK;
    if (references == NULL || list == NULL)
        st = xn_fail_memory(ctx, name, (size_t)n * 16);
    else if (H5Dread(dataset, H5T_STD_REF_OBJ, H5S_ALL, H5S_ALL, H5P_DEFAULT, references) < 0)
        st = xn_h5_fail(ctx, file, name, "cannot be read");
    for (int64_t i = 0; st == XANI_OK && i < n; i++)
        if ((list[i] = path_of(file, dataset, &references[i])) == NULL)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: reference %lld points to nothing", file->path, name,
                         (long long)i);
    xn_free(references);
    if (st != XANI_OK) {
        xn_h5_names_free(list);
        *paths = NULL;
    }
    return st;
}

xani_status xn_h5_read_references(xn_ctx *ctx, xn_h5 *file, const char *name, char ***paths, int64_t *n)
{
    hid_t dataset = H5I_INVALID_HID, space = H5I_INVALID_HID, type = H5I_INVALID_HID;
    int64_t dims[XANI_MAX_RANK];
    int rank;
    *paths = NULL;
    *n = 0;
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st;
    XN_GOTO(out, st, xn_h5_dataset(ctx, file, name, &dataset));
    space = H5Dget_space(dataset);
    type = H5Dget_type(dataset);
    if (space < 0 || type < 0) XN_GOTO(out, st, xn_h5_fail(ctx, file, name, "its shape cannot be read"));
    XN_GOTO(out, st, xn_h5_shape(ctx, file, name, space, &rank, dims, n));
    XN_GOTO(out, st, xn_h5_complete(ctx, file, name, dataset));
    st = read_paths(ctx, file, name, dataset, type, *n, paths);
out:
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (dataset >= 0) H5Oclose(dataset);
    xn_hdf_leave(guard);
    return st;
}
