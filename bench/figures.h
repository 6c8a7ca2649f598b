// SPDX-License-Identifier: BSD-3-Clause
// figures.h -- what the benchmarks make of their runs: medians, and lines of GB/s.
#ifndef XN_BENCH_FIGURES_H
#define XN_BENCH_FIGURES_H

#include "bench/bench.h"

double xn_bench_median(double *v, int n); // NaN if any is; v is sorted
// Both in bytes/s; NaN: not measured. The names are those of xn_bench_line.
void xn_bench_emit_rates(const xn_bench *to, const char *bench, const char *name, const char *peer, double ours,
                         double theirs, const char *why);

#endif
