// SPDX-License-Identifier: BSD-3-Clause
// geometry_load.c -- the detector from the configuration: a geometry file or geometry.detector, turned by geometry.arm.
//
// The arm carries the detector about the sample: r becomes R_1 R_2 ... R_n r, R_1 the outermost axis, each a
// right-handed turn by sign * angle_deg about `axis`, as for the goniometer.  At zero angles the detector stands where
// the file or centre_px and distance_mm put it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/geometry.h"
#include "physics/lattice.h"
#include "physics/panel.h"

#define NEAREST_PIXELS 10 // no detector is nearer to the sample

// ---- the arm

static xani_status turn_arm(xn_ctx *ctx, const xn_config *config, xn_geometry *g)
{
    xn_goniometer arm;
    double r[9];
    XN_TRY(xn_circles_load(ctx, config, "geometry.arm", &arm));
    if (arm.n == 0) return XANI_OK;
    xn_goniometer_matrix(&arm, r);
    int64_t n = g->ny * g->nx;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float *p = g->position + 3 * i;
        double v[3] = {(double)p[0], (double)p[1], (double)p[2]}, out[3];
        xn_mat3_vec(r, v, out);
        for (int k = 0; k < 3; k++) p[k] = (float)out[k];
    }
    return XANI_OK;
}

// ---- file or detector

static xani_status take_options(xn_ctx *ctx, const xn_config *config, xn_geometry_options *o, double quadrants[8])
{
    static const char distance[] = "geometry.distance_mm", wide[] = "geometry.wide_pixels";
    o->distance_m = 1e-3 * xn_config_double(config, distance);
    o->pixel_mm = xn_config_double(config, "geometry.map.pixel_mm");
    o->group = xn_config_string(config, "geometry.map.group");
    o->detector = xn_config_string(config, "input.frames");
    o->unit = xn_config_string(config, "geometry.map.unit");
    o->frame = xn_config_string(config, "geometry.map.frame");
    if (o->frame != NULL && strcmp(o->frame, "auto") == 0) o->frame = NULL;
    o->inverted = xn_config_bool(config, "geometry.inverted");
    const char *how = xn_config_string(config, wide);
    o->wide = how == NULL || strcmp(how, "facility") == 0 ? 0 : strcmp(how, "centre") == 0 ? 1 : -1;
    if (xn_config_has(config, "geometry.quadrants_mm")) {
        int n = xn_config_doubles(config, "geometry.quadrants_mm", quadrants, 8);
        if (n != 8)
            return xn_config_bad(ctx, config, "geometry.quadrants_mm", "needs [x, y] of 4 quadrants, has %d numbers",
                                 n);
        o->quadrants_mm = quadrants;
    }
    return XANI_OK;
}

// The first input file: where .geom files look that name a place in the data. Owned, NULL when there is none.
static char *data_file(const xn_config *config)
{
    static const char *const keys[] = {"input.files[0]", "runs[0].files[0]"};
    for (int i = 0; i < 2; i++)
        if (xn_config_has(config, keys[i])) return xn_config_path(config, keys[i]);
    return NULL;
}

static xani_status place(xn_ctx *ctx, const xn_config *config, bool anywhere, bool frame_only, xn_geometry *g)
{
    xn_geometry_options o = {.anywhere = anywhere, .frame_only = frame_only};
    double quadrants[8];
    XN_TRY(take_options(ctx, config, &o, quadrants));
    xani_status st;
    if (xn_config_has(config, "geometry.file")) {
        char *path = xn_config_path(config, "geometry.file"), *data = data_file(config);
        if (path == NULL) {
            xn_free(data);
            return xn_fail_memory(ctx, "geometry.file", 1);
        }
        o.data_file = data;
        st = xn_geometry_file(ctx, path, &o, g);
        if (st == XANI_OK) st = xn_geometry_keep_stored(ctx, config, g);
        xn_free(path);
        xn_free(data);
    } else if (xn_config_has(config, "geometry.detector")) {
        xn_panels panels;
        XN_TRY(xn_panels_flat(ctx, config, &o, &panels));
        panels.frame_only = frame_only;
        st = xn_context(ctx, xn_geometry_from_panels(ctx, &panels, g), "geometry.detector");
        xn_panels_free(&panels);
        g->kind = "configuration";
    } else {
        st = xn_config_require(ctx, config, "geometry.file", "it, or geometry.detector, says where the pixels are");
    }
    if (st == XANI_OK) st = xn_geometry_crop(ctx, config, g);
    if (st == XANI_OK && g->position != NULL) st = turn_arm(ctx, config, g);
    if (st != XANI_OK) xn_geometry_free(g);
    return st;
}

xani_status xn_geometry_sketch(xn_ctx *ctx, const xn_config *config, xn_geometry *g)
{
    memset(g, 0, sizeof *g);
    return place(ctx, config, true, false, g);
}

xani_status xn_geometry_frame(xn_ctx *ctx, const xn_config *config, xn_geometry *g)
{
    memset(g, 0, sizeof *g);
    return place(ctx, config, true, true, g);
}

// Distance and energy wherever they come from: a wrong unit is the commonest mistake.
static xani_status check_sizes(xn_ctx *ctx, const xn_config *config, const xn_geometry *g)
{
    static const char distance[] = "geometry.distance_mm", file[] = "geometry.file";
    if (xn_config_has(config, distance) && g->distance_m < NEAREST_PIXELS * g->pixel_m)
        return xn_config_bad(ctx, config, distance, "%g mm is no distance for pixels of %g mm; is it in metres?",
                             1e3 * g->distance_m, 1e3 * g->pixel_m);
    double away = xn_geometry_plane_m(g);
    const char *path = xn_config_string(config, file);
    if (path == NULL) return XANI_OK;
    if (away < NEAREST_PIXELS * g->pixel_m)
        return xn_config_bad(
            ctx, config, file,
            "%s puts the detector %.3g mm from the sample, which is no distance for pixels of %.3g mm; "
            "is it in another unit?",
            path, 1e3 * away, 1e3 * g->pixel_m);
    if (!xn_config_has(config, "experiment.energy_kev") && !isnan(g->energy_kev) &&
        !(g->energy_kev >= XN_LEAST_KEV && g->energy_kev <= XN_MOST_KEV))
        return xn_config_bad(ctx, config, file,
                             "%s: %g keV is no energy of X-rays (%g to %g keV); is its unit another?", path,
                             g->energy_kev, XN_LEAST_KEV, XN_MOST_KEV);
    return XANI_OK;
}

xani_status xn_geometry_load(xn_ctx *ctx, const xn_config *config, int64_t ny, int64_t nx, xn_geometry *g)
{
    char why[256];
    memset(g, 0, sizeof *g);
    xani_status st = place(ctx, config, false, false, g);
    if (st == XANI_OK) st = check_sizes(ctx, config, g);
    if (st == XANI_OK && ny > 0 && (g->ny != ny || g->nx != nx))
        st = xn_config_bad(ctx, config, xn_config_has(config, "geometry.file") ? "geometry.file" : "geometry.detector",
                           "describes %lld x %lld pixels (y, x), the frames have %lld x %lld%s", (long long)g->ny,
                           (long long)g->nx, (long long)ny, (long long)nx,
                           xn_geometry_misfit(g, ny, nx, why, sizeof why));
    if (st != XANI_OK) xn_geometry_free(g);
    return st;
}
