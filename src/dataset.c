// SPDX-License-Identifier: BSD-3-Clause
// dataset.c -- the public reader of large arrays (arrays.h) over the engine of io/array.h.
#include <string.h>

#include "io/array.h"
#include "io/batches.h"
#include "xani/arrays.h"

struct xani_dataset {
    xn_array *array;
    xani_read_options options;
};

struct xani_batches {
    xn_batches *batches;
};

// ---- types

static const struct {
    xani_type type;
    xn_type inner;
} types[] = {{XANI_FLOAT64, XN_F64}, {XANI_INT64, XN_I64},  {XANI_STRING, XN_STR}, {XANI_FLOAT32, XN_F32},
             {XANI_INT8, XN_I8},     {XANI_UINT8, XN_U8},   {XANI_INT16, XN_I16},  {XANI_UINT16, XN_U16},
             {XANI_INT32, XN_I32},   {XANI_UINT32, XN_U32}, {XANI_UINT64, XN_U64}};
enum { TYPES = sizeof types / sizeof types[0] };

static xani_type outer(xn_type inner)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].inner == inner) return types[i].type;
    return XANI_STORED;
}

static bool inner(xani_type type, xn_type stored, xn_type *wanted)
{
    if (type == XANI_STORED) return *wanted = stored, true;
    for (int i = 0; i < TYPES; i++)
        if (types[i].type == type && type != XANI_STRING) return *wanted = types[i].inner, true;
    return false;
}

size_t xani_type_size(xani_type type)
{
    xn_type t;
    return inner(type, XN_STR, &t) ? xn_type_size(t) : 0;
}

const char *xani_type_name(xani_type type)
{
    xn_type t;
    return type == XANI_STRING       ? "string"
           : type == XANI_STORED     ? "stored"
           : inner(type, XN_STR, &t) ? xn_type_name(t)
                                     : "unknown";
}

// ---- datasets

void xani_read_options_init(xani_read_options *options)
{
    if (options != NULL) *options = (xani_read_options){.size = sizeof *options, .reader = "auto", .device = -1};
}

void xani_dataset_info_init(xani_dataset_info *info)
{
    if (info != NULL) *info = (xani_dataset_info){.size = sizeof *info};
}

static xani_status take_options(xn_ctx *ctx, const xani_read_options *given, xani_read_options *o)
{
    xani_read_options_init(o);
    if (given == NULL) return XANI_OK;
    if (given->size == 0 || given->size > sizeof *o)
        return xn_fail(ctx, XANI_ERR_USAGE, "xani_read_options.size is %zu: call xani_read_options_init", given->size);
    memcpy(o, given, given->size);
    if (o->threads < 0) return xn_fail(ctx, XANI_ERR_USAGE, "threads: %d is negative", o->threads);
    if (o->depth < 0) return xn_fail(ctx, XANI_ERR_USAGE, "depth: %d is negative", o->depth);
    if (o->missing != XANI_MISSING_IS_ERROR && o->missing != XANI_MISSING_IS_FILL)
        return xn_fail(ctx, XANI_ERR_USAGE, "missing: %d is neither an error nor the fill value", o->missing);
    if (o->device < -1)
        return xn_fail(ctx, XANI_ERR_USAGE, "device: %d is neither -1, host memory, nor a device's number", o->device);
    return XANI_OK;
}

xani_status xani_dataset_open(xani_context *context, const char *const *files, size_t n_files, const char *dataset,
                              const xani_read_options *options, xani_dataset **d)
{
    XN_BEGIN(context);
    XN_NEED(context, d);
    *d = NULL;
    XN_NEED(context, dataset);
    XN_TRY(xn_need_all(context, __func__, "files", files, n_files));
    xani_read_options o;
    XN_TRY(take_options(context, options, &o));
    if (n_files < 1 || n_files > INT32_MAX) return xn_fail(context, XANI_ERR_USAGE, "%s: no files", dataset);
    xani_dataset *made = xn_calloc(1, sizeof *made);
    if (made == NULL) return xn_fail_memory(context, dataset, sizeof *made);
    xn_array_options how = {.reader = o.reader,
                            .threads = o.threads,
                            .depth = o.depth,
                            .fill = o.missing == XANI_MISSING_IS_FILL,
                            .known = true};
    xani_status st = XANI_OK;
    if (o.device >= 0)
        st = xn_device_target_find(context, o.config, xn_device_io_built(), o.device, o.reader, &how.device);
    if (st == XANI_OK) st = xn_array_open(context, files, (int)n_files, dataset, &how, &made->array);
    made->options = o;
    made->options.reader = NULL; // the caller's
    made->options.config = NULL;
    if (st == XANI_OK)
        *d = made;
    else
        xn_free(made);
    return st;
}

