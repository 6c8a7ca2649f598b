// SPDX-License-Identifier: BSD-3-Clause
// fit.c -- cube to modes: settings from the configuration, delays and errors from the cube, results into planes.
// Which delays and pixels, and with which errors and weights: samples.c.
#include "fit/fit.h"

#include <math.h>
#include <string.h>

#include "fit/engine.h"
#include "fit/linear_prediction.h"
#include "fit/samples.h"

#define STEP_ALIKE 1e-6 // of a step: edges at equal distances to rounding
#define STEP_NEAR 0.05  // of a step: the delays follow the bins

typedef struct {
    const xn_cube *cube;
    xn_fit_setup setup;
    xn_fit_plans plans;
    xani_lp_options linear_prediction;
    const xn_modes *earlier; // start of fit.start given
    xn_reweight_rule reweight;
    int start; // XN_FROM_*
    xn_fit_samples samples;
    xn_fit_devices devices;
    xn_modes *modes;
} fit_job;

// ---- settings

static xani_status read_start(xn_ctx *ctx, const xn_config *c, fit_job *j)
{
    static const char *const names[] = {"periodogram", "linear_prediction", "both", "neighbours", "given"};
    const char *s = xn_config_string(c, "fit.start"), *robust = xn_config_string(c, "fit.robust");
    for (int i = 0; i < 5; i++)
        if (strcmp(s, names[i]) == 0) j->start = i;
    j->reweight.robust = strcmp(robust, "huber") == 0   ? XN_ROBUST_HUBER
                         : strcmp(robust, "tukey") == 0 ? XN_ROBUST_TUKEY
                                                        : XN_ROBUST_NONE;
    j->reweight.counting = xn_config_bool(c, "fit.counting");
    j->reweight.zero = 1.0; // of R_on/R_off - 1
    if (j->start == XN_FROM_NEIGHBOURS && xn_reweight_wanted(&j->reweight))
        return xn_config_bad(ctx, c, j->reweight.counting ? "fit.counting" : "fit.robust",
                             "this does not go together with fit.start neighbours");
    if (j->start != XN_FROM_GIVEN) return XANI_OK;
    if (j->earlier == NULL)
        return xn_config_bad(ctx, c, "fit.start", "given needs fit.start_modes, the modes.h5 of an earlier fit");
    if (j->earlier->ny == j->cube->ny && j->earlier->nx == j->cube->nx && j->earlier->n_modes > 0) return XANI_OK;
    return xn_config_bad(ctx, c, "fit.start_modes", "%d modes on %lld x %lld pixels, the cube has %lld x %lld",
                         j->earlier->n_modes, (long long)j->earlier->ny, (long long)j->earlier->nx,
                         (long long)j->cube->ny, (long long)j->cube->nx);
}

static void read_linear_prediction(const xn_config *c, xani_lp_options *o)
{
    static const char *const names[] = {"hsvd", "htls", "lpsvd"};
    xn_lp_options_init(o);
    for (int i = 0; i < 3; i++)
        if (strcmp(xn_config_string(c, "fit.linear_prediction.method"), names[i]) == 0) o->method = i;
    o->rank = (int)xn_config_int(c, "fit.linear_prediction.rank");
    o->amplitude_threshold = xn_config_double(c, "fit.linear_prediction.amplitude_threshold");
}

static xani_status read_background(xn_ctx *ctx, const xn_config *c, int *degree)
{
    *degree = xn_fit_background_asked(c);
    if (*degree != XANI_BACKGROUND_EXPONENTIAL) return XANI_OK;
    if (xn_config_int(c, "fit.modes_max") == XANI_MAX_MODES)
        return xn_config_bad(ctx, c, "fit.modes_max", "4 is too many: at most 3 with fit.background: exponential");
    if (strcmp(xn_config_string(c, "fit.start"), "neighbours") == 0)
        return xn_config_bad(ctx, c, "fit.background", "exponential does not go together with fit.start neighbours");
    return XANI_OK;
}

// Coefficients of a background, the level before time zero among them
static int planes_of(const fit_job *j)
{
    const int degree = j->setup.background;
    return (degree == XANI_BACKGROUND_EXPONENTIAL ? 3 : degree + 1) + xn_fit_level_before(&j->setup);
}

