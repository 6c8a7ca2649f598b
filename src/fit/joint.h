// SPDX-License-Identifier: BSD-3-Clause
// joint.h -- pixels that share frequency and damping with their neighbours: one fit per neighbourhood.
//
// For each pixel the traces of its neighbourhood have frequencies and dampings in common and amplitudes, phases and
// backgrounds of their own, so that the sum over traces q of chi^2_q/s_q^2 is minimised over (g, w) alone: each trace's
// projected functional, gradient and Schur matrix (kernel/pool.h) at the common (g, w) are added.  Then once more with
// the variances of that fit.  The evidence for a mode is
//   E = sum_q min(D_q, cap),   D_q = (chi^2_q without it - chi^2_q)/s_q^2,   cap = half of one pixel's threshold,
// so that no single strong neighbour speaks for all.  A batch of neighbourhoods is one tile: trace o * pitch + i is
// neighbour o of pixel i.
#ifndef XN_FIT_JOINT_H
#define XN_FIT_JOINT_H

#include "fit/plan.h"

#define XN_JOINT_PIXELS 32 // of a batch
#define XN_JOINT_REACH 3   // greatest: 7 x 7 pixels
#define XN_JOINT_MOST ((2 * XN_JOINT_REACH + 1) * (2 * XN_JOINT_REACH + 1))

typedef struct xn_joint {
    // borrowed
    const xn_fit_kernel *kernel;
    const xn_fit_plans *plans;
    const float *y, *sigma; // as in xn_fit_job
    int64_t row_stride;
    const double *threshold; // (XN_JOINT_MOST + 1) of E, by number of usable traces
    int neighbours;          // of a pixel, itself included
    bool covariance;
    // own
    void *table[XN_PLANS], *work, *out;
    float *powers;
    int64_t *pixel;
    uint8_t *use, *flags;
    double *given_w, *given_g, *before, *variance, *column, *time, *weight;
} xn_joint;

// What becomes of one pixel.
typedef struct xn_joint_pixel {
    int64_t neighbour[XN_JOINT_MOST]; // the middle one is the pixel itself; -1: there is none
    double start_w, start_g;          // per step; g 0: the usual
    bool promising;                   // out of a trial: worth being fitted to the end, from the start now set
    bool missing;                     // out: a trace lacks samples and the plan is closed; nothing was fitted
    bool found;                       // out: it has modes, and these are they
    xani_fit_result result;
    double covariance[16 * XANI_MAX_MODES * XANI_MAX_MODES]; // (4 modes_max)^2 where asked for
} xn_joint_pixel;

// Frees itself when it fails.
xani_status xn_joint_create(xn_ctx *ctx, xn_joint *j);
void xn_joint_free(xn_joint *j);
// Fits up to XN_JOINT_PIXELS neighbourhoods in one plan. trial: a few passes, to see which are worth more.
void xn_joint_fit(xn_joint *j, int plan, bool trial, xn_joint_pixel *pixels, int count);
// Threshold of E for neighbourhoods of so many traces: as many false alarms as plans->threshold has in one trace, by
// that test alone.
double xn_joint_threshold(const xn_fit_plans *plans, int traces);

// One pixel's trace with the modes of its neighbourhood (shared.c): linear fit of amplitudes, phases and background,
// errors with what the neighbours tell of f and g. known: as in covariance.h.
typedef struct xn_shared_modes {
    int n_modes;
    double g[XANI_MAX_MODES], w[XANI_MAX_MODES]; // per step
    bool g_fixed[XANI_MAX_MODES], w_fixed[XANI_MAX_MODES];
    double known[4 * XANI_MAX_MODES * XANI_MAX_MODES];
} xn_shared_modes;

bool xn_shared_finish(xn_joint *j, int plan, const xn_shared_modes *modes, xn_joint_pixel *pixel);

#endif
