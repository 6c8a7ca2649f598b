// SPDX-License-Identifier: BSD-3-Clause
// reweight.h -- weights of a second fit from the residual of the first: outliers, and counting noise.
//
// Outliers.  With u the residual over its scale s = 1.4826 median |r| (the standard deviation of normal noise):
//   Huber  w = min(1, c/|u|),               c = 1.345
//   Tukey  w = (1 - (u/c)^2)^2, 0 beyond c,  c = 4.685
// (Huber, Robust Statistics, 1981; the constants leave 95 % of efficiency on normal noise).  One round only: the
// weights are those of the first fit's residual.  Weighted least squares would then take its variance from a residual
// that the weights have made smaller; `inflate` puts that right, so that errors are those of the M-estimate,
//   s^2 = mean(psi^2)/mean(psi')^2,   psi = w u,       inflate = s^2 mean(w)/mean(w u^2).
// Counting noise.  The variance of a sample goes as mu = fit + zero, the fitted model in counts: weights 1/mu, never
// one over the sample itself, which would pull every fit down.  mu is taken as at least a tenth of its mean.
#ifndef XN_FIT_REWEIGHT_H
#define XN_FIT_REWEIGHT_H

#include "core/core.h"

enum { XN_ROBUST_NONE = 0, XN_ROBUST_HUBER, XN_ROBUST_TUKEY };

typedef struct xn_reweight_rule {
    int robust; // XN_ROBUST_*
    bool counting;
    double zero; // counts = sample + zero, up to a common factor
} xn_reweight_rule;

static inline bool xn_reweight_wanted(const xn_reweight_rule *r) { return r->robust != XN_ROBUST_NONE || r->counting; }

typedef struct xn_reweight_trace {
    int n;          // samples
    const float *y; // as given, y_stride apart
    int64_t y_stride;
    const float *rest; // root of (scale^2 weight) times (sample - fit), stride apart
    float *weight;     // stride apart: in, of the first fit; out, of the second
    int64_t stride;
    const double *scale2; // (n) weights shared by all traces; 0: missing
    double *work;         // (3 n)
    double inflate;       // out: factor on s^2 of the second fit where it comes from the residual
    double unit;          // out: weights were divided by this, robust ones left aside
} xn_reweight_trace;

// False: nothing to gain (no residual, nothing but outliers, no counts); weights are then as before.
bool xn_reweight(const xn_reweight_rule *rule, xn_reweight_trace *t);
// Mean of sample + zero over the samples that are there: what variances go with before anything is fitted.
double xn_reweight_mean(const xn_reweight_rule *rule, const xn_reweight_trace *t);

#endif
