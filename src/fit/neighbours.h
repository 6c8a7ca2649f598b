// SPDX-License-Identifier: BSD-3-Clause
// neighbours.h -- start `neighbours`: what one pixel is too faint to tell, its neighbourhood may know.
//
// Three steps.  (1) The powers of each neighbourhood, over the variances, are added before the peak is taken: the start
// of every pixel.  (2) Each pixel is fitted for itself, from that start and from its own periodogram; the latter must
// be better by half a threshold, because at low signal the lower chi^2 is often noise.  (3) A pixel where nothing
// passes the threshold that way is fitted together with its neighbours (joint.h): frequency and damping in common,
// amplitude and phase its own.  An own refit of such a pixel would lose accuracy again.  Pixels of step 3 are not
// independent of their neighbours: frequencies within a neighbourhood's reach of each other have errors in common.
#ifndef XN_FIT_NEIGHBOURS_H
#define XN_FIT_NEIGHBOURS_H

#include "fit/engine.h"

xani_status xn_fit_neighbours(xn_ctx *ctx, const xn_fit_job *job);
// Step 1 for all pixels of the job: frequency_thz (plane of the image), NaN where there is no data.
xani_status xn_neighbours_start(xn_ctx *ctx, const xn_fit_job *job, float *frequency_thz);

#endif
