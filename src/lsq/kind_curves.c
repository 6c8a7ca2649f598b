// SPDX-License-Identifier: BSD-3-Clause
// kind_curves.c -- constants, polynomials, powers, steps, waves: values and derivatives. Formulas in kinds.def.
#include <math.h>

#include "lsq/kinds.h"

#define PI 3.14159265358979323846

void xn_kind_constant(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    (void)x;
    for (int64_t i = 0; i < n; i++) {
        y[i] = p[0];
        if (d != NULL) d[0][i] = 1.0;
    }
}

void xn_kind_linear(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    for (int64_t i = 0; i < n; i++) {
        y[i] = p[0] * x[i] + p[1];
        if (d == NULL) continue;
        d[0][i] = x[i];
        d[1][i] = 1.0;
    }
}

void xn_kind_polynomial(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = p[order], power = 1.0;
        for (int k = order - 1; k >= 0; k--) sum = sum * x[i] + p[k];
        y[i] = sum;
        for (int k = 0; d != NULL && k <= order; k++) {
            d[k][i] = power;
            power *= x[i];
        }
    }
}

void xn_kind_power_law(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    for (int64_t i = 0; i < n; i++) {
        const double f = pow(x[i], p[1]);
        y[i] = p[0] * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = x[i] > 0.0 ? p[0] * f * log(x[i]) : 0.0;
    }
}

// What every step becomes as its width goes to 0. A centre on a sample has no derivative there; none counts.
// slope: of the step's tail, d/d width = slope/(x - centre).
static void sharp_step(const double *x, int64_t n, const double *p, double slope, double *y, double *const *d)
{
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], f = t > 0.0 ? 1.0 : t < 0.0 ? 0.0 : 0.5;
        y[i] = p[0] * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = 0.0;
        d[2][i] = t != 0.0 ? p[0] * slope / t : 0.0;
    }
}

void xn_kind_step_erf(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2];
    if (s == 0.0) {
        sharp_step(x, n, p, 0.0, y, d);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const double u = (x[i] - p[1]) / s, f = 0.5 * erfc(-u);
        y[i] = a * f;
        if (d == NULL) continue;
        const double slope = -a * exp(-u * u) / (sqrt(PI) * s);
        d[0][i] = f;
        d[1][i] = slope;
        d[2][i] = slope * u;
    }
}

void xn_kind_step_arctan(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2];
    if (s == 0.0) {
        sharp_step(x, n, p, -1.0 / PI, y, d);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const double u = (x[i] - p[1]) / s, f = 0.5 + atan(u) / PI;
        y[i] = a * f;
        if (d == NULL) continue;
        const double slope = -a / (PI * (1.0 + u * u) * s);
        d[0][i] = f;
        d[1][i] = slope;
        d[2][i] = slope * u;
    }
}

void xn_kind_logistic(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2];
    if (s == 0.0) {
        sharp_step(x, n, p, 0.0, y, d);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const double u = (x[i] - p[1]) / s, e = exp(-fabs(u)), f = (u >= 0.0 ? 1.0 : e) / (1.0 + e);
        y[i] = a * f;
        if (d == NULL) continue;
        const double slope = -a * e / ((1.0 + e) * (1.0 + e) * s);
        d[0][i] = f;
        d[1][i] = slope;
        d[2][i] = slope * u;
    }
}

void xn_kind_sine(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0];
    for (int64_t i = 0; i < n; i++) {
        const double t = 2.0 * PI * x[i], u = p[1] * t + p[2], s = sin(u);
        y[i] = a * s;
        if (d == NULL) continue;
        const double c = a * cos(u);
        d[0][i] = s;
        d[1][i] = c * t;
        d[2][i] = c;
    }
}

void xn_kind_damped_cosines(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    for (int64_t i = 0; i < n; i++) y[i] = 0.0;
    for (int k = 0; k < order; k++) {
        const double a = p[4 * k], g = p[4 * k + 1], f = p[4 * k + 2], phase = p[4 * k + 3];
        for (int64_t i = 0; i < n; i++) {
            const double t = 2.0 * PI * x[i], u = f * t + phase, e = exp(-g * x[i]), c = e * cos(u);
            y[i] += a * c;
            if (d == NULL) continue;
            const double s = -a * e * sin(u);
            d[4 * k][i] = c;
            d[4 * k + 1][i] = -a * c * x[i];
            d[4 * k + 2][i] = s * t;
            d[4 * k + 3][i] = s;
        }
    }
}
