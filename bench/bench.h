// SPDX-License-Identifier: BSD-3-Clause
// bench.h -- the benchmarks behind `xani bench` and `make bench-*`.
//
// One function per benchmark, in bench/bench_<name>.c; names, cases and peers are those of the interface
// contract, section 5.  Ours and the peer run in turn in one call; the figures given to emit are medians
// of at least bench->repeats runs.  A peer that is not installed gives a line with ratio NaN and why.
// The functions are weak symbols: a build without one of them says so and goes on.
#ifndef XN_BENCH_H
#define XN_BENCH_H

#include <xani/xani.h>

typedef struct xn_bench_line {
    const char *bench;   // "fit"
    const char *name;    // the case, "K1-snr10"
    const char *peer;    // "lmder", "floor:fma"
    double ours, theirs; // NaN when not measured
    const char *unit;    // "traces/s"
    double ratio;        // > 1: ours is better; floor peers: the fraction of the floor reached; NaN: why says why
    double ratio_cpu;    // io: ratio in CPU time; NaN: left out
    const char *why;     // NULL, or one line
} xn_bench_line;

typedef struct xn_bench {
    xani_context *context; // for log, interruption and calls of the library
    const char *path;      // io: an own file to read, or NULL
    int threads;           // 0: each benchmark's own choice
    int repeats;           // at least 5
    void (*emit)(void *user, const xn_bench_line *line);
    void *user;
} xn_bench;

typedef xani_status (*xn_bench_fn)(const xn_bench *bench);

xani_status xn_bench_fit(const xn_bench *bench) __attribute__((weak));
xani_status xn_bench_device(const xn_bench *bench) __attribute__((weak)); // what of fit and io needs a device
xani_status xn_bench_io(const xn_bench *bench) __attribute__((weak));
xani_status xn_bench_reduce(const xn_bench *bench) __attribute__((weak));
xani_status xn_bench_map(const xn_bench *bench) __attribute__((weak));
xani_status xn_bench_lsq(const xn_bench *bench) __attribute__((weak));

#endif
