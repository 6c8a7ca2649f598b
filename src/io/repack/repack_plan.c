// SPDX-License-Identifier: BSD-3-Clause
// repack_plan.c -- what becomes of each dataset is decided before anything is written.
//
// Numbers of 1 MiB and more are stored anew, and so is what lies in other files (virtual, external) or in very many
// chunks; the rest stays as it is.  A chunk is one row of the slowest axis (a frame) where that has 1 to 16 MiB,
// several small ones together (about 2 MiB), or equal parts of a large one, cut along its slowest axes.  A dataset with
// chunks that were never written keeps its chunks, so that they stay missing.  Where frames are cut or joined, the
// largest of these datasets leads: every dataset that has as many rows in every input goes with it.
#include <fcntl.h>
#include <string.h>

#include "io/index/virtual.h"
#include "io/repack/repack_parts.h"

enum { LARGE = 1 << 20, AIM = 2 << 20, MOST = 16 << 20 };

static bool plain_numbers(hid_t type, xn_type known)
{
    return known != XN_STR && known != XN_OTHER && xn_hdf_type_plain(type);
}

// ---- what is there

static void describe_layout(hid_t dataset, xn_repack_item *it)
{
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return;
    hsize_t chunk[H5S_MAX_RANK];
    H5D_layout_t layout = H5Pget_layout(created);
    it->foreign = layout == H5D_VIRTUAL || H5Pget_external_count(created) > 0;
    it->crumbled = xn_hdf_many_chunks(dataset);
    if (layout == H5D_CHUNKED && H5Pget_chunk(created, H5S_MAX_RANK, chunk) == it->rank)
        for (int k = 0; k < it->rank; k++) it->stored[k] = (int64_t)chunk[k];
    H5Pclose(created);
}

// More axes than xani reads: it is copied, whatever it holds. False: not one of these.
static bool describe_deep(hid_t dataset, hid_t type, hid_t space, xn_repack_item *it)
{
    hsize_t dims[H5S_MAX_RANK];
    int axes = H5Sget_simple_extent_dims(space, dims, NULL);
    if (axes <= XANI_MAX_RANK) return false;
    describe_layout(dataset, it);
    if (it->foreign) return false; // its values would have to be read
    hssize_t points = H5Sget_simple_extent_npoints(space);
    it->type = XN_OTHER;
    it->axes = axes;
    for (int k = 0; k < axes; k++) it->extent[k] = (int64_t)dims[k];
    it->stored_bytes = (int64_t)H5Dget_storage_size(dataset);
    if (points < 0 || __builtin_mul_overflow(points, (int64_t)H5Tget_size(type), &it->bytes))
        it->bytes = it->stored_bytes;
    return true;
}

