// SPDX-License-Identifier: BSD-3-Clause
// repack_rows.c -- datasets whose rows are written anew.
//
// Numbers: batches of rows, read and decoded ahead by a thread of the engine's while the batch before is encoded and
// written; both work on all cores, and memory stays below a few batches.  The stored type, also its byte order, is that
// of the input.  Anything else (texts, compounds, small columns) goes through the library, a few rows at a time.
#include <string.h>

#include "codec/encode.h"
#include "io/batches.h"
#include "io/index/virtual.h"
#include "io/repack/repack_parts.h"

enum { BATCH_LEAST = 32 << 20, BATCH_MOST = 256 << 20, PART_BYTES = 16 << 20 };

// ---- the dataset in the output

// Fill value and what belongs to attributes; no layout, no filters.
static hid_t properties_like(hid_t from, hid_t type)
{
    hid_t old = H5Dget_create_plist(from), created = H5Pcreate(H5P_DATASET_CREATE);
    H5D_fill_value_t fill;
    H5D_fill_time_t when;
    unsigned order = 0;
    bool good = old >= 0 && created >= 0 && H5Pset_obj_track_times(created, false) >= 0;
    if (good && H5Pfill_value_defined(old, &fill) >= 0 && fill == H5D_FILL_VALUE_USER_DEFINED) {
        void *value = xn_calloc(1, H5Tget_size(type));
        good = value && H5Pget_fill_value(old, type, value) >= 0 && H5Pset_fill_value(created, type, value) >= 0;
        xn_free(value);
    }
    if (good && H5Pget_fill_time(old, &when) >= 0) H5Pset_fill_time(created, when);
    if (good && H5Pget_attr_creation_order(old, &order) >= 0) H5Pset_attr_creation_order(created, order);
    if (old >= 0) H5Pclose(old);
    if (good) return created;
    if (created >= 0) H5Pclose(created);
    return H5I_INVALID_HID;
}

static hid_t make_space(const xn_repack_item *it)
{
    hsize_t dims[XANI_MAX_RANK], most[XANI_MAX_RANK];
    for (int k = 0; k < it->rank; k++) {
        dims[k] = (hsize_t)it->out[k];
        most[k] = it->how == XN_REPACK_VIRTUAL ? dims[k] : it->most[k] < 0 ? H5S_UNLIMITED : (hsize_t)it->most[k];
    }
    return it->rank ? H5Screate_simple(it->rank, dims, most) : H5Screate(H5S_SCALAR);
}

static bool set_layout(xn_repack_job *job, const xn_repack_item *it, hid_t created)
{
    hsize_t chunk[XANI_MAX_RANK];
    bool anew = it->how == XN_REPACK_CHUNKS, chunked = anew;
    if (it->how == XN_REPACK_VIRTUAL) return xn_repack_mappings(job, it, created);
    for (int k = 0; k < it->rank; k++) {
        chunked = chunked || it->stored[k] > 0 || it->most[k] != it->out[k];
        int64_t size = anew ? it->chunk[k] : it->stored[k] > 0 ? it->stored[k] : xn_min64(it->out[k], 1024);
        if (it->most[k] >= 0) size = xn_min64(size, it->most[k]);
        chunk[k] = (hsize_t)xn_max64(1, size);
    }
    if (!chunked) return true;
    if (H5Pset_chunk(created, it->rank, chunk) < 0) return false;
    xn_pipeline pipeline;
    xn_pipeline_named(job->options->filter, job->options->level, xn_type_size(it->type), &pipeline);
    return !anew || xn_rows_set_filters(created, &pipeline);
}

hid_t xn_repack_make(xn_repack_job *job, const xn_repack_item *it, hid_t from)
{
    const xn_node *node = it->node;
    hid_t type = H5Dget_type(from), stored = type < 0 ? type : xn_repack_type(job, type);
    hid_t created = stored < 0 ? stored : properties_like(from, type), space = make_space(it);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), dataset = H5I_INVALID_HID;
    if (links >= 0) H5Pset_char_encoding(links, node->names);
    if (created >= 0 && space >= 0 && links >= 0 && set_layout(job, it, created))
        dataset = H5Dcreate2(job->writer->file, node->path, stored, space, links, created, H5P_DEFAULT);
    if (dataset < 0)
        xn_repack_fail(job, node->path);
    else if (xn_repack_attributes(job, from, dataset, node->path) != XANI_OK)
        H5Dclose(dataset), dataset = H5I_INVALID_HID;
    if (links >= 0) H5Pclose(links);
    if (space >= 0) H5Sclose(space);
    if (created >= 0) H5Pclose(created);
    if (stored >= 0) H5Tclose(stored);
    if (type >= 0) H5Tclose(type);
    return dataset;
}

