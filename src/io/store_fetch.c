// SPDX-License-Identifier: BSD-3-Clause
// store_fetch.c -- where blocks lie, and those that lie nowhere in one piece: compact, external, the library's.
#include <string.h>

#include "io/convert.h"
#include "io/store.h"

void xn_store_block(const xn_store *s, int64_t index, int64_t *lo, int64_t *n)
{
    for (int k = s->rank - 1; k >= 0; k--) {
        lo[k] = index % s->grid[k] * s->block[k];
        n[k] = xn_min64(s->block[k], s->dims[k] - lo[k]);
        index /= s->grid[k];
    }
}

bool xn_store_is_raw(const xn_store *s) { return s->kind == XN_STORE_CONTIGUOUS || s->pipeline.n == 0; }

xn_place xn_store_place(const xn_store *s, int64_t index)
{
    if (s->kind == XN_STORE_CHUNKED) {
        const xn_chunk *c = &s->map.table[index];
        return (xn_place){c->offset, c->bytes, c->mask};
    }
    if (s->offset < 0) return (xn_place){0, 0, 0};
    int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK], first = 0, bytes = (int64_t)s->elem;
    xn_store_block(s, index, lo, n);
    for (int k = 0; k < s->rank; k++) {
        first = first * s->dims[k] + lo[k];
        bytes *= n[k];
    }
    return (xn_place){s->offset + first * (int64_t)s->elem, (size_t)bytes, 0};
}

xani_status xn_store_fail(xn_ctx *ctx, const xn_store *s, int64_t index, const char *what)
{
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK];
    if (s->n_blocks > 0) xn_store_block(s, index, lo, n);
    return xn_store_fail_at(ctx, s, lo, what);
}

xani_status xn_store_fail_at(xn_ctx *ctx, const xn_store *s, const int64_t *at, const char *what)
{
    if (s->rank == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %s", s->path, s->dataset, what);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %s %lld: %s", s->path, s->dataset, s->rank > 1 ? "frame" : "element",
                   (long long)at[0], what);
}

static int64_t index_at(const xn_store *s, const int64_t *at)
{
    int64_t index = 0;
    for (int k = 0; k < s->rank; k++) index = index * s->grid[k] + at[k] / s->block[k];
    return index;
}

// ---- external storage

static xani_status read_segments(xn_ctx *ctx, xn_store *s, const int64_t *lo, int64_t at, size_t bytes, uint8_t *dst)
{
    (void)lo;
    for (int i = 0; i < s->n_segments && bytes > 0; i++) {
        const xn_segment *g = &s->segment[i];
        if (at < g->at || at >= g->at + g->bytes) continue;
        size_t n = (size_t)xn_min64((int64_t)bytes, g->at + g->bytes - at);
        int64_t from = g->offset + (at - g->at);
        int error = xn_file_read(g->file, from, dst, n);
        if (error != 0) {
            int64_t row = (int64_t)s->elem, first[XANI_MAX_RANK] = {0};
            for (int k = 1; k < s->rank; k++) row *= s->dims[k];
            if (error == XN_READ_SHORT) at += xn_max64(0, xn_min64(xn_file_bytes(g->file) - from, (int64_t)n - 1));
            first[0] = at / row;
            return xn_context(ctx, xn_store_fail_at(ctx, s, first, xn_read_why(error)), "%s", xn_file_path(g->file));
        }
        at += (int64_t)n;
        dst += n;
        bytes -= n;
    }
    return XANI_OK;
}

// Calls fn for each row (along the last axis) of the box, with its first element's number in the dataset.
typedef xani_status (*row_fn)(xn_ctx *ctx, xn_store *s, const int64_t *lo, int64_t at, size_t bytes, uint8_t *dst);

static xani_status each_row(xn_ctx *ctx, xn_store *s, const int64_t *lo, const int64_t *n, uint8_t *dst, row_fn fn)
{
    int64_t i[XANI_MAX_RANK] = {0};
    int whole = s->rank; // axes from here on are read as one run
    size_t bytes = s->elem;
    while (whole > 0) {
        whole--;
        bytes *= (size_t)n[whole];
        if (n[whole] != s->dims[whole]) break;
    }
    for (;;) {
        int64_t at = 0;
        for (int k = 0; k < s->rank; k++) at = at * s->dims[k] + lo[k] + (k < whole ? i[k] : 0);
        XN_TRY(fn(ctx, s, lo, at * (int64_t)s->elem, bytes, dst));
        dst += bytes;
        int k = whole - 1;
        while (k >= 0 && ++i[k] == n[k]) i[k--] = 0;
        if (k < 0) return XANI_OK;
    }
}

