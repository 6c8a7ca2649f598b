// SPDX-License-Identifier: BSD-3-Clause
// frames.c -- frames of NeXus files as one row: files in the order of their names, datasets of a file in theirs.
//
// Datasets have the axes (n, y, x), (n, module, y, x), modules then stacked along y, or (n, channel, y, x), of which
// one channel is read; which it is, the axes' names say (formats.md 2).
//
// What is no number of photons: in an NXmx file the largest number of the type says "no data", and data above
// saturation_value are known to be invalid (nexusformat/definitions, NXdetector); of signed types the least one too.
// Such values become the largest number again, which counts as invalid further on because no pixel holds 8192 photons
// in a shot; where a unit is so little of a photon that it could be one, frames are read as floats with NaN instead.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/nexus/nexus.h"

#define PHOTONS_IMPOSSIBLE 16384.0 // twice what kernel/calib.h takes

// ---- axes

// The channel that is read; the axis must be the second.
static xani_status choose_channel(xn_ctx *ctx, const xn_config *config, const xn_h5 *h5, const char *group,
                                  xn_nx_run *run)
{
    char path[XN_KEY_LENGTH + 16], **names = NULL;
    const char *wanted = config != NULL ? xn_config_string(config, "input.channel") : NULL;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/channel", group);
    if (xn_h5_exists(h5, path)) XN_TRY(xn_h5_read_strings(ctx, h5, path, &names, &n));
    if (n != run->n_channels) {
        xn_h5_names_free(names);
        names = NULL;
        n = 0;
    }
    run->channel = wanted == NULL ? 0 : -1;
    for (int64_t i = 0; wanted != NULL && i < n; i++)
        if (strcmp(names[i], wanted) == 0) run->channel = i;
    char *end = NULL;
    long long number = wanted != NULL && run->channel < 0 ? strtoll(wanted, &end, 10) : -1;
    if (end != NULL && end != wanted && *end == '\0' && number >= 0 && number < run->n_channels) run->channel = number;
    xani_status st = XANI_OK;
    if (run->channel < 0) {
        const char *near = xn_nearest_name(wanted, (const char *const *)names, (size_t)n);
        st = xn_config_bad(ctx, config, "input.channel", "%s: %s has no channel %s%s%s", xn_h5_path(h5), group, wanted,
                           near ? "; the nearest name is " : "", near ? near : "");
    }
    if (st == XANI_OK && n > 0) snprintf(run->channel_name, sizeof run->channel_name, "%s", names[run->channel]);
    if (st == XANI_OK && config != NULL && wanted == NULL && run->n_channels > 1)
        xn_note(ctx, "%s: the first of %lld channels is read%s%s (input.channel)", xn_h5_path(h5),
                (long long)run->n_channels, n > 0 ? ": " : "", run->channel_name);
    xn_h5_names_free(names);
    return st;
}

// Looks at the axes of the first dataset.
static xani_status find_channels(xn_ctx *ctx, const xn_config *config, const xn_h5 *h5, const char *dataset, int rank,
                                 const int64_t *dims, xn_nx_run *run)
{
    char group[XN_KEY_LENGTH], **axes = NULL;
    int64_t n = 0;
    const char *slash = strrchr(dataset, '/');
    snprintf(group, sizeof group, "%.*s", slash ? (int)(slash - dataset) : 0, dataset);
    bool channels = false;
    if (rank == 4) {
        xani_status st = xn_h5_read_attr_texts(ctx, h5, group[0] ? group : "/", "axes", &axes, &n);
        if (st == XANI_ERR_MEMORY) return st;
        if (st != XANI_OK) xn_clear_error(ctx); // none: a stack of modules
        channels = n == rank && strcmp(axes[1], "channel") == 0;
    }
    xn_h5_names_free(axes);
    run->n_channels = channels ? dims[1] : 0;
    if (channels) return choose_channel(ctx, config, h5, group, run);
    if (config == NULL || !xn_config_has(config, "input.channel")) return XANI_OK;
    return xn_config_bad(ctx, config, "input.channel", "%s: %s has no axis of channels", xn_h5_path(h5), dataset);
}

// ---- parts

