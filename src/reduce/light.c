// SPDX-License-Identifier: BSD-3-Clause
// light.c -- does every module see light?
//
// A module that is off, or whose pedestals are of another run, need not be marked anywhere: its pixels hold noise about
// nothing, half of them a little above 0, and change "by" hundreds of per cent.  A pixel group sees light when the sum
// of its laser-off shots exceeds LEAST standard deviations of a sum of mean 0,  S1 / sqrt(S2).  Groups that do not are
// told: by module where they are half of it or more, else where they are more than a hundredth of all.
//
// Values in a unit that is no photon may be so small that what S2 and X are summed in (data/cube.h) is coarser than
// their scatter, which the errors come from.  That is told where it adds ROUNDED to the variance of most groups, whose
// shots hold less than FEW units; more of them without scatter are a simulation without noise.
#include <math.h>

#include "reduce/internal.h"

#define LEAST 3.0
#define ROUNDED 0.05
#define FEW 32

static bool dark(const xn_cube *c, int64_t p)
{
    double sum = (double)c->off.s1[p] * (xn_photon_scale2(c->spatial_bin) / XN_PHOTON_SCALE);
    return sum <= LEAST * sqrt((double)c->off.s2[p]);
}

static bool rounded(const xn_cube *c, int64_t p, double unit)
{
    const double n = (double)c->off.shots[0], s1 = (double)c->off.s1[p], rate = s1 / (double)c->off.i0_sum[0];
    const double residual = (double)c->off.s2[p] * unit * unit - 2.0 * rate * (double)c->off.x[p] * unit +
                            rate * rate * (double)c->off.i0_sq_sum[0];
    return s1 < n * FEW * unit && n * unit * unit / 12.0 > ROUNDED * residual;
}

static void check_unit(xn_ctx *ctx, const xn_cube *c)
{
    int64_t all = 0, coarse = 0;
    double photons = 0;
    if (c->off.x == NULL || c->off.shots == NULL || c->off.shots[0] < 2) return;
    const double scale = xn_photon_scale2(c->spatial_bin);
    for (int64_t p = 0; p < c->ny * c->nx; p++) {
        if (c->mask[p] != 0 || c->off.s1[p] <= 0) continue;
        all++;
        photons += (double)c->off.s1[p] / XN_PHOTON_SCALE / (double)c->off.shots[0];
        coarse += rounded(c, p, XN_PHOTON_SCALE / scale);
    }
    if (2 * coarse > all)
        xn_warn(ctx,
                "%lld of %lld pixel groups scatter by so little that rounding to 1/%g photon makes their errors too "
                "large (%.2g photons in a shot on average): is the unit of photons right? See input.calibration "
                "(photons_per_unit, kev_per_unit) and experiment.energy_kev",
                (long long)coarse, (long long)all, scale, photons / (double)all);
}

void xn_light_check(xn_ctx *ctx, const xn_cube *c)
{
    int64_t all = 0, without = 0, top = 0;
    if (c->off.s1 == NULL || c->off.s2 == NULL) return;
    check_unit(ctx, c);
    for (int m = 0; m < c->n_modules; top += c->module_rows[m++]) {
        int64_t used = 0, none = 0;
        for (int64_t p = top * c->nx; p < (top + c->module_rows[m]) * c->nx; p++) {
            if (c->mask[p] != 0) continue;
            used++;
            none += dark(c, p);
        }
        bool told = none > 0 && 2 * none >= used;
        if (told)
            xn_warn(
                ctx,
                "module %d of %d (rows %lld to %lld of the cube): %lld of %lld pixel groups hold no more than noise "
                "in laser-off shots; it may be off, or its pedestals those of another run",
                m + 1, c->n_modules, (long long)top, (long long)(top + c->module_rows[m] - 1), (long long)none,
                (long long)used);
        all += used;
        without += told ? 0 : none;
    }
    if (100 * without > all)
        xn_warn(ctx, "%lld of %lld pixel groups hold no more than noise in laser-off shots", (long long)without,
                (long long)all);
}
