// SPDX-License-Identifier: BSD-3-Clause
// vmath.h -- exponential, sine and cosine, arctangent over lanes.
//
// One formula for both precisions: reduce the argument with a constant split in parts (Cody and Waite 1980), then
// a Taylor polynomial in Horner form whose degree follows from the precision.  On the reduced intervals the first
// neglected term is below half a unit in the last place:
//   exp     |r| <= ln(2)/2   float degree 7 (5e-9)     double degree 13 (4e-18)
//   sin     |r| <= pi/2      float degree 13 (7e-10)   double degree 21 (2e-18)
//   cos     |r| <= pi/2      float degree 12 (7e-9)    double degree 22 (8e-20)
// Rounding to an integer adds and takes away 1.5 * 2^(mantissa bits), which leaves the integer in the low bits.
// Errors are measured in tests/parity/test_vmath.c: exp, sin and cos within 2.5 units of the last place of 1.
#ifndef XN_KERNEL_VMATH_H
#define XN_KERNEL_VMATH_H

#include "kernel/lane.h"

#if XN_REAL_BITS == 32
#define XN_MAGIC R(12582912.0)
#define XN_MANTISSA 23
#define XN_EXP_LOWEST R(-87.0)
#define XN_EXP_HIGHEST R(88.0)
#define XN_EXP_DEGREE 7
#define XN_SIN_TERMS 7
#define XN_COS_TERMS 7
XN_TABLE real xn_ln2[2] = {0.693359375f, -2.12194440e-4f};
XN_TABLE real xn_pi[3] = {3.140625f, 9.67502593994140625e-4f, 1.509957990978376432e-7f};
#else
#define XN_MAGIC R(6755399441055744.0)
#define XN_MANTISSA 52
#define XN_EXP_LOWEST R(-708.0)
#define XN_EXP_HIGHEST R(709.0)
#define XN_EXP_DEGREE 13
#define XN_SIN_TERMS 11
#define XN_COS_TERMS 12
XN_TABLE real xn_ln2[2] = {6.93147180369123816490e-01, 1.90821492927058770002e-10};
XN_TABLE real xn_pi[3] = {3.14159265346825122834, 1.21542010126079319532e-10, 4.04453249759190126308e-21};
#endif

XN_TABLE double xn_inverse_factorial[24] = {1.0,
                                            1.0,
                                            1.0 / 2,
                                            1.0 / 6,
                                            1.0 / 24,
                                            1.0 / 120,
                                            1.0 / 720,
                                            1.0 / 5040,
                                            1.0 / 40320,
                                            1.0 / 362880,
                                            1.0 / 3628800,
                                            1.0 / 39916800,
                                            1.0 / 479001600,
                                            1.0 / 6227020800,
                                            1.0 / 87178291200,
                                            1.0 / 1307674368000,
                                            1.0 / 20922789888000,
                                            1.0 / 355687428096000,
                                            1.0 / 6402373705728000,
                                            1.0 / 121645100408832000,
                                            1.0 / 2432902008176640000.0,
                                            1.0 / 51090942171709440000.0,
                                            1.0 / 1124000727777607680000.0,
                                            1.0 / 25852016738884976640000.0};

// Below -87 (float; double -708) the value of that argument, about 1e-38; never infinite.
XN_FN vf v_exp(vf x)
{
    x = v_min(v_max(x, v_set(XN_EXP_LOWEST)), v_set(XN_EXP_HIGHEST));
    vf k = v_fma(x, v_set(R(1.44269504088896340736)), v_set(XN_MAGIC));
    vi power = v_as_int(k);
    k = k - XN_MAGIC;
    vf r = v_fnma(k, v_set(xn_ln2[1]), v_fnma(k, v_set(xn_ln2[0]), x));
    vf p = v_set(R(xn_inverse_factorial[XN_EXP_DEGREE]));
    XN_UNROLL(16)
    for (int i = XN_EXP_DEGREE - 1; i >= 0; i--) p = v_fma(p, r, v_set(R(xn_inverse_factorial[i])));
    return v_as_real(v_as_int(p) + (power << XN_MANTISSA));
}

// |x| up to 2e4 (float), 1e6 (double).
XN_FN void v_sincos(vf x, vf *sine, vf *cosine)
{
    vf k = v_fma(x, v_set(R(0.31830988618379067154)), v_set(XN_MAGIC));
    vi flip = v_as_int(k) << (XN_REAL_BITS - 1); // an odd number of half turns changes both signs
    k = k - XN_MAGIC;
    vf r = v_fnma(k, v_set(xn_pi[2]), v_fnma(k, v_set(xn_pi[1]), v_fnma(k, v_set(xn_pi[0]), x)));
    vf z = -(r * r);
    vf s = v_set(R(xn_inverse_factorial[2 * XN_SIN_TERMS - 1])),
       c = v_set(R(xn_inverse_factorial[2 * XN_COS_TERMS - 2]));
    XN_UNROLL(16)
    for (int i = XN_SIN_TERMS - 2; i >= 1; i--) s = v_fma(s, z, v_set(R(xn_inverse_factorial[2 * i + 1])));
    XN_UNROLL(16)
    for (int i = XN_COS_TERMS - 2; i >= 0; i--) c = v_fma(c, z, v_set(R(xn_inverse_factorial[2 * i])));
    s = v_fma(s * z, r, r);
    *sine = v_as_real(v_as_int(s) ^ flip);
    *cosine = v_as_real(v_as_int(c) ^ flip);
}

// exp((-g + i w) t)
XN_FN vc v_pole(vf g, vf w, vf t)
{
    vf e = v_exp(-(g * t)), s, c;
    v_sincos(w * t, &s, &c);
    return (vc){e * c, e * s};
}

// Angle of (x, y) in [-pi, pi]; 0 for the origin. A start good to 1e-5 (Abramowitz and Stegun 4.4.49), then one
// rotation back by it and the arctangent of the small rest, which is good to the fifth power.
XN_FN vf v_atan2(vf y, vf x)
{
    vf ax = v_abs(x), ay = v_abs(y);
    vf high = v_max(ax, ay), low = v_min(ax, ay);
    vm zero = v_le(high, v_set(R(0)));
    vf t = low / v_sel(zero, v_set(R(1)), high), q = t * t;
    vf a = t * (R(0.9998660) + q * (R(-0.3302995) + q * (R(0.1801410) + q * (R(-0.0851330) + q * R(0.0208351)))));
    a = v_sel(v_lt(ax, ay), R(1.57079632679489661923) - a, a);
    a = v_sel(v_lt(x, v_set(R(0))), R(3.14159265358979323846) - a, a);
    a = v_sel(v_lt(y, v_set(R(0))), -a, a);
    vf s, c;
    v_sincos(a, &s, &c);
    vf d = (y * c - x * s) / v_sel(zero, v_set(R(1)), x * c + y * s);
    return a + d - d * d * d * R(1.0 / 3.0);
}

#endif
