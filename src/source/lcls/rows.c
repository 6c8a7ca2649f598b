// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- the shot ids of the rows of small data files: see lcls.h (formats.md 1.1, 1.3).
//
//   LCLS-I    event_time, or before 2018 EvtID/time (sec, nsec); fiducials, EvtID/fid beside them
//   LCLS-II   timestamp, in any order; GROUP/timestamp for detectors that integrate over several shots
// An id is sec << 32 | nsec.  Nanoseconds need 30 bits: of events with the same time and different fiducials, which are
// different events, the second and later ones are told apart by the two bits left over.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/lcls/lcls.h"

#define NSEC_BITS 30

uint64_t xn_lcls_ns(uint64_t id) { return (id >> 32) * 1000000000u + (id & ((1u << NSEC_BITS) - 1)); }

bool xn_lcls_is(const xn_h5 *h5, bool *second)
{
    bool first = xn_h5_exists(h5, "event_time") || xn_h5_exists(h5, "EvtID/time");
    *second = !first && xn_h5_exists(h5, "timestamp");
    return first || *second;
}

// ---- files

static xani_status open_file(xn_ctx *ctx, const xn_lcls *l, int i)
{
    bool second = false;
    XN_TRY(xn_h5_open(ctx, l->file[i], &l->h5[i]));
    if (xn_lcls_is(l->h5[i], &second) && second == l->second) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: is no small data of %s: it has no %s", l->file[i],
                   l->second ? "LCLS-II" : "LCLS-I", l->second ? "timestamp" : "event_time and no EvtID/time");
}

xani_status xn_lcls_open(xn_ctx *ctx, bool second, char **files, xn_lcls *l)
{
    *l = (xn_lcls){.second = second, .file = files};
    int n = 0;
    while (files[n] != NULL) n++;
    l->h5 = xn_calloc((size_t)n + 1, sizeof(xn_h5 *));
    if (l->h5 == NULL) return xn_fail_memory(ctx, "the files", (size_t)n * sizeof(xn_h5 *));
    l->n_files = n;
    for (int i = 0; i < n; i++) XN_TRY(open_file(ctx, l, i));
    return XANI_OK;
}

static void free_rows(xn_lcls_rows *r)
{
    xn_free(r->first);
    xn_free(r->id);
    xn_free(r->again);
    xn_free(r->event);
    memset(r, 0, sizeof *r);
}

void xn_lcls_close(xn_lcls *l)
{
    for (int i = 0; i < l->n_files; i++) xn_h5_close(&l->h5[i]);
    for (int i = 0; i < l->n_groups; i++) free_rows(&l->rows[i]);
    xn_free(l->h5);
    memset(l, 0, sizeof *l);
}

// ---- rows of one file

typedef struct {
    uint64_t id;
    int64_t fiducial, row; // row of all files
} event;

// Whole numbers of a dataset (rows, ...); *columns of each row.
static xani_status read_numbers(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t **v, int64_t *rows,
                                int64_t *columns)
{
    xn_h5_info info;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    bool whole = !info.is_group && xn_is_number(info.type) && info.type != XN_F32 && info.type != XN_F64;
    if (!whole || info.rank < 1 || info.rank > 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; whole numbers, one per event, are needed", xn_h5_path(h5),
                       dataset, info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims));
    *rows = info.dims[0];
    *columns = info.rank == 2 ? info.dims[1] : 1;
    if (info.size == 0) return XANI_OK;
    if (info.type != XN_U64) return xn_h5_read_i64(ctx, h5, dataset, v, &info.size);
    uint64_t *u = NULL;
    XN_TRY(xn_h5_read_u64(ctx, h5, dataset, &u, &info.size));
    *v = (int64_t *)(void *)u; // times are below 2^63, and what is not is no time
    return XANI_OK;
}

static xani_status read_times(xn_ctx *ctx, const xn_h5 *h5, const char *group, int64_t **time, int64_t *rows)
{
    char path[96];
    bool old = group[0] == '\0' && !xn_h5_exists(h5, "event_time") && xn_h5_exists(h5, "EvtID/time");
    bool first = group[0] == '\0' && xn_h5_exists(h5, "event_time");
    snprintf(path, sizeof path, "%s%s%s", group, group[0] ? "/" : "",
             first ? "event_time"
             : old ? "EvtID/time"
                   : "timestamp");
    int64_t columns = 0, *v = NULL;
    XN_TRY(read_numbers(ctx, h5, path, &v, rows, &columns));
    *time = v;
    if (columns != (old ? 2 : 1))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers per event, not %d", xn_h5_path(h5), path,
                       (long long)columns, old ? 2 : 1);
    for (int64_t i = 0; v != NULL && i < *rows; i++) { // in place: pairs are read before they are written over
        int64_t t = old ? (v[2 * i] > 0 && v[2 * i + 1] >= 0 ? v[2 * i] << 32 | v[2 * i + 1] : 0) : v[i];
        v[i] = t > 0 ? t : 0;
    }
    return XANI_OK;
}

