// SPDX-License-Identifier: BSD-3-Clause
// kind_decays.c -- exponentials, with a sharp or a blurred beginning: values and derivatives. Formulas in kinds.def.
//
// The blurred step is A/2 exp(s^2/(2 tau^2) - t/tau) erfc(a), a = (s/tau - t/s)/sqrt 2.  Before the step a is large and
// the exponential overflows while erfc underflows; there the same is written exp(-t^2/(2 s^2)) erfcx(a).
#include <math.h>

#include "lsq/kinds.h"

#define SQRT_2PI 2.5066282746310005024
#define SQRT_2 1.4142135623730950488

void xn_kind_exponentials(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    const int terms = order > 0 ? order : 1;
    for (int64_t i = 0; i < n; i++) y[i] = 0.0;
    for (int k = 0; k < terms; k++) {
        const double a = p[2 * k], rate = 1.0 / p[2 * k + 1];
        for (int64_t i = 0; i < n; i++) {
            const double t = x[i] * rate, e = exp(-t);
            y[i] += a * e;
            if (d == NULL) continue;
            d[2 * k][i] = e;
            d[2 * k + 1][i] = a * e * t * rate;
        }
    }
}

void xn_kind_stretched_exponential(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], tau = p[1], beta = p[2];
    for (int64_t i = 0; i < n; i++) {
        const bool after = x[i] > 0.0;
        const double u = after ? pow(x[i] / tau, beta) : 0.0, e = exp(-u);
        y[i] = a * e;
        if (d == NULL) continue;
        d[0][i] = e;
        d[1][i] = a * e * u * beta / tau;
        d[2][i] = after ? -a * e * u * log(x[i] / tau) : 0.0;
    }
}

void xn_kind_exponential_step(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], tau = p[3];
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], u = t / s, b = (s / tau - u) / SQRT_2, g = exp(-0.5 * u * u);
        const double f = 0.5 * (b > 0.0 ? g * xn_erfcx(b) : exp(0.5 * s * s / (tau * tau) - t / tau) * erfc(b));
        y[i] = a * f;
        if (d == NULL) continue;
        const double h = g / SQRT_2PI;
        d[0][i] = f;
        d[1][i] = a * (f / tau - h / s);
        d[2][i] = a * (f * s / (tau * tau) - h * (1.0 / tau + u / s));
        d[3][i] = a * (f * (t - s * s / tau) + h * s) / (tau * tau);
    }
}
