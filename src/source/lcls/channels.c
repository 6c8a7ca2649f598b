// SPDX-License-Identifier: BSD-3-Clause
// channels.c -- readings of small data files: see lcls.h.
//
// A reading is any dataset with one row per event (ipm2/sum, epics/lxt, evr/code_90).  What the facility could not read
// is -99999 in whole numbers and NaN in others; a virtual dataset has the same where one of its parts lacks it.  Both
// are no readings, so that the join counts them.  An unsigned number that was filled with -99999 holds what is left of
// it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/lcls.h"
#include "source/shots/term.h"

const char *xn_lcls_path(const char *name) { return name[0] == '/' ? name + 1 : name; }

// ---- reading

// The value that stands for a missing number of this type, all columns of it added up where `columns` > 1.
static double missing_value(xn_type type, int64_t columns)
{
    double one = type == XN_U32   ? 4294967296.0 + XN_LCLS_MISSING
                 : type == XN_U64 ? 18446744073709551616.0 + XN_LCLS_MISSING
                                  : XN_LCLS_MISSING;
    return one * (double)columns;
}

// One file's values into the channel.
static xani_status append(xn_ctx *ctx, const xn_lcls *l, int number, const char *path, const xn_lcls_rows *r,
                          xn_channel *c)
{
    const xn_h5 *h5 = l->h5[number];
    int64_t rows = r->first[number + 1] - r->first[number], n = 0;
    const uint64_t *id = r->id + r->first[number];
    const uint8_t *again = r->again + r->first[number];
    xn_h5_info info;
    double *value = NULL;
    uint8_t *there = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, path, &info));
    XN_GOTO(out, st, xn_channel_values(ctx, h5, path, c->column, &value, &n));
    if (n != rows) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld rows, there are %lld events", l->file[number], path,
                     (long long)n, (long long)rows);
        goto out;
    }
    XN_GOTO(out, st, xn_channel_seen(ctx, c, l->file[number]));
    there = xn_alloc((size_t)rows + 1, 1);
    if (there == NULL) {
        st = xn_fail_memory(ctx, path, (size_t)rows);
        goto out;
    }
    double missing = missing_value(info.type, c->column == XN_COLUMN_SUM && rows > 0 ? info.size / rows : 1);
    for (int64_t i = 0; i < rows; i++) there[i] = !isnan(value[i]) && value[i] != missing && !again[i];
    st = xn_channel_add(ctx, c, rows, id, value, there);
out:
    xn_free(there);
    xn_free(value);
    return st;
}

xani_status xn_lcls_read_channel(xn_ctx *ctx, void *lcls, xn_channel *c)
{
    xn_lcls *l = lcls;
    const char *path = xn_lcls_path(c->name);
    const xn_lcls_rows *rows = NULL;
    XN_TRY(xn_lcls_rows_of(ctx, l, path, &rows));
    c->later = xn_lcls_later;
    c->later_of = rows;
    for (int i = 0; i < l->n_files; i++)
        if (xn_h5_exists(l->h5[i], path)) XN_TRY(append(ctx, l, i, path, rows, c));
    return c->n_files > 0 ? XANI_OK : xn_lcls_no_dataset(ctx, l, path);
}

xani_status xn_lcls_read_traces(xn_ctx *ctx, void *lcls, xn_trace_sink *sink)
{
    xn_lcls *l = lcls;
    const char *path = xn_lcls_path(sink->name);
    const xn_lcls_rows *r = NULL;
    XN_TRY(xn_lcls_rows_of(ctx, l, path, &r));
    int64_t most = 0;
    for (int i = 0; i < l->n_files; i++) most = xn_max64(most, r->first[i + 1] - r->first[i]);
    uint8_t *once = xn_alloc((size_t)most + 1, 1);
    if (once == NULL) return xn_fail_memory(ctx, path, (size_t)most);
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < l->n_files; i++) {
        int64_t first = r->first[i], n = r->first[i + 1] - first;
        for (int64_t k = 0; k < n; k++) once[k] = !r->again[first + k];
        if (xn_h5_exists(l->h5[i], path)) st = xn_trace_feed(ctx, l->h5[i], path, n, r->id + first, once, sink);
    }
    xn_free(once);
    return st == XANI_OK && sink->n_files == 0 ? xn_lcls_no_dataset(ctx, l, path) : st;
}

