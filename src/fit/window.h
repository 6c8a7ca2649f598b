// SPDX-License-Identifier: BSD-3-Clause
// window.h -- what delays can tell apart: their spectral window, weighted as the search for a start weights them.
#ifndef XN_FIT_WINDOW_H
#define XN_FIT_WINDOW_H

#include "fit/plan.h"

#define XN_WINDOW_PER_PS 0.2 // of the start's window: about the damping of a phonon; twice 1/T for shorter traces

// The step whose Nyquist frequency is the highest that delays far from a grid can show, those from begin_ps on; 0: all
// of them are the same.
xani_status xn_fit_window_step(xn_ctx *ctx, const xn_fit_setup *s, double begin_ps, double *step_ps);
// Where the highest side lobe of a mode is, up to band_thz from it; 0: there is none that matters.
xani_status xn_fit_window_lobe(xn_ctx *ctx, const xn_fit_setup *s, double begin_ps, double band_thz, double *at_thz);

#endif
