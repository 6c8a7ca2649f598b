// SPDX-License-Identifier: BSD-3-Clause
// array_open.c -- an array is opened: files put after one another, parts sorted, threads' workers kept.
#include <string.h>

#include "io/device/device_lane.h"

// ---- workers

xn_worker *xn_worker_take(xn_array *a)
{
    pthread_mutex_lock(&a->lock);
    xn_worker *w = a->idle;
    if (w) a->idle = w->next;
    pthread_mutex_unlock(&a->lock);
    if (w) return w;
    w = xn_calloc(1, sizeof *w);
    if (w) w->codec = xn_codec_open();
    if (w && w->codec == NULL) xn_free(w), w = NULL;
    return w;
}

void xn_worker_give(xn_array *a, xn_worker *w)
{
    pthread_mutex_lock(&a->lock);
    w->next = a->idle;
    a->idle = w;
    pthread_mutex_unlock(&a->lock);
}

void xn_workers_free(xn_array *a)
{
    while (a->idle) {
        xn_worker *w = a->idle;
        a->idle = w->next;
        for (int i = 0; i < XN_READERS; i++)
            if (w->reader[i]) w->reader[i]->ops->close(w->reader[i]);
        xn_codec_close(&w->codec);
        xn_free(w->block);
        xn_free(w);
    }
}

// ---- opening

xn_device_report xn_array_device_report(xn_array *a)
{
    pthread_mutex_lock(&a->lock);
    const xn_device_report report = a->device_report;
    pthread_mutex_unlock(&a->lock);
    return report;
}

void xn_array_close(xn_array **array)
{
    if (array == NULL || *array == NULL) return;
    xn_array *a = *array;
    xn_device_lanes_free(a);
    xn_workers_free(a);
    pthread_mutex_destroy(&a->lock);
    for (int64_t i = 0; i < a->stores.n; i++) xn_store_close(&a->stores.list[i]);
    for (int i = 0; i < a->n_paths; i++) xn_free(a->paths[i]);
    xn_free(a->paths);
    xn_free(a->dataset);
    xn_free(a->stores.list);
    xn_free(a->parts.list);
    xn_free(a->reach);
    xn_free(a);
    *array = NULL;
}

const xn_array_info *xn_array_get_info(const xn_array *array) { return &array->info; }

// The dataset of the next file continues those before.
static xani_status join(xn_ctx *ctx, const char *path, const xn_array_info *next, xn_array *a)
{
    xn_array_info *info = &a->info;
    bool same = info->type == next->type && info->rank == next->rank;
    for (int k = 1; k < info->rank && same; k++) same = info->dims[k] == next->dims[k];
    if (!same || info->rank == 0) {
        char here[128], before[128];
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is %s of shape %s; in the files before %s of shape %s", path,
                       a->dataset, xn_type_name(next->type), xn_shape_text(here, next->rank, next->dims),
                       xn_type_name(info->type), xn_shape_text(before, info->rank, info->dims));
    }
    info->dims[0] += next->dims[0];
    for (int k = 0; k < info->rank; k++) info->tile[k] = xn_max64(info->tile[k], next->tile[k]);
    return XANI_OK;
}

// Sorted, with what is needed to find those that reach a row.
static xani_status sort_parts(xn_ctx *ctx, xn_array *a)
{
    xn_parts_sort(a->parts.list, a->parts.n);
    a->reach = xn_alloc((size_t)xn_max64(a->parts.n, 1), sizeof *a->reach);
    if (a->reach == NULL) return xn_fail_memory(ctx, a->dataset, (size_t)a->parts.n * sizeof *a->reach);
    int64_t reach = 0;
    for (int64_t i = 0; i < a->parts.n; i++) {
        reach = xn_max64(reach, a->parts.list[i].at[0] + a->parts.list[i].count[0]);
        a->reach[i] = reach;
    }
    return XANI_OK;
}

