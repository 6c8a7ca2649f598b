// SPDX-License-Identifier: BSD-3-Clause
// kind_peaks.c -- peaks: values and derivatives. Formulas in kinds.def.
//
// A width of zero gives the limit where there is one (voigt, moffat, fano); of the others, where a peak of given area
// becomes infinite, a value that is not finite, which a fit takes as a point to stay away from.
#include <complex.h>
#include <math.h>

#include "lsq/kinds.h"

#define SQRT_2PI 2.5066282746310005024
#define SQRT_2 1.4142135623730950488
#define PI 3.14159265358979323846
#define SQRT_2LN2 1.1774100225154746910

void xn_kind_gaussian(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], inverse = 1.0 / p[2], norm = inverse / SQRT_2PI;
    for (int64_t i = 0; i < n; i++) {
        const double u = (x[i] - p[1]) * inverse, e = norm * exp(-0.5 * u * u);
        y[i] = a * e;
        if (d == NULL) continue;
        const double slope = a * e * inverse;
        d[0][i] = e;
        d[1][i] = slope * u;
        d[2][i] = slope * (u * u - 1.0);
    }
}

void xn_kind_lorentzian(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2];
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], q = 1.0 / (t * t + s * s), f = s * q / PI;
        y[i] = a * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = 2.0 * a * f * t * q;
        d[2][i] = a * q / PI - 2.0 * a * f * s * q;
    }
}

void xn_kind_pseudo_voigt(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], share = p[3], width = s / SQRT_2LN2;
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], q = 1.0 / (t * t + s * s), l = s * q / PI, u = t / width,
                     g = exp(-0.5 * u * u) / (width * SQRT_2PI), f = (1.0 - share) * g + share * l;
        y[i] = a * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = a * ((1.0 - share) * g * u / width + 2.0 * share * l * t * q);
        d[2][i] = a * ((1.0 - share) * g * (u * u - 1.0) / s + share * (q / PI - 2.0 * l * s * q));
        d[3][i] = a * (l - g);
    }
}

#define NARROW 2.5e-4 // (sigma/|t + i gamma|)^2 below which the series' next term is below the rounding

// Far from a narrow gaussian, exact at sigma = 0, the lorentzian:  with z = t + i gamma, e = (sigma/z)^2
//   V = i/(pi z) (1 + e + 3 e^2 + 15 e^3 + 105 e^4 ...),  the real part of which is the value.
// w(z) would lose its derivatives by cancellation there.
static void voigt_tail(double t, double s, double gamma, double a, int64_t i, double *y, double *const *d)
{
    const double complex over = (t - I * gamma) / (t * t + gamma * gamma), e = s * s * over * over;
    const double complex v = I * over / PI;
    const double value = creal(v * (1.0 + e * (1.0 + e * (3.0 + e * (15.0 + e * 105.0)))));
    y[i] = a * value;
    if (d == NULL) return;
    const double complex by_z = -v * over * (1.0 + e * (3.0 + e * (15.0 + e * (105.0 + e * 945.0))));
    d[0][i] = value;
    d[1][i] = -a * creal(by_z);
    d[2][i] = a * 2.0 * s * creal(v * over * over * (1.0 + e * (6.0 + e * (45.0 + e * 420.0))));
    d[3][i] = -a * cimag(by_z);
}

void xn_kind_voigt(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], norm = 1.0 / (s * SQRT_2PI), g = p[3] / s;
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], u = t / s, re = u / SQRT_2, im = g / SQRT_2;
        double w, v;
        if (s * s < NARROW * (t * t + p[3] * p[3])) {
            voigt_tail(t, s, p[3], a, i, y, d);
            continue;
        }
        xn_faddeeva(re, im, &w, &v);
        y[i] = a * norm * w;
        if (d == NULL) continue;
        // dw/dz = -2 z w + 2i/sqrt(pi)
        const double slope_re = -2.0 * (re * w - im * v), slope_im = -2.0 * (re * v + im * w) + 2.0 / sqrt(PI);
        const double by_u = slope_re / SQRT_2, by_g = -slope_im / SQRT_2;
        d[0][i] = norm * w;
        d[1][i] = -a * norm * by_u / s;
        d[2][i] = -a * norm * (w + by_u * u + by_g * g) / s;
        d[3][i] = a * norm * by_g / s;
    }
}

