// SPDX-License-Identifier: BSD-3-Clause
// fit_bench.h -- what the parts of the fit benchmark share: a case, its traces, and what one run of a code gives.
//
// bench_fit.c has the table of cases and the order of runs, fit_traces.c makes traces and start values, fit_floor.c
// compares with what the machine can do, fit_peers.c and fit_python.c run other codes.
#ifndef XN_BENCH_FIT_BENCH_H
#define XN_BENCH_FIT_BENCH_H

#include "bench/bench.h"
#include "bench/fit_peers.h"
#include "core/core.h"
#include "fit/linear_prediction.h"
#include "kernel/device.h"

enum { XN_FIT_BENCH_TRACES = 16384, XN_FIT_BENCH_REPEATS = 31 };

typedef struct xn_fit_bench xn_fit_bench;
typedef struct xn_fit_case xn_fit_case;

// One run of our own: its rate, success, and why there is none
typedef xani_status (*xn_fit_own)(xn_fit_bench *s, const xn_fit_case *c, xn_peer_answer *out);

struct xn_fit_case {
    const char *name;
    int modes;
    double snr;
    bool jitter, weighted; // delays not uniform; delays weighted
    bool peak;             // also against the peak of multiply-adds
    int precision;         // 0, 64
    const char *kernels;   // "auto", "avx2"
    xn_fit_own own;
    const char *peers; // names, separated by blanks
};

struct xn_fit_bench {
    const xn_bench *bench;
    xn_peer_traces t;
    float *by_delay; // [delay][trace], as a cube has them
    double delay_ps[XN_TRACE_SAMPLES], uniform_ps[XN_TRACE_SAMPLES], weight[XN_TRACE_SAMPLES];
    float *plain; // the same modes at uniform delays with equal weights: what "ours" as a peer fits
    xani_fit_result *results;
    xn_peer_python *python;
};

xani_status xn_fit_bench_make(xn_fit_bench *s, const xn_fit_case *c);
void xn_fit_bench_free(xn_fit_bench *s);
// HSVD of trace i into (f, g); modes that were not found get a guess.
void xn_fit_bench_poles(const xn_peer_traces *t, int64_t i, xn_lp_work *work, double *f, double *g);

// All traces by the general least squares of xani_model_fit.
xani_status xn_fit_bench_model(xn_fit_bench *s, const xn_fit_case *c, xn_peer_answer *out);
// Floating-point operations of one trace that no implementation can do without, and passes over its samples.
xani_status xn_fit_bench_flops(xn_fit_bench *s, const xn_fit_case *c, double *flops, double *passes);
// Lines of the driver's first device; without one: nothing, or, said aloud, why not.
xani_status xn_fit_bench_device(const xn_bench *bench, const xn_device_driver *driver, bool aloud);

// Lines with the peer floor:fma
xani_status xn_fit_bench_peak(xn_fit_bench *s, const xn_fit_case *c, double rate); // share of the peak in a whole fit
xani_status xn_fit_bench_moments(xn_fit_bench *s, int repeats);                    // of one pass over the data
xani_status xn_fit_bench_threads(xn_fit_bench *s, int repeats);                    // what a second thread costs

#endif
