// SPDX-License-Identifier: BSD-3-Clause
// traces.h -- the standard traces of the fit: damped cosines with known truth, noise, and the Cramer-Rao bound.
//
// N = 200, dt = 0.05 ps, f 0.5-6 THz, tau 1-10 ps, A_1 = 1, A_2 0.5-1, frequencies 0.5 THz apart, random
// phases, an offset; SNR = A_1/sigma of a sample at delay zero.  Used by the benchmarks and by the statistical
// tests, so that both speak of the same numbers.  The bound is the inverse of the Fisher matrix at the truth,
// for all parameters at once (amplitude, frequency, damping, phase of each mode, and the background).
#ifndef XN_BENCH_TRACES_H
#define XN_BENCH_TRACES_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/rng.h"

#define XN_TRACE_MODES 4
#define XN_TRACE_SAMPLES 200
#define XN_TRACE_STEP_PS 0.05
#define XN_TRACE_PI 3.14159265358979323846
#define XN_TRACE_PARAMETERS (4 * XN_TRACE_MODES + 4)

typedef struct xn_truth {
    int modes;
    double a[XN_TRACE_MODES], f[XN_TRACE_MODES], g[XN_TRACE_MODES], phase[XN_TRACE_MODES], offset;
    // bounds: one standard deviation of an efficient unbiased estimator
    double bound_a[XN_TRACE_MODES], bound_f[XN_TRACE_MODES], bound_g[XN_TRACE_MODES], bound_phase[XN_TRACE_MODES];
} xn_truth;

static inline double xn_truth_value(const xn_truth *t, double ps)
{
    double y = t->offset;
    for (int k = 0; k < t->modes; k++)
        y += t->a[k] * exp(-t->g[k] * ps) * cos(2 * XN_TRACE_PI * t->f[k] * ps + t->phase[k]);
    return y;
}

// Draws the modes of one trace.
static inline void xn_truth_draw(xn_truth *t, int modes, xn_rng *r)
{
    memset(t, 0, sizeof *t);
    t->modes = modes;
    bool apart;
    do {
        apart = true;
        for (int k = 0; k < modes; k++) t->f[k] = 0.5 + 5.5 * xn_rng_uniform(r);
        for (int k = 0; k < modes; k++)
            for (int j = 0; j < k; j++) apart = apart && fabs(t->f[k] - t->f[j]) > 0.5;
    } while (!apart);
    for (int k = 0; k < modes; k++) {
        t->a[k] = k == 0 ? 1 : 0.5 + 0.5 * xn_rng_uniform(r);
        t->g[k] = 1 / (1 + 9 * xn_rng_uniform(r));
        t->phase[k] = XN_TRACE_PI * (2 * xn_rng_uniform(r) - 1);
    }
    t->offset = 2 * xn_rng_uniform(r) - 1;
}

// Inverse diagonal of a symmetric positive definite matrix by Cholesky, scaled first; false when it is singular.
static inline bool xn_truth_inverse(int n, double m[XN_TRACE_PARAMETERS][XN_TRACE_PARAMETERS], double *diagonal)
{
    double scale[XN_TRACE_PARAMETERS], l[XN_TRACE_PARAMETERS][XN_TRACE_PARAMETERS] = {{0}};
    for (int i = 0; i < n; i++) scale[i] = 1 / sqrt(m[i][i]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double s = m[i][j] * scale[i] * scale[j];
            for (int k = 0; k < j; k++) s -= l[i][k] * l[j][k];
            if (i == j && !(s > 1e-14)) return false;
            l[i][j] = i == j ? sqrt(s) : s / l[j][j];
        }
    for (int c = 0; c < n; c++) { // column c of L^-1; the diagonal of the inverse is its squared length
        double x[XN_TRACE_PARAMETERS] = {0}, sum = 0;
        for (int i = c; i < n; i++) {
            double s = i == c;
            for (int k = c; k < i; k++) s -= l[i][k] * x[k];
            x[i] = s / l[i][i];
            sum += x[i] * x[i];
        }
        diagonal[c] = sum * scale[c] * scale[c];
    }
    return true;
}