void xani_dataset_destroy(xani_dataset **d)
{
    if (d == NULL || *d == NULL) return;
    xn_array_close(&(*d)->array);
    xn_free(*d);
    *d = NULL;
}

xani_status xani_dataset_describe(xani_context *context, const xani_dataset *d, xani_dataset_info *info)
{
    XN_BEGIN(context);
    XN_NEED(context, d);
    XN_NEED(context, info);
    if (info->size == 0 || info->size > sizeof *info)
        return xn_fail(context, XANI_ERR_USAGE, "xani_dataset_info.size is %zu: call xani_dataset_info_init",
                       info->size);
    const xn_array_info *a = xn_array_get_info(d->array);
    xani_dataset_info all = {.size = info->size,
                             .type = outer(a->type),
                             .rank = a->rank,
                             .stored_bytes = a->stored_bytes,
                             .sources = a->n_stores,
                             .direct = a->direct,
                             .layout = a->layout,
                             .filters = a->filters};
    memcpy(all.shape, a->dims, sizeof all.shape);
    memcpy(all.tile, a->tile, sizeof all.tile);
    memcpy(info, &all, info->size);
    return XANI_OK;
}

// The box along the axes from `from` on; NULL: all.
static void take_box(const xani_dataset *d, const int64_t *start, const int64_t *count, int from, xn_selection *s)
{
    const xn_array_info *a = xn_array_get_info(d->array);
    xn_selection_all(d->array, s);
    for (int k = from; k < a->rank; k++) {
        if (start) s->start[k] = start[k - from];
        if (count) s->count[k] = count[k - from];
        if (start && !count) s->count[k] = a->dims[k] - start[k - from];
    }
}

static xani_status read(xani_context *context, xani_dataset *d, const xn_selection *s, xani_type type, void *dst)
{
    const xn_array_info *a = xn_array_get_info(d->array);
    xn_type wanted;
    if (!inner(type, a->type, &wanted))
        return xn_fail(context, XANI_ERR_USAGE, "type: %d is not one of numbers", (int)type);
    bool empty = false;
    for (int k = 0; k < a->rank; k++) empty |= s->count[k] == 0;
    if (dst == NULL && !empty) return xn_fail(context, XANI_ERR_USAGE, "xani_dataset_read: dst is NULL");
    return xn_answer(context, xn_array_read(context, d->array, s, wanted, dst, 0));
}

xani_status xani_dataset_read(xani_context *context, xani_dataset *d, const int64_t *start, const int64_t *count,
                              xani_type type, void *dst)
{
    XN_BEGIN(context);
    XN_NEED(context, d);
    xn_selection s;
    take_box(d, start, count, 0, &s);
    return read(context, d, &s, type, dst);
}

xani_status xani_dataset_read_list(xani_context *context, xani_dataset *d, const int64_t *list, int64_t n,
                                   const int64_t *start, const int64_t *count, xani_type type, void *dst)
{
    XN_BEGIN(context);
    XN_NEED(context, d);
    if (xn_array_get_info(d->array)->rank < 1 || n < 0)
        return xn_fail(context, XANI_ERR_USAGE, "list: %s",
                       n < 0 ? "its length is negative" : "the dataset has no axes");
    if (n == 0) return XANI_OK;
    XN_NEED(context, list);
    xn_selection s;
    take_box(d, start, count, 1, &s);
    s.list = list;
    s.start[0] = 0;
    s.count[0] = n;
    return read(context, d, &s, type, dst);
}

