// SPDX-License-Identifier: BSD-3-Clause
// lp_start.c -- see lp_start.h.  Linear prediction needs every sample: gaps are bridged by straight lines, and where
// more than a fifth is missing there is no start.  The background's polynomials are taken out first.
#include "fit/lp_start.h"

#include <math.h>
#include <string.h>

#define MISSING_MOST 0.2
#define NEAR 0.8 // of the threshold: a mode that was only just refused might be found by the other start

// LPSVD's matrix has as few rows for long traces as the others have columns.
static xani_lp_options settings(const xani_lp_options *given, int modes_max, int n)
{
    xani_lp_options o;
    xn_lp_options_start(&o, modes_max, XN_LP_SPARE);
    if (given == NULL) return o;
    o.method = given->method;
    if (o.method == XANI_LP_LPSVD) o.columns = n > 4 * XN_LP_COLUMNS ? n - XN_LP_COLUMNS : 0;
    if (given->rank > 0) o.rank = given->rank;
    o.direction = given->direction;
    o.compensate = given->compensate;
    o.amplitude_threshold = given->amplitude_threshold;
    return o;
}

xani_status xn_lp_start_create(xn_ctx *ctx, const xn_fit_plans *plans, int n_delays, const xani_lp_options *options,
                               xn_lp_start *s)
{
    const xn_fit_plan *plan = &plans->plan[plans->first];
    const int n = n_delays - plans->late, background = plan->n_columns - plans->level_before - 1;
    memset(s, 0, sizeof *s);
    s->first = plans->late;
    s->n = n;
    s->modes_max = plan->modes_max;
    s->background = background;
    s->y = xn_alloc((size_t)n, sizeof(double));
    s->column = xn_alloc((size_t)n * XN_FIT_COLUMNS, sizeof(double));
    if (s->y == NULL || s->column == NULL) {
        xn_lp_start_free(s);
        return xn_fail_memory(ctx, "linear prediction", (size_t)n * (XN_FIT_COLUMNS + 1) * sizeof(double));
    }
    for (int b = 0; b <= background; b++) {
        double *u = s->column + (size_t)b * (size_t)n, norm = 0.0;
        for (int i = 0; i < n; i++)
            u[i] = b == 0 ? 1.0 : s->column[(size_t)(b - 1) * (size_t)n + (size_t)i] * (2.0 * i / (n - 1) - 1.0);
        for (int pass = 0; pass < 2; pass++)
            for (int c = 0; c < b; c++) {
                const double *v = s->column + (size_t)c * (size_t)n;
                double dot = 0.0;
                for (int i = 0; i < n; i++) dot += u[i] * v[i];
                for (int i = 0; i < n; i++) u[i] -= dot * v[i];
            }
        for (int i = 0; i < n; i++) norm += u[i] * u[i];
        for (int i = 0; i < n; i++) u[i] /= sqrt(norm);
    }
    const xani_lp_options o = settings(options, plan->modes_max, n);
    xani_status st = xn_lp_work_create(ctx, n, &o, XN_LP_LOOSE, &s->work);
    if (st != XANI_OK) xn_lp_start_free(s);
    return st;
}

void xn_lp_start_free(xn_lp_start *s)
{
    xn_lp_work_destroy(&s->work);
    xn_free(s->y);
    xn_free(s->column);
    memset(s, 0, sizeof *s);
}

// Straight lines over gaps, the nearest value beyond the ends. False: too much is missing.
static bool bridge_gaps(double *y, int n)
{
    int missing = 0, last = -1;
    for (int i = 0; i < n; i++) missing += isnan(y[i]);
    if (missing > MISSING_MOST * n) return false;
    for (int i = 0; i <= n && missing > 0; i++) {
        if (i < n && isnan(y[i])) continue;
        for (int j = last + 1; j < i; j++) {
            const double before = last >= 0 ? y[last] : y[i], after = i < n ? y[i] : before;
            y[j] = before + (after - before) * (j - last) / (i - last);
        }
        last = i;
    }
    return true;
}

int xn_lp_start_trace(xn_lp_start *s, const float *y, int64_t row_stride, const double *weight, double *w, double *g)
{
    double amplitude[XANI_MAX_MODES], largest = 0.0;
    for (int i = 0; i < s->n; i++) {
        const float v = y[(int64_t)(s->first + i) * row_stride];
        s->y[i] = isfinite(v) && (weight == NULL || weight[s->first + i] > 0.0) ? (double)v : NAN;
    }
    if (!bridge_gaps(s->y, s->n)) return 0;
    for (int b = 0; b <= s->background; b++) {
        const double *u = s->column + (size_t)b * (size_t)s->n;
        double dot = 0.0;
        for (int i = 0; i < s->n; i++) dot += u[i] * s->y[i];
        for (int i = 0; i < s->n; i++) s->y[i] -= dot * u[i];
    }
    for (int i = 0; i < s->n; i++) largest = fmax(largest, fabs(s->y[i]));
    if (largest == 0.0) return 0;
    for (int i = 0; i < s->n; i++) s->y[i] /= largest;
    return xn_lp_modes(s->y, s->n, s->modes_max, s->work, w, g, amplitude);
}

bool xn_lp_start_matters(const xn_fit_plan *plan, const xn_fit_kernel *kernel, const xn_fit_tile *tile, int i)
{
    if (tile->flags[i] & (XN_FLAG_FEW | XN_FLAG_MISSING) || plan->modes_max == 0) return false;
    if (tile->flags[i] & (XN_FLAG_STUCK | XN_FLAG_BOUND) || tile->n_modes[i] > 1) return true;
    return !(xn_fit_out(kernel, tile, XN_OUT_NEXT, i) < NEAR * plan->threshold);
}
