// SPDX-License-Identifier: BSD-3-Clause
// repack_check.c -- the output is opened again and compared with the inputs, object by object, before it is published.
//
// Numbers that were stored anew or copied have their hash from the input and are compared by the writer
// (writer_check.c).  Here: every link leads where it led, every object has the same attributes with the same types and
// values (references: to objects of the same name), every other dataset the same type and values, and chunks that were
// never written are not there.
#include <string.h>

#include "io/repack/repack_parts.h"

typedef struct {
    xn_repack_job *job;
    const xn_h5 *file; // the output
    xn_tree tree;      // of it
} check;

static xani_status differs(const check *c, const char *path, const char *what)
{
    return xn_fail(c->job->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s %s when read back", c->job->output, path,
                   what);
}

// ---- attributes

static xani_status same_attribute(const check *c, const char *path, hid_t a, hid_t b)
{
    hid_t x = H5Aget_type(a), y = H5Aget_type(b);
    uint64_t from = 0, to = 1;
    bool same = x >= 0 && y >= 0 && H5Tequal(x, y) > 0;
    xani_status st = XANI_OK;
    if (same) st = xn_values_hash_attribute(c->job->ctx, c->job->file, path, a, &c->job->tree, &from);
    if (same && st == XANI_OK) st = xn_values_hash_attribute(c->job->ctx, c->file, path, b, &c->tree, &to);
    if (x >= 0) H5Tclose(x);
    if (y >= 0) H5Tclose(y);
    if (st != XANI_OK) return st;
    return same && from == to ? XANI_OK : differs(c, path, "has an attribute that differs");
}

static xani_status same_attributes(const check *c, const char *path, hid_t from, hid_t to)
{
    int n = H5Aget_num_attrs(from);
    if (n < 0 || H5Aget_num_attrs(to) != n) return differs(c, path, "has other attributes");
    for (int i = 0; i < n; i++) {
        char name[1024];
        hid_t a = H5Aopen_by_idx(from, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, H5P_DEFAULT, H5P_DEFAULT);
        hid_t b = a >= 0 && H5Aget_name(a, sizeof name, name) > 0 ? H5Aopen(to, name, H5P_DEFAULT) : H5I_INVALID_HID;
        xani_status st = b < 0 ? differs(c, path, "lacks an attribute") : same_attribute(c, path, a, b);
        if (a >= 0) H5Aclose(a);
        if (b >= 0) H5Aclose(b);
        XN_TRY(st);
    }
    return XANI_OK;
}

// ---- values

// Chained over the inputs, as their rows are.
static xani_status hash_inputs(const check *c, const xn_repack_item *it, uint64_t *hash)
{
    const xn_repack_job *job = c->job;
    xn_values_hash *h = xn_values_hash_open();
    if (h == NULL) return xn_fail_memory(job->ctx, it->node->path, 1);
    int64_t begin = 0;
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < (it->along ? job->n_inputs : 1); i++) {
        int64_t first = it->along ? xn_max64(job->first - begin, 0) : 0;
        int64_t last = it->along ? xn_min64(job->last - begin, job->rows[i]) : it->rank ? it->dims[0] : 1;
        if (it->along) begin += job->rows[i];
        if (first >= last) continue;
        xn_h5 *other = NULL;
        if (i > 0) st = xn_h5_open(job->ctx, job->inputs[i], &other);
        if (st == XANI_OK)
            st = xn_values_hash_rows(job->ctx, i ? other : job->file, it->node->path, &job->tree, first, last, h);
        xn_h5_close(&other);
    }
    *hash = xn_values_hash_close(&h);
    return st;
}

static xani_status hash_output(const check *c, const xn_repack_item *it, uint64_t *hash)
{
    xn_values_hash *h = xn_values_hash_open();
    if (h == NULL) return xn_fail_memory(c->job->ctx, it->node->path, 1);
    int64_t last = it->rank ? it->out[0] : 1;
    xani_status st = xn_values_hash_rows(c->job->ctx, c->file, it->node->path, &c->tree, 0, last, h);
    *hash = xn_values_hash_close(&h);
    return st;
}

// Text and numbers also get their place in the manifest.
static xani_status add_record(const check *c, const xn_repack_item *it)
{
    xn_record found = {.name = (char *)it->node->path, .partial = true};
    if (it->type == XN_OTHER) return XANI_OK;
    XN_TRY(xn_hash_dataset(c->job->ctx, c->file, &found));
    xn_record *r = xn_writer_record(c->job->writer, it->node->path, found.type, found.rank, found.dims);
    if (r == NULL) return c->job->writer->status;
    r->hash = found.hash;
    r->partial = true;
    return XANI_OK;
}