static xani_status read_response(xn_ctx *ctx, const xn_config *c, fit_job *j)
{
    j->setup.response_ps = xn_config_double(c, "fit.response_fwhm_ps") / XN_FWHM;
    j->setup.time_zero_ps = xn_config_double(c, "fit.time_zero_ps");
    if (j->setup.response_ps > 0.0 && j->start == XN_FROM_NEIGHBOURS)
        return xn_config_bad(ctx, c, "fit.response_fwhm_ps",
                             "a response does not go together with fit.start neighbours");
    return XANI_OK;
}

static xani_status read_settings(xn_ctx *ctx, const xn_config *c, fit_job *j)
{
    xn_fit_setup *s = &j->setup;
    read_linear_prediction(c, &j->linear_prediction);
    XN_TRY(read_start(ctx, c, j));
    XN_TRY(read_background(ctx, c, &s->background));
    XN_TRY(read_response(ctx, c, j));
    XN_TRY(xn_fit_devices_find(ctx, c, xn_device_driver_built(), j->cube->ny * j->cube->nx, &j->devices));
    const char *kernels = xn_config_string(c, "engine.kernels");
    if (xn_fit_kernel_find(kernels, 32) == NULL)
        return xn_config_bad(ctx, c, "engine.kernels", "this processor does not have %s", kernels);
    s->modes_max = (int)xn_config_int(c, "fit.modes_max");
    if (xn_config_has(c, "fit.frequency_thz")) xn_config_doubles(c, "fit.frequency_thz", s->band_thz, 2);
    s->significance = xn_fit_significance_asked(c);
    s->tests = xn_fit_tests_asked(c);
    return XANI_OK;
}

// ---- delays

// Enough filled bins for the background and one mode
static bool enough_delays(const fit_job *j)
{
    int filled = 0;
    for (int i = 0; i < j->setup.n; i++) filled += j->samples.weight[i] > 0.0;
    return filled >= planes_of(j) + 8;
}

static void warn_band(xn_ctx *ctx, const fit_job *j)
{
    const double *asked = j->setup.band_thz, *used = j->plans.band_thz;
    if (asked[1] > 0.0 && (asked[0] < used[0] * (1.0 - 1e-9) || asked[1] > used[1] * (1.0 + 1e-9)))
        xn_warn(ctx, "fit.frequency_thz: [%g, %g] is more than the delays allow, searching %.4g to %.4g THz", asked[0],
                asked[1], used[0], used[1]);
}

// ---- results

static void store_result(void *user, int64_t pixel, const xani_fit_result *r, const xn_fit_more *more)
{
    const fit_job *j = user;
    xn_modes *m = j->modes;
    const int64_t plane = m->ny * m->nx;
    if (m->shared != NULL) m->shared[pixel] = more->shared;
    const int side = XN_COVARIANCE_SIDE(m->n_modes);
    for (int i = 0, entry = 0; m->covariance != NULL && i < side; i++)
        for (int k = 0; k <= i; k++, entry++)
            m->covariance[(int64_t)entry * plane + pixel] = (float)more->covariance[i * side + k];
    for (int k = 0; k < r->n_modes; k++) {
        const int64_t at = (int64_t)k * plane + pixel;
        m->frequency[at] = (float)r->frequency_thz[k];
        m->frequency_errors[at] = (float)r->frequency_error[k];
        m->amplitude[at] = (float)r->amplitude[k];
        m->amplitude_errors[at] = (float)r->amplitude_error[k];
        m->phase[at] = (float)r->phase[k];
        m->phase_errors[at] = (float)r->phase_error[k];
        m->damping[at] = (float)r->damping_per_ps[k];
        m->damping_errors[at] = (float)r->damping_error[k];
        m->significance[at] = (float)r->significance[k];
    }
    for (int c = 0; c < m->n_background; c++) m->background[(int64_t)c * plane + pixel] = (float)r->background[c];
    m->count[pixel] = (uint8_t)r->n_modes;
    m->status[pixel] = (uint8_t)r->status;
    m->chi2_reduced[pixel] = (float)r->chi2_reduced;
}

// ---- the whole

static xani_status optional_planes(xn_ctx *ctx, const xn_config *c, fit_job *j)
{
    xn_modes *m = j->modes;
    const size_t plane = (size_t)m->ny * (size_t)m->nx, side = XN_COVARIANCE_SIDE((size_t)m->n_modes);
    const size_t entries = xn_config_bool(c, "fit.covariance") ? side * (side + 1) / 2 : 0;
    if (j->start == XN_FROM_NEIGHBOURS && (m->shared = xn_calloc(plane, 1)) == NULL)
        return xn_fail_memory(ctx, "the map of shared modes", plane);
    if (entries == 0) return XANI_OK;
    if ((m->covariance = xn_alloc(entries * plane, sizeof(float))) == NULL)
        return xn_fail_memory(ctx, "the covariance of the modes (fit.covariance)", entries * plane * sizeof(float));
    m->n_covariance = (int)entries;
    for (size_t i = 0; i < entries * plane; i++) m->covariance[i] = NAN;
    return XANI_OK;
}

