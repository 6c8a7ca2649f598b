/* SPDX-License-Identifier: BSD-3-Clause */
/* traces.h -- damped cosines fitted to traces held in memory. Part of <xani/xani.h>, which is what programs include.
 */
#ifndef XANI_TRACES_H
#define XANI_TRACES_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XANI_MAX_MODES 4
#define XANI_BACKGROUND_EXPONENTIAL 4 /* offset + c exp(-r t), with at most 3 modes */
typedef struct xani_fit_options {
    size_t size;             /* sizeof(xani_fit_options), set by xani_fit_options_init */
    int modes_max;           /* 0..4 */
    int background;          /* Legendre degree 0..3 beside the modes; -1: not even an offset; or exponential */
    double frequency_thz[2]; /* band; {0, 0}: what the delays allow */
    double significance;     /* accept a mode when delta chi^2 / s^2 exceeds it; 0: calibrated */
    int start;               /* 0 periodogram, 1 linear prediction, 2 both, 3 neighbours, 4 given: see below */
    const char *kernels;     /* "auto", "scalar", "avx2", "avx512" */
    int threads;             /* 0: all */
    double tolerance;        /* stop when the predicted decrease is below tolerance * s^2; 0: 1e-3 */
    int precision;           /* 0: float32, float64 where the signal to noise asks; 32; 64 */
    /* What follows is explained, with formulae, in docs/fit-options.md. Weights of the delays, shared by all traces; 0:
       left out; NULL: all alike; scaled to a mean of 1, sigma is the error of a sample of weight 1. Spread below 20 %:
       equal. */
    const double *weight;
    /* Weights of single samples, as the traces (n_delays, n_traces): variance sigma^2/weight; 0, NaN: left out. */
    const float *sample_weight;
    /* A second round with weights from the first. robust: 0 none, 1 Huber, 2 Tukey. counting: 1, variances go as (fit +
       counting_zero): 0 for traces in counts, 1 for relative changes. */
    int robust, counting;
    double counting_zero;
    /* start 4: start_modes planes of n_traces, or start_shared 1 and one value per mode; NaN: found by the periodogram.
     */
    int start_modes, start_shared;
    const float *start_frequency_thz, *start_damping_per_ps; /* the second may be NULL */
    /* NULL, or n_traces x (4 modes_max)^2 for covariances of (frequency, damping, amplitude, phase) of mode 0, 1, ...
     */
    double *covariance;
    const struct xani_lp_options *linear_prediction; /* method, rank, amplitude_threshold of starts 1, 2; NULL: HSVD */
    /* start 3: traces are pixels of an image, image_width to a row; pixels that alone show nothing are fitted with
       f and damping in common with neighbourhood (3, 5, 7; 0: 3) squared pixels: shared (n_traces or NULL) says where.
     */
    int64_t image_width;
    int neighbourhood;
    uint8_t *shared;
    /* Full width at half maximum of a Gaussian response: modes and background begin at time_zero_ps and are convolved
       with it, so that delays near and before time zero can be fitted; not with start 3. 0: no response. Amplitude and
       phase are always those at time_zero_ps, and before the response. */
    double response_fwhm_ps, time_zero_ps;
} xani_fit_options;

/* One trace's result; arrays of XANI_MAX_MODES, unused entries NaN. y = background + sum A exp(-g t)
   cos(2 pi f t + phase), t in ps as given, less time_zero_ps. Errors are one standard deviation. */
typedef struct xani_fit_result {
    int n_modes;
    int status; /* fit_status of modes.h5: 0 modes, 1 none, 3 few delays, 4, 5 */
    double chi2_reduced;
    double frequency_thz[XANI_MAX_MODES], frequency_error[XANI_MAX_MODES];
    double amplitude[XANI_MAX_MODES], amplitude_error[XANI_MAX_MODES];
    double phase[XANI_MAX_MODES], phase_error[XANI_MAX_MODES];
    double damping_per_ps[XANI_MAX_MODES], damping_error[XANI_MAX_MODES];
    double significance[XANI_MAX_MODES]; /* rise of chi^2/s^2 without the mode, f and g of the others as they are */
    /* Legendre coefficients on the span of the delays used; exponential: offset, c, r in 1/ps. With a response and
       delays before it, the next one is the level before time zero (exponential: the fourth). */
    double background[4];
} xani_fit_result;

/* Every option at its default. Options grow at the end only: those of an older header, told by `size`, are accepted. */
XANI_API void xani_fit_options_init(xani_fit_options *options);
/* What options.significance is for these delays (calibrated where 0) and the share of traces of pure noise that would
   be taken for a mode. false_alarm may be NULL. Fewer delays than a mode and the background need (fit_status 3) are an
   error. XANI_ERR_USAGE names the option or delay at fault. */
XANI_API xani_status xani_fit_threshold(xani_context *context, const xani_fit_options *options, const double *delay_ps,
                                        int64_t n_delays, double *significance, double *false_alarm);
/* traces: (n_delays, n_traces) float32, C order ([delay][trace], the order of a cube); delay_ps:
   n_delays; sigma: n_traces standard errors per sample, or NULL (errors from the residual);
   NaN samples have weight 0. results: n_traces, caller's. */
XANI_API xani_status xani_fit_traces(xani_context *context, const xani_fit_options *options, const float *traces,
                                     const double *delay_ps, int64_t n_delays, int64_t n_traces, const float *sigma,
                                     xani_fit_result *results);

#ifdef __cplusplus
}
#endif
#endif
