// SPDX-License-Identifier: BSD-3-Clause
// planes.c -- constants of a detector as planes of the data's pixels, whatever file they lie in.
//
// HDF5 of PSI (`gains`, which is also the name of the mean pedestals), of xani dark, of psana and small data (leading
// axis of gain ranges, segments, rows, columns), or psana's text.  Axes: planes, then memory cells where there are
// several, then rows of pixels in any number of axes, then columns.  Files that describe the whole detector serve data
// of which modules were switched off.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/detector/detector.h"

static bool is_hdf5(const char *path)
{
    static const unsigned char magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char begin[8] = "";
    FILE *f = fopen(path, "re");
    if (f == NULL) return true; // whose error says why
    size_t n = fread(begin, 1, sizeof begin, f);
    (void)fclose(f);
    return memcmp(begin, magic, sizeof magic) == 0 || n < sizeof begin || begin[0] > '9';
}

static int64_t whole_rows(const xn_planes *p)
{
    int modules = p->ask->whole_modules > 0 && p->s->n_modules > 0 ? p->ask->whole_modules : 0;
    return modules > 0 ? p->s->ny / p->s->n_modules * modules : p->s->ny;
}

// Splits a shape into planes, cells and rows; false when it does not fit.
static bool split(xn_planes *p, int rank, const int64_t *dims, int least)
{
    int64_t size = 1, own = p->s->ny, whole = whole_rows(p);
    for (int i = 0; i < rank; i++) size *= dims[i];
    if (rank < 2 || dims[rank - 1] != p->s->nx || size <= 0) return false;
    int64_t rows = size / p->s->nx;
    for (int k = 0; k < 2; k++) {
        p->rows = k == 0 ? own : whole;
        p->n = p->cells = 1;
        if (least == 0 && rows == p->rows) return true;
        if (rank < 3 || rows % dims[0] != 0) continue;
        int64_t each = rows / dims[0];
        p->n = dims[0];
        if (p->n < least) continue;
        if (each == p->rows) return true;
        p->cells = dims[1];
        if (rank > 3 && each == p->rows * p->cells) return true;
    }
    return false;
}

static xani_status does_not_fit(const xn_planes *p, const char *type, int rank, const int64_t *dims, int least)
{
    char shape[128], lead[32] = "";
    if (least > 0) snprintf(lead, sizeof lead, "%d or more, ", least);
    return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s is %s %s; %s%s needs (%s%lld, %lld)", p->path, p->dataset, type,
                   xn_shape_text(shape, rank, dims), p->ask->name != NULL ? "detector " : "",
                   p->ask->name != NULL ? p->ask->name : "the detector", lead, (long long)p->s->ny,
                   (long long)p->s->nx);
}

static xani_status open_text(xn_planes *p, int least)
{
    int rank = 0;
    int64_t dims[XANI_MAX_RANK];
    p->dataset = xn_strdup("text");
    if (p->dataset == NULL) return xn_fail_memory(p->ctx, p->path, 1);
    XN_TRY(xn_text_array(p->ctx, p->path, &p->text, &rank, dims));
    return split(p, rank, dims, least) ? XANI_OK : does_not_fit(p, "numbers", rank, dims, least);
}

static xani_status open_hdf5(xn_planes *p, const char *const *names, int least)
{
    xn_h5_info info;
    XN_TRY(xn_h5_open(p->ctx, p->path, &p->h5));
    const char *name = names[0];
    for (int i = 0; names[i] != NULL; i++)
        if (xn_h5_exists(p->h5, names[i])) {
            name = names[i];
            break;
        }
    p->dataset = xn_strdup(name);
    if (p->dataset == NULL) return xn_fail_memory(p->ctx, p->path, 1);
    XN_TRY(xn_h5_info_get(p->ctx, p->h5, name, &info));
    if (!info.is_group && xn_is_number(info.type) && split(p, info.rank, info.dims, least)) return XANI_OK;
    return does_not_fit(p, info.is_group ? "a group" : xn_type_name(info.type), info.is_group ? 0 : info.rank,
                        info.dims, least);
}

xani_status xn_planes_open(xn_ctx *ctx, char *path, const char *const *names, int least, const xn_detector_ask *ask,
                           const xn_source *s, xn_planes *p)
{
    *p = (xn_planes){.ctx = ctx, .ask = ask, .s = s, .path = path};
    if (path == NULL) return xn_fail_memory(ctx, "a file name", 1);
    xani_status st = is_hdf5(path) ? open_hdf5(p, names, least) : open_text(p, least);
    if (st != XANI_OK) xn_planes_close(p);
    return st;
}

