// SPDX-License-Identifier: BSD-3-Clause
// lp_start.h -- linear prediction as a start of the fit, and when it is worth its price.
//
// One trace costs some hundred periodograms.  With start `both` a trace is fitted from the periodogram first; from
// linear prediction too, keeping the smaller chi^2 for each number of modes, unless nothing is left to gain: at most
// one mode, converged, off its bounds, and a search for a further mode that found nothing near the threshold.  Then
// the residual is noise, and a lower chi^2 could only come from fitting noise.
#ifndef XN_FIT_LP_START_H
#define XN_FIT_LP_START_H

#include "fit/linear_prediction.h"
#include "fit/plan.h"

typedef struct xn_lp_start {
    int first, n, modes_max, background; // the samples: of a trace, n from number first on
    double *column;                      // (background + 1, n) orthonormal
    double *y;                           // (n)
    xn_lp_work *work;
} xn_lp_start;

// options: NULL, or method, rank and threshold to use; a rank of 0 is chosen.
xani_status xn_lp_start_create(xn_ctx *ctx, const xn_fit_plans *plans, int n_delays, const xani_lp_options *options,
                               xn_lp_start *s);
void xn_lp_start_free(xn_lp_start *s);
// Poles of one trace (samples row_stride apart, those from plans.late on), per step; returns how many. 0 when too much
// is missing.
int xn_lp_start_trace(xn_lp_start *s, const float *y, int64_t row_stride, const double *weight, double *w, double *g);
bool xn_lp_start_matters(const xn_fit_plan *plan, const xn_fit_kernel *kernel, const xn_fit_tile *tile, int i);

#endif
