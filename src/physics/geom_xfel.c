// SPDX-License-Identifier: BSD-3-Clause
// geom_xfel.c -- European XFEL geometry HDF5: LPD-1M and DSSC-1M.
//
// Q{1-4}/M{1-4}/Position is a module's place in its quadrant, .../T{01-}/Position a tile's place in its module, x and y
// in mm, upwards and to the left seen along the beam.  Where quadrants lie stands in Q{1-4}/Position of some files;
// elsewhere it changes from beam time to beam time and is geometry.quadrants_mm.  The conventions are EXtra-geom's:
// LPD (16 tiles of 32 x 128 pixels, 0.5 mm) is measured to the corner of the last pixel, tiles 1-8 lie in the first
// half of the columns from the last rows up, 9-16 in the second half from the first rows down.  DSSC (2 tiles of
// 128 x 256) is measured to the corner of lowest x and y; its pixels are hexagons, 236 um along a row, rows
// 236 um 1.5/sqrt(3) apart, odd ones half a pixel further, centres at 2/3 of a row; Q1, Q2 run the other way round
// than Q3, Q4.  LPD's first files (2018) measured to the right and down, so that offsets within a quadrant are
// positive: geometry.inverted turns their sign, as EXtra-geom's invert_xfel_lpd_geom does.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "physics/panel.h"

// Corners of the quadrants in mm where nothing better is known: for pictures (EXtra-geom's example geometries).
static const double nominal_lpd[8] = {11.4, 299.0, -11.5, 8.0, 254.5, -16.0, 278.5, 275.0};
static const double nominal_dssc[8] = {-130.0, 5.0, -130.0, -125.0, 5.0, -125.0, 5.0, 5.0};

static xani_status read_place(xn_ctx *ctx, const xn_h5 *file, const char *name, double place[2])
{
    double *value = NULL;
    int64_t n = 0;
    XN_TRY(xn_h5_read_f64(ctx, file, name, &value, &n));
    bool good = n >= 2 && isfinite(value[0]) && isfinite(value[1]);
    if (good) memcpy(place, value, 2 * sizeof *place);
    xn_free(value);
    return good ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is no place (x, y)", xn_h5_path(file), name);
}

static void lpd_tile(const double last_m[2], int tile, xn_panel *p)
{
    const double pixel = 5e-4;
    int up = tile < 8 ? 7 - tile : tile - 8;
    p->min_fs = tile < 8 ? 0 : 128;
    p->max_fs = p->min_fs + 127;
    p->min_ss = (int64_t)32 * up;
    p->max_ss = p->min_ss + 31;
    p->corner[0] = last_m[0] - 128.0 * pixel;
    p->corner[1] = last_m[1] - 32.0 * pixel;
    p->fs[0] = p->ss[1] = pixel;
    p->res = 1.0 / pixel;
}

static void dssc_tile(const double low_m[2], int tile, int quadrant, xn_panel *p)
{
    const double pixel = 236e-6, row = pixel * 1.5 / sqrt(3.0), x = quadrant < 2 ? -1.0 : 1.0, y = -x;
    p->min_fs = (int64_t)256 * tile;
    p->max_fs = p->min_fs + 255;
    p->min_ss = 0;
    p->max_ss = 127;
    p->fs[0] = x * pixel;
    p->ss[1] = y * row;
    p->corner[0] = low_m[0] + (x < 0.0 ? 256.0 * pixel : 0.0);
    p->corner[1] = low_m[1] + (y < 0.0 ? 128.0 * row : 0.0) + (2.0 / 3.0 - 0.5) * p->ss[1]; // centres at 2/3
    p->odd_shift = 0.5;
    p->res = 1.0 / pixel;
}

