// SPDX-License-Identifier: BSD-3-Clause
// modes.h -- result of the fit: up to n_modes damped cosines per pixel group.
#ifndef XN_DATA_MODES_H
#define XN_DATA_MODES_H

#include "core/core.h"

// fit_status of modes.h5 (contract)
enum { XN_FIT_MODES = 0, XN_FIT_NONE, XN_FIT_MASKED, XN_FIT_FEW_DELAYS, XN_FIT_NOT_CONVERGED, XN_FIT_AT_BOUND };

typedef struct xn_modes {
    int n_modes; // planes; index 0 is the most significant mode
    int64_t ny, nx;
    int spatial_bin;
    int n_modules;
    int64_t *module_rows;
    int n_background;                    // Legendre coefficients c0.. on the span of the delays used
    bool background_exponential;         // else: offset, c, r of offset + c exp(-r t), r in 1/ps
    bool level_before;                   // one more: what is there before time zero
    float *frequency, *frequency_errors; // (mode, y, x), THz; NaN where there is no accepted mode
    float *amplitude, *amplitude_errors; // at time zero
    float *phase, *phase_errors;         // rad, (-pi, pi]
    float *damping, *damping_errors;     // 1/ps
    float *significance;                 // delta chi^2 / s^2
    uint8_t *count;                      // (y, x) accepted modes: /entry/n_modes
    uint8_t *status;                     // (y, x) XN_FIT_*
    float *chi2_reduced;                 // (y, x)
    float *sigma;                        // (y, x) of a sample of weight 1; NULL: errors from the residual
    float *background;                   // (c, y, x)
    uint8_t *shared;                     // (y, x) 1: frequency and damping of the neighbourhood; NULL: not asked for
    // (entry, y, x) or NULL: lower triangle, row by row, of the covariance of frequency, damping, amplitude, phase of
    // mode 0, of mode 1, ...
    float *covariance;
    int n_covariance; // entries
    // how it was made
    bool errors_counting;
    double delay_lo_ps, delay_hi_ps, step_ps; // samples used; step NaN when not uniform
    double band_thz[2];
    double response_fwhm_ps, time_zero_ps; // 0: no response
    int n_delays;
    double *weight; // (n_bins) of the cube's delays: sigma of a sample is sigma / root of it; NULL: not told
    int n_bins;
    double threshold, false_alarm; // significance threshold; its false-alarm rate on noise
    char *kernels;                 // name of the variant used
    char *start;                   // fit.start
    char *rounds;  // further rounds of the fit: "none", "huber", "tukey", "counting", "counting, huber", ...
    char *weights; // where the weights of the delays come from: "bins", "errors", "none" (all alike)
    char *run;
    double angles_deg[8];
    int n_angles;
} xn_modes;

xani_status xn_modes_alloc(xn_ctx *ctx, int n_modes, int n_background, int64_t ny, int64_t nx,
                           xn_modes *modes); // floats NaN, counts 0, status masked
void xn_modes_free(xn_modes *modes);

#endif
