// SPDX-License-Identifier: BSD-3-Clause
// engine.h -- fits many traces: tiles over threads, and the kernel that each trace needs.
//
// A trace starts with the cheapest way to fit it and is fitted again only where its first result asks for it:
//   samples missing                          explicit sums instead of closed forms
//   2 pi f A jitter > 0.2 sigma              exact delays instead of the grid
//   A/sigma > 100 (of 200 samples)           double precision; where float is asked for, Horner's moments
//   start `both`, see lp_start.h             linear prediction beside the periodogram
//   reweighting asked for, see reweight.h    a second time, by explicit sums, with weights from the first fit
// Devices take the fits they can serve, in single precision from the periodogram, every sample visited
// where there is no closed form; what else a trace needs, the processor does.  Each is decided from the trace alone, so
// results depend on neither tile size nor number of threads.
#ifndef XN_FIT_ENGINE_H
#define XN_FIT_ENGINE_H

#include "fit/devices.h"
#include "fit/plan.h"
#include "fit/reweight.h"

// Where start values come from, in the order of xani_fit_options.start and fit.start.
enum { XN_FROM_PERIODOGRAM = 0, XN_FROM_PREDICTION, XN_FROM_BOTH, XN_FROM_NEIGHBOURS, XN_FROM_GIVEN };

// What is known of a trace beside its result.
typedef struct xn_fit_more {
    const double *covariance; // where asked for: see xani_fit_options
    bool shared;              // frequency and damping are those of the neighbourhood
} xn_fit_more;

// Called from several threads, in any order; results are sorted by significance. Once per trace, with start NEIGHBOURS
// a second time where the neighbourhood gave modes.
typedef void (*xn_fit_sink)(void *user, int64_t pixel, const xani_fit_result *result, const xn_fit_more *more);

// Modes to start from, strongest first: plane m at frequency_thz[m * stride], by pixel, or one for all. NaN: none.
typedef struct xn_fit_given {
    int n_modes;
    bool shared;
    int64_t stride;
    const float *frequency_thz;
    const float *damping_per_ps; // NULL or NaN: the usual
} xn_fit_given;

typedef struct xn_fit_job {
    const xn_fit_plans *plans;
    int n_delays, background; // of the set-up
    const float *y;           // (n_delays, ...) first delay of the set-up
    int64_t row_stride;
    const int64_t *pixel; // (count) traces to fit; NULL: 0..count-1
    int64_t count;
    const float *sigma;                       // by pixel; NULL: errors from the residual
    int start;                                // XN_FROM_*; PREDICTION: alone
    const xani_lp_options *linear_prediction; // NULL: the usual
    xn_fit_given given;                       // for GIVEN
    // NEIGHBOURS: the traces are pixels of an image, row after row; modules are images below one another that have no
    // neighbours in common
    int64_t width;
    int side; // of the neighbourhood, odd
    int n_modules;
    const int64_t *module_rows; // NULL: one
    double favour;              // see kernels.h
    int precision;              // 0, 32, 64
    const float *weight;        // as y: factor on the weight of each sample, relative; NULL: none
    xn_reweight_rule reweight;
    bool covariance; // hand it to the sink
    const char *kernels;
    const xn_fit_devices *devices; // NULL: the processor alone
    int threads;
    int64_t tile;             // traces worked on at once; 0: chosen
    xani_fit_result *results; // by pixel; NULL: each is handed to sink
    xn_fit_sink sink;
    void *user;
    int64_t *evaluations; // (XANI_MAX_MODES) for benchmarks: += traces x evaluations with 1.. modes; NULL: not counted
} xn_fit_job;

xani_status xn_fit_run(xn_ctx *ctx, const xn_fit_job *job);
// Each trace for itself; start NEIGHBOURS: with the modes of `given`, where the periodogram finds nothing better.
xani_status xn_fit_each(xn_ctx *ctx, const xn_fit_job *job);

#define XN_COVARIANCE_SIDE(modes_max) (4 * (modes_max))

// One trace of a tile in physical units; `kind` is its plan. All flags judged, modes without sense left out.
void xn_fit_result_make(const xn_fit_plans *plans, int kind, const xn_fit_kernel *kernel, const xn_fit_tile *tile,
                        int i, xani_fit_result *r);
// Which modes of the tile's trace are the result's, in its order; returns how many.
int xn_fit_result_modes(const xn_fit_plans *plans, int kind, const xn_fit_kernel *kernel, const xn_fit_tile *tile,
                        int i, int *modes);
// Variance of a sample of weight 1 in that trace, known or from the residual.
double xn_fit_result_variance(const xn_fit_kernel *kernel, const xn_fit_tile *tile, int i);

#endif
