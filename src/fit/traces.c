// SPDX-License-Identifier: BSD-3-Clause
// traces.c -- the fit engine on traces held in memory: xn_fit_traces, and each alone or with its neighbours.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "fit/engine.h"
#include "fit/fit.h"
#include "fit/linear_prediction.h"
#include "fit/neighbours.h"

#define FIRST_SIZE offsetof(xani_fit_options, weight) // of the first version of the options

// Options as they are now, whatever version of the header they were made with.
static xani_status read_options(xn_ctx *ctx, const xani_fit_options *given, xani_fit_options *o)
{
    xani_fit_options_init(o);
    if (given == NULL || given->size < FIRST_SIZE)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: set them with xani_fit_options_init first");
    if (given->size > sizeof *o)
        return xn_fail(ctx, XANI_ERR_USAGE,
                       "fit options: size is %zu, this library knows %zu: it is older than the header", given->size,
                       sizeof *o);
    memcpy(o, given, given->size);
    o->size = sizeof *o;
    return XANI_OK;
}

static xani_status check_options(xn_ctx *ctx, const xani_fit_options *o)
{
    if (o->modes_max < 0 || o->modes_max > XANI_MAX_MODES)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: modes_max is %d, not 0..%d", o->modes_max, XANI_MAX_MODES);
    if (o->background < -1 || o->background > XANI_BACKGROUND_EXPONENTIAL)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: background is %d, not -1..%d", o->background,
                       XANI_BACKGROUND_EXPONENTIAL);
    if (o->background == XANI_BACKGROUND_EXPONENTIAL && o->modes_max == XANI_MAX_MODES)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: modes_max is %d, not 0..%d, as the background is exponential",
                       o->modes_max, XANI_MAX_MODES - 1);
    const double lo = o->frequency_thz[0], hi = o->frequency_thz[1];
    if (!(lo == 0.0 && hi == 0.0) && !(lo >= 0.0 && lo < hi && isfinite(hi)))
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: frequency_thz is %g, %g, not an increasing pair", lo, hi);
    if (!(o->significance >= 0.0) || !(o->tolerance >= 0.0) || !isfinite(o->tolerance))
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: significance is %g, tolerance %g: not finite and 0 or above",
                       o->significance, o->tolerance);
    if (o->start < 0 || o->start > 4)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: start is %d, not 0..4", o->start);
    if (o->start == XN_FROM_GIVEN && (o->start_modes < 1 || o->start_modes > XANI_MAX_MODES))
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: start_modes is %d, not 1..%d", o->start_modes,
                       XANI_MAX_MODES);
    if (o->start == XN_FROM_GIVEN && o->start_frequency_thz == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: start is 4, but start_frequency_thz is NULL");
    if (o->robust < XN_ROBUST_NONE || o->robust > XN_ROBUST_TUKEY)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: robust is %d, not 0, 1, 2", o->robust);
    if (o->counting != 0 && o->counting != 1)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: counting is %d, not 0, 1", o->counting);
    if (!isfinite(o->counting_zero))
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: counting_zero is %g", o->counting_zero);
    if (o->precision != 0 && o->precision != 32 && o->precision != 64)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: precision is %d, not 0, 32, 64", o->precision);
    if (!(o->response_fwhm_ps >= 0.0) || !isfinite(o->response_fwhm_ps) || !isfinite(o->time_zero_ps))
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: response_fwhm_ps is %g, time_zero_ps %g: not finite",
                       o->response_fwhm_ps, o->time_zero_ps);
    if (o->response_fwhm_ps > 0.0 && o->start == XN_FROM_NEIGHBOURS)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: start 3, neighbours, goes without response_fwhm_ps");
    if (o->linear_prediction != NULL) XN_TRY(xn_lp_options_check(ctx, o->linear_prediction, 0));
    if (o->threads < 0) return xn_fail(ctx, XANI_ERR_USAGE, "fit options: threads is %d", o->threads);
    return XANI_OK;
}

