// SPDX-License-Identifier: BSD-3-Clause
// interval.c -- confidence intervals by profile: chi^2 minimised over all other parameters, as a function of one.
//
// s(t) = sign sqrt((chi^2(t) - minimum)/rise) is 1 at the end sought and, for a model nearly linear there, a straight
// line (D. M. Bates, D. G. Watts, "Nonlinear regression analysis and its applications" (1988), section 6.1), so
// that a search on s needs few fits: outward in doubling steps until it is bracketed, then the Illinois variant of
// regula falsi.  Each fit starts from the one before.  Definitions are those of lmfit's conf_interval.
//
// Where the model has no value, or the data do not determine the others (the centre of a peak between two samples), s
// counts as infinite: the bracket is halved until it is known.  So it is where a fit went astray on a long way.
#include <math.h>
#include <string.h>

#include "lsq/lsq.h"

#define OUTWARD 40     // doublings before an end counts as infinite
#define SEARCH 60      // steps within the bracket
#define PRECISION 1e-7 // of s
#define NEAR 1e-6      // of the bracket: how near to where s is not known it is looked for
#define LOWER 1e-6     // relative: a lower sum of squares than this is a better minimum

typedef struct profile {
    const xn_scheme *whole;
    xn_fitter *inner; // per thread, with the parameter fixed
    const xn_fitter *outer;
    const xani_model_data *data;
    const double *values, *levels;
    int parameter, n_levels;
    bool absolute;
    double *intervals;
} profile;

typedef struct side {
    const profile *all;
    xn_fitter *f;
    double p[XN_MODEL_PARAMETERS]; // of the last fit
    double minimum, rise;
    bool failed, astray;
} side;

static double excess(side *e, double t) // s(t) - 1
{
    double p[XN_MODEL_PARAMETERS];
    memcpy(p, e->p, sizeof p);
    p[e->all->parameter] = t;
    xn_fitter_tie(e->f->scheme, p);
    e->f->evaluations = 0;
    const xani_model_status status = xn_fitter_minimise(e->f, p);
    e->astray = status == XANI_MODEL_NOT_CONVERGED;
    if (status != XANI_MODEL_CONVERGED && status != XANI_MODEL_AT_BOUND) return INFINITY;
    const double chi2 = e->f->lm.chi2;
    if (!(chi2 >= e->minimum * (1.0 - LOWER))) e->failed = true;
    memcpy(e->p, p, sizeof p);
    return sqrt(fmax(chi2 - e->minimum, 0.0) / e->rise) - 1.0;
}

// The end between a, where s is below 1, and b, where it is above or not known; infinite if it is not reached as far as
// s is known.
static double search(side *e, double a, double sa, double b, double sb)
{
    const double beyond = b > a ? INFINITY : -INFINITY, near = NEAR * fabs(b - a);
    bool astray = e->astray; // at b
    for (int i = 0; i < SEARCH && !e->failed; i++) {
        double t = (a * sb - b * sa) / (sb - sa);
        if (!(t > fmin(a, b) && t < fmax(a, b))) t = 0.5 * (a + b);
        const double s = excess(e, t);
        if (fabs(s) <= PRECISION) return t;
        if (t == a || t == b || (isinf(sb) && fabs(b - a) <= near)) break;
        if (isinf(sb) && s < 0.0) {
            a = t, sa = s;
            continue;
        }
        if ((s < 0.0) == (sb < 0.0))
            sa *= isinf(sb) ? 1.0 : 0.5;
        else
            a = b, sa = sb;
        b = t, sb = s;
        astray = e->astray;
    }
    if (e->failed || (isinf(sb) && astray)) return NAN;
    return isinf(sb) ? beyond : b;
}

// Standard error of variable v, which sets the first step. On a bound it has none, and the one it would have with all
// others fixed does.
static double error_of(xn_fitter *f, int v, bool absolute)
{
    const int n = f->scheme->model->n_parameters, k = f->scheme->variable[v];
    xn_fitter_covariance(f, f->covariance);
    const double error = sqrt(f->covariance[k * n + k]);
    if (!isnan(error)) return error;
    const double slope = f->lm.norm[v], noise = absolute ? 1.0 : f->lm.chi2 / (double)(f->n - f->scheme->n_free);
    return slope > 0.0 ? sqrt(noise) / slope : 1.0;
}

// The end towards `step` (which is where a straight line would have it), or infinity.
static double find_end(side *e, double centre, double step, double low, double high)
{
    const double bound = step > 0.0 ? high : low;
    if (centre == bound) return step > 0.0 ? INFINITY : -INFINITY;
    double a = centre, sa = -1.0;
    for (int i = 0; i < OUTWARD && !e->failed; i++) {
        double t = centre + step * (i == 0 ? 1.0 : ldexp(1.0, i));
        const bool last = (step > 0.0 && t >= bound) || (step < 0.0 && t <= bound);
        if (last) t = bound;
        const double s = excess(e, t);
        if (e->failed) break;
        if (fabs(s) <= PRECISION) return t;
        if (s > 0.0) return search(e, a, sa, t, s);
        if (last) break;
        a = t, sa = s;
    }
    return e->failed ? NAN : step > 0.0 ? INFINITY : -INFINITY;
}

