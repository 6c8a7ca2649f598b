// SPDX-License-Identifier: BSD-3-Clause
// swissfel_channel.c -- beam-synchronous channels: read from any of the files, sorted by pulse id, looked up.
//
// Every channel has its own list of pulse ids, in its own order, with ids missing or repeated
// (formats.md 1.5).  A repeated id with equal values is one reading; with different values it is a
// conflict, because nothing says which value is right.  NaN is a value like any other here.  Id 0 and rows
// that `is_data_present` calls empty are no readings.
#include "source/swissfel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- names

static bool is_channel(const xn_h5 *h5, const char *group)
{
    char path[XN_KEY_LENGTH + 16];
    snprintf(path, sizeof path, "%s/data", group);
    if (!xn_h5_exists(h5, path)) return false;
    snprintf(path, sizeof path, "%s/pulse_id", group);
    return xn_h5_exists(h5, path);
}

bool xn_sf_group(const xn_h5 *h5, const char *name, char group[XN_KEY_LENGTH])
{
    size_t n = strlen(name);
    if (n == 0 || n + 6 >= XN_KEY_LENGTH) return false;
    snprintf(group, XN_KEY_LENGTH, "data/%s", name);
    if (is_channel(h5, group)) return true;
    snprintf(group, XN_KEY_LENGTH, "%s", name[0] == '/' ? name + 1 : name);
    if (is_channel(h5, group)) return true;
    n = strlen(group);
    if (n < 6 || strcmp(group + n - 5, "/data") != 0) return false;
    group[n - 5] = '\0'; // the path of the dataset itself
    return is_channel(h5, group);
}

xani_status xn_sf_names(xn_ctx *ctx, const xn_h5 *h5, char ***names)
{
    char path[XN_KEY_LENGTH];
    bool below = xn_h5_exists(h5, "data");
    XN_TRY(xn_h5_names(ctx, h5, below ? "data" : "/", names));
    size_t kept = 0;
    char **all = *names;
    for (size_t i = 0; all[i] != NULL; i++) {
        snprintf(path, sizeof path, "%s%s", below ? "data/" : "", all[i]);
        if (strcmp(all[i], "general") != 0 && is_channel(h5, path))
            all[kept++] = all[i];
        else
            xn_free(all[i]);
    }
    all[kept] = NULL;
    return XANI_OK;
}

xani_status xn_channel_missing(xn_ctx *ctx, char *const *files, const char *name)
{
    char best[XN_KEY_LENGTH] = "";
    size_t n_files = 0;
    for (; files[n_files] != NULL; n_files++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        XN_TRY(xn_h5_open(ctx, files[n_files], &h5));
        xani_status st = xn_sf_names(ctx, h5, &names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
        size_t n = 0;
        while (names[n] != NULL) n++;
        const char *pair[2] = {xn_nearest_name(name, (const char *const *)names, n), best};
        const char *nearest = pair[0] == NULL ? best : best[0] == '\0' ? pair[0] : xn_nearest_name(name, pair, 2);
        if (nearest != NULL && nearest != best) snprintf(best, sizeof best, "%s", nearest);
        xn_h5_names_free(names);
    }
    char where[512];
    if (n_files == 1)
        snprintf(where, sizeof where, "%s has", files[0]);
    else
        snprintf(where, sizeof where, "none of the %zu files (%s, ...) has", n_files, files[0]);
    if (best[0] == '\0') return xn_fail(ctx, XANI_ERR_INPUT, "%s %schannel %s", where, n_files == 1 ? "no " : "", name);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s %schannel %s; the nearest name is %s", where, n_files == 1 ? "no " : "",
                   name, best);
}

// ---- reading

static xani_status check_shapes(xn_ctx *ctx, const xn_h5 *h5, const char *data, const char *ids, int64_t column,
                                int64_t *rows)
{
    xn_h5_info d, p;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, data, &d));
    XN_TRY(xn_h5_info_get(ctx, h5, ids, &p));
    const char *file = xn_h5_path(h5);
    if (!xn_is_number(d.type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has type %s; a number per pulse is needed", file, data,
                       xn_type_name(d.type));
    if (d.rank < 1 || d.rank > 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s; one number per pulse is needed", file, data,
                       xn_shape_text(shape, d.rank, d.dims));
    if (d.rank == 2 ? column >= d.dims[1] : column > 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s; column %lld does not exist", file, data,
                       xn_shape_text(shape, d.rank, d.dims), (long long)column);
    if (p.type == XN_F32 || p.type == XN_F64 || !xn_is_number(p.type) || p.size != d.dims[0])
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: %s is %s %s; whole numbers, one for each of the %lld rows of %s, are needed", file, ids,
                       xn_type_name(p.type), xn_shape_text(shape, p.rank, p.dims), (long long)d.dims[0], data);
    *rows = d.dims[0];
    return XANI_OK;
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

xani_status xn_channel_append(xn_ctx *ctx, const xn_h5 *h5, xn_channel *c)
{
    char group[XN_KEY_LENGTH], data[XN_KEY_LENGTH + 16], ids[XN_KEY_LENGTH + 16], present[XN_KEY_LENGTH + 24];
    if (!xn_sf_group(h5, c->name, group)) return XANI_OK;
    snprintf(data, sizeof data, "%s/data", group);
    snprintf(ids, sizeof ids, "%s/pulse_id", group);
    snprintf(present, sizeof present, "%s/is_data_present", group);
    int64_t rows = 0, n = 0, n_there = 0;
    XN_TRY(check_shapes(ctx, h5, data, ids, c->column, &rows));
    if (c->file == NULL && (c->file = xn_strdup(xn_h5_path(h5))) == NULL) return xn_fail_memory(ctx, c->name, 1);
    c->n_files++;
    if (rows == 0) return XANI_OK;
    double *value = NULL;
    uint64_t *id = NULL;
    uint8_t *there = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_read_column(ctx, h5, data, c->column, &value, &n));
    XN_GOTO(out, st, xn_h5_read_u64(ctx, h5, ids, &id, &n));
    if (xn_h5_exists(h5, present)) XN_GOTO(out, st, xn_h5_read_u8(ctx, h5, present, &there, &n_there));
    if (there != NULL && n_there != rows) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries for %lld pulses", xn_h5_path(h5), present,
                     (long long)n_there, (long long)rows);
        goto out;
    }
    XN_GOTO(out, st, make_room(ctx, c, rows));
    for (int64_t i = 0; i < rows; i++) {
        if (id[i] == 0 || (there != NULL && !there[i])) continue;
        c->id[c->n] = id[i];
        c->value[c->n++] = value[i];
    }
out:
    xn_free(there);
    xn_free(id);
    xn_free(value);
    return st;
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
    c->conflict = xn_calloc(n, 1);
    if (r == NULL || c->conflict == NULL) {
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
            c->duplicates++;
            if (!same(c->value[kept - 1], r[i].value)) c->conflict[kept - 1] = 1;
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
    while (*cursor < c->n && c->id[*cursor] < id) ++*cursor;
    *value = NAN;
    if (*cursor >= c->n || c->id[*cursor] != id) return XN_HIT_MISSING;
    if (c->conflict[*cursor]) return XN_HIT_CONFLICT;
    *value = c->value[*cursor];
    return XN_HIT;
}

void xn_channel_free(xn_channel *c)
{
    xn_free(c->id);
    xn_free(c->value);
    xn_free(c->conflict);
    xn_free(c->file);
    memset(c, 0, sizeof *c);
}
