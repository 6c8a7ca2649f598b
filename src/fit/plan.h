// SPDX-License-Identifier: BSD-3-Clause
// plan.h -- from delays and settings to the plans of the fit kernel, and from its units back to physical ones.
//
// Up to three plans serve one fit:
//   closed    uniform delays, every bin filled, weights alike (relative spread below 0.2): geometric series
//   weighted  the same grid with empty bins or weights, shared by all traces: tabulated sums (kernel/grid.h)
//   explicit  the same grid, every sample visited: for samples missing in single traces
//   uneven    the mean delay of each bin instead of its place on the grid: spread onto a finer grid, tabulated sums
//   exact     the same delays, every sample visited
// A trace starts in the cheapest plan that fits the delays and moves on when it needs to (engine.h).
//
// With a response (kernel/response_lanes.h) and delays less than 10.5 of its rms after time zero there is one plan,
// explicit, or exact where the delays are not uniform to rounding.  Later delays alone need no other plan than without:
// what the response has done to amplitude and phase is undone in the result.
#ifndef XN_FIT_PLAN_H
#define XN_FIT_PLAN_H

#include "core/core.h"
#include "kernel/kernels.h"

enum { XN_PLAN_CLOSED = 0, XN_PLAN_WEIGHTED, XN_PLAN_EXPLICIT, XN_PLAN_UNEVEN, XN_PLAN_EXACT, XN_PLANS };

static inline bool xn_plan_exact(int kind) { return kind == XN_PLAN_UNEVEN || kind == XN_PLAN_EXACT; }
// The plan for the same delays that can leave samples out.
static inline int xn_plan_explicit(int kind) { return xn_plan_exact(kind) ? XN_PLAN_EXACT : XN_PLAN_EXPLICIT; }

typedef struct xn_fit_setup {
    const double *delay_ps; // (n) not decreasing
    const double *weight;   // (n) relative, 0: empty; NULL: all alike
    int n;
    int background; // Legendre degree 0..3; -1: none; XANI_BACKGROUND_EXPONENTIAL
    int modes_max;
    double band_thz[2];  // {0, 0}: what the delays allow
    double significance; // 0: calibrated
    int tests;           // that may each find a mode in one trace; 0: 1
    double tolerance;    // 0: 1e-3
    double response_ps;  // rms of the Gaussian response; 0: none
    double time_zero_ps; // where modes begin; amplitude and phase refer to it
} xn_fit_setup;

typedef struct xn_fit_plans {
    xn_fit_plan plan[XN_PLANS];
    bool has[XN_PLANS];
    int first;            // the plan traces start in
    int *row[XN_PLANS];   // (plan.n) which delay each sample is
    const double *weight; // of the set-up, borrowed
    bool grid;            // the delays lie near a uniform grid: linear prediction is possible
    double step_ps, first_ps;
    double per_ps, thz; // 1/step_ps; the frequency of w = 1 rad per step
    double jitter_ps;   // rms distance of the delays from the grid
    double lobe_thz;    // see kernels.h
    double band_thz[2], nyquist_thz, widest_thz[2];
    double legendre[XN_PLANS][XN_FIT_COLUMNS][XN_FIT_COLUMNS]; // column b = sum_p legendre[b][p] P_p(x), x = -1..1
    double threshold;
    double false_alarm, test_alarm;   // share of noise traces found a mode in: by any test, by one of them
    double freedom;                   // of the residual that the threshold was calibrated for
    int filled;                       // samples of a trace without missing ones
    double response_ps, time_zero_ps; // of the set-up
    bool near;                        // delays so close to time zero that the response shapes them: explicit plans only
    bool level_before;                // the background is switched on there too; its last column is the level before
    int late;                         // first delay that the response has let through: starts use those from here on
} xn_fit_plans;

#define XN_FWHM 2.35482004503094938202 // of a Gaussian of rms 1

xani_status xn_fit_plans_create(xn_ctx *ctx, const xn_fit_setup *setup, xn_fit_plans *plans);
void xn_fit_plans_free(xn_fit_plans *plans);
// Whether the background is switched on at time zero, with a level before it as its last column.
bool xn_fit_level_before(const xn_fit_setup *setup);
// Whether something of the band asked for lies within what the delays can show; else why not.
bool xn_fit_band_fine(const xn_fit_setup *setup, const xn_fit_plans *plans, char *why, size_t room);
// Whether the response goes together with delays and background; else why not.
bool xn_fit_response_fine(const xn_fit_setup *setup, const xn_fit_plans *plans, char *why, size_t room);
// The columns of plan p, its times and weights known (background.c); before: switched on at time zero.
void xn_fit_background(xn_fit_plan *p, bool before, double (*legendre)[XN_FIT_COLUMNS]);

// Significance threshold and the share of noise traces above it (threshold.c). asked 0: calibrated.
// of `tests` tests together the share is `false_alarm`. lines: independent frequencies, band times length; samples: of
// a trace, less the background's columns.
#define XN_FIT_FREEDOM(samples) fmax((samples)-4.0, 1.0) // of a residual with one mode; samples less the background's
double xn_fit_threshold(double asked, double lines, double samples, int tests, double *false_alarm);

// Whether a frequency with this error is determined well enough to be reported as a mode (result.c).
static inline double xn_fit_error_most(double f_thz) { return 0.25 * f_thz < 0.3 ? 0.25 * f_thz : 0.3; }
static inline bool xn_fit_determined(double f_thz, double error_thz) { return error_thz < xn_fit_error_most(f_thz); }
#define XN_FIT_DAMPING_MOST (1.0 / 3.0) // per step; a mode there is not reported

#endif
