// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- the rows of a dataset as float64, some hundred kilobytes at a time: arrays per train are long (a bunch
// pattern has 2700 numbers, a bunch arrival monitor 7222) and of most a few numbers are wanted.
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
    return XANI_OK;
}

xani_status xn_xf_rows_get(xn_ctx *ctx, xn_xf_rows *r, int64_t row, const double **value)
{
    if (r->value == NULL) {
        r->value = xn_alloc((size_t)(r->most * r->columns), sizeof *r->value);
        if (r->value == NULL) return xn_fail_memory(ctx, r->dataset, (size_t)(r->most * r->columns) * sizeof(double));
    }
    if (row < r->first || row >= r->first + r->n) {
        r->first = row;
        r->n = xn_min64(r->most, r->rows - row);
        XN_TRY(xn_h5_read_rows(ctx, r->h5, r->dataset, XN_F64, row, r->n, r->value));
    }
    *value = r->value + (row - r->first) * r->columns;
    return XANI_OK;
}

void xn_xf_rows_close(xn_xf_rows *r)
{
    xn_free(r->value);
    r->value = NULL;
}
