// SPDX-License-Identifier: BSD-3-Clause
// response.c -- see response.h: a lane of one number in double, and U = V/E.
#define XN_REAL_BITS 64
#define XN_VECTOR_BYTES 0
#include "kernel/response.h"

#include "kernel/response_lanes.h"

void xn_response(double g, double w, double s, double t, double u[2], double slope[2])
{
    const double tau = t / s, s2 = s * s;
    const vc one = {1.0, 0.0}, late = v_pole(g * t - 0.5 * s2 * (g * g - w * w), w * t - s2 * g * w, 1.0);
    vc at, more;
    response_pole(g, w, one, late, s, tau, 0.5 * exp(-0.5 * tau * tau), &at, &more);
    const vc whole = c_fma((vc){t - g * s2, w * s2}, at, more);
    u[0] = at.re, u[1] = at.im, slope[0] = whole.re, slope[1] = whole.im;
}
