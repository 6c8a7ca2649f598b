// SPDX-License-Identifier: BSD-3-Clause
// detector.c -- frames of PAL-XFEL detectors and their timestamps, over all files of a run.
//
//   detector/<hutch>/<name>/image/{block0_values (n, y, x), block0_items (n) timestamps, in older files axis1}
//   R<run>/scan_dat/{raymx_data (n, y, x), other arrays (n)}     Rayonix, where rows belong together
//
// Scan points without a shot are placeholders of extent 1 (frame.h) and hold no frames.
#include "source/pal/pal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE "image/block0_values"

// ---- names

bool xn_pal_rayonix(xn_ctx *ctx, const xn_h5 *h5, char group[XN_KEY_LENGTH])
{
    char **root = NULL, path[XN_KEY_LENGTH + 32];
    if (xn_h5_names(ctx, h5, "/", &root) != XANI_OK) return false;
    bool one = root[0] != NULL && root[1] == NULL && root[0][0] == 'R' && root[0][1] != '\0' &&
               strspn(root[0] + 1, "0123456789") == strlen(root[0] + 1) && strlen(root[0]) < 64;
    if (one) snprintf(group, XN_KEY_LENGTH, "%s/scan_dat", root[0]);
    xn_h5_names_free(root);
    if (!one) return false;
    snprintf(path, sizeof path, "%s/raymx_data", group);
    return xn_h5_exists(h5, path);
}

static xani_status add_name(xn_ctx *ctx, const char *name, char ***list, size_t *n)
{
    char **p = xn_realloc(*list, *n + 2, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the detectors", (*n + 2) * sizeof *p);
    *list = p;
    p[*n] = xn_strdup(name);
    p[*n + 1] = NULL;
    return p[(*n)++] != NULL ? XANI_OK : xn_fail_memory(ctx, "the detectors", strlen(name));
}

static xani_status add_hutch(xn_ctx *ctx, const xn_h5 *h5, const char *hutch, char ***list, size_t *n)
{
    char path[XN_KEY_LENGTH + 64], **names = NULL;
    xn_h5_info info;
    snprintf(path, sizeof path, "detector/%s", hutch);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    if (!info.is_group) return XANI_OK;
    XN_TRY(xn_h5_names(ctx, h5, path, &names));
    xani_status st = XANI_OK;
    for (size_t i = 0; st == XANI_OK && names[i] != NULL; i++) {
        snprintf(path, sizeof path, "detector/%s/%s/" IMAGE, hutch, names[i]);
        if (!xn_h5_exists(h5, path)) continue;
        snprintf(path, sizeof path, "%s/%s", hutch, names[i]);
        st = add_name(ctx, path, list, n);
    }
    xn_h5_names_free(names);
    return st;
}

xani_status xn_pal_detectors(xn_ctx *ctx, const xn_h5 *h5, char ***names)
{
    char **hutch = NULL, group[XN_KEY_LENGTH];
    size_t n = 0;
    *names = xn_calloc(1, sizeof **names);
    xani_status st = *names != NULL ? XANI_OK : xn_fail_memory(ctx, "the detectors", sizeof **names);
    if (st == XANI_OK && xn_h5_exists(h5, "detector")) st = xn_h5_names(ctx, h5, "detector", &hutch);
    for (size_t i = 0; st == XANI_OK && hutch != NULL && hutch[i] != NULL; i++)
        st = add_hutch(ctx, h5, hutch[i], names, &n);
    if (st == XANI_OK && xn_pal_rayonix(ctx, h5, group)) st = add_name(ctx, XN_PAL_RAYONIX, names, &n);
    xn_h5_names_free(hutch);
    if (st == XANI_OK) return XANI_OK;
    xn_h5_names_free(*names);
    *names = NULL;
    return st;
}

bool xn_pal_dataset(xn_ctx *ctx, const xn_h5 *h5, const char *name, char dataset[XN_KEY_LENGTH])
{
    char group[XN_KEY_LENGTH];
    if (strcmp(name, XN_PAL_RAYONIX) == 0 && xn_pal_rayonix(ctx, h5, group))
        return snprintf(dataset, XN_KEY_LENGTH, "%s/raymx_data", group) < XN_KEY_LENGTH;
    static const char *const forms[] = {"detector/%s/" IMAGE, "%s/" IMAGE, "%s/block0_values", "%s"};
    xn_h5_info info;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t before = strcspn(forms[i], "%");
        int n = snprintf(dataset, XN_KEY_LENGTH, "%.*s%s%s", (int)before, forms[i], name, forms[i] + before + 2);
        if (n < XN_KEY_LENGTH && xn_h5_exists(h5, dataset) && xn_h5_info_get(ctx, h5, dataset, &info) == XANI_OK &&
            !info.is_group)
            return true;
    }
    return false;
}

// ---- timestamps of one file

