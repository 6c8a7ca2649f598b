// SPDX-License-Identifier: BSD-3-Clause
// nexus.c -- see nexus.h.  Tables of fields to and from HDF5; groups that viewers draw on opening.
//
// Chunks: an array whose first extent is the delay is read back by whole traces, so a chunk holds all
// delays of 16 x 16 pixels; everything else is left to the writer.
#include "result/nexus.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_PIXELS 16

// ---- writing

static void *pointer_at(const void *base, size_t offset)
{
    void *p;
    memcpy(&p, (const char *)base + offset, sizeof p);
    return p;
}

void xn_nexus_fields(xn_writer *w, const xn_field *fields, int n, const void *base, const int64_t *extent)
{
    static const double nothing = 0;
    for (int i = 0; i < n; i++) {
        const xn_field *f = &fields[i];
        const void *data = pointer_at(base, f->offset);
        if (data == NULL && f->optional) continue;
        int64_t dims[4] = {0, 0, 0, 0}, chunk[4], size = 1;
        for (int d = 0; d < f->rank; d++) size *= dims[d] = extent[f->dims[d]];
        chunk[0] = dims[0];
        for (int d = 1; d < f->rank; d++) chunk[d] = xn_min64(dims[d], CHUNK_PIXELS);
        bool traces = f->rank == 3 && f->dims[0] == 0 && size > 0;
        xn_writer_data(w, f->path, f->type, f->rank, dims, traces ? chunk : NULL, data ? data : &nothing);
        if (f->units) xn_writer_attr_text(w, f->path, "units", f->units);
        if (f->long_name) xn_writer_attr_text(w, f->path, "long_name", f->long_name);
    }
}

void xn_nexus_scalars(xn_writer *w, const xn_scalar *scalars, int n, const void *base)
{
    for (int i = 0; i < n; i++) {
        const xn_scalar *s = &scalars[i];
        xn_writer_data(w, s->path, s->type, 0, NULL, NULL, (const char *)base + s->offset);
        if (s->units) xn_writer_attr_text(w, s->path, "units", s->units);
    }
}

void xn_nexus_data(xn_writer *w, const char *group, const char *signal, const char *const *axes, int n,
                   const char *title)
{
    char name[XN_KEY_LENGTH];
    xn_writer_group(w, group, "NXdata");
    xn_writer_attr_text(w, group, "signal", signal);
    xn_writer_attr_texts(w, group, "axes", axes, n);
    for (int i = 0; i < n; i++) {
        int64_t index = i;
        snprintf(name, sizeof name, "%s_indices", axes[i]);
        xn_writer_attr_i64(w, group, name, &index, 0);
    }
    snprintf(name, sizeof name, "%s/title", group);
    xn_nexus_text(w, name, title);
}

static bool index_axis(xn_writer *w, const char *group, const char *axis, int64_t n, const char *long_name)
{
    char path[XN_KEY_LENGTH];
    snprintf(path, sizeof path, "%s/%s", group, axis);
    int32_t *index = xn_alloc((size_t)n, sizeof *index);
    if (index == NULL) return false;
    for (int64_t i = 0; i < n; i++) index[i] = (int32_t)i;
    xn_writer_data(w, path, XN_I32, 1, &n, NULL, index);
    xn_writer_attr_text(w, path, "units", "pixel");
    xn_writer_attr_text(w, path, "long_name", long_name);
    xn_free(index);
    return true;
}

xani_status xn_nexus_pixel_axes(xn_ctx *ctx, xn_writer *w, const char *group, int64_t ny, int64_t nx)
{
    if (index_axis(w, group, "y", ny, "row") && index_axis(w, group, "x", nx, "column")) return XANI_OK;
    return xn_fail_memory(ctx, "the axes of a result", (size_t)(ny + nx) * sizeof(int32_t));
}

void xn_nexus_text(xn_writer *w, const char *path, const char *text) { xn_writer_text(w, path, text ? text : ""); }