static xani_status copy_memory(xn_ctx *ctx, xn_store *s, const int64_t *lo, int64_t at, size_t bytes, uint8_t *dst)
{
    (void)ctx, (void)lo;
    memcpy(dst, s->memory + at, bytes);
    return XANI_OK;
}

// ---- the library

// The first chunk of the box that was never written, or that cannot be asked for; -1: none.
static int64_t hole(const xn_store *s, const int64_t *lo, const int64_t *n)
{
    hsize_t chunk[H5S_MAX_RANK] = {0}, at[H5S_MAX_RANK] = {0}, first[H5S_MAX_RANK] = {0}, bytes = 0;
    hid_t created = H5Dget_create_plist(s->h5_dataset);
    bool known = created >= 0 && H5Pget_chunk(created, H5S_MAX_RANK, chunk) == s->rank;
    if (created >= 0) H5Pclose(created);
    for (int k = 0; known && k < s->rank; k++) at[k] = first[k] = (hsize_t)lo[k] / chunk[k] * chunk[k];
    while (known) {
        unsigned mask;
        haddr_t address = HADDR_UNDEF;
        bool told = H5Dget_chunk_info_by_coord(s->h5_dataset, at, &mask, &address, &bytes) >= 0;
        if (!told || address == HADDR_UNDEF || bytes == 0) return xn_max64((int64_t)at[0], lo[0]);
        int k = s->rank - 1;
        while (k >= 0 && (at[k] += chunk[k]) >= (hsize_t)lo[k] + (hsize_t)n[k]) at[k] = first[k], k--;
        if (k < 0) return -1;
    }
    return lo[0];
}

static xani_status read_library(xn_ctx *ctx, xn_store *s, const int64_t *lo, const int64_t *n, void *dst)
{
    hsize_t start[XANI_MAX_RANK], count[XANI_MAX_RANK];
    for (int k = 0; k < s->rank; k++) {
        start[k] = (hsize_t)lo[k];
        count[k] = (hsize_t)n[k];
    }
    xn_hdf_guard guard = xn_hdf_enter();
    int64_t missing = s->holes ? hole(s, lo, n) : -1;
    if (missing >= 0) {
        xn_hdf_leave(guard);
        int64_t at[XANI_MAX_RANK] = {missing};
        for (int k = 1; k < s->rank; k++) at[k] = lo[k];
        return xn_store_fail_at(ctx, s, at, "was never written");
    }
    hid_t space = H5Dget_space(s->h5_dataset), memory = H5Screate_simple(s->rank, count, NULL);
    hid_t stored = H5Dget_type(s->h5_dataset), type = stored < 0 ? stored : H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    bool native = type >= 0 && H5Tget_size(type) == s->elem; // enumerations are not converted to numbers
    herr_t got = -1;
    if (space >= 0 && memory >= 0 &&
        (s->rank == 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0))
        got = xn_hdf_read(s->h5_dataset, native ? type : xn_hdf_native(s->type), memory, space, dst);
    char reason[XN_HDF_REASON] = "";
    if (got < 0) xn_hdf_reason(reason);
    if (type >= 0) H5Tclose(type);
    if (stored >= 0) H5Tclose(stored);
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    xani_status st = got < 0 ? xn_store_fail(ctx, s, index_at(s, lo), reason[0] ? reason : "cannot be read")
                             : xn_h5_unchanged(ctx, s->h5, s->dataset);
    xn_hdf_leave(guard);
    return st;
}

xani_status xn_store_fetch(xn_ctx *ctx, xn_store *s, const int64_t *lo, const int64_t *n, void *dst)
{
    if (s->kind == XN_STORE_COMPACT) return each_row(ctx, s, lo, n, dst, copy_memory);
    if (s->kind != XN_STORE_EXTERNAL) return read_library(ctx, s, lo, n, dst);
    XN_TRY(each_row(ctx, s, lo, n, dst, read_segments));
    if (s->swap) {
        size_t size = 1;
        for (int k = 0; k < s->rank; k++) size *= (size_t)n[k];
        xn_swap_bytes(dst, size, s->elem);
    }
    return XANI_OK;
}