// ---- numbers

// Whole chunks of the output, and of the input where that fits.
static int64_t batch_rows(const xn_repack_item *it, const xn_array_info *info)
{
    int64_t row = (int64_t)xn_type_size(it->type), chunk = it->chunk[0], tile = xn_max64(1, info->tile[0]);
    for (int k = 1; k < it->rank; k++) row *= it->out[k];
    int64_t step = chunk;
    while (step % tile != 0 && step < tile * chunk) step += chunk; // least common multiple
    if (step * row > BATCH_MOST) step = chunk * xn_max64(1, (tile + chunk - 1) / chunk);
    if (step * row > BATCH_MOST) step = chunk * xn_max64(1, BATCH_MOST / row / chunk);
    int64_t rows = step * xn_max64(1, BATCH_LEAST / row / step);
    return xn_min64(rows, (it->out[0] + chunk - 1) / chunk * chunk);
}

static xani_status pump(xn_repack_job *job, const xn_repack_item *it, xn_array *array, xn_record *r)
{
    xn_selection all;
    xn_selection_all(array, &all);
    all.start[0] = it->first;
    all.count[0] = it->out[0];
    int64_t row = it->bytes / it->out[0];
    xn_batches *batches = NULL;
    xn_batch batch;
    xani_status st = xn_batches_open(job->ctx, array, &all, it->type, batch_rows(it, xn_array_get_info(array)), 1,
                                     job->threads, &batches);
    while (st == XANI_OK) {
        st = xn_batches_next(job->ctx, batches, &batch);
        if (st != XANI_OK || batch.data == NULL || batch.rows == 0) break;
        XN_GOTO(out, st, xn_check_interrupt(job->ctx));
        XN_GOTO(out, st, xn_rows_put(job->writer, r, batch.rows, batch.data));
        job->done += batch.rows * row;
        xn_progress(job->ctx, "repack", job->done, job->total, "bytes");
    }
out:
    xn_batches_close(&batches);
    return st;
}

xani_status xn_repack_chunks(xn_repack_job *job, const xn_repack_item *it)
{
    const char *path = it->node->path;
    hid_t from, dataset;
    XN_TRY(xn_h5_dataset(job->ctx, job->file, path, &from));
    xn_array *array = NULL;
    const xn_array_options how = {.threads = job->threads, .fill = it->missing != NULL};
    xani_status st = xn_array_open(job->ctx, job->inputs, it->along ? job->n_inputs : 1, path, &how, &array);
    dataset = st == XANI_OK ? xn_repack_make(job, it, from) : H5I_INVALID_HID;
    H5Dclose(from);
    if (dataset >= 0) {
        xn_record *r = xn_writer_record(job->writer, path, it->type, it->rank, it->out);
        if (r) {
            r->partial = it->missing != NULL;
            st = xn_rows_open(job->writer, r, dataset, job->threads);
            if (st == XANI_OK) r->rows->missing = it->missing;
        } else {
            H5Dclose(dataset);
            st = job->writer->status;
        }
        if (st == XANI_OK) st = pump(job, it, array, r);
        if (st == XANI_OK) st = xn_rows_end(job->writer, r);
    } else if (st == XANI_OK) {
        st = job->writer->status != XANI_OK ? job->writer->status : XANI_ERR_OUTPUT;
    }
    xn_array_close(&array);
    return st;
}

// ---- anything

typedef struct {
    hid_t type, to, space; // of the output
    void *values;
    int64_t part, per_row, at; // rows at once, values of a row, next row of the output
} copier;

