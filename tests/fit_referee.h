// SPDX-License-Identifier: BSD-3-Clause
// fit_referee.h -- an independent fit of damped cosines in double precision, for tests.
//
// Nothing is eliminated and nothing is fast: Levenberg-Marquardt on all 4 K + B parameters together (f, g, A, phase of
// each mode, then Legendre coefficients), the normal matrix summed sample by sample and inverted by Gauss-Jordan with
// pivoting.  Its minimum and its covariance are what the library's variable projection must reproduce.
// Units: t in ps, f in THz, g in 1/ps, phase in rad, all at t = 0.
#ifndef XN_FIT_REFEREE_H
#define XN_FIT_REFEREE_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define REFEREE_MOST 20 // parameters

typedef struct {
    const double *y, *t, *w; // (n) samples, delays, weights (0: missing)
    int n, n_modes, n_background;
    double span[2]; // of the Legendre polynomials
} referee_data;

typedef struct {
    double p[REFEREE_MOST];                     // f, g, A, phase of mode 0, of mode 1, ...; background
    double chi2;                                // sum of w r^2
    double inverse[REFEREE_MOST][REFEREE_MOST]; // of the normal matrix: times s^2 the covariance
} referee_fit;

static double referee_model(const referee_data *d, const double *p, double t, double *derivative)
{
    double y = 0.0;
    for (int k = 0; k < d->n_modes; k++) {
        const double *m = p + 4 * k, e = exp(-m[1] * t), x = 6.28318530717958647693 * m[0] * t + m[3];
        y += m[2] * e * cos(x);
        derivative[4 * k] = -m[2] * e * sin(x) * 6.28318530717958647693 * t;
        derivative[4 * k + 1] = -t * m[2] * e * cos(x);
        derivative[4 * k + 2] = e * cos(x);
        derivative[4 * k + 3] = -m[2] * e * sin(x);
    }
    const double u = 2.0 * (t - d->span[0]) / (d->span[1] - d->span[0]) - 1.0;
    const double legendre[4] = {1.0, u, 0.5 * (3.0 * u * u - 1.0), 0.5 * (5.0 * u * u - 3.0) * u};
    for (int b = 0; b < d->n_background; b++) {
        derivative[4 * d->n_modes + b] = legendre[b];
        y += p[4 * d->n_modes + b] * legendre[b];
    }
    return y;
}

// Normal matrix and right side at p; returns chi^2.
static double referee_normal(const referee_data *d, const double *p, double a[REFEREE_MOST][REFEREE_MOST], double *b)
{
    const int m = 4 * d->n_modes + d->n_background;
    double chi2 = 0.0, j[REFEREE_MOST];
    memset(a, 0, sizeof(double[REFEREE_MOST][REFEREE_MOST]));
    memset(b, 0, sizeof(double[REFEREE_MOST]));
    for (int i = 0; i < d->n; i++) {
        if (!(d->w[i] > 0.0)) continue;
        const double r = d->y[i] - referee_model(d, p, d->t[i], j);
        chi2 += d->w[i] * r * r;
        for (int q = 0; q < m; q++) {
            b[q] += d->w[i] * j[q] * r;
            for (int s = 0; s < m; s++) a[q][s] += d->w[i] * j[q] * j[s];
        }
    }
    return chi2;
}

static bool referee_invert(int m, double a[REFEREE_MOST][REFEREE_MOST], double out[REFEREE_MOST][REFEREE_MOST])
{
    double x[REFEREE_MOST][2 * REFEREE_MOST] = {{0}};
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++) x[i][j] = a[i][j] / sqrt(a[i][i] * a[j][j]);
        x[i][m + i] = 1.0;
    }
    for (int c = 0; c < m; c++) {
        int best = c;
        for (int i = c + 1; i < m; i++)
            if (fabs(x[i][c]) > fabs(x[best][c])) best = i;
        if (!(fabs(x[best][c]) > 1e-14)) return false;
        for (int j = 0; j < 2 * m; j++) {
            const double swap = x[c][j];
            x[c][j] = x[best][j];
            x[best][j] = swap;
        }
        const double pivot = x[c][c];
        for (int j = 0; j < 2 * m; j++) x[c][j] /= pivot;
        for (int i = 0; i < m; i++) {
            const double f = i == c ? 0.0 : x[i][c];
            for (int j = 0; j < 2 * m; j++) x[i][j] -= f * x[c][j];
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) out[i][j] = x[i][m + j] / sqrt(a[i][i] * a[j][j]);
    return true;
}

// From f->p to the minimum. False: it did not converge.
static bool referee_run(const referee_data *d, referee_fit *f)
{
    const int m = 4 * d->n_modes + d->n_background;
    double a[REFEREE_MOST][REFEREE_MOST], b[REFEREE_MOST], lambda = 1e-3;
    f->chi2 = referee_normal(d, f->p, a, b);
    for (int pass = 0; pass < 200; pass++) {
        double damped[REFEREE_MOST][REFEREE_MOST], trial[REFEREE_MOST], next[REFEREE_MOST][REFEREE_MOST];
        double right[REFEREE_MOST], decrease = 0.0;
        memcpy(damped, a, sizeof damped);
        for (int q = 0; q < m; q++) damped[q][q] *= 1.0 + lambda;
        if (!referee_invert(m, damped, f->inverse)) return false;
        for (int q = 0; q < m; q++) {
            double step = 0.0;
            for (int s = 0; s < m; s++) step += f->inverse[q][s] * b[s];
            trial[q] = f->p[q] + step;
            decrease += step * b[q];
        }
        const double chi2 = referee_normal(d, trial, next, right);
        const bool better = chi2 <= f->chi2 * (1.0 + 1e-13);
        lambda = better ? fmax(lambda * 0.1, 1e-14) : lambda * 8.0;
        if (better) {
            f->chi2 = chi2;
            memcpy(f->p, trial, sizeof trial);
            memcpy(a, next, sizeof a);
            memcpy(b, right, sizeof b);
        }
        if (better && decrease < 1e-12 * chi2) return referee_invert(m, a, f->inverse);
        if (lambda > 1e12) return false;
    }
    return false;
}

#endif
