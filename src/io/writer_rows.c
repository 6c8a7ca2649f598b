// SPDX-License-Identifier: BSD-3-Clause
// writer_rows.c -- datasets written row by row along their slowest axis: chunks encoded on all cores, stored in order.
//
// The library would filter one chunk after the other under its lock.  Here each thread takes the next chunk out of the
// rows, encodes it by the dataset's own pipeline, and waits for its turn to hand the stored bytes over
// (H5Dwrite_chunk); so chunks lie in the file in their order whatever the number of threads, and equal data are equal
// bytes.  Chunks at an edge are filled up with zeros, which nobody reads.  What was handed over is known by the hash of
// the values, which reading back must give (writer_check.c).  The layout is that of raw detector files: no Fletcher32.
#include "io/writer_rows.h"

#include <omp.h>
#include <string.h>

#include "codec/encode.h"

static xani_status out_of_memory(xn_writer *w, const char *name, size_t bytes)
{
    return w->status = xn_fail_memory(w->ctx, name, bytes);
}

// ---- beginning

static bool set_filter(hid_t created, const xn_filter *f)
{
    switch (f->id) {
    case XN_FILTER_SHUFFLE:
        return H5Pset_shuffle(created) >= 0;
    case XN_FILTER_GZIP:
        return H5Pset_deflate(created, f->values[0]) >= 0;
    case XN_FILTER_FLETCHER32:
        return H5Pset_fletcher32(created) >= 0;
    default: { // bitshuffle puts its version and the size of an element before what it is given
        unsigned skip = f->id == XN_FILTER_BITSHUFFLE ? 3 : 0;
        xn_filter_make_available(f->id);
        return H5Pset_filter(created, f->id, H5Z_FLAG_MANDATORY, f->n_values - skip, f->values + skip) >= 0;
    }
    }
}

bool xn_rows_set_filters(hid_t created, const xn_pipeline *pipeline)
{
    for (int i = 0; i < pipeline->n; i++)
        if (!set_filter(created, &pipeline->filter[i])) return false;
    return true;
}

static bool stored_swapped(hid_t type)
{
    H5T_order_t order = H5Tget_order(type);
    return H5Tget_size(type) > 1 && order != H5Tget_order(H5T_NATIVE_INT) &&
           (order == H5T_ORDER_LE || order == H5T_ORDER_BE);
}

// What the dataset just made says about itself.
static xani_status describe(xn_writer *w, xn_record *r, xn_rows *rows)
{
    hid_t created = H5Dget_create_plist(rows->dataset), type = H5Dget_type(rows->dataset);
    hsize_t chunk[XANI_MAX_RANK];
    bool good = created >= 0 && type >= 0 && H5Pget_chunk(created, XANI_MAX_RANK, chunk) == r->rank;
    if (good) {
        xn_pipeline_get(created, &rows->pipeline);
        rows->swap = stored_swapped(type);
        rows->chunk_bytes = rows->elem = H5Tget_size(type);
        rows->row_bytes = rows->elem;
        rows->per_row = 1;
    }
    for (int k = 0; good && k < r->rank; k++) {
        rows->chunk[k] = (int64_t)chunk[k];
        rows->grid[k] = (r->dims[k] + rows->chunk[k] - 1) / rows->chunk[k];
        rows->chunk_bytes *= (size_t)chunk[k];
        if (k > 0) rows->row_bytes *= (size_t)r->dims[k];
        if (k > 0) rows->per_row *= rows->grid[k];
    }
    if (created >= 0) H5Pclose(created);
    if (type >= 0) H5Tclose(type);
    if (!good) return xn_writer_fail(w, r->name);
    rows->bound = xn_pipeline_bound(&rows->pipeline, rows->chunk_bytes);
    if (rows->bound == 0 || rows->chunk_bytes >> 32 != 0)
        return w->status =
                   xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: chunks that cannot be written", w->path, r->name);
    rows->hash = xn_value_hash_open(rows->elem, r->rank, r->dims);
    return rows->hash ? XANI_OK : out_of_memory(w, r->name, sizeof *rows);
}

xani_status xn_rows_open(xn_writer *w, xn_record *r, hid_t dataset, int threads)
{
    xn_rows *rows = xn_calloc(1, sizeof *rows);
    if (rows == NULL) {
        H5Dclose(dataset);
        return out_of_memory(w, r->name, sizeof *rows);
    }
    *rows = (xn_rows){.dataset = dataset, .threads = xn_threads(threads)};
    r->rows = rows;
    return describe(w, r, rows);
}

xani_status xn_rows_end(xn_writer *w, xn_record *r)
{
    xn_rows *rows = r->rows;
    if (rows->dataset < 0) return xn_writer_status(w);
    hid_t dataset = rows->dataset;
    rows->dataset = H5I_INVALID_HID;
    r->hash = rows->hash ? xn_value_hash_get(rows->hash) : 0;
    if (H5Dclose(dataset) < 0) xn_writer_fail(w, r->name);
    return xn_writer_status(w);
}

