// SPDX-License-Identifier: BSD-3-Clause
// refine_common.h -- what it means for refined constants that lines may be off together, which many do not average
// away.
//
// By branch: the model is worth least_sigma_thz, times the share of its errors that counts.
//
// By run: a delay bin whose mean delay is wrong by dt_b is so in all pixels.  A line of frequency f then moves by
//   df/f = sum_b t_b sin^2(2 pi f t_b) dt_b / sum_b t_b^2 sin^2,   sin^2 = (1 - cos(4 pi f t_b)) / 2,
// t from the middle of the window: a part that is the same for all lines of the run, and one that is the same for those
// within about 1/T, with half its variance where the dt_b are independent.  The second part shows in the points: lines
// of a run nearer than that are away from the model together.  Its variance follows from the means of such cells
// (R. DerSimonian, N. Laird, Controlled Clinical Trials 7, 177 (1986), with the mean known), and from it the first's.
#ifndef XN_PHYSICS_FORCES_REFINE_COMMON_H
#define XN_PHYSICS_FORCES_REFINE_COMMON_H

#include "physics/forces/refine.h"

// Of a point: measured less expected, its own error, and the model's.
typedef struct xn_residual {
    double away, own, model;
} xn_residual;

static inline double xn_residual_error(const xn_residual *e, double share) { return hypot(e->own, share * e->model); }

#define XN_HUBER 2.5
static inline double xn_residual_weight(double z) { return fabs(z) > XN_HUBER ? XN_HUBER / fabs(z) : 1.0; }

// Points after the last round.
typedef struct xn_refine_lines {
    int64_t n;
    int parameters, determined;
    const xn_observed *points;
    const xn_residual *residual;
    const int32_t *branch; // -1: not used
    const double *slope;   // (n, parameters) d nu / d theta
    double model_share;
} xn_refine_lines;

// statistical: (parameters, parameters) covariance of independent lines; what is common is added to `covariance`.
xani_status xn_refine_add_branches(xn_ctx *ctx, const xn_refine_lines *l, int branches, double least_sigma_thz,
                                   const double *statistical, double *covariance);
// *common: rms of df/f of a line through what it shares with others of its run; 0: none seen.
xani_status xn_refine_add_runs(xn_ctx *ctx, const xn_refine_lines *l, const double *statistical, double *covariance,
                               double *common);

#endif
