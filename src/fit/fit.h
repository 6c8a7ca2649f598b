// SPDX-License-Identifier: BSD-3-Clause
// fit.h -- cube to modes: start, variable projection, order selection, errors.
#ifndef XN_FIT_FIT_H
#define XN_FIT_FIT_H

#include "core/config.h"
#include "data/cube.h"
#include "data/modes.h"
#include "xani/traces.h"

// Fits every unmasked pixel group of the cube with the settings fit.* and engine.*. start: the modes of an earlier fit
// where fit.start is `given` (its caller reads fit.start_modes), else NULL.
xani_status xn_fit(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, const xn_modes *start, xn_modes *modes);
// What stops a fit with these settings, found out before there is a cube.
xani_status xn_fit_check(xn_ctx *ctx, const xn_config *config, const xn_modes *start);

// asked.c: degree of fit.background, -1: none, or XANI_BACKGROUND_EXPONENTIAL; threshold, 0: calibrated; by how many
// tests a trace may get a mode: alone, with its neighbours.
int xn_fit_background_asked(const xn_config *config);
double xn_fit_significance_asked(const xn_config *config);
int xn_fit_tests_asked(const xn_config *config);

// The same engine for traces in memory; see xani_fit_traces in xani.h.
xani_status xn_fit_traces(xn_ctx *ctx, const xani_fit_options *options, const float *traces, const double *delay_ps,
                          int64_t n_delays, int64_t n_traces, const float *sigma, xani_fit_result *results);
xani_status xn_fit_threshold_of(xn_ctx *ctx, const xani_fit_options *options, const double *delay_ps, int64_t n_delays,
                                double *significance, double *false_alarm);

#endif
