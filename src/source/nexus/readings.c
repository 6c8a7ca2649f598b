// SPDX-License-Identifier: BSD-3-Clause
// readings.c -- what NeXus files know about each frame beside its pixels: its id, and one number per frame and dataset.
//
// A dataset of as many rows as its file has frames belongs to them row by row; one of a single number holds for all
// frames of its file (a scan with one file per delay).  Where the file has the frames in others (external links), a
// dataset may stand there, with as many rows as that file has frames.  Further files (input.readings) have ids of their
// own for their rows, in any order.
//
// Id 0 means "no id" in the join; ids that begin with 0 are therefore all counted one higher, here and in further
// files.
#include <stdio.h>
#include <string.h>

#include "source/nexus/nexus.h"

// ---- rows of a dataset in the order of a file's frames

// rows[0] ... for `n` frames of `path`; *found false when it is not there.
typedef struct {
    const char *dataset;
    int64_t column;
    bool found;
    double *value; // owned
} row_values;

static xani_status one_value(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t column, int64_t n,
                             row_values *r)
{
    int64_t size = 0;
    double *all = NULL, sum = 0.0;
    XN_TRY(xn_h5_read_f64(ctx, h5, dataset, &all, &size));
    for (int64_t i = 0; i < size; i++) sum += all[i];
    double one = column == XN_COLUMN_SUM ? sum : column < size ? all[column] : 0.0;
    xn_free(all);
    if (column >= size)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers; column %lld does not exist", xn_h5_path(h5),
                       dataset, (long long)size, (long long)column);
    r->value = xn_alloc((size_t)n, sizeof *r->value);
    if (r->value == NULL) return xn_fail_memory(ctx, dataset, (size_t)n * sizeof *r->value);
    for (int64_t i = 0; i < n; i++) r->value[i] = one;
    return XANI_OK;
}

static xani_status read_here(xn_ctx *ctx, const xn_h5 *h5, int64_t n, row_values *r)
{
    xn_h5_info info;
    char shape[128];
    r->found = xn_h5_exists(h5, r->dataset);
    if (!r->found) return XANI_OK;
    XN_TRY(xn_h5_info_get(ctx, h5, r->dataset, &info));
    if (!info.is_group && (info.rank == 0 || (info.dims[0] == 1 && n != 1)) && xn_is_number(info.type))
        return one_value(ctx, h5, r->dataset, r->column, n, r);
    if (info.is_group || info.rank == 0 || info.dims[0] != n)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; a number for each of the %lld frames is needed",
                       xn_h5_path(h5), r->dataset, info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), (long long)n);
    return xn_channel_values(ctx, h5, r->dataset, r->column, &r->value, &n);
}

// In the files that hold the frames: all of them or none.
static xani_status read_at_home(xn_ctx *ctx, const xn_nx_run *run, int file, row_values *r)
{
    int64_t first = run->file_first[file], n = run->file_first[file + 1] - first;
    double *all = xn_alloc((size_t)xn_max64(n, 1), sizeof *all);
    if (all == NULL) return xn_fail_memory(ctx, r->dataset, (size_t)n * sizeof *all);
    xani_status st = XANI_OK;
    int64_t done = 0;
    for (int i = 0; st == XANI_OK && i < run->n_parts; i++) {
        const xn_nx_part *p = &run->part[i];
        if (p->file != file || p->home == NULL) continue;
        xn_h5 *h5 = NULL;
        row_values here = {.dataset = r->dataset, .column = r->column};
        st = xn_h5_open(ctx, p->home, &h5);
        if (st == XANI_OK) st = read_here(ctx, h5, p->n, &here);
        if (st == XANI_OK && here.found && here.value != NULL && p->n > 0) {
            memcpy(all + (p->first - first), here.value, (size_t)p->n * sizeof *all);
            done += p->n;
        }
        if (st == XANI_OK && !here.found && done > 0)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: has no %s, files before it do", p->home, r->dataset);
        xn_free(here.value);
        xn_h5_close(&h5);
    }
    r->found = st == XANI_OK && done > 0 && done == n;
    if (r->found)
        r->value = all;
    else
        xn_free(all);
    return st;
}

static xani_status read_rows(xn_ctx *ctx, const xn_nx_run *run, int file, row_values *r)
{
    xn_h5 *h5 = NULL;
    XN_TRY(xn_h5_open(ctx, run->file[file], &h5));
    xani_status st = read_here(ctx, h5, run->file_first[file + 1] - run->file_first[file], r);
    xn_h5_close(&h5);
    if (st == XANI_OK && !r->found) st = read_at_home(ctx, run, file, r);
    return st;
}

// ---- ids

