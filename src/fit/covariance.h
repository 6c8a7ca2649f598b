// SPDX-License-Identifier: BSD-3-Clause
// covariance.h -- full covariance of a trace's modes in physical units, in double precision.
//
// The kernel gives errors without ever forming the matrix; who asks for correlations gets it from here: the normal
// matrix of all parameters (f, g, A, phase at delay zero of every mode of the fit, and the background) summed sample
// by sample, inverted, times the variance of a sample.  Rows of parameters at a bound are NaN: they count as fixed.
#ifndef XN_FIT_COVARIANCE_H
#define XN_FIT_COVARIANCE_H

#include "fit/plan.h"

#define XN_COVARIANCE_MOST (4 * XANI_MAX_MODES + XN_FIT_COLUMNS)

// One mode of the model A exp(-g t) cos(2 pi f t + phase), with what of it is fixed.
typedef struct xn_covariance_mode {
    double f, g, amplitude, phase;
    bool f_fixed, g_fixed;
} xn_covariance_mode;

// Samples of a trace as the model sees them.
typedef struct xn_covariance_samples {
    int n, n_columns;
    const double *time_ps; // (n) from time zero
    const double *weight;  // (n), 0: missing
    const double *column;  // (n_columns, n) of the background
    double response_ps;    // rms; 0: none
} xn_covariance_samples;

// out: (4 n_modes, 4 n_modes): inverse of the normal matrix, times variance. known: (2 n_modes, 2 n_modes) what other
// traces tell of f and g of mode 0, of mode 1, ...: the inverse of a covariance, or NULL.
void xn_covariance_of(int n_modes, const xn_covariance_mode *modes, const xn_covariance_samples *samples,
                      double variance, const double *known, double *out);

// Inverse of the symmetric a in place; rows with a zero diagonal become NaN. False: not positive definite.
bool xn_covariance_invert(int n, double a[XN_COVARIANCE_MOST][XN_COVARIANCE_MOST]);

// Trace i of a fitted tile: the modes of its result in their order, then NaN up to modes_max. out: (4 modes_max,
// 4 modes_max); work: 2 n_delays.
void xn_covariance_trace(const xn_fit_plans *plans, int kind, const xn_fit_kernel *kernel, const xn_fit_tile *tile,
                         int i, double *work, double *out);

#endif
