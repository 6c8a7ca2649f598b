// SPDX-License-Identifier: BSD-3-Clause
// repack_copy.c -- what keeps its form: groups, links, named types, attributes, and datasets copied as they are stored.
//
// Everything comes in the order of the tree, so that links keep theirs.  Named types have to be there before what uses
// them: they are copied into a group of their own, which goes in the end, and linked when it is their turn.  H5Ocopy
// takes stored bytes over without decoding them, but neither attributes nor references, which would point nowhere:
// attributes are copied here, and what refers to objects in a second pass, when all objects are there (dimension scales
// are such references).  External links are made to lead to the same file from where the output is.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/repack/repack_parts.h"
#include "io/worker/worker.h"

xani_status xn_repack_fail(xn_repack_job *job, const char *path) { return xn_writer_fail(job->writer, path); }

#define TYPES "/.xani named types"

static void type_path(const xn_repack_job *job, const xn_node *node, char path[64])
{
    snprintf(path, 64, TYPES "/%lld", (long long)(node - job->tree.node));
}

hid_t xn_repack_type(xn_repack_job *job, hid_t type)
{
    char path[64];
    if (H5Tcommitted(type) <= 0) return H5Tcopy(type);
    const xn_node *node = xn_tree_at(&job->tree, xn_object_address(type));
    if (node == NULL) return H5Tcopy(type);
    type_path(job, node, path);
    return H5Topen2(job->writer->file, path, H5P_DEFAULT);
}

// ---- attributes

// Values that refer to objects get theirs in the second pass.
static bool copy_attribute_values(hid_t from, hid_t to, hid_t type, hid_t space)
{
    hssize_t n = H5Sget_simple_extent_npoints(space);
    if (n <= 0 || xn_type_references(type)) return n >= 0;
    void *values = xn_calloc((size_t)n, H5Tget_size(type));
    if (values == NULL) return false;
    bool read = H5Aread(from, type, values) >= 0, good = read && H5Awrite(to, type, values) >= 0;
    if (read && xn_type_indirect(type)) H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
    xn_free(values);
    return good;
}

static bool copy_attribute(xn_repack_job *job, hid_t from, hid_t to)
{
    char name[1024];
    hid_t type = H5Aget_type(from), space = H5Aget_space(from), created = H5Aget_create_plist(from);
    hid_t stored = type < 0 ? type : xn_repack_type(job, type), attribute = H5I_INVALID_HID;
    if (stored >= 0 && space >= 0 && created >= 0 && H5Aget_name(from, sizeof name, name) > 0)
        attribute = H5Acreate2(to, name, stored, space, created, H5P_DEFAULT);
    bool good = attribute >= 0 && copy_attribute_values(from, attribute, type, space);
    if (attribute >= 0) good = H5Aclose(attribute) >= 0 && good;
    if (created >= 0) H5Pclose(created);
    if (stored >= 0) H5Tclose(stored);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return good;
}

static H5_index_t attribute_order(hid_t object)
{
    unsigned flags = 0;
    H5I_type_t kind = H5Iget_type(object);
    hid_t created = kind == H5I_GROUP     ? H5Gget_create_plist(object)
                    : kind == H5I_DATASET ? H5Dget_create_plist(object)
                                          : H5Tget_create_plist(object);
    if (created >= 0) H5Pget_attr_creation_order(created, &flags);
    if (created >= 0) H5Pclose(created);
    return flags & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

xani_status xn_repack_attributes(xn_repack_job *job, hid_t from, hid_t to, const char *path)
{
    H5_index_t order = attribute_order(from);
    int n = H5Aget_num_attrs(from);
    if (n < 0) return xn_h5_fail(job->ctx, job->file, path, "its attributes cannot be listed");
    for (int i = 0; i < n; i++) {
        hid_t attribute = H5Aopen_by_idx(from, ".", order, H5_ITER_INC, (hsize_t)i, H5P_DEFAULT, H5P_DEFAULT);
        if (attribute < 0) return xn_h5_fail(job->ctx, job->file, path, "one of its attributes cannot be read");
        bool good = copy_attribute(job, attribute, to);
        H5Aclose(attribute);
        if (!good) return xn_repack_fail(job, path);
    }
    return XANI_OK;
}

// ---- objects and links

static hid_t link_properties(const xn_node *node)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    if (links >= 0) H5Pset_char_encoding(links, node->names);
    return links;
}