// The first of the channel's entries that is not below the id.
static int64_t lower_bound(const xn_channel *c, uint64_t id)
{
    int64_t lo = 0, hi = c->n;
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        if (c->id[middle] < id)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

static xani_status add_term(xn_ctx *ctx, const xn_term *t, xn_lcls *l, const uint64_t *id, int64_t n, double *value)
{
    xn_channel c = {.name = t->name, .column = t->column};
    xani_status st = xn_lcls_read_channel(ctx, l, &c);
    if (st == XANI_OK) st = xn_channel_sort(ctx, &c);
    for (int64_t i = 0; st == XANI_OK && i < n; i++) {
        int64_t cursor = lower_bound(&c, id[i]); // ids come in any order
        double one;
        bool found = xn_channel_find(&c, id[i], &cursor, &one) == XN_HIT;
        value[i] += found ? t->factor * one : NAN;
    }
    xn_channel_free(&c);
    return st;
}

xani_status xn_lcls_readings(xn_ctx *ctx, const xn_config *config, const char *key, const char *text, xn_lcls *l,
                             const uint64_t *id, int64_t n, double *value)
{
    xn_reading reading;
    XN_TRY(xn_reading_parse(ctx, config, key, text, &reading));
    for (int64_t i = 0; i < n; i++) value[i] = 0.0;
    for (int t = 0; t < reading.n; t++) XN_TRY(add_term(ctx, &reading.term[t], l, id, n, value));
    return XANI_OK;
}

// ---- names

#define DEPTH 6 // groups below each other

typedef struct {
    xn_ctx *ctx;
    const xn_h5 *h5;
    xn_lcls_visit visit;
    void *user;
} walker;

// Groups without shots, and flat data of varying length.
static bool is_other(const char *name)
{
    return strcmp(name, "UserDataCfg") == 0 || strcmp(name, "Sums") == 0 || strncmp(name, "var_", 4) == 0 ||
           strncmp(name, "unaligned_", 10) == 0;
}

static xani_status walk(const walker *w, const char *group, int depth)
{
    char **names = NULL;
    XN_TRY(xn_h5_names(w->ctx, w->h5, group[0] != '\0' ? group : "/", &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        char path[XN_KEY_LENGTH];
        xn_h5_info info;
        if (is_other(names[i])) continue;
        int length = snprintf(path, sizeof path, "%s%s%s", group, group[0] != '\0' ? "/" : "", names[i]);
        if (length >= (int)sizeof path) continue; // no configuration could name it
        st = xn_h5_info_get(w->ctx, w->h5, path, &info);
        if (st == XANI_OK && info.is_group && depth > 0)
            st = walk(w, path, depth - 1);
        else if (st == XANI_OK && !info.is_group && info.rank > 0 && xn_is_number(info.type))
            st = w->visit(w->ctx, path, &info, w->user);
    }
    xn_h5_names_free(names);
    return st;
}

xani_status xn_lcls_each(xn_ctx *ctx, const xn_h5 *h5, xn_lcls_visit visit, void *user)
{
    const walker w = {ctx, h5, visit, user};
    return walk(&w, "", DEPTH);
}

typedef struct {
    const char *wanted;
    char best[XN_KEY_LENGTH];
} nearest;

static xani_status compare(xn_ctx *ctx, const char *path, const xn_h5_info *info, void *user)
{
    nearest *n = user;
    const char *pair[2] = {n->best, path};
    (void)ctx;
    (void)info;
    const char *better =
        n->best[0] != '\0' ? xn_nearest_name(n->wanted, pair, 2) : xn_nearest_name(n->wanted, pair + 1, 1);
    if (better == path) snprintf(n->best, sizeof n->best, "%s", path);
    return XANI_OK;
}

xani_status xn_lcls_no_dataset(xn_ctx *ctx, const xn_lcls *l, const char *name)
{
    nearest n = {.wanted = name};
    for (int i = 0; i < l->n_files; i++) XN_TRY(xn_lcls_each(ctx, l->h5[i], compare, &n));
    char where[512];
    if (l->n_files == 1)
        snprintf(where, sizeof where, "%s has no", l->file[0]);
    else
        snprintf(where, sizeof where, "none of the %d files (%s, ...) has", l->n_files, l->file[0]);
    if (n.best[0] == '\0') return xn_fail(ctx, XANI_ERR_INPUT, "%s dataset %s", where, name);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s dataset %s; the nearest name is %s", where, name, n.best);
}