static bool copy_part(const xn_repack_item *it, copier *c, hid_t from, hid_t space, int64_t first, int64_t n)
{
    hsize_t start[XANI_MAX_RANK] = {0}, count[XANI_MAX_RANK], all = (hsize_t)n * (hsize_t)c->per_row;
    for (int k = 0; k < it->rank; k++) count[k] = (hsize_t)it->out[k];
    start[0] = (hsize_t)first;
    count[0] = (hsize_t)n;
    hid_t memory = H5Screate_simple(1, &all, NULL);
    bool good = memory >= 0, read = false;
    if (it->rank) good = good && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
    start[0] = (hsize_t)c->at;
    if (it->rank) good = good && H5Sselect_hyperslab(c->space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
    good = good && (read = H5Dread(from, c->type, memory, space, H5P_DEFAULT, c->values) >= 0);
    if (good && xn_type_references(c->type)) memset(c->values, 0, (size_t)all * H5Tget_size(c->type)); // second pass
    good = good && H5Dwrite(c->to, c->type, memory, c->space, H5P_DEFAULT, c->values) >= 0;
    if (read && xn_type_indirect(c->type) && !xn_type_references(c->type))
        H5Dvlen_reclaim(c->type, memory, H5P_DEFAULT, c->values);
    if (memory >= 0) H5Sclose(memory);
    c->at += n;
    return good;
}

// Rows first ... last - 1 of one input.
static xani_status copy_rows(xn_repack_job *job, const xn_repack_item *it, copier *c, const xn_h5 *file, int64_t first,
                             int64_t last)
{
    hid_t from;
    XN_TRY(xn_h5_dataset(job->ctx, file, it->node->path, &from));
    hid_t space = H5Dget_space(from);
    xani_status st = xn_h5_complete(job->ctx, file, it->node->path, from);
    for (int64_t i = first; st == XANI_OK && i < last; i += c->part) {
        XN_GOTO(out, st, xn_check_interrupt(job->ctx));
        int64_t n = xn_min64(c->part, last - i);
        if (!copy_part(it, c, from, space, i, n)) st = xn_repack_fail(job, it->node->path);
    }
out:
    if (space >= 0) H5Sclose(space);
    H5Dclose(from);
    return st;
}

static xani_status copy_inputs(xn_repack_job *job, const xn_repack_item *it, copier *c)
{
    int64_t begin = 0; // of the input, in rows of all
    if (!it->along) return copy_rows(job, it, c, job->file, 0, it->rank ? it->out[0] : 1);
    for (int i = 0; i < job->n_inputs; begin += job->rows[i++]) {
        int64_t first = xn_max64(job->first - begin, 0), last = xn_min64(job->last - begin, job->rows[i]);
        if (first >= last) continue;
        xn_h5 *other = NULL;
        if (i > 0) XN_TRY(xn_h5_open(job->ctx, job->inputs[i], &other));
        xani_status st = copy_rows(job, it, c, i ? other : job->file, first, last);
        xn_h5_close(&other);
        XN_TRY(st);
    }
    return XANI_OK;
}

xani_status xn_repack_rows(xn_repack_job *job, const xn_repack_item *it)
{
    hid_t from;
    XN_TRY(xn_h5_dataset(job->ctx, job->file, it->node->path, &from));
    copier c = {.type = H5Dget_type(from), .to = xn_repack_make(job, it, from), .per_row = 1};
    H5Dclose(from);
    for (int k = 1; k < it->rank; k++) c.per_row *= it->out[k];
    size_t row = (size_t)c.per_row * (c.type < 0 ? 1 : H5Tget_size(c.type));
    c.part = xn_max64(1, PART_BYTES / (int64_t)xn_max64((int64_t)row, 1));
    xani_status st = job->writer->status;
    if (st == XANI_OK && (c.to < 0 || c.type < 0)) st = XANI_ERR_OUTPUT; // attributes of the input
    if (st == XANI_OK && row > 0) {
        c.part = xn_min64(c.part, it->rank ? it->out[0] : 1);
        c.values = xn_calloc((size_t)c.part, row);
        c.space = H5Dget_space(c.to);
        st = c.values && c.space >= 0 ? copy_inputs(job, it, &c) : xn_fail_memory(job->ctx, it->node->path, row);
        if (c.space >= 0) H5Sclose(c.space);
        xn_free(c.values);
    }
    if (c.to >= 0 && H5Dclose(c.to) < 0 && st == XANI_OK) st = xn_repack_fail(job, it->node->path);
    if (c.type >= 0) H5Tclose(c.type);
    job->done += it->bytes;
    return st;
}
