// SPDX-License-Identifier: BSD-3-Clause
// writer_check.c -- what was written is read back and compared, hash by hash, before it is published.
//
// Numbers are read in bands of rows that hold whole chunks (a cube in chunks of all delays would be decompressed once
// per delay if it were read plane by plane), as long as a band stays below BAND_BYTES; the hash is that of
// value_hash.h.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/batches.h"
#include "io/write/writer_rows.h"

enum { BAND_BYTES = 256 << 20, BAND_LEAST = 32 << 20 };

// Rows of a band: whole chunks, about BAND_LEAST bytes, never more than BAND_BYTES if one row is not.
static int64_t choose_band(const xn_record *r, const xn_h5_info *info, int64_t row_bytes)
{
    int64_t chunk = info->chunked ? xn_max64(1, info->chunk[0]) : 1;
    int64_t most = xn_max64(1, BAND_BYTES / row_bytes);
    int64_t rows = chunk * xn_max64(1, BAND_LEAST / row_bytes / chunk);
    return xn_min64(r->dims[0], xn_min64(rows, most));
}

// By the engine, on all cores, a batch ahead of the hashing: another way than that by which it was written.
static xani_status hash_bands(xn_ctx *ctx, const xn_record *r, xn_array *array, int64_t band, xn_value_hash *hash)
{
    xn_selection all;
    xn_selection_all(array, &all);
    xn_batches *batches = NULL;
    xn_batch batch = {.rows = 1};
    int64_t done = 0;
    xani_status st = xn_batches_open(ctx, array, &all, r->type, band, 1, 0, &batches);
    while (st == XANI_OK) {
        st = xn_batches_next(ctx, batches, &batch);
        if (st != XANI_OK || batch.data == NULL || batch.rows == 0) break;
        if (r->stoppable) st = xn_check_interrupt(ctx);
        if (st == XANI_OK && !xn_value_hash_rows(hash, batch.data, batch.rows, 1))
            st = xn_fail_memory(ctx, r->name, 8 * (size_t)batch.rows);
        done += batch.rows;
        if (r->stoppable) xn_progress(ctx, "verify", done, r->dims[0], "rows");
    }
    xn_batches_close(&batches);
    return st;
}

static xani_status hash_rows(xn_ctx *ctx, const xn_h5 *file, const xn_record *r, const xn_h5_info *info,
                             xn_value_hash *hash)
{
    xn_array *array = NULL;
    const char *path = file->path;
    const xn_array_options how = {.fill = r->partial};
    int64_t row_bytes = (int64_t)xn_type_size(r->type);
    for (int k = 1; k < r->rank; k++) row_bytes *= r->dims[k];
    if (row_bytes == 0 || r->dims[0] == 0) // lines without values are lines
        return xn_value_hash_rows(hash, "", r->dims[0], 1) ? XANI_OK : xn_fail_memory(ctx, r->name, 8);
    XN_TRY(xn_array_open(ctx, &path, 1, r->name, &how, &array));
    xani_status st = hash_bands(ctx, r, array, choose_band(r, info, row_bytes), hash);
    xn_array_close(&array);
    return st;
}

// One value, or none.
static xani_status hash_scalar(xn_ctx *ctx, const xn_h5 *file, const xn_record *r, const xn_h5_info *info,
                               xn_value_hash *hash)
{
    uint64_t value;
    hid_t dataset;
    if (info->size == 0) return XANI_OK;
    XN_TRY(xn_h5_dataset(ctx, file, r->name, &dataset));
    hid_t space = H5Dget_space(dataset);
    xani_status st = r->partial ? XANI_OK : xn_h5_complete(ctx, file, r->name, dataset);
    if (st == XANI_OK) st = xn_h5_read_as(ctx, file, r->name, dataset, space, 1, r->type, &value);
    if (st == XANI_OK && !xn_value_hash_rows(hash, &value, 1, 1)) st = xn_fail_memory(ctx, r->name, 8);
    if (space >= 0) H5Sclose(space);
    H5Oclose(dataset);
    return st;
}

static xani_status hash_numbers(xn_ctx *ctx, const xn_h5 *file, xn_record *r, const xn_h5_info *info)
{
    xn_value_hash *hash = xn_value_hash_open(xn_type_size(r->type), r->rank, r->dims);
    if (hash == NULL) return xn_fail_memory(ctx, r->name, 64);
    xani_status st = r->rank ? hash_rows(ctx, file, r, info, hash) : hash_scalar(ctx, file, r, info, hash);
    if (st == XANI_OK) r->hash = xn_value_hash_get(hash);
    xn_value_hash_close(&hash);
    return st;
}

static xani_status hash_texts(xn_ctx *ctx, const xn_h5 *file, xn_record *r)
{
    char **texts;
    int64_t n;
    XN_TRY(xn_h5_read_strings(ctx, file, r->name, &texts, &n));
    r->hash = xn_hash_texts((const char *const *)texts, n);
    for (int64_t i = 0; i < n; i++) xn_free(texts[i]);
    xn_free(texts);
    return XANI_OK;
}

xani_status xn_hash_dataset(xn_ctx *ctx, const xn_h5 *file, xn_record *r)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, file, r->name, &info));
    if (info.is_group || info.type == XN_OTHER)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is not a dataset of numbers or text", xn_h5_path(file), r->name);
    r->type = info.type;
    r->rank = info.rank;
    memcpy(r->dims, info.dims, sizeof r->dims);
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = r->type == XN_STR ? hash_texts(ctx, file, r) : hash_numbers(ctx, file, r, &info);
    xn_hdf_leave(guard);
    return st;
}

// ---- all

static xani_status compare_one(xn_writer *w, const xn_h5 *file, xn_record *r)
{
    xn_record found = {.name = r->name, .partial = r->partial, .stoppable = w->check != NULL};
    xani_status st = xn_hash_dataset(w->ctx, file, &found);
    if (st == XANI_ERR_MEMORY || st == XANI_INTERRUPTED) return st;
    if (st == XANI_OK && found.hash == r->hash && found.type == r->type) return XANI_OK;
    if (st == XANI_OK)
        return xn_fail(w->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s differs when read back", w->path, r->name);
    char *why = xn_strdup(xani_error_text(w->ctx));
    xn_clear_error(w->ctx);
    st = xn_fail(w->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s cannot be read back: %s", w->path, r->name,
                 why ? why : "");
    xn_free(why);
    return st;
}

xani_status xn_writer_compare(xn_writer *w)
{
    xn_h5 *file = NULL;
    if (xn_io_check("read back", w->temporary) != 0) return xn_output_fail(w->ctx, w->path, errno);
    xani_status st = xn_h5_open(w->ctx, w->temporary, &file);
    if (st != XANI_OK && st != XANI_ERR_MEMORY) {
        const bool there = access(w->temporary, F_OK) == 0;
        xn_clear_error(w->ctx);
        return xn_fail(w->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s", w->path,
                       there ? "the file cannot be read back" : "its folder was removed meanwhile");
    }
    size_t n = w->n_records; // those of the check are of what it has read
    if (st == XANI_OK && w->check) st = w->check(w->ctx, file, w->check_user);
    for (size_t i = 0; i < n && st == XANI_OK; i++) st = compare_one(w, file, &w->record[i]);
    xn_h5_close(&file);
    return st;
}
