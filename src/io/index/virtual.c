// SPDX-License-Identifier: BSD-3-Clause
// virtual.c -- see virtual.h: are all sources of a virtual dataset there, and complete?
//
// A virtual dataset may have virtual sources; one that leads back to itself is stopped by counting how deep the look-up
// is in this thread.  Several pieces of one source follow each other most often: each run of them is looked at once.
#include "io/index/virtual.h"

#include <string.h>

enum { DEEPEST = 8 };
static _Thread_local int depth;

static bool same_source(const xn_mapping *a, const xn_mapping *b)
{
    return a->path && b->path && strcmp(a->path, b->path) == 0 && strcmp(a->dataset, b->dataset) == 0;
}

// Beyond a source's end the library gives fill values, or whatever follows in its file.
static xani_status check_reach(xn_ctx *ctx, const xn_h5 *file, hid_t dataset, const xn_mapping *m, int64_t n)
{
    int rank = 0;
    int64_t dims[XANI_MAX_RANK], size;
    hid_t space = H5Dget_space(dataset);
    xani_status st = space < 0 ? xn_h5_fail(ctx, file, m->dataset, "its shape cannot be read")
                               : xn_h5_shape(ctx, file, m->dataset, space, &rank, dims, &size);
    if (space >= 0) H5Sclose(space);
    for (int64_t i = 0; st == XANI_OK && i < n && same_source(m, &m[i]); i++)
        if (!m[i].irregular && m[i].from.rank == rank && !xn_slab_inside(&m[i].from, rank, dims))
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: ends before what is mapped of it", m->path, m->dataset);
    return st;
}

// m and those behind it, n in all, that have the same source.
static xani_status check_source(xn_ctx *ctx, const xn_mapping *m, int64_t n)
{
    xn_h5 *file = NULL;
    hid_t dataset = H5I_INVALID_HID;
    xani_status st = xn_h5_open_live(ctx, m->path, &file);
    if (st == XANI_OK) st = xn_h5_dataset(ctx, file, m->dataset, &dataset);
    if (st == XANI_OK) st = xn_h5_complete(ctx, file, m->dataset, dataset);
    if (st == XANI_OK) st = check_reach(ctx, file, dataset, m, n);
    if (dataset >= 0) H5Oclose(dataset);
    xn_h5_close(&file);
    return st;
}

xani_status xn_virtual_check(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset)
{
    xn_mappings all;
    if (depth >= DEEPEST)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: virtual datasets nested too deep", file->path, name);
    XN_TRY(xn_virtual_mappings(ctx, file, name, dataset, false, &all));
    depth++;
    xani_status st = XANI_OK;
    for (int64_t i = 0; i < all.n && st == XANI_OK; i++)
        if (all.list[i].path && (i == 0 || !same_source(&all.list[i], &all.list[i - 1])))
            st = check_source(ctx, &all.list[i], all.n - i);
    depth--;
    xn_mappings_free(&all);
    return xn_context(ctx, st, "%s: %s", file->path, name);
}
