// SPDX-License-Identifier: BSD-3-Clause
// engine.h -- fits many traces: tiles over threads, and the kernel that each trace needs.
//
// A trace starts with the cheapest way to fit it and is fitted again only where its first result asks for it:
//   samples missing                          explicit sums instead of closed forms
//   2 pi f A jitter > 0.2 sigma              exact delays instead of the grid
//   A/sigma > 100 (of 200 samples)           double precision; where float is asked for, Horner's moments
//   start `both`, see lp_start.h             linear prediction beside the periodogram
// Each is decided from the trace alone, so results depend on neither tile size nor number of threads.
#ifndef XN_FIT_ENGINE_H
#define XN_FIT_ENGINE_H

#include "fit/plan.h"

// Called once per trace, from several threads, in any order; results are sorted by significance.
typedef void (*xn_fit_sink)(void *user, int64_t pixel, const xani_fit_result *result);

typedef struct xn_fit_job {
    const xn_fit_plans *plans;
    int n_delays, background; // of the set-up
    const float *y;           // (n_delays, ...) first delay of the set-up
    int64_t row_stride;
    const int64_t *pixel; // (count) traces to fit; NULL: 0..count-1
    int64_t count;
    const float *sigma; // by pixel; NULL: errors from the residual
    int start;          // XN_START_*; GIVEN: linear prediction alone
    int precision;      // 0, 32, 64
    const char *kernels;
    int threads;
    int64_t tile;             // traces worked on at once; 0: chosen
    xani_fit_result *results; // by pixel; NULL: each is handed to sink
    xn_fit_sink sink;
    void *user;
    int64_t *evaluations; // (XANI_MAX_MODES) for benchmarks: += traces x evaluations with 1.. modes; NULL: not counted
} xn_fit_job;

xani_status xn_fit_run(xn_ctx *ctx, const xn_fit_job *job);

// One trace of a tile in physical units; `kind` is its plan. All flags judged, modes without sense left out.
void xn_fit_result_make(const xn_fit_plans *plans, int kind, const xn_fit_kernel *kernel, const xn_fit_tile *tile,
                        int i, xani_fit_result *r);
// Square of A at the first sample over the standard error of a sample, for the largest of all modes, and its frequency.
double xn_fit_result_snr2(const xn_fit_plans *plans, int kind, const xn_fit_kernel *kernel, const xn_fit_tile *tile,
                          int i, double *frequency_thz);

#endif
