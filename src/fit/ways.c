// SPDX-License-Identifier: BSD-3-Clause
// ways.c -- see ways.h.
#include "fit/ways.h"

#include <math.h>

#include "fit/lp_start.h"

#define TWO_PI 6.28318530717958647693
#define HARMLESS 0.2    // timing error in units of sigma
#define SNR_FLOAT 100.0 // A/sigma of 200 samples: above, rounding in float begins to look like further modes

int xn_way_next(const xn_ways *all, const xn_way *at, const xn_fit_tile *tile, int i)
{
    xn_way w = *at;
    const xn_fit_kernel *k = all->kernel[xn_way_deep(w)];
    const xn_fit_plan *p = &all->plans->plan[w.plan];
    if (tile->flags[i] & XN_FLAG_MISSING)
        return xn_way_number((xn_way){xn_plan_explicit(w.plan), w.depth, w.given, w.again});
    const bool found = tile->n_modes[i] > 0; // else the kernel says nothing of them
    const double snr2 = found ? xn_fit_out(k, tile, XN_OUT_SNR2, i) : 0.0;
    const double per_step = found ? xn_fit_out(k, tile, XN_OUT_SNR2_W, i) : 0.0;
    const double timing = per_step * all->plans->jitter_ps * all->plans->per_ps / HARMLESS;
    if (!xn_plan_exact(w.plan) && all->plans->has[XN_PLAN_EXACT] && timing * timing * snr2 > 1.0)
        w.plan = p->closed && all->plans->has[XN_PLAN_UNEVEN] && !all->on_devices ? XN_PLAN_UNEVEN : XN_PLAN_EXACT;
    const bool strong = snr2 > SNR_FLOAT * SNR_FLOAT * all->demand[w.plan], stuck = tile->flags[i] & XN_FLAG_STUCK;
    if ((strong || stuck) && all->precision != 32)
        w.depth = XN_DEPTH_DOUBLE;
    else if (strong && w.plan == XN_PLAN_CLOSED)
        w.depth = XN_DEPTH_HORNER;
    if (!w.given && all->lp_possible && xn_way_number(w) == xn_way_number(*at))
        w.given = xn_lp_start_matters(p, k, tile, i);
    return xn_way_number(w);
}

// Poles nearer than 2 pi over the trace's length, one of them not determined, cannot be told apart: each takes what it
// likes from the other, and neither could be reported.
bool xn_way_one_too_many(const xn_ways *all, const xn_way *at, const xn_fit_tile *tile, int i)
{
    const xn_fit_kernel *k = all->kernel[xn_way_deep(*at)];
    const double apart = TWO_PI / all->plans->plan[at->plan].length;
    const int n = tile->n_modes[i];
    int sound[XANI_MAX_MODES];
    unsigned told = 0;
    if (n < 2 || tile->flags[i] & (XN_FLAG_MISSING | XN_FLAG_FEW)) return false;
    const int n_sound = xn_fit_result_modes(all->plans, at->plan, k, tile, i, sound);
    for (int m = 0; m < n_sound; m++) told |= 1u << sound[m];
    for (int m = 0; m < n && n_sound < n; m++)
        for (int l = 0; l < m; l++) {
            const double dw = xn_fit_out(k, tile, XN_OUT_W + m, i) - xn_fit_out(k, tile, XN_OUT_W + l, i);
            const double dg = xn_fit_out(k, tile, XN_OUT_G + m, i) - xn_fit_out(k, tile, XN_OUT_G + l, i);
            if (hypot(dw, dg) < apart && !(told >> m & told >> l & 1)) return true;
        }
    return false;
}