bool xn_planes_exist(const xn_planes *p, const char *dataset) { return p->h5 != NULL && xn_h5_exists(p->h5, dataset); }

// First row, in the file, of the pixels of data module m; -1: no such module.
static int64_t first_row(const xn_planes *p, int m)
{
    const xn_source *s = p->s;
    int64_t before = 0;
    for (int i = 0; i < m; i++) before += s->module_rows[i];
    if (p->rows == s->ny || p->ask->physical == NULL) return before;
    return p->ask->physical[m] < 0 ? -1 : p->ask->physical[m] * s->module_rows[m];
}

static void by_modules(const xn_planes *p, const float *from_file, float *out)
{
    const xn_source *s = p->s;
    int64_t row = 0;
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++]) {
        int64_t from = first_row(p, m), n = s->module_rows[m] * s->nx;
        for (int64_t i = 0; i < n; i++) out[row * s->nx + i] = from < 0 ? NAN : from_file[from * s->nx + i];
    }
}

// Rows of the first axis are planes, or single rows of pixels where there is no leading axis.
static xani_status read_hdf5(const xn_planes *p, int64_t plane, int64_t cell, float *out)
{
    int64_t size = p->rows * p->s->nx, all = size * p->cells, n = 0;
    float *whole = NULL;
    if (p->n == 1) {
        XN_TRY(xn_h5_read_f32(p->ctx, p->h5, p->dataset, &whole, &n));
    } else {
        if ((whole = xn_alloc((size_t)all, sizeof *whole)) == NULL)
            return xn_fail_memory(p->ctx, p->path, (size_t)all * sizeof *whole);
        xani_status st = xn_h5_read_rows(p->ctx, p->h5, p->dataset, XN_F32, plane, 1, whole);
        if (st != XANI_OK) {
            xn_free(whole);
            return st;
        }
    }
    if (p->rows == p->s->ny && p->ask->physical == NULL)
        memcpy(out, whole + cell * size, (size_t)size * sizeof *out);
    else
        by_modules(p, whole + cell * size, out);
    xn_free(whole);
    return XANI_OK;
}

xani_status xn_planes_read(const xn_planes *p, int64_t plane, int64_t cell, float *out)
{
    int64_t size = p->rows * p->s->nx, numbers = 0, n = p->s->ny * p->s->nx;
    if (p->h5 != NULL)
        XN_TRY(read_hdf5(p, plane, cell, out));
    else if (p->rows == p->s->ny && p->ask->physical == NULL)
        memcpy(out, p->text + (plane * p->cells + cell) * size, (size_t)size * sizeof *out);
    else
        by_modules(p, p->text + (plane * p->cells + cell) * size, out);
    for (int64_t i = 0; i < n; i++) numbers += isfinite(out[i]) != 0;
    if (numbers > 0) return XANI_OK;
    return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s are NaN in all pixels of plane %lld", p->path, p->dataset,
                   (long long)plane);
}

xani_status xn_planes_mask(const xn_planes *p, const char *dataset, xn_mask_table table, xn_source *s)
{
    xn_h5_info info;
    int64_t *bits = NULL, n = 0, size = p->rows * s->nx, row = 0;
    char shape[128];
    if (!xn_planes_exist(p, dataset)) return XANI_OK;
    XN_TRY(xn_h5_info_get(p->ctx, p->h5, dataset, &info));
    if (info.is_group || info.size < size || info.size % size != 0 || !xn_is_number(info.type))
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s: the mask has shape %s, the detector has (%lld, %lld)", p->path,
                       dataset, xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), (long long)p->rows,
                       (long long)s->nx);
    XN_TRY(xn_h5_read_i64(p->ctx, p->h5, dataset, &bits, &n));
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++]) {
        int64_t from = first_row(p, m), count = from < 0 ? 0 : s->module_rows[m] * s->nx;
        for (int64_t plane = 0; plane < n / size; plane++)
            for (int64_t i = 0; i < count; i++)
                s->mask[row * s->nx + i] |= xn_mask_nxmx(table, (uint32_t)bits[plane * size + from * s->nx + i]);
    }
    xn_free(bits);
    return XANI_OK;
}

void xn_planes_close(xn_planes *p)
{
    xn_h5_close(&p->h5);
    xn_free(p->text);
    xn_free(p->path);
    xn_free(p->dataset);
    memset(p, 0, sizeof *p);
}
