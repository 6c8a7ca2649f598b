// SPDX-License-Identifier: BSD-3-Clause
// significance.h -- how well a damped cosine can be seen in a trace before the trace exists.
//
// A trace has samples at t_b with variance v/(N s_b): N used laser-on shots, s_b the share of them in bin b, v the
// variance of one shot relative to its mean.  A line is A exp(-g t) cos(2 pi f t + phase) times what the clock and the
// bin's width leave of it,
//   exp(-2 (pi f s_t)^2) sinc(pi f w)                                                        (science.md 5)
// and times sinc(pi d t) for each edge of the pixel group along which its frequency changes by d.
//
// rho^2 is what chi^2 rises by, of a trace without noise, when the line is left out and all else (background, other
// lines) is fitted anew: the matched filter (Helstrom, Statistical Theory of Signal Detection, 1968, IV.3).  With one
// line, even bins and no background it is science.md 8's (A/sigma)^2 tau (1 - exp(-2T/tau))/(4 dt).  Errors are the
// Cramer-Rao bounds of amplitude, phase, frequency and damping fitted together (Kay, Fundamentals of Statistical
// Signal Processing I, 1993, 3.9).  The fit's D of a real trace is noncentral chi^2 with 4 degrees of freedom (Wilks'
// theorem): amplitude, phase, frequency and damping.
#ifndef XN_PLAN_SIGNIFICANCE_H
#define XN_PLAN_SIGNIFICANCE_H

#include "core/core.h"

#define XN_PLAN_TOGETHER 4 // lines of a trace that are fitted together

typedef struct xn_plan_trace {
    int n;
    double *t_ps, *share; // (n): after time zero; share of the used laser-on shots
    double begin_ps, end_ps;
    double step_ps;   // of the bins; NaN: uneven
    double width_ps;  // how far the delays of a bin spread: width of the box with their rms
    double timing_ps; // rms error of a shot's delay
    int degree;       // of the background's polynomial; -1: none
    double band_thz[2];
    double threshold; // of the fit's D
} xn_plan_trace;

typedef struct xn_plan_line {
    double f_thz, amplitude, phase, damping_per_ps;
    double across_thz[2]; // change of f over the group's edges
} xn_plan_line;

// Of a trace with unit variance per shot and one shot: times sqrt(N/v).  sigma_f_thz: divided by it.
typedef struct xn_plan_odds {
    double rho, amplitude_snr, sigma_f_thz;
    double common; // share of the variance that is the same noise in all pixel groups; set by predict.c
} xn_plan_odds;

void xn_plan_trace_free(xn_plan_trace *t);
double xn_plan_clock(double f_thz, double timing_ps); // what a gaussian timing error leaves
double xn_plan_box(double f_thz, double width_ps);    // what averaging over a box leaves
// Line `which` of n, at most XN_PLAN_TOGETHER, in the presence of the others.  work: xn_plan_work(t) numbers.
size_t xn_plan_work(const xn_plan_trace *t);
xn_plan_odds xn_plan_line_odds(const xn_plan_trace *t, const xn_plan_line *line, int n, int which, double *work);
double xn_plan_mean_significance(double rho); // mean of the fit's D
// Probability that D exceeds the threshold, and the rho at which it is p.
double xn_plan_found(double rho, double threshold);
double xn_plan_rho_for(double p, double threshold);

#endif