static xani_status whole_numbers(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, uint64_t **id, int64_t *n)
{
    xn_h5_info info;
    char shape[128];
    *id = NULL;
    *n = 0;
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    bool whole = !info.is_group && xn_is_number(info.type) && info.type != XN_F32 && info.type != XN_F64;
    if (!whole || info.rank < 1 || info.size != info.dims[0])
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; ids are whole numbers, one per shot", xn_h5_path(h5),
                       dataset, info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims));
    return info.size > 0 ? xn_h5_read_u64(ctx, h5, dataset, id, n) : XANI_OK;
}

// Ids of the frames [first, first + n) from a dataset of so many.
static xani_status ids_here(xn_ctx *ctx, const char *path, const char *dataset, int64_t first, int64_t n, bool *found,
                            xn_nx_run *run)
{
    xn_h5 *h5 = NULL;
    uint64_t *id = NULL;
    int64_t stored = 0;
    xani_status st;
    XN_TRY(xn_h5_open(ctx, path, &h5));
    *found = xn_h5_exists(h5, dataset);
    if (!*found) {
        xn_h5_close(&h5);
        return XANI_OK;
    }
    XN_GOTO(out, st, whole_numbers(ctx, h5, dataset, &id, &stored));
    if (stored != n)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld ids for %lld frames", path, dataset, (long long)stored,
                     (long long)n);
    else if (n > 0)
        memcpy(run->id + first, id, (size_t)n * sizeof *id);
out:
    xn_free(id);
    xn_h5_close(&h5);
    return st;
}

static xani_status ids_of_file(xn_ctx *ctx, const char *dataset, int file, bool *found, xn_nx_run *run)
{
    int64_t first = run->file_first[file], n = run->file_first[file + 1] - first;
    XN_TRY(ids_here(ctx, run->file[file], dataset, first, n, found, run));
    for (int i = 0; !*found && i < run->n_parts; i++) { // all parts have them, or none
        const xn_nx_part *p = &run->part[i];
        bool here = false;
        if (p->file != file || p->home == NULL) continue;
        XN_TRY(ids_here(ctx, p->home, dataset, p->first, p->n, &here, run));
        if (!here) return XANI_OK;
        if (p->first + p->n == first + n) *found = true;
    }
    return XANI_OK;
}

// image_id of the frames' group, where it has one per frame; "" else.
static xani_status find_image_ids(xn_ctx *ctx, const xn_nx_run *run, int file, char path[XN_KEY_LENGTH])
{
    const xn_nx_part *p = run->part;
    xn_h5 *h5 = NULL;
    xn_h5_info info = {0};
    path[0] = '\0';
    while (p->file != file) p++;
    const char *slash = strrchr(p->dataset, '/');
    char name[XN_KEY_LENGTH + 16];
    snprintf(name, sizeof name, "%.*simage_id", slash ? (int)(slash - p->dataset) + 1 : 0, p->dataset);
    XN_TRY(xn_h5_open(ctx, run->file[file], &h5));
    bool there = strlen(name) < XN_KEY_LENGTH && xn_h5_exists(h5, name);
    xani_status st = there ? xn_h5_info_get(ctx, h5, name, &info) : XANI_OK;
    if (there && st == XANI_OK && info.rank == 1 && xn_is_number(info.type) && info.type != XN_F32 &&
        info.type != XN_F64 && info.size == run->file_first[file + 1] - run->file_first[file])
        snprintf(path, XN_KEY_LENGTH, "%s", name);
    xn_h5_close(&h5);
    return st;
}

// Numbers of one series behind those of the series before it, so that they stay apart.
static xani_status default_ids(xn_ctx *ctx, xn_nx_run *run)
{
    uint64_t last = 0;
    for (int f = 0; f < run->n_files; f++) {
        int64_t first = run->file_first[f], end = run->file_first[f + 1];
        char dataset[XN_KEY_LENGTH] = "";
        bool found = false;
        if (run->nxmx && end > first) XN_TRY(find_image_ids(ctx, run, f, dataset));
        if (dataset[0] != '\0') XN_TRY(ids_of_file(ctx, dataset, f, &found, run));
        uint64_t before = last, none = 0;
        for (int64_t i = first; i < end && found; i++) none += run->id[i] == 0;
        for (int64_t i = first; i < end; i++) {
            uint64_t own = found ? run->id[i] + (none > 0) : (uint64_t)(i - first) + 1;
            run->id[i] = before + own;
            last = run->id[i] > last ? run->id[i] : last;
        }
    }
    return XANI_OK;
}

