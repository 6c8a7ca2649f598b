// SPDX-License-Identifier: BSD-3-Clause
// refine_common.c -- see refine_common.h.
#include "physics/forces/refine_common.h"

#include <math.h>

// Variance of what all lines of a run share, over that of the mean of a cell: 2, and more since that is an average;
// 3 to 4 in simulated cubes.
#define ALL_OF_CELL 3.0

// covariance += variance sum_g v_g v_g^T,  v_g = C sum_{i in g} w_i slope_i off_i,  off: d nu of the lines of a group.
static xani_status add_groups(xn_ctx *ctx, const xn_refine_lines *l, const int32_t *group, int groups,
                              const double *off, double variance, const double *statistical, double *covariance)
{
    const size_t n = (size_t)l->parameters;
    double *pull = xn_calloc((size_t)groups * n, sizeof *pull), *v = xn_alloc(n, sizeof *v);
    if (pull == NULL || v == NULL) {
        xn_free(pull);
        xn_free(v);
        return xn_fail_memory(ctx, "common errors of the force constants", (size_t)groups * n * sizeof *pull);
    }
    for (int64_t i = 0; i < l->n; i++) {
        if (l->branch[i] < 0) continue;
        const double sigma = xn_residual_error(&l->residual[i], l->model_share);
        const double w = xn_residual_weight(l->residual[i].away / sigma) / (sigma * sigma) * off[i];
        for (size_t k = 0; k < n; k++) pull[(size_t)group[i] * n + k] += w * l->slope[(size_t)i * n + k];
    }
    for (int g = 0; g < groups; g++) {
        for (size_t k = 0; k < n; k++) {
            v[k] = 0.0;
            for (size_t m = 0; m < n; m++) v[k] += statistical[k * n + m] * pull[(size_t)g * n + m];
        }
        for (size_t k = 0; k < n; k++)
            for (size_t m = 0; m < n; m++) covariance[k * n + m] += variance * v[k] * v[m];
    }
    xn_free(pull);
    xn_free(v);
    return XANI_OK;
}

xani_status xn_refine_add_branches(xn_ctx *ctx, const xn_refine_lines *l, int branches, double least_sigma_thz,
                                   const double *statistical, double *covariance)
{
    double *off = xn_alloc((size_t)l->n + 1, sizeof *off);
    if (off == NULL) return xn_fail_memory(ctx, "common errors of the force constants", (size_t)l->n * sizeof *off);
    for (int64_t i = 0; i < l->n; i++) off[i] = l->model_share * least_sigma_thz;
    xani_status st = add_groups(ctx, l, l->branch, branches, off, 1.0, statistical, covariance);
    xn_free(off);
    return st;
}

// Length of the delays that a line is seen in, on average; NaN: not known.
static double mean_length(const xn_refine_lines *l)
{
    double sum = 0.0, weights = 0.0;
    for (int64_t i = 0; i < l->n; i++) {
        const xn_observed *p = &l->points[i];
        if (l->branch[i] < 0 || !(p->window_ps > 0.0)) continue;
        sum += fmin(p->window_ps, 1.0 / fmax(p->damping_per_ps, 1e-9));
        weights += 1.0;
    }
    return weights > 0.0 ? sum / weights : NAN;
}

// Runs and cells of the points, numbered from 0. Returns the number of cells; *runs that of runs.
static int number_cells(const xn_refine_lines *l, double length, int32_t *run, int32_t *cell, int *runs)
{
    int per_run = 1;
    *runs = 1;
    for (int64_t i = 0; i < l->n; i++) {
        const xn_observed *p = &l->points[i];
        run[i] = p->run;
        cell[i] = (int32_t)fmin(p->nu_thz * p->f_per_nu * length, 1e5);
        if (p->run >= *runs) *runs = p->run + 1;
        if (cell[i] >= per_run) per_run = cell[i] + 1;
    }
    for (int64_t i = 0; i < l->n; i++) cell[i] += run[i] * per_run;
    return *runs * per_run;
}

// Variance of what lines of a cell share, of their frequency: what the means of cells scatter more than lines do within
// cells (their errors count all that lines are away for as the model's).  sum: (cells, 2) work, zeros.
static double shared_variance(const xn_refine_lines *l, const int32_t *cell, int cells, double *sum)
{
    double squares = 0.0, between = 0.0, weights = 0.0;
    int64_t used = 0;
    int filled = 0;
    for (int64_t i = 0; i < l->n; i++) {
        if (l->branch[i] < 0) continue;
        const double nu = l->points[i].nu_thz, sigma = xn_residual_error(&l->residual[i], l->model_share);
        const double x = l->residual[i].away / nu;
        const double w = xn_residual_weight(l->residual[i].away / sigma) * nu * nu / (sigma * sigma);
        sum[2 * cell[i]] += w;
        sum[2 * cell[i] + 1] += w * x;
        squares += w * x * x;
        used++;
    }
    for (int c = 0; c < cells; c++) {
        if (!(sum[2 * c] > 0.0)) continue;
        between += sum[2 * c + 1] * sum[2 * c + 1] / sum[2 * c];
        weights += sum[2 * c];
        filled++;
    }
    const int left = filled - l->determined; // the constants have followed as many
    if (left <= 0 || used <= filled) return 0.0;
    const double within = (squares - between) / (double)(used - filled);
    const double chance = within * sqrt(2.0 / left); // rms of between / left where nothing is shared
    return fmax(between / left - within - chance, 0.0) * filled / weights;
}

xani_status xn_refine_add_runs(xn_ctx *ctx, const xn_refine_lines *l, const double *statistical, double *covariance,
                               double *common)
{
    const double length = mean_length(l);
    *common = 0.0;
    if (!(length > 0.0)) return XANI_OK;
    int32_t *run = xn_alloc((size_t)l->n, sizeof *run), *cell = xn_alloc((size_t)l->n, sizeof *cell);
    double *off = xn_alloc((size_t)l->n, sizeof *off), *sum = NULL;
    int cells = 0, runs = 0;
    if (run != NULL && cell != NULL) {
        cells = number_cells(l, length, run, cell, &runs);
        sum = xn_calloc(2 * (size_t)cells, sizeof *sum);
    }
    xani_status st = XANI_OK;
    if (off == NULL || sum == NULL)
        st = xn_fail_memory(ctx, "common errors of the force constants", ((size_t)l->n + (size_t)cells) * 16);
    if (st == XANI_OK) {
        const double variance = shared_variance(l, cell, cells, sum);
        for (int64_t i = 0; i < l->n; i++) off[i] = l->points[i].nu_thz;
        *common = sqrt((1.0 + ALL_OF_CELL) * variance);
        if (variance > 0.0) {
            st = add_groups(ctx, l, cell, cells, off, variance, statistical, covariance);
            if (st == XANI_OK) st = add_groups(ctx, l, run, runs, off, ALL_OF_CELL * variance, statistical, covariance);
        }
    }
    xn_free(run);
    xn_free(cell);
    xn_free(off);
    xn_free(sum);
    return st;
}