// The weights of the delays, scaled to a mean of 1 over those above 0; NULL where all are alike.
static xani_status read_weights(xn_ctx *ctx, const double *given, int64_t n, double **weight)
{
    double sum = 0.0;
    int64_t filled = 0;
    for (int64_t i = 0; i < n && given != NULL; i++) {
        if (!(given[i] >= 0.0 && given[i] < 1e300))
            return xn_fail(ctx, XANI_ERR_USAGE, "fit options: weight of delay %lld is %g", (long long)i, given[i]);
        sum += given[i];
        filled += given[i] > 0.0;
    }
    *weight = NULL;
    if (given == NULL) return XANI_OK;
    if (!isfinite(sum)) return xn_fail(ctx, XANI_ERR_USAGE, "fit options: weight adds up to %g", sum);
    if ((*weight = xn_alloc((size_t)n, sizeof **weight)) == NULL)
        return xn_fail_memory(ctx, "the weights of the delays", (size_t)n * sizeof **weight);
    for (int64_t i = 0; i < n; i++) (*weight)[i] = filled > 0 ? given[i] * ((double)filled / sum) : 0.0;
    return XANI_OK;
}

static xani_status check_delays(xn_ctx *ctx, const double *delay_ps, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(delay_ps[i]) || (i > 0 && delay_ps[i] <= delay_ps[i - 1]))
            return xn_fail(ctx, XANI_ERR_USAGE, "fit: delay %lld is not above the one before it", (long long)i);
    return XANI_OK;
}

static xani_status make_plans(xn_ctx *ctx, const xani_fit_options *o, const double *delay_ps, int64_t n_delays,
                              double **weight, xn_fit_plans *plans)
{
    *weight = NULL;
    memset(plans, 0, sizeof *plans);
    if (delay_ps == NULL || n_delays < 2 || n_delays > 1 << 20)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit: %lld delays cannot be fitted", (long long)n_delays);
    XN_TRY(check_delays(ctx, delay_ps, n_delays));
    XN_TRY(read_weights(ctx, o->weight, n_delays, weight));
    const xn_fit_setup setup = {.delay_ps = delay_ps,
                                .weight = *weight,
                                .n = (int)n_delays,
                                .background = o->background,
                                .modes_max = o->modes_max,
                                .band_thz = {o->frequency_thz[0], o->frequency_thz[1]},
                                .significance = o->significance,
                                .tests = o->start == XN_FROM_NEIGHBOURS ? 2 : 1,
                                .tolerance = o->tolerance,
                                .response_ps = o->response_fwhm_ps / XN_FWHM,
                                .time_zero_ps = o->time_zero_ps};
    char why[160];
    XN_TRY(xn_fit_plans_create(ctx, &setup, plans));
    if (!xn_fit_band_fine(&setup, plans, why, sizeof why))
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: frequency_thz: %s", why);
    if (xn_fit_response_fine(&setup, plans, why, sizeof why)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_USAGE, "fit options: response_fwhm_ps is %g: %s", o->response_fwhm_ps, why);
}

xani_status xn_fit_threshold_of(xn_ctx *ctx, const xani_fit_options *options, const double *delay_ps, int64_t n_delays,
                                double *significance, double *false_alarm)
{
    xani_fit_options o;
    double *weight;
    xn_fit_plans plans;
    XN_TRY(read_options(ctx, options, &o));
    XN_TRY(check_options(ctx, &o));
    xani_status st = make_plans(ctx, &o, delay_ps, n_delays, &weight, &plans);
    if (st == XANI_OK && plans.filled < plans.plan[plans.first].n_columns + 8)
        st = xn_fail(ctx, XANI_ERR_USAGE, "fit: %d delays are too few for a mode beside the background: at least %d",
                     plans.filled, plans.plan[plans.first].n_columns + 8);
    if (st == XANI_OK) *significance = plans.threshold;
    if (st == XANI_OK && false_alarm != NULL) *false_alarm = plans.false_alarm;
    xn_fit_plans_free(&plans);
    xn_free(weight);
    return st;
}

