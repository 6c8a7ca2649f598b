// SPDX-License-Identifier: BSD-3-Clause
// geometry_region.c -- the part of a detector that frames hold, where its geometry describes the whole.
//
// geometry.detector.stored numbers the modules of a geometry file that frames have, in their order, where others were
// off.  Of what is left
// geometry.region is [y0, y1, x0, x1] of the stored frame, or [m0, m1, y0, y1, x0, x1]: rows y0 ... y1 - 1 of each of
// the modules m0 ... m1 - 1, as facilities keep the bounds of a region of interest.  Ends are not included.  Pixels
// that are kept stay where they are; a module of which nothing is left is none.
#include <stdio.h>
#include <string.h>

#include "physics/geometry.h"
#include "physics/panel.h"

// ---- modules

enum { MOST = 1024 };

static xani_status read_stored(xn_ctx *ctx, const xn_config *config, const xn_geometry *g, double *number, int *n)
{
    static const char key[] = "geometry.detector.stored";
    *n = xn_config_doubles(config, key, number, MOST);
    if (*n > g->n_modules)
        return xn_config_bad(ctx, config, key, "%d modules are named, geometry.file has %d", *n, g->n_modules);
    for (int i = 0; i < *n; i++) {
        if (!(number[i] < g->n_modules))
            return xn_config_bad(ctx, config, key, "module %g of 0 to %d of geometry.file", number[i],
                                 g->n_modules - 1);
        for (int k = 0; k < i; k++)
            if (number[k] == number[i])
                return xn_config_bad(ctx, config, key, "module %g stands there twice", number[i]);
    }
    return XANI_OK;
}

xani_status xn_geometry_keep_stored(xn_ctx *ctx, const xn_config *config, xn_geometry *g)
{
    double number[MOST];
    int n = 0;
    if (!xn_config_has(config, "geometry.detector.stored")) return XANI_OK;
    XN_TRY(read_stored(ctx, config, g, number, &n));
    xn_geometry whole = *g;
    g->ny = 0;
    g->n_modules = n;
    for (int i = 0; i < n; i++) g->ny += whole.module_rows[(int)number[i]];
    g->position = NULL;
    g->bad = NULL;
    g->module_rows = NULL;
    xani_status st = xn_geometry_allocate(ctx, g);
    for (int64_t i = 0, to = 0; st == XANI_OK && i < n; to += g->module_rows[i++]) {
        int64_t from = 0;
        for (int m = 0; m < (int)number[i]; m++) from += whole.module_rows[m];
        g->module_rows[i] = whole.module_rows[(int)number[i]];
        const size_t pixels = (size_t)(g->module_rows[i] * g->nx);
        memcpy(g->bad + to * g->nx, whole.bad + from * g->nx, pixels);
        if (g->position != NULL)
            memcpy(g->position + 3 * to * g->nx, whole.position + 3 * from * g->nx, 3 * pixels * sizeof *g->position);
    }
    xn_geometry_free(&whole);
    return st;
}

// What most likely makes the frames another size, as the end of a sentence; "" where nothing does.
const char *xn_geometry_misfit(const xn_geometry *g, int64_t ny, int64_t nx, char *text, size_t room)
{
    const int64_t k = nx > 0 ? g->nx / nx : 0;
    int64_t rows = 0;
    bool equal = true;
    for (int m = 0; m < g->n_modules && k > 0; m++) rows += g->module_rows[m] / k;
    for (int m = 1; m < g->n_modules; m++) equal = equal && g->module_rows[m] == g->module_rows[0];
    text[0] = '\0';
    if (nx == g->nx && ny < g->ny && g->n_modules > 1 && equal && ny % g->module_rows[0] == 0)
        snprintf(text, room,
                 "; where modules were off, geometry.detector.stored names those that the frames have, %lld of 0 to %d",
                 (long long)(ny / g->module_rows[0]), g->n_modules - 1);
    else if (k > 1 && rows == ny && g->nx / k == nx)
        snprintf(text, room,
                 "; of cubes whose pixels are groups of %lld x %lld pixels input.grouped: %lld says so, of frames of a "
                 "part of the detector geometry.region which",
                 (long long)k, (long long)k, (long long)k);
    else if (nx <= g->nx && ny <= g->ny)
        snprintf(text, room, "; of frames of a part of the detector geometry.region says which");
    return text;
}