static xani_status describe(xn_repack_job *job, const xn_h5 *file, hid_t dataset, xn_repack_item *it)
{
    const char *path = it->node->path;
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    int64_t size = 0;
    hsize_t dims[H5S_MAX_RANK], most[H5S_MAX_RANK];
    xani_status st = type < 0 || space < 0 ? xn_h5_fail(job->ctx, file, path, "cannot be described") : XANI_OK;
    bool deep = st == XANI_OK && describe_deep(dataset, type, space, it);
    if (st == XANI_OK && !deep) st = xn_h5_shape(job->ctx, file, path, space, &it->rank, it->dims, &size);
    if (st == XANI_OK && !deep && H5Sget_simple_extent_dims(space, dims, most) == it->rank) {
        for (int k = 0; k < it->rank; k++) it->most[k] = most[k] == H5S_UNLIMITED ? -1 : (int64_t)most[k];
        memcpy(it->out, it->dims, sizeof it->out);
        it->type = xn_hdf_type(type);
        if (!plain_numbers(type, it->type) && it->type != XN_STR) it->type = XN_OTHER;
        it->bytes = size * (int64_t)H5Tget_size(type);
        it->stored_bytes = (int64_t)H5Dget_storage_size(dataset);
        describe_layout(dataset, it);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return st;
}

static xani_status describe_all(xn_repack_job *job)
{
    job->item = xn_calloc((size_t)job->tree.n, sizeof *job->item);
    if (job->item == NULL) return xn_fail_memory(job->ctx, "the list of datasets", (size_t)job->tree.n);
    for (int64_t i = 0; i < job->tree.n; i++) {
        const xn_node *node = &job->tree.node[i];
        if (node->kind != XN_NODE_DATASET) continue;
        xn_repack_item *it = &job->item[job->n_items++];
        it->node = node;
        hid_t dataset;
        XN_TRY(xn_h5_dataset(job->ctx, job->file, node->path, &dataset));
        xani_status st = describe(job, job->file, dataset, it);
        H5Oclose(dataset);
        XN_TRY(st);
    }
    return XANI_OK;
}

// ---- which

static bool numbers(const xn_repack_item *it) { return it->type != XN_STR && it->type != XN_OTHER && it->rank > 0; }

static xn_repack_item *item_of(xn_repack_job *job, const char *name)
{
    hid_t object = H5Oopen(job->file->id, name, H5P_DEFAULT);
    const xn_node *node = object < 0 ? NULL : xn_tree_at(&job->tree, xn_object_address(object));
    if (object >= 0) H5Oclose(object);
    for (int64_t i = 0; node && i < job->n_items; i++)
        if (job->item[i].node == node) return &job->item[i];
    return NULL;
}

static xani_status choose_datasets(xn_repack_job *job)
{
    const xani_repack_options *o = job->options;
    for (size_t i = 0; i < o->n_datasets; i++) {
        xn_repack_item *it = item_of(job, o->datasets[i]);
        if (it == NULL)
            return xn_fail(job->ctx, XANI_ERR_INPUT, "%s: %s: no such dataset", job->file->path, o->datasets[i]);
        if (!numbers(it) || it->bytes == 0)
            return xn_fail(job->ctx, XANI_ERR_INPUT, "%s: %s: has no numbers that could be stored anew",
                           job->file->path, o->datasets[i]);
        it->how = XN_REPACK_CHUNKS;
    }
    for (int64_t i = 0; i < job->n_items; i++) {
        xn_repack_item *it = &job->item[i];
        bool stored = it->foreign || it->stored_bytes > 0;
        if (it->how == XN_REPACK_CHUNKS) continue;
        bool worth = it->foreign || (o->n_datasets == 0 && (it->bytes >= LARGE || it->crumbled));
        if (numbers(it) && it->bytes > 0 && stored && worth)
            it->how = XN_REPACK_CHUNKS;
        else if (it->foreign && it->bytes > 0)
            it->how = XN_REPACK_ROWS;
    }
    return XANI_OK;
}

// ---- cut and joined

static xn_repack_item *leading(xn_repack_job *job)
{
    xn_repack_item *best = NULL;
    for (int64_t i = 0; i < job->n_items; i++) {
        xn_repack_item *it = &job->item[i];
        if (it->how == XN_REPACK_CHUNKS && (best == NULL || it->bytes > best->bytes)) best = it;
    }
    return best;
}

// Rows of the dataset in that input; -1: it is not the same but for the number of its rows.
static xani_status rows_in(xn_repack_job *job, const xn_h5 *file, const xn_repack_item *it, int64_t *rows)
{
    *rows = -1;
    xn_repack_item other = {.node = it->node};
    if (H5Lexists(file->id, it->node->path, H5P_DEFAULT) <= 0 || !xn_h5_exists(file, it->node->path)) return XANI_OK;
    hid_t dataset;
    if (xn_h5_dataset(job->ctx, file, it->node->path, &dataset) != XANI_OK) return xn_clear_error(job->ctx), XANI_OK;
    xani_status st = describe(job, file, dataset, &other);
    H5Oclose(dataset);
    if (st != XANI_OK) return st;
    bool same = other.type == it->type && other.rank == it->rank && it->rank > 0;
    for (int k = 1; k < it->rank; k++) same = same && other.dims[k] == it->dims[k];
    if (same) *rows = other.dims[0];
    return XANI_OK;
}

static xani_status lead_rows(xn_repack_job *job, const xn_h5 *file, const xn_repack_item *lead, int i)
{
    XN_TRY(rows_in(job, file, lead, &job->rows[i]));
    if (job->rows[i] < 0)
        return xn_fail(job->ctx, XANI_ERR_INPUT, "%s: %s: is missing, or of another type or shape than in %s",
                       file->path, lead->node->path, job->inputs[0]);
    job->n_rows += job->rows[i];
    for (int64_t k = 0; k < job->n_items; k++) {
        xn_repack_item *it = &job->item[k];
        int64_t rows = -1;
        if (it->rank == 0 || (i > 0 && !it->along) || it == lead) continue;
        XN_TRY(rows_in(job, file, it, &rows));
        bool along = rows == job->rows[i];
        if (i > 0 && !along)
            xn_warn(job->ctx, "%s: %s: has not one row per frame as in %s: only that of %s is kept", file->path,
                    it->node->path, job->inputs[0], job->inputs[0]);
        it->along = along;
    }
    return XANI_OK;
}

static xani_status find_rows(xn_repack_job *job, xn_repack_item *lead)
{
    lead->along = true;
    job->rows = xn_calloc((size_t)job->n_inputs, sizeof *job->rows);
    if (job->rows == NULL) return xn_fail_memory(job->ctx, "the list of inputs", (size_t)job->n_inputs * 8);
    for (int i = 0; i < job->n_inputs; i++) {
        xn_h5 *other = NULL;
        if (i > 0) XN_TRY(xn_h5_open(job->ctx, job->inputs[i], &other));
        xani_status st = lead_rows(job, i ? other : job->file, lead, i);
        xn_h5_close(&other);
        XN_TRY(st);
    }
    return XANI_OK;
}

static xani_status cut_and_join(xn_repack_job *job)
{
    const xani_repack_options *o = job->options;
    bool cut = o->first > 0 || o->last >= 0;
    if (!cut && job->n_inputs == 1 && !o->virtual_dataset) return XANI_OK;
    xn_repack_item *lead = leading(job);
    if (lead == NULL)
        return xn_fail(job->ctx, XANI_ERR_INPUT, "%s: has no large dataset of numbers: name one with --dataset",
                       job->file->path);
    XN_TRY(find_rows(job, lead));
    job->first = o->first;
    job->last = o->last < 0 ? job->n_rows : o->last;
    if (job->first < 0 || job->last > job->n_rows || job->first >= job->last)
        return xn_fail(job->ctx, XANI_ERR_USAGE, "--frames %lld:%lld: there are %lld frames", (long long)job->first,
                       (long long)job->last, (long long)job->n_rows);
    for (int64_t i = 0; i < job->n_items; i++) {
        xn_repack_item *it = &job->item[i];
        if (!it->along) continue;
        if (it->how == XN_REPACK_COPY) it->how = XN_REPACK_ROWS;
        if (o->virtual_dataset && numbers(it)) it->how = XN_REPACK_VIRTUAL;
        it->bytes = it->dims[0] ? it->bytes / it->dims[0] * (job->last - job->first) : 0;
        it->first = job->first;
        it->out[0] = job->last - job->first;
        if (it->most[0] >= 0) it->most[0] = it->most[0] == it->dims[0] ? it->out[0] : xn_max64(it->most[0], it->out[0]);
    }
    return XANI_OK;
}

// ---- chunks

static void choose_chunk(xn_repack_item *it)
{
    int64_t bytes = (int64_t)xn_type_size(it->type);
    bool cut = false; // then the axes before it have chunks of one
    for (int k = it->rank - 1; k >= 0; k--) {
        int64_t most = xn_max64(1, k > 0 ? MOST / bytes : bytes < LARGE ? (AIM + bytes - 1) / bytes : 1);
        if (cut) most = 1;
        int64_t pieces = (it->out[k] + most - 1) / most;
        it->chunk[k] = k > 0 ? (it->out[k] + pieces - 1) / pieces : xn_min64(it->out[0], most);
        cut = cut || pieces > 1;
        bytes *= it->chunk[k];
    }
}

static bool all_there(const xn_repack_item *it, hid_t dataset)
{
    hsize_t stored = 0;
    int64_t all = 1;
    for (int k = 0; k < it->rank; k++) all *= (it->dims[k] + it->stored[k] - 1) / it->stored[k];
    hid_t space = H5Dget_space(dataset);
    bool good = space >= 0 && H5Dget_num_chunks(dataset, space, &stored) >= 0;
    if (space >= 0) H5Sclose(space);
    return good && (int64_t)stored == all;
}

// Marks chunks that were never written; then the grid stays as it is.
static xani_status find_missing(xn_repack_job *job, xn_repack_item *it)
{
    if (it->along || it->foreign || it->stored[0] == 0) return XANI_OK;
    hid_t dataset;
    xn_store *store = NULL;
    XN_TRY(xn_h5_dataset(job->ctx, job->file, it->node->path, &dataset));
    xani_status st = xn_store_open(job->ctx, job->file, it->node->path, dataset, XN_STORE_AS_IT_IS, true, &store);
    bool complete = all_there(it, dataset);
    H5Oclose(dataset);
    XN_TRY(st);
    bool known = store->kind == XN_STORE_CHUNKED;
    for (int64_t i = 0; known && i < store->n_blocks; i++) it->n_missing += xn_store_place(store, i).bytes == 0;
    if (it->n_missing > 0) {
        it->missing = xn_calloc((size_t)store->n_blocks, 1);
        if (it->missing == NULL) st = xn_fail_memory(job->ctx, it->node->path, (size_t)store->n_blocks);
        for (int64_t i = 0; it->missing && i < store->n_blocks; i++)
            it->missing[i] = xn_store_place(store, i).bytes == 0;
        memcpy(it->chunk, it->stored, sizeof it->chunk);
    }
    // By filters only the library knows; or there is nothing to be gained in the chunks it has.
    bool small = it->bytes < LARGE && job->options->n_datasets == 0;
    if (!complete && (!known || small)) it->how = XN_REPACK_COPY;
    xn_store_close(&store);
    return st;
}

static xani_status decide_chunks(xn_repack_job *job, xn_repack_item *it)
{
    const xani_repack_options *o = job->options;
    choose_chunk(it);
    XN_TRY(find_missing(job, it));
    if (it->how != XN_REPACK_CHUNKS) return XANI_OK;
    if (o->chunk && o->chunk_rank > it->rank)
        return xn_fail(job->ctx, XANI_ERR_USAGE,
                       "--chunk: has %d sizes, %s has %d axes (--dataset names those it is for)", o->chunk_rank,
                       it->node->path, it->rank);
    for (int k = 0; o->chunk && k < o->chunk_rank && k < it->rank; k++) {
        if (o->chunk[k] < 1) return xn_fail(job->ctx, XANI_ERR_USAGE, "--chunk: sizes from 1 on are needed");
        it->chunk[k] = xn_min64(o->chunk[k], it->out[k]);
    }
    if (o->chunk == NULL) return XANI_OK;
    if (it->n_missing > 0)
        return xn_fail(job->ctx, XANI_ERR_USAGE,
                       "--chunk: %s has chunks that were never written, which stay so only if it keeps its chunks",
                       it->node->path);
    int64_t bytes = (int64_t)xn_type_size(it->type);
    for (int k = 0; k < it->rank; k++) {
        if (k >= o->chunk_rank) it->chunk[k] = it->out[k];
        if (__builtin_mul_overflow(bytes, it->chunk[k], &bytes) || bytes >= (int64_t)1 << 31)
            return xn_fail(job->ctx, XANI_ERR_USAGE, "--chunk: chunks of %s would have 2 GiB or more", it->node->path);
    }
    return XANI_OK;
}

xani_status xn_repack_plan(xn_repack_job *job)
{
    XN_TRY(xn_tree_read(job->ctx, job->file, &job->tree));
    XN_TRY(describe_all(job));
    XN_TRY(choose_datasets(job));
    XN_TRY(cut_and_join(job));
    for (int64_t i = 0; i < job->n_items; i++) {
        xn_repack_item *it = &job->item[i];
        if (it->how == XN_REPACK_CHUNKS) XN_TRY(decide_chunks(job, it));
        it->expected = it->how == XN_REPACK_VIRTUAL ? 0 : it->how == XN_REPACK_COPY ? it->stored_bytes : it->bytes;
        if (it->how != XN_REPACK_VIRTUAL) job->total += it->bytes;
    }
    return XANI_OK;
}

void xn_repack_plan_free(xn_repack_job *job)
{
    for (int64_t i = 0; i < job->n_items; i++) xn_free(job->item[i].missing);
    xn_free(job->item);
    xn_free(job->rows);
    xn_tree_free(&job->tree);
}