// What chi^2 is counted by, where there are delays to fit.
static xani_status sigma_planes(xn_ctx *ctx, const fit_job *j)
{
    xn_modes *m = j->modes;
    const size_t plane = (size_t)m->ny * (size_t)m->nx, bins = (size_t)j->cube->nbins;
    if ((m->weight = xn_calloc(bins, sizeof *m->weight)) == NULL)
        return xn_fail_memory(ctx, "the weights of the delays", bins * sizeof *m->weight);
    m->n_bins = j->cube->nbins;
    if (!j->samples.errors_known) return XANI_OK;
    if ((m->sigma = xn_alloc(plane, sizeof *m->sigma)) == NULL)
        return xn_fail_memory(ctx, "the errors of the pixels", plane * sizeof *m->sigma);
    for (size_t i = 0; i < plane; i++) m->sigma[i] = NAN;
    return XANI_OK;
}

static xani_status prepare_modes(xn_ctx *ctx, const xn_config *c, fit_job *j)
{
    const xn_cube *cube = j->cube;
    xn_modes *m = j->modes;
    XN_TRY(xn_modes_alloc(ctx, j->setup.modes_max, planes_of(j), cube->ny, cube->nx, m));
    m->background_exponential = j->setup.background == XANI_BACKGROUND_EXPONENTIAL;
    m->spatial_bin = cube->spatial_bin;
    m->n_modules = cube->n_modules;
    m->module_rows = xn_alloc((size_t)cube->n_modules, sizeof *m->module_rows);
    const xn_fit_kernel *k = xn_fit_kernel_find(xn_config_string(c, "engine.kernels"), 32);
    m->kernels = xn_strdup(j->devices.driver != NULL ? j->devices.driver->name : k->name);
    m->run = xn_strdup(cube->run != NULL ? cube->run : "");
    m->start = xn_strdup(xn_config_string(c, "fit.start"));
    const char *robust = xn_config_string(c, "fit.robust");
    m->rounds = !j->reweight.counting                  ? xn_strdup(robust)
                : j->reweight.robust != XN_ROBUST_NONE ? xn_format("counting, %s", robust)
                                                       : xn_strdup("counting");
    m->weights = xn_strdup(xn_fit_weights_names[j->samples.weights_from]);
    if (!m->module_rows || !m->kernels || !m->run || !m->start || !m->rounds || !m->weights)
        return xn_fail_memory(ctx, "the modes", 64);
    XN_TRY(optional_planes(ctx, c, j));
    if (cube->n_modules > 0)
        memcpy(m->module_rows, cube->module_rows, (size_t)cube->n_modules * sizeof *m->module_rows);
    m->errors_counting = j->samples.errors_known;
    m->n_angles = cube->n_angles;
    memcpy(m->angles_deg, cube->angles_deg, sizeof m->angles_deg);
    m->response_fwhm_ps = j->setup.response_ps * XN_FWHM;
    m->time_zero_ps = j->setup.time_zero_ps;
    m->level_before = xn_fit_level_before(&j->setup);
    m->delay_lo_ps = m->delay_hi_ps = NAN;
    for (int i = 0; i < j->setup.n; i++) m->n_delays += j->samples.weight[i] > 0.0;
    if (j->setup.n > 0) {
        m->delay_lo_ps = j->setup.delay_ps[0];
        m->delay_hi_ps = j->setup.delay_ps[j->setup.n - 1];
    }
    return XANI_OK;
}

// Of bins that are alike the step is theirs: the line through their mean delays scatters with the shots of each.
static double step_of(const fit_job *j)
{
    const double found = j->plans.step_ps, *edge = j->cube->edges_ps, n = j->setup.n;
    if (!j->plans.grid) return NAN;
    if (edge == NULL || j->setup.n < 1) return found;
    edge += j->samples.first;
    const double step = (edge[j->setup.n] - edge[0]) / n;
    for (int i = 0; i < j->setup.n; i++)
        if (fabs(edge[i + 1] - edge[i] - step) > STEP_ALIKE * step) return found;
    return fabs(found - step) < STEP_NEAR * step ? step : found;
}

