// SPDX-License-Identifier: BSD-3-Clause
// detector.c -- modules of the simulated detector: where they are, how their pixels answer.
//
// Modules stand on a grid with gaps, stored one below the other (module m = row * columns + column), each turned in its
// plane by an alternating small angle.  Panels are made from numbers that the CrystFEL file can hold exactly, so that
// reading the file gives the same pixel positions.  Every pixel has its own gains and pedestals, as a JUNGFRAU has:
// about 41 ADU/keV in the first stage, -1.4 and -0.1 in the switched ones (formats.md 4.1).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/sim/parts.h"

static const double mean_gain[3] = {41.0, -1.4, -0.1}, gain_rms[3] = {0.8, 0.02, 0.002};
static const double mean_pedestal[3] = {3000.0, 14500.0, 14000.0}, pedestal_rms = 50.0;
static const double switched_noise_adu = 2.0;

static double rounded(double x, double scale) { return nearbyint(x * scale) / scale; }

static xani_status make_panels(xn_ctx *ctx, const xn_config *config, xn_panels *p, double energy_kev)
{
    double grid[2], shape[2], gap[2], centre[2];
    xn_config_doubles(config, "sim.detector.modules", grid, 2);
    xn_config_doubles(config, "sim.detector.shape", shape, 2);
    xn_config_doubles(config, "sim.detector.gap_px", gap, 2);
    for (int i = 0; i < 2; i++) centre[1 - i] = 0.5 * (grid[i] * shape[i] + (grid[i] - 1.0) * gap[i]);
    if (xn_config_has(config, "sim.detector.centre_px")) xn_config_doubles(config, "sim.detector.centre_px", centre, 2);
    double res = rounded(1e3 / xn_config_double(config, "sim.detector.pixel_mm"), 1e6);
    double tilt = xn_config_double(config, "sim.detector.tilt_deg") * M_PI / 180.0;
    double c = rounded(cos(tilt), 1e9), s = rounded(sin(tilt), 1e9);
    XN_TRY(xn_config_require(ctx, config, "geometry.distance_mm", "from the sample to the simulated detector"));
    double distance_m = 1e-3 * xn_config_double(config, "geometry.distance_mm");
    int n = (int)(grid[0] * grid[1]);
    p->panel = xn_calloc((size_t)n, sizeof *p->panel);
    if (p->panel == NULL) return xn_fail_memory(ctx, "panels", (size_t)n * sizeof *p->panel);
    p->n = n;
    p->energy_kev = energy_kev;
    p->distance_m = distance_m;
    for (int m = 0; m < n; m++) {
        int row = m / (int)grid[1], column = m % (int)grid[1];
        double turn = m % 2 == 0 ? s : -s;
        double corner_x = rounded(column * (shape[1] + gap[1]) - centre[0], 1e6);
        double corner_y = rounded(row * (shape[0] + gap[0]) - centre[1], 1e6);
        p->panel[m] = (xn_panel){.min_fs = 0,
                                 .max_fs = (int64_t)shape[1] - 1,
                                 .min_ss = m * (int64_t)shape[0],
                                 .max_ss = (m + 1) * (int64_t)shape[0] - 1,
                                 .plane = -1,
                                 .corner = {corner_x / res, corner_y / res, distance_m},
                                 .fs = {c / res, turn / res, 0.0},
                                 .ss = {-turn / res, c / res, 0.0},
                                 .res = res};
        snprintf(p->panel[m].name, sizeof p->panel[m].name, "m%d", m);
    }
    return XANI_OK;
}