static xani_status stored_ids(xn_ctx *ctx, const xn_config *config, xn_nx_run *run)
{
    const char *dataset = config != NULL ? xn_config_string(config, "input.ids") : NULL;
    run->id = xn_calloc((size_t)run->n, sizeof *run->id);
    if (run->id == NULL) return xn_fail_memory(ctx, "the ids", (size_t)run->n * sizeof *run->id);
    if (dataset == NULL) return default_ids(ctx, run);
    for (int f = 0; f < run->n_files; f++) {
        bool found = run->file_first[f + 1] == run->file_first[f];
        if (!found) XN_TRY(ids_of_file(ctx, dataset, f, &found, run));
        if (!found)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: there is no %s (input.ids), nor in the files it links to",
                           run->file[f], dataset);
    }
    for (int64_t i = 0; i < run->n; i++) run->from_0 = run->from_0 || run->id[i] == 0;
    for (int64_t i = 0; run->from_0 && i < run->n; i++) run->id[i]++;
    if (run->from_0) xn_note(ctx, "%s: ids begin with 0; all are counted one higher", dataset);
    return XANI_OK;
}

xani_status xn_nx_ids(xn_ctx *ctx, const xn_config *config, xn_nx_run *run)
{
    XN_TRY(stored_ids(ctx, config, run));
    run->once = xn_alloc((size_t)run->n, 1);
    if (run->once == NULL) return xn_fail_memory(ctx, "the ids", (size_t)run->n);
    return xn_ids_once(ctx, run->id, run->n, run->once);
}

// ---- further files

static const char *further_ids(const xn_nx_readings *r, int k)
{
    char key[XN_KEY_LENGTH];
    const char *ids = xn_config_string(r->config, xn_key(key, "input.readings[%d].ids", k));
    return ids != NULL ? ids : xn_config_string(r->config, "input.ids");
}

// Ids of all rows of a dataset; NULL as the name: counted from 1.
static xani_status ids_of_rows(xn_ctx *ctx, const xn_nx_readings *r, const xn_h5 *h5, const char *ids,
                               const char *dataset, int64_t rows, uint64_t **id)
{
    int64_t n = 0;
    if (ids != NULL) XN_TRY(whole_numbers(ctx, h5, ids, id, &n));
    if (ids != NULL && n != rows)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld ids, %s %lld rows", xn_h5_path(h5), ids, (long long)n,
                       dataset, (long long)rows);
    if (ids == NULL && (*id = xn_alloc((size_t)xn_max64(rows, 1), sizeof **id)) == NULL)
        return xn_fail_memory(ctx, "the ids", (size_t)rows * sizeof **id);
    for (int64_t i = 0; i < rows; i++) (*id)[i] = ids == NULL ? (uint64_t)i + 1 : (*id)[i] + r->run->from_0;
    return XANI_OK;
}

// The k-th further file, where it holds the dataset; *h5 NULL: it does not.
static xani_status open_further(xn_ctx *ctx, const xn_nx_readings *r, int k, const char *dataset, xn_h5 **h5)
{
    char key[XN_KEY_LENGTH];
    *h5 = NULL;
    XN_TRY(xn_config_require(ctx, r->config, xn_key(key, "input.readings[%d].file", k), "the file of readings"));
    char *path = xn_config_path(r->config, key);
    if (path == NULL) return xn_fail_memory(ctx, key, 1);
    xani_status st = xn_h5_open(ctx, path, h5);
    xn_free(path);
    if (st == XANI_OK && !xn_h5_exists(*h5, dataset)) xn_h5_close(h5);
    return st;
}

static xani_status read_further(xn_ctx *ctx, const xn_nx_readings *r, int k, xn_channel *c)
{
    xn_h5 *h5 = NULL;
    uint64_t *id = NULL;
    double *value = NULL;
    int64_t rows = 0;
    xani_status st;
    XN_GOTO(out, st, open_further(ctx, r, k, c->name, &h5));
    if (h5 == NULL) goto out;
    XN_GOTO(out, st, xn_channel_values(ctx, h5, c->name, c->column, &value, &rows));
    XN_GOTO(out, st, xn_channel_seen(ctx, c, xn_h5_path(h5)));
    XN_GOTO(out, st, ids_of_rows(ctx, r, h5, further_ids(r, k), c->name, rows, &id));
    if (rows > 0) st = xn_channel_add(ctx, c, rows, id, value, NULL);
out:
    xn_free(id);
    xn_free(value);
    xn_h5_close(&h5);
    return xn_context(ctx, st, "input.readings");
}

// ---- the reader of the join

typedef struct {
    const char *wanted;
    char best[XN_KEY_LENGTH];
} nearest;

