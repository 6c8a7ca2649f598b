// SPDX-License-Identifier: BSD-3-Clause
// zero.c -- where delay zero lies, from the rise of the whole detector's intensity: reduce.find_zero.
//
// Photons per I0 of all good pixels in each delay bin against the laser-off ones; a step of error-function shape on a
// level, and the same followed by an exponential decay (or rise) towards another level; the second only where it lowers
// chi^2 by more than 10 (two parameters more).  The half-rise is a matter of definition: a lattice that answers in a
// quarter of a phonon's period rises that much after the light came.  So the number is said, with its error, and never
// applied: input.delay.zero_ps stays the configuration's.
#include <math.h>
#include <stdlib.h>

#include "lsq/lsq.h"
#include "reduce/internal.h"
#include "reduce/windows.h"
#include "xani/model.h"

#define FEWEST_BINS 8
#define LEAST_SIGMA 5.0
#define LEAST_GAIN 10.0
#define MOST_PARAMETERS 8
#define OUTLIER_SIGMA 6.0
#define LARGEST_CHI2 2.0

typedef struct rise {
    bool found;
    double zero_ps, zero_error, rms_ps, height, height_error, chi2, chi2_reduced;
} rise;

typedef struct totals {
    double low[2], high[2];   // of photons/I0 by XN_LASER_*: shots beyond are left out (lost beam, a burst of noise)
    double off, off_i0;       // sums of the laser-off shots
    double *sum, *i0, *count; // of each bin
} totals;

static bool counts(const totals *t, const xn_shots *s, const double *photons, int64_t i)
{
    if (s->verdict[i] != XN_CUT_NONE || !isfinite(photons[i]) || !(s->i0[i] > 0)) return false;
    double y = photons[i] / s->i0[i];
    return y >= t->low[s->laser[i]] && y <= t->high[s->laser[i]];
}

// Six sigma about the median of each class. work: one number per shot.
static void set_limits(const xn_shots *s, const double *photons, double *work, totals *t)
{
    for (int class = 0; class < 2; class ++) {
        int64_t n = 0;
        t->low[class] = -INFINITY;
        t->high[class] = INFINITY;
        for (int64_t i = 0; i < s->n; i++)
            if (s->laser[i] == class && counts(t, s, photons, i)) work[n++] = photons[i] / s->i0[i];
        if (n == 0) continue;
        double median, sigma = xn_median_spread(work, n, &median);
        t->low[class] = median - OUTLIER_SIGMA * sigma;
        t->high[class] = median + OUTLIER_SIGMA * sigma;
    }
}

static void add_shots(const xn_shots *s, const double *photons, totals *t)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (!counts(t, s, photons, i)) continue;
        if (s->bin[i] < 0) {
            t->off += photons[i];
            t->off_i0 += s->i0[i];
            continue;
        }
        t->sum[s->bin[i]] += photons[i];
        t->i0[s->bin[i]] += s->i0[i];
        t->count[s->bin[i]]++;
    }
}

// Relative change of the total in each bin, with its standard error; NaN where it is not known.
static bool total_trace(const xn_cube *c, double *y, double *error)
{
    const xn_shots *s = &c->shots;
    const double *photons = xn_shots_find(s, XN_COLUMN_PHOTONS);
    if (photons == NULL) return false;
    size_t n = (size_t)c->nbins;
    double *room = xn_calloc(n * 3 + (size_t)s->n, sizeof *room);
    if (room == NULL) return false; // the result does not depend on it
    totals t = {.sum = room, .i0 = room + n, .count = room + 2 * n};
    set_limits(s, photons, room + 3 * n, &t);
    add_shots(s, photons, &t);
    double off = t.off / t.off_i0;
    for (size_t b = 0; b < n; b++) {
        y[b] = t.sum[b] / t.i0[b] / off - 1.0;
        error[b] = 0;
    }
    for (int64_t i = 0; i < s->n; i++) {
        int b = s->bin[i];
        if (b < 0 || !counts(&t, s, photons, i)) continue;
        double residual = photons[i] - t.sum[b] / t.i0[b] * s->i0[i];
        error[b] += residual * residual;
    }
    for (size_t b = 0; b < n; b++)
        error[b] = t.count[b] > 2 ? sqrt(error[b] * t.count[b] / (t.count[b] - 1)) / t.i0[b] / off : NAN;
    xn_free(room);
    return t.off > 0;
}