static bool chunks_as_they_were(const xn_repack_item *it, hid_t dataset)
{
    hsize_t n = 0;
    int64_t all = 1;
    if (it->n_missing == 0) return true;
    for (int k = 0; k < it->rank; k++) all *= (it->out[k] + it->chunk[k] - 1) / it->chunk[k];
    hid_t space = H5Dget_space(dataset);
    bool good = space >= 0 && H5Dget_num_chunks(dataset, space, &n) >= 0 && (int64_t)n == all - it->n_missing;
    if (space >= 0) H5Sclose(space);
    return good;
}

static xani_status same_values(const check *c, const xn_repack_item *it, hid_t from, hid_t to)
{
    const char *path = it->node->path;
    hid_t a = H5Dget_type(from), b = H5Dget_type(to);
    bool same = a >= 0 && b >= 0 && H5Tequal(a, b) > 0, emptied = it->along && a >= 0 && xn_type_references(a);
    if (a >= 0) H5Tclose(a);
    if (b >= 0) H5Tclose(b);
    if (!same) return differs(c, path, "is of another type");
    if (it->how == XN_REPACK_VIRTUAL) return xn_repack_check_virtual(c->job, c->file, it);
    if (it->how == XN_REPACK_CHUNKS)
        return chunks_as_they_were(it, to) ? XANI_OK : differs(c, path, "has other chunks that were never written");
    bool compared = it->how == XN_REPACK_COPY && it->type != XN_STR && it->type != XN_OTHER; // by the writer
    uint64_t before = 0, after = 0;
    if (!compared && !emptied) {
        XN_TRY(hash_inputs(c, it, &before));
        XN_TRY(hash_output(c, it, &after));
    }
    if (before != after) return differs(c, path, "differs");
    return compared ? XANI_OK : add_record(c, it);
}

// ---- nodes

static xani_status same_link(const check *c, const xn_node *node)
{
    char text[4096] = "";
    if (node->kind == XN_NODE_SOFT && strlen(node->target) < sizeof text &&
        (H5Lget_val(c->file->id, node->path, text, sizeof text, H5P_DEFAULT) < 0 || strcmp(text, node->target) != 0))
        return differs(c, node->path, "leads somewhere else");
    if (node->kind == XN_NODE_EXTERNAL && H5Lexists(c->file->id, node->path, H5P_DEFAULT) <= 0)
        return differs(c, node->path, "is missing");
    return XANI_OK;
}

static xani_status same_object(const check *c, const xn_node *node, const xn_repack_item *it)
{
    const char *path = node->kind == XN_NODE_ALIAS ? node->target : node->path;
    hid_t to = H5Oopen(c->file->id, node->path, H5P_DEFAULT);
    const xn_node *found = to < 0 ? NULL : xn_tree_at(&c->tree, xn_object_address(to));
    hid_t from = found ? H5Oopen(c->job->file->id, node->path, H5P_DEFAULT) : H5I_INVALID_HID;
    xani_status st = XANI_OK;
    if (from < 0 || strcmp(found->path, path) != 0 || H5Iget_type(from) != H5Iget_type(to))
        st = differs(c, node->path, "is not there or another object");
    else if (node->kind != XN_NODE_ALIAS)
        st = same_attributes(c, path, from, to);
    if (st == XANI_OK && node->kind == XN_NODE_DATASET) {
        xn_filters_make_available(from);
        xn_filters_make_available(to);
        st = same_values(c, it, from, to);
    }
    if (from >= 0) H5Oclose(from);
    if (to >= 0) H5Oclose(to);
    return st;
}

static xani_status compare_all(check *c)
{
    const xn_tree *t = &c->job->tree;
    const xn_repack_item *item = c->job->item;
    for (int64_t i = 0; i < t->n; i++) {
        const xn_node *node = &t->node[i];
        XN_TRY(xn_check_interrupt(c->job->ctx));
        if (node->kind <= XN_NODE_ALIAS)
            XN_TRY(same_object(c, node, item));
        else
            XN_TRY(same_link(c, node));
        item += node->kind == XN_NODE_DATASET;
    }
    return XANI_OK;
}

xani_status xn_repack_check(xn_ctx *ctx, const xn_h5 *file, void *user)
{
    check c = {.job = user, .file = file};
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = xn_tree_read(ctx, file, &c.tree);
    if (st == XANI_OK) st = compare_all(&c);
    xn_tree_free(&c.tree);
    xn_hdf_leave(guard);
    return st;
}
