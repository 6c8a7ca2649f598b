// SPDX-License-Identifier: BSD-3-Clause
// geometry_load.c -- the detector from the configuration: a geometry file or a simple detector.
//
// A simple detector is a plane perpendicular to the beam: x grows with the column (to the left when looking
// along the beam, to the right when facing it), y with the row, and geometry.detector.centre_px is the point
// [x, y] in pixels where the beam hits, pixel centres being at +0.5.
#include <math.h>
#include <string.h>

#include "physics/geometry.h"
#include "physics/panel.h"

static xani_status simple_detector(xn_ctx *ctx, const xn_config *config, double distance_m, xn_geometry *g)
{
    double shape[2], centre[2];
    XN_TRY(xn_config_require(ctx, config, "geometry.detector.shape", "pixels [y, x] of the detector"));
    XN_TRY(xn_config_require(ctx, config, "geometry.detector.pixel_mm", "edge of a pixel"));
    XN_TRY(xn_config_require(ctx, config, "geometry.detector.centre_px", "where the beam hits, [x, y]"));
    XN_TRY(xn_config_require(ctx, config, "geometry.distance_mm", "a simple detector needs its distance"));
    xn_config_doubles(config, "geometry.detector.shape", shape, 2);
    xn_config_doubles(config, "geometry.detector.centre_px", centre, 2);
    g->pixel_m = 1e-3 * xn_config_double(config, "geometry.detector.pixel_mm");
    g->ny = (int64_t)shape[0];
    g->nx = (int64_t)shape[1];
    g->n_modules = 1;
    g->energy_kev = NAN;
    XN_TRY(xn_geometry_allocate(ctx, g));
    g->module_rows[0] = g->ny;
    memset(g->bad, 0, (size_t)(g->ny * g->nx));
    for (int64_t j = 0; j < g->ny; j++)
        for (int64_t i = 0; i < g->nx; i++) {
            float *r = g->position + 3 * (j * g->nx + i);
            r[0] = (float)(((double)i + 0.5 - centre[0]) * g->pixel_m);
            r[1] = (float)(((double)j + 0.5 - centre[1]) * g->pixel_m);
            r[2] = (float)distance_m;
        }
    return XANI_OK;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static xani_status from_file(xn_ctx *ctx, const xn_config *config, const char *path, double distance_m, xn_geometry *g)
{
    if (!ends_with(path, ".geom"))
        return xn_config_bad(ctx, config, "geometry.file", "%s: only CrystFEL .geom files are read so far", path);
    xn_panels panels;
    XN_TRY(xn_panels_crystfel(ctx, path, distance_m, &panels));
    xani_status st = xn_geometry_from_panels(ctx, &panels, g);
    xn_panels_free(&panels);
    return st;
}

xani_status xn_geometry_load(xn_ctx *ctx, const xn_config *config, int64_t ny, int64_t nx, xn_geometry *g)
{
    memset(g, 0, sizeof *g);
    double distance_m = 1e-3 * xn_config_double(config, "geometry.distance_mm");
    xani_status st;
    if (xn_config_has(config, "geometry.file")) {
        char *path = xn_config_path(config, "geometry.file");
        if (path == NULL) return xn_fail_memory(ctx, "geometry.file", 1);
        st = from_file(ctx, config, path, distance_m, g);
        xn_free(path);
    } else if (xn_config_has(config, "geometry.detector")) {
        st = simple_detector(ctx, config, distance_m, g);
    } else {
        st = xn_config_require(ctx, config, "geometry.file", "it, or geometry.detector, says where the pixels are");
    }
    if (st == XANI_OK && ny > 0 && (g->ny != ny || g->nx != nx))
        st = xn_config_bad(ctx, config, xn_config_has(config, "geometry.file") ? "geometry.file" : "geometry.detector",
                           "describes %lld x %lld pixels (y, x), the frames have %lld x %lld", (long long)g->ny,
                           (long long)g->nx, (long long)ny, (long long)nx);
    if (st != XANI_OK) xn_geometry_free(g);
    return st;
}
