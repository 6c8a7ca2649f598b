// SPDX-License-Identifier: BSD-3-Clause
// channels.c -- beam-synchronous channels of SwissFEL files (formats.md 1.5).
//
// Every channel has its own list of pulse ids, in its own order, with ids missing or repeated.  Id 0 and rows that
// `is_data_present` calls empty are no readings.
#include <stdio.h>
#include <string.h>

#include "source/swissfel/swissfel.h"

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
    xn_h5_info info;
    bool below = xn_h5_exists(h5, "data") && xn_h5_info_get(NULL, h5, "data", &info) == XANI_OK && info.is_group;
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

xani_status xn_sf_missing(xn_ctx *ctx, char *const *files, const char *name)
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

static xani_status check_ids(xn_ctx *ctx, const xn_h5 *h5, const char *data, const char *ids, int64_t rows)
{
    xn_h5_info p;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, ids, &p));
    if (p.type != XN_F32 && p.type != XN_F64 && xn_is_number(p.type) && p.size == rows) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "%s: %s is %s %s; whole numbers, one for each of the %lld rows of %s, are needed", xn_h5_path(h5),
                   ids, xn_type_name(p.type), xn_shape_text(shape, p.rank, p.dims), (long long)rows, data);
}

// Pulse ids of the group, those without data 0; *rows of its data.
static xani_status read_ids(xn_ctx *ctx, const xn_h5 *h5, const char *group, int64_t rows, uint64_t **id)
{
    char data[XN_KEY_LENGTH + 16], ids[XN_KEY_LENGTH + 16], present[XN_KEY_LENGTH + 24];
    snprintf(data, sizeof data, "%s/data", group);
    snprintf(ids, sizeof ids, "%s/pulse_id", group);
    snprintf(present, sizeof present, "%s/is_data_present", group);
    uint8_t *there = NULL;
    int64_t n = 0;
    *id = NULL;
    XN_TRY(check_ids(ctx, h5, data, ids, rows));
    XN_TRY(xn_h5_read_u64(ctx, h5, ids, id, &n));
    if (!xn_h5_exists(h5, present)) return XANI_OK;
    xani_status st = xn_h5_read_u8(ctx, h5, present, &there, &n);
    if (st == XANI_OK && n != rows)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries for %lld pulses", xn_h5_path(h5), present,
                     (long long)n, (long long)rows);
    for (int64_t i = 0; st == XANI_OK && i < rows; i++)
        if (!there[i]) (*id)[i] = 0;
    xn_free(there);
    return st;
}

xani_status xn_sf_append(xn_ctx *ctx, const xn_h5 *h5, xn_channel *c)
{
    char group[XN_KEY_LENGTH], data[XN_KEY_LENGTH + 16];
    if (!xn_sf_group(h5, c->name, group)) return XANI_OK;
    snprintf(data, sizeof data, "%s/data", group);
    double *value = NULL;
    uint64_t *id = NULL;
    int64_t rows = 0;
    xani_status st;
    XN_GOTO(out, st, xn_channel_values(ctx, h5, data, c->column, &value, &rows));
    XN_GOTO(out, st, xn_channel_seen(ctx, c, xn_h5_path(h5)));
    XN_GOTO(out, st, read_ids(ctx, h5, group, rows, &id));
    if (rows > 0) st = xn_channel_add(ctx, c, rows, id, value, NULL);
out:
    xn_free(id);
    xn_free(value);
    return st;
}

static xani_status feed_traces(xn_ctx *ctx, const xn_h5 *h5, xn_trace_sink *sink)
{
    char group[XN_KEY_LENGTH], data[XN_KEY_LENGTH + 16];
    if (!xn_sf_group(h5, sink->name, group)) return XANI_OK;
    snprintf(data, sizeof data, "%s/data", group);
    xn_h5_info d;
    uint64_t *id = NULL;
    XN_TRY(xn_h5_info_get(ctx, h5, data, &d));
    int64_t rows = d.rank > 0 ? d.dims[0] : 0;
    xani_status st = read_ids(ctx, h5, group, rows, &id);
    if (st == XANI_OK) st = xn_trace_feed(ctx, h5, data, rows, id, NULL, sink);
    xn_free(id);
    return st;
}

xani_status xn_sf_read_traces(xn_ctx *ctx, void *input, xn_trace_sink *sink)
{
    const xn_sf_input *in = input;
    for (int i = 0; in->files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        if (xn_sf_is_slow(in->files[i])) continue;
        XN_TRY(xn_h5_open(ctx, in->files[i], &h5));
        xani_status st = feed_traces(ctx, h5, sink);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return sink->n_files > 0 ? XANI_OK : xn_sf_missing(ctx, in->files, sink->name);
}

xani_status xn_sf_add_frames(xn_ctx *ctx, xn_channel *c, const xn_sf_detector *d, const double *value, uint8_t *there)
{
    uint8_t *once = xn_alloc((size_t)d->n, 1);
    if (once == NULL) return xn_fail_memory(ctx, c->name, (size_t)d->n);
    xani_status st = xn_ids_once(ctx, d->pulse_id, d->n, once);
    for (int64_t i = 0; i < d->n; i++) there[i] = there[i] && once[i];
    if (st == XANI_OK) st = xn_channel_add(ctx, c, d->n, d->pulse_id, value, there);
    xn_free(once);
    return st;
}

xani_status xn_sf_read_channel(xn_ctx *ctx, void *input, xn_channel *c)
{
    const xn_sf_input *in = input;
    if (in->scan != NULL && xn_sf_scan_is(c->name)) return xn_sf_scan_read(ctx, in->scan, in->detector, c);
    for (int i = 0; in->files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        if (xn_sf_is_slow(in->files[i])) continue;
        XN_TRY(xn_h5_open(ctx, in->files[i], &h5));
        xani_status st = xn_sf_append(ctx, h5, c);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    if (c->n_files == 0 && in->detector != NULL) XN_TRY(xn_sf_slow_read(ctx, in, c));
    return c->n_files > 0 ? XANI_OK : xn_sf_missing(ctx, in->files, c->name);
}
