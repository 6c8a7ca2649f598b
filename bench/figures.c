// SPDX-License-Identifier: BSD-3-Clause
// figures.c -- see figures.h.
#include "bench/figures.h"

#include <math.h>
#include <stdlib.h>

#include "core/core.h"

double xn_bench_median(double *v, int n)
{
    for (int i = 0; i < n; i++)
        if (isnan(v[i])) return NAN;
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

void xn_bench_emit_rates(const xn_bench *to, const char *bench, const char *name, const char *peer, double ours,
                         double theirs, const char *why)
{
    const xn_bench_line line = {.bench = bench,
                                .name = name,
                                .peer = peer,
                                .ours = 1e-9 * ours,
                                .theirs = 1e-9 * theirs,
                                .unit = "GB/s",
                                .ratio = theirs > 0.0 ? ours / theirs : NAN,
                                .ratio_cpu = NAN,
                                .why = why};
    to->emit(to->user, &line);
}
