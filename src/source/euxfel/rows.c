// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- the rows of a dataset as float64, some hundred kilobytes at a time: arrays per train are long (a bunch
// pattern has 2700 numbers, a bunch arrival monitor 7222) and of most a few numbers are wanted.
//
// Datasets are padded with rows, whole chunks of them, that may never have been written: only rows that are asked for
// must be there.  Virtual datasets (overviews) are read through the engine, which looks at the parts that are read.
#include <string.h>

#include "source/euxfel/euxfel.h"

#define NUMBERS_AT_ONCE ((int64_t)1 << 18)

xani_status xn_xf_rows_open(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, xn_xf_rows *r)
{
    xn_h5_info info;
    char shape[128];
    *r = (xn_xf_rows){.h5 = h5, .dataset = dataset};
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    if (info.is_group || info.rank < 1 || !xn_is_number(info.type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; numbers per train are needed", xn_h5_path(h5), dataset,
                       info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims));
    r->type = info.type;
    r->rows = info.dims[0];
    r->columns = 1;
    for (int k = 1; k < info.rank; k++) r->columns *= info.dims[k];
    r->most = xn_max64(1, xn_min64(r->rows, NUMBERS_AT_ONCE / xn_max64(r->columns, 1)));
    const char *path = xn_h5_path(h5);
    return info.is_virtual ? xn_array_open(ctx, &path, 1, dataset, &(xn_array_options){.threads = 1}, &r->array)
                           : XANI_OK;
}

static xani_status read_rows(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, xn_array *array, xn_type type,
                             int64_t first, int64_t n, void *dst)
{
    if (array == NULL) return xn_h5_read_rows(ctx, h5, dataset, type, first, n, dst);
    xn_selection s;
    xn_selection_all(array, &s);
    s.start[0] = first;
    s.count[0] = n;
    return xn_array_read(ctx, array, &s, type, dst, 1);
}

xani_status xn_xf_rows_get(xn_ctx *ctx, xn_xf_rows *r, int64_t row, const double **value)
{
    if (r->value == NULL) {
        r->value = xn_alloc((size_t)(r->most * r->columns), sizeof *r->value);
        if (r->value == NULL) return xn_fail_memory(ctx, r->dataset, (size_t)(r->most * r->columns) * sizeof(double));
    }
    if (row < r->first || row >= r->first + r->n) {
        // fewer at a time near padding: what is not wanted need not be there
        r->first = row;
        r->n = xn_min64(r->most, r->rows - row);
        xani_status st = read_rows(ctx, r->h5, r->dataset, r->array, XN_F64, row, r->n, r->value);
        if (st == XANI_ERR_INPUT && r->n > 1) {
            xn_clear_error(ctx);
            r->n = 1;
            st = read_rows(ctx, r->h5, r->dataset, r->array, XN_F64, row, 1, r->value);
        }
        if (st != XANI_OK) {
            r->n = 0;
            return st;
        }
    }
    *value = r->value + (row - r->first) * r->columns;
    return XANI_OK;
}

void xn_xf_rows_close(xn_xf_rows *r)
{
    xn_array_close(&r->array);
    xn_free(r->value);
    r->value = NULL;
}

xani_status xn_xf_whole(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t rows, bool pad, int64_t **value,
                        int64_t *n)
{
    xn_h5_info info;
    xn_array *array = NULL;
    const char *path = xn_h5_path(h5);
    *value = NULL;
    *n = 0;
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    if (info.is_group || info.rank < 1 || !xn_is_number(info.type) || info.type == XN_F32 || info.type == XN_F64)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: whole numbers are needed", path, dataset);
    int64_t have = info.dims[0], each = have > 0 ? info.size / have : 0;
    if (rows < 0) rows = have;
    if (rows > have)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld rows, %lld are needed", path, dataset, (long long)have,
                       (long long)rows);
    if (rows * each == 0) return XANI_OK;
    int64_t *v = xn_alloc((size_t)(rows * each), sizeof *v);
    if (v == NULL) return xn_fail_memory(ctx, dataset, (size_t)(rows * each) * sizeof *v);
    xani_status st = XANI_OK;
    if (info.is_virtual) st = xn_array_open(ctx, &path, 1, dataset, &(xn_array_options){.threads = 1}, &array);
    if (st == XANI_OK) st = read_rows(ctx, h5, dataset, array, XN_I64, 0, rows, v);
    if (st == XANI_ERR_INPUT && pad && array == NULL) {
        xn_clear_error(ctx);
        st = xn_array_open(ctx, &path, 1, dataset, &(xn_array_options){.threads = 1, .fill = true}, &array);
        if (st == XANI_OK) st = read_rows(ctx, h5, dataset, array, XN_I64, 0, rows, v);
    }
    xn_array_close(&array);
    if (st == XANI_OK) {
        *value = v;
        *n = rows * each;
    } else {
        xn_free(v);
    }
    return st;
}
