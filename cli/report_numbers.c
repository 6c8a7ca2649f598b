// SPDX-License-Identifier: BSD-3-Clause
// report_numbers.c -- order statistics and histograms of the report. NaN means missing and is left out.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int64_t numbers_finite(const double *v, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) k += isfinite(v[i]) != 0;
    return k;
}

double numbers_quantile(const double *v, int64_t n, double q)
{
    int64_t k = 0;
    double *sorted = cli_alloc((size_t)n, sizeof *sorted), answer = NAN;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i])) sorted[k++] = v[i];
    if (k > 0) {
        qsort(sorted, (size_t)k, sizeof *sorted, ascending);
        double at = q * (double)(k - 1);
        int64_t i = (int64_t)at;
        answer = i + 1 < k ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[k - 1];
    }
    free(sorted);
    return answer;
}

double numbers_median(const double *v, int64_t n) { return numbers_quantile(v, n, 0.5); }

void numbers_moments(const double *v, int64_t n, double *mean, double *width)
{
    double sum = 0, squares = 0;
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i])) sum += v[i], k++;
    *mean = k > 0 ? sum / (double)k : NAN;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i])) squares += (v[i] - *mean) * (v[i] - *mean);
    *width = k > 1 ? sqrt(squares / (double)(k - 1)) : NAN;
}

void numbers_histogram(const double *v, int64_t n, double lo, double hi, int n_bins, double *edges, double *counts)
{
    for (int i = 0; i <= n_bins; i++) edges[i] = lo + (hi - lo) * i / n_bins;
    memset(counts, 0, (size_t)n_bins * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        if (!(v[i] >= lo && v[i] <= hi)) continue;
        int b = (int)((v[i] - lo) / (hi - lo) * n_bins);
        counts[b < n_bins ? b : n_bins - 1]++;
    }
}

json_t *number_json(double v) { return isfinite(v) ? json_real(v) : json_null(); }

json_t *count_json(double v) { return isfinite(v) ? json_integer((json_int_t)llround(v)) : json_null(); }

json_t *numbers_json(const double *v, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, number_json(v[i]));
    return list;
}
