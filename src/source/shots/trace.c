// SPDX-License-Identifier: BSD-3-Clause
// trace.c -- rows of a dataset handed on in blocks: see trace.h.
#include "source/shots/trace.h"

#include <string.h>

#include "source/layout.h"

#define BLOCK ((int64_t)1 << 20) // numbers read at once

static xani_status feed_block(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t first, int64_t n,
                              int64_t width, const uint64_t *id, const uint8_t *present, uint64_t *ids, double *rows,
                              xn_trace_sink *sink)
{
    XN_TRY(xn_h5_read_rows(ctx, h5, dataset, XN_F64, first, n, rows));
    for (int64_t i = 0; i < n; i++) ids[i] = present == NULL || present[first + i] ? id[first + i] : 0;
    return sink->take(ctx, sink->user, n, width, ids, rows);
}

xani_status xn_trace_feed(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t n, const uint64_t *id,
                          const uint8_t *present, xn_trace_sink *sink)
{
    xn_h5_info d;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &d));
    sink->n_files++;
    if (d.is_group || !xn_is_number(d.type) || d.rank < 2 || d.dims[0] != n)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; a row of numbers for each of %lld shots is needed",
                       xn_h5_path(h5), dataset, d.is_group ? "a group" : xn_type_name(d.type),
                       xn_shape_text(shape, d.rank, d.dims), (long long)n);
    if (n == 0) return XANI_OK;
    int64_t width = d.size / n, block = xn_max64(1, xn_min64(n, BLOCK / xn_max64(width, 1)));
    double *rows = xn_alloc((size_t)(block * width), sizeof *rows);
    uint64_t *ids = xn_alloc((size_t)block, sizeof *ids);
    xani_status st = rows != NULL && ids != NULL ? XANI_OK : xn_fail_memory(ctx, dataset, (size_t)(block * width) * 8);
    for (int64_t first = 0; st == XANI_OK && first < n; first += block)
        st = feed_block(ctx, h5, dataset, first, xn_min64(block, n - first), width, id, present, ids, rows, sink);
    xn_free(rows);
    xn_free(ids);
    return st;
}