// "GROUP/name" beside the dataset.
static void beside(const char *dataset, const char *name, char path[XN_KEY_LENGTH])
{
    const char *slash = strrchr(dataset, '/');
    snprintf(path, XN_KEY_LENGTH, "%.*s/%s", slash ? (int)(slash - dataset) : 0, dataset, name);
}

static bool is_index(xn_ctx *ctx, const xn_h5 *h5, const char *path, int64_t n)
{
    xn_h5_info info;
    return xn_h5_exists(h5, path) && xn_h5_info_get(ctx, h5, path, &info) == XANI_OK && info.rank == 1 &&
           info.dims[0] == n && xn_is_number(info.type) && info.type != XN_F32 && info.type != XN_F64;
}

static xani_status read_ids(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t n, int64_t first, uint64_t *id)
{
    static const char *const names[] = {"block0_items", "axis1", "axis0"};
    char path[XN_KEY_LENGTH];
    const char *base = strrchr(dataset, '/');
    if (base != NULL && strcmp(base, "/raymx_data") == 0) {
        for (int64_t i = 0; i < n; i++) id[i] = (uint64_t)(first + i + 1);
        return XANI_OK;
    }
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        beside(dataset, names[k], path);
        if (!is_index(ctx, h5, path, n)) continue;
        uint64_t *all = NULL;
        XN_TRY(xn_h5_read_u64(ctx, h5, path, &all, NULL));
        memcpy(id, all, (size_t)n * sizeof *id);
        xn_free(all);
        return XANI_OK;
    }
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "%s: %s has %lld frames; neither block0_items nor axis1 beside it has as many timestamps",
                   xn_h5_path(h5), dataset, (long long)n);
}

// ---- all files

static xani_status grow(xn_ctx *ctx, xn_pal_detector *d, int64_t n)
{
    uint64_t *id = xn_realloc(d->id, (size_t)(d->n + n), sizeof *id);
    if (id != NULL) d->id = id;
    int32_t *point = xn_realloc(d->point, (size_t)(d->n + n), sizeof *point);
    if (point != NULL) d->point = point;
    char **file = xn_realloc(d->file, (size_t)d->n_files + 1, sizeof *file);
    if (file != NULL) d->file = file;
    if (id == NULL || point == NULL || file == NULL)
        return xn_fail_memory(ctx, "the list of frames", (size_t)(d->n + n) * sizeof *id);
    for (int64_t i = 0; i < n; i++) point[d->n + i] = d->n_files;
    return XANI_OK;
}

static xani_status read_file(xn_ctx *ctx, const xn_h5 *h5, char *file, xn_pal_detector *d)
{
    char dataset[XN_KEY_LENGTH], shape[128];
    xn_h5_info info;
    if (!xn_pal_dataset(ctx, h5, d->name, dataset) || xn_pd_is_empty(h5, dataset)) return XANI_OK;
    if (d->n_files > 0 && strcmp(dataset, d->dataset) != 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: the frames are at %s, in %s at %s", file, dataset, d->file[0],
                       d->dataset);
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    if (info.rank != 3 || !xn_is_number(info.type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; frames (n, y, x) of numbers are needed", file, dataset,
                       xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims));
    if (d->n_files > 0 && (info.dims[1] != d->ny || info.dims[2] != d->nx || info.type != d->type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s, the frames before it are %s (%lld, %lld)", file, dataset,
                       xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims), xn_type_name(d->type),
                       (long long)d->ny, (long long)d->nx);
    memcpy(d->dataset, dataset, sizeof d->dataset);
    d->ny = info.dims[1];
    d->nx = info.dims[2];
    d->type = info.type;
    XN_TRY(grow(ctx, d, info.dims[0]));
    d->file[d->n_files++] = file;
    XN_TRY(read_ids(ctx, h5, dataset, info.dims[0], d->n, d->id + d->n));
    d->n += info.dims[0];
    return XANI_OK;
}

xani_status xn_pal_detector_read(xn_ctx *ctx, const xn_pal_files *run, const char *name, xn_pal_detector *d)
{
    memset(d, 0, sizeof *d);
    d->name = name;
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < run->n; i++) {
        xn_h5 *h5 = NULL;
        st = xn_h5_open(ctx, run->file[i], &h5);
        if (st == XANI_OK) st = read_file(ctx, h5, run->file[i], d);
        xn_h5_close(&h5);
    }
    if (st == XANI_OK && d->n == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "input.frames: none of the %d files (%s, ...) has frames of %s", run->n,
                     run->file[0], name);
    if (st != XANI_OK) xn_pal_detector_free(d);
    return st;
}

void xn_pal_detector_free(xn_pal_detector *d)
{
    xn_free(d->file);
    xn_free(d->id);
    xn_free(d->point);
    memset(d, 0, sizeof *d);
}