void xn_nexus_run(xn_writer *w, const char *run, const double *angles_deg, int n)
{
    int64_t count = n;
    xn_nexus_text(w, "/entry/run", run);
    xn_writer_data(w, "/entry/angle_deg", XN_F64, 1, &count, NULL, angles_deg);
    xn_writer_attr_text(w, "/entry/angle_deg", "units", "degree");
    xn_writer_attr_text(w, "/entry/angle_deg", "long_name", "goniometer angles, the outermost first");
}

// ---- reading

static void shape_text(char *out, size_t size, int rank, const int64_t *dims)
{
    size_t n = (size_t)snprintf(out, size, "(");
    for (int d = 0; d < rank && n < size; d++) {
        const char *form = dims[d] == XN_EXTENT_UNKNOWN ? "%sany" : "%s%lld";
        n += (size_t)snprintf(out + n, size - n, form, d ? ", " : "", (long long)dims[d]);
    }
    if (n < size) snprintf(out + n, size - n, ")");
}

static xani_status check(xn_ctx *ctx, const xn_h5 *file, const xn_field *f, const xn_h5_info *info, int64_t *extent)
{
    int64_t asked[4];
    bool same = info->rank == f->rank;
    for (int d = 0; d < f->rank; d++) {
        asked[d] = extent[f->dims[d]];
        if (same && asked[d] != XN_EXTENT_UNKNOWN) same = info->dims[d] == asked[d];
    }
    if (info->is_group || info->type == XN_STR)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s, expected %s", xn_h5_path(file), f->path,
                       info->is_group ? "a group" : xn_type_name(info->type), xn_type_name(f->type));
    if (!same) {
        char have[96], want[96];
        shape_text(have, sizeof have, info->rank, info->dims);
        shape_text(want, sizeof want, f->rank, asked);
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s, expected %s", xn_h5_path(file), f->path, have, want);
    }
    for (int d = 0; d < f->rank; d++) extent[f->dims[d]] = info->dims[d];
    return XANI_OK;
}

// Numbers in any unit become those of the unit wanted; NULL, or one that is not converted: as they are.
static xani_status to_unit(xn_ctx *ctx, const xn_h5 *file, const char *path, const char *units, xn_type type,
                           void *values, int64_t n)
{
    double factor;
    if (units == NULL || (type != XN_F64 && type != XN_F32)) return XANI_OK;
    XN_TRY(xn_nexus_unit(ctx, file, path, units, &factor));
    if (factor == 1.0) return XANI_OK;
    if (type == XN_F64)
        for (int64_t i = 0; i < n; i++) ((double *)values)[i] *= factor;
    else
        for (int64_t i = 0; i < n; i++) ((float *)values)[i] = (float)((double)((float *)values)[i] * factor);
    return XANI_OK;
}

static xani_status read_field(xn_ctx *ctx, const xn_h5 *file, const xn_field *f, void *base, int64_t *extent)
{
    if (!xn_h5_exists(file, f->path)) {
        if (f->optional) return XANI_OK;
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: dataset %s is missing", xn_h5_path(file), f->path);
    }
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, file, f->path, &info));
    XN_TRY(check(ctx, file, f, &info, extent));
    void *data = xn_alloc((size_t)info.size, xn_type_size(f->type));
    if (data == NULL) return xn_fail_memory(ctx, f->path, (size_t)info.size * xn_type_size(f->type));
    xani_status st = info.size > 0 ? xn_h5_read_rows(ctx, file, f->path, f->type, 0, info.dims[0], data) : XANI_OK;
    if (st == XANI_OK) st = to_unit(ctx, file, f->path, f->units, f->type, data, info.size);
    if (st == XANI_OK)
        memcpy((char *)base + f->offset, &data, sizeof data);
    else
        xn_free(data);
    return st;
}

xani_status xn_nexus_read_fields(xn_ctx *ctx, const xn_h5 *file, const xn_field *fields, int n, void *base,
                                 int64_t *extent)
{
    for (int i = 0; i < n; i++) XN_TRY(read_field(ctx, file, &fields[i], base, extent));
    return XANI_OK;
}

