// SPDX-License-Identifier: BSD-3-Clause
// response_lanes.h -- a pole that is switched on at time zero, seen through a Gaussian response.
//
// exp(z t), z = -g + i w, from t = 0 on, convolved with a Gaussian of rms s and taken over its factor exp(z^2 s^2/2) of
// late times (tau = t/s, p = (tau + z s)/sqrt 2, E = exp(-z^2 s^2/2); w: Faddeeva's function):
//   V(t) = exp(z t) erfc(-p)/2 = E exp(-tau^2/2) w(-i p)/2                where Re p <= 0
//                              = exp(z t) - E exp(-tau^2/2) w(i p)/2      elsewhere,   w(-conj u) = conj w(u)
//   dV/dz = t V + E s exp(-tau^2/2)/sqrt(2 pi)
// so that w is needed in its first quadrant only, at (Im p, |Re p|): nothing overflows there, whatever t, g and w are.
// Some ten s after time zero V is exp(z t) to the last bit, and the sums go on as without a response. The plan keeps
// w s below 3.72 and g s below 1 (fit/plan.c), hence |E| below 1000. The same space is spanned with and without the
// factor E; amplitudes of the results are those without (finish.h).
#ifndef XN_KERNEL_RESPONSE_LANES_H
#define XN_KERNEL_RESPONSE_LANES_H

#include "core/faddeeva.h"
#include "kernel/fit_kit.h"

#define XN_HALF_ROOT R(0.70710678118654752440)       // sqrt(1/2)
#define XN_ROOT_2_PI R(0.79788456080286535588)       // sqrt(2/pi)
#define XN_INVERSE_ROOT_PI R(0.56418958354775628695) // 1/sqrt(pi)
#if XN_REAL_BITS == 32
#define XN_FADDEEVA_L R(XN_FADDEEVA_L20)
XN_TABLE double xn_faddeeva_a[] = {XN_FADDEEVA_A20};
#else
#define XN_FADDEEVA_L R(XN_FADDEEVA_L40)
XN_TABLE double xn_faddeeva_a[] = {XN_FADDEEVA_A40};
#endif

// w(z), Im z >= 0
XN_FN vc c_faddeeva(vc z)
{
    const vf low = XN_FADDEEVA_L - z.im, high = XN_FADDEEVA_L + z.im;
    const vf scale = R(1) / v_fma(high, high, z.re * z.re);
    const vc q = {high * scale, z.re * scale}, to = c_mul((vc){low, z.re}, q);
    vc p = {v_set(R(0)), v_set(R(0))};
    for (size_t i = 0; i < sizeof xn_faddeeva_a / sizeof xn_faddeeva_a[0]; i++)
        p = c_fma(p, to, (vc){v_set(R(xn_faddeeva_a[i])), v_set(R(0))});
    const vc twice = {R(2) * p.re, R(2) * p.im};
    return c_mul(q, c_fma(twice, q, (vc){v_set(XN_INVERSE_ROOT_PI), v_set(R(0))}));
}

// E of a pole
XN_FN vc response_factor(vf g, vf w, real s)
{
    const real s2 = s * s;
    return v_pole(R(0.5) * s2 * (g * g - w * w), s2 * g * w, v_set(R(1)));
}

// V at tau = t/s from `late` = exp(z t), and `more`, which dV/dz has beside t V; rise: exp(-tau^2/2)/2. With e = 1 and
// late = exp(z t + z^2 s^2/2) the same without the factor: U, and what dU/dz has beside (t + z s^2) U.
XN_FN void response_pole(vf g, vf w, vc e, vc late, real s, real tau, real rise, vc *v, vc *more)
{
    const vf re = XN_HALF_ROOT * (tau - g * s), im = XN_HALF_ROOT * s * w, none = v_set(R(0));
    const vm before = v_le(re, none);
    const vc to = c_faddeeva((vc){im, v_abs(re)});
    const vc edge = c_mul(e, (vc){rise * v_sel(before, to.re, -to.re), rise * to.im});
    const vf density = v_set(XN_ROOT_2_PI * s * rise);
    *v = (vc){v_sel(before, none, late.re) + edge.re, v_sel(before, none, late.im) + edge.im};
    *more = (vc){density * e.re, density * e.im};
}

#endif
