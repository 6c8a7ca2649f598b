// SPDX-License-Identifier: BSD-3-Clause
// frames.c -- which rows of small data files hold a frame of the detector: see lcls.h.
//
// input.frames is a dataset (events, y, x) or (events, module, y, x): jungfrau1M/ROI_0_area, jungfrau1M/full_area.
// Files without it serve readings only.  A row is without a frame where damage/DETECTOR is not 1, or where all its
// pixels are the value for missing numbers: a part of a virtual dataset that lacks the detector, an event that it did
// not see.  The second is looked for at one pixel of every frame that is a number somewhere, and made sure of by the
// whole frame.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/lcls.h"

#define PROBES 16 // pixels tried, until one is a number in some frame

bool xn_lcls_is_frames(const xn_h5_info *info)
{
    return !info->is_group && info->rank >= 3 && xn_is_number(info->type) && info->dims[info->rank - 1] > 1;
}

void xn_lcls_frames_free(xn_lcls_frames *f)
{
    xn_free(f->file);
    xn_free(f->id);
    xn_free(f->refused);
    memset(f, 0, sizeof *f);
}

// ---- shape

static xani_status check_shape(xn_ctx *ctx, const char *file, const xn_h5_info *info, int64_t rows, xn_lcls_frames *f)
{
    char shape[128];
    int last = info->rank - 1;
    if (info->is_group || !xn_is_number(info->type) || info->rank < 2 || info->rank > 4)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; frames (event, y, x) or (event, module, y, x) are needed",
                       file, f->name, info->is_group ? "a group" : xn_type_name(info->type),
                       xn_shape_text(shape, info->is_group ? 0 : info->rank, info->dims));
    if (info->dims[0] != rows)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld frames, there are %lld events", file, f->name,
                       (long long)info->dims[0], (long long)rows);
    int64_t modules = info->rank == 4 ? info->dims[1] : 0;
    int64_t ny = info->rank == 2 ? 1 : info->rank == 3 ? info->dims[1] : info->dims[1] * info->dims[2];
    int64_t nx = info->dims[last];
    if (ny < 1 || nx < 1) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its frames have no pixels", file, f->name);
    if (f->n_files > 0 && (ny != f->ny || nx != f->nx || modules != f->modules || info->type != f->type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s, unlike that of %s", file, f->name,
                       xn_type_name(info->type), xn_shape_text(shape, info->rank, info->dims), f->file[0]);
    f->ny = ny;
    f->nx = nx;
    f->modules = modules;
    f->type = info->type;
    return XANI_OK;
}

static xani_status find_files(xn_ctx *ctx, const xn_lcls *l, const xn_lcls_rows *r, xn_lcls_frames *f)
{
    f->file = xn_calloc((size_t)l->n_files + 1, sizeof *f->file);
    f->id = xn_alloc((size_t)r->n + 1, sizeof *f->id);
    f->refused = xn_calloc((size_t)r->n + 1, 1);
    if (f->file == NULL || f->id == NULL || f->refused == NULL)
        return xn_fail_memory(ctx, "the frames", (size_t)r->n * 9);
    for (int i = 0; i < l->n_files; i++) {
        int64_t rows = r->first[i + 1] - r->first[i];
        xn_h5_info info;
        if (!xn_h5_exists(l->h5[i], f->name)) continue;
        XN_TRY(xn_h5_info_get(ctx, l->h5[i], f->name, &info));
        if (rows == 0 && info.rank > 0 && info.dims[0] == 0) continue; // nothing was written
        XN_TRY(check_shape(ctx, l->file[i], &info, rows, f));
        f->file[f->n_files++] = l->file[i];
        if (rows > 0) memcpy(f->id + f->n, r->id + r->first[i], (size_t)rows * sizeof *f->id);
        f->n += rows;
    }
    if (f->n_files > 0) return XANI_OK;
    for (int i = 0; i < l->n_files; i++)
        if (xn_h5_exists(l->h5[i], f->name))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has no frames", l->file[i], f->name);
    return xn_lcls_no_dataset(ctx, l, f->name);
}

// ---- frames that are not there

static bool is_missing(double value) { return isnan(value) || value == XN_LCLS_MISSING; }

static void refuse(xn_lcls_frames *f, int64_t i)
{
    if (f->refused[i] == XN_CUT_NONE) f->absent++;
    f->refused[i] = XN_CUT_BAD_FRAME;
}

