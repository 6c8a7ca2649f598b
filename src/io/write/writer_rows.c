// SPDX-License-Identifier: BSD-3-Clause
// writer_rows.c -- datasets written row by row along their slowest axis: chunks encoded on all cores, stored in order.
//
// The library would filter one chunk after the other under its lock.  Here each thread takes the next chunk out of the
// rows, encodes it by the dataset's own pipeline, and waits for its turn to hand the stored bytes over
// (H5Dwrite_chunk); so chunks lie in the file in their order whatever the number of threads, and equal data are equal
// bytes.  Chunks at an edge are filled up with zeros, which nobody reads.  What was handed over is known by the hash of
// the values, which reading back must give (writer_check.c).  The layout is that of raw detector files: no Fletcher32.
#include "io/write/writer_rows.h"

#include <string.h>

#include "codec/encode.h"

typedef struct xn_rows_work xn_rows_work;
static void stop(xn_rows *rows);

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
    rows->whole_rows = r->rank > 1;
    for (int k = 1; k < r->rank; k++) rows->whole_rows = rows->whole_rows && rows->chunk[k] == r->dims[k];
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
    stop(rows);
    if (H5Dclose(dataset) < 0) xn_writer_fail(w, r->name);
    return xn_writer_status(w);
}

void xn_rows_free(xn_rows **rows)
{
    if (*rows == NULL) return;
    if ((*rows)->dataset >= 0) H5Dclose((*rows)->dataset);
    stop(*rows);
    xn_value_hash_close(&(*rows)->hash);
    xn_free((*rows)->line);
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

// ---- the team's work

typedef struct {
    xn_codec *codec;
    uint8_t *chunk; // taken out of the rows
} worker;

typedef struct {
    uint8_t *room;         // of a stored chunk
    const uint8_t *stored; // there, or where the rows lie; NULL: missing
    size_t bytes;
    const char *why;
} slot;

// What a team works on.
struct xn_rows_work {
    xn_writer *w;
    xn_record *r;
    worker *worker;
    slot *slot;
    const uint8_t *values; // the rows at hand, n of them
    int64_t n, before;     // chunks before them
};

// Chunk number `index` of the rows at hand to slot s. NULL, or what is wrong.
static const char *encode(const xn_rows_work *k, int64_t index, worker *m, slot *s)
{
    const xn_rows *rows = k->r->rows;
    int64_t at[XANI_MAX_RANK], rest = index % rows->per_row;
    at[0] = index / rows->per_row * rows->chunk[0];
    for (int i = k->r->rank - 1; i > 0; i--) {
        at[i] = rest % rows->grid[i] * rows->chunk[i];
        rest /= rows->grid[i];
    }
    const uint8_t *chunk = k->values + (size_t)at[0] * rows->row_bytes;
    if (rows->whole_rows)
        xn_value_hash_lines(rows->hash, chunk, xn_min64(rows->chunk[0], k->n - at[0]),
                            rows->line + xn_value_hash_lines_of(rows->hash, at[0]));
    if (rows->missing && rows->missing[k->before + index]) return s->stored = NULL, NULL;
    if (rows->swap || !rows->whole_rows || at[0] + rows->chunk[0] > k->n) {
        if (m->chunk == NULL) m->chunk = xn_alloc(rows->chunk_bytes, 1);
        if (m->chunk == NULL) return xn_codec_no_memory;
        gather(rows, k->r, at, k->n, k->values, m->chunk);
        chunk = m->chunk;
    }
    bool borrowed = rows->pipeline.n == 0 && chunk != m->chunk;
    s->stored = chunk;
    s->bytes = rows->chunk_bytes;
    if (borrowed) return NULL;
    if (s->room == NULL) s->room = xn_alloc(rows->bound, 1);
    if (m->codec == NULL) m->codec = xn_codec_open();
    if (s->room == NULL || m->codec == NULL) return xn_codec_no_memory;
    s->stored = s->room;
    return xn_pipeline_encode(m->codec, &rows->pipeline, chunk, rows->chunk_bytes, s->room, &s->bytes);
}

static void make(void *user, int number, int at, int64_t piece)
{
    xn_rows_work *k = user;
    k->slot[at].why = encode(k, piece, &k->worker[number], &k->slot[at]);
}

// Hands a chunk over; in turn.
static void give(void *user, int at, int64_t piece)
{
    xn_rows_work *k = user;
    const xn_rows *rows = k->r->rows;
    const slot *s = &k->slot[at];
    xn_writer *w = k->w;
    if (w->status != XANI_OK || (s->why == NULL && s->stored == NULL)) return;
    if (s->why == xn_codec_no_memory) {
        out_of_memory(w, k->r->name, rows->bound);
        return;
    }
    if (s->why) {
        w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: %s", w->path, k->r->name, s->why);
        return;
    }
    hsize_t offset[XANI_MAX_RANK];
    int64_t index = k->before + piece;
    for (int i = k->r->rank - 1; i >= 0; i--) {
        int64_t along = i ? index % rows->grid[i] : index;
        offset[i] = (hsize_t)along * (hsize_t)rows->chunk[i];
        if (i) index /= rows->grid[i];
    }
    xn_hdf_guard guard = xn_hdf_enter();
    if (H5Dwrite_chunk(rows->dataset, H5P_DEFAULT, 0, offset, s->bytes, s->stored) < 0) xn_writer_fail(w, k->r->name);
    xn_writer_status(w);
    xn_hdf_leave(guard);
}

static bool start(xn_writer *w, xn_record *r)
{
    xn_rows *rows = r->rows;
    xn_rows_work *k = xn_calloc(1, sizeof *k);
    if (k == NULL) return false;
    *k = (xn_rows_work){.w = w, .r = r};
    rows->work = k;
    rows->team = xn_team_open(rows->threads, make, give, k);
    if (rows->team == NULL) return false;
    k->worker = xn_calloc((size_t)xn_team_threads(rows->team), sizeof *k->worker);
    k->slot = xn_calloc((size_t)xn_team_slots(rows->team), sizeof *k->slot);
    return k->worker && k->slot;
}

static void stop(xn_rows *rows)
{
    xn_rows_work *k = rows->work;
    if (k == NULL) return;
    int threads = rows->team ? xn_team_threads(rows->team) : 0, slots = rows->team ? xn_team_slots(rows->team) : 0;
    xn_team_close(&rows->team);
    for (int i = 0; k->worker && i < threads; i++) {
        xn_codec_close(&k->worker[i].codec);
        xn_free(k->worker[i].chunk);
    }
    for (int i = 0; k->slot && i < slots; i++) xn_free(k->slot[i].room);
    xn_free(k->worker);
    xn_free(k->slot);
    xn_free(k);
    rows->work = NULL;
}

// ---- rows

static bool make_room(xn_rows *rows, int64_t n)
{
    size_t lines = (size_t)xn_value_hash_lines_of(rows->hash, n);
    if (!rows->whole_rows || lines <= rows->line_room) return true;
    xn_free(rows->line);
    rows->line = xn_alloc(lines, sizeof *rows->line);
    rows->line_room = rows->line ? lines : 0;
    return rows->line != NULL;
}

xani_status xn_rows_put(xn_writer *w, xn_record *r, int64_t n, const void *values)
{
    xn_rows *rows = r->rows;
    if (w->status != XANI_OK) return w->status;
    bool last = rows->done + n == r->dims[0];
    if (n <= 0 || rows->done + n > r->dims[0] || (n % rows->chunk[0] != 0 && !last) || rows->dataset < 0)
        return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: %lld rows after %lld of %lld", w->path, r->name,
                                   (long long)n, (long long)rows->done, (long long)r->dims[0]);
    if ((rows->team == NULL && !start(w, r)) || !make_room(rows, n)) return out_of_memory(w, r->name, rows->bound);
    rows->work->r = r; // the list of records may have moved
    rows->work->values = values;
    rows->work->n = n;
    rows->work->before = rows->done / rows->chunk[0] * rows->per_row;
    xn_team_run(rows->team, (n + rows->chunk[0] - 1) / rows->chunk[0] * rows->per_row);
    bool hashed = true;
    if (rows->whole_rows)
        xn_value_hash_chain(rows->hash, rows->line, xn_value_hash_lines_of(rows->hash, n));
    else
        hashed = xn_value_hash_rows(rows->hash, values, n, rows->threads);
    if (w->status == XANI_OK && !hashed) return out_of_memory(w, r->name, (size_t)n * rows->row_bytes / 64);
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
