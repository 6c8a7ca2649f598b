// SPDX-License-Identifier: BSD-3-Clause
// kind_decays.c -- exponentials, with a sharp or a blurred beginning: values and derivatives. Formulas in kinds.def.
//
// The blurred step is A/2 exp(s^2/(2 tau^2) - t/tau) erfc(a), a = (s/tau - t/s)/sqrt 2.  Before the step a is large and
// the exponential overflows while erfc underflows; there the same is written exp(-t^2/(2 s^2)) erfcx(a).
//
// At a decay or width of 0, which are their bounds, values and derivatives are the limits, where there are any.
#include <math.h>

#include "lsq/kinds.h"

#define SQRT_2PI 2.5066282746310005024
#define SQRT_2 1.4142135623730950488

void xn_kind_exponentials(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    const int terms = order > 0 ? order : 1;
    for (int64_t i = 0; i < n; i++) y[i] = 0.0;
    for (int k = 0; k < terms; k++) {
        const double a = p[2 * k], tau = p[2 * k + 1], rate = 1.0 / tau;
        for (int64_t i = 0; i < n; i++) {
            const double t = x[i] != 0.0 ? x[i] * rate : 0.0, e = exp(-t);
            y[i] += a * e;
            if (d == NULL) continue;
            d[2 * k][i] = e;
            d[2 * k + 1][i] = e > 0.0 && x[i] != 0.0 ? a * e * t * rate : 0.0;
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
        const bool some = after && e > 0.0;
        d[1][i] = some ? a * e * u * beta / tau : 0.0;
        d[2][i] = some ? -a * e * u * log(x[i] / tau) : 0.0;
    }
}

// Not blurred.
static void sharp_onset(const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    const double a = p[0], tau = p[3];
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], f = t > 0.0 ? exp(-t / tau) : t < 0.0 ? 0.0 : 0.5;
        y[i] = a * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = a * f / tau;
        d[2][i] = 0.0;
        d[3][i] = a * f * t / (tau * tau);
    }
}

// Gone at once: nothing is left but the derivative by the decay, the gaussian.
static void no_decay(const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    for (int64_t i = 0; i < n; i++) {
        const double u = (x[i] - p[1]) / p[2];
        y[i] = 0.0;
        if (d == NULL) continue;
        d[0][i] = d[1][i] = d[2][i] = 0.0;
        d[3][i] = p[0] * exp(-0.5 * u * u) / (p[2] * SQRT_2PI);
    }
}

void xn_kind_exponential_step(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], tau = p[3];
    if (s == 0.0) {
        sharp_onset(x, n, p, y, d);
        return;
    }
    if (tau == 0.0) {
        no_decay(x, n, p, y, d);
        return;
    }
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
