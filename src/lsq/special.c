// SPDX-License-Identifier: BSD-3-Clause
// special.c -- scaled complementary error function and Faddeeva function.
//
// w(z) by Weideman's rational expansion with 40 terms: see core/faddeeva.h.
#include <math.h>

#include "core/faddeeva.h"
#include "lsq/kinds.h"

#define SQRT_PI 1.7724538509055160273

double xn_erfcx(double x)
{
    if (x < 25.0) return exp(x * x) * erfc(x); // the square's rounding costs x^2 units of the last place
    const double q = 0.5 / (x * x);            // asymptotic series, its terms fall by 1e-3
    return (1.0 - q * (1.0 - q * 3.0 * (1.0 - q * 5.0 * (1.0 - q * 7.0 * (1.0 - q * 9.0))))) / (x * SQRT_PI);
}

void xn_faddeeva(double re, double im, double *w_re, double *w_im)
{
    static const double l = XN_FADDEEVA_L40, a[] = {XN_FADDEEVA_A40};
    // q = 1/(L - i z), Z = (L + i z) q
    const double dr = l + im, di = -re, size = dr * dr + di * di, qr = dr / size, qi = -di / size;
    const double zr = (l - im) * qr - re * qi, zi = (l - im) * qi + re * qr;
    double pr = 0.0, pi = 0.0;
    for (size_t k = 0; k < sizeof a / sizeof a[0]; k++) {
        const double t = pr * zr - pi * zi + a[k];
        pi = pr * zi + pi * zr;
        pr = t;
    }
    const double ur = 2.0 * (pr * qr - pi * qi) + 1.0 / SQRT_PI, ui = 2.0 * (pr * qi + pi * qr);
    *w_re = ur * qr - ui * qi;
    *w_im = ur * qi + ui * qr;
}