xani_status xani_dataset_share(xani_context *context, const xani_dataset *d, int64_t part, int64_t parts,
                               int64_t *first, int64_t *rows)
{
    XN_BEGIN(context);
    XN_NEED(context, d);
    XN_NEED(context, first);
    XN_NEED(context, rows);
    if (parts < 1 || part < 0 || part >= parts)
        return xn_fail(context, XANI_ERR_USAGE, "share %lld of %lld does not exist", (long long)part, (long long)parts);
    *first = xn_array_share(d->array, part, parts);
    *rows = xn_array_share(d->array, part + 1, parts) - *first;
    return XANI_OK;
}

const void *xani_dataset_view(xani_dataset *d, int64_t row) { return d != NULL ? xn_array_view(d->array, row) : NULL; }

xani_status xani_dataset_refresh(xani_context *context, xani_dataset *d)
{
    XN_BEGIN(context);
    XN_NEED(context, d);
    return xn_array_refresh(context, d->array);
}

// ---- batches

void xani_batch_options_init(xani_batch_options *options)
{
    if (options != NULL) *options = (xani_batch_options){.size = sizeof *options, .n = -1, .type = XANI_STORED};
}

xani_status xani_batches_create(xani_context *context, xani_dataset *d, const xani_batch_options *options,
                                xani_batches **batches)
{
    XN_BEGIN(context);
    XN_NEED(context, batches);
    *batches = NULL;
    XN_NEED(context, d);
    xani_batch_options o;
    xani_batch_options_init(&o);
    if (options && (options->size == 0 || options->size > sizeof o))
        return xn_fail(context, XANI_ERR_USAGE, "xani_batch_options.size is %zu: call xani_batch_options_init",
                       options->size);
    if (options) memcpy(&o, options, options->size);
    const xn_array_info *a = xn_array_get_info(d->array);
    xn_selection s;
    xn_type wanted;
    if (!inner(o.type, a->type, &wanted))
        return xn_fail(context, XANI_ERR_USAGE, "type: %d is not one of numbers", (int)o.type);
    take_box(d, o.start, o.count, 1, &s);
    s.list = o.list;
    s.start[0] = o.list ? 0 : o.first;
    s.count[0] = o.n >= 0 ? o.n : o.list ? 0 : a->dims[0] - o.first;
    if (o.n < -1) return xn_fail(context, XANI_ERR_USAGE, "batches: n is %lld, not -1 or a count", (long long)o.n);
    if (o.list && o.n < 0) return xn_fail(context, XANI_ERR_USAGE, "list: its length n is not given");
    if (s.start[0] < 0 || s.count[0] < 0 || (!o.list && s.start[0] > a->dims[0] - s.count[0]))
        return xn_fail(context, XANI_ERR_USAGE, "batches: rows wanted: %lld from %lld on; there are %lld",
                       (long long)s.count[0], (long long)s.start[0], (long long)a->dims[0]);
    xani_batches *made = xn_calloc(1, sizeof *made);
    if (made == NULL) return xn_fail_memory(context, "batches", sizeof *made);
    xani_status st =
        xn_batches_open(context, d->array, &s, wanted, o.rows, o.ahead, d->options.threads, &made->batches);
    if (st == XANI_OK)
        *batches = made;
    else
        xn_free(made);
    return st;
}

xani_status xani_batches_next(xani_context *context, xani_batches *batches, xani_batch *batch)
{
    XN_BEGIN(context);
    XN_NEED(context, batches);
    XN_NEED(context, batch);
    xn_batch b;
    xani_status st = xn_batches_next(context, batches->batches, &b);
    *batch = (xani_batch){b.data, b.first, b.rows};
    return xn_answer(context, st);
}

void xani_batches_destroy(xani_batches **batches)
{
    if (batches == NULL || *batches == NULL) return;
    xn_batches_close(&(*batches)->batches);
    xn_free(*batches);
    *batches = NULL;
}