// Of a group like `from`. Not its own list: where it has many members that holds addresses in the old file, and the
// library would take them for those of the new group.
static hid_t group_properties(hid_t from)
{
    hid_t old = H5Gget_create_plist(from), created = H5Pcreate(H5P_GROUP_CREATE);
    unsigned links = 0, attributes = 0, compact = 0, dense = 0;
    bool good = old >= 0 && created >= 0 && H5Pset_obj_track_times(created, false) >= 0;
    if (good && H5Pget_link_creation_order(old, &links) >= 0) good = H5Pset_link_creation_order(created, links) >= 0;
    if (good && H5Pget_attr_creation_order(old, &attributes) >= 0)
        good = H5Pset_attr_creation_order(created, attributes) >= 0;
    if (good && H5Pget_link_phase_change(old, &compact, &dense) >= 0)
        good = H5Pset_link_phase_change(created, compact, dense) >= 0;
    if (old >= 0) H5Pclose(old);
    if (good) return created;
    if (created >= 0) H5Pclose(created);
    return H5I_INVALID_HID;
}

static xani_status make_group(xn_repack_job *job, const xn_node *node)
{
    hid_t from = H5Gopen2(job->file->id, node->path, H5P_DEFAULT);
    if (from < 0) return xn_h5_fail(job->ctx, job->file, node->path, "cannot be opened");
    hid_t to = H5I_INVALID_HID;
    if (node->path[1] == '\0') {
        to = H5Gopen2(job->writer->file, "/", H5P_DEFAULT);
    } else {
        hid_t links = link_properties(node), created = group_properties(from);
        if (links >= 0 && created >= 0) to = H5Gcreate2(job->writer->file, node->path, links, created, H5P_DEFAULT);
        if (links >= 0) H5Pclose(links);
        if (created >= 0) H5Pclose(created);
    }
    xani_status st = to < 0 ? xn_repack_fail(job, node->path) : xn_repack_attributes(job, from, to, node->path);
    if (to >= 0) H5Gclose(to);
    H5Gclose(from);
    return st;
}

static xani_status copy_attributes(xn_repack_job *job, const xn_node *node)
{
    hid_t from = H5Oopen(job->file->id, node->path, H5P_DEFAULT);
    hid_t to = H5Oopen(job->writer->file, node->path, H5P_DEFAULT);
    xani_status st =
        from < 0 || to < 0 ? xn_repack_fail(job, node->path) : xn_repack_attributes(job, from, to, node->path);
    if (from >= 0) H5Oclose(from);
    if (to >= 0) H5Oclose(to);
    return st;
}

static xani_status copy_object(xn_repack_job *job, const xn_node *node, const char *path)
{
    XN_TRY(xn_worker_look_copy(job->ctx, job->file->path, node->path));
    hid_t links = link_properties(node), copy = H5Pcreate(H5P_OBJECT_COPY);
    bool good = links >= 0 && copy >= 0 && H5Pset_copy_object(copy, XN_HDF_COPY) >= 0 &&
                H5Ocopy(job->file->id, node->path, job->writer->file, path, copy, links) >= 0;
    if (links >= 0) H5Pclose(links);
    if (copy >= 0) H5Pclose(copy);
    if (!good && xn_writer_status(job->writer) == XANI_OK) // nothing went wrong with the output
        return xn_h5_fail(job->ctx, job->file, node->path, "cannot be copied");
    return good ? XANI_OK : xn_repack_fail(job, node->path);
}

// ---- named types