static void profile_one(void *user, xn_fitter *outer, int64_t set)
{
    profile *all = user;
    const xn_scheme *s = all->whole;
    const int n = s->model->n_parameters, k = all->parameter;
    double *out = all->intervals + set * all->n_levels * 2, p[XN_MODEL_PARAMETERS];
    for (int i = 0; i < 2 * all->n_levels; i++) out[i] = NAN;
    memcpy(p, all->values + set * n, (size_t)n * sizeof *p);
    xn_fitter_load(outer, all->data, set);
    for (int i = 0; i < n; i++)
        if (!isfinite(p[i])) return;
    const xani_model_status status = xn_fitter_minimise(outer, p); // at once: it starts at the minimum
    if (status != XANI_MODEL_CONVERGED && status != XANI_MODEL_AT_BOUND) return;
    const double minimum = outer->lm.chi2, left = (double)(outer->n - s->n_free);
    int v = 0;
    while (s->variable[v] != k) v++;
    if (!(left > 0.0)) return;
    const double error = error_of(outer, v, all->absolute);
    if (!(error > 0.0 && isfinite(error))) return;
    xn_fitter *inner = &all->inner[outer - all->outer];
    xn_fitter_load(inner, all->data, set);
    for (int side_of = 0; side_of < 2; side_of++) {
        const double sign = side_of ? 1.0 : -1.0;
        for (int l = 0; l < all->n_levels; l++) {
            const double relative = xn_level_rise(all->levels[l], (int64_t)left, all->absolute);
            side e = {
                .all = all, .f = inner, .minimum = minimum, .rise = all->absolute ? relative : relative * minimum};
            const double steps = sqrt(all->absolute ? relative : relative * left);
            memcpy(e.p, p, sizeof p);
            out[2 * l + side_of] = find_end(&e, p[k], sign * steps * error, s->low[v], s->high[v]);
        }
    }
}

static xani_status check(xn_ctx *ctx, const xani_model *m, const char *parameter, const double *levels, int n, int *k)
{
    if (m == NULL || parameter == NULL || n < 0)
        return xn_fail(ctx, XANI_ERR_USAGE, "intervals: model or parameter is NULL, or %d levels", n);
    *k = xani_model_find(m, parameter);
    if (*k < 0) return xn_fail(ctx, XANI_ERR_USAGE, "model \"%s\" has no parameter %s", m->expression, parameter);
    if (m->parameter[*k].role != XN_VARY)
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: it is %s, so that it has no interval of its own", parameter,
                       m->parameter[*k].role == XN_FIXED ? "fixed" : "tied");
    if (n > 0 && levels == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "%s: levels is NULL", parameter);
    for (int i = 0; i < n; i++)
        if (!(levels[i] > 0.0 && levels[i] < 1.0))
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: level %g of an interval is not between 0 and 1", parameter,
                           levels[i]);
    return XANI_OK;
}

static xani_status run(xn_ctx *ctx, const xani_model *m, const xani_model *fixed, const xani_model_data *data,
                       const xani_model_options *options, profile *all)
{
    xn_scheme *schemes = xn_calloc(2, sizeof *schemes);
    if (schemes == NULL) return xn_fail_memory(ctx, "intervals", 2 * sizeof *schemes);
    xn_batch outer = {0}, inner = {0};
    const int threads = options != NULL ? options->threads : 0;
    xani_status st = xn_scheme_make(ctx, m, options, true, &schemes[0]);
    if (st == XANI_OK) st = xn_scheme_make(ctx, fixed, options, true, &schemes[1]);
    if (st == XANI_OK) st = xn_batch_create(ctx, &schemes[0], data, threads, &outer);
    if (st == XANI_OK) st = xn_batch_create(ctx, &schemes[1], data, threads, &inner);
    all->whole = &schemes[0];
    all->absolute = schemes[0].absolute_sigma;
    all->inner = inner.fitter;
    all->outer = outer.fitter;
    if (st == XANI_OK) st = xn_batch_run(&outer, "intervals", profile_one, all);
    xn_batch_free(&outer);
    xn_batch_free(&inner);
    xn_free(schemes);
    return st;
}

xani_status xani_model_interval(xani_context *ctx, const xani_model *m, const xani_model_data *data,
                                const xani_model_options *options, const double *values, const char *parameter,
                                const double *levels, int n_levels, double *intervals)
{
    xn_clear_error(ctx);
    int k = -1;
    XN_TRY(check(ctx, m, parameter, levels, n_levels, &k));
    XN_TRY(xn_data_check(ctx, m, data));
    if (n_levels == 0 || data->n_sets == 0) return XANI_OK;
    if (values == NULL || intervals == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: values or intervals is NULL", parameter);
    xani_model fixed = *m;
    fixed.parameter = xn_alloc(XN_MODEL_PARAMETERS, sizeof *fixed.parameter);
    if (fixed.parameter == NULL) return xn_fail_memory(ctx, "intervals", XN_MODEL_PARAMETERS * sizeof *fixed.parameter);
    memcpy(fixed.parameter, m->parameter, (size_t)m->n_parameters * sizeof *fixed.parameter);
    fixed.parameter[k].role = XN_FIXED;
    profile all = {
        .data = data, .values = values, .levels = levels, .parameter = k, .n_levels = n_levels, .intervals = intervals};
    xani_status st = run(ctx, m, &fixed, data, options, &all);
    xn_free(fixed.parameter);
    return xn_answer(ctx, xn_context(ctx, st, "%s", parameter));
}
