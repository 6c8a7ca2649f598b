// SPDX-License-Identifier: BSD-3-Clause
// samples.c -- see samples.h.
//
// Delays used: those asked for, else all bins that lie wholly after 3 sigma of the time resolution (0 if unknown):
// before it the response of the clock is in the trace.  Where the fit knows the response: all bins.  Errors: where the
// cube's come from counting, each pixel gets one sigma, the root mean square over its bins times the root of the bin's
// weight, and is not rescaled; chi^2 then tells how well that holds.  Else sigma comes from the residual.  A pixel none
// of whose errors is a number above 0 is masked: its sigma is not known, and the residual's would be another quantity
// than its neighbours'.  Where that is so of all pixels the file has no errors, whatever it says.
#include "fit/samples.h"

#include <math.h>
#include <string.h>

#define SIGMA_CHUNK 512 // pixels worked on together

// ---- delays

static double bin_begin(const xn_cube *cube, int i)
{
    return cube->edges_ps != NULL ? cube->edges_ps[i] : cube->delay_ps[i];
}

static xani_status choose_delays(xn_ctx *ctx, const xn_config *c, const xn_cube *cube, const double *weight,
                                 const xn_fit_setup *setup, xn_fit_samples *s)
{
    double span[2] = {isfinite(cube->time_resolution_ps) ? 3.0 * cube->time_resolution_ps : 0.0, INFINITY};
    span[0] = setup->response_ps > 0.0 ? -INFINITY : span[0] + setup->time_zero_ps;
    const bool asked = xn_config_has(c, "fit.delay_ps");
    if (asked) xn_config_doubles(c, "fit.delay_ps", span, 2);
    int begin = 0, end = cube->nbins;
    // rounding of an edge must not cost a bin
    const double slack =
        cube->nbins > 1 ? 1e-6 * (cube->delay_ps[cube->nbins - 1] - cube->delay_ps[0]) / cube->nbins : 0.0;
    while (begin < end && (asked ? cube->delay_ps[begin] : bin_begin(cube, begin)) < span[0] - slack) begin++;
    while (end > begin && cube->delay_ps[end - 1] > span[1] + slack) end--;
    if (asked && begin == end && cube->nbins > 0)
        return xn_config_bad(ctx, c, "fit.delay_ps", "[%g, %g] ps holds none of the delays, %.6g to %.6g ps", span[0],
                             span[1], cube->delay_ps[0], cube->delay_ps[cube->nbins - 1]);
    while (begin < end && weight[begin] <= 0.0) begin++; // empty bins at the ends carry nothing
    while (end > begin && weight[end - 1] <= 0.0) end--;
    s->first = begin;
    s->n = end - begin;
    return XANI_OK;
}

// To a mean of 1 over the delays used.
static void scale_weights(int bins, xn_fit_samples *s)
{
    double sum = 0.0;
    int filled = 0;
    s->weight = s->all_weights + s->first;
    for (int i = 0; i < s->n; i++) {
        filled += s->weight[i] > 0.0;
        sum += s->weight[i];
    }
    for (int i = 0; i < bins && filled > 0; i++) s->all_weights[i] *= filled / sum;
}

// ---- pixels

static bool any_signal(const xn_cube *cube, const xn_fit_samples *s, int64_t pixel)
{
    const int64_t plane = cube->ny * cube->nx;
    for (int i = 0; i < s->n; i++)
        if (s->weight[i] > 0.0 && isfinite(cube->signal[(int64_t)(s->first + i) * plane + pixel])) return true;
    return false;
}

static bool any_error(const xn_cube *cube, const xn_fit_samples *s, int64_t pixel)
{
    const int64_t plane = cube->ny * cube->nx;
    for (int i = 0; i < s->n; i++) {
        const float e = cube->errors[(int64_t)(s->first + i) * plane + pixel];
        if (s->weight[i] > 0.0 && e > 0.0f && isfinite(e)) return true;
    }
    return false;
}

// Pixels with data, in order; errors: only those with errors too.
static void list_pixels(const xn_cube *cube, bool errors, xn_fit_samples *s)
{
    s->count = s->without_errors = 0;
    for (int64_t i = 0; i < cube->ny * cube->nx; i++) {
        if (cube->mask[i] != 0 || !any_signal(cube, s, i)) continue;
        if (errors && !any_error(cube, s, i))
            s->without_errors++;
        else
            s->pixel[s->count++] = i;
    }
}