static xani_status fit_pixels(xn_ctx *ctx, const xn_config *c, fit_job *j)
{
    const xn_cube *cube = j->cube;
    xn_modes *m = j->modes;
    char why[160];
    XN_TRY(xn_context(ctx, xn_fit_plans_create(ctx, &j->setup, &j->plans), "the delays, /entry/cube/delay"));
    if (!xn_fit_response_fine(&j->setup, &j->plans, why, sizeof why))
        return xn_config_bad(ctx, c, "fit.response_fwhm_ps", "%s", why);
    if (!xn_fit_band_fine(&j->setup, &j->plans, why, sizeof why))
        return xn_config_bad(ctx, c, "fit.frequency_thz", "%s", why);
    warn_band(ctx, j);
    if (j->start == XN_FROM_PREDICTION && !j->plans.grid)
        return xn_config_bad(ctx, c, "fit.start",
                             "linear prediction needs delays of equal steps; use periodogram or both");
    m->step_ps = step_of(j);
    memcpy(m->band_thz, j->plans.band_thz, sizeof m->band_thz);
    m->threshold = j->plans.threshold;
    m->false_alarm = j->plans.false_alarm;
    const int threads = xn_threads((int)xn_config_int(c, "engine.threads"));
    if (m->sigma != NULL) xn_fit_samples_sigma(cube, &j->samples, &j->plans, threads, m->sigma);
    xn_fit_samples_weights(cube, &j->samples, &j->plans, m->weight);
    xn_fit_given given = {0};
    if (j->earlier != NULL)
        given = (xn_fit_given){.n_modes = j->earlier->n_modes,
                               .stride = cube->ny * cube->nx,
                               .frequency_thz = j->earlier->frequency,
                               .damping_per_ps = j->earlier->damping};
    const xn_fit_job job = {.plans = &j->plans,
                            .n_delays = j->setup.n,
                            .background = j->setup.background,
                            .y = cube->signal + (int64_t)j->samples.first * cube->ny * cube->nx,
                            .row_stride = cube->ny * cube->nx,
                            .pixel = j->samples.pixel,
                            .count = j->samples.count,
                            .sigma = m->sigma,
                            .start = j->start,
                            .linear_prediction = &j->linear_prediction,
                            .given = given,
                            .reweight = j->reweight,
                            .covariance = m->covariance != NULL,
                            .width = cube->nx,
                            .side = xn_config_string(c, "fit.neighbourhood")[0] - '0',
                            .n_modules = cube->n_modules,
                            .module_rows = cube->n_modules > 0 ? cube->module_rows : NULL,
                            .kernels = xn_config_string(c, "engine.kernels"),
                            .devices = &j->devices,
                            .threads = threads,
                            .tile = xn_config_has(c, "engine.tile") ? xn_config_int(c, "engine.tile") : 0,
                            .sink = store_result,
                            .user = j};
    return xn_fit_run(ctx, &job);
}

xani_status xn_fit_check(xn_ctx *ctx, const xn_config *config, const xn_modes *start)
{
    const xn_cube none = {.ny = start != NULL ? start->ny : 0, .nx = start != NULL ? start->nx : 0};
    fit_job j = {.cube = &none, .earlier = start};
    return read_settings(ctx, config, &j);
}

xani_status xn_fit(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, const xn_modes *start, xn_modes *modes)
{
    fit_job j = {.cube = cube, .modes = modes, .earlier = start};
    memset(modes, 0, sizeof *modes);
    xani_status st;
    XN_GOTO(out, st, read_settings(ctx, config, &j));
    XN_GOTO(out, st, xn_fit_samples_choose(ctx, config, cube, &j.setup, &j.samples));
    XN_GOTO(out, st, prepare_modes(ctx, config, &j));
    if (enough_delays(&j)) {
        XN_GOTO(out, st, sigma_planes(ctx, &j));
        st = fit_pixels(ctx, config, &j);
    } else {
        xn_warn(ctx, "fit: only %d delays can be used, too few for one mode", modes->n_delays);
        for (int64_t i = 0; i < j.samples.count; i++) modes->status[j.samples.pixel[i]] = XN_FIT_FEW_DELAYS;
    }
out:
    xn_fit_plans_free(&j.plans);
    xn_fit_samples_free(&j.samples);
    if (st != XANI_OK) xn_modes_free(modes);
    return xn_context(ctx, st, "while fitting");
}
