// SPDX-License-Identifier: BSD-3-Clause
// distribution.c -- by how much chi^2 may rise over its minimum at a confidence level, for one parameter.
//
// F test: the rise over the minimum times the degrees of freedom follows F(1, nu), the square of Student's t; chi^2
// test: the rise follows chi^2 with one degree.  Student's distribution by the incomplete beta function's continued
// fraction (Abramowitz and Stegun 26.5.8, evaluated by Lentz's method), its inverse by bisection of ln t, which never
// fails and is called once per level.
#include <math.h>

#include "lsq/lsq.h"

static double log_gamma(double x) // without the global sign that lgamma writes
{
    int sign;
    return lgamma_r(x, &sign);
}

// I_x(a, b) for x < (a + 1)/(a + b + 2).
static double beta_fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 1000; m++) {
        for (int odd = 0; odd < 2; odd++) {
            const double e = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
                                 : m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m));
            d = 1.0 + e * d;
            c = 1.0 + e / c;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            h *= c * d;
        }
        if (fabs(c * d - 1.0) < 1e-15) break;
    }
    return h * exp(a * log(x) + b * log1p(-x) - log_gamma(a) - log_gamma(b) + log_gamma(a + b)) / a;
}

// P(|T| > t) of Student's distribution.
static double two_sided(double t, double degrees)
{
    const double a = 0.5 * degrees, x = degrees / (degrees + t * t);
    if (x < (a + 1.0) / (a + 2.5)) return beta_fraction(x, a, 0.5);
    return 1.0 - beta_fraction(t * t / (degrees + t * t), 0.5, a);
}

double xn_level_rise(double level, int64_t degrees, bool absolute)
{
    double low = -40.0, high = 40.0; // ln t
    for (int i = 0; i < 200 && high - low > 1e-15 * fabs(low); i++) {
        const double middle = 0.5 * (low + high), t = exp(middle);
        const double tail = absolute ? erfc(t / sqrt(2.0)) : two_sided(t, (double)degrees);
        if (tail > 1.0 - level)
            low = middle;
        else
            high = middle;
    }
    const double t = exp(0.5 * (low + high));
    return absolute ? t * t : t * t / (double)degrees;
}
