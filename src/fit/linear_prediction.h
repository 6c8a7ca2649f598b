// SPDX-License-Identifier: BSD-3-Clause
// linear_prediction.h -- start values by linear prediction: the poles of a uniformly spaced trace.
//
// The reference start beside the periodogram (docs: HSVD; Barkhuijsen, de Beer and van Ormondt, J. Magn.
// Reson. 73, 553 (1987)).  It costs some hundred periodograms and has no advantage in resolution, but it
// knows nothing of a frequency grid, finds damping too, and so checks the other start independently.
// Units are per sample: w in rad, g = decay of the amplitude, z = exp(-g + i w).
#ifndef XN_FIT_LINEAR_PREDICTION_H
#define XN_FIT_LINEAR_PREDICTION_H

#include "core/core.h"

#define XN_LP_SPARE 2 // poles beyond those of the modes: they take up noise and background
#define XN_LP_MAX_SPARE 16
#define XN_LP_COLUMNS 64 // most columns of the Hankel matrix: long traces stay affordable

typedef struct xn_lp_work xn_lp_work; // all memory of one thread; use it in one thread at a time

// For traces of up to n samples and max_modes modes. While any work exists OpenBLAS runs in the calling
// thread only (its own threads inside ours would only get in the way); the last destroy restores it.
xani_status xn_lp_work_create(xn_ctx *ctx, int n, int max_modes, int spare, xn_lp_work **work);
void xn_lp_work_destroy(xn_lp_work **work);

// The strongest damped cosines of y[0..n), strongest (energy) first; returns how many were found, at most
// max_modes.  y: uniform spacing, mean and slow background removed by the caller.  amplitude refers to
// sample 0 and comes from a joint linear least-squares fit of those returned.  Frequencies lie between
// one period per trace and just below Nyquist.  g may be slightly negative: noise pushes a weakly damped
// pole over the unit circle, and dropping it would lose the mode; clamp it.
// Returns 0 for traces that are too short (n < 8), hold NaN, or hold nothing. Allocates nothing.
int xn_lp_hsvd(const double *y, int n, int max_modes, int spare, xn_lp_work *work, double *w_rad, double *g_per_sample,
               double *amplitude);

#endif