static xani_status read_module(xn_ctx *ctx, const xn_h5 *file, int module, int tiles, const double quadrant_mm[2],
                               double z, double sign, xn_panels *panels)
{
    char name[64];
    double place[2] = {0.0, 0.0}, tile[2] = {0.0, 0.0}, at_m[2];
    int q = module / 4 + 1, m = module % 4 + 1;
    snprintf(name, sizeof name, "Q%d/M%d/Position", q, m);
    XN_TRY(read_place(ctx, file, name, place));
    for (int t = 0; t < tiles; t++) {
        snprintf(name, sizeof name, "Q%d/M%d/T%02d/Position", q, m, t + 1);
        XN_TRY(read_place(ctx, file, name, tile));
        xn_panel *p = xn_panels_add(ctx, panels);
        if (p == NULL) return XANI_ERR_MEMORY;
        for (int k = 0; k < 2; k++) at_m[k] = 1e-3 * (quadrant_mm[k] + sign * (place[k] + tile[k]));
        if (tiles == 16)
            lpd_tile(at_m, t, p);
        else
            dssc_tile(at_m, t, module / 4, p);
        p->corner[2] = z;
        p->plane = module;
        snprintf(p->name, sizeof p->name, "Q%dM%dT%02d", q, m, t + 1);
    }
    return XANI_OK;
}

// Corner of each quadrant: as configured, else the file's own.
static xani_status quadrants(xn_ctx *ctx, const xn_h5 *file, const xn_geometry_options *o, int tiles, double at[8],
                             bool *assumed)
{
    *assumed = false;
    if (o->quadrants_mm != NULL) {
        memcpy(at, o->quadrants_mm, 8 * sizeof *at);
        return XANI_OK;
    }
    for (int q = 0; q < 4; q++) {
        char name[32];
        snprintf(name, sizeof name, "Q%d/Position", q + 1);
        if (xn_h5_exists(file, name)) {
            XN_TRY(read_place(ctx, file, name, at + 2 * q));
            continue;
        }
        if (!o->anywhere)
            return xn_fail(ctx, XANI_ERR_CONFIG,
                           "geometry.quadrants_mm is missing: %s does not say where the four quadrants are",
                           xn_h5_path(file));
        *assumed = true;
    }
    if (*assumed) memcpy(at, tiles == 16 ? nominal_lpd : nominal_dssc, 8 * sizeof *at);
    return XANI_OK;
}

// The last corner of a quadrant has the highest x and y: offsets from it are negative.
static void warn_of_axes(xn_ctx *ctx, const xn_h5 *file, const xn_geometry_options *o)
{
    double place[2] = {0.0, 0.0}, sum = 0.0;
    for (int m = 0; m < 4; m++) {
        char name[32];
        snprintf(name, sizeof name, "Q1/M%d/Position", m + 1);
        if (read_place(ctx, file, name, place) == XANI_OK) sum += place[0] + place[1];
    }
    xn_clear_error(ctx);
    if (o->inverted ? sum < 0.0 : sum > 0.0)
        xn_warn(ctx, "%s: positions grow %s; geometry.inverted: %s would be right", xn_h5_path(file),
                o->inverted ? "to the left and up" : "to the right and down, as in the first files of LPD",
                o->inverted ? "false" : "true");
}

xani_status xn_panels_xfel(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels)
{
    xn_h5 *file = NULL;
    double at[8];
    memset(panels, 0, sizeof *panels);
    panels->energy_kev = NAN;
    panels->distance_m = o->distance_m;
    if (isnan(o->distance_m) && !o->anywhere)
        return xn_fail(ctx, XANI_ERR_CONFIG, "geometry.distance_mm is missing: %s does not hold it", path);
    XN_TRY(xn_h5_open(ctx, path, &file));
    int tiles = 0;
    for (char name[32]; tiles < 17; tiles++) {
        snprintf(name, sizeof name, "Q1/M1/T%02d/Position", tiles + 1);
        if (!xn_h5_exists(file, name)) break;
    }
    xani_status st = XANI_OK;
    if (tiles != 16 && tiles != 2)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %d tiles a module: LPD has 16, DSSC has 2", path, tiles);
    if (st == XANI_OK) st = quadrants(ctx, file, o, tiles, at, &panels->assumed);
    double z = isnan(o->distance_m) ? 0.0 : o->distance_m;
    for (int m = 0; st == XANI_OK && m < 16; m++)
        st = read_module(ctx, file, m, tiles, at + 2 * (m / 4), z, o->inverted ? -1.0 : 1.0, panels);
    if (st == XANI_OK && tiles == 16) warn_of_axes(ctx, file, o);
    xn_h5_close(&file);
    if (st != XANI_OK) xn_panels_free(panels);
    return st;
}