int64_t xn_parts_first(const xn_array *a, int64_t row)
{
    int64_t low = 0, high = a->parts.n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (a->reach[middle] > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void summarise(xn_array *a)
{
    xn_array_info *info = &a->info;
    info->n_stores = (int)a->stores.n;
    info->direct = true;
    info->filters = "";
    info->chunked_rows = 1;
    for (int64_t i = a->stores.n - 1; i >= 0; i--) {
        const xn_store *s = a->stores.list[i];
        info->stored_bytes += s->stored_bytes;
        info->direct = info->direct && s->kind != XN_STORE_LIBRARY;
        if (s->filters[0]) info->filters = s->filters;
        for (int k = 0; i == 0 && k < info->rank && s->rank == info->rank; k++) // of parts: the first source's
            info->tile[k] = xn_max64(1, xn_min64(s->block[k], info->dims[k]));
        if (s->rank == info->rank && s->rank > 0 && s->kind != XN_STORE_CONTIGUOUS && s->filters[0])
            info->chunked_rows = xn_max64(info->chunked_rows, s->block[0]);
    }
}

static xani_status open_all(xn_ctx *ctx, const char *const *paths, int n_paths, xn_array *a)
{
    for (int i = 0; i < n_paths; i++) {
        xn_array_info one = {0};
        int64_t first = a->info.dims[0], from = a->parts.n;
        XN_TRY(xn_parts_of(ctx, a, paths[i], a->dataset, &a->parts, &one));
        if (i == 0)
            a->info = one;
        else
            XN_TRY(join(ctx, paths[i], &one, a));
        for (int64_t p = from; i > 0 && p < a->parts.n; p++) a->parts.list[p].at[0] += first;
        a->paths[i] = xn_strdup(paths[i]);
        if (a->paths[i] == NULL) return xn_fail_memory(ctx, paths[i], strlen(paths[i]));
        a->n_paths = i + 1;
    }
    XN_TRY(sort_parts(ctx, a));
    summarise(a);
    return XANI_OK;
}

xani_status xn_array_open(xn_ctx *ctx, const char *const *paths, int n_paths, const char *dataset,
                          const xn_array_options *options, xn_array **array)
{
    *array = NULL;
    if (n_paths < 1) return xn_fail(ctx, XANI_ERR_INPUT, "%s: no files", dataset);
    xn_array *a = xn_calloc(1, sizeof *a);
    if (a == NULL) return xn_fail_memory(ctx, dataset, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    if (options) a->options = *options;
    const char *reader = a->options.reader;
    if (reader && (strcmp(reader, "auto") == 0 || a->options.device.io)) reader = a->options.reader = NULL;
    a->dataset = xn_strdup(dataset);
    a->paths = xn_calloc((size_t)n_paths, sizeof *a->paths);
    xani_status st = a->dataset && a->paths ? XANI_OK : xn_fail_memory(ctx, dataset, (size_t)n_paths * sizeof(char *));
    char why[160];
    if (st == XANI_OK && reader && strcmp(reader, "library") != 0) {
        const xn_reader_ops *ops = xn_reader_named(reader);
        if (ops == NULL)
            st = xn_fail(ctx, XANI_ERR_USAGE, "reader: there is no \"%s\"", reader);
        else if (!ops->works(why))
            st = xn_fail(ctx, XANI_ERR_USAGE, "reader: \"%s\" does not work here: %s", reader, why);
        else
            a->options.reader = ops->name;
    } else if (st == XANI_OK && reader) {
        a->options.reader = "library";
    }
    if (st == XANI_OK) st = open_all(ctx, paths, n_paths, a);
    if (st == XANI_OK)
        *array = a;
    else
        xn_array_close(&a);
    return st;
}

void xn_selection_all(const xn_array *array, xn_selection *selection)
{
    memset(selection, 0, sizeof *selection);
    for (int k = 0; k < array->info.rank; k++) selection->count[k] = array->info.dims[k];
}

// ---- growing files

// The library keeps what it knows of a file as long as anyone has it open.
static void let_go(xn_array *a)
{
    xn_hdf_guard guard = xn_hdf_enter();
    for (int64_t i = 0; i < a->stores.n; i++) {
        xn_store *s = a->stores.list[i];
        if (s->h5_dataset >= 0) H5Dclose(s->h5_dataset);
        s->h5_dataset = H5I_INVALID_HID;
        xn_h5_close(&s->h5);
    }
    xn_hdf_leave(guard);
}

xani_status xn_array_refresh(xn_ctx *ctx, xn_array *a)
{
    xn_array *now = NULL, kept;
    let_go(a); // if the file is not what it was, what only the library can read is not read any more
    XN_TRY(xn_array_open(ctx, (const char *const *)a->paths, a->n_paths, a->dataset, &a->options, &now));
    if (now == NULL) return XANI_ERR_INTERNAL;
    bool same = now->info.type == a->info.type && now->info.rank == a->info.rank;
    for (int k = 0; k < a->info.rank && same; k++)
        same = k == 0 ? now->info.dims[0] >= a->info.dims[0] : now->info.dims[k] == a->info.dims[k];
    if (!same) {
        char here[128], before[128];
        xani_status st =
            xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: became %s of shape %s; it was %s of shape %s", a->paths[0],
                    a->dataset, xn_type_name(now->info.type), xn_shape_text(here, now->info.rank, now->info.dims),
                    xn_type_name(a->info.type), xn_shape_text(before, a->info.rank, a->info.dims));
        xn_array_close(&now);
        return st;
    }
    // Everything changes hands but the locks, which must not move.
    pthread_mutex_t lock = a->lock, other = now->lock;
    kept = *a;
    *a = *now;
    *now = kept;
    a->lock = lock;
    now->lock = other;
    xn_array_close(&now);
    return XANI_OK;
}
