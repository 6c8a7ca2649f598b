// SPDX-License-Identifier: BSD-3-Clause
// channels.c -- readings of PAL-XFEL shots by timestamp: columns of the metadata, waveforms, other data frames.
//
// One file per scan point: what a file lacks, another may have, but a name that no file holds is an error.  The columns
// of a file's metadata are listed once, since there are hundreds of them in hundreds of files.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/pal/pal.h"

#define RATE "timestamp_info.RATE_"

// ---- files

// Newer files have /metadata; older ones hold one data frame, by whatever name.
bool xn_pal_metadata(xn_ctx *ctx, const xn_h5 *h5, char group[XN_KEY_LENGTH])
{
    char **root = NULL;
    int found = 0;
    snprintf(group, XN_KEY_LENGTH, "metadata");
    if (xn_pd_is_frame(ctx, h5, group)) return true;
    if (xn_h5_names(ctx, h5, "/", &root) != XANI_OK) return false;
    for (size_t i = 0; root[i] != NULL; i++) {
        if (strlen(root[i]) >= XN_KEY_LENGTH || !xn_pd_is_frame(ctx, h5, root[i])) continue;
        if (found++ == 0) snprintf(group, XN_KEY_LENGTH, "%s", root[i]);
    }
    xn_h5_names_free(root);
    return found == 1;
}

// Takes files that cannot be opened off the list.
static void drop_unreadable(xn_ctx *ctx, char **files)
{
    int kept = 0;
    for (int i = 0; files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        bool good = xn_h5_open(ctx, files[i], &h5) == XANI_OK;
        xn_h5_close(&h5);
        if (good) {
            files[kept++] = files[i];
            continue;
        }
        xn_warn(ctx, "left out: %s", xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_free(files[i]);
    }
    files[kept] = NULL;
}

xani_status xn_pal_files_open(xn_ctx *ctx, char **files, bool skip, xn_pal_files *run)
{
    memset(run, 0, sizeof *run);
    if (skip) drop_unreadable(ctx, files);
    run->file = files;
    while (files[run->n] != NULL) run->n++;
    if (run->n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "input.files: none of them can be read");
    run->metadata = xn_calloc((size_t)run->n, sizeof *run->metadata);
    if (run->metadata == NULL) return xn_fail_memory(ctx, "the input files", (size_t)run->n * sizeof *run->metadata);
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < run->n; i++) {
        char group[XN_KEY_LENGTH];
        xn_h5 *h5 = NULL;
        st = xn_h5_open(ctx, files[i], &h5);
        if (st == XANI_OK && xn_pal_metadata(ctx, h5, group)) st = xn_pd_open(ctx, h5, group, &run->metadata[i]);
        xn_h5_close(&h5);
    }
    return st;
}

void xn_pal_files_close(xn_pal_files *run)
{
    for (int i = 0; run->metadata != NULL && i < run->n; i++) xn_pd_close(&run->metadata[i]);
    xn_free(run->metadata);
    memset(run, 0, sizeof *run);
}

// ---- one file

static xani_status append_column(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *f, const xn_pd_column *column,
                                 xn_channel *c)
{
    double *value = NULL;
    uint64_t *id = NULL;
    xani_status st;
    if (c->column > 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %s is one number per shot; column %lld does not exist",
                       xn_h5_path(h5), f->group, column->name, (long long)c->column);
    XN_GOTO(out, st, xn_channel_seen(ctx, c, xn_h5_path(h5)));
    XN_GOTO(out, st, xn_pd_read(ctx, h5, f, column, &value));
    XN_GOTO(out, st, xn_pd_index(ctx, h5, f, &id));
    st = xn_channel_add(ctx, c, f->n, id, value, NULL);
out:
    xn_free(id);
    xn_free(value);
    return st;
}

// Rows of numbers of a data frame whose columns have no names of their own.
static xani_status append_waveform(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *f, xn_channel *c)
{
    char path[XN_KEY_LENGTH + 64];
    double *value = NULL;
    uint64_t *id = NULL;
    int64_t n = 0;
    xani_status st;
    if (f->table || f->n_blocks != 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %d blocks of columns; name a column: %s/COLUMN", xn_h5_path(h5),
                       f->group, f->n_blocks, f->group);
    XN_TRY(xn_channel_seen(ctx, c, xn_h5_path(h5)));
    if (f->n == 0) return XANI_OK;
    snprintf(path, sizeof path, "%s/%s", f->group, f->block[0].name);
    XN_GOTO(out, st, xn_channel_values(ctx, h5, path, c->column, &value, &n));
    XN_GOTO(out, st, xn_pd_index(ctx, h5, f, &id));
    st = xn_channel_add(ctx, c, f->n, id, value, NULL);
out:
    xn_free(id);
    xn_free(value);
    return st;
}