static xani_status stash_types(xn_repack_job *job)
{
    for (int64_t i = 0; i < job->tree.n; i++) {
        const xn_node *node = &job->tree.node[i];
        char path[64];
        if (node->kind != XN_NODE_TYPE) continue;
        if (H5Lexists(job->writer->file, TYPES, H5P_DEFAULT) <= 0) {
            hid_t group = H5Gcreate2(job->writer->file, TYPES, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
            if (group < 0 || H5Gclose(group) < 0) return xn_repack_fail(job, node->path);
        }
        type_path(job, node, path);
        XN_TRY(copy_object(job, node, path));
    }
    return XANI_OK;
}

static xani_status make_type(xn_repack_job *job, const xn_node *node)
{
    char path[64];
    hid_t links = link_properties(node), file = job->writer->file;
    type_path(job, node, path);
    bool good = links >= 0 && H5Lcreate_hard(file, path, file, node->path, links, H5P_DEFAULT) >= 0;
    if (links >= 0) H5Pclose(links);
    return good ? copy_attributes(job, node) : xn_repack_fail(job, node->path);
}

static xani_status drop_types(xn_repack_job *job)
{
    hid_t file = job->writer->file;
    if (H5Lexists(file, TYPES, H5P_DEFAULT) <= 0 || H5Ldelete(file, TYPES, H5P_DEFAULT) >= 0) return XANI_OK;
    return xn_repack_fail(job, "/");
}

// ---- links

// The name an external link has to have in the output; the one it has where its file is not found (owned).
static char *relocated(xn_repack_job *job, const char *name)
{
    const char *slash = strrchr(job->file->path, '/');
    if (name[0] == '/' || slash == NULL) slash = NULL;
    char *found = slash ? xn_format("%.*s/%s", (int)(slash - job->file->path), job->file->path, name) : xn_strdup(name);
    char *there = found && name[0] != '/' && access(found, F_OK) == 0 ? xn_repack_relative(job->output, found) : NULL;
    xn_free(found);
    return there ? there : xn_strdup(name);
}

static xani_status make_link(xn_repack_job *job, const xn_node *node)
{
    hid_t links = link_properties(node), file = job->writer->file;
    char *name = NULL;
    herr_t made = -1;
    switch (node->kind) {
    case XN_NODE_ALIAS:
        made = H5Lcreate_hard(file, node->target, file, node->path, links, H5P_DEFAULT);
        break;
    case XN_NODE_SOFT:
        made = H5Lcreate_soft(node->target, file, node->path, links, H5P_DEFAULT);
        break;
    case XN_NODE_EXTERNAL:
        name = relocated(job, node->file);
        if (name) made = H5Lcreate_external(name, node->target, file, node->path, links, H5P_DEFAULT);
        xn_free(name);
        break;
    default:
        xn_warn(job->ctx, "%s: %s: a link of a kind that cannot be copied is left out", job->file->path, node->path);
        made = 0;
    }
    if (links >= 0) H5Pclose(links);
    return made < 0 ? xn_repack_fail(job, node->path) : XANI_OK;
}

// What the writer is to find in the copy: the values of the input.
static xani_status record_numbers(xn_repack_job *job, const xn_repack_item *it)
{
    xn_record found = {.name = it->node->path, .partial = true};
    XN_TRY(xn_hash_dataset(job->ctx, job->file, &found));
    xn_record *r = xn_writer_record(job->writer, it->node->path, found.type, found.rank, found.dims);
    if (r == NULL) return job->writer->status;
    r->hash = found.hash;
    r->partial = true;
    return xn_writer_status(job->writer);
}

static xani_status make_dataset(xn_repack_job *job, const xn_repack_item *it)
{
    XN_TRY(xn_check_interrupt(job->ctx));
    switch (it->how) {
    case XN_REPACK_CHUNKS:
        return xn_repack_chunks(job, it);
    case XN_REPACK_ROWS:
        return xn_repack_rows(job, it);
    case XN_REPACK_VIRTUAL:
        return xn_repack_virtual(job, it);
    default:
        XN_TRY(copy_object(job, it->node, it->node->path));
        XN_TRY(copy_attributes(job, it->node));
        job->done += it->bytes;
        return it->type == XN_OTHER || it->type == XN_STR ? xn_writer_status(job->writer) : record_numbers(job, it);
    }
}

static xani_status make_node(xn_repack_job *job, const xn_node *node, const xn_repack_item **item)
{
    switch (node->kind) {
    case XN_NODE_GROUP:
        return make_group(job, node);
    case XN_NODE_TYPE:
        return make_type(job, node);
    case XN_NODE_DATASET:
        return make_dataset(job, (*item)++);
    default:
        return make_link(job, node);
    }
}

xani_status xn_repack_structure(xn_repack_job *job)
{
    const xn_repack_item *item = job->item;
    XN_TRY(stash_types(job));
    for (int64_t i = 0; i < job->tree.n; i++) {
        XN_TRY(make_node(job, &job->tree.node[i], &item));
        XN_TRY(xn_writer_status(job->writer));
    }
    return drop_types(job);
}

// ---- second pass: references

static bool relocate_attribute(hid_t from, hid_t to, xn_relocation *r)
{
    char name[1024];
    hid_t type = H5Aget_type(from), space = H5Aget_space(from);
    hssize_t n = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);
    bool good = true;
    if (type >= 0 && n > 0 && xn_type_references(type) && H5Aget_name(from, sizeof name, name) > 0) {
        hid_t attribute = H5Aopen(to, name, H5P_DEFAULT);
        void *values = xn_calloc((size_t)n, H5Tget_size(type));
        bool read = attribute >= 0 && values && H5Aread(from, type, values) >= 0;
        good = read && xn_values_relocate(type, values, n, r) && H5Awrite(attribute, type, values) >= 0;
        if (read) H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
        if (attribute >= 0) good = H5Aclose(attribute) >= 0 && good;
        xn_free(values);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return good;
}

static bool relocate_dataset(hid_t from, hid_t to, xn_relocation *r)
{
    hid_t type = H5Dget_type(from), space = H5Dget_space(from), there = H5Dget_space(to);
    hssize_t n = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);
    bool good = true;
    if (type >= 0 && n > 0 && xn_type_references(type) && H5Dget_storage_size(from) > 0) {
        void *values = xn_calloc((size_t)n, H5Tget_size(type));
        bool same = there >= 0 && H5Sextent_equal(space, there) > 0; // cut and joined references have no meaning left
        bool read = same && values && H5Dread(from, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
        good = !same || (read && xn_values_relocate(type, values, n, r) &&
                         H5Dwrite(to, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
        if (read) H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
        xn_free(values);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (there >= 0) H5Sclose(there);
    return good;
}

static bool relocate_object(hid_t from, hid_t to, xn_relocation *r)
{
    bool good = H5Iget_type(from) != H5I_DATASET || relocate_dataset(from, to, r);
    int n = H5Aget_num_attrs(from);
    for (int i = 0; good && i < n; i++) {
        hid_t attribute = H5Aopen_by_idx(from, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, H5P_DEFAULT, H5P_DEFAULT);
        good = attribute >= 0 && relocate_attribute(attribute, to, r);
        if (attribute >= 0) H5Aclose(attribute);
    }
    return good;
}

xani_status xn_repack_references(xn_repack_job *job)
{
    xn_relocation r = {job->file->id, job->writer->file, &job->tree, 0};
    for (int64_t i = 0; i < job->tree.n; i++) {
        const xn_node *node = &job->tree.node[i];
        if (node->kind != XN_NODE_GROUP && node->kind != XN_NODE_DATASET && node->kind != XN_NODE_TYPE) continue;
        hid_t from = H5Oopen(job->file->id, node->path, H5P_DEFAULT);
        hid_t to = H5Oopen(job->writer->file, node->path, H5P_DEFAULT);
        bool good = from >= 0 && to >= 0 && relocate_object(from, to, &r);
        if (from >= 0) H5Oclose(from);
        if (to >= 0) H5Oclose(to);
        if (!good) return xn_repack_fail(job, node->path);
    }
    if (r.lost > 0)
        xn_warn(job->ctx, "%s: %lld references to objects without a name are left empty", job->file->path,
                (long long)r.lost);
    return xn_writer_status(job->writer);
}
