// SPDX-License-Identifier: BSD-3-Clause
// rounds.h -- weights that are a trace's own: of its samples as given, and of a second round of the fit.
//
// The engine fits traces in lists that change from one way of fitting to the next; what belongs to a trace between two
// fits is kept by its place in the tile ("slot").  Weights of samples are scaled to a mean of 1, so that floats hold
// them, and `unit` remembers by how much: the error of a sample of weight 1 as the caller means it, sigma, is
// sigma/root(unit) in the fit.  Where noise is counting noise, the first round takes the mean for the model.
#ifndef XN_FIT_ROUNDS_H
#define XN_FIT_ROUNDS_H

#include "fit/plan.h"
#include "fit/reweight.h"

typedef struct xn_rounds {
    // what is common to all traces, borrowed
    const xn_reweight_rule *rule;
    const float *y, *given, *sigma; // (delay, pixel), (delay, pixel) or NULL, (pixel) or NULL
    int64_t row_stride;
    int n_delays, pitch;
    double *scale2[XN_PLANS]; // by delay
    // by trace of the list under way
    float *weight, *rest, *own_sigma, *inflate;
    // by slot
    float *kept_weight, *kept_inflate;
    double *unit, *work;
} xn_rounds;

// For lists of up to `pitch` traces. Frees itself when it fails.
xani_status xn_rounds_create(xn_ctx *ctx, const xn_fit_plans *plans, xn_rounds *r);
void xn_rounds_free(xn_rounds *r);
// Sets weights, errors and residual of a tile that is about to be fitted; again: for the second time.
void xn_rounds_open(xn_rounds *r, int plan, bool again, const int *slot, xn_fit_tile *tile);
// After the first fit of trace i: finds the weights of the second. False: there is nothing to be done.
bool xn_rounds_next(xn_rounds *r, int plan, const xn_fit_tile *tile, int i, int slot);

#endif
