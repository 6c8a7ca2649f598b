// SPDX-License-Identifier: BSD-3-Clause
// background.c -- the background's columns: Legendre polynomials on the span of the delays, orthonormal under the
// weights.
//
// With a response and delays near time zero the background is switched there too: the polynomials from time zero on and
// a level before it, all convolved with the response.  For X of mean t and rms s, J_p = E[X^p; X > t0] is the power t^p
// switched on at t0, tau = (t - t0)/s:
//   J_0 = (1 + erf(tau/sqrt 2))/2,     J_p = t J_(p-1) + (p - 1) s^2 J_(p-2) + s t0^(p-1) exp(-tau^2/2)/sqrt(2 pi)
// (by parts), and the level's column is 1 - J_0: with the constant polynomial it still makes up a constant.
#include <math.h>
#include <string.h>

#include "fit/plan.h"

#define HALF_ROOT 0.70710678118654752440
#define INVERSE_ROOT_2_PI 0.39894228040143267794

static double square(double x) { return x * x; }

// Powers of nu of the Legendre polynomial P_b(2 nu stretch - 1).
static void legendre_powers(int b, double stretch, double *out)
{
    static const double p[XN_FIT_COLUMNS][XN_FIT_COLUMNS] = {
        {1}, {-1, 2}, {1, -6, 6}, {-1, 12, -30, 20}}; // shifted Legendre polynomials of u = nu stretch
    double f = 1.0;
    for (int q = 0; q < XN_FIT_COLUMNS; q++) {
        out[q] = p[b][q] * f;
        f *= stretch;
    }
}

// The powers 1, nu, nu^2, ... at sample i; switched on where the background is.
static void powers_at(const xn_fit_plan *p, int i, bool switched, double *power)
{
    const double nu = p->time[i] / p->length, nu0 = p->t_zero / p->length, s = p->response / p->length;
    const double tau = switched ? (nu - nu0) / s : 0.0;
    double edge = switched ? s * exp(-0.5 * tau * tau) * INVERSE_ROOT_2_PI : 0.0;
    power[0] = switched ? 0.5 * erfc(-tau * HALF_ROOT) : 1.0;
    for (int q = 1; q < XN_FIT_COLUMNS; q++) {
        power[q] = nu * power[q - 1] + edge;
        if (switched && q > 1) power[q] += (q - 1) * s * s * power[q - 2];
        edge *= nu0;
    }
}

void xn_fit_background(xn_fit_plan *p, bool before, double (*legendre)[XN_FIT_COLUMNS])
{
    const double last = p->length - 1.0, stretch = last > 0.0 ? p->length / last : 1.0;
    for (int b = 0; b < p->n_columns; b++) {
        double *u = p->column + (size_t)b * (size_t)p->n, power[XN_FIT_COLUMNS];
        const bool level = before && b == p->n_columns - 1;
        memset(legendre[b], 0, sizeof legendre[b]);
        legendre[b][b] = 1.0;
        legendre_powers(level ? 0 : b, stretch, p->monomial[b]);
        for (int i = 0; i < p->n; i++) {
            powers_at(p, i, before, power);
            u[i] = level ? 1.0 - power[0] : 0.0;
            for (int q = XN_FIT_COLUMNS - 1; !level && q >= 0; q--) u[i] += p->monomial[b][q] * power[q];
        }
        for (int pass = 0; pass < 2; pass++) // Gram-Schmidt, twice
            for (int c = 0; c <= b; c++) {   // the last: its own norm
                double *v = p->column + (size_t)c * (size_t)p->n, dot = 0.0;
                for (int i = 0; i < p->n; i++) dot += square(p->scale[i]) * u[i] * v[i];
                const double take = c < b ? dot : 0.0, times = c < b ? 1.0 : 1.0 / sqrt(dot);
                for (int i = 0; i < p->n; i++) u[i] = (u[i] - take * v[i]) * times;
                for (int q = 0; q < XN_FIT_COLUMNS; q++) {
                    legendre[b][q] = (legendre[b][q] - take * legendre[c][q]) * times;
                    p->monomial[b][q] = (p->monomial[b][q] - take * p->monomial[c][q]) * times;
                }
            }
    }
}
