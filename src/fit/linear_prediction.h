// SPDX-License-Identifier: BSD-3-Clause
// linear_prediction.h -- the poles of uniformly spaced traces, real or complex, by linear prediction.
//
// Three methods find the poles z_k = exp(-g_k + i w_k) of y_n = sum c_k z_k^n (how: lp_body.h):
//   HSVD   shift invariance of the leading singular vectors of the Hankel matrix
//   HTLS   the same relation solved by total least squares
//   LPSVD  roots of the backward prediction polynomial found with a truncated singular value decomposition
// The number of poles is given or chosen from the singular values (lp_rank.c).  From the poles the fit takes start
// values (xn_lp_modes), and xani_linear_prediction makes components with amplitude and phase (lp_batch.c).
// Units are per sample: w in rad, g = decay of the amplitude.
#ifndef XN_FIT_LINEAR_PREDICTION_H
#define XN_FIT_LINEAR_PREDICTION_H

#include "core/core.h"
#include "xani/prediction.h"

#define XN_LP_TIGHT 1e-9    // tolerances: poles to 1e-11 and better,
#define XN_LP_LOOSE 1e-5    // or to 0.003 of the Cramer-Rao bound, for half the work
#define XN_LP_SPARE 2       // start: poles beyond those of the modes; they take up noise and background
#define XN_LP_COLUMNS 64    // start: most columns of the Hankel matrix, so that long traces stay affordable
#define XN_LP_MOST_POLES 64 // of one trace
#define XN_LP_SHORTEST 8    // samples
#define XN_LP_GROWTH 4.0    // times 1/n: a pole that grows faster is not a mode with noise

typedef struct xn_lp_work xn_lp_work; // all memory of one thread; use it in one thread at a time

void xn_lp_options_init(xani_lp_options *o);
// What the fit's start asks for: HSVD with 2 max_modes + 1 poles, one of them for a rest of background, and `spare`.
void xn_lp_options_start(xani_lp_options *o, int max_modes, int spare);
// n: samples, or 0: columns are not used.
xani_status xn_lp_options_check(xn_ctx *ctx, const xani_lp_options *o, int64_t n);

// For traces of up to n samples. tolerance: largest residual of an eigenvector, of the largest eigenvalue. While any
// work exists OpenBLAS runs in the calling thread only (its own threads inside ours would only get in the way); the
// last destroy restores it.
xani_status xn_lp_work_create(xn_ctx *ctx, int n, const xani_lp_options *options, double tolerance, xn_lp_work **work);
void xn_lp_work_destroy(xn_lp_work **work);

// Poles of y[0..n) into re, im[XN_LP_MOST_POLES], in no order; returns how many. Complex traces: real and imaginary
// parts in turn. rank: what the rule chose. Growing poles are among them. Allocates nothing.
int xn_lp_poles(const double *y, int n, xn_lp_work *work, double *re, double *im, int *rank);

// The strongest damped cosines of a real trace, strongest (energy) first; returns how many were found, at most
// max_modes.  y: mean and slow background removed by the caller.  amplitude refers to sample 0 and comes from a joint
// linear least-squares fit of those returned; those below the threshold of the options are left out.  Frequencies lie
// between one period per trace and just below Nyquist.  g may be slightly negative: noise pushes a weakly damped pole
// over the unit circle, and dropping it would lose the mode; clamp it.
// Returns 0 for traces that are too short, hold NaN, or hold nothing. Allocates nothing.
int xn_lp_modes(const double *y, int n, int max_modes, xn_lp_work *work, double *w_rad, double *g_per_sample,
                double *amplitude);

// xani_linear_prediction of xani.h.
xani_status xn_linear_prediction(xn_ctx *ctx, const xani_lp_options *o, const double *traces, const double *delay_ps,
                                 int64_t n_delays, int64_t n_traces, int components_max, xani_lp_component *components,
                                 xani_lp_result *results);

#endif