// A bin smears by its width over sqrt(12); a rise within one bin has no width that could be told.
static double narrowest_ps(const xn_cube *c)
{
    return (c->delay_ps[c->nbins - 1] - c->delay_ps[0]) / c->nbins / sqrt(12.0);
}

static xani_status fit_rise(xn_ctx *ctx, const char *expression, const xn_cube *c, const double *y, const double *error,
                            rise *r)
{
    xani_model *model = NULL;
    double value[MOST_PARAMETERS], sigma[MOST_PARAMETERS], chi2, reduced;
    uint8_t status = XANI_MODEL_MASKED;
    xani_model_data data;
    xani_model_options options;
    xani_model_results results;
    xani_model_data_init(&data);
    xani_model_options_init(&options);
    xani_model_results_init(&results);
    data.n_sets = 1;
    data.n_points = c->nbins;
    data.x = c->delay_ps;
    data.y = y;
    data.sigma = error;
    options.threads = 1;
    options.absolute_sigma = 0; // a rise that is no single step makes the error larger
    results.values = value;
    results.errors = sigma;
    results.chi2 = &chi2;
    results.chi2_reduced = &reduced;
    results.status = &status;
    r->found = false;
    XN_TRY(xani_model_create(ctx, expression, NULL, 0, &model));
    bool step = xani_model_find(model, "decay") < 0;
    xani_status st = xani_model_bound(ctx, model, "sigma", narrowest_ps(c) * (step ? M_SQRT2 : 1.0), INFINITY);
    if (st == XANI_OK) st = xn_model_fit_part(ctx, model, &data, &options, &results, 0, 0);
    int centre = xani_model_find(model, "centre"), width = xani_model_find(model, "sigma"),
        height = xani_model_find(model, "amplitude");
    if (st == XANI_OK && (status == XANI_MODEL_CONVERGED || status == XANI_MODEL_AT_BOUND) && sigma[centre] > 0)
        *r = (rise){.found = true,
                    .zero_ps = value[centre],
                    .zero_error = sigma[centre],
                    .rms_ps = step ? value[width] * M_SQRT1_2 : value[width],
                    .height = value[height],
                    .height_error = sigma[height],
                    .chi2 = chi2,
                    .chi2_reduced = reduced};
    xani_model_destroy(&model);
    return st;
}

static void say(xn_ctx *ctx, const xn_config *config, const rise *r)
{
    double least = r->height_error > 0 ? fabs(r->height) / r->height_error : 0;
    if (!r->found || !(least > LEAST_SIGMA)) {
        xn_note(ctx, "reduce.find_zero: the intensity of the whole detector shows no step in delay");
        return;
    }
    xn_note(ctx,
            "reduce.find_zero: half of the rise (%.3g %%) at %.4f +- %.4f ps, rms width %.3f ps, chi2 per degree of "
            "freedom %.2f%s; to call it delay zero set input.delay.zero_ps: %.4f",
            100 * r->height, r->zero_ps, r->zero_error, r->rms_ps, r->chi2_reduced,
            r->chi2_reduced > LARGEST_CHI2 ? " (no single step: a rough value)" : "",
            xn_config_double(config, "input.delay.zero_ps") + r->zero_ps);
}

xani_status xn_zero_find(xn_ctx *ctx, const xn_config *config, const xn_cube *c, double *zero_ps, double *error_ps)
{
    rise step = {0}, decay = {0};
    *zero_ps = *error_ps = NAN;
    double *y = xn_alloc((size_t)c->nbins * 2, sizeof *y);
    if (y == NULL) return xn_fail_memory(ctx, "reduce.find_zero", (size_t)c->nbins * 16);
    bool known = c->nbins >= FEWEST_BINS && total_trace(c, y, y + c->nbins);
    xani_status st = known ? fit_rise(ctx, "step_erf + constant", c, y, y + c->nbins, &step) : XANI_OK;
    if (st == XANI_OK && known) st = fit_rise(ctx, "exponential_step + constant", c, y, y + c->nbins, &decay);
    xn_free(y);
    if (st != XANI_OK) return xn_context(ctx, st, "reduce.find_zero");
    const rise *r = decay.found && (!step.found || decay.chi2 < step.chi2 - LEAST_GAIN) ? &decay : &step;
    say(ctx, config, r);
    if (r->found && fabs(r->height) > LEAST_SIGMA * r->height_error) {
        *zero_ps = r->zero_ps;
        *error_ps = r->zero_error;
    }
    return XANI_OK;
}