static xani_status read_scalar(xn_ctx *ctx, const xn_h5 *file, const xn_scalar *s, void *base)
{
    if (!xn_h5_exists(file, s->path) && s->optional) return XANI_OK;
    if (!xn_h5_exists(file, s->path))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: dataset %s is missing", xn_h5_path(file), s->path);
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, file, s->path, &info));
    if (info.is_group || info.type == XN_STR || info.size != 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is not one %s", xn_h5_path(file), s->path, xn_type_name(s->type));
    char *at = (char *)base + s->offset;
    if (s->type == XN_F64) {
        double *v;
        XN_TRY(xn_h5_read_f64(ctx, file, s->path, &v, NULL));
        xani_status st = to_unit(ctx, file, s->path, s->units, s->type, v, 1);
        memcpy(at, v, sizeof *v);
        xn_free(v);
        return st;
    }
    int64_t *v;
    XN_TRY(xn_h5_read_i64(ctx, file, s->path, &v, NULL));
    const int64_t value = *v;
    const int32_t narrow = (int32_t)value;
    xn_free(v);
    if (s->type == XN_I32 && narrow != value)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %lld, which is no %s", xn_h5_path(file), s->path,
                       (long long)value, xn_type_name(s->type));
    memcpy(at, s->type == XN_I32 ? (const void *)&narrow : (const void *)&value, xn_type_size(s->type));
    return XANI_OK;
}

xani_status xn_nexus_read_scalars(xn_ctx *ctx, const xn_h5 *file, const xn_scalar *scalars, int n, void *base)
{
    for (int i = 0; i < n; i++) XN_TRY(read_scalar(ctx, file, &scalars[i], base));
    return XANI_OK;
}

xani_status xn_nexus_read_run(xn_ctx *ctx, const xn_h5 *file, char **run, double *angles_deg, int most, int *n)
{
    double *angles = NULL;
    int64_t extent = XN_EXTENT_UNKNOWN;
    static const xn_field field = {"/entry/angle_deg", 0, XN_F64, 1, {0}, true, "degree", NULL};
    *n = 0;
    if (xn_h5_exists(file, "/entry/run"))
        XN_TRY(xn_h5_read_string(ctx, file, "/entry/run", run));
    else if ((*run = xn_strdup("")) == NULL)
        return xn_fail_memory(ctx, "the name of a run", 1);
    XN_TRY(xn_nexus_read_fields(ctx, file, &field, 1, &angles, &extent));
    if (angles == NULL) return XANI_OK;
    xani_status st = XANI_OK;
    if (extent > most)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/angle_deg has %lld angles, more than %d", xn_h5_path(file),
                     (long long)extent, most);
    for (int64_t i = 0; i < extent && st == XANI_OK; i++)
        if (!(fabs(angles[i]) <= XN_MOST_DEGREES))
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/angle_deg[%lld] is %g: more than two turns, or no angle",
                         xn_h5_path(file), (long long)i, angles[i]);
    if (st == XANI_OK) {
        memcpy(angles_deg, angles, (size_t)extent * sizeof *angles);
        *n = (int)extent;
    }
    xn_free(angles);
    return st;
}

xani_status xn_nexus_check_modules(xn_ctx *ctx, const xn_h5 *file, const int64_t *rows, int n, int64_t ny)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++) {
        if (rows[i] < 0 || rows[i] > ny)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/module_rows[%d] is %lld, of %lld rows", xn_h5_path(file), i,
                           (long long)rows[i], (long long)ny);
        sum += rows[i];
    }
    if (n == 0 || sum == ny) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/module_rows adds up to %lld rows, the data have %lld",
                   xn_h5_path(file), (long long)sum, (long long)ny);
}

xani_status xn_nexus_read_choice(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, const char *yes,
                                 const char *no, bool *value)
{
    char *word;
    XN_TRY(xn_h5_read_attr(ctx, file, object, name, &word));
    *value = strcmp(word, yes) == 0;
    xani_status st = XANI_OK;
    if (!*value && strcmp(word, no) != 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: attribute %s of %s is %s, expected %s or %s", xn_h5_path(file), name,
                     object, word, yes, no);
    xn_free(word);
    return st;
}