void xn_rows_free(xn_rows **rows)
{
    if (*rows == NULL) return;
    if ((*rows)->dataset >= 0) H5Dclose((*rows)->dataset);
    xn_value_hash_close(&(*rows)->hash);
    xn_codec_drain(&(*rows)->codecs);
    xn_free(*rows);
    *rows = NULL;
}

// ---- one chunk

static void copy_swapped(uint8_t *dst, const uint8_t *src, size_t n, size_t elem)
{
    for (size_t i = 0; i < n; i += elem)
        for (size_t k = 0; k < elem; k++) dst[i + k] = src[i + elem - 1 - k];
}

// The chunk at `at` (its first element; along axis 0 within the rows given, of which there are n) out of `values`.
static void gather(const xn_rows *rows, const xn_record *r, const int64_t *at, int64_t n, const uint8_t *values,
                   uint8_t *chunk)
{
    int last = r->rank - 1;
    int64_t count[XANI_MAX_RANK] = {0}, i[XANI_MAX_RANK] = {0};
    bool whole = true;
    for (int k = 0; k <= last; k++) {
        count[k] = xn_min64(rows->chunk[k], (k ? r->dims[k] : n) - at[k]);
        whole = whole && count[k] == rows->chunk[k];
    }
    if (!whole) memset(chunk, 0, rows->chunk_bytes);
    size_t line = (size_t)count[last] * rows->elem;
    for (;;) {
        size_t from = 0, to = 0;
        for (int k = 0; k <= last; k++) {
            from = (k ? from * (size_t)r->dims[k] : 0) + (size_t)(at[k] + i[k]);
            to = to * (size_t)rows->chunk[k] + (size_t)i[k];
        }
        if (rows->swap)
            copy_swapped(chunk + to * rows->elem, values + from * rows->elem, line, rows->elem);
        else
            memcpy(chunk + to * rows->elem, values + from * rows->elem, line);
        int k = last - 1;
        while (k >= 0 && ++i[k] == count[k]) i[k--] = 0;
        if (k < 0) return;
    }
}

// A chunk that is one piece of `values` already.
static bool in_one_piece(const xn_rows *rows, const xn_record *r, int64_t first, int64_t n)
{
    if (rows->swap || first + rows->chunk[0] > n) return false;
    for (int k = 1; k < r->rank; k++)
        if (rows->chunk[k] != r->dims[k]) return false;
    return true;
}

typedef struct {
    uint8_t *chunk, *stored; // room
    xn_codec *codec;
} room;

// Chunk number `index` of those of n rows. NULL, or what is wrong.
static const char *encode(const xn_rows *rows, const xn_record *r, int64_t index, int64_t n, const uint8_t *values,
                          room *m, const uint8_t **stored, size_t *bytes)
{
    int64_t at[XANI_MAX_RANK], rest = index % rows->per_row;
    at[0] = index / rows->per_row * rows->chunk[0];
    for (int k = r->rank - 1; k > 0; k--) {
        at[k] = rest % rows->grid[k] * rows->chunk[k];
        rest /= rows->grid[k];
    }
    const uint8_t *chunk = values + (size_t)at[0] * rows->row_bytes;
    if (!in_one_piece(rows, r, at[0], n)) {
        if (m->chunk == NULL) m->chunk = xn_alloc(rows->chunk_bytes, 1);
        if (m->chunk == NULL) return xn_codec_no_memory;
        gather(rows, r, at, n, values, m->chunk);
        chunk = m->chunk;
    }
    *stored = rows->pipeline.n ? m->stored : chunk;
    *bytes = rows->chunk_bytes;
    return rows->pipeline.n ? xn_pipeline_encode(m->codec, &rows->pipeline, chunk, rows->chunk_bytes, m->stored, bytes)
                            : NULL;
}

// Hands a chunk over; in turn.
static void put(xn_writer *w, const xn_record *r, int64_t index, const char *why, const uint8_t *stored, size_t bytes)
{
    const xn_rows *rows = r->rows;
    if (w->status != XANI_OK) return;
    if (why == xn_codec_no_memory) {
        out_of_memory(w, r->name, rows->bound);
        return;
    }
    if (why) {
        w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: %s", w->path, r->name, why);
        return;
    }
    hsize_t at[XANI_MAX_RANK];
    for (int k = r->rank - 1; k >= 0; k--) {
        int64_t along = k ? index % rows->grid[k] : index;
        at[k] = (hsize_t)(along * rows->chunk[k]);
        if (k) index /= rows->grid[k];
    }
    xn_hdf_guard guard = xn_hdf_enter();
    if (H5Dwrite_chunk(rows->dataset, H5P_DEFAULT, 0, at, bytes, stored) < 0) xn_writer_fail(w, r->name);
    xn_writer_status(w);
    xn_hdf_leave(guard);
}