static xani_status note_nearest(xn_ctx *ctx, void *user, const xn_h5 *h5, const char *dataset, const xn_h5_info *info)
{
    (void)ctx, (void)h5;
    nearest *near = user;
    const char *pair[2] = {dataset, near->best};
    if (info->rank == 0 || info->rank > 2) return XANI_OK;
    const char *name = xn_nearest_name(near->wanted, pair, near->best[0] ? 2 : 1);
    if (name == dataset) snprintf(near->best, sizeof near->best, "%s", dataset);
    return XANI_OK;
}

static xani_status look_nearby(xn_ctx *ctx, const char *path, nearest *near)
{
    xn_h5 *h5 = NULL;
    XN_TRY(xn_h5_open(ctx, path, &h5));
    xani_status st = xn_nx_walk(ctx, h5, note_nearest, near);
    xn_h5_close(&h5);
    return st;
}

static xani_status say_missing(xn_ctx *ctx, const xn_nx_readings *r, const char *name)
{
    char key[XN_KEY_LENGTH];
    nearest near = {.wanted = name};
    int further = xn_config_count(r->config, "input.readings");
    for (int k = 0; k < further; k++) {
        char *path = xn_config_path(r->config, xn_key(key, "input.readings[%d].file", k));
        xani_status st = path != NULL ? look_nearby(ctx, path, &near) : xn_fail_memory(ctx, key, 1);
        xn_free(path);
        if (st != XANI_OK) return st;
    }
    XN_TRY(look_nearby(ctx, r->run->file[0], &near));
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: there is no dataset %s, nor in input.readings%s%s", r->run->file[0], name,
                   near.best[0] ? "; the nearest name is " : "", near.best);
}

xani_status xn_nx_read_channel(xn_ctx *ctx, void *readings, xn_channel *c)
{
    const xn_nx_readings *r = readings;
    const xn_nx_run *run = r->run;
    int further = xn_config_count(r->config, "input.readings");
    for (int k = 0; k < further; k++) XN_TRY(read_further(ctx, r, k, c));
    if (c->n_files > 0) return XANI_OK; // what is configured comes before what is found
    for (int f = 0; f < run->n_files; f++) {
        int64_t first = run->file_first[f], n = run->file_first[f + 1] - first;
        row_values rows = {.dataset = c->name, .column = c->column};
        if (n == 0) continue;
        xani_status st = read_rows(ctx, run, f, &rows);
        if (st == XANI_OK && rows.found) {
            st = xn_channel_seen(ctx, c, run->file[f]);
            if (st == XANI_OK) st = xn_channel_add(ctx, c, n, run->id + first, rows.value, run->once + first);
        } else if (st == XANI_OK && c->n_files > 0) {
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: has no %s, files before it do", run->file[f], c->name);
        }
        xn_free(rows.value);
        if (st != XANI_OK) return st;
    }
    return c->n_files > 0 ? XANI_OK : say_missing(ctx, r, c->name);
}

// ---- traces: of the files themselves; of further files by their ids

static xani_status further_traces(xn_ctx *ctx, const xn_nx_readings *r, int k, xn_trace_sink *sink)
{
    xn_h5 *h5 = NULL;
    xn_h5_info info;
    uint64_t *id = NULL;
    xani_status st;
    XN_GOTO(out, st, open_further(ctx, r, k, sink->name, &h5));
    if (h5 == NULL) goto out;
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, sink->name, &info));
    int64_t rows = !info.is_group && info.rank > 0 ? info.dims[0] : 0;
    XN_GOTO(out, st, ids_of_rows(ctx, r, h5, further_ids(r, k), sink->name, rows, &id));
    st = xn_trace_feed(ctx, h5, sink->name, rows, id, NULL, sink);
out:
    xn_free(id);
    xn_h5_close(&h5);
    return xn_context(ctx, st, "input.readings");
}

xani_status xn_nx_read_traces(xn_ctx *ctx, void *readings, xn_trace_sink *sink)
{
    const xn_nx_readings *r = readings;
    const xn_nx_run *run = r->run;
    int further = xn_config_count(r->config, "input.readings");
    for (int k = 0; k < further; k++) XN_TRY(further_traces(ctx, r, k, sink));
    for (int f = 0; f < run->n_files && (further == 0 || sink->n_files == 0); f++) {
        int64_t first = run->file_first[f], n = run->file_first[f + 1] - first;
        xn_h5 *h5 = NULL;
        if (n == 0) continue;
        XN_TRY(xn_h5_open(ctx, run->file[f], &h5));
        xani_status st = XANI_OK;
        if (xn_h5_exists(h5, sink->name))
            st = xn_trace_feed(ctx, h5, sink->name, n, run->id + first, run->once + first, sink);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return sink->n_files > 0 ? XANI_OK : say_missing(ctx, r, sink->name);
}
