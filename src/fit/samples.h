// SPDX-License-Identifier: BSD-3-Clause
// samples.h -- what of a cube is fitted, and how much each sample counts: delays, their weights, pixels, errors.
#ifndef XN_FIT_SAMPLES_H
#define XN_FIT_SAMPLES_H

#include "core/config.h"
#include "data/cube.h"
#include "fit/plan.h"

// Where the weights of the delays come from, and the words for it in modes.h5.
enum { XN_WEIGHTS_ALIKE = 0, XN_WEIGHTS_BINS, XN_WEIGHTS_ERRORS };
extern const char *const xn_fit_weights_names[3];

typedef struct xn_fit_samples {
    int first, n;           // delays used
    double *all_weights;    // (nbins), with mean 1 over those used that are above 0; 0: empty
    double *weight;         // (n) of those used, in it
    int weights_from;       // XN_WEIGHTS_*
    bool errors_known;      // else the residual tells them
    int64_t *pixel, count;  // pixels to fit
    int64_t without_errors; // pixels left out because none of their errors is a number above 0
} xn_fit_samples;

// setup: response and time zero are read, delays and weights set. XANI_ERR_MEMORY; frees itself when it fails.
xani_status xn_fit_samples_choose(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, xn_fit_setup *setup,
                                  xn_fit_samples *s);
void xn_fit_samples_free(xn_fit_samples *s);
// sigma of a sample of weight 1, in the plan that the traces start in, by pixel; NaN where unknown.
void xn_fit_samples_sigma(const xn_cube *cube, const xn_fit_samples *s, const xn_fit_plans *plans, int threads,
                          float *sigma);
// Weights (nbins) of that sigma, as the plan counts them; of delays not used as they would count.
void xn_fit_samples_weights(const xn_cube *cube, const xn_fit_samples *s, const xn_fit_plans *plans, double *weight);
// The same sigma over all delays of the cube and for all its pixels; scale: root of the delays' weights.
void xn_fit_cube_sigma(const xn_cube *cube, const double *scale, int threads, float *sigma);

// weights.c: weights of all delays of the cube, (cube->nbins), of any scale; 0: empty.
xani_status xn_fit_weights(xn_ctx *ctx, const xn_cube *cube, double *weight, int *from);

#endif