static xani_status check_image(xn_ctx *ctx, const xani_fit_options *o, int64_t n_traces)
{
    if (o->start != XN_FROM_NEIGHBOURS) return XANI_OK;
    if (o->image_width < 1 || n_traces % o->image_width != 0)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: image_width is %lld, which %lld traces are no multiple of",
                       (long long)o->image_width, (long long)n_traces);
    if (o->neighbourhood != 0 && o->neighbourhood != 3 && o->neighbourhood != 5 && o->neighbourhood != 7)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: neighbourhood is %d, not 3, 5, 7", o->neighbourhood);
    if (o->background == XANI_BACKGROUND_EXPONENTIAL)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: start 3, neighbours, goes without background %d, exponential",
                       o->background);
    if (o->robust != 0 || o->counting != 0 || o->sample_weight != NULL)
        return xn_fail(ctx, XANI_ERR_USAGE,
                       "fit options: start 3, neighbours, goes without robust, counting and sample_weight");
    return XANI_OK;
}

xani_status xn_fit_run(xn_ctx *ctx, const xn_fit_job *job)
{
    return job->start == XN_FROM_NEIGHBOURS ? xn_fit_neighbours(ctx, job) : xn_fit_each(ctx, job);
}

static void keep_more(void *user, int64_t trace, const xani_fit_result *r, const xn_fit_more *more)
{
    (void)r;
    const xani_fit_options *o = user;
    const size_t side = XN_COVARIANCE_SIDE((size_t)o->modes_max);
    if (o->shared != NULL) o->shared[trace] = more->shared;
    if (o->covariance == NULL) return;
    if (side > 0) memcpy(o->covariance + (size_t)trace * side * side, more->covariance, side * side * sizeof(double));
}

xani_status xn_fit_traces(xn_ctx *ctx, const xani_fit_options *options, const float *traces, const double *delay_ps,
                          int64_t n_delays, int64_t n_traces, const float *sigma, xani_fit_result *results)
{
    xani_fit_options o;
    double *weight;
    xn_fit_plans plans;
    XN_TRY(read_options(ctx, options, &o));
    XN_TRY(check_options(ctx, &o));
    if (n_traces == 0) return XANI_OK;
    if (traces == NULL || results == NULL || n_traces < 0)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit: %lld traces cannot be fitted", (long long)n_traces);
    XN_TRY(check_image(ctx, &o, n_traces));
    const char *kernels = o.kernels != NULL ? o.kernels : "auto";
    if (strcmp(kernels, "auto") != 0 && xn_fit_kernel_find(kernels, 32) == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "fit options: kernels %s are unknown or not in this processor", kernels);
    xani_status st = make_plans(ctx, &o, delay_ps, n_delays, &weight, &plans);
    if (st == XANI_OK && o.start == XN_FROM_PREDICTION && !plans.grid)
        st = xn_fail(ctx, XANI_ERR_USAGE, "fit options: start 1, linear prediction, needs uniform delays");
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = (int)n_delays,
                            .background = o.background,
                            .y = traces,
                            .row_stride = n_traces,
                            .count = n_traces,
                            .sigma = sigma,
                            .weight = o.sample_weight,
                            .reweight = {o.robust, o.counting != 0, o.counting_zero},
                            .start = o.start,
                            .linear_prediction = o.linear_prediction,
                            .given = {.n_modes = o.start_modes,
                                      .shared = o.start_shared != 0,
                                      .stride = o.start_shared != 0 ? 1 : n_traces,
                                      .frequency_thz = o.start_frequency_thz,
                                      .damping_per_ps = o.start_damping_per_ps},
                            .precision = o.precision,
                            .kernels = kernels,
                            .threads = o.threads,
                            .covariance = o.covariance != NULL,
                            .width = o.image_width,
                            .side = o.neighbourhood > 0 ? o.neighbourhood : 3,
                            .sink = o.covariance != NULL || o.shared != NULL ? keep_more : NULL,
                            .user = &o,
                            .results = results};
    if (st == XANI_OK) st = xn_fit_run(ctx, &job);
    xn_fit_plans_free(&plans);
    xn_free(weight);
    return xn_context(ctx, st, "while fitting traces");
}