// Bounds with `columns` Legendre polynomials as background, for samples of error sigma at the given delays.
static inline bool xn_truth_bounds(xn_truth *t, const double *delay_ps, int n, double sigma, int columns)
{
    double fisher[XN_TRACE_PARAMETERS][XN_TRACE_PARAMETERS] = {{0}}, variance[XN_TRACE_PARAMETERS];
    int p = 4 * t->modes + columns;
    for (int i = 0; i < n; i++) {
        double d[XN_TRACE_PARAMETERS], ps = delay_ps[i];
        double u = 2 * (ps - delay_ps[0]) / (delay_ps[n - 1] - delay_ps[0]) - 1;
        for (int k = 0; k < t->modes; k++) {
            double e = exp(-t->g[k] * ps), angle = 2 * XN_TRACE_PI * t->f[k] * ps + t->phase[k];
            d[4 * k] = e * cos(angle);
            d[4 * k + 1] = -2 * XN_TRACE_PI * ps * t->a[k] * e * sin(angle);
            d[4 * k + 2] = -ps * t->a[k] * e * cos(angle);
            d[4 * k + 3] = -t->a[k] * e * sin(angle);
        }
        const double legendre[] = {1, u, 1.5 * u * u - 0.5, 2.5 * u * u * u - 1.5 * u};
        for (int c = 0; c < columns; c++) d[4 * t->modes + c] = legendre[c];
        for (int a = 0; a < p; a++)
            for (int b = 0; b <= a; b++) fisher[a][b] += d[a] * d[b] / (sigma * sigma);
    }
    if (!xn_truth_inverse(p, fisher, variance)) return false;
    for (int k = 0; k < t->modes; k++) {
        t->bound_a[k] = sqrt(variance[4 * k]);
        t->bound_f[k] = sqrt(variance[4 * k + 1]);
        t->bound_g[k] = sqrt(variance[4 * k + 2]);
        t->bound_phase[k] = sqrt(variance[4 * k + 3]);
    }
    return true;
}

// n traces [delay][trace] at the given delays, with truth and bounds (offset as background, equal weights). The error
// of a sample is 1/snr over the root of its weight; weight NULL: all 1. Trace i of a seed is always the same.
static inline void xn_traces_make_weighted(uint64_t seed, int modes, double snr, const double *delay_ps,
                                           const double *weight, int samples, int64_t n, float *y, xn_truth *truth)
{
    for (int64_t i = 0; i < n; i++) {
        xn_rng r;
        xn_rng_init(&r, seed, (uint64_t)i);
        xn_truth_draw(&truth[i], modes, &r);
        xn_truth_bounds(&truth[i], delay_ps, samples, 1 / snr, 1);
        for (int s = 0; s < samples; s++) {
            const double error = 1 / snr / (weight != NULL ? sqrt(weight[s]) : 1);
            y[s * n + i] = (float)(xn_truth_value(&truth[i], delay_ps[s]) + xn_rng_normal(&r) * error);
        }
    }
}

static inline void xn_traces_make(uint64_t seed, int modes, double snr, const double *delay_ps, int samples, int64_t n,
                                  float *y, xn_truth *truth)
{
    xn_traces_make_weighted(seed, modes, snr, delay_ps, NULL, samples, n, y, truth);
}

static inline void xn_traces_delays(int samples, double *delay_ps)
{
    for (int s = 0; s < samples; s++) delay_ps[s] = s * XN_TRACE_STEP_PS;
}

// order[i]: the number of the i-th smallest of n frequencies
static inline void xn_truth_sort(int n, const double *f, int *order)
{
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && f[order[at - 1]] > f[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

// Pairs fitted with true frequencies in rising order, which makes the sum of distances least; true when each lies
// within 2 % of the truth. order[k]: fitted mode of true mode k. f: as many as the truth has.
static inline bool xn_truth_found(const xn_truth *t, const double *f, int *order)
{
    int truth[XN_TRACE_MODES] = {0}, fitted[XN_TRACE_MODES] = {0};
    bool all = true;
    xn_truth_sort(t->modes, t->f, truth);
    xn_truth_sort(t->modes, f, fitted);
    for (int i = 0; i < t->modes; i++) {
        order[truth[i]] = fitted[i];
        all = all && fabs(f[fitted[i]] - t->f[truth[i]]) < 0.02 * t->f[truth[i]];
    }
    return all;
}

#endif
