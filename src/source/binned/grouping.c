// SPDX-License-Identifier: BSD-3-Clause
// grouping.c -- cubes whose pixels are groups of pixels of the detector: see binned.h.
//
// xani's own files say so, of others input.grouped does.  The geometry then describes the detector, and a group is
// where the pixels of its block are: blocks of n x n of a module, what does not fill one was dropped, as reduce does
// it.  A geometry that has as many pixels as the cube describes the groups themselves.
#include <string.h>

#include "physics/geometry.h"
#include "source/binned/binned.h"

static xani_status take_key(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    if (!xn_config_has(config, "input.grouped")) return XANI_OK;
    const int given = (int)xn_config_int(config, "input.grouped");
    if (s->grouped > 0 && s->grouped != given)
        return xn_config_bad(ctx, config, "input.grouped", "the cubes say that their pixels are groups of %d x %d",
                             s->grouped, s->grouped);
    s->grouped = given;
    return XANI_OK;
}

// The geometry of the configuration, where it has one that can be read.
static xani_status look_at_geometry(xn_ctx *ctx, const xn_config *config, xn_geometry *g, bool *known)
{
    *known = xn_config_has(config, "geometry.file") || xn_config_has(config, "geometry.detector");
    if (!*known) return XANI_OK;
    xani_status st = xn_geometry_frame(ctx, config, g);
    if (st == XANI_ERR_MEMORY || st == XANI_INTERRUPTED) return st;
    *known = st == XANI_OK;
    xn_clear_error(ctx); // told where it is used
    return XANI_OK;
}

static xani_status modules_of_groups(xn_ctx *ctx, const xn_geometry *g, xn_source *s)
{
    int64_t rows = 0;
    for (int m = 0; g != NULL && m < g->n_modules; m++) rows += g->module_rows[m] / s->grouped;
    if (g == NULL || rows != s->ny) return xn_modules_set(ctx, s, 1, s->ny);
    XN_TRY(xn_modules_set(ctx, s, g->n_modules, 0));
    for (int m = 0; m < g->n_modules; m++) s->module_rows[m] = g->module_rows[m] / s->grouped;
    return XANI_OK;
}

xani_status xn_binned_grouping(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    xn_geometry g = {0};
    bool known = false;
    XN_TRY(take_key(ctx, config, s));
    if (s->grouped > 1) XN_TRY(look_at_geometry(ctx, config, &g, &known));
    if (known && g.ny == s->ny && g.nx == s->nx) {
        xn_note(ctx, "geometry describes the cubes' groups of %d x %d pixels, not the detector's pixels", s->grouped,
                s->grouped);
        s->grouped = 0;
    }
    xani_status st = XANI_OK;
    if (s->module_rows == NULL)
        st = s->grouped > 1 ? modules_of_groups(ctx, known ? &g : NULL, s) : xn_modules_from_geometry(ctx, config, s);
    xn_geometry_free(&g);
    return st;
}
