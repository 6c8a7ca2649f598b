/* SPDX-License-Identifier: BSD-3-Clause */
/* prediction.h -- linear prediction of traces held in memory. Part of <xani/xani.h>, which is what programs include.
 * See docs/linear-prediction.md.
 */
#ifndef XANI_PREDICTION_H
#define XANI_PREDICTION_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { XANI_LP_HSVD = 0, XANI_LP_HTLS, XANI_LP_LPSVD };
enum { XANI_LP_RANK_FIXED = 0, XANI_LP_RANK_MDL, XANI_LP_RANK_AIC, XANI_LP_RANK_THRESHOLD, XANI_LP_RANK_GAP };
enum { XANI_LP_FOUND = 0, XANI_LP_NOTHING, XANI_LP_NOT_FINITE };

/* Methods and rules with their sources: docs/linear-prediction.md. The rank is the number of poles: two per damped
   cosine of a real trace, one per line of a complex one, one for a constant or a decaying background. */
typedef struct xani_lp_options {
    size_t size;        /* sizeof(xani_lp_options), set by xani_lp_options_init */
    int method;         /* XANI_LP_*; default HSVD */
    int rank_rule;      /* XANI_LP_RANK_*; default MDL (Wax and Kailath 1985), see docs */
    int rank;           /* 1..64: the rank itself (FIXED), else its upper limit, the best rank within it; 0: 32 */
    int columns;        /* HSVD, HTLS: of the Hankel matrix, 2..n/2; LPSVD: order, n/2..n-2; 0: n/2, 3n/4 */
    int direction;      /* 1 forward, -1 backward, 0: LPSVD backward, the others forward */
    int compensate;     /* LPSVD: 1 takes the mean dropped eigenvalue out of the others (bias of noise) */
    int complex_traces; /* 1: real and imaginary parts in turn */
    double noise;       /* standard deviation of a sample, for XANI_LP_RANK_THRESHOLD; 0: from the trace */
    double amplitude_threshold; /* 0..1: components weaker than this fraction of the strongest are dropped */
    int refine;                 /* most Gauss-Newton steps on to the least-squares minimum; 0: none */
    int threads;                /* 0: all */
} xani_lp_options;

/* A exp(-damping t) cos(2 pi f t + phase), f >= 0; of a complex trace A exp(-damping t) exp(i (2 pi f t + phase)) with
   f of either sign. t in ps as given. A real trace's f = 0 is a background: A exp(-damping t), phase 0 or pi. */
typedef struct xani_lp_component {
    double frequency_thz, damping_per_ps, amplitude, phase;
} xani_lp_component;

typedef struct xani_lp_result {
    int status;       /* XANI_LP_* */
    int n_components; /* written, strongest (energy in the trace) first */
    int rank;         /* chosen */
    double residual;  /* root mean square of what all components leave, those not written too */
} xani_lp_result;

XANI_API void xani_lp_options_init(xani_lp_options *options);
/* traces: (n_delays, n_traces), C order, or (n_delays, n_traces, 2) complex; delay_ps: n_delays (8 to 2^20) in equal
   steps, else XANI_ERR_USAGE names the delay that is off. components: (n_traces, components_max), results: n_traces,
   both the caller's. Amplitudes come from one linear least-squares fit of all poles; poles that grow by more than e^4
   over the trace are left out, and components whose amplitude at t = 0 is beyond a double: far from there a pole that
   dies at once has none. A trace with NaN or Inf gets XANI_LP_NOT_FINITE and no component. */
XANI_API xani_status xani_linear_prediction(xani_context *context, const xani_lp_options *options, const double *traces,
                                            const double *delay_ps, int64_t n_delays, int64_t n_traces,
                                            int components_max, xani_lp_component *components, xani_lp_result *results);

#ifdef __cplusplus
}
#endif
#endif
