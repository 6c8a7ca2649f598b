// SPDX-License-Identifier: BSD-3-Clause
// writer_data.c -- datasets and attributes of a file that is not yet published.  See publish.h.
//
// Each dataset is hashed from the caller's memory before the library sees it.  Layout RESULT: chunks of about
// 1 MiB unless given, shuffle + gzip(4) above 64 KiB, Fletcher32; large ones are encoded on all cores (writer_rows.c).
// Scalars and empty arrays cannot be chunked and carry no checksum of their own; the manifest covers them.  Layout
// PLAIN: contiguous.
//
// Text datasets are of fixed length, UTF-8, NUL-padded: strings of variable length lie in a heap that
// Fletcher32 does not cover.  Text attributes are of variable length, as h5py writes and viewers expect.
#include <stdio.h>
#include <string.h>

#include "io/write/writer_rows.h"

enum { COMPRESS_ABOVE = 64 << 10, CHUNK_BYTES = 1 << 20, ALL_CORES_ABOVE = 2 << 20, GZIP = 4 };

// Whole trailing axes, and as much of the slowest ones as fits.
static void choose_chunk(int rank, const int64_t *dims, size_t elem, hsize_t *chunk)
{
    int64_t bytes = (int64_t)elem;
    for (int i = rank - 1; i >= 0; i--) {
        chunk[i] = (hsize_t)xn_max64(1, xn_min64(dims[i], CHUNK_BYTES / xn_min64(bytes, CHUNK_BYTES)));
        bytes *= (int64_t)chunk[i];
    }
}

static hid_t data_properties(const xn_writer *w, int rank, const int64_t *dims, const int64_t *chunk, size_t elem)
{
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    if (created < 0) return created;
    H5Pset_obj_track_times(created, false);
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    if (rank == 0 || n == 0 || w->layout != XN_LAYOUT_RESULT) return created;
    hsize_t size[XANI_MAX_RANK];
    choose_chunk(rank, dims, elem, size);
    for (int i = 0; chunk && i < rank; i++) size[i] = (hsize_t)xn_max64(1, xn_min64(chunk[i], dims[i]));
    H5Pset_chunk(created, rank, size);
    if ((size_t)n > COMPRESS_ABOVE / elem) {
        H5Pset_shuffle(created);
        H5Pset_deflate(created, GZIP);
    }
    H5Pset_fletcher32(created);
    return created;
}

// Creates, writes and closes; checks every return.
static xani_status write_whole(xn_writer *w, const char *name, hid_t stored, hid_t memory, int rank,
                               const int64_t *dims, const int64_t *chunk, const void *data)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    hid_t created = data_properties(w, rank, dims, chunk, H5Tget_size(memory));
    hid_t dataset = created < 0 ? created : xn_writer_dataset(w, name, stored, rank, dims, created);
    if (dataset >= 0) {
        if (n > 0 && H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) xn_writer_fail(w, name);
        if (H5Dclose(dataset) < 0) xn_writer_fail(w, name);
    } else {
        xn_writer_fail(w, name);
    }
    if (created >= 0) H5Pclose(created);
    return xn_writer_status(w);
}

// The same dataset, chunk by chunk.
static void write_rows(xn_writer *w, xn_record *r, const int64_t *chunk, const void *data)
{
    hid_t created = data_properties(w, r->rank, r->dims, chunk, xn_type_size(r->type));
    hid_t dataset =
        created < 0 ? created : xn_writer_dataset(w, r->name, xn_hdf_native(r->type), r->rank, r->dims, created);
    if (created >= 0) H5Pclose(created);
    if (dataset < 0)
        xn_writer_fail(w, r->name);
    else if (xn_rows_open(w, r, dataset, 0) == XANI_OK && xn_rows_put(w, r, r->dims[0], data) == XANI_OK)
        xn_rows_end(w, r);
}

xani_status xn_writer_data(xn_writer *w, const char *dataset, xn_type type, int rank, const int64_t *dims,
                           const int64_t *chunk, const void *data)
{
    if (w->status != XANI_OK) return w->status;
    if (xn_type_size(type) == 0 || rank < 0 || rank > XANI_MAX_RANK)
        return w->status = xn_fail(w->ctx, XANI_ERR_INTERNAL, "%s: %s: type %s and %d axes cannot be written", w->path,
                                   dataset, xn_type_name(type), rank);
    xn_record *r = xn_writer_record(w, dataset, type, rank, dims);
    if (r == NULL) return w->status;
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    xn_hdf_guard guard = xn_hdf_enter();
    if (w->layout == XN_LAYOUT_RESULT && n > ALL_CORES_ABOVE / (int64_t)xn_type_size(type)) {
        write_rows(w, r, chunk, data);
        xn_hdf_leave(guard);
        return w->status;
    }
    r->hash = xn_hash_values(data, type, rank, dims);
    write_whole(w, r->name, xn_hdf_native(type), xn_hdf_native(type), rank, dims, chunk, data);
    xn_hdf_leave(guard);
    return w->status;
}