// All chunks of n rows.
static void write_chunks(xn_writer *w, const xn_record *r, int64_t n, const uint8_t *values)
{
    xn_rows *rows = r->rows;
    int64_t before = rows->done / rows->chunk[0] * rows->per_row;
    int64_t count = (n + rows->chunk[0] - 1) / rows->chunk[0] * rows->per_row;
#pragma omp parallel num_threads(rows->threads) if (count > 1)
    {
        room m = {.codec = xn_codec_take(&rows->codecs)};
        if (rows->pipeline.n) m.stored = xn_alloc(rows->bound, 1);
        bool ready = m.codec && (m.stored || rows->pipeline.n == 0);
#pragma omp for ordered schedule(dynamic, 1)
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *stored = NULL;
            size_t bytes = 0;
            bool missing = rows->missing && rows->missing[before + i];
            const char *why = NULL;
            if (!missing) why = ready ? encode(rows, r, i, n, values, &m, &stored, &bytes) : xn_codec_no_memory;
#pragma omp ordered
            if (!missing) put(w, r, before + i, why, stored, bytes);
        }
        xn_free(m.chunk);
        xn_free(m.stored);
        xn_codec_give(&rows->codecs, &m.codec);
    }
}

xani_status xn_rows_put(xn_writer *w, xn_record *r, int64_t n, const void *values)
{
    xn_rows *rows = r->rows;
    if (w->status != XANI_OK) return w->status;
    bool last = rows->done + n == r->dims[0];
    if (n <= 0 || rows->done + n > r->dims[0] || (n % rows->chunk[0] != 0 && !last) || rows->dataset < 0)
        return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: %lld rows after %lld of %lld", w->path, r->name,
                                   (long long)n, (long long)rows->done, (long long)r->dims[0]);
    write_chunks(w, r, n, values);
    if (w->status == XANI_OK && !xn_value_hash_rows(rows->hash, values, n, rows->threads))
        return out_of_memory(w, r->name, (size_t)n * rows->row_bytes / 64);
    rows->done += n;
    return w->status;
}

// ---- for the simulator and whoever has rows of numbers

static hid_t properties(const xn_rows_layout *l, size_t elem)
{
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    if (created < 0) return created;
    hsize_t chunk[XANI_MAX_RANK] = {0};
    for (int k = 0; k < l->rank; k++) {
        int64_t whole = k ? l->dims[k] : 1;
        chunk[k] = (hsize_t)(l->chunk[k] > 0 ? xn_min64(l->chunk[k], l->dims[k]) : whole);
    }
    xn_pipeline pipeline;
    bool good = xn_pipeline_named(l->filter ? l->filter : "bslz4", l->level, elem, &pipeline);
    H5Pset_obj_track_times(created, false);
    H5Pset_fill_time(created, H5D_FILL_TIME_NEVER);
    good = good && H5Pset_chunk(created, l->rank, chunk) >= 0 && xn_rows_set_filters(created, &pipeline);
    if (good) return created;
    H5Pclose(created);
    return H5I_INVALID_HID;
}

static xani_status begin(xn_writer *w, xn_record *r, const xn_rows_layout *l)
{
    hid_t created = properties(l, xn_type_size(l->type));
    if (created < 0) return xn_writer_fail(w, r->name);
    hid_t dataset = xn_writer_dataset(w, r->name, xn_hdf_native(r->type), r->rank, r->dims, created);
    H5Pclose(created);
    return dataset < 0 ? w->status : xn_rows_open(w, r, dataset, l->threads);
}

xani_status xn_writer_rows_begin(xn_writer *w, const char *dataset, const xn_rows_layout *l)
{
    if (w->status != XANI_OK) return w->status;
    for (int k = 0; k < l->rank; k++)
        if (l->dims[k] <= 0)
            return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: rows without values", w->path, dataset);
    xn_record *r = xn_writer_record(w, dataset, l->type, l->rank, l->dims);
    if (r == NULL) return w->status;
    xn_hdf_guard guard = xn_hdf_enter();
    begin(w, r, l);
    xn_hdf_leave(guard);
    return xn_writer_status(w);
}

xani_status xn_writer_rows(xn_writer *w, const char *dataset, int64_t n, const void *values)
{
    if (w->status != XANI_OK) return w->status;
    if (dataset[0] == '/') dataset++;
    for (size_t i = w->n_records; i-- > 0;)
        if (w->record[i].rows && strcmp(w->record[i].name + 1, dataset) == 0)
            return xn_rows_put(w, &w->record[i], n, values);
    return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: rows of no dataset", w->path, dataset);
}
