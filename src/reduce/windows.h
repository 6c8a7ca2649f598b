// SPDX-License-Identifier: BSD-3-Clause
// windows.h -- robust statistics behind the cuts: quantiles, windows, the line through two monitors.
#ifndef XN_REDUCE_WINDOWS_H
#define XN_REDUCE_WINDOWS_H

#include "core/config.h"

#define XN_MAD_TO_SIGMA 1.4826022185056018 // of a Gaussian

double xn_quantile(const double *sorted, int64_t n, double p);      // p in 0..1, linear between neighbours; NaN for n 0
double xn_median_spread(double *values, int64_t n, double *median); // 1.4826 MAD; reorders values

// The window that the keys at.min, at.max, at.percentile or at.mad describe, both ends belonging to it. values: the n
// numbers that percentile and mad refer to, without NaN; reordered.
void xn_window_make(const xn_config *config, const char *at, double *values, int64_t n, double window[2]);
bool xn_window_needs_values(const xn_config *config, const char *at);

typedef struct xn_line {
    double intercept, slope, sigma; // sigma: 1.4826 MAD of the residuals
} xn_line;

// y = intercept + slope x through most of the points, whatever the rest does. false: fewer than three points or all x
// equal.
xani_status xn_line_robust(xn_ctx *ctx, const double *x, const double *y, int64_t n, xn_line *line, bool *found);

#endif
