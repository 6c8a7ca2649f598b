// SPDX-License-Identifier: BSD-3-Clause
// geometry_region.c -- the part of a detector that frames hold, where its geometry describes the whole.
//
// geometry.region is [y0, y1, x0, x1] of the stored frame, or [m0, m1, y0, y1, x0, x1]: rows y0 ... y1 - 1 of each of
// the modules m0 ... m1 - 1, as facilities keep the bounds of a region of interest.  Ends are not included.  Pixels
// that are kept stay where they are; a module of which nothing is left is none.
#include <string.h>

#include "physics/geometry.h"
#include "physics/panel.h"

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