static xani_status read_fiducials(xn_ctx *ctx, const xn_h5 *h5, const char *group, int64_t rows, int64_t **fiducial)
{
    const char *path = xn_h5_exists(h5, "fiducials") ? "fiducials" : "EvtID/fid";
    int64_t n = 0, columns = 0;
    if (group[0] != '\0' || !xn_h5_exists(h5, path)) return XANI_OK;
    XN_TRY(read_numbers(ctx, h5, path, fiducial, &n, &columns));
    if (n == rows && columns == 1) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld rows of %lld, there are %lld event times", xn_h5_path(h5),
                   path, (long long)n, (long long)columns, (long long)rows);
}

static bool has_group(const xn_h5 *h5, const char *group)
{
    char path[96];
    bool second;
    if (group[0] == '\0') return xn_lcls_is(h5, &second);
    snprintf(path, sizeof path, "%s/timestamp", group);
    return xn_h5_exists(h5, path);
}

// Adds the file's rows to e (made larger).
static xani_status add_file(xn_ctx *ctx, const xn_lcls *l, int number, xn_lcls_rows *r, event **e)
{
    const xn_h5 *h5 = l->h5[number];
    int64_t *time = NULL, *fiducial = NULL, n = 0;
    xani_status st = XANI_OK;
    if (!has_group(h5, r->group)) goto out;
    XN_GOTO(out, st, read_times(ctx, h5, r->group, &time, &n));
    XN_GOTO(out, st, read_fiducials(ctx, h5, r->group, n, &fiducial));
    event *p = xn_realloc(*e, (size_t)(r->n + n + 1), sizeof *p);
    if (p == NULL) {
        st = xn_fail_memory(ctx, "the events", (size_t)(r->n + n) * sizeof *p);
        goto out;
    }
    *e = p;
    for (int64_t i = 0; time != NULL && i < n; i++)
        p[r->n + i] = (event){(uint64_t)time[i], fiducial != NULL ? fiducial[i] : 0, r->n + i};
    r->n += n;
out:
    r->first[number + 1] = r->n;
    xn_free(time);
    xn_free(fiducial);
    return st;
}

// ---- all files