void xn_kind_moffat(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], beta = p[3];
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1];
        if (s == 0.0 && (t == 0.0 || beta > 0.0)) { // the centre's sample alone
            y[i] = t == 0.0 ? a : 0.0;
            for (int k = 0; d != NULL && k < 4; k++) d[k][i] = k == 0 && t == 0.0 ? 1.0 : 0.0;
            continue;
        }
        const double u = t / s, b = 1.0 + u * u, log_b = log1p(u * u), f = exp(-beta * log_b);
        y[i] = a * f;
        if (d == NULL) continue;
        const double slope = 2.0 * a * beta * f * u / (b * s);
        d[0][i] = f;
        d[1][i] = slope;
        d[2][i] = slope * u;
        d[3][i] = -a * f * log_b;
    }
}

void xn_kind_skewed_gaussian(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], gamma = p[3], norm = 1.0 / (s * SQRT_2PI);
    for (int64_t i = 0; i < n; i++) {
        const double u = (x[i] - p[1]) / s, v = gamma * u / SQRT_2, g = norm * exp(-0.5 * u * u), e = 1.0 + erf(v);
        y[i] = a * g * e;
        if (d == NULL) continue;
        const double by_v = g * 2.0 / sqrt(PI) * exp(-v * v) / SQRT_2; // times dv sqrt 2
        const double by_u = -u * g * e + by_v * gamma;
        d[0][i] = g * e;
        d[1][i] = -a * by_u / s;
        d[2][i] = -a * (by_u * u + g * e) / s;
        d[3][i] = a * by_v * u;
    }
}

void xn_kind_lognormal(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2];
    for (int64_t i = 0; i < n; i++) {
        const bool inside = x[i] > 0.0;
        const double u = inside ? (log(x[i]) - p[1]) / s : 0.0;
        const double f = inside ? exp(-0.5 * u * u) / (s * SQRT_2PI * x[i]) : 0.0;
        y[i] = a * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = a * f * u / s;
        d[2][i] = a * f * (u * u - 1.0) / s;
    }
}

void xn_kind_fano(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], s = p[2], q = p[3], half = 0.5 * s;
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - p[1], up = q * half + t, down = half * half + t * t;
        if (down == 0.0) { // of width 0, at the centre: no derivative by the centre
            y[i] = a * q * q;
            for (int k = 0; d != NULL && k < 4; k++) d[k][i] = k == 0 ? q * q : k == 3 ? 2.0 * a * q : 0.0;
            continue;
        }
        const double f = up * up / down;
        y[i] = a * f;
        if (d == NULL) continue;
        d[0][i] = f;
        d[1][i] = a * (-2.0 * up + 2.0 * f * t) / down;
        d[2][i] = a * (up * q - f * half) / down;
        d[3][i] = a * up * s / down;
    }
}

void xn_kind_damped_oscillator(int order, const double *x, int64_t n, const double *p, double *y, double *const *d)
{
    (void)order;
    const double a = p[0], c = p[1], s = p[2];
    for (int64_t i = 0; i < n; i++) {
        if (c == 0.0) { // at x = 0 alone
            y[i] = x[i] == 0.0 ? a : 0.0;
            for (int k = 0; d != NULL && k < 3; k++) d[k][i] = k == 0 && x[i] == 0.0 ? 1.0 : 0.0;
            continue;
        }
        const double u = x[i] / c, v = 1.0 - u * u, w = 2.0 * s * u, square = v * v + w * w, f = 1.0 / sqrt(square);
        y[i] = a * f;
        if (d == NULL) continue;
        const double slope = -a * f / square; // by half the square
        d[0][i] = f;
        d[1][i] = slope * (2.0 * v * u * u - w * w) / c;
        d[2][i] = slope * w * 2.0 * u;
    }
}