// The data frame at the name, or at its folder with the rest as a column.
static xani_status append_frame(xn_ctx *ctx, const xn_h5 *h5, xn_channel *c, bool *done)
{
    char group[XN_KEY_LENGTH];
    snprintf(group, sizeof group, "%s", c->name[0] == '/' ? c->name + 1 : c->name);
    size_t n = strlen(group);
    if (n > 14 && strcmp(group + n - 14, "/block0_values") == 0) group[n - 14] = '\0';
    xn_pd_frame f;
    xani_status st = XANI_OK;
    *done = xn_pd_is_frame(ctx, h5, group);
    if (*done) {
        XN_TRY(xn_pd_open(ctx, h5, group, &f));
        st = append_waveform(ctx, h5, &f, c);
        xn_pd_close(&f);
        return st;
    }
    for (char *slash = strrchr(group, '/'); slash != NULL && !*done && st == XANI_OK; slash = strrchr(group, '/')) {
        *slash = '\0';
        if (!xn_pd_is_frame(ctx, h5, group)) continue;
        XN_TRY(xn_pd_open(ctx, h5, group, &f));
        const char *rest = c->name + (c->name[0] == '/') + strlen(group) + 1;
        const xn_pd_column *column = xn_pd_column_named(&f, rest);
        *done = column != NULL;
        if (*done) st = append_column(ctx, h5, &f, column, c);
        xn_pd_close(&f);
    }
    return st;
}

// Rayonix: arrays beside the frames, by row.
static xani_status append_rows(xn_ctx *ctx, const xn_h5 *h5, const char *group, int64_t first, xn_channel *c)
{
    char path[2 * XN_KEY_LENGTH];
    double *value = NULL;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/%s", group, c->name);
    if (!xn_h5_exists(h5, path)) return XANI_OK;
    XN_TRY(xn_channel_values(ctx, h5, path, c->column, &value, &n));
    uint64_t *id = xn_alloc((size_t)xn_max64(n, 1), sizeof *id);
    xani_status st = id != NULL ? xn_channel_seen(ctx, c, xn_h5_path(h5)) : xn_fail_memory(ctx, path, (size_t)n * 8);
    for (int64_t i = 0; id != NULL && i < n; i++) id[i] = (uint64_t)(first + i + 1);
    if (st == XANI_OK) st = xn_channel_add(ctx, c, n, id, value, NULL);
    xn_free(id);
    xn_free(value);
    return st;
}

xani_status xn_pal_append(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *metadata, int64_t first_row, xn_channel *c)
{
    char group[XN_KEY_LENGTH];
    bool done = false;
    const xn_pd_column *column = metadata->group[0] != '\0' ? xn_pd_column_named(metadata, c->name) : NULL;
    if (column != NULL) return append_column(ctx, h5, metadata, column, c);
    XN_TRY(append_frame(ctx, h5, c, &done));
    return !done && xn_pal_rayonix(ctx, h5, group) ? append_rows(ctx, h5, group, first_row, c) : XANI_OK;
}

// ---- all files

// Rows of Rayonix frames of a file.
static xani_status count_rows(xn_ctx *ctx, const xn_h5 *h5, int64_t *n)
{
    char group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 32];
    xn_h5_info info;
    *n = 0;
    if (!xn_pal_rayonix(ctx, h5, group)) return XANI_OK;
    snprintf(path, sizeof path, "%s/raymx_data", group);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    *n = info.rank > 0 ? info.dims[0] : 0;
    return XANI_OK;
}

static xani_status missing(xn_ctx *ctx, const xn_pal_files *run, const char *name)
{
    const char *best = NULL;
    for (int i = 0; i < run->n; i++) {
        const xn_pd_frame *f = &run->metadata[i];
        const char **names = xn_calloc((size_t)f->n_columns + 1, sizeof *names);
        if (names == NULL) break;
        size_t n = 0;
        for (int k = 0; k < f->n_columns; k++) names[n++] = f->column[k].name;
        if (best != NULL) names[n++] = best;
        const char *nearest = xn_nearest_name(name, names, n);
        if (nearest != NULL) best = nearest;
        xn_free((void *)names);
    }
    return xn_fail(ctx, XANI_ERR_INPUT, "none of the %d files (%s, ...) has channel %s%s%s", run->n, run->file[0], name,
                   best != NULL ? "; the nearest column of the metadata is " : "", best != NULL ? best : "");
}

xani_status xn_pal_read_channel(xn_ctx *ctx, void *user, xn_channel *c)
{
    const xn_pal_files *run = user;
    int64_t first = 0;
    for (int i = 0; i < run->n; i++) {
        xn_h5 *h5 = NULL;
        int64_t rows = 0;
        XN_TRY(xn_h5_open(ctx, run->file[i], &h5));
        xani_status st = xn_pal_append(ctx, h5, &run->metadata[i], first, c);
        if (st == XANI_OK) st = count_rows(ctx, h5, &rows);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
        first += rows;
    }
    return c->n_files > 0 ? XANI_OK : missing(ctx, run, c->name);
}

// ---- laser

// {codes: [30]} are rates; hard or soft X-rays as the columns have it.
xani_status xn_pal_laser(xn_ctx *ctx, const xn_config *config, const xn_pal_files *run, xn_laser_rule *rule)
{
    char pattern[64] = RATE "HX_#HZ";
    memset(rule, 0, sizeof *rule);
    for (int i = 0; i < run->n; i++)
        for (int k = 0; k < run->metadata[i].n_columns; k++)
            if (strncmp(run->metadata[i].column[k].name, RATE "SX_", sizeof RATE + 2) == 0)
                snprintf(pattern, sizeof pattern, RATE "SX_#HZ");
    return xn_laser_rule_load(ctx, config, pattern, rule);
}