// ---- a region

typedef struct {
    int64_t module[2], row[2], column[2];
    bool by_module;
} region;

// One axis of the region; it must lie on the detector.
static xani_status take_axis(xn_ctx *ctx, const xn_config *config, const double *v, int64_t most, const char *what,
                             int64_t out[2])
{
    out[0] = (int64_t)v[0];
    out[1] = (int64_t)v[1];
    if (out[0] >= 0 && out[1] > out[0] && out[1] <= most) return XANI_OK;
    return xn_config_bad(ctx, config, "geometry.region", "%s %lld to %lld are not on the detector, which has %lld",
                         what, (long long)out[0], (long long)out[1], (long long)most);
}

static xani_status take_region(xn_ctx *ctx, const xn_config *config, const xn_geometry *g, region *r)
{
    double v[6] = {0};
    int n = xn_config_doubles(config, "geometry.region", v, 6);
    if (n != 4 && n != 6)
        return xn_config_bad(ctx, config, "geometry.region",
                             "needs [y0, y1, x0, x1] or [m0, m1, y0, y1, x0, x1], has %d numbers", n);
    r->by_module = n == 6;
    int64_t rows = g->ny;
    if (r->by_module) {
        XN_TRY(take_axis(ctx, config, v, g->n_modules, "modules", r->module));
        rows = g->module_rows[r->module[0]];
        for (int64_t m = r->module[0]; m < r->module[1]; m++) rows = xn_min64(rows, g->module_rows[m]);
    }
    XN_TRY(take_axis(ctx, config, v + n - 4, rows, "rows", r->row));
    return take_axis(ctx, config, v + n - 2, g->nx, "columns", r->column);
}

// Rows of module m, the first of which is `start` of the frame, that are kept: from *first of the frame on.
static int64_t kept_rows(const region *r, const xn_geometry *g, int m, int64_t start, int64_t *first)
{
    if (r->by_module) {
        *first = start + r->row[0];
        return m >= r->module[0] && m < r->module[1] ? r->row[1] - r->row[0] : 0;
    }
    *first = xn_max64(start, r->row[0]);
    return xn_max64(0, xn_min64(start + g->module_rows[m], r->row[1]) - *first);
}

// Row `from` becomes row `to`, which is not behind it.
static void move_row(xn_geometry *g, int64_t from, int64_t to, const int64_t column[2])
{
    int64_t n = column[1] - column[0], source = from * g->nx + column[0], target = to * n;
    if (g->position != NULL)
        memmove(g->position + 3 * target, g->position + 3 * source, (size_t)(3 * n) * sizeof *g->position);
    if (g->bad != NULL) memmove(g->bad + target, g->bad + source, (size_t)n);
}

xani_status xn_geometry_crop(xn_ctx *ctx, const xn_config *config, xn_geometry *g)
{
    region r = {.by_module = false};
    if (!xn_config_has(config, "geometry.region")) return XANI_OK;
    XN_TRY(take_region(ctx, config, g, &r));
    int64_t start = 0, to = 0;
    int modules = 0;
    for (int m = 0; m < g->n_modules; m++) {
        int64_t all = g->module_rows[m], first = 0, n = kept_rows(&r, g, m, start, &first);
        for (int64_t i = 0; i < n; i++) move_row(g, first + i, to++, r.column);
        if (n > 0) g->module_rows[modules++] = n; // not read again: modules <= m
        start += all;
    }
    g->n_modules = modules;
    g->ny = to;
    g->nx = r.column[1] - r.column[0];
    return XANI_OK;
}