static int by_event(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    if (x->fiducial != y->fiducial) return x->fiducial < y->fiducial ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int file_of(const xn_lcls *l, const xn_lcls_rows *r, int64_t row)
{
    int i = 0;
    while (i + 1 < l->n_files && row >= r->first[i + 1]) i++;
    return i;
}

static xani_status number_events(xn_ctx *ctx, const xn_lcls *l, event *e, xn_lcls_rows *r)
{
    r->id = xn_calloc((size_t)r->n + 1, sizeof *r->id);
    r->again = xn_calloc((size_t)r->n + 1, 1);
    if (r->id == NULL || r->again == NULL) return xn_fail_memory(ctx, "the events", (size_t)r->n * 9);
    if (e == NULL) return XANI_OK; // no file has any
    qsort(e, (size_t)r->n, sizeof *e, by_event);
    uint64_t others = 0; // fiducials of this time before
    for (int64_t i = 0; i < r->n; i++) {
        bool same_time = i > 0 && e[i].id != 0 && e[i].id == e[i - 1].id;
        bool same = same_time && e[i].fiducial == e[i - 1].fiducial;
        others = same_time ? others + !same : 0;
        if (others > 3)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: more than four events have the time %llu", l->file[0],
                           (unsigned long long)e[i].id);
        r->id[e[i].row] = e[i].id | others << NSEC_BITS;
        r->again[e[i].row] = same && file_of(l, r, e[i].row) == file_of(l, r, e[i - 1].row);
    }
    return XANI_OK;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// The different events and their usual distance.
static xani_status list_events(xn_ctx *ctx, xn_lcls_rows *r, const event *e)
{
    r->event = xn_alloc((size_t)r->n + 1, sizeof *r->event);
    uint64_t *ns = xn_alloc((size_t)r->n + 1, sizeof *ns);
    if (r->event == NULL || ns == NULL) {
        xn_free(ns);
        return xn_fail_memory(ctx, "the events", (size_t)r->n * 16);
    }
    for (int64_t i = 0; e != NULL && i < r->n; i++) {
        uint64_t id = r->id[e[i].row];
        if (id == 0 || (r->events > 0 && r->event[r->events - 1] == id)) continue;
        ns[r->events] = xn_lcls_ns(id);
        r->event[r->events++] = id;
    }
    for (int64_t i = 0; i + 1 < r->events; i++) ns[i] = ns[i + 1] - ns[i];
    if (r->events > 1) {
        qsort(ns, (size_t)r->events - 1, sizeof *ns, by_size);
        r->step_ns = ns[(r->events - 1) / 2];
    }
    xn_free(ns);
    return XANI_OK;
}

uint64_t xn_lcls_later(const void *of, uint64_t id, int64_t shots)
{
    const xn_lcls_rows *r = of;
    int64_t want = (int64_t)xn_lcls_ns(id) + shots * (int64_t)r->step_ns, lo = 0, hi = r->events;
    while (lo < hi) { // the first event that is not before
        int64_t middle = lo + (hi - lo) / 2;
        if ((int64_t)xn_lcls_ns(r->event[middle]) < want)
            lo = middle + 1;
        else
            hi = middle;
    }
    uint64_t best = 0;
    int64_t least = (int64_t)r->step_ns / 2;
    for (int64_t i = xn_max64(lo - 1, 0); i <= lo && i < r->events; i++) {
        int64_t away = llabs((int64_t)xn_lcls_ns(r->event[i]) - want);
        if (away > least) continue;
        least = away;
        best = r->event[i];
    }
    return best;
}

static xani_status read_rows(xn_ctx *ctx, const xn_lcls *l, xn_lcls_rows *r)
{
    event *e = NULL;
    r->first = xn_calloc((size_t)l->n_files + 1, sizeof *r->first);
    if (r->first == NULL) return xn_fail_memory(ctx, "the events", (size_t)l->n_files * sizeof *r->first);
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < l->n_files; i++) st = add_file(ctx, l, i, r, &e);
    if (st == XANI_OK) st = number_events(ctx, l, e, r);
    if (st == XANI_OK) st = list_events(ctx, r, e);
    xn_free(e);
    return st;
}

// True when the group's times count its rows. A detector may have a field `timestamp` too, one value per event.
static bool counts_rows(xn_ctx *ctx, const xn_h5 *h5, const char *group)
{
    char path[96];
    xn_h5_info own, all;
    if (!has_group(h5, group)) return false;
    if (strncmp(group, "intg", 4) == 0) return true;
    snprintf(path, sizeof path, "%s/timestamp", group);
    bool both = xn_h5_info_get(ctx, h5, path, &own) == XANI_OK && xn_h5_info_get(ctx, h5, "timestamp", &all) == XANI_OK;
    return both && own.rank == 1 && all.rank == 1 && own.dims[0] != all.dims[0];
}

// The group whose rows a dataset has: its first folder where some file has times there.
static void group_of(xn_ctx *ctx, const xn_lcls *l, const char *path, char group[64])
{
    size_t n = strcspn(path, "/");
    group[0] = '\0';
    if (!l->second || path[n] == '\0' || n >= 64) return;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)n, path);
    for (int i = 0; i < l->n_files; i++)
        if (counts_rows(ctx, l->h5[i], name)) memcpy(group, name, sizeof name);
}

xani_status xn_lcls_rows_of(xn_ctx *ctx, xn_lcls *l, const char *path, const xn_lcls_rows **rows)
{
    char group[64];
    group_of(ctx, l, path, group);
    for (int i = 0; i < l->n_groups; i++) {
        *rows = &l->rows[i];
        if (strcmp(l->rows[i].group, group) == 0) return XANI_OK;
    }
    if (l->n_groups == XN_LCLS_GROUPS)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: readings of more than %d groups with times of their own", l->file[0],
                       XN_LCLS_GROUPS);
    xn_lcls_rows *r = &l->rows[l->n_groups];
    memcpy(r->group, group, sizeof group);
    xani_status st = read_rows(ctx, l, r);
    if (st == XANI_OK)
        l->n_groups++;
    else
        free_rows(r);
    *rows = r;
    return st;
}