// damage/DETECTOR of every frame: 1 where it contributed. DETECTOR: the dataset's folder, without the group of its
// rows.
static xani_status by_damage(xn_ctx *ctx, xn_lcls *l, const xn_lcls_rows *r, xn_lcls_frames *f)
{
    const char *det = f->name + (r->group[0] != '\0' ? strlen(r->group) + 1 : 0);
    char path[XN_KEY_LENGTH];
    bool any = false;
    snprintf(path, sizeof path, "damage/%.*s", (int)strcspn(det, "/"), det);
    for (int i = 0; i < l->n_files; i++) any = any || xn_h5_exists(l->h5[i], path);
    if (!any) return XANI_OK;
    double *value = xn_alloc((size_t)f->n + 1, sizeof *value);
    if (value == NULL) return xn_fail_memory(ctx, path, (size_t)f->n * sizeof *value);
    xani_status st = xn_lcls_readings(ctx, NULL, "", path, l, f->id, f->n, value);
    for (int64_t i = 0; st == XANI_OK && i < f->n; i++)
        if (value[i] != 1.0 && f->id[i] != 0) refuse(f, i); // also where it has no value
    xn_free(value);
    return st;
}

// Value of pixel p of every frame.
static xani_status read_pixel(xn_ctx *ctx, xn_array *a, int64_t p, double *value)
{
    const xn_array_info *info = xn_array_get_info(a);
    xn_selection s = {.count = {info->dims[0]}};
    for (int k = info->rank - 1; k > 0; k--) {
        s.start[k] = p % info->dims[k];
        s.count[k] = 1;
        p /= info->dims[k];
    }
    return xn_array_read(ctx, a, &s, XN_F64, value, 0);
}

static xani_status whole_frame_missing(xn_ctx *ctx, xn_array *a, int64_t frame, int64_t pixels, double *work, bool *all)
{
    xn_selection s;
    xn_selection_all(a, &s);
    s.start[0] = frame;
    s.count[0] = 1;
    XN_TRY(xn_array_read(ctx, a, &s, XN_F64, work, 0));
    *all = true;
    for (int64_t i = 0; *all && i < pixels; i++) *all = is_missing(work[i]);
    return XANI_OK;
}

static xani_status look_for_missing(xn_ctx *ctx, xn_array *a, double *value, double *frame, xn_lcls_frames *f)
{
    int64_t pixels = f->ny * f->nx, numbers = 0;
    for (int k = 0; numbers == 0 && k < PROBES; k++) {
        XN_TRY(read_pixel(ctx, a, (pixels - 1) * k / (PROBES - 1), value));
        for (int64_t i = 0; i < f->n; i++) numbers += !is_missing(value[i]);
    }
    for (int64_t i = 0; i < f->n; i++) { // where no probe is a number anywhere, every frame is looked at
        bool all = false;
        if (!is_missing(value[i])) continue;
        XN_TRY(whole_frame_missing(ctx, a, i, pixels, frame, &all));
        if (all) refuse(f, i);
    }
    return XANI_OK;
}

static xani_status by_pixels(xn_ctx *ctx, bool thorough, xn_lcls_frames *f)
{
    bool can_be = f->type == XN_F32 || f->type == XN_F64 || f->type == XN_I32 || f->type == XN_I64;
    if (!can_be || f->n == 0) return XANI_OK; // other types cannot hold the value
    xn_array *a = NULL;
    double *value = xn_alloc((size_t)f->n, sizeof *value);
    double *frame = xn_alloc((size_t)(f->ny * f->nx), sizeof *frame);
    xani_status st = XANI_OK;
    if (value == NULL || frame == NULL)
        st = xn_fail_memory(ctx, f->name, (size_t)(f->n + f->ny * f->nx) * sizeof *value);
    if (st == XANI_OK) st = xn_array_open(ctx, (const char *const *)f->file, f->n_files, f->name, NULL, &a);
    if (st == XANI_OK && (thorough || xn_array_get_info(a)->filters[0] == '\0'))
        st = look_for_missing(ctx, a, value, frame, f);
    xn_array_close(&a);
    xn_free(value);
    xn_free(frame);
    return st;
}

// ---- the whole

xani_status xn_lcls_frames_read(xn_ctx *ctx, xn_lcls *l, const char *name, bool thorough, xn_lcls_frames *f)
{
    const xn_lcls_rows *rows = NULL;
    *f = (xn_lcls_frames){.name = xn_lcls_path(name)};
    xani_status st = xn_lcls_rows_of(ctx, l, f->name, &rows);
    if (st == XANI_OK) st = find_files(ctx, l, rows, f);
    if (st == XANI_OK) st = by_damage(ctx, l, rows, f);
    if (st == XANI_OK) st = by_pixels(ctx, thorough, f);
    if (st != XANI_OK) xn_lcls_frames_free(f);
    return st;
}
