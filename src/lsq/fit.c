// SPDX-License-Identifier: BSD-3-Clause
// fit.c -- xani_model_fit: every data set from start to statistics; and xani_model_evaluate.
//
// AIC and BIC as lmfit has them: n ln(chi2/n) + 2 k and n ln(chi2/n) + k ln n with k free parameters.
#include <math.h>
#include <string.h>

#include "lsq/lsq.h"

void xani_model_data_init(xani_model_data *data)
{
    if (data == NULL) return;
    memset(data, 0, sizeof *data);
    data->size = sizeof *data;
    data->x_columns = 1;
}

void xani_model_options_init(xani_model_options *options)
{
    if (options == NULL) return;
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

void xani_model_results_init(xani_model_results *results)
{
    if (results == NULL) return;
    memset(results, 0, sizeof *results);
    results->size = sizeof *results;
}

typedef struct job {
    const xn_scheme *scheme;
    const xani_model_data *data;
    xani_model_results *out;
} job;

static void put(double *to, int64_t at, double value)
{
    if (to != NULL) to[at] = value;
}

// Everything NaN, for sets without a fit.
static void put_nothing(const job *j, int64_t set)
{
    const xani_model_results *o = j->out;
    const int n = j->scheme->model->n_parameters;
    for (int k = 0; k < n; k++) {
        put(o->values, set * n + k, NAN);
        put(o->errors, set * n + k, NAN);
        for (int l = 0; l < n; l++) {
            put(o->covariance, (set * n + k) * n + l, NAN);
            put(o->correlations, (set * n + k) * n + l, NAN);
        }
    }
    put(o->chi2, set, NAN);
    put(o->chi2_reduced, set, NAN);
    put(o->aic, set, NAN);
    put(o->bic, set, NAN);
    for (int64_t i = 0; o->curves != NULL && i < j->data->n_points; i++) o->curves[set * j->data->n_points + i] = NAN;
}

static void put_errors(const job *j, xn_fitter *f, int64_t set, xani_model_status status)
{
    const xani_model_results *o = j->out;
    const int n = j->scheme->model->n_parameters;
    double *c = f->covariance;
    const bool known = status == XANI_MODEL_CONVERGED || status == XANI_MODEL_AT_BOUND;
    if (known)
        xn_fitter_covariance(f, c);
    else
        for (int i = 0; i < n * n; i++) c[i] = NAN;
    for (int k = 0; k < n; k++) {
        put(o->errors, set * n + k, sqrt(c[k * n + k]));
        for (int l = 0; l < n; l++) {
            const double size = sqrt(c[k * n + k] * c[l * n + l]);
            put(o->covariance, (set * n + k) * n + l, c[k * n + l]);
            put(o->correlations, (set * n + k) * n + l, size > 0.0 ? (k == l ? 1.0 : c[k * n + l] / size) : NAN);
        }
    }
}

static void put_statistics(const job *j, const xn_fitter *f, int64_t set)
{
    const xani_model_results *o = j->out;
    const double n = (double)f->n, k = j->scheme->n_free, chi2 = f->lm.chi2;
    put(o->chi2, set, chi2);
    put(o->chi2_reduced, set, n > k ? chi2 / (n - k) : NAN);
    put(o->aic, set, n * log(chi2 / n) + 2.0 * k);
    put(o->bic, set, n * log(chi2 / n) + k * log(n));
}

// The model at all points of the set, also where the data have no weight.
static void put_curve(const job *j, xn_fitter *f, int64_t set, const double *p)
{
    double *curve = j->out->curves;
    const xani_model_data *d = j->data;
    const int columns = j->scheme->model->x_columns;
    if (curve == NULL) return;
    curve += set * d->n_points;
    for (int64_t i = 0; i < d->n_points; i++) {
        for (int c = 0; c < columns; c++)
            f->x[i * columns + c] = d->x != NULL ? d->x[set * d->x_set + i * columns + c] : (double)i;
    }
    f->n = d->n_points;
    if (xn_fitter_model(f, p, curve, NULL, XN_LM_FORWARD)) return;
    for (int64_t i = 0; i < d->n_points; i++) curve[i] = NAN;
}

static void fit_one(void *user, xn_fitter *f, int64_t set)
{
    const job *j = user;
    const xani_model_results *o = j->out;
    const int n = j->scheme->model->n_parameters;
    double p[XN_MODEL_PARAMETERS];
    xn_fitter_load(f, j->data, set);
    xani_model_status status = f->n == 0 ? XANI_MODEL_MASKED : XANI_MODEL_FEW_POINTS;
    if (f->n > 0 && f->n >= j->scheme->n_free) {
        xn_fitter_start(f, j->data->start != NULL ? j->data->start + set * n : NULL, p);
        status = xn_fitter_minimise(f, p);
    }
    if (o->status != NULL) o->status[set] = (uint8_t)status;
    if (o->points != NULL) o->points[set] = f->n;
    if (o->evaluations != NULL) o->evaluations[set] = f->evaluations;
    if (status == XANI_MODEL_MASKED || status == XANI_MODEL_FEW_POINTS || status == XANI_MODEL_BAD_START) {
        put_nothing(j, set);
        return;
    }
    for (int k = 0; k < n; k++) put(o->values, set * n + k, p[k]);
    put_statistics(j, f, set);
    if (o->errors != NULL || o->covariance != NULL || o->correlations != NULL) put_errors(j, f, set, status);
    put_curve(j, f, set, p);
}

xani_status xn_model_fit_part(xn_ctx *ctx, const xani_model *model, const xani_model_data *data,
                              const xani_model_options *options, xani_model_results *results, int64_t before,
                              int64_t in_total)
{
    if (results == NULL || results->size != sizeof *results)
        return xn_fail(ctx, XANI_ERR_USAGE, "results were not made by xani_model_results_init of this version");
    XN_TRY(xn_data_check(ctx, model, data));
    xn_scheme *scheme = xn_alloc(1, sizeof *scheme);
    if (scheme == NULL) return xn_fail_memory(ctx, "fitting", sizeof *scheme);
    xn_batch batch = {0};
    job j = {scheme, data, results};
    xani_status st = xn_scheme_make(ctx, model, options, data->start != NULL, scheme);
    if (st == XANI_OK) st = xn_batch_create(ctx, scheme, data, options != NULL ? options->threads : 0, &batch);
    batch.before = before;
    if (in_total > 0) batch.in_total = in_total;
    if (st == XANI_OK) st = xn_batch_run(&batch, "fit", fit_one, &j);
    xn_batch_free(&batch);
    xn_free(scheme);
    return st;
}

xani_status xani_model_fit(xani_context *ctx, const xani_model *model, const xani_model_data *data,
                           const xani_model_options *options, xani_model_results *results)
{
    xn_clear_error(ctx);
    return xn_answer(ctx, xn_model_fit_part(ctx, model, data, options, results, 0, 0));
}

xani_status xani_model_evaluate(xani_context *ctx, const xani_model *model, const double *p, const double *x, int64_t n,
                                double *y, double *derivatives)
{
    xn_clear_error(ctx);
    if (model == NULL || p == NULL || n < 0 || n > (int64_t)1 << 31 || (n > 0 && (x == NULL || y == NULL)))
        return xn_fail(ctx, XANI_ERR_USAGE, "a model's values: model, p, x or y is NULL, or n is not 0 to 2^31: %lld",
                       (long long)n);
    xn_scheme *scheme = xn_calloc(1, sizeof *scheme);
    if (scheme == NULL) return xn_fail_memory(ctx, "a model's values", sizeof *scheme);
    scheme->model = model;
    xn_fitter f;
    xani_status st = xn_fitter_create(ctx, scheme, n, &f);
    if (st == XANI_OK) {
        double *d[XN_MODEL_PARAMETERS];
        for (int k = 0; k < model->n_parameters && derivatives != NULL; k++) d[k] = derivatives + k * n;
        if (n > 0) memcpy(f.x, x, (size_t)(n * model->x_columns) * sizeof *x);
        f.n = n;
        if (!xn_fitter_model(&f, p, y, derivatives != NULL ? d : NULL, XN_LM_CENTRAL))
            st = xn_fail(ctx, XANI_ERR_INPUT, "model \"%s\" has no value at these parameters", model->expression);
        xn_fitter_free(&f);
    }
    xn_free(scheme);
    return st;
}
