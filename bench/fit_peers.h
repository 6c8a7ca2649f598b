// SPDX-License-Identifier: BSD-3-Clause
// fit_peers.h -- other codes on the same traces: each call runs one peer once and says how fast and how well.
#ifndef XN_BENCH_FIT_PEERS_H
#define XN_BENCH_FIT_PEERS_H

#include <stddef.h>

#include "bench/traces.h"

// Traces as peers want them: one after the other, with truth and start values.
typedef struct xn_peer_traces {
    int modes, samples;
    int64_t n;
    double step_ps;
    double *delay_ps; // (samples) what lmder uses; the others take i step_ps
    double *weight;   // (samples) of the residuals' squares, for lmder; NULL: 1
    float *y;         // [trace][delay]
    xn_truth *truth;  // n
    double *start;    // (n, 4 modes + 1): A, f, g, phase of each mode, offset, from HSVD
} xn_peer_traces;

typedef struct xn_peer_answer {
    double rate;    // traces per CPU-second; NaN: not measured
    double success; // fraction with every frequency within 2 %
    char why[160];  // when not measured: why
} xn_peer_answer;

// cminpack's lmder (analytic Jacobian, double) from the HSVD starts, whose time is not counted.
void xn_peer_lmder(const xn_peer_traces *t, int64_t n, xn_peer_answer *out);

// Python codes run in a child process that answers one question at a time; only its CPU time in the fits counts.
typedef struct xn_peer_python xn_peer_python;
xn_peer_python *xn_peer_python_start(const xn_peer_traces *t); // NULL: no memory
void xn_peer_python_ask(xn_peer_python *p, const char *peer, int64_t n, xn_peer_answer *out);
void xn_peer_python_stop(xn_peer_python **p);

// Cpufit (float) with damped cosines, from the library named by the environment variable XANI_CPUFIT, which
// tools/build-cpufit makes; from the HSVD starts, whose time is not counted.
void xn_peer_cpufit(const xn_peer_traces *t, int64_t n, xn_peer_answer *out);

// The program named by the environment variable XANI_PROTOTYPE, called as `PROGRAM traces truth MODES p`.
void xn_peer_prototype(const xn_peer_traces *t, xn_peer_answer *out);

// GFLOP/s of one thread in chains of independent fused multiply-adds, of the widest registers this processor has
// for float32 ("avx512", "avx2"), best of many short runs; NaN and name "" where there are none.
double xn_peer_fma_peak(const char **name);
// The same, of all of several threads together and over a quarter of a second: what they sustain side by side.
double xn_peer_fma_sustained(int threads);

void xn_peer_not_measured(xn_peer_answer *out, const char *why);
double xn_bench_cpu_seconds(void);                      // of the whole process
bool xn_bench_number(const char **text, double *value); // reads the number at *text and moves behind it
bool xn_bench_write(const char *path, const void *bytes, size_t n);
char *xn_bench_scratch(void); // a new folder in $TMPDIR or /tmp, to be freed with xn_free; NULL: none

#endif