// The shape of the frames, or that they have it too.
static xani_status check_shape(xn_ctx *ctx, const xn_config *config, const xn_h5 *h5, const xn_nx_part *p,
                               xn_nx_run *run)
{
    const xn_array_info *a = xn_array_get_info(p->array);
    char shape[128];
    bool first = p == run->part;
    if (first) {
        run->rank = a->rank;
        run->type = a->type;
        XN_TRY(find_channels(ctx, config, h5, p->dataset, a->rank, a->dims, run));
    }
    int64_t modules = 1, nx = a->dims[a->rank - 1];
    for (int k = 1; k < a->rank - 2; k++) modules *= k == 1 && run->n_channels > 0 ? 1 : a->dims[k];
    int64_t ny = modules * a->dims[a->rank - 2];
    if (first) {
        run->modules = modules;
        run->ny = ny;
        run->nx = nx;
        snprintf(run->filters, sizeof run->filters, "%s", a->filters);
    }
    bool same = a->rank == run->rank && a->type == run->type && ny == run->ny && nx == run->nx &&
                modules == run->modules && (run->n_channels == 0 || a->dims[1] == run->n_channels);
    if (same && ny > 0 && nx > 0) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s, the frames before it are %s (%lld, %lld)", xn_h5_path(h5),
                   p->dataset, xn_type_name(a->type), xn_shape_text(shape, a->rank, a->dims), xn_type_name(run->type),
                   (long long)run->ny, (long long)run->nx);
}

static xani_status open_part(xn_ctx *ctx, const xn_config *config, const xn_h5 *h5, int file, const char *dataset,
                             xn_nx_run *run)
{
    xn_array_options how = {.reader = config ? xn_config_string(config, "engine.reader") : NULL,
                            .depth = config ? (int)xn_config_int(config, "engine.read_depth") : 0};
    xn_nx_part *p = xn_realloc(run->part, (size_t)run->n_parts + 1, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the list of datasets", (size_t)(run->n_parts + 1) * sizeof *p);
    run->part = p;
    p += run->n_parts++;
    *p = (xn_nx_part){.file = file, .dataset = xn_strdup(dataset), .first = run->n};
    if (p->dataset == NULL) return xn_fail_memory(ctx, "a name", strlen(dataset));
    XN_TRY(xn_h5_external(ctx, h5, dataset, &p->home));
    const char *path = xn_h5_path(h5);
    XN_TRY(xn_array_open(ctx, &path, 1, dataset, &how, &p->array));
    const xn_array_info *a = xn_array_get_info(p->array);
    XN_TRY(check_shape(ctx, config, h5, p, run));
    p->n = a->dims[0];
    p->together = a->chunked_rows;
    p->stored_bytes = a->stored_bytes;
    run->n += p->n;
    return XANI_OK;
}

static xani_status open_file(xn_ctx *ctx, const xn_config *config, int file, xn_nx_run *run)
{
    xn_h5 *h5 = NULL;
    char **datasets = NULL;
    xani_status st;
    XN_TRY(xn_h5_open(ctx, run->file[file], &h5));
    XN_GOTO(out, st,
            xn_nx_find_frames(ctx, h5, run->nxmx, config ? xn_config_string(config, "input.frames") : NULL, &datasets));
    for (int i = 0; datasets != NULL && datasets[i] != NULL; i++)
        XN_GOTO(out, st, open_part(ctx, config, h5, file, datasets[i], run));
    run->file_first[file + 1] = run->n;
    if (datasets == NULL)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: holds no frames (n, y, x) of numbers%s", run->file[file],
                     run->nxmx ? " at entry/data; input.frames can name a dataset" : " of 16 x 16 pixels or more");
out:
    xn_h5_names_free(datasets);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_nx_open(xn_ctx *ctx, const xn_config *config, char *const *files, xn_nx_run *run)
{
    while (files[run->n_files] != NULL) run->n_files++;
    run->file = xn_calloc((size_t)run->n_files + 1, sizeof *run->file);
    run->file_first = xn_calloc((size_t)run->n_files + 1, sizeof *run->file_first);
    if (run->file == NULL || run->file_first == NULL) return xn_fail_memory(ctx, "the files", 16);
    for (int i = 0; i < run->n_files; i++) {
        run->file[i] = xn_strdup(files[i]);
        if (run->file[i] == NULL) return xn_fail_memory(ctx, "a file name", strlen(files[i]));
    }
    for (int i = 0; i < run->n_files; i++) XN_TRY(open_file(ctx, config, i, run));
    if (run->n > 0) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s holds no frames", run->file[0], run->part[0].dataset);
}

void xn_nx_close(xn_nx_run *run)
{
    for (int i = 0; i < run->n_parts; i++) {
        xn_array_close(&run->part[i].array);
        xn_free(run->part[i].dataset);
        xn_free(run->part[i].home);
    }
    xn_h5_names_free(run->file);
    xn_free(run->part);
    xn_free(run->file_first);
    xn_free(run->id);
    xn_free(run->once);
    memset(run, 0, sizeof *run);
}

// ---- values that are none

double xn_nx_largest(xn_type type)
{
    switch (type) {
    case XN_I8:
        return INT8_MAX;
    case XN_U8:
        return UINT8_MAX;
    case XN_I16:
        return INT16_MAX;
    case XN_U16:
        return UINT16_MAX;
    case XN_I32:
        return INT32_MAX;
    case XN_U32:
        return UINT32_MAX;
    case XN_I64:
        return (double)INT64_MAX;
    case XN_U64:
        return (double)UINT64_MAX;
    default:
        return INFINITY;
    }
}

xn_type xn_nx_read_type(xn_nx_run *run, double photons_per_unit)
{
    if (!run->limited) return run->type;
    run->widened = xn_nx_largest(run->type) * photons_per_unit < PHOTONS_IMPOSSIBLE;
    return !run->widened ? run->type : xn_type_size(run->type) <= 2 ? XN_F32 : XN_F64;
}

// Values outside the limits become the largest one, or, read from the tail of the same memory, NaN of a wider type.
#define MARK(T, most)                                                                                                  \
    do {                                                                                                               \
        T *v = dst;                                                                                                    \
        for (int64_t i = 0; i < n; i++) v[i] = (double)v[i] > hi || (double)v[i] < lo ? (T)(most) : v[i];              \
    } while (0)
#define WIDEN(T, W)                                                                                                    \
    do {                                                                                                               \
        W *to = dst;                                                                                                   \
        const T *v = (const T *)((const char *)dst + (size_t)n * (sizeof(W) - sizeof(T)));                             \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T one;                                                                                                     \
            memcpy(&one, v + i, sizeof one);                                                                           \
            to[i] = (double)one > hi || (double)one < lo ? (W)NAN : (W)one;                                            \
        }                                                                                                              \
    } while (0)
