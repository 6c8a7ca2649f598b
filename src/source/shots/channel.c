// SPDX-License-Identifier: BSD-3-Clause
// channel.c -- readings by shot id, for all layouts: see channel.h.
//
// A repeated id with equal values is one reading; with different values it is a conflict, because nothing says which
// value is right.  NaN is a value like any other here.
#include "source/shots/channel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "source/layout.h"

#define SUM_BLOCK ((int64_t)1 << 21) // numbers read at once where all columns are added

// ---- reading

static xani_status check_shape(xn_ctx *ctx, const xn_h5 *h5, const char *data, int64_t column, xn_h5_info *d)
{
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, data, d));
    const char *file = xn_h5_path(h5);
    if (d->is_group || !xn_is_number(d->type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s %s %s; a number per shot is needed", file, data,
                       d->is_group ? "is" : "has type", d->is_group ? "a group" : xn_type_name(d->type));
    if (d->rank < 1 || (d->rank > 2 && column != XN_COLUMN_SUM))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s; one number per shot is needed", file, data,
                       xn_shape_text(shape, d->rank, d->dims));
    if (column != XN_COLUMN_SUM && (d->rank == 2 ? column >= d->dims[1] : column > 0))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s; column %lld does not exist", file, data,
                       xn_shape_text(shape, d->rank, d->dims), (long long)column);
    return XANI_OK;
}

static xani_status sum_columns(xn_ctx *ctx, const xn_h5 *h5, const char *data, int64_t rows, int64_t columns,
                               double *value)
{
    int64_t block = xn_max64(1, xn_min64(rows, SUM_BLOCK / xn_max64(columns, 1)));
    double *some = xn_alloc((size_t)(block * columns), sizeof *some);
    if (some == NULL) return xn_fail_memory(ctx, data, (size_t)(block * columns) * sizeof *some);
    xani_status st = XANI_OK;
    for (int64_t first = 0; st == XANI_OK && first < rows; first += block) {
        int64_t n = xn_min64(block, rows - first);
        st = xn_h5_read_rows(ctx, h5, data, XN_F64, first, n, some);
        for (int64_t i = 0; st == XANI_OK && i < n; i++) {
            double sum = 0.0;
            for (int64_t k = 0; k < columns; k++) sum += some[i * columns + k];
            value[first + i] = sum;
        }
    }
    xn_free(some);
    return st;
}

xani_status xn_channel_values(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t column, double **value,
                              int64_t *n)
{
    xn_h5_info d;
    *value = NULL;
    *n = 0;
    XN_TRY(check_shape(ctx, h5, dataset, column, &d));
    *n = d.dims[0];
    if (*n == 0) return XANI_OK;
    if (column != XN_COLUMN_SUM || d.rank == 1)
        return xn_h5_read_column(ctx, h5, dataset, column == XN_COLUMN_SUM ? 0 : column, value, n);
    *value = xn_alloc((size_t)*n, sizeof **value);
    if (*value == NULL) return xn_fail_memory(ctx, dataset, (size_t)*n * sizeof **value);
    return sum_columns(ctx, h5, dataset, *n, d.size / *n, *value);
}

static xani_status make_room(xn_ctx *ctx, xn_channel *c, int64_t more)
{
    if (c->n + more <= c->capacity) return XANI_OK;
    int64_t capacity = xn_max64(c->n + more, 2 * c->capacity);
    uint64_t *id = xn_realloc(c->id, (size_t)capacity, sizeof *id);
    if (id != NULL) c->id = id;
    double *value = xn_realloc(c->value, (size_t)capacity, sizeof *value);
    if (value != NULL) c->value = value;
    if (id == NULL || value == NULL) return xn_fail_memory(ctx, c->name, (size_t)capacity * 16);
    c->capacity = capacity;
    return XANI_OK;
}

xani_status xn_channel_add(xn_ctx *ctx, xn_channel *c, int64_t n, const uint64_t *id, const double *value,
                           const uint8_t *present)
{
    XN_TRY(make_room(ctx, c, n));
    for (int64_t i = 0; i < n; i++) {
        if (id[i] == 0 || (present != NULL && !present[i])) continue;
        c->id[c->n] = id[i];
        c->value[c->n++] = value[i];
    }
    return XANI_OK;
}

xani_status xn_channel_seen(xn_ctx *ctx, xn_channel *c, const char *file)
{
    c->n_files++;
    if (c->file == NULL) c->file = xn_strdup(file);
    return c->file != NULL ? XANI_OK : xn_fail_memory(ctx, c->name, strlen(file));
}

// ---- repeated frames

typedef struct {
    uint64_t id;
    int64_t frame;
} framed;

static int by_frame(const void *a, const void *b)
{
    const framed *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

xani_status xn_ids_once(xn_ctx *ctx, const uint64_t *id, int64_t n, uint8_t *once)
{
    framed *f = xn_alloc((size_t)n, sizeof *f);
    if (f == NULL) return xn_fail_memory(ctx, "the ids", (size_t)n * sizeof *f);
    for (int64_t i = 0; i < n; i++) f[i] = (framed){id[i], i};
    qsort(f, (size_t)n, sizeof *f, by_frame);
    for (int64_t i = 0; i < n; i++) once[f[i].frame] = i == 0 || f[i].id != f[i - 1].id;
    xn_free(f);
    return XANI_OK;
}

// ---- sorting and looking up

typedef struct {
    uint64_t id;
    double value;
} reading;

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const reading *)a)->id, y = ((const reading *)b)->id;
    return (x > y) - (x < y);
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

xani_status xn_channel_sort(xn_ctx *ctx, xn_channel *c)
{
    size_t n = (size_t)c->n;
    reading *r = xn_alloc(n, sizeof *r);
    c->mark = xn_calloc(n, 1);
    if (r == NULL || c->mark == NULL) {
        xn_free(r);
        return xn_fail_memory(ctx, c->name, n * sizeof *r);
    }
    bool sorted = true;
    for (size_t i = 0; i < n; i++) {
        r[i] = (reading){c->id[i], c->value[i]};
        if (i > 0 && r[i].id < r[i - 1].id) sorted = false;
    }
    if (!sorted) qsort(r, n, sizeof *r, by_id);
    int64_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && c->id[kept - 1] == r[i].id) {
            uint8_t *mark = &c->mark[kept - 1];
            c->repeated += *mark == 0;
            *mark |= XN_MARK_REPEATED;
            if (!same(c->value[kept - 1], r[i].value)) *mark |= XN_MARK_CONFLICT;
            continue;
        }
        c->id[kept] = r[i].id;
        c->value[kept++] = r[i].value;
    }
    c->n = kept;
    xn_free(r);
    return XANI_OK;
}

xn_hit xn_channel_find(const xn_channel *c, uint64_t id, int64_t *cursor, double *value)
{
    id >>= c->shift;
    while (*cursor < c->n && c->id[*cursor] < id) ++*cursor;
    *value = NAN;
    if (*cursor >= c->n || c->id[*cursor] != id) return XN_HIT_MISSING;
    if (c->mark[*cursor] & XN_MARK_CONFLICT) return XN_HIT_CONFLICT;
    *value = c->value[*cursor];
    return XN_HIT;
}

void xn_channel_free(xn_channel *c)
{
    xn_free(c->id);
    xn_free(c->value);
    xn_free(c->mark);
    xn_free(c->file);
    memset(c, 0, sizeof *c);
}