static xani_status make_planes(xn_ctx *ctx, const xn_config *config, const xn_sim_settings *s, xn_sim_detector *d)
{
    size_t n = (size_t)(d->geometry.ny * d->geometry.nx);
    d->mask = xn_calloc(n, sizeof *d->mask);
    bool ok = d->mask != NULL;
    for (int g = 0; g < 3; g++) {
        d->gain[g] = xn_alloc(n, sizeof(float));
        d->pedestal[g] = xn_alloc(n, sizeof(float));
        ok = ok && d->gain[g] != NULL && d->pedestal[g] != NULL;
    }
    if (!ok) return xn_fail_memory(ctx, "the detector's gains and pedestals", n * 32);
    xn_rng rng = xn_sim_rng(s->seed, XN_SIM_DETECTOR, 0, 0);
    double bad = xn_config_double(config, "sim.detector.bad_fraction");
    for (size_t i = 0; i < n; i++) {
        for (int g = 0; g < 3; g++) {
            double a, b;
            xn_sim_normals(&rng, &a, &b);
            d->gain[g][i] = (float)(mean_gain[g] + gain_rms[g] * a);
            d->pedestal[g][i] = (float)(mean_pedestal[g] + pedestal_rms * b);
        }
        double u = xn_rng_uniform(&rng);
        if (u < bad) d->mask[i] = u < 0.5 * bad ? XN_SIM_DEAD : XN_SIM_HOT;
    }
    d->noise_adu[0] = xn_config_double(config, "sim.detector.noise_kev") * mean_gain[0];
    d->noise_adu[1] = d->noise_adu[2] = switched_noise_adu;
    return XANI_OK;
}

xani_status xn_sim_detector_make(xn_ctx *ctx, const xn_config *config, const xn_sim_settings *s, xn_sim_detector *d)
{
    memset(d, 0, sizeof *d);
    d->name = xn_strdup(xn_config_string(config, "sim.detector.name"));
    if (d->name == NULL) return xn_fail_memory(ctx, "the detector's name", 1);
    if (strpbrk(d->name, "/ ") != NULL || strlen(d->name) > 64)
        return xn_config_bad(ctx, config, "sim.detector.name", "'%s' becomes part of file names and paths", d->name);
    bool given = xn_config_has(config, "geometry.file") || xn_config_has(config, "geometry.detector");
    bool grid = xn_config_has(config, "sim.detector.modules") || xn_config_has(config, "sim.detector.shape") ||
                xn_config_has(config, "sim.detector.pixel_mm");
    if (!given || grid) {
        XN_TRY(make_panels(ctx, config, &d->panels, s->energy_kev));
        XN_TRY(xn_geometry_from_panels(ctx, &d->panels, &d->geometry));
    } else {
        XN_TRY(xn_geometry_load(ctx, config, 0, 0, &d->geometry));
    }
    return make_planes(ctx, config, s, d);
}

void xn_sim_detector_free(xn_sim_detector *d)
{
    xn_panels_free(&d->panels);
    xn_geometry_free(&d->geometry);
    for (int g = 0; g < 3; g++) {
        xn_free(d->gain[g]);
        xn_free(d->pedestal[g]);
    }
    xn_free(d->mask);
    xn_free(d->name);
    memset(d, 0, sizeof *d);
}

char *xn_sim_geometry_text(const xn_sim_detector *d, double energy_kev, double distance_m)
{
    char *text =
        xn_format(XN_SIM_GEOMETRY_HEAD "photon_energy = %.17g\nclen = %.17g\nres = %.17g\ndata = /data/%s/data\n"
                                       "dim0 = %%\ndim1 = ss\ndim2 = fs\n",
                  1e3 * energy_kev, distance_m, d->panels.panel[0].res, d->name);
    for (int m = 0; text != NULL && m < d->panels.n; m++) {
        const xn_panel *p = &d->panels.panel[m];
        char *more =
            xn_format("%s\n%s/min_fs = %lld\n%s/max_fs = %lld\n%s/min_ss = %lld\n%s/max_ss = %lld\n"
                      "%s/fs = %+.9fx %+.9fy\n%s/ss = %+.9fx %+.9fy\n%s/corner_x = %.17g\n%s/corner_y = %.17g\n",
                      text, p->name, (long long)p->min_fs, p->name, (long long)p->max_fs, p->name, (long long)p->min_ss,
                      p->name, (long long)p->max_ss, p->name, p->fs[0] * p->res, p->fs[1] * p->res, p->name,
                      p->ss[0] * p->res, p->ss[1] * p->res, p->name, rounded(p->corner[0] * p->res, 1e6), p->name,
                      rounded(p->corner[1] * p->res, 1e6));
        xn_free(text);
        text = more;
    }
    return text;
}