static hid_t text_type(size_t size) // H5T_VARIABLE or bytes
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0) return type;
    H5Tset_size(type, size);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (size != H5T_VARIABLE) H5Tset_strpad(type, H5T_STR_NULLPAD);
    return type;
}

static xani_status write_texts(xn_writer *w, const char *dataset, const char *const *texts, int rank, int64_t n)
{
    if (w->status != XANI_OK) return w->status;
    size_t longest = 1;
    for (int64_t i = 0; i < n; i++) longest = (size_t)xn_max64((int64_t)longest, (int64_t)strlen(texts[i]));
    xn_record *r = xn_writer_record(w, dataset, XN_STR, rank, &n);
    char *fields = xn_calloc((size_t)xn_max64(n, 1), longest);
    if (r && fields == NULL) w->status = xn_fail_memory(w->ctx, dataset, (size_t)n * longest);
    if (r && fields) {
        for (int64_t i = 0; i < n; i++) memcpy(fields + (size_t)i * longest, texts[i], strlen(texts[i]));
        r->hash = xn_hash_texts(texts, n);
        xn_hdf_guard guard = xn_hdf_enter();
        hid_t type = text_type(longest);
        if (type < 0)
            xn_writer_fail(w, dataset);
        else
            write_whole(w, r->name, type, type, rank, &n, NULL, fields);
        if (type >= 0) H5Tclose(type);
        xn_hdf_leave(guard);
    }
    xn_free(fields);
    return w->status;
}

xani_status xn_writer_text(xn_writer *w, const char *dataset, const char *text)
{
    return write_texts(w, dataset, &text, 0, 1);
}

xani_status xn_writer_texts(xn_writer *w, const char *dataset, const char *const *texts, int64_t n)
{
    return write_texts(w, dataset, texts, 1, n);
}

// ---- attributes; n < 0: scalar. An attribute that is there is replaced.

static xani_status write_attr(xn_writer *w, const char *object, const char *name, hid_t type, int n, const void *data)
{
    if (w->status != XANI_OK) return w->status;
    hsize_t count = n < 0 ? 1 : (hsize_t)n;
    const char *on = object[0] ? object : "/";
    hid_t space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, NULL);
    if (H5Aexists_by_name(w->file, on, name, H5P_DEFAULT) > 0) H5Adelete_by_name(w->file, on, name, H5P_DEFAULT);
    hid_t attr = H5Acreate_by_name(w->file, on, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, type, data) < 0) xn_writer_fail(w, on);
    if (attr >= 0 && H5Aclose(attr) < 0) xn_writer_fail(w, on);
    if (space >= 0) H5Sclose(space);
    return xn_writer_status(w);
}

static xani_status write_text_attr(xn_writer *w, const char *object, const char *name, const char *const *texts, int n)
{
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t type = text_type(H5T_VARIABLE);
    xani_status st = write_attr(w, object, name, type, n, texts);
    if (type >= 0) H5Tclose(type);
    xn_hdf_leave(guard);
    return st;
}

xani_status xn_writer_attr_text(xn_writer *w, const char *object, const char *name, const char *text)
{
    return write_text_attr(w, object, name, &text, -1);
}

xani_status xn_writer_attr_texts(xn_writer *w, const char *object, const char *name, const char *const *texts, int n)
{
    return write_text_attr(w, object, name, texts, n);
}

static xani_status write_number_attr(xn_writer *w, const char *object, const char *name, xn_type type, const void *v,
                                     int n)
{
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = write_attr(w, object, name, xn_hdf_native(type), n == 0 ? -1 : n, v);
    xn_hdf_leave(guard);
    return st;
}

xani_status xn_writer_attr_f64(xn_writer *w, const char *object, const char *name, const double *v, int n)
{
    return write_number_attr(w, object, name, XN_F64, v, n);
}

xani_status xn_writer_attr_i64(xn_writer *w, const char *object, const char *name, const int64_t *v, int n)
{
    return write_number_attr(w, object, name, XN_I64, v, n);
}
