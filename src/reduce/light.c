// SPDX-License-Identifier: BSD-3-Clause
// light.c -- does every module see light?
//
// A module that is off, or whose pedestals are of another run, need not be marked anywhere: its pixels hold noise about
// nothing, half of them a little above 0, and change "by" hundreds of per cent.  A pixel group sees light when the sum
// of its laser-off shots exceeds LEAST standard deviations of a sum of mean 0,  S1 / sqrt(S2).  Groups that do not are
// told: by module where they are half of it or more, else where they are more than a hundredth of all.
#include <math.h>

#include "reduce/internal.h"

#define LEAST 3.0

static bool dark(const xn_cube *c, int64_t p)
{
    double sum = (double)c->off.s1[p] * (xn_photon_scale2(c->spatial_bin) / XN_PHOTON_SCALE);
    return sum <= LEAST * sqrt((double)c->off.s2[p]);
}

void xn_light_check(xn_ctx *ctx, const xn_cube *c)
{
    int64_t all = 0, without = 0, top = 0;
    if (c->off.s1 == NULL || c->off.s2 == NULL) return;
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