#define LIMIT(T, W, most)                                                                                              \
    do {                                                                                                               \
        if (run->widened)                                                                                              \
            WIDEN(T, W);                                                                                               \
        else                                                                                                           \
            MARK(T, most);                                                                                             \
    } while (0)

static void limit(const xn_nx_run *run, int64_t n, void *dst)
{
    double lo = run->lowest, hi = run->highest;
    switch (run->type) {
    case XN_I8:
        LIMIT(int8_t, float, INT8_MAX);
        break;
    case XN_U8:
        LIMIT(uint8_t, float, UINT8_MAX);
        break;
    case XN_I16:
        LIMIT(int16_t, float, INT16_MAX);
        break;
    case XN_U16:
        LIMIT(uint16_t, float, UINT16_MAX);
        break;
    case XN_I32:
        LIMIT(int32_t, double, INT32_MAX);
        break;
    case XN_U32:
        LIMIT(uint32_t, double, UINT32_MAX);
        break;
    case XN_I64:
        LIMIT(int64_t, double, INT64_MAX);
        break;
    case XN_U64:
        LIMIT(uint64_t, double, UINT64_MAX);
        break;
    default:
        break;
    }
}

// ---- reading

static const xn_nx_part *part_of(const xn_nx_run *run, int64_t frame)
{
    int lo = 0, hi = run->n_parts - 1;
    while (lo < hi) {
        int middle = (lo + hi + 1) / 2;
        if (run->part[middle].first <= frame)
            lo = middle;
        else
            hi = middle - 1;
    }
    return &run->part[lo];
}

static xani_status read_some(xn_ctx *ctx, const xn_nx_run *run, const xn_nx_part *p, const int64_t *local, int64_t n,
                             void *dst)
{
    xn_selection what;
    xn_selection_all(p->array, &what);
    what.list = local;
    what.start[0] = 0;
    what.count[0] = n;
    if (run->n_channels > 0) {
        what.start[1] = run->channel;
        what.count[1] = 1;
    }
    return xn_array_read(ctx, p->array, &what, run->type, dst, 1);
}

xani_status xn_nx_read(xn_ctx *ctx, xn_nx_run *run, const int64_t *frames, int64_t n, void *dst)
{
    size_t pixels = (size_t)(run->ny * run->nx), size = xn_type_size(run->type);
    size_t wide = !run->widened ? size : size <= 2 ? sizeof(float) : sizeof(double);
    char *stored = (char *)dst + (size_t)n * pixels * (wide - size);
    int64_t *local = xn_alloc((size_t)n, sizeof *local);
    if (local == NULL) return xn_fail_memory(ctx, "a list of frames", (size_t)n * sizeof *local);
    xani_status st = XANI_OK;
    for (int64_t i = 0, m; st == XANI_OK && i < n; i += m) {
        const xn_nx_part *p = part_of(run, frames[i]);
        for (m = 0; i + m < n && frames[i + m] >= p->first && frames[i + m] < p->first + p->n; m++)
            local[m] = frames[i + m] - p->first;
        if (m == 0)
            st = xn_fail(ctx, XANI_ERR_INTERNAL, "frame %lld does not exist", (long long)frames[i]);
        else
            st = read_some(ctx, run, p, local, m, stored + (size_t)i * pixels * size);
    }
    if (st == XANI_OK && run->limited) limit(run, n * (int64_t)pixels, dst);
    xn_free(local);
    return st;
}