static void choose_pixels(xn_ctx *ctx, const xn_cube *cube, xn_fit_samples *s)
{
    s->errors_known = cube->errors_counting;
    list_pixels(cube, s->errors_known, s);
    if (s->without_errors == 0) return;
    if (s->count > 0) {
        xn_warn(ctx, "fit: %lld pixels are left out (fit_status 2): none of their errors is a number above 0",
                (long long)s->without_errors);
        return;
    }
    xn_warn(ctx, "fit: no error in /entry/cube/signal_errors is a number above 0: errors come from the residual");
    s->errors_known = false;
    list_pixels(cube, false, s);
}

xani_status xn_fit_samples_choose(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, xn_fit_setup *setup,
                                  xn_fit_samples *s)
{
    const size_t bins = (size_t)cube->nbins, plane = (size_t)(cube->ny * cube->nx);
    memset(s, 0, sizeof *s);
    s->all_weights = xn_alloc(bins + 1, sizeof *s->all_weights);
    s->pixel = xn_alloc(plane, sizeof *s->pixel);
    xani_status st = XANI_OK;
    if (s->all_weights == NULL || s->pixel == NULL)
        st = xn_fail_memory(ctx, "the list of pixels", bins * sizeof *s->all_weights + plane * sizeof *s->pixel);
    if (st == XANI_OK) st = xn_fit_weights(ctx, cube, s->all_weights, &s->weights_from);
    if (st == XANI_OK) st = choose_delays(ctx, config, cube, s->all_weights, setup, s);
    if (st != XANI_OK) {
        xn_fit_samples_free(s);
        return st;
    }
    scale_weights(cube->nbins, s);
    setup->n = s->n;
    setup->delay_ps = cube->delay_ps + s->first;
    setup->weight = s->weight;
    choose_pixels(ctx, cube, s);
    return XANI_OK;
}

void xn_fit_samples_free(xn_fit_samples *s)
{
    xn_free(s->all_weights);
    xn_free(s->pixel);
    memset(s, 0, sizeof *s);
}

// ---- errors

// Which samples the errors are of: bin first + row[i] counts with weight scale[i]^2. row NULL: i; pixel NULL: k itself.
typedef struct {
    const xn_cube *cube;
    const int64_t *pixel;
    int first, n;
    const int *row;
    const double *scale;
} samples_of;

// Pixels [begin, end) of the list, bin after bin, because neighbours in a bin are neighbours in memory.
static void chunk_sigma(const samples_of *s, int64_t begin, int64_t end, float *sigma)
{
    const int64_t plane = s->cube->ny * s->cube->nx;
    double sum[SIGMA_CHUNK] = {0};
    int n[SIGMA_CHUNK] = {0};
    for (int i = 0; i < s->n; i++) {
        const float *errors = s->cube->errors + (int64_t)(s->first + (s->row != NULL ? s->row[i] : i)) * plane;
        const double weight = s->scale[i] * s->scale[i];
        for (int64_t k = begin; k < end && weight > 0.0; k++) {
            const double e = errors[s->pixel != NULL ? s->pixel[k] : k];
            if (!(e > 0.0) || !isfinite(e)) continue;
            sum[k - begin] += e * e * weight;
            n[k - begin]++;
        }
    }
    for (int64_t k = begin; k < end; k++)
        sigma[s->pixel != NULL ? s->pixel[k] : k] = n[k - begin] > 0 ? (float)sqrt(sum[k - begin] / n[k - begin]) : NAN;
}

static void all_sigma(const samples_of *s, int64_t count, int threads, float *sigma)
{
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < count; i += SIGMA_CHUNK) chunk_sigma(s, i, xn_min64(i + SIGMA_CHUNK, count), sigma);
}

void xn_fit_samples_sigma(const xn_cube *cube, const xn_fit_samples *s, const xn_fit_plans *plans, int threads,
                          float *sigma)
{
    const xn_fit_plan *p = &plans->plan[plans->first];
    const samples_of of = {cube, s->pixel, s->first, p->n, plans->row[plans->first], p->scale};
    all_sigma(&of, s->count, threads, sigma);
}

void xn_fit_samples_weights(const xn_cube *cube, const xn_fit_samples *s, const xn_fit_plans *plans, double *weight)
{
    const xn_fit_plan *p = &plans->plan[plans->first];
    memcpy(weight, s->all_weights, (size_t)cube->nbins * sizeof *weight);
    memset(weight + s->first, 0, (size_t)s->n * sizeof *weight);
    for (int i = 0; i < p->n; i++) weight[s->first + plans->row[plans->first][i]] = p->scale[i] * p->scale[i];
}

void xn_fit_cube_sigma(const xn_cube *cube, const double *scale, int threads, float *sigma)
{
    const samples_of of = {cube, NULL, 0, cube->nbins, NULL, scale};
    all_sigma(&of, cube->ny * cube->nx, threads, sigma);
}
